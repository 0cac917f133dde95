//! ② Frames newline-delimited JSON: one record per line, in any byte range of an object.
//!
//! A split owns the lines that start in its range. A split that starts inside an object is read
//! from the byte before its range, because a line only starts after a line feed. The framer skips
//! to the first byte after a line feed, and reads past the end of the split to finish its last
//! line. This works because a JSON string contains no raw line feed. CRLF, blank lines and a last
//! line without a line feed are accepted. A byte order mark is accepted at the start of every line,
//! because an object may consist of several concatenated files.

use bytes::Bytes;
use memchr::memchr;

use crate::read::framing::framed::{Found, too_long};
use crate::read::framing::value::is_space;
use crate::read::framing::window::{Taken, Window};
use crate::read::rejection::{Extent, Reason};

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Frames the lines of one split.
#[derive(Debug)]
pub struct LineFramer {
    window: Window,
    max_record_bytes: u64,
    /// Offset from which on lines belong to the next split; `None` if all lines belong to this
    /// split.
    owned_end: Option<u64>,
    /// Whether the bytes up to the next line feed belong to a line of an earlier split and must be
    /// skipped.
    is_skipping: bool,
    /// Number of complete lines so far.
    lines: u64,
    end: End,
}

/// Whether the end of the input was reached.
#[derive(Debug)]
enum End {
    /// There may be more bytes.
    Open,
    /// The remaining bytes are the last line.
    Finished,
    BrokenOff(Reason, String),
    /// All lines were returned.
    Done,
}

impl LineFramer {
    /// Returns a framer for the lines that start in `start..owned_end`. The first byte pushed must
    /// be the one before `start`, or the first byte of the object.
    pub(in crate::read) fn new(start: u64, owned_end: Option<u64>, max_record_bytes: u64) -> Self {
        Self {
            // Start one byte earlier, to see whether the range starts after a line feed.
            window: Window::new(start.saturating_sub(1)),
            max_record_bytes,
            owned_end,
            is_skipping: start > 0,
            lines: 0,
            end: End::Open,
        }
    }

    pub(in crate::read) fn push(&mut self, chunk: &Bytes) {
        self.window.push(chunk);
    }

    pub(in crate::read) fn finish(&mut self, fault: Option<(Reason, String)>) {
        if !self.is_done() {
            self.end = match fault {
                None => End::Finished,
                Some((reason, detail)) => End::BrokenOff(reason, detail),
            };
        }
    }

    pub(in crate::read) fn is_done(&self) -> bool {
        matches!(self.end, End::Done)
    }

    pub(in crate::read) fn lines(&self) -> u64 {
        self.lines
    }

    pub(in crate::read) fn window(&self) -> &Window {
        &self.window
    }

    /// Returns the next line that is complete and not blank.
    pub(in crate::read) fn advance(&mut self) -> Option<Found> {
        if self.is_skipping {
            self.skip_first_line();
        }
        // Blank lines are counted but not returned.
        while !self.is_done() && !self.is_skipping {
            // Start a line even if no bytes follow: a broken range at the end of the input needs a
            // position.
            if !self.window.has_current() {
                if self.is_at_owned_end() {
                    self.end = End::Done;
                    return None;
                }
                self.window.start();
            }
            let Some(length) = memchr(b'\n', self.window.rest()) else { return self.at_end_of_chunk() };
            self.window.advance(length);
            // Take the line without its line feed. The line feed is skipped separately.
            let taken = self.window.take(self.max_record_bytes);
            self.window.advance(1);
            let found = self.line(taken);
            if found.is_some() {
                return found;
            }
        }
        None
    }

    fn is_at_owned_end(&self) -> bool {
        self.owned_end.is_some_and(|end| self.window.offset() >= end)
    }

    fn skip_first_line(&mut self) {
        match memchr(b'\n', self.window.rest()) {
            Some(length) => {
                self.window.advance(length + 1);
                self.is_skipping = false;
            }
            None => {
                self.window.advance(self.window.rest().len());
                // The framer could stop one byte earlier, but the last byte of the split must count
                // as read.
                let is_past = self.is_at_owned_end();
                // The line belongs to an earlier split, even if it ends after this split.
                if is_past || !matches!(self.end, End::Open) {
                    self.end = End::Done;
                }
            }
        }
    }

    fn at_end_of_chunk(&mut self) -> Option<Found> {
        self.window.advance(self.window.rest().len());
        if matches!(self.end, End::Open) {
            self.window.carry_over(self.max_record_bytes);
            return None;
        }
        let taken = self.window.take(self.max_record_bytes);
        match std::mem::replace(&mut self.end, End::Done) {
            End::BrokenOff(reason, detail) => {
                self.lines += 1;
                let fault = Some((Extent::Rest, reason, detail));
                let (offset, bytes) = (taken.offset, taken.bytes);
                Some(Found { offset, bytes, line: self.lines, text: taken.text, fault })
            }
            // The last line may lack a line feed.
            _ if taken.bytes > 0 => self.line(taken),
            _ => None,
        }
    }

    /// Returns one line without its line feed; `None` if it is blank.
    fn line(&mut self, taken: Taken) -> Option<Found> {
        self.lines += 1;
        let (line, mut offset) = (self.lines, taken.offset);
        if taken.bytes > self.max_record_bytes {
            let fault = Some(too_long(taken.bytes, self.max_record_bytes));
            return Some(Found { offset, bytes: taken.bytes, line, text: taken.text, fault });
        }
        let text = self.window.text(&taken.text);
        // If files were concatenated, any line may start with a byte order mark.
        let front = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        let back = usize::from(text[front..].ends_with(b"\r"));
        if text[front..].iter().all(|byte| is_space(*byte)) {
            return None;
        }
        offset += front as u64;
        let bytes = (text.len() - front - back) as u64;
        Some(Found { offset, bytes, line, text: taken.text.trimmed(front, back), fault: None })
    }
}
