//! Trees that mean harm or are simply odd.

#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::project::{Project, binary, digest, ran};

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
