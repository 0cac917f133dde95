//! ⑨ Rolls the Delta log of every table forward to a manifest, no matter how many manifests the log
//! is behind.
//!
//! ```text
//! the log says txn 5                       manifests that changed the table: 5, 8, 9
//!   └─► 8 and 9 are missing ─► entry of 8 ─► put version N+1 if absent ─► entry of 9 ─► put version N+2 if absent
//!                                              └─ exists: read the log again, start over
//! ```
//!
//! The manifests decide what was committed, and the order of commits. A log repeats this for Delta
//! readers. A run rolls the logs forward after its commit. If its process dies before that, the
//! next run or query does it. Any number of processes may do it at the same time: a `txn` action in
//! every entry names the manifest that the log has reached, an entry is put only if absent, and a
//! late process finds nothing to do.

use std::time::Duration;

use lakewright_common::digest;
use lakewright_common::error::{Error, Kind, Result};
use lakewright_common::process::failpoint::{self, FailPoint};
use lakewright_common::storage::{PutOutcome, Storage};
use object_store::ObjectStoreExt;
use uuid::Uuid;

use super::consistent::{self, TableVersion};
use super::{Failure, Published};
use crate::lake::LakePath;
use crate::lake::manifest::{Manifest, TableState};

/// The change from one state of a table to the next, as the actions of one Delta commit.
mod actions;
/// Opens a table's log with the Delta library.
mod log_store;
/// Writes checkpoints, so that readers need not read a log from its start.
pub(super) mod checkpoint;
/// One table's Delta log on storage: reads its position and entries, and puts an entry.
mod table_log;
/// One commit of a Delta log, of this program or another, and what it changes.
mod log_entry;
/// The manifests that logs are rolled forward from and compared with.
pub(super) mod history;
/// The newest entries of a log, back to our newest one.
mod tail;
/// Hints that say how to repair a log, and the error for a damaged entry.
mod repair_hints;
/// Checks that a log belongs to this lake and that no other program changed its table.
mod standing;
/// Explains why a log cannot be read, and how to repair it.
pub(super) mod unreadable;
/// The files that a manifest names, compared with those in the table's folder.
mod files;
/// Makes a log equal to the newest manifest again.
pub(super) mod overwrite;

use actions::Change;
use history::History;
use log_entry::{Entry, lake_id_in};
use standing::standing;
use table_log::LogPosition;

/// Maximum number of attempts to roll one log forward. Another attempt is needed if another process
/// wrote to the log, or if a put failed.
const MAX_ATTEMPTS: u32 = 20;
/// Maximum number of attempts to roll one log forward, once the log of another table has failed.
/// Lower than [`MAX_ATTEMPTS`], because all attempts may fail for the same reason.
const ATTEMPTS_AFTER_FAILURE: u32 = 3;
const PAUSE: Duration = Duration::from_millis(50);

/// Returns whether three things are true of a log: no entry is missing, `at` is its last version,
/// and the entry of that version is the published one and belongs to the lake `lake_id`. If the
/// entry is long, only the lake is compared.
pub(super) async fn is_last_and_ours(
    lake: &Storage,
    table: &str,
    at: &TableVersion,
    lake_id: Option<Uuid>,
) -> Result<bool> {
    let listing = table_log::list_needed(lake, table, at.version).await?;
    if listing.entries.last() != Some(&at.version) || listing.first_gap().is_some() {
        return Ok(false);
    }
    // Only the start of a long entry is read. It cannot be parsed or compared with a digest, so
    // only its lake id is compared.
    let (bytes, is_whole) = table_log::read_head(lake, table, at.version).await?;
    let is_ours = !is_whole
        || (at.allows(&digest::of(&bytes)) && Entry::parse(at.version, &bytes).is_ok_and(|entry| entry.own.is_some()));
    Ok(is_ours && lake_id_in(&bytes) == lake_id)
}

/// Checks that a log can be rolled forward. If the log is missing, it can be written again only if
/// the files of the table exist.
pub(super) async fn verify_log(history: &mut History<'_>, table: &str) -> Result<()> {
    let position = standing(history, table).await?;
    let newest = history.newest().cloned();
    match (position, newest.as_ref().and_then(|newest| newest.table(table))) {
        (None, Some(state)) => files::changes_with_files(history.lake, state, vec![]).await.map(drop),
        _ => Ok(()),
    }
}

/// Returns whether a table has a Delta log, readable or not. `false` if `table` is `None`.
pub(super) async fn has_log(lake: &Storage, table: Option<&str>) -> Result<bool> {
    match table {
        Some(table) => Ok(table_log::list_from(lake, table, 0).await? != table_log::Listing::default()),
        None => Ok(false),
    }
}

/// Rolls the log of every table forward to `latest`, in the order of the manifest.
///
/// If one table fails, its log stays behind, and the other tables continue. The commit is valid in
/// any case, and the next call rolls the log further.
pub(super) async fn roll_forward(lake: &Storage, latest: &Manifest) -> Published {
    let mut history = History::new(lake, Some(latest));
    let mut published = Published::default();
    let mut attempts = MAX_ATTEMPTS;
    for table in &latest.tables {
        match roll_table(&mut history, latest, table, attempts).await {
            Ok(Some(version)) => drop(published.versions.insert(table.name.clone(), version)),
            Ok(None) => {}
            Err(error) => {
                let may_be_storage = error.kind != Kind::Configuration;
                published.failures.push(Failure { table: Some(table.name.clone()), error });
                // If not even the manifest can be read, all other tables would fail as well.
                if may_be_storage && !is_readable(lake, latest).await {
                    break;
                }
                // If storage accepts no writes, all attempts for the other tables would fail as
                // well, so make fewer.
                if may_be_storage {
                    attempts = ATTEMPTS_AFTER_FAILURE;
                }
            }
        }
    }
    published
}

/// Returns whether storage responds at all. If it does not, every table fails, not only one.
async fn is_readable(lake: &Storage, latest: &Manifest) -> bool {
    let key = LakePath::Manifest(latest.version).key();
    matches!(lake.store.head(&key).await, Ok(_) | Err(object_store::Error::NotFound { .. }))
}

/// Rolls one log forward to `table`'s state in `latest`. Returns the Delta version with that state,
/// or `None` if another process has already rolled the log beyond `latest`.
async fn roll_table(
    history: &mut History<'_>,
    latest: &Manifest,
    table: &TableState,
    attempts: u32,
) -> Result<Option<u64>> {
    let mut failure = None;
    let mut is_written_anew = false;
    for attempt in 0..attempts {
        if attempt > 0 {
            tokio::time::sleep(PAUSE * attempt).await;
        }
        let position = standing(history, &table.name).await?;
        // Manifests start at 1, so 0 means that all changes of the table are missing.
        let rolled = position.as_ref().and_then(|position| position.manifest).unwrap_or(0);
        let mut version = None;
        if rolled >= table.changed_in {
            // If the log is beyond `latest`, its newest version does not belong to `latest`.
            version = position.filter(|_| rolled <= latest.version).map(|position| position.version);
            if version.is_none() {
                return Ok(None);
            }
        } else {
            let changes = history.changes(table, rolled).await?;
            let next = position.as_ref().map_or(0, |position| position.version + 1);
            let (changes, is_anew) = prepare_log(history, table, next, changes).await?;
            is_written_anew |= is_anew;
            match put_changes(history.lake, &table.name, position, &changes).await {
                Ok(last) => version = last,
                // The entry may have been written despite the error. The next attempt reads the
                // log.
                Err(e) => failure = Some(e),
            }
        }
        if version.is_some() {
            if is_written_anew {
                // The versions that replaced withdrawn ones have no digests yet. Their entries
                // exist now.
                consistent::complete_digests(history.lake, &table.name).await?;
            }
            return Ok(version);
        }
    }
    Err(failure.unwrap_or_else(|| {
        Error::internal(format!("the Delta log of table `{}` moves faster than it can be read", table.name))
    }))
}

/// Prepares the log for new entries: `changes` will be put as version `next` and the versions after
/// it. If the log was moved away, deleted, or replaced by an older copy, other entries may have had
/// these versions before.
///
/// The new log must not name files that no longer exist, so changes with missing files are left
/// out. Published Delta versions are withdrawn before the log gets other entries under the same
/// numbers. Returns the changes to put, and whether versions were withdrawn.
async fn prepare_log(
    history: &mut History<'_>,
    table: &TableState,
    next: u64,
    mut changes: Vec<Change>,
) -> Result<(Vec<Change>, bool)> {
    let published = history.published(&table.name).await?.map(|at| at.version);
    let is_anew = published.is_some_and(|version| version >= next);
    // Version 0 adds all files of the oldest change. If the log existed before or several changes
    // are missing, files of older changes may have been deleted.
    if next == 0 && (is_anew || changes.len() > 1) {
        changes = files::changes_with_files(history.lake, table, changes).await?;
    }
    if is_anew {
        // The Delta version of a manifest is that of the table's last change up to this manifest.
        let version_of = |manifest: u64| {
            let changes_until = changes.iter().take_while(|change| change.version <= manifest).count() as u64;
            changes_until.checked_sub(1).map(|last| next + last)
        };
        consistent::withdraw(history.lake, &table.name, |at| at.version >= next, version_of).await?;
        history.forget_published();
    }
    Ok((changes, is_anew))
}

/// Puts one entry for each change. Returns the last version, or `None` if another process put an
/// entry first.
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
        // Later entries need the random table id in version 0, which the next attempt reads from
        // the log.
        if next > 0 && metadata.is_none() {
            return Ok(None);
        }
        failpoint::reach(FailPoint::DeltaBeforeLog);
        match table_log::put_version(lake, table, next, actions::encode(change, metadata.as_ref())?).await? {
            PutOutcome::Created => version = Some(next),
            PutOutcome::Exists => return Ok(None),
        }
        failpoint::reach(FailPoint::DeltaAfterLog);
        checkpoint::write_if_due(lake, table, next).await;
    }
    Ok(version)
}

#[cfg(test)]
mod tests;
