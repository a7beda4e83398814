//! A run from walk to snapshot.

use super::batch::SMALL;
use super::children::Fleet;
use super::files::{Facts, Keys, Recalled, Shared, drop_scratch};
use super::ledger::{Ledger, Settled};
use super::memory::{Budget, Memory, Parsed};
use super::progress::{Interrupt, NullObserver, Phase, ProgressObserver, ProgressTracker, StoreTracker};
use super::recovery::{Decision, Event, Recovery, Trouble};
use super::stores;
use super::strategy;
use super::threads::Threads;
use crate::cache::{
    self, Cache, CacheOptions, CacheWarning, Manifest, ManifestBuilder, ManifestId, ManifestRow, Partition,
};
use crate::config::{Config, Strategy};
use crate::link::{self, LINK_VERSION, Layout};
use crate::model::facts::EXTRACTOR_VERSION;
use crate::model::metrics::{MemoryMetrics, ProcessingMetrics, Tally};
use crate::model::source::FileKind;
use crate::report::data::Phases;
use crate::store::snapshot::{self, Entries, FileEntry, Meta};
use crate::store::{CodeGraph, FileStatus, GraphFile, Store};
use crate::sys::Scratch;
use crate::walk::{self, WalkOptions, Walked};
use anyhow::Context as _;
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Analyzes a tree: walks it, asks the cache, parses what changed, links, and keeps the graph.
pub struct Analyzer {
    config: Config,
    paths: Vec<PathBuf>,
    observer: Arc<dyn ProgressObserver>,
    interrupt: Interrupt,
    totals_only: bool,
    program: Option<PathBuf>,
    /// Tests say how many bytes stay on the heap, and where the rest goes.
    pub(super) heap: Option<u64>,
    pub(super) scratch: Option<PathBuf>,
}

/// A finished run.
#[derive(Debug)]
pub struct Run {
    graph: CodeGraph,
    metrics: ProcessingMetrics,
    phases: Phases,
    /// Per file: its facts came from the cache.
    cached: Vec<bool>,
    warnings: Vec<String>,
    recovery: Vec<Event>,
    root: PathBuf,
    scratch: Arc<Scratch>,
    /// The graph before this one.
    previous: Option<CodeGraph>,
    stores: StoreTracker,
}

impl Run {
    /// Where queries keep what outgrows memory.
    #[must_use]
    pub(crate) fn scratch(&self) -> &Arc<Scratch> {
        &self.scratch
    }

    /// The linked graph.
    #[must_use]
    pub fn graph(&self) -> &CodeGraph {
        &self.graph
    }

    /// What the run cost and achieved.
    #[must_use]
    pub fn metrics(&self) -> &ProcessingMetrics {
        &self.metrics
    }

    /// Seconds per phase.
    #[must_use]
    pub fn phases(&self) -> &Phases {
        &self.phases
    }

    /// Whether file number `index` of the graph came from the cache.
    #[must_use]
    pub fn is_cached(&self, index: u32) -> bool {
        self.cached.get(index as usize).copied().unwrap_or(false)
    }

    /// What went less well than asked, for a person.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// What was decided about trouble, by file.
    #[must_use]
    pub fn recovery(&self) -> &[Event] {
        &self.recovery
    }

    /// Brings stores to the graph, each by what it lacks. What became of each is in its report: an error of one does not keep the others from
    /// being written. `recovery` takes note of what was tried again.
    pub fn push(
        &self,
        stores: &mut [Box<dyn Store>],
        recovery: &Recovery,
        interrupt: &Interrupt,
    ) -> Vec<stores::Report> {
        let target = stores::Target {
            code: &self.graph,
            previous: self.previous.as_ref(),
            scratch: &self.scratch,
            recovery,
            interrupt,
        };
        stores::push(stores, &target, &self.stores)
    }

    /// The analyzed root.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }
}

/// What the phases hand on to each other.
struct Session<'a> {
    config: &'a Config,
    paths: Vec<PathBuf>,
    cache: Cache,
    id: ManifestId,
    tracker: ProgressTracker,
    interrupt: &'a Interrupt,
    totals_only: bool,
    phases: Phases,
    started: Instant,
    max_parse_unit: u64,
    chunked_files: u64,
    program: Option<&'a Path>,
    recovery: &'a Recovery,
    /// The strategy that ran.
    strategy: Strategy,
    heap: Option<u64>,
    scratch: Option<&'a Path>,
}

impl Analyzer {
    /// Analyzes the root of `config`.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            paths: Vec::new(),
            observer: Arc::new(NullObserver),
            interrupt: Interrupt::default(),
            totals_only: false,
            program: None,
            heap: None,
            scratch: None,
        }
    }

    /// Analyzes these files and folders below the root instead of all of it.
    #[must_use]
    pub fn paths(mut self, paths: impl IntoIterator<Item = PathBuf>) -> Self {
        self.paths = paths.into_iter().collect();
        self
    }

    /// Tells `observer` how far the run is.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn ProgressObserver>) -> Self {
        self.observer = observer;
        self
    }

    /// Stops the run when `interrupt` is asked to; what was parsed until then is kept.
    #[must_use]
    pub fn interrupt(mut self, interrupt: Interrupt) -> Self {
        self.interrupt = interrupt;
        self
    }

    /// Runs child processes by the `worker` command of this program, a `pydebug` of the same build. Without one there are no
    /// children: files meant for them are parsed on threads, and those nested too deep for threads are skipped.
    #[must_use]
    pub fn worker_program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = Some(program.into());
        self
    }

    /// Promises that of the graph only totals, files and syntax errors are read. A run in which nothing changed then
    /// does without looking for damage in the rest of the snapshot.
    #[must_use]
    pub fn totals_only(mut self, totals_only: bool) -> Self {
        self.totals_only = totals_only;
        self
    }

    /// The last graph of the tree that was kept, as it is, and where queries of it keep what outgrows memory.
    ///
    /// # Errors
    /// A path that does not exist.
    pub fn latest(&self) -> anyhow::Result<Option<(CodeGraph, Arc<Scratch>)>> {
        let paths = absolute(&self.paths)?;
        let cache = open_cache(&self.config);
        let id = manifest_id(&self.config, &paths);
        let graph = cache.snapshots(&id).into_iter().find_map(|(_, path)| CodeGraph::open(&path).ok());
        let folder = cache.snapshot_dir().unwrap_or_else(std::env::temp_dir);
        Ok(graph.map(|graph| (graph, Scratch::new(Some(folder), Budget::of(&self.config).bytes / 16))))
    }

    /// Runs.
    ///
    /// # Errors
    /// [`Interrupted`](super::progress::Interrupted), a path that does not exist, threads that can't be started. A file's trouble and a cache that
    /// can't be used are no errors; they are in the run's report.
    pub fn run(&self) -> anyhow::Result<Run> {
        let started = Instant::now();
        let paths = absolute(&self.paths)?;
        let cache = open_cache(&self.config);
        let id = manifest_id(&self.config, &paths);
        let tracker = ProgressTracker::new(Arc::clone(&self.observer));
        let recovery = Recovery::default();
        let session = Session {
            config: &self.config,
            paths,
            cache,
            id,
            tracker,
            interrupt: &self.interrupt,
            totals_only: self.totals_only,
            phases: Phases::default(),
            started,
            max_parse_unit: 0,
            chunked_files: 0,
            program: self.program.as_deref(),
            recovery: &recovery,
            strategy: Strategy::Thread,
            heap: self.heap,
            scratch: self.scratch.as_deref(),
        };
        session.run()
    }
}

pub(super) fn absolute(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    paths
        .iter()
        .map(|path| std::path::absolute(path).with_context(|| format!("`{}` is no path", path.display())))
        .collect()
}

/// The cache that `config` asks for.
pub(crate) fn open_cache(config: &Config) -> Cache {
    if !config.cache_enabled() {
        return Cache::disabled();
    }
    let options = CacheOptions { max_size_mb: config.cache_max_bytes() >> 20, ..CacheOptions::default() };
    Cache::open(config.cache_dir(), options)
}

/// Options of the walk that `config` asks for.
pub(crate) fn walk_options(config: &Config) -> WalkOptions {
    WalkOptions {
        exclude: config.exclude().globs.clone(),
        include: config.include().globs.clone(),
        exclude_at: config.root().strip_prefix(&config.exclude().base).unwrap_or(Path::new("")).to_owned(),
        include_at: config.root().strip_prefix(&config.include().base).unwrap_or(Path::new("")).to_owned(),
        respect_gitignore: config.respect_gitignore(),
        threads: config.max_workers().count().get(),
    }
}

pub(super) fn manifest_id(config: &Config, paths: &[PathBuf]) -> ManifestId {
    let mut options = Vec::new();
    let mut text = |part: &[u8]| {
        options.extend_from_slice(&(part.len() as u64).to_le_bytes());
        options.extend_from_slice(part);
    };
    text(&EXTRACTOR_VERSION.to_le_bytes());
    text(&[u8::from(config.respect_gitignore())]);
    for patterns in [config.include(), config.exclude()] {
        text(patterns.base.as_os_str().as_encoded_bytes());
        for glob in &patterns.globs {
            text(glob.as_bytes());
        }
        text(b"");
    }
    for path in paths.iter().filter(|path| *path != config.root()) {
        text(path.as_os_str().as_encoded_bytes());
    }
    ManifestId::new(config.root(), &options)
}

/// Bytes of the budget for each constraint of the value flow that is solved together with others: it takes 150 to 300 of them itself.
const CONSTRAINT: u64 = 4096;

/// What names depend on.
fn layout(config: &Config) -> Layout {
    let source_roots = config
        .source_roots()
        .iter()
        .filter_map(|root| root.strip_prefix(config.root()).ok())
        .map(|root| {
            if root.as_os_str().is_empty() {
                ".".to_owned()
            } else {
                crate::model::source::escape(root.as_os_str())
            }
        })
        .collect();
    Layout {
        project: config.project().to_owned(),
        source_roots,
        package: package_of(config.root()),
        calls: config.calls(),
        max_constraints: config.calls_max_constraints(),
        max_values: config.calls_max_values(),
    }
}

/// Dotted name of the package that a folder is; empty where it is none.
fn package_of(folder: &Path) -> String {
    let mut parts = Vec::new();
    let mut here = Some(folder);
    while let Some(folder) = here.filter(|folder| folder.join("__init__.py").is_file()) {
        parts.extend(folder.file_name().and_then(|name| name.to_str()));
        here = folder.parent();
    }
    parts.reverse();
    parts.join(".")
}

/// Key of the graph of these files: everything that decides how it looks.
struct GraphKey(blake2b_simd::State);

impl GraphKey {
    fn new(layout: &Layout) -> Self {
        let mut state = blake2b_simd::Params::new().hash_length(32).to_state();
        state.update(&LINK_VERSION.to_le_bytes()).update(&EXTRACTOR_VERSION.to_le_bytes());
        state.update(env!("CARGO_PKG_VERSION").as_bytes());
        state.update(layout.calls.name().as_bytes());
        state.update(&layout.max_constraints.to_le_bytes()).update(&layout.max_values.to_le_bytes());
        for text in [&layout.project, &layout.package].into_iter().chain(&layout.source_roots) {
            state.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
        }
        Self(state)
    }

    fn file(&mut self, path: &str, key: &cache::FactKey) {
        self.0.update(&(path.len() as u64).to_le_bytes()).update(path.as_bytes()).update(&key.0);
    }

    fn problem(&mut self, path: &str, reason: &str) {
        self.0
            .update(b"!")
            .update(&(path.len() as u64).to_le_bytes())
            .update(path.as_bytes())
            .update(reason.as_bytes());
    }

    fn finish(&self) -> [u8; 32] {
        let mut key = [0; 32];
        key.copy_from_slice(self.0.finalize().as_bytes());
        key
    }
}

impl Session<'_> {
    fn timed<T>(&mut self, phase: Phase, work: impl FnOnce(&mut Self) -> T) -> T {
        let started = Instant::now();
        let value = work(self);
        self.phases.add(phase, started.elapsed().as_secs_f64());
        value
    }

    fn run(mut self) -> anyhow::Result<Run> {
        self.tracker.start(Phase::Walk, 0, 0);
        let (walked, manifest) = self.timed(Phase::Walk, Self::walk)?;
        self.tracker.end();
        self.interrupt.check()?;
        let (partition, previous, same) = self.timed(Phase::Fingerprint, |session| {
            let partition = cache::partition(&walked, &manifest);
            let previous = session.latest_snapshot();
            let same = partition.candidates.is_empty()
                && session.is_current(&walked, &manifest, &partition, previous.as_ref());
            (partition, previous, same)
        });
        if let (true, Some(graph)) = (same, previous.as_ref()) {
            let saved: u64 = partition
                .unchanged
                .iter()
                .map(|&(_, row)| u64::from(manifest.row(row as usize).parse_duration_us))
                .sum();
            self.cache.count_hits(u64::from(graph.len()), saved);
            self.touch(&walked, &manifest, &partition);
            let cached = vec![true; graph.len() as usize];
            let graph = previous.context("the snapshot was just looked at")?;
            return Ok(self.finish(&walked, (graph, None), cached, None));
        }
        self.relink(&walked, &manifest, &partition, previous)
    }

    fn walk(&mut self) -> anyhow::Result<(Walked, Manifest)> {
        let manifest = self.cache.load_manifest(&self.id);
        let known = self.cache.is_enabled().then(|| self.cache.load_listings(&self.id));
        let mut walked =
            walk::walk_known(self.config.root(), &self.paths, &walk_options(self.config), known.as_ref())?;
        if let Some(listings) = walked.listings.take() {
            self.cache.store_listings(&self.id, &listings);
        }
        walked.files.shrink_to_fit();
        Ok((walked, manifest))
    }

    /// The newest snapshot of this tree that can be read.
    fn latest_snapshot(&self) -> Option<CodeGraph> {
        self.cache.snapshots(&self.id).into_iter().find_map(|(_, path)| match CodeGraph::open(&path) {
            Ok(graph) => Some(graph),
            Err(error) => {
                self.cache.warn_corrupt(&path, &error);
                None
            }
        })
    }

    /// True where the snapshot was made from exactly these files.
    fn is_current(
        &self,
        walked: &Walked,
        manifest: &Manifest,
        partition: &Partition,
        previous: Option<&CodeGraph>,
    ) -> bool {
        let Some(graph) = previous else { return false };
        if graph.len() as usize != walked.files.len() {
            return false;
        }
        let mut key = GraphKey::new(&layout(self.config));
        for &(file, row) in &partition.unchanged {
            key.file(&walked.files[file as usize].path, &manifest.row(row as usize).key);
        }
        for problem in &walked.problems {
            key.problem(&problem.path, &problem.reason.to_string());
        }
        key.finish() == graph.key() && self.is_sound(graph)
    }

    /// True where everything that will be read of the snapshot is whole.
    fn is_sound(&self, graph: &CodeGraph) -> bool {
        let read = |file: &GraphFile<'_>| {
            file.status() != FileStatus::Skipped && (file.has_errors() || !self.totals_only)
        };
        let sound = graph.files().filter(read).all(|file| file.facts_bytes().is_some());
        if !sound && let Some((_, path)) = self.cache.snapshots(&self.id).first() {
            self.cache.warn_corrupt(path, &"has a damaged block");
        }
        sound
    }

    /// Notes the day of use, once a day.
    fn touch(&self, walked: &Walked, manifest: &Manifest, partition: &Partition) {
        let today = cache::today();
        if manifest.is_empty() || manifest.row(0).accessed_day == today {
            return;
        }
        let mut builder = ManifestBuilder::new(self.id, self.config.root());
        for &(_, row) in &partition.unchanged {
            builder.push(&ManifestRow { accessed_day: today, ..manifest.row(row as usize) });
        }
        self.cache.store_manifest(builder, manifest, walked.started_ns, false);
    }

    /// Makes what is missing and links everything.
    fn relink(
        self,
        walked: &Walked,
        manifest: &Manifest,
        partition: &Partition,
        previous: Option<CodeGraph>,
    ) -> anyhow::Result<Run> {
        let threads = Threads::start(self.config.max_workers().count().get(), self.recovery)?;
        threads.with_stack(|| self.relink_on(&threads.pool, walked, manifest, partition, previous))
    }

    fn relink_on(
        mut self,
        pool: &rayon::ThreadPool,
        walked: &Walked,
        manifest: &Manifest,
        partition: &Partition,
        previous: Option<CodeGraph>,
    ) -> anyhow::Result<Run> {
        let scratch = self.scratch.map(Path::to_owned).or_else(|| self.cache.snapshot_dir());
        let memory = Memory::new(self.config, scratch.unwrap_or_else(std::env::temp_dir), self.heap);
        let packs = self.cache.pack_writer();
        let by_key = previous.as_ref().map(Keys::of).unwrap_or_default();
        let ledger = Ledger::new(walked.files.len(), memory.tables());
        let worker_memory = self.config.worker_memory_bytes().unwrap_or(memory.budget());
        let limits = (worker_memory, self.config.file_timeout());
        let gc_threshold = self.config.gc_threshold();
        let fleet =
            Fleet::new(self.program, memory.scratch(), limits, gc_threshold, self.recovery, self.interrupt);
        let shared = Shared {
            root: &walked.root,
            files: &walked.files,
            cache: &self.cache,
            packs: &packs,
            previous: previous.as_ref(),
            by_key,
            ledger: &ledger,
            memory: &memory,
            max_parse_unit: AtomicU64::new(0),
            chunked_files: AtomicU64::new(0),
            gc_threshold,
            tracker: &self.tracker,
            interrupt: self.interrupt,
            fleet: &fleet,
            recovery: self.recovery,
        };
        let started = Instant::now();
        let mut open: Vec<u32> = partition.candidates.iter().map(|candidate| candidate.file).collect();
        // What the manifest says is unchanged, as far as its facts are at hand.
        let lost: Vec<u32> = pool.install(|| {
            partition
                .unchanged
                .par_iter()
                .with_min_len(64)
                .filter_map(|&(file, row)| {
                    let row = manifest.row(row as usize);
                    let Some(recalled) = shared.recall(&row.key) else { return Some(file) };
                    let stat = walked.files[file as usize].stat;
                    let recalled = Recalled { created: row.created, ..recalled };
                    ledger.put(file, shared.known_again(recalled, row.key, row.content_hash, stat));
                    None
                })
                .collect()
        });
        open.extend(lost);
        self.phases.add(Phase::Cache, started.elapsed().as_secs_f64());
        put_in_order(&mut open, walked, memory.heap_share());
        let started = Instant::now();
        let bytes = open.iter().map(|&file| walked.files[file as usize].stat.size).sum();
        self.tracker.start(Phase::Parse, open.len() as u64, bytes);
        let processors = std::thread::available_parallelism().map_or(1, Into::into);
        let asked = self.config.strategy();
        self.strategy = strategy::choose(asked, open.len(), bytes, processors, self.program.is_some());
        strategy::run(&shared, self.strategy, &mut open, pool);
        if fleet.is_degraded() {
            self.strategy = Strategy::Thread;
        }
        self.tracker.end();
        self.max_parse_unit = shared.max_parse_unit.load(Ordering::Relaxed);
        self.chunked_files = shared.chunked_files.load(Ordering::Relaxed);
        drop(shared);
        packs.finish();
        self.phases.add(Phase::Parse, started.elapsed().as_secs_f64());
        // What was parsed until now is in the pack, found by its content in the next run.
        self.interrupt.check()?;
        drop(open);
        let settled = ledger.close();
        // What parsing took is more than what is left of it; linking begins with nothing but that.
        pool.broadcast(|_| drop_scratch(&memory));
        crate::sys::return_pages_at_once();
        let previous_graph = previous.as_ref();
        let mut files = Gathered {
            walked,
            settled: &settled,
            memory: &memory,
            previous: previous_graph,
            links_stay: false,
        };
        pool.install(|| files.compare(&layout(self.config)));
        let graph = self.link(&files, pool)?;
        self.timed(Phase::Store, |session| session.remember(&files, manifest, partition));
        let cached = (0..graph.len()).map(|file| settled.row(file).cached).collect();
        // Freeing the facts file by file takes longer than the rest of the run.
        drop(settled);
        Ok(self.finish(walked, (graph, previous), cached, Some(&memory)))
    }

    fn link(&mut self, files: &Gathered<'_>, pool: &rayon::ThreadPool) -> anyhow::Result<CodeGraph> {
        let Gathered { memory, previous, .. } = *files;
        let count = Entries::len(files) as u64;
        self.tracker.start(Phase::Link, count, 0);
        let started = Instant::now();
        let layout = layout(self.config);
        let touched: link::Touched<'_> = &|bytes| memory.relieve(bytes as u64, previous);
        let constraints = memory.budget() / CONSTRAINT;
        let means = link::Means { links: memory.links(), tables: memory.tables(), touched, constraints };
        let linked = pool.install(|| link::link_into(files, &layout, means));
        self.tracker.end();
        self.phases.add(Phase::Link, started.elapsed().as_secs_f64());
        self.interrupt.check()?;
        self.tracker.start(Phase::Store, count, 0);
        let started = Instant::now();
        let (key, skipped) = files.key(&layout);
        let meta = Meta {
            project: layout.project.clone(),
            roots: linked.root_names.clone(),
            summary: linked.summary.clone(),
            skipped,
        };
        let graph = pool.install(|| self.keep(&key, files, &linked, &meta, touched));
        self.tracker.end();
        self.phases.add(Phase::Store, started.elapsed().as_secs_f64());
        graph
    }

    /// Writes the snapshot; keeps it in memory where it can't be written.
    fn keep(
        &self,
        key: &[u8; 32],
        files: &Gathered<'_>,
        linked: &link::Linked,
        meta: &Meta,
        touched: link::Touched<'_>,
    ) -> anyhow::Result<CodeGraph> {
        let next = self.cache.snapshots(&self.id).first().map_or(1, |(generation, _)| generation + 1);
        if let Some(path) = self.cache.snapshot_path(&self.id, next) {
            let written = write_snapshot(&path, key, files, linked, meta, touched);
            match written {
                Ok(()) => {
                    self.cache.prune_snapshots(&self.id);
                    if let Ok(graph) = CodeGraph::open(&path) {
                        return Ok(graph);
                    }
                }
                Err(error) => tracing::warn!("cannot write the snapshot `{}`: {error}", path.display()),
            }
        }
        let size: usize = (0..Entries::len(files))
            .map(|index| files.entry(index).facts.len() + linked.links.size(index))
            .sum();
        if size as u64 > files.memory.heap_share() {
            let graph = tempfile::tempfile()
                .and_then(|file| snapshot::write(&file, key, files, linked, meta, touched).map(|()| file))
                .map_err(snapshot::SnapshotError::from)
                .and_then(|file| CodeGraph::from_file(&file));
            match graph {
                Ok(graph) => return Ok(graph),
                Err(error) => tracing::warn!("a scratch file for the graph {error}; it stays in memory"),
            }
        }
        let bytes = Mutex::new(Vec::new());
        snapshot::write(&bytes, key, files, linked, meta, touched)?;
        CodeGraph::from_bytes(bytes.into_inner().unwrap_or_else(PoisonError::into_inner))
            .context("the graph in memory")
    }

    /// Writes the manifest.
    fn remember(&self, files: &Gathered<'_>, manifest: &Manifest, partition: &Partition) {
        let Gathered { walked, settled, memory, .. } = *files;
        if !self.cache.is_enabled() {
            return;
        }
        let today = cache::today();
        let mut builder = ManifestBuilder::within(self.id, self.config.root(), memory.tables());
        for (file, number) in walked.files.iter().zip(0..) {
            if matches!(settled.facts(number), Facts::Skipped(_)) {
                continue;
            }
            let row = settled.row(number);
            builder.push(&ManifestRow {
                path: &file.path,
                metadata_hash: row.metadata_hash,
                content_hash: row.content,
                key: row.key,
                parse_duration_us: row.parse_us,
                status: 0,
                created: row.created,
                accessed_day: today,
            });
        }
        self.cache.store_manifest(builder, manifest, walked.started_ns, partition.racy > 0);
        self.cache.maintain();
    }

    /// `memory`: that of a run which parsed or linked.
    fn finish(
        self,
        walked: &Walked,
        (graph, previous): (CodeGraph, Option<CodeGraph>),
        cached: Vec<bool>,
        memory: Option<&Memory>,
    ) -> Run {
        let mut warnings = Vec::new();
        for warning in self.cache.take_warnings() {
            if let CacheWarning::Corrupt { path, message } = &warning {
                let policy = Trouble::CacheCorrupt.policy();
                self.recovery.record(
                    Trouble::CacheCorrupt,
                    policy.then,
                    &crate::model::source::escape(path.as_os_str()),
                    message,
                );
            }
            warnings.push(warning.to_string());
        }
        let (recovery, counts) = self.recovery.report();
        for event in recovery.iter().filter(|event| event.decision == Decision::Degrade) {
            warnings.push(format!("degraded from {}", event.detail));
        }
        if self.config.project() == "unnamed" {
            tracing::debug!("no project name: stable names start with `unnamed`");
        }
        warnings.extend(memory.into_iter().flat_map(Memory::warnings));
        warnings.sort_unstable();
        let stats = self.cache.stats();
        let lost = graph.files().filter(|file| file.status() == FileStatus::Skipped).count() as u64;
        let misses = cached.iter().filter(|&&cached| !cached).count() as u64;
        let mut sizes = Parsed::default();
        for (file, _) in graph.files().zip(&cached).filter(|(_, cached)| !**cached) {
            sizes.files += 1;
            sizes.bytes += file.size();
            sizes.largest = sizes.largest.max(file.size());
        }
        let parsed = sizes.bytes;
        let folder = self.scratch.map(Path::to_owned).or_else(|| self.cache.snapshot_dir());
        let (budget, memory) = match memory {
            Some(memory) => (memory.budget(), memory.metrics(sizes)),
            None => {
                let Budget { bytes, source } = Budget::of(self.config);
                (bytes, MemoryMetrics::unused(bytes, source, crate::sys::peak_resident_bytes()))
            }
        };
        let tally = Tally {
            processed_files: u64::from(graph.len()) - lost,
            skipped_files: lost,
            duration: self.started.elapsed(),
            hits: u64::from(graph.len()) - misses,
            misses,
            time_saved: Duration::from_micros(stats.saved_us),
            cache_bytes: self.cache.size(),
            source_bytes: walked.files.iter().map(|file| file.stat.size).sum(),
            stored: (parsed > 0).then_some((stats.stored_bytes, parsed)),
            peak_memory_bytes: crate::sys::peak_resident_bytes(),
            max_parse_unit: self.max_parse_unit,
            chunked_files: self.chunked_files,
            memory,
            workers: self.config.max_workers().count().get() as u64,
            strategy: self.strategy.name(),
            warnings: warnings.len() as u64,
            recovery: counts,
        };
        Run {
            graph,
            metrics: ProcessingMetrics::from(&tally),
            phases: self.phases,
            cached,
            warnings,
            recovery,
            root: walked.root.clone(),
            scratch: Scratch::new(Some(folder.unwrap_or_else(std::env::temp_dir)), budget / 16),
            previous,
            stores: StoreTracker::new(self.tracker.observer()),
        }
    }
}

/// The order in which files are read: the largest first, so that no worker is left alone with one at the end; paths break ties.
/// Where facts are to leave the heap, small files go by their paths: what is written by neighbours is read by neighbours.
fn put_in_order(files: &mut [u32], walked: &Walked, heap: u64) {
    let size = |file: u32| walked.files[file as usize].stat.size;
    let all: u64 = files.iter().map(|&file| size(file)).sum();
    let least = if all / 2 > heap { SMALL } else { 0 };
    files.sort_unstable_by_key(|&file| {
        (std::cmp::Reverse(Some(size(file)).filter(|&size| size >= least)), file)
    });
}

/// All files with their facts, as linker and snapshot ask for them.
#[derive(Clone, Copy)]
struct Gathered<'a> {
    walked: &'a Walked,
    settled: &'a Settled,
    memory: &'a Memory,
    previous: Option<&'a CodeGraph>,
    /// Nothing that links depend on has changed since the snapshot before.
    links_stay: bool,
}

impl<'a> Gathered<'a> {
    /// Looks at whether nothing that links depend on has changed since the snapshot before.
    fn compare(&mut self, layout: &Layout) {
        self.links_stay = self.previous.is_some_and(|before| {
            let count = self.walked.files.len() as u32;
            let mut key = GraphKey::new(layout);
            let same_files = before.len() == count
                && self.walked.files.iter().zip(0..).all(|(file, number)| {
                    let known = before.file(number);
                    key.file(&file.path, &known.key());
                    *known.path() == *file.path
                        && known.kind() == file.kind
                        && known.status() != FileStatus::Skipped
                });
            for problem in &self.walked.problems {
                key.problem(&problem.path, &problem.reason.to_string());
            }
            same_files
                && key.finish() == before.key()
                && (0..count).into_par_iter().with_min_len(64).all(|number| {
                    let known = before.file(number);
                    let settled = !matches!(self.settled.facts(number), Facts::Skipped(_));
                    let alike = || {
                        let now = crate::model::facts::Facts::open(link::Input::facts(self, number));
                        known.facts().zip(now).is_some_and(|(before, now)| link::alike(&before, &now))
                    };
                    settled
                        && known.links_bytes().is_some()
                        && (known.key() == self.settled.row(number).key || alike())
                })
        });
    }

    fn facts_of(&self, file: u32) -> &'a [u8] {
        match self.settled.facts(file) {
            Facts::Kept(number) => {
                self.previous.and_then(|graph| graph.file(*number).facts_bytes()).unwrap_or_default()
            }
            Facts::Owned(block) => self.memory.facts().get(block),
            Facts::Skipped(_) => &[],
        }
    }

    /// Key of the graph, and paths and reasons of what is not in it.
    fn key(&self, layout: &Layout) -> ([u8; 32], Vec<(String, String)>) {
        let mut key = GraphKey::new(layout);
        let mut skipped: Vec<(String, String)> = Vec::new();
        for (file, number) in self.walked.files.iter().zip(0..) {
            key.file(&file.path, &self.settled.row(number).key);
            if let Facts::Skipped(reason) = self.settled.facts(number) {
                skipped.push((file.path.clone(), reason.clone()));
            }
        }
        for problem in &self.walked.problems {
            let reason = problem.reason.to_string();
            key.problem(&problem.path, &reason);
            skipped.push((problem.path.clone(), reason));
        }
        (key.finish(), skipped)
    }
}

impl link::Input for Gathered<'_> {
    fn len(&self) -> u32 {
        self.walked.files.len() as u32
    }

    fn path(&self, file: u32) -> &str {
        &self.walked.files[file as usize].path
    }

    fn kind(&self, file: u32) -> FileKind {
        self.walked.files[file as usize].kind
    }

    fn facts(&self, file: u32) -> &[u8] {
        match self.settled.facts(file) {
            Facts::Owned(block) => self.memory.facts().fetch(block),
            _ => self.facts_of(file),
        }
    }

    fn links_before(&self, file: u32) -> Option<&[u8]> {
        self.previous.filter(|_| self.links_stay)?.file(file).links_bytes()
    }

    fn facts_hash(&self, file: u32) -> [u8; 32] {
        self.settled.row(file).facts_hash
    }

    fn symbols(&self, file: u32) -> u32 {
        self.settled.row(file).shape.symbols
    }
}

impl Entries for Gathered<'_> {
    fn len(&self) -> usize {
        self.walked.files.len()
    }

    fn fetch(&self, index: usize) {
        link::Input::facts(self, index as u32);
    }

    fn entry(&self, index: usize) -> FileEntry<'_> {
        let (file, number) = (&self.walked.files[index], index as u32);
        let row = self.settled.row(number);
        let status = match self.settled.facts(number) {
            Facts::Skipped(_) => FileStatus::Skipped,
            _ if row.shape.errors => FileStatus::Partial,
            _ => FileStatus::Complete,
        };
        FileEntry {
            path: &file.path,
            kind: file.kind,
            status,
            key: row.key,
            facts: self.facts_of(number),
            facts_hash: row.facts_hash,
            size: row.size,
            parse_us: row.parse_us,
        }
    }
}

fn write_snapshot(
    path: &Path,
    key: &[u8; 32],
    files: &dyn Entries,
    linked: &link::Linked,
    meta: &Meta,
    touched: link::Touched<'_>,
) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let file = tempfile::Builder::new().prefix(".tmp-").tempfile_in(folder)?;
    snapshot::write(file.as_file(), key, files, linked, meta, touched)?;
    file.persist(path)?;
    Ok(())
}
