//! ⑦ From batches to Parquet files, and one report per file.
//!
//! ```text
//! batches ─► partition ─► one open file per partition value ─► closed at its target size ─► report
//!            (table only)   at most `max_open_files`;              with statistics for the Delta log
//!                           the rest is sorted first
//! ```
//!
//! Every partition of a plan writes where it is, under names made of the run, the task and a fresh UUID, so that two
//! attempts of one task never meet. A file exists for a reader only once a manifest names it.
//!
//! One value followed through: the row `(start_time: 2018-11-21T21:56:47.796Z, …, year: 2018, month: 11)` of `songplays`
//! goes to `songplays/year=2018/month=11/<run>-0-<uuid>.parquet`; `year` and `month` live in the path and the log,
//! not in the file.

/// Partition values as folder names.
pub mod hive;
/// Rows to partition values.
pub mod partition;
/// One Parquet file after another, each of the target size.
pub mod file;
/// The digests of a file, computed while it is uploaded.
pub mod digested;
/// Column statistics as the Delta log wants them.
pub mod statistics;
/// One partition of a plan into the folders of a table.
pub mod table_writer;
/// The node that writes a table.
pub mod table_node;
/// The node that writes what a scan read: staging and quarantine.
pub mod ingest_node;
