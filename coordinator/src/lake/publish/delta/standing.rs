//! Checks that a table's Delta log is the one that the manifests describe, before an entry is added
//! to it.
//!
//! ```text
//!   Delta log     0   1   2   3   4        manifests   1   2   3   4   5
//!                 │   │   │   └─┬─┘                    │   │       │
//!                 1   2   4     └─ another program's   └───┴───────┘  same versions, same runs?
//!                 └───┴───┴─ our entries: version and run of a manifest
//! ```
//!
//! Our newest entry must name an existing manifest and the run that committed that manifest. (The
//! manifest may be missing if a newer one exists and the log has the id of this lake.) The lake's
//! id in the table's configuration must equal that of the manifests. Later commits of other
//! programs are read one by one. If they leave the table unchanged, they are skipped; otherwise the
//! run stops. Delta's protocol requires that a writer has read the log up to the version before its
//! own, and this is where we read it. The newest entries must also have the digests that were
//! published with them, because a changed bit may leave an entry readable and wrong. Entries before
//! our newest one were checked when that one was put.

use lakewright_common::digest::Digest;
use lakewright_common::error::{Error, Result};
use lakewright_common::storage::Storage;
use uuid::Uuid;

use super::actions::lake_id_of;
use super::history::History;
use super::log_entry::{Own, are_harmless, is_writable};
use super::repair_hints::{log_url, overwrite_hint, write_anew_hint};
use super::table_log::{self, LogPosition};
use super::tail::{Tail, changed_by_others, read_tail};
use super::unreadable::explained;
use crate::lake::manifest::{Manifest, TableState};
use crate::lake::{LakePath, url_of};

/// Hint of the errors that are reported if logs and manifests are from different times.
const RESTORE: &str = "restore `_lake` as it was when the tables were last written, or make the Delta logs equal to the newest manifest \
                       with `coordinator publish --overwrite`";

/// Reads the position of a log. Checks that the log belongs to this lake, that its newest entries
/// are undamaged, and that no other program has changed the table after our newest entry. Returns
/// `None` if there is no log.
///
/// # Errors
/// A configuration error that names the table and the difference between its log and the manifests.
/// A storage error, also for a log that cannot be read.
pub(in crate::lake::publish) async fn standing(history: &mut History<'_>, table: &str) -> Result<Option<LogPosition>> {
    let lake = history.lake;
    let mut position = match table_log::position(lake, table).await {
        Ok(Some(position)) => position,
        Ok(None) => return Ok(None),
        Err(error) => return Err(explained(lake, table, error).await),
    };
    // A log without our `txn` was never written by a run.
    if position.manifest.is_none() {
        return Err(not_ours(lake, table));
    }
    let Tail { own, foreign, digests } = read_tail(lake, table, position.version).await?;
    let state = match history.newest().cloned() {
        None => return Err(no_version(lake, table, own, &position)),
        Some(newest) => verify_origin(history, &newest, table, own, &position).await?,
    };
    if !foreign.is_empty() && !state.is_some_and(|state| are_harmless(&foreign, &state)) {
        // A protocol with features cannot be lowered again, so such a log cannot be overwritten.
        let repair = if is_writable(&position.protocol) {
            format!("{}, without these commits", overwrite_hint(table))
        } else {
            write_anew_hint(lake, table)
        };
        return Err(changed_by_others(table, own.manifest, &foreign, &repair));
    }
    verify_digests(history, table, &digests).await?;
    position.manifest = Some(own.manifest);
    Ok(Some(position))
}

/// Checks that the entry of the published Delta version still has the published digest, if
/// `digests` contains that version.
async fn verify_digests(history: &mut History<'_>, table: &str, digests: &[(u64, Digest)]) -> Result<()> {
    // `digests` does not contain the published version if another process is ahead, or if the log
    // is an older copy.
    let Some(published) = history.published(table).await? else { return Ok(()) };
    let Some((version, found)) = digests.iter().find(|(version, _)| *version == published.version) else {
        return Ok(());
    };
    if published.allows(found) {
        return Ok(());
    }
    let key = LakePath::DeltaCommit { table, version: *version }.key();
    Err(Error::storage_failure(format!(
        "table `{table}`: `{}` is damaged: it has the digest {found}, {} was published",
        url_of(history.lake, &key),
        published.digest.map(|digest| digest.to_string()).unwrap_or_default()
    ))
    .hint(format!("restore it from a copy of the lake, or {}", overwrite_hint(table))))
}

/// Compares the manifest version, run and lake id of the log with the manifests. Returns the
/// table's state in the manifest that the log has reached, or `None` if this state is unknown.
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
    // A manifest newer than `newest` is a commit of another process, unless it does not exist.
    match history.get(own.manifest).await? {
        Some(manifest) if manifest.run != own.run => Err(other_run(table, own, manifest.run, position)),
        Some(manifest) => Ok(manifest.table(table).cloned()),
        None if own.manifest > newest.version => Err(ahead(table, own, newest, position)),
        // The manifest was deleted, so its run cannot be compared. An equal lake id is enough.
        None if is_same_lake => Ok(newest.table(table).filter(|state| state.changed_in <= own.manifest).cloned()),
        None => Err(Error::configuration(format!(
            "table `{table}`: its Delta log is at version {} of the lake, whose manifest `{}` is missing",
            own.manifest,
            url_of(history.lake, &LakePath::Manifest(own.manifest).key())
        ))
        .hint(RESTORE)),
    }
}

/// Builds the error for a log that another program created.
pub(super) fn not_ours(lake: &Storage, table: &str) -> Error {
    let log = log_url(lake, table);
    Error::configuration(format!("`{log}` is the log of a Delta table that this program did not write"))
        .hint(format!("move that table away, or give table `{table}` in `lake.toml` another name"))
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

#[cfg(test)]
mod tests;
