//! Digests of a Parquet file's blocks, kept inside the file so that a read of any part of it can be
//! verified.
//!
//! ```text
//! "PAR1" pages, page indexes │ digest of each block │ trailer (40 bytes) │ footer, its length, "PAR1"
//! └──────── body ────────────┘└────────────────── table ─────────────────┘
//! ```
//!
//! Parquet addresses pages by offset and finds the footer from the end of the file, so other
//! readers ignore the bytes between pages and footer. The trailer contains the digests of the
//! footer and of the table itself, so every byte of the file is covered. Parquet's own page
//! checksums are not sufficient: the `parquet` crate cannot write them, and they do not cover page
//! headers, page indexes and the footer. The last two contain the statistics by which a query skips
//! rows.
//!
//! A file without a digest table was written by an older version or by another program, and is read
//! without verification. A file with `METADATA_KEY` in its footer must have a digest table.

use std::hash::Hasher as _;
use std::ops::Range;

use memchr::memmem;
use twox_hash::XxHash64;

use super::{SEED, xxh64};

/// Size of a block in bytes. A read is widened to whole blocks, so small blocks suit small reads.
/// Each block costs 8 bytes of digest.
pub const BLOCK_BYTES: u64 = 64 * 1024;
/// Key in the Parquet metadata of every file that has a digest table.
pub const METADATA_KEY: &str = "lakewright.block_digests";
/// Human-readable value of [`METADATA_KEY`].
pub const METADATA_VALUE: &str = "xxh64 of each 64 KiB, before the footer";

/// Last bytes of a digest table: a marker with the version of the layout.
const MAGIC: &[u8; 8] = b"LWBLOCK1";
/// Length of the trailer in bytes. Its fields are: number of body bytes, number of bytes per block,
/// digest of the footer, digest of the table up to this field, [`MAGIC`].
const TRAILER_BYTES: usize = 40;
/// Number of bytes after the footer: its length and "PAR1".
const PARQUET_END_BYTES: usize = 8;
const PARQUET_MAGIC: &[u8; 4] = b"PAR1";

/// Computes the digest of each block of a file's body, which is passed in consecutive pieces.
#[derive(Debug)]
pub struct BlockHasher {
    done: Vec<u64>,
    current: XxHash64,
    body_bytes: u64,
}

impl Default for BlockHasher {
    fn default() -> Self {
        Self { done: vec![], current: XxHash64::with_seed(SEED), body_bytes: 0 }
    }
}

impl BlockHasher {
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            // A piece may end anywhere, so continue in the middle of the current block.
            let in_block = self.body_bytes % BLOCK_BYTES;
            let left = usize::try_from(BLOCK_BYTES - in_block).unwrap_or(usize::MAX);
            let (now, rest) = bytes.split_at(left.min(bytes.len()));
            self.current.write(now);
            self.body_bytes += now.len() as u64;
            if self.body_bytes.is_multiple_of(BLOCK_BYTES) {
                self.end_block();
            }
            bytes = rest;
        }
    }

    fn end_block(&mut self) {
        self.done.push(self.current.finish());
        self.current = XxHash64::with_seed(SEED);
    }

    /// Returns the digest table for the bytes that were added and for `footer`. In the file, the
    /// table must follow these bytes, and `footer` must follow the table.
    #[must_use]
    pub fn finish(mut self, footer: &[u8]) -> Vec<u8> {
        // The last block may be shorter than the others.
        if !self.body_bytes.is_multiple_of(BLOCK_BYTES) {
            self.end_block();
        }
        let mut table = Vec::with_capacity(self.done.len() * 8 + TRAILER_BYTES);
        // In the order of the trailer. All numbers are little-endian.
        let numbers = self.done.iter().copied().chain([self.body_bytes, BLOCK_BYTES, xxh64(footer)]);
        numbers.for_each(|number| table.extend_from_slice(&number.to_le_bytes()));
        // Computed last, because it covers the digests and the trailer before it.
        let digest = xxh64(&table);
        table.extend_from_slice(&digest.to_le_bytes());
        table.extend_from_slice(MAGIC);
        table
    }
}

/// Returns a Parquet file with a digest table inserted before its footer; `None` if `file` is not a
/// Parquet file.
#[must_use]
pub fn with_table(file: &[u8]) -> Option<Vec<u8>> {
    let start = footer_start(file, file.len() as u64).and_then(|start| usize::try_from(start).ok())?;
    let (body, footer) = file.split_at_checked(start)?;
    let mut blocks = BlockHasher::default();
    blocks.update(body);
    Some([body, &blocks.finish(footer), footer].concat())
}

/// Returns the offset of the footer of a Parquet file of `file_bytes` bytes. `end` is the last part
/// of the file. Returns `None` if `end` is not the end of a Parquet file.
#[must_use]
pub fn footer_start(end: &[u8], file_bytes: u64) -> Option<u64> {
    let (rest, magic) = end.split_last_chunk::<4>()?;
    let (_, length) = rest.split_last_chunk::<4>()?;
    let footer = u64::from(u32::from_le_bytes(*length)) + PARQUET_END_BYTES as u64;
    (magic == PARQUET_MAGIC).then(|| file_bytes.checked_sub(footer)).flatten()
}

/// Digests of one file's blocks.
#[derive(Debug)]
pub struct BlockDigests {
    digests: Vec<u64>,
    block_bytes: u64,
    body_bytes: u64,
    /// Digest of the bytes after the body, which are the table of digests and the footer. They are
    /// verified as one more block.
    end: u64,
    file_bytes: u64,
}

/// Result of reading the end of a file.
#[derive(Debug)]
pub enum Found {
    Digests(BlockDigests),
    /// No digests: another version or another program wrote the file.
    Nothing,
    /// The digest table starts before the bytes that were passed. The caller must read this many
    /// bytes from the end of the file and try again.
    Needs(u64),
    /// The file has changed since it was written. The text says what is wrong, such as "the digests
    /// of its blocks are damaged".
    Damaged(&'static str),
}

/// Reads the digest table from `end`, the last bytes of a file of `file_bytes` bytes.
#[must_use]
pub fn read(end: &[u8], file_bytes: u64) -> Found {
    let Some(footer) = footer_start(end, file_bytes) else {
        return Found::Damaged("it does not end like a Parquet file");
    };
    let first = file_bytes.saturating_sub(end.len() as u64);
    let trailer = footer.saturating_sub(TRAILER_BYTES as u64);
    // The trailer is before the bytes at hand, so read more of the end.
    let Some(at) = trailer.checked_sub(first).and_then(|at| usize::try_from(at).ok()) else {
        return Found::Needs(file_bytes - trailer);
    };
    match read_trailer(&end[at..]) {
        // The key in the footer says that there was a table, so the table was overwritten.
        None if memmem::find(end, METADATA_KEY.as_bytes()).is_some() => {
            Found::Damaged("the digests of its blocks are damaged")
        }
        None => Found::Nothing,
        Some((body_bytes, block_bytes)) => {
            let table_bytes = body_bytes.div_ceil(block_bytes).saturating_mul(8);
            // The table must fill the space between the body and the trailer exactly.
            if trailer.checked_sub(table_bytes) != Some(body_bytes) {
                return Found::Damaged("the digests of its blocks are damaged");
            }
            match body_bytes.checked_sub(first).and_then(|start| usize::try_from(start).ok()) {
                Some(start) => read_table(&end[start..], at - start, body_bytes, block_bytes, file_bytes),
                None => Found::Needs(file_bytes - body_bytes),
            }
        }
    }
}

/// Returns the number of body bytes and of bytes per block; `None` if there is no trailer.
fn read_trailer(end: &[u8]) -> Option<(u64, u64)> {
    // The magic number is the last field of the trailer.
    let is_marked = end.get(TRAILER_BYTES - MAGIC.len()..TRAILER_BYTES)? == MAGIC;
    // Fields by position: 0 is the body's length, 1 the block size, 2 the digest of the footer, 3
    // the digest of the table.
    let block_bytes = number(end, 1)?;
    (is_marked && block_bytes > 0).then_some((number(end, 0)?, block_bytes))
}

/// Reads and verifies the digest table. `end` contains the file from the first digest to the end;
/// `trailer` is the offset of the trailer in `end`.
fn read_table(end: &[u8], trailer: usize, body_bytes: u64, block_bytes: u64, file_bytes: u64) -> Found {
    let footer = &end[trailer + TRAILER_BYTES..];
    let numbers = trailer / 8;
    let (expected_footer, expected_table) = (number(end, numbers + 2), number(end, numbers + 3));
    // 24 bytes: the first three fields of the trailer, which the digest of the table covers.
    if expected_table != Some(xxh64(&end[..trailer + 24])) {
        return Found::Damaged("the digests of its blocks are damaged");
    }
    if expected_footer != Some(xxh64(footer)) {
        return Found::Damaged("its footer does not have the digest that was written with it");
    }
    let digests = (0..numbers).filter_map(|i| number(end, i)).collect();
    Found::Digests(BlockDigests { digests, block_bytes, body_bytes, end: xxh64(end), file_bytes })
}

fn number(bytes: &[u8], index: usize) -> Option<u64> {
    let chunk = bytes.get(index * 8..)?.first_chunk::<8>()?;
    Some(u64::from_le_bytes(*chunk))
}

impl BlockDigests {
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// Returns the number of digests in memory.
    #[must_use]
    pub fn count(&self) -> usize {
        self.digests.len()
    }

    /// Widens `range` to whole blocks.
    #[must_use]
    pub fn widen(&self, range: &Range<u64>) -> Range<u64> {
        let start =
            // Everything after the body is one block.
            if range.start < self.body_bytes { range.start - range.start % self.block_bytes } else { self.body_bytes };
        let end = if range.end <= self.body_bytes {
            range.end.div_ceil(self.block_bytes).saturating_mul(self.block_bytes).min(self.body_bytes)
        } else {
            self.file_bytes
        };
        start..end
    }

    /// Compares whole blocks with their digests. The first block starts at `start`.
    ///
    /// # Errors
    /// The byte range of the first block that differs.
    pub fn verify(&self, start: u64, bytes: &[u8]) -> Result<(), Range<u64>> {
        let mut at = start;
        let mut rest = bytes;
        while !rest.is_empty() {
            let (end, expected) = if at < self.body_bytes {
                let end = (at + self.block_bytes).min(self.body_bytes);
                // Blocks have equal sizes, so the offset gives the number of the block.
                (end, usize::try_from(at / self.block_bytes).ok().and_then(|i| self.digests.get(i).copied()))
            } else {
                (self.file_bytes, Some(self.end))
            };
            let block = usize::try_from(end - at).ok().and_then(|length| rest.split_at_checked(length));
            match block {
                Some((block, after)) if expected == Some(xxh64(block)) => rest = after,
                _ => return Err(at..end),
            }
            at = end;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Builds a body and a footer in the frame of a Parquet file.
    fn file(body_bytes: usize, footer_bytes: usize) -> Vec<u8> {
        let body = (0..body_bytes).map(|i| u8::try_from(i * 31 % 251).unwrap());
        let mut file: Vec<u8> = body.collect();
        let mut footer = vec![7_u8; footer_bytes];
        footer.splice(..0, METADATA_KEY.bytes());
        file.extend_from_slice(&footer);
        file.extend_from_slice(&u32::try_from(footer.len()).unwrap().to_le_bytes());
        file.extend_from_slice(PARQUET_MAGIC);
        file
    }

    fn digests(file: &[u8]) -> BlockDigests {
        match read(file, file.len() as u64) {
            Found::Digests(digests) => digests,
            other => panic!("{other:?}"),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// The blocks around any range pass verification. If any bit in them is changed, they fail
        /// it.
        #[test]
        fn every_read_that_touches_a_block_detects_a_changed_bit_in_it(
            body in 0_usize..300_000, footer in 0_usize..200, from in any::<prop::sample::Index>(),
            length in 1_usize..100_000, bit in any::<prop::sample::Index>(), with in 0_u8..8,
        ) {
            let whole = with_table(&file(body, footer)).unwrap();
            let known = digests(&whole);
            let start = from.index(whole.len());
            let range = start as u64..(start + length).min(whole.len()) as u64;
            let wide = known.widen(&range);
            prop_assert!(wide.start <= range.start && wide.end >= range.end && wide.end <= whole.len() as u64);
            let (from, to) = (usize::try_from(wide.start).unwrap(), usize::try_from(wide.end).unwrap());
            let mut bytes = whole[from..to].to_vec();
            prop_assert_eq!(known.verify(wide.start, &bytes), Ok(()));
            let changed = bit.index(bytes.len());
            bytes[changed] ^= 1 << with;
            let noticed = known.verify(wide.start, &bytes).unwrap_err();
            prop_assert!(noticed.contains(&(wide.start + changed as u64)));
        }

        /// A damaged end of a file never yields digests.
        #[test]
        fn the_first_read_detects_a_changed_bit_after_the_body(
            body in 0_usize..200_000, bit in any::<prop::sample::Index>(), with in 0_u8..8,
        ) {
            let mut whole = with_table(&file(body, 100)).unwrap();
            let changed = body + bit.index(whole.len() - body);
            whole[changed] ^= 1 << with;
            let found = read(&whole, whole.len() as u64);
            prop_assert!(matches!(found, Found::Damaged(_) | Found::Needs(_)), "{:?}", found);
        }
    }

    #[test]
    fn only_the_needed_bytes_of_the_end_are_requested() {
        let whole = with_table(&file(1_000_000, 100)).unwrap();
        let mut length = 8;
        let mut asked = 0;
        while let Found::Needs(more) = read(&whole[whole.len() - length..], whole.len() as u64) {
            assert!(more > length as u64);
            length = usize::try_from(more).unwrap();
            asked += 1;
        }
        assert_eq!(asked, 2);
        assert!(matches!(read(&whole[whole.len() - length..], whole.len() as u64), Found::Digests(_)));
    }

    #[test]
    fn files_of_other_programs_have_no_digests() {
        let plain = file(1000, 100);
        // The footer claims that there is a table.
        assert!(matches!(read(&plain, plain.len() as u64), Found::Damaged(_)));
        let mut other = b"PAR1 pages footer".to_vec();
        other.extend_from_slice(&[6, 0, 0, 0]);
        other.extend_from_slice(PARQUET_MAGIC);
        assert!(matches!(read(&other, other.len() as u64), Found::Nothing));
        assert!(matches!(read(b"", 0), Found::Damaged(_)));
        assert!(matches!(read(b"{}", 2), Found::Damaged(_)));
    }
}
