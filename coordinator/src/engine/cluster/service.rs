//! What workers call: hello, wake, begin, beat, report. Translates the wire to the board, and decides nothing.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::Stream;
use lakewright_common::error::Error;
use lakewright_common::printable;
use lakewright_common::read::progress::ReadCounts;
use lakewright_common::storage::s3::requests::RequestCounts;
use lakewright_common::write::report::SlotReport;
use lakewright_proto::v1::coordinator_server::Coordinator;
use lakewright_proto::v1::report_request::Outcome;
use lakewright_proto::v1::{
    AttemptProgress, BeatRequest, BeatResponse, BeginRequest, BeginResponse, Failure, FailureKind, HelloRequest,
    HelloResponse, ReportRequest, ReportResponse, Requests, SlotId, Success, Verdict, WakeRequest, WakeResponse,
};
use tokio::sync::watch;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::board::{AttemptState, Board, Taken};
use super::tracker;

/// The service of one run.
pub(super) struct Service {
    pub(super) board: Arc<Board>,
    pub(super) run: Uuid,
    pub(super) beat_interval: Duration,
    /// Changes whenever there may be work to poll for.
    pub(super) work: watch::Receiver<u64>,
}

type WakeStream = Pin<Box<dyn Stream<Item = Result<WakeResponse, Status>> + Send>>;

#[tonic::async_trait]
impl Coordinator for Service {
    async fn hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloResponse>, Status> {
        let hello = request.into_inner();
        let version = env!("CARGO_PKG_VERSION");
        if hello.version != version {
            tracing::error!(worker = hello.worker, version = hello.version, "a worker of another version was refused");
            return Err(Status::failed_precondition(format!(
                "this coordinator is of version {version}, worker `{}` of version {}",
                hello.worker, hello.version
            )));
        }
        let process = parse(&hello.process)?;
        self.board.hello(process, hello.worker, hello.vcores as usize, Instant::now());
        let beat_interval_ms = u64::try_from(self.beat_interval.as_millis()).unwrap_or(u64::MAX);
        Ok(Response::new(HelloResponse { beat_interval_ms }))
    }

    type WakeStream = WakeStream;

    async fn wake(&self, _: Request<WakeRequest>) -> Result<Response<WakeStream>, Status> {
        let changes = futures::stream::unfold(self.work.clone(), |mut work| async move {
            work.changed().await.ok()?;
            Some((Ok(WakeResponse {}), work))
        });
        Ok(Response::new(Box::pin(changes)))
    }

    async fn begin(&self, request: Request<BeginRequest>) -> Result<Response<BeginResponse>, Status> {
        let begin = request.into_inner();
        let verdict = match self.slot(begin.slot.as_ref())? {
            Some((stage, slot)) => {
                let (attempt, process) = (parse(&begin.attempt)?, parse(&begin.process)?);
                self.board.begin(stage, slot, attempt, process, Instant::now())
            }
            None => tracker::Verdict::Stop,
        };
        let verdict = match verdict {
            tracker::Verdict::GoOn => Verdict::GoOn,
            tracker::Verdict::Stop => Verdict::Stop,
        };
        Ok(Response::new(BeginResponse { verdict: verdict.into() }))
    }

    async fn beat(&self, request: Request<BeatRequest>) -> Result<Response<BeatResponse>, Status> {
        let beat = request.into_inner();
        self.count_requests(&beat.process, beat.requests)?;
        let mut stop = Vec::new();
        let mut attempts = Vec::new();
        for attempt in &beat.attempts {
            match self.attempt(attempt)? {
                Some(attempt) => attempts.push(attempt),
                None => stop.push(attempt.attempt.clone()),
            }
        }
        let stopped = self
            .board
            .beat(parse(&beat.process)?, beat.free_vcores as usize, beat.is_draining, &attempts, Instant::now())
            .map_err(|_| Status::not_found("say hello first"))?;
        stop.extend(stopped.iter().map(Uuid::to_string));
        Ok(Response::new(BeatResponse { stop }))
    }

    async fn report(&self, request: Request<ReportRequest>) -> Result<Response<ReportResponse>, Status> {
        let report = request.into_inner();
        self.count_requests(&report.process, report.requests)?;
        let progress = report.progress.ok_or_else(|| Status::invalid_argument("a report without its attempt"))?;
        let is_accepted = match self.attempt(&progress)? {
            Some(attempt) => {
                let outcome = match report.outcome {
                    Some(Outcome::Success(success)) => Ok(read_reports(&success)?),
                    Some(Outcome::Failure(failure)) => Err(read_failure(failure)),
                    None => return Err(Status::invalid_argument("a report without an outcome")),
                };
                self.board.report(&attempt, parse(&report.process)?, outcome, Instant::now())
            }
            None => false,
        };
        Ok(Response::new(ReportResponse { is_accepted }))
    }
}

impl Service {
    /// Stage and slot; `None` where it is of another run.
    fn slot(&self, slot: Option<&SlotId>) -> Result<Option<(u32, usize)>, Status> {
        let slot = slot.ok_or_else(|| Status::invalid_argument("no slot is named"))?;
        Ok((parse(&slot.run)? == self.run).then_some((slot.stage, slot.slot as usize)))
    }

    fn count_requests(&self, process: &str, requests: Option<Requests>) -> Result<(), Status> {
        let Some(requests) = requests.filter(|requests| requests.run == self.run.to_string()) else { return Ok(()) };
        let counts = RequestCounts {
            requests: requests.counts.into_iter().collect(),
            bytes_read: requests.bytes_read,
            bytes_written: requests.bytes_written,
        };
        self.board.count_requests(parse(process)?, counts);
        Ok(())
    }

    fn attempt(&self, attempt: &AttemptProgress) -> Result<Option<AttemptState>, Status> {
        let id = parse(&attempt.attempt)?;
        let read = ReadCounts { objects: attempt.objects, records: attempt.records, bytes: attempt.bytes };
        let taken = Taken { read, rows: attempt.rows };
        let slot = self.slot(attempt.slot.as_ref())?;
        Ok(slot.map(|(stage, slot)| AttemptState { stage, slot, attempt: id, taken }))
    }
}

fn parse(text: &str) -> Result<Uuid, Status> {
    Uuid::parse_str(text).map_err(|_| Status::invalid_argument(format!("`{text}` is no UUID")))
}

/// The reports of a slot.
fn read_reports(success: &Success) -> Result<Vec<SlotReport>, Status> {
    success
        .reports
        .iter()
        .map(|report| serde_json::from_str(report))
        .collect::<Result<_, _>>()
        .map_err(|e| Status::invalid_argument(format!("a report that cannot be read: {e}")))
}

fn read_failure(failure: Failure) -> Error {
    // Another process wrote it: a line feed in it must not look like a line of ours.
    let message = printable::line(&failure.message);
    let error = match FailureKind::try_from(failure.kind) {
        Ok(FailureKind::Data) => Error::data(message),
        Ok(FailureKind::Configuration) => Error::configuration(message),
        Ok(FailureKind::Storage) => Error::storage_failure(message),
        _ => Error::internal(message),
    };
    if failure.hint.is_empty() { error } else { error.hint(printable::line(&failure.hint)) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::engine::cluster::tracker::Policy;

    mod fuzz;

    fn service() -> Service {
        let second = Duration::from_secs(1);
        let policy = Policy { silence: second, patience: second, attempts: 1, speculation: None };
        let board = Arc::new(Board::new(policy, second, Arc::default(), Instant::now()));
        Service { board, run: Uuid::from_u128(1), beat_interval: second, work: watch::channel(0).1 }
    }

    fn hello(version: &str) -> HelloRequest {
        let process = Uuid::from_u128(10).to_string();
        HelloRequest { version: version.to_owned(), worker: "w".to_owned(), process, vcores: 2 }
    }

    #[tokio::test]
    async fn a_worker_of_another_version_is_refused_and_told_why() {
        let service = service();
        let refused = service.hello(Request::new(hello("0.0.1"))).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::FailedPrecondition);
        assert!(refused.message().contains("worker `w` of version 0.0.1"), "{}", refused.message());
        assert_eq!(service.board.capacity(), (0, 0));
        service.hello(Request::new(hello(env!("CARGO_PKG_VERSION")))).await.unwrap();
        assert_eq!(service.board.capacity(), (1, 2));
    }

    #[tokio::test]
    async fn a_beat_before_the_hello_asks_for_one_and_attempts_of_other_runs_are_stopped() {
        let service = service();
        let slot = Some(SlotId { run: Uuid::from_u128(2).to_string(), stage: 0, slot: 0 });
        let attempt = AttemptProgress { slot, attempt: Uuid::from_u128(3).to_string(), ..AttemptProgress::default() };
        let beat = BeatRequest {
            process: Uuid::from_u128(10).to_string(),
            free_vcores: 1,
            is_draining: false,
            attempts: vec![attempt.clone()],
            requests: None,
        };
        assert_eq!(service.beat(Request::new(beat.clone())).await.unwrap_err().code(), tonic::Code::NotFound);
        service.hello(Request::new(hello(env!("CARGO_PKG_VERSION")))).await.unwrap();
        let answer = service.beat(Request::new(beat)).await.unwrap().into_inner();
        assert_eq!(answer.stop, [attempt.attempt]);
    }
}
