//! Plain data shared by every stage: what a source file is, what was found in it, what the linked graph holds, what
//! a run cost.
//!
//! Nothing here knows a parser, a cache, a database or a terminal.

pub mod block;
pub(crate) mod check;
pub mod facts;
pub mod json;
pub mod metrics;
pub mod name;
pub mod source;
