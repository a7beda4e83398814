//! The graph's digest: equal digests, equal graphs.
//!
//! Sum mod 2^256 of one Blake2b-256 a file over its module name, path, facts and links. A target is hashed as the key
//! of its module with its row there, which together with that module's own facts names the symbol: numbers that depend
//! on which other files exist never enter.

use super::Project;
use super::links::{LinkSchema, TargetKind, col as lcol, table as ltable};
use crate::model::block::View;

/// Sum of digests, mod 2^256.
#[derive(Debug, Default)]
pub(crate) struct Sum([u64; 4]);

impl Sum {
    pub(crate) fn add(&mut self, digest: &[u8; 32]) {
        let mut carry = 0u128;
        for (at, word) in self.0.iter_mut().enumerate() {
            let mut eight = [0; 8];
            eight.copy_from_slice(&digest[8 * at..8 * at + 8]);
            let sum = u128::from(*word) + u128::from(u64::from_le_bytes(eight)) + carry;
            *word = sum as u64;
            carry = sum >> 64;
        }
    }

    pub(crate) fn bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (at, word) in self.0.iter().enumerate() {
            bytes[8 * at..8 * at + 8].copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}

/// Digest of one file's rows.
pub(crate) fn file(project: &Project<'_>, file: u32, block: &[u8], name: &str) -> [u8; 32] {
    let mut state = blake2b_simd::Params::new().hash_length(32).to_state();
    let files = project.files;
    for text in [
        name,
        &project.table.root_names[usize::from(project.table.roots[file as usize])],
        project.table.name(file),
        files.path(file),
    ] {
        state.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
    }
    state.update(&[u8::from(project.facts(file).is_some())]).update(&files.facts_hash(file));
    let Some(links) = View::<{ lcol::COUNT }, { ltable::COUNT }>::new(
        block,
        <LinkSchema as crate::model::block::Schema>::TABLE_OF,
    ) else {
        return [0; 32];
    };
    let count = links.rows(ltable::Targets);
    let mut targets = Vec::with_capacity((count as usize * 9).min(2 * PIECE));
    let mut length = 0u64;
    // The length comes first; it is only what is too long to be held that is gone through twice.
    if count > MANY {
        (0..count).for_each(|row| length += push_target(project, &links, row, &mut Vec::new()));
        state.update(&length.to_le_bytes());
    }
    for row in 0..count {
        push_target(project, &links, row, &mut targets);
        if count > MANY && targets.len() >= PIECE {
            state.update(&targets);
            targets.clear();
        }
    }
    if count <= MANY {
        state.update(&(targets.len() as u64).to_le_bytes());
    }
    state.update(&targets);
    for table_rows in 0..ltable::COUNT {
        state.update(&links.rows(table_rows).to_le_bytes());
    }
    state.update(&block[4 * ltable::COUNT + lcol::TGT_ID + 1..4 * ltable::COUNT + lcol::COUNT]);
    state.update(links.after(lcol::TGT_ID));
    let mut digest = [0; 32];
    digest.copy_from_slice(state.finalize().as_bytes());
    digest
}

/// Targets that are held together.
const MANY: u32 = 1 << 17;
/// Bytes hashed at a time where there are more.
const PIECE: usize = 1 << 16;

type LinksView<'a> = View<'a, { lcol::COUNT }, { ltable::COUNT }>;

/// Appends what stands for a target; gives its length.
fn push_target(project: &Project<'_>, links: &LinksView<'_>, row: u32, out: &mut Vec<u8>) -> u64 {
    let before = out.len();
    let (kind, id) = (links.get(lcol::TGT_KIND, row), links.get(lcol::TGT_ID, row));
    out.push(kind as u8);
    if kind == TargetKind::Symbol as u32 {
        let (owner, row) = project.locate(id);
        out.extend_from_slice(project.table.name(owner).as_bytes());
        out.push(0);
        out.extend_from_slice(&row.to_le_bytes());
    } else {
        out.extend_from_slice(&id.to_le_bytes());
    }
    (out.len() - before) as u64
}
