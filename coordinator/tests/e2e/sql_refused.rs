//! Tests of SQL that DataFusion answers wrongly. It is refused, and the error says what to write
//! instead.

use serde_json::json;

use crate::sql::{rows, values};

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

#[test]
fn a_plan_that_is_answered_wrongly_is_refused_with_what_to_write_instead() {
    let lake = rows();
    let correlated = "FROM rows AS b WHERE b.g = rows.g";
    for (sql, instead) in [
        // Correlated subqueries.
        (format!("SELECT (SELECT count(*) {correlated} HAVING count(*) > 1) FROM rows"), "CASE WHEN"),
        (format!("SELECT (SELECT DISTINCT count(*) {correlated}) FROM rows"), "CASE WHEN"),
        (format!("SELECT (SELECT sum(n) FROM (SELECT count(*) AS n {correlated}) AS s) FROM rows"), "CASE WHEN"),
        (format!("SELECT id FROM rows WHERE EXISTS (SELECT 1 {correlated} OFFSET 2)"), "row_number()"),
        (format!("SELECT id FROM rows WHERE id NOT IN (SELECT b.id {correlated} LIMIT 1)"), "row_number()"),
        ("SELECT id FROM rows, (SELECT 1 AS k) AS o WHERE rows.g >= ALL (SELECT rows.id FROM rows WHERE rows.g = o.k)".to_owned(), "a name of its own"),
        ("SELECT * FROM rows, (VALUES ((SELECT 2))) AS b(i) WHERE id = i".to_owned(), "UNION ALL"),
        // Sorts and random values.
        ("SELECT count(*) FROM (SELECT id FROM rows ORDER BY g, id OFFSET 1) AS s".to_owned(), "LIMIT"),
        ("SELECT g FROM rows GROUP BY g HAVING random() < 0.5".to_owned(), "query around it"),
        ("SELECT g, id, count(*) FROM rows WHERE g = 1 GROUP BY ROLLUP(g, id) ORDER BY g, id".to_owned(), "UNION ALL"),
        ("SELECT x, id, count(*) FROM (SELECT g AS x, id FROM rows WHERE g = 1) AS s GROUP BY CUBE(x, id)".to_owned(), "UNION ALL"),
        // Intervals and times.
        ("SELECT INTERVAL '1 month' > INTERVAL '40 days'".to_owned(), "compare moments"),
        ("SELECT at - to_timestamp(t) > INTERVAL '1 day' FROM rows".to_owned(), "compare moments"),
        ("SELECT max(x) FROM (VALUES (INTERVAL '1 month'), (INTERVAL '40 days')) AS v(x)".to_owned(), "compare moments"),
        ("SELECT x FROM (VALUES (INTERVAL '1 month'), (INTERVAL '40 days')) AS v(x) ORDER BY x".to_owned(), "compare moments"),
        ("SELECT CAST('6' AS INTERVAL)".to_owned(), "INTERVAL '6 seconds'"),
        ("SELECT CAST(t AS INTERVAL) FROM rows".to_owned(), "INTERVAL '6 seconds'"),
        ("SELECT TIME '040506'".to_owned(), "TIME '04:05:06'"),
        ("SELECT TIME '23:59:60'".to_owned(), "TIME '04:05:06'"),
        ("SELECT CAST(t AS TIME) FROM rows".to_owned(), "to_time(x)"),
        ("SELECT CAST(1.5 AS TIMESTAMP)".to_owned(), "to_timestamp(x)"),
        ("SELECT CAST(m AS TIMESTAMP) FROM rows".to_owned(), "to_timestamp(x)"),
        ("SELECT to_char(at, 'YYYY-MM-DD') FROM rows".to_owned(), "%Y"),
        ("SELECT date_format(at, 'yyyy') FROM rows".to_owned(), "%Y"),
    ] {
        let error = lake.fails(&["query", &sql], 2);
        assert!(error.contains("hint: ") && error.contains(instead), "{sql}: {error}");
        assert!(error.contains("is not supported"), "{sql}: {error}");
    }
}

#[test]
fn what_is_near_to_a_refused_plan_is_answered() {
    let lake = rows();
    for (sql, expected) in [
        ("SELECT id FROM rows ORDER BY id OFFSET 3", json!([[4]])),
        ("SELECT sum(id) FROM (SELECT id FROM rows ORDER BY id LIMIT 2 OFFSET 1) AS s", json!([[5]])),
        (
            "SELECT id FROM rows WHERE EXISTS (SELECT 1 FROM rows AS b WHERE b.id > rows.id LIMIT 1) ORDER BY id",
            json!([[1], [2], [3]]),
        ),
        ("SELECT g, count(*) AS n FROM rows GROUP BY ROLLUP(g) ORDER BY g", json!([[1, 2], [2, 2], [null, 4]])),
        (
            "SELECT x, count(*) AS n FROM (SELECT 1 AS x UNION ALL SELECT 2) AS u GROUP BY ROLLUP(x) ORDER BY x",
            json!([[1, 1], [1, 2], [2, null]]),
        ),
        ("SELECT g, count(*) AS n FROM rows WHERE g = 1 GROUP BY g", json!([[1, 2]])),
        ("SELECT count(*) FROM rows WHERE random() < 2", json!([[4]])),
        ("SELECT at > to_timestamp(t) - INTERVAL '1 day' AS later FROM rows WHERE id = 1", json!([[true]])),
        ("SELECT TIME '04:05:06.5' AS t, TIME '23:59' AS u", json!([["04:05:06.500", "23:59:00"]])),
        ("SELECT to_char(at, '%Y') AS y FROM rows WHERE id = 1", json!([["2026"]])),
        ("SELECT CAST(86400 AS TIMESTAMP) AS at", json!([["1970-01-02T00:00:00"]])),
        ("SELECT to_timestamp(1.5) AS at", json!([["1970-01-01T00:00:01.500Z"]])),
    ] {
        assert_eq!(values(&lake, sql), expected, "{sql}");
    }
}
