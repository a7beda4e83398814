//! Brings stores to the graph of a run: finds out what each one holds, then sends it the difference, or everything.
//!
//! Stores work beside each other, each on a thread of its own. One that takes everything is fed by bounded queue: it holds up the making of rows, not memory. Rows
//! are made for each store apart: making them takes a fraction of writing them, and a quick store must not hold its transaction open until a slow
//! one is done.

use super::progress::{Interrupt, StorePhase, StoreRows, StoreTracker};
use super::recovery::{CircuitBreaker, Decision, Recovery, SystemClock, Trouble};
use crate::store::delta::{self, Delta};
use crate::store::projection::{Batch, Outside, Projection, Tables, append, digest_of};
use crate::store::rows::{Digest, Key, Rows, TableId, key_at, owner};
use crate::store::{self, Batches, CodeGraph, Collected, Fault, Head, State, Store, StoreError, Written};
use crate::sys::Scratch;
use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// Batches that wait for a store.
const QUEUE: usize = 4;

/// How a store was brought up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It held the graph already.
    Current,
    /// By what differs from the graph it held.
    Delta,
    /// By everything, as a new generation.
    Full,
}

/// What became of a store.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Its kind.
    pub store: &'static str,
    /// Where it is.
    pub place: String,
    /// How it was written; none where it could not be.
    pub kind: Option<Kind>,
    /// Rows written or deleted.
    pub rows: u64,
    /// The generation that readers see.
    pub generation: i64,
    /// What it took.
    pub seconds: f64,
    /// Why it could not be written.
    pub error: Option<String>,
}

/// What a store is told to do.
enum Plan {
    Current(Head),
    Delta(Head, Box<Delta>),
    Full,
}

/// The graph that stores are brought to.
pub struct Target<'a> {
    /// The graph.
    pub code: &'a CodeGraph,
    /// The one before it, if it is at hand.
    pub previous: Option<&'a CodeGraph>,
    /// Keeps tables that outgrow memory.
    pub scratch: &'a Arc<Scratch>,
    /// Takes note of trouble.
    pub recovery: &'a Recovery,
    /// Ends the work.
    pub interrupt: &'a Interrupt,
}

/// A delta above this share of all rows takes longer than a new generation.
const LARGE_DELTA: usize = 3;

/// Brings all `stores` to the graph of `target`. An error of one store does not keep the others from being written.
pub fn push(stores: &mut [Box<dyn Store>], target: &Target<'_>, progress: &StoreTracker) -> Vec<Report> {
    let mut projection = Projection::new(target.code);
    let state = State::of(target.code);
    let started = Instant::now();
    let breakers: Vec<_> = stores
        .iter()
        .map(|_| CircuitBreaker::new(SystemClock::default(), 8, Duration::from_secs(5)))
        .collect();
    let plans: Vec<store::Result<Plan>> = std::thread::scope(|scope| {
        let threads: Vec<_> = stores
            .iter_mut()
            .zip(&breakers)
            .map(|(store, breaker)| {
                let (projection, state) = (&projection, &state);
                scope.spawn(move || {
                    progress.start(store.kind(), StorePhase::Compare, 0);
                    persist(store.as_mut(), target, breaker, |store| plan(store, projection, state, target))
                })
            })
            .collect();
        threads.into_iter().map(join).collect()
    });
    if plans.iter().any(|plan| matches!(plan, Ok(Plan::Full))) {
        projection.index(target.scratch);
    }
    let job = &Job { projection: &projection, state: &state, target, progress };
    let reports = std::thread::scope(|scope| {
        let threads: Vec<_> = stores
            .iter_mut()
            .zip(plans)
            .zip(&breakers)
            .map(|((store, plan), breaker)| {
                scope.spawn(move || {
                    let (kind, place) = (store.kind(), store.place());
                    let done = plan.and_then(|plan| write(store.as_mut(), plan, job, breaker));
                    let (phase, rows) = match &done {
                        Ok((_, written)) => (StorePhase::Done, written.rows),
                        Err(_) => (StorePhase::Failed, 0),
                    };
                    progress.start(kind, phase, rows).took(rows);
                    report(kind, place, done, started, target)
                })
            })
            .collect();
        threads.into_iter().map(join).collect()
    });
    progress.finish();
    reports
}

/// What writing a store needs to know.
struct Job<'a> {
    projection: &'a Projection<'a>,
    state: &'a State,
    target: &'a Target<'a>,
    progress: &'a StoreTracker,
}

fn join<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn report(
    store: &'static str,
    place: String,
    done: store::Result<(Kind, Written)>,
    started: Instant,
    target: &Target<'_>,
) -> Report {
    let seconds = started.elapsed().as_secs_f64();
    match done {
        Ok((kind, written)) => Report {
            store,
            place,
            kind: Some(kind),
            rows: written.rows,
            generation: written.generation,
            seconds,
            error: None,
        },
        Err(error) => {
            if error.fault != Fault::Interrupted {
                target.recovery.record(Trouble::StoreUnavailable, Decision::Fail, store, &error.message);
            }
            Report { store, place, kind: None, rows: 0, generation: 0, seconds, error: Some(error.message) }
        }
    }
}

/// Sends every batch, until nobody listens.
fn feed(projection: &Projection<'_>, sender: &SyncSender<Message>, interrupt: &Interrupt) {
    let mut open = true;
    projection.batches(&mut |batch| {
        let stop = interrupt.check().is_err();
        open = !stop && sender.send(Message::Batch(batch)).is_ok();
        open
    });
    // Without the one a feed that ends is one that broke; where nobody listens it does not matter.
    let _ = sender.send(if open { Message::End } else { Message::Stop });
}

enum Message {
    Batch(Batch),
    End,
    Stop,
}

struct Feed<'a> {
    batches: Receiver<Message>,
    progress: StoreRows<'a>,
    /// Rows of the batch that the store is at: it has them when it asks for the next one.
    open: u64,
}

impl Batches for Feed<'_> {
    fn next(&mut self) -> store::Result<Option<Batch>> {
        self.progress.took(std::mem::take(&mut self.open));
        match self.batches.recv() {
            Ok(Message::Batch(batch)) => {
                self.open = batch.rows.len() as u64;
                Ok(Some(batch))
            }
            Ok(Message::End) => Ok(None),
            Ok(Message::Stop) => {
                Err(StoreError { fault: Fault::Interrupted, message: "interrupted".to_owned() })
            }
            Err(_) => Err(StoreError::lasting("the rows of the graph could not be made")),
        }
    }
}

/// Tries again what may pass.
fn persist<T>(
    store: &mut dyn Store,
    target: &Target<'_>,
    breaker: &CircuitBreaker,
    mut work: impl FnMut(&mut dyn Store) -> store::Result<T>,
) -> store::Result<T> {
    let kind = store.kind();
    let transient = |error: &StoreError| error.fault == Fault::Transient && target.interrupt.check().is_ok();
    target.recovery.persist(Trouble::StoreUnavailable, kind, transient, std::thread::sleep, || match breaker
        .call(|| work(store))
    {
        Ok(result) => result,
        Err(open) => Err(StoreError::lasting(open)),
    })
}

/// Compares what the store holds with the graph.
fn plan(
    store: &mut dyn Store,
    projection: &Projection<'_>,
    state: &State,
    target: &Target<'_>,
) -> store::Result<Plan> {
    let project = projection.project();
    let Some(head) = store.open(project)? else { return Ok(Plan::Full) };
    if head.state == *state {
        return Ok(Plan::Current(head));
    }
    let previous = target.previous.filter(|previous| State::of(previous) == head.state);
    let delta = match previous {
        Some(previous) => Some(delta::of_graphs(&Projection::new(previous), projection, head.outside)),
        None => against_store(store, projection, &head)?,
    };
    let rows: u64 = projection.code().meta().summary.symbols.values().sum::<u64>()
        + projection.code().meta().summary.edges.values().sum::<u64>();
    Ok(match delta {
        Some(delta) if delta.len() <= 1000 || delta.len() <= rows as usize / LARGE_DELTA => {
            Plan::Delta(head, Box::new(delta))
        }
        _ => Plan::Full,
    })
}

/// The difference from what a store holds, by the digests of its owners. None where so much differs that a full load is shorter.
fn against_store(
    store: &mut dyn Store,
    projection: &Projection<'_>,
    head: &Head,
) -> store::Result<Option<Delta>> {
    let project = projection.project();
    let mut stored: FxHashMap<Key, Key> = FxHashMap::default();
    store.read(project, head, TableId::Owners, None, &mut |row| {
        stored.insert(owner(TableId::Owners, row), key_at(TableId::Owners, row, 1));
    })?;
    let (mut tables, mut same, mut changed) = (Tables::default(), FxHashSet::default(), 0usize);
    let mut outside = FxHashSet::default();
    for units in projection.units().chunks(256) {
        let made: Vec<(Key, Tables, FxHashSet<Outside<'_>>)> = units
            .par_iter()
            .map(|unit| {
                let (mut rows, mut found) = (Tables::default(), FxHashSet::default());
                delta::unit_rows(projection, unit, &mut rows);
                projection.outside_of(unit, &mut found);
                (projection.file_key(unit.file), rows, found)
            })
            .collect();
        for (owner, rows, found) in made {
            outside.extend(found);
            let digest =
                rows[TableId::Owners as usize].iter().next().map(|row| key_at(TableId::Owners, row, 1));
            if stored.get(&owner).copied() == digest {
                same.insert(owner);
                continue;
            }
            changed += 1;
            if changed > projection.units().len() / LARGE_DELTA + 1 {
                return Ok(None);
            }
            append(&mut tables, &rows);
        }
    }
    let mut rest = Tables::default();
    projection.project_nodes(outside.into_iter(), &mut rest);
    projection.project_edges(&mut rest);
    let digest = digest_of(&rest);
    rest[TableId::Owners as usize].row().key(projection.project_key()).key(digest.key()).end();
    append(&mut tables, &rest);
    let owners: Vec<Key> = stored.into_keys().filter(|owner| !same.contains(owner)).collect();
    let mut before = Tables::default();
    for &table in store.tables() {
        let rows = &mut before[table as usize];
        store.read(project, head, table, Some(&owners), &mut |row| rows.push(row))?;
    }
    Ok(Some(Delta::between(&before, &tables)))
}

fn write(
    store: &mut dyn Store,
    plan: Plan,
    job: &Job<'_>,
    breaker: &CircuitBreaker,
) -> store::Result<(Kind, Written)> {
    let (project, state) = (job.projection.project(), job.state);
    match plan {
        Plan::Current(head) => Ok((Kind::Current, Written { generation: head.generation, rows: 0 })),
        Plan::Delta(head, delta) => {
            job.progress.start(store.kind(), StorePhase::Delta, delta.len() as u64);
            let done = persist(store, job.target, breaker, |store| {
                arrived(store, project, state, |store| store.apply(project, &head, state, &delta))
            });
            match done {
                Err(error) if error.fault == Fault::Moved => {
                    // Somebody else wrote meanwhile: everything, then.
                    let written = load(store, job, breaker)?;
                    Ok((Kind::Full, written))
                }
                done => Ok((Kind::Delta, done?)),
            }
        }
        Plan::Full => Ok((Kind::Full, load(store, job, breaker)?)),
    }
}

/// Writes everything. Rows are made on the threads of the pool, as fast as the store takes them.
fn load(store: &mut dyn Store, job: &Job<'_>, breaker: &CircuitBreaker) -> store::Result<Written> {
    let Job { projection, state, target, .. } = *job;
    let (project, kind) = (projection.project(), store.kind());
    persist(store, target, breaker, |store| {
        let progress = job.progress.start(kind, StorePhase::Load, 0);
        arrived(store, project, state, |store| {
            std::thread::scope(|scope| {
                let (sender, receiver) = sync_channel(QUEUE);
                scope.spawn(move || feed(projection, &sender, target.interrupt));
                store.load(project, state, &mut Feed { batches: receiver, progress, open: 0 })
            })
        })
    })
}

/// Writes, and where that seems to have failed looks whether it did: the answer to a commit may get lost.
fn arrived(
    store: &mut dyn Store,
    project: &str,
    state: &State,
    work: impl FnOnce(&mut dyn Store) -> store::Result<Written>,
) -> store::Result<Written> {
    let error = match work(store) {
        Ok(written) => return Ok(written),
        Err(error) => error,
    };
    if error.fault == Fault::Transient
        && let Ok(Some(head)) = store.head(project)
        && head.state == *state
    {
        return Ok(Written { generation: head.generation, rows: 0 });
    }
    Err(error)
}

/// What of a store is not as the graph says.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verified {
    /// Rows looked at.
    pub rows: u64,
    /// Per kind of row its number and digest, as stored.
    pub digests: std::collections::BTreeMap<String, (u64, String)>,
    /// The kinds of row whose number or digest is not as it should be.
    pub unequal: std::collections::BTreeSet<String>,
    /// The first differences, in words.
    pub differences: Vec<String>,
}

/// Differences that are named.
const NAMED: usize = 20;

/// Reads a store back and compares every row with those of the graph: by digests of the rows of each kind, recomputed from what is stored, and where
/// they differ row by row.
///
/// # Errors
/// Those of the store.
pub fn verify(store: &mut dyn Store, target: &Target<'_>) -> store::Result<Verified> {
    let mut projection = Projection::new(target.code);
    projection.index(target.scratch);
    let project = projection.project();
    let mut verified = Verified::default();
    let Some(head) = store.head(project)? else {
        verified
            .differences
            .push(format!("it holds nothing of project `{project}`; `pydebug store push` writes it"));
        return Ok(verified);
    };
    if head.state != State::of(target.code) {
        verified
            .differences
            .push("it holds another graph; `pydebug store push` brings it up to date".to_owned());
        return Ok(verified);
    }
    let mut expected: FxHashMap<String, (u64, Digest)> = FxHashMap::default();
    let tables = store.tables();
    projection.batches(&mut |batch| {
        if tables.contains(&batch.table) {
            batch.rows.iter().for_each(|row| count(&mut expected, batch.table, row));
        }
        true
    });
    let mut stored: FxHashMap<String, (u64, Digest)> = FxHashMap::default();
    for &table in tables {
        store.read(project, &head, table, None, &mut |row| {
            verified.rows += 1;
            count(&mut stored, table, row);
        })?;
    }
    let kinds: std::collections::BTreeSet<&String> = expected.keys().chain(stored.keys()).collect();
    let none = (0, Digest::default());
    let mut differ = FxHashSet::default();
    for kind in kinds {
        let (want, have) = (expected.get(kind).unwrap_or(&none), stored.get(kind).unwrap_or(&none));
        verified.digests.insert(kind.clone(), (have.0, have.1.key().to_string()));
        if want != have {
            verified.differences.push(format!("{kind}: {} rows, {} expected", have.0, want.0));
            verified.unequal.insert(kind.clone());
            differ.insert(kind.split(':').next().unwrap_or_default().to_owned());
        }
    }
    for &table in tables.iter().filter(|table| differ.contains(table.def().name)) {
        name_differences(store, &projection, &head, table, &mut verified.differences)?;
    }
    Ok(verified)
}

fn name_differences(
    store: &mut dyn Store,
    projection: &Projection<'_>,
    head: &Head,
    table: TableId,
    out: &mut Vec<String>,
) -> store::Result<()> {
    let (mut before, mut after) = (Tables::default(), Tables::default());
    let stored: &mut Rows = &mut before[table as usize];
    store.read(projection.project(), head, table, None, &mut |row| stored.push(row))?;
    projection.batches(&mut |batch| {
        if batch.table == table {
            after[table as usize].append(&batch.rows);
        }
        true
    });
    let delta = Delta::between(&before, &after);
    let change = delta.table(table);
    for (what, rows) in
        [("not expected", &change.removed), ("missing", &change.added), ("different", &change.changed)]
    {
        for row in rows.iter().take(NAMED.saturating_sub(out.len())) {
            let shown: Vec<String> =
                crate::store::rows::values(table, row).take(6).map(|value| format!("{value:?}")).collect();
            out.push(format!("{}: {what}: {}", table.def().name, shown.join(" ")));
        }
    }
    Ok(())
}

/// Counts a row under its kind: its table, and the label of a symbol or the type of an edge.
fn count(kinds: &mut FxHashMap<String, (u64, Digest)>, table: TableId, row: &[u8]) {
    let column = match table {
        TableId::Symbols => Some(2),
        TableId::Edges => Some(1),
        _ => None,
    };
    let label = column.and_then(|column| crate::store::rows::values(table, row).nth(column));
    let add = |entry: &mut (u64, Digest)| {
        entry.0 += 1;
        entry.1.add(table, row);
    };
    let name = match label {
        Some(store::rows::Value::Text(label)) => format!("{}:{label}", table.def().name),
        _ => table.def().name.to_owned(),
    };
    add(kinds.entry(name).or_default());
}

/// Removes what no reader sees any more.
///
/// # Errors
/// Those of the store.
pub fn gc(store: &mut dyn Store, project: &str, target: &Target<'_>) -> store::Result<Collected> {
    let breaker = CircuitBreaker::new(SystemClock::default(), 8, Duration::from_secs(5));
    persist(store, target, &breaker, |store| store.gc(project))
}
