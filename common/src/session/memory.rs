//! Divides a process's memory limit among tasks, pools and buffers.

use datafusion::prelude::SessionConfig;

/// Share of the memory limit for operators that account for their memory. The rest of the limit is
/// for memory that they do not account for: growing hash tables, rows on their way from a hash
/// table to a spill file, records being read, Parquet pages.
pub(super) const POOL_SHARE: f64 = 0.3;
/// Share of the memory limit for unfinished Parquet files of all tasks.
const TABLE_BUFFER_SHARE: f64 = 0.15;
/// Share of the memory limit for buffered rows of exchanges of all tasks.
const EXCHANGE_BUFFER_SHARE: f64 = 0.1;

/// Maximum number of bytes of rows that are sorted as one batch. More could overflow the offsets of
/// a text column, which have 32 bits. A larger sort merges sorted batches and needs additional
/// memory for a copy of their keys.
pub(super) const SORT_AS_ONE_BYTES: usize = 1 << 30;
/// Share of a large sort's memory that is reserved for the copy of the keys.
pub(super) const SORT_KEYS_SHARE: f64 = 1.0 / 6.0;

/// Task number and buffer sizes that the nodes of a task's plan use.
#[derive(Debug, Clone, Copy)]
pub struct TaskScope {
    /// Number of the task that runs the plan's first partition. Tasks are numbered within their
    /// stage.
    pub first_task: usize,
    /// Maximum number of buffered bytes of unfinished Parquet files. At this limit, the task writes
    /// a row group of the largest file.
    pub table_buffer_bytes: usize,
    /// Maximum number of buffered bytes of rows for the next stage.
    pub exchange_buffer_bytes: usize,
}

impl TaskScope {
    /// Returns the scope of a task that shares `memory_bytes` with `tasks - 1` others.
    #[must_use]
    pub fn new(first_task: usize, memory_bytes: u64, tasks: usize) -> Self {
        let tasks = tasks.max(1);
        Self {
            first_task,
            table_buffer_bytes: share(memory_bytes, TABLE_BUFFER_SHARE) / tasks,
            exchange_buffer_bytes: share(memory_bytes, EXCHANGE_BUFFER_SHARE) / tasks,
        }
    }

    /// Returns the scope that `session::build` stored in a session.
    #[must_use]
    pub fn of(config: &SessionConfig) -> Self {
        // A session without a scope was not made by `session::build` but by a test. Assume one task
        // and 1 GiB.
        config.get_extension::<Self>().map_or_else(|| Self::new(0, 1 << 30, 1), |scope| *scope)
    }
}

/// Returns the given share of `memory_bytes`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a size in bytes")]
pub(super) fn share(memory_bytes: u64, share: f64) -> usize {
    (memory_bytes as f64 * share) as usize
}
