//! Links of one file by name: import targets, call sites, references, bases, decorators, overrides.

use super::Project;
use super::flow::{self, Callees, Site};
use super::links::{
    CallStatus, Evidence, ImportStatus, LinkWriter, MEGAMORPHIC, Reason, TargetKind, col as lcol,
};
use super::memo::{MOST, Memo};
use super::modules::Found;
use super::typeshed::{self, Thing};
use super::value::{Context, Key, Value, Values};
use crate::model::facts::{
    BINDING_CONDITIONAL, BINDING_LAST, BindingKind, Facts, ImportKind, RefKind, SymbolKind, col, ref_flag,
    symbol_flag, table,
};
use crate::model::name::PairMap;
use crate::sys::{Column, Scratch, Table};
use smallvec::SmallVec;
use std::cell::RefCell;
use std::sync::Arc;

/// Refs after which it is told that facts were read.
const PAGE: u32 = 1 << 16;

/// Methods of a file that importers see: hash of the name and number of the symbol in the project.
pub(crate) fn method_rows(project: &Project<'_>, file: u32) -> Column<u64> {
    let mut rows = Column::new(&project.scratch);
    let Some(facts) = project.facts(file) else { return rows };
    let method = SymbolKind::Method as u32;
    for symbol in 0..facts.rows(table::Symbols) {
        if facts.get(col::SYM_KIND, symbol) == method && facts.get(col::SYM_ORDINAL, symbol) == 0 {
            let hash = facts.get(col::STR_HASH, facts.get(col::SYM_NAME, symbol));
            rows.push(u64::from(hash) << 32 | u64::from(project.symbol(file, symbol)));
        }
    }
    rows
}

/// Parts written of a name outside the project.
const MAX_PARTS: u32 = 40;

/// Methods of the project by name.
#[derive(Debug, Default)]
pub(crate) struct MethodIndex {
    /// Hash of the name, number of the symbol; sorted.
    rows: Table<u64>,
    /// First row whose hash has these upper 16 bits, and one more at the end.
    starts: Vec<u32>,
}

impl MethodIndex {
    /// `rows`: those of all files.
    pub(crate) fn new(rows: Column<u64>) -> Self {
        let rows = rows.sorted();
        let mut starts = vec![0; (1 << 16) + 1];
        for row in rows.iter() {
            starts[(row >> 48) as usize + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        Self { rows, starts }
    }

    /// Methods called `key`: (file, symbol).
    pub(crate) fn named<'p>(
        &'p self,
        project: &'p Project<'_>,
        key: Key<'p>,
    ) -> impl Iterator<Item = (u32, u32)> + 'p {
        self.with_hash(key.hash).iter().map(|&row| project.locate(row as u32)).filter(
            move |&(file, symbol)| {
                project.touched(file);
                project
                    .facts(file)
                    .is_some_and(|facts| facts.bytes_of(facts.get(col::SYM_NAME, symbol)) == key.bytes)
            },
        )
    }

    fn with_hash(&self, hash: u32) -> &[u64] {
        let upper = (hash >> 16) as usize;
        let rows = match self.starts.get(upper..upper + 2) {
            Some(ends) => &self.rows[ends[0] as usize..ends[1] as usize],
            None => &[],
        };
        let start = rows.partition_point(|row| row >> 32 < u64::from(hash));
        let count = rows[start..].partition_point(|row| row >> 32 == u64::from(hash));
        &rows[start..start + count]
    }
}

/// What a ref leads to when it is called.
#[derive(Clone, Copy, Debug)]
struct Verdict {
    status: CallStatus,
    reason: Reason,
    first: u32,
    count: u32,
}

/// Links files one after another; its memory is reused.
struct Linker {
    scratch: Arc<Scratch>,
    out: LinkWriter,
    cx: Context,
    file: u32,
    /// For each string: the first ref +1 of a name that no scope of the file binds.
    unbound: Memo<u32>,
    /// For each row in Bindings: the first ref +1 that it is the base of, seen from its own scope and from others.
    bound: Memo<[u32; 2]>,
    /// First ref of a kind with these values as base and this name.
    paths: Pairs,
    /// For each ref the first one +1 that has the same meaning; 0 for itself.
    same: Column<u32>,
    targets: Pairs,
    strings: std::collections::HashMap<String, u32, rustc_hash::FxBuildHasher>,
    text: String,
    verdicts: Memo<Option<Verdict>>,
    /// For each number of values: 0 where it was not looked at or stands for several targets, 1 for none, else the
    /// target +2.
    single: Memo<u32>,
    /// For each string of the file: whether a method of the project has this name.
    candidates: Memo<u8>,
    list: Vec<(u32, Evidence)>,
}

/// A map that is emptied where it has too many entries.
#[derive(Debug, Default)]
struct Pairs {
    map: PairMap,
    len: usize,
}

impl Pairs {
    fn clear(&mut self, expected: usize) {
        self.map.clear(expected);
        self.len = 0;
    }

    #[inline]
    fn insert(&mut self, key: u64, new: u32) -> (u32, bool) {
        if self.len >= MOST {
            self.clear(0);
        }
        let found = self.map.insert(key, new);
        self.len += usize::from(found.1);
        found
    }
}

thread_local! {
    static LINKER: RefCell<Option<Linker>> = const { RefCell::new(None) };
}

/// The links of `file`, as a block, made by this thread's linker.
pub(crate) fn links_of(project: &Project<'_>, file: u32, callees: Option<&Callees>) -> Table<u8> {
    // One that finds itself called while it works, by a pool that takes up another file meanwhile, is not there.
    let mut linker = LINKER.take().unwrap_or_else(|| Linker::new(&project.scratch));
    if !Arc::ptr_eq(&linker.scratch, &project.scratch) {
        linker = Linker::new(&project.scratch);
    }
    let block = linker.file(project, file, callees);
    LINKER.set(Some(linker));
    block
}

/// Frees what this thread's linker keeps from file to file.
pub(crate) fn drop_linker() {
    LINKER.take();
}

impl Linker {
    fn new(scratch: &Arc<Scratch>) -> Self {
        Self {
            scratch: Arc::clone(scratch),
            out: LinkWriter::new(scratch),
            cx: Context::default(),
            file: 0,
            unbound: Memo::default(),
            bound: Memo::default(),
            paths: Pairs::default(),
            same: Column::new(scratch),
            targets: Pairs::default(),
            strings: std::collections::HashMap::default(),
            text: String::new(),
            verdicts: Memo::default(),
            single: Memo::default(),
            candidates: Memo::default(),
            list: Vec::new(),
        }
    }

    fn file(&mut self, project: &Project<'_>, file: u32, callees: Option<&Callees>) -> Table<u8> {
        self.out.clear();
        self.targets.clear(64);
        self.strings.clear();
        if let Some(facts) = project.facts(file) {
            self.evaluate(project, file, facts);
            self.imports(project, file, facts);
            self.sites(project, facts, callees);
            self.implicit(callees);
            self.references(project, facts);
            for (source, count, reference) in [
                (lcol::LBASE_TARGET, facts.rows(table::Bases), col::BASE_REF),
                (lcol::LDEC_TARGET, facts.rows(table::Decorators), col::DEC_REF),
            ] {
                for row in 0..count {
                    let target =
                        self.first_target(project, facts.get(reference, row)).map_or(0, |target| target + 1);
                    self.out.push(source, target);
                }
            }
            self.overrides(project, file, facts);
        }
        self.out.finish()
    }

    /// Values of all refs, each from those of its base; of refs that mean the same once.
    fn evaluate(&mut self, project: &Project<'_>, file: u32, facts: &Facts<'_>) {
        let refs = facts.rows(table::Refs);
        self.file = file;
        self.cx.start(file, refs, &self.scratch);
        self.unbound.start(facts.rows(table::Strings));
        self.bound.start(facts.rows(table::Bindings));
        self.paths.clear(refs as usize / 2);
        self.same.clear();
        let mut out = Values::new();
        for row in 0..refs {
            let same = self.evaluate_row(project, facts, row, &mut out);
            self.same.push(same);
            self.cx.close(row);
            if row % PAGE == PAGE - 1 {
                project.touched(file);
            }
        }
        self.cx.refuel();
    }

    /// Values of one ref. Gives an earlier one +1 that has the same meaning, or 0.
    #[inline]
    fn evaluate_row(&mut self, project: &Project<'_>, facts: &Facts<'_>, row: u32, out: &mut Values) -> u32 {
        let kind = RefKind::from_u32(facts.get(col::REF_KIND, row));
        let base = facts.get(col::REF_BASE, row);
        match kind {
            RefKind::Name => {
                // Where the number of the first ref of the same meaning is kept.
                let known = if base == 0 {
                    let string = facts.get(col::REF_NAME, row);
                    let known = self.unbound.get(string);
                    if known == 0 || self.cx.number(known - 1) == 0 {
                        self.unbound.set(string, row + 1);
                    }
                    known
                } else {
                    let inside = facts.bindings_of(facts.get(col::REF_SCOPE, row)).contains(&(base - 1));
                    let mut places = self.bound.get(base - 1);
                    let known = places[usize::from(inside)];
                    if known == 0 || self.cx.number(known - 1) == 0 {
                        places[usize::from(inside)] = row + 1;
                        self.bound.set(base - 1, places);
                    }
                    known
                };
                if let Some(known) = known.checked_sub(1)
                    && self.cx.number(known) != 0
                {
                    self.cx.set_number(row, self.cx.number(known));
                    return known + 1;
                }
                if base != 0 && is_unknown_value(facts, base - 1) {
                    self.cx.set_number(row, Context::unknown(Reason::Value));
                    return 0;
                }
            }
            RefKind::Attribute | RefKind::Call | RefKind::Subscript | RefKind::Await => {
                let number = self.cx.number(base);
                let reason = Context::reason(number);
                let known = match kind {
                    RefKind::Await => Some(Reason::Await),
                    RefKind::Subscript => reason.and(Some(Reason::Subscript)),
                    // Whatever is read from an unknown value is unknown for the same reason.
                    _ => reason,
                };
                if let Some(reason) = known {
                    self.cx.set_number(row, Context::unknown(reason));
                    return 0;
                }
                let key =
                    (kind as u64) << 60 | u64::from(number) << 32 | u64::from(facts.get(col::REF_NAME, row));
                let (known, new) = self.paths.insert(key, row);
                if !new && number != 0 && self.cx.number(known) != 0 {
                    self.cx.set_number(row, self.cx.number(known));
                    return known + 1;
                }
            }
            RefKind::Other => {
                self.cx.set_number(row, Context::unknown(Reason::Expression));
                return 0;
            }
            RefKind::Super | RefKind::Literal => {}
        }
        self.cx.refuel();
        out.clear();
        project.eval(self.file, row, &mut self.cx, out);
        0
    }

    fn values_of(&self, row: u32) -> SmallVec<[Value; 4]> {
        self.cx.values(self.file, row)
    }

    /// The row of a target; makes it where there is none.
    fn target(&mut self, kind: TargetKind, id: u32) -> u32 {
        let next = self.out.len(lcol::TGT_KIND);
        let (row, new) = self.targets.insert((kind as u64) << 32 | u64::from(id), next);
        if new {
            self.out.push(lcol::TGT_KIND, kind as u32);
            self.out.push(lcol::TGT_ID, id);
        }
        row
    }

    fn string_target(&mut self, kind: TargetKind, text: &str) -> u32 {
        let id = match self.strings.get(text) {
            Some(&id) => id,
            None => {
                if self.strings.len() >= MOST {
                    self.strings.clear();
                }
                let id = self.out.len(lcol::LSTR_END);
                let end = self.out.text(text);
                self.out.push(lcol::LSTR_END, end);
                self.strings.insert(text.to_owned(), id);
                id
            }
        };
        self.target(kind, id)
    }

    /// The target whose name is written by `write`; none where that gives false.
    fn written_target(
        &mut self,
        kind: TargetKind,
        write: impl FnOnce(&mut Context, &mut String) -> bool,
    ) -> Option<u32> {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        let target = write(&mut self.cx, &mut text).then(|| self.string_target(kind, &text));
        self.text = text;
        target
    }

    /// The target that a value is, if it is one.
    fn value_target(&mut self, project: &Project<'_>, value: Value) -> Option<u32> {
        self.cx.refuel();
        match value {
            Value::Symbol(file, symbol) | Value::Variable(file, symbol) => {
                Some(self.target(TargetKind::Symbol, project.symbol(file, symbol)))
            }
            Value::ClassReceiver(file, class) => {
                Some(self.target(TargetKind::Symbol, project.symbol(file, class)))
            }
            Value::Namespace(namespace) => {
                Some(self.string_target(TargetKind::Namespace, &project.table.namespaces[namespace as usize]))
            }
            Value::ExternalImport(..) | Value::ExternalTop(..) | Value::ExternalRef(..) => {
                self.written_target(TargetKind::External, |cx, text| project.dotted(value, cx, text))
            }
            Value::Builtin(..) | Value::BuiltinRef(..) => {
                self.written_target(TargetKind::Builtin, |cx, text| project.dotted(value, cx, text))
            }
            Value::Instance(..)
            | Value::Receiver(..)
            | Value::Super(..)
            | Value::Literal(..)
            | Value::Unknown(_) => None,
        }
    }

    fn first_target(&mut self, project: &Project<'_>, row: u32) -> Option<u32> {
        let values = self.values_of(row);
        let value = values.iter().find(|value| matches!(value, Value::Symbol(..))).or(values.first())?;
        self.value_target(project, *value)
    }

    fn imports(&mut self, project: &Project<'_>, file: u32, facts: &Facts<'_>) {
        for row in 0..facts.rows(table::Imports) {
            let target = project.imports.get(file, row);
            let kind = ImportKind::from_u32(facts.get(col::IMP_KIND, row));
            let (mut status, mut symbol) = (ImportStatus::Resolved, 0);
            let module;
            match target.module.or(target.other.filter(|_| kind == ImportKind::From)) {
                None => {
                    status =
                        if target.missing { ImportStatus::MissingModule } else { ImportStatus::External };
                    let mut text = std::mem::take(&mut self.text);
                    text.clear();
                    text.extend(std::iter::repeat_n('.', facts.get(col::IMP_LEVEL, row) as usize));
                    text.push_str(facts.str(col::IMP_MODULE, row));
                    module = self.string_target(TargetKind::External, &text) + 1;
                    self.text = text;
                }
                Some(found) => {
                    let mut found = found;
                    if kind == ImportKind::From {
                        let key = Key::of(facts, facts.get(col::IMP_NAME, row));
                        let mut values = Values::new();
                        self.cx.refuel();
                        let itself = found == Found::File(file) && target.other.is_some();
                        let has = !itself
                            && matches!(found, Found::File(from) if project.export(from, key, true, &mut self.cx, &mut values));
                        if has {
                            let value = values
                                .iter()
                                .find(|value| !matches!(value, Value::Unknown(_) | Value::Symbol(_, 0)));
                            symbol = value
                                .and_then(|&value| self.value_target(project, value))
                                .map_or(0, |target| target + 1);
                        } else if let Some(submodule) = target.other {
                            found = submodule;
                        } else if matches!(found, Found::File(from) if project.missing(from) == Reason::NoSuchName)
                            || matches!(found, Found::Namespace(_))
                        {
                            status = ImportStatus::MissingName;
                        }
                    }
                    let value = super::value::module(found);
                    module = self.value_target(project, value).map_or(0, |target| target + 1);
                }
            }
            self.out.push(lcol::LIMP_STATUS, status as u32);
            self.out.push(lcol::LIMP_MODULE, module);
            self.out.push(lcol::LIMP_SYMBOL, symbol);
        }
    }

    fn implicit(&mut self, callees: Option<&Callees>) {
        for call in callees.map_or(&[][..], |callees| &callees.implicit) {
            let target = self.target(TargetKind::Symbol, call.target);
            for (column, value) in [
                (lcol::IMPL_SYM, call.caller),
                (lcol::IMPL_ROW, call.row),
                (lcol::IMPL_KIND, call.kind as u32),
                (lcol::IMPL_TARGET, target),
            ] {
                self.out.push(column, value);
            }
        }
    }

    /// What the flow of values says of a site, where it says more than names do: `named` is what they say.
    fn flowed(
        &mut self,
        project: &Project<'_>,
        facts: &Facts<'_>,
        callee: u32,
        named: Verdict,
        (site, targets, receivers, outside): (&Site, &[flow::Target], &[u32], &[Thing]),
    ) -> Verdict {
        let mut known: SmallVec<[(u32, Evidence); 8]> = SmallVec::new();
        for row in named.first..named.first + named.count {
            let evidence = Evidence::from_u32(self.out.get(lcol::LIST_EVIDENCE, row));
            known.push((self.out.get(lcol::LIST_TARGET, row), evidence));
        }
        let mut list: Vec<(u32, Evidence)> = Vec::new();
        for target in targets {
            let row = self.target(TargetKind::Symbol, target.symbol);
            let evidence = match known.iter().find(|entry| entry.0 == row) {
                Some(&(_, Evidence::Instantiates)) => Evidence::Instantiates,
                _ if target.instantiates => Evidence::Instantiates,
                Some(_) => Evidence::Direct,
                None => Evidence::Flow,
            };
            list.push((row, evidence));
        }
        // A class comes before its constructors.
        list.sort_by_key(|entry| entry.1 != Evidence::Instantiates);
        if facts.get(col::REF_KIND, callee) == RefKind::Attribute as u32 {
            let key = Key::of(facts, facts.get(col::REF_NAME, callee));
            let running = running(project, self.file, facts, callee);
            for &class in receivers {
                self.overriding(project, project.locate(class), key, running, &mut list);
            }
        }
        list.extend(known.iter().filter(|entry| entry.1 == Evidence::Dispatch));
        let mut seen = rustc_hash::FxHashSet::default();
        list.retain(|entry| seen.insert(entry.0));
        if list.is_empty() && !site.top && !site.many {
            return if named.count > 0 || outside.is_empty() { named } else { self.outside(outside) };
        }
        if site.top || list.is_empty() || list.len() > MEGAMORPHIC {
            if named.count > 0 {
                return named;
            }
            return Verdict {
                status: CallStatus::Ambiguous,
                reason: Reason::Megamorphic,
                first: 0,
                count: 0,
            };
        }
        if list.len() == known.len() && list.iter().zip(&known).all(|(one, other)| one == other) {
            return named;
        }
        list.extend(self.outside_targets(outside));
        let (status, reason) = match named.reason {
            _ if site.external => (CallStatus::Incomplete, Reason::ExternalResult),
            _ if site.unbound => (CallStatus::Incomplete, Reason::Parameter),
            _ if site.many => (CallStatus::Incomplete, Reason::Megamorphic),
            _ => (CallStatus::Resolved, Reason::None),
        };
        self.listed(&list, status, reason)
    }

    /// A call of things of the standard library alone.
    fn outside(&mut self, things: &[Thing]) -> Verdict {
        let status = match things.iter().all(|&thing| typeshed::is_builtin(thing)) {
            true => CallStatus::Builtin,
            false => CallStatus::External,
        };
        let list = self.outside_targets(things);
        self.listed(&list, status, Reason::None)
    }

    fn outside_targets(&mut self, things: &[Thing]) -> SmallVec<[(u32, Evidence); 4]> {
        let target = |&thing: &Thing| {
            let builtin = typeshed::is_builtin(thing);
            let kind = if builtin { TargetKind::Builtin } else { TargetKind::External };
            let target = self.written_target(kind, |_, text| {
                typeshed::write_dotted(thing, text);
                true
            })?;
            Some((target, Evidence::Flow))
        };
        things.iter().filter_map(target).collect()
    }

    fn sites(&mut self, project: &Project<'_>, facts: &Facts<'_>, callees: Option<&Callees>) {
        let (mut first_target, mut first_receiver, mut first_outside) = (0, 0, 0);
        let order = callees.map(|callees| {
            let mut order: Vec<(u32, u32, u32, u32, u32)> = Vec::with_capacity(callees.sites.len());
            for (site, at) in callees.sites.iter().zip(0u32..) {
                order.push((site.call, at, first_target, first_receiver, first_outside));
                (first_target, first_receiver, first_outside) = (site.targets, site.receivers, site.outside);
            }
            order.sort_unstable();
            order
        });
        let mut order = order.as_deref().unwrap_or(&[]).iter().peekable();
        self.verdicts.start(facts.rows(table::Refs));
        self.candidates.start(facts.rows(table::Strings));
        for row in 0..facts.rows(table::Calls) {
            let callee = facts.get(col::CALL_REF, row);
            let callee = self.same.get(callee as usize).checked_sub(1).unwrap_or(callee);
            let verdict = match self.verdicts.get(callee) {
                Some(verdict) => verdict,
                None => {
                    let verdict = self.judge(project, facts, callee);
                    self.verdicts.set(callee, Some(verdict));
                    verdict
                }
            };
            // What `eval` runs is called where it is.
            let mut verdict = verdict;
            while let (Some(&(_, at, targets, receivers, outside)), Some(callees)) =
                (order.next_if(|entry| entry.0 == row), callees)
            {
                let site = &callees.sites[at as usize];
                let targets = &callees.targets[targets as usize..site.targets as usize];
                let receivers = &callees.receivers[receivers as usize..site.receivers as usize];
                let outside = &callees.outside[outside as usize..site.outside as usize];
                verdict = self.flowed(project, facts, callee, verdict, (site, targets, receivers, outside));
            }
            self.out.push(lcol::SITE_STATUS, verdict.status as u32);
            self.out.push(lcol::SITE_REASON, verdict.reason as u32);
            self.out.push(lcol::SITE_FIRST, verdict.first);
            self.out.push(lcol::SITE_COUNT, verdict.count);
        }
    }

    /// Decides what calling ref `callee` means.
    fn judge(&mut self, project: &Project<'_>, facts: &Facts<'_>, callee: u32) -> Verdict {
        // What a known receiver lacks, its subclasses may have.
        let received = facts.get(col::REF_KIND, callee) == RefKind::Attribute as u32
            && Context::reason(self.cx.number(facts.get(col::REF_BASE, callee))).is_none();
        if let Some(reason) = Context::reason(self.cx.number(callee))
            && !received
        {
            return self.unknown(project, facts, callee, reason);
        }
        let mut list = std::mem::take(&mut self.list);
        list.clear();
        let mut outside: SmallVec<[(u32, CallStatus); 2]> = SmallVec::new();
        let mut reason = Reason::None;
        let values = self.values_of(callee);
        for value in values {
            match value {
                Value::Variable(..) => {}
                Value::Symbol(owner, symbol) => match project.kind(owner, symbol) {
                    SymbolKind::Class => self.construct(project, (owner, symbol), false, &mut list),
                    SymbolKind::Module => reason = Reason::NotCallable,
                    SymbolKind::TypeAlias => reason = Reason::NotCallable,
                    _ => {
                        let target = self.target(TargetKind::Symbol, project.symbol(owner, symbol));
                        list.push((target, Evidence::Direct));
                    }
                },
                Value::ClassReceiver(owner, class) => {
                    self.construct(project, (owner, class), true, &mut list)
                }
                Value::Instance(owner, class) | Value::Receiver(owner, class) => {
                    match project.method((owner, class), Key::new("__call__")) {
                        Some(method) => {
                            let target = self.target(TargetKind::Symbol, project.symbol(method.0, method.1));
                            list.push((target, Evidence::Direct));
                        }
                        None => reason = Reason::NotCallable,
                    }
                }
                Value::ExternalImport(..) | Value::ExternalTop(..) | Value::ExternalRef(..) => {
                    if let Some(target) = self.value_target(project, value) {
                        outside.push((target, CallStatus::External));
                    }
                }
                Value::Builtin(..) | Value::BuiltinRef(..) => {
                    if let Some(target) = self.value_target(project, value) {
                        outside.push((target, CallStatus::Builtin));
                    }
                }
                Value::Namespace(_) | Value::Literal(..) | Value::Super(..) => reason = Reason::NotCallable,
                Value::Unknown(why) => reason = why,
            }
        }
        self.dispatch(project, facts, callee, &mut list);
        if list.len() > MEGAMORPHIC {
            let mut seen = rustc_hash::FxHashSet::default();
            list.retain(|entry| seen.insert(entry.0));
        }
        let verdict = if list.len() > MEGAMORPHIC {
            Verdict { status: CallStatus::Ambiguous, reason: Reason::Megamorphic, first: 0, count: 0 }
        } else if !list.is_empty() {
            list.extend(outside.iter().map(|&(target, _)| (target, Evidence::Direct)));
            let status = if reason == Reason::None { CallStatus::Resolved } else { CallStatus::Incomplete };
            self.listed(&list, status, reason)
        } else if let Some(&(_, status)) =
            outside.iter().find(|entry| entry.1 == CallStatus::External).or(outside.first())
        {
            list.extend(outside.iter().map(|&(target, _)| (target, Evidence::Direct)));
            self.listed(&list, status, reason)
        } else {
            self.unknown(project, facts, callee, if reason == Reason::None { Reason::Value } else { reason })
        };
        self.list = list;
        verdict
    }

    /// A call of which no target is known.
    fn unknown(&mut self, project: &Project<'_>, facts: &Facts<'_>, callee: u32, reason: Reason) -> Verdict {
        let by_name = facts.get(col::REF_KIND, callee) == RefKind::Attribute as u32
            && self.is_method_name(project, facts, facts.get(col::REF_NAME, callee));
        // The reason says why nothing better is known; candidates are those of the callee's name.
        let status = if by_name { CallStatus::Ambiguous } else { CallStatus::Unresolved };
        Verdict { status, reason, first: 0, count: 0 }
    }

    fn listed(&mut self, list: &[(u32, Evidence)], status: CallStatus, reason: Reason) -> Verdict {
        let first = self.out.len(lcol::LIST_TARGET);
        let mut count = 0;
        for (at, &(target, evidence)) in list.iter().enumerate() {
            if list[..at].iter().any(|entry| entry.0 == target) {
                continue;
            }
            self.out.push(lcol::LIST_TARGET, target);
            self.out.push(lcol::LIST_EVIDENCE, evidence as u32);
            count += 1;
        }
        Verdict { status, reason, first, count }
    }

    /// A call of a class: the class, and its `__init__` and `__new__` where the project defines them.
    fn construct(
        &mut self,
        project: &Project<'_>,
        class: (u32, u32),
        receiver: bool,
        list: &mut Vec<(u32, Evidence)>,
    ) {
        let target = self.target(TargetKind::Symbol, project.symbol(class.0, class.1));
        list.push((target, Evidence::Instantiates));
        for name in ["__init__", "__new__"] {
            let key = Key::new(name);
            if let Some(method) = project.method(class, key) {
                let target = self.target(TargetKind::Symbol, project.symbol(method.0, method.1));
                list.push((target, Evidence::Direct));
            }
            if receiver {
                self.overriding(project, class, key, None, list);
            }
        }
    }

    /// Adds what subclasses of the receiver's class define under the called name.
    fn dispatch(
        &mut self,
        project: &Project<'_>,
        facts: &Facts<'_>,
        callee: u32,
        list: &mut Vec<(u32, Evidence)>,
    ) {
        if facts.get(col::REF_KIND, callee) != RefKind::Attribute as u32 {
            return;
        }
        let key = Key::of(facts, facts.get(col::REF_NAME, callee));
        let bases = self.values_of(facts.get(col::REF_BASE, callee));
        let running = running(project, self.file, facts, callee);
        for base in bases {
            if let Value::Receiver(file, class) | Value::ClassReceiver(file, class) = base {
                self.overriding(project, (file, class), key, running, list);
            }
        }
    }

    /// Adds what subclasses of `class` define under `key`. Where `running` is the method whose `self` is meant, an instance of one that has
    /// another method in its place comes there by `super()` alone.
    fn overriding(
        &mut self,
        project: &Project<'_>,
        class: (u32, u32),
        key: Key<'_>,
        running: Option<(u32, u32)>,
        list: &mut Vec<(u32, Evidence)>,
    ) {
        if !project.classes.has_children(class.0, class.1) {
            return;
        }
        let named = project.methods.with_hash(key.hash);
        let own_name = running.and_then(|(file, symbol)| {
            let facts = project.facts(file)?;
            Some(Key::of(facts, facts.get(col::SYM_NAME, symbol)))
        });
        let reaches = |class: (u32, u32)| match (running, own_name) {
            (Some(running), Some(name)) => project
                .method(class, name)
                .is_none_or(|method| method == running || calls_super(project, method)),
            _ => true,
        };
        let mut add = |linker: &mut Self, (file, symbol): (u32, u32)| {
            if project
                .facts(file)
                .is_some_and(|facts| facts.get(col::SYM_FLAGS, symbol) & symbol_flag::PROPERTY == 0)
            {
                let target = linker.target(TargetKind::Symbol, project.symbol(file, symbol));
                list.push((target, Evidence::Dispatch));
            }
        };
        // Either way gives the same set in the same order: that of the files and their symbols.
        match project.classes.descendants(class.0, class.1, named.len().max(4)) {
            Some(mut below) => {
                below.sort_unstable();
                for number in below {
                    let [file, class] = project.classes.all[number as usize];
                    if let Some(method) = project.own_method(file, class, key)
                        && reaches((file, class))
                    {
                        add(self, (file, method));
                    }
                }
            }
            None => {
                for (file, symbol) in project.methods.named(project, key) {
                    let owner = project.facts(file).and_then(|facts| facts.opt(col::SYM_PARENT, symbol));
                    if let Some(owner) = owner
                        && (file, owner) != class
                        && project.classes.is_subclass([file, owner], [class.0, class.1])
                        && project.own_method(file, owner, key) == Some(symbol)
                        && reaches((file, owner))
                    {
                        add(self, (file, symbol));
                    }
                }
            }
        }
    }

    fn is_method_name(&mut self, project: &Project<'_>, facts: &Facts<'_>, string: u32) -> bool {
        if self.candidates.get(string) == 0 {
            let any = project.methods.named(project, Key::of(facts, string)).next().is_some();
            self.candidates.set(string, 1 + u8::from(any));
        }
        self.candidates.get(string) == 2
    }

    /// Uses of project symbols other than calls.
    fn references(&mut self, project: &Project<'_>, facts: &Facts<'_>) {
        // Numbers are fewer than refs and reasons together.
        self.single.start(facts.rows(table::Refs) + Reason::ALL.len() as u32 + 1);
        let flags = ref_flag::READ | ref_flag::WRITTEN | ref_flag::DELETED;
        for row in 0..facts.rows(table::Refs) {
            if facts.get(col::REF_FLAGS, row) & flags == 0 {
                continue;
            }
            let number = self.cx.number(row);
            if Context::reason(number).is_some() {
                continue;
            }
            match self.single.get(number) {
                0 => {}
                1 => continue,
                target => {
                    self.out.push(lcol::RFR_REF, row);
                    self.out.push(lcol::RFR_TARGET, target - 2);
                    continue;
                }
            }
            let (mut through, mut count, mut last) = (false, 0, 0);
            for value in self.values_of(row) {
                match value {
                    Value::Variable(..) => through = true,
                    Value::Symbol(..) | Value::ClassReceiver(..) if !through => {}
                    _ => continue,
                }
                if let Some(target) = self.value_target(project, value) {
                    self.out.push(lcol::RFR_REF, row);
                    self.out.push(lcol::RFR_TARGET, target);
                    count += 1;
                    last = target + 2;
                }
            }
            match count {
                0 => self.single.set(number, 1),
                1 => self.single.set(number, last),
                _ => {}
            }
        }
    }

    fn overrides(&mut self, project: &Project<'_>, file: u32, facts: &Facts<'_>) {
        for symbol in 0..facts.rows(table::Symbols) {
            if facts.get(col::SYM_KIND, symbol) != SymbolKind::Method as u32 {
                continue;
            }
            let Some(class) = facts.opt(col::SYM_PARENT, symbol) else { continue };
            let mro = project.classes.mro(file, class);
            if mro.len() < 2 {
                continue;
            }
            let key = Key::of(facts, facts.get(col::SYM_NAME, symbol));
            let found = mro[1..].iter().find_map(|&[owner, base]| {
                project.own_method(owner, base, key).map(|method| (owner, method))
            });
            if let Some((owner, method)) = found {
                let target = self.target(TargetKind::Symbol, project.symbol(owner, method));
                self.out.push(lcol::OVR_SYM, symbol);
                self.out.push(lcol::OVR_TARGET, target);
            }
        }
    }
}

impl Project<'_> {
    /// The method that the class has under `key`, through its MRO.
    pub(crate) fn method(&self, class: (u32, u32), key: Key<'_>) -> Option<(u32, u32)> {
        self.classes
            .mro(class.0, class.1)
            .iter()
            .find_map(|&[file, class]| self.own_method(file, class, key).map(|method| (file, method)))
    }

    /// Writes the dotted name of a value outside the project; false where it has none. Of a longer one the last [`MAX_PARTS`] are written, after `…`:
    /// the names of a chain of aliases would take the square of its length.
    pub(crate) fn dotted(&self, value: Value, cx: &mut Context, out: &mut String) -> bool {
        self.dotted_part(value, 0, cx, out)
    }

    fn dotted_part(&self, value: Value, after: u32, cx: &mut Context, out: &mut String) -> bool {
        if after >= MAX_PARTS {
            out.push('…');
            return true;
        }
        match value {
            Value::ExternalImport(file, row) | Value::ExternalTop(file, row) => {
                let Some(facts) = self.facts(file) else { return false };
                let module = facts.str(col::IMP_MODULE, row);
                if matches!(value, Value::ExternalTop(..)) {
                    out.push_str(module.split('.').next().unwrap_or(module));
                    return true;
                }
                out.extend(std::iter::repeat_n('.', facts.get(col::IMP_LEVEL, row) as usize));
                out.push_str(module);
                if ImportKind::from_u32(facts.get(col::IMP_KIND, row)) == ImportKind::From {
                    if !module.is_empty() {
                        out.push('.');
                    }
                    out.push_str(facts.str(col::IMP_NAME, row));
                }
                true
            }
            Value::Builtin(file, row) => {
                let Some(facts) = self.facts(file) else { return false };
                out.push_str(facts.str(col::REF_NAME, row));
                true
            }
            Value::Literal(file, row) => {
                let Some(facts) = self.facts(file) else { return false };
                let name = match RefKind::from_u32(facts.get(col::REF_KIND, row)) {
                    // The result of `str(...)`.
                    RefKind::Call => facts.str(col::REF_NAME, facts.get(col::REF_BASE, row)),
                    _ => facts.str(col::REF_NAME, row),
                };
                out.push_str(if name == "None" { "NoneType" } else { name });
                true
            }
            Value::ExternalRef(file, row) | Value::BuiltinRef(file, row) => {
                let Some(facts) = self.facts(file) else { return false };
                let base = facts.get(col::REF_BASE, row);
                let mut values = Values::new();
                self.eval(file, base, cx, &mut values);
                let named = values.iter().any(|&value| self.dotted_base(value, after + 1, cx, out));
                if !named {
                    return false;
                }
                out.push('.');
                out.push_str(facts.str(col::REF_NAME, row));
                true
            }
            _ => false,
        }
    }

    /// Dotted name of what an external attribute is read from: an external value, or a class with an external base.
    fn dotted_base(&self, value: Value, after: u32, cx: &mut Context, out: &mut String) -> bool {
        match value {
            Value::Symbol(owner, class)
            | Value::Instance(owner, class)
            | Value::Receiver(owner, class)
            | Value::ClassReceiver(owner, class)
            | Value::Super(owner, class) => {
                for &[owner, class] in self.classes.mro(owner, class) {
                    if let Some(base) = self.external_base(owner, class, cx)
                        && self.dotted_part(base, after, cx, out)
                    {
                        return true;
                    }
                }
                out.push_str("object");
                true
            }
            _ => self.dotted_part(value, after, cx, out),
        }
    }

    /// The first base of the class that lies outside the project, `object` aside.
    fn external_base(&self, file: u32, class: u32, cx: &mut Context) -> Option<Value> {
        let facts = self.facts(file)?;
        let rows = facts.rows(table::Bases);
        let start = partition(rows, |row| facts.get(col::BASE_SYM, row) < class);
        for row in start..rows {
            if facts.get(col::BASE_SYM, row) != class {
                break;
            }
            if facts.get(col::BASE_KEYWORD, row) != 0 {
                continue;
            }
            let mut values = Values::new();
            self.eval(file, facts.get(col::BASE_REF, row), cx, &mut values);
            let outside = values.into_iter().find(|value| match value {
                Value::ExternalImport(..)
                | Value::ExternalTop(..)
                | Value::ExternalRef(..)
                | Value::BuiltinRef(..) => true,
                Value::Builtin(file, row) => {
                    self.facts(*file).is_some_and(|facts| facts.str(col::REF_NAME, *row) != "object")
                }
                _ => false,
            });
            if outside.is_some() {
                return outside;
            }
        }
        None
    }
}

/// True where all bindings from row `first` on are values that are not known.
fn is_unknown_value(facts: &Facts<'_>, first: u32) -> bool {
    facts.run(first).all(|row| {
        let kind = facts.get(col::BIN_KIND, row) & !(BINDING_LAST | BINDING_CONDITIONAL);
        kind == BindingKind::Value as u32 && facts.get(col::BIN_TARGET, row) == 0
    })
}

fn partition(count: u32, before: impl Fn(u32) -> bool) -> u32 {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// The method in which ref `callee`, an attribute of its `self`, is written.
fn running(project: &Project<'_>, file: u32, facts: &Facts<'_>, callee: u32) -> Option<(u32, u32)> {
    let base = facts.get(col::REF_BASE, callee);
    let scope = facts.get(col::REF_SCOPE, callee);
    let method = facts.get(col::SCO_SYM, scope);
    let class = facts.opt(col::SYM_PARENT, method)?;
    let is_method =
        project.kind(file, method) == SymbolKind::Method && project.kind(file, class) == SymbolKind::Class;
    let named = RefKind::from_u32(facts.get(col::REF_KIND, base)) == RefKind::Name
        && facts.str(col::REF_NAME, base) == "self";
    (is_method && named).then_some((file, method))
}

/// True where a method refers to `super()`, or to what something has under its own name.
fn calls_super(project: &Project<'_>, (file, method): (u32, u32)) -> bool {
    let Some(facts) = project.facts(file) else { return true };
    let name = facts.get(col::SYM_NAME, method);
    (0..facts.rows(table::Refs)).any(|row| {
        let upward = match RefKind::from_u32(facts.get(col::REF_KIND, row)) {
            RefKind::Super => true,
            RefKind::Attribute => facts.get(col::REF_NAME, row) == name,
            _ => false,
        };
        upward && facts.get(col::SCO_SYM, facts.get(col::REF_SCOPE, row)) == method
    })
}
