//! Calls the coordinator through one channel, which reconnects by itself.

use std::time::Duration;

use lakewright_common::error::{Context, Error, Result};
use lakewright_common::process::{systemd, tls};
use lakewright_proto::v1::coordinator_client::CoordinatorClient;
use lakewright_proto::v1::{RegisterRequest, RegisterResponse};
use lakewright_proto::{MAX_MESSAGE_BYTES, PROCESS_HEADER};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use uuid::Uuid;

use crate::cli::Cli;
use crate::connection::Connector;

/// Time limit of every call except `WatchWork`, whose response stream stays open.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Interval of HTTP/2 pings, and time limit for the response to a ping. Without a response, the
/// connection is closed.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// First pause between two attempts to reach the coordinator. Each further pause is twice as long,
/// up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Channel that adds the id of this process to each call.
pub(crate) type Link = InterceptedService<Channel, Caller>;
/// Client of the coordinator's service.
pub(crate) type Client = CoordinatorClient<Link>;

/// Adds the id of this process to each call.
#[derive(Debug, Clone)]
pub(crate) struct Caller(MetadataValue<Ascii>);

impl Interceptor for Caller {
    fn call(&mut self, mut request: Request<()>) -> std::result::Result<Request<()>, Status> {
        request.metadata_mut().insert(PROCESS_HEADER, self.0.clone());
        Ok(request)
    }
}

/// Creates a channel to the coordinator, which need not be running yet.
///
/// # Errors
/// A configuration error for an address or certificates that cannot be used.
pub(crate) fn link(cli: &Cli, process: Uuid) -> Result<Link> {
    let caller =
        process.to_string().parse().context(|| Error::internal("the id of the process is not valid metadata"))?;
    Ok(InterceptedService::new(channel(cli)?, Caller(caller)))
}

fn channel(cli: &Cli) -> Result<Channel> {
    let unusable = |e| Error::configuration(format!("cannot use `{}`", cli.coordinator)).caused_by(e);
    let certificates = cli.certificates();
    let scheme = if certificates.is_some() { "https" } else { "http" };
    let mut endpoint = Endpoint::from_shared(format!("{scheme}://{}", cli.coordinator))
        .map_err(unusable)?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true);
    match certificates {
        Some(certificates) => {
            endpoint = endpoint.tls_config(tls::client(&certificates, cli.host())?).map_err(unusable)?;
            // Connect lazily, so that a worker can start before its coordinator.
            Ok(endpoint.connect_lazy())
        }
        None => {
            let connector = Connector { coordinator: cli.coordinator.clone(), is_insecure: cli.is_insecure };
            Ok(endpoint.connect_with_connector_lazy(connector))
        }
    }
}

/// Creates a client of the coordinator's service.
pub(crate) fn client(link: Link) -> Client {
    CoordinatorClient::new(link)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES)
}

/// Creates a request with a time limit.
pub(crate) fn request<T>(message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(CALL_TIMEOUT);
    request
}

/// Exponential backoff between retries.
#[derive(Debug)]
pub(crate) struct Pause(Duration);

impl Pause {
    pub(crate) fn new() -> Self {
        Self(FIRST_PAUSE)
    }

    /// Returns whether the backoff has reached its maximum.
    pub(crate) fn is_longest(&self) -> bool {
        self.0 == LONGEST_PAUSE
    }

    /// Sleeps, and doubles the next pause up to the maximum.
    pub(crate) async fn wait(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(LONGEST_PAUSE);
    }
}

/// Registers with the coordinator. Retries until a coordinator responds.
///
/// # Errors
/// A configuration error if the coordinator rejects this worker.
pub(crate) async fn register(
    client: &Client,
    identity: &RegisterRequest,
    coordinator: &str,
) -> Result<RegisterResponse> {
    let mut pause = Pause::new();
    let mut logged = String::new();
    loop {
        match client.clone().register(request(identity.clone())).await {
            Ok(answer) => return Ok(answer.into_inner()),
            // The coordinator rejects the worker itself, so retrying would not help.
            Err(status) if status.code() == Code::FailedPrecondition => {
                return Err(Error::configuration(format!(
                    "`{coordinator}` rejected this worker: {}",
                    status.message()
                ))
                .hint(
                    "install the same version on both, and see `worker --help` for valid values of --name and --vcores",
                ));
            }
            Err(status) => {
                let reason = describe(&status);
                // Log a reason once, not every two seconds.
                if reason != logged {
                    tracing::warn!(coordinator, reason, "no coordinator responds; retrying");
                    systemd::status(&format!("no coordinator responds at {coordinator}; retrying"));
                    logged = reason;
                }
                pause.wait().await;
            }
        }
    }
}

/// Describes a failed call with its causes, which the message of a status omits.
pub(crate) fn describe(status: &tonic::Status) -> String {
    let mut text = status.message().to_owned();
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        let next = error.to_string();
        // A message often contains the text of its cause.
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}
