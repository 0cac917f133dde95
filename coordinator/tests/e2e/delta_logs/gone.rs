//! Tests of missing manifests and data files: errors name them, and a failed run leaves no files.

use std::fs;

use super::lake::{committed_twice, data_files, delete, manifest_files};
use crate::support::Lake;

#[test]
fn a_manifest_that_is_gone_or_doubled_is_named() {
    let lake = committed_twice();
    lake.ok(&["run"]);
    let manifest = |number: u64| lake.path("lake/_lake/manifest").join(format!("{number:020}.json"));
    fs::rename(manifest(2), lake.path("kept-away.json")).unwrap();
    let history = lake.ok(&["history", "--csv"]);
    assert_eq!(history.stdout.lines().count(), 3, "{}", history.stdout);
    assert!(
        history.stderr.contains("a manifest is missing") && history.stderr.contains("00002.json"),
        "{}",
        history.stderr
    );
    let vacuum = lake.fails(&["vacuum"], 3);
    assert!(vacuum.contains("manifest 2 is missing") && vacuum.contains("nothing was deleted"), "{vacuum}");
    // The lake's id shows that the logs belong to this lake.
    lake.write("in/4.json", b"{\"id\": 5, \"p\": \"a\"}\n");
    lake.ok(&["run"]);

    fs::copy(manifest(4), manifest(5)).unwrap();
    for command in [&["query", "SELECT 1"][..], &["run"], &["check"]] {
        let said = lake.fails(command, 3);
        assert!(said.contains("00005.json`) is a copy of manifest 4"), "{command:?}: {said}");
        assert!(said.contains("version 4 has all its files"), "{command:?}: {said}");
    }
}

#[test]
fn a_missing_file_is_named_with_the_version_that_is_intact() {
    let lake = committed_twice();
    let file = manifest_files(&lake, "kept").pop_first().unwrap();
    fs::remove_file(lake.path("lake/kept").join(&file)).unwrap();
    let said = lake.fails(&["query", "SELECT sum(id) FROM kept"], 3);
    assert!(said.contains(&file) && said.contains("version 1 has all its files"), "{said}");
    assert_eq!(lake.ok(&["query", "--version", "1", "SELECT sum(id) AS s FROM kept", "--csv"]).stdout, "s\n3\n");
    delete(&lake);
    let said = lake.fails(&["publish", "--overwrite"], 3);
    assert!(said.contains(&file) && said.contains("VACUUM"), "{said}");
}

/// Change of a lake that makes the next run fail.
type Spoil = fn(&Lake);

#[test]
fn a_run_that_fails_leaves_no_files() {
    let failures: [(&str, Spoil); 4] = [
        ("a key that does not hold", |lake| lake.write("in/4.json", b"{\"id\": 1, \"p\": \"a\"}\n")),
        ("too many rejected", |lake| lake.write("in/4.json", b"{\"id\": \"x\"}\n{\"p\": 1}\n")),
        ("a model that fails on its data", |lake| {
            lake.edit("models/parts.sql", "SELECT id, p", "SELECT CAST(p AS BIGINT) AS id, p")
        }),
        ("a check that does not hold", |lake| {
            lake.edit(
                "lake.toml",
                "[tables.parts]",
                "[tables.parts]\nchecks = [{ range = { max = 3 }, column = \"id\" }]",
            )
        }),
    ];
    for (name, spoil) in failures {
        for committed in [true, false] {
            let lake = committed_twice();
            if !committed {
                fs::remove_dir_all(lake.path("lake")).unwrap();
            }
            spoil(&lake);
            let before = data_files(&lake);
            lake.fails(&["run"], 1);
            assert_eq!(data_files(&lake), before, "{name}");
        }
    }
}
