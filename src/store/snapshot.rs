//! The snapshot: a linked graph in one file, memory-mapped by whoever asks it.
//!
//! Never rewritten in place; a new generation gets a new name. It holds the facts of every file as the cache has them,
//! uncompressed, so that a relink opens packs only for what changed.
//!
//! Layout (little-endian): header (magic, version, key, digest, number of files, place and checksum of the small
//! sections, checksum of the header), facts and links of all files, then meta (JSON), file rows, strings. Each block
//! has its own checksum in its file's row, looked at on first use.

use crate::cache::FactKey;
use crate::link::links::Links;
use crate::link::{Linked, Summary, Touched};
use crate::model::facts::{Facts, col, table};
use crate::model::source::FileKind;
use crate::sync::locked;
use crate::sys::open_regular;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};
use xxhash_rust::xxh3::xxh3_64;

const MAGIC: &[u8; 8] = b"PYDBSNAP";
const VERSION: u32 = 3;
const HEADER: usize = 8 + 4 + 4 + 32 + 32 + 3 * 24 + 8;
const ROW: usize = 136;

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FileStatus {
    /// All of it is in the graph.
    Complete = 0,
    /// Syntax errors; the rest is in the graph.
    Partial = 1,
    /// Not in the graph; the reason is in [`Meta::skipped`].
    Skipped = 2,
}

impl FileStatus {
    /// Name in outputs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Partial => "partial",
            Self::Skipped => "skipped",
        }
    }
}

/// The files of a snapshot that is written, sorted by path.
pub trait Entries: Sync {
    /// Number of files.
    fn len(&self) -> usize;

    /// True without files.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// File number `index`.
    fn entry(&self, index: usize) -> FileEntry<'_>;

    /// Is told that the facts of file number `index` are read next.
    fn fetch(&self, _index: usize) {}
}

impl<const N: usize> Entries for [FileEntry<'_>; N] {
    fn len(&self) -> usize {
        N
    }

    fn entry(&self, index: usize) -> FileEntry<'_> {
        self[index]
    }
}

/// One file as it goes into a snapshot.
#[derive(Clone, Copy, Debug)]
pub struct FileEntry<'a> {
    /// Relative to the root.
    pub path: &'a str,
    /// Source or stub.
    pub kind: FileKind,
    /// What became of it.
    pub status: FileStatus,
    /// Where its facts are in the cache.
    pub key: FactKey,
    /// Its facts, empty for a skipped file.
    pub facts: &'a [u8],
    /// BLAKE2bp-256 of the facts.
    pub facts_hash: [u8; 32],
    /// Size of the source, bytes.
    pub size: u64,
    /// What parsing took when the facts were made, microseconds.
    pub parse_us: u32,
}

/// What a report needs without walking the graph.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Meta {
    /// Project name.
    pub project: String,
    /// Source roots relative to the analyzed root; the analyzed root itself is empty.
    pub roots: Vec<String>,
    /// Totals.
    pub summary: Summary,
    /// Skipped files and places that the walk left out: path and reason.
    pub skipped: Vec<(String, String)>,
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(bytes);
}

/// Where a snapshot is written, from several threads at once.
pub trait Sink: Sync {
    /// Writes `bytes` at `offset`.
    ///
    /// # Errors
    /// Those of the medium.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
}

impl Sink for File {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(self, bytes, offset)
    }
}

impl Sink for Mutex<Vec<u8>> {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut all = locked(self);
        let (start, end) = (offset as usize, offset as usize + bytes.len());
        if all.len() < end {
            all.resize(end, 0);
        }
        all[start..end].copy_from_slice(bytes);
        Ok(())
    }
}

/// Bytes that one call writes at least, where there are as many.
const WRITE: usize = 1 << 20;
/// Runs of files of about so many bytes that are written between two looks at their checksums.
const RUNS: usize = 64;

/// A section that is written piece by piece.
struct Section<'s> {
    out: &'s dyn Sink,
    start: u64,
    /// Bytes that were handed in.
    len: u64,
    waiting: Vec<u8>,
    sum: xxhash_rust::xxh3::Xxh3,
}

impl<'s> Section<'s> {
    fn new(out: &'s dyn Sink, start: u64) -> Self {
        Self { out, start, len: 0, waiting: Vec::new(), sum: xxhash_rust::xxh3::Xxh3::new() }
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        put(&mut self.waiting, bytes);
        self.len += bytes.len() as u64;
        if self.waiting.len() >= WRITE { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> io::Result<()> {
        self.sum.update(&self.waiting);
        self.out.write_at(&self.waiting, self.start + self.len - self.waiting.len() as u64)?;
        self.waiting.clear();
        Ok(())
    }

    /// Writes what is left. What the header says of the section goes to `header`.
    fn finish(mut self, header: &mut Vec<u8>) -> io::Result<()> {
        self.write()?;
        put(header, &self.start.to_le_bytes());
        put(header, &self.len.to_le_bytes());
        put(header, &self.sum.digest().to_le_bytes());
        Ok(())
    }
}

/// What is known of the blocks of a file once they are written.
struct Written {
    facts_sum: u64,
    links_sum: u64,
    errors: bool,
}

/// Files that are written together, and where.
struct Run {
    files: std::ops::Range<usize>,
    at: u64,
}

/// Runs of files, of at least [`WRITE`] bytes each but for the last, and where they end.
fn runs(files: &dyn Entries, linked: &Linked) -> (Vec<Run>, u64) {
    let (mut runs, mut first, mut start) = (Vec::new(), 0, HEADER as u64);
    let mut at = start;
    for index in 0..files.len() {
        at += (files.entry(index).facts.len() + linked.links.size(index)) as u64;
        if at - start >= WRITE as u64 || index + 1 == files.len() {
            runs.push(Run { files: first..index + 1, at: start });
            (first, start) = (index + 1, at);
        }
    }
    (runs, at)
}

/// Writes the blocks of a run of files.
fn write_run(
    out: &dyn Sink,
    files: &dyn Entries,
    linked: &Linked,
    run: &Run,
    touched: Touched<'_>,
) -> io::Result<Vec<Written>> {
    let mut bytes = Vec::with_capacity(WRITE + WRITE / 4);
    let (mut written, mut at) = (Vec::with_capacity(run.files.len()), run.at);
    for index in run.files.clone() {
        files.fetch(index);
        let (facts, links) = (files.entry(index).facts, linked.links.fetch(index));
        let (facts_sum, links_sum) = (xxh3_64(facts), xxh3_64(links));
        written.push(Written { facts_sum, links_sum, errors: has_errors(facts) });
        for block in [facts, links] {
            // What is large is not copied first.
            if block.len() >= WRITE {
                out.write_at(&bytes, at)?;
                at += bytes.len() as u64;
                bytes.clear();
                out.write_at(block, at)?;
                at += block.len() as u64;
            } else {
                put(&mut bytes, block);
            }
        }
    }
    out.write_at(&bytes, at)?;
    touched((at - run.at) as usize + bytes.len());
    Ok(written)
}

/// Writes a snapshot, on the threads of the current pool.
///
/// # Errors
/// Those of the sink.
pub fn write(
    out: &dyn Sink,
    key: &[u8; 32],
    files: &dyn Entries,
    linked: &Linked,
    meta: &Meta,
    touched: Touched<'_>,
) -> io::Result<()> {
    let (runs, end) = runs(files, linked);
    let meta_json = serde_json::to_vec(meta)?;
    let mut meta = Section::new(out, end);
    meta.put(&meta_json)?;
    let mut rows = Section::new(out, meta.start + meta.len);
    let mut strings = Section::new(out, rows.start + (files.len() * ROW) as u64);
    for runs in runs.chunks(RUNS) {
        let written = runs
            .par_iter()
            .with_max_len(1)
            .map(|run| write_run(out, files, linked, run, touched))
            .collect::<io::Result<Vec<_>>>()?;
        for (run, written) in runs.iter().zip(written) {
            let mut at = run.at;
            for (index, written) in run.files.clone().zip(written) {
                let file = files.entry(index);
                strings.put(file.path.as_bytes())?;
                let path_end = strings.len as u32;
                strings.put(linked.modules.get(index).as_bytes())?;
                let ends = [path_end, strings.len as u32];
                rows.put(&row(&file, index, ends, at, linked, &written))?;
                at += (file.facts.len() + linked.links.size(index)) as u64;
            }
        }
    }
    let mut header = Vec::with_capacity(HEADER);
    put(&mut header, MAGIC);
    put(&mut header, &VERSION.to_le_bytes());
    put(&mut header, &(files.len() as u32).to_le_bytes());
    put(&mut header, key);
    put(&mut header, &linked.digest);
    for section in [meta, rows, strings] {
        section.finish(&mut header)?;
    }
    let sum = xxh3_64(&header);
    put(&mut header, &sum.to_le_bytes());
    out.write_at(&header, 0)
}

/// The row of a file whose blocks are at `at`. `ends`: those of its path and of its module's name.
fn row(
    file: &FileEntry<'_>,
    index: usize,
    ends: [u32; 2],
    at: u64,
    linked: &Linked,
    written: &Written,
) -> Vec<u8> {
    let mut row = Vec::with_capacity(ROW);
    ends.iter().for_each(|end| put(&mut row, &end.to_le_bytes()));
    put(&mut row, &[file.kind as u8, file.status as u8, u8::from(written.errors), 0]);
    put(&mut row, &linked.symbol_base[index].to_le_bytes());
    put(&mut row, &at.to_le_bytes());
    put(&mut row, &(file.facts.len() as u32).to_le_bytes());
    put(&mut row, &(linked.links.size(index) as u32).to_le_bytes());
    put(&mut row, &file.size.to_le_bytes());
    put(&mut row, &file.parse_us.to_le_bytes());
    put(&mut row, &linked.roots[index].to_le_bytes());
    put(&mut row, &[0; 2]);
    put(&mut row, &file.key.0);
    put(&mut row, &file.facts_hash);
    put(&mut row, &written.facts_sum.to_le_bytes());
    put(&mut row, &written.links_sum.to_le_bytes());
    put(&mut row, &[0; 8]);
    row
}

fn has_errors(facts: &[u8]) -> bool {
    Facts::open(facts).is_some_and(|facts| facts.rows(table::Errors) > 0)
}

/// Bytes of a snapshot of which what is read is asked for block by block: the system's guesses would evict what is needed next.
const LARGE: usize = 256 << 20;

#[derive(Debug)]
enum Bytes {
    Mapped(memmap2::Mmap),
    Owned(Vec<u8>),
}

impl Bytes {
    fn get(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Owned(bytes) => bytes,
        }
    }

    /// Says that these bytes are read next.
    fn read_next(&self, range: std::ops::Range<usize>) {
        if let Self::Mapped(map) = self
            && map.len() >= LARGE
            && range.end <= map.len()
        {
            crate::sys::read_next(map, range);
        }
    }
}

/// A linked code graph: modules, symbols, imports, call sites and the edges between them. Read in place from its
/// snapshot; every accessor is bounds-checked and every block verified on first use.
#[derive(Debug)]
pub struct CodeGraph {
    bytes: Bytes,
    meta: Meta,
    count: u32,
    rows: std::ops::Range<usize>,
    strings: std::ops::Range<usize>,
    /// Per file: 0 not looked at, 1 right, 2 damaged.
    checked: Vec<AtomicU8>,
}

/// Why a snapshot can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It could not be read.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It is no snapshot of this version.
    #[error("is a snapshot of another version")]
    Version,
    /// A checksum is wrong.
    #[error("is damaged")]
    Damaged,
}

impl CodeGraph {
    /// Maps the snapshot at `path`.
    ///
    /// # Errors
    /// [`SnapshotError`]: it is then as good as absent.
    pub fn open(path: &Path) -> Result<Self, SnapshotError> {
        Self::from_file(&open_regular(path)?)
    }

    /// Maps a snapshot.
    ///
    /// # Errors
    /// As [`CodeGraph::open`].
    pub fn from_file(file: &File) -> Result<Self, SnapshotError> {
        if file.metadata()?.len() < HEADER as u64 {
            return Err(SnapshotError::Damaged);
        }
        let map = crate::sys::map(file)?;
        if map.len() >= LARGE {
            crate::sys::read_here_and_there(&map);
        }
        Self::new(Bytes::Mapped(map))
    }

    /// Takes pages of the snapshot that were read out of this process.
    pub(crate) fn release(&self) {
        if let Bytes::Mapped(map) = &self.bytes {
            crate::sys::release(map);
        }
    }

    /// A graph kept in memory alone.
    ///
    /// # Errors
    /// As [`CodeGraph::open`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, SnapshotError> {
        Self::new(Bytes::Owned(bytes))
    }

    fn new(bytes: Bytes) -> Result<Self, SnapshotError> {
        let all = bytes.get();
        let header = all.get(..HEADER).ok_or(SnapshotError::Damaged)?;
        if &header[..8] != MAGIC || header[8..12] != VERSION.to_le_bytes() {
            return Err(SnapshotError::Version);
        }
        if u64_at(header, HEADER - 8) != xxh3_64(&header[..HEADER - 8]) {
            return Err(SnapshotError::Damaged);
        }
        let count = u32_at(header, 12);
        let mut sections = [0..0, 0..0, 0..0];
        for (index, section) in sections.iter_mut().enumerate() {
            let at = 80 + 24 * index;
            let (start, len, sum) =
                (u64_at(header, at) as usize, u64_at(header, at + 8) as usize, u64_at(header, at + 16));
            let end = start.checked_add(len).ok_or(SnapshotError::Damaged)?;
            let part = all.get(start..end).ok_or(SnapshotError::Damaged)?;
            let mut found = xxhash_rust::xxh3::Xxh3::new();
            for (piece, at) in part.chunks(WRITE).zip((start..).step_by(WRITE)) {
                bytes.read_next(at..at + piece.len());
                found.update(piece);
            }
            if found.digest() != sum {
                return Err(SnapshotError::Damaged);
            }
            *section = start..end;
        }
        let [meta, rows, strings] = sections;
        if rows.len() != count as usize * ROW {
            return Err(SnapshotError::Damaged);
        }
        let meta = serde_json::from_slice(&all[meta]).map_err(|_| SnapshotError::Damaged)?;
        let checked = (0..count).map(|_| AtomicU8::new(0)).collect();
        Ok(Self { bytes, meta, count, rows, strings, checked })
    }

    /// What the graph was made from: paths, fact keys, versions and settings.
    #[must_use]
    pub fn key(&self) -> [u8; 32] {
        array(self.bytes.get(), 16)
    }

    /// Digest of the whole graph: equal digests, equal graphs.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        array(self.bytes.get(), 48)
    }

    /// Totals and skipped files.
    #[must_use]
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Number of files.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.count
    }

    /// True for a graph without files.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// File number `index`, in order of paths.
    ///
    /// # Panics
    /// When there is no such file.
    #[must_use]
    pub fn file(&self, index: u32) -> GraphFile<'_> {
        let start = self.rows.start + index as usize * ROW;
        let row = &self.bytes.get()[start..start + ROW];
        GraphFile { graph: self, index, row }
    }

    /// All files, in order of paths.
    pub fn files(&self) -> impl ExactSizeIterator<Item = GraphFile<'_>> {
        (0..self.count).map(|index| self.file(index))
    }

    /// The file at `path`.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<GraphFile<'_>> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low.midpoint(high);
            match self.file(middle).path().cmp(path) {
                std::cmp::Ordering::Equal => return Some(self.file(middle)),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// The file of symbol number `symbol` of the project, and the symbol's row there.
    #[must_use]
    pub fn locate(&self, symbol: u32) -> (u32, u32) {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low.midpoint(high);
            if self.file(middle).symbol_base() <= symbol {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let file = low.saturating_sub(1);
        (file, symbol - self.file(file).symbol_base().min(symbol))
    }

    fn string(&self, start: u32, end: u32) -> &str {
        let strings = &self.bytes.get()[self.strings.clone()];
        strings
            .get(start as usize..end as usize)
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .unwrap_or_default()
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut four = [0; 4];
    four.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(four)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(eight)
}

fn array(bytes: &[u8], at: usize) -> [u8; 32] {
    let mut all = [0; 32];
    all.copy_from_slice(&bytes[at..at + 32]);
    all
}

/// One file of a graph.
#[derive(Clone, Copy, Debug)]
pub struct GraphFile<'g> {
    graph: &'g CodeGraph,
    index: u32,
    row: &'g [u8],
}

impl<'g> GraphFile<'g> {
    /// Its number in the graph.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Path relative to the root, escaped.
    #[must_use]
    pub fn path(&self) -> &'g str {
        let start = if self.index == 0 { 0 } else { u32_at(self.graph.file(self.index - 1).row, 4) };
        self.graph.string(start, u32_at(self.row, 0))
    }

    /// Name of its module.
    #[must_use]
    pub fn module(&self) -> &'g str {
        self.graph.string(u32_at(self.row, 0), u32_at(self.row, 4))
    }

    /// Source or stub.
    #[must_use]
    pub fn kind(&self) -> FileKind {
        if self.row[8] == 0 { FileKind::Py } else { FileKind::Pyi }
    }

    /// What became of it.
    #[must_use]
    pub fn status(&self) -> FileStatus {
        match self.row[9] {
            0 => FileStatus::Complete,
            1 => FileStatus::Partial,
            _ => FileStatus::Skipped,
        }
    }

    /// Why it was skipped.
    #[must_use]
    pub fn reason(&self) -> Option<&'g str> {
        let skipped = self.graph.meta.skipped.iter().filter(|_| self.status() == FileStatus::Skipped);
        let mut reasons = skipped.filter(|(path, _)| path == self.path()).map(|(_, reason)| reason.as_str());
        reasons.next()
    }

    /// It has syntax errors.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.row[10] != 0
    }

    /// Number of its first symbol in the project.
    #[must_use]
    pub fn symbol_base(&self) -> u32 {
        u32_at(self.row, 12)
    }

    /// Size of the source, bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        u64_at(self.row, 32)
    }

    /// What parsing took when the facts were made, microseconds.
    #[must_use]
    pub fn parse_us(&self) -> u32 {
        u32_at(self.row, 40)
    }

    /// Source root of its module, relative to the analyzed root; empty for that itself.
    #[must_use]
    pub fn root(&self) -> &'g str {
        let number = u16::from_le_bytes([self.row[44], self.row[45]]);
        self.graph.meta.roots.get(usize::from(number)).map_or("", String::as_str)
    }

    /// Where its facts are in the cache.
    #[must_use]
    pub fn key(&self) -> FactKey {
        FactKey(array(self.row, 48))
    }

    /// Blake2b-256 of its facts.
    #[must_use]
    pub fn facts_hash(&self) -> [u8; 32] {
        array(self.row, 80)
    }

    fn blocks(&self) -> Option<(&'g [u8], &'g [u8])> {
        let start = u64_at(self.row, 16) as usize;
        let facts = start.checked_add(u32_at(self.row, 24) as usize)?;
        let links = facts.checked_add(u32_at(self.row, 28) as usize)?;
        let all = self.graph.bytes.get();
        self.graph.bytes.read_next(start..links);
        let (facts, links) = (all.get(start..facts)?, all.get(facts..links)?);
        let checked = &self.graph.checked[self.index as usize];
        match checked.load(Ordering::Relaxed) {
            0 => {
                let right =
                    xxh3_64(facts) == u64_at(self.row, 112) && xxh3_64(links) == u64_at(self.row, 120);
                checked.store(if right { 1 } else { 2 }, Ordering::Relaxed);
                right.then_some((facts, links))
            }
            1 => Some((facts, links)),
            _ => None,
        }
    }

    /// Bytes of its facts; `None` where they are damaged or the file was skipped.
    #[must_use]
    pub fn facts_bytes(&self) -> Option<&'g [u8]> {
        self.blocks().map(|blocks| blocks.0).filter(|facts| !facts.is_empty())
    }

    /// Its facts; `None` where they are damaged or the file was skipped.
    #[must_use]
    pub fn facts(&self) -> Option<Facts<'g>> {
        self.facts_bytes().and_then(Facts::open)
    }

    /// Bytes of its links; `None` where they are damaged.
    pub(crate) fn links_bytes(&self) -> Option<&'g [u8]> {
        self.blocks().map(|blocks| blocks.1)
    }

    /// Its links; `None` where they are damaged.
    #[must_use]
    pub fn links(&self) -> Option<Links<'g>> {
        self.blocks().and_then(|blocks| Links::open_links(blocks.1))
    }

    /// Its syntax errors: line, column and message.
    pub fn errors(&self) -> Vec<(u32, u32, &'g str)> {
        if !self.has_errors() {
            return Vec::new();
        }
        let Some(facts) = self.facts() else { return Vec::new() };
        (0..facts.rows(table::Errors))
            .map(|row| {
                (
                    facts.get(col::ERR_LINE, row),
                    facts.get(col::ERR_COLUMN, row),
                    facts.str(col::ERR_MESSAGE, row),
                )
            })
            .collect()
    }
}

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
