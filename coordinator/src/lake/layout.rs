//! The layout of a lake: the keys of its objects and folders, except the Parquet files of tables,
//! staging and quarantine. The tasks that write these files choose their keys and report them.

use lakewright_common::storage::Storage;
use object_store::path::Path;
use uuid::Uuid;

/// Path below the root of a lake. For tables, staging and quarantine, there are variants for the
/// folders but not for the Parquet files: the task that writes such a file chooses its key and
/// reports the key.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LakePath<'a> {
    /// `_lake/`
    Lake,
    /// `_lake/manifest/`
    Manifests,
    /// `_lake/manifest/<20 digits>.json`
    Manifest(u64),
    /// `_lake/staging/<source>/`
    Staging(&'a str),
    /// `_lake/quarantine/<source>/`
    Quarantine(&'a str),
    /// `_lake/ledger/<source>/<20 digits>-<run>.parquet`
    Ledger { source: &'a str, version: u64, run: Uuid },
    /// `_lake/consistent/`
    ConsistentVersions,
    /// `_lake/consistent/<n>.json`
    Consistent(u64),
    /// `_lake/consistent/latest`
    ConsistentLatest,
    /// `<table>/`
    Table(&'a str),
    /// `<table>/_delta_log/`
    DeltaLog(&'a str),
    /// `<table>/_delta_log/<20 digits>.json`
    DeltaCommit { table: &'a str, version: u64 },
    /// `<table>/_delta_log/<20 digits>.checkpoint.parquet`
    DeltaCheckpoint { table: &'a str, version: u64 },
    /// `<table>/_delta_log/_last_checkpoint`
    DeltaLastCheckpoint(&'a str),
}

impl LakePath<'_> {
    /// Returns the key of the object or folder, relative to the lake's root.
    pub(crate) fn key(self) -> Path {
        let key = match self {
            Self::Lake => "_lake".to_owned(),
            Self::Manifests => "_lake/manifest".to_owned(),
            Self::Manifest(version) => format!("_lake/manifest/{version:020}.json"),
            Self::Staging(source) => format!("_lake/staging/{source}"),
            Self::Quarantine(source) => format!("_lake/quarantine/{source}"),
            Self::Ledger { source, version, run } => format!("_lake/ledger/{source}/{version:020}-{run}.parquet"),
            Self::ConsistentVersions => "_lake/consistent".to_owned(),
            Self::Consistent(version) => format!("_lake/consistent/{version}.json"),
            Self::ConsistentLatest => "_lake/consistent/latest".to_owned(),
            Self::Table(table) => table.to_owned(),
            Self::DeltaLog(table) => format!("{table}/_delta_log"),
            Self::DeltaCommit { table, version } => format!("{table}/_delta_log/{version:020}.json"),
            Self::DeltaCheckpoint { table, version } => {
                format!("{table}/_delta_log/{version:020}.checkpoint.parquet")
            }
            Self::DeltaLastCheckpoint(table) => format!("{table}/_delta_log/_last_checkpoint"),
        };
        // None of these need percent-encoding: the names of sources and tables are restricted to
        // plain characters.
        Path::from(key)
    }
}

/// Returns the version in a manifest's key; `None` if the file name is not that of a manifest.
pub(crate) fn version_of(key: &Path) -> Option<u64> {
    let digits = key.filename()?.strip_suffix(".json")?;
    // Require 20 digits, because `7.json` would be a second key of version 7.
    let is_number = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

/// Returns the URL of a key, for messages.
pub(crate) fn url_of(lake: &Storage, key: &Path) -> String {
    format!("{}{key}", lake.root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_known_by_its_name_alone() {
        assert_eq!(version_of(&LakePath::Manifest(7).key()), Some(7));
        for other in ["_lake/manifest/7.json", "_lake/manifest/0000000000000000000x.json", "_lake/manifest/x"] {
            assert_eq!(version_of(&Path::from(other)), None, "{other}");
        }
    }
}
