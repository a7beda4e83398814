//! A text to pieces that can be parsed one after the other: groups of statements no larger than a chunk, and, of
//! statements larger than that, the headers with their bodies left out, and literals without their elements.
//!
//! What is left out is split in turn, so that no piece is larger than a chunk but for a single header or a statement
//! without a literal. Cuts lie between statements, and between the elements of a literal. Knows no AST.

mod elide;
mod scan;

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

    fn of(self, text: &[u8]) -> usize {
        match self.measure {
            Measure::Ast | Measure::Bytes => text.len(),
            Measure::Lines => {
                let lines = memchr::memchr_iter(b'\n', text).count();
                (lines + 1).max(text.len() / LONG_LINE)
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
    /// A literal without its elements; the offset is that of its opening bracket.
    Literal {
        /// Offset in the source.
        at: u32,
        /// Its elements: after the opening bracket, up to the closing one.
        elements: Elements,
    },
}

impl Hole {
    /// Offset in the source.
    pub fn at(&self) -> u32 {
        match self {
            Self::Body { at, .. } | Self::Literal { at, .. } => *at,
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

/// Splits one block.
#[derive(Debug)]
pub struct Splitter<'t> {
    text: &'t str,
    body: Body,
    size: ChunkSize,
    scanner: Scanner<'t>,
    line: Option<Line>,
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
            statement: None,
            last: None,
        }
    }

    /// The next piece.
    pub fn piece(&mut self) -> Option<Piece> {
        let bytes = self.text.as_bytes();
        let mut group: Option<(usize, usize)> = None;
        while let Some(statement) = self.statement.take().or_else(|| self.scan()) {
            let range = &bytes[statement.start..statement.end];
            let alone = statement.misplaced || self.size.exceeded(range);
            if let Some((start, end)) = group {
                let full = self.size.of(&bytes[start..statement.end]) > self.size.limit
                    || statement.definition
                        && self.size.measure == Measure::Ast
                        && (end - start) * 2 > self.size.limit;
                if alone || full {
                    self.statement = Some(statement);
                    return Some(self.group(start, end));
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
                    indented: if alone { statement.code > statement.start } else { self.is_indented() },
                    misplaced: alone.then_some(statement.code),
                };
                self.last =
                    Some(statement).filter(|last| last.clauses.iter().any(|clause| clause.body.is_some()));
                return Some(piece);
            }
            group = Some((group.map_or(statement.start, |(start, _)| start), statement.end));
        }
        group.map(|(start, end)| self.group(start, end))
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

    fn group(&self, start: usize, end: usize) -> Piece {
        Piece::Group { start, end, indented: self.is_indented(), misplaced: None }
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

    /// The next statement, with the clauses of a compound one.
    fn scan(&mut self) -> Option<Statement> {
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
        let compound =
            matches!(word, "class" | "def" | "if" | "for" | "while" | "with" | "try" | "async" | "match");
        let mut statement = Statement {
            start: first.start,
            end: line.end,
            code: first.code,
            clauses: Vec::new(),
            definition: matches!(word, "class" | "def") || word == "async",
            misplaced,
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

    /// The source of a statement larger than a chunk.
    fn large(&self, statement: &Statement) -> Source {
        let mut source = Source::default();
        for clause in &statement.clauses {
            let margin = if clause.case { " " } else { "" };
            for &(start, end) in &clause.header {
                source.text.push_str(margin);
                if clause.case {
                    // What looks like a literal there is a pattern.
                    elide::plain(self.text, start, end, &mut source);
                } else {
                    elide::copy(self.text, start, end, self.size, &mut source);
                }
                source.text.push('\n');
            }
            if let Some(body) = clause.body {
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
        source
    }
}

/// The elements of a literal that is larger than a chunk: byte offsets.
#[derive(Clone, Copy, Debug)]
pub struct Elements {
    /// After the opening bracket.
    pub start: usize,
    /// The closing bracket.
    pub end: usize,
    /// In braces.
    pub braces: bool,
}

/// Splits the elements of a literal.
#[derive(Debug)]
pub struct ElementSplitter<'t> {
    text: &'t str,
    elements: Elements,
    size: ChunkSize,
    scanner: Scanner<'t>,
}

impl<'t> ElementSplitter<'t> {
    /// Pieces of `elements`.
    pub fn new(text: &'t str, elements: Elements, size: ChunkSize) -> Self {
        let scanner = Scanner::new(text.as_bytes(), elements.start);
        Self { text, elements, size, scanner }
    }

    /// The next elements, as a literal of its own.
    pub fn source(&mut self) -> Option<Source> {
        let (start, mut end, mut filled) = (self.scanner.position(), 0, 0);
        while self.scanner.position() < self.elements.end {
            let from = self.scanner.position();
            let stop = self.scanner.element();
            let size = self.size.of(&self.text.as_bytes()[from..stop]);
            if end > 0 && filled + size > self.size.limit {
                self.scanner = Scanner::new(self.text.as_bytes(), from);
                break;
            }
            filled += size;
            end = stop;
            if self.scanner.position() > stop && elide::is_blank(&self.text.as_bytes()[from..stop]) {
                // A comma with nothing before it must reach the parser, which says so.
                end = self.scanner.position();
            }
        }
        if end == 0 || self.text[start..end].trim().is_empty() && self.scanner.position() >= self.elements.end
        {
            return None;
        }
        let mut source = Source::default();
        let (open, close) = if self.elements.braces { ('{', '}') } else { ('[', ']') };
        source.text.push(open);
        elide::copy(self.text, start, end, self.size, &mut source);
        // A comment may end what was copied.
        source.text.push('\n');
        source.text.push(close);
        Some(source)
    }
}
