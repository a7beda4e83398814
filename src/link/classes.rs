//! The class hierarchy: bases, C3 linearization, subclasses.
//!
//! C3: Barrett et al., "A Monotonic Superclass Linearization for Dylan" (OOPSLA 1996), as Python 2.3 and later
//! have it. Where the bases admit no such order, depth first without repetition is taken.

use super::value::{Context, Value, Values};
use super::{Listed, Lists, Project};
use crate::model::facts::{Facts, ScopeKind, SymbolKind, col, table};
use crate::sys::{Column, Scratch, Table};
use smallvec::SmallVec;
use std::ops::Range;
use std::sync::Arc;

/// File and symbol.
type Class = [u32; 2];

/// Ancestors kept of a class. All orders of a chain of 20,000 classes would take gigabytes; where this many are kept,
/// more may be missing, and the ancestry counts as not wholly known.
const MAX_ANCESTORS: usize = 500;

/// Something outside the project is among the bases or ancestors.
const EXTERNAL: u8 = 1;
/// Something unknown is.
const UNKNOWN: u8 = 2;

/// Bases of a class.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bases {
    classes: SmallVec<[Class; 2]>,
    flags: u8,
}

/// Classes of all files before anything is known of their bases.
pub(crate) struct Found {
    starts: Vec<u32>,
    all: Column<Class>,
    instance: Column<u32>,
}

impl Found {
    pub(crate) fn new(scratch: &Arc<Scratch>) -> Self {
        Self { starts: vec![0], all: Column::new(scratch), instance: Column::new(scratch) }
    }

    /// Appends the classes of the next file.
    pub(crate) fn push(&mut self, file: u32, (symbols, instances): &(Column<u32>, Column<[u32; 2]>)) {
        for &symbol in symbols.runs().into_iter().flatten() {
            self.all.push([file, symbol]);
        }
        let mut instances = instances.runs().into_iter().flatten().peekable();
        for number in 0..symbols.len() as u32 {
            let scope = instances.next_if(|instance| instance[0] == number).map_or(0, |instance| instance[1]);
            self.instance.push(scope);
        }
        self.starts.push(self.all.len() as u32);
    }
}

/// Classes of one file in order, and by number those with a scope of what is set on instances, with this scope +1.
pub(crate) fn of_file(facts: Option<&Facts<'_>>, scratch: &Arc<Scratch>) -> (Column<u32>, Column<[u32; 2]>) {
    let (mut own, mut found) = (Column::new(scratch), Column::new(scratch));
    let Some(facts) = facts else { return (own, Column::new(scratch)) };
    // Classes and their instance scopes both show in Scopes.
    for scope in 0..facts.rows(table::Scopes) {
        let kind = facts.get(col::SCO_KIND, scope);
        if kind == ScopeKind::Class as u32 {
            own.push(facts.get(col::SCO_SYM, scope));
        } else if kind == ScopeKind::Instance as u32 {
            let symbol = facts.get(col::SCO_SYM, scope);
            let at = partition(own.len(), |at| own.get(at) < symbol);
            if at < own.len() && own.get(at) == symbol {
                found.push((at as u64) << 32 | u64::from(scope + 1));
            }
        }
    }
    // Of several scopes of one class the last counts.
    let (found, mut instances) = (found.sorted(), Column::new(scratch));
    for (at, &pair) in found.iter().enumerate() {
        let number = (pair >> 32) as u32;
        if found.get(at + 1).is_none_or(|next| (next >> 32) as u32 != number) {
            instances.push([number, pair as u32]);
        }
    }
    (own, instances)
}

/// How many of `count` rows come before the first that does not.
fn partition(count: usize, before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low.midpoint(high);
        if before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// All classes of the project, numbered by file and symbol.
#[derive(Debug, Default)]
pub(crate) struct Classes {
    /// Number of each file's first class, and one more at the end.
    starts: Vec<u32>,
    pub(crate) all: Table<Class>,
    /// Scope of what is set on instances +1.
    instance: Table<u32>,
    /// The order of each class.
    mro: Listed<Class>,
    /// [`EXTERNAL`] and [`UNKNOWN`], for all ancestors.
    flags: Vec<u8>,
    child_start: Vec<u32>,
    /// Base and subclass, sorted.
    children: Table<u64>,
}

impl Classes {
    pub(crate) fn new(project: &mut Project<'_>, found: Found, scratch: &Arc<Scratch>) -> Self {
        let Found { starts, all, instance } = found;
        let mut classes = Self { starts, all: all.finish(), instance: instance.finish(), ..Self::default() };
        let mut bases = Lists::new(scratch);
        let mut flags = Vec::with_capacity(classes.all.len());
        project.in_order(
            16,
            |project, file| bases_of_file(project, classes.of(file), file),
            |_, _, own: OwnBases| {
                let mut rows = own.rows.runs().into_iter().flatten().peekable();
                for (number, &of_class) in (0..).zip(own.flags.runs().into_iter().flatten()) {
                    while let Some(row) = rows.next_if(|row| row[0] == number) {
                        bases.push_row([row[1], row[2]]);
                    }
                    bases.end();
                    flags.push(of_class);
                }
            },
        );
        let bases = bases.finish();
        classes.linearize(&bases, &flags, scratch);
        classes.index_children(&bases, scratch);
        classes
    }

    fn range(&self, file: u32) -> Option<Range<usize>> {
        let ends = self.starts.get(file as usize..file as usize + 2)?;
        Some(ends[0] as usize..ends[1] as usize)
    }

    /// Classes of a file.
    fn of(&self, file: u32) -> &[Class] {
        self.range(file).map_or(&[], |range| &self.all[range])
    }

    #[inline]
    fn number(&self, file: u32, class: u32) -> Option<u32> {
        let range = self.range(file)?;
        let found = self.all[range.clone()].binary_search_by_key(&class, |entry| entry[1]);
        found.ok().map(|at| (range.start + at) as u32)
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
        if let Some(number) = self.number(file, class) {
            let flags = self.flags[number as usize];
            return then(self.mro.get(number), flags & EXTERNAL != 0, flags & UNKNOWN != 0, cx);
        }
        // While bases are being found: depth first, for nested classes reached through a base.
        let mut order = vec![[file, class]];
        let mut flags = 0;
        let mut at = 0;
        while at < order.len() && order.len() < 64 {
            let [file, class] = order[at];
            at += 1;
            let bases = bases_of(project, file, class, cx, |_| ());
            flags |= bases.flags;
            for base in bases.classes {
                if !order.contains(&base) {
                    order.push(base);
                }
            }
        }
        then(&order, flags & EXTERNAL != 0, flags & UNKNOWN != 0, cx)
    }

    /// The MRO of a class, itself first.
    pub(crate) fn mro(&self, file: u32, class: u32) -> &[Class] {
        self.number(file, class).map_or(&[], |number| self.mro.get(number))
    }

    /// True where it is not known what all ancestors of a class are.
    pub(crate) fn is_unknown(&self, file: u32, class: u32) -> bool {
        self.number(file, class).is_none_or(|number| self.flags[number as usize] & UNKNOWN != 0)
    }

    /// True where something outside or unknown is among the ancestors of a class.
    pub(crate) fn is_derived(&self, file: u32, class: u32) -> bool {
        self.number(file, class).is_none_or(|number| self.flags[number as usize] & (EXTERNAL | UNKNOWN) != 0)
    }

    /// True where `ancestor` is in the MRO of `class`.
    pub(crate) fn is_subclass(&self, class: Class, ancestor: Class) -> bool {
        self.mro(class[0], class[1]).contains(&ancestor)
    }

    /// All classes below a class, in no special order; stops above `limit`.
    pub(crate) fn descendants(&self, file: u32, class: u32, limit: usize) -> Option<Vec<u32>> {
        let mut found: Vec<u32> = Vec::new();
        let mut seen = rustc_hash::FxHashSet::default();
        let Some(number) = self.number(file, class) else { return Some(found) };
        let mut open = vec![number];
        while let Some(number) = open.pop() {
            for &pair in &self.children[self.children_of(number)] {
                let child = pair as u32;
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

    fn children_of(&self, number: u32) -> Range<usize> {
        self.child_start[number as usize] as usize..self.child_start[number as usize + 1] as usize
    }

    /// True where the class has subclasses.
    pub(crate) fn has_children(&self, file: u32, class: u32) -> bool {
        self.number(file, class).is_some_and(|number| !self.children_of(number).is_empty())
    }

    /// Numbers of the bases of a class.
    fn numbers(&self, bases: &Listed<Class>, class: u32) -> SmallVec<[u32; 4]> {
        bases.get(class).iter().filter_map(|&[file, class]| self.number(file, class)).collect()
    }

    /// `flags`: those of each class' own bases.
    fn linearize(&mut self, bases: &Listed<Class>, flags: &[u8], scratch: &Arc<Scratch>) {
        let count = self.all.len();
        let mut orders = Orders { rows: Column::new(scratch), places: vec![[0; 2]; count] };
        let mut active = vec![false; count];
        for root in 0..count as u32 {
            // Depth first with an explicit stack; a circle of bases is cut where it closes.
            let mut stack = vec![root];
            while let Some(&class) = stack.last() {
                if orders.is_done(class) {
                    stack.pop();
                    continue;
                }
                active[class as usize] = true;
                let mut known = self.numbers(bases, class);
                let open = known.iter().find(|&&base| !orders.is_done(base) && !active[base as usize]);
                if let Some(&base) = open {
                    stack.push(base);
                    continue;
                }
                known.retain(|base| orders.is_done(*base));
                let lists: SmallVec<[Vec<u32>; 4]> = known.iter().map(|&base| orders.get(base)).collect();
                let lists: SmallVec<[&[u32]; 4]> = lists.iter().map(Vec::as_slice).collect();
                let order = c3(class, &lists, &known);
                orders.set(class, &order[..order.len().min(MAX_ANCESTORS)]);
                active[class as usize] = false;
                stack.pop();
            }
        }
        self.flags = vec![0; count];
        let mut mro = Lists::new(scratch);
        let mut named = Vec::new();
        for class in 0..count {
            let order = orders.get(class as u32);
            let all = &mut self.flags[class];
            *all |= if order.len() == MAX_ANCESTORS { UNKNOWN } else { 0 };
            named.clear();
            for &member in &order {
                named.push(self.all[member as usize]);
                *all |= flags[member as usize];
            }
            mro.push(&named);
        }
        self.mro = mro.finish();
    }

    fn index_children(&mut self, bases: &Listed<Class>, scratch: &Arc<Scratch>) {
        let mut pairs = Column::new(scratch);
        for class in 0..self.all.len() as u32 {
            for base in self.numbers(bases, class) {
                pairs.push(u64::from(base) << 32 | u64::from(class));
            }
        }
        self.children = pairs.sorted();
        let mut next = 0;
        for class in 0..=self.all.len() as u64 {
            while self.children.get(next).is_some_and(|pair| pair >> 32 < class) {
                next += 1;
            }
            self.child_start.push(next as u32);
        }
    }
}

/// Orders of classes by number, while they are found.
struct Orders {
    rows: Column<u32>,
    /// First row and number of rows of each class; no rows before it is done.
    places: Vec<[u32; 2]>,
}

impl Orders {
    fn is_done(&self, class: u32) -> bool {
        self.places[class as usize][1] > 0
    }

    fn get(&self, class: u32) -> Vec<u32> {
        let [first, count] = self.places[class as usize].map(|number| number as usize);
        let mut order = Vec::with_capacity(count);
        self.rows.copy_into(first..first + count, &mut order);
        order
    }

    fn set(&mut self, class: u32, order: &[u32]) {
        self.places[class as usize] = [self.rows.len() as u32, order.len() as u32];
        self.rows.extend_from_slice(order);
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

/// Bases of the classes of one file.
struct OwnBases {
    /// Number of the class in the file, base.
    rows: Column<[u32; 3]>,
    /// Of each class.
    flags: Column<u8>,
}

/// `own`: the classes of the file.
fn bases_of_file(project: &Project<'_>, own: &[Class], file: u32) -> OwnBases {
    project.touched(file);
    let scratch = &project.scratch;
    let mut all = OwnBases { rows: Column::new(scratch), flags: Column::new(scratch) };
    let facts = project.facts(file).filter(|_| !own.is_empty());
    let mut cx = Context::default();
    if let Some(facts) = facts.filter(|facts| facts.rows(table::Bases) > 0) {
        cx.start(file, facts.rows(table::Refs), scratch);
    }
    for (number, class) in (0..).zip(own) {
        let bases = bases_of(project, file, class[1], &mut cx, Context::refuel);
        bases.classes.iter().for_each(|base| all.rows.push([number, base[0], base[1]]));
        all.flags.push(bases.flags);
    }
    all
}

/// Bases of a class; `before` each. Those of a file stand in the order of its classes.
fn bases_of(
    project: &Project<'_>,
    file: u32,
    class: u32,
    cx: &mut Context,
    before: impl Fn(&mut Context),
) -> Bases {
    let mut bases = Bases::default();
    let Some(facts) = project.facts(file) else { return bases };
    let count = facts.rows(table::Bases);
    let first = partition(count as usize, |row| facts.get(col::BASE_SYM, row as u32) < class) as u32;
    for row in (first..count).take_while(|&row| facts.get(col::BASE_SYM, row) == class) {
        if facts.get(col::BASE_KEYWORD, row) == 0 {
            before(cx);
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
                if !bases.classes.contains(&[file, class]) {
                    bases.classes.push([file, class]);
                }
            }
            Value::ExternalImport(..) | Value::ExternalRef(..) | Value::ExternalTop(..) => {
                bases.flags |= EXTERNAL;
            }
            Value::Builtin(..) | Value::BuiltinRef(..) => {
                // `object` adds nothing; `Exception` and `dict` have methods of their own.
                let object = matches!(value, Value::Builtin(file, row) if project.facts(file).is_some_and(|facts| facts.str(col::REF_NAME, row) == "object"));
                bases.flags |= if object { 0 } else { EXTERNAL };
            }
            Value::Variable(..) => {}
            _ => bases.flags |= UNKNOWN,
        }
    }
}
