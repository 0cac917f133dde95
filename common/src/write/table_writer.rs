//! Writes one partition of a plan into the folders of a table, with a bounded number of open files.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::SortOptions;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::mpsc;

use crate::error::{Context, EngineContext, Error, Result};
use crate::report::WrittenFile;
use crate::session::memory::TaskScope;
use crate::session::plan_failure::stage_error;
use crate::write::file::{FileSettings, FileWriter};
use crate::write::hive;
use crate::write::partition::{PartitionKey, PartitionRows, Partitioner};

/// Maximum number of files to close at once.
const CLOSED_AT_ONCE: usize = 16;
/// Capacity, in batches, of the channel to the Tokio task that sorts the rows for which no file is
/// open.
const OVERFLOW_AHEAD: usize = 2;

/// Folder, schema and sizes of a table's files.
#[derive(Debug, Clone)]
pub struct TableLayout {
    /// Key prefix relative to the lake's root, without a trailing slash.
    pub folder: String,
    /// Schema of the table, with partition columns and column ids.
    pub schema: SchemaRef,
    pub partition_by: Vec<String>,
    pub target_file_bytes: u64,
    pub max_open_files: usize,
}

/// Writes all rows of `input` and returns the files in no particular order.
///
/// # Errors
/// The error of the input, or a storage error.
pub async fn write_table(
    mut input: SendableRecordBatchStream,
    layout: &TableLayout,
    settings: FileSettings,
    context: &Arc<TaskContext>,
) -> Result<Vec<WrittenFile>> {
    let by = partition_indices(layout)?;
    let partitioner = Partitioner::new(&layout.schema, by.clone())?;
    let reservation = MemoryConsumer::new("TableWriter").register(context.memory_pool());
    let buffer_bytes = TaskScope::of(context.session_config()).table_buffer_bytes;
    let mut folders = OpenFolders::new(layout, &by, settings.clone(), buffer_bytes, reservation);
    let mut overflow: Option<Overflow> = None;
    while let Some(batch) = input.next().await {
        // Every batch gets the declared schema, so that all files of a table have the same schema.
        let batch = with_schema(&batch.engine_context(stage_error)?, &layout.schema)?;
        if by.is_empty() {
            folders.write(PartitionRows::whole(batch)).await?;
            continue;
        }
        let mut overflowing = Vec::new();
        for part in partitioner.cut(&batch)? {
            if folders.has_room_for(&part.key) {
                folders.write(part).await?;
            } else {
                // The rows of these values are selected from the whole batch below, because that
                // keeps the order of the rows.
                overflowing.extend(part.key);
            }
        }
        if !overflowing.is_empty() {
            // Start the overflow only if needed, because most tables have few partition values.
            let overflow = overflow.get_or_insert_with(|| Overflow::start(layout, &by, settings.clone(), context));
            overflow.send(partitioner.only(&batch, &overflowing)?).await;
        }
    }
    // Close the open files before the overflow is finished, because the sort of the overflow needs
    // their memory.
    let mut files = folders.finish().await?;
    if let Some(overflow) = overflow {
        files.extend(overflow.finish().await?);
    }
    Ok(files)
}

/// Converts the batch to the schema of the table, which is the schema of the query with column ids.
fn with_schema(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    RecordBatch::try_new(Arc::clone(schema), batch.columns().to_vec())
        .context(|| Error::internal("a model's rows do not fit its table"))
}

fn partition_indices(layout: &TableLayout) -> Result<Vec<usize>> {
    let index = |name: &String| {
        layout.schema.index_of(name).map_err(|_| Error::internal(format!("table has no partition column `{name}`")))
    };
    layout.partition_by.iter().map(index).collect()
}

/// Open folders of a table: one per combination of partition values, with one open file each.
struct OpenFolders<'a> {
    layout: &'a TableLayout,
    file_schema: SchemaRef,
    settings: FileSettings,
    /// Maximum number of bytes of unfinished files in memory. Above this limit, row groups of the
    /// largest files are written.
    buffer_bytes: usize,
    reservation: MemoryReservation,
    /// Open folders by partition value. There are rarely more than a few dozen.
    open: HashMap<Option<PartitionKey>, Folder>,
}

struct Folder {
    values: Vec<Option<String>>,
    writer: FileWriter,
}

impl<'a> OpenFolders<'a> {
    fn new(
        layout: &'a TableLayout,
        by: &[usize],
        settings: FileSettings,
        buffer_bytes: usize,
        reservation: MemoryReservation,
    ) -> Self {
        let kept: Vec<_> = layout
            .schema
            .fields()
            .iter()
            .enumerate()
            .filter(|(i, _)| !by.contains(i))
            .map(|(_, f)| f.clone())
            .collect();
        Self {
            layout,
            file_schema: Arc::new(Schema::new(kept)),
            settings,
            buffer_bytes,
            reservation,
            open: HashMap::new(),
        }
    }

    fn has_room_for(&self, key: &Option<PartitionKey>) -> bool {
        // Rows of a value whose folder is open are never sent to the overflow, so that only one
        // writer writes the folder.
        self.open.len() < self.layout.max_open_files || self.open.contains_key(key)
    }

    async fn write(&mut self, part: PartitionRows) -> Result<()> {
        let folder = match self.open.entry(part.key) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(place) => {
                let key = folder_key(self.layout, &part.values)?;
                let writer = FileWriter::new(self.settings.clone(), key, Arc::clone(&self.file_schema));
                place.insert(Folder { writer, values: part.values })
            }
        };
        let rows = RecordBatch::try_new(Arc::clone(&self.file_schema), part.rows.columns().to_vec())
            .context(|| Error::internal("a model's rows do not fit its files"))?;
        folder.writer.write(&rows).await?;
        self.stay_within_memory().await
    }

    /// Writes row groups, starting with the largest file, until the unfinished files use at most
    /// `buffer_bytes`.
    async fn stay_within_memory(&mut self) -> Result<()> {
        let mut held: usize = self.open.values().map(|folder| folder.writer.memory_bytes()).sum();
        while held > self.buffer_bytes {
            let Some(largest) = self.open.values_mut().max_by_key(|folder| folder.writer.memory_bytes()) else { break };
            // `held` is an estimate, so stop if flushing frees no memory.
            let before = largest.writer.memory_bytes();
            largest.writer.flush().await?;
            let freed = before.saturating_sub(largest.writer.memory_bytes());
            if freed == 0 {
                break;
            }
            held = held.saturating_sub(freed);
        }
        // Do not use `try_resize`, because the pool must account for this memory in any case.
        // Operators that can spill then free memory.
        self.reservation.resize(held);
        Ok(())
    }

    async fn finish(mut self) -> Result<Vec<WrittenFile>> {
        let columns = &self.layout.partition_by;
        let closings = self.open.drain().map(|(_, folder)| async move {
            let values: BTreeMap<_, _> = columns.iter().cloned().zip(folder.values).collect();
            let files = folder.writer.finish().await?.into_iter();
            // All files of a folder share its partition values.
            Ok(files.map(|file| WrittenFile { partition_values: values.clone(), ..file }).collect::<Vec<_>>())
        });
        // Close files concurrently, because closing a file mostly waits for storage.
        let closed: Vec<Vec<_>> = stream::iter(closings).buffer_unordered(CLOSED_AT_ONCE).try_collect().await?;
        Ok(closed.into_iter().flatten().collect())
    }
}

/// Returns the key prefix of a partition, such as `songplays/year=2018/month=11`.
fn folder_key(layout: &TableLayout, values: &[Option<String>]) -> Result<String> {
    let mut key = layout.folder.clone();
    for (column, value) in layout.partition_by.iter().zip(values) {
        key.push('/');
        key.push_str(&hive::folder(column, value.as_deref())?);
    }
    Ok(key)
}

/// Receives the rows of partition values for which no further file may be opened. A separate Tokio
/// task sorts the rows by value, spilling if needed, and writes the folders one after another.
struct Overflow {
    rows: mpsc::Sender<RecordBatch>,
    writing: tokio::task::JoinHandle<Result<Vec<WrittenFile>>>,
}

impl Overflow {
    fn start(layout: &TableLayout, by: &[usize], settings: FileSettings, context: &Arc<TaskContext>) -> Self {
        let (rows, received) = mpsc::channel(OVERFLOW_AHEAD);
        let (layout, by, context) = (layout.clone(), by.to_vec(), Arc::clone(context));
        // Spawn a task, because the sort reads rows while the current task still splits batches.
        let writing = tokio::spawn(async move { write_sorted(received, &layout, &by, settings, &context).await });
        Self { rows, writing }
    }

    async fn send(&self, rows: RecordBatch) {
        // A closed channel means that the task failed; `finish` returns its error.
        let _ = self.rows.send(rows).await;
    }

    async fn finish(self) -> Result<Vec<WrittenFile>> {
        // Closing the channel ends the input of the sort.
        drop(self.rows);
        self.writing.await.context(|| Error::internal("the task that sorts a table's rows panicked"))?
    }
}

async fn write_sorted(
    rows: mpsc::Receiver<RecordBatch>,
    layout: &TableLayout,
    by: &[usize],
    settings: FileSettings,
    context: &Arc<TaskContext>,
) -> Result<Vec<WrittenFile>> {
    let received = Received { schema: Arc::clone(&layout.schema), rows: std::sync::Mutex::new(Some(rows)) };
    let input =
        // The input has one partition, because each task sorts only its own overflow.
        StreamingTableExec::try_new(Arc::clone(&layout.schema), vec![Arc::new(received)], None, None, false, None)
            .engine_context(stage_error)?;
    let columns = by.iter().map(|&i| {
        PhysicalSortExpr::new(Arc::new(Column::new(layout.schema.field(i).name(), i)), SortOptions::default())
    });
    let ordering =
        LexOrdering::new(columns).ok_or_else(|| Error::internal("a table without partition columns overflowed"))?;
    let mut sorted =
        SortExec::new(ordering, Arc::new(input)).execute(0, Arc::clone(context)).engine_context(stage_error)?;
    let partitioner = Partitioner::new(&layout.schema, by.to_vec())?;
    let buffer_bytes = TaskScope::of(context.session_config()).table_buffer_bytes;
    let mut files = Vec::new();
    let mut current: Option<(PartitionKey, OpenFolders<'_>)> = None;
    while let Some(batch) = sorted.next().await {
        for part in partitioner.cut(&batch.engine_context(stage_error)?)? {
            let key = part.key.clone();
            // Rows are sorted by value, so a new value means that the previous one is complete.
            if let Some((_, done)) = current.take_if(|(open, _)| Some(&*open) != key.as_ref()) {
                files.extend(done.finish().await?);
            }
            let (_, folders) = match &mut current {
                Some(current) => current,
                none => {
                    let Some(key) = key else { continue };
                    // Only one folder is open at a time, so the buffer of one file suffices.
                    let reservation = MemoryConsumer::new("TableWriter").register(context.memory_pool());
                    let folders = OpenFolders::new(layout, by, settings.clone(), buffer_bytes, reservation);
                    none.insert((key, folders))
                }
            };
            folders.write(part).await?;
        }
    }
    if let Some((_, done)) = current {
        files.extend(done.finish().await?);
    }
    Ok(files)
}

/// Plan input that receives its batches from a channel. It can be executed only once.
#[derive(Debug)]
struct Received {
    schema: SchemaRef,
    rows: std::sync::Mutex<Option<mpsc::Receiver<RecordBatch>>>,
}

impl PartitionStream for Received {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = self.rows.lock().ok().and_then(|mut rows| rows.take());
        let stream = futures::stream::unfold(rows, |rows| async move {
            let mut rows = rows?;
            let batch = rows.recv().await?;
            Some((Ok(batch), Some(rows)))
        });
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), stream))
    }
}
