//! Formats of `strftime` in the type of a timestamp, such as `%d/%b/%Y:%H:%M:%S %z`.

use std::fmt::Write;

use chrono::format::{Fixed, Item, Numeric, StrftimeItems};
use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime};

/// A format that determines a moment, or a local time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimestampPattern {
    text: String,
    kind: PatternKind,
}

/// Parts of a time that the texts of a format contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatternKind {
    /// A date, a time and an offset from UTC.
    WithOffset,
    /// A date and a time.
    Local,
    /// A date.
    Date,
    /// Seconds since the epoch.
    EpochSeconds,
}

impl TimestampPattern {
    /// Parses a format. Returns `None` if it is no format, or if its texts do not determine a time: a
    /// date is missing, an hour has no minute, or the zone is a name, which `chrono` does not read.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let items: Vec<Item<'_>> = StrftimeItems::new(text).collect();
        if items.iter().any(|item| matches!(item, Item::Error | Item::Fixed(Fixed::TimezoneName))) {
            return None;
        }
        let kind = if items.iter().any(|item| matches!(item, Item::Numeric(Numeric::Timestamp, _))) {
            PatternKind::EpochSeconds
        } else {
            kind(text)?
        };
        Some(Self { text: text.to_owned(), kind })
    }

    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    #[must_use]
    pub fn kind(&self) -> PatternKind {
        self.kind
    }
}

/// Determines which parts of a time a format contains, by writing two moments in the format and reading them
/// again. They have the same date, but another time and another offset.
fn kind(pattern: &str) -> Option<PatternKind> {
    let first = written("2018-11-21T21:56:47+01:00", pattern)?;
    let second = written("2018-11-21T09:03:05-02:30", pattern)?;
    if DateTime::parse_from_str(&first, pattern).is_ok() {
        return Some(PatternKind::WithOffset);
    }
    if NaiveDateTime::parse_from_str(&first, pattern).is_ok() {
        // An offset that is read as a part of a local time would be lost.
        let with_other_offset = written("2018-11-21T21:56:47-02:30", pattern)?;
        return (first == with_other_offset).then_some(PatternKind::Local);
    }
    // A date alone is the same text for both moments. Otherwise a part of the time would be lost.
    (first == second && NaiveDate::parse_from_str(&first, pattern).is_ok()).then_some(PatternKind::Date)
}

fn written(moment: &str, pattern: &str) -> Option<String> {
    let moment: DateTime<FixedOffset> = DateTime::parse_from_rfc3339(moment).ok()?;
    let mut text = String::new();
    // chrono reads `%#z`, but does not write it.
    write!(text, "{}", moment.format(&pattern.replace("%#z", "%z"))).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_formats_that_determine_a_time_are_accepted() {
        for (pattern, expected) in [
            ("%d/%b/%Y:%H:%M:%S %z", Some(PatternKind::WithOffset)),
            ("%Y-%m-%d %H:%M:%S%#z", Some(PatternKind::WithOffset)),
            ("%+", Some(PatternKind::WithOffset)),
            ("%Y-%m-%d %H:%M", Some(PatternKind::Local)),
            ("%d.%m.%Y %I:%M %p", Some(PatternKind::Local)),
            ("%Y%m%d", Some(PatternKind::Date)),
            ("%Y-%j", Some(PatternKind::Date)),
            ("%s", Some(PatternKind::EpochSeconds)),
            ("%s.%3f", Some(PatternKind::EpochSeconds)),
            ("%Y-%m-%d %H", None),
            ("%d.%m.%Y %I:%M", None),
            ("%Y-%m-%d %z", None),
            ("%Y-%m-%d %H:%M %Z", None),
            ("%H:%M", None),
            ("%Y-%m", None),
            ("%Y-%m-%d %Q", None),
            ("", None),
            ("soon", None),
        ] {
            assert_eq!(TimestampPattern::parse(pattern).map(|pattern| pattern.kind()), expected, "{pattern}");
        }
    }
}
