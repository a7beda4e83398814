//! Depth of an AST, measured without recursion.

use ruff_python_ast::token::{Token, TokenKind};
use ruff_python_ast::visitor::source_order::{SourceOrderVisitor, TraversalSignal};
use ruff_python_ast::{self as ast, AnyNodeRef, ModModule, Stmt};
use std::cell::Cell;

use super::builder::{MAX_DEPTH, STACK};

/// Stack of a thread for what is deeper than others take, bytes. Only what is touched of it costs memory.
pub const DEEP_STACK: usize = 512 << 20;

/// Levels that such a stack holds.
pub const DEEP_DEPTH: u32 = MAX_DEPTH * (DEEP_STACK / STACK) as u32;

thread_local! {
    static LIMIT: Cell<u32> = const { Cell::new(MAX_DEPTH) };
    static LARGE: Cell<bool> = const { Cell::new(false) };
}

/// Says that this thread may run out of memory without harm to others: it takes pieces larger than
/// [`MAX_PIECE`](super::MAX_PIECE).
pub fn allow_large() {
    LARGE.set(true);
}

/// Whether [`allow_large`] was called.
pub(super) fn is_large_allowed() -> bool {
    LARGE.get()
}

/// Says that this thread has [`DEEP_STACK`]: what it parses may be nested up to [`DEEP_DEPTH`].
pub fn allow_deep() {
    LIMIT.set(DEEP_DEPTH);
}

/// Levels that this thread's stack holds.
pub(crate) fn limit() -> u32 {
    LIMIT.get()
}

/// Whether [`allow_deep`] was called.
pub(crate) fn is_deep_allowed() -> bool {
    limit() > MAX_DEPTH
}

/// Lists the children of one node.
struct Children<'a, 'w> {
    waiting: &'w mut Vec<(AnyNodeRef<'a>, u32)>,
    depth: u32,
    /// The node itself has been entered.
    inside: bool,
}

impl<'a> SourceOrderVisitor<'a> for Children<'a, '_> {
    fn enter_node(&mut self, node: AnyNodeRef<'a>) -> TraversalSignal {
        if !self.inside {
            self.inside = true;
            return TraversalSignal::Traverse;
        }
        self.waiting.push((node, self.depth));
        TraversalSignal::Skip
    }
}

/// False where no node can lie more than `limit` levels below the module; quick for all but odd texts.
///
/// An expression is no deeper than it has tokens; blocks, of two levels each (`if` and its clause), take a triangle of
/// indentation.
pub(super) fn may_exceed(bytes: usize, tokens: &[Token], limit: u32) -> bool {
    let limit = limit as usize;
    if bytes >= limit * limit / 8 {
        return bound(tokens) as usize > limit;
    }
    // Where every window of half the limit holds the end of a statement, none is longer than the limit.
    let window = limit / 2;
    let mut rest = tokens;
    while rest.len() > window {
        match rest[..window].iter().rposition(|token| token.kind() == TokenKind::Newline) {
            Some(at) => rest = &rest[at + 1..],
            None => return bound(tokens) as usize > limit,
        }
    }
    false
}

/// Upper bound of the depth; too high where operators of one node follow each other.
fn bound(tokens: &[Token]) -> u32 {
    let mut bound = Bound::default();
    tokens.iter().for_each(|token| bound.push(token.kind()));
    bound.deepest()
}

/// Levels of what stands in a bracket: of a call the call and its arguments, of an f-string the string and its field.
const BRACKET: u32 = 2;

/// What the tokens so far say about the depth.
#[derive(Debug, Default)]
pub(super) struct Bound {
    /// Per open bracket: [`BRACKET`] and the links since the last comma; their sum bounds the depth of an expression.
    levels: smallvec::SmallVec<[u32; 32]>,
    /// The same outside of brackets.
    outside: u32,
    depth: u32,
    indent: u32,
    deepest: u32,
}

impl Bound {
    /// Levels that nothing exceeds.
    pub(super) fn deepest(&self) -> u32 {
        self.deepest
    }

    fn link(&mut self, count: u32) {
        *self.levels.last_mut().unwrap_or(&mut self.outside) += count;
        self.depth += count;
        self.deepest = self.deepest.max(self.depth);
    }

    /// Takes the next token.
    #[inline]
    pub(super) fn push(&mut self, kind: TokenKind) {
        match kind {
            TokenKind::Name
            | TokenKind::String
            | TokenKind::NonLogicalNewline
            | TokenKind::Comment
            | TokenKind::Int => {}
            TokenKind::Lpar
            | TokenKind::Lsqb
            | TokenKind::Lbrace
            | TokenKind::FStringStart
            | TokenKind::TStringStart => {
                self.levels.push(0);
                self.link(BRACKET);
            }
            TokenKind::Rpar
            | TokenKind::Rsqb
            | TokenKind::Rbrace
            | TokenKind::FStringEnd
            | TokenKind::TStringEnd => {
                self.depth -= self.levels.pop().unwrap_or(0);
                self.link(1);
            }
            TokenKind::Comma => {
                let (level, least) = match self.levels.last_mut() {
                    Some(level) => (level, BRACKET),
                    None => (&mut self.outside, 0),
                };
                self.depth -= *level - least;
                *level = least;
            }
            TokenKind::Newline | TokenKind::Semi => {
                self.levels.clear();
                (self.outside, self.depth) = (0, 0);
            }
            TokenKind::Indent => {
                self.indent += 2;
                self.deepest = self.deepest.max(self.indent);
            }
            TokenKind::Dedent => self.indent = self.indent.saturating_sub(2),
            _ => self.link(1),
        }
    }
}

/// True where a node lies more than `limit` levels below the module.
pub(super) fn exceeds(module: &ModModule, limit: u32) -> bool {
    let mut waiting = vec![(AnyNodeRef::from(module), 0)];
    while let Some((node, depth)) = waiting.pop() {
        if depth > limit {
            return true;
        }
        node.visit_source_order(&mut Children { waiting: &mut waiting, depth: depth + 1, inside: true });
    }
    false
}

/// Blocks within each other, those that share a line with their header included.
pub(super) fn blocks(module: &ModModule) -> u32 {
    let mut waiting = vec![(&module.body[..], 0)];
    let mut deepest = 0;
    while let Some((body, depth)) = waiting.pop() {
        deepest = deepest.max(depth);
        for statement in body {
            let mut add = |body, levels| waiting.push((body, depth + levels));
            match statement {
                Stmt::FunctionDef(node) => add(&node.body[..], 1),
                Stmt::ClassDef(node) => add(&node.body, 1),
                Stmt::With(node) => add(&node.body, 1),
                Stmt::For(node) => {
                    add(&node.body, 1);
                    add(&node.orelse, 1);
                }
                Stmt::While(node) => {
                    add(&node.body, 1);
                    add(&node.orelse, 1);
                }
                Stmt::If(node) => {
                    add(&node.body, 1);
                    node.elif_else_clauses.iter().for_each(|clause| add(&clause.body, 1));
                }
                Stmt::Match(node) => node.cases.iter().for_each(|case| add(&case.body, 2)),
                Stmt::Try(node) => {
                    for body in [&node.body, &node.orelse, &node.finalbody] {
                        add(body, 1);
                    }
                    for ast::ExceptHandler::ExceptHandler(handler) in &node.handlers {
                        add(&handler.body, 1);
                    }
                }
                _ => {}
            }
        }
    }
    deepest
}
