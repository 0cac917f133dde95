//! The fields of a source: a column for each key of its records, and for each hive folder.

use std::collections::{BTreeSet, HashSet};

use lakewright_common::config::is_name;
use lakewright_common::config::resolved::RecordKind;
use lakewright_common::printable;
use lakewright_common::storage::object::SourceObject;

use super::around::{Unread, around_columns};
use super::column_names::column_names;
use super::detect::Detected;
use super::field_type::{Note, choose, counted, leaves};
use super::group::hive_parts;
use super::invisible;
use super::names::{Names, cleaned};
use super::places::Places;
use super::profile::{Constant, Member, Node, Objects, is_name_of_key};
use super::read::Profile;
use super::visitor::shortened;

/// Value of a hive folder that means null.
const HIVE_NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// Maximum number of values of a record, those inside of structs included. The cost of a run grows
/// with it.
const MAX_VALUES: usize = 1000;
/// Minimum number of equal values for a comment that says that a field is constant.
const MIN_EQUAL_VALUES: u64 = 100;
/// A field is rare if less than one of this number of records has a value.
const RARE: u64 = 10;

/// A field as it is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) input: Input,
    pub(super) field_type: String,
    pub(super) wrap: bool,
    pub(super) notes: Vec<Note>,
    /// Share of nulls and an example.
    pub(super) comment: String,
    /// Whether the values are never null and unique.
    pub(super) is_unique: bool,
}

/// Where the value of a field comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Input {
    /// The key that equals the field's name.
    Name,
    Key(String),
    /// Position of an item of an array.
    Position(usize),
    /// The whole record.
    Record,
    PathPart(String),
    /// A path from the root of the document.
    Document(String),
    Rest,
}

/// Returns the fields of a source with the given statistics, objects and places of records. Also
/// returns the values around the records that are not read.
pub(super) fn columns(
    profile: &Profile,
    objects: &[SourceObject],
    places: Places<'_>,
    detected: &Detected,
) -> (Vec<Column>, Vec<Unread>) {
    let mut columns: Vec<Column> = Vec::new();
    let members = &profile.root.objects.members;
    let names_of_items = match detected.kind {
        RecordKind::Array => known_names(profile),
        RecordKind::Object | RecordKind::Value => Vec::new(),
    };
    // A key that can be a name keeps it, even if a cleaned name of an earlier key would equal it.
    let mut names = Names::default();
    let mut kept: HashSet<&str> = HashSet::new();
    for key in members.iter().map(|member| member.key.as_str()).filter(|key| is_name(key)) {
        if names.is_free(key) {
            names.take(key);
            kept.insert(key);
        }
    }
    for member in members.iter().filter(|member| !member.key.is_empty()) {
        let Member { key, node, .. } = member;
        let (name, input) = match (detected.kind, key.parse::<usize>()) {
            (RecordKind::Value, _) => (key.clone(), Input::Record),
            (RecordKind::Array, Ok(position)) => {
                let name = names_of_items.get(position).map(|name| cleaned(name));
                let name = name.unwrap_or_else(|| format!("column_{position}"));
                (names.take(&name), Input::Position(position))
            }
            _ if kept.contains(key.as_str()) => (key.clone(), Input::Name),
            _ => (names.take(&cleaned(key)), Input::Key(key.clone())),
        };
        // The name of a column says more than its position.
        let known_as = if detected.kind == RecordKind::Array { &name } else { key };
        let mut choice = choose(known_as, node, places);
        if let Some(text) = invisible::remark(key, members.iter().map(|other| other.key.as_str())) {
            choice.notes.insert(0, Note { is_conflict: false, path: String::new(), text });
        }
        columns.push(Column {
            name,
            input,
            field_type: choice.text,
            wrap: choice.wrap,
            notes: choice.notes,
            comment: comment(node, &profile.root.objects, places),
            is_unique: node.distinct.as_ref().is_some_and(|distinct| distinct.count() == profile.records),
        });
    }
    if let Some(path) = detected.records().filter(|path| path.ends_with('*')) {
        let name = names.take("key");
        let key = Column {
            name,
            input: Input::Document(path.to_owned()),
            field_type: "string".to_owned(),
            wrap: false,
            notes: vec![],
            comment: "the key of the record".to_owned(),
            is_unique: false,
        };
        columns.insert(0, key);
    }
    for (part, field_type, example) in path_parts(objects) {
        let name = cleaned(&part);
        // Another field already has this name.
        if !names.is_free(&name) {
            continue;
        }
        names.take(&name);
        let comment = format!("from the path; e.g. {example}");
        let field_type = field_type.to_owned();
        let input = Input::PathPart(part);
        columns.push(Column { name, input, field_type, wrap: false, notes: vec![], comment, is_unique: false });
    }
    let (around, unread) = around_columns(&profile.around, detected, places, &mut names);
    columns.extend(around);
    limit_values(&mut columns);
    let has_empty_key = members.iter().any(|member| member.key.is_empty());
    if detected.kind == RecordKind::Array && columns.iter().all(|column| !matches!(column.input, Input::Position(_))) {
        // All rows are empty, and without a position the records would have to be objects.
        let (name, comment) = (names.take("column_0"), "always null".to_owned());
        let field_type = "json".to_owned();
        columns.push(Column {
            name,
            input: Input::Position(0),
            field_type,
            wrap: false,
            notes: vec![],
            comment,
            is_unique: false,
        });
    }
    if has_empty_key || profile.root.objects.others.is_some() || columns.is_empty() {
        let reason = if has_empty_key { "the empty key, which no field can name" } else { "keys without a field" };
        columns.push(Column {
            name: names.take("rest"),
            input: Input::Rest,
            field_type: "json".to_owned(),
            wrap: false,
            notes: vec![],
            comment: reason.to_owned(),
            is_unique: false,
        });
    }
    (columns, unread)
}

/// Returns the names of the items of records that are arrays, if the documents have them. Few rows may
/// be longer than the others.
fn known_names(profile: &Profile) -> Vec<String> {
    let members = &profile.root.objects.members;
    let usual = members.iter().filter(|member| member.node.seen() * RARE >= profile.records).count();
    let names = [members.len(), usual].into_iter().find_map(|count| column_names(&profile.around, count));
    names.unwrap_or_default()
}

/// Declares structs with many members as `json` until the records have at most [`MAX_VALUES`] values,
/// the structs with the most members first.
fn limit_values(columns: &mut [Column]) {
    let count = |columns: &[Column]| columns.iter().map(|column| leaves(&column.field_type)).sum::<usize>();
    while count(columns) > MAX_VALUES {
        let largest = columns.iter_mut().max_by_key(|column| leaves(&column.field_type));
        let Some(largest) = largest.filter(|column| leaves(&column.field_type) > 1) else { return };
        let text = format!("kept as JSON text, because the records have more than {MAX_VALUES} different values");
        largest.field_type = "json".to_owned();
        largest.wrap = false;
        largest.notes = vec![Note { is_conflict: false, path: String::new(), text }];
    }
}

/// Returns the field that is most likely the key of the records: unique, and named like a key.
pub(super) fn key_of(columns: &[Column]) -> Option<&Column> {
    let is_named = |column: &Column| match &column.input {
        Input::Key(key) => is_name_of_key(key),
        _ => is_name_of_key(&column.name),
    };
    let named = columns.iter().filter(|column| column.is_unique && is_named(column));
    named.min_by_key(|column| !matches!(column.name.as_str(), "id" | "uuid" | "guid" | "key"))
}

/// Returns the comment on the values of a key of `objects`: their share of nulls, the value if there is
/// only one, otherwise an example, and the first place of a rare value.
pub(super) fn comment(node: &Node, objects: &Objects, places: Places<'_>) -> String {
    let records = objects.all.count;
    let values = (node.seen() - node.nulls).min(records);
    let mut parts = Vec::new();
    match records - values {
        0 => {}
        nulls if values == 0 && nulls >= MIN_EQUAL_VALUES => {
            parts.push(format!("always null, in all {}", counted(nulls, "record")));
        }
        _ if values == 0 => parts.push("always null".to_owned()),
        nulls => parts.push(format!("{} null", percent(nulls, records))),
    }
    match (&node.constant, &node.example) {
        (Constant::One(value), _) if values >= MIN_EQUAL_VALUES => {
            let (otherwise, all) = if values < records { ("otherwise ", "") } else { ("", "all ") };
            let count = counted(values, "record");
            parts.push(format!("{otherwise}always {}, in {all}{count}", shortened(value)));
        }
        (_, Some((_, example))) => parts.push(format!("e.g. {example}")),
        _ => {}
    }
    let is_later = |place: &_| Some(*place) != objects.all.first;
    if let Some(place) = node.first_value().filter(is_later).filter(|_| values * RARE < records) {
        parts.push(format!("first in {}", printable::line(&places.text(place))));
    }
    parts.join("; ")
}

/// Writes a share in percent, and never rounds it to 0 or 100.
pub(super) fn percent(part: u64, whole: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a share needs few digits")]
    let share = part as f64 / whole.max(1) as f64 * 100.0;
    match share {
        share if share < 0.1 => "<0.1 %".to_owned(),
        share if share > 99.9 && part < whole => ">99.9 %".to_owned(),
        share if share < 10.0 || (share > 99.0 && part < whole) => format!("{share:.1} %"),
        share => format!("{share:.0} %"),
    }
}

/// Returns the name of each hive folder in the keys, with the type of its values and an example.
fn path_parts(objects: &[SourceObject]) -> Vec<(String, &'static str, String)> {
    let mut names: Vec<(String, bool, String)> = Vec::new();
    for object in objects {
        let folders = object.key.rsplit_once('/').map_or("", |(folders, _)| folders);
        for (name, value) in folders.split('/').filter_map(hive_parts) {
            let is_long = value == HIVE_NULL || is_long(value);
            match names.iter_mut().find(|(known, ..)| known == name) {
                Some((_, all_long, _)) => *all_long &= is_long,
                None => names.push((name.to_owned(), is_long, value.to_owned())),
            }
        }
    }
    let unique: BTreeSet<&String> = names.iter().map(|(name, ..)| name).collect();
    debug_assert_eq!(unique.len(), names.len(), "each name once");
    names
        .into_iter()
        .map(|(name, is_long, example)| {
            let example = printable::line(&example).into_owned();
            (name, if is_long { "long" } else { "string" }, example)
        })
        .collect()
}

/// Whether a part of a path is a long, possibly with leading zeros.
fn is_long(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) && value.parse::<i64>().is_ok()
}

#[cfg(test)]
mod tests {
    use lakewright_common::config::resolved::JsonFormat;

    use super::*;
    use crate::init::around::tests::add as add_around;
    use crate::init::profile::Place;
    use crate::init::visitor::add_record;

    /// Returns the fields of records of a kind in documents with the path `records`, or else in lines.
    fn columns_of(
        kind: RecordKind,
        records: Option<&str>,
        profile: &Profile,
        objects: &[SourceObject],
    ) -> (Vec<Column>, Vec<Unread>) {
        let format = match records {
            None => JsonFormat::Lines,
            Some(path) => JsonFormat::Document { records: Some(path.to_owned()) },
        };
        let detected = Detected { format, kind, members: None };
        columns(profile, objects, Places::new(objects, &detected.format), &detected)
    }

    fn object(key: &str) -> SourceObject {
        SourceObject { key: key.to_owned(), bytes: 1, etag: None, modified: 0 }
    }

    #[test]
    fn the_largest_structs_of_wide_records_are_kept_as_text() {
        let object = |count: usize| {
            let members: Vec<String> = (0..count).map(|i| format!("\"m{i}\":1")).collect();
            format!("{{{}}}", members.join(","))
        };
        let members: Vec<String> = (0..5).map(|i| format!("\"k{i}\":{}", object(200 + i))).collect();
        let mut profile = Profile { records: 1, ..Profile::default() };
        add_record(
            &mut profile.root,
            RecordKind::Object,
            &format!("{{{},\"n\":1}}", members.join(",")),
            Place::default(),
        );
        let (columns, _) = columns_of(RecordKind::Object, None, &profile, &[]);
        let kept: Vec<_> =
            columns.iter().filter(|column| column.field_type != "json").map(|c| c.name.as_str()).collect();
        assert_eq!(kept, ["k0", "k1", "k2", "k3", "n"]);
        assert!(columns[4].notes[0].text.contains("more than 1000"), "{:?}", columns[4].notes);
    }

    #[test]
    fn every_key_becomes_a_column_with_a_valid_name() {
        let mut profile = Profile::default();
        for record in [
            r#"{"$id":1,"id":2,"ID":"x","a.b":true,"1st":1,"":1,"größe":2,"_x":null}"#,
            r#"{"$id":2,"id":2,"ID":"","a.b":null}"#,
        ] {
            add_record(&mut profile.root, RecordKind::Object, record, Place::default());
            profile.records += 1;
        }
        let objects = [object("year=2018/day=mon/a.json"), object("year=019/day=2/a.json")];
        let (columns, _) = columns_of(RecordKind::Object, None, &profile, &objects);
        let names: Vec<_> = columns
            .iter()
            .map(|column| (column.name.as_str(), column.input.clone(), column.field_type.as_str()))
            .collect();
        let key = |key: &str| Input::Key(key.to_owned());
        let part = |part: &str| Input::PathPart(part.to_owned());
        let expected = [
            ("id_2", key("$id"), "long"),
            ("id", Input::Name, "long"),
            ("ID_3", key("ID"), "string"),
            ("a_b", key("a.b"), "boolean"),
            ("field_1st", key("1st"), "long"),
            ("gr_e", key("größe"), "long"),
            ("x", key("_x"), "json"),
            ("year", part("year"), "long"),
            ("day", part("day"), "string"),
            ("rest", Input::Rest, "json"),
        ];
        assert_eq!(names, expected);
        assert_eq!(columns[3].comment, "50 % null; e.g. true");
        assert_eq!(columns[4].comment, "50 % null; e.g. 1");
        assert_eq!(key_of(&columns).map(|column| column.name.as_str()), Some("id_2"));
    }

    /// Returns the comments on the fields of `records`, which are lines of one object.
    fn comments(records: &[String]) -> Vec<String> {
        let mut profile = Profile::default();
        for (record, position) in records.iter().zip(1..) {
            add_record(&mut profile.root, RecordKind::Object, record, Place { object: 0, position });
            profile.records += 1;
        }
        let objects = [object("a.json")];
        let (columns, _) = columns_of(RecordKind::Object, None, &profile, &objects);
        columns.into_iter().map(|column| column.comment).collect()
    }

    #[test]
    fn a_comment_names_the_only_value_of_many_records() {
        let record = |number: u64| {
            let text = if number.is_multiple_of(4) { "null" } else { "\"x\"" };
            format!("{{\"kind\":\"a\",\"gone\":null,\"text\":{text},\"n\":{number}}}")
        };
        let records: Vec<String> = (0..200).map(record).collect();
        let expected = [
            "always \"a\", in all 200 records",
            "always null, in all 200 records",
            "25 % null; otherwise always \"x\", in 150 records",
            "e.g. 0",
        ];
        assert_eq!(comments(&records), expected);
        // A few equal values mean nothing.
        assert_eq!(comments(&records[..99]), ["e.g. \"a\"", "always null", "25 % null; e.g. \"x\"", "e.g. 0"]);
    }

    #[test]
    fn a_comment_names_the_first_place_of_a_rare_field() {
        let mut records = vec!["{\"id\":1}".to_owned(); 40];
        records[30] = "{\"id\":1,\"rare\":null}".to_owned();
        records[32] = "{\"id\":1,\"rare\":true}".to_owned();
        assert_eq!(comments(&records), ["e.g. 1", "98 % null; e.g. true; first in a.json, line 33"]);
        records[0] = "{\"id\":1,\"rare\":true}".to_owned();
        assert_eq!(comments(&records)[1], "95 % null; e.g. true");
    }

    fn declared(columns: &[Column]) -> Vec<(&str, Input, &str)> {
        columns.iter().map(|it| (it.name.as_str(), it.input.clone(), it.field_type.as_str())).collect()
    }

    #[test]
    fn items_of_arrays_have_the_names_that_the_document_gives_them() {
        let mut profile = Profile { records: 2, ..Profile::default() };
        for record in [r#"[1,"a",null]"#, r#"[2,"b"]"#] {
            add_record(&mut profile.root, RecordKind::Array, record, Place::default());
        }
        let at = Input::Position;
        let (columns, _) = columns_of(RecordKind::Array, Some("rows"), &profile, &[]);
        let expected = [("column_0", at(0), "long"), ("column_1", at(1), "string"), ("column_2", at(2), "json")];
        assert_eq!(declared(&columns), expected);

        add_around(&mut profile.around, 0, 0, &[("columns", r#"["id","a b","ID"]"#), ("took", "5")]);
        let (columns, _) = columns_of(RecordKind::Array, Some("rows"), &profile, &[]);
        let document = |path: &str| Input::Document(path.to_owned());
        let expected = [
            ("id", at(0), "long"),
            ("a_b", at(1), "string"),
            ("ID_2", at(2), "json"),
            ("columns", document("columns"), "list<string>"),
            ("took", document("took"), "long"),
        ];
        assert_eq!(declared(&columns), expected);
    }

    #[test]
    fn a_record_that_is_a_value_is_one_field() {
        let mut profile = Profile { records: 2, ..Profile::default() };
        for record in ["\"Hallo\"", "\"Welt\""] {
            add_record(&mut profile.root, RecordKind::Value, record, Place::default());
        }
        let (columns, _) = columns_of(RecordKind::Value, Some("words.*"), &profile, &[]);
        let key = Input::Document("words.*".to_owned());
        assert_eq!(declared(&columns), [("key", key, "string"), ("value", Input::Record, "string")]);
    }
}
