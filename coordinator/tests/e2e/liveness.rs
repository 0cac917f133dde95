//! Tests of permanent faults: the run still ends within a bound, with exact tables or with an error
//! that says what is missing.

use crate::support::Lake;
use crate::support::cluster::{Worker, free_port};
use crate::support::link::Link;
use crate::support::process::Process;

/// Fail points at which a worker freezes. With `true`, its link is then cut forever and the worker
/// resumes; with `false`, the worker stays frozen.
const CASES: [(&str, bool); 4] = [
    ("attempt.after_start:STOP", false),
    ("exchange.before_finish:STOP", true),
    ("attempt.before_report:STOP", false),
    ("attempt.before_report:STOP", true),
];

/// Creates a lake with runs that fail soon without workers, and that start no speculative attempts,
/// which would hide a loss.
fn lake(port: u16) -> Lake {
    let lake = Lake::over_data().on_open_cluster(port, 1);
    lake.edit("lake.toml", "worker_timeout = \"20s\"", "worker_timeout = \"2s\"\nspeculation = false");
    lake
}

fn start(lake: &Lake) -> Process {
    let mut run = lake.command(&["run"]);
    run.env("LAKEWRIGHT__LIMITS__SPLIT_BYTES", "200KB");
    Process::start(run)
}

fn assert_exact(lake: &Lake) {
    assert_eq!(lake.number("SELECT count(*) FROM songplays"), 2139);
    assert_eq!(lake.number("SELECT count(*) FROM songs"), 120);
    lake.verify();
}

/// A run with one worker, which is frozen, or cut off and resumed.
struct BrokenRun {
    run: Process,
    lake: Lake,
    port: u16,
    _broken: Worker,
    _link: Link,
}

impl BrokenRun {
    /// Starts a run and breaks its worker at a fail point. With `is_cut`, the worker resumes behind
    /// a cut link.
    fn start(point: &str, is_cut: bool) -> Self {
        let port = free_port();
        let lake = lake(port);
        let link = Link::to(port);
        let broken = Worker::failing_at(link.port, "broken", point);
        let run = start(&lake);
        broken.is_frozen();
        if is_cut {
            link.cut();
            broken.signal("CONT");
        }
        Self { run, lake, port, _broken: broken, _link: link }
    }
}

#[test]
fn a_run_ends_when_one_of_its_workers_is_frozen_or_cut_off_for_ever() {
    for (point, is_cut) in CASES {
        let BrokenRun { run, lake, port, _broken, _link } = BrokenRun::start(point, is_cut);
        let _healthy = Worker::start(port, "healthy");
        let done = run.end();
        assert_eq!(done.code, Some(0), "{point}, cut off: {is_cut}: {}", done.stderr);
        assert_exact(&lake);
    }
}

#[test]
fn a_run_ends_with_a_clear_error_when_all_workers_are_frozen_or_cut_off_for_ever() {
    for (point, is_cut) in CASES {
        let BrokenRun { run, lake, port, _broken, _link } = BrokenRun::start(point, is_cut);
        let done = run.end();
        assert_eq!(done.code, Some(5), "{point}, cut off: {is_cut}: {}", done.stderr);
        assert!(done.stderr.contains("no worker"), "{}", done.stderr);
        assert_eq!(lake.version(), 0);
        // The lake has not changed, so a run with a healthy worker commits everything.
        let _healthy = Worker::start(port, "healthy");
        let done = start(&lake).end();
        assert_eq!(done.code, Some(0), "{point}, cut off: {is_cut}: {}", done.stderr);
        assert_exact(&lake);
    }
}
