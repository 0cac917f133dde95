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

/// Errors by what the user must do about them.
pub mod error;
/// Text from data and peers, made safe for terminals and logs.
pub mod printable;
/// `lake.toml`, validated and resolved.
pub mod config;
/// What every process does once: logs, signals to the service manager, TLS, limits, fail points.
pub mod process;
/// Digests of objects and of blocks of them.
pub mod digest;
/// Object stores: one for each URL. Only this module touches a file system or S3.
pub mod storage;
/// SQL rules and functions that every session has.
pub mod sql;
/// The function that builds every query session.
pub mod session;
/// ①–④ From an object to batches of typed rows and rejected records.
pub mod read;
/// What a task reports of the files and objects that it wrote.
pub mod report;
/// ⑦ From batches to Parquet files.
pub mod write;
/// Rows from one stage to the next, on a cluster.
pub mod exchange;
/// A task's plan as bytes, on a cluster.
pub mod codec;
