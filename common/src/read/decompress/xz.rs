//! ② Reads xz streams, with the padding that may follow each of them (section 2.2 of the xz
//! format).

use std::io;

use liblzma::stream::{Action, Status, Stream};

use crate::read::decompress::step::{Progress, Step};

/// Maximum number of bytes of memory that a stream may require; the highest level of `xz` needs 65
/// MiB.
const MEMORY_BYTES: u64 = 128 * 1024 * 1024;
/// Padding is a multiple of this many zero bytes.
const PADDING_UNIT_BYTES: usize = 4;

/// Decompresses a sequence of xz streams.
pub(in crate::read) struct Xz {
    stream: Stream,
    /// Whether a stream has ended and the next one has not started, so that zero bytes are padding.
    may_be_padding: bool,
    /// Number of zero bytes of padding that were read, modulo [`PADDING_UNIT_BYTES`].
    padding: usize,
}

impl Xz {
    /// Returns a decompressor that has read no bytes yet.
    ///
    /// # Errors
    /// There is not enough memory.
    pub(in crate::read) fn new() -> io::Result<Self> {
        Ok(Self { stream: new_stream()?, may_be_padding: false, padding: 0 })
    }

    pub(in crate::read) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        let skipped = if self.may_be_padding { input.iter().take_while(|byte| **byte == 0).count() } else { 0 };
        self.padding = (self.padding + skipped) % PADDING_UNIT_BYTES;
        if skipped == input.len() && self.may_be_padding {
            let is_complete = self.padding == 0;
            let progress = if is_complete { Progress::EndOfMember } else { Progress::Inside };
            return Step { consumed: skipped, produced: 0, result: Ok(progress) };
        }
        // Bytes follow the padding, so they must be another stream.
        if self.padding != 0 {
            let error = io::Error::new(io::ErrorKind::InvalidData, "its padding is not a multiple of four bytes");
            return Step { consumed: skipped, produced: 0, result: Err(error) };
        }
        self.may_be_padding = false;
        let (consumed, produced) = (self.stream.total_in(), self.stream.total_out());
        let status = self.stream.process(&input[skipped..], output, Action::Run);
        // Both counts are at most the lengths of the slices.
        let consumed = usize::try_from(self.stream.total_in() - consumed).unwrap_or(usize::MAX);
        let produced = usize::try_from(self.stream.total_out() - produced).unwrap_or(usize::MAX);
        let result = match status {
            Ok(Status::StreamEnd) => new_stream().map(|stream| {
                (self.stream, self.may_be_padding) = (stream, true);
                Progress::EndOfMember
            }),
            // This includes a request for more input or for more room in `output`.
            Ok(_) => Ok(Progress::Inside),
            Err(e) => Err(e.into()),
        };
        Step { consumed: skipped + consumed, produced, result }
    }
}

fn new_stream() -> io::Result<Stream> {
    Ok(Stream::new_stream_decoder(MEMORY_BYTES, 0)?)
}
