//! Which star imports of a module may bring a name, so that a look-up need not ask each of them.

use super::imports::{Row, module_of};
use super::modules::Found;
use super::{Listed, Lists, Project};
use crate::model::facts::{Facts, col, table};
use crate::model::name;
use crate::sys::Scratch;
use rayon::prelude::*;
use rustc_hash::FxHashSet;
use std::sync::Arc;

/// Modules whose indexes are made together.
const TOGETHER: usize = 256;

/// For each module with star imports: hashes of names with the import rows that may bring them, in source order.
#[derive(Debug, Default)]
pub(crate) struct Stars {
    /// The modules, ascending.
    files: Vec<u32>,
    /// For each of them, sorted.
    rows: Listed<[u32; 2]>,
}

/// Star imports of a file: import row and module. `imports`: the modules of its import rows.
pub(crate) fn direct(facts: Option<&Facts<'_>>, imports: &[Row], file: u32) -> Vec<[u32; 2]> {
    let Some(facts) = facts else { return Vec::new() };
    facts
        .lookup(0, b"", name::hash(b""))
        .filter_map(|row| {
            let row = facts.get(col::BIN_TARGET, row);
            match module_of(*imports.get(row as usize)?) {
                Some(Found::File(from)) if from != file => Some([row, from]),
                _ => None,
            }
        })
        .collect()
}

impl Stars {
    /// `direct`: star imports of each file.
    pub(crate) fn new(project: &mut Project<'_>, direct: &Listed<[u32; 2]>, scratch: &Arc<Scratch>) -> Self {
        let files: Vec<u32> = (0..project.files.len()).filter(|&file| !direct.get(file).is_empty()).collect();
        let mut rows = Lists::new(scratch);
        for files in files.chunks(TOGETHER) {
            let indexes: Vec<Vec<[u32; 2]>> =
                files.par_iter().with_max_len(8).map(|&file| index(project, direct, file)).collect();
            indexes.iter().for_each(|index| rows.push(index));
            project.views.tidy();
        }
        Self { files, rows: rows.finish() }
    }

    /// Import rows of `file` that may bring a name with this hash, the last first.
    pub(crate) fn get(&self, file: u32, hash: u32) -> impl Iterator<Item = u32> + '_ {
        let rows = match self.files.binary_search(&file) {
            Ok(at) => self.rows.get(at as u32),
            Err(_) => &[],
        };
        let start = rows.partition_point(|row| row[0] < hash);
        let count = rows[start..].iter().take_while(|row| row[0] == hash).count();
        rows[start..start + count].iter().rev().map(|row| row[1])
    }
}

/// The index of one module that has star imports.
fn index(project: &Project<'_>, direct: &Listed<[u32; 2]>, file: u32) -> Vec<[u32; 2]> {
    let mut index = Vec::new();
    for &[row, from] in direct.get(file) {
        let (mut seen, mut open) = (FxHashSet::default(), vec![from]);
        while let Some(module) = open.pop() {
            if !seen.insert(module) {
                continue;
            }
            open.extend(direct.get(module).iter().map(|star| star[1]));
            open.extend(project.table.beside.get(&module));
            project.touched(module);
            if let Some(facts) = project.facts(module).filter(|facts| facts.rows(table::Scopes) > 0) {
                index.extend(names(facts).map(|hash| [hash, row]));
            }
        }
    }
    index.sort_unstable();
    index.dedup();
    index
}

/// Hashes of the names that a module binds.
fn names<'f>(facts: &'f Facts<'_>) -> impl Iterator<Item = u32> + 'f {
    let mut last = None;
    facts.bindings_of(0).filter_map(move |binding| {
        let string = facts.get(col::BIN_NAME, binding);
        let new = string != 0 && last != Some(string);
        last = Some(string);
        new.then(|| facts.get(col::STR_HASH, string))
    })
}
