//! Questions to a graph: its rows one after another, and its edges as plain data. Reads snapshots alone.

mod graph;
mod records;
mod report;

pub(crate) use graph::caller;
pub use graph::{GraphQuery, graph};
pub use records::records;
pub use report::report;
