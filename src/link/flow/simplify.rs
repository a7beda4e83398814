//! Fewer variables: what nobody reads is left out, and copies of one other are that one.

use super::program::{Program, by_variable};
use crate::model::facts::{FlowOp, ScopeKind, col, table};
use rayon::prelude::*;

/// Rows that are worth a thread.
const MANY: usize = 1 << 14;

impl Program<'_, '_> {
    /// Leaves out what nobody reads, and lets a variable that is a copy of another be that one: offline variable substitution, after
    /// Rountev and Chandra, "Off-line Variable Substitution for Scaling Points-to Analysis", PLDI 2000.
    pub(super) fn simplify(&mut self) {
        let count = self.count as usize;
        // Whether something may flow to a variable other than along the edges that are known now.
        let mut open = vec![false; count];
        let mut read = vec![false; count];
        for body in &self.sheet.bodies {
            let all = body.returned as usize..body.param(body.params.len() as u32) as usize;
            open[all.clone()].fill(true);
            read[all].fill(true);
            body.returns.iter().for_each(|one| read[one.0 as usize] = true);
        }
        for (place, &file) in self.files.iter().enumerate() {
            let Some(facts) = self.project.facts(file) else { continue };
            let first = self.cells[place] as usize;
            for scope in 0..facts.rows(table::Scopes) {
                let kind = ScopeKind::from_u32(facts.get(col::SCO_KIND, scope));
                if matches!(kind, ScopeKind::Module | ScopeKind::Class | ScopeKind::Instance) {
                    for row in facts.bindings_of(scope) {
                        read[first + row as usize] = true;
                        open[first + row as usize] = kind == ScopeKind::Module;
                    }
                }
            }
        }
        for &(variable, _) in &self.sheet.seeds {
            open[variable as usize] = true;
        }
        for op in &self.sheet.ops {
            read[op.a as usize] = true;
            match op.op {
                FlowOp::Store => read[op.out as usize] = true,
                FlowOp::Put => {
                    read[op.out as usize] = true;
                    read[op.b as usize] = true;
                }
                FlowOp::Get | FlowOp::Super | FlowOp::Narrow => read[op.b as usize] = true,
                _ => {}
            }
            if !matches!(op.op, FlowOp::Store | FlowOp::Put) {
                open[op.out as usize] = true;
            }
        }
        for call in &self.sheet.calls {
            read[call.receiver as usize] = true;
        }
        for arg in &self.sheet.args {
            read[arg.value as usize] = true;
        }
        for element in &self.sheet.elements {
            read[element.2 as usize] = true;
        }
        self.leave_out_unread(&mut read);
        self.substitute(&open, &read);
    }

    fn leave_out_unread(&mut self, read: &mut [bool]) {
        let (starts, froms) = by_variable(self.count, self.sheet.edges.iter().map(|edge| (edge[1], edge[0])));
        let mut work: Vec<u32> = (0..self.count).filter(|&at| read[at as usize]).collect();
        while let Some(to) = work.pop() {
            for &from in &froms[starts[to as usize] as usize..starts[to as usize + 1] as usize] {
                if !std::mem::replace(&mut read[from as usize], true) {
                    work.push(from);
                }
            }
        }
        self.sheet.edges.retain(|edge| read[edge[1] as usize]);
        self.sheet.seeds.retain(|seed| read[seed.0 as usize]);
        for op in &mut self.sheet.ops {
            if !matches!(op.op, FlowOp::Store | FlowOp::Put) && !read[op.out as usize] {
                op.out = 0;
            }
        }
    }

    fn substitute(&mut self, open: &[bool], read: &[bool]) {
        // The only source of each variable; its own number where there is none or several.
        let mut sources: Vec<u32> = (0..self.count).collect();
        let mut several = vec![false; self.count as usize];
        for &[from, to] in &self.sheet.edges {
            let source = &mut sources[to as usize];
            if *source == to {
                *source = from;
            } else if *source != from {
                several[to as usize] = true;
            }
        }
        for variable in 0..self.count as usize {
            if open[variable] || several[variable] {
                sources[variable] = variable as u32;
            }
        }
        for variable in 0..self.count {
            // A circle of copies is cut where it closes: nothing ever flows into it.
            let (mut at, mut steps) = (variable, 0);
            while sources[at as usize] != at && steps < self.count {
                at = sources[at as usize];
                steps += 1;
                if at == variable {
                    sources[at as usize] = at;
                }
            }
            let root = at;
            let mut at = variable;
            while sources[at as usize] != root && at != root {
                at = std::mem::replace(&mut sources[at as usize], root);
            }
        }
        // Those that stand for themselves and are read get numbers of their own, in the same order.
        let mut count = 1;
        let mut numbers = vec![0; self.count as usize];
        for variable in 1..self.count as usize {
            if sources[variable] == variable as u32 && read[variable] {
                numbers[variable] = count;
                count += 1;
            }
        }
        sources.iter_mut().for_each(|source| *source = numbers[*source as usize]);
        drop(numbers);
        self.count = count;
        let of = |variable: &mut u32| *variable = sources[*variable as usize];
        self.sheet.edges.par_iter_mut().with_min_len(MANY).for_each(|edge| edge.iter_mut().for_each(of));
        self.sheet.edges.retain(|edge| edge[0] != edge[1] && edge[0] != 0 && edge[1] != 0);
        self.sheet.edges.shrink_to_fit();
        self.sheet.seeds.par_iter_mut().with_min_len(MANY).for_each(|seed| of(&mut seed.0));
        self.sheet.ops.par_iter_mut().with_min_len(MANY).for_each(|op| {
            of(&mut op.out);
            of(&mut op.a);
            if matches!(op.op, FlowOp::Put | FlowOp::Get | FlowOp::Super | FlowOp::Narrow) {
                of(&mut op.b);
            }
        });
        self.sheet.calls.par_iter_mut().with_min_len(MANY).for_each(|call| of(&mut call.receiver));
        self.sheet.args.par_iter_mut().with_min_len(MANY).for_each(|arg| of(&mut arg.value));
        self.sheet.elements.iter_mut().for_each(|element| of(&mut element.2));
        for body in &mut self.sheet.bodies {
            of(&mut body.returned);
            body.returns.iter_mut().for_each(|one| of(&mut one.0));
        }
        // Only cells are asked for by number from now on.
        let project = self.project;
        let rows = |file: u32| project.facts(file).map_or(0, |facts| facts.rows(table::Bindings));
        for (first, &file) in self.cells.iter_mut().zip(&self.files) {
            let cells = *first as usize..(*first + rows(file)) as usize;
            *first = self.sources.len() as u32;
            self.sources.extend_from_slice(&sources[cells]);
        }
    }
}
