//! The only owner of threads, processes and budgets. It must not print: it tells observers.

pub mod progress;
