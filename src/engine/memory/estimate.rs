//! What parsing a file will take, from a count of its bytes.
//!
//! A syntax tree takes 16 to 140 times its source (`a;a;a;`), so the size says little. What is counted here are the beginnings of tokens,
//! by their first character and outside of strings and comments, and each is given what it costs in tokens, tree, names and facts.
//! The costs are a fit to measured peaks over degenerate shapes and large files of real projects: all of those that have no syntax errors
//! come out within a factor of 1.9. Sources with errors throughout take up to eight times what is said.

use crate::extract::AHEAD;
use memchr::{memchr, memchr2, memchr3, memmem};

/// Most bytes that parsing takes for a byte of a source without errors: 170 seen, where vectors had just grown.
pub(super) const WORST: u64 = 200;
/// Bytes that it takes for a byte of an ordinary source.
pub(super) const TYPICAL: u64 = 17;

/// Bytes that are kept until the end for a byte of a source that is parsed in chunks: names, tables, facts.
pub(super) const KEPT: u64 = 8;
/// Bytes that extraction has on the heap where it keeps that in scratch files: buffers, what is sorted at a time.
const BUFFERS: u64 = 24 << 20;

/// What one look at the bytes of a file counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    bytes: u64,
    strings: u64,
    /// Names, keywords and numbers.
    words: u64,
    /// Of those, numbers.
    numbers: u64,
    /// Bytes of all of them.
    word_bytes: u64,
    /// Newlines that follow one.
    blank: u64,
    lambdas: u64,
    /// Opening brackets right after a word or a closing one: calls and subscripts.
    applied: u64,
    /// Other bytes, by class.
    signs: [u64; CLASSES.len()],
}

/// Classes of bytes that are neither part of a word nor blank: opening brackets, and what costs the same within a class.
const CLASSES: [&[u8]; 6] = [b"([{", b",", b".", b":", b"\n;", b"+-*/%&|^~<>!@$?`"];
const OPEN: usize = 0;

const fn is_word(byte: u8) -> bool {
    byte >= 128 || byte == b'_' || byte.is_ascii_alphanumeric()
}

const WORD: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = is_word(byte as u8);
        byte += 1;
    }
    table
};

/// One in the byte of its class.
const SIGNS: [u64; 256] = {
    let mut table = [0; 256];
    let mut class = 0;
    while class < CLASSES.len() {
        let mut at = 0;
        while at < CLASSES[class].len() {
            table[CLASSES[class][at] as usize] = 1 << (8 * class);
            at += 1;
        }
        class += 1;
    }
    table
};

/// Bytes that parsing `text` as a whole takes at its peak, the text itself not counted: tokens, tree, facts and what they are made with.
pub(super) fn whole(text: &[u8]) -> u64 {
    let counts = Counts::of(text);
    let [open, comma, dot, colon, end, operator] = counts.signs;
    let names = counts.words - counts.numbers;
    // Long names are those that differ, and each that differs costs facts of its own; very long ones no more.
    let long = counts.word_bytes.saturating_sub(2 * names).min(6 * names);
    let fitted = 3 * counts.bytes
        + 66 * counts.strings
        + 93 * names
        + 36 * long
        + 37 * counts.numbers
        + 14 * counts.blank
        + 92 * open
        + 110 * counts.applied
        + 125 * comma
        + 27 * dot
        + 50 * colon
        + 97 * (end - counts.blank)
        + 130 * operator
        + 600 * counts.lambdas
        + (180 << 10);
    // Over all shapes the fit errs as far down as up, but for sizes at which vectors have just grown.
    fitted / 25 * 26
}

/// The same for a text that is parsed in chunks of `chunk` bytes. The trees are those of a
/// chunk and of those that are parsed ahead, the facts are those of the whole text.
pub(super) fn chunked(whole: u64, bytes: u64, chunk: u64) -> u64 {
    let parts = (bytes / chunk.max(1)).max(1);
    (whole / parts).saturating_mul(1 + u64::from(AHEAD)).clamp(whole / 2, whole)
}

/// The same where all that is kept until the end goes to scratch files.
pub(super) fn spilled(whole: u64, bytes: u64, chunk: u64) -> u64 {
    let parts = (bytes / chunk.max(1)).max(1);
    // One chunk may well be twice as dense as all are on average.
    (whole / parts * 2).saturating_add(BUFFERS).min(whole)
}

impl Counts {
    fn of(text: &[u8]) -> Self {
        let mut counts = Self { bytes: text.len() as u64, ..Self::default() };
        counts.lambdas = memmem::find_iter(text, b"lambda").count() as u64;
        let mut at = 0;
        while let Some(found) = memchr3(b'"', b'\'', b'#', &text[at..]) {
            let start = at + found;
            counts.code(&text[at..start]);
            at = if text[start] == b'#' {
                memchr(b'\n', &text[start..]).map_or(text.len(), |end| start + end)
            } else {
                counts.string(text, start)
            };
        }
        counts.code(&text[at..]);
        counts
    }

    fn code(&mut self, code: &[u8]) {
        let mut before = b' ';
        // No class can be counted more often than fits its byte.
        for chunk in code.chunks(255) {
            let mut packed = 0u64;
            for &byte in chunk {
                packed += SIGNS[usize::from(byte)];
                let word = WORD[usize::from(byte)];
                let starts = word & !WORD[usize::from(before)];
                self.words += u64::from(starts);
                self.numbers += u64::from(starts & byte.is_ascii_digit());
                self.word_bytes += u64::from(word);
                self.blank += u64::from((byte == b'\n') & (before == b'\n'));
                self.applied += u64::from(
                    ((byte == b'(') | (byte == b'['))
                        & (WORD[usize::from(before)] | (before == b')') | (before == b']')),
                );
                before = byte;
            }
            for (class, count) in self.signs.iter_mut().enumerate() {
                *count += packed >> (8 * class) & 255;
            }
        }
    }

    /// Place after the string whose quote is at `start`. What stands in the braces of an f-string is code.
    fn string(&mut self, text: &[u8], start: usize) -> usize {
        self.strings += 1;
        let quote = text[start];
        let triple = text[start..].starts_with(&[quote; 3]);
        let prefix = text[..start].iter().rev().take(2).take_while(|byte| byte.is_ascii_alphabetic());
        let formatted = prefix.clone().any(|byte| matches!(byte | 0x20, b'f' | b't'));
        let mut at = start + if triple { 3 } else { 1 };
        while at < text.len() {
            let end = if triple || formatted { b'{' } else { b'\n' };
            let Some(found) = memchr3(quote, b'\\', end, &text[at..]) else { break };
            at += found;
            match text[at] {
                b'\\' => at += 2,
                b'{' if formatted => {
                    at += 1;
                    let end = memchr2(b'}', quote, &text[at..]).map_or(text.len(), |end| at + end);
                    self.signs[OPEN] += 1;
                    self.code(&text[at..end]);
                    at = end;
                }
                b'\n' => return at,
                b'{' => at += 1,
                _ if !triple => return at + 1,
                _ if text[at..].starts_with(&[quote; 3]) => return at + 3,
                _ => at += 1,
            }
        }
        text.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::{Outcome, Scratch};
    use crate::split::{ChunkSize, Measure};
    use crate::sys::peak_of;

    fn numbered(count: usize, line: impl Fn(usize) -> String) -> String {
        (0..count).map(line).collect()
    }

    /// Shapes of `size` bytes, about.
    fn shapes(size: usize) -> Vec<(&'static str, String)> {
        let fill = |part: &str| part.repeat(size / part.len());
        let nested = |open: &str, inner: &str, close: &str, depth: usize| {
            fill(&format!("{}{inner}{}\n", open.repeat(depth), close.repeat(depth)))
        };
        vec![
            ("tiny statements in a line", fill("a;")),
            ("tiny statements", fill("a\n")),
            ("pass", fill("pass\n")),
            ("assignments", fill("x = 1\n")),
            ("names that differ", numbered(size / 30, |at| format!("name_{at} = other_{at}\n"))),
            (
                "long names",
                numbered(size / 114, |at| format!("{}{at} = {}{at}\n", "n".repeat(50), "m".repeat(50))),
            ),
            ("one huge string", format!("x = '{}'\n", "q".repeat(size))),
            ("one huge text", format!("'''{}'''\n", fill("some words here, and (brackets) too.\n"))),
            ("bytes", format!("x = b'{}'\n", fill("\\x00\\xff"))),
            (
                "docstrings",
                fill("def f():\n    \"\"\"Does this and that, (then) more.\n\n    At length.\n    \"\"\"\n"),
            ),
            ("comments", fill("# some words here, and (brackets) too.\n")),
            ("one long comment", format!("# {}\n", fill("abc def "))),
            ("blank lines", "\n".repeat(size)),
            ("nested brackets", nested("[", "", "]", 180)),
            ("nested parentheses", nested("(", "a", ")", 180)),
            ("nested dicts", nested("{1:", "0", "}", 150)),
            ("nested calls", nested("f(", "a", ")", 150)),
            ("attribute chains", fill(&format!("a{}\n", ".b".repeat(3000)))),
            ("call chains", fill(&format!("a{}\n", "()".repeat(1500)))),
            ("subscript chains", fill(&format!("a{}\n", "[0]".repeat(1500)))),
            ("sums", fill(&format!("1{}\n", "+1".repeat(100)))),
            ("conditions", fill(&format!("a{}\n", " and a".repeat(100)))),
            ("comparisons", fill(&format!("a{}\n", "<a".repeat(100)))),
            ("list of numbers", format!("x = [{}]\n", fill("1,"))),
            ("list of numbers in lines", format!("x = [\n{}]\n", fill("    123456,\n"))),
            ("list of names", format!("x = ({})\n", fill("abc, "))),
            ("list of floats", format!("x = [{}]\n", fill("1.5e3, "))),
            ("dict of numbers", format!("x = {{{}}}\n", fill("1:2,"))),
            (
                "dict of strings",
                format!(
                    "x = {{\n{}}}\n",
                    numbered(size / 34, |at| format!("    'key_{at}': 'value of {at}',\n"))
                ),
            ),
            (
                "dict of lists",
                format!(
                    "x = {{\n{}}}\n",
                    numbered(size / 36, |at| format!("    'key_{at}': [1, 2.5, 'x', None],\n"))
                ),
            ),
            ("list of tuples", format!("x = [\n{}]\n", fill("    (0x1F600, 0x1F64F, 'W'),\n"))),
            ("list of lists", format!("x = [{}]\n", fill("[],"))),
            ("strings side by side", format!("x = ({})\n", fill("'a' "))),
            ("calls", fill("f(a, b, 1)\n")),
            ("calls in a line", fill("f();")),
            ("methods", fill("self.a.b(x.y, z)\n")),
            ("functions", fill("def f(a, b: int = 1, *c, **d) -> None: pass\n")),
            ("classes", fill("class C: pass\n")),
            ("imports", fill("from a import b, c, d\n")),
            ("one import", format!("from a import ({})\n", numbered(size / 9, |at| format!("n_{at},")))),
            ("parameters", format!("def f({}): pass\n", numbered(size / 9, |at| format!("a_{at},")))),
            ("branches", fill("if a:\n    b\nelse:\n    c\n")),
            ("matches", fill("match a:\n case 1: b\n")),
            ("lambdas", fill("lambda a, b: a\n")),
            ("f-strings", fill("f'{a!r:>{w}} {b:x}'\n")),
            ("one f-string", format!("f'{}'\n", fill("{a}"))),
            ("comprehensions", fill("[a for a in b if a]\n")),
            ("decorators", fill("@a\ndef f(): pass\n")),
            ("annotations", fill("a: int = 1\n")),
            ("deletions", fill("del a\n")),
            ("slices", fill("a[1:2]\n")),
            ("names beyond ASCII", fill("größe = wörter\n")),
            ("another encoding", format!("# coding: latin-1\n{}", fill("x = 'abc'\n"))),
        ]
    }

    fn peak(text: &str, chunk: Option<usize>) -> u64 {
        // The stack of a worker, which a test's thread has not.
        let work = || {
            let mut scratch = Scratch::default();
            peak_of(|| match chunk {
                None => scratch.parse(text.as_bytes(), false),
                Some(limit) => {
                    scratch.parse_in(text.as_bytes(), false, ChunkSize { measure: Measure::Ast, limit }).0
                }
            })
        };
        std::thread::scope(|scope| {
            let builder = std::thread::Builder::new().stack_size(8 * crate::extract::STACK);
            let thread = builder.spawn_scoped(scope, work).expect("a thread");
            let (outcome, peak) = thread.join().expect("no panic");
            assert!(matches!(outcome, Outcome::Facts(_)), "{}", &text[..20]);
            peak
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "a ratio is shown with two decimals")]
    fn ratio(a: u64, b: u64) -> f64 {
        a as f64 / b as f64
    }

    #[test]
    #[expect(clippy::print_stdout, reason = "the table is what the costs are judged by")]
    fn estimates_are_within_twice_what_is_measured() {
        let mut wrong = Vec::new();
        for size in [80_000, 300_000] {
            for (name, text) in shapes(size) {
                let (estimate, measured) = (whole(text.as_bytes()), peak(&text, None));
                let times = ratio(estimate, measured);
                println!(
                    "{name:<26} {size:>8} {measured:>10} {:>6.1} {times:>5.2}",
                    ratio(measured, size as u64)
                );
                if !(0.5..=2.0).contains(&times) {
                    wrong.push(format!("{name} of {size}: {times:.2}"));
                }
                assert!(measured <= WORST * text.len() as u64, "{name}: {measured}");
            }
        }
        assert_eq!(wrong, Vec::<String>::new());
    }

    #[test]
    fn chunks_take_less_and_never_far_more_than_said() {
        let chunk = 32 << 10;
        for (name, text) in shapes(300_000) {
            let whole = whole(text.as_bytes());
            let estimate = chunked(whole, text.len() as u64, chunk as u64);
            let measured = peak(&text, Some(chunk));
            // What stands in one line is one statement, or many that can't be told apart by their lines.
            let one_line = text.len() / (1 + text.matches('\n').count()) > chunk;
            let times = ratio(measured, if one_line { whole } else { estimate });
            assert!(times <= 2.5, "{name}: {times:.2}");
        }
    }

    #[test]
    fn tokens_are_counted_outside_of_strings_and_comments() {
        for (text, words, numbers, strings, signs) in [
            ("a = b1 + 22\n", 3, 1, 0, [0, 0, 0, 0, 1, 1]),
            ("# a b c, (d)\nx", 1, 0, 0, [0, 0, 0, 0, 1, 0]),
            ("'a # b' + \"c\\\" d\" # e", 0, 0, 2, [0, 0, 0, 0, 0, 1]),
            ("'''a 'b' \" \n c''' d", 1, 0, 1, [0; 6]),
            ("'a\nb'\n", 1, 0, 2, [0, 0, 0, 0, 2, 0]),
            ("f'{a}, {b:c}' '{d}'", 4, 0, 2, [2, 0, 0, 1, 0, 0]),
            ("größe.b[0]; c", 4, 1, 0, [1, 0, 1, 0, 1, 0]),
            ("'", 0, 0, 1, [0; 6]),
            ("f'{", 1, 0, 1, [1, 0, 0, 0, 0, 0]),
            ("'\\", 0, 0, 1, [0; 6]),
            ("", 0, 0, 0, [0; 6]),
        ] {
            let counts = Counts::of(text.as_bytes());
            assert_eq!(
                (counts.words, counts.numbers, counts.strings, counts.signs),
                (words, numbers, strings, signs),
                "{text}"
            );
        }
        let long = Counts::of("(".repeat(1000).as_bytes());
        assert_eq!(long.signs[OPEN], 1000);
        assert_eq!(Counts::of(b"\n\n\n;").signs[4], 4);
    }
}
