//! Tests of deeply nested queries.

use crate::sql::{CONFIG, ROWS};
use crate::support::cluster::{Worker, free_port};
use crate::support::{Done, Lake};

/// Name of a shape, and the query of this shape and a given depth.
type Shape = (&'static str, fn(usize) -> String);

/// All ways to nest a query deeply.
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

/// Asserts that a query succeeds or is refused with the limit, and does not abort the process.
fn assert_known_outcome(what: &str, done: &Done) {
    match done.code {
        Some(0) => {}
        Some(2) => {
            assert!(done.stderr.contains("too deep") && done.stderr.contains("more than"), "{what}: {}", done.stderr)
        }
        other => panic!("{what} ended with {other:?}: {}", done.stderr),
    }
}
