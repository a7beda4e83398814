//! Turns away what no Python takes and no parser should try: brackets or f-strings within each other beyond reason,
//! and endless runs of signs. A megabyte of `(` takes two gigabytes to parse, nested f-strings the square of their depth.
//!
//! Looks at bytes alone. CPython takes 200 brackets and 150 f-strings within each other.

use crate::extract;

/// Brackets within each other, or signs in a row, on an ordinary stack; more in proportion on a deep one.
const MAX_NESTING: usize = 1_000;
/// Below this size even the worst text costs little.
const SMALL: usize = 1 << 16;
const CHUNK: usize = 128;

/// True where the text must not be parsed.
pub(super) fn is_hopeless(text: &[u8]) -> bool {
    text.len() > SMALL && may_be_deep(text) && is_deep(text)
}

fn limit() -> usize {
    MAX_NESTING * (extract::depth_limit() / extract::MAX_DEPTH) as usize
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
        peak > limit || signs > limit
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

/// The same with strings and comments left out; the braces of f-strings count.
fn is_deep(text: &[u8]) -> bool {
    let limit = limit();
    let (mut depth, mut signs, mut at) = (0usize, 0usize, 0usize);
    while at < text.len() {
        let byte = text[at];
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b'-' | b'+' | b'~' => signs += 1,
            b'#' => at += memchr::memchr2(b'\n', b'\r', &text[at..]).unwrap_or(text.len() - at),
            b'"' | b'\'' => at = string(text, at, limit, &mut depth),
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
        ] {
            assert_eq!(is_hopeless(text.as_bytes()), expected, "{}", &text[..20]);
        }
        assert!(!is_hopeless("(".repeat(5_000).as_bytes()), "small texts are left to the parser");
    }
}
