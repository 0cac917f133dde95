//! Counts the records and bytes that a scan has read from one split of an object. The coordinator
//! adds up the counts of an object's splits and fails the run if they are inconsistent.

use serde::Serialize;

use crate::read::rejection::Reason;
use crate::read::split::Split;
use crate::storage::object::SourceObject;

/// Counts of one split of one object; `records = staged + quarantined`.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectTally {
    pub object: SourceObject,
    /// Offset in the object at which the split starts. The object and this offset identify the
    /// split.
    pub split_start: u64,
    /// Number of records that start in the split.
    pub records: u64,
    /// Number of records of the split that became rows of the staging table.
    pub staged: u64,
    /// Number of records of the split that became rows of the quarantine.
    pub quarantined: u64,
    /// Number of staged records that were stored without a parser, because an earlier record had
    /// the same shape (`read::json::template`). The number depends on the records that the same
    /// task read before.
    pub templated: u64,
    /// Number of lines of the split. The line number of a record in the object is its line number
    /// in the split plus the numbers of lines of all earlier splits.
    pub lines: u64,
    /// Number of stored bytes of the split that were read: all of them, unless the object is
    /// damaged or the scan reads only a sample.
    pub stored_bytes: u64,
    /// Number of decompressed bytes of the split that were read.
    pub bytes: u64,
    /// Number of decompressed bytes that could not be separated into records. Rejected records do
    /// not count, no matter how long they are.
    pub unframed_bytes: u64,
    /// Set if the object could not be read as records up to its end.
    pub damage: Option<Damage>,
}

/// Start of the part of an object that could not be read, and the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// Offset in the decompressed object at which the unreadable part starts.
    pub byte_offset: u64,
    pub reason: Reason,
    /// One sentence that names the cause.
    pub detail: String,
}

impl ObjectTally {
    /// Returns the empty tally of a split that was not read yet.
    #[must_use]
    pub fn of(split: &Split) -> Self {
        Self {
            object: split.object.clone(),
            split_start: split.range.start,
            records: 0,
            staged: 0,
            quarantined: 0,
            templated: 0,
            lines: 0,
            stored_bytes: 0,
            bytes: 0,
            unframed_bytes: 0,
            damage: None,
        }
    }

    /// Sets the numbers of bytes of the split that were read. `stored` and `decompressed` are the
    /// numbers of bytes that were read for it, before and after decompression. If the split is a
    /// part of an object, they include one byte before the part, and bytes after it for the last
    /// record. These bytes are not counted, so that the parts add up to the object.
    pub fn count_bytes(&mut self, split: &Split, stored: u64, decompressed: u64) {
        let own = |read: u64| {
            let before = u64::from(split.range.start > 0);
            // The byte before the range belongs to the previous part.
            read.saturating_sub(before).min(split.range.end - split.range.start)
        };
        self.stored_bytes = own(stored);
        self.bytes = if split.is_whole() { decompressed } else { own(decompressed) };
    }
}
