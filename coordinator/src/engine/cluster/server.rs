//! Starts the server that workers connect to: binds the port, protects it with TLS or with the
//! run's secret, and passes each call to the gate (`gate`).

use lakewright_common::config::resolved::Cluster as Settings;
use lakewright_common::error::{Context, Error, Result};
use lakewright_common::process::secret::SecretFile;
use lakewright_common::process::tls;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::transport::Server as GrpcServer;

use super::gate::Gate;
use super::listen;

/// Maximum number of calls that one connection may run at once.
const MAX_STREAMS: u32 = 256;

/// A running server. It stops when dropped.
pub(super) struct Server {
    /// Address that workers connect to. Only messages use it.
    pub(super) worker_address: String,
    task: JoinHandle<()>,
    /// File with the run's secret, if there is one. It is deleted when this value is dropped.
    _secret: Option<SecretFile>,
}

impl Server {
    /// Binds the port and serves `gate` in the background.
    ///
    /// # Errors
    /// A configuration error for an address or certificates that cannot be used.
    pub(super) async fn start(settings: &Settings, gate: Gate) -> Result<Self> {
        let listener = bind(&settings.listen).await?;
        let address = listener.local_addr().map_or_else(|_| settings.listen.clone(), |address| address.to_string());
        let mut server = GrpcServer::builder()
            // Pings find dead peers even if no call is running.
            .http2_keepalive_interval(Some(settings.lost_after))
            .max_concurrent_streams(Some(MAX_STREAMS));
        if let Some(certificates) = &settings.certificates {
            server = server
                .tls_config(tls::server(certificates)?.timeout(listen::HANDSHAKE_TIMEOUT))
                .context(|| Error::configuration("`[cluster]`: the certificates cannot be used"))?;
        } else if settings.is_insecure {
            tracing::warn!(
                address,
                "listening without TLS: anyone who can connect can read and write what workers can"
            );
        }
        let secret = match listener.local_addr() {
            Ok(address) if settings.needs_secret() => Some(SecretFile::create(address)?),
            _ => None,
        };
        let incoming = listen::incoming(listener, secret.as_ref().map(SecretFile::secret));
        let task = tokio::spawn(async move {
            if let Err(error) = server.serve_with_incoming(gate, incoming).await {
                tracing::error!(%error, "the server for workers stopped");
            }
        });
        // Without `advertise`, show the address that was bound, because the port in `listen` may be
        // 0 (any free port).
        let worker_address =
            if settings.advertise == settings.listen { address.clone() } else { settings.advertise.clone() };
        tracing::info!(address, "listening; start workers with `worker --coordinator {worker_address}`");
        Ok(Self { worker_address, task, _secret: secret })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn bind(address: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.context(|| {
        Error::configuration(format!("`[cluster]`: cannot listen on `{address}`"))
            .hint("is another coordinator running? set `[cluster] listen` to another address or port")
    })
}
