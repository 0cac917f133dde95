//! Reasons to reject a record: a code that never changes, the field that caused it, and a sentence.
//!
//! Both framing and decoding reject records. The caller decides what happens to a rejected record.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Kind of a rejection. Its code is stored in the quarantine, and users' scripts depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Text that is not JSON, or that contains more than one value.
    Malformed,
    /// Bytes that are not UTF-8.
    NotUtf8,
    /// A JSON value that is not an object.
    NotAnObject,
    /// A value that cannot be converted to the declared type of its field.
    WrongType,
    /// A number or time that does not fit the declared type.
    OutOfRange,
    /// A required field that is missing or null.
    MissingField,
    /// A record that is longer than `max_record_bytes`.
    TooLong,
    /// A compressed object that ends early.
    TruncatedCompression,
    /// A compressed object that cannot be decompressed.
    CorruptCompression,
    /// An object, or a file in a zip archive, that is not JSON text, or is compressed or encrypted
    /// in a way that is not supported.
    UnsupportedFormat,
    /// A compressed object that grows beyond `max_decompression_ratio`.
    CompressionBomb,
    /// A document in which some records cannot be found, because brackets, separators or quotes are
    /// wrong.
    BrokenDocument,
}

impl Reason {
    /// Returns the code that the quarantine contains, such as `wrong_type`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::NotUtf8 => "not_utf8",
            Self::NotAnObject => "not_an_object",
            Self::WrongType => "wrong_type",
            Self::OutOfRange => "out_of_range",
            Self::MissingField => "missing_field",
            Self::TooLong => "too_long",
            Self::TruncatedCompression => "truncated_compression",
            Self::CorruptCompression => "corrupt_compression",
            Self::UnsupportedFormat => "unsupported_format",
            Self::CompressionBomb => "compression_bomb",
            Self::BrokenDocument => "broken_document",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Number of records that a rejected range of bytes may contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// One record, whose start and end are known.
    Record,
    /// Any number of records: framing was lost at the start of the range and is certain again at
    /// its end.
    Gap,
    /// Any number of records, up to the end of the bytes that could be read: the object is damaged.
    Rest,
}

/// Reason why one record is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    pub reason: Reason,
    /// Column that caused the rejection, such as `user`, or a member inside it, such as
    /// `user.name`.
    pub field: Option<String>,
    /// Sentence that names the cause, such as "`39.5` is not a long".
    pub detail: String,
}

impl Rejection {
    /// Returns a rejection that no single field caused.
    #[must_use]
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, field: None, detail: detail.into() }
    }

    /// Returns a rejection because of the value of one field.
    #[must_use]
    pub fn of_field(reason: Reason, field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { reason, field: Some(field.into()), detail: detail.into() }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.detail)?;
        match &self.field {
            Some(field) => write!(f, " (field `{field}`)"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the codes of all reasons. Serde lists them in its error message for an unknown code.
    fn codes() -> Vec<String> {
        let error = serde_json::from_str::<Reason>("\"?\"").unwrap_err().to_string();
        let (_, expected) = error.split_once("expected one of ").unwrap();
        expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn a_code_is_the_same_in_the_quarantine_and_in_json() {
        assert!(codes().len() > 5, "{:?}", codes());
        for code in codes() {
            let reason: Reason = serde_json::from_value(code.as_str().into()).unwrap();
            assert_eq!(reason.as_str(), code);
        }
    }

    #[test]
    fn the_documentation_explains_every_reason_and_no_other() {
        let page = include_str!("../../../docs/objects.md");
        let (_, section) = page.split_once("\n## Reasons in the quarantine\n").unwrap();
        let section = section.split("\n## ").next().unwrap();
        let listed: Vec<&str> = section
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
            .map(|(code, _)| code)
            .collect();
        assert_eq!(listed, codes());
    }
}
