//! Derives a schedule from a seed: the same schedule for the same seed.

use std::time::Duration;

use lakewright_common::process::failpoint::{self, ReachedBy};
use lakewright_s3_server::{Fault as StorageFault, Harm};

/// Time span of the events of a round in milliseconds, about the duration of a run.
const ROUND: u64 = 900;
/// Duration of an outage in milliseconds. Some outages are shorter, some longer than it takes to
/// lose a worker.
const OUTAGE: std::ops::Range<u64> = 50..1200;

/// Workers, storage and events of one test.
#[derive(Debug)]
pub(super) struct Schedule {
    pub(super) seed: u64,
    pub(super) storage: Storage,
    /// Number of workers; with 0, each run is one process.
    pub(super) workers: usize,
    pub(super) rounds: Vec<Round>,
}

/// Location of the lake and its sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Storage {
    Folders,
    /// Folders, with the lake on a disk that fills up.
    SmallDisk,
    S3,
}

/// New objects, one or two runs that read them, and what happens in the meantime.
#[derive(Debug)]
pub(super) struct Round {
    /// Number of new objects of each source.
    pub(super) objects: u64,
    /// Fail point at which the round's run dies or freezes.
    pub(super) coordinator_at: Option<String>,
    /// Offset of the run's clock in hours.
    pub(super) clock: i64,
    /// Faults of the storage from the start of the round.
    pub(super) storage: Vec<StorageFault>,
    /// Events of the round in order of time.
    pub(super) events: Vec<(Duration, Event)>,
}

/// One event of a round.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// A signal to the round's first run.
    Signal(&'static str),
    /// A signal to a worker.
    SignalWorker(usize, &'static str),
    /// Replaces a worker by a new one, which may die or freeze at a fail point.
    ReplaceWorker(usize, Option<String>),
    Cut(usize),
    Mend(usize),
    SlowDown(usize, u64),
    /// Fills the disk except for this many pages.
    Fill(u64),
    Free,
    Heal,
    /// A query, which runs beside the runs.
    Query,
    Vacuum,
    /// A second run, in one process.
    Compete,
}

/// Random numbers by SplitMix64, which is small and good enough for choices.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    fn is_one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    fn one_of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[usize::try_from(self.below(choices.len() as u64)).expect("a small number")]
    }
}

impl Schedule {
    pub(super) fn from_seed(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let storage = match random.below(10) {
            0..=3 => Storage::Folders,
            4..=5 => Storage::SmallDisk,
            _ => Storage::S3,
        };
        let workers = usize::try_from(random.below(4)).expect("a small number");
        let rounds = (0..1 + random.below(2)).map(|_| Round::random(&mut random, storage, workers)).collect();
        Self { seed, storage, workers, rounds }
    }
}

impl Round {
    fn random(random: &mut Random, storage: Storage, workers: usize) -> Self {
        let mut round =
            Self { objects: 1 + random.below(4), coordinator_at: None, clock: 0, storage: vec![], events: vec![] };
        for _ in 0..1 + random.below(3) {
            round.add_process_fault(random, workers);
        }
        if storage == Storage::S3 && !random.is_one_in(4) {
            round.storage.extend((0..1 + random.below(2)).map(|_| storage_fault(random)));
            let healed = random.below(ROUND);
            round.add(healed, Event::Heal);
        }
        if storage == Storage::SmallDisk {
            let (from, pages) = (random.below(ROUND / 2), random.below(16));
            round.add(from, Event::Fill(pages));
            round.add(from + random.below(ROUND), Event::Free);
        }
        if random.is_one_in(6) {
            round.clock = *random.one_of(&[-24 * 365, -1, 1, 24 * 40]);
        }
        for _ in 0..random.below(3) {
            round.add(random.below(ROUND), Event::Query);
        }
        if random.is_one_in(2) {
            round.add(random.below(ROUND), Event::Vacuum);
        }
        if random.is_one_in(3) {
            round.add(random.below(ROUND), Event::Compete);
        }
        round.events.sort_by_key(|(time, _)| *time);
        round
    }

    fn add(&mut self, milliseconds: u64, event: Event) {
        self.events.push((Duration::from_millis(milliseconds), event));
    }

    /// Adds a fault that starts and ends.
    fn add_outage(&mut self, random: &mut Random, start: Event, end: Event) {
        let from = random.below(ROUND);
        self.add(from, start);
        self.add(from + OUTAGE.start + random.below(OUTAGE.end - OUTAGE.start), end);
    }

    fn add_process_fault(&mut self, random: &mut Random, workers: usize) {
        if workers == 0 || random.is_one_in(3) {
            return self.add_coordinator_fault(random);
        }
        let worker = usize::try_from(random.below(workers as u64)).expect("a small number");
        let from = random.below(ROUND);
        match random.below(6) {
            0 => {
                self.add(from, Event::SignalWorker(worker, "KILL"));
                self.add(from + random.below(ROUND), Event::ReplaceWorker(worker, None));
            }
            1 => {
                self.add(from, Event::SignalWorker(worker, "TERM"));
                self.add(from + random.below(ROUND), Event::ReplaceWorker(worker, None));
            }
            2 => self.add_outage(random, Event::SignalWorker(worker, "STOP"), Event::SignalWorker(worker, "CONT")),
            3 => self.add_outage(random, Event::Cut(worker), Event::Mend(worker)),
            4 => self.add_outage(random, Event::SlowDown(worker, 40), Event::SlowDown(worker, 0)),
            _ => {
                let point = fail_point(random, ReachedBy::Worker);
                self.add(0, Event::ReplaceWorker(worker, Some(point)));
                self.add(ROUND, Event::ReplaceWorker(worker, None));
            }
        }
    }

    fn add_coordinator_fault(&mut self, random: &mut Random) {
        match random.below(6) {
            0 | 1 => self.coordinator_at = Some(fail_point(random, ReachedBy::Run)),
            2 => self.add(random.below(ROUND), Event::Signal("KILL")),
            3 => self.add(random.below(ROUND), Event::Signal("TERM")),
            4 => self.add(random.below(ROUND), Event::Signal("INT")),
            _ => self.add_outage(random, Event::Signal("STOP"), Event::Signal("CONT")),
        }
    }
}

/// Returns a fail point that kills or freezes.
fn fail_point(random: &mut Random, reached_by: ReachedBy) -> String {
    let points: Vec<&str> = failpoint::names(reached_by).collect();
    let point = *random.one_of(&points);
    if random.is_one_in(2) { point.to_owned() } else { format!("{point}:STOP") }
}

fn storage_fault(random: &mut Random) -> StorageFault {
    let path = *random.one_of(&["", "/in/", "/_lake/", "/_lake/manifest/", "/_delta_log/", "/events/", "/totals/"]);
    let refusals = [(503, "SlowDown"), (500, "InternalError")];
    let (status, code) = *random.one_of(&refusals);
    let every = usize::try_from(2 + random.below(6)).expect("a small number");
    let times = usize::try_from(1 + random.below(4)).expect("a small number");
    match random.below(8) {
        0 => StorageFault::new("GET", path, Harm::Refuse(status, code)).one_in(every),
        1 => StorageFault::new("PUT", path, Harm::Refuse(status, code)).one_in(every),
        2 => StorageFault::new("PUT", path, Harm::DoAndAnswer(status, code)).one_in(every).times(times),
        3 => StorageFault::new("PUT", path, Harm::Refuse(409, "ConditionalRequestConflict")).times(times),
        4 => StorageFault::new("GET", path, Harm::Cut).one_in(every),
        5 => StorageFault::new("GET", path, Harm::Short).times(times),
        6 => StorageFault::new("GET", "list-type=2", Harm::Refuse(status, code)).times(times),
        _ => StorageFault::new("GET", path, Harm::Silence).times(1),
    }
}
