//! `IN` and `NOT IN` over a subquery, with SQL's three-valued logic.
//!
//! `x NOT IN (SELECT y …)` is true only if `x = y` is false for every `y`; a null on either side
//! makes the comparison unknown. DataFusion 55 does this correctly for an uncorrelated subquery if
//! the `NOT IN` is a condition by itself. In a correlated subquery it ignores nulls
//! (apache/datafusion#25347), and below `OR`, `CASE` and the like it treats unknown as false. So
//! - a condition `x NOT IN (SELECT y …)` becomes `NOT EXISTS (SELECT … WHERE (x = y) IS NOT
//!   FALSE)`, an anti-join,
//! - a subquery for which the difference between unknown and false matters becomes `x = ANY (…)`,
//!   which DataFusion handles correctly.
//!
//! DataFusion joins both queries by column names, so a `y` with the same name as `x` would be
//! compared with itself. Therefore the column of the subquery gets a unique name.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, ExprSchema, plan_err};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Exists, InSubquery, SetComparison, SetQuantifier};
use datafusion::logical_expr::logical_plan::Subquery;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Filter, LogicalPlan, LogicalPlanBuilder, Operator};
use datafusion::optimizer::AnalyzerRule;

use super::rewrite::rewrite_where;

/// Name of the subquery column that values are compared with.
const COMPARED: &str = "__compared";

/// Rewrites the subqueries for which DataFusion would return wrong results.
#[derive(Debug)]
pub(super) struct NotInRule;

impl AnalyzerRule for NotInRule {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        // Most queries have no such subquery, and a rewrite would copy their plan.
        if !has_in_subquery(&plan)? {
            return Ok(plan);
        }
        let rewritten = plan.transform_up_with_subqueries(|plan| match plan {
            LogicalPlan::Filter(Filter { predicate, input, .. }) => {
                let predicate = condition(predicate, &merge_schema(&[&input]), Place::Alone)?;
                Ok(Transformed::yes(LogicalPlan::Filter(Filter::new(predicate, input))))
            }
            other => Ok(Transformed::no(other)),
        })?;
        // Filters were rewritten above. In all other nodes, the difference between unknown and
        // false matters.
        let is_no_filter = |plan: &LogicalPlan| !matches!(plan, LogicalPlan::Filter(_));
        rewrite_where(rewritten.data, is_no_filter, |expr, _| in_any_value(expr))
    }

    fn name(&self) -> &'static str {
        "not_in"
    }
}

fn has_in_subquery(plan: &LogicalPlan) -> Result<bool> {
    let mut is_found = false;
    plan.apply_with_subqueries(|plan| {
        // Search expressions at any depth, because the subquery may be in an argument.
        plan.apply_expressions(|expr| {
            is_found |= expr.exists(|expr| Ok(matches!(expr, Expr::InSubquery(_) | Expr::SetComparison(_))))?;
            Ok(if is_found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })
    })?;
    Ok(is_found)
}

/// Position of a condition among the conditions of a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A condition by itself, or one of several joined by `AND`.
    Alone,
    /// A condition below an `OR`. Unknown has the same effect as false, because neither makes the
    /// `OR` true.
    Nested,
}

/// Rewrites a condition of a filter, which drops the row if the condition is unknown or false.
fn condition(expr: Expr, schema: &DFSchema, place: Place) -> Result<Expr> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) => {
            // Below `OR`, DataFusion's `NOT IN` is wrong even if the subquery is not correlated.
            let place = if op == Operator::And { place } else { Place::Nested };
            let (left, right) = (condition(*left, schema, place)?, condition(*right, schema, place)?);
            Ok(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right))))
        }
        Expr::Not(inner) => match *inner {
            Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
                condition(Expr::InSubquery(InSubquery::new(expr, subquery, !negated)), schema, place)
            }
            Expr::Not(inner) => condition(*inner, schema, place),
            // De Morgan's laws are valid for unknown too.
            Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) => {
                let op = if op == Operator::And { Operator::Or } else { Operator::And };
                let (left, right) = (Expr::Not(left), Expr::Not(right));
                condition(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right))), schema, place)
            }
            other => Ok(Expr::Not(Box::new(any_value(other)?))),
        },
        Expr::InSubquery(in_subquery) if in_subquery.negated => {
            // DataFusion is correct only for an uncorrelated subquery in a condition by itself.
            let is_right = place == Place::Alone && in_subquery.subquery.outer_ref_columns.is_empty();
            if is_right { Ok(Expr::InSubquery(in_subquery)) } else { not_exists(in_subquery, schema) }
        }
        Expr::InSubquery(in_subquery) => Ok(Expr::InSubquery(in_subquery)),
        other => any_value(other),
    }
}

/// Returns `NOT EXISTS (SELECT … WHERE (x = y) IS NOT FALSE)`.
fn not_exists(in_subquery: InSubquery, schema: &DFSchema) -> Result<Expr> {
    let InSubquery { expr, subquery, .. } = in_subquery;
    let subquery = with_own_name(subquery)?;
    let plan = subquery.subquery.as_ref();
    let Some((qualifier, field)) = plan.schema().iter().next() else {
        return plan_err!("a subquery of NOT IN returns no column");
    };
    let value = Expr::Column(Column::from((qualifier, field)));
    // Without nulls, a plain `=` gives the same result, and DataFusion can use it as a join key.
    let is_nullable = field.is_nullable() || expr.nullable(schema)?;
    let equal = of_outer_query(*expr, schema)?.eq(value);
    let matching = if is_nullable { Expr::IsNotFalse(Box::new(equal)) } else { equal };
    let plan = LogicalPlanBuilder::from(plan.clone()).filter(matching)?.build()?;
    // `x` may be a column of the outer query, which makes the subquery correlated.
    let outer_ref_columns = plan.all_out_ref_exprs();
    let subquery = Subquery { subquery: Arc::new(plan), outer_ref_columns, spans: subquery.spans };
    Ok(Expr::Exists(Exists::new(subquery, true)))
}

/// Returns the subquery with its column renamed to [`COMPARED`].
fn with_own_name(subquery: Subquery) -> Result<Subquery> {
    let Some((qualifier, field)) = subquery.subquery.schema().iter().next() else {
        return plan_err!("a subquery of a comparison returns no column");
    };
    if field.name() == COMPARED {
        return Ok(subquery);
    }
    let column = Expr::Column(Column::from((qualifier, field))).alias(COMPARED);
    let plan = LogicalPlanBuilder::from(subquery.subquery.as_ref().clone()).project([column])?.build()?;
    Ok(subquery.with_plan(Arc::new(plan)))
}

/// Converts an expression of the outer query for use inside the subquery: its columns become outer
/// references.
fn of_outer_query(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    let outer = expr.transform_up(|expr| match expr {
        Expr::Column(column) => {
            let field = Arc::clone(schema.field_from_column(&column)?);
            Ok(Transformed::yes(Expr::OuterReferenceColumn(field, column)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(outer.data)
}

/// Turns every `IN` over a subquery into `= ANY` or `<> ALL`, which are unknown when SQL requires
/// it.
fn any_value(expr: Expr) -> Result<Expr> {
    Ok(in_any_value(expr)?.data)
}

fn in_any_value(expr: Expr) -> Result<Transformed<Expr>> {
    expr.transform_up(|expr| match expr {
        Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
            // `x NOT IN q` is `x <> ALL q`, and `x IN q` is `x = ANY q`.
            let (op, quantifier) =
                if negated { (Operator::NotEq, SetQuantifier::All) } else { (Operator::Eq, SetQuantifier::Any) };
            let subquery = with_own_name(subquery)?;
            Ok(Transformed::yes(Expr::SetComparison(SetComparison::new(expr, subquery, op, quantifier))))
        }
        Expr::SetComparison(SetComparison { expr, subquery, op, quantifier }) => {
            let subquery = with_own_name(subquery)?;
            Ok(Transformed::yes(Expr::SetComparison(SetComparison::new(expr, subquery, op, quantifier))))
        }
        other => Ok(Transformed::no(other)),
    })
}
