//! ② Finds where one record ends and the next one starts, in chunks of bytes as they arrive.
//!
//! Framing is the step between `read::fetch` and the decoder. It guarantees:
//!
//! - The same bytes give the same records at the same offsets, no matter how the bytes are cut into
//!   chunks and, for lines, into splits.
//! - Memory is bounded by one chunk and one record. The members around the records that fields read
//!   are kept in addition (`framing::collection`).
//! - Bytes that cannot be separated into records are one `Framed::Broken`. Framing never guesses.
//! - Every byte is in exactly one record or broken range. The exceptions are separators, white
//!   space, byte order marks, and the members around an array of records, if they are intact.

/// Frames records that are lines.
pub mod lines;
/// Frames records in a document.
pub mod document;
/// State of the objects and arrays around the records.
pub(in crate::read) mod wrapper;
/// Members beside the records that fields read.
pub(in crate::read) mod collection;
/// Members beside the records that no field reads.
pub(in crate::read) mod undeclared_members;
/// All members beside the records, for those who want to know what there is.
mod observer;
/// Finds the end of a record in a document.
pub(in crate::read) mod value;
/// Finds the end of a member around an array of records, which must be JSON.
mod member;
/// Finds the end of a string.
mod string;
/// Finds where records certainly start again after framing was lost.
mod resync;
/// The bytes that a framer keeps in memory.
mod window;
/// A record, or a range of bytes that is not a record.
mod framed;

use bytes::Bytes;

use crate::config::resolved::JsonFormat;
use crate::read::framing::collection::Collection;
use crate::read::framing::document::DocumentFramer;
use crate::read::framing::framed::Found;
use crate::read::framing::lines::LineFramer;
use crate::read::framing::undeclared_members::DeclaredMembers;
use crate::read::framing::wrapper::Wrapper;
use crate::read::rejection::Reason;
use crate::read::split::Split;

pub use framed::Framed;
pub use observer::{MemberAround, ObjectsAround};

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
    /// Returns a framer for the bytes that [`crate::read::fetch::fetch`] returns for `split`. A
    /// record of more than `max_record_bytes` is returned as broken.
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

    /// Sets the members beside the records that fields read.
    pub(in crate::read) fn declare(&mut self, members: DeclaredMembers) {
        if let Self::Document(framer) = self {
            framer.declare(members);
        }
    }

    /// Collects the declared members beside the records from now on. A member of more than `most`
    /// bytes is not kept.
    pub(in crate::read) fn collect(&mut self, most: u64) {
        if let Self::Document(framer) = self {
            framer.collect(most);
        }
    }

    /// Observes all members beside the records from now on, whether fields read them or not.
    pub fn observe(&mut self) {
        if let Self::Document(framer) = self {
            framer.observe();
        }
    }

    /// Returns the members beside the records that ended since the last call, if they are observed.
    pub fn take_members_around(&mut self) -> Vec<MemberAround> {
        match self {
            Self::Lines(_) => Vec::new(),
            Self::Document(framer) => framer.take_members_around(),
        }
    }

    /// Returns the numbers of the objects around the records, if their members are observed.
    #[must_use]
    pub fn objects_around(&self) -> Vec<ObjectsAround> {
        self.wrapper().map(Wrapper::objects_around).unwrap_or_default()
    }

    /// Returns the collected members.
    pub(in crate::read) fn take_collection(&mut self) -> Collection {
        match self {
            Self::Lines(_) => Collection::default(),
            Self::Document(framer) => framer.take_collection(),
        }
    }

    /// Returns the state of the containers around the last record, if the records are in any.
    pub(in crate::read) fn wrapper(&self) -> Option<&Wrapper> {
        match self {
            Self::Lines(_) => None,
            Self::Document(framer) => framer.wrapper(),
        }
    }

    /// Returns the next complete record or broken range, or `None` if more chunks are needed.
    #[expect(clippy::should_implement_trait, reason = "the record is borrowed from the framer")]
    pub fn next(&mut self) -> Option<Framed<'_>> {
        let found = self.advance()?;
        Some(self.framed(found))
    }

    /// Like [`Self::next`], but borrows nothing. [`Self::framed`] adds the text.
    pub(in crate::read) fn advance(&mut self) -> Option<Found> {
        match self {
            Self::Lines(framer) => framer.advance(),
            Self::Document(framer) => framer.advance(),
        }
    }

    /// Returns what [`Self::advance`] has found last, with its text.
    pub(in crate::read) fn framed(&self, found: Found) -> Framed<'_> {
        found.into_framed(match self {
            Self::Lines(framer) => framer.window(),
            Self::Document(framer) => framer.window(),
        })
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

    /// Whether no more chunks are needed: the next record belongs to the next split, or there is no
    /// next record.
    #[must_use]
    pub fn is_done(&self) -> bool {
        match self {
            Self::Lines(framer) => framer.is_done(),
            Self::Document(framer) => framer.is_done(),
        }
    }

    /// Returns the number of lines that start in the split, as far as it was read. To get the line
    /// number of a record in the object, add the numbers of lines of all earlier splits to its line
    /// number in this split.
    #[must_use]
    pub fn lines(&self) -> u64 {
        match self {
            Self::Lines(framer) => framer.lines(),
            Self::Document(framer) => framer.lines(),
        }
    }
}

#[cfg(test)]
mod tests;
