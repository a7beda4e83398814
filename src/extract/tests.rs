//! Small sources and what their facts say, one file a kind of fact.

mod bindings;
mod calls;
mod chunks;
mod hostile;
mod imports;
mod measures;
mod symbols;

use crate::model::facts::{
    BINDING_CONDITIONAL, BINDING_LAST, BindingKind, Facts, RefKind, ScopeKind, SymbolKind, col, symbol_flag,
    table,
};
use crate::model::json::access_path;
use crate::parse::{Outcome, Scratch};

/// The block of `source`.
fn block(source: &str) -> Vec<u8> {
    match Scratch::default().parse(source.as_bytes(), false) {
        Outcome::Facts(block) => block,
        Outcome::TooDeep | Outcome::TooLarge => panic!("too deep"),
    }
}

/// One line for each entry; `show` writes them.
#[track_caller]
fn check(source: &str, show: impl Fn(&Facts<'_>) -> Vec<String>, expected: &[&str]) {
    let block = block(source);
    let facts = Facts::open(&block).expect("facts");
    assert_eq!(show(&facts), expected, "{source}");
}

/// Definitions and variables: line, kind, qualified name, flags.
fn symbols(facts: &Facts<'_>) -> Vec<String> {
    let mut rows: Vec<u32> = (1..facts.rows(table::Symbols)).collect();
    rows.sort_by_key(|&row| (facts.get(col::SYM_LINE, row), facts.get(col::SYM_START, row)));
    let show = |row: &u32| {
        let kind = SymbolKind::from_u32(facts.get(col::SYM_KIND, *row)).name();
        let bits = facts.get(col::SYM_FLAGS, *row);
        let flags: String = symbol_flag::NAMES
            .iter()
            .enumerate()
            .filter(|(bit, _)| bits >> bit & 1 != 0)
            .map(|(_, name)| format!(" +{name}"))
            .collect();
        format!("{} {kind} {}{flags}", facts.get(col::SYM_LINE, *row), facts.qualname(*row))
    };
    rows.iter().map(show).collect()
}

/// Kind and name of a scope: `function f`, `comprehension of f`.
fn scope(facts: &Facts<'_>, scope: u32) -> String {
    let kind = ScopeKind::from_u32(facts.get(col::SCO_KIND, scope));
    let symbol = facts.get(col::SCO_SYM, scope);
    match (kind, symbol) {
        (_, 0) => kind.name().to_owned(),
        _ => format!("{} {}", kind.name(), facts.qualname(symbol)),
    }
}

/// Bindings: scope, name, kinds with what they are bound to.
fn bindings(facts: &Facts<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    for number in 0..facts.rows(table::Scopes) {
        let mut names: Vec<(&str, String)> = Vec::new();
        for row in facts.bindings_of(number) {
            let (kind, target) = (facts.get(col::BIN_KIND, row), facts.get(col::BIN_TARGET, row));
            let may = if kind & BINDING_CONDITIONAL == 0 { "" } else { "?" };
            let kind = BindingKind::from_u32(kind & !(BINDING_CONDITIONAL | BINDING_LAST));
            let shown = match (kind, target) {
                (BindingKind::Variable, _) => continue,
                (BindingKind::Value, 0) => "value".to_owned(),
                (BindingKind::Value, value) => access_path(facts, value - 1),
                _ => kind.name().to_owned(),
            };
            let name = facts.str(col::BIN_NAME, row);
            if name.starts_with("<lambda@") {
                continue;
            }
            match names.last_mut().filter(|last| last.0 == name) {
                Some(last) => last.1 += &format!(", {shown}{may}"),
                None => names.push((name, format!("{shown}{may}"))),
            }
        }
        names.sort_unstable();
        lines.extend(names.iter().map(|(name, kinds)| format!("{}: {name} = {kinds}", scope(facts, number))));
    }
    lines
}

/// Names used: `name in scope -> scope that binds it`.
fn uses(facts: &Facts<'_>) -> Vec<String> {
    let name = |row: &u32| {
        facts.get(col::REF_KIND, *row) == RefKind::Name as u32
            && !facts.str(col::REF_NAME, *row).starts_with('<')
    };
    let show = |row: u32| {
        let binder = facts.opt(col::REF_BASE, row).and_then(|binding| {
            (0..facts.rows(table::Scopes)).find(|&number| facts.bindings_of(number).contains(&binding))
        });
        let binder = binder.map_or("nowhere".to_owned(), |binder| scope(facts, binder));
        format!(
            "{} in {} -> {binder}",
            facts.str(col::REF_NAME, row),
            scope(facts, facts.get(col::REF_SCOPE, row))
        )
    };
    let mut lines: Vec<String> = (0..facts.rows(table::Refs)).filter(name).map(show).collect();
    lines.sort_unstable();
    lines
}
