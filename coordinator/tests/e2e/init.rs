//! `init`: a project that is written for data reads all of it, without edits.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::s3::TestBucket;
use crate::support::{Done, Lake, copy_folder, files_below, repository};

/// Records with all kinds of conflicts, in hive folders.
const EVENTS: [(&str, &str); 2] = [
    (
        "in/events/year=2018/month=01/part-1.json",
        r#"{"id":1,"ts":1541721600796,"when":"2018-11-21 21:56:47","amount":1,"tags":["a","b"],"big":1,"$ref id":"x","user":{"name":"Ann","zip":"01234"},"mixed":1,"empty":"","gone":null,"day":"2018-11-21","it's":true}
{"id":2,"ts":1541721600797,"when":"","amount":"2.5","tags":"c","big":18446744073709551616,"$ref id":"","user":{"name":null,"a.b":[1,2]},"mixed":{"a":[1]},"empty":"","gone":null,"day":"","it's":false}
"#,
    ),
    (
        "in/events/year=2019/month=02/part-2.json",
        r#"{"id":3,"ts":1541721600798,"when":"21/Nov/2018:21:56:47 -0700","amount":7.25,"tags":[],"big":-5,"user":{},"mixed":"text","empty":"","gone":null,"ID":7,"text":"caf\u00e9 \"x\""}
{"id":4,"amount":null,"tags":null,"nan":1.5,"user":{"name":"\u00e9","zip":""},"mixed":[]}
{"id":5,"nan":NaN,"":"no name","limits":{"max":1e400}}
"#,
    ),
];
/// Documents with records inside, and a file that is not JSON.
const OTHERS: [(&str, &str); 4] = [
    (
        "in/pages/1.json",
        "{\"next\": \"2\", \"data\": {\"rows\": [\n  {\"n\": 1, \"text\": \"first\"},\n  {\"n\": 2, \"text\": \"second\"}\n]}}",
    ),
    ("in/pages/2.json", "{\"next\": null, \"data\": {\"rows\": [{\"n\": 3}, {\"n\": 4}, {\"n\": 5, \"text\": \"\"}]}}"),
    ("in/cities.json", "[{\"city\": \"Ulm\"},\n {\"city\": \"Bonn\", \"at\": [1.5, 2]}]"),
    ("in/README.md", "# Data\n"),
];

/// Runs `init` with the lake's folder as the project's folder.
fn init(lake: &Lake, arguments: &[&str]) -> Done {
    let out = lake.path("");
    let done = lake.ok(&[&["init", "--out", out.to_str().unwrap()], arguments].concat());
    assert!(done.stdout.contains("lake.toml"), "{}", done.stdout);
    done
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Returns the rows of a query without their nulls, so that they are short.
fn rows(lake: &Lake, sql: &str) -> Vec<Value> {
    let without_nulls = |row: Value| match row {
        Value::Object(row) => Value::Object(row.into_iter().filter(|(_, value)| !value.is_null()).collect()),
        row => row,
    };
    lake.query(sql).into_iter().map(without_nulls).collect()
}

fn written(lake: &Lake) -> String {
    fs::read_to_string(lake.path("lake.toml")).unwrap()
}

/// Runs the project, which must reject no record.
#[track_caller]
fn assert_runs(lake: &Lake) {
    let done = lake.run_with(&["run"], &[]);
    assert_eq!(done.code, Some(0), "{}\n{}", done.stderr, written(lake));
    let rejected = lake.query("SELECT * FROM system.quarantine");
    assert_eq!(rejected, Vec::<Value>::new(), "{}", written(lake));
    assert!(lake.ok(&["run"]).stderr.contains("nothing new"));
}

#[test]
fn the_sample_data_get_a_project_that_reads_all_of_it() {
    let lake = Lake::of(&[]);
    let data = repository().join("data");
    for folder in ["song_data", "log_data"] {
        copy_folder(&data.join(folder), &lake.path(folder));
    }
    let done = init(&lake, &[text(&lake.path("song_data")), text(&lake.path("log_data"))]);
    assert!(done.stderr.contains("source song_data: 120 objects"), "{}", done.stderr);
    let config = written(&lake);
    for line in
        ["ts = \"timestamp(ms)\"", "registration = \"timestamp(ms)\"", "duration = \"double\"", "year = \"long\""]
    {
        assert!(config.lines().any(|written| written.starts_with(line)), "{line}\n{config}");
    }
    assert_eq!(fs::read_to_string(lake.path(".gitignore")).unwrap(), "lake/\n");
    assert_runs(&lake);
    let lines = files_below(&lake.path("log_data")).into_iter().map(|file| fs::read_to_string(file).unwrap());
    let lines: usize = lines.map(|text| text.lines().count()).sum();
    assert_eq!(lake.number("SELECT count(*) FROM log_data"), i64::try_from(lines).unwrap());
    assert_eq!(lake.number("SELECT count(*) FROM song_data"), 120);
}

#[test]
fn odd_data_get_a_project_that_reads_all_of_it() {
    let lake = Lake::of(&[&EVENTS[..], &OTHERS].concat());
    let done = init(&lake, &[text(&lake.path("in"))]);
    assert!(done.stderr.contains("in no source: README.md, which is not JSON"), "{}", done.stderr);
    let config = written(&lake);
    for part in [
        "records = \"data.rows\"",
        "next = { type = \"string\", from_document = \"next\" }",
        "tags = { type = \"list<string>\", wrap = true }",
        "amount = \"double\"",
        "big = \"decimal(38,0)\"",
        "when = \"timestamp(auto)\"",
        "mixed = \"json\"",
        "ref_id = { type = \"string\", from = [\"$ref id\"] }",
        "ID_2 = { type = \"long\", from = [\"ID\"] }",
        "rest = { type = \"json\", from_metadata = \"rest\" }",
        "year = { type = \"long\", from_path = \"year\" }",
        "allow_nan = true",
        "# conflict: 1 string, 1 number, 1 object, 1 list; a list is in",
        "# key = \"id\"   # unique and never null in all 5 records read",
    ] {
        assert!(config.contains(part), "{part}\n{config}");
    }
    assert_runs(&lake);
    assert_eq!(
        rows(
            &lake,
            "SELECT id, amount, tags, CAST(big AS VARCHAR) AS big, ref_id, mixed, year, month, rest FROM events ORDER BY id"
        ),
        [
            json!({"id": 1, "amount": 1.0, "tags": ["a", "b"], "big": "1", "ref_id": "x", "mixed": "1", "year": 2018, "month": 1}),
            json!({"id": 2, "amount": 2.5, "tags": ["c"], "big": "18446744073709551616", "ref_id": "", "mixed": "{\"a\":[1]}", "year": 2018, "month": 1}),
            json!({"id": 3, "amount": 7.25, "tags": [], "big": "-5", "mixed": "\"text\"", "year": 2019, "month": 2}),
            json!({"id": 4, "mixed": "[]", "year": 2019, "month": 2}),
            json!({"id": 5, "year": 2019, "month": 2, "rest": "{\"\":\"no name\"}"}),
        ]
    );
    assert_eq!(
        rows(&lake, "SELECT \"user\"['zip'] AS zip, \"user\"['a.b'] AS ab FROM events WHERE id < 3 ORDER BY id"),
        [json!({"zip": "01234"}), json!({"ab": [1, 2]})]
    );
    assert_eq!(lake.number("SELECT sum(n) FROM pages"), 15);
    assert_eq!(lake.query("SELECT city FROM cities ORDER BY city"), [json!({"city": "Bonn"}), json!({"city": "Ulm"})]);
}

#[test]
fn a_project_inside_of_its_data_does_not_read_itself() {
    let lake = Lake::of(&[("a-1.json", "{\"id\": 1}"), ("sub/a-2.json", "{\"id\": 2}")]);
    let done = lake.command(&["init", "."]).current_dir(lake.path("")).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_runs(&lake);
    // Objects of another folder are another source.
    let sums: i64 = ["data", "sub"].iter().map(|table| lake.number(&format!("SELECT sum(id) FROM {table}"))).sum();
    assert_eq!(sums, 3);
}

/// An object with `count` members, whose keys start with `prefix`.
fn object_of(prefix: &str, count: usize, member: impl Fn(usize) -> String) -> String {
    let members: Vec<String> = (0..count).map(|i| format!("\"{prefix}{i}\": {}", member(i))).collect();
    format!("{{{}}}", members.join(","))
}

#[test]
fn similar_members_of_an_object_are_records() {
    let user = |i: usize| format!("{{\"name\": \"n{i}\", \"age\": {i}}}");
    let inside =
        |prefix: &str, count: usize| format!("{{\"next\": \"x\", \"users\": {}}}", object_of(prefix, count, user));
    // The members of a record have the same keys in each document.
    let sensors = |id: usize| format!("{{\"id\": {id}, \"sensors\": {}}}", object_of("s", 12, user));
    let lake = Lake::of(&[
        ("in/users/1.json", &inside("a", 20)),
        ("in/users/2.json", &inside("b", 3)),
        ("in/rates.json", &object_of("c", 15, user)),
        ("in/houses/1.json", &sensors(1)),
        ("in/houses/2.json", &sensors(2)),
    ]);
    init(&lake, &[text(&lake.path("in"))]);
    let config = written(&lake);
    for line in [
        "records = \"users.*\"",
        "records = \"*\"",
        "# The members of an object are the records, because 20 of one document are similar objects.",
        "# A field has their keys, such as \"a0\".",
        "key = { type = \"string\", from_document = \"users.*\" }  # the key of the record",
    ] {
        assert!(config.lines().any(|written| written == line), "{line}\n{config}");
    }
    assert_runs(&lake);
    let counts = ["users", "in_data", "houses"].map(|table| lake.number(&format!("SELECT count(*) FROM {table}")));
    assert_eq!(counts, [23, 15, 2], "{config}");
    assert_eq!(lake.number("SELECT max(age) FROM users"), 19);
    assert_eq!(lake.number("SELECT count(DISTINCT key) FROM users"), 23);
    assert_eq!(lake.number("SELECT count(*) FROM users WHERE next = 'x'"), 23);
}

#[test]
fn rows_dictionaries_and_lists_of_texts_become_tables() {
    let meta = format!(
        "{{\"note\": \"{}\", \"columns\": [{{\"name\": \"id\"}}, {{\"name\": \"City name\"}}, {{\"name\": \"at\"}}]}}",
        "x".repeat(1100)
    );
    let rows_of = |from: usize| {
        let rows: Vec<String> = (from..from + 5).map(|i| format!("[{i}, \"c{i}\", {{\"x\": {i}}}]")).collect();
        rows.join(", ")
    };
    let lake = Lake::of(&[
        (
            "in/cities.json",
            &format!("{{\"total\": 5, \"data\": [{}, [9]], \"meta\": {meta}}}", vec![rows_of(0); 20].join(", ")),
        ),
        ("in/candles.json", &format!("[{}]", rows_of(5))),
        ("in/trades.jsonl", "[1, 2.5, null]\n[2, 3, true]\n"),
        ("in/german.json", &object_of("word ", 400, |i| format!("\"Wort {i}\""))),
        ("in/words.json", "[\"a\", \"b\", \"a\"]"),
    ]);
    init(&lake, &[text(&lake.path("in"))]);
    let config = written(&lake);
    for line in [
        "id = { type = \"long\", from = 0 }",
        "City_name = { type = \"string\", from = 1 }",
        "total = { type = \"long\", from_document = \"total\" }",
        "To read it, add the field: meta = { type = \"json\", from_document = \"meta\" }",
        "column_2 = { type = \"struct<x: long>\", from = 2 }",
        "column_1 = { type = \"double\", from = 1 }",
        "key = { type = \"string\", from_document = \"*\" }",
        "value = { type = \"string\", from = [] }",
    ] {
        assert!(config.contains(line), "{line}\n{config}");
    }
    assert_runs(&lake);
    assert_eq!(lake.number("SELECT count(*) FROM german WHERE value = replace(key, 'word', 'Wort')"), 400);
    assert_eq!(
        rows(&lake, "SELECT value FROM words ORDER BY value"),
        ["a", "a", "b"].map(|value| json!({"value": value}))
    );
    assert_eq!(
        rows(&lake, "SELECT * FROM trades ORDER BY column_0"),
        [json!({"column_0": 1, "column_1": 2.5}), json!({"column_0": 2, "column_1": 3.0, "column_2": true}),]
    );
    assert_eq!(lake.number("SELECT sum(column_0 + column_2['x']) FROM candles"), 70);
    assert_eq!(lake.number("SELECT count(*) FROM cities WHERE \"City_name\" = concat('c', id)"), 100);
    assert_eq!(lake.number("SELECT count(*) FROM cities WHERE total = 5"), 101);
}

#[test]
fn files_with_different_records_are_different_sources() {
    let lake = Lake::of(&[]);
    let words = ["amber", "birch", "cedar", "dahlia", "elder"];
    // Tables beside each other, and folders of persons, of whom one has other records.
    for (a, b) in words.iter().flat_map(|a| words.map(|b| (a, b))) {
        lake.write(&format!("in/{a}-{b}.json"), format!("{{\"id\": 1, \"{a}\": 2, \"{b}_x\": 3}}\n").as_bytes());
        let person =
            if (*a, b) == ("cedar", "elder") { "{\"total\": 1, \"at\": 2}" } else { "{\"name\": \"x\", \"age\": 2}" };
        lake.write(&format!("in/people/{a}{b}/profile.json"), person.as_bytes());
    }
    let done = init(&lake, &[text(&lake.path("in"))]);
    assert_eq!(written(&lake).matches("\n[tables.").count(), 27, "{}", done.stderr);
    assert!(done.stderr.contains("source people: 24 objects"), "{}", done.stderr);
    assert_runs(&lake);
    assert_eq!(lake.number("SELECT count(*) FROM people"), 24);
    assert_eq!(lake.number("SELECT sum(id) FROM amber_birch"), 1);
    assert_eq!(lake.number("SELECT count(total) FROM cedarelder"), 1);
}

#[test]
fn hundreds_of_folders_with_similar_records_are_one_source() {
    let lake = Lake::of(&[]);
    let letters = ["al", "be", "ce", "du", "em", "fa", "go", "hi", "jo"];
    let names = letters.iter().flat_map(|a| letters.iter().flat_map(move |b| letters.map(|c| format!("{a}{b}{c}"))));
    let names: Vec<String> = names.collect();
    for (name, kind) in names.iter().flat_map(|name| [(name, "orders"), (name, "users")]) {
        let record = if kind == "orders" { "{\"total\": 1}" } else { "{\"name\": \"x\"}" };
        lake.write(&format!("in/{name}/{kind}.json"), record.as_bytes());
    }
    let done = init(&lake, &[text(&lake.path("in"))]);
    for source in ["source orders: 729 objects", "source users: 729 objects"] {
        assert!(done.stderr.contains(source), "{}", done.stderr);
    }
    assert_runs(&lake);
    assert_eq!(lake.number("SELECT sum(total) FROM orders"), 729);
}

#[test]
fn comments_name_places_and_constant_values() {
    let lake = Lake::of(&[]);
    // More than one thread counts these records.
    let filler = "x".repeat(2000);
    let line = |number: usize| match number {
        1000 => "{\"id\": \"none\", \"kind\": \"a\", \"rare\": [1], \"gone\": null}".to_owned(),
        number => format!("{{\"id\": {number}, \"kind\": \"a\", \"text\": \"{filler}\", \"gone\": null}}"),
    };
    let lines: Vec<String> = (1..=2500).map(line).collect();
    lake.write("in/log.jsonl", lines.join("\n").as_bytes());
    lake.write("in/docs.json", b"[{\"v\": 1},\n{\"v\": 2},\n{\"v\": \"x\"}]");
    lake.write("in/odd.json", "[{\"id\": 1, \"id\u{200B}\": 2}]".as_bytes());
    init(&lake, &[text(&lake.path("in"))]);
    let config = written(&lake);
    for part in [
        "# conflict: 2499 numbers, 1 string; a string is in log.jsonl, line 1000; numbers are kept as text",
        "always \"a\", in all 2500 records",
        "always null, in all 2500 records",
        ">99.9 % null; e.g. [1]; first in log.jsonl, line 1000",
        "# conflict: 2 numbers, 1 string; a string is in docs.json, byte 21; numbers are kept as text",
        "# note: the key is \"id\\u200B\": only characters that cannot be seen distinguish it from \"id\"",
        "from = [\"id\\u200B\"]",
    ] {
        assert!(config.contains(part), "{part}\n{config}");
    }
    assert_runs(&lake);
    assert_eq!(rows(&lake, "SELECT id, id_2 FROM odd"), [json!({"id": 1, "id_2": 2})]);
}

#[test]
fn the_limit_of_rejected_records_is_not_removed() {
    let lake = Lake::of(&[]);
    let good: Vec<String> = (0..20).map(|number| format!("{{\"id\": {number}}}")).collect();
    for (object, text) in [("1", good.join("\n")), ("2", ["[1]"; 10].join("\n")), ("3", good.join("\n") + "\n7")] {
        lake.write(&format!("in/log-{object}.json"), text.as_bytes());
    }
    lake.write("in/broken.json", b"{\"a\": }");
    let done = init(&lake, &[text(&lake.path("in"))]);
    let ignored = "in no source: broken.json, which has no record that a run accepts";
    assert!(done.stderr.contains(ignored), "{}", done.stderr);
    let config = written(&lake);
    for line in [
        "# The limit allows the share that was found, so that a run succeeds: 10 records in log-2.json, 1 record in log-3.json.",
        "max_quarantine_share = 0.22",
        "# In no source: broken.json, which has no record that a run accepts.",
    ] {
        assert!(config.lines().any(|written| written == line), "{line}\n{config}");
    }
    lake.ok(&["run"]);
    assert_eq!(lake.number("SELECT count(*) FROM log"), 40);
    assert_eq!(lake.query("SELECT * FROM system.quarantine").len(), 11);
    let alone = lake.fails(&["init", text(&lake.path("in/broken.json")), "--out", text(&lake.path("new"))], 1);
    assert!(alone.contains("no object is JSON: broken.json has no record that a run accepts"), "{alone}");
}

#[test]
fn nothing_is_overwritten() {
    let lake =
        Lake::of(&[("in/a.json", "{\"id\": 1}"), ("out/models/in_data.sql", "SELECT 1"), ("git/.gitignore", "")]);
    init(&lake, &[text(&lake.path("in"))]);
    let before = written(&lake);
    for (out, named) in [("", "lake.toml"), ("out", "models/in_data.sql"), ("git", ".gitignore")] {
        let error = lake.fails(&["init", text(&lake.path("in")), "--out", text(&lake.path(out))], 2);
        assert!(error.contains(named) && error.contains("never overwrites") && error.contains("--out"), "{error}");
    }
    assert_eq!(written(&lake), before);
    assert!(!lake.path("out/lake.toml").exists() && !lake.path("git/lake.toml").exists());
    let error = lake.fails(&["init", text(&lake.path("nowhere")), "--out", text(&lake.path("new"))], 3);
    assert!(error.contains("nowhere"), "{error}");
    let error = lake.fails(&["init", "ftp://host/data", "--out", text(&lake.path("new"))], 2);
    assert!(error.contains("`ftp` is not supported"), "{error}");
    lake.write("csv/a.csv", b"id,name\n1,a\n");
    let error = lake.fails(&["init", text(&lake.path("csv")), "--out", text(&lake.path("new"))], 1);
    assert!(error.contains("no object is JSON: a.csv is not JSON"), "{error}");
    assert!(!lake.path("new").exists());
}

#[test]
fn a_sample_says_what_it_can_miss() {
    let lake = Lake::of(&[]);
    for number in 0..50 {
        lake.write(
            &format!("in/{number:02}.json"),
            format!("{{\"id\": {number}}}\n{{\"id\": 1{number}}}\n").as_bytes(),
        );
    }
    let done = init(&lake, &[text(&lake.path("in")), "--budget", "200B"]);
    assert!(done.stderr.contains("with 99.9 % confidence"), "{}", done.stderr);
    assert!(written(&lake).contains("A sample of "), "{}", written(&lake));
    assert_runs(&lake);
    assert_eq!(lake.number("SELECT count(*) FROM in_data"), 100);
}

#[test]
fn text_in_latin1_and_compressed_objects_are_recognized() {
    let lake = Lake::of(&[("packed/1.json", "{\"id\": 1}\n{\"id\": 2}\n")]);
    lake.write("old/1.json", b"{\"name\": \"caf\xE9\"}\n{\"name\": \"x\"}\n");
    let packed = std::process::Command::new("gzip").arg(lake.path("packed/1.json")).status().unwrap();
    assert!(packed.success());
    init(&lake, &[text(&lake.path("packed")), text(&lake.path("old"))]);
    assert!(written(&lake).contains("encoding = \"latin1\""), "{}", written(&lake));
    assert_runs(&lake);
    assert_eq!(lake.number("SELECT sum(id) FROM packed"), 3);
    assert_eq!(lake.query("SELECT name FROM old ORDER BY name"), [json!({"name": "café"}), json!({"name": "x"})]);
}

#[test]
fn objects_of_a_bucket_get_a_project() {
    let place = TestBucket::own();
    // The folder `in` is uploaded because a configuration names it.
    let lake = Lake::of(&[&EVENTS[..], &OTHERS, &[("lake.toml", "url = \"in\"\n")]].concat()).on_s3(&place);
    fs::remove_file(lake.path("lake.toml")).unwrap();
    init(&lake, &[&place.url("in")]);
    assert_runs(&lake);
    assert_eq!(lake.number("SELECT count(*) FROM events"), 5);
    assert_eq!(lake.number("SELECT count(*) FROM pages"), 5);
}
