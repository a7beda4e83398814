//! The graph in one SQLite file: SQL without a server.
//!
//! Every write is one transaction, so that readers see all of it or nothing, and a killed writer leaves nothing behind. The file is in WAL mode: readers
//! do not wait for a writer.

use super::delta::Delta;
use super::rows::{Digest, Key, NULL, TABLES, TableDef, TableId, Type, Value, identity, values};
use super::{Batches, Collected, Fault, Head, Result, SCHEMA_VERSION, State, Store, StoreError, Written};
use crate::sys::failpoint;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{
    Connection, ErrorCode, OptionalExtension as _, Statement, ToSql, Transaction, TransactionBehavior,
};
use std::path::{Path, PathBuf};
use std::time::Duration;

const SCHEMA: &str = include_str!("sqlite/0001.sql");
const INDEXES: &str = include_str!("sqlite/indexes.sql");
/// Says that the file is one of ours: "pydb".
const APPLICATION: i64 = 0x7079_6462;
/// How long a writer waits for another one.
const BUSY: Duration = Duration::from_secs(10);

/// A store in a file.
#[derive(Debug)]
pub struct Sqlite {
    path: PathBuf,
    connection: Option<Connection>,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let advice = match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                return Self::transient("another process is writing to it; wait for that to end");
            }
            Some(ErrorCode::NotADatabase) => "; name another file, or remove this one",
            Some(ErrorCode::DiskFull) => "; make room or name a file elsewhere",
            Some(ErrorCode::CannotOpen) => "; its folder must exist and be writable",
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                "; make it writable or name another file"
            }
            Some(ErrorCode::DatabaseCorrupt) => "; remove it, the next run writes it anew",
            _ => "",
        };
        Self { fault: Fault::Lasting, message: format!("{error}{advice}") }
    }
}

impl Sqlite {
    /// The store in the file at `path`, which need not exist.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), connection: None }
    }

    fn open(&mut self) -> Result<&mut Connection> {
        if self.connection.is_none() {
            let connection = Connection::open(&self.path)?;
            connection.busy_timeout(BUSY)?;
            let application: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
            let tables: i64 =
                connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
            if application != APPLICATION && tables > 0 {
                return Err(StoreError::lasting("it is the database of another program; name another file"));
            }
            connection.pragma_update(None, "synchronous", "NORMAL")?;
            connection.pragma_update(None, "cache_size", -65_536)?;
            // Enough for the planner, at the price of some pages of each index.
            connection.pragma_update(None, "analysis_limit", 400)?;
            connection.set_prepared_statement_cache_capacity(64);
            self.connection = Some(connection);
        }
        self.connection.as_mut().ok_or_else(|| StoreError::lasting("it is not open"))
    }

    /// Version of the schema that is there.
    fn version(connection: &Connection) -> Result<Option<i64>> {
        let there: i64 = connection.query_row(
            "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'schema_version'",
            [],
            |row| row.get(0),
        )?;
        if there == 0 {
            return Ok(None);
        }
        let version =
            connection.query_row("SELECT max(version) FROM schema_version", [], |row| row.get(0))?;
        if version > SCHEMA_VERSION { Err(StoreError::newer(version)) } else { Ok(Some(version)) }
    }

    fn read_head(connection: &Connection, project: &str) -> Result<Option<Head>> {
        if Self::version(connection)?.is_none() {
            return Ok(None);
        }
        let key = Key::project(project);
        let mut statement = connection.prepare_cached(
            "SELECT p.gen, p.rev, p.state, o.digest FROM projects p JOIN owners o ON o.gen = p.gen AND o.file = p.key WHERE p.key = ?1",
        )?;
        let head = statement
            .query_row([&key.0[..]], |row| {
                Ok(Head {
                    generation: row.get(0)?,
                    revision: row.get(1)?,
                    state: State(row.get(2)?),
                    outside: Digest::of_key(Key(row.get(3)?)),
                })
            })
            .optional()?;
        Ok(head)
    }
}

/// A value as SQLite takes it.
struct Bound<'a>(Value<'a>, Type);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let value = match (&self.0, self.1) {
            (Value::Key(key), Type::NullKey) if key.is_none() => ValueRef::Null,
            (Value::Key(key), _) => ValueRef::Blob(&key.0),
            (Value::Int(NULL), _) => ValueRef::Null,
            (Value::Int(number), _) => ValueRef::Integer(*number),
            (Value::Text(text), _) => ValueRef::Text(text.as_bytes()),
        };
        Ok(ToSqlOutput::Borrowed(value))
    }
}

fn insert_sql(def: &TableDef) -> String {
    let places = (2..def.columns.len() + 2).map(|at| format!("?{at}")).collect::<Vec<_>>().join(", ");
    format!("INSERT INTO {} (gen, {}) VALUES (?1, {places})", def.name, def.column_list())
}

fn delete_sql(def: &TableDef) -> String {
    let same = def.columns[..def.identity].iter().zip(2..);
    let same: Vec<_> = same.map(|((name, _), at)| format!("\"{name}\" = ?{at}")).collect();
    format!("DELETE FROM {} WHERE gen = ?1 AND {}", def.name, same.join(" AND "))
}

/// Binds generation and the first `count` values of a row, and runs the statement.
fn run(
    statement: &mut Statement<'_>,
    generation: i64,
    table: TableId,
    row: &[u8],
    count: usize,
) -> Result<()> {
    statement.raw_bind_parameter(1, generation)?;
    let columns = table.def().columns.iter().zip(values(table, row)).take(count);
    for (at, (column, value)) in columns.enumerate() {
        statement.raw_bind_parameter(at + 2, Bound(value, column.1))?;
    }
    statement.raw_execute()?;
    Ok(())
}

fn now() -> String {
    jiff::Timestamp::now().to_string()
}

/// Sets the head and notes the run.
fn flip(
    transaction: &Transaction<'_>,
    project: &str,
    (generation, revision): (i64, i64),
    state: &State,
    (kind, rows): (&str, u64),
) -> Result<()> {
    let key = Key::project(project);
    transaction.execute(
        "INSERT INTO projects (key, name, gen, rev, state, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (key) DO UPDATE SET gen = excluded.gen, rev = excluded.rev, state = excluded.state, updated_at = excluded.updated_at",
        rusqlite::params![&key.0[..], super::rows::store_text(project), generation, revision, state.0, now()],
    )?;
    transaction.execute(
        "INSERT INTO runs (project, gen, rev, kind, rows, digest, program, finished_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        rusqlite::params![
            &key.0[..],
            generation,
            revision,
            kind,
            i64::try_from(rows).unwrap_or(i64::MAX),
            state.digest(),
            env!("CARGO_PKG_VERSION"),
            now()
        ],
    )?;
    Ok(())
}

/// Removes the rows of a generation. `others`: there are rows of other projects.
fn remove_generation(transaction: &Transaction<'_>, generation: i64, others: bool) -> Result<()> {
    for def in &TABLES {
        // Without a condition, whole tables go at once.
        if others {
            transaction.execute(&format!("DELETE FROM {} WHERE gen = ?1", def.name), [generation])?;
        } else {
            transaction.execute(&format!("DELETE FROM {}", def.name), [])?;
        }
    }
    transaction.execute("DELETE FROM findings WHERE gen = ?1", [generation])?;
    Ok(())
}

/// Statements of a script.
fn statements(script: &str) -> impl Iterator<Item = &str> {
    script.split(';').map(str::trim).filter(|statement| !statement.is_empty())
}

fn drop_indexes(transaction: &Transaction<'_>) -> Result<()> {
    for statement in statements(INDEXES) {
        let mut words = statement.split_whitespace().skip_while(|word| *word != "INDEX").skip(1);
        let name = words.next().unwrap_or_default();
        transaction.execute_batch(&format!("DROP INDEX IF EXISTS {name}"))?;
    }
    Ok(())
}

impl Store for Sqlite {
    fn kind(&self) -> &'static str {
        "sqlite"
    }

    fn place(&self) -> String {
        crate::model::source::escape(self.path.as_os_str())
    }

    fn init(&mut self) -> Result<()> {
        let connection = self.open()?;
        if Self::version(connection)?.is_some() {
            return Ok(());
        }
        connection.pragma_update(None, "journal_mode", "WAL")?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if Self::version(&transaction)?.is_none() {
            transaction.execute_batch(SCHEMA)?;
            transaction.execute_batch(INDEXES)?;
            transaction.execute("INSERT INTO schema_version (version) VALUES (?1)", [SCHEMA_VERSION])?;
            transaction.pragma_update(None, "application_id", APPLICATION)?;
        }
        Ok(transaction.commit()?)
    }

    fn head(&mut self, project: &str) -> Result<Option<Head>> {
        if self.connection.is_none() && !self.path.exists() {
            return Ok(None);
        }
        Self::read_head(self.open()?, project)
    }

    fn load(&mut self, project: &str, state: &State, batches: &mut dyn Batches) -> Result<Written> {
        let connection = self.open()?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        Self::version(&transaction)?;
        let head = Self::read_head(&transaction, project)?;
        let generation: i64 =
            transaction.query_row("SELECT coalesce(max(gen), 0) + 1 FROM runs", [], |row| row.get(0))?;
        let revision = head.as_ref().map_or(1, |head| head.revision + 1);
        let key = Key::project(project);
        let others: bool = transaction.query_row(
            "SELECT EXISTS (SELECT 1 FROM projects WHERE key <> ?1)",
            [&key.0[..]],
            |row| row.get(0),
        )?;
        // Indexes that are made at the end take a fraction of the time; those of other projects would be made again with them.
        if !others {
            drop_indexes(&transaction)?;
        }
        if let Some(head) = &head {
            remove_generation(&transaction, head.generation, others)?;
        }
        let mut rows = 0;
        {
            let mut inserts = Vec::new();
            for def in &TABLES {
                inserts.push(transaction.prepare(&insert_sql(def))?);
            }
            while let Some(batch) = batches.next()? {
                let insert = &mut inserts[batch.table as usize];
                let count = batch.table.def().columns.len();
                for row in batch.rows.iter() {
                    run(insert, generation, batch.table, row, count)?;
                }
                rows += batch.rows.len() as u64;
            }
        }
        failpoint("sqlite-load-rows");
        if !others {
            transaction.execute_batch(INDEXES)?;
        }
        // Without it joins of views take a thousand times as long.
        transaction.execute_batch("ANALYZE")?;
        flip(&transaction, project, (generation, revision), state, ("full", rows))?;
        failpoint("sqlite-load-flip");
        transaction.commit()?;
        failpoint("sqlite-load-done");
        Ok(Written { generation, rows })
    }

    fn apply(&mut self, project: &str, head: &Head, state: &State, delta: &Delta) -> Result<Written> {
        let connection = self.open()?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if Self::read_head(&transaction, project)?.as_ref() != Some(head) {
            return Err(StoreError::moved());
        }
        let (generation, rows) = (head.generation, delta.len() as u64);
        for table in TableId::ALL {
            let (change, def) = (delta.table(table), table.def());
            if change.is_empty() {
                continue;
            }
            let mut delete = transaction.prepare(&delete_sql(def))?;
            for row in change.removed.iter().chain(change.changed.iter()) {
                debug_assert!(!identity(table, row).is_empty());
                run(&mut delete, generation, table, row, def.identity)?;
            }
            let mut insert = transaction.prepare(&insert_sql(def))?;
            for row in change.changed.iter().chain(change.added.iter()) {
                run(&mut insert, generation, table, row, def.columns.len())?;
            }
        }
        flip(&transaction, project, (generation, head.revision + 1), state, ("delta", rows))?;
        failpoint("sqlite-delta-flip");
        transaction.commit()?;
        failpoint("sqlite-delta-done");
        Ok(Written { generation, rows })
    }

    fn read(
        &mut self,
        project: &str,
        head: &Head,
        table: TableId,
        owners: Option<&[Key]>,
        found: &mut dyn FnMut(&[u8]),
    ) -> Result<()> {
        let connection = self.open()?;
        let transaction = connection.transaction()?;
        if Self::read_head(&transaction, project)?.as_ref() != Some(head) {
            return Err(StoreError::moved());
        }
        let def = table.def();
        let mut statement =
            transaction.prepare(&format!("SELECT {} FROM {} WHERE gen = ?1", def.column_list(), def.name))?;
        let wanted: Option<rustc_hash::FxHashSet<Key>> =
            owners.map(|owners| owners.iter().copied().collect());
        let mut rows = statement.query([head.generation])?;
        let mut one = super::rows::Rows::default();
        while let Some(row) = rows.next()? {
            one.clear();
            let mut writer = one.row();
            for (at, (_, column)) in def.columns.iter().enumerate() {
                writer = match (row.get_ref(at)?, column) {
                    (ValueRef::Blob(bytes), _) => {
                        let mut key = [0; 16];
                        if bytes.len() == 16 {
                            key.copy_from_slice(bytes);
                        }
                        writer.value(Value::Key(Key(key)))
                    }
                    (ValueRef::Text(text), _) => {
                        writer.value(Value::Text(std::str::from_utf8(text).unwrap_or_default()))
                    }
                    (ValueRef::Integer(number), _) => writer.value(Value::Int(number)),
                    (ValueRef::Null | ValueRef::Real(_), Type::Key | Type::NullKey) => writer.key(Key::NONE),
                    (ValueRef::Null | ValueRef::Real(_), Type::Text) => writer.value(Value::Text("")),
                    (ValueRef::Null | ValueRef::Real(_), Type::Int | Type::NullInt) => {
                        writer.value(Value::Int(NULL))
                    }
                };
            }
            writer.end();
            let bytes = one.get(0);
            if wanted.as_ref().is_none_or(|wanted| wanted.contains(&super::rows::owner(table, bytes))) {
                found(bytes);
            }
        }
        Ok(())
    }

    fn gc(&mut self, _: &str) -> Result<Collected> {
        // A generation goes in the transaction that replaces it. What is left to do is to give pages back.
        let connection = self.open()?;
        connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
        failpoint("sqlite-gc");
        connection.execute_batch("VACUUM")?;
        Ok(Collected::default())
    }
}
