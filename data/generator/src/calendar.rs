//! Distributes the lines of the log over days, and sets the time at which each line is due.
//!
//! The log starts on 2018-11-01 and has one file per day. A Saturday or Sunday has slightly more
//! than half as many lines as a weekday.

use chrono::{Datelike, Days, NaiveDate, Weekday};

/// First day of the log, in days since the epoch: 2018-11-01.
const FIRST_DAY: i64 = 17_836;
const DAY_SECONDS: i64 = 86_400;
const WEEKDAY_WEIGHT: u64 = 20;
const WEEKEND_WEIGHT: u64 = 11;

/// Distribution of the lines of a log over its days.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Calendar {
    days: u64,
    lines: u64,
    last_line: i64,
}

/// One day of a log. Each day has its own log file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Day {
    pub(crate) date: NaiveDate,
    /// Start of the day, in seconds since the epoch.
    pub(crate) start: i64,
    pub(crate) lines: u64,
}

impl Calendar {
    /// Creates the calendar of a log with `days` days and a total of `lines` lines.
    pub(crate) fn new(days: u64, lines: u64) -> Self {
        let mut calendar = Self { days, lines, last_line: 0 };
        let last = calendar.days().filter(|day| day.lines > 0).last();
        calendar.last_line = last.map_or(calendar.end(), |day| day.due(day.lines - 1));
        calendar
    }

    /// Returns the start of the log, in seconds since the epoch.
    pub(crate) fn start(&self) -> i64 {
        FIRST_DAY * DAY_SECONDS
    }

    /// Returns the end of the log (exclusive), in seconds since the epoch.
    pub(crate) fn end(&self) -> i64 {
        (FIRST_DAY + self.days as i64) * DAY_SECONDS
    }

    /// Returns the days in order.
    pub(crate) fn days(&self) -> impl Iterator<Item = Day> + use<> {
        let (days, lines) = (self.days, self.lines);
        let total = weight_before(days);
        let lines_before =
            move |day: u64| (u128::from(lines) * u128::from(weight_before(day)) / u128::from(total)) as u64;
        (0..days).map(move |day| Day {
            date: NaiveDate::default() + Days::new(FIRST_DAY as u64 + day),
            start: (FIRST_DAY + day as i64) * DAY_SECONDS,
            lines: lines_before(day + 1) - lines_before(day),
        })
    }

    /// Returns the time at which the last line of the log is due, in seconds since the epoch.
    pub(crate) fn last_line(&self) -> i64 {
        self.last_line
    }
}

impl Day {
    /// Returns the time at which a line of this day is due, in seconds since the epoch. The lines
    /// of a day are numbered from 0.
    pub(crate) fn due(&self, line: u64) -> i64 {
        self.start + (u128::from(line) * DAY_SECONDS as u128 / u128::from(self.lines.max(1))) as i64
    }
}

/// Returns the sum of the weights of the first `days` days. The number of lines of a day is
/// proportional to its weight.
fn weight_before(days: u64) -> u64 {
    let first = NaiveDate::default() + Days::new(FIRST_DAY as u64);
    let week: u64 = (0..7).map(|day| weight(first + Days::new(day))).sum();
    days / 7 * week + (0..days % 7).map(|day| weight(first + Days::new(day))).sum::<u64>()
}

fn weight(date: NaiveDate) -> u64 {
    if matches!(date.weekday(), Weekday::Sat | Weekday::Sun) { WEEKEND_WEIGHT } else { WEEKDAY_WEIGHT }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_days_hold_all_lines_and_weekends_fewer() {
        let days: Vec<_> = Calendar::new(30, 1000).days().collect();
        assert_eq!(days.iter().map(|day| day.lines).sum::<u64>(), 1000);
        assert_eq!(days[0].date.to_string(), "2018-11-01");
        assert_eq!(days[0].start, 1_541_030_400);
        assert_eq!(days[29].date.to_string(), "2018-11-30");
        assert!(days[2].lines < days[1].lines, "the third is a Saturday");
    }

    #[test]
    fn lines_are_due_in_order_and_within_their_day() {
        let day = Calendar::new(1, 1000).days().next().unwrap();
        let due: Vec<_> = (0..day.lines).map(|line| day.due(line)).collect();
        assert!(due.is_sorted());
        assert_eq!(due[0], day.start);
        assert!(due[999] < day.start + DAY_SECONDS);
    }
}
