//! Differences between two versions of the lake.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use lakewright_common::error::Error;
use serde_json::{Value, json};

use super::{Parameters, number};
use crate::lake::manifest::{Manifest, TableState};
use crate::ui::Ui;
use crate::ui::answer::Answer;

/// Tables and sources of the version `from` and of the version `to`.
pub(super) async fn diff(State(ui): State<Arc<Ui>>, parameters: Parameters) -> Answer {
    let versions = (number(&parameters, "from")?, number(&parameters, "to")?);
    let (Some(from), Some(to)) = versions else {
        return Err(Error::configuration("set `from` and `to` to two versions of the lake").into());
    };
    let before = ui.view(Some(from)).await?;
    let after = ui.view(Some(to)).await?;
    Ok(Json(json!({
        "from": from,
        "to": to,
        "tables": tables(&before.manifest, &after.manifest),
        "sources": sources(&before.manifest, &after.manifest),
        // Versions do not record these.
        "settings": [],
        "models": [],
    })))
}

fn tables(before: &Manifest, after: &Manifest) -> Value {
    let names: BTreeSet<&String> = before.tables.iter().chain(&after.tables).map(|table| &table.name).collect();
    let table = |name: &String| {
        let (old, new) = (before.table(name), after.table(name));
        let paths = |table: Option<&TableState>| -> BTreeSet<String> {
            table.iter().flat_map(|table| &table.files).map(|file| file.written.path.clone()).collect()
        };
        let (old_paths, new_paths) = (paths(old), paths(new));
        let change = match (old, new) {
            (None, _) => "added",
            (_, None) => "removed",
            _ if old_paths != new_paths => "changed",
            _ => "same",
        };
        json!({
            "name": name,
            "change": change,
            "rows_before": old.map(TableState::rows),
            "rows_after": new.map(TableState::rows),
            "bytes_before": old.map(TableState::bytes),
            "bytes_after": new.map(TableState::bytes),
            "files_added": new_paths.difference(&old_paths).count(),
            "files_removed": old_paths.difference(&new_paths).count(),
            "schema": schema(old, new),
        })
    };
    names.into_iter().map(table).collect()
}

/// Returns the columns that differ, each with its type before and after.
fn schema(old: Option<&TableState>, new: Option<&TableState>) -> Value {
    let types = |table: Option<&TableState>| -> BTreeMap<String, String> {
        let columns = table.iter().flat_map(|table| &table.columns.list);
        columns.map(|column| (column.name.clone(), column.data_type.to_string())).collect()
    };
    let (old, new) = (types(old), types(new));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let changed = names.into_iter().filter(|name| old.get(*name) != new.get(*name));
    changed.map(|name| json!({ "column": name, "before": old.get(name), "after": new.get(name) })).collect()
}

/// Returns what each source gained between both versions.
fn sources(before: &Manifest, after: &Manifest) -> Value {
    let source = |name: &String| {
        let totals =
            |manifest: &Manifest| manifest.sources.get(name).map(|state| state.totals.clone()).unwrap_or_default();
        let (old, new) = (totals(before), totals(after));
        let gained = |new: u64, old: u64| i128::from(new) - i128::from(old);
        let gained = |new: u64, old: u64| i64::try_from(gained(new, old)).unwrap_or(i64::MAX);
        json!({
            "name": name,
            "objects": gained(new.objects, old.objects),
            "records": gained(new.records, old.records),
            "staged": gained(new.staged, old.staged),
            "quarantined": gained(new.quarantined, old.quarantined),
        })
    };
    let names: BTreeSet<&String> = before.sources.keys().chain(after.sources.keys()).collect();
    names.into_iter().map(source).collect()
}
