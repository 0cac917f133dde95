//! ② Recognizes the content of an object by its first bytes: JSON text, compressed text, or another
//! format.
//!
//! Names are unreliable: uploads keep `.json` after they were compressed, and `.gz` after a proxy
//! decompressed them. So the content is recognized by its bytes. The extension and, on S3, the
//! `Content-Encoding` are only used for bytes without a signature. None of the signatures below is
//! the start of JSON text.

use std::fmt;

use crate::read::content::structure::{hadoop_framing, raw_snappy_length};
use crate::storage::object::Compression;

/// Recognizes snappy and lz4 without signatures.
mod structure;

/// Number of bytes at the start of an object that are used to recognize its content.
pub const HEAD_BYTES: usize = 1024;

/// Kind of an object's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    Text(Encoding),
    Compressed(Compression),
    /// Content that this program cannot read.
    Foreign(Foreign),
}

/// Encoding of characters. UTF-8 is read without conversion, the others are decoded first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Utf8,
    Utf16 { is_big_endian: bool },
    Utf32 { is_big_endian: bool },
}

/// Content that this program cannot read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// A file of this format, such as "a Parquet file".
    Format(&'static str),
    /// Text that is compressed by an unsupported method, such as "lzo".
    Compression(&'static str),
    /// Neither text nor a known format.
    Unknown,
}

impl Foreign {
    /// An object of only zero bytes, which a crash may leave.
    pub const ZEROS: Self = Self::Format("a block of zero bytes");
}

impl fmt::Display for Foreign {
    /// Writes the end of a sentence about an object, such as "is a Parquet file, not JSON".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format(format) => write!(f, "is {format}, not JSON"),
            Self::Compression(method) => write!(f, "is compressed by {method}, which is not supported"),
            Self::Unknown => f.write_str("is neither text in UTF-8 nor of a known format"),
        }
    }
}

impl Content {
    /// Whether the content is UTF-8 text without compression. Only such an object can be read from
    /// the middle.
    #[must_use]
    pub fn is_plain(self) -> bool {
        self == Self::Text(Encoding::Utf8)
    }
}

/// Signatures, each with the content of an object that starts with it.
const SIGNATURES: &[(&[u8], Content)] = &[
    (b"\x1F\x8B", Content::Compressed(Compression::Gzip)),
    (b"\x28\xB5\x2F\xFD", Content::Compressed(Compression::Zstd)),
    (b"\xFD7zXZ\0", Content::Compressed(Compression::Xz)),
    (b"\xFF\x06\0\0sNaPpY", Content::Compressed(Compression::Snappy)),
    (b"PK\x03\x04", Content::Compressed(Compression::Zip)),
    (b"PK\x05\x06", Content::Compressed(Compression::Zip)),
    (b"PK\x07\x08", Content::Foreign(Foreign::Format("a part of a zip archive that was split"))),
    (b"\x04\x22\x4D\x18", Content::Compressed(Compression::Lz4)),
    (b"\x02\x21\x4C\x18", Content::Compressed(Compression::Lz4)),
    (b"LZ4Block", Content::Foreign(Foreign::Compression("lz4 (framing of lz4-java)"))),
    (b"\x82SNAPPY\0", Content::Foreign(Foreign::Compression("snappy (framing of snappy-java)"))),
    (b"\x89LZO\0\r\n\x1A\n", Content::Foreign(Foreign::Compression("lzo"))),
    (b"LZIP\x01", Content::Foreign(Foreign::Compression("lzip"))),
    (b"\x5D\0\0", Content::Foreign(Foreign::Compression("lzma"))),
    (b"\x1F\x9D", Content::Foreign(Foreign::Compression("compress"))),
    (b"7z\xBC\xAF\x27\x1C", Content::Foreign(Foreign::Format("a 7z archive"))),
    (b"Rar!\x1A\x07", Content::Foreign(Foreign::Format("a RAR archive"))),
    (b"PAR1", Content::Foreign(Foreign::Format("a Parquet file"))),
    (b"PARE", Content::Foreign(Foreign::Format("an encrypted Parquet file"))),
    (b"Obj\x01", Content::Foreign(Foreign::Format("an Avro file"))),
    (b"SEQ\x06", Content::Foreign(Foreign::Format("a Hadoop sequence file"))),
    (b"ARROW1\0\0", Content::Foreign(Foreign::Format("an Arrow file"))),
    (b"FEA1", Content::Foreign(Foreign::Format("a Feather file"))),
    (b"SQLite format 3\0", Content::Foreign(Foreign::Format("an SQLite database"))),
    (b"\x89HDF\r\n\x1A\n", Content::Foreign(Foreign::Format("an HDF5 file"))),
    (b"%PDF-", Content::Foreign(Foreign::Format("a PDF document"))),
    (b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", Content::Foreign(Foreign::Format("a Microsoft Office document"))),
    (b"\x89PNG\r\n\x1A\n", Content::Foreign(Foreign::Format("a PNG image"))),
    (b"\xFF\xD8\xFF", Content::Foreign(Foreign::Format("a JPEG image"))),
    (b"\x7FELF", Content::Foreign(Foreign::Format("a program"))),
    (b"Salted__", Content::Foreign(Foreign::Format("encrypted by openssl"))),
    (b"age-encryption.org/", Content::Foreign(Foreign::Format("encrypted by age"))),
    (b"-----BEGIN PGP MESSAGE", Content::Foreign(Foreign::Format("encrypted by PGP"))),
    // UTF-32 comes before UTF-16, because the byte order mark of little-endian UTF-32 starts with
    // the one of little-endian UTF-16.
    (b"\xFF\xFE\0\0", Content::Text(Encoding::Utf32 { is_big_endian: false })),
    (b"\0\0\xFE\xFF", Content::Text(Encoding::Utf32 { is_big_endian: true })),
    (b"\xFF\xFE", Content::Text(Encoding::Utf16 { is_big_endian: false })),
    (b"\xFE\xFF", Content::Text(Encoding::Utf16 { is_big_endian: true })),
];

/// Extensions and values of `Content-Encoding` that name an unsupported compression. They are used
/// for bytes without a signature. The second text is the name for messages.
const UNSIGNED: &[(&str, &str)] =
    &[("br", "brotli"), ("deflate", "deflate"), ("zlib", "zlib"), ("lzo", "lzo"), ("snappy", "snappy")];

/// Offset of the signature in a POSIX tar header.
const TAR_SIGNATURE_AT: usize = 257;
/// Maximum percentage of control characters in the first bytes of text. About 10 % of compressed or
/// encrypted bytes are control characters.
const MOST_CONTROLS_PERCENT: usize = 3;
/// Maximum percentage of bytes of invalid UTF-8 in the first bytes of text. Almost 50 % of
/// compressed or encrypted bytes are invalid UTF-8.
const MOST_INVALID_PERCENT: usize = 30;
/// Number of control characters, or of bytes of invalid UTF-8, that are always accepted. In a short
/// object, even one of them can exceed [`MOST_CONTROLS_PERCENT`] or [`MOST_INVALID_PERCENT`].
const FEW_ODD_BYTES: usize = 4;

/// Recognizes the content of the object `name`. `head` is its first [`HEAD_BYTES`] bytes, or all of
/// its bytes if it is shorter. `encoding` is the `Content-Encoding` that was stored with the
/// object.
#[must_use]
pub fn recognize(head: &[u8], name: &str, encoding: Option<&str>) -> Content {
    let extension = extension(name);
    // Signatures come before the extension, because names are unreliable.
    if let Some(content) = signature(head, &extension).or_else(|| cut_signature(head, &extension)) {
        return content;
    }
    // If the whole head is full of zeros, text may follow them, so it is accepted as text below.
    if !head.is_empty() && head.len() < HEAD_BYTES && head.iter().all(|byte| *byte == 0) {
        return Content::Foreign(Foreign::ZEROS);
    }
    if let Some(compression) = hadoop_framing(head) {
        return Content::Compressed(compression);
    }
    if let Some(encoding) = wide_text(head) {
        return Content::Text(encoding);
    }
    // Raw snappy has no signature, and some JSON text looks like it. So check for it only if the
    // object has the extension of snappy or does not start like JSON.
    let is_raw_snappy = (Compression::named(&extension) == Compression::Snappy || !begins_like_json(head))
        && raw_snappy_length(head, head.len() < HEAD_BYTES).is_some();
    if is_raw_snappy {
        return Content::Foreign(Foreign::Compression("snappy without framing"));
    }
    if is_text(head) {
        return Content::Text(Encoding::Utf8);
    }
    // The bytes have no signature and are not text, so trust the `Content-Encoding` and the
    // extension if they name a compression. If they are wrong, the decompressor fails.
    // `Content-Encoding` lists compressions in the order in which they were applied, so the last
    // one is the outermost.
    let encodings = encoding.into_iter().flat_map(|encoding| encoding.rsplit(',')).map(str::trim);
    for word in encodings.chain([extension.as_str()]) {
        let compression = Compression::named(word);
        if !matches!(compression, Compression::None | Compression::Snappy) {
            return Content::Compressed(compression);
        }
        if let Some((_, method)) = UNSIGNED.iter().find(|(known, _)| word.eq_ignore_ascii_case(known)) {
            return Content::Foreign(Foreign::Compression(method));
        }
    }
    Content::Foreign(Foreign::Unknown)
}

/// Returns the file extension of a key in lower case, such as `gz` of `a/b.json.GZ`; empty if there
/// is none.
fn extension(key: &str) -> String {
    let name = key.rsplit('/').next().unwrap_or_default();
    name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default()
}

fn signature(head: &[u8], extension: &str) -> Option<Content> {
    // The byte after the signature tells it from the same letters in a text: POSIX writes a zero
    // there, and GNU a blank followed by a blank and a zero.
    let is_tar = |rest: &[u8]| rest.starts_with(b"ustar\0") || rest.starts_with(b"ustar  \0");
    if head.get(TAR_SIGNATURE_AT..).is_some_and(is_tar) {
        return Some(Content::Foreign(Foreign::Format("a tar archive")));
    }
    // The signature of bzip2 has two halves. The object may end inside the second half.
    if let [b'B', b'Z', b'h', b'1'..=b'9', rest @ ..] = head
        && !rest.is_empty()
        && (b"1AY&SY".starts_with(&rest[..rest.len().min(6)])
            || b"\x17rE8P\x90".starts_with(&rest[..rest.len().min(6)]))
    {
        return Some(Content::Compressed(Compression::Bzip2));
    }
    if head.starts_with(b"ORC") && head.get(3).is_some_and(|byte| is_odd_control(*byte) || *byte >= 0x80) {
        return Some(Content::Foreign(Foreign::Format("an ORC file")));
    }
    // A skippable frame, which both zstd (`pzstd` writes one) and lz4 have. The frame after it
    // shows which of the two formats this is. If that frame is not in the head, the extension
    // decides.
    if let [0x50..=0x5F, 0x2A, 0x4D, 0x18, a, b, c, d, rest @ ..] = head {
        let frame = usize::try_from(u32::from_le_bytes([*a, *b, *c, *d])).unwrap_or(usize::MAX);
        let next = rest.get(frame..).and_then(|next| signature(next, extension));
        let named = match Compression::named(extension) {
            Compression::Lz4 => Compression::Lz4,
            _ => Compression::Zstd,
        };
        return Some(next.unwrap_or(Content::Compressed(named)));
    }
    let is_there = |signature: &[u8]| {
        let Some(behind) = head.strip_prefix(signature) else { return false };
        // A signature that is a short word, such as `PAR1`, may also be the start of a line of
        // text.
        let is_word = signature.len() < 6 && signature.iter().all(u8::is_ascii_alphanumeric);
        // In a binary format, a control character or a byte that is not ASCII follows soon.
        !is_word || behind.iter().take(8).any(|byte| byte.is_ascii_control() || !byte.is_ascii())
    };
    SIGNATURES.iter().find(|(signature, _)| is_there(signature)).map(|(_, content)| *content)
}

/// Returns the compression that the extension names, if the object ends inside that compression's
/// signature.
fn cut_signature(head: &[u8], extension: &str) -> Option<Content> {
    let named = Content::Compressed(Compression::named(extension));
    // The fourth byte of bzip2's signature is the level, a digit. The object may end after it.
    let is_cut = match named {
        Content::Compressed(Compression::Bzip2) => {
            b"BZh".starts_with(head) || (head.len() == 4 && head.starts_with(b"BZh"))
        }
        _ => SIGNATURES.iter().any(|(signature, content)| *content == named && signature.starts_with(head)),
    };
    (is_cut && !head.is_empty()).then_some(named)
}

/// Recognizes UTF-16 or UTF-32 without a byte order mark: JSON starts with two ASCII characters, so
/// their upper bytes are zeros (RFC 4627, section 3).
fn wide_text(head: &[u8]) -> Option<Encoding> {
    let is_text = |byte: u8| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~');
    match *head {
        [a, 0, 0, 0, b, 0, 0, 0, ..] if is_text(a) && is_text(b) => Some(Encoding::Utf32 { is_big_endian: false }),
        [0, 0, 0, a, 0, 0, 0, b, ..] if is_text(a) && is_text(b) => Some(Encoding::Utf32 { is_big_endian: true }),
        [a, 0, b, 0, ..] if is_text(a) && is_text(b) => Some(Encoding::Utf16 { is_big_endian: false }),
        [0, a, 0, b, ..] if is_text(a) && is_text(b) => Some(Encoding::Utf16 { is_big_endian: true }),
        _ => None,
    }
}

/// Whether the bytes at the start of an object can be text. Parts of the text may be damaged or in
/// an encoding such as Latin-1.
fn is_text(head: &[u8]) -> bool {
    // A crash may leave a block of zeros before text.
    if let [0, ..] = head {
        // Check the bytes after the zeros.
        let text = head.iter().position(|byte| *byte != 0).map_or(&[][..], |at| &head[at..]);
        return text.is_empty() || (begins_like_json(text) && is_text(text));
    }
    let start = &head[..head.len().min(4)];
    if start.iter().any(|byte| *byte == 0 || is_odd_control(*byte)) {
        return false;
    }
    let controls = head.iter().filter(|byte| is_odd_control(**byte)).count();
    let invalid: usize = head.utf8_chunks().map(|chunk| chunk.invalid().len()).sum();
    let is_above = |count: usize, percent: usize| count > FEW_ODD_BYTES && count * 100 > head.len() * percent;
    let (many_controls, many_invalid) =
        (is_above(controls, MOST_CONTROLS_PERCENT), is_above(invalid, MOST_INVALID_PERCENT));
    // Text in an encoding such as Latin-1 has many bytes of invalid UTF-8, but few control
    // characters. Compressed or encrypted bytes have many of both. So bytes that start like JSON
    // are accepted as text unless they have many of both.
    if begins_like_json(head) { !(many_controls && many_invalid) } else { !(many_controls || many_invalid) }
}

/// Whether `byte` is a control character that does not occur in text and logs. False for zero,
/// because a crash may leave zeros in text.
fn is_odd_control(byte: u8) -> bool {
    // Colored logs contain the escape character (0x1B), and JSON text sequences contain the record
    // separator (0x1E).
    byte != 0 && byte.is_ascii_control() && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x08 | 0x0C | 0x1B | 0x1E)
}

/// Whether a JSON text can start with these bytes.
fn begins_like_json(head: &[u8]) -> bool {
    head.first()
        .is_none_or(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | b' ' | b'{' | b'[' | b'"' | b'-' | b'0'..=b'9'))
}

#[cfg(test)]
mod tests;
