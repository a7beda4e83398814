//! The report of `analyze` as plain data; its serialization is the JSON report.

use std::borrow::Cow;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::engine::progress::Phase;
use crate::engine::recovery::{Decision, Event};
use crate::engine::stores;
use crate::model::metrics::ProcessingMetrics;

/// Named counts in an order that means something; a map in JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts(pub Vec<(Cow<'static, str>, u64)>);

impl Counts {
    /// The sum.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    /// The count of that name, 0 where there is none.
    #[must_use]
    pub fn get(&self, name: &str) -> u64 {
        self.0.iter().find(|(known, _)| known == name).map_or(0, |(_, count)| *count)
    }
}

impl<N: Into<Cow<'static, str>>> FromIterator<(N, u64)> for Counts {
    fn from_iter<I: IntoIterator<Item = (N, u64)>>(items: I) -> Self {
        Self(items.into_iter().map(|(name, count)| (name.into(), count)).collect())
    }
}

impl Serialize for Counts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, count) in &self.0 {
            map.serialize_entry(name, count)?;
        }
        map.end()
    }
}

/// Seconds spent in each phase; every phase is present.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Phases([f64; Phase::ALL.len()]);

impl Phases {
    /// Adds seconds to a phase.
    pub fn add(&mut self, phase: Phase, seconds: f64) {
        self.0[phase as usize] += seconds;
    }

    /// The seconds of a phase.
    #[must_use]
    pub fn get(&self, phase: Phase) -> f64 {
        self.0[phase as usize]
    }
}

impl Serialize for Phases {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(Phase::ALL.iter().map(|phase| (phase.name(), self.get(*phase))))
    }
}

/// Explicit call sites by status; each site has exactly one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct CallSites {
    /// The analysis derives the callee or callees, in the project.
    pub resolved: u64,
    /// Candidates by name alone, or too many.
    pub ambiguous: u64,
    /// Something outside the project.
    pub external: u64,
    /// Something built into the language.
    pub builtin: u64,
    /// Unknown, with a reason.
    pub unresolved: u64,
}

impl CallSites {
    /// The statuses in order, with their counts.
    #[must_use]
    pub fn rows(&self) -> [(&'static str, u64); 5] {
        [
            ("resolved", self.resolved),
            ("ambiguous", self.ambiguous),
            ("external", self.external),
            ("builtin", self.builtin),
            ("unresolved", self.unresolved),
        ]
    }

    /// All sites.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.rows().iter().map(|(_, count)| count).sum()
    }
}

/// Why sites that are not resolved are not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CallReasons {
    /// Of the resolved ones: those where other targets stay unknown.
    pub incomplete: u64,
    /// Of the ambiguous ones, by reason.
    pub ambiguous: Counts,
    /// Of the unresolved ones, by reason.
    pub unresolved: Counts,
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FileStatus {
    /// All of it is in the graph.
    Complete,
    /// Some ranges were lost to syntax errors.
    Partial,
    /// None of it is in the graph, for [`FileReport::reason`].
    Skipped,
}

/// A syntax error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ParseError {
    /// The line, from one.
    pub line: u32,
    /// The column in characters, from one.
    pub column: u32,
    /// What the parser says.
    pub message: String,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileReport {
    /// The path relative to the root, with `/`.
    pub path: String,
    /// What became of it.
    pub status: FileStatus,
    /// Why it is partial or skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether its facts came from the cache.
    pub cached: bool,
    /// Its syntax errors, in order.
    pub parse_errors: Vec<ParseError>,
    /// Byte ranges (start, end) that are not in the graph.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<(u64, u64)>,
}

/// A function with a high cyclomatic complexity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Complex {
    /// The dotted name.
    pub qualname: String,
    /// The path relative to the root.
    pub path: String,
    /// The line of its `def`, from one.
    pub line: u32,
    /// Its cyclomatic complexity.
    pub complexity: u32,
}

/// Everything a report says. The field order is that of the JSON.
#[derive(Debug, Clone, Serialize)]
pub struct ReportData {
    /// [`SCHEMA_VERSION`](super::SCHEMA_VERSION).
    pub schema_version: u32,
    /// Version of the program.
    pub version: &'static str,
    /// The analyzed root.
    pub root: String,
    /// The project's name.
    pub project: String,
    /// The graph's digest in lower-case hex.
    pub graph_digest: String,
    /// What the run cost and achieved.
    pub metrics: ProcessingMetrics,
    /// Seconds per phase.
    pub phases: Phases,
    /// Symbols by kind.
    pub symbols: Counts,
    /// Imports by resolution.
    pub imports: Counts,
    /// Explicit call sites by status.
    pub call_sites: CallSites,
    /// The reasons behind those.
    pub call_site_reasons: CallReasons,
    /// Edges of call sites by what they were derived from.
    pub call_evidence: Counts,
    /// Implicit call sites (operators, properties, protocols), counted apart.
    pub implicit_call_sites: u64,
    /// The same by what makes the call.
    pub implicit_calls: Counts,
    /// Edges by kind.
    pub edges: Counts,
    /// The functions of highest cyclomatic complexity, worst first.
    pub complexity: Vec<Complex>,
    /// Groups of modules that import each other when loaded, listed below or not.
    pub import_cycle_count: u64,
    /// The largest of those groups, each as its modules' names.
    pub import_cycles: Vec<Vec<String>>,
    /// What went less well than asked, for a person.
    pub warnings: Vec<String>,
    /// What was decided about trouble, by file; `metrics.recovery` counts.
    pub recovery: Vec<Event>,
    /// What became of each store that was asked for.
    pub stores: Vec<stores::Report>,
    /// Every file, by path.
    pub files: Vec<FileReport>,
}

impl Default for ReportData {
    fn default() -> Self {
        Self {
            schema_version: super::SCHEMA_VERSION,
            version: env!("CARGO_PKG_VERSION"),
            root: String::new(),
            project: String::new(),
            graph_digest: String::new(),
            metrics: ProcessingMetrics::default(),
            phases: Phases::default(),
            symbols: Counts::default(),
            imports: Counts::default(),
            call_sites: CallSites::default(),
            call_site_reasons: CallReasons::default(),
            call_evidence: Counts::default(),
            implicit_call_sites: 0,
            implicit_calls: Counts::default(),
            edges: Counts::default(),
            complexity: Vec::new(),
            import_cycle_count: 0,
            import_cycles: Vec::new(),
            warnings: Vec::new(),
            recovery: Vec::new(),
            stores: Vec::new(),
            files: Vec::new(),
        }
    }
}

impl ReportData {
    /// The files of that status.
    pub fn files_of(&self, status: FileStatus) -> impl Iterator<Item = &FileReport> {
        self.files.iter().filter(move |file| file.status == status)
    }

    /// Whether less ran than was asked for.
    #[must_use]
    pub fn is_degraded(&self) -> bool {
        self.recovery.iter().any(|event| event.decision == Decision::Degrade)
    }

    /// Whether every file is whole: what `--strict` asks for.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.files.iter().all(|file| file.status == FileStatus::Complete && file.parse_errors.is_empty())
    }
}
