//! Fields with values around the records, fields with several keys, and records that are arrays: in
//! one process, and with records read by a worker.

use serde_json::{Value, json};

use crate::cluster::ends_well;
use crate::support::Lake;
use crate::support::cluster::{Worker, free_port};

const CONFIG: &str = r#"
[lake]
url = "lake"

[sources.items]
url = "in/items"
format = "json"
records = "pages[].items"

[sources.items.fields]
id = { type = "long", required = true, aliases = ["ID", "meta.id"] }
version = { type = "long", from_document = "version" }
page = { type = "string", from_document = "pages[].id" }
total = { type = "long", from_document = "pages[].meta.total" }

[sources.users]
url = "in/users"
format = "json"
records = "users.*"
fields = { name = { type = "string", from_document = "users.*" }, age = "long" }

[sources.rows]
url = "in/rows"
max_quarantine_share = 1

[sources.rows.fields]
id = { type = "long", from = 0 }
price = { type = "decimal(10,2)", from = 1, thousands_separator = ".", decimal_separator = "," }
at = { type = "time", from = [2, "at"] }

[tables.items]
[tables.users]
[tables.rows]
"#;

fn lake() -> Lake {
    let lake = Lake::of(&[
        ("lake.toml", CONFIG),
        ("models/items.sql", "SELECT * FROM staging.items"),
        ("models/users.sql", "SELECT * FROM staging.users"),
        ("models/rows.sql", "SELECT id, price, at, date_part('hour', to_time(at)) AS hour FROM staging.rows"),
        (
            "in/items/a.json",
            r#"{"version":1,"pages":[{"items":[{"id":1},{"ID":2}],"id":"p1","meta":{"total":2}},
                {"id":"p2","items":[{"meta":{"id":3}}],"next":null}]}"#,
        ),
        ("in/users/a.json", r#"{"users":{"ann":{"age":25},"bob":{"age":31}},"count":2}"#),
        ("in/rows/a.json", "[1,\"1.234,50\",{\"at\":\"21:56:47\"}]\n[2,\"7,5\",null,\"more\"]\n{\"0\":3}\n[3,5]\n"),
    ]);
    // After its records, the object has the version that they need. It is read twice.
    let items: Vec<String> =
        (10..300_010).map(|id| format!("{{\"id\":{id},\"padding\":\"{}\"}}", "x".repeat(20))).collect();
    let text = format!("{{\"pages\":[{{\"items\":[{}],\"id\":\"long\"}}],\"version\":2}}", items.join(",\n"));
    assert!(text.len() > 8 * 1024 * 1024, "{} bytes are kept in memory", text.len());
    lake.write("in/items/b.json", text.as_bytes());
    lake
}

fn sorted(lake: &Lake, table: &str, key: &str) -> Vec<Value> {
    lake.query(&format!("SELECT * FROM {table} ORDER BY {key} LIMIT 5"))
}

fn has_all_values(lake: &Lake) {
    assert_eq!(
        lake.query("SELECT * FROM items WHERE id < 10 ORDER BY id"),
        [
            json!({"id": 1, "version": 1, "page": "p1", "total": 2}),
            json!({"id": 2, "version": 1, "page": "p1", "total": 2}),
            json!({"id": 3, "version": 1, "page": "p2", "total": null}),
        ]
    );
    assert_eq!(
        lake.query("SELECT version, page, count(DISTINCT id) AS ids FROM items WHERE id >= 10 GROUP BY 1, 2"),
        [json!({"version": 2, "page": "long", "ids": 300_000})]
    );
    assert_eq!(sorted(lake, "users", "name"), [json!({"name": "ann", "age": 25}), json!({"name": "bob", "age": 31})]);
    assert_eq!(
        sorted(lake, "rows", "id"),
        [
            json!({"id": 1, "price": 1234.5, "at": "21:56:47", "hour": 21}),
            json!({"id": 2, "price": 7.5, "at": null, "hour": null}),
            json!({"id": 3, "price": 5.0, "at": null, "hour": null}),
        ]
    );
}

#[test]
fn values_around_records_and_positions_are_read() {
    let lake = lake();
    let done = lake.ok(&["run", "--json"]);
    let summary: Value = serde_json::from_str(&done.stdout).unwrap();
    let undeclared = |source: &str| summary["sources"][source]["unknown_fields"].clone();
    assert_eq!(undeclared("items"), json!({"$.pages[].next": 1, "padding": 300_000}), "{summary}");
    assert_eq!(undeclared("users"), json!({"$.count": 1}), "{summary}");
    assert_eq!(undeclared("rows"), json!({"3": 1}), "{summary}");
    has_all_values(&lake);
    assert_eq!(
        lake.query("SELECT source, reason, detail FROM system.quarantine"),
        [json!({"source": "rows", "reason": "not_an_object", "detail": "`{\"0\":3}` is not an array"})]
    );
}

#[test]
fn a_worker_reads_the_same_rows() {
    let port = free_port();
    let lake = lake().on_cluster(port, 1);
    let worker = Worker::start(port, "one");
    ends_well(lake.start(&[]));
    has_all_values(&lake);
    drop(worker);
}

#[test]
fn a_path_that_cannot_be_read_is_reported_with_its_reason() {
    for (records, path, fault) in [
        ("records = 'pages[].items'", "pages[].items", "contains the records"),
        ("records = 'pages[].items'", "pages", "contains the records"),
        ("records = 'pages[].items'", "pages.id", "lacks `[]` where `records` has an array"),
        ("records = 'pages[].items'", "pages[].items[].id", "is inside the records; write it as `from`"),
        ("records = 'pages[].items'", "tags[].name", "has `[]` or `*` where `records` has none"),
        ("records = 'users.*'", "users.ann", "lacks `*` where `records` has it"),
        ("records = 'users.*'", "users..x", "has an empty key"),
        ("", "version", "needs the setting `records` of the source"),
    ] {
        let config = format!(
            "[lake]\nurl = 'lake'\n[sources.s]\nurl = 'in'\nformat = 'json'\n{records}\n[sources.s.fields]\n\
             id = 'long'\nv = {{ type = 'long', from_document = '{path}' }}\n[tables.t]\n"
        );
        let lake = Lake::of(&[("lake.toml", config.as_str()), ("models/t.sql", "SELECT id FROM staging.s")]);
        let error = lake.fails(&["check"], 2);
        assert!(error.contains("field `v`: `from_document`") && error.contains(fault), "{path}: {error}");
        assert!(error.contains("lake.toml, line "), "{path}: {error}");
    }
}
