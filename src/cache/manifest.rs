//! What one (root, options) last saw: for each file its stat, content hash and fact key.
//!
//! Equal stats mean an unchanged file, except where the file changed so late before the walk began that a further change
//! could carry the same times (git's "racy" entries): `trusted_before` is the moment the walk began by the *file
//! system's* clock, learnt from the temporary file that becomes the manifest. Nothing here reads a source.

use std::cmp::Ordering;
use std::fmt;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::MAX_SMALL_FILE;
use super::file::{FrameError, Framed, frame_header, read_framed, temp_in};
use super::hash::{ContentHash, FactKey, hex16, name_of};
use crate::model::source::unescape;
use crate::sys::{Column, Scratch, Table};
use crate::walk::{Stat, Walked, now_ns};

const MAGIC: &[u8; 8] = b"PYDBMANI";
const VERSION: u32 = 1;
const ROW: usize = 4 + 8 + 32 + 32 + 8 + 4 + 4 + 4;

/// Names the manifest of a root and of everything that decides which files are walked and which facts they give.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ManifestId([u8; 16]);

impl ManifestId {
    /// `root`: absolute, without symbolic links. `options`: the bytes of all options, paths asked for included.
    #[must_use]
    pub fn new(root: &Path, options: &[u8]) -> Self {
        Self(name_of(&[root.as_os_str().as_bytes(), options]))
    }
}

impl fmt::Display for ManifestId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&hex16(&self.0))
    }
}

/// One file as it was last seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ManifestRow<'a> {
    /// Relative to the root, escaped.
    pub path: &'a str,
    /// [`Stat::metadata_hash`] from before the file was read.
    pub metadata_hash: u64,
    /// Of the bytes.
    pub content_hash: ContentHash,
    /// Where its facts are.
    pub key: FactKey,
    /// What parsing and extracting took when the facts were made, microseconds.
    pub parse_duration_us: u32,
    /// The engine's own; opaque here.
    pub status: u32,
    /// When the facts were made, seconds since 1970.
    pub created: u64,
    /// Day of the last run that saw it, days since 1970.
    pub accessed_day: u32,
}

/// A manifest as it was read; empty by default.
#[derive(Debug, Default)]
pub struct Manifest {
    framed: Framed,
    rows: usize,
    /// Offsets in the payload.
    rows_at: usize,
    paths_at: usize,
}

impl Manifest {
    pub(crate) fn read(path: &Path) -> Result<Self, FrameError> {
        let framed = read_framed(path, MAGIC, VERSION, MAX_SMALL_FILE)?;
        Self::parse(framed).ok_or(FrameError::Damaged)
    }

    /// The layout: trusted_before:i64 | id:16 root_len:u32 rows:u32 root, rows, paths.
    fn parse(framed: Framed) -> Option<Self> {
        let payload = framed.payload();
        let u32_at = |at: usize| Some(u32::from_le_bytes(*payload.get(at..)?.first_chunk()?) as usize);
        let (root_len, rows) = (u32_at(24)?, u32_at(28)?);
        let rows_at = 32_usize.checked_add(root_len)?;
        let paths_at = rows_at.checked_add(rows.checked_mul(ROW)?)?;
        let paths = std::str::from_utf8(payload.get(paths_at..)?).ok()?;
        let mut start = 0;
        for row in payload[rows_at..paths_at].chunks_exact(ROW) {
            let end = u32::from_le_bytes(*row.first_chunk()?) as usize;
            // Checked here, once, so that `row` can slice without a care.
            if end < start || !paths.is_char_boundary(end) {
                return None;
            }
            start = end;
        }
        (start == paths.len()).then_some(Self { rows, rows_at, paths_at, framed })
    }

    /// Whose it is.
    #[must_use]
    pub fn id(&self) -> ManifestId {
        ManifestId(self.framed.payload().get(8..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default())
    }

    /// The root it was made for.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        let root = self.framed.payload().get(32..self.rows_at).unwrap_or_default();
        PathBuf::from(std::ffi::OsStr::from_bytes(root))
    }

    /// How many files.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether it names no file; also what stands for a missing manifest.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Row number `at`; rows are sorted by path bytes.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn row(&self, at: usize) -> ManifestRow<'_> {
        let payload = self.framed.payload();
        let rows = &payload[self.rows_at..self.paths_at];
        let row: &[u8; ROW] = rows[at * ROW..].first_chunk().expect("a row within the manifest");
        let end_of = |at: usize| u32::from_le_bytes(*rows[at * ROW..].first_chunk().expect("a row")) as usize;
        let start = if at == 0 { 0 } else { end_of(at - 1) };
        let u32_at = |at: usize| u32::from_le_bytes(*row[at..].first_chunk().expect("within the row"));
        let u64_at = |at: usize| u64::from_le_bytes(*row[at..].first_chunk().expect("within the row"));
        let path = &payload[self.paths_at + start..self.paths_at + end_of(at)];
        ManifestRow {
            path: std::str::from_utf8(path).unwrap_or_default(),
            metadata_hash: u64_at(4),
            content_hash: ContentHash(*row[12..].first_chunk().expect("within the row")),
            key: FactKey(*row[44..].first_chunk().expect("within the row")),
            created: u64_at(76),
            parse_duration_us: u32_at(84),
            status: u32_at(88),
            accessed_day: u32_at(92),
        }
    }

    /// All rows, in order of path.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = ManifestRow<'_>> {
        (0..self.rows).map(|at| self.row(at))
    }

    /// The row of a path.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<ManifestRow<'_>> {
        let (mut low, mut high) = (0, self.rows);
        while low < high {
            let middle = low.midpoint(high);
            let row = self.row(middle);
            match row.path.cmp(path) {
                Ordering::Equal => return Some(row),
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// The place on disk of a row.
    #[must_use]
    pub fn os_path(&self, row: &ManifestRow<'_>) -> PathBuf {
        self.root().join(unescape(row.path))
    }

    /// ns since 1970: a file that changed at or after it must be read.
    fn trusted_before(&self) -> i64 {
        self.framed.payload().first_chunk().map_or(i64::MIN, |bytes| i64::from_le_bytes(*bytes))
    }

    /// Everything but the time.
    pub(crate) fn body(&self) -> &[u8] {
        self.framed.payload().get(8..).unwrap_or_default()
    }
}

/// Collects the rows of a new manifest.
#[derive(Debug)]
pub struct ManifestBuilder {
    id: ManifestId,
    root: PathBuf,
    rows: Column<[u8; ROW]>,
    paths: Column<u8>,
    /// The last path.
    last: String,
    /// Paths came in order, none twice.
    sorted: bool,
}

impl ManifestBuilder {
    /// For the id's root.
    #[must_use]
    pub fn new(id: ManifestId, root: &Path) -> Self {
        Self::within(id, root, &Scratch::none())
    }

    /// The same, with `scratch` for the rows.
    #[must_use]
    pub fn within(id: ManifestId, root: &Path, scratch: &Arc<Scratch>) -> Self {
        Self {
            id,
            root: root.to_path_buf(),
            rows: Column::new(scratch),
            paths: Column::new(scratch),
            last: String::new(),
            sorted: true,
        }
    }

    /// Adds a file, in any order; the last of equal paths counts.
    pub fn push(&mut self, row: &ManifestRow<'_>) {
        self.sorted &= self.rows.is_empty() || *self.last < *row.path;
        row.path.clone_into(&mut self.last);
        self.paths.extend_from_slice(row.path.as_bytes());
        let mut bytes = [0; ROW];
        bytes[..4].copy_from_slice(&(self.paths.len() as u32).to_le_bytes());
        bytes[4..12].copy_from_slice(&row.metadata_hash.to_le_bytes());
        bytes[12..44].copy_from_slice(&row.content_hash.0);
        bytes[44..76].copy_from_slice(&row.key.0);
        bytes[76..84].copy_from_slice(&row.created.to_le_bytes());
        bytes[84..88].copy_from_slice(&row.parse_duration_us.to_le_bytes());
        bytes[88..92].copy_from_slice(&row.status.to_le_bytes());
        bytes[92..96].copy_from_slice(&row.accessed_day.to_le_bytes());
        self.rows.push(bytes);
    }

    pub(crate) fn id(&self) -> ManifestId {
        self.id
    }

    pub(crate) fn finish(self) -> Body {
        let Self { id, root, rows, paths, sorted, .. } = self;
        let (mut rows, mut paths) = (rows.finish(), paths.finish());
        if !sorted {
            (rows, paths) = in_order(&rows, &paths);
        }
        let root = root.as_os_str().as_bytes();
        let mut head = Vec::with_capacity(24 + root.len());
        head.extend_from_slice(&id.0);
        head.extend_from_slice(&(root.len() as u32).to_le_bytes());
        head.extend_from_slice(&(rows.len() as u32).to_le_bytes());
        head.extend_from_slice(root);
        Body { head, rows, paths }
    }
}

/// Rows in order of their paths, the last of those with equal ones.
fn in_order(rows: &[[u8; ROW]], paths: &[u8]) -> (Table<[u8; ROW]>, Table<u8>) {
    let end = |row: &[u8; ROW]| row.first_chunk().map_or(0, |end| u32::from_le_bytes(*end) as usize);
    let path = |at: usize| &paths[if at == 0 { 0 } else { end(&rows[at - 1]) }..end(&rows[at])];
    let mut order: Vec<usize> = (0..rows.len()).rev().collect();
    order.sort_by(|&a, &b| path(a).cmp(path(b)));
    order.dedup_by(|later, first| path(*later) == path(*first));
    let (mut sorted, mut texts) = (Column::default(), Column::default());
    for at in order {
        texts.extend_from_slice(path(at));
        let mut row = rows[at];
        row[..4].copy_from_slice(&(texts.len() as u32).to_le_bytes());
        sorted.push(row);
    }
    (sorted.finish(), texts.finish())
}

/// A manifest but for its time.
#[derive(Debug)]
pub(crate) struct Body {
    head: Vec<u8>,
    rows: Table<[u8; ROW]>,
    paths: Table<u8>,
}

impl Body {
    /// The parts that make it up, in order.
    fn parts(&self) -> [&[u8]; 3] {
        [&self.head, self.rows.as_flattened(), &self.paths]
    }

    pub(crate) fn is(&self, body: &[u8]) -> bool {
        let mut rest = Some(body);
        for part in self.parts() {
            rest = rest.and_then(|rest| rest.strip_prefix(part));
        }
        rest.is_some_and(<[u8]>::is_empty)
    }
}

/// Writes a manifest; the temporary file's own time says how far this machine's clock is from the file system's.
pub(crate) fn write(path: &Path, body: &Body, walk_started_ns: i64) -> io::Result<()> {
    let mut temp = temp_in(path.parent().unwrap_or(Path::new(".")))?;
    let here = now_ns();
    let there = Stat::of(&temp.as_file().metadata()?).mtime_ns;
    // Never later than this machine's clock says: a tree need not be on the cache's file system.
    let trusted_before = walk_started_ns.saturating_add(there.saturating_sub(here).min(0)).to_le_bytes();
    let [head, rows, paths] = body.parts();
    let parts = [&trusted_before[..], head, rows, paths];
    temp.write_all(&frame_header(MAGIC, VERSION, &parts))?;
    parts.iter().try_for_each(|part| temp.write_all(part))?;
    temp.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Why a file must be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The manifest does not name it.
    New,
    /// Its stat differs.
    Changed,
    /// Its stat is equal but too young to be believed.
    Racy,
}

/// A file that must be read and hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Index in [`Walked::files`].
    pub file: u32,
    /// Its row in the manifest, if it has one: an equal content hash means unchanged after all.
    pub row: Option<u32>,
    /// Why.
    pub cause: Cause,
}

/// A walk compared with a manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partition {
    /// Index in [`Walked::files`] and row of each file that need not be opened.
    pub unchanged: Vec<(u32, u32)>,
    /// Files to read, in order of path.
    pub candidates: Vec<Candidate>,
    /// Rows whose file is gone.
    pub removed: Vec<u32>,
    /// How many candidates are [`Cause::Racy`].
    pub racy: u32,
}

/// Compares a walk with a manifest, by stat alone.
#[must_use]
pub fn partition(walked: &Walked, manifest: &Manifest) -> Partition {
    let mut result = Partition::default();
    let trusted_before = manifest.trusted_before();
    let mut rows = (0_u32..).zip(manifest.rows()).peekable();
    for (file, index) in walked.files.iter().zip(0_u32..) {
        while let Some((at, _)) = rows.next_if(|(_, row)| row.path < file.path.as_str()) {
            result.removed.push(at);
        }
        let row = rows.next_if(|(_, row)| row.path == file.path);
        let (row, cause) = match row {
            None => (None, Cause::New),
            Some((at, row)) if row.metadata_hash != file.stat.metadata_hash() => (Some(at), Cause::Changed),
            Some((at, _)) if file.stat.changed_ns() >= trusted_before => (Some(at), Cause::Racy),
            Some((at, _)) => {
                result.unchanged.push((index, at));
                continue;
            }
        };
        result.racy += u32::from(cause == Cause::Racy);
        result.candidates.push(Candidate { file: index, row, cause });
    }
    result.removed.extend(rows.map(|(at, _)| at));
    result
}

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
