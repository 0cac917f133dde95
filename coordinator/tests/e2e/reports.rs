//! Results of `run` and `check`: text for people, JSON for programs, and warnings in the log.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Done, Lake};

/// Configuration with a source of ids and names, and a table with a check of `name` that only
/// warns.
const CONFIG: &str = r#"
[lake]
url = "lake"
[sources.s]
url = "in"
max_quarantine_share = 0.4
[sources.s.fields]
id = "long"
name = "string"
[tables.t]
sql = "t.sql"
key = ["id"]
checks = [{ not_null = "name", warn = true }, { range = { min = 0, max = 5 }, column = "id" }]
"#;

fn lake(records: &str) -> Lake {
    Lake::of(&[("lake.toml", CONFIG), ("t.sql", "SELECT id, name FROM staging.s"), ("in/a.json", records)])
}

/// Returns the single line of JSON on standard output.
fn object(done: &Done) -> Value {
    assert_eq!(done.stdout.lines().count(), 1, "{}", done.stdout);
    serde_json::from_str(&done.stdout).unwrap_or_else(|e| panic!("{e}: {}", done.stdout))
}

/// Returns the records of a JSON log that have the given level.
fn records(stderr: &str, level: &str) -> Vec<Value> {
    let records = stderr.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line is an object"));
    records.filter(|record| record["level"] == level).collect()
}

#[test]
fn a_run_prints_its_summary_as_one_json_object() {
    let lake = lake("{\"id\": 1, \"name\": \"a\", \"x\": 1}\n{\"id\": 2, \"name\": \"b\"}\n{\"id\": \"c\"}\n");
    let done = lake.ok(&["run", "--json"]);
    let summary = object(&done);
    assert!(!done.stderr.contains("committed version"), "{}", done.stderr);
    for (pointer, expected) in [
        ("/outcome", json!("committed")),
        ("/version", json!(1)),
        ("/sources/s/records", json!(3)),
        ("/sources/s/staged", json!(2)),
        ("/sources/s/quarantined", json!(1)),
        ("/sources/s/unknown_fields", json!({"x": 1})),
        ("/tables/0/name", json!("t")),
        ("/tables/0/rows", json!(2)),
        ("/tables/0/is_rebuilt", json!(true)),
        ("/tables/0/delta_version", json!(0)),
        ("/warnings", json!([])),
        ("/exchange", Value::Null),
        ("/cost", Value::Null),
    ] {
        assert_eq!(summary.pointer(pointer), Some(&expected), "{pointer} of {summary}");
    }
    let steps = summary["steps"].as_array().expect("an array");
    let steps: Vec<_> = steps.iter().map(|step| [&step["name"], &step["state"]]).collect();
    let done_steps = ["discover", "ingest s", "build t", "check", "commit"].map(|name| [json!(name), json!("done")]);
    assert_eq!(json!(steps), json!(done_steps));
    assert_eq!(summary.pointer("/steps/1/objects/records"), Some(&json!(3)));
    assert!(summary["elapsed_seconds"].as_f64() > Some(0.0) && summary["usage"]["cpu_seconds"].is_f64(), "{summary}");

    // A quiet run prints the JSON too, because it is data.
    let again = lake.ok(&["--quiet", "run", "--json"]);
    assert_eq!((object(&again)["outcome"].as_str(), again.stderr.as_str()), (Some("nothing_new"), ""));
    assert_eq!(object(&again)["version"], 1);
    let empty = self::lake("");
    std::fs::remove_file(empty.path("in/a.json")).unwrap();
    let may_be_empty = [("LAKEWRIGHT__SOURCES__S__ALLOW_EMPTY", "true")];
    assert_eq!(object(&empty.run_with(&["run", "--json"], &may_be_empty))["outcome"], "no_data");
}

#[test]
fn a_run_that_fails_prints_no_json() {
    let lake = lake("{\"id\": 9}\n");
    let done = lake.run_with(&["run", "--json"], &[]);
    assert_eq!((done.code, done.stdout.as_str()), (Some(1), ""));
}

#[test]
fn a_check_that_only_warns_is_a_record_of_its_own_in_the_log() {
    let lake = lake("{\"id\": 1}\n{\"id\": 3, \"name\": \"a\"}\n");
    let done = lake.ok(&["--log-format", "json", "run"]);
    let warnings = records(&done.stderr, "WARN");
    let [warning] = &warnings[..] else { panic!("one warning: {}", done.stderr) };
    let message = warning["message"].as_str().unwrap();
    assert!(message.starts_with("table `t`: `name` is null in 1 row"), "{message}");
    let summary = records(&done.stderr, "INFO").pop().unwrap();
    assert!(!summary["message"].as_str().unwrap().contains("is null"), "{summary}");
    // With JSON on standard output, the warning is in both places.
    lake.write("in/b.json", b"{\"id\": 2}\n{\"id\": 4, \"name\": \"b\"}\n");
    let done = lake.ok(&["--log-format", "json", "run", "--json"]);
    assert_eq!(records(&done.stderr, "WARN").len(), 1, "{}", done.stderr);
    assert!(object(&done)["warnings"][0].as_str().unwrap().contains("is null in 2 rows"), "{}", done.stdout);
    // A run that fails has no summary, and still logs the warning.
    lake.write("in/c.json", b"{\"id\": 9}\n");
    let stderr = lake.fails(&["--log-format", "json", "run"], 1);
    let warnings = records(&stderr, "WARN");
    assert!(warnings.iter().any(|record| record["message"].as_str().unwrap().contains("`name` is null")), "{stderr}");
}

#[test]
fn each_failed_check_is_an_error_of_its_own() {
    let lake = lake("{\"id\": 9, \"name\": \"a\"}\n{\"id\": 9, \"name\": \"a\"}\n");
    let stderr = lake.fails(&["--log-format", "json", "run"], 1);
    let errors = records(&stderr, "ERROR");
    assert_eq!(errors.len(), 2, "{stderr}");
    for (error, part) in errors.iter().zip(["key is not unique", "`id` is outside 0..5"]) {
        assert!(error["message"].as_str().unwrap().contains(part), "{error}");
        assert!(error["hint"].as_str().unwrap().contains("nothing was committed"), "{error}");
    }
    // In text, a hint that two errors share is printed once.
    let stderr = lake.fails(&["run"], 1);
    let count = |start: &str| stderr.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!((count("error: "), count("hint: ")), (2, 1), "{stderr}");
}

#[test]
fn every_source_whose_objects_changed_is_named_at_once() {
    let lake = lake("{\"id\": 1, \"name\": \"a\"}\n");
    lake.edit(
        "lake.toml",
        "[tables.t]",
        "[sources.other]\nurl = \"other\"\n[sources.other.fields]\nid = \"long\"\n[tables.t]",
    );
    lake.write("other/b.json", b"{\"id\": 1}\n");
    lake.ok(&["run"]);
    lake.write("in/a.json", b"{\"id\": 1, \"name\": \"changed\"}\n");
    lake.write("other/b.json", b"{\"id\": 1234}\n");
    let stderr = lake.fails(&["run"], 1);
    for part in ["source `s`: 1 object changed", "source `other`: 1 object changed"] {
        assert!(stderr.contains(&format!("error: {part}")), "{stderr}");
    }
}

#[test]
fn every_source_with_too_many_rejected_records_is_named_at_once() {
    let lake = lake("{\"id\": \"a\"}\n");
    lake.edit(
        "lake.toml",
        "[tables.t]",
        "[sources.other]\nurl = \"other\"\n[sources.other.fields]\nid = \"long\"\n[tables.t]",
    );
    lake.write("other/b.json", b"{\"id\": \"b\"}\n");
    let stderr = lake.fails(&["run"], 1);
    for part in ["source `s`: 1 of 1 records were rejected", "source `other`: 1 of 1 records were rejected"] {
        assert!(stderr.contains(&format!("error: {part}")), "{stderr}");
    }
}

#[test]
fn a_sample_names_the_field_that_does_not_fit_as_a_failed_run_does() {
    let lake = lake("{\"id\": \"004\"}\n{\"id\": 1}\nnot json\n");
    let text = lake.ok(&["check", "--sample", "10"]).stdout;
    assert!(
        text.contains("1 record: wrong_type, field `id`, first in a.json at byte 0: `\"004\"` is not a long"),
        "{text}"
    );
    let share = "a run with this share, 66.67 %, fails";
    assert!(text.contains(share), "{text}");
    let sample = object(&lake.ok(&["check", "--sample", "10", "--json"]))["samples"][0].clone();
    assert_eq!(sample["rejected"], 2);
    assert_eq!(sample["rejected_by"][0]["field"], "id");
    assert_eq!(sample["rejected_by"][1]["field"], Value::Null);
    let stderr = lake.fails(&["run"], 1);
    assert!(stderr.contains("| id    |"), "{stderr}");
    assert!(lake.ok(&["check", "--help"]).stdout.contains("What a sample shows does"));
}

#[test]
fn check_prints_its_report_as_one_json_object() {
    let lake = lake("{\"id\": 1, \"name\": \"a\"}\n");
    let report = object(&lake.ok(&["check", "--json"]));
    for (pointer, expected) in [
        ("/version", Value::Null),
        ("/sources/0/name", json!("s")),
        ("/sources/0/new_objects", json!(1)),
        ("/sources/0/scan_tasks", json!(1)),
        ("/models/0", json!({"table": "t", "reads": ["staging.s"]})),
        ("/has_work", json!(true)),
        ("/samples", json!([])),
    ] {
        assert_eq!(report.pointer(pointer), Some(&expected), "{pointer} of {report}");
    }
    assert!(!lake.path("lake").exists());
    lake.ok(&["run"]);
    let report = object(&lake.ok(&["check", "--json"]));
    assert_eq!((&report["version"], &report["has_work"]), (&json!(1), &json!(false)));
}

/// `cargo run` replaces itself by the program, which keeps the CPU time of its process.
#[test]
fn cpu_time_before_the_program_started_is_not_counted() {
    let lake = lake("{\"id\": 1, \"name\": \"a\"}\n");
    lake.ok(&["run"]);
    let run = lake.command(&["run", "--json"]);
    // The shell works, prints its own CPU time, and becomes the coordinator.
    let work = "i=0; while [ $i -lt 4000000 ]; do i=$((i+1)); done; times >&2; exec \"$@\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", work, "sh"]).arg(run.get_program()).args(run.get_args());
    let done = Done::of(&shell.output().expect("the shell starts"));
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    // POSIX: `0m1.234567s 0m0.000000s`, user and system time.
    let user = done.stderr.split_whitespace().next().and_then(|time| time.strip_suffix('s')).expect("a time");
    let (minutes, seconds) = user.split_once('m').expect("minutes and seconds");
    let shell_seconds = minutes.parse::<f64>().unwrap() * 60.0 + seconds.parse::<f64>().unwrap();
    let cpu_seconds = object(&done)["usage"]["cpu_seconds"].as_f64().expect("a number");
    let facts = format!("{cpu_seconds} s reported after {shell_seconds} s of the shell");
    assert!(shell_seconds > 0.5 && cpu_seconds < shell_seconds, "{facts}");
}
