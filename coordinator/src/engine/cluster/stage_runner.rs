//! Runs stages: those below first, then this one's tasks, until each has an accepted report.

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
use lakewright_common::error::{Error, Result};
use lakewright_common::exchange::read_node::ExchangeReadExec;
use lakewright_common::report::TaskReport;
use lakewright_common::report::spool_object::SpoolObject;
use lakewright_proto::MAX_MESSAGE_BYTES;
use lakewright_proto::v1::{TaskId, TaskSpec};
use prost::Message;

use super::Cluster;
use super::account::Account;
use super::stage_planner::{Input, InputMode, Stage, partitions};
use super::state::Progress;
use super::task_input;
use super::task_plan::task_plan;

/// How often a stage is looked at when nobody reports.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// What a message needs beside one task.
const MESSAGE_SLACK: usize = 1024 * 1024;

/// The accepted reports of a stage, task by task.
pub(super) fn run<'a>(
    cluster: &'a Cluster,
    name: &'a str,
    stage: Stage,
) -> BoxFuture<'a, Result<Vec<Vec<TaskReport>>>> {
    async move {
        let modes: Vec<InputMode> = stage.inputs.iter().map(|input| input.mode).collect();
        let below = stage.inputs.into_iter().map(|Input { stage, .. }| run(cluster, name, stage));
        let spooled = try_join_all(below).await?.into_iter().map(|tasks| objects(cluster, tasks));
        let mut reads = modes.into_iter().zip(spooled.collect::<Result<Vec<_>>>()?);
        let unplanned = |e| Error::from_engine(e, |e| Error::internal("a stage cannot be planned").caused_by(e));
        let plan = fill(&stage.plan, &mut reads).map_err(unplanned)?;

        let is_whole = stage.is_whole;
        let tasks = if is_whole { 1 } else { partitions(&plan) };
        let plans: Vec<_> = (0..tasks)
            .map(|task| if is_whole { Ok(Arc::clone(&plan)) } else { task_plan(&plan, task) })
            .collect::<EngineResult<_>>()
            .map_err(unplanned)?;
        let inputs = plans.iter().map(task_input::describe).collect();
        let accounts = plans.iter().enumerate().map(|(task, plan)| Account::of(plan, (!is_whole).then_some(task)));
        let number = cluster.state.open_stage(name, inputs, accounts.collect(), Instant::now());
        let running = Running { cluster, number };
        let specs = plans.iter().enumerate().map(|(task, plan)| {
            cluster.spooled.add_reads(chunks(plan));
            Ok((task, encode_spec(cluster, running.number, task, plan)?))
        });
        let specs = specs.collect::<Result<Vec<_>>>()?;
        drop(plans);
        tracing::debug!(stage = name, number = running.number, tasks, "a stage starts");
        let mut jobs = vec![cluster.scheduler.submit(name, &specs).await?];
        let reports = loop {
            let changed = cluster.state.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            match cluster.state.look(running.number, Instant::now())? {
                Progress::Done(reports) => break reports,
                Progress::Running(again) if again.is_empty() => {
                    tokio::select! {
                        () = changed => {}
                        () = tokio::time::sleep(LOOK_INTERVAL) => {}
                    }
                }
                Progress::Running(again) => {
                    let again: Vec<_> = again.into_iter().filter_map(|task| specs.get(task).cloned()).collect();
                    jobs.push(cluster.scheduler.submit(name, &again).await?);
                }
            }
        };
        // Ballista hears of no task's end, so that it would keep the jobs.
        for job in jobs {
            cluster.scheduler.cancel(job).await;
        }
        Ok(reports)
    }
    .boxed()
}

/// A stage at work; however it ends, its attempts are told to stop.
struct Running<'a> {
    cluster: &'a Cluster,
    number: u32,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.cluster.state.close_stage(self.number);
    }
}

/// What each task of a stage spooled.
fn objects(cluster: &Cluster, tasks: Vec<Vec<TaskReport>>) -> Result<Vec<SpoolObject>> {
    let objects = tasks
        .into_iter()
        .map(|mut reports| match (reports.pop(), reports.pop()) {
            (Some(TaskReport::Spooled(object)), None) => Ok(object),
            _ => Err(Error::internal("a task of an exchange answered with something else")),
        })
        .collect::<Result<Vec<_>>>()?;
    cluster.spooled.add(&objects);
    Ok(objects)
}

/// The plan with the rows of the stages below in its exchange reads, from left to right.
fn fill(
    plan: &Arc<dyn ExecutionPlan>,
    reads: &mut impl Iterator<Item = (InputMode, Vec<SpoolObject>)>,
) -> EngineResult<Arc<dyn ExecutionPlan>> {
    if let Some(read) = plan.downcast_ref::<ExchangeReadExec>() {
        let Some((take, objects)) = reads.next() else { return internal_err!("an exchange has no stage below it") };
        let chunks = (0..read.partitions().len())
            .map(|partition| match take {
                InputMode::Shuffle => objects.iter().flat_map(|object| object.chunks_of(partition)).collect(),
                InputMode::Forward => objects.get(partition).map(|object| object.chunks_of(0)).unwrap_or_default(),
            })
            .collect();
        return Ok(Arc::new(ExchangeReadExec::from_shape(Arc::clone(read.shape()), chunks)));
    }
    let children = plan.children().into_iter().map(|child| fill(child, reads)).collect::<EngineResult<Vec<_>>>()?;
    replace_children_if_necessary(Arc::clone(plan), children)
}

/// Ranges of spool objects that a task reads.
fn chunks(plan: &Arc<dyn ExecutionPlan>) -> usize {
    let here = plan.downcast_ref::<ExchangeReadExec>();
    let here: usize = here.map_or(0, |read| read.partitions().iter().map(|chunks| chunks.len()).sum());
    here + plan.children().into_iter().map(chunks).sum::<usize>()
}

/// Encodes all that a worker needs to run a task.
fn encode_spec(cluster: &Cluster, stage: u32, task: usize, plan: &Arc<dyn ExecutionPlan>) -> Result<Bytes> {
    let plan = encode_plan(plan).map_err(|e| {
        Error::from_engine(e, |e| Error::configuration("the query cannot be sent to workers").caused_by(e))
            .hint("remove `[cluster]` to run it in one process, or write the query in another way")
    })?;
    let task = TaskId { run: cluster.run.to_string(), stage, task: u32::try_from(task).unwrap_or(u32::MAX) };
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let spec = TaskSpec { version, task: Some(task), plan }.encode_to_vec();
    if spec.len() + MESSAGE_SLACK > MAX_MESSAGE_BYTES {
        return Err(Error::configuration(format!(
            "a task would be {} bytes long, more than a message may be",
            spec.len()
        ))
        .hint("lower `[limits] split_size`, so that each task has fewer objects"));
    }
    Ok(spec.into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
mod tests;
