//! What a step is measured by, and how that reads.

use std::sync::Arc;
use std::time::Duration;

use indicatif::{DecimalBytes, HumanCount, HumanDuration};
use lakewright_common::session::progress::{ReadCounts, ReadProgress};

use crate::engine::{TaskCounts, TasksView};

/// Counters, and where they stood when the step began.
#[derive(Debug)]
pub(crate) struct Meter {
    objects: Option<Objects>,
    tasks: Option<(TasksView, TaskCounts)>,
}

#[derive(Debug)]
struct Objects {
    objects: u64,
    /// As stored.
    bytes: u64,
    reads: Arc<ReadProgress>,
    before: ReadCounts,
}

/// How far a step is.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) done: u64,
    pub(super) of: u64,
    pub(super) text: String,
}

impl Meter {
    pub(super) fn of_tasks(tasks: TasksView) -> Self {
        let before = tasks.counts();
        Self { objects: None, tasks: Some((tasks, before)) }
    }

    pub(super) fn of_objects(objects: u64, bytes: u64, reads: Arc<ReadProgress>, tasks: Option<TasksView>) -> Self {
        let before = reads.counts();
        let tasks = tasks.map(|tasks| {
            let before = tasks.counts();
            (tasks, before)
        });
        Self { objects: Some(Objects { objects, bytes, reads, before }), tasks }
    }

    pub(super) fn read(&self, elapsed: Duration) -> Reading {
        let tasks = self.tasks.as_ref().map(|(tasks, before)| (tasks.counts(), before.rows));
        match (&self.objects, tasks) {
            (Some(objects), tasks) => {
                let mut reading = objects.read(elapsed);
                if let Some((tasks, _)) = tasks {
                    reading.text = format!("{}; {}", reading.text, of_tasks(&tasks));
                }
                reading
            }
            (None, Some((tasks, rows_before))) => {
                let rows = per_second(tasks.rows - rows_before, elapsed);
                let text = format!("{}, {} rows/s", of_tasks(&tasks), HumanCount(rows));
                Reading { done: tasks.done as u64, of: tasks.tasks as u64, text }
            }
            (None, None) => Reading { done: 0, of: 0, text: String::new() },
        }
    }
}

impl Objects {
    /// `12 of 40 objects, 12,345 records/s, 5.6 MB/s, 3 seconds left`; the time left is of the bytes, as far as they tell.
    fn read(&self, elapsed: Duration) -> Reading {
        let now = self.reads.counts();
        let objects = (now.objects - self.before.objects).min(self.objects);
        let bytes = now.bytes - self.before.bytes;
        let records = HumanCount(per_second(now.records - self.before.records, elapsed));
        let rate = per_second(bytes, elapsed);
        let mut text = format!("{objects} of {} objects, {records} records/s, {}/s", self.objects, DecimalBytes(rate));
        // Compressed objects hold more than their size says; then nobody knows.
        if rate > 0 && bytes <= self.bytes {
            text = format!("{text}, {} left", HumanDuration(Duration::from_secs((self.bytes - bytes) / rate)));
        }
        Reading { done: objects, of: self.objects, text }
    }
}

/// `2 stages: 3 of 16 tasks done, 4 running on 2 workers`
fn of_tasks(tasks: &TaskCounts) -> String {
    let TaskCounts { stages, tasks, done, running, workers, .. } = tasks;
    let plural = |n: usize| if n == 1 { "" } else { "s" };
    format!(
        "{stages} stage{}: {done} of {tasks} tasks done, {running} running on {workers} worker{}",
        plural(*stages),
        plural(*workers)
    )
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "for people")]
fn per_second(count: u64, elapsed: Duration) -> u64 {
    (count as f64 / elapsed.as_secs_f64().max(0.001)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_reads_says_how_much_how_fast_and_how_long() {
        let reads = Arc::new(ReadProgress::default());
        reads.add(5, 50, 500);
        let meter = Meter::of_objects(4, 4_000, Arc::clone(&reads), None);
        reads.add(1, 30, 2_000);
        let reading = meter.read(Duration::from_secs(2));
        assert_eq!((reading.done, reading.of), (1, 4));
        assert_eq!(reading.text, "1 of 4 objects, 15 records/s, 1.00 kB/s, 2 seconds left");
        // More than was stored: it is compressed.
        reads.add(0, 0, 3_000);
        assert_eq!(meter.read(Duration::from_secs(2)).text, "1 of 4 objects, 15 records/s, 2.50 kB/s");
    }

    #[test]
    fn slots_in_words() {
        let tasks = TaskCounts { stages: 1, tasks: 16, done: 3, running: 4, workers: 2, rows: 0 };
        assert_eq!(of_tasks(&tasks), "1 stage: 3 of 16 tasks done, 4 running on 2 workers");
    }
}
