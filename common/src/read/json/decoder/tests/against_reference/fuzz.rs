//! Fuzz test of objects with any bytes: framing does not depend on chunks, line numbers are right,
//! and the decoder accepts the same records as the slow decoder, with the same values.

use bytes::Bytes;
use lakewright_fuzz::Target;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::*;
use crate::config::resolved::JsonFormat;
use crate::read::framing::{Framed, Framer};
use crate::read::split::Split;
use crate::storage::object::SourceObject;

const MAX_RECORD_BYTES: u64 = 400;
/// Maximum number of brackets in a record for the slow decoder, because it is recursive.
const MAX_BRACKETS: usize = 100;

/// Offset and line of a record or broken range, and the text of a record.
type Seen = (u64, u64, Option<Vec<u8>>);

fn frame(format: &JsonFormat, bytes: &[u8], chunk: usize) -> Vec<Seen> {
    let object = SourceObject { key: "a.json".into(), bytes: bytes.len() as u64, etag: None, modified: 0 };
    let mut framer = Framer::for_split(&Split::whole(object), format, MAX_RECORD_BYTES);
    let mut all = Vec::new();
    let mut take = |framer: &mut Framer| {
        while let Some(framed) = framer.next() {
            all.push(match framed {
                Framed::Record { offset, line, text } => (offset, line, Some(text.to_vec())),
                Framed::Broken { offset, line, .. } => (offset, line, None),
            });
        }
    };
    for chunk in bytes.chunks(chunk) {
        if framer.is_done() {
            break;
        }
        framer.push(&Bytes::copy_from_slice(chunk));
        take(&mut framer);
    }
    framer.finish();
    take(&mut framer);
    all
}

/// Returns the records that a simple reader finds in lines.
fn lines(bytes: &[u8]) -> Vec<Seen> {
    let mut all = Vec::new();
    let mut offset = 0;
    for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let mark = if line.starts_with("\u{FEFF}".as_bytes()) { 3 } else { 0 };
        let text = &line[mark..];
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if line.len() as u64 > MAX_RECORD_BYTES {
            all.push((offset, number, None));
        } else if !text.iter().all(|byte| b" \t\r".contains(byte)) {
            // A form feed is white space in ASCII, but not in JSON.
            all.push((offset + mark as u64, number, Some(text.to_vec())));
        }
        offset += line.len() as u64 + 1;
    }
    all
}

/// Members of an object in order, including repeated keys.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// Returns the tree of a text, or `None` if it has something that trees do not represent: repeated
/// keys, half surrogate pairs, very long numbers.
fn tree(raw: &RawValue) -> Option<Tree> {
    let text = raw.get();
    Some(match text.as_bytes().first()? {
        b'{' => {
            let members = serde_json::from_str::<Members<'_>>(text).ok()?.0;
            let keys: std::collections::BTreeSet<_> = members.iter().map(|(key, _)| key).collect();
            if keys.len() < members.len() {
                return None;
            }
            let members = members.iter().map(|(key, value)| Some((key.clone(), tree(value)?)));
            Tree::Object(members.collect::<Option<_>>()?)
        }
        b'[' => {
            let items = serde_json::from_str::<Vec<&RawValue>>(text).ok()?;
            Tree::Array(items.into_iter().map(tree).collect::<Option<_>>()?)
        }
        b'"' => Tree::Text(serde_json::from_str(text).ok()?),
        b't' | b'f' => Tree::Bool(text == "true"),
        b'n' => Tree::Null,
        _ => Tree::Number(text.parse::<f64>().is_ok_and(f64::is_finite).then(|| text.to_owned())?),
    })
}

#[test]
fn any_bytes_are_framed_and_decoded_as_by_a_slow_reader() {
    // Leave out fields of type `json`, because a tree does not keep the original text.
    let fields: Vec<_> = fields().into_iter().filter(|field| field.field_type != FieldType::Json).collect();
    let records = r#"{"s":"é\n","n":39,"d":-1.5e3,"b":true,"l":[1,null,"2"],"ls":["a",1.50],"user":{"name":"x","x":{"age":7}}}
{"o":{"n":1,"s":null,"l":[{"n":2,"s":"\u00e9"}]},"other":[{"deep":[[]]}]}
{"n":"9007199254740993","d":"1e400","b":"False"}"#;
    let seeds = [
        (0, records.to_owned()),
        (1, records.to_owned()),
        (1, format!("[{}]", records.replace('\n', ","))),
        (2, format!("{{\"x\":1,\"items\":[{}],\"y\":2}}", records.replace('\n', ","))),
    ];
    let seeds = seeds.map(|(mode, text)| [&[mode, 7], text.as_bytes()].concat()).to_vec();
    let words = &[
        "{\"n\":",
        "\"s\":",
        "\"l\":[",
        "\"o\":{",
        "\"user\":{",
        "\"items\":[",
        "null",
        "true",
        "\\ud83d",
        "\\u0000",
        "\u{FEFF}",
        "]}",
        "}\n{",
        "1e3",
        "\r\n",
    ];
    Target { name: "records", words, seeds }.run(|input| {
        let [mode, chunk, bytes @ ..] = input else { return String::new() };
        let format = match mode % 3 {
            0 => JsonFormat::Lines,
            1 => JsonFormat::Document { records: None },
            _ => JsonFormat::Document { records: Some("items".to_owned()) },
        };
        let seen = frame(&format, bytes, usize::MAX);
        assert_eq!(frame(&format, bytes, usize::from(*chunk).max(1)), seen, "in chunks of {chunk}");
        assert!(seen.windows(2).all(|pair| pair[0].0 < pair[1].0), "offsets go back: {seen:?}");
        if format == JsonFormat::Lines {
            assert_eq!(seen, lines(bytes));
        }
        let texts: Vec<_> = seen.iter().filter_map(|(_, _, text)| text.as_deref()).collect();
        decode_all(&fields, &texts, seen.len())
    });
}

/// Decodes records one after another and compares each with the reference.
fn decode_all(fields: &[Field], texts: &[&[u8]], seen: usize) -> String {
    let mut decoder = Decoder::new(fields);
    let (mut accepted, mut compared, mut reasons) = (vec![], vec![], std::collections::BTreeSet::new());
    for text in texts {
        let found = decoder.decode(text);
        let raw = serde_json::from_slice::<&RawValue>(text).ok();
        assert!(found.is_err() || raw.is_some(), "accepted what is no JSON: {:?}", String::from_utf8_lossy(text));
        let is_flat = text.iter().filter(|byte| matches!(byte, b'[' | b'{')).count() < MAX_BRACKETS;
        let tree = raw.filter(|_| is_flat).and_then(tree).filter(|_| text.starts_with(b"{"));
        if let Some(tree) = tree {
            let expected = expected_row(fields, &tree);
            assert_eq!(found.is_ok(), expected.is_ok(), "{}: {found:?}", String::from_utf8_lossy(text));
            compared.extend(expected.map(|row| (accepted.len(), row)));
        }
        match found {
            Ok(()) => accepted.push(()),
            Err(rejection) => drop(reasons.insert(format!("{}", rejection.reason))),
        }
    }
    let rows = rows(&mut decoder);
    assert_eq!(rows.len(), accepted.len());
    for (number, expected) in compared {
        assert_eq!(rows[number], expected);
    }
    let broken = seen - texts.len();
    format!("{} records {} broken {reasons:?}", "x".repeat(texts.len().min(4)), "x".repeat(broken.min(2)))
}
