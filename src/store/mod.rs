//! Where linked graphs are kept. The snapshot is always written; it is the embedded default.

pub mod snapshot;

pub use snapshot::{CodeGraph, FileStatus, GraphFile};
