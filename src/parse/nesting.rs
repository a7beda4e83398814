//! Turns away what no Python takes and no parser should try: brackets or f-strings within each other beyond reason,
//! endless runs of signs, and blocks indented beyond reason. A megabyte of `(` takes two gigabytes to parse, nested f-strings the square of
//! their depth, and blocks are looked through once for each that they lie in.
//!
//! Looks at bytes alone, and may be deceived by what stands in f-strings: it spares time and memory; what is deep is found
//! without it too. CPython takes 200 brackets, 150 f-strings and 99 indentations within each other.

use crate::extract::{self, MAX_BLOCKS};

/// Brackets within each other, or signs in a row, on an ordinary stack.
const MAX_NESTING: usize = 1_000;
/// The same on a deep one.
const MAX_DEEP_NESTING: usize = 32_000;
/// Below this size even the worst text costs little.
const SMALL: usize = 1 << 16;
const CHUNK: usize = 128;

/// True where the text must not be parsed.
pub(super) fn is_hopeless(text: &[u8]) -> bool {
    text.len() > SMALL && may_be_deep(text) && is_deep(text)
}

fn limit() -> usize {
    if extract::is_deep_allowed() { MAX_DEEP_NESTING } else { MAX_NESTING }
}

/// A quick look that takes quoted brackets for real ones. Quoted closing ones may hide nesting: the parser then
/// spends the memory, and the depth of the tree is found all the same.
fn may_be_deep(text: &[u8]) -> bool {
    let limit = limit();
    let (mut depth, mut signs) = (0usize, 0usize);
    text.chunks(CHUNK).any(|chunk| {
        let opened = count(chunk, |byte| byte == b'(' || byte | 0x20 == b'{');
        let closed = count(chunk, |byte| byte == b')' || byte | 0x20 == b'}');
        let peak = depth + opened;
        depth = peak.saturating_sub(closed);
        signs = if count(chunk, is_sign) == chunk.len() { signs + chunk.len() } else { 0 };
        // As many blanks in a row as blocks may lie within each other fill a chunk.
        peak > limit || signs > limit || count(chunk, is_blank) == CHUNK
    })
}

#[inline]
fn count(chunk: &[u8], is: impl Fn(u8) -> bool) -> usize {
    usize::from(chunk.iter().map(|&byte| u8::from(is(byte))).sum::<u8>())
}

#[inline]
fn is_sign(byte: u8) -> bool {
    matches!(byte, b'-' | b'+' | b'~' | b' ')
}

#[inline]
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Indentations of the blocks around a line, in characters.
#[derive(Default)]
struct Blocks(Vec<usize>);

impl Blocks {
    /// Enters the line that begins at `at`, and gives its first byte that is no blank.
    fn line(&mut self, text: &[u8], at: usize) -> usize {
        let blanks = text[at..].iter().position(|&byte| !is_blank(byte));
        let code = blanks.map_or(text.len(), |blanks| at + blanks);
        if !matches!(text.get(code), None | Some(b'\n' | b'\r' | b'#' | b'\\' | 0x0c)) {
            let indent = code - at;
            while self.0.last().is_some_and(|&around| around > indent) {
                self.0.pop();
            }
            if self.0.last().copied().unwrap_or(0) < indent {
                self.0.push(indent);
            }
        }
        code
    }

    fn are_deep(&self) -> bool {
        self.0.len() > MAX_BLOCKS as usize
    }
}

/// The same with strings and comments left out; the braces of f-strings count.
fn is_deep(text: &[u8]) -> bool {
    let limit = limit();
    let mut blocks = Blocks::default();
    let (mut depth, mut signs, mut at) = (0usize, 0usize, blocks.line(text, 0));
    while at < text.len() {
        let byte = text[at];
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b'-' | b'+' | b'~' => signs += 1,
            b'#' => {
                at += memchr::memchr2(b'\n', b'\r', &text[at..]).unwrap_or(text.len() - at);
                continue;
            }
            b'"' | b'\'' => {
                at = string(text, at, limit, &mut depth);
                if matches!(text.get(at), Some(b'\n' | b'\r')) {
                    continue;
                }
            }
            // A continued line has no indentation.
            b'\\' => at += 1,
            b'\n' | b'\r' if depth == 0 => {
                signs = 0;
                at = blocks.line(text, at + 1);
                if blocks.are_deep() {
                    return true;
                }
                continue;
            }
            _ => {}
        }
        if !is_sign(byte) {
            signs = 0;
        }
        if depth > limit || signs > limit {
            return true;
        }
        at += 1;
    }
    false
}

/// Last byte of the string whose quote is at `start`. An f-string adds the braces that it opens and does not close.
fn string(text: &[u8], start: usize, limit: usize, depth: &mut usize) -> usize {
    let quote = text[start];
    let prefix = text[..start].iter().rev().take(2).take_while(|byte| byte.is_ascii_alphabetic());
    let formatted = prefix.clone().any(|byte| matches!(byte | 0x20, b'f' | b't'));
    let triple = text[start..].starts_with(&[quote; 3]);
    let mut at = start + if triple { 3 } else { 1 };
    while at < text.len() {
        match text[at] {
            b'\\' => at += 1,
            b'\n' | b'\r' if !triple => return at,
            b'{' if formatted => {
                if text.get(at + 1) == Some(&b'{') {
                    at += 1;
                } else {
                    *depth += 1;
                    if *depth > limit {
                        return at;
                    }
                }
            }
            b'}' if formatted => *depth = depth.saturating_sub(1),
            byte if byte == quote && !triple => return at,
            byte if byte == quote && text[at..].starts_with(&[quote; 3]) => return at + 2,
            _ => {}
        }
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_real_nesting_counts() {
        let many = |part: &str| part.repeat(100_000);
        let indented = |levels: usize, line: &str| -> String {
            (0..levels).map(|level| format!("{}{line}", " ".repeat(level))).collect()
        };
        for (text, expected) in [
            (many("("), true),
            (many("[{"), true),
            (format!("{}{}", many("("), many(")")), true),
            (many("-"), true),
            (many("- "), true),
            (many("f\"{"), true),
            (format!("f'{}'", many("{a:")), true),
            (format!("f'{}{}'", many("{a:"), many("}")), true),
            (many("f(a)\n"), false),
            (format!("'''{}'''", many("(")), false),
            (format!("# {}\n", many("[")), false),
            (format!("x = '{}'\n", many("{")), false),
            (format!("f'{}'", many("{{")), false),
            (format!("# {}\n", many("-")), false),
            (many("x = [\n"), true),
            (many("if x:\n        y\n    z\n"), false),
            (many("- #\n"), false),
            (indented(400, "if x:\n"), true),
            (indented(400, "if x: # ':\n\n"), true),
            (indented(400, "if x: '\n"), true),
            (format!("'''\n{}'''\n", indented(400, "if x:\n")), false),
            (format!("f(\n{})\n", indented(400, "a,\n")), false),
            (indented(249, "if x:\n").repeat(3), false),
        ] {
            assert_eq!(is_hopeless(text.as_bytes()), expected, "{}", &text[..20]);
        }
        assert!(!is_hopeless("(".repeat(5_000).as_bytes()), "small texts are left to the parser");
    }
}
