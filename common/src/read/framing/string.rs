//! ② Finds the end of a JSON string, without interpreting its text.

use memchr::{memchr2, memchr3};

/// Number of bytes that are compared one by one before a SIMD search starts, because the search has
/// a start-up cost.
const SHORT_STRING_BYTES: usize = 16;

/// Scan of one string, which may continue in the next chunk.
#[derive(Debug, Default)]
pub(in crate::read) struct StringScan {
    /// Whether the last byte was a backslash, so that the next byte is escaped.
    is_escaped: bool,
    /// Whether the string contains a line feed, so it is not JSON. Further line feeds are not
    /// reported.
    is_torn: bool,
}

/// Result of scanning the next bytes of a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::read) enum StringScanned {
    /// The string continues after these bytes.
    More,
    /// The string has ended. This is the index of the byte after its closing quote.
    End(usize),
    /// The byte at this index is the string's first raw line feed. No string of JSON contains one,
    /// so there is a missing or extra quote before it.
    LineFeed(usize),
}

impl StringScan {
    /// Starts a new string. Its opening quote was already read.
    pub(in crate::read) fn start(&mut self) {
        *self = Self::default();
    }

    /// Scans the next bytes of the string. After [`StringScanned::LineFeed`], the scan may continue
    /// with the bytes after the line feed.
    pub(in crate::read) fn scan(&mut self, bytes: &[u8]) -> StringScanned {
        let mut at = 0;
        loop {
            // A line feed is reported even after a backslash, so do not skip it here.
            if self.is_escaped
                && let Some(byte) = bytes.get(at)
            {
                self.is_escaped = false;
                at += usize::from(*byte != b'\n');
            }
            let Some(stop) = self.find_stop(&bytes[at..]) else { return StringScanned::More };
            at += stop;
            match bytes[at] {
                b'"' => return StringScanned::End(at + 1),
                b'\n' => {
                    self.is_torn = true;
                    return StringScanned::LineFeed(at);
                }
                _ => self.is_escaped = true,
            }
            at += 1;
        }
    }

    /// Returns the index of the first byte with a meaning: a quote, a backslash, or the first line
    /// feed of the string.
    fn find_stop(&self, bytes: &[u8]) -> Option<usize> {
        let (near, far) = bytes.split_at(bytes.len().min(SHORT_STRING_BYTES));
        // The SIMD search below has the same condition, and is faster for long strings.
        let is_stop = |byte: &u8| matches!(byte, b'"' | b'\\') || (*byte == b'\n' && !self.is_torn);
        let far_stop = || if self.is_torn { memchr2(b'"', b'\\', far) } else { memchr3(b'"', b'\\', b'\n', far) };
        near.iter().position(is_stop).or_else(|| far_stop().map(|stop| near.len() + stop))
    }
}
