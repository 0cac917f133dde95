//! Connections without TLS: to a coordinator on this machine that proves itself by the run's secret, or, with `--insecure`,
//! to any coordinator.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use lakewright_common::process::secret::{MAGIC, Secret};
use tokio::net::TcpStream;
use tonic::codegen::http::Uri;
use tonic::codegen::{BoxFuture, Service};

/// Time in which a coordinator speaks first.
const GREETING_TIMEOUT: Duration = Duration::from_secs(2);
/// Time in which it proves itself.
const PROOF_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two looks at what has arrived.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Connects to one coordinator, again and again.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    pub(crate) coordinator: String,
    /// A coordinator need not prove itself.
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
    /// Tries the addresses of the coordinator one after another.
    async fn connect(&self) -> io::Result<TcpStream> {
        let mut failure = io::Error::new(ErrorKind::NotFound, "the coordinator's host has no address");
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
        if !address.ip().is_loopback() {
            return if self.is_insecure { Ok(stream) } else { Err(denied(&format!("{address} is not this machine"))) };
        }
        if !asks_for_secret(&stream).await? {
            return if self.is_insecure {
                Ok(stream)
            } else {
                Err(denied(
                    "the coordinator does not ask for the secret of its run: give --ca, --cert and --key if it uses TLS, --insecure if it has `insecure = true`",
                ))
            };
        }
        let secret = Secret::find(address).map_err(|e| {
            io::Error::new(e.kind(), format!("cannot read the secret of the coordinator, which must run as the same user with the same TMPDIR: {e}"))
        })?;
        let proven = tokio::time::timeout(PROOF_TIMEOUT, secret.connect(&mut stream)).await;
        proven.map_err(|_| denied("the coordinator did not prove itself in time"))??;
        Ok(stream)
    }
}

/// Whether the first bytes of a coordinator ask for the secret; they stay unread.
async fn asks_for_secret(stream: &TcpStream) -> io::Result<bool> {
    let mut start = [0; MAGIC.len()];
    let look = async {
        loop {
            match stream.peek(&mut start).await? {
                0 => return Err(io::Error::from(ErrorKind::UnexpectedEof)),
                n if n == MAGIC.len() || start[..n] != MAGIC[..n] => return Ok(start == MAGIC),
                _ => tokio::time::sleep(LOOK_AGAIN).await,
            }
        }
    };
    // TLS waits for its client to begin.
    tokio::time::timeout(GREETING_TIMEOUT, look).await.unwrap_or(Ok(false))
}

fn denied(reason: &str) -> io::Error {
    io::Error::new(ErrorKind::PermissionDenied, reason)
}
