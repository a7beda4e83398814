//! What several targets need.

pub mod python;

/// Runs `work` on a stack like that of a worker of the program.
pub fn on_worker_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(pydebug::extract::STACK);
        let handle = thread.spawn_scoped(scope, work).expect("a thread");
        handle.join().expect("a panic ends the process before")
    })
}
