//! What is going on, on standard error: a bar on a terminal, plain lines elsewhere, nothing when quiet.

use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{DecimalBytes, HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use lakewright_common::read::progress::{ReadCounts, ReadProgress};

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
    stage: Mutex<Option<Stage>>,
}

#[derive(Debug)]
struct Stage {
    bar: ProgressBar,
    ticker: tokio::task::JoinHandle<()>,
}

impl Progress {
    pub(crate) fn start(quiet: bool) -> Self {
        let mode = match (quiet, std::io::stderr().is_terminal()) {
            (true, _) => Mode::Quiet,
            (false, true) => Mode::Terminal,
            (false, false) => Mode::Lines,
        };
        Self { mode, stage: Mutex::new(None) }
    }

    /// A step without counters of its own.
    pub(crate) fn step(&self, name: &str) {
        if self.mode != Mode::Quiet {
            tracing::info!(step = name, "started");
        }
    }

    /// A stage that reads `objects` objects of `bytes` bytes in all (as stored).
    pub(crate) fn start_stage(&self, name: &str, objects: u64, bytes: u64, reads: &Arc<ReadProgress>) {
        if self.mode == Mode::Quiet || objects == 0 {
            return;
        }
        self.finish_stage();
        tracing::info!(step = name, objects, bytes, "started");
        let bar = ProgressBar::with_draw_target(Some(objects), ProgressDrawTarget::stderr());
        if self.mode == Mode::Lines {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        if let Ok(style) = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} objects, {msg}") {
            bar.set_style(style);
        }
        bar.set_prefix(name.to_owned());
        let ticker =
            tokio::spawn(watch(bar.clone(), Arc::clone(reads), reads.counts(), self.mode, name.to_owned(), bytes));
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = Some(Stage { bar, ticker });
    }

    pub(crate) fn finish_stage(&self) {
        if let Some(stage) = self.stage.lock().unwrap_or_else(PoisonError::into_inner).take() {
            stage.ticker.abort();
            stage.bar.finish_and_clear();
        }
    }

    /// The run is over.
    pub(crate) fn stop(&self) {
        self.finish_stage();
    }
}

/// Follows the counters of a stage until it is aborted.
async fn watch(bar: ProgressBar, reads: Arc<ReadProgress>, before: ReadCounts, mode: Mode, name: String, bytes: u64) {
    let mut last_line = std::time::Duration::ZERO;
    loop {
        tokio::time::sleep(REDRAW).await;
        let now = reads.counts();
        let (objects, records, read) =
            (now.objects - before.objects, now.records - before.records, now.bytes - before.bytes);
        let elapsed = bar.elapsed();
        let rates = rates(records, read, bytes, elapsed);
        bar.set_position(objects.min(bar.length().unwrap_or(objects)));
        bar.set_message(rates.clone());
        if mode == Mode::Lines && elapsed - last_line >= LINE_EVERY {
            last_line = elapsed;
            tracing::info!(step = name, objects, records, bytes = read, rates, "progress");
        }
    }
}

/// `12,345 records/s, 5.6 MB/s, 3 seconds left`; the time left is of the bytes, as far as they tell.
fn rates(records: u64, read: u64, bytes: u64, elapsed: Duration) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "for people"
    )]
    let per_second = |count: u64| (count as f64 / elapsed.as_secs_f64().max(0.001)) as u64;
    let left = match per_second(read) {
        // Compressed objects hold more than their size says; then nobody knows.
        rate if rate > 0 && read <= bytes => {
            format!(", {} left", HumanDuration(Duration::from_secs((bytes - read) / rate)))
        }
        _ => String::new(),
    };
    format!("{} records/s, {}/s{left}", HumanCount(per_second(records)), DecimalBytes(per_second(read)))
}
