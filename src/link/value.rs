//! What an access path stands for: names through scopes, imports and re-exports, attributes of modules and
//! classes, `self`, `super()`, instances of constructors. Several values where branches differ.
//!
//! Flow-insensitive: inside the binding scope all bindings count; from elsewhere the last unconditional one
//! and the conditional ones after it.

use super::Project;
use super::builtins::{is_builtin, is_literal_class};
use super::links::Reason;
use super::memo::{MOST, Numbers};
use super::modules::Found;
use crate::model::facts::{
    BINDING_CONDITIONAL, BINDING_LAST, BindingKind, Facts, ImportKind, ParamKind, RefKind, ScopeKind,
    SymbolKind, col, file_flag, symbol_flag, table,
};
use crate::model::name::{self, PairMap};
use crate::sys::{Column, Scratch};
use smallvec::SmallVec;
use std::sync::Arc;

/// The bits of a binding's kind proper.
const BINDING_KIND: u32 = BINDING_CONDITIONAL - 1;

/// A value. Pairs are (file, row).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// The variable through which the values after it came.
    Variable(u32, u32),
    /// A module, class, function or type alias.
    Symbol(u32, u32),
    /// An instance of exactly this class.
    Instance(u32, u32),
    /// `self`: an instance of this class or of a subclass.
    Receiver(u32, u32),
    /// `cls`: this class or a subclass.
    ClassReceiver(u32, u32),
    /// `super()` in this class.
    Super(u32, u32),
    /// A namespace package.
    Namespace(u32),
    /// Outside the project: what an import row binds.
    ExternalImport(u32, u32),
    /// Outside the project: the first part of an `import a.b`.
    ExternalTop(u32, u32),
    /// Outside the project: a ref (attribute of an external value or of a class with an external base).
    ExternalRef(u32, u32),
    /// Outside the project: a name found through a star import row of a file; the name is that of a ref.
    Builtin(u32, u32),
    /// A literal; (file, ref) of it.
    Literal(u32, u32),
    /// Attribute of a literal or built-in; (file, ref).
    BuiltinRef(u32, u32),
    /// Not known.
    Unknown(Reason),
}

impl Value {
    /// The value as one number; files are fewer than 2^28.
    fn code(self) -> u64 {
        let (kind, file, row) = match self {
            Self::Variable(file, row) => (1, file, row),
            Self::Symbol(file, row) => (2, file, row),
            Self::Instance(file, row) => (3, file, row),
            Self::Receiver(file, row) => (4, file, row),
            Self::ClassReceiver(file, row) => (5, file, row),
            Self::Super(file, row) => (6, file, row),
            Self::Namespace(row) => (7, 0, row),
            Self::ExternalImport(file, row) => (8, file, row),
            Self::ExternalTop(file, row) => (9, file, row),
            Self::ExternalRef(file, row) => (10, file, row),
            Self::Builtin(file, row) => (11, file, row),
            Self::Literal(file, row) => (12, file, row),
            Self::BuiltinRef(file, row) => (13, file, row),
            Self::Unknown(reason) => (14, 0, reason as u32),
        };
        kind << 60 | u64::from(file) << 32 | u64::from(row)
    }

    /// The value with this code.
    fn of(code: u64) -> Self {
        let (file, row) = ((code >> 32) as u32 & 0x0fff_ffff, code as u32);
        match code >> 60 {
            1 => Self::Variable(file, row),
            2 => Self::Symbol(file, row),
            3 => Self::Instance(file, row),
            4 => Self::Receiver(file, row),
            5 => Self::ClassReceiver(file, row),
            6 => Self::Super(file, row),
            7 => Self::Namespace(row),
            8 => Self::ExternalImport(file, row),
            9 => Self::ExternalTop(file, row),
            10 => Self::ExternalRef(file, row),
            11 => Self::Builtin(file, row),
            12 => Self::Literal(file, row),
            13 => Self::BuiltinRef(file, row),
            _ => Self::Unknown(Reason::from_u32(row)),
        }
    }
}

pub(crate) type Values = SmallVec<[Value; 2]>;

/// Depth of aliases, re-exports and bases followed.
const MAX_DEPTH: u32 = 40;
/// Refs and exports looked at for one path.
const FUEL: u32 = 400;
/// Values kept of one path.
const MAX_VALUES: usize = 16;

/// What was found out so far while one file is linked: each path is evaluated once.
///
/// A path that leads back to itself contributes nothing to itself. What was found out on such a way round is kept only
/// once the path that it leads back to is done, since until then it lacks that path's other values. All of it depends on
/// the order of the file's rows alone.
#[derive(Debug, Default)]
pub(crate) struct Context {
    own: u32,
    /// For each row of the own file: place in `ranges` +1.
    rows: Numbers,
    foreign: rustc_hash::FxHashMap<(u32, u32), u32>,
    /// Where the values of each slot lie in `arena`; first one slot for each [`Reason`] alone.
    ranges: Vec<(u32, u32)>,
    arena: Vec<Value>,
    /// The same of what a huge file has beyond [`MOST`] slots.
    far_ranges: Column<[u32; 2]>,
    far_arena: Column<u64>,
    /// Slot of each single value.
    single: PairMap,
    singles: usize,
    active: Vec<(u32, u32)>,
    /// Lowest place in `active` that a path led back to.
    cut: usize,
    depth: u32,
    fuel: u32,
}

impl Context {
    /// Starts anew for `file`, which has so many refs.
    pub(crate) fn start(&mut self, file: u32, refs: u32, scratch: &Arc<Scratch>) {
        self.own = file;
        self.rows.start(refs, scratch);
        self.foreign.clear();
        self.ranges.clear();
        self.arena.clear();
        self.far_ranges = Column::new(scratch);
        self.far_arena = Column::new(scratch);
        self.single.clear(refs as usize / 4);
        self.singles = 0;
        for (at, &reason) in Reason::ALL.iter().enumerate() {
            self.arena.push(Value::Unknown(reason));
            self.ranges.push((at as u32, at as u32 + 1));
        }
        self.refuel();
    }

    /// Allows the next path its own share of work.
    pub(crate) fn refuel(&mut self) {
        self.active.clear();
        self.cut = usize::MAX;
        self.depth = 0;
        self.fuel = FUEL;
    }

    /// Number of what `row` of the own file stands for: rows with the same number have the same values. 0 where it is
    /// not done.
    #[inline]
    pub(crate) fn number(&self, row: u32) -> u32 {
        self.rows.get(row)
    }

    /// To be called for each row of the own file, in order, once it is done.
    #[inline]
    pub(crate) fn close(&mut self, row: u32) {
        self.rows.close(row);
    }

    /// Gives `row` of the own file the values of number `slot`.
    #[inline]
    pub(crate) fn set_number(&mut self, row: u32, slot: u32) {
        self.rows.set(row, slot);
    }

    /// The number of a value of which nothing but `reason` is known.
    #[inline]
    pub(crate) fn unknown(reason: Reason) -> u32 {
        reason as u32 + 1
    }

    /// The reason, where a number says nothing else.
    #[inline]
    pub(crate) fn reason(number: u32) -> Option<Reason> {
        Reason::ALL.get((number as usize).wrapping_sub(1)).copied()
    }

    fn slot(&self, file: u32, row: u32) -> u32 {
        if file == self.own {
            self.rows.get(row)
        } else {
            self.foreign.get(&(file, row)).copied().unwrap_or(0)
        }
    }

    /// Values of a ref that is done.
    #[inline]
    pub(crate) fn values(&self, file: u32, row: u32) -> SmallVec<[Value; 4]> {
        match self.slot(file, row) {
            0 => SmallVec::new(),
            slot => self.values_in(slot - 1),
        }
    }

    #[inline]
    fn values_in(&self, place: u32) -> SmallVec<[Value; 4]> {
        match self.ranges.get(place as usize) {
            Some(&(start, end)) => SmallVec::from_slice(&self.arena[start as usize..end as usize]),
            None => self.far_values(place as usize - self.ranges.len()),
        }
    }

    #[cold]
    fn far_values(&self, place: usize) -> SmallVec<[Value; 4]> {
        let [start, end] = self.far_ranges.get(place);
        (start as usize..end as usize).map(|at| Value::of(self.far_arena.get(at))).collect()
    }

    fn known(&self, file: u32, row: u32, out: &mut Values) -> bool {
        let slot = self.slot(file, row);
        if slot == 0 {
            return false;
        }
        for value in self.values_in(slot - 1) {
            add(out, value);
        }
        true
    }

    fn enter(&mut self, file: u32, row: u32) -> bool {
        if let Some(at) = self.active.iter().position(|&entry| entry == (file, row)) {
            self.cut = self.cut.min(at);
            return false;
        }
        if !self.deeper() {
            return false;
        }
        self.active.push((file, row));
        true
    }

    fn deeper(&mut self) -> bool {
        if self.depth >= MAX_DEPTH || self.fuel == 0 {
            self.cut = 0;
            return false;
        }
        self.fuel -= 1;
        self.depth += 1;
        true
    }

    fn leave(&mut self, file: u32, row: u32, values: &[Value]) {
        self.active.pop();
        self.depth -= 1;
        if self.cut < self.active.len() {
            return;
        }
        self.cut = usize::MAX;
        let slot = self.slot_of(values);
        if file == self.own {
            self.rows.set(row, slot);
        } else {
            if self.foreign.len() >= MOST {
                self.foreign.clear();
            }
            self.foreign.insert((file, row), slot);
        }
    }
}

impl Context {
    fn slot_of(&mut self, values: &[Value]) -> u32 {
        let next = (self.ranges.len() + self.far_ranges.len()) as u32;
        match *values {
            [Value::Unknown(reason)] => return Self::unknown(reason),
            [single] => {
                if self.singles >= MOST {
                    (self.singles, _) = (0, self.single.clear(0));
                }
                let (known, new) = self.single.insert(single.code(), next);
                if !new {
                    return known + 1;
                }
                self.singles += 1;
            }
            _ => {}
        }
        if self.ranges.len() >= MOST {
            let start = self.far_arena.len() as u32;
            self.far_arena.extend(values.iter().map(|value| value.code()));
            self.far_ranges.push([start, self.far_arena.len() as u32]);
            return next + 1;
        }
        let start = self.arena.len() as u32;
        self.arena.extend_from_slice(values);
        self.ranges.push((start, self.arena.len() as u32));
        next + 1
    }
}

/// A name with its hash.
#[derive(Clone, Copy)]
pub(crate) struct Key<'n> {
    pub(crate) bytes: &'n [u8],
    pub(crate) hash: u32,
}

impl<'n> Key<'n> {
    pub(crate) fn new(text: &'n str) -> Self {
        Self { bytes: text.as_bytes(), hash: name::hash(text.as_bytes()) }
    }

    /// The name as text; empty where it is none.
    pub(crate) fn text(&self) -> &'n str {
        std::str::from_utf8(self.bytes).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn of(facts: &Facts<'n>, string: u32) -> Self {
        Self { bytes: facts.bytes_of(string), hash: facts.get(col::STR_HASH, string) }
    }
}

#[inline]
pub(crate) fn add(values: &mut Values, value: Value) {
    if values.len() < MAX_VALUES && !values.contains(&value) {
        values.push(value);
    }
}

impl Project<'_> {
    /// The function, class or module (file, symbol) that ref `row` of `file` stands for, where it can be that one alone. `cx` was started for
    /// `file`.
    pub(crate) fn only_symbol(&self, file: u32, row: u32, cx: &mut Context) -> Option<(u32, u32)> {
        let mut values = Values::new();
        cx.refuel();
        self.eval(file, row, cx, &mut values);
        let mut values = values.iter().filter(|value| !matches!(value, Value::Variable(..)));
        match (values.next(), values.next()) {
            (Some(&Value::Symbol(file, symbol)), None) => Some((file, symbol)),
            _ => None,
        }
    }

    /// Values of ref `row` of `file`.
    pub(crate) fn eval(&self, file: u32, row: u32, cx: &mut Context, out: &mut Values) {
        let Some(facts) = self.facts(file) else { return };
        if cx.known(file, row, out) {
            return;
        }
        if !cx.enter(file, row) {
            add(out, Value::Unknown(Reason::Depth));
            return;
        }
        let mut bases = Values::new();
        let mut values = Values::new();
        let kind = RefKind::from_u32(facts.get(col::REF_KIND, row));
        if matches!(kind, RefKind::Attribute | RefKind::Call | RefKind::Subscript | RefKind::Await) {
            self.eval(file, facts.get(col::REF_BASE, row), cx, &mut bases);
        }
        self.step(file, facts, row, kind, &bases, cx, &mut values);
        cx.leave(file, row, &values);
        if out.is_empty() {
            *out = values;
        } else {
            values.into_iter().for_each(|value| add(out, value));
        }
    }

    /// Values of ref `row`, given those of its base.
    #[expect(clippy::too_many_arguments, reason = "the state of one step")]
    fn step(
        &self,
        file: u32,
        facts: &Facts<'_>,
        row: u32,
        kind: RefKind,
        bases: &[Value],
        cx: &mut Context,
        out: &mut Values,
    ) {
        match kind {
            RefKind::Name => self.name(file, facts, row, cx, out),
            RefKind::Attribute => {
                let key = Key::of(facts, facts.get(col::REF_NAME, row));
                for &base in bases {
                    self.attribute(file, row, base, key, cx, out);
                }
            }
            RefKind::Call => {
                for &base in bases {
                    add(out, self.result(base));
                }
            }
            RefKind::Subscript => {
                for &base in bases {
                    add(
                        out,
                        match base {
                            // `Base[int]` is the class again.
                            Value::Symbol(..) | Value::Namespace(_) => base,
                            Value::Variable(..) => continue,
                            _ => Value::Unknown(Reason::Subscript),
                        },
                    );
                }
            }
            RefKind::Await => add(out, Value::Unknown(Reason::Await)),
            RefKind::Literal => add(out, Value::Literal(file, row)),
            RefKind::Super => self.super_(file, facts, row, cx, out),
            RefKind::Other => add(out, Value::Unknown(Reason::Expression)),
        }
    }

    fn name(&self, file: u32, facts: &Facts<'_>, row: u32, cx: &mut Context, out: &mut Values) {
        if let Some(first) = facts.opt(col::REF_BASE, row) {
            let everywhere = facts.bindings_of(facts.get(col::REF_SCOPE, row)).contains(&first);
            self.bindings(file, facts, facts.run(first), everywhere, cx, out);
            return;
        }
        let key = Key::of(facts, facts.get(col::REF_NAME, row));
        // Bound through `global` elsewhere, by a star import, or built in.
        let rows = facts.lookup(0, key.bytes, key.hash);
        if !rows.is_empty() {
            self.bindings(file, facts, rows, true, cx, out);
        } else if !self.star(file, key, cx, out) {
            add(
                out,
                if is_builtin(key.text()) {
                    Value::Builtin(file, row)
                } else {
                    Value::Unknown(Reason::Unbound)
                },
            );
        }
    }

    /// Values of the bindings `rows`, all of one name.
    fn bindings(
        &self,
        file: u32,
        facts: &Facts<'_>,
        rows: std::ops::Range<u32>,
        everywhere: bool,
        cx: &mut Context,
        out: &mut Values,
    ) {
        let kind_at = |row| facts.get(col::BIN_KIND, row) & !BINDING_LAST;
        let first = if everywhere {
            rows.start
        } else {
            let definite = |row: &u32| {
                let kind = kind_at(*row);
                kind & BINDING_CONDITIONAL == 0
                    && matches!(
                        BindingKind::from_u32(kind),
                        BindingKind::Definition | BindingKind::Import | BindingKind::Value
                    )
            };
            rows.clone().rev().find(definite).unwrap_or(rows.start)
        };
        if kind_at(rows.start) == BindingKind::Variable as u32 {
            add(out, Value::Variable(file, facts.get(col::BIN_TARGET, rows.start)));
        }
        let before = out.len();
        for row in first..rows.end {
            let target = facts.get(col::BIN_TARGET, row);
            match BindingKind::from_u32(kind_at(row) & !BINDING_CONDITIONAL) {
                BindingKind::Definition if is_overload(facts, &rows, target) => {}
                BindingKind::Definition => add(out, Value::Symbol(file, target)),
                BindingKind::Import => self.import(file, facts, target, cx, out),
                BindingKind::Parameter => add(out, parameter(file, facts, target)),
                BindingKind::Value => match target.checked_sub(1) {
                    Some(value) => self.eval(file, value, cx, out),
                    None => add(out, Value::Unknown(Reason::Value)),
                },
                BindingKind::Annotation
                | BindingKind::Variable
                | BindingKind::Global
                | BindingKind::Nonlocal
                | BindingKind::Star => {}
            }
        }
        if out.len() == before {
            add(out, Value::Unknown(Reason::Value));
        }
    }

    /// What import row `row` of `file` binds.
    fn import(&self, file: u32, facts: &Facts<'_>, row: u32, cx: &mut Context, out: &mut Values) {
        let target = self.imports.get(file, row);
        match ImportKind::from_u32(facts.get(col::IMP_KIND, row)) {
            ImportKind::Module if facts.get(col::IMP_AS, row) == 0 => match target.other {
                Some(found) => add(out, module(found)),
                None => add(out, Value::ExternalTop(file, row)),
            },
            ImportKind::From => {
                let key = Key::of(facts, facts.get(col::IMP_NAME, row));
                match target.module {
                    // `from . import part` in the package itself: nothing else binds the name before the submodule does.
                    Some(Found::File(from))
                        if from == file
                            && let Some(submodule) = target.other =>
                    {
                        add(out, module(submodule))
                    }
                    Some(Found::File(from)) => {
                        if !self.export(from, key, true, cx, out) {
                            match target.other {
                                Some(found) => add(out, module(found)),
                                None => add(out, Value::Unknown(self.missing(from))),
                            }
                        }
                    }
                    _ => match target.other {
                        Some(found) => add(out, module(found)),
                        None => add(out, Value::ExternalImport(file, row)),
                    },
                }
            }
            _ => match target.module {
                Some(found) => add(out, module(found)),
                None => add(out, Value::ExternalImport(file, row)),
            },
        }
    }

    /// Why module `file` may lack a name.
    pub(crate) fn missing(&self, file: u32) -> Reason {
        let dynamic =
            self.facts(file).is_none_or(|facts| facts.get(col::FILE_FLAGS, 0) & file_flag::GETATTR != 0);
        if dynamic { Reason::Dynamic } else { Reason::NoSuchName }
    }

    /// Values that module `file` has under `key`: own names, star imports, the stub beside it. False where there are none.
    pub(crate) fn export(
        &self,
        file: u32,
        key: Key<'_>,
        stub: bool,
        cx: &mut Context,
        out: &mut Values,
    ) -> bool {
        let Some(facts) = self.facts(file) else { return false };
        if !cx.deeper() {
            add(out, Value::Unknown(Reason::Depth));
            return true;
        }
        let found = self.export_within(file, facts, key, stub, cx, out);
        cx.depth -= 1;
        found
    }

    fn export_within(
        &self,
        file: u32,
        facts: &Facts<'_>,
        key: Key<'_>,
        stub: bool,
        cx: &mut Context,
        out: &mut Values,
    ) -> bool {
        let rows = facts.lookup(0, key.bytes, key.hash);
        if !rows.is_empty() {
            self.bindings(file, facts, rows, false, cx, out);
            return true;
        }
        if self.star(file, key, cx, out) {
            return true;
        }
        match self.table.beside.get(&file) {
            Some(&other) if stub => self.export(other, key, false, cx, out),
            _ => false,
        }
    }

    /// Looks `key` up through the star imports of `file`.
    fn star(&self, file: u32, key: Key<'_>, cx: &mut Context, out: &mut Values) -> bool {
        for import in self.stars.get(file, key.hash) {
            if let Some(Found::File(from)) = self.imports.get(file, import).module
                && self.exported_by_star(from, key)
                && self.export(from, key, true, cx, out)
            {
                return true;
            }
        }
        false
    }

    /// True where `from file import *` may bind `key`.
    pub(crate) fn exported_by_star(&self, file: u32, key: Key<'_>) -> bool {
        let Some(facts) = self.facts(file) else { return false };
        let flags = facts.get(col::FILE_FLAGS, 0);
        if flags & file_flag::HAS_ALL == 0 {
            return !key.bytes.starts_with(b"_");
        }
        if flags & file_flag::DYNAMIC_ALL != 0 {
            return true;
        }
        (0..facts.rows(table::Exports)).any(|row| {
            let name = facts.get(col::EXP_NAME, row);
            facts.get(col::EXP_REF, row) != 0
                || facts.get(col::STR_HASH, name) == key.hash && facts.bytes_of(name) == key.bytes
        })
    }

    /// Attribute `key` of `base`, read by ref `row` of `file`.
    fn attribute(&self, file: u32, row: u32, base: Value, key: Key<'_>, cx: &mut Context, out: &mut Values) {
        match base {
            Value::Variable(..) => {}
            Value::Symbol(owner, symbol) => {
                let Some(facts) = self.facts(owner) else { return };
                match SymbolKind::from_u32(facts.get(col::SYM_KIND, symbol)) {
                    SymbolKind::Module => self.module_attribute(owner, key, cx, out),
                    SymbolKind::Class => self.member(file, row, owner, symbol, key, false, cx, out),
                    _ => add(out, Value::Unknown(Reason::Attribute)),
                }
            }
            Value::Namespace(namespace) => {
                let name = format!("{}.{}", self.table.namespaces[namespace as usize], key.text());
                match self.table.find(&name) {
                    Some(found) => add(out, module(found)),
                    None => add(out, Value::Unknown(Reason::NoSuchName)),
                }
            }
            Value::Instance(owner, class) | Value::Receiver(owner, class) => {
                self.member(file, row, owner, class, key, true, cx, out)
            }
            Value::ClassReceiver(owner, class) => self.member(file, row, owner, class, key, false, cx, out),
            Value::Super(owner, class) => self.super_member(file, row, owner, class, key, cx, out),
            Value::ExternalImport(..) | Value::ExternalTop(..) | Value::ExternalRef(..) => {
                add(out, Value::ExternalRef(file, row))
            }
            Value::Builtin(..) | Value::BuiltinRef(..) | Value::Literal(..) => {
                add(out, Value::BuiltinRef(file, row))
            }
            Value::Unknown(reason) => add(out, Value::Unknown(reason)),
        }
    }

    fn module_attribute(&self, owner: u32, key: Key<'_>, cx: &mut Context, out: &mut Values) {
        if self.export(owner, key, true, cx, out) {
            return;
        }
        if self.table.package[owner as usize]
            && let Some(found) = self.table.submodule(owner, key.text())
        {
            add(out, module(found));
            return;
        }
        add(out, Value::Unknown(self.missing(owner)));
    }

    /// Attribute of a class (or of its instances) through the MRO.
    #[expect(clippy::too_many_arguments, reason = "the state of one step")]
    fn member(
        &self,
        file: u32,
        row: u32,
        owner: u32,
        class: u32,
        key: Key<'_>,
        instance: bool,
        cx: &mut Context,
        out: &mut Values,
    ) {
        self.classes.with_mro(self, owner, class, cx, |mro, external, unknown, cx| {
            let before = out.len();
            for &[owner, class] in mro {
                self.own_member(owner, class, key, instance, cx, out);
                if out.len() > before {
                    return;
                }
            }
            if external {
                add(out, Value::ExternalRef(file, row));
            } else if unknown {
                add(out, Value::Unknown(Reason::UnknownBase));
            } else if mro.iter().any(|&[owner, class]| self.defines(owner, class, Key::new("__getattr__"))) {
                add(out, Value::Unknown(Reason::Dynamic));
            } else if is_object_attribute(key.text()) {
                add(out, Value::BuiltinRef(file, row));
            } else {
                add(out, Value::Unknown(Reason::NoSuchName));
            }
        });
    }

    #[expect(clippy::too_many_arguments, reason = "the state of one step")]
    fn super_member(
        &self,
        file: u32,
        row: u32,
        owner: u32,
        class: u32,
        key: Key<'_>,
        cx: &mut Context,
        out: &mut Values,
    ) {
        self.classes.with_mro(self, owner, class, cx, |mro, external, unknown, cx| {
            let before = out.len();
            for &[owner, class] in mro.iter().skip(1) {
                self.own_member(owner, class, key, true, cx, out);
                if out.len() > before {
                    return;
                }
            }
            if external {
                add(out, Value::ExternalRef(file, row));
            } else if unknown {
                add(out, Value::Unknown(Reason::UnknownBase));
            } else {
                add(out, Value::BuiltinRef(file, row));
            }
        });
    }

    /// True where the body of the class binds `key`.
    pub(crate) fn defines(&self, owner: u32, class: u32, key: Key<'_>) -> bool {
        self.facts(owner)
            .and_then(|facts| {
                facts
                    .opt(col::SYM_SCOPE, class)
                    .map(|scope| !facts.lookup(scope, key.bytes, key.hash).is_empty())
            })
            .unwrap_or(false)
    }

    /// The function that the body of the class defines under `key` for importers to see.
    pub(crate) fn own_method(&self, owner: u32, class: u32, key: Key<'_>) -> Option<u32> {
        let facts = self.facts(owner)?;
        let scope = facts.opt(col::SYM_SCOPE, class)?;
        let definition = BindingKind::Definition as u32;
        members(facts, scope, key)
            .rev()
            .find(|&row| facts.get(col::BIN_KIND, row) & BINDING_KIND == definition)
            .map(|row| facts.get(col::BIN_TARGET, row))
            .filter(|&symbol| facts.get(col::SYM_KIND, symbol) == SymbolKind::Method as u32)
    }

    fn own_member(
        &self,
        owner: u32,
        class: u32,
        key: Key<'_>,
        instance: bool,
        cx: &mut Context,
        out: &mut Values,
    ) {
        let Some(facts) = self.facts(owner) else { return };
        let Some(scope) = facts.opt(col::SYM_SCOPE, class) else { return };
        let rows = members(facts, scope, key);
        if !rows.is_empty() {
            let last = rows.end - 1;
            let target = facts.get(col::BIN_TARGET, last);
            let definition = facts.get(col::BIN_KIND, last) & BINDING_KIND == BindingKind::Definition as u32;
            if instance && definition && facts.get(col::SYM_FLAGS, target) & symbol_flag::PROPERTY != 0 {
                // The property is what the path names; its value is unknown.
                add(out, Value::Variable(owner, target));
                add(out, Value::Unknown(Reason::Property));
                return;
            }
            self.bindings(owner, facts, rows, false, cx, out);
            return;
        }
        if instance && let Some(scope) = self.classes.instance_scope(self, owner, class) {
            let rows = facts.lookup(scope, key.bytes, key.hash);
            if !rows.is_empty() {
                self.bindings(owner, facts, rows, true, cx, out);
            }
        }
    }

    /// What a call of `callee` returns, as far as it is known without following the function.
    fn result(&self, callee: Value) -> Value {
        match callee {
            Value::Symbol(file, symbol) => match self.kind(file, symbol) {
                SymbolKind::Class => Value::Instance(file, symbol),
                _ => Value::Unknown(Reason::CallResult),
            },
            Value::ClassReceiver(file, class) => Value::Receiver(file, class),
            Value::ExternalImport(..) | Value::ExternalRef(..) | Value::ExternalTop(..) => {
                Value::Unknown(Reason::ExternalResult)
            }
            Value::Builtin(file, row) => {
                let literal =
                    self.facts(file).is_some_and(|facts| is_literal_class(facts.str(col::REF_NAME, row)));
                if literal { Value::Literal(file, row) } else { Value::Unknown(Reason::ExternalResult) }
            }
            Value::BuiltinRef(..) => Value::Unknown(Reason::ExternalResult),
            Value::Variable(file, symbol) => Value::Variable(file, symbol),
            Value::Unknown(reason) => Value::Unknown(reason),
            _ => Value::Unknown(Reason::CallResult),
        }
    }

    pub(crate) fn kind(&self, file: u32, symbol: u32) -> SymbolKind {
        self.facts(file)
            .map_or(SymbolKind::Variable, |facts| SymbolKind::from_u32(facts.get(col::SYM_KIND, symbol)))
    }

    fn super_(&self, file: u32, facts: &Facts<'_>, row: u32, cx: &mut Context, out: &mut Values) {
        if let Some(argument) = facts.opt(col::REF_BASE, row) {
            let mut values = Values::new();
            self.eval(file, argument, cx, &mut values);
            for value in values {
                match value {
                    Value::Symbol(file, class) | Value::ClassReceiver(file, class)
                        if self.kind(file, class) == SymbolKind::Class =>
                    {
                        add(out, Value::Super(file, class));
                    }
                    Value::Variable(..) => {}
                    _ => add(out, Value::Unknown(Reason::UnknownBase)),
                }
            }
            return;
        }
        match enclosing_class(facts, facts.get(col::REF_SCOPE, row)) {
            Some(class) => add(out, Value::Super(file, class)),
            None => add(out, Value::Unknown(Reason::UnknownBase)),
        }
    }
}

/// The class around `scope`, functions in between.
pub(crate) fn enclosing_class(facts: &Facts<'_>, scope: u32) -> Option<u32> {
    let mut at = Some(scope);
    while let Some(scope) = at {
        if facts.get(col::SCO_KIND, scope) == ScopeKind::Class as u32 {
            return Some(facts.get(col::SCO_SYM, scope));
        }
        at = facts.opt(col::SCO_PARENT, scope);
    }
    None
}

pub(crate) fn module(found: Found) -> Value {
    match found {
        Found::File(file) => Value::Symbol(file, 0),
        Found::Namespace(namespace) => Value::Namespace(namespace),
    }
}

/// A parameter: `self` and `cls` of methods are known.
fn parameter(file: u32, facts: &Facts<'_>, row: u32) -> Value {
    let symbol = facts.get(col::PAR_SYM, row);
    let first = row == 0
        || facts.get(col::PAR_SYM, row - 1) != symbol
        || facts.get(col::PAR_KIND, row - 1) == ParamKind::Type as u32;
    let positional = facts.get(col::PAR_KIND, row) <= ParamKind::Positional as u32;
    if first
        && positional
        && facts.get(col::SYM_KIND, symbol) == SymbolKind::Method as u32
        && let Some(class) = facts.opt(col::SYM_PARENT, symbol)
    {
        let flags = facts.get(col::SYM_FLAGS, symbol);
        let new = flags & symbol_flag::STATIC != 0 && facts.str(col::SYM_NAME, symbol) == "__new__";
        if flags & symbol_flag::CLASSMETHOD != 0 || new {
            return Value::ClassReceiver(file, class);
        }
        if flags & symbol_flag::STATIC == 0 {
            return Value::Receiver(file, class);
        }
    }
    Value::Unknown(Reason::Parameter)
}

/// Attributes that every class has from `object` or `type`.
fn is_object_attribute(name: &str) -> bool {
    matches!(
        name,
        "__init__"
            | "__new__"
            | "__class__"
            | "__dict__"
            | "__doc__"
            | "__module__"
            | "__eq__"
            | "__ne__"
            | "__lt__"
            | "__le__"
            | "__gt__"
            | "__ge__"
            | "__hash__"
            | "__repr__"
            | "__str__"
            | "__format__"
            | "__getattribute__"
            | "__setattr__"
            | "__delattr__"
            | "__reduce__"
            | "__reduce_ex__"
            | "__sizeof__"
            | "__dir__"
            | "__init_subclass__"
            | "__subclasshook__"
            | "__name__"
            | "__qualname__"
            | "__mro__"
            | "__bases__"
            | "__subclasses__"
            | "mro"
            | "__getstate__"
            | "__annotations__"
            | "__weakref__"
    )
}

/// What the scope of a class binds under a name; nothing where that is there for type checkers alone.
pub(crate) fn members(facts: &Facts<'_>, scope: u32, key: Key<'_>) -> std::ops::Range<u32> {
    let rows = facts.lookup(scope, key.bytes, key.hash);
    let declared = |row: u32| {
        facts.get(col::BIN_KIND, row) & BINDING_KIND == BindingKind::Definition as u32
            && facts.get(col::SYM_FLAGS, facts.get(col::BIN_TARGET, row)) & symbol_flag::DECLARED != 0
    };
    if !rows.is_empty() && rows.clone().all(declared) { 0..0 } else { rows }
}

/// True for a function that only declares an overload of one that is defined by the bindings `rows`, all of one name, too.
pub(crate) fn is_overload(facts: &Facts<'_>, rows: &std::ops::Range<u32>, function: u32) -> bool {
    let flags = symbol_flag::OVERLOAD | symbol_flag::DECLARED;
    let overload = |symbol: u32| facts.get(col::SYM_FLAGS, symbol) & flags != 0;
    overload(function)
        && rows.clone().any(|row| {
            let definition = facts.get(col::BIN_KIND, row) & BINDING_KIND == BindingKind::Definition as u32;
            definition && !overload(facts.get(col::BIN_TARGET, row))
        })
}
