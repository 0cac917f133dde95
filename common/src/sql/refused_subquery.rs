//! Refuses subqueries for which DataFusion 55 returns wrong results after turning them into joins.

use std::collections::HashSet;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Exists, InSubquery, SetComparison};
use datafusion::logical_expr::logical_plan::Subquery;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Aggregate, Expr, Limit, LogicalPlan};

use super::refusal::refuse;

/// Hint for an aggregate whose result is filtered or aggregated again inside the subquery.
const ALONE: &str = "let the subquery return the aggregate alone, and compare or compute outside of it, such as \
                     `CASE WHEN (SELECT count(*) …) > 0 THEN … END`";
/// Hint for `LIMIT` in a correlated subquery.
const NUMBERED: &str = "number the rows by `row_number() OVER (PARTITION BY … ORDER BY …)` in a subquery of `FROM`, and \
                        compare the number";

/// Refuses an expression if it contains a subquery that gives a wrong result.
pub(super) fn check(expr: &Expr) -> Result<()> {
    match expr {
        Expr::Exists(Exists { subquery, .. }) => {
            check_condition(subquery)?;
            check_limit(subquery, Rows::Exist)?;
            check_names(subquery, None)
        }
        Expr::InSubquery(InSubquery { expr, subquery, .. })
        | Expr::SetComparison(SetComparison { expr, subquery, .. }) => {
            check_condition(subquery)?;
            check_limit(subquery, Rows::Compared)?;
            check_names(subquery, Some(expr))
        }
        Expr::ScalarSubquery(subquery) => {
            check_value(subquery)?;
            check_names(subquery, None)
        }
        _ => Ok(()),
    }
}

/// Refuses a lateral subquery if it gives a wrong result.
pub(super) fn check_lateral(subquery: &Subquery) -> Result<()> {
    check_value(subquery)?;
    check_names(subquery, None)
}

fn is_correlated(subquery: &Subquery) -> bool {
    !subquery.outer_ref_columns.is_empty()
}

/// Refuses conditions over an aggregate without `GROUP BY`. Such an aggregate returns a row even
/// for no input rows, but DataFusion drops this row (apache/datafusion#24960).
fn check_condition(subquery: &Subquery) -> Result<()> {
    // An uncorrelated subquery is computed on its own and gives the right result.
    if !is_correlated(subquery) {
        return Ok(());
    }
    let mut plan = subquery.subquery.as_ref();
    // Search for the aggregate below nodes that keep its row.
    loop {
        plan = match plan {
            LogicalPlan::Aggregate(Aggregate { group_expr, .. }) if group_expr.is_empty() => break,
            LogicalPlan::Projection(node) => &node.input,
            LogicalPlan::Filter(node) => &node.input,
            LogicalPlan::SubqueryAlias(node) => &node.input,
            LogicalPlan::Sort(node) => &node.input,
            LogicalPlan::Limit(node) => &node.input,
            other if has_correlated_aggregate(other)? => break,
            _ => return Ok(()),
        };
    }
    refuse(
        "`EXISTS` or `IN` over a correlated subquery that aggregates without `GROUP BY`",
        "compare with the subquery's value: `x = (SELECT count(*) …)`",
    )
}

/// Refuses a subquery that filters, joins or aggregates the result of an aggregate without `GROUP
/// BY`. Such an aggregate returns a row even for no input rows, but DataFusion adds this row only
/// if nothing but a select list is above the aggregate.
fn check_value(subquery: &Subquery) -> Result<()> {
    if !is_correlated(subquery) {
        return Ok(());
    }
    let mut plan = subquery.subquery.as_ref();
    let rest = loop {
        plan = match plan {
            LogicalPlan::Aggregate(Aggregate { group_expr, input, .. }) if group_expr.is_empty() => {
                // DataFusion handles the aggregate at the top, but no aggregate below it.
                break input.as_ref();
            }
            LogicalPlan::Projection(node) => &node.input,
            LogicalPlan::SubqueryAlias(node) => &node.input,
            LogicalPlan::Sort(node) => &node.input,
            other => break other,
        };
    };
    if has_correlated_aggregate(rest)? {
        return refuse(
            "`HAVING`, `DISTINCT`, a join or an aggregate over an aggregate in a correlated subquery",
            ALONE,
        );
    }
    Ok(())
}

/// Whether `plan` contains an aggregate without `GROUP BY` that depends on columns of the outer
/// query.
fn has_correlated_aggregate(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|plan| match plan {
        LogicalPlan::Aggregate(Aggregate { group_expr, input, .. }) => {
            Ok(group_expr.is_empty() && !input.all_out_ref_exprs().is_empty())
        }
        _ => Ok(false),
    })
}

/// The way in which an expression uses the rows of a subquery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rows {
    /// The expression only tests whether the subquery has a row, as `EXISTS` does.
    Exist,
    /// The expression uses the values of the rows.
    Compared,
}

/// Refuses `LIMIT` and `OFFSET` in a correlated subquery, because DataFusion removes them. A
/// `LIMIT` in `EXISTS` is allowed, because it has no effect on the result.
fn check_limit(subquery: &Subquery, rows: Rows) -> Result<()> {
    if !is_correlated(subquery) {
        return Ok(());
    }
    let mut plan = subquery.subquery.as_ref();
    let rest = loop {
        plan = match plan {
            LogicalPlan::Projection(node) => &node.input,
            LogicalPlan::SubqueryAlias(node) => &node.input,
            LogicalPlan::Sort(node) => &node.input,
            LogicalPlan::Limit(limit) if rows == Rows::Exist && !skips(limit) => &limit.input,
            other => break other,
        };
    };
    // DataFusion applies a limit correctly if the rows below it do not depend on the outer query.
    let is_limited = rest.exists(|plan| match plan {
        LogicalPlan::Limit(limit) => Ok(!limit.input.all_out_ref_exprs().is_empty()),
        _ => Ok(false),
    })?;
    if is_limited { refuse("`LIMIT` or `OFFSET` in a correlated subquery", NUMBERED) } else { Ok(()) }
}

fn skips(limit: &Limit) -> bool {
    !matches!(limit.skip.as_deref(), None | Some(Expr::Literal(ScalarValue::Int64(Some(0) | None), _)))
}

/// Refuses a column of the outer query that has the name of a column in the subquery, because
/// DataFusion confuses the two.
fn check_names(subquery: &Subquery, compared: Option<&Expr>) -> Result<()> {
    let mut outer: HashSet<&Column> = compared.map(Expr::column_refs).unwrap_or_default();
    for reference in &subquery.outer_ref_columns {
        if let Expr::OuterReferenceColumn(_, column) = reference {
            outer.insert(column);
        }
    }
    let mut same = None;
    subquery.subquery.apply(|plan| {
        if let LogicalPlan::Filter(filter) = plan {
            // Only conditions that become part of the join can be confused.
            let conditions = split_conjunction(&filter.predicate).into_iter().filter(|expr| expr.contains_outer());
            let columns = conditions.flat_map(Expr::column_refs);
            same = same.take().or_else(|| columns.into_iter().find(|column| outer.contains(column)).cloned());
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    match same {
        Some(column) => refuse(
            &format!("a subquery whose column `{column}` has the name of a column outside that it is used with"),
            "give the subquery's table a name of its own, such as `FROM t AS inner_t`",
        ),
        None => Ok(()),
    }
}
