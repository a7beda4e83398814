//! pydebug: the fast, trustworthy code graph for Python.

pub mod cli;
pub mod config;
pub mod engine;
pub mod extract;
pub mod link;
pub mod model;
pub mod parse;
pub mod report;
