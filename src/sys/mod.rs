//! The only unsafe code: what the operating system offers and the standard library does not wrap.
//! Must not know what the bytes mean.

mod alloc;
mod bytes;
mod child;
mod column;
#[cfg(test)]
mod counting;
mod memory;
mod prefetch;
mod socket;
mod spill;

pub use alloc::{Allocator, OUT_OF_MEMORY, exit_without_memory};
pub use bytes::{Bytes, BytesWriter, Mapped};
pub use child::{
    die_by_own_signals, die_of_interrupts, end_with_parent, limit_memory, parent_id, refuse_core_files,
    signal_name, wait, widen, without_waiting,
};
pub use column::{Column, Plain, Scratch, Table, TextColumn, Texts};
#[cfg(test)]
pub(crate) use counting::peak_of;
pub use memory::{Meter, available_bytes, group_limit, return_pages, return_pages_at_once};
pub use prefetch::prefetch;
pub use socket::{FILES, is_no_socket, receive_files, send_files};
pub use spill::{Block, Spill};

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Ends this process as `kill -9` would, where `PYDEBUG_FAILPOINT` names this point: tests see what is left behind then.
pub fn failpoint(name: &str) {
    if std::env::var_os("PYDEBUG_FAILPOINT").is_some_and(|point| point == name) {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

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
    // section is checksummed before use. Spilled blocks are mapped once all are written, and their file has no name; so are
    // large texts and facts, of a child process too, which is of this program and is done with the file when it tells of it.
    unsafe { memmap2::Mmap::map(file) }
}

/// Takes the pages of a read-only map out of this process; what is read again comes from the system's cache, or from the file.
#[expect(unsafe_code, reason = "what the advice means depends on the kind of map")]
pub fn release(map: &memmap2::Mmap) {
    // SAFETY: the map is shared, read-only and of a file, so that no page holds anything that the file does not.
    // What a system says against the advice costs memory, nothing else.
    let _ = unsafe { map.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
}

/// Says that a map is read here and there: the system then reads the pages that are asked for and no others. Else it reads
/// around each of them, on some machines megabytes, and where memory is tight that evicts what is needed next.
pub fn read_here_and_there(map: &memmap2::Mmap) {
    // What a system says against the advice costs time, nothing else.
    let _ = map.advise(memmap2::Advice::Random);
}

/// Says that a map is read from its beginning to its end.
pub fn read_in_order(map: &memmap2::Mmap) {
    let _ = map.advise(memmap2::Advice::Sequential);
}

/// Says that a part of such a map is read next.
pub fn read_next(map: &memmap2::Mmap, range: std::ops::Range<usize>) {
    let _ = map.advise_range(memmap2::Advice::WillNeed, range.start, range.len());
}

/// Opens a regular file to read. Whatever stands in a foreign tree may be a link that leads out of it, or a pipe that would
/// be waited for until someone writes; both are errors here.
///
/// # Errors
/// What the operating system says, or that it is no regular file.
pub fn open_regular(path: &Path) -> io::Result<File> {
    open_regular_with(OpenOptions::new().read(true), path)
}

/// As [`open_regular`], with other `options`.
///
/// # Errors
/// As there.
pub fn open_regular_with(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let other = || io::Error::other("not a regular file");
    let file = options.custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW).open(path).map_err(|error| {
        // The system's own words are "too many levels of symbolic links".
        if error.raw_os_error() == Some(libc::ELOOP) { other() } else { error }
    })?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(other()) }
}

/// Largest resident memory of this process so far, bytes; 0 where the system does not tell.
#[must_use]
pub fn peak_resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Asks the kernel to give this process no huge pages unasked. Each costs 2 MiB when its first byte is touched: a cold run over
/// 50 MB of sources peaks at 71 MB without them, at 120 MB with them, in the same time. A kernel that knows no such request is left as it is.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the standard library does not wrap `prctl`")]
pub fn refuse_huge_pages() {
    // SAFETY: `PR_SET_THP_DISABLE` takes a flag and three zeros, and touches no memory of ours.
    unsafe {
        libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0);
    }
}

/// Elsewhere there is nothing to ask.
#[cfg(not(target_os = "linux"))]
pub fn refuse_huge_pages() {}
