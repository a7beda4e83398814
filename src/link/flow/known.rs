//! Functions and classes of the standard library whose effect on values is known.
//!
//! Source of what each does: the documentation of the Python standard library, version 3.14.

use super::{Kind, Object, outside};

/// What a call of one does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// A module; its members are looked up.
    Module,
    /// Gives a container of the elements of its first argument.
    Collect,
    /// Gives a dictionary of the items of its arguments.
    Dict,
    /// Gives an element of its first argument; calls `__next__` of it.
    Next,
    /// Gives its first argument's iterator, which is as good as itself; calls `__iter__`.
    Iterate,
    /// Calls the function in its first argument with elements of the others, gives a container of the results.
    Map,
    /// Calls the function in its first argument with elements of the second, gives a container of these elements.
    Filter,
    /// Calls the function in its first argument with elements of the second and its own results.
    Reduce,
    /// Gives pairs of a number and an element.
    Enumerate,
    /// Gives tuples of the elements of its arguments.
    Zip,
    /// Gives an element of its arguments; calls the function in `key`.
    Choose,
    /// Binds arguments to a function.
    Partial,
    /// The class of an object.
    Type,
    /// Gives its first argument.
    Same,
    /// Calls the function in its first argument, with the arguments after it.
    CallFirst,
    /// Calls the function in its second argument.
    CallSecond,
    /// A property with a getter and a setter; a decorator.
    Property,
    /// Calls the function in `target`, with the elements of `args`.
    CallTarget,
    /// Makes what it is given a property, or a method of another kind.
    Descriptor,
    /// Calls a method of its first argument: a row of these.
    Method(&'static str),
    /// An empty container, whose elements its first argument gives or makes.
    DefaultDict,
    /// The module that it is called in.
    Globals,
    /// The module of this name.
    Import,
    /// A field of a class: its default, or what its factory gives.
    Field,
}

/// Names with what they do: `builtins` by their own name, others by module and name.
pub(crate) const KNOWN: &[(&str, Effect)] = &[
    ("__import__", Effect::Import),
    ("abs", Effect::Method("__abs__")),
    ("asyncio", Effect::Module),
    ("asyncio.create_task", Effect::Same),
    ("asyncio.ensure_future", Effect::Same),
    ("asyncio.run", Effect::Same),
    ("atexit", Effect::Module),
    ("atexit.register", Effect::CallFirst),
    ("attr", Effect::Module),
    ("attr.attrib", Effect::Field),
    ("attr.field", Effect::Field),
    ("attr.ib", Effect::Field),
    ("attrs", Effect::Module),
    ("attrs.field", Effect::Field),
    ("bool", Effect::Method("__bool__")),
    ("bytes", Effect::Method("__bytes__")),
    ("classmethod", Effect::Descriptor),
    ("collections", Effect::Module),
    ("collections.OrderedDict", Effect::Dict),
    ("collections.defaultdict", Effect::DefaultDict),
    ("collections.deque", Effect::Collect),
    ("copy", Effect::Module),
    ("copy.copy", Effect::Same),
    ("copy.deepcopy", Effect::Same),
    ("dataclasses", Effect::Module),
    ("dataclasses.field", Effect::Field),
    ("dict", Effect::Dict),
    ("dir", Effect::Method("__dir__")),
    ("enumerate", Effect::Enumerate),
    ("filter", Effect::Filter),
    ("float", Effect::Method("__float__")),
    ("format", Effect::Method("__format__")),
    ("frozenset", Effect::Collect),
    ("functools", Effect::Module),
    ("functools.cached_property", Effect::Descriptor),
    ("functools.partial", Effect::Partial),
    ("functools.partialmethod", Effect::Partial),
    ("functools.reduce", Effect::Reduce),
    ("functools.singledispatch", Effect::Same),
    ("functools.singledispatchmethod", Effect::Same),
    ("globals", Effect::Globals),
    ("hash", Effect::Method("__hash__")),
    ("heapq", Effect::Module),
    ("heapq.heappop", Effect::Next),
    ("importlib", Effect::Module),
    ("importlib.import_module", Effect::Import),
    ("int", Effect::Method("__int__")),
    ("iter", Effect::Iterate),
    ("itertools", Effect::Module),
    ("itertools.chain", Effect::Choose),
    ("itertools.cycle", Effect::Collect),
    ("itertools.filterfalse", Effect::Filter),
    ("itertools.islice", Effect::Collect),
    ("itertools.starmap", Effect::Map),
    ("itertools.takewhile", Effect::Filter),
    ("len", Effect::Method("__len__")),
    ("list", Effect::Collect),
    ("map", Effect::Map),
    ("max", Effect::Choose),
    ("min", Effect::Choose),
    ("next", Effect::Next),
    ("operator", Effect::Module),
    ("print", Effect::Method("__str__")),
    ("property", Effect::Property),
    ("re", Effect::Module),
    ("re.sub", Effect::CallSecond),
    ("re.subn", Effect::CallSecond),
    ("repr", Effect::Method("__repr__")),
    ("reversed", Effect::Collect),
    ("round", Effect::Method("__round__")),
    ("set", Effect::Collect),
    ("sorted", Effect::Collect),
    ("staticmethod", Effect::Descriptor),
    ("str", Effect::Method("__str__")),
    ("sum", Effect::Next),
    ("threading", Effect::Module),
    ("threading.Thread", Effect::CallTarget),
    ("threading.Timer", Effect::CallTarget),
    ("tuple", Effect::Collect),
    ("type", Effect::Type),
    ("weakref", Effect::Module),
    ("weakref.proxy", Effect::Same),
    ("zip", Effect::Zip),
];

/// Number of what `name` is, if it is known.
pub(crate) fn find(name: &str) -> Option<u32> {
    KNOWN.binary_search_by_key(&name, |entry| entry.0).ok().map(|at| at as u32)
}

/// Name of number `known`.
pub(crate) fn name(known: u32) -> &'static str {
    KNOWN.get(known as usize).map_or("", |entry| entry.0)
}

/// What number `known` does.
pub(crate) fn effect(known: u32) -> Effect {
    KNOWN.get(known as usize).map_or(Effect::Module, |entry| entry.1)
}

/// A module, or what it has under a name: what is known of it, or the thing of the standard library.
pub(crate) fn imported(module: &str, name: Option<&str>) -> Object {
    let known = match name {
        Some(name) => find(&format!("{module}.{name}")),
        None => find(module),
    };
    known.map_or_else(|| outside::imported(module, name), |known| Object::new(Kind::Known, known))
}

/// What a name means that nobody binds.
pub(crate) fn builtin(name: &str) -> Object {
    find(name).map_or_else(|| outside::builtin(name), |known| Object::new(Kind::Known, known))
}

/// What number `known` has by a name.
pub(crate) fn read(known: u32, name: &str) -> Object {
    if let Some(known) = member(known, name) {
        return Object::new(Kind::Known, known);
    }
    let Some(&(own, effect)) = KNOWN.get(known as usize) else { return Object::EXTERNAL };
    if effect == Effect::Module {
        return outside::imported(own, Some(name));
    }
    let thing = match own.rsplit_once('.') {
        Some((module, own)) => outside::imported(module, Some(own)),
        None => outside::builtin(own),
    };
    match thing.as_outside() {
        Some(thing) => outside::member(thing, name)[0],
        None => Object::EXTERNAL,
    }
}

/// Member `name` of module number `known`.
fn member(known: u32, name: &str) -> Option<u32> {
    let module = KNOWN.get(known as usize).filter(|entry| entry.1 == Effect::Module)?.0;
    find(&format!("{module}.{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted() {
        assert!(KNOWN.is_sorted_by_key(|entry| entry.0));
        assert_eq!(find("functools").and_then(|module| member(module, "partial")), find("functools.partial"));
    }
}
