//! ② Finds where one record ends and the next one starts, in chunks of bytes as they arrive.
//!
//! Framing is the step between `read::fetch` and the decoder. It guarantees:
//!
//! - The same bytes give the same records at the same offsets, no matter how the bytes are cut into
//!   chunks and, for lines, into splits.
//! - Memory is bounded by one chunk and one record.
//! - Bytes that cannot be separated into records are one `Framed::Broken`. Framing never guesses.
//! - Every byte is in exactly one record or broken range, except separators, white space, byte
//!   order marks, and members of an object around an array of records that parsed completely.

/// Frames records that are lines.
pub mod lines;
/// Frames records in a document.
pub mod document;
/// State of the object around an array of records.
mod wrapper;
/// Finds the end of a record in a document.
mod value;
/// Finds the end of a member around an array of records, which must be JSON.
mod member;
/// Finds the end of a string.
mod string;
/// Finds where records certainly start again after framing was lost.
mod resync;
/// The bytes that a framer holds in memory.
mod window;

use bytes::Bytes;

use crate::config::resolved::JsonFormat;
use crate::read::framing::document::DocumentFramer;
use crate::read::framing::lines::LineFramer;
use crate::read::framing::window::{Text, Window};
use crate::read::rejection::{Extent, Reason};
use crate::read::split::Split;

/// One record, or a range of bytes that is not one.
#[derive(Debug, PartialEq, Eq)]
pub enum Framed<'a> {
    Record {
        /// Byte offset of the record in the decompressed object.
        offset: u64,
        /// Line number from 1, counted from the start of the split.
        line: u64,
        /// Bytes of the record, not yet known to be JSON or UTF-8.
        text: &'a [u8],
    },
    /// Bytes that are not a record.
    Broken {
        offset: u64,
        /// Length in the object; `text` may be less.
        bytes: u64,
        line: u64,
        extent: Extent,
        reason: Reason,
        /// One sentence that names the cause.
        detail: String,
        /// At least the first 64 KiB of the range, as far as they were read.
        text: &'a [u8],
    },
}

/// Cuts the bytes of one split into records.
///
/// After each [`Framer::push`], call [`Framer::next`] until it returns `None`. After the last chunk
/// call [`Framer::finish`] or [`Framer::break_off`], then [`Framer::next`] until it returns `None`
/// again.
#[derive(Debug)]
pub enum Framer {
    Lines(LineFramer),
    Document(Box<DocumentFramer>),
}

impl Framer {
    /// Returns a framer for the bytes that [`crate::read::fetch::fetch`] reads of `split`. A record
    /// of more than `max_record_bytes` is broken.
    #[must_use]
    pub fn for_split(split: &Split, format: &JsonFormat, max_record_bytes: u64) -> Self {
        match format {
            JsonFormat::Lines if split.is_whole() => Self::Lines(LineFramer::new(0, None, max_record_bytes)),
            JsonFormat::Lines => {
                Self::Lines(LineFramer::new(split.range.start, Some(split.range.end), max_record_bytes))
            }
            JsonFormat::Document { records } => {
                Self::Document(Box::new(DocumentFramer::new(records.as_deref(), max_record_bytes)))
            }
        }
    }

    /// Adds the next chunk. The bytes are shared, not copied.
    pub fn push(&mut self, chunk: &Bytes) {
        match self {
            Self::Lines(framer) => framer.push(chunk),
            Self::Document(framer) => framer.push(chunk),
        }
    }

    /// Returns the next complete record, or `None` if more chunks are needed.
    #[expect(clippy::should_implement_trait, reason = "the record is borrowed from the framer")]
    pub fn next(&mut self) -> Option<Framed<'_>> {
        match self {
            Self::Lines(framer) => framer.advance().map(|found| found.into_framed(framer.window())),
            Self::Document(framer) => framer.advance().map(|found| found.into_framed(framer.window())),
        }
    }

    /// Ends the input: there are no more bytes.
    pub fn finish(&mut self) {
        match self {
            Self::Lines(framer) => framer.finish(None),
            Self::Document(framer) => framer.finish(None),
        }
    }

    /// Ends the input early: the next bytes cannot be read. The unfinished record and the unread
    /// rest become one broken range.
    pub fn break_off(&mut self, reason: Reason, detail: String) {
        match self {
            Self::Lines(framer) => framer.finish(Some((reason, detail))),
            Self::Document(framer) => framer.finish(Some((reason, detail))),
        }
    }

    /// Returns whether no more chunks are needed: the next record belongs to the next split, or
    /// there is none.
    #[must_use]
    pub fn is_done(&self) -> bool {
        match self {
            Self::Lines(framer) => framer.is_done(),
            Self::Document(framer) => framer.is_done(),
        }
    }

    /// Returns the number of lines that start in the split, as far as it was read. The sum over the
    /// earlier splits of an object turns a line number of the split into one of the object.
    #[must_use]
    pub fn lines(&self) -> u64 {
        match self {
            Self::Lines(framer) => framer.lines(),
            Self::Document(framer) => framer.lines(),
        }
    }
}

/// A [`Framed`] with a range of the window instead of text, so that it does not borrow the window.
#[derive(Debug)]
pub(in crate::read) struct Found {
    pub(in crate::read) offset: u64,
    pub(in crate::read) bytes: u64,
    pub(in crate::read) line: u64,
    pub(in crate::read) text: Text,
    pub(in crate::read) fault: Option<(Extent, Reason, String)>,
}

impl Found {
    fn into_framed(self, window: &Window) -> Framed<'_> {
        let Self { offset, bytes, line, text, fault } = self;
        let text = window.text(&text);
        match fault {
            None => Framed::Record { offset, line, text },
            Some((extent, reason, detail)) => Framed::Broken { offset, bytes, line, extent, reason, detail, text },
        }
    }
}

/// Returns the fault of a record of `bytes` bytes if only `max_record_bytes` are allowed.
pub(in crate::read) fn too_long(bytes: u64, max_record_bytes: u64) -> (Extent, Reason, String) {
    (
        Extent::Record,
        Reason::TooLong,
        format!("the record has {bytes} bytes, and `max_record_bytes` is {max_record_bytes}"),
    )
}

#[cfg(test)]
mod tests;
