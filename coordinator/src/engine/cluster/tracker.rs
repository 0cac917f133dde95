//! What has become of each task of a stage: a pure state machine, the truth about what is done.
//!
//! A task is submitted as a task; a worker that modes the task starts an attempt of it; the attempt heartbeats, and ends with
//! a report or goes silent. The first success wins. Time comes in with every call, so that any interleaving can be
//! tested.
//!
//! ```text
//!   submitted ──start──► running ──success──► accepted (the task is done)
//!       ▲                  │ ├────failure──► failed ─┐
//!       │                  │ └────silence──► lost  ──┤ submitted again, until attempts run out
//!       └──────────────────┴─────────────────────────┘
//! ```
//!
//! A process in which a task failed stands back from it while another could take it: the offer is repeated, after longer
//! and longer pauses. It goes on in the end if the others are free and still do not take it, so that no task is offered
//! without end.

use std::time::{Duration, Instant};

use lakewright_common::error::{Error, Kind};
use uuid::Uuid;

use super::speculation::{AttemptTiming, Finished, Pace, Speculation};

/// When a task is given to another worker, and when it is given up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Policy {
    /// An attempt that has been silent for this long is lost.
    pub(super) silence: Duration,
    /// A task that no worker took for this long, while one was free, was lost on its way.
    pub(super) patience: Duration,
    /// Attempts of a task that may fail or be lost before the stage fails.
    pub(super) attempts: u32,
    pub(super) speculation: Option<Speculation>,
}

/// Tasks of one stage, whose results are of type `R`.
#[derive(Debug)]
pub(super) struct Tracker<R> {
    policy: Policy,
    tasks: Vec<Task<R>>,
    finished: Finished,
    is_over: bool,
}

#[derive(Debug)]
struct Task<R> {
    submissions: u32,
    submitted: Instant,
    attempts: Vec<Attempt>,
    standing: StandingBack,
    /// The attempt that won, and what it came to until the stage modes it.
    accepted: Option<(Uuid, R)>,
    is_speculated: bool,
    /// What the first attempt to fail failed with.
    cause: Option<Error>,
}

/// Offers of a task that processes stood back from since its last attempt started.
#[derive(Debug, Clone, Copy)]
struct StandingBack {
    /// All of them.
    times: u32,
    /// Of these, offers that another process was free to take.
    in_vain: u32,
    /// The task is not offered again before.
    until: Instant,
}

/// A worker that asks for tasks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    pub(super) process: Uuid,
    /// False: all its vcores are at work.
    pub(super) is_free: bool,
}

#[derive(Debug, Clone)]
struct Attempt {
    id: Uuid,
    process: Uuid,
    timing: AttemptTiming,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    /// Silent for too long; a late success still counts if it is the first.
    Lost,
    Failed,
}

/// Whether an attempt shall do its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    Continue,
    Cancel,
}

/// Why a task is submitted again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RetryReason {
    /// The process that ran it went silent.
    Lost(Uuid),
    /// The process that ran it reported a failure.
    Failed(Uuid),
    /// Nobody took it though somebody could have.
    Ignored,
    /// The process that runs it is slow.
    Slow(Uuid),
}

/// A task to submit again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Resubmit {
    pub(super) task: usize,
    pub(super) reason: RetryReason,
}

/// Why a stage cannot go on.
#[derive(Debug)]
pub(super) enum StageFailure {
    /// Some attempts were lost, and this is what the first of the others failed with.
    Failed(Error),
    /// As many attempts of the task as are allowed came to nothing, the last of them in this process.
    Lost { task: usize, last: Uuid, times: u32 },
    /// Nobody took the task, however often it was offered.
    Ignored { task: usize, times: u32 },
}

/// Never taken by a free worker this often: something else is wrong.
const MAX_IGNORED: u32 = 10;
/// Offers that a process stands back from while another is free, before it goes on all the same.
const MAX_IN_VAIN: u32 = 8;
/// Pause before a task is offered again after the first of them; it doubles up to the policy's patience.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

impl<R> Tracker<R> {
    /// All tasks are taken to be submitted now.
    pub(super) fn new(tasks: usize, policy: Policy, now: Instant) -> Self {
        let task = || Task {
            submissions: 1,
            submitted: now,
            attempts: vec![],
            standing: StandingBack::new(now),
            accepted: None,
            is_speculated: false,
            cause: None,
        };
        Self { policy, tasks: (0..tasks).map(|_| task()).collect(), finished: Finished::default(), is_over: false }
    }

    /// A worker took a task of `task`; requests again for the same attempt, the answer is the same. A process in which the
    /// task failed before, or in which it is too slow, stands back while one of `peers` could take it.
    pub(super) fn start(&mut self, task: usize, id: Uuid, process: Uuid, peers: &[Peer], now: Instant) -> Decision {
        let patience = self.policy.patience;
        let Some(task) = self.tasks.get_mut(task).filter(|task| !self.is_over && task.accepted.is_none()) else {
            return Decision::Cancel;
        };
        if let Some(attempt) = task.attempts.iter_mut().find(|attempt| attempt.id == id) {
            attempt.timing.heard = now;
            return Decision::Continue;
        }
        if task.stands_back(process, peers, patience, now) {
            return Decision::Cancel;
        }
        task.standing = StandingBack::new(now);
        task.attempts.push(Attempt {
            id,
            process,
            timing: AttemptTiming { started: now, heard: now, rows: 0 },
            state: State::Running,
        });
        // A task that was thought lost came after all.
        task.submissions = task.submissions.max(count(task.attempts.len()));
        Decision::Continue
    }

    /// Returns the process that runs an attempt.
    pub(super) fn process_of(&self, task: usize, id: Uuid) -> Option<Uuid> {
        let attempt = self.tasks.get(task)?.attempts.iter().find(|attempt| attempt.id == id)?;
        Some(attempt.process)
    }

    /// An attempt is alive, and its leaves have taken in `rows` so far.
    pub(super) fn heartbeat(&mut self, task: usize, id: Uuid, rows: u64, now: Instant) -> Decision {
        let Some(task) = self.tasks.get_mut(task).filter(|task| !self.is_over && task.accepted.is_none()) else {
            return Decision::Cancel;
        };
        match task.attempts.iter_mut().find(|attempt| attempt.id == id) {
            Some(attempt) if attempt.state != State::Failed => {
                attempt.timing = AttemptTiming { heard: now, rows, ..attempt.timing };
                // It was only paused; what replaced it is its speculative attempt now.
                attempt.state = State::Running;
                Decision::Continue
            }
            _ => Decision::Cancel,
        }
    }

    /// An attempt did it, after it had taken in `rows`. True: its result is the task's, also when it says so again.
    pub(super) fn succeed(&mut self, task: usize, id: Uuid, result: R, rows: u64, now: Instant) -> bool {
        let is_over = self.is_over;
        let Some(task) = self.tasks.get_mut(task) else { return false };
        match &task.accepted {
            Some((winner, _)) => *winner == id,
            None if is_over => false,
            None => {
                let Some(attempt) = task.attempts.iter().find(|attempt| attempt.id == id) else { return false };
                self.finished.add(now.saturating_duration_since(attempt.timing.started), rows);
                task.accepted = Some((id, result));
                true
            }
        }
    }

    /// An attempt could not do it. `Some`: what the whole stage fails with, as the attempts are used up or of no use.
    pub(super) fn fail(&mut self, task: usize, id: Uuid, now: Instant, error: Error) -> Option<Error> {
        let attempts = self.policy.attempts;
        let state = self.tasks.get_mut(task).filter(|task| !self.is_over && task.accepted.is_none())?;
        let attempt = state.attempts.iter_mut().find(|attempt| attempt.id == id && attempt.state != State::Failed)?;
        attempt.state = State::Failed;
        attempt.timing.heard = now;
        // The same data fails in the same way elsewhere.
        if error.kind == Kind::Data {
            return Some(error);
        }
        state.cause.get_or_insert(error);
        if state.is_used_up(attempts) { state.cause.take() } else { None }
    }

    /// What to submit again now. `idle_since`: since when some worker has been free without a pause.
    ///
    /// # Errors
    /// A task whose attempts were all lost, or that nobody modes.
    pub(super) fn tick(&mut self, now: Instant, idle_since: Option<Instant>) -> Result<Vec<Resubmit>, StageFailure> {
        if self.is_over {
            return Ok(vec![]);
        }
        let policy = self.policy;
        let speculation = policy.speculation.as_ref();
        let pace = speculation.and_then(|rule| Some((*rule, self.finished.pace(self.tasks.len(), rule)?)));
        let mut again = Vec::new();
        for (index, task) in self.tasks.iter_mut().enumerate().filter(|(_, task)| task.accepted.is_none()) {
            for attempt in &mut task.attempts {
                if attempt.state == State::Running
                    && now.saturating_duration_since(attempt.timing.heard) >= policy.silence
                {
                    attempt.state = State::Lost;
                }
            }
            if let Some(last) = task.attempts.last().filter(|_| task.is_used_up(policy.attempts)) {
                let last = last.process;
                let lost = StageFailure::Lost { task: index, last, times: policy.attempts };
                return Err(task.cause.take().map_or(lost, StageFailure::Failed));
            }
            let Some(reason) = task.resubmission(&policy, pace.as_ref(), now, idle_since) else { continue };
            if task.submissions >= count(task.attempts.len()) + MAX_IGNORED {
                return Err(StageFailure::Ignored { task: index, times: MAX_IGNORED });
            }
            task.submissions += 1;
            task.submitted = now;
            task.is_speculated |= matches!(reason, RetryReason::Slow(_));
            again.push(Resubmit { task: index, reason });
        }
        Ok(again)
    }

    pub(super) fn is_done(&self) -> bool {
        self.tasks.iter().all(|task| task.accepted.is_some())
    }

    /// Tasks that are done, and tasks that run.
    pub(super) fn counts(&self) -> (usize, usize) {
        let done = self.tasks.iter().filter(|task| task.accepted.is_some()).count();
        let running = self.tasks.iter().filter(|task| task.accepted.is_none() && task.running().is_some()).count();
        (done, running)
    }

    /// The results of all tasks in their order; the stage is over.
    pub(super) fn take_results(&mut self) -> Vec<R> {
        self.is_over = true;
        self.tasks.iter_mut().filter_map(|task| task.accepted.take()).map(|(_, result)| result).collect()
    }
}

impl StandingBack {
    fn new(now: Instant) -> Self {
        Self { times: 0, in_vain: 0, until: now }
    }
}

impl<R> Task<R> {
    /// Whether a process that took a task of the task leaves it to another one of `peers`.
    fn stands_back(&mut self, process: Uuid, peers: &[Peer], patience: Duration, now: Instant) -> bool {
        let mut others = peers.iter().filter(|peer| !self.was_tried_in(peer.process)).peekable();
        if !self.was_tried_in(process) || others.peek().is_none() {
            return false;
        }
        let is_other_free = others.any(|peer| peer.is_free);
        let has_running_attempt = self.attempts.iter().any(|a| a.process == process && a.state == State::Running);
        let is_in_vain = is_other_free && self.standing.in_vain >= MAX_IN_VAIN;
        if is_in_vain && !has_running_attempt {
            return false;
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << self.standing.times.min(16)).min(patience);
        self.standing.times += 1;
        self.standing.in_vain += u32::from(is_other_free);
        self.standing.until = now + pause;
        // Its task is used up, so that another is due; a second attempt beside the first in one process is not.
        self.is_speculated = is_in_vain && has_running_attempt;
        self.submissions = self.submissions.saturating_sub(1).max(count(self.attempts.len()));
        true
    }

    /// Whether another attempt in the process is of no use.
    fn was_tried_in(&self, process: Uuid) -> bool {
        self.attempts.iter().any(|attempt| attempt.process == process && attempt.state != State::Lost)
    }

    /// Attempts that came to nothing.
    fn spent(&self) -> u32 {
        count(self.attempts.iter().filter(|attempt| attempt.state != State::Running).count())
    }

    fn is_used_up(&self, attempts: u32) -> bool {
        self.spent() >= attempts && self.running().is_none()
    }

    fn running(&self) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.state == State::Running)
    }

    fn resubmission(
        &self,
        policy: &Policy,
        pace: Option<&(Speculation, Pace)>,
        now: Instant,
        idle_since: Option<Instant>,
    ) -> Option<RetryReason> {
        // A worker that was free before the task was submitted may not have seen it yet.
        let is_ignored =
            idle_since.is_some_and(|since| now.saturating_duration_since(since.max(self.submitted)) >= policy.patience);
        let is_under_way = self.submissions > count(self.attempts.len());
        match self.running() {
            None if is_under_way => is_ignored.then_some(RetryReason::Ignored),
            _ if now < self.standing.until => None,
            None => self.attempts.last().map(|last| match last.state {
                State::Failed => RetryReason::Failed(last.process),
                _ => RetryReason::Lost(last.process),
            }),
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
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
mod tests;
