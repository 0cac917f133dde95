//! ④ Receives the outcome of each record that a format reads: counts it, and keeps the rejected
//! ones.
//!
//! Every record is either staged or quarantined (`records = staged + quarantined`). A format can
//! only report a record by calling `accept` or `reject`, and each of them updates both sides of
//! this equation.

use crate::read::quarantine::{RejectedRecord, RejectedRows};
use crate::read::rejection::{Extent, Reason, Rejection};
use crate::read::split::Split;
use crate::read::tally::{Damage, ObjectTally};
use crate::session::BATCH_ROWS;

/// Number of bytes at which a batch is sent, even if it has few rows.
const BATCH_BYTES: usize = 16 * 1024 * 1024;

/// Reason why `RecordReader::read_block` returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockEnd {
    /// All complete records of the chunks so far were read.
    NeedsChunk,
    /// The rows must be sent, or the sample is complete ([`RecordSink::must_stop`]).
    Stopped,
}

/// Position and text of a record, or of a range of bytes that could not be separated into records.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Offset of the record's first byte in the decompressed object.
    pub offset: u64,
    /// Length of the record or range in the decompressed object; `text` may be shorter.
    pub bytes: u64,
    /// Line number from 1, counted from the start of the split.
    pub line: u64,
    /// Text of the record or range, or only its start.
    pub text: &'a [u8],
}

/// Collects the outcome of each record of one split: accepted or rejected.
#[derive(Debug)]
pub struct RecordSink<'a> {
    /// Name of the source.
    pub source: &'a str,
    pub split: &'a Split,
    pub tally: &'a mut ObjectTally,
    pub rejected: &'a mut RejectedRows,
    /// Number of records of the split after which to stop; `u64::MAX` except for samples.
    pub max_records: u64,
}

impl RecordSink<'_> {
    /// Counts a record that became a row.
    pub fn accept(&mut self) {
        self.tally.records += 1;
        self.tally.staged += 1;
    }

    /// Counts a rejected record, or a rejected range of bytes that may contain several records, and
    /// puts it into the quarantine.
    pub fn reject(&mut self, place: &Place<'_>, extent: Extent, rejection: Rejection) {
        let Rejection { reason, field, detail } = rejection;
        self.tally.records += 1;
        self.tally.quarantined += 1;
        if extent != Extent::Record {
            self.tally.unframed_bytes += place.bytes;
        }
        // An object of an unsupported format has no text, so its row in the quarantine covers the
        // stored bytes.
        let is_unread = reason == Reason::UnsupportedFormat && place.offset + place.bytes == 0;
        let bytes = if is_unread { self.split.object.bytes } else { place.bytes };
        self.rejected.push(&RejectedRecord {
            source: self.source,
            object: &self.split.object.key,
            split_start: self.split.range.start,
            byte_offset: place.offset,
            byte_end: place.offset + bytes,
            line: place.line,
            reason,
            field: field.as_deref(),
            detail: &detail,
            text: place.text,
        });
        if extent == Extent::Rest {
            self.tally.damage = Some(Damage { byte_offset: place.offset, reason, detail });
        }
    }

    /// Whether the reader must stop after the current record, because a batch is full or the sample
    /// is complete. The columns of accepted records contain `rows` rows of `bytes` bytes in total.
    #[must_use]
    pub fn must_stop(&self, rows: usize, bytes: usize) -> bool {
        is_full(rows, bytes) || is_full(self.rejected.rows(), self.rejected.bytes()) || self.has_enough()
    }

    /// Whether the sample is complete: `max_records` records of the split were read.
    #[must_use]
    pub fn has_enough(&self) -> bool {
        self.tally.records >= self.max_records
    }
}

fn is_full(rows: usize, bytes: usize) -> bool {
    rows >= BATCH_ROWS || bytes >= BATCH_BYTES
}
