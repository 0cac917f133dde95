//! End-to-end tests: real processes on real files, with one module per topic. `README.md` next to
//! this file lists the fixtures.

#![expect(clippy::tests_outside_test_module, reason = "an integration test is all test")]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

/// A lake in its own folder, and the binary that works on it.
mod support;

/// Complete runs: the project's data, the public data set, a second run.
mod one_machine;
/// New files after a commit, which give the same tables in any order.
mod incremental;
/// Records that cannot be read, and objects that change.
mod bad_input;
/// Objects that have another format than their names say, and text with control characters.
mod odd_bytes;
/// Objects that are truncated or corrupt.
mod damage;
/// `kill -9` at every step while another process reads.
mod crash;
/// Delta logs that other programs changed, and logs and manifests from different times.
mod delta_logs;
/// A coordinator and workers, which can die.
mod cluster;
/// Strangers and malicious workers on the coordinator's port.
mod port;
/// Sources and lake on S3.
mod s3;
/// Cost of a run on S3.
mod s3_cost;
/// Permissions on S3.
mod s3_access;
/// Faults of storage.
mod s3_faults;
/// Objects of a source that patterns select.
mod objects;
/// Fields from any place, and values of any form.
mod fields;
/// Values around the records, several keys of a field, and records that are arrays.
mod fields_around;
/// SQL values that differ from those of DataFusion.
mod sql;
/// Subqueries, aggregates and filters that differ from those of DataFusion.
mod sql_subqueries;
/// Models that group by a key that is nearly unique.
mod single_rows;
/// Functions, operators and clauses, with their documented examples.
mod sql_functions;
/// Functions that read JSON.
mod sql_json;
/// SQL that is refused.
mod sql_refused;
/// Deeply nested queries.
mod sql_depth;
/// Concurrent runs, queries and `vacuum`, some of them frozen.
mod at_once;
/// Manifests, files and Delta logs, read without code of Lakewright.
mod on_storage;
/// A machine without disk space, permissions or file descriptors.
mod machine;
/// Permanent faults.
mod liveness;
/// Seeded schedules of faults.
mod schedules;
/// Bits that change, on disks and in transit.
mod bit_rot;
/// The commands and their exit codes.
mod cli;
/// Scripts on standard input, and the shell.
mod shell;
/// Projects that are written from data.
mod init;
/// Pages, and the JSON behind them.
mod ui;
/// Reports of `run` and `check`.
mod reports;
/// The repository itself.
mod tidy;
