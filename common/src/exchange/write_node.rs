//! Root node of a task plan. Writes the rows of the task to a spool object for another stage, and
//! returns one report.
//!
//! The input can be a hash repartition, which is never executed. Instead, this node reads the input
//! of the repartition, and itself assigns the rows to partitions by the repartition's keys. The
//! repartition is in the plan only because DataFusion can encode it, so that the key expressions
//! reach workers. With any other input, all rows go to one partition.

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::metrics;
use datafusion::physical_plan::repartition::{BatchPartitioner, RepartitionExec};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::StreamExt;
use object_store::path::Path;
use uuid::Uuid;

use super::writer::SpoolWriter;
use crate::error::{Context, Error};
use crate::process::failpoint::{self, FailPoint};
use crate::read::scan_rows::report_rows;
use crate::report::{TaskReport, report_batch, report_schema};
use crate::session::memory::TaskScope;
use crate::session::spool_store_url;
use crate::write::ingest_node::report_properties;

/// Writes the rows of its input to a spool object, and returns one [`TaskReport`].
#[derive(Debug, Clone)]
pub struct ExchangeWriteExec {
    input: Arc<dyn ExecutionPlan>,
    /// Prefix of the key of each object that the node writes.
    prefix: String,
    properties: Arc<PlanProperties>,
}

impl ExchangeWriteExec {
    /// Creates the node. The keys of the objects that it writes start with `prefix`.
    #[must_use]
    pub fn new(input: Arc<dyn ExecutionPlan>, prefix: String) -> Self {
        let properties = Arc::new(report_properties(rows_of(&input)));
        Self { input, prefix, properties }
    }

    /// Returns the input. A hash repartition in this place is never executed. It only provides the
    /// keys that this node uses to assign rows to partitions.
    #[must_use]
    pub fn input(&self) -> &Arc<dyn ExecutionPlan> {
        &self.input
    }

    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Returns the number of partitions of the next stage.
    #[must_use]
    pub fn partitions(&self) -> usize {
        keys_of(&self.input).map_or(1, |(_, partitions)| partitions)
    }
}

/// Returns the node that produces the rows. If `input` is a hash repartition, this is the input of
/// the repartition; otherwise it is `input` itself.
fn rows_of(input: &Arc<dyn ExecutionPlan>) -> &Arc<dyn ExecutionPlan> {
    match input.downcast_ref::<RepartitionExec>() {
        // The hash repartition itself does not run (see the module documentation).
        Some(repartition) if keys_of(input).is_some() => repartition.input(),
        _ => input,
    }
}

fn keys_of(input: &Arc<dyn ExecutionPlan>) -> Option<(&[Arc<dyn PhysicalExpr>], usize)> {
    match input.downcast_ref::<RepartitionExec>()?.partitioning() {
        Partitioning::Hash(keys, partitions) => Some((keys, *partitions)),
        _ => None,
    }
}

impl DisplayAs for ExchangeWriteExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExchangeWriteExec: partitions={}", self.partitions())
    }
}

impl ExecutionPlan for ExchangeWriteExec {
    fn name(&self) -> &'static str {
        "ExchangeWriteExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        // A repartition below would only move rows that this node partitions anyway.
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        // Recompute the properties, because the new child may be partitioned differently.
        Ok(Arc::new(Self::new(children.swap_remove(0), self.prefix.clone())))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        // The method is deprecated, but DataFusion 55 still requires it of every node.
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let rows = rows_of(&self.input);
        let mut stream = rows.execute(partition, Arc::clone(&context))?;
        let mut partitioner = match keys_of(&self.input) {
            Some((keys, partitions)) => {
                // The time that this timer measures is not used.
                let timer = metrics::Time::default();
                Some(BatchPartitioner::new_hash_partitioner(keys.to_vec(), partitions, timer)?)
            }
            None => None,
        };
        // A new name per attempt, so that attempts of one task never overwrite each other's object.
        let key = Path::parse(format!("{}-{}.arrows", self.prefix, Uuid::now_v7()))
            .context(|| Error::internal("a spool object has an invalid key"))?;
        let mut writer = SpoolWriter::new(
            context.runtime_env().object_store(spool_store_url())?,
            key,
            rows.schema(),
            self.partitions(),
            TaskScope::of(context.session_config()).exchange_buffer_bytes,
        );
        let reservation = MemoryConsumer::new("ExchangeWriter").register(context.memory_pool());
        // Rows are only read when the stream is polled. The stream yields exactly one batch.
        let report = async move {
            while let Some(batch) = stream.next().await {
                let batch = batch?;
                match &mut partitioner {
                    Some(partitioner) => partitioner.partition(batch, |partition, rows| {
                        writer.add(partition, rows);
                        Ok(())
                    })?,
                    None => writer.add(0, batch),
                }
                writer.flush_if_full().await?;
                // Do not use `try_resize`, because `flush_if_full` already bounds this memory.
                reservation.resize(writer.memory_bytes());
            }
            failpoint::reach(FailPoint::ExchangeBeforeFinish);
            let object = writer.finish().await?;
            report_batch(report_rows([TaskReport::Spooled(object)])).map_err(Error::into_engine)
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(report_schema(), futures::stream::once(report))))
    }
}
