//! Refuses plans for which DataFusion 55 returns wrong results. The errors say what to write
//! instead.
//!
//! Each case is known from a bug report, or was found by comparing results with DuckDB.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, JoinConstraint, JoinType, ScalarValue};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::logical_expr::expr::{NullTreatment, ScalarFunction, WindowFunction};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, Filter, Join, Limit, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

use super::refusal::refuse;
use super::{refused_grouping, refused_subquery, refused_value};

/// Refuses a plan with a configuration error if its result would be wrong.
#[derive(Debug)]
pub(super) struct RefusedPlanRule;

impl AnalyzerRule for RefusedPlanRule {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        // Recognize the root by its address, because a nested node may be equal to it.
        let root: *const LogicalPlan = &raw const plan;
        plan.apply_with_subqueries(|plan| {
            match plan {
                LogicalPlan::Join(join) => check_join(join)?,
                LogicalPlan::Filter(filter) => check_filter(filter)?,
                LogicalPlan::Limit(limit) if !std::ptr::eq(plan, root) => check_limit(limit)?,
                LogicalPlan::Subquery(subquery) => refused_subquery::check_lateral(subquery)?,
                LogicalPlan::Aggregate(aggregate) => refused_grouping::check(aggregate)?,
                LogicalPlan::Values(values) => check_values(&values.values)?,
                LogicalPlan::Sort(sort) => {
                    sort.expr
                        .iter()
                        .try_for_each(|key| refused_value::check_ordered(&key.expr, sort.input.schema()))?;
                }
                _ => {}
            }
            let schema = merge_schema(&plan.inputs());
            // Check expressions at any depth, because a refused one may be an argument.
            plan.apply_expressions(|expr| {
                expr.apply(|expr| {
                    check_expression(expr, &schema)?;
                    Ok(TreeNodeRecursion::Continue)
                })
            })
        })?;
        Ok(plan)
    }

    fn name(&self) -> &'static str {
        "refused_plan"
    }
}

/// Refuses outer joins with `USING`: DataFusion takes the common column from the left side, where
/// it is null for rows that exist only on the right.
fn check_join(join: &Join) -> Result<()> {
    let has_rows_of_right_alone = matches!(join.join_type, JoinType::Right | JoinType::Full);
    if join.join_constraint == JoinConstraint::Using && has_rows_of_right_alone {
        return refuse(
            "`RIGHT` or `FULL JOIN` with `USING` or `NATURAL`",
            "join by `ON a.x = b.x`, and select `coalesce(a.x, b.x)`",
        );
    }
    Ok(())
}

/// Refuses a filter on the result of a `GROUP BY` or an aggregate if its condition calls a random
/// function. DataFusion would apply the condition to the rows before they are aggregated.
fn check_filter(filter: &Filter) -> Result<()> {
    if !filter.predicate.is_volatile() {
        return Ok(());
    }
    // Follow the path along which DataFusion would push the condition down.
    let mut plan = filter.input.as_ref();
    loop {
        plan = match plan {
            LogicalPlan::Aggregate(_) => {
                return refuse(
                    "a condition with random values over an aggregate",
                    "select the random value beside the aggregate, and filter in a query around it",
                );
            }
            LogicalPlan::Projection(node) if !node.expr.iter().any(Expr::is_volatile) => &node.input,
            LogicalPlan::Filter(node) => &node.input,
            LogicalPlan::SubqueryAlias(node) => &node.input,
            _ => return Ok(()),
        };
    }
}

/// Refuses `OFFSET` without `LIMIT` in a subquery: DataFusion may remove the sort below it
/// (apache/datafusion#23534). It does not remove the sort of a whole query.
fn check_limit(limit: &Limit) -> Result<()> {
    if limit.skip.is_none() || limit.fetch.is_some() {
        return Ok(());
    }
    let mut plan = limit.input.as_ref();
    loop {
        plan = match plan {
            LogicalPlan::Sort(_) => {
                return refuse(
                    "`ORDER BY … OFFSET` without `LIMIT` in a subquery",
                    "add a `LIMIT`, or number the rows by `row_number() OVER (ORDER BY …)` and compare the number",
                );
            }
            LogicalPlan::Projection(node) => &node.input,
            LogicalPlan::SubqueryAlias(node) => &node.input,
            _ => return Ok(()),
        };
    }
}

/// Refuses subqueries in `VALUES`, because DataFusion evaluates `VALUES` before any subquery.
fn check_values(rows: &[Vec<Expr>]) -> Result<()> {
    for expr in rows.iter().flatten() {
        if expr.exists(|expr| Ok(matches!(expr, Expr::ScalarSubquery(_))))? {
            return refuse("a subquery in `VALUES`", "use `SELECT … UNION ALL SELECT …` instead of `VALUES`");
        }
    }
    Ok(())
}

fn check_expression(expr: &Expr, schema: &DFSchema) -> Result<()> {
    refused_subquery::check(expr)?;
    refused_value::check(expr, schema)?;
    match expr {
        Expr::WindowFunction(window) => {
            let keys = window.params.order_by.iter().map(|key| &key.expr);
            keys.into_iter().try_for_each(|key| refused_value::check_ordered(key, schema))?;
            check_window(window)
        }
        Expr::ScalarFunction(function) if function.func.name() == "date_part" => check_date_part(function, schema),
        _ => Ok(()),
    }
}

/// Refuses window functions that look ahead and ignore nulls: DataFusion stops looking too early
/// (apache/datafusion#25471).
fn check_window(window: &WindowFunction) -> Result<()> {
    let ignores_nulls = window.params.null_treatment == Some(NullTreatment::IgnoreNulls);
    let looks_ahead = match window.fun.name() {
        "lead" => true,
        "lag" => match window.params.args.get(1) {
            None => false,
            // A negative offset of `lag` looks ahead. An offset that is not constant might.
            Some(Expr::Literal(offset, _)) => !matches!(offset, ScalarValue::Int64(Some(0..))),
            Some(_) => true,
        },
        _ => false,
    };
    if ignores_nulls && looks_ahead {
        return refuse("`lead` with `IGNORE NULLS`", "use `lag` with `IGNORE NULLS` over the reverse order");
    }
    Ok(())
}

/// Refuses `date_part` of a difference of timestamps: DataFusion returns the whole difference in
/// the unit of the part, in 32 bits (apache/datafusion#14738).
fn check_date_part(function: &ScalarFunction, schema: &DFSchema) -> Result<()> {
    let [Expr::Literal(part, _), value] = function.args.as_slice() else { return Ok(()) };
    let part = part.try_as_str().flatten().unwrap_or_default().to_lowercase();
    if matches!(value.get_type(schema)?, DataType::Duration(_)) && part != "epoch" && part != "day" {
        return refuse(
            &format!("`{part}` of a difference of moments"),
            "use its seconds, `date_part('epoch', a - b)`, or its days, `date_part('day', a - b)`",
        );
    }
    Ok(())
}
