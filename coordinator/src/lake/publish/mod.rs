//! ⑨ What other engines read, brought up to the manifests: one Delta log for each table, and the versions of the logs
//! that belong together.
//!
//! ```text
//!                  ┌─► delta/       one log for each table, rolled forward ─┐
//!   manifest N ────┤                                                        ├─► consistent/N.json, consistent/latest
//!                  └─► (the next format is a folder beside it)             ─┘
//! ```
//!
//! The manifests decide what is committed; everything here repeats them. A process that dies before it has published leaves
//! that to the next run or query.

use futures::{StreamExt, TryStreamExt, stream};
use lakewright_common::error::{Error, Kind, Result};
use lakewright_common::storage::Storage;

use super::manifest::{Manifest, TableState};

/// The Delta log of each table.
pub(crate) mod delta;
/// The Delta version of each table at one manifest.
pub(crate) mod consistent;

pub(crate) use delta::Rolled;
use delta::history::History;
use delta::standing::{joined, standing};

/// Delta logs that are read at the same time.
const CONCURRENT_LOOKS: usize = 16;

/// Rolls the Delta log of every table in `manifest` forward, and publishes the versions that belong together.
///
/// The failures of single tables are in the answer: the other tables are published all the same.
///
/// # Errors
/// Storage, if the versions cannot be published.
pub(crate) async fn publish(lake: &Storage, manifest: &Manifest) -> Result<Rolled> {
    let rolled = delta::roll_forward(lake, manifest).await;
    consistent::publish(lake, manifest, &rolled.versions).await?;
    Ok(rolled)
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
    Ok(publish(lake, latest).await?.failures)
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
            Some(version) => delta::is_last_and_ours(lake, &table, version, latest.lake_id).await?,
            None => false,
        };
        Ok((!is_verified).then_some(table))
    });
    let unverified: Vec<Option<String>> = stream::iter(looks).buffered(CONCURRENT_LOOKS).try_collect().await?;
    Ok(unverified.into_iter().flatten().collect())
}
