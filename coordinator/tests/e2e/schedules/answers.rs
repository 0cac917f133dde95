//! The input of a schedule and the expected answers, which are computed without code of Lakewright.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::plan::Random;

/// Configuration with two sources, a table for each, and a table over both, so that models read
/// each other and rows are exchanged.
pub(super) const CONFIG: &str = r#"
[lake]
url = "lake"

[sources.events]
url = "in/events"
format = "ndjson"
max_quarantine_share = 0.9

[sources.events.fields]
id = { type = "long", required = true }
who = "string"
amount = "long"

[sources.people]
url = "in/people"
format = "json"

[sources.people.fields]
who = { type = "string", required = true }
name = "string"

[tables.people]
sql = "people.sql"
key = ["who"]

[tables.events]
sql = "events.sql"
key = ["id"]
partition_by = ["who"]

[tables.totals]
sql = "totals.sql"
key = ["who"]

[limits]
threads = 2
split_bytes = "600B"
"#;

/// SQL that DuckDB can run too, for the checker.
pub(super) const MODELS: [(&str, &str); 3] = [
    ("people.sql", "SELECT who, max(name) AS name FROM staging.people GROUP BY who"),
    ("events.sql", "SELECT id, max(amount) AS amount, max(who) AS who FROM staging.events GROUP BY id"),
    (
        "totals.sql",
        "SELECT events.who, count(*) AS n, CAST(sum(amount) AS BIGINT) AS total, max(name) AS name
         FROM events LEFT JOIN people ON events.who = people.who GROUP BY events.who",
    ),
];

/// Query for the rows of `events` and of `totals` by person, in one answer.
pub(super) const QUESTION: &str =
    "SELECT 'events' AS t, who, count(*) AS n, CAST(sum(amount) AS BIGINT) AS total FROM events GROUP BY who
     UNION ALL SELECT 'totals' AS t, who, n, total FROM totals ORDER BY t, who";

/// Query for two counts that are equal in every version of the lake.
pub(super) const CONSISTENT: &str =
    "SELECT (SELECT count(*) FROM events) AS events, (SELECT coalesce(sum(n), 0) FROM totals) AS totals";

/// Input that was written to the sources so far.
#[derive(Debug, Default)]
pub(super) struct Input {
    objects: u64,
    /// Person and amount of each id.
    events: BTreeMap<i64, (String, i64)>,
}

impl Input {
    /// Returns the next object of each source: its key below `in/`, and its content.
    pub(super) fn next(&mut self, random: &mut Random) -> [(String, String); 2] {
        self.objects += 1;
        let number = self.objects;
        let mut text = String::new();
        for _ in 0..20 + random.below(60) {
            // Ids repeat with the same values, as with at-least-once delivery.
            let id = i64::try_from(random.below(1000)).expect("a small number");
            let (who, amount) = (format!("person {}", id % 7), id * 3 - 100);
            let _ = writeln!(text, "{{\"id\": {id}, \"who\": \"{who}\", \"amount\": {amount}}}");
            self.events.insert(id, (who, amount));
            if random.below(20) == 0 {
                text.push_str("{\"id\": \n");
            }
        }
        let who = random.below(9);
        let person = json!({ "who": format!("person {who}"), "name": format!("Name {who}") }).to_string();
        [(format!("events/{number:03}.json"), text), (format!("people/{number:03}.json"), person)]
    }

    /// Returns the expected answer to [`QUESTION`].
    pub(super) fn answer(&self) -> Vec<Value> {
        let mut people: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
        for (who, amount) in self.events.values() {
            let (count, total) = people.entry(who).or_default();
            *count += 1;
            *total += amount;
        }
        let rows = |table: &'static str| {
            people.iter().map(move |(who, (n, total))| json!({ "t": table, "who": who, "n": n, "total": total }))
        };
        rows("events").chain(rows("totals")).collect()
    }
}
