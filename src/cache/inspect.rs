//! Looks into a cache for people: what is in it, whether it is whole, what it knows of one file.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::hash::{ContentHash, FactKey};
use super::manifest::Manifest;
use super::pack::Pack;
use super::{Cache, Record};
use crate::model::source::escape;

/// What a cache holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheInfo {
    /// Packs that can be read.
    pub packs: u64,
    /// Packs that can't.
    pub bad_packs: u64,
    /// Records, copies of one key counted once.
    pub records: u64,
    /// Records that some manifest names.
    pub live_records: u64,
    /// Bytes of records as stored.
    pub stored_bytes: u64,
    /// Bytes of records before compression.
    pub raw_bytes: u64,
    /// Manifests that can be read.
    pub manifests: u64,
    /// Files in all manifests.
    pub files: u64,
    /// Snapshots of all generations.
    pub snapshots: u64,
    /// Bytes of all files of the cache.
    pub total_bytes: u64,
    /// Bytes above which gc evicts.
    pub max_bytes: u64,
}

/// Whether a cache is whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Packs looked at.
    pub packs: u64,
    /// Records whose checksum was computed and which were decompressed.
    pub records: u64,
    /// Their bytes before compression.
    pub raw_bytes: u64,
    /// Manifests looked at.
    pub manifests: u64,
    /// Each damaged file or record, with what is wrong with it.
    pub damaged: Vec<(PathBuf, String)>,
    /// Keys that a manifest names and no pack has: not an error, these files are parsed again when needed.
    pub absent: u64,
}

/// What the cache knows of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheEntry {
    /// The root of the manifest.
    pub root: PathBuf,
    /// Relative to the root, escaped.
    pub path: String,
    /// Of the bytes.
    pub content_hash: ContentHash,
    /// Of the stat.
    pub metadata_hash: u64,
    /// Where its facts are.
    pub key: FactKey,
    /// The engine's own.
    pub status: u32,
    /// Microseconds.
    pub parse_duration_us: u32,
    /// When its facts were made, seconds since 1970.
    pub created: u64,
    /// Days since 1970.
    pub accessed_day: u32,
    /// Its facts, if they are there and right.
    pub record: Option<Record>,
}

impl Cache {
    fn manifests(&self) -> impl Iterator<Item = (PathBuf, Result<Manifest, String>)> {
        self.files("manifests", "manifest").into_iter().map(|path| {
            let manifest = Manifest::read(&path).map_err(|error| error.to_string());
            (path, manifest)
        })
    }

    fn named_keys(&self) -> HashSet<FactKey> {
        self.manifests()
            .filter_map(|(_, manifest)| manifest.ok())
            .flat_map(|manifest| manifest.rows().map(|row| row.key).collect::<Vec<_>>())
            .collect()
    }

    /// Counts what is there; reads indexes and manifests only.
    #[must_use]
    pub fn info(&self) -> CacheInfo {
        let index = self.index();
        let mut info = CacheInfo {
            packs: index.packs.len() as u64,
            bad_packs: (self.files("packs", "pack").len() as u64).saturating_sub(index.packs.len() as u64),
            records: index.places.len() as u64,
            snapshots: self.files("snapshots", "snap").len() as u64,
            total_bytes: self.size(),
            max_bytes: self.options.max_size_mb.saturating_mul(1 << 20),
            ..CacheInfo::default()
        };
        for entry in index.packs.iter().flat_map(Pack::entries) {
            info.stored_bytes += entry.stored_len;
            info.raw_bytes = info.raw_bytes.saturating_add(entry.raw_len);
        }
        info.live_records = self.named_keys().iter().filter(|key| index.place(key).is_some()).count() as u64;
        for manifest in self.manifests().filter_map(|(_, manifest)| manifest.ok()) {
            info.manifests += 1;
            info.files += manifest.len() as u64;
        }
        info
    }

    /// Reads everything and checks every checksum; changes nothing, but a later [`Cache::gc`] mends what was found.
    #[must_use]
    pub fn verify(&self) -> VerifyReport {
        let mut report = VerifyReport::default();
        let mut keys = HashSet::new();
        for path in self.files("packs", "pack") {
            report.packs += 1;
            let pack = match Pack::open(path.clone()) {
                Ok(pack) => pack,
                Err(error) if error.is_missing() => continue,
                Err(error) => {
                    self.note_damage(&path, &error);
                    report.damaged.push((path, error.to_string()));
                    continue;
                }
            };
            for entry in pack.entries() {
                report.records += 1;
                match pack.verify(&entry, self.options.max_record_bytes) {
                    Ok(raw) => {
                        report.raw_bytes += raw;
                        keys.insert(entry.key);
                    }
                    Err(error) => {
                        self.note_damage(&path, &error);
                        report.damaged.push((path.clone(), error.to_string()));
                    }
                }
            }
        }
        for (path, manifest) in self.manifests() {
            report.manifests += 1;
            if let Err(error) = manifest {
                report.damaged.push((path, error));
            }
        }
        report.absent = self.named_keys().iter().filter(|key| !keys.contains(*key)).count() as u64;
        report
    }

    /// What the cache knows of a file (absolute path), one entry for each manifest that names it.
    #[must_use]
    pub fn show(&self, file: &Path) -> Vec<CacheEntry> {
        let mut entries = Vec::new();
        for manifest in self.manifests().filter_map(|(_, manifest)| manifest.ok()) {
            let root = manifest.root();
            let Ok(relative) = file.strip_prefix(&root) else { continue };
            let Some(row) = manifest.find(&escape(relative.as_os_str())) else { continue };
            entries.push(CacheEntry {
                path: row.path.to_owned(),
                content_hash: row.content_hash,
                metadata_hash: row.metadata_hash,
                key: row.key,
                status: row.status,
                parse_duration_us: row.parse_duration_us,
                created: row.created,
                accessed_day: row.accessed_day,
                record: self.find(&row.key),
                root,
            });
        }
        entries
    }
}
