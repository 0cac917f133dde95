//! Objects of a source, selected by a pattern in `url`, by `include` and by `exclude`: the same in a
//! folder and in a bucket.

use std::os::unix::fs::symlink;

use serde_json::json;

use crate::support::Lake;
use crate::support::s3::TestBucket;

const CONFIG: &str = "[lake]\nurl = \"lake\"\n[tables.t]\nsql = \"t.sql\"\nkey = \"id\"\n\
                      [sources.s]\nfields = { id = \"long\" }\nurl = \"in\"\n";
/// Objects with one record each. Those without JSON reject a record if they are read.
const OBJECTS: [(&str, &str); 8] = [
    ("in/1.json", "{\"id\": 1}"),
    ("in/2.jsonl", "{\"id\": 2}"),
    ("in/README.md", "# Data"),
    ("in/2018/11/3 a.json", "{\"id\": 3}"),
    ("in/2018/12/4.json", "{\"id\": 4}"),
    ("in/2018/12/MANIFEST", "1"),
    ("in/archive/5.json", "{\"id\": 5}"),
    ("in/5.json/6.json", "{\"id\": 6}"),
];

/// End of `url` below the folder or prefix `in`, other settings, and the ids of the rows.
const SELECTIONS: &[(&str, &str, &[i64])] = &[
    ("", "include = '*.json'", &[1, 3, 4, 5, 6]),
    ("/", "include = ['*.json', '*.jsonl']\nexclude = 'archive/'", &[1, 2, 3, 4, 6]),
    ("", "exclude = ['*.md', 'MANIFEST', '2018/*/4.json']", &[1, 2, 3, 5, 6]),
    ("/1.json", "", &[1]),
    // A folder with the name of an object.
    ("/5.json", "", &[6]),
    ("/*.json", "", &[1]),
    ("/20*/1?/*.json", "", &[3, 4]),
    ("/**/[3-5]*.json", "exclude = '4.*'", &[3, 5]),
    ("/**/5.json", "", &[5]),
    ("/20*/**", "exclude = 'MANIFEST'", &[3, 4]),
];

fn configure(lake: &Lake, lake_url: &str, url: &str, settings: &str) {
    let config = CONFIG.replace("url = \"lake\"", &format!("url = '{lake_url}'"));
    let config = config.replace("url = \"in\"", &format!("url = '{url}'\n{settings}"));
    lake.write("lake.toml", config.as_bytes());
}

#[track_caller]
fn assert_selects(lake: &Lake, lake_url: &str, url: &str, settings: &str, ids: &[i64]) {
    configure(lake, lake_url, url, settings);
    let done = lake.run_with(&["run"], &[]);
    assert_eq!(done.code, Some(0), "{url} {settings}: {}", done.stderr);
    assert_eq!(lake.number("SELECT count(*) FROM system.quarantine"), 0, "{url} {settings}");
    let expected: Vec<_> = ids.iter().map(|id| json!({"id": id})).collect();
    assert_eq!(lake.query("SELECT id FROM t ORDER BY id"), expected, "{url} {settings}");
}

#[test]
fn patterns_select_files() {
    for (end, settings, ids) in SELECTIONS {
        let lake = Lake::of(&[&[("lake.toml", CONFIG), ("t.sql", "SELECT id FROM staging.s")][..], &OBJECTS].concat());
        assert_selects(&lake, "lake", &format!("in{end}"), settings, ids);
        assert!(lake.ok(&["run"]).stderr.contains("nothing new"), "{end} {settings}");
    }
}

#[test]
fn patterns_select_objects_of_a_bucket() {
    let place = TestBucket::own();
    let lake = Lake::of(&[&[("lake.toml", CONFIG), ("t.sql", "SELECT id FROM staging.s")][..], &OBJECTS].concat());
    let lake = lake.on_s3(&place);
    for (number, (end, settings, ids)) in SELECTIONS.iter().enumerate() {
        let lake_url = place.url(&format!("lake-{number}"));
        assert_selects(&lake, &lake_url, &format!("{}{end}", place.url("in")), settings, ids);
    }
}

#[test]
fn what_is_not_selected_is_not_visited() {
    let lake =
        Lake::of(&[("lake.toml", CONFIG), ("t.sql", "SELECT id FROM staging.s"), ("outside/9.json", "{\"id\": 9}")]);
    lake.write("in/1.json", b"{\"id\": 1}");
    lake.write("in/old/line\nfeed.json", b"{}");
    lake.write("in/line\nfeed.csv", b"{}");
    symlink(lake.path("outside/9.json"), lake.path("in/out.json")).unwrap();
    symlink(lake.path("outside"), lake.path("in/linked")).unwrap();
    symlink(lake.path("nowhere"), lake.path("in/broken.json")).unwrap();
    let error = lake.fails(&["run"], 3);
    assert!(error.contains("broken.json"), "{error}");
    assert_selects(&lake, "lake", "in", "exclude = ['out.json', 'linked/', 'broken.*', 'old/', '*.csv']", &[1]);
    // The lake may be in the same folder if the pattern selects only other files.
    assert_selects(&lake, "lake", "in/[0-9].json", "", &[1]);
    lake.write("2.json", b"{\"id\": 2}");
    assert_selects(&lake, "lake", "./2.json", "", &[1, 2]);
    configure(&lake, "lake", "*/*.json", "");
    let error = lake.fails(&["run"], 2);
    assert!(error.contains("the lake is inside `url`"), "{error}");
}

#[test]
fn a_source_without_objects_fails_the_run_unless_it_may_be_empty() {
    let lake = Lake::of(&[("lake.toml", CONFIG), ("t.sql", "SELECT id FROM staging.s"), ("in/1.json", "{\"id\": 1}")]);
    for (url, settings, named) in [
        ("in/2*/*.json", "", "that matches `2*/*.json`"),
        ("in/2.json", "", "that matches `2.json`"),
        ("in", "include = '*.jsonl'", "that `include` and `exclude` select"),
    ] {
        configure(&lake, "lake", url, settings);
        for command in ["check", "run"] {
            let error = lake.fails(&[command], 1);
            assert!(error.contains("source `s`: no object below") && error.contains(named), "{error}");
            assert!(error.contains("allow_empty = true"), "{error}");
        }
    }
    configure(&lake, "lake", "in/2.json", "allow_empty = true");
    assert!(lake.ok(&["run"]).stderr.contains("nothing to ingest"));
    lake.write("in/2.json", b"{\"id\": 2}");
    assert_selects(&lake, "lake", "in/2.json", "", &[2]);
    // Objects that were ingested may be deleted.
    std::fs::remove_file(lake.path("in/2.json")).unwrap();
    assert_selects(&lake, "lake", "in/2.json", "", &[2]);
}

#[test]
fn wrong_patterns_are_faults_of_the_configuration() {
    let lake = Lake::of(&[("lake.toml", CONFIG), ("t.sql", "SELECT id FROM staging.s")]);
    for (url, settings, named) in [
        ("in/[a.json", "", "`url` is `[a.json`, which is not a pattern"),
        ("in/20*/", "", "`url` is `20*/`, which is a pattern of folders"),
        ("in", "exclude = '/'", "`exclude` has an empty pattern"),
        ("in", "include = 'a**'", "`include` is `a**`, which is not a pattern"),
        ("in", "exclude = ['a', '']", "`exclude` has an empty pattern"),
        ("in", "include = []", "`include` is empty"),
    ] {
        configure(&lake, "lake", url, settings);
        let error = lake.fails(&["check"], 2);
        assert!(error.contains(named) && error.contains("lake.toml, line"), "{error}");
    }
}
