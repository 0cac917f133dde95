//! Faults of storage: a run either ends with exact tables, or fails with an error that names the
//! object, and nothing is visible.

use std::fmt::Write as _;
use std::time::Duration;

use lakewright_s3_server::{Fault, Harm};

use crate::support::cluster::{Worker, free_port};
use crate::support::s3::{BUCKET, TestBucket};
use crate::support::{Done, Lake};

/// Number of objects of the source.
const OBJECTS: i64 = 60;

/// Creates a lake with short limits on requests.
fn lake(place: &TestBucket) -> Lake {
    let config = format!(
        "[lake]\nurl = \"lake\"\n[sources.s]\nurl = \"in\"\n[sources.s.fields]\nid = \"long\"\n\
         [tables.t]\nsql = \"t.sql\"\nkey = \"id\"\n\
         [storage.\"s3://{BUCKET}\"]\nconnect_timeout = \"1s\"\ntimeout = \"1s\"\nattempts = 5\nretry_timeout = \"20s\"\n"
    );
    let lake = Lake::of(&[("lake.toml", &config), ("t.sql", "SELECT id FROM staging.s")]);
    for i in 0..OBJECTS {
        let mut text = String::new();
        let _ = writeln!(text, "{{\"id\": {i}}}");
        lake.write(&format!("in/{i}.json"), text.as_bytes());
    }
    lake.on_s3(place)
}

fn assert_exact(lake: &Lake) {
    assert_eq!(lake.number("SELECT count(*) FROM t"), OBJECTS);
    assert_eq!(lake.number("SELECT sum(id) FROM t"), (0..OBJECTS).sum::<i64>());
}

#[test]
fn temporary_faults_only_cost_time() {
    let gets = |harm| Fault::new("GET", "/in/", harm);
    let manifest = |harm| Fault::new("PUT", "/_lake/manifest/", harm);
    let all = [
        gets(Harm::Refuse(503, "SlowDown")).one_in(5),
        gets(Harm::Refuse(500, "InternalError")).one_in(5),
        gets(Harm::Cut).one_in(5),
        gets(Harm::Short).times(2),
        gets(Harm::Stall).times(2),
        gets(Harm::Silence).times(2),
        gets(Harm::Drip(Duration::from_millis(5))).one_in(10),
        Fault::new("GET", "list-type=2", Harm::Refuse(503, "SlowDown")).times(2),
        Fault::new("GET", "list-type=2", Harm::Silence).times(1),
        Fault::new("HEAD", "", Harm::Refuse(503, "SlowDown")).times(2),
        Fault::new("PUT", "", Harm::Refuse(503, "SlowDown")).one_in(3),
        Fault::new("PUT", "", Harm::Refuse(500, "InternalError")).one_in(3),
        manifest(Harm::DoAndAnswer(500, "InternalError")).times(1),
        manifest(Harm::Refuse(409, "ConditionalRequestConflict")).times(2),
        Fault::new("PUT", "/_delta_log/", Harm::DoAndAnswer(500, "InternalError")).times(1),
        Fault::new("PUT", "/_delta_log/", Harm::Refuse(409, "ConditionalRequestConflict")).times(2),
    ];
    for fault in all {
        let place = TestBucket::own();
        let lake = lake(&place);
        let _ = place.server().take_requests();
        place.server().plan(fault.clone());
        let done = lake.run_with(&["run"], &[]);
        assert_eq!(done.code, Some(0), "{fault:?}: {}", done.stderr);
        let requests = place.server().take_requests();
        assert!(
            requests.iter().any(|request| request.method == fault.method && request.path.contains(fault.path)),
            "{fault:?} met nothing"
        );
        place.server().heal();
        assert_exact(&lake);
        lake.verify_on(&place);
        assert!(done.stderr.contains("committed version 1"), "{fault:?}: {}", done.stderr);
    }
}

#[test]
fn lasting_faults_fail_the_run_by_name_and_nothing_is_visible() {
    let one = |harm| Fault::new("GET", "/in/7.json", harm);
    let all: [(Fault, i32, &[&str]); 10] = [
        (one(Harm::Short), 3, &["cannot read `s3://bucket/in/7.json`", "of 10 bytes"]),
        (one(Harm::Refuse(503, "SlowDown")), 3, &["bucket/in/7.json", "503", "GET"]),
        (one(Harm::Silence), 3, &["bucket/in/7.json", "GET"]),
        (one(Harm::Refuse(403, "AccessDenied")), 3, &["bucket/in/7.json", "403", "docs/s3.md"]),
        (one(Harm::Refuse(400, "ExpiredToken")), 3, &["bucket/in/7.json", "400", "have expired"]),
        (one(Harm::Refuse(404, "NoSuchKey")), 1, &["`s3://bucket/in/7.json` vanished"]),
        (one(Harm::Refuse(412, "PreconditionFailed")), 1, &["`s3://bucket/in/7.json` changed"]),
        (
            Fault::new("GET", "list-type=2", Harm::Refuse(403, "AccessDenied")),
            3,
            &["cannot list `s3://bucket/", "403", "AccessDenied"],
        ),
        (
            Fault::new("PUT", "/t/", Harm::Refuse(403, "AccessDenied")),
            3,
            &["cannot write `s3://bucket/lake/t/", "403", "AccessDenied"],
        ),
        (
            Fault::new("PUT", "/_lake/manifest/", Harm::Refuse(403, "AccessDenied")),
            3,
            &["cannot write `s3://bucket/lake/_lake/manifest/", "403", "AccessDenied"],
        ),
    ];
    for (fault, code, parts) in all {
        let place = TestBucket::own();
        let lake = lake(&place);
        place.server().plan(fault.clone());
        let stderr = lake.fails(&["run"], code);
        let error = stderr.split_once("error: ").map_or("", |(_, error)| error);
        for part in parts {
            assert!(error.contains(part), "{fault:?}: `{part}` is not in: {stderr}");
        }
        assert_eq!(place.server().keys(BUCKET, "lake/_lake/manifest"), Vec::<String>::new(), "{fault:?}");
        place.server().heal();
        lake.ok(&["run"]);
        assert_exact(&lake);
        lake.verify_on(&place);
    }
}

#[test]
fn an_object_that_changed_after_it_was_ingested_is_named() {
    let place = TestBucket::own();
    let lake = lake(&place);
    lake.ok(&["run"]);
    // The first run ingested the object; a later change is reported by the next run.
    place.put("in/7.json", b"{\"id\": 1000}\n");
    let stderr = lake.fails(&["run"], 1);
    assert!(stderr.contains("7.json"), "{stderr}");
    assert_exact(&lake);
}

#[test]
fn an_object_that_changes_while_it_is_read_is_an_error_or_left_or_read_in_the_listed_version() {
    let replaced = Fault::new("GET", "/in/7.json", Harm::Replace("{\"id\": 1000}\n")).times(1);
    let place = TestBucket::own();
    let lake = lake(&place);
    place.server().plan(replaced.clone());
    let stderr = lake.fails(&["run"], 1);
    assert!(stderr.contains("`s3://bucket/in/7.json` changed after it was listed"), "{stderr}");

    // The object is left for the next run, which ingests its new content.
    let place = TestBucket::own();
    let lake = self::lake(&place);
    lake.edit("lake.toml", "[sources.s.fields]", "on_change = \"ignore\"\n[sources.s.fields]");
    place.server().plan(replaced.clone());
    let left = lake.ok(&["run"]).stderr;
    assert!(left.contains("1 object changed while being read") && left.contains("s3://bucket/in/7.json"), "{left}");
    assert_eq!(lake.number("SELECT count(*) FROM t"), OBJECTS - 1);
    lake.ok(&["run"]);
    assert_eq!(lake.number("SELECT sum(id) FROM t"), (0..OBJECTS).sum::<i64>() - 7 + 1000);

    // A bucket with versioning still has the listed version.
    let place = TestBucket::own();
    place.server().keep_versions(BUCKET);
    let lake = self::lake(&place);
    place.server().plan(replaced);
    let done = lake.ok(&["run"]);
    assert!(done.stderr.contains("reading the listed version"), "{}", done.stderr);
    assert_exact(&lake);
}

#[test]
fn an_archived_object_is_named_before_any_work_or_skipped() {
    let place = TestBucket::own();
    let lake = lake(&place);
    place.server().put_as(BUCKET, "in/cold.json", "{\"id\": 1000}\n", "DEEP_ARCHIVE");
    let stderr = lake.fails(&["run"], 1);
    assert!(stderr.contains("in an archive") && stderr.contains("s3://bucket/in/cold.json"), "{stderr}");
    assert_eq!(place.server().keys(BUCKET, "lake/"), Vec::<String>::new());

    lake.edit("lake.toml", "[sources.s.fields]", "on_archived = \"skip\"\n[sources.s.fields]");
    let skipped = "1 object in an archive, skipped: `s3://bucket/in/cold.json`";
    assert!(lake.ok(&["check"]).stdout.contains(skipped));
    assert!(lake.ok(&["run"]).stderr.contains(skipped));
    assert_exact(&lake);
    // An object that waits for its restoration is no object that was ingested before.
    let again = lake.ok(&["run"]).stderr;
    assert!(again.contains(skipped) && again.contains("every new object was skipped"), "{again}");
    // After it is restored, the object is ingested.
    place.server().put(BUCKET, "in/cold.json", "{\"id\": 1000}\n");
    lake.ok(&["run"]);
    assert_eq!(lake.number("SELECT count(*) FROM t"), OBJECTS + 1);
    // An ingested object may be archived later, because it is not read again.
    lake.edit("lake.toml", "on_archived = \"skip\"\n", "");
    place.server().archive(BUCKET, "in/7.json");
    let done = lake.ok(&["run"]);
    assert!(done.stderr.contains("nothing new") && !done.stderr.contains("archive"), "{}", done.stderr);
}

#[test]
fn failed_reads_are_tried_by_another_attempt_and_faults_of_the_data_fail_at_once() {
    let place = TestBucket::own();
    let port = free_port();
    let lake = lake(&place).on_cluster(port, 2);
    let environment = lake.environment();
    let mut workers = ["one", "two"].map(|name| Worker::start_with(port, name, &["--memory", "512MB"], &environment));
    // One attempt of a task makes five requests for a read.
    place.server().plan(Fault::new("GET", "/in/7.json", Harm::Refuse(503, "SlowDown")).times(5));
    let done = lake.start(&[]).end();
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert_eq!(done.stderr.matches("an attempt failed").count(), 1, "{}", done.stderr);
    assert!(done.stderr.contains("in/7.json"), "{}", done.stderr);
    assert_exact(&lake);

    place.server().heal();
    place.put("in/new.json", b"{\"id\": 1000}\n");
    place.server().plan(Fault::new("GET", "/in/new.json", Harm::Refuse(412, "PreconditionFailed")));
    let done = lake.start(&[]).end();
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    assert_eq!(done.stderr.matches("an attempt failed").count(), 1, "{}", done.stderr);
    assert_exact(&lake);

    // One worker is killed in the middle of a read; the other does its work.
    place.server().heal();
    place.server().plan(Fault::new("GET", "/in/new.json", Harm::Silence).times(1));
    let mut coordinator = lake.start(&[]);
    coordinator.says("a worker joined");
    coordinator.has_said("started step=\"ingest s\"");
    let dying = &mut workers[0];
    dying.signal("KILL");
    dying.end();
    let done = coordinator.end();
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert_eq!(lake.number("SELECT count(*) FROM t"), OBJECTS + 1);
    assert_eq!(lake.number("SELECT sum(id) FROM t"), (0..OBJECTS).sum::<i64>() + 1000);
    lake.verify_on(&place);
}

#[test]
fn two_hundred_thousand_keys_are_listed_in_bounded_memory() {
    let place = TestBucket::own();
    let lake = lake(&place);
    let keys = 200_000;
    for i in 0..keys {
        let key = format!("in/folder-{:03}/object-with-a-long-name-{i:06}.json", i % 200);
        place.server().put(BUCKET, &key, "{\"id\": 1}\n");
    }
    let mut check = lake.command(&["check"]);
    let child =
        check.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().expect("it starts");
    let peak = peak_memory(child.id());
    let done = Done::of(&child.wait_with_output().expect("it ends"));
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stdout.contains(&(keys + OBJECTS).to_string()), "{}", done.stdout);
    let peak = peak.join().expect("it watches to the end");
    assert!(peak > 0 && peak < 400_000, "{peak} kB for {keys} keys");
    let listings = place.server().take_requests().iter().filter(|request| request.path.contains("list-type=2")).count();
    assert!(listings < 500, "{listings} listings");
}

/// Watches a process until it ends. Returns its peak resident memory in kB.
fn peak_memory(pid: u32) -> std::thread::JoinHandle<u64> {
    std::thread::spawn(move || {
        let mut peak = 0;
        while let Ok(status) = std::fs::read_to_string(format!("/proc/{pid}/status")) {
            let Some(line) = status.lines().find(|line| line.starts_with("VmHWM:")) else { break };
            peak = line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).unwrap_or(peak);
            std::thread::sleep(Duration::from_millis(5));
        }
        peak
    })
}

#[test]
fn wrong_credentials_buckets_and_endpoints_have_different_errors() {
    let place = TestBucket::own();
    let lake = lake(&place);
    let stderr = lake.run_with(&["run"], &[("AWS_SECRET_ACCESS_KEY", "wrong")]).stderr;
    assert!(stderr.contains("cannot open `s3://bucket/") && stderr.contains("403"), "{stderr}");
    let stderr = lake.run_with(&["run"], &[("LAKEWRIGHT__LAKE__URL", "s3://no-such-bucket/lake")]).stderr;
    assert!(stderr.contains("s3://no-such-bucket/lake/") && stderr.contains("there is no such bucket"), "{stderr}");
    // The response to the first request (HEAD) has no body, but the error has the reason.
    place.server().add_key("AKIAOLD", "secret", None);
    place.server().expire_key("AKIAOLD");
    let old = [("AWS_ACCESS_KEY_ID", "AKIAOLD"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    let stderr = lake.run_with(&["run"], &old).stderr;
    assert!(stderr.contains("ExpiredToken") && stderr.contains("have expired"), "{stderr}");
    // The profile in the bucket's section overrides keys in the environment.
    lake.edit("lake.toml", "connect_timeout", "profile = \"no-such-profile\"\nconnect_timeout");
    let stderr = lake.fails(&["run"], 3);
    assert!(stderr.contains("no-such-profile"), "{stderr}");
    lake.edit("lake.toml", "profile = \"no-such-profile\"", "path_style = false");
    let stderr = lake.fails(&["run"], 2);
    assert!(stderr.contains("is an IP address, which needs `path_style = true`"), "{stderr}");
    lake.edit("lake.toml", "path_style = false", "path_style = true");
    let stderr = lake.run_with(&["run"], &[("LAKEWRIGHT__SOURCES__S__URL", "s3://bucket/typo")]).stderr;
    assert!(stderr.contains("source `s`: no object below `s3://bucket/typo/`"), "{stderr}");
    let stderr = lake.run_with(&["run"], &[("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")]).stderr;
    assert!(stderr.contains("cannot open `s3://bucket/") && stderr.contains("endpoint"), "{stderr}");
}

#[test]
fn many_small_objects_cost_one_request_each() {
    let place = TestBucket::own();
    let lake = lake(&place);
    let more = 3_000;
    for i in 0..more {
        place.server().put(BUCKET, &format!("in/many/{i}.json"), format!("{{\"id\": {}}}\n", i + 1_000));
    }
    place.server().set_latency(Duration::from_millis(2));
    let _ = place.server().take_requests();
    lake.ok(&["run"]);
    let requests = place.server().take_requests();
    let reads = requests.iter().filter(|request| request.method == "GET" && request.path.contains("/in/")).count();
    assert_eq!(i64::try_from(reads).unwrap(), OBJECTS + more, "each object is read once");
    let listings = requests.iter().filter(|request| request.path.contains("list-type=2")).count();
    let others = requests.len() - reads - listings;
    assert!(listings < 20, "{listings} listings");
    assert!(others < 60, "{others} other requests");
    assert_eq!(lake.number("SELECT count(*) FROM t"), OBJECTS + more);
}

#[test]
fn vacuum_lists_and_then_deletes_only_the_files_of_dead_runs() {
    let place = TestBucket::own();
    let lake = lake(&place);
    lake.ok(&["run"]);
    place.put("in/new.json", b"{\"id\": 1000}\n");
    let dead = lake.run_with(&["run"], &[("LAKEWRIGHT_FAILPOINT", "commit.before_manifest")]);
    assert_eq!(dead.code, None, "{}", dead.stderr);
    place.begin_upload("lake/t/part.parquet");
    let all = place.server().keys(BUCKET, "");
    let young = lake.ok(&["vacuum"]).stdout;
    assert!(
        young.ends_with("0 files of 0 B and 0 unfinished uploads would be deleted; `--delete` does it\n"),
        "{young}"
    );

    place.server().age(Duration::from_secs(30 * 24 * 3600));
    let listed = lake.ok(&["vacuum"]).stdout;
    // Files of the dead run: a staging file, a table's file, a file of the ledger.
    assert!(listed.contains("3 files of") && listed.contains("1 unfinished uploads would be"), "{listed}");
    assert_eq!(place.server().keys(BUCKET, ""), all, "a dry run deletes nothing");
    let deleted = lake.ok(&["vacuum", "--delete"]).stdout;
    assert!(deleted.contains("3 files of") && deleted.contains("1 unfinished uploads deleted"), "{deleted}");
    assert_eq!(place.server().keys(BUCKET, "").len(), all.len() - 3);
    assert_eq!(place.server().unfinished_uploads(), 0);
    assert_exact(&lake);
    lake.ok(&["run"]);
    assert_eq!(lake.number("SELECT count(*) FROM t"), OBJECTS + 1);
    assert!(lake.fails(&["vacuum", "--retention", "1h"], 2).contains("at least 24h"));
}

/// If the local clock is a month ahead, files of a run that is about to commit look old.
#[test]
fn vacuum_uses_only_the_clock_of_the_storage() {
    let place = TestBucket::own();
    let lake = lake(&place);
    lake.ok(&["run"]);
    place.put("in/new.json", b"{\"id\": 1000}\n");
    let dead = lake.run_with(&["run"], &[("LAKEWRIGHT_FAILPOINT", "commit.before_manifest")]);
    assert_eq!(dead.code, None, "{}", dead.stderr);
    let all = place.server().keys(BUCKET, "");
    // Instead, the server's clock is set back by a month, and its objects have its time.
    let month = Duration::from_secs(30 * 24 * 3600);
    place.server().set_clock_back(month);
    place.server().age(month);
    for arguments in [&["vacuum"][..], &["vacuum", "--delete"]] {
        let said = lake.fails(arguments, 2);
        for part in ["this machine's clock says", "and the storage's", "nothing was deleted"] {
            assert!(said.contains(part), "{arguments:?}: `{part}` is not in: {said}");
        }
    }
    assert_eq!(place.server().keys(BUCKET, ""), all);
}

/// If there is no response to the manifest's put, nor to the request that asks whether the manifest
/// exists, the commit may have succeeded.
#[test]
fn a_run_with_an_unclear_commit_deletes_nothing_and_one_that_failed_before_deletes_its_files() {
    let place = TestBucket::own();
    let lake = lake(&place);
    lake.ok(&["run"]);
    place.put("in/new.json", b"{\"id\": 1000}\n");
    let before = place.server().keys(BUCKET, "lake/");
    place.server().plan(Fault::new("PUT", "/_lake/ledger/", Harm::Refuse(403, "AccessDenied")));
    let failed = lake.run_with(&["run"], &[]);
    assert_eq!(failed.code, Some(3), "{}", failed.stderr);
    assert!(failed.stderr.contains("_lake/ledger/"), "{}", failed.stderr);
    assert_eq!(place.server().keys(BUCKET, "lake/"), before);
    place.server().heal();

    place.server().plan(Fault::new("PUT", "/_lake/manifest/", Harm::DoAndAnswer(500, "InternalError")));
    place.server().plan(Fault::new("GET", "/_lake/manifest/00000000000000000002", Harm::Refuse(403, "AccessDenied")));
    let unclear = lake.run_with(&["run"], &[]);
    assert_eq!(unclear.code, Some(3), "{}", unclear.stderr);
    place.server().heal();
    assert_eq!(lake.number("SELECT count(*) FROM t"), OBJECTS + 1);
    lake.ok(&["run"]);
}
