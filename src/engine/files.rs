//! Facts of one file: from the last snapshot, from the cache, or made anew.

use crate::cache::{Cache, Compressor, ContentHash, DEFAULT_LEVEL, FactKey, PackWriter, RecordMeta};
use crate::model::facts::EXTRACTOR_VERSION;
use crate::model::source::FileKind;
use crate::parse::{Outcome, Scratch};
use crate::store::CodeGraph;
use crate::walk::{Stat, WalkedFile};
use std::cell::RefCell;
use std::io::Read as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Where a file's facts are.
#[derive(Debug)]
pub(super) enum Facts {
    /// In the last snapshot, under this number.
    Kept(u32),
    /// In memory.
    Owned(Vec<u8>),
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
    pub(super) parse_us: u32,
    pub(super) created: u64,
    /// The facts were made in an earlier run.
    pub(super) cached: bool,
}

/// What all workers share.
pub(super) struct Shared<'a> {
    pub(super) root: &'a Path,
    pub(super) cache: &'a Cache,
    pub(super) packs: &'a PackWriter<'a>,
    pub(super) previous: Option<&'a CodeGraph>,
    pub(super) by_key: rustc_hash::FxHashMap<FactKey, u32>,
    /// Files after which a worker drops its scratch memory.
    pub(super) gc_threshold: u64,
}

/// A worker's own memory, reused from file to file.
#[derive(Default)]
struct Worker {
    scratch: Scratch,
    compressor: Option<Compressor>,
    buffer: Vec<u8>,
    files: u64,
}

thread_local! {
    static WORKER: RefCell<Worker> = RefCell::default();
}

/// Bytes above which a file is not read: offsets are 32 bits wide.
const MAX_BYTES: u64 = u32::MAX as u64 - 1;

impl Shared<'_> {
    /// Facts under `key`, if the last snapshot or a pack has them.
    pub(super) fn recall(&self, key: &FactKey) -> Option<(Facts, [u8; 32], u32, u64)> {
        if let Some(previous) = self.previous
            && let Some(&number) = self.by_key.get(key)
        {
            let file = previous.file(number);
            if file.facts_bytes().is_some() {
                return Some((Facts::Kept(number), file.facts_hash(), file.parse_us(), 0));
            }
        }
        let record = self.cache.get(key)?;
        crate::model::facts::Facts::open(&record.raw)?;
        let hash = hash_facts(&record.raw);
        Some((Facts::Owned(record.raw), hash, record.meta.parse_duration_us, record.meta.created))
    }

    /// Reads `file` and finds or makes its facts.
    pub(super) fn read(&self, file: &WalkedFile) -> Known {
        WORKER.with_borrow_mut(|worker| {
            worker.files += 1;
            if worker.files.is_multiple_of(self.gc_threshold.max(1)) {
                *worker = Worker { files: worker.files, ..Worker::default() };
            }
            match read_stable(self.root, file, &mut worker.buffer) {
                Ok(stat) => self.facts_of(file, stat, worker),
                Err(reason) => skipped(file.stat, reason),
            }
        })
    }

    fn facts_of(&self, file: &WalkedFile, stat: Stat, worker: &mut Worker) -> Known {
        let content = ContentHash::of(&worker.buffer);
        let key = FactKey::new(&content, file.kind, EXTRACTOR_VERSION, &[], &[]);
        if let Some((facts, facts_hash, parse_us, created)) = self.recall(&key) {
            self.count_kept(&facts, parse_us);
            return Known { facts, facts_hash, key, content, stat, parse_us, created, cached: true };
        }
        let started = Instant::now();
        let Worker { scratch, compressor, buffer, .. } = worker;
        let outcome = catch_unwind(AssertUnwindSafe(|| scratch.parse(buffer, file.kind == FileKind::Pyi)));
        let block = match outcome {
            Ok(Outcome::Facts(block)) => block,
            Ok(Outcome::TooDeep) => {
                let reason = format!(
                    "nesting: an expression or block is nested or chained more than {} levels deep",
                    crate::extract::MAX_DEPTH
                );
                return Known { content, key, ..skipped(stat, reason) };
            }
            Err(panic) => {
                *scratch = Scratch::default();
                let text = panic
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or_else(|| panic.downcast_ref::<&str>().copied());
                let reason = format!("internal error, please report it: {}", text.unwrap_or("panic"));
                return Known { content, key, ..skipped(stat, reason) };
            }
        };
        let parse_us = u32::try_from(started.elapsed().as_micros()).unwrap_or(u32::MAX);
        let created = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        if self.cache.is_enabled() {
            if compressor.is_none() {
                *compressor = Compressor::new(DEFAULT_LEVEL).ok();
            }
            if let Some(compressor) = compressor {
                let record = compressor.compress(&block);
                self.packs.append(&key, &record, RecordMeta { parse_duration_us: parse_us, created });
            }
        }
        let facts_hash = hash_facts(&block);
        Known { facts: Facts::Owned(block), facts_hash, key, content, stat, parse_us, created, cached: false }
    }

    /// Counts a hit that the snapshot answered; those of packs count themselves.
    pub(super) fn count_kept(&self, facts: &Facts, parse_us: u32) {
        if matches!(facts, Facts::Kept(_)) {
            self.cache.count_hits(1, parse_us.into());
        }
    }
}

/// A file without facts.
pub(super) fn skipped(stat: Stat, reason: String) -> Known {
    Known {
        facts: Facts::Skipped(reason),
        facts_hash: [0; 32],
        key: FactKey([0; 32]),
        content: ContentHash([0; 32]),
        stat,
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

/// Reads a file into `buffer`; again where it changed meanwhile. Gives its stat from before the read.
fn read_stable(root: &Path, file: &WalkedFile, buffer: &mut Vec<u8>) -> Result<Stat, String> {
    let path = file.os_path(root);
    for _ in 0..4 {
        let mut open = open_regular(&path)?;
        let before = Stat::of(&open.metadata().map_err(|error| explain(&error))?);
        if before.size > MAX_BYTES {
            return Err(format!("too large: {} bytes, files of 4 GiB and more are not read", before.size));
        }
        buffer.clear();
        // One byte more, so that the end is seen without growing the buffer.
        buffer.reserve(before.size as usize + 1);
        open.read_to_end(buffer).map_err(|error| explain(&error))?;
        let after = Stat::of(&open.metadata().map_err(|error| explain(&error))?);
        if before == after && buffer.len() as u64 == before.size {
            return Ok(before);
        }
    }
    Err("it changed during each of four attempts to read it; run again when it is at rest".to_owned())
}

/// Opens a regular file; never waits for the other end of a pipe.
fn open_regular(path: &Path) -> Result<std::fs::File, String> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let open =
        std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW).open(path);
    let open = open.map_err(|error| explain(&error))?;
    match open.metadata() {
        Ok(meta) if meta.is_file() => Ok(open),
        Ok(_) => Err("it is no regular file any more".to_owned()),
        Err(error) => Err(explain(&error)),
    }
}

fn explain(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "it was removed after the walk".to_owned(),
        std::io::ErrorKind::PermissionDenied => {
            "permission denied; make it readable or exclude it".to_owned()
        }
        _ => format!("cannot be read: {error}"),
    }
}
