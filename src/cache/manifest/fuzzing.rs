//! Any bytes as a manifest.

use super::super::file::{check_frame, frame};
use super::*;

/// Bytes before the payload.
const FRAME: usize = 32;

pub(crate) fn read(bytes: &[u8]) {
    if let Ok(framed) = check_frame(bytes.to_vec(), MAGIC, VERSION) {
        walk(framed);
    }
    let payload = bytes.get(FRAME..).unwrap_or_default();
    let framed = check_frame(frame(MAGIC, VERSION, payload), MAGIC, VERSION);
    walk(framed.expect("a frame just made"));
}

/// Reads everything that a manifest says.
fn walk(framed: Framed) {
    let Some(manifest) = Manifest::parse(framed) else { return };
    let (id, root) = (manifest.id(), manifest.root());
    let mut builder = ManifestBuilder::new(id, &root);
    for row in manifest.rows() {
        let _ = (manifest.find(row.path), manifest.os_path(&row));
        builder.push(&row);
    }
    let sorted = manifest.rows().is_sorted_by(|a, b| a.path < b.path);
    if sorted {
        assert!(manifest.rows().all(|row| manifest.find(row.path) == Some(row)), "every path is found");
        assert!(builder.finish().is(manifest.body()), "what was read is what is written");
    }
    let _ = (id.to_string(), manifest.trusted_before());
    let _ = partition(&Walked::default(), &manifest);
}
