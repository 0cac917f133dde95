//! Tests of a coordinator and workers: the tables equal those of one machine, whichever process
//! dies and whenever it does.

use lakewright_common::process::failpoint::{self, ReachedBy};

use crate::support::cluster::{Authority, Coordinator, Worker, free_port};
use crate::support::hosts::Hosts;
use crate::support::link::Link;
use crate::support::{Lake, files_below};

/// Returns the tables that one machine builds from `data/`.
pub(crate) fn reference() -> Vec<(String, i64, String)> {
    let lake = Lake::over_data();
    lake.ok(&["run"]);
    lake.checksums()
}

/// Limits that give every stage several tasks: several splits per source, and small files.
pub(crate) const MANY_TASKS: &[(&str, &str)] =
    &[("LAKEWRIGHT__LIMITS__SPLIT_BYTES", "200KB"), ("LAKEWRIGHT__LIMITS__TARGET_FILE_BYTES", "20KB")];

/// Like [`MANY_TASKS`], without speculative attempts, so that a run waits for a missing worker
/// until it is lost.
const WITHOUT_SPECULATION: &[(&str, &str)] =
    &[MANY_TASKS[0], MANY_TASKS[1], ("LAKEWRIGHT__CLUSTER__SPECULATION", "false")];

/// Waits for a run to end without an error. Returns its log.
pub(crate) fn ends_well(coordinator: Coordinator) -> String {
    let done = coordinator.end();
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    done.stderr
}

/// Asserts that the tables equal those of one machine. The checksums read every file that the
/// manifest names.
pub(crate) fn assert_exact(lake: &Lake, reference: &[(String, i64, String)]) {
    assert_eq!(lake.checksums(), reference);
    lake.verify();
}

fn assert_spool_is_empty(lake: &Lake) {
    let spool = lake.path("lake/_lake/spool");
    assert!(!spool.exists() || files_below(&spool).is_empty(), "{:?}", files_below(&spool));
}

#[test]
fn one_two_and_four_workers_make_the_tables_of_one_machine() {
    let reference = reference();
    for workers in [1, 2, 4] {
        let port = free_port();
        let lake = Lake::over_data().on_cluster(port, workers);
        // Half of the workers start before the coordinator, half after it.
        let mut running: Vec<Worker> = (0..workers / 2).map(|i| Worker::start(port, &format!("early-{i}"))).collect();
        let coordinator = lake.start(MANY_TASKS);
        running.extend((workers / 2..workers).map(|i| Worker::start(port, &format!("late-{i}"))));
        ends_well(coordinator);
        assert_exact(&lake, &reference);
        assert_spool_is_empty(&lake);
        // Workers continue after a run, and a second run uses all of them.
        lake.write(
            "data/song_data/late.json",
            br#"{"song_id": "SOLATE", "title": "Late", "artist_id": "ARLATE", "artist_name": "Late", "duration": 1.5, "year": 1999}"#,
        );
        ends_well(lake.start(MANY_TASKS));
        assert_eq!(lake.version(), 2);
        assert_eq!(lake.number("SELECT count(*) FROM songs"), reference[2].1 + 1);
    }
}

#[test]
fn a_worker_that_dies_anywhere_costs_nothing_that_was_finished() {
    let reference = reference();
    for point in failpoint::names(ReachedBy::Worker) {
        let port = free_port();
        let lake = Lake::over_data().on_cluster(port, 1);
        // With only one worker, it certainly reaches the point.
        let mut bad = Worker::failing_at(port, "bad", point);
        let coordinator = lake.start(MANY_TASKS);
        assert_eq!((bad.end(), point), (None, point), "the worker was not killed at the point");
        let _good = Worker::start(port, "good");
        ends_well(coordinator);
        assert_exact(&lake, &reference);
        assert_spool_is_empty(&lake);
        // A worker with the same name returns at once, and a second run has the full capacity.
        let _back = Worker::start(port, "bad");
        second_run(&lake);
    }
}

#[test]
fn two_of_three_workers_may_die_at_once() {
    let port = free_port();
    let lake = Lake::over_data().on_cluster(port, 2);
    let bad = [1, 2].map(|i| Worker::failing_at(port, &format!("bad-{i}"), "attempt.before_report:STOP"));
    let mut coordinator = lake.start(WITHOUT_SPECULATION);
    bad.iter().for_each(Worker::is_frozen);
    let _good = Worker::start(port, "good");
    coordinator.says("a worker joined worker=\"good\"");
    bad.iter().for_each(|worker| worker.signal("KILL"));
    let log = ends_well(coordinator);
    assert!(log.contains("a worker is lost") && log.contains("lost with its worker, retrying"), "{log}");
    assert_exact(&lake, &reference());
}

#[test]
fn when_all_workers_die_new_ones_finish_the_run() {
    let port = free_port();
    let lake = Lake::over_data().on_cluster(port, 2);
    let mut bad = [1, 2].map(|i| Worker::failing_at(port, &format!("bad-{i}"), "attempt.before_report"));
    let mut coordinator = lake.start(MANY_TASKS);
    assert_eq!(bad.each_mut().map(|worker| worker.end()), [None, None]);
    coordinator.says("a worker is lost");
    coordinator.says("a worker is lost");
    let _new = Worker::start(port, "new");
    ends_well(coordinator);
    assert_exact(&lake, &reference());
}

#[test]
fn when_all_workers_stay_away_the_run_fails_and_nothing_is_visible() {
    let port = free_port();
    let lake = Lake::over_data().on_cluster(port, 1);
    lake.edit("lake.toml", "worker_timeout = \"20s\"", "worker_timeout = \"3s\"");
    let bad = Worker::failing_at(port, "bad", "attempt.before_report");
    let done = lake.start(MANY_TASKS).end();
    drop(bad);
    assert_eq!(done.code, Some(5), "{}", done.stderr);
    assert!(done.stderr.contains("no worker has been available for"), "{}", done.stderr);
    assert_eq!(lake.version(), 0);

    let done = lake.start(MANY_TASKS).end();
    assert_eq!(done.code, Some(5), "{}", done.stderr);
    assert!(done.stderr.contains("0 of 1 workers joined within 3 s"), "{}", done.stderr);

    let _good = Worker::start(port, "good");
    ends_well(lake.start(MANY_TASKS));
    assert_exact(&lake, &reference());
}

#[test]
fn a_frozen_worker_that_wakes_does_no_harm() {
    for point in ["attempt.after_start:STOP", "attempt.before_report:STOP", "exchange.before_finish:STOP"] {
        let port = free_port();
        let lake = Lake::over_data().on_cluster(port, 1);
        let frozen = Worker::failing_at(port, "frozen", point);
        let mut coordinator = lake.start(WITHOUT_SPECULATION);
        frozen.is_frozen();
        let _good = Worker::start(port, "good");
        coordinator.says("a worker is lost");
        coordinator.says("lost with its worker, retrying");
        frozen.signal("CONT");
        let log = ends_well(coordinator);
        assert_exact(&lake, &reference());
        assert!(!log.contains("error"), "{log}");
        second_run(&lake);
    }
}

#[test]
fn a_slow_task_gets_a_speculative_attempt_and_no_run_waits_for_it() {
    let port = free_port();
    let lake = Lake::over_data().on_cluster(port, 1);
    // The frozen worker is not considered lost for a while, so only a speculative attempt can
    // finish the stage earlier.
    lake.edit("lake.toml", "lost_after = \"1500ms\"", "lost_after = \"60s\"");
    let slow = Worker::failing_at(port, "slow", "attempt.after_start:STOP");
    let coordinator = lake.start(MANY_TASKS);
    slow.is_frozen();
    let _fast = Worker::start(port, "fast");
    let log = ends_well(coordinator);
    assert!(log.contains("slow, starting a speculative attempt") && !log.contains("retrying"), "{log}");
    assert_exact(&lake, &reference());
    slow.signal("CONT");
    second_run(&lake);
}

#[test]
fn a_link_that_breaks_and_comes_back_costs_at_most_what_was_under_way() {
    for point in ["attempt.before_start:STOP", "attempt.before_report:STOP"] {
        let port = free_port();
        let lake = Lake::over_data().on_open_cluster(port, 1);
        let link = Link::to(port);
        let far = Worker::failing_at(link.port, "far", point);
        let coordinator = lake.start(WITHOUT_SPECULATION);
        far.is_frozen();
        let _near = Worker::start(port, "near");
        link.cut();
        far.signal("CONT");
        let log = ends_well(coordinator);
        assert_exact(&lake, &reference());
        assert!(log.contains("retrying") || log.contains("offering it again"), "{log}");
        link.mend();
        second_run(&lake);
    }
}

#[test]
fn three_hosts_one_of_which_loses_its_link_for_a_while() {
    let Some(hosts) = Hosts::new(2) else {
        eprintln!("skipped: this user may not make network namespaces");
        return;
    };
    let port = 50051;
    let lake = Lake::over_data().on_cluster(port, 1);
    lake.edit("lake.toml", "listen = \"127.0.0.1:50051\"", "listen = \"0.0.0.0:50051\"\ninsecure = true");
    lake.edit("lake.toml", "worker_timeout = \"20s\"", "worker_timeout = \"60s\"");
    let worker = |host: usize, name: &str, environment: &[(&str, &str)]| {
        let coordinator = format!("{}:{port}", hosts.center_from(host));
        Worker::start_on(&hosts.on(host), &coordinator, name, &["--memory", "512MB", "--insecure"], environment)
    };
    let far = worker(1, "far", &[("LAKEWRIGHT_FAILPOINT", "attempt.before_report:STOP")]);
    let coordinator = lake.start_on(&hosts.on(0), WITHOUT_SPECULATION);
    far.is_frozen();
    let _near = worker(2, "near", &[]);
    hosts.pull(1);
    far.signal("CONT");
    let log = ends_well(coordinator);
    assert!(log.contains("a worker is lost"), "{log}");
    assert_exact(&lake, &reference());
    hosts.plug(1);
    add_song(&lake);
    let both = [("LAKEWRIGHT__CLUSTER__MIN_WORKERS", "2"), MANY_TASKS[0], MANY_TASKS[1]];
    ends_well(lake.start_on(&hosts.on(0), &both));
    assert_eq!(lake.version(), 2);
}

#[test]
fn a_report_whose_answer_is_lost_is_sent_again_and_counts_once() {
    let port = free_port();
    let lake = Lake::over_data().on_open_cluster(port, 1);
    let link = Link::to(port);
    let worker = Worker::failing_at(link.port, "far", "attempt.before_report:STOP");
    let coordinator = lake.start(MANY_TASKS);
    worker.is_frozen();
    // The report cannot be sent. It is sent again before the worker is lost.
    link.cut();
    worker.signal("CONT");
    worker.says("the coordinator does not respond");
    link.mend();
    ends_well(coordinator);
    assert_exact(&lake, &reference());
}

#[test]
fn a_slow_link_makes_a_run_slow_and_nothing_else() {
    let port = free_port();
    let lake = Lake::over_data().on_open_cluster(port, 2);
    let link = Link::to(port);
    link.slow_down(std::time::Duration::from_millis(150));
    let _far = Worker::start(link.port, "far");
    let _near = Worker::start(port, "near");
    let log = ends_well(lake.start(MANY_TASKS));
    assert_exact(&lake, &reference());
    // No attempt is lost either, although the first heartbeats arrive before the request that
    // starts the attempt.
    assert!(!log.contains("a worker is lost") && !log.contains("lost with its worker, retrying"), "{log}");
}

#[test]
fn a_worker_drains_on_sigterm() {
    let port = free_port();
    let lake = Lake::over_data().on_cluster(port, 1);
    // The signal arrives in the middle of a task.
    let mut leaving = Worker::failing_at(port, "leaving", "attempt.before_report:STOP");
    let coordinator = lake.start(MANY_TASKS);
    leaving.is_frozen();
    let _staying = Worker::start(port, "staying");
    leaving.signal("TERM");
    leaving.signal("CONT");
    assert_eq!(leaving.end(), Some(0), "{}", leaving.log());
    assert!(leaving.log().contains("draining"), "{}", leaving.log());
    ends_well(coordinator);
    assert_exact(&lake, &reference());
}

#[test]
fn workers_outlive_a_coordinator_that_is_killed_at_any_step() {
    let reference = reference();
    let port = free_port();
    let worker = Worker::start(port, "worker");
    for point in failpoint::names(ReachedBy::Run) {
        let lake = Lake::over_data().on_cluster(port, 1);
        let killed = lake.start(&[("LAKEWRIGHT_FAILPOINT", point)]).end();
        assert_eq!(killed.code, None, "{point}: {}", killed.stderr);
        let done = lake.start(&[]).end();
        assert_eq!(done.code, Some(0), "{point}: {}", done.stderr);
        assert_eq!(lake.version(), 1);
        assert_exact(&lake, &reference);
    }
    assert!(worker.log().contains("the coordinator does not respond"), "{}", worker.log());
}

#[test]
fn a_task_whose_data_is_wrong_fails_the_run_at_once_with_its_cause() {
    let port = free_port();
    let lake = Lake::of(&[
        (
            "lake.toml",
            "[lake]\nurl = \"lake\"\n[sources.s]\nurl = \"in\"\n[sources.s.fields]\nid = \"string\"\n[tables.t]\nsql = \"t.sql\"\n",
        ),
        ("t.sql", "SELECT CAST(id AS INT) AS id FROM staging.s"),
        ("in/a.json", "{\"id\": \"1\"}\n{\"id\": \"one\"}\n"),
    ])
    .on_cluster(port, 1);
    let _worker = Worker::start(port, "worker-7");
    let done = lake.start(&[]).end();
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    let error = done.stderr.lines().find(|line| line.starts_with("error:")).unwrap_or_default();
    for part in ["table `t`", "one", "task 0 on worker `worker-7`, which reads `_lake/staging/s/"] {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
    assert_eq!(done.stderr.matches("an attempt failed").count(), 1, "{}", done.stderr);
    assert_eq!(lake.version(), 0);
}

#[test]
fn a_task_that_panics_or_needs_too_much_memory_fails_the_run_and_the_worker_lives() {
    let port = free_port();
    let lake = Lake::over_data().on_cluster(port, 1);
    let mut panicking = Worker::failing_at(port, "panicking", "table.before_report:PANIC");
    let done = lake.start(&[]).end();
    assert_eq!(done.code, Some(101), "{}", done.stderr);
    assert!(done.stderr.contains("a task panicked: `table.before_report` was reached"), "{}", done.stderr);
    panicking.signal("TERM");
    assert_eq!(panicking.end(), Some(0), "{}", panicking.log());

    let mut small = Worker::start_with(port, "small", &["--memory", "2MB"], &[]);
    let done = lake.start(&[]).end();
    assert_eq!(done.code, Some(2), "{}", done.stderr);
    // Any operator can run out of memory first, and the error names it.
    for part in ["needs more memory", "on worker `small`, which reads `", "--memory"] {
        assert!(done.stderr.contains(part), "`{part}` is not in: {}", done.stderr);
    }
    small.signal("TERM");
    assert_eq!(small.end(), Some(0), "{}", small.log());
    assert_eq!(lake.version(), 0);

    let _good = Worker::start(port, "good");
    ends_well(lake.start(&[]));
    assert_exact(&lake, &reference());
}

#[test]
fn what_fails_on_one_worker_is_done_by_another() {
    let port = free_port();
    let lake = Lake::over_data().on_cluster(port, 2);
    let _small = Worker::start_with(port, "small", &["--memory", "2MB"], &[]);
    let _good = Worker::start(port, "good");
    ends_well(lake.start(MANY_TASKS));
    assert_exact(&lake, &reference());
}

#[test]
fn a_recursive_query_runs_on_a_cluster_too() {
    let port = free_port();
    let lake = Lake::of(&[
        (
            "lake.toml",
            "[lake]\nurl = \"lake\"\n[sources.s]\nurl = \"in\"\n[sources.s.fields]\nid = \"long\"\n[tables.t]\nsql = \"t.sql\"\n",
        ),
        ("t.sql", "WITH RECURSIVE n AS (SELECT max(id) AS id FROM staging.s UNION ALL SELECT id - 1 FROM n WHERE id > 1) SELECT id FROM n"),
        ("in/a.json", "{\"id\": 5}\n"),
    ])
    .on_cluster(port, 1);
    let _worker = Worker::start(port, "worker");
    ends_well(lake.start(&[]));
    assert_eq!(lake.number("SELECT sum(id) FROM t"), 15);
}

#[test]
fn only_workers_with_a_certificate_of_the_authority_connect() {
    let (authority, other) = (Authority::new(), Authority::new());
    let port = free_port();
    let lake = Lake::over_data().on_cluster(port, 1);
    let coordinator = authority.sign("coordinator", "localhost", 2100);
    let right = authority.sign("right", "right", 2100);
    let expired = authority.sign("expired", "expired", 2020);
    // This worker trusts the authority, but its own certificate is from another one.
    let mut stranger = other.sign("stranger", "stranger", 2100);
    stranger.ca.clone_from(&right.ca);

    let refused = [
        Worker::start(port, "plain"),
        Worker::start_with(port, "expired", &expired.arguments(), &[]),
        Worker::start_with(port, "stranger", &stranger.arguments(), &[]),
    ];
    let mut run = lake.start(&coordinator.settings());
    run.says("listening");
    for worker in &refused {
        worker.says("no coordinator responds");
    }
    for reason in ["InvalidContentType", "certificate expired", "BadSignature"] {
        run.has_said(reason);
    }
    let _right = Worker::start_with(port, "right", &right.arguments(), &[]);
    let log = ends_well(run);
    assert_eq!(log.matches("a worker joined").count(), 1, "{log}");
    assert!(log.contains("a worker joined worker=\"right\""), "{log}");
    assert_exact(&lake, &reference());
}

#[test]
fn a_worker_does_not_speak_to_a_coordinator_of_another_name_or_authority() {
    let (authority, other) = (Authority::new(), Authority::new());
    let worker = authority.sign("worker", "worker", 2100);
    let mut trusting = other.sign("coordinator", "localhost", 2100);
    trusting.ca.clone_from(&worker.ca);
    for coordinator in [authority.sign("elsewhere", "elsewhere", 2100), trusting] {
        let port = free_port();
        let lake = Lake::over_data().on_cluster(port, 1);
        lake.edit("lake.toml", "worker_timeout = \"20s\"", "worker_timeout = \"2s\"");
        let run = lake.start(&coordinator.settings());
        let refusing = Worker::start_with(port, "worker", &worker.arguments(), &[]);
        let done = run.end();
        assert_eq!(done.code, Some(5), "{}", done.stderr);
        assert!(refusing.log().contains("no coordinator responds"), "{}", refusing.log());
    }
}

/// Runs again with a new object and two workers.
fn second_run(lake: &Lake) {
    add_song(lake);
    ends_well(lake.start(&[("LAKEWRIGHT__CLUSTER__MIN_WORKERS", "2"), MANY_TASKS[0], MANY_TASKS[1]]));
    assert_eq!(lake.version(), 2);
}

fn add_song(lake: &Lake) {
    lake.write(
        "data/song_data/new.json",
        br#"{"song_id": "SONEW", "title": "New", "artist_id": "ARNEW", "artist_name": "Newcomer", "duration": 2.5, "year": 1999}"#,
    );
}
