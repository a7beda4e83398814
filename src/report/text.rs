//! The report for eyes. Nothing foreign is written without [`escape`].

use std::fmt::Display;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::data::{Counts, FileStatus, ReportData};
use super::escape::escape;
use crate::config::UNNAMED;
use crate::engine::progress::Phase;
use crate::engine::recovery::Decision;
use crate::engine::stores::Kind;
use crate::model::metrics::MemoryMetrics;

/// Lines of each list unless all are asked for.
const SOME: usize = 10;
/// Members of a group of modules unless all are asked for.
const MEMBERS: usize = 4;
/// Columns of a page; what wraps, wraps here.
const WIDTH: usize = 100;
/// Columns of the labels on the left.
const LABEL: usize = 20;
/// Seconds below which a time is not worth a word.
const NOTHING: f64 = 0.000_05;
/// Columns of the numbers beside them.
const NUMBER: usize = 12;

/// How to write.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Whether to colour.
    pub color: bool,
    /// Whether to write every list to its end.
    pub all: bool,
}

impl Options {
    fn style(self, style: Style) -> Style {
        if self.color { style } else { Style::new() }
    }

    fn heading(self) -> Style {
        self.style(Style::new().bold())
    }

    fn dim(self) -> Style {
        self.style(Style::new().dimmed())
    }

    fn bad(self) -> Style {
        self.style(AnsiColor::Red.on_default())
    }

    fn warn(self) -> Style {
        self.style(AnsiColor::Yellow.on_default())
    }

    fn limit(self) -> usize {
        if self.all { usize::MAX } else { SOME }
    }
}

/// A number with thousands separators.
#[must_use]
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The nearest whole number; nothing negative or infinite is ever shown.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped first")]
fn rounded(value: f64) -> u64 {
    value.round().clamp(0.0, 1e18) as u64
}

#[expect(clippy::cast_precision_loss, reason = "shares are shown with one decimal")]
fn percent(part: u64, whole: u64) -> String {
    if whole == 0 { String::new() } else { format!("{:.1}%", part as f64 * 100.0 / whole as f64) }
}

fn seconds(value: f64) -> String {
    match value * 1000.0 {
        milliseconds if milliseconds < 10.0 => format!("{milliseconds:.1} ms"),
        milliseconds if milliseconds < 100.0 => format!("{milliseconds:.0} ms"),
        _ => format!("{value:.2} s"),
    }
}

/// A lower-case name of the schema as words; kinds of edges stay as queries write them.
fn words(name: &str) -> String {
    let name = escape(name);
    if name.contains(|c: char| c.is_ascii_lowercase()) { name.replace('_', " ") } else { name.into_owned() }
}

fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", thousands(count), if count == 1 { one } else { many })
}

struct Page<W> {
    out: W,
    options: Options,
}

impl<W: Write> Page<W> {
    /// A heading line: label, number, note.
    fn head(&mut self, label: &str, number: impl Display, note: impl Display) -> io::Result<()> {
        let style = self.options.heading();
        let line = format!("{number:>NUMBER$}  {note}");
        writeln!(self.out, "\n{style}{label:<LABEL$}{style:#}{}", line.trim_end())
    }

    /// A line below a heading.
    fn row(&mut self, label: &str, number: u64, note: impl Display) -> io::Result<()> {
        let label = format!("  {}", words(label));
        let line = format!("{label:<LABEL$}{:>NUMBER$}  {note}", thousands(number));
        writeln!(self.out, "{}", line.trim_end())
    }

    fn rows(&mut self, counts: &Counts) -> io::Result<()> {
        let total = counts.total();
        for (name, count) in counts.0.iter().filter(|(_, count)| *count > 0) {
            self.row(name, *count, format_args!("{:>6}", percent(*count, total)))?;
        }
        Ok(())
    }

    /// Items with commas between them, on as many lines as they need; later lines are indented by two more.
    fn wrapped(&mut self, indent: usize, first: &str, items: &[String]) -> io::Result<()> {
        let mut line = format!("{:indent$}{first}", "");
        let mut used = line.chars().count();
        for (at, item) in items.iter().enumerate() {
            let comma = if at + 1 < items.len() { "," } else { "" };
            let wanted = item.chars().count() + comma.len() + 1;
            if at > 0 && used + wanted > WIDTH {
                writeln!(self.out, "{}", line.trim_end())?;
                line = format!("{:1$}", "", indent + 2);
                used = indent + 2;
            }
            line.push_str(item);
            line.push_str(comma);
            line.push(' ');
            used += wanted;
        }
        writeln!(self.out, "{}", line.trim_end())
    }

    fn more(&mut self, left: usize) -> io::Result<()> {
        if left == 0 {
            return Ok(());
        }
        let style = self.options.dim();
        writeln!(self.out, "  {style}and {} more; -v lists all{style:#}", thousands(left as u64))
    }
}

/// The counts in words, the largest first.
fn reasons(counts: &Counts) -> Vec<String> {
    let mut shown: Vec<_> = counts.0.iter().filter(|(_, count)| *count > 0).collect();
    shown.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    shown.into_iter().map(|(name, count)| format!("{} {}", words(name), thousands(*count))).collect()
}

/// Writes the summary that a person reads after a run.
///
/// # Errors
///
/// Those of the writer.
pub fn full(data: &ReportData, options: Options, out: impl Write) -> io::Result<()> {
    let mut page = Page { out, options };
    let dim = options.dim();
    let style = options.heading();
    let root = escape(&data.root);
    if data.project == UNNAMED {
        writeln!(page.out, "{style}{root}{style:#}")?;
    } else {
        writeln!(page.out, "{style}{}{style:#}  {dim}{root}{dim:#}", escape(&data.project))?;
    }
    overview(data, &mut page)?;
    calls(data, &mut page)?;
    complexity(data, &mut page)?;
    cycles(data, &mut page)?;
    troubles(data, &mut page)?;
    recovery(data, &mut page)?;
    stores(data, &mut page)?;
    cost(data, &mut page)
}

fn overview<W: Write>(data: &ReportData, page: &mut Page<W>) -> io::Result<()> {
    let metrics = &data.metrics;
    page.head("Files", thousands(metrics.total_files), "")?;
    page.row("changed", metrics.misses, "")?;
    page.row("cached", metrics.hits, "")?;
    let partial = data.files_of(FileStatus::Partial).count() as u64;
    if partial > 0 {
        page.row("partial", partial, "syntax errors; what could be read is in the graph")?;
    }
    page.row(
        "failed",
        metrics.failed_files,
        if metrics.failed_files > 0 { "skipped, see below" } else { "" },
    )?;
    page.head("Symbols", thousands(data.symbols.total()), "")?;
    page.rows(&data.symbols)?;
    page.head("Imports", thousands(data.imports.total()), "")?;
    page.rows(&data.imports)
}

fn calls<W: Write>(data: &ReportData, page: &mut Page<W>) -> io::Result<()> {
    let total = data.call_sites.total();
    page.head("Call sites", thousands(total), "")?;
    for (name, count) in data.call_sites.rows() {
        let note = match name {
            "resolved" if data.call_site_reasons.incomplete > 0 => {
                format!("at {} more targets are possible", thousands(data.call_site_reasons.incomplete))
            }
            "resolved" => "to the project's own code".to_owned(),
            "external" if count > 0 => "into other packages".to_owned(),
            _ => String::new(),
        };
        page.row(name, count, format_args!("{:>6}  {note}", percent(count, total)))?;
        let why = match name {
            "ambiguous" => reasons(&data.call_site_reasons.ambiguous),
            "unresolved" => reasons(&data.call_site_reasons.unresolved),
            _ => continue,
        };
        if !why.is_empty() {
            page.wrapped(4, "", &why)?;
        }
    }
    if data.implicit_call_sites > 0 {
        page.row("implicit", data.implicit_call_sites, "operators, properties, protocols; counted apart")?;
    }
    page.head("Edges", thousands(data.edges.total()), "")?;
    page.rows(&data.edges)
}

fn complexity<W: Write>(data: &ReportData, page: &mut Page<W>) -> io::Result<()> {
    let Some(worst) = data.complexity.first() else { return Ok(()) };
    page.head("Complexity", thousands(u64::from(worst.complexity)), "the highest cyclomatic complexity")?;
    let limit = page.options.limit();
    for function in data.complexity.iter().take(limit) {
        let dim = page.options.dim();
        writeln!(
            page.out,
            "  {:>6}  {}  {dim}{}:{}{dim:#}",
            thousands(u64::from(function.complexity)),
            escape(&function.qualname),
            escape(&function.path),
            function.line
        )?;
    }
    page.more(data.complexity.len().saturating_sub(limit))
}

fn cycles<W: Write>(data: &ReportData, page: &mut Page<W>) -> io::Result<()> {
    let count = data.import_cycle_count;
    let note = if count > 0 { "groups of modules that import each other when loaded" } else { "" };
    page.head("Import cycles", thousands(count), note)?;
    let limit = page.options.limit();
    let members = if page.options.all { usize::MAX } else { MEMBERS };
    for cycle in data.import_cycles.iter().take(limit) {
        let mut shown: Vec<String> =
            cycle.iter().take(members).map(|name| escape(name).into_owned()).collect();
        let left = cycle.len().saturating_sub(members);
        if left > 0 {
            shown.push(format!("{} more", thousands(left as u64)));
        }
        page.wrapped(2, &format!("{}: ", plural(cycle.len() as u64, "module", "modules")), &shown)?;
    }
    page.more(data.import_cycles.len().saturating_sub(limit))
}

fn troubles<W: Write>(data: &ReportData, page: &mut Page<W>) -> io::Result<()> {
    let limit = page.options.limit();
    let errors: Vec<_> =
        data.files.iter().flat_map(|file| file.parse_errors.iter().map(move |error| (file, error))).collect();
    if !errors.is_empty() {
        page.head("Syntax errors", thousands(errors.len() as u64), "")?;
        let warn = page.options.warn();
        for (file, error) in errors.iter().take(limit) {
            let place = escape(&file.path);
            let message = escape(&error.message);
            writeln!(page.out, "  {warn}{place}:{}:{}{warn:#}: {message}", error.line, error.column)?;
        }
        page.more(errors.len().saturating_sub(limit))?;
    }
    let skipped: Vec<_> = data.files_of(FileStatus::Skipped).collect();
    if !skipped.is_empty() {
        page.head("Skipped", thousands(skipped.len() as u64), "")?;
        let bad = page.options.bad();
        for file in skipped.iter().take(limit) {
            let reason = escape(file.reason.as_deref().unwrap_or("no reason given"));
            writeln!(page.out, "  {bad}{}{bad:#}: {reason}", escape(&file.path))?;
        }
        page.more(skipped.len().saturating_sub(limit))?;
    }
    Ok(())
}

/// Decisions in words; files that were left out are listed above.
fn recovery<W: Write>(data: &ReportData, page: &mut Page<W>) -> io::Result<()> {
    let counts = &data.metrics.recovery;
    if counts.total() == 0 {
        return Ok(());
    }
    let made: Vec<String> = Decision::ALL
        .iter()
        .map(|decision| (words(decision.name()), counts.decided(decision.name())))
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{name} {}", thousands(count)))
        .collect();
    page.head("Recovery", thousands(counts.total()), made.join(", "))?;
    let limit = page.options.limit();
    let told: Vec<_> = data.recovery.iter().filter(|event| event.decision != Decision::Skip).collect();
    for event in told.iter().take(limit) {
        let subject = if event.subject.is_empty() { "the run" } else { &event.subject };
        writeln!(
            page.out,
            "  {} ({}): {}: {}",
            event.decision.name(),
            words(event.kind.name()),
            escape(subject),
            escape(&event.detail)
        )?;
    }
    page.more(told.len().saturating_sub(limit))
}

/// What became of the stores that were asked for.
fn stores<W: Write>(data: &ReportData, page: &mut Page<W>) -> io::Result<()> {
    if data.stores.is_empty() {
        return Ok(());
    }
    page.head("Stores", thousands(data.stores.len() as u64), String::new())?;
    for store in &data.stores {
        let did = match (&store.kind, &store.error) {
            (_, Some(error)) => format!("not written: {error}"),
            (Some(Kind::Current), None) => "up to date".to_owned(),
            (Some(Kind::Delta), None) => format!("{} rows changed", thousands(store.rows)),
            (Some(Kind::Full), None) => format!("{} rows written", thousands(store.rows)),
            (None, None) => "not written".to_owned(),
        };
        let took = seconds(store.seconds);
        writeln!(page.out, "  {} at {}: {}, {took}", store.store, escape(&store.place), escape(&did))?;
    }
    Ok(())
}

/// What memory was taken, and what was done to keep to the budget.
fn memory<W: Write>(memory: &MemoryMetrics, page: &mut Page<W>) -> io::Result<()> {
    let budget = thousands(rounded(memory.budget_mb));
    let note = format!("peak of a budget of {budget} MB ({})", escape(&memory.budget_source));
    page.head("Memory", format!("{} MB", thousands(rounded(memory.peak_mb))), note)?;
    if memory.estimated_task_max_mb > 0.0 {
        let (most, mean) = (memory.estimated_task_max_mb, memory.estimated_task_mean_mb);
        writeln!(page.out, "  estimated for a file {most:.1} MB at most, {mean:.1} MB on average")?;
    }
    let (pressure, decisions) = (&memory.pressure, &memory.decisions);
    let done: Vec<String> = [
        ("pressure low", pressure.low),
        ("high", pressure.high),
        ("critical", pressure.critical),
        ("waited for room", decisions.waited_for_room),
        ("ran alone", decisions.ran_alone),
        ("held back", decisions.held_back),
        ("chunked early", decisions.chunked_early),
        ("scratch dropped", decisions.scratch_dropped),
        ("packs flushed", decisions.packs_flushed),
        ("facts spilled", decisions.facts_spilled),
        ("links spilled", decisions.links_spilled),
    ]
    .into_iter()
    .filter(|(_, count)| *count > 0)
    .map(|(name, count)| format!("{name} {}", thousands(count)))
    .collect();
    if done.is_empty() { Ok(()) } else { page.wrapped(2, "", &done) }
}

fn cost<W: Write>(data: &ReportData, page: &mut Page<W>) -> io::Result<()> {
    let metrics = &data.metrics;
    let mut notes = vec![format!("{} files/s", thousands(rounded(metrics.files_per_second)))];
    if metrics.duration > 0.0 && metrics.source_bytes_mb() >= 1.0 {
        let rate = rounded(metrics.source_bytes_mb() / metrics.duration);
        notes.push(format!("{} MB/s", thousands(rate)));
    }
    notes.push(format!("{} ({})", plural(metrics.workers, "worker", "workers"), escape(&metrics.strategy)));
    if metrics.peak_memory_mb > 0.0 {
        notes.push(format!("{} MB peak", thousands(rounded(metrics.peak_memory_mb))));
    }
    page.head("Time", seconds(metrics.duration), notes.join(", "))?;
    let phases: Vec<String> = Phase::ALL
        .iter()
        .filter(|phase| data.phases.get(**phase) >= NOTHING)
        .map(|phase| format!("{} {}", phase.name(), seconds(data.phases.get(*phase))))
        .collect();
    if !phases.is_empty() {
        writeln!(page.out, "  {}", phases.join(", "))?;
    }
    if page.options.all && metrics.memory.budget_mb > 0.0 {
        memory(&metrics.memory, page)?;
    }
    let cache = &metrics.cache_stats;
    let mut notes = vec!["hits".to_owned()];
    if cache.total_time_saved >= NOTHING {
        notes.push(format!("{} of parsing saved", seconds(cache.total_time_saved)));
    }
    if cache.cache_size_mb >= 0.05 {
        notes.push(format!("{:.1} MB on disk", cache.cache_size_mb));
    }
    page.head("Cache", format!("{:.1}%", cache.hit_rate_percent), notes.join(", "))?;
    let style = page.options.heading();
    writeln!(page.out, "\n{style}{:<LABEL$}{style:#}{}", "Graph", escape(&data.graph_digest))
}

/// Writes one line for each trouble, as compilers do, and one for the whole.
///
/// # Errors
///
/// Those of the writer.
pub fn concise(data: &ReportData, options: Options, mut out: impl Write) -> io::Result<()> {
    let (bad, warn) = (options.bad(), options.warn());
    for file in &data.files {
        let path = escape(&file.path);
        for error in &file.parse_errors {
            let message = escape(&error.message);
            writeln!(out, "{path}:{}:{}: {warn}syntax error{warn:#}: {message}", error.line, error.column)?;
        }
        if file.status == FileStatus::Skipped {
            let reason = escape(file.reason.as_deref().unwrap_or("no reason given"));
            writeln!(out, "{path}: {bad}skipped{bad:#}: {reason}")?;
        }
    }
    let metrics = &data.metrics;
    let calls = &data.call_sites;
    writeln!(
        out,
        "{}: {} ({} changed, {} cached, {} failed), {}, {}{}, {}, {}",
        escape(&data.project),
        plural(metrics.total_files, "file", "files"),
        thousands(metrics.misses),
        thousands(metrics.hits),
        thousands(metrics.failed_files),
        plural(data.symbols.total(), "symbol", "symbols"),
        plural(calls.total(), "call site", "call sites"),
        match calls.total() {
            0 => String::new(),
            total => format!(" ({} resolved)", percent(calls.resolved, total)),
        },
        plural(data.import_cycle_count, "import cycle", "import cycles"),
        seconds(metrics.duration),
    )
}

#[cfg(test)]
#[path = "text_tests.rs"]
pub(super) mod tests;
