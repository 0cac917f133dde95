//! ③ Columns whose values are not the values of keys: parts of the object's path, properties of the
//! object, and the place and text of the record.
//!
//! Values that come from the object are the same for all of its records, so they are checked once per
//! split. If such a value does not fit its type, or is required and missing, all records of the object
//! are rejected.

use std::collections::BTreeMap;

use arrow::array::ArrayRef;
use arrow::error::ArrowError;
use percent_encoding::percent_decode_str;
use regex::Regex;
use url::Url;

use crate::config::resolved::{Field, FieldInput, FieldType, Metadata, OnInvalid, Source};
use crate::read::json::coerce::{Fault, Scalar};
use crate::read::json::columns::Column;
use crate::read::json::keys::Keys;
use crate::read::json::rest::rest;
use crate::read::rejection::{Reason, Rejection};
use crate::storage::object::SourceObject;

/// Value of a folder `name=value` that stands for null, as Hive and Spark write it.
const NULL_FOLDER: &str = "__HIVE_DEFAULT_PARTITION__";

/// The attached columns of a source.
#[derive(Debug)]
pub(in crate::read) struct Attached {
    columns: Vec<AttachedColumn>,
    /// Keys that fields read, to find the rest.
    keys: Keys,
    url: Url,
    path_pattern: Option<Regex>,
    /// Reason to reject all records of the current object.
    rejection: Option<Rejection>,
    /// Numbers of invalid values that became null, by field.
    nulled: BTreeMap<String, u64>,
    bytes: usize,
}

#[derive(Debug)]
struct AttachedColumn {
    /// Index among all fields of the source.
    position: usize,
    input: FieldInput,
    is_required: bool,
    column: Column,
    /// Value of all records of the current object, if the value comes from the object.
    constant: Constant,
}

#[derive(Debug, Clone)]
enum Constant {
    Null,
    /// A value that does not fit the type and is null for this reason.
    Nulled,
    Text(String),
    Long(i64),
}

/// The current record.
#[derive(Debug, Clone, Copy)]
pub(in crate::read) struct RecordText<'a> {
    pub(in crate::read) offset: u64,
    pub(in crate::read) line: u64,
    pub(in crate::read) text: &'a str,
}

impl Attached {
    /// Returns the attached columns of `source`.
    pub(in crate::read) fn new(source: &Source) -> Self {
        let attached = |(position, field): (usize, &Field)| match &field.input {
            FieldInput::Keys(_) | FieldInput::Document(_) => None,
            input => Some(AttachedColumn {
                position,
                input: input.clone(),
                is_required: field.required,
                column: Column::new(&field.name, &field.field_type, &field.rules),
                constant: Constant::Null,
            }),
        };
        Self {
            columns: source.fields.iter().enumerate().filter_map(attached).collect(),
            keys: Keys::new(&source.fields),
            url: source.url.clone(),
            // The pattern was checked with the configuration, or when the scan was decoded.
            path_pattern: source.decoding.path_pattern.as_deref().and_then(|pattern| Regex::new(pattern).ok()),
            rejection: None,
            nulled: BTreeMap::new(),
            bytes: 0,
        }
    }

    pub(in crate::read) fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// Starts the records of `object`.
    pub(in crate::read) fn start_object(&mut self, object: &SourceObject) {
        self.rejection = None;
        for attached in &mut self.columns {
            let text = match &attached.input {
                FieldInput::PathPart(name) => match &self.path_pattern {
                    Some(pattern) => group(pattern, &object.key, name),
                    None => folder(&self.url, &object.key, name),
                },
                FieldInput::Metadata(Metadata::Key) => Some(object.key.clone()),
                FieldInput::Metadata(Metadata::Etag) => object.etag.clone(),
                FieldInput::Metadata(Metadata::Size) => {
                    attached.constant = Constant::Long(signed(object.bytes));
                    continue;
                }
                FieldInput::Metadata(Metadata::Modified) => {
                    attached.constant = Constant::Long(object.modified);
                    continue;
                }
                FieldInput::Metadata(Metadata::Line | Metadata::Offset | Metadata::Raw | Metadata::Rest)
                | FieldInput::Keys(_)
                | FieldInput::Document(_) => continue,
            };
            match attached.convert(text) {
                Ok(constant) => attached.constant = constant,
                Err(rejection) => self.rejection = self.rejection.take().or(Some(rejection)),
            }
        }
    }

    /// Returns the reason to reject all records of the current object, if there is one.
    pub(in crate::read) fn rejection(&self) -> Option<&Rejection> {
        self.rejection.as_ref()
    }

    /// Adds the values of an accepted record.
    ///
    /// # Errors
    /// A column would have more than 2 GiB. Some columns may then have the value.
    pub(in crate::read) fn push(&mut self, record: RecordText<'_>) -> Result<(), Rejection> {
        for AttachedColumn { input, column, constant, .. } in &mut self.columns {
            let pushed = match input {
                FieldInput::Metadata(Metadata::Line) => column.push(Scalar::Signed(signed(record.line))),
                FieldInput::Metadata(Metadata::Offset) => column.push(Scalar::Signed(signed(record.offset))),
                FieldInput::Metadata(Metadata::Raw) => {
                    self.bytes += record.text.len();
                    column.push_json(record.text.trim_ascii())
                }
                FieldInput::Metadata(Metadata::Rest) => match rest(record.text, &self.keys) {
                    Some(rest) => {
                        self.bytes += rest.len();
                        column.push_json(&rest)
                    }
                    None => push_null(column),
                },
                _ => match constant {
                    Constant::Null => push_null(column),
                    Constant::Nulled => {
                        *self.nulled.entry(column.name.clone()).or_default() += 1;
                        push_null(column)
                    }
                    Constant::Text(text) => {
                        self.bytes += text.len();
                        column.push(Scalar::Text(text))
                    }
                    Constant::Long(value) => column.push_long(*value),
                },
            };
            if pushed.is_err() {
                return Err(Rejection::of_field(
                    Reason::TooLong,
                    &column.name,
                    "the column would hold more than 2 GiB",
                ));
            }
        }
        Ok(())
    }

    /// Removes all but the first `rows` values of each column.
    pub(in crate::read) fn truncate(&mut self, rows: usize) {
        self.columns.iter_mut().for_each(|attached| attached.column.truncate(rows));
    }

    /// Returns the approximate number of bytes of the values since the last call of
    /// [`Self::finish`].
    pub(in crate::read) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds the columns to those of the keys, each at the position of its field.
    ///
    /// # Errors
    /// Never fails in practice, because every column has the declared type.
    pub(in crate::read) fn finish(&mut self, columns: &mut Vec<ArrayRef>) -> Result<(), ArrowError> {
        self.bytes = 0;
        // The positions ascend, so all fields before a position are in the vector already.
        for attached in &mut self.columns {
            columns.insert(attached.position, attached.column.finish()?);
        }
        Ok(())
    }

    /// Returns the number of invalid values that became null, by field.
    pub(in crate::read) fn nulled_values(&self) -> &BTreeMap<String, u64> {
        &self.nulled
    }
}

impl AttachedColumn {
    /// Checks a text that comes from the object by converting it. Each record converts it again.
    fn convert(&mut self, text: Option<String>) -> Result<Constant, Rejection> {
        let Some(text) = text.filter(|text| !self.column.rules.null_values.contains(text)) else {
            return self.null(Constant::Null);
        };
        let is_number =
            matches!(self.column.field_type, FieldType::Long | FieldType::Double | FieldType::Decimal { .. });
        let text = if is_number { without_leading_zeros(&text) } else { text };
        let rows = self.column.len();
        match self.column.push(Scalar::Text(&text)) {
            Ok(()) => {
                let is_valid = self.column.is_valid(rows);
                self.column.truncate(rows);
                if is_valid { Ok(Constant::Text(text)) } else { self.null(Constant::Null) }
            }
            Err(_) if self.column.rules.on_invalid == OnInvalid::Null => self.null(Constant::Nulled),
            Err(fault) => {
                let reason = if fault == Fault::OutOfRange { Reason::OutOfRange } else { Reason::WrongType };
                let detail = format!("`{text}` of the object's path does not fit the type of the field");
                Err(Rejection::of_field(reason, &self.column.name, detail))
            }
        }
    }

    fn null(&self, constant: Constant) -> Result<Constant, Rejection> {
        let name = &self.column.name;
        if self.is_required {
            let detail = format!("required field `{name}` has no value for this object");
            return Err(Rejection::of_field(Reason::MissingField, name, detail));
        }
        Ok(constant)
    }
}

fn push_null(column: &mut Column) -> Result<(), Fault> {
    column.push_null();
    Ok(())
}

/// Returns the text of the group `name` in the object's key.
fn group(pattern: &Regex, key: &str, name: &str) -> Option<String> {
    pattern.captures(key)?.name(name).map(|group| group.as_str().to_owned())
}

/// Returns the value of the innermost folder `name=value` of the object's path, with its
/// percent-encoding decoded.
fn folder(url: &Url, key: &str, name: &str) -> Option<String> {
    let root = percent_decode_str(url.path()).decode_utf8_lossy();
    let (folders, _) = key.rsplit_once('/').unwrap_or_default();
    let segments = folders.rsplit('/').chain(root.rsplit('/'));
    let value = segments.filter_map(|segment| segment.split_once('=')).find(|(folder, _)| *folder == name)?.1;
    // A value that is not UTF-8 stays encoded, because replaced bytes would make values equal.
    let decoded = |value| percent_decode_str(value).decode_utf8().map_or(value.to_owned(), Into::into);
    (value != NULL_FOLDER).then(|| decoded(value))
}

/// Returns the text of a number without zeros before its first digit, because folders often have
/// numbers such as `month=01`.
fn without_leading_zeros(text: &str) -> String {
    let (sign, digits) = if let Some(digits) = text.strip_prefix('-') { ("-", digits) } else { ("", text) };
    let trimmed = digits.trim_start_matches('0');
    // A number that consists of zeros, or starts with `0.`, needs one of them.
    let zero =
        if trimmed.len() < digits.len() && !trimmed.starts_with(|next: char| next.is_ascii_digit()) { "0" } else { "" };
    format!("{sign}{zero}{trimmed}")
}

/// Converts a count to a long. No object reaches 2^63 bytes.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_before_a_number_are_removed() {
        for (text, expected) in [
            ("01", "1"),
            ("0", "0"),
            ("000", "0"),
            ("00.5", "0.5"),
            ("-05", "-5"),
            ("10", "10"),
            ("", ""),
            ("0x", "0x"),
        ] {
            assert_eq!(without_leading_zeros(text), expected);
        }
    }

    #[test]
    fn a_folder_is_found_in_the_whole_path_the_innermost_first() {
        let url: Url = "s3://bucket/logs/year=2018/month=11/".parse().unwrap();
        for (key, name, expected) in [
            ("day=05/a.json", "day", Some("05")),
            ("day=05/a.json", "month", Some("11")),
            ("month=12/a.json", "month", Some("12")),
            ("city=S%C3%A3o%20Paulo%2F=/a.json", "city", Some("São Paulo/=")),
            ("city=__HIVE_DEFAULT_PARTITION__/a.json", "city", None),
            ("city=/a.json", "city", Some("")),
            ("city=%FF/a.json", "city", Some("%FF")),
            ("day=05", "day", None),
            ("a.json", "Month", None),
        ] {
            assert_eq!(folder(&url, key, name).as_deref(), expected, "{key}");
        }
    }
}
