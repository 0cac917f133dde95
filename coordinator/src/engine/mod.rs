//! Runs plans: the only place that knows where tasks run.
//!
//! Without `[cluster]` every plan runs in this process (`embedded`); with it, on workers (`cluster`). The plans, their nodes
//! and the SQL are the same: a cluster only cuts a plan at its exchanges. A plan that goes in here has `TaskReport`s as its
//! rows; what comes out is all of them.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use lakewright_common::config::resolved::Config;
use lakewright_common::error::Result;
use lakewright_common::report::{TaskReport, read_reports};
use lakewright_common::session::Storages;
use lakewright_common::session::progress::ReadProgress;
use lakewright_common::storage::object::SourceObject;
use lakewright_common::storage::s3::requests::RequestCounts;
use uuid::Uuid;

/// Plans in this process.
mod embedded;
/// Plans on workers.
mod cluster;
/// A set of Parquet files that a manifest names, as a table of a query.
pub(crate) mod parquet_table;

pub(crate) use cluster::{Exchanged, TaskCounts, TasksView};

/// A query over fewer rows is done here before workers have heard of it.
const ROWS_WORTH_A_STAGE: u64 = 200_000;

/// Where the plans of one run run.
pub(crate) enum Engine {
    Embedded { threads: usize },
    Cluster(Box<cluster::Cluster>),
}

impl Engine {
    /// The one that the configuration asks for; a cluster listens for workers from now on.
    ///
    /// # Errors
    /// Configuration, for an address or certificates that cannot be used.
    pub(crate) async fn start(
        config: &Config,
        storages: &Storages,
        run: Uuid,
        reads: &Arc<ReadProgress>,
    ) -> Result<Self> {
        Ok(match &config.cluster {
            None => Self::Embedded { threads: config.limits.threads },
            Some(settings) => {
                let folders = cluster::Folders::of(config);
                let started = cluster::Cluster::start(settings, storages, folders, run, Arc::clone(reads)).await?;
                Self::Cluster(Box::new(started))
            }
        })
    }

    /// Whether what is written comes from other processes.
    pub(crate) fn has_workers(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    /// How far workers are; none where there are no workers.
    pub(crate) fn tasks(&self) -> Option<TasksView> {
        match self {
            Self::Embedded { .. } => None,
            Self::Cluster(cluster) => Some(cluster.tasks()),
        }
    }

    /// What workers have requests of buckets.
    pub(crate) fn requests(&self) -> RequestCounts {
        match self {
            Self::Embedded { .. } => RequestCounts::default(),
            Self::Cluster(cluster) => cluster.requests(),
        }
    }

    /// Lets workers register that see the lake, the spool and the objects of each source, by the source's name.
    ///
    /// # Errors
    /// Storage that cannot be written.
    pub(crate) async fn admit_workers<'a>(
        &self,
        storages: &Storages,
        sources: impl Iterator<Item = (&'a str, &'a [SourceObject])>,
    ) -> Result<()> {
        let Self::Cluster(cluster) = self else { return Ok(()) };
        cluster.admit(sources.filter_map(|(name, objects)| cluster::Expected::listed(storages, name, objects))).await
    }

    /// The session for planning: as many partitions as the engine has room for. Waits for workers.
    ///
    /// # Errors
    /// Workers, where not enough of them came in time.
    pub(crate) async fn adapt(&self, session: SessionContext) -> Result<SessionContext> {
        match self {
            Self::Embedded { .. } => Ok(session),
            Self::Cluster(cluster) => cluster.adapt(&session).await,
        }
    }

    /// Runs every partition of `plan`; all reports or the first failure.
    ///
    /// # Errors
    /// What a partition failed with; the others are stopped then.
    pub(crate) async fn run_stage(
        &self,
        session: &SessionContext,
        name: &str,
        plan: Arc<dyn ExecutionPlan>,
    ) -> Result<Vec<TaskReport>> {
        Ok(self.run_tasks(session, name, plan).await?.into_iter().flatten().collect())
    }

    /// As [`Self::run_stage`], with the reports of each task together, the tasks in no particular order. Every task must
    /// answer with one batch, as the nodes that write do.
    ///
    /// # Errors
    /// As [`Self::run_stage`].
    pub(crate) async fn run_tasks(
        &self,
        session: &SessionContext,
        name: &str,
        plan: Arc<dyn ExecutionPlan>,
    ) -> Result<Vec<Vec<TaskReport>>> {
        let batches = match self {
            Self::Embedded { threads } => embedded::collect(session, plan, *threads).await?,
            Self::Cluster(cluster) => match cluster.stages(session, name, &plan) {
                Some(stage) => return cluster.run_tasks(name, stage).await,
                None => embedded::collect(session, plan, tasks_of(session)).await?,
            },
        };
        batches.iter().map(|batch| read_reports(std::slice::from_ref(batch))).collect()
    }

    /// The rows of a query over about `rows_read` rows, in no particular order.
    ///
    /// # Errors
    /// As [`Self::run_stage`].
    pub(crate) async fn collect(
        &self,
        session: &SessionContext,
        name: &str,
        plan: Arc<dyn ExecutionPlan>,
        rows_read: u64,
    ) -> Result<Vec<RecordBatch>> {
        match self {
            Self::Cluster(cluster) if rows_read > ROWS_WORTH_A_STAGE => {
                match cluster.stages(session, name, &cluster.spooled(&plan)) {
                    Some(stage) => cluster.collect(session, name, &plan, stage).await,
                    None => embedded::collect(session, plan, tasks_of(session)).await,
                }
            }
            Self::Cluster(_) => embedded::collect(session, plan, tasks_of(session)).await,
            Self::Embedded { threads } => embedded::collect(session, plan, *threads).await,
        }
    }

    /// The run is over: nothing of an exchange is left behind. What went through exchanges, if there were any.
    pub(crate) async fn finish(&self) -> Option<Exchanged> {
        match self {
            Self::Embedded { .. } => None,
            Self::Cluster(cluster) => Some(cluster.finish().await),
        }
    }
}

/// Partitions that run at once in this process, which are what the session plans for.
fn tasks_of(session: &SessionContext) -> usize {
    session.copied_config().target_partitions()
}
