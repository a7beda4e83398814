//! Names as numbers: the hash by which tables inside a block are ordered, and the set that gives each
//! distinct name of a file its number.
//!
//! The hash orders and finds; bytes decide. Two names are equal only where their bytes are.

/// 32-bit hash of a name. Part of the facts' format: changing it asks for a new extractor version.
///
/// Multiply-and-fold over 8-byte words, after wyhash (Wang Yi).
#[inline]
pub fn hash(bytes: &[u8]) -> u32 {
    const A: u64 = 0xa076_1d64_78bd_642f;
    const B: u64 = 0xe703_7ed1_a0b4_28db;
    #[inline]
    fn fold(x: u64, y: u64) -> u64 {
        let wide = u128::from(x) * u128::from(y);
        (wide as u64) ^ ((wide >> 64) as u64)
    }
    #[inline]
    fn word(bytes: &[u8], at: usize) -> u64 {
        let mut eight = [0; 8];
        eight.copy_from_slice(&bytes[at..at + 8]);
        u64::from_le_bytes(eight)
    }
    let len = bytes.len();
    let mixed = if len >= 8 {
        let mut state = A ^ len as u64;
        let mut at = 0;
        while at + 8 < len {
            state = fold(state ^ word(bytes, at), B);
            at += 8;
        }
        fold(state ^ word(bytes, len - 8), B ^ A)
    } else if len >= 4 {
        let mut first = [0; 4];
        first.copy_from_slice(&bytes[..4]);
        let mut last = [0; 4];
        last.copy_from_slice(&bytes[len - 4..]);
        let both = u64::from(u32::from_le_bytes(first)) << 32 | u64::from(u32::from_le_bytes(last));
        fold(both ^ A, B ^ len as u64)
    } else if len > 0 {
        let few = u64::from(bytes[0]) << 16 | u64::from(bytes[len / 2]) << 8 | u64::from(bytes[len - 1]);
        fold(few ^ A, B ^ len as u64)
    } else {
        0
    };
    (mixed ^ (mixed >> 32)) as u32
}

/// The distinct strings of one file, numbered in order of first use; number 0 is the empty string.
#[derive(Debug, Default)]
pub struct Names {
    slots: Vec<u32>,
    /// Number of the first string that is held here; those before it, but for the empty one, were taken out.
    base: u32,
    /// Hash of each string, from `base` on.
    pub hashes: Vec<u32>,
    /// End of each string in `blob`, from `base` on.
    pub ends: Vec<u32>,
    /// The strings, one after another.
    pub blob: Vec<u8>,
    /// Strings that were asked for.
    pub asked: u32,
}

impl Names {
    /// Forgets all strings but the empty one, keeps the memory.
    pub fn clear(&mut self) {
        self.restart(0);
        self.asked = 0;
        self.hashes.push(hash(b""));
        self.ends.push(0);
    }

    fn restart(&mut self, base: u32) {
        self.slots.clear();
        self.slots.resize(1024, 0);
        self.base = base;
        self.hashes.clear();
        self.ends.clear();
        self.blob.clear();
    }

    /// Number of the first string that is held here.
    pub const fn base(&self) -> u32 {
        self.base
    }

    /// Gives hash and bytes of every string held here to `take`, and forgets them: what is asked for from now on gets a new
    /// number, though its bytes may be those of an old one.
    pub fn take_out(&mut self, mut take: impl FnMut(u32, &[u8])) {
        let mut start = 0;
        for (&hash, &end) in self.hashes.iter().zip(&self.ends) {
            take(hash, &self.blob[start as usize..end as usize]);
            start = end;
        }
        self.restart(self.base + self.hashes.len() as u32);
    }

    /// Bytes of string `id`; none where it was taken out.
    #[inline]
    pub fn get(&self, id: u32) -> &[u8] {
        id.checked_sub(self.base).map_or(&[], |index| self.at(index as usize))
    }

    /// Number of `text`.
    #[inline]
    pub fn add(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        self.asked += 1;
        self.base + self.insert(hash(text.as_bytes()), text.as_bytes())
    }

    /// Place of `bytes`, which hash to `hash`, among the strings held here; they are added where they are not there.
    #[inline]
    pub fn insert(&mut self, hash: u32, bytes: &[u8]) -> u32 {
        if self.slots.is_empty() {
            self.restart(0);
        }
        let slot = match self.slot(hash, bytes) {
            Ok(place) => return place,
            Err(slot) => slot,
        };
        self.hashes.push(hash);
        self.blob.extend_from_slice(bytes);
        self.ends.push(self.blob.len() as u32);
        self.slots[slot] = self.hashes.len() as u32;
        if self.hashes.len() * 2 > self.slots.len() {
            self.grow();
        }
        self.hashes.len() as u32 - 1
    }

    /// Place of `bytes` among the strings held here.
    pub fn find(&self, hash: u32, bytes: &[u8]) -> Option<u32> {
        if self.slots.is_empty() { None } else { self.slot(hash, bytes).ok() }
    }

    /// Place of `bytes`, or the slot where it would be noted.
    #[inline]
    fn slot(&self, hash: u32, bytes: &[u8]) -> Result<u32, usize> {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            match self.slots[at] {
                0 => return Err(at),
                slot if self.hashes[slot as usize - 1] == hash && self.at(slot as usize - 1) == bytes => {
                    return Ok(slot - 1);
                }
                _ => at = (at + 1) & mask,
            }
        }
    }

    #[inline]
    fn at(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        &self.blob[start..self.ends[index] as usize]
    }

    #[cold]
    fn grow(&mut self) {
        let size = self.slots.len() * 4;
        self.slots.clear();
        self.slots.resize(size, 0);
        for (index, &hash) in self.hashes.iter().enumerate() {
            // The empty string is never looked up.
            if self.at(index).is_empty() {
                continue;
            }
            let mut at = hash as usize & (size - 1);
            while self.slots[at] != 0 {
                at = (at + 1) & (size - 1);
            }
            self.slots[at] = index as u32 + 1;
        }
    }
}

/// A map from keys of two words to `u32`, open addressing, reused from file to file.
#[derive(Debug, Default)]
pub struct PairMap {
    /// Key and value + 1; 0 is a free slot.
    slots: Vec<(u64, u32)>,
    len: usize,
}

impl PairMap {
    /// Forgets all entries, keeps the memory; makes room for about so many.
    pub fn clear(&mut self, expected: usize) {
        self.slots.clear();
        self.slots.resize((2 * expected).next_power_of_two().clamp(32, 1 << 16), (0, 0));
        self.len = 0;
    }

    #[inline]
    fn start(&self, key: u64) -> usize {
        ((key ^ (key >> 29)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize & (self.slots.len() - 1)
    }

    /// All entries, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        self.slots.iter().filter(|slot| slot.1 != 0).map(|&(key, value)| (key, value - 1))
    }

    /// The value of `key`.
    #[inline]
    pub fn get(&self, key: u64) -> Option<u32> {
        let mut at = self.start(key);
        loop {
            let (found, value) = self.slots[at];
            if value == 0 {
                return None;
            }
            if found == key {
                return Some(value - 1);
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    /// The value of `key`, which is `new` where there was none. Tells whether it is new.
    #[inline]
    pub fn insert(&mut self, key: u64, new: u32) -> (u32, bool) {
        let mut at = self.start(key);
        loop {
            let (found, value) = self.slots[at];
            if value == 0 {
                break;
            }
            if found == key {
                return (value - 1, false);
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
        self.slots[at] = (key, new + 1);
        self.len += 1;
        if self.len * 2 > self.slots.len() {
            let old = std::mem::take(&mut self.slots);
            self.slots.resize(old.len() * 4, (0, 0));
            for entry in old.into_iter().filter(|entry| entry.1 != 0) {
                let mut at = self.start(entry.0);
                while self.slots[at].1 != 0 {
                    at = (at + 1) & (self.slots.len() - 1);
                }
                self.slots[at] = entry;
            }
        }
        (new, true)
    }

    /// Replaces the value of `key`.
    pub fn set(&mut self, key: u64, value: u32) {
        self.insert(key, value);
        let mut at = self.start(key);
        while self.slots[at].0 != key || self.slots[at].1 == 0 {
            at = (at + 1) & (self.slots.len() - 1);
        }
        self.slots[at].1 = value + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equal_strings_share_a_number(words in prop::collection::vec("[a-d]{0,3}", 0..3000)) {
            let mut names = Names::default();
            names.clear();
            let mut seen = std::collections::HashMap::new();
            for word in &words {
                let id = names.add(word);
                prop_assert_eq!(names.get(id), word.as_bytes());
                prop_assert_eq!(*seen.entry(word.clone()).or_insert(id), id);
            }
        }

        #[test]
        fn pair_map_is_a_map(pairs in prop::collection::vec((0u64..2000, any::<u16>()), 0..3000)) {
            let mut map = PairMap::default();
            map.clear(0);
            let mut model = std::collections::HashMap::new();
            for &(key, value) in &pairs {
                let expected = *model.entry(key).or_insert(u32::from(value));
                prop_assert_eq!(map.insert(key, u32::from(value)).0, expected);
            }
            for key in 0..2000 {
                prop_assert_eq!(map.get(key), model.get(&key).copied());
            }
        }
    }
}
