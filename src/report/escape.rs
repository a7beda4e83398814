//! Makes foreign text safe to show. Names, paths and messages come from the analyzed tree, which may hold anything:
//! sequences that repaint a terminal, marks that reverse the reading order.

use std::borrow::Cow;
use std::io::{self, Write};

/// Whether a character could change how a terminal shows what surrounds it.
#[must_use]
pub fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{061c}' | '\u{200e}' | '\u{200f}' // marks of direction
            | '\u{2028}' | '\u{2029}' // line and paragraph separators
            | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' // embeddings, overrides, isolates
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The text with every unsafe character written as Rust would write it (`\n`, `\u{1b}`); one line, whatever came in.
///
/// For eyes only: a backslash that was there before is left alone, so the original cannot be told from the result.
#[must_use]
pub fn escape(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) || !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '\n' | '\r' | '\t' => out.extend(character.escape_default()),
            _ if is_unsafe(character) => out.extend(character.escape_unicode()),
            _ => out.push(character),
        }
    }
    Cow::Owned(out)
}

/// Passes JSON on with every unsafe character in it written as `\u....`. Readers of JSON get the same values; whoever looks
/// at it in a terminal gets nothing that acts on it. Takes whole characters at a time, as `serde_json` writes them.
#[derive(Debug)]
pub struct SafeJson<W>(pub W);

impl<W: Write> Write for SafeJson<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match safe_json(bytes) {
            Cow::Borrowed(bytes) => self.0.write(bytes),
            Cow::Owned(escaped) => self.0.write_all(&escaped).map(|()| bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// JSON with every unsafe character in it written as `\u....`; line ends between values stay.
#[must_use]
pub fn safe_json(json: &[u8]) -> Cow<'_, [u8]> {
    // Outside of strings JSON is plain ASCII, and within them control characters below U+0020 are escaped already.
    if json.iter().all(|&byte| byte < 0x7f) {
        return Cow::Borrowed(json);
    }
    let text = String::from_utf8_lossy(json);
    let escaped = |character: char| character != '\n' && is_unsafe(character);
    if !text.contains(escaped) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(text.len() + 64);
    for character in text.chars() {
        if escaped(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(character);
        }
    }
    Cow::Owned(out.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        for (given, expected) in [
            ("plain/path.py", "plain/path.py"),
            ("größe 变量", "größe 变量"),
            ("a\x1b[2Jb", "a\\u{1b}[2Jb"),
            ("a\r\nb\tc", "a\\r\\nb\\tc"),
            ("\u{202e}gnp.exe", "\\u{202e}gnp.exe"),
            ("\u{9b}31m\0\x7f", "\\u{9b}31m\\u{0}\\u{7f}"),
        ] {
            assert_eq!(escape(given), expected);
        }
    }

    #[test]
    fn safe_json_reads_back() {
        for text in [
            "plain",
            "größe 变量 😀",
            "\x1b\u{9b}31m\x7f",
            "\u{202e}\u{2066}x",
            "\u{e0041}\u{feff}",
            "\r\n\t\\\"",
        ] {
            let mut out = Vec::new();
            serde_json::to_writer_pretty(SafeJson(&mut out), &[text]).expect("a vector takes everything");
            let shown = String::from_utf8(out).expect("UTF-8");
            assert!(!shown.contains(|c| c != '\n' && is_unsafe(c)), "{shown}");
            assert_eq!(serde_json::from_str::<Vec<String>>(&shown).expect("JSON"), [text]);
        }
    }
}
