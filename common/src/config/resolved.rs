//! The configuration as the rest of the program sees it: URLs parsed, SQL read, types and limits checked.
//!
//! Nothing below this type sees the text of `lake.toml`. Everything a worker needs of it is serialisable.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use url::Url;

/// A whole `lake.toml`.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it came from; relative paths in it are relative to its folder.
    pub file: PathBuf,
    /// The root of the lake, `file:///…/` or `s3://bucket/prefix/`; always ends with `/`.
    pub lake: Url,
    /// In the order of the file.
    pub sources: Vec<Source>,
    /// In the order of the file.
    pub tables: Vec<Table>,
    pub limits: Limits,
    /// `None`: plans run in the coordinator's own process.
    pub cluster: Option<Cluster>,
    /// By the name of the bucket; the others are reached by the defaults.
    pub buckets: BTreeMap<String, Bucket>,
    pub prices: Prices,
}

impl Config {
    /// Where `url` is, and how it is reached.
    #[must_use]
    pub fn location(&self, url: &Url) -> Location {
        let bucket = url.host_str().and_then(|bucket| self.buckets.get(bucket));
        Location { url: url.clone(), bucket: bucket.cloned().unwrap_or_default() }
    }
}

/// A folder or a prefix, and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// `file:///…/` or `s3://bucket/prefix/`; always ends with `/`.
    pub url: Url,
    /// Of no meaning for a folder.
    pub bucket: Bucket,
}

impl Location {
    /// Of what is reached by the defaults.
    #[must_use]
    pub fn of(url: Url) -> Self {
        Self { url, bucket: Bucket::default() }
    }

    /// A prefix with the characters that keys in its bucket have, as other tools take it; a folder as the URL that it is.
    #[must_use]
    pub fn name(&self) -> Cow<'_, str> {
        match self.url.scheme() {
            "s3" => percent_decode_str(self.url.as_str()).decode_utf8_lossy(),
            _ => self.url.as_str().into(),
        }
    }
}

/// How a bucket is reached. What is not said here, AWS's own variables and files say; secrets are only there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// `http://` or `https://`, without a `/` at its end.
    pub endpoint: Option<String>,
    pub region: Option<String>,
    /// `None`: where there is an endpoint.
    pub path_style: Option<bool>,
    pub profile: Option<String>,
    /// The ARN of a role to assume.
    pub role: Option<String>,
    pub requester_pays: bool,
    /// Requests are not signed.
    pub anonymous: bool,
    /// Of what is written; `None`: as the bucket does it by itself.
    pub encryption: Option<Encryption>,
    pub connect_timeout: Duration,
    /// Of one attempt, with its body.
    pub timeout: Duration,
    /// Attempts of one request.
    pub attempts: usize,
    /// From the first attempt of a request, after which there is no other.
    pub retry_timeout: Duration,
    /// Uploads carry a SHA-256, which the server compares and keeps.
    pub checksums: bool,
    /// Requests for bytes that a process has under way at once, when the server does not ask for fewer.
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
            requester_pays: false,
            anonymous: false,
            encryption: None,
            connect_timeout: Duration::from_secs(3),
            timeout: Duration::from_secs(20),
            attempts: 10,
            retry_timeout: Duration::from_mins(2),
            checksums: true,
            concurrent_requests: 256,
        }
    }
}

/// Who encrypts what a bucket holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Encryption {
    /// SSE-S3
    S3,
    /// SSE-KMS; without a key, the account's own.
    Kms { key: Option<String> },
}

/// A named prefix of JSON objects with a declared schema.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    pub name: String,
    /// Always ends with `/`.
    pub url: Url,
    pub format: Format,
    /// In the order of the file: the column order of the staging table.
    pub fields: Vec<Field>,
    /// 0.0–1.0: the share of rejected records, and of bytes without records, above which a run fails.
    pub max_quarantine_share: f64,
    pub on_change: OnChange,
    pub on_damaged: OnDamaged,
    pub on_archived: OnArchived,
    /// Links in its folder may lead out of it.
    pub follow_links: bool,
}

/// How records lie in an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    /// One JSON object a line.
    Ndjson,
    /// One object, several objects, an array of objects, or an array under a key of the top object.
    Json { records: Option<String> },
}

/// What a run does about an object that changed after it was taken in, or while it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnChange {
    Error,
    Ignore,
}

/// Action for an object whose end cannot be reached as records: one that was cut off, or is corrupt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnDamaged {
    /// The run fails.
    Error,
    /// The run ingests nothing of the object and tries it again next time.
    Skip,
    /// The run ingests the records that could be read and quarantines the rest.
    Keep,
}

/// What a run does about an object in a storage class from which it must be restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnArchived {
    Error,
    Skip,
}

/// One column of a staging table, or one member of a struct.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// The column's name.
    pub name: String,
    /// The keys that lead to the value inside the record; one key where the field is at the top.
    pub from: Vec<String>,
    pub field_type: FieldType,
    /// A record in which it is missing or null is rejected.
    pub required: bool,
}

/// The types a field can be declared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FieldType {
    String,
    Long,
    Double,
    Boolean,
    Timestamp(TimestampFormat),
    Date,
    /// Precision 1–38, scale 0–precision.
    Decimal {
        precision: u8,
        scale: i8,
    },
    /// The value's own JSON text.
    Json,
    List(Box<FieldType>),
    /// Members; `from` is the member's own key, `required` is always false.
    Struct(Vec<Field>),
}

/// What a timestamp is written as; it always becomes microseconds since the epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimestampFormat {
    EpochMilliseconds,
    EpochSeconds,
    Rfc3339,
}

/// What one model builds.
#[derive(Debug, Clone)]
pub struct Table {
    pub name: String,
    /// The model's file, for messages.
    pub sql_file: PathBuf,
    pub sql: String,
    /// Not null and unique before every commit; may be empty.
    pub key: Vec<String>,
    pub partition_by: Vec<String>,
    pub checks: Vec<Check>,
}

/// A condition that a table must meet before it is committed.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    pub rule: Rule,
    /// Only warn when it fails.
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
    /// Every non-null value exists in `to_column` of `to_table`.
    References {
        column: String,
        to_table: String,
        to_column: String,
    },
    /// Every non-null value, as text, is one of `values`.
    AcceptedValues {
        column: String,
        values: Vec<String>,
    },
    /// Every non-null value lies within the bounds, both inclusive.
    Range {
        column: String,
        min: Option<f64>,
        max: Option<f64>,
    },
    /// A query that returns the rows that fail.
    Sql {
        file: PathBuf,
        sql: String,
    },
}

/// What S3 asks for, in dollars.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prices {
    /// A thousand GET and HEAD requests.
    pub get: f64,
    /// A thousand PUT, POST and LIST requests.
    pub put: f64,
    /// A gigabyte (10^9 bytes) read; nothing within a region.
    pub transfer: f64,
}

impl Default for Prices {
    /// S3 Standard in `us-east-1`, by the price list that was known when this was written.
    fn default() -> Self {
        Self { get: 0.0004, put: 0.005, transfer: 0.0 }
    }
}

/// Bounds on what a process may use.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes this process aims to stay under, resident; queries spill beyond their share of it.
    pub memory_bytes: u64,
    /// Bytes of one record; a longer one is quarantined.
    pub max_record_bytes: u64,
    /// Where queries spill; `None`: the system's temporary folder.
    pub scratch: Option<PathBuf>,
    /// Partitions that run at once.
    pub threads: usize,
    /// Bytes of input that one scan task takes on.
    pub split_bytes: u64,
    /// Small objects read at once by one scan task.
    pub concurrent_reads: usize,
    /// Bytes of one Parquet file at which the next is begun.
    pub target_file_bytes: u64,
    /// Parquet files that one task may have open at once.
    pub max_open_files: usize,
    /// Decompressed bytes per compressed byte above which (after 64 MiB) an object is given up.
    pub max_decompression_ratio: u64,
}

/// Where the coordinator meets its workers, and when it gives up on one.
#[derive(Debug, Clone)]
pub struct Cluster {
    pub listen: String,
    /// The address that workers are told to connect to.
    pub advertise: String,
    pub min_workers: usize,
    /// How long a run waits for them, and goes on without any.
    pub worker_timeout: Duration,
    /// Where rows go from one stage to the next; `None`: into the lake.
    pub spool: Option<Url>,
    /// Between two signs of life of a worker.
    pub heartbeat: Duration,
    /// A worker that has been silent for this long is lost.
    pub lost_after: Duration,
    /// Attempts of one task that may fail or be lost before the run fails.
    pub attempts: usize,
    /// `None`: a slow task gets no speculative attempt.
    pub speculation: Option<Speculation>,
    /// `None`: no TLS.
    pub certificates: Option<Certificates>,
    /// Listens for any process that can connect, without TLS.
    pub is_insecure: bool,
}

/// When a slow task gets a speculative attempt.
#[derive(Debug, Clone, Copy)]
pub struct Speculation {
    /// 0.0–1.0: the share of a stage's tasks that must be done.
    pub done_share: f64,
    /// How many times as long as the median task the attempt must have run.
    pub slowness: f64,
}

/// Files in PEM form; both sides show a certificate that this authority signed.
#[derive(Debug, Clone)]
pub struct Certificates {
    pub ca: PathBuf,
    pub cert: PathBuf,
    pub key: PathBuf,
}
