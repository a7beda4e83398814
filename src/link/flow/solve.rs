//! What each variable may hold: constraints are applied in rounds until nothing is new.
//!
//! In a round each variable whose set has grown gives what is new to those that depend on it; what they receive counts from the next round
//! on. So the sets at the end of each round depend on the constraints alone, never on the order in which they are looked at, and a set
//! that has become too large can be cut off there (saturation: Wimmer et al., "Scaling Type-Based Points-to Analysis with Saturation", PLDI 2024).

use super::known::{self, Effect};
use super::parts::Parts;
use super::program::{
    ALL, ANY, Arg, Call, Function, KEYS, Op, Program, Source, by_variable, is_field, module_object,
    number_key,
};
use super::{Kind, Object};
use crate::model::facts::{ArgKind, FlowOp, PROTOCOL, ParamKind, col, symbol_flag, table};
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

/// Functions, classes and instances that one variable may hold.
const OBJECTS: usize = 32;
/// Containers that one variable may hold.
const CONTAINERS: usize = 8;
/// Constants that one variable may hold; of more none is of use.
const CONSTANTS: u8 = 8;

/// What a variable may hold, in the order in which it came.
#[derive(Clone, Debug, Default)]
struct Set {
    items: SmallVec<[Object; 2]>,
    /// Those that were given to others.
    done: u16,
    constants: u8,
    /// More than [`OBJECTS`] values, or too many containers: it gives nothing more to others.
    top: bool,
    waiting: bool,
    /// First of the edges that were found +1.
    head: u32,
}

/// How an edge changes what goes along it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Via {
    Copy,
    /// Read from an object with this code.
    Method,
    /// Read from a class with this code.
    ClassAttribute,
    Iterate,
    /// An iterator's elements.
    Elements,
    Unpack,
    /// What lies in a container under this key.
    Get,
    /// Everything that lies in a container.
    Values,
    /// As a receiver of `super()`: this place in `supers`.
    Super,
    /// As the key of this place in `waits`.
    Key,
    /// The class of an object.
    Type,
    /// Called as this place in `specs` says.
    Spec,
    /// A method of the language is called, that of this number in the table of known functions.
    Known,
}

/// A call that is not written as one.
#[derive(Clone, Copy, Debug)]
struct Spec {
    /// Arguments in the program's `args`, bound from parameter `shift` on.
    first: u32,
    end: u32,
    shift: u32,
    /// Or: elements of this variable are the first argument.
    values: u32,
    /// Where results go, or 0.
    out: u32,
}

#[derive(Clone, Copy, Debug)]
struct Edge {
    to: u32,
    via: Via,
    extra: u32,
    next: u32,
}

/// Something that is read from or put into a container under a key that flows.
#[derive(Clone, Copy, Debug)]
struct Wait {
    container: Object,
    key: u32,
    /// Read into this, or 0.
    out: u32,
    /// Put from this, or 0.
    value: u32,
}

/// What each variable may hold.
pub(crate) struct Solution<'p, 'a> {
    pub(super) program: Program<'p, 'a>,
    places: Vec<u32>,
    sets: Vec<Set>,
    /// Cells of attributes of classes that were looked up: class and name.
    classes: FxHashMap<u64, u32>,
}

impl<'p, 'a> Solution<'p, 'a> {
    /// What variable `at` may hold, in no special order; empty where that is too much.
    pub(super) fn get(&self, at: u32) -> &[Object] {
        match self.places.get(at as usize) {
            Some(&place) if place != 0 && !self.sets[place as usize].top => &self.sets[place as usize].items,
            _ => &[],
        }
    }

    /// The setter of property `name`.
    pub(super) fn setter(&self, class: u32, name: u32) -> Option<u32> {
        self.program.setter(class, name)
    }

    /// The cell that `name` of `class` was found in; 0 without.
    pub(super) fn class_cell(&self, class: u32, name: u32) -> u32 {
        self.classes.get(&(u64::from(class) << 32 | u64::from(name))).copied().unwrap_or(0)
    }

    /// True where variable `at` may hold more than is of use.
    pub(super) fn is_top(&self, at: u32) -> bool {
        self.places.get(at as usize).is_some_and(|&place| self.sets[place as usize].top)
    }
}

struct Solver<'p, 'a> {
    program: Program<'p, 'a>,
    /// For each variable its place in `sets`; 0 for one that holds nothing.
    places: Vec<u32>,
    /// The first one is empty and stays so.
    sets: Vec<Set>,
    /// Edges that were there from the start, by source.
    edge_starts: Vec<u32>,
    edge_ends: Vec<u32>,
    /// Constraints by the variables that they wait for: number times 4, plus the role.
    watch_starts: Vec<u32>,
    watches: Vec<u32>,
    /// Edges that were found.
    edges: Vec<Edge>,
    known: FxHashSet<(u64, u64)>,
    pending: Vec<(u32, Edge)>,
    inbox: Vec<(u32, Object)>,
    active: Vec<u32>,
    fields: FxHashMap<u64, u32>,
    classes: FxHashMap<u64, u32>,
    methods: FxHashMap<(u32, &'static str), Option<u32>>,
    dataclasses: FxHashMap<u32, Vec<u32>>,
    waits: Vec<Wait>,
    waiting: FxHashSet<(Object, u32, u32, u32)>,
    specs: Vec<Spec>,
    /// Functions that the constraint at hand called already, with the same arguments, for other receivers.
    invoked: Vec<u32>,
    /// Name and class +1 of attributes read from `super()`.
    supers: Vec<(u32, u32)>,
    rounds: u32,
    messages: u64,
}

/// Added to a name: not what was assigned to an attribute, but what reading it gives.
const ATTRIBUTE: u32 = 1 << 30;

/// Roles of the variable that a constraint waits for.
const FIRST: u32 = 0;
const RECEIVER: u32 = 1;
const OPERAND: u32 = 2;

/// Solves the constraints of `files`: whole parts of the project.
pub(crate) fn solve<'p, 'a>(
    project: &'p crate::link::Project<'a>,
    parts: &'p Parts,
    files: &[u32],
) -> Solution<'p, 'a> {
    let program = Program::new(project, parts, files);
    tracing::debug!(
        "value flow: {} variables, {} edges, {} constraints, {} values",
        program.count,
        program.edges.len(),
        program.ops.len(),
        program.seeds.len()
    );
    let mut solver = Solver::new(program);
    solver.start();
    solver.run();
    solver.second();
    solver.run();
    let Solver { program, places, sets, rounds, messages, edges, fields, classes, .. } = solver;
    tracing::debug!(
        "value flow: {rounds} rounds, {messages} messages, {} edges found, {} fields",
        edges.len(),
        fields.len()
    );
    Solution { program, places, sets, classes }
}

impl<'p, 'a> Solver<'p, 'a> {
    fn new(program: Program<'p, 'a>) -> Self {
        let count = program.count;
        let (edge_starts, edge_ends) =
            by_variable(count, program.edges.iter().map(|edge| (edge[0], edge[1])));
        let watched = program.ops.iter().zip(0u32..).flat_map(|(op, number)| {
            let mut roles: SmallVec<[(u32, u32); 4]> = SmallVec::new();
            roles.push((op.a, number * 4 + FIRST));
            match op.op {
                FlowOp::Call => {
                    let call = program.calls[op.b as usize];
                    if call.receiver != 0 {
                        roles.push((call.receiver, number * 4 + RECEIVER));
                    }
                }
                FlowOp::Operation => {
                    let call = program.calls[op.b as usize];
                    for arg in &program.args[call.first as usize..call.end as usize] {
                        roles.push((arg.value, number * 4 + OPERAND));
                    }
                }
                FlowOp::Super => roles.push((op.b, number * 4 + RECEIVER)),
                _ => {}
            }
            roles.retain(|role| role.0 != 0);
            roles
        });
        let (watch_starts, watches) = by_variable(count, watched);
        let mut program = program;
        program.edges = Vec::new();
        Self {
            places: vec![0; count as usize],
            sets: vec![Set::default()],
            edge_starts,
            edge_ends,
            watch_starts,
            watches,
            program,
            edges: Vec::new(),
            known: FxHashSet::default(),
            pending: Vec::new(),
            inbox: Vec::new(),
            active: Vec::new(),
            fields: FxHashMap::default(),
            classes: FxHashMap::default(),
            methods: FxHashMap::default(),
            dataclasses: FxHashMap::default(),
            waits: Vec::new(),
            waiting: FxHashSet::default(),
            specs: Vec::new(),
            invoked: Vec::new(),
            supers: Vec::new(),
            rounds: 0,
            messages: 0,
        }
    }

    fn start(&mut self) {
        for (variable, object) in std::mem::take(&mut self.program.seeds) {
            self.send(variable, object);
        }
        for (container, key, value) in std::mem::take(&mut self.program.elements) {
            self.put(container, key, value);
        }
    }

    /// Rounds until nothing is new.
    fn run(&mut self) {
        loop {
            self.barrier();
            if self.active.is_empty() {
                return;
            }
            self.rounds += 1;
            for variable in std::mem::take(&mut self.active) {
                self.turn(variable);
            }
        }
    }

    /// Gives what is new in a variable to those that depend on it.
    fn turn(&mut self, variable: u32) {
        let place = self.places[variable as usize] as usize;
        let set = &mut self.sets[place];
        set.waiting = false;
        if set.top {
            return;
        }
        let new: SmallVec<[Object; 8]> = SmallVec::from_slice(&set.items[usize::from(set.done)..]);
        set.done = set.items.len() as u16;
        if (variable as usize) < self.edge_starts.len() - 1 {
            let range = self.edge_starts[variable as usize] as usize
                ..self.edge_starts[variable as usize + 1] as usize;
            for at in range {
                let to = self.edge_ends[at];
                for &object in &new {
                    self.send(to, object);
                }
            }
            let range = self.watch_starts[variable as usize] as usize
                ..self.watch_starts[variable as usize + 1] as usize;
            for at in range {
                let watch = self.watches[at];
                self.invoked.clear();
                for &object in &new {
                    self.constraint(watch / 4, watch % 4, object);
                }
            }
        }
        let mut next = self.sets[place].head;
        while next != 0 {
            let edge = self.edges[next as usize - 1];
            self.invoked.clear();
            for &object in &new {
                self.along(edge, object);
            }
            next = edge.next;
        }
    }

    /// Ends a round: edges that were found give all that was there, then what was sent arrives.
    fn barrier(&mut self) {
        while let Some((from, edge)) = self.pending.pop() {
            let key =
                (u64::from(from) << 32 | u64::from(edge.to), (edge.via as u64) << 32 | u64::from(edge.extra));
            if from == edge.to && edge.via == Via::Copy || !self.known.insert(key) {
                continue;
            }
            let place = self.place(from);
            let set = &mut self.sets[place];
            self.edges.push(Edge { next: set.head, ..edge });
            set.head = self.edges.len() as u32;
            if set.top {
                continue;
            }
            self.invoked.clear();
            // What is not done yet goes along with the round that comes.
            let there: SmallVec<[Object; 8]> = SmallVec::from_slice(&set.items[..usize::from(set.done)]);
            for object in there {
                self.along(edge, object);
            }
        }
        let mut inbox = std::mem::take(&mut self.inbox);
        self.messages += inbox.len() as u64;
        for (to, object) in inbox.drain(..) {
            let place = self.place(to);
            let set = &mut self.sets[place];
            let constant = matches!(object.kind(), Kind::Text | Kind::Number);
            if set.top || constant && set.constants > CONSTANTS || set.items.contains(&object) {
                continue;
            }
            set.constants += u8::from(constant);
            set.items.push(object);
            if !constant && set.items.len() - usize::from(set.constants) > OBJECTS {
                set.top = true;
            }
            if !set.waiting {
                set.waiting = true;
                self.active.push(to);
            }
        }
        self.inbox = inbox;
        for &variable in &self.active {
            let set = &mut self.sets[self.places[variable as usize] as usize];
            if set.constants > CONSTANTS {
                let done = usize::from(set.done);
                let mut at = 0;
                set.items.retain(|object| {
                    at += 1;
                    at <= done || !matches!(object.kind(), Kind::Text | Kind::Number)
                });
                set.constants = CONSTANTS + 1;
            }
            if set.items.len() > CONTAINERS {
                let containers = set.items.iter().filter(|object| object.kind() == Kind::Container).count();
                set.top |= containers > CONTAINERS;
            }
        }
    }

    /// What is decided once nothing flows any more: keys that stay unknown, decorators of which nothing is known.
    fn second(&mut self) {
        for at in 0..self.waits.len() {
            let Wait { container, key, out, value } = self.waits[at];
            let set = self.set(key);
            let constant = set.items.iter().any(|object| matches!(object.kind(), Kind::Text | Kind::Number));
            if !constant || set.constants > CONSTANTS || set.top {
                if out != 0 {
                    let from = self.field(container, ALL);
                    self.edge(from, out, Via::Copy, 0);
                }
                if value != 0 {
                    self.put(container, ANY, value);
                }
            }
        }
        for at in 0..self.program.ops.len() {
            let op = self.program.ops[at];
            if op.op == FlowOp::Decorate {
                let set = self.set(op.a);
                if op.a == 0 || set.top || set.items.is_empty() {
                    let call = self.program.calls[op.b as usize];
                    let value = self.program.args[call.first as usize].value;
                    self.edge(value, op.out, Via::Copy, 0);
                }
            }
        }
    }

    /// What a variable holds.
    #[inline]
    fn set(&self, variable: u32) -> &Set {
        &self.sets[self.places[variable as usize] as usize]
    }

    /// Place of a variable's set, which is made where it has none.
    #[inline]
    fn place(&mut self, variable: u32) -> usize {
        let place = &mut self.places[variable as usize];
        if *place == 0 {
            *place = self.sets.len() as u32;
            self.sets.push(Set::default());
        }
        *place as usize
    }

    #[inline]
    fn send(&mut self, to: u32, object: Object) {
        if to == 0 {
            return;
        }
        let set = self.set(to);
        if !set.top && !set.items.contains(&object) {
            self.inbox.push((to, object));
        }
    }

    fn edge(&mut self, from: u32, to: u32, via: Via, extra: u32) {
        let idle = to == 0 && matches!(via, Via::Copy | Via::Get | Via::Values | Via::Type);
        if from != 0 && !idle {
            self.pending.push((from, Edge { to, via, extra, next: 0 }));
        }
    }

    /// The variable of what lies in `owner` under `key`.
    fn field(&mut self, owner: Object, key: u32) -> u32 {
        let next = self.places.len() as u32;
        let variable = *self.fields.entry(u64::from(owner.0) << 32 | u64::from(key)).or_insert(next);
        if variable == next {
            self.places.push(0);
        }
        variable
    }

    fn put(&mut self, container: Object, key: u32, value: u32) {
        if value == 0 {
            return;
        }
        let all = self.field(container, ALL);
        self.edge(value, all, Via::Copy, 0);
        let place = self.field(container, key);
        self.edge(value, place, Via::Copy, 0);
    }

    /// Reads what lies in a container under a constant key.
    fn get(&mut self, container: Object, key: u32, out: u32) {
        let place = self.field(container, key);
        self.edge(place, out, Via::Copy, 0);
        let any = self.field(container, ANY);
        self.edge(any, out, Via::Copy, 0);
    }

    /// Reads or puts under a key that flows.
    fn keyed(&mut self, container: Object, key: u32, out: u32, value: u32) {
        if !self.waiting.insert((container, key, out, value)) {
            return;
        }
        if key == 0 {
            if out != 0 {
                let from = self.field(container, ALL);
                self.edge(from, out, Via::Copy, 0);
            }
            self.put(container, ANY, value);
            return;
        }
        let place = self.waits.len() as u32;
        self.waits.push(Wait { container, key, out, value });
        if value != 0 {
            let all = self.field(container, ALL);
            self.edge(value, all, Via::Copy, 0);
            if self.program.dictionaries.contains(&(container.number() / 2)) {
                let keys = self.field(container, KEYS);
                self.edge(key, keys, Via::Copy, 0);
            }
        }
        self.edge(key, 0, Via::Key, place);
    }

    /// An object has come to the variable that a constraint waits for.
    fn constraint(&mut self, number: u32, role: u32, object: Object) {
        let op = self.program.ops[number as usize];
        match op.op {
            FlowOp::Load => self.load(op, object),
            FlowOp::Store => self.store(op, object),
            FlowOp::Get => match object.kind() {
                Kind::Container => self.keyed(object, op.b, op.out, 0),
                Kind::External => self.send(op.out, Object::EXTERNAL),
                // `Base[int]` is the class again.
                Kind::Class => self.send(op.out, object),
                _ => self.call_method(object, "__getitem__", &[op.b], op.out),
            },
            FlowOp::Put => match object.kind() {
                Kind::Container => self.keyed(object, op.b, 0, op.out),
                _ => self.call_method(object, "__setitem__", &[op.b, op.out], 0),
            },
            FlowOp::Unpack => self.unpack(object, op.b, op.out),
            FlowOp::Iterate => self.iterate(object, op.out),
            FlowOp::Call | FlowOp::Decorate if role == FIRST => self.call(op, object),
            FlowOp::Call => self.container_method(op, object),
            FlowOp::Operation => self.operation(op, role, object),
            FlowOp::Await => self.awaited(object, op.out),
            FlowOp::With => self.with(object, op.b != 0, op.out),
            FlowOp::Super if role == RECEIVER => {
                self.send(op.out, Object::new(Kind::Super, number));
            }
            FlowOp::Instance => match object.kind() {
                Kind::Class | Kind::ClassReceiver => {
                    self.send(op.out, Object::new(Kind::Receiver, object.number()));
                }
                Kind::External => self.send(op.out, Object::EXTERNAL),
                _ => {}
            },
            _ => {}
        }
    }

    /// An object goes along an edge that was found.
    fn along(&mut self, edge: Edge, object: Object) {
        let Edge { to, via, extra, .. } = edge;
        match via {
            Via::Copy => self.send(to, object),
            Via::Method => self.bound(object, Object(extra), to),
            Via::ClassAttribute => self.class_bound(object, Object(extra), to),
            Via::Iterate => self.iterate(object, to),
            Via::Elements => self.elements(object, to),
            Via::Unpack => self.unpack(object, extra, to),
            Via::Get => {
                if object.kind() == Kind::Container {
                    self.get(object, extra, to);
                }
            }
            Via::Values => {
                if object.kind() == Kind::Container {
                    let from = self.field(object, ALL);
                    self.edge(from, to, Via::Copy, 0);
                }
            }
            Via::Super => {
                let (name, class) = self.supers[extra as usize];
                self.load_super(object, class, name, to);
            }
            Via::Key => {
                let Wait { container, out, value, .. } = self.waits[extra as usize];
                let key = match object.kind() {
                    Kind::Text => object.number(),
                    Kind::Number => number_key(object.number()),
                    _ => return,
                };
                if out != 0 {
                    self.get(container, key, out);
                }
                self.put(container, key, value);
            }
            Via::Spec => self.call_spec(extra, object),
            Via::Known => {
                if let Effect::Method(name) = known::effect(extra) {
                    self.call_method(object, name, &[], to);
                }
            }
            Via::Type => match object.kind() {
                Kind::Instance => self.send(to, Object::new(Kind::Class, object.number())),
                Kind::Receiver => self.send(to, Object::new(Kind::ClassReceiver, object.number())),
                Kind::External => self.send(to, Object::EXTERNAL),
                _ => {}
            },
        }
    }

    /// The cell that a class or one of its bases binds `name` in; 0 without.
    fn class_cell(&mut self, class: u32, name: u32) -> u32 {
        let key = u64::from(class) << 32 | u64::from(name);
        if let Some(&cell) = self.classes.get(&key) {
            return cell;
        }
        let project = self.program.project;
        let (file, symbol) = project.locate(class);
        let text = self.program.names.key(name);
        let cell = project
            .classes
            .mro(file, symbol)
            .iter()
            .find_map(|&class| self.program.class_cell(class, text))
            .unwrap_or(0);
        self.classes.insert(key, cell);
        cell
    }

    /// The method that a class has under a name of the language.
    fn method(&mut self, class: u32, name: &'static str) -> Option<u32> {
        let program = &self.program;
        *self.methods.entry((class, name)).or_insert_with(|| program.method(class, name))
    }

    /// Reads an attribute: what an object has under a name is found out once, whoever reads it.
    fn load(&mut self, op: Op, object: Object) {
        match object.kind() {
            Kind::External => self.send(op.out, Object::EXTERNAL),
            Kind::Known => {
                let text = self.program.names.text(op.b);
                let found = known::member(object.number(), text);
                self.send(op.out, found.map_or(Object::EXTERNAL, |known| Object::new(Kind::Known, known)));
            }
            Kind::Container | Kind::Partial | Kind::Text | Kind::Number | Kind::Running => {}
            _ => {
                let before = self.places.len();
                let attribute = self.field(object, op.b | ATTRIBUTE);
                if self.places.len() > before {
                    self.attribute(Op { out: attribute, ..op }, object);
                }
                self.edge(attribute, op.out, Via::Copy, 0);
            }
        }
    }

    /// Finds out what an object has under a name.
    fn attribute(&mut self, op: Op, object: Object) {
        let name = op.b;
        let stored = self.program.stored.get(name as usize).copied().unwrap_or(false);
        match object.kind() {
            Kind::Module => {
                let found = self.program.module_attribute(object.number(), self.program.names.key(name));
                for source in found {
                    match source {
                        Source::Cell(cell) => self.edge(cell, op.out, Via::Copy, 0),
                        Source::Object(object) => self.send(op.out, object),
                    }
                }
                if stored {
                    let field = self.field(object, name);
                    self.edge(field, op.out, Via::Copy, 0);
                }
            }
            Kind::Namespace => {
                let project = self.program.project;
                let text = self.program.names.text(name);
                let name = format!("{}.{text}", project.table.namespaces[object.number() as usize]);
                let part = self.program.part_of_row(op.row);
                let found = project.table.find(&name).filter(|&found| self.program.is_in(found, part));
                if let Some(found) = found {
                    self.send(op.out, module_object(found));
                }
            }
            Kind::Class | Kind::ClassReceiver => self.load_class(object, name, stored, op.out),
            Kind::Instance | Kind::Receiver => self.load_instance(object, name, stored, op.out),
            Kind::Function | Kind::Bound => {
                if stored {
                    let field = self.field(Object::new(Kind::Function, object.number()), name);
                    self.edge(field, op.out, Via::Copy, 0);
                }
            }
            Kind::Super => {
                let maker = self.program.ops[object.number() as usize];
                let class = self.program.supers.get(&maker.row).copied().unwrap_or(0);
                if class != 0 {
                    let place = self.supers.len() as u32;
                    self.supers.push((name, class));
                    self.edge(maker.b, op.out, Via::Super, place);
                }
            }
            Kind::Known
            | Kind::External
            | Kind::Container
            | Kind::Partial
            | Kind::Text
            | Kind::Number
            | Kind::Running => {}
        }
    }

    fn load_class(&mut self, object: Object, name: u32, stored: bool, out: u32) {
        let class = object.number();
        let cell = self.class_cell(class, name);
        if cell != 0 {
            let receiver = Object::new(Kind::Class, class);
            self.edge(cell, out, Via::ClassAttribute, receiver.0);
            let project = self.program.project;
            let (file, symbol) = project.locate(class);
            if project
                .facts(file)
                .is_some_and(|facts| facts.get(col::SYM_FLAGS, symbol) & symbol_flag::ENUM != 0)
            {
                self.send(out, Object::new(Kind::Instance, class));
            }
        }
        if stored {
            for above in self.mro(class) {
                let field = self.field(Object::new(Kind::Class, above), name);
                self.edge(field, out, Via::Copy, 0);
            }
        }
    }

    /// The classes in the order in which attributes of `class` are looked up.
    fn mro(&self, class: u32) -> SmallVec<[u32; 8]> {
        let project = self.program.project;
        let (file, symbol) = project.locate(class);
        project.classes.mro(file, symbol).iter().map(|&[file, symbol]| project.symbol(file, symbol)).collect()
    }

    fn load_instance(&mut self, object: Object, name: u32, stored: bool, out: u32) {
        let class = object.number();
        let text = self.program.names.text(name);
        if text == "__class__" {
            let kind = if object.kind() == Kind::Receiver { Kind::ClassReceiver } else { Kind::Class };
            self.send(out, Object::new(kind, class));
            return;
        }
        if stored {
            for above in self.mro(class) {
                let field = self.field(Object::new(Kind::Instance, above), name);
                self.edge(field, out, Via::Copy, 0);
            }
        }
        let cell = self.class_cell(class, name);
        if cell != 0 {
            self.edge(cell, out, Via::Method, object.0);
        } else if !(text.starts_with("__") && text.ends_with("__")) {
            self.call_method(object, "__getattr__", &[], out);
        }
    }

    fn load_super(&mut self, object: Object, class: u32, name: u32, out: u32) {
        let own = match object.kind() {
            Kind::Instance | Kind::Receiver | Kind::Class | Kind::ClassReceiver => object.number(),
            _ => return,
        };
        let project = self.program.project;
        let (file, symbol) = project.locate(class - 1);
        let after = [file, symbol];
        let (file, symbol) = project.locate(own);
        let order = project.classes.mro(file, symbol);
        let Some(place) = order.iter().position(|&class| class == after) else { return };
        let key = self.program.names.key(name);
        let found = order[place + 1..].iter().find_map(|&class| self.program.class_cell(class, key));
        if let Some(cell) = found {
            self.edge(cell, out, Via::Method, object.0);
        }
    }

    /// A value that the class of `receiver` has, read from `receiver`.
    fn bound(&mut self, value: Object, receiver: Object, out: u32) {
        if value.kind() != Kind::Function {
            self.send(out, value);
            return;
        }
        let Some(function) = self.program.function(value.number()) else { return };
        if function.has(symbol_flag::SETTER | symbol_flag::DELETER) {
            return;
        }
        let first = function.param(0);
        let any = !function.params.is_empty();
        if function.has(symbol_flag::PROPERTY) {
            if any {
                self.send(first, receiver);
            }
            self.result(value.number(), out);
        } else if function.has(symbol_flag::STATIC) {
            self.send(out, value);
        } else if function.has(symbol_flag::CLASSMETHOD) {
            self.class_bound(value, receiver, out);
        } else {
            if any {
                self.send(first, receiver);
            }
            self.send(out, Object::new(Kind::Bound, value.number()));
        }
    }

    fn class_bound(&mut self, value: Object, receiver: Object, out: u32) {
        if value.kind() == Kind::Function
            && let Some(function) = self.program.function(value.number())
            && function.has(symbol_flag::CLASSMETHOD)
        {
            if !function.params.is_empty() {
                let first = function.param(0);
                self.send(first, Object::new(Kind::Class, receiver.number()));
            }
            self.send(out, Object::new(Kind::Bound, value.number()));
            return;
        }
        self.send(out, value);
    }

    fn store(&mut self, op: Op, object: Object) {
        let name = op.b;
        let owner = match object.kind() {
            Kind::Module => {
                let found = self.program.module_attribute(object.number(), self.program.names.key(name));
                for source in &found {
                    if let Source::Cell(cell) = source {
                        self.edge(op.out, *cell, Via::Copy, 0);
                        return;
                    }
                }
                object
            }
            Kind::Class | Kind::ClassReceiver => Object::new(Kind::Class, object.number()),
            Kind::Instance | Kind::Receiver => {
                if let Some(setter) = self.program.setter(object.number(), name) {
                    self.invoke(setter, Some(object), &[op.out], 0);
                    return;
                }
                Object::new(Kind::Instance, object.number())
            }
            Kind::Function | Kind::Bound => Object::new(Kind::Function, object.number()),
            _ => return,
        };
        let field = self.field(owner, name);
        self.edge(op.out, field, Via::Copy, 0);
    }

    /// What a call of function `symbol` gives goes to `out`.
    fn result(&mut self, symbol: u32, out: u32) {
        let Some(function) = self.program.function(symbol) else { return };
        if function.has(symbol_flag::GENERATOR | symbol_flag::ASYNC) {
            self.send(out, Object::new(Kind::Running, symbol));
        } else if out != 0 {
            let returned = function.returned;
            self.edge(returned, out, Via::Copy, 0);
        }
    }

    /// Calls function `symbol` with these positional arguments after the receiver.
    fn invoke(&mut self, symbol: u32, receiver: Option<Object>, values: &[u32], out: u32) {
        let Some(function) = self.program.function(symbol) else { return };
        if let Some(receiver) = receiver
            && self.invoked.contains(&symbol)
            && !function.passes.contains(&0)
        {
            if !function.params.is_empty() {
                let first = function.param(0);
                self.send(first, receiver);
            }
            return;
        }
        self.invoked.push(symbol);
        let Some(function) = self.program.function(symbol) else { return };
        let shift = u32::from(receiver.is_some());
        let (first, count) = (function.param(0), function.params.len() as u32);
        let passes: SmallVec<[u32; 2]> = function.passes.clone();
        let positional =
            function.params.iter().take_while(|param| param.kind <= ParamKind::Positional).count();
        if let Some(receiver) = receiver
            && count > 0
        {
            self.send(first, receiver);
            if passes.contains(&0) {
                self.send(out, receiver);
            }
        }
        for (&value, at) in values.iter().zip(shift..) {
            if (at as usize) < positional {
                self.edge(value, first + at, Via::Copy, 0);
                if passes.contains(&at) && out != 0 {
                    self.edge(value, out, Via::Copy, 0);
                }
            }
        }
        self.result(symbol, out);
    }

    /// Calls a method of the language that `object` may have.
    fn call_method(&mut self, object: Object, name: &'static str, values: &[u32], out: u32) {
        match object.kind() {
            Kind::Instance | Kind::Receiver => {
                if let Some(method) = self.method(object.number(), name) {
                    self.invoke(method, Some(object), values, out);
                }
            }
            _ => {}
        }
    }

    fn unpack(&mut self, object: Object, place: u32, out: u32) {
        if object.kind() == Kind::Container && !self.program.dictionaries.contains(&(object.number() / 2)) {
            if place < 1 << 16 {
                self.get(object, number_key(place), out);
            } else {
                let from = self.field(object, ALL);
                self.edge(from, out, Via::Copy, 0);
            }
        } else {
            self.iterate(object, out);
        }
    }

    fn iterate(&mut self, object: Object, out: u32) {
        match object.kind() {
            Kind::Container => {
                let dictionary = self.program.dictionaries.contains(&(object.number() / 2));
                let from = self.field(object, if dictionary { KEYS } else { ALL });
                self.edge(from, out, Via::Copy, 0);
            }
            Kind::Running | Kind::External => self.elements(object, out),
            Kind::Class => {
                let project = self.program.project;
                let (file, symbol) = project.locate(object.number());
                let flags = project.facts(file).map_or(0, |facts| facts.get(col::SYM_FLAGS, symbol));
                if flags & symbol_flag::ENUM != 0 {
                    self.send(out, Object::new(Kind::Instance, object.number()));
                }
            }
            Kind::Instance | Kind::Receiver => {
                for name in ["__iter__", "__aiter__"] {
                    let Some(method) = self.method(object.number(), name) else { continue };
                    self.invoke(method, Some(object), &[], 0);
                    let Some(function) = self.program.function(method) else { continue };
                    if function.has(symbol_flag::GENERATOR) {
                        let yielded = function.yielded();
                        self.edge(yielded, out, Via::Copy, 0);
                    } else {
                        let (returned, passes) = (function.returned, function.passes.contains(&0));
                        self.edge(returned, out, Via::Elements, 0);
                        if passes {
                            self.elements(object, out);
                        }
                    }
                    return;
                }
                self.call_method(object, "__getitem__", &[], out);
            }
            _ => {}
        }
    }

    /// What `next()` of an iterator gives.
    fn elements(&mut self, object: Object, out: u32) {
        match object.kind() {
            Kind::Running => {
                if let Some(function) = self.program.function(object.number()) {
                    let yielded = function.yielded();
                    self.edge(yielded, out, Via::Copy, 0);
                }
            }
            Kind::Instance | Kind::Receiver => {
                self.call_method(object, "__next__", &[], out);
                if let Some(method) = self.method(object.number(), "__anext__") {
                    self.invoke(method, Some(object), &[], 0);
                    if let Some(function) = self.program.function(method) {
                        let returned = function.returned;
                        self.edge(returned, out, Via::Copy, 0);
                    }
                }
            }
            Kind::External => self.send(out, Object::EXTERNAL),
            Kind::Container => self.iterate(object, out),
            _ => {}
        }
    }

    fn awaited(&mut self, object: Object, out: u32) {
        match object.kind() {
            Kind::Running => {
                if let Some(function) = self.program.function(object.number()) {
                    let returned = function.returned;
                    self.edge(returned, out, Via::Copy, 0);
                }
            }
            Kind::Instance | Kind::Receiver => {
                if let Some(method) = self.method(object.number(), "__await__") {
                    self.invoke(method, Some(object), &[], 0);
                    if let Some(function) = self.program.function(method) {
                        let returned = function.returned;
                        self.edge(returned, out, Via::Copy, 0);
                    }
                }
            }
            Kind::External => self.send(out, Object::EXTERNAL),
            _ => {}
        }
    }

    fn with(&mut self, object: Object, asynchronous: bool, out: u32) {
        match object.kind() {
            Kind::Instance | Kind::Receiver => {
                if asynchronous {
                    if let Some(method) = self.method(object.number(), "__aenter__") {
                        self.invoke(method, Some(object), &[], 0);
                        let returned = self.program.function(method).map_or(0, |function| function.returned);
                        self.edge(returned, out, Via::Copy, 0);
                        if self.program.function(method).is_some_and(|function| function.passes.contains(&0))
                        {
                            self.send(out, object);
                        }
                    }
                    self.call_method(object, "__aexit__", &[], 0);
                } else {
                    self.call_method(object, "__enter__", &[], out);
                    self.call_method(object, "__exit__", &[], 0);
                }
            }
            Kind::Running => self.elements(object, out),
            Kind::External => self.send(out, Object::EXTERNAL),
            _ => {}
        }
    }

    fn operation(&mut self, op: Op, role: u32, object: Object) {
        let Call { method: row, first, end, .. } = self.program.calls[op.b as usize];
        let (own, other) = PROTOCOL[row as usize];
        let operand = if first < end { self.program.args[first as usize].value } else { 0 };
        match object.kind() {
            Kind::Instance | Kind::Receiver if role == FIRST => {
                self.call_method(object, own, &[operand], op.out);
            }
            Kind::Instance | Kind::Receiver if !other.is_empty() => {
                self.call_method(object, other, &[op.a], op.out);
            }
            // `[f] + [g]`, `x * 2`.
            Kind::Container if row < 13 => self.send(op.out, object),
            Kind::External if row < 23 => self.send(op.out, Object::EXTERNAL),
            _ => {}
        }
    }
}

impl Solver<'_, '_> {
    fn arguments(&self, op: Op) -> SmallVec<[Arg; 8]> {
        let Call { first, end, .. } = self.program.calls[op.b as usize];
        SmallVec::from_slice(&self.program.args[first as usize..end as usize])
    }

    /// `object` is called.
    fn call(&mut self, op: Op, object: Object) {
        match object.kind() {
            Kind::Function => self.call_function(op, object.number(), 0, &self.arguments(op)),
            Kind::Bound => {
                self.call_function(op, object.number(), 1, &self.arguments(op));
            }
            Kind::Class | Kind::ClassReceiver => self.construct(op, object),
            Kind::Instance | Kind::Receiver => {
                if let Some(method) = self.method(object.number(), "__call__") {
                    if let Some(function) = self.program.function(method).filter(|one| !one.params.is_empty())
                    {
                        let first = function.param(0);
                        self.send(first, object);
                    }
                    self.call_function(op, method, 1, &self.arguments(op));
                }
            }
            Kind::Partial => {
                let maker = self.program.ops[object.number() as usize];
                let bound = self.arguments(maker);
                let Call { first, end, .. } = self.program.calls[maker.b as usize];
                if let Some(function) = bound.first() {
                    let function = function.value;
                    self.call_as(function, Spec { first: first + 1, end, shift: 0, values: 0, out: 0 });
                    // The call's own arguments come after those that were bound.
                    let shift =
                        bound[1..].iter().filter(|arg| arg.kind == ArgKind::Positional as u32).count() as u32;
                    let Call { first, end, .. } = self.program.calls[op.b as usize];
                    self.call_as(function, Spec { first, end, shift, values: 0, out: op.out });
                }
            }
            Kind::Known => self.call_known(op, object.number()),
            Kind::External => {
                self.send(op.out, Object::EXTERNAL);
                if op.op == FlowOp::Decorate {
                    let value = self.arguments(op).first().map_or(0, |arg| arg.value);
                    self.edge(value, op.out, Via::Copy, 0);
                }
            }
            Kind::Module
            | Kind::Namespace
            | Kind::Container
            | Kind::Super
            | Kind::Text
            | Kind::Number
            | Kind::Running => {}
        }
    }

    /// Number of a constraint among all.
    fn number_of(&self, op: Op) -> u32 {
        self.program.ops.partition_point(|other| other.row < op.row) as u32
    }

    /// Whatever comes to `function` is called so.
    fn call_as(&mut self, function: u32, spec: Spec) {
        if function != 0 {
            let place = self.specs.len() as u32;
            self.specs.push(spec);
            self.edge(function, spec.out, Via::Spec, place);
        }
    }

    fn call_spec(&mut self, place: u32, object: Object) {
        let Spec { first, end, shift, values, out } = self.specs[place as usize];
        let (symbol, own) = match object.kind() {
            Kind::Function => (object.number(), 0),
            Kind::Bound => (object.number(), 1),
            Kind::Class => {
                let instance = Object::new(Kind::Instance, object.number());
                self.send(out, instance);
                let Some(init) = self.method(object.number(), "__init__") else { return };
                if let Some(function) =
                    self.program.function(init).filter(|function| !function.params.is_empty())
                {
                    let first = function.param(0);
                    self.send(first, instance);
                }
                (init, 1)
            }
            Kind::Instance | Kind::Receiver => {
                let Some(method) = self.method(object.number(), "__call__") else { return };
                if let Some(function) =
                    self.program.function(method).filter(|function| !function.params.is_empty())
                {
                    let first = function.param(0);
                    self.send(first, object);
                }
                (method, 1)
            }
            Kind::External => {
                self.send(out, Object::EXTERNAL);
                return;
            }
            _ => return,
        };
        let args: SmallVec<[Arg; 8]> = SmallVec::from_slice(&self.program.args[first as usize..end as usize]);
        let Some(body) = self.program.function(symbol) else { return };
        let (param, count) = (body.param(0), body.params.len() as u32);
        let passes = body.passes.contains(&own);
        let to = if object.kind() == Kind::Class { 0 } else { out };
        self.bind(symbol, own + shift, &args, to, (0, 0));
        if values != 0 && own < count {
            self.edge(values, param + own, Via::Iterate, 0);
            if passes {
                self.edge(values, to, Via::Iterate, 0);
            }
        }
        if to != 0 {
            self.result(symbol, to);
        }
    }

    fn call_function(&mut self, op: Op, symbol: u32, shift: u32, args: &[Arg]) {
        let Call { receiver, method, .. } = self.program.calls[op.b as usize];
        self.bind(symbol, shift, args, op.out, (receiver, method));
        self.result(symbol, op.out);
    }

    /// Gives arguments to parameters, from number `shift` on; what is returned as it came goes to `out`.
    fn bind(&mut self, symbol: u32, shift: u32, args: &[Arg], out: u32, (receiver, _): (u32, u32)) {
        let Some(function) = self.program.function(symbol) else { return };
        let Function { params, passes, .. } = function.clone();
        let first = function.param(0);
        let positional = params.iter().take_while(|param| param.kind <= ParamKind::Positional).count() as u32;
        let star = params.iter().find(|param| param.kind == ParamKind::Star).map(|param| param.container);
        let double =
            params.iter().find(|param| param.kind == ParamKind::DoubleStar).map(|param| param.container);
        let mut given: SmallVec<[u32; 8]> = SmallVec::new();
        let mut at = shift;
        let mut spread = false;
        for arg in args {
            match arg.kind {
                kind if kind == ArgKind::Positional as u32 => {
                    if spread {
                        for place in at..positional {
                            self.edge(arg.value, first + place, Via::Copy, 0);
                        }
                    } else if at < positional {
                        self.edge(arg.value, first + at, Via::Copy, 0);
                        given.push(at);
                        if passes.contains(&at) {
                            self.pass(arg.value, out);
                        }
                    }
                    if (at >= positional || spread)
                        && let Some(star) = star
                    {
                        let key = if spread { ANY } else { number_key(at - positional) };
                        self.put(star, key, arg.value);
                    }
                    at += 1;
                }
                kind if kind == ArgKind::Star as u32 => {
                    for place in at..positional {
                        let via = if spread { Via::Iterate } else { Via::Unpack };
                        self.edge(arg.value, first + place, via, place - at);
                    }
                    if let Some(star) = star {
                        let (any, all) = (self.field(star, ANY), self.field(star, ALL));
                        self.edge(arg.value, any, Via::Iterate, 0);
                        self.edge(arg.value, all, Via::Iterate, 0);
                    }
                    spread = true;
                }
                kind if kind == ArgKind::Keyword as u32 => {
                    let place = params.iter().position(|param| {
                        param.name == arg.name
                            && matches!(param.kind, ParamKind::Positional | ParamKind::KeywordOnly)
                    });
                    match place {
                        Some(place) => {
                            self.edge(arg.value, first + place as u32, Via::Copy, 0);
                            given.push(place as u32);
                            if passes.contains(&(place as u32)) {
                                self.pass(arg.value, out);
                            }
                        }
                        None => {
                            if let Some(double) = double {
                                self.put(double, arg.name, arg.value);
                            }
                        }
                    }
                }
                _ => {
                    for (param, place) in params.iter().zip(0u32..) {
                        if place >= shift
                            && matches!(param.kind, ParamKind::Positional | ParamKind::KeywordOnly)
                        {
                            self.edge(arg.value, first + place, Via::Get, param.name);
                        }
                    }
                    if let Some(double) = double {
                        let (any, all) = (self.field(double, ANY), self.field(double, ALL));
                        self.edge(arg.value, any, Via::Values, 0);
                        self.edge(arg.value, all, Via::Values, 0);
                    }
                }
            }
        }
        for &place in &passes {
            if given.contains(&place) || out == 0 {
                continue;
            }
            // The receiver, a default, or what came otherwise.
            let from = if place == 0 && shift == 1 && receiver != 0 { receiver } else { first + place };
            self.edge(from, out, Via::Copy, 0);
        }
    }

    fn pass(&mut self, value: u32, out: u32) {
        if out != 0 {
            self.edge(value, out, Via::Copy, 0);
        }
    }

    fn construct(&mut self, op: Op, object: Object) {
        let class = object.number();
        let kind = if object.kind() == Kind::Class { Kind::Instance } else { Kind::Receiver };
        let instance = Object::new(kind, class);
        let args = self.arguments(op);
        if let Some(new) = self.method(class, "__new__") {
            if let Some(function) = self.program.function(new).filter(|function| !function.params.is_empty())
            {
                let first = function.param(0);
                self.send(first, object);
            }
            self.bind(new, 1, &args, op.out, (0, 0));
            self.result(new, op.out);
        }
        self.send(op.out, instance);
        if let Some(init) = self.method(class, "__init__") {
            if let Some(function) = self.program.function(init).filter(|function| !function.params.is_empty())
            {
                let first = function.param(0);
                self.send(first, instance);
            }
            self.bind(init, 1, &args, 0, (0, 0));
        } else {
            self.fill(class, &args);
        }
    }

    /// A class without a constructor of its own: arguments become its fields.
    fn fill(&mut self, class: u32, args: &[Arg]) {
        if args.is_empty() {
            return;
        }
        let names = self.fields_of(class);
        if names.is_empty() {
            return;
        }
        let owner = Object::new(Kind::Instance, class);
        let mut at = 0;
        for arg in args {
            let name = if arg.kind == ArgKind::Positional as u32 {
                at += 1;
                names.get(at - 1).copied()
            } else {
                Some(arg.name).filter(|name| names.contains(name))
            };
            if let Some(name) = name {
                let field = self.field(owner, name);
                self.edge(arg.value, field, Via::Copy, 0);
            }
        }
    }

    /// Names of the fields of a dataclass, in order.
    fn fields_of(&mut self, class: u32) -> Vec<u32> {
        if let Some(known) = self.dataclasses.get(&class) {
            return known.clone();
        }
        let mut names = Vec::new();
        let project = self.program.project;
        let (file, symbol) = project.locate(class);
        for &[file, class] in project.classes.mro(file, symbol).iter().rev() {
            let Some(facts) = project.facts(file) else { continue };
            for symbol in 0..facts.rows(table::Symbols) {
                if facts.get(col::SYM_PARENT, symbol) == class + 1
                    && is_field(facts, symbol)
                    && let Some(name) = self.program.names.find(facts.str(col::SYM_NAME, symbol))
                    && !names.contains(&name)
                {
                    names.push(name);
                }
            }
        }
        self.dataclasses.insert(class, names.clone());
        names
    }

    /// A new container that the call makes.
    fn new_container(&mut self, op: Op, pairs: bool) -> Object {
        Object::new(Kind::Container, 2 * op.row + u32::from(pairs))
    }

    fn call_known(&mut self, op: Op, known: u32) {
        let args = self.arguments(op);
        let positional = |at: usize| {
            args.get(at).filter(|arg| arg.kind == ArgKind::Positional as u32).map_or(0, |arg| arg.value)
        };
        let names = &self.program.names;
        let keyword = |name: &str| {
            let name = names.find(name).unwrap_or(u32::MAX);
            args.iter()
                .find(|arg| arg.kind == ArgKind::Keyword as u32 && arg.name == name)
                .map_or(0, |arg| arg.value)
        };
        let first = positional(0);
        let key = keyword("key");
        match known::effect(known) {
            Effect::Module => self.send(op.out, Object::EXTERNAL),
            Effect::Collect => {
                let container = self.new_container(op, false);
                self.send(op.out, container);
                let (any, all) = (self.field(container, ANY), self.field(container, ALL));
                self.edge(first, any, Via::Iterate, 0);
                self.edge(first, all, Via::Iterate, 0);
                self.edge(first, any, Via::Values, 0);
                self.edge(first, all, Via::Values, 0);
                for arg in &args {
                    if arg.kind == ArgKind::Keyword as u32 && arg.value != key {
                        self.put(container, arg.name, arg.value);
                    }
                }
                self.call_with(key, first, 0);
            }
            Effect::Next => {
                self.edge(first, op.out, Via::Elements, 0);
                self.pass(positional(1), op.out);
            }
            Effect::Iterate => {
                let container = self.new_container(op, false);
                self.send(op.out, container);
                let all = self.field(container, ALL);
                self.edge(first, all, Via::Iterate, 0);
            }
            Effect::Map => {
                let container = self.new_container(op, false);
                self.send(op.out, container);
                let all = self.field(container, ALL);
                self.call_with(first, positional(1), all);
            }
            Effect::Filter => {
                let container = self.new_container(op, false);
                self.send(op.out, container);
                let all = self.field(container, ALL);
                self.edge(positional(1), all, Via::Iterate, 0);
                self.call_with(first, positional(1), 0);
            }
            Effect::Reduce => self.call_with(first, positional(1), op.out),
            Effect::Enumerate | Effect::Zip => {
                let (container, pair) = (self.new_container(op, false), self.new_container(op, true));
                self.send(op.out, container);
                let all = self.field(container, ALL);
                self.send(all, pair);
                let zip = known::effect(known) == Effect::Zip;
                for (arg, at) in args.iter().zip(u32::from(!zip)..) {
                    if arg.kind == ArgKind::Positional as u32 {
                        let place = self.field(pair, number_key(at));
                        self.edge(arg.value, place, Via::Iterate, 0);
                        let place = self.field(pair, ALL);
                        self.edge(arg.value, place, Via::Iterate, 0);
                    }
                }
            }
            Effect::Choose => {
                if args.len() == 1 || key != 0 || known::KNOWN[known as usize].0 == "itertools.chain" {
                    for arg in args.iter().filter(|arg| arg.kind != ArgKind::Keyword as u32) {
                        self.edge(arg.value, op.out, Via::Iterate, 0);
                    }
                } else {
                    for arg in &args {
                        self.pass(arg.value, op.out);
                    }
                }
                self.call_with(key, first, 0);
            }
            Effect::Partial => self.send(op.out, Object::new(Kind::Partial, self.number_of(op))),
            Effect::Type => {
                if args.len() == 1 {
                    self.edge(first, op.out, Via::Type, 0);
                }
            }
            Effect::Same | Effect::Descriptor => self.pass(first, op.out),
            Effect::CallFirst => {
                self.pass(first, op.out);
                let Call { first: place, end, .. } = self.program.calls[op.b as usize];
                self.call_as(first, Spec { first: (place + 1).min(end), end, shift: 0, values: 0, out: 0 });
            }
            Effect::CallTarget => {
                let target = keyword("target");
                let target = if target == 0 { positional(1) } else { target };
                let values = keyword("args");
                self.call_as(target, Spec { first: 0, end: 0, shift: 0, values, out: 0 });
                self.send(op.out, Object::EXTERNAL);
            }
            Effect::Method(_) => self.edge(first, op.out, Via::Known, known),
            Effect::DefaultDict => {
                let container = self.new_container(op, false);
                self.program.dictionaries.insert(op.row);
                self.send(op.out, container);
                let (any, all) = (self.field(container, ANY), self.field(container, ALL));
                self.call_with(first, 0, any);
                self.call_with(first, 0, all);
            }
        }
    }

    /// Whatever comes to `function` is called with elements of `values`; results go to `out`.
    fn call_with(&mut self, function: u32, values: u32, out: u32) {
        self.call_as(function, Spec { first: 0, end: 0, shift: 0, values, out });
    }

    /// A method of a container is called.
    fn container_method(&mut self, op: Op, object: Object) {
        if object.kind() != Kind::Container {
            return;
        }
        let Call { method, .. } = self.program.calls[op.b as usize];
        let args = self.arguments(op);
        let value = |at: usize| args.get(at).map_or(0, |arg| arg.value);
        match self.program.names.text(method) {
            "append" | "add" | "appendleft" | "push" => self.put(object, ANY, value(0)),
            "insert" => self.put(object, ANY, value(1)),
            "extend" | "extendleft" | "update" | "union" => {
                let (any, all) = (self.field(object, ANY), self.field(object, ALL));
                for arg in &args {
                    if arg.kind == ArgKind::Keyword as u32 {
                        self.put(object, arg.name, arg.value);
                    } else if self.program.dictionaries.contains(&(object.number() / 2)) {
                        self.edge(arg.value, any, Via::Values, 0);
                        self.edge(arg.value, all, Via::Values, 0);
                    } else {
                        self.edge(arg.value, any, Via::Iterate, 0);
                        self.edge(arg.value, all, Via::Iterate, 0);
                    }
                }
            }
            "get" | "pop" | "setdefault" | "popleft" | "__getitem__" | "popitem" => {
                self.keyed(object, value(0), op.out, 0);
                self.pass(value(1), op.out);
                if self.program.names.text(method) == "setdefault" {
                    self.keyed(object, value(0), 0, value(1));
                }
            }
            "values" => {
                let view = self.new_container(op, false);
                self.send(op.out, view);
                let (from, all) = (self.field(object, ALL), self.field(view, ALL));
                self.edge(from, all, Via::Copy, 0);
            }
            "keys" => {
                let view = self.new_container(op, false);
                self.send(op.out, view);
                let (from, all) = (self.field(object, KEYS), self.field(view, ALL));
                self.edge(from, all, Via::Copy, 0);
            }
            "items" => {
                let (view, pair) = (self.new_container(op, false), self.new_container(op, true));
                self.send(op.out, view);
                let all = self.field(view, ALL);
                self.send(all, pair);
                for (place, what) in [(0, KEYS), (1, ALL)] {
                    let (from, to) = (self.field(object, what), self.field(pair, number_key(place)));
                    self.edge(from, to, Via::Copy, 0);
                }
            }
            "copy" | "__copy__" => self.send(op.out, object),
            "sort" => {
                let key = self.program.names.find("key").unwrap_or(u32::MAX);
                let key = args.iter().find(|arg| arg.name == key).map_or(0, |arg| arg.value);
                let holder = self.field(object, ALL);
                if key != 0 {
                    let view = self.new_container(op, false);
                    let (all, one) = (self.field(view, ALL), self.field(view, ANY));
                    self.edge(holder, all, Via::Copy, 0);
                    self.send(one, view);
                    self.call_with(key, one, 0);
                }
            }
            _ => {}
        }
    }
}
