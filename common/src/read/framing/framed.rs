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
    /// A range of bytes that cannot be separated into records, or one record that is broken or too
    /// long.
    Broken {
        offset: u64,
        /// Length of the range in the decompressed object; `text` may be shorter.
        bytes: u64,
        line: u64,
        extent: Extent,
        reason: Reason,
        /// One sentence that names the cause.
        detail: String,
        /// Bytes of the range: at least the first 64 KiB, or the whole range if it is shorter.
        text: &'a [u8],
    },
}

/// Like [`Framed`], but with the place of the text in the framer's [`Window`] instead of the text,
/// so that it borrows nothing.
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

/// Returns the fault (extent, reason and detail) of a record that has `bytes` bytes, and so exceeds
/// `max_record_bytes`.
pub(in crate::read) fn too_long(bytes: u64, max_record_bytes: u64) -> (Extent, Reason, String) {
    (
        Extent::Record,
        Reason::TooLong,
        format!("the record has {bytes} bytes, and `max_record_bytes` is {max_record_bytes}"),
    )
}
