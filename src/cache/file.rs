//! Files that are replaced as a whole: a reader sees the old one or the new one, never a part.

use std::fs::Permissions;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::NamedTempFile;

use super::hash::{wide_checksum, wide_checksum_of};
use crate::sys::open_regular;

/// Temporary files begin with it; what a killed process left is removed by gc.
pub(crate) const TEMP_PREFIX: &str = ".tmp-";

/// A temporary file in `dir`, removed on drop unless persisted. Its mode follows the umask, so that a cache
/// can be shared.
pub(crate) fn temp_in(dir: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(TEMP_PREFIX).permissions(Permissions::from_mode(0o666)).tempfile_in(dir)
}

/// Writes a file under a temporary name beside `path`, then renames it into place. Creates the directory.
///
/// The data is not forced to the disk: after a power loss a file may be empty, which its reader must notice (all of the
/// cache's are checksummed).
///
/// # Errors
/// What `write` or the operating system says; `path` is then as before.
pub fn atomic_write<T>(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<T>) -> io::Result<T> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut temp = temp_in(dir).or_else(|error| {
        if error.kind() != io::ErrorKind::NotFound {
            return Err(error);
        }
        std::fs::create_dir_all(dir)?;
        temp_in(dir)
    })?;
    let mut writer = BufWriter::with_capacity(1 << 17, temp.as_file_mut());
    let result = write(&mut writer)?;
    writer.flush()?;
    drop(writer);
    temp.persist(path).map_err(|error| error.error)?;
    Ok(result)
}

const FRAME: usize = 8 + 8 + 16;

/// The bytes of a small file in a frame: magic, version, checksum.
pub(crate) fn frame(magic: &[u8; 8], version: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = frame_header(magic, version, &[payload]);
    out.extend_from_slice(payload);
    out
}

/// What stands before the payload that these parts make together.
pub(crate) fn frame_header(magic: &[u8; 8], version: u32, parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(FRAME);
    out.extend_from_slice(magic);
    out.extend_from_slice(&u64::from(version).to_le_bytes());
    out.extend_from_slice(&wide_checksum_of(parts));
    out
}

/// Why a framed file was not used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("does not exist")]
    Missing,
    #[error("cannot be read: {0}")]
    Io(io::Error),
    #[error("is not one of pydebug's files")]
    Foreign,
    #[error("has format version {0}, which this program does not read")]
    Version(u64),
    #[error("is damaged: its checksum is wrong")]
    Damaged,
}

/// Reads a framed file; what is returned is `FRAME` bytes of header and the verified payload.
pub(crate) fn read_framed(
    path: &Path,
    magic: &[u8; 8],
    version: u32,
    max: u64,
) -> Result<Framed, FrameError> {
    let io_error = |error: io::Error| {
        if error.kind() == io::ErrorKind::NotFound { FrameError::Missing } else { FrameError::Io(error) }
    };
    let file = open_regular(path).map_err(io_error)?;
    let size = file.metadata().map_err(io_error)?.len();
    if size > max {
        return Err(FrameError::Foreign);
    }
    // Files in frames are replaced by a rename, never rewritten in place, so that they may be mapped.
    if size >= MAPPED
        && let Ok(map) = crate::sys::map(&file)
    {
        verify(&map, magic, version)?;
        return Ok(Framed(Bytes::Mapped(map)));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
    file.take(max).read_to_end(&mut bytes).map_err(io_error)?;
    check_frame(bytes, magic, version)
}

/// Files of so many bytes are mapped, not read.
const MAPPED: u64 = 4 << 20;

pub(crate) fn check_frame(bytes: Vec<u8>, magic: &[u8; 8], version: u32) -> Result<Framed, FrameError> {
    verify(&bytes, magic, version)?;
    Ok(Framed(Bytes::Owned(bytes)))
}

fn verify(bytes: &[u8], magic: &[u8; 8], version: u32) -> Result<(), FrameError> {
    let Some(header) = bytes.first_chunk::<FRAME>() else { return Err(FrameError::Foreign) };
    if header[..8] != magic[..] {
        return Err(FrameError::Foreign);
    }
    let found = u64::from_le_bytes(*header[8..].first_chunk().expect("the header holds it"));
    if found != u64::from(version) {
        return Err(FrameError::Version(found));
    }
    if header[16..] != wide_checksum(&bytes[FRAME..]) {
        return Err(FrameError::Damaged);
    }
    Ok(())
}

#[derive(Debug)]
enum Bytes {
    Owned(Vec<u8>),
    Mapped(memmap2::Mmap),
}

/// A framed file's bytes.
#[derive(Debug)]
pub(crate) struct Framed(Bytes);

impl Default for Framed {
    fn default() -> Self {
        Self(Bytes::Owned(Vec::new()))
    }
}

impl Framed {
    pub(crate) fn payload(&self) -> &[u8] {
        let all: &[u8] = match &self.0 {
            Bytes::Owned(bytes) => bytes,
            Bytes::Mapped(map) => map,
        };
        all.get(FRAME..).unwrap_or_default()
    }

    pub(crate) fn into_payload(self) -> Vec<u8> {
        match self.0 {
            Bytes::Owned(mut bytes) => {
                bytes.drain(..FRAME.min(bytes.len()));
                bytes
            }
            Bytes::Mapped(_) => self.payload().to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sub/file");
        atomic_write(&path, |out| out.write_all(b"old")).unwrap();
        let failed = atomic_write(&path, |out| {
            out.write_all(&[0; 300_000])?;
            Err::<(), _>(io::Error::other("injected"))
        });
        assert!(failed.is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(path.parent().unwrap().read_dir().unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn readers_see_whole_files_while_writers_replace_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        atomic_write(&path, |out| out.write_all(&[0; 9000])).unwrap();
        std::thread::scope(|scope| {
            for writer in 1..4_u8 {
                let path = &path;
                scope.spawn(move || {
                    for _ in 0..50 {
                        atomic_write(path, |out| out.write_all(&[writer; 9000])).unwrap();
                    }
                });
            }
            for _ in 0..200 {
                let bytes = std::fs::read(&path).unwrap();
                assert_eq!(bytes.len(), 9000);
                assert!(bytes.iter().all(|&byte| byte == bytes[0]));
            }
        });
    }

    #[test]
    fn frames_tell_what_is_wrong() {
        let good = frame(b"PYDBTEST", 3, b"payload");
        assert_eq!(check_frame(good.clone(), b"PYDBTEST", 3).unwrap().payload(), b"payload");
        assert!(matches!(check_frame(good.clone(), b"PYDBTEST", 4), Err(FrameError::Version(3))));
        assert!(matches!(check_frame(good.clone(), b"PYDBELSE", 3), Err(FrameError::Foreign)));
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert!(check_frame(bad, b"PYDBTEST", 3).is_err(), "bit at {at}");
            assert!(check_frame(good[..at].to_vec(), b"PYDBTEST", 3).is_err(), "cut at {at}");
        }
    }
}
