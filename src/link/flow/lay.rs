//! Lays the constraints of files out over common numbers, each run of files for itself.

use super::code::{Arg, Call, Op};
use super::copies::Want;
use super::known;
use super::program::{ANY, Function, NameTable, Param, Program, SPREAD, Source, Sources, number_key};
use super::relays::Relay;
use super::{Kind, Object};
use crate::link::Project;
use crate::link::builtins::is_builtin;
use crate::link::value::{Context, Key, enclosing_class, is_overload};
use crate::model::facts::{
    Container, Facts, FlowOp, ITEMS, ParamKind, RefKind, SymbolKind, col, given, symbol_flag, table,
};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::ops::Range;

/// Constraints that are looked through for the call of a factory.
const MOST_BACK: usize = 1 << 14;

/// How the numbers of a file become those of all.
#[derive(Debug, Default)]
pub(super) struct Numbering {
    /// Added to rows, variables and cells.
    pub(super) rows: u32,
    pub(super) variables: u32,
    pub(super) cells: u32,
    /// Of a copy of a function: its own variables in the file, and what is added to those.
    pub(super) own: Range<u32>,
    pub(super) own_variables: u32,
    /// Cells of the function that have copies.
    pub(super) own_cells: FxHashMap<u32, u32>,
    /// Functions in it, with the symbols of their copies.
    pub(super) symbols: SmallVec<[(u32, u32); 4]>,
}

impl Numbering {
    #[inline]
    fn variable(&self, local: u32) -> u32 {
        match local {
            0 => 0,
            local if self.own.contains(&local) => self.own_variables.wrapping_add(local),
            local => self.variables + local,
        }
    }

    fn cell(&self, row: u32) -> u32 {
        let cell = self.cells + row;
        if self.own_cells.is_empty() { cell } else { self.own_cells.get(&cell).copied().unwrap_or(cell) }
    }

    fn source(&self, source: Source) -> Source {
        match source {
            Source::Cell(cell) if !self.own_cells.is_empty() => {
                Source::Cell(self.own_cells.get(&cell).copied().unwrap_or(cell))
            }
            source => source,
        }
    }

    pub(super) fn symbol(&self, symbol: u32) -> u32 {
        self.symbols.iter().find(|copy| copy.0 == symbol).map_or(symbol, |copy| copy.1)
    }
}

/// What files say, over numbers of their own where it is about names, constraints, calls, arguments and bodies.
#[derive(Debug, Default)]
pub(super) struct Sheet<'p> {
    pub(super) names: NameTable<'p>,
    pub(super) ops: Vec<Op>,
    pub(super) calls: Vec<Call>,
    pub(super) args: Vec<Arg>,
    /// From variable, to variable.
    pub(super) edges: Vec<[u32; 2]>,
    pub(super) seeds: Vec<(u32, Object)>,
    /// What is put into containers that are literals: container, key, value.
    pub(super) elements: Vec<(Object, u32, u32)>,
    /// Functions, and the symbol of each.
    pub(super) bodies: Vec<Function>,
    pub(super) symbols: Vec<u32>,
    /// Names that some attribute is assigned under.
    pub(super) stored: Vec<bool>,
    /// Names with a `*`.
    pub(super) patterns: Vec<u32>,
    /// For each row with `super()`: its class +1, as a symbol of the project.
    pub(super) supers: FxHashMap<u32, u32>,
    pub(super) wanted: Vec<Want>,
    /// Calls whose result a function returns, which gives them parameters of its own.
    pub(super) relays: Vec<Relay>,
    /// First of `ops` of each file.
    pub(super) first_ops: Vec<u32>,
}

impl<'p> Sheet<'p> {
    /// Adds another sheet, whose numbers become those of this.
    pub(super) fn append(&mut self, mut sheet: Self) {
        // There was no file yet.
        if self.first_ops.is_empty() && sheet.names.len() >= self.names.len() {
            *self = sheet;
            self.stored.resize(self.names.len(), false);
            return;
        }
        let numbers = self.names.take(std::mem::take(&mut sheet.names));
        let name = |number: u32| numbers[number as usize];
        let [first_op, first_call, first_arg, first_body] =
            [self.ops.len(), self.calls.len(), self.args.len(), self.bodies.len()].map(|len| len as u32);
        for op in &mut sheet.ops {
            match op.op {
                FlowOp::Load | FlowOp::Store | FlowOp::LoadLike => op.b = name(op.b),
                FlowOp::Call | FlowOp::Decorate => {
                    let call = &mut sheet.calls[op.b as usize];
                    call.method = name(call.method);
                    op.b += first_call;
                }
                FlowOp::Operation => op.b += first_call,
                _ => {}
            }
        }
        for call in &mut sheet.calls {
            (call.first, call.end) = (call.first + first_arg, call.end + first_arg);
        }
        sheet.args.iter_mut().for_each(|arg| arg.name = name(arg.name));
        for (_, object) in &mut sheet.seeds {
            if object.kind() == Kind::Constant && object.as_number().is_none() {
                *object = Object::new(Kind::Constant, name(object.number()));
            }
        }
        for function in &mut sheet.bodies {
            function.params.iter_mut().for_each(|param| param.name = name(param.name));
        }
        self.stored.resize(self.names.len(), false);
        for (number, _) in sheet.stored.iter().enumerate().filter(|stored| *stored.1) {
            self.stored[name(number as u32) as usize] = true;
        }
        for pattern in sheet.patterns {
            let pattern = name(pattern);
            if !self.patterns.contains(&pattern) {
                self.patterns.push(pattern);
            }
        }
        self.supers.extend(sheet.supers);
        self.wanted.extend(sheet.wanted.into_iter().map(|(site, function)| (site + first_op, function)));
        self.relays.extend(sheet.relays.into_iter().map(|relay| Relay {
            body: relay.body + first_body,
            op: relay.op + first_op,
            ..relay
        }));
        self.first_ops.extend(sheet.first_ops.into_iter().map(|first| first + first_op));
        self.ops.append(&mut sheet.ops);
        self.calls.append(&mut sheet.calls);
        self.args.append(&mut sheet.args);
        self.edges.append(&mut sheet.edges);
        self.seeds.append(&mut sheet.seeds);
        self.elements.append(&mut sheet.elements);
        self.bodies.append(&mut sheet.bodies);
        self.symbols.append(&mut sheet.symbols);
    }
}

/// Lays out a run of files, or copies of functions.
pub(super) struct Layer<'s, 'p, 'a> {
    program: &'s Program<'p, 'a>,
    pub(super) out: Sheet<'p>,
}

impl<'s, 'p, 'a> Layer<'s, 'p, 'a> {
    pub(super) fn new(program: &'s Program<'p, 'a>) -> Self {
        let out = Sheet { names: NameTable::new().0, ..Sheet::default() };
        Self { program, out }
    }

    /// All constraints of files.
    pub(super) fn files(mut self, files: &[u32]) -> Sheet<'p> {
        let project = self.program.project;
        for &file in files {
            self.out.first_ops.push(self.out.ops.len() as u32);
            if let Some(facts) = project.facts(file) {
                project.touched(file);
                let numbering = self.program.numbering(file);
                self.file(file, facts, 0..facts.rows(table::Flow), &numbering, &mut Vec::new());
            }
        }
        self.out
    }

    /// Constraints of the rows of a file, or of a function that is copied. `names`: numbers of the file's strings, as far as they are known.
    pub(super) fn file(
        &mut self,
        file: u32,
        facts: &'p Facts<'a>,
        rows: Range<u32>,
        at: &Numbering,
        names: &mut Vec<u32>,
    ) {
        let project = self.program.project;
        let var = |local: u32| at.variable(local);
        names.resize(facts.rows(table::Strings) as usize, 0);
        // Scope, and the function whose body it is +1, of what is open.
        let mut open: Vec<(u32, u32)> = vec![(0, 0)];
        let mut containers: FxHashMap<u32, Object> = FxHashMap::default();
        let Range { start: mut row, end: rows } = rows;
        while row < rows {
            let op = FlowOp::from_u32(facts.get(col::FLOW_OP, row));
            let [out, a, b] = [col::FLOW_OUT, col::FLOW_A, col::FLOW_B].map(|column| facts.get(column, row));
            let number = at.rows.wrapping_add(row);
            let &(scope, body) = open.last().unwrap_or(&(0, 0));
            row += 1;
            match op {
                FlowOp::Enter => {
                    let place =
                        self.enter(file, facts, var(out), [a, at.symbol(project.symbol(file, a)), b], names);
                    open.push((facts.opt(col::SYM_SCOPE, a).unwrap_or(0), place + 1));
                }
                FlowOp::EnterClass => open.push((facts.opt(col::SYM_SCOPE, a).unwrap_or(0), 0)),
                FlowOp::EnterScope => open.push((a, body)),
                FlowOp::Leave => {
                    open.pop();
                }
                FlowOp::Copy => {
                    if let Some(place) = body.checked_sub(1) {
                        // The row before this one.
                        let call = [row.wrapping_sub(2), number.wrapping_sub(1)];
                        self.relay(file, facts, call, [place, var(a), var(out)]);
                    }
                    self.edge(var(a), var(out));
                }
                FlowOp::Define => {
                    if a < facts.rows(table::FlowNames) {
                        let string = facts.get(col::FLOW_NAME, a);
                        let key = Key::of(facts, string);
                        if b != out {
                            self.edge(var(b), var(out));
                        }
                        let found = facts.lookup(scope, key.bytes, key.hash);
                        if !found.is_empty() {
                            self.edge(var(out), at.cell(found.start));
                        }
                    }
                }
                FlowOp::Assign => {
                    if let Some(first) = facts.opt(col::REF_BASE, a) {
                        self.edge(var(b), at.cell(first));
                    }
                }
                FlowOp::Name => {
                    for source in self.name(file, facts, a) {
                        self.source(at.source(source), var(out));
                    }
                }
                FlowOp::Symbol => {
                    if facts.get(col::SYM_FLAGS, a) & (symbol_flag::OVERLOAD | symbol_flag::DECLARED) != 0 {
                        let key = Key::of(facts, facts.get(col::SYM_NAME, a));
                        if is_overload(facts, &facts.lookup(scope, key.bytes, key.hash), a) {
                            continue;
                        }
                    }
                    let symbol = at.symbol(project.symbol(file, a));
                    let class = facts.get(col::SYM_KIND, a) == SymbolKind::Class as u32;
                    let kind = if class { Kind::Class } else { Kind::Function };
                    self.out.seeds.push((var(out), Object::new(kind, symbol)));
                }
                FlowOp::Constant => {
                    let object = if a == 1 {
                        Object::number_constant(b)
                    } else {
                        let string = facts.get(col::FLOW_NAME, b);
                        Object::new(Kind::Constant, self.name_number(facts, string, names))
                    };
                    self.out.seeds.push((var(out), object));
                }
                FlowOp::Import => {
                    for source in self.program.import(file, facts, a) {
                        self.source(source, var(out));
                    }
                }
                FlowOp::New => {
                    let object = Object::container(number, false, a == Container::Dict as u32);
                    self.out.seeds.push((var(out), object));
                    containers.insert(out, object);
                    if let Some(place) = body.checked_sub(1) {
                        let function = &mut self.out.bodies[place as usize];
                        let first = function.param(0);
                        if let Some(param) = var(out)
                            .checked_sub(first)
                            .and_then(|at| function.params.get_mut(at as usize))
                            .filter(|param| param.container == Object::EXTERNAL)
                        {
                            param.container = object;
                        }
                    }
                }
                FlowOp::Element => {
                    if let Some(&container) = containers.get(&out) {
                        let key = match a {
                            0 => ANY,
                            ITEMS => SPREAD,
                            _ => number_key(a - 1),
                        };
                        self.out.elements.push((container, key, var(b)));
                    }
                }
                FlowOp::Load | FlowOp::Store => {
                    let name = self.name_number(facts, facts.get(col::REF_NAME, b), names);
                    if op == FlowOp::Store {
                        if self.out.stored.len() <= name as usize {
                            self.out.stored.resize(name as usize + 1, false);
                        }
                        self.out.stored[name as usize] = true;
                    }
                    self.out.ops.push(Op { op, out: var(out), a: var(a), b: name, row: number });
                }
                FlowOp::Put | FlowOp::Get | FlowOp::Narrow => {
                    self.out.ops.push(Op { op, out: var(out), a: var(a), b: var(b), row: number });
                }
                FlowOp::Super => {
                    let class = if a == 0 {
                        enclosing_class(facts, scope).map_or(0, |class| project.symbol(file, class) + 1)
                    } else {
                        0
                    };
                    self.out.supers.insert(number, class);
                    self.out.ops.push(Op { op, out: var(out), a: var(a), b: var(b), row: number });
                }
                FlowOp::Unpack | FlowOp::Iterate | FlowOp::Await | FlowOp::With | FlowOp::Instance => {
                    self.out.ops.push(Op { op, out: var(out), a: var(a), b, row: number });
                }
                FlowOp::Operation => {
                    let first = self.out.args.len() as u32;
                    while row < rows && facts.get(col::FLOW_OP, row) == FlowOp::Operand as u32 {
                        let value = var(facts.get(col::FLOW_A, row));
                        self.out.args.push(Arg { kind: 0, given: given::ANY, name: 0, value });
                        row += 1;
                    }
                    let call = self.out.calls.len() as u32;
                    // The row of the protocol takes the place of the name.
                    self.out.calls.push(Call {
                        receiver: 0,
                        method: b,
                        first,
                        end: self.out.args.len() as u32,
                    });
                    self.out.ops.push(Op { op, out: var(out), a: var(a), b: call, row: number });
                }
                FlowOp::Operand => {}
                FlowOp::Call | FlowOp::Decorate => {
                    let call = self.call(facts, b, at, names);
                    self.decoration(op, file, facts, row - 1, at);
                    self.out.ops.push(Op { op, out: var(out), a: var(a), b: call, row: number });
                }
                FlowOp::Pass => {
                    let Some(place) = body.checked_sub(1) else { continue };
                    let function = &mut self.out.bodies[place as usize];
                    let returned = function.returned;
                    if b == 0 && !function.passes.contains(&a) {
                        function.passes.push(a);
                    } else if b > 1 || b == 1 && a == 0 && function.of_class {
                        if !function.news.contains(&(a, b)) {
                            function.news.push((a, b));
                        }
                    } else if b != 0 {
                        self.edge(var(out), returned);
                    }
                }
                FlowOp::Return => {
                    if let Some(place) = body.checked_sub(1) {
                        self.out.bodies[place as usize].returns.push((var(out), [a, b]));
                    }
                }
                FlowOp::LoadLike => {
                    let like = self.name_number(facts, facts.get(col::FLOW_NAME, b), names);
                    if !self.out.patterns.contains(&like) {
                        self.out.patterns.push(like);
                    }
                    self.out.ops.push(Op { op, out: var(out), a: var(a), b: like, row: number });
                }
            }
        }
    }

    /// Notes that `value` is returned, where it is what the last constraint, a call in row `at` of the file and `row` of the project, gives.
    fn relay(&mut self, file: u32, facts: &Facts<'_>, [at, row]: [u32; 2], [body, value, out]: [u32; 3]) {
        let function = &self.out.bodies[body as usize];
        let Some(op) =
            self.out.ops.last().filter(|op| op.op == FlowOp::Call && op.row == row && op.out == value)
        else {
            return;
        };
        let Call { receiver, first, end, .. } = self.out.calls[op.b as usize];
        let params = function.param(0)..function.param(function.params.len() as u32);
        let own = |value: u32| params.contains(&value);
        let given = &self.out.args[first as usize..end as usize];
        if out != function.returned
            || function.has(symbol_flag::GENERATOR | symbol_flag::ASYNC)
            || !own(receiver) && !given.iter().any(|arg| own(arg.value))
        {
            return;
        }
        let Some(call) = facts.get(col::ARG_KIND, facts.get(col::FLOW_B, at)).checked_sub(1) else { return };
        let callee = facts.get(col::CALL_REF, call);
        let op = self.out.ops.len() as u32 - 1;
        self.out.relays.push(Relay { body, op, file, callee });
    }

    fn edge(&mut self, from: u32, to: u32) {
        if from != 0 && from != to {
            self.out.edges.push([from, to]);
        }
    }

    /// Notes that the constraint that comes next, of row `row`, may call a decorator that is to be copied.
    fn decoration(&mut self, op: FlowOp, file: u32, facts: &'p Facts<'a>, row: u32, at: &Numbering) {
        if op != FlowOp::Decorate || !at.symbols.is_empty() {
            return;
        }
        let line = facts.get(col::FLOW_LINE, row);
        let (mut decorator, mut after) = (0, facts.rows(table::Decorators));
        while decorator < after {
            let middle = decorator.midpoint(after);
            if facts.get(col::DEC_LINE, middle) < line {
                decorator = middle + 1;
            } else {
                after = middle;
            }
        }
        if decorator == facts.rows(table::Decorators) || facts.get(col::DEC_LINE, decorator) != line {
            return;
        }
        let mut site = self.out.ops.len() as u32;
        if facts.get(col::DEC_CALLED, decorator) != 0 {
            let factory = at.variable(facts.get(col::FLOW_A, row));
            let back = self
                .out
                .ops
                .iter()
                .rev()
                .take(MOST_BACK)
                .position(|op| op.out == factory && op.op == FlowOp::Call);
            let Some(back) = back else { return };
            site -= 1 + back as u32;
        }
        let project = self.program.project;
        let mut cx = Context::default();
        cx.start(file, facts.rows(table::Refs), &project.scratch);
        if let Some((file, symbol)) = project.only_symbol(file, facts.get(col::DEC_REF, decorator), &mut cx)
            && matches!(project.kind(file, symbol), SymbolKind::Function | SymbolKind::Method)
            && self.program.local[file as usize] != 0
        {
            self.out.wanted.push((site, [file, symbol]));
        }
    }

    fn source(&mut self, source: Source, out: u32) {
        match source {
            Source::Cell(cell) => self.edge(cell, out),
            Source::Object(object) => self.out.seeds.push((out, object)),
        }
    }

    fn name_number(&mut self, facts: &'p Facts<'a>, string: u32, known: &mut [u32]) -> u32 {
        let Some(place) = known.get_mut(string as usize) else { return 0 };
        if *place == 0 && string != 0 {
            *place = self.out.names.add(facts.bytes_of(string));
        }
        *place
    }

    fn call(&mut self, facts: &'p Facts<'a>, row: u32, at: &Numbering, names: &mut [u32]) -> u32 {
        let var = |local: u32| at.variable(local);
        let shape = facts.get(col::ARG_VALUE, row);
        let (mut receiver, mut method) = (0, 0);
        let mut at = row + 1;
        if shape & 1 != 0 {
            receiver = var(facts.get(col::ARG_VALUE, at));
            let string = facts.get(col::REF_NAME, facts.get(col::ARG_KIND, at));
            method = self.name_number(facts, string, names);
            at += 1;
        }
        let first = self.out.args.len() as u32;
        for row in at..at + shape / 2 {
            let name = self.name_number(facts, facts.get(col::ARG_NAME, row), names);
            let (kind, given) = given::parts(facts.get(col::ARG_KIND, row));
            let value = var(facts.get(col::ARG_VALUE, row));
            self.out.args.push(Arg { kind, given, name, value });
        }
        self.out.calls.push(Call { receiver, method, first, end: self.out.args.len() as u32 });
        self.out.calls.len() as u32 - 1
    }

    /// The body of a function: its symbol in the file and in the project, and the first row of its parameters.
    fn enter(
        &mut self,
        file: u32,
        facts: &'p Facts<'a>,
        returned: u32,
        [symbol, number, first]: [u32; 3],
        names: &mut [u32],
    ) -> u32 {
        let flags = facts.get(col::SYM_FLAGS, symbol);
        let mut params = SmallVec::new();
        for row in first..facts.rows(table::Params) {
            if facts.get(col::PAR_SYM, row) != symbol {
                break;
            }
            let kind = ParamKind::from_u32(facts.get(col::PAR_KIND, row));
            let name = self.name_number(facts, facts.get(col::PAR_NAME, row), names);
            let optional = facts.str(col::PAR_DEFAULT, row) == "None";
            params.push(Param { kind, name, container: Object::EXTERNAL, optional });
        }
        let place = self.out.bodies.len() as u32;
        let of_class = flags & symbol_flag::CLASSMETHOD != 0 || facts.str(col::SYM_NAME, symbol) == "__new__";
        let function = Function {
            flags,
            returned,
            params,
            passes: SmallVec::new(),
            news: SmallVec::new(),
            returns: Vec::new(),
            of_class,
        };
        if let Some(first) = function.params.first().filter(|param| param.kind <= ParamKind::Positional)
            && let Some(receiver) =
                receiver(self.program.project, file, facts, symbol, self.out.names.text(first.name))
        {
            self.out.seeds.push((function.param(0), receiver));
        }
        self.out.bodies.push(function);
        self.out.symbols.push(number);
        place
    }

    /// What a name stands for that ref `row` reads wherever it is assigned.
    fn name(&self, file: u32, facts: &'p Facts<'a>, row: u32) -> Sources {
        let mut found = Sources::new();
        if RefKind::from_u32(facts.get(col::REF_KIND, row)) != RefKind::Name {
            return found;
        }
        if let Some(first) = facts.opt(col::REF_BASE, row) {
            found.extend(self.program.cells_of(file).map(|cells| Source::Cell(cells + first)));
            return found;
        }
        let key = Key::of(facts, facts.get(col::REF_NAME, row));
        let rows = facts.lookup(0, key.bytes, key.hash);
        if !rows.is_empty() {
            found.extend(self.program.cells_of(file).map(|cells| Source::Cell(cells + rows.start)));
        } else if !self.program.star(file, key, 0, &mut found) && is_builtin(key.text()) {
            found.push(Source::Object(known::builtin(key.text())));
        }
        found
    }
}

/// What `self` or `cls` of a method is.
fn receiver(project: &Project<'_>, file: u32, facts: &Facts<'_>, symbol: u32, first: &str) -> Option<Object> {
    if facts.get(col::SYM_KIND, symbol) == SymbolKind::Lambda as u32 {
        // In the body of a class, as in tables of handlers, `self` is what it is elsewhere.
        let parent = facts.opt(col::SYM_PARENT, symbol)?;
        let of_class = facts.get(col::SYM_KIND, parent) == SymbolKind::Class as u32;
        return (of_class && first == "self")
            .then(|| Object::new(Kind::Receiver, project.symbol(file, parent)));
    }
    if facts.get(col::SYM_KIND, symbol) != SymbolKind::Method as u32 {
        return None;
    }
    let scope = facts.opt(col::SYM_PARENT, symbol)?;
    if facts.get(col::SYM_KIND, scope) != SymbolKind::Class as u32 {
        return None;
    }
    let class = project.symbol(file, scope);
    let flags = facts.get(col::SYM_FLAGS, symbol);
    let new = flags & symbol_flag::STATIC != 0 && facts.str(col::SYM_NAME, symbol) == "__new__";
    if flags & symbol_flag::CLASSMETHOD != 0 || new {
        Some(Object::new(Kind::ClassReceiver, class))
    } else if flags & symbol_flag::STATIC == 0 {
        Some(Object::new(Kind::Receiver, class))
    } else {
        None
    }
}
