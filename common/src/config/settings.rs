//! Every setting of `lake.toml`, with its type and its default.
//!
//! The list is used to report unknown keys with hints, and to find the settings that environment
//! variables override. A test compares the list with `docs/configuration.md`.

use std::fmt;
use std::time::Duration;

use super::defaults;

/// A setting: one key of a TOML table of `lake.toml`.
#[derive(Debug)]
pub struct Setting {
    pub key: &'static str,
    pub kind: Kind,
    pub default: DefaultValue,
}

/// Default of a setting. It is displayed as in the documentation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum DefaultValue {
    /// There is no default: the setting must be given.
    Required,
    /// Description of a default that is computed or absent, such as `none` or `the cores`.
    Described(&'static str),
    Text(&'static str),
    Boolean(bool),
    Count(usize),
    /// A size in bytes.
    Size(u64),
    Duration(Duration),
    Number(f64),
}

impl fmt::Display for DefaultValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Required => f.write_str("required"),
            Self::Described(text) => f.write_str(text),
            Self::Text(text) => write!(f, "\"{text}\""),
            Self::Boolean(yes) => write!(f, "{yes}"),
            Self::Count(count) => write!(f, "{count}"),
            Self::Size(bytes) if bytes % (1 << 20) == 0 => write!(f, "\"{}MiB\"", bytes >> 20),
            Self::Size(bytes) => write!(f, "{bytes}"),
            Self::Duration(duration) => write!(f, "\"{}\"", humantime::format_duration(*duration)),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

/// Type of a setting's value.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Text,
    /// One text, or a list of texts.
    Texts,
    /// Keys that lead to a value: a text, a position, or a list of these.
    Keys,
    /// A list of texts, numbers, booleans or dates.
    Values,
    OneOf(&'static [&'static str]),
    Boolean,
    /// An integer of at least 1.
    Count,
    /// A number of bytes, or a text with a unit, such as "16MiB"; at least one byte.
    Size,
    /// A duration as a text with a unit, such as "5m".
    Duration,
    /// A number from 0.0 to 1.0.
    Share,
    Number,
    /// A table with these keys.
    Section(&'static [Setting]),
    /// A table with user-defined names as keys; each value is a table with these keys.
    Named(&'static [Setting]),
    /// A table with one entry per column: the type of the field, or a table with these keys.
    Fields(&'static [Setting]),
    /// A list of tables with these keys.
    Listed(&'static [Setting]),
}

impl Kind {
    /// Returns the name of the type in the documentation and in messages.
    #[must_use]
    pub fn describe(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Texts => "text or list of texts".to_owned(),
            Self::Keys => "text, position, or list of keys".to_owned(),
            Self::Values => "list of values".to_owned(),
            Self::OneOf(words) => words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" or "),
            Self::Boolean => "boolean".to_owned(),
            Self::Count => "whole number".to_owned(),
            Self::Size => "size".to_owned(),
            Self::Duration => "duration".to_owned(),
            Self::Share => "number from 0 to 1".to_owned(),
            Self::Number => "number".to_owned(),
            Self::Section(_) | Self::Named(_) => "table".to_owned(),
            Self::Fields(_) => "table of fields".to_owned(),
            Self::Listed(_) => "list of tables".to_owned(),
        }
    }

    /// Returns the settings inside a value of this type; empty if the value is not a table.
    #[must_use]
    pub fn below(self) -> &'static [Setting] {
        match self {
            Self::Section(below) | Self::Named(below) | Self::Fields(below) | Self::Listed(below) => below,
            _ => &[],
        }
    }
}

const fn setting(key: &'static str, kind: Kind, default: DefaultValue) -> Setting {
    Setting { key, kind, default }
}

const REQUIRED: DefaultValue = DefaultValue::Required;
const NONE: DefaultValue = DefaultValue::Described("none");

/// Settings at the top level of the file.
pub const ROOT: &[Setting] = &[
    setting("lake", Kind::Section(LAKE), REQUIRED),
    setting("sources", Kind::Named(SOURCE), NONE),
    setting("tables", Kind::Named(TABLE), NONE),
    setting("limits", Kind::Section(LIMITS), DefaultValue::Described("as below")),
    setting("cluster", Kind::Section(CLUSTER), DefaultValue::Described("none: one process")),
    setting("storage", Kind::Named(STORAGE), DefaultValue::Described("as AWS's own variables and files say")),
    setting("prices", Kind::Section(PRICES), DefaultValue::Described("as below")),
];

/// Settings of `[prices]`, in dollars.
pub const PRICES: &[Setting] = &[
    setting("get", Kind::Number, DefaultValue::Number(defaults::GET_PRICE)),
    setting("put", Kind::Number, DefaultValue::Number(defaults::PUT_PRICE)),
    setting("transfer", Kind::Number, DefaultValue::Number(defaults::TRANSFER_PRICE)),
];

/// Settings of `[lake]`.
pub const LAKE: &[Setting] = &[setting("url", Kind::Text, REQUIRED)];

/// Settings of `[sources.<name>]`.
pub const SOURCE: &[Setting] = &[
    setting("url", Kind::Text, REQUIRED),
    setting("include", Kind::Texts, NONE),
    setting("exclude", Kind::Texts, NONE),
    setting("allow_empty", Kind::Boolean, DefaultValue::Boolean(defaults::ALLOW_EMPTY)),
    setting("format", Kind::OneOf(&["ndjson", "json"]), DefaultValue::Text(defaults::FORMAT)),
    setting("records", Kind::Text, NONE),
    setting("max_quarantine_share", Kind::Share, DefaultValue::Number(defaults::MAX_QUARANTINE_SHARE)),
    setting("on_change", Kind::OneOf(&["error", "ignore"]), DefaultValue::Text(defaults::ON_TROUBLE)),
    setting("on_damaged", Kind::OneOf(&["error", "skip", "keep"]), DefaultValue::Text(defaults::ON_TROUBLE)),
    setting("on_archived", Kind::OneOf(&["error", "skip"]), DefaultValue::Text(defaults::ON_TROUBLE)),
    setting("follow_links", Kind::Boolean, DefaultValue::Boolean(defaults::FOLLOW_LINKS)),
    setting("encoding", Kind::Text, DefaultValue::Text(defaults::ENCODING)),
    setting("invalid_unicode", Kind::OneOf(&["quarantine", "replace"]), DefaultValue::Text(defaults::ON_INVALID)),
    setting("null_records", Kind::OneOf(&["quarantine", "skip"]), DefaultValue::Text(defaults::ON_INVALID)),
    setting("allow_nan", Kind::Boolean, DefaultValue::Boolean(defaults::ALLOW_NAN)),
    setting("path_pattern", Kind::Text, NONE),
    setting("fields", Kind::Fields(FIELD), REQUIRED),
];

/// Settings of a field of `[sources.<name>.fields]` that is written as a table.
pub const FIELD: &[Setting] = &[
    setting("type", Kind::Text, REQUIRED),
    setting("from", Kind::Keys, DefaultValue::Described("the field's name")),
    setting("aliases", Kind::Texts, NONE),
    setting("from_document", Kind::Text, NONE),
    setting("from_path", Kind::Text, NONE),
    setting("from_metadata", Kind::Text, NONE),
    setting("required", Kind::Boolean, DefaultValue::Boolean(defaults::REQUIRED)),
    setting("null_values", Kind::Texts, NONE),
    setting("on_invalid", Kind::OneOf(&["quarantine", "null"]), DefaultValue::Text(defaults::ON_INVALID)),
    setting("wrap", Kind::Boolean, DefaultValue::Boolean(defaults::WRAP)),
    setting("zone", Kind::Text, DefaultValue::Described("UTC")),
    setting("thousands_separator", Kind::Text, NONE),
    setting("decimal_separator", Kind::Text, DefaultValue::Text(defaults::DECIMAL_SEPARATOR)),
];

/// Settings of `[tables.<name>]`.
pub const TABLE: &[Setting] = &[
    setting("sql", Kind::Text, DefaultValue::Described("\"models/<name>.sql\"")),
    setting("key", Kind::Texts, NONE),
    setting("partition_by", Kind::Texts, NONE),
    setting("checks", Kind::Listed(CHECK), NONE),
];

/// Settings of one of a table's `checks`: exactly one rule and the keys that the rule needs.
pub const CHECK: &[Setting] = &[
    setting("not_null", Kind::Text, NONE),
    setting("unique", Kind::Texts, NONE),
    setting("references", Kind::Text, NONE),
    setting("accepted_values", Kind::Values, NONE),
    setting("range", Kind::Section(RANGE), NONE),
    setting("sql", Kind::Text, NONE),
    setting("column", Kind::Text, NONE),
    setting("warn", Kind::Boolean, DefaultValue::Boolean(defaults::WARN)),
];

/// Settings of the value of `range`.
pub const RANGE: &[Setting] = &[setting("min", Kind::Number, NONE), setting("max", Kind::Number, NONE)];

/// Settings of `[limits]`.
pub const LIMITS: &[Setting] = &[
    setting("memory", Kind::Size, DefaultValue::Described("half of the machine's or cgroup's")),
    setting("max_record_bytes", Kind::Size, DefaultValue::Size(defaults::MAX_RECORD_BYTES)),
    setting("scratch", Kind::Text, DefaultValue::Described("the system's temporary folder")),
    setting("threads", Kind::Count, DefaultValue::Described("the cores")),
    setting("split_bytes", Kind::Size, DefaultValue::Size(defaults::SPLIT_BYTES)),
    setting("concurrent_reads", Kind::Count, DefaultValue::Count(defaults::CONCURRENT_READS)),
    setting("target_file_bytes", Kind::Size, DefaultValue::Size(defaults::TARGET_FILE_BYTES)),
    setting("max_open_files", Kind::Count, DefaultValue::Count(defaults::MAX_OPEN_FILES)),
    setting("max_decompression_ratio", Kind::Count, DefaultValue::Count(defaults::MAX_DECOMPRESSION_RATIO)),
];

/// Settings of `[cluster]`.
pub const CLUSTER: &[Setting] = &[
    setting("listen", Kind::Text, DefaultValue::Text(defaults::LISTEN)),
    setting("min_workers", Kind::Count, DefaultValue::Count(defaults::MIN_WORKERS)),
    setting("worker_timeout", Kind::Duration, DefaultValue::Duration(defaults::WORKER_TIMEOUT)),
    setting("advertise", Kind::Text, DefaultValue::Described("as `listen`")),
    setting("spool", Kind::Text, DefaultValue::Described("inside the lake")),
    setting("heartbeat", Kind::Duration, DefaultValue::Duration(defaults::HEARTBEAT)),
    setting("lost_after", Kind::Duration, DefaultValue::Duration(defaults::LOST_AFTER)),
    setting("attempts", Kind::Count, DefaultValue::Count(defaults::TASK_ATTEMPTS)),
    setting("speculation", Kind::Boolean, DefaultValue::Boolean(defaults::SPECULATION)),
    setting("speculation_share", Kind::Share, DefaultValue::Number(defaults::SPECULATION_SHARE)),
    setting("speculation_slowness", Kind::Number, DefaultValue::Number(defaults::SPECULATION_SLOWNESS)),
    setting("ca", Kind::Text, NONE),
    setting("cert", Kind::Text, NONE),
    setting("key", Kind::Text, NONE),
    setting("insecure", Kind::Boolean, DefaultValue::Boolean(defaults::INSECURE)),
];

/// Settings of `[storage."s3://bucket"]`.
pub const STORAGE: &[Setting] = &[
    setting("endpoint", Kind::Text, DefaultValue::Described("`AWS_ENDPOINT_URL_S3`, or AWS")),
    setting("region", Kind::Text, DefaultValue::Described("the bucket's own")),
    setting("path_style", Kind::Boolean, DefaultValue::Described("true with an endpoint")),
    setting("profile", Kind::Text, DefaultValue::Described("`AWS_PROFILE`")),
    setting("role", Kind::Text, NONE),
    setting("requester_pays", Kind::Boolean, DefaultValue::Boolean(defaults::REQUESTER_PAYS)),
    setting("anonymous", Kind::Boolean, DefaultValue::Boolean(defaults::ANONYMOUS)),
    setting("encryption", Kind::OneOf(&["AES256", "aws:kms"]), DefaultValue::Described("the bucket's own")),
    setting("kms_key", Kind::Text, DefaultValue::Described("the account's own")),
    setting("connect_timeout", Kind::Duration, DefaultValue::Duration(defaults::CONNECT_TIMEOUT)),
    setting("timeout", Kind::Duration, DefaultValue::Duration(defaults::TIMEOUT)),
    setting("attempts", Kind::Count, DefaultValue::Count(defaults::REQUEST_ATTEMPTS)),
    setting("retry_timeout", Kind::Duration, DefaultValue::Duration(defaults::RETRY_TIMEOUT)),
    setting("checksums", Kind::Boolean, DefaultValue::Boolean(defaults::CHECKSUMS)),
    setting("concurrent_requests", Kind::Count, DefaultValue::Count(defaults::CONCURRENT_REQUESTS)),
];

/// All TOML tables that `lake.toml` may contain. Each has a text, which is the header or the key
/// that a user writes, and the settings of the table.
pub const TABLES_OF_THE_FILE: &[(&str, &[Setting])] = &[
    ("[lake]", LAKE),
    ("[sources.<name>]", SOURCE),
    ("[sources.<name>.fields]", FIELD),
    ("[tables.<name>]", TABLE),
    ("checks", CHECK),
    ("range", RANGE),
    ("[limits]", LIMITS),
    ("[cluster]", CLUSTER),
    ("[storage.\"s3://bucket\"]", STORAGE),
    ("[prices]", PRICES),
];
