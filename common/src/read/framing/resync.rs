//! ② Finds where records certainly start again after framing was lost.
//!
//! A *start* is a `{` that is the first byte of a line and does not follow `,` `[` `:` or `{`,
//! ignoring white space between them. Inside a JSON value a `{` always follows one of these bytes,
//! and a string contains no raw line feed. So in intact text, nested and indented in any way, each
//! start is the first byte of a value outside of all brackets. Only the faulty bytes themselves can
//! create a false start, for example a comma that became a space. One fault creates at most one
//! false start, so a start is *certain* if
//!
//! - the last byte before it is after the byte at which framing was lost (the fault is at that byte
//!   or earlier), or
//! - it is the second start since the first byte of the record that contains the fault.
//!
//! ```text
//! {"id":1,"s":"a}      a quote is missing
//! {"id":2,"s":"b"}     first start: not certain while the place of the fault is unknown
//! {"id":3,"s":"c"}     second start: certain
//! ```

use memchr::memchr_iter;

use crate::read::framing::value::is_space;

/// Offset and value of the last scanned byte that is not white space.
type Last = Option<(u64, u8)>;

/// Searches for the first certain start in bytes as they arrive.
#[derive(Debug, Default)]
pub(in crate::read) struct RecordStarts {
    /// Offset of the next byte to scan.
    offset: u64,
    last: Last,
    /// Whether the last scanned byte is a line feed.
    is_after_line_feed: bool,
    has_seen_one: bool,
    /// A start is certain if the last byte before it is at this offset or later.
    certain_from: Option<u64>,
}

impl RecordStarts {
    /// Returns a search that starts at `offset`. `certain_from` is `None` while no byte is known to
    /// be wrong.
    pub(in crate::read) fn from(offset: u64, certain_from: Option<u64>) -> Self {
        Self { offset, certain_from, ..Self::default() }
    }

    /// Notes that framing was lost: from now on, a start is certain if the last byte before it is
    /// at `offset` or later.
    pub(in crate::read) fn lost_before(&mut self, offset: u64) {
        self.certain_from = Some(self.certain_from.map_or(offset, |certain| certain.min(offset)));
    }

    /// Returns the index of the first certain start in `bytes`, which follow the bytes of the last
    /// call. Do not call this again after a start was found.
    pub(in crate::read) fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        // The first byte of a piece may follow a line feed in the piece before.
        if bytes.first() == Some(&b'{') && self.is_after_line_feed && self.is_certain(self.last) {
            return Some(0);
        }
        for line_feed in memchr_iter(b'\n', bytes) {
            // Only the first byte of a line counts, because an indented brace may be nested.
            if bytes.get(line_feed + 1) == Some(&b'{') {
                let last = self.last_of(&bytes[..line_feed]);
                if self.is_certain(last) {
                    return Some(line_feed + 1);
                }
            }
        }
        self.last = self.last_of(bytes);
        self.is_after_line_feed = bytes.last().map_or(self.is_after_line_feed, |byte| *byte == b'\n');
        self.offset += bytes.len() as u64;
        None
    }

    /// Whether a `{` at the start of a line, with `last` before it, is a certain start. Remembers
    /// an uncertain start.
    fn is_certain(&mut self, last: Last) -> bool {
        let Some((offset, byte)) = last else { return false };
        if matches!(byte, b',' | b'[' | b':' | b'{') {
            return false;
        }
        let is_after_fault = self.certain_from.is_some_and(|certain| offset >= certain);
        // `replace` remembers an uncertain start. It returns true only for the second start.
        is_after_fault || std::mem::replace(&mut self.has_seen_one, true)
    }

    fn last_of(&self, bytes: &[u8]) -> Last {
        match bytes.iter().rposition(|byte| !is_space(*byte)) {
            Some(index) => Some((self.offset + index as u64, bytes[index])),
            None => self.last,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the index of the first certain start. Fails if the result depends on how the text is
    /// cut into pieces.
    fn find(text: &str, certain_from: Option<u64>) -> Option<usize> {
        let at_once = RecordStarts::from(0, certain_from).find(text.as_bytes());
        for size in 1..5 {
            let mut starts = RecordStarts::from(0, certain_from);
            let mut pieces = text.as_bytes().chunks(size).enumerate();
            let found = pieces.find_map(|(i, piece)| starts.find(piece).map(|index| i * size + index));
            assert_eq!(found, at_once, "{text:?} in pieces of {size}");
        }
        at_once
    }

    #[test]
    fn a_start_is_a_brace_in_the_first_column_that_no_value_can_contain() {
        for (text, certain_from, start) in [
            // The second start, because the position of the fault is unknown.
            ("{\"a\":1\n{\"a\":2}\n{\"a\":3}", None, Some(15)),
            ("{\"a\":1\r\n{\"a\":2}\r\n\r\n{\"a\":3}", None, Some(19)),
            ("{\"a\":1\n{\"a\":2}", None, None),
            // The first start after the byte at which framing was lost.
            ("x\n{\"a\":2}", Some(0), Some(2)),
            ("x\n{\"a\":2}", Some(1), None),
            ("x\n{\"a\":2}\n{", Some(1), Some(10)),
            // No start: the braces are not at the start of a line.
            ("x\n {\"a\":2}\n  {\"a\":2} {\"a\":3}", Some(0), None),
            // No start: each byte before a brace may precede a nested value.
            ("x,\n{\"a\":[\n{\"b\":\n{},\n{\n{", Some(0), None),
        ] {
            assert_eq!(find(text, certain_from), start, "{text:?} {certain_from:?}");
        }
    }
}
