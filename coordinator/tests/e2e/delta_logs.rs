//! Tests of Delta logs that another program changed or a disk damaged, and of logs and manifests
//! from different times. Each command either names the log and refuses, or the log then equals the
//! newest manifest. No log ever shows a mixture.
//!
//! Other programs' commits are written as the JSON that deltalake and Spark write;
//! `.ci/foreign_commits.py` has deltalake itself make them.

/// A lake with two tables, and its logs and manifests as a reader sees them.
mod lake;
/// Commits of other programs, and manifests of other times.
mod foreign;
/// Logs that are damaged, lost or moved away, and what repairs them.
mod repair;
/// Runs that are frozen while another process writes to the logs.
mod at_once;
/// Manifests and data files that are gone.
mod gone;
