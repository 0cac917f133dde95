//! Models that group by a key that is nearly unique: rows that are the only ones of their group do
//! not pass the aggregation, and the result is the same.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

use crate::cluster::ends_well;
use crate::support::Lake;
use crate::support::cluster::{Worker, free_port};

const CONFIG: &str = r#"
[lake]
url = "lake"

[sources.rows]
url = "in"
format = "ndjson"

[sources.rows.fields]
id = "long"
part = "string"
n = "long"
text = "string"

[tables.newest]
[tables.parts]
"#;

const NEWEST: &str = "
    WITH kept AS (SELECT * FROM staging.rows WHERE n >= 0)
    SELECT id, kept.part, max(text) AS text, min(kept.text) AS least, first_value(n ORDER BY n DESC) AS n
    FROM kept GROUP BY id, kept.part";
/// Too many rows share a key.
const PARTS: &str = "SELECT part, max(text) AS text FROM staging.rows GROUP BY part";
const ROWS: u32 = 110_000;
const MESSAGE: &str = "aggregates only rows whose key occurs more than once";

/// One row: id, part, number and text.
type Row = (Option<u32>, Option<&'static str>, i64, Option<String>);

/// Row of `newest` with its key removed: the greatest and the least text, and the greatest number.
type Newest = (Option<String>, Option<String>, i64);

/// Rows of which every hundredth has the key of another one, with another text, or with no text.
/// Parts of keys, and all of some keys, are null.
fn input() -> Vec<Row> {
    let part = |i: u32| [Some("a"), Some("b"), None][i as usize % 3];
    let row = |i: u32| (Some(i), part(i), i64::from(i) - 50, Some(format!("text {i}")));
    let mut rows: Vec<Row> = (0..ROWS).map(row).collect();
    for i in (0..ROWS).step_by(100) {
        let text = (i % 200 == 0).then(|| format!("tex {i}"));
        rows.push((Some(i), part(i), i64::from(i) * 2, text));
    }
    rows.extend([(None, None, 7, Some("x".to_owned())), (None, None, 5, Some("y".to_owned()))]);
    rows
}

/// Returns the number of rows of `newest`, its numbers of texts, and sums over its columns.
fn expected(rows: &[Row]) -> Value {
    let mut newest: BTreeMap<(Option<u32>, Option<&str>), Newest> = BTreeMap::new();
    for (id, part, n, text) in rows.iter().filter(|row| row.2 >= 0) {
        let (greatest, least, last) = newest.entry((*id, *part)).or_insert((None, None, i64::MIN));
        *greatest = greatest.clone().max(text.clone());
        *least = [least.clone(), text.clone()].into_iter().flatten().min();
        *last = (*last).max(*n);
    }
    let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    json!([
        newest.len(),
        newest.keys().filter(|(_, part)| part.is_some()).count(),
        newest.values().map(|(greatest, ..)| length(greatest)).sum::<usize>(),
        newest.values().map(|(_, least, _)| length(least)).sum::<usize>(),
        newest.values().map(|(.., n)| n).sum::<i64>(),
    ])
}

fn lake(rows: &[Row]) -> Lake {
    let mut text = String::new();
    for (id, part, n, value) in rows {
        writeln!(text, "{}", json!({"id": id, "part": part, "n": n, "text": value})).unwrap();
    }
    let (first, second) = text.split_at(text[..text.len() / 2].rfind('\n').unwrap() + 1);
    let models = [("models/newest.sql", NEWEST), ("models/parts.sql", PARTS)];
    Lake::of(&[&[("lake.toml", CONFIG), ("in/a.json", first), ("in/b.json", second)][..], &models].concat())
}

#[track_caller]
fn assert_tables(lake: &Lake, expected: &Value) {
    let sums = "SELECT count(*) AS a, count(part) AS b, sum(length(text)) AS c, sum(length(least)) AS d, sum(n) AS e FROM newest";
    assert_eq!(crate::sql::values(lake, sums), json!([expected]));
    assert_eq!(
        crate::sql::values(lake, "SELECT text FROM parts ORDER BY part"),
        json!([["text 99999"], ["text 99997"], ["y"]])
    );
}

#[test]
fn rows_with_a_key_of_their_own_are_not_aggregated_and_the_result_is_the_same() {
    let rows = input();
    let expected = expected(&rows);
    for threads in ["1", "3"] {
        let lake = lake(&rows);
        let environment = [("LAKEWRIGHT__LIMITS__THREADS", threads), ("RUST_LOG", "debug")];
        let done = lake.run_with(&["run"], &environment);
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        // Only the first table has such a key.
        assert_eq!(done.stderr.matches(MESSAGE).count(), 1, "{}", done.stderr);
        assert_tables(&lake, &expected);
    }

    let port = free_port();
    let lake = lake(&rows).on_cluster(port, 2);
    let workers = ["one", "two"].map(|name| Worker::start(port, name));
    let log = ends_well(lake.start(&[("LAKEWRIGHT__LIMITS__SPLIT_BYTES", "2MB"), ("RUST_LOG", "debug")]));
    assert_eq!(log.matches(MESSAGE).count(), 1, "{log}");
    assert_tables(&lake, &expected);
    drop(workers);
}
