//! Facts of one file: from the last snapshot, from the cache, or made anew.

use super::batch::SMALL;
use super::children::{Fleet, Made, STEP, Task, internal, unfit, words};
use super::ledger::{Ledger, Shape};
use super::memory::{Memory, Pace, Plan};
use super::progress::{Interrupt, ProgressTracker};
use super::recovery::{Decision, Recovery, Trouble, is_transient};
use crate::cache::{Cache, Compressor, ContentHash, DEFAULT_LEVEL, FactKey, PackWriter, RecordMeta};
use crate::model::facts::{self, EXTRACTOR_VERSION, col, file_flag};
use crate::model::source::FileKind;
use crate::parse::{Outcome, Scratch};
use crate::store::{CodeGraph, FileStatus};
use crate::sys::{Block, Bytes, BytesWriter, Mapped};
use crate::walk::{Stat, WalkedFile};
use blake2b_simd::many::MAX_DEGREE;
use hashbrown::HashTable;
use smallvec::SmallVec;
use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Where a file's facts are.
#[derive(Debug)]
pub(super) enum Facts {
    /// In the last snapshot, under this number.
    Kept(u32),
    /// Made or read in this run, and kept by [`Memory::facts`].
    Owned(Block),
    /// Nowhere: the file is skipped, for this reason.
    Skipped(String),
}

/// What is known of a file after its turn.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) facts: Facts,
    pub(super) facts_hash: [u8; 32],
    pub(super) key: FactKey,
    pub(super) content: ContentHash,
    pub(super) stat: Stat,
    pub(super) shape: Shape,
    pub(super) parse_us: u32,
    pub(super) created: u64,
    /// The facts were made in an earlier run.
    pub(super) cached: bool,
}

/// What an earlier run knew of facts.
pub(super) struct Recalled {
    pub(super) facts: Facts,
    pub(super) facts_hash: [u8; 32],
    pub(super) shape: Shape,
    pub(super) parse_us: u32,
    pub(super) created: u64,
}

/// What all workers share.
pub(super) struct Shared<'a> {
    pub(super) root: &'a Path,
    pub(super) files: &'a [WalkedFile],
    pub(super) cache: &'a Cache,
    pub(super) packs: &'a PackWriter<'a>,
    pub(super) previous: Option<&'a CodeGraph>,
    pub(super) by_key: Keys,
    /// Takes what becomes known of a file; nothing of those that an interrupted run does not reach.
    pub(super) ledger: &'a Ledger,
    pub(super) memory: &'a Memory,
    /// Bytes of the largest piece given to the parser, and the files parsed in chunks.
    pub(super) max_parse_unit: AtomicU64,
    pub(super) chunked_files: AtomicU64,
    /// Files after which a worker drops its scratch memory.
    pub(super) gc_threshold: u64,
    pub(super) tracker: &'a ProgressTracker,
    pub(super) interrupt: &'a Interrupt,
    pub(super) fleet: &'a Fleet<'a>,
    pub(super) recovery: &'a Recovery,
}

/// A file that was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loaded {
    stat: Stat,
    content: ContentHash,
    key: FactKey,
}

/// A file that could not be read.
#[derive(Debug)]
pub(super) struct Unread {
    kind: Trouble,
    reason: String,
    transient: bool,
}

impl std::fmt::Display for Unread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.reason)
    }
}

/// What became of the files of a batch, one by one.
pub(super) type Batch = SmallVec<[Result<Loaded, Unread>; MAX_DEGREE]>;

/// A worker's own memory, reused from file to file.
#[derive(Default)]
struct Worker {
    scratch: Scratch,
    compressor: Option<Compressor>,
    /// One for each file of a batch; large files are alone in theirs, so only the first grows.
    buffers: Vec<Bytes>,
    files: u64,
    pace: Pace,
}

thread_local! {
    static WORKER: RefCell<Worker> = RefCell::default();
}

/// Bytes of a file that were told of before it was done.
#[derive(Debug, Default)]
pub(super) struct Told(Cell<u64>);

/// Drops what this thread keeps from file to file, and gives it back to the system.
pub(super) fn drop_scratch(memory: &Memory) {
    drop(WORKER.take());
    memory.dropped();
}

/// Bytes above which a file is not read: offsets are 32 bits wide.
const MAX_BYTES: u64 = u32::MAX as u64 - 1;
/// Bytes of facts that are compressed in one piece, with room for the result.
const STREAMED: usize = 4 << 20;
/// Bytes of a file that are copied at a time.
const COPIED: usize = 1 << 20;

impl Shared<'_> {
    /// Facts under `key`, if the last snapshot or a pack has them.
    pub(super) fn recall(&self, key: &FactKey) -> Option<Recalled> {
        if let Some(previous) = self.previous
            && let Some(number) = self.by_key.find(previous, key)
        {
            let file = previous.file(number);
            if let Some(block) = file.facts_bytes() {
                return Some(Recalled {
                    facts: Facts::Kept(number),
                    facts_hash: file.facts_hash(),
                    shape: Shape::of(block),
                    parse_us: file.parse_us(),
                    created: 0,
                });
            }
        }
        let record = self.cache.get(key)?;
        facts::Facts::open(&record.raw)?;
        let (facts_hash, shape) = (hash_facts(&record.raw), Shape::of(&record.raw));
        let facts = Facts::Owned(self.memory.facts().keep(record.raw));
        let (parse_us, created) = (record.meta.parse_duration_us, record.meta.created);
        Some(Recalled { facts, facts_hash, shape, parse_us, created })
    }

    /// Reads the files of `batch` into buffers, one each, and hashes them together; `None` where the run was interrupted.
    pub(super) fn load(&self, batch: &[u32], buffers: &mut [Bytes]) -> Option<Batch> {
        let mut read: SmallVec<[Result<Taken, Unread>; MAX_DEGREE]> = SmallVec::new();
        for (&number, buffer) in batch.iter().zip(buffers.iter_mut()) {
            if self.interrupt.is_requested() {
                return None;
            }
            let done = self.read_stable(&self.files[number as usize], buffer);
            if done.is_err() {
                // Nobody asks for the hash of what was left in it.
                buffer.heap_mut().clear();
            }
            read.push(done);
        }
        // What is mapped was hashed as it was copied.
        let unhashed = |buffer: &'_ Bytes| if buffer.mapped().is_some() { 0 } else { buffer.len() };
        let contents =
            ContentHash::of_many(buffers[..batch.len()].iter().map(|buffer| &buffer[..unhashed(buffer)]));
        let loaded = |((read, content), &number): ((Result<Taken, Unread>, ContentHash), &u32)| {
            let kind = self.files[number as usize].kind;
            read.map(|Taken { stat, hashed }| {
                let content = hashed.unwrap_or(content);
                let key = FactKey::new(&content, kind, EXTRACTOR_VERSION, &[], &[]);
                Loaded { stat, content, key }
            })
        };
        Some(read.into_iter().zip(contents).zip(batch).map(loaded).collect())
    }

    /// Reads the files of `batch`, hashes them together, and finds or makes the facts of each.
    pub(super) fn read(&self, batch: &[u32]) {
        let mut buffers = WORKER.with_borrow_mut(|worker| std::mem::take(&mut worker.buffers));
        if buffers.len() < batch.len() {
            buffers.resize_with(batch.len(), Bytes::default);
        }
        let Some(loaded) = self.load(batch, &mut buffers) else { return };
        let mut spent = false;
        for ((&number, bytes), loaded) in batch.iter().zip(&buffers).zip(loaded) {
            if self.interrupt.is_requested() {
                return;
            }
            let told = Told::default();
            let known = WORKER.with_borrow_mut(|worker| {
                worker.files += 1;
                let pressed = self.memory.pace(&mut worker.pace, bytes.len() as u64, self.packs);
                if pressed || worker.files.is_multiple_of(self.gc_threshold.max(1)) {
                    let pace = std::mem::take(&mut worker.pace);
                    *worker = Worker { files: worker.files, pace, ..Worker::default() };
                    spent = true;
                }
                spent |= self.memory.is_large(bytes.len() as u64);
                match self.known(number, loaded) {
                    Ok(known) => Some(known),
                    Err(loaded) => self.parse(number, loaded, bytes, &told, worker),
                }
            });
            if let Some(known) = known {
                self.ledger.put(number, known);
            }
            // With nothing borrowed: an observer may make this thread take up another batch.
            self.tell(number, &told);
        }
        if spent {
            drop(buffers);
            WORKER.with_borrow_mut(|worker| worker.scratch = Scratch::default());
            self.memory.dropped();
            return;
        }
        // A file may have grown since the walk; what one buffer may keep is not for each to keep.
        for (at, buffer) in buffers.iter_mut().enumerate() {
            if at > 0 && buffer.capacity() as u64 > SMALL || buffer.mapped().is_some() {
                *buffer = Bytes::default();
            }
        }
        WORKER.with_borrow_mut(|worker| worker.buffers = buffers);
    }

    /// What is known of a file without parsing it: that it can't be read, or its facts of an earlier run. Otherwise gives
    /// back what is needed to settle it.
    pub(super) fn known(&self, number: u32, loaded: Result<Loaded, Unread>) -> Result<Known, Loaded> {
        let Loaded { stat, content, key } = match loaded {
            Ok(loaded) => loaded,
            Err(unread) => {
                let file = &self.files[number as usize];
                self.recovery.record(unread.kind, Decision::Skip, &file.path, &unread.reason);
                return Ok(skipped(file.stat, unread.reason));
            }
        };
        match self.recall(&key) {
            Some(recalled) => Ok(self.known_again(recalled, key, content, stat)),
            None => Err(Loaded { stat, content, key }),
        }
    }

    /// What is known of a file whose facts an earlier run made.
    pub(super) fn known_again(
        &self,
        recalled: Recalled,
        key: FactKey,
        content: ContentHash,
        stat: Stat,
    ) -> Known {
        let Recalled { facts, facts_hash, shape, parse_us, created } = recalled;
        self.count_kept(&facts, parse_us);
        Known { facts, facts_hash, key, content, stat, shape, parse_us, created, cached: true }
    }

    /// What is to be done with a file.
    pub(super) fn task<'t>(&self, number: u32, bytes: &'t Bytes, plan: Plan) -> Task<'t> {
        let stub = self.files[number as usize].kind == FileKind::Pyi;
        let Plan { chunk, spill, .. } = plan;
        Task { bytes, file: bytes.mapped().map(Mapped::file), stub, chunk, spill }
    }

    /// Tells that a file is done, of which so much was told before.
    pub(super) fn tell(&self, number: u32, told: &Told) {
        let file = &self.files[number as usize];
        self.tracker.file_done(Path::new(&file.path), file.stat.size.saturating_sub(told.0.get()));
    }

    /// Tells that so many bytes of a file are done.
    pub(super) fn tell_part(&self, number: u32, told: &Told, done: u64) {
        let file = &self.files[number as usize];
        let (before, done) = (told.0.get(), done.min(file.stat.size));
        if done >= before + STEP {
            told.0.set(done);
            self.tracker.file_part(Path::new(&file.path), done - before);
        }
    }

    fn parse(
        &self,
        number: u32,
        loaded: Loaded,
        bytes: &Bytes,
        told: &Told,
        worker: &mut Worker,
    ) -> Option<Known> {
        let scratch = &mut worker.scratch;
        let plan = self.memory.plan(bytes);
        let _permit = self.memory.enter(plan.cost);
        // Time spent waiting for room is none of the file's.
        let started = Instant::now();
        let task = self.task(number, bytes, plan);
        let spill = self.memory.scratch().filter(|_| plan.spill);
        let watch = |done: usize| {
            self.tell_part(number, told, done as u64);
            !self.interrupt.is_requested()
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            scratch.parse_watched(bytes, task.stub, plan.chunk, spill, &watch)
        }));
        let made = match outcome {
            Ok(None) => return None,
            Ok(Some((Outcome::Facts(block), largest))) => {
                let largest = largest as u64;
                let parse_us = u32::try_from(started.elapsed().as_micros()).unwrap_or(u32::MAX);
                Made::Facts { block, parse_us, largest, chunked: plan.chunk.is_some() }
            }
            Ok(Some((Outcome::Unfit(why), _))) => unfit(why),
            Ok(Some((Outcome::TooDeep, _))) => self.fleet.nested(&self.files[number as usize].path, task),
            Ok(Some((Outcome::TooLarge, _))) => self.fleet.large(&self.files[number as usize].path, task),
            Err(panic) => {
                *scratch = Scratch::default();
                internal(words(&*panic))
            }
        };
        self.settle(number, loaded, made, &mut worker.compressor)
    }

    /// Parses on this thread.
    pub(super) fn parse_here(
        &self,
        number: u32,
        loaded: Loaded,
        bytes: &Bytes,
        told: &Told,
    ) -> Option<Known> {
        WORKER.with_borrow_mut(|worker| self.parse(number, loaded, bytes, told, worker))
    }

    /// Keeps what was made elsewhere of a file.
    pub(super) fn settle_here(&self, number: u32, loaded: Loaded, made: Made) -> Option<Known> {
        WORKER.with_borrow_mut(|worker| self.settle(number, loaded, made, &mut worker.compressor))
    }

    fn settle(
        &self,
        number: u32,
        loaded: Loaded,
        made: Made,
        compressor: &mut Option<Compressor>,
    ) -> Option<Known> {
        let path = &self.files[number as usize].path;
        let Loaded { stat, content, key } = loaded;
        let (block, parse_us) = match made {
            Made::Facts { block, parse_us, largest, chunked } => {
                self.max_parse_unit.fetch_max(largest, Ordering::Relaxed);
                self.chunked_files.fetch_add(chunked.into(), Ordering::Relaxed);
                (block, parse_us)
            }
            Made::Skipped(kind, reason) => {
                self.recovery.record(kind, Decision::Skip, path, &reason);
                return Some(Known { content, key, ..skipped(stat, reason) });
            }
            Made::Interrupted => return None,
        };
        if u32::try_from(block.len()).is_err() {
            let reason =
                format!("too large: its facts take {} bytes, 4 GiB and more are not kept", block.len());
            self.recovery.record(Trouble::Io, Decision::Skip, path, &reason);
            return Some(Known { content, key, ..skipped(stat, reason) });
        }
        let flags = facts::Facts::open(&block).map_or(0, |facts| facts.get(col::FILE_FLAGS, 0));
        if flags & file_flag::LOSSY != 0 {
            let detail = "bytes that its encoding does not know are read as U+FFFD";
            self.recovery.record(Trouble::Decode, Decision::Substitute, path, detail);
        }
        let created = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        if self.cache.is_enabled() {
            self.store(&key, &block, RecordMeta { parse_duration_us: parse_us, created }, compressor);
        }
        let (facts_hash, shape) = (hash_facts(&block), Shape::of(&block));
        let facts = Facts::Owned(self.memory.facts().keep(block));
        Some(Known { facts, facts_hash, key, content, stat, shape, parse_us, created, cached: false })
    }

    /// Appends facts to the pack of this run.
    fn store(&self, key: &FactKey, block: &[u8], meta: RecordMeta, compressor: &mut Option<Compressor>) {
        if block.len() > STREAMED {
            self.packs.append_reader(key, &mut &*block, DEFAULT_LEVEL, meta);
            return;
        }
        if compressor.is_none() {
            *compressor = Compressor::new(DEFAULT_LEVEL).ok();
        }
        if let Some(compressor) = compressor {
            self.packs.append(key, &compressor.compress(block), meta);
        }
    }

    /// Reads a file into `buffer`; again where it changed meanwhile or a read failed that may succeed later.
    fn read_stable(&self, file: &WalkedFile, buffer: &mut Bytes) -> Result<Taken, Unread> {
        let path = file.os_path(self.root);
        self.recovery.persist(
            Trouble::Io,
            &file.path,
            |unread: &Unread| unread.transient,
            std::thread::sleep,
            || read_once(&path, buffer, self.memory),
        )
    }

    /// Counts a hit that the snapshot answered; those of packs count themselves.
    pub(super) fn count_kept(&self, facts: &Facts, parse_us: u32) {
        if matches!(facts, Facts::Kept(_)) {
            self.cache.count_hits(1, parse_us.into());
        }
    }
}

/// Files of a snapshot by the key of their facts.
#[derive(Default)]
pub(super) struct Keys(HashTable<u32>);

impl Keys {
    pub(super) fn of(graph: &CodeGraph) -> Self {
        let hash = |number: u32| leading(&graph.file(number).key());
        let mut table = HashTable::with_capacity(graph.len() as usize);
        for number in (0..graph.len()).filter(|&number| graph.file(number).status() != FileStatus::Skipped) {
            table.insert_unique(hash(number), number, |&number| hash(number));
        }
        Self(table)
    }

    fn find(&self, graph: &CodeGraph, key: &FactKey) -> Option<u32> {
        self.0.find(leading(key), |&number| graph.file(number).key() == *key).copied()
    }
}

/// A key is a hash by itself.
fn leading(key: &FactKey) -> u64 {
    key.0.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// A file without facts.
pub(super) fn skipped(stat: Stat, reason: String) -> Known {
    Known {
        facts: Facts::Skipped(reason),
        facts_hash: [0; 32],
        key: FactKey([0; 32]),
        content: ContentHash([0; 32]),
        stat,
        shape: Shape::NONE,
        parse_us: 0,
        created: 0,
        cached: false,
    }
}

/// Goes into the graph's digest and names nothing: BLAKE2bp, for it uses the vector unit within one input.
fn hash_facts(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(blake2b_simd::blake2bp::Params::new().hash_length(32).hash(bytes).as_bytes());
    hash
}

/// A file that was read.
struct Taken {
    /// From before the read.
    stat: Stat,
    /// Its hash, where that was made while it was copied.
    hashed: Option<ContentHash>,
}

fn read_once(path: &Path, buffer: &mut Bytes, memory: &Memory) -> Result<Taken, Unread> {
    let (open, before) = open_regular(path)?;
    if before.size > MAX_BYTES {
        let reason = format!("too large: {} bytes, files of 4 GiB and more are not read", before.size);
        return Err(Unread { kind: Trouble::Io, reason, transient: false });
    }
    // One byte more, so that the end is seen without growing the buffer. Bounded, which also spares the system calls that
    // would ask for the size once more.
    let bounded = (&open).take(before.size + 1);
    let hashed = if before.size > memory.map_above() {
        let (bytes, hash) = copy(bounded, memory).map_err(|error| explain(&error))?;
        *buffer = bytes;
        hash
    } else {
        read_whole(bounded, buffer.heap_mut()).map_err(|error| explain(&error))?;
        None
    };
    let after = Stat::of(&open.metadata().map_err(|error| explain(&error))?);
    if before == after && buffer.len() as u64 == before.size {
        return Ok(Taken { stat: before, hashed });
    }
    let reason =
        "it changed during each of four attempts to read it; run again when it is at rest".to_owned();
    Err(Unread { kind: Trouble::Io, reason, transient: true })
}

fn read_whole(mut from: io::Take<&std::fs::File>, buffer: &mut Vec<u8>) -> io::Result<()> {
    buffer.clear();
    buffer.reserve_exact(from.limit() as usize);
    from.read_to_end(buffer).map(|_| ())
}

/// Copies a file to a scratch file, which can be mapped without a fear that somebody cuts it off; with the hash of what was
/// mapped. Where there can be no scratch file it is read into memory.
fn copy(mut from: impl Read, memory: &Memory) -> io::Result<(Bytes, Option<ContentHash>)> {
    let mut out = BytesWriter::new(memory.scratch(), 0);
    let (mut state, mut block) = (ContentHash::state(), vec![0; COPIED]);
    loop {
        match from.read(&mut block) {
            Ok(0) => break,
            Ok(count) => {
                state.update(&block[..count]);
                out.write_all(&block[..count])?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    if let Some(error) = out.take_trouble() {
        memory.note(error);
    }
    let bytes = out.finish()?;
    let hash = ContentHash::of_state(&state).filter(|_| bytes.mapped().is_some());
    Ok((bytes, hash))
}

/// Opens a regular file and stats it; never waits for the other end of a pipe.
fn open_regular(path: &Path) -> Result<(std::fs::File, Stat), Unread> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let open =
        std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW).open(path);
    let open = open.map_err(|error| explain(&error))?;
    match open.metadata() {
        Ok(meta) if meta.is_file() => Ok((open, Stat::of(&meta))),
        Ok(_) => {
            let reason = "it is no regular file any more".to_owned();
            Err(Unread { kind: Trouble::NotFound, reason, transient: false })
        }
        Err(error) => Err(explain(&error)),
    }
}

fn explain(error: &std::io::Error) -> Unread {
    let kind = Trouble::of_io(error);
    let reason = match kind {
        Trouble::NotFound => "it was removed after the walk".to_owned(),
        Trouble::Permission => "permission denied; make it readable or exclude it".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    Unread { kind, reason, transient: is_transient(error) }
}

#[cfg(test)]
mod tests {
    use super::super::ledger::Row;
    use super::*;
    use crate::config::Config;
    use crate::engine::progress::{NullObserver, Progress, ProgressObserver};
    use std::sync::Arc;

    /// Files by name and text, written; `None` is listed and then not there.
    fn tree(texts: &[(&str, Option<&str>)]) -> (tempfile::TempDir, Vec<WalkedFile>) {
        let folder = tempfile::tempdir().expect("a folder");
        let walked = |&(name, text): &(&str, Option<&str>)| {
            let mut stat = Stat::default();
            if let Some(text) = text {
                let path = folder.path().join(name);
                std::fs::write(&path, text).expect("a file");
                stat = Stat::of(&path.metadata().expect("its stat"));
            }
            WalkedFile { path: name.to_owned(), kind: FileKind::Py, stat }
        };
        let files = texts.iter().map(walked).collect();
        (folder, files)
    }

    struct Case<'a> {
        root: &'a Path,
        files: &'a [WalkedFile],
        gc_threshold: u64,
        interrupt: Interrupt,
        observer: Arc<dyn ProgressObserver>,
    }

    impl Case<'_> {
        /// Reads all files, so many at a time, with a worker that nobody used.
        fn read(&self, at_once: usize) -> Vec<String> {
            WORKER.take();
            let cache = Cache::disabled();
            let recovery = Recovery::default();
            let limits = (0, std::time::Duration::from_secs(60));
            let fleet = Fleet::new(None, None, limits, self.gc_threshold, &recovery, &self.interrupt);
            let ledger = Ledger::new(self.files.len(), &crate::sys::Scratch::none());
            let shared = Shared {
                root: self.root,
                files: self.files,
                cache: &cache,
                packs: &cache.pack_writer(),
                previous: None,
                by_key: Keys::default(),
                ledger: &ledger,
                memory: &Memory::new(
                    &Config::builder(self.root).build().expect("valid"),
                    self.root.to_owned(),
                    None,
                ),
                max_parse_unit: AtomicU64::new(0),
                chunked_files: AtomicU64::new(0),
                gc_threshold: self.gc_threshold,
                tracker: &ProgressTracker::new(Arc::clone(&self.observer)),
                interrupt: &self.interrupt,
                fleet: &fleet,
                recovery: &recovery,
            };
            let numbers: Vec<u32> = (0..self.files.len() as u32).collect();
            numbers.chunks(at_once).for_each(|batch| shared.read(batch));
            drop(shared);
            let settled = ledger.close();
            numbers.iter().map(|&number| essence(settled.facts(number), settled.row(number))).collect()
        }
    }

    /// All but the times.
    fn essence(facts: &Facts, row: Row) -> String {
        format!("{facts:?} {:?}", Row { parse_us: 0, created: 0, ..row })
    }

    #[test]
    fn a_batch_is_its_files_one_by_one() {
        let deep = "(".repeat(70_000);
        let long = "x = 1\n".repeat(20_000);
        let (folder, files) = tree(&[
            ("a.py", Some("def a():\n    return b()\n")),
            ("gone.py", None),
            ("empty.py", Some("")),
            ("deep.py", Some(&deep)),
            ("grown.py", Some(&long)),
            ("broken.py", Some("def (:\n")),
            ("b.py", Some("import a\n")),
            ("again.py", Some("def a():\n    return b()\n")),
            ("last.py", Some("class Last: pass\n")),
        ]);
        let case = |gc_threshold| Case {
            root: folder.path(),
            files: &files,
            gc_threshold,
            interrupt: Interrupt::default(),
            observer: Arc::new(NullObserver),
        };
        let alone = case(1000).read(1);
        assert_eq!(alone.len(), files.len());
        assert!(alone[1].contains("removed after the walk"), "{}", alone[1]);
        assert!(alone[3].contains("nesting"), "{}", alone[3]);
        for (at_once, gc_threshold) in [(2, 1000), (3, 1000), (4, 1000), (9, 1000), (4, 1), (4, 3), (4, 4)] {
            let together = case(gc_threshold).read(at_once);
            assert_eq!(together, alone, "{at_once} at once, scratch dropped each {gc_threshold}");
            let kept = WORKER.take();
            assert!(kept.buffers.iter().skip(1).all(|buffer| buffer.capacity() as u64 <= SMALL));
            assert!(kept.buffers.iter().all(|buffer| buffer.mapped().is_none()));
            assert_eq!(kept.files, files.len() as u64);
        }
    }

    #[test]
    fn an_interrupt_ends_a_batch() {
        let (folder, files) =
            tree(&[("a.py", Some("a = 1\n")), ("b.py", Some("b = 1\n")), ("c.py", Some(""))]);
        let interrupt = Interrupt::default();
        let asked = interrupt.clone();
        let observer = move |progress: &Progress<'_>| {
            if progress.completed_files == 2 {
                asked.request();
            }
        };
        let case = Case {
            root: folder.path(),
            files: &files,
            gc_threshold: 1000,
            interrupt,
            observer: Arc::new(observer),
        };
        let reached =
            |known: &[String]| known.iter().map(|known| !known.contains("not reached")).collect::<Vec<_>>();
        assert_eq!(reached(&case.read(3)), [true, true, false]);
        assert_eq!(reached(&case.read(3)), [false; 3]);
    }
}
