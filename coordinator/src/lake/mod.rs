//! ⑧⑨ The result of a run on storage: one manifest that makes everything visible, and the Delta
//! logs that repeat its content.
//!
//! ```text
//! <lake>/
//!   songplays/                                  a table …
//!     year=2018/month=11/<run>-0-<uuid>.parquet   … its files, which manifest 7 or older ones name
//!     _delta_log/00000000000000000003.json        … and its Delta log, rolled forward from the manifests
//!   _lake/
//!     manifest/00000000000000000007.json        ⑧ the commit: created only if absent
//!     staging/events/<file>.parquet               the typed copy of a source
//!     quarantine/events/<file>.parquet            rejected records
//!     ledger/events/00000000000000000007-<run>.parquet   objects that version 7 ingested
//!     consistent/7.json                         ⑨ Delta version of each table at manifest 7
//!     consistent/latest                           the newest of these documents
//! ```
//!
//! A commit has these steps: write the ledger, sync every new file, put the manifest, put version
//! N+1 of each Delta log (dimensions first), put the consistent document. The process may be killed
//! at any step. Nothing is visible before the manifest is put, and everything is visible
//! afterwards. If the process is killed between the manifest and the last step, the next run or
//! query completes the remaining steps.
//!
//! One value followed through: run `0193…` writes `songs/year=2000/0193…-0-….parquet`; manifest 7
//! names it with `added_in: 7`; version 3 of `songs/_delta_log` adds it and says `txn lakewright
//! 7`; `consistent/7.json` says `songs: 3`.

/// Keys of the objects of a lake.
mod layout;
/// Columns with stable ids, and their conversion to and from Arrow and Delta.
pub(crate) mod column;
/// JSON documents that end with their own digest.
mod seal;
/// The document that describes one version of the lake.
pub(crate) mod manifest;
/// ⑧ Writing and reading manifests.
pub(crate) mod manifest_store;
/// The objects that each commit ingested.
pub(crate) mod ledger;
/// ⑨ Delta logs for other engines, and the Delta version of each table at one manifest.
pub(crate) mod publish;
/// The newest version that has all its files, for an error message.
pub(crate) mod intact;
/// Files that no kept version needs.
pub(crate) mod garbage;
/// Verification of the files of one version.
pub(crate) mod verify;

pub(crate) use layout::{LakePath, url_of, version_of};

#[cfg(test)]
pub(crate) mod fixture;
