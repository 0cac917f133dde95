//! ② Newline-delimited JSON: one record a line, in any range of an object's bytes.
//!
//! A split owns the lines whose first byte lies in its range. One that begins inside an object looks at the byte before
//! its range: only after a line feed does a line begin. It skips to the first such place and reads past its end to
//! finish its last line. Sound because strict JSON has no raw line feed inside a string. A byte order mark at the start,
//! CRLF, blank lines and a last line without a line feed are all fine.

use bytes::Bytes;
use memchr::memchr;

use crate::read::framing::window::{Taken, Window};
use crate::read::framing::{Extent, Found, too_long};
use crate::read::rejection::Reason;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Frames the lines of one split.
#[derive(Debug)]
pub struct LineFramer {
    window: Window,
    max_record_bytes: u64,
    /// Lines that begin here or later are the next split's; `None`: all lines are ours.
    owned_end: Option<u64>,
    /// The first line began before the split.
    is_skipping: bool,
    /// Lines that are complete.
    lines: u64,
    end: End,
}

/// How the bytes end.
#[derive(Debug)]
enum End {
    /// There are more.
    Open,
    /// What is left is the last line.
    Finished,
    BrokenOff(Reason, String),
    /// All of it was given out.
    Done,
}

impl LineFramer {
    /// For the lines that begin in `start..owned_end`. The first byte pushed is the one before `start`, or the first of
    /// the object.
    pub(in crate::read) fn new(start: u64, owned_end: Option<u64>, max_record_bytes: u64) -> Self {
        Self {
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

    /// The next line that is complete and not blank.
    pub(in crate::read) fn advance(&mut self) -> Option<Found> {
        if self.is_skipping {
            self.skip_line_begun_before();
        }
        while !self.is_done() && !self.is_skipping {
            if !self.window.has_begun() {
                if self.is_at_owned_end() {
                    self.end = End::Done;
                    return None;
                }
                self.window.begin();
            }
            let Some(length) = memchr(b'\n', self.window.rest()) else { return self.at_end_of_chunk() };
            self.window.advance(length);
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

    fn skip_line_begun_before(&mut self) {
        match memchr(b'\n', self.window.rest()) {
            Some(length) => {
                self.window.advance(length + 1);
                self.is_skipping = false;
            }
            None => {
                self.window.advance(self.window.rest().len());
                // One byte less would do, but then the last byte of the split would not be counted as read.
                let is_past = self.is_at_owned_end();
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
            _ if taken.bytes > 0 => self.line(taken),
            _ => None,
        }
    }

    /// One line without its line feed; `None` if it is blank.
    fn line(&mut self, taken: Taken) -> Option<Found> {
        self.lines += 1;
        let (line, mut offset) = (self.lines, taken.offset);
        if taken.bytes > self.max_record_bytes {
            let fault = Some(too_long(taken.bytes, self.max_record_bytes));
            return Some(Found { offset, bytes: taken.bytes, line, text: taken.text, fault });
        }
        let text = self.window.text(&taken.text);
        let front = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        let back = usize::from(text[front..].ends_with(b"\r"));
        if text[front..].iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r')) {
            return None;
        }
        offset += front as u64;
        let bytes = (text.len() - front - back) as u64;
        Some(Found { offset, bytes, line, text: taken.text.trimmed(front, back), fault: None })
    }
}
