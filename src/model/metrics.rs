//! What a run cost and achieved, in the reference document's keys followed by ours.
//!
//! It must not measure anything: the engine counts, this computes the rates.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How well the cache did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CacheStats {
    /// Hits of all look-ups, in percent; 0 without look-ups.
    pub hit_rate_percent: f64,
    /// The sum of the hits' recorded parse durations, in seconds.
    pub total_time_saved: f64,
    /// Size of the packs on disk, in MB of 1,048,576 bytes.
    pub cache_size_mb: f64,
}

/// What was decided about trouble, counted; every name is present.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryCounts {
    /// By kind of trouble.
    pub kinds: BTreeMap<String, u64>,
    /// By decision.
    pub decisions: BTreeMap<String, u64>,
}

impl RecoveryCounts {
    /// All decisions.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.decisions.values().sum()
    }

    /// Counts one more decision.
    pub fn count(&mut self, kind: &str, decision: &str) {
        *self.kinds.entry(kind.to_owned()).or_default() += 1;
        *self.decisions.entry(decision.to_owned()).or_default() += 1;
    }

    /// Decisions of that name.
    #[must_use]
    pub fn decided(&self, name: &str) -> u64 {
        self.decisions.get(name).copied().unwrap_or(0)
    }
}

/// The metrics of a run. The field order is that of the JSON: the reference's keys come first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ProcessingMetrics {
    /// Files found.
    pub total_files: u64,
    /// Files that are in the graph; one with syntax errors is.
    pub processed_files: u64,
    /// Files skipped, each with a reason in the report.
    pub failed_files: u64,
    /// Processed of all files, in percent; 100 without files.
    pub success_rate: f64,
    /// Wall-clock time of the run in seconds.
    pub duration: f64,
    /// Processed files / duration.
    pub files_per_second: f64,
    /// How well the cache did.
    pub cache_stats: CacheStats,
    /// Files whose facts came from the cache.
    pub hits: u64,
    /// Files that were parsed.
    pub misses: u64,
    /// Bytes of the processed sources.
    pub source_bytes: u64,
    /// Bytes of packs / bytes of source they describe; 0 where unknown.
    pub stored_bytes_per_source_byte: f64,
    /// Largest resident memory of the process, in MB of 1,048,576 bytes.
    pub peak_memory_mb: f64,
    /// Bytes of the largest piece given to the parser; 0 where nothing was parsed.
    #[serde(default)]
    pub max_parse_unit: u64,
    /// Files that were parsed in chunks.
    #[serde(default)]
    pub chunked_files: u64,
    /// Workers that ran.
    pub workers: u64,
    /// The strategy that ran.
    pub strategy: String,
    /// Number of warnings in the report.
    pub warnings: u64,
    /// What was decided about trouble.
    #[serde(default)]
    pub recovery: RecoveryCounts,
    /// Memory: the budget, what was estimated, and what was done to keep to it.
    #[serde(default)]
    pub memory: MemoryMetrics,
}

/// How often memory pressure rose to each level.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryPressure {
    /// Above `memory-threshold-mb`, or half of the budget where that is less.
    pub low: u64,
    /// Above three quarters of the budget.
    pub high: u64,
    /// Above nine tenths of it.
    pub critical: u64,
}

/// How often something was done for the sake of memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryDecisions {
    /// Files that waited until their estimate fitted beside those that were being parsed.
    pub waited_for_room: u64,
    /// Files whose estimate exceeds all there is, which ran while no other large one did.
    pub ran_alone: u64,
    /// Files that waited because pressure was high.
    pub held_back: u64,
    /// Files parsed in chunks that are not above `chunk-size-kb`.
    pub chunked_early: u64,
    /// Times that a worker dropped what it keeps from file to file.
    pub scratch_dropped: u64,
    /// Times that freed pages went back to the operating system.
    pub pages_returned: u64,
    /// Times that a pack was finished early, so that a kill would lose none of it.
    pub packs_flushed: u64,
    /// Files whose facts left the heap before they were linked.
    pub facts_spilled: u64,
    /// Files whose links left the heap before they were stored.
    pub links_spilled: u64,
    /// Times that memory was looked at.
    pub looks: u64,
}

/// The memory of a run. Sizes in MB of 1,048,576 bytes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MemoryMetrics {
    /// The budget.
    pub budget_mb: f64,
    /// Where the budget came from.
    pub budget_source: String,
    /// Largest resident memory of the process, pages of mapped files included.
    pub peak_mb: f64,
    /// Largest resident memory that was seen without pages of mapped files; 0 where nobody looked.
    pub peak_private_mb: f64,
    /// Largest estimate of what parsing one file takes, its text included; 0 where nothing was parsed.
    pub estimated_task_max_mb: f64,
    /// Mean of the estimates over all parsed files.
    pub estimated_task_mean_mb: f64,
    /// Files whose estimate is by their tokens; that of smaller ones is by their size.
    pub estimated_tasks: u64,
    /// Facts, links and tables that left the heap.
    pub spilled_mb: f64,
    /// How often pressure rose.
    pub pressure: MemoryPressure,
    /// How often something was done.
    pub decisions: MemoryDecisions,
}

impl MemoryMetrics {
    /// Those of a run that neither parsed nor linked. `budget` and `peak`: bytes.
    #[must_use]
    pub fn unused(budget: u64, source: String, peak: u64) -> Self {
        Self {
            budget_mb: megabytes(budget),
            budget_source: source,
            peak_mb: megabytes(peak),
            ..Self::default()
        }
    }
}

impl ProcessingMetrics {
    /// Bytes of the processed sources in MB of 1,048,576 bytes.
    #[must_use]
    pub fn source_bytes_mb(&self) -> f64 {
        megabytes(self.source_bytes)
    }
}

/// What the engine counted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally {
    /// Files in the graph.
    pub processed_files: u64,
    /// Files skipped.
    pub skipped_files: u64,
    /// Wall-clock time of the run.
    pub duration: Duration,
    /// Files whose facts came from the cache.
    pub hits: u64,
    /// Files that were parsed.
    pub misses: u64,
    /// The sum of the hits' recorded parse durations.
    pub time_saved: Duration,
    /// Bytes of the packs on disk.
    pub cache_bytes: u64,
    /// Bytes of the processed sources.
    pub source_bytes: u64,
    /// Bytes of packs and bytes of the source they describe, where known.
    pub stored: Option<(u64, u64)>,
    /// Largest resident memory, in bytes.
    pub peak_memory_bytes: u64,
    /// Bytes of the largest piece given to the parser.
    pub max_parse_unit: u64,
    /// Files that were parsed in chunks.
    pub chunked_files: u64,
    /// Workers that ran.
    pub workers: u64,
    /// The strategy that ran.
    pub strategy: &'static str,
    /// Number of warnings.
    pub warnings: u64,
    /// What was decided about trouble.
    pub recovery: RecoveryCounts,
    /// Memory.
    pub memory: MemoryMetrics,
}

/// Bytes in MB of 1,048,576 bytes.
#[expect(clippy::cast_precision_loss, reason = "sizes stay far below 2^53")]
pub(crate) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

impl From<&Tally> for ProcessingMetrics {
    fn from(tally: &Tally) -> Self {
        let total_files = tally.processed_files + tally.skipped_files;
        let seconds = tally.duration.as_secs_f64();
        let processed = ratio(tally.processed_files, 1).unwrap_or(0.0);
        Self {
            total_files,
            processed_files: tally.processed_files,
            failed_files: tally.skipped_files,
            success_rate: ratio(tally.processed_files, total_files).map_or(100.0, |share| share * 100.0),
            duration: seconds,
            files_per_second: if seconds > 0.0 { processed / seconds } else { 0.0 },
            cache_stats: CacheStats {
                hit_rate_percent: ratio(tally.hits, tally.hits + tally.misses).unwrap_or(0.0) * 100.0,
                total_time_saved: tally.time_saved.as_secs_f64(),
                cache_size_mb: megabytes(tally.cache_bytes),
            },
            hits: tally.hits,
            misses: tally.misses,
            source_bytes: tally.source_bytes,
            stored_bytes_per_source_byte: tally
                .stored
                .and_then(|(stored, source)| ratio(stored, source))
                .unwrap_or(0.0),
            peak_memory_mb: megabytes(tally.peak_memory_bytes),
            max_parse_unit: tally.max_parse_unit,
            chunked_files: tally.chunked_files,
            workers: tally.workers,
            strategy: tally.strategy.to_owned(),
            warnings: tally.warnings,
            recovery: tally.recovery.clone(),
            memory: tally.memory.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_the_reference_come_first() {
        let tally = Tally {
            processed_files: 1243,
            skipped_files: 4,
            duration: Duration::from_millis(12_400),
            hits: 1171,
            misses: 72,
            time_saved: Duration::from_millis(67_800),
            cache_bytes: 245 << 20,
            strategy: "thread",
            ..Tally::default()
        };
        let metrics = ProcessingMetrics::from(&tally);
        let json = serde_json::to_string(&metrics).expect("JSON");
        let at = |key: &str| json.find(&format!("\"{key}\":")).unwrap_or_else(|| panic!("no {key}"));
        let keys = [
            "total_files",
            "processed_files",
            "failed_files",
            "success_rate",
            "duration",
            "files_per_second",
            "cache_stats",
            "hit_rate_percent",
            "total_time_saved",
            "cache_size_mb",
            "hits",
            "misses",
            "stored_bytes_per_source_byte",
            "peak_memory_mb",
            "workers",
            "strategy",
        ];
        assert!(keys.map(at).is_sorted(), "{json}");
        assert_eq!(metrics.total_files, 1247);
        assert_eq!(format!("{:.1} {:.1}", metrics.success_rate, metrics.files_per_second), "99.7 100.2");
        assert_eq!(format!("{:.1}", metrics.cache_stats.hit_rate_percent), "94.2");
        let read: ProcessingMetrics = serde_json::from_str(&json).expect("metrics");
        assert_eq!((read.hits, read.duration), (1171, 12.4));
    }

    #[test]
    fn nothing_divides_by_zero() {
        let metrics = ProcessingMetrics::from(&Tally::default());
        assert_eq!((metrics.success_rate, metrics.files_per_second), (100.0, 0.0));
        assert!(!serde_json::to_string(&metrics).expect("JSON").contains("null"));
    }
}
