//! Edges of a graph as plain data, for the graph formats.

use crate::link::links::{CallStatus, Evidence, TargetKind, col as lcol, table as ltable};
use crate::model::facts::{Facts, SymbolKind, col, symbol_flag, table};
use crate::report::graphfmt::{EdgeRow, Graph, NodeRow};
use crate::store::{CodeGraph, GraphFile};
use crate::sys::{Column, Scratch, Table};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Files after which pages of the snapshot that were read need not stay in memory.
const RELEASED: u32 = 256;

/// Which edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GraphQuery {
    /// Callers to callees; candidates by name too, where asked.
    Calls {
        /// Add the ambiguous ones.
        candidates: bool,
    },
    /// Modules to modules.
    Imports,
    /// Classes to bases.
    Inherits,
}

/// The nodes and edges that `query` asks for; without `external`, those of the project alone. `scratch` keeps what outgrows memory.
pub fn graph<'g>(
    code: &'g CodeGraph,
    query: GraphQuery,
    external: bool,
    scratch: &Arc<Scratch>,
) -> impl Graph + use<'g> {
    let symbols = code.len().checked_sub(1).map_or(0, |last| {
        let file = code.file(last);
        file.symbol_base() + file.facts().map_or(1, |facts| facts.rows(table::Symbols))
    });
    let mut builder = Builder {
        code,
        symbols: vec![0; symbols.div_ceil(64) as usize],
        edges: Column::new(scratch),
        names: FxHashMap::default(),
        labels: Vec::new(),
        external,
    };
    match query {
        GraphQuery::Calls { candidates } => builder.calls(candidates),
        GraphQuery::Imports => builder.imports(),
        GraphQuery::Inherits => builder.inherits(),
    }
    let Builder { symbols, edges, labels, .. } = builder;
    let mut counts = Vec::with_capacity(symbols.len() + 1);
    let mut count = 0;
    for word in &symbols {
        counts.push(count);
        count += word.count_ones();
    }
    counts.push(count);
    Found {
        code,
        symbols,
        counts,
        labels,
        edges: edges.finish(),
        kind: match query {
            GraphQuery::Calls { .. } => "calls",
            GraphQuery::Imports => "imports",
            GraphQuery::Inherits => "inherits",
        },
        keys: !matches!(query, GraphQuery::Calls { .. }),
        scratch: Arc::clone(scratch),
    }
}

/// Set in the code of what is no symbol of the project; else the code is the symbol's number.
const NAME: u32 = 1 << 31;

/// What was found: numbers, from which nodes and edges are made when they are asked for.
struct Found<'g> {
    code: &'g CodeGraph,
    /// A bit for each symbol that is a node. Nodes are numbered by symbol; those that are no symbols come after.
    symbols: Vec<u64>,
    /// Nodes before each word of `symbols`, and all of them at the end.
    counts: Vec<u32>,
    /// Names outside the project, and what they are.
    labels: Vec<(Box<str>, &'static str)>,
    /// Codes of both ends, [`CallStatus`].
    edges: Table<[u32; 3]>,
    kind: &'static str,
    /// All nodes of the project are sources of edges, classes too.
    keys: bool,
    scratch: Arc<Scratch>,
}

impl Found<'_> {
    /// Number of the node with this code.
    fn number(&self, code: u32) -> u32 {
        if code & NAME != 0 {
            return self.counts[self.symbols.len()] + (code & !NAME);
        }
        let (word, bit) = (code as usize / 64, code % 64);
        self.counts[word] + (self.symbols[word] & ((1 << bit) - 1)).count_ones()
    }

    /// The symbol that is node number `at`.
    fn symbol(&self, at: u32) -> u32 {
        let word = self.counts.partition_point(|&count| count <= at) - 1;
        let mut bits = self.symbols[word];
        for _ in self.counts[word]..at {
            bits &= bits - 1;
        }
        word as u32 * 64 + bits.trailing_zeros()
    }

    fn symbol_row(&self, symbol: u32) -> Option<NodeRow> {
        let (index, row) = self.code.locate(symbol);
        let file = self.code.file(index);
        let facts = file.facts()?;
        let kind = SymbolKind::from_u32(facts.get(col::SYM_KIND, row));
        let qualname = if row == 0 { String::new() } else { facts.qualname(row) };
        Some(NodeRow {
            id: format!("{}:{}", file.module(), qualname),
            label: dotted(&file, &facts, row),
            kind: kind.name(),
            external: false,
            source: self.keys || !matches!(kind, SymbolKind::Class | SymbolKind::TypeAlias),
            path: Some(file.path().to_owned()),
            line: Some(facts.get(col::SYM_LINE, row)),
        })
    }

    fn name_row(&self, (label, kind): &(Box<str>, &'static str)) -> NodeRow {
        NodeRow {
            id: format!("<{kind}>:{label}"),
            label: label.to_string(),
            kind,
            external: *kind != "package",
            source: self.keys,
            path: None,
            line: None,
        }
    }
}

impl Graph for Found<'_> {
    fn node_count(&self) -> u32 {
        self.counts[self.symbols.len()] + self.labels.len() as u32
    }

    fn node(&self, at: u32) -> NodeRow {
        match at.checked_sub(self.counts[self.symbols.len()]) {
            Some(name) => self.name_row(&self.labels[name as usize]),
            // Its facts were there when it became a node.
            None => self
                .symbol_row(self.symbol(at))
                .unwrap_or_else(|| self.name_row(&(format!("symbol {at}").into_boxed_str(), "damaged"))),
        }
    }

    fn edge_count(&self) -> usize {
        self.edges.len()
    }

    fn edge(&self, at: usize) -> EdgeRow {
        let [source, target, status] = self.edges[at];
        let status = CallStatus::from_u32(status).name();
        EdgeRow { source: self.number(source), target: self.number(target), kind: self.kind, status }
    }

    fn scratch(&self) -> Arc<Scratch> {
        Arc::clone(&self.scratch)
    }
}

struct Builder<'g> {
    code: &'g CodeGraph,
    symbols: Vec<u64>,
    edges: Column<[u32; 3]>,
    names: FxHashMap<Box<str>, u32>,
    labels: Vec<(Box<str>, &'static str)>,
    external: bool,
}

/// Dotted name of a symbol: its module's importable name and its qualified name, without numbers of shadowed ones.
pub(crate) fn dotted(file: &GraphFile<'_>, facts: &Facts<'_>, symbol: u32) -> String {
    let module = file.module();
    let mut name = crate::link::plain(module).to_owned();
    if symbol != 0 {
        name.push('.');
        facts.push_qualname(symbol, false, &mut name);
    }
    name
}

/// The symbol that runs the code of `scope`: class bodies run as part of what is around them.
pub(crate) fn caller(facts: &Facts<'_>, scope: u32) -> u32 {
    let mut symbol = facts.get(col::SCO_SYM, scope);
    while facts.get(col::SYM_KIND, symbol) == SymbolKind::Class as u32 {
        match facts.opt(col::SYM_PARENT, symbol) {
            Some(parent) => symbol = parent,
            None => break,
        }
    }
    symbol
}

impl<'g> Builder<'g> {
    /// Makes a symbol a node; gives its code.
    fn symbol(&mut self, number: u32) -> Option<u32> {
        let (word, bit) = (number as usize / 64, 1 << (number % 64));
        if *self.symbols.get(word)? & bit == 0 {
            let (index, _) = self.code.locate(number);
            self.code.file(index).facts()?;
            self.symbols[word] |= bit;
        }
        Some(number)
    }

    fn name(&mut self, label: &str, kind: &'static str) -> u32 {
        if let Some(&code) = self.names.get(label) {
            return code;
        }
        let code = self.labels.len() as u32 | NAME;
        self.labels.push((label.into(), kind));
        self.names.insert(label.into(), code);
        code
    }

    fn edge(&mut self, source: u32, target: u32, status: CallStatus) {
        self.edges.push([source, target, status as u32]);
    }

    /// All files; pages of those that are done do not pile up.
    fn files(&self) -> impl Iterator<Item = GraphFile<'g>> + use<'g> {
        let code = self.code;
        code.files().zip(1u32..).map(move |(file, number)| {
            if number.is_multiple_of(RELEASED) {
                code.release();
            }
            file
        })
    }

    fn target(&mut self, links: &crate::link::links::Links<'_>, row: u32) -> Option<u32> {
        match links.target(row) {
            (TargetKind::Symbol, number) => self.symbol(number),
            (TargetKind::Namespace, text) => Some(self.name(links.link_text(text), "package")),
            (TargetKind::External, text) if self.external => {
                Some(self.name(links.link_text(text), "external"))
            }
            (TargetKind::Builtin, text) if self.external => {
                Some(self.name(&format!("<builtin>.{}", links.link_text(text)), "builtin"))
            }
            _ => None,
        }
    }

    fn calls(&mut self, candidates: bool) {
        let methods = if candidates { self.methods() } else { FxHashMap::default() };
        for file in self.files() {
            let (Some(facts), Some(links)) = (file.facts(), file.links()) else { continue };
            for symbol in 0..facts.rows(table::Symbols) {
                let kind = SymbolKind::from_u32(facts.get(col::SYM_KIND, symbol));
                let runs = matches!(
                    kind,
                    SymbolKind::Module | SymbolKind::Function | SymbolKind::Method | SymbolKind::Lambda
                );
                if runs && facts.get(col::SYM_FLAGS, symbol) & symbol_flag::OVERLOAD == 0 {
                    self.symbol(file.symbol_base() + symbol);
                }
            }
            self.implicit_calls(&file, &links);
            for site in 0..facts.rows(table::Calls) {
                let Some(source) =
                    self.symbol(file.symbol_base() + caller(&facts, facts.get(col::CALL_SCOPE, site)))
                else {
                    continue;
                };
                let status = CallStatus::from_u32(links.get(lcol::SITE_STATUS, site));
                let first = links.get(lcol::SITE_FIRST, site);
                let end = first + links.get(lcol::SITE_COUNT, site);
                for row in first..end {
                    // A class that the project gives a constructor is named by it.
                    if links.get(lcol::LIST_EVIDENCE, row) == Evidence::Instantiates as u32
                        && row + 1 < end
                        && self.is_constructor(&links, row + 1)
                    {
                        continue;
                    }
                    // A class without one runs no code of the project: who makes instances is another question.
                    if links.get(lcol::LIST_EVIDENCE, row) == Evidence::Instantiates as u32 {
                        continue;
                    }
                    if let Some(target) = self.target(&links, links.get(lcol::LIST_TARGET, row)) {
                        self.edge(source, target, status);
                    }
                }
                if status == CallStatus::Ambiguous && candidates {
                    let name = facts.str(col::REF_NAME, facts.get(col::CALL_REF, site));
                    for &method in methods.get(name).into_iter().flatten() {
                        if let Some(target) = self.symbol(method) {
                            self.edge(source, target, status);
                        }
                    }
                }
            }
        }
    }

    /// Calls that are not written as such.
    fn implicit_calls(&mut self, file: &GraphFile<'_>, links: &crate::link::links::Links<'_>) {
        for row in 0..links.rows(ltable::Implicit) {
            let Some(source) = self.symbol(file.symbol_base() + links.get(lcol::IMPL_SYM, row)) else {
                continue;
            };
            if let Some(target) = self.target(links, links.get(lcol::IMPL_TARGET, row)) {
                self.edge(source, target, CallStatus::Resolved);
            }
        }
    }

    fn is_constructor(&self, links: &crate::link::links::Links<'_>, row: u32) -> bool {
        let (TargetKind::Symbol, number) = links.target(links.get(lcol::LIST_TARGET, row)) else {
            return false;
        };
        let (index, row) = self.code.locate(number);
        self.code
            .file(index)
            .facts()
            .is_some_and(|facts| matches!(facts.str(col::SYM_NAME, row), "__init__" | "__new__"))
    }

    /// Numbers of all methods by name.
    fn methods(&self) -> FxHashMap<String, Vec<u32>> {
        let mut methods: FxHashMap<String, Vec<u32>> = FxHashMap::default();
        for file in self.code.files() {
            let Some(facts) = file.facts() else { continue };
            for symbol in 0..facts.rows(table::Symbols) {
                if facts.get(col::SYM_KIND, symbol) == SymbolKind::Method as u32
                    && facts.get(col::SYM_ORDINAL, symbol) == 0
                {
                    methods
                        .entry(facts.str(col::SYM_NAME, symbol).to_owned())
                        .or_default()
                        .push(file.symbol_base() + symbol);
                }
            }
        }
        methods
    }

    fn imports(&mut self) {
        for file in self.files() {
            let (Some(facts), Some(links)) = (file.facts(), file.links()) else { continue };
            let Some(source) = self.symbol(file.symbol_base()) else { continue };
            for row in 0..facts.rows(table::Imports) {
                let Some(module) = links.get(lcol::LIMP_MODULE, row).checked_sub(1) else { continue };
                if let Some(target) = self.target(&links, module) {
                    self.edge(source, target, CallStatus::Resolved);
                }
            }
        }
    }

    fn inherits(&mut self) {
        for file in self.files() {
            let (Some(facts), Some(links)) = (file.facts(), file.links()) else { continue };
            for symbol in 0..facts.rows(table::Symbols) {
                if facts.get(col::SYM_KIND, symbol) == SymbolKind::Class as u32 {
                    self.symbol(file.symbol_base() + symbol);
                }
            }
            for row in 0..facts.rows(table::Bases) {
                if facts.get(col::BASE_KEYWORD, row) != 0 {
                    continue;
                }
                let Some(target) = links.get(lcol::LBASE_TARGET, row).checked_sub(1) else { continue };
                let Some(source) = self.symbol(file.symbol_base() + facts.get(col::BASE_SYM, row)) else {
                    continue;
                };
                if let Some(target) = self.target(&links, target) {
                    self.edge(source, target, CallStatus::Resolved);
                }
            }
        }
    }
}
