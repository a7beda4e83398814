//! What there is in Python's standard library, and of which types, from typeshed's stubs.
//!
//! The table is made when the program is built, see `build/`, and read where it lies: nothing is done at start.

#[path = "../../build/layout.rs"]
mod layout;

use std::cmp::Ordering;

use smallvec::SmallVec;

pub(crate) use layout::Kind;
use layout::{CLASS, Column, INSTANCE, KIND_BITS, MANY, NAME_SHIFT, NONE, OWN, OWN_CLASS, RENAMED, TAG_BITS};

static TABLE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/typeshed.bin"));

/// A module, class, function or variable of the standard library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Thing(pub(crate) u32);

/// The type of a variable, or of what a function returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Type {
    /// One that can't be told. There may be others beside it that can.
    Unknown,
    /// `None`.
    None,
    /// An instance of the receiver's class.
    Own,
    /// The receiver's class.
    OwnClass,
    /// An instance of a class.
    Instance(Thing),
    /// A class.
    Class(Thing),
}

/// Types, each one once.
pub(crate) type Types = SmallVec<[Type; 6]>;

/// The module of this dotted name.
pub(crate) fn module(dotted: &str) -> Option<Thing> {
    let start = start(Column::Modules);
    let count = (start_after(Column::Modules) - start) / 2;
    let at = search(count, dotted, |at| text(word(start + 2 * at)))?;
    Some(Thing(word(start + 2 * at + 1)))
}

/// A member of the module `builtins`.
pub(crate) fn builtin(name: &str) -> Option<Thing> {
    member(module("builtins")?, name)
}

/// What a module has by this name, or a class itself.
pub(crate) fn member(thing: Thing, name: &str) -> Option<Thing> {
    if !matches!(kind(thing)?, Kind::Module | Kind::Class) {
        return None;
    }
    let block = block(thing);
    let renamed = start(Column::Renamed);
    let entry = |at: usize| {
        let entry = word(block + 2 + at);
        if entry & RENAMED == 0 {
            (name_of(entry), entry)
        } else {
            let row = renamed + 2 * (entry & !RENAMED) as usize;
            (text(word(row)), word(row + 1))
        }
    };
    let at = search(word(block + 1) as usize, name, |at| entry(at).0)?;
    Some(Thing(entry(at).1))
}

/// What instances of a class have by this name: of the class itself, or of those above it.
pub(crate) fn find(class: Thing, name: &str) -> Option<Thing> {
    member(class, name).or_else(|| above(class).find_map(|class| member(class, name)))
}

/// What a thing is.
pub(crate) fn kind(thing: Thing) -> Option<Kind> {
    match head(thing.0) & ((1 << KIND_BITS) - 1) {
        1 => Some(Kind::Module),
        2 => Some(Kind::Class),
        3 => Some(Kind::Function),
        4 => Some(Kind::Method),
        5 => Some(Kind::StaticMethod),
        6 => Some(Kind::ClassMethod),
        7 => Some(Kind::Property),
        8 => Some(Kind::Variable),
        _ => None,
    }
}

/// The last part of a thing's name.
pub(crate) fn name(thing: Thing) -> &'static str {
    name_of(thing.0)
}

/// Adds the dotted name that a thing is shown by, without `builtins`.
pub(crate) fn write_dotted(thing: Thing, out: &mut String) {
    let mut names: SmallVec<[&str; 6]> = parents(thing).map(name).collect();
    if names.len() > 1 && names.last() == Some(&"builtins") {
        names.pop();
    }
    for (at, name) in names.into_iter().rev().enumerate() {
        if at > 0 {
            out.push('.');
        }
        out.push_str(name);
    }
}

/// The class or module that a thing belongs to.
pub(crate) fn owner(thing: Thing) -> Option<Thing> {
    parents(thing).nth(1)
}

/// Whether a thing is in the module `builtins`.
pub(crate) fn is_builtin(thing: Thing) -> bool {
    parents(thing).last().is_some_and(|root| name(root) == "builtins")
}

/// The classes above a class, in the order in which a name is looked up in them.
pub(crate) fn above(class: Thing) -> impl Iterator<Item = Thing> {
    let ancestors = ancestors(class);
    let first = ancestors + 2 + word(ancestors) as usize;
    (0..word(ancestors + 1) as usize).map(move |at| Thing(word(first + at)))
}

/// What a function returns: by those of its overloads that take this many positional arguments, without the receiver; by all
/// of them if there are none or if the number is not known. Nothing if it does not return.
/// Of an asynchronous one what awaiting it gives.
pub(crate) fn returns(function: Thing, positional: Option<u32>) -> Types {
    let fits = |overload: &Overload| {
        positional
            .is_none_or(|count| overload.least <= count && (count <= overload.most || overload.most == MANY))
    };
    let any_fits = overloads(function).any(|overload| fits(&overload));
    let mut types = Types::new();
    for overload in overloads(function).filter(|overload| !any_fits || fits(overload)) {
        extend(&mut types, overload.types, overload.type_count);
    }
    types
}

/// Types of a property or variable.
pub(crate) fn value(thing: Thing) -> Types {
    let mut types = Types::new();
    if matches!(kind(thing), Some(Kind::Property | Kind::Variable)) {
        let block = block(thing);
        extend(&mut types, block + 1, word(block) as usize);
    }
    types
}

/// Parameters of a function that are given what it may call: position without the receiver, 255 for those given by name only, and name.
pub(crate) fn callables(function: Thing) -> impl Iterator<Item = (u32, &'static str)> {
    let mut all: SmallVec<[(u32, &'static str); 4]> = SmallVec::new();
    for overload in overloads(function) {
        for at in 0..overload.callable_count {
            let parameter = word(overload.types + overload.type_count + at);
            let parameter = (parameter >> 24, text(parameter & 0xff_ffff));
            if !all.contains(&parameter) {
                all.push(parameter);
            }
        }
    }
    all.into_iter()
}

/// One way to call a function.
struct Overload {
    /// Least positional arguments.
    least: u32,
    /// Most positional arguments, [`MANY`] without limit.
    most: u32,
    /// Where its types are; the parameters that are called follow.
    types: usize,
    type_count: usize,
    callable_count: usize,
}

/// Overloads of a function.
fn overloads(function: Thing) -> impl Iterator<Item = Overload> {
    let is_function = matches!(
        kind(function),
        Some(Kind::Function | Kind::Method | Kind::StaticMethod | Kind::ClassMethod)
    );
    let block = block(function);
    let mut at = block + 1;
    (0..if is_function { word(block) } else { 0 }).map(move |_| {
        let [least, most, types, callables] = word(at).to_le_bytes();
        let (type_count, callable_count) = (usize::from(types), usize::from(callables));
        let overload =
            Overload { least: least.into(), most: most.into(), types: at + 1, type_count, callable_count };
        at += 1 + type_count + callable_count;
        overload
    })
}

/// Adds `count` types from a word on.
fn extend(types: &mut Types, first: usize, count: usize) {
    for at in first..first + count {
        let packed = word(at);
        let class = Thing(packed >> TAG_BITS);
        let found = match packed & ((1 << TAG_BITS) - 1) {
            NONE => Type::None,
            OWN => Type::Own,
            OWN_CLASS => Type::OwnClass,
            INSTANCE => Type::Instance(class),
            CLASS => Type::Class(class),
            _ => Type::Unknown,
        };
        if !types.contains(&found) {
            types.push(found);
        }
    }
}

/// A thing and what is around it, from the inside out.
fn parents(thing: Thing) -> impl Iterator<Item = Thing> {
    let known = |number: u32| kind(Thing(number)).map(|_| Thing(number));
    std::iter::successors(known(thing.0), move |thing| known(word(start(Column::Parent) + thing.0 as usize)))
}

/// Where the block of a class's ancestors is.
fn ancestors(class: Thing) -> usize {
    let is_class = kind(class) == Some(Kind::Class);
    // The first block is empty.
    start(Column::Data) + if is_class { word(block(class)) as usize } else { 0 }
}

/// Where a thing's block is.
fn block(thing: Thing) -> usize {
    let at = if kind(thing).is_some() { word(start(Column::Block) + thing.0 as usize) } else { 0 };
    start(Column::Data) + at as usize
}

/// Name of a thing by its number.
fn name_of(thing: u32) -> &'static str {
    text(head(thing) >> NAME_SHIFT)
}

/// Kind, name and more of a thing by its number.
fn head(thing: u32) -> u32 {
    let at = start(Column::Head) + thing as usize;
    if at < start_after(Column::Head) { word(at) } else { 0 }
}

/// The word that a column begins at.
fn start(column: Column) -> usize {
    word(column as usize) as usize
}

/// The word that the next column begins at.
fn start_after(column: Column) -> usize {
    word(column as usize + 1) as usize
}

/// A word of the table, 0 behind its end.
fn word(at: usize) -> u32 {
    TABLE.get(4 * at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// A text of the table.
fn text(at: u32) -> &'static str {
    let texts = TABLE.get(4 * start(Column::Texts) + at as usize..).unwrap_or_default();
    let bytes = texts.split_first().and_then(|(&length, rest)| rest.get(..length.into()));
    std::str::from_utf8(bytes.unwrap_or_default()).unwrap_or_default()
}

/// Place of `name` among sorted ones.
fn search(count: usize, name: &str, name_at: impl Fn(usize) -> &'static str) -> Option<usize> {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low.midpoint(high);
        match name_at(middle).cmp(name) {
            Ordering::Less => low = middle + 1,
            Ordering::Greater => high = middle,
            Ordering::Equal => return Some(middle),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The thing of a dotted name: a module, then members.
    fn at(dotted: &str) -> Thing {
        let mut parts = dotted.split('.');
        let first = parts.next().and_then(|first| module(first).or_else(|| builtin(first)));
        parts
            .try_fold(first.expect(dotted), |thing, part| match kind(thing) {
                Some(Kind::Class) => find(thing, part),
                _ => member(thing, part),
            })
            .expect(dotted)
    }

    fn shown(thing: Thing) -> String {
        let mut out = String::new();
        write_dotted(thing, &mut out);
        out
    }

    fn texts(types: Types) -> String {
        let texts: Vec<String> = types
            .into_iter()
            .map(|found| match found {
                Type::Unknown => "?".to_owned(),
                Type::None => "None".to_owned(),
                Type::Own => "own".to_owned(),
                Type::OwnClass => "own class".to_owned(),
                Type::Instance(class) => shown(class),
                Type::Class(class) => format!("type[{}]", shown(class)),
            })
            .collect();
        texts.join(" | ")
    }

    #[test]
    fn things_are_found_and_shown() {
        let rows = [
            ("collections.abc.Iterable", Kind::Class, "typing.Iterable"),
            ("concurrent.futures.Executor.submit", Kind::Method, "concurrent.futures.Executor.submit"),
            ("datetime.datetime.now", Kind::ClassMethod, "datetime.datetime.now"),
            ("enum.Enum.name", Kind::Property, "enum.Enum.name"),
            ("io.TextIOWrapper", Kind::Class, "io.TextIOWrapper"),
            ("open", Kind::Function, "open"),
            ("os.environ", Kind::Variable, "os.environ"),
            ("os.path", Kind::Module, "os.path"),
            ("os.path.join", Kind::Function, "os.path.join"),
            ("pathlib.Path.parent", Kind::Property, "pathlib.PurePath.parent"),
            ("str.join", Kind::Method, "str.join"),
            ("str.maketrans", Kind::StaticMethod, "str.maketrans"),
            ("subprocess.Popen", Kind::Class, "subprocess.Popen"),
            ("threading.Lock", Kind::Class, "threading.Lock"),
            ("threading.Thread", Kind::Class, "threading.Thread"),
            ("typing.List", Kind::Class, "list"),
            ("typing.Text", Kind::Class, "str"),
            ("builtins", Kind::Module, "builtins"),
        ];
        for (dotted, is, dotted_shown) in rows {
            assert_eq!(kind(at(dotted)), Some(is), "{dotted}");
            assert_eq!(shown(at(dotted)), dotted_shown, "{dotted}");
        }
        assert_eq!(at("_io.TextIOWrapper"), at("io.TextIOWrapper"));
        assert_eq!(at("_thread.lock"), at("threading.Lock"));
        assert_eq!(name(at("_thread.lock")), "Lock");
    }

    #[test]
    fn functions_return_and_variables_hold_types() {
        let rows = [
            ("asyncio.sleep", Some(1), "None"),
            ("datetime.datetime.__sub__", None, "datetime.timedelta | own"),
            ("datetime.datetime.now", None, "own"),
            ("io.TextIOWrapper.__enter__", None, "own"),
            ("json.loads", None, "?"),
            ("logging.Logger.info", None, "None"),
            ("logging.getLogger", Some(1), "logging.Logger"),
            ("open", Some(1), "io.TextIOWrapper"),
            ("os.path.join", Some(2), "str | bytes"),
            ("pathlib.Path.__new__", None, "own"),
            ("pathlib.Path.exists", None, "bool"),
            ("pathlib.Path.open", Some(0), "io.TextIOWrapper"),
            ("pathlib.Path.read_text", Some(0), "str"),
            ("re.Pattern.match", Some(1), "re.Match | None"),
            // No overload takes that many: all of them count.
            ("re.compile", Some(9), "re.Pattern"),
            ("re.compile", Some(1), "re.Pattern"),
            ("str.join", None, "str"),
            ("subprocess.Popen.wait", None, "int"),
            ("sys.exit", None, ""),
        ];
        for (dotted, positional, types) in rows {
            assert_eq!(texts(returns(at(dotted), positional)), types, "{dotted}");
            assert!(value(at(dotted)).is_empty(), "{dotted}");
        }
        let rows = [
            ("email.message.Message.policy", "email.policy.Policy"),
            ("enum.Enum.name", "str"),
            ("http.HTTPStatus.OK", "http.HTTPStatus"),
            ("os.environ", "os._Environ"),
            ("pathlib.Path.parent", "own"),
            ("subprocess.Popen.stdout", "typing.IO | None"),
            ("sys.argv", "list"),
        ];
        for (dotted, types) in rows {
            assert_eq!(texts(value(at(dotted))), types, "{dotted}");
            assert!(returns(at(dotted), None).is_empty(), "{dotted}");
        }
    }

    #[test]
    fn types_of_classes_are_told_from_instances() {
        assert_eq!(texts(value(at("unittest.TestCase.failureException"))), "type[BaseException]");
        assert_eq!(texts(returns(at("abc.ABCMeta.__new__"), None)), "own");
        assert_eq!(texts(returns(at("type.__subclasses__"), None)), "list");
    }

    #[test]
    fn parameters_that_are_called_are_known() {
        let rows: [(&str, &[(u32, &str)]); 5] = [
            ("atexit.register", &[(0, "func")]),
            ("concurrent.futures.Executor.submit", &[(0, "fn")]),
            ("open", &[(7, "opener")]),
            ("signal.signal", &[(1, "handler")]),
            ("sorted", &[(MANY, "key")]),
        ];
        for (dotted, expected) in rows {
            assert_eq!(callables(at(dotted)).collect::<Vec<_>>(), expected, "{dotted}");
        }
    }

    #[test]
    fn classes_know_what_is_above_them() {
        let dict = at("dict");
        let is_above = |class: &str, other: &str| above(at(class)).any(|above| above == at(other));
        assert!(is_above("collections.OrderedDict", "dict") && !is_above("dict", "str"));
        assert!(is_above("io.TextIOWrapper", "object") && is_above("FileNotFoundError", "IOError"));
        let path: Vec<String> = above(at("pathlib.PosixPath")).map(shown).collect();
        assert_eq!(
            path,
            ["pathlib.Path", "pathlib.PurePosixPath", "pathlib.PurePath", "os.PathLike", "abc.ABC", "object"]
        );
        assert!(is_builtin(dict) && is_builtin(at("str.join")) && !is_builtin(at("re.compile")));
    }

    #[test]
    fn there_is_nothing_of_what_is_not_known() {
        assert_eq!(module("numpy"), None);
        assert_eq!(builtin("nothing"), None);
        assert_eq!(member(at("os"), "nothing"), None);
        assert_eq!(find(at("str"), "nothing"), None);
        let count = (start_after(Column::Head) - start(Column::Head)) as u32;
        for thing in [Thing(0), Thing(count), Thing(u32::MAX)] {
            assert_eq!((kind(thing), name(thing), shown(thing)), (None, "", String::new()));
            assert!(member(thing, "join").is_none() && find(thing, "join").is_none());
            assert!(returns(thing, None).is_empty() && value(thing).is_empty());
            assert!(callables(thing).next().is_none() && above(thing).next().is_none());
            assert!(!is_builtin(thing));
        }
    }

    #[test]
    fn the_whole_table_can_be_read() {
        let count = (start_after(Column::Head) - start(Column::Head)) as u32;
        for thing in (1..count).map(Thing) {
            assert!(kind(thing).is_some() && !name(thing).is_empty(), "{thing:?}");
            let is_known = |class: Thing| kind(class) == Some(Kind::Class);
            for found in returns(thing, None).into_iter().chain(value(thing)) {
                if let Type::Instance(class) | Type::Class(class) = found {
                    assert!(is_known(class), "{thing:?}");
                }
            }
            assert!(above(thing).all(is_known), "{thing:?}");
            assert!(callables(thing).all(|(_, name)| !name.is_empty()), "{thing:?}");
        }
    }
}
