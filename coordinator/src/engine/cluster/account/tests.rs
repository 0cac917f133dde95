//! Tests one correct report of each kind, and every way to make it wrong.

use std::collections::BTreeMap;

use lakewright_common::read::rejection::Reason;
use lakewright_common::read::tally::Damage;
use lakewright_common::storage::object::SourceObject;

use super::*;

const RUN: Uuid = Uuid::from_u128(7);
const FILE: Uuid = Uuid::from_u128(9);

fn object(key: &str, bytes: u64) -> SourceObject {
    SourceObject { key: key.to_owned(), bytes, etag: None, modified: 0 }
}

fn file(path: String, rows: u64) -> WrittenFile {
    WrittenFile { path, partition_values: BTreeMap::new(), rows, bytes: 100, digest: None, statistics: vec![] }
}

fn staged(path: &str, rows: u64) -> TaskReport {
    TaskReport::Staged(file(path.to_owned(), rows))
}

fn ingest() -> Account {
    let splits = vec![Split::whole(object("a", 10)), Split::whole(object("b", 20))];
    Account::Ingest {
        splits: vec![splits.into()],
        max_ratio: 100,
        staging: Names::new("staging/s", RUN, Some(3)),
        quarantine: Names::new("quarantine/s", RUN, Some(3)),
    }
}

fn tally(key: &str, bytes: u64, staged: u64, quarantined: u64) -> ObjectTally {
    let tally = ObjectTally::of(&Split::whole(object(key, bytes)));
    ObjectTally { records: staged + quarantined, staged, quarantined, stored_bytes: bytes, ..tally }
}

fn read(tally: ObjectTally) -> TaskReport {
    TaskReport::Read(ReadReport::Object(tally))
}

fn honest() -> Vec<TaskReport> {
    let rejected = file(format!("quarantine/s/{RUN}-3-{FILE}.parquet"), 1);
    vec![
        staged(&format!("staging/s/{RUN}-3-{FILE}.parquet"), 3),
        TaskReport::Quarantined(rejected),
        read(tally("a", 10, 1, 1)),
        read(tally("b", 20, 2, 0)),
    ]
}

#[test]
fn an_honest_report_of_an_ingest_counts_and_a_false_one_does_not() {
    ingest().check(&honest()).unwrap();
    let other = |name: &str| staged(name, 3);
    let is_refused = |text: &str, reports: Vec<TaskReport>| {
        let reason = ingest().check(&reports).unwrap_err();
        assert!(reason.contains(text), "`{text}` is not in: {reason}");
    };
    let with = |i: usize, report: TaskReport| {
        let mut reports = honest();
        reports[i] = report;
        reports
    };
    // Objects that are missing, read twice, not part of the task, or of another version.
    is_refused("nothing about `", vec![]);
    is_refused("nothing about `b`", honest()[..3].to_vec());
    is_refused("`b` that it was not given, or twice", [honest(), vec![honest()[3].clone()]].concat());
    is_refused("`c` that it was not given", [honest(), vec![read(tally("c", 1, 0, 0))]].concat());
    is_refused("another version of `b`", with(3, read(tally("b", 21, 2, 0))));
    // Objects with bytes that were not read.
    for bytes in [0, 1, 10, 19, 21, u64::MAX] {
        let false_one = ObjectTally { stored_bytes: bytes, ..tally("b", 20, 2, 0) };
        is_refused(&format!("{bytes} bytes read of 20 of `b`"), with(3, read(false_one)));
    }
    // A damaged split may end anywhere, but not after its end.
    let damaged = |bytes: u64| {
        let damage = Damage { byte_offset: 9, reason: Reason::Malformed, detail: String::new() };
        with(3, read(ObjectTally { stored_bytes: bytes, damage: Some(damage), ..tally("b", 20, 2, 0) }))
    };
    for bytes in [0, 9, 20] {
        ingest().check(&damaged(bytes)).unwrap();
    }
    is_refused("21 bytes read of 20 of `b`", damaged(21));
    // Impossible counts.
    is_refused("do not add up", with(3, read(ObjectTally { records: 9, ..tally("b", 20, 2, 0) })));
    is_refused("in 20 bytes of `b`", with(3, read(tally("b", 20, 70_000_000, 0))));
    is_refused("files of 3 and 1 rows for 2 and 1 records", with(3, read(tally("b", 20, 1, 0))));
    is_refused("rows", with(0, staged(&format!("staging/s/{RUN}-3-{FILE}.parquet"), u64::MAX)));
    // Files that other tasks write.
    for path in [
        format!("staging/other/{RUN}-3-{FILE}.parquet"),
        format!("staging/s/../x/{RUN}-3-{FILE}.parquet"),
        format!("staging/s/{RUN}-4-{FILE}.parquet"),
        format!("staging/s/{FILE}-3-{FILE}.parquet"),
        format!("staging/s/{RUN}-3-{FILE}.json"),
        format!("/staging/s/{RUN}-3-{FILE}.parquet"),
        format!("staging/s/{RUN}-3-.parquet"),
        "songs/x.parquet".to_owned(),
        String::new(),
    ] {
        is_refused("not of its task", with(0, other(&path)));
    }
    is_refused("twice", [honest(), vec![honest()[0].clone()]].concat());
    is_refused("something else", with(0, TaskReport::Table(file(String::new(), 3))));
}

#[test]
fn a_file_of_a_table_is_in_the_folder_of_its_partition_values() {
    let account = Account::Table { names: Names::new("songs", RUN, Some(0)), partition_by: vec!["year".to_owned()] };
    let table = |path: String, year: Option<&str>| {
        let values = year.map(|year| ("year".to_owned(), Some(year.to_owned())));
        TaskReport::Table(WrittenFile { partition_values: values.into_iter().collect(), ..file(path, 1) })
    };
    let good = table(format!("songs/year=2000/{RUN}-0-{FILE}.parquet"), Some("2000"));
    account.check(std::slice::from_ref(&good)).unwrap();
    account.check(&[]).unwrap();
    for false_one in [
        table(format!("songs/year=2000/{RUN}-0-{FILE}.parquet"), Some("2001")),
        table(format!("songs/year=2000/{RUN}-0-{FILE}.parquet"), None),
        table(format!("songs/{RUN}-0-{FILE}.parquet"), Some("2000")),
        table(format!("songs/_delta_log/{RUN}-0-{FILE}.parquet"), Some("2000")),
        staged(&format!("songs/{RUN}-0-{FILE}.parquet"), 1),
    ] {
        account.check(&[false_one]).unwrap_err();
    }
    account.check(&[good.clone(), good]).unwrap_err();
    // A task that runs the whole plan may use any partition's number in its file names.
    let whole = Account::Table { names: Names::new("songs", RUN, None), partition_by: vec![] };
    whole.check(&[TaskReport::Table(file(format!("songs/{RUN}-17-{FILE}.parquet"), 1))]).unwrap();
    whole.check(&[TaskReport::Table(file(format!("songs/{RUN}-x-{FILE}.parquet"), 1))]).unwrap_err();
}

#[test]
fn a_spool_object_is_of_its_run_and_has_the_partitions_of_its_stage() {
    let account = Account::Spool { prefix: "spool/r/exchange".to_owned(), partitions: 2 };
    let key = format!("spool/r/exchange-{FILE}.arrows");
    let spooled = |key: &str, rows: &[u64], chunks: &[&[u64]]| {
        let chunk_bytes = chunks.iter().map(|flush| flush.to_vec()).collect();
        account.check(&[TaskReport::Spooled(SpoolObject { key: key.to_owned(), rows: rows.to_vec(), chunk_bytes })])
    };
    spooled(&key, &[1, 2], &[&[10, 20]]).unwrap();
    spooled("", &[0, 0], &[]).unwrap();
    spooled("", &[0, 0], &[&[10, 20]]).unwrap_err();
    spooled("_lake/manifest/1.json", &[1, 2], &[&[10, 20]]).unwrap_err();
    spooled(&key, &[1], &[&[10, 20]]).unwrap_err();
    spooled(&key, &[1, 2], &[&[10, 20, 30]]).unwrap_err();
    spooled(&key, &[1, 2], &[&[u64::MAX, 20]]).unwrap_err();
}
