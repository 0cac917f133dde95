//! ⑥ Keeps rows that are the only ones of their group out of aggregations.
//!
//! A model that removes duplicates groups by what identifies a record, and takes the greatest or
//! first value of all other columns. Nearly all groups have one row, whose values are the result.
//! An aggregation of these rows moves and keeps the whole table in memory. So before such a model
//! runs, a query finds the hashes of the keys that occur more than once. Only rows with these
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
//!
//! This module changes the physical plan after all optimizer rules have run. Otherwise, a rule could
//! push a condition of the query through the union, and evaluate it for rows that the aggregation
//! would have removed.

use std::sync::Arc;

use datafusion::common::plan_err;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::error::Result as PlanResult;
use datafusion::physical_expr::expressions::{Literal, NotExpr};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::sanity_checker::SanityCheckPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use lakewright_common::error::EngineContext;
use lakewright_common::functions::key_hashes::{hash_set, in_hash_set, key_hash};

use self::aggregation::{Aggregation, Plan};
use self::repeated::unplanned;
use super::context::RunContext;

/// Finds the aggregations whose single rows are their own result.
mod aggregation;
/// Queries the hashes of the keys that occur more than once.
mod repeated;

/// Returns a plan with the same rows as `plan`, in which aggregations do not see single rows.
/// Returns the same plan if it has no such aggregation, or if the repeated keys cannot be found.
/// `stage` names the table's step in messages.
pub(super) async fn bypass_aggregations(context: &RunContext<'_>, stage: &str, plan: Plan) -> Plan {
    let config = context.session.copied_config();
    let mut bypassed = Arc::clone(&plan);
    for aggregation in Aggregation::all(&plan) {
        let replaced = |hashes: &[u64]| replace(&bypassed, &aggregation, hashes, config.options());
        // Before the queries, test with an arbitrary hash whether the aggregation can be replaced.
        if !repeated::is_worth_a_query(&aggregation) || replaced(&[0]).is_err() {
            continue;
        }
        let found = match repeated::hashes(context, stage, &aggregation).await {
            Ok(Some(hashes)) => replaced(&hashes).engine_context(unplanned).map(|plan| (plan, hashes.len())),
            Ok(None) => continue,
            Err(error) => Err(error),
        };
        match found {
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

/// Replaces an aggregation in a plan.
///
/// # Errors
/// A planning error, if a node above the aggregation needs a property of its output that the union
/// does not have, such as its distribution.
fn replace(plan: &Plan, aggregation: &Aggregation, hashes: &[u64], options: &ConfigOptions) -> PlanResult<Plan> {
    let bypass = without_single_rows(aggregation, hashes)?;
    let partitions = |plan: &Plan| plan.output_partitioning().partition_count();
    let bypass = match (partitions(&aggregation.node), partitions(&bypass)) {
        (1, 2..) => Arc::new(CoalescePartitionsExec::new(bypass)),
        // The planner puts other nodes above one partition than above several. For example, a filter
        // has a limit only above one.
        (2.., 1) => return plan_err!("the union has one partition, but the aggregation has several"),
        _ => bypass,
    };
    let replaced = Arc::clone(plan).transform_up(|node| {
        let is_replaced = Arc::ptr_eq(&node, &aggregation.node);
        Ok(if is_replaced { Transformed::yes(Arc::clone(&bypass)) } else { Transformed::no(node) })
    });
    SanityCheckPlan::new().optimize(replaced.data()?, options)
}

/// Returns the union that replaces an aggregation.
fn without_single_rows(aggregation: &Aggregation, hashes: &[u64]) -> PlanResult<Plan> {
    let results = |rows: Plan| ProjectionExec::try_new(aggregation.results_of_single_rows(), rows).map(Arc::new);
    if hashes.is_empty() {
        let all = results(Arc::clone(&aggregation.input))?;
        if all.schema() == aggregation.node.schema() {
            return Ok(all);
        }
    }
    let is_repeated = is_repeated(aggregation, hashes)?;
    let is_single = Arc::new(NotExpr::new(Arc::clone(&is_repeated)));
    let single = results(rows(aggregation, is_single)?)?;
    // One partition is enough for the few repeated rows, and adds at most one file to the table.
    let repeated: Plan = Arc::new(CoalescePartitionsExec::new(rows(aggregation, is_repeated)?));
    let repeated = Arc::new(AggregateExec::try_new(
        AggregateMode::Single,
        aggregation.group_by.clone(),
        aggregation.functions.clone(),
        vec![None; aggregation.functions.len()],
        repeated,
        aggregation.input.schema(),
    )?);
    // The aggregation first, because it takes longer than any partition of the projection.
    let union = UnionExec::try_new(vec![repeated, single])?;
    if union.schema() != aggregation.node.schema() {
        let (union, aggregation) = (union.schema(), aggregation.node.schema());
        return plan_err!("the union has the columns {union}, but the aggregation has {aggregation}");
    }
    Ok(union)
}

/// Returns the rows of an aggregation's input that meet a condition.
fn rows(aggregation: &Aggregation, condition: Arc<dyn PhysicalExpr>) -> PlanResult<Plan> {
    // Some nodes can be run only once, and the input is in both branches.
    let input = reset_plan_states(Arc::clone(&aggregation.input))?;
    Ok(Arc::new(FilterExec::try_new(condition, input)?))
}

/// Returns the condition that the hash of a row's key is one of `hashes`.
fn is_repeated(aggregation: &Aggregation, hashes: &[u64]) -> PlanResult<Arc<dyn PhysicalExpr>> {
    let schema = aggregation.input.schema();
    let options = Arc::new(ConfigOptions::default());
    let keys = aggregation.keys.iter().map(|key| Arc::new(key.clone()) as Arc<dyn PhysicalExpr>).collect();
    let hash = ScalarFunctionExpr::try_new(Arc::new(key_hash()), keys, &schema, Arc::clone(&options))?;
    let set = Literal::new(hash_set(hashes));
    let is_in_set =
        ScalarFunctionExpr::try_new(Arc::new(in_hash_set()), vec![Arc::new(set), Arc::new(hash)], &schema, options)?;
    Ok(Arc::new(is_in_set))
}

#[cfg(test)]
mod tests;
