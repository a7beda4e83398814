//! Bytes to text, as Python reads a source file: BOM, PEP 263 declaration, UTF-8 otherwise.

use crate::sys::{Bytes, BytesWriter};
use encoding_rs::{CoderResult, Encoding};
use std::borrow::Cow;
use std::io::{self, Write};
use std::path::Path;

/// Bytes that are decoded at a time.
const BLOCK: usize = 1 << 20;

/// A decoded source.
#[derive(Debug)]
pub struct Decoded<'a> {
    /// The text, without a BOM.
    pub text: Cow<'a, str>,
    /// Name of the encoding.
    pub encoding: &'static str,
    /// A BOM was there.
    pub bom: bool,
    /// Offset in the text and message of the first trouble.
    pub error: Option<(u32, String)>,
}

/// How the bytes of a file are to be read.
#[derive(Clone, Copy, Debug)]
enum Codec {
    Utf8,
    Ascii,
    Latin1,
    Other(&'static Encoding),
}

impl Codec {
    /// That which the first lines of `bytes` ask for, and what is wrong with what they say.
    fn of(bytes: &[u8]) -> (Self, Option<(u32, String)>) {
        let Some(label) = declared(bytes) else { return (Self::Utf8, None) };
        let name = label.to_ascii_lowercase().replace('_', "-");
        let is = |names: &[&str]| names.contains(&name.as_str());
        if is(&["utf-8", "utf8", "u8", "utf", "utf8-sig", "utf-8-sig", "cp65001"])
            || name.starts_with("utf-8-")
        {
            return (Self::Utf8, None);
        }
        if is(&["latin-1", "latin1", "iso-8859-1", "iso8859-1", "l1", "8859", "cp819"])
            || name.starts_with("latin-1-")
        {
            return (Self::Latin1, None);
        }
        if is(&["ascii", "us-ascii", "646"]) {
            return (Self::Ascii, None);
        }
        match Encoding::for_label(alias(&name).as_bytes()) {
            Some(encoding) => (Self::Other(encoding), None),
            None => {
                let error = format!("the declared encoding {label:?} is unknown, read as UTF-8");
                (Self::Utf8, Some((0, error)))
            }
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "utf-8",
            Self::Ascii => "ascii",
            Self::Latin1 => "iso-8859-1",
            Self::Other(encoding) => encoding.name(),
        }
    }

    /// The first trouble with bytes of which a text was made.
    fn trouble(self, bytes: &[u8], text: &str, lossy: bool) -> Option<(u32, String)> {
        match self {
            Self::Latin1 => None,
            Self::Utf8 | Self::Ascii => {
                let (at, wanted) = match std::str::from_utf8(bytes) {
                    Err(bad) => (Some(bad.valid_up_to()), "UTF-8 and no encoding is declared"),
                    Ok(_) if matches!(self, Self::Utf8) => return None,
                    Ok(_) => (bytes.iter().position(|byte| !byte.is_ascii()), "ASCII, the declared encoding"),
                };
                at.map(|at| (at as u32, format!("byte 0x{:02x} is not {wanted}", bytes[at])))
            }
            Self::Other(encoding) => lossy.then(|| {
                let at = text.find('\u{fffd}').unwrap_or(0) as u32;
                (at, format!("bytes here are not {}, the declared encoding", encoding.name()))
            }),
        }
    }

    /// The text, and whether U+FFFD stands in it for bytes that are none.
    fn text(self, bytes: &[u8]) -> (Cow<'_, str>, bool) {
        match self {
            Self::Utf8 | Self::Ascii => (String::from_utf8_lossy(bytes), false),
            Self::Latin1 => (encoding_rs::mem::decode_latin1(bytes), false),
            Self::Other(encoding) => encoding.decode_without_bom_handling(bytes),
        }
    }

    /// Whether the bytes are the text as they stand.
    fn keeps(self, bytes: &[u8]) -> bool {
        match self {
            Self::Utf8 | Self::Ascii => std::str::from_utf8(bytes).is_ok(),
            Self::Latin1 => bytes.is_ascii(),
            Self::Other(_) => false,
        }
    }

    /// As [`Codec::text`], block by block.
    fn write(self, bytes: &[u8], out: &mut impl Write) -> io::Result<bool> {
        match self {
            Self::Utf8 | Self::Ascii => {
                for chunk in bytes.utf8_chunks() {
                    out.write_all(chunk.valid().as_bytes())?;
                    if !chunk.invalid().is_empty() {
                        out.write_all("\u{fffd}".as_bytes())?;
                    }
                }
                Ok(false)
            }
            Self::Latin1 => {
                for block in bytes.chunks(BLOCK) {
                    out.write_all(encoding_rs::mem::decode_latin1(block).as_bytes())?;
                }
                Ok(false)
            }
            Self::Other(encoding) => recode(encoding, bytes, out),
        }
    }
}

fn recode(encoding: &'static Encoding, mut bytes: &[u8], out: &mut impl Write) -> io::Result<bool> {
    let (mut decoder, mut block, mut lossy) =
        (encoding.new_decoder_without_bom_handling(), vec![0; BLOCK], false);
    loop {
        let (result, read, written, replaced) = decoder.decode_to_utf8(bytes, &mut block, true);
        bytes = &bytes[read..];
        lossy |= replaced;
        out.write_all(&block[..written])?;
        if result == CoderResult::InputEmpty {
            return Ok(lossy);
        }
    }
}

fn without_bom(bytes: &[u8]) -> (&[u8], bool) {
    match bytes.strip_prefix(b"\xef\xbb\xbf") {
        Some(rest) => (rest, true),
        None => (bytes, false),
    }
}

/// Decodes `bytes`. Bytes that the encoding does not know become U+FFFD, with an error that says where.
pub fn decode(bytes: &[u8]) -> Decoded<'_> {
    let (bytes, bom) = without_bom(bytes);
    let (codec, error) = Codec::of(bytes);
    let (text, lossy) = codec.text(bytes);
    // What is borrowed was found to be UTF-8: most files, and no second look at them.
    let sound = matches!((codec, &text), (Codec::Utf8, Cow::Borrowed(_)));
    let error = error.or_else(|| if sound { None } else { codec.trouble(bytes, &text, lossy) });
    Decoded { text, encoding: codec.name(), bom, error }
}

/// The same for a file of which no copy fits in memory: a text that is not the bytes as they stand goes to a scratch file in `folder`,
/// which `place` then holds.
///
/// # Errors
/// Where there is room neither in the file nor in memory.
pub(super) fn decode_large<'a>(
    bytes: &'a [u8],
    folder: &Path,
    place: &'a mut Bytes,
) -> io::Result<Decoded<'a>> {
    let (bytes, bom) = without_bom(bytes);
    let (codec, error) = Codec::of(bytes);
    let mut lossy = false;
    let kept: &[u8] = if codec.keeps(bytes) {
        bytes
    } else {
        let mut out = BytesWriter::new(Some(folder), 0);
        lossy = codec.write(bytes, &mut out)?;
        if let Some(error) = out.take_trouble() {
            tracing::warn!("a scratch file for a decoded text: {error}; it stays in memory");
        }
        *place = out.finish()?;
        place
    };
    let text = std::str::from_utf8(kept).map_err(io::Error::other)?;
    let error = error.or_else(|| codec.trouble(bytes, text, lossy));
    Ok(Decoded { text: Cow::Borrowed(text), encoding: codec.name(), bom, error })
}

/// Python's names of codecs that the web's list of labels has under another name.
fn alias(name: &str) -> Cow<'_, str> {
    let digits = name.strip_prefix("cp").or_else(|| name.strip_prefix("windows"));
    match (name, digits) {
        (_, Some(digits)) if digits.starts_with("125") => Cow::Owned(format!("windows-{digits}")),
        ("cp932" | "ms932" | "mskanji" | "sjis" | "shift-jis", _) => Cow::Borrowed("shift_jis"),
        ("cp949" | "uhc", _) => Cow::Borrowed("euc-kr"),
        ("cp936", _) => Cow::Borrowed("gbk"),
        ("euc-jp" | "eucjp" | "ujis", _) => Cow::Borrowed("euc-jp"),
        ("koi8-r", _) => Cow::Borrowed("koi8-r"),
        ("mac-roman", _) => Cow::Borrowed("macintosh"),
        _ if name.starts_with("iso8859-") => Cow::Owned(name.replacen("iso8859", "iso-8859", 1)),
        _ if name.starts_with("iso-8859-") || name.starts_with("latin") => Cow::Borrowed(name),
        _ => Cow::Borrowed(name),
    }
}

/// The label of a PEP 263 declaration in the first two lines.
fn declared(bytes: &[u8]) -> Option<&str> {
    let mut rest = bytes;
    for _ in 0..2 {
        let end = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let (line, tail) = rest.split_at(end);
        let start = line.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'\x0c'));
        match start.map(|at| line[at]) {
            None => {}
            Some(b'#') => {
                if let Some(label) = label(line) {
                    return Some(label);
                }
            }
            // A first line of code ends the search.
            Some(_) => return None,
        }
        rest = tail.strip_prefix(b"\r\n").or_else(|| tail.get(1..)).unwrap_or_default();
    }
    None
}

fn label(line: &[u8]) -> Option<&str> {
    let at = memchr::memmem::find_iter(line, b"coding")
        .find(|at| matches!(line.get(at + 6), Some(b':' | b'=')))?;
    let rest = &line[at + 7..];
    let start = rest.iter().position(|byte| !matches!(byte, b' ' | b'\t'))?;
    let rest = &rest[start..];
    let end = rest
        .iter()
        .position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')))
        .unwrap_or(rest.len());
    if end == 0 { None } else { std::str::from_utf8(&rest[..end]).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations() {
        for (bytes, text, encoding) in [
            (&b"x = '\xc3\xa9'"[..], "x = 'é'", "utf-8"),
            (b"\xef\xbb\xbfx = 1", "x = 1", "utf-8"),
            (b"# -*- coding: latin-1 -*-\nx = '\xe9'", "# -*- coding: latin-1 -*-\nx = 'é'", "iso-8859-1"),
            (
                b"#!/bin/sh\n# vim: set fileencoding=cp1251 :\nx = '\xe9'",
                "#!/bin/sh\n# vim: set fileencoding=cp1251 :\nx = 'й'",
                "windows-1251",
            ),
            (b"\n\n# coding: latin-1\nx = 1", "\n\n# coding: latin-1\nx = 1", "utf-8"),
            (b"x = 1\n# coding: latin-1\n", "x = 1\n# coding: latin-1\n", "utf-8"),
            (b"# coding: iso8859-15\n'\xa4'", "# coding: iso8859-15\n'€'", "ISO-8859-15"),
        ] {
            let decoded = decode(bytes);
            assert_eq!((&*decoded.text, decoded.encoding, decoded.error), (text, encoding, None));
        }
    }

    #[test]
    fn trouble_is_told() {
        for (bytes, at) in [
            (&b"ab\xff"[..], 2),
            (b"# coding: nonsense\n", 0),
            (b"# coding: ascii\n\xe9", 16),
            (b"# coding: utf-8\n\xe9", 16),
        ] {
            assert_eq!(decode(bytes).error.map(|error| error.0), Some(at), "{bytes:?}");
        }
    }

    #[test]
    fn block_by_block_is_as_a_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let long = |line: &[u8]| line.repeat(3 * BLOCK / line.len() / 2 + 7);
        for (head, line) in [
            (&b""[..], &b"x = 'abc'\n"[..]),
            (b"\xef\xbb\xbf", b"x = '\xc3\xa9'\n"),
            (b"", b"x = '\xff\xc3'\n"),
            (b"# coding: nonsense\n", b"x = '\xc3\xa9'\n"),
            (b"# coding: ascii\n", b"x = '\xc3\xa9'\n"),
            (b"# coding: ascii\n", b"x = '\xe9'\n"),
            (b"# coding: latin-1\n", b"x = '\xe9\xff'\n"),
            (b"# coding: latin-1\n", b"x = 'abc'\n"),
            (b"# coding: cp1251\n", b"x = '\xe9'\n"),
            (b"# coding: shift_jis\n", b"x = '\x83\x65\x83\x58'\n"),
            (b"# coding: gbk\n", b"x = '\xff\x81'\n"),
            (b"# coding: cp1252\n", b"x = 'abc'\n"),
        ] {
            let bytes = [head, &long(line)].concat();
            let whole = decode(&bytes);
            let mut place = Bytes::default();
            let large = decode_large(&bytes, folder.path(), &mut place).expect("room");
            assert!(large.text == whole.text, "{head:?} {line:?}");
            assert_eq!((large.encoding, large.bom), (whole.encoding, whole.bom));
            assert_eq!(large.error, whole.error);
        }
    }
}
