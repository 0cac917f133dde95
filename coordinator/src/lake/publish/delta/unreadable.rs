//! Explains why a Delta log cannot be read, and how to repair it.
//!
//! A log is repaired in one of two ways. `overwrite_hint`: the log can be read, and one more entry
//! makes it equal to the newest version of the lake. `write_anew_hint`: the log cannot be read, or
//! has a protocol that this program cannot write, so it is moved away and written again from the
//! manifests.

use lakewright_common::error::{Error, Kind};
use lakewright_common::storage::Storage;

use super::log_entry::Entry;
use super::standing::{Tail, changed_by_others, read_tail};
use super::table_log::{self, Listing};
use crate::lake::{LakePath, url_of};

/// Returns the hint that says how to repair a log that can be read.
pub(super) fn overwrite_hint(table: &str) -> String {
    format!("`coordinator publish --table {table} --overwrite` makes the log equal to the newest version of the lake")
}

/// Returns the hint that says how to move a log away and write it again.
pub(super) fn write_anew_hint(lake: &Storage, table: &str) -> String {
    format!(
        "move `{}` away and run `coordinator publish`, which writes the log anew, with the lowest protocol and the lake's \
         own versions",
        log_url(lake, table)
    )
}

/// Returns a hint on how to repair a table's Delta log if one of its entries is damaged and there
/// is no copy of this entry.
pub(in crate::lake::publish) async fn repair(lake: &Storage, table: &str) -> String {
    match table_log::position(lake, table).await {
        Ok(Some(_)) => overwrite_hint(table),
        Ok(None) => "`coordinator publish` writes the log anew".to_owned(),
        Err(_) => write_anew_hint(lake, table),
    }
}

/// Returns the URL of a table's log.
pub(super) fn log_url(lake: &Storage, table: &str) -> String {
    url_of(lake, &LakePath::DeltaLog(table).key())
}

/// Explains why a log cannot be read: a missing or damaged entry, or a commit of another program.
/// Returns `error` unchanged if it finds no such cause.
pub(super) async fn explained(lake: &Storage, table: &str, error: Error) -> Error {
    let Ok(all) = table_log::list_from(lake, table, 0).await else { return error };
    let Some(newest) = all.entries.last().copied() else { return error };
    if let Some(missing) = all.first_gap() {
        let key = LakePath::DeltaCommit { table, version: missing }.key();
        return Error::storage_failure(format!(
            "table `{table}`: its Delta log cannot be read: `{}` is missing",
            url_of(lake, &key)
        ))
        .hint(restore_hint(lake, table));
    }
    // Read the newest entries first, because they also show whether another program committed.
    match read_tail(lake, table, newest).await {
        Ok(Tail { own, foreign, .. }) if !foreign.is_empty() => {
            changed_by_others(table, own.manifest, &foreign, &write_anew_hint(lake, table)).caused_by(error)
        }
        Err(damaged) if damaged.kind == Kind::Storage => damaged,
        _ => match first_damaged(lake, table, &all).await {
            Some(damaged) => damaged,
            None => error,
        },
    }
}

/// Returns the error for an entry that cannot be parsed.
pub(super) fn damaged_entry(lake: &Storage, table: &str, version: u64, error: Error) -> Error {
    let key = LakePath::DeltaCommit { table, version }.key();
    let mut error = error.hint(restore_hint(lake, table));
    error.message =
        format!("table `{table}`: its Delta log cannot be read: `{}`: {}", url_of(lake, &key), error.message);
    error
}

fn restore_hint(lake: &Storage, table: &str) -> String {
    format!("restore it from a copy of the lake, or {}", write_anew_hint(lake, table))
}

/// Reads the entries since the newest checkpoint. Returns the error of the first one that cannot be
/// parsed.
async fn first_damaged(lake: &Storage, table: &str, all: &Listing) -> Option<Error> {
    let first = all.checkpoint.map_or(0, |checkpoint| checkpoint + 1);
    for version in all.entries.iter().copied().filter(|version| *version >= first) {
        let bytes = table_log::read_entry(lake, table, version).await.ok()??;
        if let Err(error) = Entry::parse(version, &bytes) {
            return Some(damaged_entry(lake, table, version, error));
        }
    }
    None
}
