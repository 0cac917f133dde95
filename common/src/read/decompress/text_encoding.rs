//! ② Decodes text to UTF-8, in chunks of any size: UTF-16 and UTF-32, or an encoding that the source
//! declares.
//!
//! After this step, offsets and lines refer to the decoded text, without its byte order mark. A
//! unit that is not a character (half of a surrogate pair, a number that is too high, a character
//! that is cut by the end of the object) becomes a byte that is not UTF-8, so that its record is
//! rejected instead of changed.

use crate::read::content::Encoding;

/// Byte that replaces a unit that is not a character.
const INVALID: u8 = 0xFF;
const BYTE_ORDER_MARK: char = '\u{FEFF}';

/// Decodes chunks of one text in an encoding of the WHATWG, such as Latin-1. A byte order mark at the
/// start of the text overrides the encoding.
pub(in crate::read) struct NamedDecoder(encoding_rs::Decoder);

impl NamedDecoder {
    pub(in crate::read) fn new(encoding: &'static encoding_rs::Encoding) -> Self {
        Self(encoding.new_decoder())
    }

    /// Returns the text of the next chunk in UTF-8. A character that continues in the following
    /// chunk is returned with that chunk. `is_last` ends the text.
    pub(in crate::read) fn decode(&mut self, mut chunk: &[u8], is_last: bool) -> Vec<u8> {
        let mut text = String::new();
        let mut decoded = Vec::new();
        loop {
            text.reserve(self.0.max_utf8_buffer_length_without_replacement(chunk.len()).unwrap_or(chunk.len() + 16));
            let (result, read) = self.0.decode_to_string_without_replacement(chunk, &mut text, is_last);
            chunk = &chunk[read..];
            decoded.append(&mut std::mem::take(&mut text).into_bytes());
            match result {
                encoding_rs::DecoderResult::InputEmpty => return decoded,
                encoding_rs::DecoderResult::OutputFull => {}
                encoding_rs::DecoderResult::Malformed(..) => decoded.push(INVALID),
            }
        }
    }
}

/// Decodes chunks of one text in UTF-16 or UTF-32.
#[derive(Debug)]
pub(in crate::read) struct TextDecoder {
    encoding: Encoding,
    /// First bytes of a code unit (2 or 4 bytes) that continues in the next chunk.
    cut: Vec<u8>,
    /// First half of a surrogate pair whose second half has not arrived.
    half: Option<u16>,
    is_at_start: bool,
}

impl TextDecoder {
    pub(in crate::read) fn new(encoding: Encoding) -> Self {
        Self { encoding, cut: Vec::new(), half: None, is_at_start: true }
    }

    /// Returns the text of the next chunk in UTF-8. A character that continues in the following
    /// chunk is returned with that chunk.
    pub(in crate::read) fn decode(&mut self, chunk: &[u8]) -> Vec<u8> {
        // ASCII text in UTF-16 shrinks to half. For other text the vector grows.
        let mut text = Vec::with_capacity(chunk.len() / 2 + 4);
        let (bytes, is_big_endian) = match self.encoding {
            Encoding::Utf8 => return chunk.to_vec(),
            Encoding::Utf16 { is_big_endian } => (2, is_big_endian),
            Encoding::Utf32 { is_big_endian } => (4, is_big_endian),
        };
        let mut rest = chunk;
        if !self.cut.is_empty() {
            // Complete the unit that started in the last chunk.
            let missing = (bytes - self.cut.len()).min(rest.len());
            self.cut.extend_from_slice(&rest[..missing]);
            rest = &rest[missing..];
            if self.cut.len() < bytes {
                return text;
            }
            let unit = unit(&self.cut, is_big_endian);
            self.cut.clear();
            self.push(unit, &mut text);
        }
        let units = rest.chunks_exact(bytes);
        self.cut.extend_from_slice(units.remainder());
        for bytes in units {
            self.push(unit(bytes, is_big_endian), &mut text);
        }
        text
    }

    /// Ends the text. Returns an invalid byte if the text ends inside a character.
    pub(in crate::read) fn finish(&mut self) -> Vec<u8> {
        let is_cut = self.half.take().is_some() | !self.cut.is_empty();
        self.cut.clear();
        if is_cut { vec![INVALID] } else { Vec::new() }
    }

    fn push(&mut self, unit: u32, text: &mut Vec<u8>) {
        let is_utf16 = matches!(self.encoding, Encoding::Utf16 { .. });
        let unit = match (self.half.take(), u16::try_from(unit)) {
            (None, Ok(first @ 0xD800..=0xDBFF)) if is_utf16 => {
                self.half = Some(first);
                return;
            }
            (Some(first), Ok(second @ 0xDC00..=0xDFFF)) => {
                0x1_0000 + (u32::from(first - 0xD800) << 10) + u32::from(second - 0xDC00)
            }
            // Two first halves in a row: the previous one has no second half, and this one may
            // still get one.
            (Some(_), Ok(first @ 0xD800..=0xDBFF)) => {
                text.push(INVALID);
                self.half = Some(first);
                return;
            }
            (Some(_), _) => {
                // The previous half has no second half, but this unit is a complete character.
                text.push(INVALID);
                unit
            }
            (None, _) => unit,
        };
        let is_first = std::mem::take(&mut self.is_at_start);
        match char::from_u32(unit) {
            // At the start of the text this is a byte order mark. Anywhere else it is a character.
            Some(BYTE_ORDER_MARK) if is_first => {}
            Some(character) => text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            None => text.push(INVALID),
        }
    }
}

/// Returns the number that `bytes`, a code unit of 2 or 4 bytes, encode.
fn unit(bytes: &[u8], is_big_endian: bool) -> u32 {
    let add = |number: u32, byte: &u8| number << 8 | u32::from(*byte);
    if is_big_endian { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(encoding: Encoding, bytes: &[u8], at_once: usize) -> Vec<u8> {
        let mut decoder = TextDecoder::new(encoding);
        let mut text: Vec<u8> = bytes.chunks(at_once).flat_map(|chunk| decoder.decode(chunk)).collect();
        text.extend(decoder.finish());
        text
    }

    fn utf16(text: &str, is_big_endian: bool) -> Vec<u8> {
        let bytes = |unit: u16| if is_big_endian { unit.to_be_bytes() } else { unit.to_le_bytes() };
        text.encode_utf16().flat_map(bytes).collect()
    }

    fn utf32(text: &str, is_big_endian: bool) -> Vec<u8> {
        let bytes = |c: char| if is_big_endian { u32::from(c).to_be_bytes() } else { u32::from(c).to_le_bytes() };
        text.chars().flat_map(bytes).collect()
    }

    proptest! {
        #[test]
        fn any_text_in_any_chunks_is_decoded(text in any::<String>(), at_once in 1_usize..9, mark in any::<bool>()) {
            let text = text.trim_start_matches(BYTE_ORDER_MARK);
            let written = if mark { format!("{BYTE_ORDER_MARK}{text}") } else { text.to_owned() };
            for is_big_endian in [true, false] {
                let wide = utf16(&written, is_big_endian);
                prop_assert_eq!(decoded(Encoding::Utf16 { is_big_endian }, &wide, at_once), text.as_bytes());
                let wide = utf32(&written, is_big_endian);
                prop_assert_eq!(decoded(Encoding::Utf32 { is_big_endian }, &wide, at_once), text.as_bytes());
            }
        }

        #[test]
        fn any_bytes_are_decoded_alike_in_any_chunks(bytes in prop::collection::vec(any::<u8>(), 0..40), at_once in 1_usize..9) {
            for encoding in [Encoding::Utf16 { is_big_endian: true }, Encoding::Utf32 { is_big_endian: false }] {
                prop_assert_eq!(decoded(encoding, &bytes, at_once), decoded(encoding, &bytes, 1000));
            }
        }
    }

    #[test]
    fn a_declared_encoding_is_decoded_in_any_chunks() {
        for (label, bytes, expected) in [
            ("latin1", &b"Zo\xEB M\xFCller"[..], "Zoë Müller".as_bytes()),
            ("shift_jis", b"\x93\xFA\x96{", "日本".as_bytes()),
            ("utf-8", "日本".as_bytes(), "日本".as_bytes()),
            // A byte order mark overrides the encoding.
            ("latin1", b"\xEF\xBB\xBF\xC3\xAB", "ë".as_bytes()),
            ("latin1", b"\xFF\xFE\xEB\0", "ë".as_bytes()),
            // A cut or wrong character is not UTF-8.
            ("shift_jis", b"a\x93", b"a\xFF"),
            ("shift_jis", b"\x93\x20a", b"\xFF\x20a"),
        ] {
            for at_once in 1..5 {
                let mut decoder = NamedDecoder::new(encoding_rs::Encoding::for_label(label.as_bytes()).unwrap());
                let mut text: Vec<u8> = bytes.chunks(at_once).flat_map(|chunk| decoder.decode(chunk, false)).collect();
                text.extend(decoder.decode(&[], true));
                assert_eq!(text, expected, "{label}, {at_once} at once");
            }
        }
    }

    #[test]
    fn what_is_no_character_is_not_utf8() {
        let utf16 = Encoding::Utf16 { is_big_endian: true };
        for bytes in [
            &[0xD8, 0, 0, b'a'][..],
            &[0xDC, 0, 0, b'a'],
            &[0xD8, 0, 0xD8, 0, 0xDC, 0],
            &[0, b'a', 0xD8, 0],
            &[0, b'a', 0],
        ] {
            assert!(std::str::from_utf8(&decoded(utf16, bytes, 1)).is_err(), "{bytes:?}");
        }
        let utf32 = Encoding::Utf32 { is_big_endian: true };
        for bytes in [[0, 0, 0xD8, 0], [0, 0x11, 0, 0]] {
            assert!(std::str::from_utf8(&decoded(utf32, &bytes, 4)).is_err(), "{bytes:?}");
        }
    }
}
