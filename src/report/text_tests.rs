//! The text reports, and the sample that other reports are tested with.

use super::*;
use crate::model::metrics::{CacheStats, MemoryDecisions, MemoryMetrics, MemoryPressure, ProcessingMetrics};
use crate::report::data::{CallReasons, CallSites, Complex, FileReport, ParseError, Phases};

pub(in crate::report) fn sample() -> ReportData {
    let file = |path: &str, status| FileReport {
        path: path.to_owned(),
        status,
        reason: None,
        cached: status == FileStatus::Complete,
        parse_errors: Vec::new(),
        lost: Vec::new(),
    };
    let mut phases = Phases::default();
    for (phase, seconds) in Phase::ALL.into_iter().zip([0.004, 0.0125, 0.002, 0.41, 0.15, 0.05]) {
        phases.add(phase, seconds);
    }
    ReportData {
        root: "/srv/shop".to_owned(),
        project: "shop".to_owned(),
        graph_digest: "0123456789abcdef".repeat(4),
        metrics: ProcessingMetrics {
            total_files: 2922,
            processed_files: 2921,
            failed_files: 1,
            success_rate: 99.97,
            duration: 0.6285,
            files_per_second: 4647.6,
            cache_stats: CacheStats { hit_rate_percent: 94.2, total_time_saved: 67.8, cache_size_mb: 9.84 },
            hits: 2752,
            misses: 169,
            source_bytes: 40_000_000,
            peak_memory_mb: 93.2,
            workers: 2,
            strategy: "thread".to_owned(),
            ..ProcessingMetrics::default()
        },
        phases,
        symbols: [("module", 2921), ("class", 9_100), ("function", 31_007)].into_iter().collect(),
        imports: [("resolved", 15_000), ("external", 5_000)].into_iter().collect(),
        call_sites: CallSites {
            resolved: 120_000,
            ambiguous: 12_000,
            external: 30_000,
            builtin: 40_000,
            unresolved: 8_000,
        },
        call_site_reasons: CallReasons {
            incomplete: 900,
            ambiguous: [("by name", 12_000)].into_iter().collect(),
            unresolved: [("unknown receiver", 7_000), ("dynamic", 1_000)].into_iter().collect(),
        },
        edges: [("CALLS", 130_000), ("IMPORTS", 15_000)].into_iter().collect(),
        complexity: vec![Complex {
            qualname: "shop.sql.Query.build\x1b[31m".to_owned(),
            path: "shop/sql.py".to_owned(),
            line: 1459,
            complexity: 47,
        }],
        import_cycle_count: 1,
        import_cycles: vec![vec!["shop.a".to_owned(), "shop.b".to_owned()]],
        files: vec![
            file("shop/__init__.py", FileStatus::Complete),
            FileReport {
                parse_errors: vec![ParseError { line: 3, column: 9, message: "expected `:`".to_owned() }],
                ..file("shop/bro\nken.py", FileStatus::Partial)
            },
            FileReport {
                reason: Some("permission denied".to_owned()),
                ..file("shop/secret.py", FileStatus::Skipped)
            },
        ],
        ..ReportData::default()
    }
}

fn text(write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> String {
    let mut out = Vec::new();
    write(&mut out).expect("a vector takes everything");
    String::from_utf8(out).expect("UTF-8")
}

#[test]
fn memory_is_shown_where_everything_is() {
    let mut data = sample();
    data.metrics.memory = MemoryMetrics {
        budget_mb: 1536.0,
        budget_source: "three quarters of the 2048 MB of control group `/a\x1b[31m`".to_owned(),
        peak_mb: 1203.4,
        estimated_task_max_mb: 140.25,
        estimated_task_mean_mb: 0.31,
        pressure: MemoryPressure { low: 1, high: 1, critical: 0 },
        decisions: MemoryDecisions { ran_alone: 1, facts_spilled: 4711, ..MemoryDecisions::default() },
        ..MemoryMetrics::default()
    };
    let shown = text(|out| full(&data, Options { all: true, ..Options::default() }, out));
    let lines: Vec<&str> = shown.lines().skip_while(|line| !line.starts_with("Memory")).take(3).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    Memory                  1,203 MB  peak of a budget of 1,536 MB (three quarters of the 2048 MB of control group `/a\u{1b}[31m`)
      estimated for a file 140.2 MB at most, 0.3 MB on average
      pressure low 1, high 1, ran alone 1, facts spilled 4,711
    ");
    assert!(!text(|out| full(&data, Options::default(), out)).contains("Memory"));
}

#[test]
fn full_report() {
    insta::assert_snapshot!(text(|out| full(&sample(), Options::default(), out)), @r#"
    shop  /srv/shop

    Files                      2,922
      changed                    169
      cached                   2,752
      partial                      1  syntax errors; what could be read is in the graph
      failed                       1  skipped, see below

    Symbols                   43,028
      module                   2,921    6.8%
      class                    9,100   21.1%
      function                31,007   72.1%

    Imports                   20,000
      resolved                15,000   75.0%
      external                 5,000   25.0%

    Call sites               210,000
      resolved               120,000   57.1%  at 900 more targets are possible
      ambiguous               12,000    5.7%
        by name 12,000
      external                30,000   14.3%  into other packages
      builtin                 40,000   19.0%
      unresolved               8,000    3.8%
        unknown receiver 7,000, dynamic 1,000

    Edges                    145,000
      CALLS                  130,000   89.7%
      IMPORTS                 15,000   10.3%

    Complexity                    47  the highest cyclomatic complexity
          47  shop.sql.Query.build\u{1b}[31m  shop/sql.py:1459

    Import cycles                  1  groups of modules that import each other when loaded
      2 modules: shop.a, shop.b

    Syntax errors                  1
      shop/bro\nken.py:3:9: expected `:`

    Skipped                        1
      shop/secret.py: permission denied

    Time                      0.63 s  4,648 files/s, 61 MB/s, 2 workers (thread), 93 MB peak
      walk 4.0 ms, fingerprint 12 ms, cache 2.0 ms, parse 0.41 s, link 0.15 s, store 50 ms

    Cache                      94.2%  hits, 67.80 s of parsing saved, 9.8 MB on disk

    Graph               0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
    "#);
}

#[test]
fn concise_report() {
    insta::assert_snapshot!(text(|out| concise(&sample(), Options::default(), out)), @r#"
    shop/bro\nken.py:3:9: syntax error: expected `:`
    shop/secret.py: skipped: permission denied
    shop: 2,922 files (169 changed, 2,752 cached, 1 failed), 43,028 symbols, 210,000 call sites (57.1% resolved), 1 import cycle, 0.63 s
    "#);
    insta::assert_snapshot!(text(|out| concise(&ReportData { project: "p".into(), ..ReportData::default() }, Options::default(), out)), @"p: 0 files (0 changed, 0 cached, 0 failed), 0 symbols, 0 call sites, 0 import cycles, 0.0 ms");
}

#[test]
fn colours_only_on_request_and_nothing_foreign_raw() {
    let plain = text(|out| full(&sample(), Options::default(), out));
    assert!(!plain.contains('\x1b'));
    let coloured = text(|out| full(&sample(), Options { color: true, all: true }, out));
    assert!(coloured.contains("\x1b[1m") && coloured.contains("build\\u{1b}[31m"));
    assert!(!coloured.contains("\x1b[31m  "), "{coloured}");
    assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain);
}

#[test]
fn long_lists_end() {
    let mut data = sample();
    data.complexity = vec![data.complexity[0].clone(); 25];
    let short = text(|out| full(&data, Options::default(), out));
    assert!(short.contains("and 15 more; -v lists all"));
    assert!(!text(|out| full(&data, Options { all: true, color: false }, out)).contains("more;"));
}

#[test]
fn numbers() {
    for (number, expected) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
        assert_eq!(thousands(number), expected);
    }
}
