//! Stores without a server: the rows of a graph, the difference of two graphs, and SQLite. `scripts/check_stores.py` does the same with servers.

use std::collections::BTreeMap;
use std::path::Path;

use pydebug::engine::progress::{Interrupt, Progress, ProgressObserver, StorePhase, StoreProgress};
use pydebug::engine::recovery::Recovery;
use pydebug::engine::{Run, stores};
use pydebug::store::delta::{self, Delta};
use pydebug::store::projection::Projection;
use pydebug::store::rows::{Digest, Key, TABLES, TableId, identity, values};
use pydebug::store::sqlite::Sqlite;
use pydebug::store::{CodeGraph, State, Store};
use pydebug::{Analyzer, Config};

use crate::project::Project;

/// Rows by table and identity.
type Held = BTreeMap<(TableId, Vec<u8>), Vec<u8>>;

fn analyzed(project: &Project) -> Run {
    analyzer(project).run().expect("a run")
}

fn analyzer(project: &Project) -> Analyzer {
    let config = Config::builder(project.tree())
        .flag(pydebug::config::Key::CacheDir, project.cache().to_str().expect("UTF-8"), "test")
        .flag(pydebug::config::Key::Project, "tested", "test")
        .build()
        .expect("a configuration");
    Analyzer::new(config)
}

fn held(code: &CodeGraph) -> Held {
    let mut rows = Held::new();
    Projection::new(code).batches(&mut |batch| {
        for row in batch.rows.iter() {
            let before = rows.insert((batch.table, identity(batch.table, row).to_vec()), row.to_vec());
            assert!(
                before.is_none(),
                "two rows of one identity: {:?}",
                values(batch.table, row).collect::<Vec<_>>()
            );
        }
        true
    });
    rows
}

fn apply(rows: &mut Held, delta: &Delta) {
    for table in TableId::ALL {
        let (change, of) = (delta.table(table), |row: &[u8]| (table, identity(table, row).to_vec()));
        for row in change.removed.iter() {
            assert_eq!(
                rows.remove(&of(row)).as_deref(),
                Some(row),
                "what is removed was there as it is told"
            );
        }
        for row in change.changed.iter() {
            assert!(
                rows.insert(of(row), row.to_vec()).is_some_and(|before| before != row),
                "what changes was there, and other"
            );
        }
        for row in change.added.iter() {
            assert!(rows.insert(of(row), row.to_vec()).is_none(), "what is added was not there");
        }
    }
}

fn outside(rows: &Held, code: &CodeGraph) -> Digest {
    let own = Projection::new(code).project_key();
    let row = &rows[&(TableId::Owners, own.0.to_vec())];
    Digest::of_key(Key(*row[16..].first_chunk().expect("a digest")))
}

/// Steps of edits: files to write, and files to remove where the text is none.
pub(crate) const STEPS: [&[(&str, Option<&str>)]; 13] = [
    // Numbers of symbols in files behind it move.
    &[("shop/a.py", Some("def one(): pass\n\ndef two(): return one()\n"))],
    // A target of an edge in a file that is not touched gets another name.
    &[(
        "shop/prices.py",
        Some(
            "from shop.cart import Cart\n\nclass Other(Cart):\n    pass\n\ndef price(item):\n    return 2\n",
        ),
    )],
    &[("shop/prices.py", Some("from shop.cart import Cart\n\nclass price(Cart):\n    pass\n"))],
    // Function to class and back.
    &[("shop/a.py", Some("class one: pass\n\ndef two(): return one()\n"))],
    &[("shop/a.py", Some("def one(): pass\n\ndef two(): return one()\n"))],
    // A stub beside its source, then without it.
    &[("shop/a.pyi", Some("def one() -> int: ...\ndef three(x: str) -> int: ...\n"))],
    &[("shop/a.py", None)],
    &[("shop/a.py", Some("import os, sys\nos.getcwd()\nsys.exit()\n"))],
    // What lies outside goes with its last edge.
    &[("shop/a.py", Some("import os\n")), ("shop/a.pyi", None)],
    // Namespace packages, with and without a root of sources.
    &[("shop/__init__.py", None)],
    &[("src/deep/er/x.py", Some("from shop import cart\ncart.main([])\n")), ("shop/__init__.py", Some(""))],
    &[("src/deep/er/x.py", None), ("other/deep/er/x.py", Some("X = 1\n"))],
    &[("shop/broken.py", Some("x = 1\n")), ("shop/cart.py", None)],
];

pub(crate) fn step(project: &Project, edits: &[(&str, Option<&str>)]) {
    for (path, text) in edits {
        match text {
            Some(text) => project.write(path, text),
            None => std::fs::remove_file(project.tree().join(path)).expect("a file"),
        }
    }
}

#[test]
fn a_delta_leads_from_the_rows_of_one_graph_to_those_of_the_next() {
    let project = Project::shop();
    let mut before = analyzed(&project);
    let mut rows = held(before.graph());
    for (number, edits) in STEPS.iter().enumerate() {
        step(&project, edits);
        let after = analyzed(&project);
        let (old, new) = (Projection::new(before.graph()), Projection::new(after.graph()));
        let delta = delta::of_graphs(&old, &new, outside(&rows, before.graph()));
        apply(&mut rows, &delta);
        assert_eq!(rows, held(after.graph()), "after step {number}");
        assert!(
            delta::of_graphs(&new, &new, outside(&rows, after.graph())).is_empty(),
            "step {number}: nothing differs from itself"
        );
        before = after;
    }
}

fn push(run: &Run, path: &Path) -> stores::Report {
    let mut all: Vec<Box<dyn Store>> = vec![Box::new(Sqlite::new(path))];
    run.push(&mut all, &Recovery::default(), &Interrupt::default()).remove(0)
}

fn differences(run: &Run, path: &Path) -> Vec<String> {
    let recovery = Recovery::default();
    let scratch = pydebug::sys::Scratch::none();
    let target = stores::Target {
        code: run.graph(),
        previous: None,
        scratch: &scratch,
        recovery: &recovery,
        interrupt: &Interrupt::default(),
    };
    stores::verify(&mut Sqlite::new(path), &target).expect("a store that can be read").differences
}

#[test]
fn sqlite_follows_edits_row_by_row() {
    let project = Project::shop();
    let path = project.outside().join("graph.db");
    let run = analyzed(&project);
    assert_eq!(push(&run, &path).kind, Some(stores::Kind::Full));
    assert_eq!(push(&run, &path).kind, Some(stores::Kind::Current));
    for (number, edits) in STEPS.iter().enumerate() {
        step(&project, edits);
        let run = analyzed(&project);
        // Every third graph is one that the store never saw the predecessor of: its owners are compared.
        if number % 3 != 1 {
            let report = push(&run, &path);
            assert_eq!((report.kind, report.error), (Some(stores::Kind::Delta), None), "step {number}");
            assert_eq!(differences(&run, &path), Vec::<String>::new(), "step {number}");
        }
    }
}

#[test]
fn what_is_changed_in_a_store_is_found_and_named() {
    let project = Project::shop();
    let path = project.outside().join("graph.db");
    let run = analyzed(&project);
    push(&run, &path);
    for (change, found) in [
        ("UPDATE symbols SET line = line + 1 WHERE name = 'main'", "symbols:Function"),
        ("DELETE FROM edges WHERE type = 'INHERITS'", "edges:INHERITS"),
        ("UPDATE call_sites SET status = 'resolved'", "call_sites"),
        ("INSERT INTO owners SELECT gen, zeroblob(16), digest FROM owners LIMIT 1", "owners"),
    ] {
        rusqlite::Connection::open(&path)
            .and_then(|connection| connection.execute(change, []))
            .expect("a change");
        let differences = differences(&run, &path);
        assert!(differences.iter().any(|one| one.starts_with(found)), "{change}: {differences:?}");
    }
}

#[test]
fn a_head_that_moved_takes_no_delta() {
    let project = Project::shop();
    let path = project.outside().join("graph.db");
    let first = analyzed(&project);
    push(&first, &path);
    let mut store = Sqlite::new(&path);
    let head = store.head("tested").expect("a head").expect("a project");
    step(&project, STEPS[0]);
    let second = analyzed(&project);
    assert_eq!(push(&second, &path).kind, Some(stores::Kind::Delta));
    let refused = store.apply("tested", &head, &State::of(first.graph()), &Delta::default());
    assert_eq!(refused.expect_err("an error").fault, pydebug::store::Fault::Moved);
    assert_eq!(differences(&second, &path), Vec::<String>::new());
}

#[test]
fn columns_of_the_schemas_are_those_of_the_tables() {
    for script in
        [include_str!("../../src/store/sqlite/0001.sql"), include_str!("../../src/store/postgres/0001.sql")]
    {
        for table in &TABLES {
            let start =
                [format!("CREATE TABLE {} (", table.name), format!("CREATE TABLE pydebug.{} (", table.name)];
            let (_, rest) = start.iter().find_map(|start| script.split_once(start)).expect("the table");
            let (body, _) = rest.split_once(';').expect("its end");
            let columns: Vec<&str> = body
                .split(',')
                .filter_map(|column| column.split_whitespace().next())
                .map(|name| name.trim_matches('"'))
                .collect();
            let expected: Vec<&str> =
                std::iter::once("gen").chain(table.columns.iter().map(|(name, _)| *name)).collect();
            assert_eq!(columns, expected, "{}", table.name);
        }
    }
}

/// Keeps what it is told of stores.
#[derive(Default)]
struct Told(std::sync::Mutex<Vec<(String, StorePhase, u64, u64)>>);

impl ProgressObserver for Told {
    fn update(&self, _: &Progress<'_>) {}

    fn store(&self, progress: &StoreProgress<'_>) {
        let event =
            (progress.store.to_owned(), progress.store_phase, progress.rows_done, progress.total_rows);
        self.0.lock().expect("a lock").push(event);
    }
}

#[test]
fn observers_are_told_how_far_each_store_is() {
    let project = Project::shop();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("graph.db");
    let told = std::sync::Arc::new(Told::default());
    let pushed = || {
        let run = analyzer(&project).observer(told.clone()).run().expect("a run");
        let rows = push(&run, &path).rows;
        let events = std::mem::take(&mut *told.0.lock().expect("a lock"));
        assert!(events.iter().all(|(store, ..)| store == "sqlite"), "{events:?}");
        (rows, events)
    };
    let (rows, events) = pushed();
    let phases = |events: &[(String, StorePhase, u64, u64)]| {
        let mut phases: Vec<_> = events.iter().map(|event| event.1).collect();
        phases.dedup();
        phases
    };
    assert_eq!(phases(&events), [StorePhase::Compare, StorePhase::Load, StorePhase::Done]);
    let loaded: Vec<_> = events.iter().filter(|event| event.1 == StorePhase::Load).collect();
    assert_eq!(loaded.last().map(|event| event.2), Some(rows));
    step(&project, STEPS[0]);
    let (rows, events) = pushed();
    assert_eq!(phases(&events), [StorePhase::Compare, StorePhase::Delta, StorePhase::Done]);
    assert_eq!(events[1].3, rows);
    let (_, events) = pushed();
    assert_eq!(phases(&events), [StorePhase::Compare, StorePhase::Done]);
}

#[test]
fn what_is_verified_is_shown_as_a_table() {
    let project = Project::shop();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("graph.db");
    let file = path.to_str().expect("UTF-8");
    let common = ["--project", "tested", "--sqlite", file];
    let pushed = project.run(&[&["store", "push", ".", "--progress", "json"][..], &common].concat());
    assert_eq!(pushed.code, Some(0), "{}", pushed.stderr);
    assert!(pushed.stderr.contains("\"store\":\"sqlite\"") && !pushed.stdout.contains("store_phase"));
    let verified = project.run(&[&["store", "verify", "."][..], &common].concat());
    assert_eq!(verified.code, Some(0), "{}", verified.stderr);
    let lines: Vec<Vec<&str>> =
        verified.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(lines.contains(&vec!["store", "kind", "rows", "digest", "equal"]), "{}", verified.stdout);
    let classes = lines.iter().find(|line| line.get(1) == Some(&"symbols:Class")).expect("classes");
    assert_eq!((classes.len(), classes[0], classes[3].len(), classes[4]), (5, "sqlite", 32, "yes"));
    assert!(!verified.stdout.contains('{'), "{}", verified.stdout);
    let json = project.run(&[&["store", "verify", ".", "--format", "json"][..], &common].concat());
    let json: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(json["sqlite"]["digests"]["symbols:Class"][1], classes[3]);
    rusqlite::Connection::open(&path)
        .and_then(|database| database.execute("UPDATE symbols SET name = 'x' WHERE label = 'Class'", []))
        .expect("a change");
    let verified = project.run(&[&["store", "verify", "."][..], &common].concat());
    assert_eq!(verified.code, Some(1));
    let unequal: Vec<_> = verified.stdout.lines().filter(|line| line.ends_with("  no")).collect();
    assert_eq!(unequal.len(), 1 + 1, "of the table and `equal`: {}", verified.stdout);
}
