//! ② Reads snappy and lz4 in the framing of Hadoop, which Spark and Amazon Data Firehose write.
//!
//! ```text
//! length of a block ─► length of a chunk ─► chunk: snappy or lz4 ─► ... until the block is complete
//! ```
//!
//! The length of a block is the length of its text. The framing has no checksums and no end marker,
//! so an object that was cut between two blocks looks complete. Chunks have at most 256 KiB of text
//! by Hadoop's default.

use std::io;

use crate::read::decompress::lz4;
use crate::read::decompress::parts::{Next, PartReader, Parts, damaged};

const LENGTH_BYTES: usize = 4;
/// Maximum number of decompressed bytes of a block; Hadoop's default is 256 KiB.
const MAX_BLOCK_BYTES: usize = 64 * 1024 * 1024;

/// Decompresses a stream of blocks.
pub(in crate::read) struct Hadoop {
    method: Method,
    /// Number of decompressed bytes of the current block that remain.
    block_rest: usize,
    /// Whether a chunk is read next, not a length.
    expects_chunk: bool,
}

/// Compression of the chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::read) enum Method {
    Snappy,
    Lz4,
}

impl Hadoop {
    pub(in crate::read) fn reader(method: Method) -> PartReader {
        PartReader::new(Self { method, block_rest: 0, expects_chunk: false }, LENGTH_BYTES)
    }
}

impl Parts for Hadoop {
    fn read(&mut self, part: &[u8], text: &mut Vec<u8>) -> io::Result<Next> {
        if self.expects_chunk {
            self.method.decompress(part, self.block_rest, text)?;
            // Blocks end when all their decompressed bytes have arrived.
            self.block_rest -= text.len();
            self.expects_chunk = false;
            return Ok(Next::of(LENGTH_BYTES));
        }
        let [a, b, c, d] = *part else { return Err(damaged("a length is incomplete")) };
        let bytes = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        if self.block_rest == 0 {
            if bytes > MAX_BLOCK_BYTES {
                return Err(damaged("a block is longer than 64 MiB"));
            }
            self.block_rest = bytes;
            return Ok(Next::of(LENGTH_BYTES));
        }
        if bytes == 0 || bytes > self.method.max_chunk_bytes(self.block_rest) {
            return Err(damaged("a chunk has an invalid length"));
        }
        self.expects_chunk = true;
        Ok(Next::of(bytes))
    }

    fn may_end(&self) -> bool {
        self.block_rest == 0
    }
}

impl Method {
    /// Returns the maximum number of bytes of a chunk with `text_bytes` bytes of text.
    fn max_chunk_bytes(self, text_bytes: usize) -> usize {
        match self {
            Self::Snappy => snap::raw::max_compress_len(text_bytes),
            Self::Lz4 => lz4::max_block_bytes(text_bytes),
        }
    }

    /// Replaces `text` by the text of a chunk. It must have at most `block_rest` bytes.
    fn decompress(self, chunk: &[u8], block_rest: usize, text: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::Snappy if snap::raw::decompress_len(chunk)? > block_rest => {
                Err(damaged("a chunk is longer than its block"))
            }
            Self::Snappy => {
                text.extend(snap::raw::Decoder::new().decompress_vec(chunk)?);
                Ok(())
            }
            Self::Lz4 => lz4::decompress(chunk, block_rest, &[], text),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::read::decompress::decompressor::tests::step_through;

    const METHODS: [Method; 2] = [Method::Snappy, Method::Lz4];

    fn compress(method: Method, text: &[u8]) -> Vec<u8> {
        match method {
            Method::Snappy => snap::raw::Encoder::new().compress_vec(text).unwrap(),
            Method::Lz4 => lz4_flex::block::compress(text),
        }
    }

    /// Compresses text as Hadoop does, in blocks of `block_bytes` bytes with two chunks each. Also
    /// returns the offsets between blocks.
    fn of_hadoop(method: Method, text: &[u8], block_bytes: usize) -> (Vec<u8>, Vec<usize>) {
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_be_bytes();
        let (mut bytes, mut ends) = (Vec::new(), vec![0]);
        for block in text.chunks(block_bytes) {
            bytes.extend(length(block));
            for chunk in block.chunks(block_bytes.div_ceil(2)) {
                let chunk = compress(method, chunk);
                bytes.extend(length(&chunk));
                bytes.extend(chunk);
            }
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    fn run(method: Method, bytes: &[u8], at_once: usize, room: usize) -> (Vec<u8>, io::Result<bool>) {
        let mut hadoop = Hadoop::reader(method);
        let (text, result) = step_through(|input, output| hadoop.step(input, output), bytes, at_once, room);
        (text, result.map(|()| hadoop.is_complete()))
    }

    proptest! {
        #[test]
        fn any_steps_give_the_text_and_a_cut_never_another(
            text in prop::collection::vec(any::<u8>(), 0..300),
            at_once in 1_usize..50,
            room in 1_usize..50,
            block_bytes in 1_usize..200,
            at in any::<prop::sample::Index>(),
        ) {
            for method in METHODS {
                let (bytes, ends) = of_hadoop(method, &text, block_bytes);
                let (found, result) = run(method, &bytes, at_once, room);
                prop_assert_eq!(&found, &text);
                prop_assert!(result.unwrap());
                let cut = at.index(bytes.len() + 1);
                let (found, result) = run(method, &bytes[..cut], at_once, room);
                prop_assert!(text.starts_with(&found));
                // Only a stream that is cut between two blocks looks complete.
                prop_assert_eq!(result.unwrap(), ends.contains(&cut));
            }
        }
    }

    #[test]
    fn lengths_that_cannot_be_are_errors_and_need_no_memory() {
        for (methods, bytes) in [
            (&METHODS[..], b"\x7F\xFF\xFF\xFF".as_slice()),
            (&METHODS, b"\x00\x00\x00\x05\x00\x00\xFF\xFF"),
            (&METHODS, b"\x00\x00\x00\x05\x00\x00\x00\x00"),
            (&[Method::Snappy], b"\x00\x00\x00\x05\x00\x00\x00\x06\xFF\xFF\xFF\x7F\x00a"),
            // A literal of six bytes.
            (&[Method::Lz4], b"\x00\x00\x00\x05\x00\x00\x00\x07\x60abcdef"),
            // A copy to a distance without text.
            (&[Method::Lz4], b"\x00\x00\x00\x05\x00\x00\x00\x04\x10a\x02\x00"),
        ] {
            for method in methods {
                assert!(run(*method, bytes, 100, 100).1.is_err(), "{method:?}: {bytes:?}");
            }
        }
    }
}
