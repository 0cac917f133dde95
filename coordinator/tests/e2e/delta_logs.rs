//! Delta logs that another program wrote to, and logs and manifests of different times: each command refuses by name, or
//! the log shows the rows of the newest manifest; never both rows at once.
//!
//! Other programs' commits are written as the JSON that deltalake and Spark write; `.ci/foreign_commits.py` has deltalake
//! itself make them.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};

use serde_json::{Value, json};

use crate::support::{Done, Lake, copy_folder, files_below};

/// Rows with ids, and two tables of them: one with a file a value, and one without partitions.
const CONFIG: &str = "[lake]\nurl = \"lake\"\n[sources.rows]\nurl = \"in\"\n[sources.rows.fields]\n\
                      id = { type = \"long\", required = true }\np = \"string\"\n\
                      [tables.kept]\nkey = [\"id\"]\n[tables.parts]\npartition_by = [\"p\"]\n";

/// Three versions of the lake's input; two of them committed.
fn committed_twice() -> Lake {
    let lake = Lake::of(&[
        ("lake.toml", CONFIG),
        ("models/kept.sql", "SELECT id, p FROM staging.rows"),
        ("models/parts.sql", "SELECT id, p FROM staging.rows"),
        ("in/1.json", "{\"id\": 1, \"p\": \"a\"}\n{\"id\": 2, \"p\": \"b/c\"}\n"),
    ]);
    lake.ok(&["run"]);
    copy_folder(&lake.path("lake/_lake"), &lake.path("older"));
    lake.write("in/2.json", b"{\"id\": 3, \"p\": \"a\"}\n");
    lake.ok(&["run"]);
    lake.write("in/3.json", b"{\"id\": 4, \"p\": \"d\"}\n");
    lake
}

fn log(lake: &Lake, table: &str) -> PathBuf {
    lake.path("lake").join(table).join("_delta_log")
}

/// The actions of a log in order.
fn actions(lake: &Lake, table: &str) -> Vec<Value> {
    let entries = files_below(&log(lake, table));
    let entries = entries.iter().filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let texts = entries.map(|path| fs::read_to_string(path).unwrap());
    texts.flat_map(|text| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<_>>()).collect()
}

/// The files that a Delta reader reads, by replaying the log.
fn live_files(lake: &Lake, table: &str) -> BTreeSet<String> {
    let mut live = BTreeSet::new();
    for action in actions(lake, table) {
        let path = |name: &str| {
            let path = action[name]["path"].as_str()?;
            Some(percent_decoded(path))
        };
        live.extend(path("add"));
        if let Some(path) = path("remove") {
            live.remove(&path);
        }
    }
    live
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let (byte, tail) = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => {
                (u8::from_str_radix(std::str::from_utf8(&[*high, *low]).unwrap(), 16).unwrap(), tail)
            }
            _ => (*first, tail),
        };
        bytes.push(byte);
        rest = tail;
    }
    String::from_utf8(bytes).unwrap()
}

/// The newest manifest; null if there is none.
fn manifest(lake: &Lake) -> Value {
    let path = lake.path("lake/_lake/manifest").join(format!("{:020}.json", lake.version()));
    fs::read(path).map_or(Value::Null, |bytes| serde_json::from_slice(&bytes).unwrap())
}

/// The files of a table in the newest manifest, below the table's folder.
fn manifest_files(lake: &Lake, table: &str) -> BTreeSet<String> {
    let manifest = manifest(lake);
    let tables = manifest["tables"].as_array().cloned().unwrap_or_default();
    let state = tables.into_iter().find(|state| state["name"] == table).unwrap_or_default();
    let files = state["files"].as_array().cloned().unwrap_or_default();
    files.iter().map(|file| file["path"].as_str().unwrap()[table.len() + 1..].to_owned()).collect()
}

/// Appends an entry that another program could have written.
fn commit_as_another_program(lake: &Lake, table: &str, operation: &str, actions: &[Value]) {
    let versions = files_below(&log(lake, table)).len();
    let info = json!({ "commitInfo": { "timestamp": 1_700_000_000_000_u64, "operation": operation, "engineInfo": "delta-rs:py-1.6.6", "userName": "ann" } });
    let lines: Vec<String> = std::iter::once(&info).chain(actions).map(ToString::to_string).collect();
    fs::write(log(lake, table).join(format!("{versions:020}.json")), lines.join("\n") + "\n").unwrap();
}

/// A live file of the table, as an `add` action has it.
fn live_add(lake: &Lake, table: &str) -> Value {
    let live = live_files(lake, table);
    let is_live = |add: &Value| add["path"].as_str().is_some_and(|path| live.contains(&percent_decoded(path)));
    actions(lake, table).into_iter().map(|action| action["add"].clone()).rfind(is_live).unwrap()
}

fn removal(add: &Value) -> Value {
    json!({ "remove": { "path": add["path"], "dataChange": true, "deletionTimestamp": 1, "extendedFileMetadata": true,
        "partitionValues": add["partitionValues"], "size": add["size"] } })
}

/// A copy of a live file under another name: rows that are there twice then.
fn copied(lake: &Lake, table: &str) -> Value {
    let add = live_add(lake, table);
    let folder = lake.path("lake").join(table);
    fs::copy(folder.join(percent_decoded(add["path"].as_str().unwrap())), folder.join("of-another.parquet")).unwrap();
    let mut copy = add;
    copy["path"] = "of-another.parquet".into();
    json!({ "add": copy })
}

fn metadata(lake: &Lake, table: &str) -> Value {
    actions(lake, table).into_iter().rev().find(|action| !action["metaData"].is_null()).unwrap()
}

fn append(lake: &Lake) {
    commit_as_another_program(lake, "kept", "WRITE", &[copied(lake, "kept")]);
}

fn delete(lake: &Lake) {
    commit_as_another_program(lake, "kept", "DELETE", &[removal(&live_add(lake, "kept"))]);
}

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

fn table_features(lake: &Lake) {
    let features = json!(["deletionVectors"]);
    let protocol = json!({ "protocol": { "minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": features, "writerFeatures": features } });
    commit_as_another_program(lake, "kept", "UPGRADE PROTOCOL", &[protocol]);
}

/// Metadata that the Delta library of Lakewright cannot read.
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

/// Version 1 again, by another program.
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

/// The manifest that another lake has as its third.
fn manifest_of_another_lake(lake: &Lake) {
    let other = committed_twice();
    other.ok(&["run"]);
    let name = "lake/_lake/manifest/00000000000000000003.json";
    fs::copy(other.path(name), lake.path(name)).unwrap();
}

/// All of `_lake`, of another lake whose tables have the same Delta versions.
fn lake_of_another(lake: &Lake) {
    let other = committed_twice();
    lake_deleted(lake);
    copy_folder(&other.path("lake/_lake"), &lake.path("lake/_lake"));
}

/// What `publish --overwrite` comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Overwrite {
    /// The log equals the newest manifest then.
    Works,
    /// It refuses, and says this.
    Refuses(i32, &'static str),
}

struct Damage {
    name: &'static str,
    inflict: fn(&Lake),
    /// What a run's refusal names besides the table.
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
            &["another program", "`REPLACE COLUMNS`"],
            Overwrite::Refuses(3, "_delta_log` away"),
        ),
        by_another("columns", other_columns, &["another program", "`ADD COLUMNS`"]),
        by_another("restored version", restored_version, &["another program", "`RESTORE`"]),
        damage(
            "table features",
            table_features,
            &["another program", "`UPGRADE PROTOCOL`"],
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
            Overwrite::Refuses(2, "nothing in the lake"),
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

/// Manifests and Delta logs, with their contents.
fn books(lake: &Lake) -> Vec<(PathBuf, Vec<u8>)> {
    let files = files_below(&lake.path("lake"));
    let is_book = |path: &&PathBuf| path.extension().is_some_and(|extension| extension == "json");
    files.iter().filter(is_book).map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// Each way to disturb a lake, and each command: what it says, that it changes nothing, and the way back.
#[test]
fn logs_that_the_manifests_do_not_tell_of_are_refused_by_name_and_can_be_overwritten() {
    for Damage { name, inflict, named, overwrite } in damages() {
        let lake = committed_twice();
        inflict(&lake);
        let (before, files) = (books(&lake), files_below(&lake.path("lake")).len());
        for command in ["run", "check", "publish"] {
            if command == "publish" && lake.version() == 0 {
                continue;
            }
            let said = lake.fails(&[command], 2);
            for part in named.iter().chain(&["table `kept`"]) {
                assert!(said.contains(part), "{name}: {command} does not say `{part}`: {said}");
            }
            assert!(books(&lake) == before, "{name}: {command} wrote something");
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

/// The logs show what the newest manifest has, metadata included, and the versions that belong together are theirs.
fn assert_is_whole(lake: &Lake, name: &str) {
    let latest: Value = serde_json::from_slice(&fs::read(lake.path("lake/_lake/consistent/latest")).unwrap()).unwrap();
    assert_eq!(latest["manifest"], lake.version(), "{name}");
    for table in ["kept", "parts"] {
        assert_eq!(live_files(lake, table), manifest_files(lake, table), "{name}: {table}");
        let newest = files_below(&log(lake, table)).len() - 1;
        assert_eq!(latest["tables"][table]["version"], newest, "{name}: {table}");
        let metadata = &metadata(lake, table)["metaData"];
        let keys: Vec<&String> = metadata["configuration"].as_object().unwrap().keys().collect();
        assert_eq!(keys, ["lakewright.lake_id"], "{name}: {table}");
        assert_eq!(metadata["configuration"]["lakewright.lake_id"], manifest(lake)["lake_id"], "{name}: {table}");
        assert!(!metadata["schemaString"].as_str().unwrap().contains("more"), "{name}: {table}");
    }
    let versions: Vec<Value> = serde_json::from_str(&lake.ok(&["tables", "--json"]).stdout).unwrap();
    for row in versions {
        assert_eq!(row["delta_version"], latest["tables"][row["table"].as_str().unwrap()]["version"], "{name}");
    }
}

/// A log that has features which cannot be taken back is written anew once it was moved away.
#[test]
fn a_log_that_was_moved_away_is_written_anew() {
    let lake = committed_twice();
    table_features(&lake);
    fs::rename(log(&lake, "kept"), lake.path("moved")).unwrap();
    lake.ok(&["publish"]);
    assert_is_whole(&lake, "moved away");
    lake.ok(&["run"]);
    assert_is_whole(&lake, "moved away, and a run");
}

#[test]
fn a_damaged_entry_of_a_log_is_named_and_the_log_written_anew() {
    let lake = committed_twice();
    let entry = log(&lake, "kept").join("00000000000000000001.json");
    let text = fs::read(&entry).unwrap();
    fs::write(&entry, &text[..text.len() / 2]).unwrap();
    for command in ["run", "check", "publish"] {
        let said = lake.fails(&[command], 3);
        assert!(
            said.contains("kept/_delta_log/00000000000000000001.json") && said.contains("damaged"),
            "{command}: {said}"
        );
        assert!(said.contains("coordinator publish"), "{command}: {said}");
    }
    fs::rename(log(&lake, "kept"), lake.path("moved")).unwrap();
    lake.ok(&["publish"]);
    lake.ok(&["run"]);
    assert_is_whole(&lake, "damaged");
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

/// Waits until the process has stopped itself at its fail point.
fn wait_until_frozen(child: &Child) {
    let status = format!("/proc/{}/status", child.id());
    loop {
        let text = fs::read_to_string(&status).expect("the process lives");
        let state = text.lines().find_map(|line| line.strip_prefix("State:")).expect("a process has a state").trim();
        assert!(!state.starts_with('Z'), "the process ended before its fail point");
        if state.starts_with('T') {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

fn start_frozen(lake: &Lake, point: &str) -> Child {
    let mut command = lake.command(&["run"]);
    command.env("LAKEWRIGHT_FAILPOINT", format!("{point}:STOP")).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("the binary starts");
    wait_until_frozen(&child);
    child
}

fn thaw(child: Child) -> Done {
    let sent = std::process::Command::new("kill").args(["-CONT", &child.id().to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()));
    Done::of(&child.wait_with_output().unwrap())
}

/// Between the put of the manifest and that of the log's entry.
#[test]
fn a_commit_that_comes_in_between_is_not_written_over() {
    let lake = committed_twice();
    let child = start_frozen(&lake, "commit.after_manifest");
    append(&lake);
    let foreign = live_files(&lake, "kept");
    let done = thaw(child);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    for part in ["committed version 3", "another program", "`WRITE`", "publish --table kept --overwrite", "behind"] {
        assert!(done.stderr.contains(part), "`{part}` is not in: {}", done.stderr);
    }
    assert_eq!(live_files(&lake, "kept"), foreign, "the log was written to");
    assert_eq!(live_files(&lake, "parts"), manifest_files(&lake, "parts"), "another table was not published");
    assert!(lake.fails(&["run"], 2).contains("another program"));
    lake.ok(&["publish", "--table", "kept", "--overwrite"]);
    assert_is_whole(&lake, "in between");
}

/// A run that has lost its manifest's put, while another rolls the logs; and one that read an older manifest.
#[test]
fn a_log_that_another_run_took_further_is_not_refused() {
    let lake = committed_twice();
    let looser = start_frozen(&lake, "commit.before_manifest");
    let late = start_frozen(&lake, "run.before_discover");
    lake.ok(&["run"]);
    lake.write("in/4.json", b"{\"id\": 5, \"p\": \"e\"}\n");
    lake.ok(&["run"]);
    for child in [looser, late] {
        let done = thaw(child);
        assert_eq!(done.code, Some(4), "{}", done.stderr);
    }
    assert_is_whole(&lake, "after two runs at once");
    // Their files went with them.
    let manifests = files_below(&lake.path("lake/_lake/manifest"));
    let named: String = manifests.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    for file in data_files(&lake) {
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(named.contains(name), "no manifest names `{}`", file.display());
    }
    assert_eq!(lake.number("SELECT count(*) FROM kept"), 5);
}

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
    // The lake's id tells that the logs are of this lake.
    lake.write("in/4.json", b"{\"id\": 5, \"p\": \"a\"}\n");
    lake.ok(&["run"]);

    fs::copy(manifest(4), manifest(5)).unwrap();
    for command in [&["query", "SELECT 1"][..], &["run"], &["check"]] {
        let said = lake.fails(command, 3);
        assert!(said.contains("00005.json`) is a copy of manifest 4"), "{command:?}: {said}");
        assert!(said.contains("version 4 is intact"), "{command:?}: {said}");
    }
}

#[test]
fn a_missing_file_is_named_with_the_version_that_is_intact() {
    let lake = committed_twice();
    let file = manifest_files(&lake, "kept").pop_first().unwrap();
    fs::remove_file(lake.path("lake/kept").join(&file)).unwrap();
    let said = lake.fails(&["query", "SELECT sum(id) FROM kept"], 3);
    assert!(said.contains(&file) && said.contains("version 1 is intact"), "{said}");
    assert_eq!(lake.ok(&["query", "--version", "1", "SELECT sum(id) AS s FROM kept", "--csv"]).stdout, "s\n3\n");
    delete(&lake);
    let said = lake.fails(&["publish", "--overwrite"], 3);
    assert!(said.contains(&file) && said.contains("VACUUM"), "{said}");
}

/// Every file of data, staging, quarantine and ledger.
fn data_files(lake: &Lake) -> Vec<PathBuf> {
    let root = lake.path("lake");
    let files = if root.exists() { files_below(&root) } else { vec![] };
    files.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "parquet")).collect()
}

/// Makes the next run fail.
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
