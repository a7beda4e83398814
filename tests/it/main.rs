//! The real binary on real files in temporary folders.
//!
//! Nothing here waits for time to pass: what must have happened is seen in an event, an exit code or a file.

mod analyze;
mod cache;
mod config;
mod deep;
mod graph;
mod hostile;
mod links;
mod memory;
mod neo4j;
mod portable;
mod project;
mod query;
mod recovery;
mod stores;
mod strategy;
mod survival;
mod terminal;
mod workers;
