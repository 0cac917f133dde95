//! ④ Receives the outcome of each record that a format reads: counts it, and keeps the rejected ones.
//!
//! Every record is in exactly one place (`records = staged + quarantined`), because a format has only
//! two functions to report it with, and each counts both sides.

use crate::read::quarantine::{RejectedRecord, RejectedRows};
use crate::read::rejection::{Extent, Reason, Rejection};
use crate::read::split::Split;
use crate::read::tally::{Damage, ObjectTally};
use crate::session::BATCH_ROWS;

/// A batch is sent when it contains this many bytes, even if it has few rows.
const BATCH_BYTES: usize = 16 * 1024 * 1024;

/// Reason why a reader stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockEnd {
    /// All complete records are read.
    NeedsChunk,
    /// [`RecordSink::must_stop`]: the rows must be sent, or the sample is complete.
    Stopped,
}

/// Position of a record, or of bytes in which records could not be separated.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Offset of the first byte in the decompressed object.
    pub offset: u64,
    /// Length in the object; `text` may be less.
    pub bytes: u64,
    /// Line number from 1, counted from the start of the split.
    pub line: u64,
    /// Text of the record, at least its start.
    pub text: &'a [u8],
}

/// Outcome of the records of one split.
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

    /// Counts a record that is rejected, or a range of bytes in which there may be several, and puts it
    /// into the quarantine.
    pub fn reject(&mut self, place: &Place<'_>, extent: Extent, rejection: Rejection) {
        let Rejection { reason, field, detail } = rejection;
        self.tally.records += 1;
        self.tally.quarantined += 1;
        if extent != Extent::Record {
            self.tally.unframed_bytes += place.bytes;
        }
        // Such an object has no text, so its entry covers the bytes as stored.
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

    /// Returns whether to stop after this record, if `rows` rows of `bytes` bytes are in the columns.
    #[must_use]
    pub fn must_stop(&self, rows: usize, bytes: usize) -> bool {
        is_full(rows, bytes) || is_full(self.rejected.rows(), self.rejected.bytes()) || self.has_enough()
    }

    /// Returns whether the sample is complete.
    #[must_use]
    pub fn has_enough(&self) -> bool {
        self.tally.records >= self.max_records
    }
}

fn is_full(rows: usize, bytes: usize) -> bool {
    rows >= BATCH_ROWS || bytes >= BATCH_BYTES
}
