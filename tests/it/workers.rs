//! Child processes that die, hang or lie, and what remains of them.

#![cfg(unix)]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pydebug::model::facts::EXTRACTOR_VERSION;
use serde_json::Value;

use crate::project::{Project, binary, digest, ended};

/// A program that stands in for the one whose `worker` command children run. `hello` is what a child says first.
fn stand_in(project: &Project, script: &str) -> String {
    let path = project.outside().join("stand-in");
    let hello = format!(
        "printf '\\014\\0\\0\\0\\0\\0\\0\\0PYDBWRK1\\{:03o}\\0\\0\\0'",
        u8::try_from(EXTRACTOR_VERSION).expect("small")
    );
    let real = env!("CARGO_BIN_EXE_pydebug");
    let text = format!("#!/bin/sh\nhello() {{ {hello}; }}\nreal() {{ exec '{real}' \"$@\"; }}\n{script}\n");
    fs::write(&path, text).expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
    path.to_str().expect("UTF-8").to_owned()
}

fn report(project: &Project, program: &str, more: &[&str]) -> Value {
    let arguments = ["--no-cache", "--strategy", "process", "-j1", "--worker-program", program];
    project.report(&[&arguments[..], more].concat())
}

fn decided(report: &Value, decision: &str) -> u64 {
    report["metrics"]["recovery"]["decisions"][decision].as_u64().expect("a count")
}

fn reasons(report: &Value) -> Vec<String> {
    let files = report["files"].as_array().expect("files");
    files.iter().map(|file| file["reason"].as_str().unwrap_or("none").to_owned()).collect()
}

#[test]
fn one_death_costs_nothing() {
    for (death, words) in [
        ("kill -SEGV $$", "killed by SIGSEGV"),
        ("kill -KILL $$", "killed by SIGKILL"),
        ("exit 3", "ended with exit code 3"),
        ("exec tail -f /dev/null >/dev/null", "closed its output"),
        ("printf 'nonsense nonsense nonsense nonsense nonsense'", "impossible length"),
    ] {
        let project = Project::generated(40);
        let clean = project.clean_digest();
        let program = stand_in(
            &project,
            &format!("if mkdir \"$0.once\" 2>/dev/null; then hello; {death}; exit 0; fi; real \"$@\""),
        );
        let report = report(&project, &program, &[]);
        assert_eq!(digest(&report), clean, "{death}");
        assert_eq!(report["metrics"]["strategy"], "process");
        assert_eq!((decided(&report, "isolate"), decided(&report, "restart")), (1, 1), "{death}: {report}");
        assert_eq!((decided(&report, "skip"), decided(&report, "degrade")), (0, 0), "{death}");
        assert!(report["recovery"].to_string().contains(words), "{death}: {}", report["recovery"]);
    }
}

#[test]
fn files_at_which_each_child_dies_are_skipped_and_never_parsed_here() {
    let project = Project::shop();
    let program = stand_in(&project, "hello; kill -SEGV $$");
    let died = report(&project, &program, &[]);
    assert_eq!(reasons(&died), ["killed by SIGSEGV"; 4]);
    assert_eq!(decided(&died, "skip"), 4);
    let mut strict = project.command(&["analyze", "--no-cache", "--strategy", "process", "--strict"]);
    let strict = ended(strict.args(["--worker-program", &program]).output().expect("the binary starts"));
    assert_eq!(strict.code, Some(2));
    // The next run, with children that live, knows all.
    assert_eq!(digest(&project.report(&[])), project.clean_digest());
}

#[test]
fn children_that_hang_are_killed() {
    let project = Project::shop();
    // One reads and never answers, one does not even read.
    project.write("large.py", &"x = [1, 2, 3]\n".repeat(300_000));
    for hang in ["cat >/dev/null", "exec tail -f /dev/null"] {
        let program = stand_in(&project, &format!("hello; {hang}"));
        let mut command =
            project.command(&["analyze", "--no-cache", "--strategy", "process", "--output-format", "json"]);
        command.args(["--worker-program", &program]).env("PARSER_FILE_TIMEOUT_SECONDS", "0.05");
        let ran = ended(command.output().expect("the binary starts"));
        let report: Value = serde_json::from_str(&ran.stdout).expect("JSON");
        let reasons = reasons(&report);
        assert!(reasons.iter().all(|reason| reason.starts_with("timeout after 0.05")), "{reasons:?}");
    }
}

#[test]
fn a_child_that_dies_now_and_then() {
    let project = Project::generated(60);
    let clean = project.clean_digest();
    // The second and third live; those at which the first and fourth die are tried alone by the others.
    let script = "\
for n in 1 2 3 4 5 6; do mkdir \"$0.$n\" 2>/dev/null && break; done
case $n in 1|4) hello; head -c 20000 >/dev/null; kill -BUS $$;; esac
real \"$@\"";
    let program = stand_in(&project, script);
    let report = report(&project, &program, &[]);
    assert_eq!(digest(&report), clean);
    assert!(report["recovery"].to_string().contains("killed by SIGBUS"), "{}", report["recovery"]);
}

fn pipe_in(project: &Project, name: &str) -> PathBuf {
    let path = project.outside().join(name);
    assert!(Command::new("mkfifo").arg(&path).status().expect("mkfifo").success());
    path
}

fn is_there(process: &str) -> bool {
    Path::new("/proc").join(process).exists()
}

#[test]
fn an_interrupt_ends_children_too() {
    if !Path::new("/proc/self").exists() {
        return crate::project::skipped("processes cannot be looked up without /proc");
    }
    for (signal, code) in [("INT", Some(130)), ("TERM", Some(130))] {
        let project = Project::shop();
        let pipe = pipe_in(&project, "up");
        let program =
            stand_in(&project, &format!("hello; echo $$ >'{}'; exec tail -f /dev/null", pipe.display()));
        let mut command = project.command(&["analyze", "--no-cache", "--strategy", "process", "-j1"]);
        command.args(["--worker-program", &program]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let run = command.spawn().expect("the binary starts");
        let mut child = String::new();
        BufReader::new(fs::File::open(&pipe).expect("a pipe")).read_line(&mut child).expect("a number");
        let child = child.trim();
        assert!(is_there(child));
        let killed = Command::new("kill").args([&format!("-{signal}"), &run.id().to_string()]).status();
        assert!(killed.expect("kill").success());
        let ran = ended(run.wait_with_output().expect("an end"));
        assert_eq!(ran.code, code, "{}", ran.stderr);
        assert!(!is_there(child), "child {child} outlived the run");
    }
}

/// A worker that is started as a run starts it, by `parent`.
fn worker(parent: u32) -> Command {
    let mut command = binary(Path::new("/"));
    command.args(["worker", "--parent", &parent.to_string()]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

#[test]
fn a_worker_ends_with_its_input() {
    let mut child = worker(std::process::id()).spawn().expect("the binary starts");
    let mut hello = [0; 20];
    let mut output = child.stdout.take().expect("a pipe");
    output.read_exact(&mut hello).expect("hello");
    assert_eq!(&hello[8..16], b"PYDBWRK1");
    drop(child.stdin.take());
    assert_eq!(child.wait().expect("an end").code(), Some(0));
    // Nor does it wait where whoever started it is gone.
    let mut child = worker(1).spawn().expect("the binary starts");
    let mut said = Vec::new();
    child.stdout.take().expect("a pipe").read_to_end(&mut said).expect("an end");
    assert_eq!((said.len(), child.wait().expect("an end").code()), (0, Some(0)));
}

#[test]
fn a_request_that_is_none_ends_a_worker() {
    for request in [&b"\x03\0\0\0\0\0\0\0abc"[..], &[255; 8]] {
        let mut child = worker(std::process::id()).spawn().expect("the binary starts");
        let mut input = child.stdin.take().expect("a pipe");
        input.write_all(request).expect("it reads");
        let code = child.wait().expect("an end").code();
        assert!(matches!(code, Some(1 | 2)), "{code:?}");
    }
}

#[test]
fn a_worker_ends_with_its_parent() {
    if !cfg!(target_os = "linux") {
        return crate::project::skipped("only Linux ends children whose input stays open");
    }
    let project = Project::new();
    let (input, output) = (pipe_in(&project, "in"), pipe_in(&project, "out"));
    let script = "\"$0\" worker --parent $$ <\"$1\" >\"$2\" & wait";
    let mut shell = Command::new("sh");
    shell.args(["-c", script, env!("CARGO_BIN_EXE_pydebug")]).args([&input, &output]);
    let mut shell = shell.spawn().expect("a shell");
    // Kept open: its end is not what ends the worker.
    let kept = fs::OpenOptions::new().read(true).write(true).open(&input).expect("a pipe");
    let mut output = fs::File::open(&output).expect("a pipe");
    let mut hello = [0; 20];
    output.read_exact(&mut hello).expect("hello");
    shell.kill().expect("killed");
    shell.wait().expect("an end");
    let mut rest = Vec::new();
    output.read_to_end(&mut rest).expect("the worker ends");
    drop(kept);
}
