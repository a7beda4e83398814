//! What the walk found in each directory, kept from run to run.
//!
//! A directory whose stat is unchanged has the same names in it, so one `stat` replaces open, read and close
//! (git's "untracked cache"). Only names are kept: every file is still stat'ed, every ignore file read.
//! A directory changed so shortly before it was read that a further change might carry the same time is not kept.
//! This module must not touch the file system.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::Stat;

/// What a directory entry is to the walk; entries that are none of these are not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum EntryKind {
    Dir = 0,
    /// A regular file with a Python suffix.
    Source = 1,
    /// A symbolic link of any name.
    Symlink = 2,
    /// A FIFO, socket or device with a Python suffix.
    Special = 3,
}

/// Names with a meaning for the walk that a directory holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Markers(u8);

impl Markers {
    pub(super) const GITIGNORE: u8 = 1;
    pub(super) const GIT: u8 = 2;
    pub(super) const PYVENV: u8 = 4;
    pub(super) const CACHEDIR_TAG: u8 = 8;
    pub(super) const INIT: u8 = 16;

    pub(super) fn note(&mut self, name: &[u8]) {
        self.0 |= match name {
            b".gitignore" => Self::GITIGNORE,
            b".git" => Self::GIT,
            b"pyvenv.cfg" => Self::PYVENV,
            b"CACHEDIR.TAG" => Self::CACHEDIR_TAG,
            b"__init__.py" => Self::INIT,
            _ => 0,
        };
    }

    pub(super) fn has(self, marker: u8) -> bool {
        self.0 & marker != 0
    }
}

/// The entries of one directory: for each its kind, the length of its name (two bytes) and the name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    pub(super) markers: Markers,
    pub(super) entries: Vec<u8>,
}

impl Listing {
    pub(super) fn push(&mut self, kind: EntryKind, name: &OsStr) {
        let name = name.as_bytes();
        let Ok(length) = u16::try_from(name.len()) else { return };
        self.entries.push(kind as u8);
        self.entries.extend_from_slice(&length.to_le_bytes());
        self.entries.extend_from_slice(name);
    }
}

/// Reads what [`Listing::push`] wrote; ends at the first thing it did not.
pub(super) fn entries(mut bytes: &[u8]) -> impl Iterator<Item = (EntryKind, &OsStr)> {
    std::iter::from_fn(move || {
        let (head, rest) = bytes.split_first_chunk::<3>()?;
        let kind = match head[0] {
            0 => EntryKind::Dir,
            1 => EntryKind::Source,
            2 => EntryKind::Symlink,
            3 => EntryKind::Special,
            _ => return None,
        };
        let (name, rest) = rest.split_at_checked(u16::from_le_bytes([head[1], head[2]]).into())?;
        bytes = rest;
        Some((kind, OsStr::from_bytes(name)))
    })
}

/// One directory that was read in this run.
#[derive(Debug)]
pub(super) struct Fresh {
    pub(super) path: String,
    pub(super) stat: Stat,
    pub(super) listing: Listing,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    path: (u32, u32),
    entries: (u32, u32),
    stat: u64,
    markers: Markers,
}

/// The directories of a tree as an earlier walk found them. Opaque bytes to whoever stores it
/// ([`crate::cache::Cache::store_listings`]).
#[derive(Debug, Default)]
pub struct Listings {
    bytes: Vec<u8>,
    /// Sorted by path.
    rows: Vec<Row>,
}

const VERSION: u32 = 1;
const ROW: usize = 4 + 4 + 8 + 1;

impl Listings {
    /// How many directories are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether no directory is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn slice(&self, (start, end): (u32, u32)) -> &[u8] {
        self.bytes.get(start as usize..end as usize).unwrap_or_default()
    }

    /// The number of the row of directory `path`.
    pub(super) fn find(&self, path: &str) -> Option<usize> {
        self.rows.binary_search_by(|row| self.slice(row.path).cmp(path.as_bytes())).ok()
    }

    /// What directory number `row` held, if its stat still is `stat`.
    pub(super) fn get(&self, row: usize, stat: &Stat) -> Option<(Markers, &[u8])> {
        let row = self.rows.get(row)?;
        (row.stat == stat.metadata_hash()).then(|| (row.markers, self.slice(row.entries)))
    }

    /// This run's listings: the rows reused and the directories read. `trusted_before`: in ns since 1970; a
    /// directory changed at or after it is not kept.
    pub(super) fn next(&self, reused: &[u32], fresh: &[Fresh], trusted_before: i64) -> Self {
        let mut all: Vec<(&[u8], u64, Markers, &[u8])> = reused
            .iter()
            .map(|&row| {
                let row = &self.rows[row as usize];
                (self.slice(row.path), row.stat, row.markers, self.slice(row.entries))
            })
            .chain(fresh.iter().filter(|dir| dir.stat.changed_ns() < trusted_before).map(|dir| {
                let listing = &dir.listing;
                (dir.path.as_bytes(), dir.stat.metadata_hash(), listing.markers, &listing.entries[..])
            }))
            .collect();
        all.sort_unstable_by_key(|dir| dir.0);
        all.dedup_by_key(|dir| dir.0);
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&(all.len() as u32).to_le_bytes());
        for (path, stat, markers, entries) in &all {
            bytes.extend_from_slice(&(path.len() as u32).to_le_bytes());
            bytes.extend_from_slice(&(entries.len() as u32).to_le_bytes());
            bytes.extend_from_slice(&stat.to_le_bytes());
            bytes.push(markers.0);
        }
        for (path, _, _, entries) in &all {
            bytes.extend_from_slice(path);
            bytes.extend_from_slice(entries);
        }
        Self::decode(bytes).unwrap_or_default()
    }

    /// The stored form.
    #[must_use]
    pub fn encode(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads the stored form; `None` if it is not one.
    #[must_use]
    pub fn decode(bytes: Vec<u8>) -> Option<Self> {
        let u32_at = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
        if u32::try_from(bytes.len()).is_err() || u32_at(0)? != VERSION {
            return None;
        }
        let count = u32_at(4)? as usize;
        let data = count.checked_mul(ROW)?.checked_add(8).filter(|&data| data <= bytes.len())?;
        let mut rows = Vec::with_capacity(count);
        let mut at = data as u32;
        for row in bytes[8..data].chunks_exact(ROW) {
            let path = (at, at.checked_add(u32::from_le_bytes(*row.first_chunk()?))?);
            let entries = (path.1, path.1.checked_add(u32::from_le_bytes(*row[4..].first_chunk()?))?);
            let stat = u64::from_le_bytes(*row[8..].first_chunk()?);
            rows.push(Row { path, entries, stat, markers: Markers(row[16]) });
            at = entries.1;
        }
        (at as usize == bytes.len()).then_some(Self { bytes, rows })
    }
}
