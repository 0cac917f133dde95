//! One attempt of a task: start, run, report.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::{FutureExt, TryStreamExt};
use lakewright_common::codec::decode_plan;
use lakewright_common::error::{Context, Error, Kind, Result};
use lakewright_common::process::failpoint;
use lakewright_common::report::read_reports;
use lakewright_common::session::plan_failure::{panic_error, stage_error};
use lakewright_common::session::{self, Resources, TaskScope};
use lakewright_proto::v1::report_request::Outcome;
use lakewright_proto::v1::{Decision, Failure, FailureKind, ReportRequest, Requests, StartRequest, Success, TaskSpec};
use prost::Message;
use tokio::sync::watch;
use tonic::Code;
use uuid::Uuid;

use crate::link::{Client, Pause, request};
use crate::registration::{self, Registration};
use crate::running_tasks::{Attempts, Running, Work};

/// What every attempt of this process needs.
pub(crate) struct WorkerContext {
    pub(crate) process: Uuid,
    pub(crate) client: Client,
    pub(crate) attempts: Attempts,
    pub(crate) resources: Resources,
    pub(crate) memory_bytes: u64,
    pub(crate) vcores: usize,
    /// The worker is about to leave.
    pub(crate) is_draining: watch::Receiver<bool>,
    /// Of the last run: its worker share clients and connections.
    pub(crate) registration: Registration,
}

/// Runs the task that `bytes` describe, and tells the coordinator what became of it.
pub(crate) async fn run(worker: &WorkerContext, bytes: &[u8]) {
    let spec = match TaskSpec::decode(bytes) {
        Ok(spec) => spec,
        Err(error) => {
            tracing::error!(%error, "a task cannot be decoded; is the coordinator of another version?");
            return;
        }
    };
    let Some(task) = spec.task.clone() else { return };
    let running = worker.attempts.start(Uuid::now_v7(), task);
    let task = &running.work.task;
    failpoint::reach("attempt.before_start");
    if !start(worker, &running).await {
        return;
    }
    running.is_started();
    failpoint::reach("attempt.after_start");
    let outcome = tokio::select! {
        biased;
        () = running.stopped() => {
            tracing::info!(stage = task.stage, task = task.task, "told to stop");
            return;
        }
        outcome = AssertUnwindSafe(execute(worker, &spec, &running.work)).catch_unwind() => outcome,
    };
    let outcome = match outcome {
        Ok(Ok(reports)) => Outcome::Success(Success { reports }),
        Ok(Err(error)) => {
            let task = &running.work.task;
            tracing::warn!(stage = task.stage, task = task.task, %error, "a task failed");
            Outcome::Failure(failure(&error))
        }
        Err(panic) => {
            let error = panic_error(panic_text(&*panic));
            Outcome::Failure(failure(&error))
        }
    };
    failpoint::reach("attempt.before_report");
    report(worker, &running, outcome).await;
    failpoint::reach("attempt.after_report");
}

/// Whether the task is still wanted. Asks until it is answered or told to stop.
async fn start(worker: &WorkerContext, running: &Running<'_>) -> bool {
    let message = StartRequest {
        task: Some(running.work.task.clone()),
        attempt: running.work.id.to_string(),
        process: worker.process.to_string(),
    };
    let mut pause = Pause::new();
    loop {
        match worker.client.clone().start(request(message.clone())).await {
            Ok(answer) => return answer.into_inner().decision() == Decision::Continue,
            Err(status) if status.code() == Code::InvalidArgument => return false,
            Err(_) if worker.gives_up(&pause) => return false,
            Err(_) => tokio::select! {
                () = running.stopped() => return false,
                () = pause.wait() => {}
            },
        }
    }
}

/// The reports of a task's plan, each as JSON.
async fn execute(worker: &WorkerContext, spec: &TaskSpec, work: &Work) -> Result<Vec<String>> {
    let version = env!("CARGO_PKG_VERSION");
    if spec.version != version {
        return Err(Error::configuration(format!(
            "the coordinator is of version {}, this worker of version {version}",
            spec.version
        )));
    }
    let registered = registration::of_run(&worker.registration, &work.task.run).await?;
    let scope = TaskScope::new(work.task.task as usize, worker.memory_bytes, worker.vcores);
    let session = session::build(&worker.resources, &registered.storages, 1, scope, Arc::clone(&work.read))?;
    let context = session.task_ctx();
    let unreadable = |e| Error::from_engine(e, |e| Error::internal("a plan cannot be read").caused_by(e));
    let plan = decode_plan(&spec.plan, &context).map_err(unreadable)?;
    registered.rules.check(&plan)?;
    let plan = work.plan.get_or_init(|| plan);
    let rows = plan.execute(0, context).map_err(|e| Error::from_engine(e, stage_error))?;
    let batches: Vec<_> = rows.try_collect().await.map_err(|e| Error::from_engine(e, stage_error))?;
    read_reports(&batches)?
        .iter()
        .map(|report| serde_json::to_string(report).context(|| Error::internal("a report cannot be written")))
        .collect()
}

impl WorkerContext {
    /// Whether it is in vain to wait for a coordinator: only a worker that stays has the time.
    fn gives_up(&self, pause: &Pause) -> bool {
        pause.is_long() && *self.is_draining.borrow()
    }

    /// Returns what was asked of buckets for the last run.
    pub(crate) fn requests(&self) -> Option<Requests> {
        let registered = self.registration.borrow().clone()?;
        let counted = registered.storages.requests();
        Some(Requests {
            run: registered.rules.run.clone(),
            counts: counted.requests.into_iter().map(|(answered, count)| (answered.to_string(), count)).collect(),
            bytes_read: counted.bytes_read,
            bytes_written: counted.bytes_written,
        })
    }
}

/// Tells the outcome until it is answered; the first report of a task wins, so a second one does no harm.
async fn report(worker: &WorkerContext, running: &Running<'_>, outcome: Outcome) {
    let task = &running.work.task;
    let message = ReportRequest {
        process: worker.process.to_string(),
        progress: Some(running.work.progress()),
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
            Err(status) if matches!(status.code(), Code::InvalidArgument | Code::OutOfRange) => {
                tracing::error!(
                    stage = task.stage,
                    task = task.task,
                    reason = status.message(),
                    "a report was refused"
                );
                return;
            }
            Err(_) if worker.gives_up(&pause) => {
                tracing::warn!(stage = task.stage, task = task.task, "leaves without a report: no coordinator answers");
                return;
            }
            Err(_) => tokio::select! {
                () = running.stopped() => return,
                () = pause.wait() => {}
            },
        }
    }
}

fn failure(error: &Error) -> Failure {
    let kind = match error.kind {
        Kind::Data => FailureKind::Data,
        Kind::Configuration => FailureKind::Configuration,
        Kind::Storage => FailureKind::Storage,
        Kind::Conflict | Kind::Workers | Kind::Internal => FailureKind::Internal,
    };
    Failure { kind: kind.into(), message: error.to_string(), hint: error.hint.clone().unwrap_or_default() }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}
