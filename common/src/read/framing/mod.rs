//! ② Where one record ends and the next begins, in chunks of bytes as they arrive.
//!
//! Stands between `read::fetch` and the decoder. It promises: the same bytes give the same records at the same
//! offsets, however they are cut into chunks and, for lines, into splits; memory is one chunk and one record; what
//! cannot be told apart is one `Framed::Broken`, never a guess. Records and broken ranges do not overlap, and between them
//! stands nothing but separators and white space (and the object around an array of records).

/// Records that are lines.
pub mod lines;
/// Records in a document.
pub mod document;
/// The object around an array of records.
mod wrapper;
/// The end of a record in a document.
mod value;
/// The end of a member around an array of records, which must be JSON.
mod member;
/// The end of a string.
mod string;
/// Where records certainly start again after the framing was lost.
mod resync;
/// The bytes that a framer holds.
mod window;

use bytes::Bytes;

use crate::config::resolved::Format;
use crate::read::framing::document::DocumentFramer;
use crate::read::framing::lines::LineFramer;
use crate::read::framing::window::{Text, Window};
use crate::read::rejection::Reason;
use crate::read::split::Split;

/// One record, or what stands where records should be.
#[derive(Debug, PartialEq, Eq)]
pub enum Framed<'a> {
    Record {
        /// Of its first byte, from the start of the object, decompressed.
        offset: u64,
        /// From 1, counted from the start of the split.
        line: u64,
        /// Not yet known to be JSON, nor UTF-8.
        text: &'a [u8],
    },
    /// Bytes that are no record.
    Broken {
        offset: u64,
        /// Length in the object; `text` may be less.
        bytes: u64,
        line: u64,
        extent: Extent,
        reason: Reason,
        /// One sentence.
        detail: String,
        /// At least its first 64 KiB, as far as they were read.
        text: &'a [u8],
    },
}

/// What a broken range stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// One record, whose beginning and end are known.
    Record,
    /// Any number of records: framing was lost at its beginning and is certain again at its end.
    Gap,
    /// Any number of records, up to the end of what could be read: the object is damaged.
    Rest,
}

/// Cuts the bytes of one split into records.
///
/// After each [`Framer::push`], call [`Framer::next`] until it gives `None`. After the last chunk call
/// [`Framer::finish`] or [`Framer::break_off`], then [`Framer::next`] until it gives `None` again.
#[derive(Debug)]
pub enum Framer {
    Lines(LineFramer),
    Document(Box<DocumentFramer>),
}

impl Framer {
    /// For what [`crate::read::fetch::fetch`] reads of `split`. A record of more than `max_record_bytes` is broken.
    #[must_use]
    pub fn for_split(split: &Split, format: &Format, max_record_bytes: u64) -> Self {
        match format {
            Format::Ndjson if split.is_whole() => Self::Lines(LineFramer::new(0, None, max_record_bytes)),
            Format::Ndjson => Self::Lines(LineFramer::new(split.range.start, Some(split.range.end), max_record_bytes)),
            Format::Json { records } => {
                Self::Document(Box::new(DocumentFramer::new(records.as_deref(), max_record_bytes)))
            }
        }
    }

    /// Takes the next chunk, which shares its bytes.
    pub fn push(&mut self, chunk: &Bytes) {
        match self {
            Self::Lines(framer) => framer.push(chunk),
            Self::Document(framer) => framer.push(chunk),
        }
    }

    /// The next record that is complete; `None`: push more.
    #[expect(clippy::should_implement_trait, reason = "what it gives is borrowed from the framer")]
    pub fn next(&mut self) -> Option<Framed<'_>> {
        match self {
            Self::Lines(framer) => framer.advance().map(|found| found.lend(framer.window())),
            Self::Document(framer) => framer.advance().map(|found| found.lend(framer.window())),
        }
    }

    /// There are no more bytes.
    pub fn finish(&mut self) {
        match self {
            Self::Lines(framer) => framer.finish(None),
            Self::Document(framer) => framer.finish(None),
        }
    }

    /// The bytes cannot be read on: what is unfinished, and the unread rest, become one broken record.
    pub fn break_off(&mut self, reason: Reason, detail: String) {
        match self {
            Self::Lines(framer) => framer.finish(Some((reason, detail))),
            Self::Document(framer) => framer.finish(Some((reason, detail))),
        }
    }

    /// Whether no more chunks are wanted: the next record belongs to the next split, or there is none.
    #[must_use]
    pub fn is_done(&self) -> bool {
        match self {
            Self::Lines(framer) => framer.is_done(),
            Self::Document(framer) => framer.is_done(),
        }
    }

    /// Lines that begin in the split, of those read so far. Added up over the earlier splits of an object, they turn a
    /// line of the split into a line of the object.
    #[must_use]
    pub fn lines(&self) -> u64 {
        match self {
            Self::Lines(framer) => framer.lines(),
            Self::Document(framer) => framer.lines(),
        }
    }
}

/// A [`Framed`] whose text is still a place in the window.
#[derive(Debug)]
pub(in crate::read) struct Found {
    pub(in crate::read) offset: u64,
    pub(in crate::read) bytes: u64,
    pub(in crate::read) line: u64,
    pub(in crate::read) text: Text,
    pub(in crate::read) fault: Option<(Extent, Reason, String)>,
}

impl Found {
    fn lend(self, window: &Window) -> Framed<'_> {
        let Self { offset, bytes, line, text, fault } = self;
        let text = window.text(&text);
        match fault {
            None => Framed::Record { offset, line, text },
            Some((extent, reason, detail)) => Framed::Broken { offset, bytes, line, extent, reason, detail, text },
        }
    }
}

/// What is said of a record of `bytes` bytes where `max_record_bytes` are allowed.
pub(in crate::read) fn too_long(bytes: u64, max_record_bytes: u64) -> (Extent, Reason, String) {
    (
        Extent::Record,
        Reason::TooLong,
        format!("the record has {bytes} bytes, and `max_record_bytes` is {max_record_bytes}"),
    )
}

#[cfg(test)]
mod tests;
