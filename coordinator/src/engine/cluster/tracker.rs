//! What has become of each slot of a stage: a pure state machine, the truth about what is done.
//!
//! A slot is submitted as a task; a worker that takes the task begins an attempt of it; the attempt beats, and ends with
//! a report or goes silent. The first success wins. Time comes in with every call, so that any interleaving can be
//! tested.
//!
//! ```text
//!   submitted ──begin──► running ──success──► accepted (the slot is done)
//!       ▲                  │ ├────failure──► failed ─┐
//!       │                  │ └────silence──► lost  ──┤ submitted again, until attempts run out
//!       └──────────────────┴─────────────────────────┘
//! ```
//!
//! A process in which a slot failed stands back from it while another could take it: the offer is repeated, after longer
//! and longer pauses. It goes on in the end if the others are free and still do not take it, so that no slot is offered
//! without end.

use std::time::{Duration, Instant};

use lakewright_common::error::{Error, Kind};
use uuid::Uuid;

use super::speculation::{Finished, Pace, Speculation, Underway};

/// When a slot is given to another worker, and when it is given up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Policy {
    /// An attempt that has been silent for this long is lost.
    pub(super) silence: Duration,
    /// A slot that no worker took for this long, while one was free, was lost on its way.
    pub(super) patience: Duration,
    /// Attempts of a slot that may fail or be lost before the stage fails.
    pub(super) attempts: u32,
    pub(super) speculation: Option<Speculation>,
}

/// Slots of one stage, whose results are of type `R`.
#[derive(Debug)]
pub(super) struct Tracker<R> {
    policy: Policy,
    slots: Vec<Slot<R>>,
    finished: Finished,
    is_over: bool,
}

#[derive(Debug)]
struct Slot<R> {
    submissions: u32,
    submitted: Instant,
    attempts: Vec<Attempt>,
    standing: StandingBack,
    /// The attempt that won, and what it came to until the stage takes it.
    accepted: Option<(Uuid, R)>,
    is_speculated: bool,
    /// What the first attempt to fail failed with.
    cause: Option<Error>,
}

/// Offers of a slot that processes stood back from since its last attempt started.
#[derive(Debug, Clone, Copy)]
struct StandingBack {
    /// All of them.
    times: u32,
    /// Of these, offers that another process was free to take.
    in_vain: u32,
    /// The slot is not offered again before.
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
    underway: Underway,
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
pub(super) enum Verdict {
    GoOn,
    Stop,
}

/// Why a slot is submitted again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Because {
    /// The process that ran it went silent.
    Lost(Uuid),
    /// The process that ran it reported a failure.
    Failed(Uuid),
    /// Nobody took it though somebody could have.
    Ignored,
    /// The process that runs it is slow.
    Slow(Uuid),
}

/// A slot to submit again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Resubmit {
    pub(super) slot: usize,
    pub(super) because: Because,
}

/// Why a stage cannot go on.
#[derive(Debug)]
pub(super) enum GivenUp {
    /// Some attempts were lost, and this is what the first of the others failed with.
    Failed(Error),
    /// As many attempts of the slot as are allowed came to nothing, the last of them in this process.
    Lost { slot: usize, last: Uuid, times: u32 },
    /// Nobody took the slot, however often it was offered.
    Ignored { slot: usize, times: u32 },
}

/// Never taken by a free worker this often: something else is wrong.
const MAX_IGNORED: u32 = 10;
/// Offers that a process stands back from while another is free, before it goes on all the same.
const MAX_IN_VAIN: u32 = 8;
/// Pause before a slot is offered again after the first of them; it doubles up to the policy's patience.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

impl<R> Tracker<R> {
    /// All slots are taken to be submitted now.
    pub(super) fn new(slots: usize, policy: Policy, now: Instant) -> Self {
        let slot = || Slot {
            submissions: 1,
            submitted: now,
            attempts: vec![],
            standing: StandingBack::new(now),
            accepted: None,
            is_speculated: false,
            cause: None,
        };
        Self { policy, slots: (0..slots).map(|_| slot()).collect(), finished: Finished::default(), is_over: false }
    }

    /// A worker took a task of `slot`; asked again for the same attempt, the answer is the same. A process in which the
    /// slot failed before, or in which it is too slow, stands back while one of `peers` could take it.
    pub(super) fn begin(&mut self, slot: usize, id: Uuid, process: Uuid, peers: &[Peer], now: Instant) -> Verdict {
        let patience = self.policy.patience;
        let Some(slot) = self.slots.get_mut(slot).filter(|slot| !self.is_over && slot.accepted.is_none()) else {
            return Verdict::Stop;
        };
        if let Some(attempt) = slot.attempts.iter_mut().find(|attempt| attempt.id == id) {
            attempt.underway.heard = now;
            return Verdict::GoOn;
        }
        if slot.stands_back(process, peers, patience, now) {
            return Verdict::Stop;
        }
        slot.standing = StandingBack::new(now);
        slot.attempts.push(Attempt {
            id,
            process,
            underway: Underway { began: now, heard: now, rows: 0 },
            state: State::Running,
        });
        // A task that was thought lost came after all.
        slot.submissions = slot.submissions.max(count(slot.attempts.len()));
        Verdict::GoOn
    }

    /// Returns the process that runs an attempt.
    pub(super) fn process_of(&self, slot: usize, id: Uuid) -> Option<Uuid> {
        let attempt = self.slots.get(slot)?.attempts.iter().find(|attempt| attempt.id == id)?;
        Some(attempt.process)
    }

    /// An attempt is alive, and its leaves have taken in `rows` so far.
    pub(super) fn beat(&mut self, slot: usize, id: Uuid, rows: u64, now: Instant) -> Verdict {
        let Some(slot) = self.slots.get_mut(slot).filter(|slot| !self.is_over && slot.accepted.is_none()) else {
            return Verdict::Stop;
        };
        match slot.attempts.iter_mut().find(|attempt| attempt.id == id) {
            Some(attempt) if attempt.state != State::Failed => {
                attempt.underway = Underway { heard: now, rows, ..attempt.underway };
                // It was only paused; what replaced it is its rival now.
                attempt.state = State::Running;
                Verdict::GoOn
            }
            _ => Verdict::Stop,
        }
    }

    /// An attempt did it, after it had taken in `rows`. True: its result is the slot's, also when it says so again.
    pub(super) fn succeed(&mut self, slot: usize, id: Uuid, result: R, rows: u64, now: Instant) -> bool {
        let is_over = self.is_over;
        let Some(slot) = self.slots.get_mut(slot) else { return false };
        match &slot.accepted {
            Some((winner, _)) => *winner == id,
            None if is_over => false,
            None => {
                let Some(attempt) = slot.attempts.iter().find(|attempt| attempt.id == id) else { return false };
                self.finished.add(now.saturating_duration_since(attempt.underway.began), rows);
                slot.accepted = Some((id, result));
                true
            }
        }
    }

    /// An attempt could not do it. `Some`: what the whole stage fails with, as the attempts are used up or of no use.
    pub(super) fn fail(&mut self, slot: usize, id: Uuid, now: Instant, error: Error) -> Option<Error> {
        let attempts = self.policy.attempts;
        let state = self.slots.get_mut(slot).filter(|slot| !self.is_over && slot.accepted.is_none())?;
        let attempt = state.attempts.iter_mut().find(|attempt| attempt.id == id && attempt.state != State::Failed)?;
        attempt.state = State::Failed;
        attempt.underway.heard = now;
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
    /// A slot whose attempts were all lost, or that nobody takes.
    pub(super) fn tick(&mut self, now: Instant, idle_since: Option<Instant>) -> Result<Vec<Resubmit>, GivenUp> {
        if self.is_over {
            return Ok(vec![]);
        }
        let policy = self.policy;
        let speculation = policy.speculation.as_ref();
        let pace = speculation.and_then(|rule| Some((*rule, self.finished.pace(self.slots.len(), rule)?)));
        let mut again = Vec::new();
        for (index, slot) in self.slots.iter_mut().enumerate().filter(|(_, slot)| slot.accepted.is_none()) {
            for attempt in &mut slot.attempts {
                if attempt.state == State::Running
                    && now.saturating_duration_since(attempt.underway.heard) >= policy.silence
                {
                    attempt.state = State::Lost;
                }
            }
            if let Some(last) = slot.attempts.last().filter(|_| slot.is_used_up(policy.attempts)) {
                let last = last.process;
                let lost = GivenUp::Lost { slot: index, last, times: policy.attempts };
                return Err(slot.cause.take().map_or(lost, GivenUp::Failed));
            }
            let Some(because) = slot.resubmission(&policy, pace.as_ref(), now, idle_since) else { continue };
            if slot.submissions >= count(slot.attempts.len()) + MAX_IGNORED {
                return Err(GivenUp::Ignored { slot: index, times: MAX_IGNORED });
            }
            slot.submissions += 1;
            slot.submitted = now;
            slot.is_speculated |= matches!(because, Because::Slow(_));
            again.push(Resubmit { slot: index, because });
        }
        Ok(again)
    }

    pub(super) fn is_done(&self) -> bool {
        self.slots.iter().all(|slot| slot.accepted.is_some())
    }

    /// Slots that are done, and slots that run.
    pub(super) fn counts(&self) -> (usize, usize) {
        let done = self.slots.iter().filter(|slot| slot.accepted.is_some()).count();
        let running = self.slots.iter().filter(|slot| slot.accepted.is_none() && slot.running().is_some()).count();
        (done, running)
    }

    /// The results of all slots in their order; the stage is over.
    pub(super) fn take_results(&mut self) -> Vec<R> {
        self.is_over = true;
        self.slots.iter_mut().filter_map(|slot| slot.accepted.take()).map(|(_, result)| result).collect()
    }
}

impl StandingBack {
    fn new(now: Instant) -> Self {
        Self { times: 0, in_vain: 0, until: now }
    }
}

impl<R> Slot<R> {
    /// Whether a process that took a task of the slot leaves it to another one of `peers`.
    fn stands_back(&mut self, process: Uuid, peers: &[Peer], patience: Duration, now: Instant) -> bool {
        let mut others = peers.iter().filter(|peer| !self.was_tried_in(peer.process)).peekable();
        if !self.was_tried_in(process) || others.peek().is_none() {
            return false;
        }
        let is_other_free = others.any(|peer| peer.is_free);
        let is_its_own_rival = self.attempts.iter().any(|a| a.process == process && a.state == State::Running);
        let is_in_vain = is_other_free && self.standing.in_vain >= MAX_IN_VAIN;
        if is_in_vain && !is_its_own_rival {
            return false;
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << self.standing.times.min(16)).min(patience);
        self.standing.times += 1;
        self.standing.in_vain += u32::from(is_other_free);
        self.standing.until = now + pause;
        // Its task is used up, so that another is due; a second attempt beside the first in one process is not.
        self.is_speculated = is_in_vain && is_its_own_rival;
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
    ) -> Option<Because> {
        // A worker that was free before the slot was submitted may not have seen it yet.
        let is_ignored =
            idle_since.is_some_and(|since| now.saturating_duration_since(since.max(self.submitted)) >= policy.patience);
        let is_under_way = self.submissions > count(self.attempts.len());
        match self.running() {
            None if is_under_way => is_ignored.then_some(Because::Ignored),
            _ if now < self.standing.until => None,
            None => self.attempts.last().map(|last| match last.state {
                State::Failed => Because::Failed(last.process),
                _ => Because::Lost(last.process),
            }),
            Some(attempt) => {
                let is_slow = pace.is_some_and(|(rule, pace)| rule.is_slow(&attempt.underway, pace, now));
                (is_slow && !self.is_speculated && idle_since.is_some()).then_some(Because::Slow(attempt.process))
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
