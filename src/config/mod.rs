//! The configuration: flags > environment > `[tool.pydebug]` > preset > default, validated once into [`Config`].
//!
//! A [`Config`] that exists is valid; nothing downstream checks again. Every value remembers its [`Origin`].
//! This module must not know what the settings do: it names, converts, checks and explains them.
//!
//! ```
//! use pydebug::config::{Config, Preset, Workers};
//!
//! let config = Config::builder(".").preset(Preset::Minimal).project("shop").build()?;
//! assert_eq!(config.max_workers().count().get(), 1);
//! # Ok::<(), pydebug::config::ConfigError>(())
//! ```

mod builder;
mod error;
mod key;
mod preset;
mod pyproject;
mod raw;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use serde_json::Value;

#[cfg(feature = "fuzzing")]
pub(crate) use self::pyproject::fuzzing as pyproject_fuzzing;
use crate::split::{ChunkSize, Measure};
pub use builder::{ConfigBuilder, common_root};
pub use error::{ConfigError, Place};
pub use key::Key;
pub use preset::{Chunking, Preset, Strategy, Workers};
pub use raw::Raw;

/// The most workers that can be asked for.
pub(crate) const MAX_WORKERS: u64 = 1024;
/// The project name where none is known; stores ask for a better one.
pub const UNNAMED: &str = "unnamed";
/// The default cache folder below the analyzed root.
const CACHE_DIR: &str = ".cache/parser";
const MB: u64 = 1 << 20;
const KB: u64 = 1 << 10;
/// A week: no file takes longer.
const MAX_SECONDS: u64 = 7 * 24 * 3600;
/// With less a child does not come to its first file.
const MIN_WORKER_MB: u64 = 16;
/// One tebibyte in MB: no setting needs more, and products of two sizes stay within 64 bits.
const MAX_MB: u64 = 1 << 20;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// The preset that was asked for.
    Preset(&'static str),
    /// This `pyproject.toml`.
    Pyproject(PathBuf),
    /// This environment variable.
    Environment(&'static str),
    /// This command-line flag.
    Flag(&'static str),
    /// A call of [`ConfigBuilder`].
    Caller,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Preset(name) => write!(f, "preset {name}"),
            Self::Pyproject(path) => path.display().fmt(f),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
            Self::Caller => f.write_str("caller"),
        }
    }
}

/// Patterns in the syntax of `.gitignore`, relative to the folder of whoever wrote them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Patterns {
    /// The folder that the patterns are relative to, absolute.
    pub base: PathBuf,
    /// The patterns.
    pub globs: Vec<String>,
}

impl Patterns {
    /// A matcher over absolute paths below [`Patterns::base`], or `None` without patterns.
    /// Ask it with `matched_path_or_any_parents(path, is_dir).is_ignore()`.
    #[must_use]
    pub fn matcher(&self) -> Option<Gitignore> {
        if self.globs.is_empty() {
            return None;
        }
        compile(&self.base, &self.globs).ok()
    }
}

/// The path below the folder, or itself if absolute, without `.` components.
fn below(base: &Path, path: &str) -> PathBuf {
    base.join(path).components().collect()
}

fn compile(base: &Path, globs: &[String]) -> Result<Gitignore, ignore::Error> {
    let mut builder = GitignoreBuilder::new(base);
    for glob in globs {
        builder.add_line(None, glob)?;
    }
    builder.build()
}

/// Lines of a chunk that counts lines.
const CHUNK_LINES: usize = 10_000;

#[derive(Debug, Clone)]
struct Values {
    preset: Preset,
    cache_enabled: bool,
    cache_dir: PathBuf,
    cache_max_mb: u64,
    max_workers: Workers,
    strategy: Strategy,
    calls: crate::link::Calls,
    calls_max_constraints: u64,
    calls_max_values: u32,
    file_timeout_ms: u64,
    worker_memory_mb: Option<u64>,
    max_memory_mb: Option<u64>,
    chunking: Chunking,
    chunk_size_kb: u64,
    memory_threshold_mb: u64,
    gc_threshold: u64,
    include: Patterns,
    exclude: Patterns,
    project: String,
    source_roots: Vec<PathBuf>,
    respect_gitignore: bool,
}

impl Values {
    fn of(preset: Preset, root: &Path) -> Self {
        let base = Self {
            preset,
            cache_enabled: true,
            cache_dir: root.join(CACHE_DIR),
            cache_max_mb: 1024,
            max_workers: Workers::Auto,
            strategy: Strategy::Adaptive,
            calls: crate::link::Calls::Flow,
            calls_max_constraints: crate::link::MAX_CONSTRAINTS,
            calls_max_values: crate::link::MAX_VALUES,
            file_timeout_ms: 60_000,
            worker_memory_mb: None,
            max_memory_mb: None,
            chunking: Chunking::Ast,
            chunk_size_kb: 512,
            memory_threshold_mb: 100,
            gc_threshold: 1000,
            include: Patterns::default(),
            exclude: Patterns::default(),
            project: UNNAMED.to_owned(),
            source_roots: Vec::new(),
            respect_gitignore: true,
        };
        match preset {
            Preset::Standard => base,
            Preset::Performance => Self {
                cache_max_mb: 8192,
                chunk_size_kb: 4096,
                memory_threshold_mb: 2048,
                gc_threshold: 100_000,
                ..base
            },
            Preset::Minimal => Self {
                cache_max_mb: 256,
                max_workers: Workers::Fixed(std::num::NonZeroUsize::MIN),
                strategy: Strategy::Thread,
                max_memory_mb: Some(64),
                chunk_size_kb: 128,
                memory_threshold_mb: 64,
                gc_threshold: 100,
                ..base
            },
        }
    }

    /// Takes one value. A relative folder or pattern is relative to `base`.
    fn set(&mut self, key: Key, raw: &Raw, base: &Path) -> Result<(), String> {
        let patterns = || -> Result<Patterns, String> {
            let globs = raw.list()?;
            compile(base, &globs).map_err(|error| format!("write patterns as in .gitignore ({error})"))?;
            Ok(Patterns { base: base.to_owned(), globs })
        };
        match key {
            Key::Preset => self.preset = raw.preset()?,
            Key::CacheEnabled => self.cache_enabled = raw.bool()?,
            Key::CacheDir => self.cache_dir = below(base, raw.text()?),
            Key::CacheMaxSize => self.cache_max_mb = raw.number(1, MAX_MB)?,
            Key::MaxWorkers => self.max_workers = raw.workers()?,
            Key::Strategy => self.strategy = raw.strategy()?,
            Key::FileTimeout => self.file_timeout_ms = raw.milliseconds(MAX_SECONDS)?,
            Key::WorkerMemory => self.worker_memory_mb = raw.number_or_auto(MIN_WORKER_MB, MAX_MB)?,
            Key::MaxMemory => self.max_memory_mb = raw.number_or_auto(64, MAX_MB)?,
            Key::Chunking => self.chunking = raw.chunking()?,
            Key::ChunkSize => self.chunk_size_kb = raw.number(16, KB * KB)?,
            Key::MemoryThreshold => self.memory_threshold_mb = raw.number(1, MAX_MB)?,
            Key::GcThreshold => self.gc_threshold = raw.number(1, u64::from(u32::MAX))?,
            Key::CallsMaxValues => self.calls_max_values = raw.number(1, 200)? as u32,
            Key::Include => self.include = patterns()?,
            Key::Exclude => self.exclude = patterns()?,
            Key::Project => raw.text()?.trim().clone_into(&mut self.project),
            Key::SourceRoots => {
                self.source_roots = raw.list()?.iter().map(|root| below(base, root)).collect();
            }
            Key::RespectGitignore => self.respect_gitignore = raw.bool()?,
            Key::Calls => self.calls = raw.calls()?,
            Key::CallsMaxConstraints => {
                self.calls_max_constraints = raw.number(1, crate::link::MOST_CONSTRAINTS)?
            }
        }
        Ok(())
    }
}

/// A valid configuration. Made by [`Config::builder`].
#[derive(Debug, Clone)]
pub struct Config {
    root: PathBuf,
    pyproject: Option<PathBuf>,
    values: Values,
    origins: [Origin; Key::COUNT],
}

/// One line of `pydebug config`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SettingRow {
    /// The setting's name in `[tool.pydebug]`.
    pub name: &'static str,
    /// Its value.
    pub value: Value,
    /// Where the value came from, as text.
    pub origin: String,
    /// The environment variable that sets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variable: Option<&'static str>,
    /// What it does in this version.
    pub description: &'static str,
}

impl Config {
    /// Starts a configuration for the tree at `root`, a folder (or a Python file, whose folder is taken).
    pub fn builder(root: impl Into<PathBuf>) -> ConfigBuilder {
        ConfigBuilder::new(root.into())
    }

    /// The analyzed root: absolute, symbolic links resolved.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The `pyproject.toml` that was read, if any.
    #[must_use]
    pub fn pyproject(&self) -> Option<&Path> {
        self.pyproject.as_deref()
    }

    /// The preset that the values started from.
    #[must_use]
    pub fn preset(&self) -> Preset {
        self.values.preset
    }

    /// Whether facts are kept from run to run.
    #[must_use]
    pub fn cache_enabled(&self) -> bool {
        self.values.cache_enabled
    }

    /// The folder of the cache, absolute; it need not exist.
    #[must_use]
    pub fn cache_dir(&self) -> &Path {
        &self.values.cache_dir
    }

    /// The size above which the cache evicts, in bytes.
    #[must_use]
    pub fn cache_max_bytes(&self) -> u64 {
        self.values.cache_max_mb * MB
    }

    /// The number of workers asked for; [`Workers::count`] gives the number to start.
    #[must_use]
    pub fn max_workers(&self) -> Workers {
        self.values.max_workers
    }

    /// Constraints of the value flow above which files that import each other are linked by name.
    #[must_use]
    pub fn calls_max_constraints(&self) -> u64 {
        self.values.calls_max_constraints
    }

    /// Values that a variable may hold before it counts as holding anything; of functions twice as many, of instances and classes half.
    #[must_use]
    pub fn calls_max_values(&self) -> u32 {
        self.values.calls_max_values
    }

    /// How callees are found.
    #[must_use]
    pub fn calls(&self) -> crate::link::Calls {
        self.values.calls
    }

    /// The strategy asked for.
    #[must_use]
    pub fn strategy(&self) -> Strategy {
        self.values.strategy
    }

    /// The time that a child process has for one file, without its share for the file's size.
    #[must_use]
    pub fn file_timeout(&self) -> Duration {
        Duration::from_millis(self.values.file_timeout_ms)
    }

    /// What a child process may allocate, in bytes, or `None` for the memory budget.
    #[must_use]
    pub fn worker_memory_bytes(&self) -> Option<u64> {
        self.values.worker_memory_mb.map(|mb| mb * MB)
    }

    /// The memory budget in bytes, or `None` to derive it from the machine.
    #[must_use]
    pub fn max_memory_bytes(&self) -> Option<u64> {
        self.values.max_memory_mb.map(|mb| mb * MB)
    }

    /// The file size above which parsing goes by chunks, in bytes.
    #[must_use]
    pub fn chunk_size_bytes(&self) -> u64 {
        self.values.chunk_size_kb * KB
    }

    /// How a file above [`Self::chunk_size_bytes`] is cut.
    #[must_use]
    pub fn chunk_size(&self) -> ChunkSize {
        let bytes = usize::try_from(self.chunk_size_bytes()).unwrap_or(usize::MAX);
        match self.values.chunking {
            Chunking::Ast => ChunkSize { measure: Measure::Ast, limit: bytes },
            Chunking::Size => ChunkSize { measure: Measure::Bytes, limit: bytes },
            Chunking::Line => ChunkSize { measure: Measure::Lines, limit: CHUNK_LINES },
        }
    }

    /// The resident memory above which chunks start earlier and scratch is dropped, in bytes.
    #[must_use]
    pub fn memory_threshold_bytes(&self) -> u64 {
        self.values.memory_threshold_mb * MB
    }

    /// The number of files after which a worker drops its scratch memory.
    #[must_use]
    pub fn gc_threshold(&self) -> u64 {
        self.values.gc_threshold
    }

    /// Patterns of the files to analyze; without any, every Python source.
    #[must_use]
    pub fn include(&self) -> &Patterns {
        &self.values.include
    }

    /// Patterns of the files and folders to leave out.
    #[must_use]
    pub fn exclude(&self) -> &Patterns {
        &self.values.exclude
    }

    /// The project's name, the first part of every stable name.
    #[must_use]
    pub fn project(&self) -> &str {
        &self.values.project
    }

    /// Folders whose children are top-level modules, absolute; empty means found by layout.
    #[must_use]
    pub fn source_roots(&self) -> &[PathBuf] {
        &self.values.source_roots
    }

    /// Whether files that git ignores are left out.
    #[must_use]
    pub fn respect_gitignore(&self) -> bool {
        self.values.respect_gitignore
    }

    /// Where a value came from.
    #[must_use]
    pub fn origin(&self, key: Key) -> &Origin {
        &self.origins[key as usize]
    }

    /// A value as JSON: numbers in the unit of the setting's name, `auto` as text.
    #[must_use]
    pub fn value(&self, key: Key) -> Value {
        let values = &self.values;
        let auto = || Value::from("auto");
        match key {
            Key::Preset => values.preset.name().into(),
            Key::CacheEnabled => values.cache_enabled.into(),
            Key::CacheDir => values.cache_dir.to_string_lossy().into(),
            Key::CacheMaxSize => values.cache_max_mb.into(),
            Key::MaxWorkers => match values.max_workers {
                Workers::Auto => auto(),
                Workers::Fixed(count) => count.get().into(),
            },
            Key::Strategy => values.strategy.name().into(),
            Key::FileTimeout => match values.file_timeout_ms {
                whole if whole.is_multiple_of(1000) => (whole / 1000).into(),
                part => Duration::from_millis(part).as_secs_f64().into(),
            },
            Key::WorkerMemory => values.worker_memory_mb.map_or_else(auto, Value::from),
            Key::MaxMemory => values.max_memory_mb.map_or_else(auto, Value::from),
            Key::Chunking => values.chunking.name().into(),
            Key::ChunkSize => values.chunk_size_kb.into(),
            Key::MemoryThreshold => values.memory_threshold_mb.into(),
            Key::GcThreshold => values.gc_threshold.into(),
            Key::Include => values.include.globs.clone().into(),
            Key::Exclude => values.exclude.globs.clone().into(),
            Key::Project => values.project.clone().into(),
            Key::SourceRoots => values.source_roots.iter().map(|root| root.to_string_lossy()).collect(),
            Key::RespectGitignore => values.respect_gitignore.into(),
            Key::Calls => values.calls.name().into(),
            Key::CallsMaxConstraints => values.calls_max_constraints.into(),
            Key::CallsMaxValues => values.calls_max_values.into(),
        }
    }

    /// A value as text; what `auto` comes to is beside it.
    #[must_use]
    pub fn display(&self, key: Key) -> String {
        match self.value(key) {
            Value::String(text) if key == Key::MaxWorkers => {
                format!("{text} ({})", self.values.max_workers.count())
            }
            Value::String(text) => text,
            Value::Array(items) if items.is_empty() => "none".to_owned(),
            Value::Array(items) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
            other => other.to_string(),
        }
    }

    /// Every setting with its value and origin, in the order of [`Key::all`].
    #[must_use]
    pub fn rows(&self) -> Vec<SettingRow> {
        Key::all()
            .map(|key| SettingRow {
                name: key.name(),
                value: self.value(key),
                origin: self.origin(key).to_string(),
                variable: key.variable(),
                description: key.description(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
