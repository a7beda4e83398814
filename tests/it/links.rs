//! Trees with links, pipes, devices and closed doors in them, before a run and during one.

#![cfg(unix)]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pydebug::engine::progress::{Phase, Progress};
use pydebug::{Analyzer, Config, ProgressObserver};
use serde_json::Value;

use crate::project::{Project, digest, ran, skipped};

/// Path and reason of everything skipped or left out, sorted.
fn skipped_of(report: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let files = report["files"].as_array().expect("files").iter();
    let skipped = files
        .filter(|file| file["status"] == "skipped")
        .map(|file| (text(&file["path"]), text(&file["reason"])));
    let warnings = report["warnings"].as_array().expect("warnings").iter();
    let left_out = warnings.map(|warning| {
        let text = text(warning);
        let (path, reason) = text.split_once("` was left out: ").expect("no other warnings");
        (path[1..].to_owned(), reason.to_owned())
    });
    let mut found: Vec<_> = skipped.chain(left_out).collect();
    found.sort();
    found
}

fn mkfifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().expect("mkfifo").success());
}

#[test]
fn unreadable_files_and_folders_are_skipped() {
    let project = Project::shop().file("closed/inside.py", "x = 1\n");
    let arguments = ["analyze", "--no-cache", "--output-format", "json"];
    let Some(mut nobody) = project.unprivileged(&arguments) else { return };
    let paths = ["shop/cart.py", "closed"].map(|path| project.tree().join(path));
    let set = |mode| {
        for path in &paths {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
        }
    };
    set(0o000);
    let done = ran(&mut nobody);
    let strict = ran(nobody.arg("--strict"));
    set(0o755);
    assert_eq!((done.code, strict.code), (Some(0), Some(2)), "{}", done.stderr);
    let report: Value = serde_json::from_str(&done.stdout).expect("JSON");
    let skipped = skipped_of(&report);
    let expected = [
        ("closed", "cannot be read: Permission denied"),
        ("shop/cart.py", "permission denied; make it readable"),
    ];
    assert_eq!(skipped.len(), 2, "{skipped:?}");
    for ((path, reason), (expected_path, expected_reason)) in skipped.iter().zip(expected) {
        assert!(path == expected_path && reason.contains(expected_reason), "{skipped:?}");
    }
}

#[test]
fn nothing_is_followed_out_of_the_tree_or_opened_that_is_no_file() {
    let project = Project::shop();
    let (tree, outside) = (project.tree(), project.outside().join("elsewhere"));
    fs::create_dir(&outside).expect("a folder");
    fs::write(outside.join("secret.py"), "def the_secret():\n    pass\n").expect("a file");
    let clean = project.clean_digest();
    let records = ["analyze", "--output-format", "jsonl"];
    let clean_records = project.out(&records);
    let inside = "symbolic link to `";
    let (out, nowhere) = ("symbolic link out of the tree", "symbolic link that leads nowhere");
    let links = [
        (outside.join("secret.py"), "file.py", out),
        (outside.clone(), "folder", out),
        (outside.clone(), "folder.py", out),
        ("../../elsewhere".into(), "shop/relative", out),
        ("/dev/zero".into(), "zero.py", out),
        ("/proc/self/mem".into(), "memory.py", out),
        (tree.clone(), "shop/up", inside),
        ("shop".into(), "again", inside),
        ("two.py".into(), "one.py", nowhere),
        ("one.py".into(), "two.py", nowhere),
    ];
    for (target, link, _) in &links {
        symlink(target, tree.join(link)).expect("a link");
    }
    let mut expected: Vec<(&str, &str)> = links.iter().map(|(_, link, reason)| (*link, *reason)).collect();
    mkfifo(&tree.join("fifo.py"));
    expected.push(("fifo.py", "a FIFO, not a regular file"));
    let _socket = UnixListener::bind(tree.join("socket.py")).expect("a socket");
    expected.push(("socket.py", "a socket, not a regular file"));
    let device = Command::new("mknod").arg(tree.join("device.py")).args(["c", "1", "5"]).output();
    match device.expect("mknod") {
        output if output.status.success() => expected.push(("device.py", "a device, not a regular file")),
        output => skipped(&format!("a device: {}", String::from_utf8_lossy(&output.stderr))),
    }
    expected.sort_unstable();
    for round in ["cold", "warm"] {
        let report = project.report(&[]);
        let found = skipped_of(&report);
        assert_eq!(found.len(), expected.len(), "{round}: {found:#?}");
        for (found, expected) in found.iter().zip(&expected) {
            assert!(
                found.0 == expected.0 && found.1.starts_with(expected.1),
                "{round}: {found:?}, {expected:?}"
            );
        }
        assert_eq!(digest(&report), clean, "{round}");
        let records = project.out(&records);
        assert!(!records.contains("the_secret"), "{round}");
        let symbols =
            |text: &str| text.lines().filter(|line| !line.contains(r#""status":"skipped""#)).count();
        assert_eq!(symbols(&records), symbols(&clean_records), "{round}");
    }
}

/// Does something to the tree when parsing starts: after the walk, before any file is read.
struct Between<F>(F);

impl<F: Fn() + Send + Sync> ProgressObserver for Between<F> {
    fn update(&self, progress: &Progress<'_>) {
        if progress.phase == Phase::Parse && progress.completed_files == 0 {
            (self.0)();
        }
    }

    fn interval(&self) -> Option<Duration> {
        Some(Duration::from_secs(3600))
    }
}

#[test]
fn files_replaced_between_walk_and_read() {
    type Replace = fn(&Path, &Path);
    let cases: [(&str, &str, Replace); 6] = [
        ("a link", "cannot be read", |path, secret| symlink(secret, path).expect("a link")),
        ("a link within", "cannot be read", |path, _| symlink("prices.py", path).expect("a link")),
        ("a FIFO", "no regular file", |path, _| mkfifo(path)),
        ("a socket", "cannot be read", |path, _| drop(UnixListener::bind(path).expect("a socket"))),
        ("a folder", "no regular file", |path, _| fs::create_dir(path).expect("a folder")),
        ("nothing", "removed after the walk", |_, _| {}),
    ];
    for (what, expected, replace) in cases {
        let project = Project::shop();
        let secret = project.outside().join("secret.py");
        fs::write(&secret, "def the_secret():\n    pass\n").expect("a file");
        let path = project.tree().join("shop/cart.py");
        let replaced = AtomicBool::new(false);
        let between = Between(move || {
            if !replaced.swap(true, Ordering::Relaxed) {
                fs::remove_file(&path).expect("removed");
                replace(&path, &secret);
            }
        });
        let config = Config::builder(project.tree()).cache_enabled(false).build().expect("a configuration");
        let run = Analyzer::new(config).observer(Arc::new(between)).run().expect("a run");
        let skipped = &run.graph().meta().skipped;
        assert_eq!(skipped.len(), 1, "{what}: {skipped:?}");
        assert!(skipped[0].0 == "shop/cart.py" && skipped[0].1.contains(expected), "{what}: {skipped:?}");
        let mut names = pydebug::query::records(run.graph()).map(|record| record.qualname);
        assert!(names.any(|name| name == "shop.prices.price"), "{what}");
        let mut names = pydebug::query::records(run.graph()).map(|record| record.qualname);
        assert!(!names.any(|name| name.contains("the_secret")), "{what}");
    }
}
