//! Tests of fields with values around the records, of aliases, and of records that are no objects.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::config::resolved::Limits;
use crate::read::quarantine::RejectedRows;
use crate::read::record_format::needs_survey;
use crate::read::tally::ObjectTally;

/// Result of reading one object.
#[derive(Debug, PartialEq)]
struct Read {
    /// Cells of each row, separated by ` | `.
    rows: Vec<String>,
    rejected: usize,
    undeclared: Vec<(String, u64)>,
}

/// Reads an object of a source, in chunks of `chunk` bytes.
fn read_object(toml: &str, text: &[u8], chunk: usize) -> Read {
    let source = crate::config::source(toml).unwrap_or_else(|error| panic!("{error}"));
    let RecordFormat::Json(format) = &source.format;
    let Limits { max_record_bytes, .. } = crate::config::default_limits();
    let mut reader = JsonReader::new(&source, format, max_record_bytes);
    let bytes = text.len() as u64;
    let split = Split::whole(SourceObject { key: "a".to_owned(), bytes, etag: None, modified: 0 });
    let chunks = || text.chunks(chunk).map(Bytes::copy_from_slice);
    if needs_survey(&source) {
        reader.start_survey(&split);
        chunks().for_each(|chunk| reader.survey(&chunk));
    }
    reader.start_split(&split);
    let (mut tally, mut rejected) = (ObjectTally::of(&split), RejectedRows::default());
    for chunk in chunks().map(Some).chain([None]) {
        match chunk {
            Some(chunk) => reader.push(&chunk),
            None => reader.finish_split(),
        }
        let (tally, rejected) = (&mut tally, &mut rejected);
        let mut sink = RecordSink { source: "s", split: &split, tally, rejected, max_records: u64::MAX };
        reader.read_block(&mut sink);
    }
    let batch = reader.rows.finish().unwrap();
    let options = FormatOptions::default().with_null("null");
    let cell = |column: &arrow::array::ArrayRef, row| {
        ArrayFormatter::try_new(column, &options).unwrap().value(row).to_string()
    };
    let row = |row| batch.columns().iter().map(|column| cell(column, row)).collect::<Vec<_>>().join(" | ");
    Read {
        rows: (0..batch.len()).map(row).collect(),
        rejected: rejected.rows(),
        undeclared: reader.field_counts().undeclared.into_iter().collect(),
    }
}

const PAGES: &str = r#"
    [sources.s]
    url = "/s"
    format = "json"
    records = "pages[].users.*"
    [sources.s.fields]
    version = { type = "long", from_document = "version" }
    id = "long"
    name = { type = "string", from_document = "pages[].users.*" }
    page = { type = "string", from_document = "pages[].id" }
    total = { type = "long", from_document = "pages[].meta.total" }
"#;

#[test]
fn values_around_the_records_are_found_before_and_after_them() {
    let text = r#"{"other":0,"pages":[
        {"id":"p1","users":{"ann":{"id":1},"b\"ob":{"id":2}},"meta":{"total":2,"x":[]}},
        {"meta":null,"next":"é","users":{"cy":{"id":3}},"id":"a\nb","id":"p2"},
        {"users":{"dee":{"id":4}}}
    ],"version":7} {"version":8,"pages":[{"users":{"eve":{"id":5,"y":1}}}]}"#;
    for chunk in [1, 3, 1000] {
        let read = read_object(PAGES, text.as_bytes(), chunk);
        assert_eq!(
            read.rows,
            [
                "7 | 1 | ann | p1 | 2",
                "7 | 2 | b\"ob | p1 | 2",
                "7 | 3 | cy | p2 | null",
                "7 | 4 | dee | null | null",
                "8 | 5 | eve | null | null",
            ]
        );
        let undeclared = [("$.other", 1), ("$.pages[].meta.x", 2), ("$.pages[].next", 1), ("y", 1)];
        assert_eq!(read.undeclared, undeclared.map(|(name, count)| (name.to_owned(), count)));
    }
}

#[test]
fn a_wrong_value_around_the_records_rejects_the_records_inside_its_object() {
    let toml = |settings: &str| PAGES.replace("from_document = \"pages[].id\"", settings);
    for (settings, text, rows, rejected) in [
        // A total that is not a number rejects the records of its page.
        (
            "from_document = 'pages[].id'",
            r#"{"pages":[{"users":{"a":{"id":1}},"meta":{"total":"x"}},{"users":{"b":{"id":2}}}]}"#,
            &["null | 2 | b | null | null"][..],
            1,
        ),
        ("from_document = 'pages[].id', required = true", r#"{"pages":[{"users":{"a":{},"b":{}}}]}"#, &[], 2),
        (
            "from_document = 'pages[].id', null_values = ['-']",
            r#"{"pages":[{"users":{"a":{}},"id":"-"}]}"#,
            &["null | null | a | null | null"],
            0,
        ),
        // Not JSON: framing does not check words.
        ("from_document = 'pages[].id'", r#"{"pages":[{"users":{"a":{}},"id":nul}]}"#, &[], 1),
        // The object ends before all values around the record are known. The end is a broken range.
        ("from_document = 'pages[].id'", r#"{"version":1,"pages":[{"users":{"a":{}},"id":"p"#, &[], 2),
        (
            "from_document = 'pages[].id'",
            r#"{"version":1,"pages":[{"id":"p","meta":{},"users":{"a":{}}},{"users":{"b":{}}"#,
            &["1 | null | a | p | null"],
            2,
        ),
    ] {
        let read = read_object(&toml(settings), text.as_bytes(), 7);
        assert_eq!(
            (read.rows.as_slice(), read.rejected),
            (&rows.iter().map(|row| (*row).to_owned()).collect::<Vec<_>>()[..], rejected),
            "{text}"
        );
    }
}

#[test]
fn a_field_reads_the_first_of_its_keys_that_has_a_value() {
    let toml = r#"
        [sources.s]
        url = "/s"
        [sources.s.fields]
        id = { type = "long", aliases = ["ID", "meta.id"], required = true }
        rest = { type = "json", from_metadata = "rest" }
    "#;
    let text = br#"{"id":1,"ID":2}
{"ID":2,"x":1}
{"meta":{"id":"3","y":1}}
{"id":null,"ID":"","meta":{"id":4}}
{"id":5,"ID":"x"}
{"meta":{"id":null}}
{"meta":{"id":6}}
{"meta":{"id":7}}
"#;
    let read = read_object(toml, text, 1000);
    assert_eq!(read.rows, ["1 | null", "2 | {\"x\":1}", "3 | {\"meta.y\":1}", "4 | null", "6 | null", "7 | null"]);
    assert_eq!(read.rejected, 2);
}

#[test]
fn items_of_records_that_are_arrays_are_read_by_position() {
    let toml = r#"
        [sources.s]
        url = "/s"
        format = "json"
        records = "rows"
        [sources.s.fields]
        name = { type = "string", from = 1 }
        id = { type = "long", from = 0, required = true }
        plan = { type = "string", from = [3, "plan"] }
        rest = { type = "json", from_metadata = "rest" }
    "#;
    let text = br#"{"columns":["id"],"rows":[[1,"a",true,{"plan":"x","z":1}],["2"],[3,null,[],null,5,6],{"0":4},[],[null],["x"]]}"#;
    let read = read_object(toml, text, 1000);
    assert_eq!(
        read.rows,
        [r#"a | 1 | x | {"2":true,"3.z":1}"#, "null | 2 | null | null", r#"null | 3 | null | {"2":[],"4":5,"5":6}"#]
    );
    assert_eq!(read.rejected, 4);
    let undeclared = [("$.columns", 1), ("2", 2), ("3.z", 1), ("4", 1), ("5", 1)];
    assert_eq!(read.undeclared, undeclared.map(|(name, count)| (name.to_owned(), count)));
}

#[test]
fn records_of_any_kind_are_read_as_a_whole() {
    let toml = |field: &str| {
        format!(
            "[sources.s]\nurl = \"/s\"\nformat = \"json\"\nrecords = \"*\"\nallow_nan = true\n[sources.s.fields]\n\
             key = {{ type = \"string\", from_document = \"*\" }}\nvalue = {{ type = {field}, from = [] }}\n"
        )
    };
    let text = br#"{"a":"x","b": 1 ,"c":null,"d":[1,{"e":"y"}],"f":NaN,"g":2.5,"h":"A"}"#;
    let rows = |field: &str| {
        let read = read_object(&toml(field), text, 1000);
        assert_eq!(read.undeclared, []);
        (read.rows, read.rejected)
    };
    for (field, expected, rejected) in [
        ("\"string\"", &["a | x", "b | 1", "c | null", "f | NaN", "g | 2.5", "h | A"][..], 1),
        (
            "\"json\"",
            &["a | \"x\"", "b | 1", "c | null", "d | [1,{\"e\":\"y\"}]", "f | \"NaN\"", "g | 2.5", "h | \"A\""],
            0,
        ),
        ("\"long\", required = true", &["b | 1"], 6),
        ("\"list<json>\"", &["c | null", "d | [1, {\"e\":\"y\"}]"], 5),
    ] {
        let expected: Vec<String> = expected.iter().map(|row| (*row).to_owned()).collect();
        assert_eq!(rows(field), (expected, rejected), "{field}");
    }
}

#[test]
fn a_line_is_one_value() {
    let toml = "[sources.s]\nurl = \"/s\"\n[sources.s.fields]\nn = { type = \"long\", from = [] }\n";
    let read = read_object(toml, b"1\n\"2\"\n3,4\n5 6\n[7]\n]\n8],[9\n null \n\n10", 1000);
    assert_eq!(read.rows, ["1", "2", "null", "10"]);
    assert_eq!(read.rejected, 5);
}

/// Members of a container beside the path: any of the declared ones and others, before or after.
fn members() -> impl Strategy<Value = Vec<(String, Value)>> {
    let value = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
        Just(json!({"total": 5, "id": [1, {"users": {}}]})),
        Just(json!([[], {"a": "]}"}])),
    ];
    proptest::collection::vec((prop_oneof!["id", "version", "meta", "[a-z\"\\\\]{1,3}"], value), 0..4)
}

/// An object with members before and after the one on the path.
fn container(key: &'static str, inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    (members(), inner, members()).prop_map(move |(before, inner, after)| {
        let mut object = Map::new();
        object.extend(before);
        object.remove(key);
        object.insert(key.to_owned(), inner);
        object.extend(after.into_iter().filter(|(name, _)| name != key));
        Value::Object(object)
    })
}

fn document() -> impl Strategy<Value = Value> {
    let record = any::<i32>().prop_map(|id| json!({"id": id}));
    let users = proptest::collection::btree_map(".{0,4}", record, 0..4)
        .prop_map(|users| Value::Object(users.into_iter().collect()));
    container("pages", proptest::collection::vec(container("users", users), 0..4).prop_map(Value::from))
}

proptest! {
    /// Compares the fields with a reading of the whole document.
    #[test]
    fn fields_around_records_are_those_of_the_document(
        documents in proptest::collection::vec(document(), 0..3),
        chunk in 1_usize..200,
    ) {
        let toml = PAGES
            .replace("\"long\", from_document = \"version\"", "\"json\", from_document = \"version\"")
            .replace("\"string\", from_document = \"pages[].id\"", "\"json\", from_document = \"pages[].id\"")
            .replace("\"long\", from_document = \"pages[].meta.total\"", "\"json\", from_document = \"pages[].meta\"");
        let text: String = documents.iter().map(|document| format!("{document}\n")).collect();
        let shown = |value: Option<&Value>| value.filter(|it| !it.is_null()).map_or("null".to_owned(), Value::to_string);
        let mut expected = Vec::new();
        for document in &documents {
            for page in document["pages"].as_array().unwrap() {
                for (name, user) in page["users"].as_object().unwrap() {
                    let (version, id, meta) = (document.get("version"), page.get("id"), page.get("meta"));
                    expected.push(format!("{} | {} | {name} | {} | {}", shown(version), user["id"], shown(id), shown(meta)));
                }
            }
        }
        let read = read_object(&toml, text.as_bytes(), chunk);
        prop_assert_eq!(read.rejected, 0);
        prop_assert_eq!(read.rows, expected);
    }
}
