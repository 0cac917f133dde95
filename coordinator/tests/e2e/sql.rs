//! SQL that DataFusion answers otherwise than PostgreSQL, Spark and DuckDB, and queries of any depth.
//! `docs/sql.md` lists what is decided.

use serde_json::{Value, json};

use crate::support::cluster::{Worker, free_port};
use crate::support::{Done, Lake};

const CONFIG: &str = r#"
[lake]
url = "lake"

[sources.rows]
url = "in"
format = "ndjson"

[sources.rows.fields]
id = { type = "long", required = true }
n = "long"
g = "long"
t = "string"
local = "string"
m = "decimal(10,2)"
w = "decimal(38,0)"
at = "timestamp"
tags = "list<string>"
place = "struct<city: string, at: struct<lat: double, lon: double>>"

[tables.rows]
"#;

const ROWS: &str = r#"{"id": 1, "n": 9223372036854775807, "g": 1, "t": "2026-03-01 10:00:00", "local": "2024-07-01 12:00:00", "m": 10.00, "w": 99999999999999999999999999999999999998, "at": "2026-03-01T10:00:00Z", "tags": ["a", null], "place": {"city": "Oslo", "at": {"lat": 59.9}}}
{"id": 2, "n": 2, "g": 1, "t": "2026-03-01T10:00:00+0100", "local": "2024-10-27 01:30:00", "m": 0.01, "w": 99999999999999999999999999999999999999, "tags": []}
{"id": 3, "g": 2, "local": "2024-03-31 01:30:00", "m": 0.01, "w": 0, "place": {"city": null}}
{"id": 4, "n": -9223372036854775808, "g": 2, "local": "2024-12-01 12:00:00", "m": -3.33}
"#;

const COPY: &str = "SELECT * FROM staging.rows";

fn rows() -> Lake {
    let lake = Lake::of(&[("lake.toml", CONFIG), ("models/rows.sql", COPY), ("in/a.json", ROWS)]);
    lake.ok(&["run"]);
    lake
}

/// The values of a query's rows, in their order.
fn values(lake: &Lake, sql: &str) -> Value {
    lake.query(sql).iter().map(|row| row.as_object().unwrap().values().cloned().collect::<Vec<_>>()).collect()
}

#[test]
fn every_format_prints_a_moment_with_the_offset_of_its_zone() {
    let lake = rows();
    let sql = "SELECT at AT TIME ZONE 'America/New_York' AS local, at FROM rows WHERE id = 1";
    for format in [None, Some("--csv"), Some("--json"), Some("--jsonlines"), Some("--markdown")] {
        let arguments: Vec<&str> = ["query", sql].into_iter().chain(format).collect();
        let printed = lake.ok(&arguments).stdout;
        assert!(printed.contains("2026-03-01T05:00:00-05:00"), "{format:?}: {printed}");
        assert!(printed.contains("2026-03-01T10:00:00Z"), "{format:?}: {printed}");
    }
}

#[test]
fn to_timestamp_reads_columns_of_texts_and_says_what_it_cannot_hold() {
    let lake = rows();
    let formats = "'%Y-%m-%dT%H:%M:%S%z', '%Y-%m-%d %H:%M:%S'";
    for (function, one) in [
        ("to_timestamp", 1_000_000_000),
        ("to_timestamp_seconds", 1),
        ("to_timestamp_millis", 1_000),
        ("to_timestamp_micros", 1_000_000),
        ("to_timestamp_nanos", 1_000_000_000_i64),
    ] {
        let sql = format!(
            "SELECT CAST({function}(t) AS BIGINT) AS a, CAST({function}(t, {formats}) AS BIGINT) AS b FROM rows ORDER BY id LIMIT 3"
        );
        let (ten, nine) = (1_772_359_200 * one, 1_772_355_600 * one);
        assert_eq!(values(&lake, &sql), json!([[ten, ten], [nine, nine], [null, null]]), "{function}");
    }
    let error = lake.fails(&["query", "SELECT to_timestamp(CAST(id AS DOUBLE) * 1541893856796) FROM rows"], 1);
    assert!(error.contains("to_timestamp_millis"), "{error}");
}

#[test]
fn an_expression_that_fails_on_every_row_is_found_before_the_run() {
    let lake = rows();
    for (sql, said) in [
        ("SELECT id, to_timestamp('today') AS at FROM staging.rows", "Error parsing timestamp from 'today'"),
        ("SELECT id, 9223372036854775807 + 1 AS n FROM staging.rows", "overflow"),
    ] {
        lake.write("models/rows.sql", sql.as_bytes());
        for command in ["check", "run"] {
            let error = lake.fails(&[command], 2);
            assert!(error.contains("table `rows`") && error.contains(said), "{command}: {error}");
        }
    }
    // What a condition keeps from being evaluated is no fault.
    lake.write(
        "models/rows.sql",
        b"SELECT CASE WHEN id > 9 THEN to_timestamp('never') END AS at, id FROM staging.rows",
    );
    lake.ok(&["check"]);
    lake.ok(&["run"]);
}

#[test]
fn whole_numbers_are_exact_or_an_error() {
    let lake = rows();
    for sql in [
        "SELECT n + 1 FROM rows WHERE id = 1",
        "SELECT n * 2 FROM rows WHERE id = 1",
        "SELECT 0 - n FROM rows WHERE id = 4",
        "SELECT n - 1 FROM rows WHERE id = 4",
        "SELECT -n FROM rows",
        "SELECT abs(n) FROM rows",
        "SELECT n / -1 FROM rows WHERE id = 4",
        "SELECT sum(n) FROM rows WHERE id < 3",
        "SELECT g, sum(n) FROM rows WHERE id < 3 GROUP BY g",
        "SELECT sum(n) OVER (ORDER BY id) FROM rows",
        "SELECT sum(n) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM rows",
        "SELECT sum(DISTINCT n) FROM rows WHERE id < 3",
        "SELECT sum(DISTINCT n), count(DISTINCT g) FROM rows WHERE id < 3",
        "SELECT sum(DISTINCT n) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM rows",
        "SELECT CAST(n AS INT) FROM rows",
        "SELECT CAST(n AS SMALLINT) + CAST(32767 AS SMALLINT) FROM rows WHERE id = 2",
        "SELECT id FROM rows WHERE n + id > 5",
        "SELECT a.id FROM rows a JOIN rows b ON a.n + 1 = b.n",
        "SELECT n + 1 AS m, count(*) FROM rows GROUP BY n + 1",
        "SELECT id FROM rows ORDER BY n * 3",
        "SELECT 9223372036854775807 + 1",
        "SELECT w * 10 FROM rows",
        "SELECT w + w FROM rows WHERE id = 2",
        "SELECT sum(w) FROM rows",
        "SELECT w * CAST(w AS DECIMAL(38, 0)) FROM rows",
    ] {
        let error = lake.fails(&["query", sql], 1);
        let named = ["overflow", "out of range", "too large", "can't cast"]
            .iter()
            .any(|text| error.to_lowercase().contains(text));
        assert!(named, "{sql}: {error}");
    }
    for (sql, expected) in [
        // In any order of the rows, though a part of the sum would overflow.
        ("SELECT sum(n) FROM rows", json!([[1]])),
        ("SELECT sum(n) + 1 - 2 * 3 FROM rows", json!([[-4]])),
        (
            "SELECT sum(n) OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND 2 PRECEDING) FROM rows ORDER BY id",
            json!([[null], [null], [9_223_372_036_854_775_807_i64], [2]]),
        ),
        (
            "SELECT g, sum(CAST(n AS DECIMAL(20, 0))) AS s FROM rows GROUP BY g ORDER BY g",
            json!([[1, 9_223_372_036_854_775_809_u64], [2, -9_223_372_036_854_775_808_i64]]),
        ),
        ("SELECT id + 1 - 1 * 2 AS a, -id AS b FROM rows WHERE id = 3", json!([[2, -3]])),
        ("SELECT count(*) AS a, sum(id) AS b, avg(id) AS c, sum(DISTINCT g) AS d FROM rows", json!([[4, 10, 2.5, 3]])),
        (
            "SELECT sum(id) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM rows ORDER BY id",
            json!([[1], [3], [5], [7]]),
        ),
        (
            "SELECT sum(DISTINCT g) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM rows ORDER BY id",
            json!([[1], [1], [3], [2]]),
        ),
        ("SELECT sum(id) FILTER (WHERE id > 9) FROM rows", json!([[null]])),
        (
            "WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r WHERE i < 4) SELECT sum(i) FROM r",
            json!([[10]]),
        ),
        (
            "SELECT arrow_typeof(sum(id)) AS a, arrow_typeof(max(id + 1)) AS b, arrow_typeof(sum(m)) AS c FROM rows",
            json!([["Int64", "Int64", "Decimal128(20, 2)"]]),
        ),
    ] {
        assert_eq!(values(&lake, sql), expected, "{sql}");
    }
    assert_eq!(
        lake.query("SELECT n + 1, sum(id) FROM rows WHERE id = 2 GROUP BY n + 1"),
        [json!({"rows.n + Int64(1)": 3, "sum(rows.id)": 2})]
    );
}

#[test]
fn decimals_are_rounded_half_away_from_zero() {
    let lake = rows();
    let decimal = |text: &str, precision: u8, scale: u8| format!("CAST({text} AS DECIMAL({precision}, {scale}))");
    for (sql, expected) in [
        ("SELECT avg(m), avg(-m) FROM rows WHERE id < 4".to_owned(), "3.340000,-3.340000"),
        ("SELECT avg(m), sum(m) FROM rows WHERE id > 1".to_owned(), "-1.103333,-3.31"),
        ("SELECT avg(m / 100) FROM rows WHERE id > 1".to_owned(), "-0.0110333333"),
        (
            "SELECT avg(m) OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) FROM rows ORDER BY id"
                .to_owned(),
            "10.000000\n5.005000\n3.340000\n-1.103333",
        ),
        ("SELECT avg(DISTINCT m), g FROM rows GROUP BY g ORDER BY g".to_owned(), "5.005000,1\n-1.660000,2"),
        (format!("SELECT {} / {}", decimal("2", 10, 2), decimal("3", 10, 2)), "0.666667"),
        (format!("SELECT {} / 3", decimal("-2", 10, 2)), "-0.666667"),
        (format!("SELECT {} / {}", decimal("1", 10, 6), decimal("-7", 10, 6)), "-0.1428571429"),
        // A wide average keeps all digits before its point, so it has fewer behind it.
        ("SELECT avg(w) FROM rows WHERE id < 3".to_owned(), "99999999999999999999999999999999999999"),
        (
            format!("SELECT avg({}) FROM (VALUES ('0.9'), ('0.9'), ('1.5')) AS v(d)", decimal("d", 38, 37)),
            "1.1000000000000000000000000000000000000",
        ),
        (format!("SELECT {}, {}", decimal("2.345", 10, 2), decimal("-2.345", 10, 2)), "2.35,-2.35"),
        (format!("SELECT {}", decimal(&decimal("-2.345", 10, 3), 10, 2)), "-2.35"),
        (format!("SELECT round({}, 2), round({0}, 0)", decimal("-2.545", 10, 3)), "-2.55,-3"),
    ] {
        let printed = lake.ok(&["query", &sql, "--csv"]).stdout;
        let (_, rows) = printed.split_once('\n').expect("a header");
        assert_eq!(rows.trim_end(), expected, "{sql}");
    }
}

#[test]
fn in_and_not_in_follow_three_valued_logic() {
    let lake = rows();
    let outer = "(VALUES (1, 1), (2, 2), (NULL, 3), (4, 4)) AS o(id, g)";
    let inner = "(VALUES (1, 1), (NULL, 2), (5, 4)) AS i(id, g)";
    let none = "(SELECT id FROM (VALUES (1)) AS v(id) WHERE id > 9)";
    for (condition, expected) in [
        // Uncorrelated.
        (format!("o.id NOT IN (SELECT id FROM {inner})"), vec![]),
        (format!("o.id NOT IN (SELECT id FROM {inner} WHERE id IS NOT NULL)"), vec![2, 4]),
        (format!("o.id NOT IN {none}"), vec![1, 2, 3, 4]),
        (format!("o.id IN (SELECT id FROM {inner})"), vec![1]),
        (format!("NOT (o.id IN (SELECT id FROM {inner}))"), vec![]),
        (format!("o.id <> ALL (SELECT id FROM {inner})"), vec![]),
        (format!("o.id = ANY (SELECT id FROM {inner})"), vec![1]),
        // Correlated: apache/datafusion#25347.
        (format!("3 NOT IN (SELECT i.id FROM {inner} WHERE i.g = o.g)"), vec![1, 3, 4]),
        (format!("o.id NOT IN (SELECT i.id FROM {inner} WHERE i.g = o.g)"), vec![3, 4]),
        (format!("NOT o.id IN (SELECT i.id FROM {inner} WHERE i.g = o.g)"), vec![3, 4]),
        (format!("o.id NOT IN (SELECT i.id FROM {inner} WHERE i.g <= o.g)"), vec![]),
        (format!("o.id <> ALL (SELECT i.id FROM {inner} WHERE i.g = o.g)"), vec![3, 4]),
        (format!("o.id IN (SELECT i.id FROM {inner} WHERE i.g = o.g)"), vec![1]),
        // Below other operators.
        (format!("o.g = 1 OR o.id NOT IN (SELECT id FROM {inner})"), vec![1]),
        (format!("o.g = 3 OR o.id NOT IN (SELECT i.id FROM {inner} WHERE i.g = o.g)"), vec![3, 4]),
        (format!("NOT (o.g = 9 OR o.id IN (SELECT id FROM {inner}))"), vec![]),
        (format!("NOT (o.g = 4 AND o.id IN (SELECT i.id FROM {inner} WHERE i.g = o.g))"), vec![1, 2, 3, 4]),
        (format!("(o.id IN (SELECT id FROM {inner})) IS NULL"), vec![2, 3, 4]),
        (format!("(o.id IN (SELECT i.id FROM {inner} WHERE i.g = o.g)) IS NULL"), vec![2]),
        (format!("(o.id NOT IN {none}) IS TRUE"), vec![1, 2, 3, 4]),
        (format!("CASE WHEN o.id IN (SELECT id FROM {inner}) THEN o.g = 1 ELSE o.g = 3 END"), vec![1, 3]),
        (format!("coalesce(o.id NOT IN (SELECT i.id FROM {inner} WHERE i.g = o.g), true)"), vec![2, 3, 4]),
    ] {
        let sql = format!("SELECT o.g FROM {outer} WHERE {condition} ORDER BY o.g");
        let found: Vec<i64> = lake.query(&sql).iter().map(|row| row["g"].as_i64().unwrap()).collect();
        assert_eq!(found, expected, "{condition}");
    }
}

#[test]
fn what_the_engine_answers_wrongly_is_refused_with_what_to_write_instead() {
    let lake = rows();
    let one = "(SELECT 1 AS x) AS b";
    let of_value = "(SELECT count(*) …)";
    for (sql, instead) in [
        ("SELECT id FROM rows EXCEPT ALL SELECT 1".to_owned(), "row_number()"),
        ("SELECT id FROM rows INTERSECT ALL SELECT 1".to_owned(), "row_number()"),
        ("SELECT t SIMILAR TO '2%' FROM rows".to_owned(), "LIKE"),
        ("SELECT w = 99999999999999999999 FROM rows".to_owned(), "CAST('99999999999999999999' AS DECIMAL(38, 0))"),
        ("SELECT id FROM rows AS a FULL JOIN (SELECT 9 AS id) AS b USING (id)".to_owned(), "coalesce"),
        ("SELECT id FROM (SELECT id FROM rows) a NATURAL RIGHT JOIN (SELECT 9 AS id) b".to_owned(), "coalesce"),
        (format!("SELECT id FROM rows WHERE EXISTS (SELECT count(*) FROM {one} WHERE b.x = rows.id)"), of_value),
        (format!("SELECT id FROM rows WHERE 0 IN (SELECT count(*) FROM {one} WHERE b.x = rows.id)"), of_value),
        (format!("SELECT id FROM rows WHERE id NOT IN (SELECT max(x) FROM {one} WHERE b.x = rows.id)"), of_value),
        ("SELECT lead(n, 2) IGNORE NULLS OVER (ORDER BY id) FROM rows".to_owned(), "lag"),
        ("SELECT lag(n, -1) IGNORE NULLS OVER (ORDER BY id) FROM rows".to_owned(), "lag"),
        ("SELECT date_part('microsecond', at - to_timestamp(t)) FROM rows".to_owned(), "'epoch'"),
    ] {
        let error = lake.fails(&["query", &sql], 2);
        assert!(error.contains("hint: ") && error.contains(instead), "{sql}: {error}");
    }
    let zero = format!("SELECT id FROM rows WHERE 0 = (SELECT count(*) FROM {one} WHERE b.x = rows.id) ORDER BY id");
    let left = "SELECT id FROM rows AS a LEFT JOIN (SELECT 1 AS id) AS b USING (id) ORDER BY id LIMIT 2";
    let lag = "SELECT lag(n, 1) IGNORE NULLS OVER (ORDER BY id) AS l FROM rows WHERE id > 1 ORDER BY id";
    let epoch = "SELECT date_part('epoch', at - to_timestamp(t)) AS s FROM rows WHERE id = 1";
    for (sql, expected) in [
        (zero.as_str(), json!([[2], [3], [4]])),
        (left, json!([[1], [2]])),
        (lag, json!([[null], [2], [2]])),
        (epoch, json!([[0.0]])),
    ] {
        assert_eq!(values(&lake, sql), expected, "{sql}");
    }
    lake.write("models/rows.sql", b"SELECT id FROM staging.rows EXCEPT ALL SELECT 1");
    let error = lake.fails(&["check"], 2);
    assert!(error.contains("table `rows`") && error.contains("hint: leave out `ALL`"), "{error}");
    lake.write("models/rows.sql", b"SELECT id FROM staging.rows AS a FULL JOIN (SELECT 9 AS id) AS b USING (id)");
    let error = lake.fails(&["run"], 2);
    assert!(error.contains("table `rows`") && error.contains("hint: join by `ON"), "{error}");
}

/// apache/datafusion#25244: filters of the physical plan went to the side whose column has the same name.
#[test]
fn a_filter_over_a_join_keeps_to_its_side() {
    let lake = rows();
    // Ids 1 and 2 have g = 1, ids 3 and 4 have g = 2; only ids 1 and 2 have a match of a larger id in their group.
    for (join, condition, expected) in [
        ("a RIGHT JOIN rows b ON a.g = b.g AND a.id < b.id", "a.id IS NULL", json!([[null, 1], [null, 3]])),
        ("b LEFT JOIN rows a ON a.g = b.g AND a.id < b.id", "a.id IS NULL", json!([[null, 1], [null, 3]])),
        ("a FULL JOIN rows b ON a.g = b.g AND a.id < b.id", "a.id IS NULL", json!([[null, 1], [null, 3]])),
        ("a FULL JOIN rows b ON a.g = b.g AND a.id < b.id", "b.id IS NULL", json!([[2, null], [4, null]])),
        (
            "a RIGHT JOIN rows b ON a.g = b.g AND a.id < b.id",
            "a.n IS NULL AND b.n IS NOT NULL",
            json!([[null, 1], [3, 4]]),
        ),
        ("a RIGHT JOIN rows b ON a.g = b.g AND a.id < b.id", "coalesce(a.n, 0) < 0 OR b.id = 4", json!([[3, 4]])),
    ] {
        let sql = format!("SELECT a.id AS a, b.id AS b FROM rows {join} WHERE {condition} ORDER BY a NULLS FIRST, b");
        assert_eq!(values(&lake, &sql), expected, "{join} WHERE {condition}");
        // Again with the names as they are, in a subquery.
        let named =
            format!("SELECT count(*) FROM (SELECT a.id, b.id, a.n, b.n, a.g FROM rows {join} WHERE {condition})");
        assert_eq!(lake.number(&named), expected.as_array().unwrap().len() as i64, "{named}");
    }
}

#[test]
fn a_list_with_expressions_of_columns_is_no_constant() {
    let lake = rows();
    for (condition, expected) in [
        ("abs(id) IN (CASE WHEN g = 1 THEN 5 ELSE id END, 9)", json!([[3], [4]])),
        ("abs(id) NOT IN (CASE WHEN g = 1 THEN 5 ELSE n END, 9)", json!([[1], [2], [4]])),
        ("id NOT IN (CASE WHEN g = 1 THEN 5 ELSE n END, 6, 7, 8, 9, 10)", json!([[1], [2], [4]])),
        ("(abs(id) IN (CASE WHEN g = 1 THEN 5 ELSE n END, 9)) IS NULL", json!([[3]])),
        ("abs(id) IN (coalesce(n, 3), g)", json!([[1], [2], [3]])),
        ("abs(id) IN (1, 4, NULL)", json!([[1], [4]])),
    ] {
        assert_eq!(
            values(&lake, &format!("SELECT id FROM rows WHERE {condition} ORDER BY id")),
            expected,
            "{condition}"
        );
    }
}

#[test]
fn a_local_time_is_a_moment_whatever_the_clocks_do() {
    let lake = rows();
    let expected =
        json!([["2024-07-01T11:00:00Z"], ["2024-10-27T00:30:00Z"], ["2024-03-31T01:30:00Z"], ["2024-12-01T12:00:00Z"]]);
    for moment in [
        "CAST(local AS TIMESTAMP) AT TIME ZONE 'Europe/London'",
        "arrow_cast(local, 'Timestamp(Microsecond, Some(\"Europe/London\"))')",
        "arrow_cast(CAST(local AS TIMESTAMP), 'Timestamp(Second, Some(\"Europe/London\"))')",
    ] {
        let sql =
            format!("SELECT arrow_cast({moment}, 'Timestamp(Second, Some(\"+00:00\"))') AS at FROM rows ORDER BY id");
        assert_eq!(values(&lake, &sql), expected, "{moment}");
    }
    let sql = "SELECT id, arrow_cast((TIMESTAMP '2024-03-30 01:30:00' AT TIME ZONE 'Europe/London') + INTERVAL '1 day', 'Timestamp(Second, Some(\"+00:00\"))') AS z FROM rows WHERE id = 1";
    assert_eq!(values(&lake, sql), json!([[1, "2024-03-31T01:30:00Z"]]));
    // As a constant, compared with a moment, and null.
    let sql = "SELECT id FROM rows WHERE at > CAST('2024-03-31 01:30:00' AS TIMESTAMP) AT TIME ZONE 'Europe/London'";
    assert_eq!(values(&lake, sql), json!([[1]]));
    let sql = "SELECT TRY_CAST('no time' AS TIMESTAMP) AT TIME ZONE 'Europe/London'";
    assert_eq!(values(&lake, sql), json!([[null]]));
}

#[test]
fn a_checksum_sees_every_type_and_every_value() {
    let lake = rows();
    let sum = |lake: &Lake| lake.checksums()[0].2.clone();
    let before = sum(&lake);
    assert_eq!(sum(&rows()), before);
    for (from, to) in [
        ("[\"a\", null]", "[\"a\"]"),
        ("[\"a\", null]", "[\"a, null\"]"),
        ("[]", "null"),
        ("{\"lat\": 59.9}", "{\"lon\": 59.9}"),
        ("{\"city\": null}", "null"),
        ("\"Oslo\"", "\"Bergen\""),
    ] {
        let changed =
            Lake::of(&[("lake.toml", CONFIG), ("models/rows.sql", COPY), ("in/a.json", &ROWS.replace(from, to))]);
        changed.ok(&["run"]);
        assert_ne!(sum(&changed), before, "{from} -> {to}");
    }
}

/// Models that need every rule, and how many rows they have.
const MODELS: &[(&str, &str)] = &[
    (
        "arithmetic",
        "SELECT g, sum(id) AS s, sum(id + 1 - 2) AS t, avg(m) AS a, max(m / 3) AS q FROM staging.rows GROUP BY g",
    ),
    (
        "moments",
        "SELECT id, to_timestamp(t) AS at, CAST(local AS TIMESTAMP) AT TIME ZONE 'Europe/London' AS london FROM staging.rows",
    ),
    (
        "missing",
        "SELECT o.id FROM staging.rows AS o WHERE 3 NOT IN (SELECT i.n FROM staging.rows AS i WHERE i.g = o.g)",
    ),
    (
        "windows",
        "SELECT id, sum(id) OVER (PARTITION BY g ORDER BY id) AS s, avg(m) OVER (PARTITION BY g) AS a FROM staging.rows",
    ),
    ("absent", "SELECT id FROM staging.rows WHERE id NOT IN (SELECT n FROM staging.rows WHERE g = 1)"),
    ("unknown", "SELECT id FROM staging.rows WHERE id NOT IN (SELECT n FROM staging.rows)"),
];

#[test]
fn workers_follow_the_same_rules() {
    let tables: String = MODELS.iter().map(|(name, _)| format!("[tables.{name}]\n")).collect();
    let config = CONFIG.replace("[tables.rows]\n", &tables);
    let lake = || {
        let lake = Lake::of(&[("lake.toml", &config), ("in/a.json", ROWS)]);
        for (name, sql) in MODELS {
            lake.write(&format!("models/{name}.sql"), sql.as_bytes());
        }
        lake
    };
    let one = lake();
    one.ok(&["run"]);
    assert_eq!(values(&one, "SELECT id FROM missing ORDER BY id"), json!([[1], [2]]));
    assert_eq!(values(&one, "SELECT id FROM absent ORDER BY id"), json!([[1], [3], [4]]));
    assert_eq!(values(&one, "SELECT count(*) FROM unknown"), json!([[0]]));
    let port = free_port();
    let cluster = lake().on_cluster(port, 2);
    let _workers = [Worker::start(port, "a"), Worker::start(port, "b")];
    cluster.ok(&["run"]);
    assert_eq!(cluster.checksums(), one.checksums());
    for (name, sql) in [
        ("arithmetic", "SELECT g, sum(n + 1) AS s FROM staging.rows GROUP BY g"),
        ("missing", "SELECT sum(n) AS s FROM staging.rows WHERE g = 1"),
    ] {
        let before = cluster.version();
        cluster.write(&format!("models/{name}.sql"), sql.as_bytes());
        let error = cluster.fails(&["run"], 1);
        assert!(error.to_lowercase().contains("overflow") && error.contains(name), "{error}");
        assert_eq!(cluster.version(), before);
        let (_, right) = MODELS.iter().find(|(model, _)| *model == name).unwrap();
        cluster.write(&format!("models/{name}.sql"), right.as_bytes());
    }
}

/// A query of some shape and depth.
type Shape = (&'static str, fn(usize) -> String);

/// Every way to make a query deep.
const SHAPES: &[Shape] = &[
    ("one operator", |n| format!("SELECT {} AS x FROM staging.rows", vec!["id"; n].join(" + "))),
    ("two operators", |n| format!("SELECT id{} AS x FROM staging.rows", " + g - id".repeat(n / 2))),
    ("texts", |n| format!("SELECT {} AS x FROM staging.rows", vec!["t"; n].join(" || "))),
    ("casts", |n| format!("SELECT id{} AS x FROM staging.rows", "::TEXT::BIGINT".repeat(n / 2))),
    ("or", |n| format!("SELECT id FROM staging.rows WHERE {}", numbered(n, " OR ", |i| format!("id = {i}")))),
    ("and", |n| format!("SELECT id FROM staging.rows WHERE {}", numbered(n, " AND ", |i| format!("id <> -{i}")))),
    ("not", |n| format!("SELECT id FROM staging.rows WHERE {}id = 1", "NOT ".repeat(n))),
    ("case", |n| {
        format!("SELECT {}0{} AS x FROM staging.rows", "CASE WHEN id = 1 THEN 1 ELSE ".repeat(n), " END".repeat(n))
    }),
    ("functions", |n| format!("SELECT {}id{} AS x FROM staging.rows", "abs(".repeat(n), ")".repeat(n))),
    ("subqueries", |n| format!("{}SELECT id FROM staging.rows{}", "SELECT id FROM (".repeat(n), ") AS t".repeat(n))),
    ("joins", |n| {
        format!(
            "SELECT r.id FROM staging.rows r {}",
            numbered(n, " ", |i| format!("LEFT JOIN staging.rows j{i} ON r.id = j{i}.id"))
        )
    }),
    ("commas", |n| {
        format!(
            "SELECT r.id FROM staging.rows r, {}",
            numbered(n, ", ", |i| format!("(SELECT id FROM staging.rows WHERE id = 1) c{i}"))
        )
    }),
    ("ctes", |n| {
        let next = |i: usize| format!("c{} AS (SELECT r.id FROM c{i} JOIN staging.rows r ON r.id = c{i}.id)", i + 1);
        format!("WITH c0 AS (SELECT id FROM staging.rows), {} SELECT id FROM c{n}", numbered(n, ", ", next))
    }),
    ("unions", |n| vec!["SELECT id FROM staging.rows"; n].join(" UNION ALL ")),
];

fn numbered(n: usize, separator: &str, item: impl Fn(usize) -> String) -> String {
    (0..n).map(item).collect::<Vec<_>>().join(separator)
}

#[test]
fn a_query_of_any_depth_is_answered_or_refused_by_name() {
    let config = CONFIG.replace("[tables.rows]", "[tables.deep]");
    for (name, shape) in SHAPES {
        for depth in [30, 190, 1_000, 10_000] {
            let sql = shape(depth);
            let lake = Lake::of(&[("lake.toml", &config), ("models/deep.sql", &sql), ("in/a.json", ROWS)]);
            let done = lake.run_with(&["run"], &[]);
            assert_known_outcome(&format!("{depth} {name}"), &done);
            assert!(depth > 30 || done.code == Some(0), "{name}: {}", done.stderr);
        }
    }
}

#[test]
fn a_plan_that_is_too_deep_for_workers_is_run_by_the_coordinator() {
    let tables: String = (0..SHAPES.len()).map(|i| format!("[tables.deep_{i}]\n")).collect();
    for depth in [30, 60, 190] {
        let lake = Lake::of(&[("lake.toml", &CONFIG.replace("[tables.rows]\n", &tables)), ("in/a.json", ROWS)]);
        for (i, (_, shape)) in SHAPES.iter().enumerate() {
            lake.write(&format!("models/deep_{i}.sql"), shape(depth).as_bytes());
        }
        lake.ok(&["run"]);
        let port = free_port();
        let cluster = Lake::of(&[("lake.toml", &CONFIG.replace("[tables.rows]\n", &tables)), ("in/a.json", ROWS)]);
        for (i, (_, shape)) in SHAPES.iter().enumerate() {
            cluster.write(&format!("models/deep_{i}.sql"), shape(depth).as_bytes());
        }
        let cluster = cluster.on_cluster(port, 2);
        let _workers = [Worker::start(port, "a"), Worker::start(port, "b")];
        cluster.ok(&["run"]);
        assert_eq!(cluster.checksums(), lake.checksums(), "{depth}");
    }
}

/// Done, or a refusal that names the limit; never an abort.
fn assert_known_outcome(what: &str, done: &Done) {
    match done.code {
        Some(0) => {}
        Some(2) => {
            assert!(done.stderr.contains("too deep") && done.stderr.contains("more than"), "{what}: {}", done.stderr)
        }
        other => panic!("{what} ended with {other:?}: {}", done.stderr),
    }
}
