//! Functions that return what another function returns of their parameters.

use super::code::Call;
use super::program::Program;
use crate::link::value::Context;
use crate::model::facts::{ArgKind, SymbolKind, symbol_flag, table};
use smallvec::SmallVec;

/// A call whose result a function returns, which gives it parameters of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Relay {
    /// Place in [`Program::bodies`].
    pub(super) body: u32,
    pub(super) op: u32,
    pub(super) file: u32,
    /// Ref of what is called.
    pub(super) callee: u32,
}

impl Program<'_, '_> {
    /// Parameters that a function returns because it returns what another makes of them.
    pub(super) fn find_relayed(&mut self) {
        let (mut cx, mut of) = (Context::default(), u32::MAX);
        // With the function that is called, and the parameter that arguments begin at.
        let relays: Vec<(Relay, u32, u32)> = std::mem::take(&mut self.sheet.relays)
            .into_iter()
            .filter_map(|relay| {
                let facts = self.project.facts(relay.file)?;
                if std::mem::replace(&mut of, relay.file) != relay.file {
                    cx.start(relay.file, facts.rows(table::Refs), &self.project.scratch);
                }
                let (file, symbol) = self.project.only_symbol(relay.file, relay.callee, &mut cx)?;
                let caller = &self.sheet.bodies[relay.body as usize];
                let receiver = self.sheet.calls[self.sheet.ops[relay.op as usize].b as usize].receiver;
                let shift = match self.project.kind(file, symbol) {
                    SymbolKind::Function => 0,
                    // Of `self`.
                    SymbolKind::Method if receiver == caller.param(0) && !caller.params.is_empty() => 1,
                    _ => return None,
                };
                let symbol = self.project.symbol(file, symbol);
                let other = symbol_flag::GENERATOR | symbol_flag::ASYNC | symbol_flag::STATIC;
                self.function(symbol).filter(|one| !one.has(other)).map(|_| (relay, symbol, shift))
            })
            .collect();
        let mut again = true;
        while std::mem::take(&mut again) {
            for &(relay, symbol, shift) in &relays {
                let Some(callee) = self.function(symbol) else { continue };
                let op = self.sheet.ops[relay.op as usize];
                let Call { receiver, first, end, .. } = self.sheet.calls[op.b as usize];
                let args = &self.sheet.args[first as usize..end as usize];
                let caller = &self.sheet.bodies[relay.body as usize];
                let mut found: SmallVec<[(u32, u32); 2]> = SmallVec::new();
                for &place in &callee.passes {
                    let name = callee.params.get(place as usize).map_or(0, |param| param.name);
                    let value = match place.checked_sub(shift) {
                        None => Some(receiver),
                        Some(at) => args
                            .iter()
                            .take_while(|arg| arg.kind == ArgKind::Positional as u32)
                            .nth(at as usize)
                            .or_else(|| {
                                args.iter()
                                    .find(|arg| arg.kind == ArgKind::Keyword as u32 && arg.name == name)
                            })
                            .map(|arg| arg.value),
                    };
                    let own = value.and_then(|value| value.checked_sub(caller.param(0)));
                    if let Some(own) = own.filter(|&own| (own as usize) < caller.params.len()) {
                        found.push((place, own));
                    }
                }
                for (place, own) in found {
                    let relayed = self.relayed.entry((op.row, symbol)).or_default();
                    if !relayed.contains(&place) {
                        relayed.push(place);
                        again = true;
                    }
                    let passes = &mut self.sheet.bodies[relay.body as usize].passes;
                    if !passes.contains(&own) {
                        passes.push(own);
                    }
                }
            }
        }
    }
}
