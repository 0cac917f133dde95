//! From one state of a table to the next, as the actions of one Delta commit.
//!
//! Pure: two manifests' states go in, the lines of one log entry come out, with the manifest's clock and not this
//! machine's, so that whoever rolls a log forward writes the same entry (but for a new table's random id). Comes
//! after `delta` has found which states are missing from a log, and before
//! `table_log` puts them there.
//!
//! Three encodings of one partition value `x=y`: the log's `partitionValues` has it raw; the object's key has
//! `x%3Dy`; the log's `path` is that key encoded again, `x%253Dy`, which serialising the action does.

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use deltalake_core::kernel::{Action, Add, CommitInfo, Metadata, Protocol, Remove, Transaction};
use lakewright_common::error::{Context, Error, Result};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::lake::manifest::{DataFile, Manifest, TableState};

/// The application that the log's `txn` actions are of; their version is the manifest's number.
pub(crate) const APPLICATION: &str = "lakewright";

/// The key of the lake's id in a table's configuration and in a `commitInfo` action.
pub(crate) const LAKE_ID: &str = "lakewright.lake_id";

/// Keys of a `commitInfo` action: the number of the manifest, and the run that committed it.
pub(crate) const MANIFEST_KEY: &str = "lakewright.manifest";
pub(crate) const RUN_KEY: &str = "lakewright.run";

/// What one manifest changed in one table.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) version: u64,
    pub(crate) run: Uuid,
    pub(crate) committed_at: DateTime<Utc>,
    pub(crate) engine: String,
    pub(crate) lake_id: Option<Uuid>,
    /// What the log holds before; `None` for a new table.
    pub(crate) before: Option<TableState>,
    pub(crate) after: TableState,
}

impl Change {
    /// The change that `manifest` made to a table whose state it left as `after`; the state before it is not known.
    pub(crate) fn new(manifest: &Manifest, after: TableState) -> Self {
        Self {
            version: manifest.version,
            run: manifest.run,
            committed_at: manifest.committed_at,
            engine: manifest.engine.clone(),
            lake_id: manifest.lake_id,
            before: None,
            after,
        }
    }
}

/// One log entry: an action a line. `existing` is the log's metadata, `None` for version 0.
///
/// # Errors
/// Internal, when a file does not lie below its table.
pub(crate) fn encode(change: &Change, existing: Option<&Metadata>) -> Result<Bytes> {
    encode_all(&actions(change, existing)?)
}

/// Actions as an entry.
pub(in crate::lake) fn encode_all(actions: &[Action]) -> Result<Bytes> {
    let mut lines = Vec::new();
    for action in actions {
        serde_json::to_writer(&mut lines, action).context(|| Error::internal("a Delta action makes no JSON"))?;
        lines.push(b'\n');
    }
    Ok(lines.into())
}

/// In the order of the protocol's examples: what the commit is, what the table is, how far it is, what it holds.
pub(crate) fn actions(change: &Change, existing: Option<&Metadata>) -> Result<Vec<Action>> {
    let after = &change.after;
    let old_files = change.before.iter().flat_map(|state| &state.files);
    let old_paths: HashSet<&str> = old_files.clone().map(|file| file.written.path.as_str()).collect();
    let new_paths: HashSet<&str> = after.files.iter().map(|file| file.written.path.as_str()).collect();
    let removed: Vec<_> = old_files.filter(|file| !new_paths.contains(file.written.path.as_str())).collect();

    let mut actions = vec![Action::CommitInfo(commit_info(change, existing.is_none(), !removed.is_empty()))];
    if existing.is_none() {
        actions.push(Action::Protocol(lowest_protocol()?));
    }
    let has_lake_id = existing.is_some_and(|metadata| lake_id_of(metadata) == change.lake_id);
    if !has_lake_id || change.before.as_ref().is_none_or(|before| !has_same_shape(before, after)) {
        actions.push(Action::Metadata(metadata(change, existing)?));
    }
    actions.push(Action::Txn(transaction(change)?));
    for file in removed {
        actions.push(Action::Remove(remove(change, file)?));
    }
    for file in after.files.iter().filter(|file| !old_paths.contains(file.written.path.as_str())) {
        actions.push(Action::Add(add(change, file)?));
    }
    Ok(actions)
}

/// How far the log is: the number of the manifest.
pub(in crate::lake) fn transaction(change: &Change) -> Result<Transaction> {
    let updated = Some(change.committed_at.timestamp_millis());
    Ok(Transaction::new_with_last_update(APPLICATION, signed(change.version)?, updated))
}

/// The lake that a log belongs to; `None` if its configuration names none.
pub(in crate::lake) fn lake_id_of(metadata: &Metadata) -> Option<Uuid> {
    metadata.configuration().get(LAKE_ID).and_then(|id| Uuid::try_parse(id).ok())
}

fn has_same_shape(before: &TableState, after: &TableState) -> bool {
    before.columns.list == after.columns.list && before.partition_by == after.partition_by
}

pub(in crate::lake) fn commit_info(change: &Change, is_new: bool, removes: bool) -> CommitInfo {
    let operation = if is_new { "CREATE TABLE AS SELECT" } else { "WRITE" };
    let mode = if removes { "Overwrite" } else { "Append" };
    // Spark reads parameters as strings that hold JSON.
    let partition_by = Value::from(change.after.partition_by.clone()).to_string();
    let mut info = HashMap::from([
        (MANIFEST_KEY.to_owned(), Value::from(change.version)),
        (RUN_KEY.to_owned(), Value::from(change.run.to_string())),
    ]);
    info.extend(change.lake_id.map(|id| (LAKE_ID.to_owned(), Value::from(id.to_string()))));
    CommitInfo {
        timestamp: Some(change.committed_at.timestamp_millis()),
        operation: Some(operation.to_owned()),
        operation_parameters: Some(HashMap::from([
            ("mode".to_owned(), Value::from(mode)),
            ("partitionBy".to_owned(), Value::from(partition_by)),
        ])),
        is_blind_append: Some(!removes),
        engine_info: Some(change.engine.clone()),
        info,
        ..CommitInfo::default()
    }
}

/// What every reader knows: no table features.
fn lowest_protocol() -> Result<Protocol> {
    serde_json::from_value(json!({ "minReaderVersion": 1, "minWriterVersion": 2 }))
        .context(|| Error::internal("the Delta protocol action cannot be built"))
}

/// The table's name and schema; a table that exists keeps its id.
///
/// Never sets `delta.setTransactionRetentionDuration`: once that lapsed, the log would forget how far it is.
pub(in crate::lake) fn metadata(change: &Change, existing: Option<&Metadata>) -> Result<Metadata> {
    let configuration = existing.map(|metadata| metadata.configuration().clone()).unwrap_or_default();
    metadata_with(change, existing, configuration.into_iter().collect())
}

/// As [`metadata`], with this configuration and the lake's id.
pub(in crate::lake) fn metadata_with(
    change: &Change,
    existing: Option<&Metadata>,
    mut configuration: BTreeMap<String, String>,
) -> Result<Metadata> {
    let failed = |e: serde_json::Error| Error::internal("the Delta metadata action cannot be built").caused_by(e);
    let state = &change.after;
    let id = existing.map_or_else(|| Uuid::now_v7().to_string(), |metadata| metadata.id().to_owned());
    let created = existing.map_or(Some(change.committed_at.timestamp_millis()), Metadata::created_time);
    if let Some(id) = change.lake_id {
        configuration.insert(LAKE_ID.to_owned(), id.to_string());
    }
    // The library builds this action for its own operations only (delta-kernel-rs issue 1055), so from JSON.
    let action = json!({
        "id": id,
        "name": state.name,
        "description": existing.and_then(Metadata::description),
        "format": { "provider": "parquet", "options": {} },
        "schemaString": serde_json::to_string(&state.columns.delta_schema()?).map_err(failed)?,
        "partitionColumns": state.partition_by,
        "configuration": configuration,
        "createdTime": created,
    });
    serde_json::from_value(action).map_err(failed)
}

pub(in crate::lake) fn add(change: &Change, file: &DataFile) -> Result<Add> {
    Ok(Add {
        path: path_in_table(&change.after.name, file)?,
        partition_values: partition_values(file),
        size: signed(file.written.bytes)?,
        modification_time: change.committed_at.timestamp_millis(),
        data_change: true,
        stats: Some(statistics(file)),
        ..Add::default()
    })
}

/// A tombstone with everything that it may carry: some readers need the optional parts.
fn remove(change: &Change, file: &DataFile) -> Result<Remove> {
    Ok(Remove {
        path: path_in_table(&change.after.name, file)?,
        data_change: true,
        deletion_timestamp: Some(change.committed_at.timestamp_millis()),
        extended_file_metadata: Some(true),
        partition_values: Some(partition_values(file)),
        size: Some(signed(file.written.bytes)?),
        ..Remove::default()
    })
}

/// The key below the table, as it is on storage; the action's serialiser encodes it once more.
pub(in crate::lake) fn path_in_table(table: &str, file: &DataFile) -> Result<String> {
    let path = &file.written.path;
    let below = path.strip_prefix(table).and_then(|rest| rest.strip_prefix('/'));
    below.map(str::to_owned).ok_or_else(|| Error::internal(format!("`{path}` is no file of table `{table}`")))
}

fn partition_values(file: &DataFile) -> HashMap<String, Option<String>> {
    file.written.partition_values.clone().into_iter().collect()
}

/// The protocol's "Per-file Statistics", as text.
fn statistics(file: &DataFile) -> String {
    let (mut min, mut max, mut nulls) = (Map::new(), Map::new(), Map::new());
    // A partition column has one value in a file, and the log names it elsewhere.
    let stored = |column: &str| !file.written.partition_values.contains_key(column);
    for column in file.written.statistics.iter().filter(|statistics| stored(&statistics.column)) {
        nulls.insert(column.column.clone(), column.null_count.into());
        // Readers that skip by one bound expect the other.
        if let (Some(low), Some(high)) = (&column.min, &column.max) {
            min.insert(column.column.clone(), low.clone());
            max.insert(column.column.clone(), high.clone());
        }
    }
    json!({ "numRecords": file.written.rows, "minValues": min, "maxValues": max, "nullCount": nulls }).to_string()
}

fn signed(value: u64) -> Result<i64> {
    i64::try_from(value).context(|| Error::internal(format!("`{value}` exceeds 2^63")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::lake::fixture;

    fn change(before: Option<&[&str]>, after: &[&str]) -> Change {
        let manifest = fixture::manifest(7, &[("songs", after)]);
        Change {
            before: before.map(|files| fixture::manifest(6, &[("songs", files)]).tables.remove(0)),
            ..Change::new(&manifest, manifest.tables[0].clone())
        }
    }

    fn lines(change: &Change, existing: Option<&Metadata>) -> Vec<Value> {
        let bytes = encode(change, existing).unwrap();
        std::str::from_utf8(&bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn names(lines: &[Value]) -> Vec<&str> {
        lines.iter().map(|line| line.as_object().unwrap().keys().next().unwrap().as_str()).collect()
    }

    #[test]
    fn version_0_says_what_the_table_is_at_the_lowest_protocol() {
        let lines = lines(&change(None, &["year=x%3Dy/f.parquet"]), None);
        assert_eq!(names(&lines), ["commitInfo", "protocol", "metaData", "txn", "add"]);
        assert_eq!(lines[0]["commitInfo"]["lakewright.manifest"], 7);
        assert_eq!(lines[1]["protocol"], json!({ "minReaderVersion": 1, "minWriterVersion": 2 }));
        assert_eq!(lines[2]["metaData"]["partitionColumns"], json!(["year"]));
        assert!(!lines[2]["metaData"]["schemaString"].as_str().unwrap().contains("field.id"));
        assert_eq!(lines[3]["txn"]["appId"], "lakewright");
        assert_eq!(lines[3]["txn"]["version"], 7);
        let add = &lines[4]["add"];
        assert_eq!(add["path"], "year=x%253Dy/f.parquet");
        assert_eq!(add["partitionValues"], json!({ "year": "x=y" }));
        let stats: Value = serde_json::from_str(add["stats"].as_str().unwrap()).unwrap();
        let expected = json!({
            "numRecords": 10, "minValues": { "title": "a" }, "maxValues": { "title": "z" }, "nullCount": { "title": 0 },
        });
        assert_eq!(stats, expected);
    }

    #[test]
    fn a_tombstone_carries_everything_that_it_may() {
        let first = change(None, &[]);
        let existing = metadata(&first, None).unwrap();
        let lines = lines(&change(Some(&["year=1/a", "b"]), &["b", "year=2/c"]), Some(&existing));
        assert_eq!(names(&lines), ["commitInfo", "txn", "remove", "add"]);
        let expected = json!({
            "path": "year=1/a", "dataChange": true, "deletionTimestamp": 1_700_000_000_007_u64,
            "extendedFileMetadata": true, "partitionValues": { "year": "1" }, "size": 4,
        });
        assert_eq!(lines[2]["remove"], expected);
        assert_eq!(lines[3]["add"]["path"], "year=2/c");
    }

    #[test]
    fn a_new_shape_is_told_under_the_same_id() {
        let mut change = change(Some(&["a"]), &["b"]);
        let existing = metadata(&change, None).unwrap();
        change.after.partition_by.clear();
        let lines = lines(&change, Some(&existing));
        assert_eq!(names(&lines), ["commitInfo", "metaData", "txn", "remove", "add"]);
        assert_eq!(lines[1]["metaData"]["id"], existing.id());
    }

    #[test]
    fn a_file_outside_of_its_table_is_refused() {
        let mut change = change(None, &["a"]);
        change.after.files[0].written.path = "songsters/a".into();
        assert!(encode(&change, None).is_err());
    }
}
