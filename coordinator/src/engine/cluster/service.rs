//! Implements the gRPC service that workers call: register, join, watch work, start, heartbeat,
//! report. It translates messages to calls of the cluster state and decides nothing itself.
//!
//! The gate passes only requests of joined workers (and of processes that register or join). A
//! joined worker may still be malicious, so every field is bounded, and a process can only report
//! its own attempts.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::Stream;
use lakewright_common::error::Error;
use lakewright_common::printable;
use lakewright_common::report::TaskReport;
use lakewright_common::report::wire::decode_report;
use lakewright_common::session::progress::ReadCounts;
use lakewright_common::storage::s3::requests::RequestCounts;
use lakewright_proto::v1::coordinator_server::Coordinator;
use lakewright_proto::v1::report_request::Outcome;
use lakewright_proto::v1::{
    AttemptProgress, Decision, Failure, FailureKind, HeartbeatRequest, HeartbeatResponse, JoinRequest, JoinResponse,
    RegisterRequest, RegisterResponse, ReportRequest, ReportResponse, Requests, StartRequest, StartResponse, Success,
    TaskId, WatchWorkRequest, WatchWorkResponse,
};
use lakewright_proto::{MAX_NAME_BYTES, MAX_VCORES, PROCESS_HEADER};
use tokio::sync::watch;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::registration::Registration;
use super::state::{AmountRead, AttemptUpdate, ClusterState};
use super::task_attempts;

/// Maximum time that a `Register` call waits for the sources to be listed. If it is exceeded, the
/// worker calls again.
const REGISTER_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum number of distinct pairs of request class and status, such as `GET 206`, that a worker
/// may report.
const MAX_REQUEST_KINDS: usize = 64;
/// Maximum length of a peer's text in a log line or an error, in bytes.
const SHOWN_BYTES: usize = 100;
/// Maximum length of the message of a failed task, in bytes.
const MESSAGE_BYTES: usize = 16 * 1024;

/// The service of one run.
pub(super) struct Service {
    pub(super) state: Arc<ClusterState>,
    pub(super) registration: Registration,
    /// Counter that changes whenever there may be tasks to poll for.
    pub(super) work: watch::Receiver<u64>,
}

type WatchWorkStream = Pin<Box<dyn Stream<Item = Result<WatchWorkResponse, Status>> + Send>>;

#[tonic::async_trait]
impl Coordinator for Service {
    async fn register(&self, request: Request<RegisterRequest>) -> Result<Response<RegisterResponse>, Status> {
        let request = request.into_inner();
        let version = env!("CARGO_PKG_VERSION");
        if request.version != version {
            let (worker, theirs) = (shown(&request.worker), shown(&request.version));
            tracing::error!(worker, version = theirs, "rejected a worker of another version");
            return Err(Status::failed_precondition(format!(
                "this coordinator has version {version}, worker `{worker}` has version {theirs}"
            )));
        }
        let process = parse(&request.process)?;
        if request.worker.is_empty() || request.worker.len() > MAX_NAME_BYTES {
            return Err(Status::failed_precondition(format!(
                "a worker's name has {} bytes; 1 to {MAX_NAME_BYTES} are allowed",
                request.worker.len()
            )));
        }
        if request.vcores == 0 || request.vcores > MAX_VCORES {
            return Err(Status::failed_precondition(format!(
                "a worker offers {} vcores; 1 to {MAX_VCORES} are allowed",
                request.vcores
            )));
        }
        let response = tokio::time::timeout(REGISTER_TIMEOUT, self.registration.register()).await;
        let Ok(Some(response)) = response else {
            return Err(Status::unavailable("the coordinator is still listing its sources"));
        };
        // Clean the name once, because many messages contain it.
        let name = printable::line(&request.worker).into_owned();
        if !self.state.register(process, name, request.vcores, Instant::now()) {
            return Err(Status::resource_exhausted("this run has the maximum number of workers"));
        }
        Ok(Response::new(response))
    }

    async fn join(&self, request: Request<JoinRequest>) -> Result<Response<JoinResponse>, Status> {
        let request = request.into_inner();
        let missing = self.registration.missing(&request.findings).await;
        let missing: Vec<String> =
            missing.iter().map(|text| shortened(&printable::line(text), MESSAGE_BYTES)).collect();
        self.state
            .join(parse(&request.process)?, &missing, Instant::now())
            .map_err(|_| Status::not_found("register first"))?;
        Ok(Response::new(JoinResponse { missing }))
    }

    type WatchWorkStream = WatchWorkStream;

    async fn watch_work(&self, _: Request<WatchWorkRequest>) -> Result<Response<WatchWorkStream>, Status> {
        // The clone has not seen the current value yet, so a worker that connects late is woken at
        // once.
        let changes = futures::stream::unfold(self.work.clone(), |mut work| async move {
            work.changed().await.ok()?;
            // The message says only that there may be work. The worker then polls.
            Some((Ok(WatchWorkResponse {}), work))
        });
        Ok(Response::new(Box::pin(changes)))
    }

    async fn start(&self, request: Request<StartRequest>) -> Result<Response<StartResponse>, Status> {
        let process = own_process(&request, |request| &request.process)?;
        let request = request.into_inner();
        let decision = match self.task(request.task.as_ref())? {
            Some((stage, task)) => {
                let attempt = parse(&request.attempt)?;
                self.state.start(stage, task, attempt, process, Instant::now())
            }
            // A task of another run: the worker still has it from a previous coordinator.
            None => task_attempts::Decision::Cancel,
        };
        let decision = match decision {
            task_attempts::Decision::Continue => Decision::Continue,
            task_attempts::Decision::Cancel => Decision::Cancel,
        };
        Ok(Response::new(StartResponse { decision: decision.into() }))
    }

    async fn heartbeat(&self, request: Request<HeartbeatRequest>) -> Result<Response<HeartbeatResponse>, Status> {
        let process = own_process(&request, |request| &request.process)?;
        let request = request.into_inner();
        self.count_requests(process, request.requests);
        let mut cancel = Vec::new();
        let mut attempts = Vec::new();
        for attempt in &request.attempts {
            match self.attempt(attempt)? {
                Some(attempt) => attempts.push(attempt),
                None => cancel.push(attempt.attempt.clone()),
            }
        }
        let cancelled = self
            .state
            .heartbeat(process, request.free_vcores, request.is_draining, &attempts, Instant::now())
            .map_err(|_| Status::not_found("register first"))?;
        cancel.extend(cancelled.iter().map(Uuid::to_string));
        Ok(Response::new(HeartbeatResponse { cancel }))
    }

    async fn report(&self, request: Request<ReportRequest>) -> Result<Response<ReportResponse>, Status> {
        let process = own_process(&request, |request| &request.process)?;
        let request = request.into_inner();
        // Requests cost money even if the report is rejected below, so count them first.
        self.count_requests(process, request.requests);
        let progress = request.progress.ok_or_else(|| Status::invalid_argument("the report names no attempt"))?;
        let is_accepted = match self.attempt(&progress)? {
            Some(attempt) => {
                let outcome = match request.outcome {
                    Some(Outcome::Success(success)) => Ok(read_reports(&success)?),
                    Some(Outcome::Failure(failure)) => Err(read_failure(failure)),
                    None => return Err(Status::invalid_argument("the report has no outcome")),
                };
                self.state.report(&attempt, process, outcome, Instant::now())
            }
            None => false,
        };
        Ok(Response::new(ReportResponse { is_accepted }))
    }
}

impl Service {
    /// Returns the number of the stage and the number of the task within it. Returns `None` for a
    /// task of another run.
    fn task(&self, task: Option<&TaskId>) -> Result<Option<(u32, usize)>, Status> {
        let task = task.ok_or_else(|| Status::invalid_argument("the request names no task"))?;
        Ok((parse(&task.run)? == self.registration.run()).then_some((task.stage, task.task as usize)))
    }

    /// Records a worker's counts of requests to buckets. Ignores counts that belong to another run.
    fn count_requests(&self, process: Uuid, requests: Option<Requests>) {
        let run = self.registration.run().to_string();
        let Some(requests) = requests.filter(|requests| requests.run == run) else { return };
        // Ignore a key that is not a class and a status, such as `GET 206`.
        let counts = requests.counts.into_iter().filter_map(|(text, count)| Some((text.parse().ok()?, count)));
        let counts = RequestCounts {
            requests: counts.take(MAX_REQUEST_KINDS).collect(),
            bytes_read: requests.bytes_read,
            bytes_written: requests.bytes_written,
        };
        self.state.count_requests(process, counts);
    }

    /// Decodes the progress of an attempt. Returns `None` for a task of another run.
    fn attempt(&self, attempt: &AttemptProgress) -> Result<Option<AttemptUpdate>, Status> {
        let id = parse(&attempt.attempt)?;
        let read = ReadCounts { objects: attempt.objects, records: attempt.records, bytes: attempt.bytes };
        let amount = AmountRead { read, rows: attempt.rows };
        let task = self.task(attempt.task.as_ref())?;
        Ok(task.map(|(stage, task)| AttemptUpdate { stage, task, attempt: id, amount }))
    }
}

/// Returns the process id in a message, which `named` reads. Fails if another process sent the
/// message.
fn own_process<T>(request: &Request<T>, named: impl FnOnce(&T) -> &str) -> Result<Uuid, Status> {
    let process = named(request.get_ref());
    let caller = request.metadata().get(PROCESS_HEADER).and_then(|value| value.to_str().ok());
    if caller != Some(process) {
        return Err(Status::permission_denied("a process may only report its own attempts"));
    }
    parse(process)
}

fn parse(text: &str) -> Result<Uuid, Status> {
    Uuid::parse_str(text).map_err(|_| Status::invalid_argument(format!("`{}` is not a UUID", shown(text))))
}

/// Makes a peer's text safe for a log line or an error: shortens it and escapes control characters.
fn shown(text: &str) -> String {
    shortened(&printable::line(text), SHOWN_BYTES)
}

/// Returns at most the first `bytes` bytes of a text, followed by an ellipsis if the text is
/// longer.
fn shortened(text: &str, bytes: usize) -> String {
    match text.char_indices().map(|(i, c)| i + c.len_utf8()).take_while(|end| *end <= bytes).last() {
        Some(end) if end < text.len() => format!("{}…", &text[..end]),
        _ => text.to_owned(),
    }
}

/// Decodes the reports of a successful attempt.
fn read_reports(success: &Success) -> Result<Vec<TaskReport>, Status> {
    success
        .reports
        .iter()
        .map(|report| decode_report(report))
        .collect::<Result<_, _>>()
        .map_err(|error| Status::invalid_argument(error.to_string()))
}

/// Converts the message of a failed attempt to an error.
fn read_failure(failure: Failure) -> Error {
    // Another process wrote the text, so a line feed in it must not look like a new log line.
    let text = |text: &str| shortened(&printable::line(text), MESSAGE_BYTES);
    let message = text(&failure.message);
    let error = match FailureKind::try_from(failure.kind) {
        Ok(FailureKind::Data) => Error::data(message),
        Ok(FailureKind::Configuration) => Error::configuration(message),
        Ok(FailureKind::Storage) => Error::storage_failure(message),
        // An unknown number counts as an internal error, too.
        _ => Error::internal(message),
    };
    if failure.hint.is_empty() { error } else { error.hint(text(&failure.hint)) }
}

#[cfg(test)]
mod tests {
    use lakewright_common::config::resolved::Location;
    use lakewright_common::session::Storages;
    use lakewright_common::storage::Storage;
    use object_store::memory::InMemory;

    use super::*;
    use crate::engine::cluster::registration::Folders;
    use crate::engine::cluster::task_attempts::Policy;

    mod fuzz;

    fn service() -> Service {
        let second = Duration::from_secs(1);
        let policy = Policy { lost_after: second, offer_timeout: second, max_attempts: 1, speculation: None };
        let state = Arc::new(ClusterState::new(policy, second, Arc::default(), Instant::now()));
        let location = Location::of("file:///lake/".parse().unwrap());
        let lake = Storage::new(Arc::new(InMemory::new()), location);
        let storages = Storages { spool: lake.clone(), lake, sources: vec![] };
        let run = Uuid::from_u128(1);
        let (registration, expected) = Registration::new(run, second, &storages, Folders::default(), "spool");
        expected.send_replace(Some(Arc::new([])));
        Service { state, registration, work: watch::channel(0).1 }
    }

    /// Returns a request of a process, as the gate passes it on.
    fn from<T>(process: u128, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert(PROCESS_HEADER, Uuid::from_u128(process).to_string().parse().unwrap());
        request
    }

    fn register(version: &str) -> RegisterRequest {
        let process = Uuid::from_u128(10).to_string();
        RegisterRequest { version: version.to_owned(), worker: "w".to_owned(), process, vcores: 2 }
    }

    #[tokio::test]
    async fn a_worker_of_another_version_is_rejected_with_the_reason() {
        let service = service();
        let refused = service.register(Request::new(register("0.0.1"))).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::FailedPrecondition);
        assert!(refused.message().contains("worker `w` has version 0.0.1"), "{}", refused.message());
        assert_eq!(service.state.capacity(), (0, 0));
        service.register(Request::new(register(env!("CARGO_PKG_VERSION")))).await.unwrap();
        assert_eq!(service.state.capacity(), (0, 0));
        join(&service).await;
        assert_eq!(service.state.capacity(), (1, 2));
    }

    async fn join(service: &Service) {
        let process = Uuid::from_u128(10).to_string();
        let joined = service.join(Request::new(JoinRequest { process, findings: vec![] })).await.unwrap();
        assert_eq!(joined.into_inner().missing, Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_registration_is_bounded_in_every_field() {
        let service = service();
        let good = register(env!("CARGO_PKG_VERSION"));
        let long = "x".repeat(64 * 1024);
        for (bad, text) in [
            (RegisterRequest { vcores: 0, ..good.clone() }, "1 to 1024 are allowed"),
            (RegisterRequest { vcores: 1025, ..good.clone() }, "1 to 1024 are allowed"),
            (RegisterRequest { vcores: u32::MAX, ..good.clone() }, "4294967295 vcores"),
            (RegisterRequest { worker: String::new(), ..good.clone() }, "has 0 bytes"),
            (RegisterRequest { worker: long.clone(), ..good.clone() }, "has 65536 bytes"),
            (RegisterRequest { process: "10".to_owned(), ..good.clone() }, "`10` is not a UUID"),
            (RegisterRequest { process: long.clone(), ..good.clone() }, "x…` is not a UUID"),
            (RegisterRequest { version: long, ..good.clone() }, "x…"),
        ] {
            let refused = service.register(Request::new(bad)).await.unwrap_err();
            let message = refused.message();
            assert!(message.contains(text) && message.len() < 400, "`{text}` is not in: {message}");
        }
        assert_eq!(service.state.capacity(), (0, 0));
    }

    #[tokio::test]
    async fn a_process_may_only_report_its_own_attempts() {
        let service = service();
        service.register(Request::new(register(env!("CARGO_PKG_VERSION")))).await.unwrap();
        join(&service).await;
        let heartbeat = HeartbeatRequest { process: Uuid::from_u128(10).to_string(), ..HeartbeatRequest::default() };
        let denied = service.heartbeat(from(11, heartbeat.clone())).await.unwrap_err();
        assert_eq!(denied.code(), tonic::Code::PermissionDenied);
        service.heartbeat(from(10, heartbeat)).await.unwrap();
    }

    #[tokio::test]
    async fn an_unreadable_report_is_rejected_with_the_reason() {
        let service = service();
        let task = Some(TaskId { run: Uuid::from_u128(1).to_string(), stage: 0, task: 0 });
        let progress = AttemptProgress { task, attempt: Uuid::from_u128(3).to_string(), ..AttemptProgress::default() };
        for (message, reason) in [
            (b"{\"Read\":{}}".to_vec(), "cannot read a report: failed to decode"),
            (vec![], "cannot read a report: the kind of a report is missing"),
            (vec![0x0a, 0], "cannot read a report: the object of a tally is missing"),
            (vec![0; lakewright_proto::MAX_REPORT_BYTES + 1], "a report has 16777217 bytes"),
        ] {
            let report = ReportRequest {
                process: Uuid::from_u128(10).to_string(),
                progress: Some(progress.clone()),
                outcome: Some(Outcome::Success(Success { reports: vec![message] })),
                requests: None,
            };
            let rejected = service.report(from(10, report)).await.unwrap_err();
            assert_eq!(rejected.code(), tonic::Code::InvalidArgument);
            assert!(rejected.message().starts_with(reason), "`{reason}` is not in: {}", rejected.message());
        }
    }

    #[test]
    fn text_of_a_peer_is_shortened_and_has_no_control_characters() {
        assert_eq!(shown("worker"), "worker");
        assert_eq!(shown("a\u{1b}]0;x\n"), "a\\u{1b}]0;x\\n");
        assert_eq!(shown(&"é".repeat(200)), format!("{}…", "é".repeat(50)));
    }

    #[tokio::test]
    async fn a_heartbeat_before_joining_is_rejected_and_attempts_of_other_runs_are_cancelled() {
        let service = service();
        let task = Some(TaskId { run: Uuid::from_u128(2).to_string(), stage: 0, task: 0 });
        let attempt = AttemptProgress { task, attempt: Uuid::from_u128(3).to_string(), ..AttemptProgress::default() };
        let heartbeat = HeartbeatRequest {
            process: Uuid::from_u128(10).to_string(),
            free_vcores: 1,
            is_draining: false,
            attempts: vec![attempt.clone()],
            requests: None,
        };
        assert_eq!(service.heartbeat(from(10, heartbeat.clone())).await.unwrap_err().code(), tonic::Code::NotFound);
        service.register(Request::new(register(env!("CARGO_PKG_VERSION")))).await.unwrap();
        assert_eq!(service.heartbeat(from(10, heartbeat.clone())).await.unwrap_err().code(), tonic::Code::NotFound);
        join(&service).await;
        let answer = service.heartbeat(from(10, heartbeat)).await.unwrap().into_inner();
        assert_eq!(answer.cancel, [attempt.attempt]);
    }
}
