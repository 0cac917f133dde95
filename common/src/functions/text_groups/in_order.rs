//! Texts that arrive in the order of the groups, and are mostly the only texts of their groups.
//! They are stored as the array that the query gets.

use arrow::array::{NullBufferBuilder, StringArray};
use datafusion::error::Result;

use super::buffer::{append, array};

/// Texts in the order of their groups.
#[derive(Debug)]
pub(in crate::functions) struct InOrder {
    bytes: Vec<u8>,
    /// Offsets of the array: a zero, then the end of the text of each group. Groups after the last
    /// one with a text have no end yet.
    offsets: Vec<i32>,
    /// For each group with an end, whether it has a text.
    valid: NullBufferBuilder,
    /// Number of groups.
    groups: usize,
}

impl Default for InOrder {
    fn default() -> Self {
        Self { bytes: vec![], offsets: vec![0], valid: NullBufferBuilder::new(0), groups: 0 }
    }
}

impl InOrder {
    pub(super) fn len(&self) -> usize {
        self.groups
    }

    pub(super) fn resize(&mut self, groups: usize) {
        self.groups = groups;
    }

    pub(super) fn get(&self, group: usize) -> Option<&[u8]> {
        let is_valid = group < self.valid.len() && self.valid.is_valid(group);
        is_valid.then(|| &self.bytes[self.start(group)..self.start(group + 1)])
    }

    /// Sets the text of a group. Returns false, and changes nothing, if the texts would not be in
    /// order, or have more bytes than `i32` offsets can address.
    pub(super) fn try_set(&mut self, group: usize, text: &[u8]) -> bool {
        if group < self.valid.len() {
            let (start, end) = (self.start(group), self.start(group + 1));
            let fits = self.valid.is_valid(group) && end - start == text.len();
            if fits {
                self.bytes[start..end].copy_from_slice(text);
            }
            return fits;
        }
        let Ok(end) = i32::try_from(self.bytes.len() + text.len()) else { return false };
        self.add_nulls_before(group);
        append(&mut self.bytes, text);
        self.offsets.push(end);
        self.valid.append_non_null();
        true
    }

    pub(super) fn into_array(mut self) -> Result<StringArray> {
        self.add_nulls_before(self.groups);
        array(self.offsets, self.bytes, self.valid.build())
    }

    pub(super) fn size(&self) -> usize {
        self.bytes.len() + self.offsets.capacity() * size_of::<i32>() + self.valid.allocated_size()
    }

    /// Returns the bytes, and for each group the start and the length of its text.
    pub(super) fn into_parts(mut self) -> (Vec<u8>, Vec<(usize, Option<usize>)>) {
        self.add_nulls_before(self.groups);
        let place = |group| (self.start(group), self.get(group).map(<[u8]>::len));
        let places = (0..self.groups).map(place).collect();
        (self.bytes, places)
    }

    /// Gives an end to all groups before `group`.
    fn add_nulls_before(&mut self, group: usize) {
        let missing = group.saturating_sub(self.valid.len());
        let end = self.offsets.last().copied().unwrap_or(0);
        self.offsets.resize(self.offsets.len() + missing, end);
        self.valid.append_n_nulls(missing);
    }

    fn start(&self, group: usize) -> usize {
        usize::try_from(self.offsets[group]).unwrap_or(0)
    }
}
