//! Finds the Python sources of a tree and stats them, fast.
//!
//! Left out, because what they hold is certainly not the project's source: the directories in [`SKIPPED_DIRS`];
//! `venv` unless it holds an `__init__.py` (CPython's own `Lib/venv` is a package); any directory with a
//! `pyvenv.cfg`, or with a `CACHEDIR.TAG` that has the standard signature. `build`, `dist` and `env` are walked:
//! they are package names in real projects. Paths named explicitly are always walked. Left out as well is what gitignore
//! files ([`WalkOptions::respect_gitignore`]) and `exclude` globs say. Symbolic links are never followed: one that
//! leads to a directory or is named like a source becomes a [`WalkProblem`], as does everything else that
//! looks like a source and cannot be read, so that nothing is left out silently.
//!
//! A warm walk of a tree with many directories can skip reading those whose stat is unchanged ([`Listings`]).
//! This module must not open a source file and knows nothing of caches.

mod listing;
mod pool;
mod rules;

use std::ffi::OsStr;
use std::fs::Metadata;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

pub use self::listing::Listings;
use self::listing::{EntryKind, Fresh, Listing, Markers};
use self::rules::{Filter, Rules, Verdict};
use crate::model::source::{self, FileKind, escape};
use crate::sys::open_regular;

/// Directories that never hold a project's own sources. Sorted.
pub const SKIPPED_DIRS: [&str; 31] = [
    ".bzr",
    ".cache",
    ".direnv",
    ".eggs",
    ".env",
    ".git",
    ".git-rewrite",
    ".hg",
    ".hypothesis",
    ".idea",
    ".ipynb_checkpoints",
    ".jj",
    ".mypy_cache",
    ".nox",
    ".pants.d",
    ".pyenv",
    ".pyre",
    ".pytest_cache",
    ".pytype",
    ".ruff_cache",
    ".sl",
    ".svn",
    ".tox",
    ".uv_cache",
    ".venv",
    ".vscode",
    "CVS",
    "__pycache__",
    "__pypackages__",
    "node_modules",
    "site-packages",
];

/// More threads than this only contend for the kernel's directory locks.
const MAX_THREADS: usize = 8;

/// A change later than this before a walk began might carry the time of one already seen: the kernel's clock
/// tick is at most 10 ms.
const TICK_NS: i64 = 20_000_000;
/// The same where the file system keeps whole seconds (FAT: two).
const COARSE_NS: i64 = 2_500_000_000;

/// What to leave out and how many threads to use.
#[derive(Clone, Debug)]
pub struct WalkOptions {
    /// Globs in gitignore syntax, relative to the root or a folder above it. `!glob` keeps what a gitignore file leaves out.
    pub exclude: Vec<String>,
    /// Globs in gitignore syntax, likewise; where there are any, only files that match one are
    /// sources.
    pub include: Vec<String>,
    /// Where the root lies in the folder that `exclude` is relative to; empty where that is the root.
    pub exclude_at: PathBuf,
    /// The same for `include`.
    pub include_at: PathBuf,
    /// Whether `.gitignore` and `.git/info/exclude` count.
    pub respect_gitignore: bool,
    /// Upper bound of threads; 0 means the processors there are.
    pub threads: usize,
}

impl Default for WalkOptions {
    fn default() -> Self {
        Self {
            exclude: Vec::new(),
            include: Vec::new(),
            exclude_at: PathBuf::new(),
            include_at: PathBuf::new(),
            respect_gitignore: true,
            threads: 0,
        }
    }
}

/// What the file system says of a file without opening it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stat {
    /// Bytes.
    pub size: u64,
    /// Last change of the contents, ns since 1970.
    pub mtime_ns: i64,
    /// Last change of contents or attributes, ns since 1970; a program can't set it.
    pub ctime_ns: i64,
    /// Inode number.
    pub inode: u64,
}

impl Stat {
    /// The stat in file metadata.
    #[must_use]
    pub fn of(meta: &Metadata) -> Self {
        let ns = |seconds: i64, ns: i64| seconds.saturating_mul(1_000_000_000).saturating_add(ns);
        Self {
            size: meta.size(),
            mtime_ns: ns(meta.mtime(), meta.mtime_nsec()),
            ctime_ns: ns(meta.ctime(), meta.ctime_nsec()),
            inode: meta.ino(),
        }
    }

    /// All fields in 64 bits; the same in every run and on every machine. Not for use against an adversary.
    #[must_use]
    pub fn metadata_hash(&self) -> u64 {
        // splitmix64's finalizer, chained: a bijection in each word.
        [self.size, self.mtime_ns as u64, self.ctime_ns as u64, self.inode].iter().fold(
            0x9e37_79b9_7f4a_7c15,
            |hash: u64, &word| {
                let mut z = (hash ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
                z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                z ^ (z >> 31)
            },
        )
    }

    /// When the file last changed in any way, ns since 1970, moved on by what the clock may have left out:
    /// a stat taken after this moment tells every later change.
    #[must_use]
    pub fn changed_ns(&self) -> i64 {
        let coarse = self.ctime_ns % 1_000_000_000 == 0;
        self.mtime_ns.max(self.ctime_ns).saturating_add(if coarse { COARSE_NS } else { TICK_NS })
    }
}

/// A source that the walk found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalkedFile {
    /// Relative to the root, `/`-separated, escaped ([`source::escape`]).
    pub path: String,
    /// Source or stub.
    pub kind: FileKind,
    /// As it was when the walk passed.
    pub stat: Stat,
}

impl WalkedFile {
    /// Where the file is on disk.
    #[must_use]
    pub fn os_path(&self, root: &Path) -> PathBuf {
        source::os_path(root, &self.path)
    }
}

/// Why something that looks like a source, or may hold some, was left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum SkipReason {
    /// The target is analyzed at its own place.
    #[error("symbolic link to `{0}` inside the tree, which is analyzed there")]
    SymlinkInside(String),
    /// The target is none of the tree's.
    #[error("symbolic link out of the tree, to `{0}`; name the target to analyze it")]
    SymlinkOutside(String),
    /// The target does not exist or the link is a loop.
    #[error("symbolic link that leads nowhere")]
    SymlinkBroken,
    /// Never opened: reading it could block or have effects.
    #[error("{0}, not a regular file")]
    NotRegular(&'static str),
    /// What the operating system said.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// An ignore file, or one of its lines, that could not be used; what it would leave out is walked.
    #[error("ignore file not fully used: {0}")]
    BadIgnoreFile(String),
}

/// Something left out, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WalkProblem {
    /// Relative to the root and escaped; an ignore file's is absolute.
    pub path: String,
    /// Why.
    pub reason: SkipReason,
}

/// What cannot be walked at all.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// A root or a named path that does not exist or cannot be reached.
    #[error("cannot walk `{path}`; check that it exists and can be read")]
    Path {
        /// As it was given.
        path: String,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// A root that is a file.
    #[error("root `{0}` is not a directory; name its directory")]
    NotADirectory(String),
    /// A named path that is not below the root.
    #[error("`{path}` is outside of the root `{root}`; choose a root that holds it")]
    Outside {
        /// As it was given.
        path: String,
        /// The root.
        root: String,
    },
    /// A glob that is not one.
    #[error("invalid glob `{glob}`: {message}; globs are written as in a `.gitignore`")]
    Glob {
        /// As it was given.
        glob: String,
        /// What is wrong.
        message: String,
    },
}

/// The sources of a tree.
#[derive(Debug, Default)]
pub struct Walked {
    /// Absolute, no symbolic links in it.
    pub root: PathBuf,
    /// Sorted by path bytes; no path twice.
    pub files: Vec<WalkedFile>,
    /// Sorted.
    pub problems: Vec<WalkProblem>,
    /// This machine's clock when the walk began, ns since 1970: a stat that changed before it is to be trusted.
    pub started_ns: i64,
    /// Directories visited, read or not.
    pub directories: u32,
    /// For the next walk; `None` where none were asked for or the ones given still say all.
    pub listings: Option<Listings>,
}

/// Nanoseconds since 1970 by this machine's clock.
#[must_use]
pub(crate) fn now_ns() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |now| i64::try_from(now.as_nanos()).unwrap_or(i64::MAX))
}

/// Walks `paths` (directories or files below `root`, absolute or relative to it; none means `root`).
///
/// # Errors
/// A root or path that does not exist, a path outside of the root, an invalid glob. Anything met on the way
/// is a [`WalkProblem`] instead.
pub fn walk(root: &Path, paths: &[PathBuf], options: &WalkOptions) -> Result<Walked, WalkError> {
    walk_known(root, paths, options, None)
}

/// As [`walk`], with the directories of an earlier walk of the same root, and keeps those of this one. The
/// options and paths of the two may differ.
///
/// # Errors
/// As [`walk`].
pub fn walk_known(
    root: &Path,
    paths: &[PathBuf],
    options: &WalkOptions,
    known: Option<&Listings>,
) -> Result<Walked, WalkError> {
    let started_ns = now_ns();
    let given = root;
    let root = canonical(root)?;
    if !root.is_dir() {
        return Err(WalkError::NotADirectory(escape(given.as_os_str())));
    }
    let walker = Walker { root: &root, filter: Filter::new(options)?, options, known };
    let mut found = Found::default();
    let mut tasks = Vec::new();
    if paths.is_empty() {
        tasks.push(walker.named_dir(root.clone(), String::new(), &mut found));
    }
    for path in paths {
        let absolute = canonical(&root.join(path))?;
        let Ok(relative) = absolute.strip_prefix(&root) else {
            return Err(WalkError::Outside {
                path: escape(path.as_os_str()),
                root: escape(root.as_os_str()),
            });
        };
        let relative = escape(relative.as_os_str());
        let meta = absolute.symlink_metadata().map_err(|source| path_error(path, source))?;
        if meta.is_dir() {
            tasks.push(walker.named_dir(absolute, relative, &mut found));
        } else if meta.is_file() {
            let kind = FileKind::of(relative.as_bytes()).unwrap_or(FileKind::Py);
            found.files.push(WalkedFile { path: relative, kind, stat: Stat::of(&meta) });
        } else {
            found.problem(relative, SkipReason::NotRegular(special_kind(&meta)));
        }
    }
    let threads = match options.threads {
        0 => std::thread::available_parallelism().map_or(1, Into::into),
        threads => threads,
    };
    let outputs = pool::traverse(tasks, threads.clamp(1, MAX_THREADS), |task, more, found: &mut Found| {
        walker.visit(task, more, found);
    });
    for output in outputs {
        found.merge(output);
    }
    found.files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    found.files.dedup_by(|a, b| a.path == b.path);
    found.problems.sort_unstable();
    found.problems.dedup();
    found.reused.sort_unstable();
    found.reused.dedup();
    let listings = known.and_then(|known| {
        let same = found.fresh.is_empty() && found.reused.len() == known.len();
        (!same).then(|| known.next(&found.reused, &found.fresh, started_ns))
    });
    Ok(Walked {
        files: found.files,
        problems: found.problems,
        started_ns,
        directories: found.directories,
        listings,
        root,
    })
}

fn canonical(path: &Path) -> Result<PathBuf, WalkError> {
    path.canonicalize().map_err(|source| path_error(path, source))
}

fn path_error(path: &Path, source: std::io::Error) -> WalkError {
    WalkError::Path { path: escape(path.as_os_str()), source }
}

/// A directory to visit.
struct Task {
    path: PathBuf,
    /// Relative to the root, escaped; empty for the root.
    relative: String,
    rules: Option<Arc<Rules>>,
    named: bool,
}

#[derive(Default)]
struct Found {
    files: Vec<WalkedFile>,
    problems: Vec<WalkProblem>,
    fresh: Vec<Fresh>,
    reused: Vec<u32>,
    directories: u32,
}

impl Found {
    fn problem(&mut self, path: String, reason: SkipReason) {
        self.problems.push(WalkProblem { path, reason });
    }

    fn merge(&mut self, other: Self) {
        self.files.extend(other.files);
        self.problems.extend(other.problems);
        self.fresh.extend(other.fresh);
        self.reused.extend(other.reused);
        self.directories += other.directories;
    }
}

struct Walker<'a> {
    root: &'a Path,
    filter: Filter,
    options: &'a WalkOptions,
    known: Option<&'a Listings>,
}

impl Walker<'_> {
    fn named_dir(&self, path: PathBuf, relative: String, found: &mut Found) -> Task {
        let rules = if self.options.respect_gitignore {
            rules::above(self.root, &path, &mut found.problems)
        } else {
            None
        };
        Task { path, relative, rules, named: true }
    }

    fn visit(&self, task: Task, more: &mut Vec<Task>, found: &mut Found) {
        found.directories += 1;
        let Some(known) = self.known else {
            let mut listing = Listing::default();
            if let Err(error) = list(&task.path, &mut listing) {
                found.problem(task.relative, SkipReason::Unreadable(error.to_string()));
                return;
            }
            self.take(&task, listing.markers, &listing.entries, more, found);
            return;
        };
        // Before the listing is read: a change in between makes the stat the older of the two.
        let stat = match task.path.symlink_metadata() {
            Ok(meta) => Stat::of(&meta),
            Err(error) => {
                found.problem(task.relative, SkipReason::Unreadable(error.to_string()));
                return;
            }
        };
        if let Some(row) = known.find(&task.relative)
            && let Some((markers, entries)) = known.get(row, &stat)
        {
            found.reused.push(row as u32);
            self.take(&task, markers, entries, more, found);
            return;
        }
        let mut listing = Listing::default();
        if let Err(error) = list(&task.path, &mut listing) {
            found.problem(task.relative, SkipReason::Unreadable(error.to_string()));
            return;
        }
        self.take(&task, listing.markers, &listing.entries, more, found);
        found.fresh.push(Fresh { path: task.relative, stat, listing });
    }

    /// Deals with the entries of a directory.
    fn take(&self, task: &Task, markers: Markers, entries: &[u8], more: &mut Vec<Task>, found: &mut Found) {
        if !task.named && not_sources(&task.path, markers) {
            return;
        }
        let mut rules = task.rules.clone();
        if self.options.respect_gitignore {
            if markers.has(Markers::GIT) {
                rules = rules::repository(&task.path, &mut found.problems);
            }
            if markers.has(Markers::GITIGNORE) {
                let file = task.path.join(".gitignore");
                rules = rules::with_file(rules, &task.path, &file, &mut found.problems);
            }
        }
        let mut path = task.path.clone();
        for (kind, name) in listing::entries(entries) {
            let is_dir = kind == EntryKind::Dir;
            if is_dir && skipped_name(name) {
                continue;
            }
            path.push(name);
            if !self.left_out(&path, is_dir, rules.as_ref()) {
                let mut relative = String::with_capacity(task.relative.len() + 1 + name.len());
                if !task.relative.is_empty() {
                    relative.push_str(&task.relative);
                    relative.push('/');
                }
                match name.to_str() {
                    Some(text) if !text.bytes().any(|byte| byte < 0x20 || byte == 0x7f || byte == b'\\') => {
                        relative.push_str(text);
                    }
                    _ => relative.push_str(&escape(name)),
                }
                if is_dir {
                    more.push(Task { path: path.clone(), relative, rules: rules.clone(), named: false });
                } else {
                    self.leaf(&path, name, kind, relative, found);
                }
            }
            path.pop();
        }
    }

    fn left_out(&self, path: &Path, is_dir: bool, rules: Option<&Arc<Rules>>) -> bool {
        if !self.filter.is_empty() {
            let relative = path.strip_prefix(self.root).unwrap_or(path);
            match self.filter.verdict(relative, is_dir) {
                Verdict::Excluded => return true,
                Verdict::Kept => return !is_dir && !self.filter.includes(relative),
                Verdict::Undecided if !is_dir && !self.filter.includes(relative) => return true,
                Verdict::Undecided => {}
            }
        }
        rules.is_some() && rules::ignored(rules, path, is_dir)
    }

    fn leaf(&self, path: &Path, name: &OsStr, kind: EntryKind, relative: String, found: &mut Found) {
        if kind == EntryKind::Symlink {
            if let Some(reason) = self.symlink(path, name) {
                found.problem(relative, reason);
            }
            return;
        }
        match path.symlink_metadata() {
            Ok(meta) if meta.is_file() => {
                let kind = FileKind::of(name.as_bytes()).unwrap_or(FileKind::Py);
                found.files.push(WalkedFile { path: relative, kind, stat: Stat::of(&meta) });
            }
            Ok(meta) => found.problem(relative, SkipReason::NotRegular(special_kind(&meta))),
            // Deleted since the directory was read: as if it had been before.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => found.problem(relative, SkipReason::Unreadable(error.to_string())),
        }
    }

    /// Why a link is left out, `None` if it does not concern us: a link to a file that is not Python.
    fn symlink(&self, path: &Path, name: &OsStr) -> Option<SkipReason> {
        let python = FileKind::of(name.as_bytes()).is_some();
        let target = path.metadata();
        let is_dir = target.as_ref().is_ok_and(Metadata::is_dir);
        if !python && (!is_dir || skipped_name(name) || name == "venv") {
            return None;
        }
        match path.canonicalize() {
            Err(_) => Some(SkipReason::SymlinkBroken),
            Ok(target) => match target.strip_prefix(self.root) {
                Ok(inside) => Some(SkipReason::SymlinkInside(escape(inside.as_os_str()))),
                Err(_) => Some(SkipReason::SymlinkOutside(escape(target.as_os_str()))),
            },
        }
    }
}

fn skipped_name(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| SKIPPED_DIRS.binary_search(&name).is_ok())
}

/// Whether a directory's content says that it is a virtual environment or a cache.
fn not_sources(path: &Path, markers: Markers) -> bool {
    markers.has(Markers::PYVENV)
        || (!markers.has(Markers::INIT) && path.file_name().is_some_and(|name| name == "venv"))
        || (markers.has(Markers::CACHEDIR_TAG) && has_cache_signature(&path.join("CACHEDIR.TAG")))
}

fn has_cache_signature(tag: &Path) -> bool {
    const SIGNATURE: &[u8; 43] = b"Signature: 8a477f597d28d172789f06886806bc55";
    let mut start = [0; SIGNATURE.len()];
    open_regular(tag).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == *SIGNATURE
}

fn special_kind(meta: &Metadata) -> &'static str {
    let kind = meta.file_type();
    if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_socket() {
        "a socket"
    } else if kind.is_block_device() || kind.is_char_device() {
        "a device"
    } else if kind.is_symlink() {
        "a symbolic link"
    } else {
        "a directory"
    }
}

/// Reads a directory's entries that matter.
fn list(path: &Path, listing: &mut Listing) -> std::io::Result<()> {
    for entry in path.read_dir()? {
        let entry = entry?;
        let name = entry.file_name();
        let file_type = match entry.file_type() {
            Ok(file_type) => file_type,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        listing.markers.note(name.as_bytes());
        let python = || FileKind::of(name.as_bytes()).is_some();
        if file_type.is_dir() {
            if !skipped_name(&name) {
                listing.push(EntryKind::Dir, &name);
            }
        } else if file_type.is_file() {
            if python() {
                listing.push(EntryKind::Source, &name);
            }
        } else if file_type.is_symlink() {
            listing.push(EntryKind::Symlink, &name);
        } else if python() {
            listing.push(EntryKind::Special, &name);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
