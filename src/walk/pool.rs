//! A depth-first traversal shared by a few threads. Knows nothing of what a task is.

use crate::sync::locked;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Tasks that one thread does alone before it calls others: starting a thread costs more than a tiny tree.
const ALONE: usize = 24;

struct Queue<T> {
    tasks: Vec<T>,
    idle: usize,
    done: bool,
}

struct Shared<T> {
    queue: Mutex<Queue<T>>,
    wake: Condvar,
    hungry: AtomicUsize,
    workers: usize,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, Queue<T>> {
        locked(&self.queue)
    }

    fn finish(&self) {
        self.lock().done = true;
        self.wake.notify_all();
    }

    /// Waits for tasks; false when there are none left anywhere.
    fn refill(&self, local: &mut Vec<T>) -> bool {
        let mut queue = self.lock();
        queue.idle += 1;
        self.hungry.fetch_add(1, Ordering::Relaxed);
        loop {
            if queue.done {
                return false;
            }
            if !queue.tasks.is_empty() {
                let keep = queue.tasks.len() / 2;
                local.extend(queue.tasks.drain(keep..));
                queue.idle -= 1;
                self.hungry.fetch_sub(1, Ordering::Relaxed);
                return true;
            }
            if queue.idle == self.workers {
                queue.done = true;
                self.wake.notify_all();
                return false;
            }
            queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Lets the other threads end when one panics.
struct EndOnPanic<'a, T>(&'a Shared<T>);

impl<T> Drop for EndOnPanic<'_, T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.finish();
        }
    }
}

/// Does `tasks` and all that `visit` pushes, on at most `threads` threads. Returns one output per thread.
pub(super) fn traverse<T: Send, O: Default + Send>(
    tasks: Vec<T>,
    threads: usize,
    visit: impl Fn(T, &mut Vec<T>, &mut O) + Sync,
) -> Vec<O> {
    let mut local = tasks;
    let mut first = O::default();
    let mut count = 0;
    while let Some(task) = local.pop() {
        visit(task, &mut local, &mut first);
        count += 1;
        if count >= ALONE && threads > 1 && local.len() > 1 {
            break;
        }
    }
    if local.is_empty() {
        return vec![first];
    }
    let shared = Shared {
        queue: Mutex::new(Queue { tasks: Vec::new(), idle: 0, done: false }),
        wake: Condvar::new(),
        hungry: AtomicUsize::new(0),
        workers: threads,
    };
    let work = |mut local: Vec<T>, mut output: O| {
        let _guard = EndOnPanic(&shared);
        loop {
            while let Some(task) = local.pop() {
                visit(task, &mut local, &mut output);
                if local.len() > 1 && shared.hungry.load(Ordering::Relaxed) > 0 {
                    // The oldest are nearest the root and have most below them.
                    let give = local.len() / 2;
                    shared.lock().tasks.extend(local.drain(..give));
                    shared.wake.notify_all();
                }
            }
            if !shared.refill(&mut local) {
                return output;
            }
        }
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads)
            .map(|_| std::thread::Builder::new().spawn_scoped(scope, || work(Vec::new(), O::default())))
            .collect();
        let missing = others.iter().filter(|other| other.is_err()).count();
        if missing > 0 {
            // A thread that could not be started counts as idle for good.
            shared.lock().idle += missing;
        }
        let mut outputs = vec![work(local, first)];
        for other in others.into_iter().flatten() {
            match other.join() {
                Ok(output) => outputs.push(output),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        outputs
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_is_done_once() {
        for threads in [1, 2, 8] {
            let outputs = traverse(vec![0_u32], threads, |task, more, sum: &mut u64| {
                *sum += 1;
                if task < 12 {
                    more.extend([task + 1; 2]);
                }
            });
            assert_eq!(outputs.iter().sum::<u64>(), (1 << 13) - 1, "{threads} threads");
            assert!(outputs.len() <= threads);
        }
    }

    #[test]
    fn a_panic_ends_all_threads() {
        let result = std::panic::catch_unwind(|| {
            traverse(vec![0_u32], 4, |task, more, _: &mut ()| {
                assert!(task != 9, "injected");
                more.extend([task + 1; 2]);
            })
        });
        assert!(result.is_err());
    }
}
