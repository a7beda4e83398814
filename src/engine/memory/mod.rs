//! How much memory a run may take, and what is done to keep to it: files wait for their turn, are parsed in chunks
//! earlier, scratch is dropped, facts leave the heap. Must not know what facts are, and starts no thread.
//!
//! Files that could not matter, whatever is in them, cost nothing here but a comparison.

mod budget;
mod estimate;

use super::batch::SMALL;
use crate::cache::PackWriter;
use crate::config::Config;
use crate::link::Calls;
use crate::model::metrics::{MemoryDecisions, MemoryMetrics, MemoryPressure, megabytes};
use crate::split::{ChunkSize, Measure};
use crate::store::CodeGraph;
use crate::sync::{add, locked};
use crate::sys::{self, Bytes, Meter, Scratch, Spill};
pub use budget::Budget;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Bytes of source that a worker reads between two looks at how much memory there is: some milliseconds of parsing.
const LOOK: u64 = 1 << 20;
/// Bytes of mapped files above which their pages are released, where memory is tight.
const PAGES: u64 = 8 << 20;
/// Bytes that are mapped around one that is read.
const FAULT: u64 = 64 << 10;
/// Bytes of a text that nobody wants in a vector, however much memory there is.
const HUGE: u64 = 16 << 20;
/// Bytes of a line, on average.
const LINE: u64 = 40;

/// How near memory is to the budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Pressure {
    /// Below `memory-threshold-mb`.
    #[default]
    None,
    /// Above it: chunks are half as large.
    Low,
    /// Three quarters of the budget are taken: facts leave the heap, half of the workers wait.
    High,
    /// Nine tenths are: one file after the other.
    Critical,
}

impl Pressure {
    const RISING: [Self; 3] = [Self::Low, Self::High, Self::Critical];

    fn of(number: u8) -> Self {
        Self::RISING.into_iter().find(|level| *level as u8 == number).unwrap_or_default()
    }
}

/// What is counted, by the decision.
#[derive(Debug, Default)]
struct Tallies {
    levels: [AtomicU64; 3],
    counted: AtomicU64,
    counted_bytes: AtomicU64,
    counted_sum: AtomicU64,
    largest: AtomicU64,
    waited: AtomicU64,
    alone: AtomicU64,
    held_back: AtomicU64,
    chunked_early: AtomicU64,
    scratch_dropped: AtomicU64,
    pages_returned: AtomicU64,
    packs_flushed: AtomicU64,
    looks: AtomicU64,
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// Files that are being parsed, of those that ask.
#[derive(Debug, Default)]
struct Gate {
    running: u64,
    reserved: u64,
}

/// What is looked at again and again, by one worker at a time.
#[derive(Debug, Default)]
struct Watch {
    peak: u64,
    /// What there was when scratch was last dropped.
    dropped_at: u64,
}

/// The memory of a run.
#[derive(Debug)]
pub(super) struct Memory {
    budget: Budget,
    /// Bytes from which on pressure is low, high, critical.
    bars: [u64; 3],
    /// Bytes that what is kept from phase to phase may take on the heap.
    heap: u64,
    /// Bytes that the files which ask may take together.
    room: u64,
    /// Files above this many bytes ask.
    asks_above: u64,
    workers: u64,
    chunk_above: u64,
    chunk: ChunkSize,
    /// Files above this many bytes are copied to a scratch file and mapped.
    map_above: u64,
    /// Where scratch files are made.
    folder: Option<PathBuf>,
    level: AtomicU8,
    /// Raised where workers should drop their scratch.
    drops: AtomicU32,
    gate: Mutex<Gate>,
    freed: Condvar,
    watch: Mutex<Watch>,
    tallies: Tallies,
    facts: Spill,
    links: Arc<Spill>,
    tables: Arc<Scratch>,
    /// Bytes that were read of facts since mapped pages were last looked at.
    touched: AtomicU64,
    meter: Meter,
    /// Bytes of mapped files when the run began: of the program itself.
    program: u64,
}

/// Sizes of the files that a run parsed, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Parsed {
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) largest: u64,
}

/// What a worker remembers between two files.
#[derive(Debug, Default)]
pub(super) struct Pace {
    unseen: u64,
    drops: u32,
}

/// How a file is to be parsed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// The chunks to parse it in; none means as a whole.
    pub(super) chunk: Option<ChunkSize>,
    /// Bytes that it needs room for; 0 where it need not ask.
    pub(super) cost: u64,
    /// What is kept from chunk to chunk goes to scratch files.
    pub(super) spill: bool,
}

/// The right to parse what was asked for. Dropped, it lets others begin.
#[derive(Debug)]
pub(super) struct Permit<'a>(Option<(&'a Memory, u64)>);

impl Permit<'_> {
    /// For what needs no room.
    pub(super) const fn none() -> Self {
        Self(None)
    }

    /// Whether others may be waiting for it.
    pub(super) fn holds_room(&self) -> bool {
        self.0.is_some()
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if let Some((memory, cost)) = self.0 {
            let mut gate = locked(&memory.gate);
            gate.running -= 1;
            gate.reserved -= cost;
            memory.freed.notify_all();
        }
    }
}

impl Memory {
    /// `folder`: where facts go that leave the heap. `heap`: bytes that stay there; if nothing is said an eighth of the budget, a quarter of that
    /// where values are to be followed, which takes what it needs from the heap.
    pub(super) fn new(config: &Config, folder: PathBuf, heap: Option<u64>) -> Self {
        let workers = config.max_workers().count().get() as u64;
        let budget = Budget::of(config);
        let meter = Meter::default();
        let taken = meter.resident_bytes();
        let share = if config.calls() == Calls::Flow { 32 } else { 8 };
        let tables = heap.map_or(budget.bytes / 16, |heap| heap / 2);
        let heap = heap.unwrap_or(budget.bytes / share);
        Self {
            facts: Spill::new(Some(folder.clone()), heap),
            links: Arc::new(Spill::new(Some(folder.clone()), heap)),
            folder: Some(folder.clone()),
            tables: Scratch::new(Some(folder), tables),
            heap,
            ..Self::within(budget, config, workers, meter, taken)
        }
    }

    /// With everything on the heap. `taken`: bytes that the process has already.
    fn within(budget: Budget, config: &Config, workers: u64, meter: Meter, taken: u64) -> Self {
        let bytes = budget.bytes;
        let threshold = config.memory_threshold_bytes();
        // A quarter is for facts and links; what workers keep from file to file is a few megabytes each.
        let room = (bytes / 4 * 3).saturating_sub(taken + workers * (4 << 20)).max(bytes / 8);
        let chunk_above = config.chunk_size_bytes();
        // A quarter of the room bounds all workers' files of this size, whatever is in them.
        let asks_above = (room / 4 / workers / estimate::WORST).min(chunk_above).max(SMALL);
        Self {
            bars: [threshold.min(bytes / 2), bytes / 4 * 3, bytes / 10 * 9],
            budget,
            heap: u64::MAX,
            room,
            asks_above,
            workers,
            chunk_above,
            chunk: config.chunk_size(),
            map_above: (room / 16 / workers).clamp(1 << 20, HUGE),
            folder: None,
            level: AtomicU8::new(0),
            drops: AtomicU32::new(0),
            gate: Mutex::default(),
            freed: Condvar::new(),
            watch: Mutex::new(Watch { peak: taken, dropped_at: 0 }),
            tallies: Tallies::default(),
            facts: Spill::none(),
            links: Arc::new(Spill::none()),
            tables: Scratch::none(),
            touched: AtomicU64::new(0),
            program: meter.mapped_bytes(),
            meter,
        }
    }

    /// The budget, bytes.
    pub(super) fn budget(&self) -> u64 {
        self.budget.bytes
    }

    /// Bytes above which a file is parsed in chunks where nothing presses.
    pub(super) fn chunk_above(&self) -> u64 {
        self.chunk_above
    }

    /// Bytes above which a file is not read into memory.
    pub(super) fn map_above(&self) -> u64 {
        self.map_above
    }

    /// Where scratch files are made.
    pub(super) fn scratch(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// Notes that a scratch file could not be made or written.
    pub(super) fn note(&self, error: io::Error) {
        self.facts.note(error);
    }

    /// Facts until they are linked.
    pub(super) fn facts(&self) -> &Spill {
        &self.facts
    }

    /// Links until they are stored.
    pub(super) fn links(&self) -> &Arc<Spill> {
        &self.links
    }

    /// Everything with a row for each file, symbol or the like.
    pub(super) fn tables(&self) -> &Arc<Scratch> {
        &self.tables
    }

    /// Bytes that what is kept from phase to phase may take on the heap.
    pub(super) fn heap_share(&self) -> u64 {
        self.heap
    }

    fn level(&self) -> Pressure {
        Pressure::of(self.level.load(Ordering::Relaxed))
    }

    /// How to parse a file. A text that is mapped takes no room.
    pub(super) fn plan(&self, text: &Bytes) -> Plan {
        let size = text.len() as u64;
        let level = self.level();
        let mut chunk = self.chunk_now(size).then(|| self.chunk_at(level));
        if size <= self.asks_above && level < Pressure::High {
            return Plan { chunk, cost: 0, spill: false };
        }
        let whole = estimate::whole(text);
        if chunk.is_none() && whole > self.room && size > SMALL {
            add(&self.tallies.chunked_early, 1);
            chunk = Some(self.chunk_at(Pressure::Critical));
        }
        let spill = chunk.is_some() && self.folder.is_some() && size * estimate::KEPT > self.room / 4;
        if spill {
            chunk = chunk.map(|chunk| self.fitting(chunk, whole / size));
        }
        let parsing = match chunk {
            None => whole,
            Some(chunk) if spill => estimate::spilled(whole, size, bytes_of(chunk)),
            Some(chunk) => estimate::chunked(whole, size, bytes_of(chunk)),
        };
        let cost = text.heap_bytes() + parsing;
        let tallies = &self.tallies;
        add(&tallies.counted, 1);
        add(&tallies.counted_bytes, size);
        add(&tallies.counted_sum, cost);
        tallies.largest.fetch_max(cost, Ordering::Relaxed);
        Plan { chunk, cost, spill }
    }

    /// Waits until `cost` fits beside what is being parsed; one may always run. Whoever asks must not hold a permit with room.
    pub(super) fn enter(&self, cost: u64) -> Permit<'_> {
        if cost == 0 {
            return Permit::none();
        }
        self.wait_for(cost);
        Permit(Some((self, cost)))
    }

    fn wait_for(&self, cost: u64) {
        let mut gate = locked(&self.gate);
        let mut waited = false;
        while gate.running > 0 {
            let most = match self.level() {
                Pressure::None | Pressure::Low => u64::MAX,
                Pressure::High => (self.workers / 2).max(1),
                Pressure::Critical => 1,
            };
            let fits = gate.reserved + cost <= self.room;
            if fits && gate.running < most {
                break;
            }
            if !waited {
                add(if fits { &self.tallies.held_back } else { &self.tallies.waited }, 1);
                waited = true;
            }
            gate = self.freed.wait(gate).unwrap_or_else(PoisonError::into_inner);
        }
        if cost > self.room {
            add(&self.tallies.alone, 1);
        }
        gate.running += 1;
        gate.reserved += cost;
    }

    /// Whether a file of `size` bytes is parsed in chunks. The higher the pressure, the smaller the file.
    pub(super) fn chunk_now(&self, size: u64) -> bool {
        if size > self.chunk_above {
            return true;
        }
        let early = size > SMALL && size > self.chunk_above >> self.level() as u8;
        if early {
            add(&self.tallies.chunked_early, 1);
        }
        early
    }

    /// Chunks of which one takes an eighth of the room at most, for a text that takes so many bytes for each of its own.
    fn fitting(&self, mut chunk: ChunkSize, times: u64) -> ChunkSize {
        while bytes_of(chunk) > SMALL && bytes_of(chunk) * times > self.room / 8 {
            chunk.limit /= 2;
        }
        chunk
    }

    fn chunk_at(&self, level: Pressure) -> ChunkSize {
        ChunkSize { limit: (self.chunk.limit >> level as u8).max(1), ..self.chunk }
    }

    /// To be called for each file that was read: looks at memory now and then. True where the worker should drop its scratch.
    pub(super) fn pace(&self, pace: &mut Pace, bytes: u64, packs: &PackWriter<'_>) -> bool {
        pace.unseen += bytes;
        if pace.unseen >= LOOK {
            pace.unseen = 0;
            self.look(packs);
        }
        let drops = self.drops.load(Ordering::Relaxed);
        std::mem::replace(&mut pace.drops, drops) != drops
    }

    /// Looks at how much memory there is and does what that asks for; nothing where another worker is looking.
    fn look(&self, packs: &PackWriter<'_>) {
        let Ok(mut watch) = self.watch.try_lock() else { return };
        let resident = self.meter.resident_bytes();
        add(&self.tallies.looks, 1);
        self.take(&mut watch, resident, || packs.flush());
    }

    /// What `resident` bytes ask for.
    fn take(&self, watch: &mut Watch, resident: u64, flush: impl FnOnce() -> bool) {
        watch.peak = watch.peak.max(resident);
        let before = self.level();
        // What has risen falls only when memory is clearly below the bar again.
        let reached = |level: &Pressure| {
            let bar = self.bars[*level as usize - 1];
            resident >= if before >= *level { bar / 16 * 15 } else { bar }
        };
        let level = Pressure::RISING.into_iter().filter(reached).max().unwrap_or_default();
        self.level.store(level as u8, Ordering::Relaxed);
        for risen in Pressure::RISING.into_iter().filter(|risen| *risen > before && *risen <= level) {
            add(&self.tallies.levels[risen as usize - 1], 1);
            tracing::info!("memory pressure is {risen:?} at {} MB", resident >> 20);
        }
        self.facts.set_full(level >= Pressure::High);
        let grown = resident > watch.dropped_at + self.budget.bytes / 16;
        if level > before || (level >= Pressure::High && grown) {
            watch.dropped_at = resident;
            self.drops.fetch_add(1, Ordering::Relaxed);
        }
        if level >= Pressure::High && before < Pressure::High && flush() {
            add(&self.tallies.packs_flushed, 1);
        }
        if level < before {
            // Whoever was held back may go on.
            drop(locked(&self.gate));
            self.freed.notify_all();
        }
    }

    /// Whether anything was done to keep to the budget.
    pub(super) fn is_tight(&self) -> bool {
        self.facts.spilled().0 > 0 || self.tables.written() > 0 || self.level() > Pressure::None
    }

    /// To be called where so many bytes of facts or links were read: where memory is tight, pages of files do not pile up. `graph`:
    /// some of them are in it.
    pub(super) fn relieve(&self, touched: u64, graph: Option<&CodeGraph>) {
        // One fault maps more than what was read.
        let touched = touched.max(FAULT);
        if !self.is_tight() || self.touched.fetch_add(touched, Ordering::Relaxed) + touched < PAGES / 8 {
            return;
        }
        self.touched.store(0, Ordering::Relaxed);
        if self.meter.mapped_bytes() < self.program + PAGES {
            return;
        }
        self.facts.release();
        self.links.release();
        graph.into_iter().for_each(CodeGraph::release);
        // Tables are asked again and again; what is read of facts is not.
        if self.meter.mapped_bytes() > self.program + 2 * PAGES {
            self.tables.release();
        }
    }

    /// To be called by a worker that has dropped its scratch: freed pages go back to the system.
    pub(super) fn dropped(&self) {
        add(&self.tallies.scratch_dropped, 1);
        sys::return_pages();
        add(&self.tallies.pages_returned, 1);
    }

    /// Whether what a worker keeps of a file of this size is too much to keep.
    pub(super) fn is_large(&self, size: u64) -> bool {
        size > self.asks_above && size > self.room / 64
    }

    /// What became of it.
    pub(super) fn metrics(&self, parsed: Parsed) -> MemoryMetrics {
        let tallies = &self.tallies;
        // Nobody counted the small ones.
        let of = |bytes: u64| bytes * (1 + estimate::TYPICAL);
        let small = of(parsed.bytes.saturating_sub(get(&tallies.counted_bytes)));
        let largest = get(&tallies.largest).max(of(parsed.largest.min(self.asks_above)));
        let (facts, links) = (self.facts.spilled(), self.links.spilled());
        let peak = locked(&self.watch).peak.max(self.meter.resident_bytes());
        let [low, high, critical] = [0, 1, 2].map(|level| get(&tallies.levels[level]));
        MemoryMetrics {
            budget_mb: megabytes(self.budget.bytes),
            budget_source: self.budget.source.clone(),
            peak_mb: megabytes(sys::peak_resident_bytes()),
            peak_private_mb: megabytes(peak),
            estimated_task_max_mb: megabytes(largest),
            estimated_task_mean_mb: megabytes((get(&tallies.counted_sum) + small) / parsed.files.max(1)),
            estimated_tasks: get(&tallies.counted),
            spilled_mb: megabytes(facts.1 + links.1 + self.tables.written()),
            pressure: MemoryPressure { low, high, critical },
            decisions: MemoryDecisions {
                waited_for_room: get(&tallies.waited),
                ran_alone: get(&tallies.alone),
                held_back: get(&tallies.held_back),
                chunked_early: get(&tallies.chunked_early),
                scratch_dropped: get(&tallies.scratch_dropped),
                pages_returned: get(&tallies.pages_returned),
                packs_flushed: get(&tallies.packs_flushed),
                facts_spilled: facts.0,
                links_spilled: links.0,
                looks: get(&tallies.looks),
            },
        }
    }

    /// What went less well than it should.
    pub(super) fn warnings(&self) -> Vec<String> {
        [self.facts.trouble(), self.links.trouble(), self.tables.trouble()]
            .into_iter()
            .flatten()
            .map(|(folder, error)| {
                format!(
                    "cannot write to a scratch file in `{}`: {error}; more is kept in memory than should be, free some space there",
                    folder.display()
                )
            })
            .collect()
    }
}

/// Bytes of a chunk, about.
fn bytes_of(chunk: ChunkSize) -> u64 {
    match chunk.measure {
        Measure::Ast | Measure::Bytes => chunk.limit as u64,
        Measure::Lines => chunk.limit as u64 * LINE,
    }
}

#[cfg(test)]
mod tests;
