//! Runs a stage: first the stages below it, then its own tasks, until every task has an accepted
//! result.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use datafusion::common::internal_err;
use datafusion::error::Result as EngineResult;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use futures::FutureExt;
use futures::future::{BoxFuture, try_join_all};
use lakewright_common::codec::encode_plan;
use lakewright_common::error::{EngineContext, Error, Result};
use lakewright_common::exchange::read_node::ExchangeReadExec;
use lakewright_common::report::TaskReport;
use lakewright_common::report::spool_object::SpoolObject;
use lakewright_proto::MAX_MESSAGE_BYTES;
use lakewright_proto::v1::{TaskId, TaskSpec};
use prost::Message;

use super::Cluster;
use super::account::Account;
use super::stage_planner::{Input, InputMode, Stage, partitions};
use super::state::StageStatus;
use super::task_input;
use super::task_plan::task_plan;

/// Interval at which a stage is advanced even if no worker reports anything, because silent workers
/// are only noticed when a stage is advanced.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// Number of bytes reserved in a message for everything except the task.
const MESSAGE_SLACK: usize = 1024 * 1024;

/// Runs a stage and the stages below it, and returns the accepted reports of the stage, grouped by
/// task.
///
/// # Errors
/// The error that failed a stage. A workers error if there are no workers. A configuration error
/// for a task that cannot be encoded.
pub(super) fn run<'a>(
    cluster: &'a Cluster,
    name: &'a str,
    stage: Stage,
) -> BoxFuture<'a, Result<Vec<Vec<TaskReport>>>> {
    async move {
        // The inputs are in the order of the reads in the plan, which `fill` relies on.
        let modes: Vec<InputMode> = stage.inputs.iter().map(|input| input.mode).collect();
        // Independent stages below run at the same time, and their tasks share the queue.
        let below = stage.inputs.into_iter().map(|Input { stage, .. }| run(cluster, name, stage));
        let spooled = try_join_all(below).await?.into_iter().map(|tasks| objects(cluster, tasks));
        let mut reads = modes.into_iter().zip(spooled.collect::<Result<Vec<_>>>()?);
        let unplanned = |e| Error::internal("cannot plan a stage").caused_by(e);
        let plan = fill(&stage.plan, &mut reads).engine_context(unplanned)?;

        let is_single_task = stage.is_single_task;
        let tasks = if is_single_task { 1 } else { partitions(&plan) };
        let plans: Vec<_> = (0..tasks)
            .map(|task| if is_single_task { Ok(Arc::clone(&plan)) } else { task_plan(&plan, task) })
            .collect::<EngineResult<_>>()
            .engine_context(unplanned)?;
        let inputs = plans.iter().map(task_input::describe).collect();
        // A single task writes files for all partitions, so its account accepts any task number in
        // their names.
        let accounts =
            plans.iter().enumerate().map(|(task, plan)| Account::of(plan, (!is_single_task).then_some(task)));
        let number = cluster.state.start_stage(name, inputs, accounts.collect(), Instant::now());
        // From here on, each way out must end the stage, so the guard comes before anything that
        // can fail.
        let guard = StageGuard { cluster, number };
        let specs = plans.iter().enumerate().map(|(task, plan)| {
            cluster.spooled.add_reads(chunks(plan));
            Ok((task, encode_spec(cluster, guard.number, task, plan)?))
        });
        // Collect all specs first, so that a task that cannot be encoded fails the stage before any
        // task is queued.
        let specs = specs.collect::<Result<Vec<_>>>()?;
        // The encoded tasks are all that is needed from here on.
        drop(plans);
        tracing::debug!(stage = name, number = guard.number, tasks, "starting a stage");
        let mut jobs = vec![cluster.scheduler.submit(name, &specs).await?];
        let reports = loop {
            // Subscribe before looking at the state, so that no report between the two is missed.
            let changed = cluster.state.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            match cluster.state.advance_stage(guard.number, Instant::now())? {
                StageStatus::Done(reports) => break reports,
                StageStatus::Running(retries) if retries.is_empty() => {
                    tokio::select! {
                        () = changed => {}
                        () = tokio::time::sleep(POLL_INTERVAL) => {}
                    }
                }
                StageStatus::Running(retries) => {
                    // Retries are queued as one more job with the same specs.
                    let specs: Vec<_> = retries.into_iter().filter_map(|task| specs.get(task).cloned()).collect();
                    jobs.push(cluster.scheduler.submit(name, &specs).await?);
                }
            }
        };
        // Ballista receives no status of tasks, so it would keep the jobs forever.
        for job in jobs {
            cluster.scheduler.cancel(job).await;
        }
        Ok(reports)
    }
    .boxed()
}

/// A running stage. Dropping this value ends the stage and cancels the attempts that still run.
struct StageGuard<'a> {
    cluster: &'a Cluster,
    number: u32,
}

impl Drop for StageGuard<'_> {
    fn drop(&mut self) {
        self.cluster.state.end_stage(self.number);
    }
}

/// Returns the spool objects that the tasks of a stage reported, one per task. Adds them to the
/// totals of the run.
fn objects(cluster: &Cluster, tasks: Vec<Vec<TaskReport>>) -> Result<Vec<SpoolObject>> {
    let objects = tasks
        .into_iter()
        // A second `pop` must find nothing: an attempt of an exchange writes one object.
        .map(|mut reports| match (reports.pop(), reports.pop()) {
            (Some(TaskReport::Spooled(object)), None) => Ok(object),
            _ => Err(Error::internal("a task of an exchange did not report exactly one spool object")),
        })
        .collect::<Result<Vec<_>>>()?;
    cluster.spooled.add(&objects);
    Ok(objects)
}

/// Fills the `ExchangeReadExec` nodes of a plan, from left to right. Each node reads the output of
/// one input stage, and gets byte ranges in the spool objects of that stage. `reads` has the spool
/// objects for each node, in the same order.
fn fill(
    plan: &Arc<dyn ExecutionPlan>,
    reads: &mut impl Iterator<Item = (InputMode, Vec<SpoolObject>)>,
) -> EngineResult<Arc<dyn ExecutionPlan>> {
    if let Some(read) = plan.downcast_ref::<ExchangeReadExec>() {
        let Some((mode, objects)) = reads.next() else {
            return internal_err!("an exchange read has no stage below it");
        };
        let chunks = (0..read.partitions().len())
            .map(|partition| match mode {
                InputMode::Shuffle => objects.iter().flat_map(|object| object.chunks_of(partition)).collect(),
                // The stage below has one task per partition of this read.
                InputMode::Forward => objects.get(partition).map(|object| object.chunks_of(0)).unwrap_or_default(),
            })
            .collect();
        return Ok(Arc::new(ExchangeReadExec::from_shape(Arc::clone(read.shape()), chunks)));
    }
    let children = plan.children().into_iter().map(|child| fill(child, reads)).collect::<EngineResult<Vec<_>>>()?;
    replace_children_if_necessary(Arc::clone(plan), children)
}

/// Counts the byte ranges of spool objects that the plan of a task reads.
fn chunks(plan: &Arc<dyn ExecutionPlan>) -> usize {
    let here = plan.downcast_ref::<ExchangeReadExec>();
    let here: usize = here.map_or(0, |read| read.partitions().iter().map(|chunks| chunks.len()).sum());
    here + plan.children().into_iter().map(chunks).sum::<usize>()
}

/// Encodes everything that a worker needs to run a task.
///
/// # Errors
/// A configuration error for a plan that cannot be encoded or is too large.
fn encode_spec(cluster: &Cluster, stage: u32, task: usize, plan: &Arc<dyn ExecutionPlan>) -> Result<Bytes> {
    let plan = encode_plan(plan).map_err(|e| {
        Error::from_engine(e, |e| Error::configuration("cannot send the query to workers").caused_by(e))
            .hint("remove `[cluster]` to run the query in one process, or rewrite it")
    })?;
    let task = TaskId { run: cluster.run.to_string(), stage, task: u32::try_from(task).unwrap_or(u32::MAX) };
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let spec = TaskSpec { version, task: Some(task), plan }.encode_to_vec();
    if spec.len() + MESSAGE_SLACK > MAX_MESSAGE_BYTES {
        return Err(Error::configuration(format!("a task needs {} bytes, more than a message may have", spec.len()))
            .hint("lower `[limits] split_bytes`, so that each task has fewer objects"));
    }
    Ok(spec.into())
}

#[cfg(test)]
mod tests;
