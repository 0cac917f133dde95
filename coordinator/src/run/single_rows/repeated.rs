//! Queries the hashes of the keys that occur more than once.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, SchemaRef, UInt64Type};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::provider_as_source;
use datafusion::error::{DataFusionError, Result as PlanResult};
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableType};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::projection::ProjectionExpr;
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::prelude::{col, lit};
use lakewright_common::error::{EngineContext, Error, Result};
use lakewright_common::functions::key_hashes::key_hash;

use super::aggregation::{Aggregation, Plan};
use crate::run::context::RunContext;

/// Minimum number of rows of an aggregation. For fewer rows, another query takes longer than the
/// aggregation.
const MIN_ROWS: u64 = 100_000;
/// Number of rows that are read first, because most aggregations of other models have many rows per
/// group.
const SAMPLE_ROWS: usize = 32_768;
/// Maximum share of rows whose key occurs more than once, as a divisor of the number of rows.
const REPEATED_DIVISOR: u64 = 20;
/// Minimum share of rows that conditions select, as a divisor of the number of rows.
const SELECTED_DIVISOR: u64 = 2;
/// Maximum number of hashes. Every task's plan contains all of them.
const MAX_HASHES: usize = 32_768;

/// Columns of the queries.
const HASH: &str = "hash";
const ROWS: &str = "rows";

/// Returns whether an aggregation may take longer than the queries.
pub(super) fn is_worth_a_query(aggregation: &Aggregation) -> bool {
    aggregation.rows >= MIN_ROWS && aggregation.is_wide()
}

/// Returns the hashes of the keys that occur more than once. Returns `None` if there are too many,
/// or if conditions select so few rows that reading them again takes longer than the aggregation.
///
/// # Errors
/// An error of the query.
pub(super) async fn hashes(
    context: &RunContext<'_>,
    stage: &str,
    aggregation: &Aggregation,
) -> Result<Option<Vec<u64>>> {
    let sample = sample(aggregation).engine_context(unplanned)?;
    let sample = collect(context, stage, &sample, SAMPLE_ROWS as u64).await?;
    let sample: Vec<u64> = sample.iter().flat_map(|batch| hash_column(batch).to_vec()).collect();
    let distinct = sample.iter().collect::<HashSet<_>>().len();
    let is_short = sample.len() < SAMPLE_ROWS;
    if is_short || is_too_much((sample.len() - distinct) as u64, sample.len() as u64) {
        return Ok(None);
    }

    let mut rows = aggregation.rows;
    if aggregation.has_conditions {
        let selected = selected(aggregation).engine_context(unplanned)?;
        let selected = collect(context, stage, &selected, rows).await?;
        let selected = selected.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values());
        let selected: u64 = selected.map(|rows| u64::try_from(*rows).unwrap_or(0)).sum();
        if selected < MIN_ROWS || selected < rows / SELECTED_DIVISOR {
            return Ok(None);
        }
        rows = selected;
    }

    let repeated = repeated(aggregation).engine_context(unplanned)?;
    let repeated = collect(context, stage, &repeated, aggregation.rows).await?;
    let hashes: Vec<u64> = repeated.iter().flat_map(|batch| hash_column(batch).to_vec()).collect();
    let counts = repeated.iter().flat_map(|batch| batch.column(1).as_primitive::<Int64Type>().values());
    let repeated_rows = counts.map(|rows| u64::try_from(*rows).unwrap_or(0)).sum();
    Ok((hashes.len() <= MAX_HASHES && !is_too_much(repeated_rows, rows)).then_some(hashes))
}

fn is_too_much(repeated: u64, rows: u64) -> bool {
    repeated.saturating_mul(REPEATED_DIVISOR) > rows
}

fn hash_column(batch: &RecordBatch) -> &[u64] {
    batch.column(0).as_primitive::<UInt64Type>().values()
}

/// Returns the query for the hashes of the first rows.
fn sample(aggregation: &Aggregation) -> PlanResult<LogicalPlan> {
    hash_of_each_row(aggregation)?.limit(0, Some(SAMPLE_ROWS))?.build()
}

/// Returns the query for the number of rows that the conditions of an aggregation's input select.
fn selected(aggregation: &Aggregation) -> PlanResult<LogicalPlan> {
    hash_of_each_row(aggregation)?.aggregate(Vec::<Expr>::new(), [count(lit(1_i64))])?.build()
}

/// Returns the query for the hashes that occur more than once, with their numbers of rows.
pub(super) fn repeated(aggregation: &Aggregation) -> PlanResult<LogicalPlan> {
    hash_of_each_row(aggregation)?
        .aggregate([col(HASH)], [count(lit(1_i64)).alias(ROWS)])?
        .filter(col(ROWS).gt(lit(1_i64)))?
        .limit(0, Some(MAX_HASHES + 1))?
        .build()
}

/// Returns the query for the hash of each row's key.
fn hash_of_each_row(aggregation: &Aggregation) -> PlanResult<LogicalPlanBuilder> {
    let keys = aggregation.keys.iter().enumerate();
    let keys = keys.map(|(number, key)| ProjectionExpr { expr: Arc::new(key.clone()), alias: key_name(number) });
    let rows = ProjectionExec::try_new(keys, reset_plan_states(Arc::clone(&aggregation.input))?)?;
    let keys: Vec<Expr> = (0..aggregation.keys.len()).map(|number| col(key_name(number))).collect();
    let table = provider_as_source(Arc::new(PlanTable(Arc::new(rows))));
    LogicalPlanBuilder::scan("keys", table, None)?.project([key_hash().call(keys).alias(HASH)])
}

fn key_name(number: usize) -> String {
    format!("key{number}")
}

async fn collect(context: &RunContext<'_>, stage: &str, query: &LogicalPlan, rows: u64) -> Result<Vec<RecordBatch>> {
    let plan = context.session.state().create_physical_plan(query).await.engine_context(unplanned)?;
    context.engine.collect(&context.session, stage, plan, rows).await
}

/// Converts an error of planning a query or the bypassed plan.
pub(super) fn unplanned(error: DataFusionError) -> Error {
    Error::internal("the aggregation cannot be bypassed").caused_by(error.strip_backtrace())
}

/// Table that consists of the rows of a plan.
#[derive(Debug)]
struct PlanTable(Plan);

#[async_trait]
impl TableProvider for PlanTable {
    fn schema(&self) -> SchemaRef {
        self.0.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> PlanResult<Plan> {
        let schema = self.0.schema();
        let columns = projection.cloned().unwrap_or_else(|| (0..schema.fields().len()).collect());
        let columns = columns.into_iter().map(|column| {
            let name = schema.field(column).name();
            let expr = Arc::new(Column::new(name, column));
            ProjectionExpr { expr, alias: name.clone() }
        });
        Ok(Arc::new(ProjectionExec::try_new(columns, Arc::clone(&self.0))?))
    }
}
