//! What the session needs so that its plans can be cut into stages.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::execution::SessionStateBuilder;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};
use datafusion::prelude::SessionContext;

use super::stage_planner::emits_right_rows_alone;

/// The rule after which DataFusion has chosen how joins run, and has not yet moved rows for them.
const AFTER: &str = "join_selection";

/// The same session, planning for `partitions` tasks at once on workers.
pub(super) fn adapt(session: &SessionContext, partitions: usize) -> SessionContext {
    let mut config = session.copied_config().with_target_partitions(partitions.max(1));
    let options = config.options_mut();
    // The builder would put an empty one over the session's tables.
    options.catalog.create_default_catalog_and_schema = false;
    // A filter that one task finds out does not reach the tasks of another stage.
    options.optimizer.enable_dynamic_filter_pushdown = false;
    options.optimizer.enable_join_dynamic_filter_pushdown = false;
    options.optimizer.enable_topk_dynamic_filter_pushdown = false;
    options.optimizer.enable_aggregate_dynamic_filter_pushdown = false;
    // A union's children stay apart, so that each task has rows of one.
    options.optimizer.prefer_existing_union = true;
    let state = session.state();
    let mut rules = state.physical_optimizers().to_vec();
    let place = rules.iter().position(|rule| rule.name() == AFTER).map_or(0, |i| i + 1);
    rules.insert(place, Arc::new(PartitionedJoins));
    let state =
        SessionStateBuilder::new_from_existing(state).with_config(config).with_physical_optimizer_rules(rules).build();
    SessionContext::new_with_state(state)
}

/// A join that emits unmatched rows of its left side must see all of the right side before it does. Where the left side
/// is collected that would be one task; partitioned by the keys, each task sees all that its rows can match.
#[derive(Debug)]
struct PartitionedJoins;

impl PhysicalOptimizerRule for PartitionedJoins {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let Some(join) = node.downcast_ref::<HashJoinExec>() else { return Ok(Transformed::no(node)) };
            let is_collected = *join.partition_mode() == PartitionMode::CollectLeft;
            if !is_collected || emits_right_rows_alone(*join.join_type()) || join.null_aware {
                return Ok(Transformed::no(node));
            }
            Ok(Transformed::yes(join.builder().with_partition_mode(PartitionMode::Partitioned).build_exec()?))
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "partitioned_joins"
    }

    fn schema_check(&self) -> bool {
        true
    }
}
