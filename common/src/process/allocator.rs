//! How soon the system's allocator gives memory back.
//!
//! Hash tables, sorts and Parquet pages are blocks of megabytes that live for seconds. glibc raises the size from which a
//! block is its own mapping to 32 MiB as such blocks come and go, and holes below that size stay with the process.

/// The memory limit in bytes below which large blocks go back at once, for the page faults that this costs.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const SMALL_LIMIT: u64 = 1 << 30;
/// The size in bytes from which a block is large.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE_BLOCK: i32 = 1 << 20;

/// Adapts the allocator to the memory limit of this process; figures are in ARCHITECTURE.md, "Memory".
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn stay_within(memory_bytes: u64) {
    if memory_bytes < SMALL_LIMIT {
        #[expect(unsafe_code, reason = "mallopt(3) takes two numbers and may be called by any thread")]
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BLOCK);
        }
    }
}

/// Other allocators are left as they are.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn stay_within(_memory_bytes: u64) {}
