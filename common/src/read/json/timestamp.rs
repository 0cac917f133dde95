//! ③ Converts timestamps to microseconds since the epoch, by the rules of `docs/types.md`.
//!
//! A field declares one or several formats. They are tried in their order, and the first that fits
//! is used. Digits after the microseconds are dropped.

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeZone, Timelike};
use chrono_tz::Tz;

use crate::config::resolved::TimestampFormat;
use crate::config::timestamp_pattern::{PatternKind, TimestampPattern};
use crate::read::json::coerce::{Coerced, Fault, Scalar, long};
use crate::read::json::number::Number;

/// The years 1 to 9999 in microseconds since the epoch. The calendars of SQL and Python have no
/// other years.
const CALENDAR: std::ops::RangeInclusive<i64> = -62_135_596_800_000_000..=253_402_300_799_999_999;
/// Number of digits of the greatest long.
const LONG_DIGITS: i64 = 19;
/// Maximum number of digits of a decimal that `Number` computes.
const MOST_DIGITS: i64 = 38;

/// Number of decimal places of a time with microseconds, such as `1.000001`, in each unit.
const PLACES_OF_SECONDS: i64 = 6;
const PLACES_OF_MILLISECONDS: i64 = 3;
const PLACES_OF_MICROSECONDS: i64 = 0;
const PLACES_OF_NANOSECONDS: i64 = -3;

/// Formats with an offset from UTC, which [`TimestampFormat::Auto`] tries in this order.
const WITH_OFFSET: &[&str] = &[
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M%#z",
    "%Y%m%d %H%M%S%.f%#z",
    // Logs of Apache and nginx.
    "%d/%b/%Y:%H:%M:%S %z",
    // Ruby, git, and `date` of Unix.
    "%a %b %e %H:%M:%S %z %Y",
    "%a %b %e %H:%M:%S %Y %z",
];

/// Formats without an offset, which [`TimestampFormat::Auto`] tries in this order.
const WITHOUT_OFFSET: &[&str] = &[
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y%m%d %H%M%S%.f",
    "%d/%b/%Y:%H:%M:%S",
    // `ctime` of C.
    "%a %b %e %H:%M:%S %Y",
    "%d %b %Y %H:%M:%S",
    "%b %e, %Y %I:%M:%S %p",
];

/// Whether a column of these formats needs numbers as they are written.
pub(in crate::read) fn needs_text(formats: &[TimestampFormat]) -> bool {
    let needs_text = |format: &TimestampFormat| match format {
        // The fast path reads microseconds and nanoseconds only as text.
        TimestampFormat::EpochMicroseconds | TimestampFormat::EpochNanoseconds => true,
        TimestampFormat::EpochSeconds | TimestampFormat::Auto | TimestampFormat::Pattern(_) => true,
        TimestampFormat::EpochMilliseconds | TimestampFormat::Rfc3339 => false,
    };
    formats.iter().any(needs_text)
}

/// Converts a timestamp to microseconds since the epoch. A text without an offset is a time in
/// `zone`.
pub(in crate::read) fn timestamp(value: Scalar<'_>, formats: &[TimestampFormat], zone: Option<Tz>) -> Coerced<i64> {
    let mut fault = Fault::WrongType;
    for format in formats {
        let coerced = match format {
            TimestampFormat::EpochSeconds => epoch(value, PLACES_OF_SECONDS),
            TimestampFormat::EpochMilliseconds => epoch_milliseconds(value),
            TimestampFormat::EpochMicroseconds => long(value).and_then(in_calendar),
            TimestampFormat::EpochNanoseconds => {
                long(value).and_then(|nanoseconds| in_calendar(nanoseconds.map(|nanoseconds| nanoseconds / 1000)))
            }
            TimestampFormat::Rfc3339 => rfc3339(value),
            TimestampFormat::Auto => auto(value, zone),
            TimestampFormat::Pattern(pattern) => by_pattern(value, pattern, zone),
        };
        match coerced {
            // A value that fits one format except for its range is no other kind of value.
            Err(Fault::OutOfRange) => fault = Fault::OutOfRange,
            Err(Fault::WrongType) => {}
            coerced => return coerced,
        }
    }
    Err(fault)
}

/// Converts milliseconds to microseconds since the epoch.
pub(in crate::read) fn epoch_milliseconds(value: Scalar<'_>) -> Coerced<i64> {
    match long(value)? {
        Some(milliseconds) => {
            milliseconds.checked_mul(1000).ok_or(Fault::OutOfRange).and_then(|it| in_calendar(Some(it)))
        }
        None => Ok(None),
    }
}

fn in_calendar(micros: Option<i64>) -> Coerced<i64> {
    if micros.is_none_or(|micros| CALENDAR.contains(&micros)) { Ok(micros) } else { Err(Fault::OutOfRange) }
}

/// Converts a number since the epoch to microseconds. `places` is the number of decimal places of a
/// microsecond in the number's unit. Computes in decimal, because a double with the current time in
/// seconds is only exact to a quarter of a microsecond.
fn epoch(value: Scalar<'_>, places: i64) -> Coerced<i64> {
    match value {
        Scalar::Text("") => Ok(None),
        Scalar::Text(text) | Scalar::Number(text) => {
            let number = Number::parse(text).ok_or(Fault::WrongType)?;
            // A timestamp of the calendar has at most 18 digits of microseconds, so 19 are enough.
            let scaled = number.scaled(places, LONG_DIGITS).ok_or(Fault::OutOfRange)?;
            in_calendar(Some(i64::try_from(scaled.value).map_err(|_| Fault::OutOfRange)?))
        }
        Scalar::Boolean(_) => Err(Fault::WrongType),
        Scalar::Signed(_) | Scalar::Unsigned(_) | Scalar::Double(_) => Err(Fault::AskAsWritten),
    }
}

/// Converts RFC 3339 text.
fn rfc3339(value: Scalar<'_>) -> Coerced<i64> {
    match value {
        Scalar::Text("") => Ok(None),
        Scalar::Text(text) => with_offset(DateTime::parse_from_rfc3339(text)),
        _ => Err(Fault::WrongType),
    }
}

fn with_offset<T: TimeZone>(parsed: Result<DateTime<T>, chrono::ParseError>) -> Coerced<i64> {
    let time = parsed.map_err(|_| Fault::WrongType)?;
    // Microseconds since the epoch have no value for a leap second.
    if time.nanosecond() >= 1_000_000_000 {
        return Err(Fault::WrongType);
    }
    in_calendar(Some(time.timestamp_micros()))
}

/// Converts a time without an offset. If a local time occurs twice, because clocks are set back, the
/// earlier one is used. If it is skipped, because clocks are set forward by an hour, it is moved ahead
/// by one hour. Java and Spark have the same rule.
fn in_zone(local: NaiveDateTime, zone: Option<Tz>) -> Coerced<i64> {
    let Some(zone) = zone else { return with_offset(Ok(local.and_utc())) };
    let moment = zone.from_local_datetime(&local).earliest().or_else(|| {
        // The offset before the change is that of the day before.
        let before = zone.from_local_datetime(&local.checked_sub_days(Days::new(1))?).earliest()?;
        let utc = local.checked_sub_offset(before.offset().fix())?;
        Some(zone.from_utc_datetime(&utc))
    });
    with_offset(Ok(moment.ok_or(Fault::OutOfRange)?))
}

/// Converts a text or a number by a format of `strftime`.
fn by_pattern(value: Scalar<'_>, pattern: &TimestampPattern, zone: Option<Tz>) -> Coerced<i64> {
    let text = match value {
        Scalar::Text("") => return Ok(None),
        Scalar::Text(text) | Scalar::Number(text) => text,
        Scalar::Boolean(_) => return Err(Fault::WrongType),
        Scalar::Signed(_) | Scalar::Unsigned(_) | Scalar::Double(_) => return Err(Fault::AskAsWritten),
    };
    let local = |text, pattern| NaiveDateTime::parse_from_str(text, pattern).map_err(|_| Fault::WrongType);
    match pattern.kind() {
        PatternKind::WithOffset => with_offset(DateTime::parse_from_str(text, pattern.text())),
        PatternKind::Local => in_zone(local(text, pattern.text())?, zone),
        PatternKind::EpochSeconds => in_zone(local(text, pattern.text())?, None),
        PatternKind::Date => {
            let date = NaiveDate::parse_from_str(text, pattern.text()).map_err(|_| Fault::WrongType)?;
            in_zone(date.and_time(NaiveTime::MIN), zone)
        }
    }
}

/// Converts a text in a common format, or a number since the epoch. The size of the number determines
/// its unit.
fn auto(value: Scalar<'_>, zone: Option<Tz>) -> Coerced<i64> {
    let text = match value {
        Scalar::Text("") => return Ok(None),
        Scalar::Text(text) | Scalar::Number(text) => text,
        Scalar::Boolean(_) => return Err(Fault::WrongType),
        Scalar::Signed(_) | Scalar::Unsigned(_) | Scalar::Double(_) => return Err(Fault::AskAsWritten),
    };
    if let Some(number) = Number::parse(text) {
        // Eight digits may also be a date.
        let is_date = text.len() == 8 && NaiveDate::parse_from_str(text, "%Y%m%d").is_ok();
        return if is_date { Err(Fault::WrongType) } else { epoch(value, places_by_size(&number)?) };
    }
    if let parsed @ Ok(_) = DateTime::parse_from_rfc3339(text).or_else(|_| DateTime::parse_from_rfc2822(text)) {
        return with_offset(parsed);
    }
    let text = normalized(text);
    if let Some(parsed) = WITH_OFFSET.iter().find_map(|format| DateTime::parse_from_str(&text, format).ok()) {
        return with_offset(Ok(parsed));
    }
    if let Some(local) = WITHOUT_OFFSET.iter().find_map(|format| NaiveDateTime::parse_from_str(&text, format).ok()) {
        return in_zone(local, zone);
    }
    let date = NaiveDate::parse_from_str(&text, "%Y-%m-%d").map_err(|_| Fault::WrongType)?;
    in_zone(date.and_time(NaiveTime::MIN), zone)
}

/// Returns the number of decimal places of a microsecond in the unit that the size of a number
/// suggests. Each limit is in the year 5138, and in 1973 for the next smaller unit.
fn places_by_size(number: &Number<'_>) -> Result<i64, Fault> {
    let whole = number.scaled(0, MOST_DIGITS).ok_or(Fault::OutOfRange)?.value.unsigned_abs();
    Ok(match whole {
        0..100_000_000_000 => PLACES_OF_SECONDS,
        100_000_000_000..100_000_000_000_000 => PLACES_OF_MILLISECONDS,
        100_000_000_000_000..100_000_000_000_000_000 => PLACES_OF_MICROSECONDS,
        _ => PLACES_OF_NANOSECONDS,
    })
}

/// Returns the text as the formats of [`WITH_OFFSET`] and [`WITHOUT_OFFSET`] have it: `-` between
/// year, month and day, a space before the time, a point before the fraction, `+00:00` for UTC, and
/// no space before the offset.
fn normalized(text: &str) -> String {
    let text = text.trim();
    // Java writes the zone's name after the offset.
    let text = match text.strip_suffix(']').and_then(|text| text.rsplit_once('[')) {
        Some((time, _)) if ends_with_offset(time) => time,
        _ => text,
    };
    let starts_with_year = text.len() >= 8 && text.as_bytes()[..4].iter().all(u8::is_ascii_digit);
    if !starts_with_year {
        return text.replace(" UTC", " +0000").replace(" GMT", " +0000");
    }
    let mut normalized = text.replace(',', ".");
    // The `T` between date and time, which is not the one in `UTC`.
    let date = text.find(|next: char| !next.is_ascii_digit() && next != '-' && next != '/').unwrap_or(text.len());
    if text[date..].starts_with(['T', 't']) {
        normalized.replace_range(date..=date, " ");
    }
    if text.as_bytes()[4] == b'/' {
        normalized = normalized.replacen('/', "-", 2);
    }
    for utc in ["UTC", "GMT", "Z", "z"] {
        if let Some(time) = normalized.strip_suffix(utc) {
            return format!("{}+00:00", time.trim_end());
        }
    }
    // In `2018-11-21 21:56:47 +01`, the offset follows the second space.
    match normalized.rfind([' ']) {
        Some(space) if normalized[space + 1..].starts_with(['+', '-']) => {
            normalized.remove(space);
            normalized
        }
        _ => normalized,
    }
}

/// Whether a text ends with `Z`, or with a sign and digits, such as `+01:00`.
fn ends_with_offset(text: &str) -> bool {
    let digits = text.trim_end_matches(|next: char| next.is_ascii_digit() || next == ':');
    text.ends_with('Z') || (digits.len() < text.len() && digits.ends_with('+'))
        // A date has a `-` too, but a time has colons before its offset.
        || (digits.ends_with('-') && digits.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, formats: &[TimestampFormat], zone: Option<Tz>) -> Option<String> {
        let micros = timestamp(Scalar::Text(text), formats, zone).ok()??;
        Some(DateTime::from_timestamp_micros(micros)?.format("%FT%T%.6fZ").to_string())
    }

    #[test]
    fn every_common_format_is_recognized() {
        for (text, expected) in [
            ("2018-11-21T21:56:47.796Z", "2018-11-21T21:56:47.796000Z"),
            ("2018-11-21t21:56:47z", "2018-11-21T21:56:47.000000Z"),
            ("2018-11-21T21:56Z", "2018-11-21T21:56:00.000000Z"),
            ("2018-11-21 21:56:47.796123999+01:00", "2018-11-21T20:56:47.796123Z"),
            ("2018-11-21 21:56:47+01", "2018-11-21T20:56:47.000000Z"),
            ("2018-11-21T21:56:47-0530", "2018-11-22T03:26:47.000000Z"),
            ("2018-11-21T21:56:47+01:00[Europe/Paris]", "2018-11-21T20:56:47.000000Z"),
            ("2018-11-21T21:56:47-01:00[Atlantic/Azores]", "2018-11-21T22:56:47.000000Z"),
            ("2018-11-21T21:56:47Z[UTC]", "2018-11-21T21:56:47.000000Z"),
            ("2018/1/5", "2018-01-05T00:00:00.000000Z"),
            ("2018-11-21 21:56:47.796 UTC", "2018-11-21T21:56:47.796000Z"),
            ("2018-11-21 21:56:47 +0100", "2018-11-21T20:56:47.000000Z"),
            ("2018-11-21 21:56:47,796", "2018-11-21T21:56:47.796000Z"),
            ("2018-11-21T21:56:47", "2018-11-21T21:56:47.000000Z"),
            ("2018-11-21 21:56", "2018-11-21T21:56:00.000000Z"),
            ("2018-11-21", "2018-11-21T00:00:00.000000Z"),
            ("2018/11/21 21:56:47", "2018-11-21T21:56:47.000000Z"),
            ("20181121T215647Z", "2018-11-21T21:56:47.000000Z"),
            ("20181121T215647.5", "2018-11-21T21:56:47.500000Z"),
            ("Wed, 21 Nov 2018 21:56:47 GMT", "2018-11-21T21:56:47.000000Z"),
            ("Wed, 21 Nov 2018 21:56:47 +0100", "2018-11-21T20:56:47.000000Z"),
            ("21/Nov/2018:21:56:47 -0700", "2018-11-22T04:56:47.000000Z"),
            ("21/Nov/2018:21:56:47", "2018-11-21T21:56:47.000000Z"),
            ("Wed Nov 21 21:56:47 2018", "2018-11-21T21:56:47.000000Z"),
            ("Thu Nov  1 21:56:47 2018", "2018-11-01T21:56:47.000000Z"),
            ("Wed Nov 21 21:56:47 +0000 2018", "2018-11-21T21:56:47.000000Z"),
            ("Wed Nov 21 21:56:47 2018 +0100", "2018-11-21T20:56:47.000000Z"),
            ("Wed Nov 21 21:56:47 UTC 2018", "2018-11-21T21:56:47.000000Z"),
            ("21 Nov 2018 21:56:47", "2018-11-21T21:56:47.000000Z"),
            ("Nov 21, 2018 9:56:47 PM", "2018-11-21T21:56:47.000000Z"),
            ("1542837407", "2018-11-21T21:56:47.000000Z"),
            ("1542837407.796123", "2018-11-21T21:56:47.796123Z"),
            ("1542837407796", "2018-11-21T21:56:47.796000Z"),
            ("1542837407796123", "2018-11-21T21:56:47.796123Z"),
            ("1542837407796123999", "2018-11-21T21:56:47.796123Z"),
            ("-1", "1969-12-31T23:59:59.000000Z"),
        ] {
            assert_eq!(read(text, &[TimestampFormat::Auto], None).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn text_that_may_mean_two_moments_or_none_is_refused() {
        for text in [
            "soon",
            "11/21/2018",
            "21.11.2018",
            "2018-11-21T21:56:47 EST",
            "2018-02-30",
            "2016-12-31T23:59:60Z",
            "2018-11-21T25:00:00Z",
            "21:56:47",
            "2018",
            "Mon Nov 21 21:56:47 2018",
            "1e40",
            "ä018-11-21",
            "0000-00-00 00:00:00",
            "20181121",
            "2018-11-21 21:56:47 [error] disk",
            "2018-11-21T21:56:47[Europe/Paris]",
            "2018-11-21 21:56:47-01:00 [error]",
        ] {
            // `2018` is a number: seconds since the epoch.
            let expected = (text == "2018").then_some("1970-01-01T00:33:38.000000Z");
            assert_eq!(read(text, &[TimestampFormat::Auto], None).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn local_times_around_a_change_of_clocks_follow_one_rule() {
        let zone = Some(chrono_tz::America::New_York);
        for (local, expected) in [
            ("2018-03-11 01:59:59", "2018-03-11T06:59:59.000000Z"),
            // Skipped: 02:30 becomes 03:30 EDT.
            ("2018-03-11 02:30:00", "2018-03-11T07:30:00.000000Z"),
            ("2018-03-11 03:00:00", "2018-03-11T07:00:00.000000Z"),
            // Occurs twice: the first time is EDT.
            ("2018-11-04 01:30:00", "2018-11-04T05:30:00.000000Z"),
            ("2018-11-04 02:00:00", "2018-11-04T07:00:00.000000Z"),
            // An offset in the text, and a number, need no zone.
            ("2018-11-04T02:00:00Z", "2018-11-04T02:00:00.000000Z"),
            ("0", "1970-01-01T00:00:00.000000Z"),
        ] {
            assert_eq!(read(local, &[TimestampFormat::Auto], zone).as_deref(), Some(expected), "{local}");
        }
        let seconds = TimestampFormat::Pattern(TimestampPattern::parse("%s").unwrap());
        assert_eq!(read("0", &[seconds], zone).as_deref(), Some("1970-01-01T00:00:00.000000Z"));
    }

    #[test]
    fn the_first_format_that_fits_is_used() {
        let pattern = |text: &str| TimestampFormat::Pattern(TimestampPattern::parse(text).unwrap());
        let formats = [pattern("%d.%m.%Y"), pattern("%m.%d.%Y %H:%M %z"), TimestampFormat::EpochMicroseconds];
        for (text, expected) in [
            ("02.01.2018", Some("2018-01-02T00:00:00.000000Z")),
            ("02.01.2018 10:00 +0100", Some("2018-02-01T09:00:00.000000Z")),
            ("1542837407796123", Some("2018-11-21T21:56:47.796123Z")),
            ("2018-01-02", None),
        ] {
            assert_eq!(read(text, &formats, None).as_deref(), expected, "{text}");
        }
        let out_of_range = timestamp(Scalar::Signed(i64::MAX), &[TimestampFormat::EpochMicroseconds], None);
        assert_eq!(out_of_range, Err(Fault::OutOfRange));
    }
}
