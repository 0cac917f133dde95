//! What the service and the stages share: which workers there are, and what has become of each task.
//!
//! The service writes what workers say; a stage reads what to do next. Both hold the lock for a moment only.

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
use super::tracker::{Decision, Policy, Resubmit, RetryReason, StageFailure, Tracker};
use super::workers::{UnknownWorker, Workers};

/// Workers that an error names.
const NAMED_WORKERS: usize = 3;

/// Everything that workers tell.
#[derive(Debug)]
pub(super) struct ClusterState {
    policy: Policy,
    /// How long a run goes on without any worker.
    grace: Duration,
    reads: Arc<ReadProgress>,
    state: Mutex<State>,
    /// Something was reported, or a worker came.
    pub(super) changed: Notify,
}

#[derive(Debug)]
struct State {
    workers: Workers,
    stages: HashMap<u32, Stage>,
    next_stage: u32,
    /// Taken in by all tasks of the run, as their attempts told.
    rows: u64,
    /// What each worker has requests of buckets, as it told last.
    requests: BTreeMap<Uuid, RequestCounts>,
}

#[derive(Debug)]
struct Stage {
    name: String,
    tracker: Tracker<Vec<TaskReport>>,
    /// What each task reads, in words.
    inputs: Vec<String>,
    /// What each task may report.
    accounts: Vec<Account>,
    /// What was read for each task, by whichever of its attempts has read most.
    read: Vec<Taken>,
    failure: Option<Error>,
}

/// How much an attempt has taken in.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Taken {
    /// From JSON.
    pub(super) read: ReadCounts,
    /// From anywhere.
    pub(super) rows: u64,
}

/// How far the stages at work are, and who works.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct TaskCounts {
    pub(crate) stages: usize,
    pub(crate) tasks: usize,
    pub(crate) done: usize,
    pub(crate) running: usize,
    pub(crate) workers: usize,
    /// Taken in since the run started.
    pub(crate) rows: u64,
}

/// What an attempt says of itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct AttemptState {
    pub(super) stage: u32,
    pub(super) task: usize,
    pub(super) attempt: Uuid,
    pub(super) taken: Taken,
}

/// How far a stage is.
#[derive(Debug)]
pub(super) enum Progress {
    /// These tasks are to be submitted again.
    Running(Vec<usize>),
    /// The reports of each task.
    Done(Vec<Vec<TaskReport>>),
}

impl ClusterState {
    pub(super) fn new(policy: Policy, grace: Duration, reads: Arc<ReadProgress>, now: Instant) -> Self {
        let state = State {
            workers: Workers::new(now),
            stages: HashMap::new(),
            next_stage: 0,
            rows: 0,
            requests: BTreeMap::new(),
        };
        Self { policy, grace, reads, state: Mutex::new(state), changed: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No holder leaves it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a process that registered. False: there are too many workers.
    pub(super) fn register(&self, process: Uuid, name: String, vcores: u32, now: Instant) -> bool {
        self.state().workers.register(process, name, vcores, now)
    }

    /// Registers a process that registered, unless it misses something.
    pub(super) fn join(
        &self,
        process: Uuid,
        missing: &[String],
        now: Instant,
    ) -> std::result::Result<(), UnknownWorker> {
        self.state().workers.join(process, missing, now)?;
        self.changed.notify_waiters();
        Ok(())
    }

    /// Returns the vcores that a registered process may have tasks for.
    pub(super) fn vcores_of(&self, process: Uuid) -> Option<u32> {
        self.state().workers.vcores_of(process)
    }

    /// A registered process asks for tasks.
    pub(super) fn polled(&self, process: Uuid, now: Instant) {
        self.state().workers.polled(process, now);
    }

    /// Returns the number of workers that are alive, and their vcores.
    pub(super) fn capacity(&self) -> (usize, usize) {
        self.state().workers.capacity()
    }

    /// A stage whose tasks read `inputs` and report what their accounts allow, all submitted now; its number.
    pub(super) fn open_stage(&self, name: &str, inputs: Vec<String>, accounts: Vec<Account>, now: Instant) -> u32 {
        let mut state = self.state();
        let number = state.next_stage;
        state.next_stage += 1;
        let stage = Stage {
            name: name.to_owned(),
            tracker: Tracker::new(inputs.len(), self.policy, now),
            read: vec![Taken::default(); inputs.len()],
            inputs,
            accounts,
            failure: None,
        };
        state.stages.insert(number, stage);
        number
    }

    /// The stage is over, whatever it came to; its attempts are told to stop.
    pub(super) fn close_stage(&self, number: u32) {
        self.state().stages.remove(&number);
    }

    pub(super) fn start(&self, stage: u32, task: usize, attempt: Uuid, process: Uuid, now: Instant) -> Decision {
        let mut state = self.state();
        let State { workers, stages, .. } = &mut *state;
        let peers = workers.peers(now);
        stages
            .get_mut(&stage)
            .map_or(Decision::Cancel, |stage| stage.tracker.start(task, attempt, process, &peers, now))
    }

    /// The attempts of the heartbeat that must stop.
    pub(super) fn heartbeat(
        &self,
        process: Uuid,
        free_vcores: u32,
        is_draining: bool,
        attempts: &[AttemptState],
        now: Instant,
    ) -> std::result::Result<Vec<Uuid>, UnknownWorker> {
        let mut state = self.state();
        state.workers.heartbeat(process, free_vcores, is_draining, attempts.len(), now)?;
        let State { stages, rows, .. } = &mut *state;
        let mut stop = Vec::new();
        for attempt in attempts {
            let decision = match stages.get_mut(&attempt.stage) {
                Some(stage) => {
                    *rows = rows.saturating_add(stage.count_read(attempt, &self.reads));
                    stage.tracker.heartbeat(attempt.task, attempt.attempt, attempt.taken.rows, now)
                }
                None => Decision::Cancel,
            };
            if decision == Decision::Cancel {
                stop.push(attempt.attempt);
            }
        }
        Ok(stop)
    }

    /// The end of an attempt. True: its files are the task's.
    pub(super) fn report(
        &self,
        attempt: &AttemptState,
        process: Uuid,
        outcome: Result<Vec<TaskReport>>,
        now: Instant,
    ) -> bool {
        let mut state = self.state();
        let name = state.workers.name_of(process);
        let State { stages, rows, .. } = &mut *state;
        let Some(stage) = stages.get_mut(&attempt.stage) else { return false };
        if stage.tracker.process_of(attempt.task, attempt.attempt).is_some_and(|owner| owner != process) {
            tracing::warn!(worker = name, stage = stage.name, "a report of another worker's attempt is refused");
            return false;
        }
        let is_accepted = match outcome.and_then(|reports| stage.checked(attempt.task, reports)) {
            Ok(reports) => {
                *rows = rows.saturating_add(stage.count_read(attempt, &self.reads));
                stage.tracker.succeed(attempt.task, attempt.attempt, reports, attempt.taken.rows, now)
            }
            Err(mut error) => {
                let task = attempt.task;
                tracing::warn!(worker = name, stage = stage.name, task, %error, "an attempt failed");
                error.message = format!("{} ({})", error.message, stage.at(task, &name));
                if let Some(error) = stage.tracker.fail(task, attempt.attempt, now, error) {
                    stage.failure.get_or_insert(error);
                }
                false
            }
        };
        drop(state);
        self.changed.notify_waiters();
        is_accepted
    }

    /// How far a stage is.
    ///
    /// # Errors
    /// What the stage failed with; workers, where all are gone.
    pub(super) fn look(&self, number: u32, now: Instant) -> Result<Progress> {
        let mut state = self.state();
        let (alone, idle_since) = state.workers.count(self.policy.silence, now);
        if alone >= self.grace {
            drop(state);
            return Err(self.without_workers(
                format!("no worker has been there for {} s", alone.as_secs()),
                "start workers and run again, or raise `[cluster] worker_timeout`; nothing of this run is visible",
            ));
        }
        let State { stages, workers, .. } = &mut *state;
        let stage = stages.get_mut(&number).ok_or_else(|| Error::internal("a stage is over and still looked at"))?;
        if let Some(failure) = stage.failure.take() {
            return Err(failure);
        }
        if stage.tracker.is_done() {
            return Ok(Progress::Done(stage.tracker.take_results()));
        }
        let again = stage.tracker.tick(now, idle_since).map_err(|given_up| stage.give_up(given_up, workers))?;
        for resubmit in &again {
            stage.tell(resubmit, workers);
        }
        Ok(Progress::Running(again.into_iter().map(|resubmit| resubmit.task).collect()))
    }

    /// Returns an error that also says which workers are left out and why; then that is what the hint is about.
    pub(super) fn without_workers(&self, message: String, hint: &str) -> Error {
        let excluded = self.state().workers.excluded();
        if excluded.is_empty() {
            return Error::workers(message).hint(hint);
        }
        let named: Vec<&str> = excluded.iter().take(NAMED_WORKERS).map(String::as_str).collect();
        Error::workers(format!("{message}: {}", named.join("; "))).hint(
            "every machine must see the same lake, spool and sources: mount the folders under the same paths, or use buckets that every worker may read",
        )
    }

    /// A worker told what it has requests of buckets so far; it is never less than before.
    pub(super) fn count_requests(&self, process: Uuid, requests: RequestCounts) {
        self.state().requests.insert(process, requests);
    }

    /// What all workers have requests of buckets.
    pub(super) fn requests(&self) -> RequestCounts {
        let mut all = RequestCounts::default();
        self.state().requests.values().for_each(|requests| all.add(requests));
        all
    }

    /// How far the stages at work are.
    pub(super) fn counts(&self) -> TaskCounts {
        let (workers, _) = self.capacity();
        let state = self.state();
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
    /// Counts what is more than was known; the rows of it.
    fn count_read(&mut self, attempt: &AttemptState, reads: &ReadProgress) -> u64 {
        let Some(seen) = self.read.get_mut(attempt.task) else { return 0 };
        let (before, told) = (*seen, attempt.taken);
        *seen = Taken {
            read: ReadCounts {
                objects: before.read.objects.max(told.read.objects),
                records: before.read.records.max(told.read.records),
                bytes: before.read.bytes.max(told.read.bytes),
            },
            rows: before.rows.max(told.rows),
        };
        reads.add(
            seen.read.objects - before.read.objects,
            seen.read.records - before.read.records,
            seen.read.bytes - before.read.bytes,
        );
        seen.rows - before.rows
    }

    /// The reports of a task, if they can be true.
    fn checked(&self, task: usize, reports: Vec<TaskReport>) -> Result<Vec<TaskReport>> {
        let account = self.accounts.get(task).unwrap_or(&Account::Nothing);
        match account.check(&reports) {
            Ok(()) => Ok(reports),
            Err(reason) => Err(Error::workers(format!("a worker reported {reason}, which its task cannot have done"))
                .hint("the worker is broken or false: take it away, and look at who may connect to the coordinator")),
        }
    }

    /// Where an attempt was, in words.
    fn at(&self, task: usize, worker: &str) -> String {
        match self.inputs.get(task) {
            Some(input) if !input.is_empty() => format!("task {task} on worker `{worker}`, which reads {input}"),
            _ => format!("task {task} on worker `{worker}`"),
        }
    }

    fn give_up(&self, given_up: StageFailure, workers: &Workers) -> Error {
        match given_up {
            StageFailure::Failed(error) => error,
            StageFailure::Lost { task, last, times } => {
                let name = workers.name_of(last);
                Error::workers(format!(
                    "a task was lost with its worker {times} times, at last {}",
                    self.at(task, &name)
                ))
                .hint("look at the workers' logs: a task that needs more memory than its machine has dies like this")
            }
            StageFailure::Ignored { task, times } => {
                Error::workers(format!("task {task} was offered {times} times and no worker took it"))
                    .hint("look at the workers' logs")
            }
        }
    }

    fn tell(&self, resubmit: &Resubmit, workers: &Workers) {
        let name = |process: &Uuid| workers.name_of(*process);
        let (stage, task) = (&self.name, resubmit.task);
        match &resubmit.reason {
            RetryReason::Lost(process) => tracing::warn!(stage, task, worker = name(process), "lost, runs again"),
            RetryReason::Failed(process) => {
                tracing::info!(stage, task, not_on = name(process), "offered again after a failure")
            }
            RetryReason::Ignored => tracing::warn!(stage, task, "not taken by a free worker, offered again"),
            RetryReason::Slow(process) => {
                tracing::info!(stage, task, worker = name(process), "slow, gets a speculative attempt")
            }
        }
    }
}
