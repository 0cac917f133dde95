//! Hints that say how to repair a Delta log, and the error for a damaged entry.
//!
//! A log is repaired in one of two ways. `overwrite_hint`: the log can be read, and one more entry
//! makes it equal to the newest version of the lake. `write_anew_hint`: the log cannot be read, or
//! has a protocol that this program cannot write, so it is moved away and written again from the
//! manifests.

use lakewright_common::error::Error;
use lakewright_common::storage::Storage;

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

/// Returns the URL of a table's log.
pub(super) fn log_url(lake: &Storage, table: &str) -> String {
    url_of(lake, &LakePath::DeltaLog(table).key())
}

/// Returns the error for an entry that cannot be parsed.
pub(super) fn damaged_entry(lake: &Storage, table: &str, version: u64, error: Error) -> Error {
    let key = LakePath::DeltaCommit { table, version }.key();
    let mut error = error.hint(restore_hint(lake, table));
    error.message =
        format!("table `{table}`: its Delta log cannot be read: `{}`: {}", url_of(lake, &key), error.message);
    error
}

/// Returns the hint that says how to restore a missing or damaged entry.
pub(super) fn restore_hint(lake: &Storage, table: &str) -> String {
    format!("restore it from a copy of the lake, or {}", write_anew_hint(lake, table))
}
