//! Tests of the tracker: its rules one by one, and any interleaving of events.

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn policy() -> Policy {
    Policy {
        lost_after: SECOND * 5,
        offer_timeout: SECOND * 3,
        max_attempts: 3,
        speculation: Some(Speculation { done_share: 0.5, slowness: 2.0, at_least: SECOND }),
    }
}

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn failure() -> Error {
    Error::storage_failure("the first cause")
}

/// Candidates that are free.
fn free(processes: &[u128]) -> Vec<Candidate> {
    processes.iter().map(|n| Candidate { process: id(*n), is_free: true }).collect()
}

fn tasks(retries: &[Retry]) -> Vec<(usize, RetryReason)> {
    retries.iter().map(|retry| (retry.task, retry.reason)).collect()
}

#[test]
fn the_first_success_wins_and_may_be_reported_again() {
    let now = Instant::now();
    let mut tracker = TaskAttempts::new(1, policy(), now);
    assert_eq!(tracker.start(0, id(1), id(10), &[], now), Decision::Continue);
    assert_eq!(tracker.start(0, id(2), id(20), &[], now), Decision::Continue);
    assert!(tracker.succeed(0, id(1), "first", 0, now));
    assert!(!tracker.succeed(0, id(2), "second", 0, now));
    assert!(tracker.succeed(0, id(1), "again", 0, now));
    assert_eq!(tracker.start(0, id(3), id(30), &[], now), Decision::Cancel);
    assert_eq!(tracker.heartbeat(0, id(2), 0, now), Decision::Cancel);
    assert_eq!(tracker.take_results(), ["first"]);
}

#[test]
fn a_silent_attempt_is_lost_and_its_late_success_counts_if_it_is_the_first() {
    let now = Instant::now();
    let mut tracker = TaskAttempts::new(1, policy(), now);
    tracker.start(0, id(1), id(10), &[], now);
    assert_eq!(tasks(&tracker.tick(now + SECOND * 4, None).unwrap()), []);
    assert_eq!(tasks(&tracker.tick(now + SECOND * 5, None).unwrap()), [(0, RetryReason::Lost(id(10)))]);
    // The task is queued again, so nothing more is due.
    assert_eq!(tasks(&tracker.tick(now + SECOND * 6, None).unwrap()), []);
    assert!(tracker.succeed(0, id(1), (), 0, now + SECOND * 7));
    assert!(tracker.is_done());
}

#[test]
fn an_attempt_with_heartbeats_is_never_lost() {
    let now = Instant::now();
    let mut tracker = TaskAttempts::<()>::new(1, policy(), now);
    tracker.start(0, id(1), id(10), &[], now);
    for second in 1..60 {
        assert_eq!(tracker.heartbeat(0, id(1), 0, now + SECOND * second), Decision::Continue);
        assert_eq!(tasks(&tracker.tick(now + SECOND * second, Some(now)).unwrap()), []);
    }
}

#[test]
fn an_ignored_task_is_offered_again_only_while_a_worker_is_free() {
    let now = Instant::now();
    let mut tracker = TaskAttempts::<()>::new(1, policy(), now);
    assert_eq!(tasks(&tracker.tick(now + SECOND * 60, None).unwrap()), []);
    let free = now + SECOND * 60;
    assert_eq!(tasks(&tracker.tick(free + SECOND * 2, Some(free)).unwrap()), []);
    assert_eq!(tasks(&tracker.tick(free + SECOND * 3, Some(free)).unwrap()), [(0, RetryReason::Ignored)]);
    assert_eq!(tasks(&tracker.tick(free + SECOND * 5, Some(free)).unwrap()), []);
    // The offer is not deferred forever.
    let error = (0..20).find_map(|i| tracker.tick(free + SECOND * (10 * i), Some(free)).err());
    assert!(matches!(error, Some(StageFailure::Ignored { task: 0, .. })), "{error:?}");
}

#[test]
fn a_data_error_is_not_retried() {
    let now = Instant::now();
    let mut tracker = TaskAttempts::<()>::new(1, policy(), now);
    tracker.start(0, id(1), id(100), &[], now);
    assert!(tracker.fail(0, id(1), now, failure()).is_none());
    tracker.start(0, id(2), id(101), &[], now);
    let error = tracker.fail(0, id(2), now, Error::data("a wrong row"));
    assert_eq!(error.map(|error| error.to_string()), Some("a wrong row".to_owned()));
}

#[test]
fn failures_are_retried_until_attempts_run_out() {
    let now = Instant::now();
    let mut tracker = TaskAttempts::<()>::new(1, policy(), now);
    for attempt in 1..=3 {
        tracker.start(0, id(attempt), id(10), &[], now);
        let failed = tracker.fail(0, id(attempt), now, Error::internal(format!("cause {attempt}")));
        // The first error is returned, because later ones may be its consequences.
        assert_eq!(failed.map(|error| error.message), (attempt == 3).then(|| "cause 1".to_owned()));
        // A failure that is reported twice is counted once.
        assert!(tracker.fail(0, id(attempt), now, failure()).is_none());
        if attempt < 3 {
            assert_eq!(tasks(&tracker.tick(now, None).unwrap()), [(0, RetryReason::Failed(id(10)))]);
        }
    }
}

#[test]
fn a_task_that_failed_goes_to_another_worker_while_there_is_one() {
    let mut now = Instant::now();
    let mut tracker = TaskAttempts::<()>::new(1, policy(), now);
    let candidates = free(&[10, 20]);
    tracker.start(0, id(1), id(10), &candidates, now);
    tracker.fail(0, id(1), now, failure());
    for attempt in 2..5 {
        assert_eq!(tracker.tick(now, Some(now)).unwrap().len(), 1);
        assert_eq!(tracker.start(0, id(attempt), id(10), &candidates, now), Decision::Cancel);
        // The task is not offered again at once.
        assert_eq!(tracker.tick(now, Some(now)).unwrap().len(), 0);
        now += SECOND * 3;
    }
    assert_eq!(tracker.tick(now, Some(now)).unwrap().len(), 1);
    assert_eq!(tracker.start(0, id(5), id(20), &candidates, now), Decision::Continue);
    tracker.fail(0, id(5), now, failure());
    // The task failed on every worker, so any worker may retry it.
    assert_eq!(tracker.tick(now, Some(now)).unwrap().len(), 1);
    assert_eq!(tracker.start(0, id(6), id(10), &candidates, now), Decision::Continue);
}

#[test]
fn deferrals_for_a_busy_worker_are_unlimited_and_for_an_idle_one_limited() {
    for is_free in [false, true] {
        let mut now = Instant::now();
        let mut tracker = TaskAttempts::<()>::new(1, policy(), now);
        let candidates = [Candidate { process: id(10), is_free: true }, Candidate { process: id(20), is_free }];
        tracker.start(0, id(1), id(10), &candidates, now);
        tracker.fail(0, id(1), now, failure());
        let mut deferred = 0;
        for attempt in 2..100 {
            now += SECOND * 3;
            assert_eq!(tracker.tick(now, Some(now)).unwrap().len(), 1);
            match tracker.start(0, id(attempt), id(10), &candidates, now) {
                Decision::Cancel => deferred += 1,
                Decision::Continue => break,
            }
        }
        assert_eq!(deferred, if is_free { MAX_DEFERRALS } else { 98 });
    }
}

#[test]
fn a_slow_attempt_never_runs_twice_in_one_process_while_there_is_another() {
    let now = Instant::now();
    let mut tracker = TaskAttempts::<()>::new(1, policy(), now);
    let candidates = free(&[10, 20]);
    tracker.start(0, id(1), id(10), &candidates, now);
    for attempt in 2..50 {
        assert_eq!(tracker.start(0, id(attempt), id(10), &candidates, now + SECOND * 3), Decision::Cancel);
    }
}

#[test]
fn a_task_that_kills_its_workers_fails_the_stage() {
    let mut now = Instant::now();
    let mut tracker = TaskAttempts::<()>::new(1, policy(), now);
    for attempt in 1..=3 {
        tracker.start(0, id(attempt), id(10 + attempt), &[], now);
        now += SECOND * 5;
        assert_eq!(tracker.tick(now, None).is_err(), attempt == 3);
    }
}

#[test]
fn a_slow_task_gets_one_speculative_attempt_once_enough_is_done_and_a_worker_is_free() {
    let now = Instant::now();
    let mut tracker = TaskAttempts::new(4, policy(), now);
    for task in 0..4 {
        tracker.start(task, id(task as u128), id(10), &[], now);
    }
    for task in 0..2 {
        assert_eq!(tasks(&tracker.tick(now + SECOND * 2, Some(now)).unwrap()), []);
        assert!(tracker.succeed(task, id(task as u128), (), 0, now + SECOND * 2));
    }
    for task in 2..4 {
        tracker.heartbeat(task, id(task as u128), 0, now + SECOND * 4);
    }
    assert_eq!(tasks(&tracker.tick(now + SECOND * 3, Some(now)).unwrap()), []);
    assert_eq!(tasks(&tracker.tick(now + SECOND * 4, None).unwrap()), []);
    let speculative = [(2, RetryReason::Slow(id(10))), (3, RetryReason::Slow(id(10)))];
    assert_eq!(tasks(&tracker.tick(now + SECOND * 4, Some(now)).unwrap()), speculative);
    assert_eq!(tasks(&tracker.tick(now + SECOND * 5, Some(now)).unwrap()), []);
    // The speculative attempt wins, and the slow attempt is cancelled.
    let candidates = free(&[10, 11]);
    assert_eq!(tracker.start(2, id(19), id(10), &candidates, now + SECOND * 5), Decision::Cancel);
    assert_eq!(tasks(&tracker.tick(now + SECOND * 6, Some(now)).unwrap()), speculative[..1]);
    tracker.start(2, id(20), id(11), &candidates, now + SECOND * 6);
    assert!(tracker.succeed(2, id(20), (), 0, now + SECOND * 7));
    assert_eq!(tracker.heartbeat(2, id(2), 0, now + SECOND * 7), Decision::Cancel);
}

#[test]
fn nothing_is_accepted_once_the_stage_is_over() {
    let now = Instant::now();
    let mut tracker = TaskAttempts::new(2, policy(), now);
    tracker.start(0, id(1), id(10), &[], now);
    tracker.take_results();
    assert_eq!(tracker.start(1, id(2), id(10), &[], now), Decision::Cancel);
    assert_eq!(tracker.heartbeat(0, id(1), 0, now), Decision::Cancel);
    assert!(!tracker.succeed(0, id(1), (), 0, now));
    assert!(tracker.fail(0, id(1), now, failure()).is_none());
    assert!(tracker.tick(now + SECOND * 60, Some(now)).unwrap().is_empty());
}

/// An event. A number selects one of the tasks or attempts that it can happen to, modulo their
/// count.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// A worker takes a queued task: the task, the worker.
    Take(usize, usize),
    /// A queued task is lost on its way to a worker.
    Lose(usize),
    Heartbeat(usize),
    Succeed(usize),
    Fail(usize),
    /// A worker dies with its attempt.
    Die(usize),
    /// Time passes and the stage is advanced, with a free worker or without one.
    Wait(u32, bool),
    /// A worker becomes busy, or free again.
    Busy(usize),
}

/// Number of workers of the model.
const WORKERS: u128 = 3;
/// Id of one more worker, which is free and takes nothing.
const IDLER: u128 = 99;

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (0..8_usize, 0..8_usize).prop_map(|(i, worker)| Event::Take(i, worker)),
        1 => (0..8_usize).prop_map(Event::Lose),
        2 => (0..8_usize).prop_map(Event::Heartbeat),
        2 => (0..8_usize).prop_map(Event::Succeed),
        2 => (0..8_usize).prop_map(Event::Fail),
        1 => (0..8_usize).prop_map(Event::Die),
        3 => (0..7_u32, any::<bool>()).prop_map(|(seconds, is_free)| Event::Wait(seconds, is_free)),
        1 => (0..8_usize).prop_map(Event::Busy),
    ]
}

/// The queue and the workers around a tracker.
struct World {
    tracker: TaskAttempts<Uuid>,
    now: Instant,
    queue: Vec<usize>,
    running: Vec<(usize, Uuid)>,
    candidates: Vec<Candidate>,
    /// Accepted attempt of each task.
    accepted: Vec<Option<Uuid>>,
    attempts: u128,
    /// Number of offers so far.
    offers: usize,
}

impl World {
    fn new(tasks: usize, has_idler: bool) -> Self {
        let now = Instant::now();
        let policy = Policy { max_attempts: u32::MAX, ..policy() };
        let mut candidates = free(&(1..=WORKERS).collect::<Vec<_>>());
        candidates.extend(free(if has_idler { &[IDLER] } else { &[] }));
        Self {
            tracker: TaskAttempts::new(tasks, policy, now),
            now,
            queue: (0..tasks).collect(),
            running: vec![],
            candidates,
            accepted: vec![None; tasks],
            attempts: 0,
            offers: 0,
        }
    }

    /// A worker takes a task. Offers are only deferred for processes that tried the task before.
    fn take(&mut self, i: usize, worker: u128) {
        let task = self.queue.remove(i);
        // Ids of attempts do not overlap with those of processes.
        self.attempts += 1;
        let attempt = id(1000 + self.attempts);
        let was_tried = self.tracker.tasks[task].was_tried_in(id(worker));
        let decision = self.tracker.start(task, attempt, id(worker), &self.candidates, self.now);
        match decision {
            Decision::Continue => self.running.push((task, attempt)),
            Decision::Cancel => {
                assert!(self.accepted[task].is_some() || was_tried, "deferred for a process that did not try it")
            }
        }
        assert!(decision == Decision::Cancel || self.accepted[task].is_none());
    }

    fn succeed(&mut self, i: usize) {
        let (task, attempt) = self.running.remove(i);
        let is_accepted = self.tracker.succeed(task, attempt, attempt, 0, self.now);
        assert_eq!(is_accepted, self.accepted[task].is_none(), "a task is accepted exactly once");
        if is_accepted {
            self.accepted[task] = Some(attempt);
        }
    }

    fn fail(&mut self, i: usize) {
        let (task, attempt) = self.running.remove(i);
        assert!(self.tracker.fail(task, attempt, self.now, failure()).is_none());
    }

    fn wait(&mut self, seconds: u32, idle_since: Option<Instant>) {
        self.now += SECOND * seconds;
        // This model loses so many submissions that a task may be offered too often. That is an
        // error and ends the stage.
        if let Ok(retries) = self.tracker.tick(self.now, idle_since) {
            self.offers += retries.len();
            for retry in retries {
                assert!(self.accepted[retry.task].is_none(), "a finished task was queued again");
                self.queue.push(retry.task);
            }
        }
    }

    fn happen(&mut self, event: Event) {
        let nth = |i: usize, of: usize| (of > 0).then(|| i % of);
        match event {
            Event::Take(i, worker) => {
                let Some(i) = nth(i, self.queue.len()) else { return };
                self.take(i, 1 + worker as u128 % WORKERS);
            }
            Event::Lose(i) => drop(nth(i, self.queue.len()).map(|i| self.queue.remove(i))),
            Event::Succeed(i) => drop(nth(i, self.running.len()).map(|i| self.succeed(i))),
            Event::Die(i) => drop(nth(i, self.running.len()).map(|i| self.running.remove(i))),
            Event::Heartbeat(i) => {
                let Some(i) = nth(i, self.running.len()) else { return };
                let (task, attempt) = self.running[i];
                if self.tracker.heartbeat(task, attempt, 0, self.now) == Decision::Cancel {
                    assert!(self.accepted[task].is_some(), "a useful attempt was cancelled");
                    self.running.remove(i);
                }
            }
            Event::Fail(i) => {
                let Some(i) = nth(i, self.running.len()) else { return };
                self.fail(i);
            }
            Event::Wait(seconds, is_free) => {
                let before = self.now;
                self.wait(seconds, is_free.then_some(before));
            }
            Event::Busy(i) => {
                let i = i % self.candidates.len();
                self.candidates[i].is_free = !self.candidates[i].is_free;
            }
        }
    }
}

proptest! {
    #[test]
    fn every_task_is_accepted_once_and_never_stops_making_progress_while_a_worker_lives(
        tasks in 1..5_usize,
        has_idler in any::<bool>(),
        events in proptest::collection::vec(event(), 0..60),
    ) {
        let mut world = World::new(tasks, has_idler);
        for event in events {
            world.happen(event);
        }
        // From any state, one worker that takes and finishes everything ends the stage, with or
        // without an idler beside it.
        world.candidates.retain(|candidate| candidate.process == id(1) || candidate.process == id(IDLER));
        world.candidates.iter_mut().for_each(|candidate| candidate.is_free = true);
        world.running.clear();
        world.offers = 0;
        let free = world.now;
        let rounds = 2 * (MAX_DEFERRALS + 4);
        for _ in 0..rounds {
            world.wait(6, Some(free));
            while !world.queue.is_empty() {
                world.take(0, 1);
            }
            while !world.running.is_empty() {
                world.succeed(0);
            }
        }
        prop_assert!(world.tracker.is_done());
        // No task is offered forever.
        prop_assert!(world.offers <= tasks * (MAX_DEFERRALS as usize + 4), "{} offers", world.offers);
        let winners: Vec<Uuid> = world.accepted.iter().flatten().copied().collect();
        prop_assert_eq!(world.tracker.take_results(), winners);
    }
}
