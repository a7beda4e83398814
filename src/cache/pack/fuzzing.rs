//! Any bytes as a pack.

use super::*;

/// Bytes that a record may have.
const MAX: u64 = 1 << 20;

pub(crate) fn read(bytes: &[u8]) {
    walk(bytes, false);
    let mut sealed = bytes.to_vec();
    if put_right(&mut sealed) {
        walk(&sealed, true);
    }
}

/// Opens the pack and reads every record.
fn walk(bytes: &[u8], sealed: bool) {
    let mut file = NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("a temporary file can be written");
    match Pack::open(file.path().to_path_buf()) {
        Ok(pack) => {
            assert_eq!(pack.size, bytes.len() as u64);
            for entry in pack.entries() {
                match pack.raw(&entry, MAX, None) {
                    Ok(raw) => {
                        assert_eq!(raw.len() as u64, entry.raw_len);
                        let _ = crate::fuzzing::facts(&raw);
                    }
                    Err(error) => assert!(error.is_damage(), "{error}"),
                }
            }
        }
        Err(error) => assert!(!sealed, "{error}"),
    }
}

/// Gives the bytes the frame, places and checksums of a pack; false where they are too few.
fn put_right(bytes: &mut [u8]) -> bool {
    let Some(room) = bytes.len().checked_sub((HEADER + FOOTER) as usize) else { return false };
    let footer = bytes.len() - FOOTER as usize;
    let count = usize::from(bytes[footer + 8]) % (room / ENTRY + 1);
    let offset = footer - count * ENTRY;
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..16].copy_from_slice(&VERSION.to_le_bytes());
    for at in (offset..footer).step_by(ENTRY) {
        let mut entry = Entry::read(bytes[at..].first_chunk().expect("an entry"));
        let records = offset as u64 - HEADER;
        let start = entry.offset.wrapping_sub(HEADER) % (records + 1);
        entry.offset = HEADER + start;
        entry.stored_len = entry.stored_len.min(records - start);
        let from = entry.offset as usize;
        let record = Compressed {
            raw_len: entry.raw_len,
            flags: entry.flags,
            bytes: &bytes[from..from + entry.stored_len as usize],
        };
        entry.checksum = record_checksum(&entry.key, &record);
        bytes[at..at + ENTRY].copy_from_slice(&entry.write());
    }
    let checksum = wide_checksum(&bytes[offset..footer]);
    bytes[footer..footer + 8].copy_from_slice(&(offset as u64).to_le_bytes());
    bytes[footer + 8..footer + 16].copy_from_slice(&(count as u64).to_le_bytes());
    bytes[footer + 16..footer + 32].copy_from_slice(&checksum);
    bytes[footer + 32..].copy_from_slice(END);
    true
}
