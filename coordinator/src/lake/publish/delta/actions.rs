//! The change from one state of a table to the next, as the actions of one Delta commit.
//!
//! The functions are pure: they take a table's states in two manifests and return the lines of one
//! log entry. Timestamps come from the manifest and not from this machine's clock, so that every
//! process that rolls a log forward writes the same entry (except a new table's random id). `delta`
//! finds which states are missing from a log, and `table_log` puts the entries there.
//!
//! A partition value `x=y` has three encodings: the log's `partitionValues` contains it unchanged,
//! the key of the object contains `x%3Dy`, and the log's `path` is that key encoded again,
//! `x%253Dy`. The action's serializer does the last step.

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use deltalake_core::kernel::{Action, Add, CommitInfo, Metadata, Protocol, Remove, Transaction};
use lakewright_common::error::{Context, Error, Result};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::lake::manifest::{DataFile, Manifest, TableState};

/// Application id of our `txn` actions. The version in such an action is the manifest's version.
pub(super) const APPLICATION: &str = "lakewright";

/// Key of the lake's id in a table's configuration and in a `commitInfo` action.
pub(super) const LAKE_ID: &str = "lakewright.lake_id";

/// Key of the manifest's version in a `commitInfo` action.
pub(super) const MANIFEST_KEY: &str = "lakewright.manifest";
/// Key of the run that committed the manifest, in a `commitInfo` action.
pub(super) const RUN_KEY: &str = "lakewright.run";

/// The change that one manifest made to one table.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) version: u64,
    pub(super) run: Uuid,
    pub(super) committed_at: DateTime<Utc>,
    pub(super) engine: String,
    pub(super) lake_id: Option<Uuid>,
    /// State of the table in the log before the change; `None` for the first change in a log.
    pub(super) before: Option<TableState>,
    pub(super) after: TableState,
}

impl Change {
    /// Creates the change that `manifest` made to a table. `after` is the state after the change.
    /// The state before the change is left empty, and the caller fills it in.
    pub(super) fn new(manifest: &Manifest, after: TableState) -> Self {
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

/// Encodes the change as one log entry, one action per line. `existing` is the log's current
/// metadata, or `None` if the entry is version 0.
///
/// # Errors
/// An internal error if a file is not below its table's folder.
pub(super) fn encode(change: &Change, existing: Option<&Metadata>) -> Result<Bytes> {
    encode_all(&actions(change, existing)?)
}

/// Encodes actions as one log entry.
pub(super) fn encode_all(actions: &[Action]) -> Result<Bytes> {
    let mut lines = Vec::new();
    for action in actions {
        serde_json::to_writer(&mut lines, action).context(|| Error::internal("a Delta action makes no JSON"))?;
        lines.push(b'\n');
    }
    Ok(lines.into())
}

/// Builds the actions of a change, in the order of the protocol's examples: `commitInfo`,
/// `protocol`, `metaData`, `txn`, `remove`, `add`.
pub(super) fn actions(change: &Change, existing: Option<&Metadata>) -> Result<Vec<Action>> {
    let after = &change.after;
    let old_files = change.before.iter().flat_map(|state| &state.files);
    let old_paths: HashSet<&str> = old_files.clone().map(|file| file.written.path.as_str()).collect();
    let new_paths: HashSet<&str> = after.files.iter().map(|file| file.written.path.as_str()).collect();
    let removed: Vec<_> = old_files.filter(|file| !new_paths.contains(file.written.path.as_str())).collect();

    let mut actions = vec![Action::CommitInfo(commit_info(change, existing.is_none(), !removed.is_empty()))];
    if existing.is_none() {
        actions.push(Action::Protocol(lowest_protocol()?));
    }
    // A log that was created before lakes had ids gets the id with the table's next change.
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

/// Builds the `txn` action, which names the manifest that the log has reached.
pub(super) fn transaction(change: &Change) -> Result<Transaction> {
    let updated = Some(change.committed_at.timestamp_millis());
    Ok(Transaction::new_with_last_update(APPLICATION, signed(change.version)?, updated))
}

/// Returns the id of the lake that a log belongs to, or `None` if the table's configuration has no
/// lake id.
pub(super) fn lake_id_of(metadata: &Metadata) -> Option<Uuid> {
    metadata.configuration().get(LAKE_ID).and_then(|id| Uuid::try_parse(id).ok())
}

fn has_same_shape(before: &TableState, after: &TableState) -> bool {
    before.columns.list == after.columns.list && before.partition_by == after.partition_by
}

pub(super) fn commit_info(change: &Change, is_new: bool, removes: bool) -> CommitInfo {
    let operation = if is_new { "CREATE TABLE AS SELECT" } else { "WRITE" };
    let mode = if removes { "Overwrite" } else { "Append" };
    // Spark reads parameters as strings that contain JSON.
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

/// Builds the protocol that every reader supports, without table features.
fn lowest_protocol() -> Result<Protocol> {
    serde_json::from_value(json!({ "minReaderVersion": 1, "minWriterVersion": 2 }))
        .context(|| Error::internal("the Delta protocol action cannot be built"))
}

/// Builds the `metaData` action, with the table's name and schema. An existing table keeps its id.
///
/// Never sets the property `delta.setTransactionRetentionDuration`. With it, readers would ignore
/// an old `txn` action, which names the manifest that the log has reached.
pub(super) fn metadata(change: &Change, existing: Option<&Metadata>) -> Result<Metadata> {
    let configuration = existing.map(|metadata| metadata.configuration().clone()).unwrap_or_default();
    metadata_with(change, existing, configuration.into_iter().collect())
}

/// Builds the `metaData` action like [`metadata`], but with the table properties in `configuration`
/// instead of those in the log. Both functions add the lake's id.
pub(super) fn metadata_with(
    change: &Change,
    existing: Option<&Metadata>,
    mut configuration: BTreeMap<String, String>,
) -> Result<Metadata> {
    let failed = || Error::internal("the Delta metadata action cannot be built");
    let state = &change.after;
    let id = existing.map_or_else(|| Uuid::now_v7().to_string(), |metadata| metadata.id().to_owned());
    let created = existing.map_or(Some(change.committed_at.timestamp_millis()), Metadata::created_time);
    if let Some(id) = change.lake_id {
        // Other properties stay as they are: they may be the user's.
        configuration.insert(LAKE_ID.to_owned(), id.to_string());
    }
    // Built from JSON, because the library builds this action for its own operations only
    // (delta-kernel-rs issue 1055).
    let action = json!({
        "id": id,
        "name": state.name,
        "description": existing.and_then(Metadata::description),
        "format": { "provider": "parquet", "options": {} },
        "schemaString": serde_json::to_string(&state.columns.delta_schema()?).context(failed)?,
        "partitionColumns": state.partition_by,
        "configuration": configuration,
        "createdTime": created,
    });
    serde_json::from_value(action).context(failed)
}

pub(super) fn add(change: &Change, file: &DataFile) -> Result<Add> {
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

/// Returns whether `add`, the action of a live file in a log, has the same size, partition values
/// and statistics as `file`, the file's entry in the manifest.
pub(super) fn is_add_of(add: &Add, file: &DataFile) -> Result<bool> {
    let statistics_of = |text: &str| serde_json::from_str(text).unwrap_or(Value::Null);
    let theirs = add.stats.as_deref().map_or(Value::Null, statistics_of);
    Ok(add.size == signed(file.written.bytes)?
        && add.partition_values == partition_values(file)
        && is_same_statistic(&theirs, &statistics_of(&statistics(file))))
}

/// Returns whether two statistics are equal apart from their notation. The library may have decoded
/// and encoded `theirs` again. This can change the number of decimals of a timestamp or the
/// notation of a number, and can leave out a member without a value.
fn is_same_statistic(theirs: &Value, ours: &Value) -> bool {
    match (theirs, ours) {
        (Value::Object(theirs), Value::Object(ours)) => {
            let names: HashSet<&String> = theirs.keys().chain(ours.keys()).collect();
            names.into_iter().all(|name| {
                let of = |members: &Map<String, Value>| members.get(name).cloned().unwrap_or(Value::Null);
                is_same_statistic(&of(theirs), &of(ours))
            })
        }
        // A struct of only nulls may be left out.
        (Value::Null, Value::Object(members)) | (Value::Object(members), Value::Null) => {
            members.values().all(|member| is_same_statistic(member, &Value::Null))
        }
        (Value::Number(theirs), Value::Number(ours)) => theirs == ours || theirs.as_f64() == ours.as_f64(),
        (Value::String(theirs), Value::String(ours)) => {
            let moment = |text: &str| DateTime::parse_from_rfc3339(text).ok();
            theirs == ours || moment(theirs).is_some_and(|theirs| moment(ours) == Some(theirs))
        }
        // Decimals are numbers for some writers and texts for others.
        (Value::Number(number), Value::String(text)) | (Value::String(text), Value::Number(number)) => {
            text.parse().ok() == number.as_f64()
        }
        _ => theirs == ours,
    }
}

/// Builds the `remove` action with all optional fields, because some readers need them.
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

/// Returns a file's key relative to the table's folder, encoded as on storage. The action's
/// serializer encodes it once more.
pub(super) fn path_in_table(table: &str, file: &DataFile) -> Result<String> {
    let path = &file.written.path;
    let below = path.strip_prefix(table).and_then(|rest| rest.strip_prefix('/'));
    below.map(str::to_owned).ok_or_else(|| Error::internal(format!("`{path}` is no file of table `{table}`")))
}

fn partition_values(file: &DataFile) -> HashMap<String, Option<String>> {
    file.written.partition_values.clone().into_iter().collect()
}

/// Returns the protocol's "Per-file Statistics" of a file as JSON text.
fn statistics(file: &DataFile) -> String {
    let (mut min, mut max, mut nulls) = (Map::new(), Map::new(), Map::new());
    // A partition column has one value in a file, which is in `partitionValues`.
    let stored = |column: &str| !file.written.partition_values.contains_key(column);
    for column in file.written.statistics.iter().filter(|statistics| stored(&statistics.column)) {
        nulls.insert(column.column.clone(), column.null_count.into());
        // Write both bounds or neither, because readers that use one of them expect the other.
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
