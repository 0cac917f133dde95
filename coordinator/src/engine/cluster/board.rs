//! What the service and the stages share: which workers there are, and what has become of each slot.
//!
//! The service writes what workers say; a stage reads what to do next. Both hold the lock for a moment only.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lakewright_common::error::{Error, Result};
use lakewright_common::read::progress::{ReadCounts, ReadProgress};
use lakewright_common::storage::s3::requests::RequestCounts;
use lakewright_common::write::report::SlotReport;
use tokio::sync::Notify;
use uuid::Uuid;

use super::tracker::{Because, GivenUp, Policy, Resubmit, Tracker, Verdict};

/// Everything that workers tell.
#[derive(Debug)]
pub(super) struct Board {
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
    workers: BTreeMap<Uuid, Worker>,
    stages: HashMap<u32, Stage>,
    next_stage: u32,
    /// Taken in by all slots of the run, as their attempts told.
    rows: u64,
    /// What each worker has asked of buckets, as it told last.
    requests: BTreeMap<Uuid, RequestCounts>,
    /// Since when some worker has been free without a pause.
    idle_since: Option<Instant>,
    /// When a worker was alive last.
    alive: Instant,
}

/// One process.
#[derive(Debug)]
struct Worker {
    name: String,
    vcores: usize,
    free_vcores: usize,
    is_draining: bool,
    heard: Instant,
    is_alive: bool,
}

#[derive(Debug)]
struct Stage {
    name: String,
    tracker: Tracker<Vec<SlotReport>>,
    /// What each slot reads, in words.
    inputs: Vec<String>,
    /// What was read for each slot, by whichever of its attempts has read most.
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
pub(crate) struct SlotCounts {
    pub(crate) stages: usize,
    pub(crate) slots: usize,
    pub(crate) done: usize,
    pub(crate) running: usize,
    pub(crate) workers: usize,
    /// Taken in since the run began.
    pub(crate) rows: u64,
}

/// What an attempt says of itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct AttemptState {
    pub(super) stage: u32,
    pub(super) slot: usize,
    pub(super) attempt: Uuid,
    pub(super) taken: Taken,
}

/// A beat of a process that never said hello to this coordinator.
#[derive(Debug)]
pub(super) struct UnknownWorker;

/// How far a stage is.
#[derive(Debug)]
pub(super) enum Progress {
    /// These slots are to be submitted again.
    Running(Vec<usize>),
    /// The reports of each slot.
    Done(Vec<Vec<SlotReport>>),
}

impl Board {
    pub(super) fn new(policy: Policy, grace: Duration, reads: Arc<ReadProgress>, now: Instant) -> Self {
        let (workers, stages) = (BTreeMap::new(), HashMap::new());
        let state =
            State { workers, stages, next_stage: 0, rows: 0, requests: BTreeMap::new(), idle_since: None, alive: now };
        Self { policy, grace, reads, state: Mutex::new(state), changed: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No holder leaves it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A worker's process is there.
    pub(super) fn hello(&self, process: Uuid, name: String, vcores: usize, now: Instant) {
        let mut state = self.state();
        if !state.workers.contains_key(&process) {
            tracing::info!(worker = name, vcores, "a worker joined");
        }
        let worker = Worker { name, vcores, free_vcores: vcores, is_draining: false, heard: now, is_alive: true };
        state.workers.insert(process, worker);
        drop(state);
        self.changed.notify_waiters();
    }

    /// Workers that are alive, and their vcores.
    pub(super) fn capacity(&self) -> (usize, usize) {
        let state = self.state();
        let alive = state.workers.values().filter(|worker| worker.is_alive && !worker.is_draining);
        alive.fold((0, 0), |(workers, vcores), worker| (workers + 1, vcores + worker.vcores))
    }

    /// What people call the worker of a process.
    fn name_of(&self, process: Uuid) -> String {
        self.state().workers.get(&process).map_or_else(|| process.to_string(), |worker| worker.name.clone())
    }

    /// A stage whose slots read `inputs`, all submitted now; its number.
    pub(super) fn open_stage(&self, name: &str, inputs: Vec<String>, now: Instant) -> u32 {
        let mut state = self.state();
        let number = state.next_stage;
        state.next_stage += 1;
        let stage = Stage {
            name: name.to_owned(),
            tracker: Tracker::new(inputs.len(), self.policy, now),
            read: vec![Taken::default(); inputs.len()],
            inputs,
            failure: None,
        };
        state.stages.insert(number, stage);
        number
    }

    /// The stage is over, whatever it came to; its attempts are told to stop.
    pub(super) fn close_stage(&self, number: u32) {
        self.state().stages.remove(&number);
    }

    pub(super) fn begin(&self, stage: u32, slot: usize, attempt: Uuid, process: Uuid, now: Instant) -> Verdict {
        let mut state = self.state();
        let State { workers, stages, .. } = &mut *state;
        let alive: Vec<Uuid> = workers
            .iter()
            .filter(|(_, worker)| worker.is_alive && !worker.is_draining)
            .map(|(process, _)| *process)
            .collect();
        stages.get_mut(&stage).map_or(Verdict::Stop, |stage| stage.tracker.begin(slot, attempt, process, &alive, now))
    }

    /// The attempts of the beat that must stop.
    pub(super) fn beat(
        &self,
        process: Uuid,
        free_vcores: usize,
        is_draining: bool,
        attempts: &[AttemptState],
        now: Instant,
    ) -> std::result::Result<Vec<Uuid>, UnknownWorker> {
        let mut state = self.state();
        let worker = state.workers.get_mut(&process).ok_or(UnknownWorker)?;
        if !worker.is_alive {
            tracing::info!(worker = worker.name, "a worker is back");
        }
        if is_draining && !worker.is_draining {
            tracing::info!(worker = worker.name, "a worker drains");
        }
        worker.free_vcores = free_vcores;
        worker.is_draining = is_draining;
        worker.heard = now;
        worker.is_alive = true;
        let State { stages, rows, .. } = &mut *state;
        let mut stop = Vec::new();
        for attempt in attempts {
            let verdict = match stages.get_mut(&attempt.stage) {
                Some(stage) => {
                    *rows += stage.count_read(attempt, &self.reads);
                    stage.tracker.beat(attempt.slot, attempt.attempt, attempt.taken.rows, now)
                }
                None => Verdict::Stop,
            };
            if verdict == Verdict::Stop {
                stop.push(attempt.attempt);
            }
        }
        Ok(stop)
    }

    /// The end of an attempt. True: its files are the slot's.
    pub(super) fn report(
        &self,
        attempt: &AttemptState,
        process: Uuid,
        outcome: Result<Vec<SlotReport>>,
        now: Instant,
    ) -> bool {
        let name = self.name_of(process);
        let mut state = self.state();
        let State { stages, rows, .. } = &mut *state;
        let Some(stage) = stages.get_mut(&attempt.stage) else { return false };
        let is_accepted = match outcome {
            Ok(reports) => {
                *rows += stage.count_read(attempt, &self.reads);
                stage.tracker.succeed(attempt.slot, attempt.attempt, reports, attempt.taken.rows, now)
            }
            Err(mut error) => {
                let slot = attempt.slot;
                tracing::warn!(worker = name, stage = stage.name, slot, %error, "an attempt failed");
                error.message = format!("{} ({})", error.message, stage.at(slot, &name));
                if let Some(error) = stage.tracker.fail(slot, attempt.attempt, now, error) {
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
        state.count_workers(self.policy.silence, now);
        let alone = now.saturating_duration_since(state.alive);
        if alone >= self.grace {
            return Err(Error::workers(format!("no worker has been there for {} s", alone.as_secs())).hint(
                "start workers and run again, or raise `[cluster] worker_timeout`; nothing of this run is visible",
            ));
        }
        let idle_since = state.idle_since;
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
        Ok(Progress::Running(again.into_iter().map(|resubmit| resubmit.slot).collect()))
    }

    /// A worker told what it has asked of buckets so far; it is never less than before.
    pub(super) fn count_requests(&self, process: Uuid, requests: RequestCounts) {
        self.state().requests.insert(process, requests);
    }

    /// What all workers have asked of buckets.
    pub(super) fn requests(&self) -> RequestCounts {
        let mut all = RequestCounts::default();
        self.state().requests.values().for_each(|requests| all.add(requests));
        all
    }

    /// How far the stages at work are.
    pub(super) fn counts(&self) -> SlotCounts {
        let (workers, _) = self.capacity();
        let state = self.state();
        let mut counts = SlotCounts { workers, rows: state.rows, ..SlotCounts::default() };
        for stage in state.stages.values() {
            let (done, running) = stage.tracker.counts();
            counts.stages += 1;
            counts.slots += stage.read.len();
            counts.done += done;
            counts.running += running;
        }
        counts
    }
}

impl State {
    /// Who is alive, and since when somebody has been free.
    fn count_workers(&mut self, silence: Duration, now: Instant) {
        let mut is_idle = false;
        for worker in self.workers.values_mut() {
            if worker.is_alive && now.saturating_duration_since(worker.heard) >= silence {
                worker.is_alive = false;
                if worker.is_draining {
                    tracing::info!(worker = worker.name, "a worker left");
                } else {
                    tracing::warn!(worker = worker.name, "a worker is lost; what it had under way runs elsewhere");
                }
            }
            if worker.is_alive {
                self.alive = now;
                is_idle |= worker.free_vcores > 0 && !worker.is_draining;
            }
        }
        self.idle_since = if is_idle { self.idle_since.or(Some(now)) } else { None };
    }
}

impl Stage {
    /// Counts what is more than was known; the rows of it.
    fn count_read(&mut self, attempt: &AttemptState, reads: &ReadProgress) -> u64 {
        let Some(seen) = self.read.get_mut(attempt.slot) else { return 0 };
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

    /// Where an attempt was, in words.
    fn at(&self, slot: usize, worker: &str) -> String {
        match self.inputs.get(slot) {
            Some(input) if !input.is_empty() => format!("slot {slot} on worker `{worker}`, which reads {input}"),
            _ => format!("slot {slot} on worker `{worker}`"),
        }
    }

    fn give_up(&self, given_up: GivenUp, workers: &BTreeMap<Uuid, Worker>) -> Error {
        match given_up {
            GivenUp::Failed(error) => error,
            GivenUp::Lost { slot, last, times } => {
                let name = workers.get(&last).map_or("?", |worker| worker.name.as_str());
                Error::workers(format!(
                    "a task was lost with its worker {times} times, at last {}",
                    self.at(slot, name)
                ))
                .hint("look at the workers' logs: a task that needs more memory than its machine has dies like this")
            }
            GivenUp::Ignored { slot, times } => {
                Error::workers(format!("slot {slot} was offered {times} times and no worker took it"))
                    .hint("look at the workers' logs")
            }
        }
    }

    fn tell(&self, resubmit: &Resubmit, workers: &BTreeMap<Uuid, Worker>) {
        let name = |process: &Uuid| workers.get(process).map_or("?", |worker| worker.name.as_str());
        let (stage, slot) = (&self.name, resubmit.slot);
        match &resubmit.because {
            Because::Lost(process) => tracing::warn!(stage, slot, worker = name(process), "lost, runs again"),
            Because::Failed(process) => {
                tracing::info!(stage, slot, not_on = name(process), "offered again after a failure")
            }
            Because::Ignored => tracing::warn!(stage, slot, "not taken by a free worker, offered again"),
            Because::Slow(process) => tracing::info!(stage, slot, worker = name(process), "slow, gets a rival"),
        }
    }
}
