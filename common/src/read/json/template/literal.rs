//! ③ Text between two values, which is the same in all records of a shape.

use crate::read::json::template::scan::{self, PADDING};

/// Text between two values, such as `,"page":`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Literal {
    text: Box<[u8]>,
    /// The text as four words, filled up with zeros. Not used if the text has more than 32 bytes.
    words: [u64; 4],
    /// Mask of the bits of `words` that belong to the text.
    mask: [u64; 4],
}

impl Literal {
    pub(super) fn new(text: &[u8]) -> Self {
        let (mut padded, mut mask) = ([0; PADDING], [0; PADDING]);
        if text.len() <= PADDING {
            padded[..text.len()].copy_from_slice(text);
            mask[..text.len()].fill(0xFF);
        }
        Self { text: text.into(), words: words(&padded), mask: words(&mask) }
    }

    /// Returns the offset after this literal, if the text contains it at `at`.
    pub(super) fn skip(&self, text: &[u8], at: usize) -> Option<usize> {
        let end = at + self.text.len();
        let found = if self.text.len() <= PADDING {
            // Compare all 32 bytes at once, because comparing a variable number of bytes would call
            // a function.
            let found = words(scan::block(text, at)?);
            let differences = (0..4).fold(0, |bits, i| bits | ((found[i] ^ self.words[i]) & self.mask[i]));
            differences == 0
        } else {
            text.get(at..end)? == &*self.text
        };
        found.then_some(end)
    }
}

fn words(bytes: &[u8; PADDING]) -> [u64; 4] {
    let (words, _) = bytes.as_chunks::<8>();
    std::array::from_fn(|i| words.get(i).map_or(0, |word| u64::from_le_bytes(*word)))
}
