//! pydebug: the fast, trustworthy code graph for Python.

pub mod cli;
pub mod config;
pub mod engine;
pub mod model;
pub mod report;
