//! The store of manifests: reads the newest one or a given version, and puts the next one, which is
//! a commit.
//!
//! The put of manifest n+1 succeeds for one run only, so afterwards either this run's manifest
//! exists or another run's. If the response leaves this open (already exists, a timeout, a lost
//! connection, an error after the write), we read the object back and compare the run. No file is
//! deleted until the outcome is known, because the commit may be valid.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use lakewright_common::error::{Context, Error, Result};
use lakewright_common::process::failpoint::{self, FailPoint};
use lakewright_common::storage::{PutOutcome, Storage};
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStoreExt};
use uuid::Uuid;

use super::manifest::{self, Manifest};
use super::{LakePath, url_of, version_of};

/// Maximum number of puts of one manifest. If the response to a put is unclear, the manifest is
/// read back. If it does not exist, the next put follows, and after the last put the outcome is
/// reported as unknown.
const MAX_PUTS: u32 = 6;
/// Maximum number of attempts to read a manifest back after a put. A failed read is repeated,
/// because it leaves the outcome of the put open.
const MAX_READS: u32 = 5;
/// Pause after the first failed attempt to put or read a manifest. Each further pause is twice as
/// long. Shorter in tests.
const FIRST_PAUSE: Duration = Duration::from_millis(if cfg!(test) { 1 } else { 100 });

/// Outcome of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Commit {
    /// This run's manifest exists: everything that it names is visible.
    Committed,
    /// The run `by` committed that version first: nothing of this run is visible.
    Conflict { by: Uuid },
}

/// Lists the versions of all manifests, each with the modification time of the manifest on storage.
pub(crate) async fn list(lake: &Storage) -> Result<BTreeMap<u64, DateTime<Utc>>> {
    let folder = LakePath::Manifests.key();
    let mut keys = lake.store.list(Some(&folder));
    let mut manifests = BTreeMap::new();
    while let Some(object) = keys.try_next().await.storage_context("list", || url_of(lake, &folder))? {
        manifests.extend(version_of(&object.location).map(|version| (version, object.last_modified)));
    }
    Ok(manifests)
}

/// Returns the highest manifest version, or `None` for a lake without a commit.
pub(crate) async fn latest_number(lake: &Storage) -> Result<Option<u64>> {
    Ok(list(lake).await?.last_key_value().map(|(version, _)| *version))
}

/// Reads the newest manifest, or returns `None` for a lake without a commit.
pub(crate) async fn latest(lake: &Storage) -> Result<Option<Manifest>> {
    match latest_number(lake).await? {
        Some(version) => get(lake, version).await,
        None => Ok(None),
    }
}

/// Reads one manifest, or returns `None` if that version does not exist.
pub(crate) async fn get(lake: &Storage, version: u64) -> Result<Option<Manifest>> {
    let key = LakePath::Manifest(version).key();
    match read(lake, &key).await {
        Ok(Some(bytes)) => Manifest::decode(version, &bytes).map(Some),
        Ok(None) => Ok(None),
        Err(e) => Err(Error::storage("read", url_of(lake, &key), e)),
    }
}

/// Makes `manifest` the next version of the lake: [`prepare`], then [`put`].
#[cfg(test)]
pub(crate) async fn commit(lake: &Storage, manifest: &Manifest) -> Result<Commit> {
    prepare(lake, manifest).await?;
    put(lake, manifest).await
}

/// Makes the new objects of `manifest` durable: those that no earlier manifest names.
///
/// # Errors
/// A storage error. Nothing of the run is visible then.
pub(crate) async fn prepare(lake: &Storage, manifest: &Manifest) -> Result<()> {
    failpoint::reach(FailPoint::CommitBeforeSync);
    lake.sync_files(&manifest.new_keys()?).await?;
    failpoint::reach(FailPoint::CommitBeforeManifest);
    Ok(())
}

/// Makes `manifest` the next version of the lake.
///
/// # Errors
/// A storage error if the outcome is unknown. The commit may be valid then, so no file of this run
/// may be deleted. The next run reads the manifest if it exists.
pub(crate) async fn put(lake: &Storage, manifest: &Manifest) -> Result<Commit> {
    let key = LakePath::Manifest(manifest.version).key();
    let bytes = Bytes::from(manifest.encode()?);
    let outcome = put_until_known(lake, &key, &bytes, manifest.run).await;
    failpoint::reach(FailPoint::CommitAfterManifest);
    outcome
}

async fn put_until_known(lake: &Storage, key: &Path, bytes: &Bytes, run: Uuid) -> Result<Commit> {
    let mut pause = FIRST_PAUSE;
    let mut cause = None;
    for _ in 0..MAX_PUTS {
        match lake.put_if_absent(key, bytes.clone()).await {
            Ok(PutOutcome::Created) => return Ok(Commit::Committed),
            // The store may have retried the put, and found the object of its own first attempt.
            Ok(PutOutcome::Exists) => {}
            Err(e) => {
                tracing::warn!(manifest = %url_of(lake, key), error = %e, "the response to the commit is unclear");
                cause = Some(e);
            }
        }
        match read_back(lake, key).await? {
            Some(by) if by == run => return Ok(Commit::Committed),
            Some(by) => return Ok(Commit::Conflict { by }),
            // No manifest yet: the put failed, or S3 answered 409 while another put was in
            // progress.
            None => tokio::time::sleep(pause).await,
        }
        pause *= 2;
    }
    let error = cause.unwrap_or_else(|| {
        Error::storage("write", url_of(lake, key), "the key was reported as existing but could not be read")
    });
    // A request that timed out may still arrive, so the manifest may still be committed.
    let advice = "the manifest does not exist now; check the storage, delete nothing, then run again";
    let hint = error.hint.as_ref().map_or_else(|| advice.to_owned(), |hint| format!("{hint}; {advice}"));
    Err(error.hint(hint))
}

/// Reads the manifest at `key`, and returns the run that committed it. Returns `None` if there is
/// no manifest.
async fn read_back(lake: &Storage, key: &Path) -> Result<Option<Uuid>> {
    let mut pause = FIRST_PAUSE;
    let mut reads = 1;
    loop {
        match read(lake, key).await {
            Ok(None) => return Ok(None),
            Ok(Some(bytes)) => {
                // Only the run matters here, so the manifest may have a newer format.
                return manifest::run_of(&bytes)
                    .map(Some)
                    .context(|| Error::storage_failure(format!("`{}` exists and is damaged", url_of(lake, key))));
            }
            Err(e) if reads == MAX_READS => {
                return Err(Error::storage("read", url_of(lake, key), e)
                    .hint("it is unknown whether the run was committed; the next run will see; delete nothing"));
            }
            Err(_) => {
                reads += 1;
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
        }
    }
}

async fn read(lake: &Storage, key: &Path) -> std::result::Result<Option<Bytes>, StoreError> {
    match lake.store.get(key).await {
        Ok(object) => object.bytes().await.map(Some),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use super::super::fixture::{self, ForgetfulStore};
    use super::*;

    #[tokio::test]
    async fn manifests_are_found_by_number_and_the_newest_without() {
        let (_folder, lake) = fixture::lake();
        assert_eq!(latest(&lake).await.unwrap(), None);
        let first = fixture::manifest(1, &[]);
        let second = fixture::next(&first, &[("songs", &["year=1/x"])]);
        fixture::write_files(&lake, &second).await;
        for manifest in [&first, &second] {
            assert_eq!(commit(&lake, manifest).await.unwrap(), Commit::Committed);
        }
        let stray = Path::from("_lake/manifest/notes.txt");
        lake.store.put(&stray, "not a manifest".into()).await.unwrap();
        assert_eq!(latest(&lake).await.unwrap(), Some(second));
        assert_eq!(get(&lake, 1).await.unwrap(), Some(first));
        assert_eq!(get(&lake, 3).await.unwrap(), None);
    }

    /// Sixteen runs put the same version at once: one succeeds, and every other run gets a conflict
    /// that names the winner.
    #[tokio::test(flavor = "multi_thread")]
    async fn one_of_many_runs_commits_a_number() {
        let (_folder, lake) = fixture::lake();
        let lake = Arc::new(lake);
        let mut runs = Vec::new();
        for _ in 0..16 {
            let lake = Arc::clone(&lake);
            runs.push(tokio::spawn(async move {
                let manifest = fixture::manifest(1, &[]);
                (manifest.run, commit(&lake, &manifest).await.unwrap())
            }));
        }
        let mut outcomes = Vec::new();
        for run in runs {
            outcomes.push(run.await.unwrap());
        }
        let winner = get(&lake, 1).await.unwrap().unwrap().run;
        for (run, outcome) in outcomes {
            let expected = if run == winner { Commit::Committed } else { Commit::Conflict { by: winner } };
            assert_eq!(outcome, expected);
        }
    }

    #[tokio::test]
    async fn a_lost_answer_to_our_own_commit_is_a_success() {
        let store = ForgetfulStore::new(1, 0);
        let lake = fixture::lake_on(store);
        assert_eq!(commit(&lake, &fixture::manifest(1, &[])).await.unwrap(), Commit::Committed);
    }

    #[tokio::test]
    async fn a_lost_answer_that_hides_a_conflict_is_a_conflict() {
        let store = ForgetfulStore::new(0, 0);
        let lake = fixture::lake_on(Arc::clone(&store) as _);
        let other = fixture::manifest(1, &[]);
        assert_eq!(commit(&lake, &other).await.unwrap(), Commit::Committed);
        store.refused_puts.store(1, Ordering::SeqCst);
        let outcome = commit(&lake, &fixture::manifest(1, &[])).await.unwrap();
        assert_eq!(outcome, Commit::Conflict { by: other.run });
    }

    /// Puts fail without effect. This also happens if S3 responds with 409: the store reports an
    /// error, and the object does not exist.
    #[tokio::test]
    async fn a_put_that_did_not_arrive_is_tried_again_and_given_up_in_the_end() {
        let store = ForgetfulStore::new(0, 3);
        let lake = fixture::lake_on(Arc::clone(&store) as _);
        assert_eq!(commit(&lake, &fixture::manifest(1, &[])).await.unwrap(), Commit::Committed);
        store.refused_puts.store(u32::MAX, Ordering::SeqCst);
        let error = commit(&lake, &fixture::manifest(2, &[])).await.unwrap_err();
        assert!(error.to_string().contains("connection reset"), "{error}");
    }
}
