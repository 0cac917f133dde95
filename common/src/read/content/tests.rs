//! Recognition of contents, independent of their names.

use std::io::Write;

use proptest::prelude::*;

use super::*;

const PLAIN: Content = Content::Text(Encoding::Utf8);
const NAMES: [&str; 9] =
    ["a.json", "a", "b/a.json.gz", "a.zst", "a.bz2", "a.json.xz", "a.parquet", "a.json.snappy", "a.json.lz4"];

fn head(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(HEAD_BYTES)]
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn bzip2(text: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn snappy(text: &[u8]) -> Vec<u8> {
    let mut encoder = snap::write::FrameEncoder::new(Vec::new());
    encoder.write_all(text).unwrap();
    encoder.into_inner().unwrap()
}

fn lz4(text: &[u8]) -> Vec<u8> {
    let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// Compresses text as one block of Hadoop's `BlockCompressorStream`.
fn hadoop_snappy(text: &[u8]) -> Vec<u8> {
    of_hadoop(text, &snap::raw::Encoder::new().compress_vec(text).unwrap())
}

fn hadoop_lz4(text: &[u8]) -> Vec<u8> {
    of_hadoop(text, &lz4_flex::block::compress(text))
}

fn of_hadoop(text: &[u8], chunk: &[u8]) -> Vec<u8> {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_be_bytes();
    [&length(text), &length(chunk), chunk].concat()
}

fn wide(text: &str, encoding: Encoding) -> Vec<u8> {
    let units = |bytes: usize, is_big_endian: bool| {
        let unit = move |unit: u32| {
            let all = unit.to_be_bytes();
            let mut unit = all[4 - bytes..].to_vec();
            if !is_big_endian {
                unit.reverse();
            }
            unit
        };
        match bytes {
            2 => text.encode_utf16().flat_map(|part| unit(part.into())).collect(),
            _ => text.chars().flat_map(|c| unit(c.into())).collect(),
        }
    };
    match encoding {
        Encoding::Utf8 => text.as_bytes().to_vec(),
        Encoding::Utf16 { is_big_endian } => units(2, is_big_endian),
        Encoding::Utf32 { is_big_endian } => units(4, is_big_endian),
    }
}

fn encodings() -> [Encoding; 4] {
    [true, false]
        .map(|is_big_endian| [Encoding::Utf16 { is_big_endian }, Encoding::Utf32 { is_big_endian }])
        .concat()
        .try_into()
        .unwrap()
}

/// Returns records that look like records of logs.
fn records() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        Just("null".to_owned()),
        Just("[1, 2]".to_owned()),
    ];
    let space = prop_oneof![Just(""), Just(" "), Just("\n"), Just("\r\n  ")];
    let record = (value, space.clone()).prop_map(|(value, space)| format!("{{{space}\"key\":{value}{space}}}\n"));
    let open = prop_oneof![Just(""), Just("["), Just("\u{FEFF}")];
    (open, space, prop::collection::vec(record, 1..60))
        .prop_map(|(open, space, records)| format!("{open}{space}{}", records.concat()))
}

proptest! {
    #[test]
    fn text_is_text_whatever_its_name_and_encoding_say(text in records(), cut in 1_usize..2000) {
        let text = &text.as_bytes()[..text.len().min(cut)];
        for name in NAMES.into_iter().filter(|name| !name.ends_with("snappy")) {
            for encoding in [None, Some("gzip"), Some("br"), Some("utf-8")] {
                prop_assert_eq!(recognize(head(text), name, encoding), PLAIN, "{} {:?}", name, encoding);
            }
        }
    }

    #[test]
    fn what_is_compressed_is_known_whatever_its_name_says(text in records()) {
        let text = text.as_bytes();
        for (compression, bytes) in [
            (Compression::Gzip, gzip(text)),
            (Compression::Zstd, zstd::encode_all(text, 1).unwrap()),
            (Compression::Bzip2, bzip2(text)),
            (Compression::Snappy, snappy(text)),
            (Compression::HadoopSnappy, hadoop_snappy(text)),
            (Compression::Lz4, lz4(text)),
            (Compression::HadoopLz4, hadoop_lz4(text)),
        ] {
            for name in NAMES {
                prop_assert_eq!(recognize(head(&bytes), name, None), Content::Compressed(compression), "{}", name);
            }
        }
        let raw = snap::raw::Encoder::new().compress_vec(text).unwrap();
        prop_assert_eq!(
            recognize(head(&raw), "a.json.snappy", None),
            Content::Foreign(Foreign::Compression("snappy without framing"))
        );
        // Without a name, raw snappy cannot be recognized if its length looks like the start of
        // JSON.
        prop_assert!(recognize(head(&raw), "a.json", None) != PLAIN || begins_like_json(&raw));
    }

    #[test]
    fn wide_text_is_known_with_a_mark_and_without(text in records()) {
        let text = text.trim_start_matches('\u{FEFF}');
        for encoding in encodings() {
            let marked = wide(&format!("\u{FEFF}{text}"), encoding);
            prop_assert_eq!(recognize(head(&marked), "a.json", None), Content::Text(encoding));
            prop_assert_eq!(recognize(head(&wide(text, encoding)), "a.json", None), Content::Text(encoding));
        }
    }
}

/// A tar archive has its signature in the middle of its first block.
#[test]
fn letters_of_a_signature_inside_a_text_are_text() {
    for word in ["ustar", "ustar ", "ustar  ", "PAR1", "BZh91AY&SY", "%PDF-1.7", "SQLite format 3", "ORC"] {
        for at in (250..265).chain([9]) {
            let text = format!("{{\"v\": \"{}{word}\", \"a\": 1}}\n", " ".repeat(at - 7));
            assert_eq!(recognize(head(text.as_bytes()), "a.json", None), PLAIN, "{word} at {at}");
        }
    }
}

#[test]
fn what_is_no_json_is_called_by_its_name() {
    let mut tar = vec![0; 1024];
    tar[..6].copy_from_slice(b"a.json");
    tar[257..263].copy_from_slice(b"ustar\0");
    let mut gnu_tar = tar.clone();
    gnu_tar[257..265].copy_from_slice(b"ustar  \0");
    for (bytes, expected) in [
        (b"PAR1\x15\x04\x15".as_slice(), Foreign::Format("a Parquet file")),
        (b"Obj\x01\x04\x16avro.schema", Foreign::Format("an Avro file")),
        (b"ORC\x11\0\0\x0A\x06", Foreign::Format("an ORC file")),
        (&tar, Foreign::Format("a tar archive")),
        (&gnu_tar, Foreign::Format("a tar archive")),
        (b"7z\xBC\xAF\x27\x1C\0\x04", Foreign::Format("a 7z archive")),
        (b"%PDF-1.7\n", Foreign::Format("a PDF document")),
        (b"LZ4Block\x25\x0B\0\0\0", Foreign::Compression("lz4 (framing of lz4-java)")),
        (b"\x50\x2A\x4D\x18\x02\0\0\0ab\x89LZO\0\r\n\x1A\n", Foreign::Compression("lzo")),
        (b"\x8F\x11\x02\x9C\xE1\xFD\xAA\x80\x07", Foreign::Unknown),
        (&[0; 3], Foreign::ZEROS),
        (&[0; 1000], Foreign::ZEROS),
    ] {
        for name in ["a.json", "b/a"] {
            assert_eq!(recognize(bytes, name, None), Content::Foreign(expected), "{bytes:?}");
        }
    }
    // Bytes without a pattern, as encryption produces them, after bytes that look like the start of
    // JSON.
    let random = (0..1000_u32).flat_map(|i| (i.wrapping_mul(2_654_435_761) >> 7).to_le_bytes());
    let random: Vec<u8> = b"[123".iter().copied().chain(random).collect();
    assert_eq!(recognize(head(&random), "a.json", None), Content::Foreign(Foreign::Unknown));
    let brotli = b"\x0B\x05\x80{\"id\":1}\n\x03";
    for (name, encoding) in [("a.json", Some("br")), ("a.json.br", None), ("a.json", Some("gzip, br"))] {
        assert_eq!(recognize(brotli, name, encoding), Content::Foreign(Foreign::Compression("brotli")), "{name}");
    }
}

#[test]
fn what_only_the_name_or_the_encoding_calls_compressed_goes_to_the_decompressor() {
    let damaged = b"\0\x8B\x08\0\0\0\xFF\xFE\x9A";
    for (name, encoding) in [("a.json.gz", None), ("a.json", Some("gzip")), ("a", Some("aws-chunked, GZIP"))] {
        assert_eq!(recognize(damaged, name, encoding), Content::Compressed(Compression::Gzip));
    }
    for (name, head, compression) in [
        ("a.gz", b"\x1F".as_slice(), Compression::Gzip),
        ("a.zst", b"\x28\xB5", Compression::Zstd),
        ("a.zst", b"\x28", Compression::Zstd),
        ("a.bz2", b"BZ", Compression::Bzip2),
        ("a.bz2", b"BZh9", Compression::Bzip2),
        ("a.xz", b"\xFD7z", Compression::Xz),
        ("a.lz4", b"\x04\x22", Compression::Lz4),
        ("a.lz4", b"\x02", Compression::Lz4),
        ("a.lz4", b"\x9A\xFF\x01\x80\x02\xFE\x03\x90\x04\xF0", Compression::Lz4),
    ] {
        assert_eq!(recognize(head, name, None), Content::Compressed(compression), "{name}");
    }
    assert_eq!(recognize(b"", "a.gz", None), PLAIN);
}

/// Both zstd and lz4 have skippable frames.
#[test]
fn the_frame_after_a_skippable_one_tells_zstd_from_lz4() {
    let skippable = |bytes: u32| [b"\x50\x2A\x4D\x18".to_vec(), bytes.to_le_bytes().to_vec()].concat();
    for (next, compression) in [
        (b"\x28\xB5\x2F\xFD".as_slice(), Compression::Zstd),
        (b"\x04\x22\x4D\x18", Compression::Lz4),
        (b"\x02\x21\x4C\x18", Compression::Lz4),
    ] {
        for frames in 1..3 {
            let before = [skippable(3), b"abc".to_vec()].concat().repeat(frames);
            for name in NAMES {
                let found = recognize(&[before.as_slice(), next].concat(), name, None);
                assert_eq!(found, Content::Compressed(compression), "{name}");
            }
        }
    }
    for (name, compression) in [("a.json.lz4", Compression::Lz4), ("a.json", Compression::Zstd)] {
        let long = [skippable(5000), vec![1; 2000]].concat();
        assert_eq!(recognize(head(&long), name, None), Content::Compressed(compression), "{name}");
    }
}

/// Snappy that repeats a single byte has the structure of lz4 too.
#[test]
fn repetitions_in_the_framing_of_hadoop_are_told_apart() {
    for unit in ["a", " ", "[]", "{}\n", "0\n"] {
        for count in (1..700).chain([65_536, 261_100]) {
            let text = unit.repeat(count).into_bytes();
            for (compression, bytes) in
                [(Compression::HadoopSnappy, hadoop_snappy(&text)), (Compression::HadoopLz4, hadoop_lz4(&text))]
            {
                let found = recognize(head(&bytes), "a.json", None);
                assert_eq!(found, Content::Compressed(compression), "{count} times {unit:?}");
            }
        }
    }
}

/// The lengths of Hadoop's framing, and distances of copies, are consistent only in what is
/// compressed.
#[test]
fn bytes_with_inconsistent_lengths_are_not_lz4_of_hadoop() {
    // The literal `abcabc`, a copy of six bytes from three bytes before, and the literal `hello`.
    let whole = b"\0\0\0\x11\0\0\0\x0F\x62abcabc\x03\0\x50hello".to_vec();
    let is_lz4 = |bytes: &[u8]| recognize(head(bytes), "a.json", None) == Content::Compressed(Compression::HadoopLz4);
    assert!(is_lz4(&whole) && is_lz4(&whole[..17]), "also if it was cut after a copy");
    let with = |at: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[at] = byte;
        bytes
    };
    // Blocks of 16 MiB and of less than the text; a chunk longer than its block can be, and one
    // that ends early; copies from before the text, and from no distance.
    for bytes in [with(0, 1), with(3, 16), with(5, 1), with(7, 14), with(15, 7), with(15, 0)] {
        assert!(!is_lz4(&bytes), "{bytes:?}");
    }
    for other in [
        b"\0\0\0\x18ftypmp42\0\0\0\0".as_slice(),
        b"\0\0\x01\0\x01\0\x10\x10\0\0\x01\0\x20\0",
        b"\0\0\0\x05\0\0\0\0\x50hello",
        b"\0\0\0\x05\0\0\0\x01\0",
    ] {
        assert!(!is_lz4(other), "{other:?}");
    }
}

/// Lines that are not JSON go to the quarantine one by one.
#[test]
fn damaged_text_is_still_text() {
    let zeros = [vec![0; 600], b"{\"id\":1}\n".to_vec()].concat();
    let few_zeros = b"\0\0\0{\"id\":1}\n";
    // Russian in Windows-1251. More than a third of the bytes are not UTF-8.
    let cyrillic = b"{\"\xE8\xEC\xFF\":\"\xC8\xE2\xE0\xED\"}\n".repeat(90);
    let latin1 = b"{\"name\":\"Zo\xEB\"}\n".repeat(20);
    for text in [
        zeros.as_slice(),
        &latin1,
        few_zeros,
        &cyrillic,
        b"PARENT,CHILD\n",
        &[0; 2000],
        b"\x1E{\"id\":1}\n",
        b"\x1B[32m{\"id\":1}\x1B[0m\n",
        b"nonsense\n",
        b"\xEF\xBB\xBF{}",
        b"{\"id\":1}\n\x1F\x8B\x08\0\0\0\0\0\0\x03",
        "\u{65E5}\u{672C}".as_bytes(),
    ] {
        assert_eq!(recognize(head(text), "a.json", None), PLAIN, "{text:?}");
    }
}
