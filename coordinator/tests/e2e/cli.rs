//! Tests of the commands: what they print where, and their exit codes.

use crate::support::{Lake, repository};

/// Creates a lake with two records and one table.
fn small() -> Lake {
    Lake::of(&[
        (
            "lake.toml",
            "[lake]\nurl = \"lake\"\n[sources.s]\nurl = \"in\"\n[sources.s.fields]\nid = \"long\"\nname = \"string\"\n[tables.t]\nsql = \"t.sql\"\nkey = [\"id\"]\n",
        ),
        ("t.sql", "SELECT id, name FROM staging.s"),
        ("in/a.json", "{\"id\": 1, \"name\": \"a,b\"}\n{\"id\": 2}\n"),
    ])
}

#[test]
fn a_query_prints_rows_in_the_format_asked_for_and_nothing_else() {
    let lake = small();
    lake.ok(&["run"]);
    let sql = "SELECT * FROM t ORDER BY id";
    for (flag, expected) in [
        ("--csv", "id,name\n1,\"a,b\"\n2,\n"),
        ("--json", "[{\"id\":1,\"name\":\"a,b\"},{\"id\":2,\"name\":null}]\n"),
        ("--jsonlines", "{\"id\":1,\"name\":\"a,b\"}\n{\"id\":2,\"name\":null}\n"),
        ("--markdown", "| id | name |\n|---|---|\n| 1 | a,b |\n| 2 |  |\n"),
    ] {
        let done = lake.ok(&["query", sql, flag]);
        assert_eq!(done.stdout, expected, "{flag}");
        assert_eq!(done.stderr, "", "{flag}");
    }
    assert!(lake.ok(&["query", sql]).stdout.contains("| 1  | a,b  |"));
}

#[test]
fn shells_and_man_know_every_command() {
    // Neither needs a configuration.
    let lake = Lake::of(&[]);
    let help = lake.ok(&["--help"]).stdout;
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let commands: Vec<&str> =
        commands.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next()).collect();
    assert!(commands.contains(&"ui") && commands.len() > 12, "{commands:?}");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = lake.ok(&["completions", shell]).stdout;
        let missing: Vec<_> = commands.iter().filter(|command| !script.contains(**command)).collect();
        assert!(missing.is_empty(), "{shell} lacks {missing:?}");
    }
    let script = lake.ok(&["completions", "bash"]).stdout;
    let checked = std::process::Command::new("bash").args(["-n", "-c", &script]).status();
    assert!(checked.unwrap().success());
    lake.ok(&["man", lake.path("pages/man1").to_str().unwrap()]);
    for page in ["coordinator.1", "coordinator-run.1", "coordinator-ui.1"] {
        let text = std::fs::read_to_string(lake.path("pages/man1").join(page)).unwrap();
        assert!(text.starts_with(".ie") && text.contains(".SH NAME"), "{page}: {text}");
    }
}

#[test]
fn a_query_only_reads_and_only_the_lake() {
    let lake = small();
    lake.ok(&["run"]);
    let outside = lake.path("in/a.json");
    for sql in [
        "CREATE EXTERNAL TABLE x STORED AS PARQUET LOCATION '/tmp'",
        "CREATE TABLE x AS SELECT 1",
        "COPY t TO '/tmp/lakewright-copied.parquet'",
        "INSERT INTO t VALUES (3, 'c')",
        "DROP TABLE t",
        "SET datafusion.execution.batch_size = 1",
        "EXPLAIN ANALYZE INSERT INTO t VALUES (3, 'c')",
        &format!("SELECT * FROM '{}'", outside.display()),
        "SELECT * FROM staging.s",
        "SELECT * FROM nothing",
        "SELECT",
    ] {
        let error = lake.fails(&["query", sql], 2);
        assert!(error.starts_with("error: "), "{sql}: {error}");
    }
    assert_eq!(lake.number("SELECT count(*) FROM t"), 2);
}

#[test]
fn exit_codes_say_what_to_do() {
    let lake = small();
    assert!(lake.fails(&["query", "SELECT 1"], 2).contains("nothing in the lake"));
    lake.ok(&["run"]);
    assert!(lake.fails(&["query", "SELECT 1", "--version", "9"], 2).contains("no version 9"));
    assert_eq!(lake.run_with(&["nonsense"], &[]).code, Some(2));
    assert_eq!(lake.run_with(&["--help"], &[]).code, Some(0));
    lake.edit("lake.toml", "[tables.t]", "[tables.t]\nkeey = [\"id\"]");
    let error = lake.fails(&["run"], 2);
    assert!(error.contains("lake.toml, line 9") && error.contains("did you mean `key`?"), "{error}");
}

#[test]
fn with_json_for_logs_every_line_is_an_object_the_last_one_too() {
    let lake = small();
    let events = |stderr: &str| -> Vec<serde_json::Value> {
        stderr.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
    };
    let done = lake.ok(&["--log-format", "json", "run"]);
    let last = events(&done.stderr).pop().unwrap();
    assert_eq!(last["level"], "INFO");
    assert!(last["message"].as_str().unwrap().contains("committed version 1 of the lake"), "{last}");
    lake.edit("lake.toml", "[tables.t]", "[tables.t]\nkeey = [\"id\"]");
    let last = events(&lake.fails(&["--log-format", "json", "--quiet", "run"], 2)).pop().unwrap();
    assert_eq!(last["level"], "ERROR");
    assert!(last["message"].as_str().unwrap().contains("unknown key `keey`"), "{last}");
}

#[test]
fn commands_that_only_read_the_lake_need_no_certificates() {
    let lake = small();
    lake.ok(&["run"]);
    lake.edit("lake.toml", "[sources.s]", "[cluster]\nmin_workers = 2\n[sources.s]");
    for command in [&["tables"][..], &["query", "SELECT * FROM t"], &["history"], &["quarantine"], &["vacuum"]] {
        lake.ok(command);
    }
    for command in ["run", "check"] {
        assert!(lake.fails(&[command], 2).contains("no setting restricts who may connect"));
    }
}

#[test]
fn a_missing_source_folder_is_a_storage_error_that_names_it() {
    let lake = small();
    std::fs::remove_dir_all(lake.path("in")).unwrap();
    let error = lake.fails(&["run"], 3);
    assert!(error.contains("/in"), "{error}");
}

#[test]
fn models_that_cannot_be_built_are_named_all_at_once() {
    let lake = small();
    lake.edit("lake.toml", "[tables.t]", "[tables.a]\nsql = \"a.sql\"\n[tables.b]\nsql = \"b.sql\"\n[tables.t]");
    lake.write("a.sql", b"SELECT * FROM staging.ss");
    lake.write("b.sql", b"DROP TABLE t");
    let error = lake.fails(&["check"], 2);
    assert!(error.contains("table `a`") && error.contains("did you mean `s`?"), "{error}");
    assert!(error.contains("table `b`") && error.contains("a model is one query"), "{error}");
    assert_eq!(error.lines().filter(|line| line.starts_with("error: ")).count(), 2, "{error}");
    // Each error has its own hint, and is a JSON object of its own.
    let error = lake.fails(&["--log-format", "json", "--quiet", "check"], 2);
    let events: Vec<serde_json::Value> = error.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len(), 2, "{error}");
    assert_eq!(events[0]["hint"], "did you mean `s`?");
    assert_eq!(events[1]["hint"], serde_json::Value::Null);
    // Faults that only planning finds are reported in the same way.
    lake.write("a.sql", b"SELECT idd FROM staging.s");
    lake.write("b.sql", b"SELECT id FROM staging.s");
    lake.edit("lake.toml", "[tables.b]", "[tables.b]\nkey = [\"di\"]");
    let error = lake.fails(&["--log-format", "json", "--quiet", "check"], 2);
    let events: Vec<serde_json::Value> = error.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len(), 2, "{error}");
    let message = |i: usize| events[i]["message"].as_str().unwrap();
    assert!(message(0).starts_with("table `a` ") && message(0).contains("the query cannot be planned"), "{error}");
    assert!(message(1).starts_with("table `b` ") && message(1).contains("`key` names `di`"), "{error}");
    assert_eq!(events[1]["hint"], "did you mean `id`?");
    lake.write("a.sql", b"SELECT * FROM b");
    lake.write("b.sql", b"SELECT * FROM a");
    let error = lake.fails(&["check"], 2);
    assert!(error.contains("`a` → `b` → `a`"), "{error}");
}

#[test]
fn check_lists_what_a_run_would_ingest_and_writes_nothing() {
    let lake = small();
    lake.write("in/b.json", b"{\"id\": \"x\"}\n{\"id\": 3, \"extra\": true}\n");
    let done = lake.ok(&["check", "--sample", "100"]);
    for part in ["is valid", "no version yet", "staging.s", "wrong_type", "`extra` is not declared"] {
        assert!(done.stdout.contains(part), "`{part}` is missing in {}", done.stdout);
    }
    assert!(!lake.path("lake").exists());
}

#[test]
fn settings_can_come_from_the_environment() {
    let lake = small();
    let done = lake.run_with(
        &["run"],
        &[("LAKEWRIGHT__LIMITS__MAX_RECORD_BYTES", "12"), ("LAKEWRIGHT__SOURCES__S__MAX_QUARANTINE_SHARE", "1")],
    );
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert_eq!(lake.number("SELECT count(*) FROM system.quarantine WHERE reason = 'too_long'"), 1);
    let wrong = lake.run_with(&["run"], &[("LAKEWRIGHT__LIMITS__MEMRY", "1GB")]);
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.stderr.contains("LAKEWRIGHT__LIMITS__MEMRY"), "{}", wrong.stderr);
}

#[test]
fn the_example_questions_of_the_readme_have_answers() {
    let lake = Lake::over_data();
    lake.ok(&["run"]);
    let readme = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let questions: Vec<&str> = readme.split("```sql").skip(1).map(|part| part.split("```").next().unwrap()).collect();
    assert!(questions.len() >= 2, "the README asks two questions");
    for question in questions {
        assert!(!lake.query(question).is_empty(), "no answer to {question}");
    }
}

#[test]
fn a_table_can_be_partitioned_by_any_text() {
    let values = ["a b", "x=y", "a/b", "%41", "é", "", "null", "."];
    let lake = small();
    lake.edit("lake.toml", "key = [\"id\"]", "key = [\"id\"]\npartition_by = [\"name\"]");
    let lines: String = values
        .iter()
        .enumerate()
        .map(|(i, value)| format!("{}\n", serde_json::json!({"id": i + 10, "name": value})))
        .collect();
    lake.write("in/b.json", lines.as_bytes());
    lake.ok(&["run"]);
    let rows = lake.query("SELECT id, name FROM t WHERE id >= 10 ORDER BY id");
    for (row, value) in rows.iter().zip(values) {
        // An empty text becomes null, because most readers of partitioned tables do not distinguish
        // the two.
        let expected = if value.is_empty() { serde_json::Value::Null } else { value.into() };
        assert_eq!(row["name"], expected);
    }
    assert_eq!(lake.number("SELECT count(*) FROM t WHERE name = 'a/b'"), 1);
}

#[test]
fn invalid_keys_partition_columns_and_checks_are_reported_together_before_any_work() {
    let lake = Lake::of(&[
        (
            "lake.toml",
            r#"
[lake]
url = "lake"
[sources.s]
url = "in"
[sources.s.fields]
id = "long"
name = "string"
share = "double"
[tables.a]
sql = "a.sql"
key = ["idd"]
partition_by = ["share"]
[tables.b]
sql = "b.sql"
checks = [
    { range = { min = 1 }, column = "name" },
    { not_null = "nam" },
    { sql = "check.sql" },
]
[tables.c]
sql = "c.sql"
"#,
        ),
        ("a.sql", "SELECT * FROM staging.s"),
        ("b.sql", "SELECT * FROM staging.s"),
        ("c.sql", "SELECT nope FROM staging.s"),
        ("check.sql", "SELECT * FROM nowhere"),
        ("in/a.json", "{\"id\": 1}\n"),
    ]);
    for command in ["check", "run"] {
        let stderr = lake.fails(&[command], 2);
        for part in [
            "`key` names `idd`",
            "did you mean `id`?",
            "cannot be partitioned by `share`",
            "check of `name` cannot run: a range is one of numbers",
            "check of `nam` cannot run",
            "nowhere",
            "nope",
        ] {
            assert!(stderr.contains(part), "`{part}` is not in: {stderr}");
        }
        assert!(!lake.path("lake/staging").exists() && lake.version() == 0);
    }
}

#[test]
fn lists_and_structs_arrive_in_tables() {
    let lake = Lake::of(&[
        (
            "lake.toml",
            "[lake]\nurl = \"lake\"\n[sources.s]\nurl = \"in\"\n[sources.s.fields]\nv = \"list<long>\"\n\
             w = \"list<struct<a: string, b: list<decimal(5,2)>>>\"\n[tables.t]\nsql = \"t.sql\"\n",
        ),
        ("t.sql", "SELECT v, w FROM staging.s"),
        ("in/a.json", "{\"v\": [1, null, 3], \"w\": [{\"a\": \"x\", \"b\": [1.25]}]}\n{\"v\": null}\n{\"v\": []}\n"),
    ]);
    lake.ok(&["run"]);
    let rows =
        lake.query("SELECT v[3] AS third, cardinality(v) AS n, w[1]['a'] AS a FROM t ORDER BY n DESC NULLS LAST");
    assert_eq!(rows[0], serde_json::json!({"third": 3, "n": 3, "a": "x"}));
    let stderr = lake.fails(&["query", "SELECT v FROM t", "--csv"], 2);
    assert!(stderr.contains("CSV cannot hold"), "{stderr}");
}

#[test]
fn a_query_that_fails_on_its_data_is_not_an_internal_error() {
    let lake = small();
    for model in [
        "SELECT id, 1 / (id - id) AS a FROM staging.s",
        "SELECT id, CAST(concat('x', name) AS INT) AS a FROM staging.s",
    ] {
        lake.write("t.sql", model.as_bytes());
        let stderr = lake.fails(&["run"], 1);
        assert!(stderr.contains("table `t`"), "{stderr}");
    }
}

#[test]
fn a_partition_value_too_long_for_a_folder_is_named() {
    let lake = small();
    lake.write("t.sql", b"SELECT id, repeat('long ', 60) AS p FROM staging.s");
    lake.edit("lake.toml", "sql = \"t.sql\"", "sql = \"t.sql\"\npartition_by = [\"p\"]");
    let stderr = lake.fails(&["run"], 1);
    assert!(stderr.contains("partition column `p` has the value `long long"), "{stderr}");
}
