//! Which attempts are slow: by how long the other tasks of their stage took, and by how far they are.
//!
//! An attempt that took in a tenth of what a whole task took in, in the time that a whole task took, has nine times that
//! still to go; a speculative attempt would be done before it. That is the rule of the LATE scheduler (Zaharia et al., "Improving
//! MapReduce Performance in Heterogeneous Environments", OSDI 2008). Where nothing is known of how far an attempt is,
//! the time that it has run decides, as in Spark.

use std::time::{Duration, Instant};

/// When a slow attempt gets a speculative attempt.
#[derive(Debug, Clone, Copy)]
pub(super) struct Speculation {
    /// The share of the stage's tasks that must be done.
    pub(super) done_share: f64,
    /// How many times as long as the median task an attempt must have run, or have still to run.
    pub(super) slowness: f64,
    /// How long it must have run at least.
    pub(super) at_least: Duration,
}

/// The tasks of a stage that are done.
#[derive(Debug, Default)]
pub(super) struct Finished {
    durations: Vec<Duration>,
    rows: Vec<u64>,
}

/// What a task of the stage modes: the medians.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    duration: Duration,
    /// Taken in by the leaves of its plan.
    rows: u64,
}

/// An attempt under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct AttemptTiming {
    pub(super) started: Instant,
    /// When it was heard of last, and what it had taken in then.
    pub(super) heard: Instant,
    pub(super) rows: u64,
}

impl Finished {
    pub(super) fn add(&mut self, duration: Duration, rows: u64) {
        self.durations.push(duration);
        self.rows.push(rows);
    }

    /// What a task modes; `None` while too few of `tasks` are done to say.
    pub(super) fn pace(&self, tasks: usize, speculation: &Speculation) -> Option<Pace> {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a count"
        )]
        // Rounded down as in Spark, so that of two tasks one can be told from the other.
        let needed = (tasks as f64 * speculation.done_share).floor() as usize;
        if self.durations.len() < needed {
            return None;
        }
        Some(Pace { duration: median(&self.durations)?, rows: median(&self.rows)? })
    }
}

impl Speculation {
    /// Whether a speculative attempt of the attempt would likely be done before it.
    pub(super) fn is_slow(&self, attempt: &AttemptTiming, pace: &Pace, now: Instant) -> bool {
        let ran = now.saturating_duration_since(attempt.started);
        let too_long = pace.duration.mul_f64(self.slowness);
        ran >= self.at_least && (ran >= too_long || attempt.left(pace).is_some_and(|left| left >= too_long))
    }
}

impl AttemptTiming {
    /// How long it has still to run from when it was heard of, if it goes on as before; `None` where that is unknown.
    fn left(&self, pace: &Pace) -> Option<Duration> {
        let ran = self.heard.saturating_duration_since(self.started);
        if self.rows == 0 || ran.is_zero() {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "a share of a count")]
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
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
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
        // 500 rows in 10 s: as long again, and a speculative attempt would take no less.
        assert!(!is_slow(10, 500, 10));
        assert!(is_slow(20, 999, 20));
        // Nothing was heard of it, or nothing came in so far.
        assert!(!is_slow(0, 0, 19));
        assert!(!is_slow(19, 0, 19));
        assert!(is_slow(0, 0, 20));
        // A task with more rows than the others is no slower for it.
        assert!(!is_slow(10, 5_000, 10));
    }
}
