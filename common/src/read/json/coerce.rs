//! ③ Converts a JSON value to a declared type, by the rules of `docs/types.md`, one function per
//! type.
//!
//! The functions are pure: they convert a scalar to a value, to null, or to a fault. Lists, maps and
//! structs are converted item by item, so they have no function here. `timestamp` has the rules of
//! timestamps. A test compares the table in `docs/types.md` with these files.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::GeneralPurposeConfig;
use base64::engine::{DecodePaddingMode, GeneralPurpose};
use chrono::{Datelike, NaiveDate};

use crate::config::resolved::BinaryEncoding;
use crate::read::json::number::Number;

/// 2^53, the smallest positive long that shares its double with another long. From here on, a
/// number that is written as `N.0` does not identify a single long.
const FIRST_AMBIGUOUS_DOUBLE: f64 = 9_007_199_254_740_992.0;
/// Number of the day 1970-01-01, if 0001-01-01 is day 1 (as in chrono's `num_days_from_ce`).
const EPOCH_DAY: i32 = 719_163;
/// Length of the hour and the minute of a time of day.
const MINUTES_LENGTH: usize = "21:56".len();
/// Length of the second of a time of day, with the colon before it.
const SECONDS_LENGTH: usize = ":47".len();
/// Number of digits after the point of a second that are kept.
const MICRO_DIGITS: usize = 6;
/// Base64 with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Base64 for URLs, which has `-` and `_` instead of `+` and `/`.
const BASE64_FOR_URLS: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

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

/// Converts a time of day to the text `HH:MM:SS`, followed by a fraction of up to six digits without
/// zeros at its end. Such texts sort in the order of the times. Drops further digits.
pub(in crate::read) fn time(value: Scalar<'_>) -> Coerced<Cow<'_, str>> {
    let Scalar::Text(text) = value else { return Err(Fault::WrongType) };
    if text.is_empty() {
        return Ok(None);
    }
    let (minutes, rest) = text.split_at_checked(MINUTES_LENGTH).ok_or(Fault::WrongType)?;
    let (seconds, rest) = match rest {
        "" => (":00", ""),
        _ => rest.split_at_checked(SECONDS_LENGTH).ok_or(Fault::WrongType)?,
    };
    let [h1, h2, b':', m1, m2] = minutes.as_bytes() else { return Err(Fault::WrongType) };
    let [b':', s1, s2] = seconds.as_bytes() else { return Err(Fault::WrongType) };
    let digits = rest.strip_prefix('.').filter(|digits| !digits.is_empty()).unwrap_or_default();
    let are_digits = [h1, h2, m1, m2, s1, s2].into_iter().chain(digits.as_bytes()).all(u8::is_ascii_digit);
    if !are_digits || (digits.is_empty() && !rest.is_empty()) {
        return Err(Fault::WrongType);
    }
    if (*h1, *h2) > (b'2', b'3') || *m1 > b'5' || *s1 > b'5' {
        return Err(Fault::OutOfRange);
    }
    let fraction = digits[..digits.len().min(MICRO_DIGITS)].trim_end_matches('0');
    if fraction.len() == digits.len() && seconds.len() + minutes.len() + rest.len() == text.len() {
        return Ok(Some(Cow::Borrowed(text)));
    }
    let point = if fraction.is_empty() { "" } else { "." };
    Ok(Some(Cow::Owned([minutes, seconds, point, fraction].concat())))
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

/// Converts `NaN`, `Infinity` and `-Infinity`, if they are allowed.
pub(in crate::read) fn non_finite(value: Scalar<'_>) -> Option<f64> {
    match value {
        Scalar::Text("NaN") => Some(f64::NAN),
        Scalar::Text("Infinity") => Some(f64::INFINITY),
        Scalar::Text("-Infinity") => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// Converts the text of bytes.
pub(in crate::read) fn binary(value: Scalar<'_>, encoding: BinaryEncoding) -> Coerced<Vec<u8>> {
    let Scalar::Text(text) = value else { return Err(Fault::WrongType) };
    if text.is_empty() {
        return Ok(None);
    }
    let bytes = match encoding {
        BinaryEncoding::Base64 if text.contains(['-', '_']) => BASE64_FOR_URLS.decode(text).ok(),
        BinaryEncoding::Base64 => BASE64.decode(text).ok(),
        BinaryEncoding::Hex => hex::decode(text).ok(),
    };
    bytes.map(Some).ok_or(Fault::WrongType)
}
