//! Progress of a run: a model of what runs, and displays that read it.
//!
//! ```text
//!                          ┌─► terminal   a bar, redrawn
//! run ─► model ─► snapshot ┼─► lines      a line of the log every few seconds
//!                          └─► the steps in `coordinator run --json`
//! ```
//!
//! The model knows nothing about displays. A new one, such as a status page, reads the same
//! snapshots. On a terminal a step looks like this:
//!
//! ```text
//! ingest events ████████░░░░░░░░ 12 of 40 objects, 12,345 records/s, 5.60 MB/s, 3 seconds left
//! ```

use std::io::IsTerminal;
use std::sync::Arc;

use lakewright_common::error::{Error, Result};
use lakewright_common::process::systemd;
use lakewright_common::session::progress::ReadProgress;

use crate::engine::TasksView;
use lines::Lines;
use model::{ObjectMeter, RunProgress, RunSnapshot, StepProgress, StepState};
use terminal::Bar;

/// Steps, their states and their counts, as data.
pub(crate) mod model;
/// The counts of a step as one line of text.
mod text;
/// A bar on a terminal.
mod terminal;
/// Lines of the log.
mod lines;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Display {
    Terminal,
    Lines,
    Quiet,
}

/// Display of one running step. Dropping this value ends the display.
#[derive(Debug)]
enum Shown {
    Bar(#[expect(dead_code, reason = "clears the bar when it is dropped")] Bar),
    Lines(#[expect(dead_code, reason = "ends the lines when it is dropped")] Lines),
}

/// Progress of one run.
#[derive(Debug)]
pub(crate) struct Progress {
    run: RunProgress,
    display: Display,
}

/// A running step, which is displayed until it ends. A step that is dropped without [`Step::end`]
/// has failed.
#[derive(Debug)]
pub(crate) struct Step {
    step: Arc<StepProgress>,
    _shown: Option<Shown>,
}

impl Progress {
    /// Starts to track the progress of a run. Unless `is_quiet`, steps are shown on standard error:
    /// as bars on a terminal, otherwise as lines of the log.
    pub(crate) fn start(is_quiet: bool) -> Self {
        let display = match (is_quiet, std::io::stderr().is_terminal()) {
            (true, _) => Display::Quiet,
            (false, true) => Display::Terminal,
            (false, false) => Display::Lines,
        };
        Self { run: RunProgress::default(), display }
    }

    /// Starts a step that reads no objects. `tasks` is a view of the tasks on workers, or `None` if
    /// the step uses no workers.
    pub(crate) fn step(&self, name: &str, tasks: Option<TasksView>) -> Step {
        self.show(self.run.start(name, None, tasks))
    }

    /// Starts a step that reads `objects` objects. Their stored size is `bytes` bytes in total.
    pub(crate) fn reading(
        &self,
        name: &str,
        objects: u64,
        bytes: u64,
        reads: &Arc<ReadProgress>,
        tasks: Option<TasksView>,
    ) -> Step {
        self.show(self.run.start(name, Some(ObjectMeter::new(objects, bytes, reads)), tasks))
    }

    /// Records the errors of a failed `outcome`. Returns `outcome` unchanged.
    ///
    /// # Errors
    /// The error of `outcome`.
    pub(crate) fn outcome<T>(&self, outcome: Result<T>) -> Result<T> {
        outcome.inspect_err(|error: &Error| self.run.fail(error))
    }

    /// Returns the current state of all steps that have started, and the errors of the run.
    pub(crate) fn snapshot(&self) -> RunSnapshot {
        self.run.snapshot()
    }

    fn show(&self, step: Arc<StepProgress>) -> Step {
        let snapshot = step.snapshot();
        lines::started(&snapshot);
        systemd::status(&snapshot.name);
        let shown = match self.display {
            // A step without counts is short. Its name in the log is enough.
            _ if !step.is_measured() => None,
            Display::Quiet => None,
            Display::Terminal => Some(Shown::Bar(Bar::show(&step))),
            Display::Lines => Some(Shown::Lines(Lines::show(&step))),
        };
        Step { step, _shown: shown }
    }
}

impl Step {
    /// Ends the step successfully.
    pub(crate) fn end(self) {
        self.step.end(StepState::Done);
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        // Has no effect after `end`.
        self.step.end(StepState::Failed);
    }
}
