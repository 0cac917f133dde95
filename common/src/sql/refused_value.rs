//! Refuses casts, comparisons and `to_char` patterns for which DataFusion 55 returns wrong values.

use arrow::array::timezone::Tz;
use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Between, Cast, InList, ScalarFunction, TryCast};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Operator};

use super::refusal::refuse;
use crate::error::Error;

/// Hint for a comparison of intervals.
const MOMENTS: &str = "compare moments: `a > b + INTERVAL '1 day'` instead of `a - b > INTERVAL '1 day'`";

/// Refuses an expression for which DataFusion would compute a wrong value.
pub(super) fn check(expr: &Expr, schema: &DFSchema) -> Result<()> {
    match expr {
        Expr::Cast(Cast { expr, field }) | Expr::TryCast(TryCast { expr, field }) => {
            check_zone(field.data_type())?;
            check_cast(expr, field.data_type(), schema)
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_comparison(*op) => {
            check_compared(left, schema)?;
            check_compared(right, schema)
        }
        Expr::Between(Between { expr, .. }) | Expr::InList(InList { expr, .. }) => check_compared(expr, schema),
        Expr::AggregateFunction(aggregate) if matches!(aggregate.func.name(), "min" | "max" | "median") => {
            aggregate.params.args.iter().try_for_each(|value| check_compared(value, schema))
        }
        Expr::WindowFunction(window) if matches!(window.fun.name(), "min" | "max" | "median") => {
            window.params.args.iter().try_for_each(|value| check_compared(value, schema))
        }
        Expr::ScalarFunction(function) => check_call(function, expr, schema),
        _ => Ok(()),
    }
}

/// Refuses a key of `ORDER BY` that would be sorted wrongly.
pub(super) fn check_ordered(key: &Expr, schema: &DFSchema) -> Result<()> {
    check_compared(key, schema)
}

fn is_comparison(op: Operator) -> bool {
    matches!(
        op,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
    )
}

/// Refuses comparing intervals. DataFusion compares months first, then days, then nanoseconds, so
/// one month would be more than 40 days.
fn check_compared(value: &Expr, schema: &DFSchema) -> Result<()> {
    match value.get_type(schema) {
        Ok(DataType::Interval(_)) => refuse("a comparison or an order of intervals", MOMENTS),
        // The planner reports an expression without a type.
        _ => Ok(()),
    }
}

fn check_cast(value: &Expr, target: &DataType, schema: &DFSchema) -> Result<()> {
    let Ok(source) = value.get_type(schema) else { return Ok(()) };
    let is_text = matches!(source, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    match target {
        DataType::Interval(_) if is_text => match text(value) {
            // A text with letters contains a unit, because units are words.
            Some(text) if text.contains(|c: char| c.is_ascii_alphabetic()) => Ok(()),
            // DataFusion would interpret a number without a unit as months.
            _ => refuse("a cast of a text without units to `INTERVAL`", "write the unit: `INTERVAL '6 seconds'`"),
        },
        DataType::Time32(_) | DataType::Time64(_) if is_text => match text(value) {
            Some(text) if is_time_of_day(text) => Ok(()),
            // DataFusion reads '040506' as 40506 nanoseconds after midnight, and accepts
            // '23:59:60', which no day has.
            Some(text) => refuse(&format!("the time `{text}`"), "write hours, minutes and seconds: `TIME '04:05:06'`"),
            None => match value {
                Expr::Literal(value, _) if value.is_null() => Ok(()),
                _ => refuse("a cast of a text column to `TIME`", "use `to_time(x)`"),
            },
        },
        DataType::Timestamp(_, _) if source.is_floating() || source.is_decimal() => refuse(
            "a cast of a number with a fraction to `TIMESTAMP`",
            "use `to_timestamp(x)` for seconds since 1970, `to_timestamp_millis(x)` for milliseconds",
        ),
        _ => Ok(()),
    }
}

fn text(value: &Expr) -> Option<&str> {
    match value {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        _ => None,
    }
}

/// Whether a text is `hh:mm`, `hh:mm:ss` or `hh:mm:ss.fraction`, without leap seconds.
fn is_time_of_day(text: &str) -> bool {
    let parts: Vec<&str> = text.trim().split(':').collect();
    let is_below = |part: &str, limit: u32| part.len() <= 2 && part.parse::<u32>().is_ok_and(|value| value < limit);
    let is_second = |part: &str| {
        let (whole, fraction) = part.split_once('.').unwrap_or((part, "0"));
        is_below(whole, 60) && !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit())
    };
    match parts.as_slice() {
        [hour, minute] => is_below(hour, 24) && is_below(minute, 60),
        [hour, minute, second] => is_below(hour, 24) && is_below(minute, 60) && is_second(second),
        _ => false,
    }
}

fn check_call(function: &ScalarFunction, expr: &Expr, schema: &DFSchema) -> Result<()> {
    match function.func.name() {
        "arrow_cast" | "arrow_try_cast" => expr.get_type(schema).map_or(Ok(()), |target| check_zone(&target)),
        "greatest" | "least" => function.args.iter().try_for_each(|value| check_compared(value, schema)),
        // DataFusion would print PostgreSQL's `YYYY` and Spark's `yyyy` literally.
        "to_char" => match function.args.get(1) {
            Some(Expr::Literal(pattern, _)) => match pattern.try_as_str().flatten() {
                Some(pattern) if !pattern.contains('%') => refuse(
                    &format!("the pattern `{pattern}`"),
                    "write it in the terms of strftime: `to_char(x, '%Y-%m-%d %H:%M:%S')`",
                ),
                _ => Ok(()),
            },
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

/// Refuses a time zone that does not exist. Otherwise the error would occur only when a value is
/// printed.
fn check_zone(target: &DataType) -> Result<()> {
    match target {
        DataType::Timestamp(_, Some(zone)) if zone.parse::<Tz>().is_err() => {
            let error = Error::configuration(format!("`{zone}` is no time zone"));
            Err(error.hint("write a name such as `Europe/London`, or an offset such as `+02:00`").into_engine())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_is_within_a_day() {
        for (text, expected) in [
            ("04:05", true),
            ("04:05:06", true),
            ("23:59:59.999999999", true),
            ("4:05", true),
            ("040506", false),
            ("24:00", false),
            ("23:59:60", false),
            ("23:60", false),
            ("04:05:06.", false),
            ("04:05:06 PM", false),
            ("", false),
        ] {
            assert_eq!(is_time_of_day(text), expected, "{text}");
        }
    }
}
