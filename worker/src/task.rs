//! Runs one attempt of a task: start, execute, report.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::{FutureExt, TryStreamExt};
use lakewright_common::codec::decode_plan;
use lakewright_common::error::{EngineContext, Error, Kind, Result};
use lakewright_common::process::failpoint::{self, FailPoint};
use lakewright_common::report::report_messages;
use lakewright_common::session::memory::TaskScope;
use lakewright_common::session::plan_failure::{panic_error, stage_error};
use lakewright_common::session::{self, Resources};
use lakewright_proto::v1::report_request::Outcome;
use lakewright_proto::v1::{Decision, Failure, FailureKind, ReportRequest, Requests, StartRequest, Success, TaskSpec};
use prost::Message;
use tokio::sync::watch;
use tonic::Code;
use uuid::Uuid;

use crate::link::{Client, Pause, request};
use crate::registration::{self, JoinedRunSender};
use crate::running_tasks::{Attempt, AttemptGuard, RunningAttempts};

/// State that all attempts of this process share.
pub(crate) struct WorkerContext {
    pub(crate) process: Uuid,
    pub(crate) client: Client,
    pub(crate) attempts: RunningAttempts,
    pub(crate) resources: Resources,
    pub(crate) memory_bytes: u64,
    pub(crate) vcores: usize,
    /// Whether this worker is draining: it finishes its running tasks and takes no new ones.
    pub(crate) is_draining: watch::Receiver<bool>,
    /// The run that this worker joined last. All attempts of this run share its storage clients.
    pub(crate) joined_run: JoinedRunSender,
}

/// Runs the task that `bytes` describe, and reports the outcome to the coordinator.
pub(crate) async fn run(worker: &WorkerContext, bytes: &[u8]) {
    let spec = match TaskSpec::decode(bytes) {
        Ok(spec) => spec,
        Err(error) => {
            // Without a task there is no attempt to report.
            tracing::error!(%error, "cannot decode a task; does the coordinator have another version?");
            return;
        }
    };
    let Some(task) = spec.task.clone() else { return };
    let running = worker.attempts.start(Uuid::now_v7(), task);
    let task = &running.attempt.task;
    // The task may be done elsewhere by now, so ask before doing anything.
    failpoint::reach(FailPoint::AttemptBeforeStart);
    if !start(worker, &running).await {
        return;
    }
    running.mark_started();
    failpoint::reach(FailPoint::AttemptAfterStart);
    let outcome = tokio::select! {
        // Prefer the cancellation: the outcome of a cancelled attempt is not needed.
        biased;
        () = running.cancelled() => {
            tracing::info!(stage = task.stage, task = task.task, "attempt cancelled");
            return;
        }
        // A panic of the plan must not end the poll loop.
        outcome = AssertUnwindSafe(execute(worker, &spec, &running.attempt)).catch_unwind() => outcome,
    };
    let outcome = match outcome {
        Ok(Ok(reports)) => Outcome::Success(Success { reports }),
        Ok(Err(error)) => {
            let task = &running.attempt.task;
            tracing::warn!(stage = task.stage, task = task.task, %error, "attempt failed");
            Outcome::Failure(failure(&error))
        }
        Err(panic) => {
            let error = panic_error(panic_text(&*panic));
            Outcome::Failure(failure(&error))
        }
    };
    failpoint::reach(FailPoint::AttemptBeforeReport);
    report(worker, &running, outcome).await;
    failpoint::reach(FailPoint::AttemptAfterReport);
}

/// Asks the coordinator whether the attempt may run, and returns the answer. Retries until the
/// coordinator responds. Returns false if the attempt is cancelled first, or if this worker drains
/// and gives up.
async fn start(worker: &WorkerContext, running: &AttemptGuard<'_>) -> bool {
    let message = StartRequest {
        task: Some(running.attempt.task.clone()),
        attempt: running.attempt.id.to_string(),
        process: worker.process.to_string(),
    };
    let mut pause = Pause::new();
    loop {
        match worker.client.clone().start(request(message.clone())).await {
            Ok(answer) => return answer.into_inner().decision() == Decision::Continue,
            // The request itself is wrong, so retrying would not help.
            Err(status) if status.code() == Code::InvalidArgument => return false,
            Err(_) if worker.gives_up(&pause) => return false,
            Err(_) => tokio::select! {
                () = running.cancelled() => return false,
                () = pause.wait() => {}
            },
        }
    }
}

/// Executes the plan of a task and returns its reports, each an encoded `TaskReport`.
///
/// # Errors
/// The failure of the plan. A configuration error for a task of another version or run, or for a
/// plan that the rules reject.
async fn execute(worker: &WorkerContext, spec: &TaskSpec, attempt: &Attempt) -> Result<Vec<Vec<u8>>> {
    let version = env!("CARGO_PKG_VERSION");
    if spec.version != version {
        return Err(Error::configuration(format!(
            "the coordinator has version {}, this worker has version {version}",
            spec.version
        )));
    }
    // The task may have arrived before the response to `join`.
    let run = registration::wait_for_run(&worker.joined_run, &attempt.task.run).await?;
    let scope = TaskScope::new(attempt.task.task as usize, worker.memory_bytes, worker.vcores);
    let session = session::build(&worker.resources, &run.storages, 1, scope, Arc::clone(&attempt.read))?;
    let context = session.task_ctx();
    let unreadable = |e| Error::internal("cannot decode a plan").caused_by(e);
    let plan = decode_plan(&spec.plan, &context).engine_context(unreadable)?;
    // Check the rules after decoding, because only a decoded plan shows what it reads and writes.
    run.rules.check(&plan)?;
    // Kept for heartbeats, which report the rows that the plan has read.
    let plan = attempt.plan.get_or_init(|| plan);
    let rows = plan.execute(0, context).engine_context(stage_error)?;
    let batches: Vec<_> = rows.try_collect().await.engine_context(stage_error)?;
    // The rows are already encoded, so the worker need not decode them.
    Ok(report_messages(&batches)?.into_iter().map(<[u8]>::to_vec).collect())
}

impl WorkerContext {
    /// Returns whether to stop retrying. A draining worker gives up once the backoff reaches its
    /// maximum. Other workers never give up, because they have the time to wait for a coordinator.
    fn gives_up(&self, pause: &Pause) -> bool {
        pause.is_longest() && *self.is_draining.borrow()
    }

    /// Returns the number of this worker's requests to buckets, and the bytes read and written.
    /// Counts only the run that the worker joined last; `None` if it has joined no run.
    pub(crate) fn requests(&self) -> Option<Requests> {
        let run = self.joined_run.borrow().clone()?;
        let counted = run.storages.requests();
        Some(Requests {
            run: run.rules.run.clone(),
            counts: counted.requests.into_iter().map(|(answered, count)| (answered.to_string(), count)).collect(),
            bytes_read: counted.bytes_read,
            bytes_written: counted.bytes_written,
        })
    }
}

/// Reports the outcome. Retries until the coordinator responds; a repeated report does no harm,
/// because only the first success of a task counts.
async fn report(worker: &WorkerContext, running: &AttemptGuard<'_>, outcome: Outcome) {
    let task = &running.attempt.task;
    let message = ReportRequest {
        process: worker.process.to_string(),
        progress: Some(running.attempt.progress()),
        outcome: Some(outcome),
        requests: worker.requests(),
    };
    let mut pause = Pause::new();
    loop {
        match worker.client.clone().report(request(message.clone())).await {
            Ok(answer) => {
                let is_accepted = answer.into_inner().is_accepted;
                tracing::debug!(stage = task.stage, task = task.task, is_accepted, "reported");
                return;
            }
            // The report is invalid or too large, so retrying would not help. The task will be
            // retried once this attempt is considered lost.
            Err(status) if matches!(status.code(), Code::InvalidArgument | Code::OutOfRange) => {
                tracing::error!(
                    stage = task.stage,
                    task = task.task,
                    reason = status.message(),
                    "the coordinator rejected a report"
                );
                return;
            }
            Err(_) if worker.gives_up(&pause) => {
                tracing::warn!(
                    stage = task.stage,
                    task = task.task,
                    "leaving without a report: no coordinator responds"
                );
                return;
            }
            Err(_) => tokio::select! {
                () = running.cancelled() => return,
                () = pause.wait() => {}
            },
        }
    }
}

/// Converts an error to a message for the coordinator.
fn failure(error: &Error) -> Failure {
    let kind = match error.kind {
        Kind::Data => FailureKind::Data,
        Kind::Configuration => FailureKind::Configuration,
        Kind::Storage => FailureKind::Storage,
        // Conflicts and failures of workers occur only in the coordinator. In a worker they would
        // be a bug.
        Kind::Conflict | Kind::Workers | Kind::Internal => FailureKind::Internal,
    };
    Failure { kind: kind.into(), message: error.to_string(), hint: error.hint.clone().unwrap_or_default() }
}

/// Returns the message of a panic.
fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}
