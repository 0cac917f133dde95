//! Calls of the coordinator: one channel, which connects again by itself.

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

/// A call that takes longer is lost; nothing here waits for work.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection on which nobody answers for this long is dead.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Between two tries to reach a coordinator, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A channel whose calls name the process.
pub(crate) type Link = InterceptedService<Channel, Caller>;
/// The client of our own service.
pub(crate) type Client = CoordinatorClient<Link>;

/// Names this process in each call.
#[derive(Debug, Clone)]
pub(crate) struct Caller(MetadataValue<Ascii>);

impl Interceptor for Caller {
    fn call(&mut self, mut request: Request<()>) -> std::result::Result<Request<()>, Status> {
        request.metadata_mut().insert(PROCESS_HEADER, self.0.clone());
        Ok(request)
    }
}

/// A channel to the coordinator; it need not be there yet.
///
/// # Errors
/// Configuration, for an address or certificates that cannot be used.
pub(crate) fn link(cli: &Cli, process: Uuid) -> Result<Link> {
    let caller = process.to_string().parse().context(|| Error::internal("a process has no name"))?;
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
            Ok(endpoint.connect_lazy())
        }
        None => {
            let connector = Connector { coordinator: cli.coordinator.clone(), is_insecure: cli.is_insecure };
            Ok(endpoint.connect_with_connector_lazy(connector))
        }
    }
}

/// Our own service on a link.
pub(crate) fn client(link: Link) -> Client {
    CoordinatorClient::new(link)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES)
}

/// A request that does not wait for ever.
pub(crate) fn request<T>(message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(CALL_TIMEOUT);
    request
}

/// Between tries, longer each time.
#[derive(Debug)]
pub(crate) struct Pause(Duration);

impl Pause {
    pub(crate) fn new() -> Self {
        Self(FIRST_PAUSE)
    }

    /// Whether several tries were made.
    pub(crate) fn is_long(&self) -> bool {
        self.0 == LONGEST_PAUSE
    }

    pub(crate) async fn wait(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(LONGEST_PAUSE);
    }
}

/// Registers until a coordinator answers.
///
/// # Errors
/// Configuration, if the coordinator refuses this worker.
pub(crate) async fn register(
    client: &Client,
    identity: &RegisterRequest,
    coordinator: &str,
) -> Result<RegisterResponse> {
    let mut pause = Pause::new();
    let mut told = String::new();
    loop {
        match client.clone().register(request(identity.clone())).await {
            Ok(answer) => return Ok(answer.into_inner()),
            Err(status) if status.code() == Code::FailedPrecondition => {
                return Err(Error::configuration(format!("`{coordinator}` refuses this worker: {}", status.message()))
                    .hint(
                        "install the same version on both, and see `worker --help` for what --name and --vcores may be",
                    ));
            }
            Err(status) => {
                let reason = describe(&status);
                if reason != told {
                    tracing::warn!(coordinator, reason, "no coordinator answers; trying on");
                    systemd::status(&format!("no coordinator answers at {coordinator}; trying on"));
                    told = reason;
                }
                pause.wait().await;
            }
        }
    }
}

/// A failed call with its causes, which a status keeps to itself.
pub(crate) fn describe(status: &tonic::Status) -> String {
    let mut text = status.message().to_owned();
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}
