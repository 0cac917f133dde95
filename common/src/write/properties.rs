//! Chooses how a Parquet file encodes its columns.

use std::collections::HashSet;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::write::digested::key_value_metadata;

/// Maximum number of rows of a row group, which readers read as a unit.
const ROW_GROUP_ROWS: usize = 1024 * 1024;
/// Maximum number of encoded bytes of a row group. A writer buffers a whole row group before it
/// uploads it.
pub const ROW_GROUP_BYTES: usize = 16 * 1024 * 1024;

/// Number of values that are examined at the start of a column, to decide whether the column gets a
/// dictionary.
const PROBED_VALUES: usize = 4096;
/// Minimum number of non-null probed values. A column with fewer always gets a dictionary.
const MIN_PROBED_VALUES: usize = 1024;

/// Purpose of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilePurpose {
    /// A data file of a table, for any reader of Parquet.
    Table,
    /// A file that only this program reads: a staging or quarantine file.
    Internal,
}

/// Returns the writer properties of a file that starts with the rows of `first`.
///
/// A column gets a dictionary unless nearly all of its first values differ. In that case a
/// dictionary would only cost time, because the writer would drop it in the end. Integers of
/// internal files are delta-encoded, which is smaller and faster than a dictionary. Files of tables
/// do not use that encoding, because some older readers do not support it. Internal files have no
/// least and greatest texts, because comparing each text takes longer than such statistics save.
pub fn properties(purpose: FilePurpose, first: &RecordBatch) -> WriterProperties {
    let statistics = match purpose {
        // With page statistics, readers can skip pages of a table. Internal files omit them to save
        // space.
        FilePurpose::Table => EnabledStatistics::Page,
        FilePurpose::Internal => EnabledStatistics::Chunk,
    };
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        .set_statistics_enabled(statistics)
        .set_created_by(concat!("lakewright ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(key_value_metadata()));
    for (field, column) in first.schema_ref().fields().iter().zip(first.columns()) {
        let path = ColumnPath::new(vec![field.name().clone()]);
        if purpose == FilePurpose::Internal && is_integer(column.data_type()) {
            properties = properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
            continue;
        }
        if is_nearly_unique(column) {
            properties = properties.set_column_dictionary_enabled(path.clone(), false);
        }
        if purpose == FilePurpose::Internal && is_text(column.data_type()) {
            properties = properties.set_column_statistics_enabled(path, EnabledStatistics::None);
        }
    }
    properties.build()
}

/// Whether Parquet stores a type as INT32 or INT64, with the same values as the Arrow array.
fn is_integer(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Int32 | DataType::Int64 | DataType::Date32 | DataType::Timestamp(_, _) | DataType::Time64(_)
    )
}

/// Whether Parquet stores a type as BYTE_ARRAY.
fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::Binary)
}

/// Whether more than nine tenths of the first values are distinct.
fn is_nearly_unique(column: &ArrayRef) -> bool {
    let probed = column.slice(0, column.len().min(PROBED_VALUES));
    let values = probed.len() - probed.null_count();
    // For a nested column, the dictionary would have to be set for the path of each leaf, not for
    // the name of the field.
    if values < MIN_PROBED_VALUES || column.data_type().is_nested() {
        return false;
    }
    let rows = RowConverter::new(vec![SortField::new(column.data_type().clone())])
        .and_then(|converter| converter.convert_columns(&[probed]));
    // All nulls count as one distinct value. A type that cannot be converted to rows keeps its
    // dictionary; no table has such a type.
    rows.is_ok_and(|rows| rows.iter().collect::<HashSet<_>>().len() * 10 > values * 9)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, Int64Array, ListArray, StringArray, TimestampMicrosecondArray};
    use arrow::datatypes::Int64Type;
    use bytes::Bytes;
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    const ROWS: i64 = 5_000;

    fn batch() -> RecordBatch {
        let unique = || 0..ROWS;
        let columns: [(&str, ArrayRef); 7] = [
            ("unique.id", Arc::new(StringArray::from_iter_values(unique().map(|n| format!("id-{n}"))))),
            (
                "level",
                Arc::new(StringArray::from_iter_values(unique().map(|n| if n % 2 == 0 { "free" } else { "paid" }))),
            ),
            ("half", Arc::new((0..ROWS).map(|n| (n % 2 == 0).then(|| format!("{}", n % 3))).collect::<StringArray>())),
            ("number", Arc::new(Int64Array::from_iter_values(unique().map(|n| n % 7 - 3)))),
            (
                "ts",
                Arc::new(
                    TimestampMicrosecondArray::from_iter_values(unique().map(|n| n * 1_000_003)).with_timezone("UTC"),
                ),
            ),
            ("length", Arc::new(Float64Array::from_iter_values(unique().map(|n| n as f64 / 3.0)))),
            (
                "list",
                Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>((0..ROWS).map(|n| Some(vec![Some(n)])))),
            ),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    /// Writes a batch and reads it back. Returns the rows, and for each column whether it has a
    /// dictionary and whether it is delta-encoded.
    fn written(purpose: FilePurpose) -> (RecordBatch, Vec<(bool, bool)>) {
        let batch = batch();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties(purpose, &batch))).unwrap();
        writer.write(&batch).unwrap();
        let metadata = writer.close().unwrap();
        let encodings = metadata.row_group(0).columns().iter().map(|column| {
            let is_delta = column.encodings().any(|encoding| encoding == Encoding::DELTA_BINARY_PACKED);
            (column.dictionary_page_offset().is_some(), is_delta)
        });
        let encodings = encodings.collect();
        let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes)).unwrap();
        let mut reader = reader.with_batch_size(10_000).build().unwrap();
        (reader.next().unwrap().unwrap(), encodings)
    }

    #[test]
    fn nearly_unique_columns_have_no_dictionary_and_internal_integers_are_delta_encoded() {
        let (dictionary, plain, delta) = ((true, false), (false, false), (false, true));
        let (rows, encodings) = written(FilePurpose::Table);
        assert_eq!(rows.columns(), batch().columns());
        assert_eq!(encodings, [plain, dictionary, dictionary, dictionary, plain, plain, dictionary]);
        let (rows, encodings) = written(FilePurpose::Internal);
        assert_eq!(rows.columns(), batch().columns());
        assert_eq!(encodings, [plain, dictionary, dictionary, delta, delta, plain, dictionary]);
    }
}
