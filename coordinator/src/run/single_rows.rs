//! ⑥ Keeps rows that are the only ones of their group out of aggregations.
//!
//! A model that removes duplicates groups by what identifies a record, and takes the greatest or
//! first value of all other columns. Nearly all groups have one row, whose values are the result.
//! An aggregation of these rows moves and keeps the whole table in memory. So before such a model
//! is built, a query finds the hashes of the keys that occur more than once. Only rows with these
//! hashes are aggregated:
//!
//! ```text
//!                          ┌─ rows with a repeated hash ─ aggregation ─┐
//! aggregation of rows  ⇒  ─┤                                           ├─ union
//!                          └─ other rows ─ projection ─────────────────┘
//! ```
//!
//! The result is the same, because rows of one group have equal hashes. Two different keys with the
//! same hash are aggregated too.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type, UInt64Type};
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::datasource::source_as_provider;
use datafusion::error::Result as PlanResult;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{Aggregate, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Volatility};
use datafusion::prelude::{col, lit};
use lakewright_common::error::{EngineContext, Error, Result};
use lakewright_common::functions::key_hashes::{hash_set, in_hash_set, key_hash};

use super::context::RunContext;
use crate::engine::parquet_table::ParquetTable;

/// Minimum number of rows of an aggregation. For fewer rows, another query takes longer than the
/// aggregation.
const MIN_ROWS: u64 = 100_000;
/// Number of rows that are read first, because most aggregations of other models have many rows per
/// group.
const SAMPLE_ROWS: usize = 32_768;
/// Maximum share of rows whose key occurs more than once, as a divisor of the number of rows.
const REPEATED_DIVISOR: u64 = 20;
/// Maximum number of hashes. Every task's plan contains all of them.
const MAX_HASHES: usize = 32_768;

/// Columns of the queries for hashes.
const HASH: &str = "hash";
const ROWS: &str = "rows";

/// Returns a plan with the same result as a model's plan, in which aggregations do not see single
/// rows. Returns the same plan if it has no such aggregation, or if the repeated keys cannot be
/// found. `stage` names the table's step in messages.
pub(super) async fn bypass_aggregations(context: &RunContext<'_>, stage: &str, plan: LogicalPlan) -> LogicalPlan {
    let mut bypassed = plan.clone();
    for aggregate in candidates(&plan) {
        let replaced = match repeated_hashes(context, stage, &aggregate).await {
            Ok(Some(hashes)) => {
                let plan = replace(&bypassed, &aggregate, &hashes).engine_context(unplanned);
                plan.map(|plan| (plan, hashes.len()))
            }
            Ok(None) => continue,
            Err(error) => Err(error),
        };
        match replaced {
            Ok((plan, hashes)) => {
                tracing::debug!(step = stage, hashes, "aggregates only rows whose key occurs more than once");
                bypassed = plan;
            }
            // If the cause is in the data or in the cluster, the model itself reports it.
            Err(error) => tracing::debug!(step = stage, %error, "aggregates all rows"),
        }
    }
    bypassed
}

fn unplanned(error: datafusion::error::DataFusionError) -> Error {
    Error::internal("the query for repeated keys cannot be planned").caused_by(error.strip_backtrace())
}

/// Returns the aggregations of a plan that are worth a query for repeated keys.
fn candidates(plan: &LogicalPlan) -> Vec<Aggregate> {
    let mut found = Vec::new();
    // The closure never fails.
    let _ = plan.apply(|node| {
        if let LogicalPlan::Aggregate(aggregate) = node
            && is_candidate(aggregate).unwrap_or(false)
            && !found.contains(aggregate)
        {
            found.push(aggregate.clone());
        }
        Ok(TreeNodeRecursion::Continue)
    });
    found
}

fn is_candidate(aggregate: &Aggregate) -> PlanResult<bool> {
    let input = aggregate.input.schema();
    let has_keys = !aggregate.group_expr.is_empty();
    for key in &aggregate.group_expr {
        let is_set = matches!(key, Expr::GroupingSet(_));
        if is_set || !is_constant(key) || !is_key_type(&key.get_type(input)?) {
            return Ok(false);
        }
    }
    let mut is_wide = false;
    for result in &aggregate.aggr_expr {
        let Some(value) = value_of_single_row(result) else { return Ok(false) };
        let data_type = value.get_type(input)?;
        if !is_constant(value) || data_type != result.get_type(input)? {
            return Ok(false);
        }
        is_wide |= !data_type.is_primitive();
    }
    Ok(has_keys && is_wide && rows(&aggregate.input)?.is_some_and(|rows| rows >= MIN_ROWS))
}

/// Whether keys of this type are equal exactly if their bytes are. This is not so for floating-point
/// numbers: `0.0` and `-0.0` are equal.
fn is_key_type(data_type: &DataType) -> bool {
    !data_type.is_nested() && !data_type.is_floating()
}

/// Returns the result of an aggregate function for a group of one row; `None` if the function may
/// return something else than a value of the row.
fn value_of_single_row(result: &Expr) -> Option<&Expr> {
    let function = match result {
        Expr::Alias(alias) => alias.expr.as_ref(),
        other => other,
    };
    let Expr::AggregateFunction(AggregateFunction { func, params }) = function else { return None };
    let is_value = matches!(func.name(), "max" | "min" | "first_value" | "last_value");
    match params.args.as_slice() {
        [value] if is_value && params.filter.is_none() => Some(value),
        _ => None,
    }
}

/// Returns the number of rows of the tables that a plan reads; `None` if running the plan twice may
/// return other rows.
fn rows(plan: &LogicalPlan) -> PlanResult<Option<u64>> {
    let mut rows = Some(0);
    plan.apply(|node| {
        let is_repeatable = match node {
            LogicalPlan::TableScan(scan) => {
                let provider = source_as_provider(&scan.source)?;
                let table = provider.downcast_ref::<ParquetTable>();
                rows = rows.zip(table).map(|(rows, table)| rows + table.rows());
                scan.fetch.is_none()
            }
            LogicalPlan::Projection(_) | LogicalPlan::Filter(_) | LogicalPlan::SubqueryAlias(_) => true,
            _ => false,
        };
        if !is_repeatable || !node.expressions().iter().all(is_constant) {
            rows = None;
        }
        Ok(if rows.is_none() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(rows)
}

/// Whether an expression has the same value for the same row in every query. `random()` and `now()`
/// have not, and a subquery may not.
fn is_constant(expr: &Expr) -> bool {
    let changes = |expr: &Expr| {
        Ok(match expr {
            Expr::ScalarFunction(function) => function.func.signature().volatility != Volatility::Immutable,
            Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_) | Expr::SetComparison(_) => true,
            _ => false,
        })
    };
    !expr.is_volatile() && !expr.exists(changes).unwrap_or(true)
}

/// Returns the hashes of the keys that occur more than once; `None` if there are too many.
async fn repeated_hashes(context: &RunContext<'_>, stage: &str, aggregate: &Aggregate) -> Result<Option<Vec<u64>>> {
    let rows = rows(&aggregate.input).engine_context(unplanned)?.unwrap_or(0);
    let hash = hash_of_key(aggregate).alias(HASH);
    let hashes =
        || LogicalPlanBuilder::from(Arc::unwrap_or_clone(Arc::clone(&aggregate.input))).project([hash.clone()]);

    let sample = hashes().and_then(|hashes| hashes.limit(0, Some(SAMPLE_ROWS))?.build()).engine_context(unplanned)?;
    let sample = collect(context, stage, &sample, SAMPLE_ROWS as u64).await?;
    let sample: Vec<u64> = sample.iter().flat_map(|batch| hash_column(batch).to_vec()).collect();
    let distinct = sample.iter().collect::<HashSet<_>>().len();
    if is_too_much((sample.len() - distinct) as u64, sample.len() as u64) {
        return Ok(None);
    }

    let repeated = hashes()
        .and_then(|hashes| {
            hashes
                .aggregate([col(HASH)], [count(lit(1_i64)).alias(ROWS)])?
                .filter(col(ROWS).gt(lit(1_i64)))?
                .limit(0, Some(MAX_HASHES + 1))?
                .build()
        })
        .engine_context(unplanned)?;
    let repeated = collect(context, stage, &repeated, rows).await?;
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

async fn collect(context: &RunContext<'_>, stage: &str, query: &LogicalPlan, rows: u64) -> Result<Vec<RecordBatch>> {
    let plan = context.session.state().create_physical_plan(query).await.engine_context(unplanned)?;
    context.engine.collect(&context.session, stage, plan, rows).await
}

fn hash_of_key(aggregate: &Aggregate) -> Expr {
    key_hash().call(aggregate.group_expr.iter().map(|key| key.clone().unalias()).collect())
}

/// Replaces an aggregation in a plan.
fn replace(plan: &LogicalPlan, aggregate: &Aggregate, hashes: &[u64]) -> PlanResult<LogicalPlan> {
    let bypass = without_single_rows(aggregate, hashes)?;
    let replaced = plan.clone().transform_up(|node| match &node {
        LogicalPlan::Aggregate(found) if found == aggregate => Ok(Transformed::yes(bypass.clone())),
        // Columns may have become nullable.
        _ => node.recompute_schema().map(Transformed::yes),
    })?;
    Ok(replaced.data)
}

fn without_single_rows(aggregate: &Aggregate, hashes: &[u64]) -> PlanResult<LogicalPlan> {
    let input = || LogicalPlanBuilder::from(aggregate.input.as_ref().clone());
    let keys = || aggregate.group_expr.iter().cloned().map(Expr::unalias);
    let single_values = aggregate.aggr_expr.iter().filter_map(value_of_single_row).cloned();
    let is_repeated = in_hash_set().call(vec![lit(hash_set(hashes)), hash_of_key(aggregate)]);

    let single = if hashes.is_empty() { input() } else { input().filter(!is_repeated.clone())? };
    let single = single.project(numbered(keys().chain(single_values)))?;
    let rows = if hashes.is_empty() {
        single
    } else {
        let repeated =
            input().filter(is_repeated)?.aggregate(aggregate.group_expr.clone(), aggregate.aggr_expr.clone())?;
        let columns = repeated.schema().columns().into_iter().map(Expr::Column);
        let repeated = repeated.project(numbered(columns.collect::<Vec<_>>()))?;
        // The aggregation first: its partitions must run at the same time, because they exchange rows.
        repeated.union(single.build()?)?
    };
    rows.project(original_names(&aggregate.schema))?.build()
}

/// Names the columns of a branch of the union by their numbers.
fn numbered(columns: impl IntoIterator<Item = Expr>) -> Vec<Expr> {
    columns.into_iter().enumerate().map(|(number, column)| column.alias(numbered_name(number))).collect()
}

fn numbered_name(number: usize) -> String {
    format!("c{number}")
}

fn original_names(schema: &DFSchema) -> Vec<Expr> {
    let name = |(number, (relation, field)): (usize, (Option<&_>, &Arc<arrow::datatypes::Field>))| {
        let relation: Option<&datafusion::common::TableReference> = relation;
        col(numbered_name(number)).alias_qualified(relation.cloned(), field.name())
    };
    schema.iter().enumerate().map(name).collect()
}

#[cfg(test)]
mod tests;
