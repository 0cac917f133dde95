//! Statistics of the values beside and above the records of documents, and their fields.
//!
//! ```text
//! {"total":2,"pages":[{"next":"x","items":[{"id":1}]},     records = "pages[].items"
//!                     {"items":[{"id":2}]}]}
//!   level 0: 1 object     total: 1 number
//!   level 2: 2 objects    next:  1 string
//! ```

use std::collections::BTreeMap;

use lakewright_common::config::records_path::{self, Level, member_of, place};
use lakewright_common::config::resolved::RecordKind;
use serde_json::value::RawValue;

use super::column::{Column, Input, cleaned, comment, free_name};
use super::detect::Detected;
use super::field_type::choose;
use super::places::Places;
use super::profile::{Node, Place};
use super::visitor::add_record;

/// Maximum number of bytes of a value that becomes a field. Each record repeats it.
const MAX_REPEATED_BYTES: usize = 1024;

/// Statistics by the level of the object in the path of the records.
#[derive(Debug, Default)]
pub(super) struct Around {
    levels: BTreeMap<usize, Objects>,
}

/// The objects of one level, without the member that leads to the records.
#[derive(Debug, Default)]
pub(super) struct Objects {
    pub(super) root: Node,
    /// Maximum number of bytes of the values of each key.
    bytes: BTreeMap<String, usize>,
    /// Text of the first object.
    pub(super) first: String,
}

impl Around {
    /// Adds an object of a level, which is in the object of `place`.
    pub(super) fn add(&mut self, level: usize, text: &str, place: Place) {
        let objects = self.levels.entry(level).or_default();
        add_record(&mut objects.root, RecordKind::Object, text, place);
        let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).unwrap_or_default();
        for (key, value) in members {
            let bytes = objects.bytes.entry(key).or_default();
            *bytes = value.get().len().max(*bytes);
        }
        if objects.first.is_empty() {
            text.clone_into(&mut objects.first);
        }
    }

    /// Returns the objects of each level, the outermost first.
    pub(super) fn levels(&self) -> impl Iterator<Item = (usize, &Objects)> {
        self.levels.iter().map(|(level, objects)| (*level, objects))
    }
}

impl Objects {
    /// Returns the maximum number of bytes of the values of a key.
    pub(super) fn bytes(&self, key: &str) -> usize {
        self.bytes.get(key).copied().unwrap_or_default()
    }
}

/// A value around the records that is not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unread {
    /// Name of a field for the value.
    pub(super) name: String,
    /// Path from the root of the document.
    pub(super) path: String,
    /// Maximum number of bytes of the value.
    pub(super) bytes: usize,
    /// Whether a setting can name the path.
    pub(super) is_readable: bool,
}

/// Returns fields for the values around the records, except large ones. Adds their names to `taken`.
pub(super) fn around_columns(
    around: &Around,
    detected: &Detected,
    places: Places<'_>,
    taken: &mut Vec<String>,
) -> (Vec<Column>, Vec<Unread>) {
    let (mut columns, mut unread) = (Vec::new(), Vec::new());
    let path = detected.records().map(records_path::parse).and_then(Result::ok).unwrap_or_default();
    for (level, objects) in around.levels() {
        let Some(outer) = path.get(..level) else { continue };
        for member in &objects.root.objects.members {
            let written = member_of(&place(outer), &member.key);
            let path = written.strip_prefix("$.").unwrap_or(&written).to_owned();
            let bytes = objects.bytes(&member.key);
            let name = free_name(&name_of(&member.key, outer, taken), taken);
            taken.push(name.clone());
            let is_readable = !member.key.is_empty() && !member.key.contains('"');
            if !is_readable || bytes > MAX_REPEATED_BYTES {
                unread.push(Unread { name, path, bytes, is_readable });
                continue;
            }
            let choice = choose(&member.key, &member.node, places);
            let values = comment(&member.node, &objects.root.objects, places);
            columns.push(Column {
                name,
                input: Input::Document(path),
                field_type: choice.text,
                wrap: choice.wrap,
                notes: choice.notes,
                comment: format!("around the records; {values}"),
                is_unique: false,
            });
        }
    }
    (columns, unread)
}

/// Returns a name for a member of an object: its key, with the key of the object before it if a field
/// has this name.
fn name_of(key: &str, outer: &[Level], taken: &[String]) -> String {
    let name = cleaned(key);
    if free_name(&name, taken) == name {
        return name;
    }
    let around = outer.iter().rev().find_map(|level| match level {
        Level::Key(key) => Some(key.as_str()),
        Level::Items | Level::Members => None,
    });
    cleaned(&format!("{} {key}", around.unwrap_or("document")))
}

#[cfg(test)]
mod tests {
    use lakewright_common::config::resolved::JsonFormat;

    use super::*;

    #[test]
    fn values_around_the_records_become_fields_unless_they_are_large() {
        let mut around = Around::default();
        let long = "x".repeat(MAX_REPEATED_BYTES);
        let root = format!(r#"{{"id":"a","next":null,"long":"{long}","he said \"":1,"a.b":{{"n":1.5}}}}"#);
        around.add(0, &root, Place::default());
        around.add(2, r#"{"id":7,"next":"x"}"#, Place::default());
        around.add(2, "{}", Place::default());
        let format = JsonFormat::Document { records: Some("pages[].items".to_owned()) };
        let detected = Detected { format, kind: RecordKind::Object, members: None };
        let mut taken = vec!["id".to_owned()];
        let places = Places::new(&[], &detected.format);
        let (columns, unread) = around_columns(&around, &detected, places, &mut taken);
        let shown: Vec<String> = columns
            .iter()
            .map(|column| {
                let Input::Document(path) = &column.input else { panic!("{column:?}") };
                format!("{} {path} {} # {}", column.name, column.field_type, column.comment)
            })
            .collect();
        let expected = [
            "document_id id string # around the records; e.g. \"a\"",
            "next next json # around the records; always null",
            "a_b \"a.b\" struct<n: double> # around the records; e.g. {\"n\":1.5}",
            "pages_id pages[].id long # around the records; 50 % null; e.g. 7",
            "pages_next pages[].next string # around the records; 50 % null; e.g. \"x\"",
        ];
        assert_eq!(shown, expected);
        let unread: Vec<_> = unread.iter().map(|it| (it.name.as_str(), it.bytes, it.is_readable)).collect();
        assert_eq!(unread, [("long", MAX_REPEATED_BYTES + 2, true), ("he_said", 1, false)]);
    }
}
