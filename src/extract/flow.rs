//! Constraints of the value flow: which values a piece of code moves where.
//!
//! Within a body names are followed in the order of evaluation: each assignment makes a new variable, branches are joined, a loop's
//! head has a variable of its own for whatever is read in it (on-the-fly SSA construction: Braun et al., "Simple and Efficient
//! Construction of Static Single Assignment Form", CC 2013, without its removal of trivial joins). Names of other bodies, and all within
//! comprehensions, are read wherever they are assigned.
//!
//! A text never has to be looked at twice, so that one that comes in pieces gives the same rows.

use super::builder::{Extractor, Pass};
use crate::model::facts::{ArgKind, Container, FlowOp, ITEMS, PROTOCOL, RefKind, col, given, is_data};
use crate::model::name;
use ruff_python_ast::{self as ast, Expr};
use ruff_text_size::Ranged as _;
use rustc_hash::FxHashMap;

/// Set in a version that is no assignment's own, but all that are assigned anywhere.
const ANYWHERE: u32 = 1 << 31;

/// Elements of a container literal that keep their place.
const PLACES: u32 = 64;

/// Bytes of a string above which it is no constant.
const CONSTANT: usize = 64;

/// Bytes of the source of a string above which it is not looked at.
const LITERAL: u32 = 256;

/// Anything but nothing.
const SOMETHING: u32 = given::CALLABLE | given::OTHER;

/// Values that a body returns, above which it is not told when it returns which.
const RETURNS: usize = 8;

/// What a name stands for: the body that this was found in, and the variable.
type Version = (u32, u32);

/// What is read next of a dictionary literal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Item {
    #[default]
    Key,
    Value,
    Unpacked,
}

/// A loop or a `try` that is open.
#[derive(Debug)]
struct Loop {
    /// Variables from here on were made in it.
    first: u32,
    body: u32,
    scope: u32,
    /// Names that were read before they were assigned in it, the variable of the head, and what they stood for.
    heads: Vec<(u32, u32, u32)>,
    /// Everything that was assigned in it.
    defined: Vec<(u32, u32)>,
}

/// A place to go back to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    epoch: u32,
    at: usize,
}

/// Branches that come together again.
#[derive(Debug)]
pub(super) struct Fork {
    mark: Mark,
    ends: Vec<Vec<(u32, u32)>>,
}

/// What is known of how parameters of a body were given: conditions of [`FlowOp::Return`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Given([u32; 2]);

impl Given {
    /// Kinds of what may have been given for parameter number `place`.
    fn of(self, place: u32) -> u32 {
        let known = self.0.into_iter().filter(|&condition| condition != 0).map(given::parts);
        known.filter(|known| known.0 == place).fold(given::ANY, |kinds, known| kinds & known.1)
    }

    /// Something of `kinds` was given for parameter number `place`. A third parameter is left out.
    fn add(&mut self, place: u32, kinds: u32) {
        let kinds = self.of(place) & kinds;
        let known = |condition: &&mut u32| **condition == 0 || given::parts(**condition).0 == place;
        if let Some(condition) = self.0.iter_mut().find(known) {
            *condition = given::condition(place, kinds);
        }
    }
}

/// Branches of an `if`.
#[derive(Debug)]
pub(super) struct Branches {
    fork: Fork,
    /// One of them is taken in any case.
    pub(super) all: bool,
    /// What is known where none of the branches so far was taken.
    rest: Given,
    /// What is known behind each branch that has an end.
    ends: u32,
    end: Given,
}

/// What is around a body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around {
    body: u32,
    scope: u32,
    returned: u32,
    params: u32,
    dead: bool,
    literals: [u32; 3],
    mark: Mark,
    given: Given,
    required: u64,
    returns: usize,
}

/// A dictionary literal whose items may be replaced as long as nobody read it.
#[derive(Debug, Default)]
struct Literal {
    /// Variable of the name that it was assigned to; 0 before.
    version: u32,
    container: u32,
    epoch: u32,
    /// Constraints from here on came after it.
    rows: u32,
    /// Constant keys, and the constraint that puts their values.
    items: Vec<(Constant, u32)>,
}

/// A key of a dictionary that is a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Constant {
    Text(u32),
    Number(u32),
}

/// State of one file.
#[derive(Debug, Default)]
pub(super) struct Flow {
    next: u32,
    /// The variable of the last expression; 0 for an unknown value.
    pub(super) value: u32,
    /// The object whose attribute that is, and the attribute's ref.
    receiver: (u32, u32),
    versions: Vec<Version>,
    log: Vec<(u32, Version)>,
    epoch: u32,
    body: u32,
    bodies: u32,
    /// The scope whose names assignments bind.
    scope: u32,
    returned: u32,
    params: u32,
    /// What is known of the parameters of the body at hand.
    pub(super) given: Given,
    /// Those of the first 64 that have no default.
    pub(super) required: u64,
    /// What bodies that are open return, of each up to [`RETURNS`] and one, and from where on those are of the body at hand.
    returns: Vec<(u32, Given)>,
    own_returns: usize,
    /// Names that tests have refined, what they stood for, and what they stand for since.
    pub(super) refined: Vec<(u32, Version, u32)>,
    loops: Vec<Loop>,
    /// What comes next is not reached.
    pub(super) dead: bool,
    arguments: Vec<(u32, u32, u32)>,
    pub(super) item: Item,
    literal: Literal,
    /// Literals that we stand in, one in another.
    pub(super) literals: u32,
    /// Above 0 where constants are of no use: operands, elements of elements.
    pub(super) plain: u32,
    /// Above 0 where numbers are of no use: elements.
    pub(super) uncounted: u32,
    pub(super) line: u32,
    /// Defaults and annotations of the parameters of the function that is next.
    pub(super) pending: Vec<[u32; 2]>,
    /// Variables that hold the class of a parameter, or an instance that was made of it, with the variable of the parameter.
    made_of: FxHashMap<u32, (Made, u32)>,
    /// Variables that hold a text of which the beginning or the end is known: with a `*` between.
    patterns: FxHashMap<u32, Box<str>>,
}

/// What was made of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Made {
    /// Its class.
    Class,
    /// An instance of the class that it is.
    Instance,
    /// An instance of its class.
    Sibling,
    /// Another name for it.
    Same,
}

impl Flow {
    pub(super) fn clear(&mut self) {
        *self = Self {
            next: 1,
            bodies: 1,
            body: 1,
            versions: std::mem::take(&mut self.versions),
            log: std::mem::take(&mut self.log),
            arguments: std::mem::take(&mut self.arguments),
            returns: std::mem::take(&mut self.returns),
            ..Self::default()
        };
        self.versions.clear();
        self.log.clear();
        self.arguments.clear();
        self.returns.clear();
    }

    /// Steps out of all literals, into a body or arguments.
    pub(super) fn leave_literals(&mut self) -> [u32; 3] {
        let here = [self.literals, self.plain, self.uncounted];
        (self.literals, self.plain, self.uncounted) = (0, 0, 0);
        here
    }

    /// Goes back to where [`Self::leave_literals`] was called.
    pub(super) const fn enter_literals(&mut self, [literals, plain, uncounted]: [u32; 3]) {
        (self.literals, self.plain, self.uncounted) = (literals, plain, uncounted);
    }

    /// Number of variables.
    pub(super) const fn variables(&self) -> u32 {
        self.next
    }

    #[inline]
    fn fresh(&mut self) -> u32 {
        self.next += 1;
        self.next - 1
    }

    fn version(&self, at: usize) -> Version {
        self.versions.get(at).copied().unwrap_or_default()
    }

    fn set(&mut self, name: u32, at: usize, version: Version) {
        if at == usize::MAX {
            return;
        }
        if self.versions.len() <= at {
            self.versions.resize(at + 1, (0, 0));
        }
        self.log.push((name, std::mem::replace(&mut self.versions[at], version)));
    }

    fn mark(&self) -> Mark {
        Mark { epoch: self.epoch, at: self.log.len() }
    }

    fn at(&self, mark: Mark) -> usize {
        if mark.epoch == self.epoch { mark.at } else { 0 }
    }
}

impl Extractor {
    /// Where the version of a name is kept; nowhere for a number from before an epoch's end.
    fn place(&self, name: u32) -> usize {
        match name.checked_sub(self.names.base()) {
            _ if name == 0 => 0,
            Some(at) => at as usize + 1,
            None => usize::MAX,
        }
    }

    #[inline]
    fn emit(&mut self, op: FlowOp, out: u32, a: u32, b: u32) -> u32 {
        self.out.push(col::FLOW_OP, op as u32);
        self.out.push(col::FLOW_OUT, out);
        self.out.push(col::FLOW_A, a);
        self.out.push(col::FLOW_B, b);
        self.out.push(col::FLOW_LINE, self.flow.line);
        out
    }

    /// A row that defines a new variable.
    #[inline]
    pub(super) fn made(&mut self, op: FlowOp, a: u32, b: u32) -> u32 {
        let out = self.flow.fresh();
        self.emit(op, out, a, b)
    }

    pub(super) fn flow_name(&mut self, name: u32) -> u32 {
        self.out.push(col::FLOW_NAME, name);
        self.out.len(col::FLOW_NAME) as u32 - 1
    }

    /// A variable that holds what all of these do.
    fn joined(&mut self, values: &mut Vec<u32>) -> u32 {
        values.retain(|&value| value != 0);
        values.sort_unstable();
        values.dedup();
        match values[..] {
            [] => 0,
            [single] => single,
            _ => {
                let out = self.flow.fresh();
                for &value in &*values {
                    self.emit(FlowOp::Copy, out, value, 0);
                }
                out
            }
        }
    }

    /// To be called before names get other numbers.
    pub(super) fn end_flow_epoch(&mut self) {
        let heads: Vec<(u32, u32, u32)> = self
            .flow
            .loops
            .iter_mut()
            .flat_map(|around| {
                around.defined.clear();
                let scope = around.scope;
                around.heads.drain(..).map(move |(name, head, _)| (scope, name, head))
            })
            .collect();
        for (scope, name, head) in heads {
            let here = std::mem::replace(&mut self.scope, scope);
            let row = self.cons_at(RefKind::Name, scope, name, self.flow.line);
            self.scope = here;
            self.emit(FlowOp::Name, head, row, 0);
        }
        self.flow.versions.clear();
        self.flow.log.clear();
        self.flow.patterns.clear();
        self.flow.made_of.clear();
        self.flow.epoch += 1;
    }

    /// The value of name `name`, whose ref is `row`.
    pub(super) fn flow_read(&mut self, row: u32, name: u32) -> u32 {
        if self.scope != self.flow.scope {
            return self.made(FlowOp::Name, row, 0);
        }
        let at = self.place(name);
        let (body, mut value) = self.flow.version(at);
        if body == self.flow.body && value == u32::MAX {
            return self.made(FlowOp::Name, row, 0);
        }
        if body != self.flow.body || value == 0 {
            let value = self.made(FlowOp::Name, row, 0);
            self.flow.set(name, at, (self.flow.body, value | ANYWHERE));
            return value;
        }
        if value & ANYWHERE != 0 {
            return value & !ANYWHERE;
        }
        for number in 0..self.flow.loops.len() {
            let around = &self.flow.loops[number];
            if around.body == body && value < around.first {
                let head = self.made(FlowOp::Copy, value, 0);
                self.flow.loops[number].heads.push((name, head, value));
                // Not in the log: it is as if it had been there when the loop began.
                self.flow.versions[at].1 = head;
                value = head;
            }
        }
        value
    }

    /// Assigns `value` to `name` in the current scope.
    pub(super) fn flow_define(&mut self, name: u32, value: u32, start: u32) {
        let at = self.place(name);
        let (body, version) = self.flow.version(at);
        let outside = body == self.flow.body && version == u32::MAX;
        if self.scope != self.flow.scope || outside {
            let row = self.cons(RefKind::Name, self.scope, name, start);
            if value != 0 {
                self.emit(FlowOp::Assign, 0, row, value);
            }
            return;
        }
        let text = self.flow_name(name);
        let out = self.made(FlowOp::Define, text, value);
        self.same_origin(value, out);
        self.flow.set(name, at, (self.flow.body, out));
        if let Some(around) = self.flow.loops.last_mut() {
            around.defined.push((name, out));
        }
    }

    /// The scope says `global` or `nonlocal` of `name`.
    pub(super) fn flow_declare(&mut self, name: u32) {
        let at = self.place(name);
        self.flow.set(name, at, (self.flow.body, u32::MAX));
    }

    fn undo(&mut self, mark: Mark) {
        let end = self.flow.at(mark);
        while self.flow.log.len() > end {
            let Some((name, version)) = self.flow.log.pop() else { break };
            let at = self.place(name);
            self.flow.versions[at] = version;
        }
    }

    /// Names that stand for something else than at `mark`, in the order in which they first changed: their numbers say nothing, for they
    /// differ where a text is worked on out of core.
    fn changes(&self, mark: Mark) -> Vec<(u32, u32)> {
        let mut names: Vec<(u32, u32)> =
            self.flow.log[self.flow.at(mark)..].iter().zip(0..).map(|(&(name, _), at)| (name, at)).collect();
        names.sort_unstable();
        names.dedup_by_key(|entry| entry.0);
        names.sort_unstable_by_key(|entry| entry.1);
        let own = |name: u32| {
            let (body, value) = self.flow.version(self.place(name));
            if body != self.flow.body || value & ANYWHERE != 0 { 0 } else { value }
        };
        names.into_iter().map(|(name, _)| (name, own(name))).collect()
    }

    pub(super) fn fork(&mut self) -> Fork {
        self.flow.literal.version = 0;
        Fork { mark: self.flow.mark(), ends: Vec::new() }
    }

    /// Branches that began at `mark`.
    pub(super) fn fork_at(&self, mark: Mark) -> Fork {
        Fork { mark, ends: Vec::new() }
    }

    /// A `try` ends, its `finally` aside.
    pub(super) fn try_end(&mut self) {
        if let Some(around) = self.flow.loops.pop()
            && let Some(outer) = self.flow.loops.last_mut()
            && outer.body == around.body
        {
            outer.defined.extend(around.defined);
        }
    }

    /// A branch ends.
    pub(super) fn fork_next(&mut self, fork: &mut Fork) {
        if fork.mark.epoch != self.flow.epoch {
            fork.ends.clear();
            fork.mark = Mark { epoch: self.flow.epoch, at: 0 };
        }
        if !std::mem::take(&mut self.flow.dead) {
            let changes = self.changes(fork.mark);
            fork.ends.push(changes);
        }
        self.undo(fork.mark);
    }

    /// All branches have ended; `all`: one of them is taken in any case.
    pub(super) fn fork_join(&mut self, mut fork: Fork, all: bool) {
        if !all {
            fork.ends.push(Vec::new());
        }
        if fork.ends.is_empty() {
            self.flow.dead = true;
            return;
        }
        if fork.mark.epoch != self.flow.epoch {
            return;
        }
        // Name, branch, value, and the order in which they came.
        let mut changes: Vec<(u32, u32, u32, u32)> = Vec::new();
        for (end, branch) in fork.ends.iter().zip(0..) {
            for &(name, value) in end {
                changes.push((name, branch, value, changes.len() as u32));
            }
        }
        changes.sort_unstable();
        let mut groups: Vec<&[(u32, u32, u32, u32)]> =
            changes.chunk_by(|one, other| one.0 == other.0).collect();
        groups.sort_unstable_by_key(|group| group.iter().map(|change| change.3).min());
        let mut values = Vec::new();
        for group in groups {
            let name = group[0].0;
            let at = self.place(name);
            let (body, before) = self.flow.version(at);
            let before = if body != self.flow.body || before & ANYWHERE != 0 { 0 } else { before };
            values.clear();
            values.extend(group.iter().map(|change| change.2));
            if group.len() < fork.ends.len() {
                values.push(before);
            }
            let known = !values.contains(&0);
            let value = if known { self.joined(&mut values) } else { 0 };
            if value == 0 && (body, before) == (self.flow.body, 0) {
                continue;
            }
            self.flow.set(name, at, if value == 0 { (0, 0) } else { (self.flow.body, value) });
        }
    }

    /// A loop begins; with `heads` false a `try`, which goes back nowhere.
    pub(super) fn loop_begin(&mut self, heads: bool) -> Mark {
        let flow = &mut self.flow;
        flow.literal.version = 0;
        let first = if heads { flow.next } else { 0 };
        flow.loops.push(Loop {
            first,
            body: flow.body,
            scope: flow.scope,
            heads: Vec::new(),
            defined: Vec::new(),
        });
        flow.mark()
    }

    /// What was assigned in the innermost loop or `try` so far, by name.
    fn defined(&self) -> Vec<(u32, u32)> {
        let mut defined = self.flow.loops.last().map_or_else(Vec::new, |around| around.defined.clone());
        defined.sort_unstable();
        defined.dedup();
        defined
    }

    /// From here on names may stand for anything that they were assigned since `mark`, or for what they were then.
    fn anything_since(&mut self, mark: Mark, defined: &[(u32, u32)]) {
        self.undo(mark);
        let mut values = Vec::new();
        let mut groups: Vec<&[(u32, u32)]> = defined.chunk_by(|one, other| one.0 == other.0).collect();
        groups.sort_unstable_by_key(|group| group[0].1);
        for group in groups {
            let name = group[0].0;
            let at = self.place(name);
            let (body, before) = self.flow.version(at);
            if body != self.flow.body || before & ANYWHERE != 0 || before == 0 {
                self.flow.set(name, at, (0, 0));
                continue;
            }
            values.clear();
            values.push(before);
            values.extend(group.iter().map(|entry| entry.1));
            let value = self.joined(&mut values);
            self.flow.set(name, at, (self.flow.body, value));
        }
    }

    pub(super) fn loop_end(&mut self, mark: Mark) {
        let defined = self.defined();
        let Some(around) = self.flow.loops.pop() else { return };
        for &(name, head, _) in &around.heads {
            let start = defined.partition_point(|entry| entry.0 < name);
            for &(_, value) in defined[start..].iter().take_while(|entry| entry.0 == name) {
                self.emit(FlowOp::Copy, head, value, 0);
            }
        }
        self.anything_since(mark, &defined);
        for &(name, head, before) in &around.heads {
            // What was not assigned is what it was.
            let at = self.place(name);
            if self.flow.version(at) == (around.body, head)
                && defined.binary_search_by_key(&name, |entry| entry.0).is_err()
            {
                self.flow.versions[at].1 = before;
            }
        }
        self.flow.dead = false;
        if let Some(outer) = self.flow.loops.last_mut()
            && outer.body == around.body
        {
            outer.defined.extend(defined);
        }
    }

    /// The handlers of a `try` begin, whose body is behind: gives how that ended, and where handlers begin.
    pub(super) fn handlers_begin(&mut self, mark: Mark) -> (Option<Vec<(u32, u32)>>, Mark) {
        let ended = (!std::mem::take(&mut self.flow.dead)).then(|| self.changes(mark));
        let defined = self.defined();
        self.anything_since(mark, &defined);
        (ended, self.flow.mark())
    }

    /// Goes back to `mark`, where a handler began, and gives how it ended; changes count from `start`.
    pub(super) fn handler_end(&mut self, start: Mark, mark: Mark, fork: &mut Fork) {
        if fork.mark.epoch != self.flow.epoch {
            fork.ends.clear();
            fork.mark = Mark { epoch: self.flow.epoch, at: 0 };
        }
        if !std::mem::take(&mut self.flow.dead) {
            let changes = self.changes(start);
            fork.ends.push(changes);
        }
        self.undo(mark);
    }

    /// The body of a `try` went to its end: its `else` begins.
    pub(super) fn orelse_begin(&mut self, start: Mark, ended: Option<Vec<(u32, u32)>>) {
        self.undo(start);
        match ended {
            None => self.flow.dead = true,
            Some(changes) if start.epoch == self.flow.epoch => {
                for (name, value) in changes {
                    let at = self.place(name);
                    self.flow.set(name, at, if value == 0 { (0, 0) } else { (self.flow.body, value) });
                }
            }
            Some(_) => {}
        }
    }

    /// A body begins. The caller restores what is around it.
    pub(super) fn body_begin(&mut self, op: FlowOp, row: u32, scope: u32, first: u32, params: u32) -> Around {
        let flow = &mut self.flow;
        let around = Around {
            body: flow.body,
            scope: flow.scope,
            returned: flow.returned,
            params: flow.params,
            dead: flow.dead,
            literals: flow.leave_literals(),
            mark: flow.mark(),
            given: std::mem::take(&mut flow.given),
            required: std::mem::take(&mut flow.required),
            returns: std::mem::replace(&mut flow.own_returns, flow.returns.len()),
        };
        flow.literal.version = 0;
        flow.bodies += 1;
        flow.body = flow.bodies;
        flow.scope = scope;
        flow.dead = false;
        if op == FlowOp::Enter {
            flow.returned = flow.next;
            flow.params = params;
            flow.next += 2 + params;
            let out = flow.returned;
            self.emit(op, out, row, first);
        } else {
            self.emit(op, 0, row, 0);
        }
        around
    }

    /// Variable of parameter number `at` of the body that we stand in.
    pub(super) const fn parameter(&self, at: u32) -> u32 {
        self.flow.returned + 2 + at
    }

    pub(super) fn body_end(&mut self, around: Around) {
        let first = self.flow.own_returns;
        let returns = self.flow.returns.len() - first;
        if (1..=RETURNS).contains(&returns)
            && self.flow.returns[first..].iter().any(|one| one.1 != Given::default())
        {
            for at in first..first + returns {
                let (value, Given([one, other])) = self.flow.returns[at];
                self.emit(FlowOp::Return, value, one, other);
            }
        }
        self.flow.returns.truncate(first);
        self.emit(FlowOp::Leave, 0, 0, 0);
        self.undo(around.mark);
        let Around { body, scope, returned, params, dead, literals, .. } = around;
        let flow = &mut self.flow;
        (flow.given, flow.required, flow.own_returns) = (around.given, around.required, around.returns);
        flow.enter_literals(literals);
        (flow.body, flow.scope, flow.returned, flow.params, flow.dead) =
            (body, scope, returned, params, dead);
    }

    /// Parameter number `at`, of name `name`, has its value.
    pub(super) fn flow_parameter(&mut self, at: u32, name: u32, [default, annotated]: [u32; 2]) {
        let value = self.parameter(at);
        for other in [default, annotated] {
            if other != 0 {
                self.emit(FlowOp::Copy, value, other, 0);
            }
        }
        let text = self.flow_name(name);
        self.emit(FlowOp::Define, value, text, value);
        let place = self.place(name);
        self.flow.set(name, place, (self.flow.body, value));
    }

    pub(super) fn flow_return(&mut self, value: u32) {
        let flow = &self.flow;
        if value == 0 || flow.returned == 0 {
            return;
        }
        let first = flow.returned + 2;
        let params = first..first + flow.params;
        if params.contains(&value) {
            self.emit(FlowOp::Pass, value, value - first, 0);
            return;
        }
        match flow.made_of.get(&value) {
            Some(&(made, param)) if params.contains(&param) => {
                let how = match made {
                    Made::Instance => 1,
                    Made::Sibling => 2,
                    Made::Class => 3,
                    Made::Same => 0,
                };
                self.emit(FlowOp::Pass, value, param - first, how);
            }
            _ => {
                let returned = flow.returned;
                self.emit(FlowOp::Copy, returned, value, 0);
            }
        }
        let flow = &mut self.flow;
        if flow.returns.len() - flow.own_returns <= RETURNS {
            flow.returns.push((value, flow.given));
        }
    }

    /// The number of the parameter of the body at hand that `name` stands for here.
    fn parameter_named(&self, name: &str) -> Option<u32> {
        let flow = &self.flow;
        let found = self.names.find(name::hash(name.as_bytes()), name.as_bytes())?;
        let name = self.names.base() + found;
        let (body, value) = flow.version(self.place(name));
        if body != flow.body || self.scope != flow.scope || value & ANYWHERE != 0 || !self.is_parameter(value)
        {
            return None;
        }
        // In a loop it may stand for what comes later.
        let again = flow.loops.iter().any(|around| around.body == body && value < around.first);
        (!again).then(|| value - (flow.returned + 2))
    }

    /// What an argument is: see [`given`]. A parameter that has no default is taken to be something.
    fn kinds(&self, argument: &Expr) -> u32 {
        match argument {
            Expr::NoneLiteral(_) => given::NOTHING,
            Expr::Lambda(_) => given::CALLABLE,
            Expr::StringLiteral(_)
            | Expr::BytesLiteral(_)
            | Expr::FString(_)
            | Expr::NumberLiteral(_)
            | Expr::BooleanLiteral(_)
            | Expr::List(_)
            | Expr::Tuple(_)
            | Expr::Dict(_)
            | Expr::Set(_) => given::OTHER,
            Expr::Attribute(node) if matches!(node.attr.id.as_str(), "__name__" | "__qualname__") => {
                given::OTHER
            }
            Expr::Name(name) => {
                let Some(place) = self.parameter_named(&name.id) else { return given::ANY };
                let required = place < 64 && self.flow.required & (1 << place) != 0;
                let kinds = if required { SOMETHING } else { given::ANY };
                // Where tests contradict each other nothing is said.
                match kinds & self.flow.given.of(place) {
                    0 => given::ANY,
                    kinds => kinds,
                }
            }
            _ => given::ANY,
        }
    }

    /// Adds what `test` says of parameters where it holds, or where it does not.
    fn test_says(&self, test: &Expr, holds: bool, known: &mut Given) {
        let (name, kinds, otherwise) = match test {
            Expr::UnaryOp(node) if node.op == ast::UnaryOp::Not => {
                return self.test_says(&node.operand, !holds, known);
            }
            Expr::BoolOp(node) if (node.op == ast::BoolOp::And) == holds => {
                return node.values.iter().for_each(|value| self.test_says(value, holds, known));
            }
            Expr::Name(name) => (name, SOMETHING, given::NOTHING | given::OTHER),
            Expr::Compare(node) => match (&*node.left, &node.ops[..], &node.comparators[..]) {
                (Expr::Name(name), [ast::CmpOp::Is | ast::CmpOp::Eq], [Expr::NoneLiteral(_)]) => {
                    (name, given::NOTHING, SOMETHING)
                }
                (Expr::Name(name), [ast::CmpOp::IsNot | ast::CmpOp::NotEq], [Expr::NoneLiteral(_)]) => {
                    (name, SOMETHING, given::NOTHING)
                }
                _ => return,
            },
            Expr::Call(call) => match (&*call.func, &call.arguments.args[..]) {
                (Expr::Name(function), [Expr::Name(name)]) if function.id.as_str() == "callable" => {
                    (name, given::CALLABLE, given::NOTHING | given::OTHER)
                }
                (Expr::Name(function), [Expr::Name(name), class])
                    if function.id.as_str() == "isinstance"
                        && matches!(class, Expr::Name(class) if is_data(&class.id)) =>
                {
                    (name, given::OTHER, given::ANY)
                }
                _ => return,
            },
            _ => return,
        };
        if let Some(place) = self.parameter_named(&name.id) {
            known.add(place, if holds { kinds } else { otherwise });
        }
    }

    /// What is known of parameters where `test` holds, or where it does not.
    pub(super) fn given_if(&self, test: &Expr, holds: bool) -> Given {
        let mut known = self.flow.given;
        if self.flow.params > 0 {
            self.test_says(test, holds, &mut known);
        }
        known
    }

    pub(super) fn branches(&mut self) -> Branches {
        let rest = self.flow.given;
        Branches { fork: self.fork(), all: false, rest, ends: 0, end: rest }
    }

    /// The next branch of an `if` begins, which is taken where `test` holds.
    pub(super) fn branch_begin(&mut self, branches: &mut Branches, test: Option<&Expr>) {
        self.flow.given = branches.rest;
        if let Some(test) = test {
            branches.rest = self.given_if(test, false);
            self.flow.given = self.given_if(test, true);
        }
    }

    pub(super) fn branch_end(&mut self, branches: &mut Branches) {
        if !self.flow.dead {
            branches.ends += 1;
            branches.end = self.flow.given;
        }
        self.fork_next(&mut branches.fork);
    }

    /// All branches of an `if` have ended; before it `given` was known.
    pub(super) fn branches_end(&mut self, branches: Branches, given: Given) {
        let Branches { fork, all, rest, ends, end } = branches;
        self.flow.given = match (ends, all) {
            (1, true) => end,
            (0, false) => rest,
            _ => given,
        };
        self.fork_join(fork, all);
    }

    /// True for the variable of a parameter of the body at hand.
    fn is_parameter(&self, value: u32) -> bool {
        let first = self.flow.returned + 2;
        self.flow.returned != 0 && (first..first + self.flow.params).contains(&value)
    }

    /// The parameter whose value `value` is.
    fn parameter_in(&self, value: u32) -> Option<u32> {
        match self.flow.made_of.get(&value) {
            _ if self.is_parameter(value) => Some(value),
            Some(&(Made::Same, param)) if self.is_parameter(param) => Some(param),
            _ => None,
        }
    }

    /// `class` holds the class of `object`.
    pub(super) fn flow_class_of(&mut self, object: u32, class: u32) {
        if class != 0
            && let Some(object) = self.parameter_in(object)
        {
            self.flow.made_of.insert(class, (Made::Class, object));
        }
    }

    /// `instance` was made by a call of `class`.
    fn flow_instance_of(&mut self, class: u32, instance: u32) {
        if instance == 0 {
            return;
        }
        if let Some(class) = self.parameter_in(class) {
            self.flow.made_of.insert(instance, (Made::Instance, class));
        } else if let Some(&(Made::Class, param)) = self.flow.made_of.get(&class) {
            self.flow.made_of.insert(instance, (Made::Sibling, param));
        }
    }

    /// What `made` makes of a class by `__new__`.
    pub(super) fn flow_made_by_new(&mut self, class: u32, made: u32) -> u32 {
        if class == 0 {
            return made;
        }
        let instance = self.made(FlowOp::Instance, class, 1);
        let out = self.joined(&mut vec![made, instance]);
        self.flow_instance_of(class, out);
        out
    }

    fn same_origin(&mut self, from: u32, to: u32) {
        if let Some(from) = self.parameter_in(from) {
            self.flow.made_of.insert(to, (Made::Same, from));
        } else if !self.flow.made_of.is_empty()
            && let Some(&origin) = self.flow.made_of.get(&from)
        {
            self.flow.made_of.insert(to, origin);
        }
        if !self.flow.patterns.is_empty()
            && let Some(pattern) = self.flow.patterns.get(&from)
        {
            let pattern = pattern.clone();
            self.flow.patterns.insert(to, pattern);
        }
    }

    /// `value`, or a new variable, holds a text that is like `pattern`.
    pub(super) fn flow_pattern(&mut self, value: u32, pattern: String) -> u32 {
        let value = if value == 0 { self.flow.fresh() } else { value };
        self.flow.patterns.insert(value, pattern.into());
        value
    }

    /// What is known of the text in a variable.
    pub(super) fn flow_pattern_of(&self, value: u32) -> Option<Box<str>> {
        self.flow.patterns.get(&value).cloned()
    }

    /// To be called where something is read that stands in the body around.
    pub(super) const fn step_out(&mut self, around: &Around) -> (u32, u32) {
        let here = (self.flow.body, self.flow.scope);
        (self.flow.body, self.flow.scope) = (around.body, around.scope);
        here
    }

    /// Goes back to where [`Self::step_out`] was called.
    pub(super) const fn step_in(&mut self, here: (u32, u32)) {
        (self.flow.body, self.flow.scope) = here;
    }

    /// Attributes of `base` whose names are like `pattern`.
    pub(super) fn flow_load_like(&mut self, base: u32, pattern: &str) -> u32 {
        if base == 0 {
            return 0;
        }
        let name = self.names.add(pattern);
        let row = self.flow_name(name);
        self.made(FlowOp::LoadLike, base, row)
    }

    pub(super) fn flow_yield(&mut self, value: u32) {
        if value != 0 && self.flow.returned != 0 {
            self.emit(FlowOp::Copy, self.flow.returned + 1, value, 0);
        }
    }

    pub(super) fn flow_yield_from(&mut self, value: u32) {
        if value != 0 && self.flow.returned != 0 {
            let out = self.made(FlowOp::Iterate, value, 0);
            self.flow_yield(out);
            let result = self.made(FlowOp::Await, value, 0);
            self.flow.value = result;
        }
    }

    /// Attribute of `base`, as ref `row` has it.
    pub(super) fn flow_load(&mut self, base: u32, row: u32) -> u32 {
        self.flow.receiver = (base, row);
        if base == 0 { 0 } else { self.made(FlowOp::Load, base, row) }
    }

    pub(super) fn flow_store(&mut self, base: u32, row: u32, value: u32) {
        if base != 0 {
            self.emit(FlowOp::Store, value, base, row);
        }
    }

    pub(super) fn flow_get(&mut self, base: u32, key: u32) -> u32 {
        if base == 0 { 0 } else { self.made(FlowOp::Get, base, key) }
    }

    pub(super) fn flow_put(&mut self, base: u32, key: u32, value: u32) {
        if base != 0 {
            self.emit(FlowOp::Put, value, base, key);
        }
    }

    /// The dictionary literal `value` was assigned to a name.
    pub(super) fn literal_assigned(&mut self, value: u32) {
        let rows = self.out.len(col::FLOW_OP) as u32;
        let flow = &mut self.flow;
        if value != 0 && flow.literal.container == value && flow.literal.rows + 1 == rows {
            // The constraint that assigned it made the last variable.
            (flow.literal.version, flow.literal.rows) = (flow.next - 1, rows);
        }
    }

    /// `value` takes the place of what a literal had under `key`, where nobody can have seen that: since then nothing was called, and
    /// the dictionary `base` was not read. False where that is not so.
    pub(super) fn replaced(&mut self, base: u32, key: Constant, value: u32) -> bool {
        let literal = &self.flow.literal;
        if base == 0 || value == 0 || literal.version != base || literal.epoch != self.flow.epoch {
            return false;
        }
        let Some(&(_, row)) = literal.items.iter().find(|item| item.0 == key) else { return false };
        let end = self.out.len(col::FLOW_OP) as u32;
        let harmless = (literal.rows..end).all(|row| {
            let op = FlowOp::from_u32(self.out.get(col::FLOW_OP, row));
            let [out, a, b] =
                [col::FLOW_OUT, col::FLOW_A, col::FLOW_B].map(|column| self.out.get(column, row));
            match op {
                FlowOp::Name | FlowOp::Symbol | FlowOp::Constant | FlowOp::New => true,
                FlowOp::Define | FlowOp::Element => b != base,
                FlowOp::Put => a == base && out != base && b != base,
                _ => false,
            }
        });
        if harmless {
            self.out.set(col::FLOW_OUT, row, value);
        }
        harmless
    }

    pub(super) fn flow_symbol(&mut self, symbol: u32) -> u32 {
        self.made(FlowOp::Symbol, symbol, 0)
    }

    pub(super) fn flow_import(&mut self, row: u32) -> u32 {
        self.made(FlowOp::Import, row, 0)
    }

    pub(super) fn flow_one(&mut self, op: FlowOp, value: u32, more: u32) -> u32 {
        if value == 0 { 0 } else { self.made(op, value, more) }
    }

    pub(super) fn flow_super(&mut self, class: u32) -> u32 {
        let receiver = if self.flow.params == 0 { 0 } else { self.parameter(0) };
        if class == 0 && receiver == 0 { 0 } else { self.made(FlowOp::Super, class, receiver) }
    }

    fn flow_string(&mut self, text: &str) -> u32 {
        if text.len() > CONSTANT || self.flow.plain > 0 {
            return 0;
        }
        let name = self.names.add(text);
        let row = self.flow_name(name);
        self.made(FlowOp::Constant, 0, row)
    }

    pub(super) fn flow_number(&mut self, number: u32) -> u32 {
        if self.flow.plain > 0 || self.flow.uncounted > 0 {
            return 0;
        }
        self.made(FlowOp::Constant, 1, number)
    }

    /// An operation of [`PROTOCOL`] on `values`, of which the first is the one whose method is asked first.
    pub(super) fn flow_operation(&mut self, method: &str, values: &[u32]) -> u32 {
        let Some(row) = PROTOCOL.iter().position(|entry| entry.0 == method) else { return 0 };
        self.flow_operation_row(row as u32, values)
    }

    pub(super) fn flow_operation_row(&mut self, row: u32, values: &[u32]) -> u32 {
        if values.iter().all(|&value| value == 0) {
            return 0;
        }
        let out = self.made(FlowOp::Operation, values[0], row);
        for &value in &values[1..] {
            self.emit(FlowOp::Operand, 0, value, 0);
        }
        out
    }

    /// Starts the arguments of a call; to be given to [`Self::flow_call`].
    pub(super) fn flow_arguments(&self) -> usize {
        self.flow.arguments.len()
    }

    pub(super) fn flow_argument(&mut self, kind: ArgKind, argument: &Expr, name: u32, value: u32) {
        let given = if matches!(kind, ArgKind::Positional | ArgKind::Keyword) {
            self.kinds(argument)
        } else {
            given::ANY
        };
        self.flow.arguments.push((given::condition(kind as u32, given), name, value));
    }

    /// Variable of argument number `at` of those since `first`.
    pub(super) fn flow_argument_at(&self, first: usize, at: usize) -> u32 {
        self.flow.arguments.get(first + at).map_or(0, |argument| argument.2)
    }

    /// A call of `callee`, in row `call` -1 of Calls, with the arguments since `first`.
    pub(super) fn flow_call(&mut self, callee: u32, receiver: (u32, u32), call: u32, first: usize) -> u32 {
        let count = (self.flow.arguments.len() - first) as u32;
        if callee == 0 && call == 0 {
            self.flow.arguments.truncate(first);
            return 0;
        }
        let row = self.out.len(col::ARG_KIND) as u32;
        let method = u32::from(receiver.0 != 0);
        self.argument_row(call, count * 2 + method, 0);
        if method != 0 {
            self.argument_row(receiver.1, receiver.0, 0);
        }
        for at in first..self.flow.arguments.len() {
            let (kind, name, value) = self.flow.arguments[at];
            self.argument_row(kind, value, name);
        }
        self.flow.arguments.truncate(first);
        let out = self.made(FlowOp::Call, callee, row);
        self.flow_instance_of(callee, out);
        out
    }

    /// A call of a decorator.
    pub(super) fn flow_decorate(&mut self, decorator: u32, value: u32) -> u32 {
        let row = self.out.len(col::ARG_KIND) as u32;
        self.argument_row(0, 2, 0);
        let kind = given::condition(ArgKind::Positional as u32, given::CALLABLE);
        self.argument_row(kind, value, 0);
        self.made(FlowOp::Decorate, decorator, row)
    }

    fn argument_row(&mut self, kind: u32, value: u32, name: u32) {
        self.out.push(col::ARG_KIND, kind);
        self.out.push(col::ARG_VALUE, value);
        self.out.push(col::ARG_NAME, name);
    }

    /// The object of which the last expression was an attribute, where it was one.
    pub(super) fn take_receiver(&mut self) -> (u32, u32) {
        std::mem::take(&mut self.flow.receiver)
    }

    pub(super) fn flow_join(&mut self, mut values: Vec<u32>) -> u32 {
        self.joined(&mut values)
    }

    pub(super) fn flow_fresh(&mut self) -> u32 {
        self.flow.fresh()
    }

    pub(super) fn flow_into(&mut self, out: u32, op: FlowOp, value: u32, more: u32) {
        if value != 0 {
            self.emit(op, out, value, more);
        }
    }

    /// The same, also of an unknown value: each variable has a row.
    pub(super) fn flow_made(&mut self, out: u32, op: FlowOp, value: u32, more: u32) {
        self.emit(op, out, value, more);
    }

    pub(super) fn flow_element(&mut self, container: u32, place: Option<u32>, value: u32) {
        if value != 0 {
            let place = place.filter(|&place| place < PLACES).map_or(0, |place| place + 1);
            self.emit(FlowOp::Element, container, place, value);
        }
    }

    pub(super) fn flow_new(&mut self, kind: Container) -> u32 {
        self.made(FlowOp::New, kind as u32, 0)
    }
}

impl Pass<'_> {
    /// The value of a string: a constant where it is short.
    pub(super) fn string_value(&mut self, text: &ast::ExprStringLiteral) -> u32 {
        if self.x.flow.plain > 0 || !self.is_short(text) {
            return 0;
        }
        let text = self.text_of(text);
        self.x.flow_string(&text)
    }

    /// True for a string whose source is short enough to be looked at.
    pub(super) fn is_short(&self, text: &ast::ExprStringLiteral) -> bool {
        let span = self.span(text.range);
        span.end.saturating_sub(span.start) <= LITERAL
    }

    /// Visits the elements of a literal; its value is a new container. One that lies in another and holds nothing that is of use has
    /// none.
    #[inline(never)]
    pub(super) fn read_elements(&mut self, literal: &Expr, kind: Container) {
        let mut container = 0;
        let mut at = 0;
        let mut place = Some(0);
        let nested = self.enter_literal();
        self.elements(literal, &mut |pass, element| {
            let starred = match element {
                Expr::Starred(starred) => Some(&*starred.value),
                _ => None,
            };
            pass.read(starred.unwrap_or(element));
            let mut value = pass.x.flow.value;
            if starred.is_some() {
                value = pass.x.flow_one(FlowOp::Iterate, value, 0);
                place = None;
            }
            if value != 0 {
                if container == 0 {
                    container = pass.x.flow_new(kind);
                }
                pass.x.flow_element(container, place.filter(|_| kind != Container::Set), value);
            }
            at += 1;
            place = place.map(|_| at);
        });
        self.leave_literal(nested);
        if container == 0 && (!nested || at == 0) {
            container = self.x.flow_new(kind);
        }
        self.x.flow.value = container;
    }

    /// The same for a dictionary.
    #[inline(never)]
    pub(super) fn read_items(&mut self, literal: &Expr) {
        let mut container = 0;
        let mut items = 0;
        let (mut key, mut constant) = (0, None);
        let mut placed = Vec::new();
        let nested = self.enter_literal();
        self.elements(literal, &mut |pass, element| {
            let item = pass.x.flow.item;
            items += 1;
            if item == Item::Key {
                constant = pass.constant(element);
                pass.x.flow.plain += 1;
                pass.read(element);
                pass.x.flow.plain -= 1;
                key = pass.x.flow.value;
                return;
            }
            pass.read(element);
            let value = pass.x.flow.value;
            if value == 0 {
                return;
            }
            if container == 0 {
                container = pass.x.flow_new(Container::Dict);
            }
            if item == Item::Unpacked {
                // Of what is no dictionary its methods are asked.
                pass.x.flow_operation("keys", &[value]);
                pass.x.flow_get(value, 0);
                pass.x.emit(FlowOp::Element, container, ITEMS, value);
                return;
            }
            if let Some(constant) = constant.take() {
                if placed.len() < PLACES as usize {
                    placed.push((constant, pass.x.out.len(col::FLOW_OP) as u32 + 1));
                }
                key = match constant {
                    Constant::Text(name) => {
                        let row = pass.x.flow_name(name);
                        pass.x.made(FlowOp::Constant, 0, row)
                    }
                    Constant::Number(number) => pass.x.made(FlowOp::Constant, 1, number),
                };
            }
            pass.x.flow_put(container, key, value);
        });
        self.leave_literal(nested);
        if container == 0 && (!nested || items == 0) {
            container = self.x.flow_new(Container::Dict);
        }
        let rows = self.x.out.len(col::FLOW_OP) as u32;
        let epoch = self.x.flow.epoch;
        self.x.flow.literal = Literal { version: 0, container, epoch, rows, items: placed };
        self.x.flow.value = container;
    }

    /// Goes into a literal; true where it lies in another.
    fn enter_literal(&mut self) -> bool {
        let flow = &mut self.x.flow;
        flow.literals += 1;
        flow.uncounted += 1;
        flow.plain += u32::from(flow.literals > 1);
        flow.literals > 1
    }

    fn leave_literal(&mut self, nested: bool) {
        let flow = &mut self.x.flow;
        flow.literals -= 1;
        flow.uncounted -= 1;
        flow.plain -= u32::from(nested);
    }

    /// What a key is, if it is a constant.
    pub(super) fn constant(&mut self, key: &Expr) -> Option<Constant> {
        match key {
            Expr::StringLiteral(text) => {
                if !self.is_short(text) {
                    return None;
                }
                let text = self.text_of(text);
                (text.len() <= CONSTANT).then(|| Constant::Text(self.x.names.add(&text)))
            }
            Expr::NumberLiteral(number) => match &number.value {
                ast::Number::Int(number) => {
                    number.as_u64().and_then(|number| u32::try_from(number).ok()).map(Constant::Number)
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// What an annotation says of a value: a variable that holds instances of its classes. `expr` was visited, and `value` is its own.
    pub(super) fn annotated(&mut self, expr: &Expr, value: u32) -> u32 {
        let mut found = Vec::new();
        self.annotated_into(expr, value, 0, &mut found);
        self.x.flow_join(found)
    }

    fn annotated_into(&mut self, expr: &Expr, value: u32, depth: u32, found: &mut Vec<u32>) {
        if depth > 8 {
            return;
        }
        match expr {
            Expr::Name(_) | Expr::Attribute(_) => {
                let value = if depth == 0 { value } else { self.path_value(expr) };
                if value != 0 {
                    let instance = self.x.flow_one(FlowOp::Instance, value, 0);
                    found.push(instance);
                }
            }
            Expr::StringLiteral(text) => {
                let text = self.text_of(text);
                if text.len() <= 256
                    && let Ok(parsed) = ruff_python_parser::parse_expression(&text)
                {
                    let start = self.at(expr.start());
                    let value = self.quoted(parsed.expr(), start);
                    if value != 0 {
                        let instance = self.x.flow_one(FlowOp::Instance, value, 0);
                        found.push(instance);
                    }
                }
            }
            Expr::BinOp(node) if node.op == ast::Operator::BitOr => {
                self.annotated_into(&node.left, 0, depth + 1, found);
                self.annotated_into(&node.right, 0, depth + 1, found);
            }
            Expr::Subscript(node) => {
                let name = match &*node.value {
                    Expr::Name(name) => name.id.as_str(),
                    Expr::Attribute(attribute) => attribute.attr.id.as_str(),
                    _ => return,
                };
                let inner: &[Expr] = match &*node.slice {
                    Expr::Tuple(tuple) => &tuple.elts,
                    other => std::slice::from_ref(other),
                };
                let elements = match name {
                    "Optional" | "Union" | "Annotated" | "Final" | "ClassVar" | "Required"
                    | "NotRequired" => {
                        let count = if name == "Annotated" { 1 } else { inner.len() };
                        for part in inner.iter().take(count.min(16)) {
                            self.annotated_into(part, 0, depth + 1, found);
                        }
                        return;
                    }
                    "Type" | "type" => {
                        for part in inner.iter().take(16) {
                            if matches!(part, Expr::Name(_) | Expr::Attribute(_)) {
                                let value = self.path_value(part);
                                if value != 0 {
                                    found.push(value);
                                }
                            }
                        }
                        return;
                    }
                    "list" | "List" | "Sequence" | "MutableSequence" | "Iterable" | "Iterator"
                    | "Collection" | "Generator" | "AsyncIterator" | "AsyncIterable" | "AsyncGenerator"
                    | "deque" | "Deque" => (Container::List, inner.first()),
                    "set" | "Set" | "FrozenSet" | "frozenset" | "AbstractSet" => {
                        (Container::Set, inner.first())
                    }
                    "tuple" | "Tuple" => (Container::Tuple, None),
                    "dict" | "Dict" | "Mapping" | "MutableMapping" | "DefaultDict" | "defaultdict"
                    | "OrderedDict" => (Container::Dict, inner.get(1)),
                    _ => {
                        // `Generic[T]` is `Generic`.
                        let value = self.path_value(&node.value);
                        if value != 0 {
                            let instance = self.x.flow_one(FlowOp::Instance, value, 0);
                            found.push(instance);
                        }
                        return;
                    }
                };
                let (kind, element) = elements;
                let container = self.x.flow_new(kind);
                let parts: &[Expr] = match element {
                    Some(element) => std::slice::from_ref(element),
                    None if kind == Container::Tuple => inner,
                    None => &[],
                };
                let repeated = matches!(parts.last(), Some(Expr::EllipsisLiteral(_)));
                for (part, at) in parts.iter().zip(0u32..PLACES) {
                    let mut inside = Vec::new();
                    self.annotated_into(part, 0, depth + 1, &mut inside);
                    let value = self.x.flow_join(inside);
                    let place = (kind == Container::Tuple && !repeated).then_some(at);
                    self.x.flow_element(container, place, value);
                }
                found.push(container);
            }
            _ => {}
        }
    }

    /// The value of a name or of an attribute of one, which was visited before.
    pub(super) fn path_value(&mut self, expr: &Expr) -> u32 {
        if super::expressions::is_path(expr) {
            self.expr(expr);
            self.x.flow.value
        } else {
            0
        }
    }

    /// The value of a path that stands within a string.
    pub(super) fn quoted(&mut self, expr: &Expr, start: u32) -> u32 {
        match expr {
            Expr::Name(name) => {
                let id = self.x.names.add(&name.id);
                let row = self.x.cons(RefKind::Name, self.x.scope, id, start);
                self.x.flow_read(row, id)
            }
            Expr::Attribute(attribute) => {
                // Only short ones: a chain may be as long as the text.
                let Expr::Name(base) = &*attribute.value else { return 0 };
                let id = self.x.names.add(&base.id);
                let row = self.x.cons(RefKind::Name, self.x.scope, id, start);
                let base = self.x.flow_read(row, id);
                let name = self.x.names.add(&attribute.attr.id);
                let row = self.x.cons(RefKind::Attribute, row, name, start);
                let value = self.x.flow_load(base, row);
                self.x.take_receiver();
                value
            }
            _ => 0,
        }
    }

    /// After a test that held, or did not: what `isinstance` says of names.
    pub(super) fn narrow(&mut self, test: &Expr, held: bool) {
        match test {
            Expr::UnaryOp(node) if node.op == ast::UnaryOp::Not => self.narrow(&node.operand, !held),
            Expr::BoolOp(node) if (node.op == ast::BoolOp::And) == held => {
                node.values.iter().for_each(|value| self.narrow(value, held));
            }
            Expr::Call(call)
                if held && matches!(&*call.func, Expr::Name(name) if name.id.as_str() == "isinstance") =>
            {
                let mut subject = None;
                let mut values = Vec::new();
                let mut known = true;
                let mut at = 0;
                self.argument_parts(&call.arguments, &mut |pass, part| {
                    for argument in &part.args {
                        match (at, argument) {
                            (0, Expr::Name(name)) => {
                                let start = pass.at(name.range.start());
                                let row = pass.name_ref(&name.id, start);
                                let id = pass.x.names.add(&name.id);
                                subject = Some((id, pass.x.flow_read(row, id)));
                            }
                            (1, classes) => {
                                let Some((_, before)) = subject else { continue };
                                if classes.is_tuple_expr() {
                                    pass.elements(classes, &mut |pass, class| {
                                        known &= pass.instance_of(class, before, &mut values);
                                    });
                                } else {
                                    known = pass.instance_of(classes, before, &mut values);
                                }
                            }
                            _ => {}
                        }
                        at += 1;
                    }
                });
                let Some((name, before)) = subject.filter(|_| !values.is_empty()) else { return };
                if !known {
                    values.push(before);
                }
                let value = self.x.flow_join(values);
                self.x.flow_refine(name, value);
            }
            _ => {}
        }
    }
}

impl Pass<'_> {
    /// Adds what a variable holds that has held `before`, and is an instance of `class`. False where nothing is known of that.
    fn instance_of(&mut self, class: &Expr, before: u32, values: &mut Vec<u32>) -> bool {
        let value = self.path_value(class);
        if value == 0 || values.len() >= 32 {
            return false;
        }
        values.push(self.x.flow_one(FlowOp::Instance, value, 0));
        values.push(self.x.flow_one(FlowOp::Narrow, before, value));
        true
    }
}

impl Extractor {
    /// From here on `name` stands for `value`, without having been assigned.
    fn flow_refine(&mut self, name: u32, value: u32) {
        let at = self.place(name);
        let (body, version) = self.flow.version(at);
        if self.scope == self.flow.scope && body == self.flow.body && version != u32::MAX && value != 0 {
            // What all assignments give stays what it is.
            self.flow.set(name, at, (self.flow.body, value));
            self.flow.refined.push((name, (body, version), value));
        }
    }

    /// Number of names that were refined so far; to be given to [`Self::unrefine`].
    pub(super) const fn refined(&self) -> usize {
        self.flow.refined.len()
    }

    /// What was refined since `mark`, and was not assigned since, stands for what it did before.
    pub(super) fn unrefine(&mut self, mark: usize) {
        while self.flow.refined.len() > mark {
            let Some((name, before, value)) = self.flow.refined.pop() else { return };
            let at = self.place(name);
            if self.flow.version(at) == (self.flow.body, value) {
                self.flow.set(name, at, before);
            }
        }
    }
}
