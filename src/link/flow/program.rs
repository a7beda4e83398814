//! The constraints of all files, and what they ask of the project.

use super::apply::Abstract;
use super::code::{Code, Dependents, Op};
use super::copies::Copies;
use super::known;
use super::lay::{Layer, Numbering, Sheet};
use super::outside;
use super::parts::Parts;
use super::sets::Hierarchy;
use super::{Kind, Object};
use crate::link::Project;
use crate::link::modules::Found;
use crate::link::value::{Context, Key, Value, Values, members};
use crate::model::facts::{
    ArgKind, BINDING_CONDITIONAL, BindingKind, Facts, FlowOp, ImportKind, PROTOCOL, ParamKind, ScopeKind,
    SymbolKind, col, symbol_flag, table,
};
use crate::model::name;
use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;
use std::ops::Range;

/// Rows of constraints below which a run of files is not split further.
const SHORTEST: u32 = 1 << 12;

/// Re-exports followed.
const MAX_DEPTH: u32 = 40;

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
    pub(super) of_class: bool,
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

    pub(in super::super) const KEYS: u32 = 38;

    pub(super) const NAMES: [&str; 38] = [
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
        "keys",
    ];
}

impl<'p> NameTable<'p> {
    /// The methods of the language, and then those of [`PROTOCOL`] by their rows.
    pub(super) fn new() -> (Self, Vec<[u32; 2]>) {
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

    /// Adds the names of another table; gives the number of each.
    pub(super) fn take(&mut self, other: Self) -> Vec<u32> {
        other.texts.into_iter().map(|text| self.add(text)).collect()
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
    pub(super) local: Vec<u32>,
    pub(super) files: Vec<u32>,
    /// What all files say; constraints, calls and arguments until they are packed.
    pub(super) sheet: Sheet<'p>,
    pub(super) code: Code,
    pub(super) dependents: Dependents,
    /// For each of these files: first row, first variable, first cell (once simplified, its place in `sources`).
    pub(super) rows: Vec<u32>,
    pub(super) variables: Vec<u32>,
    pub(super) cells: Vec<u32>,
    /// Number of variables.
    pub(super) count: u32,
    /// The variable that stands for each cell, once that is known.
    pub(super) sources: Vec<u32>,
    /// For each symbol from `first_symbol` on: place in `bodies` +1.
    functions: Vec<u32>,
    first_symbol: u32,
    /// Names of the properties that have setters.
    settable: FxHashSet<u32>,
    /// For each name with a `*` and a class or, with [`MODULE`], a file: the names there that are like it.
    alike: FxHashMap<(u32, u32), Vec<u32>>,
    /// Metaclasses of the classes whose statements name one.
    metaclasses: FxHashMap<u32, u32>,
    /// What class statements call: class, function, what comes to the function's first parameter.
    pub(super) hooks: Vec<(u32, u32, Object)>,
    /// Functions that `functools.singledispatch` was applied to.
    pub(super) dispatchers: FxHashSet<u32>,
    pub(super) copies: Copies,
    /// Names of the methods of each row of [`PROTOCOL`]: one's own, and the other operand's.
    pub(super) protocol: Vec<[u32; 2]>,
    /// By row of such a call and function that is called: parameters of that which are returned, so that they are among the
    /// [`Function::passes`] of whoever called.
    pub(super) relayed: FxHashMap<(u32, u32), SmallVec<[u32; 2]>>,
}

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
            sheet: Sheet { names, ..Sheet::default() },
            code: Code::default(),
            dependents: Dependents::default(),
            rows: Vec::new(),
            variables: Vec::new(),
            cells: Vec::new(),
            count: 1,
            sources: Vec::new(),
            functions: Vec::new(),
            first_symbol: files.first().map_or(0, |&file| project.base[file as usize]),
            settable: FxHashSet::default(),
            alike: FxHashMap::default(),
            metaclasses: FxHashMap::default(),
            hooks: Vec::new(),
            dispatchers: FxHashSet::default(),
            copies: Copies::default(),
            protocol,
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
        program.lay_out();
        program.copy_decorators();
        program.find_relayed();
        program.mark_fields();
        program.find_alike();
        program.find_metaclasses();
        program.find_hooks();
        program.simplify();
        let sheet = &mut program.sheet;
        let (code, dependents) = rayon::join(
            || Code::new(&sheet.ops, &sheet.calls, &sheet.args, &project.scratch),
            || Dependents::new(program.count, sheet, &project.scratch),
        );
        (program.code, program.dependents) = (code, dependents);
        (sheet.ops, sheet.calls, sheet.args) = (Vec::new(), Vec::new(), Vec::new());
        sheet.edges = Vec::new();
        sheet.seeds.shrink_to_fit();
        sheet.bodies.shrink_to_fit();
        program
    }

    /// Lays out all files, in runs of some length on all threads.
    fn lay_out(&mut self) {
        let threads = rayon::current_num_threads() as u32;
        let last = *self.rows.last().unwrap_or(&0);
        let length = if threads == 1 { u32::MAX } else { (last / (threads * 8)).max(SHORTEST) };
        let mut runs: Vec<Range<usize>> = Vec::new();
        for place in 0..self.files.len() {
            match runs.last_mut() {
                Some(run) if self.rows[place + 1] - self.rows[run.start] <= length => run.end = place + 1,
                _ => runs.push(place..place + 1),
            }
        }
        let program = &*self;
        let lay = |run: &Range<usize>| Layer::new(program).files(&program.files[run.clone()]);
        let mut all = Sheet::default();
        let mut laid: Vec<Sheet<'p>> = Vec::new();
        // A window at a time, so that few are held before they are joined; meanwhile the next is worked on.
        for window in runs.chunks(threads as usize * 2) {
            let next = || window.par_iter().with_max_len(1).map(lay).collect();
            laid = rayon::join(next, || laid.into_iter().for_each(|sheet| all.append(sheet))).0;
        }
        laid.into_iter().for_each(|sheet| all.append(sheet));
        all.first_ops.push(all.ops.len() as u32);
        self.take(all);
    }

    /// Adds what was laid out; its numbers become those of all.
    pub(super) fn take(&mut self, sheet: Sheet<'p>) {
        let first = self.sheet.bodies.len();
        self.sheet.append(sheet);
        for (place, &symbol) in (0..).zip(&self.sheet.symbols).skip(first) {
            if let Some(copy) = symbol.checked_sub(self.copies.first_symbol) {
                self.copies.symbols[copy as usize].1 = place;
            } else if let Some(entry) = self.functions.get_mut((symbol - self.first_symbol) as usize) {
                *entry = place + 1;
            }
        }
    }

    /// Numbers of a file.
    pub(super) fn numbering(&self, file: u32) -> Numbering {
        let place = self.place(file).unwrap_or(0);
        Numbering {
            rows: self.rows[place],
            variables: self.variables[place],
            cells: self.cells[place],
            ..Numbering::default()
        }
    }

    /// Arguments of constructors that nobody wrote are assigned to the annotated variables of their classes; properties with setters.
    fn mark_fields(&mut self) {
        for name in [special::FGET, special::FSET] {
            self.sheet.stored[name as usize] = true;
        }
        for &file in &self.files {
            let Some(facts) = self.project.facts(file) else { continue };
            for symbol in 0..facts.rows(table::Symbols) {
                let parent = facts.opt(col::SYM_PARENT, symbol);
                let dataclass = parent
                    .is_some_and(|class| facts.get(col::SYM_FLAGS, class) & symbol_flag::DATACLASS != 0);
                if is_field(facts, symbol, !dataclass)
                    && let Some(name) = self.sheet.names.find(facts.str(col::SYM_NAME, symbol))
                {
                    self.sheet.stored[name as usize] = true;
                }
                if facts.get(col::SYM_FLAGS, symbol) & symbol_flag::SETTER != 0 {
                    self.settable.extend(self.sheet.names.find(facts.str(col::SYM_NAME, symbol)));
                }
            }
        }
    }

    /// Names that are like a pattern, in classes and modules.
    fn find_alike(&mut self) {
        if self.sheet.patterns.is_empty() {
            return;
        }
        let patterns: Vec<(u32, &str, &str)> = self
            .sheet
            .patterns
            .iter()
            .filter_map(|&pattern| {
                let (before, after) = self.sheet.names.text(pattern).split_once('*')?;
                Some((pattern, before, after))
            })
            .collect();
        let in_file = |&file: &u32| {
            let mut found = Vec::new();
            let Some(facts) = self.project.facts(file) else { return found };
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
            found
        };
        let found: Vec<_> = self.files.par_iter().map(in_file).collect();
        for (pattern, owner, name) in found.into_iter().flatten() {
            let name = self.sheet.names.add(name);
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

    /// True for a class within a function.
    pub(super) fn is_local(&self, class: u32) -> bool {
        let (file, symbol) = self.project.locate(class);
        let parent = self.project.facts(file).and_then(|facts| {
            let parent = facts.opt(col::SYM_PARENT, symbol)?;
            Some(SymbolKind::from_u32(facts.get(col::SYM_KIND, parent)))
        });
        matches!(parent, Some(SymbolKind::Function | SymbolKind::Method))
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
        all.map(|copy| self.code.op(copy.1))
    }

    /// The file that a row belongs to.
    pub(super) fn file_of_row(&self, row: u32) -> u32 {
        if row >= self.copies.first_row {
            return self.copies.rows[self.copies.rows.partition_point(|copy| copy.0 <= row) - 1].1;
        }
        self.files[self.rows.partition_point(|&first| first <= row) - 1]
    }

    /// The variable that stands for cell `cell`.
    #[inline]
    pub(super) fn variable(&self, cell: u32) -> u32 {
        self.sources.get(cell as usize).copied().unwrap_or(cell)
    }

    /// Place of `file` among those that are solved together.
    pub(super) fn place(&self, file: u32) -> Option<usize> {
        self.local[file as usize].checked_sub(1).map(|place| place as usize)
    }

    /// The first cell of `file`.
    pub(super) fn cells_of(&self, file: u32) -> Option<u32> {
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
        let arg = self.code.args_of(maker).get(0)?;
        callees.contains(&property).then_some(arg.value)
    }

    /// Variables of what a call of something of the standard library calls.
    pub(super) fn called_outside(&self, op: Op, object: Object) -> SmallVec<[u32; 2]> {
        let Some(thing) = object.as_outside().filter(|_| op.op == FlowOp::Call) else {
            return SmallVec::new();
        };
        let args = self.code.args_of(op);
        let value = |(place, name): (u32, &str)| {
            let place = usize::try_from(place).unwrap_or(usize::MAX);
            let spread = args.iter().take(place + 1).any(|arg| arg.kind != ArgKind::Positional as u32);
            let positional = if spread { None } else { args.get(place) };
            positional.or_else(|| {
                let name = self.sheet.names.find(name)?;
                args.iter().find(|arg| arg.kind == ArgKind::Keyword as u32 && arg.name == name)
            })
        };
        outside::called(thing).into_iter().filter_map(value).map(|arg| arg.value).collect()
    }

    /// True where an object has, or may inherit, `keys()`: what its items are asked of.
    pub(super) fn is_mapping(&self, object: Object) -> bool {
        self.type_of(object).is_some_and(|class| {
            let (file, symbol) = self.project.locate(class);
            self.project.classes.is_derived(file, symbol) || self.method(class, special::KEYS) != 0
        })
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
            return self.sheet.bodies.get(self.copies.symbols.get(copy as usize)?.1 as usize);
        }
        let place = *self.functions.get(symbol.checked_sub(self.first_symbol)? as usize)?;
        let place = place.checked_sub(1)?;
        self.sheet.bodies.get(place as usize)
    }

    pub(super) fn star(&self, file: u32, key: Key<'_>, depth: u32, found: &mut Sources) -> bool {
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
    pub(super) fn import(&self, file: u32, facts: &Facts<'_>, row: u32) -> Sources {
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
                let (module, member) = match kind {
                    ImportKind::From => (name, Some(facts.str(col::IMP_NAME, row))),
                    _ if facts.get(col::IMP_AS, row) == 0 => (name.split('.').next().unwrap_or(name), None),
                    _ => (name, None),
                };
                let object = match facts.get(col::IMP_LEVEL, row) {
                    0 => known::imported(module, member),
                    _ => Object::EXTERNAL,
                };
                found.push(Source::Object(object));
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
        let found = self.project.method(class, self.sheet.names.key(name));
        found.map_or(0, |(file, symbol)| self.project.symbol(file, symbol) + 1)
    }

    /// The setter of property `name`.
    pub(super) fn setter(&self, class: u32, name: u32) -> Option<u32> {
        if !self.settable.contains(&name) {
            return None;
        }
        let project = self.project;
        let (file, symbol) = project.locate(class);
        let key = self.sheet.names.key(name);
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

impl Hierarchy for Program<'_, '_> {
    fn common(&self, classes: &[u32]) -> Option<u32> {
        let project = self.project;
        let mut above: FxHashMap<[u32; 2], usize> = FxHashMap::default();
        for &class in classes {
            let (file, symbol) = project.locate(class);
            project.classes.mro(file, symbol).iter().for_each(|&one| *above.entry(one).or_default() += 1);
        }
        let most = (classes.len() * 2).div_ceil(3);
        let depth = |[file, symbol]: [u32; 2]| project.classes.mro(file, symbol).len();
        let best = above
            .into_iter()
            .filter(|one| one.1 >= most)
            .max_by_key(|&(one, count)| (depth(one), count, std::cmp::Reverse(one)));
        best.map(|([file, symbol], _)| project.symbol(file, symbol))
    }
}

/// Appends; what is the first is taken as it is.
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
/// Key under which containers lie whose items a container has under the same keys: `{**other}`, `f(*others)`.
pub(super) const SPREAD: u32 = u32::MAX - 4;
/// Key under which the pairs lie of which a dictionary was made.
pub(super) const PAIRS: u32 = u32::MAX - 5;

/// The key of a constant number.
pub(super) const fn number_key(number: u32) -> u32 {
    (1 << 31) | (number & ((1 << 28) - 1))
}
