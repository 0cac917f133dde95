//! Recognizes numbers that are times since the epoch, by their size and by the name of their field.

use super::profile::Numbers;

/// The years 2000 and 2100 in seconds since the epoch.
const TIMES: (f64, f64) = (946_684_800.0, 4_102_444_800.0);
/// Units of numbers since the epoch, with their number per second.
const UNITS: [(&str, f64); 4] = [("s", 1.0), ("ms", 1e3), ("us", 1e6), ("ns", 1e9)];
/// Words in the name of a field that suggest a time.
const WORDS_OF_TIMES: &[&str] = &[
    "ts",
    "time",
    "timestamp",
    "date",
    "datetime",
    "at",
    "on",
    "when",
    "epoch",
    "created",
    "updated",
    "modified",
    "deleted",
    "registration",
    "registered",
    "expires",
    "expiry",
    "expiration",
    "started",
    "ended",
    "published",
    "seen",
    "login",
    "utc",
];
/// Ends of names in lower case that suggest a time.
const ENDS_OF_TIMES: &[&str] = &["time", "timestamp", "datetime"];

/// Returns the unit in which all numbers are times between the years 2000 and 2100.
pub(super) fn epoch_unit(numbers: &Numbers) -> Option<&'static str> {
    // A number with a fraction is only accepted in seconds, where up to six digits are kept.
    let is_whole = numbers.accepted.long;
    let is_in = |per_second: f64| numbers.min >= TIMES.0 * per_second && numbers.max <= TIMES.1 * per_second;
    let (unit, _) = UNITS.iter().find(|(_, per_second)| is_in(*per_second))?;
    (is_whole || (*unit == "s" && numbers.digits.1 <= 6 && !numbers.has_exponent)).then_some(unit)
}

/// Whether the name of a field suggests a time.
pub(super) fn suggests_time(name: &str) -> bool {
    let mut words = String::new();
    let mut was_lower = false;
    for c in name.chars() {
        if c.is_uppercase() && was_lower {
            words.push(' ');
        }
        words.push(if c.is_alphanumeric() { c.to_ascii_lowercase() } else { ' ' });
        was_lower = c.is_lowercase();
    }
    words
        .split_whitespace()
        .any(|word| WORDS_OF_TIMES.contains(&word) || ENDS_OF_TIMES.iter().any(|end| word.ends_with(end)))
}
