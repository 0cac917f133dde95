//! Keeps the workers of one run: who registered, who joined, and who can take a task.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::task_attempts::Candidate;

/// Maximum number of joined workers that are alive. Also the maximum number of processes that have
/// registered but not joined.
const MAX_WORKERS: usize = 1024;
/// Time without a poll after which a worker counts as unable to take tasks. A busy worker polls
/// every 5 s.
const POLL_SILENCE: Duration = Duration::from_secs(15);
/// Time for which a worker may report that it has no free vcore and yet no running attempt. After
/// that, it counts as stuck, and thus as unable to take tasks. A healthy worker reports this only
/// briefly, between taking a task and starting its attempt.
const STUCK_AFTER: Duration = Duration::from_secs(5);

/// All processes that have called the coordinator of a run.
#[derive(Debug)]
pub(super) struct Workers {
    joined: BTreeMap<Uuid, Worker>,
    /// Processes that have registered but not joined.
    registered: BTreeMap<Uuid, Registered>,
    /// Time since which at least one worker has been free without interruption; `None` if none is
    /// free.
    idle_since: Option<Instant>,
    /// Last time at which some worker was alive and able to work.
    alive: Instant,
}

/// A process that has registered but not joined.
#[derive(Debug)]
struct Registered {
    name: String,
    vcores: u32,
    heard: Instant,
    /// Reasons why the last `join` of the process was refused, such as "cannot read the lake at
    /// `/lake/`". Messages print them after its name. Empty if no `join` was refused.
    missing: Vec<String>,
}

/// A joined worker.
#[derive(Debug)]
struct Worker {
    name: String,
    vcores: u32,
    free_vcores: u32,
    /// Number of running attempts, as reported by the last heartbeat.
    attempts: usize,
    /// Time since which every heartbeat has reported no free vcore and no running attempt; `None`
    /// if the last one reported either.
    stuck_since: Option<Instant>,
    is_draining: bool,
    /// Time of the last heartbeat.
    heard: Instant,
    /// Time of the last poll.
    polled: Instant,
    is_alive: bool,
    is_polling: bool,
}

/// Error for a call from a process that has not registered, or has not joined.
#[derive(Debug)]
pub(super) struct UnknownWorker;

impl Workers {
    pub(super) fn new(now: Instant) -> Self {
        Self { joined: BTreeMap::new(), registered: BTreeMap::new(), idle_since: None, alive: now }
    }

    /// Registers a process. Returns `false` if there are too many workers.
    pub(super) fn register(&mut self, process: Uuid, name: String, vcores: u32, now: Instant) -> bool {
        // Lost workers do not count, so that new ones can replace them.
        if self.joined.values().filter(|worker| worker.is_alive).count() >= MAX_WORKERS {
            return false;
        }
        // Strangers may register as often as they like, so the oldest registration makes room.
        if self.registered.len() >= MAX_WORKERS
            && let Some(oldest) = self.registered.iter().min_by_key(|(_, worker)| worker.heard).map(|(id, _)| *id)
        {
            self.registered.remove(&oldest);
        }
        // Keep the findings of an earlier `join`, so that the same exclusion is logged only once.
        let missing = self.registered.remove(&process).map(|worker| worker.missing).unwrap_or_default();
        self.registered.insert(process, Registered { name, vcores, heard: now, missing });
        true
    }

    /// Lets a registered process join if `missing` is empty. Otherwise, `missing` has the reasons
    /// why the process is excluded, such as a storage that it does not see.
    ///
    /// # Errors
    /// An error if the process has not registered.
    pub(super) fn join(&mut self, process: Uuid, missing: &[String], now: Instant) -> Result<(), UnknownWorker> {
        let worker = self.registered.get_mut(&process).ok_or(UnknownWorker)?;
        if !missing.is_empty() {
            if worker.missing != missing {
                let reason = missing.join("; ");
                tracing::warn!(worker = worker.name, reason, "a worker is excluded from the run");
            }
            worker.missing = missing.to_vec();
            return Ok(());
        }
        let (name, vcores) = (std::mem::take(&mut worker.name), worker.vcores);
        self.registered.remove(&process);
        tracing::info!(worker = name, vcores, "a worker joined");
        let worker = Worker {
            name,
            vcores,
            free_vcores: vcores,
            attempts: 0,
            stuck_since: None,
            is_draining: false,
            heard: now,
            polled: now,
            is_alive: true,
            is_polling: true,
        };
        self.joined.insert(process, worker);
        Ok(())
    }

    /// Returns the vcores of a joined worker.
    pub(super) fn vcores_of(&self, process: Uuid) -> Option<u32> {
        self.joined.get(&process).map(|worker| worker.vcores)
    }

    /// Returns the name of a process for logs and errors.
    pub(super) fn name_of(&self, process: Uuid) -> String {
        self.joined.get(&process).map_or_else(|| process.to_string(), |worker| worker.name.clone())
    }

    /// Returns one sentence per excluded worker, with the storages it does not see.
    pub(super) fn excluded(&self) -> Vec<String> {
        let excluded = self.registered.values().filter(|worker| !worker.missing.is_empty());
        excluded.map(|worker| format!("worker `{}` {}", worker.name, worker.missing.join(" and "))).collect()
    }

    /// Returns the number of workers that are alive and not draining, and the sum of their vcores.
    pub(super) fn capacity(&self) -> (usize, usize) {
        let alive = self.joined.values().filter(|worker| worker.is_alive && !worker.is_draining);
        alive.fold((0, 0), |(workers, vcores), worker| (workers + 1, vcores + worker.vcores as usize))
    }

    /// Returns the workers that could take a task.
    pub(super) fn candidates(&self, now: Instant) -> Vec<Candidate> {
        let able = self.joined.iter().filter(|(_, worker)| worker.is_able(now));
        able.map(|(process, worker)| Candidate { process: *process, is_free: worker.free_vcores > 0 }).collect()
    }

    /// Records a poll of a joined worker.
    pub(super) fn polled(&mut self, process: Uuid, now: Instant) {
        if let Some(worker) = self.joined.get_mut(&process) {
            worker.polled = now;
        }
    }

    /// Records a heartbeat of a joined worker with its number of running attempts.
    ///
    /// # Errors
    /// An error if the worker has not joined.
    pub(super) fn heartbeat(
        &mut self,
        process: Uuid,
        free_vcores: u32,
        is_draining: bool,
        attempts: usize,
        now: Instant,
    ) -> Result<(), UnknownWorker> {
        let worker = self.joined.get_mut(&process).ok_or(UnknownWorker)?;
        if !worker.is_alive {
            tracing::info!(worker = worker.name, "a worker is back");
        }
        if is_draining && !worker.is_draining {
            tracing::info!(worker = worker.name, "a worker is draining");
        }
        // A worker may report more free vcores than it registered.
        worker.free_vcores = free_vcores.min(worker.vcores);
        worker.is_draining = is_draining;
        worker.attempts = attempts;
        let is_full_without_attempts = worker.free_vcores == 0 && attempts == 0;
        worker.stuck_since = is_full_without_attempts.then(|| worker.stuck_since.unwrap_or(now));
        worker.heard = now;
        worker.is_alive = true;
        Ok(())
    }

    /// Updates which workers are alive. Returns how long no worker has been able to work, and the
    /// time since which at least one worker has been free without interruption (`None` if none is
    /// free).
    pub(super) fn count(&mut self, lost_after: Duration, now: Instant) -> (Duration, Option<Instant>) {
        let mut is_idle = false;
        for worker in self.joined.values_mut() {
            if worker.is_alive && now.saturating_duration_since(worker.heard) >= lost_after {
                worker.is_alive = false;
                if worker.is_draining {
                    tracing::info!(worker = worker.name, "a worker left");
                } else {
                    tracing::warn!(worker = worker.name, "a worker is lost; its tasks will run elsewhere");
                }
            }
            let is_polling = worker.is_polling(now);
            if worker.is_alive && worker.is_polling && !is_polling {
                tracing::warn!(
                    worker = worker.name,
                    "a worker sends heartbeats and does not poll for tasks; others run its share"
                );
            }
            worker.is_polling = is_polling;
            // A worker that only sends heartbeats does not keep the run alive.
            if worker.is_alive && (is_polling || worker.attempts > 0) {
                self.alive = now;
                is_idle |= worker.free_vcores > 0 && worker.is_able(now);
            }
        }
        // Keep the start of an idle period that is still in progress.
        self.idle_since = if is_idle { self.idle_since.or(Some(now)) } else { None };
        (now.saturating_duration_since(self.alive), self.idle_since)
    }
}

impl Worker {
    /// Returns whether the worker polled recently.
    fn is_polling(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.polled) < POLL_SILENCE
    }

    /// Returns whether the worker could take a task: it is alive, polls, is not draining, and has a
    /// free vcore or will have one.
    fn is_able(&self, now: Instant) -> bool {
        let is_stuck = self.stuck_since.is_some_and(|since| now.saturating_duration_since(since) >= STUCK_AFTER);
        self.is_alive && !self.is_draining && self.is_polling(now) && !is_stuck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_worker_that_sends_heartbeats_without_polling_is_neither_free_nor_able() {
        let start = Instant::now();
        let mut workers = Workers::new(start);
        let process = Uuid::from_u128(1);
        assert!(workers.register(process, "w".to_owned(), 2, start));
        workers.join(process, &[], start).unwrap();
        let mut now = start;
        for second in 0..20 {
            now = start + SECOND * second;
            workers.heartbeat(process, 2, false, 0, now).unwrap();
            let (alone, idle_since) = workers.count(SECOND * 5, now);
            assert_eq!((alone.is_zero(), idle_since.is_some()), (second < 15, second < 15), "{second}");
            assert_eq!(workers.candidates(now).len(), usize::from(second < 15), "{second}");
        }
        workers.polled(process, now);
        assert_eq!(workers.count(SECOND * 5, now), (Duration::ZERO, Some(now)));
        workers.heartbeat(process, 0, false, 2, now).unwrap();
        assert!(!workers.candidates(now)[0].is_free);
    }

    #[test]
    fn a_worker_between_a_task_and_its_attempt_is_able_and_one_that_stays_there_is_not() {
        let start = Instant::now();
        let mut workers = Workers::new(start);
        let process = Uuid::from_u128(1);
        assert!(workers.register(process, "w".to_owned(), 2, start));
        workers.join(process, &[], start).unwrap();
        for second in 0..10 {
            let now = start + SECOND * second;
            workers.heartbeat(process, 0, false, 0, now).unwrap();
            let able: Vec<bool> = workers.candidates(now).iter().map(|candidate| candidate.is_free).collect();
            assert_eq!(able, if second < 5 { vec![false] } else { vec![] }, "{second}");
        }
        let now = start + SECOND * 10;
        workers.heartbeat(process, 0, false, 1, now).unwrap();
        workers.heartbeat(process, 0, false, 0, now).unwrap();
        assert_eq!(workers.candidates(now).len(), 1);
    }

    #[test]
    fn registrations_use_bounded_memory_and_an_excluded_worker_may_join_later() {
        let now = Instant::now();
        let mut workers = Workers::new(now);
        for n in 0..5000 {
            assert!(workers.register(Uuid::from_u128(n), "w".to_owned(), 1, now + SECOND * u32::try_from(n).unwrap()));
        }
        assert_eq!(workers.registered.len(), MAX_WORKERS);
        let last = Uuid::from_u128(4999);
        workers.join(last, &["does not see the lake".to_owned()], now).unwrap();
        assert_eq!((workers.excluded().len(), workers.capacity()), (1, (0, 0)));
        workers.join(last, &[], now).unwrap();
        assert_eq!((workers.excluded().len(), workers.capacity()), (0, (1, 1)));
        assert!(workers.join(last, &[], now).is_err());
    }
}
