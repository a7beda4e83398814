//! What stands in which relation to a symbol, read off the links of files.

use super::graph::caller;
use crate::link::links::{
    CallStatus, Evidence, ImplicitKind, Links, TargetKind, col as lcol, table as ltable,
};
use crate::model::facts::{Facts, ImportKind, SymbolKind, col, import_flag, table};
use crate::store::{CodeGraph, GraphFile};
use rayon::prelude::*;
use rustc_hash::FxHashSet;

/// What an edge says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Relation {
    /// Calls it.
    Calls,
    /// Makes instances of the class.
    Instantiates,
    /// Runs it by what is not written as a call.
    Implicit(&'static str),
    /// Uses it otherwise: passes it on, names it in an annotation, decorates with it.
    References,
    /// Imports it, in this way: `runtime`, `type_checking`, `function_local`, `optional` or `lazy`.
    Imports(&'static str),
    /// Inherits from the class.
    Inherits,
    /// Overrides the method.
    Overrides,
}

impl Relation {
    /// Name in outputs.
    #[must_use]
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Instantiates => "instantiates",
            Self::Implicit(_) => "implicit",
            Self::References => "references",
            Self::Imports(_) => "imports",
            Self::Inherits => "inherits",
            Self::Overrides => "overrides",
        }
    }

    /// What is said besides; empty where nothing is.
    #[must_use]
    pub(super) const fn detail(self) -> &'static str {
        match self {
            Self::Implicit(kind) | Self::Imports(kind) => kind,
            _ => "",
        }
    }
}

/// Whatever an edge leads to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum End {
    /// A symbol of the project, by number.
    Symbol(u32),
    /// What lies outside the project, by dotted name.
    Outside(String),
}

/// One statement of the code about two symbols.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Edge {
    /// File of the source.
    pub(super) file: u32,
    /// Line.
    pub(super) line: u32,
    /// Symbol whose code it is.
    pub(super) source: u32,
    /// To what.
    pub(super) target: End,
    /// Which.
    pub(super) relation: Relation,
    /// How sure it is, and how it was derived.
    pub(super) status: &'static str,
    /// See [`Evidence`].
    pub(super) evidence: &'static str,
}

/// Which relations are wanted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wanted {
    /// Calls, instances, implicit calls.
    pub(super) calls: bool,
    /// Other uses.
    pub(super) references: bool,
    /// Imports.
    pub(super) imports: bool,
    /// Base classes.
    pub(super) inherits: bool,
    /// Overridden methods.
    pub(super) overrides: bool,
}

/// All edges of these kinds that lead to one of `targets`, by file and line.
#[must_use]
pub(super) fn into(code: &CodeGraph, targets: &FxHashSet<u32>, wanted: Wanted) -> Vec<Edge> {
    let found = (0..code.len()).into_par_iter().map(|index| {
        let file = code.file(index);
        let Some(links) = file.links() else { return Vec::new() };
        // Most files do not name any of them.
        let named = (0..links.rows(ltable::Targets)).any(|row| {
            let (kind, number) = links.target(row);
            kind == TargetKind::Symbol && targets.contains(&number)
        });
        if named {
            Reader::of(&file, &links).map_or_else(Vec::new, |reader| {
                reader.edges(
                    wanted,
                    |end| matches!(end, End::Symbol(number) if targets.contains(number)),
                    |_| true,
                )
            })
        } else {
            Vec::new()
        }
    });
    sorted(found.flatten_iter().collect())
}

/// All edges of these kinds from the code of one of `sources`.
#[must_use]
pub(super) fn from(code: &CodeGraph, sources: &FxHashSet<u32>, wanted: Wanted) -> Vec<Edge> {
    let mut files: Vec<u32> = sources.iter().map(|&symbol| code.locate(symbol).0).collect();
    files.sort_unstable();
    files.dedup();
    let mut found = Vec::new();
    for index in files {
        let file = code.file(index);
        if let Some(links) = file.links()
            && let Some(reader) = Reader::of(&file, &links)
        {
            found.extend(reader.edges(wanted, |_| true, |symbol| sources.contains(&symbol)));
        }
    }
    sorted(found)
}

/// All edges between symbols of the project: source and target.
#[must_use]
pub(super) fn all(code: &CodeGraph, wanted: Wanted) -> Vec<Edge> {
    let found = (0..code.len()).into_par_iter().map(|index| {
        let file = code.file(index);
        let Some(links) = file.links() else { return Vec::new() };
        Reader::of(&file, &links).map_or_else(Vec::new, |reader| {
            reader.edges(wanted, |end| matches!(end, End::Symbol(_)), |_| true)
        })
    });
    found.flatten_iter().collect()
}

fn sorted(mut edges: Vec<Edge>) -> Vec<Edge> {
    edges.sort();
    edges.dedup();
    edges
}

/// The rows of one file.
struct Reader<'f, 'g> {
    file: &'f GraphFile<'g>,
    facts: Facts<'g>,
    links: &'f Links<'g>,
}

impl<'f, 'g> Reader<'f, 'g> {
    fn of(file: &'f GraphFile<'g>, links: &'f Links<'g>) -> Option<Self> {
        Some(Self { file, facts: file.facts()?, links })
    }

    /// Edges whose ends pass; symbols are those of the project.
    fn edges(&self, wanted: Wanted, to: impl Fn(&End) -> bool, of: impl Fn(u32) -> bool) -> Vec<Edge> {
        let (facts, links, base) = (&self.facts, self.links, self.file.symbol_base());
        // What each row of Targets is, where it passes.
        let ends: Vec<Option<End>> =
            (0..links.rows(ltable::Targets)).map(|row| Some(self.end(row)).filter(&to)).collect();
        let end = |row: u32| ends.get(row as usize).and_then(Clone::clone);
        let mut found = Vec::new();
        let mut add = |source: u32,
                       target: End,
                       relation: Relation,
                       line: u32,
                       status: CallStatus,
                       evidence: &'static str| {
            if of(base + source) {
                found.push(Edge {
                    source: base + source,
                    target,
                    relation,
                    status: status.name(),
                    evidence,
                    file: self.file.index(),
                    line,
                });
            }
        };
        if wanted.calls {
            for site in 0..links.rows(ltable::Sites).min(facts.rows(table::Calls)) {
                let first = links.get(lcol::SITE_FIRST, site);
                for row in first..first + links.get(lcol::SITE_COUNT, site) {
                    let Some(target) = end(links.get(lcol::LIST_TARGET, row)) else { continue };
                    let evidence = Evidence::from_u32(links.get(lcol::LIST_EVIDENCE, row));
                    let status = CallStatus::from_u32(links.get(lcol::SITE_STATUS, site));
                    let source = caller(facts, facts.get(col::CALL_SCOPE, site));
                    let relation = match evidence {
                        Evidence::Instantiates => Relation::Instantiates,
                        _ => Relation::Calls,
                    };
                    add(source, target, relation, facts.get(col::CALL_LINE, site), status, evidence.name());
                }
            }
            for row in 0..links.rows(ltable::Implicit) {
                let Some(target) = end(links.get(lcol::IMPL_TARGET, row)) else { continue };
                let kind = ImplicitKind::from_u32(links.get(lcol::IMPL_KIND, row));
                let line = facts.get(col::FLOW_LINE, links.get(lcol::IMPL_ROW, row));
                let source = links.get(lcol::IMPL_SYM, row);
                add(
                    source,
                    target,
                    Relation::Implicit(kind.name()),
                    line,
                    CallStatus::Resolved,
                    Evidence::Flow.name(),
                );
            }
        }
        if wanted.references {
            for row in 0..links.rows(ltable::References) {
                let Some(target) = end(links.get(lcol::RFR_TARGET, row)) else { continue };
                let reference = links.get(lcol::RFR_REF, row);
                let source = caller(facts, facts.get(col::REF_SCOPE, reference));
                let line = facts.get(col::REF_LINE, reference);
                add(
                    source,
                    target,
                    Relation::References,
                    line,
                    CallStatus::Resolved,
                    Evidence::Direct.name(),
                );
            }
        }
        if wanted.imports {
            for row in 0..links.rows(ltable::Imports) {
                for column in [lcol::LIMP_MODULE, lcol::LIMP_SYMBOL] {
                    let Some(target) = links.get(column, row).checked_sub(1).and_then(end) else { continue };
                    let relation = Relation::Imports(import_kind(facts, row));
                    add(
                        0,
                        target,
                        relation,
                        facts.get(col::IMP_LINE, row),
                        CallStatus::Resolved,
                        Evidence::Direct.name(),
                    );
                }
            }
        }
        if wanted.inherits {
            for row in 0..links.rows(ltable::Bases) {
                if facts.get(col::BASE_KEYWORD, row) != 0 {
                    continue;
                }
                let Some(target) = links.get(lcol::LBASE_TARGET, row).checked_sub(1).and_then(end) else {
                    continue;
                };
                let class = facts.get(col::BASE_SYM, row);
                add(
                    class,
                    target,
                    Relation::Inherits,
                    facts.get(col::BASE_LINE, row),
                    CallStatus::Resolved,
                    Evidence::Direct.name(),
                );
            }
        }
        if wanted.overrides {
            for row in 0..links.rows(ltable::Overrides) {
                let Some(target) = end(links.get(lcol::OVR_TARGET, row)) else { continue };
                let method = links.get(lcol::OVR_SYM, row);
                add(
                    method,
                    target,
                    Relation::Overrides,
                    facts.get(col::SYM_LINE, method),
                    CallStatus::Resolved,
                    Evidence::Direct.name(),
                );
            }
        }
        found
    }

    fn end(&self, row: u32) -> End {
        let (kind, number) = self.links.target(row);
        match kind {
            TargetKind::Symbol => End::Symbol(number),
            TargetKind::Builtin => End::Outside(format!("<builtin>.{}", self.links.link_text(number))),
            TargetKind::External | TargetKind::Namespace => {
                End::Outside(self.links.link_text(number).to_owned())
            }
        }
    }
}

/// How an import is done: what matters to whether it runs when the module is loaded.
fn import_kind(facts: &Facts<'_>, row: u32) -> &'static str {
    let flags = facts.get(col::IMP_FLAGS, row);
    let is = |flag: u32| flags & flag != 0;
    match ImportKind::from_u32(facts.get(col::IMP_KIND, row)) {
        _ if is(import_flag::TYPE_CHECKING) => "type_checking",
        _ if is(import_flag::LOCAL) => "function_local",
        _ if is(import_flag::LAZY) => "lazy",
        _ if is(import_flag::OPTIONAL) => "optional",
        ImportKind::Literal => "string",
        _ => "runtime",
    }
}

/// A symbol and, of a class, everything in it: what people mean by its code.
#[must_use]
pub(super) fn with_members(code: &CodeGraph, symbols: &[u32]) -> FxHashSet<u32> {
    let mut all: FxHashSet<u32> = symbols.iter().copied().collect();
    for &symbol in symbols {
        let (index, row) = code.locate(symbol);
        let file = code.file(index);
        let Some(facts) = file.facts() else { continue };
        if SymbolKind::from_u32(facts.get(col::SYM_KIND, row)) != SymbolKind::Class {
            continue;
        }
        // Those within come after it.
        for within in row + 1..facts.rows(table::Symbols) {
            if facts
                .opt(col::SYM_PARENT, within)
                .is_some_and(|parent| all.contains(&(file.symbol_base() + parent)))
            {
                all.insert(file.symbol_base() + within);
            }
        }
    }
    all
}
