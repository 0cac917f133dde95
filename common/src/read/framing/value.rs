//! ② Finds the end of a record by its brackets outside of strings, without parsing anything else.
//!
//! The scan reads each byte once and keeps its state between chunks. The decoder later decides
//! whether the value is valid. The scan only has to ignore brackets inside strings, and to notice
//! brackets that do not match and strings with a line feed, because after such a fault the start of
//! the next record is unknown.

use crate::read::framing::string::{StringScan, StringScanned};

/// Maximum number of open brackets of one value. Each open bracket takes one bit of memory. With
/// the default of `max_record_bytes`, no record is long enough to exceed this number.
const MAX_DEPTH: usize = 1 << 24;

/// Scan of one value. It is reused for the next value.
#[derive(Debug, Default)]
pub(in crate::read) struct ValueScan {
    kind: Kind,
    open: OpenBrackets,
    string: StringScan,
    in_string: bool,
    /// Offset in the object of the next byte to scan.
    offset: u64,
    /// Offset of the opening quote of the last string.
    quote: u64,
    /// Whether a string of the value contains a line feed. Only the first line feed is reported.
    is_torn: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Container,
    String,
    /// A number or a word.
    Bare,
}

/// Result of scanning the next bytes of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::read) enum Scanned {
    /// The value continues after these bytes.
    More,
    /// The value has ended. This is the index of the first byte after it.
    End(usize),
    /// The byte at this index is a line feed inside the string that starts at the offset `quote`.
    /// Scanning may continue after it; the value is not JSON.
    Torn { line_feed: usize, quote: u64 },
    /// The byte at this index is in a place where JSON cannot have it.
    Lost(usize),
}

/// Meaning of a byte outside of strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Other,
    Quote,
    Open,
    Close,
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Other; 256];
    classes[b'"' as usize] = Class::Quote;
    classes[b'{' as usize] = Class::Open;
    classes[b'[' as usize] = Class::Open;
    classes[b'}' as usize] = Class::Close;
    classes[b']' as usize] = Class::Close;
    classes
};

impl ValueScan {
    /// Starts a value at `offset`. Its first byte is `first`, which must also be passed to
    /// [`Self::scan`]. Returns false if no value starts with this byte.
    pub(in crate::read) fn start(&mut self, first: u8, offset: u64) -> bool {
        self.kind = match first {
            b'{' | b'[' => Kind::Container,
            b'"' => Kind::String,
            _ if is_bare(first) => Kind::Bare,
            _ => return false,
        };
        self.open.depth = 0;
        self.in_string = false;
        self.is_torn = false;
        self.offset = offset;
        true
    }

    /// Whether a string of the value contains a line feed.
    pub(in crate::read) fn is_torn(&self) -> bool {
        self.is_torn
    }

    /// Scans the next bytes of the value.
    pub(in crate::read) fn scan(&mut self, bytes: &[u8]) -> Scanned {
        let scanned = match self.kind {
            Kind::Bare => bytes.iter().position(|byte| !is_bare(*byte)).map_or(Scanned::More, Scanned::End),
            Kind::Container | Kind::String => self.scan_nested(bytes),
        };
        self.offset += match scanned {
            Scanned::More => bytes.len() as u64,
            Scanned::Torn { line_feed, .. } => line_feed as u64 + 1,
            // The value has ended already.
            Scanned::End(_) | Scanned::Lost(_) => 0,
        };
        scanned
    }

    fn scan_nested(&mut self, bytes: &[u8]) -> Scanned {
        let mut at = 0;
        loop {
            if self.in_string {
                match self.string.scan(&bytes[at..]) {
                    StringScanned::More => return Scanned::More,
                    StringScanned::End(length) => at += length,
                    // Only the first line feed is reported.
                    StringScanned::LineFeed(index) if self.is_torn => {
                        at += index + 1;
                        continue;
                    }
                    StringScanned::LineFeed(index) => {
                        self.is_torn = true;
                        return Scanned::Torn { line_feed: at + index, quote: self.quote };
                    }
                }
                self.in_string = false;
                if self.kind == Kind::String {
                    return Scanned::End(at);
                }
            }
            let Some(skipped) = bytes[at..].iter().position(|byte| CLASSES[usize::from(*byte)] != Class::Other) else {
                return Scanned::More;
            };
            at += skipped;
            let byte = bytes[at];
            match CLASSES[usize::from(byte)] {
                Class::Quote => {
                    self.in_string = true;
                    self.string.start();
                    self.quote = self.offset + at as u64;
                }
                Class::Open if !self.open.push(byte == b'{') => return Scanned::Lost(at),
                Class::Close if !self.open.pop(byte == b'}') => return Scanned::Lost(at),
                Class::Close if self.open.depth == 0 => return Scanned::End(at + 1),
                Class::Open | Class::Close | Class::Other => {}
            }
            at += 1;
        }
    }
}

/// Whether `byte` can be part of a number, a word (`true`, `false`, `null`), or a common invalid
/// value such as `NaN`.
pub(in crate::read) fn is_bare(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.' | b'_')
}

/// Whether `byte` is white space between values (RFC 8259, section 2). Unlike
/// `u8::is_ascii_whitespace`, this excludes the form feed.
pub(in crate::read) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

/// The open brackets, from the outermost to the innermost, with one bit each: 1 for `{`, 0 for `[`.
/// A recursive scan would need no bits, but could overflow the stack.
#[derive(Debug, Default)]
pub(in crate::read) struct OpenBrackets {
    bits: Vec<u64>,
    pub(in crate::read) depth: usize,
}

impl OpenBrackets {
    /// Opens a bracket. Returns false if too many are open.
    pub(in crate::read) fn push(&mut self, is_brace: bool) -> bool {
        if self.depth == MAX_DEPTH {
            return false;
        }
        let (word, bit) = (self.depth / 64, self.depth % 64);
        if word == self.bits.len() {
            self.bits.push(0);
        }
        // Clear the bit first, because it may be set by a bracket that was closed.
        self.bits[word] = (self.bits[word] & !(1 << bit)) | (u64::from(is_brace) << bit);
        self.depth += 1;
        true
    }

    /// Closes the innermost bracket. Returns false if it has the other shape (brace or square
    /// bracket), or if no bracket is open.
    pub(in crate::read) fn pop(&mut self, is_brace: bool) -> bool {
        let is_right = self.depth > 0 && self.is_in_object() == is_brace;
        // Saturating, because the text may close a bracket that it never opened.
        self.depth = self.depth.saturating_sub(1);
        is_right
    }

    /// Whether the innermost open bracket is a brace.
    pub(in crate::read) fn is_in_object(&self) -> bool {
        let innermost = self.depth.saturating_sub(1);
        self.bits.get(innermost / 64).is_some_and(|bits| (bits >> (innermost % 64)) & 1 == 1)
    }
}
