//! Property tests of objects with records, in every format and compression, which are cut at any
//! byte, or have any byte changed, removed or inserted. Every record that a simple reader finds
//! before the damage is accepted, all other bytes are accounted for, and no record is invented.

use proptest::prelude::*;
use serde_json::Value;
use serde_json::value::RawValue;

use super::*;
use crate::read::framing::value::is_space;
use crate::read::rejection::Reason;

/// Layout of the records in an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Lines,
    /// One record after another, each at the start of a line.
    Stream,
    /// One record after another, without line feeds between them.
    Glued,
    Array,
    /// Pages one after another, each with an array of records under `items`.
    Pages,
    /// Like `Pages`, but with members before and after the array, and each page on one line if its
    /// records are.
    Feed,
}

const SHAPES: [Shape; 6] = [Shape::Lines, Shape::Stream, Shape::Glued, Shape::Array, Shape::Pages, Shape::Feed];

/// Style of a written value.
#[derive(Debug, Clone, Copy)]
enum Style {
    Compact,
    /// Each member or item on its own line, indented by this many spaces per level.
    Indented(usize),
    /// Each comma at the start of the next line, without indentation, as in some styles of SQL.
    LeadingCommas,
    /// Braces on lines of their own, without indentation.
    OwnLines,
}

const STYLES: [Style; 5] =
    [Style::Compact, Style::Indented(0), Style::Indented(2), Style::LeadingCommas, Style::OwnLines];

/// Damage to the stored bytes.
#[derive(Debug, Clone, Copy)]
enum Damage {
    Cut,
    Change(u8),
    LeaveOut,
    PutIn(u8),
}

#[derive(Debug, Clone)]
struct Object {
    shape: Shape,
    text: String,
    /// Byte ranges of the records of the object.
    records: Vec<Range<usize>>,
}

impl Object {
    fn format(&self) -> JsonFormat {
        match self.shape {
            Shape::Lines => JsonFormat::Lines,
            Shape::Stream | Shape::Glued | Shape::Array => JsonFormat::Document { records: None },
            Shape::Pages | Shape::Feed => JsonFormat::Document { records: Some("items".into()) },
        }
    }
}

/// Returns the value of a record. Lists of objects and texts that look like JSON could mislead
/// framing.
fn record() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<u32>().prop_map(Value::from),
        Just(Value::Null),
        "[a-z{}\\[\\]\":,\\\\\n]{0,12}".prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(2, 10, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[ab{]", inner, 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    });
    (any::<u16>(), value).prop_map(|(id, value)| serde_json::json!({"id": id, "v": value}))
}

fn write(value: &Value, style: Style, level: usize) -> String {
    let (open, close, items): (_, _, Vec<String>) = match value {
        Value::Object(members) => {
            let member = |(key, value): (&String, &Value)| {
                let space = match (style, value) {
                    (Style::OwnLines, Value::Object(_) | Value::Array(_)) => "\n",
                    _ => "",
                };
                format!("{}:{space}{}", Value::from(key.as_str()), write(value, style, level + 1))
            };
            ('{', '}', members.iter().map(member).collect())
        }
        Value::Array(items) => ('[', ']', items.iter().map(|item| write(item, style, level + 1)).collect()),
        _ => return value.to_string(),
    };
    if items.is_empty() {
        return format!("{open}{close}");
    }
    let (first, between, last) = match style {
        Style::Compact => (String::new(), ",".to_owned(), String::new()),
        Style::Indented(width) => {
            let line = |level: usize| format!("\n{}", " ".repeat(width * level));
            (line(level + 1), format!(",{}", line(level + 1)), line(level))
        }
        Style::LeadingCommas => (String::new(), "\n,".to_owned(), "\n".to_owned()),
        Style::OwnLines => ("\n".to_owned(), ",\n".to_owned(), "\n".to_owned()),
    };
    format!("{open}{first}{}{last}{close}", items.join(&between))
}

fn object() -> impl Strategy<Value = Object> {
    let records = prop::collection::vec(record(), 1..12);
    let (shape, style) = (prop::sample::select(SHAPES.to_vec()), prop::sample::select(STYLES.to_vec()));
    (records, shape, style, any::<bool>()).prop_map(|(values, shape, style, has_mark)| {
        let mut text = if has_mark { "\u{FEFF}".to_owned() } else { String::new() };
        let mut records = Vec::new();
        let style = if shape == Shape::Lines { Style::Compact } else { style };
        text += match shape {
            Shape::Array => "[\n",
            Shape::Pages => "{\"n\":[\n{\"m\":1}\n],\"items\":[\n",
            Shape::Feed => "{\"page\":1,\"items\":[",
            Shape::Lines | Shape::Stream | Shape::Glued => "",
        };
        for (i, value) in values.iter().enumerate() {
            text += match shape {
                _ if i == 0 => "",
                Shape::Array => ",\n",
                Shape::Pages if i % 3 == 0 => "]}\n{\"items\":[\n",
                Shape::Pages => ",\n",
                Shape::Feed if i % 3 == 0 => "],\"next\":{\"count\":3}}\n{\"page\":2,\"items\":[",
                Shape::Feed => ",",
                Shape::Lines | Shape::Stream => "\n",
                Shape::Glued => "",
            };
            let start = text.len();
            text += &write(value, style, 0);
            records.push(start..text.len());
        }
        text += match shape {
            Shape::Array => "\n]\n",
            Shape::Pages => "],\"z\":{\"items\":[{}]}}",
            Shape::Feed => "],\"next\":{\"count\":3}}\n",
            Shape::Lines | Shape::Stream | Shape::Glued => "\n",
        };
        Object { shape, text, records }
    })
}

fn damage() -> impl Strategy<Value = (Damage, prop::sample::Index)> {
    let byte = || prop_oneof![prop::sample::select(b"{}[]\",:\n \\x".to_vec()), any::<u8>()];
    let damage = prop_oneof![
        Just(Damage::Cut),
        byte().prop_map(Damage::Change),
        Just(Damage::LeaveOut),
        byte().prop_map(Damage::PutIn)
    ];
    (damage, any::<prop::sample::Index>())
}

/// Damages bytes. Returns the position of the damage, and the distance by which the bytes after it
/// moved.
fn apply(bytes: &mut Vec<u8>, damage: Damage, at: &prop::sample::Index) -> (usize, isize) {
    let at = at.index(bytes.len());
    match damage {
        Damage::Cut => bytes.truncate(at),
        Damage::Change(byte) => bytes[at] = byte,
        Damage::LeaveOut => drop(bytes.remove(at)),
        Damage::PutIn(byte) => bytes.insert(at, byte),
    }
    let moved = match damage {
        Damage::Cut | Damage::Change(_) => 0,
        Damage::LeaveOut => -1,
        Damage::PutIn(_) => 1,
    };
    (at, moved)
}

/// Returns the range of the value that starts in `text` at `from`, ignoring white space; `None` if
/// there is no value.
fn value_at(text: &[u8], from: usize) -> Option<Range<usize>> {
    let start = from + text.get(from..)?.iter().position(|byte| !is_space(*byte))?;
    let mut values = serde_json::Deserializer::from_slice(&text[start..]).into_iter::<&RawValue>();
    values.next()?.ok()?;
    Some(start..start + values.byte_offset())
}

fn is_object(text: &[u8]) -> bool {
    matches!(serde_json::from_slice(text), Ok(Value::Object(_)))
}

/// Reads records without a framer. Returns the records before the first byte that is not JSON. For
/// lines, returns every line that is JSON.
fn reference(text: &[u8], shape: Shape) -> Vec<Range<usize>> {
    let mark_at = |start: usize| if text[start..].starts_with("\u{FEFF}".as_bytes()) { 3 } else { 0 };
    let mark = mark_at(0);
    let mut records = Vec::new();
    match shape {
        Shape::Lines => {
            let mut start = 0;
            for line in text.split(|byte| *byte == b'\n') {
                let skipped = mark_at(start);
                let end = start + line.strip_suffix(b"\r").unwrap_or(line).len();
                if end > start + skipped && is_object(&text[start + skipped..end]) {
                    records.push(start + skipped..end);
                }
                start += line.len() + 1;
            }
        }
        Shape::Stream | Shape::Glued => {
            let mut at = mark;
            while let Some(value) = value_at(text, at).filter(|value| text[value.start] == b'{') {
                at = value.end;
                records.push(value);
            }
        }
        Shape::Array => reference_array(text, mark, &mut records).map_or((), drop),
        Shape::Pages | Shape::Feed => while_pages(text, mark, &mut records),
    }
    records.retain(|record| is_object(&text[record.clone()]));
    records
}

/// Adds the items of an array to `records`. Returns the end of the array, or `None` if the array is
/// not complete.
fn reference_array(text: &[u8], from: usize, records: &mut Vec<Range<usize>>) -> Option<usize> {
    let next = |at: usize| Some(at + text.get(at..)?.iter().position(|byte| !is_space(*byte))?);
    let mut at = next(from).filter(|at| text[*at] == b'[')? + 1;
    if text[next(at)?] == b']' {
        return Some(next(at)? + 1);
    }
    loop {
        let item = value_at(text, at)?;
        at = next(item.end).unwrap_or(item.end);
        // A number at the end of the input may be cut off, so it is not a complete item.
        records.push(item);
        match text.get(at)? {
            b',' => at += 1,
            b']' => return Some(at + 1),
            _ => return None,
        }
    }
}

fn while_pages(text: &[u8], from: usize, records: &mut Vec<Range<usize>>) {
    let next = |at: usize| Some(at + text.get(at..)?.iter().position(|byte| !is_space(*byte))?);
    let mut at = from;
    let mut page = |from: usize| {
        let mut at = next(from).filter(|at| text[*at] == b'{')? + 1;
        let mut has_items = false;
        loop {
            let key = value_at(text, at).filter(|key| text[key.start] == b'"')?;
            let colon = next(key.end).filter(|at| text[*at] == b':')?;
            let name: String = serde_json::from_slice(&text[key]).ok()?;
            at = if name == "items" {
                // A page with the key twice is broken from its second array on.
                if std::mem::replace(&mut has_items, true) {
                    return None;
                }
                reference_array(text, colon + 1, records)?
            } else {
                value_at(text, colon + 1)?.end
            };
            match text[next(at)?] {
                b',' => at = next(at)? + 1,
                b'}' => return Some(next(at)? + 1),
                _ => return None,
            }
        }
    };
    while let Some(end) = page(at) {
        at = end;
    }
}

/// Returns the bytes that are in no accepted record and in no rejected range.
fn unaccounted(outcome: &Outcome) -> Vec<u8> {
    let mut ranges: Vec<Range<usize>> = outcome.accepted.clone();
    ranges.extend(outcome.rejected.iter().map(|(range, _)| range.clone()));
    ranges.sort_by_key(|range| (range.start, range.end));
    assert!(ranges.windows(2).all(|pair| pair[0].end <= pair[1].start), "overlap: {outcome:?}");
    let mut left = Vec::new();
    let mut at = 0;
    for range in ranges {
        left.extend_from_slice(&outcome.text[at..range.start]);
        at = range.end;
    }
    left.extend_from_slice(&outcome.text[at..]);
    left
}

fn check(object: &Object, stored: &Stored, outcome: &Outcome) -> std::result::Result<(), TestCaseError> {
    let Outcome { accepted, rejected, text, tally } = outcome;
    // An object that is not recognized has no text. Its one rejection covers the stored bytes.
    let is_unsupported = tally.damage.as_ref().is_some_and(|damage| damage.reason == Reason::UnsupportedFormat);
    if is_unsupported && text.is_empty() {
        prop_assert!(accepted.is_empty());
        prop_assert_eq!(rejected, &[(0..stored.bytes.len(), "unsupported_format".to_owned())]);
        return Ok(());
    }
    prop_assert_eq!(tally.bytes, text.len() as u64);
    // Each record that a simple reader finds before the damage is accepted.
    let (mut reference_text, is_whole) = decompressed(stored);
    // The checksum of a bzip2 block is at its end, and the bytes that the library writes for a
    // damaged block depend on the size of its buffer.
    if stored.extension == ".bz2" && !is_whole {
        reference_text.clone_from(text);
    }
    let shown = || {
        let [text, reference] = [text, &reference_text].map(|text| String::from_utf8_lossy(text).into_owned());
        format!("{:?} is read as {text:?}, and by the reference as {reference:?}", stored.bytes)
    };
    prop_assert!(text.starts_with(&reference_text) || reference_text.starts_with(text), "{}", shown());
    let found = reference(&reference_text, object.shape);
    // A line is known to be complete only if bytes follow it.
    let is_ended = |end: usize| is_whole || object.shape != Shape::Lines || end < reference_text.len().min(text.len());
    for record in found.iter().filter(|record| record.end <= text.len() && is_ended(record.end)) {
        prop_assert!(accepted.contains(record), "lost: {record:?}: {}", shown());
    }
    // All other bytes are rejected, except separators between records.
    let is_separator = |byte: &u8| is_space(*byte) || b"[],\xEF\xBB\xBF".contains(byte);
    if !matches!(object.shape, Shape::Pages | Shape::Feed) {
        let left = unaccounted(outcome);
        prop_assert!(left.iter().all(is_separator), "unaccounted: {:?}", String::from_utf8_lossy(&left));
    }
    // An object that cannot be decompressed to its end is damaged, and the offset is reported.
    // Without its signature it may look like text, in which lines that were stored without
    // compression may still be whole. Everything else is rejected then.
    if !is_whole {
        prop_assert!(tally.damage.is_some() || !rejected.is_empty());
    } else if object.text.as_bytes() == text {
        prop_assert!(tally.damage.is_none() && rejected.is_empty());
    }
    if let Some(damage) = &tally.damage {
        let (rest, reason) = rejected.last().unwrap();
        prop_assert_eq!((rest.start as u64, rest.end), (damage.byte_offset, text.len()));
        prop_assert_eq!(reason, damage.reason.as_str());
    } else {
        prop_assert_eq!(tally.stored_bytes, stored.bytes.len() as u64);
    }
    Ok(())
}

/// Checks that each byte of a record of the intact object, except brackets and commas, is in an
/// accepted record or in a rejected range.
fn check_no_record_vanished(
    object: &Object,
    outcome: &Outcome,
    damage: Damage,
    at: usize,
) -> std::result::Result<(), TestCaseError> {
    let moved = |byte: usize| match damage {
        _ if byte < at => Some(byte),
        Damage::Cut => None,
        Damage::Change(_) => (byte > at).then_some(byte),
        Damage::LeaveOut => (byte > at).then(|| byte - 1),
        Damage::PutIn(_) => Some(byte + 1),
    };
    let covered: Vec<&Range<usize>> =
        outcome.accepted.iter().chain(outcome.rejected.iter().map(|(range, _)| range)).collect();
    let is_separator = |byte: u8| is_space(byte) || b"[],".contains(&byte);
    // If the opening quote of a text is damaged, brackets inside the text end the array and its
    // page.
    let ends_page = |byte: usize| {
        let before = outcome.text[..byte].iter().rev().find(|byte| !is_space(**byte));
        matches!(object.shape, Shape::Pages | Shape::Feed) && outcome.text[byte] == b'}' && before == Some(&b']')
    };
    for byte in object.records.iter().cloned().flatten().filter_map(moved) {
        let is_covered = covered.iter().any(|range| range.contains(&byte));
        let is_covered = is_covered || is_separator(outcome.text[byte]) || ends_page(byte);
        prop_assert!(is_covered, "byte {} vanished: {:?}", byte, outcome);
    }
    Ok(())
}

/// Checks that each record that is accepted after framing was lost is a record of the intact
/// object, at the same position.
fn check_nothing_is_made_up(
    object: &Object,
    outcome: &Outcome,
    moved: isize,
) -> std::result::Result<(), TestCaseError> {
    let lost = outcome.rejected.iter().find(|(_, reason)| reason == "broken_document");
    let Some((lost, _)) = lost else { return Ok(()) };
    for record in outcome.accepted.iter().filter(|record| record.start >= lost.end) {
        let original = object.records.iter().any(|original| {
            (original.start.checked_add_signed(moved), original.end.checked_add_signed(moved))
                == (Some(record.start), Some(record.end))
        });
        prop_assert!(original, "made up: {:?}", String::from_utf8_lossy(&outcome.text[record.clone()]));
    }
    Ok(())
}

/// Multiplies the usual number of cases, which `PROPTEST_CASES` sets.
fn cases(times: u32) -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases * times, max_shrink_iters: 2000, ..usual }
}

fn on_a_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

proptest! {
    #![proptest_config(cases(4))]

    #[test]
    fn damage_anywhere_loses_no_record_before_it_and_accounts_for_every_byte(
        object in object(),
        (damage, at) in damage(),
    ) {
        let mut stored = compress("", object.text.as_bytes());
        let (at, moved) = apply(&mut stored.bytes, damage, &at);
        let Some(outcome) = on_a_runtime().block_on(read(&stored, &object.format())) else { return Ok(()) };
        // An object with a control character among its first bytes may be binary, so it is not
        // read.
        if outcome.tally.damage.as_ref().is_some_and(|damage| damage.reason == Reason::UnsupportedFormat) {
            prop_assert!(at < 4 && outcome.accepted.is_empty());
            return Ok(());
        }
        check(&object, &stored, &outcome)?;
        for record in object.records.iter().filter(|record| record.end < at) {
            prop_assert!(outcome.accepted.contains(record), "lost though intact: {record:?}");
        }
        check_no_record_vanished(&object, &outcome, damage, at)?;
        check_nothing_is_made_up(&object, &outcome, moved)?;
        // The next record starts after a line feed in any case, so one line is lost, or two if the
        // line feed itself was damaged.
        if object.shape == Shape::Lines && !matches!(damage, Damage::Cut) {
            prop_assert!(outcome.accepted.len() + 2 >= object.records.len());
            prop_assert!(outcome.tally.damage.is_none());
        }
    }
}

proptest! {
    #![proptest_config(cases(1))]

    #[test]
    fn damage_to_compressed_bytes_is_seen_and_what_came_before_is_there(
        object in object(),
        extension in prop::sample::select(vec![".gz", ".zst", ".bz2", ".xz", ".lz4"]),
        (damage, at) in damage(),
    ) {
        let mut stored = compress(extension, object.text.as_bytes());
        apply(&mut stored.bytes, damage, &at);
        let Some(outcome) = on_a_runtime().block_on(read(&stored, &object.format())) else { return Ok(()) };
        check(&object, &stored, &outcome)?;
    }
}
