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
use lakewright_common::read::framing::{MemberAround, ObjectsAround};
use serde_json::Value;

use super::column::{Column, Input, comment};
use super::detect::Detected;
use super::field_type::choose;
use super::names::{Names, cleaned};
use super::places::Places;
use super::profile::{Count, MAX_MEMBERS, Node, Place};
use super::visitor::{Outcome, add_record};

/// Maximum number of bytes of a value that becomes a field, and of all such values of a record. Each
/// record repeats them.
const MAX_REPEATED_BYTES: u64 = 1024;
const MAX_ALL_REPEATED_BYTES: u64 = 16 * 1024;
/// Maximum number of bytes of the values of one object that are searched for the names of columns.
const MAX_FIRST_BYTES: usize = 8 << 20;

/// Statistics of the values around the records, by the level of their object in the path of the records.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    levels: BTreeMap<usize, LevelStatistics>,
    /// Number of values with `NaN` or an infinity.
    pub(super) nan_values: Count,
}

/// The objects of one level, without the member that leads to the records.
#[derive(Debug, Default)]
pub(super) struct LevelStatistics {
    pub(super) root: Node,
    /// Maximum number of bytes of the values of each key.
    bytes: BTreeMap<String, u64>,
    /// Values of the first object of this level, of at most [`MAX_FIRST_BYTES`] bytes.
    pub(super) first: BTreeMap<String, String>,
    first_bytes: usize,
    /// Stored objects that end inside an object of this level, because they are damaged.
    incomplete: Count,
}

impl Surroundings {
    /// Adds a member of an object, which is in the stored object of `place`. Leaves out a member whose
    /// key is not JSON.
    pub(super) fn add(&mut self, member: &MemberAround, place: Place) {
        let Ok(key) = serde_json::from_slice::<String>(&member.key) else { return };
        let level = self.levels.entry(member.level).or_default();
        if level.bytes.len() >= MAX_MEMBERS && !level.bytes.contains_key(&key) {
            return;
        }
        let bytes = level.bytes.entry(key.clone()).or_default();
        *bytes = member.bytes.max(*bytes);
        // The size of a large value is enough, because it will not be read.
        let Some(value) = &member.value else { return };
        let text = String::from_utf8_lossy(value);
        let record = format!("{{{}:{text}}}", Value::from(key.as_str()));
        let before = level.root.objects.all;
        let outcome = add_record(&mut level.root, RecordKind::Object, &record, place);
        // Objects are counted when they end.
        level.root.objects.all = before;
        if outcome == Outcome::AddedWithNaN {
            self.nan_values.add(place);
        }
        let is_first = member.number == 0 && level.root.objects.all.first.is_none_or(|first| first == place);
        if is_first && level.first_bytes + text.len() <= MAX_FIRST_BYTES {
            level.first_bytes += text.len();
            level.first.entry(key).or_insert_with(|| text.into_owned());
        }
    }

    /// Counts the objects of a stored object. Those that are not read to their end are incomplete,
    /// unless only a part of the stored object was read (`is_part`).
    pub(super) fn count(&mut self, objects: ObjectsAround, is_part: bool, place: Place) {
        let level = self.levels.entry(objects.level).or_default();
        let all = &mut level.root.objects.all;
        all.count += objects.closed;
        all.first.get_or_insert(place);
        if objects.closed < objects.opened && !is_part {
            level.incomplete.add(place);
        }
    }

    /// Returns the statistics of each level, the outermost first.
    pub(super) fn levels(&self) -> impl DoubleEndedIterator<Item = (usize, &LevelStatistics)> {
        self.levels.iter().map(|(level, statistics)| (*level, statistics))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.levels.values().all(|level| level.bytes.is_empty())
    }

    /// Whether a text has half of a surrogate pair.
    pub(super) fn has_lone_surrogate(&self) -> bool {
        self.levels.values().any(|level| level.root.has_lone_surrogate())
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
    pub(super) bytes: u64,
    pub(super) reason: Reason,
}

/// Reason not to read a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reason {
    /// Each record would repeat it.
    Large,
    /// No setting can name it.
    Unnamed,
    /// A run would reject the records of this stored object, because the value is not known there.
    Incomplete(String),
}

/// Returns fields for the values around the records, except large ones. Takes their names.
pub(super) fn around_columns(
    around: &Surroundings,
    detected: &Detected,
    places: Places<'_>,
    names: &mut Names,
) -> (Vec<Column>, Vec<Unread>) {
    let (mut columns, mut unread) = (Vec::new(), Vec::new());
    let path = detected.records().map(records_path::parse).and_then(Result::ok).unwrap_or_default();
    let mut all_bytes = 0;
    for (level, statistics) in around.levels() {
        let Some(outer) = path.get(..level) else { continue };
        for (key, bytes) in &statistics.bytes {
            let written = member_of(&place(outer), key);
            let path = written.strip_prefix("$.").unwrap_or(&written).to_owned();
            let name = names.take(&name_of(key, outer, names));
            let member = statistics.root.objects.members.iter().find(|member| member.key == *key);
            let reason = if key.contains('"') {
                Some(Reason::Unnamed)
            } else if *bytes > MAX_REPEATED_BYTES || all_bytes + bytes > MAX_ALL_REPEATED_BYTES || member.is_none() {
                Some(Reason::Large)
            } else {
                places.first(statistics.incomplete).map(Reason::Incomplete)
            };
            let (None, Some(member)) = (&reason, member) else {
                unread.extend(reason.map(|reason| Unread { name, path, bytes: *bytes, reason }));
                continue;
            };
            all_bytes += bytes;
            let choice = choose(key, &member.node, places);
            let values = comment(&member.node, &statistics.root.objects, places);
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

/// Returns a name for a member of an object: its key, with the key of the enclosing object before it if
/// the name is taken.
fn name_of(key: &str, outer: &[Level], names: &Names) -> String {
    let name = cleaned(key);
    if names.is_free(&name) {
        return name;
    }
    let around = outer.iter().rev().find_map(|level| match level {
        Level::Key(key) => Some(key.as_str()),
        Level::Items | Level::Members => None,
    });
    cleaned(&format!("{} {key}", around.unwrap_or("document")))
}

#[cfg(test)]
pub(super) mod tests {
    use lakewright_common::config::resolved::JsonFormat;

    use super::*;
    use crate::init::places::tests::numbered_objects;

    /// Adds an object of a level, whose members are `members`. It is object `number` of the level.
    pub(in crate::init) fn add(around: &mut Surroundings, level: usize, number: u64, members: &[(&str, &str)]) {
        for (key, value) in members {
            let (key, bytes) = (format!("\"{key}\"").into_bytes(), value.len() as u64);
            let value = Some(value.as_bytes().to_vec());
            around.add(&MemberAround { level, number, key, value, bytes }, Place::default());
        }
        around.count(ObjectsAround { level, opened: 1, closed: 1 }, false, Place::default());
    }

    fn declared(around: &Surroundings) -> (Vec<String>, Vec<Unread>) {
        let format = JsonFormat::Document { records: Some("pages[].items".to_owned()) };
        let detected = Detected { format, kind: RecordKind::Object, members: None };
        let objects = numbered_objects(2);
        let places = Places::new(&objects, &detected.format);
        let mut names = Names::default();
        names.take("id");
        let (columns, unread) = around_columns(around, &detected, places, &mut names);
        let columns = columns.iter().map(|column| {
            let Input::Document(path) = &column.input else { panic!("{column:?}") };
            format!("{} {path} {} # {}", column.name, column.field_type, column.comment)
        });
        (columns.collect(), unread)
    }

    #[test]
    fn values_around_the_records_become_fields_unless_they_are_large() {
        let mut around = Surroundings::default();
        let text = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
        let (short, long) = (text(1024), text(1025));
        add(
            &mut around,
            0,
            0,
            &[
                ("id", "\"a\""),
                ("next", "null"),
                ("long", &long),
                ("short", &short),
                ("he said \\\"", "1"),
                ("a.b", "{\"n\":1.5}"),
                ("", "3"),
            ],
        );
        add(&mut around, 2, 0, &[("id", "7"), ("next", "\"x\"")]);
        add(&mut around, 2, 1, &[]);
        let (columns, unread) = declared(&around);
        let short = format!("short short string # around the records; e.g. \"{}…", "x".repeat(39));
        let expected = [
            "field \"\" long # around the records; e.g. 3",
            "a_b \"a.b\" struct<n: double> # around the records; e.g. {\"n\":1.5}",
            "document_id id string # around the records; e.g. \"a\"",
            "next next json # around the records; always null",
            short.as_str(),
            "pages_id pages[].id long # around the records; 50 % null; e.g. 7",
            "pages_next pages[].next string # around the records; 50 % null; e.g. \"x\"",
        ];
        assert_eq!(columns, expected);
        let unread: Vec<_> = unread.into_iter().map(|it| (it.name, it.bytes, it.reason)).collect();
        assert_eq!(unread, [("he_said".to_owned(), 1, Reason::Unnamed), ("long".to_owned(), 1025, Reason::Large)]);
    }

    #[test]
    fn many_small_values_are_large_together() {
        let mut around = Surroundings::default();
        let value = format!("\"{}\"", "x".repeat(1000));
        let keys: Vec<String> = (10..30).map(|number| format!("k{number}")).collect();
        add(&mut around, 0, 0, &keys.iter().map(|key| (key.as_str(), value.as_str())).collect::<Vec<_>>());
        let (columns, unread) = declared(&around);
        assert_eq!((columns.len(), unread.len()), (16, 4));
    }

    #[test]
    fn a_value_that_is_not_known_everywhere_is_not_read() {
        let mut around = Surroundings::default();
        add(&mut around, 0, 0, &[("total", "1")]);
        let place = Place { object: 1, position: 0 };
        let cut = ObjectsAround { level: 0, opened: 1, closed: 0 };
        // A part of an object that was not read on purpose proves nothing.
        around.count(cut, true, place);
        assert_eq!(declared(&around).0.len(), 1);
        around.count(cut, false, place);
        let (columns, unread) = declared(&around);
        assert_eq!((columns.len(), unread[0].reason.clone()), (0, Reason::Incomplete("1.json".to_owned())));
    }

    #[test]
    fn odd_values_are_noticed() {
        let mut around = Surroundings::default();
        add(&mut around, 0, 0, &[("ratio", "NaN"), ("title", "\"\\ud800\""), ("\\x", "1"), ("next", "2")]);
        assert_eq!(around.nan_values.count, 1);
        assert!(around.has_lone_surrogate());
        assert_eq!(declared(&around).0.len(), 3);
    }
}
