//! ⑨ Every table's Delta version at one manifest, for readers that pin versions (`VERSION AS OF`).
//!
//! Delta commits one table at a time, so a reader that takes each table's newest version may for a moment see new
//! dimensions with old facts. Once all logs are rolled forward to manifest n, `_lake/consistent/<n>.json` names the
//! versions that belong together, and `_lake/consistent/latest` has the same text as the newest of these.

use std::collections::BTreeMap;

use bytes::Bytes;
use lakewright_common::digest::Digest;
use lakewright_common::error::{Context, Error, Result};
use lakewright_common::process::failpoint;
use lakewright_common::storage::{PutOutcome, Storage};
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStoreExt};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::lake::manifest::Manifest;
use crate::lake::{LakePath, seal, store, url_of};

/// Versions that belong together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Consistent {
    pub(crate) manifest: u64,
    /// The run that committed the manifest. `None` in a document that was written before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) run: Option<Uuid>,
    pub(crate) tables: BTreeMap<String, TableVersion>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TableVersion {
    /// The table's folder, relative to the lake's root.
    pub(crate) path: String,
    /// Of its Delta log.
    pub(crate) version: u64,
    /// Of the log's entry of that version; `None` if an older version of the program published it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<Digest>,
}

/// A document as it is on storage.
pub(crate) enum Stored {
    Missing,
    Damaged(String),
    Whole(Consistent),
}

impl Consistent {
    /// Whether it is of this very manifest, and not of another one that had the number before.
    pub(crate) fn is_of(&self, manifest: &Manifest) -> bool {
        self.manifest == manifest.version && self.run.is_none_or(|run| run == manifest.run)
    }

    /// A table's Delta version; `None` for a table that the manifest does not have.
    pub(crate) fn version(&self, table: &str) -> Option<u64> {
        self.tables.get(table).map(|table| table.version)
    }
}

/// Publishes the `versions` that the roll-forward to `manifest` answered with. Does nothing when they are not of all
/// tables: then another process is further, and publishes a newer document.
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
    // Of an older manifest the digests still hold; a log may have been written anew since it was published for this one.
    let older = published.as_ref().filter(|published| published.manifest < manifest.version);
    let mut tables = BTreeMap::new();
    for (name, version) in versions {
        let before = older.and_then(|older| older.tables.get(name));
        let digest = match before.filter(|before| before.version == *version) {
            Some(before) => before.digest.clone(),
            None => entry_digest(lake, name, *version).await,
        };
        let path = LakePath::Table(name).key().to_string();
        tables.insert(name.clone(), TableVersion { path, version: *version, digest });
    }
    let document = Consistent { manifest: manifest.version, run: Some(manifest.run), tables };
    // A query publishes what a crash left undone; most of the time nothing is.
    if published.as_ref() == Some(&document) {
        return Ok(());
    }
    let text =
        serde_json::to_vec_pretty(&document).context(|| Error::internal("the consistent versions make no JSON"))?;
    let text = Bytes::from(seal::seal(text));
    failpoint::reach("consistent.before_put");
    let key = LakePath::Consistent(manifest.version).key();
    let outcome = lake.put_if_absent(&key, text.clone()).await?;
    if outcome == PutOutcome::Exists && read(lake, &key).await?.is_none_or(|there| there != document) {
        put(lake, &key, text.clone()).await?;
    }
    failpoint::reach("consistent.before_latest");
    // Two processes at once may leave the older document as the latest, until the next commit. It is consistent too.
    put(lake, &LakePath::ConsistentLatest.key(), text).await?;
    failpoint::reach("consistent.after_latest");
    Ok(())
}

/// Whether a document is of a later manifest, and that manifest exists: it may have been deleted since.
async fn is_newer(lake: &Storage, published: &Consistent, manifest: &Manifest) -> Result<bool> {
    if published.manifest <= manifest.version {
        return Ok(false);
    }
    Ok(store::get(lake, published.manifest).await?.is_some_and(|newer| published.is_of(&newer)))
}

/// The newest versions that belong together; `None` before the first commit is through.
pub(crate) async fn latest(lake: &Storage) -> Result<Option<Consistent>> {
    read(lake, &LakePath::ConsistentLatest.key()).await
}

/// The versions at one manifest; `None` where they were never published, because another commit overtook it.
pub(crate) async fn at(lake: &Storage, manifest: &Manifest) -> Result<Option<Consistent>> {
    let published = read(lake, &LakePath::Consistent(manifest.version).key()).await?;
    Ok(published.filter(|published| published.is_of(manifest)))
}

async fn read(lake: &Storage, key: &Path) -> Result<Option<Consistent>> {
    match stored(lake, key).await? {
        Stored::Whole(document) => Ok(Some(document)),
        // A damaged document is as good as none: it repeats what the logs say.
        Stored::Missing | Stored::Damaged(_) => Ok(None),
    }
}

/// The document at `key`.
///
/// # Errors
/// Storage that fails.
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

/// The digest of one entry of a table's log. Publishing does not depend on it: without it, `check --deep` knows less.
async fn entry_digest(lake: &Storage, table: &str, version: u64) -> Option<Digest> {
    let key = LakePath::DeltaCommit { table, version }.key();
    lake.digest_of(&key).await.ok().flatten().map(|(_, digest)| digest)
}

async fn put(lake: &Storage, key: &Path, text: Bytes) -> Result<()> {
    lake.store.put(key, text.into()).await.storage_context("write", || url_of(lake, key))?;
    lake.sync_files(std::slice::from_ref(key)).await
}
