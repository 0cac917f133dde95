//! ⑦ Writes batches to Parquet files and returns one report per file.
//!
//! ```text
//! batches ─► partition ─► one open file per partition value ─► closed at its target size ─► report
//!            (table only)   at most `max_open_files`;              with statistics for the Delta log
//!                           the rest is sorted first
//! ```
//!
//! Every partition of a plan writes its own files. Their names consist of the run, the task and a
//! new UUID, so that two attempts of one task never conflict. A file is visible to readers only
//! once a manifest contains it.
//!
//! Example: the row `(start_time: 2018-11-21T21:56:47.796Z, …, year: 2018, month: 11)` of
//! `songplays` goes to `songplays/year=2018/month=11/<run>-0-<uuid>.parquet`; `year` and `month`
//! are in the path and in the Delta log, but not in the file.

/// Partition values as folder names.
pub mod hive;
/// Splits batches by partition values.
pub mod partition;
/// Chooses how a Parquet file encodes its columns.
pub mod properties;
/// Writes Parquet files of the target size.
pub mod file;
/// Computes the digests of a file while it is uploaded.
pub mod digested;
/// Column statistics in the form of the Delta log.
pub mod statistics;
/// Writes one partition of a plan into the folders of a table.
pub mod table_writer;
/// The node that writes a table.
pub mod table_node;
/// The node that writes the records of a scan to staging and quarantine.
pub mod ingest_node;
