//! Displays a step as lines of the log.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::model::{StepProgress, StepSnapshot};
use super::text;

/// Interval at which the counts of a step are logged.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// Tokio task that logs a step's counts until this value is dropped.
#[derive(Debug)]
pub(super) struct Lines {
    logging: JoinHandle<()>,
}

impl Lines {
    pub(super) fn show(step: &Arc<StepProgress>) -> Self {
        Self { logging: tokio::spawn(log(Arc::clone(step))) }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.logging.abort();
    }
}

/// Logs that a step has started. This line is logged with every kind of display.
pub(super) fn started(step: &StepSnapshot) {
    let name = step.name.as_str();
    match &step.objects {
        Some(read) => tracing::info!(step = name, objects = read.total, bytes = read.total_bytes, "started"),
        None => tracing::info!(step = name, "started"),
    }
}

/// Logs the counts every [`LINE_INTERVAL`], until the task is aborted.
async fn log(step: Arc<StepProgress>) {
    loop {
        tokio::time::sleep(LINE_INTERVAL).await;
        let step = step.snapshot();
        tracing::info!(step = step.name, "{}", text::counts(&step));
    }
}
