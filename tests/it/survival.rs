//! Several processes at once, killed processes, damaged files.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::project::{Project, digest, ended, hit_rate, ran, started};

/// Numbers that look random and are the same in every run (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % limit.max(1) as u64).expect("small")
    }
}

#[test]
fn several_processes_share_a_cache() {
    let project = Project::new();
    project.generate("one/pkg", 60);
    project.generate("two/pkg", 60);
    let clean = ["one", "two"].map(|root| digest(&project.report(&["--no-cache", root])));
    let children: Vec<_> = (0..8)
        .map(|number| {
            let root = ["one", "two"][number % 2];
            let mut command = project.command(&["analyze", "--output-format", "json", "-j2", root]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts")
        })
        .collect();
    for (number, child) in children.into_iter().enumerate() {
        let ran = ended(child.wait_with_output().expect("an end"));
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
        let report = serde_json::from_str(&ran.stdout).expect("JSON");
        assert_eq!(digest(&report), clean[number % 2]);
    }
    assert_eq!(project.run(&["cache", "verify"]).code, Some(0));
    for (root, clean) in ["one", "two"].iter().zip(clean) {
        let warm = project.report(&[root]);
        assert_eq!((digest(&warm), hit_rate(&warm)), (clean, 100.0));
    }
}

#[test]
fn killed_runs_leave_a_good_cache() {
    let project = Project::generated(300);
    let clean = project.clean_digest();
    let timer = Instant::now();
    project.report(&["--cache-dir", "../timed"]);
    let usual = timer.elapsed();
    let mut numbers = Numbers(1);
    for moment in 0..10 {
        if moment == 5 {
            project.out(&["cache", "clean"]);
        }
        project.write("pkg/m7.py", &format!("def changed_{moment}():\n    pass\n"));
        let (mut child, stderr) = started(project.command(&["analyze", "-q", "--progress", "json"]));
        // The moment is what is random here; nothing depends on when exactly it is.
        let (_never, nobody) = mpsc::channel::<()>();
        let share = u32::try_from(numbers.below(1000)).expect("small");
        let _ = nobody.recv_timeout(usual.saturating_mul(share) / 1000);
        let _ = child.kill();
        child.wait().expect("an end");
        drop(stderr);
        let report = project.report(&[]);
        assert_eq!(digest(&report), project.clean_digest(), "moment {moment}");
        assert_eq!(
            report["warnings"].as_array().map(Vec::len),
            Some(0),
            "moment {moment}: {}",
            report["warnings"]
        );
        assert_eq!(project.run(&["cache", "verify"]).code, Some(0), "moment {moment}");
    }
    assert_ne!(project.clean_digest(), clean);
    assert!(usual > Duration::ZERO);
}

/// Truncates the file or flips one bit of it.
fn damage(path: &PathBuf, numbers: &mut Numbers) -> String {
    let mut bytes = fs::read(path).expect("a file of the cache");
    let at = numbers.below(bytes.len());
    let what = if numbers.below(3) == 0 {
        bytes.truncate(at);
        format!("cut at {at}")
    } else {
        bytes[at] ^= 1 << numbers.below(8);
        format!("a bit of byte {at} flipped")
    };
    // A new file: the old one may be mapped.
    fs::remove_file(path).expect("removed");
    fs::write(path, bytes).expect("written");
    format!("{}: {what}", path.file_name().expect("a name").to_string_lossy())
}

#[test]
fn damaged_files_are_rebuilt() {
    let project = Project::shop();
    project.generate("pkg", 12);
    let clean = project.clean_digest();
    let records = project.out(&["analyze", "--no-cache", "--output-format", "jsonl"]);
    let mut numbers = Numbers(7);
    for round in 0..30 {
        project.report(&[]);
        let ending = [".pack", ".manifest", ".snap", ".dirs"][round % 4];
        let files = project.cached(ending);
        assert!(!files.is_empty(), "{ending}");
        let what = damage(&files[numbers.below(files.len())], &mut numbers);
        assert_eq!(digest(&project.report(&[])), clean, "{what}");
        if round % 8 < 4 {
            project.write("pkg/m3.py", &format!("def round_{round}():\n    return helper()\n"));
            assert_eq!(digest(&project.report(&[])), project.clean_digest(), "{what}, then an edit");
            project.generate("pkg", 12);
        }
        let now = project.out(&["analyze", "--output-format", "jsonl"]);
        assert!(now == records, "{what}: other records");
    }
}

#[test]
fn damage_is_told() {
    let project = Project::generated(3);
    for ending in [".pack", ".manifest", ".snap"] {
        project.report(&[]);
        for path in project.cached(ending) {
            let bytes = fs::read(&path).expect("a file of the cache");
            fs::remove_file(&path).expect("removed");
            fs::write(&path, &bytes[..bytes.len() / 2]).expect("written");
        }
        if ending == ".pack" {
            // Otherwise nobody looks into packs.
            project.cached(".snap").iter().for_each(|path| fs::remove_file(path).expect("removed"));
        }
        let ran = project.run(&["analyze", "-q"]);
        assert_eq!(ran.code, Some(0), "{ending}");
        assert!(
            ran.stderr.contains("it is ignored and its contents are rebuilt"),
            "{ending}: {}",
            ran.stderr
        );
        assert_eq!(digest(&project.report(&[])), project.clean_digest());
        project.out(&["cache", "clean"]);
    }
}

#[test]
fn cache_of_another_program_is_left_alone() {
    let project = Project::shop();
    fs::create_dir(project.cache()).expect("a folder");
    fs::write(project.cache().join("precious.txt"), "mine").expect("a file");
    let mut command = project.command(&["analyze", "-q"]);
    assert_eq!(ran(&mut command).code, Some(0));
    project.run(&["cache", "clean"]);
    assert_eq!(fs::read_to_string(project.cache().join("precious.txt")).expect("still there"), "mine");
}
