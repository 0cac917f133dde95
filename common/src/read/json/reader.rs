//! ③ Frames and decodes JSON records, split by split.
//!
//! `read::record_format` uses this reader for JSON. `framing` cuts the text into records,
//! `decoder` decodes each into the columns of its keys, and `attached` adds the other columns.

use std::borrow::Cow;
use std::collections::BTreeMap;

use arrow::array::{Array, StructArray};
use arrow::datatypes::Fields;
use arrow::error::ArrowError;
use bytes::Bytes;

use crate::config::resolved::{Field, FieldInput, JsonFormat, Source};
use crate::read::field_counts::{COUNTED_FIELDS, FieldCounts, OTHER_FIELDS};
use crate::read::framing::lines::LineFramer;
use crate::read::framing::wrapper::Wrapper;
use crate::read::framing::{Framed, Framer};
use crate::read::json::attached::{Attached, RecordText};
use crate::read::json::decoder::Decoder;
use crate::read::json::enclosing::Enclosing;
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
    /// Framer that collects the members beside the records of an object, before the object is read.
    survey: Option<Framer>,
    /// Undeclared members beside the records of earlier splits, each with the number of objects
    /// around the records that contain it.
    undeclared_around: BTreeMap<String, u64>,
    rows: Rows,
}

/// The rows of the current batch, which may come from several splits.
#[derive(Debug)]
struct Rows {
    leniency: Leniency,
    skips_null_records: bool,
    fields: Fields,
    /// Columns of the fields that are values of keys.
    decoder: Decoder,
    /// Columns of the fields that are values around the records.
    enclosing: Option<Enclosing>,
    /// Columns of the other fields.
    attached: Attached,
    /// For each field with a column in `decoder` or `enclosing`, whether it is in `enclosing`.
    is_enclosing: Vec<bool>,
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
        Self {
            format: format.clone(),
            max_record_bytes,
            framer: no_split,
            survey: None,
            undeclared_around: BTreeMap::new(),
            rows: Rows::new(source, format),
        }
    }

    pub(in crate::read) fn start_survey(&mut self, split: &Split) {
        let mut framer = self.framer_for(split);
        framer.collect(self.max_record_bytes);
        self.survey = Some(framer);
    }

    /// Surveys the next chunk of the object.
    pub(in crate::read) fn survey(&mut self, chunk: &Bytes) {
        if let Some(framer) = &mut self.survey {
            framer.push(chunk);
            while framer.advance().is_some() {}
        }
    }

    pub(in crate::read) fn start_split(&mut self, split: &Split) {
        self.add_undeclared_around();
        self.framer = self.framer_for(split);
        self.rows.attached.start_object(&split.object);
        if let Some(enclosing) = &mut self.rows.enclosing {
            let collection = self.survey.take().map(|mut framer| framer.take_collection());
            enclosing.start_object(collection.unwrap_or_default());
        }
    }

    fn framer_for(&self, split: &Split) -> Framer {
        let mut framer = Framer::for_split(split, &self.format, self.max_record_bytes);
        if let Some(enclosing) = &self.rows.enclosing {
            framer.declare(enclosing.declared().clone());
        }
        framer
    }

    fn add_undeclared_around(&mut self) {
        for (name, count) in self.framer.wrapper().into_iter().flat_map(|wrapper| wrapper.undeclared().counts()) {
            let is_counted = self.undeclared_around.contains_key(name) || self.undeclared_around.len() < COUNTED_FIELDS;
            let name = if is_counted { name.as_str() } else { OTHER_FIELDS };
            *self.undeclared_around.entry(name.to_owned()).or_default() += count;
        }
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
        while let Some(found) = self.framer.advance() {
            match self.framer.framed(found) {
                Framed::Record { offset, line, text } => {
                    match self.rows.read(offset, line, text, self.framer.wrapper()) {
                        Ok(Outcome::Stored) => sink.accept(),
                        Ok(Outcome::Skipped) => {}
                        Err(rejection) => {
                            let place = Place { offset, bytes: text.len() as u64, line, text };
                            sink.reject(&place, Extent::Record, rejection);
                        }
                    }
                }
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

    pub(in crate::read) fn field_counts(&mut self) -> FieldCounts {
        self.add_undeclared_around();
        let mut counts = self.rows.field_counts();
        for (name, count) in std::mem::take(&mut self.undeclared_around) {
            *counts.undeclared.entry(name).or_default() += count;
        }
        counts
    }
}

/// Settings of the source for text that is almost JSON.
#[derive(Debug, Clone, Copy)]
struct Leniency {
    replaces_invalid_unicode: bool,
    allows_nan: bool,
}

impl Leniency {
    /// Decodes a text. Returns the text that was decoded, which is JSON.
    fn decode<'a>(self, decoder: &mut Decoder, text: &'a [u8]) -> Result<Cow<'a, [u8]>, Rejection> {
        let text = match self.replaces_invalid_unicode {
            true => lenient::replace_invalid_unicode(text),
            false => Cow::Borrowed(text),
        };
        match decoder.decode(&text) {
            Ok(()) => Ok(text),
            Err(rejection) if self.allows_nan && rejection.reason == Reason::Malformed => {
                let quoted = lenient::quote_non_finite(&text).ok_or(rejection)?;
                decoder.decode(&quoted)?;
                Ok(Cow::Owned(quoted))
            }
            Err(rejection) => Err(rejection),
        }
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
    fn new(source: &Source, format: &JsonFormat) -> Self {
        let is_of_keys = |field: &&Field| matches!(field.input, FieldInput::Keys(_));
        let of_keys: Vec<Field> = source.fields.iter().filter(is_of_keys).cloned().collect();
        let is_enclosing = |field: &Field| match field.input {
            FieldInput::Keys(_) => Some(false),
            FieldInput::Document(_) => Some(true),
            FieldInput::PathPart(_) | FieldInput::Metadata(_) => None,
        };
        Self {
            leniency: Leniency {
                replaces_invalid_unicode: source.decoding.replaces_invalid_unicode,
                allows_nan: source.fields.iter().any(|field| field.rules.allow_nan),
            },
            skips_null_records: source.decoding.skips_null_records,
            fields: arrow_schema(&source.fields).fields().clone(),
            decoder: Decoder::of_kind(source.decoding.record_kind, &of_keys),
            enclosing: Enclosing::new(&source.fields, format),
            is_enclosing: source.fields.iter().filter_map(is_enclosing).collect(),
            attached: Attached::new(source),
            filled: vec![0; source.fields.len()],
            null_records: 0,
        }
    }

    /// Reads a record into the columns. If it is rejected, the columns do not change.
    fn read(&mut self, offset: u64, line: u64, text: &[u8], wrapper: Option<&Wrapper>) -> Result<Outcome, Rejection> {
        if self.skips_null_records && text.trim_ascii() == b"null" {
            self.null_records += 1;
            return Ok(Outcome::Skipped);
        }
        if let Some(rejection) = self.attached.rejection() {
            return Err(rejection.clone());
        }
        let leniency = self.leniency;
        let text = leniency.decode(&mut self.decoder, text)?;
        if let Some((enclosing, wrapper)) = self.enclosing.as_mut().zip(wrapper) {
            let pushed = enclosing.push(wrapper, |decoder, text| leniency.decode(decoder, text).map(drop));
            if pushed.is_err() {
                self.decoder.remove_last();
            }
            pushed?;
        }
        if self.attached.is_empty() {
            return Ok(Outcome::Stored);
        }
        // An accepted record is UTF-8.
        let text = String::from_utf8_lossy(&text);
        let pushed = self.attached.push(RecordText { offset, line, text: &text });
        if pushed.is_err() {
            self.decoder.remove_last();
            self.enclosing.iter_mut().for_each(Enclosing::remove_last);
            self.attached.truncate(self.decoder.rows());
        }
        pushed.map(|()| Outcome::Stored)
    }

    /// Returns the approximate size of the rows in memory.
    fn bytes(&self) -> usize {
        self.decoder.bytes() + self.enclosing.as_ref().map_or(0, Enclosing::bytes) + self.attached.bytes()
    }

    /// Returns the rows since the last call.
    fn finish(&mut self) -> Result<StructArray, ArrowError> {
        let of_keys = self.decoder.finish()?;
        let rows = of_keys.len();
        let (_, mut columns, _) = of_keys.into_parts();
        if let Some(enclosing) = &mut self.enclosing {
            let (mut inside, mut around) = (columns.into_iter(), enclosing.finish()?.into_iter());
            let next = |is_enclosing: &bool| if *is_enclosing { around.next() } else { inside.next() };
            columns = self.is_enclosing.iter().filter_map(next).collect();
        }
        self.attached.finish(&mut columns)?;
        for (filled, column) in self.filled.iter_mut().zip(&columns) {
            *filled += (column.len() - column.null_count()) as u64;
        }
        StructArray::try_new_with_length(self.fields.clone(), columns, None, rows)
    }

    fn field_counts(&self) -> FieldCounts {
        let mut nulled = self.decoder.nulled_values().clone();
        nulled.extend(self.attached.nulled_values().clone());
        let mut undeclared = self.decoder.unknown_fields();
        if let Some(enclosing) = &self.enclosing {
            nulled.extend(enclosing.nulled_values().clone());
            undeclared.append(&mut enclosing.unknown_fields());
        }
        let names = self.fields.iter().map(|field| field.name().clone());
        FieldCounts {
            undeclared,
            nulled,
            filled: names.zip(self.filled.iter().copied()).collect(),
            null_records: self.null_records,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
mod tests;
