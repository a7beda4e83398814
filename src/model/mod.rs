//! Plain data shared by every stage: what a source file is, what was found in it, what the linked graph holds.
//!
//! Nothing here knows a parser, a cache or a database.

pub mod block;
pub mod facts;
pub mod name;
pub mod source;
