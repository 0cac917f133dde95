//! ② Reads lz4 frames, as the format's page says
//! (<https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md>).
//!
//! ```text
//! frame:     magic ─► flags ─► descriptor ─► length ─► block ─► length ─► ... ─► 0 ─► [checksum] ─► magic ...
//! legacy:    magic ─► length ─► block ─► length ─► block ─► ... ─► magic, or the end
//! skippable: magic ─► length ─► bytes to skip ─► magic ...
//! ```
//!
//! The library's frame reader accepts a frame that was cut between two blocks. So only its block
//! decompressor is used. A legacy frame has no end marker and no checksums.

use std::hash::Hasher;
use std::io;
use std::ops::RangeInclusive;

use lz4_flex::block::DecompressError;
use twox_hash::XxHash32;

use crate::read::decompress::parts::{Next, PartReader, Parts, damaged};

const MAGIC: u32 = 0x184D_2204;
const LEGACY_MAGIC: u32 = 0x184C_2102;
const SKIPPABLE_MAGIC: RangeInclusive<u32> = 0x184D_2A50..=0x184D_2A5F;
/// Length of a magic number, of a length and of a checksum.
const NUMBER_BYTES: usize = 4;

/// Bits of the flags.
const VERSION: u8 = 0b1100_0000;
const VERSION_1: u8 = 0b0100_0000;
const HAS_INDEPENDENT_BLOCKS: u8 = 1 << 5;
const HAS_BLOCK_CHECKSUMS: u8 = 1 << 4;
const HAS_LENGTH: u8 = 1 << 3;
const HAS_CHECKSUM: u8 = 1 << 2;
const RESERVED: u8 = 1 << 1;
const HAS_DICTIONARY: u8 = 1;
/// Bit of a block's length that is set if the block is stored without compression.
const IS_STORED: u32 = 1 << 31;

/// Number of decompressed bytes to which a block can refer.
const WINDOW_BYTES: usize = 64 * 1024;
/// Number of decompressed bytes of a block in a legacy frame; the last one has fewer.
const LEGACY_BLOCK_BYTES: usize = 8 * 1024 * 1024;
/// Maximum ratio of decompressed to compressed bytes of a block.
const MAX_RATIO: usize = 255;
/// Ratio that most blocks of JSON do not exceed.
const USUAL_RATIO: usize = 8;

/// Decompresses a sequence of frames.
pub(in crate::read) struct Lz4 {
    part: Part,
    frame: Frame,
}

/// The part that is read next.
#[derive(Debug, Clone, Copy)]
enum Part {
    Magic,
    SkippableLength,
    Flags,
    /// The remainder of the frame's header, after these flags.
    Descriptor([u8; 2]),
    /// The length of a block, or the end mark.
    Length,
    Block {
        is_stored: bool,
    },
    Checksum,
    /// The length of a block in a legacy frame, or the magic number of the next frame.
    LegacyLength,
    LegacyBlock,
}

/// Properties and state of the current frame.
#[derive(Default)]
struct Frame {
    /// Maximum number of bytes of a block, compressed or not.
    block_bytes: usize,
    /// The last decompressed bytes, if blocks refer to blocks before them.
    window: Option<Vec<u8>>,
    has_block_checksums: bool,
    /// Hasher of the decompressed bytes, if the frame ends with their checksum.
    checksum: Option<XxHash32>,
    /// Number of decompressed bytes that remain, if the header says how many there are.
    rest: Option<u64>,
}

impl Lz4 {
    pub(in crate::read) fn reader() -> PartReader {
        PartReader::new(Self { part: Part::Magic, frame: Frame::default() }, NUMBER_BYTES)
    }

    /// Makes `part` the next part.
    fn go_to(&mut self, part: Part, bytes: usize) -> Next {
        self.part = part;
        Next::of(bytes)
    }

    fn start_frame(&mut self, magic: u32) -> io::Result<Next> {
        match magic {
            MAGIC => Ok(self.go_to(Part::Flags, 2)),
            LEGACY_MAGIC => Ok(self.go_to(Part::LegacyLength, NUMBER_BYTES)),
            _ if SKIPPABLE_MAGIC.contains(&magic) => Ok(self.go_to(Part::SkippableLength, NUMBER_BYTES)),
            _ => Err(damaged("there is no lz4 frame")),
        }
    }

    fn start_block(&mut self, number: u32) -> io::Result<Next> {
        if number == 0 {
            if self.frame.rest.is_some_and(|rest| rest > 0) {
                return Err(damaged("a frame is shorter than its header says"));
            }
            let next = if self.frame.checksum.is_some() { Part::Checksum } else { Part::Magic };
            return Ok(self.go_to(next, NUMBER_BYTES));
        }
        let is_stored = number & IS_STORED != 0;
        let bytes = usize::try_from(number & !IS_STORED).unwrap_or(usize::MAX);
        if bytes > self.frame.block_bytes {
            return Err(damaged("a block has an invalid length"));
        }
        let bytes = bytes + if self.frame.has_block_checksums { NUMBER_BYTES } else { 0 };
        // Nothing follows the length of an empty block.
        let part = if bytes > 0 { Part::Block { is_stored } } else { Part::Length };
        Ok(self.go_to(part, if bytes > 0 { bytes } else { NUMBER_BYTES }))
    }

    fn start_legacy_block(&mut self, number: u32) -> io::Result<Next> {
        let bytes = usize::try_from(number).unwrap_or(usize::MAX);
        match bytes {
            0 => Err(damaged("a block has an invalid length")),
            // Magic numbers are larger than the length of any block.
            _ if bytes > max_block_bytes(LEGACY_BLOCK_BYTES) => self.start_frame(number),
            _ => Ok(self.go_to(Part::LegacyBlock, bytes)),
        }
    }
}

impl Parts for Lz4 {
    fn read(&mut self, part: &[u8], text: &mut Vec<u8>) -> io::Result<Next> {
        match self.part {
            Part::Magic => self.start_frame(number(part)),
            Part::SkippableLength => {
                self.part = Part::Magic;
                Ok(Next { skipped: number(part).into(), bytes: NUMBER_BYTES })
            }
            Part::Flags => {
                let [flags, block] = *part else { return Err(damaged("a header is incomplete")) };
                // The header of another version may have another length.
                if flags & VERSION != VERSION_1 {
                    return Err(damaged("a frame has a version other than 1"));
                }
                let length = if flags & HAS_LENGTH != 0 { 8 } else { 0 };
                let dictionary = if flags & HAS_DICTIONARY != 0 { 4 } else { 0 };
                Ok(self.go_to(Part::Descriptor([flags, block]), length + dictionary + 1))
            }
            Part::Descriptor(flags) => {
                self.frame = Frame::of_header(flags, part)?;
                Ok(self.go_to(Part::Length, NUMBER_BYTES))
            }
            Part::Length => self.start_block(number(part)),
            Part::Block { is_stored } => {
                self.frame.read_block(part, is_stored, text)?;
                Ok(self.go_to(Part::Length, NUMBER_BYTES))
            }
            Part::Checksum => match &self.frame.checksum {
                Some(checksum) if checksum.finish_32() != number(part) => Err(damaged("its checksum is wrong")),
                _ => Ok(self.go_to(Part::Magic, NUMBER_BYTES)),
            },
            Part::LegacyLength => self.start_legacy_block(number(part)),
            Part::LegacyBlock => {
                decompress(part, LEGACY_BLOCK_BYTES, &[], text)?;
                Ok(self.go_to(Part::LegacyLength, NUMBER_BYTES))
            }
        }
    }

    fn may_end(&self) -> bool {
        matches!(self.part, Part::Magic | Part::LegacyLength)
    }
}

impl Frame {
    /// Reads a frame's header: `flags`, and the `descriptor` after them.
    fn of_header([flags, block]: [u8; 2], descriptor: &[u8]) -> io::Result<Self> {
        let Some((checksum, fields)) = descriptor.split_last() else {
            return Err(damaged("a header is incomplete"));
        };
        // The checksum of the header is the second byte of a longer one.
        if XxHash32::oneshot(0, &[&[flags, block], fields].concat()).to_le_bytes()[1] != *checksum {
            return Err(damaged("the checksum of a header is wrong"));
        }
        let block_bytes = match block {
            0x40 => 64 * 1024,
            0x50 => 256 * 1024,
            0x60 => 1024 * 1024,
            0x70 => 4 * 1024 * 1024,
            _ => return Err(damaged("a frame has an invalid block size")),
        };
        if flags & RESERVED != 0 {
            return Err(damaged("a frame has reserved flags"));
        }
        if flags & HAS_DICTIONARY != 0 {
            let what = "it is compressed by lz4 with a dictionary, which is not supported";
            return Err(io::Error::new(io::ErrorKind::Unsupported, what));
        }
        Ok(Self {
            block_bytes,
            window: (flags & HAS_INDEPENDENT_BLOCKS == 0).then(Vec::new),
            has_block_checksums: flags & HAS_BLOCK_CHECKSUMS != 0,
            checksum: (flags & HAS_CHECKSUM != 0).then(|| XxHash32::with_seed(0)),
            rest: match *fields {
                [a, b, c, d, e, f, g, h] => Some(u64::from_le_bytes([a, b, c, d, e, f, g, h])),
                _ => None,
            },
        })
    }

    /// Reads a block with its checksum, and replaces `text` by its text.
    fn read_block(&mut self, block: &[u8], is_stored: bool, text: &mut Vec<u8>) -> io::Result<()> {
        let checksum_bytes = if self.has_block_checksums { NUMBER_BYTES } else { 0 };
        let (block, checksum) = block.split_at(block.len().saturating_sub(checksum_bytes));
        if self.has_block_checksums && XxHash32::oneshot(0, block) != number(checksum) {
            return Err(damaged("the checksum of a block is wrong"));
        }
        if is_stored {
            text.extend_from_slice(block);
        } else {
            decompress(block, self.block_bytes, self.window.as_deref().unwrap_or_default(), text)?;
        }
        if let Some(rest) = &mut self.rest {
            *rest =
                rest.checked_sub(text.len() as u64).ok_or_else(|| damaged("a frame is longer than its header says"))?;
        }
        if let Some(checksum) = &mut self.checksum {
            checksum.write(text);
        }
        if let Some(window) = &mut self.window {
            // Move the window only from time to time, because blocks can be short.
            if window.len() + text.len() > 2 * WINDOW_BYTES {
                let kept = WINDOW_BYTES.saturating_sub(text.len());
                window.drain(..window.len().saturating_sub(kept));
            }
            window.extend_from_slice(&text[text.len().saturating_sub(WINDOW_BYTES)..]);
        }
        Ok(())
    }
}

/// Returns the maximum number of bytes of a block with `text_bytes` bytes of text.
pub(in crate::read) fn max_block_bytes(text_bytes: usize) -> usize {
    text_bytes + text_bytes / 255 + 16
}

/// Replaces `text` by the text of a block. It must have at most `max_bytes` bytes. It may refer to the
/// text before it, whose end is `window`.
pub(in crate::read) fn decompress(block: &[u8], max_bytes: usize, window: &[u8], text: &mut Vec<u8>) -> io::Result<()> {
    // The room must be zeroed first, so start with that of a usual block.
    let max_bytes = max_bytes.min(block.len().saturating_mul(MAX_RATIO));
    let mut room = max_bytes.min(block.len().saturating_mul(USUAL_RATIO));
    loop {
        text.resize(room, 0);
        match lz4_flex::block::decompress_into_with_dict(block, text, window) {
            Ok(length) => {
                text.truncate(length);
                return Ok(());
            }
            Err(DecompressError::OutputTooSmall { .. }) if room < max_bytes => {
                room = max_bytes.min(room.saturating_mul(2));
            }
            Err(error) => {
                text.clear();
                return Err(damaged(&error.to_string()));
            }
        }
    }
}

/// Returns the little-endian number in the first four bytes.
fn number(bytes: &[u8]) -> u32 {
    bytes.iter().take(NUMBER_BYTES).rev().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests;
