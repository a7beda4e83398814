//! Facts of all files to one graph: module table, imports, class hierarchy, call sites, edges.
//!
//! Every step reads facts in place and writes one block of links per file; nothing here reads a source,
//! starts a thread of its own choice or prints. Results depend on the files' names and facts alone, never
//! on the order in which threads came.
//!
//! Steps: [`modules`] names the files; [`imports`] finds each import's module; [`value`] says what an access path
//! stands for; [`classes`] orders the bases; [`calls`] decides each call site, which is the part that a
//! whole-program value-flow analysis can replace, since everything after it reads [`links`] alone.

pub mod builtins;
mod calls;
mod classes;
mod digest;
mod imports;
pub mod links;
mod modules;
mod stars;
mod summary;
mod value;

pub use modules::{Layout, module_name};
pub use summary::{Cycle, Summary, Worst};

use crate::model::facts::Facts;
use crate::model::source::FileKind;
use crate::sys::{Block, Spill};
use rayon::prelude::*;
use std::sync::Arc;

/// Version of the linker and of the links' schema; part of the snapshot's key.
pub const LINK_VERSION: u32 = 3;

/// One file as the linker sees it.
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

/// What the linker gives.
#[derive(Debug)]
pub struct Linked {
    /// Name of each file's module.
    pub modules: Vec<String>,
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

    /// All blocks, by file.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.blocks.iter().map(|block| self.spill.get(block))
    }
}

/// Is told again and again of so many bytes of facts that were read.
pub type Touched<'a> = &'a (dyn Fn(usize) + Sync);

/// Everything that links of one file may ask about the others. Shared by all workers, never changed.
pub(crate) struct Project<'a> {
    pub(crate) files: &'a [FileInput<'a>],
    pub(crate) table: modules::ModuleTable,
    pub(crate) imports: Vec<imports::Targets>,
    pub(crate) stars: Vec<Option<Box<stars::StarIndex>>>,
    pub(crate) classes: classes::Classes,
    pub(crate) methods: calls::MethodIndex,
    pub(crate) base: Vec<u32>,
    pub(crate) touched: Touched<'a>,
}

impl<'a> Project<'a> {
    pub(crate) fn facts(&self, file: u32) -> Option<&Facts<'a>> {
        self.files[file as usize].facts.as_ref()
    }

    /// To be called where the facts of a file were read.
    pub(crate) fn touched(&self, file: u32) {
        touch(&self.files[file as usize], self.touched);
    }
}

/// Tells that the facts of a file are read.
pub(crate) fn touch(file: &FileInput<'_>, touched: Touched<'_>) {
    touched(file.facts.as_ref().map_or(0, |facts| facts.bytes().len()));
}

/// Links `files`, which are sorted by path.
pub fn link(files: &[FileInput<'_>], layout: &Layout) -> Linked {
    link_into(files, layout, &Arc::new(Spill::none()), &|_| ())
}

/// The same; `spill` keeps the links, `touched` is told what is read of facts.
pub fn link_into(
    files: &[FileInput<'_>],
    layout: &Layout,
    spill: &Arc<Spill>,
    touched: Touched<'_>,
) -> Linked {
    let started = std::time::Instant::now();
    let step = |name: &str| {
        if tracing::enabled!(tracing::Level::DEBUG) {
            let megabytes = crate::sys::Meter::default().resident_bytes() >> 20;
            tracing::debug!("{name} after {:?}, {megabytes} MB", started.elapsed());
        }
    };
    let table = modules::ModuleTable::new(files, layout);
    step("module table");
    let mut base = Vec::with_capacity(files.len());
    let mut next = 0u32;
    for file in files {
        touch(file, touched);
        base.push(next);
        next += file.facts.as_ref().map_or(1, |facts| facts.rows(crate::model::facts::table::Symbols));
    }
    let imports: Vec<imports::Targets> = (0..files.len() as u32)
        .into_par_iter()
        .with_min_len(16)
        .map(|file| {
            touch(&files[file as usize], touched);
            imports::targets(files, &table, file)
        })
        .collect();
    step("imports");
    let stars = stars::index(files, &imports, &table.beside, touched);
    let mut project = Project {
        files,
        table,
        imports,
        stars,
        classes: classes::Classes::default(),
        methods: calls::MethodIndex::default(),
        base,
        touched,
    };
    step("stars");
    project.classes = classes::Classes::new(&project);
    step("classes");
    project.methods = calls::MethodIndex::new(&project);
    let project = project;
    step("methods");
    let results: Vec<(Block, [u8; 32], summary::Counts)> = (0..files.len() as u32)
        .into_par_iter()
        .with_min_len(4)
        .map_init(calls::Linker::default, |linker, file| {
            project.touched(file);
            let block = linker.file(&project, file);
            let digest = digest::file(&project, file, &block, &layout.project);
            let counts = summary::Counts::of(&project, file, &block);
            (spill.keep(block), digest, counts)
        })
        .collect();
    step("files");
    let mut links = Vec::with_capacity(files.len());
    let mut sum = digest::Sum::default();
    let mut totals = summary::Counts::default();
    for (block, digest, counts) in results {
        links.push(block);
        sum.add(&digest);
        totals.add(counts);
    }
    let links = Blocks { spill: Arc::clone(spill), blocks: links };
    let mut summary = Summary::default();
    summary.finish(&totals, &project, &links);
    step("summary");
    let Project { table, base, .. } = project;
    Linked { modules: table.names, symbol_base: base, links, digest: sum.bytes(), summary }
}
