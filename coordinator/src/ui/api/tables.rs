//! Tables: their schemas, files, versions and first rows.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use lakewright_common::error::Result;
use serde_json::{Value, json};

use super::{Parameters, number};
use crate::lake::column::Column;
use crate::lake::manifest::{DataFile, TableState};
use crate::lake::publish;
use crate::query_text::pages::first_rows;
use crate::run::describe_check;
use crate::ui::Ui;
use crate::ui::answer::{Answer, Failure, not_found};
use crate::ui::cells;
use crate::ui::commits::{Commit, TableSummary};
use crate::view::View;

/// Default and maximum number of rows that a request returns.
const ROWS: u64 = 100;
const MAX_ROWS: u64 = 1000;

/// The tables of one version.
pub(super) async fn tables(State(ui): State<Arc<Ui>>, parameters: Parameters) -> Answer {
    let view = ui.view(number(&parameters, "version")?).await?;
    let delta = publish::versions_at(&view.lake, &view.manifest).await?;
    let tables: Vec<Value> =
        view.manifest.tables.iter().map(|table| summary(table, delta.get(&table.name).copied())).collect();
    Ok(Json(json!({ "version": view.manifest.version, "tables": tables })))
}

/// One table, with its columns, files and versions.
pub(super) async fn table(State(ui): State<Arc<Ui>>, Path(name): Path<String>, parameters: Parameters) -> Answer {
    let view = ui.view(number(&parameters, "version")?).await?;
    let table = find(&view, &name)?;
    let delta = publish::versions_at(&view.lake, &view.manifest).await?;
    let commits = ui.commits.up_to(&view.lake, &view.manifest).await;
    let mut answer = summary(table, delta.get(&name).copied());
    answer["version"] = json!(view.manifest.version);
    answer["columns"] = table.columns.list.iter().map(column).collect();
    answer["files"] = table.files.iter().map(file).collect();
    answer["versions"] = versions(&name, &commits);
    answer["sql"] = json!("");
    answer["checks"] = json!([]);
    // The model is that of the configuration, which may be newer than the version.
    if let Some(model) = ui.config.tables.iter().find(|model| model.name == name) {
        answer["sql"] = json!(model.sql);
        answer["sql_file"] = json!(model.sql_file);
        answer["checks"] = model.checks.iter().map(|check| json!(describe_check(&check.rule))).collect();
    }
    Ok(Json(answer))
}

/// The first rows of a table, in no certain order.
pub(super) async fn rows(State(ui): State<Arc<Ui>>, Path(name): Path<String>, parameters: Parameters) -> Answer {
    let view = ui.view(number(&parameters, "version")?).await?;
    let table = find(&view, &name)?;
    let limit = number(&parameters, "limit")?.unwrap_or(ROWS).min(MAX_ROWS);
    let batches = view.rows(&first_rows(&name, limit)).await?;
    let schema = batches.first().map(|batch| batch.schema());
    Ok(Json(json!({
        "columns": schema.as_ref().map(cells::columns),
        "rows": cells::rows(&batches)?,
        "is_cut": table.rows() > limit,
    })))
}

/// Returns a table of a version.
pub(super) fn find<'a>(view: &'a View, name: &str) -> std::result::Result<&'a TableState, Failure> {
    view.manifest.table(name).ok_or_else(|| not_found("the table", name))
}

fn summary(table: &TableState, delta_version: Option<u64>) -> Value {
    json!({
        "name": table.name,
        "rows": table.rows(),
        "bytes": table.bytes(),
        "files": table.files.len(),
        "columns": table.columns.list.len(),
        "changed_in": table.changed_in,
        "partition_by": table.partition_by,
        "key": table.key,
        "delta_version": delta_version,
    })
}

pub(super) fn column(column: &Column) -> Value {
    json!({ "name": column.name, "type": column.data_type.to_string(), "nullable": column.nullable })
}

fn file(file: &DataFile) -> Value {
    json!({
        "path": file.written.path,
        "rows": file.written.rows,
        "bytes": file.written.bytes,
        "partition": file.written.partition_values,
        "added_in": file.added_in,
    })
}

/// Returns the versions that changed a table, the newest first.
fn versions(name: &str, commits: &[Arc<Commit>]) -> Value {
    let mut versions = Vec::new();
    let mut before: Option<&TableSummary> = None;
    for commit in commits {
        let Some(table) = commit.tables.iter().find(|table| table.name == name) else { continue };
        if table.changed_in == commit.version {
            let files_before = before.map_or(0, |before| before.files);
            versions.push(json!({
                "version": commit.version,
                "committed_at": commit.committed_at,
                "rows": table.rows,
                "files": table.files,
                "bytes": table.bytes,
                "added_files": table.added_files,
                "removed_files": (files_before + table.added_files).saturating_sub(table.files),
            }));
        }
        before = Some(table);
    }
    versions.reverse();
    Value::from(versions)
}

/// Returns the only row of a query, as a list of its values.
///
/// # Errors
/// The errors of [`View::rows`] and [`cells::rows`].
pub(super) async fn only_row(view: &View, sql: &str) -> Result<Vec<Value>> {
    let rows = cells::rows(&view.rows(sql).await?)?;
    let row = rows.into_iter().next();
    Ok(row.and_then(|row| row.as_array().cloned()).unwrap_or_default())
}
