//! Code that all Lakewright processes share. The diagram shows the path of a record through it.
//!
//! ```text
//! lake.toml ─ config ─┐
//!                     ▼
//! object ─► split ─► bytes ─► records ─► typed columns ─► batches ─► files ─► reports
//!        read/ ① object ② split, fetch, framing ③ coerce, decode ④ scan node
//!        write/ ⑦ partition, file, statistics, write node
//! ```
//!
//! Dependencies point one way: `read` depends neither on `write` nor on the lake, and `write` does
//! not depend on the lake. On a cluster, plans are sent as bytes (`codec`), and rows move between
//! stages through storage (`exchange`).

/// The error type, with one kind for each action that the user must take.
pub mod error;
/// Escapes text from data and other processes for terminals and logs.
pub mod printable;
/// `lake.toml`, validated and resolved.
pub mod config;
/// Setup of every process: logs, notifications to the service manager, TLS, system limits, fail
/// points.
pub mod process;
/// Digests of files and of their blocks, which make a changed bit visible.
pub mod digest;
/// Opens object stores. Only this module accesses file systems and S3.
pub mod storage;
/// Faster implementations of DataFusion's functions, and functions for plans.
pub mod functions;
/// SQL rules, and functions whose results differ from DataFusion's.
pub mod sql;
/// Drops rows that cannot be the first of their group.
pub mod first_row;
/// Builds query sessions.
pub mod session;
/// ①–④ From an object to batches of typed rows and rejected records.
pub mod read;
/// Reports of the files and spool objects that a task wrote.
pub mod report;
/// ⑦ From batches to Parquet files.
pub mod write;
/// Moves rows between stages on a cluster.
pub mod exchange;
/// Encodes task plans for workers.
pub mod codec;
