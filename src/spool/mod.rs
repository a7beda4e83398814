//! Rows that need not fit in memory: appended to a file without a name, read back through a read-only map, sorted in runs
//! and merged (D. Knuth, *The Art of Computer Programming* 3, 5.4). Must not know what the rows mean.
//!
//! Files are written by plain writes alone: under the limit of a control group, pages that are made dirty through a map cost
//! a hundred times what a write costs, while pages that are only read can be taken away at any time.

mod scratch;
mod sort;

pub use scratch::Scratch;
pub use sort::{Merge, Sorted, Sorter};

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Bytes of a buffer that goes to a file when it is full.
const BUFFER: usize = 256 << 10;

/// Appends bytes to a file, through a buffer.
#[derive(Debug)]
pub struct Appender {
    folder: PathBuf,
    scratch: Option<Scratch>,
    buffer: Vec<u8>,
}

impl Appender {
    /// With a file in `folder`, once the buffer is full.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), scratch: None, buffer: Vec::new() }
    }

    /// Bytes so far.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.scratch.as_ref().map_or(0, Scratch::len) + self.buffer.len() as u64
    }

    /// True where nothing was appended.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends `bytes`.
    ///
    /// # Errors
    /// What the operating system says; what was appended is lost then.
    #[inline]
    pub fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        scratch(&mut self.scratch, &self.folder)?.append(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    /// The bytes, read-only.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn finish(mut self) -> io::Result<Mapped> {
        if self.scratch.is_none() {
            return Ok(Mapped::Heap(self.buffer));
        }
        self.flush()?;
        scratch(&mut self.scratch, &self.folder)?.map()
    }

    /// The file that holds the bytes.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn into_file(mut self) -> io::Result<File> {
        self.flush()?;
        match self.scratch {
            Some(scratch) => Ok(scratch.into_file()),
            None => Ok(Scratch::new(&self.folder)?.into_file()),
        }
    }
}

fn scratch<'a>(file: &'a mut Option<Scratch>, folder: &Path) -> io::Result<&'a mut Scratch> {
    match file {
        Some(file) => Ok(file),
        none => Ok(none.insert(Scratch::new(folder)?)),
    }
}

/// Bytes that are read only.
#[derive(Debug)]
pub enum Mapped {
    /// Few, on the heap.
    Heap(Vec<u8>),
    /// In a file without a name.
    File(memmap2::Mmap),
}

impl Default for Mapped {
    fn default() -> Self {
        Self::Heap(Vec::new())
    }
}

impl std::ops::Deref for Mapped {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Self::Heap(bytes) => bytes,
            Self::File(map) => map,
        }
    }
}

/// Rows of `N` numbers in the order in which they came.
#[derive(Debug)]
pub struct Log<const N: usize> {
    folder: PathBuf,
    scratch: Option<Scratch>,
    rows: Vec<[u32; N]>,
}

impl<const N: usize> Log<N> {
    /// Without rows, and with a file in `folder` once it is needed.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), scratch: None, rows: Vec::new() }
    }

    /// Appends a row.
    ///
    /// # Errors
    /// What the operating system says; what was appended is lost then.
    #[inline]
    pub fn push(&mut self, row: [u32; N]) -> io::Result<()> {
        self.rows.push(row);
        if self.rows.len() >= BUFFER / (4 * N) { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        scratch(&mut self.scratch, &self.folder)?.append(bytemuck::cast_slice(self.rows.as_flattened()))?;
        self.rows.clear();
        Ok(())
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        (self.scratch.as_ref().map_or(0, Scratch::len) / (4 * N as u64)) as usize + self.rows.len()
    }

    /// True without rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows, read-only.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn finish(mut self) -> io::Result<Table<N>> {
        if self.scratch.is_some() {
            self.flush()?;
        }
        let bytes = self.scratch.map_or_else(|| Ok(Mapped::default()), |scratch| scratch.map())?;
        Ok(Table { rows: self.rows, bytes })
    }
}

/// Rows of `N` numbers that are read only.
#[derive(Debug, Default)]
pub struct Table<const N: usize> {
    /// All, or none where they are in a file.
    rows: Vec<[u32; N]>,
    bytes: Mapped,
}

impl<const N: usize> std::ops::Deref for Table<N> {
    type Target = [[u32; N]];
    #[inline]
    fn deref(&self) -> &[[u32; N]] {
        if self.rows.is_empty() { rows_of(&self.bytes) } else { &self.rows }
    }
}

/// The rows in a file, whose map begins where a page does.
#[inline]
fn rows_of<const N: usize>(bytes: &[u8]) -> &[[u32; N]] {
    if bytes.is_empty() {
        return &[];
    }
    let words: &[u32] = bytemuck::cast_slice(bytes);
    words.as_chunks::<N>().0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_in_order() {
        let folder = tempfile::tempdir().expect("a folder");
        for count in [0u32, 1, 1000, 100_000] {
            let mut log = Log::<3>::new(folder.path());
            let mut bytes = Appender::new(folder.path());
            let rows: Vec<[u32; 3]> = (0..count).map(|at| [at, at * 7, !at]).collect();
            rows.iter().try_for_each(|&row| log.push(row)).expect("room");
            rows.iter().try_for_each(|row| bytes.push(&row[0].to_le_bytes())).expect("room");
            assert_eq!(log.len(), rows.len());
            assert_eq!(&*log.finish().expect("a map"), &rows[..]);
            let first: Vec<u8> = rows.iter().flat_map(|row| row[0].to_le_bytes()).collect();
            assert_eq!(&*bytes.finish().expect("a map"), &first[..]);
        }
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "files have no names");
    }

    #[test]
    fn rows_are_sorted_in_runs() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 8
        };
        for (count, run) in [(0, 4), (3, 4), (5000, 4), (5000, 100), (5000, 100_000)] {
            let mut rows: Vec<[u32; 2]> = (0..count).map(|_| [next() % 50, next()]).collect();
            let mut sorter = Sorter::with_run(folder.path(), run);
            rows.iter().try_for_each(|&row| sorter.push(row)).expect("room");
            rows.sort_unstable();
            let sorted = sorter.finish().expect("a map");
            for _ in 0..2 {
                assert_eq!(sorted.merge().collect::<Vec<_>>(), rows, "{count} in runs of {run}");
            }
        }
    }
}
