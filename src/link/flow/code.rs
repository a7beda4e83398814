//! The constraints as the solver reads them: packed, and where memory is tight not on the heap.

use super::lay::Sheet;
use crate::model::facts::FlowOp;
use crate::sys::{Column, Scratch, Table, prefetch};
use std::sync::Arc;

/// Bits of a row of the project; those above tell the operation.
const ROW_BITS: u32 = 27;
/// Bits of a kind of argument and of what it is; those above are its name.
const KIND_BITS: u32 = 2;
const GIVEN_BITS: u32 = 3;

/// A constraint that waits for objects in its first operand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Op {
    pub(super) op: FlowOp,
    pub(super) out: u32,
    pub(super) a: u32,
    /// As in the facts, but names and variables are the project's; of a call its number among calls.
    pub(super) b: u32,
    /// Row of the project.
    pub(super) row: u32,
}

/// A call or decoration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    /// Object and name of a method that is called; 0 without.
    pub(super) receiver: u32,
    pub(super) method: u32,
    /// Arguments, by number.
    pub(super) first: u32,
    pub(super) end: u32,
}

/// An argument.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arg {
    pub(super) kind: u32,
    /// What it is: see [`crate::model::facts::given`].
    pub(super) given: u32,
    pub(super) name: u32,
    pub(super) value: u32,
}

/// Arguments, in order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Args<'s>(&'s [[u32; 2]]);

impl<'s> Args<'s> {
    pub(super) const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    pub(super) const fn len(self) -> usize {
        self.0.len()
    }

    pub(super) fn get(self, at: usize) -> Option<Arg> {
        self.0.get(at).copied().map(unpacked)
    }

    pub(super) fn iter(self) -> impl DoubleEndedIterator<Item = Arg> + 's {
        self.0.iter().copied().map(unpacked)
    }
}

fn unpacked([what, value]: [u32; 2]) -> Arg {
    let bits = |from: u32, count: u32| what >> from & ((1 << count) - 1);
    Arg {
        kind: bits(0, KIND_BITS),
        given: bits(KIND_BITS, GIVEN_BITS),
        name: what >> (KIND_BITS + GIVEN_BITS),
        value,
    }
}

/// All constraints, calls and arguments.
#[derive(Debug, Default)]
pub(super) struct Code {
    ops: Table<[u32; 4]>,
    /// Receiver, method and first argument; arguments end where those of the next begin.
    calls: Table<[u32; 3]>,
    args: Table<[u32; 2]>,
}

impl Code {
    /// Packs them.
    pub(super) fn new(ops: &[Op], calls: &[Call], args: &[Arg], scratch: &Arc<Scratch>) -> Self {
        let mut packed = Column::new(scratch);
        packed.extend(ops.iter().map(|op| [(op.op as u32) << ROW_BITS | op.row, op.out, op.a, op.b]));
        let mut starts = Column::new(scratch);
        debug_assert!(calls.windows(2).all(|pair| pair[0].end == pair[1].first), "arguments without a call");
        starts.extend(calls.iter().map(|call| [call.receiver, call.method, call.first]));
        starts.push([0, 0, args.len() as u32]);
        let mut values = Column::new(scratch);
        let what = |arg: &Arg| (arg.name << GIVEN_BITS | arg.given) << KIND_BITS | arg.kind;
        values.extend(args.iter().map(|arg| [what(arg), arg.value]));
        Self { ops: packed.finish(), calls: starts.finish(), args: values.finish() }
    }

    /// Number of constraints.
    pub(super) fn len(&self) -> u32 {
        self.ops.len() as u32
    }

    /// Constraint number `number`.
    #[inline]
    pub(super) fn op(&self, number: u32) -> Op {
        let [what, out, a, b] = self.ops[number as usize];
        Op { op: FlowOp::from_u32(what >> ROW_BITS), out, a, b, row: what & ((1 << ROW_BITS) - 1) }
    }

    /// All constraints, by row but for copies of decorators, which come last.
    pub(super) fn ops(&self) -> impl Iterator<Item = Op> + Clone + '_ {
        (0..self.len()).map(|number| self.op(number))
    }

    /// The call that constraint `op` makes.
    #[inline]
    pub(super) fn call(&self, op: Op) -> Call {
        let [receiver, method, first] = self.calls[op.b as usize];
        Call { receiver, method, first, end: self.calls[op.b as usize + 1][2] }
    }

    /// The arguments that constraint `op` gives.
    pub(super) fn args_of(&self, op: Op) -> Args<'_> {
        let Call { first, end, .. } = self.call(op);
        self.args(first, end)
    }

    /// Arguments of these numbers.
    pub(super) fn args(&self, first: u32, end: u32) -> Args<'_> {
        Args(&self.args[first as usize..end as usize])
    }

    /// Number of the constraint of row `row`.
    pub(super) fn number_of(&self, row: u32) -> u32 {
        self.ops.partition_point(|op| op[0] & ((1 << ROW_BITS) - 1) < row) as u32
    }
}

/// What depends on the variables that were there from the start: where what is known of each begins, and one after the other the variables
/// that it flows to, with [`Static::EDGE`], and the constraints that wait for it: number times 4, plus the role.
#[derive(Debug, Default)]
pub(super) struct Dependents {
    starts: Table<u32>,
    rows: Table<u32>,
}

impl Dependents {
    pub(super) const EDGE: u32 = 1 << 31;

    /// Who depends on variables below `count`.
    pub(super) fn new(count: u32, sheet: &Sheet<'_>, scratch: &Arc<Scratch>) -> Self {
        let mut starts = vec![0; count as usize + 1];
        Self::each(sheet, |variable, _| starts[variable as usize + 1] += 1);
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let mut places = starts.clone();
        let mut rows = vec![0; starts[count as usize] as usize];
        Self::each(sheet, |variable, row| {
            let place = &mut places[variable as usize];
            rows[*place as usize] = row;
            *place += 1;
        });
        Self { starts: Table::of(&starts, scratch), rows: Table::of(&rows, scratch) }
    }

    fn each(sheet: &Sheet<'_>, mut found: impl FnMut(u32, u32)) {
        for &[from, to] in &sheet.edges {
            found(from, to | Self::EDGE);
        }
        for (op, number) in sheet.ops.iter().zip(0..) {
            let mut waits = |variable: u32, role: u32| {
                if variable != 0 {
                    found(variable, number * 4 + role);
                }
            };
            waits(op.a, FIRST);
            match op.op {
                FlowOp::Call => waits(sheet.calls[op.b as usize].receiver, RECEIVER),
                FlowOp::Operation => {
                    let Call { first, end, .. } = sheet.calls[op.b as usize];
                    let operands = &sheet.args[first as usize..end as usize];
                    operands.iter().for_each(|arg| waits(arg.value, OPERAND));
                }
                FlowOp::Super => waits(op.b, RECEIVER),
                FlowOp::Narrow => waits(op.b, OPERAND),
                _ => {}
            }
        }
    }

    /// Number of all.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// What depends on a variable.
    pub(super) fn of(&self, variable: usize) -> &[u32] {
        match self.starts.get(variable..variable + 2) {
            Some(ends) => &self.rows[ends[0] as usize..ends[1] as usize],
            None => &[],
        }
    }

    /// A variable is soon to be asked for.
    #[inline(always)]
    pub(super) fn prefetch(&self, variable: usize) {
        prefetch(&self.starts, variable);
    }

    /// The same, later on.
    #[inline(always)]
    pub(super) fn prefetch_more(&self, variable: usize) {
        if let Some(&start) = self.starts.get(variable) {
            prefetch(&self.rows, start as usize);
        }
    }
}

/// Roles of the variable that a constraint waits for.
pub(super) const FIRST: u32 = 0;
pub(super) const RECEIVER: u32 = 1;
pub(super) const OPERAND: u32 = 2;
