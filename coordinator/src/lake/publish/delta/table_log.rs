//! One table's Delta log: how far it is, one more version, a checkpoint.
//!
//! Reads of a table's state go through the Delta kernel on a lazy snapshot (milliseconds with a checkpoint, whatever the number of
//! files). Writes do not: an entry is the bytes of version N+1 put if absent, because the order of commits is decided
//! by the manifests and the library's own commit loop would decide it again, slower and with two holes (it accepts an
//! older `txn` after a newer one, and commits a second create as version 1).

use std::sync::Arc;

use bytes::Bytes;
use delta_kernel::snapshot::Snapshot;
use deltalake_core::kernel::{Metadata, Protocol, Remove, Snapshot as Files};
use deltalake_core::logstore::{LogStore, LogStoreRef, StorageConfig, default_logstore};
use futures::{StreamExt, TryStreamExt};
use lakewright_common::error::{Context, Error, Result};
use lakewright_common::storage::{PutOutcome, Storage};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{Error as StoreError, GetOptions, GetRange, ObjectStore, ObjectStoreExt};
use url::Url;

use super::actions::APPLICATION;
use crate::lake::manifest::parse_key;
use crate::lake::{LakePath, url_of};

/// Versions from one checkpoint to the next.
pub(crate) const CHECKPOINT_INTERVAL: u64 = 50;

/// Bytes of a commit that are read to see what it is: all of most commits.
const HEAD_BYTES: u64 = 64 * 1024;

/// How far a table's log is.
#[derive(Debug, Clone)]
pub(crate) struct LogPosition {
    /// The newest Delta version.
    pub(crate) version: u64,
    /// The manifest that the log was last rolled forward to; `None` if another program wrote all of it.
    pub(crate) manifest: Option<u64>,
    pub(crate) metadata: Metadata,
    pub(crate) protocol: Protocol,
}

/// Reads how far a table's log is; `None` where there is no log.
pub(crate) async fn position(lake: &Storage, table: &str) -> Result<Option<LogPosition>> {
    let failed = failure("read", lake, table);
    let log = log_store(lake, table);
    if !log.is_delta_table_location().await.map_err(&failed)? {
        return Ok(None);
    }
    let (engine, root) = (log.engine(None), log.root_url().clone());
    let read = move || -> delta_kernel::DeltaResult<LogPosition> {
        let snapshot = Snapshot::builder_for(root).build(engine.as_ref())?;
        let manifest = snapshot.get_app_id_version(APPLICATION, engine.as_ref())?;
        Ok(LogPosition {
            version: snapshot.version(),
            manifest: manifest.and_then(|number| u64::try_from(number).ok()),
            metadata: snapshot.table_configuration().metadata().clone(),
            protocol: snapshot.table_configuration().protocol().clone(),
        })
    };
    let position = tokio::task::spawn_blocking(read).await.map_err(failure("read", lake, table))?;
    position.map(Some).map_err(failure("read", lake, table))
}

/// The commits from `version` on, by their numbers, in one request; none of them is read.
pub(crate) async fn commits_from(lake: &Storage, table: &str, version: u64) -> Result<Vec<u64>> {
    let folder = LakePath::DeltaLog(table).key();
    // Names sort as their numbers do, and a name without its extension sorts before the name.
    let first = LakePath::DeltaCommit { table, version }.key();
    let before_first = parse_key(first.as_ref().trim_end_matches(".json"))?;
    let mut objects = lake.store.list_with_offset(Some(&folder), &before_first);
    let mut commits = Vec::new();
    while let Some(object) = objects.next().await {
        let object = object.storage_context("list", || url_of(lake, &folder))?;
        commits.extend(commit_number(&object.location));
    }
    commits.sort_unstable();
    Ok(commits)
}

/// The version of a commit's file; `None` for checkpoints and other files of a log.
fn commit_number(key: &Path) -> Option<u64> {
    let digits = key.filename()?.strip_suffix(".json")?;
    let is_version = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_version.then(|| digits.parse().ok()).flatten()
}

/// The file of one commit; `None` if there is none.
pub(crate) async fn read_commit(lake: &Storage, table: &str, version: u64) -> Result<Option<Bytes>> {
    let key = LakePath::DeltaCommit { table, version }.key();
    let failed = |e| Error::storage("read", url_of(lake, &key), e);
    match lake.store.get(&key).await {
        Ok(object) => object.bytes().await.map(Some).map_err(failed),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(e) => Err(failed(e)),
    }
}

/// The first bytes of one commit, in which an entry of ours says what it is, and whether they are all of it.
pub(crate) async fn read_head(lake: &Storage, table: &str, version: u64) -> Result<(Bytes, bool)> {
    let key = LakePath::DeltaCommit { table, version }.key();
    let failed = |e| Error::storage("read", url_of(lake, &key), e);
    let options = GetOptions { range: Some(GetRange::Bounded(0..HEAD_BYTES)), ..GetOptions::default() };
    let object = lake.store.get_opts(&key, options).await.map_err(failed)?;
    let size = object.meta.size;
    let bytes = object.bytes().await.map_err(failed)?;
    let is_whole = bytes.len() as u64 == size;
    Ok((bytes, is_whole))
}

/// A tombstone for each file that is live at `version`.
pub(crate) async fn live_files(lake: &Storage, table: &str, version: u64) -> Result<Vec<Remove>> {
    let failed = failure("read", lake, table);
    let log = log_store(lake, table);
    let snapshot = Files::try_new(log.as_ref(), Some(version)).await.map_err(&failed)?;
    let files = snapshot.file_views(log.as_ref(), None).map_ok(|file| file.remove_action(true));
    files.try_collect().await.map_err(&failed)
}

/// Puts `entry` as one version, if nobody did.
pub(crate) async fn put_version(lake: &Storage, table: &str, version: u64, entry: Bytes) -> Result<PutOutcome> {
    lake.put_if_absent(&LakePath::DeltaCommit { table, version }.key(), entry).await
}

/// Writes a checkpoint of one version: the state so far in one Parquet file, so that a reader need not read every
/// entry before it.
pub(crate) async fn write_checkpoint(lake: &Storage, table: &str, version: u64) -> Result<()> {
    let log = log_store(lake, table);
    let (engine, root) = (log.engine(None), log.root_url().clone());
    let write = move || -> delta_kernel::DeltaResult<()> {
        let snapshot = Snapshot::builder_for(root).at_version(version).build(engine.as_ref())?;
        snapshot.checkpoint(engine.as_ref(), None)?;
        Ok(())
    };
    let written = tokio::task::spawn_blocking(write).await.map_err(failure("checkpoint", lake, table))?;
    written.map_err(failure("checkpoint", lake, table))?;
    // A torn checkpoint would hide the entries that it replaces.
    lake.sync_files(&[LakePath::DeltaCheckpoint { table, version }.key(), LakePath::DeltaLastCheckpoint(table).key()])
        .await
}

fn failure<E: std::error::Error + Send + Sync + 'static>(
    operation: &'static str,
    lake: &Storage,
    table: &str,
) -> impl Fn(E) -> Error + use<E> {
    let log = url_of(lake, &LakePath::DeltaLog(table).key());
    move |e| Error::storage(operation, &log, e)
}

/// The library's view of a table.
pub(crate) fn log_store(lake: &Storage, table: &str) -> LogStoreRef {
    let folder = LakePath::Table(table).key();
    let below_table = Arc::new(PrefixStore::new(Arc::clone(&lake.store), folder.clone()));
    let mut url: Url = lake.root.clone();
    // The library takes the path of a URL as a key of its store. Of a `file` URL it also asks the disk whether it
    // exists, so there the store must be the whole file system; elsewhere the table's URL begins at the lake's root
    // (`s3://bucket/songs/` for `s3://bucket/some/lake/songs/`), with the scheme and host by which the library knows
    // whether listings are sorted.
    let root_store: Arc<dyn ObjectStore> = if url.scheme() != "file" {
        url.set_path(&format!("/{folder}/"));
        Arc::clone(&lake.store)
    } else if let Some(outside) = url_of_unsorted(&folder).filter(|_| lake.root.path().contains("%25")) {
        // The kernel's listing decodes the path of a `file` URL twice (buoyant_kernel_engine 0.28), so it would look in
        // `a b` for what is in `a%20b`. A URL that begins at the lake has no such folder in it.
        url = outside;
        Arc::clone(&lake.store)
    } else {
        url.set_path(&format!("{}{folder}/", lake.root.path()));
        Arc::new(LocalFileSystem::new())
    };
    default_logstore(below_table, root_store, &url, &StorageConfig::default())
}

/// A URL of the kind whose listings the library sorts by itself, as a folder needs it: a directory bucket of S3.
fn url_of_unsorted(folder: &object_store::path::Path) -> Option<Url> {
    Url::parse(&format!("s3://lake--x-s3/{folder}/")).ok()
}
