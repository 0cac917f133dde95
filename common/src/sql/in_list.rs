//! Rewrites `x IN (…)` over a list that names columns.
//!
//! DataFusion 55 treats a list as constant if it can be evaluated without rows. This includes a
//! `CASE` over columns with a constant branch, and DataFusion then compares only with that branch.
//! So this rule leaves only constants in a list. Each other element becomes a separate comparison,
//! which has the same meaning.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Expr, LogicalPlan, or};
use datafusion::optimizer::AnalyzerRule;

use super::rewrite::rewrite_expressions;

/// Turns list elements that name columns into comparisons.
#[derive(Debug)]
pub(super) struct InListRule;

impl AnalyzerRule for InListRule {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite_expressions(plan, |expr, _| {
            expr.transform_up(|expr| match expr {
                Expr::InList(list) if list.list.iter().any(names_column) => Ok(Transformed::yes(compared(list))),
                other => Ok(Transformed::no(other)),
            })
        })
    }

    fn name(&self) -> &'static str {
        "in_list"
    }
}

fn names_column(expr: &Expr) -> bool {
    // A column of an outer query is not constant either.
    expr.any_column_refs() || expr.contains_outer()
}

fn compared(in_list: InList) -> Expr {
    let InList { expr, list, negated } = in_list;
    let (elements, constants): (Vec<Expr>, Vec<Expr>) = list.into_iter().partition(names_column);
    let constants = (!constants.is_empty()).then(|| Expr::InList(InList::new(expr.clone(), constants, false)));
    // `x IN (a, 1, 2)` becomes `x = a OR x IN (1, 2)`, which is null in the same cases.
    let comparisons = elements.into_iter().map(|element| expr.as_ref().clone().eq(element));
    match comparisons.chain(constants).reduce(or) {
        Some(any) if negated => Expr::Not(Box::new(any)),
        Some(any) => any,
        // Unreachable, because a list that is rewritten has an element.
        None => Expr::InList(InList::new(expr, vec![], negated)),
    }
}
