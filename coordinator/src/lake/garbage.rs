//! Finds files in a lake that no kept version needs: files of older versions, and of runs that
//! died.
//!
//! Considers only files with names that no other program uses. Runs give such names to the files of
//! tables, staging, quarantine, ledger and spool. Never considers manifests, Delta logs, consistent
//! documents, or files of other programs.
//!
//! A file that a run in progress writes is younger than that run, and a file younger than the
//! retention is kept. So a run that takes less time than the retention loses nothing. A file that a
//! kept manifest names is kept at any age. A run can only commit on top of the newest manifest, so
//! no later manifest names a deleted file again.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use lakewright_common::error::{Context, Error, Result};
use lakewright_common::storage::Storage;
use object_store::ObjectMeta;
use object_store::path::Path;
use uuid::Uuid;

use super::manifest::Manifest;
use super::{LakePath, manifest_store, url_of};

/// Number of characters of a UUID with hyphens.
const UUID: usize = 36;
/// Folders below `_lake` in which runs write files, except the spool.
const FOLDERS_OF_RUNS: &[&str] = &["staging", "quarantine", "ledger"];

/// Returns the files that were last modified before `since` and that no kept version names. The
/// version that was the newest at `since` and all later versions are kept.
///
/// # Errors
/// A storage error. A configuration or storage error for a manifest that cannot be read, because
/// the files that it names are unknown.
pub(crate) async fn find(lake: &Storage, since: DateTime<Utc>) -> Result<Vec<ObjectMeta>> {
    let Some(named) = named_since(lake, since).await? else { return Ok(vec![]) };
    let is_garbage = |object: &ObjectMeta| {
        object.last_modified < since && is_of_a_run(&object.location) && !named.contains(object.location.as_ref())
    };
    // Only an object that is old, was written by a run, and is not named by any kept version is
    // garbage. Anything else stays.
    let objects = lake.store.list(None).try_filter(|object| std::future::ready(is_garbage(object)));
    let mut garbage: Vec<_> = objects.try_collect().await.storage_context("list", || &lake.root)?;
    garbage.sort_by(|a, b| a.location.cmp(&b.location));
    Ok(garbage)
}

/// Returns the keys of all files that kept versions name. The version that was the newest at
/// `since` and all later versions are kept. Returns `None` if the lake has no commit; nothing may
/// be deleted then.
async fn named_since(lake: &Storage, since: DateTime<Utc>) -> Result<Option<HashSet<String>>> {
    let written = manifest_store::list(lake).await?;
    let Some((&newest, _)) = written.last_key_value() else { return Ok(None) };
    let mut named = HashSet::new();
    for version in (1..=newest).rev() {
        let manifest = manifest_store::get(lake, version).await?.ok_or_else(|| missing(lake, version))?;
        // Both times may be wrong: the coordinator's clock may have been slow, and the objects of a
        // copied lake have the time of the copy. Use the later one, because it keeps more versions.
        let is_last = written.get(&version).copied().max(Some(manifest.committed_at)) < Some(since);
        // Versions are visited newest first, so the first one that was committed before `since` was
        // the newest at that time. It is kept, and all older ones are not.
        named.extend(keys(&manifest));
        if is_last {
            break;
        }
    }
    Ok(Some(named))
}

/// Builds the error for a missing manifest. The hint says until when the manifest is needed.
fn missing(lake: &Storage, version: u64) -> Error {
    let key = url_of(lake, &LakePath::Manifest(version).key());
    Error::storage_failure(format!("manifest {version} is missing: `{key}`")).hint(format!(
        "nothing was deleted, because it is unknown which files version {version} names; restore the manifest from a copy of the \
         lake, or wait until version {} is older than the retention",
        version + 1
    ))
}

fn keys(manifest: &Manifest) -> impl Iterator<Item = String> {
    let sources = manifest.sources.values();
    let staged = sources.clone().flat_map(|source| source.staging.iter().chain(&source.quarantine));
    let files = staged.chain(manifest.tables.iter().flat_map(|table| &table.files)).map(|file| &file.written.path);
    files.chain(sources.flat_map(|source| &source.ledger).map(|file| &file.path)).cloned()
}

/// Returns whether a key has a name that only runs of this program give to their files.
fn is_of_a_run(key: &Path) -> bool {
    let parts: Vec<_> = key.parts().map(|part| part.as_ref().to_owned()).collect();
    let is_in_a_folder = match parts.as_slice() {
        [lake, spool, run, file] if lake == "_lake" && spool == "spool" => return is_of_an_exchange(run, file),
        [lake, folder, _, ..] if lake == "_lake" => FOLDERS_OF_RUNS.contains(&folder.as_str()),
        [table, rest @ ..] => {
            // Files of a table, directly in its folder or in folders of partitions, but not in its
            // Delta log.
            !table.starts_with('_') && !rest.is_empty() && rest.iter().all(|part| part != "_delta_log")
        }
        [] => false,
    };
    is_in_a_folder && key.filename().is_some_and(is_name_of_a_run)
}

/// Returns whether a name is `<run>-<task>-<uuid>.parquet`, or `<20 digits>-<run>.parquet` for a
/// ledger. No other program uses such names, and we must not delete the files of other programs
/// beside the tables.
fn is_name_of_a_run(name: &str) -> bool {
    let Some((head, uuid)) =
        name.strip_suffix(".parquet").and_then(|stem| stem.split_at_checked(stem.len().checked_sub(UUID)?))
    else {
        return false;
    };
    let is_head = head.get(..UUID).is_some_and(is_uuid)
        // A ledger: 20 digits, a hyphen and the UUID of the run.
        || (head.len() == 21 && head.ends_with('-') && head[..20].bytes().all(|byte| byte.is_ascii_digit()));
    is_uuid(uuid) && is_head
}

/// Returns whether a file of the spool is an exchange (rows that a stage of a cluster run writes
/// for a later stage) or a probe object (which workers read to prove that they see the lake's
/// storage). A run that dies leaves such files.
fn is_of_an_exchange(run: &str, file: &str) -> bool {
    let name = file.strip_prefix("exchange-").and_then(|name| name.strip_suffix(".arrows"));
    // Workers read a probe object to prove that they see the lake's storage.
    let name = name.or_else(|| file.strip_prefix("probe-"));
    is_uuid(run) && name.is_some_and(is_uuid)
}

fn is_uuid(text: &str) -> bool {
    text.len() == UUID && Uuid::try_parse(text).is_ok()
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;

    use super::super::fixture;
    use super::*;
    use crate::lake::manifest_store::{Commit, commit};

    const RUN: &str = "01900000-0000-7000-8000-000000000000";

    #[test]
    fn only_files_of_runs_are_looked_at() {
        let file = format!("{RUN}-0-{RUN}.parquet");
        for (key, is) in [
            (format!("songs/year=1999/{file}"), true),
            (format!("songs/{file}"), true),
            (format!("_lake/staging/s/{file}"), true),
            (format!("_lake/ledger/s/00000000000000000001-{RUN}.parquet"), true),
            (format!("_lake/spool/{RUN}/exchange-{RUN}.arrows"), true),
            (format!("_lake/spool/{RUN}/probe-{RUN}"), true),
            (format!("songs/_delta_log/{file}"), false),
            (format!("_lake/other/{file}"), false),
            (file, false),
        ] {
            assert_eq!(is_of_a_run(&Path::from(key.as_str())), is, "{key}");
        }
        for (key, is) in [
            ("songs/year=1999/a.parquet", false),
            ("others/2018/part-0000.parquet", false),
            ("songs/_delta_log/00000000000000000050.checkpoint.parquet", false),
            ("_lake/manifest/00000000000000000001.json", false),
            ("_lake/spool/run/exchange.arrows", false),
            ("songs/notes.txt", false),
        ] {
            assert_eq!(is_of_a_run(&Path::from(key)), is, "{key}");
        }
    }

    #[tokio::test]
    async fn what_kept_versions_name_and_what_is_young_is_kept() {
        let (_folder, lake) = fixture::lake();
        let first = fixture::manifest(1, &[("songs", &["a.parquet"])]);
        fixture::write_files(&lake, &first).await;
        assert_eq!(commit(&lake, &first).await.unwrap(), Commit::Committed);
        let orphan = format!("songs/{RUN}-0-{RUN}.parquet");
        for key in [orphan.as_str(), "songs/of-somebody-else.parquet"] {
            lake.store.put(&Path::from(key), "PAR1".into()).await.unwrap();
        }
        let keys = |garbage: Vec<ObjectMeta>| -> Vec<String> {
            garbage.into_iter().map(|object| object.location.to_string()).collect()
        };
        let hour = chrono::TimeDelta::hours(1);
        assert_eq!(keys(find(&lake, Utc::now() - hour).await.unwrap()), Vec::<String>::new());
        assert_eq!(keys(find(&lake, Utc::now() + hour).await.unwrap()), [orphan]);
    }
}
