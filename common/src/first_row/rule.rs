//! Adds `FirstRowExec` below the exchange of a query that filters on `row_number() = 1`.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, Literal};
use datafusion::physical_expr::utils::split_conjunction;
use datafusion::physical_expr::window::{StandardWindowExpr, WindowExpr};
use datafusion::physical_expr::{Partitioning, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowUDFExpr};

use super::keys::{Keys, can_group};
use super::node::FirstRowExec;

type Plan = Arc<dyn ExecutionPlan>;

/// Optimizer rule that adds [`FirstRowExec`] to plans. It must run after the rules that add
/// exchanges and sorts.
#[derive(Debug)]
pub(crate) struct FirstRowRule;

impl PhysicalOptimizerRule for FirstRowRule {
    fn optimize(&self, plan: Plan, _: &ConfigOptions) -> Result<Plan> {
        plan.transform_up(|node| match with_first_row(&node)? {
            Some(changed) => Ok(Transformed::yes(changed)),
            None => Ok(Transformed::no(node)),
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "first_row"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Returns a filter on `row_number() = 1` with a [`FirstRowExec`] added below it. Returns `None` if
/// `node` is not such a filter.
fn with_first_row(node: &Plan) -> Result<Option<Plan>> {
    let Some(filter) = node.downcast_ref::<FilterExec>() else { return Ok(None) };
    let first = split_conjunction(filter.predicate()).into_iter().find_map(column_of_first);
    let Some(column) = first else { return Ok(None) };
    let Some(input) = below_filter(filter.input(), column)? else { return Ok(None) };
    replace_children_if_necessary(Arc::clone(node), vec![input]).map(Some)
}

/// Returns the index of the column `c` in a condition that only the first row meets: `c = 1`, `c <=
/// 1` or `c < 2`. Returns `None` for any other condition.
fn column_of_first(condition: &Arc<dyn PhysicalExpr>) -> Option<usize> {
    let condition = condition.downcast_ref::<BinaryExpr>()?;
    let column = condition.left().downcast_ref::<Column>()?;
    let ScalarValue::UInt64(Some(number)) = condition.right().downcast_ref::<Literal>()?.value() else { return None };
    let is_first = matches!((condition.op(), number), (Operator::Eq | Operator::LtEq, 1) | (Operator::Lt, 2));
    is_first.then_some(column.index())
}

/// Follows `column` from the input of a filter down to the window that computes it. Returns `node`
/// with a [`FirstRowExec`] added below this window, or `None` if there is no such window.
fn below_filter(node: &Plan, column: usize) -> Result<Option<Plan>> {
    let changed = if let Some(projection) = node.downcast_ref::<ProjectionExec>() {
        let Some(column) = projection.expr()[column].expr.downcast_ref::<Column>() else { return Ok(None) };
        below_filter(projection.input(), column.index())?
    } else if let Some(window) = node.downcast_ref::<BoundedWindowAggExec>() {
        // The window appends its columns to those of its input. A second function in the window
        // would need all rows.
        let is_row_number = column == window.input().schema().fields().len() && window.window_expr().len() == 1;
        match window.window_expr().first().filter(|_| is_row_number).and_then(keys_of) {
            Some(keys) => below_window(window.input(), keys)?,
            None => None,
        }
    } else {
        None
    };
    changed.map(|changed| replace_children_if_necessary(Arc::clone(node), vec![changed])).transpose()
}

/// Returns the keys of a `row_number` window, if they are columns; `None` for any other window.
fn keys_of(window: &Arc<dyn WindowExpr>) -> Option<Keys> {
    let window = window.as_any().downcast_ref::<StandardWindowExpr>()?;
    let function = window.get_standard_func_expr().as_any().downcast_ref::<WindowUDFExpr>()?;
    if function.fun().name() != "row_number" {
        return None;
    }
    let index = |key: &Arc<dyn PhysicalExpr>| key.downcast_ref::<Column>().map(Column::index);
    let order = window.order_by().first()?;
    Some(Keys {
        partition: window.partition_by().iter().map(index).collect::<Option<_>>()?,
        order: index(&order.expr)?,
        options: order.options,
    })
}

/// Adds a [`FirstRowExec`] below the exchange that feeds a window's sort. Returns `None` if `node`
/// is not a sort above a hash exchange, or if the rows cannot be grouped by `keys`.
fn below_window(node: &Plan, keys: Keys) -> Result<Option<Plan>> {
    let Some(sort) = node.downcast_ref::<SortExec>().filter(|sort| sort.fetch().is_none()) else { return Ok(None) };
    let Some(exchange) = sort.input().downcast_ref::<RepartitionExec>() else { return Ok(None) };
    let is_hash = matches!(exchange.partitioning(), Partitioning::Hash(_, _));
    if !is_hash || keys.partition.is_empty() || !can_group(&keys, &exchange.input().schema()) {
        return Ok(None);
    }
    let first: Plan = Arc::new(FirstRowExec::try_new(Arc::clone(exchange.input()), keys)?);
    let exchange = replace_children_if_necessary(Arc::clone(sort.input()), vec![first])?;
    replace_children_if_necessary(Arc::clone(node), vec![exchange]).map(Some)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
mod tests;
