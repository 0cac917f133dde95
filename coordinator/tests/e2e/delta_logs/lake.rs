//! A lake with two tables, and its logs and manifests as a reader sees them.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::{Lake, copy_folder, files_below};

/// Configuration with one source of rows and two tables: `parts` with one partition per value, and
/// `kept` without partitions.
pub(super) const CONFIG: &str = "[lake]\nurl = \"lake\"\n[sources.rows]\nurl = \"in\"\n[sources.rows.fields]\n\
                      id = { type = \"long\", required = true }\np = \"string\"\n\
                      [tables.kept]\nkey = [\"id\"]\n[tables.parts]\npartition_by = [\"p\"]\n";

/// Creates a lake with three objects of input, two of them committed.
pub(super) fn committed_twice() -> Lake {
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

pub(super) fn log(lake: &Lake, table: &str) -> PathBuf {
    lake.path("lake").join(table).join("_delta_log")
}

/// Returns the newest Delta version of a table.
pub(super) fn newest_entry(lake: &Lake, table: &str) -> usize {
    files_below(&log(lake, table)).len() - 1
}

/// Returns the actions of a log in order.
pub(super) fn actions(lake: &Lake, table: &str) -> Vec<Value> {
    let entries = files_below(&log(lake, table));
    let entries = entries.iter().filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let texts = entries.map(|path| fs::read_to_string(path).unwrap());
    texts.flat_map(|text| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<_>>()).collect()
}

/// Replays a log; returns the files that a Delta reader reads.
pub(super) fn live_files(lake: &Lake, table: &str) -> BTreeSet<String> {
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

pub(super) fn percent_decoded(text: &str) -> String {
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

/// Returns the newest manifest; null for a lake without one.
pub(super) fn manifest(lake: &Lake) -> Value {
    let path = lake.path("lake/_lake/manifest").join(format!("{:020}.json", lake.version()));
    fs::read(path).map_or(Value::Null, |bytes| serde_json::from_slice(&bytes).unwrap())
}

/// Returns the files of a table in the newest manifest, below the table's folder.
pub(super) fn manifest_files(lake: &Lake, table: &str) -> BTreeSet<String> {
    let manifest = manifest(lake);
    let tables = manifest["tables"].as_array().cloned().unwrap_or_default();
    let state = tables.into_iter().find(|state| state["name"] == table).unwrap_or_default();
    let files = state["files"].as_array().cloned().unwrap_or_default();
    files.iter().map(|file| file["path"].as_str().unwrap()[table.len() + 1..].to_owned()).collect()
}

/// Appends an entry that another program could have written.
pub(super) fn commit_as_another_program(lake: &Lake, table: &str, operation: &str, actions: &[Value]) {
    let versions = files_below(&log(lake, table)).len();
    let info = json!({ "commitInfo": { "timestamp": 1_700_000_000_000_u64, "operation": operation, "engineInfo": "delta-rs:py-1.6.6", "userName": "ann" } });
    let lines: Vec<String> = std::iter::once(&info).chain(actions).map(ToString::to_string).collect();
    fs::write(log(lake, table).join(format!("{versions:020}.json")), lines.join("\n") + "\n").unwrap();
}

/// Returns the `add` action of a live file.
pub(super) fn live_add(lake: &Lake, table: &str) -> Value {
    let live = live_files(lake, table);
    let is_live = |add: &Value| add["path"].as_str().is_some_and(|path| live.contains(&percent_decoded(path)));
    actions(lake, table).into_iter().map(|action| action["add"].clone()).rfind(is_live).unwrap()
}

pub(super) fn removal(add: &Value) -> Value {
    json!({ "remove": { "path": add["path"], "dataChange": true, "deletionTimestamp": 1, "extendedFileMetadata": true,
        "partitionValues": add["partitionValues"], "size": add["size"] } })
}

/// Copies a live file to another name. Returns the `add` action that would duplicate its rows.
pub(super) fn copied(lake: &Lake, table: &str) -> Value {
    let add = live_add(lake, table);
    let folder = lake.path("lake").join(table);
    fs::copy(folder.join(percent_decoded(add["path"].as_str().unwrap())), folder.join("of-another.parquet")).unwrap();
    let mut copy = add;
    copy["path"] = "of-another.parquet".into();
    json!({ "add": copy })
}

pub(super) fn metadata(lake: &Lake, table: &str) -> Value {
    actions(lake, table).into_iter().rev().find(|action| !action["metaData"].is_null()).unwrap()
}

pub(super) fn append(lake: &Lake) {
    commit_as_another_program(lake, "kept", "WRITE", &[copied(lake, "kept")]);
}

pub(super) fn delete(lake: &Lake) {
    commit_as_another_program(lake, "kept", "DELETE", &[removal(&live_add(lake, "kept"))]);
}

/// Asserts that the logs equal the newest manifest, metadata included, and that the published
/// versions are those of the logs.
pub(super) fn assert_is_whole(lake: &Lake, name: &str) {
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

/// Returns every file of data, staging, quarantine and ledger.
pub(super) fn data_files(lake: &Lake) -> Vec<PathBuf> {
    let root = lake.path("lake");
    let files = if root.exists() { files_below(&root) } else { vec![] };
    files.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "parquet")).collect()
}
