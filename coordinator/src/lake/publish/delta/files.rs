//! Compares the files that a manifest names with those in the table's folder. A log must not name
//! files that no longer exist.

use std::collections::HashMap;

use futures::TryStreamExt;
use lakewright_common::error::{Context, Error, Result, listed};
use lakewright_common::storage::Storage;

use super::actions::Change;
use super::repair_hints::log_url;
use crate::lake::manifest::TableState;
use crate::lake::{LakePath, url_of};

/// Checks that every file of `state` exists with the expected size, before an existing log is
/// overwritten.
///
/// # Errors
/// A storage error that names the missing files.
pub(super) async fn require_files(lake: &Storage, state: &TableState) -> Result<()> {
    let sizes = sizes(lake, &state.name).await?;
    let missing = missing(&sizes, state);
    if missing.is_empty() {
        return Ok(());
    }
    Err(are_missing(&state.name, missing).hint(format!(
        "another program's VACUUM may have deleted them: restore them from a copy; or move `{}` away, then \
         `coordinator run --rebuild {}` builds the table again",
        log_url(lake, &state.name),
        state.name
    )))
}

/// Drops all changes up to the last one with missing files. Returns the remaining changes, which
/// the new log will consist of.
///
/// # Errors
/// A storage error if files of `table`, the newest state, are missing. It names these files.
pub(super) async fn changes_with_files(
    lake: &Storage,
    table: &TableState,
    mut changes: Vec<Change>,
) -> Result<Vec<Change>> {
    let sizes = sizes(lake, &table.name).await?;
    let missing_now = missing(&sizes, table);
    if !missing_now.is_empty() {
        return Err(are_missing(&table.name, missing_now).hint(format!(
            "restore them from a copy of the lake, or `coordinator run --rebuild {}` builds the table again",
            table.name
        )));
    }
    let is_incomplete = |change: &Change| !missing(&sizes, &change.after).is_empty();
    // A log cannot leave out a change in between, so start after the last one with missing files.
    if let Some(last) = changes.iter().rposition(is_incomplete) {
        changes.drain(..=last);
        if let Some(first) = changes.first_mut() {
            // The first entry of a log adds all files of its state.
            first.before = None;
        }
    }
    Ok(changes)
}

/// Lists the objects in a table's folder with their sizes.
async fn sizes(lake: &Storage, table: &str) -> Result<HashMap<String, u64>> {
    let folder = LakePath::Table(table).key();
    let objects = lake.store.list(Some(&folder)).map_ok(|object| (object.location.to_string(), object.size));
    objects.try_collect().await.storage_context("list", || url_of(lake, &folder))
}

fn missing<'a>(sizes: &HashMap<String, u64>, state: &'a TableState) -> Vec<&'a str> {
    let files = state.files.iter().map(|file| &file.written);
    files.filter(|file| sizes.get(&file.path) != Some(&file.bytes)).map(|file| file.path.as_str()).collect()
}

fn are_missing(table: &str, missing: Vec<&str>) -> Error {
    Error::storage_failure(format!(
        "table `{table}`: the newest version of the lake names files that are missing or of another size: {}",
        listed(missing)
    ))
}
