//! Edges of a graph as plain data, for the graph formats.

use crate::link::links::{CallStatus, Evidence, TargetKind, col as lcol};
use crate::model::facts::{Facts, SymbolKind, col, symbol_flag, table};
use crate::report::graphfmt::{EdgeRow, GraphData, NodeRow};
use crate::store::{CodeGraph, GraphFile};
use rustc_hash::FxHashMap;

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

/// The nodes and edges that `query` asks for; without `external`, those of the project alone.
pub fn graph(code: &CodeGraph, query: GraphQuery, external: bool) -> GraphData {
    let mut builder = Builder {
        code,
        data: GraphData::default(),
        symbols: FxHashMap::default(),
        names: FxHashMap::default(),
        external,
        keys: !matches!(query, GraphQuery::Calls { .. }),
    };
    match query {
        GraphQuery::Calls { candidates } => builder.calls(candidates),
        GraphQuery::Imports => builder.imports(),
        GraphQuery::Inherits => builder.inherits(),
    }
    builder.data
}

struct Builder<'g> {
    code: &'g CodeGraph,
    data: GraphData,
    symbols: FxHashMap<u32, u32>,
    names: FxHashMap<String, u32>,
    external: bool,
    /// All nodes of the project are sources of edges, classes too.
    keys: bool,
}

/// Dotted name of a symbol: its module's importable name and its qualified name, without numbers of shadowed ones.
pub(crate) fn dotted(file: &GraphFile<'_>, facts: &Facts<'_>, symbol: u32) -> String {
    let module = file.module();
    let mut name = module.split_once('@').map_or(module, |(plain, _)| plain).to_owned();
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

impl Builder<'_> {
    fn symbol(&mut self, number: u32) -> Option<u32> {
        if let Some(&node) = self.symbols.get(&number) {
            return Some(node);
        }
        let (index, row) = self.code.locate(number);
        let file = self.code.file(index);
        let facts = file.facts()?;
        let node = self.data.nodes.len() as u32;
        let kind = SymbolKind::from_u32(facts.get(col::SYM_KIND, row));
        let qualname = if row == 0 { String::new() } else { facts.qualname(row) };
        self.data.nodes.push(NodeRow {
            id: format!("{}:{}", file.module(), qualname),
            label: dotted(&file, &facts, row),
            kind: kind.name(),
            external: false,
            source: self.keys || !matches!(kind, SymbolKind::Class | SymbolKind::TypeAlias),
            path: Some(file.path().to_owned()),
            line: Some(facts.get(col::SYM_LINE, row)),
        });
        self.symbols.insert(number, node);
        Some(node)
    }

    fn name(&mut self, label: String, kind: &'static str) -> u32 {
        if let Some(&node) = self.names.get(&label) {
            return node;
        }
        let node = self.data.nodes.len() as u32;
        self.data.nodes.push(NodeRow {
            id: format!("<{kind}>:{label}"),
            label: label.clone(),
            kind,
            external: kind != "package",
            source: self.keys,
            path: None,
            line: None,
        });
        self.names.insert(label, node);
        node
    }

    fn target(&mut self, links: &crate::link::links::Links<'_>, row: u32) -> Option<u32> {
        match links.target(row) {
            (TargetKind::Symbol, number) => self.symbol(number),
            (TargetKind::Namespace, text) => Some(self.name(links.link_text(text).to_owned(), "package")),
            (TargetKind::External, text) if self.external => {
                Some(self.name(links.link_text(text).to_owned(), "external"))
            }
            (TargetKind::Builtin, text) if self.external => {
                Some(self.name(format!("<builtin>.{}", links.link_text(text)), "builtin"))
            }
            _ => None,
        }
    }

    fn calls(&mut self, candidates: bool) {
        let methods = if candidates { self.methods() } else { FxHashMap::default() };
        for file in self.code.files() {
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
                    if let Some(target) = self.target(&links, links.get(lcol::LIST_TARGET, row)) {
                        self.data.edges.push(EdgeRow {
                            source,
                            target,
                            kind: "calls",
                            status: status.name(),
                        });
                    }
                }
                if status == CallStatus::Ambiguous && candidates {
                    let name = facts.str(col::REF_NAME, facts.get(col::CALL_REF, site));
                    for &method in methods.get(name).into_iter().flatten() {
                        if let Some(target) = self.symbol(method) {
                            self.data.edges.push(EdgeRow {
                                source,
                                target,
                                kind: "calls",
                                status: status.name(),
                            });
                        }
                    }
                }
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
        for file in self.code.files() {
            let (Some(facts), Some(links)) = (file.facts(), file.links()) else { continue };
            let Some(source) = self.symbol(file.symbol_base()) else { continue };
            for row in 0..facts.rows(table::Imports) {
                let Some(module) = links.get(lcol::LIMP_MODULE, row).checked_sub(1) else { continue };
                if let Some(target) = self.target(&links, module) {
                    self.data.edges.push(EdgeRow { source, target, kind: "imports", status: "resolved" });
                }
            }
        }
    }

    fn inherits(&mut self) {
        for file in self.code.files() {
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
                    self.data.edges.push(EdgeRow { source, target, kind: "inherits", status: "resolved" });
                }
            }
        }
    }
}
