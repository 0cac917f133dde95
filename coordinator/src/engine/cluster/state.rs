//! State shared by the service and the stage runner: the workers, and the progress of each task.
//!
//! The service records what workers report, and the stage runner reads what to do next. Both hold
//! the lock only briefly.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lakewright_common::error::{Error, Result};
use lakewright_common::report::TaskReport;
use lakewright_common::session::progress::{ReadCounts, ReadProgress};
use lakewright_common::storage::s3::requests::RequestCounts;
use tokio::sync::Notify;
use uuid::Uuid;

use super::account::Account;
use super::task_attempts::{Decision, Policy, Retry, RetryReason, StageFailure, TaskAttempts};
use super::workers::{UnknownWorker, Workers};

/// Maximum number of excluded workers that an error names.
const NAMED_WORKERS: usize = 3;

/// State of a run as reported by its workers.
#[derive(Debug)]
pub(super) struct ClusterState {
    policy: Policy,
    /// Time without any worker after which the run fails.
    worker_timeout: Duration,
    reads: Arc<ReadProgress>,
    inner: Mutex<Inner>,
    /// Notified when an attempt ends or a worker joins.
    pub(super) changed: Notify,
}

#[derive(Debug)]
struct Inner {
    workers: Workers,
    stages: HashMap<u32, Stage>,
    next_stage: u32,
    /// Number of rows read by all tasks of the run, according to their attempts.
    rows: u64,
    /// Counts of requests to buckets, as each process last reported them.
    requests: BTreeMap<Uuid, RequestCounts>,
}

#[derive(Debug)]
struct Stage {
    name: String,
    tracker: TaskAttempts<Vec<TaskReport>>,
    /// Text that describes the input of each task, for error messages.
    inputs: Vec<String>,
    /// Expected input and output of each task, which its reports must match.
    accounts: Vec<Account>,
    /// Amount that each task has read: the maximum over its attempts.
    read: Vec<AmountRead>,
    failure: Option<Error>,
}

/// Amount that an attempt has read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct AmountRead {
    /// Objects, records and decompressed bytes that scans of JSON have read.
    pub(super) read: ReadCounts,
    /// Number of rows that the leaves of the plan read, from any input.
    pub(super) rows: u64,
}

/// Progress of the running stages, and the number of workers.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct TaskCounts {
    pub(crate) stages: usize,
    pub(crate) tasks: usize,
    pub(crate) done: usize,
    pub(crate) running: usize,
    pub(crate) workers: usize,
    /// Number of rows read since the run started.
    pub(crate) rows: u64,
}

/// Progress of an attempt as its worker reports it.
#[derive(Debug, Clone, Copy)]
pub(super) struct AttemptUpdate {
    pub(super) stage: u32,
    pub(super) task: usize,
    pub(super) attempt: Uuid,
    pub(super) amount: AmountRead,
}

/// Status of a stage.
#[derive(Debug)]
pub(super) enum StageStatus {
    /// The stage is running, and these tasks must be queued again.
    Running(Vec<usize>),
    /// All tasks are done. Contains the reports of each task.
    Done(Vec<Vec<TaskReport>>),
}

impl ClusterState {
    pub(super) fn new(policy: Policy, worker_timeout: Duration, reads: Arc<ReadProgress>, now: Instant) -> Self {
        let inner = Inner {
            workers: Workers::new(now),
            stages: HashMap::new(),
            next_stage: 0,
            rows: 0,
            requests: BTreeMap::new(),
        };
        Self { policy, worker_timeout, reads, inner: Mutex::new(inner), changed: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Ignore poisoning: code that panics while it holds the lock leaves the state consistent.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a process. Returns `false` if there are too many workers.
    pub(super) fn register(&self, process: Uuid, name: String, vcores: u32, now: Instant) -> bool {
        self.lock().workers.register(process, name, vcores, now)
    }

    /// Lets a registered process join if `missing` is empty. Otherwise, `missing` has the reasons
    /// why the process is excluded, such as a storage that it does not see.
    pub(super) fn join(
        &self,
        process: Uuid,
        missing: &[String],
        now: Instant,
    ) -> std::result::Result<(), UnknownWorker> {
        self.lock().workers.join(process, missing, now)?;
        // The stage runner and `adapt` wait for new workers.
        self.changed.notify_waiters();
        Ok(())
    }

    /// Returns the vcores of a joined worker.
    pub(super) fn vcores_of(&self, process: Uuid) -> Option<u32> {
        self.lock().workers.vcores_of(process)
    }

    /// Records a poll of a joined worker.
    pub(super) fn polled(&self, process: Uuid, now: Instant) {
        self.lock().workers.polled(process, now);
    }

    /// Returns the number of workers that are alive and not draining, and the sum of their vcores.
    pub(super) fn capacity(&self) -> (usize, usize) {
        self.lock().workers.capacity()
    }

    /// Starts a stage with one queued task per element of `inputs`. Each element describes the
    /// input of its task in error messages. Returns the number of the stage.
    pub(super) fn start_stage(&self, name: &str, inputs: Vec<String>, accounts: Vec<Account>, now: Instant) -> u32 {
        let mut state = self.lock();
        let number = state.next_stage;
        state.next_stage += 1;
        let stage = Stage {
            name: name.to_owned(),
            tracker: TaskAttempts::new(inputs.len(), self.policy, now),
            read: vec![AmountRead::default(); inputs.len()],
            inputs,
            accounts,
            failure: None,
        };
        state.stages.insert(number, stage);
        number
    }

    /// Ends a stage, even if it is not done. An attempt that still runs is cancelled by the
    /// response to its next call.
    pub(super) fn end_stage(&self, number: u32) {
        self.lock().stages.remove(&number);
    }

    /// Decides whether an attempt may run. See [`TaskAttempts::start`].
    pub(super) fn start(&self, stage: u32, task: usize, attempt: Uuid, process: Uuid, now: Instant) -> Decision {
        let mut state = self.lock();
        // Borrow the fields separately, because the workers are read while a stage is changed.
        let Inner { workers, stages, .. } = &mut *state;
        let candidates = workers.candidates(now);
        stages
            .get_mut(&stage)
            .map_or(Decision::Cancel, |stage| stage.tracker.start(task, attempt, process, &candidates, now))
    }

    /// Records a heartbeat of a worker. Returns which of the worker's attempts must stop.
    ///
    /// # Errors
    /// An error if the worker has not joined.
    pub(super) fn heartbeat(
        &self,
        process: Uuid,
        free_vcores: u32,
        is_draining: bool,
        attempts: &[AttemptUpdate],
        now: Instant,
    ) -> std::result::Result<Vec<Uuid>, UnknownWorker> {
        let mut state = self.lock();
        state.workers.heartbeat(process, free_vcores, is_draining, attempts.len(), now)?;
        let Inner { stages, rows, .. } = &mut *state;
        let mut cancelled = Vec::new();
        for attempt in attempts {
            let decision = match stages.get_mut(&attempt.stage) {
                Some(stage) => {
                    // Count the rows even if the attempt fails later: they are progress, not a
                    // result.
                    *rows = rows.saturating_add(stage.count_read(attempt, &self.reads));
                    stage.tracker.heartbeat(attempt.task, attempt.attempt, attempt.amount.rows, now)
                }
                None => Decision::Cancel,
            };
            if decision == Decision::Cancel {
                cancelled.push(attempt.attempt);
            }
        }
        Ok(cancelled)
    }

    /// Records the end of an attempt. Returns whether its reports were accepted as the result of
    /// the task.
    pub(super) fn report(
        &self,
        attempt: &AttemptUpdate,
        process: Uuid,
        outcome: Result<Vec<TaskReport>>,
        now: Instant,
    ) -> bool {
        let mut state = self.lock();
        let name = state.workers.name_of(process);
        let Inner { stages, rows, .. } = &mut *state;
        let Some(stage) = stages.get_mut(&attempt.stage) else { return false };
        if stage.tracker.process_of(attempt.task, attempt.attempt).is_some_and(|owner| owner != process) {
            tracing::warn!(worker = name, stage = stage.name, "rejected a report of another worker's attempt");
            return false;
        }
        // Reports that the task cannot have produced count as a failed attempt.
        let is_accepted = match outcome.and_then(|reports| stage.checked(attempt.task, reports)) {
            Ok(reports) => {
                *rows = rows.saturating_add(stage.count_read(attempt, &self.reads));
                stage.tracker.succeed(attempt.task, attempt.attempt, reports, attempt.amount.rows, now)
            }
            Err(mut error) => {
                let task = attempt.task;
                tracing::warn!(worker = name, stage = stage.name, task, %error, "an attempt failed");
                error.message = format!("{} ({})", error.message, stage.at(task, &name));
                if let Some(error) = stage.tracker.fail(task, attempt.attempt, now, error) {
                    // The first error of a stage explains more than the errors that follow from it.
                    stage.failure.get_or_insert(error);
                }
                false
            }
        };
        // The woken stage runner takes the lock, so release it first.
        drop(state);
        self.changed.notify_waiters();
        is_accepted
    }

    /// Advances a stage: marks silent workers and attempts as lost, and finds tasks to queue again.
    ///
    /// # Errors
    /// The error that failed the stage, or a workers error if there has been no worker for too
    /// long.
    pub(super) fn advance_stage(&self, number: u32, now: Instant) -> Result<StageStatus> {
        let mut state = self.lock();
        // Silent workers are only noticed here, so this must run even if nothing is reported.
        let (without_workers_for, idle_since) = state.workers.count(self.policy.lost_after, now);
        if without_workers_for >= self.worker_timeout {
            // `without_workers` takes the lock again, and the lock is not reentrant.
            drop(state);
            return Err(self.without_workers(
                format!("no worker has been available for {} s", without_workers_for.as_secs()),
                "start workers and run again, or raise `[cluster] worker_timeout`; nothing of this run was committed",
            ));
        }
        let Inner { stages, workers, .. } = &mut *state;
        let stage =
            stages.get_mut(&number).ok_or_else(|| Error::internal("a stage has ended and is still advanced"))?;
        if let Some(failure) = stage.failure.take() {
            return Err(failure);
        }
        if stage.tracker.is_done() {
            return Ok(StageStatus::Done(stage.tracker.take_results()));
        }
        let retries = stage.tracker.tick(now, idle_since).map_err(|failure| stage.failure_error(failure, workers))?;
        for retry in &retries {
            stage.log_retry(retry, workers);
        }
        Ok(StageStatus::Running(retries.into_iter().map(|retry| retry.task).collect()))
    }

    /// Returns a workers error with `message` and `hint`. If workers were excluded from the run,
    /// the message also names them and the reasons. In this case, the hint says how to make the
    /// storages visible to them, and `hint` is not used.
    pub(super) fn without_workers(&self, message: String, hint: &str) -> Error {
        let excluded = self.lock().workers.excluded();
        if excluded.is_empty() {
            return Error::workers(message).hint(hint);
        }
        let named: Vec<&str> = excluded.iter().take(NAMED_WORKERS).map(String::as_str).collect();
        Error::workers(format!("{message}: {}", named.join("; "))).hint(
            "every machine must see the same lake, spool and sources: mount the folders under the same paths, or use buckets that every worker can read",
        )
    }

    /// Records how many requests a worker has sent to buckets in this run so far. These counts
    /// replace those of the worker's previous call.
    pub(super) fn count_requests(&self, process: Uuid, requests: RequestCounts) {
        self.lock().requests.insert(process, requests);
    }

    /// Returns the counts of requests to buckets, summed over all workers.
    pub(super) fn requests(&self) -> RequestCounts {
        let mut all = RequestCounts::default();
        self.lock().requests.values().for_each(|requests| all.add(requests));
        all
    }

    /// Returns the progress of the running stages.
    pub(super) fn counts(&self) -> TaskCounts {
        // Call `capacity` before `lock`, because it takes the same lock.
        let (workers, _) = self.capacity();
        let state = self.lock();
        let mut counts = TaskCounts { workers, rows: state.rows, ..TaskCounts::default() };
        for stage in state.stages.values() {
            let (done, running) = stage.tracker.counts();
            counts.stages += 1;
            counts.tasks += stage.read.len();
            counts.done += done;
            counts.running += running;
        }
        counts
    }
}

impl Stage {
    /// Updates the maximum that any attempt of the task has read. Adds the increase to `reads`, and
    /// returns the increase in rows.
    fn count_read(&mut self, attempt: &AttemptUpdate, reads: &ReadProgress) -> u64 {
        let Some(seen) = self.read.get_mut(attempt.task) else { return 0 };
        // Only what exceeds the maximum of all attempts counts, because attempts of a task read the
        // same input.
        let (before, now) = (*seen, attempt.amount);
        *seen = AmountRead {
            read: ReadCounts {
                objects: before.read.objects.max(now.read.objects),
                records: before.read.records.max(now.read.records),
                bytes: before.read.bytes.max(now.read.bytes),
            },
            rows: before.rows.max(now.rows),
        };
        reads.add(
            seen.read.objects - before.read.objects,
            seen.read.records - before.read.records,
            seen.read.bytes - before.read.bytes,
        );
        seen.rows - before.rows
    }

    /// Returns `reports` if they match the account of the task: what the task's plan reads and
    /// writes.
    ///
    /// # Errors
    /// A workers error that says what the task cannot have done.
    fn checked(&self, task: usize, reports: Vec<TaskReport>) -> Result<Vec<TaskReport>> {
        // Every task has an account. Without one, only an empty report would pass.
        let account = self.accounts.get(task).unwrap_or(&Account::Nothing);
        match account.check(&reports) {
            Ok(()) => Ok(reports),
            Err(reason) => Err(Error::workers(format!("a worker reported {reason}, which its task cannot have done"))
                .hint("the worker is broken or malicious: stop it, and review who can connect to the coordinator")),
        }
    }

    /// Describes a task for an error message: its number, the worker that ran it, and its input.
    fn at(&self, task: usize, worker: &str) -> String {
        match self.inputs.get(task) {
            Some(input) if !input.is_empty() => format!("task {task} on worker `{worker}`, which reads {input}"),
            _ => format!("task {task} on worker `{worker}`"),
        }
    }

    /// Converts the failure of this stage to an error.
    fn failure_error(&self, failure: StageFailure, workers: &Workers) -> Error {
        match failure {
            StageFailure::Failed(error) => error,
            StageFailure::Lost { task, last, times } => {
                let name = workers.name_of(last);
                Error::workers(format!(
                    "a task was lost with its worker {times} times, the last time {}",
                    self.at(task, &name)
                ))
                .hint("see the workers' logs: a task that needs more memory than its machine has is killed like this")
            }
            StageFailure::Ignored { task, times } => {
                Error::workers(format!("task {task} was offered {times} times and no free worker took it"))
                    .hint("see the workers' logs")
            }
        }
    }

    /// Logs why a task is queued again.
    fn log_retry(&self, retry: &Retry, workers: &Workers) {
        let name = |process: &Uuid| workers.name_of(*process);
        let (stage, task) = (&self.name, retry.task);
        match &retry.reason {
            RetryReason::Lost(process) => {
                tracing::warn!(stage, task, worker = name(process), "lost with its worker, retrying")
            }
            RetryReason::Failed(process) => {
                tracing::info!(stage, task, not_on = name(process), "failed, retrying")
            }
            RetryReason::Ignored => tracing::warn!(stage, task, "not taken by a free worker, offering it again"),
            RetryReason::Slow(process) => {
                tracing::info!(stage, task, worker = name(process), "slow, starting a speculative attempt")
            }
        }
    }
}
