//! End-to-end tests: real processes on real files, a module per topic. `README.md` beside this file
//! lists the fixtures.

#![expect(clippy::tests_outside_test_module, reason = "an integration test is all test")]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

/// A lake in a folder of its own, and the binary that works on it.
mod support;

/// The whole job: the project's data, the public data set, a second run.
mod one_machine;
/// New files after a commit, and the same tables however they arrive.
mod incremental;
/// Records that cannot be read, and objects that change.
mod bad_input;
/// Bytes that are not what their names say, and text that acts on terminals.
mod odd_bytes;
/// Objects that are cut off or corrupt.
mod damage;
/// `kill -9` at every step while a reader looks on.
mod crash;
/// Delta logs that other programs wrote to, and logs and manifests of different times.
mod delta_logs;
/// A coordinator and workers, whoever dies.
mod cluster;
/// What strangers and false workers can do on the coordinator's port.
mod port;
/// Sources and lake on S3.
mod s3;
/// What a run costs on S3.
mod s3_cost;
/// Who may do what on S3.
mod s3_access;
/// What storage gets wrong, over a socket.
mod s3_faults;
/// SQL values that differ from the engine's own.
mod sql;
/// Subqueries, aggregates and filters that differ from the engine's own.
mod sql_subqueries;
/// SQL that is refused.
mod sql_refused;
/// Queries of any depth.
mod sql_depth;
/// Runs, queries and `vacuum` at the same time, whichever of them is frozen.
mod at_once;
/// Manifests, files and Delta logs, read without the product.
mod on_storage;
/// A machine that is full, locked or out of descriptors.
mod machine;
/// What stays broken for good.
mod liveness;
/// Seeded schedules of faults.
mod schedules;
/// Bits that change, on disks and on the way.
mod bit_rot;
/// The commands and their exit codes.
mod cli;
/// What `run` and `check` report.
mod reports;
/// The repository itself.
mod tidy;
