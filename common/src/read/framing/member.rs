//! ② Finds the end of a skipped member's value, and checks that the value is JSON.
//!
//! No decoder reads the members around an array of records, so they are checked here: brackets,
//! commas, colons and quotes must be where JSON has them. Otherwise one missing quote would hide
//! the following pages, because the text between strings would be skipped as if it were inside a
//! string. Numbers and words are not checked, and neither are the escapes in strings.

use crate::read::framing::string::{StringScan, StringScanned};
use crate::read::framing::value::{OpenBrackets, Scanned, is_bare, is_space};

/// Scan of a skipped member's value. It is reused for the next member.
#[derive(Debug, Default)]
pub(in crate::read) struct MemberScan {
    expected: Expected,
    open: OpenBrackets,
    string: StringScan,
    /// Offset in the object of the next byte to scan.
    offset: u64,
    /// Offset of the opening quote of the last string.
    quote: u64,
}

/// The token that is expected next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Expected {
    #[default]
    Value,
    /// The first item of an array, or the end of the array.
    FirstItem,
    /// The first key of an object, or the end of the object.
    FirstKey,
    Key,
    Colon,
    /// A comma, or the end of the array or object.
    Comma,
    /// The rest of a string.
    String {
        is_key: bool,
    },
    /// The rest of a number or a word.
    Bare,
}

impl MemberScan {
    /// Starts a value at `offset`. Its first byte must be the first byte passed to [`Self::scan`].
    pub(in crate::read) fn start(&mut self, offset: u64) {
        self.expected = Expected::Value;
        self.open.depth = 0;
        self.offset = offset;
    }

    /// Scans the next bytes of the value.
    pub(in crate::read) fn scan(&mut self, bytes: &[u8]) -> Scanned {
        let mut at = 0;
        while at < bytes.len() {
            match self.expected {
                Expected::String { is_key } => match self.string.scan(&bytes[at..]) {
                    StringScanned::More => break,
                    StringScanned::End(length) => {
                        at += length;
                        self.expected = if is_key { Expected::Colon } else { Expected::Comma };
                    }
                    StringScanned::LineFeed(index) => {
                        return Scanned::Torn { line_feed: at + index, quote: self.quote };
                    }
                },
                Expected::Bare => {
                    let Some(length) = bytes[at..].iter().position(|byte| !is_bare(*byte)) else { break };
                    at += length;
                    self.expected = Expected::Comma;
                }
                _ if is_space(bytes[at]) => {
                    at += 1;
                    continue;
                }
                expected => {
                    let Some(next) = self.pass(expected, bytes[at], self.offset + at as u64) else {
                        return Scanned::Lost(at);
                    };
                    self.expected = next;
                    // The first byte of a number or a word is scanned with the rest.
                    at += usize::from(next != Expected::Bare);
                }
            }
            // Outside of all brackets, only a comma could follow, so the value is complete.
            if self.open.depth == 0 && self.expected == Expected::Comma {
                return Scanned::End(at);
            }
        }
        self.offset += bytes.len() as u64;
        Scanned::More
    }

    /// Scans one byte outside of strings, numbers and words. Returns the token that is expected
    /// after it, or `None` if JSON cannot have the byte there.
    fn pass(&mut self, expected: Expected, byte: u8, offset: u64) -> Option<Expected> {
        match (expected, byte) {
            (Expected::Value | Expected::FirstItem, b'{') => self.open.push(true).then_some(Expected::FirstKey),
            (Expected::Value | Expected::FirstItem, b'[') => self.open.push(false).then_some(Expected::FirstItem),
            (Expected::Value | Expected::FirstItem | Expected::FirstKey | Expected::Key, b'"') => {
                self.string.start();
                self.quote = offset;
                // A string is either a key or a value. This determines the token that must follow
                // it.
                Some(Expected::String { is_key: matches!(expected, Expected::FirstKey | Expected::Key) })
            }
            (Expected::Value | Expected::FirstItem, _) if is_bare(byte) => Some(Expected::Bare),
            (Expected::FirstItem | Expected::Comma, b']') => self.open.pop(false).then_some(Expected::Comma),
            (Expected::FirstKey | Expected::Comma, b'}') => self.open.pop(true).then_some(Expected::Comma),
            (Expected::Colon, b':') => Some(Expected::Value),
            (Expected::Comma, b',') if self.open.is_in_object() => Some(Expected::Key),
            (Expected::Comma, b',') => Some(Expected::Value),
            _ => None,
        }
    }
}
