//! Bytes to text, as Python reads a source file: BOM, PEP 263 declaration, UTF-8 otherwise.

use std::borrow::Cow;

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

/// Decodes `bytes`. Bytes that the encoding does not know become U+FFFD, with an error that says where.
pub fn decode(bytes: &[u8]) -> Decoded<'_> {
    let (bytes, bom) = match bytes.strip_prefix(b"\xef\xbb\xbf") {
        Some(rest) => (rest, true),
        None => (bytes, false),
    };
    let utf8 = |error| match std::str::from_utf8(bytes) {
        Ok(text) => Decoded { text: Cow::Borrowed(text), encoding: "utf-8", bom, error },
        Err(bad) => {
            let at = bad.valid_up_to();
            let error = error.or_else(|| {
                Some((
                    at as u32,
                    format!("byte 0x{:02x} is not UTF-8 and no encoding is declared", bytes[at]),
                ))
            });
            Decoded { text: String::from_utf8_lossy(bytes), encoding: "utf-8", bom, error }
        }
    };
    match declared(bytes) {
        None => utf8(None),
        Some(label) => {
            let name = label.to_ascii_lowercase().replace('_', "-");
            if matches!(name.as_str(), "utf-8" | "utf8" | "u8" | "utf" | "utf8-sig" | "utf-8-sig" | "cp65001")
                || name.starts_with("utf-8-")
            {
                return utf8(None);
            }
            if matches!(
                name.as_str(),
                "latin-1" | "latin1" | "iso-8859-1" | "iso8859-1" | "l1" | "8859" | "cp819"
            ) || name.starts_with("latin-1-")
            {
                return Decoded {
                    text: encoding_rs::mem::decode_latin1(bytes),
                    encoding: "iso-8859-1",
                    bom,
                    error: None,
                };
            }
            if matches!(name.as_str(), "ascii" | "us-ascii" | "646") {
                let mut decoded = utf8(None);
                decoded.encoding = "ascii";
                if let Some(at) = bytes.iter().position(|byte| !byte.is_ascii()) {
                    decoded.error.get_or_insert((
                        at as u32,
                        format!("byte 0x{:02x} is not ASCII, the declared encoding", bytes[at]),
                    ));
                }
                return decoded;
            }
            match encoding_rs::Encoding::for_label(alias(&name).as_bytes()) {
                None => utf8(Some((0, format!("the declared encoding {label:?} is unknown, read as UTF-8")))),
                Some(encoding) => {
                    let (text, lossy) = encoding.decode_without_bom_handling(bytes);
                    let error = lossy.then(|| {
                        let at = text.find('\u{fffd}').unwrap_or(0) as u32;
                        (at, format!("bytes here are not {}, the declared encoding", encoding.name()))
                    });
                    Decoded { text, encoding: encoding.name(), bom, error }
                }
            }
        }
    }
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
}
