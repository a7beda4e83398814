//! The class hierarchy: bases, C3 linearization, subclasses.
//!
//! C3: Barrett et al., "A Monotonic Superclass Linearization for Dylan" (OOPSLA 1996), as Python 2.3 and later
//! have it. Where the bases admit no such order, depth first without repetition is taken.

use super::Project;
use super::value::{Context, Value, Values};
use crate::model::facts::{ScopeKind, SymbolKind, col, table};
use rayon::prelude::*;
use smallvec::SmallVec;

type Class = (u32, u32);

/// Ancestors kept of a class. All orders of a chain of 20,000 classes would take gigabytes; where this many are kept,
/// more may be missing, and the ancestry counts as not wholly known.
const MAX_ANCESTORS: usize = 500;

/// Bases of a class.
#[derive(Clone, Debug, Default)]
struct Bases {
    classes: SmallVec<[Class; 2]>,
    external: bool,
    unknown: bool,
}

/// All classes of the project.
#[derive(Debug, Default)]
pub(crate) struct Classes {
    /// By file: (class symbol, number) in order, and instance scopes.
    by_file: Vec<Vec<(u32, u32)>>,
    instance: Vec<u32>,
    pub(crate) all: Vec<Class>,
    bases: Vec<Bases>,
    mro_start: Vec<u32>,
    mro: Vec<Class>,
    /// Something outside the project, or unknown, is among the ancestors.
    external: Vec<bool>,
    unknown: Vec<bool>,
    child_start: Vec<u32>,
    children: Vec<u32>,
}

impl Classes {
    pub(crate) fn new(project: &Project<'_>) -> Self {
        let mut classes = Self::default();
        for file in 0..project.files.len() as u32 {
            project.touched(file);
            let mut own = Vec::new();
            if let Some(facts) = project.facts(file) {
                // Classes and their instance scopes both show in Scopes.
                for scope in 0..facts.rows(table::Scopes) {
                    let kind = facts.get(col::SCO_KIND, scope);
                    if kind == ScopeKind::Class as u32 {
                        own.push((facts.get(col::SCO_SYM, scope), classes.all.len() as u32));
                        classes.all.push((file, facts.get(col::SCO_SYM, scope)));
                        classes.instance.push(0);
                    } else if kind == ScopeKind::Instance as u32 {
                        let symbol = facts.get(col::SCO_SYM, scope);
                        if let Ok(at) = own.binary_search_by_key(&symbol, |class| class.0) {
                            classes.instance[own[at].1 as usize] = scope + 1;
                        }
                    }
                }
            }
            classes.by_file.push(own);
        }
        let bases: Vec<Vec<Bases>> = (0..project.files.len() as u32)
            .into_par_iter()
            .with_min_len(16)
            .map(|file| {
                project.touched(file);
                bases_of_file(project, &classes, file)
            })
            .collect();
        classes.bases = bases.into_iter().flatten().collect();
        classes.linearize();
        classes.index_children();
        classes
    }

    fn number(&self, file: u32, class: u32) -> Option<u32> {
        let own = self.by_file.get(file as usize)?;
        own.binary_search_by_key(&class, |entry| entry.0).ok().map(|at| own[at].1)
    }

    /// Scope of the attributes set on instances of the class.
    pub(crate) fn instance_scope(&self, project: &Project<'_>, file: u32, class: u32) -> Option<u32> {
        match self.number(file, class) {
            Some(number) => self.instance[number as usize].checked_sub(1),
            // While the hierarchy is being built.
            None => {
                let facts = project.facts(file)?;
                let instance = ScopeKind::Instance as u32;
                (0..facts.rows(table::Scopes)).find(|&scope| {
                    facts.get(col::SCO_KIND, scope) == instance && facts.get(col::SCO_SYM, scope) == class
                })
            }
        }
    }

    /// Calls `then` with the MRO of the class, and whether something outside or unknown is among its ancestors.
    pub(crate) fn with_mro<R>(
        &self,
        project: &Project<'_>,
        file: u32,
        class: u32,
        cx: &mut Context,
        then: impl FnOnce(&[Class], bool, bool, &mut Context) -> R,
    ) -> R {
        if !self.mro_start.is_empty()
            && let Some(number) = self.number(file, class)
        {
            let number = number as usize;
            let mro = &self.mro[self.mro_start[number] as usize..self.mro_start[number + 1] as usize];
            return then(mro, self.external[number], self.unknown[number], cx);
        }
        // While bases are being found: depth first, for nested classes reached through a base.
        let mut order = vec![(file, class)];
        let (mut external, mut unknown) = (false, false);
        let mut at = 0;
        while at < order.len() && order.len() < 64 {
            let (file, class) = order[at];
            at += 1;
            let bases = bases_of(project, file, class, cx);
            external |= bases.external;
            unknown |= bases.unknown;
            for base in bases.classes {
                if !order.contains(&base) {
                    order.push(base);
                }
            }
        }
        then(&order, external, unknown, cx)
    }

    /// The MRO of a class, itself first.
    pub(crate) fn mro(&self, file: u32, class: u32) -> &[Class] {
        self.number(file, class).map_or(&[], |number| {
            &self.mro[self.mro_start[number as usize] as usize..self.mro_start[number as usize + 1] as usize]
        })
    }

    /// True where `ancestor` is in the MRO of `class`.
    pub(crate) fn is_subclass(&self, class: Class, ancestor: Class) -> bool {
        self.mro(class.0, class.1).contains(&ancestor)
    }

    /// All classes below a class, in no special order; stops above `limit`.
    pub(crate) fn descendants(&self, file: u32, class: u32, limit: usize) -> Option<Vec<u32>> {
        let mut found: Vec<u32> = Vec::new();
        let mut seen = rustc_hash::FxHashSet::default();
        let Some(number) = self.number(file, class) else { return Some(found) };
        let mut open = vec![number];
        while let Some(number) = open.pop() {
            let range =
                self.child_start[number as usize] as usize..self.child_start[number as usize + 1] as usize;
            for &child in &self.children[range] {
                if seen.insert(child) {
                    if found.len() >= limit {
                        return None;
                    }
                    found.push(child);
                    open.push(child);
                }
            }
        }
        Some(found)
    }

    /// True where the class has subclasses.
    pub(crate) fn has_children(&self, file: u32, class: u32) -> bool {
        self.number(file, class)
            .is_some_and(|number| self.child_start[number as usize] < self.child_start[number as usize + 1])
    }

    fn linearize(&mut self) {
        let count = self.all.len();
        let mut orders: Vec<Option<Box<[u32]>>> = vec![None; count];
        let mut active = vec![false; count];
        let numbers: Vec<SmallVec<[u32; 2]>> = self
            .bases
            .iter()
            .map(|bases| bases.classes.iter().filter_map(|&(file, class)| self.number(file, class)).collect())
            .collect();
        for root in 0..count as u32 {
            // Depth first with an explicit stack; a circle of bases is cut where it closes.
            let mut stack = vec![root];
            while let Some(&class) = stack.last() {
                if orders[class as usize].is_some() {
                    stack.pop();
                    continue;
                }
                active[class as usize] = true;
                let open = numbers[class as usize]
                    .iter()
                    .find(|&&base| orders[base as usize].is_none() && !active[base as usize]);
                if let Some(&base) = open {
                    stack.push(base);
                    continue;
                }
                let lists: SmallVec<[&[u32]; 4]> = numbers[class as usize]
                    .iter()
                    .filter_map(|&base| orders[base as usize].as_deref())
                    .collect();
                let known: SmallVec<[u32; 4]> = numbers[class as usize]
                    .iter()
                    .copied()
                    .filter(|&base| orders[base as usize].is_some())
                    .collect();
                let mut order = c3(class, &lists, &known);
                if order.len() > MAX_ANCESTORS {
                    order = order[..MAX_ANCESTORS].into();
                }
                drop(lists);
                orders[class as usize] = Some(order);
                active[class as usize] = false;
                stack.pop();
            }
        }
        self.external = vec![false; count];
        self.unknown = vec![false; count];
        for (class, order) in orders.iter().enumerate() {
            self.mro_start.push(self.mro.len() as u32);
            self.unknown[class] |= order.as_ref().is_some_and(|order| order.len() == MAX_ANCESTORS);
            for &member in order.as_deref().unwrap_or(&[class as u32]) {
                self.mro.push(self.all[member as usize]);
                self.external[class] |= self.bases[member as usize].external;
                self.unknown[class] |= self.bases[member as usize].unknown;
            }
        }
        self.mro_start.push(self.mro.len() as u32);
    }

    fn index_children(&mut self) {
        let mut pairs: Vec<(u32, u32)> = Vec::new();
        for (class, bases) in self.bases.iter().enumerate() {
            for &(file, base) in &bases.classes {
                if let Some(number) = self.number(file, base) {
                    pairs.push((number, class as u32));
                }
            }
        }
        pairs.sort_unstable();
        let mut next = 0;
        for class in 0..=self.all.len() as u32 {
            while next < pairs.len() && pairs[next].0 < class {
                next += 1;
            }
            self.child_start.push(next as u32);
        }
        self.children = pairs.into_iter().map(|pair| pair.1).collect();
    }
}

/// C3 merge of the bases' orders; depth first where there is none.
fn c3(class: u32, lists: &[&[u32]], bases: &[u32]) -> Box<[u32]> {
    let mut order = vec![class];
    if let [single] = lists {
        order.extend(single.iter().filter(|&&member| member != class));
        return order.into_boxed_slice();
    }
    let mut heads: SmallVec<[&[u32]; 6]> = lists.iter().copied().collect();
    heads.push(bases);
    loop {
        heads.retain(|list| !list.is_empty());
        if heads.is_empty() {
            return order.into_boxed_slice();
        }
        let good =
            heads.iter().map(|list| list[0]).find(|head| !heads.iter().any(|list| list[1..].contains(head)));
        let Some(good) = good else { break };
        order.push(good);
        for list in &mut heads {
            if list[0] == good {
                *list = &list[1..];
            }
        }
    }
    order.truncate(1);
    for &member in lists.iter().flat_map(|list| list.iter()) {
        if !order.contains(&member) {
            order.push(member);
        }
    }
    order.into_boxed_slice()
}

fn bases_of_file(project: &Project<'_>, classes: &Classes, file: u32) -> Vec<Bases> {
    let own = &classes.by_file[file as usize];
    let mut all = vec![Bases::default(); own.len()];
    let Some(facts) = project.facts(file) else { return all };
    let mut cx = Context::default();
    cx.start(file, facts.rows(table::Refs));
    for row in 0..facts.rows(table::Bases) {
        if facts.get(col::BASE_KEYWORD, row) == 0
            && let Ok(at) = own.binary_search_by_key(&facts.get(col::BASE_SYM, row), |class| class.0)
        {
            cx.refuel();
            add_base(project, file, row, &mut cx, &mut all[at]);
        }
    }
    all
}

fn bases_of(project: &Project<'_>, file: u32, class: u32, cx: &mut Context) -> Bases {
    let mut bases = Bases::default();
    let Some(facts) = project.facts(file) else { return bases };
    for row in 0..facts.rows(table::Bases) {
        if facts.get(col::BASE_SYM, row) == class && facts.get(col::BASE_KEYWORD, row) == 0 {
            add_base(project, file, row, cx, &mut bases);
        }
    }
    bases
}

fn add_base(project: &Project<'_>, file: u32, row: u32, cx: &mut Context, bases: &mut Bases) {
    let Some(facts) = project.facts(file) else { return };
    let mut values = Values::new();
    project.eval(file, facts.get(col::BASE_REF, row), cx, &mut values);
    for value in values {
        match value {
            Value::Symbol(file, class) if project.kind(file, class) == SymbolKind::Class => {
                if !bases.classes.contains(&(file, class)) {
                    bases.classes.push((file, class));
                }
            }
            Value::ExternalImport(..) | Value::ExternalRef(..) | Value::ExternalTop(..) => {
                bases.external = true
            }
            Value::Builtin(..) | Value::BuiltinRef(..) => {
                // `object` adds nothing; `Exception` and `dict` have methods of their own.
                let object = matches!(value, Value::Builtin(file, row) if project.facts(file).is_some_and(|facts| facts.str(col::REF_NAME, row) == "object"));
                bases.external |= !object;
            }
            Value::Variable(..) => {}
            _ => bases.unknown = true,
        }
    }
}
