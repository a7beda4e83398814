//! Things of the standard library as values: what their members are, and what calls of them give, after typeshed.

use super::{Kind, Object};
use crate::link::typeshed::{self, Kind as ThingKind, Thing, Type, Types};
use smallvec::SmallVec;

/// Numbers of [`Kind::External`] below this stand for what nothing is known of.
const FIRST: u32 = 4;

/// What a read or call gives.
pub(super) type Found = SmallVec<[Object; 4]>;

impl Object {
    /// A module, class, function or variable of the standard library.
    pub(super) const fn outside(thing: Thing) -> Self {
        Self::new(Kind::External, FIRST + thing.0 * 2)
    }

    const fn instance_outside(class: Thing) -> Self {
        Self::new(Kind::External, FIRST + class.0 * 2 + 1)
    }

    /// The thing that it is, or with true an instance of it.
    pub(super) const fn as_outside(self) -> Option<(Thing, bool)> {
        match self.kind() {
            Kind::External if self.number() >= FIRST => {
                let number = self.number() - FIRST;
                Some((Thing(number / 2), number & 1 != 0))
            }
            _ => None,
        }
    }
}

/// What comes of types, `own` being what they belong to.
fn objects(types: Types, own: Option<Thing>) -> Found {
    let mut found = Found::new();
    for one in types {
        let object = match one {
            Type::None => continue,
            Type::Instance(class) => instance(class),
            Type::Class(class) => Object::outside(class),
            Type::Own => own.map_or(Object::EXTERNAL, instance),
            Type::OwnClass => own.map_or(Object::EXTERNAL, Object::outside),
            Type::Unknown => Object::EXTERNAL,
        };
        if !found.contains(&object) {
            found.push(object);
        }
    }
    found
}

/// An instance of a class; numbers and the like have no methods that anyone asks for.
fn instance(class: Thing) -> Object {
    match typeshed::name(class) {
        "int" | "float" | "bool" | "complex" | "object" if typeshed::is_builtin(class) => Object::EXTERNAL,
        _ => Object::instance_outside(class),
    }
}

/// The module of a name, or a name in it.
pub(super) fn imported(module: &str, name: Option<&str>) -> Object {
    let thing = typeshed::module(module).and_then(|module| match name {
        Some(name) => typeshed::member(module, name),
        None => Some(module),
    });
    thing.map_or(Object::EXTERNAL, |thing| read(thing, None)[0])
}

/// What a name means that nobody binds.
pub(super) fn builtin(name: &str) -> Object {
    typeshed::builtin(name).map_or(Object::EXTERNAL, |thing| read(thing, None)[0])
}

/// What one gets who reads a thing: itself, or the value of a variable or property. Never nothing.
fn read(thing: Thing, own: Option<Thing>) -> Found {
    let mut found = match typeshed::kind(thing) {
        Some(ThingKind::Variable | ThingKind::Property) => objects(typeshed::value(thing), own),
        Some(_) => smallvec::smallvec![Object::outside(thing)],
        None => Found::new(),
    };
    if found.is_empty() {
        found.push(Object::EXTERNAL);
    }
    found
}

/// Attribute `name` of a thing, or of an instance of it.
pub(super) fn member((thing, of_instance): (Thing, bool), name: &str) -> Found {
    let found = match typeshed::kind(thing) {
        Some(ThingKind::Class) => typeshed::find(thing, name).filter(|&found| {
            // Read from the class a property is itself.
            of_instance || typeshed::kind(found) != Some(ThingKind::Property)
        }),
        _ => typeshed::member(thing, name),
    };
    found.map_or_else(|| smallvec::smallvec![Object::EXTERNAL], |found| read(found, Some(thing)))
}

/// What a call of a thing, or of an instance of it, calls.
pub(super) fn callee((thing, of_instance): (Thing, bool)) -> Option<Thing> {
    match typeshed::kind(thing)? {
        _ if of_instance => typeshed::find(thing, "__call__"),
        ThingKind::Module | ThingKind::Variable => None,
        _ => Some(thing),
    }
}

/// What a call gives, with so many positional arguments and no others, if that is known.
pub(super) fn call((thing, of_instance): (Thing, bool), arguments: Option<u32>) -> Found {
    match typeshed::kind(thing) {
        Some(ThingKind::Class) if of_instance => method(thing, "__call__"),
        Some(ThingKind::Class) => smallvec::smallvec![instance(thing)],
        Some(ThingKind::Module | ThingKind::Variable | ThingKind::Property) | None => {
            smallvec::smallvec![Object::EXTERNAL]
        }
        Some(_) => objects(typeshed::returns(thing, arguments), typeshed::owner(thing)),
    }
}

/// Functions of the standard library that call, or have called, what they are given; others are given functions to look at or to wrap.
///
/// Source: the documentation of the Python standard library, version 3.14: `concurrent.futures`, `multiprocessing.pool`, `asyncio`, `contextlib`,
/// `heapq`, `bisect`, `itertools`, `signal`, `sys`, `threading`, `weakref`, `shutil`, `re`.
const CALLING: [&str; 38] = [
    "accumulate",
    "add_done_callback",
    "add_reader",
    "add_signal_handler",
    "add_writer",
    "apply",
    "apply_async",
    "bisect",
    "bisect_left",
    "bisect_right",
    "call_at",
    "call_later",
    "call_soon",
    "call_soon_threadsafe",
    "callback",
    "copytree",
    "dropwhile",
    "finalize",
    "groupby",
    "imap",
    "imap_unordered",
    "insort",
    "insort_left",
    "insort_right",
    "map",
    "map_async",
    "merge",
    "nlargest",
    "nsmallest",
    "push_async_callback",
    "rmtree",
    "run_in_executor",
    "setprofile",
    "settrace",
    "signal",
    "starmap",
    "submit",
    "to_thread",
];

/// The arguments, as places among those by position (255 for none) and names, that a call of a thing calls.
pub(super) fn called((thing, of_instance): (Thing, bool)) -> SmallVec<[(u32, &'static str); 2]> {
    if of_instance || CALLING.binary_search(&typeshed::name(thing)).is_err() {
        return SmallVec::new();
    }
    let function = match typeshed::kind(thing) {
        Some(ThingKind::Class) => {
            ["__init__", "__new__"].iter().find_map(|name| typeshed::member(thing, name))
        }
        _ => Some(thing),
    };
    function.into_iter().flat_map(typeshed::callables).collect()
}

/// What method `name` of an instance of `class` gives.
pub(super) fn method(class: Thing, name: &str) -> Found {
    match typeshed::find(class, name) {
        Some(found) => objects(typeshed::returns(found, None), Some(class)),
        None => smallvec::smallvec![Object::EXTERNAL],
    }
}
