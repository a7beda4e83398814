//! What the linker remembers while one file is linked: by row where the file is of ordinary size; of a huge one only so much.
//!
//! What was forgotten is worked out again, so that nothing is lost but time. When something is forgotten depends on the
//! file alone, never on memory, so that equal files have equal links.

use crate::sys::{Column, Scratch};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Rows of a table up to which there is a place for each.
const DENSE: u32 = 1 << 19;
/// Entries of a map at which it is emptied.
pub(crate) const MOST: usize = 1 << 18;

/// A value for each row.
#[derive(Debug, Default)]
pub(crate) struct Memo<T> {
    dense: Vec<T>,
    sparse: FxHashMap<u32, T>,
}

impl<T: Copy + Default> Memo<T> {
    /// Forgets everything; expects so many rows.
    pub(crate) fn start(&mut self, rows: u32) {
        self.dense.clear();
        self.sparse.clear();
        if rows <= DENSE {
            self.dense.resize(rows as usize, T::default());
        }
    }

    /// The value of a row, the default where none is remembered.
    #[inline]
    pub(crate) fn get(&self, row: u32) -> T {
        match self.dense.get(row as usize) {
            Some(value) => *value,
            None => self.sparse.get(&row).copied().unwrap_or_default(),
        }
    }

    #[inline]
    pub(crate) fn set(&mut self, row: u32, value: T) {
        match self.dense.get_mut(row as usize) {
            Some(place) => *place = value,
            None => self.set_sparse(row, value),
        }
    }

    #[cold]
    fn set_sparse(&mut self, row: u32, value: T) {
        if self.sparse.len() >= MOST {
            self.sparse.clear();
        }
        self.sparse.insert(row, value);
    }
}

/// A number for each row of a file, 0 where there is none yet. Rows are done in order; a number may be known before its row's turn.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    dense: Vec<u32>,
    /// Of a huge file: those of the rows that are done.
    done: Column<u32>,
    ahead: FxHashMap<u32, u32>,
}

impl Numbers {
    pub(crate) fn start(&mut self, rows: u32, scratch: &Arc<Scratch>) {
        self.dense.clear();
        self.ahead.clear();
        if rows <= DENSE {
            self.done.clear();
            self.dense.resize(rows as usize, 0);
        } else {
            self.done = Column::new(scratch);
        }
    }

    #[inline]
    pub(crate) fn get(&self, row: u32) -> u32 {
        match self.dense.get(row as usize) {
            Some(number) => *number,
            None => self.get_sparse(row),
        }
    }

    #[cold]
    fn get_sparse(&self, row: u32) -> u32 {
        if (row as usize) < self.done.len() {
            return self.done.get(row as usize);
        }
        self.ahead.get(&row).copied().unwrap_or(0)
    }

    #[inline]
    pub(crate) fn set(&mut self, row: u32, number: u32) {
        match self.dense.get_mut(row as usize) {
            Some(place) => *place = number,
            None => self.set_sparse(row, number),
        }
    }

    #[cold]
    fn set_sparse(&mut self, row: u32, number: u32) {
        // What is known ahead of its turn and forgotten is found again then.
        if self.ahead.len() >= 4 * MOST {
            self.ahead.clear();
        }
        if row as usize >= self.done.len() {
            self.ahead.insert(row, number);
        }
    }

    /// To be called for each row, in order, once its number is set.
    #[inline]
    pub(crate) fn close(&mut self, row: u32) {
        if self.dense.is_empty() {
            let number = self.ahead.remove(&row).unwrap_or(0);
            self.done.push(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_a_huge_file_are_those_of_a_small_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let scratch = Scratch::new(Some(folder.path().to_owned()), 0);
        for rows in [1000, DENSE + 1000] {
            let mut numbers = Numbers::default();
            numbers.start(rows, &scratch);
            for row in 0..rows {
                if row.is_multiple_of(7) && row + 5 < rows {
                    numbers.set(row + 5, row);
                }
                if numbers.get(row) == 0 {
                    numbers.set(row, row + 1);
                }
                numbers.close(row);
            }
            let right = |row: u32| if row > 5 && (row - 5).is_multiple_of(7) { row - 5 } else { row + 1 };
            assert!((6..rows).step_by(13).all(|row| numbers.get(row) == right(row)));
        }
    }

    #[test]
    fn a_memo_forgets_only_of_huge_files() {
        for (rows, all) in [(DENSE, true), (2 * DENSE, false)] {
            let mut memo = Memo::<u32>::default();
            memo.start(rows);
            (0..rows).for_each(|row| memo.set(row, row + 1));
            assert!((0..rows).all(|row| [0, row + 1].contains(&memo.get(row))));
            assert_eq!((0..rows).all(|row| memo.get(row) == row + 1), all);
        }
    }
}
