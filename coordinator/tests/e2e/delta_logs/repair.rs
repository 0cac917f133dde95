//! Tests of logs that are damaged, lost or moved away, and of their repair.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};

use super::foreign::table_features;
use super::lake::{
    actions, assert_is_whole, committed_twice, live_files, log, manifest_files, newest_entry, percent_decoded,
};
use crate::support::{Lake, copy_folder, files_below};

/// Returns the partition values, size and statistics of each live file of a log, as a reader sees
/// them.
fn described(lake: &Lake, table: &str) -> BTreeMap<String, Value> {
    let live = live_files(lake, table);
    let adds = actions(lake, table).into_iter().map(|action| action["add"].clone());
    let adds = adds.filter_map(|add| {
        let path = percent_decoded(add["path"].as_str()?);
        let statistics: Value = serde_json::from_str(add["stats"].as_str()?).unwrap();
        Some((path, json!([add["partitionValues"], add["size"], statistics])))
    });
    // The last description of a file counts.
    adds.filter(|(path, _)| live.contains(path)).collect()
}

/// Changes the last `add` of an entry.
fn change_add(lake: &Lake, table: &str, version: u64, change: fn(&mut Value)) {
    let path = log(lake, table).join(format!("{version:020}.json"));
    let text = fs::read_to_string(&path).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let line = lines.iter_mut().rfind(|line| line.starts_with("{\"add\"")).unwrap();
    let mut action: Value = serde_json::from_str(line).unwrap();
    change(&mut action["add"]);
    *line = action.to_string();
    fs::write(&path, lines.join("\n") + "\n").unwrap();
}

fn change_statistics(add: &mut Value, name: &str, value: Value) {
    let mut statistics: Value = serde_json::from_str(add["stats"].as_str().unwrap()).unwrap();
    statistics[name] = value;
    add["stats"] = statistics.to_string().into();
}

/// A change to the `add` action of an entry.
type Change = fn(&mut Value);

/// Changes that leave an entry readable but wrong, each with its name.
const READABLE_DAMAGE: [(&str, Change); 5] = [
    ("partition value", |add| add["partitionValues"]["p"] = "z".into()),
    ("size", |add| add["size"] = 7.into()),
    ("rows", |add| change_statistics(add, "numRecords", 9.into())),
    ("least value", |add| change_statistics(add, "minValues", json!({ "id": 100 }))),
    ("nothing that matters", |add| add["modificationTime"] = 1.into()),
];

/// The newest entry, or an earlier one, is damaged: commands name it and do not use it, and the
/// repair that they suggest works the first time.
#[test]
fn an_entry_that_is_readable_and_wrong_is_named_and_described_anew() {
    for (name, change) in READABLE_DAMAGE {
        for version in [2, 1] {
            let name = format!("{name} in version {version}");
            let lake = committed_twice();
            lake.ok(&["run"]);
            assert_eq!(newest_entry(&lake, "parts"), 2);
            let expected = described(&lake, "parts");
            let latest = fs::read(lake.path("lake/_lake/consistent/latest")).unwrap();
            change_add(&lake, "parts", version, change);
            let entry = format!("{version:020}.json");
            let deep = lake.run_with(&["check", "--deep"], &[]);
            assert_eq!(deep.code, Some(3), "{name}: {}", deep.stdout);
            for part in [entry.as_str(), "publish --table parts --overwrite"] {
                assert!(deep.stdout.contains(part), "{name}: {}", deep.stdout);
            }
            if version == 2 {
                lake.write("in/4.json", b"{\"id\": 5, \"p\": \"a\"}\n");
                for command in ["run", "check", "publish"] {
                    let said = lake.fails(&[command], 3);
                    for part in [entry.as_str(), "publish --table parts --overwrite"] {
                        assert!(said.contains(part), "{name}: {command}: {said}");
                    }
                }
                fs::remove_file(lake.path("in/4.json")).unwrap();
            } else {
                lake.ok(&["publish"]);
            }
            assert_eq!(fs::read(lake.path("lake/_lake/consistent/latest")).unwrap(), latest, "{name}");
            assert!(lake.run_with(&["check", "--deep"], &[]).code == Some(3), "{name}: the entry was approved");

            let said = lake.ok(&["publish", "--table", "parts", "--overwrite"]).stdout;
            assert!(said.contains("described anew") && said.contains("1 damaged"), "{name}: {said}");
            assert_eq!(described(&lake, "parts"), expected, "{name}");
            lake.ok(&["check", "--deep"]);
            let said = lake.ok(&["publish", "--overwrite"]).stdout;
            assert_eq!(said.matches("nothing to overwrite").count(), 2, "{name}: {said}");
            lake.write("in/4.json", b"{\"id\": 5, \"p\": \"a\"}\n");
            lake.ok(&["run"]);
            lake.ok(&["check", "--deep"]);
            assert_is_whole(&lake, &name);
        }
    }
}

/// A log that has features which cannot be removed, or that a person moved away, is written anew.
/// Afterwards every document names the new entries.
#[test]
fn a_log_that_was_moved_away_is_written_anew() {
    for has_features in [true, false] {
        let lake = committed_twice();
        if has_features {
            table_features(&lake);
        }
        fs::rename(log(&lake, "kept"), lake.path("moved")).unwrap();
        let arguments: &[&str] = if has_features { &["publish"] } else { &["publish", "--overwrite"] };
        lake.ok(arguments);
        assert_is_whole(&lake, "moved away");
        lake.ok(&["check", "--deep"]);
        // An older version of the lake names the new entry that replaced its own.
        let rows: Value = serde_json::from_str(&lake.ok(&["tables", "--version", "1", "--json"]).stdout).unwrap();
        assert_eq!((&rows[0]["table"], &rows[0]["delta_version"]), (&json!("kept"), &json!(0)), "{rows}");
        lake.ok(&["run"]);
        assert_is_whole(&lake, "moved away, and a run");
        lake.ok(&["check", "--deep"]);
    }
}

/// An older release wrote a log anew and did not change the documents.
#[test]
fn documents_of_a_log_that_was_written_anew_are_repaired() {
    let lake = committed_twice();
    lake.ok(&["run"]);
    copy_folder(&lake.path("lake/_lake/consistent"), &lake.path("documents"));
    fs::rename(log(&lake, "kept"), lake.path("moved")).unwrap();
    lake.ok(&["publish"]);
    fs::remove_dir_all(lake.path("lake/_lake/consistent")).unwrap();
    copy_folder(&lake.path("documents"), &lake.path("lake/_lake/consistent"));
    let deep = lake.run_with(&["check", "--deep"], &[]);
    assert_eq!(deep.code, Some(3), "{}", deep.stdout);
    assert!(deep.stdout.contains("publish --table kept --overwrite"), "{}", deep.stdout);
    lake.ok(&["publish", "--table", "kept", "--overwrite"]);
    lake.ok(&["check", "--deep"]);
    assert_is_whole(&lake, "documents of another log");
}

#[test]
fn a_damaged_entry_of_a_log_is_named_and_the_log_written_anew() {
    for version in [1, 0] {
        let lake = committed_twice();
        let name = format!("kept/_delta_log/{version:020}.json");
        let entry = lake.path("lake").join(&name);
        let text = fs::read(&entry).unwrap();
        fs::write(&entry, &text[..text.len() / 2]).unwrap();
        for command in ["run", "check", "publish"] {
            let said = lake.fails(&[command], 3);
            assert!(said.contains(&name) && said.contains("damaged"), "{command}: {said}");
            assert!(said.contains("_delta_log` away and run `coordinator publish`"), "{command}: {said}");
            assert!(!said.contains("<unknown>"), "{command}: {said}");
        }
        let deep = lake.run_with(&["check", "--deep"], &[]);
        assert!(deep.stdout.contains("_delta_log` away and run `coordinator publish`"), "{}", deep.stdout);
        fs::rename(log(&lake, "kept"), lake.path("moved")).unwrap();
        lake.ok(&["publish"]);
        lake.ok(&["check", "--deep"]);
        lake.ok(&["run"]);
        assert_is_whole(&lake, "damaged");
    }
}

/// An entry is lost and a commit is not published yet: the log of the other table is still rolled
/// forward.
#[test]
fn a_lost_entry_is_named_and_stops_no_other_table() {
    for version in [0, 1] {
        let lake = committed_twice();
        lake.ok(&["run"]);
        lake.write("in/4.json", b"{\"id\": 5, \"p\": \"a\"}\n");
        let done = lake.run_with(&["run"], &[("LAKEWRIGHT_FAILPOINT", "commit.after_manifest")]);
        assert_ne!(done.code, Some(0), "{}", done.stderr);
        assert_eq!(lake.version(), 4);
        let name = format!("kept/_delta_log/{version:020}.json");
        fs::remove_file(lake.path("lake").join(&name)).unwrap();
        for command in ["check", "run", "publish"] {
            let said = lake.fails(&[command], 3);
            assert!(said.contains(&name) && said.contains("is missing"), "{command}: {said}");
            assert!(said.contains("_delta_log` away and run `coordinator publish`"), "{command}: {said}");
        }
        assert_eq!(live_files(&lake, "parts"), manifest_files(&lake, "parts"), "another table was not published");
        fs::rename(log(&lake, "kept"), lake.path("moved")).unwrap();
        lake.ok(&["publish"]);
        lake.ok(&["check", "--deep"]);
        lake.ok(&["run"]);
        assert_is_whole(&lake, "an entry is lost");
    }
    // Without the newest entry, a log is only behind.
    let lake = committed_twice();
    fs::remove_file(log(&lake, "kept").join("00000000000000000001.json")).unwrap();
    lake.ok(&["publish"]);
    lake.ok(&["check", "--deep"]);
    assert_is_whole(&lake, "the newest entry is lost");
    // The repair works even if nothing is left to publish.
    fs::remove_file(log(&lake, "kept").join("00000000000000000000.json")).unwrap();
    for command in ["check", "run"] {
        assert!(lake.fails(&[command], 3).contains("00000000000000000000.json` is missing"), "{command}");
    }
    assert_eq!(lake.version(), 2, "a run committed what it cannot publish");
}

#[test]
fn a_log_that_names_missing_files_is_not_written() {
    let lake = committed_twice();
    fs::remove_dir_all(lake.path("lake/kept")).unwrap();
    for command in [&["check"][..], &["run"], &["publish"], &["publish", "--overwrite"]] {
        let said = lake.fails(command, 3);
        assert!(said.contains("missing") && said.contains("run --rebuild kept"), "{command:?}: {said}");
        assert!(!log(&lake, "kept").exists(), "{command:?} wrote a log");
    }
    assert_eq!(lake.version(), 2);
    lake.ok(&["run", "--rebuild", "kept"]);
    assert_is_whole(&lake, "rebuilt");
    assert_eq!(lake.number("SELECT count(*) FROM kept"), 4);
    assert_eq!(newest_entry(&lake, "kept"), 0, "older states name files that are gone");
    lake.ok(&["check", "--deep"]);
}

/// JSON output has the same facts as the lines of text.
#[test]
fn what_commands_did_is_printed_as_rows_too() {
    let lake = committed_twice();
    let rows = |arguments: &[&str]| -> Value { serde_json::from_str(&lake.run_with(arguments, &[]).stdout).unwrap() };
    let published = rows(&["publish", "--overwrite", "--json"]);
    assert_eq!(published[1]["table"], "parts", "{published}");
    assert_eq!((&published[1]["delta_version"], &published[1]["described"]), (&json!(1), &json!(0)), "{published}");
    assert_eq!(rows(&["check", "--deep", "--json"]), json!([]));
    let file = files_below(&lake.path("lake/parts")).into_iter().find(|path| path.to_string_lossy().ends_with(".json"));
    fs::remove_file(file.unwrap()).unwrap();
    let damaged = rows(&["check", "--deep", "--json"]);
    assert!(damaged[0]["object"].as_str().unwrap().contains("parts/_delta_log/"), "{damaged}");
    assert_eq!(damaged[0]["damage"], "is missing");
    assert_eq!(rows(&["vacuum", "--json"]), json!([]));
    assert!(lake.fails(&["check", "--csv"], 2).contains("--deep"));
}
