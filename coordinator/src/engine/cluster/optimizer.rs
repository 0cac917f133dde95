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

use super::stage_planner::emits_no_unmatched_left_rows;

/// Name of the DataFusion rule that chooses how joins run. Repartitions are inserted only after
/// this rule.
const AFTER: &str = "join_selection";

/// Returns a copy of the session that plans for `partitions` tasks at once on workers.
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
    // Run our rule between the choice of the join mode and the rule that inserts repartitions for
    // it.
    let mut rules = state.physical_optimizers().to_vec();
    // If DataFusion renamed the first of these rules, joins would stay collected and run as one
    // task: slow, but right.
    let position = rules.iter().position(|rule| rule.name() == AFTER).map_or(0, |i| i + 1);
    rules.insert(position, Arc::new(PartitionedJoins));
    let state =
        SessionStateBuilder::new_from_existing(state).with_config(config).with_physical_optimizer_rules(rules).build();
    SessionContext::new_with_state(state)
}

/// Turns collected joins that emit unmatched left rows into partitioned joins.
///
/// Such a join must see all right rows before it knows which left rows are unmatched. With a
/// collected left side, that requires a single task. Partitioned by the join keys, each task sees
/// all right rows that its left rows can match.
#[derive(Debug)]
struct PartitionedJoins;

impl PhysicalOptimizerRule for PartitionedJoins {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let Some(join) = node.downcast_ref::<HashJoinExec>() else { return Ok(Transformed::no(node)) };
            // Null-aware anti joins (`NOT IN`) stay collected, because a null on the right affects
            // every left row, not only the rows of one partition.
            let is_collected = *join.partition_mode() == PartitionMode::CollectLeft;
            if !is_collected || emits_no_unmatched_left_rows(*join.join_type()) || join.null_aware {
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
