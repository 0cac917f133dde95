//! ② Recovers framing where a document is broken: decides which bytes are given up and where
//! records continue.

use memchr::memchr_iter;

use super::{DocumentFramer, KEPT_BYTES, State};
use crate::read::framing::framed::Found;
use crate::read::framing::resync::RecordStarts;
use crate::read::rejection::{Extent, Reason};

impl DocumentFramer {
    /// Starts to search for the next record, because a string of the current record contains a line
    /// feed. The record is not JSON, but may still end with its own bracket, if it was written by a
    /// program that does not escape line feeds.
    ///
    /// `quote` is the offset of the string's opening quote. A JSON string contains no line feed, so
    /// this line feed was outside of strings before the text was damaged. So a start
    /// (`framing::resync`) after the line feed is certain, if the last byte before the start is
    /// after `quote`. If that last byte is the quote itself, the start is not certain: the quote
    /// may be the damaged byte, such as a comma that became a quote.
    pub(super) fn doubt(&mut self, quote: u64) -> Option<Found> {
        if self.is_followed {
            self.starts.lost_before(quote + 1);
            return None;
        }
        self.follow(Some(quote + 1)).map(|offset| self.give_up_at(offset))
    }

    /// Searches the current record or range from its first byte, and returns the offset of the
    /// first certain start. All bytes of the record or range must still be in the window.
    /// `certain_from` is the same as for [`RecordStarts::from`].
    pub(super) fn follow(&mut self, certain_from: Option<u64>) -> Option<u64> {
        let current = self.window.current_offset()?;
        // Search two pieces, because the carried bytes and the chunk are separate.
        let (carried, rest) = self.window.current_text();
        self.is_followed = true;
        self.starts = RecordStarts::from(current, certain_from);
        let index = self.starts.find(carried).or_else(|| Some(carried.len() + self.starts.find(rest)?))?;
        Some(current + index as u64)
    }

    /// Returns the current record as broken, because another record certainly starts at `offset`.
    pub(super) fn give_up_at(&mut self, offset: u64) -> Found {
        self.resume_at(offset, Reason::BrokenDocument, "the record does not end before the next one starts".to_owned())
    }

    /// Notes that framing was lost inside the current value. From now on, a start is certain if the
    /// last byte before it, ignoring white space, is at `certain_from` or later.
    pub(super) fn lose_inside(&mut self, certain_from: u64, detail: &str) -> Option<Found> {
        if self.is_followed {
            self.starts.lost_before(certain_from);
        } else if self.window.current_bytes() <= self.patience_bytes {
            // All bytes of the value are still in the window, so search it from its start.
            if let Some(offset) = self.follow(Some(certain_from)) {
                return Some(self.resume_at(offset, Reason::BrokenDocument, detail.to_owned()));
            }
        } else {
            // The window does not keep all of a long member, so search only from the next byte on.
            let offset = self.window.offset();
            self.starts = RecordStarts::from(offset, Some(offset));
        }
        self.state = State::Lost(Reason::BrokenDocument, detail.to_owned());
        None
    }

    /// Notes that framing was lost at the next byte, which the grammar does not allow here.
    pub(super) fn lose(&mut self, detail: String) {
        let offset = self.window.offset();
        let is_between_values = matches!(self.state, State::Top | State::Mark(_));
        // Between values outside of all brackets, a start directly after the byte is certain.
        // Inside brackets it is not, because the byte may be a damaged comma.
        let certain_from = if is_between_values { offset } else { offset + 1 };
        self.starts = RecordStarts::from(offset, Some(certain_from));
        // If bytes of a page were kept, the broken range starts with them. Otherwise it starts
        // here.
        if !self.window.has_current() {
            self.start();
        }
        self.state = State::Lost(Reason::BrokenDocument, detail);
    }

    /// Searches the rest of the chunk for the next record.
    pub(super) fn look_for_start(&mut self) -> Option<Found> {
        let rest = self.window.rest();
        let found = self.starts.find(rest);
        let passed = found.unwrap_or(rest.len());
        self.window.advance(passed);
        found?;
        let State::Lost(reason, detail) = std::mem::replace(&mut self.state, State::Top) else { return None };
        Some(self.resume_at(self.window.offset(), reason, detail))
    }

    /// Ends the current range as broken at `offset`, where framing is certain again.
    pub(super) fn resume_at(&mut self, offset: u64, reason: Reason, detail: String) -> Found {
        self.window.rewind(offset);
        let broken = self.take_broken(Extent::Gap, reason, detail);
        if broken.bytes <= KEPT_BYTES {
            // The line feeds after `offset` may be counted already, because all those of a chunk
            // are counted at once. The text of the range is complete, so count from the start of
            // the range again.
            let text = self.window.text(&broken.text);
            self.line_feeds = self.current_line - 1 + memchr_iter(b'\n', text).count() as u64;
            self.counted_to = offset;
        }
        self.state = State::Top;
        broken
    }
}
