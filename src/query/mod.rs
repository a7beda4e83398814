//! Questions to a graph: its rows one after another, its edges as plain data, and what is asked of single symbols. Reads snapshots alone.

mod ask;
mod find;
mod graph;
mod records;
mod relations;
mod report;

pub use ask::{AskError, Question, ask};
pub use find::{Found, find};
pub(crate) use graph::caller;
pub use graph::{GraphQuery, graph};
pub use records::records;
pub use report::report;
