//! ③ Reads tokens of JSON eight or sixteen bytes at a time, in ordinary 64-bit registers.
//!
//! All functions read a text that is followed by `PADDING` zero bytes, so that a block may start
//! at any byte of the text. A zero byte is valid nowhere in JSON, so no token continues into the
//! padding. `None` means that the function cannot read the token, not that the token is invalid.

/// Number of zero bytes that must follow a text.
pub(super) const PADDING: usize = 32;

/// Eight bytes 0x01. Multiplied by a byte, it gives eight copies of that byte.
const ONES: u64 = 0x0101_0101_0101_0101;
/// The highest bit of every byte.
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;
const POWERS_OF_TEN: [u64; 9] = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];
/// Maximum number of digits that [`digits`] reads. Every number with this many digits fits a long.
pub(super) const MAX_DIGITS: usize = 18;

/// Returns the `N` bytes that start at offset `at`.
pub(super) fn block<const N: usize>(text: &[u8], at: usize) -> Option<&[u8; N]> {
    text.get(at..)?.first_chunk()
}

/// Returns the offset after `word`, if the text contains `word` at `at`.
pub(super) fn word<const N: usize>(text: &[u8], at: usize, word: &[u8; N]) -> Option<usize> {
    (block(text, at)? == word).then_some(at + N)
}

/// Appends the contents of a string to `into`, with escapes resolved. `at` is the offset after the
/// opening quote. Returns the offset after the closing quote. If the result is `None`, a part of
/// the string may have been appended.
pub(super) fn unescape(text: &[u8], mut at: usize, into: &mut Vec<u8>) -> Option<usize> {
    loop {
        let block: &[u8; 16] = block(text, at)?;
        let plain = plain_bytes(block);
        // Copying a whole block and removing its end is faster than copying `plain` bytes.
        into.extend_from_slice(block);
        if plain == block.len() {
            at += plain;
            continue;
        }
        into.truncate(into.len() - (block.len() - plain));
        at += plain + 1;
        match block[plain] {
            b'"' => return Some(at),
            b'\\' => at = escape(text, at, into)?,
            _ => return None,
        }
    }
}

/// Appends the character that an escape represents to `into`. `at` is the offset after the
/// backslash. Returns the offset after the escape.
fn escape(text: &[u8], at: usize, into: &mut Vec<u8>) -> Option<usize> {
    let byte = match text.get(at)? {
        byte @ (b'"' | b'\\' | b'/') => *byte,
        b'b' => 0x08,
        b'f' => 0x0C,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' => {
            let mut code = hex(text, at + 1)?;
            let mut end = at + 5;
            // A character beyond U+FFFF is a pair of surrogates.
            if (0xD800..0xDC00).contains(&code) {
                let low = hex(text, word(text, end, b"\\u")?)?;
                if !(0xDC00..0xE000).contains(&low) {
                    return None;
                }
                code = 0x1_0000 + ((code - 0xD800) << 10) + (low - 0xDC00);
                end += 6;
            }
            let mut buffer = [0; 4];
            into.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut buffer).as_bytes());
            return Some(end);
        }
        _ => return None,
    };
    into.push(byte);
    Some(at + 1)
}

/// Returns the number that four hexadecimal digits represent.
fn hex(text: &[u8], at: usize) -> Option<u32> {
    let digits: &[u8; 4] = block(text, at)?;
    digits.iter().try_fold(0, |code, digit| Some(code * 16 + char::from(*digit).to_digit(16)?))
}

/// Returns the offset after the closing quote of a string. `at` is the offset after the opening
/// quote. Accepts unpaired surrogates, as `serde_json` does in values that it skips.
pub(super) fn skip_string(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let end = plain_end(text, at)?;
        match text.get(end)? {
            b'"' => return Some(end + 1),
            b'\\' => {
                at = match text.get(end + 1)? {
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => end + 2,
                    b'u' => hex(text, end + 2).map(|_| end + 6)?,
                    _ => return None,
                };
            }
            _ => return None,
        }
    }
}

/// Returns the offset of the first quote, backslash or control character from `at`.
pub(super) fn plain_end(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let plain = plain_bytes(block(text, at)?);
        at += plain;
        if plain < 16 {
            return Some(at);
        }
    }
}

/// Returns the number of bytes before the first quote, backslash or control character.
fn plain_bytes(block: &[u8; 16]) -> usize {
    let (low, high) = block.split_at(8);
    let low = special_bytes(word_of(low));
    if low != 0 { first_byte(low) } else { 8 + first_byte(special_bytes(word_of(high))) }
}

/// Finds the first quote, backslash or control character of `word`. In the result, the byte at its
/// position is the first byte whose highest bit is set. The highest bits of later bytes may be
/// wrong, because a subtraction borrows from the next byte.
fn special_bytes(word: u64) -> u64 {
    let quote = (word ^ (ONES * b'"' as u64)).wrapping_sub(ONES);
    let backslash = (word ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    let control = word.wrapping_sub(ONES * 0x20);
    // Bytes of 0x80 and more are not special, so `!word` clears their bits.
    (quote | backslash | control) & !word & HIGH_BITS
}

/// Returns the number of bytes before the first byte whose highest bit is set; 8 if there is no
/// such byte.
fn first_byte(bits: u64) -> usize {
    bits.trailing_zeros() as usize / 8
}

fn word_of(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Returns the number that the digits from `at` represent, and the number of digits; `None` if
/// there are more than [`MAX_DIGITS`].
pub(super) fn digits(text: &[u8], at: usize) -> Option<(u64, usize)> {
    let (mut value, mut count) = up_to_eight_digits(text, at)?;
    while count > 0 && count.is_multiple_of(8) {
        let (next, more) = up_to_eight_digits(text, at + count)?;
        if count + more > MAX_DIGITS {
            return None;
        }
        value = value * POWERS_OF_TEN[more] + next;
        count += more;
        if more == 0 {
            break;
        }
    }
    Some((value, count))
}

fn up_to_eight_digits(text: &[u8], at: usize) -> Option<(u64, usize)> {
    // The first digit is the lowest byte.
    let digits = u64::from_le_bytes(*block(text, at)?) ^ (ONES * b'0' as u64);
    // Adding 6 to a digit leaves its upper four bits zero. A carry only changes bytes after a byte
    // that is no digit.
    let no_digits = (digits | digits.wrapping_add(ONES * 6)) & 0xF0F0_F0F0_F0F0_F0F0;
    let count = no_digits.trailing_zeros() as usize / 8;
    if count == 0 {
        return Some((0, 0));
    }
    // Remove the bytes after the digits, and put zeros before them.
    let digits = digits << (64 - 8 * count);
    // Join neighbours: eight digits become four numbers of two digits, then two numbers of four
    // digits, then one number of eight digits.
    let pairs = (digits * 10) + (digits >> 8);
    let upper = (pairs & 0x0000_00FF_0000_00FF).wrapping_mul(0x000F_4240_0000_0064);
    let lower = ((pairs >> 16) & 0x0000_00FF_0000_00FF).wrapping_mul(0x0000_2710_0000_0001);
    Some((upper.wrapping_add(lower) >> 32, count))
}

/// Returns the offset after the number at `at`, by the grammar of RFC 8259, section 6.
pub(super) fn skip_number(text: &[u8], at: usize) -> Option<usize> {
    let start = at + usize::from(text.get(at)? == &b'-');
    let mut end = match text.get(start)? {
        b'0' => start + 1,
        _ => skip_digits(text, start)?,
    };
    if text.get(end)? == &b'.' {
        end = skip_digits(text, end + 1)?;
    }
    if matches!(text.get(end)?, b'e' | b'E') {
        let sign = usize::from(matches!(text.get(end + 1)?, b'+' | b'-'));
        end = skip_digits(text, end + 1 + sign)?;
    }
    Some(end)
}

/// Returns the offset after one or more digits.
fn skip_digits(text: &[u8], at: usize) -> Option<usize> {
    let count = text.get(at..)?.iter().position(|byte| !byte.is_ascii_digit())?;
    (count > 0).then_some(at + count)
}
