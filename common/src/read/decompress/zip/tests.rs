//! Archives as various programs write them, in steps of any size, intact, damaged and encrypted.

use std::io::Write;

use proptest::prelude::*;

use super::*;
use crate::read::decompress::decompressor::tests::step_through;

/// Options for writing a file into an archive.
#[derive(Debug, Clone, Copy)]
struct How {
    is_deflated: bool,
    has_descriptor: bool,
    has_signature: bool,
    is_wide: bool,
}

const PLAINLY: How = How { is_deflated: true, has_descriptor: false, has_signature: true, is_wide: false };

fn deflate(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn crc(text: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(text);
    hasher.finalize()
}

/// An archive of files with their names and contents.
fn archive(files: &[(&str, &[u8])], how: How) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    let n32 = |n: usize| u32::try_from(n).unwrap();
    for (name, text) in files {
        let packed = if how.is_deflated { deflate(text) } else { text.to_vec() };
        let begins = bytes.len();
        let method: u16 = if how.is_deflated { DEFLATED } else { STORED };
        let flags = if how.has_descriptor { HAS_DESCRIPTOR } else { 0 };
        let extra = if how.is_wide {
            [
                &1_u16.to_le_bytes()[..],
                &16_u16.to_le_bytes(),
                &(text.len() as u64).to_le_bytes(),
                &(packed.len() as u64).to_le_bytes(),
            ]
            .concat()
        } else {
            vec![]
        };
        // The header of an uncompressed file must contain its length, or the archive could not be
        // read in one pass.
        let is_known = !how.has_descriptor || !how.is_deflated;
        let lengths = match (how.is_wide, is_known) {
            (true, _) => [WIDE, WIDE],
            (false, true) => [n32(packed.len()), n32(text.len())],
            (false, false) => [0, 0],
        };
        let sum = if how.has_descriptor { 0 } else { crc(text) };
        bytes.extend(FILE.to_le_bytes());
        for number in [20, flags, method, 0, 0] {
            bytes.extend(number.to_le_bytes());
        }
        for number in [sum, lengths[0], lengths[1]] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        bytes.extend(u16::try_from(extra.len()).unwrap().to_le_bytes());
        bytes.extend([name.as_bytes(), &extra, &packed].concat());
        if how.has_descriptor {
            if how.has_signature {
                bytes.extend(DESCRIPTOR.to_le_bytes());
            }
            bytes.extend(crc(text).to_le_bytes());
            for length in [packed.len(), text.len()] {
                let wide = (length as u64).to_le_bytes();
                bytes.extend(if how.is_wide { &wide[..] } else { &wide[..4] });
            }
        }
        directory.extend(DIRECTORY.to_le_bytes());
        for number in [20, 20, flags, method, 0, 0] {
            directory.extend(number.to_le_bytes());
        }
        for number in [crc(text), n32(packed.len()), n32(text.len())] {
            directory.extend(number.to_le_bytes());
        }
        for number in [u16::try_from(name.len()).unwrap(), 0, 1, 0, 0] {
            directory.extend(number.to_le_bytes());
        }
        directory.extend(0_u32.to_le_bytes());
        directory.extend(n32(begins).to_le_bytes());
        directory.extend([name.as_bytes(), b"c"].concat());
    }
    let (at, length) = (n32(bytes.len()), n32(directory.len()));
    bytes.extend(directory);
    if how.is_wide {
        bytes.extend(
            [&WIDE_END.to_le_bytes()[..], &44_u64.to_le_bytes(), &[0; 44], &WIDE_END_LOCATOR.to_le_bytes(), &[0; 16]]
                .concat(),
        );
    }
    bytes.extend(END.to_le_bytes());
    let count = u16::try_from(files.len()).unwrap();
    for number in [0, 0, count, count] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend([length, at].map(u32::to_le_bytes).concat());
    bytes.extend([&3_u16.to_le_bytes()[..], b"end"].concat());
    bytes
}

fn run(bytes: &[u8], at_once: usize, room: usize) -> (Vec<u8>, io::Result<bool>) {
    let mut zip = Zip::default();
    let (text, result) = step_through(|input, output| zip.step(input, output), bytes, at_once, room);
    (text, result.map(|()| zip.is_complete()))
}

proptest! {
    #[test]
    fn any_archive_in_any_steps_gives_its_files_in_order(
        texts in prop::collection::vec("(\\{\"a\":\"[ -~]{0,40}\"\\}\n?){0,6}", 0..4),
        (is_deflated, has_descriptor, has_signature, is_wide) in any::<(bool, bool, bool, bool)>(),
        at_once in 1_usize..50,
        room in 1_usize..50,
        at in any::<prop::sample::Index>(),
    ) {
        let how = How { is_deflated, has_descriptor: has_descriptor && is_deflated, has_signature, is_wide };
        let names: Vec<String> = (0..texts.len()).map(|i| format!("folder/{i}.json")).collect();
        let mut files: Vec<(&str, &[u8])> = vec![("folder/", b"")];
        files.extend(names.iter().map(String::as_str).zip(texts.iter().map(String::as_bytes)));
        files.extend([("__MACOSX/._0.json", b"\0\x05\x16\x07".as_slice()), (".hidden", b"x"), ("folder/_SUCCESS", b"x")]);
        let bytes = archive(&files, how);
        let expected: String = texts.iter().map(|text| if text.is_empty() || text.ends_with('\n') { text.clone() } else { format!("{text}\n") }).collect();
        let (found, result) = run(&bytes, at_once, room);
        prop_assert!(result.unwrap(), "{:?}", how);
        prop_assert_eq!(String::from_utf8(found).unwrap(), expected.clone());

        // An archive that is cut anywhere is incomplete. One that is changed anywhere never yields
        // a different text.
        let cut = at.index(bytes.len());
        let (found, result) = run(&bytes[..cut], at_once, room);
        prop_assert!(expected.as_bytes().starts_with(&found));
        prop_assert!(!matches!(result, Ok(true)) || cut + 3 >= bytes.len());
        let mut wrong = bytes.clone();
        wrong[cut] ^= 0x21;
        let (found, result) = run(&wrong, at_once, room);
        if matches!(result, Ok(true)) {
            prop_assert_eq!(found, expected.as_bytes(), "byte {}", cut);
        }
    }
}

fn error(bytes: &[u8]) -> io::Error {
    run(bytes, 7, 100).1.unwrap_err()
}

#[test]
fn what_is_not_supported_in_an_archive_is_named_and_not_taken_for_damage() {
    let files: [(&str, &[u8]); 1] = [("a.json", b"{\"id\":1}\n")];
    let mut encrypted = archive(&files, PLAINLY);
    encrypted[6] |= 1;
    let mut other = archive(&files, PLAINLY);
    other[8] = 14;
    let mut unknown = archive(&files, How { is_deflated: false, ..PLAINLY });
    unknown[6] |= 8;
    unknown[18..26].fill(0);
    let holding = |content: &[u8]| archive(&[("a.json", content)], PLAINLY);
    let utf16: Vec<u8> = "\u{FEFF}{\"id\":1}\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (bytes, expected) in [
        (encrypted, "its file `a.json` is encrypted"),
        (other, "its file `a.json` is compressed by method 14"),
        (unknown, "its file `a.json` is stored without its length"),
        (holding(b"\x1F\x8B\x08\0\0\0\0\0\0\x03"), "its file `a.json` is compressed once more"),
        (holding(&utf16), "its file `a.json` is text in UTF-16"),
        (holding(b"PAR1\x15\x04\x15"), "its file `a.json` is a Parquet file, not JSON"),
        (holding(&[0; 300]), "its file `a.json` is a block of zero bytes"),
        (archive(&[("[Content_Types].xml", b"<?xml?>")], PLAINLY), "it is a document of Microsoft Office"),
    ] {
        let error = error(&bytes);
        assert_eq!(error.kind(), io::ErrorKind::Unsupported, "{error}");
        assert!(error.to_string().starts_with(expected), "{error}");
    }
    let zeros_before_text = [vec![0; 2000], b"{\"id\":1}\n".to_vec()].concat();
    assert!(run(&holding(&zeros_before_text), 7, 100).1.unwrap());
    let behind = error(&[archive(&files, PLAINLY), b"junk".to_vec()].concat());
    assert_eq!(behind.kind(), io::ErrorKind::InvalidData);
    assert!(behind.to_string().contains("followed by other bytes"), "{behind}");
}

/// A file that is missing in the directory was deleted, or was added by another program.
#[test]
fn the_directory_must_name_what_the_archive_holds() {
    let hidden = archive(&[("a.json", b"{\"id\":1}\n")], PLAINLY);
    let local = hidden.windows(4).position(|bytes| bytes == DIRECTORY.to_le_bytes()).unwrap();
    let mut both = hidden[..local].to_vec();
    let other = archive(&[("b.json", b"{\"id\":2}\n")], PLAINLY);
    both.extend(&other);
    let text = error(&both).to_string();
    assert!(text.contains("directory"), "{text}");
    let mut wrong_sum = hidden;
    wrong_sum[14] ^= 1;
    assert!(error(&wrong_sum).to_string().contains("checksum"));
}
