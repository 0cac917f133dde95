//! Detects the format of a source by the start of some of its objects.

use futures::StreamExt;
use lakewright_common::config::resolved::{Decoding, JsonFormat, Limits, RecordKind};
use lakewright_common::error::Result;
use lakewright_common::read::chunks::Fault;
use lakewright_common::read::fetch::{StoredBytes, fetch};
use lakewright_common::read::json::lenient;
use lakewright_common::read::split::Split;
use lakewright_common::storage::Storage;
use lakewright_common::storage::object::SourceObject;
use serde::de::IgnoredAny;

use super::members::{Members, are_records};
use super::outline::{Outline, outline, path_to_members};

/// Number of bytes of an object that are inspected, after decompression.
const HEAD_BYTES: usize = 8 << 20;
/// Maximum number of lines that are inspected.
const MAX_LINES: usize = 100;
/// Minimum percentage of lines that are of one kind.
const MIN_ALIKE_PERCENT: usize = 90;
/// Byte order mark of UTF-8.
const BYTE_ORDER_MARK: &[u8] = &[0xEF, 0xBB, 0xBF];

/// The format of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Detected {
    pub(super) format: JsonFormat,
    /// Kind of the records.
    pub(super) kind: RecordKind,
    /// The object whose members are the records, in the document where it has the most of them.
    pub(super) members: Option<Members>,
}

impl Detected {
    /// Returns the path of the records, if they are inside of other values.
    pub(super) fn records(&self) -> Option<&str> {
        match &self.format {
            JsonFormat::Lines => None,
            JsonFormat::Document { records } => records.as_deref(),
        }
    }
}

/// Findings about the start of an object.
#[derive(Debug)]
struct Look {
    /// Number of lines that are not blank, at most [`MAX_LINES`].
    lines: usize,
    /// Kind of the records, if nearly all lines are JSON of one kind.
    kind_of_lines: Option<RecordKind>,
    outline: Outline,
}

/// Detects the format of objects with the extension `extension`. Returns the reason instead if they
/// are not JSON.
///
/// # Errors
/// A storage error.
pub(super) async fn detect(
    storage: &Storage,
    objects: &[&SourceObject],
    extension: &str,
    limits: &Limits,
) -> Result<std::result::Result<Detected, String>> {
    let mut looks = Vec::new();
    let mut reason = "has no content".to_owned();
    for object in inspected(objects) {
        match head(storage, object, limits, HEAD_BYTES).await? {
            Ok((text, is_whole)) => match look(&text, is_whole, extension) {
                Some(look) => looks.push(look),
                None if !text.trim_ascii().is_empty() => "is not JSON".clone_into(&mut reason),
                None => {}
            },
            Err(fault) => reason = fault,
        }
    }
    Ok(decide(&looks, extension).ok_or(reason))
}

/// Returns the first, the last and the largest object that are not empty.
fn inspected<'a>(objects: &[&'a SourceObject]) -> Vec<&'a SourceObject> {
    let mut filled = objects.iter().copied().filter(|object| object.bytes > 0);
    let first = filled.next();
    let last = filled.next_back();
    let largest = objects.iter().copied().max_by_key(|object| object.bytes).filter(|object| object.bytes > 0);
    let mut chosen: Vec<&SourceObject> = Vec::new();
    for object in [first, last, largest].into_iter().flatten() {
        if !chosen.contains(&object) {
            chosen.push(object);
        }
    }
    chosen
}

/// Reads the start of an object's text, of at least `bytes` bytes. Returns it, and whether it is the
/// whole text. Returns the reason instead if the object cannot be read.
pub(super) async fn head(
    storage: &Storage,
    object: &SourceObject,
    limits: &Limits,
    bytes: usize,
) -> Result<std::result::Result<(Vec<u8>, bool), String>> {
    let split = Split::whole(object.clone());
    let mut chunks = fetch(storage, &split, &Decoding::default(), limits, &StoredBytes::default());
    let mut text = Vec::new();
    while let Some(chunk) = chunks.next().await {
        match chunk {
            Ok(chunk) => text.extend_from_slice(&chunk),
            Err(Fault::Storage(error)) => return Err(error),
            Err(Fault::Broken { detail, .. }) if text.is_empty() => return Ok(Err(detail)),
            // The rest of a damaged object is reported when its records are read.
            Err(Fault::Broken { .. }) => return Ok(Ok((text, false))),
        }
        if text.len() >= bytes {
            return Ok(Ok((text, false)));
        }
    }
    Ok(Ok((text, true)))
}

/// Returns `None` if the text is not JSON.
fn look(text: &[u8], is_whole: bool, extension: &str) -> Option<Look> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let mut look = look_of(text, is_whole);
    // Lines of any text file can be numbers. Documents can be beside each other on lines.
    let is_of_documents = look.outline.kind_of_document().is_some_and(|kind| kind != RecordKind::Value);
    let allows_values = has_name_of_lines(extension) || (has_name_of_json(extension) && !is_of_documents);
    look.kind_of_lines = look.kind_of_lines.filter(|kind| *kind != RecordKind::Value || allows_values);
    if !text.trim_ascii_start().starts_with(b"{") && !text.trim_ascii_start().starts_with(b"[") {
        // The first line may be broken.
        return look.kind_of_lines.is_some().then_some(look);
    }
    Some(look)
}

fn has_name_of_json(extension: &str) -> bool {
    extension.contains("json") || has_name_of_lines(extension)
}

fn has_name_of_lines(extension: &str) -> bool {
    matches!(extension, "jsonl" | "ndjson")
}

fn look_of(text: &[u8], is_whole: bool) -> Look {
    let complete = match text.iter().rposition(|byte| *byte == b'\n') {
        _ if is_whole => text,
        Some(end) => &text[..end],
        None => b"",
    };
    let lines = complete.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    let kinds: Vec<Option<LineKind>> = lines.take(MAX_LINES).map(kind_of_line).collect();
    let count = |kind| kinds.iter().filter(|found| **found == Some(kind)).count();
    // Some connectors write `null` for a deleted key.
    let are_alike = |kind: &RecordKind| {
        let alike = count(LineKind::Record(*kind));
        alike > 0 && (alike + count(LineKind::Null)) * 100 >= kinds.len() * MIN_ALIKE_PERCENT
    };
    let mut kind_of_lines = [RecordKind::Object, RecordKind::Array, RecordKind::Value].into_iter().find(are_alike);
    // Lines of several kinds can only be read as values of any kind.
    let of_json = kinds.iter().flatten().count();
    if kind_of_lines.is_none() && of_json > 0 && of_json * 100 >= kinds.len() * MIN_ALIKE_PERCENT {
        kind_of_lines = Some(RecordKind::Value);
    }
    Look { lines: kinds.len(), kind_of_lines, outline: outline(text) }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineKind {
    Record(RecordKind),
    Null,
}

/// Returns the kind of a line; `None` if it is not JSON, or an array of records.
fn kind_of_line(line: &[u8]) -> Option<LineKind> {
    let is_json = |text: &[u8]| serde_json::from_slice::<IgnoredAny>(text).is_ok();
    if !is_json(line) && !lenient::quote_non_finite(line).is_some_and(|line| is_json(&line)) {
        return None;
    }
    Some(match line.first() {
        Some(b'{') => LineKind::Record(RecordKind::Object),
        Some(b'[') if outline(line).root_items == Some(RecordKind::Object) => return None,
        Some(b'[') => LineKind::Record(RecordKind::Array),
        _ if line == b"null" => LineKind::Null,
        _ => LineKind::Record(RecordKind::Value),
    })
}

/// Decides by the looks of several objects. Returns `None` if there are none.
fn decide(looks: &[Look], extension: &str) -> Option<Detected> {
    let first = looks.first()?;
    // A single line may also be a document, unless it is neither an object nor an array.
    let is_certain = has_name_of_lines(extension)
        || looks.iter().any(|look| look.lines > 1 || look.kind_of_lines == Some(RecordKind::Value));
    // In objects with a name of lines, all lines but those of the first kind are rejected.
    let kind_of_lines = looks.iter().find_map(|look| look.kind_of_lines);
    if let Some(kind) = kind_of_lines
        && is_certain
        && (has_name_of_lines(extension) || looks.iter().all(|look| look.kind_of_lines == Some(kind)))
    {
        return Some(Detected { format: JsonFormat::Lines, kind, members: None });
    }
    if let Some(members) = records_of_members(looks) {
        let records = path_to_members(&members.path);
        let kind = members.kind;
        return Some(Detected { format: JsonFormat::Document { records }, kind, members: Some(members) });
    }
    let records = first.outline.records();
    let records = records.filter(|found| looks.iter().all(|look| look.outline.records().as_ref() == Some(found)));
    let (records, kind) = match records {
        Some((path, kind)) => (Some(path), kind),
        None => (None, looks.iter().find_map(|look| look.outline.kind_of_document()).unwrap_or_default()),
    };
    Some(Detected { format: JsonFormat::Document { records }, kind, members: None })
}

/// Returns the object whose members are the records, if all documents can be read like this.
fn records_of_members(looks: &[Look]) -> Option<Members> {
    let candidates = looks.iter().filter_map(|look| look.outline.members());
    let largest = candidates.clone().max_by_key(|members| members.count)?;
    path_to_members(&largest.path)?;
    let found: Vec<&Members> = candidates.filter(|members| members.path == largest.path).collect();
    // A document may have too few members to judge by them alone.
    let fits = |outline: &Outline| {
        let (objects, others) = outline.root_members;
        match (largest.path.first(), largest.kind) {
            (Some(key), _) => outline.keys.contains(key),
            (None, RecordKind::Object) => objects >= others,
            (None, RecordKind::Array | RecordKind::Value) => objects <= others,
        }
    };
    let all_fit = looks.iter().all(|look| look.outline.is_one_object() && fits(&look.outline));
    (all_fit && are_records(&found)).then(|| largest.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detected(texts: &[&str], extension: &str) -> Option<Detected> {
        let looks: Vec<Look> = texts.iter().filter_map(|text| look(text.as_bytes(), true, extension)).collect();
        decide(&looks, extension)
    }

    fn format_of(texts: &[&str], extension: &str) -> Option<JsonFormat> {
        detected(texts, extension).map(|detected| detected.format)
    }

    #[test]
    fn the_kind_of_the_records_follows_from_the_text() {
        let (object, array, value) = (RecordKind::Object, RecordKind::Array, RecordKind::Value);
        for (texts, extension, expected) in [
            (&["{\"a\":1}\n{\"a\":2}\n"][..], "txt", Some((true, object))),
            (&["[1,2]\n[3,4]\n"], "txt", Some((true, array))),
            (&["[1,NaN]\nnull\n"], "jsonl", Some((true, array))),
            (&["\"a\"\n\"b\"\n"], "json", Some((true, value))),
            (&["1\n2\n"], "csv", None),
            (&["null\nnull\n"], "jsonl", Some((true, value))),
            (&["1,2\n3,4\n"], "json", None),
            (&["[1,2]"], "json", Some((false, value))),
            (&["\"x\""], "json", Some((true, value))),
            (&["5\n"], "json", Some((true, value))),
            (&["1\n\"x\"\n[1]\n"], "jsonl", Some((true, value))),
            (&["{\"a\":1}\n1\n[2]\n"], "jsonl", Some((true, value))),
            (&["{\"a\":1}", "[[1,2]]"], "json", Some((false, object))),
            (&["[{\"a\":1},{\"a\":2}]\n[{\"a\":3}]\n"], "json", Some((false, object))),
            (&["{\"broken\n[", "{\"a\":1}\n"], "jsonl", Some((true, object))),
            (&["[[1,2],[3,4]]"], "json", Some((false, array))),
            (&["[]", "[{\"a\":1}]"], "json", Some((false, object))),
            (&["{\"a\":1}\n{\"a\":2}\n", "[{\"a\":1}]"], "json", Some((false, object))),
            (&["{\"a\":1}\n{\"a\":2}\n", "[1]\n[2]\n"], "jsonl", Some((true, object))),
            (&["{\"rows\":[[1,\"a\"],[2,\"b\"]]}"], "json", Some((false, array))),
        ] {
            let found = detected(texts, extension);
            let found = found.map(|detected| (detected.format == JsonFormat::Lines, detected.kind));
            assert_eq!(found, expected, "{texts:?}");
        }
        let entries: Vec<String> = (0..300).map(|i| format!("\"k{i}\":\"v\"")).collect();
        let dictionary = format!("{{{}}}", entries.join(","));
        let found = detected(&[&dictionary], "json").unwrap();
        assert_eq!((found.records(), found.kind), (Some("*"), value));
        // Documents with the same keys are wide records.
        let found = detected(&[&dictionary, &format!("{dictionary} ")], "json").unwrap();
        assert_eq!((found.records(), found.kind), (None, object));
    }

    #[test]
    fn the_format_follows_from_the_text() {
        let document = |records: Option<&str>| Some(JsonFormat::Document { records: records.map(str::to_owned) });
        for (texts, extension, expected) in [
            (&["{\"a\":1}\n{\"a\":2}\n"][..], "json", Some(JsonFormat::Lines)),
            (&["{\"a\":1}\r\n\r\n{\"a\":NaN}"], "json", Some(JsonFormat::Lines)),
            (&["{\"a\":1}", "{\"a\":1}\n{\"a\":2}"], "json", Some(JsonFormat::Lines)),
            (&["{\"a\":1}\n"], "json", document(None)),
            (&["{\"a\":1}\n"], "jsonl", Some(JsonFormat::Lines)),
            (&["{\n  \"a\": 1\n}\n"], "json", document(None)),
            (&["[{\"a\":1},\n{\"a\":2}]\n"], "json", document(None)),
            (&["[{\"a\":1},{\"a\":2}]"], "json", document(None)),
            (&["{\"n\":2,\"rows\":[{\"a\":1},{\"a\":2}]}"], "json", document(Some("rows"))),
            (&["{\"n\":2,\"rows\":[{\"a\":1},{\"a\":2}]}", "{\"other\":1}"], "json", document(None)),
            (&["id,name\n1,a\n"], "csv", None),
            (&["# Title\n\ntext\n"], "md", None),
            (&["  \n"], "json", None),
        ] {
            assert_eq!(format_of(texts, extension), expected, "{texts:?}");
        }
    }

    #[test]
    fn a_text_that_is_cut_off_is_judged_by_its_complete_lines() {
        let looks = [look(b"{\"a\":1}\n{\"a\":2}\n{\"a\":", false, "json").unwrap()];
        assert_eq!(decide(&looks, "json").unwrap().format, JsonFormat::Lines);
    }

    /// An object with `count` members, which have keys with the prefix `name`.
    fn users(name: &str, count: usize, user: &str) -> String {
        let members: Vec<String> = (0..count).map(|i| format!("\"{name}{i}\":{user}")).collect();
        format!("{{{}}}", members.join(","))
    }

    #[test]
    fn members_with_similar_objects_are_records() {
        let user = "{\"name\":\"Ann\",\"age\":39}";
        let (a, b) = (users("a", 20, user), users("b", 20, user));
        let inside = |users: &str| format!("{{\"next\":\"x\",\"users\":{users}}}");
        let document = |records: Option<&str>| Some(JsonFormat::Document { records: records.map(str::to_owned) });
        for (texts, expected) in [
            (vec![a.clone()], Some("*")),
            (vec![a.clone(), b.clone()], Some("*")),
            (vec![inside(&a), inside(&b)], Some("users.*")),
            // The last page has few members.
            (vec![inside(&a), inside(&users("z", 1, user))], Some("users.*")),
            (vec![a.clone(), users("z", 1, user)], Some("*")),
            // The same names in each document are names of a schema, unless they are many.
            (vec![a.clone(), a.clone() + " "], None),
            (vec![inside(&a), inside(&(a.clone() + " "))], None),
            (vec![users("a", 60, user), users("a", 60, user) + " "], Some("*")),
            // One common key is little evidence.
            (vec![users("a", 20, "{\"en\":1}")], None),
            (vec![users("a", 51, "{\"en\":1}")], Some("*")),
            (vec![a.clone(), "{\"id\":1,\"name\":2}".to_owned()], None),
            (vec![inside(&a), "{\"id\":1}".to_owned()], None),
            (vec![a.clone(), "[{\"id\":1}]".to_owned()], None),
        ] {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            assert_eq!(format_of(&texts, "json"), document(expected), "{texts:?}");
        }
        assert_eq!(detected(&[&inside(&a)], "json").unwrap().members.unwrap().count, 20);
    }
}
