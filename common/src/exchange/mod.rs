//! Rows from one stage to the next, on a cluster: spooled to storage, so that a lost worker never costs finished work.
//!
//! ```text
//!   stage 1, task 0 ─► write_node ─► spool object ─┐   by ranges    ┌─► read_node ─► stage 2, task 0
//!   stage 1, task 1 ─► write_node ─► spool object ─┴────────────────┴─► read_node ─► stage 2, task 1
//! ```
//!
//! An attempt writes one object. It gathers rows per partition of the next stage; when it holds enough of them, it
//! writes what each partition has as one chunk, a complete Arrow IPC stream with LZ4 compression. The object is chunks
//! one after another, the report says how long each is, and a task of the next stage reads the ranges of its own.
//!
//! One value followed through: task 1 of stage 1 holds 100 rows for partition 0 and 60 for partition 1, and writes
//! `_lake/spool/<run>/exchange-<uuid>.arrows` with chunks of 4,000 and 2,500 bytes. Its report has `chunk_bytes:
//! [[4000, 2500]]`; the read node of task 1 of stage 2 gets the chunk at 4000, 2,500 bytes long.

/// Gathers rows per partition and writes the object.
mod writer;
/// The root of a task's plan where its rows go to another stage.
pub mod write_node;
/// The leaf of a task's plan where its rows come from another stage.
pub mod read_node;
