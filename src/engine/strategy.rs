//! Which of threads and child processes parse, and how files are dealt out to them.

use super::batch::{SMALL, batches};
use super::children::{Child, End, Made, Task};
use super::files::{Loaded, Shared, Told};
use super::memory::{Permit, Plan};
use super::recovery::Decision;
use crate::config::Strategy;
use crate::sync::locked;
use crate::sys::Bytes;
use crate::walk::WalkedFile;
use rayon::prelude::*;
use std::collections::VecDeque;
use std::sync::Mutex;

/// Requests that a child has at a time: one that it works on, and the next.
const IN_FLIGHT: usize = 2;
/// An average above this means large files.
const LARGE: u64 = 1 << 20;
/// More files a processor than this are many.
const MANY: usize = 4;

/// The strategy that runs where `asked` is asked for, for so many files of so many bytes together.
///
/// Adaptive is the reference's rule: large files go to processes, many small ones to threads, few go both ways. Without children
/// to be had it means threads.
pub(super) fn choose(
    asked: Strategy,
    files: usize,
    bytes: u64,
    processors: usize,
    children: bool,
) -> Strategy {
    match asked {
        Strategy::Thread | Strategy::Process | Strategy::Hybrid => asked,
        Strategy::Adaptive if files == 0 || !children => Strategy::Thread,
        Strategy::Adaptive if bytes / files as u64 > LARGE => Strategy::Process,
        Strategy::Adaptive if files > processors * MANY => Strategy::Thread,
        Strategy::Adaptive => Strategy::Hybrid,
    }
}

/// Finds or makes the facts of all `files`, on the threads of `pool`.
pub(super) fn run(shared: &Shared<'_>, strategy: Strategy, files: &mut [u32], pool: &rayon::ThreadPool) {
    let size = |&file: &u32| shared.files[file as usize].stat.size;
    let batches = batches(files, pool.current_num_threads(), size);
    if matches!(strategy, Strategy::Thread | Strategy::Adaptive) {
        return pool.install(|| {
            batches.into_par_iter().with_max_len(1).for_each(|batch| shared.read(batch));
        });
    }
    let queue = Mutex::new(batches.into_iter());
    pool.broadcast(|_| {
        let mut driver = Driver {
            shared,
            all: strategy == Strategy::Process,
            child: None,
            waiting: VecDeque::new(),
            spare: Vec::new(),
        };
        loop {
            let next = locked(&queue).next();
            let Some(batch) = next else { break };
            driver.take(batch);
        }
        driver.drain(0);
    });
}

/// A file on its way through a child.
struct Job {
    /// Its place in the batch.
    slot: usize,
    loaded: Loaded,
    bytes: Bytes,
    plan: Plan,
    told: Told,
}

/// Files that were sent together and are not all answered.
struct Request<'s, 'b> {
    batch: &'b [u32],
    jobs: VecDeque<Job>,
    permit: Permit<'s>,
}

/// One thread with one child: it reads, looks up, compresses and stores, the child parses.
struct Driver<'s, 'b> {
    shared: &'s Shared<'s>,
    /// Every file goes to the child, not only the large ones.
    all: bool,
    child: Option<Child<'s>>,
    waiting: VecDeque<Request<'s, 'b>>,
    /// Buffers to read into.
    spare: Vec<Bytes>,
}

impl<'b> Driver<'_, 'b> {
    fn file(&self, number: u32) -> &WalkedFile {
        &self.shared.files[number as usize]
    }

    fn take(&mut self, batch: &'b [u32]) {
        let shared = self.shared;
        let large = |number: &u32| self.file(*number).stat.size >= shared.memory.chunk_above();
        if shared.fleet.is_degraded() || !(self.all || batch.iter().any(large)) {
            // A child that works while this thread does would be one worker too many.
            self.drain(0);
            return shared.read(batch);
        }
        let mut buffers: Vec<Bytes> =
            (0..batch.len()).map(|_| self.spare.pop().unwrap_or_default()).collect();
        let Some(loaded) = shared.load(batch, &mut buffers) else { return };
        let mut jobs = VecDeque::new();
        let mut cost = 0;
        for (slot, (loaded, bytes)) in loaded.into_iter().zip(buffers).enumerate() {
            let number = batch[slot];
            match shared.known(number, loaded) {
                Ok(found) => {
                    shared.ledger.put(number, found);
                    shared.tell(number, &Told::default());
                    self.reuse(bytes);
                }
                Err(loaded) => {
                    let plan = shared.memory.plan(&bytes);
                    // The text is there twice, unless both map the same file.
                    cost += plan.cost + if plan.cost > 0 { bytes.heap_bytes() } else { 0 };
                    jobs.push_back(Job { slot, loaded, bytes, plan, told: Told::default() });
                }
            }
        }
        if jobs.is_empty() {
            return;
        }
        // Whoever waits for room must have none that others wait for.
        let holds = self.waiting.iter().any(|request| request.permit.holds_room());
        self.drain(if cost > 0 && holds { 0 } else { IN_FLIGHT - 1 });
        let permit = shared.memory.enter(cost);
        self.waiting.push_back(Request { batch, jobs, permit });
        self.send(self.waiting.len() - 1);
    }

    /// Hands request number `at` to the child; parses it here, and all others that wait, where there can't be any.
    fn send(&mut self, at: usize) {
        let shared = self.shared;
        if self.child.is_none() {
            match shared.fleet.start(false) {
                Ok(child) => self.child = Some(child),
                Err(why) => {
                    shared.fleet.degrade(&why);
                    return self.parse_here();
                }
            }
        }
        let Some(child) = &mut self.child else { return };
        let request = &self.waiting[at];
        let tasks: Vec<Task<'_>> = request
            .jobs
            .iter()
            .map(|job| shared.task(request.batch[job.slot], &job.bytes, job.plan))
            .collect();
        let idle = self.waiting.iter().take(at).all(|before| before.jobs.is_empty());
        let largest = tasks.iter().map(|task| task.bytes.len()).max().unwrap_or(0);
        // An end is seen again where the first answer is missing.
        let _ = child.send(&tasks, idle, shared.fleet.allowance(largest));
    }

    /// Takes answers until no more than `most` requests wait.
    fn drain(&mut self, most: usize) {
        while self.waiting.len() > most {
            if self.shared.interrupt.is_requested() {
                self.child = None;
                self.waiting.clear();
                return;
            }
            match self.waiting[0].jobs.pop_front() {
                Some(job) => self.answer(job),
                None => {
                    self.waiting.pop_front();
                }
            }
        }
    }

    fn answer(&mut self, job: Job) {
        let (shared, fleet) = (self.shared, self.shared.fleet);
        let Some(child) = &mut self.child else { return };
        let number = self.waiting[0].batch[job.slot];
        let task = shared.task(number, &job.bytes, job.plan);
        let path = &shared.files[number as usize].path;
        let end = match child
            .receive(fleet.allowance(job.bytes.len()), |done| shared.tell_part(number, &job.told, done))
        {
            Ok(reply) => {
                let made = fleet.settle(path, task, reply);
                return self.settle(job, made);
            }
            Err(end) => end,
        };
        self.child = None;
        if end == End::Interrupted {
            return;
        }
        let made = fleet.suspect(path, task, &end);
        self.settle(job, made);
        // What the dead child had before it besides goes to its successor.
        if self.waiting.iter().any(|request| !request.jobs.is_empty()) {
            let (kind, words) = fleet.verdict(&end);
            let path = &shared.files[number as usize].path;
            shared.recovery.record(kind, Decision::Restart, path, &words);
        }
        let mut at = 0;
        // Where no child can be started, sending leaves nothing waiting.
        while at < self.waiting.len() {
            if !self.waiting[at].jobs.is_empty() {
                self.send(at);
            }
            at += 1;
        }
    }

    fn settle(&mut self, job: Job, made: Made) {
        let number = self.waiting[0].batch[job.slot];
        if let Some(known) = self.shared.settle_here(number, job.loaded, made) {
            self.shared.ledger.put(number, known);
        }
        self.shared.tell(number, &job.told);
        self.reuse(job.bytes);
    }

    fn reuse(&mut self, buffer: Bytes) {
        if buffer.mapped().is_none() && buffer.capacity() as u64 <= SMALL {
            self.spare.push(buffer);
        }
    }

    fn parse_here(&mut self) {
        let mut waiting = std::mem::take(&mut self.waiting);
        // Each file asks for its own.
        waiting.iter_mut().for_each(|request| request.permit = Permit::none());
        for mut request in waiting {
            for job in std::mem::take(&mut request.jobs) {
                if self.shared.interrupt.is_requested() {
                    return;
                }
                let number = request.batch[job.slot];
                if let Some(known) = self.shared.parse_here(number, job.loaded, &job.bytes, &job.told) {
                    self.shared.ledger.put(number, known);
                }
                self.shared.tell(number, &job.told);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_of_adaptive() {
        use Strategy::{Adaptive, Hybrid, Process, Thread};
        for (asked, files, bytes, children, expected) in [
            (Thread, 1, LARGE * 9, true, Thread),
            (Process, 100, 1, true, Process),
            (Hybrid, 100, 1, false, Hybrid),
            (Adaptive, 0, 0, true, Thread),
            (Adaptive, 3, LARGE * 3, true, Hybrid),
            (Adaptive, 3, LARGE * 3 + 3, true, Process),
            (Adaptive, 100, LARGE * 101, true, Process),
            (Adaptive, 8, 1000, true, Hybrid),
            (Adaptive, 9, 1000, true, Thread),
            (Adaptive, 1, LARGE * 9, false, Thread),
        ] {
            assert_eq!(choose(asked, files, bytes, 2, children), expected, "{asked} {files} {bytes}");
        }
    }
}
