//! Prepares a session so that its plans can be cut into stages.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::execution::SessionStateBuilder;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};
use datafusion::prelude::SessionContext;

use super::stage_planner::can_join_right_partitions_alone;

/// Name of the DataFusion rule that chooses the mode of each join, such as collected or
/// partitioned. `PartitionedJoins` runs right after it, before DataFusion inserts repartitions.
const AFTER: &str = "join_selection";

/// Returns a copy of the session for planning on a cluster that runs `partitions` tasks at once.
pub(super) fn adapt(session: &SessionContext, partitions: usize) -> SessionContext {
    let mut config = session.copied_config().with_target_partitions(partitions.max(1));
    let options = config.options_mut();
    // Without this, the builder replaces the tables of the session with an empty catalog.
    options.catalog.create_default_catalog_and_schema = false;
    // Dynamic filters travel through shared memory, so a filter that one task computes cannot reach
    // the tasks of another stage.
    options.optimizer.enable_dynamic_filter_pushdown = false;
    options.optimizer.enable_join_dynamic_filter_pushdown = false;
    options.optimizer.enable_topk_dynamic_filter_pushdown = false;
    options.optimizer.enable_aggregate_dynamic_filter_pushdown = false;
    // Keep the children of a union separate, so that each task of the union reads from one child
    // only.
    options.optimizer.prefer_existing_union = true;
    let state = session.state();
    // Run our rule after the rule that chooses the mode of each join, and before the rule that
    // inserts the repartitions for that mode.
    let mut rules = state.physical_optimizers().to_vec();
    // If DataFusion renamed `join_selection`, our rule would run first and find no join to change.
    // Such joins would then run as one task: slow, but correct.
    let position = rules.iter().position(|rule| rule.name() == AFTER).map_or(0, |i| i + 1);
    rules.insert(position, Arc::new(PartitionedJoins));
    let state =
        SessionStateBuilder::new_from_existing(state).with_config(config).with_physical_optimizer_rules(rules).build();
    SessionContext::new_with_state(state)
}

/// Makes a join partitioned if it collects its left side and depends on which left rows have a
/// match.
///
/// Such a join must see all right rows before it knows which left rows have no match. If the left
/// side is collected, only a single task can do that. If both sides are partitioned by the join
/// keys, each task sees all right rows that can match its left rows.
#[derive(Debug)]
struct PartitionedJoins;

impl PhysicalOptimizerRule for PartitionedJoins {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let Some(join) = node.downcast_ref::<HashJoinExec>() else { return Ok(Transformed::no(node)) };
            // Null-aware anti joins (`NOT IN`) stay collected, because a null on the right affects
            // every left row, not only the rows of one partition.
            let is_collected = *join.partition_mode() == PartitionMode::CollectLeft;
            if !is_collected || can_join_right_partitions_alone(*join.join_type()) || join.null_aware {
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
