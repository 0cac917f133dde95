//! ⑨ Every table's Delta log brought up to a manifest, however far behind it is.
//!
//! ```text
//! the log says txn 5                       manifests that changed the table: 5, 8, 9
//!   └─► 8 and 9 are missing ─► entry of 8 ─► put version N+1 if absent ─► entry of 9 ─► put version N+2 if absent
//!                                              └─ exists: read the log again, start over
//! ```
//!
//! The manifests decide what was committed and in which order; a log only repeats it for readers that know Delta.
//! A run rolls forward what it committed; a process that died in between left it to the next one, run or query. Any
//! number of processes may do it at once: a `txn` action in every entry says how far the log is, an entry is put only
//! if absent, and whoever is late finds nothing to do.

use std::collections::BTreeMap;
use std::time::Duration;

use lakewright_common::error::{Error, Kind, Result};
use lakewright_common::process::failpoint;
use lakewright_common::storage::{PutOutcome, Storage};
use uuid::Uuid;

use crate::lake::manifest::{Manifest, TableState};

/// From one state of a table to the next as the actions of one Delta commit.
pub(crate) mod actions;
/// One table's Delta log: its position, one more version, a checkpoint.
pub(crate) mod table_log;
/// One commit of a Delta log, of this program or another, and what it changes.
mod log_entry;
/// The manifests that logs are rolled forward from and compared with.
pub(super) mod history;
/// Whether a log belongs to this lake and no other program changed its table.
pub(crate) mod standing;
/// A log made equal to the newest manifest again.
pub(crate) mod overwrite;

use actions::Change;
use history::History;
use log_entry::{Entry, lake_id_in};
use standing::standing;
use table_log::{CHECKPOINT_INTERVAL, LogPosition};

/// Starts over on one table; each one means that another process moved the log, or that a put failed.
const MAX_ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(50);

/// What became of the logs of some tables.
#[derive(Debug, Default)]
pub(crate) struct Rolled {
    /// The Delta version of each table at the manifest. A table whose log another process has already taken beyond the
    /// manifest is left out.
    pub(crate) versions: BTreeMap<String, u64>,
    /// Tables whose log was left as it is, and why.
    pub(crate) failures: Vec<(String, Error)>,
}

/// Whether `version` is the last one of a log, and an entry of the lake with this id.
pub(super) async fn is_last_and_ours(lake: &Storage, table: &str, version: u64, lake_id: Option<Uuid>) -> Result<bool> {
    if table_log::commits_from(lake, table, version).await? != [version] {
        return Ok(false);
    }
    let (bytes, is_whole) = table_log::read_head(lake, table, version).await?;
    let is_ours = !is_whole || Entry::parse(version, &bytes).is_ok_and(|entry| entry.own.is_some());
    Ok(is_ours && lake_id_in(&bytes) == lake_id)
}

/// Rolls the log of every table in `latest` forward, in its order. A log that belongs to another history or program is
/// left as it is, and the others are rolled all the same. The commit stands whatever happens here, and the next call
/// goes on where this one failed.
pub(crate) async fn roll_forward(lake: &Storage, latest: &Manifest) -> Rolled {
    let mut history = History::new(lake, Some(latest));
    let mut rolled = Rolled::default();
    for table in &latest.tables {
        match roll_table(&mut history, latest, table).await {
            Ok(Some(version)) => drop(rolled.versions.insert(table.name.clone(), version)),
            Ok(None) => {}
            Err(error) => {
                let is_of_the_table = error.kind == Kind::Configuration;
                rolled.failures.push((table.name.clone(), error));
                // Storage that fails would fail, after many tries, for each of the others too.
                if !is_of_the_table {
                    break;
                }
            }
        }
    }
    rolled
}

/// Brings one log up to `table`'s state in `latest`; answers with its version there.
pub(in crate::lake) async fn roll_table(
    history: &mut History<'_>,
    latest: &Manifest,
    table: &TableState,
) -> Result<Option<u64>> {
    let mut failure = None;
    for attempt in 0..MAX_ATTEMPTS {
        if attempt > 0 {
            tokio::time::sleep(PAUSE * attempt).await;
        }
        let position = standing(history, &table.name).await?;
        let rolled = position.as_ref().and_then(|position| position.manifest).unwrap_or(0);
        if rolled >= table.changed_in {
            return Ok(position.filter(|_| rolled <= latest.version).map(|position| position.version));
        }
        let changes = history.changes(table, rolled).await?;
        match put_changes(history.lake, &table.name, position, &changes).await {
            Ok(Some(version)) => return Ok(Some(version)),
            Ok(None) => {}
            // The entry may be there all the same: the next look at the log tells.
            Err(e) => failure = Some(e),
        }
    }
    Err(failure.unwrap_or_else(|| {
        Error::internal(format!("the Delta log of table `{}` moves faster than it can be read", table.name))
    }))
}

/// Puts one entry per change; answers with the last version, or `None` where another process was faster.
async fn put_changes(
    lake: &Storage,
    table: &str,
    position: Option<LogPosition>,
    changes: &[Change],
) -> Result<Option<u64>> {
    let mut version = position.as_ref().map(|position| position.version);
    let metadata = position.map(|position| position.metadata);
    for change in changes {
        let next = version.map_or(0, |version| version + 1);
        // A log that began just now gets its id from version 0, which the next look reads.
        if next > 0 && metadata.is_none() {
            return Ok(None);
        }
        failpoint::reach("delta.before_log");
        match table_log::put_version(lake, table, next, actions::encode(change, metadata.as_ref())?).await? {
            PutOutcome::Created => version = Some(next),
            PutOutcome::Exists => return Ok(None),
        }
        failpoint::reach("delta.after_log");
        checkpoint_if_due(lake, table, next).await;
    }
    Ok(version)
}

/// A log without a checkpoint is slower to read and as right as with one, so a failure is told and forgotten.
pub(in crate::lake) async fn checkpoint_if_due(lake: &Storage, table: &str, version: u64) {
    if version == 0 || !version.is_multiple_of(CHECKPOINT_INTERVAL) {
        return;
    }
    failpoint::reach("delta.before_checkpoint");
    if let Err(e) = table_log::write_checkpoint(lake, table, version).await {
        tracing::warn!(table, version, error = %e, "no checkpoint of the Delta log was written");
    }
    failpoint::reach("delta.after_checkpoint");
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
mod tests;
