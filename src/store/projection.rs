//! A graph as rows of tables.
//!
//! Rows are made unit by unit. A unit is a file, or a source with the stub beside it: both give one module, whose rows belong to the source;
//! what both define is told by the source. A symbol that a class binds in its body and on its instances is one row, that of the body. Edges from one
//! symbol to another are one row a type, with the number of sites. Candidates by name alone are no edges.

use super::rows::{Digest, Key, Rows, TableId};
use super::{CodeGraph, GraphFile};
use crate::link::links::{
    CallStatus, Evidence, ImplicitKind, ImportStatus, Links, Reason, TargetKind, col as lcol, table as ltable,
};
use crate::link::{plain, stem};
use crate::model::facts::{Facts, ImportKind, ParamKind, SymbolKind, col, import_flag, symbol_flag, table};
use crate::model::json::{access_path, imported};
use crate::model::source::FileKind;
use crate::sys::{Column, Scratch, Table};
use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::Arc;

/// Rows of one table that are handed on together.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The table.
    pub table: TableId,
    /// Its rows.
    pub rows: Rows,
}

/// Rows of every table.
pub type Tables = [Rows; 8];

/// Rows of a batch, about.
const BATCH: usize = 10_000;
/// Units whose rows are made before they are handed on.
const WINDOW: usize = 256;

/// Files of one module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// The file that owns its rows.
    pub file: u32,
    /// The stub beside it.
    pub stub: Option<u32>,
}

impl Unit {
    /// Its files.
    pub fn files(&self) -> impl Iterator<Item = u32> + use<> {
        [Some(self.file), self.stub].into_iter().flatten()
    }
}

/// What lies outside the project: whether it is built in, and its dotted name.
pub type Outside<'g> = (bool, &'g str);

/// A graph whose rows are made on demand.
#[derive(Debug)]
pub struct Projection<'g> {
    code: &'g CodeGraph,
    project: &'g str,
    units: Vec<Unit>,
    /// Number of each module's unit by its name.
    modules: FxHashMap<&'g str, u32>,
    /// Namespace packages: folders that hold modules and have no `__init__`.
    namespaces: Vec<&'g str>,
    /// Keys of all symbols by number, once they are worth making.
    keys: Option<Table<[u32; 4]>>,
}

/// The file's module is a package.
fn is_package(file: &GraphFile<'_>) -> bool {
    let path = file.path();
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    name.rsplit_once('.').is_some_and(|(stem, _)| stem == "__init__")
}

impl<'g> Projection<'g> {
    /// Rows of `code`.
    #[must_use]
    pub fn new(code: &'g CodeGraph) -> Self {
        let mut units: Vec<Unit> = Vec::with_capacity(code.len() as usize);
        for file in code.files() {
            let index = file.index();
            // A stub comes right after its source, unless another suffix stands between.
            let beside = units.iter_mut().rev().take(2).find(|unit| {
                let other = code.file(unit.file);
                unit.stub.is_none()
                    && other.kind() != file.kind()
                    && other.module() == file.module()
                    && stem(other.path()) == stem(file.path())
            });
            match beside {
                Some(unit) if file.kind() == FileKind::Pyi => unit.stub = Some(index),
                Some(unit) => *unit = Unit { file: index, stub: Some(unit.file) },
                None => units.push(Unit { file: index, stub: None }),
            }
        }
        let mut modules = FxHashMap::default();
        for (unit, number) in units.iter().zip(0u32..) {
            modules.entry(code.file(unit.file).module()).or_insert(number);
        }
        let mut namespaces = FxHashSet::default();
        for name in modules.keys() {
            let mut name = plain(name);
            while let Some((parent, _)) = name.rsplit_once('.') {
                if modules.contains_key(parent) || !namespaces.insert(parent) {
                    break;
                }
                name = parent;
            }
        }
        let mut namespaces: Vec<&str> = namespaces.into_iter().collect();
        namespaces.sort_unstable();
        Self { code, project: &code.meta().project, units, modules, namespaces, keys: None }
    }

    /// The graph.
    #[must_use]
    pub fn code(&self) -> &'g CodeGraph {
        self.code
    }

    /// Name of the project.
    #[must_use]
    pub fn project(&self) -> &'g str {
        self.project
    }

    /// Key of the project, owner of what no file owns.
    #[must_use]
    pub fn project_key(&self) -> Key {
        Key::project(self.project)
    }

    /// All units, in order of paths.
    #[must_use]
    pub fn units(&self) -> &[Unit] {
        &self.units
    }

    /// Key of a file.
    #[must_use]
    pub fn file_key(&self, file: u32) -> Key {
        Key::file(self.project, self.code.file(file).path())
    }

    /// Makes the keys of all symbols, for whoever asks for most of them.
    pub fn index(&mut self, scratch: &Arc<Scratch>) {
        let mut keys = Column::new(scratch);
        for window in self.files_in_windows() {
            let made: Vec<Vec<[u32; 4]>> = window
                .into_par_iter()
                .map(|index| {
                    let file = self.code.file(index);
                    let Some(facts) = file.facts() else { return vec![[0; 4]] };
                    (0..facts.rows(table::Symbols))
                        .map(|row| words(self.own_key(&file, &facts, row)))
                        .collect()
                })
                .collect();
            made.iter().for_each(|keys_of| keys.extend_from_slice(keys_of));
            self.code.release();
        }
        self.keys = Some(keys.finish());
    }

    fn files_in_windows(&self) -> impl Iterator<Item = std::ops::Range<u32>> + use<> {
        let count = self.code.len();
        (0..count).step_by(WINDOW).map(move |start| start..count.min(start + WINDOW as u32))
    }

    /// Key of symbol `row` of a file.
    pub(crate) fn own_key(&self, file: &GraphFile<'_>, facts: &Facts<'_>, row: u32) -> Key {
        if let Some(keys) = &self.keys {
            return keys.get((file.symbol_base() + row) as usize).map_or(Key::NONE, |words| key(*words));
        }
        if row == 0 {
            return self.module_key(file);
        }
        Key::symbol(self.project, file.root(), file.module(), &facts.qualname(row))
    }

    fn module_key(&self, file: &GraphFile<'_>) -> Key {
        Key::symbol(self.project, file.root(), file.module(), "")
    }

    fn namespace_key(&self, name: &str) -> Key {
        Key::symbol(self.project, "", name, "")
    }

    /// Key of symbol number `symbol` of the project.
    pub(crate) fn symbol_key(&self, symbol: u32) -> Key {
        if let Some(keys) = &self.keys {
            return keys.get(symbol as usize).map_or(Key::NONE, |words| key(*words));
        }
        let (index, row) = self.code.locate(symbol);
        let file = self.code.file(index);
        file.facts().map_or_else(|| self.module_key(&file), |facts| self.own_key(&file, &facts, row))
    }

    /// Appends the rows of a unit that edges may lead to: files, modules, symbols.
    pub fn nodes(&self, unit: &Unit, out: &mut Tables) {
        let owner = self.file_key(unit.file);
        let mut seen = FxHashSet::default();
        for index in unit.files() {
            let file = self.code.file(index);
            self.file_row(&file, out);
            let Some(facts) = file.facts() else {
                if index == unit.file {
                    self.bare_module(&file, owner, out);
                }
                continue;
            };
            self.symbol_rows(&file, &facts, owner, &mut seen, out);
        }
    }

    fn file_row(&self, file: &GraphFile<'_>, out: &mut Tables) {
        let facts = file.facts();
        let of_module = facts.as_ref().and_then(|facts| {
            (0..facts.rows(table::Bodies))
                .find(|&row| facts.get(col::BODY_SYM, row) == 0)
                .map(|row| (facts, row))
        });
        let body = |column| of_module.map_or(0, |(facts, row)| facts.get(column, row));
        out[TableId::Files as usize]
            .row()
            .key(self.file_key(file.index()))
            .text(file.path())
            .text(if file.kind() == FileKind::Py { "source" } else { "stub" })
            .text(file.status().name())
            .text(file.reason().unwrap_or_default())
            .text(facts.as_ref().map_or("", |facts| facts.str(col::FILE_ENCODING, 0)))
            .int(i64::try_from(file.size()).unwrap_or(i64::MAX))
            .int(body(col::BODY_END_LINE))
            .int(body(col::BODY_SLOC))
            .int(body(col::BODY_COMMENT))
            .int(body(col::BODY_BLANK))
            .end();
    }

    fn module_row(&self, file: &GraphFile<'_>, owner: Key, out: &mut Tables) {
        out[TableId::Modules as usize]
            .row()
            .key(self.module_key(file))
            .key(owner)
            .text(file.module())
            .text(file.root())
            .text(if is_package(file) { "package" } else { "module" })
            .end();
    }

    /// The module of a file of which nothing is known.
    fn bare_module(&self, file: &GraphFile<'_>, owner: Key, out: &mut Tables) {
        self.module_row(file, owner, out);
        let module = file.module();
        let (label, kind) = if is_package(file) { ("Package", "package") } else { ("Module", "module") };
        bare_symbol(
            out,
            self.module_key(file),
            owner,
            [label, kind, last_part(plain(module)), module, module, file.path()],
        );
    }

    fn symbol_rows(
        &self,
        file: &GraphFile<'_>,
        facts: &Facts<'_>,
        owner: Key,
        seen: &mut FxHashSet<Key>,
        out: &mut Tables,
    ) {
        let count = facts.rows(table::Symbols);
        let mut bodies = vec![None; count as usize];
        for row in 0..facts.rows(table::Bodies) {
            bodies[facts.get(col::BODY_SYM, row) as usize] = Some(row);
        }
        let parameters = Parameters::new(facts);
        let package = is_package(file);
        let mut text = String::new();
        for symbol in 0..count {
            let key = self.own_key(file, facts, symbol);
            if !seen.insert(key) {
                continue;
            }
            if symbol == 0 {
                self.module_row(file, owner, out);
            }
            let kind = SymbolKind::from_u32(facts.get(col::SYM_KIND, symbol));
            let (label, kind_name) = match kind {
                SymbolKind::Module if package => ("Package", "package"),
                SymbolKind::Module => ("Module", "module"),
                SymbolKind::Class => ("Class", "class"),
                SymbolKind::Function => ("Function", "function"),
                SymbolKind::Lambda => ("Function", "lambda"),
                SymbolKind::Method => ("Method", "method"),
                SymbolKind::TypeAlias
                | SymbolKind::Variable
                | SymbolKind::ClassVariable
                | SymbolKind::InstanceVariable => ("Variable", kind.name()),
            };
            text.clear();
            text.push_str(file.module());
            if symbol != 0 {
                text.push('.');
                facts.push_qualname(symbol, true, &mut text);
            }
            let own = match kind {
                SymbolKind::Module => last_part(plain(file.module())),
                SymbolKind::Lambda => last_part(&text),
                _ => facts.str(col::SYM_NAME, symbol),
            };
            let flags: Vec<&str> = symbol_flag::names(facts.get(col::SYM_FLAGS, symbol)).collect();
            let body = bodies[symbol as usize];
            let measure = |column| body.map(|row| facts.get(column, row));
            let body_text = |column| body.map_or("", |row| facts.str(column, row));
            let doc = if symbol == 0 { facts.str(col::FILE_DOC, 0) } else { body_text(col::BODY_DOC) };
            out[TableId::Symbols as usize]
                .row()
                .key(key)
                .key(owner)
                .text(label)
                .text(kind_name)
                .text(own)
                .text(&text)
                .text(file.module())
                .text(file.path())
                .maybe(Some(facts.get(col::SYM_LINE, symbol)))
                .maybe(measure(col::BODY_END_LINE))
                .text(&flags.join(","))
                .text(&parameters.of(symbol))
                .text(body_text(col::BODY_RETURNS))
                .text(doc)
                .maybe(measure(col::BODY_CC))
                .maybe(measure(col::BODY_COGNITIVE))
                .maybe(measure(col::BODY_NESTING))
                .maybe(measure(col::BODY_SLOC))
                .maybe(measure(col::BODY_MI))
                .end();
        }
    }

    /// Appends the other rows of a unit: edges, imports, call sites, syntax errors, and what comes of all of them.
    pub fn details(&self, unit: &Unit, out: &mut Tables) {
        let owner = self.file_key(unit.file);
        let mut edges = Edges::default();
        let mut ordinals = Ordinals::default();
        for index in unit.files() {
            let file = self.code.file(index);
            edges.add(self.file_key(index), "DEFINES", self.module_key(&file), "", 1);
            if index == unit.file {
                let parent = self.container(&file);
                edges.add(parent, "CONTAINS", self.module_key(&file), "", 0);
            }
            let (Some(facts), Some(links)) = (file.facts(), file.links()) else { continue };
            let one = One { projection: self, file: &file, facts: &facts, links: &links };
            one.definitions(&mut edges);
            one.imports(owner, &mut ordinals, &mut edges, &mut out[TableId::Imports as usize]);
            one.sites(owner, &mut ordinals, &mut edges, &mut out[TableId::CallSites as usize]);
            one.others(&mut edges);
            let file_key = self.file_key(index);
            for row in 0..facts.rows(table::Errors) {
                out[TableId::ParseErrors as usize]
                    .row()
                    .key(file_key)
                    .int(row)
                    .int(facts.get(col::ERR_LINE, row))
                    .int(facts.get(col::ERR_COLUMN, row))
                    .text(facts.str(col::ERR_MESSAGE, row))
                    .int(facts.get(col::ERR_LOST_START, row))
                    .int(facts.get(col::ERR_LOST_LEN, row))
                    .end();
            }
        }
        edges.finish(owner, &mut out[TableId::Edges as usize]);
    }

    /// What holds a file's module: the package around it, or the project.
    pub(crate) fn container(&self, file: &GraphFile<'_>) -> Key {
        self.package_of(plain(file.module()))
    }

    fn package_of(&self, name: &str) -> Key {
        let Some((parent, _)) = name.rsplit_once('.') else { return self.project_key() };
        match self.modules.get(parent) {
            Some(&unit) => self.module_key(&self.code.file(self.units[unit as usize].file)),
            None => self.namespace_key(parent),
        }
    }

    /// What edges of a unit lead to outside the project.
    pub fn outside_of(&self, unit: &Unit, found: &mut FxHashSet<Outside<'g>>) {
        for index in unit.files() {
            let file = self.code.file(index);
            let (Some(facts), Some(links)) = (file.facts(), file.links()) else { continue };
            let count = links.rows(ltable::Targets);
            let mut used = vec![false; count as usize];
            each_target(&facts, &links, |target| {
                if let Some(used) = used.get_mut(target as usize) {
                    *used = true;
                }
            });
            for target in (0..count).filter(|&target| used[target as usize]) {
                match links.target(target) {
                    (TargetKind::External, id) => found.insert((false, links.link_text(id))),
                    (TargetKind::Builtin, id) => found.insert((true, links.link_text(id))),
                    (TargetKind::Symbol | TargetKind::Namespace, _) => false,
                };
            }
        }
    }

    /// Appends the rows that belong to no file: namespace packages, and `outside`, what lies outside the project.
    pub fn project_nodes<'o>(&self, outside: impl Iterator<Item = Outside<'o>>, out: &mut Tables) {
        let owner = self.project_key();
        for name in &self.namespaces {
            let key = self.namespace_key(name);
            out[TableId::Modules as usize]
                .row()
                .key(key)
                .key(owner)
                .text(name)
                .text("")
                .text("namespace")
                .end();
            bare_symbol(out, key, owner, ["Package", "namespace", last_part(name), name, name, ""]);
        }
        for (builtin, name) in outside {
            let kind = outside_kind(builtin);
            let key = Key::outside(self.project, kind, name);
            let shown = if builtin { format!("<builtin>.{name}") } else { name.to_owned() };
            bare_symbol(out, key, owner, ["External", kind, last_part(name), &shown, "", ""]);
        }
    }

    /// Appends the edges that belong to no file.
    pub fn project_edges(&self, out: &mut Tables) {
        let mut edges = Edges::default();
        for name in &self.namespaces {
            edges.add(self.package_of(name), "CONTAINS", self.namespace_key(name), "", 0);
        }
        edges.finish(self.project_key(), &mut out[TableId::Edges as usize]);
    }

    /// All rows, in batches, on the threads of the current pool: what edges lead to first. Ends early where `out` says false.
    pub fn batches(&self, out: &mut dyn FnMut(Batch) -> bool) {
        let mut waiting: Tables = Default::default();
        let mut digests: Vec<Digest> = vec![Digest::default(); self.units.len()];
        let mut project = Digest::default();
        let mut outside: FxHashSet<Outside<'g>> = FxHashSet::default();
        for details in [false, true] {
            for (start, units) in (0..).step_by(WINDOW).zip(self.units.chunks(WINDOW)) {
                let made: Vec<(Tables, Digest, FxHashSet<Outside<'g>>)> = units
                    .par_iter()
                    .map(|unit| {
                        let (mut tables, mut found) = (Tables::default(), FxHashSet::default());
                        if details {
                            self.details(unit, &mut tables);
                        } else {
                            self.nodes(unit, &mut tables);
                            self.outside_of(unit, &mut found);
                        }
                        let digest = digest_of(&tables);
                        (tables, digest, found)
                    })
                    .collect();
                for ((tables, digest, found), place) in made.into_iter().zip(start..) {
                    digests[place] = digests[place].plus(digest);
                    outside.extend(found);
                    if !gather(tables, &mut waiting, out) {
                        return;
                    }
                }
                self.code.release();
            }
            let mut rest = Tables::default();
            if details {
                self.project_edges(&mut rest);
            } else {
                let mut sorted: Vec<_> = outside.drain().collect();
                sorted.sort_unstable();
                self.project_nodes(sorted.into_iter(), &mut rest);
            }
            project = project.plus(digest_of(&rest));
            if details {
                let owners = &mut rest[TableId::Owners as usize];
                for (unit, digest) in self.units.iter().zip(&digests) {
                    owners.row().key(self.file_key(unit.file)).key(digest.key()).end();
                }
                owners.row().key(self.project_key()).key(project.key()).end();
            }
            if !gather(rest, &mut waiting, out) || !flush(&mut waiting, out) {
                return;
            }
        }
    }
}

/// Adds the rows of `some` to those of `all`.
pub(crate) fn append(all: &mut Tables, some: &Tables) {
    all.iter_mut().zip(some).for_each(|(all, some)| all.append(some));
}

/// Digest of all rows of these tables.
pub(crate) fn digest_of(tables: &Tables) -> Digest {
    let mut digest = Digest::default();
    for (table, rows) in TableId::ALL.into_iter().zip(tables) {
        rows.iter().for_each(|row| digest.add(table, row));
    }
    digest
}

/// Adds rows to those that wait, and hands on what is enough for a batch.
fn gather(tables: Tables, waiting: &mut Tables, out: &mut dyn FnMut(Batch) -> bool) -> bool {
    for ((table, rows), waiting) in TableId::ALL.into_iter().zip(tables).zip(waiting) {
        if waiting.is_empty() {
            *waiting = rows;
        } else {
            waiting.append(&rows);
        }
        if waiting.len() >= BATCH && !out(Batch { table, rows: std::mem::take(waiting) }) {
            return false;
        }
    }
    true
}

fn flush(waiting: &mut Tables, out: &mut dyn FnMut(Batch) -> bool) -> bool {
    TableId::ALL
        .into_iter()
        .zip(waiting)
        .filter(|(_, rows)| !rows.is_empty())
        .all(|(table, rows)| out(Batch { table, rows: std::mem::take(rows) }))
}

fn words(key: Key) -> [u32; 4] {
    let (words, _) = key.0.as_chunks::<4>();
    let mut numbers = [0; 4];
    numbers.iter_mut().zip(words).for_each(|(number, word)| *number = u32::from_le_bytes(*word));
    numbers
}

fn key(words: [u32; 4]) -> Key {
    let mut key = [0; 16];
    key.chunks_exact_mut(4).zip(words).for_each(|(bytes, word)| bytes.copy_from_slice(&word.to_le_bytes()));
    Key(key)
}

fn last_part(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(_, last)| last)
}

fn outside_kind(builtin: bool) -> &'static str {
    if builtin { "builtin" } else { "external" }
}

/// A symbol of which no more is known. `texts`: label, kind, name, qualified name, module, path.
fn bare_symbol(out: &mut Tables, key: Key, owner: Key, texts: [&str; 6]) {
    let row = out[TableId::Symbols as usize].row().key(key).key(owner);
    let row = texts.into_iter().fold(row, |row, text| row.text(text));
    let row = row.maybe(None).maybe(None).text("").text("").text("").text("");
    (0..5).fold(row, |row, _| row.maybe(None)).end();
}

/// Signatures, by symbol.
struct Parameters<'a, 'g> {
    facts: &'a Facts<'g>,
    /// Rows of each symbol that has any.
    rows: FxHashMap<u32, std::ops::Range<u32>>,
}

impl<'a, 'g> Parameters<'a, 'g> {
    fn new(facts: &'a Facts<'g>) -> Self {
        let mut rows: FxHashMap<u32, std::ops::Range<u32>> = FxHashMap::default();
        for row in 0..facts.rows(table::Params) {
            let range = rows.entry(facts.get(col::PAR_SYM, row)).or_insert(row..row);
            range.end = row + 1;
        }
        Self { facts, rows }
    }

    /// As written: `a, /, b: int = 1, *args, c, **kwargs`.
    fn of(&self, symbol: u32) -> String {
        let Some(rows) = self.rows.get(&symbol) else { return String::new() };
        let facts = self.facts;
        let mut out = String::new();
        let mut last = None;
        let mut starred = false;
        let separate = |out: &mut String, text: &str| {
            if !out.is_empty() {
                out.push_str(", ");
            }
            out.push_str(text);
        };
        for row in rows.clone().filter(|&row| facts.get(col::PAR_SYM, row) == symbol) {
            let kind = ParamKind::from_u32(facts.get(col::PAR_KIND, row));
            if kind == ParamKind::Type {
                continue;
            }
            if last == Some(ParamKind::PositionalOnly) && kind != ParamKind::PositionalOnly {
                separate(&mut out, "/");
            }
            if kind == ParamKind::KeywordOnly && !starred {
                separate(&mut out, "*");
            }
            starred |= matches!(kind, ParamKind::Star | ParamKind::KeywordOnly);
            separate(
                &mut out,
                match kind {
                    ParamKind::Star => "*",
                    ParamKind::DoubleStar => "**",
                    _ => "",
                },
            );
            out.push_str(facts.str(col::PAR_NAME, row));
            let (annotation, default) =
                (facts.str(col::PAR_ANNOTATION, row), facts.str(col::PAR_DEFAULT, row));
            if !annotation.is_empty() {
                out.push_str(": ");
                out.push_str(annotation);
            }
            if !default.is_empty() {
                out.push_str(if annotation.is_empty() { "=" } else { " = " });
                out.push_str(default);
            }
            last = Some(kind);
        }
        if last == Some(ParamKind::PositionalOnly) {
            separate(&mut out, "/");
        }
        out
    }
}

/// Numbers of rows beside each other within a symbol.
#[derive(Default)]
struct Ordinals(FxHashMap<(Key, bool), u32>);

impl Ordinals {
    fn next(&mut self, symbol: Key, site: bool) -> u32 {
        let next = self.0.entry((symbol, site)).or_default();
        *next += 1;
        *next - 1
    }
}

/// Edges of a unit. Those from one symbol to another are one for each type.
#[derive(Default)]
struct Edges(FxHashMap<(Key, &'static str, Key), Edge>);

struct Edge {
    /// What the sites say of it, in order.
    details: smallvec::SmallVec<[&'static str; 1]>,
    sites: u32,
    line: u32,
}

impl Edges {
    /// A line of 0 is none.
    fn add(&mut self, source: Key, kind: &'static str, target: Key, detail: &'static str, line: u32) {
        if source.is_none() || target.is_none() {
            return;
        }
        let edge = self.0.entry((source, kind, target)).or_insert(Edge {
            details: Default::default(),
            sites: 0,
            line,
        });
        if !edge.details.contains(&detail) {
            edge.details.push(detail);
        }
        edge.sites += 1;
        edge.line = edge.line.min(line);
    }

    fn finish(self, owner: Key, out: &mut Rows) {
        let mut all: Vec<_> = self.0.into_iter().collect();
        all.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        for ((source, kind, target), mut edge) in all {
            edge.details.sort_unstable();
            out.row()
                .key(source)
                .text(kind)
                .key(target)
                .key(owner)
                .text(&edge.details.join(","))
                .int(edge.sites)
                .maybe(Some(edge.line).filter(|&line| line != 0))
                .end();
        }
    }
}

/// Calls `found` with the targets that edges or rows of a file lead to.
fn each_target(facts: &Facts<'_>, links: &Links<'_>, mut found: impl FnMut(u32)) {
    for row in 0..links.rows(ltable::Imports) {
        for column in [lcol::LIMP_MODULE, lcol::LIMP_SYMBOL] {
            links.get(column, row).checked_sub(1).into_iter().for_each(&mut found);
        }
    }
    for site in 0..links.rows(ltable::Sites) {
        derived(links, site).for_each(|row| found(links.get(lcol::LIST_TARGET, row)));
    }
    for row in 0..links.rows(ltable::Implicit) {
        found(links.get(lcol::IMPL_TARGET, row));
    }
    for row in 0..links.rows(ltable::References) {
        found(links.get(lcol::RFR_TARGET, row));
    }
    for row in 0..links.rows(ltable::Bases) {
        if facts.get(col::BASE_KEYWORD, row) == 0 {
            links.get(lcol::LBASE_TARGET, row).checked_sub(1).into_iter().for_each(&mut found);
        }
    }
    for row in 0..links.rows(ltable::Decorators) {
        links.get(lcol::LDEC_TARGET, row).checked_sub(1).into_iter().for_each(&mut found);
    }
    for row in 0..links.rows(ltable::Overrides) {
        found(links.get(lcol::OVR_TARGET, row));
    }
}

/// Rows of the callees of a site that are more than candidates.
fn derived(links: &Links<'_>, site: u32) -> std::ops::Range<u32> {
    let first = links.get(lcol::SITE_FIRST, site);
    match CallStatus::from_u32(links.get(lcol::SITE_STATUS, site)) {
        CallStatus::Ambiguous | CallStatus::Unresolved => first..first,
        CallStatus::Resolved | CallStatus::Incomplete | CallStatus::External | CallStatus::Builtin => {
            first..first + links.get(lcol::SITE_COUNT, site)
        }
    }
}

/// One file while its rows are made.
struct One<'a, 'g> {
    projection: &'a Projection<'g>,
    file: &'a GraphFile<'g>,
    facts: &'a Facts<'g>,
    links: &'a Links<'g>,
}

impl One<'_, '_> {
    fn key(&self, symbol: u32) -> Key {
        self.projection.own_key(self.file, self.facts, symbol)
    }

    fn target(&self, row: u32) -> Key {
        let (kind, id) = self.links.target(row);
        let (projection, text) = (self.projection, self.links.link_text(id));
        match kind {
            TargetKind::Symbol => projection.symbol_key(id),
            TargetKind::External => Key::outside(projection.project, outside_kind(false), text),
            TargetKind::Builtin => Key::outside(projection.project, outside_kind(true), text),
            TargetKind::Namespace => projection.namespace_key(text),
        }
    }

    fn maybe_target(&self, column: usize, row: u32) -> Key {
        self.links.get(column, row).checked_sub(1).map_or(Key::NONE, |target| self.target(target))
    }

    fn definitions(&self, edges: &mut Edges) {
        for symbol in 1..self.facts.rows(table::Symbols) {
            let parent = self.facts.opt(col::SYM_PARENT, symbol).unwrap_or(0);
            edges.add(
                self.key(parent),
                "DEFINES",
                self.key(symbol),
                "",
                self.facts.get(col::SYM_LINE, symbol),
            );
        }
    }

    fn imports(&self, owner: Key, ordinals: &mut Ordinals, edges: &mut Edges, out: &mut Rows) {
        let (facts, links) = (self.facts, self.links);
        let importer = self.key(0);
        for row in 0..facts.rows(table::Imports) {
            let source = self.key(facts.get(col::SCO_SYM, facts.get(col::IMP_SCOPE, row)));
            let kind = ImportKind::from_u32(facts.get(col::IMP_KIND, row));
            let flags = facts.get(col::IMP_FLAGS, row);
            let when = [
                (import_flag::TYPE_CHECKING, "type_checking"),
                (import_flag::LAZY, "lazy"),
                (import_flag::LOCAL, "function_local"),
                (import_flag::OPTIONAL, "optional"),
            ]
            .into_iter()
            .find(|(bit, _)| flags & bit != 0)
            .map_or(if kind == ImportKind::Literal { "string" } else { "runtime" }, |(_, name)| name);
            let (module, symbol) =
                (self.maybe_target(lcol::LIMP_MODULE, row), self.maybe_target(lcol::LIMP_SYMBOL, row));
            let line = facts.get(col::IMP_LINE, row);
            edges.add(importer, "IMPORTS", module, when, line);
            if symbol != module {
                edges.add(importer, "IMPORTS", symbol, when, line);
            }
            out.row()
                .key(source)
                .int(ordinals.next(source, false))
                .key(owner)
                .text(&imported(facts, row))
                .text(facts.str(col::IMP_AS, row))
                .text(when)
                .text(ImportStatus::from_u32(links.get(lcol::LIMP_STATUS, row)).name())
                .key(module)
                .key(symbol)
                .int(line)
                .end();
        }
    }

    fn sites(&self, owner: Key, ordinals: &mut Ordinals, edges: &mut Edges, out: &mut Rows) {
        let (facts, links) = (self.facts, self.links);
        // Sites of one callee share their text, and most sites of a scope come one after another.
        let (mut paths, mut last) = (FxHashMap::default(), (u32::MAX, Key::NONE));
        for site in 0..facts.rows(table::Calls) {
            let scope = facts.get(col::CALL_SCOPE, site);
            if last.0 != scope {
                last = (scope, self.key(crate::query::caller(facts, scope)));
            }
            let caller = last.1;
            let line = facts.get(col::CALL_LINE, site);
            let callees = derived(links, site);
            for row in callees.clone() {
                let target = self.target(links.get(lcol::LIST_TARGET, row));
                match Evidence::from_u32(links.get(lcol::LIST_EVIDENCE, row)) {
                    Evidence::Instantiates => edges.add(caller, "INSTANTIATES", target, "", line),
                    evidence => edges.add(caller, "CALLS", target, evidence.name(), line),
                }
            }
            let reference = facts.get(col::CALL_REF, site);
            let written = paths.entry(reference).or_insert_with(|| access_path(facts, reference));
            out.row()
                .key(caller)
                .int(ordinals.next(caller, true))
                .key(owner)
                .text(written)
                .text(CallStatus::from_u32(links.get(lcol::SITE_STATUS, site)).name())
                .text(Reason::from_u32(links.get(lcol::SITE_REASON, site)).name())
                .int(callees.len() as i64)
                .int(facts.get(col::CALL_POSITIONAL, site))
                .int(facts.get(col::CALL_KEYWORDS, site))
                .int(line)
                .end();
        }
    }

    fn others(&self, edges: &mut Edges) {
        let (facts, links) = (self.facts, self.links);
        for row in 0..links.rows(ltable::Implicit) {
            let caller = self.key(links.get(lcol::IMPL_SYM, row));
            let target = self.target(links.get(lcol::IMPL_TARGET, row));
            let kind = ImplicitKind::from_u32(links.get(lcol::IMPL_KIND, row));
            let line = facts.get(col::FLOW_LINE, links.get(lcol::IMPL_ROW, row));
            edges.add(caller, "CALLS", target, kind.name(), line);
        }
        for row in 0..links.rows(ltable::References) {
            let reference = links.get(lcol::RFR_REF, row);
            let source = self.key(facts.get(col::SCO_SYM, facts.get(col::REF_SCOPE, reference)));
            let target = self.target(links.get(lcol::RFR_TARGET, row));
            edges.add(source, "REFERENCES", target, "", facts.get(col::REF_LINE, reference));
        }
        for row in 0..links.rows(ltable::Bases) {
            if facts.get(col::BASE_KEYWORD, row) == 0 {
                let class = self.key(facts.get(col::BASE_SYM, row));
                edges.add(
                    class,
                    "INHERITS",
                    self.maybe_target(lcol::LBASE_TARGET, row),
                    "",
                    facts.get(col::BASE_LINE, row),
                );
            }
        }
        for row in 0..links.rows(ltable::Decorators) {
            let symbol = self.key(facts.get(col::DEC_SYM, row));
            edges.add(
                symbol,
                "DECORATED_BY",
                self.maybe_target(lcol::LDEC_TARGET, row),
                "",
                facts.get(col::DEC_LINE, row),
            );
        }
        for row in 0..links.rows(ltable::Overrides) {
            let symbol = links.get(lcol::OVR_SYM, row);
            let target = self.target(links.get(lcol::OVR_TARGET, row));
            edges.add(self.key(symbol), "OVERRIDES", target, "", facts.get(col::SYM_LINE, symbol));
        }
    }
}
