//! What the write node says about each file it finished: all that a manifest and a Delta log need to name it.
//!
//! Comes out of the write node (⑦) as rows of its plan, and goes into the manifest as it is. A file is reported
//! once it is complete on storage; a file without a report belongs to nobody and is removed by age.

/// An object of an exchange, and its ranges by partition.
pub mod spool_object;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::{Context, Error, Result};
use crate::read::scan_rows::{ReadReport, report_rows};
use crate::report::spool_object::SpoolObject;

/// One complete Parquet file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WrittenFile {
    /// The object's exact key, relative to the root of the lake; directories are already percent-encoded.
    pub path: String,
    /// The raw value per partition column, as the Delta log writes it; `None` is null.
    pub partition_values: BTreeMap<String, Option<String>>,
    pub rows: u64,
    /// Of the object on storage.
    pub bytes: u64,
    /// Of the object on storage; `None` if an older version wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Per column that has any; never of a partition column.
    pub statistics: Vec<ColumnStatistics>,
}

/// What is known of one top-level column's values in one file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnStatistics {
    pub column: String,
    pub null_count: u64,
    /// In Delta's JSON form: a number, a string, `YYYY-MM-DD`, or ISO 8601 with microseconds and `Z`. A long string
    /// is cut short. `None`: no value, or none that every reader orders alike.
    pub min: Option<serde_json::Value>,
    /// As `min`, but a long string is rounded up.
    pub max: Option<serde_json::Value>,
}

/// What a task answers with: one row of its plan's output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum TaskReport {
    Read(ReadReport),
    /// A file of a staging table.
    Staged(WrittenFile),
    /// A file of rejected records.
    Quarantined(WrittenFile),
    /// A file of a table.
    Table(WrittenFile),
    /// Rows for the next stage.
    Spooled(SpoolObject),
}

/// The schema of a plan whose rows are [`TaskReport`]s: one column of JSON.
#[must_use]
pub fn report_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("report", DataType::Utf8, true)]))
}

/// Reports as a batch of [`report_schema`].
///
/// # Errors
/// None in practice: a report is always writable as JSON.
pub fn report_batch(reports: &[TaskReport]) -> Result<RecordBatch> {
    RecordBatch::try_new(report_schema(), vec![Arc::new(report_rows(reports)?)])
        .context(|| Error::internal("cannot write a report"))
}

/// Returns the reports in the rows of a plan.
///
/// # Errors
/// Batches that are not of [`report_schema`].
pub fn read_reports(batches: &[RecordBatch]) -> Result<Vec<TaskReport>> {
    let texts = report_texts(batches)?.into_iter();
    texts.map(|text| serde_json::from_str(text).context(|| Error::internal("cannot read a report"))).collect()
}

/// Returns the reports in the rows of a plan as JSON, without decoding them.
///
/// # Errors
/// Batches that are not of [`report_schema`].
pub fn report_texts(batches: &[RecordBatch]) -> Result<Vec<&str>> {
    let mut texts = Vec::new();
    for batch in batches {
        let column = batch.column(0).as_string_opt::<i32>().ok_or_else(|| Error::internal("a task sent no reports"))?;
        texts.extend(column.iter().flatten());
    }
    Ok(texts)
}
