//! Plain data. This module must not know a parser, a database or a terminal.

pub mod metrics;
