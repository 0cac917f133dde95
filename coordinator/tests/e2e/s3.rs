//! Sources and lake on S3 give the same tables as folders, on one machine and on workers, and of
//! many concurrent commits one succeeds.

use crate::support::cluster::{Worker, free_port};
use crate::support::s3::Place;
use crate::support::{Done, Lake, repository, sparkify};

fn over_data() -> Lake {
    Lake::over(&repository().join("data/song_data"), &repository().join("data/log_data"))
}

fn version(lake: &Lake) -> i64 {
    lake.number("SELECT max(version) FROM system.history")
}

const LATE_SONG: &[u8] = br#"{"song_id": "SOLATE", "title": "Late", "artist_id": "ARLATE", "artist_name": "Late", "duration": 1.5, "year": 1999}"#;

#[test]
fn from_s3_to_s3_the_tables_are_those_of_folders() {
    let reference = over_data();
    reference.ok(&["run"]);
    let place = Place::any();
    let lake = over_data().on_s3(&place);
    lake.ok(&["check"]);
    lake.ok(&["run"]);
    assert_eq!(lake.checksums(), reference.checksums());
    let second = lake.ok(&["run"]);
    assert!(second.stderr.contains("nothing new"), "{}", second.stderr);

    place.put("data/song_data/late.json", LATE_SONG);
    lake.ok(&["run"]);
    assert_eq!(version(&lake), 2);
    assert_eq!(lake.number("SELECT count(*) FROM songs WHERE song_id = 'SOLATE'"), 1);
    let old =
        lake.ok(&["query", "SELECT count(*) AS n FROM songs WHERE song_id = 'SOLATE'", "--version", "1", "--csv"]);
    assert_eq!(old.stdout.trim(), "n\n0");
}

#[test]
fn the_public_data_set_gives_the_same_tables_as_on_folders() {
    let Some(sparkify) = sparkify() else {
        eprintln!("skipped: there is no public data set beside the repository");
        return;
    };
    let over_it = || Lake::over(&sparkify.join("song_data"), &sparkify.join("log_data"));
    let reference = over_it();
    reference.ok(&["run"]);
    let place = Place::any();
    let lake = over_it().on_s3(&place);
    lake.ok(&["run"]);
    assert_eq!(lake.checksums(), reference.checksums());
    assert_eq!(lake.number("SELECT count(*) FROM songplays"), 6820);
}

#[test]
fn vacuum_deletes_no_young_and_no_needed_files() {
    let place = Place::any();
    let lake = over_data().on_s3(&place);
    lake.ok(&["run"]);
    place.put("data/song_data/late.json", LATE_SONG);
    lake.ok(&["run"]);
    let tables = lake.checksums();
    for arguments in [&["vacuum"][..], &["vacuum", "--delete"]] {
        let found = lake.ok(arguments).stdout;
        assert!(
            found.lines().last().is_some_and(|line| line.starts_with("0 files of 0 B and 0 unfinished")),
            "{found}"
        );
    }
    assert_eq!(lake.checksums(), tables);
    let old = lake.ok(&["query", "SELECT count(*) AS n FROM songs", "--version", "1", "--csv"]);
    let new = lake.number("SELECT count(*) FROM songs");
    assert_eq!(old.stdout.trim(), format!("n\n{}", new - 1));
}

#[test]
fn workers_give_the_same_tables_and_leave_nothing_in_the_spool() {
    let reference = over_data();
    reference.ok(&["run"]);
    let place = Place::any();
    let port = free_port();
    let lake = over_data().on_s3(&place).on_cluster(port, 2);
    let environment = lake.environment();
    let _workers = ["one", "two"].map(|name| Worker::start_with(port, name, &["--memory", "512MB"], &environment));
    let done = lake.start(&[("LAKEWRIGHT__LIMITS__SPLIT_BYTES", "200KB")]).end();
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    if let Some(server) = &place.server {
        assert_eq!(server.keys(crate::support::s3::BUCKET, &place.key("lake/_lake/spool")), Vec::<String>::new());
        assert_eq!(server.unfinished_uploads(), 0);
    }
    assert_eq!(lake.checksums(), reference.checksums());
}

#[test]
fn each_of_many_concurrent_coordinators_commits_or_fails_with_a_conflict() {
    let place = Place::any();
    let lake = over_data().on_s3(&place);
    let children: Vec<_> = (0..16)
        .map(|_| {
            let mut command = lake.command(&["run"]);
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
            command.spawn().expect("it starts")
        })
        .collect();
    let ends: Vec<Done> =
        children.into_iter().map(|child| Done::of(&child.wait_with_output().expect("it ends"))).collect();
    let committed = ends.iter().filter(|done| done.stderr.contains("\ncommitted version 1 of the lake\n")).count();
    assert_eq!(committed, 1);
    for done in &ends {
        // A late coordinator finds that everything is ingested already.
        assert!(matches!(done.code, Some(0 | 4)), "{:?}: {}", done.code, done.stderr);
    }
    assert_eq!(version(&lake), 1);
    let reference = over_data();
    reference.ok(&["run"]);
    assert_eq!(lake.checksums(), reference.checksums());
}

#[test]
fn objects_with_unusual_keys_are_read() {
    let place = Place::any();
    let lake = Lake::of(&[
        (
            "lake.toml",
            "[lake]\nurl = \"lake\"\n[sources.s]\nurl = \"in\"\n[sources.s.fields]\nid = \"long\"\n[tables.t]\nsql = \"t.sql\"\n",
        ),
        ("t.sql", "SELECT id FROM staging.s"),
        ("in/plain.json", "{\"id\": 1}\n"),
    ])
    .on_s3(&place);
    let mut keys = vec!["with space + plus.json", "per%20cent.json", "ü/日本.json", "a=b&c=d;e.json", "~!'()*.json"];
    for (i, key) in keys.iter().enumerate() {
        place.put(&format!("in/{key}"), format!("{{\"id\": {}}}\n", i + 2).as_bytes());
    }
    if let Some(server) = &place.server {
        // Keys that `object_store` cannot represent.
        let odd = ["a//b.json", "/slash.json", "up/../down.json", "tab\there.json", "dot/./dot.json"];
        for (i, key) in odd.iter().enumerate() {
            let content = format!("{{\"id\": {}}}\n", i + 100);
            server.put(crate::support::s3::BUCKET, &place.key(&format!("in/{key}")), content);
        }
        keys.extend(odd);
    }
    lake.ok(&["run"]);
    assert_eq!(lake.number("SELECT count(DISTINCT id) FROM t"), i64::try_from(keys.len()).unwrap() + 1);
    for key in keys {
        let sql = format!("SELECT count(*) FROM system.ledger WHERE file_name = '{}'", key.replace('\'', "''"));
        assert_eq!(lake.number(&sql), 1, "`{key}` is not in the ledger");
    }
}
