//! Corrects line numbers of records that were read from the middle of an object.
//!
//! The scan of a split that starts inside an object does not know how many lines precede the split.
//! The reports of the object's other splits contain their line counts. If a split that starts
//! inside an object has a rejected record, the quarantine files are written again, with line
//! numbers that count from the start of the object.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{Int64Type, Schema};
use futures::StreamExt;
use lakewright_common::error::{Context, EngineContext, Error, Result};
use lakewright_common::read::quarantine;
use lakewright_common::read::tally::ObjectTally;
use lakewright_common::report::WrittenFile;
use lakewright_common::write::file::{FileSettings, FileWriter, discard};
use lakewright_common::write::properties::FilePurpose;

use super::context::RunContext;
use crate::engine::parquet_table::ParquetTable;

/// Number of lines before each split. The key is the key of the object and the byte offset at which
/// the split starts.
type LinesBefore = HashMap<(String, u64), u64>;

/// Returns quarantine files with line numbers that count from the start of each object. If a split
/// that starts inside an object has rejected records, writes new files in place of `files`.
/// Otherwise returns `files` unchanged.
///
/// # Errors
/// A storage error.
pub(super) async fn number_lines(
    context: &RunContext<'_>,
    files: &[WrittenFile],
    tallies: &[ObjectTally],
) -> Result<Vec<WrittenFile>> {
    let is_cut = tallies.iter().any(|tally| tally.split_start > 0 && tally.quarantined > 0);
    if files.is_empty() || !is_cut {
        return Ok(files.to_vec());
    }
    let before = lines_before(tallies);
    let schema = Arc::new(Schema::new(quarantine::fields()));
    let table = ParquetTable::new(Arc::clone(&schema), &[], files.to_vec());
    let unread = |e| Error::storage("read", "quarantine files just written", e);
    let frame = context.session.read_table(Arc::new(table)).engine_context(unread)?;
    let mut rows = frame.execute_stream().await.engine_context(unread)?;
    // All quarantine files of a source are in one folder.
    let folder = files[0].path.rsplit_once('/').map(|(folder, _)| folder.to_owned()).unwrap_or_default();
    let settings = FileSettings {
        store: Arc::clone(&context.opened.lake.store),
        root: context.opened.lake.location().name().into_owned(),
        run: context.run,
        // All tasks have ended, so their numbers can be reused. The file names differ by a random
        // part.
        task: 0,
        target_file_bytes: context.config.limits.target_file_bytes,
        purpose: FilePurpose::Internal,
    };
    let mut writer = FileWriter::new(settings, folder, Arc::clone(&schema));
    while let Some(batch) = rows.next().await {
        writer.write(&renumbered(&batch.engine_context(unread)?, &before, &schema)?).await?;
    }
    let numbered = writer.finish().await?;
    // Delete the old files only after the new ones are complete.
    discard(context.opened.lake.store.as_ref(), files).await;
    Ok(numbered)
}

fn lines_before(tallies: &[ObjectTally]) -> LinesBefore {
    let mut by_object: BTreeMap<&str, BTreeMap<u64, u64>> = BTreeMap::new();
    for tally in tallies {
        by_object.entry(&tally.object.key).or_default().insert(tally.split_start, tally.lines);
    }
    let mut before = HashMap::new();
    // The splits of an object are sorted by their start, so `lines` is the sum over all splits
    // before the current one.
    for (key, splits) in by_object {
        let mut lines = 0;
        for (start, in_split) in splits {
            before.insert((key.to_owned(), start), lines);
            lines += in_split;
        }
    }
    before
}

fn renumbered(batch: &RecordBatch, before: &LinesBefore, schema: &Arc<Schema>) -> Result<RecordBatch> {
    let wrong = || Error::internal("quarantine rows do not fit their schema");
    let column = |name: &str| schema.index_of(name).map(|i| (i, batch.column(i))).context(wrong);
    let (_, objects) = column("object")?;
    let (_, starts) = column("split_start")?;
    let (line_index, lines) = column("line")?;
    let (objects, starts) = (objects.as_string::<i32>(), starts.as_primitive::<Int64Type>());
    let lines = lines.as_primitive::<Int64Type>();
    let numbered: Int64Array = (0..batch.num_rows())
        .map(|row| {
            let key = (objects.value(row).to_owned(), u64::try_from(starts.value(row)).unwrap_or_default());
            let earlier = before.get(&key).copied().unwrap_or_default();
            // Line numbers within a split start at 1.
            Some(lines.value(row) + i64::try_from(earlier).unwrap_or_default())
        })
        .collect();
    let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
    columns[line_index] = Arc::new(numbered);
    RecordBatch::try_new(Arc::clone(schema), columns).context(wrong)
}
