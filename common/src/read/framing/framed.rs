//! ② Result of framing: a record, or a range of bytes that is not a record.

use crate::read::framing::window::{Text, Window};
use crate::read::rejection::{Extent, Reason};

/// One record, or a range of bytes that is not a record.
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
    /// Range of bytes that is not a record.
    Broken {
        offset: u64,
        /// Length in the object; `text` may be shorter.
        bytes: u64,
        line: u64,
        extent: Extent,
        reason: Reason,
        /// One sentence that names the cause.
        detail: String,
        /// Start of the range: at least its first 64 KiB, or all of it if it is shorter.
        text: &'a [u8],
    },
}

/// Like [`Framed`], but with a range of the window instead of text, so that it does not borrow the
/// window.
#[derive(Debug)]
pub(in crate::read) struct Found {
    pub(in crate::read) offset: u64,
    pub(in crate::read) bytes: u64,
    pub(in crate::read) line: u64,
    pub(in crate::read) text: Text,
    pub(in crate::read) fault: Option<(Extent, Reason, String)>,
}

impl Found {
    pub(super) fn into_framed(self, window: &Window) -> Framed<'_> {
        let Self { offset, bytes, line, text, fault } = self;
        let text = window.text(&text);
        match fault {
            None => Framed::Record { offset, line, text },
            Some((extent, reason, detail)) => Framed::Broken { offset, bytes, line, extent, reason, detail, text },
        }
    }
}

/// Returns the fault of a record of `bytes` bytes, which are more than `max_record_bytes`.
pub(in crate::read) fn too_long(bytes: u64, max_record_bytes: u64) -> (Extent, Reason, String) {
    (
        Extent::Record,
        Reason::TooLong,
        format!("the record has {bytes} bytes, and `max_record_bytes` is {max_record_bytes}"),
    )
}
