//! One commit of a table's Delta log on storage: which program made it, and what it changes.
//!
//! An entry of this program names its manifest and run in `commitInfo`, and repeats the manifest's
//! version in a `txn` action. Every other entry belongs to another program: an `OPTIMIZE` of Spark,
//! a `DELETE` of deltalake, a new `CHECK` constraint. Such an entry may leave the table unchanged
//! (an empty commit, the two entries that Spark's `VACUUM` writes, a `RESTORE` to the same state).
//! `are_harmless` checks this.

use std::collections::{HashMap, HashSet};

use deltalake_core::kernel::{Metadata, Protocol};
use lakewright_common::error::{Context, Error, Result};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::actions::{APPLICATION, LAKE_ID, MANIFEST_KEY, RUN_KEY};
use crate::lake::manifest::TableState;

/// Number of characters to which a text from the log is shortened in messages.
const SHOWN: usize = 80;
/// Table properties of Delta that do not restrict a writer. Any other property whose name starts
/// with `delta.` counts as a change of the table.
const HARMLESS_PROPERTIES: &[&str] = &[
    "delta.checkpointInterval",
    "delta.dataSkippingNumIndexedCols",
    "delta.dataSkippingStatsColumns",
    "delta.deletedFileRetentionDuration",
    "delta.enableExpiredLogCleanup",
    "delta.logRetentionDuration",
    "delta.targetFileSize",
];

/// One commit of a Delta log.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) version: u64,
    /// Manifest and run of an entry of this program; `None` for a commit of another program.
    pub(super) own: Option<Own>,
    /// Program that made the commit, with its version, such as
    /// `Apache-Spark/3.5.3 Delta-Lake/3.2.1`.
    program: Option<String>,
    user: Option<String>,
    /// Operation, such as `DELETE`.
    operation: Option<String>,
    /// Files that are added or removed, in the order of the entry.
    files: Vec<FileChange>,
    metadata: Option<Metadata>,
    protocol: Option<Protocol>,
    /// Whether the entry has an action that this program does not know, or has a `txn` action of
    /// this program although another program made the commit.
    has_unknown: bool,
}

/// Manifest and run that are named in a log entry which Lakewright wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Own {
    pub(super) manifest: u64,
    pub(super) run: Uuid,
}

#[derive(Debug)]
struct FileChange {
    /// Key of the file, relative to the table's folder.
    path: String,
    /// `true` if the entry adds the file, `false` if it removes the file.
    is_live: bool,
    has_deletion_vector: bool,
}

impl Entry {
    /// Parses the actions of one commit, one JSON object per line.
    ///
    /// # Errors
    /// A storage error if a line is not an action. The caller adds the name of the file.
    pub(super) fn parse(version: u64, bytes: &[u8]) -> Result<Self> {
        let damaged = || Error::storage_failure("the entry is damaged");
        let text = std::str::from_utf8(bytes).context(damaged)?;
        let mut entry = Self { version, ..Self::default() };
        let (mut claimed, mut transaction) = (None, None);
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let action: Map<String, Value> = serde_json::from_str(line).context(damaged)?;
            for (name, action) in action {
                match name.as_str() {
                    "commitInfo" => {
                        claimed = claim(&action);
                        entry.describe(&action);
                    }
                    // Other programs may have transactions of their own, which do not concern us.
                    "txn" if action["appId"] == APPLICATION => transaction = action["version"].as_u64(),
                    "txn" => {}
                    "add" => entry.files.push(file_change(&action, true).ok_or_else(damaged)?),
                    "remove" => entry.files.push(file_change(&action, false).ok_or_else(damaged)?),
                    "metaData" => entry.metadata = Some(typed(action)?),
                    "protocol" => entry.protocol = Some(typed(action)?),
                    _ => entry.has_unknown = true,
                }
            }
        }
        // Only `commitInfo` and `txn` together make an entry ours: another program could copy
        // either.
        entry.own = claimed.filter(|own| transaction == Some(own.manifest));
        entry.has_unknown |= entry.own.is_none() && transaction.is_some();
        Ok(entry)
    }

    fn describe(&mut self, info: &Value) {
        // Text of other programs goes into messages, so shorten it and remove control characters.
        let text = |key: &str| info[key].as_str().map(shown);
        self.program = text("engineInfo").or_else(|| text("clientVersion"));
        self.user = text("userName").or_else(|| text("userId"));
        self.operation = text("operation");
    }

    /// Describes the commit for a message: version, operation, program and user.
    pub(super) fn description(&self) -> String {
        let mut text = format!("version {}", self.version);
        if let Some(operation) = &self.operation {
            text.push_str(&format!(", {operation}"));
        }
        text.push_str(&format!(", by {}", self.program.as_deref().unwrap_or("a program without a name")));
        if let Some(user) = &self.user {
            text.push_str(&format!(" for user {user}"));
        }
        text
    }
}

/// Returns whether a table still equals `state` after `commits` of other programs, oldest first. To
/// be equal, the table must have the same live files without deletion vectors, the same columns, no
/// property that restricts a writer, and the lowest protocol.
pub(super) fn are_harmless(commits: &[Entry], state: &TableState) -> bool {
    let folder = format!("{}/", state.name);
    let ours: HashSet<&str> =
        state.files.iter().filter_map(|file| file.written.path.strip_prefix(folder.as_str())).collect();
    let last: HashMap<&str, &FileChange> =
        // Only the last change of each file counts. `collect` keeps the last of equal keys.
        commits.iter().flat_map(|commit| &commit.files).map(|change| (change.path.as_str(), change)).collect();
    let same_files = last
        .iter()
        .all(|(path, last)| last.is_live == ours.contains(path) && !(last.is_live && last.has_deletion_vector));
    let last_metadata = commits.iter().rev().find_map(|commit| commit.metadata.as_ref());
    same_files
        && last_metadata.is_none_or(|metadata| is_metadata_of(metadata, state))
        && commits.iter().all(|commit| !commit.has_unknown && commit.protocol.as_ref().is_none_or(is_lowest))
}

/// Returns whether a log's metadata has the same columns and partition columns as `state`, and no
/// property that restricts a writer.
pub(super) fn is_metadata_of(metadata: &Metadata, state: &TableState) -> bool {
    let has_same_columns = match (metadata.parse_schema(), state.columns.delta_schema()) {
        (Ok(theirs), Ok(ours)) => theirs == ours,
        _ => false,
    };
    has_same_columns
        && metadata.partition_columns() == state.partition_by
        && metadata.format_provider() == "parquet"
        && metadata.configuration().keys().all(|key| is_harmless_property(key))
}

/// Returns whether a table property can stay when a log is made equal to a manifest.
pub(super) fn is_harmless_property(key: &str) -> bool {
    !key.starts_with("delta.") || HARMLESS_PROPERTIES.contains(&key)
}

/// Returns whether every reader and writer supports the protocol: reader 1, writer 2, no features.
pub(super) fn is_lowest(protocol: &Protocol) -> bool {
    protocol.min_reader_version() <= 1 && protocol.min_writer_version() <= 2
}

/// Returns whether this program can add an entry to a log with this protocol: the protocol has no
/// features, and this program's entries meet all requirements of its version.
pub(super) fn is_writable(protocol: &Protocol) -> bool {
    let features = [protocol.reader_features(), protocol.writer_features()];
    let has_features = features.into_iter().flatten().any(|features| !features.is_empty());
    !has_features && protocol.min_reader_version() <= 2 && protocol.min_writer_version() <= 6
}

/// Returns the id of the lake that an entry belongs to, or `None` if the first line of `bytes` has
/// no id.
pub(super) fn lake_id_in(bytes: &[u8]) -> Option<Uuid> {
    let line = bytes.split(|byte| *byte == b'\n').next()?;
    let action: Value = serde_json::from_slice(line).ok()?;
    Uuid::try_parse(action["commitInfo"][LAKE_ID].as_str()?).ok()
}

fn claim(info: &Value) -> Option<Own> {
    let run = info[RUN_KEY].as_str().and_then(|run| Uuid::try_parse(run).ok())?;
    Some(Own { manifest: info[MANIFEST_KEY].as_u64()?, run })
}

fn file_change(action: &Value, is_live: bool) -> Option<FileChange> {
    // Paths in a log are percent-encoded once more than keys, so decode them once.
    let path = percent_decode_str(action["path"].as_str()?).decode_utf8().ok()?.into_owned();
    Some(FileChange { path, is_live, has_deletion_vector: !action["deletionVector"].is_null() })
}

fn typed<T: DeserializeOwned>(action: Value) -> Result<T> {
    serde_json::from_value(action).context(|| Error::storage_failure("the entry is damaged"))
}

/// Prepares a text of another program for a message: shortens it, removes control characters and
/// backticks, and puts it in backticks.
fn shown(text: &str) -> String {
    let plain = text.chars().filter(|c| !c.is_control() && *c != '`').take(SHOWN);
    format!("`{}`", plain.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::super::actions;
    use super::*;
    use crate::lake::fixture;

    fn state() -> TableState {
        fixture::manifest(7, &[("songs", &["year=x%3Dy/a", "b"])]).tables.remove(0)
    }

    fn entry(version: u64, text: &str) -> Entry {
        Entry::parse(version, text.as_bytes()).unwrap()
    }

    /// Checks commits of deltalake and Spark: some leave the table as the manifest describes it,
    /// and others do not.
    #[test]
    fn commits_that_change_the_table_are_distinguished_from_those_that_do_not() {
        let removed = r#"{"remove":{"path":"b","dataChange":true,"deletionTimestamp":1}}"#;
        let added = |path: &str| {
            format!(
                r#"{{"add":{{"path":"{path}","partitionValues":{{}},"size":4,"modificationTime":1,"dataChange":true}}}}"#
            )
        };
        let with_vector = r#"{"add":{"path":"b","partitionValues":{},"size":4,"modificationTime":1,"dataChange":true,"deletionVector":{"storageType":"i","pathOrInlineDv":"x","sizeInBytes":1,"cardinality":1}}}"#;
        let schema = serde_json::to_string(&state().columns.delta_schema().unwrap()).unwrap();
        let metadata = |columns: &str, partition_by: &str, configuration: &str| {
            let schema = Value::from(columns).to_string();
            format!(
                r#"{{"metaData":{{"id":"x","format":{{"provider":"parquet","options":{{}}}},"schemaString":{schema},"partitionColumns":[{partition_by}],"configuration":{{{configuration}}}}}}}"#
            )
        };
        let commit = r#"{"commitInfo":{"operation":"X","engineInfo":"other"}}"#.to_owned();
        let year = "\"year\"";
        for (name, entries, is_harmless) in [
            ("an empty commit", vec![commit.clone()], true),
            ("another program's transaction", vec![r#"{"txn":{"appId":"stream","version":4}}"#.to_owned()], true),
            ("our transaction", vec![r#"{"txn":{"appId":"lakewright","version":9}}"#.to_owned()], false),
            ("an append", vec![added("c")], false),
            ("a deletion", vec![removed.to_owned()], false),
            ("a deletion that is taken back", vec![removed.to_owned(), added("b")], true),
            ("an append that is taken back", vec![added("c"), removed.replace("\"b\"", "\"c\"")], true),
            ("statistics computed again", vec![added("year=x%253Dy/a")], true),
            ("a deletion vector", vec![with_vector.to_owned()], false),
            ("a property of no matter", vec![metadata(&schema, year, r#""delta.logRetentionDuration":"interval 1 day","team":"a""#)], true),
            ("a constraint", vec![metadata(&schema, year, r#""delta.constraints.c":"title > ''""#)], false),
            ("an append-only table", vec![metadata(&schema, year, r#""delta.appendOnly":"true""#)], false),
            ("a constraint that is taken back", vec![metadata(&schema, year, r#""delta.constraints.c":"x""#), metadata(&schema, year, "")], true),
            ("other partition columns", vec![metadata(&schema, "", "")], false),
            ("one more column", vec![metadata(&schema.replacen("\"fields\":[", r#""fields":[{"name":"n","type":"long","nullable":true,"metadata":{}},"#, 1), year, "")], false),
            ("the lowest protocol", vec![r#"{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}"#.to_owned()], true),
            ("another protocol", vec![r#"{"protocol":{"minReaderVersion":1,"minWriterVersion":3}}"#.to_owned()], false),
            ("table features", vec![r#"{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["deletionVectors"],"writerFeatures":["deletionVectors"]}}"#.to_owned()], false),
            ("an action that is not known", vec![r#"{"domainMetadata":{"domain":"d","configuration":"","removed":false}}"#.to_owned()], false),
        ] {
            let entries: Vec<_> = (3..).zip(&entries).map(|(version, text)| entry(version, text)).collect();
            assert_eq!(are_harmless(&entries, &state()), is_harmless, "{name}");
            assert!(entries.iter().all(|entry| entry.own.is_none()), "{name}");
        }
    }

    #[test]
    fn an_entry_of_ours_is_known_by_its_manifest_and_run() {
        let manifest = fixture::manifest(7, &[("songs", &["b"])]);
        let change = actions::Change::new(&manifest, manifest.tables[0].clone());
        let bytes = actions::encode(&change, None).unwrap();
        let own = Entry::parse(0, &bytes).unwrap().own;
        assert_eq!(own, Some(Own { manifest: 7, run: manifest.run }));
        assert_eq!(lake_id_in(&bytes), manifest.lake_id);
        assert_eq!(lake_id_in(&bytes[..50]), None);
        // A copy of our entry with another `txn` version is not ours.
        let text = String::from_utf8(bytes.to_vec()).unwrap().replace("\"version\":7", "\"version\":8");
        assert_eq!(entry(0, &text).own, None);
    }

    #[test]
    fn a_commit_is_named_by_version_operation_program_and_user() {
        let named = |text: &str| entry(3, text).description();
        let spark =
            r#"{"commitInfo":{"operation":"OPTIMIZE","engineInfo":"Apache-Spark/3.5\u001b[1m","userName":"ann`"}}"#;
        assert_eq!(named(spark), "version 3, `OPTIMIZE`, by `Apache-Spark/3.5[1m` for user `ann`");
        assert_eq!(
            named(r#"{"commitInfo":{"operation":"DELETE","clientVersion":"delta-rs.1"}}"#),
            "version 3, `DELETE`, by `delta-rs.1`"
        );
        assert_eq!(named(r#"{"add":{"path":"x"}}"#), "version 3, by a program without a name");
        assert!(Entry::parse(3, b"{\"add\": {").is_err());
    }
}
