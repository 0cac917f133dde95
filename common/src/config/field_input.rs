//! Where the value of a field comes from: `from` and `aliases`, `from_document`, `from_path` or
//! `from_metadata`.

use regex::Regex;

use super::diagnostics::{Diagnostics, Origin, did_you_mean};
use super::file::{Item, Value};
use super::records_path::{self, Level};
use super::resolved::{Decoding, DocumentPlace, Field, FieldInput, JsonFormat, Metadata, RecordFormat, RecordKind};
use super::section::{Section, Text};

/// Settings that name an input. A field has at most one of them.
const INPUTS: &[&str] = &["from", "from_document", "from_path", "from_metadata"];

/// Settings of the source that the inputs of its fields depend on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surroundings<'a> {
    pub(super) format: &'a RecordFormat,
    pub(super) decoding: &'a Decoding,
}

/// The input of a field.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) input: FieldInput,
    pub(super) aliases: Vec<Vec<String>>,
    /// Kind of records that the input requires; `None` if it does not read the record.
    pub(super) reads: Option<RecordKind>,
}

impl Input {
    /// Returns the input of a field that is written as only its type: the key with its `name`.
    pub(super) fn of_name(name: &str) -> Self {
        let input = FieldInput::Keys(vec![name.to_owned()]);
        Self { input, aliases: Vec::new(), reads: Some(RecordKind::Object) }
    }
}

/// Returns the input of the field `name`; `None` if it is wrong.
pub(super) fn resolve(
    name: &str,
    section: &Section<'_>,
    around: Surroundings<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Input> {
    let given: Vec<&str> = INPUTS.iter().copied().filter(|input| section.get(input).is_some()).collect();
    if given.len() > 1 {
        let message = format!("set only one of `{}`", given.join("` and `"));
        section.report(section.origin, &message, diagnostics);
    }
    let aliases = aliases(section, diagnostics);
    if !aliases.is_empty() && given.iter().any(|input| *input != "from") {
        let message = format!("`aliases` has no effect on `{}`", given.join("` and `"));
        section.report(section.origin, &message, diagnostics);
    }
    let other = |input| Some(Input { input, aliases: Vec::new(), reads: None });
    if let Some(written) = section.text("from_metadata", diagnostics) {
        return other(FieldInput::Metadata(metadata(section, written, diagnostics)?));
    }
    if let Some(written) = section.text("from_path", diagnostics) {
        return other(path_part(section, written, around.decoding, diagnostics));
    }
    if let Some(written) = section.text("from_document", diagnostics) {
        let place = document_place(written.text, around.format);
        let place = place.map_err(|fault| {
            section.report(written.origin, &format!("`from_document` {fault}"), diagnostics);
        });
        return other(FieldInput::Document(place.ok()?));
    }
    let Some(item) = section.get("from") else { return Some(Input { aliases, ..Input::of_name(name) }) };
    let (keys, kind) = keys(section, item, diagnostics)?;
    if kind != RecordKind::Object && !aliases.is_empty() {
        let what = if kind == RecordKind::Array { "a position" } else { "a whole record" };
        section.report(section.origin, &format!("`aliases` has no effect on {what}"), diagnostics);
    }
    Some(Input { input: FieldInput::Keys(keys), aliases, reads: Some(kind) })
}

fn metadata(section: &Section<'_>, Text { text, origin }: Text<'_>, diagnostics: &mut Diagnostics) -> Option<Metadata> {
    let known = Metadata::NAMES.iter().find(|(name, _)| *name == text);
    if known.is_none() {
        let names = || Metadata::NAMES.iter().map(|(name, _)| *name);
        let all = || format!("the properties are {}", names().collect::<Vec<_>>().join(", "));
        let hint = did_you_mean(text, names()).unwrap_or_else(all);
        let message = format!("{}`from_metadata` is `{text}`, which is not a property", section.at);
        diagnostics.report_with_hint(origin, message, hint);
    }
    known.map(|(_, metadata)| *metadata)
}

fn path_part(
    section: &Section<'_>,
    Text { text, origin }: Text<'_>,
    decoding: &Decoding,
    diagnostics: &mut Diagnostics,
) -> FieldInput {
    // An invalid pattern was already reported.
    if let Some(Ok(pattern)) = decoding.path_pattern.as_deref().map(Regex::new)
        && !pattern.capture_names().flatten().any(|group| group == text)
    {
        let message = format!("{}`path_pattern` has no group `{text}`", section.at);
        let hint = format!("name a group with `(?<{text}>…)`");
        diagnostics.report_with_hint(origin, message, hint);
    }
    if text.is_empty() {
        section.report(origin, "`from_path` is empty", diagnostics);
    }
    FieldInput::PathPart(text.to_owned())
}

/// Parses a `from_document` for documents of `format`.
///
/// # Errors
/// The fault, worded to follow the name of the setting.
fn document_place(text: &str, format: &RecordFormat) -> Result<DocumentPlace, String> {
    let RecordFormat::Json(format) = format;
    let JsonFormat::Document { records: Some(records) } = format else {
        return Err("needs the setting `records` of the source".to_owned());
    };
    let path = records_path::levels(text)?;
    // The fault of an invalid `records` was already reported.
    let around = records_path::parse(records).unwrap_or_default();
    let level = path.iter().zip(&around).take_while(|(one, other)| one == other).count();
    let Some(rest) = path.get(level..).filter(|rest| !rest.is_empty()) else {
        return match path.last() {
            Some(Level::Members) => Ok(DocumentPlace { level: level - 1, keys: Vec::new() }),
            _ => Err(format!("is `{text}`, which contains the records; name a member beside or above them")),
        };
    };
    match around.get(level) {
        None => return Err(format!("is `{text}`, which is inside the records; write it as `from`")),
        Some(Level::Items) => return Err(format!("is `{text}`, which lacks `[]` where `records` has an array")),
        Some(Level::Members) => return Err(format!("is `{text}`, which lacks `*` where `records` has it")),
        Some(Level::Key(_)) => {}
    }
    let key = |level: &Level| match level {
        Level::Key(key) => Ok(key.clone()),
        Level::Items | Level::Members => Err(format!(
            "is `{text}`, which has `[]` or `*` where `records` has none; declare the type `json` or a list"
        )),
    };
    Ok(DocumentPlace { level, keys: rest.iter().map(key).collect::<Result<_, _>>()? })
}

/// Returns the keys in a `from`, and the kind of records that have them: `"user.name"`, `0`, or a list
/// of keys such as `["user", "name"]`, which also allows keys with dots. An empty list stands for the
/// whole record. Returns `None` if the value has another type.
fn keys(section: &Section<'_>, item: &Item, diagnostics: &mut Diagnostics) -> Option<(Vec<String>, RecordKind)> {
    let (items, is_list) = match &item.value {
        Value::List(items) => (items.as_slice(), true),
        _ => (std::slice::from_ref(item), false),
    };
    if items.is_empty() {
        return Some((vec!["0".to_owned()], RecordKind::Value));
    }
    let mut keys = Vec::new();
    let mut kind = RecordKind::Object;
    for (index, item) in items.iter().enumerate() {
        match &item.value {
            // In a list, each item is one key, even if it contains a dot.
            Value::Text(text) if is_list => keys.push(text.clone()),
            Value::Text(text) => keys.extend(text.split('.').map(str::to_owned)),
            Value::Integer(position) if index == 0 && u32::try_from(*position).is_ok() => {
                kind = RecordKind::Array;
                keys.push(position.to_string());
            }
            Value::Integer(_) => {
                let message = "in `from`, only the first key can be a position, which is at least 0";
                section.report(&item.origin, message, diagnostics);
                return None;
            }
            _ => {
                section.wrong_type("from", item, diagnostics);
                return None;
            }
        }
    }
    if keys.iter().any(String::is_empty) {
        section.report(&item.origin, "`from` has an empty key", diagnostics);
    }
    Some((keys, kind))
}

/// Returns the paths of keys in `aliases`, each written as in `from`.
fn aliases(section: &Section<'_>, diagnostics: &mut Diagnostics) -> Vec<Vec<String>> {
    let mut aliases = Vec::new();
    for Text { text, origin } in section.texts("aliases", diagnostics) {
        let keys: Vec<String> = text.split('.').map(str::to_owned).collect();
        if keys.iter().any(String::is_empty) {
            section.report(origin, "`aliases` has an empty key", diagnostics);
        } else {
            aliases.push(keys);
        }
    }
    aliases
}

/// A value that a field reads, as a path that starts with its place.
struct ReadValue<'a> {
    field: &'a str,
    /// Index of the object around the records; `None` for the record.
    level: Option<usize>,
    keys: &'a [String],
}

/// Reports two fields that read the same value, and a field that reads a value inside the value of
/// another field. The records are of `kind`.
pub(super) fn check_overlaps(
    section: &Section<'_>,
    fields: &[(Field, &Origin)],
    kind: RecordKind,
    diagnostics: &mut Diagnostics,
) {
    let mut earlier: Vec<ReadValue<'_>> = Vec::new();
    for (field, origin) in fields {
        for value in read_values(field) {
            for other in earlier.iter().filter(|other| other.level == value.level) {
                let (outer, inner) =
                    if other.keys.len() <= value.keys.len() { (other, &value) } else { (&value, other) };
                if !inner.keys.starts_with(outer.keys) {
                    continue;
                }
                let (outer_path, inner_path) = (outer.keys.join("."), inner.keys.join("."));
                let message = if outer.keys.len() == inner.keys.len() && other.field == value.field {
                    format!("field `{}` reads `{outer_path}` twice", value.field)
                } else if outer.keys.len() == inner.keys.len() {
                    let read = if outer.keys.is_empty() {
                        "the key of a member".to_owned()
                    } else if outer.level.is_none() && kind == RecordKind::Value {
                        "the whole record".to_owned()
                    } else {
                        format!("`{outer_path}`")
                    };
                    format!("fields `{}` and `{}` both read {read}", other.field, value.field)
                } else {
                    let (inner, outer) = (inner.field, outer.field);
                    format!("field `{inner}` reads `{inner_path}`, which is inside `{outer_path}` of field `{outer}`")
                };
                section.report(origin, &message, diagnostics);
            }
            earlier.push(value);
        }
    }
}

fn read_values(field: &Field) -> Vec<ReadValue<'_>> {
    match &field.input {
        FieldInput::Keys(_) => {
            field.key_paths().map(|keys| ReadValue { field: &field.name, level: None, keys }).collect()
        }
        FieldInput::Document(DocumentPlace { level, keys }) => {
            vec![ReadValue { field: &field.name, level: Some(*level), keys }]
        }
        FieldInput::PathPart(_) | FieldInput::Metadata(_) => Vec::new(),
    }
}
