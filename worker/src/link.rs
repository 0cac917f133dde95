//! Calls of the coordinator: one channel, which connects again by itself.

use std::time::Duration;

use lakewright_common::error::{Error, Result};
use lakewright_common::{supervisor, tls};
use lakewright_proto::MAX_MESSAGE_BYTES;
use lakewright_proto::v1::HelloRequest;
use lakewright_proto::v1::coordinator_client::CoordinatorClient;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use crate::cli::Cli;

/// A call that takes longer is lost; nothing here waits for work.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection on which nobody answers for this long is dead.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Between two tries to reach a coordinator, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The client of our own service.
pub(crate) type Client = CoordinatorClient<Channel>;

/// A channel to the coordinator; it need not be there yet.
///
/// # Errors
/// Configuration, for an address or certificates that cannot be used.
pub(crate) fn channel(cli: &Cli) -> Result<Channel> {
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
    if let Some(certificates) = certificates {
        endpoint = endpoint.tls_config(tls::client(&certificates, cli.host())?).map_err(unusable)?;
    }
    Ok(endpoint.connect_lazy())
}

/// Our own service on a channel.
pub(crate) fn client(channel: Channel) -> Client {
    CoordinatorClient::new(channel)
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

/// Says hello until a coordinator answers; the interval between beats.
///
/// # Errors
/// Configuration, where the coordinator refuses this worker.
pub(crate) async fn hello(client: &Client, hello: &HelloRequest, coordinator: &str) -> Result<Duration> {
    let mut pause = Pause::new();
    let mut told = String::new();
    loop {
        match client.clone().hello(request(hello.clone())).await {
            Ok(answer) => {
                tracing::info!(coordinator, "connected");
                supervisor::status(&format!("connected to {coordinator}"));
                return Ok(Duration::from_millis(answer.into_inner().beat_interval_ms));
            }
            Err(status) if status.code() == Code::FailedPrecondition => {
                return Err(Error::configuration(format!("`{coordinator}` refuses this worker: {}", status.message()))
                    .hint("install the same version on both"));
            }
            Err(status) => {
                let reason = describe(&status);
                if reason != told {
                    tracing::warn!(coordinator, reason, "no coordinator answers; trying on");
                    supervisor::status(&format!("no coordinator answers at {coordinator}; trying on"));
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
