//! Plain data that every stage shares. Knows no parser, no database and no thread.

pub mod source;
