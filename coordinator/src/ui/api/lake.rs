//! The lake: its newest version, and the settings that are in effect.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use lakewright_common::config::in_effect::{self, Origin};
use serde_json::{Value, json};

use crate::lake::manifest_store;
use crate::open::lake_or_empty;
use crate::ui::Ui;
use crate::ui::answer::Answer;

/// Answers even if the lake has no version.
pub(super) async fn lake(State(ui): State<Arc<Ui>>) -> Answer {
    let project = ui.config.file.display().to_string();
    let url = ui.config.lake.to_string();
    let storage = lake_or_empty(&ui.config).await?;
    let newest = manifest_store::latest_number(&storage).await?;
    if newest.is_none() {
        return Ok(Json(json!({ "url": url, "project": project, "version": null, "is_running": false })));
    }
    let view = ui.view(None).await?;
    let manifest = &view.manifest;
    Ok(Json(json!({
        "url": url,
        "project": project,
        "version": manifest.version,
        "lake_id": manifest.lake_id,
        "engine": manifest.engine,
        "committed_at": manifest.committed_at,
        "is_running": false,
    })))
}

pub(super) async fn settings(State(ui): State<Arc<Ui>>) -> Answer {
    let settings = in_effect::settings(&ui.config.file, std::env::vars())?;
    let setting = |setting: in_effect::Setting| {
        let (origin, line, variable) = match setting.origin {
            Origin::File { line } => ("file", line, None),
            Origin::Environment { variable } => ("environment", None, Some(variable)),
            Origin::Default => ("default", None, None),
        };
        json!({
            "name": setting.name,
            "value": setting.value,
            "origin": origin,
            "line": line,
            "variable": variable,
        })
    };
    let settings: Value = settings.into_iter().map(setting).collect();
    Ok(Json(json!({ "file": ui.config.file, "settings": settings })))
}
