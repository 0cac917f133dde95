//! `/api/v1`: what the pages show, as JSON. docs/ui.md describes each resource.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::Query;
use axum::http::Uri;
use axum::routing::{get, post};
use lakewright_common::error::{Error, Result};

use super::Ui;
use super::answer::not_found;

/// The lake: its newest version, and its settings.
mod lake;
/// The runs that committed a version.
mod runs;
/// Tables, their files, versions and rows.
mod tables;
/// Statistics of the values of one column.
mod columns;
/// Rejected records.
mod quarantine;
/// Sources, staging, tables and checks as a graph.
mod lineage;
/// Sources and their objects.
mod sources;
/// Queries of the user.
mod query;
/// Differences between two versions.
mod diff;
/// Tells the pages about new versions.
mod events;

/// Query parameters of a request.
type Parameters = Query<HashMap<String, String>>;

pub(super) fn router() -> Router<Arc<Ui>> {
    Router::new()
        .route("/lake", get(lake::lake))
        .route("/settings", get(lake::settings))
        .route("/runs", get(runs::runs))
        .route("/runs/{run}", get(runs::run))
        .route("/tables", get(tables::tables))
        .route("/tables/{name}", get(tables::table))
        .route("/tables/{name}/rows", get(tables::rows))
        .route("/tables/{name}/columns/{column}", get(columns::column))
        .route("/quarantine", get(quarantine::quarantine))
        .route("/quarantine.csv", get(quarantine::csv))
        .route("/lineage", get(lineage::lineage))
        .route("/sources", get(sources::sources))
        .route("/sources/{name}/objects", get(sources::objects))
        .route("/query", post(query::query))
        .route("/query.csv", get(query::csv))
        .route("/diff", get(diff::diff))
        .route("/events", get(events::events))
        .fallback(async |uri: Uri| not_found("the resource", uri.path()))
}

/// Returns a parameter that is not empty.
fn text<'a>(parameters: &'a Parameters, name: &str) -> Option<&'a str> {
    parameters.get(name).map(String::as_str).filter(|text| !text.is_empty())
}

/// Returns the parameter `offset`, 0 by default.
///
/// # Errors
/// A configuration error if it is not a number.
fn offset(parameters: &Parameters) -> Result<u64> {
    // SQL has no larger numbers.
    number(parameters, "offset").map(|offset| offset.unwrap_or(0).min(i64::MAX.unsigned_abs()))
}

/// Returns a parameter that is a number.
///
/// # Errors
/// A configuration error if it is not a number.
fn number(parameters: &Parameters, name: &str) -> Result<Option<u64>> {
    let Some(text) = text(parameters, name) else { return Ok(None) };
    let parsed = text.parse().map_err(|_| Error::configuration(format!("`{name}` is `{text}`, which is not a number")));
    parsed.map(Some)
}
