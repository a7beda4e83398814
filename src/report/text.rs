//! The report for eyes. Nothing foreign is written without [`escape`].

use std::fmt::Display;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::data::{Counts, FileStatus, ReportData};
use super::escape::escape;
use crate::engine::progress::Phase;

/// Lines of each list unless all are asked for.
const SOME: usize = 10;
/// Columns of the labels on the left.
const LABEL: usize = 16;
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
    if value < 0.1 { format!("{:.1} ms", value * 1000.0) } else { format!("{value:.2} s") }
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
        let label = format!("  {}", escape(label));
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

    fn more(&mut self, left: usize) -> io::Result<()> {
        if left == 0 {
            return Ok(());
        }
        let style = self.options.dim();
        writeln!(self.out, "  {style}and {} more; -v lists all{style:#}", thousands(left as u64))
    }
}

fn reasons(counts: &Counts) -> String {
    let shown: Vec<String> = counts
        .0
        .iter()
        .filter(|(_, count)| *count > 0)
        .take(4)
        .map(|(name, count)| format!("{} {}", escape(name), thousands(*count)))
        .collect();
    shown.join(", ")
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
    writeln!(page.out, "{style}{}{style:#}  {dim}{}{dim:#}", escape(&data.project), escape(&data.root))?;
    overview(data, &mut page)?;
    calls(data, &mut page)?;
    complexity(data, &mut page)?;
    cycles(data, &mut page)?;
    troubles(data, &mut page)?;
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
        let why = match name {
            "resolved" if data.call_site_reasons.incomplete > 0 => {
                format!("other targets unknown at {}", thousands(data.call_site_reasons.incomplete))
            }
            "ambiguous" => reasons(&data.call_site_reasons.ambiguous),
            "unresolved" => reasons(&data.call_site_reasons.unresolved),
            _ => String::new(),
        };
        page.row(name, count, format_args!("{:>6}  {why}", percent(count, total)))?;
    }
    if data.implicit_call_sites > 0 {
        page.row("implicit", data.implicit_call_sites, "operators, properties, protocols; counted apart")?;
    }
    page.head("Edges", thousands(data.edges.total()), "")?;
    page.rows(&data.edges)
}

fn complexity<W: Write>(data: &ReportData, page: &mut Page<W>) -> io::Result<()> {
    let Some(worst) = data.complexity.first() else { return Ok(()) };
    page.head("Complexity", thousands(u64::from(worst.complexity)), "the worst")?;
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
    page.head("Import cycles", thousands(data.import_cycles.len() as u64), "")?;
    let limit = page.options.limit();
    for cycle in data.import_cycles.iter().take(limit) {
        let shown: Vec<_> = cycle.iter().take(limit).map(|name| escape(name)).collect();
        let tail = match cycle.len().saturating_sub(limit) {
            0 => cycle.first().map(|name| escape(name).into_owned()).unwrap_or_default(),
            left => format!("{left} more"),
        };
        writeln!(page.out, "  {} -> {tail}", shown.join(" -> "))?;
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

fn cost<W: Write>(data: &ReportData, page: &mut Page<W>) -> io::Result<()> {
    let metrics = &data.metrics;
    let mut notes = vec![format!("{} files/s", thousands(rounded(metrics.files_per_second)))];
    if metrics.duration > 0.0 {
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
        .map(|phase| format!("{} {}", phase.name(), seconds(data.phases.get(*phase))))
        .collect();
    writeln!(page.out, "  {}", phases.join(", "))?;
    let cache = &metrics.cache_stats;
    page.head(
        "Cache",
        format!("{:.1}%", cache.hit_rate_percent),
        format_args!(
            "hits, {} of parsing saved, {:.1} MB",
            seconds(cache.total_time_saved),
            cache.cache_size_mb
        ),
    )?;
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
        "{}: {} ({} changed, {} cached, {} failed), {}, {} ({} resolved), {}, {}",
        escape(&data.project),
        plural(metrics.total_files, "file", "files"),
        thousands(metrics.misses),
        thousands(metrics.hits),
        thousands(metrics.failed_files),
        plural(data.symbols.total(), "symbol", "symbols"),
        plural(calls.total(), "call site", "call sites"),
        match calls.total() {
            0 => "none".to_owned(),
            total => percent(calls.resolved, total),
        },
        plural(data.import_cycles.len() as u64, "import cycle", "import cycles"),
        seconds(metrics.duration),
    )
}

#[cfg(test)]
#[path = "text_tests.rs"]
pub(super) mod tests;
