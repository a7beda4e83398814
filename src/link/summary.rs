//! Totals of a linked project: what the report and the metrics say without walking the graph again.

use super::links::{
    CallStatus, Evidence, ImplicitKind, ImportStatus, Links, Reason, TargetKind, col as lcol, table as ltable,
};
use super::{Listed, Lists, Project};
use crate::model::facts::{ImportKind, SymbolKind, col, import_flag, table};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Functions shown as the most complex.
const WORST: usize = 10;
/// Cycles kept with their members.
const CYCLES: usize = 50;

/// One of the most complex functions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Worst {
    /// Cyclomatic complexity.
    pub complexity: u32,
    /// Module and qualified name, dotted.
    pub name: String,
    /// Path relative to the root.
    pub path: String,
    /// Line of the `def`.
    pub line: u32,
}

/// Modules that import each other in a circle.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cycle {
    /// Names, sorted.
    pub modules: Vec<String>,
}

/// Totals.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Symbols by kind.
    pub symbols: BTreeMap<String, u64>,
    /// Import rows by status.
    pub imports: BTreeMap<String, u64>,
    /// Call sites by status.
    pub call_sites: BTreeMap<String, u64>,
    /// Call sites without a derived callee, by status and reason: `ambiguous:megamorphic`.
    pub reasons: BTreeMap<String, u64>,
    /// Edges of call sites by evidence.
    #[serde(default)]
    pub evidence: BTreeMap<String, u64>,
    /// Calls that are not written as such, by what makes them.
    #[serde(default)]
    pub implicit_calls: BTreeMap<String, u64>,
    /// Files whose calls were found by name because they have too many constraints together.
    #[serde(default)]
    pub linked_by_name: u64,
    /// Edges by type of the graph schema.
    pub edges: BTreeMap<String, u64>,
    /// Lines, of code, comment lines, blank lines.
    pub lines: [u64; 4],
    /// Files with syntax errors.
    pub files_with_errors: u64,
    /// The most complex functions, worst first.
    pub worst: Vec<Worst>,
    /// Import cycles at run time (type-checking, lazy and function-local imports aside), largest first.
    pub cycles: Vec<Cycle>,
    /// Number of cycles, shown or not.
    pub cycle_count: u64,
}

/// What one file adds.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    symbols: [u64; SymbolKind::ALL.len()],
    imports: [u64; ImportStatus::ALL.len()],
    sites: [u64; CallStatus::ALL.len()],
    reasons: [[u64; Reason::ALL.len()]; 2],
    evidence: [u64; Evidence::ALL.len()],
    implicit: [u64; ImplicitKind::ALL.len()],
    edges: [u64; EDGES.len()],
    lines: [u64; 4],
    errors: u64,
    worst: Vec<Worst>,
}

/// Edge types of the graph schema.
pub(crate) const EDGES: [&str; 9] = [
    "CONTAINS",
    "DEFINES",
    "IMPORTS",
    "CALLS",
    "INSTANTIATES",
    "REFERENCES",
    "INHERITS",
    "OVERRIDES",
    "DECORATED_BY",
];

impl Counts {
    pub(crate) fn of(project: &Project<'_>, file: u32, block: &[u8]) -> Self {
        let mut counts = Self::default();
        counts.edges[0] = 1;
        let (Some(facts), Some(links)) = (project.facts(file), Links::open_links(block)) else {
            return counts;
        };
        for row in 0..facts.rows(table::Symbols) {
            counts.symbols[facts.get(col::SYM_KIND, row) as usize] += 1;
        }
        counts.edges[1] = u64::from(facts.rows(table::Symbols) - 1);
        for row in 0..links.rows(ltable::Imports) {
            counts.imports[links.get(lcol::LIMP_STATUS, row) as usize] += 1;
            counts.edges[2] += u64::from(links.get(lcol::LIMP_MODULE, row) != 0);
        }
        for row in 0..links.rows(ltable::Sites) {
            let status = links.get(lcol::SITE_STATUS, row);
            counts.sites[status as usize] += 1;
            if let Some(group) = [CallStatus::Ambiguous, CallStatus::Unresolved]
                .iter()
                .position(|&group| group as u32 == status)
            {
                counts.reasons[group][links.get(lcol::SITE_REASON, row) as usize] += 1;
            }
            let first = links.get(lcol::SITE_FIRST, row);
            for row in first..first + links.get(lcol::SITE_COUNT, row) {
                let evidence = links.get(lcol::LIST_EVIDENCE, row);
                let made = evidence == Evidence::Instantiates as u32;
                counts.evidence[evidence as usize] += 1;
                counts.edges[if made { 4 } else { 3 }] += 1;
            }
        }
        for row in 0..links.rows(ltable::Implicit) {
            counts.implicit[links.get(lcol::IMPL_KIND, row) as usize] += 1;
        }
        counts.edges[3] += u64::from(links.rows(ltable::Implicit));
        counts.edges[5] = links.rows(ltable::References).into();
        for row in 0..links.rows(ltable::Bases) {
            counts.edges[6] +=
                u64::from(links.get(lcol::LBASE_TARGET, row) != 0 && facts.get(col::BASE_KEYWORD, row) == 0);
        }
        counts.edges[7] = links.rows(ltable::Overrides).into();
        for row in 0..links.rows(ltable::Decorators) {
            counts.edges[8] += u64::from(links.get(lcol::LDEC_TARGET, row) != 0);
        }
        counts.errors = u64::from(facts.rows(table::Errors) > 0);
        let bodies = facts.rows(table::Bodies);
        for row in 0..bodies {
            let symbol = facts.get(col::BODY_SYM, row);
            if symbol == 0 {
                let measures = [col::BODY_END_LINE, col::BODY_SLOC, col::BODY_COMMENT, col::BODY_BLANK];
                counts.lines = measures.map(|column| facts.get(column, row).into());
                continue;
            }
            let complexity = facts.get(col::BODY_CC, row);
            let kind = SymbolKind::from_u32(facts.get(col::SYM_KIND, symbol));
            if complexity > 10 && matches!(kind, SymbolKind::Function | SymbolKind::Method) {
                counts.worst.push(Worst {
                    complexity,
                    name: String::new(),
                    path: String::new(),
                    line: symbol,
                });
                if counts.worst.len() > 1024 {
                    most_complex(&mut counts.worst);
                }
            }
        }
        most_complex(&mut counts.worst);
        for worst in &mut counts.worst {
            let symbol = worst.line;
            worst.line = facts.get(col::SYM_LINE, symbol);
            worst.path = project.files.path(file).to_owned();
            worst.name = format!("{}.{}", project.table.name(file), facts.qualname(symbol));
        }
        counts
    }

    /// Adds those of another file.
    pub(crate) fn add(&mut self, other: Self) {
        fn sum(totals: &mut [u64], counts: &[u64]) {
            totals.iter_mut().zip(counts).for_each(|(total, count)| *total += count);
        }
        sum(&mut self.symbols, &other.symbols);
        sum(&mut self.imports, &other.imports);
        sum(&mut self.sites, &other.sites);
        self.reasons.iter_mut().zip(&other.reasons).for_each(|(totals, counts)| sum(totals, counts));
        sum(&mut self.evidence, &other.evidence);
        sum(&mut self.implicit, &other.implicit);
        sum(&mut self.edges, &other.edges);
        sum(&mut self.lines, &other.lines);
        self.errors += other.errors;
        self.worst.extend(other.worst);
        if self.worst.len() > 64 * WORST {
            keep_worst(&mut self.worst);
        }
    }
}

/// For each file those that it imports as soon as it is imported itself.
pub(crate) type Loads = Lists<u32>;

impl Summary {
    /// The totals that `counts` come to.
    fn name(&mut self, counts: &Counts) {
        fn named(names: impl Iterator<Item = &'static str>, counts: &[u64]) -> BTreeMap<String, u64> {
            names.zip(counts).map(|(name, &count)| (name.to_owned(), count)).collect()
        }
        self.symbols = named(SymbolKind::ALL.iter().map(|kind| kind.name()), &counts.symbols);
        self.imports = named(ImportStatus::ALL.iter().map(|kind| kind.name()), &counts.imports);
        self.call_sites = named(CallStatus::ALL.iter().map(|kind| kind.name()), &counts.sites);
        self.evidence = named(Evidence::ALL.iter().map(|kind| kind.name()), &counts.evidence);
        self.implicit_calls = named(ImplicitKind::ALL.iter().map(|kind| kind.name()), &counts.implicit);
        self.edges = named(EDGES.into_iter(), &counts.edges);
        for (group, counts) in ["ambiguous", "unresolved"].iter().zip(&counts.reasons) {
            for (reason, &count) in Reason::ALL.iter().zip(counts).filter(|(_, count)| **count > 0) {
                self.reasons.insert(format!("{group}:{}", reason.name()), count);
            }
        }
        self.lines = counts.lines;
        self.files_with_errors = counts.errors;
        self.worst.clone_from(&counts.worst);
        keep_worst(&mut self.worst);
    }

    /// `loads`: what each file imports as soon as it is imported itself.
    pub(crate) fn finish(&mut self, counts: &Counts, project: &Project<'_>, loads: Loads) {
        self.name(counts);
        let edges = loads.finish();
        let mut cycles: Vec<Cycle> = components(&edges)
            .into_iter()
            .map(|members| {
                let mut modules: Vec<String> =
                    members.into_iter().map(|file| project.table.name(file).to_owned()).collect();
                modules.sort_unstable();
                Cycle { modules }
            })
            .collect();
        cycles.sort_unstable_by(|a, b| {
            b.modules.len().cmp(&a.modules.len()).then_with(|| a.modules.cmp(&b.modules))
        });
        self.cycle_count = cycles.len() as u64;
        cycles.truncate(CYCLES);
        self.cycles = cycles;
    }
}

/// Of functions of one file, whose lines are their symbols.
fn most_complex(worst: &mut Vec<Worst>) {
    worst.sort_unstable_by_key(|worst| std::cmp::Reverse((worst.complexity, std::cmp::Reverse(worst.line))));
    worst.truncate(WORST);
}

fn keep_worst(worst: &mut Vec<Worst>) {
    worst.sort_unstable_by(|a, b| {
        b.complexity.cmp(&a.complexity).then_with(|| (&a.path, a.line).cmp(&(&b.path, b.line)))
    });
    worst.truncate(WORST);
}

/// Files that `file` imports as soon as it is imported itself.
pub(crate) fn runtime_imports(project: &Project<'_>, file: u32, block: &[u8]) -> Vec<u32> {
    let (Some(facts), Some(links)) = (project.facts(file), Links::open_links(block)) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for row in 0..links.rows(ltable::Imports) {
        let later = import_flag::TYPE_CHECKING | import_flag::LOCAL | import_flag::LAZY;
        if facts.get(col::IMP_FLAGS, row) & later != 0
            || facts.get(col::IMP_KIND, row) == ImportKind::Literal as u32
        {
            continue;
        }
        let Some(target) = links.get(lcol::LIMP_MODULE, row).checked_sub(1) else { continue };
        if let (TargetKind::Symbol, id) = links.target(target) {
            let (owner, _) = project.locate(id);
            if owner != file {
                found.push(owner);
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Strongly connected components of more than one node (Tarjan 1972, with an explicit stack).
fn components(edges: &Listed<u32>) -> Vec<Vec<u32>> {
    let count = edges.len();
    let (mut index, mut low, mut on) = (vec![0u32; count], vec![0u32; count], vec![false; count]);
    let (mut next, mut stack, mut found) = (0u32, Vec::new(), Vec::new());
    for root in 0..count {
        if index[root] != 0 {
            continue;
        }
        let mut work = vec![(root, 0usize)];
        while let Some((node, at)) = work.last_mut() {
            let node = *node;
            if *at == 0 && index[node] == 0 {
                next += 1;
                index[node] = next;
                low[node] = next;
                stack.push(node);
                on[node] = true;
            }
            if let Some(&to) = edges.get(node as u32).get(*at) {
                *at += 1;
                let to = to as usize;
                if index[to] == 0 {
                    work.push((to, 0));
                } else if on[to] {
                    low[node] = low[node].min(index[to]);
                }
                continue;
            }
            work.pop();
            if let Some((parent, _)) = work.last() {
                low[*parent] = low[*parent].min(low[node]);
            }
            if low[node] == index[node] {
                let mut members = Vec::new();
                while let Some(member) = stack.pop() {
                    on[member] = false;
                    members.push(member as u32);
                    if member == node {
                        break;
                    }
                }
                if members.len() > 1 {
                    found.push(members);
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::Scratch;

    #[test]
    fn cycles() {
        for (edges, expected) in [
            (vec![vec![1], vec![0], vec![0]], vec![vec![1, 0]]),
            (vec![vec![1], vec![2], vec![]], vec![]),
            (vec![vec![1], vec![2], vec![0], vec![4], vec![3]], vec![vec![2, 1, 0], vec![4, 3]]),
        ] {
            let mut lists = Loads::new(&Scratch::none());
            edges.iter().for_each(|to: &Vec<u32>| lists.push(to));
            assert_eq!(components(&lists.finish()), expected);
        }
    }
}
