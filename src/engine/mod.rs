//! The only owner of threads, processes and budgets. It must not print: it tells observers.

mod batch;
mod bench;
mod children;
mod files;
mod ledger;
mod memory;
mod pipeline;
pub mod progress;
pub mod recovery;
pub mod stores;
mod strategy;
mod threads;

pub use bench::{FloorReport, WalkReport};
pub use children::{WorkerOptions, serve};
pub use memory::Budget;
pub(crate) use pipeline::open_cache;
pub use pipeline::{Analyzer, Run};
