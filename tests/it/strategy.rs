//! Threads and child processes give the same graph; what a run could not do as asked is told.

#![cfg(unix)]

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use pydebug::config::Key;
use pydebug::engine::progress::{Interrupt, Phase, Progress};
use pydebug::{Analyzer, Config};
use serde_json::Value;

use crate::project::{Project, copy_tree, digest, ended, hit_rate, ran, skipped};

const STRATEGIES: [&str; 4] = ["thread", "process", "hybrid", "adaptive"];

fn decided(report: &Value, decision: &str) -> u64 {
    report["metrics"]["recovery"]["decisions"][decision].as_u64().expect("a count")
}

fn troubled(report: &Value, kind: &str) -> u64 {
    report["metrics"]["recovery"]["kinds"][kind].as_u64().expect("a count")
}

/// What became of a file, and why.
fn fate(report: &Value, path: &str) -> (String, String) {
    let files = report["files"].as_array().expect("files");
    let file = files.iter().find(|file| file["path"] == path).expect(path);
    let text = |key: &str| file[key].as_str().unwrap_or_default().to_owned();
    (text("status"), text("reason"))
}

fn report_in(project: &Project, environment: &[(&str, &str)], arguments: &[&str]) -> Value {
    let all = [&["analyze", "--output-format", "json"], arguments].concat();
    let ran = ran(project.command(&all).envs(environment.iter().copied()));
    assert_eq!(ran.code, Some(0), "{arguments:?}: {}", ran.stderr);
    serde_json::from_str(&ran.stdout).expect("JSON")
}

/// Functions enough for so many bytes.
fn functions(bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 200);
    let mut number = 0;
    while text.len() < bytes {
        let _ = write!(
            text,
            "def f{number}(a, b=1):\n    x = [a + b, g(a, {number}), {{'k': a.b.c}}, (a, b, 1, 2, 3)]\n    return x\n\n"
        );
        number += 1;
    }
    text
}

#[test]
fn all_strategies_give_one_graph() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let project = Project::generated(30);
    for entry in fs::read_dir(fixtures).expect("a folder").flatten() {
        copy_tree(&entry.path(), &project.tree().join(entry.file_name()));
    }
    project.write("large.py", &functions(700 << 10));
    for chunk in ["512", "16"] {
        let environment = [("PARSER_CHUNK_SIZE_KB", chunk)];
        let mut first: Option<(String, Value)> = None;
        for strategy in STRATEGIES {
            let report = report_in(&project, &environment, &["--no-cache", "--strategy", strategy]);
            let ran = report["metrics"]["strategy"].as_str().expect("a name");
            assert_eq!(ran, if strategy == "adaptive" { "thread" } else { strategy });
            assert_eq!((decided(&report, "degrade"), decided(&report, "restart")), (0, 0), "{report}");
            assert!(report["metrics"]["chunked_files"].as_u64() > Some(0));
            let found = (digest(&report), report["files"].clone());
            assert_eq!(first.get_or_insert_with(|| found.clone()), &found, "{strategy}, {chunk}");
        }
    }
}

#[test]
fn few_files_go_both_ways_and_large_ones_to_children() {
    let project = Project::shop().file("big/large.py", &functions(700 << 10));
    let strategy = |report: &Value| report["metrics"]["strategy"].as_str().expect("a name").to_owned();
    assert_eq!(strategy(&project.report(&["--no-cache", "shop"])), "hybrid");
    assert_eq!(strategy(&report_in(&project, &[], &["--no-cache", "--strategy", "hybrid"])), "hybrid");
    project.write("big/large.py", &functions(1100 << 10));
    assert_eq!(strategy(&project.report(&["--no-cache", "big"])), "process");
    assert_eq!(strategy(&project.report(&["--no-cache", "--preset", "minimal", "shop"])), "thread");
}

#[test]
fn what_children_made_is_cached() {
    let project = Project::generated(12);
    let cold = project.report(&["--strategy", "process"]);
    assert_eq!((digest(&cold), hit_rate(&cold)), (project.clean_digest(), 0.0));
    project.write("pkg/m3.py", "from pkg import m4\n");
    for strategy in STRATEGIES {
        let warm = project.report(&["--strategy", strategy]);
        assert_eq!(digest(&warm), project.clean_digest(), "{strategy}");
    }
    assert_eq!(project.run(&["cache", "verify"]).code, Some(0));
    let touched = project.tree().join("pkg/m5.py");
    fs::write(&touched, fs::read(&touched).expect("a file")).expect("a file");
    assert_eq!(hit_rate(&project.report(&["--strategy", "process"])), 100.0);
}

#[test]
fn deep_nesting_goes_to_a_child_of_its_own() {
    let project = Project::shop()
        .file("chain.py", &format!("x = a{}\n", ".b".repeat(50_000)))
        .file("sum.py", &format!("def f():\n    return {}1\n", "1+".repeat(30_000)))
        .file("open.py", &format!("x = {}\n", "(".repeat(1_000_000)));
    let mut first: Option<String> = None;
    for strategy in STRATEGIES {
        let report = project.report(&["--no-cache", "--strategy", strategy]);
        for path in ["chain.py", "sum.py"] {
            assert_eq!(fate(&report, path).0, "complete", "{strategy}: {report}");
        }
        let (status, reason) = fate(&report, "open.py");
        assert_eq!(status, "skipped");
        assert!(reason.starts_with("nesting: "), "{reason}");
        assert_eq!((decided(&report, "isolate"), decided(&report, "skip")), (3, 1), "{strategy}");
        assert_eq!(troubled(&report, "nesting"), 4);
        assert_eq!(first.get_or_insert_with(|| digest(&report)), &digest(&report), "{strategy}");
    }
    let alone = project.report(&["--no-cache", "--worker-program", "/nowhere/at/all"]);
    let (status, reason) = fate(&alone, "chain.py");
    assert_eq!(status, "skipped");
    assert!(reason.starts_with("nesting: ") && reason.contains("no child process"), "{reason}");
    // Facts of a deep file are cached like others.
    project.report(&[]);
    project.write("shop/cart.py", "x = 1\n");
    assert_eq!(decided(&project.report(&[]), "isolate"), 1, "the one that has no facts");
}

#[test]
fn memory_of_a_child_is_limited() {
    let project = Project::shop();
    let fine = digest(&project.report(&["--no-cache"]));
    // One import, of which nothing can be left out.
    project.write("dense.py", &format!("import {}a\n", "a,".repeat(2_000_000)));
    let environment = [("PARSER_WORKER_MEMORY_MB", "32"), ("PARSER_CHUNK_SIZE_KB", "65536")];
    let report = report_in(&project, &environment, &["--no-cache", "--strategy", "process"]);
    let expected = ("skipped".to_owned(), "out of memory: limit 32 MB".to_owned());
    assert_eq!(fate(&report, "dense.py"), expected);
    assert_eq!(fate(&report, "shop/cart.py").0, "complete");
    assert_eq!(
        (troubled(&report, "memory"), decided(&report, "skip")),
        (2, 1).max((troubled(&report, "memory"), 1))
    );
    assert_ne!(digest(&report), fine, "a skipped file is part of the graph");
}

#[test]
fn memory_that_does_not_suffice_for_a_file_may_do_for_its_chunks() {
    let project = Project::new().file("large.py", &functions(2 << 20));
    let whole = digest(&project.report(&["--no-cache", "--strategy", "thread"]));
    let found = (24..400).step_by(8).find(|limit| {
        let limit = limit.to_string();
        let environment = [("PARSER_WORKER_MEMORY_MB", &*limit), ("PARSER_CHUNK_SIZE_KB", "65536")];
        let report = report_in(&project, &environment, &["--no-cache", "--strategy", "process"]);
        if fate(&report, "large.py").0 == "skipped" {
            return false;
        }
        assert_eq!((decided(&report, "isolate"), digest(&report)), (1, whole.clone()), "{limit}: {report}");
        true
    });
    assert!(found.is_some());
}

#[test]
fn time_of_a_child_is_limited() {
    let project = Project::new().file("large.py", &functions(3 << 20));
    let environment = [("PARSER_FILE_TIMEOUT_SECONDS", "0.001")];
    for strategy in ["process", "hybrid"] {
        let report = report_in(&project, &environment, &["--no-cache", "--strategy", strategy]);
        let (status, reason) = fate(&report, "large.py");
        assert_eq!((&*status, &*reason), ("skipped", "timeout after 0.001 s"), "{strategy}");
        assert_eq!((troubled(&report, "timeout"), decided(&report, "isolate")), (2, 1), "{report}");
    }
    let threads = report_in(&project, &environment, &["--no-cache", "--strategy", "thread"]);
    assert_eq!(fate(&threads, "large.py").0, "complete", "threads have no time limit");
}

#[test]
fn children_that_cannot_be_started_are_done_without() {
    let project = Project::generated(20);
    let clean = project.clean_digest();
    let metrics = project.outside().join("metrics.json");
    let metrics = metrics.to_str().expect("UTF-8");
    for program in ["/nowhere/at/all", "/bin/false", "/dev/null"] {
        let report = project.report(&[
            "--no-cache",
            "--strategy",
            "process",
            "--worker-program",
            program,
            "--metrics-file",
            metrics,
        ]);
        assert_eq!(digest(&report), clean, "{program}");
        assert_eq!(report["metrics"]["strategy"], "thread");
        assert_eq!(decided(&report, "degrade"), 1, "{program}: {report}");
        assert!(decided(&report, "retry") >= 2);
        assert!(report["warnings"].to_string().contains("process to thread"), "{}", report["warnings"]);
        let events = report["recovery"].as_array().expect("events");
        assert!(events.iter().any(|event| event["decision"] == "degrade" && event["kind"] == "worker_start"));
        let written: Value =
            serde_json::from_str(&fs::read_to_string(metrics).expect("a file")).expect("JSON");
        assert_eq!(written["recovery"], report["metrics"]["recovery"]);
    }
    let arguments = ["analyze", "--no-cache", "--strategy", "process", "--worker-program", "/nowhere/at/all"];
    let text = project.out(&arguments);
    assert!(text.contains("\nRecovery ") && text.contains("degrade (worker start): the run:"), "{text}");
    let strict = project.run(&[&arguments[..], &["--strict"]].concat());
    assert_eq!(strict.code, Some(2));
    assert!(strict.stderr.contains("the run degraded"), "{}", strict.stderr);
    assert_eq!(project.run(&["analyze", "--no-cache", "--strict", "--strategy", "process"]).code, Some(0));
}

#[test]
fn threads_and_processes_that_cannot_be_started_are_done_without() {
    let project = Project::generated(30);
    let clean = project.clean_digest();
    let arguments = ["analyze", "--no-cache", "--output-format", "json", "-j4", "--strategy", "process"];
    // Privileged users have no limit of processes.
    let Some(inner) = project.unprivileged(&arguments) else { return };
    let mut limited = Command::new("prlimit");
    limited.arg("--nproc=1").arg(inner.get_program()).args(inner.get_args()).current_dir(project.tree());
    if fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0) {
        limited.uid(65_534).gid(65_534);
    }
    let Ok(output) = limited.output() else { return skipped("RLIMIT_NPROC: there is no `prlimit` here") };
    let ran = ended(output);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let report: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!((digest(&report), decided(&report, "degrade")), (clean, 3), "{report}");
    let warnings = report["warnings"].to_string();
    for step in ["4 threads to one thread", "one thread to the main thread", "process to thread"] {
        assert!(warnings.contains(step), "{warnings}");
    }
}

#[test]
fn files_that_vanish_change_or_do_not_decode_are_told() {
    let project = Project::shop();
    project.write("odd.py", "x = 1\n");
    fs::write(project.tree().join("odd.py"), b"x = '\xff'\n").expect("a file");
    let report = project.report(&["--no-cache"]);
    assert_eq!((troubled(&report, "decode"), decided(&report, "substitute")), (1, 1), "{report}");
    assert_eq!(fate(&report, "odd.py").0, "partial");
}

/// The graph of one large file, or the error, and the events of parsing it.
fn watched(project: &Project, strategy: &str, stop_at: Option<u64>) -> (Result<String, String>, Vec<u64>) {
    let config = Config::builder(project.tree())
        .set(Key::CacheEnabled, false)
        .set(Key::Strategy, strategy)
        .build()
        .expect("valid");
    let (seen, interrupt) = (Arc::new(Mutex::new(Vec::new())), Interrupt::default());
    let (events, asked) = (Arc::clone(&seen), interrupt.clone());
    let observer = move |progress: &Progress<'_>| {
        if progress.phase == Phase::Parse && progress.completed_files == 0 && progress.current_file.is_some()
        {
            events.lock().expect("no panic").push(progress.bytes_done);
            if stop_at.is_some_and(|at| progress.bytes_done > at) {
                asked.request();
            }
        }
    };
    let run = Analyzer::new(config)
        .observer(Arc::new(observer))
        .interrupt(interrupt)
        .worker_program(env!("CARGO_BIN_EXE_pydebug"))
        .run();
    let outcome = run.map(|run| run.metrics().strategy.clone()).map_err(|error| error.to_string());
    let seen = std::mem::take(&mut *seen.lock().expect("no panic"));
    (outcome, seen)
}

#[test]
fn progress_goes_on_within_a_large_file() {
    let project = Project::new();
    let text = functions(24 << 20);
    project.write("large.py", &text);
    for strategy in ["thread", "process"] {
        let (outcome, seen) = watched(&project, strategy, None);
        assert_eq!(outcome.as_deref(), Ok(strategy));
        assert!(seen.len() > 2, "{strategy}: {seen:?}");
        assert!(seen.is_sorted_by(|one, other| one < other), "{strategy}: {seen:?}");
        assert!(seen.iter().all(|&done| 0 < done && done < text.len() as u64), "{strategy}: {seen:?}");
        // Whoever stops it need not wait for its end.
        let (outcome, seen) = watched(&project, strategy, Some(1 << 20));
        assert!(outcome.expect_err("interrupted").contains("interrupted"), "{strategy}");
        assert!(seen.iter().all(|&done| done < 12 << 20), "{strategy}: {seen:?}");
    }
}
