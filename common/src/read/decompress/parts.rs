//! ② Reads formats whose parts must be complete before they can be decompressed: snappy, lz4, and
//! Hadoop's framing of both.
//!
//! ```text
//! bytes, any number at a time ─► collect a whole part: a header, a length or a block ─► decompress it
//! ```
//!
//! Blocks are small, so that a whole one fits into memory. The formats differ in their parts, and
//! have this loop in common.

use std::io;

use crate::read::decompress::step::{Progress, Step};

/// A format that consists of parts.
pub(in crate::read) trait Parts {
    /// Reads a whole part. Appends its text to `text`, if it has one, and returns what follows.
    fn read(&mut self, part: &[u8], text: &mut Vec<u8>) -> io::Result<Next>;

    /// Whether the input may end before the next part.
    fn may_end(&self) -> bool;
}

/// The next part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::read) struct Next {
    /// Number of bytes before the part, which are not read.
    pub(in crate::read) skipped: u64,
    /// Length of the part, more than 0.
    pub(in crate::read) bytes: usize,
}

impl Next {
    pub(in crate::read) fn of(bytes: usize) -> Self {
        Self { skipped: 0, bytes }
    }
}

/// Decompresses a stream part by part.
pub(in crate::read) struct PartReader {
    format: Box<dyn Parts + Send>,
    next: Next,
    /// Bytes of the next part that were read so far.
    gathered: Vec<u8>,
    /// Text of the last part.
    text: Vec<u8>,
    /// Number of bytes of `text` that were returned.
    given: usize,
}

impl PartReader {
    /// Returns a reader of a stream that starts with a part of `first_bytes` bytes.
    pub(in crate::read) fn new(format: impl Parts + Send + 'static, first_bytes: usize) -> Self {
        let next = Next::of(first_bytes);
        Self { format: Box::new(format), next, gathered: Vec::new(), text: Vec::new(), given: 0 }
    }

    /// Whether the input may end here, because no part is incomplete.
    pub(in crate::read) fn is_complete(&self) -> bool {
        self.next.skipped == 0 && self.gathered.is_empty() && self.format.may_end()
    }

    pub(in crate::read) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        let (mut consumed, mut produced) = (0, 0);
        loop {
            let waiting = &self.text[self.given..];
            let bytes = waiting.len().min(output.len() - produced);
            output[produced..produced + bytes].copy_from_slice(&waiting[..bytes]);
            self.given += bytes;
            produced += bytes;
            // Return all text of a part before the next part replaces it.
            if self.given < self.text.len() || consumed == input.len() {
                return Step { consumed, produced, result: Ok(Progress::Inside) };
            }
            match self.take(&input[consumed..]) {
                Ok(taken) => consumed += taken,
                Err(e) => return Step { consumed, produced, result: Err(e) },
            }
        }
    }

    /// Consumes bytes of the next part or before it, and reads the part if it is complete.
    fn take(&mut self, input: &[u8]) -> io::Result<usize> {
        if self.next.skipped > 0 {
            let taken = usize::try_from(self.next.skipped).unwrap_or(usize::MAX).min(input.len());
            self.next.skipped -= taken as u64;
            return Ok(taken);
        }
        let taken = (self.next.bytes - self.gathered.len()).min(input.len());
        self.gathered.extend_from_slice(&input[..taken]);
        if self.gathered.len() == self.next.bytes {
            self.text.clear();
            self.given = 0;
            self.next = self.format.read(&self.gathered, &mut self.text)?;
            self.gathered.clear();
        }
        Ok(taken)
    }
}

/// Returns the error for a stream that is not what its format says.
pub(in crate::read) fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
