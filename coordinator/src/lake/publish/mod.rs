//! ⑨ Publishes the manifests for other engines: one Delta log per table, and documents that name
//! the Delta versions that belong together.
//!
//! ```text
//!                  ┌─► delta/       one log for each table, rolled forward ─┐
//!   manifest N ────┤                                                        ├─► consistent/N.json, consistent/latest
//!                  └─► (the next format is a folder beside it)             ─┘
//! ```
//!
//! The manifests decide what is committed; everything here is derived from them. If a process dies
//! before it has published, the next run or query publishes. Other modules use only the functions
//! of this file, and never those of a single format.

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

use delta::checkpoint::CHECKPOINT_INTERVAL;
use delta::history::History;

/// Maximum number of Delta logs that are read at the same time.
const CONCURRENT_LOOKS: usize = 16;

/// Result of publishing one manifest.
#[derive(Debug, Default)]
pub(crate) struct Published {
    /// Delta version of each table at the manifest. A table is missing here if its log could not be
    /// rolled forward, or if another process has already rolled the log beyond the manifest.
    pub(crate) versions: BTreeMap<String, u64>,
    pub(crate) failures: Vec<Failure>,
}

/// Failure to roll a Delta log forward, or to publish the consistent document.
#[derive(Debug)]
pub(crate) struct Failure {
    /// `None` if the failure concerns the consistent document.
    pub(crate) table: Option<String>,
    pub(crate) error: Error,
}

/// Rolls the Delta log of every table in `manifest` forward, and publishes the Delta versions that
/// belong together. If the log of one table fails, the others continue.
pub(crate) async fn publish(lake: &Storage, manifest: &Manifest) -> Published {
    let mut published = delta::roll_forward(lake, manifest).await;
    if let Err(error) = consistent::publish(lake, manifest, &published.versions).await {
        published.failures.push(Failure { table: None, error });
    }
    published
}

/// Completes the publication of `latest`: the process that committed it may have died before it had
/// published everything. If nothing is left to do, this costs one small read, and a listing and a
/// small read per table. Returns the failures.
///
/// # Errors
/// A storage error if the published versions or the Delta logs cannot be read.
pub(crate) async fn catch_up(lake: &Storage, latest: &Manifest) -> Result<Vec<Failure>> {
    if unverified(lake, latest).await?.is_empty() {
        return Ok(vec![]);
    }
    Ok(publish(lake, latest).await.failures)
}

/// Prepares the Delta logs of `tables` before a run starts any work: rolls the logs forward to
/// `base`, and checks that they belong to this lake and that no other program changed the tables.
/// If a table is not in `base`, its log is only checked. Such a table is new, or was removed from
/// `lake.toml` and is now added again. A table in `rebuilt` may lack its log and its files, because
/// the run writes all of them.
///
/// # Errors
/// A configuration error that names each table with a log that does not match the manifests or was
/// changed by another program. A storage error, also for each log that cannot be read.
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
            // Only warn if the run does not write the table, because it is no longer in
            // `lake.toml`, or if the run writes the table again and its log is gone.
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

/// Returns a hint on how to repair a table's Delta log if one of its entries is damaged and there
/// is no copy of this entry.
pub(crate) async fn repair(lake: &Storage, table: &str) -> String {
    delta::unreadable::repair(lake, table).await
}

/// Estimated numbers of requests for publishing one commit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PublishRequests {
    /// Requests for each table, whether or not the run builds it.
    pub(crate) each_table: Requests,
    /// Additional requests for each table that the run builds.
    pub(crate) built_table: Requests,
    /// Requests that do not depend on the number of tables.
    pub(crate) once: Requests,
}

/// Numbers of requests in the two price classes of S3.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Requests {
    pub(crate) gets: u64,
    pub(crate) puts_and_lists: u64,
}

/// Estimates the requests for publishing the commit that follows `base`.
pub(crate) fn requests(base: Option<&Manifest>) -> PublishRequests {
    // Finding the position of a log takes two listings, and reads each entry since the last
    // checkpoint twice. Then the newest entry and the manifest that it names are read.
    let entries = base.map_or(0, |base| 2 + 2 * (base.version % CHECKPOINT_INTERVAL).max(1));
    PublishRequests {
        // A missing log takes one more listing, which checks whether later entries exist. This
        // happens before the run and after its commit.
        each_table: Requests { gets: entries, puts_and_lists: if base.is_some() { 2 } else { 3 } },
        // The new entry is put, and read again for its digest.
        built_table: Requests { gets: 1, puts_and_lists: 1 },
        // The published versions are read twice, and put under the manifest's key and under
        // `latest`.
        once: Requests { gets: 2 + u64::from(base.is_some()), puts_and_lists: 2 },
    }
}

/// Checks the Delta log of each table, and returns the errors.
async fn look<'a>(lake: &Storage, base: Option<&Manifest>, tables: impl Iterator<Item = &'a str>) -> Vec<Error> {
    let mut history = History::new(lake, base);
    let mut failures = Vec::new();
    for table in tables {
        failures.extend(delta::verify_log(&mut history, table).await.err());
    }
    failures
}

/// Returns the tables of `latest` with a log that is not known to be up to date. Such a log has no
/// version that was published for `latest`, or has a newer entry, or is damaged.
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
