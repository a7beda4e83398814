//! Where logical lines begin and end: strings (f-strings within each other too), comments, brackets, continuation
//! lines and indentation, over the bytes of a text, without tokens.
//!
//! Follows the lexer of `ruff_python_parser` in every text that it takes; where a text is broken it only has to end
//! somewhere safe. Knows no grammar.

use memchr::{memchr, memchr2, memchr3};

/// Indentation of a line: columns with tabs to the next multiple of two, and characters. Lines of one block agree in
/// both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Indent {
    pub(super) column: u32,
    pub(super) characters: u32,
}

/// A logical line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    /// First byte of the physical line in which it begins (or where the scan began, in the middle of one).
    pub(super) start: usize,
    /// First byte that is no indentation.
    pub(super) code: usize,
    pub(super) indent: Indent,
    /// One past the last byte that is no white space, comment or line end.
    pub(super) code_end: usize,
    /// One past its line end.
    pub(super) end: usize,
    /// The last character is a colon outside brackets.
    pub(super) colon: bool,
    /// It cannot end like that: a string or bracket stays open.
    pub(super) broken: bool,
    /// Has a semicolon outside brackets.
    pub(super) parts: bool,
}

/// Where a scan ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    /// After a logical line.
    Line,
    /// After a simple statement: a semicolon ends it too.
    Statement,
    /// Before the closing bracket or after the comma that ends an element.
    Element,
    /// At the end of the text, which stands in brackets: line ends mean nothing.
    End,
    /// In the text of an f-string, from this byte on, or at its end.
    Text(usize),
}

/// An f-string or t-string that is open.
#[derive(Clone, Copy, Debug)]
struct Formatted {
    quote: u8,
    triple: bool,
    raw: bool,
    /// Brackets open around it.
    nesting: u32,
    /// Format specifications open in it.
    specs: u32,
}

impl Formatted {
    fn in_field(&self, nesting: u32) -> bool {
        nesting.saturating_sub(self.nesting) > self.specs
    }

    fn in_spec(&self, nesting: u32) -> bool {
        self.specs > 0 && !self.in_field(nesting)
    }

    /// A format specification ends.
    fn end_spec(&mut self, nesting: u32) {
        if self.in_spec(nesting) {
            self.specs -= 1;
        }
    }
}

/// What a byte means outside strings.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Other,
    Space,
    LineEnd,
    Quote,
    Open,
    Close,
    Comment,
    Backslash,
    Colon,
    Sign,
}

const CLASS: [Class; 256] = {
    let mut class = [Class::Other; 256];
    class[b' ' as usize] = Class::Space;
    class[b'\t' as usize] = Class::Space;
    class[0x0c] = Class::Space;
    class[b'\n' as usize] = Class::LineEnd;
    class[b'\r' as usize] = Class::LineEnd;
    class[b'"' as usize] = Class::Quote;
    class[b'\'' as usize] = Class::Quote;
    class[b'(' as usize] = Class::Open;
    class[b'[' as usize] = Class::Open;
    class[b'{' as usize] = Class::Open;
    class[b')' as usize] = Class::Close;
    class[b']' as usize] = Class::Close;
    class[b'}' as usize] = Class::Close;
    class[b'#' as usize] = Class::Comment;
    class[b'\\' as usize] = Class::Backslash;
    class[b':' as usize] = Class::Colon;
    class[b',' as usize] = Class::Sign;
    class[b';' as usize] = Class::Sign;
    class[b'=' as usize] = Class::Sign;
    class
};

/// What the scanner tells of while it walks through a logical line.
pub(super) trait Visitor {
    /// A bracket opens; so many are open around it, and there the code before it in its line lies. Braces of f-strings are
    /// not told of.
    fn open(&mut self, _at: usize, _byte: u8, _depth: u32, _before: (usize, usize)) {}
    /// The last open bracket closes; so many stay open.
    fn close(&mut self, _at: usize, _depth: u32) {}
    /// A comma, colon, semicolon or `=` with so many brackets open.
    fn sign(&mut self, _at: usize, _byte: u8, _depth: u32) {}
    /// The word `for`, `lambda` or `yield`; told where [`Self::WORDS`] is true.
    fn word(&mut self, _word: Word) {}
    /// A string, prefix and quotes included, that lies in no other one.
    fn string(&mut self, _start: usize, _end: usize) {}
    /// A comment within a line.
    fn comment(&mut self, _start: usize, _end: usize) {}
    /// Whether to look for words.
    const WORDS: bool = false;
}

/// A word that decides what a bracket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// Of a comprehension.
    For,
    /// Up to its colon commas part parameters.
    Lambda,
    /// What follows, commas too, belongs to it.
    Yield,
}

/// Tells nobody.
pub(super) struct Quiet;
impl Visitor for Quiet {}

/// What comes after text of an f-string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Middle {
    /// An ordinary byte.
    Code,
    /// What comes after its end.
    End,
    /// More text, from where the scan was to stop.
    Stop,
}

/// Walks through a text.
#[derive(Debug)]
pub(super) struct Scanner<'t> {
    text: &'t [u8],
    at: usize,
    formatted: Vec<Formatted>,
    /// Where the outermost f-string begins.
    begun: usize,
}

impl<'t> Scanner<'t> {
    /// A scanner that begins at `at`: at the start of a line, or between two statements of one.
    pub(super) fn new(text: &'t [u8], at: usize) -> Self {
        Self { text, at, formatted: Vec::new(), begun: at }
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    /// The next logical line that begins before `end`; blank lines and comments are passed over.
    pub(super) fn line(&mut self, end: usize) -> Option<Line> {
        self.line_with(end, &mut Quiet)
    }

    /// The same, telling `visitor` what it meets. `visitor` is told of the whole of it.
    pub(super) fn line_with(&mut self, end: usize, visitor: &mut impl Visitor) -> Option<Line> {
        loop {
            let start = self.at;
            if start >= end.min(self.text.len()) {
                return None;
            }
            let indent = self.indentation();
            match self.peek(0) {
                _ if self.at >= self.text.len() => return None,
                b'#' => self.skip_comment(),
                b'\n' | b'\r' => {}
                _ => {
                    let (code, mut line) = (self.at, self.rest(visitor, Until::Line));
                    (line.start, line.code, line.indent) = (start, code, indent);
                    return Some(line);
                }
            }
            self.line_end();
        }
    }

    /// Passes over one element of a bracketed literal, and over the comma after it: to just before the closing bracket
    /// where there is no comma. Gives the element's end, white space included.
    pub(super) fn element(&mut self) -> usize {
        self.rest(&mut Quiet, Until::Element);
        self.at - usize::from(self.at > 0 && self.text[self.at - 1] == b',')
    }

    /// Passes over a simple statement: past the semicolon or line end after it.
    pub(super) fn statement(&mut self) {
        self.rest(&mut Quiet, Until::Statement);
    }

    /// Passes over everything, which stands in brackets. False where something stays open.
    pub(super) fn everything(&mut self, visitor: &mut impl Visitor) -> bool {
        !self.rest(visitor, Until::End).broken
    }

    /// The string that begins here.
    pub(super) fn opening(&self) -> Option<Opening> {
        let prefix = self.text[self.at..].iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        let raw = self.text[self.at..self.at + prefix].iter().any(|byte| byte | 0x20 == b'r');
        let kind = kind_of(&self.text[self.at..]);
        let quote = self.peek(prefix);
        if prefix > 2 || !matches!(quote, b'"' | b'\'') {
            return None;
        }
        let triple = self.peek(prefix + 1) == quote && self.peek(prefix + 2) == quote;
        let text = self.at + prefix + if triple { 3 } else { 1 };
        Some(Opening { start: self.at, text, quote, triple, raw, kind })
    }

    /// Passes over text of the string that `opening` opened: to where a part of it can end that reaches to `stop` or
    /// further. True where it came to the end of the string and passed over its quotes.
    pub(super) fn text(&mut self, opening: &Opening, stop: usize) -> bool {
        self.at = self.at.max(opening.text);
        if matches!(opening.kind, StringKind::Formatted | StringKind::Template) {
            let Opening { quote, triple, raw, .. } = *opening;
            self.formatted = vec![Formatted { quote, triple, raw, nesting: 0, specs: 0 }];
            self.rest(&mut Quiet, Until::Text(stop));
            return self.formatted.is_empty();
        }
        while let Some(&byte) = self.text.get(self.at) {
            if self.at >= stop
                && self.at > opening.text
                && self.text[self.at - 1] != opening.quote
                && is_boundary(byte)
            {
                return false;
            }
            match byte {
                b'\\' if opening.raw => self.at = (self.at + 2).min(self.text.len()),
                b'\\' => self.escape(opening.kind == StringKind::Bytes),
                _ if byte == opening.quote => {
                    let ends = !opening.triple || self.peek(1) == byte && self.peek(2) == byte;
                    self.at += if ends && opening.triple { 3 } else { 1 };
                    if ends {
                        return true;
                    }
                }
                _ => {
                    let rest = &self.text[self.at..];
                    let next =
                        memchr2(opening.quote, b'\\', rest).map_or(self.text.len(), |next| self.at + next);
                    self.at = next.min(stop.max(self.at + 1));
                }
            }
        }
        true
    }

    /// Passes over an escape, up to the first byte that may be no more of it.
    fn escape(&mut self, bytes: bool) {
        let digits = match self.peek(1) {
            b'x' => 2,
            b'u' if !bytes => 4,
            b'U' if !bytes => 8,
            b'N' if !bytes => {
                let rest = &self.text[(self.at + 2).min(self.text.len())..];
                let name = rest.iter().position(
                    |byte| !matches!(byte, b'{' | b' ' | b'-' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z'),
                );
                self.at += 2 + name.unwrap_or(rest.len());
                self.at += usize::from(self.peek(0) == b'}');
                return;
            }
            b'\r' => {
                self.at += 1;
                self.line_end();
                return;
            }
            _ => 0,
        };
        self.at = (self.at + 2).min(self.text.len());
        let rest = &self.text[self.at..];
        self.at += rest.iter().take(digits).take_while(|byte| byte.is_ascii_hexdigit()).count();
    }

    /// Where the scan stands.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Passes over what the lexer takes for indentation.
    fn indentation(&mut self) -> Indent {
        let mut indent = Indent::default();
        loop {
            match self.peek(0) {
                b' ' => {
                    indent.column += 1;
                    indent.characters += 1;
                    self.at += 1;
                }
                b'\t' => {
                    indent.column += 2 - indent.column % 2;
                    indent.characters += 1;
                    self.at += 1;
                }
                0x0c => {
                    indent = Indent::default();
                    self.at += 1;
                }
                b'\\' if matches!(self.peek(1), b'\n' | b'\r') => {
                    self.at += 1;
                    self.line_end();
                    if indent != Indent::default() {
                        while matches!(self.peek(0), b' ' | b'\t' | 0x0c) {
                            self.at += 1;
                        }
                    }
                }
                _ => return indent,
            }
        }
    }

    fn skip_comment(&mut self) {
        let rest = &self.text[self.at..];
        self.at += memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
    }

    /// Passes over a line end, if one is here.
    fn line_end(&mut self) {
        match self.peek(0) {
            b'\r' if self.peek(1) == b'\n' => self.at += 2,
            b'\r' | b'\n' => self.at += 1,
            _ => {}
        }
    }

    /// Passes over the rest of what ends at `until`: of a logical line, its line end included.
    fn rest<V: Visitor>(&mut self, visitor: &mut V, until: Until) -> Line {
        let stop = match until {
            Until::Text(stop) => Some(stop),
            _ => {
                self.formatted.clear();
                None
            }
        };
        let begun = self.at;
        let around = u32::from(until == Until::Element);
        let mut nesting = around;
        // Lambdas of the element that have not come to their colon.
        let mut lambdas = 0u32;
        let mut line = Line {
            start: 0,
            code: 0,
            indent: Indent::default(),
            code_end: self.at,
            end: 0,
            colon: false,
            broken: false,
            parts: false,
        };
        while self.at < self.text.len() {
            if let Some(open) = self.formatted.last().copied()
                && !open.in_field(nesting)
            {
                let middle = self.middle(open, &mut nesting, &mut line, stop);
                if self.formatted.is_empty() {
                    visitor.string(self.begun, self.at);
                }
                match middle {
                    Middle::Code => {}
                    Middle::End if stop.is_none() || !self.formatted.is_empty() => continue,
                    Middle::End | Middle::Stop => return line,
                }
            }
            let at = self.at;
            let Some(&byte) = self.text.get(at) else { break };
            match CLASS[usize::from(byte)] {
                Class::Space => {
                    self.at += 1;
                    continue;
                }
                Class::Comment => {
                    self.skip_comment();
                    if self.formatted.is_empty() {
                        visitor.comment(at, self.at);
                    }
                    continue;
                }
                Class::LineEnd => {
                    if nesting == 0 && until != Until::End {
                        break;
                    }
                    if let Some(open) = self.formatted.last_mut() {
                        open.end_spec(nesting);
                    }
                    self.line_end();
                    if until == Until::Line && self.formatted.is_empty() && self.must_begin_a_statement() {
                        line.broken = true;
                        line.end = self.at;
                        return line;
                    }
                    continue;
                }
                Class::Backslash => {
                    self.at += 1;
                    if matches!(self.peek(0), b'\n' | b'\r') {
                        self.line_end();
                        continue;
                    }
                    line.colon = false;
                }
                Class::Quote => {
                    self.quote(byte, nesting, &mut line, visitor);
                    line.colon = false;
                }
                Class::Open => {
                    self.at += 1;
                    if self.formatted.is_empty() {
                        visitor.open(at, byte, nesting, (begun, line.code_end));
                    }
                    nesting += 1;
                    line.colon = false;
                }
                Class::Close if nesting == 1 && around == 1 && self.formatted.is_empty() => return line,
                Class::Close => {
                    self.at += 1;
                    if let Some(open) = self.formatted.last_mut().filter(|_| byte == b'}') {
                        open.end_spec(nesting);
                    }
                    nesting = nesting.saturating_sub(1);
                    if self.formatted.is_empty() {
                        visitor.close(at, nesting);
                    }
                    line.colon = false;
                }
                Class::Colon => {
                    self.at += 1;
                    match self.formatted.last_mut() {
                        Some(open)
                            if nesting.saturating_sub(open.nesting).saturating_sub(open.specs) == 1 =>
                        {
                            open.specs += 1;
                        }
                        Some(_) => {}
                        None => {
                            visitor.sign(at, byte, nesting);
                            if nesting == around {
                                lambdas = lambdas.saturating_sub(1);
                            }
                        }
                    }
                    line.colon = nesting == 0;
                }
                Class::Sign => {
                    self.at += 1;
                    line.colon = false;
                    if self.formatted.is_empty() {
                        visitor.sign(at, byte, nesting);
                        if byte == b',' && around == 1 && nesting == 1 && lambdas == 0 {
                            return line;
                        }
                        if byte == b';' && nesting == 0 {
                            line.parts = true;
                            if until == Until::Statement {
                                return line;
                            }
                        }
                    }
                }
                Class::Other => {
                    self.at += 1;
                    line.colon = false;
                    if !V::WORDS && around == 0 {
                        // Names, numbers and operators in one go.
                        let rest = &self.text[self.at..];
                        let other = |byte: &u8| CLASS[usize::from(*byte)] == Class::Other;
                        self.at += rest.iter().take_while(|byte| other(byte)).count();
                    } else if matches!(byte, b'f' | b'l' | b'y')
                        && self.formatted.is_empty()
                        && let Some(word) = self.word(at)
                    {
                        visitor.word(word);
                        lambdas += u32::from(word == Word::Lambda && nesting == around);
                    }
                }
            }
            line.code_end = self.at;
        }
        line.broken |= nesting > 0 || !self.formatted.is_empty();
        self.line_end();
        line.end = self.at;
        line
    }

    /// Within brackets: true where a line begins with a word that no expression has.
    fn must_begin_a_statement(&self) -> bool {
        let mut at = self.at;
        while matches!(self.text.get(at), Some(b' ' | b'\t')) {
            at += 1;
        }
        let rest = &self.text[at..];
        let length = rest.iter().take(9).take_while(|byte| byte.is_ascii_lowercase()).count();
        let ends = !rest
            .get(length)
            .is_some_and(|&byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80);
        ends && matches!(
            &rest[..length],
            b"def"
                | b"class"
                | b"return"
                | b"import"
                | b"raise"
                | b"while"
                | b"with"
                | b"try"
                | b"del"
                | b"pass"
                | b"break"
                | b"continue"
                | b"global"
                | b"nonlocal"
                | b"assert"
                | b"except"
                | b"finally"
                | b"elif"
        )
    }

    /// The word of interest that begins at `at`.
    fn word(&self, at: usize) -> Option<Word> {
        let rest = &self.text[at..];
        let (word, length) = match rest {
            [b'f', b'o', b'r', ..] => (Word::For, 3),
            [b'l', b'a', b'm', b'b', b'd', b'a', ..] => (Word::Lambda, 6),
            [b'y', b'i', b'e', b'l', b'd', ..] => (Word::Yield, 5),
            _ => return None,
        };
        let letter = |byte: Option<&u8>| {
            byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80)
        };
        let ends = !letter(rest.get(length));
        let begins = !letter(at.checked_sub(1).and_then(|before| self.text.get(before)));
        (ends && begins).then_some(word)
    }

    /// A string begins at this quote.
    fn quote<V: Visitor>(&mut self, quote: u8, nesting: u32, line: &mut Line, visitor: &mut V) {
        let quoted = self.at;
        // At most two letters directly before it, which no longer word ends with.
        let letters = self.text[..quoted].iter().rev().take(3);
        let letters = letters
            .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_' || **byte >= 0x80)
            .count();
        let prefix = &self.text[quoted - letters..quoted];
        let lower =
            [prefix.first().map_or(0, |byte| byte | 0x20), prefix.get(1).map_or(0, |byte| byte | 0x20)];
        let known = match prefix.len() {
            1 => matches!(lower[0], b'r' | b'b' | b'u' | b'f' | b't'),
            2 => {
                matches!(&lower, b"rb" | b"br" | b"rf" | b"fr" | b"rt" | b"tr")
            }
            _ => false,
        };
        let (mut formatted, mut raw) = (false, false);
        if known {
            formatted = lower.iter().any(|byte| matches!(byte, b'f' | b't'));
            raw = lower.contains(&b'r');
        }
        let triple = self.peek(1) == quote && self.peek(2) == quote;
        self.at += if triple { 3 } else { 1 };
        if formatted {
            if self.formatted.is_empty() {
                self.begun = quoted - prefix.len();
            }
            self.formatted.push(Formatted { quote, triple, raw, nesting, specs: 0 });
            return;
        }
        line.broken |= !self.plain(quote, triple);
        if self.formatted.is_empty() {
            visitor.string(quoted - if known { prefix.len() } else { 0 }, self.at);
        }
    }

    /// Passes over the rest of a string; false where it does not end.
    fn plain(&mut self, quote: u8, triple: bool) -> bool {
        let escaped = |text: &[u8], start: usize, at: usize| {
            text[start..at].iter().rev().take_while(|&&byte| byte == b'\\').count() % 2 == 1
        };
        loop {
            let from = self.at;
            let rest = &self.text[from..];
            let found = if triple { memchr(quote, rest) } else { memchr3(quote, b'\r', b'\n', rest) };
            let Some(index) = found else {
                self.at = self.text.len();
                return false;
            };
            let escaped = escaped(self.text, from, from + index);
            self.at = from + index;
            let byte = self.text[self.at];
            if byte != quote && !escaped {
                return false;
            }
            if byte != quote {
                self.line_end();
                continue;
            }
            self.at += 1;
            if escaped {
                continue;
            }
            if !triple {
                return true;
            }
            if self.peek(0) == quote && self.peek(1) == quote {
                self.at += 2;
                return true;
            }
        }
    }

    /// Passes over text of an f-string up to a brace or its end, or from `stop` on to where a part of it can end.
    fn middle(&mut self, open: Formatted, nesting: &mut u32, line: &mut Line, stop: Option<usize>) -> Middle {
        let in_spec = open.in_spec(*nesting);
        let stop = stop.filter(|_| self.formatted.len() == 1 && !in_spec).unwrap_or(usize::MAX);
        let mut named = false;
        // End of an escape: nothing before it can end a part.
        let mut escaped = 0;
        loop {
            let at = self.at;
            if at >= stop.max(escaped) && !named && self.may_end(open.quote) {
                return Middle::Stop;
            }
            let Some(&byte) = self.text.get(at) else {
                line.broken = true;
                *nesting = open.nesting;
                self.formatted.pop();
                return Middle::End;
            };
            match byte {
                b'\n' | b'\r' if !open.triple => {
                    line.broken = true;
                    *nesting = open.nesting;
                    self.formatted.pop();
                    line.code_end = self.at;
                    return Middle::End;
                }
                b'\\' => {
                    self.at += 1;
                    escaped = self.at + 1;
                    match self.peek(0) {
                        b'{' | b'}' => {}
                        b'N' if !open.raw && self.peek(1) == b'{' => {
                            named = true;
                            self.at += 2;
                        }
                        b'\r' => self.line_end(),
                        letter @ (b'x' | b'u' | b'U') => {
                            self.at += 1;
                            escaped = self.at
                                + if letter == b'x' {
                                    2
                                } else if letter == b'u' {
                                    4
                                } else {
                                    8
                                };
                        }
                        _ => self.at = (self.at + 1).min(self.text.len()),
                    }
                }
                b'{' if self.peek(1) == b'{' && !in_spec => self.at += 2,
                b'{' => return Middle::Code,
                b'}' if named => {
                    named = false;
                    self.at += 1;
                }
                b'}' if self.peek(1) == b'}' && !in_spec => self.at += 2,
                b'}' => return Middle::Code,
                _ if byte == open.quote => {
                    let ends = !open.triple || self.peek(1) == byte && self.peek(2) == byte;
                    self.at += if ends && open.triple { 3 } else { 1 };
                    if ends {
                        self.formatted.pop();
                        line.code_end = self.at;
                        line.colon = false;
                        return Middle::End;
                    }
                }
                _ => self.at += 1,
            }
        }
    }
}

impl Scanner<'_> {
    /// True where a part of an f-string can end here: quotes must not become more, and lines that the text begins must be
    /// seen to lie in it.
    fn may_end(&self, quote: u8) -> bool {
        let before = self.at.checked_sub(1).and_then(|at| self.text.get(at));
        before.is_some_and(|&before| before != quote && !matches!(before, b'\n' | b'\r'))
            && self.text.get(self.at).is_some_and(|&byte| is_boundary(byte))
    }
}

/// True for the first byte of a character.
fn is_boundary(byte: u8) -> bool {
    byte & 0xc0 != 0x80
}

/// What a string is by its prefix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum StringKind {
    #[default]
    Text,
    Bytes,
    Formatted,
    Template,
}

/// What a string is that begins like this.
pub(super) fn kind_of(token: &[u8]) -> StringKind {
    let prefix = token.iter().take_while(|byte| byte.is_ascii_alphabetic());
    prefix.fold(StringKind::Text, |kind, letter| match letter | 0x20 {
        b'b' => StringKind::Bytes,
        b'f' => StringKind::Formatted,
        b't' => StringKind::Template,
        _ => kind,
    })
}

/// How a string begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opening {
    /// First byte of its prefix.
    pub(super) start: usize,
    /// First byte after its quotes.
    pub(super) text: usize,
    quote: u8,
    triple: bool,
    raw: bool,
    pub(super) kind: StringKind,
}

impl Opening {
    /// The quotes.
    pub(super) fn quotes(&self) -> &'static str {
        match (self.quote, self.triple) {
            (b'"', false) => "\"",
            (b'"', true) => "\"\"\"",
            (_, false) => "'",
            (_, true) => "'''",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Code of each logical line, with a mark where it is broken or ends with a colon.
    fn lines(text: &str) -> Vec<String> {
        let mut scanner = Scanner::new(text.as_bytes(), 0);
        std::iter::from_fn(|| scanner.line(text.len()))
            .map(|line| {
                let mark = match (line.broken, line.colon) {
                    (true, _) => "!",
                    (_, true) => ">",
                    _ => "",
                };
                format!("{}{mark}{}", line.indent.column, &text[line.code..line.code_end])
            })
            .collect()
    }

    #[test]
    fn logical_lines_end_where_statements_do() {
        for (text, expected) in [
            ("", vec![]),
            ("\n  # c\n\n", vec![]),
            ("a = 1 # c\nb", vec!["0a = 1", "0b"]),
            ("if x: # c\r\n\ty\r\n", vec!["0>if x:", "2y"]),
            ("f(a,\n  b)\nc", vec!["0f(a,\n  b)", "0c"]),
            ("a = \\\n  b\nc", vec!["0a = \\\n  b", "0c"]),
            ("'''a\n''' + \"b\\\"#\"\nc", vec!["0'''a\n''' + \"b\\\"#\"", "0c"]),
            ("x = r'\\'\nc'", vec!["0!x = r'\\'", "0!c'"]),
            ("x = f'{a:{b}}}}' # c\ny", vec!["0x = f'{a:{b}}}}'", "0y"]),
            ("x = f'{a['k']!r:>{w}}'\ny", vec!["0x = f'{a['k']!r:>{w}}'", "0y"]),
            ("x = f'{{}}{x:%H:%M}'\ny", vec!["0x = f'{{}}{x:%H:%M}'", "0y"]),
            ("x = f'''{\na # }\n}\n'''\ny", vec!["0x = f'''{\na # }\n}\n'''", "0y"]),
            ("x = f'\\N{DASH}{f\"{1}\"}'\ny", vec!["0x = f'\\N{DASH}{f\"{1}\"}'", "0y"]),
            ("x = f'{(lambda x: {1: 2})}'\ny", vec!["0x = f'{(lambda x: {1: 2})}'", "0y"]),
            ("x = 'abc\ny = 1", vec!["0!x = 'abc", "0y = 1"]),
            ("f(a,\ndef g(): pass\n", vec!["0!f(a,", "0def g(): pass"]),
            ("x = rb'\\'' + bar'y'\nz", vec!["0x = rb'\\'' + bar'y'", "0z"]),
            ("    \\\nx\n", vec!["4x"]),
            ("\x0c  x\n", vec!["2x"]),
        ] {
            assert_eq!(lines(text), expected, "{text:?}");
        }
    }
}
