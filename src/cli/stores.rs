//! What `pydebug store` does, as named values.

use super::host::{Answer, Request, StoreRequest};
use crate::config::UNNAMED;
use crate::engine::recovery::Recovery;
use crate::engine::{Analyzer, stores};
use crate::report::text;
use crate::store::projection::Projection;
use crate::store::{State, Store, neo4j};
use anyhow::Context as _;
use serde_json::json;
use std::path::Path;

/// Does what was asked.
pub(super) fn answer(
    request: &Request<'_>,
    command: StoreRequest,
    stores: &mut [Box<dyn Store>],
) -> anyhow::Result<Answer> {
    let project = request.config.project();
    let latest = Analyzer::new(request.config.clone()).paths(request.paths.iter().cloned()).latest()?;
    let mut answer = Answer::default();
    for store in stores {
        let (kind, place) = (store.kind(), store.place());
        let failed = || format!("{kind} at `{place}`");
        let value = match command {
            StoreRequest::Init => {
                store.init().with_context(failed)?;
                json!({ "place": place, "schema_version": crate::store::SCHEMA_VERSION })
            }
            StoreRequest::Status => {
                let head = store.head(project).with_context(failed)?;
                let current = latest.as_ref().map(|(graph, _)| State::of(graph));
                json!({
                    "place": place,
                    "project": project,
                    "generation": head.as_ref().map(|head| head.generation),
                    "revision": head.as_ref().map(|head| head.revision),
                    "graph_digest": head.as_ref().map(|head| head.state.digest()),
                    "current": current.is_some() && head.map(|head| head.state) == current,
                })
            }
            StoreRequest::Verify => {
                let (graph, scratch) = latest.as_ref().context(NO_GRAPH)?;
                let recovery = Recovery::default();
                let target = stores::Target {
                    code: graph,
                    previous: None,
                    scratch,
                    recovery: &recovery,
                    interrupt: &request.interrupt,
                };
                let verified = stores::verify(store.as_mut(), &target).with_context(failed)?;
                answer.found |= !verified.differences.is_empty();
                if answer.table.is_empty() {
                    answer
                        .table
                        .push(["store", "kind", "rows", "digest", "equal"].map(str::to_owned).to_vec());
                }
                for (kind_of_row, (rows, digest)) in &verified.digests {
                    let equal = if verified.unequal.contains(kind_of_row) { "no" } else { "yes" };
                    let rows = text::thousands(*rows);
                    answer.table.push(vec![
                        kind.to_owned(),
                        kind_of_row.clone(),
                        rows,
                        digest.clone(),
                        equal.to_owned(),
                    ]);
                }
                json!({
                    "place": place, "rows": verified.rows, "equal": verified.differences.is_empty(),
                    "differences": verified.differences, "digests": verified.digests,
                })
            }
            StoreRequest::Gc => {
                let collected = store.gc(project).with_context(failed)?;
                json!({ "place": place, "generations": collected.generations, "deferred": collected.deferred })
            }
        };
        answer.fields.push((kind, value));
    }
    Ok(answer)
}

const NO_GRAPH: &str =
    "no graph of this tree is kept; run `pydebug analyze` with the same paths, project and cache first";

/// Writes the last graph for Neo4j's own import.
pub(super) fn export(request: &Request<'_>, to: &Path) -> anyhow::Result<Answer> {
    let latest = Analyzer::new(request.config.clone()).paths(request.paths.iter().cloned()).latest()?;
    let (graph, scratch) = latest.context(NO_GRAPH)?;
    let mut projection = Projection::new(&graph);
    projection.index(&scratch);
    let (nodes, relationships) = neo4j::export(&projection, &State::of(&graph), to)
        .with_context(|| format!("cannot write to `{}`", to.display()))?;
    let fields = vec![
        ("nodes", nodes.into()),
        ("relationships", relationships.into()),
        ("command", neo4j::command(to).into()),
        ("replaces", "the whole database; `pydebug store init` makes its constraints afterwards".into()),
    ];
    Ok(Answer { fields, ..Answer::default() })
}

/// Stores name projects apart: one that has no name would take another's place.
pub(super) fn check_project(project: &str) -> anyhow::Result<()> {
    anyhow::ensure!(
        project != UNNAMED,
        "a store tells projects apart by name, and this one has none: give it with `--project`, or as `name` under `[project]` in pyproject.toml"
    );
    Ok(())
}
