//! Whole-program value flow: which functions and classes reach which call.
//!
//! An inclusion-based analysis (Andersen, "Program Analysis and Specialization for the C Programming Language", 1994) over the
//! constraints that extraction wrote, with the call graph built on the way. Variables of a file and the cells of its names are
//! contiguous numbers; every abstract object is named by one site or symbol, and none is made of another, so that there are finitely many.
//!
//! [`program`] lays the constraints of all files out, [`solve`] finds what each variable may hold, and
//! [`derive`] reads the callees of each site off that.

mod apply;
mod derive;
mod known;
mod parts;
mod program;
mod sets;
mod solve;

pub(crate) use derive::{Callees, Site, Target, callees};
pub(crate) use parts::Parts;
pub(crate) use sets::Caps;
pub(crate) use solve::solve;

/// An abstract value: its kind in the upper four bits, a number in the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Object(u32);

/// Kinds of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Kind {
    /// A function, by symbol.
    Function,
    /// A method with its receiver bound, by symbol.
    Bound,
    /// A class, by symbol.
    Class,
    /// An instance of exactly this class.
    Instance,
    /// `self`, or what an annotation says: an instance of this class or of one below it.
    Receiver,
    /// `cls`: this class or one below it.
    ClassReceiver,
    /// A module, by file.
    Module,
    /// A namespace package.
    Namespace,
    /// A container, by the constraint that makes it: see [`Object::container`].
    Container,
    /// `functools.partial(...)`, by its call.
    Partial,
    /// `super()`, by its constraint.
    Super,
    /// A function or class of the standard library that is known, by number.
    Known,
    /// A string, by name.
    Text,
    /// A number.
    Number,
    /// What a call of a generator or coroutine gives, by symbol.
    Running,
    /// Something outside the project.
    External,
}

const KINDS: [Kind; 16] = [
    Kind::Function,
    Kind::Bound,
    Kind::Class,
    Kind::Instance,
    Kind::Receiver,
    Kind::ClassReceiver,
    Kind::Module,
    Kind::Namespace,
    Kind::Container,
    Kind::Partial,
    Kind::Super,
    Kind::Known,
    Kind::Text,
    Kind::Number,
    Kind::Running,
    Kind::External,
];

/// The numbers that an object may have.
const NUMBERS: u32 = (1 << 28) - 1;

impl Object {
    /// Something outside the project.
    pub(crate) const EXTERNAL: Self = Self::new(Kind::External, 0);

    pub(crate) const fn new(kind: Kind, number: u32) -> Self {
        Self((kind as u32) << 28 | (number & NUMBERS))
    }

    #[inline]
    pub(crate) const fn kind(self) -> Kind {
        KINDS[(self.0 >> 28) as usize]
    }

    /// What row `row` of the project makes: elements of it that are pairs, or itself.
    pub(crate) const fn container(row: u32, pairs: bool, dictionary: bool) -> Self {
        Self::new(Kind::Container, row << 2 | (dictionary as u32) << 1 | pairs as u32)
    }

    /// True for a container that is a dictionary.
    #[inline]
    pub(crate) const fn is_dictionary(self) -> bool {
        self.0 & 2 != 0
    }

    #[inline]
    pub(crate) const fn number(self) -> u32 {
        self.0 & NUMBERS
    }
}
