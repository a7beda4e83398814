//! What is known of every file after its turn. A row a file is what remains of a run until its end, so that of a large tree the
//! rows go to a file, in the order in which files were done, and are put in the order of paths when all are.

use super::files::{Facts, Known};
use crate::cache::{ContentHash, FactKey};
use crate::model::facts::{self, table};
use crate::sync::locked;
use crate::sys::{Column, Scratch, Table};
use std::sync::{Arc, Mutex, PoisonError};

/// What is asked of facts again and again, noted while they are at hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shape {
    /// Number of symbols; 1 for a skipped file.
    pub(super) symbols: u32,
    /// It has syntax errors.
    pub(super) errors: bool,
}

impl Shape {
    /// That of a file without facts.
    pub(super) const NONE: Self = Self { symbols: 1, errors: false };

    pub(super) fn of(block: &[u8]) -> Self {
        let rows = |facts: facts::Facts<'_>| Self {
            symbols: facts.rows(table::Symbols),
            errors: facts.rows(table::Errors) > 0,
        };
        facts::Facts::open(block).map_or(Self::NONE, rows)
    }
}

/// What of a file is a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) facts_hash: [u8; 32],
    pub(super) key: FactKey,
    pub(super) content: ContentHash,
    pub(super) metadata_hash: u64,
    pub(super) size: u64,
    pub(super) created: u64,
    pub(super) parse_us: u32,
    pub(super) shape: Shape,
    /// The facts were made in an earlier run.
    pub(super) cached: bool,
}

type Hashes = [[u8; 32]; 3];
type Numbers = [u64; 5];

const CACHED: u64 = 1;
const ERRORS: u64 = 2;

impl Row {
    fn of(known: &Known) -> Self {
        Self {
            facts_hash: known.facts_hash,
            key: known.key,
            content: known.content,
            metadata_hash: known.stat.metadata_hash(),
            size: known.stat.size,
            created: known.created,
            parse_us: known.parse_us,
            shape: known.shape,
            cached: known.cached,
        }
    }

    fn split(&self) -> (Hashes, Numbers) {
        let flags = if self.cached { CACHED } else { 0 } | if self.shape.errors { ERRORS } else { 0 };
        let counts = u64::from(self.parse_us) << 32 | u64::from(self.shape.symbols);
        let hashes = [self.facts_hash, self.key.0, self.content.0];
        (hashes, [self.metadata_hash, self.size, self.created, counts, flags])
    }

    fn join(
        [facts_hash, key, content]: Hashes,
        [metadata_hash, size, created, counts, flags]: Numbers,
    ) -> Self {
        Self {
            facts_hash,
            key: FactKey(key),
            content: ContentHash(content),
            metadata_hash,
            size,
            created,
            parse_us: (counts >> 32) as u32,
            shape: Shape { symbols: counts as u32, errors: flags & ERRORS != 0 },
            cached: flags & CACHED != 0,
        }
    }
}

struct Rows {
    facts: Vec<Option<Facts>>,
    /// Row of each file +1.
    places: Vec<u32>,
    hashes: Column<Hashes>,
    numbers: Column<Numbers>,
}

/// Takes down what becomes known, from any thread.
pub(super) struct Ledger {
    rows: Mutex<Rows>,
    scratch: Arc<Scratch>,
}

impl Ledger {
    /// For so many files.
    pub(super) fn new(files: usize, scratch: &Arc<Scratch>) -> Self {
        let mut facts = Vec::new();
        facts.resize_with(files, || None);
        let (hashes, numbers) = (Column::new(scratch), Column::new(scratch));
        let rows = Mutex::new(Rows { facts, places: vec![0; files], hashes, numbers });
        Self { rows, scratch: Arc::clone(scratch) }
    }

    /// Notes what is known of a file.
    pub(super) fn put(&self, file: u32, known: Known) {
        let (hashes, numbers) = Row::of(&known).split();
        let mut rows = locked(&self.rows);
        rows.hashes.push(hashes);
        rows.numbers.push(numbers);
        rows.places[file as usize] = rows.numbers.len() as u32;
        rows.facts[file as usize] = Some(known.facts);
    }

    /// Everything, by file. A file whose turn never came is skipped.
    pub(super) fn close(self) -> Settled {
        let Rows { facts, places, hashes, numbers } =
            self.rows.into_inner().unwrap_or_else(PoisonError::into_inner);
        let in_order = places.iter().zip(1..).all(|(&place, number)| place == number);
        let missing = || Facts::Skipped("not reached".to_owned());
        let facts = facts.into_iter().map(|facts| facts.unwrap_or_else(missing)).collect();
        let (hashes, numbers) = (hashes.finish(), numbers.finish());
        if in_order {
            return Settled { facts, hashes, numbers };
        }
        let (mut sorted, mut counts) = (Column::new(&self.scratch), Column::new(&self.scratch));
        for place in places {
            let row = place.checked_sub(1).map(|row| row as usize);
            sorted.push(row.map_or([[0; 32]; 3], |row| hashes[row]));
            counts.push(row.map_or([0, 0, 0, 1, 0], |row| numbers[row]));
        }
        Settled { facts, hashes: sorted.finish(), numbers: counts.finish() }
    }
}

/// What is known of all files, by number.
pub(super) struct Settled {
    facts: Vec<Facts>,
    hashes: Table<Hashes>,
    numbers: Table<Numbers>,
}

impl Settled {
    /// Where the facts of a file are.
    pub(super) fn facts(&self, file: u32) -> &Facts {
        &self.facts[file as usize]
    }

    /// The rest of what is known of it.
    pub(super) fn row(&self, file: u32) -> Row {
        Row::join(self.hashes[file as usize], self.numbers[file as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::skipped;
    use super::*;
    use crate::walk::Stat;

    #[test]
    fn rows_come_back_by_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let spilled = Scratch::new(Some(folder.path().to_owned()), 0);
        for (scratch, count) in [(Scratch::none(), 50), (spilled, 5000)] {
            let known = |file: u32| Known {
                facts: Facts::Kept(file),
                facts_hash: [file as u8; 32],
                parse_us: file,
                shape: Shape { symbols: file + 7, errors: file.is_multiple_of(3) },
                cached: file.is_multiple_of(2),
                ..skipped(Stat { size: file.into(), ..Stat::default() }, String::new())
            };
            let ledger = Ledger::new(count as usize + 1, &scratch);
            (0..count).rev().for_each(|file| ledger.put(file, known(file)));
            let settled = ledger.close();
            for file in 0..count {
                assert_eq!(settled.row(file), Row::of(&known(file)));
                assert!(matches!(settled.facts(file), Facts::Kept(number) if *number == file));
            }
            assert!(matches!(settled.facts(count), Facts::Skipped(_)));
            assert_eq!(settled.row(count).shape, Shape::NONE);
        }
    }
}
