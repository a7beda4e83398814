//! AST to facts: a pure function of the text, with no I/O and no knowledge of other files.

mod ahead;
mod builder;
mod depth;
mod docstring;
mod expressions;
mod large;
mod lines;
mod measures;
mod statements;
mod stream;

pub use ahead::AHEAD;
pub use builder::{Extractor, MAX_DEPTH, Refused, STACK, TextInfo};
pub(crate) use depth::limit as depth_limit;
pub use depth::{DEEP_DEPTH, DEEP_STACK, allow_deep};
pub use lines::Lines;
pub use stream::{LargePiece, MAX_BLOCKS, Pieces, Watch};

#[cfg(test)]
mod tests;
