//! What this process runs at the moment: what heartbeats tell, and what can be stopped.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use datafusion::physical_plan::ExecutionPlan;
use lakewright_common::session::progress::ReadProgress;
use lakewright_proto::v1::{AttemptProgress, TaskId};
use tokio::sync::watch;
use uuid::Uuid;

/// The attempts under way.
#[derive(Debug, Default)]
pub(crate) struct Attempts(Mutex<HashMap<Uuid, Entry>>);

#[derive(Debug)]
struct Entry {
    work: Arc<Work>,
    stop: watch::Sender<bool>,
}

/// What an attempt does, and how far it is.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) id: Uuid,
    pub(crate) task: TaskId,
    pub(crate) read: Arc<ReadProgress>,
    /// Once it is known.
    pub(crate) plan: OnceLock<Arc<dyn ExecutionPlan>>,
    /// Whether the coordinator has answered that it knows the attempt.
    is_started: AtomicBool,
}

/// One of them; it is under way until this is dropped.
#[derive(Debug)]
pub(crate) struct Running<'a> {
    attempts: &'a Attempts,
    pub(crate) work: Arc<Work>,
    stop: watch::Receiver<bool>,
}

impl Attempts {
    fn entries(&self) -> MutexGuard<'_, HashMap<Uuid, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn start(&self, id: Uuid, task: TaskId) -> Running<'_> {
        let work = Work { id, task, read: Arc::default(), plan: OnceLock::new(), is_started: AtomicBool::new(false) };
        let work = Arc::new(work);
        let (stop, stopped) = watch::channel(false);
        self.entries().insert(id, Entry { work: Arc::clone(&work), stop });
        Running { attempts: self, work, stop: stopped }
    }

    /// Number of attempts.
    pub(crate) fn count(&self) -> usize {
        self.entries().len()
    }

    /// Progress of each attempt that the coordinator knows. A heartbeat may overtake the request that starts an attempt,
    /// and the coordinator would answer that an attempt it has never heard of must stop.
    pub(crate) fn progress(&self) -> Vec<AttemptProgress> {
        let entries = self.entries();
        let started = entries.values().filter(|entry| entry.work.is_started.load(Ordering::Relaxed));
        started.map(|entry| entry.work.progress()).collect()
    }

    /// Tells one to stop.
    pub(crate) fn stop(&self, id: Uuid) {
        if let Some(entry) = self.entries().get(&id) {
            let _ = entry.stop.send(true);
        }
    }
}

impl Running<'_> {
    /// Includes the attempt in heartbeats, now that the coordinator knows it.
    pub(crate) fn is_started(&self) {
        self.work.is_started.store(true, Ordering::Relaxed);
    }

    /// Waits until it is told to stop.
    pub(crate) async fn stopped(&self) {
        // The sender lives as long as this.
        let _ = self.stop.clone().wait_for(|is_stopped| *is_stopped).await;
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.attempts.entries().remove(&self.work.id);
    }
}

impl Work {
    /// As the wire says it.
    pub(crate) fn progress(&self) -> AttemptProgress {
        let read = self.read.counts();
        AttemptProgress {
            task: Some(self.task.clone()),
            attempt: self.id.to_string(),
            objects: read.objects,
            records: read.records,
            bytes: read.bytes,
            rows: self.plan.get().map_or(0, |plan| rows_read(&**plan)),
        }
    }
}

/// Rows that the leaves have given so far.
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
        let attempts = Attempts::default();
        let task = TaskId { run: String::new(), stage: 0, task: 0 };
        let running = attempts.start(Uuid::from_u128(1), task);
        assert_eq!((attempts.count(), attempts.progress().len()), (1, 0));
        running.is_started();
        assert_eq!((attempts.count(), attempts.progress().len()), (1, 1));
        drop(running);
        assert_eq!((attempts.count(), attempts.progress().len()), (0, 0));
    }
}
