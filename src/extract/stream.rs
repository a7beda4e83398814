//! Where the pass gets its statements: from a text parsed as a whole, or from pieces parsed one after the other.
//!
//! A piece is parsed, visited and dropped before the next one is made. Where a statement has holes, its visit comes to
//! them like to any block or literal and goes on with their pieces, so that both ways give the same facts.

use super::builder::{Extractor, Pass, Refused, STACK, Span, SyntaxError, TextInfo};
use super::{depth, parser};
use crate::split::{Body, ChunkSize, ElementSplitter, Elements, Hole, Piece, Segment, Source, Splitter};
use ruff_python_ast::token::{Token, TokenKind};
use ruff_python_ast::{Expr, ModModule, PySourceType, Stmt};
use ruff_text_size::{Ranged, TextRange, TextSize};

/// Blocks within each other above which a file is not visited; CPython takes 99.
pub const MAX_BLOCKS: u32 = 250;

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
}

impl Positions {
    fn shifted(shift: u32) -> Self {
        Self { shift, ..Self::default() }
    }

    fn of(segments: Vec<Segment>, holes: Vec<Hole>) -> Self {
        let visited = vec![(false, None); holes.len()];
        Self { shift: 0, segments, holes, visited }
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

/// A text that comes in pieces.
pub(super) struct Stream<'a> {
    size: ChunkSize,
    watch: Watch<'a>,
    kind: PySourceType,
    pub(super) errors: Vec<SyntaxError>,
    refused: Option<Refused>,
    /// Bytes of the largest source given to the parser.
    largest: usize,
}

impl Extractor {
    /// Facts of a text that is parsed piece by piece, and the bytes of the largest piece.
    ///
    /// # Errors
    /// [`Refused::Broken`] where there is a syntax error and `size` is not [`ChunkSize::BROKEN`]; [`Refused::TooDeep`];
    /// [`Refused::TooLarge`]; [`Refused::Stopped`] by `watch`.
    pub fn extract_chunks(
        &mut self,
        text: &str,
        kind: PySourceType,
        info: TextInfo<'_>,
        size: ChunkSize,
        watch: Watch<'_>,
    ) -> Result<(Vec<u8>, usize), Refused> {
        self.clear(text.len());
        self.lines.index(text);
        self.file_flags = info.flags;
        let stream = Stream { size, watch, kind, errors: Vec::new(), refused: None, largest: 0 };
        let mut pass = Pass { x: self, text, positions: Positions::default(), stream: Some(stream) };
        pass.module(&[]);
        let Some(Stream { mut errors, refused, largest, .. }) = pass.stream.take() else {
            return Err(Refused::Broken);
        };
        if let Some(refused) = refused {
            return Err(refused);
        }
        // Elements of `__all__` are visited twice.
        let mut seen = rustc_hash::FxHashSet::default();
        errors.retain(|error| seen.insert(error.clone()));
        Ok((self.finish(text, info, &errors), largest))
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
        let text = self.text;
        let mut splitter = Splitter::new(text, body, size);
        let mut first = true;
        let mut next = splitter.piece();
        while let Some(piece) = next.take() {
            if let Piece::Group { start, .. } = piece {
                self.reached(start);
            }
            if self.is_refused() {
                break;
            }
            let again = splitter.can_enter();
            let (source, positions, indented, misplaced, strings) = match piece {
                Piece::Group { start, end, indented: false, misplaced } => (
                    std::borrow::Cow::Borrowed(&text[start..end]),
                    Positions::shifted(start as u32),
                    false,
                    misplaced,
                    Vec::new(),
                ),
                Piece::Group { start, end, indented: true, misplaced } => {
                    let shift = (start as u32).wrapping_sub(HEADER.len() as u32);
                    let source = [HEADER, &text[start..end]].concat();
                    (source.into(), Positions::shifted(shift), true, misplaced, Vec::new())
                }
                Piece::Large { source: Source { text, segments, holes, strings }, misplaced } => {
                    (text.into(), Positions::of(segments, holes), false, misplaced, strings)
                }
            };
            for (start, end) in strings {
                self.x.lines.mark(start as u32, end as u32);
            }
            // The header counts as a level, which the block around has already.
            let level = body.level - u32::from(indented && body.level > 0);
            let done = self.unit(&source, positions, level, again, |pass, module| {
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
                    end = pass.end(last.end());
                }
            });
            if let Some(at) = misplaced.filter(|_| done) {
                let span = Span { start: at as u32, end: at as u32 };
                self.found_error(span, span, "Unexpected indentation");
            }
            next = if done { splitter.piece() } else { splitter.enter() };
            first &= !done;
        }
        (end, doc)
    }

    /// Parses `source` and visits it; false, and nothing visited, where it has an error and is to come `again` in
    /// other pieces.
    fn unit(
        &mut self,
        source: &str,
        positions: Positions,
        level: u32,
        again: bool,
        visit: impl FnOnce(&mut Self, &ModModule),
    ) -> bool {
        let Some(stream) = &mut self.stream else { return true };
        stream.largest = stream.largest.max(source.len());
        if source.len() > MAX_PIECE && !depth::is_large_allowed() {
            self.refuse(Refused::TooLarge);
            return true;
        }
        let Some(parsed) = parser::parse(source, stream.kind) else {
            self.refuse(Refused::TooDeep);
            return true;
        };
        if again && !parsed.errors().is_empty() {
            if depth::may_exceed(source.len(), parsed.tokens(), depth::limit()) {
                self.refuse(Refused::TooDeep);
                std::mem::forget(parsed);
            }
            return false;
        }
        let around = std::mem::replace(&mut self.positions, positions);
        let positions = &self.positions;
        let mut deep = self.x.survey(parsed.tokens(), level, |token| positions.token(token.range()))
            && parsed.errors().is_empty()
            && depth::blocks(parsed.syntax()) + level > MAX_BLOCKS;
        deep |= depth::may_exceed(source.len(), parsed.tokens(), depth::limit())
            && depth::exceeds(parsed.syntax(), depth::limit());
        for error in parsed.errors() {
            let lost = self.lost(parsed.syntax(), source.len(), error.location.start());
            self.found_error(self.span(error.location), lost, &error.error.to_string());
        }
        if deep {
            self.refuse(Refused::TooDeep);
            // Dropping it could overflow the stack just as visiting it would.
            std::mem::forget(parsed);
        } else if !self.is_refused() {
            // What lies around this piece may have left little of the stack.
            stacker::maybe_grow(STACK / 2, STACK, || {
                visit(self, parsed.syntax());
                self.rest();
            });
        }
        self.positions = around;
        true
    }

    /// Visits bodies that the parser, recovering from an error, made nothing of.
    fn rest(&mut self) {
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

    /// The elements that were left out of the literal at `offset`.
    fn left_out(&self, offset: TextSize) -> Option<Elements> {
        if self.positions.holes.is_empty() {
            return None;
        }
        match self.positions.holes[self.positions.hole(offset)?] {
            Hole::Literal { elements, .. } => Some(elements),
            Hole::Body { .. } => None,
        }
    }

    /// Calls `visit` on each element of a list, tuple, set or dictionary (there key and value), in order.
    pub(super) fn elements(&mut self, literal: &Expr, visit: &mut dyn FnMut(&mut Self, &Expr)) {
        let Some(elements) = self.left_out(literal.start()) else {
            self.each(literal, visit);
            return;
        };
        let Some(size) = self.stream.as_ref().map(|stream| stream.size) else { return };
        let mut splitter = ElementSplitter::new(self.text, elements, size);
        while let Some(Source { text, segments, holes, strings }) = splitter.source() {
            if let Some(segment) = segments.first() {
                self.reached(segment.to as usize);
            }
            if self.is_refused() {
                return;
            }
            for (start, end) in strings {
                self.x.lines.mark(start as u32, end as u32);
            }
            self.unit(&text, Positions::of(segments, holes), 0, false, |pass, module| {
                if let [Stmt::Expr(statement)] = &module.body[..] {
                    pass.each(&statement.value, visit);
                }
            });
        }
    }

    fn each(&mut self, literal: &Expr, visit: &mut dyn FnMut(&mut Self, &Expr)) {
        let elements = match literal {
            Expr::List(node) => &node.elts[..],
            Expr::Tuple(node) => &node.elts[..],
            Expr::Set(node) => &node.elts[..],
            Expr::Dict(node) => {
                for item in &node.items {
                    if let Some(key) = &item.key {
                        visit(self, key);
                    }
                    visit(self, &item.value);
                }
                return;
            }
            _ => return,
        };
        for element in elements {
            visit(self, element);
        }
    }
}
