use super::*;
use crate::model::source::FileKind;
use crate::walk::{Stat, WalkOptions, Walked, walk};
use proptest::prelude::*;
use std::fs;

fn open(dir: &Path) -> Cache {
    let cache = Cache::open(&dir.join("cache"), CacheOptions::default());
    assert!(cache.is_enabled(), "{:?}", cache.take_warnings());
    cache
}

fn key(text: &str) -> FactKey {
    FactKey::new(&ContentHash::of(text.as_bytes()), FileKind::Py, 1, b"", &[])
}

/// Facts of `text`: not compressible, so that sizes are known.
fn facts(text: &str) -> Vec<u8> {
    (0..64_u8).flat_map(|n| ContentHash::of(&[text.as_bytes(), &[n]].concat()).0).collect()
}

fn put(cache: &Cache, texts: &[&str]) -> u64 {
    let writer = cache.pack_writer();
    let mut compressor = Compressor::new(DEFAULT_LEVEL).unwrap();
    for text in texts {
        let raw = facts(text);
        let meta = RecordMeta { parse_duration_us: 5, created: now_seconds() };
        writer.append(&key(text), &compressor.compress(&raw), meta);
    }
    writer.finish()
}

fn has(cache: &Cache, text: &str) -> bool {
    match cache.get(&key(text)) {
        Some(record) => {
            assert_eq!(*record.raw, facts(text)[..]);
            true
        }
        None => false,
    }
}

fn row(path: &str, stat: u64) -> ManifestRow<'_> {
    ManifestRow {
        path,
        metadata_hash: stat,
        content_hash: ContentHash::of(path.as_bytes()),
        key: key(path),
        parse_duration_us: 3,
        status: 9,
        created: 1,
        accessed_day: today(),
    }
}

/// Stores a manifest for `root` that names `texts`.
fn name_in_manifest(cache: &Cache, root: &Path, texts: &[&str]) -> ManifestId {
    let id = ManifestId::new(root, b"");
    let mut builder = ManifestBuilder::new(id, root);
    texts.iter().for_each(|text| builder.push(&row(text, 0)));
    assert!(cache.store_manifest(builder, &Manifest::default(), 0, true));
    id
}

#[test]
fn records_come_back_in_this_run_and_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    assert!(!has(&cache, "a"));
    assert!(put(&cache, &["a", "b", "a"]) > 0);
    assert!(has(&cache, "a"));
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.stored_records, stats.saved_us), (1, 1, 2, 5));
    assert!(has(&open(dir.path()), "b"));
    assert_eq!(
        fs::read_to_string(dir.path().join("cache/.gitignore")).unwrap(),
        "# Written by pydebug.\n*\n"
    );
    assert!(
        fs::read_to_string(dir.path().join("cache/CACHEDIR.TAG")).unwrap().starts_with("Signature: 8a47")
    );
    assert_eq!(cache.take_warnings(), []);
}

#[test]
fn a_directory_that_cannot_be_used_disables_the_cache() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    for path in [dir.path().join("file/cache"), dir.path().to_path_buf()] {
        let cache = Cache::open(&path, CacheOptions::default());
        assert!(!cache.is_enabled());
        assert!(matches!(cache.take_warnings()[..], [CacheWarning::Disabled { .. }]));
        assert_eq!(put(&cache, &["a"]), 0);
        assert!(!has(&cache, "a"));
        assert!(cache.load_manifest(&ManifestId::default()).is_empty());
        assert_eq!(cache.gc().bytes_before, 0);
    }
    assert!(!dir.path().join(".gitignore").exists(), "a directory with other files is left alone");
}

#[test]
fn a_damaged_or_missing_pack_is_a_miss() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    put(&cache, &["a"]);
    put(&cache, &["b"]);
    put(&cache, &["c"]);
    let packs = cache.files("packs", "pack");
    let mut bytes = fs::read(&packs[0]).unwrap();
    bytes[40] ^= 1;
    fs::write(&packs[0], bytes).unwrap();
    fs::write(&packs[1], b"short").unwrap();
    let cache = open(dir.path());
    assert_eq!(["a", "b", "c"].iter().filter(|text| has(&cache, text)).count(), 1);
    assert_eq!((cache.stats().misses, cache.stats().corrupt), (2, 2));
    assert_eq!(cache.take_warnings().len(), 2);
    let report = cache.verify();
    assert_eq!((report.packs, report.damaged.len()), (3, 2));
    fs::remove_file(&packs[2]).unwrap();
    let cache = open(dir.path());
    assert!(["a", "b", "c"].iter().all(|text| !has(&cache, text)));
    // Stored again, it is found again, although the damaged copy is still there.
    put(&cache, &["a", "b", "c"]);
    assert!(["a", "b", "c"].iter().all(|text| has(&cache, text)));
}

#[test]
fn damaged_packs_are_mended_once() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    put(&cache, &["a", "b"]);
    put(&cache, &["c"]);
    let mut packs = cache.files("packs", "pack");
    packs.sort_by_key(|path| std::cmp::Reverse(fs::metadata(path).unwrap().len()));
    let mut bytes = fs::read(&packs[0]).unwrap();
    bytes[40] ^= 1;
    fs::write(&packs[0], bytes).unwrap();
    fs::write(&packs[1], b"short").unwrap();
    let cache = open(dir.path());
    assert_eq!(["a", "b", "c"].map(|text| has(&cache, text)), [false, true, false]);
    let report = cache.maintain().unwrap();
    assert_eq!((report.packs_mended, report.packs_evicted), (2, 0));
    let cache = open(dir.path());
    assert_eq!(["a", "b", "c"].map(|text| has(&cache, text)), [false, true, false]);
    assert_eq!((cache.take_warnings(), cache.verify().damaged), (vec![], vec![]));
    assert!(cache.maintain().is_none());
}

#[test]
fn a_cache_that_leads_elsewhere_is_not_used() {
    let dir = tempfile::tempdir().unwrap();
    let victim = dir.path().join("victim");
    fs::create_dir(&victim).unwrap();
    fs::write(victim.join("precious"), "mine").unwrap();
    for link in ["", "packs", "manifests", "snapshots"] {
        let root = dir.path().join(format!("hostile-{link}"));
        let link = root.join(FORMAT_DIR).join(link);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        let link = link.components().collect::<PathBuf>();
        std::os::unix::fs::symlink(&victim, &link).unwrap();
        let cache = Cache::open(&root, CacheOptions::default());
        assert!(!cache.is_enabled(), "{}", link.display());
        assert!(cache.take_warnings()[0].to_string().contains("is a symbolic link"));
        cache.clean();
        cache.gc_at(later());
    }
    assert_eq!(fs::read_dir(&victim).unwrap().count(), 1);
    // Nor is what stands in the place of single files.
    let cache = open(dir.path());
    let lock = cache.sub("lock").unwrap();
    std::os::unix::fs::symlink(dir.path().join("made"), &lock).unwrap();
    cache.gc();
    assert!(!dir.path().join("made").exists());
    assert!(cache.take_warnings()[0].to_string().contains("not a regular file"));
}

#[test]
fn two_runs_at_once_write_two_snapshots() {
    let dir = tempfile::tempdir().unwrap();
    let (cache, id) = (open(dir.path()), ManifestId::new(dir.path(), b""));
    let paths = [1, 1].map(|generation| cache.snapshot_path(&id, generation).unwrap());
    assert_ne!(paths[0], paths[1]);
    for path in &paths {
        fs::write(path, "graph").unwrap();
    }
    fs::write(cache.snapshot_path(&id, u64::MAX).unwrap(), "no next one").unwrap();
    assert_eq!(cache.snapshots(&id).iter().map(|file| file.0).collect::<Vec<_>>(), [1, 1]);
}

#[test]
fn writers_at_once_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for process in 0..6 {
            let dir = dir.path();
            scope.spawn(move || {
                let cache = open(dir);
                for round in 0..4 {
                    put(&cache, &[&format!("{process}-{round}"), "shared"]);
                    name_in_manifest(
                        &cache,
                        &dir.join(format!("root{process}")),
                        &[&format!("{process}-{round}")],
                    );
                    cache.gc();
                }
            });
        }
    });
    let cache = open(dir.path());
    for process in 0..6 {
        assert!((0..4).all(|round| has(&cache, &format!("{process}-{round}"))));
        let id = ManifestId::new(&dir.path().join(format!("root{process}")), b"");
        assert_eq!(cache.load_manifest(&id).row(0).path, format!("{process}-3"));
    }
    assert_eq!(cache.take_warnings(), []);
}

fn walked(files: &[(&str, Stat)], started_ns: i64) -> Walked {
    let file = |&(path, stat): &(&str, Stat)| crate::walk::WalkedFile {
        path: path.into(),
        kind: FileKind::Py,
        stat,
    };
    Walked { files: files.iter().map(file).collect(), started_ns, ..Walked::default() }
}

#[test]
fn stat_decides_unless_it_is_racy() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    let now = crate::walk::now_ns();
    let at =
        |seconds: i64| Stat { size: 1, mtime_ns: 1, ctime_ns: now - seconds * 1_000_000_000 + 1, inode: 1 };
    let (old, young) = (at(60), at(0));
    let coarse = Stat { ctime_ns: (now / 1_000_000_000 - 1) * 1_000_000_000, ..old };
    let future = Stat { mtime_ns: now + 3_600_000_000_000, ..old };
    let files = [("a", old), ("b", young), ("c", coarse), ("d", future), ("gone", old)];
    let id = ManifestId::new(dir.path(), b"");
    let mut builder = ManifestBuilder::new(id, dir.path());
    for (path, stat) in files.iter().rev() {
        builder.push(&row(path, stat.metadata_hash()));
    }
    assert!(cache.store_manifest(builder, &Manifest::default(), now, false));
    let manifest = cache.load_manifest(&id);
    assert_eq!((manifest.len(), manifest.root()), (5, dir.path().to_path_buf()));
    assert_eq!(manifest.find("c").map(|row| row.status), Some(9));
    assert_eq!(manifest.find("bb"), None);
    let changed = Stat { size: 2, ..old };
    let found = partition(
        &walked(&[("a", old), ("a2", old), ("b", young), ("c", coarse), ("d", future)], now),
        &manifest,
    );
    let candidate = |file, row, cause| Candidate { file, row, cause };
    assert_eq!(
        found,
        Partition {
            unchanged: vec![(0, 0)],
            candidates: vec![
                candidate(1, None, Cause::New),
                candidate(2, Some(1), Cause::Racy),
                candidate(3, Some(2), Cause::Racy),
                candidate(4, Some(3), Cause::Racy),
            ],
            removed: vec![4],
            racy: 3,
        }
    );
    let found = partition(&walked(&[("a", changed)], now), &manifest);
    assert_eq!(found.candidates, [candidate(0, Some(0), Cause::Changed)]);
    assert_eq!(found.removed, [1, 2, 3, 4]);
    let found = partition(&walked(&[("a", old)], now), &Manifest::default());
    assert_eq!(found.candidates, [candidate(0, None, Cause::New)]);
}

#[test]
fn a_same_size_edit_with_the_old_mtime_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    fs::create_dir(&tree).unwrap();
    let path = tree.join("a.py");
    fs::write(&path, "x = 1\n").unwrap();
    let cache = open(dir.path());
    let first = walk(&tree, &[], &WalkOptions::default()).unwrap();
    let id = ManifestId::new(&tree, b"");
    let mut builder = ManifestBuilder::new(id, &tree);
    builder.push(&row("a.py", first.files[0].stat.metadata_hash()));
    cache.store_manifest(builder, &Manifest::default(), first.started_ns, false);
    let mtime = fs::metadata(&path).unwrap().modified().unwrap();
    fs::write(&path, "x = 2\n").unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(mtime).unwrap();
    let second = walk(&tree, &[], &WalkOptions::default()).unwrap();
    let found = partition(&second, &cache.load_manifest(&id));
    assert_eq!(found.unchanged, []);
    assert_eq!(found.candidates.len(), 1);
}

#[test]
fn an_equal_manifest_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    let id = ManifestId::new(dir.path(), b"");
    let build = |stat| {
        let mut builder = ManifestBuilder::new(id, dir.path());
        builder.push(&row("a", stat));
        builder
    };
    assert!(cache.store_manifest(build(1), &cache.load_manifest(&id), 0, false));
    assert!(!cache.store_manifest(build(1), &cache.load_manifest(&id), 0, false));
    assert!(cache.store_manifest(build(1), &cache.load_manifest(&id), 0, true));
    assert!(cache.store_manifest(build(2), &cache.load_manifest(&id), 0, false));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

    #[test]
    fn a_damaged_manifest_is_an_empty_one(at in any::<prop::sample::Index>(), bit in 0..8_u8, cut: bool) {
        let dir = tempfile::tempdir().unwrap();
        let cache = open(dir.path());
        let id = name_in_manifest(&cache, dir.path(), &["a", "b/c", "d"]);
        let path = cache.manifest_path(&id).unwrap();
        let mut bytes = fs::read(&path).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        bytes.truncate(if cut { at } else { bytes.len() });
        fs::write(&path, bytes).unwrap();
        prop_assert!(cache.load_manifest(&id).is_empty());
        prop_assert_eq!(cache.take_warnings().len(), 1);
    }
}

/// A time at which nothing written so far is young any more.
fn later() -> u64 {
    now_seconds() + 2 * 3600
}

#[test]
fn eviction_spares_named_and_young_packs() {
    let dir = tempfile::tempdir().unwrap();
    let limit = |max_size_mb| CacheOptions { max_size_mb, ..CacheOptions::default() };
    let cache = Cache::open(&dir.path().join("cache"), limit(0));
    put(&cache, &["named", "dead"]);
    put(&cache, &["unnamed"]);
    name_in_manifest(&cache, dir.path(), &["named"]);
    let report = cache.gc();
    assert_eq!((report.packs_evicted, report.packs_compacted), (0, 0), "all are young");
    assert!(["named", "dead", "unnamed"].iter().all(|text| has(&cache, text)));

    let generous = Cache::open(&dir.path().join("cache"), limit(1));
    assert_eq!(generous.gc_at(later()).packs_evicted, 0, "there is room");

    let report = cache.gc_at(later());
    assert_eq!((report.packs_evicted, report.packs_compacted), (1, 1));
    assert!(report.bytes_after < report.bytes_before);
    assert_eq!(["named", "dead", "unnamed"].map(|text| has(&cache, text)), [true, false, false]);
    assert!(cache.take_warnings().iter().any(|warning| matches!(warning, CacheWarning::OverLimit { .. })));
}

#[test]
fn the_least_recently_used_pack_goes_first() {
    let dir = tempfile::tempdir().unwrap();
    let cache =
        Cache::open(&dir.path().join("cache"), CacheOptions { max_size_mb: 1, ..CacheOptions::default() });
    for (pack, days) in [("x", 3), ("y", 9), ("z", 6)] {
        let texts: Vec<String> = (0..200).map(|n| format!("{pack}{n}")).collect();
        put(&cache, &texts.iter().map(String::as_str).collect::<Vec<_>>());
        let newest = cache
            .files("packs", "pack")
            .into_iter()
            .max_by_key(|path| fs::metadata(path).unwrap().modified().unwrap());
        let used = SystemTime::now() - std::time::Duration::from_secs(days * 86_400);
        fs::File::options().write(true).open(newest.unwrap()).unwrap().set_modified(used).unwrap();
    }
    assert_eq!(cache.gc().packs_evicted, 1);
    assert_eq!(["x0", "y0", "z0"].map(|text| has(&cache, text)), [true, false, true]);
}

#[test]
fn many_small_packs_become_one_under_readers() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    let texts: Vec<String> = (0..40).map(|n| format!("t{n}")).collect();
    for text in &texts {
        put(&cache, &[text, "shared"]);
    }
    let reader = open(dir.path());
    reader.load_index();
    let report = cache.maintain().unwrap();
    assert_eq!(report.packs_compacted, 40);
    assert_eq!(cache.files("packs", "pack").len(), 1);
    for cache in [&cache, &reader] {
        assert!(texts.iter().all(|text| has(cache, text)));
    }
    assert_eq!(cache.info().records, 41);
    assert!(cache.maintain().is_none());
}

#[test]
fn gc_at_once_elsewhere_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    let lock = fs::File::create(cache.sub("lock").unwrap()).unwrap();
    lock.try_lock().unwrap();
    assert!(cache.gc().busy);
    drop(lock);
    assert!(!cache.gc().busy);
}

#[test]
fn old_snapshots_leftovers_and_manifests_of_gone_roots_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    let root = dir.path().join("root");
    let id = name_in_manifest(&cache, &root, &["a"]);
    for generation in [1, 2, 3] {
        atomic_write(&cache.snapshot_path(&id, generation).unwrap(), |out| out.write_all(b"graph")).unwrap();
    }
    fs::write(cache.sub("packs").unwrap().join(".tmp-left"), "").unwrap();
    assert_eq!(cache.snapshots(&id)[0].0, 3);
    let report = cache.gc();
    assert_eq!((report.snapshots_removed, report.manifests_removed, report.temporaries_removed), (1, 0, 0));
    assert_eq!(cache.snapshots(&id).iter().map(|file| file.0).collect::<Vec<_>>(), [3, 2]);
    let report = cache.gc_at(now_seconds() + 3 * 86_400);
    assert_eq!((report.manifests_removed, report.temporaries_removed), (1, 1));
    put(&cache, &["a"]);
    assert!(cache.clean() > 0);
    assert_eq!(cache.info().total_bytes, 0);
}

#[test]
fn show_and_info() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    put(&cache, &["a.py", "dead"]);
    name_in_manifest(&cache, dir.path(), &["a.py", "b.py"]);
    let entries = cache.show(&dir.path().join("a.py"));
    assert_eq!(entries.len(), 1);
    assert_eq!((entries[0].path.as_str(), entries[0].record.as_ref().unwrap().raw.len()), ("a.py", 2048));
    assert!(cache.show(&dir.path().join("b.py"))[0].record.is_none());
    assert_eq!(cache.show(&dir.path().join("c.py")), []);
    let info = cache.info();
    assert_eq!((info.packs, info.records, info.live_records, info.manifests, info.files), (1, 2, 1, 1, 2));
    assert_eq!(info.raw_bytes, 4096);
    assert_eq!(cache.verify().absent, 1);
}

#[test]
fn listings_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    let id = ManifestId::new(dir.path(), b"");
    assert!(cache.load_listings(&id).is_empty());
    let found = crate::walk::walk_known(dir.path(), &[], &WalkOptions::default(), Some(&Listings::default()))
        .unwrap();
    let listings = found.listings.unwrap();
    cache.store_listings(&id, &listings);
    assert_eq!(cache.load_listings(&id).encode(), listings.encode());
    fs::write(cache.sub("manifests").unwrap().join(format!("{id}.dirs")), "noise").unwrap();
    assert!(cache.load_listings(&id).is_empty());
    assert_eq!(cache.take_warnings().len(), 1);
}

struct Hex;

impl FactsCodec for Hex {
    fn check(&self, _: &[u8]) -> Result<(), String> {
        Ok(())
    }

    fn write_json(&self, raw: &[u8], out: &mut dyn io::Write) -> io::Result<()> {
        Ok(serde_json::to_writer(out, raw)?)
    }

    fn from_json(&self, json: &str) -> Result<Vec<u8>, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }
}

#[test]
fn export_and_import() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    put(&cache, &["a", "b", "c"]);
    name_in_manifest(&cache, dir.path(), &["a"]);
    let mut portable = Vec::new();
    assert_eq!(cache.export(&mut portable, &Hex).unwrap().records, 3);

    let other = open(&dir.path().join("other"));
    put(&other, &["a"]);
    let import = |bytes: &[u8], limits| other.import(&mut &*bytes, &Hex, limits);
    let small = PortableLimits { line_bytes: 100, ..PortableLimits::default() };
    assert!(matches!(import(&portable, small), Err(PortableError::TooLarge(100))));
    let small = PortableLimits { total_bytes: 9000, ..PortableLimits::default() };
    assert!(matches!(import(&portable, small), Err(PortableError::TooLarge(9000))));

    let text = String::from_utf8(zstd::decode_all(&portable[..]).unwrap()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let content = format!("\"content\":\"{}\"", ContentHash::of(b"a"));
    assert_eq!(lines.iter().filter(|line| line.contains(&content)).count(), 1);
    let damaged = [
        lines[..4].join("\n"),
        lines[1..].join("\n"),
        lines.join("\n").replacen("5,", "6,", 1),
        lines.join("\n") + "\n{}",
        lines.join("\n").replacen("\"facts\"", "\"fact\"", 1),
        [lines[0], lines[1], lines[1]].join("\n"),
        lines.join("\n").replacen("\"facts\"", "\"path\":\"../../x\",\"facts\"", 1),
        lines.join("\n").replacen("\"key\":\"", "\"key\":\"../../", 1),
        lines.join("\n").replacen("\"key\":\"", "\"key\":\"/etc/", 1),
        "[".repeat(1 << 20),
        "not json".to_owned(),
        String::new(),
    ];
    for text in damaged {
        let bytes = zstd::encode_all(text.as_bytes(), 1).unwrap();
        assert!(import(&bytes, PortableLimits::default()).is_err(), "{text:.80}");
    }
    assert!(import(b"not zstd", PortableLimits::default()).is_err());
    assert!(import(&portable[..portable.len() / 2], PortableLimits::default()).is_err());
    assert!(!has(&other, "b"), "a failed import changes nothing");

    let report = import(&portable, PortableLimits::default()).unwrap();
    assert_eq!((report.records, report.skipped), (2, 1));
    assert!(["a", "b", "c"].iter().all(|text| has(&other, text)));
}

#[test]
fn a_pack_finished_early_outlives_its_writer() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(folder.path());
    let mut compressor = Compressor::new(DEFAULT_LEVEL).unwrap();
    let mut append = |writer: &PackWriter<'_>, text: &str| {
        let raw = facts(text);
        writer.append(&key(text), &compressor.compress(&raw), RecordMeta::default())
    };
    let writer = cache.pack_writer();
    assert!(!writer.flush(), "there is nothing yet");
    assert!(append(&writer, "a") && writer.flush() && append(&writer, "b"));
    assert!(has(&cache, "a") && !has(&cache, "b"));
    // As where the process is killed: what came after the flush is lost.
    drop(writer);
    let later = open(folder.path());
    assert!(has(&later, "a") && !has(&later, "b"));
    assert!(!Cache::disabled().pack_writer().flush());
}
