//! Column statistics in the form of the Delta log: null count, minimum and maximum of each
//! top-level column.
//!
//! Minimum and maximum come from the Parquet footer, which the writer computes anyway. We omit
//! bounds that could mislead readers: bounds of columns with NaN, which readers order differently,
//! and of nested columns. The Parquet writer truncates long strings and rounds a truncated maximum
//! up, so both bounds remain valid.

use std::cmp::Ordering;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, SchemaRef, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::scalar::ScalarValue;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::file::metadata::ParquetMetaData;
use serde_json::Value;

use crate::error::{Context, Error, Result};
use crate::report::ColumnStatistics;

/// Format of timestamps in statistics, by the Delta protocol.
const TIMESTAMP_FORMAT: &str = "%Y-%m-%dT%H:%M:%S%.6fZ";

/// Records which columns of a file contain NaN, while the file is written. The Parquet footer does
/// not contain this information.
#[derive(Debug)]
pub struct StatisticsCollector {
    schema: SchemaRef,
    has_nan: Vec<bool>,
}

impl StatisticsCollector {
    #[must_use]
    pub fn new(schema: SchemaRef) -> Self {
        let has_nan = vec![false; schema.fields().len()];
        Self { schema, has_nan }
    }

    /// Adds a batch; must be called for every batch of the file.
    pub fn add(&mut self, batch: &RecordBatch) {
        for (has_nan, column) in self.has_nan.iter_mut().zip(batch.columns()) {
            if let Some(doubles) = column.as_primitive_opt::<Float64Type>() {
                *has_nan = *has_nan || doubles.iter().flatten().any(f64::is_nan);
            }
        }
    }

    /// Returns the statistics of the finished file.
    ///
    /// # Errors
    /// An internal error, if the footer does not fit the schema.
    pub fn finish(&self, metadata: &ParquetMetaData) -> Result<Vec<ColumnStatistics>> {
        let failed = || Error::internal("cannot read the statistics of a file just written");
        let parquet_schema = metadata.file_metadata().schema_descr();
        let mut statistics = Vec::new();
        for (field, &has_nan) in self.schema.fields().iter().zip(&self.has_nan) {
            // The footer has statistics for leaves only, and Delta has no bounds for nested
            // columns.
            if field.data_type().is_nested() {
                continue;
            }
            let converter = StatisticsConverter::try_new(field.name(), &self.schema, parquet_schema).context(failed)?;
            let groups = metadata.row_groups();
            let nulls = converter.row_group_null_counts(groups.iter()).context(failed)?;
            // Readers order NaN differently, so no bounds are correct for all readers.
            let (min, max) = if has_nan {
                (None, None)
            } else {
                let mins = converter.row_group_mins(groups.iter()).context(failed)?;
                let maxes = converter.row_group_maxes(groups.iter()).context(failed)?;
                (bound(&mins, &nulls, groups, Ordering::Less)?, bound(&maxes, &nulls, groups, Ordering::Greater)?)
            };
            statistics.push(ColumnStatistics {
                column: field.name().clone(),
                null_count: nulls.iter().flatten().sum(),
                min,
                max,
            });
        }
        Ok(statistics)
    }
}

/// Returns the minimum or maximum of the bounds of all row groups. `wanted` is `Less` for the
/// minimum and `Greater` for the maximum. Returns `None` if a row group with values has no bound.
fn bound(
    bounds: &ArrayRef,
    nulls: &arrow::array::UInt64Array,
    groups: &[parquet::file::metadata::RowGroupMetaData],
    wanted: Ordering,
) -> Result<Option<Value>> {
    let unknown = groups.iter().enumerate().any(|(i, group)| {
        // A row group that contains only nulls has no bound and needs no bound.
        let values = u64::try_from(group.num_rows()).unwrap_or_default().saturating_sub(nulls.value(i));
        bounds.is_null(i) && values > 0
    });
    if unknown {
        return Ok(None);
    }
    let mut outermost: Option<ScalarValue> = None;
    for row in (0..bounds.len()).filter(|&row| bounds.is_valid(row)) {
        let value = ScalarValue::try_from_array(bounds, row)
            .context(|| Error::internal("cannot read the statistics of a file just written"))?;
        if outermost.as_ref().is_none_or(|best| value.partial_cmp(best) == Some(wanted)) {
            outermost = Some(value);
        }
    }
    Ok(outermost.as_ref().and_then(delta_value))
}

/// Converts a minimum or maximum to the JSON form of the Delta protocol ("Per-file Statistics").
/// Returns `None` if the value has no such form.
fn delta_value(value: &ScalarValue) -> Option<Value> {
    let array = value.to_array().ok()?;
    match value.data_type() {
        DataType::Boolean => None,
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let micros = array.as_primitive::<arrow::datatypes::TimestampMicrosecondType>().value(0);
            let moment = chrono::DateTime::from_timestamp_micros(micros)?;
            Some(Value::String(moment.format(TIMESTAMP_FORMAT).to_string()))
        }
        DataType::Utf8 | DataType::Date32 => Some(Value::String(text(&array)?)),
        DataType::Decimal128(..) | DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => {
            // Parse the number from text, so that a decimal keeps all of its digits.
            serde_json::from_str(&text(&array)?).ok()
        }
        DataType::Float32 | DataType::Float64 => {
            let double = arrow::compute::cast(&array, &DataType::Float64).ok()?;
            let double = double.as_primitive::<Float64Type>().value(0);
            // `from_f64` is `None` for infinity, which JSON cannot represent.
            serde_json::Number::from_f64(double).map(Value::Number)
        }
        _ => None,
    }
}

fn text(array: &ArrayRef) -> Option<String> {
    let formatter = ArrayFormatter::try_new(array, &FormatOptions::default()).ok()?;
    Some(formatter.value(0).to_string())
}
