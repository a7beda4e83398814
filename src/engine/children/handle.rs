//! The parent's side of one child. Nothing here waits without an end: each wait looks at the clock and at interruptions.

use super::wire::{self, HEAD, LENGTH, Reply, Task};
use crate::engine::progress::Interrupt;
use crate::sys;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How often a wait looks whether the run was interrupted.
const TICK: Duration = Duration::from_millis(50);
/// Bytes asked for at a time.
const BLOCK: usize = 256 << 10;
/// Milliseconds that pass at most between the end of a child's output and its own.
const PATIENCE: u32 = 200;
/// Bytes of the inbox that are kept from frame to frame.
const LARGE: usize = 4 << 20;
/// The time that a child has to say hello, unless files have less.
const HELLO_TIME: Duration = Duration::from_secs(20);

/// Why a child is not there any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::engine) enum End {
    /// It ended by itself or by a signal, as these words say.
    Died(String),
    /// It was refused memory.
    Memory,
    /// It was killed, for it took longer than this.
    Timeout(Duration),
    /// It was killed, for the run was interrupted.
    Interrupted,
}

/// How to start a child.
#[derive(Debug)]
pub(in crate::engine) struct Start<'a> {
    pub(in crate::engine) program: &'a Path,
    /// Where it makes scratch files.
    pub(in crate::engine) scratch: Option<&'a Path>,
    /// Bytes that it may allocate; 0 for no limit.
    pub(in crate::engine) memory: u64,
    pub(in crate::engine) deep: bool,
    pub(in crate::engine) gc_threshold: u64,
}

/// A running child. Dropped, it is killed and waited for.
#[derive(Debug)]
pub(in crate::engine) struct Child<'a> {
    process: std::process::Child,
    input: UnixStream,
    output: UnixStream,
    /// Files that came and belong to frames which were not looked at.
    files: VecDeque<File>,
    /// What has come of the next frames is in `read..filled`.
    inbox: Vec<u8>,
    read: usize,
    filled: usize,
    /// When the file that it works on may have been begun at the latest.
    since: Instant,
    /// It was killed for this.
    killed: Option<End>,
    interrupt: &'a Interrupt,
}

impl<'a> Child<'a> {
    /// Starts a child and waits until it has said hello.
    pub(super) fn start(start: &Start<'_>, interrupt: &'a Interrupt) -> Result<Self, String> {
        let mut command = Command::new(start.program);
        command
            .arg("worker")
            .args(["--parent", &std::process::id().to_string()])
            .args(["--memory", &start.memory.to_string()])
            .args(["--gc-threshold", &start.gc_threshold.to_string()]);
        if let Some(scratch) = start.scratch {
            command.arg("--scratch").arg(scratch);
        }
        if start.deep {
            command.arg("--deep");
        }
        // Memory that is only reserved would count where the limit is on writable pages.
        command.env("MIMALLOC_ARENA_EAGER_COMMIT", "0");
        let (input, child_input) = socket()?;
        let (output, child_output) = socket()?;
        command.stdin(child_input).stdout(child_output).stderr(Stdio::null());
        // A Ctrl-C of the terminal is for the parent, which then ends its children.
        command.process_group(0);
        let process = command.spawn().map_err(|error| error.to_string())?;
        // With it go this process' own descriptors of the child's ends, so that the child's are the last.
        drop(command);
        let mut child = Self {
            process,
            input,
            output,
            files: VecDeque::new(),
            inbox: Vec::new(),
            read: 0,
            filled: 0,
            since: Instant::now(),
            killed: None,
            interrupt,
        };
        for prepared in [sys::without_waiting(&child.input), sys::without_waiting(&child.output)] {
            prepared.map_err(|error| error.to_string())?;
        }
        match child.frame(HELLO_TIME) {
            Ok(frame) if wire::is_hello(&child.inbox[frame.clone()]) => Ok(child),
            Ok(_) => Err("it is of another build".to_owned()),
            Err(End::Died(why)) => Err(why),
            Err(End::Memory) => Err("it has too little memory to start".to_owned()),
            Err(End::Timeout(time)) => Err(format!("it said nothing for {}", seconds(time))),
            Err(End::Interrupted) => Err("interrupted".to_owned()),
        }
    }

    /// Hands files to the child, which has `time` to take each part. What it answers meanwhile is kept. `idle`: it has nothing
    /// else to do.
    pub(in crate::engine) fn send(
        &mut self,
        tasks: &[Task<'_>],
        idle: bool,
        time: Duration,
    ) -> Result<(), End> {
        let (heads, bodies, mut files) = wire::request(tasks);
        let length = bodies.iter().map(|body| (body.len() + HEAD) as u64).sum::<u64>().to_le_bytes();
        let mut parts = vec![IoSlice::new(&length)];
        for (head, body) in heads.iter().zip(bodies) {
            parts.extend([IoSlice::new(head), IoSlice::new(body)]);
        }
        let mut rest = &mut parts[..];
        IoSlice::advance_slices(&mut rest, 0);
        let mut progress = Instant::now();
        while !rest.is_empty() {
            // The system takes no more parts at once than this.
            let most = rest.len().min(512);
            match sys::send_files(&self.input, &rest[..most], &files) {
                Ok(count) => {
                    files.clear();
                    IoSlice::advance_slices(&mut rest, count);
                    progress = Instant::now();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.interrupt.is_requested() {
                        return Err(End::Interrupted);
                    }
                    if progress.elapsed() > time {
                        // Half a request: nothing more can be said to it.
                        self.killed = Some(End::Timeout(time));
                        return Err(self.end());
                    }
                    let (readable, _) = sys::wait(&self.output, Some(&self.input), TICK).map_err(died)?;
                    if readable {
                        self.fill()?;
                    }
                }
                // Whatever ended it, its last words may be in the pipe.
                Err(_) => return Err(self.end()),
            }
        }
        if idle {
            self.since = Instant::now();
        }
        Ok(())
    }

    /// The next reply, for whose file the child has `time` from when it can have begun. `part` is told how many of its bytes are
    /// behind.
    pub(in crate::engine) fn receive(
        &mut self,
        time: Duration,
        mut part: impl FnMut(u64),
    ) -> Result<Reply, End> {
        let reply = loop {
            let frame = self.frame(time)?;
            let frame = &self.inbox[frame];
            match wire::part(frame) {
                Some(done) => part(done),
                None => break wire::reply(frame, &mut self.files),
            }
        };
        self.since = Instant::now();
        reply.ok_or_else(|| End::Died("gave an answer that is none".to_owned()))
    }

    /// Place of the next frame in the inbox.
    fn frame(&mut self, time: Duration) -> Result<std::ops::Range<usize>, End> {
        loop {
            let mut wanted = BLOCK;
            if let Some(length) = self.inbox[self.read..self.filled].first_chunk::<LENGTH>() {
                let length = wire::frame_length(*length).map_err(died)?;
                let start = self.read + LENGTH;
                if self.filled - start >= length {
                    self.read = start + length;
                    return Ok(start..start + length);
                }
                wanted = wanted.max(length + LENGTH);
            }
            self.make_room(wanted);
            if self.interrupt.is_requested() {
                return Err(End::Interrupted);
            }
            let left = time.saturating_sub(self.since.elapsed());
            let (readable, _) = sys::wait(&self.output, None::<&UnixStream>, left.min(TICK)).map_err(died)?;
            if readable {
                self.fill()?;
            } else if left.is_zero() {
                return Err(End::Timeout(time));
            }
        }
    }

    /// Makes room for `wanted` bytes from `read` on.
    fn make_room(&mut self, wanted: usize) {
        self.inbox.copy_within(self.read..self.filled, 0);
        self.filled -= self.read;
        self.read = 0;
        if self.filled == 0 && self.inbox.len() > LARGE && wanted <= LARGE {
            self.inbox = Vec::new();
        }
        if self.inbox.len() < wanted {
            self.inbox.resize(wanted, 0);
        }
    }

    /// Takes what has come.
    fn fill(&mut self) -> Result<(), End> {
        if self.filled == self.inbox.len() {
            self.make_room(self.filled - self.read + BLOCK);
        }
        match sys::receive_files(&self.output, &mut self.inbox[self.filled..], &mut self.files) {
            Ok(0) => Err(self.end()),
            Ok(count) => {
                self.filled += count;
                Ok(())
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Ok(())
            }
            Err(_) => Err(self.end()),
        }
    }

    /// How the child ended, for it has closed its pipe. What does not end then is killed.
    fn end(&mut self) -> End {
        for _ in 0..PATIENCE {
            match self.process.try_wait() {
                Ok(Some(status)) => return self.killed.clone().unwrap_or_else(|| verdict(status)),
                Ok(None) if self.killed.is_none() => std::thread::sleep(Duration::from_millis(1)),
                Ok(None) => break,
                Err(error) => return died(error),
            }
        }
        let why = self.killed.get_or_insert_with(|| End::Died("closed its output".to_owned())).clone();
        let _ = self.process.kill();
        let _ = self.process.wait();
        why
    }
}

impl Drop for Child<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Our end and the child's. A socket and no pipe, for open files go over it.
fn socket() -> Result<(UnixStream, OwnedFd), String> {
    let (ours, theirs) = UnixStream::pair().map_err(|error| error.to_string())?;
    sys::widen(&ours);
    sys::widen(&theirs);
    Ok((ours, theirs.into()))
}

fn died(error: io::Error) -> End {
    End::Died(error.to_string())
}

fn verdict(status: ExitStatus) -> End {
    match (status.code(), status.signal()) {
        (Some(code), _) if code == i32::from(sys::OUT_OF_MEMORY) => End::Memory,
        (Some(code), _) => End::Died(format!("ended with exit code {code}")),
        (_, Some(signal)) => End::Died(format!("killed by {}", sys::signal_name(signal))),
        _ => End::Died(status.to_string()),
    }
}

/// A time as people write it.
pub(super) fn seconds(time: Duration) -> String {
    let text = format!("{:.3}", time.as_secs_f64());
    format!("{} s", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts() {
        for (raw, expected) in [
            (86 << 8, End::Memory),
            (3 << 8, End::Died("ended with exit code 3".to_owned())),
            (11, End::Died("killed by SIGSEGV".to_owned())),
            (9, End::Died("killed by SIGKILL".to_owned())),
            (34, End::Died("killed by signal 34".to_owned())),
        ] {
            assert_eq!(verdict(ExitStatus::from_raw(raw)), expected);
        }
    }

    #[test]
    fn times() {
        for (milliseconds, shown) in [(1, "0.001 s"), (1500, "1.5 s"), (60_000, "60 s"), (0, "0 s")] {
            assert_eq!(seconds(Duration::from_millis(milliseconds)), shown);
        }
    }

    #[test]
    fn what_is_no_child_is_told() {
        let start = |program: &str| {
            let start =
                Start { program: program.as_ref(), scratch: None, memory: 0, deep: false, gc_threshold: 1 };
            Child::start(&start, &Interrupt::default()).map(drop).expect_err("no child")
        };
        assert!(start("/nowhere/at/all").contains("No such file"), "{}", start("/nowhere/at/all"));
        assert_eq!(start("/bin/false"), "ended with exit code 1");
        // It says something, and not hello.
        assert!(!start("/bin/echo").is_empty());
    }
}
