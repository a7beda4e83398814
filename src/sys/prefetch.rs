//! Loads that are known before they are needed.

/// Asks the processor to have `slice[at]` at hand soon; nothing else happens, wherever that lies.
#[inline(always)]
#[expect(unsafe_code, reason = "the intrinsic takes a pointer")]
pub fn prefetch<T>(slice: &[T], at: usize) {
    let address = slice.as_ptr().wrapping_add(at);
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch of any address, valid or not, has no effect that a program could see.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}
