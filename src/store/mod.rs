//! Where linked graphs are kept. The snapshot is always written; it is the embedded default. Relational and graph stores are asked for.
//!
//! Every store holds the same rows ([`rows`]) under the same keys, made of a snapshot by [`projection`]. A store knows no parser and
//! no other store; [`crate::engine`] brings stores up to date.
//!
//! What a store holds of a project is a *generation*: all rows of one full load. A new one becomes visible by a flip of the project's head, so that
//! no reader sees half of it. A delta changes a generation in place, in one transaction where the store has those that hide what they do.

pub mod address;
pub mod delta;
pub mod neo4j;
pub mod postgres;
pub mod projection;
pub mod rows;
pub mod snapshot;
pub mod sqlite;
mod tls;

pub use snapshot::{CodeGraph, FileStatus, GraphFile};

use delta::Delta;
use projection::Batch;
use rows::{Digest, Key, TableId};
use std::fmt;

/// Version of the schema that all stores share. A store with a newer one is refused.
pub const SCHEMA_VERSION: i64 = 1;

/// Which graph a store holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State(pub String);

impl State {
    /// Of a graph: its digest and the key of what it was made from.
    #[must_use]
    pub fn of(code: &CodeGraph) -> Self {
        let hex = |bytes: [u8; 32]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        Self(format!("{}:{}", hex(code.digest()), hex(code.key())))
    }

    /// Digest of the graph, in hexadecimal.
    #[must_use]
    pub fn digest(&self) -> &str {
        self.0.split(':').next().unwrap_or_default()
    }
}

/// What a store shows of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The generation that readers see.
    pub generation: i64,
    /// Counts all writes to the project.
    pub revision: i64,
    /// The graph.
    pub state: State,
    /// Digest of the rows that belong to no file.
    pub outside: Digest,
}

/// What a write did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The generation that readers see now.
    pub generation: i64,
    /// Rows written or deleted.
    pub rows: u64,
}

/// What `gc` removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Generations that are gone.
    pub generations: u64,
    /// Generations that somebody still reads: for the next time.
    pub deferred: u64,
}

/// What keeps a store from doing what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It may pass: to be tried again.
    Transient,
    /// It stays until somebody does something.
    Lasting,
    /// The head is not the one that a delta was made for.
    Moved,
    /// The run was interrupted.
    Interrupted,
}

/// An error of a store. Its text holds no secret.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    /// What can be done about it.
    pub fault: Fault,
    /// What happened and what to do.
    pub message: String,
}

impl StoreError {
    /// An error that may pass.
    pub fn transient(message: impl fmt::Display) -> Self {
        Self { fault: Fault::Transient, message: message.to_string() }
    }

    /// An error that stays.
    pub fn lasting(message: impl fmt::Display) -> Self {
        Self { fault: Fault::Lasting, message: message.to_string() }
    }

    /// The head is another one than a delta was made for.
    #[must_use]
    pub fn moved() -> Self {
        Self { fault: Fault::Moved, message: "somebody else wrote to the project meanwhile".to_owned() }
    }

    /// The schema has a version that this program does not know.
    #[must_use]
    pub fn newer(found: i64) -> Self {
        Self::lasting(format!(
            "its schema has version {found}, this program knows {SCHEMA_VERSION}; use a newer `pydebug` or another place"
        ))
    }
}

/// What a store gives back.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Rows of a full load as they come: batches of one table each, what edges lead to first.
pub trait Batches {
    /// The next batch; `None` after the last one.
    ///
    /// # Errors
    /// Where there will be no more, though they are not all: the load must not be kept.
    fn next(&mut self) -> Result<Option<Batch>>;
}

/// A place that holds graphs of projects, told apart by name.
///
/// A method that fails has changed nothing that readers see, or else all that it should have; [`Store::head`] tells which.
pub trait Store: Send {
    /// Its kind, as flags and reports say it.
    fn kind(&self) -> &'static str;

    /// Where it is, for messages: no secret.
    fn place(&self) -> String;

    /// Makes the schema, or brings it up to date. Nothing happens where it is there.
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    fn init(&mut self) -> Result<()>;

    /// What it shows of a project; `None` where it has none, or no schema.
    ///
    /// # Errors
    /// [`StoreError`].
    fn head(&mut self, project: &str) -> Result<Option<Head>>;

    /// Makes the schema where it is missing and tells what the store shows of a project: [`Self::init`] and [`Self::head`] by as few questions as can be.
    ///
    /// # Errors
    /// [`StoreError`].
    fn open(&mut self, project: &str) -> Result<Option<Head>> {
        self.init()?;
        self.head(project)
    }

    /// Keeps all rows of a graph as a new generation and shows it. The schema is there.
    ///
    /// # Errors
    /// [`StoreError`].
    fn load(&mut self, project: &str, state: &State, batches: &mut dyn Batches) -> Result<Written>;

    /// Brings the shown generation from `head` to `state`.
    ///
    /// # Errors
    /// [`StoreError`]; [`Fault::Moved`] where the head is another one by now.
    fn apply(&mut self, project: &str, head: &Head, state: &State, delta: &Delta) -> Result<Written>;

    /// Which tables it holds.
    fn tables(&self) -> &'static [TableId] {
        &TableId::ALL
    }

    /// Gives the rows of `table` in the shown generation, in any order, as they are stored: those of `owners`, or all.
    ///
    /// # Errors
    /// [`StoreError`].
    fn read(
        &mut self,
        project: &str,
        head: &Head,
        table: TableId,
        owners: Option<&[Key]>,
        row: &mut dyn FnMut(&[u8]),
    ) -> Result<()>;

    /// Removes generations that are no longer shown.
    ///
    /// # Errors
    /// [`StoreError`].
    fn gc(&mut self, project: &str) -> Result<Collected>;
}
