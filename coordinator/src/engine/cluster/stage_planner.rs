//! Cuts a physical plan into stages at its exchanges.
//!
//! ```text
//!   TableWrite                               stage 1              stage 0
//!     Aggregate Final        ──cut──►     TableWrite            ExchangeWrite
//!       Repartition Hash                    Aggregate Final       Repartition Hash
//!         Aggregate Partial                   ExchangeRead ◄──      Aggregate Partial
//!           DataSource                                                DataSource
//! ```
//!
//! Each partition of the plan of a stage is a task. A task sees only its own partition, so no rows
//! may move between partitions inside a stage. That leads to these rules, and each has a test:
//! - a hash repartition becomes an exchange: the stage below writes its rows by partition, and the
//!   stage above reads them;
//! - a round-robin repartition only distributes rows evenly, so it is dropped, and the stage has as
//!   many tasks as its input has partitions;
//! - in a join with a collected build side, every task reads the whole build side, and its own
//!   partition of the other side. This is only correct if the join does not depend on which build
//!   rows have a match; any other such join runs as one task;
//! - a merge reads one sorted partition per task of the stage below.

use std::sync::Arc;

use datafusion::common::tree_node::TreeNode;
use datafusion::common::{JoinType, not_impl_err};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, PartitionMode, SortMergeJoinExec,
};
use datafusion::physical_plan::limit::{GlobalLimitExec, LocalLimitExec};
use datafusion::physical_plan::placeholder_row::PlaceholderRowExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::partial_sort::PartialSortExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::union::{InterleaveExec, UnionExec};
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use datafusion::physical_plan::{Distribution, ExecutionPlan, ExecutionPlanProperties, Partitioning};
use lakewright_common::codec::{decode_plan, encode_plan};
use lakewright_common::exchange::read_node::ExchangeReadExec;
use lakewright_common::exchange::write_node::ExchangeWriteExec;
use lakewright_common::first_row::node::FirstRowExec;
use lakewright_common::read::scan_node::JsonScanExec;
use lakewright_common::write::ingest_node::IngestExec;
use lakewright_common::write::table_node::TableWriteExec;

type Plan = Arc<dyn ExecutionPlan>;

/// A piece of a plan without an exchange inside.
#[derive(Debug)]
pub(in crate::engine) struct Stage {
    pub(super) plan: Plan,
    /// Inputs of the `ExchangeReadExec` nodes of the plan, from left to right.
    pub(super) inputs: Vec<Input>,
    /// Whether one task runs the whole plan, with all its partitions and exchanges, because the
    /// plan could not be cut.
    pub(super) is_single_task: bool,
}

impl Stage {
    fn new(plan: Plan, inputs: Vec<Input>) -> Self {
        Self { plan, inputs, is_single_task: false }
    }

    /// Checks that workers can decode the plans of this stage and of the stages below it, by
    /// encoding and decoding each plan. A plan that can be encoded may still be nested too deeply
    /// for the decoder, which follows at most 100 nested messages. Plans with a scan of JSON are
    /// not checked: they are never deep, and the check would be slow, because they can name a
    /// hundred thousand objects.
    ///
    /// # Errors
    /// The reason why a worker could not decode one of the plans.
    pub(super) fn check_sendable(&self, context: &TaskContext) -> Result<()> {
        let has_scan = self.plan.exists(|node| Ok(node.is::<JsonScanExec>()))?;
        if !has_scan {
            decode_plan(&encode_plan(&self.plan)?, context)?;
        }
        self.inputs.iter().try_for_each(|input| input.stage.check_sendable(context))
    }
}

/// Input of a stage: the stage below it, and how the rows of that stage are assigned to partitions.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) stage: Stage,
    pub(super) mode: InputMode,
}

/// Assignment of rows to the partitions of an `ExchangeReadExec`. The rows come from the stage
/// below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InputMode {
    /// Partition `i` reads the rows that all tasks of the stage below wrote for partition `i`.
    Shuffle,
    /// Partition `i` reads all rows that task `i` of the stage below wrote.
    Forward,
}

/// Cuts `plan` into stages, and returns the top stage. The keys of spool objects start with
/// `prefix`.
///
/// # Errors
/// A "not implemented" error if `plan` contains a node for which this file has no rule.
pub(super) fn plan_stages(plan: &Plan, prefix: &str) -> Result<Stage> {
    let mut inputs = Vec::new();
    let plan = rewrite(plan, prefix, &mut inputs)?;
    Ok(Stage::new(plan, inputs))
}

/// Creates a stage that runs all of `plan` as one task. This is correct for any plan, but uses only
/// one worker.
pub(super) fn single_task(plan: &Plan) -> Stage {
    Stage { plan: Arc::new(CoalescePartitionsExec::new(Arc::clone(plan))), inputs: vec![], is_single_task: true }
}

/// Rewrites `node` and everything below it. Replaces each exchange by an `ExchangeReadExec`. The
/// stage below, which writes the rows for this node, is appended to `inputs`. So `inputs` has the
/// same order as these nodes, from left to right.
fn rewrite(node: &Plan, prefix: &str, inputs: &mut Vec<Input>) -> Result<Plan> {
    if let Some(repartition) = node.downcast_ref::<RepartitionExec>() {
        return match repartition.partitioning() {
            // Such a repartition merges sorted inputs, which an exchange would interleave.
            _ if repartition.preserve_order() => not_impl_err!("a repartition that preserves order"),
            // No node above relies on the partition of a row, so rows stay in their partitions.
            Partitioning::RoundRobinBatch(_) => rewrite(repartition.input(), prefix, inputs),
            Partitioning::Hash(keys, partitions) => {
                // The repartition itself stays in the stage below: `ExchangeWriteExec` hashes with
                // its keys, so that equal keys meet in one partition, no matter which task wrote
                // them.
                let stage = plan_stages(repartition.input(), prefix)?;
                // The partitions are filled in once the stage below has run (`stage_runner::fill`).
                let empty = vec![vec![]; *partitions];
                let read = ExchangeReadExec::hashed(node.schema(), keys.clone(), empty)?;
                let shuffled = replace_children_if_necessary(Arc::clone(node), vec![stage.plan])?;
                let plan: Plan = Arc::new(ExchangeWriteExec::new(shuffled, prefix.to_owned()));
                inputs.push(Input { stage: Stage::new(plan, stage.inputs), mode: InputMode::Shuffle });
                Ok(Arc::new(read))
            }
            other => not_impl_err!("a repartition by {other}"),
        };
    }
    if let Some(coalesce) = node.downcast_ref::<CoalescePartitionsExec>() {
        // With a limit, each task below sends at most that many rows, and the node above the
        // exchange limits their union again.
        let rows = gather(coalesce.input(), coalesce.fetch(), prefix, inputs)?;
        return match coalesce.fetch() {
            None => Ok(rows),
            Some(_) => replace_children_if_necessary(Arc::clone(node), vec![rows]),
        };
    }
    if let Some(merge) = node.downcast_ref::<SortPreservingMergeExec>() {
        // Each task below writes one sorted run. The runs must stay apart, one partition of the
        // read per task, because the merge relies on the order within its input partitions.
        let stage = plan_stages(merge.input(), prefix)?;
        if partitions(&stage.plan) == 1 {
            // A single sorted partition stays in this stage; only its inputs come from below.
            inputs.extend(stage.inputs);
            return replace_children_if_necessary(Arc::clone(node), vec![stage.plan]);
        }
        let empty = vec![vec![]; partitions(&stage.plan)];
        let read = ExchangeReadExec::plain(stage.plan.schema(), Some(merge.expr().clone()), empty);
        let plan: Plan = Arc::new(ExchangeWriteExec::new(stage.plan, prefix.to_owned()));
        inputs.push(Input { stage: Stage::new(plan, stage.inputs), mode: InputMode::Forward });
        return replace_children_if_necessary(Arc::clone(node), vec![Arc::new(read)]);
    }
    if let Some((left, right, can_split_right)) = collect_left_join(node) {
        return plan_join(node, left, right, can_split_right, prefix, inputs);
    }
    // Partitioned joins fall through to here: the repartitions below their sides are cut instead.
    if !is_supported(node) {
        return not_impl_err!("a node `{}` on a cluster", node.name());
    }
    // The node treats each partition alone, so it stays in this stage, and only the nodes below it
    // are cut. If it requires all rows of a child in one partition, the rewritten child must have
    // exactly one partition.
    let mut children = Vec::new();
    for (child, required) in node.children().into_iter().zip(node.input_distribution_requirements().into_per_child()) {
        let child = rewrite(child, prefix, inputs)?;
        if matches!(required, Distribution::SinglePartition) && partitions(&child) > 1 {
            return not_impl_err!("`{}` over more than one partition", node.name());
        }
        children.push(child);
    }
    replace_children_if_necessary(Arc::clone(node), children)
}

/// Returns a plan with all rows of `node` in one partition. If they are in several partitions, the
/// plan uses an exchange, and each task below it sends at most `fetch` rows.
fn gather(node: &Plan, fetch: Option<usize>, prefix: &str, inputs: &mut Vec<Input>) -> Result<Plan> {
    let stage = plan_stages(node, prefix)?;
    if partitions(&stage.plan) == 1 {
        // Already in one partition, so the rows stay in this stage.
        inputs.extend(stage.inputs);
        return Ok(stage.plan);
    }
    let plan = match fetch {
        Some(fetch) => Arc::new(LocalLimitExec::new(stage.plan, fetch)),
        None => stage.plan,
    };
    Ok(spool(Stage::new(plan, stage.inputs), prefix, inputs))
}

/// Adds a stage to `inputs`. Returns a plan that reads all rows of the stage as one partition.
fn spool(stage: Stage, prefix: &str, inputs: &mut Vec<Input>) -> Plan {
    let read = ExchangeReadExec::plain(stage.plan.schema(), None, vec![vec![]]);
    let plan: Plan = Arc::new(ExchangeWriteExec::new(stage.plan, prefix.to_owned()));
    inputs.push(Input { stage: Stage::new(plan, stage.inputs), mode: InputMode::Shuffle });
    Arc::new(read)
}

/// If `node` is a join that collects its left side, returns its left input, its right input, and
/// whether each right partition can be joined on its own. Returns `None` for other nodes.
fn collect_left_join(node: &Plan) -> Option<(&Plan, &Plan, bool)> {
    if let Some(join) = node.downcast_ref::<HashJoinExec>() {
        return (*join.partition_mode() == PartitionMode::CollectLeft).then(|| {
            (join.left(), join.right(), can_join_right_partitions_alone(*join.join_type()) && !join.null_aware)
        });
    }
    if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() {
        return Some((join.left(), join.right(), can_join_right_partitions_alone(*join.join_type())));
    }
    let join = node.downcast_ref::<CrossJoinExec>()?;
    Some((join.left(), join.right(), true))
}

/// Returns whether joins of this type can join each right partition on its own with all left rows.
/// The other types depend on whether a left row has a match in any right partition. A task that
/// sees only one right partition cannot know that.
pub(super) fn can_join_right_partitions_alone(join_type: JoinType) -> bool {
    matches!(
        join_type,
        JoinType::Inner | JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark
    )
}

/// Plans a join with a collected left side.
fn plan_join(
    node: &Plan,
    left: &Plan,
    right: &Plan,
    can_split_right: bool,
    prefix: &str,
    inputs: &mut Vec<Input>,
) -> Result<Plan> {
    // Every task reads the whole left side. Right partitions stay apart where the type of the join
    // allows it; otherwise one task joins everything.
    let mut right_inputs = Vec::new();
    let right = if can_split_right {
        rewrite(right, prefix, &mut right_inputs)?
    } else {
        gather(right, None, prefix, &mut right_inputs)?
    };
    let mut left_inputs = Vec::new();
    let mut left = gather(left, None, prefix, &mut left_inputs)?;
    // Spool the left side, or every task would compute it again.
    if partitions(&right) > 1 && left.downcast_ref::<ExchangeReadExec>().is_none() {
        let stage = Stage::new(left, std::mem::take(&mut left_inputs));
        left = spool(stage, prefix, &mut left_inputs);
    }
    inputs.extend(left_inputs);
    inputs.extend(right_inputs);
    replace_children_if_necessary(Arc::clone(node), vec![left, right])
}

/// Returns whether a node can be in a stage: it processes each partition on its own, or it is a
/// leaf that can be narrowed to the input of a task. Unknown nodes are not allowed, because a node
/// that combines partitions would silently return wrong rows.
fn is_supported(node: &Plan) -> bool {
    // `task_plan` knows how to narrow each of these leaves.
    let is_leaf = node.is::<DataSourceExec>()
        || node.is::<JsonScanExec>()
        || node.is::<ExchangeReadExec>()
        || node.is::<EmptyExec>()
        || node.is::<PlaceholderRowExec>();
    let is_row_by_row = node.is::<ProjectionExec>()
        || node.is::<FilterExec>()
        || node.is::<CooperativeExec>()
        || node.is::<UnnestExec>()
        || node.is::<LocalLimitExec>()
        // Not row by row, but correct for any subset of the rows: it only drops rows that a better
        // row of the same subset makes superfluous.
        || node.is::<FirstRowExec>();
    // Some of these nodes need rows with equal keys in one partition. DataFusion has put a
    // repartition below such a node, and the exchange that replaces it has the same partitions.
    let is_partition_by_partition = node.is::<AggregateExec>()
        || node.is::<SortExec>()
        || node.is::<PartialSortExec>()
        || node.is::<WindowAggExec>()
        || node.is::<BoundedWindowAggExec>()
        || node.is::<GlobalLimitExec>()
        || node.is::<HashJoinExec>()
        || node.is::<SortMergeJoinExec>();
    let is_union = node.is::<UnionExec>() || node.is::<InterleaveExec>();
    let is_root = node.is::<IngestExec>() || node.is::<TableWriteExec>() || node.is::<ExchangeWriteExec>();
    is_leaf || is_row_by_row || is_partition_by_partition || is_union || is_root
}

/// Returns the number of partitions of a plan.
pub(super) fn partitions(plan: &Plan) -> usize {
    plan.output_partitioning().partition_count()
}
