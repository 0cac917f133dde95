//! Compares plans in which aggregations are bypassed with the plans of the same queries.

use std::collections::BTreeMap;

use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};
use arrow::util::pretty::pretty_format_batches;
use datafusion::prelude::SessionContext;
use lakewright_common::report::WrittenFile;
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;

use super::*;

const QUERIES: [&str; 6] = [
    "SELECT k, t, max(v) AS v, min(v), max(d) FROM rows GROUP BY k, t",
    "SELECT max(v) FROM rows GROUP BY k + 1",
    "SELECT r.t, first_value(v ORDER BY d, v), last_value(d ORDER BY v, d) FROM rows AS r GROUP BY r.t",
    "WITH one AS (SELECT k, max(v) AS v FROM rows WHERE k <> 3 GROUP BY k HAVING max(v) IS NOT NULL)
     SELECT a.k, a.v, b.t FROM one AS a LEFT JOIN rows AS b ON a.k = b.k",
    "SELECT count(*), max(v) FROM (SELECT k, max(v) AS v FROM rows GROUP BY k)",
    "SELECT k, max(v) FROM rows GROUP BY k UNION ALL SELECT k, max(v) FROM rows GROUP BY k ORDER BY 1 DESC",
];

type Row = (Option<i64>, Option<String>, Option<String>, Option<f64>);

fn session(rows: &[Row]) -> SessionContext {
    let session = SessionContext::new();
    let column = |name, values: ArrayRef| (name, values, true);
    let batch = RecordBatch::try_from_iter_with_nullable([
        column("k", Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>())),
        column("t", Arc::new(rows.iter().map(|row| row.1.as_deref()).collect::<StringArray>())),
        column("v", Arc::new(rows.iter().map(|row| row.2.as_deref()).collect::<StringArray>())),
        column("d", Arc::new(rows.iter().map(|row| row.3).collect::<Float64Array>())),
    ]);
    session.register_batch("rows", batch.unwrap()).unwrap();
    session
}

/// Returns the printed rows of a plan in a fixed order.
async fn result(session: &SessionContext, plan: &LogicalPlan) -> Vec<String> {
    let batches = session.execute_logical_plan(plan.clone()).await.unwrap().collect().await.unwrap();
    let mut lines: Vec<String> =
        pretty_format_batches(&batches).unwrap().to_string().lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Returns the hashes of the keys that have several rows.
async fn repeated(session: &SessionContext, aggregate: &Aggregate) -> Vec<u64> {
    let input = LogicalPlanBuilder::from(aggregate.input.as_ref().clone());
    let plan = input.project([hash_of_key(aggregate).alias(HASH)]).unwrap().build().unwrap();
    let batches = session.execute_logical_plan(plan).await.unwrap().collect().await.unwrap();
    let hashes: Vec<u64> = batches.iter().flat_map(|batch| hash_column(batch).to_vec()).collect();
    let is_repeated = |hash: &u64| hashes.iter().filter(|other| *other == hash).count() > 1;
    hashes.iter().copied().filter(is_repeated).collect()
}

fn aggregations(plan: &LogicalPlan) -> Vec<Aggregate> {
    let mut found = Vec::new();
    plan.apply(|node| {
        if let LogicalPlan::Aggregate(aggregate) = node
            && aggregate.aggr_expr.iter().all(|result| value_of_single_row(result).is_some())
        {
            found.push(aggregate.clone());
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .unwrap();
    found
}

fn row() -> impl Strategy<Value = Row> {
    let text = || option::weighted(0.8, "[a-c]{0,2}");
    (option::weighted(0.9, 0..30_i64), text(), text(), option::weighted(0.8, (0..4).prop_map(f64::from)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_bypassed_aggregation_returns_the_same_rows(
        rows in vec(row(), 0..40), others in btree_set(any::<u64>(), 0..3), number in 0..QUERIES.len(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let session = session(&rows);
            let plan = session.state().create_logical_plan(QUERIES[number]).await.unwrap();
            let mut bypassed = plan.clone();
            let found = aggregations(&plan);
            prop_assert!(!found.is_empty());
            for aggregate in &found {
                let mut hashes = repeated(&session, aggregate).await;
                // Hashes of no row, or of single rows, change nothing.
                hashes.extend(&others);
                bypassed = replace(&bypassed, aggregate, &hashes).unwrap();
            }
            prop_assert_ne!(&bypassed, &plan);
            prop_assert_eq!(result(&session, &bypassed).await, result(&session, &plan).await);
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn only_values_of_a_row_are_results_of_a_single_row() {
    let session = session(&[]);
    for (result, expected) in [
        ("max(v)", Some("rows.v")),
        ("min(k + 1)", Some("rows.k + Int64(1)")),
        ("first_value(v ORDER BY k)", Some("rows.v")),
        ("last_value(v ORDER BY k)", Some("rows.v")),
        ("max(v) FILTER (WHERE k > 1)", None),
        ("count(v)", None),
        ("sum(k)", None),
        ("array_agg(v)", None),
    ] {
        let sql = format!("SELECT {result} FROM rows GROUP BY t");
        let plan = session.state().create_logical_plan(&sql).await.unwrap();
        let mut found = None;
        plan.apply(|node| {
            if let LogicalPlan::Aggregate(aggregate) = node {
                found = value_of_single_row(&aggregate.aggr_expr[0]).map(ToString::to_string);
            }
            Ok(TreeNodeRecursion::Continue)
        })
        .unwrap();
        assert_eq!(found.as_deref(), expected, "{result}");
    }
}

/// Registers a table `files` with the columns of `rows` and one file of `rows` rows, which does not
/// exist.
async fn register_files(session: &SessionContext, rows: u64) {
    let schema = session.table("rows").await.unwrap().schema().inner().clone();
    let (path, partition_values) = ("files/a.parquet".to_owned(), BTreeMap::new());
    let file = WrittenFile { path, partition_values, rows, bytes: 100, digest: None, statistics: vec![] };
    session.register_table("files", Arc::new(ParquetTable::new(schema, &[], vec![file]))).unwrap();
}

#[tokio::test]
async fn only_wide_aggregations_of_many_rows_by_exact_keys_are_bypassed() {
    for (rows, sql, expected) in [
        (MIN_ROWS, "SELECT k, t, max(v) AS text, min(k) FROM files GROUP BY k, t", 1),
        (MIN_ROWS - 1, "SELECT k, t, max(v) AS text, min(k) FROM files GROUP BY k, t", 0),
        (MIN_ROWS, "SELECT k, max(v) FROM files GROUP BY k UNION ALL SELECT k, max(v) FROM files GROUP BY k", 1),
        (MIN_ROWS, "SELECT count(*) FROM (SELECT max(v) FROM files GROUP BY k)", 1),
        (MIN_ROWS, "SELECT k, max(v) FROM files GROUP BY ROLLUP (k)", 0),
        (MIN_ROWS, "SELECT k, max(v) FROM files GROUP BY GROUPING SETS ((k), (t))", 0),
        (MIN_ROWS, "SELECT d, max(v) FROM files GROUP BY d", 0),
        (MIN_ROWS, "SELECT k, max(d) FROM files GROUP BY k", 0),
        (MIN_ROWS, "SELECT max(v) FROM files", 0),
        (MIN_ROWS, "SELECT k, max(v), count(*) FROM files GROUP BY k", 0),
        (MIN_ROWS, "SELECT k, max(concat(v, random())) FROM files GROUP BY k", 0),
    ] {
        let session = session(&[]);
        register_files(&session, rows).await;
        let plan = session.state().create_logical_plan(sql).await.unwrap();
        assert_eq!(candidates(&plan).len(), expected, "{rows} rows: {sql}");
    }
}

#[tokio::test]
async fn what_may_change_between_two_executions_is_read_once() {
    let session = session(&[]);
    register_files(&session, 7).await;
    for (input, expected) in [
        ("files", Some(7)),
        ("(SELECT k, t, upper(v) AS v FROM files WHERE k > 1)", Some(7)),
        // Not files of the lake.
        ("rows", None),
        ("(SELECT * FROM files LIMIT 10)", None),
        ("(SELECT * FROM files WHERE random() < 0.5)", None),
        ("(SELECT *, random() AS r FROM files)", None),
        ("(SELECT * FROM files WHERE now() > TIMESTAMP '2026-01-01T00:00:00Z')", None),
        ("(SELECT DISTINCT * FROM files)", None),
        ("(SELECT * FROM files WHERE k IN (SELECT k FROM rows))", None),
        ("(SELECT a.* FROM files AS a JOIN files AS b ON a.k = b.k)", None),
    ] {
        let plan =
            session.state().create_logical_plan(&format!("SELECT max(v) FROM {input} GROUP BY t")).await.unwrap();
        let [aggregate] = aggregations(&plan).try_into().unwrap();
        assert_eq!(rows(&aggregate.input).unwrap(), expected, "{input}");
    }
}
