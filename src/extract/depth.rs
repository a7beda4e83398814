//! Depth of an AST, measured without recursion.

use ruff_python_ast::token::{Token, TokenKind};
use ruff_python_ast::visitor::source_order::{SourceOrderVisitor, TraversalSignal};
use ruff_python_ast::{AnyNodeRef, ModModule};
use std::cell::Cell;

use super::builder::{MAX_DEPTH, STACK};

/// Stack of a thread for what is deeper than others take, bytes. Only what is touched of it costs memory.
pub const DEEP_STACK: usize = 512 << 20;

/// Levels that such a stack holds.
pub const DEEP_DEPTH: u32 = MAX_DEPTH * (DEEP_STACK / STACK) as u32;

thread_local! {
    static LIMIT: Cell<u32> = const { Cell::new(MAX_DEPTH) };
}

/// Says that this thread has [`DEEP_STACK`]: what it parses may be nested up to [`DEEP_DEPTH`].
pub fn allow_deep() {
    LIMIT.set(DEEP_DEPTH);
}

/// Levels that this thread's stack holds.
pub(crate) fn limit() -> u32 {
    LIMIT.get()
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
    // Per open bracket: links since the last comma; their sum bounds the depth of an expression.
    let mut levels: smallvec::SmallVec<[u32; 32]> = smallvec::smallvec![0];
    let (mut depth, mut indent, mut deepest) = (0u32, 0u32, 0u32);
    for token in tokens {
        match token.kind() {
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
                levels.push(1);
                depth += 1;
                deepest = deepest.max(depth);
            }
            TokenKind::Rpar
            | TokenKind::Rsqb
            | TokenKind::Rbrace
            | TokenKind::FStringEnd
            | TokenKind::TStringEnd => {
                if levels.len() > 1 {
                    depth -= levels.pop().unwrap_or(0);
                }
                depth += 1;
                if let Some(level) = levels.last_mut() {
                    *level += 1;
                }
                deepest = deepest.max(depth);
            }
            TokenKind::Comma => {
                if let Some(level) = levels.last_mut() {
                    depth -= *level;
                    *level = 0;
                }
            }
            TokenKind::Newline | TokenKind::Semi => {
                levels.clear();
                levels.push(0);
                depth = 0;
            }
            TokenKind::Indent => {
                indent += 2;
                deepest = deepest.max(indent);
            }
            TokenKind::Dedent => indent = indent.saturating_sub(2),
            _ => {
                depth += 1;
                if let Some(level) = levels.last_mut() {
                    *level += 1;
                }
                deepest = deepest.max(depth);
            }
        }
    }
    deepest
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
