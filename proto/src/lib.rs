//! Messages between coordinator and workers, generated from `proto/lakewright/v1/`.
//!
//! The generated code is checked in, so that a build needs no compiler for `.proto` files. A test,
//! `tests/generated_is_current.rs`, compares the checked-in code with the `.proto` files.

/// Version 1 of the protocol. Coordinator and workers must have the same program version; the
/// coordinator rejects other workers.
#[allow(clippy::all, clippy::allow_attributes_without_reason, unreachable_pub, missing_docs, reason = "generated code")]
#[rustfmt::skip]
pub mod v1 {
    include!("generated/lakewright.v1.rs");
}

/// Maximum size of a message with tasks or reports. Sender and receiver both enforce it.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024 * 1024;

/// Maximum size of one encoded report of a task. A decoded report may need about fifty times as
/// much memory, so a larger report is rejected before it is decoded.
pub const MAX_REPORT_BYTES: usize = 16 * 1024 * 1024;

/// Maximum size of a message without tasks or reports.
pub const MAX_SMALL_MESSAGE_BYTES: usize = 1024 * 1024;

/// Metadata key for the id of a worker's process (a UUID). All calls need it except `Register` and
/// `Join`, which contain the id in their message.
pub const PROCESS_HEADER: &str = "lakewright-process";

/// Maximum number of vcores of one worker.
pub const MAX_VCORES: u32 = 1024;

/// Maximum length of a worker's name in bytes.
pub const MAX_NAME_BYTES: usize = 255;

/// Maximum number of bytes that a worker reads from the start of an object and sends back, to prove
/// that it can read a storage.
pub const MAX_PROBE_BYTES: usize = 64;
