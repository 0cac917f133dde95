//! Compares both framers with a simple reader, on whole objects and in any splits and chunks.

use super::*;
use crate::storage::object::SourceObject;

/// Tests that each byte of a damaged object is accounted for.
mod accounting;
mod containers;
/// Property tests of any bytes in any chunks.
mod properties;

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

/// Runs a framer as the reader does, with chunks of the given sizes, in turn.
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

/// Returns the records of a whole object. Fails if a chunk size up to 5 gives different records.
fn frame(format: &JsonFormat, max_record_bytes: u64, bytes: &[u8]) -> Vec<Seen> {
    let with = |size: usize| run(&mut Framer::for_split(&whole(bytes), format, max_record_bytes), bytes, &[size]);
    let at_once = with(usize::MAX >> 1);
    for size in 1..=5 {
        assert_eq!(with(size), at_once, "in chunks of {size}");
    }
    at_once
}

fn lines(bytes: &[u8]) -> Vec<Seen> {
    frame(&JsonFormat::Lines, MIB, bytes)
}

fn document(text: &str) -> Vec<Seen> {
    frame(&JsonFormat::Document { records: None }, MIB, text.as_bytes())
}

fn items(text: &str) -> Vec<Seen> {
    frame(&JsonFormat::Document { records: Some("items".into()) }, MIB, text.as_bytes())
}

/// Returns the lines that start in each part of the object. Line numbers are those in the whole
/// object, computed as the coordinator does.
fn frame_in_parts(bytes: &[u8], cuts: &[u64], max_record_bytes: u64, chunk_sizes: &[usize]) -> Vec<Seen> {
    let object = whole(bytes).object;
    let mut all = Vec::new();
    let mut lines_before = 0;
    for pair in cuts.windows(2) {
        let split = Split { object: object.clone(), range: pair[0]..pair[1] };
        let mut framer = Framer::for_split(&split, &JsonFormat::Lines, max_record_bytes);
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
fn a_byte_order_mark_may_start_any_line_and_nothing_else() {
    assert_eq!(lines("{}\n\u{FEFF}{}".as_bytes()), [record(0, 1, "{}"), record(6, 2, "{}")]);
    assert_eq!(lines("{}\n\u{FEFF}\r\n{}".as_bytes()), [record(0, 1, "{}"), record(8, 3, "{}")]);
    assert_eq!(lines("{}\u{FEFF}{}".as_bytes()), [record(0, 1, "{}\u{FEFF}{}")]);
}

#[test]
fn a_line_that_is_too_long_is_broken_and_the_next_is_not() {
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(200_000));
    let text = format!("{{}}\n{long}\n{{\"b\":2}}\n{long}");
    for chunk in [1000, 65_536, 1 << 20] {
        let mut framer = Framer::for_split(&whole(text.as_bytes()), &JsonFormat::Lines, 100_000);
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
    for (format, separator) in [(JsonFormat::Lines, "\n"), (JsonFormat::Document { records: None }, "")] {
        let text = ["{\"a\":1}", "{\"a\":22}", "{\"b\":3}"].join(separator);
        let reasons: Vec<_> = frame(&format, 7, text.as_bytes()).into_iter().map(|seen| seen.reason).collect();
        assert_eq!(reasons, [None, Some(Reason::TooLong), None], "{format:?}");
    }
}

#[test]
fn a_split_without_a_beginning_of_a_line_has_no_records_and_stops_at_its_end() {
    let text = [b'x'; 1000];
    let split = Split { object: whole(&text).object, range: 100..200 };
    let mut framer = Framer::for_split(&split, &JsonFormat::Lines, MIB);
    framer.push(&Bytes::copy_from_slice(&text[99..200]));
    assert_eq!(framer.next(), None);
    assert!(framer.is_done(), "what follows is the next split's business");
    assert_eq!(framer.lines(), 0);
}

#[test]
fn a_split_is_done_with_its_last_line() {
    let text = b"aa\nbb\ncc\ndd\n";
    let split = Split { object: whole(text).object, range: 3..7 };
    let mut framer = Framer::for_split(&split, &JsonFormat::Lines, MIB);
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
        (JsonFormat::Lines, "{\"a\":1}\n{\"b\"", broken(8, 2, Reason::CorruptCompression, "{\"b\"")),
        (JsonFormat::Lines, "{\"a\":1}\n", broken(8, 2, Reason::CorruptCompression, "")),
        (
            JsonFormat::Document { records: None },
            "{\"a\":1}\n{\"b\"",
            broken(8, 2, Reason::CorruptCompression, "{\"b\""),
        ),
        (JsonFormat::Document { records: None }, "{\"a\":1}\n", broken(8, 2, Reason::CorruptCompression, "")),
        (JsonFormat::Document { records: None }, "[{\"a\":1}", broken(8, 1, Reason::CorruptCompression, "")),
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
        let page = "{\"items\":[{}]}";
        let pages = items(&format!("{page}{text}{page}"));
        let is_object = text.starts_with('{');
        assert_eq!(pages.len(), if is_object { 3 } else { 2 }, "the next object is read all the same: {pages:?}");
        let mut framer =
            Framer::for_split(&whole(text.as_bytes()), &JsonFormat::Document { records: Some("items".into()) }, MIB);
        framer.push(&Bytes::from(text));
        framer.finish();
        let Some(Framed::Broken { detail, .. }) = framer.next() else { panic!("{text}") };
        assert!(detail.contains("`items`"), "{detail}");
    }
    let twice = r#"{"items":[{}],"items":[{}]}"#;
    assert_eq!(items(twice), [record(10, 1, "{}"), broken(13, 1, Reason::BrokenDocument, &twice[13..])]);
    let twice_and_more = format!("{twice}\n{{\"items\":[{{}}]}}");
    assert_eq!(items(&twice_and_more)[2], record(38, 2, "{}"));
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
    for text in [
        r#"{"items":[{}] "x":1}"#,
        r#"{"items":[{}],}"#,
        r#"{"items":[{}]"#,
        r#"{"items":[{}],"x""#,
        r#"{"items":[{}],"x":[}}"#,
        r#"{"items":[{}],"x" 1}"#,
        r#"{"items":[{}],1:1}"#,
        r#"{"items":[{}],"x":{"y":1"z":2}}"#,
        r#"{"items":[{}],"x":{"y" ,1}}"#,
        r#"{"items":[{}],"x":[1,]}"#,
    ] {
        assert_eq!(items(text), [record(10, 1, "{}"), broken(13, 1, BrokenDocument, &text[13..])], "{text}");
    }
    assert_eq!(document("\u{FEFF}"[..0].into()), []);
    let half_a_mark = frame(&JsonFormat::Document { records: None }, MIB, b"\xEF\xBB{}");
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
    let found = frame(&JsonFormat::Document { records: None }, MIB, b"[{\"a\":\"\xFF\xC3\"},{\"b\":2}]");
    assert_eq!(found.len(), 2);
    assert_eq!(found[1], record(12, 1, "{\"b\":2}"));
}

#[test]
fn a_hundred_thousand_brackets_need_no_stack() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let text = format!("[{deep},{{\"a\":{deep}}}]");
    let run_with = |text: &str| {
        let mut framer = Framer::for_split(&whole(text.as_bytes()), &JsonFormat::Document { records: None }, MIB);
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
    let format = JsonFormat::Document { records: Some("items".into()) };
    for chunk in [1000, 65_536, 1 << 20] {
        let mut framer = Framer::for_split(&whole(text.as_bytes()), &format, 100_000);
        let found = run(&mut framer, text.as_bytes(), &[chunk]);
        assert_eq!(found.len(), 3, "{chunk}");
        assert_eq!(found[1].reason, Some(Reason::TooLong));
        assert_eq!((found[1].line, found[1].text.as_str()), (2, &long[..64 * 1024]));
        assert_eq!((found[2].reason, found[2].text.as_str()), (None, "{\"b\":2}"));
    }
}

/// The rest of a document can be gigabytes. The framer keeps only its start, counts its length, and
/// searches for the next record.
#[test]
fn a_lost_document_is_followed_to_its_end_and_its_beginning_is_kept() {
    let junk = "x".repeat(200_000);
    for chunk in [1000, 65_536, 1 << 20] {
        let text = format!("[{{}} {junk}");
        let mut framer = Framer::for_split(&whole(b""), &JsonFormat::Document { records: None }, MIB);
        let found = run(&mut framer, text.as_bytes(), &[chunk]);
        assert_eq!(found[0], record(1, 1, "{}"));
        assert_eq!((found[1].reason, found[1].text.len()), (Some(Reason::BrokenDocument), 64 * 1024));
        assert_eq!(found.len(), 2);

        let text = format!("{{}}\n{junk}\n{{\"a\":1}}\n");
        let mut framer = Framer::for_split(&whole(b""), &JsonFormat::Document { records: None }, MIB);
        let found = run(&mut framer, text.as_bytes(), &[chunk]);
        assert_eq!((found[1].reason, found[1].text.len()), (Some(Reason::BrokenDocument), 64 * 1024));
        assert_eq!(found[2..], [record(200_004, 3, "{\"a\":1}")]);
    }
}

#[test]
fn a_lost_byte_costs_one_record_or_two() {
    type Edit<'a> = &'a dyn Fn(&str) -> String;
    let lines = |at: usize, edit: Edit<'_>| -> String {
        let line = |id: usize| format!("{{\"id\":{id},\"l\":[{{\"s\":\"text {id}\"}}]}}");
        (0..2000).map(|id| if id == at { edit(&line(id)) } else { line(id) } + "\n").collect()
    };
    let cases: [(&str, Edit<'_>, usize); 8] = [
        ("a closing brace", &|line| line[..line.len() - 1].to_owned(), 2),
        ("an inner closing brace", &|line| line.replace("}]", "]"), 1),
        ("a closing bracket", &|line| line.replace(']', ""), 2),
        ("an opening brace", &|line| line[1..].to_owned(), 1),
        ("a quote", &|line| line.replace(":\"", ":"), 1),
        ("a brace too many", &|line| line.to_owned() + "}", 0),
        ("another line", &|_| "WARN: no { JSON".to_owned(), 1),
        ("a null", &|_| "null".to_owned(), 1),
    ];
    for (what, edit, lost) in cases {
        // The rest of the object is once longer and once shorter than the length after which a
        // broken record is given up.
        for at in [10, 1500] {
            let text = lines(at, edit);
            for chunk in [777, 1 << 20] {
                let mut framer = Framer::for_split(&whole(b""), &JsonFormat::Document { records: None }, MIB);
                let all = run(&mut framer, text.as_bytes(), &[chunk]);
                let records = all.iter().filter(|seen| seen.reason.is_none());
                let ids: Vec<usize> = records.filter_map(|seen| id(&seen.text)).collect();
                let expected: Vec<usize> = (0..2000).filter(|id| !(at..at + lost).contains(id)).collect();
                assert!(ids == expected, "{what} at {at}: {} records", ids.len());
                let last = all.last().unwrap();
                assert_eq!((last.line, last.reason), (2000, None), "{what}: lines are counted on");
            }
        }
    }
}

/// A missing quote makes the text between later strings look like strings.
#[test]
fn a_quote_that_is_lost_behind_the_records_of_a_page_costs_none_of_the_next_page() {
    let page = |number: usize, key: &str| {
        let records: Vec<String> =
            (0..3).map(|id| format!("{{\"id\":{},\"s\":\"a :] smile\"}}", 3 * number + id)).collect();
        format!("{{\"page\":{number},\"items\":[{}],\"next\":{{{key}:3}}}}\n", records.join(","))
    };
    for key in ["\"count ", "count\"", "\"co\"unt\"", "\"count\"3", "\"count\\\""] {
        let text: String = (0..5).map(|number| page(number, if number == 1 { key } else { "\"count\"" })).collect();
        let all = items(&text);
        let ids: Vec<_> = all.iter().filter_map(|seen| id(&seen.text)).collect();
        assert_eq!(ids, (0..15).collect::<Vec<_>>(), "{key}: {all:?}");
        let broken: Vec<_> = all.iter().filter(|seen| seen.reason.is_some()).collect();
        let starts = 2 * page(0, "\"count\"").len() - ",\"next\":{\"count\":3}}\n".len();
        assert_eq!(broken.len(), 1, "{key}");
        assert_eq!((broken[0].offset, broken[0].reason), (starts as u64, Some(Reason::BrokenDocument)), "{key}");
        assert!(broken[0].text.starts_with(",\"next\""), "{key}: {broken:?}");
    }
}

#[test]
fn a_quote_that_is_lost_in_a_record_of_several_lines_costs_that_record() {
    let pretty = |id: usize, quote: &str| format!("{{\n  \"id\": {id},\n  \"s\": \"text{quote},\n  \"t\": \"\"\n}}\n");
    let text: String = (0..20).map(|id| pretty(id, if id == 7 { "" } else { "\"" })).collect();
    let all = document(&text);
    let ids: Vec<_> = all.iter().filter_map(|seen| id(&seen.text)).collect();
    assert_eq!(ids, (0..20).filter(|id| *id != 7).collect::<Vec<_>>());
    assert_eq!(all[7], broken(7 * pretty(0, "\"").len() as u64, 36, Reason::BrokenDocument, &pretty(7, "")));
}

/// Some programs do not escape line feeds. Then only the record itself is lost.
#[test]
fn a_record_with_a_line_feed_in_a_string_is_one_malformed_record_if_it_ends() {
    let torn = "{\"a\":\"x\ny\"}";
    assert_eq!(document(torn), [broken(0, 1, Reason::Malformed, torn)]);
    let text = format!("[{{}},{torn},{{}}]");
    let rest = 5 + torn.len() as u64;
    assert_eq!(document(&text), [record(1, 1, "{}"), broken(4, 1, Reason::Malformed, torn), record(rest, 2, "{}")]);
    assert_eq!(document("[\"x\ny\",{}]")[1], record(7, 2, "{}"));
}

fn id(record: &str) -> Option<usize> {
    usize::try_from(serde_json::from_str::<serde_json::Value>(record).ok()?["id"].as_u64()?).ok()
}

/// Matching brackets make a record, even if another record seems to start inside it.
#[test]
fn a_malformed_record_is_not_torn_while_it_is_short() {
    let torn = "{\"a\":[\n{\"b\":1}\n{\"b\":2}\n{\"b\":3}\n]}";
    let text = format!("{torn}\n{{\"c\":1}}\n");
    assert_eq!(document(&text), [record(0, 1, torn), record(torn.len() as u64 + 1, 6, "{\"c\":1}")]);
}

#[test]
fn byte_order_marks_may_stand_between_documents() {
    let text = "\u{FEFF}{\"a\":1}\n\u{FEFF}{\"b\":2}\n\u{FEFF}[{\"c\":3}]";
    assert_eq!(document(text), [record(3, 1, "{\"a\":1}"), record(14, 2, "{\"b\":2}"), record(26, 3, "{\"c\":3}")]);
}
