//! One attempt of a slot: begin, run, report.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::{FutureExt, TryStreamExt};
use lakewright_common::codec::decode_plan;
use lakewright_common::engine_failure::{panic_error, stage_error};
use lakewright_common::error::{Error, Kind, Result};
use lakewright_common::failpoint;
use lakewright_common::session::{self, Resources, TaskScope};
use lakewright_common::write::report::read_reports;
use lakewright_proto::v1::report_request::Outcome;
use lakewright_proto::v1::{BeginRequest, Failure, FailureKind, ReportRequest, Requests, SlotTask, Success, Verdict};
use prost::Message;
use tokio::sync::watch;
use tonic::Code;
use uuid::Uuid;

use crate::attempts::{Attempts, Running, Work};
use crate::link::{Client, Pause, request};
use crate::registration::{self, Registration};

/// What every attempt of this process needs.
pub(crate) struct Slots {
    pub(crate) process: Uuid,
    pub(crate) client: Client,
    pub(crate) attempts: Attempts,
    pub(crate) resources: Resources,
    pub(crate) memory_bytes: u64,
    pub(crate) vcores: usize,
    /// The worker is about to leave.
    pub(crate) is_draining: watch::Receiver<bool>,
    /// Of the last run: its slots share clients and connections.
    pub(crate) registration: Registration,
}

/// Runs the slot that `bytes` describe, and tells the coordinator what became of it.
pub(crate) async fn run(slots: &Slots, bytes: &[u8]) {
    let task = match SlotTask::decode(bytes) {
        Ok(task) => task,
        Err(error) => {
            tracing::error!(%error, "a task that cannot be read; is the coordinator of another version?");
            return;
        }
    };
    let Some(slot) = task.slot.clone() else { return };
    let running = slots.attempts.start(Uuid::now_v7(), slot);
    let slot = &running.work.slot;
    failpoint::reach("attempt.before_begin");
    if !begin(slots, &running).await {
        return;
    }
    running.is_begun();
    failpoint::reach("attempt.after_begin");
    let outcome = tokio::select! {
        biased;
        () = running.stopped() => {
            tracing::info!(stage = slot.stage, slot = slot.slot, "told to stop");
            return;
        }
        outcome = AssertUnwindSafe(execute(slots, &task, &running.work)).catch_unwind() => outcome,
    };
    let outcome = match outcome {
        Ok(Ok(reports)) => Outcome::Success(Success { reports }),
        Ok(Err(error)) => {
            let slot = &running.work.slot;
            tracing::warn!(stage = slot.stage, slot = slot.slot, %error, "a task failed");
            Outcome::Failure(failure(&error))
        }
        Err(panic) => {
            let error = panic_error(panic_text(&*panic));
            Outcome::Failure(failure(&error))
        }
    };
    failpoint::reach("attempt.before_report");
    report(slots, &running, outcome).await;
    failpoint::reach("attempt.after_report");
}

/// Whether the slot is still wanted. Asks until it is answered or told to stop.
async fn begin(slots: &Slots, running: &Running<'_>) -> bool {
    let message = BeginRequest {
        slot: Some(running.work.slot.clone()),
        attempt: running.work.id.to_string(),
        process: slots.process.to_string(),
    };
    let mut pause = Pause::new();
    loop {
        match slots.client.clone().begin(request(message.clone())).await {
            Ok(answer) => return answer.into_inner().verdict() == Verdict::GoOn,
            Err(status) if status.code() == Code::InvalidArgument => return false,
            Err(_) if slots.gives_up(&pause) => return false,
            Err(_) => tokio::select! {
                () = running.stopped() => return false,
                () = pause.wait() => {}
            },
        }
    }
}

/// The reports of a slot's plan, each as JSON.
async fn execute(slots: &Slots, task: &SlotTask, work: &Work) -> Result<Vec<String>> {
    let version = env!("CARGO_PKG_VERSION");
    if task.version != version {
        return Err(Error::configuration(format!(
            "the coordinator is of version {}, this worker of version {version}",
            task.version
        )));
    }
    let registered = registration::of_run(&slots.registration, &work.slot.run).await?;
    let scope = TaskScope::new(work.slot.slot as usize, slots.memory_bytes, slots.vcores);
    let session = session::build(&slots.resources, &registered.storages, 1, scope, Arc::clone(&work.read))?;
    let context = session.task_ctx();
    let unreadable = |e| Error::from_engine(e, |e| Error::internal("a plan cannot be read").caused_by(e));
    let plan = decode_plan(&task.plan, &context).map_err(unreadable)?;
    registered.rules.check(&plan)?;
    let plan = work.plan.get_or_init(|| plan);
    let rows = plan.execute(0, context).map_err(|e| Error::from_engine(e, stage_error))?;
    let batches: Vec<_> = rows.try_collect().await.map_err(|e| Error::from_engine(e, stage_error))?;
    read_reports(&batches)?
        .iter()
        .map(|report| {
            serde_json::to_string(report).map_err(|e| Error::internal("a report cannot be written").caused_by(e))
        })
        .collect()
}

impl Slots {
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
            counts: counted.requests.into_iter().collect(),
            bytes_read: counted.bytes_read,
            bytes_written: counted.bytes_written,
        })
    }
}

/// Tells the outcome until it is answered; the first report of a slot wins, so a second one does no harm.
async fn report(slots: &Slots, running: &Running<'_>, outcome: Outcome) {
    let slot = &running.work.slot;
    let message = ReportRequest {
        process: slots.process.to_string(),
        progress: Some(running.work.progress()),
        outcome: Some(outcome),
        requests: slots.requests(),
    };
    let mut pause = Pause::new();
    loop {
        match slots.client.clone().report(request(message.clone())).await {
            Ok(answer) => {
                let is_accepted = answer.into_inner().is_accepted;
                tracing::debug!(stage = slot.stage, slot = slot.slot, is_accepted, "reported");
                return;
            }
            Err(status) if matches!(status.code(), Code::InvalidArgument | Code::OutOfRange) => {
                tracing::error!(
                    stage = slot.stage,
                    slot = slot.slot,
                    reason = status.message(),
                    "a report was refused"
                );
                return;
            }
            Err(_) if slots.gives_up(&pause) => {
                tracing::warn!(stage = slot.stage, slot = slot.slot, "leaves without a report: no coordinator answers");
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
