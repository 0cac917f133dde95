//! What is going on, on standard error: a bar on a terminal, plain lines elsewhere, nothing when quiet.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lakewright_common::process::systemd;
use lakewright_common::session::progress::ReadProgress;

use crate::engine::TasksView;
use meter::{Meter, Reading};

/// What a step is measured by.
pub(crate) mod meter;

/// Between two redraws on a terminal.
const REDRAW: Duration = Duration::from_millis(200);
/// Between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Terminal,
    Lines,
    Quiet,
}

/// Shows the steps of one run.
#[derive(Debug)]
pub(crate) struct Progress {
    mode: Mode,
}

/// A step that is shown until this is dropped.
#[derive(Debug)]
pub(crate) struct Step {
    bar: ProgressBar,
    ticker: tokio::task::JoinHandle<()>,
}

impl Drop for Step {
    fn drop(&mut self) {
        self.ticker.abort();
        self.bar.finish_and_clear();
    }
}

impl Progress {
    pub(crate) fn start(quiet: bool) -> Self {
        let mode = match (quiet, std::io::stderr().is_terminal()) {
            (true, _) => Mode::Quiet,
            (false, true) => Mode::Terminal,
            (false, false) => Mode::Lines,
        };
        Self { mode }
    }

    /// A step that reads no objects; on workers, it is shown how far they are.
    pub(crate) fn step(&self, name: &str, tasks: Option<TasksView>) -> Option<Step> {
        tracing::info!(step = name, "started");
        systemd::status(name);
        tasks.and_then(|tasks| self.show(name, Meter::of_tasks(tasks)))
    }

    /// A step that reads `objects` objects of `bytes` bytes in all (as stored).
    pub(crate) fn reading(
        &self,
        name: &str,
        objects: u64,
        bytes: u64,
        reads: &Arc<ReadProgress>,
        tasks: Option<TasksView>,
    ) -> Option<Step> {
        if objects == 0 {
            return None;
        }
        tracing::info!(step = name, objects, bytes, "started");
        systemd::status(name);
        self.show(name, Meter::of_objects(objects, bytes, Arc::clone(reads), tasks))
    }

    fn show(&self, name: &str, meter: Meter) -> Option<Step> {
        let target = match self.mode {
            Mode::Quiet => return None,
            Mode::Terminal => ProgressDrawTarget::stderr(),
            Mode::Lines => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        if let Ok(style) = ProgressStyle::with_template("{prefix} {bar:24} {msg}") {
            bar.set_style(style);
        }
        bar.set_prefix(name.to_owned());
        let ticker = tokio::spawn(watch(bar.clone(), meter, self.mode, name.to_owned()));
        Some(Step { bar, ticker })
    }
}

/// Follows the counters of a step until it is aborted.
async fn watch(bar: ProgressBar, meter: Meter, mode: Mode, name: String) {
    let mut last_line = Duration::ZERO;
    loop {
        tokio::time::sleep(REDRAW).await;
        let elapsed = bar.elapsed();
        let Reading { done, of, text } = meter.read(elapsed);
        bar.set_length(of);
        bar.set_position(done);
        bar.set_message(text.clone());
        if mode == Mode::Lines && elapsed - last_line >= LINE_EVERY {
            last_line = elapsed;
            tracing::info!(step = name, "{text}");
        }
    }
}
