//! AST to facts: a pure function of the text, with no I/O and no knowledge of other files.

mod ahead;
mod builder;
mod depth;
mod docstring;
mod expressions;
mod flow;
mod large;
mod lines;
mod measures;
mod parser;
mod scopes;
mod statements;
mod stream;

pub use ahead::AHEAD;
pub use builder::{Extractor, MAX_DEPTH, Refused, STACK, TextInfo};
pub(crate) use depth::is_deep_allowed;
pub use depth::{DEEP_DEPTH, DEEP_STACK, allow_deep, allow_large};
pub use lines::Lines;
pub(crate) use parser::parse;
pub use stream::{LargePiece, MAX_BLOCKS, MAX_PIECE, Pieces, Watch};

#[cfg(test)]
mod tests;
