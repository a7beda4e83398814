//! `pydebug cache`, and what counts as a hit.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::project::{Project, copy_tree, digest, hit_rate, ran};

fn answer(project: &Project, arguments: &[&str]) -> Value {
    let all: Vec<&str> = ["cache"].iter().chain(arguments).copied().chain(["--format", "json"]).collect();
    serde_json::from_str(&project.out(&all)).expect("JSON")
}

/// The report of an analysis of `root` through this project's cache.
fn report_of(project: &Project, root: &Path) -> Value {
    project.report(&[root.to_str().expect("UTF-8")])
}

#[test]
fn info_verify_gc_clean() {
    let project = Project::shop();
    let missing = project.run(&["cache", "info"]);
    assert_eq!(missing.code, Some(2));
    assert!(missing.stderr.contains("run `pydebug analyze` first"), "{}", missing.stderr);
    let cold = digest(&project.report(&[]));
    let info = answer(&project, &["info"]);
    let counts = ["records", "live_records", "files", "manifests", "snapshots"]
        .map(|key| info[key].as_u64().expect(key));
    assert_eq!(counts, [4, 4, 4, 1, 1]);
    let verified = answer(&project, &["verify"]);
    assert_eq!(
        (verified["records"].as_u64(), verified["damaged"].as_array().map(Vec::len)),
        (Some(4), Some(0))
    );
    assert_eq!(answer(&project, &["gc"])["busy"], false);
    assert_eq!(hit_rate(&project.report(&[])), 100.0);
    assert!(answer(&project, &["clean"])["removed_bytes"].as_u64() > Some(0));
    let again = project.report(&[]);
    assert_eq!((digest(&again), hit_rate(&again)), (cold, 0.0));
    insta::assert_snapshot!(project.out(&["cache", "verify"]).lines().filter(|line| !line.starts_with("raw")).collect::<Vec<_>>().join("\n"), @r#"
    packs      1
    records    4
    manifests  1
    absent     0
    damaged    none
    "#);
}

#[test]
fn verify_finds_damage() {
    let project = Project::shop();
    project.report(&[]);
    let pack = project.cached(".pack").pop().expect("a pack");
    let mut bytes = fs::read(&pack).expect("a pack");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::remove_file(&pack).expect("removed");
    fs::write(&pack, bytes).expect("written");
    let ran = project.run(&["cache", "verify"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(!ran.stdout.contains("damaged    none"), "{}", ran.stdout);
}

#[test]
fn show_is_the_reference_entry() {
    let project = Project::shop();
    project.report(&[]);
    let entry: Value =
        serde_json::from_str(&project.out(&["cache", "show", "shop/prices.py"])).expect("JSON");
    for key in [
        "file_path",
        "content_hash",
        "metadata_hash",
        "parsed_module",
        "relationships",
        "parse_duration",
        "created_at",
        "last_accessed",
    ] {
        assert!(!entry[key].is_null(), "{key}");
    }
    assert_eq!(entry["file_path"], "shop/prices.py");
    insta::assert_snapshot!(serde_json::to_string(&entry["relationships"]).expect("JSON"), @r#"[{"form":"from","line":1,"name":"Cart","source":"","target":"shop.cart","type":"IMPORTS"},{"keyword":"","line":3,"source":"Special","target":"Cart","type":"INHERITS"}]"#);
}

#[test]
fn export_and_import() {
    let project = Project::shop();
    project.generate("pkg", 10);
    let cold = digest(&project.report(&[]));
    project.out(&["cache", "export", "../facts.zst"]);
    project.out(&["cache", "clean"]);
    let imported = answer(&project, &["import", "../facts.zst"]);
    // Two of the 15 files are empty and share a record.
    assert_eq!((imported["records"].as_u64(), imported["skipped"].as_u64()), (Some(14), Some(0)));
    let warm = project.report(&[]);
    assert_eq!((digest(&warm), hit_rate(&warm)), (cold, 100.0));
    project.write("../garbage.zst", "no zstd at all");
    let refused = project.run(&["cache", "import", "../garbage.zst"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
}

#[test]
fn moved_copied_and_touched_trees_hit() {
    let project = Project::shop();
    let cold = digest(&project.report(&[]));
    let copy = project.outside().join("copy");
    copy_tree(&project.tree(), &copy);
    let of_copy = report_of(&project, &copy);
    assert_eq!((digest(&of_copy), hit_rate(&of_copy)), (cold.clone(), 100.0), "copied");
    let moved = project.outside().join("moved");
    fs::rename(&copy, &moved).expect("moved");
    let of_moved = report_of(&project, &moved);
    assert_eq!((digest(&of_moved), hit_rate(&of_moved)), (cold.clone(), 100.0), "moved");
    let past = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    for name in ["__init__.py", "cart.py", "prices.py", "broken.py"] {
        let file =
            fs::File::options().write(true).open(project.tree().join("shop").join(name)).expect("a file");
        file.set_modified(past).expect("touched");
    }
    let touched = project.report(&[]);
    assert_eq!((digest(&touched), hit_rate(&touched)), (cold, 100.0), "touched");
}

#[test]
fn edits_of_every_kind_equal_a_clean_run() {
    let project = Project::shop();
    project.report(&[]);
    let remove = |name: &str| fs::remove_file(project.tree().join(name)).expect("removed");
    let edits: [(&str, &dyn Fn()); 7] = [
        ("same size", &|| {
            project.write("shop/prices.py", "from shop.cart import Cart\n\nclass Special(Cart):\n    pass\n\ndef price(meti):\n    return 1\n")
        }),
        ("added", &|| project.write("shop/new.py", "from shop.cart import main\nmain([])\n")),
        ("mended", &|| project.write("shop/broken.py", "def f():\n    pass\n")),
        ("stub", &|| project.write("shop/cart.pyi", "class Cart:\n    def total(self) -> int: ...\n")),
        ("removed", &|| remove("shop/prices.py")),
        ("package", &|| {
            remove("shop/new.py");
            project.write("shop/new/__init__.py", "from shop.cart import main\n");
        }),
        ("emptied", &|| fs::remove_dir_all(project.tree().join("shop")).expect("removed")),
    ];
    for (name, edit) in edits {
        edit();
        assert_eq!(digest(&project.report(&[])), project.clean_digest(), "{name}");
    }
}

#[test]
fn only_changed_files_are_parsed() {
    let project = Project::generated(20);
    project.report(&[]);
    project.write("pkg/m3.py", "def alone():\n    return 1\n");
    let report = project.report(&[]);
    assert_eq!(
        (report["metrics"]["hits"].as_u64(), report["metrics"]["misses"].as_u64()),
        (Some(20), Some(1))
    );
    let changed: Vec<&str> = report["files"]
        .as_array()
        .expect("files")
        .iter()
        .filter(|file| file["cached"] == false)
        .filter_map(|file| file["path"].as_str())
        .collect();
    assert_eq!(changed, ["pkg/m3.py"]);
}

/// An edit that moves code, or changes comments and documentation, takes the links from the run before, and gives what a run without a cache gives.
#[test]
fn moved_code_keeps_its_links() {
    let project = Project::shop();
    let digest = |more: &[&str]| {
        let arguments = [&["analyze", "--output-format", "json"][..], more].concat();
        let ran = ran(project.command(&arguments).env("PYDEBUG_LOG", "pydebug=debug"));
        let report: Value = serde_json::from_str(&ran.stdout).expect("a report");
        let solved = ran.stderr.contains("value flow: ");
        (report["graph_digest"].as_str().expect("a digest").to_owned(), solved)
    };
    let (before, solved) = digest(&[]);
    assert!(solved);
    let path = project.tree().join("shop/cart.py");
    let cart = fs::read_to_string(&path).expect("a file");
    let documented = format!("\"\"\"Documentation.\"\"\"\n{cart}");
    for (text, solves) in [
        (format!("# A comment.\n\n{cart}"), false),
        (documented.clone(), false),
        (documented.replace("Documentation", "Other documentation"), false),
        (documented.replace("(self):", "(self):\n        'Makes one.'\n"), false),
        (format!("{cart}\n\nmain()\n"), true),
        (cart.replace("total", "sum_of"), true),
        (format!("\n{}", cart.replace("total", "sum_of")), false),
        (cart.replace("self.items = []", "self.items = ['a']"), true),
    ] {
        fs::write(&path, &text).expect("a file");
        let (after, solved) = digest(&[]);
        assert_ne!(after, before);
        assert_eq!(solved, solves, "{text}");
        assert_eq!(after, digest(&["--no-cache"]).0);
    }
}
