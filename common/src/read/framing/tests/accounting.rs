//! Tests each edit of one byte, and each cut, of objects in all layouts: every missing record is
//! reported.
//!
//! Each byte of a record of the undamaged object must be in an accepted record or in a range that
//! was reported as broken. Each record before the edit must be accepted.

use std::ops::Range;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::read::framing::value::is_space;

/// Bytes that replace each byte, or are inserted before it: all bytes with a meaning for framing,
/// and some without.
const BYTES: &[u8] = b"{}[]\",:\\\n\r \t0ax-.\0\xC3\xEF\xFF";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    Lines,
    /// One record after another, each on its own line.
    Stream,
    /// One record after another, each on several lines.
    PrettyStream,
    /// One record after another, without anything between them.
    Glued,
    Array,
    PrettyArray,
    /// One JSON object with an array of records, and with members before and after the array.
    Page,
    /// JSON objects with an array of records, one on each line.
    Pages,
    /// JSON objects with an array of records, each on several lines.
    PrettyPages,
    /// JSON objects with an array of records, without anything between them.
    GluedPages,
}

const LAYOUTS: [Layout; 10] = [
    Layout::Lines,
    Layout::Stream,
    Layout::PrettyStream,
    Layout::Glued,
    Layout::Array,
    Layout::PrettyArray,
    Layout::Page,
    Layout::Pages,
    Layout::PrettyPages,
    Layout::GluedPages,
];

/// An undamaged object.
#[derive(Debug, Clone)]
struct Intact {
    layout: Layout,
    text: String,
    /// Byte ranges of the records of the object.
    records: Vec<Range<usize>>,
}

/// Change of one byte of the object, or a cut.
#[derive(Debug, Clone, Copy)]
enum Edit {
    Cut,
    Change(u8),
    Remove,
    Insert(u8),
}

impl Edit {
    fn apply(self, text: &[u8], at: usize) -> Vec<u8> {
        let mut text = text.to_vec();
        match self {
            Self::Cut => text.truncate(at),
            Self::Change(byte) => text[at] = byte,
            Self::Remove => drop(text.remove(at)),
            Self::Insert(byte) => text.insert(at, byte),
        }
        text
    }

    /// Returns the position of a byte after the edit at `at`, or `None` if the edit removed or
    /// changed it.
    fn moved(self, byte: usize, at: usize) -> Option<usize> {
        match self {
            _ if byte < at => Some(byte),
            Self::Cut => None,
            Self::Change(_) => (byte > at).then_some(byte),
            Self::Remove => (byte > at).then(|| byte - 1),
            Self::Insert(_) => Some(byte + 1),
        }
    }
}

impl Layout {
    fn format(self) -> JsonFormat {
        match self {
            Self::Lines => JsonFormat::Lines,
            Self::Page | Self::Pages | Self::PrettyPages | Self::GluedPages => {
                JsonFormat::Document { records: Some("items".into()) }
            }
            _ => JsonFormat::Document { records: None },
        }
    }

    /// Writes records in this layout, three on each page.
    fn write(self, values: &[Value]) -> Intact {
        let is_pretty = matches!(self, Self::PrettyStream | Self::PrettyArray | Self::PrettyPages);
        let (mut text, mut records) = (String::new(), Vec::new());
        let push = |text: &mut String, records: &mut Vec<Range<usize>>, value: &Value| {
            let written = if is_pretty { serde_json::to_string_pretty(value).unwrap() } else { value.to_string() };
            let start = text.len();
            text.push_str(&written);
            records.push(start..text.len());
        };
        let (open, comma, close) = if is_pretty { ("[\n", ",\n", "\n]") } else { ("[", ",", "]") };
        let between = match self {
            Self::Lines | Self::Stream | Self::PrettyStream => "\n",
            Self::Glued => "",
            _ => comma,
        };
        let page_records =
            if self.format() == (JsonFormat::Document { records: Some("items".into()) }) && self != Self::Page {
                3
            } else {
                values.len().max(1)
            };
        for (number, page) in values.chunks(page_records).enumerate() {
            text += &match self {
                Self::Array | Self::PrettyArray => open.to_owned(),
                Self::Page | Self::Pages | Self::GluedPages => format!("{{\"page\":{number},\"items\":{open}"),
                Self::PrettyPages => format!("{{\n  \"page\": {number},\n  \"items\": {open}"),
                _ => String::new(),
            };
            for (i, value) in page.iter().enumerate() {
                text += if i > 0 { between } else { "" };
                push(&mut text, &mut records, value);
            }
            text += &match self {
                Self::Array | Self::PrettyArray => format!("{close}\n"),
                Self::Page | Self::Pages => format!("{close},\"next\":{{\"count\":3,\"of\":[\"a\",true]}}}}\n"),
                Self::GluedPages => format!("{close},\"next\":{{\"count\":3}}}}"),
                Self::PrettyPages => format!("{close},\n  \"next\": {{\n    \"count\": 3\n  }}\n}}\n"),
                _ => String::new(),
            };
        }
        Intact { layout: self, text, records }
    }
}

/// Byte ranges that a framer returned, by kind of result.
#[derive(Debug, Default)]
struct Outcome {
    accepted: Vec<Range<usize>>,
    /// Ranges that were framed as one record but are not a JSON object.
    rejected: Vec<Range<usize>>,
    /// Ranges that the framer reported as broken.
    broken: Vec<Range<usize>>,
}

fn outcome(layout: Layout, text: &[u8], chunk_bytes: usize) -> Outcome {
    let mut outcome = Outcome::default();
    let mut framer = Framer::for_split(&whole(text), &layout.format(), MIB);
    let mut take = |framer: &mut Framer| {
        while let Some(framed) = framer.next() {
            let place = |offset: u64, bytes: u64| {
                let start = usize::try_from(offset).unwrap();
                start..start + usize::try_from(bytes).unwrap()
            };
            match framed {
                Framed::Record { offset, text, .. } => {
                    let is_object = matches!(serde_json::from_slice(text), Ok(Value::Object(_)));
                    let ranges = if is_object { &mut outcome.accepted } else { &mut outcome.rejected };
                    ranges.push(place(offset, text.len() as u64));
                }
                Framed::Broken { offset, bytes, .. } => outcome.broken.push(place(offset, bytes)),
            }
        }
    };
    for chunk in text.chunks(chunk_bytes) {
        framer.push(&Bytes::copy_from_slice(chunk));
        take(&mut framer);
    }
    framer.finish();
    take(&mut framer);
    outcome
}

/// Panics if a record of the undamaged object is missing without a report, or if a record is
/// invented.
fn check(intact: &Intact, edit: Edit, at: usize) {
    let text = edit.apply(intact.text.as_bytes(), at);
    let outcome = outcome(intact.layout, &text, usize::MAX >> 1);
    let case = || format!("{:?}, {edit:?} at {at}: {outcome:?} of\n{}", intact.layout, String::from_utf8_lossy(&text));
    let Outcome { accepted, rejected, broken } = &outcome;
    let mut all = [accepted.as_slice(), rejected, broken].concat();
    all.sort_by_key(|range| (range.start, range.end));
    assert!(all.windows(2).all(|pair| pair[0].end <= pair[1].start), "overlap: {}", case());
    assert!(all.iter().all(|range| range.end <= text.len()), "beyond the end: {}", case());

    let moved: Vec<Option<Range<usize>>> = intact
        .records
        .iter()
        .map(|record| {
            let is_hit = record.contains(&at) && !(matches!(edit, Edit::Insert(_)) && record.start == at);
            let start = edit.moved(record.start, at)?;
            (!is_hit).then(|| start..start + record.len()).filter(|record| record.end <= text.len())
        })
        .collect();
    for (record, moved) in intact.records.iter().zip(&moved) {
        if record.end <= at && !(record.end == at && intact.layout == Layout::Lines) {
            assert!(accepted.contains(record), "lost before the damage: {record:?}: {}", case());
        }
        let bytes = record.clone().filter_map(|byte| edit.moved(byte, at));
        let is_separator = |byte: u8| is_space(byte) || matches!(byte, b'[' | b']' | b',');
        for byte in bytes.filter(|byte| !is_separator(text[*byte])) {
            let is_covered = all.iter().any(|range| range.contains(&byte));
            assert!(is_covered, "byte {byte} of the record {moved:?} is unaccounted for: {}", case());
        }
    }
    // After framing was lost, only records of the undamaged object are accepted.
    if let Some(lost) = broken.first() {
        for record in accepted.iter().filter(|record| record.start >= lost.end) {
            assert!(moved.iter().flatten().any(|moved| moved == record), "made up: {record:?}: {}", case());
        }
    }
}

/// Texts that look like JSON if a quote is lost.
fn values() -> Vec<Value> {
    ["text", "[draft", "draft]", "a :] smile", "}}", "x\"},{\"y\\", "{\"id\":9}\n"]
        .iter()
        .enumerate()
        .map(|(id, text)| serde_json::json!({"id": id, "s": text, "l": [{"k": [id]}, {}]}))
        .collect()
}

#[test]
fn no_edit_of_one_byte_loses_a_record_without_a_trace() {
    for layout in LAYOUTS {
        let intact = layout.write(&values());
        let Outcome { accepted, rejected, broken } = outcome(layout, intact.text.as_bytes(), 7);
        assert_eq!(accepted, intact.records, "{layout:?}");
        assert!(rejected.is_empty() && broken.is_empty(), "{layout:?}");
        for at in 0..intact.text.len() {
            for edit in [Edit::Cut, Edit::Remove] {
                check(&intact, edit, at);
            }
            for byte in BYTES {
                check(&intact, Edit::Change(*byte), at);
                check(&intact, Edit::Insert(*byte), at);
            }
        }
    }
}

fn value() -> impl Strategy<Value = Value> {
    let text = || "[a-z{}\\[\\]\":,\\\\\n]{0,12}".prop_map(Value::from);
    let leaf = prop_oneof![any::<u8>().prop_map(Value::from), text(), Just(Value::Null)];
    let value = leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[ab{]", inner, 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    });
    (any::<u8>(), value).prop_map(|(id, value)| serde_json::json!({"id": id, "v": value}))
}

fn edit() -> impl Strategy<Value = Edit> {
    let byte = || prop_oneof![prop::sample::select(BYTES), any::<u8>()];
    prop_oneof![Just(Edit::Cut), Just(Edit::Remove), byte().prop_map(Edit::Change), byte().prop_map(Edit::Insert)]
}

proptest! {
    #[test]
    fn no_edit_of_any_records_loses_one_without_a_trace(
        values in prop::collection::vec(value(), 1..12),
        layout in prop::sample::select(LAYOUTS.to_vec()),
        edit in edit(),
        at in any::<prop::sample::Index>(),
    ) {
        let intact = layout.write(&values);
        check(&intact, edit, at.index(intact.text.len()));
    }
}
