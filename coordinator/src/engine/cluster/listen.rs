//! Accepts connections on the port, and bounds their number and how long they may stay silent.
//!
//! ```text
//!   accept ─► pending (10 s to authenticate) ─► established ─► gRPC
//!               │ full: the oldest is dropped      │ full: new connections are refused
//! ```
//!
//! A connection is pending until the TLS handshake, or the handshake with the run's secret, is
//! complete. Without either, it is pending until the peer has sent the HTTP/2 preface. Peers that
//! do not authenticate only displace pending connections, never the established connections of
//! workers. Once a connection is established, HTTP/2 pings detect a dead peer.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{FutureExt, Stream};
use lakewright_common::process::descriptors;
use lakewright_common::process::secret::Secret;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Sleep;
use tonic::transport::server::Connected;

/// Time that a connection has to authenticate.
pub(super) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum number of open connections, if the limit of open files allows as many.
const MAX_CONNECTIONS: usize = 512;
/// Share of the process's limit of open files that connections may use, as a divisor: 4 means a
/// quarter.
const SHARE_OF_FILES: u64 = 4;
/// Pause after the system failed to accept a connection, usually because of the limit of open
/// files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(250);
/// Number of events of one kind, such as refused connections, per log line. Only the first of every
/// 240 events is logged, because unauthenticated peers can cause any number of them.
const FAILURES_PER_LINE: u64 = 240;
/// Maximum number of accepted connections that wait until the gRPC server takes them.
const BACKLOG: usize = 16;
/// Length of the HTTP/2 connection preface.
const PREFACE_BYTES: usize = 24;

/// Limits on the number of connections.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// Maximum number of open connections, including pending ones.
    open: usize,
    pending: usize,
}

impl Bounds {
    /// Derives the bounds from the process's limit of open files. Connections get only a share of
    /// that limit, because the rest of the process opens files too.
    fn of_process() -> Self {
        let files = descriptors::limit() / SHARE_OF_FILES;
        let open = usize::try_from(files).unwrap_or(MAX_CONNECTIONS).clamp(8, MAX_CONNECTIONS);
        Self { open, pending: open / 2 }
    }
}

/// All open connections of the port, pending and established.
#[derive(Debug)]
struct Connections {
    bounds: Bounds,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    open: usize,
    /// Pending connections, oldest first. Dropping a sender drops its connection.
    pending: VecDeque<(u64, oneshot::Sender<()>)>,
}

impl Connections {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Admits a new connection as pending. Returns `None` if the maximum number of connections is
    /// open and none of them is pending.
    fn admit(self: &Arc<Self>) -> Option<(Ticket, oneshot::Receiver<()>)> {
        let mut state = self.state();
        // The oldest pending connection makes room for a new one. Established connections are never
        // dropped here, so a flood of strangers only displaces strangers.
        let is_full = state.open >= self.bounds.open;
        if is_full || state.pending.len() >= self.bounds.pending {
            let oldest = state.pending.pop_front();
            if is_full && oldest.is_none() {
                return None;
            }
        }
        let number = state.next;
        state.next += 1;
        state.open += 1;
        let (keep, dropped) = oneshot::channel();
        state.pending.push_back((number, keep));
        Some((Ticket { connections: Arc::clone(self), number }, dropped))
    }
}

/// A place among the open connections, which is freed when the ticket is dropped.
#[derive(Debug)]
struct Ticket {
    connections: Arc<Connections>,
    number: u64,
}

impl Ticket {
    fn established(&self) {
        self.connections.state().pending.retain(|(number, _)| *number != self.number);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.connections.state();
        state.open = state.open.saturating_sub(1);
        state.pending.retain(|(number, _)| *number != self.number);
    }
}

/// One accepted connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    ticket: Ticket,
    /// Whether the handshake is complete. Set when tonic calls `connect_info`. With TLS, tonic
    /// calls it after the TLS handshake. With a secret, tonic receives the connection only after
    /// the handshake with the secret.
    is_handshake_done: AtomicBool,
    /// Set while the connection is pending; `None` once it is established.
    pending: Option<Pending>,
}

#[derive(Debug)]
struct Pending {
    deadline: Pin<Box<Sleep>>,
    dropped: oneshot::Receiver<()>,
    read: usize,
}

impl Connection {
    fn new(stream: TcpStream, ticket: Ticket, dropped: oneshot::Receiver<()>, timeout: Duration) -> Self {
        let pending = Pending { deadline: Box::pin(tokio::time::sleep(timeout)), dropped, read: 0 };
        Self { stream, ticket, is_handshake_done: AtomicBool::new(false), pending: Some(pending) }
    }

    /// Fails if a pending connection was dropped or timed out. Ends the pending state once the
    /// handshake and the preface are complete.
    fn poll_pending(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let Some(pending) = &mut self.pending else { return Ok(()) };
        // Without TLS and secret, the first 24 bytes are the preface, which only an HTTP/2 client
        // sends. A handshake has more than 24 bytes, so with TLS or a secret only its completion
        // matters.
        if pending.read >= PREFACE_BYTES && self.is_handshake_done.load(Ordering::Relaxed) {
            self.ticket.established();
            self.pending = None;
            return Ok(());
        }
        if pending.dropped.poll_unpin(context).is_ready() {
            return Err(io::Error::new(ErrorKind::ConnectionAborted, "too many connections are pending"));
        }
        if pending.deadline.as_mut().poll(context).is_ready() {
            return Err(io::Error::new(ErrorKind::TimedOut, "the connection was not authenticated in time"));
        }
        Ok(())
    }
}

impl Connected for Connection {
    type ConnectInfo = <TcpStream as Connected>::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.is_handshake_done.store(true, Ordering::Relaxed);
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // A pending connection always waits for bytes of the peer, so it is enough to check it in
        // reads.
        if let Err(error) = this.poll_pending(context) {
            return Poll::Ready(Err(error));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(context, buffer);
        if let Some(pending) = &mut this.pending {
            pending.read += buffer.filled().len() - before;
        }
        polled
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

/// Accepts connections until the returned stream is dropped. With a secret, the stream contains
/// only connections of peers that know it.
pub(super) fn incoming(
    listener: TcpListener,
    secret: Option<Secret>,
) -> impl Stream<Item = io::Result<Connection>> + Send + 'static {
    let (sender, receiver) = mpsc::channel(BACKLOG);
    tokio::spawn(accept(listener, secret, Bounds::of_process(), sender));
    futures::stream::unfold(receiver, |mut receiver| async move {
        let connection = receiver.recv().await?;
        Some((Ok(connection), receiver))
    })
}

async fn accept(listener: TcpListener, secret: Option<Secret>, bounds: Bounds, ready: mpsc::Sender<Connection>) {
    let connections = Arc::new(Connections { bounds, state: Mutex::default() });
    let (failures, refused, unauthenticated) =
        (SampledLog::default(), SampledLog::default(), Arc::new(SampledLog::default()));
    loop {
        let accepted = tokio::select! {
            // The server has stopped, so close the port.
            () = ready.closed() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Some((ticket, dropped)) = connections.admit() else {
                    if refused.should_log() {
                        tracing::warn!(%peer, connections = bounds.open, "a connection is refused: too many connections are open");
                    }
                    continue;
                };
                // Messages are small and answered at once, so do not wait to fill packets. A
                // failure only costs latency.
                let _ = stream.set_nodelay(true);
                let connection = Connection::new(stream, ticket, dropped, HANDSHAKE_TIMEOUT);
                match &secret {
                    Some(secret) => {
                        let (secret, ready, unauthenticated) =
                            (secret.clone(), ready.clone(), Arc::clone(&unauthenticated));
                        // A task of its own, so that a slow peer does not delay other connections.
                        tokio::spawn(authenticate(connection, secret, peer, ready, unauthenticated));
                    }
                    // Without a secret, TLS (or nothing) authenticates the peer.
                    None if ready.send(connection).await.is_err() => return,
                    None => {}
                }
            }
            // The error concerns a single connection that has already ended.
            Err(error) if is_of_connection(&error) => {}
            Err(error) => {
                if failures.should_log() {
                    tracing::warn!(%error, "cannot accept connections; raise the limit of open files");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Passes the connection to the server once the peer has proved that it knows the secret.
async fn authenticate(
    mut connection: Connection,
    secret: Secret,
    peer: SocketAddr,
    ready: mpsc::Sender<Connection>,
    unauthenticated: Arc<SampledLog>,
) {
    match secret.accept(&mut connection).await {
        Ok(()) => drop(ready.send(connection).await),
        Err(error) => {
            if unauthenticated.should_log() {
                tracing::info!(%peer, %error, "a connection is refused: workers without TLS must run on this machine as the same user");
            }
        }
    }
}

/// Counter of one kind of event that unauthenticated peers can cause. Only one in
/// `FAILURES_PER_LINE` events is logged.
#[derive(Debug, Default)]
struct SampledLog(AtomicU64);

impl SampledLog {
    /// Counts an event and returns whether to log it.
    fn should_log(&self) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed).is_multiple_of(FAILURES_PER_LINE)
    }
}

fn is_of_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionRefused
            | ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    fn connections(open: usize, pending: usize) -> Arc<Connections> {
        Arc::new(Connections { bounds: Bounds { open, pending }, state: Mutex::default() })
    }

    #[test]
    fn the_oldest_pending_connection_makes_room_and_established_ones_stay() {
        let connections = connections(4, 2);
        let (first, _first_dropped) = connections.admit().unwrap();
        let (_second, mut second_dropped) = connections.admit().unwrap();
        first.established();
        let (_third, _third_dropped) = connections.admit().unwrap();
        let (fourth, _fourth_dropped) = connections.admit().unwrap();
        assert_eq!(second_dropped.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        fourth.established();
        assert_eq!(connections.state().open, 4);
    }

    #[test]
    fn newcomers_are_refused_once_all_are_established() {
        let connections = connections(2, 1);
        let tickets: Vec<_> = (0..2).map(|_| connections.admit().unwrap()).collect();
        tickets.iter().for_each(|(ticket, _)| ticket.established());
        assert!(connections.admit().is_none());
        drop(tickets);
        assert!(connections.admit().is_some());
    }

    #[tokio::test]
    async fn a_silent_connection_is_dropped_in_time() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let _silent = TcpStream::connect(address).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let (ticket, dropped) = connections(2, 2).admit().unwrap();
        let mut connection = Connection::new(stream, ticket, dropped, Duration::from_millis(10));
        let error = connection.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }
}
