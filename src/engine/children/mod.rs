//! Child processes that parse: a fault boundary. One that overflows its stack, is killed, runs out of memory or never
//! comes to an end costs a file, not the run.
//!
//! `wire` is what goes over the pipes, `serve` the child's side, `handle` the parent's side of one child, `fleet` starts them
//! and says what becomes of a file that a child could not live with. A child is given bytes and gives back facts; it knows no paths
//! and no cache, and what it says is checked before anybody reads it.

mod fleet;
mod handle;
mod serve;
mod wire;

pub(super) use fleet::{Fleet, Made, internal, unfit};
pub(super) use handle::{Child, End};
pub(super) use serve::words;
pub use serve::{WorkerOptions, serve};
pub(super) use wire::{STEP, Task};
