//! `/metrics` in the text format of Prometheus, and the probes.
//!
//! Format: <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Ui;
use super::answer::Failure;
use crate::lake::manifest::{Manifest, SourceCounts, TableState};

/// Metrics of the newest version of the lake.
pub(super) async fn metrics(State(ui): State<Arc<Ui>>) -> Result<Response, Failure> {
    let view = ui.view(None).await?;
    let headers = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((headers, text(&view.manifest)).into_response())
}

/// Answers with 200 once the newest version of the lake can be read.
pub(super) async fn readiness(State(ui): State<Arc<Ui>>) -> Response {
    match ui.view(None).await {
        Ok(_) => "ready\n".into_response(),
        // The reason may name paths, and a probe has no token.
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the lake cannot be read\n").into_response(),
    }
}

fn text(manifest: &Manifest) -> String {
    let mut text = String::new();
    let mut metric = |name: &str, kind: &str, help: &str, samples: Vec<(String, f64)>| {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    };
    #[expect(clippy::cast_precision_loss, reason = "Prometheus knows only doubles")]
    let number = |value: u64| value as f64;
    let one = |value: f64| vec![(String::new(), value)];
    metric("lakewright_lake_version", "gauge", "Newest version of the lake.", one(number(manifest.version)));
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of this century are exact")]
    let committed_at = manifest.committed_at.timestamp_millis() as f64 / 1000.0;
    metric("lakewright_last_commit_timestamp_seconds", "gauge", "Time of the newest commit.", one(committed_at));
    let elapsed = number(manifest.elapsed_milliseconds) / 1000.0;
    metric(
        "lakewright_last_run_duration_seconds",
        "gauge",
        "Time from the start of the last run to its commit.",
        one(elapsed),
    );
    let of_tables = |value: fn(&TableState) -> u64| {
        let sample = |table: &TableState| (label("table", &table.name), number(value(table)));
        manifest.tables.iter().map(sample).collect::<Vec<_>>()
    };
    metric("lakewright_table_rows", "gauge", "Rows of a table.", of_tables(TableState::rows));
    metric("lakewright_table_bytes", "gauge", "Bytes of the files of a table.", of_tables(TableState::bytes));
    metric("lakewright_table_files", "gauge", "Files of a table.", of_tables(|table| table.files.len() as u64));
    let of_sources = |value: fn(&SourceCounts) -> u64| {
        let sources = manifest.sources.iter();
        sources.map(|(name, state)| (label("source", name), number(value(&state.totals)))).collect::<Vec<_>>()
    };
    let objects = of_sources(|counts| counts.objects);
    metric("lakewright_source_objects_total", "counter", "Objects ingested from a source.", objects);
    metric(
        "lakewright_source_bytes_total",
        "counter",
        "Stored bytes of these objects.",
        of_sources(|counts| counts.bytes),
    );
    metric(
        "lakewright_source_records_total",
        "counter",
        "Records read from a source.",
        of_sources(|counts| counts.records),
    );
    metric(
        "lakewright_source_staged_total",
        "counter",
        "Records that were staged.",
        of_sources(|counts| counts.staged),
    );
    let rejected = of_sources(|counts| counts.quarantined);
    metric("lakewright_source_quarantined_total", "counter", "Records that were rejected.", rejected);
    text
}

/// Writes a label. Quotes, backslashes and line feeds of its value are escaped.
fn label(name: &str, value: &str) -> String {
    let mut text = format!("{{{name}=\"");
    for c in value.chars() {
        match c {
            '\\' | '"' => text.extend(['\\', c]),
            '\n' => text.push_str("\\n"),
            c => text.push(c),
        }
    }
    text + "\"}"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_labels_are_escaped() {
        assert_eq!(label("table", "a\"b\\c\nd"), "{table=\"a\\\"b\\\\c\\nd\"}");
    }
}
