//! ② Recognizes snappy and lz4 data that has no signature by its structure.
//!
//! Both consist of elements: literals, and copies of text before them. In other bytes, a copy soon
//! points before the start of the text.

use crate::storage::object::Compression;

/// Minimum number of bytes that an lz4 copy produces.
const MIN_LZ4_COPY: u64 = 4;
/// Value of a length in an lz4 token that continues in the bytes after it.
const LONG_LZ4_LENGTH: u64 = 15;

/// Returns the compression of bytes in Hadoop's framing, which has no signature. It starts with two
/// big-endian lengths: the decompressed length of the first block, and the compressed length of the
/// block's first chunk. The chunk follows.
pub(super) fn hadoop_framing(head: &[u8]) -> Option<Compression> {
    let [a, b, c, d, e, f, g, h, chunk @ ..] = head else { return None };
    // Programs write blocks of less than 16 MiB, so the first byte of the length is zero. Text does
    // not start with a zero byte.
    if *a != 0 {
        return None;
    }
    let block = u32::from_be_bytes([*a, *b, *c, *d]);
    let compressed = u32::from_be_bytes([*e, *f, *g, *h]);
    let length = usize::try_from(compressed).unwrap_or(usize::MAX);
    let chunk = &chunk[..chunk.len().min(length)];
    let is_whole = chunk.len() == length;
    // A chunk of snappy starts with its own decompressed length.
    let snappy = raw_snappy_length(chunk, is_whole).filter(|length| *length <= block);
    // A chunk of lz4 does not, but is at most slightly longer than its text.
    let may_be_lz4 = u64::from(compressed) <= u64::from(block) + u64::from(block) / 255 + 16;
    let lz4 = raw_lz4_length(chunk, is_whole).filter(|length| may_be_lz4 && *length <= block.into());
    match (snappy, lz4) {
        (None, None) => None,
        (None, Some(_)) => Some(Compression::HadoopLz4),
        // Snappy that repeats a single byte has the structure of lz4 too, with another length.
        (Some(snappy), Some(lz4)) if snappy != block && lz4 == u64::from(block) => Some(Compression::HadoopLz4),
        (Some(_), _) => Some(Compression::HadoopSnappy),
    }
}

/// Returns the decompressed length if `head` is raw snappy (snappy without framing), otherwise
/// `None`. `is_whole` is false if `head` is only the start of the compressed bytes.
pub(super) fn raw_snappy_length(head: &[u8], is_whole: bool) -> Option<u32> {
    let (length, mut at) = varint(head)?;
    let mut produced: u64 = 0;
    while let Some(&tag) = head.get(at) {
        let extra = match tag & 3 {
            // The tag of a literal contains its length, if it has up to 60 bytes. Otherwise the
            // length follows in 1 to 4 bytes.
            0 => usize::from((tag >> 2).saturating_sub(59)),
            1 => 1,
            2 => 2,
            _ => 4,
        };
        let Some(bytes) = head.get(at + 1..at + 1 + extra) else { break };
        let number = bytes.iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        at += 1 + extra;
        if tag & 3 == 0 {
            // Lengths are stored minus one.
            let literal = if extra == 0 { u64::from(tag >> 2) } else { number } + 1;
            produced += literal;
            at = at.saturating_add(usize::try_from(literal).ok()?);
        } else {
            let (copied, offset) = match tag & 3 {
                1 => (u64::from((tag >> 2) & 7) + 4, u64::from(tag >> 5) << 8 | number),
                _ => (u64::from(tag >> 2) + 1, number),
            };
            // The copy refers to bytes before the start of the output, so this is not snappy.
            if offset == 0 || offset > produced {
                return None;
            }
            produced += copied;
        }
        if produced > u64::from(length) {
            return None;
        }
    }
    // The head of a longer stream may end inside an element, so check the lengths only for a whole
    // stream.
    let is_right = if is_whole { at == head.len() && produced == u64::from(length) } else { at > 1 };
    (is_right && produced > 0).then_some(length)
}

fn varint(head: &[u8]) -> Option<(u32, usize)> {
    let mut value: u64 = 0;
    for (i, byte) in head.iter().take(5).enumerate() {
        value |= u64::from(byte & 0x7F) << (7 * i);
        if byte & 0x80 == 0 {
            return u32::try_from(value).ok().map(|value| (value, i + 1));
        }
    }
    None
}

/// Returns the decompressed length of `head` if it is a block of lz4, otherwise `None`. `is_whole`
/// is false if `head` is only the start of the block.
fn raw_lz4_length(head: &[u8], is_whole: bool) -> Option<u64> {
    let mut at = 0;
    let mut produced: u64 = 0;
    // Result if `head` ends here. Literals alone prove nothing, because any bytes have the structure of
    // a long literal. But one that starts like JSON is not there by chance.
    let mut cut = None;
    loop {
        // The token contains the lengths of a literal and of a copy after it.
        let Some(&token) = head.get(at) else { return cut };
        at += 1;
        let Some(literal) = lz4_length(head, &mut at, token >> 4) else { return cut };
        if !is_whole && produced == 0 && matches!(head.get(at), Some(b'{' | b'[')) {
            cut = Some(literal);
        }
        produced += literal;
        at = at.saturating_add(usize::try_from(literal).ok()?);
        // A block ends with a literal.
        if at >= head.len() {
            return if is_whole { (at == head.len() && produced > 0).then_some(produced) } else { cut };
        }
        let Some(&[low, high]) = head.get(at..at + 2) else { return cut };
        let offset = u64::from(u16::from_le_bytes([low, high]));
        if offset == 0 || offset > produced {
            return None;
        }
        at += 2;
        if !is_whole {
            cut = Some(produced);
        }
        let Some(copied) = lz4_length(head, &mut at, token & 15) else { return cut };
        produced += copied + MIN_LZ4_COPY;
    }
}

/// Returns a length whose first part is four bits of a token, and which may continue at `at`; `None` if it
/// continues after the end of `head`.
fn lz4_length(head: &[u8], at: &mut usize, half: u8) -> Option<u64> {
    let mut length = u64::from(half);
    if length == LONG_LZ4_LENGTH {
        loop {
            let byte = *head.get(*at)?;
            *at += 1;
            length += u64::from(byte);
            if byte != u8::MAX {
                break;
            }
        }
    }
    Some(length)
}
