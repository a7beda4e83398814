//! Bytes to text to AST to facts, for one file at a time.
//!
//! Knows no path: what comes out is a function of the bytes and the kind of file.

pub mod decode;
mod nesting;
mod whole;

pub use whole::{Outcome, Scratch};
