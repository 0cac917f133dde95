//! Fuzz target: the coordinator answers or refuses any bytes as messages of workers, in any order,
//! and its state stays consistent.

use lakewright_fuzz::Target;
use lakewright_proto::v1::task_report::Report;
use lakewright_proto::v1::{self, Finding};
use prost::Message;

use super::*;

fn id(number: u128) -> String {
    Uuid::from_u128(number).to_string()
}

fn progress(attempt: u128) -> AttemptProgress {
    let task = Some(TaskId { run: id(1), stage: 0, task: 0 });
    AttemptProgress { task, attempt: id(attempt), objects: 1, records: 2, bytes: 3, rows: 4 }
}

/// Returns an encoded report of each kind, with all of its parts.
fn reports() -> Vec<Vec<u8>> {
    let object = v1::SourceObject { key: "a".to_owned(), bytes: 9, etag: Some("e".to_owned()), modified: 5 };
    let damage = v1::Damage { byte_offset: 3, reason: v1::Reason::TooLong.into(), detail: "d".to_owned() };
    let tally = v1::ObjectTally { object: Some(object), records: 1, damage: Some(damage), ..Default::default() };
    let bound = |value| Some(v1::Bound { value: Some(value) });
    let statistics = v1::ColumnStatistics {
        column: "c".to_owned(),
        null_count: 1,
        min: bound(v1::bound::Value::Whole(-3)),
        max: bound(v1::bound::Value::Text("z".to_owned())),
    };
    let file = v1::WrittenFile {
        path: "a/b".to_owned(),
        partition_values: vec![v1::PartitionValue { column: "p".to_owned(), value: Some("v".to_owned()) }],
        rows: 1,
        bytes: 2,
        digest: Some("xxh64:ef46db3751d8e999".to_owned()),
        statistics: vec![statistics],
    };
    let flushes = vec![v1::Flush { chunk_bytes: vec![1, 2] }];
    let spooled = v1::SpoolObject { key: "spool/x".to_owned(), rows: vec![3, 4], flushes };
    let reports = [
        Report::Tally(tally),
        Report::Fields(v1::FieldCounts { undeclared: [("u".to_owned(), 1)].into(), ..v1::FieldCounts::default() }),
        Report::Staged(file.clone()),
        Report::Table(file),
        Report::Spooled(spooled),
    ];
    reports.map(|report| v1::TaskReport { report: Some(report) }.encode_to_vec()).into()
}

/// Returns an encoded message of each kind, after a byte with the number of the kind.
fn messages() -> Vec<Vec<u8>> {
    let task = Some(TaskId { run: id(1), stage: 0, task: 0 });
    let requests =
        Some(Requests { run: id(1), counts: [("GET 206".to_owned(), 3)].into(), bytes_read: 7, bytes_written: 8 });
    let start = StartRequest { task, attempt: id(3), process: id(10) };
    let heartbeat = HeartbeatRequest {
        process: id(10),
        free_vcores: 1,
        is_draining: false,
        attempts: vec![progress(3)],
        requests: requests.clone(),
    };
    let success = Outcome::Success(Success { reports: reports() });
    let failure = Outcome::Failure(Failure { kind: 1, message: "no".to_owned(), hint: "try".to_owned() });
    let report = |outcome| ReportRequest {
        process: id(10),
        progress: Some(progress(3)),
        outcome: Some(outcome),
        requests: requests.clone(),
    };
    let numbered = |number: u8, bytes: Vec<u8>| [vec![number], bytes].concat();
    vec![
        numbered(0, register(env!("CARGO_PKG_VERSION")).encode_to_vec()),
        numbered(1, start.encode_to_vec()),
        numbered(2, heartbeat.encode_to_vec()),
        numbered(3, report(success).encode_to_vec()),
        numbered(3, report(failure).encode_to_vec()),
        numbered(
            4,
            JoinRequest { process: id(10), findings: vec![Finding { bytes: 3, ..Finding::default() }] }.encode_to_vec(),
        ),
    ]
}

async fn call(service: &Service, number: u8, bytes: &[u8]) -> String {
    fn outcome<T: std::fmt::Debug>(answer: Result<Response<T>, Status>) -> String {
        match answer {
            Ok(answer) => format!("{:?}", answer.into_inner()),
            Err(status) => format!("{:?} {}", status.code(), status.message()),
        }
    }
    fn read<T: Message + Default>(bytes: &[u8]) -> Result<Request<T>, String> {
        T::decode(bytes).map(|message| from(10, message)).map_err(|e| e.to_string())
    }
    let called = match number % 5 {
        0 => match read(bytes) {
            Ok(request) => Ok(outcome(service.register(request).await)),
            Err(e) => Err(e),
        },
        1 => match read(bytes) {
            Ok(request) => Ok(outcome(service.start(request).await)),
            Err(e) => Err(e),
        },
        2 => match read(bytes) {
            Ok(request) => Ok(outcome(service.heartbeat(request).await)),
            Err(e) => Err(e),
        },
        3 => match read(bytes) {
            Ok(request) => Ok(outcome(service.report(request).await)),
            Err(e) => Err(e),
        },
        _ => match read(bytes) {
            Ok(request) => Ok(outcome(service.join(request).await)),
            Err(e) => Err(e),
        },
    };
    called.unwrap_or_else(|e| e)
}

#[test]
fn any_bytes_as_messages_of_workers_are_answered_or_refused() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let known = messages();
    let target = Target { name: "messages", words: &["\u{8}", "\u{1}", "\u{7f}"], seeds: known.clone() };
    target.run(|input| {
        let Some((number, bytes)) = input.split_first() else { return String::new() };
        runtime.block_on(async {
            // Send the message to a coordinator that knows the worker, and to one that does not.
            let (knowing, new) = (service(), service());
            call(&knowing, known[0][0], &known[0][1..]).await;
            join(&knowing).await;
            let outcome = call(&knowing, *number, bytes).await;
            call(&new, *number, bytes).await;
            // The coordinator still works: it counts a worker that joins.
            knowing.register(Request::new(register(env!("CARGO_PKG_VERSION")))).await.unwrap();
            join(&knowing).await;
            assert!(knowing.state.capacity().0 >= 1);
            format!("{} {outcome}", number % 5)
        })
    });
}
