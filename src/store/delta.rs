//! The difference of two graphs as rows: what a store that holds one must do to hold the other.
//!
//! Rows are made only of units that differ. Whether a unit does is seen in its files' facts and links, without making rows: links name symbols by
//! number, and numbers move when a file before them has more symbols than it had, so they are compared by what they were.

use super::GraphFile;
use super::projection::{Outside, Projection, Tables, Unit, append, digest_of};
use super::rows::{Digest, Key, Rows, TableId, identity};
use crate::link::links::{Links, TargetKind, col as lcol, table as ltable};
use crate::model::facts::table;
use rustc_hash::{FxHashMap, FxHashSet};

/// Rows of one table that differ.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Rows as they were that are no more.
    pub removed: Rows,
    /// Rows whose identity is there, with other values: as they are now.
    pub changed: Rows,
    /// New rows.
    pub added: Rows,
}

impl Change {
    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.removed.len() + self.changed.len() + self.added.len()
    }

    /// True without a row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What differs, table by table.
#[derive(Clone, Debug, Default)]
pub struct Delta {
    changes: [Change; 8],
}

impl Delta {
    /// What differs in `table`.
    #[must_use]
    pub fn table(&self, table: TableId) -> &Change {
        &self.changes[table as usize]
    }

    /// Number of rows in all tables.
    #[must_use]
    pub fn len(&self) -> usize {
        self.changes.iter().map(Change::len).sum()
    }

    /// True without a row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The difference of two sets of rows.
    #[must_use]
    pub fn between(old: &Tables, new: &Tables) -> Self {
        let mut delta = Self::default();
        for (at, table) in TableId::ALL.into_iter().enumerate() {
            delta.changes[at] = difference(table, &old[at], &new[at]);
        }
        delta
    }
}

fn difference(table: TableId, old: &Rows, new: &Rows) -> Change {
    let mut change = Change::default();
    let mut before: FxHashMap<&[u8], &[u8]> = old.iter().map(|row| (identity(table, row), row)).collect();
    for row in new.iter() {
        match before.remove(identity(table, row)) {
            None => change.added.push(row),
            Some(same) if same == row => {}
            Some(_) => change.changed.push(row),
        }
    }
    for row in old.iter() {
        if before.contains_key(identity(table, row)) {
            change.removed.push(row);
        }
    }
    change
}

/// The difference of the rows of two graphs of one project. `outside`: digest of the rows that belong to no file, as the store has it; what
/// it is afterwards is in the delta.
#[must_use]
pub fn of_graphs(old: &Projection<'_>, new: &Projection<'_>, outside: Digest) -> Delta {
    let same = Same::new(old, new);
    let mut gone: FxHashMap<&str, &Unit> =
        old.units().iter().map(|unit| (old.code().file(unit.file).path(), unit)).collect();
    let mut made = Vec::new();
    for unit in new.units() {
        let path = new.code().file(unit.file).path();
        if gone.get(path).is_some_and(|other| same.unit(other, unit)) {
            gone.remove(path);
        } else {
            made.push(unit);
        }
    }
    let (mut old_rows, mut new_rows) = (Tables::default(), Tables::default());
    let (mut old_outside, mut new_outside) = (FxHashSet::default(), FxHashSet::default());
    for unit in gone.values() {
        unit_rows(old, unit, &mut old_rows);
        old.outside_of(unit, &mut old_outside);
    }
    for unit in &made {
        unit_rows(new, unit, &mut new_rows);
        new.outside_of(unit, &mut new_outside);
    }
    // What lies outside is there as long as any unit leads to it.
    let mut open: FxHashSet<Outside<'_>> = old_outside.symmetric_difference(&new_outside).copied().collect();
    if !open.is_empty() {
        let made: FxHashSet<u32> = made.iter().map(|unit| unit.file).collect();
        let mut found = FxHashSet::default();
        for unit in new.units().iter().filter(|unit| !made.contains(&unit.file)) {
            found.clear();
            new.outside_of(unit, &mut found);
            open.retain(|name| !found.contains(name));
            if open.is_empty() {
                break;
            }
        }
    }
    let (mut before, mut after) = (Tables::default(), Tables::default());
    old.project_nodes(old_outside.into_iter().filter(|name| open.contains(name)), &mut before);
    old.project_edges(&mut before);
    new.project_nodes(new_outside.into_iter().filter(|name| open.contains(name)), &mut after);
    new.project_edges(&mut after);
    let digest = outside.minus(digest_of(&before)).plus(digest_of(&after));
    let key = new.project_key();
    before[TableId::Owners as usize].row().key(key).key(outside.key()).end();
    after[TableId::Owners as usize].row().key(key).key(digest.key()).end();
    append(&mut old_rows, &before);
    append(&mut new_rows, &after);
    Delta::between(&old_rows, &new_rows)
}

/// All rows of a unit, its digest among them.
pub(crate) fn unit_rows(projection: &Projection<'_>, unit: &Unit, out: &mut Tables) {
    let mut tables = Tables::default();
    projection.nodes(unit, &mut tables);
    projection.details(unit, &mut tables);
    let digest = digest_of(&tables);
    tables[TableId::Owners as usize].row().key(projection.file_key(unit.file)).key(digest.key()).end();
    append(out, &tables);
}

/// What of two graphs is the same.
struct Same<'a, 'g> {
    old: &'a Projection<'g>,
    new: &'a Projection<'g>,
    /// By symbol of the new graph: the one of the old graph with the same key, [`NONE`] where there is none.
    symbols: Vec<u32>,
}

const NONE: u32 = u32::MAX;

impl<'a, 'g> Same<'a, 'g> {
    fn new(old: &'a Projection<'g>, new: &'a Projection<'g>) -> Self {
        let mut symbols = Vec::new();
        for file in new.code().files() {
            let count = file.facts().map_or(1, |facts| facts.rows(table::Symbols));
            symbols.resize(file.symbol_base() as usize, NONE);
            let Some(other) = old.code().find(file.path()) else {
                symbols.extend((0..count).map(|_| NONE));
                continue;
            };
            let base = other.symbol_base();
            let named_alike = other.module() == file.module() && other.root() == file.root();
            if named_alike && other.facts_hash() == file.facts_hash() {
                symbols.extend((0..count).map(|row| base + row));
                continue;
            }
            let (Some(facts), Some(before)) = (file.facts(), other.facts()) else {
                symbols.extend((0..count).map(|row| if row == 0 && named_alike { base } else { NONE }));
                continue;
            };
            let rows = 0..before.rows(table::Symbols);
            let by_key: FxHashMap<Key, u32> =
                rows.rev().map(|row| (old.own_key(&other, &before, row), row)).collect();
            let place = |row| by_key.get(&new.own_key(&file, &facts, row)).map_or(NONE, |row| base + row);
            symbols.extend((0..count).map(place));
        }
        Self { old, new, symbols }
    }

    /// True where two units have the same rows.
    fn unit(&self, before: &Unit, after: &Unit) -> bool {
        let one = |unit: u32| self.old.code().file(unit);
        let other = |unit: u32| self.new.code().file(unit);
        let files = match (before.stub, after.stub) {
            (Some(before), Some(after)) => self.file(&one(before), &other(after)),
            (None, None) => true,
            _ => false,
        };
        files && self.file(&one(before.file), &other(after.file))
    }

    fn file(&self, before: &GraphFile<'_>, after: &GraphFile<'_>) -> bool {
        before.path() == after.path()
            && before.facts_hash() == after.facts_hash()
            && before.status() == after.status()
            && before.kind() == after.kind()
            && before.size() == after.size()
            && before.module() == after.module()
            && before.root() == after.root()
            && before.reason() == after.reason()
            && self.old.container(before) == self.new.container(after)
            && self.links(before, after)
    }

    fn links(&self, before: &GraphFile<'_>, after: &GraphFile<'_>) -> bool {
        let (before, after) = match (before.links(), after.links()) {
            (Some(before), Some(after)) => (before, after),
            (None, None) => return true,
            _ => return false,
        };
        let alike = |one: &Links<'_>, other: &Links<'_>| {
            (0..ltable::COUNT).all(|table| one.rows(table) == other.rows(table))
                && one.after(lcol::TGT_ID) == other.after(lcol::TGT_ID)
        };
        alike(&before, &after)
            && (0..before.rows(ltable::Targets)).all(|row| {
                let ((kind, old), (other_kind, new)) = (before.target(row), after.target(row));
                kind == other_kind
                    && match kind {
                        TargetKind::Symbol => self.symbols.get(new as usize) == Some(&old),
                        TargetKind::External | TargetKind::Builtin | TargetKind::Namespace => old == new,
                    }
            })
    }
}
