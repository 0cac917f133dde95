//! Plans on workers.
//!
//! ```text
//!  plan ─► cut ─► stages ─► narrow ─► tasks ─► scheduler ═══ tasks ═══► workers
//!                   ▲                                                      │
//!                   └── stage ◄── state (tracker) ◄── service ═══ reports ═┘
//! ```
//!
//! Every connection of a worker comes through `listen`, and every call through `gate`, which lets registered workers
//! (`registration`) call what they need and nothing else.
//!
//! A plan is cut at its exchanges; each piece is a stage, each partition of a stage a task. Ballista's scheduler hands
//! tasks to whoever polls for work; what has become of each is told by workers to our own service and kept by the
//! tracker, which alone says what is done, what runs again, and what has failed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use lakewright_common::config::resolved::Cluster as Settings;
use lakewright_common::error::{Context, Error, Result};
use lakewright_common::exchange::read_node::ExchangeReadExec;
use lakewright_common::exchange::write_node::ExchangeWriteExec;
use lakewright_common::process::secret::SecretFile;
use lakewright_common::report::TaskReport;
use lakewright_common::report::spool_object::SpoolObject;
use lakewright_common::session::Storages;
use lakewright_common::session::plan_failure::stage_error;
use lakewright_common::session::progress::ReadProgress;
use lakewright_common::storage::s3::requests::RequestCounts;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::transport::Server;
use uuid::Uuid;

/// What the session needs so that its plans can be cut.
mod optimizer;
/// A plan in pieces without an exchange inside.
mod stage_planner;
/// A stage's plan, narrowed to one of its tasks.
mod task_plan;
/// What a task reads, in words.
mod task_input;
/// Runs stages, those below first.
mod stage_runner;
/// Ballista's scheduler: a queue of tasks.
mod ballista;
/// Accepts connections, and bounds them.
mod listen;
/// An allow-list of what can be called.
mod gate;
/// What a worker is told about a run, and must show before it gets tasks.
mod registration;
/// What workers call.
mod service;
/// Who works, and how each task stands.
mod state;
/// Who registered, who joined, who can take a task.
mod workers;
/// What the reports of a task must account for.
mod account;
/// What has become of each task of a stage.
mod tracker;
/// Which attempts are slow.
mod speculation;
/// The objects of a run's exchanges.
mod spool;

pub(super) use registration::{Expected, Folders};
pub(crate) use state::TaskCounts;

use ballista::Scheduler;
use gate::Gate;
use registration::{ExpectedSender, Registration};
use service::Service;
use speculation::Speculation;
use spool::Spool;
use stage_planner::Stage;
use state::ClusterState;
use tracker::Policy;

/// A task that no worker modes for this long, while one is free, was lost on its way.
const PATIENCE: Duration = Duration::from_secs(3);
/// A speculative attempt for a task that is done in less costs more than it saves.
const SPECULATE_AFTER: Duration = Duration::from_millis(300);
/// Partitions that plans have at most: the size of a plan grows with their square.
const MAX_PARTITIONS: usize = 2048;
/// Calls of one connection that run at once.
const MAX_STREAMS: u32 = 256;

/// The workers of one run, and how to reach them.
pub(crate) struct Cluster {
    run: Uuid,
    settings: Settings,
    state: Arc<ClusterState>,
    scheduler: Scheduler,
    /// What workers must see; unknown until the sources are listed.
    expected: ExpectedSender,
    spool: Spool,
    spooled: Spooled,
    /// The address that people are told to connect to.
    reach: String,
    server: tokio::task::JoinHandle<()>,
    /// Its file goes with the run.
    _secret: Option<SecretFile>,
}

/// How far the stages at work are.
#[derive(Debug, Clone)]
pub(crate) struct TasksView(Arc<ClusterState>);

/// What went through the exchanges of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exchanged {
    /// Workers that are there in the end.
    pub(crate) workers: usize,
    pub(crate) objects: u64,
    pub(crate) bytes: u64,
    /// Writes of objects and reads of ranges, as planned: an attempt that runs again makes more.
    pub(crate) requests: u64,
}

/// Counts accepted spool objects.
#[derive(Debug, Default)]
struct Spooled {
    objects: AtomicU64,
    bytes: AtomicU64,
    reads: AtomicU64,
}

impl Cluster {
    /// Listens for workers.
    ///
    /// # Errors
    /// Configuration, for an address or certificates that cannot be used.
    pub(super) async fn start(
        settings: &Settings,
        storages: &Storages,
        folders: Folders,
        run: Uuid,
        reads: Arc<ReadProgress>,
    ) -> Result<Self> {
        let state = Arc::new(ClusterState::new(policy(settings), settings.worker_timeout, reads, Instant::now()));
        let (wake, work) = watch::channel(0);
        let scheduler = Scheduler::start(wake).await?;
        let spool = Spool::new(storages, run);
        let (registration, expected) = Registration::new(run, settings.heartbeat, storages, folders, spool.prefix())?;
        let service = Service { state: Arc::clone(&state), registration, work };
        let listener = listen(&settings.listen).await?;
        let address = listener.local_addr().map_or_else(|_| settings.listen.clone(), |address| address.to_string());
        let mut server = Server::builder()
            .http2_keepalive_interval(Some(settings.lost_after))
            .max_concurrent_streams(Some(MAX_STREAMS));
        if let Some(certificates) = &settings.certificates {
            server = server
                .tls_config(lakewright_common::process::tls::server(certificates)?.timeout(listen::HANDSHAKE_TIMEOUT))
                .context(|| Error::configuration("`[cluster]`: the certificates cannot be used"))?;
        } else if settings.is_insecure {
            tracing::warn!(address, "listens without TLS: whoever can connect can read and write what workers can");
        }
        let secret = match listener.local_addr() {
            Ok(address) if settings.needs_secret() => Some(SecretFile::create(address)?),
            _ => None,
        };
        let gate = Gate::new(Arc::clone(&state), scheduler.queue(), service);
        let incoming = listen::incoming(listener, secret.as_ref().map(SecretFile::secret));
        let server = tokio::spawn(async move {
            if let Err(error) = server.serve_with_incoming(gate, incoming).await {
                tracing::error!(%error, "the coordinator listens no more");
            }
        });
        let reach = if settings.advertise == settings.listen { address.clone() } else { settings.advertise.clone() };
        tracing::info!(address, "listening; start workers with `worker --coordinator {reach}`");
        spool.sweep().await;
        Ok(Self {
            run,
            settings: settings.clone(),
            state,
            scheduler,
            expected,
            spool,
            spooled: Spooled::default(),
            reach,
            server,
            _secret: secret,
        })
    }

    /// Lets workers register that see the lake, the spool and `sources`.
    ///
    /// # Errors
    /// Storage that cannot be written.
    pub(super) async fn admit(&self, sources: impl IntoIterator<Item = Expected>) -> Result<()> {
        let written = self.spool.write_probes().await?.into_iter().map(Expected::written);
        self.expected.send_replace(Some(written.chain(sources).collect()));
        Ok(())
    }

    /// Waits for the workers that a run needs; the session then plans for the vcores they have.
    ///
    /// # Errors
    /// Workers, if not enough of them came in time.
    pub(super) async fn adapt(&self, session: &SessionContext) -> Result<SessionContext> {
        let needed = self.settings.min_workers;
        let deadline = tokio::time::Instant::now() + self.settings.worker_timeout;
        loop {
            let changed = self.state.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let (workers, vcores) = self.state.capacity();
            if workers >= needed {
                return Ok(optimizer::adapt(session, vcores.min(MAX_PARTITIONS)));
            }
            if tokio::time::timeout_at(deadline, changed).await.is_err() {
                let message =
                    format!("{workers} of {needed} workers came within {} s", self.settings.worker_timeout.as_secs());
                let hint = format!(
                    "start them with `worker --coordinator {}`; `[cluster] min_workers` says how many, `worker_timeout` how long to wait",
                    self.reach
                );
                return Err(self.state.without_workers(message, &hint));
            }
        }
    }

    /// Splits `plan` into stages for workers. Returns `None` if a plan of a stage does not survive the way to a worker;
    /// the coordinator runs it then.
    pub(super) fn stages(&self, session: &SessionContext, name: &str, plan: &Arc<dyn ExecutionPlan>) -> Option<Stage> {
        let context = session.task_ctx();
        let reason = match stage_planner::plan_stages(plan, self.spool.prefix()) {
            Ok(stage) => match stage.check_sendable(&context) {
                Ok(()) => return Some(stage),
                Err(reason) => reason.strip_backtrace(),
            },
            Err(reason) => {
                let (stage, reason) = (stage_planner::single_task(plan), reason.strip_backtrace());
                if stage.check_sendable(&context).is_ok() {
                    tracing::info!(step = name, reason, "one worker does all of it: the plan cannot be cut");
                    return Some(stage);
                }
                reason
            }
        };
        tracing::info!(step = name, reason, "the coordinator does all of it: the plan cannot be sent to workers");
        None
    }

    /// Runs stages, those below first; the reports of the last.
    ///
    /// # Errors
    /// The first cause of a task that failed in every attempt; workers, where all are gone.
    pub(super) async fn run_stages(&self, name: &str, stage: Stage) -> Result<Vec<TaskReport>> {
        Ok(self.run_tasks(name, stage).await?.into_iter().flatten().collect())
    }

    /// As [`Self::run_stages`], task by task.
    ///
    /// # Errors
    /// As [`Self::run_stages`].
    pub(super) async fn run_tasks(&self, name: &str, stage: Stage) -> Result<Vec<Vec<TaskReport>>> {
        stage_runner::run(self, name, stage).await
    }

    /// `plan`, with its rows spooled.
    pub(super) fn spooled(&self, plan: &Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        Arc::new(ExchangeWriteExec::new(Arc::clone(plan), self.spool.prefix().to_owned()))
    }

    /// The rows of `plan`, computed on workers by the stages of its spooled form, and read back.
    ///
    /// # Errors
    /// As [`Self::run_stages`]; storage, where what was spooled cannot be read.
    pub(super) async fn collect(
        &self,
        session: &SessionContext,
        name: &str,
        plan: &Arc<dyn ExecutionPlan>,
        stage: Stage,
    ) -> Result<Vec<RecordBatch>> {
        let mut chunks = Vec::new();
        for report in self.run_stages(name, stage).await? {
            let TaskReport::Spooled(object) = report else {
                return Err(Error::internal("a query answered with something else than rows"));
            };
            self.spooled.add(std::slice::from_ref(&object));
            chunks.extend(object.chunks_of(0));
        }
        self.spooled.add_reads(chunks.len());
        let rows = Arc::new(ExchangeReadExec::plain(plan.schema(), None, vec![chunks]));
        let collected = datafusion::physical_plan::collect(rows, session.task_ctx()).await;
        collected.map_err(|e| Error::from_engine(e, stage_error))
    }

    /// How far the stages are, to look at whenever one likes.
    pub(super) fn tasks(&self) -> TasksView {
        TasksView(Arc::clone(&self.state))
    }

    /// What workers have requests of buckets.
    pub(super) fn requests(&self) -> RequestCounts {
        self.state.requests()
    }

    /// Deletes what exchanges left; says what went through them.
    pub(super) async fn finish(&self) -> Exchanged {
        self.spool.clear().await;
        Exchanged {
            workers: self.state.capacity().0,
            objects: self.spooled.objects.load(Ordering::Relaxed),
            bytes: self.spooled.bytes.load(Ordering::Relaxed),
            requests: self.spooled.objects.load(Ordering::Relaxed) + self.spooled.reads.load(Ordering::Relaxed),
        }
    }
}

impl TasksView {
    pub(crate) fn counts(&self) -> TaskCounts {
        self.0.counts()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Spooled {
    fn add(&self, objects: &[SpoolObject]) {
        for object in objects.iter().filter(|object| !object.key.is_empty()) {
            self.objects.fetch_add(1, Ordering::Relaxed);
            self.bytes.fetch_add(object.bytes(), Ordering::Relaxed);
        }
    }

    fn add_reads(&self, reads: usize) {
        self.reads.fetch_add(reads as u64, Ordering::Relaxed);
    }
}

fn policy(settings: &Settings) -> Policy {
    Policy {
        silence: settings.lost_after,
        patience: PATIENCE.max(settings.heartbeat * 3),
        attempts: u32::try_from(settings.attempts).unwrap_or(u32::MAX),
        speculation: settings.speculation.map(|speculation| Speculation {
            done_share: speculation.done_share,
            slowness: speculation.slowness,
            at_least: SPECULATE_AFTER,
        }),
    }
}

async fn listen(address: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.context(|| {
        Error::configuration(format!("`[cluster]`: cannot listen on `{address}`"))
            .hint("is another coordinator running? set `[cluster] listen` to another address or port")
    })
}
