//! The runs that committed a version.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use chrono::Duration;
use lakewright_common::config::resolved::Prices;
use serde_json::{Value, json};

use crate::lake::manifest::{SourceCounts, StepRecord};
use crate::lake::manifest_store;
use crate::open::lake_or_empty;
use crate::price::BilledRequests;
use crate::ui::Ui;
use crate::ui::answer::{Answer, not_found};
use crate::ui::commits::{Commit, TableSummary};

/// All runs, the newest first.
pub(super) async fn runs(State(ui): State<Arc<Ui>>) -> Answer {
    if manifest_store::latest_number(&lake_or_empty(&ui.config).await?).await?.is_none() {
        return Ok(Json(json!({ "runs": [] })));
    }
    let view = ui.view(None).await?;
    let commits = ui.commits.up_to(&view.lake, &view.manifest).await;
    let runs: Vec<Value> = commits.iter().rev().map(|commit| summary(commit, &ui.config.prices)).collect();
    Ok(Json(json!({ "runs": runs })))
}

/// One run, by its id.
pub(super) async fn run(State(ui): State<Arc<Ui>>, Path(run): Path<String>) -> Answer {
    let view = ui.view(None).await?;
    let commits = ui.commits.up_to(&view.lake, &view.manifest).await;
    let commit = commits.iter().find(|commit| commit.run.to_string() == run);
    let commit = commit.ok_or_else(|| not_found("the run", &run))?;
    let mut answer = summary(commit, &ui.config.prices);
    answer["sources"] = commit.counts.iter().map(|(name, counts)| source(name, counts)).collect();
    answer["tables"] = commit.tables.iter().map(|it| table(commit, it)).collect();
    answer["steps"] = commit.steps.iter().map(step).collect();
    // Versions do not record these.
    for name in ["tasks", "workers", "checks", "settings"] {
        answer[name] = json!([]);
    }
    answer["models"] = json!({});
    Ok(Json(answer))
}

fn summary(commit: &Commit, prices: &Prices) -> Value {
    let SourceCounts { objects, bytes, records, staged, quarantined, templated, .. } = commit.total();
    let elapsed = i64::try_from(commit.elapsed_milliseconds).unwrap_or(i64::MAX);
    let (gets, puts, lists) = commit.billed_requests();
    let dollars = BilledRequests::of(&commit.requests).dollars(prices);
    json!({
        "run": commit.run,
        "version": commit.version,
        "state": "committed",
        "started_at": Duration::try_milliseconds(elapsed).map(|elapsed| commit.committed_at - elapsed),
        "committed_at": commit.committed_at,
        "elapsed_ms": commit.elapsed_milliseconds,
        "objects": objects,
        "bytes": bytes,
        "records": records,
        "staged": staged,
        "quarantined": quarantined,
        "templated": templated,
        "tables_changed": commit.changed_tables(),
        "requests": { "gets": gets, "puts": puts, "lists": lists, "dollars": dollars },
        "engine": commit.engine,
    })
}

fn source(name: &str, counts: &SourceCounts) -> Value {
    json!({
        "name": name,
        "objects": counts.objects,
        "bytes": counts.bytes,
        "records": counts.records,
        "staged": counts.staged,
        "quarantined": counts.quarantined,
        "undeclared": counts.unknown_fields,
        "nulled": counts.nulled_values,
        "null_records": counts.null_records,
        "empty_fields": counts.empty_fields,
    })
}

fn step(step: &StepRecord) -> Value {
    json!({
        "name": step.name,
        "started_ms": step.started_milliseconds,
        "elapsed_ms": step.elapsed_milliseconds,
        "objects": step.read.map(|read| read.objects),
        "bytes": step.read.map(|read| read.bytes),
        "rows": step.read.map(|read| read.records),
    })
}

fn table(commit: &Commit, table: &TableSummary) -> Value {
    json!({
        "name": table.name,
        "rows": table.rows,
        "files": table.files,
        "bytes": table.bytes,
        "is_changed": table.changed_in == commit.version,
    })
}
