//! Runs plans on workers.
//!
//! ```text
//!  plan ─► stage_planner ─► stages ─► task_plan ─► tasks ─► ballista ═══ tasks ═══► workers
//!                             ▲                                                        │
//!                             └─ stage_runner ◄─ state (tracker) ◄─ service ═ reports ═┘
//! ```
//!
//! Every connection of a worker is accepted by `listen`. Every call passes `gate`, which lets
//! workers call only the methods that they need. A worker first registers, then joins once it has
//! shown that it sees the storages of the run (`registration`). Only joined workers get tasks.
//!
//! A plan is cut at its exchanges. Each piece is a stage, and each partition of a stage is a task.
//! Ballista's scheduler hands tasks to the workers that poll for them. Workers report the outcome
//! to the coordinator (`service`), and the tracker alone decides which tasks are done, which run
//! again, and when a stage fails.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use lakewright_common::config::resolved::Cluster as Settings;
use lakewright_common::error::{EngineContext, Error, Result};
use lakewright_common::exchange::read_node::ExchangeReadExec;
use lakewright_common::exchange::write_node::ExchangeWriteExec;
use lakewright_common::report::TaskReport;
use lakewright_common::session::Storages;
use lakewright_common::session::plan_failure::stage_error;
use lakewright_common::session::progress::ReadProgress;
use lakewright_common::storage::s3::requests::RequestCounts;
use tokio::sync::watch;
use uuid::Uuid;

/// Prepares sessions so that their plans can be cut.
mod optimizer;
/// Cuts a plan into stages without exchanges inside.
mod stage_planner;
/// Narrows the plan of a stage to one of its tasks.
mod task_plan;
/// Describes the input of a task for error messages.
mod task_input;
/// Runs stages bottom up.
mod stage_runner;
/// Queues tasks in Ballista's scheduler.
mod ballista;
/// Starts the server that workers connect to.
mod server;
/// Accepts connections and bounds their number.
mod listen;
/// Restricts the port to an allow-list of methods.
mod gate;
/// Checks that a worker sees the storages of a run.
mod registration;
/// Implements the service that workers call.
mod service;
/// Holds the state of workers and tasks.
mod state;
/// Keeps track of workers: who registered, who joined, who can take a task.
mod workers;
/// Checks that the reports of a task account for its input.
mod account;
/// Tracks the tasks of a stage.
mod task_attempts;
/// Decides which attempts are slow.
mod speculation;
/// Deletes the spool objects of exchanges, and writes probe objects.
mod spool;

pub(super) use registration::{Expected, Folders};
pub(crate) use state::TaskCounts;

use ballista::Scheduler;
use gate::Gate;
use registration::{ExpectedSender, Registration};
use server::Server;
use service::Service;
use speculation::Speculation;
use spool::{Spool, SpoolTotals};
use stage_planner::Stage;
use state::ClusterState;
use task_attempts::Policy;

/// Minimum time that a queued task waits before it is offered again because no free worker took it.
const OFFER_TIMEOUT: Duration = Duration::from_secs(3);
/// Minimum time that an attempt must run before it gets a speculative attempt. For shorter tasks, a
/// speculative attempt costs more than it saves.
const SPECULATE_AFTER: Duration = Duration::from_millis(300);
/// Maximum number of partitions of a plan. It is bounded because an exchange from n tasks to n
/// partitions has about n² byte ranges, and the plan of the next stage names each of them.
const MAX_PARTITIONS: usize = 2048;

/// A coordinator's cluster: the workers of one run, and everything that is needed to run plans on
/// them.
pub(crate) struct Cluster {
    run: Uuid,
    settings: Settings,
    state: Arc<ClusterState>,
    scheduler: Scheduler,
    /// Sends the list of storages that workers must see, once the sources are listed.
    expected: ExpectedSender,
    spool: Spool,
    spooled: SpoolTotals,
    server: Server,
}

/// View of the progress of the running stages.
#[derive(Debug, Clone)]
pub(crate) struct TasksView(Arc<ClusterState>);

/// Totals of a run's exchanges. An exchange writes its rows to spool objects.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exchanged {
    /// Number of workers at the end of the run.
    pub(crate) workers: usize,
    pub(crate) objects: u64,
    pub(crate) bytes: u64,
    /// Planned number of requests: one write per object, and one read per range of an object. If
    /// attempts are repeated, more requests are sent.
    pub(crate) requests: u64,
}

impl Cluster {
    /// Starts the scheduler and listens for workers.
    ///
    /// # Errors
    /// A configuration error for an address or certificates that cannot be used.
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
        let (registration, expected) = Registration::new(run, settings.heartbeat, storages, folders, spool.prefix());
        let service = Service { state: Arc::clone(&state), registration, work };
        let server = Server::start(settings, Gate::new(Arc::clone(&state), scheduler.queue(), service)).await?;
        // Workers may already connect and wait while the spools of dead runs are deleted.
        spool.sweep().await;
        Ok(Self {
            run,
            settings: settings.clone(),
            state,
            scheduler,
            expected,
            spool,
            spooled: SpoolTotals::default(),
            server,
        })
    }

    /// Lets workers join from now on if they see the lake, the spool and `sources`.
    ///
    /// # Errors
    /// A storage error if a probe cannot be written.
    pub(super) async fn admit(&self, sources: impl IntoIterator<Item = Expected>) -> Result<()> {
        let written = self.spool.write_probes().await?.into_iter().map(Expected::written);
        // Wakes the `Register` calls that wait for this value.
        self.expected.send_replace(Some(written.chain(sources).collect()));
        Ok(())
    }

    /// Waits for the workers that a run needs. Returns a copy of `session` that plans one partition
    /// per vcore of these workers.
    ///
    /// # Errors
    /// A workers error if not enough workers join in time.
    pub(super) async fn adapt(&self, session: &SessionContext) -> Result<SessionContext> {
        let needed = self.settings.min_workers;
        let deadline = tokio::time::Instant::now() + self.settings.worker_timeout;
        loop {
            // Subscribe before looking at the state, so that no change between the two is missed.
            let changed = self.state.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let (workers, vcores) = self.state.capacity();
            if workers >= needed {
                return Ok(optimizer::adapt(session, vcores.min(MAX_PARTITIONS)));
            }
            if tokio::time::timeout_at(deadline, changed).await.is_err() {
                let message =
                    format!("{workers} of {needed} workers joined within {} s", self.settings.worker_timeout.as_secs());
                let hint = format!(
                    "start workers with `worker --coordinator {}`, or change `[cluster] min_workers` or `worker_timeout`",
                    self.server.worker_address
                );
                return Err(self.state.without_workers(message, &hint));
            }
        }
    }

    /// Cuts `plan` into stages. A plan that cannot be cut becomes a single task. Returns `None` if
    /// the stages or the single task cannot be sent to workers; then the coordinator runs the plan.
    pub(super) fn stages(&self, session: &SessionContext, name: &str, plan: &Arc<dyn ExecutionPlan>) -> Option<Stage> {
        let context = session.task_ctx();
        // In order of preference: stages, one task on one worker, and the coordinator itself.
        let reason = match stage_planner::plan_stages(plan, self.spool.prefix()) {
            Ok(stage) => match stage.check_sendable(&context) {
                Ok(()) => return Some(stage),
                Err(reason) => reason.strip_backtrace(),
            },
            Err(reason) => {
                let (stage, reason) = (stage_planner::single_task(plan), reason.strip_backtrace());
                if stage.check_sendable(&context).is_ok() {
                    tracing::info!(
                        step = name,
                        reason,
                        "running the step as a single task: its plan cannot be cut into stages"
                    );
                    return Some(stage);
                }
                reason
            }
        };
        tracing::info!(step = name, reason, "running the step in the coordinator: its plan cannot be sent to workers");
        None
    }

    /// Runs a stage and all stages below it, and returns the reports of the top stage.
    ///
    /// # Errors
    /// The error of a task that failed and cannot be retried. A workers error if there are no
    /// workers, or if a task is lost or ignored too often.
    pub(super) async fn run_stages(&self, name: &str, stage: Stage) -> Result<Vec<TaskReport>> {
        Ok(self.run_tasks(name, stage).await?.into_iter().flatten().collect())
    }

    /// Runs a stage and all stages below it, and returns the reports of the top stage, grouped by
    /// task.
    ///
    /// # Errors
    /// The errors of [`Self::run_stages`].
    pub(super) async fn run_tasks(&self, name: &str, stage: Stage) -> Result<Vec<Vec<TaskReport>>> {
        stage_runner::run(self, name, stage).await
    }

    /// Returns a plan that runs `plan` and writes its rows to the spool.
    pub(super) fn spooled(&self, plan: &Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        Arc::new(ExchangeWriteExec::new(Arc::clone(plan), self.spool.prefix().to_owned()))
    }

    /// Runs a query on workers, reads its rows from the spool and returns them. `plan` is the
    /// query, and `stage` is the top stage of `spooled(plan)`.
    ///
    /// # Errors
    /// The errors of [`Self::run_stages`]. A storage error if a spool object cannot be read.
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
                return Err(Error::internal("a task of a query returned something other than a spool object"));
            };
            self.spooled.add(std::slice::from_ref(&object));
            // The spooled plan has no repartition at its top, so each task writes a single
            // partition.
            chunks.extend(object.chunks_of(0));
        }
        self.spooled.add_reads(chunks.len());
        let rows = Arc::new(ExchangeReadExec::plain(plan.schema(), None, vec![chunks]));
        let collected = datafusion::physical_plan::collect(rows, session.task_ctx()).await;
        collected.engine_context(stage_error)
    }

    /// Returns a view of the progress of stages, which can be read at any time.
    pub(super) fn tasks(&self) -> TasksView {
        TasksView(Arc::clone(&self.state))
    }

    /// Returns the counts of requests that workers have sent to buckets.
    pub(super) fn requests(&self) -> RequestCounts {
        self.state.requests()
    }

    /// Deletes the spool objects of the run and returns the totals of its exchanges.
    pub(super) async fn finish(&self) -> Exchanged {
        self.spool.clear().await;
        // `capacity` returns the number of workers and the number of their vcores.
        self.spooled.exchanged(self.state.capacity().0)
    }
}

impl TasksView {
    pub(crate) fn counts(&self) -> TaskCounts {
        self.0.counts()
    }
}

/// Converts settings to the rules for retries and speculative attempts.
fn policy(settings: &Settings) -> Policy {
    Policy {
        lost_after: settings.lost_after,
        // Only heartbeats show which workers are free, so wait for several of them.
        offer_timeout: OFFER_TIMEOUT.max(settings.heartbeat * 3),
        max_attempts: u32::try_from(settings.attempts).unwrap_or(u32::MAX),
        speculation: settings.speculation.map(|speculation| Speculation {
            done_share: speculation.done_share,
            slowness: speculation.slowness,
            at_least: SPECULATE_AFTER,
        }),
    }
}
