//! Fields from any place in an object, and values of any form: in one process, and with records read
//! by a worker.

use serde_json::{Value, json};

use crate::cluster::ends_well;
use crate::support::Lake;
use crate::support::cluster::{Worker, free_port};

const CONFIG: &str = r#"
[lake]
url = "lake"

[sources.visits]
url = "in/visits"
encoding = "latin1"
allow_nan = true
invalid_unicode = "replace"
null_records = "skip"

[sources.visits.fields]
id = { type = "long", required = true }
month = { type = "long", from_path = "month" }
file = { type = "string", from_metadata = "key" }
line = { type = "long", from_metadata = "line" }
rest = { type = "json", from_metadata = "rest" }
name = "string"
score = "double"
shipped = { type = "date", on_invalid = "null" }
amount = { type = "decimal(10,2)", null_values = ["N/A", "-1"] }
at = { type = "timestamp(auto)", zone = "Europe/Paris" }
tags = { type = "list<string>", wrap = true }
people = "map<string, struct<age: long>>"
hops = 'list<struct<"cf-ray": string, "0": long>>'
body = "json"
picture = "binary(base64)"
deep = "struct<a: map<string, long>>"
never = "string"

[sources.entries]
url = "in/entries"
format = "json"
records = "log.pages[].entries"
fields = { id = "long" }

[tables.visits]
key = "id"

[tables.entries]
key = "id"
"#;

const VISITS: &str = "
    SELECT id, month, file, line, rest, name, isnan(score) AS nan, shipped, amount, at, tags, people, picture,
        people['ann']['age'] AS age, deep, deep['a']['k'] AS k, hops[1]['cf-ray'] AS ray, json_get_str(body, 'detail', 'ip') AS ip,
        (body->>'n')::bigint AS n
    FROM staging.visits";

fn lake() -> Lake {
    let lake = Lake::of(&[
        ("lake.toml", CONFIG),
        ("models/visits.sql", VISITS),
        ("models/entries.sql", "SELECT id FROM staging.entries"),
        (
            "in/visits/month=01/a.json",
            r#"{"id":1,"score":NaN,"shipped":"0000-00-00","amount":-1,"at":"2018-07-01 12:00","tags":"a","extra":{"x":1}}
null
{"id":2,"score":1,"shipped":"2018-07-02","amount":"2.50","at":1530446400,"tags":["a","b"],"name":"x\ud83d"}
"#,
        ),
        (
            "in/entries/a.json",
            r#"{"log":{"v":1,"pages":[{"entries":[{"id":1},{"id":2}]},{"n":2,"entries":[{"id":3}]}]}}"#,
        ),
    ]);
    let record = br#"{"id":3,"name":"Zo@","people":{"ann":{"age":25},"bob":null},"hops":[{"cf-ray":"r1","0":5}],
        "body":{"detail":{"ip":"192.0.2.1"},"n":7},"picture":"AP8=","deep":{"a":{"k":3}}}"#;
    // Latin-1 has ë as one byte.
    let latin1: Vec<u8> = record.iter().map(|byte| if *byte == b'@' { 0xEB } else { *byte }).collect();
    lake.write("in/visits/b.json", &latin1.split(|byte| *byte == b'\n').collect::<Vec<_>>().concat());
    lake
}

fn expected() -> Vec<Value> {
    vec![
        json!({"id": 1, "month": 1, "file": "month=01/a.json", "line": 1, "rest": "{\"extra\":{\"x\":1}}", "nan": true,
               "at": "2018-07-01T10:00:00Z", "tags": ["a"]}),
        json!({"id": 2, "month": 1, "file": "month=01/a.json", "line": 3, "name": "x\u{FFFD}", "nan": false,
               "shipped": "2018-07-02", "amount": 2.5, "at": "2018-07-01T12:00:00Z", "tags": ["a", "b"]}),
        json!({"id": 3, "file": "b.json", "line": 1, "name": "Zoë", "people": {"ann": {"age": 25}, "bob": null},
               "picture": "00ff", "age": 25, "deep": {"a": {"k": 3}}, "k": 3, "ray": "r1", "ip": "192.0.2.1", "n": 7}),
    ]
}

/// Returns the rows of `visits` without their nulls, so that they are short.
fn visits(lake: &Lake) -> Vec<Value> {
    let rows = lake.query("SELECT * FROM visits ORDER BY id");
    let without_nulls = |row: Value| {
        let Value::Object(row) = row else { panic!("a row is an object") };
        Value::Object(row.into_iter().filter(|(_, value)| !value.is_null()).collect())
    };
    rows.into_iter().map(without_nulls).collect()
}

#[test]
fn fields_come_from_any_place_and_values_have_any_form() {
    let lake = lake();
    let done = lake.ok(&["run", "--json"]);
    let summary: Value = serde_json::from_str(&done.stdout).unwrap();
    let counts = &summary["sources"]["visits"];
    assert_eq!((&counts["staged"], &counts["null_records"]), (&json!(3), &json!(1)), "{summary}");
    assert_eq!(counts["nulled_values"], json!({"shipped": 1}), "{summary}");
    assert_eq!(counts["empty_fields"], json!(["never"]), "{summary}");
    let warnings = summary["warnings"].to_string();
    assert!(warnings.contains("field `never` is missing or null in every record"), "{warnings}");
    assert_eq!(visits(&lake), expected());
    // A value of a map in a struct, read from a Parquet file.
    assert_eq!(lake.number("SELECT deep['a']['k'] FROM visits WHERE deep['a']['k'] = 3"), 3);
    assert_eq!(lake.checksums().len(), 2);
    assert_eq!(
        lake.query("SELECT id FROM entries ORDER BY id"),
        [json!({"id": 1}), json!({"id": 2}), json!({"id": 3})]
    );
    assert_eq!(lake.number("SELECT count(*) FROM system.quarantine"), 0);
    assert!(lake.ok(&["run"]).stderr.contains("nothing new"));
}

#[test]
fn a_worker_reads_the_same_rows() {
    let port = free_port();
    let lake = lake().on_cluster(port, 1);
    let worker = Worker::start(port, "one");
    ends_well(lake.start(&[]));
    assert_eq!(visits(&lake), expected());
    drop(worker);
}

#[test]
fn a_check_of_a_sample_warns_of_fields_that_no_record_has() {
    let lake = lake();
    let done = lake.ok(&["check", "--sample", "100"]);
    assert!(done.stdout.contains("warning: source `visits`: field `never` is missing or null"), "{}", done.stdout);
    assert!(done.stdout.contains("1 values of field `shipped` became null"), "{}", done.stdout);
}
