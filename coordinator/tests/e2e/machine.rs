//! Tests of a machine with a full disk, missing permissions or few file descriptors: a run either
//! commits or fails with a storage error that names the file, and the tables of the next run are
//! exact.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::support::disk::SmallDisk;
use crate::support::process::{Process, wrapped};
use crate::support::{Done, Lake};

/// Size of the disk in kilobytes; the lake uses a few pages of it.
const DISK: u64 = 1024;
/// Numbers of pages that stay free, from none to more than a run needs.
const FREE_PAGES: std::ops::Range<u64> = 0..16;

fn lake() -> Lake {
    let config = "[lake]\nurl = \"lake\"\n[sources.s]\nurl = \"in\"\n[sources.s.fields]\nid = \"long\"\n\
                  [tables.t]\nsql = \"t.sql\"\nkey = \"id\"\n[limits]\nscratch = \"scratch\"\n";
    let lake = Lake::of(&[("lake.toml", config), ("t.sql", "SELECT id FROM staging.s")]);
    lake.write("in/a.json", b"{\"id\": 1}\n{\"id\": 2}\n");
    lake.write("scratch/.keep", b"");
    lake
}

fn assert_exact(lake: &Lake, ids: i64) {
    assert_eq!(lake.number("SELECT count(*) FROM t"), ids);
    assert_eq!(lake.number("SELECT sum(id) FROM t"), ids * (ids + 1) / 2);
    lake.verify();
}

/// The disk has one more free page each time, so that each write of a run fails once.
#[test]
fn a_disk_that_fills_up_at_any_step_leaves_the_old_version_or_the_new() {
    let mut outcomes = [0, 0];
    for free_pages in FREE_PAGES {
        let lake = lake();
        let Some(disk) = SmallDisk::at(&lake.path("lake"), DISK) else {
            eprintln!("skipped: this user may not mount a tmpfs");
            return;
        };
        lake.ok(&["run"]);
        lake.write("in/b.json", b"{\"id\": 3}\n");
        disk.fill(free_pages);
        let done = lake.run_with(&["run"], &[]);
        let version = lake.version();
        // A reader needs no disk space and sees what was committed.
        let seen = lake.number("SELECT count(*) FROM t");
        match done.code {
            Some(0) => assert_eq!((version, seen), (2, 3), "{free_pages} pages: {}", done.stderr),
            Some(3) => {
                // A run that cannot publish its commit fails too, and says that it committed.
                let is_committed = done.stderr.contains("is committed, but not published");
                let expected = if is_committed { (2, 3) } else { (1, 2) };
                assert_eq!((version, seen), expected, "{free_pages} pages: {}", done.stderr);
                assert!(done.stderr.contains("No space left"), "{free_pages} pages: {}", done.stderr);
            }
            code => panic!("{free_pages} pages: {code:?} {}", done.stderr),
        }
        outcomes[usize::from(done.code == Some(0))] += 1;
        disk.free();
        lake.ok(&["run"]);
        assert!(lake.ok(&["run"]).stderr.contains("nothing new"), "{free_pages} pages");
        assert_exact(&lake, 3);
        drop(disk);
    }
    assert!(outcomes[0] > 0 && outcomes[1] > 0, "the disk was never, or always, too small: {outcomes:?}");
}

/// Runs the binary as a user for whom permissions apply: root without the capability to ignore
/// them. Returns `None` if root cannot drop this capability.
fn bound(lake: &Lake, arguments: &[&str]) -> Option<Done> {
    let command = lake.command(arguments);
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.starts_with(b"0\n"));
    if !is_root {
        return Some(Process::start(command).end());
    }
    let mut outer = Command::new("setpriv");
    outer.args(["--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"]);
    let can = Command::new("setpriv").args(["--bounding-set=-dac_override", "true"]).status();
    can.is_ok_and(|status| status.success()).then(|| Process::start(wrapped(outer, &command)).end())
}

/// A path without permission is named, nothing of the run is visible, and readers continue to work.
#[test]
fn what_the_process_may_not_read_or_write_is_named_and_the_next_run_is_exact() {
    // Path, mode, text in the error, and whether readers still work.
    let cases: [(&str, u32, &str, bool); 7] = [
        ("in", 0o000, "in", true),
        ("in/b.json", 0o000, "in/b.json", true),
        ("lake/t", 0o500, "lake/t", true),
        ("lake/_lake/manifest", 0o500, "_lake/manifest", true),
        ("lake/_lake/ledger/s", 0o500, "_lake/ledger", true),
        ("lake/_lake/staging/s", 0o500, "_lake/staging", true),
        ("lake/_lake/manifest", 0o000, "_lake/manifest", false),
    ];
    for (path, mode, named, can_read) in cases {
        let lake = lake();
        lake.ok(&["run"]);
        lake.write("in/b.json", b"{\"id\": 3}\n");
        fs::set_permissions(lake.path(path), Permissions::from_mode(mode)).unwrap();
        let Some(done) = bound(&lake, &["run"]) else {
            eprintln!("skipped: root without `setpriv` passes over permissions");
            return;
        };
        let query = bound(&lake, &["query", "SELECT count(*) AS n FROM t", "--csv"]).expect("it could before");
        fs::set_permissions(lake.path(path), Permissions::from_mode(0o755)).unwrap();
        assert_eq!(done.code, Some(3), "`{path}`: {}", done.stderr);
        assert!(done.stderr.contains(named), "`{path}` is not named: {}", done.stderr);
        assert!(done.stderr.contains("ermission denied"), "`{path}`: {}", done.stderr);
        if can_read {
            assert_eq!((query.code, query.stdout.trim()), (Some(0), "n\n2"), "`{path}`: {}", query.stderr);
        } else {
            assert_eq!(query.code, Some(3), "`{path}`: {}", query.stderr);
        }
        assert_eq!(lake.version(), 1, "`{path}`");
        lake.ok(&["run"]);
        assert_exact(&lake, 3);
    }
}

/// A read-only lake answers queries, even if its Delta logs are behind.
#[test]
fn a_lake_that_may_only_be_read_answers_queries() {
    let lake = lake();
    let killed = lake.run_with(&["run"], &[("LAKEWRIGHT_FAILPOINT", "commit.after_manifest")]);
    assert_eq!(killed.code, None, "{}", killed.stderr);
    let folders = ["lake", "lake/_lake", "lake/_lake/manifest", "lake/t"];
    let set = |mode| {
        folders.iter().for_each(|path| fs::set_permissions(lake.path(path), Permissions::from_mode(mode)).unwrap())
    };
    set(0o500);
    let query = bound(&lake, &["query", "SELECT count(*) AS n FROM t", "--csv"]);
    set(0o755);
    let Some(query) = query else {
        eprintln!("skipped: root without `setpriv` passes over permissions");
        return;
    };
    assert_eq!((query.code, query.stdout.trim()), (Some(0), "n\n2"), "{}", query.stderr);
    lake.ok(&["run"]);
    assert_exact(&lake, 2);
}

/// With few descriptors a run succeeds or fails with a storage error that says so.
#[test]
fn a_process_with_few_file_descriptors_fails_by_name_or_is_exact() {
    for limit in [12, 16, 24, 32, 48, 64, 128, 256] {
        let lake = lake();
        for i in 3..=300 {
            lake.write(&format!("in/{i}.json"), format!("{{\"id\": {i}}}\n").as_bytes());
        }
        let command = lake.command(&["run"]);
        let mut limited = Command::new("sh");
        limited.arg("-c").arg(format!("ulimit -n {limit}; exec \"$0\" \"$@\""));
        let done = Process::start(wrapped(limited, &command)).end();
        match done.code {
            Some(0) => {}
            Some(3) => {
                assert!(done.stderr.contains("oo many open files"), "{limit} descriptors: {}", done.stderr);
                assert_eq!(lake.version(), 0, "{limit} descriptors");
            }
            code => panic!("{limit} descriptors: {code:?} {}", done.stderr),
        }
        lake.ok(&["run"]);
        assert_exact(&lake, 300);
    }
}
