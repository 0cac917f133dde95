//! One text per group of a `GROUP BY`, with the bytes of all texts in one buffer.

/// Texts that are replaced, or that arrive in any order of the groups.
mod any_order;
/// Texts that arrive in the order of the groups.
mod in_order;
/// Buffers of texts, which grow without copies once they are large.
mod buffer;

use arrow::array::StringArray;
use datafusion::error::Result;

use any_order::AnyOrder;
use in_order::InOrder;

/// Texts by group number.
#[derive(Debug)]
pub(super) enum TextGroups {
    InOrder(InOrder),
    AnyOrder(AnyOrder),
}

impl Default for TextGroups {
    fn default() -> Self {
        Self::InOrder(InOrder::default())
    }
}

impl TextGroups {
    /// Adds groups without a text until there are `groups` groups.
    pub(super) fn resize(&mut self, groups: usize) {
        match self {
            Self::InOrder(texts) => texts.resize(groups),
            Self::AnyOrder(texts) => texts.resize(groups),
        }
    }

    /// Returns the text of a group.
    pub(super) fn get(&self, group: usize) -> Option<&[u8]> {
        match self {
            Self::InOrder(texts) => texts.get(group),
            Self::AnyOrder(texts) => texts.get(group),
        }
    }

    /// Sets the text of a group. `text` is valid UTF-8 of less than 4 GiB.
    pub(super) fn set(&mut self, group: usize, text: &[u8]) {
        if let Self::InOrder(texts) = self {
            if texts.try_set(group, text) {
                return;
            }
            *self = Self::AnyOrder(std::mem::take(texts).into());
        }
        if let Self::AnyOrder(texts) = self {
            texts.set(group, text);
        }
    }

    /// Removes the first `groups` groups and returns their texts. Renumbers the remaining groups
    /// from 0.
    ///
    /// # Errors
    /// An execution error, if the texts have more bytes than an array of `i32` offsets can address.
    pub(super) fn take_first(&mut self, groups: usize) -> Result<StringArray> {
        let mut texts = match std::mem::take(self) {
            Self::InOrder(texts) if groups >= texts.len() => return texts.into_array(),
            Self::AnyOrder(texts) if groups >= texts.len() => return texts.into_array(),
            Self::InOrder(texts) => texts.into(),
            Self::AnyOrder(texts) => texts,
        };
        let array = texts.take_first(groups);
        *self = Self::AnyOrder(texts);
        array
    }

    /// Returns the number of bytes in use. Bytes of a buffer that were never written take no memory.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::InOrder(texts) => texts.size(),
            Self::AnyOrder(texts) => texts.size(),
        }
    }
}
