//! Runs Ballista's poll loop and receives its tasks. Only this file of the worker uses Ballista.
//!
//! The plan of a Ballista task is an in-memory table with one row, which contains an encoded
//! `TaskSpec`. For Ballista, every task succeeds; the real outcome of each task is reported to the
//! coordinator directly.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use ballista_core::JobId;
use ballista_core::extension::SessionConfigExt;
use ballista_core::registry::BallistaFunctionRegistry;
use ballista_core::serde::BallistaCodec;
use ballista_core::serde::protobuf::executor_resource::Resource;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{
    ExecutorOperatingSystemSpecification, ExecutorRegistration, ExecutorResource, ExecutorSpecification,
    ShuffleWritePartition,
};
use ballista_executor::execution_engine::{ExecutionEngine, QueryStageExecutor};
use ballista_executor::execution_loop::poll_loop;
use ballista_executor::executor::Executor;
use ballista_executor::health::ExecutorHealth;
use ballista_executor::metrics::ExecutorMetricsCollector;
use datafusion::arrow::array::AsArray;
use datafusion::common::internal_err;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::prelude::SessionConfig;
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use lakewright_common::process::failpoint::{self, FailPoint};
use lakewright_proto::MAX_MESSAGE_BYTES;
use tokio::sync::{Notify, Semaphore};
use uuid::Uuid;

use crate::link::Link;
use crate::task::{self, WorkerContext};

/// Folder of Ballista's shuffle files, which are never written.
const NO_FOLDER: &str = "/nonexistent";

/// Polls for tasks and runs as many at once as `free` has permits. `work` wakes the loop. Does not
/// return unless the loop fails.
pub(crate) async fn poll(
    link: Link,
    worker: Arc<WorkerContext>,
    vcores: usize,
    free: Arc<Semaphore>,
    work: Arc<Notify>,
) {
    let registration = registration(worker.process, vcores);
    let runtime = Arc::new(RuntimeEnv::default());
    let executor = Executor::new(
        registration,
        NO_FOLDER,
        // Ballista's runtime runs nothing: each task builds its own session.
        Arc::new(move |_| Ok(Arc::clone(&runtime))),
        Arc::new(SessionConfig::new_with_ballista),
        Arc::new(BallistaFunctionRegistry::default()),
        Arc::new(NoMetrics),
        vcores,
        Arc::new(Engine { worker }),
    );
    let scheduler = SchedulerGrpcClient::new(link)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let codec: BallistaCodec<LogicalPlanNode, PhysicalPlanNode> = BallistaCodec::default();
    let ended = poll_loop(scheduler, Arc::new(executor), codec, Some(work), Some(free), ExecutorHealth::new()).await;
    if let Err(error) = ended {
        tracing::error!(%error, "the poll loop failed");
    }
}

/// Describes this worker to Ballista. No process connects to a worker, so the address is a
/// placeholder.
fn registration(process: Uuid, vcores: usize) -> ExecutorRegistration {
    let vcores = Resource::Vcores(u32::try_from(vcores).unwrap_or(u32::MAX));
    ExecutorRegistration {
        id: process.to_string(),
        host: Some("worker".to_owned()),
        port: 0,
        grpc_port: 0,
        specification: Some(ExecutorSpecification { resources: vec![ExecutorResource { resource: Some(vcores) }] }),
        // Ballista 55 panics without this field.
        os_info: Some(ExecutorOperatingSystemSpecification::default()),
        ballista_protocol_version: ballista_core::BALLISTA_PROTOCOL_VERSION,
    }
}

/// Receives the tasks of the poll loop.
struct Engine {
    worker: Arc<WorkerContext>,
}

impl ExecutionEngine for Engine {
    fn create_query_stage_exec(
        &self,
        _: JobId,
        _: usize,
        _: usize,
        _: Vec<usize>,
        plan: Arc<dyn ExecutionPlan>,
        _: &str,
        _: &SessionConfig,
    ) -> Result<Arc<dyn QueryStageExecutor>> {
        failpoint::reach(FailPoint::PollBeforeTask);
        Ok(Arc::new(Task { worker: Arc::clone(&self.worker), bytes: spec_bytes(&plan)? }))
    }
}

/// Returns the encoded `TaskSpec` of a Ballista task. It is in the only row of the in-memory table
/// below the root of the plan.
fn spec_bytes(plan: &Arc<dyn ExecutionPlan>) -> Result<Vec<u8>> {
    let children = plan.children();
    let row = children
        .first()
        .and_then(|child| child.downcast_ref::<DataSourceExec>())
        .and_then(|source| source.data_source().downcast_ref::<MemorySourceConfig>())
        .and_then(|memory| memory.partitions().iter().flatten().find(|batch| batch.num_rows() == 1));
    // Column 0 is the number of the task, column 1 its spec.
    match row.and_then(|row| row.column(1).as_binary_opt::<i32>()) {
        Some(specs) => Ok(specs.value(0).to_vec()),
        None => internal_err!("a task has no spec"),
    }
}

/// One task, as the bytes of its `TaskSpec`.
struct Task {
    worker: Arc<WorkerContext>,
    bytes: Vec<u8>,
}

#[async_trait]
impl QueryStageExecutor for Task {
    async fn execute_query_stage(&self, _: usize, _: Arc<TaskContext>) -> Result<Vec<ShuffleWritePartition>> {
        // The outcome is reported to the coordinator directly, so Ballista always sees success.
        task::run(&self.worker, &self.bytes).await;
        Ok(vec![])
    }

    fn collect_plan_metrics(&self) -> Vec<MetricsSet> {
        vec![]
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Task")
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a task")
    }
}

/// Discards Ballista's metrics.
struct NoMetrics;

impl ExecutorMetricsCollector for NoMetrics {
    fn record_stage(&self, _: &JobId, _: usize, _: usize, _: Arc<dyn QueryStageExecutor>) {}
}
