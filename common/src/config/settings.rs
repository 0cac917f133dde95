//! Every setting that `lake.toml` knows, with its type and its default.
//!
//! The one list behind unknown keys and their hints, the environment's overrides and the page `docs/configuration.md`,
//! which a test holds to it.

/// One key of one table of the file.
#[derive(Debug)]
pub struct Setting {
    pub key: &'static str,
    pub kind: Kind,
    /// As the documentation says it.
    pub default: &'static str,
}

/// What a setting takes.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Text,
    /// One text, or a list of them.
    Texts,
    /// Texts, numbers or booleans in a list.
    Values,
    OneOf(&'static [&'static str]),
    Boolean,
    /// At least 1.
    Count,
    /// Bytes, or a text with a unit; at least 1.
    Size,
    /// A text with a unit.
    Duration,
    /// 0.0–1.0
    Share,
    Number,
    /// A table with these keys.
    Section(&'static [Setting]),
    /// A table of tables with these keys, under names that the user chooses.
    Named(&'static [Setting]),
    /// A table of field types, or of tables with these keys, under the columns' names.
    Fields(&'static [Setting]),
    /// A list of tables with these keys.
    Listed(&'static [Setting]),
}

impl Kind {
    /// As the documentation and the faults name it.
    #[must_use]
    pub fn describe(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Texts => "text or list of texts".to_owned(),
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

    /// The settings below this one.
    #[must_use]
    pub fn below(self) -> &'static [Setting] {
        match self {
            Self::Section(below) | Self::Named(below) | Self::Fields(below) | Self::Listed(below) => below,
            _ => &[],
        }
    }
}

const fn setting(key: &'static str, kind: Kind, default: &'static str) -> Setting {
    Setting { key, kind, default }
}

/// What stands for a default that does not exist.
pub const REQUIRED: &str = "required";

/// The top of the file.
pub const ROOT: &[Setting] = &[
    setting("lake", Kind::Section(LAKE), REQUIRED),
    setting("sources", Kind::Named(SOURCE), "none"),
    setting("tables", Kind::Named(TABLE), "none"),
    setting("limits", Kind::Section(LIMITS), "as below"),
    setting("cluster", Kind::Section(CLUSTER), "none: one process"),
    setting("storage", Kind::Named(STORAGE), "as AWS's own variables and files say"),
    setting("prices", Kind::Section(PRICES), "as below"),
];

/// `[prices]`, in dollars.
pub const PRICES: &[Setting] = &[
    setting("get", Kind::Number, "0.0004"),
    setting("put", Kind::Number, "0.005"),
    setting("transfer", Kind::Number, "0"),
];

/// `[lake]`
pub const LAKE: &[Setting] = &[setting("url", Kind::Text, REQUIRED)];

/// `[sources.<name>]`
pub const SOURCE: &[Setting] = &[
    setting("url", Kind::Text, REQUIRED),
    setting("format", Kind::OneOf(&["ndjson", "json"]), "\"ndjson\""),
    setting("records", Kind::Text, "none"),
    setting("max_quarantine_share", Kind::Share, "0.01"),
    setting("on_change", Kind::OneOf(&["error", "ignore"]), "\"error\""),
    setting("on_damaged", Kind::OneOf(&["error", "skip", "keep"]), "\"error\""),
    setting("on_archived", Kind::OneOf(&["error", "skip"]), "\"error\""),
    setting("follow_links", Kind::Boolean, "false"),
    setting("fields", Kind::Fields(FIELD), REQUIRED),
];

/// A field of `[sources.<name>.fields]` that is written as a table.
pub const FIELD: &[Setting] = &[
    setting("type", Kind::Text, REQUIRED),
    setting("from", Kind::Texts, "the field's name"),
    setting("required", Kind::Boolean, "false"),
];

/// `[tables.<name>]`
pub const TABLE: &[Setting] = &[
    setting("sql", Kind::Text, "\"models/<name>.sql\""),
    setting("key", Kind::Texts, "none"),
    setting("partition_by", Kind::Texts, "none"),
    setting("checks", Kind::Listed(CHECK), "none"),
];

/// One of a table's `checks`: exactly one rule, and what it needs.
pub const CHECK: &[Setting] = &[
    setting("not_null", Kind::Text, "none"),
    setting("unique", Kind::Texts, "none"),
    setting("references", Kind::Text, "none"),
    setting("accepted_values", Kind::Values, "none"),
    setting("range", Kind::Section(RANGE), "none"),
    setting("sql", Kind::Text, "none"),
    setting("column", Kind::Text, "none"),
    setting("warn", Kind::Boolean, "false"),
];

/// The bounds of a `range`.
pub const RANGE: &[Setting] = &[setting("min", Kind::Number, "none"), setting("max", Kind::Number, "none")];

/// `[limits]`
pub const LIMITS: &[Setting] = &[
    setting("memory", Kind::Size, "half of the machine's or cgroup's"),
    setting("max_record_bytes", Kind::Size, "\"16MiB\""),
    setting("scratch", Kind::Text, "the system's temporary folder"),
    setting("threads", Kind::Count, "the cores"),
    setting("split_bytes", Kind::Size, "\"128MiB\""),
    setting("concurrent_reads", Kind::Count, "128"),
    setting("target_file_bytes", Kind::Size, "\"256MiB\""),
    setting("max_open_files", Kind::Count, "64"),
    setting("max_decompression_ratio", Kind::Count, "200"),
];

/// `[cluster]`
pub const CLUSTER: &[Setting] = &[
    setting("listen", Kind::Text, "\"0.0.0.0:50051\""),
    setting("min_workers", Kind::Count, "1"),
    setting("worker_timeout", Kind::Duration, "\"5m\""),
    setting("advertise", Kind::Text, "as `listen`"),
    setting("spool", Kind::Text, "inside the lake"),
    setting("heartbeat", Kind::Duration, "\"500ms\""),
    setting("lost_after", Kind::Duration, "\"5s\""),
    setting("attempts", Kind::Count, "4"),
    setting("speculation", Kind::Boolean, "true"),
    setting("speculation_share", Kind::Share, "0.75"),
    setting("speculation_slowness", Kind::Number, "2.0"),
    setting("ca", Kind::Text, "none"),
    setting("cert", Kind::Text, "none"),
    setting("key", Kind::Text, "none"),
    setting("insecure", Kind::Boolean, "false"),
];

/// `[storage."s3://bucket"]`
pub const STORAGE: &[Setting] = &[
    setting("endpoint", Kind::Text, "`AWS_ENDPOINT_URL_S3`, or AWS"),
    setting("region", Kind::Text, "the bucket's own"),
    setting("path_style", Kind::Boolean, "true with an endpoint"),
    setting("profile", Kind::Text, "`AWS_PROFILE`"),
    setting("role", Kind::Text, "none"),
    setting("requester_pays", Kind::Boolean, "false"),
    setting("anonymous", Kind::Boolean, "false"),
    setting("encryption", Kind::OneOf(&["AES256", "aws:kms"]), "the bucket's own"),
    setting("kms_key", Kind::Text, "the account's own"),
    setting("connect_timeout", Kind::Duration, "\"3s\""),
    setting("timeout", Kind::Duration, "\"20s\""),
    setting("attempts", Kind::Count, "10"),
    setting("retry_timeout", Kind::Duration, "\"2m\""),
    setting("checksums", Kind::Boolean, "true"),
    setting("concurrent_requests", Kind::Count, "256"),
];

/// The tables of the file as a user writes their heads, with what may stand in each.
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
