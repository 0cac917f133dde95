//! Frames of all kinds, in any steps, and damaged ones.

use std::io::Write;

use lz4_flex::block::compress;
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use proptest::prelude::*;

use super::*;
use crate::read::decompress::decompressor::tests::step_through;
use crate::read::decompress::step::Step;

/// A frame with 6 bytes of text: no content size, no checksum, one block.
const SMALL: &[u8] = b"\x04\x22\x4D\x18\x60\x40\x82\x07\0\0\0\x60abcdef\0\0\0\0";

fn run(bytes: &[u8], at_once: usize, room: usize) -> (Vec<u8>, io::Result<bool>) {
    let mut lz4 = Lz4::reader();
    let (text, result) = step_through(|input, output| lz4.step(input, output), bytes, at_once, room);
    (text, result.map(|()| lz4.is_complete()))
}

/// Returns the error for `bytes`.
fn error_of(bytes: &[u8]) -> io::Error {
    run(bytes, 100, 100).1.expect_err("an error")
}

/// Compresses `text` in blocks of `block_bytes` bytes.
fn frame(text: &[u8], info: FrameInfo, block_bytes: usize) -> Vec<u8> {
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    for block in text.chunks(block_bytes) {
        encoder.write_all(block).unwrap();
        encoder.flush().unwrap();
    }
    encoder.finish().unwrap()
}

fn legacy(text: &[u8], block_bytes: usize) -> Vec<u8> {
    legacy_with_ends(text, block_bytes).0
}

/// Returns a legacy frame, and the offsets between its blocks.
fn legacy_with_ends(text: &[u8], block_bytes: usize) -> (Vec<u8>, Vec<usize>) {
    let mut bytes = LEGACY_MAGIC.to_le_bytes().to_vec();
    let mut ends = vec![0, bytes.len()];
    for block in text.chunks(block_bytes) {
        let block = compress(block);
        bytes.extend(u32::try_from(block.len()).unwrap().to_le_bytes());
        bytes.extend(block);
        ends.push(bytes.len());
    }
    (bytes, ends)
}

fn skippable(kind: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap().to_le_bytes();
    [&[0x50 | kind, 0x2A, 0x4D, 0x18], length.as_slice(), bytes].concat()
}

/// Returns a frame's header without its length, with the right checksum.
fn header(flags: u8, block: u8, fields: &[u8]) -> Vec<u8> {
    let descriptor = [&[flags, block], fields].concat();
    let checksum = XxHash32::oneshot(0, &descriptor).to_le_bytes()[1];
    [&MAGIC.to_le_bytes(), descriptor.as_slice(), &[checksum]].concat()
}

fn info() -> impl Strategy<Value = FrameInfo> {
    (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(is_linked, block_checksums, content_checksum)| {
        FrameInfo::new()
            .block_size(BlockSize::Max64KB)
            .block_mode(if is_linked { BlockMode::Linked } else { BlockMode::Independent })
            .block_checksums(block_checksums)
            .content_checksum(content_checksum)
    })
}

/// Returns bytes that repeat, so that blocks refer to earlier ones, and bytes that do not.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just(b"{\"name\":\"abcdefghijkl\"}\n".to_vec()),
        Just(vec![b' '; 50]),
        prop::collection::vec(any::<u8>(), 0..30),
    ];
    prop::collection::vec(word, 0..15).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn any_steps_give_the_text_of_all_frames(
        text in text(),
        infos in prop::collection::vec((info(), any::<bool>()), 1..4),
        block_bytes in 1_usize..200,
        at_once in 1_usize..50,
        room in 1_usize..50,
        cut in any::<prop::sample::Index>(),
    ) {
        let (mut bytes, mut complete) = (Vec::new(), vec![0]);
        for (info, has_length) in &infos {
            let info = info.clone().content_size(has_length.then_some(text.len() as u64));
            bytes.extend(frame(&text, info, block_bytes));
            complete.push(bytes.len());
            bytes.extend(skippable(3, &text));
            complete.push(bytes.len());
        }
        let (found, result) = run(&bytes, at_once, room);
        prop_assert_eq!(&found, &text.repeat(infos.len()));
        prop_assert!(result.unwrap());
        let cut = cut.index(bytes.len());
        let (found, result) = run(&bytes[..cut], at_once, room);
        prop_assert!(text.repeat(infos.len()).starts_with(&found));
        prop_assert_eq!(result.unwrap(), complete.contains(&cut), "only the end of a frame is an end");
    }

    #[test]
    fn any_steps_give_the_text_of_legacy_frames(
        text in text(),
        block_bytes in 1_usize..200,
        at_once in 1_usize..50,
        room in 1_usize..50,
        cut in any::<prop::sample::Index>(),
    ) {
        let (legacy, ends) = legacy_with_ends(&text, block_bytes);
        for after in [legacy.clone(), skippable(0, b"abc"), frame(&text, FrameInfo::new(), block_bytes), vec![]] {
            let bytes = [legacy.as_slice(), &after].concat();
            let (found, result) = run(&bytes, at_once, room);
            let expected = if after.is_empty() || after[0] == 0x50 { text.clone() } else { text.repeat(2) };
            prop_assert_eq!(found, expected);
            prop_assert!(result.unwrap());
        }
        let cut = cut.index(legacy.len());
        let (found, result) = run(&legacy[..cut], at_once, room);
        prop_assert!(text.starts_with(&found));
        prop_assert_eq!(result.unwrap(), ends.contains(&cut), "only a frame that is cut between two blocks looks complete");
    }

    /// The checksum of a block does not cover the bit that says whether it is compressed.
    #[test]
    fn a_wrong_byte_never_gives_another_text(
        text in text(),
        info in info(),
        block_bytes in 1_usize..200,
        at_once in 1_usize..50,
        at in any::<prop::sample::Index>(),
        change in 1..=u8::MAX,
    ) {
        let bytes = frame(&text, info.clone().content_checksum(true), block_bytes);
        let mut wrong = bytes.clone();
        let at = at.index(bytes.len());
        wrong[at] ^= change;
        let (found, result) = run(&wrong, at_once, 40);
        prop_assert!(!matches!(result, Ok(true)) || found == text, "{} became {}", bytes[at], wrong[at]);
        if info.block_checksums && change & 0x80 == 0 {
            prop_assert!(text.starts_with(&found), "the checksum of the block notices");
        }
    }
}

#[test]
fn large_blocks_refer_to_the_64_kib_before_them() {
    // Numbers that repeat after 63,600 bytes, so that the window is used almost to its start.
    let numbers: Vec<u8> = (0..1000_u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let text = [numbers.as_slice(), &[b'x'; 59_600]].concat().repeat(25);
    for size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max1MB, BlockSize::Max4MB] {
        for mode in [BlockMode::Linked, BlockMode::Independent] {
            let info = FrameInfo::new().block_size(size).block_mode(mode).content_checksum(true);
            let bytes = frame(&text, info, text.len());
            assert!(mode == BlockMode::Independent || bytes.len() < 50_000, "numbers are compressed");
            let (found, result) = run(&bytes, 10_000, 7777);
            assert!(result.unwrap() && found == text, "{size:?} {mode:?}");
        }
    }
    let text = vec![b' '; 20 << 20];
    let (found, result) = run(&legacy(&text, LEGACY_BLOCK_BYTES), 10_000, 1 << 20);
    assert!(result.unwrap() && found == text);
}

#[test]
fn a_block_may_be_empty_or_stored() {
    let [start, end] = [&SMALL[..7], &SMALL[18..]];
    for blocks in [
        b"\x06\0\0\x80abcdef".as_slice(),
        b"\0\0\0\x80\x06\0\0\x80abcdef\0\0\0\x80",
        b"\x01\0\0\0\0\x07\0\0\0\x60abcdef",
        b"\x03\0\0\x80abc\x04\0\0\0\x30def",
    ] {
        let (found, result) = run(&[start, blocks, end].concat(), 100, 100);
        assert_eq!((found.as_slice(), result.unwrap()), (b"abcdef".as_slice(), true), "{blocks:?}");
    }
}

#[test]
fn a_frame_with_a_dictionary_is_not_supported() {
    let bytes = header(0x61, 0x40, b"\x01\x02\x03\x04");
    let error = error_of(&[bytes.as_slice(), &SMALL[7..]].concat());
    assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    assert_eq!(error.to_string(), "it is compressed by lz4 with a dictionary, which is not supported");
    let mut damaged = bytes;
    damaged[7] ^= 1;
    assert_eq!(error_of(&damaged).kind(), io::ErrorKind::InvalidData, "the header is damaged");
}

#[test]
fn what_cannot_be_is_an_error_and_needs_no_memory() {
    assert!(run(SMALL, 100, 100).1.unwrap());
    let after_header = |flags, block, bytes: &[u8]| [header(flags, block, &[]).as_slice(), bytes].concat();
    for (bytes, expected) in [
        (b"\x04\x22\x4D\x19".to_vec(), "there is no lz4 frame"),
        ([SMALL, b"junk"].concat(), "there is no lz4 frame"),
        ([SMALL, &[0; 8]].concat(), "there is no lz4 frame"),
        ([legacy(b"text", 10).as_slice(), b"junk"].concat(), "there is no lz4 frame"),
        (after_header(0xA0, 0x40, &[]), "a frame has a version other than 1"),
        (after_header(0x62, 0x40, &[]), "a frame has reserved flags"),
        (after_header(0x60, 0x30, &[]), "a frame has an invalid block size"),
        (after_header(0x60, 0x41, &[]), "a frame has an invalid block size"),
        (after_header(0x60, 0xC0, &[]), "a frame has an invalid block size"),
        (after_header(0x60, 0x40, b"\x01\0\x01\0"), "a block has an invalid length"),
        (after_header(0x60, 0x40, b"\xFF\xFF\xFF\xFF"), "a block has an invalid length"),
        (b"\x02\x21\x4C\x18\0\0\0\0".to_vec(), "a block has an invalid length"),
        // One more than the longest block of a legacy frame.
        (b"\x02\x21\x4C\x18\x91\x80\x80\0".to_vec(), "there is no lz4 frame"),
        ([header(0x68, 0x40, &[7, 0, 0, 0, 0, 0, 0, 0]).as_slice(), &SMALL[7..]].concat(), "a frame is shorter"),
        ([header(0x68, 0x40, &[5, 0, 0, 0, 0, 0, 0, 0]).as_slice(), &SMALL[7..]].concat(), "a frame is longer"),
        (after_header(0x64, 0x40, &[&SMALL[7..], b"\0\0\0\0"].concat()), "its checksum is wrong"),
        (after_header(0x70, 0x40, b"\x01\0\0\x80a\0\0\0\0"), "the checksum of a block is wrong"),
    ] {
        let error = error_of(&bytes).to_string();
        assert!(error.starts_with(expected), "{bytes:?}: {error}");
    }
    let mut lz4 = Lz4::reader();
    let bytes = after_header(0x60, 0x70, b"\0\0\x40\0\x60");
    let Step { consumed, result, .. } = lz4.step(&bytes, &mut [0; 10]);
    assert!(consumed == bytes.len() && result.is_ok() && !lz4.is_complete(), "the block may have 4 MiB");
}

/// A block must not become longer than its frame says, and independent blocks have no window.
#[test]
fn a_block_that_is_longer_than_the_header_says_is_an_error() {
    let block = |text: &[u8]| {
        let block = compress(text);
        [&u32::try_from(block.len()).unwrap().to_le_bytes(), block.as_slice()].concat()
    };
    for (bytes, is_right) in [(64 * 1024, true), (64 * 1024 + 1, false)] {
        let bytes = [header(0x60, 0x40, &[]).as_slice(), &block(&vec![b'x'; bytes]), &[0; 4]].concat();
        assert_eq!(run(&bytes, 1000, 1000).1.is_ok(), is_right);
    }
    let linked = frame(&b"abcdefghijklmnop".repeat(4), FrameInfo::new().block_mode(BlockMode::Linked), 32);
    let mut independent = header(0x60, linked[5], &[]);
    independent.extend(&linked[7..]);
    assert!(run(&linked, 100, 100).1.unwrap());
    assert!(run(&independent, 100, 100).1.is_err());
}
