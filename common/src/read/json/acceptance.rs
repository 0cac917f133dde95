//! ③ Which declared types accept a value, by the rules of `coerce` and `timestamp`.
//!
//! `coordinator init` combines the answers for all values of a field, and declares a type that
//! accepts each of them.

use crate::config::resolved::TimestampFormat;
use crate::read::json::coerce::{Scalar, boolean, date, double, long};
use crate::read::json::number::Number;
use crate::read::json::timestamp::timestamp;

/// Types that accept a text or a number without making it null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "one flag per type")]
pub struct Acceptance {
    pub long: bool,
    pub double: bool,
    pub boolean: bool,
    pub date: bool,
    pub rfc3339: bool,
    /// `timestamp(auto)`, for texts that are not numbers.
    pub auto: bool,
}

impl Acceptance {
    /// Every type accepts the values that were seen so far, because there were none.
    pub const EVERY: Self = Self { long: true, double: true, boolean: true, date: true, rfc3339: true, auto: true };
    /// None of the types accepts the value.
    pub const NONE: Self =
        Self { long: false, double: false, boolean: false, date: false, rfc3339: false, auto: false };

    /// Returns the types that accept a text that is not empty.
    #[must_use]
    pub fn of_text(text: &str) -> Self {
        Self::EVERY.and_text(text)
    }

    /// Returns those of these types that also accept a text that is not empty. Other types are not
    /// tried, so that a long series of texts needs few conversions.
    #[must_use]
    pub fn and_text(self, text: &str) -> Self {
        let value = Scalar::Text(text);
        let is_timestamp = |format| timestamp(value, &[format], None).is_ok();
        let may_be_number = text.starts_with(|first: char| first.is_ascii_digit() || first == '-');
        let is_number = may_be_number && Number::parse(text).is_some();
        // No known text of a timestamp is longer. This keeps prose away from the parsers.
        let may_be_timestamp = !is_number && (8..=64).contains(&text.len()) && text.bytes().any(|b| b.is_ascii_digit());
        Self {
            long: self.long && is_number && long(value).is_ok(),
            double: self.double && is_number && double(value).is_ok(),
            boolean: self.boolean && boolean(value).is_ok(),
            date: self.date && date(value).is_ok(),
            rfc3339: self.rfc3339 && may_be_timestamp && is_timestamp(TimestampFormat::Rfc3339),
            auto: self.auto && may_be_timestamp && is_timestamp(TimestampFormat::Auto),
        }
    }

    /// Returns the types that accept the text of a JSON number, and the nearest double.
    #[must_use]
    pub fn of_number(text: &str) -> (Self, f64) {
        let value = Scalar::Number(text);
        if let Some(integer) = short_integer(text) {
            return (Self { long: true, double: true, ..Self::NONE }, integer);
        }
        let Some(number) = Number::parse(text) else { return (Self::NONE, f64::NAN) };
        let nearest = text.parse().unwrap_or(f64::NAN);
        // A number with a fraction or an exponent is parsed once, and is a long if its double is one.
        let is_long = if number.is_integer() { long(value) } else { long(Scalar::Double(nearest)) };
        (Self { long: is_long.is_ok(), double: nearest.is_finite(), ..Self::NONE }, nearest)
    }

    /// Returns the types that accept both this value and another one.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            long: self.long && other.long,
            double: self.double && other.double,
            boolean: self.boolean && other.boolean,
            date: self.date && other.date,
            rfc3339: self.rfc3339 && other.rfc3339,
            auto: self.auto && other.auto,
        }
    }
}

/// Returns the value of an integer that has so few digits that every type of numbers holds it.
fn short_integer(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.len() > 15 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value = digits.bytes().fold(0.0, |value, digit| value * 10.0 + f64::from(digit - b'0'));
    Some(if digits.len() < text.len() { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_accepted_by_the_types_that_can_hold_it() {
        let names = |accepted: Acceptance| {
            let Acceptance { long, double, boolean, date, rfc3339, auto } = accepted;
            let flags = [
                (long, "long"),
                (double, "double"),
                (boolean, "boolean"),
                (date, "date"),
                (rfc3339, "rfc3339"),
                (auto, "auto"),
            ];
            flags.iter().filter(|(is_accepted, _)| *is_accepted).map(|(_, name)| *name).collect::<Vec<_>>().join(" ")
        };
        for (text, expected) in [
            ("39", "long double"),
            ("007", ""),
            ("1.50", "double"),
            ("9223372036854775808", "double"),
            ("True", "boolean"),
            ("2018-11-21", "date auto"),
            ("2018-11-21T21:56:47Z", "rfc3339 auto"),
            ("2018-11-21 21:56:47", "auto"),
            ("Wed, 21 Nov 2018 21:56:47 GMT", "auto"),
            ("1542837407796", "long double"),
            ("11/12/2018", ""),
            ("soon", ""),
        ] {
            assert_eq!(names(Acceptance::of_text(text)), expected, "{text}");
        }
        for (text, expected) in [
            ("39", "long double"),
            ("39.5", "double"),
            ("1e400", ""),
            ("1e3", "long double"),
            ("-0", "long double"),
            ("-999999999999999", "long double"),
            ("9223372036854775808", "double"),
        ] {
            let (accepted, value) = Acceptance::of_number(text);
            assert_eq!(names(accepted), expected, "{text}");
            assert_eq!(value, text.parse::<f64>().unwrap(), "{text}");
        }
        assert_eq!(names(Acceptance::of_text("1.5").and_text("2")), "double");
        assert_eq!(names(Acceptance::of_text("2").and_text("x")), "");
    }
}
