//! Stops filters from being pushed past columns that share a name.
//!
//! DataFusion 55 pushes a filter of the physical plan down by the names of its columns. If both
//! sides of a join have a column `id`, `WHERE a.id IS NULL` can end up at the scan of the other
//! side, and rows are lost without an error (apache/datafusion#25244, fixed after 55 by #25259). So
//! DataFusion's rule only runs on the largest parts of a plan in which no node has two columns of
//! the same name. A filter above a node with two such columns stays where it is. Earlier rules have
//! already pushed filters through joins in the logical plan, which distinguishes the sides.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;

type Rule = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

/// Common prefix of the names of DataFusion's two rules that push filters: one runs before the plan
/// has its final shape, and one after.
const RULES: &str = "FilterPushdown";

/// Returns DataFusion's physical rules. Each rule that pushes filters down is wrapped by ours.
pub(crate) fn physical_rules() -> Vec<Rule> {
    let guarded = |rule: Rule| match rule.name().starts_with(RULES) {
        true => Arc::new(UniqueNames(rule)) as Rule,
        false => rule,
    };
    PhysicalOptimizer::new().rules.into_iter().map(guarded).collect()
}

#[derive(Debug)]
struct UniqueNames(Rule);

impl PhysicalOptimizerRule for UniqueNames {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        // Mark the whole plan first, because a mark depends on everything below the node.
        let mut unique = HashSet::new();
        mark(&plan, &mut unique);
        self.optimize_below(plan, &unique, config)
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

impl UniqueNames {
    fn optimize_below(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        unique: &HashSet<*const ()>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        // All column names in the subtree are unique, so the rule cannot confuse columns.
        if unique.contains(&address(&plan)) {
            return self.0.optimize(plan, config);
        }
        let children = plan.children().into_iter().map(|child| self.optimize_below(Arc::clone(child), unique, config));
        let children = children.collect::<Result<Vec<_>>>()?;
        replace_children_if_necessary(plan, children)
    }
}

/// Adds to `unique` each node that, like all nodes below it, has no two columns of the same name.
/// Returns whether `plan` was added.
fn mark(plan: &Arc<dyn ExecutionPlan>, unique: &mut HashSet<*const ()>) -> bool {
    let mut is_unique = true;
    // Do not use `all`, which would stop early and leave children unmarked.
    for child in plan.children() {
        is_unique &= mark(child, unique);
    }
    let schema = plan.schema();
    let mut names = HashSet::new();
    is_unique &= schema.fields().iter().all(|field| names.insert(field.name()));
    if is_unique {
        unique.insert(address(plan));
    }
    is_unique
}

fn address(plan: &Arc<dyn ExecutionPlan>) -> *const () {
    // A node is identified by its address, because equal nodes may occur twice in a plan.
    Arc::as_ptr(plan).cast()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_rules_of_the_engine_are_guarded() {
        let names: Vec<String> = physical_rules()
            .iter()
            .filter(|rule| format!("{rule:?}").starts_with("UniqueNames"))
            .map(|rule| rule.name().to_owned())
            .collect();
        assert_eq!(names.len(), 2, "{names:?}");
    }
}
