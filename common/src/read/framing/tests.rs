//! Both framers against what a reader of the text sees, whole and in any cuts and chunks.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;
use crate::read::object::SourceObject;

const MIB: u64 = 1 << 20;

/// A [`Framed`] that outlives its framer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    offset: u64,
    line: u64,
    reason: Option<Reason>,
    text: String,
}

fn seen(framed: Framed<'_>) -> Seen {
    let text = |text| String::from_utf8_lossy(text).into_owned();
    match framed {
        Framed::Record { offset, line, text: bytes } => Seen { offset, line, reason: None, text: text(bytes) },
        Framed::Broken { offset, line, reason, text: bytes, .. } => {
            Seen { offset, line, reason: Some(reason), text: text(bytes) }
        }
    }
}

fn record(offset: u64, line: u64, text: &str) -> Seen {
    Seen { offset, line, reason: None, text: text.into() }
}

fn broken(offset: u64, line: u64, reason: Reason, text: &str) -> Seen {
    Seen { offset, line, reason: Some(reason), text: text.into() }
}

fn whole(bytes: &[u8]) -> Split {
    Split::whole(SourceObject { key: "a.json".into(), bytes: bytes.len() as u64, etag: None, modified: 0 })
}

/// Runs a framer as the reader does; the chunks' sizes are taken in turn.
fn run(framer: &mut Framer, bytes: &[u8], chunk_sizes: &[usize]) -> Vec<Seen> {
    let mut all = Vec::new();
    let mut at = 0;
    for size in chunk_sizes.iter().cycle() {
        if at == bytes.len() || framer.is_done() {
            break;
        }
        let end = (at + size).min(bytes.len());
        framer.push(&Bytes::copy_from_slice(&bytes[at..end]));
        at = end;
        while let Some(framed) = framer.next() {
            all.push(seen(framed));
        }
    }
    framer.finish();
    while let Some(framed) = framer.next() {
        all.push(seen(framed));
    }
    all
}

/// The records of a whole object, after every chunk size up to 5 gave the same.
fn frame(format: &Format, max_record_bytes: u64, bytes: &[u8]) -> Vec<Seen> {
    let with = |size: usize| run(&mut Framer::for_split(&whole(bytes), format, max_record_bytes), bytes, &[size]);
    let at_once = with(usize::MAX >> 1);
    for size in 1..=5 {
        assert_eq!(with(size), at_once, "in chunks of {size}");
    }
    at_once
}

fn lines(bytes: &[u8]) -> Vec<Seen> {
    frame(&Format::Ndjson, MIB, bytes)
}

fn document(text: &str) -> Vec<Seen> {
    frame(&Format::Json { records: None }, MIB, text.as_bytes())
}

fn items(text: &str) -> Vec<Seen> {
    frame(&Format::Json { records: Some("items".into()) }, MIB, text.as_bytes())
}

/// The lines that begin in each part of the object, with lines numbered as the coordinator does.
fn frame_in_parts(bytes: &[u8], cuts: &[u64], max_record_bytes: u64, chunk_sizes: &[usize]) -> Vec<Seen> {
    let object = whole(bytes).object;
    let mut all = Vec::new();
    let mut lines_before = 0;
    for pair in cuts.windows(2) {
        let split = Split { object: object.clone(), range: pair[0]..pair[1] };
        let mut framer = Framer::for_split(&split, &Format::Ndjson, max_record_bytes);
        let from = usize::try_from(pair[0].saturating_sub(1)).unwrap();
        for mut seen in run(&mut framer, &bytes[from..], chunk_sizes) {
            seen.line += lines_before;
            all.push(seen);
        }
        lines_before += framer.lines();
    }
    all
}

#[test]
fn a_byte_range_never_splits_a_record() {
    let text = b"{\"a\":1}\n{\"b\":2}\r\n\n  {\"c\":3}\n{\"d\":4}";
    let expected = lines(text);
    assert_eq!(expected.len(), 4);
    let end = text.len() as u64;
    for a in 0..=end {
        for b in a..=end {
            let cuts: Vec<u64> = [0, a, b, end].into();
            // An empty range is never planned, except for an empty object.
            let cuts: Vec<u64> =
                cuts.iter().enumerate().filter(|(i, c)| *i == 0 || cuts[i - 1] < **c).map(|(_, c)| *c).collect();
            assert_eq!(frame_in_parts(text, &cuts, MIB, &[3]), expected, "cut at {a} and {b}");
        }
    }
}

#[test]
fn a_byte_order_mark_crlf_blank_lines_and_a_missing_last_line_feed_are_fine() {
    let text = "\u{FEFF}{\"a\":1}\r\n\r\n \t \n{\"b\":2}\n\n\n{\"c\":3}";
    assert_eq!(
        lines(text.as_bytes()),
        [record(3, 1, "{\"a\":1}"), record(18, 4, "{\"b\":2}"), record(28, 7, "{\"c\":3}")]
    );
    for blank in ["", "\n", "\r\n\r\n", "  ", "\u{FEFF}", "\u{FEFF}\r\n"] {
        assert_eq!(lines(blank.as_bytes()), [], "{blank:?}");
        assert_eq!(document(blank), [], "{blank:?}");
        assert_eq!(items(blank), [], "{blank:?}");
    }
}

#[test]
fn a_byte_order_mark_elsewhere_is_left_to_the_decoder() {
    assert_eq!(lines("{}\n\u{FEFF}{}".as_bytes()), [record(0, 1, "{}"), record(3, 2, "\u{FEFF}{}")]);
}

#[test]
fn a_line_that_is_too_long_is_broken_and_the_next_is_not() {
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(200_000));
    let text = format!("{{}}\n{long}\n{{\"b\":2}}\n{long}");
    for chunk in [1000, 65_536, 1 << 20] {
        let mut framer = Framer::for_split(&whole(text.as_bytes()), &Format::Ndjson, 100_000);
        let kept = &long[..64 * 1024];
        let last = 3 + long.len() as u64 + 1 + 8;
        assert_eq!(
            run(&mut framer, text.as_bytes(), &[chunk]),
            [
                record(0, 1, "{}"),
                broken(3, 2, Reason::TooLong, kept),
                record(3 + long.len() as u64 + 1, 3, "{\"b\":2}"),
                broken(last, 4, Reason::TooLong, kept)
            ]
        );
    }
}

#[test]
fn a_record_of_just_the_allowed_length_is_fine() {
    for (format, separator) in [(Format::Ndjson, "\n"), (Format::Json { records: None }, "")] {
        let text = ["{\"a\":1}", "{\"a\":22}", "{\"b\":3}"].join(separator);
        let reasons: Vec<_> = frame(&format, 7, text.as_bytes()).into_iter().map(|seen| seen.reason).collect();
        assert_eq!(reasons, [None, Some(Reason::TooLong), None], "{format:?}");
    }
}

#[test]
fn a_split_without_a_beginning_of_a_line_has_no_records_and_stops_at_its_end() {
    let text = [b'x'; 1000];
    let split = Split { object: whole(&text).object, range: 100..200 };
    let mut framer = Framer::for_split(&split, &Format::Ndjson, MIB);
    framer.push(&Bytes::copy_from_slice(&text[99..199]));
    assert_eq!(framer.next(), None);
    assert!(framer.is_done(), "what follows is the next split's business");
    assert_eq!(framer.lines(), 0);
}

#[test]
fn a_split_is_done_with_its_last_line() {
    let text = b"aa\nbb\ncc\ndd\n";
    let split = Split { object: whole(text).object, range: 3..7 };
    let mut framer = Framer::for_split(&split, &Format::Ndjson, MIB);
    framer.push(&Bytes::copy_from_slice(&text[2..7]));
    assert_eq!(framer.next().map(seen), Some(record(3, 1, "bb")));
    assert_eq!(framer.next(), None);
    assert!(!framer.is_done(), "its last line goes on");
    framer.push(&Bytes::copy_from_slice(&text[7..]));
    assert_eq!(framer.next().map(seen), Some(record(6, 2, "cc")));
    assert_eq!(framer.next(), None);
    assert!(framer.is_done());
    assert_eq!(framer.lines(), 2);
}

#[test]
fn bytes_that_break_off_cost_what_is_unfinished() {
    for (format, text, expected) in [
        (Format::Ndjson, "{\"a\":1}\n{\"b\"", broken(8, 2, Reason::CorruptCompression, "{\"b\"")),
        (Format::Ndjson, "{\"a\":1}\n", broken(8, 2, Reason::CorruptCompression, "")),
        (Format::Json { records: None }, "{\"a\":1}\n{\"b\"", broken(8, 2, Reason::CorruptCompression, "{\"b\"")),
        (Format::Json { records: None }, "{\"a\":1}\n", broken(8, 2, Reason::CorruptCompression, "")),
        (Format::Json { records: None }, "[{\"a\":1}", broken(8, 1, Reason::CorruptCompression, "")),
    ] {
        let mut framer = Framer::for_split(&whole(text.as_bytes()), &format, MIB);
        framer.push(&Bytes::from(text));
        let first = framer.next().map(seen).unwrap();
        assert_eq!((first.reason, first.text.as_str()), (None, "{\"a\":1}"));
        assert_eq!(framer.next(), None);
        framer.break_off(Reason::CorruptCompression, "checksum".into());
        assert_eq!(framer.next().map(seen), Some(expected), "{format:?} {text:?}");
        assert_eq!(framer.next(), None);
        assert!(framer.is_done());
    }
}

#[test]
fn one_object_several_and_an_array_are_framed_pretty_or_not() {
    let a = record(0, 1, "{\"a\":1}");
    assert_eq!(document("{\"a\":1}"), std::slice::from_ref(&a));
    assert_eq!(document("{\"a\":1}{\"b\":2}"), [a.clone(), record(7, 1, "{\"b\":2}")]);
    assert_eq!(document("{\"a\":1}\r\n {\"b\":2}\n"), [a, record(10, 2, "{\"b\":2}")]);
    assert_eq!(document("[{\"a\":1},{\"b\":2}]"), [record(1, 1, "{\"a\":1}"), record(9, 1, "{\"b\":2}")]);
    assert_eq!(
        document("[\n  {\n    \"a\": 1\n  },\n  {}\n]\n"),
        [record(4, 2, "{\n    \"a\": 1\n  }"), record(24, 5, "{}")]
    );
    assert_eq!(document("[]"), []);
    assert_eq!(document(" [ ] "), []);
    assert_eq!(document("[{}][{}]"), [record(1, 1, "{}"), record(5, 1, "{}")], "files put one after another");
    assert_eq!(document("\u{FEFF}[{}]"), [record(4, 1, "{}")]);
}

#[test]
fn brackets_and_quotes_inside_strings_mean_nothing() {
    let first = r#"{"a":"}{][","b":"\"}","c\\":"\\"}"#;
    let second = r#"{"d":"\\\"[,"}"#;
    assert_eq!(
        document(&format!("[{first}, {second}]")),
        [record(1, 1, first), record(first.len() as u64 + 3, 1, second)]
    );
}

#[test]
fn an_array_under_a_key_is_found_among_other_members() {
    let text = r#"{"meta":{"items":[1,{"x":"]}"}]},"n":1.5e3,"s":"a,b","items" : [{"a":1}, {"b":2}],"after":[[]]}"#;
    assert_eq!(items(text), [record(64, 1, "{\"a\":1}"), record(73, 1, "{\"b\":2}")]);
    assert_eq!(items(r#"{"items":[]}"#), []);
    assert_eq!(items(r#"{"it\u0065ms":[{}]}"#), [record(15, 1, "{}")], "an escaped key");
    assert_eq!(items("{\"items\":[{}]}\n{\"items\":[{}]}\n"), [record(10, 1, "{}"), record(25, 2, "{}")], "pages");
}

#[test]
fn an_array_that_is_not_there_is_one_broken_record_that_names_its_key() {
    for text in [
        r#"{"error":"no more"}"#,
        "{}",
        r#"{"items":{"a":1}}"#,
        r#"{"items":null}"#,
        r#"{"x":{"items":[1]}}"#,
        r#"{"Items":[1]}"#,
        "[{\"items\":[]}]",
    ] {
        assert_eq!(items(text), [broken(0, 1, Reason::BrokenDocument, text)], "{text}");
        let mut framer =
            Framer::for_split(&whole(text.as_bytes()), &Format::Json { records: Some("items".into()) }, MIB);
        framer.push(&Bytes::from(text));
        framer.finish();
        let Some(Framed::Broken { detail, .. }) = framer.next() else { panic!("{text}") };
        assert!(detail.contains("`items`"), "{detail}");
    }
    let twice = r#"{"items":[{}],"items":[{}]}"#;
    assert_eq!(items(twice), [record(10, 1, "{}"), broken(22, 1, Reason::BrokenDocument, &twice[22..])]);
}

#[test]
fn where_framing_is_lost_the_records_before_stay_and_the_rest_is_one() {
    use Reason::{BrokenDocument, Malformed};
    for (text, at, reason) in [
        ("[{},{} {}]", 7, BrokenDocument),
        ("[{},{},]", 7, BrokenDocument),
        ("[{},{},,{}]", 7, BrokenDocument),
        ("[{},{};{}]", 6, BrokenDocument),
        ("[{},{}", 6, BrokenDocument),
        ("[{},{},", 7, BrokenDocument),
        ("[{},{},{\"a\":", 7, Malformed),
        ("[{},{},{\"a\":\"]}", 7, Malformed),
        ("[{},{},{\"a\":[1}, {}]", 7, BrokenDocument),
        ("[{},{}}", 6, BrokenDocument),
        ("[{},{}]]", 7, BrokenDocument),
        ("[{},{}] x", 8, BrokenDocument),
        ("[{},{},\u{e9}]", 7, BrokenDocument),
        (" {}{}, {}", 5, BrokenDocument),
        (" {}{} 1", 6, BrokenDocument),
        (" {}{}\"", 5, BrokenDocument),
    ] {
        let all = document(text);
        assert_eq!(all.len(), 3, "{text}: {all:?}");
        assert!(all[..2].iter().all(|seen| seen.reason.is_none() && seen.text == "{}"), "{text}");
        assert_eq!(all[2], broken(at, 1, reason, &text[usize::try_from(at).unwrap()..]), "{text}");
    }
    for (text, at) in [
        (r#"{"items":[{}] "x":1}"#, 14),
        (r#"{"items":[{}],}"#, 14),
        (r#"{"items":[{}]"#, 13),
        (r#"{"items":[{}],"x""#, 17),
        (r#"{"items":[{}],"x":[}}"#, 19),
        (r#"{"items":[{}],"x" 1}"#, 18),
        (r#"{"items":[{}],1:1}"#, 14),
    ] {
        assert_eq!(
            items(text),
            [record(10, 1, "{}"), broken(at, 1, BrokenDocument, &text[usize::try_from(at).unwrap()..])],
            "{text}"
        );
    }
    assert_eq!(document("\u{FEFF}"[..0].into()), []);
    let half_a_mark = frame(&Format::Json { records: None }, MIB, b"\xEF\xBB{}");
    assert_eq!(half_a_mark.len(), 1);
    assert_eq!((half_a_mark[0].offset, half_a_mark[0].reason), (0, Some(BrokenDocument)));
}

#[test]
fn a_bad_record_with_matching_brackets_is_left_to_the_decoder_alone() {
    let text = r#"[{"a" 1},{,},[],"s",12,nul,NaN,{"a":1}]"#;
    let texts: Vec<_> = document(text).into_iter().map(|seen| (seen.reason, seen.text)).collect();
    let expected = ["{\"a\" 1}", "{,}", "[]", "\"s\"", "12", "nul", "NaN", "{\"a\":1}"];
    assert_eq!(texts, expected.map(|text| (None, text.to_owned())));
}

#[test]
fn bytes_that_are_not_utf8_do_not_break_framing() {
    let found = frame(&Format::Json { records: None }, MIB, b"[{\"a\":\"\xFF\xC3\"},{\"b\":2}]");
    assert_eq!(found.len(), 2);
    assert_eq!(found[1], record(12, 1, "{\"b\":2}"));
}

#[test]
fn a_hundred_thousand_brackets_need_no_stack() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let text = format!("[{deep},{{\"a\":{deep}}}]");
    let run_with = |text: &str| {
        let mut framer = Framer::for_split(&whole(text.as_bytes()), &Format::Json { records: None }, MIB);
        run(&mut framer, text.as_bytes(), &[4096])
    };
    let found = run_with(&text);
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|seen| seen.reason.is_none()));
    let found = run_with(&"[".repeat(100_000));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].reason, Some(Reason::Malformed));
}

#[test]
fn an_item_that_is_too_long_is_broken_and_the_next_is_not() {
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(200_000));
    let text = format!("{{\"other\":{long:?},\"items\":[{{}},\n{long},{{\"b\":2}}]}}");
    let format = Format::Json { records: Some("items".into()) };
    for chunk in [1000, 65_536, 1 << 20] {
        let mut framer = Framer::for_split(&whole(text.as_bytes()), &format, 100_000);
        let found = run(&mut framer, text.as_bytes(), &[chunk]);
        assert_eq!(found.len(), 3, "{chunk}");
        assert_eq!(found[1].reason, Some(Reason::TooLong));
        assert_eq!((found[1].line, found[1].text.as_str()), (2, &long[..64 * 1024]));
        assert_eq!((found[2].reason, found[2].text.as_str()), (None, "{\"b\":2}"));
    }
}

/// A document's rest can be gigabytes: its beginning is kept, and nothing more is asked for.
#[test]
fn a_lost_document_is_given_up_once_its_text_is_enough() {
    let mut framer = Framer::for_split(&whole(b""), &Format::Json { records: None }, MIB);
    framer.push(&Bytes::from(format!("[{{}} {}", "x".repeat(200_000))));
    assert_eq!(framer.next().map(seen), Some(record(1, 1, "{}")));
    let lost = framer.next().map(seen).unwrap();
    assert_eq!((lost.reason, lost.text.len()), (Some(Reason::BrokenDocument), 64 * 1024));
    assert!(framer.is_done());
}

/// What a reader sees in newline-delimited text.
fn expected_lines(bytes: &[u8], max_record_bytes: usize) -> Vec<Seen> {
    let mut all = Vec::new();
    let mut offset = 0;
    for (i, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let next = offset + line.len() + 1;
        let number = i as u64 + 1;
        if line.len() > max_record_bytes {
            all.push(broken(offset as u64, number, Reason::TooLong, &String::from_utf8_lossy(line)));
        } else {
            let mark = if offset == 0 && line.starts_with("\u{FEFF}".as_bytes()) { 3 } else { 0 };
            let text = &line[mark..];
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            if !text.iter().all(u8::is_ascii_whitespace) {
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

/// Values as they may stand in a document, and what stands between them.
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
            // At the top only objects are records.
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
        let format = Format::Json { records: (shape == 2).then(|| "items".to_owned()) };
        let mut framer = Framer::for_split(&whole(text.as_bytes()), &format, MIB);
        prop_assert_eq!(run(&mut framer, text.as_bytes(), &chunk_sizes), expected);
        prop_assert_eq!(framer.lines(), text.matches('\n').count() as u64);
    }

    /// Anything at all: chunks do not matter, and where it is an array, its items are the records.
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
        records in prop::option::of(Just("items".to_owned())),
    ) {
        let format = Format::Json { records };
        let framed = |chunk_sizes: &[usize], most: u64| {
            run(&mut Framer::for_split(&whole(&bytes), &format, most), &bytes, chunk_sizes)
        };
        let at_once = framed(&[1000], max_record_bytes);
        prop_assert_eq!(framed(&chunk_sizes, max_record_bytes), at_once.clone());
        prop_assert!(at_once.windows(2).all(|pair| pair[0].offset < pair[1].offset));
        let lost = |seen: &&Seen| seen.reason.is_some_and(|reason| reason != Reason::TooLong);
        prop_assert!(at_once.iter().filter(lost).count() <= 1);
        if format == (Format::Json { records: None })
            && let Ok(items) = serde_json::from_slice::<Vec<Box<RawValue>>>(&bytes)
        {
            let texts: Vec<_> = framed(&chunk_sizes, MIB).into_iter().map(|seen| seen.text).collect();
            prop_assert_eq!(texts, items.iter().map(|item| item.get().to_owned()).collect::<Vec<_>>());
        }
    }
}
