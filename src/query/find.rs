//! Symbols by what people type: dotted names or ends of them, paths, `path:line`.

use crate::link::plain;
use crate::model::facts::{Facts, SymbolKind, col, table};
use crate::query::graph::dotted;
use crate::store::{CodeGraph, GraphFile};

/// Names that are suggested, and answers that are listed where a name fits several.
const LISTED: usize = 10;
/// Likeness from which on a name is suggested: Jaro-Winkler, 1 for equal ones.
const ALIKE: f64 = 0.85;

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Symbols of one dotted name, of which conditional definitions make several, in order of the project.
    Symbols(Vec<u32>),
    /// Several dotted names end in it.
    Several(Vec<String>),
    /// None does; these are like it.
    Nothing(Vec<String>),
}

/// Finds `text` among the symbols of a graph: a whole dotted name before the end of one, a module before its symbols.
#[must_use]
pub fn find(code: &CodeGraph, text: &str) -> Found {
    let text = text.trim();
    if let Some(symbol) = by_path(code, text) {
        return Found::Symbols(vec![symbol]);
    }
    let (mut whole, mut ends) = (Vec::new(), Vec::new());
    let last = text.rsplit('.').next().unwrap_or(text);
    let ending = format!(".{text}");
    for file in code.files() {
        let module = plain(file.module());
        if module == text {
            whole.push(file.symbol_base());
        } else if module.ends_with(&ending) {
            ends.push((module.to_owned(), file.symbol_base()));
        }
        let Some(facts) = file.facts() else { continue };
        for symbol in 1..facts.rows(table::Symbols) {
            if facts.str(col::SYM_NAME, symbol) != last {
                continue;
            }
            let name = dotted(&file, &facts, symbol);
            if name == text {
                whole.push(file.symbol_base() + symbol);
            } else if name.ends_with(&ending) {
                ends.push((name, file.symbol_base() + symbol));
            }
        }
    }
    if !whole.is_empty() {
        return Found::Symbols(whole);
    }
    ends.sort();
    let mut names: Vec<&String> = ends.iter().map(|end| &end.0).collect();
    names.dedup();
    match names[..] {
        [] => Found::Nothing(alike(code, text)),
        [_] => Found::Symbols(ends.iter().map(|end| end.1).collect()),
        _ => Found::Several(names.into_iter().cloned().collect()),
    }
}

/// The module at a path, or the innermost symbol at `path:line`.
fn by_path(code: &CodeGraph, text: &str) -> Option<u32> {
    let text = text.strip_prefix("./").unwrap_or(text);
    let (path, line) = match text.rsplit_once(':') {
        Some((path, line)) if line.parse::<u32>().is_ok() => (path, line.parse().ok()),
        _ => (text, None),
    };
    let file = code.find(path)?;
    let inner = |line: u32| Some(at_line(&file.facts()?, line));
    Some(file.symbol_base() + line.and_then(inner).unwrap_or(0))
}

/// The innermost symbol with a body around `line`.
fn at_line(facts: &Facts<'_>, line: u32) -> u32 {
    let mut found = (0, 0);
    for row in 0..facts.rows(table::Bodies) {
        let symbol = facts.get(col::BODY_SYM, row);
        let start = facts.get(col::SYM_LINE, symbol);
        if symbol != 0 && start <= line && line <= facts.get(col::BODY_END_LINE, row) && start >= found.0 {
            found = (start, symbol);
        }
    }
    found.1
}

/// Dotted names whose ends are like `text`, the likest first.
fn alike(code: &CodeGraph, text: &str) -> Vec<String> {
    let parts = text.matches('.').count();
    let wanted = text.to_lowercase();
    let mut found: Vec<(u64, String)> = Vec::new();
    each(code, |file, facts, symbol| {
        let last = facts.str(col::SYM_NAME, symbol);
        let own = wanted.rsplit('.').next().unwrap_or(&wanted);
        if strsim::jaro_winkler(&last.to_lowercase(), own) < ALIKE {
            return;
        }
        let name = dotted(file, facts, symbol);
        let start = name.rmatch_indices('.').nth(parts).map_or(0, |(at, _)| at + 1);
        let likeness = strsim::jaro_winkler(&name[start..].to_lowercase(), &wanted);
        if likeness >= ALIKE {
            found.push(((1e6 * (1.0 - likeness)) as u64, name));
        }
    });
    found.sort();
    found.dedup();
    found.truncate(LISTED);
    found.into_iter().map(|one| one.1).collect()
}

/// Symbols whose dotted names hold `text`, whatever its case, by likeness: those that end in it first, then by length and name. At most `limit`, with how
/// many there are.
#[must_use]
pub(super) fn search(code: &CodeGraph, text: &str, limit: usize) -> (Vec<u32>, usize) {
    let wanted = text.to_lowercase();
    let mut found: Vec<(bool, usize, String, u32)> = Vec::new();
    let mut add = |name: String, symbol: u32| {
        let lower = name.to_lowercase();
        if lower.contains(&wanted) {
            let last = lower.rsplit('.').next().unwrap_or(&lower);
            found.push((!last.contains(&wanted), name.len(), name, symbol));
        }
    };
    for file in code.files() {
        add(plain(file.module()).to_owned(), file.symbol_base());
    }
    each(code, |file, facts, symbol| add(dotted(file, facts, symbol), file.symbol_base() + symbol));
    found.sort();
    let count = found.len();
    (found.into_iter().take(limit).map(|one| one.3).collect(), count)
}

/// All symbols that have names, but modules.
fn each(code: &CodeGraph, mut each: impl FnMut(&GraphFile<'_>, &Facts<'_>, u32)) {
    for file in code.files() {
        let Some(facts) = file.facts() else { continue };
        for symbol in 1..facts.rows(table::Symbols) {
            if facts.get(col::SYM_KIND, symbol) != SymbolKind::Lambda as u32 {
                each(&file, &facts, symbol);
            }
        }
    }
}
