//! Pieces that idle threads of the pool parse before the visit comes to them.
//!
//! Nobody waits for what nobody has begun: the visit parses itself what it finds unclaimed, so that a pool whose threads
//! are all at work loses nothing. Starts no threads.

use super::{depth, parser};
use ruff_python_ast::{ModModule, PySourceType};
use ruff_python_parser::Parsed;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Pieces that are parsed ahead at most, of one text.
pub const AHEAD: u32 = 3;

/// Bytes below which a piece is parsed sooner than another thread would be awake.
pub(super) const WORTHWHILE: usize = 8 << 10;

/// True where this thread has others beside it that may be idle.
pub(super) fn has_helpers() -> bool {
    rayon::current_thread_index().is_some() && rayon::current_num_threads() > 1
}

/// ASTs that were visited, for whoever comes by to drop: that takes a tenth of the time of parsing.
#[derive(Clone, Debug, Default)]
pub(super) struct Spent {
    waiting: Arc<Mutex<Vec<Parsed<ModModule>>>>,
}

impl Spent {
    /// Leaves an AST to others, but for one of too many.
    pub(super) fn leave(&self, parsed: Parsed<ModModule>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < AHEAD as usize {
            waiting.push(parsed);
        }
    }

    fn clear(&self) {
        let spent = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        drop(spent);
    }
}

/// A piece that is given to the pool.
#[derive(Debug)]
pub(super) struct Job {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    done: Condvar,
    kind: PySourceType,
    spent: Spent,
}

#[derive(Debug)]
enum State {
    Waiting(String),
    Claimed,
    Done(Unseen),
    Panicked(Box<dyn Any + Send>),
}

/// An AST that was not visited: it may be too deep to be dropped.
#[derive(Debug)]
struct Unseen {
    parsed: Option<Parsed<ModModule>>,
    bytes: usize,
}

impl Drop for Unseen {
    fn drop(&mut self) {
        if let Some(parsed) = self.parsed.take()
            && depth::may_exceed(self.bytes, parsed.tokens(), depth::limit())
        {
            std::mem::forget(parsed);
        }
    }
}

impl Job {
    /// Gives `source` to whichever thread of the pool is idle.
    pub(super) fn new(source: String, kind: PySourceType, spent: Spent) -> Self {
        let state = Mutex::new(State::Waiting(source));
        let shared = Arc::new(Shared { state, done: Condvar::new(), kind, spent });
        let helper = Arc::clone(&shared);
        rayon::spawn(move || helper.help());
        Self { shared }
    }

    /// The AST, as [`parser::parse`] gives it; parses here what nobody has begun.
    pub(super) fn parsed(self) -> Option<Parsed<ModModule>> {
        let mut state = self.shared.lock();
        loop {
            match std::mem::replace(&mut *state, State::Claimed) {
                State::Waiting(source) => {
                    drop(state);
                    return parser::parse(&source, self.shared.kind);
                }
                State::Claimed => {
                    state = self.shared.done.wait(state).unwrap_or_else(PoisonError::into_inner)
                }
                State::Done(mut unseen) => return unseen.parsed.take(),
                State::Panicked(panic) => {
                    drop(state);
                    resume_unwind(panic)
                }
            }
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        // Whoever has not begun need not.
        let mut state = self.shared.lock();
        if matches!(*state, State::Waiting(_)) {
            *state = State::Claimed;
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn help(&self) {
        let mut state = self.lock();
        if !matches!(*state, State::Waiting(_)) {
            return;
        }
        let State::Waiting(source) = std::mem::replace(&mut *state, State::Claimed) else { return };
        drop(state);
        let parsed = catch_unwind(AssertUnwindSafe(|| parser::parse(&source, self.kind)));
        *self.lock() = match parsed {
            Ok(parsed) => State::Done(Unseen { parsed, bytes: source.len() }),
            Err(panic) => State::Panicked(panic),
        };
        self.done.notify_one();
        self.spent.clear();
    }
}
