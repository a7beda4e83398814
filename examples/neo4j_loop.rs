//! What a plain program does to fill Neo4j, for the bench to compare with: `neo4j_loop TREE CACHE PROJECT URI keyed` creates all nodes, then all
//! relationships, in `UNWIND` batches of 10,000 that find both ends by key; `... single N` creates N nodes and N relationships by a query each. The password is in
//! `PYDEBUG_NEO4J_PASSWORD`. Prints entities and seconds.

#![expect(clippy::print_stdout, reason = "it is what it is asked for")]

use neo4rs::{BoltList, BoltMap, BoltString, BoltType, ConfigBuilder, Graph, query};
use pydebug::store::projection::Projection;
use pydebug::store::rows::{NULL, Rows, TableId, Value, values};
use std::time::{Duration, Instant};

fn map(table: TableId, row: &[u8]) -> BoltType {
    let mut map = BoltMap::new();
    for ((name, _), value) in table.def().columns.iter().zip(values(table, row)) {
        let value: BoltType = match value {
            Value::Key(key) => key.to_string().into(),
            Value::Text(text) => text.into(),
            Value::Int(NULL) => continue,
            Value::Int(number) => number.into(),
        };
        map.put(BoltString::from(*name), value);
    }
    BoltType::Map(map)
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [tree, cache, project, uri, mode, rest @ ..] = arguments.as_slice() else {
        anyhow::bail!("usage: neo4j_loop TREE CACHE PROJECT URI keyed|single [N]");
    };
    let config = pydebug::config::Config::builder(tree)
        .flag(pydebug::config::Key::CacheDir, cache.as_str(), "CACHE")
        .flag(pydebug::config::Key::Project, project.as_str(), "PROJECT")
        .build()?;
    let latest = pydebug::engine::Analyzer::new(config).latest()?;
    let (code, _) = latest.ok_or_else(|| anyhow::anyhow!("nothing is kept of this tree"))?;
    let projection = Projection::new(&code);
    let mut nodes: Vec<(TableId, Rows)> = Vec::new();
    let mut edges: Vec<Rows> = Vec::new();
    projection.batches(&mut |batch| {
        match batch.table {
            TableId::Files | TableId::Symbols => nodes.push((batch.table, batch.rows)),
            TableId::Edges => edges.push(batch.rows),
            _ => {}
        }
        true
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let password = std::env::var("PYDEBUG_NEO4J_PASSWORD").unwrap_or_default();
        let config = ConfigBuilder::default().uri(uri).user("neo4j").password(password);
        let graph = Graph::connect(config.connection_timeout(Duration::from_secs(600)).build()?)?;
        graph.run(query("CREATE CONSTRAINT loop_key IF NOT EXISTS FOR (n:Loop) REQUIRE n.key IS UNIQUE")).await?;
        graph.run(query("MERGE (n:Loop {key: $key})").param("key", projection.project_key().to_string())).await?;
        let started = Instant::now();
        let limit = rest.first().map_or(Ok(usize::MAX), |text| text.parse())?;
        let size = if mode == "single" { 1 } else { 10_000 };
        let mut count = 0;
        for (table, rows) in &nodes {
            let all: Vec<BoltType> = rows.iter().map(|row| map(*table, row)).collect();
            for rows in all.chunks(size) {
                if mode == "single" && count >= limit {
                    break;
                }
                let rows = BoltType::List(BoltList::from(rows.to_vec()));
                graph.run(query("UNWIND $rows AS r CREATE (n:Loop) SET n = r").param("rows", rows)).await?;
                count += size.min(all.len());
            }
        }
        let mut made = 0;
        for rows in &edges {
            let all: Vec<BoltType> = rows.iter().map(|row| map(TableId::Edges, row)).collect();
            for rows in all.chunks(size) {
                if mode == "single" && made >= limit {
                    break;
                }
                let statement = "UNWIND $rows AS r MATCH (a:Loop {key: r.source}) MATCH (b:Loop {key: r.target}) CREATE (a)-[e:$(r.type)]->(b) SET e = r";
                let rows = BoltType::List(BoltList::from(rows.to_vec()));
                graph.run(query(statement).param("rows", rows)).await?;
                made += size.min(all.len());
            }
        }
        let total = if mode == "single" {
            2 * limit
        } else {
            nodes.iter().map(|(_, rows)| rows.len()).sum::<usize>() + edges.iter().map(Rows::len).sum::<usize>()
        };
        println!("{total} {}", started.elapsed().as_secs_f64());
        anyhow::Ok(())
    })
}
