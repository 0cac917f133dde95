//! Keeps certain filters above an aggregate.
//!
//! DataFusion 55 pushes a condition below an aggregate if all of its columns are grouping columns.
//! This includes conditions without columns, such as `'x' = 'y'` (from a constant column). But an
//! aggregate without `GROUP BY`, and a grouping set `()`, return a row even for no input rows, so
//! the pushed condition can no longer remove it. A condition with `random()` would choose rows
//! instead of groups if it were pushed down. So this rule hides both kinds of conditions from
//! DataFusion's rule.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Aggregate, Expr, Filter, LogicalPlan};
use datafusion::optimizer::optimizer::{ApplyOrder, Optimizer};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

type Rule = Arc<dyn OptimizerRule + Send + Sync>;

// Name of the rule of DataFusion that this file wraps.
const RULE: &str = "push_down_filter";

/// Returns DataFusion's logical rules. The rule that pushes filters down is wrapped by ours.
pub(crate) fn logical_rules() -> Vec<Rule> {
    let guarded = |rule: Rule| match rule.name() {
        RULE => Arc::new(AboveAggregate(rule)) as Rule,
        _ => rule,
    };
    Optimizer::new().rules.into_iter().map(guarded).collect()
}

#[derive(Debug)]
struct AboveAggregate(Rule);

impl OptimizerRule for AboveAggregate {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Filter(filter) = plan else { return self.0.rewrite(plan, config) };
        // Merge stacked filters first. Otherwise DataFusion's rule would merge them and push the
        // hidden conditions too.
        let Filter { predicate, input, .. } = merged(filter);
        let LogicalPlan::Aggregate(aggregate) = input.as_ref() else {
            return self.0.rewrite(LogicalPlan::Filter(Filter::new(predicate, input)), config);
        };
        let (above, pushed): (Vec<Expr>, Vec<Expr>) =
            split_conjunction_owned(predicate).into_iter().partition(|condition| must_stay(condition, aggregate));
        let below = match conjunction(pushed) {
            // DataFusion's rule pushes the other conditions, as if the hidden ones did not exist.
            Some(predicate) => self.0.rewrite(LogicalPlan::Filter(Filter::new(predicate, input)), config)?,
            None => Transformed::no(Arc::unwrap_or_clone(input)),
        };
        Ok(match conjunction(above) {
            Some(predicate) => below.update_data(|plan| LogicalPlan::Filter(Filter::new(predicate, Arc::new(plan)))),
            None => below,
        })
    }
}

/// Merges stacked filters into one, as DataFusion's rule does.
fn merged(filter: Filter) -> Filter {
    let mut conditions = split_conjunction_owned(filter.predicate);
    let mut input = filter.input;
    while let LogicalPlan::Filter(below) = input.as_ref() {
        // Cloned, because another part of the plan may share the node.
        for condition in split_conjunction_owned(below.predicate.clone()) {
            if !conditions.contains(&condition) {
                conditions.push(condition);
            }
        }
        input = Arc::clone(&below.input);
    }
    let predicate = conjunction(conditions).unwrap_or_else(|| datafusion::logical_expr::lit(true));
    Filter::new(predicate, input)
}

fn must_stay(condition: &Expr, aggregate: &Aggregate) -> bool {
    let groups = &aggregate.group_expr;
    let has_row_for_no_rows = groups.is_empty() || groups.iter().any(|group| matches!(group, Expr::GroupingSet(_)));
    // Volatile conditions choose groups, so they never move. Conditions without columns matter only
    // if a group can be empty.
    condition.is_volatile() || (has_row_for_no_rows && condition.column_refs().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_of_the_engine_is_guarded() {
        assert_eq!(logical_rules().iter().filter(|rule| format!("{rule:?}").starts_with("AboveAggregate")).count(), 1);
    }
}
