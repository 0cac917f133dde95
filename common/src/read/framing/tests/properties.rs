//! Property tests: any bytes give the same records in any splits and chunks.

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;
use crate::read::framing::value::is_space;

/// Returns the records that a simple reader finds in newline-delimited text.
fn expected_lines(bytes: &[u8], max_record_bytes: usize) -> Vec<Seen> {
    let mut all = Vec::new();
    let mut offset = 0;
    for (i, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let next = offset + line.len() + 1;
        let number = i as u64 + 1;
        if line.len() > max_record_bytes {
            all.push(broken(offset as u64, number, Reason::TooLong, &String::from_utf8_lossy(line)));
        } else {
            let mark = if line.starts_with("\u{FEFF}".as_bytes()) { 3 } else { 0 };
            let text = &line[mark..];
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            if !text.iter().all(|byte| is_space(*byte)) {
                all.push(record((offset + mark) as u64, number, &String::from_utf8_lossy(text)));
            }
        }
        offset = next;
    }
    all
}

fn line_pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"{\"a\":1}".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b" ".to_vec()),
        Just(b"\t\r".to_vec()),
        Just("\u{FEFF}".as_bytes().to_vec()),
        Just(b"\xFF".to_vec()),
        Just(b"xxxxxxxxxxxxxxxxxxxx".to_vec()),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// Returns values that may be in a document.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("{}".to_owned()),
        Just("[]".to_owned()),
        Just(r#""a\"}]\\""#.to_owned()),
        Just("-1.5e+3".to_owned()),
        Just("null".to_owned()),
        "[a-z ,:\\[\\]{}]{0,40}".prop_map(|text| serde_json::to_string(&text).unwrap()),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(" ,\n"))),
            prop::collection::vec(("[a-z\"\\\\]{0,3}", inner), 0..4).prop_map(|members| {
                let member =
                    |(key, value): &(String, String)| format!("{} :{value}", serde_json::to_string(key).unwrap());
                format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(", "))
            }),
        ]
    })
}

fn space() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just(""), Just(" "), Just("\n"), Just("\r\n\t")]
}

proptest! {
    #[test]
    fn any_cut_and_any_chunking_of_lines_gives_the_same_records(
        bytes in line_pieces(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        chunk_sizes in prop::collection::vec(1_usize..30, 1..5),
        max_record_bytes in 10_usize..60,
    ) {
        let end = bytes.len() as u64;
        let mut cuts: Vec<u64> = cuts.iter().map(|cut| cut.index(bytes.len() + 1) as u64).collect();
        cuts.extend([0, end]);
        cuts.sort_unstable();
        cuts.dedup();
        if cuts.len() == 1 {
            cuts.push(end);
        }
        let expected = expected_lines(&bytes, max_record_bytes);
        prop_assert_eq!(frame_in_parts(&bytes, &cuts, max_record_bytes as u64, &chunk_sizes), expected);
    }

    #[test]
    fn any_document_in_any_chunks_gives_its_records(
        values in prop::collection::vec((value(), space(), space()), 0..8),
        shape in 0_u8..3,
        chunk_sizes in prop::collection::vec(1_usize..30, 1..5),
    ) {
        let mut text = ["", "[", r#"{"x":[{"items":[1]}],"items":["#][usize::from(shape)].to_owned();
        let mut expected = Vec::new();
        for (i, (value, before, after)) in values.iter().enumerate() {
            // At the top level, only objects are records.
            let value = if shape == 0 { format!("{{\"v\":{value}}}") } else { value.clone() };
            if i > 0 && shape > 0 {
                text.push(',');
            }
            text.push_str(before);
            let line = text.matches('\n').count() as u64 + 1;
            expected.push(record(text.len() as u64, line, &value));
            text.push_str(&value);
            text.push_str(after);
        }
        text.push_str(["", "]", r#"],"y":"]}"}"#][usize::from(shape)]);
        let format = JsonFormat::Document { records: (shape == 2).then(|| "items".to_owned()) };
        let mut framer = Framer::for_split(&whole(text.as_bytes()), &format, MIB);
        prop_assert_eq!(run(&mut framer, text.as_bytes(), &chunk_sizes), expected);
        prop_assert_eq!(framer.lines(), text.matches('\n').count() as u64);
    }

    /// For any bytes, chunks do not matter. If the bytes are an array, its items are the records.
    #[test]
    fn any_bytes_in_any_chunks_give_the_same(
        bytes in prop_oneof![
            prop::collection::vec(prop::sample::select(b"{}[]\",:\\ \n1a".to_vec()), 0..60),
            prop::collection::vec(prop::sample::select(b"{}[],1".to_vec()), 0..12)
                .prop_map(|inner| [b"[", inner.as_slice(), b"]"].concat()),
            "\\{\"(a|items)\":[\\[\\]{},1\" ]{0,20}\\}".prop_map(String::into_bytes),
        ],
        chunk_sizes in prop::collection::vec(1_usize..10, 1..5),
        max_record_bytes in 1_u64..40,
        patience_bytes in 1_u64..100,
        records in prop::option::of(Just("items".to_owned())),
    ) {
        let format = JsonFormat::Document { records };
        let framed = |chunk_sizes: &[usize], most: u64| {
            let mut framer = Framer::for_split(&whole(&bytes), &format, most);
            if let Framer::Document(framer) = &mut framer {
                framer.patience_bytes = patience_bytes;
            }
            let all = run(&mut framer, &bytes, chunk_sizes);
            assert_eq!(framer.lines(), bytes.iter().filter(|byte| **byte == b'\n').count() as u64);
            all
        };
        let at_once = framed(&[1000], max_record_bytes);
        prop_assert_eq!(framed(&chunk_sizes, max_record_bytes), at_once.clone());
        prop_assert!(at_once.windows(2).all(|pair| pair[0].offset < pair[1].offset));
        if format == (JsonFormat::Document { records: None })
            && let Ok(items) = serde_json::from_slice::<Vec<Box<RawValue>>>(&bytes)
        {
            let texts: Vec<_> = framed(&chunk_sizes, MIB).into_iter().map(|seen| seen.text).collect();
            prop_assert_eq!(texts, items.iter().map(|item| item.get().to_owned()).collect::<Vec<_>>());
        }
    }
}
