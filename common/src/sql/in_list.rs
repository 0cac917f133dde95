//! `x IN (…)` over a list with expressions of columns.
//!
//! DataFusion 55 takes a list for constant if it can be evaluated over no rows, which holds for a `CASE` of columns with
//! a constant branch, and then compares with that branch alone. So only constants stay in a list; each other element
//! becomes a comparison of its own, which is what `IN` means.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Expr, LogicalPlan, or};
use datafusion::optimizer::AnalyzerRule;

use super::rewrite::rewrite_expressions;

/// Makes elements that name columns comparisons of their own.
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
    expr.any_column_refs() || expr.contains_outer()
}

fn compared(in_list: InList) -> Expr {
    let InList { expr, list, negated } = in_list;
    let (elements, constants): (Vec<Expr>, Vec<Expr>) = list.into_iter().partition(names_column);
    let constants = (!constants.is_empty()).then(|| Expr::InList(InList::new(expr.clone(), constants, false)));
    let comparisons = elements.into_iter().map(|element| expr.as_ref().clone().eq(element));
    match comparisons.chain(constants).reduce(or) {
        Some(any) if negated => Expr::Not(Box::new(any)),
        Some(any) => any,
        // Not reached: a list that is rewritten has an element.
        None => Expr::InList(InList::new(expr, vec![], negated)),
    }
}
