//! The workers of one run: who registered, who joined, and who can take a task.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::tracker::Peer;

/// Maximum number of workers that are alive at once, and of processes that registered and have not joined.
const MAX_WORKERS: usize = 1024;
/// A worker that has not requests for tasks for this long modes none; a busy one asks every 5 s.
const POLL_SILENCE: Duration = Duration::from_secs(15);

/// All processes that a run has heard of.
#[derive(Debug)]
pub(super) struct Workers {
    joined: BTreeMap<Uuid, Worker>,
    /// Processes that registered and have not joined.
    arrivals: BTreeMap<Uuid, Arrival>,
    /// Since when some worker has been free without a pause.
    idle_since: Option<Instant>,
    /// When a worker could last do something.
    alive: Instant,
}

/// A process before it is registered.
#[derive(Debug)]
struct Arrival {
    name: String,
    vcores: u32,
    heard: Instant,
    /// Why it is left out.
    missing: Vec<String>,
}

/// A registered process.
#[derive(Debug)]
struct Worker {
    name: String,
    vcores: u32,
    free_vcores: u32,
    /// Attempts of the last heartbeat.
    attempts: usize,
    is_draining: bool,
    heard: Instant,
    /// When it last requests for tasks.
    polled: Instant,
    is_alive: bool,
    is_polling: bool,
}

/// A call of a process that never registered with this coordinator.
#[derive(Debug)]
pub(super) struct UnknownWorker;

impl Workers {
    pub(super) fn new(now: Instant) -> Self {
        Self { joined: BTreeMap::new(), arrivals: BTreeMap::new(), idle_since: None, alive: now }
    }

    /// Notes a process that registered. False: there are too many workers.
    pub(super) fn register(&mut self, process: Uuid, name: String, vcores: u32, now: Instant) -> bool {
        if self.joined.values().filter(|worker| worker.is_alive).count() >= MAX_WORKERS {
            return false;
        }
        if self.arrivals.len() >= MAX_WORKERS
            && let Some(oldest) = self.arrivals.iter().min_by_key(|(_, arrival)| arrival.heard).map(|(id, _)| *id)
        {
            self.arrivals.remove(&oldest);
        }
        let missing = self.arrivals.remove(&process).map(|arrival| arrival.missing).unwrap_or_default();
        self.arrivals.insert(process, Arrival { name, vcores, heard: now, missing });
        true
    }

    /// Registers a process that registered, unless it misses something.
    pub(super) fn join(&mut self, process: Uuid, missing: &[String], now: Instant) -> Result<(), UnknownWorker> {
        let arrival = self.arrivals.get_mut(&process).ok_or(UnknownWorker)?;
        if !missing.is_empty() {
            if arrival.missing != missing {
                let reason = missing.join("; ");
                tracing::warn!(worker = arrival.name, reason, "a worker is left out of the run");
            }
            arrival.missing = missing.to_vec();
            return Ok(());
        }
        let (name, vcores) = (std::mem::take(&mut arrival.name), arrival.vcores);
        self.arrivals.remove(&process);
        tracing::info!(worker = name, vcores, "a worker joined");
        let worker = Worker {
            name,
            vcores,
            free_vcores: vcores,
            attempts: 0,
            is_draining: false,
            heard: now,
            polled: now,
            is_alive: true,
            is_polling: true,
        };
        self.joined.insert(process, worker);
        Ok(())
    }

    /// Returns the vcores that a registered process may have tasks for.
    pub(super) fn vcores_of(&self, process: Uuid) -> Option<u32> {
        self.joined.get(&process).map(|worker| worker.vcores)
    }

    /// Returns the name of a process for logs and errors.
    pub(super) fn name_of(&self, process: Uuid) -> String {
        self.joined.get(&process).map_or_else(|| process.to_string(), |worker| worker.name.clone())
    }

    /// Returns why workers are left out, a sentence for each.
    pub(super) fn excluded(&self) -> Vec<String> {
        let excluded = self.arrivals.values().filter(|arrival| !arrival.missing.is_empty());
        excluded.map(|arrival| format!("worker `{}` {}", arrival.name, arrival.missing.join(" and "))).collect()
    }

    /// Returns the number of workers that are alive, and their vcores.
    pub(super) fn capacity(&self) -> (usize, usize) {
        let alive = self.joined.values().filter(|worker| worker.is_alive && !worker.is_draining);
        alive.fold((0, 0), |(workers, vcores), worker| (workers + 1, vcores + worker.vcores as usize))
    }

    /// Returns the workers to which a task may be left.
    pub(super) fn peers(&self, now: Instant) -> Vec<Peer> {
        let able = self.joined.iter().filter(|(_, worker)| worker.is_able(now));
        able.map(|(process, worker)| Peer { process: *process, is_free: worker.free_vcores > 0 }).collect()
    }

    /// A registered process asks for tasks.
    pub(super) fn polled(&mut self, process: Uuid, now: Instant) {
        if let Some(worker) = self.joined.get_mut(&process) {
            worker.polled = now;
        }
    }

    /// A registered process is alive, with so many attempts under way.
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
            tracing::info!(worker = worker.name, "a worker drains");
        }
        worker.free_vcores = free_vcores.min(worker.vcores);
        worker.is_draining = is_draining;
        worker.attempts = attempts;
        worker.heard = now;
        worker.is_alive = true;
        Ok(())
    }

    /// Looks who is alive. Returns for how long no worker has been able to do anything, and since when one has been free.
    pub(super) fn count(&mut self, silence: Duration, now: Instant) -> (Duration, Option<Instant>) {
        let mut is_idle = false;
        for worker in self.joined.values_mut() {
            if worker.is_alive && now.saturating_duration_since(worker.heard) >= silence {
                worker.is_alive = false;
                if worker.is_draining {
                    tracing::info!(worker = worker.name, "a worker left");
                } else {
                    tracing::warn!(worker = worker.name, "a worker is lost; what it had under way runs elsewhere");
                }
            }
            let is_polling = worker.is_polling(now);
            if worker.is_alive && worker.is_polling && !is_polling {
                tracing::warn!(
                    worker = worker.name,
                    "a worker heartbeats and does not ask for tasks; others do its part"
                );
            }
            worker.is_polling = is_polling;
            if worker.is_alive && (is_polling || worker.attempts > 0) {
                self.alive = now;
                is_idle |= worker.free_vcores > 0 && worker.is_able(now);
            }
        }
        self.idle_since = if is_idle { self.idle_since.or(Some(now)) } else { None };
        (now.saturating_duration_since(self.alive), self.idle_since)
    }
}

impl Worker {
    /// Whether it requests for tasks a short time ago.
    fn is_polling(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.polled) < POLL_SILENCE
    }

    /// Whether a task may be left to it: it asks for tasks, and is free or will be.
    fn is_able(&self, now: Instant) -> bool {
        self.is_alive && !self.is_draining && self.is_polling(now) && (self.free_vcores > 0 || self.attempts > 0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_worker_that_beats_and_does_not_ask_for_tasks_is_neither_free_nor_there() {
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
            assert_eq!(workers.peers(now).len(), usize::from(second < 15), "{second}");
        }
        workers.polled(process, now);
        assert_eq!(workers.count(SECOND * 5, now), (Duration::ZERO, Some(now)));
        // Busy without attempts, it will not be free.
        workers.heartbeat(process, 0, false, 0, now).unwrap();
        assert_eq!(workers.peers(now).len(), 0);
        workers.heartbeat(process, 0, false, 2, now).unwrap();
        assert!(!workers.peers(now)[0].is_free);
    }

    #[test]
    fn registrations_without_end_take_bounded_memory_and_a_left_out_worker_may_join_later() {
        let now = Instant::now();
        let mut workers = Workers::new(now);
        for n in 0..5000 {
            assert!(workers.register(Uuid::from_u128(n), "w".to_owned(), 1, now + SECOND * u32::try_from(n).unwrap()));
        }
        assert_eq!(workers.arrivals.len(), MAX_WORKERS);
        let last = Uuid::from_u128(4999);
        workers.join(last, &["does not see the lake".to_owned()], now).unwrap();
        assert_eq!((workers.excluded().len(), workers.capacity()), (1, (0, 0)));
        workers.join(last, &[], now).unwrap();
        assert_eq!((workers.excluded().len(), workers.capacity()), (0, (1, 1)));
        assert!(workers.join(last, &[], now).is_err());
    }
}
