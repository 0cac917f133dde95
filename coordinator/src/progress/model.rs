//! Progress of a run as plain data, which any display can read at any time.
//!
//! A run starts one step after the other. A step can count objects, tasks, or both. The counters
//! cover the whole run, so a step subtracts their values at its start. `RunProgress::snapshot`
//! returns all steps, including those that have ended.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lakewright_common::error::Error;
use lakewright_common::session::progress::{ReadCounts, ReadProgress};
use serde::Serialize;

use crate::engine::{TaskCounts, TasksView};

/// Steps and errors of one run.
#[derive(Debug)]
pub(crate) struct RunProgress {
    started: Instant,
    steps: Mutex<Vec<Arc<StepProgress>>>,
    errors: Mutex<Vec<String>>,
}

/// One step of a run.
#[derive(Debug)]
pub(crate) struct StepProgress {
    name: String,
    started: Instant,
    /// Time from the start of the run to that of the step.
    after: Duration,
    objects: Option<ObjectMeter>,
    tasks: Option<TaskMeter>,
    /// State and counters at the end of the step; `None` while it runs.
    end: Mutex<Option<End>>,
}

/// State and counters of a step at its end. Later steps do not change them.
#[derive(Debug, Clone)]
struct End {
    state: StepState,
    elapsed: Duration,
    objects: Option<ObjectsRead>,
    tasks: Option<TasksDone>,
}

/// Measures how far a step has read its objects.
#[derive(Debug)]
pub(crate) struct ObjectMeter {
    /// Number of objects to read. `bytes` is their total size as stored.
    pub(crate) objects: u64,
    pub(crate) bytes: u64,
    reads: Arc<ReadProgress>,
    before: ReadCounts,
}

/// Measures the progress of a step's tasks on workers.
#[derive(Debug)]
pub(crate) struct TaskMeter {
    tasks: TasksView,
    /// Number of rows that workers had read before the step.
    rows_before: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StepState {
    Running,
    Done,
    Failed,
}

/// All steps of a run at one moment, in the order of their start.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RunSnapshot {
    pub(crate) steps: Vec<StepSnapshot>,
    /// Errors that the run failed with.
    pub(crate) errors: Vec<String>,
}

/// One step at one moment.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct StepSnapshot {
    pub(crate) name: String,
    pub(crate) state: StepState,
    /// Seconds from the start of the run to that of the step.
    pub(crate) started_seconds: f64,
    pub(crate) elapsed_seconds: f64,
    /// Objects that the step reads; `None` if it reads none.
    pub(crate) objects: Option<ObjectsRead>,
    /// Tasks that the step runs on workers; `None` if it runs in this process.
    pub(crate) tasks: Option<TasksDone>,
}

/// Progress of a step that reads objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct ObjectsRead {
    pub(crate) total: u64,
    pub(crate) done: u64,
    pub(crate) records: u64,
    /// Total size of all objects, as stored.
    pub(crate) total_bytes: u64,
    /// Number of decompressed bytes that were read; can be more than `total_bytes` if objects are
    /// compressed.
    pub(crate) read_bytes: u64,
}

/// Progress of a step that runs tasks on workers. Counts only the tasks of stages that are running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct TasksDone {
    pub(crate) stages: usize,
    pub(crate) total: usize,
    pub(crate) done: usize,
    pub(crate) running: usize,
    pub(crate) workers: usize,
    /// Number of rows that the step's tasks have read.
    pub(crate) rows: u64,
}

impl Default for RunProgress {
    fn default() -> Self {
        Self { started: Instant::now(), steps: Mutex::default(), errors: Mutex::default() }
    }
}

impl RunProgress {
    /// Adds a step that starts now.
    pub(crate) fn start(
        &self,
        name: &str,
        objects: Option<ObjectMeter>,
        tasks: Option<TasksView>,
    ) -> Arc<StepProgress> {
        // Remember the counter of rows, because it covers the whole run and the step shows only its
        // own rows.
        let tasks = tasks.map(|tasks| TaskMeter { rows_before: tasks.counts().rows, tasks });
        let (name, started, end) = (name.to_owned(), Instant::now(), Mutex::default());
        let after = started.duration_since(self.started);
        let step = Arc::new(StepProgress { name, started, after, objects, tasks, end });
        lock(&self.steps).push(Arc::clone(&step));
        step
    }

    /// Records the errors that the run fails with.
    pub(crate) fn fail(&self, error: &Error) {
        lock(&self.errors).extend(error.each().map(Error::text));
    }

    pub(crate) fn snapshot(&self) -> RunSnapshot {
        let steps = lock(&self.steps).iter().map(|step| step.snapshot()).collect();
        RunSnapshot { steps, errors: lock(&self.errors).clone() }
    }
}

impl StepProgress {
    /// Returns whether the step counts objects or tasks, so that a display has something to show.
    pub(crate) fn is_measured(&self) -> bool {
        self.objects.is_some() || self.tasks.is_some()
    }

    /// Ends the step with `state` and with its current counters. Only the first call has an effect.
    pub(crate) fn end(&self, state: StepState) {
        let now = self.now(state);
        // The first state wins: `Drop` calls this again after a successful end.
        lock(&self.end).get_or_insert(now);
    }

    pub(crate) fn snapshot(&self) -> StepSnapshot {
        let end = lock(&self.end).clone();
        // A step that ended does not change any more, although the shared counters do.
        let End { state, elapsed, objects, tasks } = end.unwrap_or_else(|| self.now(StepState::Running));
        let (started_seconds, elapsed_seconds) = (self.after.as_secs_f64(), elapsed.as_secs_f64());
        StepSnapshot { name: self.name.clone(), state, started_seconds, elapsed_seconds, objects, tasks }
    }

    fn now(&self, state: StepState) -> End {
        End {
            state,
            elapsed: self.started.elapsed(),
            objects: self.objects.as_ref().map(ObjectMeter::read),
            tasks: self.tasks.as_ref().map(TaskMeter::read),
        }
    }
}

impl ObjectMeter {
    /// Creates a meter for `objects` objects, which have `bytes` stored bytes in total. The meter
    /// reads the counters in `reads`.
    pub(crate) fn new(objects: u64, bytes: u64, reads: &Arc<ReadProgress>) -> Self {
        Self { objects, bytes, reads: Arc::clone(reads), before: reads.counts() }
    }

    fn read(&self) -> ObjectsRead {
        let now = self.reads.counts();
        ObjectsRead {
            total: self.objects,
            // The counter includes what workers report, so do not let it exceed the total.
            done: (now.objects - self.before.objects).min(self.objects),
            records: now.records - self.before.records,
            total_bytes: self.bytes,
            read_bytes: now.bytes - self.before.bytes,
        }
    }
}

impl TaskMeter {
    fn read(&self) -> TasksDone {
        let TaskCounts { stages, tasks, done, running, workers, rows } = self.tasks.counts();
        TasksDone { stages, total: tasks, done, running, workers, rows: rows - self.rows_before }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_has_every_step_with_its_own_counts() {
        let reads = Arc::new(ReadProgress::default());
        let run = RunProgress::default();
        reads.add(5, 50, 500);
        let first = run.start("ingest a", Some(ObjectMeter::new(4, 4_000, &reads)), None);
        reads.add(1, 30, 2_000);
        first.end(StepState::Done);
        // A step that ended keeps its state and counts.
        first.end(StepState::Failed);
        reads.add(1, 30, 2_000);
        let _second = run.start("ingest b", Some(ObjectMeter::new(2, 10, &reads)), None);
        run.fail(&Error::data("the key is null"));

        let RunSnapshot { steps, errors } = run.snapshot();
        let states: Vec<_> = steps.iter().map(|step| (step.name.as_str(), step.state)).collect();
        assert_eq!(states, [("ingest a", StepState::Done), ("ingest b", StepState::Running)]);
        let read = ObjectsRead { total: 4, done: 1, records: 30, total_bytes: 4_000, read_bytes: 2_000 };
        assert_eq!(steps[0].objects, Some(read));
        let nothing = ObjectsRead { total: 2, done: 0, records: 0, total_bytes: 10, read_bytes: 0 };
        assert_eq!(steps[1].objects, Some(nothing));
        assert_eq!(errors, ["the key is null"]);
    }
}
