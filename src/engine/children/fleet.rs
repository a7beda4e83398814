//! Starts children, and decides about files that a child could not live with. Such a file is tried once more, alone in a
//! fresh child, and never in this process.

use super::handle::{Child, End, Start, seconds};
use super::wire::{Answer, Reply, Task};
use crate::engine::progress::Interrupt;
use crate::engine::recovery::{CircuitBreaker, Decision, Recovery, SystemClock, Trouble};
use crate::extract::{DEEP_DEPTH, MAX_DEPTH, MAX_PIECE};
use crate::split::{ChunkSize, Measure};
use crate::sys::Bytes;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The time for which children are not tried again once they could not be started.
const REST: Duration = Duration::from_secs(5);
/// A file has its share of the time on top for each so many of its bytes.
const MB: u64 = 1 << 20;
/// Chunks of a file for which memory did not suffice.
const SMALL_CHUNK: ChunkSize = ChunkSize { measure: Measure::Ast, limit: 64 << 10 };

/// What came of a file.
#[derive(Debug)]
pub(in crate::engine) enum Made {
    Facts {
        block: Bytes,
        parse_us: u32,
        largest: u64,
        chunked: bool,
    },
    Skipped(Trouble, String),
    /// The run is over.
    Interrupted,
}

/// Everything that children have in common.
#[derive(Debug)]
pub(in crate::engine) struct Fleet<'a> {
    /// The program whose `worker` command children run; without one there are none.
    pub(in crate::engine) program: Option<&'a Path>,
    /// Where children make scratch files.
    pub(in crate::engine) scratch: Option<&'a Path>,
    /// Bytes that a child may allocate; 0 for no limit.
    pub(in crate::engine) memory: u64,
    /// The time that a file may take, without its share for its size.
    pub(in crate::engine) time: Duration,
    pub(in crate::engine) gc_threshold: u64,
    pub(in crate::engine) recovery: &'a Recovery,
    pub(in crate::engine) interrupt: &'a Interrupt,
    breaker: CircuitBreaker,
    degraded: AtomicBool,
}

impl<'a> Fleet<'a> {
    pub(in crate::engine) fn new(
        program: Option<&'a Path>,
        scratch: Option<&'a Path>,
        (memory, time): (u64, Duration),
        gc_threshold: u64,
        recovery: &'a Recovery,
        interrupt: &'a Interrupt,
    ) -> Self {
        let breaker = CircuitBreaker::new(SystemClock::default(), 1, REST);
        let degraded = AtomicBool::new(false);
        Self { program, scratch, memory, time, gc_threshold, recovery, interrupt, breaker, degraded }
    }

    /// A new child.
    pub(in crate::engine) fn start(&self, deep: bool) -> Result<Child<'a>, String> {
        let Some(program) = self.program else { return Err("no program is set to run them".to_owned()) };
        let Self { scratch, memory, gc_threshold, .. } = *self;
        let start = Start { program, scratch, memory, deep, gc_threshold };
        let attempt = || {
            self.recovery.persist(
                Trouble::WorkerStart,
                "",
                |_| !self.interrupt.is_requested(),
                std::thread::sleep,
                || Child::start(&start, self.interrupt),
            )
        };
        self.breaker.call(attempt).unwrap_or_else(|open| Err(open.to_string()))
    }

    /// Notes that files which were meant for children are parsed on threads.
    pub(in crate::engine) fn degrade(&self, why: &str) {
        if !self.interrupt.is_requested() && !self.degraded.swap(true, Ordering::Relaxed) {
            let detail = format!("process to thread: child processes cannot be started: {why}");
            self.recovery.record(Trouble::WorkerStart, Decision::Degrade, "", &detail);
        }
    }

    /// Whether [`Self::degrade`] was called.
    pub(in crate::engine) fn is_degraded(&self) -> bool {
        self.degraded.load(Ordering::Relaxed)
    }

    /// The time that a file of so many bytes may take: one sixtieth more for each MB.
    pub(in crate::engine) fn allowance(&self, bytes: usize) -> Duration {
        let share = (self.time / 60).saturating_mul(u32::try_from(bytes as u64 / MB).unwrap_or(u32::MAX));
        self.time.saturating_add(share)
    }

    /// The kind and words of an end.
    pub(in crate::engine) fn verdict(&self, end: &End) -> (Trouble, String) {
        match end {
            End::Died(why) => (Trouble::WorkerDeath, why.clone()),
            End::Memory => (Trouble::Memory, format!("out of memory: limit {} MB", self.memory / MB)),
            End::Timeout(time) => (Trouble::Timeout, format!("timeout after {}", seconds(*time))),
            End::Interrupted => (Trouble::Internal, "interrupted".to_owned()),
        }
    }

    /// What a child's reply comes to; what is too deep for it goes to one with a deep stack.
    pub(in crate::engine) fn settle(&self, subject: &str, task: Task<'_>, reply: Reply) -> Made {
        match reply.answer {
            Answer::Facts(block) => {
                let Reply { parse_us, largest, .. } = reply;
                Made::Facts { block, parse_us, largest, chunked: task.chunk.is_some() }
            }
            Answer::TooDeep => self.nested(subject, task),
            Answer::Unfit(why) => unfit(why),
            Answer::Panic(words) => internal(&words),
        }
    }

    /// A file at which a child ended: once more, alone.
    pub(in crate::engine) fn suspect(&self, subject: &str, task: Task<'_>, end: &End) -> Made {
        let (kind, words) = self.verdict(end);
        let mut task = task;
        let mut how = "once more alone";
        if *end == End::Memory {
            // The facts are the same, the syntax tree is never there as a whole.
            let asked = task.chunk.unwrap_or(SMALL_CHUNK);
            task.chunk = Some(ChunkSize { limit: asked.limit.min(SMALL_CHUNK.limit), ..asked });
            task.spill = self.scratch.is_some() && task.bytes.len() as u64 > MB;
            how = "once more alone, in small chunks";
        }
        self.recovery.record(kind, Decision::Isolate, subject, &format!("{words}; {how}"));
        match self.alone(task, false) {
            Ok(Ok(reply)) => self.settle(subject, task, reply),
            Ok(Err(End::Interrupted)) => Made::Interrupted,
            Ok(Err(end)) => {
                let (kind, words) = self.verdict(&end);
                Made::Skipped(kind, words)
            }
            Err(why) => {
                Made::Skipped(kind, format!("{words}; it could not be tried again in a child process: {why}"))
            }
        }
    }

    /// A file with a statement that may take more memory than others leave: alone in a child, whatever the strategy.
    pub(in crate::engine) fn large(&self, subject: &str, task: Task<'_>) -> Made {
        let large = format!("a statement is larger than {} MB", MAX_PIECE as u64 / MB);
        self.recovery.record(
            Trouble::Memory,
            Decision::Isolate,
            subject,
            &format!("{large}; alone in a child process"),
        );
        match self.alone(task, false) {
            Ok(Ok(reply)) => self.settle(subject, task, reply),
            Ok(Err(End::Interrupted)) => Made::Interrupted,
            Ok(Err(end)) => self.suspect(subject, task, &end),
            Err(why) => Made::Skipped(
                Trouble::Memory,
                format!("{large}, and no child process could be started for it: {why}"),
            ),
        }
    }

    /// A file nested deeper than an ordinary stack holds: alone in a child with a deep one.
    pub(in crate::engine) fn nested(&self, subject: &str, task: Task<'_>) -> Made {
        let deep = "nesting: an expression or block is nested or chained more than";
        if self.program.is_none() {
            return Made::Skipped(Trouble::Nesting, format!("{deep} {MAX_DEPTH} levels deep"));
        }
        let detail = format!("more than {MAX_DEPTH} levels; alone, with a deep stack");
        self.recovery.record(Trouble::Nesting, Decision::Isolate, subject, &detail);
        match self.alone(task, true) {
            Ok(Ok(Reply { answer: Answer::Facts(block), parse_us, largest })) => {
                Made::Facts { block, parse_us, largest, chunked: task.chunk.is_some() }
            }
            Ok(Ok(Reply { answer: Answer::TooDeep, .. })) => {
                let blocks = crate::extract::MAX_BLOCKS;
                let reason = format!("{deep} {DEEP_DEPTH} levels deep, or blocks more than {blocks}");
                Made::Skipped(Trouble::Nesting, reason)
            }
            Ok(Ok(Reply { answer: Answer::Unfit(why), .. })) => unfit(why),
            Ok(Ok(Reply { answer: Answer::Panic(words), .. })) => internal(&words),
            Ok(Err(End::Interrupted)) => Made::Interrupted,
            Ok(Err(end)) => {
                let (kind, words) = self.verdict(&end);
                Made::Skipped(kind, format!("nesting: {words}, in a child process with a deep stack"))
            }
            Err(why) => Made::Skipped(
                Trouble::Nesting,
                format!(
                    "{deep} {MAX_DEPTH} levels deep, and no child process could be started for it: {why}"
                ),
            ),
        }
    }

    /// One file in a fresh child; `Err` where there is none.
    fn alone(&self, task: Task<'_>, deep: bool) -> Result<Result<Reply, End>, String> {
        let mut child = self.start(deep)?;
        let time = self.allowance(task.bytes.len());
        Ok(match child.send(&[task], true, time) {
            Err(End::Interrupted) => Err(End::Interrupted),
            // Where sending failed, the answer tells why.
            _ => child.receive(time, |_| ()),
        })
    }
}

/// A file that can't be parsed.
pub(in crate::engine) fn unfit(why: String) -> Made {
    Made::Skipped(Trouble::Io, why)
}

/// A fault of this program.
pub(in crate::engine) fn internal(words: &str) -> Made {
    Made::Skipped(Trouble::Internal, format!("internal error, please report it: {words}"))
}
