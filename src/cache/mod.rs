//! Content-addressed store of facts, safe for several processes at once, and never trusted.
//!
//! ```text
//! <cache>/CACHEDIR.TAG, .gitignore
//! <cache>/v1/packs/<hash>.pack          immutable records (see `pack`)
//! <cache>/v1/manifests/<id>.manifest    what one (root, options) last saw (see `manifest`)
//! <cache>/v1/manifests/<id>.dirs        names in its directories (see `crate::walk::Listings`)
//! <cache>/v1/snapshots/<id>-<gen>-*.snap  linked graphs; this module only names and removes them
//! ```
//! Readers take no lock: every file is immutable or replaced by a rename. Only gc takes one (`v1/lock`) and skips
//! its work where another holds it. Whatever is wrong with the cache is a miss, counted and warned of; it never fails a run.
//! Blobs are opaque here: this module must not know what facts are, and must not start threads or print.
//! What it cannot tell is a record forged on purpose with a right checksum: a cache is as trustworthy as whoever can write to it.

mod codec;
mod evict;
mod file;
mod hash;
mod inspect;
mod manifest;
mod pack;
mod portable;

use std::collections::BTreeSet;
use std::hash::BuildHasher as _;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use hashbrown::HashTable;

pub use self::codec::{Compressed, Compressor, DEFAULT_LEVEL};
pub use self::evict::GcReport;
pub use self::file::atomic_write;
use self::file::read_framed;
pub use self::hash::{BadHash, ContentHash, FactKey};
pub use self::inspect::{CacheEntry, CacheInfo, VerifyReport};
pub use self::manifest::{
    Candidate, Cause, Manifest, ManifestBuilder, ManifestId, ManifestRow, Partition, partition,
};
pub use self::pack::RecordMeta;
use self::pack::{Entry, Pack, PackError, PackFile};
pub use self::portable::{FactsCodec, PortableError, PortableLimits, PortableReport};
#[cfg(feature = "fuzzing")]
pub(crate) use self::{manifest::fuzzing as manifest_fuzzing, pack::fuzzing as pack_fuzzing};
use crate::sync::{add, locked};
use crate::sys::Bytes;
use crate::walk::Listings;

const FORMAT_DIR: &str = "v1";
const LISTINGS_MAGIC: &[u8; 8] = b"PYDBDIRS";
const MAX_SMALL_FILE: u64 = 1 << 32;
const TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
    # This file marks a cache directory of pydebug; it can be deleted at any time.\n\
    # See https://bford.info/cachedir/\n";

/// How a cache is kept.
#[derive(Clone, Debug)]
pub struct CacheOptions {
    /// Megabytes (2^20 bytes) above which gc evicts.
    pub max_size_mb: u64,
    /// Bytes a record may have when decompressed.
    pub max_record_bytes: u64,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self { max_size_mb: 1024, max_record_bytes: u32::MAX.into() }
    }
}

/// Something about the cache that a user should hear of once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum CacheWarning {
    /// The cache is off for this run.
    #[error("cache directory `{path}` cannot be used: {message}; this run goes on without a cache")]
    Disabled {
        /// The directory.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// A damaged or foreign file, taken as if it were not there.
    #[error("`{path}` {message}; it is ignored and its contents are rebuilt")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// Something could not be written; the run's results are not affected.
    #[error("could not write to the cache at `{path}`: {message}; the next run will have more to do")]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        message: String,
    },
    /// Everything left is in use.
    #[error(
        "the cache holds {used_mb} MB, above its limit of {max_mb} MB, all of it in use; raise the limit or run `pydebug cache clean`"
    )]
    OverLimit {
        /// Megabytes in use.
        used_mb: u64,
        /// Megabytes allowed.
        max_mb: u64,
    },
}

/// Counts of one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Records found and right.
    pub hits: u64,
    /// Records not found, damaged ones included.
    pub misses: u64,
    /// Records and packs found damaged.
    pub corrupt: u64,
    /// Sum of the hits' recorded parse durations, microseconds.
    pub saved_us: u64,
    /// Records written.
    pub stored_records: u64,
    /// Bytes of the records written, before compression.
    pub stored_raw_bytes: u64,
    /// Bytes of the records written, as stored.
    pub stored_bytes: u64,
    /// Bytes of the hits as stored.
    pub read_bytes: u64,
}

#[derive(Default)]
struct Counters {
    hits: AtomicU64,
    misses: AtomicU64,
    corrupt: AtomicU64,
    saved_us: AtomicU64,
    stored_records: AtomicU64,
    stored_raw_bytes: AtomicU64,
    stored_bytes: AtomicU64,
    read_bytes: AtomicU64,
}

/// A record read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The facts, decompressed and verified.
    pub raw: Bytes,
    /// What was recorded beside them.
    pub meta: RecordMeta,
}

/// All packs' indexes.
#[derive(Default)]
struct Index {
    packs: Vec<Pack>,
    /// Pack and entry of each key; the newest pack wins.
    places: HashTable<(u32, u32)>,
}

impl Index {
    /// Of these packs, oldest first.
    fn of(packs: Vec<Pack>) -> Self {
        let count = packs.iter().map(Pack::len).sum();
        let mut places = HashTable::with_capacity(count);
        let key = |(pack, entry): (u32, u32)| packs[pack as usize].entry(entry).key;
        for (pack, number) in packs.iter().zip(0..) {
            for (entry, at) in pack.entries().zip(0..) {
                let same = |place: &(u32, u32)| key(*place) == entry.key;
                let again = |place: &(u32, u32)| pack::leading(&key(*place).0);
                match places.entry(pack::leading(&entry.key.0), same, again) {
                    hashbrown::hash_table::Entry::Occupied(mut slot) => *slot.get_mut() = (number, at),
                    hashbrown::hash_table::Entry::Vacant(slot) => {
                        slot.insert((number, at));
                    }
                }
            }
        }
        Self { packs, places }
    }

    fn place(&self, key: &FactKey) -> Option<(u32, u32)> {
        let same = |&place: &(u32, u32)| self.entry(place).1.key == *key;
        self.places.find(pack::leading(&key.0), same).copied()
    }

    fn entry(&self, (pack, entry): (u32, u32)) -> (&Pack, Entry) {
        let pack = &self.packs[pack as usize];
        (pack, pack.entry(entry))
    }
}

/// A cache directory, or nothing where it can't be used. Shared between threads by reference.
pub struct Cache {
    /// `<cache>/v1`; `None` when disabled.
    dir: Option<PathBuf>,
    root: PathBuf,
    options: CacheOptions,
    index: Mutex<Option<Arc<Index>>>,
    counters: Counters,
    warnings: Mutex<Vec<CacheWarning>>,
    /// Packs that gc mends, for they are damaged and stay so.
    damaged: Mutex<BTreeSet<PathBuf>>,
}

/// Seconds since 1970.
pub(crate) fn now_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs())
}

/// Days since 1970: the grain in which last use is recorded.
#[must_use]
pub fn today() -> u32 {
    u32::try_from(now_seconds() / 86_400).unwrap_or(u32::MAX)
}

impl Cache {
    /// Opens a cache, creating what is missing. A directory that can't be used gives a disabled cache and a warning.
    #[must_use]
    pub fn open(root: &Path, options: CacheOptions) -> Self {
        let mut cache = Self { options, ..Self::disabled() };
        root.clone_into(&mut cache.root);
        match prepare(root) {
            Ok(dir) => cache.dir = Some(dir),
            Err(error) => {
                cache.warn(CacheWarning::Disabled { path: root.to_path_buf(), message: error.to_string() })
            }
        }
        cache
    }

    /// A cache that holds nothing and keeps nothing.
    #[must_use]
    pub fn disabled() -> Self {
        Self {
            dir: None,
            root: PathBuf::new(),
            options: CacheOptions::default(),
            index: Mutex::new(None),
            counters: Counters::default(),
            warnings: Mutex::default(),
            damaged: Mutex::default(),
        }
    }

    /// Whether anything is kept.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.dir.is_some()
    }

    /// The directory as it was given.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn sub(&self, name: &str) -> Option<PathBuf> {
        self.dir.as_ref().map(|dir| dir.join(name))
    }

    fn warn(&self, warning: CacheWarning) {
        let mut warnings = locked(&self.warnings);
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }

    /// Counts a damaged file of the cache and warns of it. One that is gone was not damaged: another process removed it.
    pub(crate) fn warn_corrupt(&self, path: &Path, error: &dyn std::fmt::Display) {
        if path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            return;
        }
        add(&self.counters.corrupt, 1);
        self.warn(CacheWarning::Corrupt { path: path.to_path_buf(), message: error.to_string() });
    }

    /// As [`Cache::warn_corrupt`]; once for a pack, however many of its records are damaged.
    fn warn_pack(&self, path: &Path, error: &PackError) {
        match error {
            PackError::Record(_) => self.warn_corrupt(path, &"holds damaged records"),
            _ => self.warn_corrupt(path, error),
        }
        self.note_damage(path, error);
    }

    fn note_damage(&self, path: &Path, error: &PackError) {
        if error.is_damage() {
            locked(&self.damaged).insert(path.to_path_buf());
        }
    }

    /// Warns of something that could not be written.
    pub(crate) fn warn_write(&self, path: &Path, error: &dyn std::fmt::Display) {
        self.warn(CacheWarning::Write { path: path.to_path_buf(), message: error.to_string() });
    }

    /// The warnings since the last call, sorted.
    #[must_use]
    pub fn take_warnings(&self) -> Vec<CacheWarning> {
        let mut warnings = std::mem::take(&mut *locked(&self.warnings));
        warnings.sort_unstable();
        warnings
    }

    /// The counts so far.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.counters;
        CacheStats {
            hits: load(&counters.hits),
            misses: load(&counters.misses),
            corrupt: load(&counters.corrupt),
            saved_us: load(&counters.saved_us),
            stored_records: load(&counters.stored_records),
            stored_raw_bytes: load(&counters.stored_raw_bytes),
            stored_bytes: load(&counters.stored_bytes),
            read_bytes: load(&counters.read_bytes),
        }
    }

    /// Counts files that manifest and snapshot answered for, without a look into the packs.
    pub fn count_hits(&self, files: u64, saved_us: u64) {
        add(&self.counters.hits, files);
        add(&self.counters.saved_us, saved_us);
    }

    /// Reads the packs' indexes, unless that was done; [`Cache::get`] does it by itself.
    pub fn load_index(&self) {
        self.index();
    }

    fn index(&self) -> Arc<Index> {
        let mut slot = locked(&self.index);
        Arc::clone(slot.get_or_insert_with(|| Arc::new(self.read_index())))
    }

    fn read_index(&self) -> Index {
        let mut packs = Vec::new();
        // A pack that vanishes while being opened was merged into a newer one by another process: look again.
        for _ in 0..4 {
            let (found, missing) = self.open_packs();
            packs = found;
            if !missing {
                break;
            }
        }
        Index::of(packs)
    }

    /// All usable packs, oldest first, and whether one vanished meanwhile.
    fn open_packs(&self) -> (Vec<Pack>, bool) {
        let mut missing = false;
        let mut packs = Vec::new();
        for path in self.files("packs", "pack") {
            match Pack::open(path.clone()) {
                Ok(pack) => packs.push(pack),
                Err(error) if error.is_missing() => missing = true,
                Err(error) => self.warn_pack(&path, &error),
            }
        }
        packs.sort_by(|a, b| (a.modified, &a.path).cmp(&(b.modified, &b.path)));
        (packs, missing)
    }

    /// The files in a folder with a suffix, sorted.
    fn files(&self, folder: &str, extension: &str) -> Vec<PathBuf> {
        let Some(entries) = self.sub(folder).and_then(|dir| dir.read_dir().ok()) else { return Vec::new() };
        let mut paths: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|found| found == extension))
            .collect();
        paths.sort_unstable();
        paths
    }

    /// Whether a record is there, without reading it.
    #[must_use]
    pub fn contains(&self, key: &FactKey) -> bool {
        self.index().place(key).is_some()
    }

    /// A record, decompressed and verified. From any thread.
    #[must_use]
    pub fn get(&self, key: &FactKey) -> Option<Record> {
        let record = self.find(key);
        match &record {
            Some(record) => {
                add(&self.counters.hits, 1);
                add(&self.counters.saved_us, record.meta.parse_duration_us.into());
            }
            None => add(&self.counters.misses, 1),
        }
        record
    }

    fn find(&self, key: &FactKey) -> Option<Record> {
        self.dir.as_ref()?;
        let index = self.index();
        let (pack, entry) = index.entry(index.place(key)?);
        let raw = |pack: &Pack, entry: &Entry| {
            pack.raw(entry, self.options.max_record_bytes, self.snapshot_dir().as_deref())
        };
        match raw(pack, &entry) {
            Ok(raw) => {
                add(&self.counters.read_bytes, entry.stored_len);
                Some(Record { raw, meta: entry.meta })
            }
            Err(error) => {
                self.warn_pack(&pack.path, &error);
                // Another pack may have the same record.
                index.packs.iter().flat_map(|pack| pack.entries().map(move |entry| (pack, entry))).find_map(
                    |(pack, entry)| {
                        let raw = (entry.key == *key).then(|| raw(pack, &entry))?.ok()?;
                        Some(Record { raw, meta: entry.meta })
                    },
                )
            }
        }
    }

    /// A writer for this run's records. Nothing is created before the first one.
    #[must_use]
    pub fn pack_writer(&self) -> PackWriter<'_> {
        PackWriter { cache: self, state: Mutex::new(WriterState::Unused) }
    }

    /// The manifest of an id; an empty one if there is none or it is damaged.
    #[must_use]
    pub fn load_manifest(&self, id: &ManifestId) -> Manifest {
        let Some(path) = self.manifest_path(id) else { return Manifest::default() };
        match Manifest::read(&path) {
            Ok(manifest) if manifest.id() == *id => manifest,
            Ok(_) => {
                self.warn_corrupt(&path, &"is that of another root or other options");
                Manifest::default()
            }
            Err(file::FrameError::Missing) => Manifest::default(),
            Err(error) => {
                self.warn_corrupt(&path, &error);
                Manifest::default()
            }
        }
    }

    fn manifest_path(&self, id: &ManifestId) -> Option<PathBuf> {
        self.sub("manifests").map(|dir| dir.join(format!("{id}.manifest")))
    }

    /// Replaces a manifest, unless it would say the same as `previous` and `force` is not set (set it when
    /// [`Partition::racy`] is not 0). `walk_started_ns`: [`crate::walk::Walked::started_ns`]. Returns whether it was written.
    pub fn store_manifest(
        &self,
        builder: ManifestBuilder,
        previous: &Manifest,
        walk_started_ns: i64,
        force: bool,
    ) -> bool {
        let Some(path) = self.manifest_path(&builder.id()) else { return false };
        let body = builder.finish();
        if !force && body.is(previous.body()) {
            return false;
        }
        match manifest::write(&path, &body, walk_started_ns) {
            Ok(()) => true,
            Err(error) => {
                self.warn_write(&path, &error);
                false
            }
        }
    }

    /// The directory listings kept for a manifest's tree.
    #[must_use]
    pub fn load_listings(&self, id: &ManifestId) -> Listings {
        let Some(path) = self.sub("manifests").map(|dir| dir.join(format!("{id}.dirs"))) else {
            return Listings::default();
        };
        let read = read_framed(&path, LISTINGS_MAGIC, 1, MAX_SMALL_FILE)
            .and_then(|framed| Listings::decode(framed.into_payload()).ok_or(file::FrameError::Damaged));
        match read {
            Ok(listings) => listings,
            Err(file::FrameError::Missing) => Listings::default(),
            Err(error) => {
                self.warn_corrupt(&path, &error);
                Listings::default()
            }
        }
    }

    /// Keeps the directory listings of a walk.
    pub fn store_listings(&self, id: &ManifestId, listings: &Listings) {
        let Some(path) = self.sub("manifests").map(|dir| dir.join(format!("{id}.dirs"))) else { return };
        let framed = file::frame(LISTINGS_MAGIC, 1, listings.encode());
        if let Err(error) = atomic_write(&path, |out| out.write_all(&framed)) {
            self.warn_write(&path, &error);
        }
    }

    /// Where snapshots are kept; `None` when disabled.
    #[must_use]
    pub fn snapshot_dir(&self) -> Option<PathBuf> {
        self.sub("snapshots")
    }

    /// A new file for one generation of a manifest's snapshot, another one at each call: two runs at once make the same generation,
    /// each for its own settings, and must not read each other's.
    #[must_use]
    pub fn snapshot_path(&self, id: &ManifestId, generation: u64) -> Option<PathBuf> {
        // Seeded by the operating system in every process.
        let unique = std::hash::RandomState::new().hash_one(generation);
        Some(self.snapshot_dir()?.join(format!("{id}-{generation:016x}-{unique:016x}.snap")))
    }

    /// The generations of a manifest's snapshot, newest first.
    #[must_use]
    pub fn snapshots(&self, id: &ManifestId) -> Vec<(u64, PathBuf)> {
        let id = id.to_string();
        let mut found: Vec<(u64, PathBuf)> = self
            .files("snapshots", "snap")
            .into_iter()
            .filter_map(|path| {
                let (stem, generation) = evict::snapshot_name(&path)?;
                // There is always a next one.
                (stem == id && generation < u64::MAX).then_some((generation, path))
            })
            .collect();
        found.sort_unstable_by(|a, b| b.cmp(a));
        found
    }
}

/// Whether there is a directory; an error where a link stands in its place. A tree may bring a cache along whose folders lead
/// elsewhere, and what they lead to would be cleaned and evicted.
fn is_real_dir(path: &Path) -> io::Result<bool> {
    match path.symlink_metadata() {
        Ok(meta) if meta.is_symlink() => {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            Err(io::Error::other(format!("`{name}` in it is a symbolic link")))
        }
        Ok(meta) => Ok(meta.is_dir()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Creates the layout; an error says why the directory can't be used.
fn prepare(root: &Path) -> io::Result<PathBuf> {
    let dir = root.join(FORMAT_DIR);
    if !is_real_dir(&dir)? {
        std::fs::create_dir_all(root)?;
        // Never turn a directory of something else into a cache: its own `.gitignore` would hide it from git.
        let foreign = root.read_dir()?.any(|entry| {
            entry.is_ok_and(|entry| {
                let name = entry.file_name();
                name != FORMAT_DIR && name != "CACHEDIR.TAG" && name != ".gitignore"
            })
        });
        // Another process may be making the same cache: its folder is there before any other file of it.
        if foreign && !is_real_dir(&dir)? {
            return Err(io::Error::other("it holds other files; choose an empty or new directory"));
        }
    }
    for folder in ["packs", "manifests", "snapshots"] {
        let folder = dir.join(folder);
        if !is_real_dir(&folder)? {
            std::fs::create_dir_all(&folder)?;
        }
    }
    for (name, text) in [("CACHEDIR.TAG", TAG), (".gitignore", "# Written by pydebug.\n*\n")] {
        let path = root.join(name);
        if path.symlink_metadata().is_err() {
            atomic_write(&path, |out| out.write_all(text.as_bytes()))?;
        }
    }
    Ok(dir)
}

enum WriterState {
    Unused,
    Open(Box<PackFile>),
    Failed,
}

/// Collects this run's new records in one pack, from any thread. Dropped without [`PackWriter::finish`] it leaves
/// nothing. A write error makes it ignore all further records, with one warning.
pub struct PackWriter<'a> {
    cache: &'a Cache,
    state: Mutex<WriterState>,
}

impl PackWriter<'_> {
    /// Adds a record. False if the key was added before, the cache is disabled or writing failed.
    pub fn append(&self, key: &FactKey, record: &Compressed<'_>, meta: RecordMeta) -> bool {
        if self.cache.dir.is_none() {
            return false;
        }
        let checksum = pack::record_checksum(key, record);
        let added = self.with(|file| file.append(key, *record, meta, checksum)).unwrap_or(false);
        if added {
            self.count(record.raw_len, record.stored_len());
        }
        added
    }

    /// Adds a record that is too large for memory, compressing it on the way; other writers wait. `level`: as
    /// [`Compressor::new`].
    pub fn append_reader(&self, key: &FactKey, raw: &mut dyn Read, level: i32, meta: RecordMeta) -> bool {
        let added = self.with(|file| file.append_reader(key, raw, level, meta)).flatten();
        if let Some((raw_len, stored_len)) = added {
            self.count(raw_len, stored_len);
        }
        added.is_some()
    }

    fn count(&self, raw: u64, stored: u64) {
        add(&self.cache.counters.stored_records, 1);
        add(&self.cache.counters.stored_raw_bytes, raw);
        add(&self.cache.counters.stored_bytes, stored);
    }

    fn with<T>(&self, work: impl FnOnce(&mut PackFile) -> io::Result<T>) -> Option<T> {
        let dir = self.cache.sub("packs")?;
        let mut state = locked(&self.state);
        if matches!(*state, WriterState::Unused) {
            match PackFile::create(&dir) {
                Ok(file) => *state = WriterState::Open(Box::new(file)),
                Err(error) => {
                    self.cache.warn_write(&dir, &error);
                    *state = WriterState::Failed;
                }
            }
        }
        let WriterState::Open(file) = &mut *state else { return None };
        match work(file) {
            Ok(value) => Some(value),
            Err(error) => {
                self.cache.warn_write(&dir, &error);
                *state = WriterState::Failed;
                None
            }
        }
    }

    /// Makes what was added until now visible and begins another pack with the next record. False if there was nothing
    /// to make visible, or if it can't be written, with a warning.
    pub fn flush(&self) -> bool {
        let mut state = locked(&self.state);
        if !matches!(*state, WriterState::Open(_)) {
            return false;
        }
        let full = std::mem::replace(&mut *state, WriterState::Unused);
        drop(state);
        PackWriter { cache: self.cache, state: Mutex::new(full) }.finish() > 0
    }

    /// Makes the pack visible, to this cache's [`Cache::get`] as well. Returns its bytes, 0 if there is none.
    pub fn finish(self) -> u64 {
        let WriterState::Open(file) = self.state.into_inner().unwrap_or_else(PoisonError::into_inner) else {
            return 0;
        };
        match file.finish() {
            Ok(Some((_, size))) => {
                *locked(&self.cache.index) = None;
                size
            }
            Ok(None) => 0,
            Err(error) => {
                self.cache.warn_write(&self.cache.root, &error);
                0
            }
        }
    }
}

#[cfg(test)]
mod tests;
