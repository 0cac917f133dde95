//! ② A split: the unit of work of a scan.

use std::ops::Range;

use crate::storage::object::SourceObject;

/// A part of an object that one scan partition reads; usually the whole object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Split {
    pub object: SourceObject,
    /// Range in the stored bytes of the object. The split contains the records that start in this
    /// range.
    pub range: Range<u64>,
}

impl Split {
    /// Returns a split that is a whole object.
    #[must_use]
    pub fn whole(object: SourceObject) -> Self {
        let range = 0..object.bytes;
        Self { object, range }
    }

    /// Whether the split is the whole object.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.range == (0..self.object.bytes)
    }
}
