//! Finds expressions that fail on every row, before there are rows.
//!
//! Planning does not evaluate: a function whose result is not of its declared type, or a constant text that is no
//! moment, would fail the run once the first row arrives. So validation evaluates each expression of a planned model
//! over no rows. What depends on the data is not found.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, CaseExpr};
use datafusion::physical_expr::scalar_subquery::ScalarSubqueryExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;

/// Returns why the first failing expression of `plan` cannot be evaluated.
pub(super) fn failing_expression(plan: &Arc<dyn ExecutionPlan>) -> Option<String> {
    let mut found = None;
    let walked = plan.apply(|node| {
        if !reads_its_input(node) {
            return Ok(TreeNodeRecursion::Continue);
        }
        let rows = RecordBatch::new_empty(node.children()[0].schema());
        node.apply_expressions(&mut |expr| {
            found = found.take().or_else(|| failure(expr, &rows));
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(if found.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    walked.ok().and(found)
}

/// Returns whether the expressions of a node refer to the columns of its one input.
fn reads_its_input(node: &Arc<dyn ExecutionPlan>) -> bool {
    let is_first_aggregate = node.downcast_ref::<AggregateExec>().is_some_and(|aggregate| {
        matches!(aggregate.mode(), AggregateMode::Partial | AggregateMode::Single | AggregateMode::SinglePartitioned)
    });
    is_first_aggregate || node.is::<ProjectionExec>() || node.is::<FilterExec>() || node.is::<SortExec>()
}

fn failure(expr: &Arc<dyn PhysicalExpr>, rows: &RecordBatch) -> Option<String> {
    if is_conditional(expr) || waits_for_subquery(expr) {
        return None;
    }
    let evaluate = || -> Result<Option<String>> {
        let declared = expr.data_type(&rows.schema())?;
        let values = expr.evaluate(rows)?.into_array(0)?;
        let is_as_declared = *values.data_type() == declared;
        Ok((!is_as_declared).then(|| format!("`{expr}` returns {}, not {declared}", values.data_type())))
    };
    evaluate().unwrap_or_else(|e| Some(format!("`{expr}` fails on every row: {}", e.strip_backtrace())))
}

/// Returns whether a part of the expression is the value of a subquery, which only a running plan has.
fn waits_for_subquery(expr: &Arc<dyn PhysicalExpr>) -> bool {
    expr.exists(|part| Ok(part.is::<ScalarSubqueryExpr>())).unwrap_or(true)
}

/// Returns whether a part of the expression may never be evaluated, which some models rely on to fail for certain rows.
fn is_conditional(expr: &Arc<dyn PhysicalExpr>) -> bool {
    let exists = expr.exists(|part| {
        let is_logical = part.downcast_ref::<BinaryExpr>().is_some_and(|binary| binary.op().is_logic_operator());
        Ok(part.is::<CaseExpr>() || is_logical)
    });
    exists.unwrap_or(true)
}
