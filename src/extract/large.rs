//! Extraction of texts whose facts need not fit in memory. At the end of each epoch all rows go to files; the last steps, which
//! need names, bindings and references of the whole file at once, sort and merge them there. Facts are those that
//! [`builder`](super::builder) makes in memory, byte for byte.

use super::builder::{Event, Extractor, Scope, SyntaxError, TextInfo};
use crate::model::facts::{
    BINDING_CONDITIONAL, BINDING_LAST, BindingKind, RefKind, ScopeKind, SymbolKind, col, symbol_flag,
};
use crate::model::name::{Names, PairMap};
use crate::sys::{Bytes, BytesWriter, Column, Scratch, Table};
use rustc_hash::{FxHashMap, FxHashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bindings of a scope above which names are not looked up one by one in it: they are sorted and merged.
const LARGE_SCOPE: u32 = 1 << 14;

/// Added to an event's kind where its name is written in upper case.
const UPPER: u32 = 1 << 8;

/// Strings that are held all the time.
const COMMON: usize = 1 << 16;

/// In the place of a length: the string came before.
const AGAIN: u32 = u32::MAX;

/// What left memory.
#[derive(Debug)]
pub(super) struct Large {
    folder: PathBuf,
    scratch: Arc<Scratch>,
    /// Hash and length of each string; [`AGAIN`] for one that is in `common`.
    names: Column<[u32; 2]>,
    blob: Column<u8>,
    /// The first [`COMMON`] strings, for most that come again are among them, and their numbers.
    common: Names,
    firsts: Vec<u32>,
    /// Of each string that is [`AGAIN`] there: the number that it had first, and its own.
    again: Column<[u32; 2]>,
    /// Scope, name, kind, target, line, first byte, length.
    events: Column<[u32; 7]>,
    /// Kind, parent +1, symbol.
    scopes: Column<[u32; 3]>,
    /// Operands of bodies that are still open: number of the body, hash.
    operands: Column<[u32; 2]>,
}

impl Large {
    /// With its files in `folder`.
    pub(super) fn new(folder: &Path) -> Box<Self> {
        let scratch = Scratch::new(Some(folder.to_owned()), 0);
        Box::new(Self {
            folder: folder.to_owned(),
            names: Column::new(&scratch),
            blob: Column::new(&scratch),
            common: Names::default(),
            firsts: Vec::new(),
            again: Column::new(&scratch),
            events: Column::new(&scratch),
            scopes: Column::new(&scratch),
            operands: Column::new(&scratch),
            scratch,
        })
    }

    /// Where columns go.
    pub(super) const fn scratch(&self) -> &Arc<Scratch> {
        &self.scratch
    }

    /// Takes all rows of an epoch.
    pub(super) fn take(&mut self, x: &mut Extractor) {
        for event in x.events.drain(..) {
            let Event { scope, name, kind, target, line, start, len, variable, .. } = event;
            let upper = if variable && is_upper(x.names.get(name)) { UPPER } else { 0 };
            self.events.push([scope, name, kind | upper, target, line, start, len]);
        }
        self.take_scopes(x);
        x.seen.take_out(&mut x.frames, |row| self.operands.push(row));
        self.take_names(x);
        x.out.spill(&self.scratch);
    }

    fn take_names(&mut self, x: &mut Extractor) {
        // What open bodies compare with goes on under its new number.
        let held: Vec<[String; 2]> =
            x.frames.iter().map(|frame| frame.names().map(|id| text(&x.names, id))).collect();
        x.names.take_out(|hash, bytes| self.take_name(hash, bytes));
        for (frame, names) in x.frames.iter_mut().zip(&held) {
            frame.rename(names.each_ref().map(|name| x.names.add(name)));
        }
    }

    fn take_name(&mut self, hash: u32, bytes: &[u8]) {
        let number = self.names.len() as u32;
        let place = if self.firsts.len() < COMMON {
            Some(self.common.insert(hash, bytes))
        } else {
            self.common.find(hash, bytes)
        };
        match place.map(|place| self.firsts.get(place as usize)) {
            Some(Some(&first)) => {
                self.again.push([first, number]);
                self.names.push([hash, AGAIN]);
                return;
            }
            Some(None) => self.firsts.push(number),
            None => {}
        }
        self.names.push([hash, bytes.len() as u32]);
        self.blob.extend_from_slice(bytes);
    }

    fn take_scopes(&mut self, x: &mut Extractor) {
        let mut open = Vec::new();
        for from in x.held.iter().copied().chain([x.scope]) {
            let mut at = from + 1;
            while at != 0 {
                let scope = x.scopes.get(at - 1);
                open.push((at - 1, scope));
                at = scope.parent;
            }
        }
        open.sort_unstable_by_key(|(number, _)| *number);
        open.dedup_by_key(|(number, _)| *number);
        let scopes = &mut x.scopes;
        self.scopes.extend(
            scopes.recent.drain(..).map(|Scope { kind, parent, sym, .. }| [kind as u32, parent, sym]),
        );
        scopes.base = self.scopes.len() as u32;
        scopes.open = open;
    }

    /// Distinct operands of a body beyond those of this epoch, which `seen` holds.
    pub(super) fn distinct_operands(&mut self, body: u32, seen: &PairMap) -> u32 {
        let operands = std::mem::replace(&mut self.operands, Column::new(&self.scratch)).finish().in_order();
        let mut hashes = Column::<u32>::new(&self.scratch);
        for &row in operands.iter() {
            if row[0] == body { hashes.push(row[1]) } else { self.operands.push(row) }
        }
        let mut now = 0;
        for (key, _) in seen.iter().filter(|(key, _)| (key >> 32) as u32 == body) {
            now += 1;
            hashes.push(key as u32);
        }
        hashes.sorted().in_order().chunk_by(|one, other| one == other).count() as u32 - now
    }
}

/// Bytes of a name that is held.
fn text(names: &Names, id: u32) -> String {
    if id == 0 { String::new() } else { String::from_utf8_lossy(names.get(id)).into_owned() }
}

/// A name as constants have it.
pub(super) fn is_upper(name: &[u8]) -> bool {
    name.iter().any(u8::is_ascii_uppercase) && !name.iter().any(u8::is_ascii_lowercase)
}

impl Extractor {
    /// The last steps of a text that was worked on out of core.
    ///
    /// # Errors
    /// Where the facts can't be written.
    pub(super) fn finish_large(
        &mut self,
        mut large: Box<Large>,
        text: &str,
        info: TextInfo<'_>,
        errors: &[SyntaxError],
    ) -> io::Result<Bytes> {
        self.errors(text, errors, info);
        let encoding = self.names.add(info.encoding);
        self.file_row(text, encoding);
        large.take(self);
        let Large { folder, scratch, names, blob, again, events, scopes, .. } = *large;
        let scratch = &scratch;
        let strings = Strings::new(scratch, &names.finish(), again, &blob.finish())?;
        let scopes = scopes.finish();
        let events = events.finish().in_order();
        let declared =
            if self.declares { Declared::new(&events, &scopes, &strings) } else { Declared::default() };
        // What comes after these are variables, whose names have their last numbers.
        let definitions = self.out.len(col::SYM_KIND) as u32;
        let bindings = Bindings::new(self, scratch, &events, &scopes, &strings, &declared);
        drop(events);
        self.out.spill(scratch);
        let refs = Refs { scopes: &scopes, strings: &strings, bindings: &bindings, declared: &declared };
        let bases = refs.resolve(self, scratch);
        let ordinals = ordinals(self, scratch, &strings);
        let facts = self.write_large(&folder, &strings, &bases, &ordinals, definitions);
        if let Some((folder, error)) = scratch.trouble() {
            tracing::warn!("cannot write to a scratch file in `{}`: {error}", folder.display());
        }
        facts
    }

    fn write_large(
        &self,
        folder: &Path,
        strings: &Strings,
        bases: &Patches,
        ordinals: &[[u32; 2]],
        definitions: u32,
    ) -> io::Result<Bytes> {
        let columns = &self.out;
        let mut to = BytesWriter::new(Some(folder), 0);
        let values = |column: usize| -> Box<dyn Iterator<Item = u32> + '_> {
            let raw = columns.spilled(column);
            let kinds = || columns.spilled(col::REF_KIND);
            let name_of = move |(name, row): (u32, u32)| {
                if row < definitions { strings.number(name) } else { name }
            };
            let name_unless_super = |(name, kind): (u32, u32)| {
                if kind == RefKind::Super as u32 { 0 } else { strings.number(name) }
            };
            match column {
                col::STR_HASH => Box::new(strings.rows.iter().map(|row| row[0])),
                col::STR_END => Box::new(strings.rows.iter().map(|row| row[1])),
                col::REF_BASE => Box::new(bases.apply(kinds(), raw)),
                col::REF_NAME => Box::new(raw.zip(kinds()).map(name_unless_super)),
                col::SYM_NAME => Box::new(raw.zip(0u32..).map(name_of)),
                col::SYM_ORDINAL => Box::new(patched(raw, ordinals.iter().copied())),
                _ if is_name(column) => Box::new(raw.map(|name| strings.number(name))),
                _ => Box::new(raw),
            }
        };
        let len = |column: usize| match column {
            col::STR_HASH | col::STR_END => strings.rows.len(),
            _ => columns.len(column),
        };
        columns.write(&mut to, values, len, &strings.blob)?;
        to.finish()
    }
}

/// Columns that hold numbers of strings, but for those that are looked after apart or have their last numbers.
const fn is_name(column: usize) -> bool {
    matches!(
        column,
        col::FILE_ENCODING
            | col::FILE_DOC
            | col::BODY_DOC
            | col::BODY_RETURNS
            | col::PAR_NAME
            | col::PAR_ANNOTATION
            | col::PAR_DEFAULT
            | col::KW_NAME
            | col::IMP_MODULE
            | col::IMP_NAME
            | col::IMP_AS
            | col::BASE_KEYWORD
            | col::EXP_NAME
            | col::SLOT_NAME
            | col::ARG_NAME
            | col::FLOW_NAME
            | col::ERR_MESSAGE
    )
}

/// `values`, but in the rows that `patches` name what they say.
fn patched<'a>(
    values: impl Iterator<Item = u32> + 'a,
    patches: impl Iterator<Item = [u32; 2]> + 'a,
) -> impl Iterator<Item = u32> + 'a {
    let mut patches = patches.peekable();
    values
        .zip(0u32..)
        .map(move |(value, row)| patches.next_if(|patch| patch[0] == row).map_or(value, |patch| patch[1]))
}

/// The distinct strings of a file, numbered in order of first use, as they would be had all been held at once.
struct Strings {
    /// For each number that was given out the last one.
    numbers: Table<u32>,
    /// Of each string: hash, and end in the blob.
    rows: Table<[u32; 2]>,
    blob: Table<u8>,
}

impl Strings {
    fn number(&self, name: u32) -> u32 {
        self.numbers[name as usize]
    }

    fn hash(&self, number: u32) -> u32 {
        self.rows[number as usize][0]
    }

    fn new(
        scratch: &Arc<Scratch>,
        names: &Table<[u32; 2]>,
        again: Column<[u32; 2]>,
        blob: &Table<u8>,
    ) -> io::Result<Self> {
        let taken = taken_over(scratch, names, again, blob);
        names.go_in_order();
        blob.go_in_order();
        let mut taken = taken.iter().peekable();
        let mut numbers = Column::new(scratch);
        let mut rows = Column::new(scratch);
        let mut strings = Column::new(scratch);
        let (mut at, mut next) = (0usize, 0u32);
        for (&[hash, len], name) in names.iter().zip(0u32..) {
            let len = if len == AGAIN { 0 } else { len as usize };
            let bytes = &blob[at..at + len];
            at += len;
            match taken.next_if(|row| row[0] == name) {
                Some(&[_, number]) => numbers.push(number),
                None => {
                    numbers.push(next);
                    next += 1;
                    strings.extend_from_slice(bytes);
                    let end = u32::try_from(strings.len());
                    rows.push([hash, end.map_err(|_| io::Error::other("more than 4 GB of names"))?]);
                }
            }
        }
        let numbers = numbers.finish().in_order();
        Ok(Self { numbers, rows: rows.finish(), blob: strings.finish().in_order() })
    }
}

/// Names that repeat an earlier one, with the last number of that one; sorted.
fn taken_over(
    scratch: &Arc<Scratch>,
    names: &Table<[u32; 2]>,
    again: Column<[u32; 2]>,
    blob: &Table<u8>,
) -> Table<[u32; 2]> {
    let (of_first, repeats) = repeated(scratch, names, again, blob);
    let (mut followers, mut repeats) = (of_first.iter().peekable(), repeats.iter().peekable());
    let (mut next, mut taken) = (0u32, Column::new(scratch));
    for name in 0..names.len() as u32 {
        if repeats.next_if(|&&repeat| repeat == name).is_some() {
            continue;
        }
        while let Some(&[_, follower]) = followers.next_if(|row| row[0] == name) {
            taken.push([follower, next]);
        }
        next += 1;
    }
    taken.sorted().in_order()
}

/// Names that repeat an earlier one: (first, name), and name alone, each sorted. `of_first`: those that are known already.
fn repeated(
    scratch: &Arc<Scratch>,
    names: &Table<[u32; 2]>,
    mut of_first: Column<[u32; 2]>,
    blob: &Table<u8>,
) -> (Table<[u32; 2]>, Table<u32>) {
    let (mut by_hash, mut alone) = (Column::new(scratch), Column::new(scratch));
    let mut starts = Column::<u64>::new(scratch);
    let mut at = 0u64;
    for (&[hash, len], name) in names.pieces().flatten().zip(0u32..) {
        starts.push(at);
        if len == AGAIN {
            alone.push(name);
        } else {
            by_hash.push([hash, name]);
            at += u64::from(len);
        }
    }
    let starts = starts.finish();
    let bytes = |name: u32| {
        let at = starts[name as usize] as usize;
        &blob[at..at + names[name as usize][1] as usize]
    };
    // Distinct names of the hash that is at hand.
    let (mut last, mut distinct) = (0, Vec::<u32>::new());
    for &[hash, name] in by_hash.sorted().in_order().iter() {
        if hash != last {
            distinct.clear();
            last = hash;
        }
        match distinct.iter().find(|&&first| bytes(first) == bytes(name)) {
            Some(&first) => {
                of_first.push([first, name]);
                alone.push(name);
            }
            None => distinct.push(name),
        }
    }
    (of_first.sorted().in_order(), alone.sorted().in_order())
}

/// What `global` and `nonlocal` say.
#[derive(Debug, Default)]
struct Declared {
    /// By scope and name, the kind of the first one.
    kinds: FxHashMap<(u32, u32), u32>,
    /// Function scopes around a `nonlocal` that bind its name.
    bound: FxHashSet<(u32, u32)>,
}

impl Declared {
    fn new(events: &[[u32; 7]], scopes: &[[u32; 3]], strings: &Strings) -> Self {
        let mut declared = Self::default();
        for &[scope, name, kind, ..] in events {
            let kind = kind & (BINDING_CONDITIONAL - 1);
            if kind == BindingKind::Global as u32 || kind == BindingKind::Nonlocal as u32 {
                declared.kinds.entry((scope, strings.number(name))).or_insert(kind);
            }
        }
        let mut wanted = FxHashSet::default();
        for (&(scope, name), _) in
            declared.kinds.iter().filter(|(_, kind)| **kind == BindingKind::Nonlocal as u32)
        {
            let mut at = scopes[scope as usize][1];
            while at != 0 {
                wanted.insert((at - 1, name));
                at = scopes[at as usize - 1][1];
            }
        }
        if !wanted.is_empty() {
            declared.bound = events
                .iter()
                .map(|event| (event[0], strings.number(event[1])))
                .filter(|key| wanted.contains(key))
                .collect();
        }
        declared
    }

    fn kind(&self, scope: u32, name: u32) -> Option<u32> {
        if self.kinds.is_empty() { None } else { self.kinds.get(&(scope, name)).copied() }
    }

    /// Where a `global` or `nonlocal` in `scope` moves the bindings of `name`; `scope` itself without them.
    fn owner(&self, scope: u32, name: u32, scopes: &[[u32; 3]]) -> u32 {
        match self.kind(scope, name) {
            Some(kind) if kind == BindingKind::Global as u32 => 0,
            Some(_) => {
                let mut at = scopes[scope as usize][1];
                while at != 0 {
                    let [kind, parent, _] = scopes[at as usize - 1];
                    let key = (at - 1, name);
                    if kind == ScopeKind::Function as u32
                        && self.bound.contains(&key)
                        && !self.kinds.contains_key(&key)
                    {
                        return at - 1;
                    }
                    at = parent;
                }
                scope
            }
            None => scope,
        }
    }
}

/// Rows of Bindings, to be looked up.
struct Bindings {
    /// Hash and name of each row.
    keys: Table<[u32; 2]>,
    /// First row of each scope, and one more.
    firsts: Table<u32>,
}

impl Bindings {
    /// Writes Scopes and Bindings; makes the variables' symbols.
    fn new(
        x: &mut Extractor,
        scratch: &Arc<Scratch>,
        events: &[[u32; 7]],
        scopes: &[[u32; 3]],
        strings: &Strings,
        declared: &Declared,
    ) -> Self {
        let mut sorter = Column::new(scratch);
        for (&[mut scope, name, mut kind, target, line, start, len], at) in events.iter().zip(0u32..) {
            let name = strings.number(name);
            let plain = kind & (BINDING_CONDITIONAL - 1);
            if scope != 0 && plain != BindingKind::Global as u32 && plain != BindingKind::Nonlocal as u32 {
                let owner = declared.owner(scope, name, scopes);
                if owner != scope {
                    scope = owner;
                    kind = plain | BINDING_CONDITIONAL | kind & UPPER;
                }
            }
            sorter.push([scope, strings.hash(name), name, at, kind, target, line, start, len]);
        }
        let sorted = sorter.sorted().in_order();
        let mut groups = sorted.chunk_by(|one, other| (one[0], one[2]) == (other[0], other[2])).peekable();
        let mut maker = BindingMaker { x, keys: Column::new(scratch), scratch };
        let mut firsts = Column::<u32>::new(scratch);
        for (&[kind, parent, sym], scope) in scopes.iter().zip(0u32..) {
            let first = maker.keys.len() as u32;
            firsts.push(first);
            for (column, value) in [
                (col::SCO_KIND, kind),
                (col::SCO_PARENT, parent),
                (col::SCO_SYM, sym),
                (col::SCO_BIND, first),
            ] {
                maker.x.out.push(column, value);
            }
            while let Some(rows) = groups.next_if(|rows| rows[0][0] == scope) {
                maker.group(kind, sym, rows);
            }
            maker.relieve();
        }
        let keys = maker.keys;
        firsts.push(keys.len() as u32);
        Self { keys: keys.finish(), firsts: firsts.finish() }
    }

    fn range(&self, scope: u32) -> std::ops::Range<u32> {
        self.firsts[scope as usize]..self.firsts[scope as usize + 1]
    }

    /// First row of a name in a scope.
    fn find(&self, scope: u32, hash: u32, name: u32) -> Option<u32> {
        let range = self.range(scope);
        let keys = &self.keys[range.start as usize..range.end as usize];
        let at = keys.partition_point(|key| *key < [hash, name]);
        (keys.get(at) == Some(&[hash, name])).then_some(range.start + at as u32)
    }
}

struct BindingMaker<'a> {
    x: &'a mut Extractor,
    keys: Column<[u32; 2]>,
    scratch: &'a Arc<Scratch>,
}

impl BindingMaker<'_> {
    fn push(&mut self, hash: u32, name: u32, kind: u32, target: u32) {
        self.x.push_binding(name, kind, target);
        self.keys.push([hash, name]);
    }

    /// Rows of one name, which `events` bind, in a scope of `kind`, that of symbol `owner`.
    fn group(&mut self, kind: u32, owner: u32, events: &[[u32; 9]]) {
        let is =
            |kind: BindingKind| move |event: &[u32; 9]| event[4] & (BINDING_CONDITIONAL - 1) == kind as u32;
        let (value, annotation) = (is(BindingKind::Value), is(BindingKind::Annotation));
        let kind = ScopeKind::from_u32(kind);
        let [_, hash, name, _, bits, _, line, start, len] = events[0];
        if matches!(kind, ScopeKind::Module | ScopeKind::Class | ScopeKind::Instance)
            && events.iter().all(|event| value(event) || annotation(event))
        {
            let annotated = events.iter().any(annotation);
            let about = (name, bits & UPPER != 0, annotated);
            let symbol = self.x.add_variable(kind, owner, about, line, (start, start + len));
            self.push(hash, name, BindingKind::Variable as u32, symbol);
        }
        for &[_, hash, name, _, kind, target, ..] in events {
            self.push(hash, name, kind & !UPPER, target);
        }
        if let Some(last) = self.x.out.last_mut(col::BIN_KIND) {
            *last |= BINDING_LAST;
        }
        self.relieve();
    }

    fn relieve(&mut self) {
        const ROWS: usize = 1 << 16;
        if self.x.out.held(col::BIN_NAME).max(self.x.out.held(col::SCO_KIND)) > ROWS {
            self.x.out.spill(self.scratch);
        }
    }
}

/// What `REF_BASE` becomes.
struct Patches {
    /// For each ref that is a name: its binding +1, or [`LATER`].
    now: Table<u32>,
    /// Row, and binding +1, of those.
    later: Table<[u32; 2]>,
}

/// Looked up together with others.
const LATER: u32 = u32::MAX;

impl Patches {
    fn apply<'a>(
        &'a self,
        kinds: impl Iterator<Item = u32> + 'a,
        bases: impl Iterator<Item = u32> + 'a,
    ) -> impl Iterator<Item = u32> + 'a {
        let mut now = self.now.iter();
        let mut later = self.later.iter().peekable();
        kinds.zip(bases).zip(0u32..).map(move |((kind, base), row)| match RefKind::from_u32(kind) {
            RefKind::Name => match now.next() {
                Some(&LATER) => later.next_if(|found| found[0] == row).map_or(0, |found| found[1]),
                Some(&found) => found,
                None => 0,
            },
            RefKind::Literal | RefKind::Other => 0,
            _ => base,
        })
    }
}

/// Finds the scope that binds each name.
struct Refs<'a> {
    scopes: &'a [[u32; 3]],
    strings: &'a Strings,
    bindings: &'a Bindings,
    declared: &'a Declared,
}

/// Where a look-up has got to: scope +1, 0 at the end; and whether a function was left on the way.
#[derive(Clone, Copy)]
struct Walk {
    at: u32,
    function: bool,
}

enum Step {
    Found(u32),
    /// To be looked up in this scope, which is large, together with others.
    Large(u32, Walk),
}

impl Refs<'_> {
    fn resolve(&self, x: &Extractor, scratch: &Arc<Scratch>) -> Patches {
        let columns = &x.out;
        let mut now = Column::new(scratch);
        let mut later = Column::new(scratch);
        let mut waiting = Column::new(scratch);
        let refs = columns
            .spilled(col::REF_KIND)
            .zip(columns.spilled(col::REF_SCOPE))
            .zip(columns.spilled(col::REF_NAME));
        let mut any = false;
        for (((kind, scope), name), row) in refs.zip(0u32..) {
            if kind != RefKind::Name as u32 {
                continue;
            }
            let name = self.strings.number(name);
            match self.walk(name, Walk { at: scope + 1, function: false }) {
                Step::Found(found) => now.push(found),
                Step::Large(scope, walk) => {
                    now.push(LATER);
                    any = true;
                    waiting.push(self.waiting(scope, walk, name, row));
                }
            }
        }
        while any {
            any = false;
            let round = std::mem::replace(&mut waiting, Column::new(scratch)).sorted().in_order();
            let mut cursor = 0;
            for &[scope, hash, name, row, at, function] in round.iter() {
                let range = self.bindings.range(scope);
                cursor = cursor.max(range.start as usize);
                let keys = &self.bindings.keys[..range.end as usize];
                while keys.get(cursor).is_some_and(|key| *key < [hash, name]) {
                    cursor += 1;
                }
                if keys.get(cursor) == Some(&[hash, name]) {
                    later.push([row, cursor as u32 + 1]);
                    continue;
                }
                match self.walk(name, Walk { at, function: function != 0 }) {
                    Step::Found(found) => later.push([row, found]),
                    Step::Large(scope, walk) => {
                        any = true;
                        waiting.push(self.waiting(scope, walk, name, row));
                    }
                }
            }
        }
        Patches { now: now.finish().in_order(), later: later.sorted().in_order() }
    }

    fn waiting(&self, scope: u32, walk: Walk, name: u32, row: u32) -> [u32; 6] {
        [scope, self.strings.hash(name), name, row, walk.at, u32::from(walk.function)]
    }

    /// The first binding of `name` +1 as seen from `walk`: Python's rule, with class bodies seen from themselves alone.
    fn walk(&self, name: u32, mut walk: Walk) -> Step {
        let hash = self.strings.hash(name);
        while walk.at != 0 {
            let scope = walk.at - 1;
            let [kind, parent, _] = self.scopes[scope as usize];
            let kind = ScopeKind::from_u32(kind);
            let skip = walk.function && kind == ScopeKind::Class || kind == ScopeKind::Instance;
            let next = Walk {
                at: parent,
                function: walk.function
                    || matches!(kind, ScopeKind::Function | ScopeKind::Lambda | ScopeKind::Comprehension),
            };
            if !skip {
                match self.declared.kind(scope, name) {
                    Some(kind) if kind == BindingKind::Global as u32 => {
                        return self
                            .look(0, hash, name, Walk { at: 0, function: true })
                            .unwrap_or(Step::Found(0));
                    }
                    Some(_) => {}
                    None => {
                        if let Some(step) = self.look(scope, hash, name, next) {
                            return step;
                        }
                    }
                }
            }
            walk = next;
        }
        Step::Found(0)
    }

    fn look(&self, scope: u32, hash: u32, name: u32, next: Walk) -> Option<Step> {
        if self.bindings.range(scope).len() > LARGE_SCOPE as usize {
            return Some(Step::Large(scope, next));
        }
        self.bindings.find(scope, hash, name).map(|row| Step::Found(row + 1))
    }
}

/// Ordinals of definitions and lambdas, where they are not 0: row and number.
fn ordinals(x: &Extractor, scratch: &Arc<Scratch>, strings: &Strings) -> Table<[u32; 2]> {
    let columns = &x.out;
    let mut sorter = Column::new(scratch);
    let symbols = columns
        .spilled(col::SYM_KIND)
        .zip(columns.spilled(col::SYM_PARENT))
        .zip(columns.spilled(col::SYM_NAME))
        .zip(columns.spilled(col::SYM_FLAGS));
    for ((((kind, parent), name), flags), row) in symbols.zip(0u32..).skip(1) {
        let lambda = kind == SymbolKind::Lambda as u32;
        let definition = [SymbolKind::Class, SymbolKind::Function, SymbolKind::Method, SymbolKind::TypeAlias];
        if lambda || definition.iter().any(|&definition| kind == definition as u32) {
            let accessor = flags & (symbol_flag::SETTER | symbol_flag::DELETER);
            sorter.push([parent, strings.number(name), accessor, row, u32::from(lambda)]);
        }
    }
    let sorted = sorter.sorted().in_order();
    let mut rows = sorted.iter().copied().peekable();
    let mut numbers = Column::new(scratch);
    let (mut last, mut number) = ([0; 3], 0);
    while let Some([parent, name, accessor, row, lambda]) = rows.next() {
        let group = [parent, name, accessor];
        number = if group == last { number + 1 } else { 1 };
        last = group;
        // Importers see the last definition: it has none.
        let more = rows.peek().is_some_and(|next| next[..3] == group);
        if more || lambda != 0 {
            numbers.push([row, number]);
        }
    }
    numbers.sorted().in_order()
}
