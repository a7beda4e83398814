//! Where the pass gets its statements: from a text parsed as a whole, or from pieces parsed one after the other.
//!
//! A piece is parsed, visited and dropped before the next one is made. Where a statement has holes, its visit comes to
//! them like to any block or literal and goes on with their pieces, so that both ways give the same facts.

use super::ahead::{AHEAD, Job, Spent, WORTHWHILE, has_helpers};
use super::builder::{Extractor, Pass, Refused, STACK, Span, SyntaxError, TextInfo};
use super::flow::Item;
use super::large::Large;
use super::{depth, parser};
use crate::split::{
    Body, ChunkSize, ElementSplitter, Elements, Hole, Piece, Segment, Source, Splitter, TextSplitter,
};
use crate::sys::Bytes;
use ruff_python_ast::token::{Token, TokenKind};
use ruff_python_ast::{self as ast, Expr, ModModule, PySourceType, Stmt};
use ruff_python_parser::Parsed;
use ruff_text_size::{Ranged, TextRange, TextSize};
use std::borrow::Cow;
use std::collections::VecDeque;

/// Blocks within each other above which a file is not visited; CPython takes 99.
pub const MAX_BLOCKS: u32 = 250;

/// Elements that were left out of elements that were left out, above which no more are.
const MAX_INNER: u32 = 64;
/// Bytes of a piece above which a text is not parsed where others would suffer: such a piece may take 200 times its size, and no
/// smaller chunk makes it smaller.
pub const MAX_PIECE: usize = 2 << 20;

/// Header under which indented statements are parsed.
const HEADER: &str = "if 1:\n";

/// Where the nodes of the piece that is being visited stand in the text.
#[derive(Debug, Default)]
pub(super) struct Positions {
    /// Added to every offset, where there are no segments.
    shift: u32,
    segments: Vec<Segment>,
    holes: Vec<Hole>,
    /// Of each hole: it was visited, and where the docstring in it stands.
    visited: Vec<(bool, Option<Span>)>,
    /// As in [`Source`]; and the blocks around them.
    more: Vec<Source>,
    level: u32,
    /// Where the last of those ends.
    end: Option<u32>,
}

impl Positions {
    fn shifted(shift: u32) -> Self {
        Self { shift, ..Self::default() }
    }

    fn of(segments: Vec<Segment>, holes: Vec<Hole>) -> Self {
        let visited = vec![(false, None); holes.len()];
        Self { segments, holes, visited, ..Self::default() }
    }

    /// Where a node begins.
    #[inline]
    fn start(&self, offset: u32) -> u32 {
        if self.segments.is_empty() {
            return offset.wrapping_add(self.shift);
        }
        let after = self.segments.partition_point(|segment| segment.start <= offset);
        match after.checked_sub(1).map(|at| self.segments[at]) {
            Some(segment) => (segment.from + (offset - segment.start)).min(segment.to),
            None => self.segments[0].from,
        }
    }

    /// Where a node ends.
    #[inline]
    fn end(&self, offset: u32) -> u32 {
        if self.segments.is_empty() {
            return offset.wrapping_add(self.shift);
        }
        let after = self.segments.partition_point(|segment| segment.start < offset);
        match after.checked_sub(1).map(|at| self.segments[at]) {
            Some(segment) if offset >= segment.end => segment.to,
            Some(segment) => (segment.from + (offset - segment.start)).min(segment.to),
            None => self.segments[0].from,
        }
    }

    /// Where a token stands; nowhere where it stands for what was left out.
    fn token(&self, range: TextRange) -> Span {
        let (start, end) = (range.start().to_u32(), range.end().to_u32());
        let after = self.segments.partition_point(|segment| segment.start <= start);
        if let Some(segment) = after.checked_sub(1).map(|at| self.segments[at])
            && segment.end - segment.start != segment.to - segment.from
        {
            return Span { start: segment.from, end: segment.from };
        }
        Span { start: self.start(start), end: self.end(end) }
    }

    /// Number of the hole at `offset` of the source.
    fn hole(&self, offset: TextSize) -> Option<usize> {
        let offset = offset.to_u32();
        self.holes.binary_search_by_key(&offset, Hole::at).ok()
    }
}

/// Is told again and again how many bytes of a text are behind, and says whether to go on.
pub type Watch<'a> = &'a dyn Fn(usize) -> bool;

/// A piece larger than two chunks.
#[derive(Clone, Copy, Debug)]
pub struct LargePiece {
    /// Where it begins in the text, bytes.
    pub start: u32,
    /// Bytes given to the parser.
    pub bytes: usize,
    /// What it is.
    pub what: &'static str,
}

/// The pieces that were given to the parser.
#[derive(Debug, Default)]
pub struct Pieces {
    /// Bytes of the largest one.
    pub largest: usize,
    /// Those larger than two chunks: statements and headers that nothing can be left out of.
    pub large: Vec<LargePiece>,
}

/// A text that comes in pieces.
pub(super) struct Stream<'a> {
    size: ChunkSize,
    watch: Watch<'a>,
    kind: PySourceType,
    pub(super) errors: Vec<SyntaxError>,
    refused: Option<Refused>,
    /// Elements and strings that were left out and are being visited, within each other.
    inner: u32,
    /// Pieces that other threads may have at the moment.
    ahead: u32,
    /// There are such threads.
    helped: bool,
    spent: Spent,
    pieces: Pieces,
}

/// What the parser is given.
#[derive(Debug)]
enum Given<'t> {
    Text(Cow<'t, str>),
    /// Another thread may parse it.
    Job(Job),
}

/// A piece on its way through the parser to the visit.
#[derive(Debug)]
struct Unit<'t> {
    source: Given<'t>,
    bytes: usize,
    /// Larger than two chunks.
    large: bool,
    positions: Positions,
    /// As in [`Source`].
    strings: Vec<(usize, usize)>,
    /// Everything before this offset is done when its turn comes.
    start: Option<usize>,
    /// Its statements stand under [`HEADER`].
    indented: bool,
    /// As in [`Piece`].
    misplaced: Option<usize>,
}

impl<'t> Unit<'t> {
    fn new(source: Cow<'t, str>, positions: Positions, size: ChunkSize) -> Self {
        let bytes = source.len();
        Self {
            bytes,
            large: bytes / 2 > size.limit && size.of(source.as_bytes()) / 2 > size.limit,
            source: Given::Text(source),
            positions,
            strings: Vec::new(),
            start: None,
            indented: false,
            misplaced: None,
        }
    }

    fn of_piece(text: &'t str, piece: Piece, size: ChunkSize) -> Self {
        match piece {
            Piece::Group { start, end, indented: false, misplaced } => {
                let positions = Positions::shifted(start as u32);
                let unit = Self::new(Cow::Borrowed(&text[start..end]), positions, size);
                Self { start: Some(start), misplaced, ..unit }
            }
            Piece::Group { start, end, indented: true, misplaced } => {
                let positions = Positions::shifted((start as u32).wrapping_sub(HEADER.len() as u32));
                let unit = Self::new([HEADER, &text[start..end]].concat().into(), positions, size);
                Self { start: Some(start), indented: true, misplaced, ..unit }
            }
            Piece::Large { source, misplaced } => {
                Self { start: None, misplaced, ..Self::of_source(source, size) }
            }
        }
    }

    fn of_source(source: Source, size: ChunkSize) -> Self {
        let Source { text, segments, holes, strings, more } = source;
        let start = segments.first().map(|segment| segment.to as usize);
        let positions = Positions { more, ..Positions::of(segments, holes) };
        Self { strings, start, ..Self::new(text.into(), positions, size) }
    }

    /// Where its text begins.
    fn from(&self) -> u32 {
        let first = self.positions.segments.first().map(|segment| segment.from);
        first.unwrap_or_else(|| self.start.unwrap_or(0) as u32)
    }

    /// The same, to be parsed by whichever thread is idle, where that is worth its while.
    fn given_away(self, kind: PySourceType, spent: &Spent) -> Self {
        let source = match self.source {
            Given::Text(text) if self.bytes >= WORTHWHILE => {
                Given::Job(Job::new(text.into_owned(), kind, spent.clone()))
            }
            source => source,
        };
        Self { source, ..self }
    }
}

impl Extractor {
    /// Facts of a text that is parsed piece by piece, and what is to be said of the pieces. With a folder in
    /// [`Extractor::spill`], what is worked on is not all held in memory.
    ///
    /// # Errors
    /// [`Refused::Broken`] where there is a syntax error and `size` is not [`ChunkSize::BROKEN`]; [`Refused::TooDeep`];
    /// [`Refused::TooLarge`]; [`Refused::Stopped`] by `watch`; [`Refused::NoRoom`] where that folder can't be written to.
    pub fn extract_chunks(
        &mut self,
        text: &str,
        kind: PySourceType,
        info: TextInfo<'_>,
        size: ChunkSize,
        watch: Watch<'_>,
    ) -> Result<(Bytes, Pieces), Refused> {
        self.clear(text.len());
        match self.spill.clone() {
            Some(folder) => {
                let large = Large::new(&folder);
                self.lines.index_large(text, large.scratch());
                self.large = Some(large);
            }
            None => self.lines.index(text),
        }
        self.file_flags = info.flags;
        // Pieces of a text with an error may come again in another shape.
        let helped = size != ChunkSize::BROKEN && has_helpers();
        let stream = Stream {
            size,
            watch,
            kind,
            errors: Vec::new(),
            refused: None,
            inner: 0,
            ahead: 0,
            helped,
            spent: Spent::default(),
            pieces: Pieces::default(),
        };
        let mut pass = Pass { x: self, text, positions: Positions::default(), stream: Some(stream) };
        pass.module(&[]);
        let Some(Stream { mut errors, refused, pieces, .. }) = pass.stream.take() else {
            return Err(Refused::Broken);
        };
        if let Some(refused) = refused {
            return Err(refused);
        }
        // Elements of `__all__` are visited twice.
        let mut seen = rustc_hash::FxHashSet::default();
        errors.retain(|error| seen.insert(error.clone()));
        let facts = match self.large.take() {
            Some(large) => self.finish_large(large, text, info, &errors).map_err(|error| {
                tracing::warn!("cannot work out of core: {error}");
                Refused::NoRoom
            })?,
            None => self.finish(text, info, &errors).into(),
        };
        Ok((facts, pieces))
    }

    /// Looks at the tokens of what is about to be visited; true where it may have too many blocks within each other. A text with errors in
    /// its indentation goes in more often than out.
    pub(super) fn survey(&mut self, tokens: &[Token], level: u32, place: impl Fn(&Token) -> Span) -> bool {
        let (mut level, mut deepest) = (level, level);
        for token in tokens {
            match token.kind() {
                TokenKind::String
                | TokenKind::FStringMiddle
                | TokenKind::TStringMiddle
                | TokenKind::Unknown => {
                    let Span { start, end } = place(token);
                    self.lines.mark(start, end);
                }
                TokenKind::Indent => {
                    level += 1;
                    deepest = deepest.max(level);
                }
                TokenKind::Dedent => level = level.saturating_sub(1),
                _ => {}
            }
        }
        deepest > MAX_BLOCKS
    }
}

impl Stream<'_> {
    fn count(&mut self, bytes: usize, large: bool, positions: &Positions, parsed: &Parsed<ModModule>) {
        self.pieces.largest = self.pieces.largest.max(bytes);
        if large {
            let what = match &parsed.syntax().body[..] {
                _ if !parsed.errors().is_empty() => "a syntax error",
                [Stmt::Expr(statement)] if self.inner > 0 => element(&statement.value),
                body => what(body),
            };
            self.pieces.large.push(LargePiece { start: positions.start(0), bytes, what });
        }
    }
}

/// What kind of element it is, if it is a single one.
fn element(around: &Expr) -> &'static str {
    let elements = match around {
        Expr::List(list) => &list.elts[..],
        Expr::Set(set) => &set.elts[..],
        Expr::Dict(dict) if dict.items.len() == 1 => std::slice::from_ref(&dict.items[0].value),
        Expr::Call(call) if call.arguments.keywords.is_empty() => &call.arguments.args[..],
        Expr::Call(call) if call.arguments.len() == 1 => {
            std::slice::from_ref(&call.arguments.keywords[0].value)
        }
        Expr::Subscript(subscript) => std::slice::from_ref(&*subscript.slice),
        string => std::slice::from_ref(string),
    };
    match elements {
        [Expr::BinOp(_) | Expr::BoolOp(_) | Expr::Compare(_) | Expr::UnaryOp(_)] => "element: operators",
        [Expr::Lambda(_)] => "element: lambda",
        [Expr::ListComp(_) | Expr::SetComp(_) | Expr::DictComp(_) | Expr::Generator(_)] => {
            "element: comprehension"
        }
        [Expr::FString(_) | Expr::TString(_)] => "element: field of an f-string",
        [_] => "element: other",
        _ => "elements",
    }
}

/// What kind of statement it is.
fn what(body: &[Stmt]) -> &'static str {
    match body {
        [Stmt::If(header), ..] if header.range.start() == TextSize::new(0) && header.body.len() > 1 => {
            "statements"
        }
        [_, _, ..] => "statements",
        [Stmt::FunctionDef(_)] => "header of a function",
        [Stmt::ClassDef(_)] => "header of a class",
        [Stmt::If(_)] => "header of `if`",
        [Stmt::For(_)] => "header of `for`",
        [Stmt::While(_)] => "header of `while`",
        [Stmt::With(_)] => "header of `with`",
        [Stmt::Try(_)] => "headers of `try`",
        [Stmt::Match(_)] => "headers of `match`",
        [Stmt::Import(_) | Stmt::ImportFrom(_)] => "import",
        [Stmt::Assign(_) | Stmt::AugAssign(_) | Stmt::AnnAssign(_)] => "assignment",
        [Stmt::Expr(_)] => "expression",
        [_] => "simple statement",
        [] => "nothing",
    }
}

impl Pass<'_> {
    /// Where a node that begins at `offset` begins in the text.
    #[inline]
    pub(super) fn at(&self, offset: TextSize) -> u32 {
        self.positions.start(offset.to_u32())
    }

    /// Where a node that ends at `offset` ends in the text.
    #[inline]
    pub(super) fn end(&self, offset: TextSize) -> u32 {
        self.positions.end(offset.to_u32())
    }

    /// Line of a node that begins at `offset`.
    #[inline]
    pub(super) fn line(&mut self, offset: TextSize) -> u32 {
        let at = self.at(offset);
        self.x.lines.line(at)
    }

    /// Where a node stands in the text.
    #[inline]
    pub(super) fn span(&self, range: TextRange) -> Span {
        Span { start: self.at(range.start()), end: self.end(range.end()) }
    }

    /// The module's statements: `body`, or what the stream gives. Where its docstring stands.
    pub(super) fn top(&mut self, body: &[Stmt]) -> Option<Span> {
        if self.stream.is_some() {
            return self.stream_body(Body::module(self.text)).1;
        }
        self.statements(body);
        self.doc_of(body)
    }

    /// Visits a block. Where its docstring stands.
    pub(super) fn block(&mut self, body: &[Stmt]) -> Option<Span> {
        if let Some(hole) = self.body_hole(body) {
            self.fill(hole);
            return self.positions.visited[hole].1;
        }
        self.statements(body);
        self.doc_of(body)
    }

    fn doc_of(&self, body: &[Stmt]) -> Option<Span> {
        match body.first() {
            Some(Stmt::Expr(statement)) if statement.value.is_string_literal_expr() => {
                Some(self.span(statement.value.range()))
            }
            _ => None,
        }
    }

    fn body_hole(&self, body: &[Stmt]) -> Option<usize> {
        match body {
            [Stmt::Pass(node)] if !self.positions.holes.is_empty() => self.positions.hole(node.start()),
            _ => None,
        }
    }

    /// Visits what belongs in the body with number `hole`.
    fn fill(&mut self, hole: usize) {
        let Hole::Body { at, body } = self.positions.holes[hole] else { return };
        self.positions.visited[hole].0 = true;
        let (end, doc) = self.stream_body(body);
        self.positions.visited[hole].1 = doc;
        if let Ok(segment) = self.positions.segments.binary_search_by_key(&at, |segment| segment.start) {
            self.positions.segments[segment].to = end;
        }
    }

    /// Visits the statements of `body` piece by piece. Where they end, and where their docstring stands.
    fn stream_body(&mut self, body: Body) -> (u32, Option<Span>) {
        let (mut end, mut doc) = (body.start as u32, None);
        let Some(size) = self.stream.as_ref().map(|stream| stream.size) else { return (end, doc) };
        if body.level > MAX_BLOCKS {
            self.refuse(Refused::TooDeep);
        }
        let mut splitter = Splitter::new(self.text, body, size);
        let mut queue = VecDeque::new();
        let mut first = true;
        let text = self.text;
        let mut next = self.upcoming(&mut queue, &mut || Some(Unit::of_piece(text, splitter.piece()?, size)));
        while let Some(unit) = next.take() {
            self.reach(unit.from());
            if let Some(start) = unit.start {
                self.reached(start);
            }
            if self.is_refused() {
                break;
            }
            // Where a piece may come again, none is taken before its turn.
            let again = splitter.can_enter() && queue.is_empty();
            let (indented, misplaced) = (unit.indented, unit.misplaced);
            // The header counts as a level, which the block around has already.
            let level = body.level - u32::from(indented && body.level > 0);
            let done = self.unit(unit, level, again, |pass, module| {
                let statements = match &module.body[..] {
                    [Stmt::If(header)] if indented => &header.body[..],
                    all => all,
                };
                pass.statements(statements);
                if first {
                    doc = pass.doc_of(statements);
                }
                if indented && let [Stmt::If(_), rest @ ..] = &module.body[..] {
                    pass.statements(rest);
                }
                if let Some(last) = module.body.last() {
                    end = pass.positions.end.unwrap_or_else(|| pass.end(last.end()));
                }
            });
            if let Some(at) = misplaced.filter(|_| done) {
                let span = Span { start: at as u32, end: at as u32 };
                self.found_error(span, span, "Unexpected indentation");
            }
            next = self.upcoming(&mut queue, &mut || {
                let piece = if done { splitter.piece() } else { splitter.enter() };
                Some(Unit::of_piece(text, piece?, size))
            });
            first &= !done;
        }
        (end, doc)
    }

    /// The next unit: of those in `queue`, which idle threads may have parsed, or from `make`. Fills the queue again.
    fn upcoming<'t>(
        &mut self,
        queue: &mut VecDeque<Unit<'t>>,
        make: &mut dyn FnMut() -> Option<Unit<'t>>,
    ) -> Option<Unit<'t>> {
        let next = queue.pop_front().or_else(&mut *make)?;
        let Some(stream) = &mut self.stream else { return Some(next) };
        stream.ahead -= u32::from(matches!(next.source, Given::Job(_)));
        while stream.helped && stream.ahead < AHEAD && queue.len() < AHEAD as usize {
            let Some(unit) = make() else { break };
            let unit = unit.given_away(stream.kind, &stream.spent);
            stream.ahead += u32::from(matches!(unit.source, Given::Job(_)));
            queue.push_back(unit);
        }
        Some(next)
    }

    /// Parses `source` and visits it; false, and nothing visited, where it has an error and is to come `again` in
    /// other pieces.
    fn unit(
        &mut self,
        unit: Unit<'_>,
        level: u32,
        again: bool,
        visit: impl FnOnce(&mut Self, &ModModule),
    ) -> bool {
        let Unit { source, bytes, positions, strings, .. } = unit;
        for (start, end) in strings {
            self.x.lines.mark(start as u32, end as u32);
        }
        let Some(stream) = &mut self.stream else { return true };
        let spent = matches!(source, Given::Job(_)).then(|| stream.spent.clone());
        if bytes > MAX_PIECE && !depth::is_large_allowed() {
            self.refuse(Refused::TooLarge);
            return true;
        }
        let parsed = match source {
            Given::Text(source) => parser::parse(&source, stream.kind),
            Given::Job(job) => job.parsed(),
        };
        let Some(parsed) = parsed else {
            self.refuse(Refused::TooDeep);
            return true;
        };
        stream.count(bytes, unit.large, &positions, &parsed);
        if again && !parsed.errors().is_empty() {
            if depth::may_exceed(bytes, parsed.tokens(), depth::limit()) {
                self.refuse(Refused::TooDeep);
                std::mem::forget(parsed);
            }
            return false;
        }
        let positions = Positions { level, ..positions };
        let around = std::mem::replace(&mut self.positions, positions);
        let positions = &self.positions;
        let mut deep = self.x.survey(parsed.tokens(), level, |token| positions.token(token.range()))
            && parsed.errors().is_empty()
            && depth::blocks(parsed.syntax()) + level > MAX_BLOCKS;
        deep |= depth::may_exceed(bytes, parsed.tokens(), depth::limit())
            && depth::exceeds(parsed.syntax(), depth::limit());
        for error in parsed.errors() {
            let lost = self.lost(parsed.syntax(), bytes, error.location.start());
            self.found_error(self.span(error.location), lost, &error.error.to_string());
        }
        if deep {
            self.refuse(Refused::TooDeep);
            // Dropping it could overflow the stack just as visiting it would.
            std::mem::forget(parsed);
        } else {
            if !self.is_refused() {
                // What lies around this piece may have left little of the stack.
                stacker::maybe_grow(STACK / 2, STACK, || {
                    visit(self, parsed.syntax());
                    self.rest();
                });
            }
            if let Some(spent) = spent {
                spent.leave(parsed);
            }
        }
        self.positions = around;
        true
    }

    /// Further clauses of the statement that is about to be visited.
    pub(super) fn further(&mut self) -> Vec<Source> {
        std::mem::take(&mut self.positions.more)
    }

    /// Calls `visit` on the statements that hold further clauses.
    pub(super) fn clauses(&mut self, further: Vec<Source>, visit: &mut dyn FnMut(&mut Self, &[Stmt])) {
        let Some(size) = self.stream.as_ref().map(|stream| stream.size).filter(|_| !further.is_empty())
        else {
            return;
        };
        let level = self.positions.level;
        for source in further {
            if self.is_refused() {
                return;
            }
            let mut end = None;
            self.unit(Unit::of_source(source, size), level, false, |pass, module| {
                visit(pass, &module.body);
                end = module.body.last().map(|last| pass.end(last.end()));
            });
            self.positions.end = end;
        }
    }

    /// Visits bodies that the parser, recovering from an error, made nothing of.
    fn rest(&mut self) {
        let further = self.further();
        self.clauses(further, &mut |pass, body| pass.statements(body));
        for hole in 0..self.positions.holes.len() {
            if !self.positions.visited[hole].0 && matches!(self.positions.holes[hole], Hole::Body { .. }) {
                self.fill(hole);
            }
        }
    }

    /// What the facts may lack for an error at `offset`: the statement around it, or what lies between two statements.
    fn lost(&self, module: &ModModule, len: usize, offset: TextSize) -> Span {
        let mut body = &module.body[..];
        if let ([Stmt::If(header), ..], true) = (body, self.positions.segments.is_empty())
            && header.range().contains_inclusive(offset)
            && header.elif_else_clauses.is_empty()
            && header.start() == TextSize::new(0)
            && header.body.first().is_some_and(|first| first.start().to_usize() >= HEADER.len())
        {
            body = &header.body;
        }
        let after = body.partition_point(|statement| statement.start() <= offset);
        let before = after.checked_sub(1).map(|at| &body[at]);
        let range = match before {
            Some(statement) if offset <= statement.end() => statement.range(),
            _ => {
                let start = before.map_or(TextSize::new(0), Ranged::end);
                let end = body.get(after).map_or(TextSize::new(len as u32), Ranged::start);
                TextRange::new(start, end.max(start))
            }
        };
        self.span(range)
    }

    fn found_error(&mut self, span: Span, lost: Span, message: &str) {
        let Some(stream) = &mut self.stream else { return };
        if stream.size == ChunkSize::BROKEN {
            stream.errors.push(SyntaxError { span, lost, message: message.to_owned() });
        } else {
            self.refuse(Refused::Broken);
        }
    }

    fn refuse(&mut self, why: Refused) {
        if let Some(stream) = &mut self.stream {
            stream.refused = Some(stream.refused.map_or(why, |before| before.max(why)));
        }
    }

    /// Tells that everything before this offset is done.
    fn reached(&mut self, offset: usize) {
        if self.stream.as_ref().is_some_and(|stream| !(stream.watch)(offset)) {
            self.refuse(Refused::Stopped);
        }
    }

    fn is_refused(&self) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.refused.is_some())
    }

    /// Looks at the elements of a target that were left out: parsed by themselves they could be what no target may be.
    pub(super) fn check_target(&mut self, target: &Expr, deleted: bool) {
        if !self.positions.holes.is_empty() {
            self.check_elements(target, deleted, false);
        }
    }

    /// `cut`: the parser saw no target in it.
    fn check_elements(&mut self, target: &Expr, deleted: bool, cut: bool) {
        match target {
            Expr::Starred(starred) if !deleted => self.check_elements(&starred.value, deleted, cut),
            Expr::List(_) | Expr::Tuple(_) => {
                let cut = cut || self.elements_left_out(target).is_some();
                self.elements(target, &mut |pass, element| pass.check_elements(element, deleted, cut));
            }
            Expr::Name(_) | Expr::Attribute(_) | Expr::Subscript(_) => {}
            _ if cut => {
                let span = self.span(target.range());
                self.found_error(
                    span,
                    span,
                    if deleted { "Invalid delete target" } else { "Invalid assignment target" },
                );
            }
            _ => {}
        }
    }

    /// The hole at `offset`.
    fn hole_at(&self, offset: TextSize) -> Option<Hole> {
        if self.positions.holes.is_empty() {
            return None;
        }
        Some(self.positions.holes[self.positions.hole(offset)?])
    }

    /// The elements that were left out of what has its bracket at `offset`.
    fn left_out(&self, offset: TextSize) -> Option<Elements> {
        match self.hole_at(offset)? {
            Hole::Elements { elements, .. } => Some(elements),
            _ => None,
        }
    }

    /// The elements that were left out of a list, tuple, set or dictionary. A tuple without brackets begins where its first
    /// element does: what was left out there is that one's.
    fn elements_left_out(&self, literal: &Expr) -> Option<Elements> {
        match literal {
            Expr::Tuple(tuple) if !tuple.parenthesized => None,
            _ => self.left_out(literal.start()),
        }
    }

    /// How large pieces of what was left out are. Within too many others they are not cut any more, since each level is
    /// scanned once more.
    fn inner_size(&self) -> Option<ChunkSize> {
        let stream = self.stream.as_ref()?;
        let limit = if stream.inner > MAX_INNER { usize::MAX } else { stream.size.limit };
        Some(ChunkSize { limit, ..stream.size })
    }

    /// Parses a piece of what was left out, and gives `visit` its expression.
    fn inner(&mut self, unit: Unit<'_>, visit: &mut dyn FnMut(&mut Self, &Expr)) {
        self.reach(unit.from());
        if let Some(start) = unit.start {
            self.reached(start);
        }
        if self.is_refused() {
            return;
        }
        self.deeper(1);
        self.unit(unit, 0, false, |pass, module| {
            if let [Stmt::Expr(statement)] = &module.body[..] {
                visit(pass, &statement.value);
            }
        });
        self.deeper(-1);
    }

    /// The same for each piece that `make` gives.
    fn inner_all(
        &mut self,
        mut make: impl FnMut() -> Option<Source>,
        visit: &mut dyn FnMut(&mut Self, &Expr),
    ) {
        let Some(size) = self.inner_size() else { return };
        let mut queue = VecDeque::new();
        while !self.is_refused()
            && let Some(unit) = self.upcoming(&mut queue, &mut || Some(Unit::of_source(make()?, size)))
        {
            self.inner(unit, visit);
        }
    }

    fn deeper(&mut self, levels: i32) {
        if let Some(stream) = &mut self.stream {
            stream.inner = stream.inner.wrapping_add_signed(levels);
        }
    }

    /// Calls `visit` on each element of a list, tuple, set or dictionary (there key and value), in order.
    pub(super) fn elements(&mut self, literal: &Expr, visit: &mut dyn FnMut(&mut Self, &Expr)) {
        let Some(elements) = self.elements_left_out(literal) else {
            self.each(literal, visit);
            return;
        };
        let Some(size) = self.inner_size() else { return };
        let mut splitter = ElementSplitter::new(self.text, elements, size);
        self.inner_all(|| splitter.source(), &mut |pass, part| {
            if literal.is_dict_expr() != part.is_dict_expr() {
                let span = pass.span(part.range());
                pass.found_error(span, span, "Elements of a set and of a dictionary in one literal");
            }
            match part {
                Expr::Subscript(subscript) => pass.each(&subscript.slice, visit),
                part => pass.each(part, visit),
            }
        });
    }

    /// Calls `visit` on the arguments of a call: at once, or part by part.
    pub(super) fn argument_parts(
        &mut self,
        arguments: &ast::Arguments,
        visit: &mut dyn FnMut(&mut Self, &ast::Arguments),
    ) {
        let Some(elements) = self.left_out(arguments.start()) else {
            visit(self, arguments);
            return;
        };
        let Some(size) = self.inner_size() else { return };
        let mut splitter = ElementSplitter::new(self.text, elements, size);
        self.inner_all(|| splitter.source(), &mut |pass, part| {
            if let Expr::Call(call) = part {
                visit(pass, &call.arguments);
            }
        });
    }

    /// A positional argument that comes too late, which no parser saw.
    pub(super) fn found_late_argument(&mut self, argument: &Expr) {
        let span = self.span(argument.range());
        self.found_error(span, span, "Positional argument cannot follow keyword argument");
    }

    /// Visits the strings that were left out at `expr`; false where none were.
    pub(super) fn strings(&mut self, expr: &Expr, visit: &mut dyn FnMut(&mut Self, &Expr)) -> bool {
        let Some(Hole::Text { start, end, .. }) = self.hole_at(expr.start()) else { return false };
        let Some(size) = self.stream.as_ref().map(|stream| stream.size) else { return false };
        let mut splitter = TextSplitter::new(self.text, start, end, size);
        self.inner_all(|| splitter.source(), visit);
        true
    }

    /// What a string says, also where it was left out.
    pub(super) fn text_of<'e>(&mut self, expr: &'e ast::ExprStringLiteral) -> Cow<'e, str> {
        let Some(Hole::Text { start, end, .. }) = self.hole_at(expr.start()) else {
            return Cow::Borrowed(expr.value.to_str());
        };
        let source = format!("({}\n)", &self.text[start..end]);
        match ruff_python_parser::parse_expression(&source).map(|parsed| parsed.into_expr()) {
            Ok(Expr::StringLiteral(string)) => Cow::Owned(string.value.to_str().to_owned()),
            _ => Cow::Borrowed(""),
        }
    }

    fn each(&mut self, literal: &Expr, visit: &mut dyn FnMut(&mut Self, &Expr)) {
        let elements = match literal {
            Expr::List(node) => &node.elts[..],
            Expr::Tuple(node) => &node.elts[..],
            Expr::Set(node) => &node.elts[..],
            Expr::Dict(node) => {
                for item in &node.items {
                    self.pause();
                    if let Some(key) = &item.key {
                        self.x.flow.item = Item::Key;
                        visit(self, key);
                    }
                    self.x.flow.item = if item.key.is_some() { Item::Value } else { Item::Unpacked };
                    visit(self, &item.value);
                }
                return;
            }
            _ => return,
        };
        for element in elements {
            self.pause();
            visit(self, element);
        }
    }
}
