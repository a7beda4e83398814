//! A file without a name.

use super::Mapped;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// A file without a name, which is gone when this is dropped, whatever ends the process.
#[derive(Debug)]
pub struct Scratch {
    file: File,
    len: u64,
}

impl Scratch {
    /// An empty one in `folder`.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn new(folder: &Path) -> io::Result<Self> {
        Ok(Self { file: tempfile::tempfile_in(folder)?, len: 0 })
    }

    /// Bytes.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// True without bytes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends `bytes`; gives where they begin.
    ///
    /// # Errors
    /// What the operating system says; nothing is appended then.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<u64> {
        let at = self.len;
        self.file.write_all_at(bytes, at)?;
        self.len += bytes.len() as u64;
        Ok(at)
    }

    /// Writes over what stands at `at`.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn write(&mut self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, at)
    }

    /// Fills `bytes` with what stands at `at`.
    ///
    /// # Errors
    /// What the operating system says, or that the file ends before.
    pub fn read(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        self.file.read_exact_at(bytes, at)
    }

    /// The file itself.
    #[must_use]
    pub fn into_file(self) -> File {
        self.file
    }

    /// All of it, read-only. What is written afterwards may be seen or not.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn map(&self) -> io::Result<Mapped> {
        if self.len == 0 { Ok(Mapped::default()) } else { crate::sys::map(&self.file).map(Mapped::File) }
    }
}
