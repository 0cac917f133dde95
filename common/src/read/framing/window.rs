//! ② The bytes that a framer keeps: the current chunk, and the start of a record from earlier
//! chunks.
//!
//! A record inside one chunk is borrowed from it. Only a record that crosses chunks is copied.
//!
//! ```text
//! carry (copied)         chunk (shared)
//! {"id":1,"te            xt":"a"}\n{"id":2}\n
//! ^ start of the record       ^ at: next byte to scan
//! ```

use std::ops::Range;

use bytes::Bytes;

use crate::read::quarantine::KEPT_TEXT_BYTES;

/// Maximum capacity of the buffer `carry` that is kept for the next record. A larger buffer is
/// freed.
const IDLE_CARRY_BYTES: usize = 1024 * 1024;

/// The current chunk, and the current record or broken range.
#[derive(Debug, Default)]
pub(in crate::read) struct Window {
    chunk: Bytes,
    /// Offset of the first byte of the chunk within the object.
    chunk_offset: u64,
    /// Index of the next byte of the chunk to scan.
    at: usize,
    /// Index in the chunk of the first byte that belongs to the current record; `None` if no record
    /// has started.
    start: Option<usize>,
    /// Bytes of the current record from earlier chunks: all of them, or the first
    /// [`KEPT_TEXT_BYTES`] if the record is too long.
    carry: Vec<u8>,
    /// Number of bytes of the current record that were in earlier chunks.
    carried: u64,
}

/// Place of a record's text in a window; valid until the window changes.
#[derive(Debug)]
pub(in crate::read) struct Text {
    is_carried: bool,
    range: Range<usize>,
}

/// A record that was removed from the window.
#[derive(Debug)]
pub(in crate::read) struct Taken {
    /// Offset of the first byte of the record.
    pub(in crate::read) offset: u64,
    /// Length of the record. If it exceeds the limit, the text is only the start.
    pub(in crate::read) bytes: u64,
    pub(in crate::read) text: Text,
}

impl Window {
    /// Returns an empty window. Its next byte is at `offset`.
    pub(in crate::read) fn new(offset: u64) -> Self {
        Self { chunk_offset: offset, ..Self::default() }
    }

    pub(in crate::read) fn push(&mut self, chunk: &Bytes) {
        debug_assert!(self.rest().is_empty(), "a framer is drained before it gets more");
        self.chunk_offset += self.chunk.len() as u64;
        self.chunk = chunk.clone();
        self.at = 0;
        // `carry_over` has copied the bytes of the current record from the last chunk.
        self.start = self.start.map(|_| 0);
    }

    /// Returns the unscanned bytes of the current chunk.
    pub(in crate::read) fn rest(&self) -> &[u8] {
        &self.chunk[self.at..]
    }

    /// Moves past the next `bytes` bytes.
    pub(in crate::read) fn advance(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// Returns the offset of the next byte.
    pub(in crate::read) fn offset(&self) -> u64 {
        self.chunk_offset + self.at as u64
    }

    /// Returns the bytes of the chunk from `offset` up to the next byte to scan.
    pub(in crate::read) fn since(&self, offset: u64) -> &[u8] {
        let from = usize::try_from(offset.saturating_sub(self.chunk_offset)).unwrap_or(usize::MAX);
        &self.chunk[from.min(self.at)..self.at]
    }

    /// Starts a record at the next byte.
    pub(in crate::read) fn start(&mut self) {
        self.start = Some(self.at);
        self.carried = 0;
        // One long record must not keep its memory for the rest of the object.
        if self.carry.capacity() > IDLE_CARRY_BYTES {
            self.carry = Vec::new();
        } else {
            self.carry.clear();
        }
    }

    pub(in crate::read) fn has_current(&self) -> bool {
        self.start.is_some()
    }

    /// Drops the current record without returning it.
    pub(in crate::read) fn release(&mut self) {
        self.start = None;
    }

    /// Copies the bytes of the current record out of the chunk, before the next chunk replaces it.
    /// If the record has more than `most` bytes, only its start is kept.
    pub(in crate::read) fn carry_over(&mut self, most: u64) {
        let Some(start) = self.start else { return };
        self.carry_up_to(start, most);
        self.start = Some(self.at);
    }

    /// Returns the length of the part of the current record that has arrived.
    pub(in crate::read) fn current_bytes(&self) -> u64 {
        self.start.map_or(0, |start| self.carried + (self.at - start) as u64)
    }

    /// Returns the offset of the first byte of the current record.
    pub(in crate::read) fn current_offset(&self) -> Option<u64> {
        self.start.map(|start| self.chunk_offset + start as u64 - self.carried)
    }

    /// Returns the part of the current record that has arrived: its bytes from earlier chunks, and
    /// its bytes from the current chunk. If the record is too long, only its first
    /// [`KEPT_TEXT_BYTES`] are kept from earlier chunks.
    pub(in crate::read) fn current_text(&self) -> (&[u8], &[u8]) {
        self.start.map_or((&[], &[]), |start| (self.carry.as_slice(), &self.chunk[start..self.at]))
    }

    /// Moves back to `offset`, where the current record ends, so that the byte at `offset` is
    /// scanned next. `offset` must be in the chunk, unless at most [`KEPT_TEXT_BYTES`] of the
    /// record were read.
    pub(in crate::read) fn rewind(&mut self, offset: u64) {
        let Some(start) = self.start else { return };
        let ahead = offset.checked_sub(self.chunk_offset + start as u64);
        if let Some(ahead) = ahead {
            self.at = start + usize::try_from(ahead).unwrap_or(usize::MAX);
            return;
        }
        // The bytes after `offset` were copied to `carry`. They become the start of the chunk.
        let kept = (offset + self.carried) - (self.chunk_offset + start as u64);
        let kept_bytes = usize::try_from(kept).unwrap_or(usize::MAX);
        let mut chunk = self.carry.split_off(kept_bytes);
        chunk.extend_from_slice(&self.chunk[start..]);
        self.chunk = chunk.into();
        self.chunk_offset = offset;
        (self.at, self.start, self.carried) = (0, Some(0), kept);
    }

    /// Returns the current record, which ends before the next byte. If it has more than `most`
    /// bytes, the text is only its start.
    pub(in crate::read) fn take(&mut self, most: u64) -> Taken {
        let start = self.start.take().unwrap_or(self.at);
        let offset = self.chunk_offset + start as u64 - self.carried;
        let bytes = self.carried + (self.at - start) as u64;
        let text = if self.carried == 0 {
            // A record that is too long is only put into the quarantine, so its start is enough.
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
            // The record has become too long, so keep only its start.
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
    /// Returns the record without `front` bytes at its start and `back` bytes at its end.
    pub(in crate::read) fn trimmed(self, front: usize, back: usize) -> Self {
        Self { range: self.range.start + front..self.range.end - back, ..self }
    }
}
