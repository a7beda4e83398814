//! Names of content: Blake2b everywhere, so that equal names mean equal bytes.

use std::fmt;
use std::str::FromStr;

use blake2b_simd::many::{HashManyJob, MAX_DEGREE, hash_many};
use blake2b_simd::{Params, blake2bp};
use smallvec::SmallVec;

use crate::model::source::FileKind;

/// Part of every key; a change of what keys mean changes it.
const KEY_DOMAIN: &[u8; 16] = b"pydebug fact key";

fn blake2b_256(parts: &[&[u8]]) -> [u8; 32] {
    let mut state = Params::new().hash_length(32).to_state();
    for part in parts {
        state.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(state.finalize().as_bytes());
    out
}

/// Short checksum of a record: XXH3, for it guards against damage, and who can write here can forge anything.
pub(crate) struct Checksum(xxhash_rust::xxh3::Xxh3);

impl Checksum {
    pub(crate) fn new() -> Self {
        Self(xxhash_rust::xxh3::Xxh3::new())
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update(bytes);
        self
    }

    pub(crate) fn finish(&self) -> [u8; 16] {
        self.0.digest128().to_le_bytes()
    }
}

/// Checksum of a large block; BLAKE2bp, for it uses the vector unit within one input.
pub(crate) fn wide_checksum(bytes: &[u8]) -> [u8; 16] {
    wide_checksum_of(&[bytes])
}

/// The same of the block that these parts make together.
pub(crate) fn wide_checksum_of(parts: &[&[u8]]) -> [u8; 16] {
    let mut state = blake2bp::Params::new().hash_length(16).to_state();
    for part in parts {
        state.update(part);
    }
    let mut out = [0; 16];
    out.copy_from_slice(state.finalize().as_bytes());
    out
}

macro_rules! hash_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = BadHash;

            fn from_str(text: &str) -> Result<Self, BadHash> {
                parse_hex(text).map(Self).ok_or(BadHash)
            }
        }
    };
}

hash_type! {
    /// Blake2b-256 of a file's bytes.
    ContentHash
}
hash_type! {
    /// What facts are stored under: everything that determines them, and no path.
    FactKey
}

/// Text that is not 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected 64 hexadecimal digits")]
pub struct BadHash;

fn parse_hex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut out = [0; 32];
    for (byte, at) in out.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(out)
}

impl ContentHash {
    /// Hashes a file's bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(blake2b_256(&[bytes]))
    }

    /// [`ContentHash::of`] each of `inputs`. Inputs of like length share the vector unit, which takes half the time.
    pub(crate) fn of_many<'a>(inputs: impl IntoIterator<Item = &'a [u8]>) -> SmallVec<[Self; MAX_DEGREE]> {
        let mut params = Params::new();
        params.hash_length(32);
        let mut jobs: SmallVec<[HashManyJob<'a>; MAX_DEGREE]> =
            inputs.into_iter().map(|bytes| HashManyJob::new(&params, bytes)).collect();
        hash_many(&mut jobs);
        let hash = |job: &HashManyJob<'_>| {
            let mut out = [0; 32];
            out.copy_from_slice(job.to_hash().as_bytes());
            Self(out)
        };
        jobs.iter().map(hash).collect()
    }

    /// Takes the hash of a file that was read in blocks: a Blake2b state with 32 bytes of output.
    #[must_use]
    pub fn of_state(state: &blake2b_simd::State) -> Option<Self> {
        state.finalize().as_bytes().try_into().ok().map(Self)
    }

    /// A state to hash a file read in blocks.
    #[must_use]
    pub fn state() -> blake2b_simd::State {
        Params::new().hash_length(32).to_state()
    }
}

impl FactKey {
    /// The key of the facts of a file.
    ///
    /// `options`: the bytes of all options that change facts. `plugins`: a fingerprint for each, in a fixed order.
    #[must_use]
    pub fn new(
        content: &ContentHash,
        kind: FileKind,
        extractor_version: u32,
        options: &[u8],
        plugins: &[&[u8]],
    ) -> Self {
        let length = |bytes: &[u8]| (bytes.len() as u64).to_le_bytes();
        let mut state = Params::new().hash_length(32).to_state();
        state.update(KEY_DOMAIN).update(&content.0).update(&[kind as u8]);
        state.update(&extractor_version.to_le_bytes()).update(&length(options)).update(options);
        for plugin in plugins {
            state.update(&length(plugin)).update(plugin);
        }
        let mut out = [0; 32];
        out.copy_from_slice(state.finalize().as_bytes());
        Self(out)
    }
}

/// Hash of several parts, each with its length, so that parts can't run into each other.
pub(crate) fn name_of(parts: &[&[u8]]) -> [u8; 16] {
    let mut checksum = Checksum::new();
    for part in parts {
        checksum.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    checksum.finish()
}

pub(crate) fn hex16(bytes: &[u8; 16]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blake2b_256_of_nothing() {
        assert_eq!(
            ContentHash::of(b"").to_string(),
            "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8"
        );
    }

    #[test]
    fn hashed_together_is_hashed_alone() {
        let text: Vec<u8> = (0..70_000u32).map(|at| (at * 31 + at / 253) as u8).collect();
        let lengths = [0, 1, 127, 128, 129, 255, 256, 257, 4096, 0, 65_535, 65_536, 3, 69_999];
        // Not all start at the same place, so that a mix-up shows.
        let inputs: Vec<&[u8]> = lengths.iter().zip(0..).map(|(&len, at)| &text[at % 2..][..len]).collect();
        for count in 0..=inputs.len() {
            for group in inputs.windows(count.max(1)).map(|group| &group[..count]) {
                let alone: Vec<ContentHash> = group.iter().map(|bytes| ContentHash::of(bytes)).collect();
                assert_eq!(ContentHash::of_many(group.iter().copied())[..], alone);
            }
        }
        for len in 0..=512 {
            let inputs = [&text[..len], &text[1..][..len], &text[..len / 2], &text[..512 - len]];
            assert_eq!(ContentHash::of_many(inputs)[..], inputs.map(ContentHash::of));
        }
    }

    #[test]
    fn text_form_is_reversible() {
        let hash = ContentHash::of(b"x");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        for bad in ["", "00", &"g".repeat(64), &"\u{e4}".repeat(32)] {
            assert_eq!(bad.parse::<FactKey>(), Err(BadHash), "{bad}");
        }
    }

    #[test]
    fn every_part_changes_the_key() {
        let (a, b) = (ContentHash::of(b"a"), ContentHash::of(b"b"));
        let keys = [
            FactKey::new(&a, FileKind::Py, 1, b"", &[]),
            FactKey::new(&b, FileKind::Py, 1, b"", &[]),
            FactKey::new(&a, FileKind::Pyi, 1, b"", &[]),
            FactKey::new(&a, FileKind::Py, 2, b"", &[]),
            FactKey::new(&a, FileKind::Py, 1, b"o", &[]),
            FactKey::new(&a, FileKind::Py, 1, b"", &[b"o"]),
            FactKey::new(&a, FileKind::Py, 1, b"", &[b"o", b""]),
            FactKey::new(&a, FileKind::Py, 1, b"", &[b"", b"o"]),
        ];
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
    }
}
