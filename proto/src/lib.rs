//! The wire between coordinator and workers: what is in `proto/lakewright/v1/`, as Rust.
//!
//! The generated code is checked in, so that a build needs no compiler of `.proto` files; a test compares it with what
//! the files generate (`tests/generated_is_current.rs`).

/// Version 1 of the wire. Coordinator and workers of one release speak to each other; other releases are refused.
#[allow(clippy::all, clippy::allow_attributes_without_reason, unreachable_pub, missing_docs, reason = "generated code")]
#[rustfmt::skip]
pub mod v1 {
    include!("generated/lakewright.v1.rs");
}

/// Bytes of one message at the most, on both sides of every connection.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024 * 1024;
