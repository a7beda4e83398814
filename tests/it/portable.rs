//! Exported caches that come from somebody who means harm.

#![cfg(unix)]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::project::{Project, digest, ran};

/// An exported cache of the project, as lines.
fn exported(project: &Project) -> Vec<String> {
    project.report(&[]);
    project.out(&["cache", "export", "../good.zst"]);
    let bytes = fs::read(project.outside().join("good.zst")).expect("an export");
    let text = String::from_utf8(zstd::decode_all(&bytes[..]).expect("zstd")).expect("UTF-8");
    text.lines().map(str::to_owned).collect()
}

fn pack(project: &Project, text: &str) {
    let packed = zstd::encode_all(text.as_bytes(), 1).expect("zstd");
    fs::write(project.outside().join("given.zst"), packed).expect("a file");
}

/// Every file below, sorted.
fn listing(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                _ => found.push(entry.path()),
            }
        }
    }
    found.sort();
    found
}

#[test]
fn wrong_records_are_refused() {
    let project = Project::shop();
    let lines = exported(&project);
    let clean = project.clean_digest();
    // The second line, the first record, with the first `from` replaced.
    let record = |from: &str, to: &str| {
        assert!(lines[1].contains(from), "no {from} in {}", lines[1]);
        let mut lines = lines.clone();
        lines[1] = lines[1].replacen(from, to, 1);
        lines.join("\n") + "\n"
    };
    let all = |from: &str, to: &str| lines.join("\n").replacen(from, to, 1) + "\n";
    let end = lines.len() - 1;
    let facts = lines[1].find("\"facts\":").expect("facts");
    let end_of_facts = lines[1].find(",\"key\":").expect("a key");
    let cases: Vec<(&str, String, &str)> = vec![
        (
            "an absolute path as key",
            record("\"key\":\"", "\"key\":\"/etc/"),
            "line 2 of the portable cache has no valid `key`",
        ),
        (
            "a path upwards as key",
            record("\"key\":\"", "\"key\":\"../../"),
            "line 2 of the portable cache has no valid `key`",
        ),
        ("a path", record("{", "{\"path\":\"/etc/passwd\","), "unknown field `path`"),
        ("a path upwards", record("{", "{\"file\":\"../../x\","), "unknown field `file`"),
        (
            "a row that is not there",
            record("\"SYM_SCOPE\":[", "\"SYM_SCOPE\":[4000000000,"),
            "different length in `Symbols`",
        ),
        (
            "a scope that is not there",
            record("\"SYM_SCOPE\":[1", "\"SYM_SCOPE\":[4000000000"),
            "has 4000000000 in row 0 of `Symbols.SYM_SCOPE`, which cannot be",
        ),
        ("no such column", record("CALL_REF", "CALL_RAF"), "has no column `Calls.CALL_REF`"),
        ("more than facts", record("\"facts\":{", "\"facts\":{\"x\":1,"), "unknown field `x`"),
        ("no facts", record(&lines[1][facts..end_of_facts], "\"facts\":[]"), "holds no facts"),
        ("a time before all", record("\"created\":", "\"created\":-"), "line 2 of the portable cache"),
        ("nesting", record(&lines[1], &"[".repeat(1 << 20)), "line 2 of the portable cache"),
        ("twice the same", all(&lines[2], &lines[1]), "line 3 of the portable cache repeats a key"),
        ("an early end", lines[..end].join("\n") + "\n", "ends too early"),
        ("another count", all("\"records\":", "\"records\":1"), "has a wrong hash at its end"),
        ("something changed", all("\"created\":1", "\"created\":2"), "has a wrong hash at its end"),
        (
            "another version",
            all("\"version\":1", "\"version\":9"),
            "line 1 of the portable cache is not the header of version 1",
        ),
        ("no line", String::new(), "ends too early"),
    ];
    pack(&project, "");
    let before = listing(project.outside());
    let import = ["cache", "import", "../given.zst", "--cache-dir", "../fresh"];
    for (what, text, expected) in &cases {
        pack(&project, text);
        let done = project.run(&import);
        assert_eq!(done.code, Some(2), "{what}: {}", done.stdout);
        assert!(done.stderr.contains(expected), "{what}: {}", done.stderr);
        let left = listing(&project.outside().join("fresh/v1"));
        assert!(left.is_empty(), "{what}: {left:?}");
        fs::remove_dir_all(project.outside().join("fresh")).expect("removed");
    }
    assert_eq!(listing(project.outside()), before, "something was written elsewhere");
    fs::write(project.outside().join("given.zst"), b"PK\x03\x04 no zstd").expect("a file");
    let done = project.run(&import);
    assert!(done.stderr.contains("check that it is a `pydebug cache export` file"), "{}", done.stderr);
    pack(&project, &(lines.join("\n") + "\n"));
    project.out(&import);
    assert_eq!(digest(&project.report(&["--cache-dir", "../fresh"])), clean);
}

#[test]
fn a_bomb_is_not_unpacked() {
    let project = Project::shop();
    let header = exported(&project)[0].clone();
    // A line of 4 GiB.
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).expect("zstd");
    let block = "\"\",".repeat(1 << 20);
    let parts = [header.as_str(), "\n{\"facts\":{\"strings\":["]
        .into_iter()
        .chain(std::iter::repeat_n(block.as_str(), 1366));
    parts.for_each(|part| encoder.write_all(part.as_bytes()).expect("a vector takes everything"));
    let packed = encoder.finish().expect("zstd");
    assert!(packed.len() < 1 << 21, "{} bytes", packed.len());
    fs::write(project.outside().join("bomb.zst"), packed).expect("a file");
    // Less memory than the line takes, were it read to its end and decoded.
    let script = "ulimit -v 2500000; exec \"$0\" cache import ../bomb.zst";
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(project.command(&["cache"]).get_program());
    let done = ran(command.current_dir(project.tree()).env("PARSER_CACHE_DIR", project.cache()));
    assert_eq!(done.code, Some(2), "{}", done.stderr);
    assert!(done.stderr.contains("exceeds the limit of 268435456 decompressed bytes"), "{}", done.stderr);
}
