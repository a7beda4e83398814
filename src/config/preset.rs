//! The enumerated values of the configuration: presets, strategies, worker counts.

use std::fmt;
use std::num::NonZeroUsize;

/// A named set of values, the starting point that every other layer overrides.
///
/// | setting | `standard` | `performance` | `minimal` |
/// |---|---|---|---|
/// | `cache-enabled` | true | true | true |
/// | `cache-max-size-mb` | 1024 | 8192 | 256 |
/// | `max-workers` | auto | auto | 1 |
/// | `strategy` | adaptive | adaptive | thread |
/// | `file-timeout-seconds` | 60 | 60 | 60 |
/// | `worker-memory-mb` | auto | auto | auto |
/// | `max-memory-mb` | auto | auto | 512 |
/// | `chunk-size-kb` | 512 | 4096 | 128 |
/// | `memory-threshold-mb` | 100 | 2048 | 64 |
/// | `gc-threshold` | 1000 | 100000 | 100 |
///
/// `standard` holds the values of the reference document, except that the memory budget follows a
/// small machine. `performance` spends memory and disk to keep every worker busy; `minimal` fits a small container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Preset {
    /// Balanced; what runs when nothing is said.
    #[default]
    Standard,
    /// For powerful machines.
    Performance,
    /// For limited resources.
    Minimal,
}

impl Preset {
    /// Every preset, in the order of the documentation.
    pub const ALL: [Self; 3] = [Self::Standard, Self::Performance, Self::Minimal];

    /// The name in flags and files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Performance => "performance",
            Self::Minimal => "minimal",
        }
    }

    /// The preset of that name, letter case ignored.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.name().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How files are spread over the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// A pool of threads in this process.
    Thread,
    /// A pool of child processes, each a fault boundary.
    Process,
    /// Small files on threads, large or deeply nested ones in children.
    Hybrid,
    /// Chosen by the workload, corrected by what the run sees.
    Adaptive,
}

impl Strategy {
    /// Every strategy, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::Thread, Self::Process, Self::Hybrid, Self::Adaptive];

    /// The name in flags and files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Thread => "thread",
            Self::Process => "process",
            Self::Hybrid => "hybrid",
            Self::Adaptive => "adaptive",
        }
    }

    /// The strategy of that name; the reference's `THREAD_BASED` and `PROCESS_BASED` are understood too.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let lower = name.to_ascii_lowercase().replace('-', "_");
        let short = lower.strip_suffix("_based").unwrap_or(&lower);
        Self::ALL.into_iter().find(|strategy| strategy.name() == short)
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a chunk of a large file counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Chunking {
    /// Bytes of statements; cuts come before definitions first.
    Ast,
    /// Lines.
    Line,
    /// Bytes.
    Size,
}

impl Chunking {
    /// Every chunking, in the order of the documentation.
    pub const ALL: [Self; 3] = [Self::Ast, Self::Line, Self::Size];

    /// The name in flags and files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ast => "ast",
            Self::Line => "line",
            Self::Size => "size",
        }
    }

    /// The chunking of that name; the reference's `AST_BASED`, `LINE_BASED` and `SIZE_BASED` are understood too.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let lower = name.to_ascii_lowercase().replace('-', "_");
        let short = lower.strip_suffix("_based").unwrap_or(&lower);
        Self::ALL.into_iter().find(|chunking| chunking.name() == short)
    }
}

/// The number of workers, as asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Workers {
    /// As many as the processors this process may use: its affinity mask and cgroup quota count.
    Auto,
    /// Exactly this many.
    Fixed(NonZeroUsize),
}

impl Workers {
    /// The count to start. Where the machine does not say how many processors there are, one.
    #[must_use]
    pub fn count(self) -> NonZeroUsize {
        match self {
            Self::Auto => std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            Self::Fixed(count) => count,
        }
    }
}

impl fmt::Display for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Fixed(count) => count.fmt(f),
        }
    }
}
