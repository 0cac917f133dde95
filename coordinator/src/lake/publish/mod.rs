//! ⑨ Brings the formats of other engines up to date with the manifests: one Delta log per table,
//! and the versions of the logs that belong together.
//!
//! ```text
//!                  ┌─► delta/       one log for each table, rolled forward ─┐
//!   manifest N ────┤                                                        ├─► consistent/N.json, consistent/latest
//!                  └─► (the next format is a folder beside it)             ─┘
//! ```
//!
//! The manifests decide what is committed; everything here is derived from them. If a process dies
//! before it has published, the next run or query publishes. This file is the seam: other modules
//! use only its functions, and never those of a format.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use lakewright_common::error::{Error, Kind, Result};
use lakewright_common::storage::Storage;

use super::manifest::{Manifest, TableState};

/// The Delta log of each table.
mod delta;
/// The Delta version of each table at one manifest.
mod consistent;
/// The published documents and entries that `check --deep` verifies.
mod documents;

pub(crate) use delta::overwrite::{Correction, Overwritten, overwrite};
pub(crate) use documents::{DamagedDocument, PublishedEntry, documents};

use delta::history::History;
use delta::table_log::CHECKPOINT_INTERVAL;

/// Maximum number of Delta logs that are read at the same time.
const CONCURRENT_LOOKS: usize = 16;

/// Result of publishing one manifest.
#[derive(Debug, Default)]
pub(crate) struct Published {
    /// Delta version of each table at the manifest. A table has no entry if its log failed, or if
    /// another process has already brought it beyond the manifest.
    pub(crate) versions: BTreeMap<String, u64>,
    pub(crate) failures: Vec<Failure>,
}

/// A log that was not rolled forward, or versions that were not published.
#[derive(Debug)]
pub(crate) struct Failure {
    /// `None` if the failure concerns the consistent document.
    pub(crate) table: Option<String>,
    pub(crate) error: Error,
}

/// Rolls the Delta log of every table in `manifest` forward, and publishes the versions that belong
/// together. A table that fails does not stop the others.
pub(crate) async fn publish(lake: &Storage, manifest: &Manifest) -> Published {
    let mut published = delta::roll_forward(lake, manifest).await;
    if let Err(error) = consistent::publish(lake, manifest, &published.versions).await {
        published.failures.push(Failure { table: None, error });
    }
    published
}

/// Completes the publication of `latest`, which may have been committed by a process that died. If
/// nothing is left to do, this costs one small read, and a listing and a small read per table.
/// Returns the failures.
///
/// # Errors
/// A storage error if the published versions cannot be read.
pub(crate) async fn catch_up(lake: &Storage, latest: &Manifest) -> Result<Vec<Failure>> {
    if unverified(lake, latest).await?.is_empty() {
        return Ok(vec![]);
    }
    Ok(publish(lake, latest).await.failures)
}

/// Checks that a run may write to `tables`, before it starts any work: their logs belong to the
/// lake at `base`, are up to date, and have no commits of other programs. A table that is not in
/// `base` is only checked: it is new, or it was removed from `lake.toml` and is added again. A
/// table in `rebuilt` may lack its log and its files, because the run writes all of them.
///
/// # Errors
/// A configuration error that names each table whose log belongs to another history or was changed
/// by another program. A storage error, also for each log that cannot be read.
pub(crate) async fn prepare(
    lake: &Storage,
    base: Option<&Manifest>,
    tables: &[&str],
    rebuilt: &[String],
) -> Result<()> {
    let mut failures = Vec::new();
    if let Some(base) = base {
        for Failure { table, error } in catch_up(lake, base).await? {
            let table = table.as_deref();
            let is_written = table.is_none_or(|table| tables.contains(&table));
            let is_rebuilt = table.is_some_and(|table| rebuilt.iter().any(|rebuilt| rebuilt == table));
            // A table that is no longer in `lake.toml` is not written.
            if !is_written || (is_rebuilt && error.kind == Kind::Storage && !delta::has_log(lake, table).await?) {
                tracing::warn!(table, %error, "the Delta log is not rolled forward");
            } else {
                failures.push(error);
            }
        }
    }
    let is_new = |table: &&str| base.is_none_or(|base| base.table(table).is_none());
    failures.extend(look(lake, base, tables.iter().copied().filter(is_new)).await);
    Error::join(failures).map_or(Ok(()), Err)
}

/// Checks the same as [`prepare`], without writing anything.
///
/// # Errors
/// The errors of [`prepare`].
pub(crate) async fn verify(lake: &Storage, base: Option<&Manifest>, tables: &[&str]) -> Result<()> {
    let known: Vec<String> = match base {
        None => vec![],
        Some(base) => {
            // Run the cheap check first. Only tables that do not pass it need the full check.
            let unverified = unverified(lake, base).await?;
            let is_verified = |table: &&TableState| !unverified.contains(&table.name);
            base.tables.iter().filter(is_verified).map(|table| table.name.clone()).collect()
        }
    };
    let rest = tables.iter().copied().filter(|table| known.iter().all(|known| known != table));
    Error::join(look(lake, base, rest).await).map_or(Ok(()), Err)
}

/// Reads the Delta version of each table at one manifest. Empty if the manifest was never
/// published.
///
/// # Errors
/// A storage error.
pub(crate) async fn versions_at(lake: &Storage, manifest: &Manifest) -> Result<BTreeMap<String, u64>> {
    let published = consistent::at(lake, manifest).await?;
    let tables = published.map(|published| published.tables).unwrap_or_default();
    Ok(tables.into_iter().map(|(table, at)| (table, at.version)).collect())
}

/// Returns how to repair a damaged entry of a table's log if there is no copy of the entry.
pub(crate) async fn repair(lake: &Storage, table: &str) -> String {
    delta::unreadable::repair(lake, table).await
}

/// Numbers of requests that publishing one commit takes, for an estimate. Each pair is the number
/// of GETs, and the number of PUTs and LISTs together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PublishRequests {
    /// Requests for each table, whether or not the run builds it.
    pub(crate) each_table: (u64, u64),
    /// Additional requests for each table that the run builds.
    pub(crate) built_table: (u64, u64),
    /// Requests that do not depend on the number of tables.
    pub(crate) once: (u64, u64),
}

/// Estimates the requests that publish the commit after `base`.
pub(crate) fn requests(base: Option<&Manifest>) -> PublishRequests {
    // Finding the position of a log takes a listing and reads each entry since the last checkpoint
    // twice. The newest entry is read once more to find its manifest, which is read as well.
    let entries = base.map_or(0, |base| 2 + 2 * (base.version % CHECKPOINT_INTERVAL).max(1));
    PublishRequests {
        // The log of a new table is listed twice, before the run and after its commit.
        each_table: (entries, if base.is_some() { 2 } else { 3 }),
        // The new entry is put, and read again for its digest.
        built_table: (1, 1),
        // The published versions are read twice, and put under the manifest's key and under
        // `latest`.
        once: (2 + u64::from(base.is_some()), 2),
    }
}

/// Reads the position of each log, and returns the failures.
async fn look<'a>(lake: &Storage, base: Option<&Manifest>, tables: impl Iterator<Item = &'a str>) -> Vec<Error> {
    let mut history = History::new(lake, base);
    let mut failures = Vec::new();
    for table in tables {
        failures.extend(delta::verify_log(&mut history, table).await.err());
    }
    failures
}

/// Returns the tables of `latest` whose log is not known to be up to date: their versions were not
/// published, a newer entry exists, or the log is damaged.
async fn unverified(lake: &Storage, latest: &Manifest) -> Result<Vec<String>> {
    let published = consistent::latest(lake).await?.filter(|published| published.is_of(latest));
    let at = |table: &TableState| published.as_ref().and_then(|published| published.tables.get(&table.name).cloned());
    let tables: Vec<_> = latest.tables.iter().map(|table| (table.name.clone(), at(table))).collect();
    let looks = tables.into_iter().map(|(table, at)| async move {
        let is_verified = match at {
            Some(at) => delta::is_last_and_ours(lake, &table, &at, latest.lake_id).await?,
            None => false,
        };
        Ok((!is_verified).then_some(table))
    });
    let unverified: Vec<Option<String>> = stream::iter(looks).buffered(CONCURRENT_LOOKS).try_collect().await?;
    Ok(unverified.into_iter().flatten().collect())
}
