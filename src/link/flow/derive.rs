//! Callees of each call site, and of what calls without being written as a call, read off the solution.

use super::code::{Call, Op};
use super::known::{self, Effect};
use super::outside;
use super::program::special;
use super::solve::Solution;
use super::{Kind, Object};
use crate::link::links::ImplicitKind;
use crate::link::typeshed::Thing;
use crate::model::facts::{ArgKind, FlowOp, SymbolKind, col, symbol_flag, table};
use smallvec::SmallVec;

/// What the sites of one file call.
#[derive(Debug, Default)]
pub(crate) struct Callees {
    /// Call rows, ascending, with where their callees end in `targets` and `receivers`.
    pub(crate) sites: Vec<Site>,
    pub(crate) targets: Vec<Target>,
    /// Classes whose instances, or those of classes below, have the method that is called.
    pub(crate) receivers: Vec<u32>,
    /// Things of the standard library that are called.
    pub(crate) outside: Vec<Thing>,
    pub(crate) implicit: Vec<Implicit>,
}

/// A call site.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site {
    pub(crate) call: u32,
    /// Ends of its rows; they begin where those of the site before end.
    pub(crate) targets: u32,
    pub(crate) receivers: u32,
    pub(crate) outside: u32,
    /// It may call more than is of use.
    pub(crate) top: bool,
    /// Something outside the project may be called too.
    pub(crate) external: bool,
    /// So may whatever somebody outside gives to a parameter.
    pub(crate) unbound: bool,
    /// More than is of use has come on the way, and was cut off.
    pub(crate) many: bool,
}

/// A callee: a symbol of the project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Target {
    pub(crate) symbol: u32,
    /// An instance of it is made.
    pub(crate) instantiates: bool,
}

/// A call that is not written as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Implicit {
    /// Symbol of the file whose code calls.
    pub(crate) caller: u32,
    /// Row in Flow.
    pub(crate) row: u32,
    pub(crate) kind: ImplicitKind,
    /// Symbol of the project.
    pub(crate) target: u32,
}

/// Classes below one above which nothing is said of what they override.
const MOST_BELOW: usize = 64;

/// Reads the callees of `file` off the solution.
pub(crate) fn callees(solution: &Solution<'_, '_>, file: u32) -> Callees {
    let mut out = Callees::default();
    let program = &solution.program;
    let Some(facts) = program.project.facts(file) else { return out };
    let Some(place) = program.place(file) else { return out };
    let first = program.rows[place];
    let ops = program.sheet.first_ops[place]..program.sheet.first_ops[place + 1];
    let mut ops = ops.map(|number| program.code.op(number)).peekable();
    let mut open: Vec<u32> = vec![0];
    let reader = Reader { solution };
    let mut found: Vec<Target> = Vec::new();
    for row in 0..facts.rows(table::Flow) {
        match FlowOp::from_u32(facts.get(col::FLOW_OP, row)) {
            FlowOp::Enter => open.push(facts.get(col::FLOW_A, row)),
            FlowOp::EnterClass => {
                let caller = open.last().copied().unwrap_or(0);
                let class = program.project.symbol(file, facts.get(col::FLOW_A, row));
                out.implicit.extend(program.hooks_of(class).map(|target| Implicit {
                    caller,
                    row,
                    kind: ImplicitKind::Class,
                    target,
                }));
                found.clear();
                for cell in program.cells_in(file, facts.get(col::FLOW_A, row)) {
                    for &object in solution.get(cell) {
                        if matches!(object.kind(), Kind::Instance | Kind::Receiver) {
                            reader.method(object, special::SET_NAME, &mut found);
                        }
                    }
                }
                out.implicit.extend(found.iter().map(|target| Implicit {
                    caller,
                    row,
                    kind: ImplicitKind::Class,
                    target: target.symbol,
                }));
                open.push(caller);
            }
            FlowOp::EnterScope => open.push(open.last().copied().unwrap_or(0)),
            FlowOp::Leave => {
                open.pop();
            }
            _ => {}
        }
        let Some(op) = ops.next_if(|op| op.row == first + row) else { continue };
        found.clear();
        let caller = open.last().copied().unwrap_or(0);
        let site = if op.op == FlowOp::Call {
            facts.get(col::ARG_KIND, facts.get(col::FLOW_B, row)).checked_sub(1)
        } else {
            None
        };
        if let Some(call) = site {
            let (mut external, mut unbound, mut many, mut top) = (false, false, false, false);
            let (before, things) = (out.receivers.len(), out.outside.len());
            for op in std::iter::once(op).chain(program.copies_of(&op)) {
                for &object in solution.get(op.a) {
                    reader.called(op, object, 0, &mut found);
                    external |= object == Object::EXTERNAL;
                    out.outside.extend(object.as_outside().and_then(outside::callee));
                    for value in program.called_outside(op, object) {
                        solution
                            .get(value)
                            .iter()
                            .for_each(|&object| reader.called(op, object, 1, &mut found));
                    }
                    unbound |= object == Object::UNBOUND;
                    many |= object == Object::MANY;
                }
                let Call { receiver, method, first, end } = program.code.call(op);
                if matches!(method, special::SORT | special::SUB) && found.is_empty() {
                    let args = program.code.args(first, end);
                    let called = match method {
                        special::SORT => args.iter().find(|arg| arg.name == special::KEY),
                        _ => args.get(0),
                    };
                    for &object in solution.get(called.map_or(0, |arg| arg.value)) {
                        reader.called(op, object, 1, &mut found);
                    }
                }
                for object in solution.get(receiver) {
                    if matches!(object.kind(), Kind::Receiver | Kind::ClassReceiver) {
                        out.receivers.push(object.number());
                    }
                }
                top |= solution.is_top(op.a);
            }
            found.sort_unstable();
            found.dedup();
            out.targets.extend_from_slice(&found);
            out.receivers[before..].sort_unstable();
            out.outside[things..].sort_unstable();
            out.sites.push(Site {
                call,
                targets: out.targets.len() as u32,
                receivers: out.receivers.len() as u32,
                outside: out.outside.len() as u32,
                top,
                external,
                unbound,
                many,
            });
            continue;
        }
        let mut kind = reader.implicit(op, &mut found);
        for op in program.copies_of(&op) {
            kind = reader.implicit(op, &mut found);
        }
        found.sort_unstable();
        found.dedup();
        out.implicit.extend(found.iter().map(|target| Implicit { caller, row, kind, target: target.symbol }));
    }
    out.implicit.sort_unstable();
    out.implicit.dedup();
    out
}

struct Reader<'s, 'p, 'a> {
    solution: &'s Solution<'p, 'a>,
}

impl Reader<'_, '_, '_> {
    fn push(&self, found: &mut Vec<Target>, symbol: u32) {
        found.push(Target { symbol: self.solution.program.original(symbol), instantiates: false });
    }

    fn method(&self, object: Object, name: u32, found: &mut Vec<Target>) -> bool {
        let Some(class) = self.solution.program.type_of(object) else { return false };
        if object.kind() == Kind::Receiver {
            self.overriding(class, name, 0, found);
        }
        match self.solution.method(class, name) {
            Some(method) => {
                self.push(found, method);
                true
            }
            None => false,
        }
    }

    /// What classes below `class` have under `name`, where all of these flags are set.
    fn overriding(&self, class: u32, name: u32, flags: u32, found: &mut Vec<Target>) {
        let project = self.solution.program.project;
        let (file, symbol) = project.locate(class);
        if !project.classes.has_children(file, symbol) {
            return;
        }
        let key = self.solution.program.sheet.names.key(name);
        let Some(below) = project.classes.descendants(file, symbol, MOST_BELOW) else { return };
        for number in below {
            let [file, class] = project.classes.all[number as usize];
            if let Some(method) = project.own_method(file, class, key)
                && let Some(facts) = project.facts(file)
                && facts.get(col::SYM_FLAGS, method) & flags == flags
            {
                self.push(found, project.symbol(file, method));
            }
        }
    }

    /// What is called where `object` is.
    fn called(&self, op: Op, object: Object, depth: u32, found: &mut Vec<Target>) {
        let program = &self.solution.program;
        match object.kind() {
            Kind::Function | Kind::Bound => {
                self.push(found, object.number());
                for &object in self.solution.registered(object.number()) {
                    self.push(found, object.number());
                }
            }
            Kind::Register if object.as_maker().is_none() => {}
            Kind::Class | Kind::ClassReceiver | Kind::Register => {
                let class = object.as_maker().unwrap_or(object.number());
                found.push(Target { symbol: class, instantiates: true });
                if object.kind() != Kind::Register && self.method(object, special::CALL, found) {
                    return;
                }
                if self.solution.method(class, special::INIT).is_none()
                    && let Some(method) = self.solution.method(class, special::POST_INIT)
                {
                    self.push(found, method);
                }
                for name in [special::INIT, special::NEW] {
                    if let Some(method) = self.solution.method(class, name) {
                        self.push(found, method);
                    }
                }
            }
            Kind::Instance | Kind::Receiver => {
                self.method(object, special::CALL, found);
            }
            Kind::Partial if depth == 0 => {
                let maker = program.code.op(object.number());
                if let Some(function) = program.code.args_of(maker).get(0) {
                    for &object in self.solution.get(function.value) {
                        self.called(op, object, 1, found);
                    }
                }
            }
            Kind::Known if depth == 0 => self.known(op, object.number(), found),
            _ => {}
        }
    }

    fn known(&self, op: Op, known: u32, found: &mut Vec<Target>) {
        let program = &self.solution.program;
        let args = program.code.args_of(op);
        let positional = |at: usize| {
            args.get(at).filter(|arg| arg.kind == ArgKind::Positional as u32).map_or(0, |arg| arg.value)
        };
        let keyword = |name: &str| {
            let name = program.sheet.names.find(name).unwrap_or(u32::MAX);
            args.iter()
                .find(|arg| arg.kind == ArgKind::Keyword as u32 && arg.name == name)
                .map_or(0, |arg| arg.value)
        };
        let mut functions: SmallVec<[u32; 2]> = SmallVec::new();
        let mut elements = 0;
        match known::effect(known) {
            Effect::Map | Effect::Filter | Effect::Reduce => {
                functions.push(positional(0));
                elements = positional(1);
            }
            Effect::Collect | Effect::Choose => {
                if matches!(known::KNOWN[known as usize].0, "list" | "tuple" | "sorted") {
                    // How many there may be is asked first.
                    for &object in self.solution.get(positional(0)) {
                        self.method(object, special::LEN, found);
                    }
                }
                functions.push(keyword("key"));
                if args.len() == 1 || keyword("key") != 0 {
                    elements = positional(0);
                }
            }
            Effect::Enumerate | Effect::Zip => elements = positional(0),
            Effect::Dict => {
                for &object in self.solution.get(positional(0)) {
                    if !self.method(object, special::KEYS, found) {
                        self.iterated(object, false, found);
                    }
                    if program.is_mapping(object) {
                        self.method(object, special::GETITEM, found);
                    }
                }
            }
            Effect::DefaultDict => {}
            Effect::CallTarget => {
                let target = keyword("target");
                functions.push(if target == 0 { positional(1) } else { target });
            }
            Effect::CallSecond => functions.push(positional(1)),
            Effect::Next => {
                for &object in self.solution.get(positional(0)) {
                    self.method(object, special::NEXT, found);
                }
            }
            Effect::Iterate if args.len() > 1 => functions.push(positional(0)),
            Effect::Iterate => {
                for &object in self.solution.get(positional(0)) {
                    self.method(object, special::ITER, found);
                }
            }
            Effect::Method(name) => {
                let name = program.sheet.names.find(name).unwrap_or(0);
                for &object in self.solution.get(positional(0)) {
                    if !self.method(object, name, found) {
                        match name {
                            special::STR | special::FORMAT => {
                                self.method(object, special::REPR, found);
                            }
                            special::BOOL => {
                                self.method(object, special::LEN, found);
                            }
                            _ => {}
                        }
                    }
                }
            }
            Effect::Module
            | Effect::Partial
            | Effect::Type
            | Effect::Same
            | Effect::CallFirst
            | Effect::Globals
            | Effect::Import
            | Effect::Property
            | Effect::Descriptor => {}
            Effect::Field => {
                functions.push(keyword("default_factory"));
                functions.push(keyword("factory"));
            }
        }
        for function in functions {
            for &object in self.solution.get(function) {
                self.called(op, object, 1, found);
            }
        }
        for &object in self.solution.get(elements) {
            self.iterated(object, false, found);
        }
    }

    fn iterated(&self, object: Object, asynchronous: bool, found: &mut Vec<Target>) {
        let [name, next] =
            if asynchronous { [special::AITER, special::ANEXT] } else { [special::ITER, special::NEXT] };
        if !self.method(object, name, found) {
            if !asynchronous {
                self.method(object, special::GETITEM, found);
            }
            return;
        }
        let program = &self.solution.program;
        let method = self.solution.method(object.number(), name);
        let Some(function) = method.and_then(|method| program.function(method)) else { return };
        if function.passes.contains(&0) {
            self.method(object, next, found);
        }
        for &result in self.solution.get(function.returned) {
            self.method(result, next, found);
        }
    }

    /// What a constraint calls that is no call.
    fn implicit(&self, op: Op, found: &mut Vec<Target>) -> ImplicitKind {
        let program = &self.solution.program;
        let objects = self.solution.get(op.a);
        match op.op {
            FlowOp::Load => {
                for &object in objects {
                    if !matches!(object.kind(), Kind::Instance | Kind::Receiver) {
                        continue;
                    }
                    let cell = self.solution.class_cell(object.number(), op.b);
                    let before = found.len();
                    if cell == 0 {
                        let stored = program.sheet.stored.get(op.b as usize).copied().unwrap_or(false);
                        if !stored && !program.sheet.names.text(op.b).starts_with("__") {
                            self.method(object, special::GETATTR, found);
                        }
                        continue;
                    }
                    for &value in self.solution.get(cell) {
                        if matches!(value.kind(), Kind::Instance | Kind::Receiver) {
                            self.method(value, special::GET, found);
                        }
                        if value.kind() == Kind::Partial {
                            let maker = program.code.op(value.number());
                            let getter = program.getter(maker, self.solution.get(maker.a));
                            for &object in self.solution.get(getter.unwrap_or(0)) {
                                self.called(op, object, 1, found);
                            }
                        }
                        if value.kind() == Kind::Function
                            && program.function(value.number()).is_some_and(|function| {
                                function.has(symbol_flag::PROPERTY)
                                    && !function.has(symbol_flag::SETTER | symbol_flag::DELETER)
                            })
                        {
                            self.push(found, value.number());
                        }
                    }
                    if object.kind() == Kind::Receiver && found.len() > before {
                        self.overriding(object.number(), op.b, symbol_flag::PROPERTY, found);
                    }
                }
                ImplicitKind::Property
            }
            FlowOp::Store => {
                for &object in objects {
                    if !matches!(object.kind(), Kind::Instance | Kind::Receiver) {
                        continue;
                    }
                    match self.solution.setter(object.number(), op.b) {
                        Some(setter) => self.push(found, setter),
                        None => {
                            let cell = self.solution.class_cell(object.number(), op.b);
                            for &value in self.solution.get(cell) {
                                if matches!(value.kind(), Kind::Instance | Kind::Receiver) {
                                    self.method(value, special::SET, found);
                                }
                            }
                            self.method(object, special::SETATTR, found);
                        }
                    }
                }
                ImplicitKind::Property
            }
            FlowOp::Get => {
                for &object in objects {
                    let own = self.solution.method(object.number(), special::CLASS_GETITEM);
                    match own.filter(|_| object.kind() == Kind::Class) {
                        Some(method) => self.push(found, method),
                        None => {
                            self.method(object, special::GETITEM, found);
                        }
                    }
                }
                ImplicitKind::Item
            }
            FlowOp::Put => {
                objects.iter().for_each(|&object| {
                    self.method(object, special::SETITEM, found);
                });
                ImplicitKind::Item
            }
            FlowOp::Iterate | FlowOp::Unpack => {
                let asynchronous = op.op == FlowOp::Iterate && op.b != 0;
                objects.iter().for_each(|&object| self.iterated(object, asynchronous, found));
                ImplicitKind::Iteration
            }
            FlowOp::With => {
                let names = if op.b != 0 {
                    [special::AENTER, special::AEXIT]
                } else {
                    [special::ENTER, special::EXIT]
                };
                for &object in objects {
                    for name in names {
                        self.method(object, name, found);
                    }
                }
                ImplicitKind::With
            }
            FlowOp::Await => {
                objects.iter().for_each(|&object| {
                    self.method(object, special::AWAIT, found);
                });
                ImplicitKind::Await
            }
            FlowOp::Operation => {
                let Call { method, first, end, .. } = program.code.call(op);
                let [own, other] = program.protocol[method as usize];
                let before = found.len();
                for &object in objects {
                    if !self.method(object, own, found) && matches!(own, special::FORMAT | special::STR) {
                        let _ = self.method(object, special::STR, found)
                            || self.method(object, special::REPR, found);
                    }
                    let instead = match own {
                        special::BOOL => special::LEN,
                        special::NE => special::EQ,
                        special::KEYS => special::ITER,
                        _ => continue,
                    };
                    if self.solution.method(object.number(), own).is_none() {
                        self.method(object, instead, found);
                    }
                }
                if found.len() == before && other != 0 {
                    for arg in program.code.args(first, end).iter() {
                        for &object in self.solution.get(arg.value) {
                            self.method(object, other, found);
                        }
                    }
                }
                ImplicitKind::Operator
            }
            FlowOp::Decorate => {
                for &object in objects {
                    if matches!(object.kind(), Kind::Known) {
                        continue;
                    }
                    self.called(op, object, 0, found);
                }
                self.constructors_alone(found);
                ImplicitKind::Decorator
            }
            FlowOp::Call => {
                for &object in objects {
                    self.called(op, object, 0, found);
                }
                self.constructors_alone(found);
                ImplicitKind::Raise
            }
            _ => ImplicitKind::Operator,
        }
    }

    /// A class that has a constructor is told by it.
    fn constructors_alone(&self, found: &mut Vec<Target>) {
        let program = &self.solution.program;
        found.retain(|target| {
            !target.instantiates
                || (self.solution.method(target.symbol, special::INIT).is_none()
                    && self.solution.method(target.symbol, special::NEW).is_none())
        });
        debug_assert!(found.iter().all(|target| {
            let (file, symbol) = program.project.locate(target.symbol);
            program.project.kind(file, symbol) != SymbolKind::Module
        }));
    }
}
