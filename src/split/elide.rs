//! Statements and headers larger than a chunk: their large literals without elements, their long strings without text.

use super::scan::{Scanner, Visitor, Word};
use super::{ChunkSize, Elements, Hole, Segment, Source};

/// An open bracket.
#[derive(Clone, Copy, Debug)]
struct Open {
    at: usize,
    byte: u8,
    /// After a name or a bracket: a call or a subscript.
    applied: bool,
    comma: bool,
    colon: bool,
    /// A comprehension, or `yield`.
    other: bool,
    /// Lambdas that have not come to their colon.
    lambdas: u32,
}

/// What is left out.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// A literal: its brackets; what stands between them instead.
    Literal { open: usize, close: usize, filler: &'static str, braces: bool },
    /// A string.
    String { start: usize, end: usize, filler: &'static str },
}

impl Cut {
    fn start(&self) -> usize {
        match self {
            Self::Literal { open: start, .. } | Self::String { start, .. } => *start,
        }
    }
}

/// Strings one after the other: they are one.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    start: usize,
    end: usize,
    bytes: bool,
    /// Both bytes and text, or an escape that says nothing: no string.
    wrong: bool,
    /// Has an escape that only the parser can judge.
    named: bool,
}

/// Finds the outermost literals and the strings that are larger than a chunk.
struct Finder<'t> {
    text: &'t [u8],
    size: ChunkSize,
    open: Vec<Open>,
    cuts: Vec<Cut>,
    /// The strings one after the other that were met last.
    run: Run,
    /// Strings with line ends in them, but for those in a literal that is left out.
    tokens: Vec<(usize, usize)>,
}

impl Visitor for Finder<'_> {
    const WORDS: bool = true;

    fn open(&mut self, at: usize, byte: u8, _depth: u32) {
        let applied = byte != b'{' && self.is_applied(at);
        self.open.push(Open { at, byte, applied, comma: false, colon: false, other: false, lambdas: 0 });
    }

    fn close(&mut self, at: usize, _depth: u32) {
        let Some(open) = self.open.pop() else { return };
        let literal = !open.applied && !open.other && (open.byte != b'(' || open.comma);
        if !literal || !self.size.exceeded(&self.text[open.at + 1..at]) {
            return;
        }
        self.cuts.truncate(self.cuts.partition_point(|cut| cut.start() < open.at));
        self.tokens.truncate(self.tokens.partition_point(|token| token.0 < open.at));
        let inside = &self.text[open.at + 1..at];
        let unpacked = inside.trim_ascii_start().starts_with(b"**");
        let filler = if open.byte == b'{' && !open.colon && !unpacked { "0" } else { "" };
        self.cuts.push(Cut::Literal { open: open.at, close: at, filler, braces: open.byte == b'{' });
    }

    fn sign(&mut self, at: usize, byte: u8, depth: u32) {
        if let Some(open) = self.open.last_mut().filter(|_| depth > 0) {
            if open.lambdas > 0 {
                open.lambdas -= u32::from(byte == b':');
            } else {
                open.comma |= byte == b',';
                open.colon |= byte == b':' && self.text.get(at + 1) != Some(&b'=');
            }
        }
    }

    fn word(&mut self, word: Word) {
        if let Some(open) = self.open.last_mut() {
            match word {
                Word::Lambda => open.lambdas += 1,
                Word::For | Word::Yield => open.other = true,
            }
        }
    }

    fn string(&mut self, start: usize, end: usize) {
        if memchr::memchr2(b'\n', b'\r', &self.text[start..end]).is_some() {
            self.tokens.push((start, end));
        }
        let token = string_token(&self.text[start..end]);
        self.run = match self.run {
            run if run.end > 0 && is_blank(&self.text[run.end..start]) => Run {
                end,
                wrong: run.wrong || token.wrong || run.bytes != token.bytes,
                named: run.named || token.named,
                ..run
            },
            _ => Run { start, end, ..token },
        };
        let run = self.run;
        let known = self.cuts.last().is_some_and(|cut| cut.start() == run.start);
        if !known && !self.size.exceeded(&self.text[run.start..run.end]) {
            return;
        }
        if known {
            self.cuts.pop();
        }
        if !run.named {
            let filler = match (run.wrong, run.bytes) {
                // What the parser takes for an error, as it would take what stands there.
                (true, _) => "'' b''",
                (false, true) => "b''",
                (false, false) => "''",
            };
            self.cuts.push(Cut::String { start: run.start, end: run.end, filler });
        }
    }
}

/// What the parser has to be told of a string that it doesn't get: the token with prefix and quotes.
fn string_token(token: &[u8]) -> Run {
    let prefix = token.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let has = |letter: u8| token[..prefix].iter().any(|byte| byte | 0x20 == letter);
    let (bytes, raw) = (has(b'b'), has(b'r'));
    let mut run = Run { bytes, wrong: bytes && !token.is_ascii(), ..Run::default() };
    if raw {
        return run;
    }
    let mut rest = &token[prefix..];
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let escape = rest.get(at + 1).copied().unwrap_or(0);
        rest = &rest[(at + 2).min(rest.len())..];
        let digits = match escape {
            b'x' => 2,
            b'u' if !bytes => 4,
            b'U' if !bytes => 8,
            b'N' if !bytes => {
                run.named = true;
                continue;
            }
            _ => continue,
        };
        let code = rest.get(..digits).and_then(|digits| {
            digits.iter().try_fold(0u32, |code, byte| Some(code << 4 | char::from(*byte).to_digit(16)?))
        });
        run.wrong |= code.is_none_or(|code| code > 0x10_ffff);
    }
    run
}

impl Finder<'_> {
    /// True where what stands before the bracket is called or indexed by it.
    fn is_applied(&self, at: usize) -> bool {
        let before = self.text[..at].trim_ascii_end();
        let Some(&last) = before.last() else { return false };
        if matches!(last, b')' | b']' | b'}' | b'"' | b'\'') {
            return true;
        }
        let letters = before.iter().rev().take(16);
        let letters = letters
            .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_' || **byte >= 0x80)
            .count();
        !matches!(
            &before[before.len() - letters..],
            // Words before what may be a target, a pattern or an item of `with` are left out: those stay whole.
            b"" | b"return"
                | b"in"
                | b"not"
                | b"and"
                | b"or"
                | b"is"
                | b"if"
                | b"else"
                | b"elif"
                | b"yield"
                | b"from"
                | b"await"
                | b"assert"
                | b"while"
                | b"raise"
        )
    }
}

/// White space, continued lines and comments.
pub(super) fn is_blank(mut text: &[u8]) -> bool {
    loop {
        match text {
            [] => return true,
            [b' ' | b'\t' | b'\n' | b'\r' | b'\\' | 0x0c, rest @ ..] => text = rest,
            [b'#', ..] => text = &text[memchr::memchr2(b'\n', b'\r', text).unwrap_or(text.len())..],
            _ => return false,
        }
    }
}

/// Copies bytes `start..end` of `text` to the end of `source`, without what is larger than a chunk by itself.
pub(super) fn copy(text: &str, start: usize, end: usize, size: ChunkSize, source: &mut Source) {
    if !size.exceeded(&text.as_bytes()[start..end]) {
        plain(text, start, end, source);
        return;
    }
    let mut finder = Finder {
        text: text.as_bytes(),
        size,
        open: Vec::new(),
        cuts: Vec::new(),
        run: Run::default(),
        tokens: Vec::new(),
    };
    let mut scanner = Scanner::new(text.as_bytes(), start);
    // Within brackets line ends mean nothing, and elements are copied without theirs.
    while let Some(line) = scanner.line_with(end, &mut finder) {
        if line.broken {
            // What does not end must reach the parser, which says so.
            plain(text, start, end, source);
            return;
        }
    }
    let mut at = start;
    // An element may end within a line; what comes after it was looked at too.
    finder.cuts.retain(|cut| cut.start() < end);
    source.strings.extend(finder.tokens.into_iter().filter(|token| token.0 < end));
    for cut in finder.cuts {
        match cut {
            Cut::Literal { open, close, filler, braces } => {
                plain(text, at, open, source);
                let hole = source.text.len() as u32;
                plain(text, open, open + 1, source);
                source.text.push_str(filler);
                source.holes.push(Hole::Literal {
                    at: hole,
                    elements: Elements { start: open + 1, end: close, braces },
                });
                at = close;
            }
            Cut::String { start, end, filler } => {
                plain(text, at, start, source);
                let place = source.text.len() as u32;
                source.text.push_str(filler);
                source.segments.push(Segment {
                    start: place,
                    end: source.text.len() as u32,
                    from: start as u32,
                    to: end as u32,
                });
                at = end;
            }
        }
    }
    plain(text, at, end, source);
}

/// Copies bytes `start..end` of `text` to the end of `source`.
pub(super) fn plain(text: &str, start: usize, end: usize, source: &mut Source) {
    let at = source.text.len() as u32;
    source.text.push_str(&text[start..end]);
    source.segments.push(Segment {
        start: at,
        end: source.text.len() as u32,
        from: start as u32,
        to: end as u32,
    });
}
