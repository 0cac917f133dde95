//! Rejected records: counts by source, reason, field and object, and the records themselves.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::tables::only_row;
use super::{Parameters, number, offset, text};
use crate::lake::manifest::SourceCounts;
use crate::output::{self, Format};
use crate::query_text::pages::{Rejected, count_rejected, rejected_groups, rejected_page};
use crate::ui::Ui;
use crate::ui::answer::{Answer, Failure, download};
use crate::ui::cells;
use crate::view::View;

/// Default and maximum number of records that a request returns.
const RECORDS: u64 = 100;
const MAX_RECORDS: u64 = 1000;
/// Maximum number of records in a download.
const MAX_DOWNLOAD: u64 = 1_000_000;
/// Maximum number of groups that are counted.
const MAX_GROUPS: u64 = 100;

fn filter(parameters: &Parameters) -> Rejected<'_> {
    Rejected {
        source: text(parameters, "source"),
        reason: text(parameters, "reason"),
        field: text(parameters, "field"),
        object: text(parameters, "object"),
        text: text(parameters, "text"),
    }
}

/// Counts and records that pass the filters.
pub(super) async fn quarantine(State(ui): State<Arc<Ui>>, parameters: Parameters) -> Answer {
    let view = ui.view(number(&parameters, "version")?).await?;
    let filter = filter(&parameters);
    let limit = number(&parameters, "limit")?.unwrap_or(RECORDS).min(MAX_RECORDS);
    let offset = offset(&parameters)?;
    let total = only_row(&view, &count_rejected(filter)).await?;
    let mut groups = Map::new();
    for column in ["source", "reason", "field", "object"] {
        let rows = cells::rows(&view.rows(&rejected_groups(filter, column, MAX_GROUPS)).await?)?;
        let group = |row: &Value| json!({ "value": row[0], "count": row[1] });
        groups.insert(column.to_owned(), rows.iter().map(group).collect());
    }
    Ok(Json(json!({
        "version": view.manifest.version,
        "total": total.first(),
        "shares": shares(&ui, &view),
        "groups": groups,
        "records": records(&view, filter, limit, offset).await?,
    })))
}

/// Returns the share of rejected records of each source in the run of the version, and its limit.
fn shares(ui: &Ui, view: &View) -> Value {
    let share = |(name, counts): (&String, &SourceCounts)| {
        #[expect(clippy::cast_precision_loss, reason = "a share needs few digits")]
        let share = counts.quarantined as f64 / counts.records.max(1) as f64;
        let source = ui.config.sources.iter().find(|source| source.name == *name);
        json!({
            "source": name,
            "rejected": counts.quarantined,
            "records": counts.records,
            "share": share,
            "limit": source.map(|source| source.max_quarantine_share),
        })
    };
    view.manifest.counts.iter().map(share).collect()
}

async fn records(view: &View, filter: Rejected<'_>, limit: u64, offset: u64) -> std::result::Result<Value, Failure> {
    let batches = view.rows(&rejected_page(filter, limit, offset)).await?;
    let names: Vec<String> = match batches.first() {
        Some(batch) => batch.schema().fields().iter().map(|field| field.name().clone()).collect(),
        None => Vec::new(),
    };
    let record = |row: Value| -> Value {
        let values = row.as_array().cloned().unwrap_or_default();
        names.iter().cloned().zip(values).collect::<Map<String, Value>>().into()
    };
    Ok(cells::rows(&batches)?.into_iter().map(record).collect())
}

/// All records that pass the filters, as a file.
pub(super) async fn csv(State(ui): State<Arc<Ui>>, parameters: Parameters) -> std::result::Result<Response, Failure> {
    let view = ui.view(number(&parameters, "version")?).await?;
    let batches = view.rows(&rejected_page(filter(&parameters), MAX_DOWNLOAD, 0)).await?;
    let mut text = Vec::new();
    output::write(&mut text, &batches, Format::Csv)?;
    Ok(download("quarantine.csv", text))
}
