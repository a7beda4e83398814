//! Trees that mean harm or are simply odd.

#![cfg(unix)]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use crate::project::{Project, binary, digest, ran};

#[test]
fn names() {
    let project = Project::new().file("a\x1b[2Jb.py", "def f(:\n").file("new\nline.py", "import os\n");
    fs::write(project.tree().join(OsStr::from_bytes(b"caf\xe9.py")), "def g():\n    pass\n").expect("a file");
    for format in ["full", "concise", "json", "jsonl"] {
        let ran = project.run(&["analyze", "--output-format", format]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        assert!(!ran.stdout.contains('\x1b') && !ran.stderr.contains('\x1b'), "{format}: {}", ran.stdout);
    }
    for format in ["json", "dot", "mermaid", "graphml", "csv"] {
        assert!(!project.out(&["graph", "calls", "--format", format]).contains('\x1b'), "{format}");
    }
    assert_eq!(project.report(&[])["metrics"]["processed_files"], 3);
    assert_eq!(digest(&project.report(&[])), project.clean_digest());
}

#[test]
fn links_pipes_and_folders() {
    let project = Project::shop();
    symlink(project.tree(), project.tree().join("shop/loop")).expect("a link");
    symlink("self.py", project.tree().join("self.py")).expect("a link");
    symlink("/nowhere/at/all.py", project.tree().join("dangling.py")).expect("a link");
    fs::create_dir(project.tree().join("folder.py")).expect("a folder");
    let made = Command::new("mkfifo").arg(project.tree().join("pipe.py")).status().expect("mkfifo");
    assert!(made.success());
    let report = project.report(&[]);
    let names: Vec<&str> =
        report["files"].as_array().expect("files").iter().filter_map(|file| file["path"].as_str()).collect();
    assert!(
        names.iter().filter(|name| name.starts_with("shop/")).eq([
            "shop/__init__.py",
            "shop/broken.py",
            "shop/cart.py",
            "shop/prices.py"
        ]
        .iter()),
        "{names:?}"
    );
    assert!(report["warnings"].to_string().contains("pipe.py") || names.contains(&"pipe.py"), "{report}");
    assert_eq!(digest(&project.report(&[])), project.clean_digest());
}

#[test]
#[expect(clippy::print_stderr, reason = "a check that is left out is told")]
fn unreadable_file_is_skipped() {
    let project = Project::shop();
    let path = project.tree().join("shop/cart.py");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).expect("a mode");
    if fs::read(&path).is_ok() {
        eprintln!("not checked: this user may read everything");
        return;
    }
    let report = project.report(&[]);
    assert_eq!(report["metrics"]["failed_files"], 1);
    assert_eq!(report["files"][2]["status"], "skipped");
    assert!(report["files"][2]["reason"].to_string().contains("permission denied"));
    assert_eq!(project.run(&["analyze", "--strict"]).code, Some(2));
}

#[test]
fn bare_environment() {
    let project = Project::shop();
    let bare = ran(binary(&project.tree()).env_clear().args(["analyze", "--output-format", "concise"]));
    assert_eq!(bare.code, Some(0), "{}", bare.stderr);
    assert!(bare.stdout.contains("4 files"), "{}", bare.stdout);
}

#[test]
fn cache_that_cannot_be_written_is_done_without() {
    let project = Project::shop();
    let clean = project.clean_digest();
    fs::write(project.outside().join("file"), "").expect("a file");
    let closed = project.outside().join("closed");
    fs::create_dir(&closed).expect("a folder");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).expect("a mode");
    for (folder, fails) in [
        (project.outside().join("file/below"), true),
        ("/proc/self/cache".into(), true),
        (closed.join("cache"), fs::write(closed.join("probe"), "").is_err()),
    ] {
        let name = folder.to_str().expect("UTF-8");
        for _ in 0..2 {
            let report = project.report(&["--cache-dir", name]);
            assert_eq!(digest(&report), clean, "{name}");
            let warnings = report["warnings"].to_string();
            assert_eq!(warnings.contains("cannot be used"), fails, "{name}: {warnings}");
        }
    }
}

#[test]
fn cache_without_write_permission_still_answers() {
    let project = Project::shop();
    let cold = digest(&project.report(&[]));
    project.write("shop/new.py", "x = 1\n");
    let mut folders = vec![project.cache()];
    folders.extend(["v1", "v1/packs", "v1/manifests", "v1/snapshots"].map(|name| project.cache().join(name)));
    let close = |mode| {
        folders
            .iter()
            .for_each(|path| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode"))
    };
    close(0o555);
    let report = project.report(&[]);
    close(0o755);
    assert_ne!(digest(&report), cold);
    assert_eq!(digest(&report), project.clean_digest());
}

#[test]
fn nothing_but_the_cache_is_written() {
    let project = Project::shop();
    let listing = || {
        let mut names: Vec<_> = fs::read_dir(project.tree().join("shop"))
            .expect("a folder")
            .flatten()
            .map(|entry| (entry.file_name(), entry.metadata().expect("a stat").modified().expect("a time")))
            .collect();
        names.sort();
        names
    };
    let before = listing();
    for arguments in [&["analyze"][..], &["graph", "calls"], &["cache", "gc"], &["config"]] {
        project.out(arguments);
    }
    assert_eq!(listing(), before);
    assert_eq!(fs::read_dir(project.tree()).expect("a folder").count(), 1);
}
