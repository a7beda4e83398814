//! Statements and headers larger than a chunk: their large literals without elements, their long strings without text.

use super::scan::{Scanner, Visitor};
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
    comprehension: bool,
}

/// What is left out.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// A literal: its brackets; what stands between them instead.
    Literal { open: usize, close: usize, filler: &'static str, braces: bool },
    /// A string.
    String { start: usize, end: usize, filler: &'static str },
}

/// Finds the outermost literals and the strings that are larger than a chunk.
struct Finder<'t> {
    text: &'t [u8],
    size: ChunkSize,
    open: Vec<Open>,
    cuts: Vec<Cut>,
}

impl Visitor for Finder<'_> {
    const WORDS: bool = true;

    fn open(&mut self, at: usize, byte: u8, _depth: u32) {
        let applied = byte != b'{' && self.is_applied(at);
        self.open.push(Open { at, byte, applied, comma: false, colon: false, comprehension: false });
    }

    fn close(&mut self, at: usize, _depth: u32) {
        let Some(open) = self.open.pop() else { return };
        let literal = !open.applied && !open.comprehension && (open.byte != b'(' || open.comma);
        if !literal || !self.size.exceeded(&self.text[open.at + 1..at]) {
            return;
        }
        self.cuts.retain(|cut| match cut {
            Cut::Literal { open: start, .. } | Cut::String { start, .. } => *start < open.at,
        });
        let inside = &self.text[open.at + 1..at];
        let unpacked = inside.trim_ascii_start().starts_with(b"**");
        let filler = if open.byte == b'{' && !open.colon && !unpacked { "0" } else { "" };
        self.cuts.push(Cut::Literal { open: open.at, close: at, filler, braces: open.byte == b'{' });
    }

    fn sign(&mut self, _at: usize, byte: u8, depth: u32) {
        if let Some(open) = self.open.last_mut().filter(|_| depth > 0) {
            open.comma |= byte == b',';
            open.colon |= byte == b':';
        }
    }

    fn word_for(&mut self, _depth: u32) {
        if let Some(open) = self.open.last_mut() {
            open.comprehension = true;
        }
    }

    fn string(&mut self, start: usize, end: usize) {
        if !self.size.exceeded(&self.text[start..end]) {
            return;
        }
        let prefix = self.text[start..end].iter().take_while(|byte| byte.is_ascii_alphabetic());
        let filler = if prefix.clone().any(|byte| byte | 0x20 == b'b') { "b''" } else { "''" };
        self.cuts.push(Cut::String { start, end, filler });
    }
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
                | b"lambda"
                | b"assert"
                | b"del"
                | b"while"
                | b"for"
                | b"with"
                | b"as"
                | b"raise"
                | b"case"
                | b"match"
                | b"except"
        )
    }
}

/// Copies bytes `start..end` of `text` to the end of `source`, without what is larger than a chunk by itself.
pub(super) fn copy(text: &str, start: usize, end: usize, size: ChunkSize, source: &mut Source) {
    if !size.exceeded(&text.as_bytes()[start..end]) {
        plain(text, start, end, source);
        return;
    }
    let mut finder = Finder { text: text.as_bytes(), size, open: Vec::new(), cuts: Vec::new() };
    let mut scanner = Scanner::new(text.as_bytes(), start);
    // Within brackets line ends mean nothing, and elements are copied without theirs.
    while scanner.position() < end && scanner.line_with(end, &mut finder).is_some() {}
    let mut at = start;
    for cut in std::mem::take(&mut finder.cuts) {
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
                if memchr::memchr2(b'\n', b'\r', &text.as_bytes()[start..end]).is_some() {
                    source.strings.push((start, end));
                }
                at = end;
            }
        }
    }
    plain(text, at, end, source);
}

fn plain(text: &str, start: usize, end: usize, source: &mut Source) {
    let at = source.text.len() as u32;
    source.text.push_str(&text[start..end]);
    source.segments.push(Segment {
        start: at,
        end: source.text.len() as u32,
        from: start as u32,
        to: end as u32,
    });
}
