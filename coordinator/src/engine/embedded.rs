//! Runs plans in this process, with one Tokio task per partition and a bounded number of tasks at
//! once.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use datafusion::prelude::SessionContext;
use futures::{StreamExt, TryStreamExt};
use lakewright_common::error::{EngineContext, Result};
use lakewright_common::session::plan_failure::{panic_error, stage_error};

/// Returns all rows of `plan` in no particular order. Dropping the future stops every task.
///
/// # Errors
/// The first error of a partition.
pub(super) async fn collect(
    session: &SessionContext,
    plan: Arc<dyn ExecutionPlan>,
    threads: usize,
) -> Result<Vec<RecordBatch>> {
    let partitions = plan.output_partitioning().partition_count();
    // All partitions of a plan with an exchange must run at once, because rows for a partition that
    // does not run would pile up in memory. Such plans have as many partitions as there are
    // threads. Plans with more partitions are scans without an exchange.
    let batches: Vec<Vec<RecordBatch>> = futures::stream::iter(0..partitions)
        .map(|partition| {
            let plan = Arc::clone(&plan);
            let context = session.task_ctx();
            async move {
                // A `JoinSet` aborts its task when it is dropped. A task that is only spawned would
                // keep running.
                let mut task = tokio::task::JoinSet::new();
                task.spawn(async move { plan.execute(partition, context)?.try_collect::<Vec<_>>().await });
                match task.join_next().await {
                    Some(Ok(batches)) => batches.engine_context(stage_error),
                    Some(Err(panic)) => Err(panic_error(panic)),
                    // The set has exactly one task.
                    None => Ok(vec![]),
                }
            }
        })
        .buffer_unordered(threads.max(1))
        .try_collect()
        .await?;
    Ok(batches.into_iter().flatten().collect())
}
