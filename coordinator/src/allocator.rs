//! The allocator, and how soon it gives memory back.
//!
//! Decoding, hashing and Parquet allocate in bursts from many threads. mimalloc keeps what was freed for a while; under a
//! small memory limit that is memory which the process is over its limit by.

/// The memory limit in bytes below which freed memory goes back soon, for the page faults that this costs.
const SMALL_LIMIT: u64 = 1 << 30;
/// How soon, in milliseconds; the figures for other delays are in ARCHITECTURE.md, "Memory".
const SOON: std::ffi::c_long = 50;
/// `mi_option_purge_delay` of mimalloc 3 (`mimalloc.h`), which the bindings do not name.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Adapts the allocator to the memory limit of this process.
pub(crate) fn stay_within(memory_bytes: u64) {
    if memory_bytes < SMALL_LIMIT {
        #[expect(unsafe_code, reason = "the option is a number that any thread may set at any time")]
        unsafe {
            libmimalloc_sys::mi_option_set(PURGE_DELAY, SOON);
        }
    }
}
