//! Keeps the cache within its size: evicts packs nobody names, least recently used first, and merges small ones.
//!
//! Spared are packs that a current manifest names (rewritten without their dead records where that helps) and packs
//! younger than an hour, whose run may not have written its manifest yet. One process at a time does this; others
//! go on reading and writing meanwhile.

use std::collections::{HashMap, HashSet};
use std::fs::{self, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::file::TEMP_PREFIX;
use super::hash::FactKey;
use super::manifest::Manifest;
use super::pack::{Pack, PackError, PackFile};
use super::{Cache, CacheWarning, locked, now_seconds};
use crate::sys::open_regular_with;

const HOUR: u64 = 3600;
const DAY: u64 = 86_400;
/// A manifest that no run used for so long names nothing worth sparing.
const MANIFEST_DAYS: u64 = 30;
/// Packs below this size are merged once there are too many.
const SMALL_PACK: u64 = 4 << 20;
const MANY_SMALL: usize = 32;
/// Generations of a snapshot that are kept: the current one and that which a reader may be about to open.
const SNAPSHOTS: usize = 2;

/// What gc did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GcReport {
    /// Another process was at it, so nothing was done.
    pub busy: bool,
    /// Bytes before.
    pub bytes_before: u64,
    /// Bytes after.
    pub bytes_after: u64,
    /// Packs deleted with all their records.
    pub packs_evicted: u64,
    /// Packs that were rewritten into others.
    pub packs_compacted: u64,
    /// Manifests of roots that are gone or long unused.
    pub manifests_removed: u64,
    /// Old generations of snapshots.
    pub snapshots_removed: u64,
    /// Leftovers of killed processes.
    pub temporaries_removed: u64,
    /// Damaged packs, removed or rewritten without what is damaged in them.
    pub packs_mended: u64,
}

/// The id and generation in a snapshot's file name.
pub(crate) fn snapshot_name(path: &Path) -> Option<(&str, u64)> {
    let mut parts = path.file_stem()?.to_str()?.split('-');
    Some((parts.next()?, u64::from_str_radix(parts.next()?, 16).ok()?))
}

fn modified(path: &Path) -> Option<u64> {
    let time = path.symlink_metadata().ok()?.modified().ok()?;
    Some(time.duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs()))
}

struct Candidate {
    pack: Pack,
    live: u64,
    dead: u64,
    used_day: u64,
}

impl Cache {
    /// Bytes of everything kept.
    #[must_use]
    pub fn size(&self) -> u64 {
        ["packs", "manifests", "snapshots"]
            .iter()
            .filter_map(|folder| self.sub(folder)?.read_dir().ok())
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len()))
            .sum()
    }

    /// What a run does at its end, if it wrote anything: gc where the cache is too large, in too many pieces or damaged.
    pub fn maintain(&self) -> Option<GcReport> {
        let too_many = self.files("packs", "pack").len() > MANY_SMALL;
        let damaged = !locked(&self.damaged).is_empty();
        (self.is_enabled() && (too_many || damaged || self.size() > self.limit())).then(|| self.gc())
    }

    fn limit(&self) -> u64 {
        self.options.max_size_mb.saturating_mul(1 << 20)
    }

    /// Removes what is stale, merges small packs and, above the size limit, evicts.
    pub fn gc(&self) -> GcReport {
        self.gc_at(now_seconds())
    }

    pub(crate) fn gc_at(&self, now: u64) -> GcReport {
        let mut report = GcReport { bytes_before: self.size(), ..GcReport::default() };
        report.bytes_after = report.bytes_before;
        let Some(lock_path) = self.sub("lock") else { return report };
        let lock = match open_regular_with(
            OpenOptions::new().create(true).truncate(false).write(true),
            &lock_path,
        ) {
            Ok(lock) => lock,
            Err(error) => {
                self.warn_write(&lock_path, &error);
                return report;
            }
        };
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                report.busy = true;
                return report;
            }
            Err(TryLockError::Error(error)) => {
                // Some network file systems have no locks; two at once would cost misses, so better none.
                self.warn_write(&lock_path, &error);
                return report;
            }
        }
        self.remove_temporaries(now, &mut report);
        let named = self.current_keys(now, &mut report);
        self.remove_snapshots(now, &mut report);
        let packs = self.open_packs().0;
        self.mend(&mut report);
        // Those that were mended have other names now.
        let packs = if report.packs_mended > 0 { self.open_packs().0 } else { packs };
        self.shrink(packs, &named, now, &mut report);
        *locked(&self.index) = None;
        report.bytes_after = self.size();
        if report.bytes_after > self.limit() {
            self.warn(CacheWarning::OverLimit {
                used_mb: report.bytes_after >> 20,
                max_mb: self.options.max_size_mb,
            });
        }
        report
    }

    fn remove_temporaries(&self, now: u64, report: &mut GcReport) {
        for dir in ["packs", "manifests", "snapshots"].iter().filter_map(|folder| self.sub(folder)) {
            for entry in dir.read_dir().into_iter().flatten().flatten() {
                let temporary = entry.file_name().to_string_lossy().starts_with(TEMP_PREFIX);
                let old = modified(&entry.path()).is_some_and(|at| at + DAY < now);
                if temporary && old && fs::remove_file(entry.path()).is_ok() {
                    report.temporaries_removed += 1;
                }
            }
        }
    }

    /// The keys that current manifests name, with the day of their last use. Removes the other manifests.
    fn current_keys(&self, now: u64, report: &mut GcReport) -> HashMap<FactKey, u64> {
        let mut named = HashMap::new();
        for path in self.files("manifests", "manifest") {
            let Ok(manifest) = Manifest::read(&path) else {
                // Damaged or of another version: whoever wrote it is the one to replace it; it protects nothing.
                continue;
            };
            let age = now.saturating_sub(modified(&path).unwrap_or(now));
            let gone = age > HOUR && !manifest.root().is_dir();
            if gone || age > MANIFEST_DAYS * DAY {
                if fs::remove_file(&path).is_ok() {
                    report.manifests_removed += 1;
                }
                continue;
            }
            for row in manifest.rows() {
                let day = named.entry(row.key).or_insert(0);
                *day = u64::from(row.accessed_day).max(*day);
            }
        }
        let ids = self.manifest_stems();
        for path in self.files("manifests", "dirs") {
            if !path.file_stem().is_some_and(|stem| ids.contains(&*stem.to_string_lossy()))
                && modified(&path).is_some_and(|at| at + HOUR < now)
            {
                // It can be rebuilt, so a failure to remove it does not matter.
                fs::remove_file(&path).ok();
            }
        }
        named
    }

    fn manifest_stems(&self) -> HashSet<String> {
        let stem = |path: PathBuf| Some(path.file_stem()?.to_str()?.to_owned());
        self.files("manifests", "manifest").into_iter().filter_map(stem).collect()
    }

    /// Removes old generations of one manifest's snapshot; a run does it after writing a new one. Readers that have
    /// an old one open or mapped keep it.
    pub fn prune_snapshots(&self, id: &super::ManifestId) -> u64 {
        let old = self.snapshots(id);
        old.iter().skip(SNAPSHOTS).filter(|(_, path)| fs::remove_file(path).is_ok()).count() as u64
    }

    fn remove_snapshots(&self, now: u64, report: &mut GcReport) {
        let manifests = self.manifest_stems();
        let mut generations: HashMap<String, Vec<(u64, PathBuf)>> = HashMap::new();
        for path in self.files("snapshots", "snap") {
            if let Some((stem, generation)) = snapshot_name(&path) {
                generations.entry(stem.to_owned()).or_default().push((generation, path.clone()));
            }
        }
        for (stem, mut files) in generations {
            files.sort_unstable_by(|a, b| b.cmp(a));
            // One without a manifest may be just about to get it.
            let keep = if manifests.contains(&stem) { SNAPSHOTS } else { 0 };
            let young = |path: &Path| modified(path).is_none_or(|at| at + HOUR > now);
            for (_, path) in files.iter().skip(keep) {
                if (keep > 0 || !young(path)) && fs::remove_file(path).is_ok() {
                    report.snapshots_removed += 1;
                }
            }
        }
    }

    /// Removes the packs found damaged, so that nobody stumbles over them again; what is whole in them is kept.
    fn mend(&self, report: &mut GcReport) {
        let damaged = std::mem::take(&mut *locked(&self.damaged));
        for path in damaged {
            let mended = match Pack::open(path.clone()) {
                Ok(pack) => self.rewrite(&[pack], |_| true),
                Err(error) => u64::from(error.is_damage() && fs::remove_file(&path).is_ok()),
            };
            report.packs_mended += mended;
        }
        // Rewriting finds the same damage again.
        locked(&self.damaged).clear();
    }

    fn shrink(&self, packs: Vec<Pack>, named: &HashMap<FactKey, u64>, now: u64, report: &mut GcReport) {
        let mut packs: Vec<Candidate> = packs.into_iter().map(|pack| survey(pack, named)).collect();
        let mut total = self.size();
        packs.sort_by_key(|candidate| candidate.used_day);
        let young = |pack: &Pack| pack.modified + HOUR > now;
        let mut kept = Vec::new();
        for candidate in packs {
            let evict = total > self.limit() && candidate.live == 0 && !young(&candidate.pack);
            if evict && fs::remove_file(&candidate.pack.path).is_ok() {
                total = total.saturating_sub(candidate.pack.size);
                report.packs_evicted += 1;
            } else {
                kept.push(candidate);
            }
        }
        // Above the limit, dead records are dropped, from the packs that have most of them first.
        kept.sort_by_key(|candidate| std::cmp::Reverse(candidate.dead));
        let mut rest = Vec::new();
        for candidate in kept {
            if total > self.limit() && candidate.dead > 0 && !young(&candidate.pack) {
                total = total.saturating_sub(candidate.dead);
                report.packs_compacted += self.rewrite(&[candidate.pack], |key| named.contains_key(key));
            } else {
                rest.push(candidate.pack);
            }
        }
        rest.retain(|pack| pack.size < SMALL_PACK);
        if rest.len() > MANY_SMALL / 2 {
            rest.sort_by_key(|pack| std::cmp::Reverse(pack.modified));
            report.packs_compacted += self.rewrite(&rest, |_| true);
        }
    }

    /// Copies the wanted records of some packs into a new one, then deletes them. Damaged records are dropped.
    /// Returns how many were deleted.
    fn rewrite(&self, packs: &[Pack], wanted: impl Fn(&FactKey) -> bool) -> u64 {
        let Some(dir) = self.sub("packs") else { return 0 };
        let write = || -> std::io::Result<Option<PathBuf>> {
            let mut file = PackFile::create(&dir)?;
            for pack in packs {
                for entry in pack.entries().filter(|entry| wanted(&entry.key)) {
                    match file.append_from(pack, &entry) {
                        Ok(_) => {}
                        // Where it was half written, what follows would stand elsewhere than is noted.
                        Err(PackError::Io(error)) => return Err(error),
                        Err(error) => self.warn_pack(&pack.path, &error),
                    }
                }
            }
            Ok(file.finish()?.map(|(path, _)| path))
        };
        match write() {
            Ok(new) => {
                let old = packs.iter().filter(|pack| Some(&pack.path) != new.as_ref());
                old.filter(|pack| fs::remove_file(&pack.path).is_ok()).count() as u64
            }
            Err(error) => {
                self.warn_write(&dir, &error);
                0
            }
        }
    }

    /// Deletes everything kept, other than the directory itself. Returns the bytes freed. A run going on at the
    /// same time may write again.
    pub fn clean(&self) -> u64 {
        let before = self.size();
        for dir in ["packs", "manifests", "snapshots"].iter().filter_map(|folder| self.sub(folder)) {
            for entry in dir.read_dir().into_iter().flatten().flatten() {
                if let Err(error) = fs::remove_file(entry.path()) {
                    self.warn_write(&entry.path(), &error);
                }
            }
        }
        *locked(&self.index) = None;
        before.saturating_sub(self.size())
    }
}

fn survey(pack: Pack, named: &HashMap<FactKey, u64>) -> Candidate {
    let (mut live, mut dead, mut used_day) = (0, 0, pack.modified / DAY);
    for entry in pack.entries() {
        match named.get(&entry.key) {
            Some(&day) => {
                live += entry.stored_len;
                used_day = used_day.max(day);
            }
            None => dead += entry.stored_len,
        }
    }
    // An empty record is live as well.
    live = live.max(u64::from(pack.entries().any(|entry| named.contains_key(&entry.key))));
    Candidate { pack, live, dead, used_day }
}
