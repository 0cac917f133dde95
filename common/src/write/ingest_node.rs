//! The node that writes the records of a scan: accepted ones to staging, rejected ones to the
//! quarantine.
//!
//! Its input is a `JsonScanExec`. Each partition writes its own files, and returns the reports of
//! the scan (one per split that was read), and then one report per file.

use std::fmt;
use std::sync::Arc;

use arrow::array::{BinaryBuilder, RecordBatch};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{
    Boundedness, ChildrenPropertiesMode, EmissionType, ReplaceChildrenOptions,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::StreamExt;
use lakewright_proto::v1;
use prost::Message;
use uuid::Uuid;

use crate::error::{Context, EngineContext, Error, Result};
use crate::read::quarantine;
use crate::read::scan_rows::ScanRows;
use crate::report::{TaskReport, report_batch, report_schema};
use crate::session::memory::TaskScope;
use crate::session::{lake_name, lake_store_url};
use crate::write::file::{FileSettings, FileWriter};
use crate::write::properties::FilePurpose;

/// Folders to which an ingest writes files, as key prefixes relative to the lake's root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngestFolders {
    pub staging: String,
    pub quarantine: String,
}

/// Writes the rows of its input, which is a scan, and returns [`TaskReport`]s.
#[derive(Debug, Clone)]
pub struct IngestExec {
    input: Arc<dyn ExecutionPlan>,
    staging_schema: SchemaRef,
    folders: IngestFolders,
    run: Uuid,
    target_file_bytes: u64,
    properties: Arc<PlanProperties>,
}

impl IngestExec {
    /// Creates the node. `staging_schema` is the schema of the staging files: the fields of the
    /// scan's `record` column, with column ids.
    #[must_use]
    pub fn new(
        input: Arc<dyn ExecutionPlan>,
        staging_schema: SchemaRef,
        folders: IngestFolders,
        run: Uuid,
        target_file_bytes: u64,
    ) -> Self {
        let properties = Arc::new(report_properties(&input));
        Self { input, staging_schema, folders, run, target_file_bytes, properties }
    }

    /// Returns the schema of the staging files.
    #[must_use]
    pub fn staging_schema(&self) -> &SchemaRef {
        &self.staging_schema
    }

    #[must_use]
    pub fn folders(&self) -> &IngestFolders {
        &self.folders
    }

    #[must_use]
    pub fn run(&self) -> Uuid {
        self.run
    }

    #[must_use]
    pub fn target_file_bytes(&self) -> u64 {
        self.target_file_bytes
    }
}

/// Returns the plan properties of a node that returns reports and has as many partitions as
/// `input`.
pub(crate) fn report_properties(input: &Arc<dyn ExecutionPlan>) -> PlanProperties {
    PlanProperties::new(
        EquivalenceProperties::new(report_schema()),
        Partitioning::UnknownPartitioning(input.properties().partitioning.partition_count()),
        EmissionType::Final,
        Boundedness::Bounded,
    )
}

impl DisplayAs for IngestExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IngestExec: staging={}, quarantine={}", self.folders.staging, self.folders.quarantine)
    }
}

impl ExecutionPlan for IngestExec {
    fn name(&self) -> &'static str {
        "IngestExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> datafusion::error::Result<TreeNodeRecursion>,
    ) -> datafusion::error::Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> datafusion::error::Result<Arc<dyn ExecutionPlan>> {
        let input = children.swap_remove(0);
        let Self { staging_schema, folders, run, target_file_bytes, .. } = Arc::unwrap_or_clone(self);
        Ok(Arc::new(Self::new(input, staging_schema, folders, run, target_file_bytes)))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> datafusion::error::Result<Arc<dyn ExecutionPlan>> {
        // The method is deprecated, but DataFusion 55 still requires it of every node.
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> datafusion::error::Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, Arc::clone(&context))?;
        let settings = FileSettings {
            store: context.runtime_env().object_store(lake_store_url())?,
            root: lake_name(context.session_config()),
            run: self.run,
            // On a cluster, a task runs partition 0 of its own plan, so add the task's number in
            // the stage.
            task: TaskScope::of(context.session_config()).first_task + partition,
            target_file_bytes: self.target_file_bytes,
            purpose: FilePurpose::Internal,
        };
        let quarantine_schema = Arc::new(Schema::new(quarantine::fields()));
        let staging = FileWriter::new(settings.clone(), self.folders.staging.clone(), Arc::clone(&self.staging_schema));
        let quarantine = FileWriter::new(settings, self.folders.quarantine.clone(), quarantine_schema);
        // Failures keep their kind across DataFusion: `into_engine` wraps the error, and
        // `from_engine` unwraps it.
        let reports = async move { ingest(input, staging, quarantine).await.map_err(Error::into_engine) };
        Ok(Box::pin(RecordBatchStreamAdapter::new(report_schema(), futures::stream::once(reports))))
    }
}

async fn ingest(
    mut input: SendableRecordBatchStream,
    mut staging: FileWriter,
    mut quarantine: FileWriter,
) -> Result<RecordBatch> {
    let mut reports = BinaryBuilder::new();
    while let Some(batch) = input.next().await {
        let batch = batch.engine_context(|e| Error::internal("the scan failed").caused_by(e))?;
        // A batch contains rows of one kind: records, rejected records, or reports.
        match ScanRows::from_batch(&batch)? {
            Some(ScanRows::Records(rows)) => staging.write(&with_schema(rows, &staging)?).await?,
            Some(ScanRows::Rejected(rows)) => quarantine.write(&with_schema(rows, &quarantine)?).await?,
            // Each row is already an encoded report.
            Some(ScanRows::Reports(rows)) => rows.iter().flatten().for_each(|report| reports.append_value(report)),
            None => {}
        }
    }
    // Files are reported only once they are complete on storage.
    let staged = staging.finish().await?.into_iter().map(TaskReport::Staged);
    let quarantined = quarantine.finish().await?.into_iter().map(TaskReport::Quarantined);
    for report in staged.chain(quarantined) {
        reports.append_value(v1::TaskReport::from(report).encode_to_vec());
    }
    report_batch(reports.finish())
}

/// Converts the rows to the schema of the file, which is the scan's schema with column ids.
fn with_schema(rows: arrow::array::StructArray, writer: &FileWriter) -> Result<RecordBatch> {
    // Only the schema changes; the arrays are shared.
    RecordBatch::try_new(Arc::clone(writer.schema()), rows.into_parts().1)
        .context(|| Error::internal("a scan's rows do not fit the staging schema"))
}
