//! Corrects the value of a subquery that returns no row, or that aggregates no rows.
//!
//! DataFusion 55 assumes that `(SELECT 1 WHERE false)` is never null because its column is not
//! nullable, and simplifies `coalesce` and `IS NULL` accordingly. When it turns a correlated
//! subquery with an aggregate into a join, it fills in the values of the missing row only for
//! expressions that still refer to the aggregate after simplification. A constant, or `count(*) IS
//! NULL`, no longer refers to it, and becomes null. So this rule passes the values of both kinds of
//! subqueries through a function of two arguments that returns the first. The result of the
//! function is nullable, and its ignored second argument refers to the aggregate.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, internal_err, plan_err};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::logical_plan::Subquery;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, Projection, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility, lit,
};
use datafusion::optimizer::AnalyzerRule;

use super::rewrite::rewrite_expressions;

const NAME: &str = "subquery_value";

/// Returns the function that [`SubqueryValueRule`] calls.
pub(super) fn function() -> ScalarUDF {
    ScalarUDF::new_from_impl(SubqueryValue { signature: Signature::any(2, Volatility::Immutable) })
}

/// Passes the values of subqueries through [`function`].
#[derive(Debug)]
pub(super) struct SubqueryValueRule;

impl AnalyzerRule for SubqueryValueRule {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let function = function();
        let plan = plan.transform_up_with_subqueries(|plan| match plan {
            // This is a lateral subquery.
            LogicalPlan::Subquery(subquery) if !subquery.outer_ref_columns.is_empty() => {
                Ok(Transformed::yes(LogicalPlan::Subquery(with_aggregates_named(subquery, &function)?)))
            }
            other => Ok(Transformed::no(other)),
        })?;
        rewrite_expressions(plan.data, |expr, _| {
            expr.transform_up(|expr| match expr {
                Expr::ScalarSubquery(subquery) => {
                    let is_correlated = !subquery.outer_ref_columns.is_empty();
                    let subquery = if is_correlated { with_aggregates_named(subquery, &function)? } else { subquery };
                    let plan = subquery.subquery.as_ref();
                    let is_nullable = plan.schema().fields().first().is_none_or(|field| field.is_nullable());
                    // The declared nullability is correct, so no call is needed.
                    if is_nullable || has_one_row(plan) {
                        return Ok(Transformed::yes(Expr::ScalarSubquery(subquery)));
                    }
                    Ok(Transformed::yes(function.call(vec![Expr::ScalarSubquery(subquery), lit(true)])))
                }
                other => Ok(Transformed::no(other)),
            })
        })
    }

    fn name(&self) -> &'static str {
        NAME
    }
}

/// Whether a subquery always has exactly one row.
fn has_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::EmptyRelation(relation) => relation.produce_one_row,
        LogicalPlan::Projection(node) => has_one_row(&node.input),
        LogicalPlan::SubqueryAlias(node) => has_one_row(&node.input),
        LogicalPlan::Sort(node) => has_one_row(&node.input),
        _ => false,
    }
}

fn with_aggregates_named(subquery: Subquery, function: &ScalarUDF) -> Result<Subquery> {
    Ok(match named(&subquery.subquery, function)? {
        Some(plan) => subquery.with_plan(Arc::new(plan)),
        None => subquery,
    })
}

/// If `plan` is a projection of an aggregate without `GROUP BY`, changes its expressions so that
/// each one refers to the aggregate. Returns the changed plan.
fn named(plan: &LogicalPlan, function: &ScalarUDF) -> Result<Option<LogicalPlan>> {
    match plan {
        LogicalPlan::SubqueryAlias(_) | LogicalPlan::Sort(_) | LogicalPlan::Limit(_) => {
            let Some(input) = plan.inputs().first().copied() else { return Ok(None) };
            let Some(input) = named(input, function)? else { return Ok(None) };
            Ok(Some(plan.with_new_exprs(plan.expressions(), vec![input])?))
        }
        LogicalPlan::Projection(projection) if aggregates_all(&projection.input) => {
            let input = named(&projection.input, function)?.map_or_else(|| Arc::clone(&projection.input), Arc::new);
            // Any column of the aggregate will do, so use the first.
            let Some((qualifier, field)) = input.schema().iter().next() else { return Ok(None) };
            let aggregate = Expr::Column(Column::from((qualifier, field)));
            let names = NamePreserver::new(plan);
            let expressions = projection.expr.iter().map(|expr| {
                // A plain column refers to the aggregate already.
                if matches!(expr.clone().unalias(), Expr::Column(_)) {
                    return expr.clone();
                }
                let name = names.save(expr);
                name.restore(function.call(vec![expr.clone().unalias(), aggregate.clone()]))
            });
            Ok(Some(LogicalPlan::Projection(Projection::try_new(expressions.collect(), input)?)))
        }
        _ => Ok(None),
    }
}

/// Whether the rows of `plan` are the rows of an aggregate without `GROUP BY`.
fn aggregates_all(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::Projection(node) => aggregates_all(&node.input),
        LogicalPlan::SubqueryAlias(node) => aggregates_all(&node.input),
        _ => false,
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct SubqueryValue {
    signature: Signature,
}

impl ScalarUDFImpl for SubqueryValue {
    fn name(&self) -> &'static str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        types.first().map_or_else(|| plan_err!("{NAME} takes a value"), |value| Ok(value.clone()))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let [value, _] = args.arg_fields else { return plan_err!("{NAME} takes two values") };
        Ok(Arc::new(Field::new(NAME, value.data_type().clone(), true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.into_iter().next() {
            Some(value) => Ok(value),
            None => internal_err!("{NAME} takes two values"),
        }
    }
}
