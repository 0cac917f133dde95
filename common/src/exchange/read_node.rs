//! Plan node that reads rows of another stage. It is a leaf of a task plan.

use std::fmt;
use std::io::Cursor;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::StreamReader;
use bytes::Bytes;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{LexOrdering, PhysicalExpr};
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::execution_plan::{
    Boundedness, ChildrenPropertiesMode, EmissionType, ReplaceChildrenOptions,
};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::error::{Context, Error};
use crate::report::spool_object::Chunk;
use crate::session::spool_store_url;

/// Maximum number of chunks to fetch at once, ahead of decoding.
const CHUNKS_AHEAD: usize = 2;

/// Reads chunks of spool objects. Each partition is a list of chunks.
#[derive(Debug, Clone)]
pub struct ExchangeReadExec {
    /// Plan without rows. It has the same schema as the rows to read, and the same hash keys or
    /// sort order.
    shape: Arc<dyn ExecutionPlan>,
    partitions: Vec<Arc<[Chunk]>>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl ExchangeReadExec {
    /// Creates a node for rows of `schema` that are hash-partitioned by `keys`. `partitions`
    /// contains the list of chunks of each partition.
    ///
    /// # Errors
    /// The keys do not fit the schema.
    pub fn hashed(schema: SchemaRef, keys: Vec<Arc<dyn PhysicalExpr>>, partitions: Vec<Vec<Chunk>>) -> Result<Self> {
        let partitioning = Partitioning::Hash(keys, partitions.len().max(1));
        let shape = RepartitionExec::try_new(Arc::new(EmptyExec::new(schema)), partitioning)?;
        Ok(Self::from_shape(Arc::new(shape), partitions))
    }

    /// Creates a node for rows without known partitioning. Each partition is sorted by `order`, if
    /// that is given.
    #[must_use]
    pub fn plain(schema: SchemaRef, order: Option<LexOrdering>, partitions: Vec<Vec<Chunk>>) -> Self {
        // A sort without rows carries the order, because DataFusion can encode a sort but not an
        // ordering alone.
        let rows: Arc<dyn ExecutionPlan> = Arc::new(EmptyExec::new(schema));
        let shape = match order {
            Some(order) => Arc::new(SortExec::new(order, rows)),
            None => rows,
        };
        Self::from_shape(shape, partitions)
    }

    /// Creates a node. `shape` is a plan without rows, as returned by [`Self::shape`].
    #[must_use]
    pub fn from_shape(shape: Arc<dyn ExecutionPlan>, partitions: Vec<Vec<Chunk>>) -> Self {
        let partitioning = match &shape.properties().partitioning {
            // Use the number of chunk lists, because the plan of one task has only one of the
            // stage's partitions.
            Partitioning::Hash(keys, _) => Partitioning::Hash(keys.clone(), partitions.len()),
            _ => Partitioning::UnknownPartitioning(partitions.len()),
        };
        let properties = Arc::new(PlanProperties::new(
            shape.properties().eq_properties.clone(),
            partitioning,
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        Self {
            shape,
            partitions: partitions.into_iter().map(Into::into).collect(),
            properties,
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }

    #[must_use]
    pub fn shape(&self) -> &Arc<dyn ExecutionPlan> {
        &self.shape
    }

    /// Returns the chunks of each partition.
    #[must_use]
    pub fn partitions(&self) -> &[Arc<[Chunk]>] {
        &self.partitions
    }

    /// Returns a node that reads only the rows of the given partition.
    #[must_use]
    pub fn only(&self, partition: usize) -> Self {
        // A partition that does not exist has no rows.
        let chunks = self.partitions.get(partition).map(|chunks| chunks.to_vec()).unwrap_or_default();
        Self::from_shape(Arc::clone(&self.shape), vec![chunks])
    }
}

impl DisplayAs for ExchangeReadExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chunks: usize = self.partitions.iter().map(|chunks| chunks.len()).sum();
        write!(f, "ExchangeReadExec: partitions={}, chunks={chunks}", self.partitions.len())
    }
}

impl ExecutionPlan for ExchangeReadExec {
    fn name(&self) -> &'static str {
        "ExchangeReadExec"
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
        // A leaf has no children to replace.
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
        let chunks = self
            .partitions
            .get(partition)
            .cloned()
            .ok_or_else(|| DataFusionError::Internal(format!("an exchange has no partition {partition}")))?;
        let store = context.runtime_env().object_store(spool_store_url())?;
        let count = chunks.len();
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let batches = stream::iter((0..count).map(move |i| fetch(Arc::clone(&store), chunks[i].clone())))
            // `buffered` keeps the order of the chunks, which a sorted partition relies on.
            .buffered(CHUNKS_AHEAD)
            .and_then(async |bytes| Ok(stream::iter(decode(bytes)?)))
            .try_flatten()
            .inspect_ok(move |batch: &RecordBatch| {
                batch.record_output(&metrics);
            });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches.boxed())))
    }
}

async fn fetch(store: Arc<dyn ObjectStore>, chunk: Chunk) -> Result<Bytes> {
    let key = Path::parse(&chunk.key).context(|| Error::internal("a chunk has an invalid key"))?;
    // A chunk is one range, so it is one request.
    Ok(store.get_range(&key, chunk.range).await.storage_context("read", || &key)?)
}

fn decode(bytes: Bytes) -> Result<impl Iterator<Item = Result<RecordBatch>>> {
    let reader = StreamReader::try_new(Cursor::new(bytes), None)?;
    Ok(reader.map(|batch| batch.map_err(DataFusionError::from)))
}
