//! One attempt of a slot: begin, run, report.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use futures::{FutureExt, TryStreamExt};
use lakewright_common::codec::decode_plan;
use lakewright_common::engine_failure::stage_error;
use lakewright_common::error::{Error, Kind, Result};
use lakewright_common::failpoint;
use lakewright_common::session::{self, Resources, StorageUrls, Storages, TaskScope};
use lakewright_common::write::report::read_reports;
use lakewright_proto::v1::report_request::Outcome;
use lakewright_proto::v1::{BeginRequest, Failure, FailureKind, ReportRequest, SlotTask, Success, Verdict};
use prost::Message;
use tokio::sync::watch;
use tonic::Code;
use uuid::Uuid;

use crate::attempts::{Attempts, Running, Work};
use crate::link::{Client, Pause, request};

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
    /// By the bytes that name them in a task: the slots of a run share clients and connections.
    pub(crate) storages: Mutex<HashMap<Vec<u8>, Storages>>,
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
        Ok(Err(error)) => Outcome::Failure(failure(&error)),
        Err(panic) => {
            let error = Error::internal(format!("a task panicked: {}", panic_text(&*panic)));
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
    let storages = slots.storages(&task.storages)?;
    let scope = TaskScope::new(work.slot.slot as usize, slots.memory_bytes, slots.vcores);
    let session = session::build(&slots.resources, &storages, 1, scope, Arc::clone(&work.read))?;
    let context = session.task_ctx();
    let unreadable = |e| Error::from_engine(e, |e| Error::internal("a plan cannot be read").caused_by(e));
    let plan = decode_plan(&task.plan, &context).map_err(unreadable)?;
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

    /// The storages that a task names, opened once.
    fn storages(&self, urls: &[u8]) -> Result<Storages> {
        let mut opened = self.storages.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(storages) = opened.get(urls) {
            return Ok(storages.clone());
        }
        let parsed: StorageUrls = serde_json::from_slice(urls)
            .map_err(|e| Error::internal("a task's storages cannot be read").caused_by(e))?;
        let storages = parsed.open()?;
        // One run at a time is the rule; those of earlier runs are of no use.
        opened.clear();
        opened.insert(urls.to_vec(), storages.clone());
        Ok(storages)
    }
}

/// Tells the outcome until it is answered; the first report of a slot wins, so a second one does no harm.
async fn report(slots: &Slots, running: &Running<'_>, outcome: Outcome) {
    let slot = &running.work.slot;
    let message = ReportRequest {
        process: slots.process.to_string(),
        progress: Some(running.work.progress()),
        outcome: Some(outcome),
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
