//! Whether a table's Delta log is the one that the manifests tell of, before anything is added to it.
//!
//! ```text
//!   Delta log     0   1   2   3   4        manifests   1   2   3   4   5
//!                 │   │   │   └─┬─┘                    │   │       │
//!                 1   2   4     └─ another program's   └───┴───────┘  same numbers, same runs?
//!                 └───┴───┴─ entries of ours: number and run of their manifest
//! ```
//!
//! The newest entry of ours must belong to the run of the manifest of that number, no entry may belong to a manifest
//! that does not exist, and the lake's id in the table's configuration must be the manifests'. Commits of other
//! programs behind it are read one by one: those that leave the table as it is are passed over, any other stops the run. By
//! Delta's protocol a writer has read the log up to the version before its own; this is where it is read. Entries
//! before the newest of ours were looked at when that one was put.

use lakewright_common::error::{Error, Kind, Result};
use lakewright_common::storage::Storage;
use uuid::Uuid;

use super::actions::lake_id_of;
use super::history::History;
use super::log_entry::{Entry, Own, are_harmless};
use super::table_log::{self, LogPosition};
use crate::lake::manifest::{Manifest, TableState};
use crate::lake::{LakePath, url_of};

/// Commits of other programs that are read to find the newest of ours.
const MAX_READ: usize = 200;
/// What to do about logs and manifests of different times.
const RESTORE: &str = "restore `_lake` as it was when the tables were last written, or make the Delta logs equal to the newest manifest \
                       with `coordinator publish --overwrite`";

/// Reads where a log is, once it is known to be of this lake and to hold what its newest entry of ours left; `None` where
/// there is no log.
///
/// # Errors
/// Configuration, naming the table and what its log and the manifests say; storage.
pub(crate) async fn standing(history: &mut History<'_>, table: &str) -> Result<Option<LogPosition>> {
    let lake = history.lake;
    let mut position = match table_log::position(lake, table).await {
        Ok(Some(position)) => position,
        Ok(None) => return Ok(None),
        Err(error) => return Err(explained(lake, table, error).await),
    };
    if position.manifest.is_none() {
        return Err(not_ours(lake, table));
    }
    let Tail { own, foreign } = read_tail(lake, table, position.version).await?;
    let state = match history.newest().cloned() {
        None => return Err(no_version(lake, table, own, &position)),
        Some(newest) => verify_origin(history, &newest, table, own, &position).await?,
    };
    if !foreign.is_empty() && !state.is_some_and(|state| are_harmless(&foreign, &state)) {
        return Err(changed_by_others(table, own.manifest, &foreign));
    }
    position.manifest = Some(own.manifest);
    Ok(Some(position))
}

/// Why a log cannot be read: another program's commit, if there is one after ours, or the entry that is damaged; else the
/// error as it is.
async fn explained(lake: &Storage, table: &str, error: Error) -> Error {
    let newest = match table_log::commits_from(lake, table, 0).await {
        Ok(versions) => versions.last().copied(),
        Err(_) => None,
    };
    let Some(newest) = newest else { return error };
    match read_tail(lake, table, newest).await {
        Ok(Tail { own, foreign }) if !foreign.is_empty() => {
            changed_by_others(table, own.manifest, &foreign).caused_by(error)
        }
        Err(damaged) if damaged.kind == Kind::Storage => damaged,
        _ => error,
    }
}

/// The newest entry of ours, and what other programs committed after it, oldest first.
struct Tail {
    own: Own,
    foreign: Vec<Entry>,
}

async fn read_tail(lake: &Storage, table: &str, newest: u64) -> Result<Tail> {
    let mut foreign = Vec::new();
    for version in (0..=newest).rev() {
        let key = LakePath::DeltaCommit { table, version }.key();
        let Some(bytes) = table_log::read_commit(lake, table, version).await? else {
            return Err(unread(lake, table, version, &foreign));
        };
        let entry = Entry::parse(version, &bytes).map_err(|mut error| {
            error.message = format!("`{}`: {}", url_of(lake, &key), error.message);
            error.hint(format!(
                "restore it from a copy, or move `{}` away and run `coordinator publish`, which writes the log anew",
                url_of(lake, &LakePath::DeltaLog(table).key())
            ))
        })?;
        match entry.own {
            Some(own) => {
                foreign.reverse();
                return Ok(Tail { own, foreign });
            }
            None if foreign.len() == MAX_READ => return Err(unread(lake, table, version, &foreign)),
            None => foreign.push(entry),
        }
    }
    Err(unread(lake, table, 0, &foreign))
}

/// Compares number, run and lake; answers with the table as the log's manifest has it, if that is known.
async fn verify_origin(
    history: &mut History<'_>,
    newest: &Manifest,
    table: &str,
    own: Own,
    position: &LogPosition,
) -> Result<Option<TableState>> {
    let (theirs, ours) = (lake_id_of(&position.metadata), newest.lake_id);
    let is_same_lake = theirs.is_some() && theirs == ours;
    if theirs.is_some() && !is_same_lake {
        return Err(other_lake(table, newest, theirs, ours));
    }
    // A newer manifest than the one in hand is another process's commit, unless it does not exist.
    match history.get(own.manifest).await? {
        Some(manifest) if manifest.run != own.run => Err(other_run(table, own, manifest.run, position)),
        Some(manifest) => Ok(manifest.table(table).cloned()),
        None if own.manifest > newest.version => Err(ahead(table, own, newest, position)),
        // The manifest was deleted; its run cannot be compared, the id of the lake can.
        None if is_same_lake => Ok(newest.table(table).filter(|state| state.changed_in <= own.manifest).cloned()),
        None => Err(Error::configuration(format!(
            "table `{table}`: its Delta log is at version {} of the lake, whose manifest `{}` is missing",
            own.manifest,
            url_of(history.lake, &LakePath::Manifest(own.manifest).key())
        ))
        .hint(RESTORE)),
    }
}

/// The log never was this program's.
pub(in crate::lake) fn not_ours(lake: &Storage, table: &str) -> Error {
    let log = url_of(lake, &LakePath::DeltaLog(table).key());
    Error::configuration(format!("`{log}` is the log of a Delta table that this program did not write"))
        .hint(format!("move that table away, or name table `{table}` of `lake.toml` otherwise"))
}

fn no_version(lake: &Storage, table: &str, own: Own, position: &LogPosition) -> Error {
    Error::configuration(format!(
        "table `{table}`: its Delta log is at version {} of a lake (Delta version {}), and the lake `{}` has no version",
        own.manifest, position.version, lake.root
    ))
    .hint(format!("restore `_lake` from a copy of the lake; to start over, move the folder `{table}` away"))
}

fn ahead(table: &str, own: Own, newest: &Manifest, position: &LogPosition) -> Error {
    Error::configuration(format!(
        "table `{table}`: its Delta log is at version {} of the lake (Delta version {}, run `{}`), and the newest manifest is version {}",
        own.manifest, position.version, own.run, newest.version
    ))
    .hint(RESTORE)
}

fn other_run(table: &str, own: Own, run: Uuid, position: &LogPosition) -> Error {
    Error::configuration(format!(
        "table `{table}`: its Delta log (Delta version {}) has version {} of the lake by run `{}`, and the manifest has it by run `{run}`",
        position.version, own.manifest, own.run
    ))
    .hint(RESTORE)
}

fn other_lake(table: &str, newest: &Manifest, theirs: Option<Uuid>, ours: Option<Uuid>) -> Error {
    let named = |id: Option<Uuid>| id.map_or_else(|| "a lake without an id".to_owned(), |id| format!("lake `{id}`"));
    Error::configuration(format!(
        "table `{table}`: its Delta log belongs to {}, and version {} of the lake to {}",
        named(theirs),
        newest.version,
        named(ours)
    ))
    .hint(RESTORE)
}

fn changed_by_others(table: &str, manifest: u64, foreign: &[Entry]) -> Error {
    let commits = foreign.iter().map(Entry::description).collect::<Vec<_>>();
    Error::configuration(format!(
        "table `{table}`: another program committed to its Delta log: {}",
        some_of(&commits)
    ))
    .hint(format!(
        "only Lakewright may change its tables; `coordinator publish --table {table} --overwrite` takes these commits back: the log \
         then equals the newest version of the lake (it was at version {manifest})"
    ))
}

/// The first three, and how many more there are.
fn some_of(commits: &[String]) -> String {
    let more = commits.len().saturating_sub(3);
    let named = commits[..commits.len().min(3)].join("; ");
    if more > 0 { format!("{named}; and {more} more") } else { named }
}

fn unread(lake: &Storage, table: &str, version: u64, foreign: &[Entry]) -> Error {
    let commits = foreign.iter().take(1).map(Entry::description).collect::<Vec<_>>();
    let others = if commits.is_empty() { String::new() } else { format!("; another program committed {}", commits[0]) };
    Error::configuration(format!(
        "table `{table}`: no entry of Lakewright's was found in its Delta log down to `{}`, so it is not known what the log holds{others}",
        url_of(lake, &LakePath::DeltaCommit { table, version }.key())
    ))
    .hint(format!(
        "`coordinator publish --table {table} --overwrite` makes the log equal to the newest version of the lake"
    ))
}

/// Several tables' failures as one error: each its own line, hints once.
pub(crate) fn joined(mut failures: Vec<Error>) -> Error {
    let mut first = failures.remove(0);
    let mut hints: Vec<String> = first.hint.take().into_iter().collect();
    for failure in failures {
        first.message = format!("{}\nerror: {failure}", first.message);
        hints.extend(failure.hint.filter(|hint| !hints.contains(hint)));
    }
    let hints = hints.join("\nhint: ");
    if hints.is_empty() { first } else { first.hint(hints) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
mod tests;
