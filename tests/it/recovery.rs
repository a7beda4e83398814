//! A cache that is damaged, in the way, or cannot be written: each costs a warning and time, never an answer.

#![cfg(unix)]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::project::{Project, binary, copy_tree, digest, ended, ran, skipped};

/// A project whose cache holds two packs, one of them of a single record.
fn warm() -> Project {
    let project = Project::shop();
    project.generate("pkg", 5);
    project.report(&[]);
    project.write("shop/later.py", "from shop import cart\n");
    project.report(&[]);
    project
}

fn warnings(report: &Value) -> Vec<&str> {
    report["warnings"].as_array().expect("warnings").iter().filter_map(Value::as_str).collect()
}

fn misses(report: &Value) -> u64 {
    report["metrics"]["misses"].as_u64().expect("a number")
}

fn rewrite(path: &Path, edit: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).expect("a file of the cache");
    edit(&mut bytes);
    // A new file: the old one may be mapped.
    fs::remove_file(path).expect("removed");
    fs::write(path, bytes).expect("written");
}

fn instead(path: &Path, make: impl FnOnce(&Path)) {
    fs::remove_file(path).expect("removed");
    make(path);
}

/// Does damage to the cache folder.
type Damage = fn(&Path);

/// What becomes of a file; whether somebody is told, and whether the next run has replaced it.
const WAYS: [(&str, Damage, bool, bool); 9] = [
    ("cut in half", |path| rewrite(path, |bytes| bytes.truncate(bytes.len() / 2)), true, true),
    ("emptied", |path| rewrite(path, Vec::clear), true, true),
    (
        "a bit flipped",
        // Where all formats have something that is always read; a file that lists nothing is shorter.
        |path| {
            rewrite(path, |bytes| {
                let at = 60.min(bytes.len() - 1);
                bytes[at] ^= 4;
            });
        },
        true,
        true,
    ),
    // All formats have their version after eight bytes of magic.
    ("of a newer version", |path| rewrite(path, |bytes| bytes[8] = 99), true, true),
    (
        "foreign",
        |path| rewrite(path, |bytes| *bytes = b"#!/bin/sh\necho something else\n".repeat(9)),
        true,
        true,
    ),
    ("deleted", |path| fs::remove_file(path).expect("removed"), false, true),
    ("a folder", |path| instead(path, |path| fs::create_dir(path).expect("a folder")), true, false),
    ("a link", |path| instead(path, |path| symlink("/dev/zero", path).expect("a link")), true, true),
    (
        "a pipe",
        |path| {
            instead(path, |path| {
                assert!(Command::new("mkfifo").arg(path).status().expect("mkfifo").success());
            });
        },
        true,
        true,
    ),
];

#[test]
fn what_is_lost_is_rebuilt_and_no_more() {
    let project = warm();
    let clean = project.clean_digest();
    let template = project.outside().join("template");
    copy_tree(&project.cache(), &template);
    for ending in [".manifest", ".dirs", ".snap", ".pack"] {
        for (way, damage, told, heals) in WAYS {
            let case = format!("{ending}: {way}");
            fs::remove_dir_all(project.cache()).expect("removed");
            copy_tree(&template, &project.cache());
            if ending == ".pack" {
                // Otherwise nobody looks into packs.
                project.cached(".snap").iter().for_each(|path| fs::remove_file(path).expect("removed"));
            }
            // Of packs the small one, of snapshots the one in use.
            let mut files = project.cached(ending);
            if ending == ".pack" {
                files.sort_by_key(|path| std::cmp::Reverse(fs::metadata(path).expect("a stat").len()));
            }
            let path = files.pop().expect(ending);
            damage(&path);
            let report = project.report(&[]);
            assert_eq!(digest(&report), clean, "{case}");
            let lost = u64::from(ending == ".pack");
            assert_eq!(misses(&report), lost, "{case}");
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            let said = warnings(&report);
            let rebuilt = |text: &&str| text.contains(&name) && text.contains("its contents are rebuilt");
            assert_eq!(said.iter().any(rebuilt), told, "{case}: {said:?}");
            assert!(said.len() == usize::from(told) || !heals, "{case}: {said:?}");
            if heals {
                let again = project.report(&[]);
                assert_eq!(
                    (digest(&again), misses(&again), warnings(&again)),
                    (clean.clone(), 0, vec![]),
                    "{case}"
                );
                project.write("shop/edited.py", &format!("# {case}\n"));
                let edited = project.report(&[]);
                assert_eq!((digest(&edited), misses(&edited)), (project.clean_digest(), 1), "{case}");
                fs::remove_file(project.tree().join("shop/edited.py")).expect("removed");
            }
        }
    }
}

#[test]
fn a_damaged_pack_is_told_once() {
    let project = warm();
    let records = project.cached(".pack").len();
    assert_eq!(records, 2);
    for path in project.cached(".pack") {
        rewrite(&path, |bytes| bytes[40] ^= 1);
    }
    for path in project.cached(".snap") {
        fs::remove_file(path).expect("removed");
    }
    let first = project.report(&[]);
    assert_eq!((warnings(&first).len(), misses(&first)), (2, 2), "{:?}", warnings(&first));
    project.write("shop/later.py", "import os\n");
    let second = project.report(&[]);
    assert_eq!((warnings(&second), misses(&second)), (vec![], 1));
    assert_eq!(project.run(&["cache", "verify"]).code, Some(0));
}

#[test]
fn gc_mends_what_verify_finds() {
    let project = warm();
    for path in project.cached(".pack") {
        rewrite(&path, |bytes| bytes[40] ^= 1);
    }
    assert_eq!(project.run(&["cache", "verify"]).code, Some(1));
    let told = project.out(&["cache", "gc"]);
    assert!(told.contains("packs mended         2"), "{told}");
    assert_eq!(project.run(&["cache", "verify"]).code, Some(0));
    assert_eq!(digest(&project.report(&[])), project.clean_digest());
}

/// A shell script that becomes the binary; its arguments follow the script.
fn shell(project: &Project, script: &str) -> Command {
    let mut command = Command::new("sh");
    let program = binary(&project.tree()).get_program().to_owned();
    command.args(["-c", script, "sh"]).current_dir(project.tree()).stdin(Stdio::null());
    command.env("PYDEBUG", program).env("PARSER_CACHE_DIR", project.cache());
    command
}

#[test]
fn files_that_cannot_grow() {
    // Writing beyond the limit fails as on a full disk, and nobody needs a permission for it.
    for blocks in [0, 1, 2, 8, 64] {
        let project = Project::shop();
        project.generate("pkg", 30);
        let clean = project.clean_digest();
        let script =
            format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$PYDEBUG\" analyze --output-format json");
        for _ in 0..2 {
            let done = ran(&mut shell(&project, &script));
            assert_eq!(done.code, Some(0), "{blocks} blocks: {}", done.stderr);
            let report = serde_json::from_str(&done.stdout).expect("JSON");
            assert_eq!(digest(&report), clean, "{blocks} blocks");
        }
        let report = project.report(&[]);
        assert_eq!((digest(&report), warnings(&report)), (clean, vec![]), "{blocks} blocks");
        assert_eq!(
            project.cached("").iter().filter(|path| path.to_string_lossy().contains(".tmp-")).count(),
            0
        );
    }
}

#[test]
fn a_full_disk() {
    let names = ["first.json", "second.json", "edited.json"];
    for size in ["8k", "64k", "256k", "1m"] {
        let project = Project::shop();
        project.generate("pkg", 40);
        let clean = project.clean_digest();
        project.write("pkg/m3.py", "def edited():\n    return edited()\n");
        let edited = project.clean_digest();
        project.generate("pkg", 40);
        // The mount is gone with the shell that sees it. After the second run whatever is left is used up.
        let script = format!(
            "mkdir -p \"$PARSER_CACHE_DIR\" && mount -t tmpfs -o size={size} tmpfs \"$PARSER_CACHE_DIR\" || exit 77
            run() {{ \"$PYDEBUG\" analyze --output-format json > \"../$1\" || exit 3; }}
            run first.json
            run second.json
            cat /dev/zero > \"$PARSER_CACHE_DIR/v1/lock\"
            printf 'def edited():\\n    return edited()\\n' > pkg/m3.py
            run edited.json"
        );
        let mut command = Command::new("unshare");
        let inner = shell(&project, &script);
        command.args(["--mount", "--map-root-user", "sh"]).args(inner.get_args()).current_dir(project.tree());
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let done = match command.output() {
            Ok(output) => ended(output),
            Err(error) => return skipped(&format!("a full disk: no `unshare`: {error}")),
        };
        if done.code == Some(77) || done.stderr.contains("unshare:") {
            return skipped(&format!("a full disk: no file system may be mounted: {}", done.stderr));
        }
        assert_eq!(done.code, Some(0), "{size}: {}", done.stderr);
        for (name, expected) in names.iter().zip([&clean, &clean, &edited]) {
            let text = fs::read(project.outside().join(name)).expect("a report");
            let report: Value = serde_json::from_slice(&text).expect("JSON");
            assert_eq!(&digest(&report), expected, "{size}: {name}");
            let said = warnings(&report);
            if *name == "edited.json" || size == "8k" {
                assert!(
                    said.iter()
                        .any(|text| text.contains("could not write") || text.contains("cannot be used")),
                    "{size}: {name}: {said:?}"
                );
            }
        }
    }
}

#[test]
fn a_cache_that_may_not_be_written() {
    let project = warm();
    let clean = project.clean_digest();
    let Some(mut nobody) = project.unprivileged(&["analyze", "--output-format", "json"]) else { return };
    let close = |mode| {
        let folders =
            ["", "v1", "v1/packs", "v1/manifests", "v1/snapshots"].map(|name| project.cache().join(name));
        folders
            .iter()
            .for_each(|path| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode"));
    };
    close(0o555);
    let warm: Value = serde_json::from_str(&ran(&mut nobody).stdout).expect("JSON");
    assert_eq!((digest(&warm), misses(&warm)), (clean, 0), "{:?}", warnings(&warm));
    project.write("shop/new.py", "x = 1\n");
    let edited: Value = serde_json::from_str(&ran(&mut nobody).stdout).expect("JSON");
    assert_eq!((digest(&edited), misses(&edited)), (project.clean_digest(), 1));
    let said = warnings(&edited);
    assert!(said.iter().any(|text| text.contains("could not write to the cache")), "{said:?}");
    // Nor may it be read.
    close(0o000);
    let closed: Value = serde_json::from_str(&ran(&mut nobody).stdout).expect("JSON");
    assert_eq!(digest(&closed), project.clean_digest());
    assert!(warnings(&closed)[0].contains("cannot be used"), "{:?}", warnings(&closed));
    close(0o755);
}

#[test]
fn single_files_that_may_not_be_read() {
    let project = warm();
    let clean = project.clean_digest();
    let Some(mut nobody) = project.unprivileged(&["analyze", "--output-format", "json"]) else { return };
    for ending in [".manifest", ".dirs", ".snap", ".pack"] {
        for path in project.cached(ending) {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).expect("a mode");
        }
        let done = ran(&mut nobody);
        assert_eq!(done.code, Some(0), "{ending}: {}", done.stderr);
        let report: Value = serde_json::from_str(&done.stdout).expect("JSON");
        assert_eq!(digest(&report), clean, "{ending}");
        let said = warnings(&report);
        assert!(
            said.iter().any(|text| text.contains(ending) && text.contains("cannot be read")),
            "{ending}: {said:?}"
        );
    }
}

#[test]
fn no_home() {
    let project = Project::shop();
    let clean = project.clean_digest();
    for home in [None, Some("/nowhere/at/all"), Some("/dev/null"), Some("")] {
        let mut command = binary(&project.tree());
        command.env_clear().args(["analyze", "--output-format", "json"]);
        if let Some(home) = home {
            command.env("HOME", home).env("XDG_CACHE_HOME", home);
        }
        let done = ran(&mut command);
        assert_eq!(
            (done.code, done.stderr.as_str()),
            (
                Some(0),
                "warning: files skipped: 0, with syntax errors: 1; `--output-format concise` lists them\n"
            )
        );
        let report = serde_json::from_str(&done.stdout).expect("JSON");
        assert_eq!((digest(&report), warnings(&report)), (clean.clone(), vec![]));
    }
    assert!(project.tree().join(".cache/parser/v1").is_dir());
}

/// A library that moves the clock of a program by `CLOCK_OFFSET` seconds.
const CLOCK: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
int clock_gettime(clockid_t clock, struct timespec *time) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, time);
    const char *offset = getenv("CLOCK_OFFSET");
    if (clock == CLOCK_REALTIME && offset) time->tv_sec += atol(offset);
    return result;
}
"#;

#[test]
fn a_clock_that_goes_backwards() {
    let project = warm();
    let (source, library) = (project.outside().join("clock.c"), project.outside().join("clock.so"));
    fs::write(&source, CLOCK).expect("a file");
    match Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).arg("-ldl").output() {
        Ok(done) if done.status.success() => {}
        failed => return skipped(&format!("a clock that goes backwards: cannot compile: {failed:?}")),
    }
    let at = |days: i64, arguments: &[&str]| {
        let mut command = project.command(arguments);
        command.env("LD_PRELOAD", &library).env("CLOCK_OFFSET", (days * 86_400).to_string());
        let done = ran(&mut command);
        assert_eq!(done.code, Some(0), "{days} days: {}", done.stderr);
        done.stdout
    };
    project.write("shop/probe.py", "# read in another year\n");
    at(3653 * 5, &["analyze"]);
    let shown: Value = serde_json::from_str(&project.out(&["cache", "show", "shop/probe.py"])).expect("JSON");
    if shown["created_at"].as_str().is_none_or(|time| time < "2065") {
        return skipped(&format!("a clock that goes backwards: the clock stays at {}", shown["created_at"]));
    }
    // The last is before 1970.
    for (round, days) in [400, 1, 0, -1, -3650, -30_000, 36_500, 0].into_iter().enumerate() {
        for content in [format!("a = {round}\n"), format!("b = {round}\n"), format!("b = {round}\n")] {
            project.write("shop/cart.py", &content);
            let report: Value =
                serde_json::from_str(&at(days, &["analyze", "--output-format", "json"])).expect("JSON");
            assert_eq!(
                (digest(&report), warnings(&report)),
                (project.clean_digest(), vec![]),
                "{days} days: {content}"
            );
        }
        project.write(format!("shop/added_{round}.py"), "x = 1\n");
        at(days, &["cache", "gc"]);
        let report: Value =
            serde_json::from_str(&at(days, &["analyze", "--output-format", "json"])).expect("JSON");
        assert_eq!(digest(&report), project.clean_digest(), "{days} days, added");
    }
}

#[test]
fn races_over_a_damaged_cache() {
    let project = warm();
    let names = ["a", "b"];
    let clean = names.map(|name| digest(&project.report(&["--no-cache", "--project", name])));
    for ending in [".manifest", ".snap", ".pack", ".dirs", ""] {
        for path in project.cached(ending).into_iter().filter(|path| path.to_string_lossy().contains("/v1/"))
        {
            rewrite(&path, |bytes| bytes.truncate(bytes.len() / 3));
        }
        let children: Vec<_> = (0..8)
            .map(|number| {
                let mut command =
                    project.command(&["analyze", "--output-format", "json", "--project", names[number % 2]]);
                command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts")
            })
            .collect();
        for (number, child) in children.into_iter().enumerate() {
            let done = ended(child.wait_with_output().expect("an end"));
            assert_eq!(done.code, Some(0), "{ending}: {}", done.stderr);
            let report = serde_json::from_str(&done.stdout).expect("JSON");
            assert_eq!(digest(&report), clean[number % 2], "{ending}");
        }
        for (name, clean) in names.iter().zip(&clean) {
            let report = project.report(&["--project", name]);
            assert_eq!((&digest(&report), misses(&report)), (clean, 0), "{ending}");
        }
    }
}

#[test]
fn a_cache_that_leads_out_of_the_tree() {
    let project = Project::shop();
    let clean = project.clean_digest();
    let victim = project.outside().join("victim");
    fs::create_dir(&victim).expect("a folder");
    fs::write(victim.join("precious.pack"), "mine").expect("a file");
    let cache: PathBuf = project.tree().join(".cache/parser");
    fs::create_dir_all(cache.join("v1")).expect("folders");
    symlink(&victim, cache.join("v1/packs")).expect("a link");
    let mut command = binary(&project.tree());
    let done = ran(command.args(["analyze", "--output-format", "json"]));
    let report = serde_json::from_str(&done.stdout).expect("JSON");
    assert_eq!((done.code, digest(&report)), (Some(0), clean));
    assert!(warnings(&report)[0].contains("`packs` in it is a symbolic link"), "{:?}", warnings(&report));
    for what in ["clean", "gc"] {
        ran(binary(&project.tree()).args(["cache", what]));
    }
    assert_eq!(fs::read_to_string(victim.join("precious.pack")).expect("still there"), "mine");
    assert_eq!(fs::read_dir(&victim).expect("a folder").count(), 1);
}
