//! Restricts the port to an allow-list of gRPC methods, each with a bound on the size of its
//! messages.
//!
//! ```text
//!   Register, Join ───────────────────────────────────► service (registration)
//!   WatchWork, Start, Heartbeat, Report ─► joined? ───► service
//!   PollWork ────────────────────────────► joined? ───► scheduler (Ballista's queue)
//!   anything else ────────────────────────────────────► UNIMPLEMENTED
//! ```
//!
//! The gate decides by the path and the metadata of a request, before any byte of a message is
//! decoded. Ballista's scheduler implements 12 more methods, and some of them run any plan or
//! connect to any address. None of them can be reached.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use lakewright_proto::v1::coordinator_server::CoordinatorServer;
use lakewright_proto::{MAX_MESSAGE_BYTES, MAX_SMALL_MESSAGE_BYTES, PROCESS_HEADER};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::codegen::{BoxFuture, Service};
use uuid::Uuid;

use super::ballista::Queue;
use super::service::Service as Calls;
use super::state::ClusterState;

/// The only method of Ballista's scheduler that workers call.
const POLL_WORK: &str = "/ballista.protobuf.SchedulerGrpc/PollWork";

/// The gRPC service behind the port. It checks each request and passes it on. Each connection gets
/// a clone, and all clones share their state.
#[derive(Clone)]
pub(super) struct Gate {
    state: Arc<ClusterState>,
    queue: Queue,
    /// Service for calls with small messages.
    calls: CoordinatorServer<Calls>,
    /// Service for reports, which contain statistics of every file of a task.
    reports: CoordinatorServer<Calls>,
}

/// Destination of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    /// `Register` or `Join`, which workers call before they have joined.
    Register,
    /// A call with small messages (`WatchWork`, `Start` or `Heartbeat`) of a joined worker.
    Call,
    Report,
    Poll,
}

/// Returns the route of a gRPC path, or `None` for a method that workers do not need.
fn route(path: &str) -> Option<Route> {
    Some(match path {
        "/lakewright.v1.Coordinator/Register" | "/lakewright.v1.Coordinator/Join" => Route::Register,
        "/lakewright.v1.Coordinator/WatchWork"
        | "/lakewright.v1.Coordinator/Start"
        | "/lakewright.v1.Coordinator/Heartbeat" => Route::Call,
        "/lakewright.v1.Coordinator/Report" => Route::Report,
        POLL_WORK => Route::Poll,
        _ => return None,
    })
}

impl Gate {
    pub(super) fn new(state: Arc<ClusterState>, queue: Queue, service: Calls) -> Self {
        let service = Arc::new(service);
        // Size limits are per server, so two servers share one service.
        let server = |decoded: usize| {
            CoordinatorServer::from_arc(Arc::clone(&service))
                .max_decoding_message_size(decoded)
                .max_encoding_message_size(MAX_SMALL_MESSAGE_BYTES)
        };
        let (calls, reports) = (server(MAX_SMALL_MESSAGE_BYTES), server(MAX_MESSAGE_BYTES));
        Self { state, queue, calls, reports }
    }

    /// Returns the id and the vcores of the joined worker that sent a request, according to the
    /// request's header.
    fn joined(&self, request: &Request<Body>) -> Result<(Uuid, u32), Status> {
        let named = request.headers().get(PROCESS_HEADER).and_then(|value| value.to_str().ok());
        let process = named.and_then(|text| Uuid::parse_str(text).ok());
        let joined = process.and_then(|process| Some((process, self.state.vcores_of(process)?)));
        // NOT_FOUND makes the worker register again, for example after the coordinator restarted.
        joined.ok_or_else(|| Status::not_found("register first"))
    }
}

impl Service<Request<Body>> for Gate {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let refuse = |status: Status| -> Self::Future { Box::pin(ready(Ok(status.into_http()))) };
        let Some(route) = route(request.uri().path()) else {
            return refuse(Status::unimplemented("workers do not need this method"));
        };
        // Must come before the check below, because these callers have not joined yet.
        if route == Route::Register {
            return self.calls.call(request);
        }
        let (process, vcores) = match self.joined(&request) {
            Ok(joined) => joined,
            Err(status) => return refuse(status),
        };
        match route {
            Route::Register | Route::Call => self.calls.call(request),
            Route::Report => self.reports.call(request),
            Route::Poll => {
                // Heartbeats alone do not show that a worker takes tasks, so polls are recorded
                // too.
                self.state.polled(process, Instant::now());
                self.queue.clone().poll(process, vcores, request)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All methods of `ballista.protobuf.SchedulerGrpc` except `PollWork`.
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

    #[test]
    fn only_methods_that_workers_need_have_a_route() {
        for method in UNREACHABLE_METHODS {
            assert_eq!(route(&format!("/ballista.protobuf.SchedulerGrpc/{method}")), None, "{method}");
        }
        for path in [
            "",
            "/",
            "/lakewright.v1.Coordinator",
            "/lakewright.v1.Coordinator/",
            "/lakewright.v1.Coordinator/register",
        ] {
            assert_eq!(route(path), None, "{path}");
        }
        assert_eq!(route(POLL_WORK), Some(Route::Poll));
        assert_eq!(route("/lakewright.v1.Coordinator/Report"), Some(Route::Report));
    }
}
