//! Tracks the tasks of a stage: a pure state machine that alone decides which tasks are done.
//!
//! Each task is queued; a worker that takes it starts an attempt; the attempt sends heartbeats, and
//! ends with a report or goes silent. The first success of a task is its result. The current time
//! is an argument of every call, so that tests can run any interleaving.
//!
//! ```text
//!   queued ──start──► running ──success──► accepted (the task is done)
//!     ▲                 ├──────failure──► failed ─┐
//!     │                 └──────silence──► lost ───┤ queued again, until attempts run out
//!     └───────────────────────────────────────────┘
//! ```
//!
//! A process in which a task failed does not get the task again while another worker could take it:
//! the tracker cancels the start (a deferral) and queues the task again after a growing pause. If
//! other workers are free and still do not take the task, the process gets it after all, so that no
//! task is queued forever.

use std::time::{Duration, Instant};

use lakewright_common::error::{Error, Kind};
use uuid::Uuid;

use super::speculation::{AttemptTiming, Finished, Pace, Speculation};

/// Rules for retrying a task and for failing its stage.
#[derive(Debug, Clone, Copy)]
pub(super) struct Policy {
    /// Time without a heartbeat after which an attempt is lost.
    pub(super) lost_after: Duration,
    /// Time after which a queued task is offered again, if a worker was free and did not take it.
    pub(super) offer_timeout: Duration,
    /// Maximum number of attempts of a task; the stage fails when the last one fails or is lost.
    pub(super) max_attempts: u32,
    pub(super) speculation: Option<Speculation>,
}

/// Tasks of one stage with results of type `R`.
#[derive(Debug)]
pub(super) struct TaskAttempts<R> {
    policy: Policy,
    tasks: Vec<Task<R>>,
    finished: Finished,
    is_over: bool,
}

#[derive(Debug)]
struct Task<R> {
    /// Number of times that the task was queued, not counting offers that were deferred. Always at
    /// least the number of attempts; greater while the task is in the queue.
    submissions: u32,
    /// Time at which the task was last queued.
    submitted: Instant,
    attempts: Vec<Attempt>,
    deferrals: Deferrals,
    /// Id and result of the first successful attempt; `None` again once the stage has taken the
    /// result.
    accepted: Option<(Uuid, R)>,
    /// Whether a speculative attempt was queued. If so, no second one is queued. `try_defer` can
    /// reset this, because a deferral takes the speculative attempt out of the queue.
    is_speculated: bool,
    /// Error of the first failed attempt.
    cause: Option<Error>,
}

/// Deferrals of a task since its last attempt started. A deferral cancels the start of the task in
/// one process, in favor of other workers.
#[derive(Debug, Clone, Copy)]
struct Deferrals {
    /// Number of deferrals.
    total: u32,
    /// Number of those deferrals at which another candidate had a free vcore.
    while_others_free: u32,
    /// Time before which the task is not queued again.
    until: Instant,
}

/// A worker that could take a task.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    pub(super) process: Uuid,
    /// Whether the worker has a free vcore.
    pub(super) is_free: bool,
}

#[derive(Debug, Clone)]
struct Attempt {
    id: Uuid,
    process: Uuid,
    timing: AttemptTiming,
    state: AttemptState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AttemptState {
    Running,
    /// The attempt sent no heartbeat for too long. A late success still counts if it is the first.
    Lost,
    Failed,
}

/// Answer to an attempt: do the work, or stop without a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    Continue,
    Cancel,
}

/// Reason for queuing a task again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RetryReason {
    /// The process that ran the task went silent.
    Lost(Uuid),
    /// The process that ran the task reported a failure.
    Failed(Uuid),
    /// No worker took the task although one was free.
    Ignored,
    /// The process that runs the task is slow.
    Slow(Uuid),
}

/// A task to queue again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Retry {
    pub(super) task: usize,
    pub(super) reason: RetryReason,
}

/// Reason why a stage fails.
#[derive(Debug)]
pub(super) enum StageFailure {
    /// A task failed; this is the error of its first failed attempt.
    Failed(Error),
    /// All allowed attempts of the task were lost. `last` is the process of the last attempt.
    Lost { task: usize, last: Uuid, times: u32 },
    /// No worker took the task, although it was queued `times` times.
    Ignored { task: usize, times: u32 },
}

/// Maximum number of times that free workers may ignore an offered task. After that, the stage
/// fails.
const MAX_IGNORED: u32 = 10;
/// Maximum number of deferrals in favor of a free candidate. After that, a process that takes the
/// task from the queue may run it.
const MAX_DEFERRALS: u32 = 8;
/// Pause after the first deferral. Each further deferral doubles the pause, up to the offer
/// timeout.
const FIRST_DEFERRAL: Duration = Duration::from_millis(250);

impl<R> TaskAttempts<R> {
    /// Creates the tracker of a stage and queues all tasks at `now`.
    pub(super) fn new(tasks: usize, policy: Policy, now: Instant) -> Self {
        let task = || Task {
            submissions: 1,
            submitted: now,
            attempts: vec![],
            deferrals: Deferrals::new(now),
            accepted: None,
            is_speculated: false,
            cause: None,
        };
        Self { policy, tasks: (0..tasks).map(|_| task()).collect(), finished: Finished::default(), is_over: false }
    }

    /// Decides whether the worker that took `task` from the queue may run it as attempt `id`. Once
    /// the answer is `Continue`, a repeated request gets the same answer until the task is done.
    ///
    /// Returns `Cancel` if the task is done. Usually also returns `Cancel` if an attempt of the
    /// task has failed in `process` or still runs there, and one of `candidates` could take the
    /// task instead (see `Task::try_defer`).
    pub(super) fn start(
        &mut self,
        task: usize,
        id: Uuid,
        process: Uuid,
        candidates: &[Candidate],
        now: Instant,
    ) -> Decision {
        let offer_timeout = self.policy.offer_timeout;
        let Some(task) = self.tasks.get_mut(task).filter(|task| !self.is_over && task.accepted.is_none()) else {
            return Decision::Cancel;
        };
        // The request is repeated, because the response to an earlier one was lost.
        if let Some(attempt) = task.attempts.iter_mut().find(|attempt| attempt.id == id) {
            attempt.timing.heard = now;
            return Decision::Continue;
        }
        if task.try_defer(process, candidates, offer_timeout, now) {
            return Decision::Cancel;
        }
        // An attempt starts, so the next deferral starts again with the shortest pause.
        task.deferrals = Deferrals::new(now);
        task.attempts.push(Attempt {
            id,
            process,
            timing: AttemptTiming { started: now, heard: now, rows: 0 },
            state: AttemptState::Running,
        });
        // The worker may have taken an offer that no longer counts as a submission. Each attempt
        // must count as one, so raise the number if it is too low.
        task.submissions = task.submissions.max(count(task.attempts.len()));
        Decision::Continue
    }

    /// Returns the process that runs an attempt.
    pub(super) fn process_of(&self, task: usize, id: Uuid) -> Option<Uuid> {
        let attempt = self.tasks.get(task)?.attempts.iter().find(|attempt| attempt.id == id)?;
        Some(attempt.process)
    }

    /// Records a heartbeat of an attempt that has read `rows` rows. Returns whether the attempt may
    /// continue.
    pub(super) fn heartbeat(&mut self, task: usize, id: Uuid, rows: u64, now: Instant) -> Decision {
        // The task is done or the stage is over, so the result of the attempt could not count.
        let Some(task) = self.tasks.get_mut(task).filter(|task| !self.is_over && task.accepted.is_none()) else {
            return Decision::Cancel;
        };
        match task.attempts.iter_mut().find(|attempt| attempt.id == id) {
            Some(attempt) if attempt.state != AttemptState::Failed => {
                attempt.timing = AttemptTiming { heard: now, rows, ..attempt.timing };
                // An attempt that counted as lost was only paused. The attempt that replaced it
                // becomes its speculative attempt.
                attempt.state = AttemptState::Running;
                Decision::Continue
            }
            _ => Decision::Cancel,
        }
    }

    /// Records the success of an attempt that read `rows` rows. Returns whether `result` was
    /// accepted as the result of the task. If the same attempt reports its success again, the
    /// answer is the same.
    pub(super) fn succeed(&mut self, task: usize, id: Uuid, result: R, rows: u64, now: Instant) -> bool {
        let is_over = self.is_over;
        let Some(task) = self.tasks.get_mut(task) else { return false };
        match &task.accepted {
            // The response to the first report may have been lost; a repeated report must get the
            // same response.
            Some((winner, _)) => *winner == id,
            // The stage has already taken the results of its tasks.
            None if is_over => false,
            None => {
                // An attempt that was never started cannot succeed.
                let Some(attempt) = task.attempts.iter().find(|attempt| attempt.id == id) else { return false };
                self.finished.add(now.saturating_duration_since(attempt.timing.started), rows);
                task.accepted = Some((id, result));
                true
            }
        }
    }

    /// Records a failed attempt. Returns the error that fails the stage once retries are exhausted
    /// or pointless.
    pub(super) fn fail(&mut self, task: usize, id: Uuid, now: Instant, error: Error) -> Option<Error> {
        let max_attempts = self.policy.max_attempts;
        let state = self.tasks.get_mut(task).filter(|task| !self.is_over && task.accepted.is_none())?;
        let attempt =
            state.attempts.iter_mut().find(|attempt| attempt.id == id && attempt.state != AttemptState::Failed)?;
        attempt.state = AttemptState::Failed;
        attempt.timing.heard = now;
        // The same data fails in the same way on every worker, so do not retry.
        if error.kind == Kind::Data {
            return Some(error);
        }
        state.cause.get_or_insert(error);
        // Another attempt may still be running and succeed.
        if state.has_no_attempts_left(max_attempts) { state.cause.take() } else { None }
    }

    /// Marks silent attempts as lost. Returns the tasks that must be queued again. `idle_since` is
    /// the time since which at least one worker has been free without interruption; `None` if none
    /// is free.
    ///
    /// # Errors
    /// A failure of the stage if a task has no attempts left, or if no worker takes it.
    pub(super) fn tick(&mut self, now: Instant, idle_since: Option<Instant>) -> Result<Vec<Retry>, StageFailure> {
        if self.is_over {
            return Ok(vec![]);
        }
        let policy = self.policy;
        let speculation = policy.speculation.as_ref();
        let pace = speculation.and_then(|rule| Some((*rule, self.finished.pace(self.tasks.len(), rule)?)));
        let mut retries = Vec::new();
        for (index, task) in self.tasks.iter_mut().enumerate().filter(|(_, task)| task.accepted.is_none()) {
            for attempt in &mut task.attempts {
                if attempt.state == AttemptState::Running
                    && now.saturating_duration_since(attempt.timing.heard) >= policy.lost_after
                {
                    attempt.state = AttemptState::Lost;
                }
            }
            // A reported failure explains more than silence, so prefer it as the cause.
            if let Some(last) = task.attempts.last().filter(|_| task.has_no_attempts_left(policy.max_attempts)) {
                let last = last.process;
                let lost = StageFailure::Lost { task: index, last, times: policy.max_attempts };
                return Err(task.cause.take().map_or(lost, StageFailure::Failed));
            }
            let Some(reason) = task.retry_reason(&policy, pace.as_ref(), now, idle_since) else { continue };
            // Submissions beyond the number of attempts are offers that no worker took.
            if task.submissions >= count(task.attempts.len()) + MAX_IGNORED {
                return Err(StageFailure::Ignored { task: index, times: MAX_IGNORED });
            }
            task.submissions += 1;
            task.submitted = now;
            task.is_speculated |= matches!(reason, RetryReason::Slow(_));
            retries.push(Retry { task: index, reason });
        }
        Ok(retries)
    }

    /// Returns whether every task has a result.
    pub(super) fn is_done(&self) -> bool {
        self.tasks.iter().all(|task| task.accepted.is_some())
    }

    /// Returns the number of tasks that are done, and the number of tasks that run.
    pub(super) fn counts(&self) -> (usize, usize) {
        let done = self.tasks.iter().filter(|task| task.accepted.is_some()).count();
        let running = self.tasks.iter().filter(|task| task.accepted.is_none() && task.running().is_some()).count();
        (done, running)
    }

    /// Returns the results of all tasks in order, and ends the stage: later calls are answered with
    /// `Cancel`.
    pub(super) fn take_results(&mut self) -> Vec<R> {
        self.is_over = true;
        self.tasks.iter_mut().filter_map(|task| task.accepted.take()).map(|(_, result)| result).collect()
    }
}

impl Deferrals {
    fn new(now: Instant) -> Self {
        Self { total: 0, while_others_free: 0, until: now }
    }
}

impl<R> Task<R> {
    /// Defers the task that `process` took from the queue, if the task was tried in this process
    /// before and another candidate could take it. Returns whether it was deferred. Deferrals in
    /// favor of a busy candidate are unlimited, because that candidate will become free. Deferrals
    /// in favor of a free candidate are limited, because that candidate may never take the task.
    fn try_defer(&mut self, process: Uuid, candidates: &[Candidate], offer_timeout: Duration, now: Instant) -> bool {
        // Peekable, because `any` below must still see the first candidate.
        let mut others = candidates.iter().filter(|candidate| !self.was_tried_in(candidate.process)).peekable();
        if !self.was_tried_in(process) || others.peek().is_none() {
            return false;
        }
        let is_other_free = others.any(|candidate| candidate.is_free);
        let has_running_attempt =
            self.attempts.iter().any(|a| a.process == process && a.state == AttemptState::Running);
        let is_exhausted = is_other_free && self.deferrals.while_others_free >= MAX_DEFERRALS;
        if is_exhausted && !has_running_attempt {
            return false;
        }
        // 250 ms, 500 ms, 1 s and so on. The bound of the shift keeps it from overflowing.
        let pause = FIRST_DEFERRAL.saturating_mul(1 << self.deferrals.total.min(16)).min(offer_timeout);
        self.deferrals.total += 1;
        self.deferrals.while_others_free += u32::from(is_other_free);
        self.deferrals.until = now + pause;
        // The deferral uses up the offer of a speculative attempt, so allow another one. The
        // exception is a task whose deferrals are exhausted and that already runs in this process:
        // a second attempt there would not help.
        self.is_speculated = is_exhausted && has_running_attempt;
        // The offer has left the queue, so it no longer counts as a submission.
        self.submissions = self.submissions.saturating_sub(1).max(count(self.attempts.len()));
        true
    }

    /// Returns whether an attempt of the task is running or has failed in the process, so that
    /// another attempt there is of little use. Lost attempts do not count.
    fn was_tried_in(&self, process: Uuid) -> bool {
        self.attempts.iter().any(|attempt| attempt.process == process && attempt.state != AttemptState::Lost)
    }

    /// Returns the number of attempts that failed or were lost.
    fn ended_attempts(&self) -> u32 {
        count(self.attempts.iter().filter(|attempt| attempt.state != AttemptState::Running).count())
    }

    fn has_no_attempts_left(&self, max_attempts: u32) -> bool {
        self.ended_attempts() >= max_attempts && self.running().is_none()
    }

    /// Returns the first running attempt.
    fn running(&self) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.state == AttemptState::Running)
    }

    /// Returns the reason for queuing the task again now, or `None` if there is none.
    fn retry_reason(
        &self,
        policy: &Policy,
        pace: Option<&(Speculation, Pace)>,
        now: Instant,
        idle_since: Option<Instant>,
    ) -> Option<RetryReason> {
        // The offer timeout starts once the task is queued and a worker is free, whichever is
        // later.
        let is_ignored = idle_since
            .is_some_and(|since| now.saturating_duration_since(since.max(self.submitted)) >= policy.offer_timeout);
        let is_queued = self.submissions > count(self.attempts.len());
        match self.running() {
            None if is_queued => is_ignored.then_some(RetryReason::Ignored),
            // A deferred task waits before it is offered again.
            _ if now < self.deferrals.until => None,
            None => self.attempts.last().map(|last| match last.state {
                AttemptState::Failed => RetryReason::Failed(last.process),
                _ => RetryReason::Lost(last.process),
            }),
            // A speculative attempt uses a vcore, so start one only if a vcore is free.
            Some(attempt) => {
                let is_slow = pace.is_some_and(|(rule, pace)| rule.is_slow(&attempt.timing, pace, now));
                (is_slow && !self.is_speculated && idle_since.is_some()).then_some(RetryReason::Slow(attempt.process))
            }
        }
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
