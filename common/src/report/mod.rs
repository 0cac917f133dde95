//! Reports of the write nodes. For each complete file, a report contains everything that manifests
//! and Delta logs contain about the file.
//!
//! The write nodes (⑦) return reports as rows of their plans, and the reports go into the manifest
//! unchanged. A file is reported only after it is complete on storage. A file without a report is
//! in no manifest, and `vacuum` removes it once it is old enough.

/// A spool object, and the byte ranges of each partition in it.
pub mod spool_object;
/// Converts reports to messages and back.
pub mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray, BinaryArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::{Context, Error, Result};
use crate::read::scan_rows::ReadReport;
use crate::report::spool_object::SpoolObject;

/// One complete Parquet file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WrittenFile {
    /// Exact key of the object, relative to the root of the lake. Names of folders in it are
    /// percent-encoded.
    pub path: String,
    /// Value of each partition column, in the Delta log's form but not percent-encoded; `None` is
    /// null.
    pub partition_values: BTreeMap<String, Option<String>>,
    pub rows: u64,
    /// Size of the object on storage.
    pub bytes: u64,
    /// Digest of the object on storage; `None` if an older version of this program wrote the
    /// object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Statistics by column. Partition columns and columns without statistics are left out.
    pub statistics: Vec<ColumnStatistics>,
}

/// Statistics of one top-level column in one file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnStatistics {
    pub column: String,
    pub null_count: u64,
    /// Minimum in Delta's JSON form: a number, a string, `YYYY-MM-DD`, or ISO 8601 with
    /// microseconds and `Z`. A long string is truncated. `None` if the column contains only nulls,
    /// or if readers would disagree on the order of its values.
    pub min: Option<serde_json::Value>,
    /// Maximum in the form of `min`; a truncated string is rounded up.
    pub max: Option<serde_json::Value>,
}

/// One report of a task, which is one row of the output of its plan.
#[derive(Debug, Clone, PartialEq)]
pub enum TaskReport {
    Read(ReadReport),
    /// A file of a staging table.
    Staged(WrittenFile),
    /// A file of rejected records.
    Quarantined(WrittenFile),
    /// A file of a table.
    Table(WrittenFile),
    /// An object with rows for the next stage.
    Spooled(SpoolObject),
}

/// Returns the schema of a plan that returns [`TaskReport`]s as rows: one column of encoded
/// messages.
#[must_use]
pub fn report_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("report", DataType::Binary, true)]))
}

/// Returns a batch with the schema [`report_schema`] from a column of encoded reports.
///
/// # Errors
/// Never fails in practice, because the column has the type of the schema.
pub fn report_batch(reports: BinaryArray) -> Result<RecordBatch> {
    RecordBatch::try_new(report_schema(), vec![Arc::new(reports)]).context(|| Error::internal("cannot write a report"))
}

/// Returns the reports in the output rows of a plan. The reports remain encoded messages.
///
/// # Errors
/// An internal error, if the batches do not have the schema [`report_schema`].
pub fn report_messages(batches: &[RecordBatch]) -> Result<Vec<&[u8]>> {
    let mut messages = Vec::new();
    for batch in batches {
        let column = batch.column(0).as_binary_opt::<i32>().ok_or_else(|| Error::internal("a task sent no reports"))?;
        // The column is nullable by its schema; a null is no report.
        messages.extend(column.iter().flatten());
    }
    Ok(messages)
}
