//! What a scan counted in one split of one object: the coordinator adds the splits up and lets no sum be off.

use serde::{Deserialize, Serialize};

use crate::read::object::SourceObject;
use crate::read::split::Split;

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
        }
    }
}
