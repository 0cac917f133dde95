//! What every Lakewright process shares, in the order in which a record passes it.
//!
//! ```text
//! lake.toml ─ config ─┐
//!                     ▼
//! object ─► split ─► bytes ─► records ─► typed columns ─► batches ─► files ─► reports
//!        read/ ① object ② split, fetch, framing ③ coerce, decode ④ scan node
//!        write/ ⑦ partition, file, statistics, write node
//! ```
//!
//! Dependencies point one way: `read` knows neither `write` nor the lake, `write` does not know the lake.

/// What the user wrote in `lake.toml`, checked and resolved.
pub mod config;
/// One URL becomes one object store; the only place that touches a file system or S3.
pub mod storage;
/// ①–④ From an object to batches of typed rows, and what could not be read.
pub mod read;
/// ⑦ From batches to Parquet files, and one report per file.
pub mod write;
/// The one function that makes a query session, for every process.
pub mod session;
/// How soon the system's allocator gives memory back.
pub mod allocator;
/// The few kinds of failure that a user acts on.
pub mod error;
/// Logs: one set-up for every process.
pub mod telemetry;
/// Named points at which a test can kill the process.
pub mod failpoint;
