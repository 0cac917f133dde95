//! ③ Converts a JSON value to a declared type, by the rules of `docs/types.md`, one function per
//! type.
//!
//! The functions are pure: they convert a scalar to a value, to null, or to a fault. Lists and
//! structs have no rules of their own; their items and members have. A test compares the table in
//! `docs/types.md` with this file.

use chrono::{DateTime, Datelike, NaiveDate, Timelike};

/// 2^53, the smallest positive long that shares its double with another long. From here on, a
/// number that is written as `N.0` does not identify a single long.
const FIRST_AMBIGUOUS_DOUBLE: f64 = 9_007_199_254_740_992.0;
/// Number of the day 1970-01-01, if 0001-01-01 is day 1 (as in chrono's `num_days_from_ce`).
const EPOCH_DAY: i32 = 719_163;
/// The years 1 to 9999 in microseconds since the epoch. The calendars of SQL and Python have no
/// other years.
const CALENDAR: std::ops::RangeInclusive<i64> = -62_135_596_800_000_000..=253_402_300_799_999_999;
/// Number of decimal places of a time in seconds with microseconds, such as `1.000001`.
const MICROSECOND_PLACES: i64 = 6;
/// Number of digits of the greatest long.
const LONG_DIGITS: i64 = 19;

/// One JSON value that is neither null, nor an array, nor an object.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::read) enum Scalar<'a> {
    Boolean(bool),
    Signed(i64),
    /// A number above the greatest long.
    Unsigned(u64),
    Double(f64),
    /// The text of a number, for columns that need numbers as written.
    Number(&'a str),
    /// A string with its escapes resolved.
    Text(&'a str),
}

/// Reason why a value cannot be converted to the declared type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::read) enum Fault {
    WrongType,
    OutOfRange,
    /// The column would have more bytes or items than Arrow's 32-bit offsets can address.
    TooLong,
    /// The column needs the number as written: call the function again with [`Scalar::Number`].
    AskAsWritten,
}

/// A converted value; `None` is null.
pub(in crate::read) type Coerced<T> = Result<Option<T>, Fault>;

/// Converts a scalar to text. A number keeps its text with all digits, some of which a double would
/// lose.
pub(in crate::read) fn string(value: Scalar<'_>) -> Result<&str, Fault> {
    match value {
        Scalar::Text(text) | Scalar::Number(text) => Ok(text),
        Scalar::Boolean(true) => Ok("true"),
        Scalar::Boolean(false) => Ok("false"),
        Scalar::Signed(_) | Scalar::Unsigned(_) | Scalar::Double(_) => Err(Fault::AskAsWritten),
    }
}

pub(in crate::read) fn long(value: Scalar<'_>) -> Coerced<i64> {
    match value {
        Scalar::Signed(value) => Ok(Some(value)),
        Scalar::Unsigned(_) => Err(Fault::OutOfRange),
        Scalar::Double(value) => whole(value).map(Some),
        Scalar::Text("") => Ok(None),
        Scalar::Text(text) | Scalar::Number(text) => {
            let number = Number::parse(text).ok_or(Fault::WrongType)?;
            if number.is_integer() {
                // `parse` only fails if the number does not fit, because its form was checked.
                return text.parse().map(Some).map_err(|_| Fault::OutOfRange);
            }
            text.parse().map_err(|_| Fault::WrongType).and_then(whole).map(Some)
        }
        Scalar::Boolean(_) => Err(Fault::WrongType),
    }
}

/// Returns the long that a double represents, if it represents exactly one.
fn whole(value: f64) -> Result<i64, Fault> {
    // From 2^53 on, several longs have the same double.
    if value.abs() >= FIRST_AMBIGUOUS_DOUBLE {
        return Err(Fault::OutOfRange);
    }
    if value.fract() != 0.0 {
        return Err(Fault::WrongType);
    }
    #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
    let long = value as i64;
    Ok(long)
}

pub(in crate::read) fn double(value: Scalar<'_>) -> Coerced<f64> {
    match value {
        Scalar::Double(value) => Ok(Some(value)),
        // Take the nearest double, as for every number with more digits than a double has.
        #[expect(clippy::cast_precision_loss, reason = "what a double is")]
        Scalar::Signed(value) => Ok(Some(value as f64)),
        #[expect(clippy::cast_precision_loss, reason = "what a double is")]
        Scalar::Unsigned(value) => Ok(Some(value as f64)),
        Scalar::Text("") => Ok(None),
        Scalar::Text(text) | Scalar::Number(text) => {
            // Rust parses more than JSON allows, such as `inf` and `1.`, so check the grammar
            // first.
            Number::parse(text).ok_or(Fault::WrongType)?;
            let value: f64 = text.parse().map_err(|_| Fault::WrongType)?;
            if value.is_finite() { Ok(Some(value)) } else { Err(Fault::OutOfRange) }
        }
        Scalar::Boolean(_) => Err(Fault::WrongType),
    }
}

pub(in crate::read) fn boolean(value: Scalar<'_>) -> Coerced<bool> {
    match value {
        Scalar::Boolean(value) => Ok(Some(value)),
        Scalar::Text("") => Ok(None),
        Scalar::Text(text) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
        Scalar::Text(text) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
        _ => Err(Fault::WrongType),
    }
}

/// Converts milliseconds to microseconds since the epoch.
pub(in crate::read) fn epoch_milliseconds(value: Scalar<'_>) -> Coerced<i64> {
    match long(value)? {
        Some(milliseconds) => {
            milliseconds.checked_mul(1000).filter(|micros| CALENDAR.contains(micros)).map(Some).ok_or(Fault::OutOfRange)
        }
        None => Ok(None),
    }
}

/// Converts seconds to microseconds since the epoch. Digits after the microseconds are dropped.
/// Computes in decimal, because a double with the current time in seconds is only exact to a
/// quarter of a microsecond.
pub(in crate::read) fn epoch_seconds(value: Scalar<'_>) -> Coerced<i64> {
    match value {
        Scalar::Text("") => Ok(None),
        Scalar::Text(text) | Scalar::Number(text) => {
            let number = Number::parse(text).ok_or(Fault::WrongType)?;
            // A timestamp of the calendar has at most 18 digits of microseconds, so 19 are enough.
            let scaled = number.scaled(MICROSECOND_PLACES, LONG_DIGITS).ok_or(Fault::OutOfRange)?;
            let micros = i64::try_from(scaled.value).ok().filter(|micros| CALENDAR.contains(micros));
            micros.map(Some).ok_or(Fault::OutOfRange)
        }
        Scalar::Boolean(_) => Err(Fault::WrongType),
        Scalar::Signed(_) | Scalar::Unsigned(_) | Scalar::Double(_) => Err(Fault::AskAsWritten),
    }
}

/// Converts RFC 3339 text to microseconds since the epoch. Digits after the microseconds are
/// dropped.
pub(in crate::read) fn rfc3339(value: Scalar<'_>) -> Coerced<i64> {
    match value {
        Scalar::Text("") => Ok(None),
        Scalar::Text(text) => {
            let time = DateTime::parse_from_rfc3339(text).map_err(|_| Fault::WrongType)?;
            // Microseconds since the epoch have no value for a leap second.
            if time.nanosecond() >= 1_000_000_000 {
                return Err(Fault::WrongType);
            }
            let micros = time.timestamp_micros();
            if CALENDAR.contains(&micros) { Ok(Some(micros)) } else { Err(Fault::OutOfRange) }
        }
        _ => Err(Fault::WrongType),
    }
}

/// Converts a date to days since the epoch.
pub(in crate::read) fn date(value: Scalar<'_>) -> Coerced<i32> {
    let Scalar::Text(text) = value else { return Err(Fault::WrongType) };
    if text.is_empty() {
        return Ok(None);
    }
    let date = parse_date(text.as_bytes()).ok_or(Fault::WrongType)?;
    // chrono has a year 0, SQL has none.
    if date.year() == 0 {
        return Err(Fault::OutOfRange);
    }
    Ok(Some(date.num_days_from_ce() - EPOCH_DAY))
}

/// Parses `YYYY-MM-DD` and nothing else. The parsers of chrono also accept `2018-1-5`.
fn parse_date(text: &[u8]) -> Option<NaiveDate> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text else { return None };
    let digits = |digits: &[u8]| {
        digits
            .iter()
            .try_fold(0u32, |value, digit| digit.is_ascii_digit().then(|| value * 10 + u32::from(digit - b'0')))
    };
    let year = i32::try_from(digits(&[*y1, *y2, *y3, *y4])?).ok()?;
    NaiveDate::from_ymd_opt(year, digits(&[*m1, *m2])?, digits(&[*d1, *d2])?)
}

/// Converts a number to a decimal, and returns it multiplied by 10^`scale`, as Arrow stores it.
/// Returns a fault if digits would be lost, or if there are more than `precision` digits.
pub(in crate::read) fn decimal(value: Scalar<'_>, precision: u8, scale: i8) -> Coerced<i128> {
    match value {
        Scalar::Text("") => Ok(None),
        Scalar::Text(text) | Scalar::Number(text) => {
            let number = Number::parse(text).ok_or(Fault::WrongType)?;
            let scaled = number.scaled(i64::from(scale), i64::from(precision)).ok_or(Fault::OutOfRange)?;
            if scaled.exact { Ok(Some(scaled.value)) } else { Err(Fault::WrongType) }
        }
        Scalar::Boolean(_) => Err(Fault::WrongType),
        Scalar::Signed(_) | Scalar::Unsigned(_) | Scalar::Double(_) => Err(Fault::AskAsWritten),
    }
}

/// Parts of a number's text, by the grammar of RFC 8259, section 6.
#[derive(Debug, Clone, Copy)]
struct Number<'a> {
    negative: bool,
    integer: &'a [u8],
    /// Digits after the decimal point, without the point.
    fraction: &'a [u8],
    /// Exponent, clamped to ±10^9. No text has enough digits to compensate for a larger one.
    exponent: Option<i64>,
}

/// A number times a power of ten, without the digits after the decimal point.
struct Scaled {
    value: i128,
    /// Whether every digit that was dropped is a zero.
    exact: bool,
}

impl<'a> Number<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let text = text.as_bytes();
        let (negative, rest) = match text {
            [b'-', rest @ ..] => (true, rest),
            _ => (false, text),
        };
        let (integer, rest) = split_digits(rest);
        if integer.is_empty() || (integer.len() > 1 && integer[0] == b'0') {
            return None;
        }
        let (fraction, rest): (&[u8], &[u8]) = match rest {
            [b'.', rest @ ..] => match split_digits(rest) {
                ([], _) => return None,
                split => split,
            },
            _ => (&[], rest),
        };
        let exponent = match rest {
            [] => None,
            [b'e' | b'E', rest @ ..] => Some(parse_exponent(rest)?),
            _ => return None,
        };
        Some(Self { negative, integer, fraction, exponent })
    }

    fn is_integer(&self) -> bool {
        self.fraction.is_empty() && self.exponent.is_none()
    }

    /// Returns this number times 10^`places`, or `None` if the result has more than `digits` (at
    /// most 38) digits.
    fn scaled(&self, places: i64, digits: i64) -> Option<Scaled> {
        let integer_digits = i64::try_from(self.integer.len()).ok()?;
        // Power of ten of the current digit in the result, starting with the first digit.
        let mut power = integer_digits - 1 + self.exponent.unwrap_or(0) + places;
        let mut scaled = Scaled { value: 0, exact: true };
        for digit in self.integer.iter().chain(self.fraction).map(|digit| i128::from(digit - b'0')) {
            if power < 0 {
                scaled.exact &= digit == 0;
            } else {
                // A digit beyond the limit must be a leading zero.
                if digit != 0 && power >= digits {
                    return None;
                }
                scaled.value = scaled.value * 10 + digit;
            }
            power -= 1;
        }
        // Append zeros after the last digit. A value of zero needs none, and its exponent may be
        // too large for `pow`.
        if scaled.value != 0 && power >= 0 {
            scaled.value *= 10i128.pow(u32::try_from(power + 1).ok()?);
        }
        if self.negative {
            scaled.value = -scaled.value;
        }
        Some(scaled)
    }
}

fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len()))
}

fn parse_exponent(text: &[u8]) -> Option<i64> {
    let (sign, digits) = match text {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] => (1, digits),
        _ => (1, text),
    };
    let (digits, rest) = split_digits(digits);
    if digits.is_empty() || !rest.is_empty() {
        return None;
    }
    // Clamped after each digit, so that a long exponent does not overflow.
    let magnitude = digits.iter().fold(0i64, |value, digit| (value * 10 + i64::from(digit - b'0')).min(1_000_000_000));
    Some(sign * magnitude)
}
