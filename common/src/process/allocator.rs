//! Configures how soon the allocator returns freed memory to the system.
//!
//! Hash tables, sorts and Parquet pages use blocks of megabytes that live for seconds. glibc
//! returns a block to the system at once only if the block has its own mapping. At first, all large
//! blocks have one. But when such a block is freed, glibc raises the minimum size for a mapping, up
//! to 32 MiB. Smaller blocks that are freed later may then stay with the process.

/// Memory limit in bytes. With a lower limit, freed large blocks are returned to the system at
/// once. This saves memory, but costs page faults.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const SMALL_LIMIT: u64 = 1 << 30;
/// Minimum size of a large block in bytes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE_BLOCK: i32 = 1 << 20;

/// Adapts the allocator to the memory limit of this process. Measurements are in ARCHITECTURE.md,
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
