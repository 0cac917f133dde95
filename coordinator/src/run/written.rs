//! Verifies the files that workers reported: each must exist and have the reported length.
//!
//! A worker reports the name and the length of each file, and the manifest and the Delta logs
//! repeat both. The manifest must not name a file that no reader can find, even if a worker was
//! compromised or writes to a different folder.

use futures::{StreamExt, TryStreamExt, stream};
use lakewright_common::error::{Context, Error, Result};
use lakewright_common::storage::Storage;
use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::staged::StagedSource;
use crate::lake::manifest::Manifest;

/// Maximum number of files that are verified at the same time.
const CONCURRENT_REQUESTS: usize = 16;

/// Paths and lengths in bytes, as workers reported them.
pub(super) type Reported = Vec<(String, u64)>;

/// Returns the files that a run wrote: staging and quarantine files, and table files that are new
/// in the manifest.
pub(super) fn reported(staged: &[StagedSource<'_>], manifest: &Manifest) -> Reported {
    let staged = staged.iter().flat_map(|source| source.staging.iter().chain(&source.quarantine));
    let tables = manifest.tables.iter().flat_map(|table| &table.files);
    // Files of earlier versions were verified by the run that wrote them.
    let tables = tables.filter(|file| file.added_in == manifest.version).map(|file| &file.written);
    staged.chain(tables).map(|file| (file.path.clone(), file.bytes)).collect()
}

/// Requests the length of each file and compares it with the report.
///
/// # Errors
/// A storage error if a file does not exist. A workers error if a file has another length.
pub(super) async fn verify(lake: &Storage, files: Reported) -> Result<()> {
    stream::iter(files)
        .map(|(path, bytes)| verify_file(lake.clone(), path, bytes))
        .buffer_unordered(CONCURRENT_REQUESTS)
        .try_collect()
        .await
}

async fn verify_file(lake: Storage, path: String, reported: u64) -> Result<()> {
    let named = || lake.name_of(&path);
    let key = Path::parse(&path).storage_context("read", named)?;
    let bytes = lake.store.head(&key).await.storage_context("read", named)?.size;
    if bytes == reported {
        return Ok(());
    }
    Err(Error::workers(format!("`{}` has {bytes} bytes, and a worker reported {reported}", named()))
        .hint("the worker is defective or not yours: stop it and run again; nothing of this run is visible"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lakewright_common::config::resolved::Location;
    use lakewright_common::error::Kind;
    use object_store::memory::InMemory;

    use super::*;

    #[tokio::test]
    async fn a_missing_file_or_one_of_another_length_fails_the_run() {
        let location = Location::of("file:///lake/".parse().unwrap());
        let lake = Storage::new(Arc::new(InMemory::new()), location);
        lake.store.put(&Path::from("songs/a.parquet"), vec![0; 10].into()).await.unwrap();
        let file = |path: &str, bytes| (path.to_owned(), bytes);
        verify(&lake, vec![file("songs/a.parquet", 10)]).await.unwrap();
        for (bad, kind) in [(file("songs/a.parquet", 11), Kind::Workers), (file("songs/b.parquet", 10), Kind::Storage)]
        {
            let error = verify(&lake, vec![file("songs/a.parquet", 10), bad.clone()]).await.unwrap_err();
            assert_eq!(error.kind, kind, "{error}");
            assert!(error.to_string().contains(&bad.0), "{error}");
        }
    }
}
