//! Sources: their fields and totals, and the objects that were ingested.

use std::sync::Arc;

use arrow::datatypes::FieldRef;
use axum::Json;
use axum::extract::{Path, State};
use lakewright_common::config::resolved::{Field, FieldInput, JsonFormat, Metadata, RecordFormat, Source};
use lakewright_common::read::schema::arrow_schema;
use serde_json::{Map, Value, json};

use super::tables::only_row;
use super::{Parameters, number, offset, text};
use crate::lake::manifest::SourceCounts;
use crate::query_text::pages::{count_objects, objects_page};
use crate::ui::Ui;
use crate::ui::answer::{Answer, not_found};
use crate::ui::cells::{self, type_name};

/// Default and maximum number of objects that a request returns.
const OBJECTS: u64 = 100;
const MAX_OBJECTS: u64 = 1000;

/// The sources of the configuration, with their totals in one version.
pub(super) async fn sources(State(ui): State<Arc<Ui>>, parameters: Parameters) -> Answer {
    let view = ui.view(number(&parameters, "version")?).await?;
    let commits = ui.commits.up_to(&view.lake, &view.manifest).await;
    let source = |source: &Source| {
        let is_ingested = |counts: &SourceCounts| counts.objects > 0;
        let last = commits.iter().rev().find(|commit| commit.counts.get(&source.name).is_some_and(is_ingested));
        let RecordFormat::Json(format) = &source.format;
        let state = view.manifest.sources.get(&source.name).cloned().unwrap_or_default();
        let totals = state.totals;
        json!({
            "name": source.name,
            "url": ui.config.location(&source.url).name(),
            "format": if *format == JsonFormat::Lines { "ndjson" } else { "json" },
            "last_ingested_at": last.map(|commit| commit.committed_at),
            "fields": fields(source),
            "objects": totals.objects,
            "bytes": totals.bytes,
            "records": totals.records,
            "staged": totals.staged,
            "quarantined": totals.quarantined,
            "undeclared": totals.unknown_fields,
            "nulled": totals.nulled_values,
            "null_records": totals.null_records,
            "limit": source.max_quarantine_share,
        })
    };
    let sources: Vec<Value> = ui.config.sources.iter().map(source).collect();
    Ok(Json(json!({ "version": view.manifest.version, "sources": sources })))
}

fn fields(source: &Source) -> Value {
    let schema = arrow_schema(&source.fields);
    let fields = source.fields.iter().zip(schema.fields());
    let field = |(field, column): (&Field, &FieldRef)| {
        json!({
            "name": field.name,
            "type": type_name(column.data_type()),
            "from": input(&field.input),
            "required": field.required,
        })
    };
    fields.map(field).collect()
}

/// Describes where the value of a field comes from.
fn input(input: &FieldInput) -> String {
    match input {
        FieldInput::Keys(keys) => keys.join("."),
        FieldInput::Document(place) if place.keys.is_empty() => "the key of the record".to_owned(),
        FieldInput::Document(place) => format!("around the record: {}", place.keys.join(".")),
        FieldInput::PathPart(part) => format!("the path: {part}"),
        FieldInput::Metadata(metadata) => {
            let name = Metadata::NAMES.iter().find(|(_, known)| known == metadata).map_or("", |(name, _)| *name);
            format!("the object or record: {name}")
        }
    }
}

/// The ingested objects of a source, those with the most rejected records first.
pub(super) async fn objects(State(ui): State<Arc<Ui>>, Path(name): Path<String>, parameters: Parameters) -> Answer {
    let view = ui.view(number(&parameters, "version")?).await?;
    if ui.config.sources.iter().all(|source| source.name != name) {
        return Err(not_found("the source", &name));
    }
    let limit = number(&parameters, "limit")?.unwrap_or(OBJECTS).min(MAX_OBJECTS);
    let offset = offset(&parameters)?;
    let part = text(&parameters, "text");
    let total = only_row(&view, &count_objects(&name, part)).await?;
    let batches = view.rows(&objects_page(&name, part, limit, offset)).await?;
    let names = ["file_name", "file_size", "last_modified", "row_count", "error_count", "commit"];
    let object = |row: Value| -> Value {
        let values = row.as_array().cloned().unwrap_or_default();
        names.iter().map(|name| (*name).to_owned()).zip(values).collect::<Map<String, Value>>().into()
    };
    let objects: Vec<Value> = cells::rows(&batches)?.into_iter().map(object).collect();
    Ok(Json(json!({ "total": total.first(), "objects": objects })))
}
