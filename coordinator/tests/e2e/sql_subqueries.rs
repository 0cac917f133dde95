//! Tests of subqueries, aggregates and filters for which DataFusion differs from PostgreSQL, Spark
//! and DuckDB.

use serde_json::json;

use crate::sql::{rows, values};

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

/// Two tables for correlated subqueries: `o` has a row without a match and one with null.
const TABLES: &str =
    "WITH o(a, b) AS (VALUES (1, 10), (2, 20), (NULL, 30)), i(a, c) AS (VALUES (1, 5), (1, 7), (NULL, 8)) ";

#[test]
fn a_subquery_over_the_same_table_compares_with_the_row_outside() {
    let lake = rows();
    for (condition, expected) in [
        ("id >= ALL (SELECT id FROM rows)", json!([[4]])),
        ("id > ANY (SELECT id FROM rows)", json!([[2], [3], [4]])),
        ("id <> ALL (SELECT id FROM rows WHERE id > 1)", json!([[1]])),
        ("id > 3 OR id NOT IN (SELECT id FROM rows WHERE id >= 2)", json!([[1], [4]])),
        ("id > 3 OR id IN (SELECT id FROM rows WHERE id < 2)", json!([[1], [4]])),
        ("CASE WHEN id IN (SELECT id FROM rows WHERE id < 3) THEN id = 2 ELSE id = 4 END", json!([[2], [4]])),
        ("coalesce(id IN (SELECT id FROM rows WHERE id = 3), true)", json!([[3]])),
        ("(id IN (SELECT id FROM rows WHERE id = 3)) IS FALSE", json!([[1], [2], [4]])),
        ("id NOT IN (SELECT id FROM rows WHERE id >= 2)", json!([[1]])),
        ("id IN (SELECT r.id FROM rows r WHERE r.g = rows.g AND r.id > 2)", json!([[3], [4]])),
        ("id NOT IN (SELECT r.id FROM rows r WHERE r.g = rows.g AND r.id > 2)", json!([[1], [2]])),
        ("id >= ALL (SELECT r.id FROM rows r WHERE r.g = rows.g)", json!([[2], [4]])),
    ] {
        assert_eq!(
            values(&lake, &format!("SELECT id FROM rows WHERE {condition} ORDER BY id")),
            expected,
            "{condition}"
        );
    }
}

#[test]
fn a_correlated_aggregate_of_no_rows_has_a_value() {
    let lake = rows();
    for (select, expected) in [
        ("count(*)", json!([[10, 2], [20, 0], [30, 0]])),
        ("count(*) + 1", json!([[10, 3], [20, 1], [30, 1]])),
        ("count(*) IS NULL", json!([[10, false], [20, false], [30, false]])),
        (
            "CASE WHEN count(*) IS NULL THEN 'null' ELSE 'value' END",
            json!([[10, "value"], [20, "value"], [30, "value"]]),
        ),
        ("count(*) * 0", json!([[10, 0], [20, 0], [30, 0]])),
        ("sum(c)", json!([[10, 12], [20, null], [30, null]])),
        ("coalesce(sum(c), 0)", json!([[10, 12], [20, 0], [30, 0]])),
        ("sum(c) IS NULL", json!([[10, false], [20, true], [30, true]])),
        ("CASE WHEN count(*) = 0 THEN 'none' ELSE 'some' END", json!([[10, "some"], [20, "none"], [30, "none"]])),
        ("bool_and(c > 5) IS NOT TRUE", json!([[10, true], [20, true], [30, true]])),
    ] {
        let of = "i WHERE i.a = o.a";
        let value = format!("{TABLES} SELECT b, (SELECT {select} FROM {of}) AS n FROM o ORDER BY b");
        assert_eq!(values(&lake, &value), expected, "{value}");
        let lateral =
            format!("{TABLES} SELECT b, l.n FROM o, LATERAL (SELECT {select} AS n FROM {of}) AS l ORDER BY b");
        assert_eq!(values(&lake, &lateral), expected, "{lateral}");
    }
    let sql = format!(
        "{TABLES} SELECT b, l.n, l.k FROM o, LATERAL (SELECT count(*) AS n, 'x' AS k FROM i WHERE i.a = o.a) AS l ORDER BY b"
    );
    assert_eq!(values(&lake, &sql), json!([[10, "x", 2], [20, "x", 0], [30, "x", 0]]));
    let sql = format!("{TABLES} SELECT b FROM o WHERE (SELECT count(*) FROM i WHERE i.a = o.a) = 0 ORDER BY b");
    assert_eq!(values(&lake, &sql), json!([[20], [30]]));
}

#[test]
fn the_value_of_a_subquery_without_rows_is_null() {
    let lake = rows();
    for (sql, expected) in [
        ("SELECT coalesce((SELECT 1 WHERE false), 7)", json!([[7]])),
        ("SELECT (SELECT 'x' FROM rows WHERE false) IS NULL", json!([[true]])),
        ("SELECT (SELECT count(*) FROM rows GROUP BY id HAVING id = 9) IS NULL", json!([[true]])),
        ("SELECT (SELECT count(*) FROM rows WHERE false) IS NULL", json!([[false]])),
        ("SELECT id FROM rows WHERE id = coalesce((SELECT 1 WHERE false), 2)", json!([[2]])),
        ("SELECT (SELECT 1) + 1", json!([[2]])),
    ] {
        assert_eq!(values(&lake, sql), expected, "{sql}");
    }
}

#[test]
fn a_condition_on_a_constant_column_stays_above_an_aggregate() {
    let lake = rows();
    let union = "(SELECT 'x' AS s, count(*) AS n FROM rows UNION ALL SELECT 'y', count(*) FROM rows WHERE id > 1) AS u";
    for (sql, expected) in [
        (format!("SELECT * FROM {union} WHERE s = 'y'"), json!([[3, "y"]])),
        (format!("SELECT * FROM {union} WHERE s = 'z'"), json!([])),
        (format!("SELECT * FROM {union} WHERE s <> 'y' AND n > 1"), json!([[4, "x"]])),
        ("SELECT count(*) AS n FROM rows HAVING 1 = 0".to_owned(), json!([])),
        (
            "SELECT * FROM (SELECT 'x' AS s, g, count(*) AS n FROM rows GROUP BY ROLLUP(g)) AS u WHERE s = 'y'".to_owned(),
            json!([]),
        ),
        (
            "SELECT a.g, b.n FROM (SELECT 1 AS g) AS a LEFT JOIN (SELECT 'a' AS s, count(*) AS n FROM rows) AS b ON b.s <> 'a'"
                .to_owned(),
            json!([[1, null]]),
        ),
        ("SELECT g, count(*) AS n FROM rows GROUP BY g HAVING g = 2".to_owned(), json!([[2, 2]])),
    ] {
        assert_eq!(values(&lake, &sql), expected, "{sql}");
    }
}
