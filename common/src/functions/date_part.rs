//! `date_part` of UTC timestamps by integer arithmetic.
//!
//! Arrow converts each value to a `chrono` date in its zone, once per row and part. Here, parts are
//! computed from the day number. This is done for timestamps of the years 1 to 9999 that are in UTC
//! or have no zone. All other calls use DataFusion's own function: other zones, years and types,
//! and scalars.

use std::str::FromStr;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, Int32Array, PrimitiveArray};
use arrow::compute::kernels::cast_utils::IntervalUnit;
use arrow::datatypes::{
    DataType, FieldRef, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use datafusion::prelude::SessionContext;

/// Replaces the session's `date_part`.
pub(super) fn register(session: &SessionContext) -> Result<()> {
    let original = session.udf("date_part")?;
    session.register_udf(ScalarUDF::new_from_impl(UtcDatePart { original }));
    Ok(())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct UtcDatePart {
    original: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for UtcDatePart {
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        // DataFusion handles scalars, because speed does not matter for one value.
        if let [ColumnarValue::Scalar(part), ColumnarValue::Array(moments)] = &args.args[..]
            && let Some(part) = part.try_as_str().flatten().and_then(Part::parse)
            && let Some(values) = part.of_all(moments)
        {
            return Ok(ColumnarValue::Array(Arc::new(values)));
        }
        self.original.invoke_with_args(args)
    }

    fn name(&self) -> &str {
        self.original.name()
    }

    fn aliases(&self) -> &[String] {
        self.original.aliases()
    }

    fn signature(&self) -> &Signature {
        self.original.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.original.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.original.return_field_from_args(args)
    }

    fn preimage(&self, args: &[Expr], literal: &Expr, info: &SimplifyContext) -> Result<PreimageResult> {
        self.original.preimage(args, literal, info)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.original.documentation()
    }
}

/// A part of a timestamp that this module can compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Year,
    IsoYear,
    Quarter,
    Month,
    Week,
    Day,
    DayOfYear,
    /// Day of the week; 0 is Sunday.
    DayOfWeek,
    /// Day of the week; 1 is Monday.
    IsoDayOfWeek,
    Hour,
    Minute,
    Second,
}

/// Number of days from 1970-01-01 to 0001-01-01.
const FIRST_DAY: i64 = -719_162;
/// Number of days from 1970-01-01 to 9999-12-31.
const LAST_DAY: i64 = 2_932_896;
const DAY_SECONDS: i64 = 86_400;

impl Part {
    /// Parses the name of a part. The names are those of DataFusion's function: Arrow's interval
    /// units with their synonyms, and parts such as `doy` that are not interval units.
    fn parse(name: &str) -> Option<Self> {
        Some(match IntervalUnit::from_str(name) {
            Ok(IntervalUnit::Year) => Self::Year,
            Ok(IntervalUnit::Month) => Self::Month,
            Ok(IntervalUnit::Week) => Self::Week,
            Ok(IntervalUnit::Day) => Self::Day,
            Ok(IntervalUnit::Hour) => Self::Hour,
            Ok(IntervalUnit::Minute) => Self::Minute,
            Ok(IntervalUnit::Second) => Self::Second,
            Ok(_) => return None,
            Err(_) => match name.to_lowercase().as_str() {
                "isoyear" => Self::IsoYear,
                "qtr" | "quarter" => Self::Quarter,
                "doy" => Self::DayOfYear,
                "dow" => Self::DayOfWeek,
                "isodow" => Self::IsoDayOfWeek,
                _ => return None,
            },
        })
    }

    /// Returns this part of each timestamp. Returns `None` if the values are not timestamps, if
    /// they have a zone other than UTC, or if one of them is not in the years 1 to 9999.
    fn of_all(self, moments: &ArrayRef) -> Option<Int32Array> {
        let DataType::Timestamp(unit, zone) = moments.data_type() else { return None };
        if !zone.as_deref().is_none_or(|zone| matches!(zone, "UTC" | "+00:00" | "Z")) {
            return None;
        }
        match unit {
            TimeUnit::Second => self.of_each(moments.as_primitive::<TimestampSecondType>(), 1),
            TimeUnit::Millisecond => self.of_each(moments.as_primitive::<TimestampMillisecondType>(), 1_000),
            TimeUnit::Microsecond => self.of_each(moments.as_primitive::<TimestampMicrosecondType>(), 1_000_000),
            TimeUnit::Nanosecond => self.of_each(moments.as_primitive::<TimestampNanosecondType>(), 1_000_000_000),
        }
    }

    fn of_each<T: ArrowPrimitiveType<Native = i64>>(
        self,
        moments: &PrimitiveArray<T>,
        per_second: i64,
    ) -> Option<Int32Array> {
        let in_range = |moment: &i64| {
            let day = moment.div_euclid(per_second).div_euclid(DAY_SECONDS);
            (FIRST_DAY..=LAST_DAY).contains(&day)
        };
        let values = moments.values();
        // The value under a null is arbitrary, so only check the other values.
        let all_in_range = match moments.nulls() {
            None => values.iter().all(in_range),
            Some(nulls) => nulls.valid_indices().all(|row| in_range(&values[row])),
        };
        if !all_in_range {
            return None;
        }
        let parts = values.iter().map(|moment| self.of(moment.div_euclid(per_second))).collect();
        Some(Int32Array::new(parts, moments.nulls().cloned()))
    }

    /// Returns this part of a timestamp, given in seconds since 1970. The result is arbitrary for
    /// timestamps outside of the years 1 to 9999, which occur only in rows that are null.
    #[expect(clippy::cast_possible_truncation, reason = "every part of a moment in range fits, and others are nulls")]
    fn of(self, seconds: i64) -> i32 {
        let day = seconds.div_euclid(DAY_SECONDS);
        let second = seconds.rem_euclid(DAY_SECONDS) as i32;
        match self {
            Self::Hour => second / 3600,
            Self::Minute => second / 60 % 60,
            Self::Second => second % 60,
            // 1970-01-01 was a Thursday.
            Self::DayOfWeek => (day + 4).rem_euclid(7) as i32,
            Self::IsoDayOfWeek => (day + 3).rem_euclid(7) as i32 + 1,
            Self::Year => Date::of(day).year as i32,
            Self::Month => Date::of(day).month as i32,
            Self::Quarter => (Date::of(day).month as i32 + 2) / 3,
            Self::Day => Date::of(day).day as i32,
            Self::DayOfYear => (day - first_day(Date::of(day).year)) as i32 + 1,
            Self::IsoYear => Date::of(thursday(day)).year as i32,
            Self::Week => {
                // A week belongs to the year of its Thursday.
                let thursday = thursday(day);
                ((thursday - first_day(Date::of(thursday).year)) / 7) as i32 + 1
            }
        }
    }
}

/// Returns the Thursday of the day's ISO 8601 week. The year of that Thursday is the year of the
/// week.
fn thursday(day: i64) -> i64 {
    day - (day + 3).rem_euclid(7) + 3
}

/// Returns the day number of January 1 of a year, counted from 1970-01-01.
fn first_day(year: i64) -> i64 {
    let before = year - 1;
    before * 365 + before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400) + FIRST_DAY
}

/// A date of the proleptic Gregorian calendar.
struct Date {
    year: i64,
    month: i64,
    day: i64,
}

impl Date {
    /// Converts a day number, counted from 1970-01-01. The computation counts years from March, so
    /// that the leap day is the last day of its year (Hinnant, "chrono-Compatible Low-Level Date
    /// Algorithms", `civil_from_days`).
    fn of(day: i64) -> Self {
        // Day 0 is 0000-03-01, the start of an era of 400 years.
        let day = day + 719_468;
        // 146,097 is the number of days in 400 years.
        let era = day.div_euclid(146_097);
        let day_of_era = day.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        Self {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month,
            day: day_of_year - (153 * march_month + 2) / 5 + 1,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use arrow::array::{TimestampMillisecondArray, TimestampSecondArray};
    use arrow::compute::{DatePart, date_part};
    use proptest::prelude::*;

    use super::*;

    const PARTS: [(&str, Part, DatePart); 12] = [
        ("year", Part::Year, DatePart::Year),
        ("ISOYEAR", Part::IsoYear, DatePart::YearISO),
        ("qtr", Part::Quarter, DatePart::Quarter),
        ("months", Part::Month, DatePart::Month),
        ("week", Part::Week, DatePart::Week),
        ("DAY", Part::Day, DatePart::Day),
        ("doy", Part::DayOfYear, DatePart::DayOfYear),
        ("dow", Part::DayOfWeek, DatePart::DayOfWeekSunday0),
        ("isodow", Part::IsoDayOfWeek, DatePart::DayOfWeekMonday1),
        ("hour", Part::Hour, DatePart::Hour),
        ("minute", Part::Minute, DatePart::Minute),
        ("sec", Part::Second, DatePart::Second),
    ];

    #[test]
    fn every_day_of_the_years_1_to_9999_has_the_parts_that_arrow_computes() {
        // One moment of each day, at a time that moves through the day.
        let moments = (FIRST_DAY..=LAST_DAY).map(|day| day * DAY_SECONDS + (day * 8_641).rem_euclid(DAY_SECONDS));
        let moments: ArrayRef = Arc::new(TimestampSecondArray::from_iter_values(moments).with_timezone("UTC"));
        assert_eq!(moments.len(), 3_652_059);
        for (name, part, arrow) in PARTS {
            assert_eq!(Part::parse(name), Some(part));
            let expected = date_part(&moments, arrow).unwrap();
            assert!(part.of_all(&moments).unwrap() == *expected.as_primitive(), "{name}");
        }
    }

    #[test]
    fn other_zones_years_parts_and_types_are_left_to_datafusion() {
        let at = |zone: &str, moment: i64| -> ArrayRef {
            Arc::new(TimestampSecondArray::from_iter_values([moment]).with_timezone(zone))
        };
        assert!(Part::Hour.of_all(&at("Europe/Berlin", 0)).is_none());
        assert!(Part::Hour.of_all(&at("+02:00", 0)).is_none());
        assert!(Part::Year.of_all(&at("UTC", FIRST_DAY * DAY_SECONDS - 1)).is_none());
        assert!(Part::Year.of_all(&at("UTC", (LAST_DAY + 1) * DAY_SECONDS)).is_none());
        assert!(Part::Year.of_all(&at("UTC", i64::MIN)).is_none());
        let days: ArrayRef = Arc::new(arrow::array::Date32Array::from(vec![1]));
        assert!(Part::Year.of_all(&days).is_none());
        for name in ["epoch", "millisecond", "nanosecond", "century", "", "'year'"] {
            assert_eq!(Part::parse(name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn nulls_stay_null_and_milliseconds_are_rounded_down(
            moments in proptest::collection::vec(proptest::option::of(-62_135_596_800_000_i64..253_402_300_800_000), 0..50)
        ) {
            let moments: ArrayRef = Arc::new(TimestampMillisecondArray::from(moments));
            for (_, part, arrow) in PARTS {
                let expected = date_part(&moments, arrow).unwrap();
                prop_assert_eq!(&part.of_all(&moments).unwrap(), expected.as_primitive());
            }
        }
    }
}
