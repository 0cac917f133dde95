//! One table's Delta log on storage: reads its position and entries, and puts an entry.
//!
//! The Delta kernel reads a table's state with a lazy snapshot. If the log has a checkpoint, this
//! takes milliseconds for any number of files. Entries are written without the kernel: the bytes
//! are put as version N+1, if that version is absent. The manifests decide the order of commits.
//! The library's own commit loop would decide it again, more slowly and with two bugs (it accepts
//! an older `txn` after a newer one, and commits a second create as version 1).

use bytes::Bytes;
use delta_kernel::snapshot::Snapshot;
use deltalake_core::kernel::{Add, Metadata, Protocol, Snapshot as Files};
use deltalake_core::logstore::LogStore;
use futures::{StreamExt, TryStreamExt};
use lakewright_common::error::{Context, Error, Result};
use lakewright_common::storage::{PutOutcome, Storage};
use object_store::path::Path;
use object_store::{Error as StoreError, GetOptions, GetRange, ObjectStoreExt};

use super::actions::APPLICATION;
use super::checkpoint::CHECKPOINT_INTERVAL;
use super::log_store::{failure, log_store};
use crate::lake::manifest::parse_key;
use crate::lake::{LakePath, url_of};

/// Maximum number of bytes that [`read_head`] reads from the start of an entry. Most entries are
/// shorter.
const HEAD_BYTES: u64 = 64 * 1024;

/// Position of a table's log: its newest version, and the manifest that it has reached.
#[derive(Debug, Clone)]
pub(super) struct LogPosition {
    /// Newest Delta version.
    pub(super) version: u64,
    /// Manifest that the log was last rolled forward to, or `None` if another program wrote the
    /// whole log.
    pub(super) manifest: Option<u64>,
    pub(super) metadata: Metadata,
    pub(super) protocol: Protocol,
}

/// Reads the position of a table's log, or returns `None` if the table has no log.
///
/// # Errors
/// A storage error, also for an entry that is missing or cannot be parsed.
pub(super) async fn position(lake: &Storage, table: &str) -> Result<Option<LogPosition>> {
    let failed = failure("read", lake, table);
    let log = log_store(lake, table);
    if !log.is_delta_table_location().await.map_err(&failed)? {
        // The library also returns `false` for a log whose first entries are missing. Nothing may
        // be added to such a log.
        return match list_from(lake, table, 0).await?.first_gap() {
            Some(missing) => Err(Error::storage_failure(format!(
                "`{}` is missing",
                url_of(lake, &LakePath::DeltaCommit { table, version: missing }.key())
            ))),
            None => Ok(None),
        };
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
    // The kernel blocks on storage, so it must not run on a thread of the async runtime.
    let position = tokio::task::spawn_blocking(read).await.map_err(failure("read", lake, table))?;
    position.map(Some).map_err(failure("read", lake, table))
}

/// Entries and checkpoints of a log, from some version on.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    /// Versions of the entries, ascending.
    pub(super) entries: Vec<u64>,
    /// Version of the newest checkpoint.
    pub(super) checkpoint: Option<u64>,
}

impl Listing {
    /// Returns the first missing version that a reader of the log needs. `None` if every entry
    /// since the newest checkpoint exists, or since version 0 in a log without one.
    pub(super) fn first_gap(&self) -> Option<u64> {
        let newest = self.entries.last().copied()?;
        let first = self.checkpoint.map_or(0, |checkpoint| checkpoint + 1);
        (first..newest).find(|version| self.entries.binary_search(version).is_err())
    }
}

/// Lists the entries and checkpoints of a log from `version` on, with one request per 1000 of them.
/// Reads none of them.
pub(super) async fn list_from(lake: &Storage, table: &str, version: u64) -> Result<Listing> {
    let folder = LakePath::DeltaLog(table).key();
    // The listing starts after `before_first`. Names sort like their versions, and a name without
    // `.json` sorts just before the full name.
    let first = LakePath::DeltaCommit { table, version }.key();
    let before_first = parse_key(first.as_ref().trim_end_matches(".json"))?;
    let mut objects = lake.store.list_with_offset(Some(&folder), &before_first);
    let mut listing = Listing::default();
    while let Some(object) = objects.next().await {
        let object = object.storage_context("list", || url_of(lake, &folder))?;
        listing.entries.extend(entry_version(&object.location));
        listing.checkpoint = listing.checkpoint.max(checkpoint_version(&object.location));
    }
    listing.entries.sort_unstable();
    Ok(listing)
}

/// Lists the entries and checkpoints that a reader of `version` needs, and newer ones.
pub(super) async fn list_needed(lake: &Storage, table: &str, version: u64) -> Result<Listing> {
    // This program writes checkpoints at multiples of the interval. If the last one before
    // `version` is missing (writing it may have failed), a reader needs the whole log.
    let checkpoint = version - version % CHECKPOINT_INTERVAL;
    let listing = list_from(lake, table, checkpoint).await?;
    if listing.checkpoint.is_some() || checkpoint == 0 { Ok(listing) } else { list_from(lake, table, 0).await }
}

/// Returns the version of an entry, or `None` for a checkpoint or any other file of a log.
fn entry_version(key: &Path) -> Option<u64> {
    version(key.filename()?.strip_suffix(".json")?)
}

/// Returns the version of a checkpoint that consists of one or several files
/// (`<version>.checkpoint.<…>.parquet`).
fn checkpoint_version(key: &Path) -> Option<u64> {
    let (digits, rest) = key.filename()?.split_once('.')?;
    version(digits).filter(|_| rest.starts_with("checkpoint."))
}

fn version(digits: &str) -> Option<u64> {
    let is_version = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_version.then(|| digits.parse().ok()).flatten()
}

/// Reads an entry, or returns `None` if it does not exist.
pub(super) async fn read_entry(lake: &Storage, table: &str, version: u64) -> Result<Option<Bytes>> {
    let key = LakePath::DeltaCommit { table, version }.key();
    let failed = |e| Error::storage("read", url_of(lake, &key), e);
    match lake.store.get(&key).await {
        Ok(object) => object.bytes().await.map(Some).map_err(failed),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(e) => Err(failed(e)),
    }
}

/// Reads the first bytes of a log entry. In an entry of this program, they name the lake, the
/// manifest and the run. Also returns whether these bytes are the whole entry.
pub(super) async fn read_head(lake: &Storage, table: &str, version: u64) -> Result<(Bytes, bool)> {
    let key = LakePath::DeltaCommit { table, version }.key();
    let url = || url_of(lake, &key);
    let options = GetOptions { range: Some(GetRange::Bounded(0..HEAD_BYTES)), ..GetOptions::default() };
    let object = lake.store.get_opts(&key, options).await.storage_context("read", url)?;
    let size = object.meta.size;
    let bytes = object.bytes().await.storage_context("read", url)?;
    let is_whole = bytes.len() as u64 == size;
    Ok((bytes, is_whole))
}

/// Returns the `add` action of every file that is live at `version`.
pub(super) async fn live_files(lake: &Storage, table: &str, version: u64) -> Result<Vec<Add>> {
    let failed = failure("read", lake, table);
    let log = log_store(lake, table);
    let snapshot = Files::try_new(log.as_ref(), Some(version)).await.map_err(&failed)?;
    #[expect(deprecated, reason = "the arrays that replace it have no path, size or statistics by name")]
    let files = snapshot.file_views(log.as_ref(), None).map_ok(|file| file.add_action());
    files.try_collect().await.map_err(&failed)
}

/// Puts `entry` as version `version` of the log, unless that version exists.
pub(super) async fn put_version(lake: &Storage, table: &str, version: u64, entry: Bytes) -> Result<PutOutcome> {
    lake.put_if_absent(&LakePath::DeltaCommit { table, version }.key(), entry).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_counts_after_the_newest_checkpoint_only() {
        for (entries, checkpoint, gap) in [
            (&[0, 1, 2][..], None, None),
            (&[0, 2], None, Some(1)),
            (&[1, 2], None, Some(0)),
            (&[51, 52], Some(50), None),
            (&[49, 50, 52], Some(50), Some(51)),
            (&[50], Some(50), None),
            (&[], None, None),
        ] {
            let listing = Listing { entries: entries.to_vec(), checkpoint };
            assert_eq!(listing.first_gap(), gap, "{listing:?}");
        }
    }

    #[test]
    fn entries_and_checkpoints_are_known_by_their_names() {
        let versions = |name: &str| {
            let key = Path::from(format!("songs/_delta_log/{name}"));
            (entry_version(&key), checkpoint_version(&key))
        };
        assert_eq!(versions("00000000000000000007.json"), (Some(7), None));
        assert_eq!(versions("00000000000000000007.checkpoint.parquet"), (None, Some(7)));
        assert_eq!(versions("00000000000000000007.checkpoint.0000000001.0000000002.parquet"), (None, Some(7)));
        assert_eq!(versions("00000000000000000007.crc"), (None, None));
        assert_eq!(versions("_last_checkpoint"), (None, None));
    }
}
