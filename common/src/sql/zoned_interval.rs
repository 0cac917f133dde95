//! Adds intervals to timestamps in a zone with clock changes, and subtracts them.
//!
//! Months and days are added to the local time. Arrow fails the query if the resulting local time
//! occurs twice or never. Here, such a time is resolved as in `sql::local_time`.

use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{Array, ArrayRef, AsArray, Datum, Int64Array, make_array};
use arrow::compute::kernels::numeric::{add, sub};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    DataType, Field, FieldRef, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
};
use arrow::error::ArrowError;
use chrono::{Days, Months, NaiveDateTime, TimeZone};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{internal_err, plan_err};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::physical_expr_common::datum::apply;
use datafusion::scalar::ScalarValue;

use super::local_time::{has_clock_changes, moment, per_second};
use super::rewrite::rewrite_expressions;

const NAME: &str = "moment_and_interval";

/// Returns the function that [`ZonedIntervalRule`] calls. Its arguments are the timestamp, the
/// interval, and whether to subtract.
pub(super) fn function() -> ScalarUDF {
    ScalarUDF::new_from_impl(MomentAndInterval { signature: Signature::any(3, Volatility::Immutable) })
}

/// Replaces `+` and `-` of a timestamp in a named zone and an interval by calls of [`function`].
#[derive(Debug)]
pub(super) struct ZonedIntervalRule;

impl AnalyzerRule for ZonedIntervalRule {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let function = Arc::new(function());
        rewrite_expressions(plan, |expr, schema| {
            expr.transform_up(|expr| {
                let Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::Plus | Operator::Minus), right }) = expr
                else {
                    return Ok(Transformed::no(expr));
                };
                let is_interval = |data_type: &DataType| *data_type == DataType::Interval(IntervalUnit::MonthDayNano);
                let (left_type, right_type) = (left.get_type(schema)?, right.get_type(schema)?);
                let is_negative = lit(op == Operator::Minus);
                if has_clock_changes(&left_type) && is_interval(&right_type) {
                    return Ok(Transformed::yes(function.call(vec![*left, *right, is_negative])));
                }
                // The interval may be the left operand only for `+`, because `interval - timestamp`
                // has no meaning.
                if is_interval(&left_type) && has_clock_changes(&right_type) && op == Operator::Plus {
                    return Ok(Transformed::yes(function.call(vec![*right, *left, is_negative])));
                }
                Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr::new(left, op, right))))
            })
        })
    }

    fn name(&self) -> &'static str {
        NAME
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct MomentAndInterval {
    signature: Signature,
}

impl ScalarUDFImpl for MomentAndInterval {
    fn name(&self) -> &'static str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        types.first().map_or_else(|| plan_err!("{NAME} takes a moment"), |moment| Ok(moment.clone()))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let [moment, interval, _] = args.arg_fields else { return plan_err!("{NAME} takes a moment and an interval") };
        let is_nullable = moment.is_nullable() || interval.is_nullable();
        Ok(Arc::new(Field::new(NAME, moment.data_type().clone(), is_nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [moments, intervals, ColumnarValue::Scalar(ScalarValue::Boolean(Some(is_negative)))] = args.args.as_slice()
        else {
            return internal_err!("{NAME} takes a moment, an interval and a boolean");
        };
        apply(moments, intervals, |moments, intervals| {
            let sum = if *is_negative { sub(moments, intervals) } else { add(moments, intervals) };
            // If Arrow cannot resolve one row, it fails the whole batch. Then compute row by row.
            sum.or_else(|_| row_by_row(moments, intervals, *is_negative))
        })
    }
}

fn row_by_row(moments: &dyn Datum, intervals: &dyn Datum, is_negative: bool) -> Result<ArrayRef, ArrowError> {
    let ((moments, is_moment_one), (intervals, is_interval_one)) = (moments.get(), intervals.get());
    let (DataType::Timestamp(unit, Some(zone)), Some(intervals)) =
        (moments.data_type(), intervals.as_primitive_opt::<IntervalMonthDayNanoType>())
    else {
        return Err(ArrowError::InvalidArgumentError(format!("{NAME} takes a moment and an interval")));
    };
    let zone: Tz = zone.parse()?;
    // Timestamps of any unit become their plain 64-bit counts.
    let counts = cast_with_options(moments, &DataType::Int64, &CastOptions::default())?;
    let counts = counts.as_primitive::<Int64Type>();
    let rows = if is_moment_one { intervals.len() } else { counts.len() };
    let sums = (0..rows)
        .map(|row| {
            let (i, j) = (if is_moment_one { 0 } else { row }, if is_interval_one { 0 } else { row });
            if counts.is_null(i) || intervals.is_null(j) {
                return Ok(None);
            }
            let sum = shifted(counts.value(i), *unit, &zone, intervals.value(j), is_negative);
            sum.map(Some).ok_or_else(|| ArrowError::ComputeError("a moment is out of range".into()))
        })
        .collect::<Result<Int64Array, ArrowError>>()?;
    Ok(make_array(sums.to_data().into_builder().data_type(moments.data_type().clone()).build()?))
}

/// Adds an interval to the timestamp `count` (in `unit` since 1970), or subtracts it if
/// `is_negative`. Months and days change the local time in `zone`; nanoseconds are then added to
/// the resulting timestamp.
fn shifted(count: i64, unit: TimeUnit, zone: &Tz, by: IntervalMonthDayNano, is_negative: bool) -> Option<i64> {
    let in_second = per_second(unit);
    let utc = chrono::DateTime::from_timestamp(count.div_euclid(in_second), 0)?.naive_utc();
    let local = zone.from_utc_datetime(&utc).naive_local();
    let (months, days, nanoseconds) = if is_negative {
        (by.months.checked_neg()?, by.days.checked_neg()?, by.nanoseconds.checked_neg()?)
    } else {
        (by.months, by.days, by.nanoseconds)
    };
    // Add months first, because adding days may lead to another month.
    let moved = by_days(by_months(local, months)?, days)?.and_utc().timestamp().checked_mul(in_second)?;
    // The fraction of a second is not part of the calendar arithmetic, so add it back.
    let moved = moved.checked_add(count.rem_euclid(in_second))?;
    // Nanoseconds are elapsed time, so they are added to the timestamp and not to the local time.
    moment(moved, unit, zone)?.checked_add(nanoseconds / (1_000_000_000 / in_second))
}

fn by_months(local: NaiveDateTime, months: i32) -> Option<NaiveDateTime> {
    let count = Months::new(months.unsigned_abs());
    if months < 0 { local.checked_sub_months(count) } else { local.checked_add_months(count) }
}

fn by_days(local: NaiveDateTime, days: i32) -> Option<NaiveDateTime> {
    let count = Days::new(u64::from(days.unsigned_abs()));
    if days < 0 { local.checked_sub_days(count) } else { local.checked_add_days(count) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_months_end_at_a_moment_whatever_the_clocks_do() {
        let micros = |text: &str| chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros();
        let zone: Tz = "Europe/London".parse().unwrap();
        for (start, months, days, hours, expected) in [
            ("2024-03-30T01:30:00.5Z", 0, 1, 0, "2024-03-31T01:30:00.5Z"),
            ("2024-02-29T01:30:00Z", 1, 2, 0, "2024-03-31T01:30:00Z"),
            ("2024-10-26T00:30:00Z", 0, 1, 0, "2024-10-27T00:30:00Z"),
            ("2024-10-26T00:30:00Z", 0, 1, 1, "2024-10-27T01:30:00Z"),
            ("2024-06-01T12:00:00Z", -3, 0, 0, "2024-03-01T13:00:00Z"),
        ] {
            let by = IntervalMonthDayNano::new(months, days, hours * 3_600_000_000_000);
            let found = shifted(micros(start), TimeUnit::Microsecond, &zone, by, false);
            assert_eq!(found, Some(micros(expected)), "{start}");
            let back = IntervalMonthDayNano::new(-months, -days, -hours * 3_600_000_000_000);
            assert_eq!(shifted(micros(start), TimeUnit::Microsecond, &zone, back, true), found, "{start}");
        }
    }
}
