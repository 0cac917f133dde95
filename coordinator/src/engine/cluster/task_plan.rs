//! A stage's plan narrowed to one of its tasks: a plan of one partition that holds no other task's input.

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

/// Partition `task` of a stage's plan, as a plan of its own.
///
/// # Errors
/// A plan that was not cut into stages before.
pub(super) fn task_plan(plan: &Plan, task: usize) -> Result<Plan> {
    let narrowed = node(plan, task)?;
    if partitions(&narrowed) != 1 {
        return internal_err!("a task of `{}` has {} partitions", plan.name(), partitions(&narrowed));
    }
    Ok(narrowed)
}

fn node(plan: &Plan, task: usize) -> Result<Plan> {
    if let Some(read) = plan.downcast_ref::<ExchangeReadExec>() {
        return Ok(Arc::new(read.only(task)));
    }
    if let Some(scan) = plan.downcast_ref::<JsonScanExec>() {
        return Ok(Arc::new(scan.only(task)));
    }
    if let Some(source) = plan.downcast_ref::<DataSourceExec>() {
        return data_source(source, task);
    }
    if plan.is::<EmptyExec>() {
        return Ok(Arc::new(EmptyExec::new(plan.schema())));
    }
    if plan.is::<PlaceholderRowExec>() {
        return Ok(Arc::new(PlaceholderRowExec::new(plan.schema())));
    }
    if let Some(union) = plan.downcast_ref::<UnionExec>() {
        return union_child(union, task);
    }
    if plan.is::<InterleaveExec>() {
        let children = plan.children().into_iter().map(|child| node(child, task)).collect::<Result<Vec<_>>>()?;
        return Ok(Arc::new(CoalescePartitionsExec::new(UnionExec::try_new(children)?)));
    }
    if plan.is::<SortPreservingMergeExec>() {
        // All sorted partitions below are for this one task.
        return Ok(Arc::clone(plan));
    }
    if let Some(write) = plan.downcast_ref::<ExchangeWriteExec>()
        && let Some(shuffle) = write.input().downcast_ref::<RepartitionExec>()
    {
        let rows = node(shuffle.input(), task)?;
        let shuffle = replace_children_if_necessary(Arc::clone(write.input()), vec![rows])?;
        return replace_children_if_necessary(Arc::clone(plan), vec![shuffle]);
    }
    let is_left_whole = plan.is::<NestedLoopJoinExec>()
        || plan.is::<CrossJoinExec>()
        || plan.downcast_ref::<HashJoinExec>().is_some_and(|join| *join.partition_mode() == PartitionMode::CollectLeft);
    let children = plan
        .children()
        .into_iter()
        .enumerate()
        .map(|(i, child)| node(child, if is_left_whole && i == 0 { 0 } else { task }))
        .collect::<Result<Vec<_>>>()?;
    replace_children_if_necessary(Arc::clone(plan), children)
}

fn data_source(source: &DataSourceExec, task: usize) -> Result<Plan> {
    if let Some(files) = source.data_source().downcast_ref::<FileScanConfig>() {
        let group = files.file_groups.get(task).cloned().unwrap_or_default();
        let narrowed = FileScanConfigBuilder::from(files.clone()).with_file_groups(vec![group]).build();
        return Ok(DataSourceExec::from_data_source(narrowed));
    }
    if let Some(rows) = source.data_source().downcast_ref::<MemorySourceConfig>() {
        let partition = rows.partitions().get(task).cloned().unwrap_or_default();
        let narrowed = MemorySourceConfig::try_new(&[partition], rows.original_schema(), rows.projection().clone())?;
        return Ok(DataSourceExec::from_data_source(narrowed));
    }
    internal_err!("a data source that has no parts")
}

/// The child that has the union's partition `task`, narrowed to it.
fn union_child(union: &UnionExec, task: usize) -> Result<Plan> {
    let mut before = 0;
    for child in union.inputs() {
        let here = partitions(child);
        if task < before + here {
            return node(child, task - before);
        }
        before += here;
    }
    internal_err!("a union has no partition {task}")
}
