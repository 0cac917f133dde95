//! Moves rows between stages on a cluster. Rows are spooled to storage, so that losing a worker
//! never loses finished work.
//!
//! ```text
//!   stage 1, task 0 ─► write_node ─► spool object ─┐   by ranges    ┌─► read_node ─► stage 2, task 0
//!   stage 1, task 1 ─► write_node ─► spool object ─┴────────────────┴─► read_node ─► stage 2, task 1
//! ```
//!
//! An attempt of a task writes one object. It buffers rows per partition of the next stage. When
//! the buffer is full, it writes one chunk per partition. Each chunk is a complete Arrow IPC stream
//! with LZ4 compression. The object consists of these chunks, one after another, and the attempt's
//! report contains the length of each chunk. From the lengths, each task of the next stage knows
//! which ranges belong to its own partition, and reads only these.
//!
//! Example: task 1 of stage 1 buffers 100 rows for partition 0 and 60 for partition 1, and writes
//! `_lake/spool/<run>/exchange-<uuid>.arrows` with chunks of 4,000 and 2,500 bytes. Its report has
//! `chunk_bytes: [[4000, 2500]]`; the read node of task 1 of stage 2 reads the chunk of 2,500 bytes
//! at offset 4,000.

/// Buffers rows per partition and writes the spool object.
mod writer;
/// Plan node that writes the rows of a task for another stage.
pub mod write_node;
/// Plan node that reads rows of another stage.
pub mod read_node;
