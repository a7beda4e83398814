//! What is done about trouble, and the record of what was done.
//!
//! Each [`Trouble`] has a [`Policy`]: how often it is tried again, and what is decided when that does not help. Nothing is decided
//! silently: every [`Decision`] is counted, logged, and in the report. This module must not know files, processes or stores.

mod breaker;

pub use breaker::{Circuit, CircuitBreaker, Clock, Open, SystemClock};

use crate::model::metrics::RecoveryCounts;
use crate::sync::locked;
use backon::{BackoffBuilder as _, ExponentialBuilder};
use serde::Serialize;
use std::sync::Mutex;
use std::time::Duration;

/// What can go wrong without ending the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// A file that the walk found is not there any more.
    NotFound,
    /// A file that this user may not read.
    Permission,
    /// A read that failed, or a file that changed while it was read.
    Io,
    /// Bytes that the encoding of a file does not know.
    Decode,
    /// Nesting that an ordinary stack does not hold.
    Nesting,
    /// A file on which a child worked too long.
    Timeout,
    /// A file for which a child was refused memory.
    Memory,
    /// A file at which a child died.
    WorkerDeath,
    /// A child that could not be started.
    WorkerStart,
    /// Threads that could not be started.
    ThreadStart,
    /// A fault of this program.
    Internal,
    /// A damaged file of the cache.
    CacheCorrupt,
    /// A store that does not answer.
    StoreUnavailable,
}

impl Trouble {
    /// Every kind, in the order of reports.
    pub const ALL: [Self; 13] = [
        Self::NotFound,
        Self::Permission,
        Self::Io,
        Self::Decode,
        Self::Nesting,
        Self::Timeout,
        Self::Memory,
        Self::WorkerDeath,
        Self::WorkerStart,
        Self::ThreadStart,
        Self::Internal,
        Self::CacheCorrupt,
        Self::StoreUnavailable,
    ];

    /// The name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Permission => "permission",
            Self::Io => "io",
            Self::Decode => "decode",
            Self::Nesting => "nesting",
            Self::Timeout => "timeout",
            Self::Memory => "memory",
            Self::WorkerDeath => "worker_death",
            Self::WorkerStart => "worker_start",
            Self::ThreadStart => "thread_start",
            Self::Internal => "internal",
            Self::CacheCorrupt => "cache_corrupt",
            Self::StoreUnavailable => "store_unavailable",
        }
    }

    /// What is done about it.
    #[must_use]
    pub fn policy(self) -> Policy {
        let wait = Duration::from_millis;
        let (retries, pause, then) = match self {
            Self::NotFound | Self::Permission | Self::Internal => (0, wait(0), Decision::Skip),
            Self::Io => (3, wait(10), Decision::Skip),
            Self::Decode => (0, wait(0), Decision::Substitute),
            // In a fresh child: nothing is gained by waiting.
            Self::Nesting | Self::Timeout | Self::Memory | Self::WorkerDeath => (1, wait(0), Decision::Skip),
            Self::WorkerStart => (2, wait(20), Decision::Degrade),
            // Those of a failed attempt take a moment to end.
            Self::ThreadStart => (4, wait(20), Decision::Degrade),
            Self::CacheCorrupt => (0, wait(0), Decision::Rebuild),
            Self::StoreUnavailable => (5, wait(200), Decision::Fail),
        };
        Policy { retries, pause, then }
    }

    /// The kind of an error of the file system.
    #[must_use]
    pub fn of_io(error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::NotFound,
            std::io::ErrorKind::PermissionDenied => Self::Permission,
            _ => Self::Io,
        }
    }
}

/// Whether an error of the file system may be gone a moment later.
#[must_use]
pub fn is_transient(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    let kind = matches!(
        error.kind(),
        ErrorKind::Interrupted
            | ErrorKind::WouldBlock
            | ErrorKind::TimedOut
            | ErrorKind::ResourceBusy
            | ErrorKind::StaleNetworkFileHandle
            | ErrorKind::OutOfMemory
    );
    // A network file system says EIO too; and other threads give descriptors back.
    kind || matches!(error.raw_os_error(), Some(libc::EIO | libc::EMFILE | libc::ENFILE | libc::ENOBUFS))
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// The same once more.
    Retry,
    /// A file goes to a child of its own.
    Isolate,
    /// A new child takes the place of a dead one.
    Restart,
    /// Less than was asked for: processes to threads, threads to one.
    Degrade,
    /// What was damaged is made anew.
    Rebuild,
    /// A sign takes the place of what can't be read.
    Substitute,
    /// The file is left out.
    Skip,
    /// The run fails.
    Fail,
}

impl Decision {
    /// Every decision, in the order of reports.
    pub const ALL: [Self; 8] = [
        Self::Retry,
        Self::Isolate,
        Self::Restart,
        Self::Degrade,
        Self::Rebuild,
        Self::Substitute,
        Self::Skip,
        Self::Fail,
    ];

    /// The name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Isolate => "isolate",
            Self::Restart => "restart",
            Self::Degrade => "degrade",
            Self::Rebuild => "rebuild",
            Self::Substitute => "substitute",
            Self::Skip => "skip",
            Self::Fail => "fail",
        }
    }
}

/// What is done about a kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How often it is tried again.
    pub retries: usize,
    /// The first pause; each next one is twice as long, and all are lengthened by a random part.
    pub pause: Duration,
    /// What is decided then.
    pub then: Decision,
}

impl Policy {
    /// The pauses between attempts.
    pub fn pauses(&self) -> impl Iterator<Item = Duration> + use<> {
        ExponentialBuilder::default()
            .with_min_delay(self.pause)
            .with_max_delay(Duration::from_secs(5))
            .with_max_times(self.retries)
            .with_jitter()
            .build()
    }
}

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Event {
    /// The file or thing it is about; empty for the run as a whole.
    pub subject: String,
    /// What went wrong.
    pub kind: Trouble,
    /// What was decided.
    pub decision: Decision,
    /// In words.
    pub detail: String,
}

/// Decisions that are kept in words; all are counted.
const KEPT: usize = 1000;

#[derive(Debug, Default)]
struct Log {
    events: Vec<Event>,
    kinds: [u64; Trouble::ALL.len()],
    decisions: [u64; Decision::ALL.len()],
}

/// Collects decisions, from any thread.
#[derive(Debug, Default)]
pub struct Recovery {
    log: Mutex<Log>,
}

impl Recovery {
    /// Counts and logs a decision.
    pub fn record(&self, kind: Trouble, decision: Decision, subject: &str, detail: &str) {
        let (kind_name, decision_name) = (kind.name(), decision.name());
        match decision {
            Decision::Degrade | Decision::Fail => {
                tracing::warn!(kind = kind_name, decision = decision_name, subject, "{detail}");
            }
            _ => tracing::info!(kind = kind_name, decision = decision_name, subject, "{detail}"),
        }
        let mut log = locked(&self.log);
        log.kinds[kind as usize] += 1;
        log.decisions[decision as usize] += 1;
        // What makes the run less than it was asked to be is always kept.
        if log.events.len() < KEPT || matches!(decision, Decision::Degrade | Decision::Fail) {
            log.events.push(Event { subject: subject.to_owned(), kind, decision, detail: detail.to_owned() });
        }
    }

    /// Does something until it succeeds, is not to be tried again, or the policy of the trouble is at its end. `transient` says
    /// whether an error may be gone a moment later; `sleep` passes the time.
    ///
    /// # Errors
    /// The last one.
    pub fn persist<T, E: std::fmt::Display>(
        &self,
        kind: Trouble,
        subject: &str,
        transient: impl Fn(&E) -> bool,
        mut sleep: impl FnMut(Duration),
        mut attempt: impl FnMut() -> Result<T, E>,
    ) -> Result<T, E> {
        let mut pauses = kind.policy().pauses();
        loop {
            let error = match attempt() {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let Some(pause) = transient(&error).then(|| pauses.next()).flatten() else { return Err(error) };
            self.record(kind, Decision::Retry, subject, &error.to_string());
            sleep(pause);
        }
    }

    /// The decisions so far, by subject, and their counts.
    #[must_use]
    pub fn report(&self) -> (Vec<Event>, RecoveryCounts) {
        let log = locked(&self.log);
        let mut events = log.events.clone();
        events.sort();
        let counts = RecoveryCounts {
            kinds: Trouble::ALL.iter().map(|kind| kind.name().to_owned()).zip(log.kinds).collect(),
            decisions: Decision::ALL.iter().map(|one| one.name().to_owned()).zip(log.decisions).collect(),
        };
        (events, counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_indexed_by_number() {
        assert!(Trouble::ALL.iter().enumerate().all(|(at, kind)| *kind as usize == at));
        assert!(Decision::ALL.iter().enumerate().all(|(at, decision)| *decision as usize == at));
    }

    #[test]
    fn pauses_grow_and_end() {
        for kind in Trouble::ALL {
            let policy = kind.policy();
            let pauses: Vec<Duration> = policy.pauses().collect();
            assert_eq!(pauses.len(), policy.retries, "{kind:?}");
            for (at, pause) in pauses.iter().enumerate() {
                let least = policy.pause * (1 << at);
                assert!(*pause >= least && *pause <= least * 2, "{kind:?}: {pauses:?}");
            }
        }
    }

    /// Fails so many times; gives the attempts, the pauses and the decisions.
    fn persisted(failures: usize, transient: bool) -> (Result<usize, String>, usize, u64) {
        let recovery = Recovery::default();
        let (mut attempts, mut pauses) = (0, 0);
        let result = recovery.persist(
            Trouble::Io,
            "a.py",
            |_: &String| transient,
            |_| pauses += 1,
            || {
                attempts += 1;
                if attempts > failures { Ok(attempts) } else { Err("torn".to_owned()) }
            },
        );
        let (events, counts) = recovery.report();
        assert!(events.iter().all(|event| event.detail == "torn" && event.decision == Decision::Retry));
        assert_eq!(counts.kinds["io"], counts.decisions["retry"]);
        (result, pauses, counts.decisions["retry"])
    }

    #[test]
    fn what_may_pass_is_tried_again() {
        assert_eq!(persisted(0, true), (Ok(1), 0, 0));
        assert_eq!(persisted(2, true), (Ok(3), 2, 2));
        assert_eq!(persisted(9, true), (Err("torn".to_owned()), 3, 3));
        assert_eq!(persisted(9, false), (Err("torn".to_owned()), 0, 0));
    }

    #[test]
    fn errors_of_the_file_system() {
        for (code, kind, transient) in [
            (libc::ENOENT, Trouble::NotFound, false),
            (libc::EACCES, Trouble::Permission, false),
            (libc::EIO, Trouble::Io, true),
            (libc::EMFILE, Trouble::Io, true),
            (libc::EISDIR, Trouble::Io, false),
            (libc::ESTALE, Trouble::Io, true),
        ] {
            let error = std::io::Error::from_raw_os_error(code);
            assert_eq!((Trouble::of_io(&error), is_transient(&error)), (kind, transient), "{error}");
        }
    }

    #[test]
    fn all_are_counted_and_some_kept() {
        let recovery = Recovery::default();
        for number in 0..KEPT + 5 {
            recovery.record(Trouble::NotFound, Decision::Skip, &format!("{number:05}"), "gone");
        }
        recovery.record(Trouble::WorkerStart, Decision::Degrade, "", "no children");
        let (events, counts) = recovery.report();
        assert_eq!(events.len(), KEPT + 1);
        assert_eq!(events[0].decision, Decision::Degrade);
        assert_eq!((counts.kinds["not_found"], counts.decisions["skip"]), (KEPT as u64 + 5, KEPT as u64 + 5));
        assert_eq!(counts.decisions["degrade"], 1);
    }
}
