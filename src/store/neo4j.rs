//! The graph in Neo4j: a node for each file and symbol, a relationship for each edge.
//!
//! Neo4j is read-committed: a transaction is not seen all at once. So a full load goes under a generation of its own that no reader asks for, and becomes visible when
//! the `head` of the `:Project` node names it. A delta changes the shown generation between `updating: true` and `updating: false, rev + 1`: who needs
//! an exact answer looks at both before and after the query. Writers keep each other away by a lease on the `:Project` node.
//!
//! A lease ends when its holder is silent, which may be a holder that is slow and goes on later. What it does then must not count: generations are
//! its own, flips ask for the token, and the transaction of a delta holds the lock of the `:Project` node from the first statement to its end and counts
//! `rev` there. So the generation holds what a head says if and only if `rev` is that of the head, also where the answer to a commit was lost.
//!
//! The `:Project` node is the only one outside generations (its `gen` is 0). Keys are hexadecimal text.

mod export;

pub use export::{command, export};

use super::address::{Neo4jAddress, Tls};
use super::delta::Delta;
use super::rows::{Digest, Key, NULL, Rows, TableId, Type, Value, key_at, values};
use super::{Batches, Collected, Fault, Head, Result, SCHEMA_VERSION, State, Store, StoreError, Written};
use crate::sys::failpoint;
use neo4rs::{BoltList, BoltMap, BoltNull, BoltType, ConfigBuilder, Graph, Node, Query, Row, Txn, query};
use rustc_hash::{FxHashMap, FxHashSet};
use std::fmt::Write as _;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Labels that a symbol may have; one of them stands beside `:PyDebug`.
const LABELS: &str = "File:Package:Module:Class:Function:Method:Variable:External";
/// How long nobody else may write, from the last sign of life.
const LEASE: Duration = Duration::from_secs(10);
/// How long to wait for another writer.
const PATIENCE: Duration = Duration::from_secs(25);
/// Longest wait for the first answer of a server.
const FIRST_ANSWER: Duration = Duration::from_secs(20);
/// Rows of one statement.
const ROWS: usize = 10_000;
/// The state of a project in whose generation a delta was being written when the writer ended.
const UPDATING: &str = "updating";

/// A store in a Neo4j server.
pub struct Neo4j {
    address: Neo4jAddress,
    connection: Option<(Runtime, Graph)>,
}

impl std::fmt::Debug for Neo4j {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Neo4j").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Whether a server says that a statement takes more memory than it may: less of it may do.
fn is_too_much(error: &neo4rs::Error) -> bool {
    matches!(error, neo4rs::Error::Neo4j(error) if error.code().ends_with("OutOfMemoryError"))
}

/// Whether a server says that what should be made is there, `IF NOT EXISTS` or not: somebody made it meanwhile.
fn is_there(error: &neo4rs::Error) -> bool {
    matches!(error, neo4rs::Error::Neo4j(error) if error.code().ends_with("AlreadyExists"))
}

impl From<neo4rs::Error> for StoreError {
    fn from(error: neo4rs::Error) -> Self {
        let said = error.to_string();
        match &error {
            neo4rs::Error::Neo4j(known) => {
                let code = known.code();
                let advice = match code.rsplit('.').next().unwrap_or_default() {
                    "Unauthorized" => {
                        "; check user and password (PYDEBUG_NEO4J_USERNAME, PYDEBUG_NEO4J_PASSWORD, or the address)"
                    }
                    "DatabaseNotFound" => {
                        "; create the database or name another one (PYDEBUG_NEO4J_DATABASE)"
                    }
                    "Forbidden" => "; grant the user the right to write",
                    "AuthenticationRateLimit" => "; too many wrong passwords: wait before the next try",
                    "MemoryPoolOutOfMemoryError" => "; give the server more memory for transactions",
                    _ => "",
                };
                let lasting =
                    code.ends_with("MemoryPoolOutOfMemoryError") || !code.contains("TransientError");
                let busy =
                    code.ends_with("DatabaseUnavailable") || code.ends_with("ForbiddenOnReadOnlyDatabase");
                let fault = if lasting && !busy { Fault::Lasting } else { Fault::Transient };
                Self { fault, message: format!("{said}{advice}") }
            }
            neo4rs::Error::AuthenticationError(_) => Self::lasting(format!(
                "{said}; check user and password (PYDEBUG_NEO4J_USERNAME, PYDEBUG_NEO4J_PASSWORD, or the address)"
            )),
            neo4rs::Error::ProtocolMismatch(_) | neo4rs::Error::UnsupportedVersion(..) => Self::lasting(
                format!("{said}; the address must be that of the Bolt connector, usually port 7687"),
            ),
            neo4rs::Error::IOError { detail } if detail.kind() == std::io::ErrorKind::InvalidData => {
                Self::lasting(format!("{said}; check the certificate and the scheme of the address"))
            }
            neo4rs::Error::IOError { .. }
            | neo4rs::Error::ConnectionError
            | neo4rs::Error::IncompleteBoltExchange
            | neo4rs::Error::Ignored(_)
            | neo4rs::Error::RequestIgnoredError
            | neo4rs::Error::ServerUnavailableError(_)
            | neo4rs::Error::ConnectionTimedOut => Self::transient(said),
            _ => Self::lasting(said),
        }
    }
}

impl From<neo4rs::DeError> for StoreError {
    fn from(error: neo4rs::DeError) -> Self {
        Self::lasting(format!("an answer that makes no sense: {error}"))
    }
}

fn hex(key: Key) -> String {
    key.to_string()
}

fn unhex(text: &str) -> Key {
    let mut key = [0; 16];
    for (byte, at) in key.iter_mut().zip((0..).step_by(2)) {
        *byte = text.get(at..at + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok()).unwrap_or(0);
    }
    Key(key)
}

fn bolt(value: Value<'_>) -> BoltType {
    match value {
        Value::Key(key) => hex(key).into(),
        Value::Text(text) => text.into(),
        Value::Int(NULL) => BoltType::Null(BoltNull),
        Value::Int(number) => number.into(),
    }
}

fn list(values: impl IntoIterator<Item = BoltType>) -> BoltType {
    BoltType::List(BoltList::from(values.into_iter().collect::<Vec<_>>()))
}

/// Name of a column as a property: what every node has under one name is told apart from columns of that name.
fn property(column: &'static str) -> &'static str {
    if column == "file" { "owner" } else { column }
}

/// Columns of a table of nodes or edges that are properties, and their places in a row.
fn properties(table: TableId) -> impl Iterator<Item = (usize, &'static str)> {
    let left_out: &[&str] = if table == TableId::Edges { &["source", "type", "target"] } else { &["label"] };
    let columns = table.def().columns.iter().enumerate();
    columns.filter(|(_, (name, _))| !left_out.contains(name)).map(|(at, (name, _))| (at, property(name)))
}

/// The properties of a row in the form of a map literal over the list `r`.
fn literal(table: TableId) -> String {
    let mut out = String::from("gen: $gen");
    for (at, name) in properties(table) {
        let _ = write!(out, ", {name}: r[{at}]");
    }
    if table == TableId::Files {
        out.push_str(", name: r[1]");
    }
    out
}

/// All values of rows, as lists.
fn lists<'r>(table: TableId, rows: impl Iterator<Item = &'r [u8]>) -> Vec<BoltType> {
    rows.map(|row| list(values(table, row).map(bolt))).collect()
}

fn texts(row: &[u8], table: TableId, at: usize) -> String {
    match values(table, row).nth(at) {
        Some(Value::Text(text)) => text.to_owned(),
        Some(Value::Key(key)) => hex(key),
        Some(Value::Int(_)) | None => String::new(),
    }
}

/// Runs a statement and gives its rows.
async fn ask(txn: &mut Txn, query: Query) -> std::result::Result<Vec<Row>, neo4rs::Error> {
    let mut stream = txn.execute(query).await?;
    let mut rows = Vec::new();
    while let Some(row) = stream.next(txn.handle()).await? {
        rows.push(row);
    }
    Ok(rows)
}

/// Runs a statement in a transaction of its own. Nothing is tried again here: a second try may do twice what the first did.
async fn once(graph: &Graph, query: Query) -> std::result::Result<Vec<Row>, neo4rs::Error> {
    let mut txn = graph.start_txn().await?;
    let rows = ask(&mut txn, query).await?;
    txn.commit().await?;
    Ok(rows)
}

/// Runs a statement over `rows` as `$rows`; where the server has no memory for so many, in halves.
async fn in_pieces(
    graph: &Graph,
    make: &(dyn Fn(Vec<BoltType>) -> Query + Sync),
    rows: Vec<BoltType>,
    found: &mut Vec<Row>,
) -> Result<()> {
    let mut open = vec![rows];
    while let Some(rows) = open.pop() {
        match once(graph, make(rows.clone())).await {
            Ok(answer) => found.extend(answer),
            Err(error) if is_too_much(&error) && rows.len() > 1 => {
                tracing::debug!(
                    "{} rows take more memory than the server gives: they go in halves",
                    rows.len()
                );
                let (first, second) = rows.split_at(rows.len() / 2);
                open.push(second.to_vec());
                open.push(first.to_vec());
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The project's node for the one who has the lease; nothing for others. It is locked before the lease is looked at: reads take no lock, so that
/// two writers could both see that nobody has it.
const LEASED: &str =
    "MATCH (p:PyDebug {gen: 0, key: $key}) SET p.lease_lock = $token WITH p WHERE p.lease = $token";

/// A right to write that others respect.
struct Lease {
    token: String,
    project: String,
    seen: Instant,
}

/// What a writer says who went on without knowing that its time was over.
fn taken_over() -> StoreError {
    StoreError::transient("another writer took over: this one was silent for too long")
}

impl Lease {
    /// One that is yet to be taken.
    fn new(project: Key) -> Self {
        Self { token: token(), project: hex(project), seen: Instant::now() }
    }

    /// A statement about the project's node that has an effect only for who has the lease.
    fn query(&self, then: &str) -> Query {
        query(&format!("{LEASED} {then}"))
            .param("key", self.project.as_str())
            .param("token", self.token.as_str())
    }

    /// Shows a sign of life, now and then.
    async fn keep(&mut self, graph: &Graph) -> Result<()> {
        if self.seen.elapsed() < LEASE / 5 {
            return Ok(());
        }
        let renewed = self
            .query("SET p.lease_until = timestamp() + $period RETURN 1 AS one")
            .param("period", LEASE.as_millis() as i64);
        if once(graph, renewed).await?.is_empty() {
            return Err(taken_over());
        }
        self.seen = Instant::now();
        Ok(())
    }
}

fn token() -> String {
    let mut state = blake2b_simd::Params::new().hash_length(16).to_state();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let place: u8 = 0;
    state.update(&now.as_nanos().to_le_bytes()).update(&std::process::id().to_le_bytes());
    state.update(&(std::ptr::from_ref(&place) as usize).to_le_bytes());
    state.finalize().to_hex().to_string()
}

/// Takes the lease of a project, which is made where it is not there. The statement goes on with `then` and returns `value`; it knows `parameters`.
async fn lease(
    graph: &Graph,
    project: &str,
    period: Duration,
    patience: Duration,
    then: &str,
    parameters: &[(&str, BoltType)],
) -> Result<(Lease, i64)> {
    let mut lease = Lease::new(Key::project(project));
    let take = format!(
        "MERGE (p:PyDebug {{gen: 0, key: $key}}) \
         ON CREATE SET p:Project, p.name = $name, p.rev = 0, p.head = 0, p.updating = false, p.generations = [] \
         SET p.lease_lock = $token WITH p WHERE p.lease IS NULL OR p.lease_until < timestamp() \
         SET p.lease = $token, p.lease_until = timestamp() + $period WITH p {then}"
    );
    let name = super::rows::store_text(project);
    let started = Instant::now();
    loop {
        let mut asked = query(&take)
            .param("key", lease.project.as_str())
            .param("name", &*name)
            .param("token", lease.token.as_str())
            .param("period", period.as_millis() as i64);
        for (name, value) in parameters {
            asked = asked.param(name, value.clone());
        }
        lease.seen = Instant::now();
        if let Some(row) = once(graph, asked).await?.first() {
            return Ok((lease, row.get("value")?));
        }
        wait_for_lease(started, patience).await?;
    }
}

/// Waits until it is time to look again, unless patience is at its end.
async fn wait_for_lease(since: Instant, patience: Duration) -> Result<()> {
    if since.elapsed() >= patience {
        return Err(StoreError::transient("another run is writing this project; try again when it is done"));
    }
    tokio::time::sleep(Duration::from_millis(250)).await;
    Ok(())
}

/// Gives the lease back, whatever else happened.
async fn release(graph: &Graph, lease: &Lease) {
    let done = once(graph, lease.query("REMOVE p.lease, p.lease_until, p.lease_lock")).await;
    if let Err(error) = done {
        tracing::debug!("the lease ends by itself: {error}");
    }
}

/// Internal ids of nodes that were created in this load. They are never stored.
type Ids = FxHashMap<Key, i64>;

async fn create_nodes(
    graph: &Graph,
    generation: i64,
    table: TableId,
    rows: &Rows,
    ids: &mut Ids,
) -> Result<()> {
    let label = if table == TableId::Files { "File" } else { "$(r[2])" };
    let statement = format!(
        "UNWIND $rows AS r CREATE (n:PyDebug:{label} {{{}}}) RETURN collect(id(n)) AS ids",
        literal(table)
    );
    let make = |rows: Vec<BoltType>| query(&statement).param("gen", generation).param("rows", list(rows));
    for start in (0..rows.len()).step_by(ROWS) {
        let piece = start..rows.len().min(start + ROWS);
        let mut answers = Vec::new();
        in_pieces(graph, &make, lists(table, piece.clone().map(|at| rows.get(at))), &mut answers).await?;
        let mut made = Vec::with_capacity(piece.len());
        for answer in answers {
            made.extend(answer.get::<Vec<i64>>("ids")?);
        }
        count("nodes", made.len(), piece.len())?;
        ids.extend(piece.zip(made).map(|(at, id)| (key_at(table, rows.get(at), 0), id)));
    }
    Ok(())
}

fn count(what: &str, made: usize, sent: usize) -> Result<()> {
    if made == sent {
        return Ok(());
    }
    Err(StoreError::transient(format!("the server made {made} {what} of {sent}")))
}

async fn create_edges(graph: &Graph, generation: i64, rows: &Rows, ids: &Ids) -> Result<()> {
    let statement = format!(
        "UNWIND $rows AS r MATCH (a) WHERE id(a) = r[0] MATCH (b) WHERE id(b) = r[2] CREATE (a)-[e:$(r[1]) {{{}}}]->(b) RETURN count(*) AS made",
        literal(TableId::Edges)
    );
    let make = |rows: Vec<BoltType>| query(&statement).param("gen", generation).param("rows", list(rows));
    for start in (0..rows.len()).step_by(ROWS) {
        let mut sent = Vec::with_capacity(ROWS);
        for at in start..rows.len().min(start + ROWS) {
            let row = rows.get(at);
            let end = |at| ids.get(&key_at(TableId::Edges, row, at)).copied();
            let (Some(source), Some(target)) = (end(0), end(2)) else {
                return Err(StoreError::lasting(
                    "an edge leads to or from a node that is not there: this is a bug",
                ));
            };
            let mut row: Vec<BoltType> = values(TableId::Edges, row).map(bolt).collect();
            row[0] = source.into();
            row[2] = target.into();
            sent.push(list(row));
        }
        let (count_sent, mut answers) = (sent.len(), Vec::new());
        in_pieces(graph, &make, sent, &mut answers).await?;
        let mut made = 0;
        for answer in answers {
            made += answer.get::<i64>("made")? as usize;
        }
        count("relationships", made, count_sent)?;
    }
    Ok(())
}

/// Sends all batches under a generation. Gives the number of rows and the digest of the project's own.
async fn send(
    graph: &Graph,
    project: &str,
    generation: i64,
    batches: &mut dyn Batches,
    lease: &mut Lease,
) -> Result<(u64, Key)> {
    let key = Key::project(project);
    let answer =
        once(graph, query("MATCH (p:PyDebug {gen: 0, key: $key}) RETURN id(p) AS id").param("key", hex(key)))
            .await?;
    let mut ids = Ids::default();
    ids.insert(key, answer.first().ok_or_else(|| StoreError::transient("the project is gone"))?.get("id")?);
    let (mut sent, mut digest) = (0, Key::NONE);
    while let Some(batch) = batches.next()? {
        lease.keep(graph).await?;
        match batch.table {
            TableId::Files | TableId::Symbols => {
                create_nodes(graph, generation, batch.table, &batch.rows, &mut ids).await?;
            }
            TableId::Edges => create_edges(graph, generation, &batch.rows, &ids).await?,
            TableId::Owners => {
                let mut rows = Vec::with_capacity(batch.rows.len());
                for row in batch.rows.iter() {
                    let (owner, of) = (key_at(TableId::Owners, row, 0), key_at(TableId::Owners, row, 1));
                    match ids.get(&owner) {
                        _ if owner == key => digest = of,
                        Some(&id) => rows.push(list([id.into(), hex(of).into()])),
                        None => {}
                    }
                }
                let make = |rows: Vec<BoltType>| {
                    query("UNWIND $rows AS r MATCH (n) WHERE id(n) = r[0] SET n.digest = r[1]")
                        .param("rows", list(rows))
                };
                in_pieces(graph, &make, rows, &mut Vec::new()).await?;
            }
            // They are rows of a relational store.
            TableId::Modules | TableId::Imports | TableId::CallSites | TableId::ParseErrors => continue,
        }
        sent += batch.rows.len() as u64;
    }
    Ok((sent, digest))
}

async fn full_load(
    graph: &Graph,
    project: &str,
    state: &State,
    batches: &mut dyn Batches,
) -> Result<Written> {
    let reserve = "MERGE (c:PyDebugCounter {name: 'generation'}) SET c.value = coalesce(c.value, 0) + 1, \
                   p.generations = p.generations + c.value RETURN c.value AS value";
    let (mut lease, generation) = lease(graph, project, LEASE, PATIENCE, reserve, &[]).await?;
    failpoint("neo4j-load-begun");
    let sent = send(graph, project, generation, batches, &mut lease).await;
    failpoint("neo4j-load-flip");
    let (rows, digest) = match sent {
        Ok(sent) => sent,
        Err(error) => {
            abandon(graph, &lease, generation).await;
            return Err(error);
        }
    };
    let flip = lease
        .query(
            "SET p.previous = p.head, p.head = $gen, p.rev = p.rev + 1, p.state = $state, p.digest = $digest, p.updating = false, p.updated_at = datetime() \
             REMOVE p.lease, p.lease_until, p.lease_lock RETURN p.rev AS rev",
        )
        .param("gen", generation)
        .param("state", state.0.as_str())
        .param("digest", hex(digest));
    if once(graph, flip).await?.is_empty() {
        abandon(graph, &lease, generation).await;
        return Err(taken_over());
    }
    failpoint("neo4j-load-done");
    Ok(Written { generation, rows })
}

/// Leaves a generation to whoever collects the next time. One who took over may have collected it before its last nodes came, and forgotten it.
async fn abandon(graph: &Graph, lease: &Lease, generation: i64) {
    let listed = query(
        "MATCH (p:PyDebug {gen: 0, key: $key}) SET p.lease_lock = $token \
         WITH p WHERE NOT $gen IN p.generations SET p.generations = p.generations + $gen",
    );
    let listed = listed
        .param("key", lease.project.as_str())
        .param("token", lease.token.as_str())
        .param("gen", generation);
    if let Err(error) = once(graph, listed).await {
        tracing::debug!("generation {generation} may stay: {error}");
    }
    release(graph, lease).await;
}

/// What a delta sets on a node or edge: all properties that its row has, those without a value too.
fn property_map(generation: i64, table: TableId, row: &[u8]) -> BoltMap {
    let mut map = BoltMap::new();
    map.put("gen".into(), generation.into());
    let mut names = properties(table).peekable();
    for (at, value) in values(table, row).enumerate() {
        if let Some((_, name)) = names.next_if(|(place, _)| *place == at) {
            map.put(name.into(), bolt(value));
        }
    }
    map
}

/// The statements of a delta. Each gives as `made` how many of its rows it found a place for, which must be so many.
///
/// They are as few as can be, with the same text whatever the delta: a server that never saw a statement takes 50 to 100 ms to plan it.
fn delta_queries(project: Key, generation: i64, delta: &Delta) -> Vec<(Query, usize)> {
    let mut queries = Vec::new();
    let mut push = |statement: &str, rows: Vec<BoltType>| {
        if !rows.is_empty() {
            let count = rows.len();
            queries.push((query(statement).param("gen", generation).param("rows", list(rows)), count));
        }
    };
    // The project's node is in no generation.
    let of = |key: Key| if key == project { 0 } else { generation };
    let edges = delta.table(TableId::Edges);
    let ends = |row: &[u8]| {
        let source = key_at(TableId::Edges, row, 0);
        [
            of(source).into(),
            hex(source).into(),
            texts(row, TableId::Edges, 1).into(),
            texts(row, TableId::Edges, 2).into(),
        ]
    };
    push(
        "UNWIND $rows AS r MATCH (a:PyDebug {gen: r[0], key: r[1]}) MATCH (b:PyDebug {gen: $gen, key: r[3]}) \
         MATCH (a)-[e]->(b) WHERE type(e) = r[2] DELETE e RETURN count(*) AS made",
        edges.removed.iter().map(|row| list(ends(row))).collect(),
    );
    let tables = [TableId::Files, TableId::Symbols];
    push(
        "UNWIND $rows AS k MATCH (n:PyDebug {gen: $gen, key: k}) DETACH DELETE n RETURN count(*) AS made",
        tables
            .iter()
            .flat_map(|&table| delta.table(table).removed.iter().map(move |row| texts(row, table, 0).into()))
            .collect(),
    );
    let labels = || list(LABELS.split(':').map(BoltType::from));
    let nodes = tables.iter().flat_map(|&table| {
        let change = delta.table(table);
        change.changed.iter().chain(change.added.iter()).map(move |row| {
            let mut map = property_map(generation, table, row);
            let label = if table == TableId::Files {
                map.put("name".into(), texts(row, table, 1).into());
                "File".to_owned()
            } else {
                texts(row, table, 2)
            };
            list([texts(row, table, 0).into(), labels(), list([label.into()]), BoltType::Map(map)])
        })
    });
    // A file that owns nothing any more may still be there: a stub to which a source came.
    let gone: FxHashSet<Key> =
        delta.table(TableId::Files).removed.iter().map(|row| key_at(TableId::Files, row, 0)).collect();
    let digests = owner_digests(delta).filter(|(owner, _)| *owner != project && !gone.contains(owner));
    let digests = digests.map(|(owner, digest)| {
        let mut map = BoltMap::new();
        map.put("digest".into(), digest.map_or(BoltType::Null(BoltNull), |digest| hex(digest).into()));
        list([hex(owner).into(), list([]), list([]), BoltType::Map(map)])
    });
    // A digest for a file that is not there makes a node without a name.
    push(
        "UNWIND $rows AS r MERGE (n:PyDebug {gen: $gen, key: r[0]}) REMOVE n:$(r[1]) SET n:$(r[2]) SET n += r[3] RETURN count(n.name) AS made",
        nodes.chain(digests).collect(),
    );
    push(
        "UNWIND $rows AS r MATCH (a:PyDebug {gen: r[0], key: r[1]}) MATCH (b:PyDebug {gen: $gen, key: r[3]}) \
         MERGE (a)-[e:$(r[2])]->(b) SET e = r[4] RETURN count(*) AS made",
        edges
            .changed
            .iter()
            .chain(edges.added.iter())
            .map(|row| {
                let map = property_map(generation, TableId::Edges, row);
                list(ends(row).into_iter().chain([BoltType::Map(map)]))
            })
            .collect(),
    );
    queries
}

/// The digests that owners have after a delta.
fn owner_digests(delta: &Delta) -> impl Iterator<Item = (Key, Option<Key>)> {
    let owners = delta.table(TableId::Owners);
    let now = owners.changed.iter().chain(owners.added.iter());
    let key = |row: &[u8], at| key_at(TableId::Owners, row, at);
    owners
        .removed
        .iter()
        .map(move |row| (key(row, 0), None))
        .chain(now.map(move |row| (key(row, 0), Some(key(row, 1)))))
}

/// The node of a project within a transaction, as it is once it was changed: nobody else changes it before the end of that.
struct Locked {
    node: Node,
    /// The clock of the server, in milliseconds and as a date.
    now: i64,
    date: BoltType,
}

impl Locked {
    /// Sets properties, or removes those that become null. Whatever a delta asks of the project's node goes by this one statement, which is planned once.
    async fn set<const N: usize>(
        txn: &mut Txn,
        lease: &Lease,
        properties: [(&str, BoltType); N],
    ) -> Result<Option<Self>> {
        let mut map = BoltMap::new();
        for (name, value) in properties {
            map.put(name.into(), value);
        }
        let set = query(
            "MATCH (p:PyDebug {gen: 0, key: $key}) SET p += $set RETURN p, timestamp() AS now, datetime() AS date",
        );
        let set = set.param("key", lease.project.as_str()).param("set", BoltType::Map(map));
        let rows = ask(txn, set).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(Self { node: row.get("p")?, now: row.get("now")?, date: row.get("date")? }))
    }

    /// Locks it for who has the lease. It is locked before the lease is looked at: reads take no lock, so that two writers could both see that nobody has it.
    async fn leased(txn: &mut Txn, lease: &Lease) -> Result<Self> {
        let locked = Self::set(txn, lease, [("lease_lock", lease.token.as_str().into())]).await?;
        locked.filter(|locked| locked.holder().as_deref() == Some(&lease.token)).ok_or_else(taken_over)
    }

    fn holder(&self) -> Option<String> {
        self.node.get("lease").ok()
    }

    /// Whether nobody has the lease any more.
    fn is_free(&self) -> bool {
        self.holder().is_none() || self.node.get::<i64>("lease_until").is_ok_and(|until| until < self.now)
    }

    fn is_at(&self, head: &Head) -> Result<bool> {
        let (generation, revision): (i64, i64) = (self.node.get("head")?, self.node.get("rev")?);
        // The generation of one who was cut off holds what its `rev` says, but nobody wrote down which graph that is.
        let same = head.state.0 == UPDATING || self.node.get::<String>("state")? == head.state.0;
        Ok(generation == head.generation && revision == head.revision && same)
    }
}

/// Ends a transaction in which nothing is to be kept.
async fn undo(txn: Txn) {
    if let Err(error) = txn.rollback().await {
        tracing::debug!("the transaction ends with its connection: {error}");
    }
}

/// Takes the lease for a delta, and tells readers that it is being written.
async fn begin_delta(graph: &Graph, lease: &mut Lease, head: &Head, period: i64) -> Result<()> {
    let started = Instant::now();
    loop {
        lease.seen = Instant::now();
        let mut txn = graph.start_txn().await?;
        let locked = Locked::set(&mut txn, lease, [("lease_lock", lease.token.as_str().into())]).await?;
        let Some(locked) = locked else { return Err(StoreError::moved()) };
        if locked.is_free() {
            if !locked.is_at(head)? {
                undo(txn).await;
                return Err(StoreError::moved());
            }
            let taken = [
                ("lease", lease.token.as_str().into()),
                ("lease_until", (locked.now + period).into()),
                ("updating", true.into()),
            ];
            Locked::set(&mut txn, lease, taken).await?;
            return Ok(txn.commit().await?);
        }
        undo(txn).await;
        wait_for_lease(started, PATIENCE).await?;
    }
}

/// Writes a delta in one transaction that nobody who has no lease gets to its end.
async fn write_delta(
    graph: &Graph,
    lease: &Lease,
    head: &Head,
    period: i64,
    digest: Option<Key>,
    queries: Vec<(Query, usize)>,
) -> Result<()> {
    failpoint("neo4j-delta-begun");
    let mut txn = graph.start_txn().await?;
    let written = async {
        let locked = Locked::leased(&mut txn, lease).await?;
        for (query, sent) in queries {
            let rows = match ask(&mut txn, query).await {
                Ok(rows) => rows,
                // A new generation goes in pieces.
                Err(error) if is_too_much(&error) => return Err(StoreError::moved()),
                Err(error) => return Err(error.into()),
            };
            let made: i64 = rows.first().map_or(Ok(0), |row| row.get("made"))?;
            // What is stored is not what its head says: somebody else was at it.
            if made as usize != sent {
                return Err(StoreError::moved());
            }
        }
        let digest = match digest {
            Some(digest) => hex(digest).into(),
            None => locked.node.get::<BoltType>("digest")?,
        };
        let counted = [
            ("rev", (head.revision + 1).into()),
            ("digest", digest),
            ("lease_until", (locked.now + period).into()),
        ];
        Locked::set(&mut txn, lease, counted).await
    }
    .await;
    match written {
        Ok(_) => {
            failpoint("neo4j-delta-rows");
            txn.commit().await?;
            failpoint("neo4j-delta-flip");
            Ok(())
        }
        Err(error) => {
            undo(txn).await;
            Err(error)
        }
    }
}

/// Gives the lease back and tells readers which graph there is. Whatever was answered to the delta, `rev` tells whether its transaction came to its end:
/// before that nobody gets the lock.
async fn end_delta(graph: &Graph, lease: &Lease, head: &Head, state: &State) -> Result<bool> {
    let mut txn = graph.start_txn().await?;
    let locked = Locked::leased(&mut txn, lease).await?;
    let done = locked.node.get::<i64>("rev")? > head.revision;
    let state = if done { state.0.as_str().into() } else { locked.node.get::<BoltType>("state")? };
    let nothing = || BoltType::Null(BoltNull);
    let ended = [
        ("state", state),
        ("updating", (!done && head.state.0 == UPDATING).into()),
        ("updated_at", locked.date),
        ("lease", nothing()),
        ("lease_until", nothing()),
        ("lease_lock", nothing()),
    ];
    Locked::set(&mut txn, lease, ended).await?;
    txn.commit().await?;
    Ok(done)
}

async fn apply_delta(
    graph: &Graph,
    project: &str,
    head: &Head,
    state: &State,
    delta: &Delta,
) -> Result<Written> {
    // One transaction writes all of it, and shows no sign of life meanwhile.
    let period = LEASE + Duration::from_micros(500) * u32::try_from(delta.len()).unwrap_or(u32::MAX);
    let period = i64::try_from(period.as_millis()).unwrap_or(i64::MAX);
    let own = Key::project(project);
    let mut lease = Lease::new(own);
    begin_delta(graph, &mut lease, head, period).await?;
    let digest = owner_digests(delta).find(|(owner, _)| *owner == own).and_then(|(_, digest)| digest);
    let queries = delta_queries(own, head.generation, delta);
    let written = write_delta(graph, &lease, head, period, digest, queries).await;
    let ended = end_delta(graph, &lease, head, state).await;
    failpoint("neo4j-delta-done");
    match (written, ended) {
        (Err(error), Err(_)) => Err(error),
        (Ok(()), Err(error)) => Err(error),
        (written, Ok(done)) if !done => Err(written.err().unwrap_or_else(taken_over)),
        _ => Ok(Written { generation: head.generation, rows: delta.len() as u64 }),
    }
}

async fn delete_generation(graph: &Graph, lease: &mut Lease, generation: i64) -> Result<()> {
    // One transaction holds as many nodes as this, with their relationships; the server has no memory for all.
    let mut some = query(
        "MATCH (n:PyDebug) WHERE n.gen = $gen AND n.key IS NOT NULL WITH n LIMIT 5000 DETACH DELETE n RETURN count(*) AS gone",
    );
    some = some.param("gen", generation);
    loop {
        lease.keep(graph).await?;
        let rows = once(graph, some.clone()).await?;
        failpoint("neo4j-gc");
        if rows.first().map_or(Ok(0), |row| row.get::<i64>("gone"))? == 0 {
            break;
        }
    }
    let forget = lease.query("SET p.generations = [g IN p.generations WHERE g <> $gen]");
    once(graph, forget.param("gen", generation)).await?;
    Ok(())
}

/// Which generations stay besides the shown one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    /// The one that was shown before: somebody may be reading it.
    Previous,
    /// None.
    Nothing,
}

/// Deletes generations that are not shown.
async fn collect(graph: &Graph, project: &str, keep: Keep) -> Result<Collected> {
    let rows = once(
        graph,
        query("MATCH (p:PyDebug {gen: 0, key: $key}) RETURN p.head AS head, p.previous AS previous, p.generations AS generations")
            .param("key", hex(Key::project(project))),
    )
    .await?;
    let old = |row: &Row| -> Result<Vec<i64>> {
        let head: i64 = row.get("head")?;
        let previous = row.get::<Option<i64>>("previous")?.filter(|_| keep == Keep::Previous);
        let mut generations: Vec<i64> = row.get("generations")?;
        generations.retain(|&generation| generation != head && Some(generation) != previous);
        Ok(generations)
    };
    let mut collected = Collected::default();
    if rows.first().map(old).transpose()?.is_none_or(|old| old.is_empty()) {
        return Ok(collected);
    }
    let patience = if keep == Keep::Previous { Duration::ZERO } else { PATIENCE };
    let (mut lease, _) = lease(graph, project, LEASE, patience, "RETURN 1 AS value", &[]).await?;
    let result = async {
        // Somebody may have written before this one got the lease.
        let rows = once(
            graph,
            lease.query("RETURN p.head AS head, p.previous AS previous, p.generations AS generations"),
        )
        .await?;
        for generation in rows.first().map(old).transpose()?.unwrap_or_default() {
            delete_generation(graph, &mut lease, generation).await?;
            collected.generations += 1;
        }
        Ok(collected)
    }
    .await;
    release(graph, &lease).await;
    result
}

impl Neo4j {
    /// The store at an address. Nothing is connected yet.
    #[must_use]
    pub fn new(address: Neo4jAddress) -> Self {
        Self { address, connection: None }
    }

    fn connect(address: &Neo4jAddress) -> Result<(Runtime, Graph)> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(StoreError::lasting)?;
        let scheme = match address.tls {
            Tls::Disable | Tls::Prefer => "bolt",
            Tls::Require => "bolt+ssc",
            Tls::VerifyCa | Tls::VerifyFull => "bolt+s",
        };
        let host =
            if address.host.contains(':') { format!("[{}]", address.host) } else { address.host.clone() };
        let mut config = ConfigBuilder::default()
            .uri(format!("{scheme}://{host}:{}", address.port))
            .user(address.user.as_str())
            .password(address.password.as_ref().map_or("", super::address::Secret::expose))
            .max_connections(2)
            .fetch_size(5000)
            // It also bounds every wait for an answer, and a large statement takes its time.
            .connection_timeout(Duration::from_secs(600));
        if !address.database.is_empty() {
            config = config.db(address.database.as_str());
        }
        let graph = runtime.block_on(async {
            let graph = Graph::connect(config.build()?)?;
            // Says whether user, password and database are right, without a statement that would have to be planned.
            let first = async { graph.start_txn().await?.rollback().await };
            match tokio::time::timeout(FIRST_ANSWER, first).await {
                Ok(answer) => answer.map(|()| graph).map_err(StoreError::from),
                Err(_) => Err(StoreError::transient("the server does not answer")),
            }
        })?;
        Ok((runtime, graph))
    }

    /// Does something with a connection. After an error it is a new one.
    fn with<T>(&mut self, work: impl AsyncFnOnce(&Graph) -> Result<T>) -> Result<T> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => Self::connect(&self.address)?,
        };
        let (runtime, graph) = self.connection.insert(connection);
        let result = runtime.block_on(work(graph));
        if result.as_ref().is_err_and(|error| error.fault == Fault::Transient) {
            self.connection = None;
        }
        result
    }
}

impl Store for Neo4j {
    fn kind(&self) -> &'static str {
        "neo4j"
    }

    fn place(&self) -> String {
        self.address.to_string()
    }

    fn init(&mut self) -> Result<()> {
        self.with(async |graph| {
            let rows = once(graph, query("MATCH (c:PyDebugCounter {name: 'schema'}) RETURN c.value AS version")).await?;
            if let Some(row) = rows.first() {
                let version: i64 = row.get("version")?;
                return if version > SCHEMA_VERSION { Err(StoreError::newer(version)) } else { Ok(()) };
            }
            for statement in [
                "CREATE CONSTRAINT pydebug_key IF NOT EXISTS FOR (n:PyDebug) REQUIRE (n.gen, n.key) IS UNIQUE",
                "CREATE CONSTRAINT pydebug_counter IF NOT EXISTS FOR (c:PyDebugCounter) REQUIRE c.name IS UNIQUE",
                "CREATE INDEX pydebug_project IF NOT EXISTS FOR (p:Project) ON (p.name)",
                "CALL db.awaitIndexes(60)",
            ] {
                let made = async {
                    let mut stream = graph.execute(query(statement)).await?;
                    while stream.next().await?.is_some() {}
                    Ok(())
                }
                .await;
                match made {
                    Err(error) if !is_there(&error) => return Err(error.into()),
                    Ok(()) | Err(_) => {}
                }
            }
            once(
                graph,
                query("MERGE (c:PyDebugCounter {name: 'schema'}) SET c.value = $version").param("version", SCHEMA_VERSION),
            )
            .await?;
            Ok(())
        })
    }

    fn open(&mut self, project: &str) -> Result<Option<Head>> {
        let (version, head) = self.look(project)?;
        match version {
            Some(version) if version > SCHEMA_VERSION => Err(StoreError::newer(version)),
            Some(_) => Ok(head),
            None => {
                self.init()?;
                Ok(head)
            }
        }
    }

    fn head(&mut self, project: &str) -> Result<Option<Head>> {
        Ok(self.look(project)?.1)
    }

    fn load(&mut self, project: &str, state: &State, batches: &mut dyn Batches) -> Result<Written> {
        self.with(async |graph| {
            let written = full_load(graph, project, state, batches).await?;
            // The load is there, whatever becomes of those before it: they go the next time.
            if let Err(error) = collect(graph, project, Keep::Previous).await {
                tracing::debug!("old generations stay: {error}");
            }
            Ok(written)
        })
    }

    fn apply(&mut self, project: &str, head: &Head, state: &State, delta: &Delta) -> Result<Written> {
        self.with(async |graph| apply_delta(graph, project, head, state, delta).await)
    }

    fn tables(&self) -> &'static [TableId] {
        &[TableId::Files, TableId::Symbols, TableId::Edges, TableId::Owners]
    }

    fn read(
        &mut self,
        project: &str,
        head: &Head,
        table: TableId,
        owners: Option<&[Key]>,
        found: &mut dyn FnMut(&[u8]),
    ) -> Result<()> {
        let own = Key::project(project);
        let project = hex(own);
        let wanted: Option<Vec<String>> =
            owners.map(|owners| owners.iter().map(|owner| hex(*owner)).collect());
        self.with(async |graph| {
            let def = table.def();
            let columns: Vec<String> = match table {
                TableId::Edges => def.columns.iter().map(|(name, _)| match *name {
                    "source" => "a.key".to_owned(),
                    "target" => "b.key".to_owned(),
                    "type" => "type(e)".to_owned(),
                    name => format!("e.{}", property(name)),
                }).collect(),
                TableId::Owners => vec!["n.key".to_owned(), "n.digest".to_owned()],
                _ => def.columns.iter().map(|(name, _)| match *name {
                    "label" => "[l IN labels(n) WHERE l <> 'PyDebug'][0]".to_owned(),
                    name => format!("n.{}", property(name)),
                }).collect(),
            };
            let columns: Vec<String> = columns.iter().enumerate().map(|(at, column)| format!("{column} AS c{at}")).collect();
            let columns = columns.join(", ");
            let only = |owner: &str| if wanted.is_some() { format!(" AND {owner} IN $owners") } else { String::new() };
            let within = "n.gen = $gen AND n.key IS NOT NULL";
            let statement = match table {
                TableId::Edges => format!(
                    "MATCH (b:PyDebug)<-[e]-(a) WHERE b.gen = $gen AND b.key IS NOT NULL{} RETURN {columns}",
                    only("e.owner")
                ),
                TableId::Owners => format!(
                    "MATCH (n:PyDebug) WHERE {within} AND n:File AND n.digest IS NOT NULL{} RETURN {columns} UNION ALL MATCH (n:PyDebug {{gen: 0, key: $project}}) RETURN {columns}",
                    only("n.key")
                ),
                TableId::Files => format!("MATCH (n:PyDebug) WHERE {within} AND n:File{} RETURN {columns}", only("n.key")),
                _ => format!("MATCH (n:PyDebug) WHERE {within} AND NOT n:File{} RETURN {columns}", only("n.owner")),
            };
            let mut asked = query(&statement).param("gen", head.generation).param("project", project.as_str());
            if let Some(wanted) = &wanted {
                asked = asked.param("owners", list(wanted.iter().map(|key| key.as_str().into())));
            }
            let names: Vec<String> = (0..def.columns.len()).map(|at| format!("c{at}")).collect();
            let mut txn = graph.start_txn().await?;
            let mut stream = txn.execute(asked).await?;
            let mut one = Rows::default();
            while let Some(row) = stream.next(txn.handle()).await? {
                one.clear();
                let mut writer = one.row();
                for ((_, kind), name) in def.columns.iter().zip(&names) {
                    writer = match kind {
                        Type::Key | Type::NullKey => {
                            writer.key(row.get::<Option<String>>(name)?.map_or(Key::NONE, |text| unhex(&text)))
                        }
                        Type::Text => {
                            let text = row.get::<Option<String>>(name)?.unwrap_or_default();
                            writer.value(Value::Text(&text))
                        }
                        Type::Int | Type::NullInt => {
                            writer.value(Value::Int(row.get::<Option<i64>>(name)?.unwrap_or(NULL)))
                        }
                    };
                }
                writer.end();
                // The project's digest is asked for beside those of files, wanted or not.
                if table != TableId::Owners || owners.is_none_or(|owners| owners.contains(&super::rows::owner(table, one.get(0)))) {
                    found(one.get(0));
                }
            }
            txn.commit().await?;
            Ok(())
        })?;
        let updating = head.state.0 == UPDATING;
        if self.head_of(&project)? == Some((head.generation, head.revision, updating)) {
            Ok(())
        } else {
            Err(StoreError::moved())
        }
    }

    fn gc(&mut self, project: &str) -> Result<Collected> {
        self.with(async |graph| collect(graph, project, Keep::Nothing).await)
    }
}

impl Neo4j {
    /// The version of the schema and the head of a project, each where it is there.
    fn look(&mut self, project: &str) -> Result<(Option<i64>, Option<Head>)> {
        let key = hex(Key::project(project));
        self.with(async |graph| {
            let rows = once(
                graph,
                query("OPTIONAL MATCH (c:PyDebugCounter {name: 'schema'}) OPTIONAL MATCH (p:PyDebug {gen: 0, key: $key}) RETURN c.value AS version, p")
                    .param("key", key.as_str()),
            )
            .await?;
            let Some(row) = rows.first() else { return Ok((None, None)) };
            let version = row.get("version")?;
            let Some(project) = row.get::<Option<Node>>("p")? else { return Ok((version, None)) };
            let generation = project.get("head")?;
            if generation == 0 {
                return Ok((version, None));
            }
            let updating: bool = project.get("updating")?;
            let state = if updating { UPDATING.to_owned() } else { project.get("state")? };
            let outside = Digest::of_key(unhex(&project.get::<String>("digest")?));
            Ok((version, Some(Head { generation, revision: project.get("rev")?, state: State(state), outside })))
        })
    }

    /// The shown generation, its revision, and whether a delta is being written.
    fn head_of(&mut self, key: &str) -> Result<Option<(i64, i64, bool)>> {
        self.with(async |graph| {
            let rows = once(
                graph,
                query("MATCH (p:PyDebug {gen: 0, key: $key}) RETURN p.head AS head, p.rev AS rev, p.updating AS updating")
                    .param("key", key),
            )
            .await?;
            match rows.first() {
                Some(row) => Ok(Some((row.get("head")?, row.get("rev")?, row.get("updating")?))),
                None => Ok(None),
            }
        })
    }
}
