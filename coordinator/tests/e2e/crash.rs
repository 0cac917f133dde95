//! Tests of `kill -9` at every step of a run, while another process repeats a query. Readers see
//! the old version or the new one and never a mixture, and the next run builds the same tables.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicBool, Ordering};

use lakewright_common::process::failpoint::{self, ReachedBy};

use crate::support::{Done, Lake, repository};

/// Counts with a constant sum: a reader of counts from different versions would see another sum.
const SEEN: &str = "SELECT (SELECT count(*) FROM songplays) AS plays, (SELECT count(*) FROM time) AS moments,
    (SELECT count(*) FROM songs) AS songs, (SELECT count(*) FROM users) AS users";

#[test]
fn a_kill_at_any_step_leaves_the_old_lake_or_the_new() {
    let data = repository().join("data");
    let reference = Lake::over(&data.join("song_data"), &data.join("log_data"));
    reference.ok(&["run"]);
    add_news(&reference);
    let old = reference.query(SEEN);
    reference.ok(&["run"]);
    let new = reference.query(SEEN);
    assert_ne!(old, new, "the second run must change what a reader sees");

    for point in failpoint::names(ReachedBy::Run) {
        let lake = Lake::over(&data.join("song_data"), &data.join("log_data"));
        lake.ok(&["run"]);
        add_news(&lake);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut seen = vec![];
                while !stop.load(Ordering::Relaxed) {
                    seen.push(lake.query(SEEN));
                }
                seen
            });
            let output = lake.command(&["run"]).env("LAKEWRIGHT_FAILPOINT", point).output().expect("the binary starts");
            // Stop the reader before anything can fail, because the scope waits for its threads.
            stop.store(true, Ordering::Relaxed);
            // A query rolls the Delta logs forward too. If it did so first, the run does not reach
            // the fail point.
            let was_done_by_the_reader =
                output.status.success() && (point.starts_with("delta.") || point.starts_with("consistent."));
            assert!(
                was_done_by_the_reader || output.status.signal() == Some(9),
                "`{point}` was not reached: {}",
                Done::of(&output).stderr
            );
            for seen in reader.join().expect("the reader lives") {
                assert!(seen == old || seen == new, "killed at `{point}`, a reader saw {seen:?}");
            }
        });
        let is_committed = lake.version() == 2;
        let next = lake.ok(&["run"]);
        assert_eq!(next.stderr.contains("nothing new"), is_committed, "after `{point}`: {}", next.stderr);
        assert_eq!(lake.checksums(), reference.checksums(), "after `{point}`");
        assert_eq!(delta_versions(&lake), delta_versions(&reference), "after `{point}`");
        lake.verify();
    }
}

#[test]
fn a_kill_in_the_very_first_commit_leaves_no_lake_or_a_whole_one() {
    let data = repository().join("data");
    let reference = Lake::over(&data.join("song_data"), &data.join("log_data"));
    reference.ok(&["run"]);
    for point in ["commit.before_manifest", "commit.after_manifest", "delta.after_log"] {
        let lake = Lake::over(&data.join("song_data"), &data.join("log_data"));
        let output = lake.command(&["run"]).env("LAKEWRIGHT_FAILPOINT", point).output().expect("the binary starts");
        assert_eq!(output.status.signal(), Some(9), "`{point}` was not reached");
        lake.ok(&["run"]);
        assert_eq!(lake.version(), 1);
        assert_eq!(lake.checksums(), reference.checksums(), "after `{point}`");
        assert_eq!(delta_versions(&lake), delta_versions(&reference), "after `{point}`");
        lake.verify();
    }
}

#[test]
fn of_two_runs_at_once_each_commits_or_fails_as_a_conflict() {
    let data = repository().join("data");
    let reference = Lake::over(&data.join("song_data"), &data.join("log_data"));
    reference.ok(&["run"]);
    let lake = Lake::over(&data.join("song_data"), &data.join("log_data"));
    let runs: Vec<_> = (0..4)
        .map(|_| {
            let mut command = lake.command(&["run"]);
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
            command.spawn().expect("the binary starts")
        })
        .collect();
    let mut committed = 0;
    for run in runs {
        let done = Done::of(&run.wait_with_output().unwrap());
        match done.code {
            Some(0) => committed += u32::from(!done.stderr.contains("nothing new")),
            Some(4) => assert!(done.stderr.contains("committed version 1"), "{}", done.stderr),
            other => panic!("ended with {other:?}: {}", done.stderr),
        }
    }
    assert_eq!(committed, 1);
    lake.ok(&["run"]);
    assert_eq!(lake.checksums(), reference.checksums());
    lake.verify();
}

#[test]
fn an_interrupt_stops_the_run_cleanly() {
    let lake = Lake::of(&[
        (
            "lake.toml",
            "[lake]\nurl = \"lake\"\n[sources.s]\nurl = \"in\"\n[sources.s.fields]\nid = \"long\"\n[tables.t]\nsql = \"t.sql\"\n",
        ),
        ("t.sql", "SELECT a.id FROM staging.s a, staging.s b, staging.s c WHERE a.id + b.id + c.id < 0"),
    ]);
    let lines: String = (0..20_000).map(|id| format!("{{\"id\": {id}}}\n")).collect();
    lake.write("in/a.json", lines.as_bytes());
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let mut run = lake.command(&["run"]).stderr(std::process::Stdio::piped()).spawn().expect("the binary starts");
        let mut log = BufReader::new(run.stderr.take().expect("it is piped")).lines().map_while(Result::ok);
        assert!(log.any(|line| line.contains("build t")), "the run never came to the query");
        let sent = std::process::Command::new("kill").args([&format!("-{signal}"), &run.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()));
        log.for_each(drop);
        assert_eq!(run.wait().unwrap().code(), Some(code));
        assert_eq!(lake.version(), 0);
    }
}

/// Adds one more song and one more day of plays.
pub(crate) fn add_news(lake: &Lake) {
    lake.write(
        "data/song_data/new.json",
        br#"{"song_id": "SONEW", "title": "New", "artist_id": "ARNEW", "artist_name": "Newcomer", "duration": 2.5, "year": 1999}"#,
    );
    lake.write(
        "data/log_data/new.json",
        br#"{"artist":"Newcomer","song":"New","length":2.5,"page":"NextSong","level":"free","userId":"990001","sessionId":1,"itemInSession":0,"ts":1546300800796,"firstName":"Nova","lastName":"New","gender":"F"}"#,
    );
}

/// Returns the version numbers in each Delta log.
fn delta_versions(lake: &Lake) -> Vec<(String, Vec<String>)> {
    ["songs", "artists", "users", "songplays", "time"]
        .iter()
        .map(|table| {
            let folder = lake.path("lake").join(table).join("_delta_log");
            let mut names: Vec<String> = std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
                .filter(|name| name.ends_with(".json"))
                .collect();
            names.sort();
            ((*table).to_owned(), names)
        })
        .collect()
}
