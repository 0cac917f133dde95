//! Lineage: which sources, tables and checks read which, and which columns come from which.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use lakewright_common::config::resolved::Rule;
use lakewright_common::read::schema::arrow_schema;
use lakewright_common::session::Storages;
use serde_json::{Value, json};

use super::{Parameters, number};
use crate::lake::manifest::Manifest;
use crate::model::{self, Model};
use crate::open;
use crate::run::describe_check;
use crate::run::validate::validate;
use crate::ui::Ui;
use crate::ui::answer::Answer;
use crate::ui::cells::type_name;
use crate::ui::column_lineage::{ColumnOrigins, origins};
use crate::view::View;

/// The graph of the configuration, coloured by what one version did.
pub(super) async fn lineage(State(ui): State<Arc<Ui>>, parameters: Parameters) -> Answer {
    let view = ui.view(number(&parameters, "version")?).await?;
    let storages = Storages { lake: view.lake.clone(), spool: view.lake.clone(), sources: vec![] };
    let session = open::session(&ui.config, &storages, 1, Arc::default())?;
    let models = model::plan_models(&session, &ui.config)?;
    // Registers empty tables, over which the models can be planned.
    validate(&session, &ui.config, &models).await?;
    let mut columns: BTreeMap<&str, ColumnOrigins> = BTreeMap::new();
    for model in &models {
        columns.insert(&model.table.name, origins(&session, &model.table.sql).await?);
    }
    Ok(Json(json!({
        "version": view.manifest.version,
        "nodes": nodes(&ui, &view, &models, &columns),
        "edges": edges(&ui, &models),
        "column_edges": column_edges(&ui, &columns),
    })))
}

fn nodes(ui: &Ui, view: &View, models: &[Model<'_>], columns: &BTreeMap<&str, ColumnOrigins>) -> Value {
    let manifest = &view.manifest;
    let mut nodes = Vec::new();
    for source in &ui.config.sources {
        let is_new = manifest.counts.get(&source.name).is_some_and(|counts| counts.objects > 0);
        let last_run = if is_new { "ingested" } else { "untouched" };
        let schema = arrow_schema(&source.fields);
        let fields: Vec<Value> = schema
            .fields()
            .iter()
            .map(|field| json!({ "name": field.name(), "type": type_name(field.data_type()) }))
            .collect();
        for (kind, columns) in [("source", Vec::new()), ("staging", fields)] {
            let id = format!("{kind}.{}", source.name);
            nodes
                .push(json!({ "id": id, "kind": kind, "name": source.name, "columns": columns, "last_run": last_run }));
        }
    }
    for model in models {
        let name = &model.table.name;
        let state = manifest.table(name);
        let last_run = state.map(|it| if it.changed_in == manifest.version { "rebuilt" } else { "untouched" });
        let of_model = columns.get(name.as_str()).map(|origins| origins.columns()).unwrap_or_default();
        nodes.push(json!({
            "id": format!("table.{name}"),
            "kind": "table",
            "name": name,
            "columns": of_model.iter().map(|(name, data_type)| json!({ "name": name, "type": type_name(data_type) })).collect::<Vec<_>>(),
            "rows": state.map(|state| state.rows()),
            "last_run": last_run,
            "elapsed_ms": elapsed(manifest, &format!("build {name}")),
        }));
        for (at, check) in model.table.checks.iter().enumerate() {
            let id = format!("check.{name}.{at}");
            nodes.push(json!({ "id": id, "kind": "check", "name": describe_check(&check.rule), "columns": [], "last_run": null }));
        }
    }
    Value::from(nodes)
}

/// Returns the milliseconds that a step took.
fn elapsed(manifest: &Manifest, step: &str) -> Option<u64> {
    manifest.steps.iter().find(|record| record.name == step).map(|record| record.elapsed_milliseconds)
}

fn edges(ui: &Ui, models: &[Model<'_>]) -> Value {
    let edge = |from: String, to: String| json!({ "from": from, "to": to });
    let mut edges: Vec<Value> = Vec::new();
    for source in &ui.config.sources {
        edges.push(edge(format!("source.{}", source.name), format!("staging.{}", source.name)));
    }
    for model in models {
        let table = format!("table.{}", model.table.name);
        edges.extend(model.sources.iter().map(|source| edge(format!("staging.{source}"), table.clone())));
        edges.extend(model.tables.iter().map(|other| edge(format!("table.{other}"), table.clone())));
        for (at, check) in model.table.checks.iter().enumerate() {
            let check_id = format!("check.{}.{at}", model.table.name);
            edges.push(edge(table.clone(), check_id.clone()));
            if let Rule::References { to_table, .. } = &check.rule {
                edges.push(edge(format!("table.{to_table}"), check_id));
            }
        }
    }
    Value::from(edges)
}

fn column_edges(ui: &Ui, columns: &BTreeMap<&str, ColumnOrigins>) -> Value {
    let is_source = |name: &str| ui.config.sources.iter().any(|source| source.name == name);
    let mut edges = Vec::new();
    for (table, origins) in columns {
        for (column, origin, is_direct) in origins.edges() {
            let is_staging = origin.schema.as_deref() == Some(model::STAGING_SCHEMA) && is_source(&origin.table);
            let kind = if is_staging { "staging" } else { "table" };
            edges.push(json!({
                "from": format!("{kind}.{}", origin.table),
                "from_column": origin.column,
                "to": format!("table.{table}"),
                "to_column": column,
                "is_direct": is_direct,
            }));
        }
    }
    Value::from(edges)
}
