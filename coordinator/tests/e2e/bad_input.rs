//! Unreadable records, changed objects and rows that violate a key are named, counted and never
//! lost.

use crate::support::Lake;

const CONFIG: &str = r#"
[lake]
url = "lake"

[sources.events]
url = "in"
format = "ndjson"
max_quarantine_share = 0.9

[sources.events.fields]
id = { type = "long", required = true }
name = "string"

[tables.events]
sql = "events.sql"
key = ["id"]
"#;

const MODEL: &str = "SELECT id, name FROM staging.events";

#[test]
fn a_bad_record_is_quarantined_with_its_place_and_the_others_are_ingested() {
    let lake = Lake::of(&[
        ("lake.toml", CONFIG),
        ("events.sql", MODEL),
        ("in/a.json", "{\"id\": 1, \"name\": \"a\"}\r\n{\"id\": \n\n{\"id\": \"x\"}\n{\"name\": \"b\"}\n{\"id\": 2}"),
    ]);
    lake.write("in/b.json", b"{\"id\": 3, \"name\": \"\xff\"}\n{\"id\": 4, \"extra\": 1}\n");
    let done = lake.ok(&["run"]);
    assert!(done.stderr.contains("`extra` (1)"), "{}", done.stderr);
    let rejected = lake
        .query("SELECT object, line, byte_offset, reason, field, text FROM system.quarantine ORDER BY object, line");
    assert_eq!(
        serde_json::Value::from(rejected),
        serde_json::json!([
            {"object": "a.json", "line": 2, "byte_offset": 24, "reason": "malformed", "field": null, "text": "{\"id\": "},
            {"object": "a.json", "line": 4, "byte_offset": 33, "reason": "wrong_type", "field": "id", "text": "{\"id\": \"x\"}"},
            {"object": "a.json", "line": 5, "byte_offset": 45, "reason": "missing_field", "field": "id", "text": "{\"name\": \"b\"}"},
            {"object": "b.json", "line": 1, "byte_offset": 0, "reason": "not_utf8", "field": null, "text": "{\"id\": 3, \"name\": \"\u{fffd}\"}"},
        ])
    );
    let ids = lake.query("SELECT id FROM events ORDER BY id");
    assert_eq!(serde_json::Value::from(ids), serde_json::json!([{"id": 1}, {"id": 2}, {"id": 4}]));
    let counts =
        lake.query("SELECT file_name, row_parsed, row_count, error_count FROM system.ledger ORDER BY file_name");
    assert_eq!(
        serde_json::Value::from(counts),
        serde_json::json!([
            {"file_name": "a.json", "row_parsed": 5, "row_count": 2, "error_count": 3},
            {"file_name": "b.json", "row_parsed": 2, "row_count": 1, "error_count": 1},
        ])
    );
}

#[test]
fn lines_are_counted_from_the_start_of_a_split_object() {
    let mut text = String::new();
    for id in 0..1000 {
        text.push_str(&if id == 900 { "{broken\n".to_owned() } else { format!("{{\"id\": {id}}}\n") });
    }
    let lake = Lake::of(&[("lake.toml", CONFIG), ("events.sql", MODEL), ("in/a.json", &text)]);
    let done = lake.run_with(&["run"], &[("LAKEWRIGHT__LIMITS__SPLIT_BYTES", "500")]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert_eq!(lake.number("SELECT line FROM system.quarantine"), 901);
    assert_eq!(lake.number("SELECT count(*) FROM events"), 999);
}

#[test]
fn too_many_bad_records_fail_the_run_and_commit_nothing() {
    let lake =
        Lake::of(&[("lake.toml", CONFIG), ("events.sql", MODEL), ("in/a.json", "{\"id\": 1}\nnonsense\nnonsense\n")]);
    lake.edit("lake.toml", "0.9", "0.5");
    let error = lake.fails(&["run"], 1);
    assert!(error.contains("2 of 3 records were rejected"), "{error}");
    assert!(error.contains("a.json") && error.contains("max_quarantine_share"), "{error}");
    assert_eq!(lake.version(), 0);
    assert!(!lake.path("lake/events/_delta_log").exists());
}

#[test]
fn a_truncated_gzip_with_keep_stages_the_readable_records_and_quarantines_the_rest() {
    let lake = Lake::of(&[("lake.toml", CONFIG), ("events.sql", MODEL)]);
    let lines: String =
        (0..20_000).map(|id| format!("{{\"id\": {id}, \"name\": \"{}\"}}\n", id * 7919 % 10_007)).collect();
    lake.write("plain.json", lines.as_bytes());
    let zipped = std::process::Command::new("gzip").arg("-c").arg(lake.path("plain.json")).output().expect("gzip");
    lake.write("in/whole.json.gz", &zipped.stdout);
    lake.ok(&["run"]);
    assert_eq!(lake.number("SELECT count(*) FROM events"), 20_000);

    let cut = Lake::of(&[("lake.toml", CONFIG), ("events.sql", MODEL)]);
    cut.edit("lake.toml", "format =", "on_damaged = \"keep\"\nformat =");
    cut.write("in/cut.json.gz", &zipped.stdout[..zipped.stdout.len() / 2]);
    cut.ok(&["run"]);
    let kept = cut.number("SELECT count(*) FROM events");
    assert!(kept > 0 && kept < 20_000, "{kept}");
    let rejected = cut.query("SELECT object, reason FROM system.quarantine");
    assert_eq!(rejected[0]["object"], "cut.json.gz");
    assert_eq!(rejected[0]["reason"], "truncated_compression");
}

#[test]
fn a_changed_object_is_an_error_unless_changes_are_ignored() {
    let lake = Lake::of(&[("lake.toml", CONFIG), ("events.sql", MODEL), ("in/a.json", "{\"id\": 1}\n")]);
    lake.ok(&["run"]);
    lake.write("in/a.json", b"{\"id\": 1}\n{\"id\": 2}\n");
    let error = lake.fails(&["run"], 1);
    assert!(error.contains("`a.json`") && error.contains("on_change"), "{error}");
    lake.edit("lake.toml", "format =", "on_change = \"ignore\"\nformat =");
    assert!(lake.ok(&["run"]).stderr.contains("nothing new"));
    assert_eq!(lake.number("SELECT count(*) FROM events"), 1);
}

#[test]
fn a_violated_key_fails_the_run_with_the_keys_and_nothing_is_visible() {
    let lake = Lake::of(&[("lake.toml", CONFIG), ("events.sql", MODEL), ("in/a.json", "{\"id\": 1}\n")]);
    lake.ok(&["run"]);
    lake.write("in/b.json", b"{\"id\": 1}\n{\"id\": 7}\n");
    let error = lake.fails(&["run"], 1);
    assert!(error.contains("table `events`: key is not unique in 1 row"), "{error}");
    assert!(error.contains("| 1  | 2"), "{error}");
    assert_eq!(lake.version(), 1);
    assert_eq!(lake.number("SELECT count(*) FROM events"), 1);
}

#[test]
fn a_check_fails_the_run_or_only_warns() {
    let checks = "key = [\"id\"]\nchecks = [{ not_null = \"name\", warn = true }, { range = { min = 0, max = 5 }, column = \"id\" }]";
    let config = CONFIG.replace("key = [\"id\"]", checks);
    let lake = Lake::of(&[("lake.toml", &config), ("events.sql", MODEL), ("in/a.json", "{\"id\": 1}\n")]);
    let done = lake.ok(&["run"]);
    assert!(done.stderr.contains("warning: table `events`: `name` is null in 1 row"), "{}", done.stderr);
    lake.write("in/b.json", b"{\"id\": 9, \"name\": \"n\"}\n");
    let error = lake.fails(&["run"], 1);
    assert!(error.contains("`id` is outside 0..5 in 1 row"), "{error}");
    assert_eq!(lake.version(), 1);
}
