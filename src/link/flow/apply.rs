//! What constraints do with the objects that come to them.

use super::code::{Arg, Args, Call, FIRST, Op, RECEIVER};
use super::known::{self, Effect};
use super::outside;
use super::program::{
    ALL, ANY, Function, KEYS, MODULE, PAIRS, Program, REGISTERED, SPREAD, Source, is_field, module_object,
    number_key, special,
};
use super::sets::{Edge, Shard, Via};
use super::solve::{Fields, all, locate};
use super::{Kind, Object};
use crate::link::typeshed::Thing;
use crate::model::facts::{ArgKind, FlowOp, ParamKind, col, given, is_data, symbol_flag, table};
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

/// A call that is not written as one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spec {
    /// Arguments in the program's `args`, bound from parameter `shift` on.
    first: u32,
    end: u32,
    shift: u32,
    /// Or: elements of this variable are the first argument.
    values: u32,
    /// Where results go, or 0.
    out: u32,
}

/// Something that is read from or put into a container under a key that flows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    container: Object,
    key: u32,
    /// Read into this, or 0.
    out: u32,
    /// Put from this, or 0.
    value: u32,
}

/// What edges name by number: that is the place in the list of one worker, times the workers, plus the number of that worker.
#[derive(Debug, Default)]
pub(super) struct Lists {
    pub(super) waits: Vec<Wait>,
    specs: Vec<Spec>,
    /// Name and class +1 of attributes read from `super()`.
    supers: Vec<(u32, u32)>,
}

impl Lists {
    pub(super) fn append(&mut self, more: &mut Self) {
        self.waits.append(&mut more.waits);
        self.specs.append(&mut more.specs);
        self.supers.append(&mut more.supers);
    }
}

/// What may be an instance of a class besides those of classes below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Abstract {
    /// Nothing else.
    Nothing,
    /// What is no instance of a class of the project: it inherits from a class outside.
    Derived,
    /// Anything: it is a protocol, or its metaclass decides.
    Anything,
}

/// What one thread writes down.
#[derive(Debug)]
pub(super) struct Worker {
    /// Of its shard.
    pub(super) number: usize,
    /// For each shard: objects that are sent to variables there.
    pub(super) sent: Vec<Vec<(u32, Object)>>,
    /// For each shard: edges that were found from variables there.
    pub(super) edges: Vec<Vec<(u32, Edge)>>,
    /// For each shard: from variables there, to any.
    pub(super) copies: Vec<Vec<(u32, u32)>>,
    /// What is new in the lists.
    pub(super) lists: Lists,
    /// Cells of attributes of classes that were looked up: class and name.
    pub(super) cells: FxHashMap<u64, u32>,
    /// Methods of classes, by class and name; symbols +1.
    pub(super) methods: FxHashMap<u64, u32>,
    fields: FxHashMap<u32, Vec<u32>>,
    /// What may be an instance of a class besides those of classes below it.
    abstracts: FxHashMap<u32, Abstract>,
    /// Functions that a constraint or an edge has called already.
    called: FxHashSet<u64>,
    pub(super) messages: u64,
}

impl Worker {
    pub(super) fn new(number: usize, workers: usize) -> Self {
        Self {
            number,
            sent: vec![Vec::new(); workers],
            edges: vec![Vec::new(); workers],
            copies: vec![Vec::new(); workers],
            lists: Lists::default(),
            cells: FxHashMap::default(),
            methods: FxHashMap::default(),
            fields: FxHashMap::default(),
            abstracts: FxHashMap::default(),
            called: FxHashSet::default(),
            messages: 0,
        }
    }
}

/// Added to a name or key: not what was assigned to an attribute or put into a container, but what reading it gives.
const ATTRIBUTE: u32 = 1 << 30;

/// Applies constraints for one worker.
pub(super) struct Apply<'s, 'p, 'a> {
    pub(super) program: &'s Program<'p, 'a>,
    pub(super) shards: &'s [Shard],
    pub(super) fields: &'s Fields,
    pub(super) lists: &'s [Lists],
    pub(super) own: &'s mut Worker,
    /// What is applied: a constraint's number, or one of an edge or an attribute with [`Self::EDGE`] or [`Self::ATTRIBUTE`].
    pub(super) at: u32,
}

impl<'s> Apply<'s, '_, '_> {
    pub(super) const EDGE: u32 = 1 << 30;
    const ATTRIBUTE: u32 = 1 << 31;
    /// In `called`: instances of what `super()` stands for are made, no function is called.
    const OF_SUPER: u32 = 7 << 28;

    #[inline]
    pub(super) fn send(&mut self, to: u32, object: Object) {
        let (shard, place) = locate(to, self.shards.len());
        if to != 0 {
            self.own.sent[shard].push((place, object));
        }
    }

    /// Sends objects of which some may be there.
    #[inline]
    pub(super) fn send_all(&mut self, to: u32, objects: &[Object]) {
        let (shard, place) = locate(to, self.shards.len());
        self.own.sent[shard].extend(objects.iter().map(|&object| (place, object)));
    }

    /// What comes to `from` goes to `to`.
    pub(super) fn copy(&mut self, from: u32, to: u32) {
        if from != 0 && to != 0 && from != to {
            let (shard, place) = locate(from, self.shards.len());
            self.own.copies[shard].push((place, to));
        }
    }

    pub(super) fn edge(&mut self, from: u32, to: u32, via: Via, extra: u32) {
        let idle = to == 0 && matches!(via, Via::Get | Via::Values | Via::Type);
        if from != 0 && !idle {
            let (shard, place) = locate(from, self.shards.len());
            self.own.edges[shard].push((place, Edge { to, via, extra }));
        }
    }

    /// The variable of what lies in `owner` under `key`.
    fn field(&self, owner: Object, key: u32) -> u32 {
        self.fields.get(owner, key).0
    }

    /// True the first time that what is applied calls `symbol` in this way: other receivers change nothing for the other arguments.
    fn first_call(&mut self, symbol: u32, way: u32) -> bool {
        self.own.called.insert(u64::from(self.at) << 32 | u64::from(way) << 28 | u64::from(symbol))
    }

    /// Number of what the worker adds to a list of this length next.
    const fn number(&self, before: usize, new: usize) -> u32 {
        ((before + new) * self.lists.len() + self.own.number) as u32
    }

    /// List and place of number `number`.
    const fn listed(&self, number: u32) -> (usize, usize) {
        (number as usize % self.lists.len(), number as usize / self.lists.len())
    }

    /// True where nothing is known of what a variable holds.
    pub(super) fn says_nothing(&self, variable: u32) -> bool {
        all(self.shards, variable).iter().all(|&object| object == Object::MANY)
    }

    /// True where a variable holds nothing but what lies outside the project.
    pub(super) fn is_outside(&self, variable: u32) -> bool {
        variable != 0 && all(self.shards, variable).iter().all(|object| object.kind() == Kind::External)
    }

    /// Reads or puts under any key where a key stays unknown.
    pub(super) fn unknown_key(&mut self, wait: Wait) {
        let Wait { container, key, out, value } = wait;
        let (shard, place) = locate(key, self.shards.len());
        if container.kind() != Kind::Container {
            return;
        }
        let keys = all(self.shards, key);
        let known = keys.iter().any(|object| object.kind() == Kind::Constant);
        let unknown = keys.iter().any(|object| object.kind() == Kind::External);
        if self.shards[shard].has_any_constant(place) || unknown || !known {
            if out != 0 {
                let from = self.field(container, ALL);
                self.copy(from, out);
            }
            if value != 0 {
                self.put(container, ANY, value);
            }
        }
    }

    pub(super) fn put(&mut self, container: Object, key: u32, value: u32) {
        if value == 0 {
            return;
        }
        let all = self.field(container, ALL);
        self.copy(value, all);
        let place = self.field(container, key);
        self.copy(value, place);
    }

    /// Reads what lies in a container under a constant key: that is found out once, whoever reads it.
    fn get(&mut self, container: Object, key: u32, out: u32) {
        let (item, new) = self.fields.get(container, key | ATTRIBUTE);
        if new {
            for key in [key, ANY] {
                let place = self.field(container, key);
                self.copy(place, item);
            }
            let spread = self.field(container, SPREAD);
            if container.is_dictionary() {
                self.edge(spread, item, Via::Get, key);
            } else if key & number_key(0) != 0 {
                self.edge(spread, item, Via::Unpack, key ^ number_key(0));
            }
        }
        self.copy(item, out);
    }

    /// The items of `value` are put into a dictionary.
    pub(super) fn merge(&mut self, dictionary: Object, value: u32) {
        let spread = self.field(dictionary, SPREAD);
        self.copy(value, spread);
        for what in [ALL, KEYS] {
            let to = self.field(dictionary, what);
            self.edge(value, to, Via::Values, u32::from(what == KEYS));
        }
    }

    /// The items of `value`, which may be pairs as well as a mapping, are put into a dictionary.
    fn update(&mut self, dictionary: Object, value: u32) {
        self.merge(dictionary, value);
        let pairs = self.field(dictionary, PAIRS);
        self.edge(value, pairs, Via::Iterate, 0);
        for (what, place) in [(KEYS, 0), (ANY, 1), (ALL, 1)] {
            let to = self.field(dictionary, what);
            self.edge(pairs, to, Via::Unpack, place);
        }
    }

    /// Reads or puts under a key that flows.
    fn keyed(&mut self, container: Object, key: u32, out: u32, value: u32) {
        if key == 0 {
            if out != 0 {
                let from = self.field(container, ALL);
                self.copy(from, out);
            }
            self.put(container, ANY, value);
            return;
        }
        if value != 0 {
            let all = self.field(container, ALL);
            self.copy(value, all);
            if container.is_dictionary() {
                let keys = self.field(container, KEYS);
                self.copy(key, keys);
            }
        }
        self.wait(container, key, out, value);
    }

    fn wait(&mut self, container: Object, key: u32, out: u32, value: u32) {
        let before = self.lists[self.own.number].waits.len();
        let place = self.number(before, self.own.lists.waits.len());
        self.own.lists.waits.push(Wait { container, key, out, value });
        self.edge(key, 0, Via::Key, place);
    }

    /// Module `name`, as a file imports it by a call.
    fn import(&mut self, file: u32, name: u32, out: u32) {
        let project = self.program.project;
        let part = self.program.part_of(file);
        let found = project.table.find(self.program.sheet.names.text(name));
        let found = found.filter(|&found| self.program.is_in(found, part));
        self.send(out, found.map_or(Object::EXTERNAL, module_object));
    }

    /// The class in which methods of the language are looked up for an object.
    fn type_of(&self, object: Object) -> Option<u32> {
        self.program.type_of(object)
    }

    /// An instance of the class that `object` is (`how` = 1) or of its class (2), or its class (3).
    fn made(&mut self, object: Object, how: u32, out: u32) {
        match object.kind() {
            Kind::Class if how == 1 => self.send(out, Object::new(Kind::Instance, object.number())),
            Kind::ClassReceiver if how == 1 => self.send(out, Object::new(Kind::Receiver, object.number())),
            Kind::Instance if how == 3 => self.send(out, Object::new(Kind::Class, object.number())),
            Kind::Receiver if how == 3 => self.send(out, Object::new(Kind::ClassReceiver, object.number())),
            Kind::Instance | Kind::Receiver => self.send(out, object),
            Kind::Super => {
                // Such objects may come to what they were made of: once is enough.
                let way = u64::from(out << 2 | how) << 32 | u64::from(object.number() | Self::OF_SUPER);
                if self.own.called.insert(way) {
                    let maker = self.program.code.op(object.number());
                    self.edge(maker.b, out, Via::New, how);
                }
            }
            _ => {}
        }
    }

    /// A value, or a class, has come to a test of `isinstance`: values go on that may be instances of one of the classes.
    fn narrow(&mut self, op: Op, role: u32, object: Object) {
        if role != FIRST {
            for &value in all(self.shards, op.a) {
                if self.may_be(value, object) {
                    self.send(op.out, value);
                }
            }
        } else if all(self.shards, op.b).iter().any(|&class| self.may_be(object, class)) {
            self.send(op.out, object);
        }
    }

    /// True where `object` may be an instance of `class`, or nothing is known of that. One of a class below stands for itself: an instance of
    /// `class` goes where the test holds in any case.
    fn may_be(&mut self, object: Object, class: Object) -> bool {
        let project = self.program.project;
        let class = match class.kind() {
            Kind::Class | Kind::ClassReceiver => class.number(),
            Kind::Known => return self.may_be_known(object, known::name(class.number())),
            _ => return true,
        };
        let program = self.program;
        let abstracts = *self.own.abstracts.entry(class).or_insert_with(|| program.is_abstract(class));
        if abstracts == Abstract::Anything {
            return true;
        }
        match object.kind() {
            Kind::Instance | Kind::Receiver => {
                object.number() == class || {
                    let (file, symbol) = project.locate(object.number());
                    project.classes.is_subclass([file, symbol], project.locate(class).into())
                        || project.classes.is_unknown(file, symbol)
                }
            }
            Kind::External | Kind::Super | Kind::Decorated | Kind::Register => true,
            // Classes are instances of metaclasses, and lists of what inherits from an abstract one.
            _ => abstracts == Abstract::Derived,
        }
    }

    /// The same for a class of the language.
    fn may_be_known(&self, object: Object, class: &str) -> bool {
        let data = is_data(class);
        match object.kind() {
            Kind::Instance | Kind::Receiver if data => {
                let (file, symbol) = self.program.project.locate(object.number());
                self.program.project.classes.is_derived(file, symbol)
            }
            Kind::Container => !matches!(class, "str" | "bytes" | "int" | "float" | "bool"),
            Kind::Function
            | Kind::Bound
            | Kind::Class
            | Kind::ClassReceiver
            | Kind::Module
            | Kind::Running => !data,
            _ => true,
        }
    }

    /// Reads all attributes whose names are like one.
    fn load_like(&mut self, op: Op, object: Object) {
        let owners: SmallVec<[u32; 8]> = match object.kind() {
            Kind::Instance | Kind::Receiver | Kind::Class | Kind::ClassReceiver => self.mro(object.number()),
            Kind::Module if object.as_namespace().is_none() => smallvec::smallvec![MODULE | object.number()],
            _ => return,
        };
        for owner in owners {
            for &name in self.program.alike(op.b, owner) {
                self.load(Op { op: FlowOp::Load, b: name, ..op }, object);
            }
        }
    }

    /// An object has come to the variable that a constraint waits for.
    pub(super) fn constraint(&mut self, number: u32, role: u32, object: Object) {
        let op = self.program.code.op(number);
        match op.op {
            FlowOp::Load => self.load(op, object),
            FlowOp::Store => self.store(op, object),
            FlowOp::Get => match object.kind() {
                Kind::Container => self.keyed(object, op.b, op.out, 0),
                Kind::External => self.send_method(object, "__getitem__", op.out),
                Kind::Class => match self.method(object.number(), special::CLASS_GETITEM) {
                    Some(method) => {
                        self.invoke(method, object, &[op.b], op.out, 0);
                    }
                    None if self
                        .type_of(object)
                        .is_some_and(|one| self.method(one, special::GETITEM).is_some()) =>
                    {
                        self.call_method(object, special::GETITEM, &[op.b], op.out, 0);
                    }
                    // `Base[int]` is the class again.
                    None => self.send(op.out, object),
                },
                Kind::Module if object.as_namespace().is_none() => self.wait(object, op.b, op.out, 0),
                _ => self.call_method(object, special::GETITEM, &[op.b], op.out, 0),
            },
            FlowOp::Put => match object.kind() {
                Kind::Container => self.keyed(object, op.b, 0, op.out),
                _ => self.call_method(object, special::SETITEM, &[op.b, op.out], 0, 0),
            },
            FlowOp::Unpack => self.unpack(object, op.b, op.out),
            FlowOp::Iterate if op.b != 0 => self.iterate_asynchronously(object, op.out),
            FlowOp::Iterate => self.iterate(object, op.out),
            FlowOp::Call | FlowOp::Decorate if role == FIRST => self.call(op, object),
            FlowOp::Call => self.container_method(op, object),
            FlowOp::Operation => self.operation(op, role, object),
            FlowOp::Await => self.awaited(object, op.out),
            FlowOp::With => self.with(object, op.b != 0, op.out),
            FlowOp::Super if role == RECEIVER => {
                self.send(op.out, Object::new(Kind::Super, number));
            }
            FlowOp::Narrow => self.narrow(op, role, object),
            FlowOp::LoadLike => self.load_like(op, object),
            FlowOp::Instance if op.b == 1 => self.made(object, 1, op.out),
            FlowOp::Instance => match object.kind() {
                Kind::Class | Kind::ClassReceiver => {
                    self.send(op.out, Object::new(Kind::Receiver, object.number()));
                }
                Kind::External => self.send_outside(object, op.out, |thing| outside::call(thing, None)),
                _ => {}
            },
            _ => {}
        }
    }

    /// What is read of, or called on, something outside goes to `out`; of what nothing is known of that is itself.
    fn send_outside(
        &mut self,
        object: Object,
        out: u32,
        found: impl FnOnce((Thing, bool)) -> outside::Found,
    ) {
        match object.as_outside() {
            _ if out == 0 => {}
            Some(thing) => found(thing).into_iter().for_each(|object| self.send(out, object)),
            None => self.send(out, object),
        }
    }

    /// What a method of the language gives, called on an instance of something outside; classes and all else stay as they are.
    fn send_method(&mut self, object: Object, name: &str, out: u32) {
        self.send_outside(object, out, |(thing, of_instance)| match of_instance {
            true => outside::method(thing, name),
            false => smallvec::smallvec![object],
        });
    }

    /// An object goes along an edge that was found.
    pub(super) fn along(&mut self, edge: Edge, object: Object) {
        let Edge { to, via, extra, .. } = edge;
        match via {
            Via::Method => self.bound(object, Object(extra), to),
            Via::ClassAttribute => self.class_bound(object, Object(extra), to),
            Via::Iterate => self.iterate(object, to),
            Via::Elements => self.elements(object, to),
            Via::Unpack => self.unpack(object, extra, to),
            Via::Get => match object.kind() {
                Kind::Container => self.get(object, extra, to),
                _ if self.program.is_mapping(object) => {
                    self.call_method(object, special::GETITEM, &[], to, 0);
                }
                _ => {}
            },
            Via::Values => match object.kind() {
                Kind::Container if object.is_dictionary() => {
                    let from = self.field(object, if extra == 0 { ALL } else { KEYS });
                    self.copy(from, to);
                }
                Kind::Container => {}
                _ if extra == 0 && self.program.is_mapping(object) => {
                    self.call_method(object, special::GETITEM, &[], to, 0);
                }
                _ => {}
            },
            Via::Super => {
                let (list, place) = self.listed(extra);
                let (name, class) = self.lists[list].supers[place];
                self.load_super(object, class, name, to);
            }
            Via::Key => {
                let (list, place) = self.listed(extra);
                let Wait { container, out, value, .. } = self.lists[list].waits[place];
                if object.kind() != Kind::Constant {
                    return;
                }
                let key = object.as_number().map_or(object.number(), number_key);
                match container.kind() {
                    Kind::Container => {}
                    Kind::Module if object.as_number().is_none() => {
                        let op = Op { op: FlowOp::Load, out, a: 0, b: key, row: 0 };
                        self.load(op, container);
                        return;
                    }
                    Kind::Known if object.as_number().is_none() => {
                        self.import(container.number(), key, out);
                        return;
                    }
                    _ => return,
                }
                if out != 0 {
                    self.get(container, key, out);
                }
                self.put(container, key, value);
            }
            Via::New => self.made(object, extra, to),
            Via::Register => match object.kind() {
                Kind::Function => {
                    let registered = self.field(Object::new(Kind::Function, extra), REGISTERED);
                    self.send(registered, object);
                    self.send(to, object);
                }
                Kind::Class | Kind::External | Kind::Known => {
                    self.send(to, Object::new(Kind::Register, extra));
                }
                _ => {}
            },
            Via::Decorated if extra != 0 => {
                let class = Object::new(Kind::Class, extra - 1);
                let other = object.kind() == Kind::Class && !self.program.is_local(object.number());
                if other || object.kind() == Kind::External {
                    self.send(to, class);
                }
                if !other {
                    self.send(to, object);
                }
            }
            Via::Decorated => {
                if matches!(object.kind(), Kind::Function | Kind::Decorated) {
                    self.send(to, Object::new(Kind::Decorated, object.number()));
                }
            }
            Via::Spec => self.call_spec(extra, object),
            Via::Known => match known::effect(extra) {
                Effect::Method(name) => {
                    let name = self.program.sheet.names.find(name).unwrap_or(0);
                    self.call_method(object, name, &[], to, 0);
                }
                Effect::Iterate if self.type_of(object).is_some() => {
                    self.call_method(object, special::ITER, &[], to, 0);
                }
                _ => self.send(to, object),
            },
            Via::Type => match object.kind() {
                Kind::Instance => self.send(to, Object::new(Kind::Class, object.number())),
                Kind::Receiver => self.send(to, Object::new(Kind::ClassReceiver, object.number())),
                Kind::External => self.send(to, object),
                _ => {}
            },
        }
    }

    /// The cell that a class or one of its bases binds `name` in; 0 without.
    fn class_cell(&mut self, class: u32, name: u32) -> u32 {
        let key = u64::from(class) << 32 | u64::from(name);
        if let Some(&cell) = self.own.cells.get(&key) {
            return cell;
        }
        let project = self.program.project;
        let (file, symbol) = project.locate(class);
        let text = self.program.sheet.names.key(name);
        let cell = project
            .classes
            .mro(file, symbol)
            .iter()
            .find_map(|&class| self.program.class_cell(class, text))
            .unwrap_or(0);
        self.own.cells.insert(key, cell);
        cell
    }

    /// The method that a class has under a name.
    fn method(&mut self, class: u32, name: u32) -> Option<u32> {
        let program = self.program;
        let key = u64::from(class) << 32 | u64::from(name);
        self.own.methods.entry(key).or_insert_with(|| program.method(class, name)).checked_sub(1)
    }

    /// Reads an attribute: what an object has under a name is found out once, whoever reads it.
    fn load(&mut self, op: Op, object: Object) {
        match object.kind() {
            Kind::External => {
                let name = self.program.sheet.names.text(op.b);
                self.send_outside(object, op.out, |thing| outside::member(thing, name));
            }
            Kind::Known => {
                let text = self.program.sheet.names.text(op.b);
                self.send(op.out, known::read(object.number(), text));
            }
            Kind::Container
            | Kind::Partial
            | Kind::Constant
            | Kind::Running
            | Kind::Register
            | Kind::Decorated => {}
            Kind::Function | Kind::Bound if op.b == special::REGISTER => {
                self.send(op.out, Object::new(Kind::Register, object.number()));
            }
            _ => {
                let (attribute, new) = self.fields.get(object, op.b | ATTRIBUTE);
                if new {
                    let at = std::mem::replace(&mut self.at, Self::ATTRIBUTE | attribute);
                    self.attribute(Op { out: attribute, ..op }, object);
                    self.at = at;
                }
                self.copy(attribute, op.out);
            }
        }
    }

    /// Finds out what an object has under a name.
    fn attribute(&mut self, op: Op, object: Object) {
        let name = op.b;
        let stored = self.program.sheet.stored.get(name as usize).copied().unwrap_or(false);
        match object.kind() {
            Kind::Module if object.as_namespace().is_some() => {
                let project = self.program.project;
                let text = self.program.sheet.names.text(name);
                let namespace = object.as_namespace().unwrap_or(0);
                let name = format!("{}.{text}", project.table.namespaces[namespace as usize]);
                let part = self.program.part_of_row(op.row);
                let found = project.table.find(&name).filter(|&found| self.program.is_in(found, part));
                if let Some(found) = found {
                    self.send(op.out, module_object(found));
                }
            }
            Kind::Module => {
                let found =
                    self.program.module_attribute(object.number(), self.program.sheet.names.key(name));
                for source in found {
                    match source {
                        Source::Cell(cell) => self.copy(cell, op.out),
                        Source::Object(object) => self.send(op.out, object),
                    }
                }
                if stored {
                    let field = self.field(object, name);
                    self.copy(field, op.out);
                }
            }
            Kind::Class | Kind::ClassReceiver => self.load_class(object, name, stored, op.out),
            Kind::Instance | Kind::Receiver => self.load_instance(object, name, stored, op.out),
            Kind::Function | Kind::Bound => {
                if stored {
                    let field = self.field(Object::new(Kind::Function, object.number()), name);
                    self.copy(field, op.out);
                }
            }
            Kind::Super => {
                let maker = self.program.code.op(object.number());
                let class = self.program.sheet.supers.get(&maker.row).copied().unwrap_or(0);
                if class != 0 {
                    let before = self.lists[self.own.number].supers.len();
                    let place = self.number(before, self.own.lists.supers.len());
                    self.own.lists.supers.push((name, class));
                    self.edge(maker.b, op.out, Via::Super, place);
                }
            }
            Kind::Known
            | Kind::External
            | Kind::Container
            | Kind::Partial
            | Kind::Constant
            | Kind::Register
            | Kind::Decorated
            | Kind::Running => {}
        }
    }

    fn load_class(&mut self, object: Object, name: u32, stored: bool, out: u32) {
        let class = object.number();
        let cell = self.class_cell(class, name);
        if cell == 0
            && let Some(metaclass) = self.program.metaclass(class)
        {
            let cell = self.class_cell(metaclass, name);
            self.edge(cell, out, Via::Method, object.0);
        }
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
                self.copy(field, out);
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
        let text = self.program.sheet.names.text(name);
        if text == "__class__" {
            let kind = if object.kind() == Kind::Receiver { Kind::ClassReceiver } else { Kind::Class };
            self.send(out, Object::new(kind, class));
            return;
        }
        if stored {
            for above in self.mro(class) {
                let field = self.field(Object::new(Kind::Instance, above), name);
                self.copy(field, out);
            }
        }
        let cell = self.class_cell(class, name);
        if cell != 0 {
            self.edge(cell, out, Via::Method, object.0);
        } else if !(text.starts_with("__") && text.ends_with("__")) {
            self.call_method(object, special::GETATTR, &[], out, 0);
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
        let mut order = project.classes.mro(file, symbol);
        let mut place = order.iter().position(|&class| class == after);
        let of_class = matches!(object.kind(), Kind::Class | Kind::ClassReceiver);
        if place.is_none()
            && of_class
            && let Some(metaclass) = self.program.metaclass(own)
        {
            let (file, symbol) = project.locate(metaclass);
            order = project.classes.mro(file, symbol);
            place = order.iter().position(|&class| class == after);
            if place.is_some() && name == special::CALL {
                self.send(out, Object::maker(own));
            }
        }
        let Some(place) = place else { return };
        let key = self.program.sheet.names.key(name);
        let found = order[place + 1..].iter().find_map(|&class| self.program.class_cell(class, key));
        if let Some(cell) = found {
            self.edge(cell, out, Via::Method, object.0);
        }
    }

    /// A value that the class of `receiver` has, read from `receiver`.
    fn bound(&mut self, value: Object, receiver: Object, out: u32) {
        if matches!(value.kind(), Kind::Instance | Kind::Receiver)
            && let Some(method) = self.method(value.number(), special::GET)
        {
            // A descriptor.
            if let Some(function) = self.program.function(method).filter(|one| one.params.len() > 1) {
                self.send(function.param(1), receiver);
            }
            self.invoke(method, value, &[], out, 0);
            return;
        }
        if value.kind() == Kind::Partial
            && let Some(getter) = self.getter(value)
        {
            let receivers = Object::container(self.program.code.op(value.number()).row, true, false);
            let (values, all) = (self.field(value, KEYS), self.field(receivers, ALL));
            self.send(values, receivers);
            self.send(all, receiver);
            self.call_as(getter, Spec { first: 0, end: 0, shift: 0, values, out });
            return;
        }
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
                self.returned_as(function, receiver, out);
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

    /// Variable of the getter where `value` is a property that a call of `property` has made.
    fn getter(&self, value: Object) -> Option<u32> {
        let maker = self.program.code.op(value.number());
        self.program.getter(maker, all(self.shards, maker.a))
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
        let property = value.kind() == Kind::Function
            && self
                .program
                .function(value.number())
                .is_some_and(|function| function.has(symbol_flag::PROPERTY));
        // A property that is read from a class is no function.
        if !property {
            self.send(out, value);
        }
    }

    fn store(&mut self, op: Op, object: Object) {
        let name = op.b;
        let owner = match object.kind() {
            Kind::Module => {
                let found =
                    self.program.module_attribute(object.number(), self.program.sheet.names.key(name));
                for source in &found {
                    if let Source::Cell(cell) = source {
                        self.copy(op.out, *cell);
                        return;
                    }
                }
                object
            }
            Kind::Class | Kind::ClassReceiver => {
                // Instances have it too, bound to them.
                let field = self.field(Object::new(Kind::Instance, object.number()), name);
                let receiver = Object::new(Kind::Receiver, object.number());
                self.edge(op.out, field, Via::Method, receiver.0);
                Object::new(Kind::Class, object.number())
            }
            Kind::Instance | Kind::Receiver => {
                if let Some(setter) = self.program.setter(object.number(), name) {
                    self.invoke(setter, object, &[op.out], 0, 0);
                    return;
                }
                Object::new(Kind::Instance, object.number())
            }
            Kind::Function | Kind::Bound => Object::new(Kind::Function, object.number()),
            _ => return,
        };
        let field = self.field(owner, name);
        self.copy(op.out, field);
    }

    /// What a call of function `symbol` gives goes to `out`.
    fn result(&mut self, symbol: u32, out: u32) {
        let Some(function) = self.program.function(symbol) else { return };
        if function.has(symbol_flag::GENERATOR | symbol_flag::ASYNC) {
            self.send(out, Object::new(Kind::Running, symbol));
        } else if out != 0 {
            let returned = function.returned;
            self.copy(returned, out);
        }
    }

    /// Calls function `symbol` with these positional arguments after the receiver. False where it was called from here before.
    fn invoke(&mut self, symbol: u32, receiver: Object, values: &[u32], out: u32, way: u32) -> bool {
        let Some(function) = self.program.function(symbol) else { return false };
        let first = function.param(0);
        if !function.params.is_empty() {
            self.send(first, receiver);
            self.returned_as(function, receiver, out);
        }
        if !self.first_call(symbol, way) {
            return false;
        }
        for (&value, at) in values.iter().zip(1..) {
            if function.params.get(at as usize).is_some_and(|param| param.kind <= ParamKind::Positional) {
                self.copy(value, first + at);
                if function.passes.contains(&at) && out != 0 {
                    self.copy(value, out);
                }
            }
        }
        self.result(symbol, out);
        true
    }

    /// What a function that may return its receiver, or an instance of its class, gives for `receiver`.
    fn returned_as(&mut self, function: &Function, receiver: Object, out: u32) {
        if function.passes.contains(&0) {
            self.send(out, receiver);
        }
        for &(_, how) in function.news.iter().filter(|new| new.0 == 0) {
            self.made(receiver, how, out);
        }
    }

    /// Calls a method of the language that `object` may have.
    fn call_method(&mut self, object: Object, name: u32, values: &[u32], out: u32, way: u32) {
        if let Some(class) = self.type_of(object)
            && let Some(method) = self.method(class, name)
        {
            self.invoke(method, object, values, out, way);
        }
    }

    fn unpack(&mut self, object: Object, place: u32, out: u32) {
        if object.kind() == Kind::Container && !object.is_dictionary() {
            if place < 1 << 16 {
                self.get(object, number_key(place), out);
            } else {
                let from = self.field(object, ALL);
                self.copy(from, out);
            }
        } else {
            self.iterate(object, out);
        }
    }

    fn iterate(&mut self, object: Object, out: u32) {
        match object.kind() {
            Kind::Container => {
                let dictionary = object.is_dictionary();
                let from = self.field(object, if dictionary { KEYS } else { ALL });
                self.copy(from, out);
            }
            Kind::Running | Kind::External => self.elements(object, out),
            Kind::Class => {
                let project = self.program.project;
                let (file, symbol) = project.locate(object.number());
                let flags = project.facts(file).map_or(0, |facts| facts.get(col::SYM_FLAGS, symbol));
                if flags & symbol_flag::ENUM != 0 {
                    self.send(out, Object::new(Kind::Instance, object.number()));
                }
                if let Some(metaclass) = self.type_of(object)
                    && let Some(method) = self.method(metaclass, special::ITER)
                    && self.invoke(method, object, &[], 0, 0)
                    && let Some(function) = self.program.function(method)
                {
                    self.copy(function.yielded(), out);
                }
            }
            Kind::Instance | Kind::Receiver if self.iterate_by(object, special::ITER, out) => {}
            Kind::Instance | Kind::Receiver => self.call_method(object, special::GETITEM, &[], out, 0),
            _ => {}
        }
    }

    /// The same for `async for`.
    fn iterate_asynchronously(&mut self, object: Object, out: u32) {
        match object.kind() {
            Kind::Running | Kind::External => self.elements(object, out),
            Kind::Instance | Kind::Receiver => {
                self.iterate_by(object, special::AITER, out);
            }
            _ => {}
        }
    }

    /// What the iterator gives that method `name` of an instance returns. False where it has no such method.
    fn iterate_by(&mut self, object: Object, name: u32, out: u32) -> bool {
        let Some(method) = self.method(object.number(), name) else { return false };
        let first = self.invoke(method, object, &[], 0, 0);
        let Some(function) = self.program.function(method) else { return false };
        let generator = function.has(symbol_flag::GENERATOR);
        if !generator && function.passes.contains(&0) {
            self.elements(object, out);
        }
        if first && generator {
            self.copy(function.yielded(), out);
        } else if first {
            self.edge(function.returned, out, Via::Elements, 0);
        }
        true
    }

    /// What `next()` of an iterator gives.
    fn elements(&mut self, object: Object, out: u32) {
        match object.kind() {
            Kind::Running => {
                if let Some(function) = self.program.function(object.number()) {
                    let yielded = function.yielded();
                    self.copy(yielded, out);
                }
            }
            Kind::Instance | Kind::Receiver => {
                self.call_method(object, special::NEXT, &[], out, 0);
                self.call_and_await(object, special::ANEXT, out);
            }
            Kind::External => self.send_method(object, "__next__", out),
            Kind::Container => self.iterate(object, out),
            _ => {}
        }
    }

    /// Calls a coroutine method of the language; what it returns, rather than the coroutine, goes to `out`.
    fn call_and_await(&mut self, object: Object, name: u32, out: u32) {
        let Some(method) = self.method(object.number(), name) else { return };
        let first = self.invoke(method, object, &[], 0, 0);
        let Some(function) = self.program.function(method) else { return };
        if function.passes.contains(&0) {
            self.send(out, object);
        }
        if first {
            self.copy(function.returned, out);
        }
    }

    fn awaited(&mut self, object: Object, out: u32) {
        match object.kind() {
            Kind::Running => {
                if let Some(function) = self.program.function(object.number()) {
                    let returned = function.returned;
                    self.copy(returned, out);
                }
            }
            Kind::Instance | Kind::Receiver => {
                self.call_and_await(object, special::AWAIT, out);
            }
            Kind::External => self.send(out, object),
            _ => {}
        }
    }

    fn with(&mut self, object: Object, asynchronous: bool, out: u32) {
        match object.kind() {
            Kind::Instance | Kind::Receiver => {
                if asynchronous {
                    self.call_and_await(object, special::AENTER, out);
                    self.call_method(object, special::AEXIT, &[], 0, 1);
                } else {
                    self.call_method(object, special::ENTER, &[], out, 0);
                    self.call_method(object, special::EXIT, &[], 0, 1);
                }
            }
            Kind::Running => self.elements(object, out),
            Kind::External => {
                self.send_method(object, if asynchronous { "__aenter__" } else { "__enter__" }, out)
            }
            _ => {}
        }
    }

    fn operation(&mut self, op: Op, role: u32, object: Object) {
        let Call { method: row, first, end, .. } = self.program.code.call(op);
        let [own, other] = self.program.protocol[row as usize];
        let operand = self.program.code.args(first, end).get(0).map_or(0, |arg| arg.value);
        match object.kind() {
            Kind::Instance | Kind::Receiver if role == FIRST => {
                self.call_method(object, own, &[operand], op.out, 0);
                if own == special::NE && self.method(object.number(), own).is_none() {
                    self.call_method(object, special::EQ, &[operand], op.out, 0);
                }
            }
            Kind::Instance | Kind::Receiver if other != 0 => {
                self.call_method(object, other, &[op.a], op.out, 1);
            }
            // `[f] + [g]`, `x * 2`.
            Kind::Container if row < 13 => self.send(op.out, object),
            Kind::External if row < 23 => {
                let name = self.program.sheet.names.text(if role == FIRST { own } else { other });
                self.send_method(object, name, op.out);
            }
            _ => {}
        }
    }
}

impl<'s> Apply<'s, '_, '_> {
    fn arguments(&self, op: Op) -> Args<'s> {
        self.program.code.args_of(op)
    }

    /// Variable of what is decorated, where that is what a constraint does.
    pub(super) fn decorated(&self, op: Op) -> Option<u32> {
        if op.op == FlowOp::Decorate { self.arguments(op).get(0).map(|arg| arg.value) } else { None }
    }

    /// `object` comes to the first parameter of function `symbol`.
    pub(super) fn receive(&mut self, symbol: u32, object: Object) {
        if let Some(function) = self.program.function(symbol).filter(|one| !one.params.is_empty()) {
            self.send(function.param(0), object);
        }
    }

    /// `object` is called.
    fn call(&mut self, op: Op, object: Object) {
        match object.kind() {
            Kind::Function | Kind::Bound => {
                let bound = u32::from(object.kind() == Kind::Bound);
                self.call_function(op, object.number(), bound);
                if self.program.dispatchers.contains(&object.number()) {
                    let registered = self.field(Object::new(Kind::Function, object.number()), REGISTERED);
                    let Call { first, end, .. } = self.program.code.call(op);
                    self.call_as(registered, Spec { first, end, shift: bound, values: 0, out: op.out });
                }
            }
            Kind::Class | Kind::ClassReceiver => {
                // A descriptor that can't be called is read, never called.
                if let Some(value) = self.decorated(op)
                    && (self.method(object.number(), special::GET).is_none()
                        || self.method(object.number(), special::CALL).is_some())
                {
                    self.edge(value, op.out, Via::Decorated, 0);
                }
                let metaclass = self.program.metaclass(object.number());
                match metaclass.and_then(|metaclass| self.method(metaclass, special::CALL)) {
                    Some(method) => {
                        self.receive(method, object);
                        if self.first_call(method, 6) {
                            self.bind(method, 1, self.arguments(op), op.out, None);
                            self.result(method, op.out);
                        }
                    }
                    None => self.construct(op, object),
                }
            }
            Kind::Instance | Kind::Receiver => {
                if let Some(value) = self.decorated(op) {
                    self.edge(value, op.out, Via::Decorated, 0);
                }
                if let Some(method) = self.method(object.number(), special::CALL) {
                    self.receive(method, object);
                    self.call_function(op, method, 1);
                }
            }
            Kind::Partial => {
                let maker = self.program.code.op(object.number());
                let bound = self.arguments(maker);
                let Call { first, end, .. } = self.program.code.call(maker);
                if let Some(value) = self.decorated(op) {
                    self.edge(value, op.out, Via::Decorated, 0);
                }
                if let Some(function) = bound.get(0) {
                    let function = function.value;
                    self.call_as(function, Spec { first: first + 1, end, shift: 0, values: 0, out: 0 });
                    // The call's own arguments come after those that were bound.
                    let positional = |arg: &Arg| arg.kind == ArgKind::Positional as u32;
                    let shift = bound.iter().skip(1).filter(positional).count() as u32;
                    let Call { first, end, .. } = self.program.code.call(op);
                    self.call_as(function, Spec { first, end, shift, values: 0, out: op.out });
                }
            }
            Kind::Known => self.call_known(op, object.number()),
            Kind::External => {
                let args = self.arguments(op);
                self.send_outside(object, op.out, |thing| {
                    let positional = args.iter().all(|arg| arg.kind == ArgKind::Positional as u32);
                    outside::call(thing, positional.then_some(args.len() as u32))
                });
                for value in self.program.called_outside(op, object) {
                    self.call_with(value, 0, 0);
                }
                if let Some(value) = self.decorated(op) {
                    self.copy(value, op.out);
                }
            }
            Kind::Decorated => self.call_function(op, object.number(), 0),
            Kind::Register => {
                if let Some(class) = object.as_maker() {
                    self.construct(op, Object::new(Kind::Class, class));
                    return;
                }
                let arguments = self.arguments(op);
                let Some(first) = arguments.get(0) else { return };
                self.edge(first.value, op.out, Via::Register, object.number());
                if let Some(second) = arguments.get(1) {
                    self.edge(second.value, op.out, Via::Register, object.number());
                }
            }
            Kind::Module | Kind::Container | Kind::Super | Kind::Constant | Kind::Running => {}
        }
    }

    /// Number of a constraint among all.
    fn number_of(&self, op: Op) -> u32 {
        self.program.code.number_of(op.row)
    }

    /// Whatever comes to `function` is called so.
    fn call_as(&mut self, function: u32, spec: Spec) {
        if function != 0 {
            let before = self.lists[self.own.number].specs.len();
            let place = self.number(before, self.own.lists.specs.len());
            self.own.lists.specs.push(spec);
            self.edge(function, spec.out, Via::Spec, place);
        }
    }

    fn call_spec(&mut self, place: u32, object: Object) {
        let (list, place) = self.listed(place);
        let Spec { first, end, shift, values, out } = self.lists[list].specs[place];
        let (symbol, own) = match object.kind() {
            Kind::Function | Kind::Decorated => (object.number(), 0),
            Kind::Bound => (object.number(), 1),
            Kind::Class => {
                let instance = Object::new(Kind::Instance, object.number());
                self.send(out, instance);
                if let Some(new) = self.method(object.number(), special::NEW) {
                    self.receive(new, object);
                    if self.first_call(new, 1) {
                        self.bind(new, 1 + shift, self.program.code.args(first, end), 0, None);
                        self.result(new, out);
                    }
                }
                let Some(init) = self.method(object.number(), special::INIT) else { return };
                self.receive(init, instance);
                (init, 1)
            }
            Kind::Instance | Kind::Receiver => {
                let Some(method) = self.method(object.number(), special::CALL) else { return };
                self.receive(method, object);
                (method, 1)
            }
            Kind::External => {
                self.send_outside(object, out, |thing| outside::call(thing, None));
                return;
            }
            _ => return,
        };
        if !self.first_call(symbol, 2 + own) {
            return;
        }
        let args = self.program.code.args(first, end);
        let Some(body) = self.program.function(symbol) else { return };
        let (param, count) = (body.param(0), body.params.len() as u32);
        let passes = body.passes.contains(&own);
        let to = if object.kind() == Kind::Class { 0 } else { out };
        self.bind(symbol, own + shift, args, to, None);
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

    fn call_function(&mut self, op: Op, symbol: u32, shift: u32) {
        if self.first_call(symbol, 2 + shift) {
            self.bind(symbol, shift, self.arguments(op), op.out, Some(op));
            self.result_of(op, symbol, shift);
        }
    }

    /// What a call of function `symbol` gives, where the arguments begin at parameter `shift`: of what it returns in some cases only, that
    /// which such arguments may lead to.
    fn result_of(&mut self, op: Op, symbol: u32, shift: u32) {
        let Some(function) = self.program.function(symbol) else { return };
        if function.has(symbol_flag::GENERATOR | symbol_flag::ASYNC) {
            return self.result(symbol, op.out);
        }
        // Such a function works on all classes that it is given: what it makes of one is that one, not another.
        // The order in which objects came says nothing.
        let class = self.decorated(op).and_then(|value| all(self.shards, value).iter().min());
        let class = class.filter(|class| class.kind() == Kind::Class);
        let holds = |condition: u32| {
            let (place, kinds) = given::parts(condition);
            condition == 0 || self.given(op, function, place, shift) & kinds != 0
        };
        let leads = |conditions: &[u32; 2]| conditions.iter().all(|&condition| holds(condition));
        let mut returned: SmallVec<[u32; 8]> =
            function.returns.iter().filter(|(_, conditions)| leads(conditions)).map(|one| one.0).collect();
        if returned.len() == function.returns.len() {
            returned = smallvec::smallvec![function.returned];
        }
        for value in returned {
            match class {
                Some(class) => self.edge(value, op.out, Via::Decorated, class.number() + 1),
                None => self.copy(value, op.out),
            }
        }
    }

    /// Kinds of what a call may give for parameter number `place`: see [`given`].
    fn given(&self, op: Op, function: &Function, place: u32, shift: u32) -> u32 {
        let Some(param) = function.params.get(place as usize).filter(|_| place >= shift) else {
            return given::ANY;
        };
        if matches!(param.kind, ParamKind::Star | ParamKind::DoubleStar) {
            return self.given_starred(op, function, param.kind, shift);
        }
        let mut at = shift;
        for arg in self.arguments(op).iter() {
            let positional = arg.kind == ArgKind::Positional as u32;
            if positional && at == place && param.kind <= ParamKind::Positional {
                return arg.given;
            }
            if !positional && (arg.kind != ArgKind::Keyword as u32 || arg.name == param.name) {
                return arg.given;
            }
            at += u32::from(positional);
        }
        if param.optional { given::NOTHING } else { given::ANY }
    }

    /// The same for a parameter with one star or two: something where an argument is left over for it.
    fn given_starred(&self, op: Op, function: &Function, kind: ParamKind, shift: u32) -> u32 {
        let params = &function.params;
        let positional = params.iter().filter(|param| param.kind <= ParamKind::Positional).count() as u32;
        let mut at = shift;
        let mut given = given::NOTHING;
        for arg in self.arguments(op).iter() {
            let left_over = match (kind, arg.kind) {
                (ParamKind::Star, one) if one == ArgKind::Positional as u32 => {
                    at += 1;
                    at > positional
                }
                (ParamKind::DoubleStar, one) if one == ArgKind::Keyword as u32 => {
                    params.iter().all(|param| param.name != arg.name)
                }
                (ParamKind::Star, one) if one == ArgKind::Star as u32 => return given::ANY,
                (ParamKind::DoubleStar, one) if one == ArgKind::DoubleStar as u32 => return given::ANY,
                _ => false,
            };
            if left_over {
                // Like what can be called it is true in a test, which other things need not be.
                given = given::CALLABLE;
            }
        }
        given
    }

    /// Gives arguments to parameters, from number `shift` on; what is returned as it came goes to `out`. `site`: the call, if it is written
    /// as one.
    fn bind(&mut self, symbol: u32, shift: u32, args: Args<'_>, out: u32, site: Option<Op>) {
        let Some(function) = self.program.function(symbol) else { return };
        let Function { params, passes, news, .. } = function;
        let first = function.param(0);
        let positional = params.iter().take_while(|param| param.kind <= ParamKind::Positional).count() as u32;
        let star = params.iter().find(|param| param.kind == ParamKind::Star).map(|param| param.container);
        let double =
            params.iter().find(|param| param.kind == ParamKind::DoubleStar).map(|param| param.container);
        // Parameters with the arguments that they get.
        let mut given: SmallVec<[(u32, u32); 8]> = SmallVec::new();
        let mut at = shift;
        let mut spread = false;
        for arg in args.iter() {
            match arg.kind {
                kind if kind == ArgKind::Positional as u32 => {
                    if spread {
                        for place in at..positional {
                            self.copy(arg.value, first + place);
                        }
                    } else if at < positional {
                        self.copy(arg.value, first + at);
                        given.push((at, arg.value));
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
                        let all = self.field(star, ALL);
                        self.edge(arg.value, all, Via::Iterate, 0);
                        if at == positional && !spread {
                            let spread = self.field(star, SPREAD);
                            self.copy(arg.value, spread);
                        } else {
                            let any = self.field(star, ANY);
                            self.edge(arg.value, any, Via::Iterate, 0);
                        }
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
                            self.copy(arg.value, first + place as u32);
                            given.push((place as u32, arg.value));
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
                        self.merge(double, arg.value);
                    }
                }
            }
        }
        if out == 0 {
            return;
        }
        let receiver = site.map_or(0, |op| self.program.code.call(op).receiver);
        let relayed = site.and_then(|op| self.program.relayed.get(&(op.row, symbol)));
        let passed = passes.iter().filter(|place| relayed.is_none_or(|relayed| !relayed.contains(place)));
        let passed = passed.map(|&place| (place, None));
        for (place, how) in passed.chain(news.iter().map(|&(place, how)| (place, Some(how)))) {
            let mut give = |value: u32| match how {
                Some(how) => self.edge(value, out, Via::New, how),
                None => self.copy(value, out),
            };
            let mut values = given.iter().filter(|one| one.0 == place).peekable();
            if values.peek().is_none() {
                // The receiver, a default, or what came otherwise.
                let from = if place == 0 && shift == 1 && receiver != 0 { receiver } else { first + place };
                give(from);
            }
            for &(_, value) in values {
                give(value);
            }
        }
    }

    fn pass(&mut self, value: u32, out: u32) {
        if out != 0 {
            self.copy(value, out);
        }
    }

    fn construct(&mut self, op: Op, object: Object) {
        let class = object.number();
        let kind = if object.kind() == Kind::Class { Kind::Instance } else { Kind::Receiver };
        let instance = Object::new(kind, class);
        let args = self.arguments(op);
        if let Some(new) = self.method(class, special::NEW) {
            self.receive(new, object);
            if self.first_call(new, 4) {
                self.bind(new, 1, args, 0, None);
                self.result(new, op.out);
            }
        }
        self.send(op.out, instance);
        if self.method(class, special::GET).is_some() {
            // Perhaps a property of a kind of its own, whose base keeps what it is given.
            for (arg, name) in args.iter().zip([special::FGET, special::FSET]) {
                let field = self.field(Object::new(Kind::Instance, class), name);
                self.copy(arg.value, field);
            }
        }
        if let Some(init) = self.method(class, special::INIT) {
            self.receive(init, instance);
            if self.first_call(init, 5) {
                self.bind(init, 1, args, 0, None);
            }
        } else {
            self.fill(class, args);
            if let Some(method) = self.method(class, special::POST_INIT) {
                self.receive(method, instance);
            }
        }
    }

    /// A class without a constructor of its own: arguments become its fields.
    fn fill(&mut self, class: u32, args: Args<'_>) {
        if args.is_empty() {
            return;
        }
        let names = self.fields_of(class);
        let owner = Object::new(Kind::Instance, class);
        let mut at = 0;
        for arg in args.iter() {
            let name = if arg.kind == ArgKind::Positional as u32 {
                at += 1;
                names.get(at - 1).copied()
            } else {
                let text = self.program.sheet.names.text(arg.name);
                let own = |name: &u32| self.program.sheet.names.text(*name).trim_start_matches('_') == text;
                names
                    .iter()
                    .copied()
                    .find(|name| *name == arg.name)
                    .or_else(|| names.iter().copied().find(own))
            };
            if let Some(name) = name {
                let field = self.field(owner, name);
                self.copy(arg.value, field);
            }
        }
    }

    /// Names of the fields of a dataclass, in order.
    fn fields_of(&mut self, class: u32) -> Vec<u32> {
        if let Some(known) = self.own.fields.get(&class) {
            return known.clone();
        }
        let mut names = Vec::new();
        let project = self.program.project;
        let (file, symbol) = project.locate(class);
        for &[file, class] in project.classes.mro(file, symbol).iter().rev() {
            let Some(facts) = project.facts(file) else { continue };
            let own = |annotated: bool| {
                (0..facts.rows(table::Symbols)).filter(move |&symbol| {
                    facts.get(col::SYM_PARENT, symbol) == class + 1 && is_field(facts, symbol, annotated)
                })
            };
            let mut found: SmallVec<[u32; 16]> = own(true).collect();
            if found.is_empty() && facts.get(col::SYM_FLAGS, class) & symbol_flag::DATACLASS != 0 {
                found.extend(own(false));
            }
            for symbol in found {
                if let Some(name) = self.program.sheet.names.find(facts.str(col::SYM_NAME, symbol))
                    && !names.contains(&name)
                {
                    names.push(name);
                }
            }
        }
        self.own.fields.insert(class, names.clone());
        names
    }

    /// A new container that the call makes.
    fn new_container(&mut self, op: Op, pairs: bool) -> Object {
        Object::container(op.row, pairs, false)
    }

    fn call_known(&mut self, op: Op, known: u32) {
        let args = self.arguments(op);
        let positional = |at: usize| {
            args.get(at).filter(|arg| arg.kind == ArgKind::Positional as u32).map_or(0, |arg| arg.value)
        };
        let names = &self.program.sheet.names;
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
                self.call_with(key, first, 0);
            }
            Effect::Dict => {
                let container = Object::container(op.row, false, true);
                self.send(op.out, container);
                self.update_with(container, args);
            }
            Effect::Next => {
                self.edge(first, op.out, Via::Elements, 0);
                self.pass(positional(1), op.out);
            }
            Effect::Iterate if positional(1) != 0 || args.len() > 1 => {
                let container = self.new_container(op, false);
                self.send(op.out, container);
                let all = self.field(container, ALL);
                self.call_with(first, 0, all);
            }
            Effect::Iterate => self.edge(first, op.out, Via::Known, known),
            Effect::CallSecond => self.call_with(positional(1), 0, 0),
            Effect::Property if op.op == FlowOp::Decorate => self.pass(first, op.out),
            Effect::Property => self.send(op.out, Object::new(Kind::Partial, self.number_of(op))),
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
                    for arg in args.iter() {
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
                let Call { first: place, end, .. } = self.program.code.call(op);
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
            Effect::Globals => {
                let file = self.program.file_of_row(op.row);
                self.send(op.out, Object::new(Kind::Module, file));
            }
            Effect::Import => {
                let file = self.program.file_of_row(op.row);
                self.wait(Object::new(Kind::Known, file), first, op.out, 0);
            }
            Effect::Field => {
                self.pass(keyword("default"), op.out);
                let spec = Spec { first: 0, end: 0, shift: 0, values: 0, out: op.out };
                self.call_as(keyword("default_factory"), spec);
                self.call_as(keyword("factory"), spec);
            }
            Effect::DefaultDict => {
                let container = Object::container(op.row, false, true);
                self.send(op.out, container);
                let (any, all) = (self.field(container, ANY), self.field(container, ALL));
                self.call_with(first, 0, any);
                self.call_with(first, 0, all);
            }
        }
    }

    /// What a call with such arguments puts into a dictionary.
    fn update_with(&mut self, dictionary: Object, args: Args<'_>) {
        for arg in args.iter() {
            if arg.kind == ArgKind::Keyword as u32 {
                self.put(dictionary, arg.name, arg.value);
            } else if arg.kind == ArgKind::Positional as u32 {
                self.update(dictionary, arg.value);
            } else {
                self.merge(dictionary, arg.value);
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
        let Call { method, .. } = self.program.code.call(op);
        let args = self.arguments(op);
        let value = |at: usize| args.get(at).map_or(0, |arg| arg.value);
        match self.program.sheet.names.text(method) {
            "append" | "add" | "appendleft" | "push" => self.put(object, ANY, value(0)),
            "insert" => self.put(object, ANY, value(1)),
            "update" if object.is_dictionary() => self.update_with(object, args),
            "extend" | "extendleft" | "update" | "union" => {
                let (any, all) = (self.field(object, ANY), self.field(object, ALL));
                for arg in args.iter() {
                    self.edge(arg.value, any, Via::Iterate, 0);
                    self.edge(arg.value, all, Via::Iterate, 0);
                }
            }
            "get" | "pop" | "setdefault" | "popleft" | "__getitem__" | "popitem" => {
                self.keyed(object, value(0), op.out, 0);
                self.pass(value(1), op.out);
                if self.program.sheet.names.text(method) == "setdefault" {
                    self.keyed(object, value(0), 0, value(1));
                }
            }
            "values" => {
                let view = self.new_container(op, false);
                self.send(op.out, view);
                let (from, all) = (self.field(object, ALL), self.field(view, ALL));
                self.copy(from, all);
            }
            "keys" => {
                let view = self.new_container(op, false);
                self.send(op.out, view);
                let (from, all) = (self.field(object, KEYS), self.field(view, ALL));
                self.copy(from, all);
            }
            "items" => {
                let (view, pair) = (self.new_container(op, false), self.new_container(op, true));
                self.send(op.out, view);
                let all = self.field(view, ALL);
                self.send(all, pair);
                for (place, what) in [(0, KEYS), (1, ALL)] {
                    let (from, to) = (self.field(object, what), self.field(pair, number_key(place)));
                    self.copy(from, to);
                }
            }
            "copy" | "__copy__" => self.send(op.out, object),
            "sort" => {
                let key = self.program.sheet.names.find("key").unwrap_or(u32::MAX);
                let key = args.iter().find(|arg| arg.name == key).map_or(0, |arg| arg.value);
                let holder = self.field(object, ALL);
                if key != 0 {
                    let view = self.new_container(op, false);
                    let (all, one) = (self.field(view, ALL), self.field(view, ANY));
                    self.copy(holder, all);
                    self.send(one, view);
                    self.call_with(key, one, 0);
                }
            }
            _ => {}
        }
    }
}
