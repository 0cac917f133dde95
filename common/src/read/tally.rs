//! What a scan counted in one split of one object: the coordinator adds the splits up and lets no sum be off.

use serde::{Deserialize, Serialize};

use crate::read::rejection::Reason;
use crate::read::split::Split;
use crate::storage::object::SourceObject;

/// The counts of one split of one object; `records = staged + quarantined`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObjectTally {
    pub object: SourceObject,
    /// The byte at which the split begins; with the object it names the split.
    pub split_start: u64,
    /// Records that begin in the split.
    pub records: u64,
    /// Of these, rows of the staging table.
    pub staged: u64,
    /// Of these, rows of the quarantine.
    pub quarantined: u64,
    /// Line feeds in the split.
    pub lines: u64,
    /// Bytes of the split, as stored, that were read: all of them, unless the object is damaged or this is a sample.
    pub stored_bytes: u64,
    /// Bytes of the split, decompressed, that were read.
    pub bytes: u64,
    /// Of these, bytes in which no record could be told apart. Rejected records do not count, whatever their length.
    pub unframed_bytes: u64,
    /// Why the end of the object was not reached as records.
    pub damage: Option<Damage>,
}

/// The place from which an object could not be read, and the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    /// Offset within the object, decompressed.
    pub byte_offset: u64,
    pub reason: Reason,
    /// One sentence.
    pub detail: String,
}

impl ObjectTally {
    /// The tally of a split of which nothing was read yet.
    #[must_use]
    pub fn of(split: &Split) -> Self {
        Self {
            object: split.object.clone(),
            split_start: split.range.start,
            records: 0,
            staged: 0,
            quarantined: 0,
            lines: 0,
            stored_bytes: 0,
            bytes: 0,
            unframed_bytes: 0,
            damage: None,
        }
    }

    /// Counts what was read for the split: `stored` and `decompressed` bytes. Reads of a part start one byte before it
    /// and end behind it, with its last record; only the part's own bytes count, so that the parts add up to the object.
    pub fn count_bytes(&mut self, split: &Split, stored: u64, decompressed: u64) {
        let own = |read: u64| {
            let before = u64::from(split.range.start > 0);
            read.saturating_sub(before).min(split.range.end - split.range.start)
        };
        self.stored_bytes = own(stored);
        self.bytes = if split.is_whole() { decompressed } else { own(decompressed) };
    }
}
