//! Rewrites the expressions of an analyzed plan.

use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::error::Result;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, LogicalPlan};

/// Rewrites each expression of `plan` and of its subqueries. `rewrite` also receives the schema of
/// the columns that the expression can refer to. The columns of the plan keep their names.
pub(super) fn rewrite_expressions(
    plan: LogicalPlan,
    rewrite: impl FnMut(Expr, &DFSchema) -> Result<Transformed<Expr>>,
) -> Result<LogicalPlan> {
    rewrite_where(plan, |_| true, rewrite)
}

/// Like [`rewrite_expressions`], but rewrites only the expressions of plan nodes for which
/// `is_meant` returns true.
pub(super) fn rewrite_where(
    plan: LogicalPlan,
    is_meant: impl Fn(&LogicalPlan) -> bool,
    mut rewrite: impl FnMut(Expr, &DFSchema) -> Result<Transformed<Expr>>,
) -> Result<LogicalPlan> {
    let rewritten = plan.transform_up_with_subqueries(|plan| {
        if !is_meant(&plan) {
            return Ok(Transformed::no(plan));
        }
        let schema = merge_schema(&plan.inputs());
        let names = NamePreserver::new(&plan);
        let plan = plan.map_expressions(|expr| {
            // A rewritten expression would change the name of its column, and break references from
            // nodes above.
            let name = names.save(&expr);
            let rewritten = rewrite(expr, &schema)?;
            Ok(if rewritten.transformed { rewritten.update_data(|expr| name.restore(expr)) } else { rewritten })
        })?;
        // A rewrite may change the type or nullability of a column.
        if plan.transformed { plan.map_data(LogicalPlan::recompute_schema) } else { Ok(plan) }
    });
    rewritten.data()
}
