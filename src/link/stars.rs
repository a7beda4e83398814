//! Which star imports of a module may bring a name, so that a look-up need not ask each of them.

use super::imports::Targets;
use super::modules::Found;
use super::{FileInput, Touched, touch};
use crate::model::facts::{col, table};
use crate::model::name;
use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

/// For a module with star imports: import rows that may bring a name with this hash, in source order.
pub(crate) type StarIndex = FxHashMap<u32, SmallVec<[u32; 2]>>;

/// Star imports of `file`: import row and module.
fn stars(files: &[FileInput<'_>], imports: &[Targets], file: u32) -> SmallVec<[(u32, u32); 2]> {
    let Some(facts) = &files[file as usize].facts else { return SmallVec::new() };
    facts
        .lookup(0, b"", name::hash(b""))
        .filter_map(|row| {
            let row = facts.get(col::BIN_TARGET, row);
            match imports[file as usize].get(row as usize)?.module {
                Some(Found::File(from)) if from != file => Some((row, from)),
                _ => None,
            }
        })
        .collect()
}

/// The index of each module that has star imports. `beside` gives the stub of a source and the other way round.
pub(crate) fn index(
    files: &[FileInput<'_>],
    imports: &[Targets],
    beside: &FxHashMap<u32, u32>,
    touched: Touched<'_>,
) -> Vec<Option<Box<StarIndex>>> {
    let direct: Vec<SmallVec<[(u32, u32); 2]>> = (0..files.len() as u32)
        .map(|file| {
            touch(&files[file as usize], touched);
            stars(files, imports, file)
        })
        .collect();
    (0..files.len())
        .into_par_iter()
        .with_min_len(64)
        .map(|file| {
            if direct[file].is_empty() {
                return None;
            }
            let mut index = StarIndex::default();
            for &(row, from) in &direct[file] {
                let (mut seen, mut open) = (FxHashSet::default(), vec![from]);
                while let Some(module) = open.pop() {
                    if !seen.insert(module) {
                        continue;
                    }
                    open.extend(direct[module as usize].iter().map(|star| star.1));
                    open.extend(beside.get(&module));
                    touch(&files[module as usize], touched);
                    let Some(facts) = &files[module as usize].facts else { continue };
                    if facts.rows(table::Scopes) == 0 {
                        continue;
                    }
                    let mut last = None;
                    for binding in facts.bindings_of(0) {
                        let string = facts.get(col::BIN_NAME, binding);
                        if string != 0 && last != Some(string) {
                            let rows = index.entry(facts.get(col::STR_HASH, string)).or_default();
                            if rows.last() != Some(&row) {
                                rows.push(row);
                            }
                        }
                        last = Some(string);
                    }
                }
            }
            Some(Box::new(index))
        })
        .collect()
}
