use super::*;
use crate::cache::codec::Compressor;
use proptest::prelude::*;

fn key(number: u8) -> FactKey {
    FactKey([number; 32])
}

/// A pack of a few records and what they hold.
fn sample(dir: &Path) -> (PathBuf, Vec<(FactKey, Vec<u8>)>) {
    let records: Vec<(FactKey, Vec<u8>)> =
        (0..6_u8).map(|n| (key(n), vec![n; usize::from(n) * 40 + usize::from(n == 5) * 3000])).collect();
    let mut file = PackFile::create(dir).unwrap();
    let mut compressor = Compressor::new(1).unwrap();
    let meta = RecordMeta { parse_duration_us: 7, created: 8 };
    for (key, raw) in &records {
        let record = compressor.compress(raw);
        let checksum = record_checksum(key, &record);
        assert!(file.append(key, record, meta, checksum).unwrap());
        assert!(!file.append(key, record, meta, checksum).unwrap(), "a key is stored once");
    }
    (file.finish().unwrap().unwrap().0, records)
}

#[test]
fn round_trip() {
    let dir = tempfile::tempdir().unwrap();
    let (path, records) = sample(dir.path());
    let pack = Pack::open(path).unwrap();
    assert_eq!(pack.len(), records.len());
    for (entry, (key, raw)) in pack.entries().zip(&records) {
        assert_eq!((entry.key, &pack.raw(&entry, 1 << 20, None).unwrap().into_vec()), (*key, raw));
        assert_eq!(entry.meta, RecordMeta { parse_duration_us: 7, created: 8 });
    }
}

#[test]
fn a_streamed_record_reads_back() {
    let dir = tempfile::tempdir().unwrap();
    let raw: Vec<u8> = (0..1_000_000_u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
    let mut file = PackFile::create(dir.path()).unwrap();
    let lengths = file.append_reader(&key(1), &mut &raw[..], 1, RecordMeta::default()).unwrap().unwrap();
    assert_eq!(lengths.0, raw.len() as u64);
    let pack = Pack::open(file.finish().unwrap().unwrap().0).unwrap();
    assert_eq!(pack.raw(&pack.entry(0), 1 << 30, None).unwrap().into_vec(), raw);
}

#[test]
fn large_records_go_through_a_scratch_file() {
    let dir = tempfile::tempdir().unwrap();
    let len = LARGE as usize + 1000;
    let mut state = 1_u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    // One that compresses and one that does not.
    let records = [vec![7; len], (0..len).map(|_| noise()).collect::<Vec<u8>>()];
    let mut file = PackFile::create(dir.path()).unwrap();
    for (raw, number) in records.iter().zip(0..) {
        file.append_reader(&key(number), &mut &raw[..], -3, RecordMeta::default()).unwrap();
    }
    let first = Pack::open(file.finish().unwrap().unwrap().0).unwrap();
    let mut copy = PackFile::create(dir.path()).unwrap();
    for entry in &first.entries().collect::<Vec<_>>() {
        assert!(copy.append_from(&first, entry).unwrap());
        assert!(!copy.append_from(&first, entry).unwrap());
    }
    let path = copy.finish().unwrap().unwrap().0;
    let pack = Pack::open(path.clone()).unwrap();
    for (entry, raw) in pack.entries().collect::<Vec<_>>().iter().zip(&records) {
        let read = pack.raw(entry, 1 << 30, Some(dir.path())).unwrap();
        assert!(read.mapped().is_some() && *read == raw[..]);
        assert_eq!(pack.verify(entry, 1 << 30).unwrap(), len as u64);
        assert!(pack.raw(entry, 1 << 20, Some(dir.path())).is_err(), "beyond the limit");
    }
    for entry in &pack.entries().collect::<Vec<_>>() {
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[(entry.offset + entry.stored_len / 2) as usize] ^= 1;
        let damaged = dir.path().join("damaged");
        std::fs::write(&damaged, bytes).unwrap();
        let damaged = Pack::open(damaged).unwrap();
        let mut copy = PackFile::create(dir.path()).unwrap();
        for error in [
            damaged.raw(entry, 1 << 30, Some(dir.path())).unwrap_err(),
            damaged.verify(entry, 1 << 30).unwrap_err(),
        ] {
            assert!(error.to_string().contains("checksum"), "{error}");
        }
        assert!(entry.stored_len < LARGE || copy.append_from(&damaged, entry).is_err());
    }
}

#[test]
fn nothing_is_left_of_an_unfinished_or_empty_pack() {
    let dir = tempfile::tempdir().unwrap();
    drop(PackFile::create(dir.path()).unwrap());
    assert!(PackFile::create(dir.path()).unwrap().finish().unwrap().is_none());
    assert_eq!(dir.path().read_dir().unwrap().count(), 0);
}

/// Every record read from damaged bytes is either refused or what was written.
fn check_damaged(bytes: &[u8], records: &[(FactKey, Vec<u8>)]) -> usize {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("damaged.pack");
    std::fs::write(&path, bytes).unwrap();
    let Ok(pack) = Pack::open(path) else { return 0 };
    let mut read = 0;
    for entry in pack.entries() {
        if let Ok(raw) = pack.raw(&entry, 1 << 20, None) {
            assert!(records.contains(&(entry.key, raw.into_vec())));
            read += 1;
        }
    }
    read
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn a_flipped_bit_costs_at_most_its_record(at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let dir = tempfile::tempdir().unwrap();
        let (path, records) = sample(dir.path());
        let mut bytes = std::fs::read(path).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(check_damaged(&bytes, &records) < records.len());
    }

    #[test]
    fn a_cut_pack_is_refused(at in any::<prop::sample::Index>()) {
        let dir = tempfile::tempdir().unwrap();
        let (path, records) = sample(dir.path());
        let bytes = std::fs::read(path).unwrap();
        prop_assert_eq!(check_damaged(&bytes[..at.index(bytes.len())], &records), 0);
    }

    #[test]
    fn noise_is_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..400), framed: bool) {
        if framed && bytes.len() >= 56 {
            bytes[..8].copy_from_slice(MAGIC);
            bytes[8..16].copy_from_slice(&VERSION.to_le_bytes());
            let end = bytes.len() - 8;
            bytes[end..].copy_from_slice(END);
        }
        prop_assert_eq!(check_damaged(&bytes, &[]), 0);
    }
}
