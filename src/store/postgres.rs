//! The graph in PostgreSQL: tables in the schema `pydebug`.
//!
//! A full load is one transaction: it copies into new tables that nobody sees, indexes them, attaches them as partitions and flips the head. A delta is one
//! transaction too. So a killed writer, a killed server or a lost connection leaves what was there before.

use super::address::{PostgresAddress, Tls};
use super::delta::Delta;
use super::rows::{Digest, Key, NULL, Rows, TableId, Type, Value, values};
use super::{
    Batches, Collected, Fault, Head, Result, SCHEMA_VERSION, State, Store, StoreError, Written, tls,
};
use crate::sys::failpoint;
use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::{SinkExt as _, TryStreamExt as _};
use std::error::Error as _;
use std::fmt::Write as _;
use tokio::runtime::Runtime;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type as SqlType, to_sql_checked};
use tokio_postgres::{Client, Config, GenericClient, Transaction};
use tokio_postgres_rustls::MakeRustlsConnect;

const SCHEMA: &str = include_str!("postgres/0001.sql");
const INDEXES: &str = include_str!("postgres/indexes.sql");
/// Begins a stream of `COPY BINARY`, without flags and extension.
const COPY_HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// A store in a PostgreSQL server.
pub struct Postgres {
    address: PostgresAddress,
    runtime: Option<Runtime>,
    client: Option<Client>,
}

impl std::fmt::Debug for Postgres {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Postgres").field("address", &self.address).finish_non_exhaustive()
    }
}

/// A key as the driver takes and gives it: an `uuid`.
#[derive(Clone, Copy, Debug)]
struct Uuid(Key);

impl ToSql for Uuid {
    fn to_sql(
        &self,
        _: &SqlType,
        out: &mut BytesMut,
    ) -> std::result::Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.put_slice(&self.0.0);
        Ok(IsNull::No)
    }

    fn accepts(kind: &SqlType) -> bool {
        *kind == SqlType::UUID
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Uuid {
    fn from_sql(
        _: &SqlType,
        raw: &'a [u8],
    ) -> std::result::Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(Key(raw.try_into()?)))
    }

    fn accepts(kind: &SqlType) -> bool {
        *kind == SqlType::UUID
    }
}

/// An error with its causes, for a person.
fn words(error: &tokio_postgres::Error) -> String {
    if let Some(db) = error.as_db_error() {
        return format!("{} ({})", db.message(), db.code().code());
    }
    let mut out = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !out.contains(&text) {
            let _ = write!(out, ": {text}");
        }
        cause = error.source();
    }
    out
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        let said = words(&error);
        let Some(code) = error.code() else {
            // The driver's own: a connection that is no more, or an answer that makes no sense.
            let lasting =
                said.contains("TLS") || said.contains("certificate") || said.contains("authentication");
            return Self { fault: if lasting { Fault::Lasting } else { Fault::Transient }, message: said };
        };
        let transient = [
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::ADMIN_SHUTDOWN,
            SqlState::CRASH_SHUTDOWN,
            SqlState::CANNOT_CONNECT_NOW,
            SqlState::TOO_MANY_CONNECTIONS,
        ];
        if transient.contains(code) || code.code().starts_with("08") {
            return Self::transient(said);
        }
        let advice = match code.code() {
            "28P01" | "28000" => "; check user and password (PGPASSWORD, a password file, or the address)",
            "3D000" => "; create the database or name another one in the address",
            "42501" => {
                "; grant the role the right to create and write, or let somebody who has it run what `pydebug store init --print-sql` prints"
            }
            "25006" => "; the server or role is read-only: name one that can be written to",
            "53100" => "; make room on the server's disk",
            "53200" => "; the server is out of memory",
            _ => "",
        };
        Self::lasting(format!("{said}{advice}"))
    }
}

/// The statements that make the schema.
#[must_use]
pub fn schema_sql() -> String {
    let mut out = SCHEMA.to_owned();
    for index in indexes() {
        let _ = writeln!(out, "{};", index.sql(""));
    }
    let _ = writeln!(out, "INSERT INTO pydebug.schema_version (version) VALUES ({SCHEMA_VERSION});");
    out
}

/// One line of `indexes.sql`.
struct Index {
    name: &'static str,
    unique: &'static str,
    table: &'static str,
    by: &'static str,
}

impl Index {
    /// On the tables whose names end so.
    fn sql(&self, suffix: &str) -> String {
        let Self { name, unique, table, by } = self;
        format!("CREATE {unique}INDEX {name}{suffix} ON pydebug.{table}{suffix} {by}")
    }
}

fn indexes() -> impl Iterator<Item = Index> {
    let lines = INDEXES.lines().filter(|line| !line.starts_with("--"));
    lines.filter_map(|line| {
        let (name, rest) = line.trim_end_matches(';').split_once(' ')?;
        let (unique, rest) = rest.strip_prefix("UNIQUE ").map_or(("", rest), |rest| ("UNIQUE ", rest));
        let (table, by) = rest.split_once(' ')?;
        Some(Index { name, unique, table, by })
    })
}

/// Appends a row as `COPY BINARY` has it.
fn push_tuple(out: &mut BytesMut, generation: i64, table: TableId, row: &[u8]) {
    let columns = table.def().columns;
    out.put_i16(columns.len() as i16 + 1);
    out.put_i32(8);
    out.put_i64(generation);
    for ((_, kind), value) in columns.iter().zip(values(table, row)) {
        match value {
            Value::Key(key) if key.is_none() && *kind == Type::NullKey => out.put_i32(-1),
            Value::Key(key) => {
                out.put_i32(16);
                out.put_slice(&key.0);
            }
            Value::Int(NULL) => out.put_i32(-1),
            Value::Int(number) => {
                out.put_i32(8);
                out.put_i64(number);
            }
            Value::Text(text) => {
                out.put_i32(text.len() as i32);
                out.put_slice(text.as_bytes());
            }
        }
    }
}

/// Bytes that are sent at a time.
const PIECE: usize = 256 << 10;

/// Copies rows into the partition of a generation.
async fn copy(
    client: &Transaction<'_>,
    generation: i64,
    table: TableId,
    rows: impl Iterator<Item = &[u8]>,
) -> Result<()> {
    let def = table.def();
    let statement =
        format!("COPY pydebug.{}_g{generation} (gen, {}) FROM STDIN BINARY", def.name, def.column_list());
    let sink = client.copy_in::<_, Bytes>(&statement).await?;
    let mut sink = std::pin::pin!(sink);
    let mut piece = BytesMut::with_capacity(PIECE + PIECE / 4);
    piece.put_slice(COPY_HEADER);
    for row in rows {
        push_tuple(&mut piece, generation, table, row);
        if piece.len() >= PIECE {
            sink.feed(piece.split().freeze()).await?;
            piece.reserve(PIECE + PIECE / 4);
        }
    }
    piece.put_i16(-1);
    sink.feed(piece.freeze()).await?;
    sink.as_mut().finish().await?;
    Ok(())
}

/// Deletes rows from the partition of a generation, by their identities.
async fn delete(client: &impl GenericClient, generation: i64, table: TableId, rows: &Rows) -> Result<()> {
    let def = table.def();
    let identity = &def.columns[..def.identity];
    let (mut keys, mut texts, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
    for (at, (_, kind)) in identity.iter().enumerate() {
        match kind {
            Type::Key | Type::NullKey => keys.push((at, Vec::with_capacity(rows.len()))),
            Type::Text => texts.push((at, Vec::with_capacity(rows.len()))),
            Type::Int | Type::NullInt => numbers.push((at, Vec::with_capacity(rows.len()))),
        }
    }
    fn column<T>(columns: &mut [(usize, Vec<T>)], at: usize, value: T) {
        if let Some((_, values)) = columns.iter_mut().find(|(place, _)| *place == at) {
            values.push(value);
        }
    }
    for row in rows.iter() {
        for (at, value) in values(table, row).take(def.identity).enumerate() {
            match value {
                Value::Key(key) => column(&mut keys, at, Uuid(key)),
                Value::Text(text) => column(&mut texts, at, text),
                Value::Int(number) => column(&mut numbers, at, number),
            }
        }
    }
    let mut parameters: Vec<(usize, &(dyn ToSql + Sync))> = Vec::new();
    parameters.extend(keys.iter().map(|(at, values)| (*at, values as &(dyn ToSql + Sync))));
    parameters.extend(texts.iter().map(|(at, values)| (*at, values as &(dyn ToSql + Sync))));
    parameters.extend(numbers.iter().map(|(at, values)| (*at, values as &(dyn ToSql + Sync))));
    parameters.sort_by_key(|(at, _)| *at);
    let kind = |kind: Type| match kind {
        Type::Key | Type::NullKey => "uuid",
        Type::Text => "text",
        Type::Int | Type::NullInt => "bigint",
    };
    let arrays: Vec<String> =
        identity.iter().zip(1..).map(|((_, ty), at)| format!("${at}::{}[]", kind(*ty))).collect();
    let same: Vec<String> = identity.iter().map(|(name, _)| format!("t.\"{name}\" = d.\"{name}\"")).collect();
    let list: Vec<String> = identity.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    let statement = format!(
        "DELETE FROM pydebug.{}_g{generation} t USING unnest({}) AS d({}) WHERE t.gen = {generation} AND {}",
        def.name,
        arrays.join(", "),
        list.join(", "),
        same.join(" AND ")
    );
    let parameters: Vec<_> = parameters.into_iter().map(|(_, values)| values).collect();
    client.execute(&statement, &parameters).await?;
    Ok(())
}

/// Version of the schema that is there.
async fn version(client: &impl GenericClient) -> Result<Option<i64>> {
    let there = client.query_one("SELECT to_regclass('pydebug.schema_version') IS NOT NULL", &[]).await?;
    if !there.get::<_, bool>(0) {
        return Ok(None);
    }
    let version: Option<i64> =
        client.query_one("SELECT max(version) FROM pydebug.schema_version", &[]).await?.get(0);
    match version {
        Some(version) if version > SCHEMA_VERSION => Err(StoreError::newer(version)),
        version => Ok(version),
    }
}

async fn read_head(client: &impl GenericClient, project: Key, lock: &str) -> Result<Option<Head>> {
    let statement = format!(
        "SELECT p.gen, p.rev, p.state, (SELECT o.digest FROM pydebug.owners o WHERE o.gen = p.gen AND o.file = p.key) FROM pydebug.projects p WHERE p.key = $1 {lock}"
    );
    let row = client.query_opt(&statement, &[&Uuid(project)]).await?;
    Ok(row.map(|row| Head {
        generation: row.get(0),
        revision: row.get(1),
        state: State(row.get(2)),
        outside: Digest::of_key(row.get::<_, Option<Uuid>>(3).map_or(Key::NONE, |key| key.0)),
    }))
}

/// One writer a project; the others wait.
async fn lock(client: &impl GenericClient, project: Key) -> Result<()> {
    let (number, _) = project.0.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
    client.batch_execute("SET LOCAL lock_timeout = '30s'").await?;
    client.execute("SELECT pg_advisory_xact_lock($1)", &[&i64::from_le_bytes(*number)]).await?;
    Ok(())
}

async fn flip(
    client: &impl GenericClient,
    project: &str,
    (generation, revision): (i64, i64),
    state: &State,
    (kind, rows): (&str, u64),
) -> Result<()> {
    let key = Uuid(Key::project(project));
    let name = super::rows::store_text(project);
    client
        .execute(
            "INSERT INTO pydebug.projects (key, name, gen, rev, state, updated_at) VALUES ($1, $2, $3, $4, $5, now())
             ON CONFLICT (key) DO UPDATE SET gen = excluded.gen, rev = excluded.rev, state = excluded.state, updated_at = now()",
            &[&key, &&*name, &generation, &revision, &state.0],
        )
        .await?;
    let rows = i64::try_from(rows).unwrap_or(i64::MAX);
    client
        .execute(
            "INSERT INTO pydebug.runs (project, gen, rev, kind, rows, digest, program, finished_at) VALUES ($1, $2, $3, $4, $5, $6, $7, now())",
            &[&key, &generation, &revision, &kind, &rows, &state.digest(), &env!("CARGO_PKG_VERSION")],
        )
        .await?;
    Ok(())
}

async fn full_load(
    transaction: &Transaction<'_>,
    project: &str,
    state: &State,
    batches: &mut dyn Batches,
) -> Result<Written> {
    let key = Key::project(project);
    lock(transaction, key).await?;
    version(transaction).await?;
    let head = read_head(transaction, key, "").await?;
    let generation: i64 = transaction.query_one("SELECT nextval('pydebug.generation')", &[]).await?.get(0);
    let mut make = String::from("SET LOCAL maintenance_work_mem = '256MB';");
    for table in TableId::ALL {
        let name = table.def().name;
        // The check spares the look at every row when the table is attached.
        let _ = write!(
            make,
            "CREATE TABLE pydebug.{name}_g{generation} (LIKE pydebug.{name}, CHECK (gen = {generation}));"
        );
    }
    transaction.batch_execute(&make).await?;
    let mut rows = 0;
    while let Some(batch) = batches.next()? {
        copy(transaction, generation, batch.table, batch.rows.iter()).await?;
        rows += batch.rows.len() as u64;
    }
    failpoint("postgres-load-rows");
    let suffix = format!("_g{generation}");
    for index in indexes() {
        transaction.batch_execute(&index.sql(&suffix)).await?;
    }
    failpoint("postgres-load-indexes");
    let mut attach = String::new();
    for table in TableId::ALL {
        let name = table.def().name;
        let _ = write!(
            attach,
            "ALTER TABLE pydebug.{name} ATTACH PARTITION pydebug.{name}{suffix} FOR VALUES IN ({generation});"
        );
    }
    for table in [TableId::Symbols, TableId::Edges] {
        let _ = write!(attach, "ANALYZE pydebug.{}{suffix};", table.def().name);
    }
    transaction.batch_execute(&attach).await?;
    transaction
        .execute("INSERT INTO pydebug.generations (gen, project) VALUES ($1, $2)", &[&generation, &Uuid(key)])
        .await?;
    let revision = head.map_or(1, |head| head.revision + 1);
    flip(transaction, project, (generation, revision), state, ("full", rows)).await?;
    Ok(Written { generation, rows })
}

async fn apply_delta(
    transaction: &Transaction<'_>,
    project: &str,
    head: &Head,
    state: &State,
    delta: &Delta,
) -> Result<Written> {
    let key = Key::project(project);
    lock(transaction, key).await?;
    if read_head(transaction, key, "FOR UPDATE").await?.as_ref() != Some(head) {
        return Err(StoreError::moved());
    }
    let (generation, rows) = (head.generation, delta.len() as u64);
    for table in TableId::ALL {
        let change = delta.table(table);
        let mut gone = change.removed.clone();
        gone.append(&change.changed);
        if !gone.is_empty() {
            delete(transaction, generation, table, &gone).await?;
        }
        if change.changed.len() + change.added.len() > 0 {
            copy(transaction, generation, table, change.changed.iter().chain(change.added.iter())).await?;
        }
    }
    flip(transaction, project, (generation, head.revision + 1), state, ("delta", rows)).await?;
    Ok(Written { generation, rows })
}

/// Drops the tables of a generation; false where somebody reads them.
async fn drop_generation(client: &mut Client, generation: i64) -> Result<bool> {
    let transaction = client.transaction().await?;
    let mut statements = String::from("SET LOCAL lock_timeout = '2s';");
    for table in TableId::ALL {
        let _ = write!(statements, "DROP TABLE IF EXISTS pydebug.{}_g{generation};", table.def().name);
    }
    let _ = write!(
        statements,
        "DELETE FROM pydebug.findings WHERE gen = {generation}; DELETE FROM pydebug.generations WHERE gen = {generation}"
    );
    match transaction.batch_execute(&statements).await {
        Ok(()) => {
            failpoint("postgres-gc");
            transaction.commit().await?;
            Ok(true)
        }
        Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Generations of a project that are older than the shown one, the youngest first.
async fn older(client: &impl GenericClient, project: Key) -> Result<Vec<i64>> {
    let rows = client
        .query(
            "SELECT g.gen FROM pydebug.generations g JOIN pydebug.projects p ON p.key = g.project WHERE p.key = $1 AND g.gen <> p.gen ORDER BY g.gen DESC",
            &[&Uuid(project)],
        )
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

impl Postgres {
    /// The store at an address. Nothing is connected yet.
    #[must_use]
    pub fn new(address: PostgresAddress) -> Self {
        Self { address, runtime: None, client: None }
    }

    /// Does something with a connection. After an error it is a new one.
    fn with<T>(&mut self, work: impl AsyncFnOnce(&mut Client) -> Result<T>) -> Result<T> {
        let Self { address, runtime, client } = self;
        if runtime.is_none() {
            let made = tokio::runtime::Builder::new_current_thread().enable_all().build();
            *runtime = Some(made.map_err(StoreError::lasting)?);
        }
        let Some(runtime) = runtime.as_ref() else { return Err(StoreError::lasting("no runtime")) };
        let result = runtime.block_on(async {
            if client.as_ref().is_none_or(Client::is_closed) {
                *client = Some(connect(address).await?);
            }
            match client.as_mut() {
                Some(client) => work(client).await,
                None => Err(StoreError::transient("no connection")),
            }
        });
        if result.is_err() {
            self.client = None;
        }
        result
    }
}

async fn connect(address: &PostgresAddress) -> Result<Client> {
    let mut config = Config::new();
    config
        .host(&address.host)
        .port(address.port)
        .user(&address.user)
        .dbname(&address.database)
        .connect_timeout(address.connect_timeout)
        .application_name("pydebug")
        .ssl_mode(match address.tls {
            Tls::Disable => SslMode::Disable,
            Tls::Prefer => SslMode::Prefer,
            Tls::Require | Tls::VerifyCa | Tls::VerifyFull => SslMode::Require,
        });
    if let Some(password) = &address.password {
        config.password(password.expose());
    }
    let tls = tls::client(address.tls, address.root_certificate.as_deref()).map_err(StoreError::lasting)?;
    let (client, connection) = config.connect(MakeRustlsConnect::new(tls)).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!("connection to PostgreSQL: {}", words(&error));
        }
    });
    Ok(client)
}

impl Store for Postgres {
    fn kind(&self) -> &'static str {
        "postgres"
    }

    fn place(&self) -> String {
        self.address.to_string()
    }

    fn init(&mut self) -> Result<()> {
        self.with(async |client| {
            if version(client).await?.is_some() {
                return Ok(());
            }
            let transaction = client.transaction().await?;
            lock(&transaction, Key::NONE).await?;
            if version(&transaction).await?.is_none() {
                transaction.batch_execute(&schema_sql()).await?;
            }
            Ok(transaction.commit().await?)
        })
    }

    fn head(&mut self, project: &str) -> Result<Option<Head>> {
        let project = Key::project(project);
        self.with(async |client| match version(client).await? {
            None => Ok(None),
            Some(_) => read_head(client, project, "").await,
        })
    }

    fn load(&mut self, project: &str, state: &State, batches: &mut dyn Batches) -> Result<Written> {
        self.with(async |client| {
            let transaction = client.transaction().await?;
            let written = full_load(&transaction, project, state, batches).await?;
            failpoint("postgres-load-flip");
            transaction.commit().await?;
            failpoint("postgres-load-done");
            // Whoever reads the generation before this one may go on; older ones are for nobody.
            for generation in older(client, Key::project(project)).await?.into_iter().skip(1) {
                drop_generation(client, generation).await?;
            }
            Ok(written)
        })
    }

    fn apply(&mut self, project: &str, head: &Head, state: &State, delta: &Delta) -> Result<Written> {
        self.with(async |client| {
            let transaction = client.transaction().await?;
            let written = apply_delta(&transaction, project, head, state, delta).await?;
            failpoint("postgres-delta-flip");
            transaction.commit().await?;
            failpoint("postgres-delta-done");
            Ok(written)
        })
    }

    fn read(
        &mut self,
        project: &str,
        head: &Head,
        table: TableId,
        owners: Option<&[Key]>,
        found: &mut dyn FnMut(&[u8]),
    ) -> Result<()> {
        let key = Key::project(project);
        self.with(async |client| {
            let transaction = client
                .build_transaction()
                .isolation_level(tokio_postgres::IsolationLevel::RepeatableRead)
                .read_only(true)
                .start()
                .await?;
            if read_head(&transaction, key, "").await?.as_ref() != Some(head) {
                return Err(StoreError::moved());
            }
            let def = table.def();
            let owner = def.columns[def.owner].0;
            let only = if owners.is_some() { format!(" WHERE \"{owner}\" = ANY($1)") } else { String::new() };
            let statement =
                format!("SELECT {} FROM pydebug.{}_g{}{only}", def.column_list(), def.name, head.generation);
            let keys: Option<Vec<Uuid>> = owners.map(|owners| owners.iter().copied().map(Uuid).collect());
            let parameters = keys.iter().map(|keys| keys as &(dyn ToSql + Sync));
            let stream = transaction.query_raw(&statement, parameters).await?;
            let mut stream = std::pin::pin!(stream);
            let mut one = Rows::default();
            while let Some(row) = stream.try_next().await? {
                one.clear();
                let mut writer = one.row();
                for (at, (_, kind)) in def.columns.iter().enumerate() {
                    writer = match kind {
                        Type::Key | Type::NullKey => {
                            writer.key(row.try_get::<_, Option<Uuid>>(at)?.map_or(Key::NONE, |key| key.0))
                        }
                        Type::Int | Type::NullInt => {
                            writer.value(Value::Int(row.try_get::<_, Option<i64>>(at)?.unwrap_or(NULL)))
                        }
                        Type::Text => {
                            writer.value(Value::Text(row.try_get::<_, Option<&str>>(at)?.unwrap_or_default()))
                        }
                    };
                }
                writer.end();
                found(one.get(0));
            }
            Ok(())
        })
    }

    fn gc(&mut self, project: &str) -> Result<Collected> {
        let project = Key::project(project);
        self.with(async |client| {
            let mut collected = Collected::default();
            if version(client).await?.is_none() {
                return Ok(collected);
            }
            for generation in older(client, project).await? {
                match drop_generation(client, generation).await? {
                    true => collected.generations += 1,
                    false => collected.deferred += 1,
                }
            }
            Ok(collected)
        })
    }
}
