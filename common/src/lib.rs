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
//! Dependencies point one way: `read` knows neither `write` nor the lake, `write` does not know the lake. On a cluster
//! a plan travels as bytes (`codec`), and rows go from one stage to the next through storage (`exchange`).

/// What the user wrote in `lake.toml`, checked and resolved.
pub mod config;
/// Digests of objects and of parts of them.
pub mod digest;
/// One URL becomes one object store; the only place that touches a file system or S3.
pub mod storage;
/// ①–④ From an object to batches of typed rows, and what could not be read.
pub mod read;
/// ⑦ From batches to Parquet files, and one report per file.
pub mod write;
/// On a cluster, rows from one stage to the next.
pub mod exchange;
/// On a cluster, a task's plan as bytes.
pub mod codec;
/// The one function that makes a query session, for every process.
pub mod session;
/// Rules of SQL that every session has.
pub mod sql;
/// What both programs do first.
pub mod start;
/// How soon the system's allocator gives memory back.
pub mod allocator;
/// How many files a process may have open.
pub mod descriptors;
/// The folder that queries spill to.
mod scratch;
/// The few kinds of failure that a user acts on.
pub mod error;
/// A failure of the engine while rows pass, as one of those.
pub mod engine_failure;
/// Text from elsewhere, safe for a terminal or a log.
pub mod printable;
/// Certificates of both ends.
pub mod tls;
/// What both ends know instead, on one machine.
pub mod secret;
/// Logs: one set-up for every process.
pub mod telemetry;
/// What the service manager is told.
pub mod supervisor;
/// Named points at which a test can kill the process.
pub mod failpoint;
