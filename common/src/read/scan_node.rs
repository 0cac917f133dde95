//! ④ The plan node that reads the splits of one source.
//!
//! It is a leaf with one list of splits per partition. Partitions share no queue and no state, so a
//! partition that runs alone, twice or out of order reads exactly its own records.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{
    Boundedness, ChildrenPropertiesMode, EmissionType, ReplaceChildrenOptions,
};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput};
use datafusion::physical_plan::stream::{RecordBatchReceiverStream, RecordBatchStreamAdapter};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::TryStreamExt;

use crate::config::resolved::{Limits, Source};
use crate::read::reader::{ReadContext, read_splits};
use crate::read::scan_rows::scan_schema;
use crate::read::schema::arrow_schema;
use crate::read::split::Split;
use crate::session::Storages;
use crate::session::progress::ReadProgress;

/// Maximum number of batches in the channel between the reader and the node above it.
const BATCHES_AHEAD: usize = 2;

/// Reads objects of a source. The rows have the schema [`scan_schema`].
#[derive(Debug, Clone)]
pub struct JsonScanExec {
    source: Arc<Source>,
    partitions: Vec<Arc<[Split]>>,
    limits: Arc<Limits>,
    /// Number of records after which each partition stops, if this is a sample.
    max_records: Option<u64>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl JsonScanExec {
    /// Returns a scan with one partition for each list of splits.
    #[must_use]
    pub fn new(source: Arc<Source>, partitions: Vec<Vec<Split>>, limits: Arc<Limits>) -> Self {
        let schema = scan_schema(arrow_schema(&source.fields).fields());
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(partitions.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        let partitions = partitions.into_iter().map(Into::into).collect();
        let metrics = ExecutionPlanMetricsSet::new();
        Self { source, partitions, limits, max_records: None, schema, properties, metrics }
    }

    /// Returns a scan that reads only a sample: each partition stops after `max_records` records.
    #[must_use]
    pub fn sampling(self, max_records: u64) -> Self {
        Self { max_records: Some(max_records), ..self }
    }

    /// Returns the source that is read.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Returns the configured limits.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Returns the number of records after which each partition stops, if this is a sample.
    #[must_use]
    pub fn max_records(&self) -> Option<u64> {
        self.max_records
    }

    /// Returns this scan with only the splits of one partition.
    #[must_use]
    pub fn only(&self, partition: usize) -> Self {
        let splits = self.partitions.get(partition).map(|splits| splits.to_vec()).unwrap_or_default();
        let only = Self::new(Arc::clone(&self.source), vec![splits], Arc::clone(&self.limits));
        Self { max_records: self.max_records, ..only }
    }

    /// Returns the splits of each partition.
    #[must_use]
    pub fn partitions(&self) -> &[Arc<[Split]>] {
        &self.partitions
    }
}

impl DisplayAs for JsonScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let splits: usize = self.partitions.iter().map(|splits| splits.len()).sum();
        write!(f, "JsonScanExec: source={}, partitions={}, splits={splits}", self.source.name, self.partitions.len())
    }
}

impl ExecutionPlan for JsonScanExec {
    fn name(&self) -> &'static str {
        "JsonScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        // The method is deprecated, but DataFusion 55 still requires it of every node.
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let splits = self.partitions.get(partition).cloned().ok_or_else(|| {
            DataFusionError::Internal(format!("scan of `{}` has no partition {partition}", self.source.name))
        })?;
        let storages = context.session_config().get_extension::<Storages>();
        let storage = storages.as_ref().and_then(|storages| storages.source(&self.source.name)).cloned();
        let storage = storage.ok_or_else(|| {
            DataFusionError::Internal(format!("no storage of source `{}` was opened", self.source.name))
        })?;
        let read = ReadContext {
            source: Arc::clone(&self.source),
            storage,
            limits: Arc::clone(&self.limits),
            max_records: self.max_records,
            schema: Arc::clone(&self.schema),
            progress: context.session_config().get_extension::<ReadProgress>().unwrap_or_default(),
        };
        // The channel is bounded, so a slow writer slows down the reads.
        let mut stream = RecordBatchReceiverStream::builder(Arc::clone(&self.schema), BATCHES_AHEAD);
        let batches = stream.tx();
        stream.spawn(
            async move { read_splits(&read, &splits, &batches).await.map_err(crate::error::Error::into_engine) },
        );
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let rows = stream.build().inspect_ok(move |batch| {
            batch.record_output(&metrics);
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows)))
    }
}

#[cfg(test)]
mod tests;
