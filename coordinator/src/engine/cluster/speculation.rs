//! Decides whether an attempt is slow, from its progress and from the durations of finished tasks.
//!
//! An attempt that has run as long as the median task, but has read only a tenth of the median
//! task's rows, needs nine times as long again. So a speculative attempt would finish first. This
//! is the rule of the LATE scheduler (Zaharia et al., "Improving MapReduce Performance in
//! Heterogeneous Environments", OSDI 2008). If the progress of an attempt is unknown, the time that
//! it has run decides, as in Spark.

use std::time::{Duration, Instant};

/// Conditions under which a slow attempt gets a speculative attempt.
#[derive(Debug, Clone, Copy)]
pub(super) struct Speculation {
    /// Fraction of a stage's tasks that must be done before an attempt can count as slow.
    pub(super) done_share: f64,
    /// Multiple of the median duration of finished tasks. An attempt counts as slow if it has
    /// already run this long, or still needs this long.
    pub(super) slowness: f64,
    /// Time that an attempt must have run before it can count as slow.
    pub(super) at_least: Duration,
}

/// Durations and rows of the finished tasks of a stage.
#[derive(Debug, Default)]
pub(super) struct Finished {
    durations: Vec<Duration>,
    rows: Vec<u64>,
}

/// Medians of the finished tasks of a stage.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    duration: Duration,
    /// Median number of rows that the leaves of a task's plan read.
    rows: u64,
}

/// Timing of a running attempt.
#[derive(Debug, Clone, Copy)]
pub(super) struct AttemptTiming {
    pub(super) started: Instant,
    /// Time of the last heartbeat. `rows` is the number of rows read until then.
    pub(super) heard: Instant,
    pub(super) rows: u64,
}

impl Finished {
    pub(super) fn add(&mut self, duration: Duration, rows: u64) {
        self.durations.push(duration);
        self.rows.push(rows);
    }

    /// Returns the medians, or `None` until enough of the stage's `tasks` tasks are done.
    pub(super) fn pace(&self, tasks: usize, speculation: &Speculation) -> Option<Pace> {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a count"
        )]
        // Rounded down as in Spark, so that with two tasks one can be compared with the other.
        let needed = (tasks as f64 * speculation.done_share).floor() as usize;
        if self.durations.len() < needed {
            return None;
        }
        Some(Pace { duration: median(&self.durations)?, rows: median(&self.rows)? })
    }
}

impl Speculation {
    /// Returns whether a running attempt is so slow that a speculative attempt would likely finish
    /// before it.
    pub(super) fn is_slow(&self, attempt: &AttemptTiming, pace: &Pace, now: Instant) -> bool {
        let ran = now.saturating_duration_since(attempt.started);
        let too_long = pace.duration.mul_f64(self.slowness);
        // Either condition is enough: the attempt has run too long, or it would still need that
        // long.
        ran >= self.at_least
            && (ran >= too_long || attempt.remaining(pace).is_some_and(|remaining| remaining >= too_long))
    }
}

impl AttemptTiming {
    /// Estimates the time that the attempt still needed at its last heartbeat, from its average
    /// speed. Returns `None` if it has read no rows.
    fn remaining(&self, pace: &Pace) -> Option<Duration> {
        let ran = self.heard.saturating_duration_since(self.started);
        if self.rows == 0 || ran.is_zero() {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "a share of a count")]
        // The ratio of rows left to rows read. Multiplied by the elapsed time, it is the time left.
        let share = pace.rows.saturating_sub(self.rows) as f64 / self.rows as f64;
        Some(ran.mul_f64(share))
    }
}

fn median<T: Copy + Ord>(values: &[T]) -> Option<T> {
    let mut values = values.to_vec();
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const RULE: Speculation = Speculation { done_share: 0.75, slowness: 2.0, at_least: SECOND };

    fn finished(tasks: usize) -> Finished {
        let mut finished = Finished::default();
        (0..tasks).for_each(|_| finished.add(SECOND * 10, 1_000));
        finished
    }

    #[test]
    fn a_pace_is_known_once_a_share_of_the_tasks_is_done_rounded_down() {
        assert!(finished(0).pace(1, &RULE).is_none());
        assert!(finished(0).pace(2, &RULE).is_none());
        assert!(finished(1).pace(2, &RULE).is_some());
        assert!(finished(2).pace(4, &RULE).is_none());
        assert!(finished(3).pace(4, &RULE).is_some());
    }

    #[test]
    fn an_attempt_is_slow_when_it_ran_too_long_or_has_too_far_to_go() {
        let pace = finished(3).pace(4, &RULE).unwrap();
        let started = Instant::now();
        let is_slow = |heard: u32, rows: u64, now: u32| {
            let attempt = AttemptTiming { started, heard: started + SECOND * heard, rows };
            RULE.is_slow(&attempt, &pace, started + SECOND * now)
        };
        // 100 rows in 10 s: 90 s to go.
        assert!(is_slow(10, 100, 10));
        // 500 rows in 10 s: 10 s to go, and a speculative attempt would take as long.
        assert!(!is_slow(10, 500, 10));
        assert!(is_slow(20, 999, 20));
        // No heartbeat came, or no rows were read.
        assert!(!is_slow(0, 0, 19));
        assert!(!is_slow(19, 0, 19));
        assert!(is_slow(0, 0, 20));
        // A task with more rows than the others is not slow because of that.
        assert!(!is_slow(10, 5_000, 10));
    }
}
