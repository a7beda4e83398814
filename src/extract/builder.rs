//! The extractor's state, what opens and closes scopes, and the last steps once all statements are seen.

use super::flow::Flow;
use super::large::{Large, is_upper};
use super::lines::Lines;
use super::measures::{Frame, Seen};
use super::scopes::Far;
use super::stream::{MAX_BLOCKS, Positions, Stream};
use super::{depth, docstring};
use crate::model::facts::{
    BINDING_CONDITIONAL, BINDING_LAST, BindingKind, FactsBuilder, RefKind, ScopeKind, SymbolKind, col,
    file_flag, ref_flag, symbol_flag,
};
use crate::model::name::{Names, PairMap};
use ruff_python_ast::{Expr, ModModule, Stmt};
use ruff_python_parser::Parsed;
use ruff_text_size::{Ranged, TextRange};

/// Links of a chain or levels of nesting in one expression above which a file is not visited: CPython
/// compiles no more than 6,000 of the first and 199 of the second.
pub const MAX_DEPTH: u32 = 10_000;

/// Stack of a thread that extracts, bytes: enough for [`MAX_DEPTH`] levels. A build without optimization takes more.
pub const STACK: usize = if cfg!(debug_assertions) { 64 << 20 } else { 16 << 20 };

/// Lambdas within each other that have a level each in names.
const MAX_LAMBDAS: u32 = 50;

/// Scopes looked through one by one for what binds a name.
const NEAR: u32 = 64;

/// Why a text gives no facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refused {
    /// It has a syntax error and is to be parsed in the chunks of [`ChunkSize::BROKEN`](crate::split::ChunkSize::BROKEN).
    Broken,
    /// A statement without anything that can be left out of it exceeds [`MAX_PIECE`](super::MAX_PIECE).
    TooLarge,
    /// Its nesting exceeds [`MAX_DEPTH`] or [`MAX_BLOCKS`](super::MAX_BLOCKS). An AST must not be dropped on an ordinary
    /// stack.
    TooDeep,
    /// Files for what does not fit in memory can't be written.
    NoRoom,
    /// Whoever watched did not want to go on.
    Stopped,
}

/// A range of bytes of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

/// A syntax error: where it is, and what the facts may lack for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct SyntaxError {
    pub(super) span: Span,
    pub(super) lost: Span,
    pub(super) message: String,
}

/// What is known of a text besides its AST.
#[derive(Clone, Copy, Debug, Default)]
pub struct TextInfo<'a> {
    /// Name of the encoding.
    pub encoding: &'a str,
    /// [`file_flag`] bits that come from decoding.
    pub flags: u32,
    /// A message for bytes that could not be decoded, with the offset of the first one.
    pub decode_error: Option<(u32, &'a str)>,
}

/// Names and refs that are asked for within one epoch. At its end the tables that tell what was there before are emptied, so that
/// they are never as large as a file: what comes again gets a row again. Part of what facts are.
const EPOCH: u32 = 1 << 16;

#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    pub(super) scope: u32,
    pub(super) name: u32,
    pub(super) kind: u32,
    pub(super) target: u32,
    pub(super) line: u32,
    pub(super) start: u32,
    pub(super) len: u32,
    /// In the first event of a scope and name: the last one.
    tail: u32,
    pub(super) variable: bool,
    /// In the first event of a name, at last: the kind of its first `global` or `nonlocal` +1, 0 without any.
    declared: u32,
    /// In the first event of a name: bit 0 where an unknown value was bound, bit 1 where one was in a branch.
    unknown: u32,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Scope {
    pub(super) kind: ScopeKind,
    /// +1
    pub(super) parent: u32,
    pub(super) sym: u32,
    /// For a class: its instance scope +1.
    pub(super) instance: u32,
}

/// All scopes by number, or of those that were opened before the last epochs just what is still open.
#[derive(Debug, Default)]
pub(super) struct Scopes {
    /// Number of the first one in `recent`.
    pub(super) base: u32,
    pub(super) recent: Vec<Scope>,
    pub(super) open: Vec<(u32, Scope)>,
}

impl Scopes {
    pub(super) fn clear(&mut self) {
        self.base = 0;
        self.recent.clear();
        self.open.clear();
    }

    /// Number of scopes.
    #[inline]
    pub(super) fn len(&self) -> u32 {
        self.base + self.recent.len() as u32
    }

    /// A scope that is open, or was opened in this epoch.
    #[inline]
    pub(super) fn get(&self, number: u32) -> Scope {
        match number.checked_sub(self.base) {
            Some(at) => self.recent[at as usize],
            None => self.kept(number),
        }
    }

    #[cold]
    fn kept(&self, number: u32) -> Scope {
        let found = self.open.iter().rev().find(|(open, _)| *open == number);
        found.map_or(Scope { kind: ScopeKind::Module, parent: 0, sym: 0, instance: 0 }, |(_, scope)| *scope)
    }

    #[inline]
    fn set_instance(&mut self, number: u32, instance: u32) {
        match number.checked_sub(self.base) {
            Some(at) => self.recent[at as usize].instance = instance,
            None => {
                self.open
                    .iter_mut()
                    .filter(|(open, _)| *open == number)
                    .for_each(|(_, scope)| scope.instance = instance);
            }
        }
    }
}

/// The value of an expression as far as an access path says it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    None,
    Ref(u32),
    /// Result of a call of this ref.
    Call(u32),
    Literal(&'static str),
    /// `super()`; its first argument +1.
    Super(u32),
    Subscript(u32),
    Await(u32),
}

/// Turns parsed files into facts. One a worker, its memory reused from file to file.
#[derive(Debug, Default)]
pub struct Extractor {
    /// Where scratch files go, for a text that keeps more from chunk to chunk than memory holds.
    pub spill: Option<std::path::PathBuf>,
    pub(super) out: FactsBuilder,
    pub(super) names: Names,
    pub(super) lines: Lines,
    refs: PairMap,
    /// For each name: the scope +1 that read it last, and its ref there.
    latest: Vec<(u32, u32)>,
    bound: PairMap,
    /// First row in Bindings of each (scope, name).
    rows: PairMap,
    /// The file has `global` or `nonlocal`.
    pub(super) declares: bool,
    pub(super) events: Vec<Event>,
    pub(super) scopes: Scopes,
    /// Scopes beside the current one that are gone back to.
    pub(super) held: Vec<u32>,
    pub(super) frames: Vec<Frame>,
    pub(super) seen: Seen,
    pub(super) flow: Flow,
    pub(super) scope: u32,
    pub(super) symbol: u32,
    /// Depth of branches, loops and tries within the scope.
    pub(super) conditional: u32,
    pub(super) type_checking: u32,
    pub(super) optional: u32,
    /// Lambdas whose bodies we stand in.
    pub(super) lambdas: u32,
    /// Above 0 where decisions do not count (decorators, defaults, `assert`).
    pub(super) uncounted: u32,
    pub(super) file_flags: u32,
    ordinals: PairMap,
    /// For each scope: end of its events in `order`, once they are sorted.
    firsts: Vec<u32>,
    /// Hash of the name, name and event, sorted by scope.
    order: Vec<(u32, u32, u32)>,
    /// What left memory, of a text that is worked on out of core.
    pub(super) large: Option<Box<Large>>,
    /// Names and refs asked for after which an epoch ends; [`EPOCH`] if 0.
    pub(super) epoch: u32,
}

/// One pass over one file.
pub(super) struct Pass<'a> {
    pub(super) x: &'a mut Extractor,
    pub(super) text: &'a str,
    pub(super) positions: Positions,
    pub(super) stream: Option<Stream<'a>>,
}

impl Extractor {
    /// Ends epochs after so many names and references; 0 for the usual number.
    pub(crate) fn set_epoch(&mut self, epoch: u32) {
        self.epoch = epoch;
    }

    /// Facts of a parsed file, as a block.
    ///
    /// # Errors
    /// [`Refused::Broken`] where it has syntax errors; [`Refused::TooDeep`] where visiting (or dropping) the AST could
    /// overflow the stack: the caller must forget it.
    pub fn extract(
        &mut self,
        text: &str,
        parsed: &Parsed<ModModule>,
        info: TextInfo<'_>,
    ) -> Result<Vec<u8>, Refused> {
        self.clear(text.len());
        self.lines.index(text);
        let deep = self.survey(parsed.tokens(), 0, |token| Span {
            start: token.start().to_u32(),
            end: token.end().to_u32(),
        });
        if depth::may_exceed(text.len(), parsed.tokens(), depth::limit())
            && depth::exceeds(parsed.syntax(), depth::limit())
        {
            return Err(Refused::TooDeep);
        }
        // What the parser makes of blocks in a text with errors says nothing about their number.
        if !parsed.errors().is_empty() {
            return Err(Refused::Broken);
        }
        if deep && depth::blocks(parsed.syntax()) > MAX_BLOCKS {
            return Err(Refused::TooDeep);
        }
        self.file_flags = info.flags;
        let mut pass = Pass { x: self, text, positions: Positions::default(), stream: None };
        pass.module(&parsed.syntax().body);
        Ok(self.finish(text, info, &[]))
    }

    /// The last steps, once all statements are visited.
    pub(super) fn finish(&mut self, text: &str, info: TextInfo<'_>, errors: &[SyntaxError]) -> Vec<u8> {
        self.errors(text, errors, info);
        self.finish_bindings();
        self.resolve_names();
        self.finish_ordinals();
        let encoding = self.names.add(info.encoding);
        self.file_row(text, encoding);
        self.out.column_mut(col::STR_HASH).extend_from_slice(&self.names.hashes);
        self.out.column_mut(col::STR_END).extend_from_slice(&self.names.ends);
        self.out.blob_mut().extend_from_slice(&self.names.blob);
        self.out.finish()
    }

    pub(super) fn file_row(&mut self, text: &str, encoding: u32) {
        let doc = self.out.last_mut(col::BODY_DOC).map_or(0, |doc| *doc);
        for (column, value) in [
            (col::FILE_FLAGS, self.file_flags),
            (col::FILE_ENCODING, encoding),
            (col::FILE_BYTES, text.len() as u32),
            (col::FILE_DOC, doc),
            (col::FILE_VARIABLES, self.flow.variables()),
        ] {
            self.out.push(column, value);
        }
    }

    /// Ends the epoch: empties the tables that tell what was there before, and with what is worked on out of core moves all rows
    /// to files.
    #[cold]
    fn next_epoch(&mut self) {
        self.end_flow_epoch();
        self.refs.clear(EPOCH as usize);
        self.bound.clear(EPOCH as usize);
        self.latest.fill((0, 0));
        if let Some(mut large) = self.large.take() {
            large.take(self);
            self.latest.clear();
            self.large = Some(large);
        }
        self.names.asked = 0;
    }

    pub(super) fn clear(&mut self, bytes: usize) {
        self.out.clear();
        self.names.clear();
        // About one path in 40 bytes, a binding in 80, a definition in 300.
        for (map, share) in
            [(&mut self.refs, 20), (&mut self.bound, 40), (&mut self.rows, 40), (&mut self.ordinals, 200)]
        {
            map.clear(bytes / share);
        }
        self.latest.clear();
        self.large = None;
        self.declares = false;
        self.events.clear();
        self.scopes.clear();
        self.held.clear();
        self.frames.clear();
        self.seen.clear();
        self.flow.clear();
        self.scope = 0;
        self.symbol = 0;
        self.conditional = 0;
        self.type_checking = 0;
        self.optional = 0;
        self.uncounted = 0;
        self.lambdas = 0;
    }

    /// Opens a scope and makes it the current one; the caller restores the old one.
    pub(super) fn open_scope(&mut self, kind: ScopeKind, sym: u32) -> u32 {
        let parent = if self.scopes.len() == 0 { 0 } else { self.scope + 1 };
        self.scopes.recent.push(Scope { kind, parent, sym, instance: 0 });
        self.scope = self.scopes.len() - 1;
        self.scope
    }

    /// The scope of attributes set on instances of the class whose body is `class_scope`.
    pub(super) fn instance_scope(&mut self, class_scope: u32) -> u32 {
        let Scope { sym, instance, .. } = self.scopes.get(class_scope);
        if instance != 0 {
            return instance - 1;
        }
        self.scopes.recent.push(Scope {
            kind: ScopeKind::Instance,
            parent: class_scope + 1,
            sym,
            instance: 0,
        });
        let scope = self.scopes.len();
        self.scopes.set_instance(class_scope, scope);
        scope - 1
    }

    /// Adds a symbol row.
    #[expect(clippy::too_many_arguments, reason = "the columns of the row")]
    pub(super) fn add_symbol(
        &mut self,
        kind: SymbolKind,
        flags: u32,
        name: u32,
        parent: u32,
        start: u32,
        end: u32,
        line: u32,
    ) -> u32 {
        let out = &mut self.out;
        let row = out.len(col::SYM_KIND) as u32;
        for (column, value) in [
            (col::SYM_KIND, kind as u32),
            (col::SYM_FLAGS, flags),
            (col::SYM_NAME, name),
            (col::SYM_PARENT, parent),
            (col::SYM_SCOPE, 0),
            (col::SYM_START, start),
            (col::SYM_LEN, end - start),
            (col::SYM_LINE, line),
            (col::SYM_ORDINAL, 0),
        ] {
            out.push(column, value);
        }
        row
    }

    /// What a lambda that stands here belongs to, +1: what is around it, but for the innermost of [`MAX_LAMBDAS`] lambdas, which belong to
    /// the last but one. Names would take the square of their number otherwise.
    pub(super) fn parent_of_lambda(&self) -> u32 {
        if self.lambdas < MAX_LAMBDAS { self.symbol + 1 } else { self.out.get(col::SYM_PARENT, self.symbol) }
    }

    /// The ref with these fields; makes it where there is none.
    #[inline]
    pub(super) fn cons(&mut self, kind: RefKind, base: u32, name: u32, start: u32) -> u32 {
        // Names and rest per scope: a base ref belongs to one scope already.
        let key = (kind as u64) << 60 | u64::from(base) << 32 | u64::from(name);
        self.names.asked += 1;
        let row = self.out.len(col::REF_SCOPE) as u32;
        let (found, new) = self.refs.insert(key, row);
        if new {
            let line = self.lines.line(start);
            let out = &mut self.out;
            out.push(col::REF_SCOPE, self.scope);
            out.push(col::REF_KIND, kind as u32);
            out.push(col::REF_BASE, base);
            out.push(col::REF_NAME, name);
            out.push(col::REF_FLAGS, 0);
            out.push(col::REF_LINE, line);
        }
        found
    }

    /// The same, with the line of the first use.
    pub(super) fn cons_at(&mut self, kind: RefKind, base: u32, name: u32, line: u32) -> u32 {
        let key = (kind as u64) << 60 | u64::from(base) << 32 | u64::from(name);
        let row = self.out.len(col::REF_SCOPE) as u32;
        let (found, new) = self.refs.insert(key, row);
        if new {
            for (column, value) in [
                (col::REF_SCOPE, self.scope),
                (col::REF_KIND, kind as u32),
                (col::REF_BASE, base),
                (col::REF_NAME, name),
                (col::REF_FLAGS, 0),
                (col::REF_LINE, line),
            ] {
                self.out.push(column, value);
            }
        }
        found
    }

    /// Sets bits of a ref.
    #[inline]
    pub(super) fn flag(&mut self, row: u32, bits: u32) {
        self.out.or(col::REF_FLAGS, row, bits);
    }

    /// The ref of a value; one of kind `Other` where it has none.
    #[inline]
    pub(super) fn ref_of(&mut self, value: Value, start: u32) -> u32 {
        match value {
            Value::Ref(row) => row,
            Value::Call(callee) => self.cons(RefKind::Call, callee, 0, start),
            Value::Subscript(base) => self.cons(RefKind::Subscript, base, 0, start),
            Value::Await(base) => self.cons(RefKind::Await, base, 0, start),
            Value::Literal(kind) => {
                let name = self.names.add(kind);
                self.cons(RefKind::Literal, self.scope, name, start)
            }
            Value::Super(argument) => {
                // A scope of its own for each: keyed by scope through the name column.
                self.cons(RefKind::Super, argument, self.scope, start)
            }
            Value::None => self.cons(RefKind::Other, self.scope, 0, start),
        }
    }

    /// The ref of a value +1; 0 where it has none.
    pub(super) fn value_ref(&mut self, value: Value, start: u32) -> u32 {
        if matches!(value, Value::None) { 0 } else { self.ref_of(value, start) + 1 }
    }

    /// Binds `name` in `scope`.
    pub(super) fn bind(
        &mut self,
        scope: u32,
        name: u32,
        kind: BindingKind,
        target: u32,
        span: Span,
        line: u32,
    ) {
        let conditional = if self.conditional > 0 { BINDING_CONDITIONAL } else { 0 };
        let kind_bits = kind as u32 | conditional;
        let key = u64::from(scope) << 32 | u64::from(name);
        let row = self.events.len() as u32;
        let (head, new) = self.bound.insert(key, row);
        let unknown =
            if kind == BindingKind::Value && target == 0 { 1 << u32::from(conditional != 0) } else { 0 };
        if !new {
            // The same value again says nothing new, unless another one came between; an unknown one never does.
            let last = &self.events[self.events[head as usize].tail as usize];
            if last.kind == kind_bits && last.target == target
                || self.events[head as usize].unknown & unknown != 0
            {
                return;
            }
            self.events[head as usize].tail = row;
        }
        self.declares |= matches!(kind, BindingKind::Global | BindingKind::Nonlocal);
        let variable = matches!(kind, BindingKind::Value | BindingKind::Annotation);
        self.events.push(Event {
            scope,
            name,
            kind: kind_bits,
            target,
            line,
            start: span.start,
            len: span.end - span.start,
            tail: row,
            variable,
            declared: 0,
            unknown: 0,
        });
        self.events[head as usize].unknown |= unknown;
    }

    pub(super) fn errors(&mut self, text: &str, errors: &[SyntaxError], info: TextInfo<'_>) {
        let decoding = info.decode_error.map(|(start, message)| {
            let span = Span { start, end: start };
            (span, span, message)
        });
        let all: Vec<(Span, Span, &str)> = decoding
            .into_iter()
            .chain(errors.iter().map(|error| (error.span, error.lost, error.message.as_str())))
            .collect();
        let columns = self.columns(text, all.iter().map(|(span, ..)| span.start).collect());
        for ((span, lost, message), column) in all.into_iter().zip(columns) {
            let line = self.lines.line(span.start);
            let message = self.names.add(message);
            for (column, value) in [
                (col::ERR_START, span.start),
                (col::ERR_LEN, span.end.saturating_sub(span.start)),
                (col::ERR_LINE, line),
                (col::ERR_COLUMN, column),
                (col::ERR_MESSAGE, message),
                (col::ERR_LOST_START, lost.start),
                (col::ERR_LOST_LEN, lost.end.saturating_sub(lost.start)),
            ] {
                self.out.push(column, value);
            }
        }
    }

    /// The column of each offset, in characters from 1. Walks through a line once: it may hold thousands of them.
    fn columns(&mut self, text: &str, offsets: Vec<u32>) -> Vec<u32> {
        let mut order: Vec<usize> = (0..offsets.len()).collect();
        order.sort_unstable_by_key(|&at| offsets[at]);
        let mut columns = vec![0; offsets.len()];
        let mut last = (0, 1);
        for at in order {
            let line = self.lines.line(offsets[at]);
            let first = self.lines.start(line);
            let (from, before) = if last.0 >= first { last } else { (first, 1) };
            let between = text.get(from as usize..offsets[at] as usize);
            last = (offsets[at], before + between.map_or(0, |text| text.chars().count()) as u32);
            columns[at] = last.1;
        }
        columns
    }

    /// Finds the scope that binds each name ref: Python's rule, with class bodies seen from themselves alone.
    fn resolve_names(&mut self) {
        let mut far = None;
        for row in 0..self.out.column(col::REF_KIND).len() {
            let kind = self.out.column(col::REF_KIND)[row];
            let scope = self.out.column(col::REF_SCOPE)[row];
            if kind == RefKind::Name as u32 {
                let name = self.out.column(col::REF_NAME)[row];
                self.out.column_mut(col::REF_BASE)[row] = self.binder(scope, name, &mut far);
            } else if kind == RefKind::Literal as u32 || kind == RefKind::Other as u32 {
                self.out.column_mut(col::REF_BASE)[row] = 0;
            } else if kind == RefKind::Super as u32 {
                self.out.column_mut(col::REF_NAME)[row] = 0;
            }
        }
    }

    /// The first binding of `name` as seen from `scope`, +1; 0 where no scope of the file binds it. `far` is made where scopes lie deep
    /// within each other.
    fn binder(&self, scope: u32, name: u32, far: &mut Option<Far>) -> u32 {
        let mut at = scope + 1;
        let mut seen_function = false;
        let mut steps = 0;
        while at != 0 {
            let here = self.scopes.get(at - 1);
            let skip = seen_function && here.kind == ScopeKind::Class || here.kind == ScopeKind::Instance;
            if !skip && let Some(row) = self.bound_in(at - 1, name) {
                return row;
            }
            seen_function |=
                matches!(here.kind, ScopeKind::Function | ScopeKind::Lambda | ScopeKind::Comprehension);
            at = here.parent;
            steps += 1;
            if steps > NEAR && seen_function && at != 0 {
                return far.get_or_insert_with(|| self.far()).find(at - 1, name);
            }
        }
        0
    }

    /// The row +1 under which `scope` itself binds `name`; of a `global` that of the module.
    fn bound_in(&self, scope: u32, name: u32) -> Option<u32> {
        let key = u64::from(scope) << 32 | u64::from(name);
        if self.declares
            && let Some(kind) = self.declared(key)
        {
            let global = || self.rows.get(u64::from(name)).map_or(0, |row| row + 1);
            return (kind == BindingKind::Global as u32).then(global);
        }
        self.rows.get(key).map(|row| row + 1)
    }

    fn far(&self) -> Far {
        let mut bound: Vec<(u32, u32, u32)> = self
            .events
            .iter()
            .filter_map(|event| Some((event.scope, event.name, self.bound_in(event.scope, event.name)?)))
            .collect();
        bound.sort_unstable();
        bound.dedup();
        Far::new(&self.scopes.recent, &bound)
    }

    /// The `global` or `nonlocal` that a scope says of a name.
    fn declared(&self, key: u64) -> Option<u32> {
        self.bound.get(key).and_then(|head| self.events[head as usize].declared.checked_sub(1))
    }

    /// Writes Scopes and Bindings; makes the variables' symbols.
    fn finish_bindings(&mut self) {
        // `global x` in a function: what it binds there belongs to the module.
        if self.declares {
            self.find_declared();
            for at in 0..self.events.len() {
                let Event { scope, name, kind, .. } = self.events[at];
                let plain = kind & !BINDING_CONDITIONAL;
                if scope != 0 && plain != BindingKind::Global as u32 && plain != BindingKind::Nonlocal as u32
                {
                    let owner = self.declared_in(scope, name);
                    if owner != scope {
                        self.events[at].scope = owner;
                        self.events[at].kind = plain | BINDING_CONDITIONAL;
                    }
                }
            }
        }
        // By scope first, by counting; scopes are small.
        self.firsts.clear();
        self.firsts.resize(self.scopes.len() as usize + 1, 0);
        for event in &self.events {
            self.firsts[event.scope as usize + 1] += 1;
        }
        for scope in 1..self.firsts.len() {
            self.firsts[scope] += self.firsts[scope - 1];
        }
        let mut order = std::mem::take(&mut self.order);
        order.clear();
        order.resize(self.events.len(), (0, 0, 0));
        for (at, event) in self.events.iter().enumerate() {
            let place = &mut self.firsts[event.scope as usize];
            order[*place as usize] = (self.names.hashes[event.name as usize], event.name, at as u32);
            *place += 1;
        }
        let mut start = 0;
        for scope in 0..self.scopes.len() as usize {
            let end = self.firsts[scope] as usize;
            order[start..end].sort_unstable();
            start = end;
        }
        let mut next = 0;
        for scope in 0..self.scopes.len() {
            let Scope { kind, parent, sym, .. } = self.scopes.get(scope);
            self.out.push(col::SCO_KIND, kind as u32);
            self.out.push(col::SCO_PARENT, parent);
            self.out.push(col::SCO_SYM, sym);
            let first = self.out.column(col::BIN_NAME).len() as u32;
            self.out.push(col::SCO_BIND, first);
            let end = self.firsts[scope as usize] as usize;
            while next < end {
                let Event { name, line, start, len, .. } = self.events[order[next].2 as usize];
                let mut stop = next;
                let (mut variable, mut defined) = (false, false);
                while stop < end && order[stop].1 == name {
                    let event = &self.events[order[stop].2 as usize];
                    variable |= event.variable;
                    defined |= !event.variable;
                    stop += 1;
                }
                let row = self.out.column(col::BIN_NAME).len() as u32;
                self.rows.insert(u64::from(scope) << 32 | u64::from(name), row);
                if variable
                    && !defined
                    && matches!(kind, ScopeKind::Module | ScopeKind::Class | ScopeKind::Instance)
                {
                    let annotated = order[next..stop].iter().any(|&(_, _, at)| {
                        self.events[at as usize].kind & !BINDING_CONDITIONAL == BindingKind::Annotation as u32
                    });
                    let upper = is_upper(self.names.get(name));
                    let symbol =
                        self.add_variable(kind, sym, (name, upper, annotated), line, (start, start + len));
                    self.push_binding(name, BindingKind::Variable as u32, symbol);
                }
                for &(_, _, at) in &order[next..stop] {
                    let Event { kind, target, .. } = self.events[at as usize];
                    self.push_binding(name, kind, target);
                }
                if let Some(last) = self.out.column_mut(col::BIN_KIND).last_mut() {
                    *last |= BINDING_LAST;
                }
                next = stop;
            }
        }
        self.order = order;
    }

    /// The first event of each name in each scope, and what the scope declares of it: an epoch knows its own events alone.
    fn find_declared(&mut self) {
        self.bound.clear(self.events.len());
        for at in 0..self.events.len() {
            let Event { scope, name, kind, .. } = self.events[at];
            self.events[at].declared = 0;
            let (head, _) = self.bound.insert(u64::from(scope) << 32 | u64::from(name), at as u32);
            let kind = kind & !BINDING_CONDITIONAL;
            let head = &mut self.events[head as usize];
            if (kind == BindingKind::Global as u32 || kind == BindingKind::Nonlocal as u32)
                && head.declared == 0
            {
                head.declared = kind + 1;
            }
        }
    }

    pub(super) fn push_binding(&mut self, name: u32, kind: u32, target: u32) {
        self.out.push(col::BIN_NAME, name);
        self.out.push(col::BIN_KIND, kind);
        self.out.push(col::BIN_TARGET, target);
    }

    /// Where `global` or `nonlocal` in `scope` moves the bindings of `name`; `scope` itself without them.
    fn declared_in(&self, scope: u32, name: u32) -> u32 {
        match self.declared(u64::from(scope) << 32 | u64::from(name)) {
            Some(kind) if kind == BindingKind::Global as u32 => return 0,
            Some(_) => {
                let parent = self.scopes.get(scope).parent;
                return self.function_scope(parent, name).unwrap_or(scope);
            }
            None => {}
        }
        scope
    }

    /// The function around `scope` (+1) that binds `name`.
    fn function_scope(&self, scope: u32, name: u32) -> Option<u32> {
        let mut at = scope;
        while at != 0 {
            let here = self.scopes.get(at - 1);
            let key = u64::from(at - 1) << 32 | u64::from(name);
            if here.kind == ScopeKind::Function
                && self.bound.get(key).is_some()
                && self.declared(key).is_none()
            {
                return Some(at - 1);
            }
            at = here.parent;
        }
        None
    }

    /// Adds the symbol of a variable: `name` is its string, whether it is in upper case, and whether it is annotated.
    pub(super) fn add_variable(
        &mut self,
        scope: ScopeKind,
        owner: u32,
        (name, upper, annotated): (u32, bool, bool),
        line: u32,
        (start, end): (u32, u32),
    ) -> u32 {
        let kind = match scope {
            ScopeKind::Module => SymbolKind::Variable,
            ScopeKind::Class => SymbolKind::ClassVariable,
            _ => SymbolKind::InstanceVariable,
        };
        let mut flags = if upper { symbol_flag::CONSTANT } else { 0 };
        let class = self.out.get(col::SYM_FLAGS, owner);
        if annotated {
            flags |= symbol_flag::ANNOTATED;
        }
        if kind == SymbolKind::ClassVariable {
            flags |= class & symbol_flag::ENUM;
            if class & symbol_flag::DATACLASS != 0 && annotated {
                flags |= symbol_flag::FIELD;
            }
        }
        self.add_symbol(kind, flags, name, owner + 1, start, end, line)
    }

    /// Ordinals: importers see the last definition of a name; earlier ones count from 1, lambdas too.
    fn finish_ordinals(&mut self) {
        let count = self.out.column(col::SYM_KIND).len();
        let group = |x: &Self, row: usize| {
            let name = u64::from(x.out.column(col::SYM_NAME)[row]);
            let accessor = x.out.column(col::SYM_FLAGS)[row] & (symbol_flag::SETTER | symbol_flag::DELETER);
            u64::from(x.out.column(col::SYM_PARENT)[row]) << 34 | name << 2 | u64::from(accessor >> 5)
        };
        let definition = |kind: u32| {
            kind == SymbolKind::Class as u32
                || kind == SymbolKind::Function as u32
                || kind == SymbolKind::Method as u32
                || kind == SymbolKind::TypeAlias as u32
        };
        // First the number of each definition in its group, then 0 for the last one.
        for row in 1..count {
            let kind = self.out.column(col::SYM_KIND)[row];
            if kind == SymbolKind::Lambda as u32 || definition(kind) {
                let key = group(self, row);
                let number = self.ordinals.get(key).unwrap_or(0) + 1;
                self.ordinals.set(key, number);
                self.out.column_mut(col::SYM_ORDINAL)[row] = number;
            }
        }
        for row in 1..count {
            if definition(self.out.column(col::SYM_KIND)[row])
                && self.ordinals.get(group(self, row)) == Some(self.out.column(col::SYM_ORDINAL)[row])
            {
                self.out.column_mut(col::SYM_ORDINAL)[row] = 0;
            }
        }
    }
}

impl Pass<'_> {
    pub(super) fn module(&mut self, body: &[Stmt]) {
        let end = self.text.len() as u32;
        let sym = self.x.add_symbol(SymbolKind::Module, 0, 0, 0, 0, end, 1);
        let scope = self.x.open_scope(ScopeKind::Module, sym);
        self.x.out.set(col::SYM_SCOPE, sym, scope + 1);
        self.x.symbol = sym;
        self.x.push_frame(Frame::module(), 1);
        let doc = self.top(body);
        self.reach(end);
        let lines = self.x.lines.count();
        let doc = self.docstring(doc);
        self.x.pop_frame(sym, 1, lines, doc, 0);
    }

    /// Binds `name` to what stands at `range`.
    pub(super) fn bind(
        &mut self,
        scope: u32,
        name: u32,
        kind: BindingKind,
        target: u32,
        range: TextRange,
        line: u32,
    ) {
        let span = self.span(range);
        self.x.bind(scope, name, kind, target, span, line);
    }

    /// Where an epoch may end: no name's number is at hand here but those of the bodies around.
    #[inline]
    pub(super) fn pause(&mut self) {
        let epoch = if self.x.epoch == 0 { EPOCH } else { self.x.epoch };
        if self.x.names.asked >= epoch {
            self.x.next_epoch();
        }
    }

    /// To be called before lines up to `offset` are asked for.
    #[inline]
    pub(super) fn reach(&mut self, offset: u32) {
        self.x.lines.reach(self.text, offset);
    }

    /// Counts a Halstead operand.
    pub(super) fn operand(&mut self, operand: &Expr) {
        let Span { start, end } = self.span(operand.range());
        let source = self.text.as_bytes().get(start as usize..end as usize).unwrap_or_default();
        self.x.operand(operand, source);
    }

    /// First line of the docstring that stands at `span`, as a string number.
    pub(super) fn docstring(&mut self, span: Option<Span>) -> u32 {
        let Some(Span { start, end }) = span else { return 0 };
        let source = self.text.get(start as usize..end as usize).unwrap_or("");
        let line = docstring::first_line(source);
        self.x.names.add(&line)
    }

    /// The source of a node, cut at `limit` bytes, as a string number.
    pub(super) fn source(&mut self, node: &impl Ranged, limit: usize) -> u32 {
        let Span { start, end } = self.span(node.range());
        let text = self.text.get(start as usize..end as usize).unwrap_or("");
        self.x.names.add(&text[..text.floor_char_boundary(limit)])
    }

    /// The ref of a name used here.
    #[inline]
    pub(super) fn name_ref(&mut self, name: &str, start: u32) -> u32 {
        let x = &mut *self.x;
        let id = x.names.add(name);
        // The empty name has a place of its own.
        let at = if id == 0 { 0 } else { (id - x.names.base()) as usize + 1 };
        if x.latest.len() <= at {
            x.latest.resize(at + 1, (0, 0));
        }
        let (scope, row) = x.latest[at];
        if scope == x.scope + 1 {
            return row;
        }
        let row = x.cons(RefKind::Name, x.scope, id, start);
        x.latest[at] = (x.scope + 1, row);
        row
    }

    /// Marks a value as read.
    #[inline]
    pub(super) fn mark_read(&mut self, value: Value) {
        if let Value::Ref(row) = value {
            self.x.flag(row, ref_flag::READ);
        }
    }

    /// Notes that `__all__` holds what cannot be known here.
    pub(super) fn dynamic_all(&mut self) {
        self.x.file_flags |= file_flag::DYNAMIC_ALL;
    }
}
