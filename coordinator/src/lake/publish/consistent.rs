//! ⑨ Delta versions of all tables at one manifest, for readers that pin versions (`VERSION AS OF`).
//!
//! Delta commits one table at a time, so a reader that reads the newest version of each table may
//! for a moment see new dimensions with old facts. Once every log is rolled forward to manifest n,
//! `_lake/consistent/<n>.json` names the versions that belong together. `_lake/consistent/latest`
//! has the same text as the newest of these documents.
//!
//! A document also has the digest of each log entry that it names. The digest is computed once,
//! when the entry is first published, and copied into later documents. Computing it again would
//! approve an entry that was damaged in the meantime. Before entries of a log are written again,
//! `withdraw` corrects the documents that name these entries.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::TryStreamExt;
use lakewright_common::digest::Digest;
use lakewright_common::error::{Context, Error, Result};
use lakewright_common::process::failpoint::{self, FailPoint};
use lakewright_common::storage::{PutOutcome, Storage};
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStoreExt};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::lake::manifest::Manifest;
use crate::lake::{LakePath, manifest_store, seal, url_of};

/// A consistent document: the Delta version of each table at one manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Consistent {
    pub(crate) manifest: u64,
    /// Run that committed the manifest. `None` if an older program version wrote the document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) run: Option<Uuid>,
    pub(crate) tables: BTreeMap<String, TableVersion>,
}

/// Delta version of one table at one manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TableVersion {
    /// The table's folder, relative to the lake's root.
    pub(crate) path: String,
    /// Version of the table's Delta log.
    pub(crate) version: u64,
    /// Digest of the log entry of that version. `None` if no digest was published, for example by
    /// an older program version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<Digest>,
}

/// Result of reading a document from storage.
pub(crate) enum Stored {
    Missing,
    Damaged(String),
    Whole(Consistent),
}

impl TableVersion {
    /// Returns whether `found`, the digest of a log entry on storage, equals the published digest.
    /// Also `true` if there is no published digest, or if this program does not know its algorithm.
    pub(crate) fn allows(&self, found: &Digest) -> bool {
        self.digest.as_ref().is_none_or(|digest| !digest.is_supported() || digest == found)
    }
}

impl Consistent {
    /// Returns whether the document belongs to `manifest`, and not to another manifest that had the
    /// same version before.
    pub(crate) fn is_of(&self, manifest: &Manifest) -> bool {
        self.manifest == manifest.version && self.run.is_none_or(|run| run == manifest.run)
    }

    /// Returns a table's Delta version; `None` for a table that the manifest does not have.
    #[cfg(test)]
    pub(crate) fn version(&self, table: &str) -> Option<u64> {
        self.tables.get(table).map(|table| table.version)
    }
}

/// Publishes `versions`, the Delta versions of the tables after the roll-forward to `manifest`.
/// Does nothing if a table of the manifest has no version there: either its log could not be rolled
/// forward, or another process is ahead and publishes a newer document.
pub(crate) async fn publish(lake: &Storage, manifest: &Manifest, versions: &BTreeMap<String, u64>) -> Result<()> {
    if manifest.tables.iter().any(|table| !versions.contains_key(&table.name)) {
        return Ok(());
    }
    let published = latest(lake).await?;
    if let Some(published) = &published
        && is_newer(lake, published, manifest).await?
    {
        return Ok(());
    }
    let mut tables = BTreeMap::new();
    for (name, version) in versions {
        let before = published.as_ref().and_then(|published| published.tables.get(name));
        // Reuse the published digest. Computing it again would approve an entry that was damaged
        // since.
        let known = before.filter(|before| before.version == *version).and_then(|before| before.digest.clone());
        let digest = match known {
            Some(digest) => Some(digest),
            None => entry_digest(lake, name, *version).await,
        };
        let path = LakePath::Table(name).key().to_string();
        tables.insert(name.clone(), TableVersion { path, version: *version, digest });
    }
    let document = Consistent { manifest: manifest.version, run: Some(manifest.run), tables };
    // The same versions are already published, for example because `coordinator publish` was run
    // twice.
    if published.as_ref() == Some(&document) {
        return Ok(());
    }
    let text = encode(&document)?;
    failpoint::reach(FailPoint::ConsistentBeforePut);
    let key = LakePath::Consistent(manifest.version).key();
    let outcome = lake.put_if_absent(&key, text.clone()).await?;
    // The existing document may belong to a manifest that was deleted, or name fewer tables.
    // Replace it only if it differs.
    if outcome == PutOutcome::Exists && read(lake, &key).await?.is_none_or(|there| there != document) {
        put(lake, &key, text.clone()).await?;
    }
    failpoint::reach(FailPoint::ConsistentBeforeLatest);
    // Two processes at once may leave the older document as the latest until the next commit. It is
    // consistent too.
    put(lake, &LakePath::ConsistentLatest.key(), text).await?;
    failpoint::reach(FailPoint::ConsistentAfterLatest);
    Ok(())
}

/// Corrects every document that names a void Delta version of a table. A version is void if its log
/// entry is damaged or will be written again; `is_void` decides this.
///
/// `version_of` takes a version of the lake and returns the table's new Delta version. If it
/// returns `Some`, the document names the new version, without a digest until [`complete_digests`]
/// computes one. If it returns `None`, the table is removed from the document.
///
/// # Errors
/// A storage error.
pub(crate) async fn withdraw(
    lake: &Storage,
    table: &str,
    is_void: impl Fn(&TableVersion) -> bool,
    version_of: impl Fn(u64) -> Option<u64>,
) -> Result<()> {
    for (key, mut document) in all(lake).await? {
        let Some(void) = document.tables.get(table).filter(|version| is_void(version)).cloned() else { continue };
        let replacement =
            version_of(document.manifest).map(|version| TableVersion { version, digest: None, ..void.clone() });
        match replacement {
            Some(at) if at == void => continue,
            Some(at) => drop(document.tables.insert(table.to_owned(), at)),
            None => drop(document.tables.remove(table)),
        }
        // Documents are written one after the other: a crash in between leaves documents that name
        // fewer versions, but no document that names a wrong one.
        put(lake, &key, encode(&document)?).await?;
    }
    Ok(())
}

/// Finds the documents that name a log entry of a table without its digest, computes the digest,
/// and adds it to the document.
///
/// # Errors
/// A storage error.
pub(crate) async fn complete_digests(lake: &Storage, table: &str) -> Result<()> {
    for (key, mut document) in all(lake).await? {
        let Some(at) = document.tables.get_mut(table).filter(|at| at.digest.is_none()) else { continue };
        at.digest = entry_digest(lake, table, at.version).await;
        if at.digest.is_some() {
            put(lake, &key, encode(&document)?).await?;
        }
    }
    Ok(())
}

/// Compares a table's log entries with the digests that were published with them. Returns the
/// versions of the entries that are missing or have another digest.
///
/// # Errors
/// A storage error.
pub(crate) async fn damaged_versions(lake: &Storage, table: &str) -> Result<Vec<TableVersion>> {
    let mut seen = BTreeMap::new();
    for (_, document) in all(lake).await? {
        let Some(at) = document.tables.get(table).filter(|at| at.digest.is_some()) else { continue };
        // Many documents name the same log entry, so read each entry only once.
        seen.entry((at.version, at.digest.as_ref().map(ToString::to_string))).or_insert_with(|| at.clone());
    }
    let mut damaged = Vec::new();
    for at in seen.into_values() {
        let found = lake.digest_of(&LakePath::DeltaCommit { table, version: at.version }.key()).await?;
        if found.is_none_or(|(_, digest)| !at.allows(&digest)) {
            damaged.push(at);
        }
    }
    Ok(damaged)
}

/// Returns whether `published` belongs to a manifest that is newer than `manifest` and still
/// exists. A newer manifest may have been deleted after it was published.
async fn is_newer(lake: &Storage, published: &Consistent, manifest: &Manifest) -> Result<bool> {
    if published.manifest <= manifest.version {
        return Ok(false);
    }
    Ok(manifest_store::get(lake, published.manifest).await?.is_some_and(|newer| published.is_of(&newer)))
}

/// Reads the document of the newest published manifest. Returns `None` if no manifest was published
/// yet.
pub(crate) async fn latest(lake: &Storage) -> Result<Option<Consistent>> {
    read(lake, &LakePath::ConsistentLatest.key()).await
}

/// Reads the document of one manifest. Returns `None` if that manifest was never published, for
/// example because a newer one was published first.
pub(crate) async fn at(lake: &Storage, manifest: &Manifest) -> Result<Option<Consistent>> {
    let published = read(lake, &LakePath::Consistent(manifest.version).key()).await?;
    Ok(published.filter(|published| published.is_of(manifest)))
}

/// Reads all undamaged documents, with their keys.
async fn all(lake: &Storage) -> Result<Vec<(Path, Consistent)>> {
    let folder = LakePath::ConsistentVersions.key();
    let objects: Vec<_> =
        lake.store.list(Some(&folder)).try_collect().await.storage_context("list", || url_of(lake, &folder))?;
    let mut documents = Vec::new();
    for object in objects {
        if let Some(document) = read(lake, &object.location).await? {
            documents.push((object.location, document));
        }
    }
    Ok(documents)
}

async fn read(lake: &Storage, key: &Path) -> Result<Option<Consistent>> {
    match stored(lake, key).await? {
        Stored::Whole(document) => Ok(Some(document)),
        // The logs have the same information, so a damaged document counts as missing.
        Stored::Missing | Stored::Damaged(_) => Ok(None),
    }
}

/// Reads the document at `key`.
///
/// # Errors
/// A storage error.
pub(crate) async fn stored(lake: &Storage, key: &Path) -> Result<Stored> {
    let failed = |e| Error::storage("read", url_of(lake, key), e);
    let bytes = match lake.store.get(key).await {
        Ok(object) => object.bytes().await.map_err(failed)?,
        Err(StoreError::NotFound { .. }) => return Ok(Stored::Missing),
        Err(e) => return Err(failed(e)),
    };
    if let Err(what) = seal::verify(&bytes) {
        return Ok(Stored::Damaged(what.to_owned()));
    }
    Ok(serde_json::from_slice(&bytes).map_or_else(|e| Stored::Damaged(e.to_string()), Stored::Whole))
}

/// Computes the digest of one entry of a table's log. Returns `None` if the entry cannot be read.
/// It is published without a digest then, and `check --deep` cannot verify it.
async fn entry_digest(lake: &Storage, table: &str, version: u64) -> Option<Digest> {
    let key = LakePath::DeltaCommit { table, version }.key();
    lake.digest_of(&key).await.ok().flatten().map(|(_, digest)| digest)
}

fn encode(document: &Consistent) -> Result<Bytes> {
    let text =
        serde_json::to_vec_pretty(document).context(|| Error::internal("the consistent versions make no JSON"))?;
    Ok(seal::seal(text).into())
}

async fn put(lake: &Storage, key: &Path, text: Bytes) -> Result<()> {
    lake.store.put(key, text.into()).await.storage_context("write", || url_of(lake, key))?;
    // A power cut must not lose a document that readers have seen.
    lake.sync_files(std::slice::from_ref(key)).await
}
