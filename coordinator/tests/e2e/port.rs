//! Tests of the coordinator's port: what strangers and malicious workers can do, and what a worker
//! must show before it gets tasks.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use ballista_core::serde::protobuf::{PollWorkParams, PollWorkResult};
use lakewright_proto::v1::report_request::Outcome;
use lakewright_proto::v1::task_report::Report;
use lakewright_proto::v1::{
    AttemptProgress, Decision, HeartbeatRequest, JoinRequest, RegisterRequest, ReportRequest, StartRequest, Success,
    TaskId, TaskReport, WrittenFile,
};
use prost::Message;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request, Status};

use crate::cluster::{MANY_TASKS, assert_exact, ends_well, reference};
use crate::support::Lake;
use crate::support::cluster::{Authority, Worker, free_port};
use crate::support::fake_worker::FakeWorker;

/// All methods of Ballista's scheduler except the one that workers call.
const UNREACHABLE_METHODS: &[&str] = &[
    "CancelJob",
    "CleanJobData",
    "CreateUpdateSession",
    "ExecuteQuery",
    "ExecuteQueryPush",
    "ExecutorStopped",
    "GetJobMetrics",
    "GetJobStatus",
    "HeartBeatFromExecutor",
    "RegisterExecutor",
    "RemoveSession",
    "UpdateTaskStatus",
];

/// Calls a method of Ballista's scheduler with a message that any of them can decode.
fn call(fake_worker: &FakeWorker, method: &str, request: Request<PollWorkParams>) -> Result<PollWorkResult, Status> {
    let path = PathAndQuery::try_from(format!("/ballista.protobuf.SchedulerGrpc/{method}")).unwrap();
    let mut grpc = tonic::client::Grpc::new(fake_worker.channel.clone());
    fake_worker.runtime.block_on(async {
        grpc.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<PollWorkParams, PollWorkResult>::default();
        grpc.unary(request, path, codec).await.map(tonic::Response::into_inner)
    })
}

fn poll(free_vcores: u32) -> PollWorkParams {
    PollWorkParams { num_free_vcores: free_vcores, ..PollWorkParams::default() }
}

#[test]
fn whoever_connects_can_call_what_workers_need_and_nothing_else() {
    let port = free_port();
    let lake = Lake::over_data().on_open_cluster(port, 2);
    let mut coordinator = lake.start(MANY_TASKS);
    coordinator.says("listening");
    let fake_worker = FakeWorker::new(port);
    // Before it has joined, only `Register` and `Join` are answered.
    for method in UNREACHABLE_METHODS {
        for request in [Request::new(poll(1)), fake_worker.request(poll(1))] {
            assert_eq!(call(&fake_worker, method, request).unwrap_err().code(), Code::Unimplemented, "{method}");
        }
    }
    assert_eq!(call(&fake_worker, "PollWork", Request::new(poll(10_000))).unwrap_err().code(), Code::NotFound);
    assert_eq!(call(&fake_worker, "PollWork", fake_worker.request(poll(10_000))).unwrap_err().code(), Code::NotFound);
    let process = fake_worker.process.to_string();
    let start = StartRequest { process: process.clone(), ..StartRequest::default() };
    let heartbeat = HeartbeatRequest { process: process.clone(), ..HeartbeatRequest::default() };
    let report = ReportRequest { process: process.clone(), ..ReportRequest::default() };
    let join = JoinRequest { process, findings: vec![] };
    let client = || fake_worker.client();
    fake_worker.is_rejected(Code::NotFound, client().start(fake_worker.request(start.clone())));
    fake_worker.is_rejected(Code::NotFound, client().heartbeat(fake_worker.request(heartbeat.clone())));
    fake_worker.is_rejected(Code::NotFound, client().report(fake_worker.request(report.clone())));
    fake_worker.is_rejected(Code::NotFound, client().join(fake_worker.request(join)));

    // The fields of a registration are bounded.
    for vcores in [0, 1025, u32::MAX] {
        fake_worker.is_rejected(Code::FailedPrecondition, client().register(fake_worker.register_request(vcores)));
    }
    let long = RegisterRequest { worker: "x".repeat(900_000), ..fake_worker.register_request(1) };
    fake_worker.is_rejected(Code::FailedPrecondition, client().register(long));
    let longer = RegisterRequest { worker: "x".repeat(2_000_000), ..fake_worker.register_request(1) };
    fake_worker.is_rejected(Code::OutOfRange, client().register(longer));

    // Joined: requests with missing fields are rejected, and a poll is answered for the registered
    // vcores.
    fake_worker.join();
    assert_eq!(
        call(&fake_worker, "ExecuteQuery", fake_worker.request(poll(1))).unwrap_err().code(),
        Code::Unimplemented
    );
    fake_worker.is_rejected(Code::InvalidArgument, client().start(fake_worker.request(start)));
    fake_worker.is_rejected(Code::InvalidArgument, client().report(fake_worker.request(report)));
    fake_worker.runtime.block_on(client().heartbeat(fake_worker.request(heartbeat))).unwrap();
    let other = HeartbeatRequest { process: uuid::Uuid::now_v7().to_string(), ..HeartbeatRequest::default() };
    fake_worker.is_rejected(Code::PermissionDenied, client().heartbeat(fake_worker.request(other)));
    let _worker = Worker::start(port, "worker");
    coordinator.says("a worker joined worker=\"worker\"");
    let tasks = call(&fake_worker, "PollWork", fake_worker.request(poll(u32::MAX))).unwrap().tasks;
    assert!(tasks.len() <= 1, "{} tasks for one vcore", tasks.len());
    let log = ends_well(coordinator);
    assert!(!log.contains("panicked"), "{log}");
    assert_exact(&lake, &reference());
}

/// Opens `count` connections that send `bytes` and then stay silent.
fn silent(port: u16, count: usize, bytes: &[u8]) -> Vec<TcpStream> {
    let connect = |_| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.write_all(bytes).ok()?;
        Some(stream)
    };
    (0..count).filter_map(connect).collect()
}

/// Start of a TLS handshake that is never finished.
const HALF_CLIENT_HELLO: &[u8] = &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];

#[test]
fn silent_connections_neither_keep_workers_out_nor_end_a_run() {
    let authority = Authority::new();
    let coordinator = authority.sign("coordinator", "localhost", 2100);
    let worker = authority.sign("worker", "worker", 2100);
    let few_files = ["prlimit", "--nofile=256:256"];
    for (has_tls, bytes) in [(false, &b""[..]), (false, b"PRI * HTTP/2.0\r\n"), (true, b""), (true, HALF_CLIENT_HELLO)]
    {
        let port = free_port();
        let lake = Lake::over_data().on_cluster(port, 1);
        let mut environment = MANY_TASKS.to_vec();
        let identity = coordinator.settings();
        environment.extend(identity.iter().filter(|_| has_tls).copied());
        let mut run = lake.start_on(&few_files, &environment);
        run.says("listening");
        let before = silent(port, 400, bytes);
        let arguments = worker.arguments();
        let _worker = Worker::start_with(port, "worker", if has_tls { &arguments } else { &[] }, &[]);
        run.says("a worker joined");
        // Open silent connections in the middle of the run, too.
        let meanwhile = silent(port, 400, bytes);
        let log = ends_well(run);
        assert!(!log.contains("too many open files"), "{log}");
        assert_exact(&lake, &reference());
        drop((before, meanwhile));
    }
}

#[test]
fn a_connection_that_proves_nothing_is_closed() {
    let port = free_port();
    let lake = Lake::over_data().on_open_cluster(port, 1);
    let mut run = lake.start(&[]);
    run.says("listening");
    let mut streams = silent(port, 3, b"PRI");
    // The server sends its HTTP/2 settings first, then closes the connection.
    for stream in &mut streams {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.len() < 200, "{rest:?}");
    }
    let _worker = Worker::start(port, "worker");
    ends_well(run);
}

#[test]
fn a_task_that_failed_on_one_worker_is_not_offered_without_end_beside_one_that_takes_nothing() {
    let port = free_port();
    let lake = Lake::over_data().on_open_cluster(port, 2);
    let run = lake.start(&[]);
    let _small = Worker::start_with(port, "small", &["--memory", "2MB"], &[]);
    let idle = FakeWorker::new(port);
    idle.join();
    idle.heartbeat();
    let done = run.end();
    assert_eq!(done.code, Some(2), "{}", done.stderr);
    assert!(done.stderr.contains("needs more memory"), "{}", done.stderr);
    let offers = done.stderr.matches("failed, retrying").count();
    assert!(offers < 60, "{offers} offers: {}", done.stderr);
    assert_eq!(lake.version(), 0);
}

#[test]
fn a_worker_that_reports_what_its_task_cannot_have_done_is_not_believed() {
    let port = free_port();
    let lake = Lake::over_data().on_open_cluster(port, 1);
    let mut run = lake.start(&[]);
    let liar = FakeWorker::new(port);
    let registered = liar.join();
    liar.heartbeat();
    let task = TaskId { run: registered.run.clone(), stage: 0, task: 0 };
    let path = format!("songs/{}.parquet", registered.run);
    let elsewhere = Report::Staged(WrittenFile { path, rows: 1, bytes: 1, ..WrittenFile::default() });
    let elsewhere = TaskReport { report: Some(elsewhere) }.encode_to_vec();
    // The liar reports nothing about 120 objects, or a file of another task.
    for (reports, reason) in [(vec![], "reported nothing about `"), (vec![elsewhere], "that is not of its task")] {
        let attempt = uuid::Uuid::now_v7().to_string();
        let process = liar.process.to_string();
        let start = StartRequest { task: Some(task.clone()), attempt: attempt.clone(), process: process.clone() };
        let starts = || liar.runtime.block_on(liar.client().start(liar.request(start.clone()))).unwrap().into_inner();
        while starts().decision() != Decision::Continue {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let progress = AttemptProgress { task: Some(task.clone()), attempt, ..AttemptProgress::default() };
        let outcome = Some(Outcome::Success(Success { reports }));
        let report = ReportRequest { process, progress: Some(progress), outcome, requests: None };
        let answer = liar.runtime.block_on(liar.client().report(liar.request(report))).unwrap().into_inner();
        assert!(!answer.is_accepted);
        run.has_said(reason);
    }
    let _honest = Worker::start(port, "honest");
    ends_well(run);
    assert_exact(&lake, &reference());
}

#[test]
fn workers_that_send_heartbeats_and_never_ask_for_tasks_are_no_workers() {
    let port = free_port();
    let lake = Lake::over_data().on_open_cluster(port, 1);
    lake.edit("lake.toml", "worker_timeout = \"20s\"", "worker_timeout = \"2s\"");
    let run = lake.start(&[]);
    let idle = FakeWorker::new(port);
    idle.join();
    idle.heartbeat();
    let done = run.end();
    assert_eq!(done.code, Some(5), "{}", done.stderr);
    assert!(done.stderr.contains("does not poll for tasks"), "{}", done.stderr);
}

#[test]
fn a_worker_whose_poll_loop_panics_ends() {
    let port = free_port();
    let lake = Lake::over_data().on_cluster(port, 1);
    let run = lake.start(MANY_TASKS);
    let mut broken = Worker::failing_at(port, "broken", "poll.before_task:PANIC");
    assert_eq!(broken.end(), Some(101), "{}", broken.log());
    assert!(broken.log().contains("the poll loop stopped"), "{}", broken.log());
    let _good = Worker::start(port, "good");
    ends_well(run);
    assert_exact(&lake, &reference());
}

#[test]
fn a_worker_that_does_not_see_a_folder_is_left_out_and_told_which() {
    let is_root = Command::new("unshare").args(["-m", "true"]).status().is_ok_and(|status| status.success());
    if !is_root {
        eprintln!("skipped: this user may not make mount namespaces");
        return;
    }
    for hidden in ["lake", "data/song_data"] {
        let port = free_port();
        let lake = Lake::over_data().on_cluster(port, 1);
        lake.edit("lake.toml", "worker_timeout = \"20s\"", "worker_timeout = \"4s\"");
        std::fs::create_dir_all(lake.path("lake")).unwrap();
        let place = lake.path(hidden);
        let mount = format!("mount -t tmpfs none '{}' && exec \"$@\"", place.display());
        let host = ["unshare", "-m", "sh", "-c", &mount, "sh"];
        let start = || Worker::start_on(&host, &format!("127.0.0.1:{port}"), "far", &["--memory", "512MB"], &[]);

        // Without other workers, the run fails because of too few workers, and the error says why.
        let run = lake.start(&[]);
        let far = start();
        let done = run.end();
        assert_eq!(done.code, Some(5), "{hidden}: {}", done.stderr);
        let error = done.stderr.lines().find(|line| line.starts_with("error:")).unwrap_or_default();
        for part in ["0 of 1 workers", "worker `far`", place.to_str().unwrap()] {
            assert!(error.contains(part), "{hidden}: `{part}` is not in: {}", done.stderr);
        }
        assert!(done.stderr.contains("mount the folders under the same paths"), "{}", done.stderr);
        assert!(far.log().contains("excluded from the run"), "{}", far.log());
        assert_eq!(lake.version(), 0);

        // If another worker joins, it runs all tasks.
        let mut run = lake.start(MANY_TASKS);
        run.says("a worker is excluded");
        let _near = Worker::start(port, "near");
        let log = ends_well(run);
        assert!(!log.contains("an attempt failed"), "{log}");
        assert_exact(&lake, &reference());
    }
}

#[test]
fn on_one_machine_coordinator_and_workers_need_the_secret_of_the_run() {
    let port = free_port();
    let lake = Lake::over_data().on_cluster(port, 1);
    let mut run = lake.start(MANY_TASKS);
    run.says("listening");
    // A worker of another user looks for secrets elsewhere.
    let elsewhere = tempfile::tempdir().unwrap();
    let environment = [("TMPDIR", elsewhere.path().to_str().unwrap())];
    let local = format!("127.0.0.1:{port}");
    let stranger = Worker::start_on(&[], &local, "stranger", &["--memory", "512MB"], &environment);
    stranger.says("cannot read the secret");
    let fake_worker = FakeWorker::new(port);
    fake_worker.runtime.block_on(fake_worker.client().register(fake_worker.register_request(1))).unwrap_err();
    run.has_said("a connection is refused");
    // A worker of the same user needs no option.
    let _worker = Worker::start_on(&[], &local, "worker", &["--memory", "512MB"], &[]);
    let log = ends_well(run);
    assert!(!log.contains("stranger"), "{log}");
    assert_exact(&lake, &reference());
}

#[test]
fn a_worker_takes_no_tasks_from_a_coordinator_that_proves_nothing() {
    let port = free_port();
    let lake = Lake::over_data().on_open_cluster(port, 1);
    let mut run = lake.start(&[]);
    run.says("listening");
    let local = format!("127.0.0.1:{port}");
    let careful = Worker::start_on(&[], &local, "careful", &["--memory", "512MB"], &[]);
    careful.says("does not ask for the secret of its run");
    let _trusting = Worker::start_on(&[], &local, "trusting", &["--memory", "512MB", "--insecure"], &[]);
    let log = ends_well(run);
    assert!(!log.contains("careful"), "{log}");
    assert_exact(&lake, &reference());
}
