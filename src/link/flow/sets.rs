//! Sets of objects and the edges between them, in shards that one thread each changes: variable `v` lies in shard `v` modulo their number.

use super::{Kind, Object};

/// What one variable may hold before it counts as holding anything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caps {
    /// Classes, instances and all else but functions.
    pub(crate) values: u32,
}

impl Caps {
    /// Functions: a site may have as many callees as [`crate::link::links::MEGAMORPHIC`] by default.
    const fn functions(self) -> u32 {
        self.values * 2
    }

    /// Containers, which multiply what flows through them.
    const fn containers(self) -> usize {
        (self.values as usize).div_ceil(4)
    }
}

/// Constants that one variable may hold.
const CONSTANTS: u8 = 8;
/// Objects but constants that one variable may hold, whatever the caps: a [`Set`] counts up to 255, constants and one too many among them.
const MOST: u32 = 240;

/// How an edge changes what goes along it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Via {
    Copy,
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

/// An edge that was found.
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

const VIAS: [Via; 16] = [
    Via::Copy,
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
    /// Number +1 of the first of its edges.
    head: u32,
    len: u8,
    /// Those that were given to others.
    done: u8,
    constants: u8,
    state: u8,
}

/// It holds more than is of use, and gives nothing more to others.
const TOP: u8 = 1;
/// Something has come that was not given to others.
const ACTIVE: u8 = 2;
/// More constants have come than are of use: those that were given to others stay, no more come.
const MANY: u8 = 4;
/// The logarithm of the room for objects is from this bit on.
const ROOM: u8 = 3;

impl Default for Set {
    fn default() -> Self {
        Self { at: Object(0), head: 0, len: 0, done: 0, constants: 0, state: 0 }
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
    /// Variables, by place in the shard, with something new.
    pub(super) active: Vec<u32>,
    /// Edges that are new, with the place of the variable that they come from, where it holds something.
    pub(super) fresh: Vec<(u32, u32)>,
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
        if set.state >> ROOM == 0 {
            &std::slice::from_ref(&set.at)[..usize::from(set.len)]
        } else {
            &self.objects[set.at.0 as usize..][..usize::from(set.len)]
        }
    }

    /// What has come to it and was not given to others.
    #[inline]
    pub(super) fn new_ones(&self, place: u32) -> &[Object] {
        let set = &self.sets[place as usize];
        &self.objects_of(set)[usize::from(set.done)..]
    }

    #[inline]
    pub(super) fn is_top(&self, place: u32) -> bool {
        self.sets.get(place as usize).is_some_and(|set| set.state & TOP != 0)
    }

    /// True where nothing may be said of its constants.
    pub(super) fn has_any_constant(&self, place: u32) -> bool {
        self.sets.get(place as usize).is_some_and(|set| set.state & (TOP | MANY) != 0)
    }

    /// True where it would change nothing if `object` came.
    #[inline]
    pub(super) fn has(&self, place: u32, object: Object) -> bool {
        let Some(set) = self.sets.get(place as usize) else { return false };
        set.state & TOP != 0 || self.objects_of(set).contains(&object)
    }

    /// Those of `objects` that would change something if they came.
    #[inline]
    pub(super) fn lacking(&self, place: u32, objects: &[Object], mut each: impl FnMut(Object)) {
        let Some(set) = self.sets.get(place as usize) else {
            objects.iter().for_each(|&object| each(object));
            return;
        };
        if set.state & TOP != 0 {
            return;
        }
        let there = self.objects_of(set);
        for &object in objects {
            if !there.contains(&object) {
                each(object);
            }
        }
    }

    /// Edges from the variable at this place, with their numbers.
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
        self.links.len()
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
    }

    /// Adds an edge from the variable at this place.
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
    pub(super) fn receive(&mut self, place: u32, object: Object, caps: Caps) {
        let set = self.sets[place as usize];
        let constant = object.kind() == Kind::Constant;
        if set.state & TOP != 0
            || constant && (set.state & MANY != 0 || set.constants > CONSTANTS)
            || self.objects_of(&set).contains(&object)
        {
            return;
        }
        self.push(place, object);
        let set = &mut self.sets[place as usize];
        set.constants += u8::from(constant);
        let many = !constant && u32::from(set.len - set.constants) > caps.values;
        if set.state & ACTIVE == 0 {
            set.state |= ACTIVE;
            self.active.push(place);
        }
        if many && self.is_too_much(place, caps) {
            self.top(place);
        }
    }

    /// True where there are more functions, or more of all else, than are of use.
    fn is_too_much(&self, place: u32, caps: Caps) -> bool {
        let (mut functions, mut others) = (0, 0);
        for object in self.all(place) {
            match object.kind() {
                Kind::Function | Kind::Bound => functions += 1,
                Kind::Constant => {}
                _ => others += 1,
            }
        }
        functions > caps.functions() || others > caps.values || functions + others > MOST
    }

    fn push(&mut self, place: u32, object: Object) {
        let set = self.sets[place as usize];
        let room = set.state >> ROOM;
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
        if set.state >> ROOM == 0 {
            set.at = object;
        } else {
            self.objects[set.at.0 as usize + len] = object;
        }
    }

    fn top(&mut self, place: u32) {
        let set = &mut self.sets[place as usize];
        let room = set.state >> ROOM;
        if room > 0 {
            self.free[usize::from(room)].push(set.at.0);
        }
        // That this is so is told to the others.
        *set = Set {
            at: Object::MANY,
            head: set.head,
            len: 1,
            state: TOP | set.state & ACTIVE,
            ..Set::default()
        };
    }

    /// Everything of this round has come: what is too much is cut off.
    pub(super) fn cut(&mut self, caps: Caps) {
        for at in 0..self.active.len() {
            let place = self.active[at];
            let set = self.sets[place as usize];
            if set.constants > CONSTANTS {
                self.forget_constants(place);
            }
            let set = &self.sets[place as usize];
            if usize::from(set.len) > caps.containers() {
                let all = self.objects_of(set);
                let containers = all.iter().filter(|object| object.kind() == Kind::Container).count();
                if containers > caps.containers() {
                    self.top(place);
                }
            }
        }
    }

    /// Constants that came in this round are too many.
    fn forget_constants(&mut self, place: u32) {
        let set = &mut self.sets[place as usize];
        set.state |= MANY;
        let objects = &mut self.objects[set.at.0 as usize..][..usize::from(set.len)];
        let mut kept = usize::from(set.done);
        let is_constant = |object: &&Object| object.kind() == Kind::Constant;
        set.constants = objects[..kept].iter().filter(is_constant).count() as u8;
        for at in usize::from(set.done)..objects.len() {
            if !is_constant(&&objects[at]) {
                objects[kept] = objects[at];
                kept += 1;
            }
        }
        set.len = kept as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A variable to which all this comes in one round.
    fn received(caps: Caps, objects: impl IntoIterator<Item = Object>) -> Shard {
        let mut shard = Shard::default();
        shard.grow(1);
        for object in objects {
            shard.receive(0, object, caps);
        }
        shard.cut(caps);
        shard
    }

    fn many(kind: Kind, count: u32) -> impl DoubleEndedIterator<Item = Object> + Clone {
        (0..count).map(move |id| Object::new(kind, id))
    }

    #[test]
    fn what_is_too_much_for_a_set_is_cut_at_any_cap() {
        for values in [1, 8, 32, 82, 83, 127, 128, 200] {
            let caps = Caps { values };
            for (functions, others) in
                [(2 * values, values), (2 * values + 1, 0), (0, values + 1), (300, 300)]
            {
                let all = many(Kind::Function, functions)
                    .chain(many(Kind::Class, others))
                    .chain(many(Kind::Constant, 8));
                let cut = functions > 2 * values || others > values || functions + others > MOST;
                for shard in [received(caps, all.clone()), received(caps, all.rev())] {
                    assert_eq!(
                        shard.is_top(0),
                        cut,
                        "{functions} functions and {others} classes at {values}"
                    );
                    let held = if cut { 1 } else { functions + others + 8 };
                    assert_eq!(shard.all(0).len(), held as usize);
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
}
