//! The node that writes a table. Each partition of its input writes its own files.
//!
//! DataFusion's own sink requires a single input partition, which would send the whole table
//! through one task. This node writes each partition in its own task and returns one report per
//! file. Rows go to one open file per partition value. If there are more values than
//! `max_open_files`, the rows of the remaining values are first sorted by value. They then need
//! only one more open file, and no value gets more files than its size requires.

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use uuid::Uuid;

use crate::error::Error;
use crate::process::failpoint::{self, FailPoint};
use crate::read::scan_rows::report_rows;
use crate::report::{TaskReport, report_batch, report_schema};
use crate::session::memory::TaskScope;
use crate::session::{lake_name, lake_store_url};
use crate::write::file::FileSettings;
use crate::write::ingest_node::report_properties;
use crate::write::properties::FilePurpose;
use crate::write::table_writer::{TableLayout, write_table};

/// Writes the rows of its input into a table and returns [`TaskReport`]s.
#[derive(Debug, Clone)]
pub struct TableWriteExec {
    input: Arc<dyn ExecutionPlan>,
    layout: Arc<TableLayout>,
    run: Uuid,
    properties: Arc<PlanProperties>,
}

impl TableWriteExec {
    /// Creates the node. The input must have the columns of `layout.schema`, in the same order.
    #[must_use]
    pub fn new(input: Arc<dyn ExecutionPlan>, layout: Arc<TableLayout>, run: Uuid) -> Self {
        let properties = Arc::new(report_properties(&input));
        Self { input, layout, run, properties }
    }

    /// Returns the folder, the schema and the partition columns of the files.
    #[must_use]
    pub fn layout(&self) -> &TableLayout {
        &self.layout
    }

    #[must_use]
    pub fn run(&self) -> Uuid {
        self.run
    }
}

impl DisplayAs for TableWriteExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "TableWriteExec: folder={}, partition_by=[{}]",
            self.layout.folder,
            self.layout.partition_by.join(", ")
        )
    }
}

impl ExecutionPlan for TableWriteExec {
    fn name(&self) -> &'static str {
        "TableWriteExec"
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
        Ok(Arc::new(Self::new(children.swap_remove(0), Arc::clone(&self.layout), self.run)))
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
            task: TaskScope::of(context.session_config()).first_task + partition,
            target_file_bytes: self.layout.target_file_bytes,
            purpose: FilePurpose::Table,
        };
        let layout = Arc::clone(&self.layout);
        let reports = async move {
            let files = write_table(input, &layout, settings, &context).await?;
            failpoint::reach(FailPoint::TableBeforeReport);
            report_batch(report_rows(files.into_iter().map(TaskReport::Table))).map_err(Error::into_engine)
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(report_schema(), futures::stream::once(reports))))
    }
}
