//! Sets of objects and the edges between them, in shards that one thread each changes: variable `v` lies in shard `v` modulo their number.

use super::{KINDS, Kind, Object};
use crate::sys::prefetch;

/// What one variable may hold of each [`Group`] before it counts as holding anything of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caps {
    /// Of what is in no other group.
    pub(crate) values: u32,
}

impl Caps {
    /// Functions: a site may have as many callees as [`crate::link::links::MEGAMORPHIC`] by default.
    const fn functions(self) -> u32 {
        self.values * 2
    }

    /// Containers, which multiply what flows through them.
    const fn containers(self) -> u32 {
        self.values.div_ceil(4)
    }

    const fn of(self, group: Group) -> u32 {
        match group {
            Group::Function => self.functions(),
            Group::Container => self.containers(),
            Group::Constant | Group::Outside => CONSTANTS as u32,
            // Others can stand for them.
            Group::Instance | Group::Class => self.values.div_ceil(2),
            Group::Other => self.values,
        }
    }
}

/// Constants that one variable may hold.
const CONSTANTS: u8 = 8;
/// Objects but constants that one variable may hold, whatever the caps: a [`Set`] counts up to 255, constants and one too many among them.
const MOST: u32 = 240;

/// Objects that are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    Function,
    Container,
    Instance,
    Class,
    Constant,
    /// Of the standard library.
    Outside,
    Other,
}

const GROUPS: [Group; 7] = [
    Group::Function,
    Group::Container,
    Group::Instance,
    Group::Class,
    Group::Constant,
    Group::Outside,
    Group::Other,
];

impl Group {
    /// The bit of a set's `groups` that tells that there were too many of it, so that no more come. What has none is told of by [`BARE`].
    const fn cut(self) -> u8 {
        match self {
            Self::Function => 1 << 4,
            Self::Container => 1 << 5,
            Self::Instance => 1 << 6,
            Self::Class => 1 << 7,
            Self::Constant | Self::Outside | Self::Other => 0,
        }
    }

    const fn of(object: Object) -> Self {
        match object.kind() {
            Kind::Function | Kind::Bound => Self::Function,
            Kind::Container => Self::Container,
            Kind::Instance | Kind::Receiver => Self::Instance,
            Kind::Class | Kind::ClassReceiver => Self::Class,
            Kind::Constant => Self::Constant,
            Kind::External if object.as_outside().is_some() => Self::Outside,
            _ => Self::Other,
        }
    }
}

/// What classes have in common.
pub(super) trait Hierarchy {
    /// The class that stands for these, of which there are many: that farthest from the root of those that two thirds of them are below.
    fn common(&self, classes: &[u32]) -> Option<u32>;
}

/// How an edge that is no copy changes what goes along it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Via {
    /// Read from an object with this code.
    Method,
    /// Read from a class with this code.
    ClassAttribute,
    Iterate,
    /// An iterator's elements.
    Elements,
    Unpack,
    /// What lies in a container under this key.
    Get,
    /// Everything that lies in a container.
    Values,
    /// As a receiver of `super()`: this place in the list of those.
    Super,
    /// As the key of this place in the list of waits.
    Key,
    /// The class of an object.
    Type,
    /// Called as this place in the list of specs says.
    Spec,
    /// A method of the language is called, that of this number in the table of known functions.
    Known,
    /// An instance is made: see [`crate::model::facts::FlowOp::Pass`].
    New,
    /// A function is registered for the one of this symbol.
    Register,
    /// A function is decorated by a class; or what a function makes of the class with this number -1, which it decorates.
    Decorated,
}

/// An edge that was found, and is no copy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    pub(super) to: u32,
    pub(super) extra: u32,
    pub(super) via: Via,
}

/// An edge with the number +1 of the next one from the same variable, and `via` in the upper bits.
#[derive(Clone, Copy, Debug)]
struct Link {
    to: u32,
    extra: u32,
    next: u32,
}

const VIAS: [Via; 15] = [
    Via::Method,
    Via::ClassAttribute,
    Via::Iterate,
    Via::Elements,
    Via::Unpack,
    Via::Get,
    Via::Values,
    Via::Super,
    Via::Key,
    Via::Type,
    Via::Spec,
    Via::Known,
    Via::New,
    Via::Register,
    Via::Decorated,
];

const NEXT: u32 = (1 << 28) - 1;

/// A variable's objects, in the order in which they came.
#[derive(Clone, Copy, Debug)]
struct Set {
    /// The only one; where there is room for more, the place of the first in `objects`.
    at: Object,
    /// Number +1 of the first of its edges that are no copies.
    head: u32,
    /// The variable that it is copied to; where there are more, with [`RUN`] the place of a run of them.
    copies: u32,
    len: u8,
    /// Those that were given to others.
    done: u8,
    /// Number of constants, in the lower four bits; above them which groups were too many: [`Group::cut`].
    groups: u8,
    state: u8,
}

/// Tells a run of variables from one variable.
const RUN: u32 = 1 << 31;
/// Variables among which one that comes again is looked for.
const LOOKED_AT: usize = 16;

/// It holds more than is of use, and gives nothing more to others.
const TOP: u8 = 1;
/// Something has come that was not given to others.
const ACTIVE: u8 = 2;
/// More constants have come than are of use: those that were given to others stay, no more come.
const MANY: u8 = 4;
/// The logarithm of the room for objects is from this bit on.
const ROOM: u8 = 3;

/// There were too many of something that no class stands for.
const BARE: u8 = 1 << 7;

/// Bits of `groups` that count constants.
const COUNTED: u8 = 15;
impl Set {
    /// Logarithm of the room for objects.
    #[inline]
    const fn room(&self) -> u8 {
        self.state >> ROOM & 15
    }
}

impl Default for Set {
    fn default() -> Self {
        Self { at: Object(0), head: 0, copies: 0, len: 0, done: 0, groups: 0, state: 0 }
    }
}

/// The variables of one shard.
#[derive(Debug, Default)]
pub(super) struct Shard {
    sets: Vec<Set>,
    objects: Vec<Object>,
    /// Places in `objects` that are free, by the logarithm of their room.
    free: [Vec<u32>; 9],
    links: Vec<Link>,
    /// Variables that others are copied to, in runs whose lengths are powers of two; the first place tells how many there are.
    runs: Vec<u32>,
    /// Runs that are free, by the logarithm of their length.
    free_runs: [Vec<u32>; 32],
    /// What has come in this round to places that have no room for it.
    late: Vec<(u32, Object)>,
    /// Variables, by place in the shard, with something new.
    pub(super) active: Vec<u32>,
    /// Edges that are new, with the place of the variable that they come from, where it holds something.
    pub(super) fresh: Vec<(u32, u32)>,
    /// Copies that are new: from the variable at this place, to that variable.
    pub(super) fresh_copies: Vec<(u32, u32)>,
}

impl Shard {
    /// What the variable at this place holds.
    #[inline]
    pub(super) fn all(&self, place: u32) -> &[Object] {
        match self.sets.get(place as usize) {
            Some(set) => self.objects_of(set),
            None => &[],
        }
    }

    #[inline]
    fn objects_of<'a>(&'a self, set: &'a Set) -> &'a [Object] {
        if set.room() == 0 {
            &std::slice::from_ref(&set.at)[..usize::from(set.len)]
        } else {
            &self.objects[set.at.0 as usize..][..usize::from(set.len)]
        }
    }

    /// The variable at this place is soon to be asked for or sent to.
    #[inline(always)]
    pub(super) fn prefetch(&self, place: u32) {
        prefetch(&self.sets, place as usize);
    }

    /// The same, later on: its objects, and with `edges` its first edge.
    #[inline(always)]
    pub(super) fn prefetch_more(&self, place: u32, edges: bool) {
        let Some(set) = self.sets.get(place as usize) else { return };
        if set.room() > 0 {
            prefetch(&self.objects, set.at.0 as usize);
        }
        if edges && set.copies & RUN != 0 {
            prefetch(&self.runs, (set.copies ^ RUN) as usize);
        }
        if edges && let Some(first) = set.head.checked_sub(1) {
            prefetch(&self.links, first as usize);
        }
    }

    /// What has come to it and was not given to others.
    #[inline]
    pub(super) fn new_ones(&self, place: u32) -> &[Object] {
        let set = &self.sets[place as usize];
        &self.objects_of(set)[usize::from(set.done)..]
    }

    /// True where what may be called was cut off.
    #[inline]
    pub(super) fn is_top(&self, place: u32) -> bool {
        self.sets.get(place as usize).is_some_and(|set| set.state & (TOP | BARE) != 0)
    }

    /// True where nothing may be said of its constants.
    pub(super) fn has_any_constant(&self, place: u32) -> bool {
        self.sets.get(place as usize).is_some_and(|set| set.state & (TOP | MANY) != 0)
    }

    /// Variables that the one at this place is copied to.
    #[inline]
    pub(super) fn copies(&self, place: u32) -> &[u32] {
        let copies = &self.sets[place as usize].copies;
        match *copies {
            0 => &[],
            run if run & RUN != 0 => {
                let at = (run ^ RUN) as usize;
                &self.runs[at + 1..][..self.runs[at] as usize]
            }
            _ => std::slice::from_ref(copies),
        }
    }

    /// Other edges from the variable at this place, with their numbers.
    #[inline]
    pub(super) fn edges(&self, place: u32) -> impl Iterator<Item = (u32, Edge)> + '_ {
        let mut next = self.sets[place as usize].head;
        std::iter::from_fn(move || {
            let number = next.checked_sub(1)?;
            let link = self.links[number as usize];
            next = link.next & NEXT;
            Some((number, self.edge(number)))
        })
    }

    #[inline]
    pub(super) fn edge(&self, number: u32) -> Edge {
        let Link { to, extra, next } = self.links[number as usize];
        Edge { to, extra, via: VIAS[(next >> 28) as usize] }
    }

    pub(super) fn edge_count(&self) -> usize {
        self.links.len() + (0..self.sets.len() as u32).map(|place| self.copies(place).len()).sum::<usize>()
    }

    /// Makes room for variables up to this place.
    pub(super) fn grow(&mut self, places: usize) {
        if self.sets.capacity() < places {
            // Most of them were there from the start.
            self.sets.reserve_exact(places - self.sets.len() + places / 8);
        }
        if self.sets.len() < places {
            self.sets.resize(places, Set::default());
        }
    }

    /// Everything new has been given to others.
    pub(super) fn done(&mut self) {
        for place in self.active.drain(..) {
            let set = &mut self.sets[place as usize];
            set.done = set.len;
            set.state &= !ACTIVE;
        }
        self.fresh.clear();
        self.fresh_copies.clear();
    }

    /// True where something must go along edges that are new.
    pub(super) fn is_linked(&self) -> bool {
        !self.fresh.is_empty() || !self.fresh_copies.is_empty()
    }

    /// The variable at this place is copied to that one.
    pub(super) fn copy(&mut self, place: u32, to: u32) {
        let set = &mut self.sets[place as usize];
        if set.copies == 0 {
            set.copies = to;
        } else if set.copies & RUN == 0 {
            let only = set.copies;
            if only == to {
                return;
            }
            let run = self.run(2);
            self.runs[run as usize..][..3].copy_from_slice(&[2, only, to]);
            self.sets[place as usize].copies = run | RUN;
        } else {
            let run = set.copies ^ RUN;
            let len = self.runs[run as usize] as usize;
            if len <= LOOKED_AT && self.runs[run as usize + 1..][..len].contains(&to) {
                return;
            }
            let run = if (len + 1).is_power_of_two() && len > 2 {
                let size = (len + 1).trailing_zeros();
                let next = self.run(size + 1);
                self.runs.copy_within(run as usize..run as usize + len + 1, next as usize);
                self.free_runs[size as usize].push(run);
                self.sets[place as usize].copies = next | RUN;
                next
            } else {
                run
            };
            self.runs[run as usize] += 1;
            self.runs[run as usize + len + 1] = to;
        }
        if self.sets[place as usize].len > 0 {
            self.fresh_copies.push((place, to));
        }
    }

    /// A run of 2^`size` places.
    fn run(&mut self, size: u32) -> u32 {
        self.free_runs[size as usize].pop().unwrap_or_else(|| {
            let run = self.runs.len();
            self.runs.resize(run + (1 << size), 0);
            run as u32
        })
    }

    /// Adds another edge from the variable at this place.
    pub(super) fn link(&mut self, place: u32, edge: Edge) {
        let set = &mut self.sets[place as usize];
        self.links.push(Link {
            to: edge.to,
            extra: edge.extra,
            next: (set.head & NEXT) | (edge.via as u32) << 28,
        });
        set.head = self.links.len() as u32;
        if set.len > 0 {
            self.fresh.push((place, self.links.len() as u32 - 1));
        }
    }

    /// `object` comes to the variable at this place.
    #[inline]
    pub(super) fn receive(&mut self, place: u32, object: Object) {
        let set = self.sets[place as usize];
        let group = Group::of(object);
        let constant = group == Group::Constant;
        if set.state & TOP != 0
            || constant && (set.state & MANY != 0 || set.groups & COUNTED > CONSTANTS)
            || !is_plain(object) && self.is_cut(&set, group)
            || is_among(object, self.objects_of(&set))
        {
            return;
        }
        if !constant && u32::from(set.len - (set.groups & COUNTED)) >= MOST {
            self.late.push((place, object));
        } else {
            self.push(place, object);
        }
        let set = &mut self.sets[place as usize];
        set.groups += u8::from(constant);
        if set.state & ACTIVE == 0 {
            set.state |= ACTIVE;
            self.active.push(place);
        }
    }

    /// True where there were too many of this group.
    fn is_cut(&self, set: &Set, group: Group) -> bool {
        match group {
            // Something outside stands for all of it, once it was given to others.
            Group::Outside => self.objects_of(set)[..usize::from(set.done)].contains(&Object::EXTERNAL),
            Group::Other => set.state & BARE != 0,
            _ => set.groups & group.cut() != 0,
        }
    }

    fn push(&mut self, place: u32, object: Object) {
        let set = self.sets[place as usize];
        let room = set.room();
        if u32::from(set.len) == 1 << room {
            let next = self.free[usize::from(room) + 1].pop().unwrap_or_else(|| {
                let next = self.objects.len() as u32;
                self.objects.resize(self.objects.len() + (2 << room), Object(0));
                next
            });
            if room == 0 {
                self.objects[next as usize] = set.at;
            } else {
                let old = set.at.0 as usize;
                self.objects.copy_within(old..old + usize::from(set.len), next as usize);
                self.free[usize::from(room)].push(set.at.0);
            }
            let set = &mut self.sets[place as usize];
            set.at = Object(next);
            set.state += 1 << ROOM;
        }
        let set = &mut self.sets[place as usize];
        let len = usize::from(set.len);
        set.len += 1;
        if set.room() == 0 {
            set.at = object;
        } else {
            self.objects[set.at.0 as usize + len] = object;
        }
    }

    fn top(&mut self, place: u32) {
        let set = &mut self.sets[place as usize];
        let room = set.room();
        if room > 0 {
            self.free[usize::from(room)].push(set.at.0);
        }
        // That this is so is told to the others.
        *set = Set {
            at: Object::MANY,
            head: set.head,
            copies: set.copies,
            len: 1,
            state: TOP | set.state & ACTIVE,
            ..Set::default()
        };
    }

    /// Everything of this round has come: what is too much is cut off.
    pub(super) fn cut(&mut self, caps: Caps, classes: &impl Hierarchy) {
        self.late.sort_unstable();
        self.late.dedup();
        for at in 0..self.active.len() {
            let place = self.active[at];
            let set = self.sets[place as usize];
            if set.groups & COUNTED > CONSTANTS {
                self.forget_constants(place);
            }
            let set = self.sets[place as usize];
            if u32::from(set.len - (set.groups & COUNTED)) > caps.containers().min(MOST - 1) {
                self.cut_one(place, caps, classes);
            }
        }
        self.late.clear();
    }

    fn cut_one(&mut self, place: u32, caps: Caps, classes: &impl Hierarchy) {
        let set = self.sets[place as usize];
        let first = self.late.partition_point(|late| late.0 < place);
        let late = self.late[first..].iter().take_while(|late| late.0 == place).map(|late| late.1);
        let mut kinds = [0; KINDS.len()];
        let (mut plain, mut outside) = (0, 0);
        for object in self.objects_of(&set).iter().copied().chain(late.clone()) {
            kinds[object.kind() as usize] += 1;
            if object.kind() == Kind::External {
                let is_outside = u32::from(!is_plain(object));
                (plain, outside) = (plain + 1 - is_outside, outside + is_outside);
            }
        }
        kinds[Kind::External as usize] = 0;
        let mut counts = [0; GROUPS.len()];
        for (kind, count) in KINDS.into_iter().zip(kinds) {
            counts[Group::of(Object::new(kind, 0)) as usize] += count;
        }
        counts[Group::Outside as usize] += outside;
        counts[Group::Other as usize] += plain;
        let too_many = GROUPS.map(|group| counts[group as usize] > caps.of(group));
        let late: Vec<Object> = late.collect();
        // A variable through which so much goes tells nothing.
        let others = [Group::Function, Group::Instance, Group::Class].map(|group| counts[group as usize]);
        let full = too_many[Group::Container as usize] || set.groups & Group::Container.cut() != 0;
        if full && others.iter().sum::<u32>() > caps.containers() {
            self.top(place);
            return;
        }
        if late.is_empty() && !too_many.contains(&true) {
            return;
        }
        let all = self.objects_of(&set);
        let (given, new) = all.split_at(usize::from(set.done));
        let (mut given, mut new) = (given.to_vec(), [new, &late].concat());
        let (mut groups, mut bare) = (set.groups, set.state & BARE);
        for group in GROUPS {
            if group == Group::Constant || !too_many[group as usize] {
                continue;
            }
            groups |= group.cut();
            let of_group = |object: &Object| Group::of(*object) == group && !is_plain(*object);
            let common = |kind: Kind| {
                let members = given.iter().chain(&new).filter(|object| of_group(object));
                let mut members: Vec<u32> = members.map(|object| object.number()).collect();
                members.sort_unstable();
                members.dedup();
                classes.common(&members).map(|base| Object::new(kind, base))
            };
            // What stands for them.
            let base = match group {
                Group::Instance => common(Kind::Receiver),
                Group::Class => common(Kind::ClassReceiver),
                Group::Outside => Some(Object::EXTERNAL),
                _ => None,
            };
            if base.is_none() && group != Group::Container {
                bare = BARE;
            }
            for objects in [&mut given, &mut new] {
                objects.retain(|object| !of_group(object) || Some(*object) == base);
            }
            // All that lies outside stands for all of that: nothing is missing.
            let many = (group != Group::Outside).then_some(Object::MANY);
            for object in base.into_iter().chain(many) {
                if !given.contains(&object) && !new.contains(&object) {
                    new.push(object);
                }
            }
        }
        let constants = usize::from(groups & COUNTED);
        if given.len() + new.len() > MOST as usize + constants {
            self.top(place);
            return;
        }
        let set = &mut self.sets[place as usize];
        (set.len, set.done, set.groups) = (0, given.len() as u8, groups);
        set.state |= bare;
        for object in given.into_iter().chain(new) {
            self.push(place, object);
        }
    }

    /// Constants that came in this round are too many.
    fn forget_constants(&mut self, place: u32) {
        let set = &mut self.sets[place as usize];
        set.state |= MANY;
        let objects = &mut self.objects[set.at.0 as usize..][..usize::from(set.len)];
        let mut kept = usize::from(set.done);
        let is_constant = |object: &&Object| object.kind() == Kind::Constant;
        set.groups = set.groups & !COUNTED | objects[..kept].iter().filter(is_constant).count() as u8;
        for at in usize::from(set.done)..objects.len() {
            if !is_constant(&&objects[at]) {
                objects[kept] = objects[at];
                kept += 1;
            }
        }
        set.len = kept as u8;
    }
}

/// True where one of `objects` is `object`: eight at a time, for they lie in a row.
#[inline]
fn is_among(object: Object, objects: &[Object]) -> bool {
    let (eights, others) = objects.as_chunks::<8>();
    eights.iter().any(|eight| eight.iter().fold(false, |found, &other| found | (other == object)))
        || others.contains(&object)
}

/// True for what nothing is known of, which is never too much.
fn is_plain(object: Object) -> bool {
    object.kind() == Kind::External && object.as_outside().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Classes by tens: 20 stands for 21 to 29, 0 for nothing.
    struct Tens;

    impl Hierarchy for Tens {
        fn common(&self, classes: &[u32]) -> Option<u32> {
            let base = classes[0] / 10 * 10;
            (base > 0 && classes.iter().all(|class| class / 10 * 10 == base)).then_some(base)
        }
    }

    /// A variable to which all this comes in one round.
    fn received(caps: Caps, objects: impl IntoIterator<Item = Object>) -> Shard {
        let mut shard = Shard::default();
        shard.grow(1);
        round(&mut shard, caps, objects);
        shard
    }

    fn round(shard: &mut Shard, caps: Caps, objects: impl IntoIterator<Item = Object>) {
        shard.done();
        for object in objects {
            shard.receive(0, object);
        }
        shard.cut(caps, &Tens);
    }

    fn many(kind: Kind, count: u32) -> impl DoubleEndedIterator<Item = Object> + Clone {
        (0..count).map(move |id| Object::new(kind, id))
    }

    fn held(shard: &Shard) -> Vec<Object> {
        let mut all = shard.all(0).to_vec();
        all.sort_unstable();
        all
    }

    #[test]
    fn what_is_too_much_of_one_group_is_cut_beside_all_else() {
        for values in [1, 8, 32, 82, 83, 127, 128, 200] {
            let caps = Caps { values };
            for (functions, modules) in
                [(2 * values, values), (2 * values + 1, 0), (0, values + 1), (300, 300)]
            {
                let all = many(Kind::Function, functions)
                    .chain(many(Kind::Module, modules))
                    .chain(many(Kind::Constant, 8));
                let cut = functions > 2 * values || modules > values || functions + modules > MOST;
                let kept = |count: u32, cap: u32| if count > cap { 0 } else { count };
                let left = kept(functions, 2 * values) + kept(modules, values);
                let expected = if left > MOST { 1 } else { left + 8 + u32::from(cut) };
                for shard in [received(caps, all.clone()), received(caps, all.rev())] {
                    assert_eq!(
                        shard.is_top(0),
                        cut,
                        "{functions} functions and {modules} modules at {values}"
                    );
                    assert_eq!(shard.all(0).contains(&Object::MANY), cut);
                    assert_eq!(shard.all(0).len(), expected as usize, "{functions}, {modules}, {values}");
                }
            }
        }
    }

    #[test]
    fn constants_that_are_too_many_are_forgotten_beside_all_else() {
        let caps = Caps { values: 200 };
        let all = many(Kind::Constant, 300).chain(many(Kind::Function, MOST));
        for shard in [received(caps, all.clone()), received(caps, all.rev())] {
            assert!(!shard.is_top(0) && shard.has_any_constant(0));
            assert_eq!(shard.all(0).len(), MOST as usize);
        }
    }

    #[test]
    fn a_class_stands_for_instances_that_are_too_many() {
        let caps = Caps { values: 8 };
        let of = |kind: Kind, classes: &[u32]| -> Vec<Object> {
            classes.iter().map(|&class| Object::new(kind, class)).collect()
        };
        let mut all = of(Kind::Instance, &[21, 22, 23, 24, 25]);
        all.extend(of(Kind::Class, &[1, 2]));
        let mut expected = of(Kind::Class, &[1, 2]);
        expected.extend([Object::new(Kind::Receiver, 20), Object::MANY]);
        expected.sort_unstable();
        for mut shard in [received(caps, all.iter().copied()), received(caps, all.iter().rev().copied())] {
            assert_eq!(held(&shard), expected);
            assert!(!shard.is_top(0));
            // No more of them come.
            round(&mut shard, caps, of(Kind::Instance, &[26, 33]));
            assert_eq!(held(&shard), expected);
            round(&mut shard, caps, of(Kind::Class, &[41]));
            assert_eq!(shard.all(0).len(), expected.len() + 1);
        }
    }

    #[test]
    fn what_no_class_stands_for_is_cut() {
        let shard = received(Caps { values: 8 }, many(Kind::Instance, 9).chain(many(Kind::Function, 3)));
        assert!(shard.is_top(0));
        assert_eq!(shard.all(0).len(), 4);
    }

    #[test]
    fn a_variable_through_which_too_many_containers_go_tells_nothing_where_there_is_much_else() {
        let caps = Caps { values: 8 };
        let few = received(caps, many(Kind::Container, 3).chain(many(Kind::Instance, 2)));
        assert!(!few.is_top(0));
        assert_eq!(few.all(0).len(), 3);
        let full = received(caps, many(Kind::Container, 3).chain(many(Kind::Instance, 3)));
        assert!(full.is_top(0));
        assert_eq!(full.all(0), [Object::MANY]);
    }
}
