//! Statements, headers and elements larger than a chunk: without what their large brackets hold, without their long
//! strings, without comments.

use super::scan::{Scanner, StringKind, Visitor, Word, kind_of};
use super::{ChunkSize, Elements, Form, Hole, Segment, Source};

/// What a bracket is by what stands before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// It begins an operand.
    Operand,
    /// It calls or indexes what stands before it.
    Applied,
    /// Parameters, targets, patterns, items of `with`, names to import: it stays whole.
    Kept,
}

/// What stands between commas.
#[derive(Clone, Copy, Debug, Default)]
struct Items {
    commas: u32,
    /// Where the last of them stands.
    comma: usize,
    colon: bool,
    /// A comprehension, or `yield`.
    other: bool,
    /// `:=`, or a star after a comma: right in brackets alone.
    bracketed: bool,
    /// Lambdas that have not come to their colon.
    lambdas: u32,
}

/// An open bracket.
#[derive(Clone, Copy, Debug)]
struct Open {
    at: usize,
    byte: u8,
    role: Role,
    items: Items,
}

/// What is left out, and what stands there instead.
#[derive(Clone, Copy, Debug)]
struct Cut {
    start: usize,
    end: usize,
    filler: &'static str,
    left: Left,
    /// Bytes that this one and those before it leave out.
    removed: usize,
}

/// What becomes of what is left out.
#[derive(Clone, Copy, Debug)]
enum Left {
    /// A hole at the bracket before it.
    Bracketed(Form),
    /// A hole of its own.
    Items(Form),
    /// Strings: likewise.
    Text,
    /// Comments: nothing.
    Comment,
}

/// Strings one after the other: they are one.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    start: usize,
    end: usize,
    kind: StringKind,
    /// Of kinds that do not go together.
    wrong: bool,
}

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A simple statement or a header, from the first byte of its code on.
    Line,
    /// Elements of what stands in brackets.
    Elements,
}

/// Finds the outermost brackets, the values without brackets and the strings that are larger than a chunk.
struct Finder<'t> {
    text: &'t [u8],
    size: ChunkSize,
    /// Brackets that are in no other one stay whole.
    kept: bool,
    open: Vec<Open>,
    /// What is in no bracket, since `value`.
    items: Items,
    /// Where the value of an assignment or of `return` begins.
    value: Option<usize>,
    cuts: Vec<Cut>,
    /// The strings one after the other that were met last.
    run: Run,
    /// Strings with line ends in them, but for those in brackets that are left out.
    tokens: Vec<(usize, usize)>,
}

impl Visitor for Finder<'_> {
    const WORDS: bool = true;

    fn open(&mut self, at: usize, byte: u8, depth: u32, before: (usize, usize)) {
        let role = match byte {
            _ if depth == 0 && self.kept => Role::Kept,
            b'{' => Role::Operand,
            _ => role(&self.text[before.0..before.1]),
        };
        self.open.push(Open { at, byte, role, items: Items::default() });
    }

    fn close(&mut self, at: usize, _depth: u32) {
        let Some(Open { at: open, byte, role, items }) = self.open.pop() else {
            // What closes nothing would end the elements before their end.
            self.items.other = true;
            return;
        };
        let inside = &self.text[open + 1..at];
        if items.other || !self.size.exceeded(inside) || self.remaining(open + 1, at) <= self.size.limit {
            return;
        }
        // More than one element: a comma may end the only one.
        let several = items.commas > 1 || items.commas > 0 && !is_blank(&self.text[items.comma + 1..at]);
        let (filler, left) = match (byte, role) {
            (b'{', Role::Operand) => {
                let unpacked = skip_blank(inside).starts_with(b"**");
                (if items.colon || unpacked { "" } else { "0" }, Left::Bracketed(Form::Braces))
            }
            (b'[', Role::Operand) => ("", Left::Bracketed(Form::List)),
            (b'(', Role::Operand) if items.commas > 0 => ("", Left::Bracketed(Form::List)),
            (b'(', Role::Applied) if several => ("", Left::Bracketed(Form::Arguments)),
            (b'[', Role::Applied) if items.commas > 0 => ("()", Left::Items(Form::Slices)),
            _ => return,
        };
        self.cut(open + 1, at, filler, left);
    }

    fn sign(&mut self, at: usize, byte: u8, depth: u32) {
        let next = self.text.get(at + 1).copied();
        let items = match self.open.last_mut().filter(|_| depth > 0) {
            Some(open) => &mut open.items,
            None => &mut self.items,
        };
        if items.lambdas > 0 {
            items.lambdas -= u32::from(byte == b':');
            return;
        }
        match byte {
            b',' => {
                items.commas += 1;
                items.comma = at;
                items.bracketed |= skip_blank(&self.text[at + 1..]).starts_with(b"*");
            }
            b':' if next == Some(b'=') => items.bracketed = true,
            b':' => items.colon = true,
            b'=' if depth == 0 && next != Some(b'=') => {
                let before = at.checked_sub(1).map_or(0, |before| self.text[before]);
                if !matches!(before, b'=' | b'!' | b'<' | b'>' | b':') || self.is_shift(at) {
                    self.begin_value(at + 1);
                }
            }
            b';' if depth == 0 => {
                self.end_value(at);
                self.value = None;
            }
            _ => {}
        }
    }

    fn word(&mut self, word: Word) {
        let items = self.open.last_mut().map_or(&mut self.items, |open| &mut open.items);
        match word {
            Word::Lambda => items.lambdas += 1,
            Word::For | Word::Yield => items.other = true,
        }
    }

    fn string(&mut self, start: usize, end: usize) {
        let kind = kind_of(&self.text[start..end]);
        let formatted = matches!(kind, StringKind::Formatted | StringKind::Template);
        if !formatted && memchr::memchr2(b'\n', b'\r', &self.text[start..end]).is_some() {
            self.tokens.push((start, end));
        }
        self.run = match self.run {
            run if run.end > 0 && is_blank(&self.text[run.end..start]) => {
                let (kind, right) = match (run.kind, kind) {
                    (one, other) if one == other => (one, true),
                    (StringKind::Text, StringKind::Formatted) => (kind, true),
                    (StringKind::Formatted, StringKind::Text) => (run.kind, true),
                    _ => (kind, false),
                };
                Run { end, kind, wrong: run.wrong || !right, ..run }
            }
            _ => Run { start, end, kind, wrong: false },
        };
        let Run { start, end, kind, wrong } = self.run;
        if !self.size.exceeded(&self.text[start..end]) {
            return;
        }
        self.cuts.truncate(self.cuts.partition_point(|cut| cut.start < start));
        if !wrong {
            let filler = match kind {
                StringKind::Text => "''",
                StringKind::Bytes => "b''",
                StringKind::Formatted => "f''",
                StringKind::Template => "t''",
            };
            self.push(start, end, filler, Left::Text);
        }
    }

    fn comment(&mut self, start: usize, end: usize) {
        if let Some(last) = self.cuts.last_mut()
            && matches!(last.left, Left::Comment)
            && is_blank(&self.text[last.end..start])
        {
            last.removed += end - last.end;
            last.end = end;
            return;
        }
        self.push(start, end, "", Left::Comment);
    }
}

impl Finder<'_> {
    /// Bytes of `start..end`, where the last cuts lie, that are not left out. Where they are few the brackets around stay:
    /// brackets that are left out within each other are scanned again and again.
    fn remaining(&self, start: usize, end: usize) -> usize {
        let first = self.cuts.partition_point(|cut| cut.start < start);
        let before = first.checked_sub(1).map_or(0, |last| self.cuts[last].removed);
        end - start - (self.removed() - before)
    }

    /// Bytes that are left out so far.
    fn removed(&self) -> usize {
        self.cuts.last().map_or(0, |cut| cut.removed)
    }

    fn push(&mut self, start: usize, end: usize, filler: &'static str, left: Left) {
        let removed = self.removed() + (end - start);
        self.cuts.push(Cut { start, end, filler, left, removed });
    }

    /// `>>=` and `<<=`.
    fn is_shift(&self, at: usize) -> bool {
        at > 1 && matches!(&self.text[at - 2..at], b">>" | b"<<")
    }

    fn begin_value(&mut self, at: usize) {
        let bracketed = skip_blank(&self.text[at..]).starts_with(b"*");
        self.items = Items { bracketed, ..Items::default() };
        self.value = Some(at);
    }

    /// A value that ends at `end`: as a tuple without brackets it is left out like one with them.
    fn end_value(&mut self, end: usize) {
        let Items { commas, colon, other, bracketed, .. } = self.items;
        let Some(value) = self.value.filter(|_| commas > 0 && !colon && !other && !bracketed) else { return };
        let start = end - skip_blank(&self.text[value..end]).len();
        if self.size.exceeded(&self.text[start..end]) && self.remaining(start, end) > self.size.limit {
            self.cut(start, end, "()", Left::Items(Form::List));
        }
    }

    /// Leaves out what contains other cuts.
    fn cut(&mut self, start: usize, end: usize, filler: &'static str, left: Left) {
        self.cuts.truncate(self.cuts.partition_point(|cut| cut.start < start));
        self.tokens.truncate(self.tokens.partition_point(|token| token.0 < start));
        self.push(start, end, filler, left);
    }
}

/// Finds the colon that ends a header.
#[derive(Default)]
struct Header {
    lambdas: u32,
    depth: u32,
    colon: Option<usize>,
}

impl Visitor for Header {
    const WORDS: bool = true;

    fn open(&mut self, _at: usize, _byte: u8, depth: u32, _before: (usize, usize)) {
        self.depth = depth + 1;
    }

    fn close(&mut self, _at: usize, depth: u32) {
        self.depth = depth;
    }

    fn sign(&mut self, at: usize, byte: u8, depth: u32) {
        if depth > 0 || byte != b':' || self.colon.is_some() {
            return;
        }
        if self.lambdas > 0 {
            self.lambdas -= 1;
        } else {
            self.colon = Some(at);
        }
    }

    fn word(&mut self, word: Word) {
        self.lambdas += u32::from(word == Word::Lambda && self.depth == 0);
    }
}

/// The colon that ends the header that begins at `start`, where something follows it.
pub(super) fn header_colon(text: &[u8], start: usize) -> Option<usize> {
    let mut header = Header::default();
    Scanner::new(text, start).line_with(text.len(), &mut header).filter(|line| !line.broken)?;
    header.colon.filter(|&colon| text.get(colon + 1) != Some(&b'='))
}

/// What a bracket is after the code `before` it.
fn role(before: &[u8]) -> Role {
    let Some(&last) = before.last() else { return Role::Operand };
    match last {
        b')' | b']' | b'}' | b'"' | b'\'' => return Role::Applied,
        // An ellipsis, a number.
        b'.' => return Role::Kept,
        _ => {}
    }
    let letter = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80;
    let letters = before.iter().rev().take_while(|byte| letter(byte)).count();
    let (rest, word) = before.split_at(before.len() - letters);
    match word {
        b"" | b"return" | b"in" | b"not" | b"and" | b"or" | b"is" | b"if" | b"else" | b"elif" | b"yield"
        | b"from" | b"await" | b"assert" | b"while" | b"raise" => Role::Operand,
        b"match" | b"case" if rest.trim_ascii_end().last() == Some(&b'.') => Role::Applied,
        b"match" | b"case" | b"import" | b"del" | b"for" | b"with" | b"as" | b"except" | b"class"
        | b"def" | b"async" | b"lambda" | b"global" | b"nonlocal" | b"pass" | b"break" | b"continue"
        | b"try" | b"finally" => Role::Kept,
        // A number, and maybe a word right after it.
        [b'0'..=b'9', ..] => Role::Kept,
        _ => Role::Applied,
    }
}

/// True for white space, continued lines and comments alone.
pub(super) fn is_blank(text: &[u8]) -> bool {
    skip_blank(text).is_empty()
}

/// What comes after white space, continued lines and comments.
pub(super) fn skip_blank(mut text: &[u8]) -> &[u8] {
    loop {
        match text {
            [b' ' | b'\t' | b'\n' | b'\r' | b'\\' | 0x0c, rest @ ..] => text = rest,
            [b'#', ..] => text = &text[memchr::memchr2(b'\n', b'\r', text).unwrap_or(text.len())..],
            _ => return text,
        }
    }
}

/// Copies bytes `start..end` of `text` to the end of `source`, without what is larger than a chunk by itself.
pub(super) fn copy(text: &str, start: usize, end: usize, size: ChunkSize, part: Part, source: &mut Source) {
    if !size.exceeded(&text.as_bytes()[start..end]) {
        plain(text, start, end, source);
        return;
    }
    let bytes = &text.as_bytes()[..end];
    let word = bytes[start..].iter().take_while(|byte| byte.is_ascii_lowercase()).count();
    let word = if part == Part::Line { &bytes[start..start + word] } else { b"" };
    let kept =
        matches!(word, b"def" | b"class" | b"async" | b"except" | b"type" | b"import" | b"from" | b"del");
    let mut finder = Finder {
        text: bytes,
        size,
        kept,
        open: Vec::new(),
        items: Items::default(),
        value: None,
        cuts: Vec::new(),
        run: Run::default(),
        tokens: Vec::new(),
    };
    if word == b"return" {
        finder.begin_value(start + word.len());
    }
    let mut scanner = Scanner::new(bytes, start);
    let whole = match part {
        Part::Line => scanner.line_with(end, &mut finder).is_none_or(|line| !line.broken),
        Part::Elements => scanner.everything(&mut finder),
    };
    if !whole {
        // What does not end must reach the parser, which says so.
        plain(text, start, end, source);
        return;
    }
    if part == Part::Line && !kept {
        finder.end_value(end);
    }
    source.strings.extend(finder.tokens);
    let mut at = start;
    for cut in finder.cuts {
        plain(text, at, cut.start, source);
        fill(cut, source);
        at = cut.end;
    }
    plain(text, at, end, source);
}

/// Writes what stands there instead, and the hole.
fn fill(cut: Cut, source: &mut Source) {
    let Cut { start, end, filler, left, .. } = cut;
    if matches!(left, Left::Text) && source.text.ends_with(|last: char| last.is_ascii_alphanumeric()) {
        // A prefix that was not there before.
        source.text.push(' ');
    }
    let at = source.text.len() as u32;
    source.text.push_str(filler);
    let hole = match left {
        Left::Comment => return,
        Left::Bracketed(form) => {
            source.holes.push(Hole::Elements { at: at - 1, elements: Elements { start, end, form } });
            return;
        }
        Left::Items(form) => Hole::Elements { at, elements: Elements { start, end, form } },
        Left::Text => Hole::Text { at, start, end },
    };
    source.holes.push(hole);
    source.segments.push(Segment {
        start: at,
        end: source.text.len() as u32,
        from: start as u32,
        to: end as u32,
    });
}

/// Copies bytes `start..end` of `text` to the end of `source`.
pub(super) fn plain(text: &str, start: usize, end: usize, source: &mut Source) {
    if start == end {
        return;
    }
    let at = source.text.len() as u32;
    source.text.push_str(&text[start..end]);
    source.segments.push(Segment {
        start: at,
        end: source.text.len() as u32,
        from: start as u32,
        to: end as u32,
    });
}
