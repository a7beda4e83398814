//! Makes foreign text safe to show. Names, paths and messages come from the analyzed tree, which may hold anything:
//! sequences that repaint a terminal, marks that reverse the reading order.

use std::borrow::Cow;

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
}
