//! Keeps the running attempts of this process: their progress for heartbeats, and a way to cancel
//! them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use datafusion::physical_plan::ExecutionPlan;
use lakewright_common::session::progress::ReadProgress;
use lakewright_proto::v1::{AttemptProgress, TaskId};
use tokio::sync::watch;
use uuid::Uuid;

/// Running attempts of this process, by their ids.
#[derive(Debug, Default)]
pub(crate) struct RunningAttempts(Mutex<HashMap<Uuid, Entry>>);

#[derive(Debug)]
struct Entry {
    attempt: Arc<Attempt>,
    cancel: watch::Sender<bool>,
}

/// One execution of a task, with its progress.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) id: Uuid,
    pub(crate) task: TaskId,
    pub(crate) read: Arc<ReadProgress>,
    /// Plan of the attempt, once it is decoded.
    pub(crate) plan: OnceLock<Arc<dyn ExecutionPlan>>,
    /// Whether the coordinator has allowed the attempt to start.
    is_started: AtomicBool,
}

/// Handle of a running attempt. Dropping it removes the attempt from [`RunningAttempts`].
#[derive(Debug)]
pub(crate) struct AttemptGuard<'a> {
    attempts: &'a RunningAttempts,
    pub(crate) attempt: Arc<Attempt>,
    cancelled: watch::Receiver<bool>,
}

impl RunningAttempts {
    fn entries(&self) -> MutexGuard<'_, HashMap<Uuid, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an attempt of `task`. Dropping the returned guard removes the attempt.
    pub(crate) fn start(&self, id: Uuid, task: TaskId) -> AttemptGuard<'_> {
        let attempt =
            Attempt { id, task, read: Arc::default(), plan: OnceLock::new(), is_started: AtomicBool::new(false) };
        let attempt = Arc::new(attempt);
        let (cancel, cancelled) = watch::channel(false);
        self.entries().insert(id, Entry { attempt: Arc::clone(&attempt), cancel });
        AttemptGuard { attempts: self, attempt, cancelled }
    }

    /// Returns the number of running attempts.
    pub(crate) fn count(&self) -> usize {
        self.entries().len()
    }

    /// Returns the progress of each attempt that the coordinator has allowed to start. Omits all
    /// others, because a heartbeat may overtake the `Start` request of an attempt, and the
    /// coordinator cancels attempts that it does not know.
    pub(crate) fn progress(&self) -> Vec<AttemptProgress> {
        let entries = self.entries();
        let started = entries.values().filter(|entry| entry.attempt.is_started.load(Ordering::Relaxed));
        started.map(|entry| entry.attempt.progress()).collect()
    }

    /// Cancels an attempt.
    pub(crate) fn cancel(&self, id: Uuid) {
        if let Some(entry) = self.entries().get(&id) {
            let _ = entry.cancel.send(true);
        }
    }
}

impl AttemptGuard<'_> {
    /// Marks the attempt as started. The coordinator now knows the attempt, so all further
    /// heartbeats include it.
    pub(crate) fn mark_started(&self) {
        self.attempt.is_started.store(true, Ordering::Relaxed);
    }

    /// Waits until the attempt is cancelled.
    pub(crate) async fn cancelled(&self) {
        // The sender lives as long as this guard, so waiting cannot fail.
        let _ = self.cancelled.clone().wait_for(|is_cancelled| *is_cancelled).await;
    }
}

impl Drop for AttemptGuard<'_> {
    fn drop(&mut self) {
        self.attempts.entries().remove(&self.attempt.id);
    }
}

impl Attempt {
    /// Returns the progress as a message of the worker protocol.
    pub(crate) fn progress(&self) -> AttemptProgress {
        let read = self.read.counts();
        AttemptProgress {
            task: Some(self.task.clone()),
            attempt: self.id.to_string(),
            objects: read.objects,
            records: read.records,
            bytes: read.bytes,
            // 0 until the plan is decoded.
            rows: self.plan.get().map_or(0, |plan| rows_read(&**plan)),
        }
    }
}

/// Sums the rows that the leaf nodes of a plan have returned.
fn rows_read(plan: &dyn ExecutionPlan) -> u64 {
    let children = plan.children();
    if children.is_empty() {
        return plan.metrics().and_then(|metrics| metrics.output_rows()).unwrap_or_default() as u64;
    }
    children.into_iter().map(|child| rows_read(&**child)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_names_only_attempts_that_the_coordinator_knows() {
        let attempts = RunningAttempts::default();
        let task = TaskId { run: String::new(), stage: 0, task: 0 };
        let running = attempts.start(Uuid::from_u128(1), task);
        assert_eq!((attempts.count(), attempts.progress().len()), (1, 0));
        running.mark_started();
        assert_eq!((attempts.count(), attempts.progress().len()), (1, 1));
        drop(running);
        assert_eq!((attempts.count(), attempts.progress().len()), (0, 0));
    }
}
