//! Finds the newest version without missing or truncated files. A command that found an object
//! missing or truncated names this version in its error message.
//!
//! Compares existence and size only, using one listing of the lake. A file of the right size with
//! changed bytes is not noticed here, so the message names `check --deep`, which reads every file.

use std::collections::HashMap;

use futures::TryStreamExt;
use lakewright_common::error::{Context, Result, listed};
use lakewright_common::storage::Storage;

use super::manifest::Manifest;
use super::{LakePath, manifest_store, url_of};

/// Describes the damage of the newest version in a sentence, and names the last version before it
/// that has all its files. Returns `None` if the newest version has all its files, or if there is
/// no version.
///
/// # Errors
/// A storage error if the lake cannot be listed.
pub(crate) async fn describe_damage(lake: &Storage) -> Result<Option<String>> {
    // One listing for all versions, because most of them share most files.
    let objects = lake.store.list(None).map_ok(|object| (object.location.to_string(), object.size));
    let sizes: HashMap<String, u64> = objects.try_collect().await.storage_context("list", || &lake.root)?;
    let mut versions: Vec<u64> = manifest_store::list(lake).await?.into_keys().collect();
    let Some(newest) = versions.pop() else { return Ok(None) };
    let damage = match damaged(lake, newest, &sizes).await {
        Some(files) if files.is_empty() => return Ok(None),
        Some(files) => {
            format!("version {newest} of the lake names files that are missing or of another size: {}", listed(files))
        }
        None => {
            let manifest = url_of(lake, &LakePath::Manifest(newest).key());
            format!("the manifest of version {newest} of the lake cannot be read: `{manifest}`")
        }
    };
    for version in versions.into_iter().rev() {
        if damaged(lake, version, &sizes).await.is_some_and(|files| files.is_empty()) {
            return Ok(Some(format!(
                "{damage}; version {version} has all its files: `coordinator query --version {version}` reads it, \
                 `coordinator check --deep --version {version}` verifies it"
            )));
        }
    }
    Ok(Some(format!("{damage}; no older version has all its files")))
}

/// Returns the files of one version that are missing or do not have the size in its manifest;
/// `None` if the manifest cannot be read.
async fn damaged(lake: &Storage, version: u64, sizes: &HashMap<String, u64>) -> Option<Vec<String>> {
    let manifest = manifest_store::get(lake, version).await.ok().flatten()?;
    // A missing file has no size, so it differs from any expected size.
    let is_damaged = |(path, bytes): &(&str, u64)| sizes.get(*path) != Some(bytes);
    Some(files(&manifest).filter(is_damaged).map(|(path, _)| path.to_owned()).collect())
}

/// Returns every file that a manifest names, with its size.
fn files(manifest: &Manifest) -> impl Iterator<Item = (&str, u64)> {
    let sources = manifest.sources.values();
    let staged = sources.clone().flat_map(|source| source.staging.iter().chain(&source.quarantine));
    let data = staged.chain(manifest.tables.iter().flat_map(|table| &table.files)).map(|file| &file.written);
    let ledgers = sources.flat_map(|source| &source.ledger);
    data.map(|file| (file.path.as_str(), file.bytes)).chain(ledgers.map(|file| (file.path.as_str(), file.bytes)))
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;
    use object_store::path::Path;

    use super::super::fixture;
    use super::*;
    use crate::lake::manifest_store::{Commit, commit};

    #[tokio::test]
    async fn the_newest_version_that_is_whole_is_named() {
        let (_folder, lake) = fixture::lake();
        assert_eq!(describe_damage(&lake).await.unwrap(), None);
        let first = fixture::manifest(1, &[("songs", &["a"])]);
        let second = fixture::next(&first, &[("songs", &["b"])]);
        let third = fixture::next(&second, &[("songs", &["b", "c"])]);
        for manifest in [&first, &second, &third] {
            fixture::write_files(&lake, manifest).await;
            assert_eq!(commit(&lake, manifest).await.unwrap(), Commit::Committed);
        }
        assert_eq!(describe_damage(&lake).await.unwrap(), None);
        lake.store.put(&Path::from("songs/b"), "cut".into()).await.unwrap();
        let damage = describe_damage(&lake).await.unwrap().unwrap();
        assert!(damage.contains("`songs/b`") && damage.contains("version 1 has all its files"), "{damage}");
        lake.store.delete(&Path::from("songs/a")).await.unwrap();
        let damage = describe_damage(&lake).await.unwrap().unwrap();
        assert!(damage.contains("no older version has all its files"), "{damage}");
        lake.store.put(&LakePath::Manifest(3).key(), "{".into()).await.unwrap();
        lake.store.put(&Path::from("songs/b"), "PAR1".into()).await.unwrap();
        let damage = describe_damage(&lake).await.unwrap().unwrap();
        assert!(damage.contains("00003.json") && damage.contains("version 2 has all its files"), "{damage}");
    }
}
