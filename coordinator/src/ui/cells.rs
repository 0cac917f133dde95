//! Rows of a query as JSON: `{"columns": [...], "rows": [[...], ...]}`.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, SchemaRef, UInt64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use lakewright_common::error::{Context, Error, Result};
use serde_json::{Value, json};

/// Largest integer that JavaScript represents exactly, with all smaller ones: 2^53 - 1.
const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// Returns the names and types of the columns.
pub(super) fn columns(schema: &SchemaRef) -> Value {
    let column =
        |field: &arrow::datatypes::FieldRef| json!({ "name": field.name(), "type": type_name(field.data_type()) });
    schema.fields().iter().map(column).collect()
}

/// Returns the name of a type in SQL, or that of Arrow for nested ones.
pub(super) fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int64 | DataType::UInt64 => "bigint".to_owned(),
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => {
            "int".to_owned()
        }
        DataType::Float16 | DataType::Float32 => "float".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => "string".to_owned(),
        DataType::Binary | DataType::BinaryView | DataType::LargeBinary => "binary".to_owned(),
        DataType::Date32 | DataType::Date64 => "date".to_owned(),
        DataType::Timestamp(_, _) => "timestamp".to_owned(),
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            format!("decimal({precision},{scale})")
        }
        other => other.to_string(),
    }
}

/// Returns the rows, each as a list. Numbers that JavaScript cannot represent exactly are texts, and
/// so are values of other types.
///
/// # Errors
/// A data error for a value that cannot be written, such as a timestamp out of range.
pub(super) fn rows(batches: &[RecordBatch]) -> Result<Vec<Value>> {
    let mut rows = Vec::new();
    for batch in batches {
        let columns = batch.columns().iter().map(values).collect::<Result<Vec<_>>>()?;
        let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
        rows.extend((0..batch.num_rows()).map(|_| columns.iter_mut().filter_map(Iterator::next).collect::<Value>()));
    }
    Ok(rows)
}

fn values(column: &ArrayRef) -> Result<Vec<Value>> {
    let unwritten = || Error::data("a value cannot be written, such as a timestamp that is out of range");
    match column.data_type() {
        DataType::Boolean => {
            Ok(column.as_boolean().iter().map(|value| value.map_or(Value::Null, Value::from)).collect())
        }
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => {
            let column = cast(column, &DataType::Int64).context(unwritten)?;
            Ok(column.as_primitive::<Int64Type>().iter().map(integer).collect())
        }
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => {
            let column = cast(column, &DataType::UInt64).context(unwritten)?;
            let number = |value: u64| if value <= MAX_SAFE_INTEGER { json!(value) } else { json!(value.to_string()) };
            Ok(column.as_primitive::<UInt64Type>().iter().map(|value| value.map_or(Value::Null, number)).collect())
        }
        DataType::Float32 | DataType::Float64 => {
            let column = cast(column, &DataType::Float64).context(unwritten)?;
            let number =
                |value: f64| serde_json::Number::from_f64(value).map_or(json!(value.to_string()), Value::Number);
            Ok(column.as_primitive::<Float64Type>().iter().map(|value| value.map_or(Value::Null, number)).collect())
        }
        _ => {
            let options = FormatOptions::default();
            let formatter = ArrayFormatter::try_new(column, &options).context(unwritten)?;
            let value = |row| match column.is_null(row) {
                true => Ok(Value::Null),
                false => formatter.value(row).try_to_string().map(Value::from).context(unwritten),
            };
            (0..column.len()).map(value).collect()
        }
    }
}

fn integer(value: Option<i64>) -> Value {
    match value {
        None => Value::Null,
        Some(value) if value.unsigned_abs() <= MAX_SAFE_INTEGER => json!(value),
        Some(value) => json!(value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{BooleanArray, Float64Array, Int64Array, StringArray};

    use super::*;

    #[test]
    fn values_keep_all_of_their_digits() {
        let batch = RecordBatch::try_from_iter([
            ("b", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])) as ArrayRef),
            ("i", Arc::new(Int64Array::from(vec![Some(1 << 53), Some((1 << 53) - 1), None]))),
            ("f", Arc::new(Float64Array::from(vec![Some(1.5), Some(f64::NAN), None]))),
            ("s", Arc::new(StringArray::from(vec![Some("<b>"), Some(""), None]))),
        ]);
        let batch = batch.unwrap();
        let expected = json!([
            [true, "9007199254740992", 1.5, "<b>"],
            [null, 9_007_199_254_740_991_u64, "NaN", ""],
            [false, null, null, null],
        ]);
        assert_eq!(Value::from(rows(std::slice::from_ref(&batch)).unwrap()), expected);
        let names = json!([
            {"name": "b", "type": "boolean"},
            {"name": "i", "type": "bigint"},
            {"name": "f", "type": "double"},
            {"name": "s", "type": "string"},
        ]);
        assert_eq!(columns(&batch.schema()), names);
    }
}
