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
        let value = Scalar::Text(text);
        let is_number = Number::parse(text).is_some();
        let is_timestamp = |format| timestamp(value, &[format], None).is_ok();
        // No known text of a timestamp is longer. This keeps prose away from the parsers.
        let may_be_timestamp = !is_number && (8..=64).contains(&text.len()) && text.bytes().any(|b| b.is_ascii_digit());
        Self {
            long: is_number && long(value).is_ok(),
            double: is_number && double(value).is_ok(),
            boolean: boolean(value).is_ok(),
            date: date(value).is_ok(),
            rfc3339: may_be_timestamp && is_timestamp(TimestampFormat::Rfc3339),
            auto: may_be_timestamp && is_timestamp(TimestampFormat::Auto),
        }
    }

    /// Returns the types that accept the text of a number.
    #[must_use]
    pub fn of_number(text: &str) -> Self {
        let value = Scalar::Number(text);
        Self { long: long(value).is_ok(), double: double(value).is_ok(), ..Self::NONE }
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
        for (text, expected) in [("39", "long double"), ("39.5", "double"), ("1e400", ""), ("1e3", "long double")] {
            assert_eq!(names(Acceptance::of_number(text)), expected, "{text}");
        }
    }
}
