//! Compares plans in which aggregations are bypassed with the plans of the same queries.

use std::collections::BTreeMap;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Field, Schema, UInt64Type};
use arrow::util::pretty::pretty_format_batches;
use datafusion::physical_plan::{collect, displayable};
use datafusion::prelude::SessionContext;
use lakewright_common::config::resolved::Location;
use lakewright_common::report::WrittenFile;
use lakewright_common::session::memory::TaskScope;
use lakewright_common::session::{self, Resources, Storages};
use lakewright_common::storage;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use parquet::arrow::ArrowWriter;
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use url::Url;

use super::*;
use crate::engine::parquet_table::ParquetTable;

/// Queries with the number of aggregations that are bypassed. `k`, `b` and `m` are keys of several
/// types, `t` is a text, `v` is a number as text if `t` is `n`, and `d` is a floating-point number.
/// `parts` has the same rows, partitioned by `t`.
const QUERIES: &[(&str, usize)] = &[
    ("SELECT k, t, max(v) AS v, min(v), max(d) FROM files GROUP BY k, t", 1),
    ("SELECT k, t, max(v) AS v, min(v), max(d) FROM parts GROUP BY t, k", 1),
    ("SELECT max(v) FROM files GROUP BY k", 1),
    ("SELECT b, m, max(v), min(d), max(b), min(m) FROM files WHERE k > 1 GROUP BY m, b", 1),
    ("SELECT k, t FROM files GROUP BY k, t", 1),
    ("SELECT DISTINCT k, t, v FROM files WHERE t <> 'n' OR k IS NULL", 1),
    ("SELECT k, max(v) FROM files WHERE k IN (1, 2, 3, 5, 8, 13, 21) AND NOT (t = 'a') GROUP BY k", 1),
    ("SELECT k, max(v) FROM parts WHERE t = 'n' GROUP BY k", 1),
    ("SELECT f.t, first_value(v ORDER BY d, v), last_value(d ORDER BY v, d) FROM files AS f GROUP BY f.t", 1),
    ("SELECT t, first_value(v ORDER BY v DESC NULLS LAST) IGNORE NULLS FROM files GROUP BY t", 1),
    ("SELECT a, max(c) FROM (SELECT k AS a, v AS c, t AS k FROM files) GROUP BY a", 1),
    // A key, a value or a name twice.
    ("SELECT k, k AS again, max(v) AS a, max(v) AS b FROM files GROUP BY k, k", 1),
    ("SELECT k, max(k), max(v), min(v) FROM files GROUP BY k, 1", 1),
    // Conditions and expressions above the aggregation, which fail for rows that it would remove.
    ("SELECT k, max(v) AS v FROM files GROUP BY k HAVING max(v) IS NOT NULL AND min(d) > 0.5", 1),
    ("SELECT * FROM (SELECT k, max(v) AS v FROM files GROUP BY k) WHERE CAST(v AS BIGINT) > 3", 1),
    ("SELECT k, CAST(v AS BIGINT) FROM (SELECT k, max(v) AS v FROM files WHERE t = 'n' GROUP BY k)
      WHERE CAST(v AS BIGINT) > 3", 1),
    ("SELECT k, t, max(v) FROM files GROUP BY k, t HAVING max(v) > '1' AND min(d) >= 0.0", 1),
    ("SELECT 10 / k, upper(v) FROM (SELECT k, max(v) AS v FROM files WHERE k <> 0 GROUP BY k)", 1),
    // Other nodes above it.
    ("WITH one AS (SELECT k, max(v) AS v FROM files GROUP BY k)
      SELECT a.k, a.v, b.t FROM one AS a LEFT JOIN files AS b ON a.v = b.v", 1),
    ("WITH one AS (SELECT k, t, max(v) AS v FROM files GROUP BY k, t)
      SELECT a.k, a.v, b.d FROM files AS b LEFT JOIN one AS a ON a.v = b.v AND b.k = 3", 1),
    ("WITH one AS (SELECT t, max(v) AS v FROM files WHERE t = 'n' GROUP BY t)
      SELECT a.v, b.d FROM one AS a JOIN files AS b ON CAST(a.v AS BIGINT) = b.k", 1),
    ("SELECT count(*), max(v) FROM (SELECT k, max(v) AS v FROM files GROUP BY k)", 1),
    ("SELECT v, count(*) FROM (SELECT k, max(v) AS v FROM files GROUP BY k) GROUP BY v", 1),
    ("SELECT k, max(v) FROM files GROUP BY k UNION ALL SELECT k, v FROM parts UNION ALL
      SELECT m, min(v) FROM (SELECT k AS m, t, v FROM parts) GROUP BY m, t", 2),
    ("SELECT k, max(v) FROM files GROUP BY k ORDER BY 1, 2", 1),
    ("SELECT k, t, max(v) FROM files GROUP BY k, t ORDER BY 1, 2, 3 OFFSET 5", 1),
    ("SELECT k, v, row_number() OVER (PARTITION BY v ORDER BY k) FROM
      (SELECT k, max(v) AS v FROM files GROUP BY k)", 1),
    ("SELECT k, max(v), (SELECT max(v) FROM files) AS other FROM files GROUP BY k", 1),
    ("SELECT k, max(v) FROM files GROUP BY k HAVING max(v) IN (SELECT v FROM parts WHERE t = 'n')", 1),
    ("WITH RECURSIVE steps AS (
        SELECT CAST(0 AS BIGINT) AS n, 'x' AS v
        UNION ALL
        SELECT steps.n + 1, one.v FROM steps JOIN (SELECT t, max(v) AS v FROM files GROUP BY t) AS one ON steps.v <> one.v
        WHERE steps.n < 2
      ) SELECT * FROM steps", 1),
    // Not values of a single row, or not rows that are the same each time.
    ("SELECT k, t, max(v) FROM files GROUP BY k, t ORDER BY 1, 2, 3 LIMIT 5", 0),
    ("SELECT k, t, max(v) FROM files GROUP BY k, t HAVING 10 / (k + 1) > 1", 0),
    ("SELECT k, max(v), count(*) FROM files GROUP BY k", 0),
    ("SELECT k, max(v) FILTER (WHERE k > 1) FROM files GROUP BY k", 0),
    ("SELECT k, sum(k), max(v) FROM files GROUP BY k", 0),
    ("SELECT k, array_agg(v ORDER BY v) FROM files GROUP BY k", 0),
    ("SELECT max(v) FROM files", 0),
    ("SELECT k, max(upper(v)) FROM files GROUP BY k", 0),
    ("SELECT k, first_value(v ORDER BY CAST(v AS BIGINT), v) FROM files WHERE t = 'n' GROUP BY k", 0),
    ("SELECT k + 1, max(v) FROM files GROUP BY k + 1", 0),
    ("SELECT d, max(v) FROM files GROUP BY d", 0),
    ("SELECT k, max(v) FROM files GROUP BY ROLLUP (k)", 0),
    ("SELECT k, t, max(v) FROM files GROUP BY GROUPING SETS ((k), (t))", 0),
    ("SELECT k, max(v) FROM files WHERE CAST(v AS BIGINT) > 1 AND t = 'n' GROUP BY k", 0),
    ("SELECT k, max(v) FROM files WHERE upper(v) <> 'A' GROUP BY k", 0),
    ("SELECT k, max(v) FROM files WHERE k IN (SELECT k FROM parts WHERE t = 'a') GROUP BY k", 0),
    ("SELECT k, max(v) FROM (SELECT * FROM files UNION ALL SELECT * FROM files) GROUP BY k", 0),
    ("SELECT a.k, max(b.v) FROM files AS a JOIN files AS b ON a.k = b.k GROUP BY a.k", 0),
];

/// Queries whose rows differ from one execution to the next.
const UNREPEATABLE: &[&str] = &[
    "SELECT k, max(v) FROM (SELECT * FROM files LIMIT 10) GROUP BY k",
    "SELECT k, max(v) FROM files WHERE random() < 0.5 GROUP BY k",
    "SELECT k, max(v) FROM (SELECT k, concat(v, random()) AS v FROM files) GROUP BY k",
];

/// Values of the columns `k`, `b`, `m`, `t`, `v` and `d`.
type Row = (Option<i64>, Option<bool>, Option<i64>, Option<&'static str>, Option<String>, Option<f64>);

struct Lab {
    session: SessionContext,
    _folder: tempfile::TempDir,
}

impl Lab {
    /// Writes tables with the given rows, one file for each item.
    async fn new(files: &[Vec<Row>], partitions: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::of(Url::from_directory_path(folder.path()).unwrap());
        let lake = storage::open(&location).await.unwrap();
        let storages = Storages { spool: lake.clone(), lake, sources: vec![] };
        let resources = Resources::new(256 << 20, 2, None).unwrap();
        let scope = TaskScope::new(0, 64 << 20, 2);
        let session = session::build(&resources, &storages, partitions, scope, Arc::default()).unwrap();

        let (mut whole, mut parts) = (Vec::new(), Vec::new());
        for (number, rows) in files.iter().enumerate() {
            whole.push(write(&storages, &format!("files/{number}"), rows, BTreeMap::new()).await);
            for part in [None, Some("a"), Some("n")] {
                let rows: Vec<Row> = rows.iter().filter(|row| row.3 == part).cloned().collect();
                let values = BTreeMap::from([("t".to_owned(), part.map(str::to_owned))]);
                parts.push(write(&storages, &format!("parts/{part:?}/{number}"), &rows, values).await);
            }
        }
        let schema = batch(&[]).schema();
        let partition_by = ["t".to_owned()];
        session.register_table("files", Arc::new(ParquetTable::new(Arc::clone(&schema), &[], whole))).unwrap();
        session.register_table("parts", Arc::new(ParquetTable::new(schema, &partition_by, parts))).unwrap();
        Self { session, _folder: folder }
    }

    async fn plan(&self, sql: &str) -> Plan {
        let state = self.session.state();
        state.create_physical_plan(&state.create_logical_plan(sql).await.unwrap()).await.unwrap()
    }

    /// Returns the printed rows of a plan, or `None` if it fails. The rows are sorted unless the
    /// query orders them.
    async fn result(&self, plan: &Plan, sql: &str) -> Option<Vec<String>> {
        let batches = collect(Arc::clone(plan), self.session.task_ctx()).await.ok()?;
        let printed = pretty_format_batches(&batches).unwrap().to_string();
        let mut lines: Vec<String> = printed.lines().map(str::to_owned).collect();
        if !sql.contains("ORDER BY 1, 2") {
            lines.sort();
        }
        Some(lines)
    }

    /// Returns the hashes that the query of a run finds.
    async fn hashes(&self, aggregation: &Aggregation) -> Vec<u64> {
        let query = repeated::repeated(aggregation).unwrap();
        let plan = self.session.state().create_physical_plan(&query).await.unwrap();
        let batches = collect(plan, self.session.task_ctx()).await.unwrap();
        batches.iter().flat_map(|batch| batch.column(0).as_primitive::<UInt64Type>().values().to_vec()).collect()
    }

    /// Returns the plan in which each aggregation is bypassed. `others` are hashes of other keys.
    async fn bypassed(&self, plan: &Plan, others: impl Iterator<Item = u64> + Clone) -> PlanResult<Plan> {
        let mut bypassed = Arc::clone(plan);
        for aggregation in Aggregation::all(plan) {
            let mut hashes = self.hashes(&aggregation).await;
            hashes.extend(others.clone());
            let options = self.session.copied_config();
            bypassed = replace(&bypassed, &aggregation, &hashes, options.options())?;
        }
        Ok(bypassed)
    }
}

fn batch(rows: &[Row]) -> RecordBatch {
    let columns: [(&str, ArrayRef); 6] = [
        ("k", Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>())),
        ("b", Arc::new(rows.iter().map(|row| row.1).collect::<BooleanArray>())),
        ("m", Arc::new(rows.iter().map(|row| row.2).collect::<TimestampMicrosecondArray>().with_timezone("UTC"))),
        ("t", Arc::new(rows.iter().map(|row| row.3).collect::<StringArray>())),
        ("v", Arc::new(rows.iter().map(|row| row.4.as_deref()).collect::<StringArray>())),
        ("d", Arc::new(rows.iter().map(|row| row.5).collect::<Float64Array>())),
    ];
    let field = |(number, (name, column)): (usize, &(&str, ArrayRef))| {
        // Columns of staging tables have ids too.
        let id = BTreeMap::from([("PARQUET:field_id".to_owned(), number.to_string())]);
        Field::new(*name, column.data_type().clone(), true).with_metadata(id.into_iter().collect())
    };
    let schema = Schema::new(columns.iter().enumerate().map(field).collect::<Vec<_>>());
    RecordBatch::try_new(Arc::new(schema), columns.into_iter().map(|(_, column)| column).collect()).unwrap()
}

async fn write(
    storages: &Storages,
    path: &str,
    rows: &[Row],
    partition_values: BTreeMap<String, Option<String>>,
) -> WrittenFile {
    let batch = batch(rows);
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    let content = writer.into_inner().unwrap();
    let bytes = content.len() as u64;
    storages.lake.store.put(&Path::from(path), content.into()).await.unwrap();
    let (path, rows) = (Path::from(path).to_string(), rows.len() as u64);
    WrittenFile { path, partition_values, rows, bytes, digest: None, statistics: vec![] }
}

fn row() -> impl Strategy<Value = Row> {
    let part = prop_oneof![Just(None), Just(Some("a")), Just(Some("n"))];
    let keys = (option::weighted(0.9, 0..30_i64), option::weighted(0.9, any::<bool>()), option::of(0..30_i64));
    (keys, part, option::weighted(0.9, 0..20_u8), option::weighted(0.8, (0..4).prop_map(f64::from))).prop_map(
        |((k, b, m), t, v, d)| {
            let text = v.map(|v| if t == Some("n") { v.to_string() } else { format!("text {v}") });
            (k, b, m, t, text, d)
        },
    )
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_bypassed_aggregation_returns_the_same_rows(
        files in vec(vec(row(), 0..20), 1..4), others in btree_set(any::<u64>(), 0..3), partitions in 1..4_usize,
    ) {
        block_on(async {
            let lab = Lab::new(&files, partitions).await;
            for (sql, _) in QUERIES {
                let plan = lab.plan(sql).await;
                let expected = lab.result(&plan, sql).await;
                let plan = lab.plan(sql).await;
                let Ok(bypassed) = lab.bypassed(&plan, others.iter().copied()).await else { continue };
                prop_assert_eq!(bypassed.schema(), plan.schema(), "{}", sql);
                let rows = lab.result(&bypassed, sql).await;
                prop_assert_eq!(rows, expected, "{}\n{}", sql, displayable(bypassed.as_ref()).indent(false));
            }
            Ok(())
        })?;
    }
}

/// Returns rows without nulls: every tenth one twice.
fn some_rows(from: i64) -> Vec<Row> {
    let row = |i: i64| (Some(i), Some(i % 2 == 0), Some(i), Some("n"), Some(i.to_string()), Some(1.0));
    (from..from + 20).chain((from..from + 20).step_by(10)).map(row).collect()
}

#[tokio::test]
async fn only_aggregations_that_take_values_of_rows_in_files_are_bypassed() {
    let mut wrong = Vec::new();
    for partitions in [1, 3] {
        let lab = Lab::new(&[some_rows(1), some_rows(21), some_rows(41)], partitions).await;
        for (sql, expected) in QUERIES.iter().copied().chain(UNREPEATABLE.iter().map(|sql| (*sql, 0))) {
            let plan = lab.plan(sql).await;
            let found = Aggregation::all(&plan).len();
            // With a hash of no row, so that a union is needed even if all keys are unique.
            let bypassed = lab.bypassed(&plan, std::iter::once(7)).await.unwrap_or(plan);
            let printed = displayable(bypassed.as_ref()).indent(false).to_string();
            let unions = printed.matches("FilterExec: NOT in_hash_set").count();
            if (found, unions) != (expected, expected) {
                wrong.push(format!("{sql}\n{found} found, {unions} bypassed, not {expected}:\n{printed}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn the_query_for_repeated_keys_reads_only_columns_of_keys() {
    let lab = Lab::new(&[some_rows(1), some_rows(21)], 2).await;
    let plan = lab.plan("SELECT k, b, max(v), min(d) FROM files GROUP BY k, b").await;
    let [aggregation] = Aggregation::all(&plan).try_into().ok().unwrap();
    assert!(aggregation.is_wide());
    assert_eq!((aggregation.rows, aggregation.has_conditions), (44, false));
    let query = repeated::repeated(&aggregation).unwrap();
    let plan = lab.session.state().create_physical_plan(&query).await.unwrap();
    let printed = displayable(plan.as_ref()).indent(true).to_string();
    let scan = printed.lines().find(|line| line.contains("DataSourceExec")).unwrap();
    assert!(
        scan.contains("projection=[") && !scan.contains("v@") && !scan.contains(", v") && !scan.contains(", d"),
        "{printed}"
    );
    assert_eq!(lab.hashes(&aggregation).await.len(), 4);
}

#[tokio::test]
async fn a_plan_that_needs_all_rows_of_a_key_in_one_partition_is_not_changed() {
    let lab = Lab::new(&[some_rows(1), some_rows(21), some_rows(41)], 3).await;
    for sql in [
        "SELECT k, row_number() OVER (PARTITION BY k ORDER BY v) FROM (SELECT k, max(v) AS v FROM files GROUP BY k)",
        "SELECT k, max(v) FROM (SELECT k, t, max(v) AS v FROM files GROUP BY k, t) GROUP BY k, t",
    ] {
        let plan = lab.plan(sql).await;
        assert_eq!(Aggregation::all(&plan).len(), 1, "{sql}");
        lab.bypassed(&plan, std::iter::empty()).await.unwrap_err();
    }
}

#[tokio::test]
async fn limits_return_as_many_rows_as_before() {
    for partitions in [1, 3] {
        let lab = Lab::new(&[some_rows(1), some_rows(21), some_rows(41)], partitions).await;
        for sql in [
            "SELECT k, max(v) FROM files GROUP BY k HAVING max(v) <> 'x' LIMIT 10",
            "SELECT k, max(v) FROM files GROUP BY k HAVING max(v) <> 'x' LIMIT 10 OFFSET 3",
            "SELECT a.k, b.d FROM (SELECT k, max(v) AS v FROM files GROUP BY k) AS a JOIN parts AS b ON a.v = b.v LIMIT 7",
            "SELECT upper(v) FROM (SELECT k, max(v) AS v FROM files GROUP BY k) LIMIT 5",
        ] {
            let plan = lab.plan(sql).await;
            let expected = lab.result(&plan, sql).await.unwrap().len();
            let plan = lab.plan(sql).await;
            let bypassed = lab.bypassed(&plan, std::iter::empty()).await.unwrap();
            let printed = displayable(bypassed.as_ref()).indent(false).to_string();
            assert_eq!(lab.result(&bypassed, sql).await.unwrap().len(), expected, "{sql}\n{printed}");
        }
    }
}

#[tokio::test]
async fn only_values_of_variable_length_are_wide() {
    let lab = Lab::new(&[some_rows(1)], 2).await;
    for (sql, expected) in [
        ("SELECT t, max(d), min(m) FROM files GROUP BY t", false),
        ("SELECT k, t FROM files GROUP BY k, t", false),
        ("SELECT k, min(v) FROM files GROUP BY k", true),
        ("SELECT t, min(v) FROM files GROUP BY t", true),
        ("SELECT t, v, min(v) FROM files GROUP BY t, v", false),
    ] {
        let [aggregation] = Aggregation::all(&lab.plan(sql).await).try_into().ok().unwrap();
        assert_eq!(aggregation.is_wide(), expected, "{sql}");
    }
}
