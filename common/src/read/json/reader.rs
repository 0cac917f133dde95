//! ③ Frames and decodes JSON records, split by split.
//!
//! `read::record_format` uses this reader for JSON. `framing` cuts the text into records,
//! `decoder` decodes each into the columns of its keys, and `attached` adds the other columns.

use std::borrow::Cow;

use arrow::array::{Array, StructArray};
use arrow::datatypes::Fields;
use arrow::error::ArrowError;
use bytes::Bytes;

use crate::config::resolved::{Decoding, Field, FieldInput, JsonFormat, Source};
use crate::read::field_counts::FieldCounts;
use crate::read::framing::lines::LineFramer;
use crate::read::framing::{Framed, Framer};
use crate::read::json::attached::{Attached, RecordText};
use crate::read::json::decoder::Decoder;
use crate::read::json::lenient;
use crate::read::record_sink::{BlockEnd, Place, RecordSink};
use crate::read::rejection::{Extent, Reason, Rejection};
use crate::read::schema::arrow_schema;
use crate::read::split::Split;

/// Reads JSON records of one source.
#[derive(Debug)]
pub struct JsonReader {
    format: JsonFormat,
    max_record_bytes: u64,
    /// Framer of the current split.
    framer: Framer,
    rows: Rows,
}

/// The rows of the current batch, which may come from several splits.
#[derive(Debug)]
struct Rows {
    decoding: Decoding,
    allows_nan: bool,
    fields: Fields,
    /// Columns of the fields that are values of keys.
    decoder: Decoder,
    /// Columns of the other fields.
    attached: Attached,
    /// Numbers of non-null values of each field, in the order of `fields`.
    filled: Vec<u64>,
    /// Number of skipped records that were null.
    null_records: u64,
}

impl JsonReader {
    /// Returns a reader for the records of `source`, which are in `format`. A record of more than
    /// `max_record_bytes` is rejected.
    #[must_use]
    pub fn new(source: &Source, format: &JsonFormat, max_record_bytes: u64) -> Self {
        let no_split = Framer::Lines(LineFramer::new(0, None, max_record_bytes));
        Self { format: format.clone(), max_record_bytes, framer: no_split, rows: Rows::new(source) }
    }

    pub(in crate::read) fn start_split(&mut self, split: &Split) {
        self.framer = Framer::for_split(split, &self.format, self.max_record_bytes);
        self.rows.attached.start_object(&split.object);
    }

    pub(in crate::read) fn push(&mut self, chunk: &Bytes) {
        self.framer.push(chunk);
    }

    pub(in crate::read) fn finish_split(&mut self) {
        self.framer.finish();
    }

    pub(in crate::read) fn break_off(&mut self, reason: Reason, detail: String) {
        self.framer.break_off(reason, detail);
    }

    pub(in crate::read) fn read_block(&mut self, sink: &mut RecordSink<'_>) -> BlockEnd {
        while let Some(framed) = self.framer.next() {
            match framed {
                Framed::Record { offset, line, text } => match self.rows.read(offset, line, text) {
                    Ok(Outcome::Stored) => sink.accept(),
                    Ok(Outcome::Skipped) => {}
                    Err(rejection) => {
                        let place = Place { offset, bytes: text.len() as u64, line, text };
                        sink.reject(&place, Extent::Record, rejection);
                    }
                },
                Framed::Broken { offset, bytes, line, extent, reason, detail, text } => {
                    let place = Place { offset, bytes, line, text };
                    sink.reject(&place, extent, Rejection::new(reason, detail));
                }
            }
            if sink.must_stop(self.rows.decoder.rows(), self.rows.bytes()) {
                return BlockEnd::Stopped;
            }
        }
        BlockEnd::NeedsChunk
    }

    pub(in crate::read) fn is_done(&self) -> bool {
        self.framer.is_done()
    }

    pub(in crate::read) fn lines(&self) -> u64 {
        self.framer.lines()
    }

    pub(in crate::read) fn templated_records(&self) -> u64 {
        self.rows.decoder.templated_records()
    }

    pub(in crate::read) fn take_rows(&mut self) -> Result<Option<StructArray>, ArrowError> {
        if self.rows.decoder.rows() == 0 { Ok(None) } else { self.rows.finish().map(Some) }
    }

    pub(in crate::read) fn field_counts(&self) -> FieldCounts {
        self.rows.field_counts()
    }
}

/// Outcome of a record that was not rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Stored,
    /// The record is null, and such records are skipped.
    Skipped,
}

impl Rows {
    fn new(source: &Source) -> Self {
        let is_of_keys = |field: &&Field| matches!(field.input, FieldInput::Keys(_));
        let of_keys: Vec<Field> = source.fields.iter().filter(is_of_keys).cloned().collect();
        Self {
            decoding: source.decoding.clone(),
            allows_nan: source.fields.iter().any(|field| field.rules.allow_nan),
            fields: arrow_schema(&source.fields).fields().clone(),
            decoder: Decoder::new(&of_keys),
            attached: Attached::new(source),
            filled: vec![0; source.fields.len()],
            null_records: 0,
        }
    }

    /// Reads a record into the columns. If it is rejected, the columns do not change.
    fn read(&mut self, offset: u64, line: u64, text: &[u8]) -> Result<Outcome, Rejection> {
        if self.decoding.skips_null_records && text.trim_ascii() == b"null" {
            self.null_records += 1;
            return Ok(Outcome::Skipped);
        }
        if let Some(rejection) = self.attached.rejection() {
            return Err(rejection.clone());
        }
        let text = match self.decoding.replaces_invalid_unicode {
            true => lenient::replace_invalid_unicode(text),
            false => Cow::Borrowed(text),
        };
        let text = self.decode(text)?;
        if self.attached.is_empty() {
            return Ok(Outcome::Stored);
        }
        // An accepted record is UTF-8.
        let text = String::from_utf8_lossy(&text);
        let pushed = self.attached.push(RecordText { offset, line, text: &text });
        if pushed.is_err() {
            self.decoder.remove_last();
            self.attached.truncate(self.decoder.rows());
        }
        pushed.map(|()| Outcome::Stored)
    }

    /// Decodes a record. Returns the text that was decoded, which is JSON.
    fn decode<'a>(&mut self, text: Cow<'a, [u8]>) -> Result<Cow<'a, [u8]>, Rejection> {
        match self.decoder.decode(&text) {
            Ok(()) => Ok(text),
            Err(rejection) if self.allows_nan && rejection.reason == Reason::Malformed => {
                let quoted = lenient::quote_non_finite(&text).ok_or(rejection)?;
                self.decoder.decode(&quoted)?;
                Ok(Cow::Owned(quoted))
            }
            Err(rejection) => Err(rejection),
        }
    }

    /// Returns the approximate size of the rows in memory.
    fn bytes(&self) -> usize {
        self.decoder.bytes() + self.attached.bytes()
    }

    /// Returns the rows since the last call.
    fn finish(&mut self) -> Result<StructArray, ArrowError> {
        let of_keys = self.decoder.finish()?;
        let rows = of_keys.len();
        let (_, mut columns, _) = of_keys.into_parts();
        self.attached.finish(&mut columns)?;
        for (filled, column) in self.filled.iter_mut().zip(&columns) {
            *filled += (column.len() - column.null_count()) as u64;
        }
        StructArray::try_new_with_length(self.fields.clone(), columns, None, rows)
    }

    fn field_counts(&self) -> FieldCounts {
        let mut nulled = self.decoder.nulled_values().clone();
        nulled.extend(self.attached.nulled_values().clone());
        let names = self.fields.iter().map(|field| field.name().clone());
        FieldCounts {
            undeclared: self.decoder.unknown_fields(),
            nulled,
            filled: names.zip(self.filled.iter().copied()).collect(),
            null_records: self.null_records,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
mod tests;
