//! Blocks of bytes that are made in one phase and read in the next: on the heap up to a limit, beyond it in a file that has
//! no name and is mapped when it is read.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use super::{Bytes, Table};
use crate::sync::locked;

/// A block that a [`Spill`] keeps.
#[derive(Debug)]
pub enum Block {
    /// On the heap.
    Heap(Vec<u8>),
    /// In a file of its own, where it was made.
    Mapped(Arc<memmap2::Mmap>),
    /// In a file of its own.
    Apart(Box<Table<u8>>),
    /// In the file.
    File {
        /// First byte.
        at: u64,
        /// Number of bytes.
        len: usize,
    },
}

impl Block {
    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Heap(bytes) => bytes.len(),
            Self::Mapped(map) => map.len(),
            Self::Apart(table) => table.len(),
            Self::File { len, .. } => *len,
        }
    }

    /// True without bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[derive(Debug)]
enum Read {
    Mapped(memmap2::Mmap),
    /// Where the file can't be mapped.
    Copied(Vec<u8>),
}

/// Keeps blocks. From any thread; blocks in the file are there for whoever made the last call of [`Spill::keep`] and
/// calls [`Spill::get`] after it.
#[derive(Debug)]
pub struct Spill {
    /// Where the file is made; nowhere means that all blocks stay on the heap.
    folder: Option<PathBuf>,
    /// Bytes on the heap.
    limit: u64,
    held: AtomicU64,
    /// Set: nothing more goes to the heap, whatever it holds.
    full: AtomicBool,
    /// Set: nothing more goes to the file.
    closed: AtomicBool,
    file: OnceLock<Option<File>>,
    end: AtomicU64,
    blocks: AtomicU64,
    /// Bytes of blocks with files of their own.
    apart: AtomicU64,
    read: OnceLock<Read>,
    /// Blocks with files of their own.
    maps: Mutex<Vec<Arc<memmap2::Mmap>>>,
    trouble: Mutex<Option<io::Error>>,
}

impl Spill {
    /// Keeps `limit` bytes on the heap, and the rest in a file in `folder` that exists while this does.
    #[must_use]
    pub fn new(folder: Option<PathBuf>, limit: u64) -> Self {
        Self {
            closed: AtomicBool::new(folder.is_none()),
            folder,
            limit,
            held: AtomicU64::new(0),
            full: AtomicBool::new(false),
            file: OnceLock::new(),
            end: AtomicU64::new(0),
            blocks: AtomicU64::new(0),
            apart: AtomicU64::new(0),
            read: OnceLock::new(),
            maps: Mutex::default(),
            trouble: Mutex::new(None),
        }
    }

    /// Keeps everything on the heap.
    #[must_use]
    pub fn none() -> Self {
        Self::new(None, u64::MAX)
    }

    /// With this file for what is beyond `limit`.
    #[cfg(test)]
    pub(crate) fn into(file: File, limit: u64) -> Self {
        let spill = Self { file: OnceLock::from(Some(file)), ..Self::new(None, limit) };
        spill.closed.store(false, Ordering::Relaxed);
        spill
    }

    /// Keeps a block; one that is not on the heap as it is. What can't be written to the file stays on the heap;
    /// [`Spill::trouble`] then says why.
    pub fn keep(&self, bytes: impl Into<Bytes>) -> Block {
        match bytes.into() {
            Bytes::Heap(bytes) => self.keep_heap(bytes),
            Bytes::Mapped(mapped) => self.keep_map(mapped.into_map()),
        }
    }

    fn keep_map(&self, map: Arc<memmap2::Mmap>) -> Block {
        self.blocks.fetch_add(1, Ordering::Relaxed);
        self.apart.fetch_add(map.len() as u64, Ordering::Relaxed);
        super::release(&map);
        locked(&self.maps).push(Arc::clone(&map));
        Block::Mapped(map)
    }

    fn keep_heap(&self, bytes: Vec<u8>) -> Block {
        let len = bytes.len() as u64;
        let held = self.held.fetch_add(len, Ordering::Relaxed) + len;
        let fits = held <= self.limit && !self.full.load(Ordering::Relaxed);
        if fits || bytes.is_empty() || self.closed.load(Ordering::Relaxed) || self.read.get().is_some() {
            return Block::Heap(bytes);
        }
        let Some(at) = self.write(&bytes) else { return Block::Heap(bytes) };
        self.held.fetch_sub(len, Ordering::Relaxed);
        self.blocks.fetch_add(1, Ordering::Relaxed);
        Block::File { at, len: bytes.len() }
    }

    /// Keeps a block that was made by a [`Column`](super::Column): as [`Spill::keep`] where it is on the heap, else as it is.
    pub fn keep_table(&self, block: Table<u8>) -> Block {
        match block.into_heap() {
            Ok(bytes) => self.keep(bytes),
            Err(table) => {
                self.blocks.fetch_add(1, Ordering::Relaxed);
                Block::Apart(Box::new(table))
            }
        }
    }

    fn write(&self, bytes: &[u8]) -> Option<u64> {
        let file = self.file.get_or_init(|| {
            let folder = self.folder.as_ref()?;
            tempfile::tempfile_in(folder).map_err(|error| self.fail(error)).ok()
        });
        let at = self.end.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        file.as_ref()?.write_all_at(bytes, at).map_err(|error| self.fail(error)).ok().map(|()| at)
    }

    fn fail(&self, error: io::Error) {
        self.closed.store(true, Ordering::Relaxed);
        self.note(error);
    }

    /// Notes that something else which should have gone to a file in the same folder did not.
    pub fn note(&self, error: io::Error) {
        locked(&self.trouble).get_or_insert(error);
    }

    /// Sends all further blocks to the file, or not.
    pub fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::Relaxed);
    }

    /// Bytes of a block. Empty where the file, against all that the system promised, can't be read back.
    #[must_use]
    pub fn get<'a>(&'a self, block: &'a Block) -> &'a [u8] {
        match block {
            Block::Heap(bytes) => bytes,
            Block::Mapped(map) => map,
            Block::Apart(table) => table,
            Block::File { at, len } => {
                let all: &[u8] = match self.read.get_or_init(|| self.open()) {
                    Read::Mapped(map) => map,
                    Read::Copied(bytes) => bytes,
                };
                let start = usize::try_from(*at).unwrap_or(usize::MAX);
                all.get(start..start.saturating_add(*len)).unwrap_or_default()
            }
        }
    }

    /// The same, for whoever reads all of the block next.
    #[must_use]
    pub fn fetch<'a>(&'a self, block: &'a Block) -> &'a [u8] {
        let bytes = self.get(block);
        if let (Block::File { at, len }, Some(Read::Mapped(map))) = (block, self.read.get()) {
            super::read_next(map, *at as usize..*at as usize + len);
        }
        bytes
    }

    fn open(&self) -> Read {
        let Some(Some(file)) = self.file.get() else { return Read::Copied(Vec::new()) };
        match super::map(file) {
            Ok(map) => {
                super::read_here_and_there(&map);
                Read::Mapped(map)
            }
            Err(_) => {
                let mut bytes = vec![0; usize::try_from(self.end.load(Ordering::Relaxed)).unwrap_or(0)];
                if let Err(error) = file.read_exact_at(&mut bytes, 0) {
                    self.fail(error);
                    bytes.clear();
                }
                Read::Copied(bytes)
            }
        }
    }

    /// Takes pages of files that were read out of this process.
    pub fn release(&self) {
        locked(&self.maps).iter().for_each(|map| super::release(map));
        if let Some(Read::Mapped(map)) = self.read.get() {
            super::release(map);
        }
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Blocks and bytes in files.
    #[must_use]
    pub fn spilled(&self) -> (u64, u64) {
        let bytes = [&self.end, &self.apart].map(|bytes| bytes.load(Ordering::Relaxed));
        (self.blocks.load(Ordering::Relaxed), bytes[0] + bytes[1])
    }

    /// Why blocks stayed on the heap that should not have, and where the file was or should have been.
    #[must_use]
    pub fn trouble(&self) -> Option<(PathBuf, String)> {
        let trouble = locked(&self.trouble);
        trouble.as_ref().map(|error| (self.folder.clone().unwrap_or_default(), error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks() -> Vec<Vec<u8>> {
        (0..200u32).map(|number| number.to_le_bytes().repeat(number as usize % 7 * 10)).collect()
    }

    fn check(spill: &Spill) {
        let kept: Vec<Block> = std::thread::scope(|scope| {
            let of = |part: usize| {
                blocks().into_iter().skip(part).step_by(2).map(|block| spill.keep(block)).collect()
            };
            let other = scope.spawn(move || -> Vec<Block> { of(1) });
            let first: Vec<Block> = of(0);
            let second = other.join().expect("no panic");
            first.into_iter().zip(second).flat_map(|(a, b)| [a, b]).collect()
        });
        for (kept, block) in kept.iter().zip(blocks()) {
            assert_eq!(spill.get(kept), block);
        }
    }

    #[test]
    fn blocks_come_back_from_heap_and_file() {
        let all: usize = blocks().iter().map(Vec::len).sum();
        let folder = tempfile::tempdir().expect("a folder");
        for limit in [0, 1000, all as u64 / 2, u64::MAX] {
            let spill = Spill::new(Some(folder.path().to_owned()), limit);
            check(&spill);
            assert_eq!(spill.held() + spill.spilled().1, all as u64, "{limit}");
            assert!(spill.held() <= limit && spill.trouble().is_none());
            assert_eq!(
                std::fs::read_dir(folder.path()).expect("a folder").count(),
                0,
                "the file has no name"
            );
        }
        check(&Spill::none());
    }

    #[test]
    fn a_full_heap_is_full_from_then_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let spill = Spill::new(Some(folder.path().to_owned()), u64::MAX);
        let first = spill.keep(vec![1; 10]);
        spill.set_full(true);
        let second = spill.keep(vec![2; 10]);
        assert!(matches!(&first, Block::Heap(bytes) if bytes == &[1; 10]));
        assert!(matches!(second, Block::File { at: 0, len: 10 }));
        assert_eq!(spill.get(&second), [2; 10]);
        // What comes after the first read would lie beyond the map.
        assert!(matches!(spill.keep(vec![3; 10]), Block::Heap(_)));
        // It has a map of its own.
        let mut third = super::super::BytesWriter::new(Some(folder.path()), 0);
        io::Write::write_all(&mut third, &[4; 10]).expect("room");
        let third = spill.keep(third.finish().expect("bytes"));
        assert!(matches!(third, Block::Mapped(_)));
        spill.release();
        assert_eq!((spill.get(&third), spill.spilled()), (&[4; 10][..], (2, 20)));
    }

    #[test]
    fn a_full_disk_leaves_blocks_on_the_heap() {
        let full = File::options().write(true).open("/dev/full").expect("the device");
        let spill = Spill::into(full, 100);
        check(&spill);
        assert_eq!(spill.spilled().0, 0);
        let (_, message) = spill.trouble().expect("the disk is full");
        assert!(message.contains("No space left"), "{message}");
        let nowhere = Spill::new(Some("/nowhere/at/all".into()), 0);
        check(&nowhere);
        assert!(nowhere.trouble().is_some());
    }
}
