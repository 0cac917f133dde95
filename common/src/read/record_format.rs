//! ②–④ Formats of records: the only place in this folder that knows which formats exist.
//!
//! A format is a folder, such as `read::json`, and a variant of `RecordFormat` and
//! `RecordReader`. To add one: declare its settings in `config`, write a reader in a folder
//! beside `json`, and add an arm to each `match` here. The reader of a format receives the
//! decompressed chunks of each split in turn, and reports the outcome of each record to a
//! `RecordSink`. The enum is matched once per chunk or block, so that the loop over records is
//! compiled for each format.

use arrow::array::StructArray;
use arrow::error::ArrowError;
use bytes::Bytes;

use crate::config::resolved::{Field, FieldInput, JsonFormat, Limits, Metadata, RecordFormat, Source};
use crate::read::field_counts::FieldCounts;
use crate::read::json::reader::JsonReader;
use crate::read::record_sink::{BlockEnd, RecordSink};
use crate::read::rejection::Reason;
use crate::read::split::Split;

/// Whether an object of `source` may be cut into splits at any byte, if it is plain text.
#[must_use]
pub fn can_be_cut(source: &Source) -> bool {
    let is_lines = match &source.format {
        RecordFormat::Json(JsonFormat::Lines) => true,
        RecordFormat::Json(JsonFormat::Document { .. }) => false,
    };
    // A split does not know the number of lines before it.
    let needs_line = source.fields.iter().any(|field| field.input == FieldInput::Metadata(Metadata::Line));
    // An object is decoded as a whole, unless it is UTF-8.
    is_lines && !needs_line && source.decoding.encoding.is_none_or(|encoding| encoding == encoding_rs::UTF_8)
}

/// Whether each object of `source` must be surveyed before its records are read, because fields have
/// values that may follow the records.
#[must_use]
pub fn needs_survey(source: &Source) -> bool {
    let may_follow = |field: &Field| match &field.input {
        // The key of a member precedes its value.
        FieldInput::Document(place) => !place.keys.is_empty(),
        FieldInput::Keys(_) | FieldInput::PathPart(_) | FieldInput::Metadata(_) => false,
    };
    source.fields.iter().any(may_follow)
}

/// Reads the records of a partition, split by split, into columns, batch by batch.
///
/// For each split, call [`Self::start_split`]. After each chunk, call [`Self::read_block`] until it
/// returns [`BlockEnd::NeedsChunk`]. After the last chunk, call [`Self::finish_split`] or
/// [`Self::break_off`], then [`Self::read_block`] in the same way.
#[derive(Debug)]
pub enum RecordReader {
    Json(JsonReader),
}

impl RecordReader {
    /// Returns a reader of records of `source`.
    #[must_use]
    pub fn new(source: &Source, limits: &Limits) -> Self {
        match &source.format {
            RecordFormat::Json(format) => Self::Json(JsonReader::new(source, format, limits.max_record_bytes)),
        }
    }

    /// Starts the survey of the object of `split`, if [`needs_survey`]. Afterwards, call
    /// [`Self::survey`] for each chunk, then [`Self::start_split`].
    pub fn start_survey(&mut self, split: &Split) {
        match self {
            Self::Json(reader) => reader.start_survey(split),
        }
    }

    /// Surveys the next chunk of the object.
    pub fn survey(&mut self, chunk: &Bytes) {
        match self {
            Self::Json(reader) => reader.survey(chunk),
        }
    }

    /// Starts the records of `split`. Rows of earlier splits that are not in a batch yet are kept.
    pub fn start_split(&mut self, split: &Split) {
        match self {
            Self::Json(reader) => reader.start_split(split),
        }
    }

    /// Adds the next chunk of the split. The bytes are shared, not copied.
    pub fn push(&mut self, chunk: &Bytes) {
        match self {
            Self::Json(reader) => reader.push(chunk),
        }
    }

    /// Ends the split: there are no more bytes.
    pub fn finish_split(&mut self) {
        match self {
            Self::Json(reader) => reader.finish_split(),
        }
    }

    /// Ends the split early: the next bytes cannot be read. The unfinished record and the unread
    /// rest are rejected.
    pub fn break_off(&mut self, reason: Reason, detail: String) {
        match self {
            Self::Json(reader) => reader.break_off(reason, detail),
        }
    }

    /// Decodes the complete records of the chunks so far into the columns, until none is left or
    /// the batch is full. Each record is either a row or rejected, and `sink` counts both.
    pub fn read_block(&mut self, sink: &mut RecordSink<'_>) -> BlockEnd {
        match self {
            Self::Json(reader) => reader.read_block(sink),
        }
    }

    /// Whether the split needs no more chunks: the next record belongs to the next split, or there
    /// is no next record.
    #[must_use]
    pub fn is_done(&self) -> bool {
        match self {
            Self::Json(reader) => reader.is_done(),
        }
    }

    /// Returns the number of lines that start in the split, as far as it was read.
    #[must_use]
    pub fn lines(&self) -> u64 {
        match self {
            Self::Json(reader) => reader.lines(),
        }
    }

    /// Returns the number of accepted records, over all splits so far, that were stored without a
    /// parser because an earlier record had the same shape (`read::json::template`).
    #[must_use]
    pub fn templated_records(&self) -> u64 {
        match self {
            Self::Json(reader) => reader.templated_records(),
        }
    }

    /// Returns the rows that were decoded since the last call, as the columns of the staging table;
    /// `None` if there are no rows.
    ///
    /// # Errors
    /// Never fails in practice, because all columns have the same length and the declared types.
    pub fn take_rows(&mut self) -> Result<Option<StructArray>, ArrowError> {
        match self {
            Self::Json(reader) => reader.take_rows(),
        }
    }

    /// Returns the counts of values by field, over all splits. Call this once, after the
    /// last split.
    #[must_use]
    pub fn field_counts(&mut self) -> FieldCounts {
        match self {
            Self::Json(reader) => reader.field_counts(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_in_utf8_without_a_number_of_the_line_are_cut() {
        for (settings, fields, expected) in [
            ("", "a = 'long'", true),
            ("encoding = 'utf-8'", "a = 'long'", true),
            ("", "a = { type = 'long', from_metadata = 'offset' }", true),
            ("", "a = { type = 'long', from_metadata = 'line' }", false),
            ("encoding = 'latin1'", "a = 'long'", false),
            ("format = 'json'", "a = 'long'", false),
        ] {
            let toml = format!("[sources.s]\nurl = '/s'\n{settings}\nfields = {{ {fields} }}");
            assert_eq!(can_be_cut(&crate::config::source(&toml).unwrap()), expected, "{settings} {fields}");
        }
    }
}
