//! Doors for the targets in `fuzz/`: readers of bytes that anyone may have written, which must refuse or read them,
//! never panic.
//!
//! What is checksummed is read twice: as it stands, and with checksums put right, for hardly any change of a
//! checksummed file comes past them otherwise.

use crate::model::check;
use crate::model::facts::{Facts, table};
use crate::model::json;

/// Rows of a table that are written as values: columns that are all zeros take no bytes, however many rows they claim.
const ROWS: u32 = 1 << 16;

/// Reads a block of facts as far as its check allows.
///
/// # Errors
/// What the check says.
pub fn facts(block: &[u8]) -> Result<(), String> {
    let facts = Facts::open(block).ok_or("no facts")?;
    if (0..table::COUNT).any(|table| facts.rows(table) > ROWS) {
        return Err("more rows than are gone through here".to_owned());
    }
    check::facts(&facts)?;
    let _ = json::module(&facts);
    let _ = json::relationships(&facts);
    for scope in 0..facts.rows(table::Scopes) {
        facts.bindings_of(scope);
    }
    let text = json::to_json(block)?.to_string();
    assert!(json::from_json(&text)? == block, "facts that come back from JSON are those that went there");
    Ok(())
}

/// Reads a pack of records.
pub fn pack(bytes: &[u8]) {
    crate::cache::pack_fuzzing::read(bytes);
}

/// Reads a manifest.
pub fn manifest(bytes: &[u8]) {
    crate::cache::manifest_fuzzing::read(bytes);
}

/// Reads a snapshot.
pub fn snapshot(bytes: &[u8]) {
    crate::store::snapshot::fuzzing::read(bytes);
}

/// Reads a `pyproject.toml` and settles the configuration that it asks for.
pub fn pyproject(text: &str) {
    crate::config::pyproject_fuzzing::read(text);
}
