//! Texts that are replaced, or that arrive in any order of the groups.

use arrow::array::StringArray;
use arrow::buffer::NullBuffer;
use datafusion::common::exec_err;
use datafusion::error::Result;

use super::buffer::{append, array};
use super::in_order::InOrder;

/// Length that marks a group without a text. No text of an array with `i32` offsets is this long.
const NO_VALUE: u32 = u32::MAX;

/// Texts in any order. A new text is appended, unless it fits in the place of the group's old text.
/// The buffer is compacted once half of its bytes are unused.
#[derive(Debug, Default)]
pub(in crate::functions) struct AnyOrder {
    bytes: Vec<u8>,
    /// Offset of each group's text in `bytes`.
    starts: Vec<usize>,
    /// Length of each group's text in bytes, or [`NO_VALUE`].
    lengths: Vec<u32>,
    /// Number of bytes in `bytes` that are part of a text. The remaining bytes are unused.
    used: usize,
}

impl From<InOrder> for AnyOrder {
    fn from(texts: InOrder) -> Self {
        let (bytes, places) = texts.into_parts();
        let (starts, lengths) = places.into_iter().map(|(start, length)| (start, stored_length(length))).unzip();
        let used = bytes.len();
        Self { bytes, starts, lengths, used }
    }
}

impl AnyOrder {
    pub(super) fn len(&self) -> usize {
        self.lengths.len()
    }

    pub(super) fn resize(&mut self, groups: usize) {
        self.starts.resize(groups, 0);
        self.lengths.resize(groups, NO_VALUE);
    }

    pub(super) fn get(&self, group: usize) -> Option<&[u8]> {
        let length = self.lengths[group];
        (length != NO_VALUE).then(|| &self.bytes[self.starts[group]..][..length as usize])
    }

    pub(super) fn set(&mut self, group: usize, text: &[u8]) {
        let length = self.lengths[group];
        if length == NO_VALUE {
            self.append(group, text);
            return;
        }
        self.used -= length as usize;
        // A shorter text fits in the place of the old one.
        if text.len() <= length as usize {
            let start = self.starts[group];
            self.bytes[start..start + text.len()].copy_from_slice(text);
            self.lengths[group] = stored_length(Some(text.len()));
            self.used += text.len();
        } else {
            // The old text must not survive a compaction.
            self.lengths[group] = NO_VALUE;
            self.compact_if_half_unused();
            self.append(group, text);
        }
    }

    fn append(&mut self, group: usize, text: &[u8]) {
        self.starts[group] = append(&mut self.bytes, text);
        self.lengths[group] = stored_length(Some(text.len()));
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

    /// Removes the first `groups` groups, at most all of them, and returns their texts.
    pub(super) fn take_first(&mut self, groups: usize) -> Result<StringArray> {
        let lengths: Vec<u32> = self.lengths.drain(..groups).collect();
        let starts: Vec<usize> = self.starts.drain(..groups).collect();
        let array = gather(&self.bytes, &starts, &lengths)?;
        self.used -= array.value_data().len();
        self.compact_if_half_unused();
        Ok(array)
    }

    pub(super) fn into_array(self) -> Result<StringArray> {
        gather(&self.bytes, &self.starts, &self.lengths)
    }

    pub(super) fn size(&self) -> usize {
        self.bytes.len() + self.starts.capacity() * size_of::<usize>() + self.lengths.capacity() * size_of::<u32>()
    }
}

fn stored_length(length: Option<usize>) -> u32 {
    length.and_then(|length| u32::try_from(length).ok()).unwrap_or(NO_VALUE)
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
