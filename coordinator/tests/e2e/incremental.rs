//! Tests of new files after a commit: only these are read, and the tables equal those of one run
//! over all files.

use std::fs;

use crate::support::{Lake, files_below, repository};

#[test]
fn any_split_of_the_input_over_runs_gives_the_tables_of_one_run() {
    let data = repository().join("data");
    let reference = Lake::over(&data.join("song_data"), &data.join("log_data"));
    reference.ok(&["run"]);
    let all: Vec<_> = ["song_data", "log_data"].iter().flat_map(|source| files_below(&data.join(source))).collect();
    // The files in reverse order, distributed over the runs in turn: each run gets songs and logs
    // of all dates.
    for runs in [2, 3] {
        let lake = Lake::empty();
        for run in 0..runs {
            let mut arrived = 0;
            for file in all.iter().rev().skip(run).step_by(runs) {
                let target = lake.path("data").join(file.strip_prefix(&data).unwrap());
                fs::create_dir_all(target.parent().unwrap()).unwrap();
                fs::copy(file, target).unwrap();
                arrived += 1;
            }
            lake.ok(&["run"]);
            let taken = format!("SELECT count(*) FROM system.ledger WHERE commit = {}", run + 1);
            assert_eq!(lake.number(&taken), arrived, "a run reads only what is new");
        }
        assert_eq!(lake.checksums(), reference.checksums(), "{runs} runs");
        assert_eq!(lake.version(), runs as u64);
    }
}

#[test]
fn only_tables_below_a_source_with_news_are_built_again() {
    let data = repository().join("data");
    let lake = Lake::over(&data.join("song_data"), &data.join("log_data"));
    lake.ok(&["run"]);
    lake.write(
        "data/song_data/late.json",
        br#"{"song_id": "SOLATE", "title": "Late", "artist_id": "ARLATE", "artist_name": "Late", "duration": 1.5, "year": 1999}"#,
    );
    lake.ok(&["run"]);
    let history = lake.query("SELECT tables_changed FROM system.history WHERE version = 2");
    let changed = history[0]["tables_changed"].as_str().unwrap();
    assert!(changed.contains("songs") && !changed.contains("users"), "{changed}");
    assert_eq!(lake.number("SELECT count(*) FROM songs WHERE song_id = 'SOLATE'"), 1);
}

#[test]
fn a_field_cannot_change_its_type_even_after_it_was_dropped() {
    let declared = |field: &str| {
        format!(
            "[lake]\nurl = \"lake\"\n[sources.s]\nurl = \"in\"\n[sources.s.fields]\nid = \"long\"\n{field}\n[tables.t]\nsql = \"t.sql\"\n"
        )
    };
    let (as_long, as_string) = (declared("x = \"long\""), declared("x = \"string\""));
    let lake = Lake::of(&[
        ("lake.toml", as_long.as_str()),
        ("t.sql", "SELECT * FROM staging.s"),
        ("in/a.json", "{\"id\": 1, \"x\": 5}\n"),
    ]);
    lake.ok(&["run"]);
    lake.write("in/b.json", b"{\"id\": 2, \"x\": 6}\n");
    lake.write("lake.toml", declared("").as_bytes());
    lake.ok(&["run"]);
    lake.write("in/c.json", b"{\"id\": 3, \"x\": \"7\"}\n");
    lake.write("lake.toml", as_string.as_bytes());
    let error = lake.fails(&["run"], 2);
    assert!(error.contains("field `x` was staged as `long` and is declared `string` now"), "{error}");
    // With its old type, the field has its old values again.
    lake.write("lake.toml", as_long.as_bytes());
    lake.ok(&["run"]);
    assert_eq!(lake.number("SELECT sum(x) FROM t"), 12);
}

#[test]
fn a_changed_model_is_built_again_without_new_objects() {
    let data = repository().join("data");
    let lake = Lake::over(&data.join("song_data"), &data.join("log_data"));
    lake.ok(&["run"]);
    lake.edit("models/users.sql", "SELECT user_id, first_name", "SELECT user_id, upper(first_name) AS first_name");
    lake.ok(&["run"]);
    assert_eq!(lake.version(), 2);
    assert_eq!(lake.number("SELECT count(*) FROM users WHERE first_name <> upper(first_name)"), 0);
    // The previous version can still be read.
    let old = lake.ok(&[
        "query",
        "SELECT count(*) AS n FROM users WHERE first_name <> upper(first_name)",
        "--version",
        "1",
        "--csv",
    ]);
    assert_ne!(old.stdout.trim(), "n\n0");
}

#[test]
fn a_check_that_was_added_is_run_without_new_objects() {
    let data = repository().join("data");
    let lake = Lake::over(&data.join("song_data"), &data.join("log_data"));
    lake.ok(&["run"]);
    lake.edit("lake.toml", "accepted_values = [\"free\", \"paid\"]", "accepted_values = [\"never\"]");
    let stderr = lake.fails(&["run"], 1);
    assert!(stderr.contains("table `users`: `level` is none of `never`"), "{stderr}");
    assert_eq!(lake.version(), 1);
}
