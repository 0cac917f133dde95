//! A step's counts as one line of text, for the terminal and for the log.

use std::time::Duration;

use indicatif::{DecimalBytes, HumanCount, HumanDuration};

use super::model::{ObjectsRead, StepSnapshot, TasksDone};

/// Returns the counts of a step, such as
/// `12 of 40 objects, 12,345 records/s, 5.60 MB/s, 3 seconds left`.
pub(super) fn counts(step: &StepSnapshot) -> String {
    match (&step.objects, &step.tasks) {
        (Some(read), None) => objects(read, step.elapsed_seconds),
        (Some(read), Some(done)) => format!("{}; {}", objects(read, step.elapsed_seconds), tasks(done)),
        (None, Some(done)) => {
            format!("{}, {} rows/s", tasks(done), HumanCount(per_second(done.rows, step.elapsed_seconds)))
        }
        (None, None) => String::new(),
    }
}

fn objects(read: &ObjectsRead, elapsed_seconds: f64) -> String {
    let records = HumanCount(per_second(read.records, elapsed_seconds));
    let rate = per_second(read.read_bytes, elapsed_seconds);
    let text = format!("{} of {} objects, {records} records/s, {}/s", read.done, read.total, DecimalBytes(rate));
    // Compressed objects yield more bytes than are stored, so the time left is unknown.
    if rate == 0 || read.read_bytes > read.total_bytes {
        return text;
    }
    let left = Duration::from_secs((read.total_bytes - read.read_bytes) / rate);
    format!("{text}, {} left", HumanDuration(left))
}

/// Returns the counts of tasks, such as `2 stages: 3 of 16 tasks done, 4 running on 2 workers`.
fn tasks(counts: &TasksDone) -> String {
    let TasksDone { stages, total, done, running, workers, .. } = counts;
    let plural = |n: usize| if n == 1 { "" } else { "s" };
    format!(
        "{stages} stage{}: {done} of {total} tasks done, {running} running on {workers} worker{}",
        plural(*stages),
        plural(*workers)
    )
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a rate that is only displayed"
)]
fn per_second(count: u64, elapsed_seconds: f64) -> u64 {
    (count as f64 / elapsed_seconds.max(0.001)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::model::StepState;

    fn step(objects: Option<ObjectsRead>, tasks: Option<TasksDone>) -> StepSnapshot {
        StepSnapshot {
            name: "ingest a".to_owned(),
            state: StepState::Running,
            started_seconds: 0.5,
            elapsed_seconds: 2.0,
            objects,
            tasks,
        }
    }

    #[test]
    fn a_step_that_reads_shows_how_much_how_fast_and_how_long() {
        let read = ObjectsRead { total: 4, done: 1, records: 30, total_bytes: 4_000, read_bytes: 2_000 };
        assert_eq!(counts(&step(Some(read), None)), "1 of 4 objects, 15 records/s, 1.00 kB/s, 2 seconds left");
        // More than was stored: the object is compressed.
        let compressed = ObjectsRead { read_bytes: 5_000, ..read };
        assert_eq!(counts(&step(Some(compressed), None)), "1 of 4 objects, 15 records/s, 2.50 kB/s");
    }

    #[test]
    fn a_step_on_workers_shows_its_tasks() {
        let tasks = TasksDone { stages: 1, total: 16, done: 3, running: 4, workers: 2, rows: 20 };
        let shown = "1 stage: 3 of 16 tasks done, 4 running on 2 workers";
        assert_eq!(counts(&step(None, Some(tasks))), format!("{shown}, 10 rows/s"));
        let read = ObjectsRead { total: 4, done: 4, records: 2, total_bytes: 1, read_bytes: 2 };
        assert_eq!(counts(&step(Some(read), Some(tasks))), format!("4 of 4 objects, 1 records/s, 1 B/s; {shown}"));
    }
}
