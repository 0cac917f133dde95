//! Tests of runs that are frozen at a fail point while another process writes to the logs.

use std::fs;
use std::process::{Child, Stdio};

use super::lake::{append, assert_is_whole, committed_twice, data_files, live_files, manifest_files};
use crate::support::{Done, Lake, files_below};

/// Waits until the process has stopped itself at its fail point.
fn wait_until_frozen(child: &Child) {
    let status = format!("/proc/{}/status", child.id());
    loop {
        let text = fs::read_to_string(&status).expect("the process lives");
        let state = text.lines().find_map(|line| line.strip_prefix("State:")).expect("a process has a state").trim();
        assert!(!state.starts_with('Z'), "the process ended before its fail point");
        if state.starts_with('T') {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

fn start_frozen(lake: &Lake, point: &str) -> Child {
    let mut command = lake.command(&["run"]);
    command.env("LAKEWRIGHT_FAILPOINT", format!("{point}:STOP")).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("the binary starts");
    wait_until_frozen(&child);
    child
}

fn thaw(child: Child) -> Done {
    let sent = std::process::Command::new("kill").args(["-CONT", &child.id().to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()));
    Done::of(&child.wait_with_output().unwrap())
}

/// Another program commits between the put of the manifest and the put of the log's entry.
#[test]
fn a_commit_that_comes_in_between_is_not_written_over() {
    let lake = committed_twice();
    let child = start_frozen(&lake, "commit.after_manifest");
    append(&lake);
    let foreign = live_files(&lake, "kept");
    let done = thaw(child);
    // The commit is valid; the exit code is that of the failure to publish it, which the next run
    // would have too.
    assert_eq!(done.code, Some(2), "{}", done.stderr);
    for part in [
        "committed version 3",
        "warning: version 3 is committed",
        "error: version 3 is committed, but not published",
        "another program",
        "`WRITE`",
        "publish --table kept --overwrite",
        "behind",
    ] {
        assert!(done.stderr.contains(part), "`{part}` is not in: {}", done.stderr);
    }
    assert_eq!(live_files(&lake, "kept"), foreign, "the log was written to");
    assert_eq!(live_files(&lake, "parts"), manifest_files(&lake, "parts"), "another table was not published");
    assert!(lake.fails(&["run"], 2).contains("another program"));
    lake.ok(&["publish", "--table", "kept", "--overwrite"]);
    assert_is_whole(&lake, "in between");
}

/// One frozen run loses its manifest's put to another run, which rolls the logs forward. Another
/// frozen run has read an older manifest.
#[test]
fn a_log_that_another_run_took_further_is_not_refused() {
    let lake = committed_twice();
    let looser = start_frozen(&lake, "commit.before_manifest");
    let late = start_frozen(&lake, "run.before_discover");
    lake.ok(&["run"]);
    lake.write("in/4.json", b"{\"id\": 5, \"p\": \"e\"}\n");
    lake.ok(&["run"]);
    for child in [looser, late] {
        let done = thaw(child);
        assert_eq!(done.code, Some(4), "{}", done.stderr);
    }
    assert_is_whole(&lake, "after two runs at once");
    // The runs that failed have deleted their files.
    let manifests = files_below(&lake.path("lake/_lake/manifest"));
    let named: String = manifests.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    for file in data_files(&lake) {
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(named.contains(name), "no manifest names `{}`", file.display());
    }
    assert_eq!(lake.number("SELECT count(*) FROM kept"), 5);
}
