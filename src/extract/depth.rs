//! Depth of an AST, measured without recursion.

use ruff_python_ast::visitor::source_order::{SourceOrderVisitor, TraversalSignal};
use ruff_python_ast::{AnyNodeRef, ModModule};

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
