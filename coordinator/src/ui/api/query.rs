//! Queries of the user. They only read, and return a limited number of rows in a limited time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use futures::TryStreamExt;
use lakewright_common::error::{Context, EngineContext, Error, Result};
use lakewright_common::session::plan_failure::{panic_error, stage_error};
use serde::Deserialize;
use serde_json::json;
use tokio::task::JoinSet;

use super::{Parameters, number, text};
use crate::output::{self, Format};
use crate::ui::Ui;
use crate::ui::answer::{Answer, Failure, download};
use crate::ui::cells;
use crate::view::View;

/// Default and maximum number of rows.
const ROWS: usize = 1000;
const MAX_ROWS: usize = 10_000;
/// Maximum number of rows of a download.
const MAX_DOWNLOAD: usize = 1_000_000;
/// Maximum time of a query.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Body of a request.
#[derive(Debug, Deserialize)]
pub(super) struct Body {
    sql: String,
    limit: Option<usize>,
    version: Option<u64>,
}

/// Runs a query and returns its rows.
pub(super) async fn query(State(ui): State<Arc<Ui>>, body: Bytes) -> Answer {
    let started = Instant::now();
    let body: Body = serde_json::from_slice(&body).context(|| {
        Error::configuration("the body of the request is not right").hint(r#"write `{"sql": "…", "limit": 1000}`"#)
    })?;
    let view = ui.view(body.version).await?;
    let limit = body.limit.unwrap_or(ROWS).min(MAX_ROWS);
    let (batches, is_cut) = run(&view, &body.sql, limit).await?;
    let schema = batches.first().map(RecordBatch::schema);
    Ok(Json(json!({
        "version": view.manifest.version,
        "columns": schema.as_ref().map(cells::columns),
        "rows": cells::rows(&batches)?,
        "is_cut": is_cut,
        "elapsed_ms": u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    })))
}

/// Runs a query and returns its rows as a file.
pub(super) async fn csv(State(ui): State<Arc<Ui>>, parameters: Parameters) -> std::result::Result<Response, Failure> {
    let view = ui.view(number(&parameters, "version")?).await?;
    let (batches, _) = run(&view, text(&parameters, "sql").unwrap_or_default(), MAX_DOWNLOAD).await?;
    let mut text = Vec::new();
    output::write(&mut text, &batches, Format::Csv)?;
    Ok(download("query.csv", text))
}

/// Returns at most `limit` rows, in at least one batch, and whether there are more.
async fn run(view: &Arc<View>, sql: &str, limit: usize) -> Result<(Vec<RecordBatch>, bool)> {
    let (view, sql) = (Arc::clone(view), sql.to_owned());
    let read = async move {
        let mut stream = view.stream(&sql).await?;
        let mut batches = vec![RecordBatch::new_empty(stream.schema())];
        let mut left = limit;
        while let Some(batch) = stream.try_next().await.engine_context(stage_error)? {
            let part = batch.slice(0, batch.num_rows().min(left));
            left -= part.num_rows();
            let is_cut = part.num_rows() < batch.num_rows();
            batches.push(part);
            if is_cut {
                return Ok((batches, true));
            }
        }
        Ok((batches, false))
    };
    // A task of its own, because an expression can compute for long without a pause. It is cancelled if
    // the time is over or the client has gone.
    let mut task = JoinSet::new();
    task.spawn(read);
    match tokio::time::timeout(TIMEOUT, task.join_next()).await {
        Ok(Some(Ok(outcome))) => outcome,
        Ok(Some(Err(panic))) => Err(panic_error(panic)),
        Ok(None) => Err(Error::internal("a query was not started")),
        Err(_) => Err(Error::configuration(format!("the query took longer than {} s", TIMEOUT.as_secs()))
            .hint("run it with `coordinator query`, which has no limit of time")),
    }
}
