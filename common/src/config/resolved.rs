//! The configuration as the rest of the program sees it: URLs parsed, SQL read, types and limits
//! checked.
//!
//! No other folder sees the text of `lake.toml`. Workers need some parts of the configuration.
//! `codec` converts these parts into messages.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use url::Url;

use super::defaults;
use super::object_patterns::ObjectPatterns;

/// The declared fields of a source.
mod field;

pub use field::{
    BinaryEncoding, DocumentPlace, Field, FieldInput, FieldType, Metadata, OnInvalid, Separators, TimestampFormat,
    ValueRules,
};

/// The whole configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Path of `lake.toml`. Relative paths in the file start from its folder.
    pub file: PathBuf,
    /// Root of the lake, `file:///…/` or `s3://bucket/prefix/`; always ends with `/`.
    pub lake: Url,
    /// Sources, in the order of `lake.toml`.
    pub sources: Vec<Source>,
    /// Tables, in the order of `lake.toml`.
    pub tables: Vec<Table>,
    pub limits: Limits,
    /// Settings of the cluster that runs the plans; `None`: the coordinator's own process runs
    /// them.
    pub cluster: Option<Cluster>,
    /// Settings of buckets, by bucket name. Buckets that are missing here use the defaults.
    pub buckets: BTreeMap<String, Bucket>,
    pub prices: Prices,
}

impl Config {
    /// Returns `url` with the settings of its bucket.
    #[must_use]
    pub fn location(&self, url: &Url) -> Location {
        let bucket = url.host_str().and_then(|bucket| self.buckets.get(bucket));
        Location { url: url.clone(), bucket: bucket.cloned().unwrap_or_default() }
    }
}

/// A folder or a prefix of a bucket, with the bucket's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// `file:///…/` or `s3://bucket/prefix/`; always ends with `/`.
    pub url: Url,
    /// Settings of the bucket; unused for a folder.
    pub bucket: Bucket,
}

impl Location {
    /// Returns a location with the default settings of a bucket.
    #[must_use]
    pub fn of(url: Url) -> Self {
        Self { url, bucket: Bucket::default() }
    }

    /// Returns the URL for messages and other tools. For a prefix of a bucket, percent-encoding is
    /// decoded, so that the prefix is written as in the keys; a folder's URL stays encoded.
    #[must_use]
    pub fn name(&self) -> Cow<'_, str> {
        match self.url.scheme() {
            "s3" => percent_decode_str(self.url.as_str()).decode_utf8_lossy(),
            _ => self.url.as_str().into(),
        }
    }
}

/// Access to a bucket. `endpoint`, `region`, `profile` and `role` come from AWS's own variables and
/// files if they are `None`. Secrets can only be set there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// URL of the endpoint: `http://` or `https://`, without a `/` at its end.
    pub endpoint: Option<String>,
    pub region: Option<String>,
    /// Whether the bucket's name is in the path of a request (`https://host/bucket/key`) instead of
    /// the host. `None` means true if there is an endpoint, and false otherwise.
    pub path_style: Option<bool>,
    pub profile: Option<String>,
    /// ARN of a role to assume.
    pub role: Option<String>,
    pub requester_pays: bool,
    /// Whether requests are sent without a signature.
    pub anonymous: bool,
    /// Encryption of written objects; `None`: the bucket's own default.
    pub encryption: Option<Encryption>,
    pub connect_timeout: Duration,
    /// Time limit of one attempt of a request, including the transfer of the body.
    pub timeout: Duration,
    /// Maximum number of attempts of one request.
    pub attempts: usize,
    /// Time since the first attempt of a request after which the request is not retried.
    pub retry_timeout: Duration,
    /// Whether uploads carry a SHA-256, which the server verifies and keeps.
    pub checksums: bool,
    /// Maximum number of concurrent reads and writes of a process; lowered while the server reports
    /// overload.
    pub concurrent_requests: usize,
}

impl Default for Bucket {
    fn default() -> Self {
        Self {
            endpoint: None,
            region: None,
            path_style: None,
            profile: None,
            role: None,
            requester_pays: defaults::REQUESTER_PAYS,
            anonymous: defaults::ANONYMOUS,
            encryption: None,
            connect_timeout: defaults::CONNECT_TIMEOUT,
            timeout: defaults::TIMEOUT,
            attempts: defaults::REQUEST_ATTEMPTS,
            retry_timeout: defaults::RETRY_TIMEOUT,
            checksums: defaults::CHECKSUMS,
            concurrent_requests: defaults::CONCURRENT_REQUESTS,
        }
    }
}

/// Server-side encryption of objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encryption {
    /// SSE-S3.
    S3,
    /// SSE-KMS; without a `key`, S3 uses the account's AWS managed key (`aws/s3`).
    Kms { key: Option<String> },
}

/// A named folder or prefix of objects that contain JSON records of a declared schema.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    pub name: String,
    /// Location of the source; always ends with `/`.
    pub url: Url,
    /// Patterns of the objects below `url` that belong to the source.
    pub objects: ObjectPatterns,
    /// Whether a run may start while no object belongs to the source.
    pub allow_empty: bool,
    pub format: RecordFormat,
    /// Declared fields, in the order of `lake.toml`, which is the column order of the staging
    /// table.
    pub fields: Vec<Field>,
    /// Maximum share (0.0–1.0) of rejected records. It is also the maximum share of bytes that
    /// could not be separated into records. A run that exceeds it fails.
    pub max_quarantine_share: f64,
    pub on_change: OnChange,
    pub on_damaged: OnDamaged,
    pub on_archived: OnArchived,
    /// Whether symbolic links may lead out of the source's folder.
    pub follow_links: bool,
    pub decoding: Decoding,
}

/// Settings that control how the text of a source's objects is decoded.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decoding {
    /// Encoding of objects without a byte order mark; `None`: it is recognized.
    pub encoding: Option<&'static encoding_rs::Encoding>,
    /// Regular expression for the object's path. Fields can have the values of its named groups.
    pub path_pattern: Option<String>,
    /// Whether invalid bytes and unpaired surrogates are replaced by U+FFFD. If false, such records
    /// are rejected.
    pub replaces_invalid_unicode: bool,
    /// Whether records that are `null` are skipped. If false, they are rejected.
    pub skips_null_records: bool,
    /// Kind that every record must have.
    pub record_kind: RecordKind,
}

/// Kind of the records of a source. Records of another kind are rejected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RecordKind {
    /// An object. Fields read its members by their keys.
    #[default]
    Object,
    /// An array. Fields read its items by their positions.
    Array,
    /// Any value. A field reads all of it, as item `0`.
    Value,
}

/// Format of the records in the objects of a source. `read::record_format` implements it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordFormat {
    Json(JsonFormat),
}

/// Layout of JSON records in an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JsonFormat {
    /// One JSON object per line.
    Lines,
    /// One JSON object, several JSON objects, or an array of JSON objects. With `records`, JSON
    /// values in which this path leads to the records (`config::records_path`).
    Document { records: Option<String> },
}

/// Action for an object that changed after it was ingested, or while it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnChange {
    Error,
    Ignore,
}

/// Action for an object that cannot be read to its end, because it was cut off or is corrupt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDamaged {
    /// The run fails.
    Error,
    /// The run ingests nothing of the object and tries it again next time.
    Skip,
    /// The run ingests the records that could be read and quarantines the rest.
    Keep,
}

/// Action for an object that must be restored from its storage class before reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnArchived {
    Error,
    Skip,
}

/// A table that one model builds.
#[derive(Debug, Clone)]
pub struct Table {
    pub name: String,
    /// Path of the model, for messages.
    pub sql_file: PathBuf,
    pub sql: String,
    /// Columns of the key; empty if the table has none. They must not be null, and together they
    /// must be unique.
    pub key: Vec<String>,
    pub partition_by: Vec<String>,
    pub checks: Vec<Check>,
}

/// A condition that a table must meet before it is committed.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    pub rule: Rule,
    /// Whether a violation is only a warning, so that the table is committed anyway.
    pub warn: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    NotNull {
        column: String,
    },
    Unique {
        columns: Vec<String>,
    },
    /// Every non-null value of the column exists in `to_column` of `to_table`.
    References {
        column: String,
        to_table: String,
        to_column: String,
    },
    /// Every non-null value of the column, as text, is one of `values`.
    AcceptedValues {
        column: String,
        values: Vec<String>,
    },
    /// Every non-null value of the column is within the bounds, both inclusive.
    Range {
        column: String,
        min: Option<f64>,
        max: Option<f64>,
    },
    /// A query that returns the rows that violate the check.
    Sql {
        file: PathBuf,
        sql: String,
    },
}

/// Prices of S3, in dollars.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prices {
    /// Price per thousand GET and HEAD requests.
    pub get: f64,
    /// Price per thousand PUT, POST and LIST requests.
    pub put: f64,
    /// Price per gigabyte (10^9 bytes) read; reads within a region are free.
    pub transfer: f64,
}

impl Default for Prices {
    /// Prices of S3 Standard in `us-east-1` at the time of writing.
    fn default() -> Self {
        Self { get: defaults::GET_PRICE, put: defaults::PUT_PRICE, transfer: defaults::TRANSFER_PRICE }
    }
}

/// Limits on the resources of a process.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Resident memory that the process aims to stay below. Sorts and most aggregations spill to
    /// disk if they need more than their share; not all joins can spill.
    pub memory_bytes: u64,
    /// Maximum size of a record; a longer one is quarantined.
    pub max_record_bytes: u64,
    /// Folder that queries spill to; `None`: the system's temporary folder.
    pub scratch: Option<PathBuf>,
    /// Maximum number of partitions that a process runs at once.
    pub threads: usize,
    /// Approximate number of bytes of input per scan task.
    pub split_bytes: u64,
    /// Maximum number of small objects that one scan task reads at once.
    pub concurrent_reads: usize,
    /// Size at which a Parquet file is finished and the next one is started.
    pub target_file_bytes: u64,
    /// Maximum number of Parquet files that one task has open at once.
    pub max_open_files: usize,
    /// Maximum ratio of decompressed to compressed bytes. An object that exceeds it counts as
    /// damaged, if it has more than 64 MiB when decompressed.
    pub max_decompression_ratio: u64,
}

/// Address for workers, and the limits after which the coordinator gives up on a worker or a task.
#[derive(Debug, Clone)]
pub struct Cluster {
    pub listen: String,
    /// Address that workers connect to.
    pub advertise: String,
    pub min_workers: usize,
    /// Time that a run waits for `min_workers` at its start, and for any worker after it has lost
    /// all of them.
    pub worker_timeout: Duration,
    /// Location of the rows that move between stages; `None`: inside the lake.
    pub spool: Option<Url>,
    /// Time between two heartbeats of a worker.
    pub heartbeat: Duration,
    /// Time without a heartbeat after which a worker is considered lost.
    pub lost_after: Duration,
    /// Number of failed or lost attempts of one task after which the run fails.
    pub attempts: usize,
    /// Conditions for speculative attempts; `None`: slow tasks get none.
    pub speculation: Option<Speculation>,
    /// Certificates for TLS; `None`: no TLS.
    pub certificates: Option<Certificates>,
    /// Whether every process that can connect is accepted, without TLS or the secret of the run.
    pub is_insecure: bool,
}

/// Conditions under which a slow task gets a speculative attempt.
#[derive(Debug, Clone, Copy)]
pub struct Speculation {
    /// Share (0.0–1.0) of the stage's tasks that must be done before a task gets a speculative
    /// attempt.
    pub done_share: f64,
    /// Minimum ratio of the attempt's running time to the running time of the stage's median task.
    pub slowness: f64,
}

/// Paths of PEM files. Coordinator and workers each present a certificate that the authority `ca`
/// has signed.
#[derive(Debug, Clone)]
pub struct Certificates {
    pub ca: PathBuf,
    pub cert: PathBuf,
    pub key: PathBuf,
}
