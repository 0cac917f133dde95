//! Complete runs on one machine: the project's own data, the public data set with its known
//! answers, and a second run.

use crate::support::{Lake, repository, sparkify};

fn own_data() -> Lake {
    Lake::over(&repository().join("data/song_data"), &repository().join("data/log_data"))
}

fn public_data() -> Option<Lake> {
    let folder = sparkify()?;
    Some(Lake::over(&folder.join("song_data"), &folder.join("log_data")))
}

#[test]
fn the_public_data_set_gives_its_known_answers() {
    let Some(lake) = public_data() else {
        eprintln!("skipped: no copy of the public data set");
        return;
    };
    lake.ok(&["run"]);
    let rows: Vec<_> = lake.checksums().into_iter().map(|(name, rows, _)| (name, rows)).collect();
    let expected = [("artists", 69), ("songplays", 6820), ("songs", 71), ("time", 6813), ("users", 97)];
    assert_eq!(rows, expected.map(|(name, rows)| (name.to_owned(), rows)));

    assert_eq!(lake.number("SELECT count(song_id) FROM songplays"), 1);
    assert_eq!(lake.number("SELECT sum(row_parsed) FROM system.ledger WHERE source = 'events'"), 8056);
    let song = lake.query(
        "SELECT DISTINCT s.title FROM songplays p JOIN users u USING (user_id) JOIN songs s USING (song_id)
         WHERE u.first_name = 'Lily' AND p.level = 'paid'",
    );
    assert_eq!(song, [serde_json::json!({"title": "Setanta matins"})]);
    let moment = lake.query(
        "SELECT p.start_time FROM songplays p JOIN users u USING (user_id) JOIN artists a USING (artist_id)
         WHERE u.first_name = 'Lily' AND a.name = 'Elena'",
    );
    assert_eq!(moment, [serde_json::json!({"start_time": "2018-11-21T21:56:47.796Z"})]);
}

#[test]
fn the_projects_own_data_gives_five_tables_that_agree_with_each_other() {
    let lake = own_data();
    lake.ok(&[]);
    assert_eq!(lake.version(), 1);
    let plays = lake.number("SELECT count(*) FROM songplays");
    assert!(plays > 0);
    let distinct =
        "SELECT count(*) FROM (SELECT DISTINCT ts, user_id, session_id, item_in_session FROM staging.events)";
    assert!(lake.run_with(&["query", distinct], &[]).code == Some(2), "staging tables are not for queries");
    assert_eq!(lake.number("SELECT count(DISTINCT songplay_id) FROM songplays"), plays);
    assert_eq!(
        lake.number("SELECT count(DISTINCT start_time) FROM songplays"),
        lake.number("SELECT count(*) FROM time")
    );
    assert_eq!(lake.number("SELECT sum(row_parsed - row_count - error_count) FROM system.ledger"), 0);
}

#[test]
fn a_second_run_with_nothing_new_commits_nothing_and_reports_it() {
    let lake = own_data();
    lake.ok(&["run"]);
    let before = lake.checksums();
    let second = lake.ok(&["run"]);
    assert!(second.stderr.contains("nothing new"), "{}", second.stderr);
    assert_eq!(lake.version(), 1);
    assert_eq!(lake.checksums(), before);
}

#[test]
fn tables_do_not_depend_on_splits_partitions_or_memory() {
    let reference = own_data();
    reference.ok(&["run"]);
    for environment in [
        [("LAKEWRIGHT__LIMITS__THREADS", "1"), ("LAKEWRIGHT__LIMITS__SPLIT_BYTES", "20000")],
        [("LAKEWRIGHT__LIMITS__THREADS", "5"), ("LAKEWRIGHT__LIMITS__SPLIT_BYTES", "777")],
        [("LAKEWRIGHT__LIMITS__THREADS", "2"), ("LAKEWRIGHT__LIMITS__TARGET_FILE_BYTES", "1")],
        [("LAKEWRIGHT__LIMITS__THREADS", "3"), ("LAKEWRIGHT__LIMITS__MAX_OPEN_FILES", "2")],
    ] {
        let lake = own_data();
        let done = lake.run_with(&["run"], &environment);
        assert_eq!(done.code, Some(0), "{environment:?}: {}", done.stderr);
        assert_eq!(lake.checksums(), reference.checksums(), "{environment:?}");
    }
}

#[test]
fn more_partition_values_than_open_files_give_one_file_per_value() {
    let lake = own_data();
    let done =
        lake.run_with(&["run"], &[("LAKEWRIGHT__LIMITS__MAX_OPEN_FILES", "1"), ("LAKEWRIGHT__LIMITS__THREADS", "1")]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let years = lake.number("SELECT count(DISTINCT year) FROM songs");
    let files: Vec<serde_json::Value> = serde_json::from_str(&lake.ok(&["tables", "--json"]).stdout).unwrap();
    let songs = files.iter().find(|table| table["table"] == "songs").expect("songs are listed");
    assert_eq!(songs["files"].as_i64(), Some(years));
}
