//! Sorting in runs that fit in memory.

use super::{Mapped, Scratch, rows_of, scratch};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::path::{Path, PathBuf};

/// Bytes of a run.
const RUN: usize = 16 << 20;

/// Takes rows in any order, to be read in ascending order: by the first number, then the second, and so on.
#[derive(Debug)]
pub struct Sorter<const N: usize> {
    folder: PathBuf,
    /// Rows of a run.
    run: usize,
    rows: Vec<[u32; N]>,
    file: Option<Scratch>,
    /// Where each run in the file ends, in rows.
    ends: Vec<usize>,
}

impl<const N: usize> Sorter<N> {
    /// With files in `folder`, if it needs one.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), run: RUN / (4 * N), rows: Vec::new(), file: None, ends: Vec::new() }
    }

    /// With so many rows a run.
    #[cfg(test)]
    pub(super) fn with_run(folder: &Path, run: usize) -> Self {
        Self { run, ..Self::new(folder) }
    }

    /// Takes a row.
    ///
    /// # Errors
    /// What the operating system says.
    #[inline]
    pub fn push(&mut self, row: [u32; N]) -> io::Result<()> {
        self.rows.push(row);
        if self.rows.len() >= self.run { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.rows.sort_unstable();
        scratch(&mut self.file, &self.folder)?.append(bytemuck::cast_slice(self.rows.as_flattened()))?;
        self.ends.push(self.ends.last().unwrap_or(&0) + self.rows.len());
        self.rows.clear();
        Ok(())
    }

    /// All rows.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn finish(mut self) -> io::Result<Sorted<N>> {
        if self.file.is_some() && !self.rows.is_empty() {
            self.flush()?;
        }
        self.rows.sort_unstable();
        let bytes = self.file.as_ref().map_or_else(|| Ok(Mapped::default()), Scratch::map)?;
        if self.file.is_some() {
            self.rows = Vec::new();
        }
        Ok(Sorted { rows: self.rows, bytes, ends: self.ends })
    }
}

/// Sorted rows, which can be read again and again.
#[derive(Debug)]
pub struct Sorted<const N: usize> {
    rows: Vec<[u32; N]>,
    bytes: Mapped,
    ends: Vec<usize>,
}

impl<const N: usize> Sorted<N> {
    /// The rows in ascending order.
    #[must_use]
    pub fn merge(&self) -> Merge<'_, N> {
        let all: &[[u32; N]] = rows_of(&self.bytes);
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let mut runs: Vec<_> = starts.zip(&self.ends).map(|(start, &end)| all[start..end].iter()).collect();
        if self.ends.is_empty() {
            runs.push(self.rows.iter());
        }
        let heap = runs
            .iter_mut()
            .enumerate()
            .filter_map(|(run, rows)| Some(Reverse((*rows.next()?, run))))
            .collect();
        Merge { runs, heap }
    }
}

/// Reads runs in ascending order.
#[derive(Debug)]
pub struct Merge<'a, const N: usize> {
    runs: Vec<std::slice::Iter<'a, [u32; N]>>,
    heap: BinaryHeap<Reverse<([u32; N], usize)>>,
}

impl<const N: usize> Iterator for Merge<'_, N> {
    type Item = [u32; N];

    fn next(&mut self) -> Option<[u32; N]> {
        let mut top = self.heap.peek_mut()?;
        let (row, run) = top.0;
        match self.runs[run].next() {
            Some(&next) => top.0.0 = next,
            None => drop(std::collections::binary_heap::PeekMut::pop(top)),
        }
        Some(row)
    }
}
