//! Resolves local times that occur twice or never in a time zone.
//!
//! Arrow cannot convert such a time to a timestamp, and fails the query because of one row. Here,
//! as in Spark, a time that occurs twice becomes the earlier timestamp. A time that never occurs
//! moves forward by the gap: on the last Sunday of March, 01:30 in London becomes 02:30. A cast to
//! a named zone is rewritten into a call of a function. The function first casts like Arrow, and
//! then resolves the rows for which this cast failed.

use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, make_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type, TimeUnit};
use chrono::{MappedLocalTime, NaiveDateTime, Offset, TimeDelta, TimeZone};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ScalarValue, exec_err, internal_err, plan_err};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Cast, ScalarFunction, TryCast};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility, lit,
};
use datafusion::optimizer::AnalyzerRule;

use super::rewrite::rewrite_expressions;

const NAME: &str = "moment_in_zone";
/// A duration that is longer than any gap in a zone's local time: some zones have skipped a day.
const BEFORE_GAP: TimeDelta = TimeDelta::hours(25);

/// Returns the function that [`LocalTimeRule`] calls. Its arguments are the value, a null of the
/// target type, and whether to return null on failure.
pub(super) fn function() -> ScalarUDF {
    ScalarUDF::new_from_impl(MomentInZone { signature: Signature::any(3, Volatility::Immutable) })
}

/// Replaces casts to a named zone by calls of [`function`].
#[derive(Debug)]
pub(super) struct LocalTimeRule;

impl AnalyzerRule for LocalTimeRule {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let function = Arc::new(function());
        rewrite_expressions(plan, |expr, schema| {
            expr.transform_up(|expr| {
                let Some((value, target, is_try)) = cast_to_zone(&expr, schema)? else {
                    return Ok(Transformed::no(expr));
                };
                // A null literal carries the type, because a function cannot take a type as an
                // argument.
                let target = Expr::Literal(ScalarValue::try_from(&target)?, None);
                Ok(Transformed::yes(function.call(vec![value, target, lit(is_try)])))
            })
        })
    }

    fn name(&self) -> &'static str {
        NAME
    }
}

/// Returns the value and the target type of a cast from a local time to a zone with clock changes,
/// and whether the cast is a `try_cast`.
fn cast_to_zone(expr: &Expr, schema: &DFSchema) -> Result<Option<(Expr, DataType, bool)>> {
    let (value, target, is_try) = match expr {
        Expr::Cast(Cast { expr, field }) => (expr.as_ref(), field.data_type().clone(), false),
        Expr::TryCast(TryCast { expr, field }) => (expr.as_ref(), field.data_type().clone(), true),
        Expr::ScalarFunction(ScalarFunction { func, args })
            if matches!(func.name(), "arrow_cast" | "arrow_try_cast") =>
        {
            // `get_type` parses the target type, which is a text in the second argument.
            let Some(value) = args.first() else { return Ok(None) };
            (value, expr.get_type(schema)?, func.name() == "arrow_try_cast")
        }
        _ => return Ok(None),
    };
    if !has_clock_changes(&target) {
        return Ok(None);
    }
    // A value that already has a zone is an unambiguous timestamp.
    let is_local = matches!(
        value.get_type(schema)?,
        DataType::Timestamp(_, None)
            | DataType::Date32
            | DataType::Date64
            | DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
    );
    Ok(is_local.then(|| (value.clone(), target, is_try)))
}

/// Whether a type is a timestamp in a named time zone other than UTC, such as `Europe/London`.
pub(super) fn has_clock_changes(data_type: &DataType) -> bool {
    match data_type {
        DataType::Timestamp(_, Some(zone)) => !zone.starts_with(['+', '-']) && &**zone != "UTC",
        _ => false,
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct MomentInZone {
    signature: Signature,
}

impl ScalarUDFImpl for MomentInZone {
    fn name(&self) -> &'static str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        types.get(1).map_or_else(|| plan_err!("{NAME} takes a type"), |target| Ok(target.clone()))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let [_, target, _] = args.arg_fields else { return plan_err!("{NAME} takes a value, a type and a boolean") };
        // The result is always nullable, because `try_cast` may fail for a value that is not null.
        Ok(Arc::new(Field::new(NAME, target.data_type().clone(), true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value, _, ColumnarValue::Scalar(ScalarValue::Boolean(Some(is_try)))] = args.args.as_slice() else {
            return internal_err!("{NAME} takes a value, a type and a boolean");
        };
        let target = args.return_field.data_type();
        match value {
            ColumnarValue::Array(values) => Ok(ColumnarValue::Array(moments(values, target, *is_try)?)),
            ColumnarValue::Scalar(value) => {
                let moments = moments(&value.to_array()?, target, *is_try)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&moments, 0)?))
            }
        }
    }
}

fn moments(values: &ArrayRef, target: &DataType, is_try: bool) -> Result<ArrayRef> {
    let DataType::Timestamp(unit, Some(zone)) = target else { return internal_err!("{NAME} takes a type with a zone") };
    // `safe: true` gives null instead of an error, so that only the failed rows need to be
    // resolved.
    let lenient = CastOptions { safe: true, ..CastOptions::default() };
    let cast = cast_with_options(values, target, &lenient)?;
    // Rows failed if the result has more nulls than the input.
    let failed = cast.logical_null_count().saturating_sub(values.logical_null_count());
    if failed == 0 {
        return Ok(cast);
    }
    // Local times in the unit of the target.
    let local = cast_with_options(values, &DataType::Timestamp(*unit, None), &lenient)?;
    let (cast, local) = (counts(&cast)?, counts(&local)?);
    let zone: Tz = zone.parse()?;
    let moments = (0..cast.len())
        .map(|row| {
            if cast.is_valid(row) || values.is_null(row) {
                return Ok(cast.is_valid(row).then(|| cast.value(row)));
            }
            // The row failed, so resolve its local time. It is null if the text is not a time.
            let moment = local.is_valid(row).then(|| moment(local.value(row), *unit, &zone)).flatten();
            if moment.is_none() && !is_try {
                let value = ScalarValue::try_from_array(values, row)?;
                return exec_err!("`{value}` is no time that {target} can hold");
            }
            Ok(moment)
        })
        .collect::<Result<Int64Array>>()?;
    // Only change the type of the counts, without converting them.
    Ok(make_array(moments.to_data().into_builder().data_type(target.clone()).build()?))
}

fn counts(moments: &ArrayRef) -> Result<Int64Array> {
    // Timestamps of any unit become their plain 64-bit counts.
    let counts = cast_with_options(moments, &DataType::Int64, &CastOptions::default())?;
    Ok(counts.as_primitive::<Int64Type>().clone())
}

/// Returns the timestamp of a local time. Both are counted in `unit` since 1970.
pub(super) fn moment(local: i64, unit: TimeUnit, zone: &Tz) -> Option<i64> {
    let in_second = per_second(unit);
    // `div_euclid` rounds down, which is also correct for times before 1970.
    let seconds = chrono::DateTime::from_timestamp(local.div_euclid(in_second), 0)?.naive_utc();
    local.checked_sub(i64::from(offset(seconds, zone)?).checked_mul(in_second)?)
}

pub(super) fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// Returns the offset of a local time in seconds east of Greenwich.
fn offset(local: NaiveDateTime, zone: &Tz) -> Option<i32> {
    let offset = match zone.offset_from_local_datetime(&local) {
        // The first of two offsets gives the earlier timestamp.
        MappedLocalTime::Single(offset) | MappedLocalTime::Ambiguous(offset, _) => offset,
        // In a gap, use the offset from before the gap.
        MappedLocalTime::None => zone.offset_from_local_datetime(&local.checked_sub_signed(BEFORE_GAP)?).latest()?,
    };
    Some(offset.fix().local_minus_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_time_is_a_moment_in_every_zone_and_hour() {
        for (zone, local, expected) in [
            ("Europe/London", "2024-07-01 12:00:00", "2024-07-01T11:00:00Z"),
            // A time that occurs twice becomes the earlier timestamp.
            ("Europe/London", "2024-10-27 01:30:00", "2024-10-27T00:30:00Z"),
            ("America/New_York", "2024-11-03 01:59:59", "2024-11-03T05:59:59Z"),
            // A time that never occurs moves forward by the gap.
            ("Europe/London", "2024-03-31 01:30:00", "2024-03-31T01:30:00Z"),
            ("America/Sao_Paulo", "2018-11-04 00:00:00", "2018-11-04T03:00:00Z"),
            ("Australia/Lord_Howe", "2024-10-06 02:15:00", "2024-10-05T15:45:00Z"),
            ("Pacific/Apia", "2011-12-30 12:00:00", "2011-12-30T22:00:00Z"),
        ] {
            let local = NaiveDateTime::parse_from_str(local, "%Y-%m-%d %H:%M:%S").unwrap().and_utc().timestamp_micros();
            let moment = moment(local, TimeUnit::Microsecond, &zone.parse().unwrap()).unwrap();
            let expected = chrono::DateTime::parse_from_rfc3339(expected).unwrap().timestamp_micros();
            assert_eq!(moment, expected, "{zone} {local}");
        }
    }
}
