//! Any bytes as a snapshot.

use super::*;
use crate::link::links;
use crate::model::block::Schema as _;

pub(crate) fn read(bytes: &[u8]) {
    if let Ok(graph) = CodeGraph::from_bytes(bytes.to_vec()) {
        walk(&graph);
    }
    if let Some(sealed) = put_right(bytes.to_vec()) {
        walk(&CodeGraph::from_bytes(sealed).expect("a snapshot that was put right"));
    }
}

/// Calls every accessor.
fn walk(graph: &CodeGraph) {
    let _ = (graph.key(), graph.digest(), graph.meta(), graph.is_empty());
    assert_eq!(graph.len() as usize, graph.files().len());
    for file in graph.files() {
        let _ = (file.path(), file.module(), file.kind(), file.status(), file.size(), file.parse_us());
        let _ = (file.key(), file.facts_hash(), graph.find(file.path()), graph.locate(file.symbol_base()));
        let _ = file.errors();
        if let Some(block) = file.facts_bytes() {
            let _ = crate::fuzzing::facts(block);
        }
        let Some(links) = file.links() else { continue };
        for (column, &table) in links::LinkSchema::TABLE_OF.iter().enumerate() {
            // A column that is all zeros takes no bytes, however many rows it claims.
            for row in 0..links.rows(usize::from(table)).min(1000) {
                links.get(column, row);
            }
        }
        for row in 0..links.rows(links::table::Targets).min(1000) {
            links.target(row);
        }
        for row in 0..links.rows(links::table::Strings).min(1000) {
            links.link_text(row);
        }
    }
}

/// Gives the bytes the header, places and checksums of a snapshot; `None` where they are too few.
fn put_right(mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    if bytes.len() < HEADER {
        return None;
    }
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    let place = |bytes: &[u8], section: usize| {
        let at = 80 + 24 * section;
        let start = u64_at(bytes, at) as usize % (bytes.len() + 1);
        start..start + (u64_at(bytes, at + 8) as usize).min(bytes.len() - start)
    };
    let mut sections = [place(&bytes, 0), place(&bytes, 1), place(&bytes, 2)];
    let rows = &mut sections[1];
    // Rows over the header would be changed by what is written there.
    rows.start = rows.start.max(HEADER).min(bytes.len());
    let count = rows.end.saturating_sub(rows.start) / ROW;
    rows.end = rows.start + count * ROW;
    bytes[12..16].copy_from_slice(&(count as u32).to_le_bytes());
    for row in (rows.start..rows.end).step_by(ROW) {
        let start = u64_at(&bytes, row + 16) as usize;
        let facts = start.saturating_add(u32_at(&bytes, row + 24) as usize);
        let links = facts.saturating_add(u32_at(&bytes, row + 28) as usize);
        if let (Some(one), Some(other)) = (bytes.get(start..facts), bytes.get(facts..links)) {
            let (one, other) = (xxh3_64(one), xxh3_64(other));
            bytes[row + 112..row + 120].copy_from_slice(&one.to_le_bytes());
            bytes[row + 120..row + 128].copy_from_slice(&other.to_le_bytes());
        }
    }
    if serde_json::from_slice::<Meta>(&bytes[sections[0].clone()]).is_err() || sections[0].start < HEADER {
        let meta = serde_json::to_vec(&Meta::default()).ok()?;
        sections[0] = bytes.len()..bytes.len() + meta.len();
        bytes.extend_from_slice(&meta);
    }
    if sections[2].start < HEADER {
        sections[2] = bytes.len()..bytes.len();
    }
    for (index, section) in sections.into_iter().enumerate() {
        let sum = xxh3_64(&bytes[section.clone()]);
        let numbers = [section.start as u64, section.len() as u64, sum];
        for (number, at) in numbers.into_iter().zip((80 + 24 * index..).step_by(8)) {
            bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
        }
    }
    let sum = xxh3_64(&bytes[..HEADER - 8]);
    bytes[HEADER - 8..HEADER].copy_from_slice(&sum.to_le_bytes());
    Some(bytes)
}
