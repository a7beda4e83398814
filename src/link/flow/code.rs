//! The constraints as the solver reads them: packed, and where memory is tight not on the heap.

use crate::model::facts::FlowOp;
use crate::sys::{Column, Scratch, Table};
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
    /// Packs them; those that were given are freed one after the other.
    pub(super) fn new(ops: Vec<Op>, calls: Vec<Call>, args: Vec<Arg>, scratch: &Arc<Scratch>) -> Self {
        let mut packed = Column::new(scratch);
        packed.extend(ops.iter().map(|op| [(op.op as u32) << ROW_BITS | op.row, op.out, op.a, op.b]));
        drop(ops);
        let mut starts = Column::new(scratch);
        debug_assert!(calls.windows(2).all(|pair| pair[0].end == pair[1].first), "arguments without a call");
        starts.extend(calls.iter().map(|call| [call.receiver, call.method, call.first]));
        starts.push([0, 0, args.len() as u32]);
        drop(calls);
        let mut values = Column::new(scratch);
        let what = |arg: &Arg| (arg.name << GIVEN_BITS | arg.given) << KIND_BITS | arg.kind;
        values.extend(args.iter().map(|arg| [what(arg), arg.value]));
        drop(args);
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
