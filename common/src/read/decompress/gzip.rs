//! ② Reads gzip members (RFC 1952): header, deflate stream, checksum and length.
//!
//! ```text
//! Fixed ─► [Extra] ─► [name] ─► [comment] ─► [HeaderChecksum] ─► Body ─► Trailer ─► Fixed or Padding
//! ```
//!
//! Header and trailer are parsed here because the inflate library computes the checksum slowly, and
//! because this distinguishes a member that ends early from one that is damaged.

use std::io;

use crc32fast::Hasher;
use flate2::{Decompress, FlushDecompress, Status};

use crate::read::decompress::step::{Progress, Step};

const MAGIC: [u8; 2] = [0x1F, 0x8B];
const DEFLATE: u8 = 8;
/// Length of the fixed part of the header: magic, method, flags, time, extra flags, system.
const FIXED_BYTES: u8 = 10;
const HEADER_CHECKSUM_BYTES: u8 = 2;
const CHECKSUM_AND_LENGTH_BYTES: usize = 8;

/// Bits of the flags in the header (RFC 1952, section 2.3.1).
const HAS_HEADER_CHECKSUM: u8 = 1 << 1;
const HAS_EXTRA: u8 = 1 << 2;
const HAS_NAME: u8 = 1 << 3;
const HAS_COMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0b1110_0000;

/// Decompresses a sequence of gzip members.
pub(in crate::read) struct Gzip {
    part: Part,
    /// Whether at least one member was read to its end.
    has_member: bool,
    /// Flags of the current header. A flag is cleared when its part of the header starts.
    flags: u8,
    inflate: Decompress,
    checksum: Hasher,
    /// Length of the member's decompressed bytes modulo 2^32, as in the trailer.
    length: u32,
}

/// The part of a member that is read next.
enum Part {
    /// The fixed part of the header, with the number of its bytes that were read.
    Fixed(u8),
    /// The two bytes of the length of the extra field, with the low byte once it was read.
    ExtraLength(Option<u8>),
    /// The extra field, with the number of its bytes that remain.
    Extra(u16),
    /// A file name or a comment, which ends with a zero byte.
    Text,
    /// The checksum of the header, with the number of its bytes that remain.
    HeaderChecksum(u8),
    Body,
    /// The trailer, which contains the checksum and the length of the decompressed bytes. The
    /// vector contains the bytes of the trailer that were read.
    Trailer(Vec<u8>),
    /// Zeros after the last member. Tapes and block devices add them, and gzip(1) ignores them.
    Padding,
}

impl Default for Gzip {
    fn default() -> Self {
        Self {
            part: Part::Fixed(0),
            has_member: false,
            flags: 0,
            inflate: Decompress::new(false),
            checksum: Hasher::new(),
            length: 0,
        }
    }
}

impl Gzip {
    pub(in crate::read) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        let mut consumed = 0;
        // A member never starts with a zero byte, so the byte is padding.
        if self.has_member && matches!(self.part, Part::Fixed(0)) && input.first() == Some(&0) {
            self.part = Part::Padding;
        }
        if matches!(self.part, Part::Padding) {
            consumed = input.iter().take_while(|byte| **byte == 0).count();
            let is_padding = consumed == input.len();
            let result = if is_padding { Ok(Progress::EndOfMember) } else { Err(damaged("there is no gzip header")) };
            return Step { consumed, produced: 0, result };
        }
        // The header and the trailer are short, so read them byte by byte.
        while !matches!(self.part, Part::Body) {
            let Some(byte) = input.get(consumed) else { break };
            consumed += 1;
            match self.pass(*byte) {
                Ok(Progress::Inside) => {}
                result => return Step { consumed, produced: 0, result },
            }
        }
        if !matches!(self.part, Part::Body) {
            return Step { consumed, produced: 0, result: Ok(Progress::Inside) };
        }
        let (body_consumed, produced, result) = self.inflate(&input[consumed..], output);
        Step { consumed: consumed + body_consumed, produced, result }
    }

    fn inflate(&mut self, input: &[u8], output: &mut [u8]) -> (usize, usize, io::Result<Progress>) {
        let (consumed, produced) = (self.inflate.total_in(), self.inflate.total_out());
        let status = self.inflate.decompress(input, output, FlushDecompress::None);
        // Both counts are at most the lengths of the slices.
        let consumed = usize::try_from(self.inflate.total_in() - consumed).unwrap_or(usize::MAX);
        let produced = usize::try_from(self.inflate.total_out() - produced).unwrap_or(usize::MAX);
        // The bytes before an error are valid, so they count in any case.
        self.checksum.update(&output[..produced]);
        #[expect(clippy::cast_possible_truncation, reason = "the trailer has the length modulo 2^32")]
        let length = produced as u32;
        self.length = self.length.wrapping_add(length);
        if matches!(status, Ok(Status::StreamEnd)) {
            self.part = Part::Trailer(Vec::with_capacity(CHECKSUM_AND_LENGTH_BYTES));
        }
        (consumed, produced, status.map(|_| Progress::Inside).map_err(Into::into))
    }

    /// Reads one byte of the header or the trailer.
    fn pass(&mut self, byte: u8) -> io::Result<Progress> {
        match &mut self.part {
            Part::Fixed(at) => {
                let is_right = match *at {
                    0 | 1 => byte == MAGIC[usize::from(*at)],
                    2 => byte == DEFLATE,
                    3 => byte & RESERVED == 0,
                    _ => true,
                };
                if !is_right {
                    return Err(damaged("there is no gzip header"));
                }
                if *at == 3 {
                    self.flags = byte;
                }
                *at += 1;
                if *at == FIXED_BYTES {
                    self.next_part();
                }
            }
            Part::ExtraLength(low @ None) => *low = Some(byte),
            Part::ExtraLength(Some(low)) => match u16::from_le_bytes([*low, byte]) {
                0 => self.next_part(),
                length => self.part = Part::Extra(length),
            },
            Part::Extra(left) => {
                *left -= 1;
                if *left == 0 {
                    self.next_part();
                }
            }
            // The text of a name or a comment ends with a zero byte.
            Part::Text if byte == 0 => self.next_part(),
            Part::HeaderChecksum(left) => {
                *left -= 1;
                if *left == 0 {
                    self.next_part();
                }
            }
            Part::Trailer(bytes) => {
                bytes.push(byte);
                if bytes.len() == CHECKSUM_AND_LENGTH_BYTES {
                    return self.end_member();
                }
            }
            Part::Text | Part::Body | Part::Padding => {}
        }
        Ok(Progress::Inside)
    }

    /// Moves to the next part of the header that the flags announce, or to the body.
    fn next_part(&mut self) {
        for (flag, part) in [
            (HAS_EXTRA, Part::ExtraLength(None)),
            // The order of the header's parts is fixed by the format.
            (HAS_NAME, Part::Text),
            (HAS_COMMENT, Part::Text),
            (HAS_HEADER_CHECKSUM, Part::HeaderChecksum(HEADER_CHECKSUM_BYTES)),
        ] {
            if self.flags & flag != 0 {
                // Clear the flag, so that the next call finds the part after this one.
                self.flags &= !flag;
                self.part = part;
                return;
            }
        }
        self.part = Part::Body;
    }

    fn end_member(&mut self) -> io::Result<Progress> {
        let Part::Trailer(trailer) = std::mem::replace(&mut self.part, Part::Fixed(0)) else {
            return Ok(Progress::Inside);
        };
        let checksum = std::mem::take(&mut self.checksum).finalize();
        let length = std::mem::take(&mut self.length);
        // `false` means deflate without a zlib header.
        self.inflate.reset(false);
        self.has_member = true;
        if trailer[..4] != checksum.to_le_bytes() {
            return Err(damaged("its checksum is wrong"));
        }
        if trailer[4..] != length.to_le_bytes() {
            return Err(damaged("its length is wrong"));
        }
        Ok(Progress::EndOfMember)
    }
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
