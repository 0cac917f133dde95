//! Tests of rows: columns of the object and the record, text that is almost JSON, and counts.

use arrow::array::AsArray;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::*;
use crate::config::resolved::RecordFormat;
use crate::storage::object::SourceObject;

/// Fields with values around the records.
mod around;

/// Reads records of one object of a source. Returns each row as text, and the outcome of each
/// record.
fn read(toml: &str, key: &str, records: &[&[u8]]) -> (Vec<String>, Vec<String>, FieldCounts) {
    let source = crate::config::source(toml).unwrap_or_else(|error| panic!("{error}"));
    let RecordFormat::Json(format) = &source.format;
    let mut rows = Rows::new(&source, format);
    let object = SourceObject { key: key.to_owned(), bytes: 77, etag: None, modified: 1_542_837_407_796_123 };
    rows.attached.start_object(&object);
    let mut outcomes = Vec::new();
    let mut offset = 0;
    for (line, record) in (1..).zip(records) {
        outcomes.push(match rows.read(offset, line, record, None) {
            Ok(outcome) => format!("{outcome:?}"),
            Err(rejection) => rejection.to_string(),
        });
        offset += record.len() as u64 + 1;
    }
    let batch = rows.finish().unwrap();
    let options = FormatOptions::default().with_null("null");
    let shown = (0..batch.len()).map(|row| {
        let cells = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options).unwrap().value(row).to_string());
        cells.collect::<Vec<_>>().join(" | ")
    });
    (shown.collect(), outcomes, rows.field_counts())
}

#[test]
fn columns_of_the_object_and_of_the_record_are_at_the_positions_of_their_fields() {
    let (rows, outcomes, counts) = read(
        r#"
        [sources.s]
        url = "s3://bucket/year=2018"
        [sources.s.fields]
        file = { type = "string", from_metadata = "key" }
        id = "long"
        month = { type = "long", from_path = "month" }
        year = { type = "long", from_path = "year" }
        day = { type = "date", from_path = "day" }
        size = { type = "long", from_metadata = "size" }
        modified = { type = "timestamp", from_metadata = "modified" }
        etag = { type = "string", from_metadata = "etag" }
        line = { type = "long", from_metadata = "line" }
        offset = { type = "long", from_metadata = "offset" }
        raw = { type = "string", from_metadata = "raw" }
        rest = { type = "json", from_metadata = "rest" }
        "#,
        "month=01/a.json",
        &[br#" {"id":1}"#, br#"{"id":"x"}"#, br#"{"id":2,"a":{"b":[1.50]}}"#],
    );
    assert_eq!(
        rows,
        [
            r#"month=01/a.json | 1 | 1 | 2018 | null | 77 | 2018-11-21T21:56:47.796123Z | null | 1 | 0 | {"id":1} | null"#,
            r#"month=01/a.json | 2 | 1 | 2018 | null | 77 | 2018-11-21T21:56:47.796123Z | null | 3 | 21 | {"id":2,"a":{"b":[1.50]}} | {"a":{"b":[1.50]}}"#,
        ]
    );
    assert_eq!(outcomes, ["Stored", "wrong_type: `\"x\"` is not a long (field `id`)", "Stored"]);
    assert_eq!(counts.empty().collect::<Vec<_>>(), ["day", "etag"]);
    assert_eq!((counts.filled["id"], counts.filled["rest"]), (2, 1));
}

#[test]
fn a_wrong_or_missing_part_of_the_path_rejects_all_records_of_the_object() {
    let toml = |setting: &str| {
        format!(
            "[sources.s]\nurl = '/s'\npath_pattern = '^(?<tenant>[a-z]*)-(?<day>[^.]*)'\n\
             fields = {{ id = 'long', tenant = {{ type = 'string', from_path = 'tenant', required = true }},\n\
             day = {{ type = 'date', from_path = 'day'{setting} }} }}"
        )
    };
    for (setting, key, expected) in [
        ("", "acme-2018-11-21.json", "Stored"),
        (
            "",
            "acme-today.json",
            "wrong_type: `today` of the object's path does not fit the type of the field (field `day`)",
        ),
        (", on_invalid = 'null'", "acme-today.json", "Stored"),
        ("", "2018", "missing_field: required field `tenant` has no value for this object (field `tenant`)"),
    ] {
        let (rows, outcomes, counts) = read(&toml(setting), key, &[br#"{"id":1}"#, br#"{"id":2}"#]);
        assert_eq!(outcomes, [expected, expected], "{key}");
        assert_eq!(rows.len(), if expected == "Stored" { 2 } else { 0 });
        let nulled = if setting.is_empty() { None } else { Some(&2) };
        assert_eq!(counts.nulled.get("day"), nulled, "{key}");
    }
}

#[test]
fn text_that_is_almost_json_is_read_if_a_setting_allows_it() {
    let records: &[&[u8]] = &[
        br#"{"v":NaN,"w":1,"x":2}"#,
        br#"{"v":-Infinity}"#,
        br#"{"v":1,"t":Infinity}"#,
        br#"{"t":"a\ud83d"}"#,
        b"{\"t\":\"a\xFF\"}",
        b" null ",
        b"nil",
    ];
    let toml = |settings: &str| {
        format!(
            "[sources.s]\nurl = '/s'\n{settings}\nfields = {{ v = 'double', t = 'string', w = 'json',\n\
             rest = {{ type = 'json', from_metadata = 'rest' }} }}"
        )
    };
    let (rows, outcomes, _) = read(&toml(""), "a", records);
    assert_eq!(rows, Vec::<String>::new());
    let reasons: Vec<&str> = outcomes.iter().map(|outcome| outcome.split(':').next().unwrap()).collect();
    assert_eq!(reasons, ["malformed", "malformed", "malformed", "malformed", "not_utf8", "not_an_object", "malformed"]);

    let settings = "allow_nan = true\ninvalid_unicode = 'replace'\nnull_records = 'skip'";
    let (rows, outcomes, counts) = read(&toml(settings), "a", records);
    assert_eq!(
        rows,
        [
            "NaN | null | 1 | {\"x\":2}",
            "-inf | null | null | null",
            "1.0 | Infinity | null | null",
            "null | a\u{FFFD} | null | null",
            "null | a\u{FFFD} | null | null",
        ]
    );
    assert_eq!(outcomes[5], "Skipped");
    assert!(outcomes[6].starts_with("malformed"), "{}", outcomes[6]);
    assert_eq!(counts.null_records, 1);
}

#[test]
fn a_nulled_value_counts_once_per_accepted_record_and_only_if_it_remains() {
    let (rows, _, counts) = read(
        "[sources.s]\nurl = '/s'\n[sources.s.fields]\n\
         d = { type = 'date', on_invalid = 'null' }\n\
         n = { type = 'long', from = 'a.n', on_invalid = 'null' }\n\
         l = { type = 'list<struct<x: long>>', on_invalid = 'null' }\n\
         id = 'long'\n",
        "a",
        &[
            br#"{"d":"0000-00-00","id":1}"#,
            // The last value of a key counts.
            br#"{"d":"x","d":"2018-11-21","id":2}"#,
            // The record is rejected for another field.
            br#"{"d":"x","id":"x"}"#,
            br#"{"a":5,"id":4}"#,
            br#"{"a":{"n":"x"},"a":{},"id":5}"#,
            br#"{"l":[{"x":"y"},{"x":1},"z"],"id":6}"#,
        ],
    );
    assert_eq!(
        rows,
        [
            "null | null | null | 1",
            "2018-11-21 | null | null | 2",
            "null | null | null | 4",
            "null | null | null | 5",
            "null | null | [{x: null}, {x: 1}, null] | 6",
        ]
    );
    let expected = [("d", 1), ("l", 1), ("l.x", 1), ("n", 1)];
    assert_eq!(counts.nulled, expected.map(|(name, count)| (name.to_owned(), count)).into());
}

#[test]
fn bytes_of_a_binary_column_are_decoded() {
    let toml = "[sources.s]\nurl = '/s'\nfields = { b = 'binary(hex)' }";
    let source = crate::config::source(toml).unwrap();
    let RecordFormat::Json(format) = &source.format;
    let mut rows = Rows::new(&source, format);
    rows.read(0, 1, br#"{"b":"00ff"}"#, None).unwrap();
    let batch = rows.finish().unwrap();
    assert_eq!(batch.column(0).as_binary::<i32>().value(0), [0, 255]);
}
