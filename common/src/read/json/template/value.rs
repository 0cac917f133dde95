//! ③ Reads one value of a record into its column, if it is written in one of the common ways.
//!
//! Each function returns the offset after the value. `None` is a surprise: the value is wrong or
//! unusual, and a part of it may be in the column. The exact path (the parser) then reads the
//! record.
//!
//! | declared type | values that are read here |
//! |---|---|
//! | any | null |
//! | string | strings; booleans; numbers, once the column keeps them as written |
//! | long, timestamp(ms) | up to 18 digits, also as `39.0`, also in quotes; an empty string |
//! | double | every number that fits a double, also in quotes; an empty string |
//! | boolean | `true`, `false`; an empty string |
//! | date, time, decimal, other timestamps, numbers with separators | strings without escapes and, if the type allows them, numbers |
//! | json, undeclared | every value |
//! | binary | strings without escapes |
//! | list, map, struct, and fields with `null_values` | every value without a fault, read by the code of the exact path |

use serde::Deserialize;
use serde::de::{DeserializeSeed, IgnoredAny};

use crate::config::resolved::{FieldType, Separators, TimestampFormat};
use crate::read::json::coerce::Scalar;
use crate::read::json::columns::{Column, Values};
use crate::read::json::record::Record;
use crate::read::json::template::scan;
use crate::read::json::timestamp;
use crate::read::json::visitor::ValueSeed;

/// 2^53, the smallest whole number that shares its double with another whole number.
const FIRST_AMBIGUOUS_DOUBLE: u64 = 1 << 53;
/// Powers of ten that a double represents exactly, as many as [`scan::MAX_DIGITS`] digits need.
const EXACT_POWERS_OF_TEN: [f64; scan::MAX_DIGITS + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18];
const LONG_POWERS_OF_TEN: [u64; scan::MAX_DIGITS + 1] = {
    let mut powers = [1; scan::MAX_DIGITS + 1];
    let mut i = 1;
    while i < powers.len() {
        powers[i] = powers[i - 1] * 10;
        i += 1;
    }
    powers
};

/// Text of one record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) json: &'a str,
    /// The bytes of `json`, followed by [`scan::PADDING`] zero bytes.
    pub(super) padded: &'a [u8],
}

/// Way to read a value, chosen by the declared type of its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    String,
    Long,
    EpochMilliseconds,
    Double,
    Boolean,
    /// The text of the value is converted by `json::coerce`, as in the exact path.
    Coerced,
    Json,
    /// The value is read by the code of the exact path.
    Parsed,
    /// The field is not declared.
    Undeclared,
}

impl Kind {
    pub(super) fn of(column: &Column) -> Self {
        if !column.rules.null_values.is_empty() {
            return Self::Parsed;
        }
        match &column.field_type {
            FieldType::String => Self::String,
            FieldType::Long | FieldType::Double if column.rules.separators != Separators::JSON => Self::Coerced,
            FieldType::Long => Self::Long,
            FieldType::Timestamp(formats) if formats == &[TimestampFormat::EpochMilliseconds] => {
                Self::EpochMilliseconds
            }
            FieldType::Double => Self::Double,
            FieldType::Boolean => Self::Boolean,
            FieldType::Timestamp(_)
            | FieldType::Date
            | FieldType::Time
            | FieldType::Decimal { .. }
            | FieldType::Binary(_) => Self::Coerced,
            FieldType::Json => Self::Json,
            FieldType::List(_) | FieldType::Map(_) | FieldType::Struct(_) => Self::Parsed,
        }
    }
}

/// Reads the value that starts at offset `at` into `column`.
pub(super) fn read(kind: Kind, column: &mut Column, record: &mut Record, text: Text<'_>, at: usize) -> Option<usize> {
    let padded = text.padded;
    let first = *padded.get(at)?;
    if first == b'n' {
        let end = scan::word(padded, at, b"null")?;
        column.push_null();
        return Some(end);
    }
    match (kind, &mut column.values) {
        (Kind::String, Values::Text { ends, bytes }) if first == b'"' => {
            let end = scan::unescape(padded, at + 1, bytes)?;
            ends.push(i32::try_from(bytes.len()).ok()?);
            column.valid.append(true);
            Some(end)
        }
        (Kind::Long, Values::Long(values)) => {
            let (value, end) = quoted(padded, at, whole_number)?;
            values.push(value.unwrap_or_default());
            column.valid.append(value.is_some());
            Some(end)
        }
        (Kind::EpochMilliseconds, Values::Long(values)) => {
            let (value, end) = quoted(padded, at, whole_number)?;
            let micros = timestamp::epoch_milliseconds(value.map_or(Scalar::Text(""), Scalar::Signed)).ok()?;
            values.push(micros.unwrap_or_default());
            column.valid.append(micros.is_some());
            Some(end)
        }
        (Kind::Double, Values::Double(values)) => {
            let (value, end) = quoted(padded, at, |_, at| double(text, at))?;
            values.push(value.unwrap_or_default());
            column.valid.append(value.is_some());
            Some(end)
        }
        (Kind::Boolean, Values::Boolean(values)) => {
            let (value, end) = match first {
                b't' => (Some(true), scan::word(padded, at, b"true")?),
                b'f' => (Some(false), scan::word(padded, at, b"false")?),
                _ => (None, scan::word(padded, at, b"\"\"")?),
            };
            values.append(value.unwrap_or_default());
            column.valid.append(value.is_some());
            Some(end)
        }
        (Kind::String | Kind::Coerced, _) => coerced(column, text, at, first),
        (Kind::Json, _) => {
            let end = skip(text, at)?;
            column.push_json(text.json.get(at..end)?).ok()?;
            Some(end)
        }
        (Kind::Parsed, _) => parsed(column, record, text, at),
        _ => None,
    }
}

/// Returns the offset after the value at offset `at`, which may have any type.
pub(super) fn skip(text: Text<'_>, at: usize) -> Option<usize> {
    match text.padded.get(at)? {
        b'"' => scan::skip_string(text.padded, at + 1),
        b'n' => scan::word(text.padded, at, b"null"),
        b't' => scan::word(text.padded, at, b"true"),
        b'f' => scan::word(text.padded, at, b"false"),
        b'{' | b'[' => {
            let mut json = serde_json::Deserializer::from_str(text.json.get(at..)?);
            IgnoredAny::deserialize(&mut json).ok()?;
            Some(at + offset(json))
        }
        _ => scan::skip_number(text.padded, at),
    }
}

/// Reads a number that may be in quotes. Returns the number and the offset after the value. An
/// empty string is read as null (`None` instead of the number).
fn quoted<T>(
    text: &[u8],
    at: usize,
    number: impl FnOnce(&[u8], usize) -> Option<(T, usize)>,
) -> Option<(Option<T>, usize)> {
    if text.get(at)? != &b'"' {
        return number(text, at).map(|(value, end)| (Some(value), end));
    }
    if text.get(at + 1)? == &b'"' {
        return Some((None, at + 2));
    }
    let (value, end) = number(text, at + 1)?;
    scan::word(text, end, b"\"").map(|end| (Some(value), end))
}

fn whole_number(text: &[u8], at: usize) -> Option<(i64, usize)> {
    let is_negative = text.get(at)? == &b'-';
    let (magnitude, mut end) = integer(text, at + usize::from(is_negative))?;
    // The exact path reads `39.0` as a double, which identifies one long only below 2^53.
    if let Some(after) = scan::word(text, end, b".0") {
        if magnitude >= FIRST_AMBIGUOUS_DOUBLE {
            return None;
        }
        end = after;
    }
    let value = i64::try_from(magnitude).ok()?;
    // The exact path reads `-0` as a double.
    if is_negative { (value != 0).then_some((-value, end)) } else { Some((value, end)) }
}

/// Reads digits without leading zeros. Returns their value and the offset after them.
fn integer(text: &[u8], at: usize) -> Option<(u64, usize)> {
    let (value, count) = scan::digits(text, at)?;
    (count == 1 || (count > 1 && text.get(at)? != &b'0')).then_some((value, at + count))
}

fn double(text: Text<'_>, at: usize) -> Option<(f64, usize)> {
    if let Some(read) = short_double(text.padded, at) {
        return Some(read);
    }
    let end = scan::skip_number(text.padded, at)?;
    let value: f64 = text.json.get(at..end)?.parse().ok()?;
    value.is_finite().then_some((value, end))
}

/// Reads a number without an exponent, if its digits without the point are a whole number below
/// 2^53. Returns the number and the offset after it. The digits are divided by a power of ten. Both
/// are exact doubles, so the quotient is the double that is nearest to the number.
fn short_double(text: &[u8], at: usize) -> Option<(f64, usize)> {
    let is_negative = text.get(at)? == &b'-';
    let start = at + usize::from(is_negative);
    let (mut digits, mut end) = integer(text, start)?;
    let mut places = 0;
    if text.get(end)? == &b'.' {
        let (fraction, count) = scan::digits(text, end + 1)?;
        if count == 0 || (end - start) + count > scan::MAX_DIGITS {
            return None;
        }
        digits = digits * LONG_POWERS_OF_TEN[count] + fraction;
        places = count;
        end += 1 + count;
    }
    if digits >= FIRST_AMBIGUOUS_DOUBLE || matches!(text.get(end)?, b'e' | b'E') {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
    let value = digits as f64 / EXACT_POWERS_OF_TEN[places];
    Some((if is_negative { -value } else { value }, end))
}

/// Reads a value of a type that has no fast function in this file.
fn coerced(column: &mut Column, text: Text<'_>, at: usize, first: u8) -> Option<usize> {
    let (value, end) = match first {
        b'"' => {
            let end = scan::plain_end(text.padded, at + 1)?;
            (Scalar::Text(text.json.get(at + 1..end)?), scan::word(text.padded, end, b"\"")?)
        }
        b't' => (Scalar::Boolean(true), scan::word(text.padded, at, b"true")?),
        b'f' => (Scalar::Boolean(false), scan::word(text.padded, at, b"false")?),
        // Handle only columns that need numbers as written. The exact path passes other columns a
        // long or a double.
        _ if column.is_as_written => {
            let end = scan::skip_number(text.padded, at)?;
            (Scalar::Number(text.json.get(at..end)?), end)
        }
        _ => return None,
    };
    column.push(value).ok()?;
    Some(end)
}

/// Reads a value with the parser, as the exact path does. Returns `None` if there is a
/// fault.
fn parsed(column: &mut Column, record: &mut Record, text: Text<'_>, at: usize) -> Option<usize> {
    let mut json = serde_json::Deserializer::from_str(text.json.get(at..)?);
    ValueSeed { column, record: &mut *record }.deserialize(&mut json).ok()?;
    (record.faults() == 0 && !record.is_to_be_read_again).then(|| at + offset(json))
}

/// Returns the number of bytes that the parser has read.
fn offset(json: serde_json::Deserializer<serde_json::de::StrRead<'_>>) -> usize {
    json.into_iter::<IgnoredAny>().byte_offset()
}
