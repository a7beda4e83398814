//! Neo4j on a real server: `PYDEBUG_TEST_NEO4J` is its address, `PYDEBUG_NEO4J_PASSWORD` the password. `scripts/services up neo4j` starts one.
//!
//! What happens between a writer and the server is seen by a relay between them that counts commits and cuts the line in the middle of one.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use neo4rs::{ConfigBuilder, Graph, Query, Row, query};
use pydebug::engine::progress::Interrupt;
use pydebug::engine::recovery::Recovery;
use pydebug::engine::{Run, stores};
use pydebug::store::address::{self, Neo4jAddress, Secret};
use pydebug::store::delta::{self, Delta};
use pydebug::store::neo4j::Neo4j;
use pydebug::store::projection::{Batch, Projection};
use pydebug::store::rows::{Key, TableId};
use pydebug::store::{Batches, Fault, State, Store, StoreError};
use pydebug::{Analyzer, Config};

use crate::project::{Project, skipped};
use crate::stores::{STEPS, step};

/// A server, and a project in it that no other test has.
struct Server {
    address: Neo4jAddress,
    project: String,
}

impl Server {
    fn new(test: &str) -> Option<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let Some(address) = std::env::var_os("PYDEBUG_TEST_NEO4J") else {
            skipped("Neo4j: PYDEBUG_TEST_NEO4J names no server");
            return None;
        };
        let variables = std::env::vars().collect();
        let address =
            address::neo4j(address.to_str().expect("UTF-8"), &variables).expect("an address of Neo4j");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time");
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Some(Self { address, project: format!("{test} {} {number}", now.as_nanos()) })
    }

    fn analyzed(&self, project: &Project) -> Run {
        let config = Config::builder(project.tree())
            .flag(pydebug::config::Key::CacheDir, project.cache().to_str().expect("UTF-8"), "test")
            .flag(pydebug::config::Key::Project, self.project.as_str(), "test")
            .build()
            .expect("a configuration");
        Analyzer::new(config).run().expect("a run")
    }

    fn store(&self) -> Neo4j {
        Neo4j::new(self.address.clone())
    }

    fn push(&self, run: &Run) -> stores::Report {
        push(run, self.store())
    }

    fn differences(&self, run: &Run) -> Vec<String> {
        let recovery = Recovery::default();
        let scratch = pydebug::sys::Scratch::none();
        let target = stores::Target {
            code: run.graph(),
            previous: None,
            scratch: &scratch,
            recovery: &recovery,
            interrupt: &Interrupt::default(),
        };
        stores::verify(&mut self.store(), &target).expect("a store that can be read").differences
    }

    fn key(&self) -> String {
        Key::project(&self.project).to_string()
    }

    /// What the server says to a statement that nobody but a test asks; `$key` is the project's.
    fn ask(&self, statement: &str) -> Vec<Row> {
        self.with(async |graph| {
            let mut stream = graph.execute(self.query(statement)).await.expect("an answer");
            let mut rows = Vec::new();
            while let Some(row) = stream.next().await.expect("a row") {
                rows.push(row);
            }
            rows
        })
    }

    fn number(&self, statement: &str) -> i64 {
        self.ask(statement).first().expect("a row").get("number").expect("a number")
    }

    fn query(&self, statement: &str) -> Query {
        query(statement).param("key", self.key())
    }

    fn with<T>(&self, work: impl AsyncFnOnce(&Graph) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let config = ConfigBuilder::default()
            .uri(format!("bolt://{}:{}", self.address.host, self.address.port))
            .user(self.address.user.as_str())
            .password(self.address.password.as_ref().map_or("", Secret::expose));
        runtime.block_on(async {
            let graph = Graph::connect(config.build().expect("a configuration")).expect("a server");
            work(&graph).await
        })
    }

    /// Whoever wrote last is gone for good.
    fn lapse(&self) {
        self.ask("MATCH (p:PyDebug {gen: 0, key: $key}) SET p.lease_until = 0 RETURN 1 AS number");
    }
}

fn push(run: &Run, store: Neo4j) -> stores::Report {
    let mut all: Vec<Box<dyn Store>> = vec![Box::new(store)];
    run.push(&mut all, &Recovery::default(), &Interrupt::default()).remove(0)
}

/// Passes on what a client and the server say to each other, until a commit that was counted out: the server gets it, the client never hears of it.
struct Relay {
    port: u16,
    /// Commits until the line is cut; below zero it stays.
    left: Arc<AtomicI64>,
}

/// What a connection does after it was cut.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    /// The next one works.
    Back,
    /// There is none.
    Gone,
}

/// A commit in Bolt: a chunk of two bytes, and the end of the message.
const COMMIT: [u8; 6] = [0, 2, 0xb0, 0x12, 0, 0];

impl Relay {
    fn new(to: &Neo4jAddress, after: After) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let left = Arc::new(AtomicI64::new(-1));
        let (host, server_port, counter) = (to.host.clone(), to.port, Arc::clone(&left));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.expect("a connection");
                if after == After::Gone && counter.load(Ordering::SeqCst) == 0 {
                    continue;
                }
                let server = TcpStream::connect((host.as_str(), server_port)).expect("a server");
                let counter = Arc::clone(&counter);
                std::thread::spawn(move || relay(&client, &server, &counter));
            }
        });
        Self { port, left }
    }

    fn store(&self, server: &Server) -> Neo4j {
        Neo4j::new(Neo4jAddress { host: "127.0.0.1".to_owned(), port: self.port, ..server.address.clone() })
    }
}

fn relay(client: &TcpStream, server: &TcpStream, left: &AtomicI64) {
    let back = {
        let (mut from, mut to) =
            (server.try_clone().expect("a socket"), client.try_clone().expect("a socket"));
        let cut = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let known = Arc::clone(&cut);
        std::thread::spawn(move || {
            let mut bytes = [0; 1 << 16];
            while let Ok(count @ 1..) = from.read(&mut bytes) {
                // The answer to the commit: it has happened.
                if known.load(Ordering::SeqCst) || to.write_all(&bytes[..count]).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(Shutdown::Both);
            let _ = from.shutdown(Shutdown::Both);
        });
        cut
    };
    let (mut from, mut to) = (client.try_clone().expect("a socket"), server.try_clone().expect("a socket"));
    let (mut bytes, mut seen) = ([0; 1 << 16], Vec::new());
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        seen.extend_from_slice(&bytes[..count]);
        if seen.windows(COMMIT.len()).any(|window| window == COMMIT) {
            seen.clear();
            if left.load(Ordering::SeqCst) > 0 && left.fetch_sub(1, Ordering::SeqCst) == 1 {
                back.store(true, Ordering::SeqCst);
            }
        } else {
            seen.drain(..seen.len().saturating_sub(COMMIT.len() - 1));
        }
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

/// Gives nothing but what it is told, then its end or an error.
struct Given(Vec<Batch>, bool);

impl Batches for Given {
    fn next(&mut self) -> pydebug::store::Result<Option<Batch>> {
        match self.0.pop() {
            Some(batch) => Ok(Some(batch)),
            None if self.1 => Ok(None),
            None => Err(StoreError::lasting("there will be no more")),
        }
    }
}

fn batches(run: &Run) -> Vec<Batch> {
    let mut all = Vec::new();
    Projection::new(run.graph()).batches(&mut |batch| {
        all.push(batch);
        true
    });
    all.reverse();
    all
}

#[test]
fn follows_edits_row_by_row() {
    let Some(server) = Server::new("edits") else { return };
    let other = Server::new("beside").expect("a server");
    let project = Project::shop();
    let beside = other.analyzed(&project);
    assert_eq!(other.push(&beside).kind, Some(stores::Kind::Full));
    let run = server.analyzed(&project);
    assert_eq!(server.push(&run).kind, Some(stores::Kind::Full));
    assert_eq!(server.push(&run).kind, Some(stores::Kind::Current));
    assert_eq!(server.differences(&run), Vec::<String>::new());
    for (number, edits) in STEPS.iter().enumerate() {
        step(&project, edits);
        let run = server.analyzed(&project);
        if number % 3 != 1 {
            let report = server.push(&run);
            assert_eq!((report.kind, report.error), (Some(stores::Kind::Delta), None), "step {number}");
            assert_eq!(server.differences(&run), Vec::<String>::new(), "step {number}");
        }
    }
    assert_eq!(other.differences(&beside), Vec::<String>::new());
}

#[test]
fn names_that_mean_something_elsewhere() {
    let Some(mut server) = Server::new("names") else { return };
    server.project += "'\"`}) DETACH DELETE n //$key\\";
    let long = "n".repeat(9_000) + &"\u{e4}".repeat(1_000);
    let project = Project::new()
        .file("a.py", &format!("class {long}:\n    \"\"\"'\"`\\x00\\\\u0000\n$(r[2])\"\"\"\n    def {long}(self, a='\\0', b=''): return {long}()\n"))
        .file("q'u`o\"te\n.py", "import a\nx = ''\n")
        .file("$(r[1]).py", "def DETACH(): return DETACH()\n")
        .file("empty.py", "");
    let run = server.analyzed(&project);
    assert_eq!(server.push(&run).error, None);
    assert_eq!(server.differences(&run), Vec::<String>::new());
    project.write("a.py", &format!("def {long}(a='\"'): return {long}(a)\n"));
    let run = server.analyzed(&project);
    let report = server.push(&run);
    assert_eq!((report.kind, report.error), (Some(stores::Kind::Delta), None));
    assert_eq!(server.differences(&run), Vec::<String>::new());
}

#[test]
fn an_answer_to_a_commit_of_a_delta_may_get_lost() {
    let Some(server) = Server::new("lost") else { return };
    let project = Project::shop();
    assert_eq!(server.push(&server.analyzed(&project)).error, None);
    for (number, edits) in STEPS.iter().take(4).enumerate() {
        step(&project, edits);
        let run = server.analyzed(&project);
        let relay = Relay::new(&server.address, After::Back);
        let mut store = relay.store(&server);
        store.init().expect("a schema");
        let head = store.head(&server.project).expect("a head").expect("a project");
        // Schema and head; the lease, the delta, the end of it.
        relay.left.store(number as i64 + 1, Ordering::SeqCst);
        let report = push(&run, store);
        assert_eq!(report.error, None, "step {number}");
        assert_eq!(relay.left.load(Ordering::SeqCst), 0, "step {number}: nothing was cut");
        assert_eq!(server.differences(&run), Vec::<String>::new(), "step {number}");
        let after = server.store().head(&server.project).expect("a head").expect("a project");
        assert!(after.revision > head.revision, "step {number}");
        server.lapse();
    }
}

/// The delta from one graph to the next, for a store that is at `head`.
fn between(before: &Run, after: &Run, head: &pydebug::store::Head) -> Delta {
    delta::of_graphs(&Projection::new(before.graph()), &Projection::new(after.graph()), head.outside)
}

#[test]
fn a_delta_that_was_cut_off_is_made_again() {
    let Some(server) = Server::new("cut") else { return };
    let project = Project::shop();
    let mut before = server.analyzed(&project);
    assert_eq!(server.push(&before).error, None);
    for (number, edits) in STEPS.iter().take(6).enumerate() {
        step(&project, edits);
        let after = server.analyzed(&project);
        let head = server.store().head(&server.project).expect("a head").expect("a project");
        let (delta, state) = (between(&before, &after, &head), State::of(after.graph()));
        let relay = Relay::new(&server.address, After::Gone);
        let mut store = relay.store(&server);
        store.init().expect("a schema");
        // The lease, the delta, the end of it.
        let commit = number as i64 % 3 + 1;
        relay.left.store(commit, Ordering::SeqCst);
        let error = store.apply(&server.project, &head, &state, &delta).expect_err("a line that was cut");
        assert_eq!(error.fault, Fault::Transient, "step {number}: {error}");
        drop(store);
        server.lapse();
        // The same delta once more, by one that knows the same head: it is made in whole, or not at all.
        let again = server.store().apply(&server.project, &head, &state, &delta);
        if let Err(error) = &again {
            assert_eq!(error.fault, Fault::Moved, "step {number}: {error}");
        }
        assert_eq!(server.push(&after).error, None, "step {number}");
        assert_eq!(server.differences(&after), Vec::<String>::new(), "step {number}, again: {again:?}");
        before = after;
    }
}

#[test]
fn an_answer_to_a_commit_of_a_load_may_get_lost() {
    let Some(server) = Server::new("load") else { return };
    let project = Project::shop();
    let mut cut = 0;
    for commit in 1.. {
        project.write("shop/more.py", &format!("def more{commit}(): pass\n"));
        let run = server.analyzed(&project);
        let relay = Relay::new(&server.address, After::Back);
        let mut store = relay.store(&server);
        store.init().expect("a schema");
        relay.left.store(commit, Ordering::SeqCst);
        let state = State::of(run.graph());
        let mut loaded = store.load(&server.project, &state, &mut Given(batches(&run), true));
        let reached = relay.left.load(Ordering::SeqCst) == 0;
        cut += i64::from(reached);
        if let Err(error) = &loaded {
            assert_eq!(error.fault, Fault::Transient, "commit {commit}: {error}");
            server.lapse();
            loaded = server.store().load(&server.project, &state, &mut Given(batches(&run), true));
        }
        assert!(loaded.is_ok(), "commit {commit}: {loaded:?}");
        assert_eq!(server.differences(&run), Vec::<String>::new(), "commit {commit}");
        if !reached {
            break;
        }
    }
    assert!(cut > 5, "a load has more commits than {cut}");
    let collected = server.store().gc(&server.project).expect("a collection");
    assert!(collected.generations > 0);
    let key = "MATCH (p:PyDebug {gen: 0, key: $key})";
    assert_eq!(server.number(&format!("{key} RETURN size(p.generations) AS number")), 1);
}

#[test]
fn a_head_that_moved_takes_no_delta_and_stays_readable() {
    let Some(server) = Server::new("moved") else { return };
    let project = Project::shop();
    server.push(&server.analyzed(&project));
    let head = server.store().head(&server.project).expect("a head").expect("a project");
    step(&project, STEPS[0]);
    let run = server.analyzed(&project);
    assert_eq!(server.push(&run).kind, Some(stores::Kind::Delta));
    let refused =
        server.store().apply(&server.project, &head, &State("other:graph".to_owned()), &Delta::default());
    assert_eq!(refused.expect_err("an error").fault, Fault::Moved);
    assert_eq!(server.differences(&run), Vec::<String>::new());
}

#[test]
fn the_generation_before_the_shown_one_is_kept_past_loads_that_failed() {
    let Some(server) = Server::new("kept") else { return };
    let project = Project::shop();
    let run = server.analyzed(&project);
    let mut store = server.store();
    store.init().expect("a schema");
    let state = |number: i32| State(format!("{number}:{number}"));
    let mut load = |number: i32, whole: bool| {
        let mut all = batches(&run);
        if !whole {
            all.drain(..2);
        }
        store.load(&server.project, &state(number), &mut Given(all, whole))
    };
    let first = load(1, true).expect("a load").generation;
    load(2, false).expect_err("a load without an end");
    let third = load(3, true).expect("a load").generation;
    let nodes = |generation: i64| {
        server.number(&format!("MATCH (n:PyDebug {{gen: {generation}}}) RETURN count(n) AS number"))
    };
    assert!(nodes(first) > 0, "readers of it may go on");
    assert_eq!(nodes(first), nodes(third));
    assert_eq!((first + 1..third).map(nodes).sum::<i64>(), 0, "what failed is gone");
    assert_eq!(server.store().gc(&server.project).expect("a collection").generations, 1);
    assert_eq!(nodes(first), 0);
}

#[test]
fn of_two_writers_one_has_the_lease() {
    let Some(server) = Server::new("lease") else { return };
    let project = Project::shop();
    server.push(&server.analyzed(&project));
    step(&project, STEPS[0]);
    let run = server.analyzed(&project);
    let key = "MATCH (p:PyDebug {gen: 0, key: $key})";
    let blocked = format!(
        "SHOW TRANSACTIONS YIELD currentQuery AS asked, status, parameters AS given WHERE status STARTS WITH 'Blocked' AND given.key = '{}' RETURN count(*) AS number",
        server.key()
    );
    std::thread::scope(|scope| {
        let writer = server.with(async |graph| {
            let mut first = graph.start_txn().await.expect("a transaction");
            let take = format!("{key} SET p.lease = 'mine', p.lease_until = timestamp() + 600000");
            first.run(server.query(&take)).await.expect("a lease");
            // Another one asks while this one has it, but before anybody can see that.
            let writer = scope.spawn(|| server.push(&run));
            loop {
                let mut stream = graph.execute(query(&blocked)).await.expect("an answer");
                let row = stream.next().await.expect("a row").expect("a row");
                if row.get::<i64>("number").expect("a number") > 0 {
                    break;
                }
                tokio::task::yield_now().await;
            }
            first.commit().await.expect("a commit");
            writer
        });
        let mine =
            format!("{key} RETURN CASE WHEN p.lease = 'mine' AND NOT p.updating THEN 1 ELSE 0 END AS number");
        // The writer asks again from time to time; each time it must find that the lease is taken.
        for _ in 0..20 {
            assert_eq!(server.number(&mine), 1);
        }
        server.lapse();
        assert_eq!(writer.join().expect("a writer").error, None);
    });
    assert_eq!(server.differences(&run), Vec::<String>::new());
}

#[test]
fn nothing_is_read_while_a_delta_is_written() {
    let Some(server) = Server::new("reading") else { return };
    let project = Project::shop();
    server.push(&server.analyzed(&project));
    let head = server.store().head(&server.project).expect("a head").expect("a project");
    server.ask("MATCH (p:PyDebug {gen: 0, key: $key}) SET p.updating = true RETURN 1 AS number");
    let read = server.store().read(&server.project, &head, TableId::Symbols, None, &mut |_| {});
    assert_eq!(read.expect_err("an error").fault, Fault::Moved);
    let seen = server.store().head(&server.project).expect("a head").expect("a project");
    assert_ne!(seen.state, head.state);
    // Whoever wrote it is gone: the next one repairs it.
    step(&project, STEPS[0]);
    let run = server.analyzed(&project);
    assert_eq!(server.push(&run).error, None);
    assert_eq!(server.differences(&run), Vec::<String>::new());
}

#[test]
fn a_delta_that_does_not_fit_what_is_stored_is_not_kept() {
    let Some(server) = Server::new("fit") else { return };
    let project = Project::shop();
    let before = server.analyzed(&project);
    server.push(&before);
    // Somebody else took a node out, and its edges with it.
    server.ask(
        "MATCH (p:PyDebug {gen: 0, key: $key}) MATCH (n:PyDebug {gen: p.head, name: 'price'}) DETACH DELETE n RETURN 1 AS number",
    );
    step(&project, &[("shop/new.py", Some("from shop.prices import price\n\ndef new(): return price(1)\n"))]);
    let after = server.analyzed(&project);
    let head = server.store().head(&server.project).expect("a head").expect("a project");
    let applied = server.store().apply(
        &server.project,
        &head,
        &State::of(after.graph()),
        &between(&before, &after, &head),
    );
    assert_eq!(applied.expect_err("an edge has no end").fault, Fault::Moved);
    assert_eq!(server.push(&after).error, None);
    assert_eq!(server.differences(&after), Vec::<String>::new());
}

#[test]
fn a_password_is_in_no_error() {
    let Some(mut server) = Server::new("secret") else { return };
    let secret = "hunter2-not-to-be-seen";
    server.address.password = Some(Secret::new(secret));
    let mut store = server.store();
    let error = store.init().expect_err("an error");
    assert_eq!(error.fault, Fault::Lasting);
    let said = format!("{error} {error:?} {store:?} {}", store.place());
    assert!(!said.contains(secret) && said.contains("check user and password"), "{said}");
}
