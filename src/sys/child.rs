//! What a child process asks of the system about itself, and what its parent asks about the pipes between them.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The number of this process' parent; 0 where it has none.
#[must_use]
pub fn parent_id() -> u32 {
    rustix::process::getppid().map_or(0, |id| id.as_raw_nonzero().get().unsigned_abs())
}

/// Asks to be killed when the thread that started this process ends. Elsewhere than on Linux the end of the input has to do.
pub fn end_with_parent() {
    #[cfg(target_os = "linux")]
    {
        let kill = Some(rustix::process::Signal::KILL);
        let _ = rustix::process::set_parent_process_death_signal(kill);
    }
}

/// Writes no core files: they would land in the folder that is analyzed.
pub fn refuse_core_files() {
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}

/// Bounds what this process may allocate from now on, in bytes. What is mapped already does not count.
///
/// Linux counts private writable pages (`RLIMIT_DATA`), not addresses: an allocator reserves gigabytes of those that it never
/// makes writable. Elsewhere addresses are counted (`RLIMIT_AS`).
///
/// # Errors
/// What the operating system says.
pub fn limit_memory(bytes: u64) -> io::Result<()> {
    let resource = if cfg!(target_os = "linux") { Resource::Data } else { Resource::As };
    let limit = bytes.saturating_add(writable_bytes());
    let maximum = getrlimit(resource).maximum;
    let current = Some(maximum.map_or(limit, |maximum| maximum.min(limit)));
    Ok(setrlimit(resource, Rlimit { current, maximum: current })?)
}

/// Private writable memory of this process, bytes; 0 where the system does not tell.
fn writable_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmData:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Lets a fault end this process by its own signal. Rust's handler would turn an overflow of the stack into an abort, which says less.
pub fn die_by_own_signals() {
    default_action(&[libc::SIGSEGV, libc::SIGBUS]);
}

/// Lets an interrupt end this process.
pub fn die_of_interrupts() {
    default_action(&[libc::SIGINT, libc::SIGTERM, libc::SIGHUP]);
}

#[expect(unsafe_code, reason = "the standard library does not wrap `signal`")]
fn default_action(signals: &[i32]) {
    for &signal in signals {
        // SAFETY: the default action runs no code of ours.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
        }
    }
}

/// Makes reads and writes of one end of a socket return at once.
///
/// # Errors
/// What the operating system says.
pub fn without_waiting(socket: &impl AsFd) -> io::Result<()> {
    let flags = fcntl_getfl(socket)?;
    Ok(fcntl_setfl(socket, flags | OFlags::NONBLOCK)?)
}

/// Gives what is sent from here the room for a whole request, as far as the system has it.
pub fn widen(socket: &impl AsFd) {
    let _ = rustix::net::sockopt::set_socket_send_buffer_size(socket, 1 << 20);
}

/// Waits until `output` can be read or, where there is one, `input` can be written; at most for `time`. Says which.
///
/// # Errors
/// What the operating system says.
pub fn wait(output: &impl AsFd, input: Option<&impl AsFd>, time: Duration) -> io::Result<(bool, bool)> {
    let time = Timespec::try_from(time).ok();
    let mut ends = smallvec::SmallVec::<[PollFd<'_>; 2]>::new();
    ends.push(PollFd::new(output, PollFlags::IN));
    ends.extend(input.map(|input| PollFd::new(input, PollFlags::OUT)));
    match poll(&mut ends, time.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let ready = |end: Option<&PollFd<'_>>| end.is_some_and(|end| !end.revents().is_empty());
    Ok((ready(ends.first()), ready(ends.get(1))))
}

/// The name of a signal.
#[must_use]
pub fn signal_name(signal: i32) -> String {
    let name = match signal {
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGHUP => "SIGHUP",
        libc::SIGILL => "SIGILL",
        libc::SIGINT => "SIGINT",
        libc::SIGKILL => "SIGKILL",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGSYS => "SIGSYS",
        libc::SIGTERM => "SIGTERM",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGXCPU => "SIGXCPU",
        _ => return format!("signal {signal}"),
    };
    name.to_owned()
}
