//! The allocator of the binary: mimalloc, and in a child process an exit that says that memory ran out.

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicBool, Ordering};

use mimalloc::MiMalloc;

/// Exit code of a child that was refused memory.
pub const OUT_OF_MEMORY: u8 = 86;

static EXITS: AtomicBool = AtomicBool::new(false);

/// From now on this process ends with [`OUT_OF_MEMORY`] when it is refused memory, where it would else abort like any
/// other fault. For child processes: what they work on is known to the parent.
pub fn exit_without_memory() {
    EXITS.store(true, Ordering::Relaxed);
}

/// Whether memory has run out is asked where an allocation has failed, and nowhere else.
#[cold]
#[expect(unsafe_code, reason = "`std::process::exit` runs code that may allocate")]
fn refused() {
    if EXITS.load(Ordering::Relaxed) {
        // SAFETY: `_exit` ends the process at once and touches no memory of ours.
        unsafe { libc::_exit(i32::from(OUT_OF_MEMORY)) }
    }
}

/// mimalloc.
#[derive(Debug)]
pub struct Allocator;

#[expect(unsafe_code, reason = "an allocator is unsafe by its trait; each call is handed on as it came")]
// SAFETY: mimalloc's own implementation does all the work; a null pointer goes back to the caller as it came.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        let found = unsafe { MiMalloc.alloc(layout) };
        if found.is_null() {
            refused();
        }
        found
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        let found = unsafe { MiMalloc.alloc_zeroed(layout) };
        if found.is_null() {
            refused();
        }
        found
    }

    #[inline]
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { MiMalloc.dealloc(at, layout) }
    }

    #[inline]
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as the caller promises.
        let found = unsafe { MiMalloc.realloc(at, layout, size) };
        if found.is_null() {
            refused();
        }
        found
    }
}
