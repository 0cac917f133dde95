//! ⑥⑦ Runs each model's query and writes the result into the files of the model's table.
//!
//! A table is rebuilt if its model changed or if anything that it reads has new rows. Otherwise it
//! keeps its files. A query sees all staging files, those of this run and of earlier runs. It also
//! sees the tables that come earlier in building order.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, SchemaRef, TimeUnit};
use datafusion::config::ConfigOptions;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::physical_expr::expressions::{CastExpr, Column, Literal};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, Partitioning};
use lakewright_common::config::resolved::{Limits, Table};
use lakewright_common::error::{Context, EngineContext, Error, Result};
use lakewright_common::report::{TaskReport, WrittenFile};
use lakewright_common::sql::{check_text, holds_moments, storable_moment};
use lakewright_common::write::hive;
use lakewright_common::write::table_node::TableWriteExec;
use lakewright_common::write::table_writer::TableLayout;

use super::context::RunContext;
use super::single_rows;
use super::staged::StagedSource;
use crate::engine::parquet_table::ParquetTable;
use crate::lake::LakePath;
use crate::lake::column::{Columns, assign_column_ids};
use crate::lake::manifest::{DataFile, TableState};
use crate::model::{self, Model};
use crate::session_tables;

/// The tables of the version that this run commits.
pub(crate) struct Tables {
    /// States of the tables in building order: dimensions before facts.
    pub(crate) states: Vec<TableState>,
    /// Names of the tables that this run built.
    pub(crate) built: BTreeSet<String>,
}

/// Builds the tables that are stale and keeps the files of the other tables.
///
/// # Errors
/// A configuration error for a model that does not fit its data. A data error for rows that the
/// model cannot compute.
pub(super) async fn build(
    context: &RunContext<'_>,
    models: &[Model<'_>],
    staged: &[StagedSource<'_>],
) -> Result<Tables> {
    register_staging(context, staged)?;
    // A source is fresh if this run staged rows of it. Rejected records do not count, because
    // models cannot read them.
    let fresh: BTreeSet<&str> =
        staged.iter().filter(|source| source.counts.staged > 0).map(|source| source.source.name.as_str()).collect();
    let mut tables = Tables { states: vec![], built: BTreeSet::new() };
    for model in models {
        let name = &model.table.name;
        let previous = context.base.as_ref().and_then(|base| base.table(name));
        let is_stale = model.is_stale(previous, &fresh, &tables.built);
        let state = match previous {
            Some(previous) if !is_stale => previous.clone(),
            _ => {
                let step = context.progress.step(&format!("build {name}"), context.engine.tasks());
                let state = build_table(context, model, staged).await?;
                step.end();
                tables.built.insert(name.clone());
                state
            }
        };
        // Later models must see this table, rebuilt or not.
        session_tables::register_table(&context.session, &state)?;
        tables.states.push(state);
    }
    Ok(tables)
}

/// Registers the staging table of each source, with the files of earlier commits and of this run.
fn register_staging(context: &RunContext<'_>, staged: &[StagedSource<'_>]) -> Result<()> {
    for source in staged {
        let before = context.base.as_ref().and_then(|base| base.sources.get(&source.source.name));
        let earlier = before.into_iter().flat_map(|state| &state.staging).map(|file| file.written.clone());
        let files: Vec<WrittenFile> = earlier.chain(source.staging.iter().cloned()).collect();
        let table = ParquetTable::new(source.columns.arrow_schema()?, &[], files);
        session_tables::register(&context.session, model::STAGING_SCHEMA, &source.source.name, Arc::new(table))?;
    }
    Ok(())
}

async fn build_table(context: &RunContext<'_>, model: &Model<'_>, staged: &[StagedSource<'_>]) -> Result<TableState> {
    let table = model.table;
    let stage = format!("build {}", table.name);
    let query = plan_query(&context.session.state(), table).await?;
    let query = single_rows::bypass_aggregations(context, &stage, query).await;
    let previous = context.base.as_ref().and_then(|base| base.table(&table.name)).map(|state| &state.columns);
    let schema = query.schema();
    if let Some(failure) = Error::join(column_faults(table, &schema)) {
        return Err(failure);
    }
    // Columns keep the ids of the previous version, because some readers find columns by id.
    let columns = assign_column_ids(previous, &stored_schema(&schema)).map_err(|error| named(table, error))?;
    let plan = write_plan(context, table, &columns, query, input_bytes(context, model, staged))?;
    // Record the table before its first file is written, because a failed run deletes files only in
    // the folders of recorded tables.
    context.start_writing(&table.name);
    let reports =
        context.engine.run_stage(&context.session, &stage, plan).await.map_err(|error| named(table, error))?;
    let mut files = Vec::new();
    for report in reports {
        match report {
            TaskReport::Table(file) => files.push(DataFile::new(file, context.version)),
            _ => {
                return Err(Error::internal(format!(
                    "table `{}`: a write returned a report of another kind",
                    table.name
                )));
            }
        }
    }
    // Tasks end in any order. Sorted paths make the manifest independent of this order.
    files.sort_by(|a, b| a.written.path.cmp(&b.written.path));
    Ok(TableState {
        name: table.name.clone(),
        columns,
        partition_by: table.partition_by.clone(),
        key: table.key.clone(),
        fingerprint: model.fingerprint.clone(),
        changed_in: context.version,
        files,
    })
}

/// Adds the table's name and the path of its SQL file to the message of an error.
pub(super) fn named(table: &Table, mut error: Error) -> Error {
    error.message = at(table) + &error.message;
    error
}

fn at(table: &Table) -> String {
    format!("table `{}` ({}): ", table.name, table.sql_file.display())
}

/// Plans a model's query.
///
/// # Errors
/// A configuration error if the text is not one query that only reads, or if it cannot be planned.
pub(super) async fn plan_query(state: &SessionState, table: &Table) -> Result<Arc<dyn ExecutionPlan>> {
    plan_text(state, &table.sql).await.map_err(|error| named(table, error))
}

async fn plan_text(state: &SessionState, sql: &str) -> Result<Arc<dyn ExecutionPlan>> {
    let unplanned =
        |e: DataFusionError| Error::configuration("the query cannot be planned").caused_by(e.strip_backtrace());
    check_text(sql)?;
    let logical = state.create_logical_plan(sql).await.engine_context(unplanned)?;
    // Check the plan as well, because the text alone does not show every statement that must be
    // refused.
    model::read_only().verify_plan(&logical).engine_context(unplanned)?;
    state.create_physical_plan(&logical).await.engine_context(unplanned)
}

/// Returns one error for each fault in the settings `key` and `partition_by` of a table: a column
/// that the query does not return, a partition column of an unsuitable type, or no column besides
/// the partition columns.
pub(super) fn column_faults(table: &Table, schema: &SchemaRef) -> Vec<Error> {
    let mut faults = Vec::new();
    let mut fault = |message: String, hint: String| faults.push(Error::configuration(at(table) + &message).hint(hint));
    let known = || schema.fields().iter().map(|field| field.name().as_str());
    for (setting, columns) in [("key", &table.key), ("partition_by", &table.partition_by)] {
        // Report each column that is missing, not only the first.
        for column in columns.iter().filter(|column| known().all(|name| name != *column)) {
            let near = lakewright_common::config::nearest(column, known());
            let hint = near.map_or_else(
                || format!("its columns are `{}`", known().collect::<Vec<_>>().join("`, `")),
                |near| format!("did you mean `{near}`?"),
            );
            fault(format!("`{setting}` names `{column}`, which the query does not return"), hint);
        }
    }
    for field in table.partition_by.iter().filter_map(|column| schema.field_with_name(column).ok()) {
        // Test the stored type, not the type in the query. For example, a `UInt32` is stored as an
        // `Int64`.
        if !hive::is_partition_type(&stored_type(field.data_type())) {
            fault(
                format!("cannot be partitioned by `{}`, a `{}`", field.name(), field.data_type()),
                "partition by a whole number, a date, a string or a boolean, such as `date_part('year', …)`".to_owned(),
            );
        }
    }
    if table.partition_by.len() == schema.fields().len() {
        fault(
            "every column is a partition column, so files would be empty".to_owned(),
            "leave one column out of `partition_by`".to_owned(),
        );
    }
    faults
}

/// Returns the schema that a query's rows have once they are stored.
pub(super) fn stored_schema(schema: &SchemaRef) -> arrow::datatypes::Schema {
    let fields: Vec<_> = schema
        .fields()
        .iter()
        .map(|field| {
            field
                .as_ref()
                .clone()
                .with_data_type(stored_type(field.data_type()))
                // Delta columns are nullable, because a later version may have nulls.
                .with_nullable(true)
                .with_metadata(Default::default())
        })
        .collect();
    arrow::datatypes::Schema::new(fields)
}

/// Returns the type in which tables store a query's values of type `data_type`. Every reader knows
/// the stored type, because it is a type of Delta's lowest protocol. A type without a counterpart
/// in Delta is returned unchanged, and `assign_column_ids` refuses it.
fn stored_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::Dictionary(_, value) => stored_type(value),
        // Stored timestamps are UTC microseconds. A query's time zone only affects how they are
        // shown.
        DataType::Timestamp(_, _) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        // Delta has no unsigned types, so each is stored in a larger signed type. No signed type is
        // larger than `UInt64`, so the cast fails for a value above the maximum of `Int64`.
        DataType::UInt32 | DataType::UInt64 => DataType::Int64,
        other => other.clone(),
    }
}

/// Returns the plan that casts the query's rows to the stored types, gathers them in fewer tasks if
/// the table is small, and writes them.
fn write_plan(
    context: &RunContext<'_>,
    table: &Table,
    columns: &Columns,
    query: Arc<dyn ExecutionPlan>,
    input_bytes: u64,
) -> Result<Arc<dyn ExecutionPlan>> {
    let unplanned = || named(table, Error::internal("the write cannot be planned"));
    let limits = &context.config.limits;
    let schema = columns.arrow_schema()?;
    let cast: Vec<(Arc<dyn PhysicalExpr>, String)> = query
        .schema()
        .fields()
        .iter()
        .zip(schema.fields())
        .enumerate()
        .map(|(i, (have, want))| {
            let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(have.name(), i));
            // Check before the cast, in which a timestamp out of range would overflow.
            let column = if holds_moments(have.data_type()) { checked(column, have) } else { column };
            let value = if have.data_type() == want.data_type() {
                column
            } else {
                Arc::new(CastExpr::new(column, want.data_type().clone(), None))
            };
            (value, want.name().clone())
        })
        .collect();
    let rows: Arc<dyn ExecutionPlan> = Arc::new(ProjectionExec::try_new(cast, query).context(unplanned)?);
    let gathered = if is_gathered(input_bytes, limits) {
        gather(rows, table, &schema, context.session.copied_config().target_partitions()).context(unplanned)?
    } else {
        rows
    };
    let layout = TableLayout {
        folder: LakePath::Table(&table.name).key().to_string(),
        schema,
        partition_by: table.partition_by.clone(),
        target_file_bytes: limits.target_file_bytes,
        max_open_files: limits.max_open_files,
    };
    Ok(Arc::new(TableWriteExec::new(gathered, Arc::new(layout), context.run)))
}

/// Wraps a column in a function that fails for a timestamp or date that tables cannot hold.
fn checked(column: Arc<dyn PhysicalExpr>, field: &Field) -> Arc<dyn PhysicalExpr> {
    let function = Arc::new(storable_moment());
    let name: Arc<dyn PhysicalExpr> = Arc::new(Literal::new(field.name().as_str().into()));
    let checked = Field::new(field.name(), field.data_type().clone(), true);
    let options = Arc::new(ConfigOptions::default());
    Arc::new(ScalarFunctionExpr::new(
        function.name(),
        Arc::clone(&function),
        vec![column, name],
        checked.into(),
        options,
    ))
}

/// Returns whether the rows of a table are gathered in fewer tasks before they are written. This is
/// so if the table's input would fit in one file, because the table then probably fits too. For a
/// larger table, each task has enough rows for files of its own.
pub(super) fn is_gathered(input_bytes: u64, limits: &Limits) -> bool {
    input_bytes <= limits.target_file_bytes
}

/// Sends all rows with the same partition values to one task. The table then has one file for each
/// combination of values, instead of one for each combination and task.
fn gather(
    rows: Arc<dyn ExecutionPlan>,
    table: &Table,
    schema: &SchemaRef,
    partitions: usize,
) -> datafusion::error::Result<Arc<dyn ExecutionPlan>> {
    if rows.output_partitioning().partition_count() == 1 {
        return Ok(rows);
    }
    if table.partition_by.is_empty() {
        return Ok(Arc::new(CoalescePartitionsExec::new(rows)));
    }
    let keys = table
        .partition_by
        .iter()
        .map(|name| Ok(Arc::new(Column::new(name, schema.index_of(name)?)) as Arc<dyn PhysicalExpr>))
        .collect::<datafusion::error::Result<Vec<_>>>()?;
    Ok(Arc::new(RepartitionExec::try_new(rows, Partitioning::Hash(keys, partitions))?))
}

/// Returns whether a model may read a source, directly or through other tables. A model that reads
/// any other table is assumed to read every source.
pub(super) fn reads_source(model: &Model<'_>, source: &str) -> bool {
    model.sources.contains(source) || !model.tables.is_empty()
}

/// Returns the size in bytes of the staging files that a model reads, directly or through other
/// tables. A model rarely writes more than this.
fn input_bytes(context: &RunContext<'_>, model: &Model<'_>, staged: &[StagedSource<'_>]) -> u64 {
    let earlier = |name: &str| -> u64 {
        let state = context.base.as_ref().and_then(|base| base.sources.get(name));
        state.map_or(0, |state| state.staging.iter().map(|file| file.written.bytes).sum())
    };
    let sources = staged
        .iter()
        .filter(|source| reads_source(model, &source.source.name))
        .map(|source| earlier(&source.source.name) + source.staging.iter().map(|file| file.bytes).sum::<u64>());
    sources.sum()
}
