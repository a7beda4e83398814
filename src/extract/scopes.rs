//! Which scope binds a name, as seen from far within: where hundreds of scopes lie within each other, walking outwards once a name
//! would take the square of their number.

use super::builder::Scope;
use crate::model::facts::ScopeKind;

/// Where one name is bound, for scopes outside of the nearest function: class bodies are not seen from there.
#[derive(Debug, Default)]
pub(super) struct Far {
    /// Place of each scope in the order in which they lie within each other.
    places: Vec<u32>,
    /// By name and place from which on it counts: the binding row +1 that is seen, 0 for none.
    changes: Vec<(u32, u32, u32)>,
}

impl Far {
    /// `bound`: scope, name and row +1 of what a look at that scope finds.
    pub(super) fn new(scopes: &[Scope], bound: &[(u32, u32, u32)]) -> Self {
        // A scope may be opened after one that it does not lie in, so numbers alone do not tell.
        let mut sizes = vec![1_u32; scopes.len()];
        for scope in (1..scopes.len()).rev() {
            if let Some(parent) = scopes[scope].parent.checked_sub(1) {
                sizes[parent as usize] += sizes[scope];
            }
        }
        let mut places = vec![0_u32; scopes.len()];
        let mut next = vec![1_u32; scopes.len()];
        for scope in 1..scopes.len() {
            let parent = scopes[scope].parent.saturating_sub(1) as usize;
            places[scope] = next[parent];
            next[scope] = places[scope] + 1;
            next[parent] += sizes[scope];
        }
        let mut seen: Vec<(u32, u32, u32, u32)> = bound
            .iter()
            .filter(|entry| !matches!(scopes[entry.0 as usize].kind, ScopeKind::Class | ScopeKind::Instance))
            .map(|&(scope, name, row)| {
                let place = places[scope as usize];
                (name, place, place + sizes[scope as usize], row)
            })
            .collect();
        seen.sort_unstable();
        let mut changes = Vec::with_capacity(2 * seen.len());
        // The bindings of one name around the last place: where each ends, and its row.
        let mut open: Vec<(u32, u32)> = Vec::new();
        let mut last = 0;
        let close = |open: &mut Vec<(u32, u32)>, changes: &mut Vec<(u32, u32, u32)>, name, until| {
            while let Some(&(end, _)) = open.last().filter(|(end, _)| *end <= until) {
                open.pop();
                changes.push((name, end, open.last().map_or(0, |outer| outer.1)));
            }
        };
        for (name, place, end, row) in seen {
            if name != last {
                close(&mut open, &mut changes, last, u32::MAX);
                last = name;
            }
            close(&mut open, &mut changes, name, place);
            changes.push((name, place, row));
            open.push((end, row));
        }
        close(&mut open, &mut changes, last, u32::MAX);
        Self { places, changes }
    }

    /// The row +1 that `scope` sees under `name`; 0 where there is none.
    pub(super) fn find(&self, scope: u32, name: u32) -> u32 {
        let place = self.places[scope as usize];
        // Of several changes at one place the last one counts.
        let after = self.changes.partition_point(|change| (change.0, change.1) <= (name, place));
        match after.checked_sub(1).map(|at| self.changes[at]) {
            Some((found, _, row)) if found == name => row,
            _ => 0,
        }
    }
}
