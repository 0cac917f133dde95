//! ③ Frames and decodes JSON records, split by split.
//!
//! `read::record_format` uses this reader for JSON. `framing` cuts the text into records, and
//! `decoder` decodes each into the columns.

use std::collections::BTreeMap;

use arrow::array::StructArray;
use arrow::error::ArrowError;
use bytes::Bytes;

use crate::config::resolved::{Field, JsonFormat};
use crate::read::framing::lines::LineFramer;
use crate::read::framing::{Framed, Framer};
use crate::read::json::decoder::Decoder;
use crate::read::record_sink::{BlockEnd, Place, RecordSink};
use crate::read::rejection::{Extent, Reason, Rejection};
use crate::read::split::Split;

/// Reads JSON records of one source.
#[derive(Debug)]
pub struct JsonReader {
    format: JsonFormat,
    max_record_bytes: u64,
    /// Framer of the current split.
    framer: Framer,
    /// Decoder with the rows of the current batch, which may come from several splits.
    decoder: Decoder,
}

impl JsonReader {
    /// Returns a reader for records with the declared `fields`. A record of more than
    /// `max_record_bytes` is rejected.
    #[must_use]
    pub fn new(format: JsonFormat, fields: &[Field], max_record_bytes: u64) -> Self {
        let no_split = Framer::Lines(LineFramer::new(0, None, max_record_bytes));
        Self { format, max_record_bytes, framer: no_split, decoder: Decoder::new(fields) }
    }

    pub(in crate::read) fn start_split(&mut self, split: &Split) {
        self.framer = Framer::for_split(split, &self.format, self.max_record_bytes);
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
                Framed::Record { offset, line, text } => match self.decoder.decode(text) {
                    Ok(()) => sink.accept(),
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
            if sink.must_stop(self.decoder.rows(), self.decoder.bytes()) {
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
        self.decoder.templated_records()
    }

    pub(in crate::read) fn take_rows(&mut self) -> Result<Option<StructArray>, ArrowError> {
        if self.decoder.rows() == 0 { Ok(None) } else { self.decoder.finish().map(Some) }
    }

    pub(in crate::read) fn unknown_fields(&self) -> BTreeMap<String, u64> {
        self.decoder.unknown_fields()
    }
}
