//! One text per group of a `GROUP BY`, with the bytes of all texts in one buffer.

use arrow::array::StringArray;
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use datafusion::common::exec_err;
use datafusion::error::{DataFusionError, Result};

/// Length that marks a group without a text. No text of an array with `i32` offsets is this long.
const NO_VALUE: u32 = u32::MAX;

/// Texts by group number. A new text is appended, unless it fits in the place of the group's old
/// text. The buffer is compacted once half of its bytes are unused.
#[derive(Debug)]
pub(super) struct TextGroups {
    bytes: Vec<u8>,
    /// Offset of each group's text in `bytes`.
    starts: Vec<usize>,
    /// Length of each group's text in bytes, or [`NO_VALUE`].
    lengths: Vec<u32>,
    /// Number of bytes in `bytes` that are part of a text. The remaining bytes are unused.
    used: usize,
    /// Group that most recently received its first text; `None` if no group has received one.
    last_in_order: Option<usize>,
    /// Whether all texts were appended in the order of the groups and none was replaced. `bytes`
    /// can then become an array without a copy.
    is_in_order: bool,
}

impl Default for TextGroups {
    fn default() -> Self {
        Self { bytes: vec![], starts: vec![], lengths: vec![], used: 0, last_in_order: None, is_in_order: true }
    }
}

impl TextGroups {
    /// Adds groups without a text until there are `groups` groups.
    pub(super) fn resize(&mut self, groups: usize) {
        self.starts.resize(groups, 0);
        self.lengths.resize(groups, NO_VALUE);
    }

    /// Returns the text of a group.
    pub(super) fn get(&self, group: usize) -> Option<&[u8]> {
        let length = self.lengths[group];
        (length != NO_VALUE).then(|| &self.bytes[self.starts[group]..][..length as usize])
    }

    /// Sets the text of a group. `text` is valid UTF-8 of less than 4 GiB.
    pub(super) fn set(&mut self, group: usize, text: &[u8]) {
        let length = self.lengths[group];
        if length == NO_VALUE {
            self.is_in_order &= self.last_in_order.is_none_or(|last| last < group);
            self.last_in_order = Some(group);
            self.append(group, text);
            return;
        }
        self.is_in_order = false;
        self.used -= length as usize;
        // A shorter text fits in the place of the old one.
        if text.len() <= length as usize {
            let start = self.starts[group];
            self.bytes[start..start + text.len()].copy_from_slice(text);
            self.lengths[group] = u32::try_from(text.len()).unwrap_or(NO_VALUE);
            self.used += text.len();
        } else {
            // The old text must not survive a compaction.
            self.lengths[group] = NO_VALUE;
            self.compact_if_half_unused();
            self.append(group, text);
        }
    }

    fn append(&mut self, group: usize, text: &[u8]) {
        if self.bytes.capacity() - self.bytes.len() < text.len() {
            // Grow by a quarter instead of doubling: under a small memory limit, an unused half of
            // the buffer would make the query spill earlier.
            self.bytes.reserve_exact(text.len().max(self.bytes.len() / 4).max(1024));
        }
        self.starts[group] = self.bytes.len();
        self.lengths[group] = u32::try_from(text.len()).unwrap_or(NO_VALUE);
        self.bytes.extend_from_slice(text);
        self.used += text.len();
    }

    fn compact_if_half_unused(&mut self) {
        if self.bytes.len() / 2 <= self.used {
            return;
        }
        let mut bytes = Vec::with_capacity(self.used);
        for (start, length) in self.starts.iter_mut().zip(&self.lengths) {
            if *length != NO_VALUE {
                // Copy the texts in the order of the groups.
                let text = &self.bytes[*start..*start + *length as usize];
                *start = bytes.len();
                bytes.extend_from_slice(text);
            }
        }
        self.bytes = bytes;
    }

    /// Removes the first `groups` groups and returns their texts. Renumbers the remaining groups
    /// from 0.
    ///
    /// # Errors
    /// An execution error, if the texts have more bytes than an array of `i32` offsets can address.
    pub(super) fn take_first(&mut self, groups: usize) -> Result<StringArray> {
        if groups >= self.lengths.len() {
            return std::mem::take(self).into_array();
        }
        let lengths: Vec<u32> = self.lengths.drain(..groups).collect();
        let starts: Vec<usize> = self.starts.drain(..groups).collect();
        let array = gather(&self.bytes, &starts, &lengths)?;
        self.used -= array.value_data().len();
        // The group numbers change, so the order is no longer known.
        self.is_in_order = false;
        self.compact_if_half_unused();
        Ok(array)
    }

    fn into_array(self) -> Result<StringArray> {
        if self.is_in_order {
            let (offsets, nulls) = shape(&self.lengths)?;
            // The array has exactly these bytes, so they need no copy.
            return array(offsets, self.bytes, nulls);
        }
        gather(&self.bytes, &self.starts, &self.lengths)
    }

    /// Returns the number of allocated bytes.
    pub(super) fn size(&self) -> usize {
        self.bytes.capacity() + self.starts.capacity() * size_of::<usize>() + self.lengths.capacity() * size_of::<u32>()
    }
}

/// Copies texts into an array.
fn gather(bytes: &[u8], starts: &[usize], lengths: &[u32]) -> Result<StringArray> {
    let (offsets, nulls) = shape(lengths)?;
    let mut values = Vec::with_capacity(offsets.last().map_or(0, |end| usize::try_from(*end).unwrap_or(0)));
    for (start, length) in starts.iter().zip(lengths).filter(|(_, length)| **length != NO_VALUE) {
        values.extend_from_slice(&bytes[*start..*start + *length as usize]);
    }
    array(offsets, values, nulls)
}

/// Returns the offsets and the validity of texts with these lengths. The length `NO_VALUE` means
/// null.
fn shape(lengths: &[u32]) -> Result<(Vec<i32>, Option<NullBuffer>)> {
    let mut end = 0_i32;
    let mut offsets = Vec::with_capacity(lengths.len() + 1);
    offsets.push(end);
    for length in lengths {
        if *length != NO_VALUE {
            let Some(next) = i32::try_from(*length).ok().and_then(|length| end.checked_add(length)) else {
                return exec_err!("the texts of one batch have more than 2 GiB; raise `[limits] threads`");
            };
            end = next;
        }
        offsets.push(end);
    }
    let nulls = lengths.contains(&NO_VALUE).then(|| lengths.iter().map(|length| *length != NO_VALUE).collect());
    Ok((offsets, nulls))
}

fn array(offsets: Vec<i32>, values: Vec<u8>, nulls: Option<NullBuffer>) -> Result<StringArray> {
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    StringArray::try_new(offsets, Buffer::from_vec(values), nulls).map_err(DataFusionError::from)
}
