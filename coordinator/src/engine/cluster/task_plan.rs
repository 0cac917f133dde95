//! Narrows the plan of a stage to one of its tasks. The resulting plan has one partition, and names
//! only the input of this task.

use std::sync::Arc;

use datafusion::common::internal_err;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::physical_plan::{FileScanConfig, FileScanConfigBuilder};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec, PartitionMode};
use datafusion::physical_plan::placeholder_row::PlaceholderRowExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::union::{InterleaveExec, UnionExec};
use lakewright_common::exchange::read_node::ExchangeReadExec;
use lakewright_common::exchange::write_node::ExchangeWriteExec;
use lakewright_common::read::scan_node::JsonScanExec;

use super::stage_planner::partitions;

type Plan = Arc<dyn ExecutionPlan>;

/// Returns partition `task` of the plan of a stage as a plan of its own.
///
/// # Errors
/// An internal error for a plan that was not cut into stages.
pub(super) fn task_plan(plan: &Plan, task: usize) -> Result<Plan> {
    let narrowed = narrow(plan, task)?;
    if partitions(&narrowed) != 1 {
        return internal_err!("a task of `{}` has {} partitions", plan.name(), partitions(&narrowed));
    }
    Ok(narrowed)
}

/// Narrows a node and everything below it. Most nodes process each partition on its own, so only
/// their children are narrowed. Leaves, unions, merges, exchanges and some joins need other rules.
fn narrow(plan: &Plan, task: usize) -> Result<Plan> {
    // These leaves know their partitions, so they narrow themselves.
    if let Some(read) = plan.downcast_ref::<ExchangeReadExec>() {
        return Ok(Arc::new(read.only(task)));
    }
    if let Some(scan) = plan.downcast_ref::<JsonScanExec>() {
        return Ok(Arc::new(scan.only(task)));
    }
    if let Some(source) = plan.downcast_ref::<DataSourceExec>() {
        return data_source(source, task);
    }
    // Leaves without input return the same rows in every partition.
    if plan.is::<EmptyExec>() {
        return Ok(Arc::new(EmptyExec::new(plan.schema())));
    }
    if plan.is::<PlaceholderRowExec>() {
        return Ok(Arc::new(PlaceholderRowExec::new(plan.schema())));
    }
    if let Some(union) = plan.downcast_ref::<UnionExec>() {
        return union_child(union, task);
    }
    // Partition `i` of an interleave is partition `i` of every child, in any order. A union of the
    // narrowed children, coalesced to one partition, has the same rows.
    if plan.is::<InterleaveExec>() {
        let children = plan.children().into_iter().map(|child| narrow(child, task)).collect::<Result<Vec<_>>>()?;
        return Ok(Arc::new(CoalescePartitionsExec::new(UnionExec::try_new(children)?)));
    }
    if plan.is::<SortPreservingMergeExec>() {
        // All sorted partitions below belong to this one task.
        return Ok(Arc::clone(plan));
    }
    if let Some(write) = plan.downcast_ref::<ExchangeWriteExec>()
        && let Some(shuffle) = write.input().downcast_ref::<RepartitionExec>()
    {
        // The task hashes its own input partition into all output partitions, so narrow the child
        // of the repartition and keep the repartition.
        let rows = narrow(shuffle.input(), task)?;
        let shuffle = replace_children_if_necessary(Arc::clone(write.input()), vec![rows])?;
        return replace_children_if_necessary(Arc::clone(plan), vec![shuffle]);
    }
    // A collected left side has one partition, which every task reads.
    let is_left_whole = plan.is::<NestedLoopJoinExec>()
        || plan.is::<CrossJoinExec>()
        || plan.downcast_ref::<HashJoinExec>().is_some_and(|join| *join.partition_mode() == PartitionMode::CollectLeft);
    let children = plan
        .children()
        .into_iter()
        .enumerate()
        .map(|(i, child)| narrow(child, if is_left_whole && i == 0 { 0 } else { task }))
        .collect::<Result<Vec<_>>>()?;
    replace_children_if_necessary(Arc::clone(plan), children)
}

/// Narrows a scan of files, or of rows in memory, to the partition of one task.
fn data_source(source: &DataSourceExec, task: usize) -> Result<Plan> {
    if let Some(files) = source.data_source().downcast_ref::<FileScanConfig>() {
        // The scan has one group per partition. A group that does not exist has no rows.
        let group = files.file_groups.get(task).cloned().unwrap_or_default();
        let narrowed = FileScanConfigBuilder::from(files.clone()).with_file_groups(vec![group]).build();
        return Ok(DataSourceExec::from_data_source(narrowed));
    }
    if let Some(rows) = source.data_source().downcast_ref::<MemorySourceConfig>() {
        let partition = rows.partitions().get(task).cloned().unwrap_or_default();
        // `try_new` applies the projection itself, so pass the schema that includes the columns
        // that it drops.
        let narrowed = MemorySourceConfig::try_new(&[partition], rows.original_schema(), rows.projection().clone())?;
        return Ok(DataSourceExec::from_data_source(narrowed));
    }
    internal_err!("a data source that cannot be split")
}

/// Finds the child that provides partition `task` of a union, and returns it narrowed to this
/// partition. The partitions of a union are those of its children, one child after another.
fn union_child(union: &UnionExec, task: usize) -> Result<Plan> {
    let mut before = 0;
    for child in union.inputs() {
        let here = partitions(child);
        if task < before + here {
            return narrow(child, task - before);
        }
        before += here;
    }
    internal_err!("a union has no partition {task}")
}
