//! Validates everything before a run does any work: every model must be plannable over the declared
//! fields, and its key, partition columns and checks must fit the columns of its query. All faults
//! are reported together.

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

/// Plans all models and checks over empty tables. Registers these tables in `session`.
///
/// # Errors
/// A configuration error that lists all faults.
pub(crate) async fn validate(session: &SessionContext, config: &Config, models: &[Model<'_>]) -> Result<()> {
    let mut faults = Vec::new();
    let mut broken: BTreeSet<&str> = BTreeSet::new();
    for source in &config.sources {
        let table = Arc::new(EmptyTable::new(arrow_schema(&source.fields)));
        session_tables::register(session, model::STAGING_SCHEMA, &source.name, table)?;
    }
    for model in models {
        // Do not plan a model that reads a table of a broken model. Its only fault would be that
        // this table is missing.
        let is_above_broken = model.tables.iter().any(|table| broken.contains(table.as_str()));
        let stored = if is_above_broken { None } else { stored_schema(session, model.table, &mut faults).await };
        match stored {
            Some(schema) => {
                // Later models are planned over an empty table with these columns.
                let table = Arc::new(EmptyTable::new(Arc::new(schema)));
                session_tables::register(session, session_tables::TABLES_SCHEMA, &model.table.name, table)?;
            }
            None => drop(broken.insert(&model.table.name)),
        }
    }
    for model in models.iter().filter(|model| !broken.contains(model.table.name.as_str())) {
        for check in &model.table.checks {
            // Skip a check that refers to a broken table, because the fault of that table is
            // already reported.
            let refers_to_broken =
                matches!(&check.rule, Rule::References { to_table, .. } if broken.contains(to_table.as_str()));
            if !refers_to_broken {
                faults.extend(check_fault(session, model.table, check).await);
            }
        }
    }
    Error::join(faults).map_or(Ok(()), Err)
}

/// Returns the schema of a model's stored rows. If the model has faults, adds them to `faults` and
/// returns `None`.
async fn stored_schema(session: &SessionContext, table: &Table, faults: &mut Vec<Error>) -> Option<Schema> {
    let before = faults.len();
    let query = match build::plan_query(&session.state(), table).await {
        Ok(query) => query,
        Err(error) => {
            faults.push(error);
            return None;
        }
    };
    // Find faults that planning does not find.
    if let Some(reason) = probe::failing_expression(&query) {
        faults.push(build::named(table, Error::configuration(reason)));
    }
    faults.extend(build::column_faults(table, &query.schema()));
    let stored = build::stored_schema(&query.schema());
    // Delta cannot store some types, and names that differ only in case.
    if let Err(error) = assign_column_ids(None, &stored) {
        faults.push(build::named(table, error));
    }
    (faults.len() == before).then_some(stored)
}

async fn check_fault(session: &SessionContext, table: &Table, check: &Check) -> Option<Error> {
    let what = data_checks::describe(&check.rule).0;
    let cannot_run = |mut error: Error| {
        error.message = format!("table `{}`: check of {what} cannot run: {}", table.name, error.message);
        Some(error)
    };
    let fault = |reason: String| cannot_run(Error::configuration(reason));
    if let Rule::Range { column, .. } = &check.rule {
        let schema = session.table(TableReference::bare(table.name.as_str())).await.ok()?.schema().as_arrow().clone();
        match schema.field_with_name(column).map(|field| field.data_type().clone()) {
            // Without this check, DataFusion would cast the column or the bound, and compare both
            // as text, for example.
            Ok(data_type) if !data_type.is_numeric() && data_type != DataType::Null => {
                return fault(format!("a range is one of numbers, and the column is a `{data_type}`"));
            }
            _ => {}
        }
    }
    let query = violations(&table.name, &check.rule);
    if let Err(error) = check_text(&query) {
        return cannot_run(error);
    }
    match session.sql_with_options(&query, model::read_only()).await {
        Ok(frame) => frame.create_physical_plan().await.err().and_then(|e| fault(e.strip_backtrace())),
        Err(error) => fault(error.strip_backtrace()),
    }
}
