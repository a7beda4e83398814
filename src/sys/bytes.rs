//! Bytes that are too many for the heap: written once, one after the other, to a file that has no name, then mapped read-only.
//!
//! Written by plain calls and never through the map: where memory is tight, a page that is made dirty through a map costs
//! 150 us, a buffer that is written 700 MB/s. Clean pages of a map are the system's to take back.

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::ops::Deref;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes that one call writes to a file.
const BLOCK: usize = 1 << 20;

/// Bytes on the heap, or in a file without a name.
#[derive(Clone, Debug)]
pub enum Bytes {
    /// On the heap.
    Heap(Vec<u8>),
    /// In a file.
    Mapped(Mapped),
}

/// A file that nobody writes to any more, and its map.
#[derive(Clone, Debug)]
pub struct Mapped {
    map: Arc<memmap2::Mmap>,
    file: Arc<File>,
}

impl Mapped {
    /// The file, for another process to map.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The map alone: with it goes the file, but not its descriptor, of which a process has few.
    #[must_use]
    pub fn into_map(self) -> Arc<memmap2::Mmap> {
        self.map
    }
}

impl Bytes {
    /// The content of a file, which must have no name and nobody who writes to it.
    ///
    /// # Errors
    /// What the operating system says, where it can be neither mapped nor read into memory.
    pub fn of_file(file: File) -> io::Result<Self> {
        if file.metadata()?.len() == 0 {
            return Ok(Self::default());
        }
        match super::map(&file) {
            Ok(map) => Ok(Self::Mapped(Mapped { map: Arc::new(map), file: Arc::new(file) })),
            Err(_) => read_back(&file, file.metadata()?.len(), 0).map(Self::Heap),
        }
    }

    /// The file and its map, where they are in one.
    #[must_use]
    pub fn mapped(&self) -> Option<&Mapped> {
        match self {
            Self::Heap(_) => None,
            Self::Mapped(mapped) => Some(mapped),
        }
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn heap_bytes(&self) -> u64 {
        match self {
            Self::Heap(bytes) => bytes.len() as u64,
            Self::Mapped(_) => 0,
        }
    }

    /// Bytes that the heap has for them.
    #[must_use]
    pub fn capacity(&self) -> usize {
        match self {
            Self::Heap(bytes) => bytes.capacity(),
            Self::Mapped(_) => 0,
        }
    }

    /// A vector to read other bytes into: that of before, if there was one.
    pub fn heap_mut(&mut self) -> &mut Vec<u8> {
        if let Self::Mapped(_) = self {
            *self = Self::default();
        }
        match self {
            Self::Heap(bytes) => bytes,
            Self::Mapped(_) => unreachable!("it was just replaced"),
        }
    }

    /// All of them on the heap.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        match self {
            Self::Heap(bytes) => bytes,
            Self::Mapped(mapped) => mapped.map.to_vec(),
        }
    }

    /// Takes pages that were read out of this process.
    pub fn release(&self) {
        if let Self::Mapped(mapped) = self {
            super::release(&mapped.map);
        }
    }
}

impl Default for Bytes {
    fn default() -> Self {
        Self::Heap(Vec::new())
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Heap(bytes) => bytes,
            Self::Mapped(mapped) => &mapped.map,
        }
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Heap(bytes)
    }
}

impl PartialEq for Bytes {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Bytes {}

/// Writes [`Bytes`]: up to a limit to the heap, and what is more to a file without a name. Where the file can't be made or
/// written, everything is on the heap all the same, and [`BytesWriter::take_trouble`] says why.
#[derive(Debug)]
pub struct BytesWriter {
    /// Where the file is made; nowhere, or nowhere any more, means the heap.
    folder: Option<PathBuf>,
    limit: usize,
    /// Everything, or what comes after `written`.
    buffer: Vec<u8>,
    file: Option<File>,
    /// Bytes that are in the file.
    written: u64,
    trouble: Option<io::Error>,
}

impl BytesWriter {
    /// `folder`: where a file can be made. `limit`: bytes that may be on the heap; besides there is a buffer of a megabyte.
    #[must_use]
    pub fn new(folder: Option<&Path>, limit: usize) -> Self {
        let folder = folder.map(Path::to_owned);
        Self { folder, limit, buffer: Vec::new(), file: None, written: 0, trouble: None }
    }

    /// Bytes until now.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What kept the bytes from leaving the heap, said once.
    pub fn take_trouble(&mut self) -> Option<io::Error> {
        self.trouble.take()
    }

    /// The bytes.
    ///
    /// # Errors
    /// Where what was written can be neither mapped nor read back.
    pub fn finish(mut self) -> io::Result<Bytes> {
        if self.file.is_some() {
            self.empty()?;
        }
        match self.file {
            Some(file) => Bytes::of_file(file),
            None => Ok(Bytes::Heap(self.buffer)),
        }
    }

    /// Makes the file, if it is time and there can be one.
    fn begin(&mut self, more: usize) {
        if self.file.is_some() || self.buffer.len() + more <= self.limit {
            return;
        }
        let Some(folder) = &self.folder else { return };
        match tempfile::tempfile_in(folder) {
            Ok(file) => self.file = Some(file),
            Err(error) => self.fail(error),
        }
    }

    fn fail(&mut self, error: io::Error) {
        self.folder = None;
        self.trouble = Some(error);
    }

    /// Writes the buffer to the file.
    fn empty(&mut self) -> io::Result<()> {
        let buffer = std::mem::take(&mut self.buffer);
        let kept = self.put(&buffer);
        // What was read back is in the place of the buffer.
        if self.file.is_some() {
            self.buffer = buffer;
            self.buffer.clear();
            self.buffer.shrink_to(BLOCK);
        }
        kept
    }

    /// Writes to the file; to the heap, with all that is in the file, where that fails.
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        match file.write_all_at(bytes, self.written) {
            Ok(()) => self.written += bytes.len() as u64,
            Err(error) => {
                self.buffer = read_back(file, self.written, bytes.len())?;
                self.buffer.extend_from_slice(bytes);
                self.file = None;
                self.written = 0;
                self.fail(error);
            }
        }
        Ok(())
    }
}

impl Write for BytesWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begin(bytes.len());
        if self.file.is_some() && self.buffer.len() + bytes.len() > BLOCK {
            self.empty()?;
            if self.file.is_some() && bytes.len() >= BLOCK {
                return self.put(bytes).map(|()| bytes.len());
            }
        }
        self.buffer.try_reserve(bytes.len())?;
        self.buffer.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The first `len` bytes of a file, with room for `more`.
fn read_back(file: &File, len: u64, more: usize) -> io::Result<Vec<u8>> {
    let len = usize::try_from(len).map_err(io::Error::other)?;
    let mut bytes = Vec::new();
    // Without memory this is an error, and not the end of the process.
    bytes.try_reserve_exact(len + more)?;
    let mut from = At { file, at: 0 };
    if from.by_ref().take(len as u64).read_to_end(&mut bytes)? < len {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}

/// Reads a file from a place on, whatever its own place is.
struct At<'a> {
    file: &'a File,
    at: u64,
}

impl io::Read for At<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(into, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(len: usize) -> Vec<u8> {
        (0..len as u32).map(|at| (at * 31 + at / 253) as u8).collect()
    }

    fn written(mut writer: BytesWriter, text: &[u8], step: usize) -> (Bytes, bool) {
        for part in text.chunks(step) {
            writer.write_all(part).expect("room");
        }
        assert_eq!(writer.len(), text.len() as u64);
        let troubled = writer.take_trouble().is_some();
        (writer.finish().expect("bytes"), troubled)
    }

    #[test]
    fn bytes_come_back_from_heap_and_file() {
        let folder = tempfile::tempdir().expect("a folder");
        for len in [0, 1, 1000, BLOCK - 1, BLOCK, 3 * BLOCK + 5] {
            let text = text(len);
            for limit in [0, 1000, 2 * BLOCK, usize::MAX] {
                for step in [777, BLOCK, 2 * BLOCK + 1] {
                    let writer = BytesWriter::new(Some(folder.path()), limit);
                    let (bytes, troubled) = written(writer, &text, step);
                    assert!(*bytes == text[..] && !troubled, "{len} {limit} {step}");
                    assert_eq!(bytes.mapped().is_some(), len > limit, "{len} {limit} {step}");
                }
            }
            assert!(written(BytesWriter::new(None, 0), &text, 999).0.mapped().is_none());
        }
        assert_eq!(folder.path().read_dir().expect("a folder").count(), 0, "files have no names");
    }

    #[test]
    fn without_a_file_all_is_on_the_heap() {
        let text = text(3 * BLOCK);
        let (bytes, troubled) = written(BytesWriter::new(Some(Path::new("/nowhere/at/all")), 9), &text, 1000);
        assert!(troubled && bytes.mapped().is_none() && *bytes == text[..]);
        let full = File::options().read(true).write(true).open("/dev/full").expect("the device");
        let writer = BytesWriter { file: Some(full), ..BytesWriter::new(None, 0) };
        let (bytes, troubled) = written(writer, &text, 1000);
        assert!(troubled && bytes.mapped().is_none() && *bytes == text[..]);
    }

    #[test]
    fn a_buffer_is_used_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut bytes, _) = written(BytesWriter::new(Some(folder.path()), 0), &text(10), 1);
        assert_eq!((bytes.heap_bytes(), bytes.len()), (0, 10));
        bytes.release();
        assert_eq!(*bytes, text(10)[..]);
        bytes.heap_mut().extend_from_slice(b"abc");
        assert_eq!((bytes.heap_bytes(), &*bytes), (3, &b"abc"[..]));
        let at = bytes.as_ptr();
        bytes.heap_mut().clear();
        assert_eq!(bytes.as_ptr(), at);
    }
}
