//! Deletes the files of a failed run, which no manifest names.
//!
//! The names of these files contain the id of the run. So a file is found even if its stage failed
//! before it reported the file. Nothing is deleted if the manifest may have been written. If the
//! process has no permission to delete, or if storage fails, the files stay until `vacuum` deletes
//! them. The run still ends with the error that made it fail.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use lakewright_common::storage::Storage;
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStoreExt};

use super::context::RunContext;
use crate::lake::LakePath;

/// Time after which the run stops deleting files and reports its error.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum number of files that are deleted at the same time.
const CONCURRENT_DELETES: usize = 16;

/// Deletes the files that the run wrote. Failures are only logged.
pub(super) async fn delete_files(context: &RunContext<'_>) {
    let lake = &context.opened.lake;
    let run = context.run.to_string();
    let sources = context.config.sources.iter().map(|source| source.name.as_str());
    let folders = sources
        .flat_map(|source| {
            // A run writes one ledger file per source, whose key is known.
            let ledger = LakePath::Ledger { source, version: context.version, run: context.run }.key();
            [LakePath::Staging(source).key(), LakePath::Quarantine(source).key(), ledger]
        })
        .chain(context.written_tables().into_iter().map(|table| LakePath::Table(&table).key()));
    let deletion = async {
        for folder in folders {
            if !delete_below(lake, &folder, &run).await {
                // Storage fails or refuses to delete, so further requests would only delay the
                // error.
                return;
            }
        }
    };
    if tokio::time::timeout(TIMEOUT, deletion).await.is_err() {
        tracing::debug!("files of the failed run are left for `vacuum`: deleting them takes too long");
    }
}

/// Deletes the files of the run in `folder`. If `folder` is itself the key of a file of the run,
/// deletes that file. Returns `false` if a request failed; the caller should then stop, because
/// further requests would fail too.
async fn delete_below(lake: &Storage, folder: &Path, run: &str) -> bool {
    let is_of_the_run = |key: &Path| key.filename().is_some_and(|name| name.contains(run));
    let found = if is_of_the_run(folder) {
        Ok(vec![folder.clone()])
    } else {
        let objects = lake.store.list(Some(folder)).map_ok(|object| object.location);
        objects.try_filter(|key| std::future::ready(is_of_the_run(key))).try_collect().await
    };
    let keys: Vec<Path> = match found {
        Ok(keys) => keys,
        Err(error) => {
            tracing::debug!(%folder, %error, "files of the failed run are left for `vacuum`");
            return false;
        }
    };
    let deletions = keys.into_iter().map(|key| async move {
        match lake.store.delete(&key).await {
            // A failed task may already have deleted its own file.
            Ok(()) | Err(StoreError::NotFound { .. }) => true,
            Err(error) => {
                tracing::debug!(%key, %error, "a file of the failed run is left for `vacuum`");
                false
            }
        }
    });
    stream::iter(deletions).buffer_unordered(CONCURRENT_DELETES).all(std::future::ready).await
}
