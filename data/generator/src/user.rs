//! Listeners: a name and a place that never change, and a level that may change.

use crate::Options;
use crate::calendar::Calendar;
use crate::random::{Random, Subject};

/// First names. `Lily` must not be among them, because a question in the README identifies her by
/// her first name only.
const FIRST_NAMES: &[&str] = &[
    "Walter", "Kaylee", "Jayden", "Jacob", "Chloe", "Ryan", "Tegan", "Aleena", "Mohammad", "Kate", "Layla", "Theodore",
    "Connar", "Sylvie", "Zoë", "Avery", "Isaac", "Noé", "Wyatt", "Rylan", "Samuel", "Harper", "Joseph", "Celeste",
];
const LAST_NAMES: &[&str] = &[
    "Frye",
    "Summers",
    "Bell",
    "Klein",
    "Koch",
    "Cuevas",
    "Smith",
    "Levine",
    "Kirby",
    "Rodriguez",
    "Harrell",
    "Griffin",
    "Moody",
    "Sánchez",
    "Cruz",
    "Lynch",
    "Watkins",
    "O'Neill",
    "Arellano",
    "Gutierrez",
    "Burns",
    "Larson",
    "Thomas",
];
const PLACES: &[&str] = &[
    "San Francisco-Oakland-Hayward, CA",
    "Phoenix-Mesa-Scottsdale, AZ",
    "Lansing-East Lansing, MI",
    "New York-Newark-Jersey City, NY-NJ-PA",
    "Chicago-Naperville-Elgin, IL-IN-WI",
    "Portland-South Portland, ME",
    "Waterloo-Cedar Falls, IA",
    "Dallas-Fort Worth-Arlington, TX",
    "Janesville-Beloit, WI",
    "Klamath Falls, OR",
    "San Jose-Sunnyvale-Santa Clara, CA",
    "Tampa-St. Petersburg-Clearwater, FL",
    "Red Bluff, CA",
    "Eugene, OR",
];
/// User agents. Some are in quotes, as some clients send them.
const AGENTS: &[&str] = &[
    "\"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_9_4) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/36.0.1985.143 Safari/537.36\"",
    "\"Mozilla/5.0 (Windows NT 6.1; WOW64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/36.0.1985.125 Safari/537.36\"",
    "\"Mozilla/5.0 (iPhone; CPU iPhone OS 7_1_2 like Mac OS X) AppleWebKit/537.51.2 (KHTML, like Gecko) Version/7.0 Mobile/11D257 Safari/9537.53\"",
    "Mozilla/5.0 (X11; Linux x86_64; rv:31.0) Gecko/20100101 Firefox/31.0",
    "Mozilla/5.0 (Windows NT 6.1; rv:31.0) Gecko/20100101 Firefox/31.0",
    "Mozilla/5.0 (compatible; MSIE 10.0; Windows NT 6.2; WOW64; Trident/6.0)",
];

/// A listener.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct User {
    /// Id of the user, which is at least 2.
    pub(crate) user_id: u64,
    pub(crate) first_name: &'static str,
    pub(crate) last_name: &'static str,
    pub(crate) gender: &'static str,
    pub(crate) location: &'static str,
    pub(crate) user_agent: &'static str,
    /// Time of registration in milliseconds since the epoch.
    pub(crate) registration: f64,
    starts_paid: bool,
    /// Times of level changes, in seconds since the epoch; `i64::MAX` for a change that never
    /// happens.
    turns: [i64; 2],
}

impl User {
    /// Returns the user with this number. Number 0 is Lily, who has the free level until the last
    /// event of the log.
    pub(crate) fn at(options: &Options, calendar: &Calendar, number: u64) -> Self {
        let mut random = Random::keyed(options.seed, Subject::User, number);
        let (start, end) = (calendar.start(), calendar.end());
        let within = |random: &mut Random| start + random.below((end - start) as u64) as i64;
        let turns = match (random.chance(options.level_changes), random.below(3)) {
            (false, _) => [i64::MAX; 2],
            (true, 0) => [within(&mut random), within(&mut random)],
            (true, _) => [within(&mut random), i64::MAX],
        };
        let days_before = 1 + random.below(90) as i64;
        let second = random.below(86_400) as i64;
        let user = Self {
            user_id: number + 2,
            first_name: random.pick(FIRST_NAMES),
            last_name: random.pick(LAST_NAMES),
            gender: random.pick(&["F", "M"]),
            location: random.pick(PLACES),
            user_agent: random.pick(AGENTS),
            registration: ((start - days_before * 86_400 + second) * 1000 + 796) as f64,
            starts_paid: random.chance(0.3),
            turns,
        };
        if number > 0 {
            return user;
        }
        let turns = [calendar.last_line(), i64::MAX];
        Self { first_name: "Lily", last_name: "Koch", gender: "F", starts_paid: false, turns, ..user }
    }

    /// Returns the user's level, `free` or `paid`, at time `at` in seconds since the epoch.
    pub(crate) fn level(&self, at: i64) -> &'static str {
        let turned = self.turns.iter().filter(|turn| at >= **turn).count() % 2 == 1;
        if self.starts_paid != turned { "paid" } else { "free" }
    }

    #[cfg(test)]
    pub(crate) fn changes_level(&self) -> bool {
        self.turns[0] != i64::MAX
    }
}
