//! Pages in a browser, and the JSON behind them, from a lake with nothing running.
//!
//! ```text
//! browser ─► access ─┬─► assets   the pages: one HTML file, modules and styles, all in the binary
//!                    └─► api      JSON about the lake  ─► commits   one summary per version
//!                                                      └► View      one version, ready for queries
//! ```
//!
//! The server writes nothing itself. Opening the newest version may complete Delta logs, as a query
//! does. It keeps summaries of versions, and a few open versions.

use std::collections::VecDeque;
use std::future::IntoFuture;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use lakewright_common::config::resolved::Config;
use lakewright_common::error::{Error, Result};
use lakewright_common::process::{systemd, telemetry};
use tokio::net::TcpListener;

use crate::exit;
use crate::view::View;
use access::Access;
use commits::Commits;

/// Who may read the pages.
mod access;
/// Resources under `/api/v1`.
mod api;
/// The files of the pages.
mod assets;
/// JSON answers and errors.
mod answer;
/// Rows as JSON.
mod cells;
/// Summaries of the versions of the lake.
mod commits;
/// Columns that the columns of tables come from.
mod column_lineage;
/// Metrics for Prometheus.
mod metrics;

/// Maximum number of older versions that stay open.
const MAX_OPEN_VERSIONS: usize = 4;

/// What all requests share.
struct Ui {
    config: Config,
    access: Access,
    commits: Commits,
    /// Opened versions: the newest, and some older ones.
    newest: RwLock<Option<Arc<View>>>,
    older: RwLock<VecDeque<Arc<View>>>,
}

/// Serves the pages until the process is interrupted.
///
/// # Errors
/// A configuration error if the address cannot be used, or is not of this machine and `token` is
/// `None`.
pub(crate) async fn serve(config: &Config, listen: SocketAddr, token: Option<String>) -> Result<()> {
    let access = Access::new(listen, token)?;
    let listener = TcpListener::bind(listen).await.map_err(|e| {
        Error::of_system(format!("cannot listen on `{listen}`"), e).hint("choose another address with `--listen`")
    })?;
    let address = listener.local_addr().map_err(|e| Error::of_system("cannot find the address", e))?;
    telemetry::conclude(&format!("serving pages on {}; press Ctrl-C to end", access.url(address)));
    systemd::ready();
    exit::leave_interrupts_to_command();
    let ui = Arc::new(Ui::new(config.clone(), access));
    tokio::select! {
        ended = axum::serve(listener, router(ui)).into_future() => {
            ended.map_err(|e| Error::of_system("the pages cannot be served any more", e))
        }
        // Do not wait for connections: streams of events never end.
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

fn router(ui: Arc<Ui>) -> Router {
    let guarded = Router::new()
        .nest("/api/v1", api::router())
        .route("/metrics", get(metrics::metrics))
        .fallback(assets::page)
        .layer(from_fn_with_state(Arc::clone(&ui), access::check));
    // Probes need no token, because their answers contain no data.
    let probes = Router::new().route("/healthz", get(|| async { "ok\n" })).route("/readyz", get(metrics::readiness));
    probes.merge(guarded).with_state(ui)
}

impl Ui {
    fn new(config: Config, access: Access) -> Self {
        let (newest, older) = (RwLock::default(), RwLock::default());
        Self { config, access, commits: Commits::default(), newest, older }
    }

    /// Returns a version of the lake, ready to be queried; the newest if `version` is `None`.
    ///
    /// # Errors
    /// The errors of [`View::open`].
    async fn view(&self, version: Option<u64>) -> Result<Arc<View>> {
        let known = self.newest.read().unwrap_or_else(PoisonError::into_inner).clone();
        let newest = match known {
            Some(view) => view.newest(&self.config).await?,
            None => Arc::new(View::open(&self.config, None).await?),
        };
        *self.newest.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&newest));
        let Some(version) = version.filter(|version| *version != newest.manifest.version) else { return Ok(newest) };
        let is_known =
            |view: &&Arc<View>| view.manifest.version == version && view.manifest.lake_id == newest.manifest.lake_id;
        let known = self.older.read().unwrap_or_else(PoisonError::into_inner).iter().find(is_known).cloned();
        if let Some(view) = known {
            return Ok(view);
        }
        let view = Arc::new(View::open(&self.config, Some(version)).await?);
        let mut older = self.older.write().unwrap_or_else(PoisonError::into_inner);
        older.truncate(MAX_OPEN_VERSIONS - 1);
        older.push_front(Arc::clone(&view));
        Ok(view)
    }
}
