//! Runs plans: the only module that knows where tasks run.
//!
//! If `lake.toml` has no section `[cluster]`, every plan runs in this process (`embedded`);
//! otherwise plans run on workers (`cluster`). The plans, their nodes and the SQL are the same in
//! both cases, because a cluster only cuts a plan into stages at its exchanges. A plan that writes
//! files returns rows that describe them (`TaskReport`), and the engine returns all of these
//! reports.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use lakewright_common::config::resolved::Config;
use lakewright_common::error::Result;
use lakewright_common::report::TaskReport;
use lakewright_common::report::wire::read_reports;
use lakewright_common::session::Storages;
use lakewright_common::session::progress::ReadProgress;
use lakewright_common::storage::object::SourceObject;
use lakewright_common::storage::s3::requests::RequestCounts;
use uuid::Uuid;

/// Runs plans in this process.
mod embedded;
/// Runs plans on workers.
mod cluster;
/// A table provider over the Parquet files that a manifest names.
pub(crate) mod parquet_table;

pub(crate) use cluster::{Exchanged, TaskCounts, TasksView};

/// Number of input rows above which a query runs on workers. A smaller query runs in the
/// coordinator, because scheduling a stage would take longer.
const ROWS_WORTH_A_STAGE: u64 = 200_000;

/// The place where the plans of one run are executed.
pub(crate) enum Engine {
    Embedded { threads: usize },
    Cluster(Box<cluster::Cluster>),
}

impl Engine {
    /// Starts the engine that the configuration selects. A cluster listens for workers from now on.
    ///
    /// # Errors
    /// A configuration error for an address or for certificates that cannot be used.
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

    /// Returns whether other processes write files for this run.
    pub(crate) fn has_workers(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    /// Returns a view of the progress of tasks on workers, or `None` if plans run in this process.
    pub(crate) fn tasks(&self) -> Option<TasksView> {
        match self {
            Self::Embedded { .. } => None,
            Self::Cluster(cluster) => Some(cluster.tasks()),
        }
    }

    /// Returns the counts of requests that workers have sent to buckets.
    pub(crate) fn requests(&self) -> RequestCounts {
        match self {
            Self::Embedded { .. } => RequestCounts::default(),
            Self::Cluster(cluster) => cluster.requests(),
        }
    }

    /// Lets workers join the run from now on if they can read the lake, the spool and the sources.
    /// `sources` contains the name of each source and the objects that the run reads from it.
    ///
    /// # Errors
    /// A storage error if a probe cannot be written.
    pub(crate) async fn admit_workers<'a>(
        &self,
        storages: &Storages,
        sources: impl Iterator<Item = (&'a str, &'a [SourceObject])>,
    ) -> Result<()> {
        let Self::Cluster(cluster) = self else { return Ok(()) };
        cluster.admit(sources.filter_map(|(name, objects)| cluster::Expected::listed(storages, name, objects))).await
    }

    /// Returns a session that plans for as many partitions as the engine runs at once. On a cluster
    /// it first waits for the workers that the run needs.
    ///
    /// # Errors
    /// A workers error if not enough workers join in time.
    pub(crate) async fn adapt(&self, session: SessionContext) -> Result<SessionContext> {
        match self {
            Self::Embedded { .. } => Ok(session),
            Self::Cluster(cluster) => cluster.adapt(&session).await,
        }
    }

    /// Runs every partition of `plan` and returns all reports.
    ///
    /// # Errors
    /// The first error of a partition, after which the other partitions are stopped.
    pub(crate) async fn run_stage(
        &self,
        session: &SessionContext,
        name: &str,
        plan: Arc<dyn ExecutionPlan>,
    ) -> Result<Vec<TaskReport>> {
        Ok(self.run_tasks(session, name, plan).await?.into_iter().flatten().collect())
    }

    /// Runs every partition of `plan` and returns the reports grouped by task, in no particular
    /// order of tasks. Every task must return one batch, as the nodes that write files do.
    ///
    /// # Errors
    /// The errors of [`Self::run_stage`].
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
                // No worker could decode this plan, so it runs in this process.
                None => embedded::collect(session, plan, partitions_at_once(session)).await?,
            },
        };
        batches.iter().map(|batch| read_reports(std::slice::from_ref(batch))).collect()
    }

    /// Returns the rows of a query in no particular order. `rows_read` is the approximate number of
    /// rows that the query reads. If it is small, the query runs in the coordinator, even if there
    /// are workers.
    ///
    /// # Errors
    /// The errors of [`Self::run_stage`].
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
                    None => embedded::collect(session, plan, partitions_at_once(session)).await,
                }
            }
            Self::Cluster(_) => embedded::collect(session, plan, partitions_at_once(session)).await,
            Self::Embedded { threads } => embedded::collect(session, plan, *threads).await,
        }
    }

    /// Deletes the spool objects of the run. Returns the totals of the run's exchanges, or `None`
    /// if plans run in this process.
    pub(crate) async fn finish(&self) -> Option<Exchanged> {
        match self {
            Self::Embedded { .. } => None,
            Self::Cluster(cluster) => Some(cluster.finish().await),
        }
    }
}

/// Returns the number of partitions that run at once in this process: the target partitions of the
/// session.
fn partitions_at_once(session: &SessionContext) -> usize {
    session.copied_config().target_partitions()
}
