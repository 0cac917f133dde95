//! Messages between coordinator and workers, generated from `proto/lakewright/v1/`.
//!
//! The generated code is checked in, so that a build needs no compiler for `.proto` files. A test
//! compares it with the files (`tests/generated_is_current.rs`).

/// Version 1 of the protocol. Coordinator and workers must have the same program version; the
/// coordinator rejects other workers.
#[allow(clippy::all, clippy::allow_attributes_without_reason, unreachable_pub, missing_docs, reason = "generated code")]
#[rustfmt::skip]
pub mod v1 {
    include!("generated/lakewright.v1.rs");
}

/// Maximum size of a message that carries tasks or reports, for sender and receiver.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024 * 1024;

/// Maximum size of one encoded report of a task. A decoded report may need about fifty times as
/// much memory, so a larger report is rejected before it is decoded.
pub const MAX_REPORT_BYTES: usize = 16 * 1024 * 1024;

/// Maximum size of any other message.
pub const MAX_SMALL_MESSAGE_BYTES: usize = 1024 * 1024;

/// Metadata key with which a worker names its process in every call except `Register`.
pub const PROCESS_HEADER: &str = "lakewright-process";

/// Maximum number of vcores of one worker.
pub const MAX_VCORES: u32 = 1024;

/// Maximum length of a worker's name in bytes.
pub const MAX_NAME_BYTES: usize = 255;

/// Maximum number of bytes of a probed object that a worker sends back.
pub const MAX_PROBE_BYTES: usize = 64;
