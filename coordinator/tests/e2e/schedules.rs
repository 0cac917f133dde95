//! Seeded schedules of faults over real processes: a coordinator, workers, queries and `vacuum`, on
//! folders, on a small disk or on S3. Once the faults stop, the next run always ends, and the
//! tables are exact.
//!
//! ```text
//! seed ──► plan ──► world: processes, links, storage ──► events in order of time ──► faults stop
//!                                                                                      │ a clean run, within a bound
//!                                                                                      ▼
//!                           answers that this code computed itself, and the independent checker
//! ```
//!
//! `SCHEDULES=1000` runs that many schedules, `SEED=7` reproduces one, `SEED=7 SCHEDULES=50` runs
//! 50 schedules from seed 7 on. A failure prints its seed and plan, and keeps its lake. The seed
//! determines the times of events, but not how far a process has come by then, so a seed may need
//! several attempts.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Derives events and their times from a seed.
mod plan;
/// Runs the processes and injects the faults.
mod world;
/// Computes the expected tables.
mod answers;

use plan::Schedule;
use world::World;

/// Number of schedules that a plain `cargo test` runs; `.ci/run` runs more.
const SCHEDULES: usize = 8;
/// Number of schedules that run at once per core, because a schedule mostly waits.
const PER_CORE: usize = 6;

#[test]
fn whatever_happens_the_next_run_ends_and_the_tables_are_exact() {
    let given = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let seed = given("SEED");
    let count = given("SCHEDULES").map_or(if seed.is_some() { 1 } else { SCHEDULES }, |count| count as usize);
    let first = seed.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
        now.as_secs() * 1000
    });
    for what in world::missing() {
        eprintln!("skipped in all schedules: {what}");
    }
    let (next, failures, started) = (AtomicUsize::new(0), Mutex::new(vec![]), Instant::now());
    let at_once = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) * PER_CORE;
    std::thread::scope(|scope| {
        for _ in 0..at_once.min(count) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        break;
                    }
                    let schedule = Schedule::from_seed(first + number as u64);
                    if let Err(failure) = run(&schedule) {
                        failures.lock().unwrap().push(format!("SEED={}: {failure}\n{schedule:#?}", schedule.seed));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    eprintln!("{count} schedules, seeds {first} to {}, in {:?}", first + count as u64 - 1, started.elapsed());
    assert!(failures.is_empty(), "{} of {count} schedules failed\n{}", failures.len(), failures.join("\n\n"));
}

/// Runs one schedule.
///
/// # Errors
/// The failure, with the folder of the lake and the logs.
fn run(schedule: &Schedule) -> Result<(), String> {
    let mut world = None;
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let world = world.insert(World::new(schedule));
        for round in &schedule.rounds {
            world.play(round);
        }
        world.recover();
    }));
    outcome.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let logs = world.as_ref().map(World::logs).unwrap_or_default();
        let kept = world.as_mut().map(World::keep);
        format!("{}\nkept in {kept:?}\n{logs}", text.unwrap_or_default())
    })
}
