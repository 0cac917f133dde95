//! ② The bytes that a framer holds: the chunk at hand, and the beginning of a record from the chunks before it.
//!
//! A record inside one chunk is lent where it lies; only one that crosses chunks is copied.

use std::ops::Range;

use bytes::Bytes;

use crate::read::quarantine::KEPT_TEXT_BYTES;

/// What the buffer for crossing records may hold on to between two of them.
const IDLE_CARRY_BYTES: usize = 1024 * 1024;

/// The chunk at hand and the record in it that was begun.
#[derive(Debug, Default)]
pub(in crate::read) struct Window {
    chunk: Bytes,
    /// Of the chunk's first byte, from the start of the object.
    chunk_offset: u64,
    /// The next byte of the chunk to look at.
    at: usize,
    /// Where in the chunk the begun record, or the rest of it, starts; `None`: no record is begun.
    start: Option<usize>,
    /// The begun record's bytes from earlier chunks: all of them, or the first [`KEPT_TEXT_BYTES`] if it is too long.
    carry: Vec<u8>,
    /// How many bytes of the begun record were in earlier chunks.
    carried: u64,
}

/// Where a record's text lies in a window, until the window changes.
#[derive(Debug)]
pub(in crate::read) struct Text {
    is_carried: bool,
    range: Range<usize>,
}

/// A record taken out of the window.
#[derive(Debug)]
pub(in crate::read) struct Taken {
    /// Of its first byte.
    pub(in crate::read) offset: u64,
    /// Its true length; the text is shorter if it is more than was allowed.
    pub(in crate::read) bytes: u64,
    pub(in crate::read) text: Text,
}

impl Window {
    /// A window before the byte at `offset`.
    pub(in crate::read) fn new(offset: u64) -> Self {
        Self { chunk_offset: offset, ..Self::default() }
    }

    pub(in crate::read) fn push(&mut self, chunk: &Bytes) {
        debug_assert!(self.rest().is_empty(), "a framer is drained before it gets more");
        self.chunk_offset += self.chunk.len() as u64;
        self.chunk = chunk.clone();
        self.at = 0;
        // What of a begun record was in the chunk before was carried over.
        self.start = self.start.map(|_| 0);
    }

    /// What of the chunk was not looked at.
    pub(in crate::read) fn rest(&self) -> &[u8] {
        &self.chunk[self.at..]
    }

    /// Looked at `bytes` more.
    pub(in crate::read) fn advance(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// Of the next byte.
    pub(in crate::read) fn offset(&self) -> u64 {
        self.chunk_offset + self.at as u64
    }

    /// The bytes of the chunk from the one at `offset` up to the next.
    pub(in crate::read) fn since(&self, offset: u64) -> &[u8] {
        let from = usize::try_from(offset.saturating_sub(self.chunk_offset)).unwrap_or(usize::MAX);
        &self.chunk[from.min(self.at)..self.at]
    }

    /// A record begins at the next byte.
    pub(in crate::read) fn begin(&mut self) {
        self.start = Some(self.at);
        self.carried = 0;
        if self.carry.capacity() > IDLE_CARRY_BYTES {
            self.carry = Vec::new();
        } else {
            self.carry.clear();
        }
    }

    pub(in crate::read) fn has_begun(&self) -> bool {
        self.start.is_some()
    }

    /// What was begun is no record.
    pub(in crate::read) fn release(&mut self) {
        self.start = None;
    }

    /// Keeps what is in the chunk of the begun record, for the chunk goes. A record of more than `most` bytes keeps
    /// only its beginning.
    pub(in crate::read) fn carry_over(&mut self, most: u64) {
        let Some(start) = self.start else { return };
        self.carry_up_to(start, most);
        self.start = Some(self.at);
    }

    /// Bytes of the begun record so far.
    pub(in crate::read) fn begun_bytes(&self) -> u64 {
        self.start.map_or(0, |start| self.carried + (self.at - start) as u64)
    }

    /// Offset of the begun record's first byte.
    pub(in crate::read) fn begun_offset(&self) -> Option<u64> {
        self.start.map(|start| self.chunk_offset + start as u64 - self.carried)
    }

    /// The begun record so far: its bytes from earlier chunks, then those from this one. Nothing is left out of the
    /// first [`KEPT_TEXT_BYTES`].
    pub(in crate::read) fn begun_text(&self) -> (&[u8], &[u8]) {
        self.start.map_or((&[], &[]), |start| (self.carry.as_slice(), &self.chunk[start..self.at]))
    }

    /// Goes back to `offset` within the begun record, of which at most [`KEPT_TEXT_BYTES`] were looked at: the record ends
    /// there.
    pub(in crate::read) fn rewind(&mut self, offset: u64) {
        let Some(start) = self.start else { return };
        let ahead = offset.checked_sub(self.chunk_offset + start as u64);
        if let Some(ahead) = ahead {
            self.at = start + usize::try_from(ahead).unwrap_or(usize::MAX);
            return;
        }
        // What lies behind `offset` was carried over: it becomes the beginning of the chunk.
        let kept = (offset + self.carried) - (self.chunk_offset + start as u64);
        let kept_bytes = usize::try_from(kept).unwrap_or(usize::MAX);
        let mut chunk = self.carry.split_off(kept_bytes);
        chunk.extend_from_slice(&self.chunk[start..]);
        self.chunk = chunk.into();
        self.chunk_offset = offset;
        (self.at, self.start, self.carried) = (0, Some(0), kept);
    }

    /// The begun record, which ends before the next byte. Of more than `most` bytes, only the beginning is given.
    pub(in crate::read) fn take(&mut self, most: u64) -> Taken {
        let start = self.start.take().unwrap_or(self.at);
        let offset = self.chunk_offset + start as u64 - self.carried;
        let bytes = self.carried + (self.at - start) as u64;
        let text = if self.carried == 0 {
            let kept = if bytes > most { self.at.min(start + KEPT_TEXT_BYTES) } else { self.at };
            Text { is_carried: false, range: start..kept }
        } else {
            self.carry_up_to(start, most);
            Text { is_carried: true, range: 0..self.carry.len() }
        };
        Taken { offset, bytes, text }
    }

    fn carry_up_to(&mut self, start: usize, most: u64) {
        let piece = &self.chunk[start..self.at];
        self.carried += piece.len() as u64;
        if self.carried <= most {
            self.carry.extend_from_slice(piece);
        } else {
            self.carry.truncate(KEPT_TEXT_BYTES);
            let kept = piece.len().min(KEPT_TEXT_BYTES - self.carry.len());
            self.carry.extend_from_slice(&piece[..kept]);
        }
    }

    pub(in crate::read) fn text(&self, text: &Text) -> &[u8] {
        let bytes: &[u8] = if text.is_carried { &self.carry } else { &self.chunk };
        &bytes[text.range.clone()]
    }
}

impl Text {
    /// Leaves out bytes at the beginning and at the end.
    pub(in crate::read) fn trimmed(self, front: usize, back: usize) -> Self {
        Self { range: self.range.start + front..self.range.end - back, ..self }
    }
}
