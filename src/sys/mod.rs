//! The only unsafe code: what the operating system offers and the standard library does not wrap.
//! Must not know what the bytes mean.

use std::fs::File;
use std::io;

/// Maps a whole file read-only.
///
/// # Errors
/// What the operating system says; an empty file is an error on some systems.
#[expect(
    unsafe_code,
    reason = "a map may change under us; callers map only files that are never rewritten in place"
)]
pub fn map(file: &File) -> io::Result<memmap2::Mmap> {
    // SAFETY: the files mapped (snapshots) are written under a temporary name, renamed once and never
    // changed afterwards; whoever truncates one by hand gets a SIGBUS, not silent corruption, and every
    // section is checksummed before use.
    unsafe { memmap2::Mmap::map(file) }
}

/// Largest resident memory of this process so far, bytes; 0 where the system does not tell.
#[must_use]
pub fn peak_resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()).unwrap_or(0) * 1024
}
