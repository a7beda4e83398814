//! What a source file is called and which kind it is.
//!
//! Paths inside the program are `String`s: relative to the analyzed root, `/`-separated, and *escaped*, so that
//! every name a file system can hold has exactly one text form, fits on one line, and can be turned back.
//! This module must not touch the file system.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Kind of a Python source file. It is part of the cache key: a stub and a source with equal bytes differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum FileKind {
    /// `.py`, `.pyw`, or a file named explicitly.
    Py = 0,
    /// `.pyi`.
    Pyi = 1,
}

impl FileKind {
    /// The kind that a file name's suffix says, `None` if it names no Python source.
    #[must_use]
    pub fn of(name: &[u8]) -> Option<Self> {
        let dot = name.len().checked_sub(4)?;
        match name.get(dot..)? {
            b".pyi" => Some(Self::Pyi),
            b".pyw" => Some(Self::Py),
            tail if tail.ends_with(b".py") => Some(Self::Py),
            _ => None,
        }
        .filter(|_| name != b".pyi" && name != b".pyw")
    }
}

/// Escapes a name or a relative path: bytes that are not UTF-8 and control characters become `\xNN` (two
/// lower-case hexadecimal digits), a backslash becomes `\\`. Everything else stands as it is.
///
/// [`unescape`] is the exact inverse.
#[must_use]
pub fn escape(name: &OsStr) -> String {
    let bytes = name.as_bytes();
    if let Ok(text) = std::str::from_utf8(bytes)
        && !bytes.iter().any(|&byte| needs_escape(byte))
    {
        return text.to_owned();
    }
    let mut out = String::with_capacity(bytes.len() + 8);
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => out.push_str("\\\\"),
                c if c.is_ascii() && needs_escape(c as u8) => push_hex(&mut out, c as u8),
                c => out.push(c),
            }
        }
        for &byte in chunk.invalid() {
            push_hex(&mut out, byte);
        }
    }
    out
}

fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == 0x7f || byte == b'\\'
}

fn push_hex(out: &mut String, byte: u8) {
    write!(out, "\\x{byte:02x}").expect("writing to a string does not fail");
}

/// Turns an escaped name or path back into what the file system holds. Text that [`escape`] would not have
/// written (a lone backslash) is taken literally.
#[must_use]
pub fn unescape(text: &str) -> OsString {
    if !text.contains('\\') {
        return OsString::from(text);
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let (byte, used) = match rest {
            [b'\\', b'\\', ..] => (b'\\', 2),
            [b'\\', b'x', high, low, ..] => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, 4),
                _ => (b'\\', 1),
            },
            _ => (rest[0], 1),
        };
        out.push(byte);
        at += used;
    }
    OsString::from_vec(out)
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// The place on disk of an escaped path below `root`.
#[must_use]
pub fn os_path(root: &Path, path: &str) -> PathBuf {
    if path.is_empty() { root.to_path_buf() } else { root.join(unescape(path)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn kinds() {
        for (name, kind) in [
            ("a.py", Some(FileKind::Py)),
            ("a.pyw", Some(FileKind::Py)),
            ("a.pyi", Some(FileKind::Pyi)),
            ("a.pyc", None),
            ("a.PY", None),
            ("py", None),
            ("apy", None),
            (".py", None),
            (".pyi", None),
            ("", None),
        ] {
            assert_eq!(FileKind::of(name.as_bytes()), kind, "{name}");
        }
    }

    #[test]
    fn escapes() {
        for (bytes, text) in [
            (&b"plain/n\xc3\xa4me.py"[..], "plain/n\u{e4}me.py"),
            (b"back\\slash", "back\\\\slash"),
            (b"new\nline", "new\\x0aline"),
            (b"latin\xe4.py", "latin\\xe4.py"),
            (b"\\xe4", "\\\\xe4"),
        ] {
            assert_eq!(escape(OsStr::from_bytes(bytes)), text);
            assert_eq!(unescape(text).as_bytes(), bytes);
        }
    }

    proptest! {
        #[test]
        fn escape_is_reversible(bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\\'), Just(b'x')], 0..40)) {
            let text = escape(OsStr::from_bytes(&bytes));
            let back = unescape(&text);
            prop_assert_eq!(back.as_bytes(), &bytes[..]);
            prop_assert!(!text.contains('\n'));
        }
    }
}
