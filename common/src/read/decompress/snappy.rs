//! ② Reads snappy in its two framings: its own, with checksums, and Hadoop's, with lengths only.
//!
//! ```text
//! own:     header (kind, 24-bit length) ─► chunk: checksum, snappy ─► header ...
//! Hadoop:  length of a block ─► length of a chunk ─► chunk: snappy ─► ... until the block is complete
//! ```
//!
//! Neither has an end marker, so an object that was cut between two chunks looks complete. Chunks
//! are small (64 KiB in snappy's own framing, 256 KiB by Hadoop's default), so a whole chunk is
//! collected before it is decompressed.

use std::io::{self, Read};

use snap::raw;
use snap::read::FrameDecoder;

use crate::read::decompress::step::{Progress, Step};

/// First chunk of a stream in snappy's own framing.
const STREAM_IDENTIFIER: &[u8] = b"\xFF\x06\0\0sNaPpY";
/// Maximum number of bytes of a data chunk in snappy's own framing: a checksum, and 64 KiB of data,
/// which compression can enlarge to 76,490 bytes.
const MAX_FRAME_BYTES: usize = 4 + 76_490;
/// Maximum number of decompressed bytes of a block in Hadoop's framing; Hadoop's default is 256
/// KiB.
const MAX_BLOCK_BYTES: usize = 64 * 1024 * 1024;

/// Decompresses a stream of snappy chunks.
pub(in crate::read) struct Snappy {
    framing: Framing,
    part: Part,
    /// Bytes of the current part that were read so far.
    gathered: Vec<u8>,
    decompressed: Vec<u8>,
    /// Number of bytes of `decompressed` that were returned.
    given: usize,
}

enum Framing {
    Own,
    /// Hadoop's framing. `block_rest` decompressed bytes of the current block remain.
    Hadoop {
        block_rest: usize,
    },
}

/// The part of the stream that is read next.
enum Part {
    Header,
    /// A chunk, with its header and its length in bytes.
    Chunk([u8; 4], usize),
    Skipped(usize),
}

impl Snappy {
    pub(in crate::read) fn framed() -> Self {
        Self::new(Framing::Own)
    }

    pub(in crate::read) fn of_hadoop() -> Self {
        Self::new(Framing::Hadoop { block_rest: 0 })
    }

    fn new(framing: Framing) -> Self {
        Self { framing, part: Part::Header, gathered: Vec::new(), decompressed: Vec::new(), given: 0 }
    }

    /// Whether the input may end here, because no chunk and no block is incomplete.
    pub(in crate::read) fn is_complete(&self) -> bool {
        let is_between = matches!(self.part, Part::Header) && self.gathered.is_empty();
        is_between && matches!(self.framing, Framing::Own | Framing::Hadoop { block_rest: 0 })
    }

    pub(in crate::read) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        let (mut consumed, mut produced) = (0, 0);
        loop {
            let waiting = &self.decompressed[self.given..];
            let bytes = waiting.len().min(output.len() - produced);
            output[produced..produced + bytes].copy_from_slice(&waiting[..bytes]);
            self.given += bytes;
            produced += bytes;
            // Return all decompressed bytes before the next chunk replaces them.
            if self.given < self.decompressed.len() || consumed == input.len() {
                return Step { consumed, produced, result: Ok(Progress::Inside) };
            }
            match self.take(&input[consumed..]) {
                Ok(taken) => consumed += taken,
                Err(e) => return Step { consumed, produced, result: Err(e) },
            }
        }
    }

    /// Consumes the bytes of the current part, and ends the part if it is complete.
    fn take(&mut self, input: &[u8]) -> io::Result<usize> {
        let wanted = match self.part {
            Part::Header => 4,
            Part::Chunk(_, bytes) => bytes,
            Part::Skipped(bytes) => {
                // Skip the chunk without collecting it, because it may have 16 MiB.
                let taken = bytes.min(input.len());
                self.part = if taken == bytes { Part::Header } else { Part::Skipped(bytes - taken) };
                return Ok(taken);
            }
        };
        let taken = (wanted - self.gathered.len()).min(input.len());
        self.gathered.extend_from_slice(&input[..taken]);
        if self.gathered.len() == wanted {
            let gathered = std::mem::take(&mut self.gathered);
            match self.part {
                Part::Chunk(header, _) => self.end_chunk(header, &gathered)?,
                _ => self.end_header([gathered[0], gathered[1], gathered[2], gathered[3]])?,
            }
        }
        Ok(taken)
    }

    fn end_header(&mut self, header: [u8; 4]) -> io::Result<()> {
        let bytes = match &mut self.framing {
            Framing::Own => {
                // The header is one byte of kind and 24 bits of length.
                let [kind, a, b, c] = header;
                let bytes = usize::try_from(u32::from_le_bytes([a, b, c, 0])).unwrap_or(usize::MAX);
                match kind {
                    0x00 | 0x01 | 0xFF if bytes <= MAX_FRAME_BYTES => bytes,
                    // Reserved kinds that a decoder must skip.
                    0x80..=0xFE => {
                        self.part = if bytes > 0 { Part::Skipped(bytes) } else { Part::Header };
                        return Ok(());
                    }
                    _ => return Err(damaged("a chunk has a kind or a length that it cannot have")),
                }
            }
            Framing::Hadoop { block_rest: block_rest @ 0 } => {
                *block_rest = usize::try_from(u32::from_be_bytes(header)).unwrap_or(usize::MAX);
                if *block_rest > MAX_BLOCK_BYTES {
                    return Err(damaged("a block is longer than 64 MiB"));
                }
                return Ok(());
            }
            Framing::Hadoop { block_rest } => {
                let bytes = usize::try_from(u32::from_be_bytes(header)).unwrap_or(usize::MAX);
                if bytes == 0 || bytes > raw::max_compress_len(*block_rest) {
                    return Err(damaged("a chunk has a length that it cannot have"));
                }
                bytes
            }
        };
        self.part = Part::Chunk(header, bytes);
        // An empty chunk ends at once, because no further input belongs to it.
        if bytes == 0 {
            self.end_chunk(header, &[])?;
        }
        Ok(())
    }

    fn end_chunk(&mut self, header: [u8; 4], chunk: &[u8]) -> io::Result<()> {
        self.part = Part::Header;
        self.decompressed.clear();
        self.given = 0;
        match &mut self.framing {
            Framing::Own => {
                // The library's decoder expects a stream, so each chunk becomes a stream of its
                // own.
                let frame = [STREAM_IDENTIFIER, &header, chunk].concat();
                FrameDecoder::new(frame.as_slice()).read_to_end(&mut self.decompressed)?;
            }
            Framing::Hadoop { block_rest } => {
                let bytes = raw::decompress_len(chunk)?;
                if bytes > *block_rest {
                    return Err(damaged("a chunk is longer than its block"));
                }
                self.decompressed = raw::Decoder::new().decompress_vec(chunk)?;
                // Blocks end when all their decompressed bytes have arrived.
                *block_rest -= bytes;
            }
        }
        Ok(())
    }
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
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

    /// Compresses text as Hadoop does, in blocks of `block_bytes` bytes with two chunks each.
    fn of_hadoop(text: &[u8], block_bytes: usize) -> Vec<u8> {
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_be_bytes();
        let mut bytes = Vec::new();
        for block in text.chunks(block_bytes) {
            bytes.extend(length(block));
            for chunk in block.chunks(block_bytes.div_ceil(2)) {
                let chunk = raw::Encoder::new().compress_vec(chunk).unwrap();
                bytes.extend(length(&chunk));
                bytes.extend(chunk);
            }
        }
        bytes
    }

    fn run(mut snappy: Snappy, bytes: &[u8], at_once: usize, room: usize) -> (Vec<u8>, io::Result<bool>) {
        let (text, result) = step_through(|input, output| snappy.step(input, output), bytes, at_once, room);
        (text, result.map(|()| snappy.is_complete()))
    }

    proptest! {
        #[test]
        fn any_steps_give_the_text_and_a_cut_or_a_wrong_byte_never_another(
            text in prop::collection::vec(any::<u8>(), 0..300),
            at_once in 1_usize..50,
            room in 1_usize..50,
            block_bytes in 1_usize..200,
            at in any::<prop::sample::Index>(),
        ) {
            let hadoop = of_hadoop(&text, block_bytes);
            let own = framed(&text);
            for (new, bytes) in [(Snappy::framed as fn() -> Snappy, &own), (Snappy::of_hadoop, &hadoop)] {
                let (found, result) = run(new(), bytes, at_once, room);
                prop_assert_eq!(&found, &text);
                prop_assert!(result.unwrap());
                let (found, result) = run(new(), &bytes[..at.index(bytes.len().max(1)).min(bytes.len())], at_once, room);
                prop_assert!(text.starts_with(&found));
                // A stream that is cut between two chunks looks complete.
                prop_assert!(result.is_ok());
            }
            if !own.is_empty() {
                let mut wrong = own.clone();
                wrong[at.index(own.len())] ^= 0x11;
                let (found, _) = run(Snappy::framed(), &wrong, at_once, room);
                prop_assert!(text.starts_with(&found), "the checksum notices");
            }
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
            assert!(run(Snappy::framed(), bytes, 100, 100).1.is_err(), "{bytes:?}");
        }
        for bytes in [
            b"\x7F\xFF\xFF\xFF".as_slice(),
            b"\x00\x00\x00\x05\x00\x00\xFF\xFF",
            b"\x00\x00\x00\x05\x00\x00\x00\x00",
            b"\x00\x00\x00\x05\x00\x00\x00\x06\xFF\xFF\xFF\x7F\x00a",
        ] {
            assert!(run(Snappy::of_hadoop(), bytes, 100, 100).1.is_err(), "{bytes:?}");
        }
    }
}
