//! Writes a checkpoint of a Delta log every `CHECKPOINT_INTERVAL` versions.

use delta_kernel::snapshot::Snapshot;
use lakewright_common::error::Result;
use lakewright_common::process::failpoint::{self, FailPoint};
use lakewright_common::storage::Storage;

use super::log_store::{failure, log_store};
use crate::lake::LakePath;

/// Number of versions from one checkpoint to the next.
pub(in crate::lake::publish) const CHECKPOINT_INTERVAL: u64 = 50;

/// Writes a checkpoint of `version` if it is a multiple of [`CHECKPOINT_INTERVAL`]. A failure is
/// only logged, because a log without a checkpoint is correct and only slower to read.
pub(super) async fn write_if_due(lake: &Storage, table: &str, version: u64) {
    if version == 0 || !version.is_multiple_of(CHECKPOINT_INTERVAL) {
        return;
    }
    failpoint::reach(FailPoint::DeltaBeforeCheckpoint);
    if let Err(e) = write(lake, table, version).await {
        tracing::warn!(table, version, error = %e, "cannot write a checkpoint of the Delta log");
    }
    failpoint::reach(FailPoint::DeltaAfterCheckpoint);
}

/// Writes a checkpoint of one version: the table's state in one Parquet file, so that readers need
/// not read the entries before it.
async fn write(lake: &Storage, table: &str, version: u64) -> Result<()> {
    let log = log_store(lake, table);
    let (engine, root) = (log.engine(None), log.root_url().clone());
    let write = move || -> delta_kernel::DeltaResult<()> {
        let snapshot = Snapshot::builder_for(root).at_version(version).build(engine.as_ref())?;
        snapshot.checkpoint(engine.as_ref(), None)?;
        Ok(())
    };
    let written = tokio::task::spawn_blocking(write).await.map_err(failure("checkpoint", lake, table))?;
    written.map_err(failure("checkpoint", lake, table))?;
    // Sync the checkpoint, because a power cut could leave it half-written, and readers would still
    // use it instead of the entries.
    lake.sync_files(&[LakePath::DeltaCheckpoint { table, version }.key(), LakePath::DeltaLastCheckpoint(table).key()])
        .await
}
