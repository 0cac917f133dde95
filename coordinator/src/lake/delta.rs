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

use futures::{StreamExt, TryStreamExt, stream};
use lakewright_common::error::{Error, Kind, Result};
use lakewright_common::failpoint;
use lakewright_common::storage::{PutOutcome, Storage};
use uuid::Uuid;

use super::actions::{self, Change};
use super::consistent;
use super::history::History;
use super::log_entry::{Entry, lake_id_in};
use super::manifest::{Manifest, TableState};
use super::standing::{joined, standing};
use super::table_log::{self, CHECKPOINT_INTERVAL, LogPosition};

/// Starts over on one table; each one means that another process moved the log, or that a put failed.
const MAX_ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(50);
/// Logs that are looked at simultaneously.
const CONCURRENT_LOOKS: usize = 16;

/// What became of the logs of some tables.
#[derive(Debug, Default)]
pub(crate) struct Rolled {
    /// The Delta version of each table at the manifest. A table whose log another process has already taken beyond the
    /// manifest is left out.
    pub(crate) versions: BTreeMap<String, u64>,
    /// Tables whose log was left as it is, and why.
    pub(crate) failures: Vec<(String, Error)>,
}

/// Does what is left to do after the put of `latest`: rolls the logs forward and publishes their versions. Costs one
/// small read, and a listing and a small read a table, when nothing is; returns the tables whose log cannot be rolled, and why.
///
/// # Errors
/// Storage.
pub(crate) async fn catch_up(lake: &Storage, latest: &Manifest) -> Result<Vec<(String, Error)>> {
    if unverified(lake, latest).await?.is_empty() {
        return Ok(vec![]);
    }
    let rolled = roll_forward(lake, latest).await;
    consistent::publish(lake, latest, &rolled.versions).await?;
    Ok(rolled.failures)
}

/// Makes sure that a run may write to `tables`, before it starts any work: their logs are those of the lake at `base`, up
/// to date, and without commits of other programs. Only looks at tables that are not in `base`, which may be new or come
/// back.
///
/// # Errors
/// Configuration, naming each table whose log is of another history or was changed by another program; storage.
pub(crate) async fn prepare(lake: &Storage, base: Option<&Manifest>, tables: &[&str]) -> Result<()> {
    let mut failures = Vec::new();
    if let Some(base) = base {
        for (table, error) in catch_up(lake, base).await? {
            // A table that is not in `lake.toml` any more is not written.
            if tables.contains(&table.as_str()) {
                failures.push(error);
            } else {
                tracing::warn!(table, %error, "the Delta log is not rolled forward");
            }
        }
    }
    let is_new = |table: &&str| base.is_none_or(|base| base.table(table).is_none());
    failures.extend(look(lake, base, tables.iter().copied().filter(is_new)).await?);
    if failures.is_empty() { Ok(()) } else { Err(joined(failures)) }
}

/// As [`prepare`], but writes nothing.
///
/// # Errors
/// As [`prepare`].
pub(crate) async fn verify(lake: &Storage, base: Option<&Manifest>, tables: &[&str]) -> Result<()> {
    let known: Vec<String> = match base {
        None => vec![],
        Some(base) => {
            let unverified = unverified(lake, base).await?;
            let is_verified = |table: &&TableState| !unverified.contains(&table.name);
            base.tables.iter().filter(is_verified).map(|table| table.name.clone()).collect()
        }
    };
    let rest = tables.iter().copied().filter(|table| known.iter().all(|known| known != table));
    let failures = look(lake, base, rest).await?;
    if failures.is_empty() { Ok(()) } else { Err(joined(failures)) }
}

/// Reads where each log is; returns what is wrong with them.
async fn look<'a>(
    lake: &Storage,
    base: Option<&Manifest>,
    tables: impl Iterator<Item = &'a str>,
) -> Result<Vec<Error>> {
    let mut history = History::new(lake, base);
    let mut failures = Vec::new();
    for table in tables {
        match standing(&mut history, table).await {
            Ok(_) => {}
            Err(error) if error.kind == Kind::Configuration => failures.push(error),
            Err(error) => return Err(error),
        }
    }
    Ok(failures)
}

/// The tables of `latest` whose log is not known to be up to date: their versions were not published, or something was
/// committed since.
async fn unverified(lake: &Storage, latest: &Manifest) -> Result<Vec<String>> {
    let published = consistent::latest(lake).await?.filter(|published| published.is_of(latest));
    let version = |table: &TableState| published.as_ref().and_then(|published| published.version(&table.name));
    let tables: Vec<_> = latest.tables.iter().map(|table| (table.name.clone(), version(table))).collect();
    let looks = tables.into_iter().map(|(table, version)| async move {
        let is_verified = match version {
            Some(version) => is_last_and_ours(lake, &table, version, latest.lake_id).await?,
            None => false,
        };
        Ok((!is_verified).then_some(table))
    });
    let unverified: Vec<Option<String>> = stream::iter(looks).buffered(CONCURRENT_LOOKS).try_collect().await?;
    Ok(unverified.into_iter().flatten().collect())
}

/// Whether `version` is the last one of a log, and an entry of the lake with this id.
async fn is_last_and_ours(lake: &Storage, table: &str, version: u64, lake_id: Option<Uuid>) -> Result<bool> {
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
pub(super) async fn roll_table(
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
            return Ok(position.filter(|_| rolled <= latest.number).map(|position| position.version));
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
pub(super) async fn checkpoint_if_due(lake: &Storage, table: &str, version: u64) {
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
