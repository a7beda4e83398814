//! What the table of the standard library's types is made of, for the build script that writes it and the module that reads it.
//!
//! It is a row of words of 32 bits, little-endian, and texts after them. First come the places of the columns, see [`Column`]. A *thing* is a
//! module, a class, a function or a variable; they are numbered from 1, and 0 is none. A text is where it begins among the texts: a byte
//! that says how long it is, and the bytes.
//!
//! What a thing is made of is a block of words in [`Column::Data`]; where equal ones would be, there is one.
//!
//! * Module, class: where the block of its ancestors is, how many members there are, the members sorted by name. A member
//!   is a thing by its own name, or with [`RENAMED`] a row of [`Column::Renamed`].
//! * Ancestors of a class: how many bases, how many classes in its method resolution order but for itself, the bases, that order.
//! * Function: how many overloads; of each one a word with the least and most positional arguments, the count of types and that of
//!   parameters that are called, a byte each from the lowest on; the types; the parameters, position in the upper eight bits, name in the others.
//! * Property, variable: how many types, the types.
//!
//! A type is a tag in the lower [`TAG_BITS`] bits, and the thing in those above.

/// Columns, in their order; the head of the table says at which word each one begins.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum Column {
    /// Of each thing: its kind in the lower [`KIND_BITS`] bits, above these its name.
    Head,
    /// Of each thing: what it is shown below.
    Parent,
    /// Of each thing: where its block is in [`Column::Data`].
    Block,
    /// Blocks.
    Data,
    /// Members by another name than their own: name, thing.
    Renamed,
    /// Modules, sorted by their dotted name: that name, thing.
    Modules,
    /// Texts.
    Texts,
}

/// What a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Kind {
    /// A module.
    Module = 1,
    /// A class.
    Class,
    /// A function of a module.
    Function,
    /// A method that gets an instance.
    Method,
    /// A method that gets nothing.
    StaticMethod,
    /// A method that gets the class, `__new__` too.
    ClassMethod,
    /// A property.
    Property,
    /// Anything else that has a name, such as a constant or an attribute.
    Variable,
}

/// Bits of a kind.
pub(crate) const KIND_BITS: u32 = 4;
/// How far up the name of a thing is.
pub(crate) const NAME_SHIFT: u32 = KIND_BITS;
/// Set in a member that has another name than the thing.
pub(crate) const RENAMED: u32 = 1 << 31;
/// Most positional arguments where there is no limit; position of a parameter that has none.
pub(crate) const MANY: u32 = 255;

/// Bits of the tag of a type.
pub(crate) const TAG_BITS: u32 = 3;
/// Tag of `None`; that of a type which can't be told is 0.
pub(crate) const NONE: u32 = 1;
/// Tag of an instance of the receiver's class.
pub(crate) const OWN: u32 = 2;
/// Tag of the receiver's class.
pub(crate) const OWN_CLASS: u32 = 3;
/// Tag of an instance of a class.
pub(crate) const INSTANCE: u32 = 4;
/// Tag of a class.
pub(crate) const CLASS: u32 = 5;
