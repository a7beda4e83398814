//! Facts of all files to one graph: module table, imports, class hierarchy, call sites, edges.
//!
//! Every step reads facts in place and writes one block of links per file; nothing here reads a source,
//! starts a thread of its own choice or prints. Results depend on the files' names and facts alone, never
//! on the order in which threads came.
//!
//! Steps: [`modules`] names the files; [`imports`] finds each import's module; [`value`] says what an access path
//! stands for; [`classes`] orders the bases; [`flow`] follows values through the whole program; [`calls`] decides each call
//! site from both. Everything after it reads [`links`] alone.

mod alike;
pub mod builtins;
mod calls;
mod classes;
mod digest;
mod flow;
mod imports;
pub mod links;
mod memo;
mod modules;
mod stars;
mod summary;
mod survey;
mod typeshed;
mod value;
mod views;

pub(crate) use alike::alike;
pub use modules::{Layout, module_name};
pub(crate) use modules::{plain, stem};
pub use summary::{Cycle, Summary, Worst};

use crate::model::facts::Facts;
use crate::model::source::FileKind;
use crate::sys::{Block, Column, Scratch, Spill, Table, Texts};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;

/// Version of the linker and of the links' schema; part of the snapshot's key.
pub const LINK_VERSION: u32 = 8;

/// Constraints of the value flow of files that depend on each other, above which they are linked by name if nothing else is said. They take
/// 150 to 300 bytes each while they are solved; sympy has 3 million.
pub const MAX_CONSTRAINTS: u64 = 8_000_000;

/// The most that [`Layout::max_constraints`] may be: variables and edges have 28-bit numbers.
pub const MOST_CONSTRAINTS: u64 = 60_000_000;

/// Values that a variable may hold before it counts as holding anything; of functions twice as many, of instances and classes half, if nothing else is said.
pub const MAX_VALUES: u32 = 32;

/// Files whose results are held until they are put in order. Between two such runs of files all workers wait for the last.
const WINDOW: u32 = 4096;

/// The files to be linked, sorted by path.
pub trait Input: Sync {
    /// Number of files.
    fn len(&self) -> u32;

    /// True without files.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Path relative to the root, `/` between parts.
    fn path(&self, file: u32) -> &str;

    /// Source or stub.
    fn kind(&self, file: u32) -> FileKind;

    /// Bytes of its facts; empty for a skipped file, which still has a module name.
    fn facts(&self, file: u32) -> &[u8];

    /// The links that a former run made, where nothing that they depend on has changed in any file since; for all files or for none.
    fn links_before(&self, _file: u32) -> Option<&[u8]> {
        None
    }

    /// BLAKE2bp-256 of the facts' bytes.
    fn facts_hash(&self, file: u32) -> [u8; 32];

    /// Symbols in its facts; 1 for a skipped file.
    fn symbols(&self, file: u32) -> u32 {
        let facts = Facts::open(self.facts(file));
        facts.map_or(1, |facts| facts.rows(crate::model::facts::table::Symbols))
    }
}

/// One file whose facts are at hand.
#[derive(Clone, Copy, Debug)]
pub struct FileInput<'a> {
    /// Path relative to the root, `/` between parts.
    pub path: &'a str,
    /// Source or stub.
    pub kind: FileKind,
    /// Its facts; `None` for a skipped file, which still has a module name.
    pub facts: Option<Facts<'a>>,
    /// BLAKE2bp-256 of the facts' bytes.
    pub facts_hash: [u8; 32],
}

/// Files in a slice, as an [`Input`].
struct Slice<'a>(&'a [FileInput<'a>]);

impl Input for Slice<'_> {
    fn len(&self) -> u32 {
        self.0.len() as u32
    }

    fn path(&self, file: u32) -> &str {
        self.0[file as usize].path
    }

    fn kind(&self, file: u32) -> FileKind {
        self.0[file as usize].kind
    }

    fn facts(&self, file: u32) -> &[u8] {
        self.0[file as usize].facts.as_ref().map_or(&[], Facts::bytes)
    }

    fn facts_hash(&self, file: u32) -> [u8; 32] {
        self.0[file as usize].facts_hash
    }
}

/// How callees are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Calls {
    /// By the flow of values through the whole program.
    #[default]
    Flow,
    /// By names, imports and classes alone.
    Names,
}

impl Calls {
    /// The name in settings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Flow => "flow",
            Self::Names => "names",
        }
    }

    /// The one with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Flow, Self::Names].into_iter().find(|calls| calls.name() == name)
    }
}

/// What the linker gives.
#[derive(Debug)]
pub struct Linked {
    /// Name of each file's module.
    pub modules: Texts,
    /// Source root of each file, a place in `root_names`.
    pub roots: Vec<u16>,
    /// Source roots relative to the analyzed root; the analyzed root itself is empty.
    pub root_names: Vec<String>,
    /// Number of each file's first symbol in the project.
    pub symbol_base: Vec<u32>,
    /// Links of each file, as a block.
    pub links: Blocks,
    /// Sum over all files of the digest of their rows.
    pub digest: [u8; 32],
    /// Totals.
    pub summary: Summary,
}

/// A block for each file, on the heap or not.
#[derive(Debug)]
pub struct Blocks {
    spill: Arc<Spill>,
    blocks: Vec<Block>,
}

impl Blocks {
    /// Number of files.
    #[must_use]
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    /// True without files.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// The block of file number `file`.
    ///
    /// # Panics
    /// When there is no such file.
    #[must_use]
    pub fn get(&self, file: usize) -> &[u8] {
        self.spill.get(&self.blocks[file])
    }

    /// The same, for whoever reads all of it next.
    ///
    /// # Panics
    /// When there is no such file.
    #[must_use]
    pub fn fetch(&self, file: usize) -> &[u8] {
        self.spill.fetch(&self.blocks[file])
    }

    /// Bytes of the block of file number `file`.
    ///
    /// # Panics
    /// When there is no such file.
    #[must_use]
    pub fn size(&self, file: usize) -> usize {
        self.blocks[file].len()
    }

    /// All blocks, by file.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.blocks.iter().map(|block| self.spill.get(block))
    }
}

/// Is told again and again of so many bytes of facts that were read.
pub type Touched<'a> = &'a (dyn Fn(usize) + Sync);

/// Where the linker keeps what it makes, and whom it tells what it reads.
#[derive(Clone, Copy)]
pub struct Means<'a> {
    /// Keeps the links.
    pub links: &'a Arc<Spill>,
    /// Keeps tables.
    pub tables: &'a Arc<Scratch>,
    /// Is told what is read of facts.
    pub touched: Touched<'a>,
    /// Constraints of the value flow that are solved at a time, where parts of the project are independent of each other.
    pub constraints: u64,
}

/// Everything that links of one file may ask about the others. Shared by all workers, changed only between steps.
pub(crate) struct Project<'a> {
    pub(crate) files: &'a dyn Input,
    views: views::Views<'a>,
    pub(crate) table: modules::ModuleTable<'a>,
    pub(crate) imports: imports::Imports,
    pub(crate) stars: stars::Stars,
    pub(crate) classes: classes::Classes,
    pub(crate) methods: calls::MethodIndex,
    pub(crate) base: Vec<u32>,
    pub(crate) scratch: Arc<Scratch>,
    pub(crate) touched: Touched<'a>,
}

impl<'a> Project<'a> {
    #[inline]
    pub(crate) fn facts(&self, file: u32) -> Option<&Facts<'a>> {
        self.views.get(file)
    }

    /// To be called where the facts of a file were read.
    pub(crate) fn touched(&self, file: u32) {
        (self.touched)(self.facts(file).map_or(0, |facts| facts.bytes().len()));
    }

    /// Number of symbol `row` of `file` in the project.
    #[inline]
    pub(crate) fn symbol(&self, file: u32, row: u32) -> u32 {
        self.base[file as usize] + row
    }

    /// File and row of symbol number `symbol` of the project.
    #[inline]
    pub(crate) fn locate(&self, symbol: u32) -> (u32, u32) {
        let file = self.base.partition_point(|&base| base <= symbol) - 1;
        (file as u32, symbol - self.base[file])
    }

    /// Does `work` for all files on all threads, a run of neighbours at a time, and hands the results of each run to `then` in order.
    fn in_order<T: Send>(
        &mut self,
        least: usize,
        work: impl Fn(&Self, u32) -> T + Sync,
        mut then: impl FnMut(&mut Self, u32, T),
    ) {
        for run in windows(self.files.len()) {
            let project = &*self;
            let first = run.start;
            let made: Vec<T> =
                run.into_par_iter().with_min_len(least).map(|file| work(project, file)).collect();
            for (file, made) in (first..).zip(made) {
                then(self, file, made);
            }
            self.views.tidy();
        }
    }
}

/// Runs of files, all but the last of [`WINDOW`].
fn windows(count: u32) -> impl Iterator<Item = Range<u32>> {
    (0..count).step_by(WINDOW as usize).map(move |start| start..count.min(start + WINDOW))
}

/// Links `files`, which are sorted by path.
pub fn link(files: &[FileInput<'_>], layout: &Layout) -> Linked {
    let means = Means {
        links: &Arc::new(Spill::none()),
        tables: &Scratch::none(),
        touched: &|_| (),
        constraints: u64::MAX,
    };
    link_into(&Slice(files), layout, means)
}

/// The same, with means of one's own.
pub fn link_into(files: &dyn Input, layout: &Layout, means: Means<'_>) -> Linked {
    let started = std::time::Instant::now();
    let step = |name: &str| {
        if tracing::enabled!(tracing::Level::DEBUG) {
            let meter = crate::sys::Meter::default();
            let (own, mapped) = (meter.resident_bytes() >> 20, meter.mapped_bytes() >> 20);
            tracing::debug!("{name} after {:?}, {own} MB and {mapped} MB mapped", started.elapsed());
        }
    };
    let table = modules::ModuleTable::new(files, layout, means.tables);
    step("module table");
    let mut project = Project {
        files,
        views: views::Views::new(files),
        table,
        imports: imports::Imports::default(),
        stars: stars::Stars::default(),
        classes: classes::Classes::default(),
        methods: calls::MethodIndex::default(),
        base: base(files),
        scratch: Arc::clone(means.tables),
        touched: means.touched,
    };
    let found = survey::survey(&mut project, means.tables);
    step("survey");
    project.stars = stars::Stars::new(&mut project, &found.stars, means.tables);
    step("stars");
    project.classes = classes::Classes::new(&mut project, found.classes, means.tables);
    step("classes");
    project.methods = calls::MethodIndex::new(found.methods);
    step("methods");
    let mut links = Vec::with_capacity(files.len() as usize);
    let mut sum = digest::Sum::default();
    let mut totals = summary::Counts::default();
    let mut loads = summary::Loads::new(means.tables);
    let work = |project: &Project<'_>, file: u32, callees: Option<&flow::Callees>| {
        project.touched(file);
        let block = match project.files.links_before(file) {
            Some(bytes) => Table::of(bytes, &project.scratch),
            None => calls::links_of(project, file, callees),
        };
        let digest = digest::file(project, file, &block, &layout.project);
        let counts = summary::Counts::of(project, file, &block);
        let loads = summary::runtime_imports(project, file, &block);
        (means.links.keep_table(block), digest, counts, loads)
    };
    let parts = (layout.calls == Calls::Flow).then(|| flow::Parts::new(&project));
    let groups =
        parts.as_ref().map(|parts| parts.groups(&project, means.constraints, layout.max_constraints));
    let groups = groups.unwrap_or_default();
    let by_name: u64 =
        groups.iter().filter(|group| !group.solved).map(|group| group.files.len() as u64).sum();
    let solve = parts.is_some() && (0..files.len()).any(|file| files.links_before(file).is_none());
    match layout.calls {
        _ if !solve => project.in_order(
            4,
            |project, file| work(project, file, None),
            |_, _, (block, digest, counts, imported)| {
                links.push(block);
                sum.add(&digest);
                totals.add(counts);
                loads.push(&imported);
            },
        ),
        _ => {
            let mut made: Vec<Option<(Block, Box<[u32]>)>> = (0..files.len()).map(|_| None).collect();
            for group in groups {
                let caps = flow::Caps { values: layout.max_values };
                let solved = parts.as_ref().filter(|_| group.solved);
                let solution = solved.map(|parts| flow::solve(&project, parts, &group.files, caps));
                step("value flow");
                for run in group.files.chunks(WINDOW as usize) {
                    let rows: Vec<_> = run
                        .par_iter()
                        .with_min_len(4)
                        .map(|&file| {
                            let callees = solution.as_ref().map(|solution| flow::callees(solution, file));
                            (file, work(&project, file, callees.as_ref()))
                        })
                        .collect();
                    for (file, (block, digest, counts, imported)) in rows {
                        made[file as usize] = Some((block, imported.into()));
                        sum.add(&digest);
                        totals.add(counts);
                    }
                }
                drop(solution);
                project.views.tidy();
            }
            for (block, imported) in made.into_iter().flatten() {
                links.push(block);
                loads.push(&imported);
            }
        }
    }
    rayon::broadcast(|_| calls::drop_linker());
    step("files");
    let links = Blocks { spill: Arc::clone(means.links), blocks: links };
    let mut summary = Summary { linked_by_name: by_name, ..Summary::default() };
    summary.finish(&totals, &project, loads);
    step("summary");
    let Project { table, base, .. } = project;
    let modules::ModuleTable { names: modules, roots, root_names, .. } = table;
    Linked { modules, roots, root_names, symbol_base: base, links, digest: sum.bytes(), summary }
}

/// Number of each file's first symbol in the project.
fn base(files: &dyn Input) -> Vec<u32> {
    let mut next = 0;
    (0..files.len())
        .map(|file| {
            let first = next;
            next += files.symbols(file);
            first
        })
        .collect()
}

/// Pairs of numbers for each file, one file after the other.
#[derive(Debug)]
pub(crate) struct Lists<T: crate::sys::Plain> {
    starts: Vec<u32>,
    rows: Column<T>,
}

impl<T: crate::sys::Plain> Lists<T> {
    pub(crate) fn new(scratch: &Arc<Scratch>) -> Self {
        Self { starts: vec![0], rows: Column::new(scratch) }
    }

    /// Appends a row to the last one.
    pub(crate) fn push_row(&mut self, row: T) {
        self.rows.push(row);
    }

    /// What was appended since is the next one.
    pub(crate) fn end(&mut self) {
        self.starts.push(self.rows.len() as u32);
    }

    /// Appends the rows of the next one.
    pub(crate) fn push(&mut self, rows: &[T]) {
        self.rows.extend_from_slice(rows);
        self.starts.push(self.rows.len() as u32);
    }

    pub(crate) fn finish(self) -> Listed<T> {
        Listed { starts: self.starts, rows: self.rows.finish() }
    }
}

/// Finished [`Lists`].
#[derive(Debug)]
pub(crate) struct Listed<T: crate::sys::Plain> {
    starts: Vec<u32>,
    rows: crate::sys::Table<T>,
}

impl<T: crate::sys::Plain> Default for Listed<T> {
    fn default() -> Self {
        Self { starts: vec![0], rows: crate::sys::Table::default() }
    }
}

impl<T: crate::sys::Plain> Listed<T> {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Where the rows of number `at` are among all.
    #[inline]
    pub(crate) fn range(&self, at: u32) -> Range<usize> {
        self.starts[at as usize] as usize..self.starts[at as usize + 1] as usize
    }

    /// Rows of number `at`; none where there is no such number.
    #[inline]
    pub(crate) fn get(&self, at: u32) -> &[T] {
        if at as usize >= self.len() { &[] } else { &self.rows[self.range(at)] }
    }
}
