//! What each variable may hold: constraints are applied in rounds until nothing is new.
//!
//! In a round each variable whose set has grown gives what is new to those that depend on it; what they receive counts from the next round
//! on. So the sets at the end of each round depend on the constraints alone, never on the order in which they are looked at, and a set
//! that has become too large can be cut off there (saturation: Wimmer et al., "Scaling Type-Based Points-to Analysis with Saturation", PLDI 2024).
//!
//! Within a round everybody reads and nobody changes a set: each thread applies what is new in the variables of its shard and writes down
//! for each shard what is sent there. Then each thread lets that arrive in its own shard.

use super::apply::{Apply, Lists, Worker};
use super::code::Dependents;
use super::parts::Parts;
use super::program::{Program, REGISTERED, SPREAD};
use super::sets::{Caps, Shard};
use super::{Kind, Object};
use crate::model::facts::FlowOp;
use rayon::prelude::*;
use rustc_hash::FxHashMap;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

/// How many variables ahead memory is asked for that is not at hand: where variables lie has nothing to do with the order in which they come.
const AHEAD: usize = 8;
/// Most shards.
const SHARDS: usize = 32;

/// What each variable may hold.
pub(crate) struct Solution<'p, 'a> {
    pub(super) program: Program<'p, 'a>,
    shards: Vec<Shard>,
    /// Cells of attributes of classes that were looked up: class and name.
    cells: FxHashMap<u64, u32>,
    /// Methods that were looked up, by class and name; symbols +1.
    methods: FxHashMap<u64, u32>,
    /// Variables of what was registered for dispatchers.
    dispatched: FxHashMap<u32, u32>,
}

impl<'p, 'a> Solution<'p, 'a> {
    /// What variable `at` may hold, in no special order; empty where that is too much.
    pub(super) fn get(&self, at: u32) -> &[Object] {
        all(&self.shards, at)
    }

    /// The method that a class has under name number `name`.
    pub(super) fn method(&self, class: u32, name: u32) -> Option<u32> {
        let known = self.methods.get(&(u64::from(class) << 32 | u64::from(name))).copied();
        known.unwrap_or_else(|| self.program.method(class, name)).checked_sub(1)
    }

    /// What was registered for function `symbol`, if it is a dispatcher.
    pub(super) fn registered(&self, symbol: u32) -> &[Object] {
        self.dispatched.get(&symbol).map_or(&[], |&variable| self.get(variable))
    }

    /// The setter of property `name`.
    pub(super) fn setter(&self, class: u32, name: u32) -> Option<u32> {
        self.program.setter(class, name)
    }

    /// The cell that `name` of `class` was found in; 0 without.
    pub(super) fn class_cell(&self, class: u32, name: u32) -> u32 {
        self.cells.get(&(u64::from(class) << 32 | u64::from(name))).copied().unwrap_or(0)
    }

    /// True where variable `at` may hold more than is of use.
    pub(super) fn is_top(&self, at: u32) -> bool {
        let (shard, place) = locate(at, self.shards.len());
        self.shards[shard].is_top(place)
    }
}

/// Shard of a variable, and its place there.
#[inline]
pub(super) const fn locate(variable: u32, shards: usize) -> (usize, u32) {
    (variable as usize & (shards - 1), variable >> shards.trailing_zeros())
}

/// What a variable holds.
#[inline]
pub(super) fn all(shards: &[Shard], variable: u32) -> &[Object] {
    let (shard, place) = locate(variable, shards.len());
    shards[shard].all(place)
}

/// Variables of what lies in objects under names or keys, made when they are asked for.
pub(super) struct Fields {
    maps: Vec<Mutex<FxHashMap<u64, u32>>>,
    count: AtomicU32,
}

impl Fields {
    fn new(count: u32) -> Self {
        Self { maps: (0..64).map(|_| Mutex::default()).collect(), count: AtomicU32::new(count) }
    }

    /// The variable of what lies in `owner` under `key`; true where it is new.
    #[inline]
    pub(super) fn get(&self, owner: Object, key: u32) -> (u32, bool) {
        let whole = u64::from(owner.0) << 32 | u64::from(key);
        let shard = rustc_hash::FxBuildHasher.hash_one(whole) >> 20 & 63;
        let mut map = self.maps[shard as usize].lock().unwrap_or_else(PoisonError::into_inner);
        let mut new = false;
        let variable = *map.entry(whole).or_insert_with(|| {
            new = true;
            self.count.fetch_add(1, Ordering::Relaxed)
        });
        (variable, new)
    }

    fn count(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }
}

struct Solver<'p, 'a> {
    program: Program<'p, 'a>,
    fixed: Dependents,
    fields: Fields,
    shards: Vec<Shard>,
    workers: Vec<Worker>,
    lists: Vec<Lists>,
    caps: Caps,
    rounds: u32,
    /// What is sent arrives in the other order: tests see that it makes no difference.
    reversed: bool,
}

/// Solves the constraints of `files`: whole parts of the project.
pub(crate) fn solve<'p, 'a>(
    project: &'p crate::link::Project<'a>,
    parts: &'p Parts,
    files: &[u32],
    caps: Caps,
) -> Solution<'p, 'a> {
    let program = Program::new(project, parts, files);
    tracing::debug!(
        "value flow: {} variables, {} dependents, {} constraints, {} values",
        program.count,
        program.dependents.len(),
        program.code.len(),
        program.sheet.seeds.len()
    );
    let mut solver = Solver::new(program, caps);
    solver.start();
    solver.run();
    solver.second();
    solver.run();
    solver.third();
    solver.run();
    let Solver { program, shards, workers, rounds, fields, .. } = solver;
    tracing::debug!(
        "value flow: {rounds} rounds, {} messages, {} edges found, {} fields",
        workers.iter().map(|worker| worker.messages).sum::<u64>(),
        shards.iter().map(Shard::edge_count).sum::<usize>(),
        fields.count() - program.count
    );
    let of = |&symbol: &u32| (symbol, fields.get(Object::new(Kind::Function, symbol), REGISTERED).0);
    let dispatched = program.dispatchers.iter().map(of).collect();
    let mut solution =
        Solution { program, shards, cells: FxHashMap::default(), methods: FxHashMap::default(), dispatched };
    for worker in workers {
        solution.cells.extend(worker.cells);
        solution.methods.extend(worker.methods);
    }
    solution
}

impl<'p, 'a> Solver<'p, 'a> {
    fn new(mut program: Program<'p, 'a>, caps: Caps) -> Self {
        let shards = rayon::current_num_threads().clamp(1, SHARDS).next_power_of_two();
        Self {
            fixed: std::mem::take(&mut program.dependents),
            fields: Fields::new(program.count),
            program,
            shards: (0..shards).map(|_| Shard::default()).collect(),
            workers: (0..shards).map(|number| Worker::new(number, shards)).collect(),
            lists: (0..shards).map(|_| Lists::default()).collect(),
            caps,
            rounds: 0,
            reversed: std::env::var_os("PYDEBUG_REVERSED").is_some(),
        }
    }

    /// Everything that is needed to apply constraints, for one worker alone.
    fn alone(&mut self) -> Apply<'_, 'p, 'a> {
        Apply {
            program: &self.program,
            shards: &self.shards,
            fields: &self.fields,
            lists: &self.lists,
            own: &mut self.workers[0],
            at: 0,
        }
    }

    fn start(&mut self) {
        let seeds = std::mem::take(&mut self.program.sheet.seeds);
        let elements = std::mem::take(&mut self.program.sheet.elements);
        let mut apply = self.alone();
        for (variable, object) in seeds {
            apply.send(variable, object);
        }
        for (container, key, value) in elements {
            if key == SPREAD {
                apply.merge(container, value);
            } else {
                apply.put(container, key, value);
            }
        }
        for &(_, function, object) in &apply.program.hooks {
            apply.receive(function, object);
        }
    }

    /// Rounds until nothing is new.
    fn run(&mut self) {
        loop {
            while self.link() {
                self.apply(|apply, shard| {
                    for (at, &(place, to)) in shard.fresh_copies.iter().enumerate() {
                        if let Some(far) = shard.fresh_copies.get(at + 2 * AHEAD) {
                            shard.prefetch(far.0);
                        }
                        if let Some(near) = shard.fresh_copies.get(at + AHEAD) {
                            shard.prefetch_more(near.0, false);
                        }
                        apply.send_all(to, shard.all(place));
                    }
                    for &(place, number) in &shard.fresh {
                        apply.at = Apply::EDGE | number;
                        let edge = shard.edge(number);
                        for &object in shard.all(place) {
                            apply.along(edge, object);
                        }
                    }
                });
            }
            if !self.arrive() {
                return;
            }
            self.rounds += 1;
            let (fixed, shards) = (&self.fixed, self.shards.len());
            let apply_new = |apply: &mut Apply<'_, 'p, 'a>, shard: &Shard| {
                let variable = |place: u32, own: usize| place as usize * shards + own;
                for (at, &place) in shard.active.iter().enumerate() {
                    if let Some(&far) = shard.active.get(at + 2 * AHEAD) {
                        shard.prefetch(far);
                        fixed.prefetch(variable(far, apply.own.number));
                    }
                    if let Some(&near) = shard.active.get(at + AHEAD) {
                        shard.prefetch_more(near, true);
                        fixed.prefetch_more(variable(near, apply.own.number));
                    }
                    let variable = variable(place, apply.own.number);
                    turn(apply, fixed, shard, place, variable);
                }
            };
            Self::each(
                (&self.program, &self.shards, &self.fields, &self.lists),
                &mut self.workers,
                apply_new,
            );
        }
    }

    fn apply(&mut self, work: impl Fn(&mut Apply<'_, 'p, 'a>, &Shard) + Sync) {
        Self::each((&self.program, &self.shards, &self.fields, &self.lists), &mut self.workers, work);
    }

    /// Does `work` for each shard, on all threads.
    fn each(
        (program, shards, fields, lists): (&Program<'p, 'a>, &[Shard], &Fields, &[Lists]),
        workers: &mut [Worker],
        work: impl Fn(&mut Apply<'_, 'p, 'a>, &Shard) + Sync,
    ) {
        let one = |own: &mut Worker| {
            let shard = &shards[own.number];
            if !shard.active.is_empty() || shard.is_linked() {
                work(&mut Apply { program, shards, fields, lists, own, at: 0 }, shard);
            }
        };
        match workers {
            [own] => one(own),
            workers => workers.par_iter_mut().with_max_len(1).for_each(one),
        }
    }

    /// Adds the edges that were found. True if there are some along which something must go.
    fn link(&mut self) -> bool {
        let count = self.shards.len();
        for (worker, lists) in self.workers.iter_mut().zip(&mut self.lists) {
            lists.append(&mut worker.lists);
        }
        let places = (self.fields.count() as usize).div_ceil(count);
        let workers = &self.workers;
        let one = |(number, shard): (usize, &mut Shard)| {
            shard.done();
            shard.grow(places);
            for worker in workers {
                let copies = &worker.copies[number];
                for (at, &(place, to)) in copies.iter().enumerate() {
                    if let Some(far) = copies.get(at + AHEAD) {
                        shard.prefetch(far.0);
                    }
                    shard.copy(place, to);
                }
                for &(place, edge) in &worker.edges[number] {
                    shard.link(place, edge);
                }
            }
        };
        match &mut self.shards[..] {
            [shard] => one((0, shard)),
            shards => shards.par_iter_mut().enumerate().with_max_len(1).for_each(one),
        }
        for worker in &mut self.workers {
            worker.edges.iter_mut().for_each(Vec::clear);
            worker.copies.iter_mut().for_each(Vec::clear);
        }
        self.shards.iter().any(Shard::is_linked)
    }

    /// Lets what was sent arrive. False if nothing is new.
    fn arrive(&mut self) -> bool {
        if self.reversed {
            self.workers.iter_mut().flat_map(|worker| &mut worker.sent).for_each(|sent| sent.reverse());
        }
        let (workers, caps, program) = (&self.workers, self.caps, &self.program);
        let one = |(number, shard): (usize, &mut Shard)| {
            for worker in workers {
                let sent = &worker.sent[number];
                for (at, &(place, object)) in sent.iter().enumerate() {
                    if let Some(far) = sent.get(at + 2 * AHEAD) {
                        shard.prefetch(far.0);
                    }
                    if let Some(near) = sent.get(at + AHEAD) {
                        shard.prefetch_more(near.0, false);
                    }
                    shard.receive(place, object);
                }
            }
            shard.cut(caps, program);
        };
        match &mut self.shards[..] {
            [shard] => one((0, shard)),
            shards => shards.par_iter_mut().enumerate().with_max_len(1).for_each(one),
        }
        for worker in &mut self.workers {
            worker.messages += worker.sent.iter().map(|sent| sent.len() as u64).sum::<u64>();
            worker.sent.iter_mut().for_each(Vec::clear);
        }
        self.shards.iter().any(|shard| !shard.active.is_empty())
    }

    /// What is decided once all keys are known: those that stay unknown.
    fn third(&mut self) {
        let mut apply = self.alone();
        for list in 0..apply.lists.len() {
            for at in 0..apply.lists[list].waits.len() {
                apply.unknown_key(apply.lists[list].waits[at]);
            }
        }
    }

    /// What is decided once nothing flows any more: parameters that nothing is given to, decorators and classes in tests of which nothing is
    /// known. A decorator that gives nothing of the project gives what it decorates, as one that makes a class anew.
    fn second(&mut self) {
        let mut apply = self.alone();
        for body in &apply.program.sheet.bodies {
            for at in 0..body.params.len() as u32 {
                if apply.says_nothing(body.param(at)) {
                    apply.send(body.param(at), Object::UNBOUND);
                }
            }
        }
        for op in apply.program.code.ops() {
            if let Some(value) = apply.decorated(op)
                && (op.a == 0 || apply.says_nothing(op.a) || apply.is_outside(op.out))
            {
                apply.copy(value, op.out);
            }
            if op.op == FlowOp::Narrow && apply.says_nothing(op.b) {
                apply.copy(op.a, op.out);
            }
        }
    }
}

/// Gives what is new in a variable to those that depend on it.
fn turn(apply: &mut Apply<'_, '_, '_>, fixed: &Dependents, shard: &Shard, place: u32, variable: usize) {
    let new = shard.new_ones(place);
    if new.is_empty() {
        return;
    }
    for &row in fixed.of(variable) {
        if row & Dependents::EDGE != 0 {
            apply.send_all(row & !Dependents::EDGE, new);
            continue;
        }
        apply.at = row / 4;
        for &object in new {
            apply.constraint(row / 4, row % 4, object);
        }
    }
    for &to in shard.copies(place) {
        apply.send_all(to, new);
    }
    for (number, edge) in shard.edges(place) {
        apply.at = Apply::EDGE | number;
        for &object in new {
            apply.along(edge, object);
        }
    }
}
