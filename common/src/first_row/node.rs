//! The node that drops rows which cannot be the first of their group.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::plan_err;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::{StreamExt, TryStreamExt, stream};

use super::candidates::Candidates;
use super::keys::{Keys, can_group};

/// Drops rows that cannot be the first of their group, because another row of the same partition
/// and group has a better order key. Keeps the order of the other rows.
#[derive(Debug, Clone)]
pub struct FirstRowExec {
    input: Arc<dyn ExecutionPlan>,
    keys: Keys,
    properties: Arc<PlanProperties>,
}

impl FirstRowExec {
    /// Creates the node.
    ///
    /// # Errors
    /// A plan error, if a key is not a column of the input or has a type that [`can_group`]
    /// excludes.
    pub fn try_new(input: Arc<dyn ExecutionPlan>, keys: Keys) -> Result<Self> {
        let schema = input.schema();
        let is_column = |i: &usize| *i < schema.fields().len();
        if keys.partition.is_empty() || !keys.partition.iter().chain([&keys.order]).all(is_column) {
            return plan_err!("a key of the first rows is not a column");
        }
        if !can_group(&keys, &schema) {
            return plan_err!("a key of the first rows has a type without groups or order");
        }
        let properties = Arc::clone(input.properties());
        Ok(Self { input, keys, properties })
    }

    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.keys
    }
}

impl DisplayAs for FirstRowExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schema = self.input.schema();
        let names: Vec<&str> = self.keys.partition.iter().map(|i| schema.field(*i).name().as_str()).collect();
        let order = schema.field(self.keys.order).name();
        write!(f, "FirstRowExec: partition=[{}], order=[{order} {}]", names.join(", "), self.keys.options)
    }
}

impl ExecutionPlan for FirstRowExec {
    fn name(&self) -> &'static str {
        "FirstRowExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
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
        Ok(Arc::new(Self::try_new(children.swap_remove(0), self.keys.clone())?))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        // The method is deprecated, but DataFusion 55 still requires it of every node.
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let schema = self.input.schema();
        let consumer = MemoryConsumer::new(format!("FirstRow[{partition}]"));
        let state = State {
            input: self.input.execute(partition, Arc::clone(&context))?,
            candidates: Some(Candidates::new(self.keys.clone(), Arc::clone(&schema))?),
            reservation: consumer.register(context.memory_pool()),
        };
        let batch_rows = context.session_config().batch_size();
        let batches = stream::try_unfold(state, |mut state| async move {
            state.next().await.map(|next| next.map(|batch| (batch, state)))
        });
        // Split the kept rows, which can be one batch with more rows than the session allows.
        let pieces = batches.map_ok(move |batch| stream::iter(pieces(&batch, batch_rows)).map(Ok)).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, pieces)))
    }
}

struct State {
    input: SendableRecordBatchStream,
    /// Rows that are held back. `None` once the node passes on all further rows without looking at
    /// them.
    candidates: Option<Candidates>,
    reservation: MemoryReservation,
}

impl State {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            let batch = self.input.next().await.transpose()?;
            let Some(candidates) = &mut self.candidates else { return Ok(batch) };
            let Some(batch) = batch else {
                let rest = candidates.take()?;
                self.candidates = None;
                self.reservation.free();
                return Ok(rest);
            };
            candidates.add(batch)?;
            let is_useless = candidates.is_useless()?;
            // If memory is short, pass on the rows so far, and compare later rows only with each
            // other.
            if is_useless || self.reservation.try_resize(candidates.size()).is_err() {
                let rows = candidates.take()?;
                if is_useless {
                    self.candidates = None;
                }
                self.reservation.free();
                if rows.is_some() {
                    return Ok(rows);
                }
            }
        }
    }
}

fn pieces(batch: &RecordBatch, rows: usize) -> Vec<RecordBatch> {
    let starts = (0..batch.num_rows()).step_by(rows.max(1));
    starts.map(|start| batch.slice(start, rows.min(batch.num_rows() - start))).collect()
}
