//! Copies of decorators.

use super::lay::Layer;
use super::program::Program;
use super::{Kind, Object};
use crate::model::facts::{Facts, FlowOp, SymbolKind, col, table};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::ops::Range;

/// Constraints of all copies of a function above which there are no more: those that were decorated last share one.
const ALL_COPIED: u32 = 200_000;

/// Constraints of a function above which it is not copied.
const MOST_COPIED: u32 = 600;

/// A decoration to be done: the constraint that calls the decorator or its factory, and the function that this is (file, symbol).
pub(super) type Want = (u32, [u32; 2]);

/// Functions that are copied: a small decorator, or a factory of decorators, is followed for each decoration apart, so that what one
/// decorated function is called with does not reach all others.
#[derive(Debug, Default)]
pub(super) struct Copies {
    /// From here on rows and symbols are those of copies.
    pub(super) first_row: u32,
    pub(super) first_symbol: u32,
    /// First row of each copy and its file.
    pub(super) rows: Vec<(u32, u32)>,
    /// Original and body of each symbol.
    pub(super) symbols: Vec<(u32, u32)>,
    /// Row of the original, and constraint; sorted.
    pub(super) ops: Vec<(u32, u32)>,
}

/// A function that may be copied.
#[derive(Clone, Debug)]
struct Original {
    rows: Range<u32>,
    variables: Range<u32>,
    symbols: SmallVec<[u32; 4]>,
    scopes: SmallVec<[u32; 4]>,
}

/// The function whose symbol this is, unless it is decorated itself, too large, or has classes in it.
fn original(facts: &Facts<'_>, symbol: u32) -> Option<Original> {
    if (0..facts.rows(table::Decorators)).any(|row| facts.get(col::DEC_SYM, row) == symbol) {
        return None;
    }
    let op = |row: u32| FlowOp::from_u32(facts.get(col::FLOW_OP, row));
    let rows = facts.rows(table::Flow);
    let start = (0..rows).find(|&row| op(row) == FlowOp::Enter && facts.get(col::FLOW_A, row) == symbol)?;
    let first = facts.get(col::FLOW_OUT, start);
    let (mut depth, mut end, mut last) = (0, start, first);
    let (mut symbols, mut scopes) = (SmallVec::new(), SmallVec::new());
    loop {
        let [out, a, b] = [col::FLOW_OUT, col::FLOW_A, col::FLOW_B].map(|column| facts.get(column, end));
        last = last.max(out);
        match op(end) {
            FlowOp::Enter => {
                depth += 1;
                symbols.push(a);
                scopes.extend(facts.opt(col::SYM_SCOPE, a));
                let params =
                    (b..facts.rows(table::Params)).take_while(|&row| facts.get(col::PAR_SYM, row) == a);
                last = last.max(out + 1 + params.count() as u32);
            }
            FlowOp::EnterScope => {
                depth += 1;
                scopes.push(a);
            }
            FlowOp::EnterClass => return None,
            FlowOp::Leave => depth -= 1,
            _ => {}
        }
        end += 1;
        if depth == 0 {
            break;
        }
        if end >= rows || end - start > MOST_COPIED {
            return None;
        }
    }
    Some(Original { rows: start..end, variables: first..last + 1, symbols, scopes })
}

impl Program<'_, '_> {
    /// Copies decorators for each decoration.
    pub(super) fn copy_decorators(&mut self) {
        let project = self.project;
        let wanted = std::mem::take(&mut self.sheet.wanted);
        let mut originals: FxHashMap<[u32; 2], (Option<Original>, u32)> = FxHashMap::default();
        let (mut row, mut count, mut rows) = (self.copies.first_row, self.count, Vec::new());
        let mut symbols: Vec<(u32, u32)> = Vec::new();
        // Constraints that call a copy: their numbers, and the copies' variables; constraints that are copies: row of the original.
        let (mut callees, mut copied_rows) = (Vec::new(), Vec::new());
        let mut layer = Layer::new(self);
        let mut names: FxHashMap<u32, Vec<u32>> = FxHashMap::default();
        for (site, function) in wanted {
            let [file, symbol] = function;
            let Some(facts) = project.facts(file) else { continue };
            let (original, copied) =
                originals.entry(function).or_insert_with(|| (original(facts, symbol), 0));
            let Some(original) = original.clone() else { continue };
            *copied += original.rows.end - original.rows.start;
            if *copied > ALL_COPIED {
                continue;
            }
            let mut numbering = self.numbering(file);
            let first_row = numbering.rows;
            numbering.rows = row.wrapping_sub(original.rows.start);
            numbering.own_variables = count.wrapping_sub(original.variables.start);
            numbering.own = original.variables.clone();
            count += original.variables.end - original.variables.start;
            for &scope in &original.scopes {
                for binding in facts.bindings_of(scope) {
                    numbering.own_cells.insert(numbering.cells + binding, count);
                    count += 1;
                }
            }
            for &own in &original.symbols {
                let own = project.symbol(file, own);
                numbering.symbols.push((own, self.copies.first_symbol + symbols.len() as u32));
                symbols.push((own, u32::MAX));
            }
            rows.push((row, file));
            let first = layer.out.ops.len();
            layer.file(file, facts, original.rows.clone(), &numbering, names.entry(file).or_default());
            let copies = layer.out.ops[first..].iter();
            copied_rows.extend(copies.map(|op| first_row + op.row.wrapping_sub(numbering.rows)));
            row += original.rows.end - original.rows.start;
            callees.push((site, count));
            let copy = numbering.symbol(project.symbol(file, symbol));
            let method = project.kind(file, symbol) == SymbolKind::Method;
            let kind = if method { Kind::Bound } else { Kind::Function };
            layer.out.seeds.push((count, Object::new(kind, copy)));
            count += 1;
        }
        let sheet = layer.out;
        (self.count, self.copies.rows, self.copies.symbols) = (count, rows, symbols);
        for (site, callee) in callees {
            self.sheet.ops[site as usize].a = callee;
        }
        self.copies.ops = copied_rows.into_iter().zip(self.sheet.ops.len() as u32..).collect();
        self.copies.ops.sort_unstable();
        self.take(sheet);
    }
}
