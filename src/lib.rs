//! pydebug: the fast, trustworthy code graph for Python.
//!
//! The way of the data, which is the order of the modules: [`walk`] finds the sources, [`cache`] knows which of them
//! changed, [`parse`] and [`extract`] turn those into facts ([`model`]), [`link`] joins all facts to a code graph,
//! [`store`] keeps it, [`query`] reads it, [`report`] says what came of it. [`engine`] runs all that and is the only one to
//! start threads; [`config`] and [`cli`] are the two ways of saying what is wanted.
//!
//! ```
//! use pydebug::{Analyzer, Config};
//!
//! # let folder = tempfile::tempdir()?;
//! # std::fs::write(folder.path().join("shop.py"), "def total(items):\n    return sum(items)\n\ntotal([1])\n")?;
//! let config = Config::builder(folder.path()).cache_enabled(false).build()?;
//! let run = Analyzer::new(config).run()?;
//! assert_eq!(run.metrics().total_files, 1);
//! assert_eq!(run.graph().meta().summary.call_sites["resolved"], 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod cache;
pub mod cli;
pub mod config;
pub mod engine;
pub mod extract;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod link;
pub mod model;
pub mod parse;
pub mod query;
pub mod report;
pub mod split;
pub mod store;
mod sync;
pub mod sys;
pub mod walk;

pub use config::{Config, Preset};
pub use engine::progress::ProgressObserver;
pub use engine::{Analyzer, Run};
pub use model::metrics::ProcessingMetrics;
pub use store::CodeGraph;
