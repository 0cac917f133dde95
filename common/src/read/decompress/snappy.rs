//! ② Reads snappy in its own framing, with checksums. `hadoop.rs` reads it in Hadoop's framing.
//!
//! ```text
//! header (kind, 24-bit length) ─► chunk: checksum, snappy ─► header ...
//! ```
//!
//! The framing has no end marker, so an object that was cut between two chunks looks complete.

use std::io::{self, Read};

use snap::read::FrameDecoder;

use crate::read::decompress::parts::{Next, PartReader, Parts, damaged};

/// First chunk of a stream.
const STREAM_IDENTIFIER: &[u8] = b"\xFF\x06\0\0sNaPpY";
const HEADER_BYTES: usize = 4;
/// Maximum number of bytes of a data chunk: a checksum, and 64 KiB of data, which compression can
/// enlarge to 76,490 bytes.
const MAX_FRAME_BYTES: usize = 4 + 76_490;

/// Decompresses a stream of snappy chunks.
#[derive(Default)]
pub(in crate::read) struct Snappy {
    /// Header of the chunk that is read next; `None` if a header is read next.
    header: Option<[u8; HEADER_BYTES]>,
}

impl Snappy {
    pub(in crate::read) fn reader() -> PartReader {
        PartReader::new(Self::default(), HEADER_BYTES)
    }
}

impl Parts for Snappy {
    fn read(&mut self, part: &[u8], text: &mut Vec<u8>) -> io::Result<Next> {
        if let Some(header) = self.header.take() {
            decompress(&header, part, text)?;
            return Ok(Next::of(HEADER_BYTES));
        }
        // The header is one byte of kind and 24 bits of length.
        let [kind, a, b, c] = *part else { return Err(damaged("a header is incomplete")) };
        let bytes = u32::from_le_bytes([a, b, c, 0]);
        let length = usize::try_from(bytes).unwrap_or(usize::MAX);
        match kind {
            // An empty chunk ends at once, because no further input belongs to it.
            0x00 | 0x01 | 0xFF if length == 0 => decompress(part, &[], text)?,
            0x00 | 0x01 | 0xFF if length <= MAX_FRAME_BYTES => {
                self.header = Some([kind, a, b, c]);
                return Ok(Next::of(length));
            }
            // Reserved kinds that a decoder must skip. Such a chunk may have 16 MiB.
            0x80..=0xFE => return Ok(Next { skipped: bytes.into(), bytes: HEADER_BYTES }),
            _ => return Err(damaged("a chunk has a kind or a length that it cannot have")),
        }
        Ok(Next::of(HEADER_BYTES))
    }

    fn may_end(&self) -> bool {
        self.header.is_none()
    }
}

/// Appends the text of a chunk to `text`. The library's decoder expects a stream, so each chunk
/// becomes a stream of its own.
fn decompress(header: &[u8], chunk: &[u8], text: &mut Vec<u8>) -> io::Result<()> {
    let frame = [STREAM_IDENTIFIER, header, chunk].concat();
    FrameDecoder::new(frame.as_slice()).read_to_end(text)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;
    use crate::read::decompress::decompressor::tests::step_through;

    fn framed(text: &[u8]) -> Vec<u8> {
        let mut encoder = snap::write::FrameEncoder::new(Vec::new());
        encoder.write_all(text).unwrap();
        encoder.into_inner().unwrap()
    }

    fn run(bytes: &[u8], at_once: usize, room: usize) -> (Vec<u8>, io::Result<bool>) {
        let mut snappy = Snappy::reader();
        let (text, result) = step_through(|input, output| snappy.step(input, output), bytes, at_once, room);
        (text, result.map(|()| snappy.is_complete()))
    }

    proptest! {
        #[test]
        fn any_steps_give_the_text_and_a_cut_or_a_wrong_byte_never_another(
            text in prop::collection::vec(any::<u8>(), 0..300),
            at_once in 1_usize..50,
            room in 1_usize..50,
            at in any::<prop::sample::Index>(),
        ) {
            let bytes = framed(&text);
            let (found, result) = run(&bytes, at_once, room);
            prop_assert_eq!(&found, &text);
            prop_assert!(result.unwrap());
            if bytes.is_empty() {
                return Ok(());
            }
            let at = at.index(bytes.len());
            let (found, result) = run(&bytes[..at], at_once, room);
            prop_assert!(text.starts_with(&found));
            // A stream that is cut between two chunks looks complete.
            prop_assert!(result.is_ok());
            let mut wrong = bytes.clone();
            wrong[at] ^= 0x11;
            let (found, _) = run(&wrong, at_once, room);
            prop_assert!(text.starts_with(&found), "the checksum notices");
        }
    }

    #[test]
    fn lengths_that_cannot_be_are_errors_and_need_no_memory() {
        for bytes in [
            b"\x00\xFF\xFF\xFF".as_slice(),
            b"\x02\x01\x00\x00a",
            b"\xFF\x06\x00\x00sNaPpX",
            b"\x00\x08\x00\x00\x00\x00\x00\x00\xFF\xFF\xFF\x7F",
        ] {
            assert!(run(bytes, 100, 100).1.is_err(), "{bytes:?}");
        }
    }
}
