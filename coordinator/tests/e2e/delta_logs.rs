//! Delta logs that another program wrote to or a disk damaged, and logs and manifests of different
//! times: each command refuses by name, or the log shows the rows of the newest manifest; never
//! both rows at once.
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
