//! Displays a step as a bar on a terminal.

use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::JoinHandle;

use super::model::{StepProgress, StepSnapshot};
use super::text;

/// Time between two redraws.
const REDRAW: Duration = Duration::from_millis(200);

/// Bar that is shown until this value is dropped.
#[derive(Debug)]
pub(super) struct Bar {
    bar: ProgressBar,
    redrawing: JoinHandle<()>,
}

impl Bar {
    pub(super) fn show(step: &Arc<StepProgress>) -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        // The template is constant. If it did not parse, the default style would be good enough.
        if let Ok(style) = ProgressStyle::with_template("{prefix} {bar:24} {msg}") {
            bar.set_style(style);
        }
        bar.set_prefix(step.snapshot().name);
        Self { redrawing: tokio::spawn(redraw(bar.clone(), Arc::clone(step))), bar }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.redrawing.abort();
        self.bar.finish_and_clear();
    }
}

/// Draws the bar every [`REDRAW`], until the task is aborted.
async fn redraw(bar: ProgressBar, step: Arc<StepProgress>) {
    loop {
        tokio::time::sleep(REDRAW).await;
        let step = step.snapshot();
        let (done, total) = position(&step);
        bar.set_length(total);
        bar.set_position(done);
        bar.set_message(text::counts(&step));
    }
}

/// Returns the number of objects that are done and the total number of objects. If the step reads
/// no objects, returns these numbers for tasks.
fn position(step: &StepSnapshot) -> (u64, u64) {
    let objects = step.objects.map(|objects| (objects.done, objects.total));
    let tasks = step.tasks.map(|tasks| (tasks.done as u64, tasks.total as u64));
    objects.or(tasks).unwrap_or_default()
}
