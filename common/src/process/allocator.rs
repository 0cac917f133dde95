//! Configures how soon the system's allocator returns memory.
//!
//! Hash tables, sorts and Parquet pages are blocks of megabytes that live for seconds. As such
//! blocks are freed, glibc raises the size from which a block gets its own mapping, up to 32 MiB;
//! free blocks below that size may then stay with the process.

/// Memory limit in bytes below which large blocks are returned at once, which costs page faults.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const SMALL_LIMIT: u64 = 1 << 30;
/// Minimum size in bytes of a large block.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE_BLOCK: i32 = 1 << 20;

/// Adapts the allocator to the memory limit of this process; figures are in ARCHITECTURE.md,
/// "Memory".
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn stay_within(memory_bytes: u64) {
    if memory_bytes < SMALL_LIMIT {
        #[expect(unsafe_code, reason = "mallopt(3) takes two numbers and may be called by any thread")]
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BLOCK);
        }
    }
}

/// Does nothing for other allocators.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn stay_within(_memory_bytes: u64) {}
