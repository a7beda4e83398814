//! A pack: one immutable file of records with its own key index at the end.
//!
//! ```text
//! "PYDBPACK" version:u64 | stored bytes of each record ... | index: one Entry a record |
//! index_offset:u64 count:u64 checksum of the index:16 "PYDBPEND"
//! ```
//! All numbers are little-endian. A pack is written under a temporary name, in one sequential stream, and renamed once it
//! is whole; its name is a hash of its index. Nothing here knows which record is wanted.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use hashbrown::HashTable;
use tempfile::NamedTempFile;

use super::codec::{self, Compressed};
use super::file::temp_in;
use super::hash::{Checksum, FactKey, hex16, wide_checksum, wide_checksum_of};
use crate::sys::{Bytes, BytesWriter, Column, Scratch, open_regular};

const MAGIC: &[u8; 8] = b"PYDBPACK";
const END: &[u8; 8] = b"PYDBPEND";
const VERSION: u64 = 1;
const HEADER: u64 = 16;
const FOOTER: u64 = 8 + 8 + 16 + 8;
const ENTRY: usize = 32 + 4 * 8 + 4 + 4 + 16;
const BUFFER: usize = 1 << 18;
/// Bytes above which a record is not held on the heap.
pub(crate) const LARGE: u64 = 8 << 20;

/// What is recorded beside the facts, outside of anything hashed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordMeta {
    /// What parsing and extracting took, microseconds.
    pub parse_duration_us: u32,
    /// Seconds since 1970.
    pub created: u64,
}

/// Where a record stands in its pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: FactKey,
    pub(crate) offset: u64,
    pub(crate) stored_len: u64,
    pub(crate) raw_len: u64,
    pub(crate) meta: RecordMeta,
    pub(crate) flags: u32,
    pub(crate) checksum: [u8; 16],
}

impl Entry {
    fn write(&self) -> [u8; ENTRY] {
        let mut out = [0; ENTRY];
        out[..32].copy_from_slice(&self.key.0);
        let numbers = [self.offset, self.stored_len, self.raw_len, self.meta.created];
        for (place, number) in out[32..64].chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        out[64..68].copy_from_slice(&self.meta.parse_duration_us.to_le_bytes());
        out[68..72].copy_from_slice(&self.flags.to_le_bytes());
        out[72..].copy_from_slice(&self.checksum);
        out
    }

    fn read(bytes: &[u8; ENTRY]) -> Self {
        let u64_at = |at: usize| u64::from_le_bytes(*bytes[at..].first_chunk().expect("within the entry"));
        let u32_at = |at: usize| u32::from_le_bytes(*bytes[at..].first_chunk().expect("within the entry"));
        Self {
            key: FactKey(*bytes.first_chunk().expect("within the entry")),
            offset: u64_at(32),
            stored_len: u64_at(40),
            raw_len: u64_at(48),
            meta: RecordMeta { created: u64_at(56), parse_duration_us: u32_at(64) },
            flags: u32_at(68),
            checksum: *bytes[72..].first_chunk().expect("within the entry"),
        }
    }
}

/// The length and flags come last, for a streamed record's are known last.
fn seal(checksum: &mut Checksum, raw_len: u64, flags: u32) -> [u8; 16] {
    checksum.update(&raw_len.to_le_bytes()).update(&flags.to_le_bytes()).finish()
}

/// Writes one pack. Dropped before [`PackFile::finish`] it leaves nothing.
pub(crate) struct PackFile {
    out: BufWriter<NamedTempFile>,
    dir: PathBuf,
    at: u64,
    /// As they stand in the index.
    entries: Column<[u8; ENTRY]>,
    /// Entries by key.
    keys: HashTable<u32>,
}

/// Bytes of an index that stay on the heap while a pack is written.
const INDEX: u64 = 8 << 20;

/// A key is a hash by itself.
pub(crate) fn leading(key: &[u8]) -> u64 {
    key.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

impl PackFile {
    pub(crate) fn create(dir: &Path) -> io::Result<Self> {
        let mut out = BufWriter::with_capacity(BUFFER, temp_in(dir)?);
        out.write_all(MAGIC)?;
        out.write_all(&VERSION.to_le_bytes())?;
        let entries = Column::new(&Scratch::new(Some(dir.to_path_buf()), INDEX));
        Ok(Self { out, dir: dir.to_path_buf(), at: HEADER, entries, keys: HashTable::new() })
    }

    fn has(&self, key: &FactKey) -> bool {
        let same = |&at: &u32| self.entries.get(at as usize)[..32] == key.0;
        self.keys.find(leading(&key.0), same).is_some()
    }

    /// False if the key is there already.
    pub(crate) fn append(
        &mut self,
        key: &FactKey,
        record: Compressed<'_>,
        meta: RecordMeta,
        checksum: [u8; 16],
    ) -> io::Result<bool> {
        if self.has(key) {
            return Ok(false);
        }
        self.out.write_all(record.bytes)?;
        self.note(Entry {
            key: *key,
            offset: self.at,
            stored_len: record.bytes.len() as u64,
            raw_len: record.raw_len,
            meta,
            flags: record.flags,
            checksum,
        });
        Ok(true)
    }

    /// Compresses a record that does not fit in memory while it is written. Returns raw and stored lengths in bytes.
    pub(crate) fn append_reader(
        &mut self,
        key: &FactKey,
        raw: &mut dyn Read,
        level: i32,
        meta: RecordMeta,
    ) -> io::Result<Option<(u64, u64)>> {
        if self.has(key) {
            return Ok(None);
        }
        let mut checksum = Checksum::new();
        checksum.update(&key.0);
        let sink = Counting { out: &mut self.out, checksum: &mut checksum, count: 0 };
        let mut encoder = zstd::stream::write::Encoder::new(sink, level)?;
        let raw_len = io::copy(raw, &mut encoder)?;
        let stored_len = encoder.finish()?.count;
        let checksum = seal(&mut checksum, raw_len, 0);
        self.note(Entry { key: *key, offset: self.at, stored_len, raw_len, meta, flags: 0, checksum });
        Ok(Some((raw_len, stored_len)))
    }

    /// Copies a record of another pack, whatever its size. False if the key is there already.
    pub(crate) fn append_from(&mut self, pack: &Pack, entry: &Entry) -> Result<bool, PackError> {
        if entry.stored_len <= LARGE {
            let bytes = pack.stored(entry)?;
            let record = Compressed { raw_len: entry.raw_len, flags: entry.flags, bytes: &bytes };
            return Ok(self.append(&entry.key, record, entry.meta, entry.checksum)?);
        }
        if self.has(&entry.key) {
            return Ok(false);
        }
        pack.section(entry).check()?;
        // What can't be written is this pack's trouble, and no damage of the other.
        let copied = io::copy(&mut pack.section(entry), &mut self.out)?;
        if copied != entry.stored_len {
            return Err(PackError::Io(io::ErrorKind::UnexpectedEof.into()));
        }
        self.note(Entry { offset: self.at, ..*entry });
        Ok(true)
    }

    fn note(&mut self, entry: Entry) {
        self.at += entry.stored_len;
        let Self { keys, entries, .. } = self;
        let again = |&at: &u32| leading(&entries.get(at as usize));
        keys.insert_unique(leading(&entry.key.0), entries.len() as u32, again);
        entries.push(entry.write());
    }

    /// Writes the index and renames. Returns the name and size in bytes, `None` if there is no record.
    pub(crate) fn finish(mut self) -> io::Result<Option<(PathBuf, u64)>> {
        if self.entries.is_empty() {
            return Ok(None);
        }
        let parts = self.entries.runs().map(<[_]>::as_flattened);
        let checksum = wide_checksum_of(&parts);
        let mut footer = Vec::with_capacity(FOOTER as usize);
        footer.extend_from_slice(&self.at.to_le_bytes());
        footer.extend_from_slice(&(self.entries.len() as u64).to_le_bytes());
        footer.extend_from_slice(&checksum);
        footer.extend_from_slice(END);
        let size = self.at + (self.entries.len() * ENTRY) as u64 + FOOTER;
        for part in [parts[0], parts[1], &footer] {
            self.out.write_all(part)?;
        }
        let temp = self.out.into_inner().map_err(io::IntoInnerError::into_error)?;
        let path = self.dir.join(format!("{}.pack", hex16(&checksum)));
        temp.persist(&path).map_err(|error| error.error)?;
        Ok(Some((path, size)))
    }
}

/// The checksum of a record held in memory; computed by the caller's thread, outside of the writer's lock.
pub(crate) fn record_checksum(key: &FactKey, record: &Compressed<'_>) -> [u8; 16] {
    seal(Checksum::new().update(&key.0).update(record.bytes), record.raw_len, record.flags)
}

struct Counting<'a> {
    out: &'a mut BufWriter<NamedTempFile>,
    checksum: &'a mut Checksum,
    count: u64,
}

impl Write for Counting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write_all(bytes)?;
        self.checksum.update(bytes);
        self.count += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Why a pack or a record can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PackError {
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("is not a pack or was cut off")]
    Foreign,
    #[error("has format version {0}, which this program does not read")]
    Version(u64),
    #[error("has a damaged index")]
    Index,
    #[error("holds a damaged record: {0}")]
    Record(String),
}

impl PackError {
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::NotFound)
    }

    /// Whether the file itself is wrong: neither the medium nor this program's age.
    pub(crate) fn is_damage(&self) -> bool {
        matches!(self, Self::Foreign | Self::Index | Self::Record(_))
    }
}

#[derive(Debug)]
enum Index {
    Read(Vec<u8>),
    /// The whole pack, and where the index begins.
    Mapped(memmap2::Mmap, usize),
}

/// Bytes of an index above which it is mapped, not read.
const MAPPED: u64 = 1 << 20;

/// An open pack: its index checked, its records on disk. Stays readable when another process deletes it.
#[derive(Debug)]
pub(crate) struct Pack {
    pub(crate) path: PathBuf,
    index: Index,
    count: usize,
    /// Bytes of the file.
    pub(crate) size: u64,
    /// Seconds since 1970.
    pub(crate) modified: u64,
    file: File,
}

impl Pack {
    pub(crate) fn open(path: PathBuf) -> Result<Self, PackError> {
        let file = open_regular(&path)?;
        let meta = file.metadata()?;
        let size = meta.len();
        if size < HEADER + FOOTER {
            return Err(PackError::Foreign);
        }
        let mut header = [0; HEADER as usize];
        file.read_exact_at(&mut header, 0)?;
        let mut footer = [0; FOOTER as usize];
        file.read_exact_at(&mut footer, size - FOOTER)?;
        if header[..8] != MAGIC[..] || footer[32..] != END[..] {
            return Err(PackError::Foreign);
        }
        let u64_of = |bytes: &[u8]| u64::from_le_bytes(*bytes.first_chunk().expect("eight bytes"));
        let version = u64_of(&header[8..]);
        if version != VERSION {
            return Err(PackError::Version(version));
        }
        let (offset, count) = (u64_of(&footer), u64_of(&footer[8..]));
        let length = count.checked_mul(ENTRY as u64).ok_or(PackError::Index)?;
        if offset < HEADER || offset.checked_add(length).and_then(|end| end.checked_add(FOOTER)) != Some(size)
        {
            return Err(PackError::Index);
        }
        let place = usize::try_from(length).ok().zip(usize::try_from(offset).ok());
        let (len, start) = place.ok_or(PackError::Index)?;
        let map = (length > MAPPED).then(|| crate::sys::map(&file)).and_then(Result::ok);
        let index = match map {
            // It is long enough now; whoever cuts it off later does so on purpose.
            Some(map) if map.len() as u64 == size => {
                crate::sys::read_here_and_there(&map);
                crate::sys::read_next(&map, start..start + len);
                Index::Mapped(map, start)
            }
            _ => {
                let mut index = vec![0; len];
                file.read_exact_at(&mut index, offset)?;
                Index::Read(index)
            }
        };
        let modified =
            meta.modified()?.duration_since(std::time::UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
        let pack = Self { path, index, count: len / ENTRY, size, modified, file };
        if footer[16..32] != wide_checksum(pack.rows().as_flattened()) {
            return Err(PackError::Index);
        }
        let inside = |entry: Entry| {
            entry.offset >= HEADER
                && entry.offset.checked_add(entry.stored_len).is_some_and(|end| end <= offset)
        };
        if !pack.entries().all(inside) {
            return Err(PackError::Index);
        }
        Ok(pack)
    }

    fn rows(&self) -> &[[u8; ENTRY]] {
        let bytes = match &self.index {
            Index::Read(bytes) => bytes,
            Index::Mapped(map, start) => map.get(*start..).unwrap_or_default(),
        };
        &bytes.as_chunks().0[..self.count]
    }

    /// Number of records.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Record number `at`.
    pub(crate) fn entry(&self, at: u32) -> Entry {
        Entry::read(&self.rows()[at as usize])
    }

    /// All records, in the order in which they were added.
    pub(crate) fn entries(&self) -> impl ExactSizeIterator<Item = Entry> {
        self.rows().iter().map(Entry::read)
    }

    /// The stored bytes of a record, checksum verified.
    pub(crate) fn stored(&self, entry: &Entry) -> Result<Vec<u8>, PackError> {
        // The length was checked against the file's size.
        let mut bytes = vec![0; usize::try_from(entry.stored_len).map_err(|_| PackError::Index)?];
        self.file.read_exact_at(&mut bytes, entry.offset)?;
        let record = Compressed { raw_len: entry.raw_len, flags: entry.flags, bytes: &bytes };
        if record_checksum(&entry.key, &record) == entry.checksum {
            Ok(bytes)
        } else {
            Err(PackError::Record(format!("the checksum of `{}` is wrong", entry.key)))
        }
    }

    /// The facts of a record; large ones in a scratch file in `folder`. `max`: bytes.
    pub(crate) fn raw(&self, entry: &Entry, max: u64, folder: Option<&Path>) -> Result<Bytes, PackError> {
        if entry.raw_len > LARGE || entry.stored_len > LARGE {
            let mut out = BytesWriter::new(folder, LARGE as usize);
            self.stream(entry, max, &mut out)?;
            return Ok(out.finish()?);
        }
        codec::decompress(self.stored(entry)?, entry.raw_len, entry.flags, max)
            .map(Bytes::from)
            .map_err(|error| record_error(entry, &error))
    }

    /// Looks whether a record is right. Bytes before compression.
    pub(crate) fn verify(&self, entry: &Entry, max: u64) -> Result<u64, PackError> {
        if entry.raw_len > LARGE || entry.stored_len > LARGE {
            self.stream(entry, max, &mut io::sink())?;
            return Ok(entry.raw_len);
        }
        self.raw(entry, max, None).map(|raw| raw.len() as u64)
    }

    /// Writes the facts of a record to `out`. They are right where this is no error.
    fn stream(&self, entry: &Entry, max: u64, out: &mut dyn Write) -> Result<(), PackError> {
        let mut section = self.section(entry);
        let written = codec::decompress_into(&mut section, entry.raw_len, entry.flags, max, out);
        // A damaged record may well not decompress; that it is damaged says more.
        section.check()?;
        written.map_err(|error| match error.kind() {
            io::ErrorKind::Other | io::ErrorKind::UnexpectedEof => record_error(entry, &error),
            _ => error.into(),
        })
    }

    fn section<'a>(&'a self, entry: &'a Entry) -> Section<'a> {
        let mut checksum = Checksum::new();
        checksum.update(&entry.key.0);
        Section { file: &self.file, entry, at: 0, checksum }
    }
}

fn record_error(entry: &Entry, error: &dyn std::fmt::Display) -> PackError {
    PackError::Record(format!("`{}` {error}", entry.key))
}

/// The stored bytes of a record, one after the other.
struct Section<'a> {
    file: &'a File,
    entry: &'a Entry,
    at: u64,
    checksum: Checksum,
}

impl Section<'_> {
    /// Reads what was not read, and looks whether the checksum of all is right.
    fn check(mut self) -> Result<(), PackError> {
        io::copy(&mut self, &mut io::sink())?;
        if seal(&mut self.checksum, self.entry.raw_len, self.entry.flags) == self.entry.checksum {
            Ok(())
        } else {
            Err(PackError::Record(format!("the checksum of `{}` is wrong", self.entry.key)))
        }
    }
}

impl Read for Section<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.entry.stored_len - self.at;
        let most = into.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let count = self.file.read_at(&mut into[..most], self.entry.offset + self.at)?;
        if count == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.checksum.update(&into[..count]);
        self.at += count as u64;
        Ok(count)
    }
}

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
#[cfg(test)]
mod tests;
