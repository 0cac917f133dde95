//! Tests of commits of other programs, and of manifests from other times. Each command says what it
//! found and changes nothing. `publish --overwrite` repairs the log or says how to repair it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use serde_json::{Value, json};

use super::lake::{
    actions, append, assert_is_whole, commit_as_another_program, committed_twice, copied, delete, live_add, live_files,
    manifest_files, metadata, removal,
};
use crate::support::{Lake, copy_folder, files_below};

fn optimize(lake: &Lake) {
    let removed = removal(&live_add(lake, "kept"));
    commit_as_another_program(lake, "kept", "OPTIMIZE", &[removed, copied(lake, "kept")]);
}

fn constraint(lake: &Lake) {
    let mut metadata = metadata(lake, "kept");
    metadata["metaData"]["configuration"]["delta.constraints.small"] = "id < 3".into();
    let protocol = json!({ "protocol": { "minReaderVersion": 1, "minWriterVersion": 3 } });
    commit_as_another_program(lake, "kept", "ADD CONSTRAINT", &[metadata, protocol]);
}

fn column_mapping(lake: &Lake) {
    let mut metadata = metadata(lake, "kept");
    metadata["metaData"]["configuration"]["delta.columnMapping.mode"] = "name".into();
    let mut schema: Value = serde_json::from_str(metadata["metaData"]["schemaString"].as_str().unwrap()).unwrap();
    for (id, field) in (1..).zip(schema["fields"].as_array_mut().unwrap()) {
        field["metadata"] = json!({ "delta.columnMapping.id": id, "delta.columnMapping.physicalName": field["name"] });
    }
    metadata["metaData"]["schemaString"] = schema.to_string().into();
    let protocol = json!({ "protocol": { "minReaderVersion": 2, "minWriterVersion": 5 } });
    commit_as_another_program(lake, "kept", "SET TBLPROPERTIES", &[protocol, metadata]);
}

pub(super) fn table_features(lake: &Lake) {
    let features = json!(["deletionVectors"]);
    let protocol = json!({ "protocol": { "minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": features, "writerFeatures": features } });
    commit_as_another_program(lake, "kept", "UPGRADE PROTOCOL", &[protocol]);
}

/// Commits metadata that Lakewright's Delta library cannot read.
fn unreadable_columns(lake: &Lake) {
    let mut metadata = metadata(lake, "kept");
    metadata["metaData"]["configuration"]["delta.columnMapping.mode"] = "name".into();
    let protocol = json!({ "protocol": { "minReaderVersion": 2, "minWriterVersion": 5 } });
    commit_as_another_program(lake, "kept", "REPLACE COLUMNS", &[protocol, metadata]);
}

fn other_columns(lake: &Lake) {
    let mut metadata = metadata(lake, "kept");
    let schema = metadata["metaData"]["schemaString"].as_str().unwrap();
    let field = "\"fields\":[{\"name\":\"more\",\"type\":\"long\",\"nullable\":true,\"metadata\":{}},";
    metadata["metaData"]["schemaString"] = schema.replacen("\"fields\":[", field, 1).into();
    commit_as_another_program(lake, "kept", "ADD COLUMNS", &[metadata]);
}

/// Restores version 1, as another program.
fn restored_version(lake: &Lake) {
    let first: BTreeSet<String> = actions(lake, "kept")
        .iter()
        .take_while(|action| action["remove"].is_null())
        .filter_map(|action| action["add"]["path"].as_str().map(str::to_owned))
        .collect();
    let adds: Vec<Value> = actions(lake, "kept")
        .into_iter()
        .filter(|action| action["add"]["path"].as_str().is_some_and(|path| first.contains(path)))
        .collect();
    let mut restore = vec![removal(&live_add(lake, "kept"))];
    restore.extend(adds);
    commit_as_another_program(lake, "kept", "RESTORE", &restore);
}

fn manifest_deleted(lake: &Lake) {
    fs::remove_file(lake.path("lake/_lake/manifest/00000000000000000002.json")).unwrap();
}

fn lake_deleted(lake: &Lake) {
    fs::remove_dir_all(lake.path("lake/_lake")).unwrap();
}

fn older_backup(lake: &Lake) {
    lake_deleted(lake);
    copy_folder(&lake.path("older"), &lake.path("lake/_lake"));
}

/// Adds the third manifest of another lake.
fn manifest_of_another_lake(lake: &Lake) {
    let other = committed_twice();
    other.ok(&["run"]);
    let name = "lake/_lake/manifest/00000000000000000003.json";
    fs::copy(other.path(name), lake.path(name)).unwrap();
}

/// Replaces `_lake` with that of another lake that has the same Delta versions.
fn lake_of_another(lake: &Lake) {
    let other = committed_twice();
    lake_deleted(lake);
    copy_folder(&other.path("lake/_lake"), &lake.path("lake/_lake"));
}

/// Outcome of `publish --overwrite`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Overwrite {
    /// Succeeds: the log then equals the newest manifest.
    Works,
    /// Fails with this exit code and text.
    Refuses(i32, &'static str),
}

struct Damage {
    name: &'static str,
    inflict: fn(&Lake),
    /// Texts that the error of a run contains, besides the table.
    named: &'static [&'static str],
    overwrite: Overwrite,
}

fn damages() -> Vec<Damage> {
    let damage = |name, inflict, named, overwrite| Damage { name, inflict, named, overwrite };
    let by_another = |name, inflict: fn(&Lake), named| damage(name, inflict, named, Overwrite::Works);
    vec![
        by_another("append", append, &["another program", "version 2", "`WRITE`", "`delta-rs:py-1.6.6`", "`ann`"]),
        by_another("delete", delete, &["another program", "version 2", "`DELETE`"]),
        by_another("optimize", optimize, &["another program", "version 2", "`OPTIMIZE`"]),
        by_another("constraint", constraint, &["another program", "`ADD CONSTRAINT`"]),
        by_another("column mapping", column_mapping, &["another program", "`SET TBLPROPERTIES`"]),
        damage(
            "unreadable columns",
            unreadable_columns,
            &["another program", "`REPLACE COLUMNS`", "_delta_log` away and run `coordinator publish`"],
            Overwrite::Refuses(2, "_delta_log` away"),
        ),
        by_another("columns", other_columns, &["another program", "`ADD COLUMNS`"]),
        by_another("restored version", restored_version, &["another program", "`RESTORE`"]),
        damage(
            "table features",
            table_features,
            &["another program", "`UPGRADE PROTOCOL`", "_delta_log` away and run `coordinator publish`"],
            Overwrite::Refuses(2, "deletionVectors"),
        ),
        by_another(
            "newest manifest deleted",
            manifest_deleted,
            &["at version 2 of the lake", "newest manifest is version 1"],
        ),
        by_another("older backup", older_backup, &["at version 2 of the lake", "newest manifest is version 1"]),
        damage(
            "_lake deleted",
            lake_deleted,
            &["has no version", "move the folder `kept` away"],
            Overwrite::Refuses(2, "has no version"),
        ),
        damage(
            "manifest of another lake",
            manifest_of_another_lake,
            &["belongs to lake"],
            Overwrite::Refuses(3, "missing"),
        ),
        damage("_lake of another lake", lake_of_another, &["belongs to lake"], Overwrite::Refuses(3, "missing")),
    ]
}

/// Returns manifests and Delta logs with their contents.
fn books(lake: &Lake) -> Vec<(PathBuf, Vec<u8>)> {
    let files = files_below(&lake.path("lake"));
    let is_book = |path: &&PathBuf| path.extension().is_some_and(|extension| extension == "json");
    files.iter().filter(is_book).map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// For each change to a lake: each command names it and changes nothing, and the repair works.
#[test]
fn logs_that_the_manifests_do_not_tell_of_are_refused_by_name_and_can_be_overwritten() {
    for Damage { name, inflict, named, overwrite } in damages() {
        let lake = committed_twice();
        inflict(&lake);
        let (before, files) = (books(&lake), files_below(&lake.path("lake")).len());
        let mut commands = vec![&["run"][..], &["check"], &["publish"]];
        if lake.version() == 0 {
            commands.extend([&["query", "SELECT 1"][..], &["tables"], &["check", "--deep"], &["history"]]);
        }
        for command in commands {
            let said = lake.fails(command, 2);
            for part in named.iter().chain(&["table `kept`"]) {
                assert!(said.contains(part), "{name}: {command:?} does not say `{part}`: {said}");
            }
            assert!(books(&lake) == before, "{name}: {command:?} wrote something");
        }
        assert_eq!(files_below(&lake.path("lake")).len(), files, "{name}: a refused run wrote files");
        if lake.version() > 0 && !name.contains("another lake") {
            for arguments in [&["query", "SELECT id FROM kept"][..], &["tables"]] {
                let done = lake.ok(arguments);
                assert!(done.stderr.contains(named[0]), "{name}: {arguments:?} is silent: {}", done.stderr);
            }
        }
        match overwrite {
            Overwrite::Works => {
                lake.ok(&["publish", "--table", "kept", "--overwrite"]);
                assert_eq!(live_files(&lake, "kept"), manifest_files(&lake, "kept"), "{name}");
                lake.ok(&["publish", "--overwrite"]);
                assert_is_whole(&lake, name);
                let written = books(&lake);
                assert!(lake.ok(&["publish", "--overwrite"]).stdout.contains("nothing to overwrite"));
                assert!(books(&lake) == written, "{name}: what is equal was overwritten");
                for _ in 0..2 {
                    lake.ok(&["run"]);
                    assert_is_whole(&lake, name);
                    assert_eq!(lake.number("SELECT count(*) FROM kept"), 4, "{name}");
                    lake.ok(&["check"]);
                }
            }
            Overwrite::Refuses(code, part) => {
                let said = lake.fails(&["publish", "--overwrite"], code);
                assert!(said.contains(part), "{name}: {said}");
                assert!(books(&lake) == before, "{name}: a refused command wrote something");
                lake.fails(&["run"], 2);
            }
        }
    }
}

#[test]
fn commits_that_change_nothing_are_passed_over() {
    let lake = committed_twice();
    commit_as_another_program(&lake, "kept", "VACUUM START", &[]);
    commit_as_another_program(&lake, "kept", "VACUUM END", &[]);
    let deleted = live_add(&lake, "parts");
    commit_as_another_program(&lake, "parts", "DELETE", &[removal(&deleted)]);
    commit_as_another_program(&lake, "parts", "RESTORE", &[json!({ "add": deleted })]);
    assert_eq!(lake.ok(&["check"]).stderr, "");
    lake.ok(&["run"]);
    for table in ["kept", "parts"] {
        assert_eq!(live_files(&lake, table), manifest_files(&lake, table), "{table}");
    }
    assert_eq!(lake.number("SELECT count(*) FROM kept"), 4);
    lake.ok(&["run"]);
}

#[test]
fn what_comes_on_standard_error_of_a_refusal_is_an_object_with_json_logs() {
    let lake = committed_twice();
    append(&lake);
    let done = lake.run_with(&["--log-format", "json", "run"], &[]);
    let last = BufReader::new(done.stderr.as_bytes()).lines().map_while(Result::ok).last().unwrap();
    let last: Value = serde_json::from_str(&last).unwrap();
    assert!(last["message"].as_str().unwrap().contains("another program"), "{last}");
    assert!(last["hint"].as_str().unwrap().contains("publish --table kept --overwrite"), "{last}");
}
