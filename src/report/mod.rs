//! What people and machines read: text, JSON, JSON lines, graph formats, progress.
//!
//! Every function takes plain data and a writer. This module must not know where the data came from, nor open files
//! or streams itself.

pub mod answer;
pub mod data;
pub mod escape;
pub mod graphfmt;
pub mod json;
pub mod jsonl;
pub mod progress;
pub mod text;

/// Version of the JSON and JSON-lines reports. It grows when a key changes its meaning or goes away.
pub const SCHEMA_VERSION: u32 = 1;
