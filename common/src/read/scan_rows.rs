//! What a scan emits: typed records, rejected records and reports, in one stream.
//!
//! A plan node has one output, and a task's whole outcome must come through it, so that a second attempt of the task
//! brings all of it again. Every batch holds one of the three kinds in its column and nulls in the other two.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, StructArray, new_null_array};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};
use crate::read::quarantine;
use crate::read::tally::ObjectTally;

/// What a scan says about what it read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ReadReport {
    /// One split is done.
    Object(ObjectTally),
    /// Fields that no declaration names, with the accepted records that hold them; once per partition.
    UnknownFields(BTreeMap<String, u64>),
}

/// One batch of a scan.
#[derive(Debug, Clone)]
pub enum ScanRows {
    Records(StructArray),
    Rejected(StructArray),
    /// A [`ReadReport`] a row, as JSON.
    Reports(StringArray),
}

/// The schema of a scan whose staging columns are `columns`.
#[must_use]
pub fn scan_schema(columns: &Fields) -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("record", DataType::Struct(columns.clone()), true),
        Field::new("rejected", DataType::Struct(quarantine::fields()), true),
        Field::new("report", DataType::Utf8, true),
    ]))
}

/// Reports as a column.
///
/// # Errors
/// None in practice: a report is always writable as JSON.
pub fn report_rows<T: Serialize>(reports: &[T]) -> Result<StringArray> {
    reports
        .iter()
        .map(|report| serde_json::to_string(report).map(Some))
        .collect::<std::result::Result<StringArray, _>>()
        .context(|| Error::internal("cannot write a report"))
}

impl ScanRows {
    /// The batch that carries these rows.
    ///
    /// # Errors
    /// Columns that are not those of `schema`.
    pub fn into_batch(self, schema: &SchemaRef) -> Result<RecordBatch> {
        let (index, array): (usize, ArrayRef) = match self {
            Self::Records(rows) => (0, Arc::new(rows)),
            Self::Rejected(rows) => (1, Arc::new(rows)),
            Self::Reports(rows) => (2, Arc::new(rows)),
        };
        let rows = array.len();
        let columns = schema
            .fields()
            .iter()
            .enumerate()
            .map(|(i, field)| if i == index { Arc::clone(&array) } else { new_null_array(field.data_type(), rows) })
            .collect();
        RecordBatch::try_new(Arc::clone(schema), columns)
            .context(|| Error::internal("a scan's rows do not fit its schema"))
    }

    /// The rows that a batch of a scan carries; `None` for an empty batch.
    ///
    /// # Errors
    /// A batch that no scan made.
    pub fn from_batch(batch: &RecordBatch) -> Result<Option<Self>> {
        let full = |i: usize| batch.column(i).null_count() < batch.num_rows();
        if batch.num_rows() == 0 {
            return Ok(None);
        }
        if full(2) {
            return Ok(Some(Self::Reports(batch.column(2).as_string::<i32>().clone())));
        }
        if full(1) {
            return Ok(Some(Self::Rejected(batch.column(1).as_struct().clone())));
        }
        if full(0) {
            return Ok(Some(Self::Records(batch.column(0).as_struct().clone())));
        }
        Err(Error::internal("a batch is not of a scan"))
    }
}
