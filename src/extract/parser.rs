//! The parser, on a stack that it can't overflow.
//!
//! It takes more stack where little is left, but not everywhere that it recurses: not between lambdas in defaults of
//! lambdas, nor where targets and patterns nest. What it has must therefore suffice for the worst that a text of its size can ask for.

use super::depth::{self, Bound};
use ruff_python_ast::{ModModule, PySourceType};
use ruff_python_parser::lexer::lex;
use ruff_python_parser::{Mode, Parsed};

/// Bytes of stack for an open bracket: 2.1 KB measured, in calls and parentheses, of version 0.0.10 with optimization.
const BRACKET: usize = 2_300;
/// The same for a sign, which may have an operand of its own: 0.9 KB.
const SIGN: usize = 1_000;
/// The same for any other byte: 0.47 KB in `or(`, 0.35 KB in `**`.
const BYTE: usize = 550;
/// What a level takes that [`depth::Bound`] counts: 3.5 KB.
const LEVEL: usize = 4 << 10;
/// What is left for whatever does not depend on the text.
const REST: usize = 512 << 10;
/// Bytes of addresses that a stack may take: enough for pieces of 512 KB.
const MOST: usize = depth::DEEP_STACK;

/// Lambdas with more than names before their colon, in one text, that a deep stack is asked to hold: CPython takes fewer than
/// 1,000 within each other.
const MAX_LAMBDAS: usize = 50_000;

/// Parses `source`; `None` where it may be nested deeper than the stack of this thread holds.
pub(crate) fn parse(source: &str, kind: PySourceType) -> Option<Parsed<ModModule>> {
    let parse = || ruff_python_parser::parse_unchecked_source(source, kind);
    if depth::is_deep_allowed() {
        // An overflow ends a child, not the run.
        return (long_lambdas(source.as_bytes(), MAX_LAMBDAS) <= MAX_LAMBDAS).then(parse);
    }
    let left = stacker::remaining_stack().unwrap_or(0);
    let asked = worst(source.as_bytes()) + REST;
    if asked <= left {
        Some(parse())
    } else if asked <= MOST {
        // Only what is touched of it costs memory.
        Some(stacker::grow(asked, parse))
    } else {
        (levels(source)? as usize * LEVEL + REST <= left).then(parse)
    }
}

/// Bytes of stack that no text with these bytes exceeds.
fn worst(source: &[u8]) -> usize {
    let (mut brackets, mut signs) = (0, 0);
    for chunk in source.chunks(128) {
        let count =
            |is: fn(u8) -> bool| usize::from(chunk.iter().map(|&byte| u8::from(is(byte))).sum::<u8>());
        brackets += count(|byte| byte == b'(' || byte | 0x20 == b'{');
        signs += count(|byte| matches!(byte, b'-' | b'+' | b'~'));
    }
    brackets * BRACKET + signs * SIGN + source.len() * BYTE
}

/// Bound of the levels of a text; `None` where the parser may read tokens of its own, as it does after one that is none, and for strings that stay open
/// in a field of an f-string.
fn levels(source: &str) -> Option<u32> {
    use ruff_python_ast::token::TokenKind;
    let mut lexer = lex(source, Mode::Module);
    let mut bound = Bound::default();
    let mut formatted = 0_u32;
    loop {
        let kind = lexer.next_token();
        match kind {
            TokenKind::EndOfFile => return Some(bound.deepest()),
            TokenKind::Unknown => return None,
            TokenKind::String if formatted > 0 => return None,
            TokenKind::FStringStart | TokenKind::TStringStart => formatted += 1,
            TokenKind::FStringEnd | TokenKind::TStringEnd => formatted = formatted.saturating_sub(1),
            _ => {}
        }
        bound.push(kind);
    }
}

/// Lambdas with anything but names before their colon, counted up to `most` and one more. Whatever lies between two of them: only such can hold
/// others in their defaults.
fn long_lambdas(text: &[u8], most: usize) -> usize {
    let simple = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b',' | b' ' | b'*');
    let mut places = memchr::memmem::find_iter(text, b"lambda").peekable();
    let mut long = 0;
    while let Some(at) = places.next() {
        // No byte is looked at twice.
        let end = places.peek().copied().unwrap_or(text.len());
        long += usize::from(text[at + 6..end].iter().find(|byte| !simple(byte)) != Some(&b':'));
        if long > most {
            break;
        }
    }
    long
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::STACK;

    /// What the parser takes stack for without asking for more, after what it asks for.
    const SHAPES: [(&str, &str, &str); 9] = [
        ("", "lambda a=", ":0"),
        ("[x for ", "(", ",) in y]"),
        ("del ", "[", "]"),
        ("", "(", ",) = b"),
        ("match a:\n case {", "[", "]: 1}: pass"),
        ("match a:\n case {", "{1:", "}: 1}: pass"),
        ("", "*", ""),
        ("f'{", "lambda a=", ":0}'"),
        ("with a as ", "(", ",): pass"),
    ];

    #[test]
    fn no_text_overflows_the_stack() {
        let work = || {
            for (before, open, close) in SHAPES {
                for prefix in ["", "not ", "a if a else ", "f(", "- ", "2**"] {
                    // The first takes what stack there is, the second is what the parser does not look after.
                    let prefix = if before.starts_with("[x") || before.is_empty() { prefix } else { "" };
                    let (closing, end) = close.split_at(close.find(['=', 'i', ':']).unwrap_or(close.len()));
                    let source = format!(
                        "{}{before}{}a{}{end}\n",
                        prefix.repeat(30_000),
                        open.repeat(30_000),
                        closing.repeat(30_000),
                    );
                    if let Some(parsed) = parse(&source, PySourceType::Python) {
                        std::mem::forget(parsed);
                    }
                }
            }
        };
        std::thread::Builder::new()
            .stack_size(STACK)
            .spawn(work)
            .expect("a thread")
            .join()
            .expect("no panic");
    }

    #[test]
    fn only_lambdas_that_may_hold_others_count() {
        for (text, expected) in [
            ("lambda: 0", 0),
            ("lambda a, *b: 0", 0),
            ("f(key=lambda x: x)", 0),
            ("lambda a=1: 0", 1),
            ("lambda a=lambda: 0: 0", 1),
            ("lambda a=lambda b=1: 0: 0", 2),
            ("lambda", 1),
            ("lambda #", 1),
        ] {
            assert_eq!(long_lambdas(text.as_bytes(), 9), expected, "{text}");
        }
        assert_eq!(long_lambdas("lambda a=".repeat(20).as_bytes(), 9), 10);
    }

    #[test]
    fn a_text_too_large_for_any_stack_is_looked_at_by_its_tokens() {
        let flat = "f(a, [1]); ".repeat(300_000);
        assert!(worst(flat.as_bytes()) > MOST);
        assert!(levels(&flat).is_some_and(|levels| levels < 20));
        let deep = format!("{}{}", "(".repeat(1000), ")".repeat(1000));
        assert!(levels(&deep).is_some_and(|levels| levels >= 1000));
        assert_eq!(levels("x = (\n"), None);
        assert_eq!(levels("x = f'{\"a}'\n"), None);
    }
}
