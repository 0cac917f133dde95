//! Builds the rows of rejected records: object, position, reason and text.
//!
//! The reader collects the rows next to the decoded columns, the ingest node writes them, and
//! queries read them as `system.quarantine`.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Builder, StringBuilder, StructArray};
use arrow::datatypes::{DataType, Field, Fields};

use crate::read::rejection::Reason;

/// Maximum number of bytes that the quarantine stores of a rejected record's text.
///
/// The length of the record in the object is `byte_end - byte_offset`. The column `text_bytes` is
/// smaller if the record is too long or framing was lost, because it counts only the bytes of the
/// record that were in memory.
pub const KEPT_TEXT_BYTES: usize = 64 * 1024;

/// Returns the columns of a quarantine file.
#[must_use]
pub fn fields() -> Fields {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let long = |name: &str| Field::new(name, DataType::Int64, true);
    Fields::from(vec![
        text("source"),
        text("object"),
        long("byte_offset"),
        long("byte_end"),
        long("line"),
        text("reason"),
        text("field"),
        text("detail"),
        text("text"),
        long("text_bytes"),
        long("split_start"),
    ])
}

/// A rejected record and its position.
#[derive(Debug, Clone, Copy)]
pub struct RejectedRecord<'a> {
    pub source: &'a str,
    pub object: &'a str,
    /// Offset of the split that contains the record; 0 unless the object was cut into splits.
    pub split_start: u64,
    /// Byte offset of the record in the decompressed object.
    pub byte_offset: u64,
    /// Offset after the last byte of the record.
    pub byte_end: u64,
    /// Line number from 1, counted from the start of the split.
    pub line: u64,
    pub reason: Reason,
    /// Declared field that caused the rejection, if one did.
    pub field: Option<&'a str>,
    pub detail: &'a str,
    /// Text of the record, or only its start.
    pub text: &'a [u8],
}

/// Builds rows from rejected records, and keeps the rows until they are sent.
#[derive(Debug, Default)]
pub struct RejectedRows {
    source: StringBuilder,
    object: StringBuilder,
    byte_offset: Int64Builder,
    byte_end: Int64Builder,
    line: Int64Builder,
    reason: StringBuilder,
    field: StringBuilder,
    detail: StringBuilder,
    text: StringBuilder,
    text_bytes: Int64Builder,
    split_start: Int64Builder,
    rows: usize,
    bytes: usize,
}

impl RejectedRows {
    /// Adds a record.
    pub fn push(&mut self, record: &RejectedRecord<'_>) {
        // The cut may split a character, which `from_utf8_lossy` replaces below.
        let kept = &record.text[..record.text.len().min(KEPT_TEXT_BYTES)];
        self.source.append_value(record.source);
        self.object.append_value(record.object);
        self.byte_offset.append_value(signed(record.byte_offset));
        self.byte_end.append_value(signed(record.byte_end));
        self.line.append_value(signed(record.line));
        self.reason.append_value(record.reason.as_str());
        self.field.append_option(record.field);
        self.detail.append_value(record.detail);
        self.text.append_value(String::from_utf8_lossy(kept));
        self.text_bytes.append_value(signed(record.text.len() as u64));
        self.split_start.append_value(signed(record.split_start));
        self.rows += 1;
        // The 64 bytes are for the numbers and the short texts.
        self.bytes += kept.len() + record.detail.len() + record.object.len() + 64;
    }

    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Returns the approximate size of the rows in memory. The caller uses it to decide when to
    /// send them.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the records that were pushed since the last call.
    pub fn finish(&mut self) -> StructArray {
        self.rows = 0;
        self.bytes = 0;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.source.finish()),
            Arc::new(self.object.finish()),
            Arc::new(self.byte_offset.finish()),
            Arc::new(self.byte_end.finish()),
            Arc::new(self.line.finish()),
            Arc::new(self.reason.finish()),
            Arc::new(self.field.finish()),
            Arc::new(self.detail.finish()),
            Arc::new(self.text.finish()),
            Arc::new(self.text_bytes.finish()),
            Arc::new(self.split_start.finish()),
        ];
        StructArray::new(fields(), columns, None)
    }
}

/// Converts an offset, length or line number to a signed long, the type of integers in Parquet,
/// Delta and SQL. No object reaches 2^63 bytes.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
