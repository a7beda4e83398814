//! Whole-program value flow: which functions and classes reach which call.
//!
//! An inclusion-based analysis (Andersen, "Program Analysis and Specialization for the C Programming Language", 1994) over the
//! constraints that extraction wrote, with the call graph built on the way. Variables of a file and the cells of its names are
//! contiguous numbers; every abstract object is named by one site or symbol, and none is made of another, so that there are finitely many.
//!
//! [`lay`] lays the constraints of files out, [`copies`] those of decorators once more for each decoration, [`program`] has them all,
//! [`simplify`] makes them fewer and [`code`] packs them; [`solve`] finds what each variable may hold, and
//! [`derive`] reads the callees of each site off that.

mod apply;
mod code;
mod copies;
mod derive;
mod known;
mod lay;
mod outside;
mod parts;
mod program;
mod relays;
mod sets;
mod simplify;
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
    /// A module, by file, or a namespace package: see [`Object::namespace`].
    Module,
    /// A container, by the constraint that makes it: see [`Object::container`].
    Container,
    /// `functools.partial(...)`, by its call.
    Partial,
    /// `super()`, by its constraint.
    Super,
    /// A function or class of the standard library that is known, by number.
    Known,
    /// A string, by name, or a number: see [`Object::number_constant`].
    Constant,
    /// `register` of a function that `functools.singledispatch` was applied to, or `type.__call__`: see [`Object::maker`].
    Register,
    /// What a class that decorates a function makes of it: a call of it is taken to give the function its arguments and to give what
    /// the function returns, besides calling what the class says.
    Decorated,
    /// What a call of a generator or coroutine gives, by symbol.
    Running,
    /// Something outside the project: see [`Object::outside`].
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
    Kind::Container,
    Kind::Partial,
    Kind::Super,
    Kind::Known,
    Kind::Constant,
    Kind::Register,
    Kind::Decorated,
    Kind::Running,
    Kind::External,
];

/// Tells numbers from strings, and namespace packages from modules.
const UPPER: u32 = 1 << 27;

/// The numbers that an object may have.
const NUMBERS: u32 = (1 << 28) - 1;

impl Object {
    /// Something outside the project.
    pub(crate) const EXTERNAL: Self = Self::new(Kind::External, 0);

    /// What comes to a parameter that nothing in the project is given to.
    pub(crate) const UNBOUND: Self = Self::new(Kind::External, 1);

    /// More than is of use.
    pub(crate) const MANY: Self = Self::new(Kind::External, 2);

    pub(crate) const fn new(kind: Kind, number: u32) -> Self {
        Self((kind as u32) << 28 | (number & NUMBERS))
    }

    #[inline]
    pub(crate) const fn kind(self) -> Kind {
        KINDS[(self.0 >> 28) as usize]
    }

    /// Namespace package number `number`.
    pub(crate) const fn namespace(number: u32) -> Self {
        Self::new(Kind::Module, number | UPPER)
    }

    /// The namespace package that a module is.
    pub(crate) const fn as_namespace(self) -> Option<u32> {
        if self.0 & UPPER != 0 { Some(self.number() & (UPPER - 1)) } else { None }
    }

    /// What makes instances of a class when its metaclass has said its say: `type.__call__`.
    pub(crate) const fn maker(class: u32) -> Self {
        Self::new(Kind::Register, class | UPPER)
    }

    /// The class of which it makes instances.
    pub(crate) const fn as_maker(self) -> Option<u32> {
        if self.0 & UPPER != 0 { Some(self.number() & (UPPER - 1)) } else { None }
    }

    /// A number.
    pub(crate) const fn number_constant(value: u32) -> Self {
        Self::new(Kind::Constant, (value & (UPPER - 1)) | UPPER)
    }

    /// The number that a constant is.
    pub(crate) const fn as_number(self) -> Option<u32> {
        if self.0 & UPPER != 0 { Some(self.number() & (UPPER - 1)) } else { None }
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
