//! The threads of a run. Where they can't be started it goes on with one, and in the end with the caller's own.

use super::recovery::{Decision, Recovery, Trouble};
use crate::extract::STACK;
use anyhow::Context as _;
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

thread_local! {
    /// A thread can be part of one pool only, for as long as it lives.
    static SERIAL: RefCell<Option<Arc<rayon::ThreadPool>>> = const { RefCell::new(None) };
}

/// Threads with the stack that extraction takes.
pub(super) struct Threads {
    pub(super) pool: Arc<rayon::ThreadPool>,
    /// They are the caller's thread.
    serial: bool,
}

impl Threads {
    /// Starts so many.
    pub(super) fn start(count: usize, recovery: &Recovery) -> anyhow::Result<Self> {
        let pool = |count: usize| pool(count).map_err(|error| error.to_string());
        Self::start_with(count, recovery, std::thread::sleep, pool)
    }

    fn start_with(
        count: usize,
        recovery: &Recovery,
        mut sleep: impl FnMut(Duration),
        mut pool: impl FnMut(usize) -> Result<rayon::ThreadPool, String>,
    ) -> anyhow::Result<Self> {
        let degrade = |instead: &str, why: &str| {
            let detail = format!("{instead}: threads cannot be started: {why}");
            recovery.record(Trouble::ThreadStart, Decision::Degrade, "", &detail);
        };
        match pool(count) {
            Ok(pool) => return Ok(Self { pool: Arc::new(pool), serial: false }),
            Err(why) => degrade(&format!("{count} threads to one thread"), &why),
        }
        match recovery.persist(Trouble::ThreadStart, "", |_| true, &mut sleep, || pool(1)) {
            Ok(pool) => return Ok(Self { pool: Arc::new(pool), serial: false }),
            Err(why) => degrade("one thread to the main thread", &why),
        }
        let pool = SERIAL.with_borrow_mut(|serial| match serial {
            Some(pool) => Ok(Arc::clone(pool)),
            None => {
                let pool =
                    Arc::new(rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build()?);
                *serial = Some(Arc::clone(&pool));
                Ok::<_, rayon::ThreadPoolBuildError>(pool)
            }
        });
        let pool =
            pool.context("cannot work on the main thread; raise the limit that stops other threads")?;
        Ok(Self { pool, serial: true })
    }

    /// Runs `work` where a stack as that of the threads is under it, if it may come to run on the caller's.
    pub(super) fn with_stack<T>(&self, work: impl FnOnce() -> T) -> T {
        if self.serial { stacker::grow(STACK, work) } else { work() }
    }
}

/// So many threads.
pub(super) fn pool(count: usize) -> Result<rayon::ThreadPool, rayon::ThreadPoolBuildError> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(count)
        .stack_size(STACK)
        .thread_name(|index| format!("worker-{index}"))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayon::prelude::*;

    #[test]
    fn fewer_threads_do_the_same() {
        // Twice, for the thread of the first run is that of the second.
        for _ in 0..2 {
            for (works_up_to, degraded, threads) in [(9, 0, 4), (1, 1, 1), (0, 2, 1)] {
                let recovery = Recovery::default();
                let threads_of = |count| {
                    if count > works_up_to {
                        Err("refused".to_owned())
                    } else {
                        Ok(pool(count).expect("threads"))
                    }
                };
                let started = Threads::start_with(4, &recovery, |_| (), threads_of).expect("threads");
                assert_eq!(started.pool.current_num_threads(), threads);
                let sum: u32 = started.with_stack(|| {
                    let broadcast: u32 = started.pool.broadcast(|_| 0).into_iter().sum();
                    broadcast + started.pool.install(|| (0..100u32).into_par_iter().sum::<u32>())
                });
                assert_eq!(sum, 4950);
                assert_eq!(recovery.report().1.decided("degrade"), degraded);
            }
        }
    }
}
