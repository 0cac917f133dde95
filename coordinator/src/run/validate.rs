//! Validation before any work: every model can be planned over the declared fields, and its key, partition columns and
//! checks fit the columns that it returns. All faults are reported at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion::common::TableReference;
use datafusion::datasource::empty::EmptyTable;
use datafusion::prelude::SessionContext;
use lakewright_common::config::resolved::{Check, Config, Rule, Table};
use lakewright_common::error::{Error, Result};
use lakewright_common::read::schema::arrow_schema;
use lakewright_common::sql::check_text;

use super::{build, data_checks, probe};
use crate::lake::column::assign_column_ids;
use crate::model::{self, Model};
use crate::query_text::violations;
use crate::session_tables;

/// Plans everything over empty tables, in a session of its own.
///
/// # Errors
/// Configuration, with a line for each fault.
pub(crate) async fn validate(session: &SessionContext, config: &Config, models: &[Model<'_>]) -> Result<()> {
    let mut faults = Vec::new();
    let mut broken: BTreeSet<&str> = BTreeSet::new();
    for source in &config.sources {
        let table = Arc::new(EmptyTable::new(arrow_schema(&source.fields)));
        session_tables::register(session, model::STAGING_SCHEMA, &source.name, table)?;
    }
    for model in models {
        let is_above_broken = model.tables.iter().any(|table| broken.contains(table.as_str()));
        let stored = if is_above_broken { None } else { stored_schema(session, model.table, &mut faults).await };
        match stored {
            Some(schema) => {
                let table = Arc::new(EmptyTable::new(Arc::new(schema)));
                session_tables::register(session, session_tables::TABLES_SCHEMA, &model.table.name, table)?;
            }
            None => drop(broken.insert(&model.table.name)),
        }
    }
    for model in models.iter().filter(|model| !broken.contains(model.table.name.as_str())) {
        for check in &model.table.checks {
            let refers_to_broken =
                matches!(&check.rule, Rule::References { to_table, .. } if broken.contains(to_table.as_str()));
            if !refers_to_broken {
                faults.extend(check_fault(session, model.table, check).await);
            }
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(Error::configuration(faults.join("\nerror: "))) }
}

/// Schema in which a model's rows are stored. Returns `None` after a fault.
async fn stored_schema(session: &SessionContext, table: &Table, faults: &mut Vec<String>) -> Option<Schema> {
    let before = faults.len();
    let query = match build::plan_query(&session.state(), table).await {
        Ok(query) => query,
        Err(error) => {
            let hint = error.hint.as_ref().map(|hint| format!("\nhint: {hint}"));
            faults.push(error.to_string() + &hint.unwrap_or_default());
            return None;
        }
    };
    if let Some(reason) = probe::failing_expression(&query) {
        faults.push(build::named(table, Error::configuration(reason)).to_string());
    }
    let with_hint =
        |fault: Error| fault.hint.iter().fold(fault.to_string(), |text, hint| format!("{text}\nhint: {hint}"));
    faults.extend(build::column_faults(table, &query.schema()).into_iter().map(with_hint));
    let stored = build::stored_schema(&query.schema());
    if let Err(error) = assign_column_ids(None, &stored) {
        faults.push(build::named(table, error).to_string());
    }
    (faults.len() == before).then_some(stored)
}

async fn check_fault(session: &SessionContext, table: &Table, check: &Check) -> Option<String> {
    let what = data_checks::describe(&check.rule).0;
    let fault = |reason: String| Some(format!("table `{}`: check of {what} cannot run: {reason}", table.name));
    if let Rule::Range { column, .. } = &check.rule {
        let schema = session.table(TableReference::bare(table.name.as_str())).await.ok()?.schema().as_arrow().clone();
        match schema.field_with_name(column).map(|field| field.data_type().clone()) {
            Ok(data_type) if !data_type.is_numeric() && data_type != DataType::Null => {
                return fault(format!("a range is one of numbers, and the column is a `{data_type}`"));
            }
            _ => {}
        }
    }
    let query = violations(&table.name, &check.rule);
    if let Err(error) = check_text(&query) {
        return fault(error.to_string());
    }
    match session.sql_with_options(&query, model::read_only()).await {
        Ok(frame) => frame.create_physical_plan().await.err().and_then(|e| fault(e.strip_backtrace())),
        Err(error) => fault(error.strip_backtrace()),
    }
}
