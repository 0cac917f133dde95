//! Checks that a table can store the timestamps that its model returns.
//!
//! Arrow counts timestamps in 64 bits, which reach far beyond the year 9999, the last year that
//! Delta, Spark and most readers support. Printing such a timestamp fails. So before a table is
//! written, the timestamps of its model pass through a function that fails for a value outside of
//! the years 1 to 9999. The error names the column.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, GenericListArray, OffsetSizeTrait};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, Field, FieldRef, Int64Type, TimeUnit};
use datafusion::common::{internal_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::local_time::per_second;
use crate::error::Error;

const NAME: &str = "storable_moment";
/// Days from 1970-01-01 to the first day of the year 1.
const FIRST_DAY: i64 = -719_162;
/// Days from 1970-01-01 to the last day of the year 9999.
const LAST_DAY: i64 = 2_932_896;
const SECONDS_OF_DAY: i64 = 86_400;

/// Returns the function that checks a column. Its arguments are the values and the name of the
/// column.
#[must_use]
pub fn function() -> ScalarUDF {
    ScalarUDF::new_from_impl(StorableMoment { signature: Signature::any(2, Volatility::Immutable) })
}

/// Whether values of a type are or contain timestamps or dates.
#[must_use]
pub fn holds_moments(data_type: &DataType) -> bool {
    match data_type {
        DataType::Timestamp(_, _) | DataType::Date32 | DataType::Date64 => true,
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => holds_moments(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| holds_moments(field.data_type())),
        _ => false,
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct StorableMoment {
    signature: Signature,
}

impl ScalarUDFImpl for StorableMoment {
    fn name(&self) -> &'static str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        types.first().map_or_else(|| plan_err!("{NAME} takes a value"), |value| Ok(value.clone()))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let [value, _] = args.arg_fields else { return plan_err!("{NAME} takes a value and a name") };
        Ok(Arc::new(Field::new(NAME, value.data_type().clone(), true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value, ColumnarValue::Scalar(name)] = args.args.as_slice() else {
            return internal_err!("{NAME} takes a value and a name");
        };
        let values = match value {
            ColumnarValue::Array(values) => Arc::clone(values),
            ColumnarValue::Scalar(value) => value.to_array()?,
        };
        if !is_storable(&values)? {
            let name = name.try_as_str().flatten().unwrap_or_default();
            let error = Error::data(format!("column `{name}` has a timestamp or date outside the years 1 to 9999"));
            let hint = "check the unit of the number that it is made from, or replace it by null";
            return Err(error.hint(hint).into_engine());
        }
        Ok(value.clone())
    }
}

fn is_storable(values: &ArrayRef) -> Result<bool> {
    match values.data_type() {
        DataType::Timestamp(unit, _) => {
            let in_day = per_second(*unit).saturating_mul(SECONDS_OF_DAY);
            // Nanoseconds in 64 bits reach only the year 2262, so every value is storable.
            if *unit == TimeUnit::Nanosecond {
                return Ok(true);
            }
            let counts = cast(values, &DataType::Int64)?;
            let mut counts = counts.as_primitive::<Int64Type>().iter().flatten();
            // `div_euclid` rounds down, which also gives the right day before 1970.
            Ok(counts.all(|count| is_day_storable(count.div_euclid(in_day))))
        }
        DataType::Date32 => {
            Ok(values.as_primitive::<Date32Type>().iter().flatten().all(|day| is_day_storable(day.into())))
        }
        DataType::Date64 => {
            let milliseconds = cast(values, &DataType::Int64)?;
            let mut milliseconds = milliseconds.as_primitive::<Int64Type>().iter().flatten();
            Ok(milliseconds.all(|count| is_day_storable(count.div_euclid(SECONDS_OF_DAY * 1_000))))
        }
        // Check only elements of rows in this slice, because rows outside of it are not written.
        DataType::List(item) if holds_moments(item.data_type()) => is_storable(&flatten(values.as_list::<i32>())?),
        DataType::LargeList(item) if holds_moments(item.data_type()) => is_storable(&flatten(values.as_list::<i64>())?),
        DataType::FixedSizeList(item, _) if holds_moments(item.data_type()) => {
            is_storable(values.as_fixed_size_list().values())
        }
        DataType::Map(item, _) if holds_moments(item.data_type()) => {
            let entries: ArrayRef = Arc::new(values.as_map().entries().clone());
            is_storable(&entries)
        }
        DataType::Struct(_) => {
            for column in values.as_struct().columns() {
                if !is_storable(column)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        _ => Ok(true),
    }
}

fn flatten<O: OffsetSizeTrait>(lists: &GenericListArray<O>) -> Result<ArrayRef> {
    let (first, last) = (lists.value_offsets().first(), lists.value_offsets().last());
    let (Some(first), Some(last)) = (first, last) else { return internal_err!("a list has no offsets") };
    // The offsets of a slice do not start at 0, so take the values between the first and the last
    // offset.
    Ok(lists.values().slice(first.as_usize(), last.as_usize() - first.as_usize()))
}

fn is_day_storable(day: i64) -> bool {
    (FIRST_DAY..=LAST_DAY).contains(&day)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Date32Array, ListArray, TimestampMillisecondArray, TimestampSecondArray};

    use super::*;

    #[test]
    fn years_1_to_9999_are_storable() {
        let seconds = |text: &str| chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp();
        let (first, last) = (seconds("0001-01-01T00:00:00Z"), seconds("9999-12-31T23:59:59Z"));
        for (moment, expected) in [(first, true), (first - 1, false), (last, true), (last + 1, false)] {
            let values: ArrayRef = Arc::new(TimestampSecondArray::from(vec![None, Some(moment)]));
            assert_eq!(is_storable(&values).unwrap(), expected, "{moment}");
        }
        let far: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![i64::MAX]));
        assert!(!is_storable(&far).unwrap());
        let day: ArrayRef = Arc::new(Date32Array::from(vec![i32::MAX]));
        assert!(!is_storable(&day).unwrap());
        let list: ArrayRef =
            Arc::new(ListArray::from_iter_primitive::<Date32Type, _, _>([Some(vec![Some(0), Some(i32::MIN)]), None]));
        assert!(!is_storable(&list).unwrap());
        assert!(holds_moments(list.data_type()));
    }
}
