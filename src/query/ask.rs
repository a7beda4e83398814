//! Questions about single symbols, and their answers as plain data.

use super::find::{Found, find, search};
use super::graph::dotted;
use super::relations::{self, Edge, End, Wanted};
use crate::link::links::{CallStatus, col as lcol, table as ltable};
use crate::model::facts::{ParamKind, SymbolKind, col, symbol_flag, table};
use crate::report::answer::{Answer, Link, Node};
use crate::store::CodeGraph;
use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};

/// What is asked of a graph. Symbols are named as [`find`] takes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Who calls a symbol, and who calls those, up to so many steps away.
    Callers(String, u32),
    /// What a symbol calls.
    Callees(String, u32),
    /// Which modules import a module or something of it.
    Importers(String, u32),
    /// What a module imports.
    Imports(String, u32),
    /// Classes above and below a class.
    Hierarchy(String),
    /// Methods that a method overrides, and those that override it.
    Overrides(String),
    /// A shortest chain of calls, or of imports between modules, from the first to the second.
    Path(String, String),
    /// Whatever depends on a symbol or file, directly or not.
    Impact(String, u32),
    /// Tests among those.
    Tests(String, u32),
    /// Symbols whose names hold a text, at most so many.
    Search(String, usize),
    /// What is known of a symbol itself.
    Show(String),
}

impl Question {
    /// Name in outputs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Callers(..) => "callers",
            Self::Callees(..) => "callees",
            Self::Importers(..) => "importers",
            Self::Imports(..) => "imports",
            Self::Hierarchy(_) => "hierarchy",
            Self::Overrides(_) => "overrides",
            Self::Path(..) => "path",
            Self::Impact(..) => "impact",
            Self::Tests(..) => "tests",
            Self::Search(..) => "search",
            Self::Show(_) => "show",
        }
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// No symbol has the name.
    #[error("no symbol is named `{name}`{}", suggested(.like))]
    Unknown {
        /// As typed.
        name: String,
        /// Names like it.
        like: Vec<String>,
    },
    /// More than one dotted name ends in it.
    #[error("`{name}` may be {}; name one of them", listed(.names))]
    Several {
        /// As typed.
        name: String,
        /// What it may be.
        names: Vec<String>,
    },
    /// The question makes no sense for such a symbol.
    #[error("`{name}` is a {kind}, and `{question}` is asked of a {wanted}; name one")]
    Kind {
        /// Dotted name.
        name: String,
        /// What it is.
        kind: &'static str,
        /// What was asked.
        question: &'static str,
        /// What it can be asked of.
        wanted: &'static str,
    },
}

fn suggested(like: &[String]) -> String {
    match like {
        [] => "; `pydebug query search` finds names that hold a text".to_owned(),
        like => format!("; did you mean {}?", listed(like)),
    }
}

/// Names that fit on a screen.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 10;
    let mut text = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} others", names.len() - SHOWN));
    }
    text
}

const CALLS: Wanted =
    Wanted { calls: true, references: false, imports: false, inherits: false, overrides: false };
const IMPORTS: Wanted =
    Wanted { calls: false, references: false, imports: true, inherits: false, overrides: false };
const INHERITS: Wanted =
    Wanted { calls: false, references: false, imports: false, inherits: true, overrides: false };
const OVERRIDES: Wanted =
    Wanted { calls: false, references: false, imports: false, inherits: false, overrides: true };
const USES: Wanted =
    Wanted { calls: true, references: true, imports: false, inherits: true, overrides: false };

/// Answers a question.
///
/// # Errors
/// [`AskError`], where it is about no symbol of the graph, or about several.
pub fn ask(code: &CodeGraph, question: &Question) -> Result<Answer, AskError> {
    let mut asked =
        Asked { code, question: question.name(), answer: Answer::default(), places: FxHashMap::default() };
    asked.answer.question = question.name();
    match question {
        Question::Callers(name, depth) => asked.callers(name, *depth)?,
        Question::Callees(name, depth) => asked.callees(name, *depth)?,
        Question::Importers(name, depth) => asked.importers(name, *depth)?,
        Question::Imports(name, depth) => asked.imports(name, *depth)?,
        Question::Hierarchy(name) => asked.hierarchy(name)?,
        Question::Overrides(name) => asked.overrides(name)?,
        Question::Path(first, second) => asked.path(first, second)?,
        Question::Impact(name, depth) => asked.impact(name, *depth, false)?,
        Question::Tests(name, depth) => asked.impact(name, *depth, true)?,
        Question::Search(text, limit) => asked.search(text, *limit),
        Question::Show(name) => asked.show(name)?,
    }
    let Answer { links, fields, notes, nodes, .. } = &mut asked.answer;
    let named = matches!(question, Question::Search(..)) && !nodes.is_empty();
    if !named && links.is_empty() && fields.is_empty() && notes.is_empty() {
        notes.push("nothing was found".to_owned());
    }
    Ok(asked.answer)
}

struct Asked<'g> {
    code: &'g CodeGraph,
    question: &'static str,
    answer: Answer,
    places: FxHashMap<End, usize>,
}

impl Asked<'_> {
    fn find(&self, name: &str) -> Result<Vec<u32>, AskError> {
        match find(self.code, name) {
            Found::Symbols(symbols) => Ok(symbols),
            Found::Several(names) => Err(AskError::Several { name: name.to_owned(), names }),
            Found::Nothing(like) => Err(AskError::Unknown { name: name.to_owned(), like }),
        }
    }

    /// The symbols of this name, which are what the answer is about.
    fn subject(&mut self, name: &str) -> Result<Vec<u32>, AskError> {
        let found = self.find(name)?;
        for &symbol in &found {
            let place = self.node(&End::Symbol(symbol), 0);
            self.answer.subjects.push(place);
        }
        Ok(found)
    }

    fn kind(&self, symbol: u32) -> SymbolKind {
        let (index, row) = self.code.locate(symbol);
        let facts = self.code.file(index).facts();
        facts.map_or(SymbolKind::Module, |facts| SymbolKind::from_u32(facts.get(col::SYM_KIND, row)))
    }

    fn name(&self, symbol: u32) -> String {
        let (index, row) = self.code.locate(symbol);
        let file = self.code.file(index);
        file.facts().map_or_else(|| file.module().to_owned(), |facts| dotted(&file, &facts, row))
    }

    /// All of `symbols` must be of one of these kinds.
    fn ensure(&self, symbols: &[u32], kinds: &[SymbolKind], wanted: &'static str) -> Result<(), AskError> {
        match symbols.iter().find(|&&symbol| !kinds.contains(&self.kind(symbol))) {
            None => Ok(()),
            Some(&symbol) => Err(AskError::Kind {
                name: self.name(symbol),
                kind: self.kind(symbol).name(),
                question: self.question,
                wanted,
            }),
        }
    }

    /// The module of each symbol.
    fn modules(&self, symbols: &[u32]) -> Vec<u32> {
        let mut modules: Vec<u32> =
            symbols.iter().map(|&symbol| self.code.file(self.code.locate(symbol).0).symbol_base()).collect();
        modules.dedup();
        modules
    }

    /// Place of a node, which is made where it is not there.
    fn node(&mut self, end: &End, depth: u32) -> usize {
        if let Some(&place) = self.places.get(end) {
            return place;
        }
        let node = match end {
            End::Outside(name) => {
                let kind = if name.starts_with("<builtin>.") { "builtin" } else { "external" };
                Node { name: name.clone(), kind, path: None, line: None, depth }
            }
            &End::Symbol(symbol) => {
                let (index, row) = self.code.locate(symbol);
                let file = self.code.file(index);
                let line = file.facts().map(|facts| facts.get(col::SYM_LINE, row));
                Node {
                    name: self.name(symbol),
                    kind: self.kind(symbol).name(),
                    path: Some(file.path().to_owned()),
                    line,
                    depth,
                }
            }
        };
        let place = self.answer.nodes.len();
        self.answer.nodes.push(node);
        self.places.insert(end.clone(), place);
        place
    }

    fn link(&mut self, edge: &Edge, depths: [u32; 2]) {
        let source = self.node(&End::Symbol(edge.source), depths[0]);
        let target = self.node(&edge.target, depths[1]);
        self.answer.links.push(Link {
            source,
            target,
            relation: edge.relation.name(),
            detail: edge.relation.detail(),
            status: edge.status,
            evidence: edge.evidence,
            path: self.code.file(edge.file).path().to_owned(),
            line: edge.line,
        });
    }

    /// Edges that lead to `symbols`, to their sources and so on.
    fn backwards(
        &mut self,
        symbols: FxHashSet<u32>,
        depth: u32,
        wanted: Wanted,
        keep: impl Fn(&Edge) -> bool,
    ) {
        let mut seen = symbols.clone();
        let mut next = symbols;
        for step in 1..=depth {
            let edges = relations::into(self.code, &next, wanted);
            next = FxHashSet::default();
            for edge in edges.iter().filter(|edge| keep(edge)) {
                self.link(edge, [step, step - 1]);
                if seen.insert(edge.source) {
                    next.insert(edge.source);
                }
            }
            if next.is_empty() {
                return;
            }
        }
    }

    /// Edges from `symbols`, from their targets and so on.
    fn forwards(&mut self, symbols: FxHashSet<u32>, depth: u32, wanted: Wanted) {
        let mut seen = symbols.clone();
        let mut next = symbols;
        for step in 1..=depth {
            let edges = relations::from(self.code, &next, wanted);
            next = FxHashSet::default();
            for edge in &edges {
                self.link(edge, [step - 1, step]);
                if let End::Symbol(target) = edge.target
                    && seen.insert(target)
                {
                    next.insert(target);
                }
            }
            if next.is_empty() {
                return;
            }
        }
    }

    /// A class and its constructors: who calls the one calls the others.
    fn constructed(&self, symbols: &[u32]) -> FxHashSet<u32> {
        let mut all: FxHashSet<u32> = symbols.iter().copied().collect();
        for &symbol in symbols {
            let (index, row) = self.code.locate(symbol);
            let file = self.code.file(index);
            let Some(facts) = file.facts() else { continue };
            if facts.get(col::SYM_KIND, row) != SymbolKind::Class as u32 {
                continue;
            }
            let own = |member: &u32| facts.opt(col::SYM_PARENT, *member) == Some(row);
            let constructor =
                |member: &u32| matches!(facts.str(col::SYM_NAME, *member), "__init__" | "__new__");
            all.extend(
                (row + 1..facts.rows(table::Symbols))
                    .filter(own)
                    .filter(constructor)
                    .map(|member| file.symbol_base() + member),
            );
        }
        all
    }

    fn callers(&mut self, name: &str, depth: u32) -> Result<(), AskError> {
        let found = self.subject(name)?;
        self.backwards(self.constructed(&found), depth, CALLS, |_| true);
        self.note_candidates(&found);
        Ok(())
    }

    fn callees(&mut self, name: &str, depth: u32) -> Result<(), AskError> {
        let found = self.subject(name)?;
        let sources = relations::with_members(self.code, &found);
        self.note_open_sites(&sources);
        self.forwards(sources, depth, CALLS);
        Ok(())
    }

    fn importers(&mut self, name: &str, depth: u32) -> Result<(), AskError> {
        let found = self.subject(name)?;
        self.backwards(found.into_iter().collect(), depth, IMPORTS, |_| true);
        Ok(())
    }

    fn imports(&mut self, name: &str, depth: u32) -> Result<(), AskError> {
        let found = self.find(name)?;
        for module in self.modules(&found) {
            let place = self.node(&End::Symbol(module), 0);
            self.answer.subjects.push(place);
        }
        self.forwards(self.modules(&found).into_iter().collect(), depth, IMPORTS);
        Ok(())
    }

    fn hierarchy(&mut self, name: &str) -> Result<(), AskError> {
        let found = self.subject(name)?;
        self.ensure(&found, &[SymbolKind::Class], "class")?;
        self.forwards(found.iter().copied().collect(), u32::MAX, INHERITS);
        self.backwards(found.into_iter().collect(), u32::MAX, INHERITS, |_| true);
        Ok(())
    }

    fn overrides(&mut self, name: &str) -> Result<(), AskError> {
        let found = self.subject(name)?;
        self.ensure(&found, &[SymbolKind::Method], "method")?;
        self.forwards(found.iter().copied().collect(), u32::MAX, OVERRIDES);
        self.backwards(found.into_iter().collect(), u32::MAX, OVERRIDES, |_| true);
        Ok(())
    }

    /// Breadth first, so that the first chain found is a shortest one; of those the first by names of files and lines.
    fn path(&mut self, first: &str, second: &str) -> Result<(), AskError> {
        let sources = self.subject(first)?;
        let ends = self.subject(second)?;
        let modules = sources.iter().chain(&ends).all(|&symbol| self.kind(symbol) == SymbolKind::Module);
        let wanted = if modules { IMPORTS } else { CALLS };
        let goal = if modules { ends.iter().copied().collect() } else { self.constructed(&ends) };
        let start = relations::with_members(self.code, &sources);
        let mut came: FxHashMap<u32, Edge> = FxHashMap::default();
        let mut seen = start.clone();
        let mut next = start.clone();
        let mut reached = None;
        while !next.is_empty() && reached.is_none() {
            let edges = relations::from(self.code, &next, wanted);
            next = FxHashSet::default();
            for edge in edges {
                let End::Symbol(target) = edge.target else { continue };
                if goal.contains(&target) {
                    reached.get_or_insert(edge);
                } else if seen.insert(target) {
                    next.insert(target);
                    came.insert(target, edge);
                }
            }
        }
        let mut chain = Vec::new();
        while let Some(edge) = reached {
            reached = if start.contains(&edge.source) { None } else { came.remove(&edge.source) };
            chain.push(edge);
        }
        if chain.is_empty() {
            let what = if modules { "imports" } else { "calls" };
            self.answer.notes.push(format!(
                "no chain of {what} leads from the one to the other; `path` the other way round may"
            ));
        }
        for (edge, step) in chain.iter().rev().zip(0..) {
            self.link(edge, [step, step + 1]);
        }
        Ok(())
    }

    fn impact(&mut self, name: &str, depth: u32, tests: bool) -> Result<(), AskError> {
        let found = self.subject(name)?;
        let whole: Vec<u32> =
            found.iter().copied().filter(|&symbol| self.kind(symbol) == SymbolKind::Module).collect();
        let mut start = relations::with_members(self.code, &found);
        for &module in &whole {
            let file = self.code.file(self.code.locate(module).0);
            let symbols = file.facts().map_or(0, |facts| facts.rows(table::Symbols));
            start.extend(module..module + symbols);
        }
        // By target: edges to it.
        let mut edges = relations::all(self.code, USES);
        let target = |edge: &Edge| match edge.target {
            End::Symbol(symbol) => symbol,
            // Was left out.
            End::Outside(_) => 0,
        };
        if !whole.is_empty() {
            // Of imports those count that name the file: what comes after is reached by uses.
            let of_file = whole.iter().copied().collect();
            edges.extend(relations::into(self.code, &of_file, IMPORTS));
        }
        // Places of edges by target, in order of files.
        let count = edges.iter().map(|edge| target(edge) as usize + 1).max().unwrap_or(0);
        let mut starts = vec![0u32; count + 1];
        edges.iter().for_each(|edge| starts[target(edge) as usize + 1] += 1);
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let (mut ends, mut places) = (starts.clone(), vec![0u32; edges.len()]);
        for (edge, at) in edges.iter().zip(0..) {
            let end = &mut ends[target(edge) as usize];
            places[*end as usize] = at;
            *end += 1;
        }
        let edges_to = |symbol: u32| match starts.get(symbol as usize..symbol as usize + 2) {
            Some(run) => &places[run[0] as usize..run[1] as usize],
            None => &[],
        };
        let mut steps: FxHashMap<u32, u32> = start.iter().map(|&symbol| (symbol, 0)).collect();
        let mut next: Vec<u32> = start.iter().copied().collect();
        next.sort_unstable();
        let mut reached: Vec<(u32, usize)> = Vec::new();
        for step in 1..=depth {
            let mut found = Vec::new();
            for &symbol in &next {
                for &at in edges_to(symbol) {
                    let source = edges[at as usize].source;
                    if let std::collections::hash_map::Entry::Vacant(entry) = steps.entry(source) {
                        entry.insert(step);
                        found.push(source);
                        reached.push((step, at as usize));
                    }
                }
            }
            if found.is_empty() {
                break;
            }
            found.sort_unstable();
            next = found;
        }
        let mut count = 0;
        for (step, at) in reached {
            let edge = &edges[at];
            if !tests || self.is_test(edge.source) {
                count += 1;
                let from = steps.get(&target(edge)).copied().unwrap_or(0);
                self.link(edge, [step, from]);
            }
        }
        if count == 0 {
            let what = if tests { "no test reaches it" } else { "nothing depends on it" };
            self.answer.notes.push(format!("{what} as far as calls, uses and base classes are known"));
        }
        self.note_candidates(&found);
        Ok(())
    }

    /// A function or method of the name and place that pytest and unittest look for.
    fn is_test(&self, symbol: u32) -> bool {
        let (index, row) = self.code.locate(symbol);
        let file = self.code.file(index);
        let stem = file.path().rsplit('/').next().unwrap_or_default();
        let place = stem.starts_with("test_")
            || stem.ends_with("_test.py")
            || stem == "tests.py"
            || file.path().split('/').any(|part| matches!(part, "test" | "tests"));
        place
            && file.facts().is_some_and(|facts| {
                facts.str(col::SYM_NAME, row).starts_with("test")
                    && matches!(
                        SymbolKind::from_u32(facts.get(col::SYM_KIND, row)),
                        SymbolKind::Function | SymbolKind::Method
                    )
            })
    }

    fn search(&mut self, text: &str, limit: usize) {
        let (found, count) = search(self.code, text, limit);
        for symbol in &found {
            self.node(&End::Symbol(*symbol), 0);
        }
        if count > found.len() {
            self.answer
                .notes
                .push(format!("{} of {count} names are shown; `--limit` shows more", found.len()));
        }
    }

    fn show(&mut self, name: &str) -> Result<(), AskError> {
        for symbol in self.subject(name)? {
            let (index, row) = self.code.locate(symbol);
            let file = self.code.file(index);
            let Some(facts) = file.facts() else { continue };
            let kind = self.kind(symbol);
            let mut field = |name: &'static str, value: String| self.answer.fields.push((name, value));
            field("name", dotted(&file, &facts, row));
            field("kind", kind.name().to_owned());
            field("path", format!("{}:{}", file.path(), facts.get(col::SYM_LINE, row)));
            let flags: Vec<&str> = symbol_flag::names(facts.get(col::SYM_FLAGS, row)).collect();
            if !flags.is_empty() {
                field("flags", flags.join(", "));
            }
            let parameters: Vec<String> = (0..facts.rows(table::Params))
                .filter(|&param| facts.get(col::PAR_SYM, param) == row)
                .filter(|&param| facts.get(col::PAR_KIND, param) != ParamKind::Type as u32)
                .map(|param| parameter(&facts, param))
                .collect();
            if matches!(kind, SymbolKind::Function | SymbolKind::Method | SymbolKind::Lambda) {
                field("parameters", format!("({})", parameters.join(", ")));
            }
            if let Some(body) =
                (0..facts.rows(table::Bodies)).find(|&body| facts.get(col::BODY_SYM, body) == row)
            {
                let end = facts.get(col::BODY_END_LINE, body);
                field("lines", format!("{}", (end + 1).saturating_sub(facts.get(col::SYM_LINE, row))));
                field("complexity", facts.get(col::BODY_CC, body).to_string());
                field("cognitive", facts.get(col::BODY_COGNITIVE, body).to_string());
            }
            let callers = relations::into(self.code, &self.constructed(&[symbol]), CALLS);
            let callees = relations::from(self.code, &relations::with_members(self.code, &[symbol]), CALLS);
            let mut field = |name: &'static str, value: String| self.answer.fields.push((name, value));
            field("callers", distinct(callers.iter().map(|edge| End::Symbol(edge.source))).to_string());
            field("callees", distinct(callees.into_iter().map(|edge| edge.target)).to_string());
        }
        Ok(())
    }

    /// Says how many sites call something of the same name of which no callee is known.
    fn note_candidates(&mut self, symbols: &[u32]) {
        let methods: Vec<u32> =
            symbols.iter().copied().filter(|&symbol| self.kind(symbol) == SymbolKind::Method).collect();
        let Some(&method) = methods.first() else { return };
        let name = self.name(method);
        let name = name.rsplit('.').next().unwrap_or(&name);
        let count: u32 = (0..self.code.len())
            .into_par_iter()
            .map(|index| {
                let file = self.code.file(index);
                let (Some(facts), Some(links)) = (file.facts(), file.links()) else { return 0 };
                let sites = links.rows(ltable::Sites).min(facts.rows(table::Calls));
                let open = |site: &u32| {
                    matches!(
                        CallStatus::from_u32(links.get(lcol::SITE_STATUS, *site)),
                        CallStatus::Ambiguous | CallStatus::Unresolved
                    ) && facts.str(col::REF_NAME, facts.get(col::CALL_REF, *site)) == name
                };
                (0..sites).filter(open).count() as u32
            })
            .sum();
        if count > 0 {
            let sites = if count == 1 { "site calls" } else { "sites call" };
            self.answer
                .notes
                .push(format!("{count} more {sites} a `{name}` of which it is not known whose it is"));
        }
    }

    /// Says how many sites in the code of `symbols` may call something that is not known.
    fn note_open_sites(&mut self, symbols: &FxHashSet<u32>) {
        let mut files: Vec<u32> = symbols.iter().map(|&symbol| self.code.locate(symbol).0).collect();
        files.sort_unstable();
        files.dedup();
        let (mut open, mut incomplete) = (0, 0);
        for index in files {
            let file = self.code.file(index);
            let (Some(facts), Some(links)) = (file.facts(), file.links()) else { continue };
            for site in 0..links.rows(ltable::Sites).min(facts.rows(table::Calls)) {
                let source = file.symbol_base() + super::caller(&facts, facts.get(col::CALL_SCOPE, site));
                if symbols.contains(&source) {
                    match CallStatus::from_u32(links.get(lcol::SITE_STATUS, site)) {
                        CallStatus::Ambiguous | CallStatus::Unresolved => open += 1,
                        CallStatus::Incomplete => incomplete += 1,
                        _ => {}
                    }
                }
            }
        }
        if open > 0 {
            self.answer.notes.push(format!("callees of {open} sites are not known"));
        }
        if incomplete > 0 {
            self.answer.notes.push(format!("{incomplete} sites may call others too"));
        }
    }
}

fn distinct(ends: impl Iterator<Item = End>) -> usize {
    ends.collect::<FxHashSet<End>>().len()
}

/// A parameter as it is written.
fn parameter(facts: &crate::model::facts::Facts<'_>, row: u32) -> String {
    let stars = match ParamKind::from_u32(facts.get(col::PAR_KIND, row)) {
        ParamKind::Star => "*",
        ParamKind::DoubleStar => "**",
        _ => "",
    };
    let mut text = format!("{stars}{}", facts.str(col::PAR_NAME, row));
    let annotation = facts.str(col::PAR_ANNOTATION, row);
    let default = facts.str(col::PAR_DEFAULT, row);
    if !annotation.is_empty() {
        text.push_str(": ");
        text.push_str(annotation);
    }
    if !default.is_empty() {
        text.push_str(if annotation.is_empty() { "=" } else { " = " });
        text.push_str(default);
    }
    text
}
