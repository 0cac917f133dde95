//! Filters that are not pushed past columns of one name.
//!
//! DataFusion 55 pushes a filter of the physical plan down by the names of its columns. Where both sides of a join have
//! an `id`, `WHERE a.id IS NULL` can end at the scan of the other side, and rows are lost without an error
//! (apache/datafusion#25244, fixed after 55 by #25259). So the engine's rule runs on the largest parts of a plan in which
//! no node has two columns of one name, and a filter above such a node stays where it is. The filters of the logical
//! plan, which tell the sides apart, have passed joins before.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;

type Rule = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

/// Before and after the plan has its final shape.
const RULES: &str = "FilterPushdown";

/// The engine's physical rules, with those that push filters held to unique names.
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
        if unique.contains(&address(&plan)) {
            return self.0.optimize(plan, config);
        }
        let children = plan.children().into_iter().map(|child| self.optimize_below(Arc::clone(child), unique, config));
        let children = children.collect::<Result<Vec<_>>>()?;
        replace_children_if_necessary(plan, children)
    }
}

/// Notes the nodes with unique names in themselves and all below.
fn mark(plan: &Arc<dyn ExecutionPlan>, unique: &mut HashSet<*const ()>) -> bool {
    let mut is_unique = true;
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
