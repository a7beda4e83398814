//! The table of settings: names, variables, flags and what each one does. The only list of them.

/// One setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the table below documents every key for `pydebug config` too")]
pub enum Key {
    Preset,
    CacheEnabled,
    CacheDir,
    CacheMaxSize,
    MaxWorkers,
    Strategy,
    FileTimeout,
    WorkerMemory,
    MaxMemory,
    Chunking,
    ChunkSize,
    MemoryThreshold,
    GcThreshold,
    Include,
    Exclude,
    Project,
    SourceRoots,
    RespectGitignore,
    Calls,
    CallsMaxConstraints,
    CallsMaxValues,
}

/// A row of the table.
struct Spec {
    key: Key,
    name: &'static str,
    variable: Option<&'static str>,
    description: &'static str,
}

const fn spec(
    key: Key,
    name: &'static str,
    variable: Option<&'static str>,
    description: &'static str,
) -> Spec {
    Spec { key, name, variable, description }
}

/// In the order of [`Key`], which indexes it.
const TABLE: [Spec; Key::COUNT] = [
    spec(Key::Preset, "preset", None, "starting values: standard, performance or minimal"),
    spec(
        Key::CacheEnabled,
        "cache-enabled",
        Some("PARSER_CACHE_ENABLED"),
        "whether facts are kept from run to run",
    ),
    spec(
        Key::CacheDir,
        "cache-dir",
        Some("PARSER_CACHE_DIR"),
        "folder of the cache; a relative one lies below the analyzed root (flag: below the current folder)",
    ),
    spec(
        Key::CacheMaxSize,
        "cache-max-size-mb",
        Some("PARSER_CACHE_MAX_SIZE_MB"),
        "size above which the least recently used packs are evicted",
    ),
    spec(
        Key::MaxWorkers,
        "max-workers",
        Some("PARSER_MAX_WORKERS"),
        "threads or child processes that parse; auto = the processors this process may use, cgroup quota included",
    ),
    spec(
        Key::Strategy,
        "strategy",
        Some("PARSER_STRATEGY"),
        "thread, process (children), hybrid (large files in children), or adaptive: by the number and size of files",
    ),
    spec(
        Key::FileTimeout,
        "file-timeout-seconds",
        Some("PARSER_FILE_TIMEOUT_SECONDS"),
        "time that a child process has for one file, and a sixtieth more for each MB of it",
    ),
    spec(
        Key::WorkerMemory,
        "worker-memory-mb",
        Some("PARSER_WORKER_MEMORY_MB"),
        "memory that a child process may allocate; auto = max-memory-mb, else half of the machine's",
    ),
    spec(
        Key::MaxMemory,
        "max-memory-mb",
        Some("PARSER_MAX_MEMORY_MB"),
        "memory budget; auto = the smallest of 2048 and three quarters of the cgroup limit and of the memory available",
    ),
    spec(
        Key::Chunking,
        "chunking",
        Some("PARSER_CHUNKING"),
        "what a chunk counts: ast (bytes of statements, cut at definitions first), size (bytes) or line (10,000 lines)",
    ),
    spec(
        Key::ChunkSize,
        "chunk-size-kb",
        Some("PARSER_CHUNK_SIZE_KB"),
        "file size above which parsing goes by chunks, and the size of a chunk",
    ),
    spec(
        Key::MemoryThreshold,
        "memory-threshold-mb",
        Some("PARSER_MEMORY_THRESHOLD_MB"),
        "resident memory above which large files are chunked earlier and scratch is dropped",
    ),
    spec(
        Key::GcThreshold,
        "gc-threshold",
        Some("PARSER_GC_THRESHOLD"),
        "files after which a worker drops its scratch memory and gives it back to the system",
    ),
    spec(
        Key::Include,
        "include",
        None,
        "patterns of the files to analyze, as in .gitignore; none = every Python source",
    ),
    spec(Key::Exclude, "exclude", None, "patterns of files and folders to leave out, as in .gitignore"),
    spec(
        Key::Project,
        "project",
        None,
        "first part of every stable name; else `[project] name` of pyproject.toml, else unnamed",
    ),
    spec(
        Key::SourceRoots,
        "source-roots",
        None,
        "folders whose children are top-level modules; none = found by layout",
    ),
    spec(Key::RespectGitignore, "respect-gitignore", None, "whether files that git ignores are left out"),
    spec(
        Key::Calls,
        "calls",
        None,
        "how callees are found: flow (values through the whole program) or names (imports and classes alone)",
    ),
    spec(
        Key::CallsMaxConstraints,
        "calls-max-constraints",
        None,
        "constraints of the value flow above which files that import each other are linked by names; a 32nd for one file",
    ),
    spec(
        Key::CallsMaxValues,
        "calls-max-values",
        None,
        "values that a variable may hold (functions: twice as many; instances and classes: half; containers: a quarter) before it counts as holding anything",
    ),
];

impl Key {
    /// How many settings there are.
    pub const COUNT: usize = Key::CallsMaxValues as usize + 1;

    /// Every setting, in the order of `pydebug config`.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|spec| spec.key)
    }

    /// The name in `[tool.pydebug]` and in the output of `pydebug config`.
    #[must_use]
    pub fn name(self) -> &'static str {
        TABLE[self as usize].name
    }

    /// The environment variable, where there is one.
    #[must_use]
    pub fn variable(self) -> Option<&'static str> {
        TABLE[self as usize].variable
    }

    /// What the setting does in this version, in one line.
    #[must_use]
    pub fn description(self) -> &'static str {
        TABLE[self as usize].description
    }

    /// The setting of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().find(|key| key.name() == name)
    }

    /// The setting of that environment variable.
    #[must_use]
    pub fn from_variable(name: &str) -> Option<Self> {
        Self::all().find(|key| key.variable() == Some(name))
    }
}

/// The candidate closest to `name`, if one is close enough to be meant.
pub(super) fn nearest(name: &str, candidates: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let plain = name.to_ascii_lowercase().replace('_', "-");
    candidates
        .map(|candidate| {
            let score = strsim::jaro_winkler(&plain, &candidate.to_ascii_lowercase().replace('_', "-"));
            (score, candidate)
        })
        .filter(|(score, _)| *score >= 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_indexed_by_key() {
        for (at, key) in Key::all().enumerate() {
            assert_eq!(key as usize, at, "{key:?}");
            assert_eq!(Key::from_name(key.name()), Some(key));
        }
    }

    #[test]
    fn nearest_names() {
        for (given, expected) in [
            ("max_workers", Some("max-workers")),
            ("worker", Some("worker-memory-mb")),
            ("max-worker", Some("max-workers")),
            ("excludes", Some("exclude")),
            ("respect_gitignore", Some("respect-gitignore")),
            ("zzz", None),
        ] {
            assert_eq!(nearest(given, Key::all().map(Key::name)), expected, "{given}");
        }
    }
}
