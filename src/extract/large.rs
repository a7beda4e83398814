//! Extraction of texts whose facts need not fit in memory. At the end of each epoch all rows go to files; the last steps, which
//! need names, bindings and references of the whole file at once, sort and merge them there. Facts are those that
//! [`builder`](super::builder) makes in memory, byte for byte.

use super::builder::{Event, Extractor, Scope, SyntaxError, TextInfo};
use crate::model::facts::{
    BINDING_CONDITIONAL, BINDING_LAST, BindingKind, RefKind, ScopeKind, SymbolKind, col, symbol_flag,
};
use crate::model::name::PairMap;
use crate::spool::{Appender, Log, Mapped, Merge, Sorter, Table};
use rustc_hash::{FxHashMap, FxHashSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Bindings of a scope above which names are not looked up one by one in it: they are sorted and merged.
const LARGE_SCOPE: u32 = 1 << 14;

/// Added to an event's kind where its name is written in upper case.
const UPPER: u32 = 1 << 8;

/// What left memory.
#[derive(Debug)]
pub(super) struct Large {
    folder: PathBuf,
    /// Hash and length of each string.
    names: Log<2>,
    blob: Appender,
    /// Scope, name, kind, target, line, first byte, length.
    events: Log<7>,
    /// Kind, parent +1, symbol.
    scopes: Log<3>,
    /// Operands of bodies that are still open: number of the body, hash.
    operands: Log<2>,
    trouble: Option<io::Error>,
}

impl Large {
    /// With its files in `folder`.
    pub(super) fn new(folder: &Path) -> Box<Self> {
        Box::new(Self {
            folder: folder.to_owned(),
            names: Log::new(folder),
            blob: Appender::new(folder),
            events: Log::new(folder),
            scopes: Log::new(folder),
            operands: Log::new(folder),
            trouble: None,
        })
    }

    /// Takes all rows of an epoch.
    pub(super) fn take(&mut self, x: &mut Extractor) {
        if let Err(error) = self.try_take(x) {
            self.trouble.get_or_insert(error);
        }
    }

    fn try_take(&mut self, x: &mut Extractor) -> io::Result<()> {
        for event in x.events.drain(..) {
            let Event { scope, name, kind, target, line, start, len, variable, .. } = event;
            let upper = if variable && is_upper(x.names.get(name)) { UPPER } else { 0 };
            self.events.push([scope, name, kind | upper, target, line, start, len])?;
        }
        self.take_scopes(x)?;
        x.seen.take_out(&mut x.frames, |row| self.operands.push(row))?;
        self.take_names(x)?;
        x.out.spill(&self.folder)
    }

    fn take_names(&mut self, x: &mut Extractor) -> io::Result<()> {
        // What open bodies compare with goes on under its new number.
        let held: Vec<[String; 2]> =
            x.frames.iter().map(|frame| frame.names().map(|id| text(&x.names, id))).collect();
        let (names, blob) = (&mut self.names, &mut self.blob);
        x.names.take_out(|hash, bytes| {
            names.push([hash, bytes.len() as u32])?;
            blob.push(bytes)
        })?;
        for (frame, names) in x.frames.iter_mut().zip(&held) {
            frame.rename(names.each_ref().map(|name| x.names.add(name)));
        }
        Ok(())
    }

    fn take_scopes(&mut self, x: &mut Extractor) -> io::Result<()> {
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
        for Scope { kind, parent, sym, .. } in scopes.recent.drain(..) {
            self.scopes.push([kind as u32, parent, sym])?;
        }
        scopes.base = self.scopes.len() as u32;
        scopes.open = open;
        Ok(())
    }

    /// Distinct operands of a body beyond those of this epoch, which `seen` holds.
    pub(super) fn distinct_operands(&mut self, body: u32, seen: &PairMap) -> u32 {
        match self.try_distinct_operands(body, seen) {
            Ok(count) => count,
            Err(error) => {
                self.trouble.get_or_insert(error);
                0
            }
        }
    }

    fn try_distinct_operands(&mut self, body: u32, seen: &PairMap) -> io::Result<u32> {
        let operands = std::mem::replace(&mut self.operands, Log::new(&self.folder)).finish()?;
        let mut sorter = Sorter::<1>::new(&self.folder);
        for &row in operands.iter() {
            if row[0] == body { sorter.push([row[1]])? } else { self.operands.push(row)? }
        }
        let mut now = 0;
        for (key, _) in seen.iter().filter(|(key, _)| (key >> 32) as u32 == body) {
            now += 1;
            sorter.push([key as u32])?;
        }
        let (mut distinct, mut last) = (0u32, None);
        for [hash] in sorter.finish()?.merge() {
            distinct += u32::from(last != Some(hash));
            last = Some(hash);
        }
        Ok(distinct - now)
    }
}

/// Bytes of a name that is held.
fn text(names: &crate::model::name::Names, id: u32) -> String {
    if id == 0 { String::new() } else { String::from_utf8_lossy(names.get(id)).into_owned() }
}

/// A name as constants have it.
pub(super) fn is_upper(name: &[u8]) -> bool {
    name.iter().any(u8::is_ascii_uppercase) && !name.iter().any(u8::is_ascii_lowercase)
}

impl Extractor {
    /// The last steps of a text that was worked on out of core.
    pub(super) fn finish_large(
        &mut self,
        mut large: Box<Large>,
        text: &str,
        info: TextInfo<'_>,
        errors: &[SyntaxError],
    ) -> io::Result<File> {
        self.errors(text, errors, info);
        let encoding = self.names.add(info.encoding);
        self.file_row(text, encoding);
        large.take(self);
        let Large { folder, names, blob, events, scopes, trouble, .. } = *large;
        if let Some(error) = trouble {
            return Err(error);
        }
        let folder = &folder;
        let strings = Strings::new(folder, names, &blob.finish()?)?;
        let scopes = scopes.finish()?;
        let events = events.finish()?;
        let declared =
            if self.declares { Declared::new(&events, &scopes, &strings) } else { Declared::default() };
        // What comes after these are variables, whose names have their last numbers.
        let definitions = self.out.len(col::SYM_KIND) as u32;
        let bindings = Bindings::new(self, folder, &events, &scopes, &strings, &declared)?;
        drop(events);
        self.out.spill(folder)?;
        let refs = Refs { scopes: &scopes, strings: &strings, bindings: &bindings, declared: &declared };
        let bases = refs.resolve(self, folder)?;
        let ordinals = ordinals(self, folder, &strings)?;
        self.write_large(folder, &strings, &bases, &ordinals, definitions)
    }

    fn write_large(
        &self,
        folder: &Path,
        strings: &Strings,
        bases: &Patches,
        ordinals: &Sorted<2>,
        definitions: u32,
    ) -> io::Result<File> {
        let columns = self.out.spilled_columns()?;
        let mut to = Appender::new(folder);
        let values =
            |column: usize| -> io::Result<Box<dyn Iterator<Item = u32> + '_>> {
                let raw = columns.iter(column);
                let kinds = || columns.iter(col::REF_KIND);
                Ok(match column {
                    col::STR_HASH => Box::new(strings.rows.iter().map(|row| row[0])),
                    col::STR_END => Box::new(strings.rows.iter().map(|row| row[1])),
                    col::REF_BASE => Box::new(bases.apply(kinds(), raw)),
                    col::REF_NAME => Box::new(raw.zip(kinds()).map(|(name, kind)| {
                        if kind == RefKind::Super as u32 { 0 } else { strings.number(name) }
                    })),
                    col::SYM_NAME => {
                        Box::new(raw.zip(0u32..).map(move |(name, row)| {
                            if row < definitions { strings.number(name) } else { name }
                        }))
                    }
                    col::SYM_ORDINAL => Box::new(patched(raw, ordinals.merge())),
                    _ if is_name(column) => Box::new(raw.map(|name| strings.number(name))),
                    _ => Box::new(raw),
                })
            };
        let len = |column: usize| match column {
            col::STR_HASH | col::STR_END => strings.rows.len(),
            _ => columns.len(column),
        };
        columns.write(&mut to, values, len, &strings.blob)?;
        to.into_file()
    }
}

type Sorted<const N: usize> = crate::spool::Sorted<N>;

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
    numbers: Table<1>,
    /// Of each string: hash, and end in the blob.
    rows: Table<2>,
    blob: Mapped,
}

impl Strings {
    fn number(&self, name: u32) -> u32 {
        self.numbers[name as usize][0]
    }

    fn hash(&self, number: u32) -> u32 {
        self.rows[number as usize][0]
    }

    fn new(folder: &Path, names: Log<2>, blob: &[u8]) -> io::Result<Self> {
        let names = names.finish()?;
        let (of_first, firsts) = repeated(folder, &names, blob)?;
        // Numbers of the first ones, which those that repeat them take over.
        let mut followers = of_first.merge().peekable();
        let mut repeats = firsts.merge().peekable();
        let (mut next, mut taken) = (0u32, Sorter::<2>::new(folder));
        for name in 0..names.len() as u32 {
            if repeats.next_if(|row| row[0] == name).is_some() {
                continue;
            }
            while let Some([_, follower]) = followers.next_if(|row| row[0] == name) {
                taken.push([follower, next])?;
            }
            next += 1;
        }
        let taken = taken.finish()?;
        let mut taken = taken.merge().peekable();
        let mut numbers = Log::<1>::new(folder);
        let mut rows = Log::<2>::new(folder);
        let mut strings = Appender::new(folder);
        let (mut at, mut next) = (0usize, 0u32);
        for (&[hash, len], name) in names.iter().zip(0u32..) {
            let bytes = &blob[at..at + len as usize];
            at += len as usize;
            match taken.next_if(|row| row[0] == name) {
                Some([_, number]) => numbers.push([number])?,
                None => {
                    numbers.push([next])?;
                    next += 1;
                    strings.push(bytes)?;
                    let end = u32::try_from(strings.len());
                    rows.push([hash, end.map_err(|_| io::Error::other("more than 4 GB of names"))?])?;
                }
            }
        }
        Ok(Self { numbers: numbers.finish()?, rows: rows.finish()?, blob: strings.finish()? })
    }
}

/// Names that repeat an earlier one: (first, name), and name alone, each sorted.
fn repeated(folder: &Path, names: &[[u32; 2]], blob: &[u8]) -> io::Result<(Sorted<2>, Sorted<1>)> {
    let mut by_hash = Sorter::<2>::new(folder);
    let mut starts = Log::<2>::new(folder);
    let mut at = 0u64;
    for (&[hash, len], name) in names.iter().zip(0u32..) {
        by_hash.push([hash, name])?;
        starts.push([at as u32, (at >> 32) as u32])?;
        at += u64::from(len);
    }
    let (by_hash, starts) = (by_hash.finish()?, starts.finish()?);
    let bytes = |name: u32| {
        let [low, high] = starts[name as usize];
        let at = (u64::from(high) << 32 | u64::from(low)) as usize;
        &blob[at..at + names[name as usize][1] as usize]
    };
    let (mut of_first, mut alone) = (Sorter::<2>::new(folder), Sorter::<1>::new(folder));
    // Distinct names of the hash that is at hand.
    let (mut last, mut distinct) = (0, Vec::<u32>::new());
    for [hash, name] in by_hash.merge() {
        if hash != last {
            distinct.clear();
            last = hash;
        }
        match distinct.iter().find(|&&first| bytes(first) == bytes(name)) {
            Some(&first) => {
                of_first.push([first, name])?;
                alone.push([name])?;
            }
            None => distinct.push(name),
        }
    }
    Ok((of_first.finish()?, alone.finish()?))
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
    keys: Table<2>,
    /// First row of each scope, and one more.
    firsts: Table<1>,
}

/// Of the events of one name in one scope.
const DEFINED: u32 = 1;
const VARIABLE: u32 = 2;
const ANNOTATED: u32 = 4;

impl Bindings {
    /// Writes Scopes and Bindings; makes the variables' symbols.
    fn new(
        x: &mut Extractor,
        folder: &Path,
        events: &[[u32; 7]],
        scopes: &[[u32; 3]],
        strings: &Strings,
        declared: &Declared,
    ) -> io::Result<Self> {
        let mut sorter = Sorter::<9>::new(folder);
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
            sorter.push([scope, strings.hash(name), name, at, kind, target, line, start, len])?;
        }
        let sorted = sorter.finish()?;
        let groups = groups(folder, sorted.merge())?;
        let mut groups = groups.iter();
        let mut rows = sorted.merge().peekable();
        let mut maker = BindingMaker { x, keys: Log::new(folder), folder };
        let mut firsts = Log::<1>::new(folder);
        for (&[kind, parent, sym], scope) in scopes.iter().zip(0u32..) {
            let first = maker.keys.len() as u32;
            firsts.push([first])?;
            for (column, value) in [
                (col::SCO_KIND, kind),
                (col::SCO_PARENT, parent),
                (col::SCO_SYM, sym),
                (col::SCO_BIND, first),
            ] {
                maker.x.out.push(column, value);
            }
            while rows.peek().is_some_and(|row| row[0] == scope) {
                let Some(&[count, flags]) = groups.next() else { break };
                maker.group(kind, sym, count, flags, &mut rows)?;
            }
            maker.relieve()?;
        }
        let keys = maker.keys;
        firsts.push([keys.len() as u32])?;
        Ok(Self { keys: keys.finish()?, firsts: firsts.finish()? })
    }

    fn range(&self, scope: u32) -> std::ops::Range<u32> {
        self.firsts[scope as usize][0]..self.firsts[scope as usize + 1][0]
    }

    /// First row of a name in a scope.
    fn find(&self, scope: u32, hash: u32, name: u32) -> Option<u32> {
        let range = self.range(scope);
        let keys = &self.keys[range.start as usize..range.end as usize];
        let at = keys.partition_point(|key| *key < [hash, name]);
        (keys.get(at) == Some(&[hash, name])).then_some(range.start + at as u32)
    }
}

/// Number of events of each name in each scope, and what they are.
fn groups(folder: &Path, rows: Merge<'_, 9>) -> io::Result<Table<2>> {
    let mut groups = Log::<2>::new(folder);
    let (mut last, mut count, mut flags) = (None, 0, 0);
    for [scope, _, name, _, kind, ..] in rows {
        if last != Some((scope, name)) {
            if last.is_some() {
                groups.push([count, flags])?;
            }
            (last, count, flags) = (Some((scope, name)), 0, 0);
        }
        count += 1;
        let plain = kind & (BINDING_CONDITIONAL - 1);
        flags |= if plain == BindingKind::Value as u32 || plain == BindingKind::Annotation as u32 {
            VARIABLE
        } else {
            DEFINED
        };
        flags |= if plain == BindingKind::Annotation as u32 { ANNOTATED } else { 0 };
    }
    if last.is_some() {
        groups.push([count, flags])?;
    }
    groups.finish()
}

struct BindingMaker<'a> {
    x: &'a mut Extractor,
    keys: Log<2>,
    folder: &'a Path,
}

impl BindingMaker<'_> {
    fn push(&mut self, hash: u32, name: u32, kind: u32, target: u32) -> io::Result<()> {
        self.x.push_binding(name, kind, target);
        self.keys.push([hash, name])
    }

    /// Rows of one name in a scope of `kind`, that of symbol `owner`.
    fn group(
        &mut self,
        kind: u32,
        owner: u32,
        count: u32,
        flags: u32,
        rows: &mut impl Iterator<Item = [u32; 9]>,
    ) -> io::Result<()> {
        let kind = ScopeKind::from_u32(kind);
        for at in 0..count {
            let Some([_, hash, name, _, bits, target, line, start, len]) = rows.next() else { break };
            if at == 0
                && flags & (VARIABLE | DEFINED) == VARIABLE
                && matches!(kind, ScopeKind::Module | ScopeKind::Class | ScopeKind::Instance)
            {
                let symbol = self.x.add_variable(
                    kind,
                    owner,
                    (name, bits & UPPER != 0, flags & ANNOTATED != 0),
                    line,
                    (start, start + len),
                );
                self.push(hash, name, BindingKind::Variable as u32, symbol)?;
            }
            self.push(hash, name, bits & !UPPER, target)?;
        }
        if let Some(last) = self.x.out.last_mut(col::BIN_KIND) {
            *last |= BINDING_LAST;
        }
        self.relieve()
    }

    fn relieve(&mut self) -> io::Result<()> {
        const ROWS: usize = 1 << 16;
        if self.x.out.held(col::BIN_NAME).max(self.x.out.held(col::SCO_KIND)) > ROWS {
            self.x.out.spill(self.folder)?;
        }
        Ok(())
    }
}

/// What `REF_BASE` becomes.
struct Patches {
    /// For each ref that is a name: its binding +1, or [`LATER`].
    now: Table<1>,
    /// Row, and binding +1, of those.
    later: Sorted<2>,
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
        let mut later = self.later.merge().peekable();
        kinds.zip(bases).zip(0u32..).map(move |((kind, base), row)| match RefKind::from_u32(kind) {
            RefKind::Name => match now.next() {
                Some(&[LATER]) => later.next_if(|found| found[0] == row).map_or(0, |found| found[1]),
                Some(&[found]) => found,
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
    fn resolve(&self, x: &Extractor, folder: &Path) -> io::Result<Patches> {
        let columns = x.out.spilled_columns()?;
        let mut now = Log::<1>::new(folder);
        let mut later = Sorter::<2>::new(folder);
        let mut waiting = Sorter::<6>::new(folder);
        let refs =
            columns.iter(col::REF_KIND).zip(columns.iter(col::REF_SCOPE)).zip(columns.iter(col::REF_NAME));
        let mut any = false;
        for (((kind, scope), name), row) in refs.zip(0u32..) {
            if kind != RefKind::Name as u32 {
                continue;
            }
            let name = self.strings.number(name);
            match self.walk(name, Walk { at: scope + 1, function: false }) {
                Step::Found(found) => now.push([found])?,
                Step::Large(scope, walk) => {
                    now.push([LATER])?;
                    any = true;
                    waiting.push(self.waiting(scope, walk, name, row))?;
                }
            }
        }
        while any {
            any = false;
            let round = std::mem::replace(&mut waiting, Sorter::new(folder)).finish()?;
            let mut cursor = 0;
            for [scope, hash, name, row, at, function] in round.merge() {
                let range = self.bindings.range(scope);
                cursor = cursor.max(range.start as usize);
                let keys = &self.bindings.keys[..range.end as usize];
                while keys.get(cursor).is_some_and(|key| *key < [hash, name]) {
                    cursor += 1;
                }
                if keys.get(cursor) == Some(&[hash, name]) {
                    later.push([row, cursor as u32 + 1])?;
                    continue;
                }
                match self.walk(name, Walk { at, function: function != 0 }) {
                    Step::Found(found) => later.push([row, found])?,
                    Step::Large(scope, walk) => {
                        any = true;
                        waiting.push(self.waiting(scope, walk, name, row))?;
                    }
                }
            }
        }
        Ok(Patches { now: now.finish()?, later: later.finish()? })
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
fn ordinals(x: &Extractor, folder: &Path, strings: &Strings) -> io::Result<Sorted<2>> {
    let columns = x.out.spilled_columns()?;
    let mut sorter = Sorter::<5>::new(folder);
    let symbols = columns
        .iter(col::SYM_KIND)
        .zip(columns.iter(col::SYM_PARENT))
        .zip(columns.iter(col::SYM_NAME))
        .zip(columns.iter(col::SYM_FLAGS));
    for ((((kind, parent), name), flags), row) in symbols.zip(0u32..).skip(1) {
        let lambda = kind == SymbolKind::Lambda as u32;
        let definition = [SymbolKind::Class, SymbolKind::Function, SymbolKind::Method, SymbolKind::TypeAlias];
        if lambda || definition.iter().any(|&definition| kind == definition as u32) {
            let accessor = flags & (symbol_flag::SETTER | symbol_flag::DELETER);
            sorter.push([parent, strings.number(name), accessor, row, u32::from(lambda)])?;
        }
    }
    let sorted = sorter.finish()?;
    let mut rows = sorted.merge().peekable();
    let mut numbers = Sorter::<2>::new(folder);
    let (mut last, mut number) = ([0; 3], 0);
    while let Some([parent, name, accessor, row, lambda]) = rows.next() {
        let group = [parent, name, accessor];
        number = if group == last { number + 1 } else { 1 };
        last = group;
        // Importers see the last definition: it has none.
        let more = rows.peek().is_some_and(|next| next[..3] == group);
        if more || lambda != 0 {
            numbers.push([row, number])?;
        }
    }
    numbers.finish()
}
