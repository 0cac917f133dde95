//! Finds expressions that fail on every row, before the first row is read.
//!
//! Planning does not evaluate expressions. Without this test, a function that returns another type
//! than it declares, or a text constant that is not a timestamp, would fail the run at the first
//! row. So validation evaluates each expression of a planned model over zero rows. Faults that
//! depend on the data are not found.

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

/// Returns a message about the first expression of `plan` that cannot be evaluated, or `None` if
/// all can be.
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

/// Returns whether a node is of a tested kind: with a single input, and with expressions over the
/// columns of that input.
fn reads_its_input(node: &Arc<dyn ExecutionPlan>) -> bool {
    // Later phases of an aggregation read intermediate states instead of the columns.
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
        // DataFusion trusts the declared type. A wrong one fails later, in another operator.
        let is_as_declared = *values.data_type() == declared;
        Ok((!is_as_declared).then(|| format!("`{expr}` returns {}, not {declared}", values.data_type())))
    };
    evaluate().unwrap_or_else(|e| Some(format!("`{expr}` fails on every row: {}", e.strip_backtrace())))
}

/// Returns whether a part of the expression is the value of a subquery, which is known only while
/// the plan runs.
fn waits_for_subquery(expr: &Arc<dyn PhysicalExpr>) -> bool {
    expr.exists(|part| Ok(part.is::<ScalarSubqueryExpr>())).unwrap_or(true)
}

/// Returns whether a part of the expression is evaluated only for some rows, such as a branch of
/// `CASE`. A model may contain such a part to fail on purpose for certain rows.
fn is_conditional(expr: &Arc<dyn PhysicalExpr>) -> bool {
    let exists = expr.exists(|part| {
        let is_logical = part.downcast_ref::<BinaryExpr>().is_some_and(|binary| binary.op().is_logic_operator());
        Ok(part.is::<CaseExpr>() || is_logical)
    });
    exists.unwrap_or(true)
}
