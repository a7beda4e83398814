//! The report of a run, from the totals in its snapshot.

use crate::engine::Run;
use crate::link::Summary;
use crate::model::facts::{col, table};
use crate::report::data::{
    CallReasons, CallSites, Complex, Counts, FileReport, FileStatus, ParseError, ReportData,
};
use crate::store::{self, GraphFile};
use rustc_hash::FxHashMap;
use std::fmt::Write as _;

/// The report of `run`.
#[must_use]
pub fn report(run: &Run) -> ReportData {
    let graph = run.graph();
    let Summary {
        symbols, imports, call_sites, reasons, evidence, implicit_calls, edges, worst, cycles, ..
    } = &graph.meta().summary;
    let counts = |map: &std::collections::BTreeMap<String, u64>| {
        map.iter().filter(|(_, count)| **count > 0).map(|(name, count)| (name.clone(), *count)).collect()
    };
    let sites = |name: &str| call_sites.get(name).copied().unwrap_or(0);
    let (mut ambiguous, mut unresolved) = (Vec::new(), Vec::new());
    for (name, &count) in reasons {
        match name.split_once(':') {
            Some(("ambiguous", reason)) => ambiguous.push((reason.to_owned(), count)),
            Some((_, reason)) => unresolved.push((reason.to_owned(), count)),
            None => unresolved.push((name.clone(), count)),
        }
    }
    let incomplete = sites("resolved_incomplete");
    // From the last on, so that the first of two reasons for one path stays.
    let skipped: FxHashMap<&str, &str> =
        graph.meta().skipped.iter().rev().map(|(path, reason)| (&**path, &**reason)).collect();
    ReportData {
        root: run.root().display().to_string(),
        project: graph.meta().project.clone(),
        graph_digest: graph.digest().iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        }),
        metrics: run.metrics().clone(),
        phases: *run.phases(),
        symbols: counts(symbols),
        imports: counts(imports),
        call_sites: CallSites {
            resolved: sites("resolved") + incomplete,
            ambiguous: sites("ambiguous"),
            external: sites("external"),
            builtin: sites("builtin"),
            unresolved: sites("unresolved"),
        },
        call_site_reasons: CallReasons {
            incomplete,
            ambiguous: Counts::from_iter(ambiguous),
            unresolved: Counts::from_iter(unresolved),
        },
        call_evidence: counts(evidence),
        implicit_call_sites: implicit_calls.values().sum(),
        implicit_calls: counts(implicit_calls),
        edges: counts(edges),
        complexity: worst
            .iter()
            .map(|worst| Complex {
                qualname: worst.name.clone(),
                path: worst.path.clone(),
                line: worst.line,
                complexity: worst.complexity,
            })
            .collect(),
        import_cycle_count: graph.meta().summary.cycle_count,
        import_cycles: cycles.iter().map(|cycle| cycle.modules.clone()).collect(),
        stores: Vec::new(),
        warnings: warnings(run),
        recovery: run.recovery().to_vec(),
        files: graph
            .files()
            .zip(0u32..)
            .map(|(file, index)| file_report(&file, run.is_cached(index), &skipped))
            .collect(),
        ..ReportData::default()
    }
}

/// Warnings of the run, and places that the walk left out.
fn warnings(run: &Run) -> Vec<String> {
    let mut warnings = run.warnings().to_vec();
    let graph = run.graph();
    let by_name = graph.meta().summary.linked_by_name;
    if by_name > 0 {
        warnings.push(format!(
            "calls of {by_name} files were linked by name, for together they have more constraints than `calls-max-constraints`"
        ));
    }
    for (path, reason) in &graph.meta().skipped {
        if graph.find(path).is_none() {
            warnings.push(format!("`{path}` was left out: {reason}"));
        }
    }
    warnings
}

/// Byte ranges that the facts may lack, in order, none touching another.
fn lost(file: &GraphFile<'_>) -> Vec<(u64, u64)> {
    // Facts of other files need not be read for it.
    if !file.has_errors() {
        return Vec::new();
    }
    let Some(facts) = file.facts() else { return Vec::new() };
    let mut ranges: Vec<(u64, u64)> = (0..facts.rows(table::Errors))
        .map(|row| {
            let start = u64::from(facts.get(col::ERR_LOST_START, row));
            (start, start + u64::from(facts.get(col::ERR_LOST_LEN, row)))
        })
        .filter(|(start, end)| start < end)
        .collect();
    ranges.sort_unstable();
    ranges.dedup_by(|next, before| {
        let touch = next.0 <= before.1;
        if touch {
            before.1 = before.1.max(next.1);
        }
        touch
    });
    ranges
}

fn file_report(file: &GraphFile<'_>, cached: bool, skipped: &FxHashMap<&str, &str>) -> FileReport {
    let (status, reason) = match file.status() {
        store::FileStatus::Complete => (FileStatus::Complete, None),
        store::FileStatus::Partial => (FileStatus::Partial, None),
        store::FileStatus::Skipped => (FileStatus::Skipped, skipped.get(file.path()).copied()),
    };
    let parse_errors = file
        .errors()
        .into_iter()
        .map(|(line, column, message)| ParseError { line, column, message: message.to_owned() })
        .collect();
    FileReport {
        path: file.path().to_owned(),
        status,
        reason: reason.map(str::to_owned),
        cached,
        parse_errors,
        lost: lost(file),
    }
}
