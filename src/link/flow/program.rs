//! The constraints of all files over common numbers.

use super::apply::Abstract;
use super::known;
use super::parts::Parts;
use super::{Kind, Object};
use crate::link::Project;
use crate::link::builtins::is_builtin;
use crate::link::modules::Found;
use crate::link::value::{Context, Key, Value, Values, is_overload, members};
use crate::model::facts::{
    ArgKind, BINDING_CONDITIONAL, BindingKind, Container, Facts, FlowOp, ImportKind, PROTOCOL, ParamKind,
    RefKind, ScopeKind, SymbolKind, col, given, symbol_flag, table,
};
use crate::model::name;
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;
use std::ops::Range;

/// Re-exports followed.
const MAX_DEPTH: u32 = 40;

/// A constraint that waits for objects in its first operand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Op {
    pub(super) op: FlowOp,
    pub(super) out: u32,
    pub(super) a: u32,
    /// As in the facts, but names and variables are the project's; of a call its number in `calls`.
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
    /// Arguments in `args`.
    pub(super) first: u32,
    pub(super) end: u32,
}

/// An argument.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arg {
    pub(super) kind: u32,
    /// What it is: see [`given`].
    pub(super) given: u32,
    pub(super) name: u32,
    pub(super) value: u32,
}

/// A function's variables.
#[derive(Clone, Debug)]
pub(super) struct Function {
    pub(super) flags: u32,
    /// What it returns; what it yields is next, then come parameters.
    pub(super) returned: u32,
    pub(super) params: SmallVec<[Param; 4]>,
    /// Parameters that are returned as they are.
    pub(super) passes: SmallVec<[u32; 2]>,
    /// Parameters of whose classes instances are returned, as operand `b` of [`FlowOp::Pass`] says.
    pub(super) news: SmallVec<[(u32, u32); 1]>,
    /// Variables that it returns, each with the conditions of [`FlowOp::Return`]; none where all are returned in any case.
    pub(super) returns: Vec<(u32, [u32; 2])>,
    /// Its first parameter is a class.
    of_class: bool,
}

/// A parameter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Param {
    pub(super) kind: ParamKind,
    pub(super) name: u32,
    /// Container of a starred one.
    pub(super) container: Object,
    /// It is `None` where nothing is given.
    pub(super) optional: bool,
}

impl Function {
    /// Variable of parameter `at`.
    pub(super) const fn param(&self, at: u32) -> u32 {
        self.returned + 2 + at
    }

    /// Variable of what it yields.
    pub(super) const fn yielded(&self) -> u32 {
        self.returned + 1
    }

    pub(super) const fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }
}

/// Names of the project, by number; 0 is empty.
#[derive(Debug, Default)]
pub(super) struct NameTable<'p> {
    numbers: FxHashMap<&'p [u8], u32>,
    texts: Vec<&'p [u8]>,
}

/// Methods of the language: the first names of every table.
pub(super) mod special {
    pub(in super::super) const NEW: u32 = 1;
    pub(in super::super) const INIT: u32 = 2;
    pub(in super::super) const CALL: u32 = 3;
    pub(in super::super) const GETITEM: u32 = 4;
    pub(in super::super) const SETITEM: u32 = 5;
    pub(in super::super) const GETATTR: u32 = 6;
    pub(in super::super) const ITER: u32 = 7;
    pub(in super::super) const AITER: u32 = 8;
    pub(in super::super) const NEXT: u32 = 9;
    pub(in super::super) const ANEXT: u32 = 10;
    pub(in super::super) const AWAIT: u32 = 11;
    pub(in super::super) const AENTER: u32 = 12;
    pub(in super::super) const AEXIT: u32 = 13;
    pub(in super::super) const ENTER: u32 = 14;
    pub(in super::super) const EXIT: u32 = 15;
    pub(in super::super) const SETATTR: u32 = 16;
    pub(in super::super) const STR: u32 = 17;
    pub(in super::super) const REPR: u32 = 18;
    pub(in super::super) const FORMAT: u32 = 19;
    pub(in super::super) const BOOL: u32 = 20;
    pub(in super::super) const LEN: u32 = 21;
    pub(in super::super) const CLASS_GETITEM: u32 = 22;
    pub(in super::super) const GET: u32 = 23;
    pub(in super::super) const SET: u32 = 24;
    pub(in super::super) const POST_INIT: u32 = 25;
    pub(in super::super) const REGISTER: u32 = 26;
    pub(in super::super) const SET_NAME: u32 = 27;
    pub(in super::super) const EQ: u32 = 28;
    pub(in super::super) const NE: u32 = 29;
    pub(in super::super) const FGET: u32 = 30;
    pub(in super::super) const FSET: u32 = 31;
    pub(in super::super) const SORT: u32 = 32;
    pub(in super::super) const SUB: u32 = 33;
    pub(in super::super) const KEY: u32 = 34;
    pub(super) const INSTANCE_CHECK: u32 = 35;
    pub(super) const SUBCLASS_CHECK: u32 = 36;
    pub(super) const SUBCLASS_HOOK: u32 = 37;

    pub(super) const NAMES: [&str; 37] = [
        "__new__",
        "__init__",
        "__call__",
        "__getitem__",
        "__setitem__",
        "__getattr__",
        "__iter__",
        "__aiter__",
        "__next__",
        "__anext__",
        "__await__",
        "__aenter__",
        "__aexit__",
        "__enter__",
        "__exit__",
        "__setattr__",
        "__str__",
        "__repr__",
        "__format__",
        "__bool__",
        "__len__",
        "__class_getitem__",
        "__get__",
        "__set__",
        "__post_init__",
        "register",
        "__set_name__",
        "__eq__",
        "__ne__",
        "fget",
        "fset",
        "sort",
        "sub",
        "key",
        "__instancecheck__",
        "__subclasscheck__",
        "__subclasshook__",
    ];
}

impl<'p> NameTable<'p> {
    /// The methods of the language, and then those of [`PROTOCOL`] by their rows.
    fn new() -> (Self, Vec<[u32; 2]>) {
        let mut names = Self::default();
        names.add(b"");
        for name in special::NAMES {
            names.add(name.as_bytes());
        }
        let protocol = PROTOCOL
            .iter()
            .map(|(own, other)| [names.add(own.as_bytes()), names.add(other.as_bytes())])
            .collect();
        for &(_, effect) in known::KNOWN {
            if let known::Effect::Method(name) = effect {
                names.add(name.as_bytes());
            }
        }
        (names, protocol)
    }

    pub(super) fn add(&mut self, text: &'p [u8]) -> u32 {
        let next = self.texts.len() as u32;
        let number = *self.numbers.entry(text).or_insert(next);
        if number == next {
            self.texts.push(text);
        }
        number
    }

    pub(super) fn find(&self, text: &str) -> Option<u32> {
        self.numbers.get(text.as_bytes()).copied()
    }

    pub(super) fn key(&self, number: u32) -> Key<'p> {
        let bytes = self.texts[number as usize];
        Key { bytes, hash: name::hash(bytes) }
    }

    pub(super) fn text(&self, number: u32) -> &'p str {
        std::str::from_utf8(self.texts[number as usize]).unwrap_or_default()
    }

    pub(super) fn len(&self) -> usize {
        self.texts.len()
    }
}

/// Everything that the solver reads.
pub(super) struct Program<'p, 'a> {
    pub(super) project: &'p Project<'a>,
    parts: &'p Parts,
    /// For each file of the project its place among those that are solved together +1.
    local: Vec<u32>,
    files: Vec<u32>,
    pub(super) names: NameTable<'p>,
    pub(super) ops: Vec<Op>,
    pub(super) calls: Vec<Call>,
    pub(super) args: Vec<Arg>,
    /// From variable, to variable.
    pub(super) edges: Vec<[u32; 2]>,
    pub(super) seeds: Vec<(u32, Object)>,
    /// What is put into containers that are literals: container, key, value.
    pub(super) elements: Vec<(Object, u32, u32)>,
    /// For each of these files: first row, first variable, first cell, first of `ops`.
    pub(super) rows: Vec<u32>,
    pub(super) variables: Vec<u32>,
    pub(super) cells: Vec<u32>,
    pub(super) first_ops: Vec<u32>,
    /// Number of variables.
    pub(super) count: u32,
    /// The variable that stands for each.
    sources: Vec<u32>,
    /// For each symbol from `first_symbol` on: place in `bodies` +1.
    functions: Vec<u32>,
    first_symbol: u32,
    pub(super) bodies: Vec<Function>,
    /// Names that some attribute is assigned under.
    pub(super) stored: Vec<bool>,
    /// Names of the properties that have setters.
    settable: FxHashSet<u32>,
    /// Names with a `*`, and for each and a class or, with [`MODULE`], a file the names there that are like it.
    patterns: Vec<u32>,
    alike: FxHashMap<(u32, u32), Vec<u32>>,
    /// Metaclasses of the classes whose statements name one.
    metaclasses: FxHashMap<u32, u32>,
    /// What class statements call: class, function, what comes to the function's first parameter.
    pub(super) hooks: Vec<(u32, u32, Object)>,
    /// Functions that `functools.singledispatch` was applied to.
    pub(super) dispatchers: FxHashSet<u32>,
    copies: Copies,
    /// Names of the methods of each row of [`PROTOCOL`]: one's own, and the other operand's.
    pub(super) protocol: Vec<[u32; 2]>,
    /// For each row with `super()`: its class +1, as a symbol of the project.
    pub(super) supers: FxHashMap<u32, u32>,
    /// Calls whose result a function returns, which gives them parameters of its own.
    relays: Vec<Relay>,
    /// By row of such a call and function that is called: parameters of that which are returned, so that they are among the
    /// [`Function::passes`] of whoever called.
    pub(super) relayed: FxHashMap<(u32, u32), SmallVec<[u32; 2]>>,
}

/// A call whose result a function returns, which gives it parameters of its own.
#[derive(Clone, Copy, Debug)]
struct Relay {
    /// Place in [`Program::bodies`].
    body: u32,
    op: u32,
    file: u32,
    /// Ref of what is called.
    callee: u32,
    /// That, as a symbol, and the parameter that its arguments begin at.
    symbol: u32,
    shift: u32,
}

/// How the numbers of a file become those of all.
#[derive(Debug, Default)]
struct Numbering {
    /// Added to rows, variables and cells.
    rows: u32,
    variables: u32,
    cells: u32,
    /// Of a copy of a function: its own variables in the file, and what is added to those.
    own: Range<u32>,
    own_variables: u32,
    /// Cells of the function that have copies.
    own_cells: FxHashMap<u32, u32>,
    /// Functions in it, with the symbols of their copies.
    symbols: SmallVec<[(u32, u32); 4]>,
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

    fn symbol(&self, symbol: u32) -> u32 {
        self.symbols.iter().find(|copy| copy.0 == symbol).map_or(symbol, |copy| copy.1)
    }
}

/// Functions that are copied: a small decorator, or a factory of decorators, is followed for each decoration apart, so that what one
/// decorated function is called with does not reach all others.
#[derive(Debug, Default)]
struct Copies {
    /// Decorations to be done: the constraint that calls the decorator or its factory, and the function that this is (file, symbol).
    wanted: Vec<(u32, [u32; 2])>,
    /// From here on rows and symbols are those of copies.
    first_row: u32,
    first_symbol: u32,
    /// First row of each copy and its file.
    rows: Vec<(u32, u32)>,
    /// Original and body of each symbol.
    symbols: Vec<(u32, u32)>,
    /// Row of the original, and constraint; sorted.
    ops: Vec<(u32, u32)>,
}

/// A function that may be copied.
#[derive(Clone, Debug)]
struct Original {
    rows: Range<u32>,
    variables: Range<u32>,
    symbols: SmallVec<[u32; 4]>,
    scopes: SmallVec<[u32; 4]>,
}

/// The function whose symbol this is, unless it is decorated itself, too large, or has classes in it.
fn original(facts: &Facts<'_>, symbol: u32) -> Option<Original> {
    if (0..facts.rows(table::Decorators)).any(|row| facts.get(col::DEC_SYM, row) == symbol) {
        return None;
    }
    let op = |row: u32| FlowOp::from_u32(facts.get(col::FLOW_OP, row));
    let rows = facts.rows(table::Flow);
    let start = (0..rows).find(|&row| op(row) == FlowOp::Enter && facts.get(col::FLOW_A, row) == symbol)?;
    let first = facts.get(col::FLOW_OUT, start);
    let (mut depth, mut end, mut last) = (0, start, first);
    let (mut symbols, mut scopes) = (SmallVec::new(), SmallVec::new());
    loop {
        let [out, a, b] = [col::FLOW_OUT, col::FLOW_A, col::FLOW_B].map(|column| facts.get(column, end));
        last = last.max(out);
        match op(end) {
            FlowOp::Enter => {
                depth += 1;
                symbols.push(a);
                scopes.extend(facts.opt(col::SYM_SCOPE, a));
                let params =
                    (b..facts.rows(table::Params)).take_while(|&row| facts.get(col::PAR_SYM, row) == a);
                last = last.max(out + 1 + params.count() as u32);
            }
            FlowOp::EnterScope => {
                depth += 1;
                scopes.push(a);
            }
            FlowOp::EnterClass => return None,
            FlowOp::Leave => depth -= 1,
            _ => {}
        }
        end += 1;
        if depth == 0 {
            break;
        }
        if end >= rows || end - start > MOST_COPIED {
            return None;
        }
    }
    Some(Original { rows: start..end, variables: first..last + 1, symbols, scopes })
}

/// Constraints of all copies of a function above which there are no more: those that were decorated last share one.
const ALL_COPIED: u32 = 200_000;

/// Constraints that are looked through for the call of a factory.
const MOST_BACK: usize = 1 << 14;

/// Constraints of a function above which it is not copied.
const MOST_COPIED: u32 = 600;

/// A cell, or an object, that an import or a look-up gives.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    Cell(u32),
    Object(Object),
}

pub(super) type Sources = SmallVec<[Source; 2]>;

impl<'p, 'a> Program<'p, 'a> {
    /// The constraints of `files`, which are sorted.
    pub(super) fn new(project: &'p Project<'a>, parts: &'p Parts, files: &[u32]) -> Self {
        let (names, protocol) = NameTable::new();
        let mut program = Self {
            project,
            parts,
            local: vec![0; project.files.len() as usize],
            files: files.to_vec(),
            names,
            ops: Vec::new(),
            calls: Vec::new(),
            args: Vec::new(),
            edges: Vec::new(),
            seeds: Vec::new(),
            elements: Vec::new(),
            rows: Vec::new(),
            variables: Vec::new(),
            cells: Vec::new(),
            first_ops: Vec::new(),
            count: 1,
            sources: Vec::new(),
            functions: Vec::new(),
            first_symbol: files.first().map_or(0, |&file| project.base[file as usize]),
            bodies: Vec::new(),
            stored: Vec::new(),
            settable: FxHashSet::default(),
            patterns: Vec::new(),
            alike: FxHashMap::default(),
            metaclasses: FxHashMap::default(),
            hooks: Vec::new(),
            dispatchers: FxHashSet::default(),
            copies: Copies::default(),
            protocol,
            supers: FxHashMap::default(),
            relays: Vec::new(),
            relayed: FxHashMap::default(),
        };
        let mut row = 0;
        let mut symbols = 0;
        for (&file, place) in files.iter().zip(1..) {
            program.local[file as usize] = place;
            program.rows.push(row);
            program.variables.push(program.count);
            symbols = project.base[file as usize] + 1;
            let Some(facts) = project.facts(file) else {
                program.cells.push(program.count);
                continue;
            };
            symbols = project.base[file as usize] + facts.rows(table::Symbols);
            row += facts.rows(table::Flow);
            program.count += facts.get(col::FILE_VARIABLES, 0).max(1);
            program.cells.push(program.count);
            program.count += facts.rows(table::Bindings);
        }
        program.rows.push(row);
        program.copies.first_row = row;
        let last = project.files.len().saturating_sub(1);
        let symbols_of_last = project.facts(last).map_or(0, |facts| facts.rows(table::Symbols));
        program.copies.first_symbol = project.base.last().copied().unwrap_or(0) + symbols_of_last + 1;
        program.functions = vec![0; (symbols - program.first_symbol.min(symbols)) as usize];
        for &file in files {
            program.first_ops.push(program.ops.len() as u32);
            if let Some(facts) = project.facts(file) {
                project.touched(file);
                let numbering = program.numbering(file);
                program.file(file, facts, 0..facts.rows(table::Flow), &numbering);
            }
        }
        program.first_ops.push(program.ops.len() as u32);
        program.copy_decorators();
        program.find_relayed();
        program.stored.resize(program.names.len(), false);
        program.mark_fields();
        program.find_alike();
        program.find_metaclasses();
        program.find_hooks();
        program.simplify();
        program.ops.shrink_to_fit();
        program.calls.shrink_to_fit();
        program.args.shrink_to_fit();
        program.seeds.shrink_to_fit();
        program.bodies.shrink_to_fit();
        program
    }

    /// Arguments of constructors that nobody wrote are assigned to the annotated variables of their classes; properties with setters.
    fn mark_fields(&mut self) {
        for name in [special::FGET, special::FSET] {
            self.stored[name as usize] = true;
        }
        for &file in &self.files {
            let Some(facts) = self.project.facts(file) else { continue };
            for symbol in 0..facts.rows(table::Symbols) {
                let parent = facts.opt(col::SYM_PARENT, symbol);
                let dataclass = parent
                    .is_some_and(|class| facts.get(col::SYM_FLAGS, class) & symbol_flag::DATACLASS != 0);
                if is_field(facts, symbol, !dataclass)
                    && let Some(name) = self.names.find(facts.str(col::SYM_NAME, symbol))
                {
                    self.stored[name as usize] = true;
                }
                if facts.get(col::SYM_FLAGS, symbol) & symbol_flag::SETTER != 0 {
                    self.settable.extend(self.names.find(facts.str(col::SYM_NAME, symbol)));
                }
            }
        }
    }

    /// Names that are like a pattern, in classes and modules.
    fn find_alike(&mut self) {
        if self.patterns.is_empty() {
            return;
        }
        let patterns: Vec<(u32, &str, &str)> = self
            .patterns
            .iter()
            .filter_map(|&pattern| {
                let (before, after) = self.names.text(pattern).split_once('*')?;
                Some((pattern, before, after))
            })
            .collect();
        let mut found = Vec::new();
        for &file in &self.files {
            let Some(facts) = self.project.facts(file) else { continue };
            for scope in 0..facts.rows(table::Scopes) {
                let owner = match ScopeKind::from_u32(facts.get(col::SCO_KIND, scope)) {
                    ScopeKind::Module => MODULE | file,
                    ScopeKind::Class => self.project.symbol(file, facts.get(col::SCO_SYM, scope)),
                    _ => continue,
                };
                for row in facts.bindings_of(scope) {
                    let string = facts.get(col::BIN_NAME, row);
                    let name = facts.str(col::BIN_NAME, row);
                    for &(pattern, before, after) in &patterns {
                        let fits = name.len() >= before.len() + after.len();
                        if fits && name.starts_with(before) && name.ends_with(after) {
                            found.push((pattern, owner, facts.bytes_of(string)));
                        }
                    }
                }
            }
        }
        for (pattern, owner, name) in found {
            let name = self.names.add(name);
            let names = self.alike.entry((pattern, owner)).or_default();
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }

    /// Names in a class or, with [`MODULE`], a file that are like `pattern`.
    pub(super) fn alike(&self, pattern: u32, owner: u32) -> &[u32] {
        self.alike.get(&(pattern, owner)).map_or(&[], Vec::as_slice)
    }

    fn find_metaclasses(&mut self) {
        let project = self.project;
        let mut cx = Context::default();
        for &file in &self.files {
            let Some(facts) = project.facts(file) else { continue };
            let mut started = false;
            for row in 0..facts.rows(table::Bases) {
                if facts.str(col::BASE_KEYWORD, row) != "metaclass" {
                    continue;
                }
                if !std::mem::replace(&mut started, true) {
                    cx.start(file, facts.rows(table::Refs), &project.scratch);
                }
                let mut values = Values::new();
                cx.refuel();
                project.eval(file, facts.get(col::BASE_REF, row), &mut cx, &mut values);
                for value in values {
                    if let Value::Symbol(other, symbol) = value
                        && project.kind(other, symbol) == SymbolKind::Class
                        && self.local[other as usize] != 0
                    {
                        let class = project.symbol(file, facts.get(col::BASE_SYM, row));
                        self.metaclasses.entry(class).or_insert(project.symbol(other, symbol));
                    }
                }
            }
        }
    }

    /// What may be an instance of a class besides those of classes below it.
    pub(super) fn is_abstract(&self, class: u32) -> Abstract {
        let (file, symbol) = self.project.locate(class);
        let decides = self.metaclass(class).is_some_and(|one| {
            [special::INSTANCE_CHECK, special::SUBCLASS_CHECK].iter().any(|&name| self.method(one, name) != 0)
        });
        let hook = self.method(class, special::SUBCLASS_HOOK) != 0;
        let protocol = self.project.facts(file).is_some_and(|facts| {
            (0..facts.rows(table::Bases)).any(|row| {
                facts.get(col::BASE_SYM, row) == symbol
                    && facts.str(col::REF_NAME, facts.get(col::BASE_REF, row)) == "Protocol"
            })
        });
        let classes = &self.project.classes;
        if decides || hook || protocol {
            Abstract::Anything
        } else if classes.is_derived(file, symbol) {
            Abstract::Derived
        } else {
            Abstract::Nothing
        }
    }

    /// The metaclass of a class, where it is one of the project.
    pub(super) fn metaclass(&self, class: u32) -> Option<u32> {
        if self.metaclasses.is_empty() {
            return None;
        }
        let (file, symbol) = self.project.locate(class);
        let mro = self.project.classes.mro(file, symbol);
        mro.iter().find_map(|&[file, class]| self.metaclasses.get(&self.project.symbol(file, class)).copied())
    }

    /// What class statements call, and dispatchers.
    fn find_hooks(&mut self) {
        let project = self.project;
        let hook = Key::new("__init_subclass__");
        for &file in &self.files {
            let Some(facts) = project.facts(file) else { continue };
            for scope in 0..facts.rows(table::Scopes) {
                if facts.get(col::SCO_KIND, scope) != ScopeKind::Class as u32 {
                    continue;
                }
                let symbol = facts.get(col::SCO_SYM, scope);
                let class = project.symbol(file, symbol);
                let above = project.classes.mro(file, symbol).iter().skip(1);
                let own = |[file, class]: [u32; 2]| {
                    project.own_method(file, class, hook).map(|symbol| (file, symbol))
                };
                let found = above.copied().find_map(own);
                if let Some((file, function)) = found {
                    self.hooks.push((class, project.symbol(file, function), Object::new(Kind::Class, class)));
                }
                if let Some(metaclass) = self.metaclass(class) {
                    for name in [special::NEW, special::INIT] {
                        if let Some(function) = self.method(metaclass, name).checked_sub(1) {
                            let kind = if name == special::NEW { metaclass } else { class };
                            self.hooks.push((class, function, Object::new(Kind::Class, kind)));
                        }
                    }
                }
            }
            for row in 0..facts.rows(table::Decorators) {
                let name = facts.str(col::REF_NAME, facts.get(col::DEC_REF, row));
                if matches!(name, "singledispatch" | "singledispatchmethod") {
                    self.dispatchers.insert(project.symbol(file, facts.get(col::DEC_SYM, row)));
                }
            }
        }
        self.hooks.sort_unstable_by_key(|hook| (hook.0, hook.1));
    }

    /// The cells of what the body of class `symbol` of a file binds.
    pub(super) fn cells_in(&self, file: u32, symbol: u32) -> impl Iterator<Item = u32> + '_ {
        let scope =
            self.project.facts(file).and_then(|facts| Some((facts, facts.opt(col::SYM_SCOPE, symbol)?)));
        let rows = scope.map_or(0..0, |(facts, scope)| facts.bindings_of(scope));
        let first = self.cells_of(file).unwrap_or(0);
        rows.map(move |row| self.variable(first + row))
    }

    /// Functions that the statement of a class calls.
    pub(super) fn hooks_of(&self, class: u32) -> impl Iterator<Item = u32> + '_ {
        let first = self.hooks.partition_point(|hook| hook.0 < class);
        self.hooks[first..].iter().take_while(move |hook| hook.0 == class).map(|hook| hook.1)
    }

    /// The symbol of the project that `symbol` is or is a copy of.
    pub(super) fn original(&self, symbol: u32) -> u32 {
        match symbol.checked_sub(self.copies.first_symbol) {
            Some(copy) => self.copies.symbols.get(copy as usize).map_or(0, |copy| copy.0),
            None => symbol,
        }
    }

    /// Copies of constraint `op`.
    pub(super) fn copies_of(&self, op: &Op) -> impl Iterator<Item = Op> + '_ {
        let row = op.row;
        let first = self.copies.ops.partition_point(|copy| copy.0 < row);
        let all = self.copies.ops[first..].iter().take_while(move |copy| copy.0 == row);
        all.map(|copy| self.ops[copy.1 as usize])
    }

    /// The file that a row belongs to.
    pub(super) fn file_of_row(&self, row: u32) -> u32 {
        if row >= self.copies.first_row {
            return self.copies.rows[self.copies.rows.partition_point(|copy| copy.0 <= row) - 1].1;
        }
        self.files[self.rows.partition_point(|&first| first <= row) - 1]
    }

    /// Leaves out what nobody reads, and lets a variable that is a copy of another be that one: offline variable substitution, after
    /// Rountev and Chandra, "Off-line Variable Substitution for Scaling Points-to Analysis", PLDI 2000.
    fn simplify(&mut self) {
        let count = self.count as usize;
        // Whether something may flow to a variable other than along the edges that are known now.
        let mut open = vec![false; count];
        let mut read = vec![false; count];
        for body in &self.bodies {
            let all = body.returned as usize..body.param(body.params.len() as u32) as usize;
            open[all.clone()].fill(true);
            read[all].fill(true);
            body.returns.iter().for_each(|one| read[one.0 as usize] = true);
        }
        for (place, &file) in self.files.iter().enumerate() {
            let Some(facts) = self.project.facts(file) else { continue };
            let first = self.cells[place] as usize;
            for scope in 0..facts.rows(table::Scopes) {
                let kind = ScopeKind::from_u32(facts.get(col::SCO_KIND, scope));
                if matches!(kind, ScopeKind::Module | ScopeKind::Class | ScopeKind::Instance) {
                    for row in facts.bindings_of(scope) {
                        read[first + row as usize] = true;
                        open[first + row as usize] = kind == ScopeKind::Module;
                    }
                }
            }
        }
        for &(variable, _) in &self.seeds {
            open[variable as usize] = true;
        }
        for op in &self.ops {
            read[op.a as usize] = true;
            match op.op {
                FlowOp::Store => read[op.out as usize] = true,
                FlowOp::Put => {
                    read[op.out as usize] = true;
                    read[op.b as usize] = true;
                }
                FlowOp::Get | FlowOp::Super | FlowOp::Narrow => read[op.b as usize] = true,
                _ => {}
            }
            if !matches!(op.op, FlowOp::Store | FlowOp::Put) {
                open[op.out as usize] = true;
            }
        }
        for call in &self.calls {
            read[call.receiver as usize] = true;
        }
        for arg in &self.args {
            read[arg.value as usize] = true;
        }
        for element in &self.elements {
            read[element.2 as usize] = true;
        }
        self.leave_out_unread(&mut read);
        self.substitute(&open, &read);
    }

    fn leave_out_unread(&mut self, read: &mut [bool]) {
        let (starts, froms) = by_variable(self.count, self.edges.iter().map(|edge| (edge[1], edge[0])));
        let mut work: Vec<u32> = (0..self.count).filter(|&at| read[at as usize]).collect();
        while let Some(to) = work.pop() {
            for &from in &froms[starts[to as usize] as usize..starts[to as usize + 1] as usize] {
                if !std::mem::replace(&mut read[from as usize], true) {
                    work.push(from);
                }
            }
        }
        self.edges.retain(|edge| read[edge[1] as usize]);
        self.seeds.retain(|seed| read[seed.0 as usize]);
        for op in &mut self.ops {
            if !matches!(op.op, FlowOp::Store | FlowOp::Put) && !read[op.out as usize] {
                op.out = 0;
            }
        }
    }

    fn substitute(&mut self, open: &[bool], read: &[bool]) {
        // The only source of each variable; its own number where there is none or several.
        let mut sources: Vec<u32> = (0..self.count).collect();
        let mut several = vec![false; self.count as usize];
        for &[from, to] in &self.edges {
            let source = &mut sources[to as usize];
            if *source == to {
                *source = from;
            } else if *source != from {
                several[to as usize] = true;
            }
        }
        for variable in 0..self.count as usize {
            if open[variable] || several[variable] {
                sources[variable] = variable as u32;
            }
        }
        for variable in 0..self.count {
            // A circle of copies is cut where it closes: nothing ever flows into it.
            let (mut at, mut steps) = (variable, 0);
            while sources[at as usize] != at && steps < self.count {
                at = sources[at as usize];
                steps += 1;
                if at == variable {
                    sources[at as usize] = at;
                }
            }
            let root = at;
            let mut at = variable;
            while sources[at as usize] != root && at != root {
                at = std::mem::replace(&mut sources[at as usize], root);
            }
        }
        // Those that stand for themselves and are read get numbers of their own, in the same order.
        let mut count = 1;
        let mut numbers = vec![0; self.count as usize];
        for variable in 1..self.count as usize {
            if sources[variable] == variable as u32 && read[variable] {
                numbers[variable] = count;
                count += 1;
            }
        }
        sources.iter_mut().for_each(|source| *source = numbers[*source as usize]);
        drop(numbers);
        self.count = count;
        let of = |variable: &mut u32| *variable = sources[*variable as usize];
        for edge in &mut self.edges {
            edge.iter_mut().for_each(of);
        }
        self.edges.retain(|edge| edge[0] != edge[1] && edge[0] != 0 && edge[1] != 0);
        self.edges.shrink_to_fit();
        self.seeds.iter_mut().for_each(|seed| of(&mut seed.0));
        for op in &mut self.ops {
            of(&mut op.out);
            of(&mut op.a);
            if matches!(op.op, FlowOp::Put | FlowOp::Get | FlowOp::Super | FlowOp::Narrow) {
                of(&mut op.b);
            }
        }
        self.calls.iter_mut().for_each(|call| of(&mut call.receiver));
        self.args.iter_mut().for_each(|arg| of(&mut arg.value));
        self.elements.iter_mut().for_each(|element| of(&mut element.2));
        for body in &mut self.bodies {
            of(&mut body.returned);
            body.returns.iter_mut().for_each(|one| of(&mut one.0));
        }
        self.sources = sources;
    }

    /// The variable that stands for `variable`.
    #[inline]
    pub(super) fn variable(&self, variable: u32) -> u32 {
        self.sources.get(variable as usize).copied().unwrap_or(variable)
    }

    /// Place of `file` among those that are solved together.
    pub(super) fn place(&self, file: u32) -> Option<usize> {
        self.local[file as usize].checked_sub(1).map(|place| place as usize)
    }

    /// The first cell of `file`.
    fn cells_of(&self, file: u32) -> Option<u32> {
        self.place(file).map(|place| self.cells[place])
    }

    /// Part of the project that a row belongs to.
    pub(super) fn part_of_row(&self, row: u32) -> u32 {
        self.parts.of[self.file_of_row(row) as usize]
    }

    /// Part of the project that a file belongs to.
    pub(super) fn part_of(&self, file: u32) -> u32 {
        self.parts.of[file as usize]
    }

    /// Variable of the getter where a call of `property`, which these come to, makes one.
    pub(super) fn getter(&self, maker: Op, callees: &[Object]) -> Option<u32> {
        let property = known::find("property").map(|known| Object::new(Kind::Known, known))?;
        let Call { first, end, .. } = self.calls[maker.b as usize];
        let arg = self.args[first as usize..end as usize].first()?;
        callees.contains(&property).then_some(arg.value)
    }

    /// The class in which methods of the language are looked up for an object: its own, or the metaclass.
    pub(super) fn type_of(&self, object: Object) -> Option<u32> {
        match object.kind() {
            Kind::Instance | Kind::Receiver => Some(object.number()),
            Kind::Class | Kind::ClassReceiver => self.metaclass(object.number()),
            _ => None,
        }
    }

    /// True where module `found` is in part number `part`.
    pub(super) fn is_in(&self, found: Found, part: u32) -> bool {
        match found {
            Found::File(file) => self.parts.of[file as usize] == part,
            Found::Namespace(_) => true,
        }
    }

    /// The function that symbol number `symbol` is.
    #[inline]
    pub(super) fn function(&self, symbol: u32) -> Option<&Function> {
        if let Some(copy) = symbol.checked_sub(self.copies.first_symbol) {
            return self.bodies.get(self.copies.symbols.get(copy as usize)?.1 as usize);
        }
        let place = *self.functions.get(symbol.checked_sub(self.first_symbol)? as usize)?;
        let place = place.checked_sub(1)?;
        self.bodies.get(place as usize)
    }

    /// Constraints of the rows of a file, or of a function that is copied.
    fn file(&mut self, file: u32, facts: &'p Facts<'a>, rows: Range<u32>, at: &Numbering) {
        let project = self.project;
        let var = |local: u32| at.variable(local);
        let mut names: Vec<u32> = vec![0; facts.rows(table::Strings) as usize];
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
                    let place = self.enter(
                        file,
                        facts,
                        var(out),
                        [a, at.symbol(self.project.symbol(file, a)), b],
                        &mut names,
                    );
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
                    self.seeds.push((var(out), Object::new(kind, symbol)));
                }
                FlowOp::Constant => {
                    let object = if a == 1 {
                        Object::number_constant(b)
                    } else {
                        let string = facts.get(col::FLOW_NAME, b);
                        Object::new(Kind::Constant, self.name_number(facts, string, &mut names))
                    };
                    self.seeds.push((var(out), object));
                }
                FlowOp::Import => {
                    for source in self.import(file, facts, a) {
                        self.source(source, var(out));
                    }
                }
                FlowOp::New => {
                    let object = Object::container(number, false, a == Container::Dict as u32);
                    self.seeds.push((var(out), object));
                    containers.insert(out, object);
                    if let Some(place) = body.checked_sub(1) {
                        let function = &mut self.bodies[place as usize];
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
                        let key = if a == 0 { ANY } else { number_key(a - 1) };
                        self.elements.push((container, key, var(b)));
                    }
                }
                FlowOp::Load | FlowOp::Store => {
                    let name = self.name_number(facts, facts.get(col::REF_NAME, b), &mut names);
                    if op == FlowOp::Store {
                        if self.stored.len() <= name as usize {
                            self.stored.resize(name as usize + 1, false);
                        }
                        self.stored[name as usize] = true;
                    }
                    self.ops.push(Op { op, out: var(out), a: var(a), b: name, row: number });
                }
                FlowOp::Put | FlowOp::Get | FlowOp::Narrow => {
                    self.ops.push(Op { op, out: var(out), a: var(a), b: var(b), row: number });
                }
                FlowOp::Super => {
                    let class = if a == 0 {
                        super::super::value::enclosing_class(facts, scope)
                            .map_or(0, |class| project.symbol(file, class) + 1)
                    } else {
                        0
                    };
                    self.supers.insert(number, class);
                    self.ops.push(Op { op, out: var(out), a: var(a), b: var(b), row: number });
                }
                FlowOp::Unpack | FlowOp::Iterate | FlowOp::Await | FlowOp::With | FlowOp::Instance => {
                    self.ops.push(Op { op, out: var(out), a: var(a), b, row: number });
                }
                FlowOp::Operation => {
                    let first = self.args.len() as u32;
                    while row < rows && facts.get(col::FLOW_OP, row) == FlowOp::Operand as u32 {
                        let value = var(facts.get(col::FLOW_A, row));
                        self.args.push(Arg { kind: 0, given: given::ANY, name: 0, value });
                        row += 1;
                    }
                    let call = self.calls.len() as u32;
                    // The row of the protocol takes the place of the name.
                    self.calls.push(Call { receiver: 0, method: b, first, end: self.args.len() as u32 });
                    self.ops.push(Op { op, out: var(out), a: var(a), b: call, row: number });
                }
                FlowOp::Operand => {}
                FlowOp::Call | FlowOp::Decorate => {
                    let call = self.call(facts, b, at, &mut names);
                    self.decoration(op, file, facts, row - 1, at);
                    self.ops.push(Op { op, out: var(out), a: var(a), b: call, row: number });
                }
                FlowOp::Pass => {
                    let Some(place) = body.checked_sub(1) else { continue };
                    let function = &mut self.bodies[place as usize];
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
                        self.bodies[place as usize].returns.push((var(out), [a, b]));
                    }
                }
                FlowOp::LoadLike => {
                    let like = self.name_number(facts, facts.get(col::FLOW_NAME, b), &mut names);
                    if !self.patterns.contains(&like) {
                        self.patterns.push(like);
                    }
                    self.ops.push(Op { op, out: var(out), a: var(a), b: like, row: number });
                }
            }
        }
    }

    /// Notes that `value` is returned, where it is what the last constraint, a call in row `at` of the file and `row` of the project, gives.
    fn relay(&mut self, file: u32, facts: &Facts<'_>, [at, row]: [u32; 2], [body, value, out]: [u32; 3]) {
        let function = &self.bodies[body as usize];
        let Some(op) = self.ops.last().filter(|op| op.op == FlowOp::Call && op.row == row && op.out == value)
        else {
            return;
        };
        let Call { receiver, first, end, .. } = self.calls[op.b as usize];
        let params = function.param(0)..function.param(function.params.len() as u32);
        let own = |value: u32| params.contains(&value);
        let given = &self.args[first as usize..end as usize];
        if out != function.returned
            || function.has(symbol_flag::GENERATOR | symbol_flag::ASYNC)
            || !own(receiver) && !given.iter().any(|arg| own(arg.value))
        {
            return;
        }
        let Some(call) = facts.get(col::ARG_KIND, facts.get(col::FLOW_B, at)).checked_sub(1) else { return };
        let callee = facts.get(col::CALL_REF, call);
        let op = self.ops.len() as u32 - 1;
        self.relays.push(Relay { body, op, file, callee, symbol: 0, shift: 0 });
    }

    /// Parameters that a function returns because it returns what another makes of them.
    fn find_relayed(&mut self) {
        let mut relays = std::mem::take(&mut self.relays);
        let (mut cx, mut of) = (Context::default(), u32::MAX);
        let mut values = Values::new();
        relays.retain_mut(|relay| {
            let Some(facts) = self.project.facts(relay.file) else { return false };
            if std::mem::replace(&mut of, relay.file) != relay.file {
                cx.start(relay.file, facts.rows(table::Refs), &self.project.scratch);
            }
            cx.refuel();
            values.clear();
            self.project.eval(relay.file, relay.callee, &mut cx, &mut values);
            let mut values = values.iter().filter(|value| !matches!(value, Value::Variable(..)));
            let (Some(&Value::Symbol(file, symbol)), None) = (values.next(), values.next()) else {
                return false;
            };
            let caller = &self.bodies[relay.body as usize];
            let receiver = self.calls[self.ops[relay.op as usize].b as usize].receiver;
            relay.symbol = self.project.symbol(file, symbol);
            relay.shift = match self.project.kind(file, symbol) {
                SymbolKind::Function => 0,
                // Of `self`.
                SymbolKind::Method if receiver == caller.param(0) && !caller.params.is_empty() => 1,
                _ => return false,
            };
            self.function(relay.symbol).is_some_and(|one| {
                !one.has(symbol_flag::GENERATOR | symbol_flag::ASYNC | symbol_flag::STATIC)
            })
        });
        let mut again = true;
        while std::mem::take(&mut again) {
            for relay in &relays {
                let Some(callee) = self.function(relay.symbol) else { continue };
                let op = self.ops[relay.op as usize];
                let Call { receiver, first, end, .. } = self.calls[op.b as usize];
                let args = &self.args[first as usize..end as usize];
                let caller = &self.bodies[relay.body as usize];
                let mut found: SmallVec<[(u32, u32); 2]> = SmallVec::new();
                for &place in &callee.passes {
                    let name = callee.params.get(place as usize).map_or(0, |param| param.name);
                    let value = match place.checked_sub(relay.shift) {
                        None => Some(receiver),
                        Some(at) => args
                            .iter()
                            .take_while(|arg| arg.kind == ArgKind::Positional as u32)
                            .nth(at as usize)
                            .or_else(|| {
                                args.iter()
                                    .find(|arg| arg.kind == ArgKind::Keyword as u32 && arg.name == name)
                            })
                            .map(|arg| arg.value),
                    };
                    let own = value.and_then(|value| value.checked_sub(caller.param(0)));
                    if let Some(own) = own.filter(|&own| (own as usize) < caller.params.len()) {
                        found.push((place, own));
                    }
                }
                for (place, own) in found {
                    let relayed = self.relayed.entry((op.row, relay.symbol)).or_default();
                    if !relayed.contains(&place) {
                        relayed.push(place);
                        again = true;
                    }
                    let passes = &mut self.bodies[relay.body as usize].passes;
                    if !passes.contains(&own) {
                        passes.push(own);
                    }
                }
            }
        }
    }

    fn edge(&mut self, from: u32, to: u32) {
        if from != 0 && from != to {
            self.edges.push([from, to]);
        }
    }

    fn numbering(&self, file: u32) -> Numbering {
        let place = self.place(file).unwrap_or(0);
        Numbering {
            rows: self.rows[place],
            variables: self.variables[place],
            cells: self.cells[place],
            ..Numbering::default()
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
        let mut site = self.ops.len() as u32;
        if facts.get(col::DEC_CALLED, decorator) != 0 {
            let factory = at.variable(facts.get(col::FLOW_A, row));
            let back = self
                .ops
                .iter()
                .rev()
                .take(MOST_BACK)
                .position(|op| op.out == factory && op.op == FlowOp::Call);
            let Some(back) = back else { return };
            site -= 1 + back as u32;
        }
        let mut values = Values::new();
        let mut cx = Context::default();
        cx.start(file, facts.rows(table::Refs), &self.project.scratch);
        cx.refuel();
        self.project.eval(file, facts.get(col::DEC_REF, decorator), &mut cx, &mut values);
        let mut values = values.iter().filter(|value| !matches!(value, Value::Variable(..)));
        if let (Some(&Value::Symbol(file, symbol)), None) = (values.next(), values.next())
            && matches!(self.project.kind(file, symbol), SymbolKind::Function | SymbolKind::Method)
            && self.local[file as usize] != 0
        {
            self.copies.wanted.push((site, [file, symbol]));
        }
    }

    /// Copies decorators for each decoration.
    fn copy_decorators(&mut self) {
        let project = self.project;
        let mut originals: FxHashMap<[u32; 2], (Option<Original>, u32)> = FxHashMap::default();
        let mut row = self.copies.first_row;
        for (site, function) in std::mem::take(&mut self.copies.wanted) {
            let [file, symbol] = function;
            let Some(facts) = project.facts(file) else { continue };
            let (original, copied) =
                originals.entry(function).or_insert_with(|| (original(facts, symbol), 0));
            let Some(original) = original.clone() else { continue };
            *copied += original.rows.end - original.rows.start;
            if *copied > ALL_COPIED {
                continue;
            }
            let mut numbering = self.numbering(file);
            numbering.rows = row.wrapping_sub(original.rows.start);
            let variables = original.variables.end - original.variables.start;
            numbering.own_variables = self.count.wrapping_sub(original.variables.start);
            numbering.own = original.variables.clone();
            self.count += variables;
            for &scope in &original.scopes {
                for binding in facts.bindings_of(scope) {
                    numbering.own_cells.insert(numbering.cells + binding, self.count);
                    self.count += 1;
                }
            }
            for &own in &original.symbols {
                let own = project.symbol(file, own);
                numbering.symbols.push((own, self.copies.first_symbol + self.copies.symbols.len() as u32));
                self.copies.symbols.push((own, u32::MAX));
            }
            self.copies.rows.push((row, file));
            let first = self.ops.len();
            let place = self.place(file).unwrap_or(0);
            let first_row = self.rows[place];
            self.file(file, facts, original.rows.clone(), &numbering);
            for (op, number) in self.ops[first..].iter().zip(first as u32..) {
                self.copies.ops.push((first_row + op.row.wrapping_sub(numbering.rows), number));
            }
            row += original.rows.end - original.rows.start;
            let callee = self.count;
            self.count += 1;
            self.ops[site as usize].a = callee;
            let copy = numbering.symbol(project.symbol(file, symbol));
            let method = project.kind(file, symbol) == SymbolKind::Method;
            let kind = if method { Kind::Bound } else { Kind::Function };
            self.seeds.push((callee, Object::new(kind, copy)));
        }
        self.copies.ops.sort_unstable();
    }

    fn source(&mut self, source: Source, out: u32) {
        match source {
            Source::Cell(cell) => self.edge(cell, out),
            Source::Object(object) => self.seeds.push((out, object)),
        }
    }

    fn name_number(&mut self, facts: &'p Facts<'a>, string: u32, known: &mut [u32]) -> u32 {
        let Some(place) = known.get_mut(string as usize) else { return 0 };
        if *place == 0 && string != 0 {
            *place = self.names.add(facts.bytes_of(string));
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
        let first = self.args.len() as u32;
        for row in at..at + shape / 2 {
            let name = self.name_number(facts, facts.get(col::ARG_NAME, row), names);
            let (kind, value) = (facts.get(col::ARG_KIND, row), var(facts.get(col::ARG_VALUE, row)));
            self.args.push(Arg { kind: kind / 8, given: kind & given::ANY, name, value });
        }
        self.calls.push(Call { receiver, method, first, end: self.args.len() as u32 });
        self.calls.len() as u32 - 1
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
        let place = self.bodies.len() as u32;
        if let Some(copy) = number.checked_sub(self.copies.first_symbol) {
            self.copies.symbols[copy as usize].1 = place;
        } else if let Some(entry) = self.functions.get_mut((number - self.first_symbol) as usize) {
            *entry = place + 1;
        }
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
            && let Some(receiver) = receiver(self.project, file, facts, symbol, self.names.text(first.name))
        {
            self.seeds.push((function.param(0), receiver));
        }
        self.bodies.push(function);
        place
    }

    /// What a name stands for that ref `row` reads wherever it is assigned.
    fn name(&mut self, file: u32, facts: &'p Facts<'a>, row: u32) -> Sources {
        let mut found = Sources::new();
        if RefKind::from_u32(facts.get(col::REF_KIND, row)) != RefKind::Name {
            return found;
        }
        if let Some(first) = facts.opt(col::REF_BASE, row) {
            found.extend(self.cells_of(file).map(|cells| Source::Cell(cells + first)));
            return found;
        }
        let key = Key::of(facts, facts.get(col::REF_NAME, row));
        let rows = facts.lookup(0, key.bytes, key.hash);
        if !rows.is_empty() {
            found.extend(self.cells_of(file).map(|cells| Source::Cell(cells + rows.start)));
        } else if !self.star(file, key, 0, &mut found) && is_builtin(key.text()) {
            found.push(Source::Object(match known::find(key.text()) {
                Some(known) => Object::new(Kind::Known, known),
                None => Object::EXTERNAL,
            }));
        }
        found
    }

    fn star(&self, file: u32, key: Key<'_>, depth: u32, found: &mut Sources) -> bool {
        let project = self.project;
        for import in project.stars.get(file, key.hash) {
            if let Some(Found::File(from)) = project.imports.get(file, import).module
                && project.exported_by_star(from, key)
                && self.export(from, key, true, depth + 1, found)
            {
                return true;
            }
        }
        false
    }

    /// What module `file` has under `key`.
    pub(super) fn export(
        &self,
        file: u32,
        key: Key<'_>,
        stub: bool,
        depth: u32,
        found: &mut Sources,
    ) -> bool {
        let Some(facts) = self.project.facts(file) else { return false };
        if depth > MAX_DEPTH {
            return false;
        }
        let rows = facts.lookup(0, key.bytes, key.hash);
        if !rows.is_empty() {
            found.extend(self.cells_of(file).map(|cells| Source::Cell(self.variable(cells + rows.start))));
            return true;
        }
        if self.star(file, key, depth, found) {
            return true;
        }
        match self.project.table.beside.get(&file) {
            Some(&other) if stub => self.export(other, key, false, depth + 1, found),
            _ => false,
        }
    }

    /// Attribute `key` of module `file`.
    pub(super) fn module_attribute(&self, file: u32, key: Key<'_>) -> Sources {
        let mut found = Sources::new();
        if !self.export(file, key, true, 0, &mut found) && self.project.table.package[file as usize] {
            let part = self.parts.of[file as usize];
            let module = self.project.table.submodule(file, key.text());
            if let Some(module) = module.filter(|&module| self.is_in(module, part)) {
                found.push(Source::Object(module_object(module)));
            }
        }
        found
    }

    /// What import row `row` of `file` binds.
    fn import(&self, file: u32, facts: &Facts<'_>, row: u32) -> Sources {
        let target = self.project.imports.get(file, row);
        let mut found = Sources::new();
        let kind = ImportKind::from_u32(facts.get(col::IMP_KIND, row));
        let module = match kind {
            ImportKind::Module if facts.get(col::IMP_AS, row) == 0 => target.other,
            ImportKind::From => {
                let key = Key::of(facts, facts.get(col::IMP_NAME, row));
                match target.module {
                    Some(Found::File(from)) if from == file && target.other.is_some() => target.other,
                    Some(Found::File(from)) => {
                        if self.export(from, key, true, 0, &mut found) {
                            return found;
                        }
                        target.other
                    }
                    _ => target.other,
                }
            }
            _ => target.module,
        };
        match module {
            Some(module) => found.push(Source::Object(module_object(module))),
            None if kind == ImportKind::From && target.module.is_some() => {}
            None => {
                let name = facts.str(col::IMP_MODULE, row);
                let known = if kind == ImportKind::From {
                    known::find(&format!("{name}.{}", facts.str(col::IMP_NAME, row)))
                } else if facts.get(col::IMP_AS, row) == 0 {
                    known::find(name.split('.').next().unwrap_or(name))
                } else {
                    known::find(name)
                };
                let known = known.filter(|_| facts.get(col::IMP_LEVEL, row) == 0);
                found.push(Source::Object(match known {
                    Some(known) => Object::new(Kind::Known, known),
                    None => Object::EXTERNAL,
                }));
            }
        }
        found
    }

    /// The cell of what the body of a class (file, symbol) binds under `key`.
    pub(super) fn class_cell(&self, class: [u32; 2], key: Key<'_>) -> Option<u32> {
        let facts = self.project.facts(class[0])?;
        let scope = facts.opt(col::SYM_SCOPE, class[1])?;
        let rows = members(facts, scope, key);
        if rows.is_empty() {
            return None;
        }
        Some(self.variable(self.cells_of(class[0])? + rows.start))
    }

    /// The method that a class has under name number `name`; 0 without, else its symbol +1.
    pub(super) fn method(&self, class: u32, name: u32) -> u32 {
        let class = self.project.locate(class);
        let found = self.project.method(class, self.names.key(name));
        found.map_or(0, |(file, symbol)| self.project.symbol(file, symbol) + 1)
    }

    /// The setter of property `name`.
    pub(super) fn setter(&self, class: u32, name: u32) -> Option<u32> {
        if !self.settable.contains(&name) {
            return None;
        }
        let project = self.project;
        let (file, symbol) = project.locate(class);
        let key = self.names.key(name);
        for &[file, class] in project.classes.mro(file, symbol) {
            let facts = project.facts(file)?;
            let Some(scope) = facts.opt(col::SYM_SCOPE, class) else { continue };
            let rows = members(facts, scope, key);
            if rows.is_empty() {
                continue;
            }
            return rows
                .filter(|&row| {
                    let kind = facts.get(col::BIN_KIND, row) & (BINDING_CONDITIONAL - 1);
                    kind == BindingKind::Definition as u32
                })
                .map(|row| facts.get(col::BIN_TARGET, row))
                .find(|&symbol| facts.get(col::SYM_FLAGS, symbol) & symbol_flag::SETTER != 0)
                .map(|symbol| project.symbol(file, symbol));
        }
        None
    }
}

/// Starts of the rows of each variable, and the rows sorted by it.
pub(super) fn by_variable(
    count: u32,
    rows: impl Iterator<Item = (u32, u32)> + Clone,
) -> (Vec<u32>, Vec<u32>) {
    let mut starts = vec![0; count as usize + 1];
    for (variable, _) in rows.clone() {
        starts[variable as usize + 1] += 1;
    }
    for at in 1..starts.len() {
        starts[at] += starts[at - 1];
    }
    let mut places = starts.clone();
    let mut values = vec![0; starts[count as usize] as usize];
    for (variable, value) in rows {
        let place = &mut places[variable as usize];
        values[*place as usize] = value;
        *place += 1;
    }
    (starts, values)
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

/// True for a variable of a class, one that is annotated where that is asked for: a field of a dataclass, a named tuple or the like.
pub(super) fn is_field(facts: &Facts<'_>, symbol: u32, annotated: bool) -> bool {
    facts.get(col::SYM_KIND, symbol) == SymbolKind::ClassVariable as u32
        && (!annotated || facts.get(col::SYM_FLAGS, symbol) & symbol_flag::ANNOTATED != 0)
}

pub(super) fn module_object(found: Found) -> Object {
    match found {
        Found::File(file) => Object::new(Kind::Module, file),
        Found::Namespace(namespace) => Object::namespace(namespace),
    }
}

/// Key under which unknown keys of a container lie.
pub(super) const ANY: u32 = u32::MAX;
/// Key under which the functions lie that were registered for a dispatcher.
pub(super) const REGISTERED: u32 = u32::MAX - 3;
/// Tells files from classes.
pub(super) const MODULE: u32 = 1 << 31;
/// Key under which everything in a container lies.
pub(super) const ALL: u32 = u32::MAX - 1;
/// Key under which the keys of a dictionary lie.
pub(super) const KEYS: u32 = u32::MAX - 2;

/// The key of a constant number.
pub(super) const fn number_key(number: u32) -> u32 {
    (1 << 31) | (number & ((1 << 28) - 1))
}
