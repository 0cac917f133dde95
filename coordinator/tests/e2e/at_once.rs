//! Tests of concurrent runs, queries and `vacuum`: wherever a process freezes, one run commits and
//! nothing is lost.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};

use lakewright_common::process::failpoint::{self, ReachedBy};

use crate::crash::add_news;
use crate::support::process::Process;
use crate::support::{Lake, files_below};

const HOUR: Duration = Duration::from_secs(3600);

/// Starts a run and waits until it freezes at a fail point.
fn frozen_at(lake: &Lake, point: &str) -> Process {
    let mut command = lake.command(&["run"]);
    command.env("LAKEWRIGHT_FAILPOINT", format!("{point}:STOP"));
    let mut run = Process::start(command);
    run.is_frozen();
    run
}

/// Sets the age of every file below a folder.
fn age(folder: &Path, age: Duration) {
    for file in files_below(folder) {
        File::options().write(true).open(file).unwrap().set_modified(SystemTime::now() - age).unwrap();
    }
}

/// For every step: a run freezes there; another run, a query and `vacuum --delete` start and end;
/// then the frozen run resumes.
#[test]
fn a_run_that_is_frozen_at_any_step_and_wakes_commits_once_or_not_at_all() {
    let reference = Lake::over_data();
    reference.ok(&["run"]);
    add_news(&reference);
    reference.ok(&["run"]);
    let expected = reference.checksums();
    for point in failpoint::names(ReachedBy::Run) {
        let lake = Lake::over_data();
        lake.ok(&["run"]);
        add_news(&lake);
        let frozen = frozen_at(&lake, point);
        let was_committed = lake.version() == 2;
        let other = lake.ok(&["run"]);
        assert_eq!(other.stderr.contains("nothing new"), was_committed, "frozen at `{point}`: {}", other.stderr);
        assert_eq!(lake.version(), 2, "frozen at `{point}`");
        lake.query("SELECT count(*) FROM songplays");
        lake.ok(&["vacuum", "--delete"]);
        frozen.signal("CONT");
        let woken = frozen.end();
        match woken.code {
            Some(0) => assert!(
                was_committed || woken.stderr.contains("nothing new"),
                "frozen at `{point}`, both committed: {}",
                woken.stderr
            ),
            code => assert!(code == Some(4) && !was_committed, "frozen at `{point}`: {code:?} {}", woken.stderr),
        }
        assert_eq!(lake.version(), 2, "frozen at `{point}`");
        assert_eq!(lake.checksums(), expected, "frozen at `{point}`");
        assert!(lake.ok(&["run"]).stderr.contains("nothing new"), "frozen at `{point}`");
        lake.verify();
    }
}

/// A run freezes at every step of the first commit of a lake, which has no manifest to build on.
#[test]
fn a_run_that_is_frozen_in_the_first_commit_and_wakes_commits_once_or_not_at_all() {
    let reference = Lake::over_data();
    reference.ok(&["run"]);
    let expected = reference.checksums();
    for point in ["ledger.after_write", "commit.before_manifest", "commit.after_manifest", "delta.before_log"] {
        let lake = Lake::over_data();
        let frozen = frozen_at(&lake, point);
        let was_committed = lake.version() == 1;
        lake.ok(&["run"]);
        lake.ok(&["vacuum", "--delete"]);
        frozen.signal("CONT");
        let woken = frozen.end();
        assert_eq!(woken.code, Some(if was_committed { 0 } else { 4 }), "frozen at `{point}`: {}", woken.stderr);
        assert_eq!(lake.version(), 1, "frozen at `{point}`");
        assert_eq!(lake.checksums(), expected, "frozen at `{point}`");
        lake.verify();
    }
}

/// A run is about to commit when `vacuum` deletes the files of a dead run. The files of the live
/// run have the maximum age that the retention allows.
#[test]
fn vacuum_deletes_nothing_of_a_run_in_progress() {
    let lake = Lake::over_data();
    lake.ok(&["run"]);
    add_news(&lake);
    let dead = lake.run_with(&["run"], &[("LAKEWRIGHT_FAILPOINT", "commit.before_manifest")]);
    assert_eq!(dead.code, None, "{}", dead.stderr);
    let of_the_dead_run = files_below(&lake.path("lake")).len();
    age(&lake.path("lake"), 30 * 24 * HOUR);
    // The first version is old too, but the second is not committed yet, so the first is kept.
    let frozen = frozen_at(&lake, "commit.before_manifest");
    let before = files_below(&lake.path("lake")).len();
    assert!(before > of_the_dead_run, "the frozen run wrote nothing");
    for file in files_below(&lake.path("lake")) {
        let file = File::options().write(true).open(file).unwrap();
        let is_of_the_run = file.metadata().unwrap().modified().unwrap() > SystemTime::now() - HOUR;
        if is_of_the_run {
            file.set_modified(SystemTime::now() - 6 * 24 * HOUR).unwrap();
        }
    }
    let deleted = lake.ok(&["vacuum", "--delete"]).stdout;
    let left = files_below(&lake.path("lake")).len();
    assert!(left < before && left >= before - of_the_dead_run, "{deleted}");
    frozen.signal("CONT");
    let woken = frozen.end();
    assert_eq!(woken.code, Some(0), "{}", woken.stderr);
    assert_eq!(lake.version(), 2);
    lake.ok(&["run"]);
    lake.verify();
    let reference = Lake::over_data();
    add_news(&reference);
    reference.ok(&["run"]);
    assert_eq!(lake.checksums(), reference.checksums());
}

/// Twenty runs start at the same moment and reach the commit together. Each has its own id, and one
/// commits.
#[test]
fn runs_that_start_at_the_same_moment_have_different_ids_and_one_commits() {
    const RUNS: usize = 20;
    let lake = Lake::over_data();
    let start = || {
        let mut command = lake.command(&["run"]);
        command.env("LAKEWRIGHT_FAILPOINT", "commit.before_manifest:STOP");
        Process::start(command)
    };
    let mut runs: Vec<_> = (0..RUNS).map(|_| start()).collect();
    runs.iter_mut().for_each(|run| run.is_frozen_in("commit"));
    // A staging file's name starts with the id of its run.
    let ids: BTreeSet<String> = files_below(&lake.path("lake/_lake/staging/events"))
        .iter()
        .filter_map(|path| Some(path.file_name()?.to_str()?.get(..36)?.to_owned()))
        .collect();
    assert_eq!(ids.len(), RUNS, "{:?}", files_below(&lake.path("lake")));
    runs.iter().for_each(|run| run.signal("CONT"));
    let ends: Vec<_> = runs.into_iter().map(Process::end).collect();
    let codes: Vec<_> = ends.iter().map(|done| done.code).collect();
    assert!(codes.iter().all(|code| matches!(code, Some(0 | 4))), "{codes:?}");
    assert_eq!(codes.iter().filter(|code| **code == Some(0)).count(), 1, "{codes:?}");
    assert_eq!(lake.version(), 1);
    lake.ok(&["run"]);
    lake.verify();
}
