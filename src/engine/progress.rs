//! Tells observers how far a run is, and tells a run when to stop.
//!
//! [`ProgressTracker`] is what workers call. For an observer that wants nothing it costs one branch a file, for a
//! throttled one two relaxed additions and a look at the clock. It must not know terminals: the observers that draw
//! or write are in `report`.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::sync::locked;

/// The stages of a run, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Looking for sources.
    Walk,
    /// Telling changed files from unchanged ones.
    Fingerprint,
    /// Loading cached facts.
    Cache,
    /// Parsing, extracting and encoding.
    Parse,
    /// Joining the facts of all files.
    Link,
    /// Writing the snapshot and the stores.
    Store,
}

impl Phase {
    /// Every phase, in order.
    pub const ALL: [Self; 6] =
        [Self::Walk, Self::Fingerprint, Self::Cache, Self::Parse, Self::Link, Self::Store];

    /// The name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Walk => "walk",
            Self::Fingerprint => "fingerprint",
            Self::Cache => "cache",
            Self::Parse => "parse",
            Self::Link => "link",
            Self::Store => "store",
        }
    }
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Progress<'a> {
    /// A file that was just completed or got on; none at the start and end of a phase.
    pub current_file: Option<&'a str>,
    /// Files completed in this phase.
    pub completed_files: u64,
    /// Files of this phase; 0 while unknown.
    pub total_files: u64,
    /// Bytes of source completed in this phase.
    pub bytes_done: u64,
    /// Bytes of source of this phase; 0 while unknown.
    pub total_bytes: u64,
    /// The phase.
    pub phase: Phase,
}

/// What is being done with a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StorePhase {
    /// Finding out what it holds and what differs.
    Compare,
    /// Writing what differs.
    Delta,
    /// Writing everything.
    Load,
    /// Nothing any more: it holds the graph.
    Done,
    /// Nothing any more: it could not be written.
    Failed,
}

impl StorePhase {
    /// The name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Compare => "compare",
            Self::Delta => "delta",
            Self::Load => "load",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// How far one store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct StoreProgress<'a> {
    /// Its kind.
    pub store: &'a str,
    /// What is done with it.
    pub store_phase: StorePhase,
    /// Rows that it took in this phase.
    pub rows_done: u64,
    /// Rows of this phase; 0 while unknown.
    pub total_rows: u64,
}

/// Someone who wants to know how far a run is. Called from any worker, by one at a time; counts never go down
/// within a phase.
pub trait ProgressObserver: Send + Sync {
    /// Takes an event. It should return quickly: a worker is waiting.
    fn update(&self, progress: &Progress<'_>);

    /// The time that should pass between two events of a phase; `None` means that no event is wanted at all. Zero,
    /// the default, asks for one a file. Starts and ends of phases always come.
    fn interval(&self) -> Option<Duration> {
        Some(Duration::ZERO)
    }

    /// Takes an event about a store, each of which is written on a thread of its own: events of several come by turns. Rows may go down where what failed is
    /// tried again.
    fn store(&self, _: &StoreProgress<'_>) {}

    /// The run is over, well or not; or its stores are, which come after it.
    fn finish(&self) {}
}

/// Wants nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NullObserver;

impl ProgressObserver for NullObserver {
    fn update(&self, _: &Progress<'_>) {}

    fn interval(&self) -> Option<Duration> {
        None
    }
}

impl<F: Fn(&Progress<'_>) + Send + Sync> ProgressObserver for F {
    fn update(&self, progress: &Progress<'_>) {
        self(progress);
    }
}

/// Counts what workers complete and passes it on, as often as the observer wants.
pub struct ProgressTracker {
    observer: Arc<dyn ProgressObserver>,
    interval: Option<Duration>,
    started: Instant,
    phase: AtomicU8,
    completed: AtomicU64,
    total: AtomicU64,
    bytes: AtomicU64,
    total_bytes: AtomicU64,
    /// Nanoseconds after `started` from which the next event may go out.
    due: AtomicU64,
    /// Held while an event goes out: events come one at a time and in order.
    sending: Mutex<()>,
}

impl ProgressTracker {
    /// A tracker for one run.
    #[must_use]
    pub fn new(observer: Arc<dyn ProgressObserver>) -> Self {
        Self {
            interval: observer.interval(),
            observer,
            started: Instant::now(),
            phase: AtomicU8::new(0),
            completed: AtomicU64::new(0),
            total: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            total_bytes: AtomicU64::new(0),
            due: AtomicU64::new(0),
            sending: Mutex::new(()),
        }
    }

    /// Who is told.
    #[must_use]
    pub fn observer(&self) -> Arc<dyn ProgressObserver> {
        Arc::clone(&self.observer)
    }

    /// Begins a phase of so many files and bytes (0 while unknown). Not to be called while workers report.
    pub fn start(&self, phase: Phase, total_files: u64, total_bytes: u64) {
        if self.interval.is_none() {
            return;
        }
        let _sending = locked(&self.sending);
        self.phase.store(phase as u8, Ordering::Relaxed);
        self.completed.store(0, Ordering::Relaxed);
        self.bytes.store(0, Ordering::Relaxed);
        self.total.store(total_files, Ordering::Relaxed);
        self.total_bytes.store(total_bytes, Ordering::Relaxed);
        self.send(None);
    }

    /// Counts one file, and so many bytes of it that were not counted before.
    pub fn file_done(&self, path: &Path, bytes: u64) {
        self.made(path, 1, bytes);
    }

    fn made(&self, path: &Path, files: u64, bytes: u64) {
        let Some(interval) = self.interval else { return };
        if interval.is_zero() {
            let _sending = locked(&self.sending);
            self.count(files, bytes);
            self.send(Some(path));
            return;
        }
        self.count(files, bytes);
        let now = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        if now < self.due.load(Ordering::Relaxed) {
            return;
        }
        if let Ok(_sending) = self.sending.try_lock() {
            let interval = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
            self.due.store(now.saturating_add(interval), Ordering::Relaxed);
            self.send(Some(path));
        }
    }

    /// Counts bytes of a file that is not completed yet.
    pub fn file_part(&self, path: &Path, bytes: u64) {
        self.made(path, 0, bytes);
    }

    /// Counts many files at once, as the cache does.
    pub fn files_done(&self, files: u64, bytes: u64) {
        if self.interval.is_some() {
            self.count(files, bytes);
        }
    }

    /// Ends the phase: the last event holds the final counts.
    pub fn end(&self) {
        if self.interval.is_some() {
            let _sending = locked(&self.sending);
            self.send(None);
        }
    }

    fn count(&self, files: u64, bytes: u64) {
        self.completed.fetch_add(files, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The caller holds `sending`.
    fn send(&self, path: Option<&Path>) {
        let name = path.map(Path::to_string_lossy);
        let completed_files = self.completed.load(Ordering::Relaxed);
        let bytes_done = self.bytes.load(Ordering::Relaxed);
        self.observer.update(&Progress {
            current_file: name.as_deref(),
            completed_files,
            total_files: self.total.load(Ordering::Relaxed),
            bytes_done,
            total_bytes: self.total_bytes.load(Ordering::Relaxed),
            phase: Phase::ALL[usize::from(self.phase.load(Ordering::Relaxed))],
        });
    }
}

impl Drop for ProgressTracker {
    fn drop(&mut self) {
        self.observer.finish();
    }
}

/// Passes on how far stores are, as often as the observer wants.
pub struct StoreTracker {
    observer: Arc<dyn ProgressObserver>,
    interval: Option<Duration>,
    /// Held while an event goes out.
    sending: Mutex<()>,
}

impl std::fmt::Debug for StoreTracker {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("StoreTracker").finish_non_exhaustive()
    }
}

impl StoreTracker {
    /// A tracker for the stores of one run.
    #[must_use]
    pub fn new(observer: Arc<dyn ProgressObserver>) -> Self {
        Self { interval: observer.interval(), observer, sending: Mutex::new(()) }
    }

    /// Begins a phase of a store of so many rows (0 while unknown).
    pub fn start(&self, store: &'static str, phase: StorePhase, total_rows: u64) -> StoreRows<'_> {
        let rows =
            StoreRows { tracker: self, store, phase, done: 0, total: total_rows, told: Instant::now() };
        rows.send();
        rows
    }

    /// No store is written any more.
    pub fn finish(&self) {
        if self.interval.is_some() {
            self.observer.finish();
        }
    }
}

/// One phase of one store.
pub struct StoreRows<'a> {
    tracker: &'a StoreTracker,
    store: &'static str,
    phase: StorePhase,
    done: u64,
    total: u64,
    told: Instant,
}

impl StoreRows<'_> {
    /// Counts rows that the store took.
    pub fn took(&mut self, rows: u64) {
        self.done += rows;
        if self.tracker.interval.is_some_and(|interval| self.told.elapsed() >= interval) {
            self.told = Instant::now();
            self.send();
        }
    }

    fn send(&self) {
        if self.tracker.interval.is_some() {
            let _sending = locked(&self.tracker.sending);
            self.tracker.observer.store(&StoreProgress {
                store: self.store,
                store_phase: self.phase,
                rows_done: self.done,
                total_rows: self.total,
            });
        }
    }
}

/// The run was interrupted; the process exits with 130.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("interrupted; what was finished is kept, run again to go on")]
pub struct Interrupted;

/// Asks a run to stop. Clones share one state.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Asks. Safe from a signal handler's thread; returns whether it had been asked before.
    pub fn request(&self) -> bool {
        self.0.swap(true, Ordering::Relaxed)
    }

    /// Whether somebody asked; one relaxed load, so workers may look at every file.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Stops the caller if somebody asked.
    ///
    /// # Errors
    ///
    /// [`Interrupted`] once [`Interrupt::request`] was called.
    pub fn check(&self) -> Result<(), Interrupted> {
        if self.is_requested() { Err(Interrupted) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Recorder {
        interval: Option<Duration>,
        seen: Mutex<Vec<(Phase, u64, u64)>>,
        finished: AtomicBool,
    }

    impl ProgressObserver for Recorder {
        fn update(&self, progress: &Progress<'_>) {
            let event = (progress.phase, progress.completed_files, progress.bytes_done);
            self.seen.lock().expect("a lock").push(event);
        }

        fn interval(&self) -> Option<Duration> {
            self.interval
        }

        fn finish(&self) {
            self.finished.store(true, Ordering::Relaxed);
        }
    }

    fn events(interval: Option<Duration>) -> Vec<(Phase, u64, u64)> {
        let recorder =
            Arc::new(Recorder { interval, seen: Mutex::default(), finished: AtomicBool::new(false) });
        let tracker = ProgressTracker::new(recorder.clone());
        tracker.start(Phase::Parse, 400, 4000);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..100).for_each(|_| tracker.file_done(Path::new("a.py"), 10)));
            }
        });
        tracker.end();
        drop(tracker);
        assert!(recorder.finished.load(Ordering::Relaxed));
        std::mem::take(&mut recorder.seen.lock().expect("a lock"))
    }

    #[test]
    fn every_file_is_seen_once_and_in_order() {
        let seen = events(Some(Duration::ZERO));
        let counts: Vec<u64> = seen.iter().map(|event| event.1).collect();
        let expected: Vec<u64> = (0..=400).chain([400]).collect();
        assert_eq!(counts, expected);
    }

    #[test]
    fn throttled_and_silent_observers() {
        let seen = events(Some(Duration::from_secs(3600)));
        assert_eq!(seen.first(), Some(&(Phase::Parse, 0, 0)));
        assert_eq!(seen.last(), Some(&(Phase::Parse, 400, 4000)));
        assert_eq!(seen.len(), 3, "start, the first file, end");
        assert!(events(None).is_empty());
    }

    #[test]
    fn interrupt_is_shared() {
        let interrupt = Interrupt::default();
        let other = interrupt.clone();
        assert_eq!(other.check(), Ok(()));
        assert!(!interrupt.request() && interrupt.request());
        assert_eq!(other.check(), Err(Interrupted));
    }
}
