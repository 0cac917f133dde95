//! ④ Rows of a scan: typed records, rejected records and reports, in one stream.
//!
//! A plan node has only one output stream. The whole result of a task goes through this stream, so
//! that a second attempt of the task repeats the whole result. The stream has one column per kind
//! of row. Every batch contains rows of one kind and has nulls in the columns of the other two
//! kinds.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, RecordBatch, StructArray, new_null_array};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use lakewright_proto::v1;
use prost::Message;

use crate::error::{Context, Error, Result};
use crate::read::field_counts::FieldCounts;
use crate::read::quarantine;
use crate::read::tally::ObjectTally;

/// Report of a scan about the objects that it read.
#[derive(Debug, Clone, PartialEq)]
pub enum ReadReport {
    /// Counts of one split that was read.
    Object(ObjectTally),
    /// Counts of values by field. There is one such report per partition.
    Fields(FieldCounts),
}

/// The rows of one batch of a scan, which are all of the same kind.
#[derive(Debug, Clone)]
pub enum ScanRows {
    Records(StructArray),
    Rejected(StructArray),
    /// One [`ReadReport`] per row, as an encoded message.
    Reports(BinaryArray),
}

/// Returns the schema of a scan with the staging columns `columns`.
#[must_use]
pub fn scan_schema(columns: &Fields) -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("record", DataType::Struct(columns.clone()), true),
        Field::new("rejected", DataType::Struct(quarantine::fields()), true),
        Field::new("report", DataType::Binary, true),
    ]))
}

/// Encodes reports as a column of messages.
pub fn report_rows(reports: impl IntoIterator<Item = impl Into<v1::TaskReport>>) -> BinaryArray {
    let messages: Vec<Vec<u8>> = reports.into_iter().map(|report| report.into().encode_to_vec()).collect();
    BinaryArray::from_iter_values(messages)
}

/// Decodes the reports of a scan.
///
/// # Errors
/// An internal error, if a row is not a report of a scan.
pub fn read_report_rows(rows: &BinaryArray) -> Result<Vec<ReadReport>> {
    let read = |message| v1::TaskReport::decode(message).context(|| Error::internal("cannot read a scan's report"));
    rows.iter().flatten().map(|message| read(message)?.try_into()).collect()
}

impl ScanRows {
    /// Returns the batch that contains these rows.
    ///
    /// # Errors
    /// The columns differ from those of `schema`.
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

    /// Returns the rows of a batch of a scan; `None` if the batch is empty.
    ///
    /// # Errors
    /// The batch is not from a scan.
    pub fn from_batch(batch: &RecordBatch) -> Result<Option<Self>> {
        let full = |i: usize| batch.column(i).null_count() < batch.num_rows();
        if batch.num_rows() == 0 {
            return Ok(None);
        }
        if full(2) {
            return Ok(Some(Self::Reports(batch.column(2).as_binary::<i32>().clone())));
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
