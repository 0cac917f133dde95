//! A physical plan, cut at its exchanges into stages.
//!
//! ```text
//!   TableWrite                               stage 1              stage 0
//!     Aggregate Final        ──cut──►     TableWrite            ExchangeWrite
//!       Repartition Hash                    Aggregate Final       Repartition Hash
//!         Aggregate Partial                   ExchangeRead ◄──      Aggregate Partial
//!           DataSource                                                DataSource
//! ```
//!
//! Each partition of a stage's plan is a task. The rules that are not plain to see come from what an engine without
//! exchanges inside a stage must hold, and each has a test in `tests`:
//! - a round-robin repartition only spreads rows, so it is dropped; a stage has as many tasks as its plan has then;
//! - a collected build side is gathered once and read whole by every task, which is right only for joins that emit no
//!   unmatched build row; any other runs in one task;
//! - a merge keeps one sorted partition for every task below it.

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
use lakewright_common::read::scan_node::JsonScanExec;
use lakewright_common::write::ingest_node::IngestExec;
use lakewright_common::write::table_node::TableWriteExec;

type Plan = Arc<dyn ExecutionPlan>;

/// A piece of a plan without an exchange inside.
#[derive(Debug)]
pub(in crate::engine) struct Stage {
    pub(super) plan: Plan,
    /// Where each `ExchangeReadExec` of the plan gets its rows, from left to right.
    pub(super) inputs: Vec<Input>,
    /// One task runs all partitions of the plan, with the exchanges that are still in it.
    pub(super) is_whole: bool,
}

impl Stage {
    fn new(plan: Plan, inputs: Vec<Input>) -> Self {
        Self { plan, inputs, is_whole: false }
    }

    /// Encodes and decodes the plans of this stage and of those below it. A plan can be encoded and still be too deep
    /// for the decoder, which follows 100 nested messages. A scan of JSON is left out: it is never deep, and can name
    /// a hundred thousand objects.
    ///
    /// # Errors
    /// Why a worker could not read one of them.
    pub(super) fn check_sendable(&self, context: &TaskContext) -> Result<()> {
        let has_scan = self.plan.exists(|node| Ok(node.is::<JsonScanExec>()))?;
        if !has_scan {
            decode_plan(&encode_plan(&self.plan)?, context)?;
        }
        self.inputs.iter().try_for_each(|input| input.stage.check_sendable(context))
    }
}

#[derive(Debug)]
pub(super) struct Input {
    pub(super) stage: Stage,
    pub(super) mode: InputMode,
}

/// Which rows of the stage below go to which partition of an exchange read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InputMode {
    /// To partition `i` what every task wrote for partition `i`.
    Shuffle,
    /// To partition `i` what task `i` wrote.
    Forward,
}

/// Cuts `plan`; objects of exchanges get keys below `prefix`.
///
/// # Errors
/// Not implemented, for a node whose rules are not known here.
pub(super) fn plan_stages(plan: &Plan, prefix: &str) -> Result<Stage> {
    let mut inputs = Vec::new();
    let plan = below(plan, prefix, &mut inputs)?;
    Ok(Stage::new(plan, inputs))
}

/// All of `plan` as one task: right for any plan, and no faster than one worker.
pub(super) fn single_task(plan: &Plan) -> Stage {
    Stage { plan: Arc::new(CoalescePartitionsExec::new(Arc::clone(plan))), inputs: vec![], is_whole: true }
}

fn below(node: &Plan, prefix: &str, inputs: &mut Vec<Input>) -> Result<Plan> {
    if let Some(repartition) = node.downcast_ref::<RepartitionExec>() {
        return match repartition.partitioning() {
            _ if repartition.preserve_order() => not_impl_err!("a repartition that preserves order"),
            Partitioning::RoundRobinBatch(_) => below(repartition.input(), prefix, inputs),
            Partitioning::Hash(keys, partitions) => {
                let stage = plan_stages(repartition.input(), prefix)?;
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
        let rows = gathered(coalesce.input(), coalesce.fetch(), prefix, inputs)?;
        return match coalesce.fetch() {
            None => Ok(rows),
            Some(_) => replace_children_if_necessary(Arc::clone(node), vec![rows]),
        };
    }
    if let Some(merge) = node.downcast_ref::<SortPreservingMergeExec>() {
        let stage = plan_stages(merge.input(), prefix)?;
        if partitions(&stage.plan) == 1 {
            inputs.extend(stage.inputs);
            return replace_children_if_necessary(Arc::clone(node), vec![stage.plan]);
        }
        let empty = vec![vec![]; partitions(&stage.plan)];
        let read = ExchangeReadExec::plain(stage.plan.schema(), Some(merge.expr().clone()), empty);
        let plan: Plan = Arc::new(ExchangeWriteExec::new(stage.plan, prefix.to_owned()));
        inputs.push(Input { stage: Stage::new(plan, stage.inputs), mode: InputMode::Forward });
        return replace_children_if_necessary(Arc::clone(node), vec![Arc::new(read)]);
    }
    if let Some((left, right, is_right_alone)) = collected_join(node) {
        return joined(node, left, right, is_right_alone, prefix, inputs);
    }
    if !is_known(node) {
        return not_impl_err!("a node `{}` on a cluster", node.name());
    }
    let mut children = Vec::new();
    for (child, required) in node.children().into_iter().zip(node.input_distribution_requirements().into_per_child()) {
        let child = below(child, prefix, inputs)?;
        if matches!(required, Distribution::SinglePartition) && partitions(&child) > 1 {
            return not_impl_err!("`{}` over more than one partition", node.name());
        }
        children.push(child);
    }
    replace_children_if_necessary(Arc::clone(node), children)
}

/// All rows of `node` in one partition, through an exchange where they are in more.
fn gathered(node: &Plan, fetch: Option<usize>, prefix: &str, inputs: &mut Vec<Input>) -> Result<Plan> {
    let stage = plan_stages(node, prefix)?;
    if partitions(&stage.plan) == 1 {
        inputs.extend(stage.inputs);
        return Ok(stage.plan);
    }
    let plan = match fetch {
        Some(fetch) => Arc::new(LocalLimitExec::new(stage.plan, fetch)),
        None => stage.plan,
    };
    Ok(spooled(Stage::new(plan, stage.inputs), prefix, inputs))
}

/// The rows of a stage as one partition of an exchange.
fn spooled(stage: Stage, prefix: &str, inputs: &mut Vec<Input>) -> Plan {
    let read = ExchangeReadExec::plain(stage.plan.schema(), None, vec![vec![]]);
    let plan: Plan = Arc::new(ExchangeWriteExec::new(stage.plan, prefix.to_owned()));
    inputs.push(Input { stage: Stage::new(plan, stage.inputs), mode: InputMode::Shuffle });
    Arc::new(read)
}

/// The sides of a join that collects its left side, and whether each right partition can be joined by itself.
fn collected_join(node: &Plan) -> Option<(&Plan, &Plan, bool)> {
    if let Some(join) = node.downcast_ref::<HashJoinExec>() {
        return (*join.partition_mode() == PartitionMode::CollectLeft)
            .then(|| (join.left(), join.right(), emits_right_rows_alone(*join.join_type()) && !join.null_aware));
    }
    if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() {
        return Some((join.left(), join.right(), emits_right_rows_alone(*join.join_type())));
    }
    let join = node.downcast_ref::<CrossJoinExec>()?;
    Some((join.left(), join.right(), true))
}

/// Whether no row of the left side is emitted for having no match anywhere on the right.
pub(super) fn emits_right_rows_alone(join_type: JoinType) -> bool {
    matches!(
        join_type,
        JoinType::Inner | JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark
    )
}

fn joined(
    node: &Plan,
    left: &Plan,
    right: &Plan,
    is_right_alone: bool,
    prefix: &str,
    inputs: &mut Vec<Input>,
) -> Result<Plan> {
    let mut right_inputs = Vec::new();
    let right = if is_right_alone {
        below(right, prefix, &mut right_inputs)?
    } else {
        gathered(right, None, prefix, &mut right_inputs)?
    };
    let mut left_inputs = Vec::new();
    let mut left = gathered(left, None, prefix, &mut left_inputs)?;
    // Every task would compute it again.
    if partitions(&right) > 1 && left.downcast_ref::<ExchangeReadExec>().is_none() {
        let stage = Stage::new(left, std::mem::take(&mut left_inputs));
        left = spooled(stage, prefix, &mut left_inputs);
    }
    inputs.extend(left_inputs);
    inputs.extend(right_inputs);
    replace_children_if_necessary(Arc::clone(node), vec![left, right])
}

/// Whether a node treats each of its partitions alone, or is a leaf that a task can have a part of.
fn is_known(node: &Plan) -> bool {
    let is_leaf = node.is::<DataSourceExec>()
        || node.is::<JsonScanExec>()
        || node.is::<ExchangeReadExec>()
        || node.is::<EmptyExec>()
        || node.is::<PlaceholderRowExec>();
    let is_row_by_row = node.is::<ProjectionExec>()
        || node.is::<FilterExec>()
        || node.is::<CooperativeExec>()
        || node.is::<UnnestExec>()
        || node.is::<LocalLimitExec>();
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

pub(super) fn partitions(plan: &Plan) -> usize {
    plan.output_partitioning().partition_count()
}
