//! A text to pieces that can be parsed one after the other: groups of statements no larger than a chunk, and, of
//! statements larger than that, the headers with their bodies left out, and brackets without their elements.
//!
//! What is left out is split in turn, so that no piece is much larger than a chunk but for a single header, and for
//! operators or names to import that stand in no brackets of their own. Cuts lie between statements, between clauses,
//! between elements and arguments, and within the text of strings. Knows no AST.

mod elide;
mod pieces;
mod scan;

pub use pieces::{ElementSplitter, TextSplitter};
pub use scan::Indent;
use scan::{Line, Scanner};
use smallvec::SmallVec;

/// What a chunk counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Bytes of statements; a chunk that is half full ends before a definition.
    Ast,
    /// Lines.
    Lines,
    /// Bytes.
    Bytes,
}

/// How large a chunk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkSize {
    /// What it counts.
    pub measure: Measure,
    /// How many of them: bytes or lines.
    pub limit: usize,
}

/// Bytes of one line above which a chunk of lines counts it for more.
const LONG_LINE: usize = 512;

impl ChunkSize {
    /// The chunks in which every text with a syntax error is parsed, so that what is found in it depends on no option:
    /// statement by statement, and compound ones with an error in them by their headers and bodies.
    pub const BROKEN: Self = Self { measure: Measure::Bytes, limit: 1024 };

    /// How much of it `text` is.
    pub fn of(self, text: &[u8]) -> usize {
        match self.measure {
            Measure::Ast | Measure::Bytes => text.len(),
            Measure::Lines => {
                let lines = memchr::memchr_iter(b'\n', text).count();
                (lines + 1).max(text.len() / LONG_LINE)
            }
        }
    }

    /// Where a chunk that begins at `start` of `text` is full.
    fn stop(self, text: &[u8], start: usize) -> usize {
        match self.measure {
            Measure::Ast | Measure::Bytes => start + self.limit,
            Measure::Lines => {
                let most = text.len().min(start + self.limit * LONG_LINE);
                let end = memchr::memchr_iter(b'\n', &text[start..most]).nth(self.limit.saturating_sub(2));
                end.map_or(start + self.limit * LONG_LINE, |end| start + end + 1)
            }
        }
    }

    /// True where `text` is larger than a chunk.
    fn exceeded(self, text: &[u8]) -> bool {
        // A chunk of lines never holds fewer bytes than lines.
        text.len() > self.limit && self.of(text) > self.limit
    }
}

/// A run of statements of one block: byte offsets.
#[derive(Clone, Copy, Debug)]
pub struct Body {
    /// First byte: of a line.
    pub start: usize,
    /// One past the last one.
    pub end: usize,
    /// Indentation of its statements.
    pub indent: Indent,
    /// Blocks around it.
    pub level: u32,
}

impl Body {
    /// The statements of a module.
    pub fn module(text: &str) -> Self {
        Self { start: 0, end: text.len(), indent: Indent::default(), level: 0 }
    }
}

/// Part of a source made for the parser, and where it comes from. Both ranges in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// First byte in the source.
    pub start: u32,
    /// One past the last one.
    pub end: u32,
    /// First byte in the text.
    pub from: u32,
    /// One past the last one.
    pub to: u32,
}

/// What stands in a source for what was left out.
#[derive(Clone, Copy, Debug)]
pub enum Hole {
    /// The `pass` of a body; the offset is that of the `pass`.
    Body {
        /// Offset in the source.
        at: u32,
        /// What belongs here.
        body: Body,
    },
    /// A list, tuple, set, dictionary or argument list without its elements; the offset is that of its opening bracket.
    Elements {
        /// Offset in the source.
        at: u32,
        /// What belongs here.
        elements: Elements,
    },
    /// An empty string for strings that stand one after the other; the offset is that of its prefix.
    Text {
        /// Offset in the source.
        at: u32,
        /// First byte of the first one.
        start: usize,
        /// One past the last byte of the last one.
        end: usize,
    },
}

impl Hole {
    /// Offset in the source.
    pub fn at(&self) -> u32 {
        match self {
            Self::Body { at, .. } | Self::Elements { at, .. } | Self::Text { at, .. } => *at,
        }
    }
}

/// A source for the parser.
#[derive(Debug, Default)]
pub struct Source {
    /// The text to parse.
    pub text: String,
    /// Where its parts come from, in order; what lies between them comes from nowhere.
    pub segments: Vec<Segment>,
    /// What was left out, in order.
    pub holes: Vec<Hole>,
    /// Byte ranges of strings with line ends in them, those that were left out among them.
    pub strings: Vec<(usize, usize)>,
    /// Further clauses of an `if` or a `match` whose headers are larger than a chunk together: the same statement without
    /// those before.
    pub more: Vec<Self>,
}

/// One piece of a block.
#[derive(Debug)]
pub enum Piece {
    /// Statements to be parsed as they stand: byte offsets.
    Group {
        /// First byte.
        start: usize,
        /// One past the last one.
        end: usize,
        /// They are indented and need a header.
        indented: bool,
        /// The offset of their code where they are indented in another way than the block that they stand in.
        misplaced: Option<usize>,
    },
    /// A statement larger than a chunk, with holes.
    Large {
        /// What to parse.
        source: Source,
        /// The offset of its code where it is indented in another way than the block that it stands in.
        misplaced: Option<usize>,
    },
}

/// A clause of a compound statement: `if x:`, `else:`, `case y:`.
#[derive(Debug)]
struct Clause {
    /// Logical lines: first byte of code, one past the last one. Several where there are decorators.
    header: SmallVec<[(usize, usize); 1]>,
    /// A `case`.
    case: bool,
    body: Option<Body>,
}

/// A statement of the block.
#[derive(Debug)]
struct Statement {
    start: usize,
    end: usize,
    code: usize,
    clauses: Vec<Clause>,
    definition: bool,
    misplaced: bool,
    /// Of one of several simple statements in a line larger than a chunk: the end of the line.
    line: Option<usize>,
}

/// Statements that follow each other, up to a chunk.
#[derive(Clone, Copy, Debug)]
struct Group {
    start: usize,
    end: usize,
    /// As in [`Statement`].
    line: Option<usize>,
}

/// Relation of a line to a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Within,
    Deeper,
    Elsewhere,
}

fn place(line: Indent, block: Indent) -> Place {
    if line == block {
        Place::Within
    } else if line.column > block.column && line.characters > block.characters {
        Place::Deeper
    } else {
        Place::Elsewhere
    }
}

/// Words that begin compound statements.
fn is_compound(word: &str) -> bool {
    matches!(word, "class" | "def" | "if" | "for" | "while" | "with" | "try" | "async" | "match")
}

/// Words that begin headers whose bodies may stand in the same line.
fn is_header(word: &str) -> bool {
    is_compound(word) && word != "match" || matches!(word, "else" | "elif" | "except" | "finally")
}

/// Splits one block.
#[derive(Debug)]
pub struct Splitter<'t> {
    text: &'t str,
    body: Body,
    size: ChunkSize,
    scanner: Scanner<'t>,
    line: Option<Line>,
    /// What is left of a line with several statements: its next byte, its end.
    rest: Option<(usize, usize)>,
    statement: Option<Statement>,
    /// The compound statement that was the last piece, alone.
    last: Option<Statement>,
}

impl<'t> Splitter<'t> {
    /// The pieces of `body`.
    pub fn new(text: &'t str, body: Body, size: ChunkSize) -> Self {
        Self {
            text,
            body,
            size,
            scanner: Scanner::new(text.as_bytes(), body.start),
            line: None,
            rest: None,
            statement: None,
            last: None,
        }
    }

    /// The next piece.
    pub fn piece(&mut self) -> Option<Piece> {
        let bytes = self.text.as_bytes();
        let mut group: Option<Group> = None;
        while let Some(statement) = self.statement.take().or_else(|| self.scan()) {
            let range = &bytes[statement.start..statement.end];
            let alone = statement.misplaced || self.size.exceeded(range);
            if let Some(group) = group {
                let Group { start, end, line } = group;
                let full = self.size.of(&bytes[start..statement.end]) > self.size.limit
                    || statement.definition
                        && self.size.measure == Measure::Ast
                        && (end - start) * 2 > self.size.limit;
                if alone || full || line != statement.line {
                    self.statement = Some(statement);
                    return Some(self.group(group));
                }
            }
            self.last = None;
            if alone && self.size.exceeded(range) {
                let source = self.large(&statement);
                return Some(Piece::Large {
                    source,
                    misplaced: statement.misplaced.then_some(statement.code),
                });
            }
            if alone || self.size == ChunkSize::BROKEN {
                let piece = Piece::Group {
                    start: statement.start,
                    end: statement.end,
                    indented: match alone {
                        true => statement.code > statement.start,
                        false => self.is_indented() && statement.line.is_none(),
                    },
                    misplaced: alone.then_some(statement.code),
                };
                self.last =
                    Some(statement).filter(|last| last.clauses.iter().any(|clause| clause.body.is_some()));
                return Some(piece);
            }
            let start = group.map_or(statement.start, |group| group.start);
            group = Some(Group { start, end: statement.end, line: statement.line });
        }
        group.map(|group| self.group(group))
    }

    /// The last piece once more, as a statement with holes: for a compound statement that is not well-formed as a whole.
    pub fn enter(&mut self) -> Option<Piece> {
        let statement = self.last.take()?;
        let source = self.large(&statement);
        Some(Piece::Large { source, misplaced: statement.misplaced.then_some(statement.code) })
    }

    /// Whether [`Self::enter`] gives something.
    pub fn can_enter(&self) -> bool {
        self.last.is_some()
    }

    fn is_indented(&self) -> bool {
        self.body.indent.characters > 0
    }

    fn group(&self, group: Group) -> Piece {
        let Group { start, end, line } = group;
        Piece::Group { start, end, indented: self.is_indented() && line.is_none(), misplaced: None }
    }

    fn next_line(&mut self) -> Option<Line> {
        self.line.take().or_else(|| self.scanner.line(self.body.end))
    }

    fn word(&self, at: usize) -> &'t str {
        let rest = &self.text[at..];
        let end = rest.bytes().position(|byte| !byte.is_ascii_alphabetic()).unwrap_or(rest.len());
        // A longer name is no keyword.
        let longer = rest[end..].chars().next().is_some_and(|next| next == '_' || next.is_alphanumeric());
        if longer { "" } else { &rest[..end] }
    }

    /// The next statement of a line with several.
    fn part(&mut self) -> Option<Statement> {
        let (at, line) = self.rest.take()?;
        let bytes = &self.text.as_bytes()[..line];
        let start = line - elide::skip_blank(&bytes[at..]).len();
        if start == line {
            return None;
        }
        let mut scanner = Scanner::new(bytes, start);
        scanner.statement();
        let end = scanner.position();
        self.rest = Some((end, line));
        Some(Statement {
            start,
            end,
            code: start,
            clauses: vec![Clause { header: smallvec::smallvec![(start, end)], case: false, body: None }],
            definition: false,
            misplaced: false,
            line: Some(line),
        })
    }

    /// True where the statements of a line, from `start` on, can be parsed one by one: none is a compound one.
    fn are_simple(&self, start: usize, end: usize) -> bool {
        let bytes = &self.text.as_bytes()[..end];
        let mut at = start;
        loop {
            let code = end - elide::skip_blank(&bytes[at..]).len();
            if code == end {
                return true;
            }
            if bytes[code] == b'@' || is_compound(self.word(code)) {
                return false;
            }
            let mut scanner = Scanner::new(bytes, code);
            scanner.statement();
            at = scanner.position();
        }
    }

    /// The next statement, with the clauses of a compound one.
    fn scan(&mut self) -> Option<Statement> {
        if let Some(statement) = self.part() {
            return Some(statement);
        }
        let first = self.next_line()?;
        let block = self.body.indent;
        let misplaced = place(first.indent, block) != Place::Within;
        // A misplaced statement is a block of its own.
        let block = if misplaced { first.indent } else { block };
        let mut header: SmallVec<[(usize, usize); 1]> = smallvec::smallvec![(first.code, first.code_end)];
        let mut line = first;
        while self.text.as_bytes()[line.code] == b'@' {
            match self.scanner.line(self.body.end) {
                Some(next) if place(next.indent, block) == Place::Within => {
                    header.push((next.code, next.code_end));
                    line = next;
                }
                next => {
                    self.line = next;
                    break;
                }
            }
        }
        let word = self.word(line.code);
        let compound = is_compound(word);
        if first.parts
            && !misplaced
            && self.size.exceeded(&self.text.as_bytes()[first.start..first.end])
            && self.are_simple(first.code, first.end)
        {
            self.rest = Some((first.code, first.end));
            return self.part();
        }
        let mut statement = Statement {
            start: first.start,
            end: line.end,
            code: first.code,
            clauses: Vec::new(),
            definition: matches!(word, "class" | "def") || word == "async",
            misplaced,
            line: None,
        };
        statement.clauses.push(Clause { header, case: false, body: None });
        if !compound || self.line.is_some() {
            return Some(statement);
        }
        let mut open = line.colon;
        let mut cases: Option<Indent> = None;
        let level = self.body.level;
        while let Some(next) = self.scanner.line(self.body.end) {
            let within = place(next.indent, block);
            if within == Place::Within
                && matches!(self.word(next.code), "else" | "elif" | "except" | "finally")
            {
                let header = smallvec::smallvec![(next.code, next.code_end)];
                statement.clauses.push(Clause { header, case: false, body: None });
                open = next.colon;
                cases = None;
            } else if within == Place::Deeper && (open || cases.is_some()) {
                if statement.clauses.len() == 1
                    && word == "match"
                    && cases.is_none()
                    && statement.clauses[0].body.is_none()
                    && self.word(next.code) == "case"
                {
                    cases = Some(next.indent);
                }
                if cases == Some(next.indent) && self.word(next.code) == "case" {
                    let header = smallvec::smallvec![(next.code, next.code_end)];
                    statement.clauses.push(Clause { header, case: true, body: None });
                    open = next.colon;
                } else if let Some(clause) = statement.clauses.last_mut() {
                    let level = level + 1 + u32::from(clause.case);
                    let body = clause.body.get_or_insert(Body {
                        start: next.start,
                        end: next.end,
                        indent: next.indent,
                        level,
                    });
                    body.end = next.end;
                }
            } else {
                self.line = Some(next);
                break;
            }
            statement.end = next.end;
        }
        Some(statement)
    }

    /// The header and the body of a clause that stands in one line, if it is larger than a chunk and more than one statement.
    fn one_line(&self, start: usize, end: usize) -> Option<(usize, Body)> {
        let bytes = &self.text.as_bytes()[..end];
        if !self.size.exceeded(&bytes[start..]) || !is_header(self.word(start)) {
            return None;
        }
        let colon = elide::header_colon(bytes, start)?;
        let body = end - elide::skip_blank(&bytes[colon + 1..]).len();
        let body = Body { start: body, end, indent: Indent::default(), level: self.body.level + 1 };
        (body.start < end && self.are_simple(body.start, end)).then_some((colon + 1, body))
    }

    /// What stands before the further clauses of a statement whose clauses can be parsed apart.
    fn head_of_more(&self, statement: &Statement) -> Option<&'static str> {
        let [first, rest @ .., last] = &statement.clauses[..] else { return None };
        let word = |clause: &Clause| self.word(clause.header[0].0);
        match word(first) {
            "if" if rest.iter().all(|clause| word(clause) == "elif")
                && matches!(word(last), "elif" | "else") =>
            {
                Some("if 1: pass\n")
            }
            "match" if last.case && rest.iter().all(|clause| clause.case) => Some("match 0:\n"),
            _ => None,
        }
    }

    /// The source of a statement larger than a chunk.
    fn large(&self, statement: &Statement) -> Source {
        let head = self.head_of_more(statement);
        let mut source = Source::default();
        let mut before: Vec<Source> = Vec::new();
        for (index, clause) in statement.clauses.iter().enumerate() {
            if let Some(head) = head.filter(|_| index > 1 && self.size.exceeded(source.text.as_bytes())) {
                before.push(std::mem::take(&mut source));
                source.text.push_str(head);
            }
            let margin = if clause.case { " " } else { "" };
            let mut body = clause.body;
            for &(start, mut end) in &clause.header {
                if body.is_none()
                    && let Some((header, line)) = self.one_line(start, end)
                {
                    (end, body) = (header, Some(line));
                }
                source.text.push_str(margin);
                if clause.case {
                    // What looks like a literal there is a pattern.
                    elide::plain(self.text, start, end, &mut source);
                } else {
                    elide::copy(self.text, start, end, self.size, elide::Part::Line, &mut source);
                }
                source.text.push('\n');
            }
            if let Some(body) = body {
                source.text.push_str(margin);
                source.text.push(' ');
                let at = source.text.len() as u32;
                source.text.push_str("pass\n");
                source.segments.push(Segment {
                    start: at,
                    end: at + 4,
                    from: body.start as u32,
                    to: body.end as u32,
                });
                source.holes.push(Hole::Body { at, body });
            }
        }
        before.push(source);
        let mut all = before.into_iter();
        let mut first = all.next().unwrap_or_default();
        first.more = all.collect();
        first
    }
}

/// How elements are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// In a list or tuple.
    List,
    /// In a set or dictionary.
    Braces,
    /// In a call.
    Arguments,
    /// In a subscript.
    Slices,
}

/// Elements that are larger than a chunk: byte offsets.
#[derive(Clone, Copy, Debug)]
pub struct Elements {
    /// The first byte after the opening bracket, or of the first element.
    pub start: usize,
    /// The closing bracket, or one past the last element.
    pub end: usize,
    /// How they are written.
    pub form: Form,
}
