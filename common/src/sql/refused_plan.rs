//! Plans that DataFusion 55 answers wrongly, refused with what to write instead.
//!
//! What is wrong with each is known by its bug report, or was found by comparing with DuckDB.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, JoinConstraint, JoinType, ScalarValue};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::logical_expr::expr::{
    Exists, InSubquery, NullTreatment, ScalarFunction, SetComparison, WindowFunction,
};
use datafusion::logical_expr::logical_plan::Subquery;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Aggregate, Expr, ExprSchemable, Join, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

use crate::error::Error;

/// Refuses a plan, with a configuration error.
#[derive(Debug)]
pub(super) struct RefusedPlanRule;

impl AnalyzerRule for RefusedPlanRule {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.apply_with_subqueries(|plan| {
            if let LogicalPlan::Join(join) = plan {
                check_join(join)?;
            }
            let schema = merge_schema(&plan.inputs());
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

fn refuse<T>(what: &str, instead: &str) -> Result<T> {
    Err(Error::configuration(format!("{what} is not supported")).hint(instead).into_engine())
}

/// The common column would be the left side's, which is null in the rows that only the right side has.
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

fn check_expression(expr: &Expr, schema: &DFSchema) -> Result<()> {
    match expr {
        Expr::Exists(Exists { subquery, .. })
        | Expr::InSubquery(InSubquery { subquery, .. })
        | Expr::SetComparison(SetComparison { subquery, .. }) => check_subquery(subquery),
        Expr::WindowFunction(window) => check_window(window),
        Expr::ScalarFunction(function) if function.func.name() == "date_part" => check_date_part(function, schema),
        _ => Ok(()),
    }
}

/// An aggregate of no rows is a row, which the engine drops (apache/datafusion#24960).
fn check_subquery(subquery: &Subquery) -> Result<()> {
    if subquery.outer_ref_columns.is_empty() {
        return Ok(());
    }
    let mut plan = subquery.subquery.as_ref();
    loop {
        plan = match plan {
            LogicalPlan::Aggregate(Aggregate { group_expr, .. }) if group_expr.is_empty() => {
                return refuse(
                    "`EXISTS` or `IN` over a correlated subquery that aggregates without `GROUP BY`",
                    "compare with the subquery's value: `x = (SELECT count(*) …)`",
                );
            }
            LogicalPlan::Projection(node) => &node.input,
            LogicalPlan::Filter(node) => &node.input,
            LogicalPlan::SubqueryAlias(node) => &node.input,
            LogicalPlan::Sort(node) => &node.input,
            LogicalPlan::Limit(node) => &node.input,
            _ => return Ok(()),
        };
    }
}

/// Looking ahead over nulls stops too early (apache/datafusion#25471).
fn check_window(window: &WindowFunction) -> Result<()> {
    let ignores_nulls = window.params.null_treatment == Some(NullTreatment::IgnoreNulls);
    let looks_ahead = match window.fun.name() {
        "lead" => true,
        "lag" => match window.params.args.get(1) {
            None => false,
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

/// A difference of moments is counted in the part as a whole, in 32 bits (apache/datafusion#14738).
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
