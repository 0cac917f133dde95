//! ② Where one JSON value ends: brackets are counted outside strings, nothing else is understood.
//!
//! It looks at each byte once and keeps its place between chunks. Whether the value is valid is for the decoder; this
//! only must not be led astray by what strings hold, and must notice when brackets do not match, for from then on
//! nobody knows where the next record begins.

use memchr::memchr2;

/// Open brackets of one value; each takes a bit. Records are shorter than that unless limits were raised.
const MAX_DEPTH: usize = 1 << 24;
/// Strings are looked through byte by byte this far before a search pays for its start.
const SHORT_STRING_BYTES: usize = 16;

/// A value that was begun; used again for the next one.
#[derive(Debug, Default)]
pub(in crate::read) struct ValueScan {
    kind: Kind,
    open: OpenBrackets,
    in_string: bool,
    /// The next byte of the string is escaped.
    is_escaped: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Container,
    String,
    /// A number or a word.
    Bare,
}

/// How far a scan came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::read) enum Scanned {
    /// The value goes on after these bytes.
    More,
    /// It ends before this one of the bytes.
    End(usize),
    /// Brackets do not match at this one of the bytes.
    Lost(usize),
}

/// What a byte outside of strings means.
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
    /// Begins with the value whose first byte is `first`, which is still to be scanned; false if no value begins so.
    pub(in crate::read) fn begin(&mut self, first: u8) -> bool {
        self.kind = match first {
            b'{' | b'[' => Kind::Container,
            b'"' => Kind::String,
            _ if is_bare(first) => Kind::Bare,
            _ => return false,
        };
        self.open.depth = 0;
        self.in_string = false;
        self.is_escaped = false;
        true
    }

    /// Looks at the next bytes of the value.
    pub(in crate::read) fn scan(&mut self, bytes: &[u8]) -> Scanned {
        if self.kind == Kind::Bare {
            return bytes.iter().position(|byte| !is_bare(*byte)).map_or(Scanned::More, Scanned::End);
        }
        let mut at = 0;
        loop {
            if self.in_string {
                match self.scan_string(&bytes[at..]) {
                    Some(length) => at += length,
                    None => return Scanned::More,
                }
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
                Class::Quote => self.in_string = true,
                Class::Open if self.open.depth == MAX_DEPTH => return Scanned::Lost(at),
                Class::Open => self.open.push(byte == b'{'),
                Class::Close if !self.open.pop(byte == b'}') => return Scanned::Lost(at),
                Class::Close if self.open.depth == 0 => return Scanned::End(at + 1),
                Class::Close | Class::Other => {}
            }
            at += 1;
        }
    }

    /// The bytes up to and with the closing quote; `None` if it is not among these.
    fn scan_string(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        if self.is_escaped {
            if bytes.is_empty() {
                return None;
            }
            self.is_escaped = false;
            at = 1;
        }
        loop {
            let rest = &bytes[at..];
            let near = rest.len().min(SHORT_STRING_BYTES);
            let stop = rest[..near].iter().position(|byte| matches!(byte, b'"' | b'\\'));
            let stop = stop.or_else(|| memchr2(b'"', b'\\', &rest[near..]).map(|far| near + far));
            at += stop?;
            if bytes[at] == b'"' {
                self.in_string = false;
                return Some(at + 1);
            }
            at += 2;
            if at > bytes.len() {
                self.is_escaped = true;
                return None;
            }
        }
    }
}

/// Whether `byte` can stand in a number, in `true`, `false` and `null`, and in what people write for them.
fn is_bare(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.' | b'_')
}

/// The brackets that are open, a bit each: whether it is a brace. A recursive scan would need a stack as deep.
#[derive(Debug, Default)]
struct OpenBrackets {
    bits: Vec<u64>,
    depth: usize,
}

impl OpenBrackets {
    fn push(&mut self, is_brace: bool) {
        let (word, bit) = (self.depth / 64, self.depth % 64);
        if word == self.bits.len() {
            self.bits.push(0);
        }
        self.bits[word] = (self.bits[word] & !(1 << bit)) | (u64::from(is_brace) << bit);
        self.depth += 1;
    }

    /// Whether the innermost open bracket is of this kind; then it is closed.
    fn pop(&mut self, is_brace: bool) -> bool {
        let Some(depth) = self.depth.checked_sub(1) else { return false };
        self.depth = depth;
        (self.bits[depth / 64] >> (depth % 64)) & 1 == u64::from(is_brace)
    }
}
