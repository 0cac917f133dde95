//! ⑧⑨ What a run leaves behind: one manifest that makes all of it visible, then the Delta logs that say it again.
//!
//! ```text
//! <lake>/
//!   songplays/                                  a table …
//!     year=2018/month=11/<run>-0-<uuid>.parquet   … its files, of this manifest and of older ones
//!     _delta_log/00000000000000000003.json        … and its Delta log, rolled forward from the manifests
//!   _lake/
//!     manifest/00000000000000000007.json        ⑧ the commit: created only if absent
//!     staging/events/<file>.parquet               the typed copy of a source
//!     quarantine/events/<file>.parquet            what could not be read
//!     ledger/events/00000000000000000007-<run>.parquet   which objects commit 7 took in
//!     consistent/7.json                         ⑨ every table's Delta version at manifest 7
//!     consistent/latest                           the newest of these
//! ```
//!
//! The steps of a commit, each of which may be the last one of a process: write the ledger, sync every new file, put
//! the manifest, put version N+1 of each Delta log (dimensions first), put the consistent document. Before the
//! manifest's put nothing is visible, after it everything is; what follows is done again by whoever comes next.
//!
//! One value followed through: run `0193…` writes `songs/year=2000/0193…-0-….parquet`; manifest 7 names it with
//! `added_in: 7`; version 3 of `songs/_delta_log` adds it and says `txn lakewright 7`; `consistent/7.json` says
//! `songs: 3`.

use lakewright_common::storage::Storage;
use object_store::path::Path;
use uuid::Uuid;

/// Columns with stable ids; to and from Arrow and Delta.
pub(crate) mod column;
/// A document that ends with its own digest.
mod seal;
/// The document that is a version of the lake.
pub(crate) mod manifest;
/// ⑧ Putting a manifest, and getting one back.
pub(crate) mod store;
/// Which objects each commit took in.
pub(crate) mod ledger;
/// From one state of a table to the next as the actions of one Delta commit.
pub(crate) mod actions;
/// One table's Delta log: how far it is, one more version, a checkpoint.
pub(crate) mod table_log;
/// One commit of a Delta log: ours or another program's, and what it changes.
pub(crate) mod log_entry;
/// The manifests that logs are rolled forward from and compared with.
pub(crate) mod history;
/// Whether a log is of this lake, and nobody else changed its table.
pub(crate) mod standing;
/// ⑨ Every table's Delta log brought up to a manifest.
pub(crate) mod delta;
/// A log made equal to the newest manifest again.
pub(crate) mod overwrite;
/// Which version is whole, where a file is missing.
pub(crate) mod intact;
/// What no version needs any more.
pub(crate) mod garbage;
/// Whether the files of a version are as they were written.
pub(crate) mod verify;
/// ⑨ Every table's Delta version at one manifest.
pub(crate) mod consistent;

/// Every point of a commit at which a test kills the process, in the order in which a run reaches them; each is
/// named for the step that it precedes or follows.
#[cfg_attr(not(test), allow(dead_code, reason = "a list for the tests that kill the process"))]
pub(crate) const FAIL_POINTS: &[&str] = &[
    "ledger.before_write",
    "ledger.after_write",
    "commit.before_sync",
    "commit.before_manifest",
    "commit.after_manifest",
    "delta.before_log",
    "delta.after_log",
    "delta.before_checkpoint",
    "delta.after_checkpoint",
    "consistent.before_put",
    "consistent.before_latest",
    "consistent.after_latest",
];

/// Every place under a lake's root. Table data is not here: a file's key is in its report, and below
/// [`Place::Table`].
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'a> {
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
    Ledger { source: &'a str, number: u64, run: Uuid },
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

impl Place<'_> {
    /// The key, relative to the lake's root; for a folder its prefix.
    pub(crate) fn key(self) -> Path {
        let key = match self {
            Self::Lake => "_lake".to_owned(),
            Self::Manifests => "_lake/manifest".to_owned(),
            Self::Manifest(number) => format!("_lake/manifest/{number:020}.json"),
            Self::Staging(source) => format!("_lake/staging/{source}"),
            Self::Quarantine(source) => format!("_lake/quarantine/{source}"),
            Self::Ledger { source, number, run } => format!("_lake/ledger/{source}/{number:020}-{run}.parquet"),
            Self::Consistent(number) => format!("_lake/consistent/{number}.json"),
            Self::ConsistentLatest => "_lake/consistent/latest".to_owned(),
            Self::Table(table) => table.to_owned(),
            Self::DeltaLog(table) => format!("{table}/_delta_log"),
            Self::DeltaCommit { table, version } => format!("{table}/_delta_log/{version:020}.json"),
            Self::DeltaCheckpoint { table, version } => {
                format!("{table}/_delta_log/{version:020}.checkpoint.parquet")
            }
            Self::DeltaLastCheckpoint(table) => format!("{table}/_delta_log/_last_checkpoint"),
        };
        Path::from(key)
    }
}

/// The number in a manifest's key; `None` for anything else that lies in that folder.
pub(crate) fn manifest_number(key: &Path) -> Option<u64> {
    let digits = key.filename()?.strip_suffix(".json")?;
    let is_number = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

/// A key as a message shows it: the whole URL.
pub(crate) fn url_of(lake: &Storage, key: &Path) -> String {
    format!("{}{key}", lake.root)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
pub(crate) mod fixture;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_known_by_its_name_alone() {
        assert_eq!(manifest_number(&Place::Manifest(7).key()), Some(7));
        for other in ["_lake/manifest/7.json", "_lake/manifest/0000000000000000000x.json", "_lake/manifest/x"] {
            assert_eq!(manifest_number(&Path::from(other)), None, "{other}");
        }
    }

    #[test]
    fn every_fail_point_is_reached_and_every_one_reached_is_listed() {
        let sources = [
            include_str!("ledger.rs"),
            include_str!("store.rs"),
            include_str!("delta.rs"),
            include_str!("consistent.rs"),
        ];
        let reached: Vec<&str> = sources
            .iter()
            .flat_map(|source| source.split("reach(\"").skip(1))
            .map(|rest| rest.split('"').next().unwrap())
            .collect();
        assert_eq!(reached, FAIL_POINTS);
    }
}
