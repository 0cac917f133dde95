//! Tests of SQL values for which DataFusion differs from PostgreSQL, Spark and DuckDB.
//! `docs/sql.md` lists the decisions.

use serde_json::{Value, json};

use crate::support::Lake;
use crate::support::cluster::{Worker, free_port};

pub(crate) const CONFIG: &str = r#"
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

pub(crate) const ROWS: &str = r#"{"id": 1, "n": 9223372036854775807, "g": 1, "t": "2026-03-01 10:00:00", "local": "2024-07-01 12:00:00", "m": 10.00, "w": 99999999999999999999999999999999999998, "at": "2026-03-01T10:00:00Z", "tags": ["a", null], "place": {"city": "Oslo", "at": {"lat": 59.9}}}
{"id": 2, "n": 2, "g": 1, "t": "2026-03-01T10:00:00+0100", "local": "2024-10-27 01:30:00", "m": 0.01, "w": 99999999999999999999999999999999999999, "tags": []}
{"id": 3, "g": 2, "local": "2024-03-31 01:30:00", "m": 0.01, "w": 0, "place": {"city": null}}
{"id": 4, "n": -9223372036854775808, "g": 2, "local": "2024-12-01 12:00:00", "m": -3.33}
"#;

const COPY: &str = "SELECT * FROM staging.rows";

pub(crate) fn rows() -> Lake {
    let lake = Lake::of(&[("lake.toml", CONFIG), ("models/rows.sql", COPY), ("in/a.json", ROWS)]);
    lake.ok(&["run"]);
    lake
}

/// Returns the values of each row of a query, in the order of the rows. Within a row, the values
/// are sorted by the names of their columns.
pub(crate) fn values(lake: &Lake, sql: &str) -> Value {
    lake.query(sql).iter().map(|row| row.as_object().unwrap().values().cloned().collect::<Vec<_>>()).collect()
}

#[test]
fn extremes_of_groups_of_infinities_are_infinite() {
    let lake = rows();
    let groups = "(VALUES (1, '-Infinity'), (1, '-Infinity'), (2, 'Infinity'), (3, 'NaN'), (3, '1')) AS v (g, x)";
    let sql = format!(
        "SELECT g, CAST(max(CAST(x AS DOUBLE)) AS VARCHAR) AS h, CAST(min(CAST(x AS DOUBLE)) AS VARCHAR) AS i FROM {groups} GROUP BY g ORDER BY g"
    );
    assert_eq!(values(&lake, &sql), json!([[1, "-inf", "-inf"], [2, "inf", "inf"], [3, "NaN", "1.0"]]));
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
    for seconds in [
        "CAST(id AS DOUBLE) * 1541893856796",
        "CAST('infinity' AS DOUBLE)",
        "CAST('NaN' AS DOUBLE)",
        "CAST('-infinity' AS REAL)",
        "CASE WHEN id > 2 THEN CAST('infinity' AS REAL) END",
    ] {
        let error = lake.fails(&["query", &format!("SELECT to_timestamp({seconds}) FROM rows")], 1);
        assert!(error.contains("to_timestamp_millis"), "{seconds}: {error}");
    }
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
    // An expression that a condition protects from evaluation is no fault.
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
        // The sum is the same in any order of the rows, even if a partial sum would overflow.
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
        // An average of a wide type keeps all digits before its decimal point, so it has fewer
        // after it.
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

/// apache/datafusion#25244: filters of the physical plan went to the side that has a column of the
/// same name.
#[test]
fn a_filter_over_a_join_keeps_to_its_side() {
    let lake = rows();
    // Ids 1 and 2 have g = 1, ids 3 and 4 have g = 2; only ids 1 and 3 have a match with a larger
    // id in their group.
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
        // Run the same join in a subquery, with the original names.
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
    // Constants: one compared with a timestamp, and one that is null.
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

#[test]
fn a_model_may_compare_with_the_value_of_a_subquery() {
    let lake = rows();
    for (sql, expected) in [
        ("SELECT id FROM staging.rows WHERE id = (SELECT max(id) FROM staging.rows)", json!([[4]])),
        ("SELECT id, (SELECT 5 WHERE false) AS n FROM staging.rows WHERE id > 3", json!([[4, null]])),
        (
            "SELECT id, (SELECT count(*) FROM staging.rows b WHERE b.g = a.g) AS n FROM staging.rows a WHERE id > 3",
            json!([[4, 2]]),
        ),
    ] {
        lake.write("models/rows.sql", sql.as_bytes());
        lake.ok(&["check"]);
        lake.ok(&["run"]);
        assert_eq!(values(&lake, "SELECT * FROM rows"), expected, "{sql}");
    }
}

#[test]
fn a_moment_out_of_range_is_neither_printed_nor_stored() {
    let lake = rows();
    let far = "arrow_cast(9223372036854775807, 'Timestamp(Millisecond, None)')";
    for format in [None, Some("--csv"), Some("--json"), Some("--jsonlines"), Some("--markdown")] {
        let sql = format!("SELECT {far} AS far, [{far}] AS list FROM rows");
        let arguments: Vec<&str> = ["query", &sql].into_iter().chain(format).collect();
        let error = lake.fails(&arguments, 1);
        assert!(error.contains("column `far`") && error.contains("out of range"), "{format:?}: {error}");
    }
    for sql in
        ["SELECT now() AT TIME ZONE ''", "SELECT arrow_cast(id, 'Timestamp(Second, Some(\"+25:00\"))') FROM rows"]
    {
        let error = lake.fails(&["query", sql], 2);
        assert!(error.contains("is no time zone") && error.contains("hint: "), "{sql}: {error}");
    }
    let version = lake.version();
    for value in [
        far,
        "arrow_cast(253402300800 + id, 'Timestamp(Second, None)')",
        "arrow_cast(arrow_cast(2932896 + id, 'Int32'), 'Date32')",
        "arrow_cast(-62135596801 - id, 'Timestamp(Second, None)')",
    ] {
        lake.write("models/rows.sql", format!("SELECT id, {value} AS far FROM staging.rows").as_bytes());
        let error = lake.fails(&["run"], 1);
        assert!(error.contains("column `far`") && error.contains("years 1 to 9999"), "{value}: {error}");
        assert_eq!(lake.version(), version);
    }
    let sql =
        "SELECT id, arrow_cast(253402300799 - id, 'Timestamp(Second, None)') AS last FROM staging.rows WHERE id = 1";
    lake.write("models/rows.sql", sql.as_bytes());
    lake.ok(&["run"]);
    assert_eq!(values(&lake, "SELECT last FROM rows"), json!([["9999-12-31T23:59:58Z"]]));
}

/// Names and queries of models that together need every rule.
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
