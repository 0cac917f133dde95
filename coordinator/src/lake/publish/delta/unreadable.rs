//! Explains why a Delta log cannot be read, and how to repair it.

use lakewright_common::error::{Error, Kind};
use lakewright_common::storage::Storage;

use super::log_entry::Entry;
use super::repair_hints::{damaged_entry, overwrite_hint, restore_hint, write_anew_hint};
use super::table_log::{self, Listing};
use super::tail::{Tail, changed_by_others, read_tail};
use crate::lake::{LakePath, url_of};

/// Returns a hint on how to repair a table's Delta log if one of its entries is damaged and there
/// is no copy of this entry.
pub(in crate::lake::publish) async fn repair(lake: &Storage, table: &str) -> String {
    match table_log::position(lake, table).await {
        Ok(Some(_)) => overwrite_hint(table),
        Ok(None) => "`coordinator publish` writes the log anew".to_owned(),
        Err(_) => write_anew_hint(lake, table),
    }
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
