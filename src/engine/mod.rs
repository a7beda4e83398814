//! The only owner of threads, processes and budgets. It must not print: it tells observers.

mod batch;
mod bench;
mod files;
mod memory;
mod pipeline;
pub mod progress;

use crate::config::Config;
use anyhow::Context as _;
pub use bench::{FloorReport, WalkReport};
pub use memory::Budget;
pub(crate) use pipeline::open_cache;
pub use pipeline::{Analyzer, Run};

/// The threads that `config` asks for, with the stack that extraction takes.
fn pool(config: &Config) -> anyhow::Result<rayon::ThreadPool> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(config.max_workers().count().get())
        .stack_size(crate::extract::STACK)
        .thread_name(|index| format!("worker-{index}"))
        .build()
        .context("cannot start worker threads; lower `--jobs` or the limit that stops them")
}
