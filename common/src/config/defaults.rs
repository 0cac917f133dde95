//! Typed values of all defaults that are constants.
//!
//! `settings` documents them and the resolved configuration uses them; a test sets each setting to
//! its documented default, which must not change the configuration.

use std::time::Duration;

const MIB: u64 = 1 << 20;

// `[sources.<name>]`
pub(super) const FORMAT: &str = "ndjson";
/// Default of `on_change`, `on_damaged` and `on_archived`.
pub(super) const ON_TROUBLE: &str = "error";
pub(super) const MAX_QUARANTINE_SHARE: f64 = 0.01;
pub(super) const FOLLOW_LINKS: bool = false;
pub(super) const ALLOW_EMPTY: bool = false;
pub(super) const ENCODING: &str = "auto";
pub(super) const ALLOW_NAN: bool = false;
/// Default of `invalid_unicode`, `null_records` and `on_invalid`.
pub(super) const ON_INVALID: &str = "quarantine";
pub(super) const REQUIRED: bool = false;
pub(super) const WRAP: bool = false;
pub(super) const DECIMAL_SEPARATOR: &str = ".";

// A check of `[tables.<name>]`
pub(super) const WARN: bool = false;

// `[limits]`
pub(super) const MAX_RECORD_BYTES: u64 = 16 * MIB;
pub(super) const SPLIT_BYTES: u64 = 128 * MIB;
pub(super) const CONCURRENT_READS: usize = 128;
pub(super) const TARGET_FILE_BYTES: u64 = 256 * MIB;
pub(super) const MAX_OPEN_FILES: usize = 64;
pub(super) const MAX_DECOMPRESSION_RATIO: usize = 200;

// `[cluster]`
pub(super) const LISTEN: &str = "0.0.0.0:50051";
pub(super) const MIN_WORKERS: usize = 1;
pub(super) const WORKER_TIMEOUT: Duration = Duration::from_mins(5);
pub(super) const HEARTBEAT: Duration = Duration::from_millis(500);
pub(super) const LOST_AFTER: Duration = Duration::from_secs(5);
pub(super) const TASK_ATTEMPTS: usize = 4;
pub(super) const SPECULATION: bool = true;
pub(super) const SPECULATION_SHARE: f64 = 0.75;
pub(super) const SPECULATION_SLOWNESS: f64 = 2.0;
pub(super) const INSECURE: bool = false;

// `[storage."s3://bucket"]`
pub(super) const REQUESTER_PAYS: bool = false;
pub(super) const ANONYMOUS: bool = false;
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
pub(super) const TIMEOUT: Duration = Duration::from_secs(20);
pub(super) const REQUEST_ATTEMPTS: usize = 10;
pub(super) const RETRY_TIMEOUT: Duration = Duration::from_mins(2);
pub(super) const CHECKSUMS: bool = true;
pub(super) const CONCURRENT_REQUESTS: usize = 256;

// `[prices]`: S3 Standard in `us-east-1`, by the price list at the time of writing.
pub(super) const GET_PRICE: f64 = 0.0004;
pub(super) const PUT_PRICE: f64 = 0.005;
pub(super) const TRANSFER_PRICE: f64 = 0.0;
