//! Splits a batch into one batch per distinct combination of partition values.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::row::{OwnedRow, RowConverter, SortField};

use crate::error::{Context, Error, Result};
use crate::write::hive;

/// A combination of partition values as an opaque, comparable key.
pub type PartitionKey = OwnedRow;

/// Splits batches by the columns with the indices `by`. The resulting batches do not contain these
/// columns.
#[derive(Debug)]
pub struct Partitioner {
    by: Vec<usize>,
    kept: Vec<usize>,
    converter: RowConverter,
}

/// The rows of a batch that have the same partition values.
#[derive(Debug)]
pub struct PartitionRows {
    /// Partition values as a key; `None` for a table without partition columns.
    pub key: Option<PartitionKey>,
    /// Values of the partition columns as text, in the order of the columns; `None` for null.
    pub values: Vec<Option<String>>,
    /// The rows, without the partition columns.
    pub rows: RecordBatch,
}

impl PartitionRows {
    /// Wraps a whole batch of a table without partition columns.
    #[must_use]
    pub fn whole(rows: RecordBatch) -> Self {
        Self { key: None, values: vec![], rows }
    }
}

impl Partitioner {
    /// Creates a partitioner for the columns with the indices `by`.
    ///
    /// # Errors
    /// An internal error, if the columns cannot be compared.
    pub fn new(schema: &arrow::datatypes::Schema, by: Vec<usize>) -> Result<Self> {
        let fields = by.iter().map(|&i| SortField::new(schema.field(i).data_type().clone())).collect();
        // Encoding each row as comparable bytes is cheaper than comparing columns value by value.
        let converter =
            RowConverter::new(fields).context(|| Error::internal("cannot compare the partition columns"))?;
        let kept = (0..schema.fields().len()).filter(|i| !by.contains(i)).collect();
        Ok(Self { by, kept, converter })
    }

    /// Splits the batch into one part per combination of partition values. The parts are ordered by
    /// their first rows, and the rows of a part keep their order.
    ///
    /// # Errors
    /// An internal error, if the engine fails.
    pub fn cut(&self, batch: &RecordBatch) -> Result<Vec<PartitionRows>> {
        let failed = || Error::internal("cannot split a batch by partition");
        if batch.num_rows() == 0 {
            return Ok(vec![]);
        }
        let columns: Vec<ArrayRef> = self.by.iter().map(|&i| Arc::clone(batch.column(i))).collect();
        let keys = self.converter.convert_columns(&columns).context(failed)?;
        let rows = batch.project(&self.kept).context(failed)?;
        // `num_rows` is at least 1 here.
        let first = keys.row(0);
        // Fast path: most batches of most tables belong to one partition.
        if keys.iter().all(|key| key == first) {
            return Ok(vec![PartitionRows { key: Some(first.owned()), values: values_at(&columns, 0)?, rows }]);
        }
        let mut indices: Vec<Vec<u32>> = Vec::new();
        let mut group_of = HashMap::new();
        for (row, key) in (0_u32..).zip(keys.iter()) {
            let group = *group_of.entry(key).or_insert_with(|| {
                indices.push(Vec::new());
                indices.len() - 1
            });
            indices[group].push(row);
        }
        indices
            .into_iter()
            .map(|rows_of_group| {
                // All rows of a group have the same values, so use the first.
                let at = rows_of_group[0] as usize;
                let key = Some(keys.row(at).owned());
                let values = values_at(&columns, at)?;
                let rows = take_record_batch(&rows, &UInt32Array::from(rows_of_group)).context(failed)?;
                Ok(PartitionRows { key, values, rows })
            })
            .collect()
    }
}

impl Partitioner {
    /// Returns the rows of `batch` that belong to one of the partitions `keys`. Keeps the partition
    /// columns.
    ///
    /// # Errors
    /// An internal error, if the engine fails.
    pub fn only(&self, batch: &RecordBatch, keys: &[PartitionKey]) -> Result<RecordBatch> {
        let failed = || Error::internal("cannot split a batch by partition");
        let columns: Vec<ArrayRef> = self.by.iter().map(|&i| Arc::clone(batch.column(i))).collect();
        let wanted: std::collections::HashSet<_> = keys.iter().map(OwnedRow::row).collect();
        let rows = self.converter.convert_columns(&columns).context(failed)?;
        let keep: arrow::array::BooleanArray = rows.iter().map(|row| Some(wanted.contains(&row))).collect();
        arrow::compute::filter_record_batch(batch, &keep).context(failed)
    }
}

fn values_at(columns: &[ArrayRef], row: usize) -> Result<Vec<Option<String>>> {
    columns.iter().map(|column| hive::value_text(column, row)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int32Array, StringArray};
    use arrow::datatypes::{DataType, Field, Schema};

    #[test]
    fn a_batch_is_split_by_value_and_loses_the_partition_column() {
        let schema = Arc::new(Schema::new(vec![
            Field::new("year", DataType::Int32, true),
            Field::new("title", DataType::Utf8, true),
        ]));
        let batch = RecordBatch::try_new(
            Arc::clone(&schema),
            vec![
                Arc::new(Int32Array::from(vec![Some(1), None, Some(1)])),
                Arc::new(StringArray::from(vec!["a", "b", "c"])),
            ],
        )
        .unwrap();
        let parts = Partitioner::new(&schema, vec![0]).unwrap().cut(&batch).unwrap();
        let seen: Vec<_> = parts.iter().map(|p| (p.values.clone(), p.rows.num_rows(), p.rows.num_columns())).collect();
        assert_eq!(seen, [(vec![Some("1".to_owned())], 2, 1), (vec![None], 1, 1)]);
    }
}
