//! The only owner of threads, processes and budgets. It must not print: it tells observers.

mod batch;
mod bench;
mod files;
mod pipeline;
pub mod progress;

pub use bench::{FloorReport, WalkReport};
pub(crate) use pipeline::open_cache;
pub use pipeline::{Analyzer, Run};
