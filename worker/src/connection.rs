//! Connects without TLS. The coordinator must be on this machine and prove that it knows the run's
//! secret. With `--insecure`, it may also be on another machine, or not use a secret.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use lakewright_common::process::secret::{MAGIC, Secret};
use tokio::net::TcpStream;
use tonic::codegen::http::Uri;
use tonic::codegen::{BoxFuture, Service};

/// Time that a coordinator has to send the first bytes.
const GREETING_TIMEOUT: Duration = Duration::from_secs(2);
/// Time that a coordinator has to prove that it knows the secret.
const PROOF_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause between two checks for received bytes.
const PEEK_INTERVAL: Duration = Duration::from_millis(5);

/// Connects to one coordinator, each time the channel needs a connection.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    pub(crate) coordinator: String,
    /// Whether to accept a coordinator on another machine, or one without a secret.
    pub(crate) is_insecure: bool,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = BoxFuture<TokioIo<TcpStream>, io::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.connect().await.map(TokioIo::new) })
    }
}

impl Connector {
    /// Tries the addresses of the coordinator's host until a connection succeeds. If all addresses
    /// fail, returns the last error.
    async fn connect(&self) -> io::Result<TcpStream> {
        let mut failure = io::Error::new(ErrorKind::NotFound, "the coordinator's host has no address");
        // A host may have IPv4 and IPv6 addresses, and the coordinator may listen on only one of
        // them.
        for address in tokio::net::lookup_host(&self.coordinator).await? {
            match self.connect_to(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn connect_to(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        // The secret is in a file on this machine, so a coordinator on another machine cannot know
        // it.
        if !address.ip().is_loopback() {
            return if self.is_insecure { Ok(stream) } else { Err(denied(&format!("{address} is not this machine"))) };
        }
        if !asks_for_secret(&stream).await? {
            return if self.is_insecure {
                Ok(stream)
            } else {
                Err(denied(
                    "the coordinator does not ask for the secret of its run: use --ca, --cert and --key if it uses TLS, or --insecure if it has `insecure = true`",
                ))
            };
        }
        let secret = Secret::find(address).map_err(|e| {
            io::Error::new(e.kind(), format!("cannot read the secret of the coordinator, which must run as the same user with the same TMPDIR: {e}"))
        })?;
        let proven = tokio::time::timeout(PROOF_TIMEOUT, secret.connect(&mut stream)).await;
        proven.map_err(|_| denied("the coordinator did not prove in time that it knows the secret"))??;
        Ok(stream)
    }
}

/// Returns whether the first bytes from the coordinator ask for the secret. The bytes stay in the
/// stream.
async fn asks_for_secret(stream: &TcpStream) -> io::Result<bool> {
    let mut start = [0; MAGIC.len()];
    let look = async {
        loop {
            match stream.peek(&mut start).await? {
                0 => return Err(io::Error::from(ErrorKind::UnexpectedEof)),
                // Either all bytes have arrived, or the received ones already differ.
                n if n == MAGIC.len() || start[..n] != MAGIC[..n] => return Ok(start == MAGIC),
                _ => tokio::time::sleep(PEEK_INTERVAL).await,
            }
        }
    };
    // A server with TLS waits for the client to send first, so a timeout means that it asks for no
    // secret.
    tokio::time::timeout(GREETING_TIMEOUT, look).await.unwrap_or(Ok(false))
}

fn denied(reason: &str) -> io::Error {
    io::Error::new(ErrorKind::PermissionDenied, reason)
}
