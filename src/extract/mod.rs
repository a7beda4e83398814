//! AST to facts: a pure function of the text, with no I/O and no knowledge of other files.

mod builder;
mod depth;
mod expressions;
mod lines;
mod measures;
mod statements;

pub use builder::{Extractor, MAX_DEPTH, TextInfo, TooDeep};
pub use lines::Lines;
