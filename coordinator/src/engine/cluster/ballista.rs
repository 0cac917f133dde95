//! Embeds Ballista's scheduler as a queue of tasks that workers poll. In the coordinator, only this
//! file and the folder `ballista/` use Ballista's crates.
//!
//! Ballista 55 is correct for jobs of one stage in pull mode. With several stages, Ballista hangs
//! or repeats rows if a worker dies. So a job here has one stage, and the only content of its tasks
//! is "run these bytes". The tracker (`task_attempts`) decides whether a task is done or runs
//! again; Ballista's status of the job is ignored.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, BinaryArray, RecordBatch, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema};
use ballista_core::JobId;
use ballista_core::config::TaskSchedulingPolicy;
use ballista_core::extension::SessionConfigExt;
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::SchedulerConfig;
use ballista_scheduler::scheduler_process::create_scheduler;
use ballista_scheduler::scheduler_server::SchedulerServer;
use bytes::Bytes;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use lakewright_common::error::{Context, Error, Result};
use lakewright_proto::MAX_MESSAGE_BYTES;
use tokio::sync::watch;

/// Answers `PollWork` with bounded, rebuilt requests.
mod poll;

pub(super) use poll::Queue;

/// Time without a poll after which Ballista considers a worker lost. A busy worker polls every 5 s,
/// and the tracker notices lost workers much earlier by their missing heartbeats.
const WORKER_TIMEOUT: Duration = Duration::from_secs(30);
/// Time that Ballista keeps the state of a finished job.
const FINISHED_JOBS: Duration = Duration::from_secs(60);
/// Timeout that no run reaches. It disables Ballista's own timeout for jobs without workers,
/// because `ClusterState` decides when a run without workers fails.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

type Server = SchedulerServer<LogicalPlanNode, PhysicalPlanNode>;

/// Ballista's scheduler, used as a queue of tasks.
pub(super) struct Scheduler {
    server: Server,
    context: Arc<SessionContext>,
}

impl Scheduler {
    /// Starts the scheduler. The scheduler changes the value of `work` whenever there may be a task
    /// to poll for.
    pub(super) async fn start(work: watch::Sender<u64>) -> Result<Self> {
        let message_bytes = u32::try_from(MAX_MESSAGE_BYTES).unwrap_or(u32::MAX);
        let config = SchedulerConfig {
            scheduling_policy: TaskSchedulingPolicy::PullStaged,
            executor_timeout_seconds: WORKER_TIMEOUT.as_secs(),
            no_executors_grace_period_seconds: FOREVER.as_secs(),
            // 0 disables the deletion of job data on workers. Ballista cannot call workers, because
            // they listen on no port.
            finished_job_data_clean_up_interval_seconds: 0,
            finished_job_state_clean_up_interval_seconds: FINISHED_JOBS.as_secs(),
            grpc_server_max_decoding_message_size: message_bytes,
            grpc_server_max_encoding_message_size: message_bytes,
            // Workers listen on no port.
            override_create_grpc_client_endpoint: Some(Arc::new(|_| Err("workers are not called".into()))),
            // `WatchWork` calls wait for a change of the count; its value has no meaning.
            on_work_available: Some(Arc::new(move |_| work.send_modify(|count| *count += 1))),
            ..SchedulerConfig::default()
        };
        let failed = || Error::internal("cannot start the scheduler");
        let cluster = BallistaCluster::new_from_config(&config).await.context(failed)?;
        let server: Server = create_scheduler(cluster, Arc::new(config)).await.context(failed)?;
        let session = SessionConfig::new_with_ballista()
            // A stage has no exchange, so there is nothing to plan again while it runs.
            .set_bool("ballista.planner.adaptive.enabled", false)
            // Each partition is one of our tasks, and a worker starts and reports each task
            // separately.
            .set_usize("ballista.scheduler.max_partitions_per_task", 1);
        Ok(Self { server, context: Arc::new(SessionContext::new_with_config(session)) })
    }

    /// Returns the queue that workers poll.
    pub(super) fn queue(&self) -> Queue {
        Queue(self.server.clone())
    }

    /// Queues tasks as one job. Each task is given as its index in the stage and the bytes of its
    /// `TaskSpec`.
    pub(super) async fn submit(&self, name: &str, specs: &[(usize, Bytes)]) -> Result<JobId> {
        let failed = |e: &dyn std::fmt::Display| Error::internal(format!("cannot queue a stage: {e}"));
        // Each task is one partition with one row. The worker reads the bytes from that row
        // (`worker/src/ballista.rs`).
        let schema = Arc::new(Schema::new(vec![
            Field::new("task", DataType::UInt32, false),
            Field::new("spec", DataType::Binary, false),
        ]));
        let partitions = specs
            .iter()
            .map(|(task, spec)| {
                let tasks: ArrayRef = Arc::new(UInt32Array::from(vec![u32::try_from(*task).unwrap_or(u32::MAX)]));
                let specs: ArrayRef = Arc::new(BinaryArray::from(vec![spec.as_ref()]));
                Ok(vec![RecordBatch::try_new(Arc::clone(&schema), vec![tasks, specs])?])
            })
            .collect::<std::result::Result<Vec<_>, arrow::error::ArrowError>>()
            .map_err(|e| failed(&e))?;
        let plan = MemorySourceConfig::try_new_exec(&partitions, schema, None).map_err(|e| failed(&e))?;
        let context = Arc::clone(&self.context);
        self.server.submit_physical_plan(name, context, plan, None).await.map_err(|e| failed(&e))
    }

    /// Removes the tasks of a job that are still queued.
    pub(super) async fn cancel(&self, job: JobId) {
        if let Err(error) = self.server.cancel_job(job).await {
            tracing::debug!(%error, "cannot cancel a job");
        }
    }
}
