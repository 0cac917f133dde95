//! Compares queries with and without the node, and runs the node alone.

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::util::pretty::pretty_format_batches;
use datafusion::datasource::MemTable;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::physical_plan::{collect, displayable};
use datafusion::prelude::{SessionConfig, SessionContext};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::codec::{decode_plan, encode_plan};

/// A user, a time, a name, and a number that makes the order total.
type Row = (Option<i64>, Option<i64>, Option<&'static str>);

fn batch(rows: &[Row], first: usize) -> RecordBatch {
    let ids = (first..first + rows.len()).map(|id| i64::try_from(id).unwrap());
    let columns: [(&str, ArrayRef); 4] = [
        ("u", Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>())),
        ("t", Arc::new(rows.iter().map(|row| row.1).collect::<TimestampMicrosecondArray>())),
        ("n", Arc::new(rows.iter().map(|row| row.2).collect::<StringArray>())),
        ("id", Arc::new(Int64Array::from_iter_values(ids))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
}

fn session(with_rule: bool, memory: usize, batch_rows: usize) -> SessionContext {
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(FairSpillPool::new(memory))).build_arc().unwrap();
    let config = SessionConfig::new().with_target_partitions(3).with_batch_size(batch_rows);
    let mut state = SessionStateBuilder::new().with_config(config).with_runtime_env(runtime).with_default_features();
    if with_rule {
        state = state.with_physical_optimizer_rule(Arc::new(FirstRowRule));
    }
    SessionContext::new_with_state(state.build())
}

/// Runs a query. Returns its rows in order, and its plan.
async fn run(session: &SessionContext, table: &Arc<MemTable>, sql: &str) -> (String, String) {
    session.deregister_table("t").unwrap();
    session.register_table("t", Arc::clone(table) as _).unwrap();
    let plan = session.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
    let text = displayable(plan.as_ref()).indent(false).to_string();
    let rows = collect(plan, session.task_ctx()).await.unwrap();
    let rows = pretty_format_batches(&rows).unwrap().to_string();
    let mut lines: Vec<&str> = rows.lines().collect();
    lines.sort_unstable();
    (lines.join("\n"), text)
}

/// Queries in which the node is used.
const MATCHING: &[&str] = &[
    "SELECT u, t, n, id FROM (SELECT *, row_number() OVER (PARTITION BY u ORDER BY t DESC, n, id) AS p FROM t) WHERE p = 1",
    "SELECT id FROM (SELECT *, row_number() OVER (PARTITION BY u ORDER BY t, id DESC) AS p FROM t) WHERE p <= 1 AND n IS NOT NULL",
    "SELECT id, p FROM (SELECT *, row_number() OVER (PARTITION BY n, u ORDER BY t DESC NULLS LAST, id) AS p FROM t) WHERE p < 2",
    "SELECT id FROM (SELECT id, n, row_number() OVER (PARTITION BY t ORDER BY n NULLS FIRST, u, id) AS p FROM t WHERE u > 0) WHERE p = 1",
];

/// Queries in which dropping rows would be wrong, or in which the shape is another one.
const OTHERS: &[&str] = &[
    "SELECT id FROM (SELECT *, row_number() OVER (PARTITION BY u ORDER BY t, id) AS p FROM t) WHERE p = 2",
    "SELECT id FROM (SELECT *, row_number() OVER (PARTITION BY u ORDER BY t, id) AS p FROM t) WHERE p > 1",
    "SELECT id, c FROM (SELECT *, row_number() OVER (PARTITION BY u ORDER BY t, id) AS p, count(*) OVER (PARTITION BY u ORDER BY t, id) AS c FROM t) WHERE p = 1",
    "SELECT id FROM (SELECT *, rank() OVER (PARTITION BY u ORDER BY t) AS p FROM t) WHERE p = 1",
    "SELECT id FROM (SELECT *, row_number() OVER (PARTITION BY CAST(u AS DOUBLE) ORDER BY t, id) AS p FROM t) WHERE p = 1",
    "SELECT id FROM (SELECT *, row_number() OVER (PARTITION BY u ORDER BY t, id) AS p FROM t) WHERE p = 1 OR p = 3",
    "SELECT id FROM (SELECT *, row_number() OVER (ORDER BY t, id) AS p FROM t) WHERE p = 1",
];

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let name = option::weighted(0.8, prop_oneof![Just("a"), Just("b"), Just("")]);
    vec((option::weighted(0.9, -2..6_i64), option::weighted(0.9, 0..20_i64), name), 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn queries_return_the_same_rows_with_and_without_the_node(
        partitions in vec(rows(), 3..4), batch_rows in 1..70_usize
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut first = 0;
            let batches: Vec<Vec<RecordBatch>> = partitions.iter().map(|rows| {
                rows.chunks(batch_rows).map(|rows| {
                    let batch = batch(rows, first);
                    first += rows.len();
                    batch
                }).collect()
            }).collect();
            let table = Arc::new(MemTable::try_new(batch(&[], 0).schema(), batches).unwrap());
            for (queries, is_used) in [(MATCHING, true), (OTHERS, false)] {
                for sql in queries {
                    let (expected, _) = run(&session(false, usize::MAX, batch_rows), &table, sql).await;
                    let (found, plan) = run(&session(true, usize::MAX, batch_rows), &table, sql).await;
                    prop_assert_eq!(plan.contains("FirstRowExec"), is_used, "{}\n{}", sql, plan);
                    prop_assert_eq!(&found, &expected, "{}", sql);
                }
            }
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn few_rows_pass_and_without_memory_or_gain_all_of_them_do() {
    // Times fall, so that the first row of each user is the best one; or are all equal.
    let rows = |is_falling: bool| -> Vec<Row> {
        (0..100_000).map(|i| (Some(i % 10), Some(if is_falling { -i } else { 0 }), Some("a"))).collect()
    };
    for (is_falling, memory, passed) in
        [(true, usize::MAX, 10..=30), (false, usize::MAX, 100_000..=100_000), (true, 1, 100..=100_000)]
    {
        let rows = rows(is_falling);
        let batches = rows.chunks(1000).map(|rows| batch(rows, 0)).collect();
        let table = Arc::new(MemTable::try_new(batch(&[], 0).schema(), vec![batches]).unwrap());
        let session = session(false, memory, 1000);
        session.register_table("t", table).unwrap();
        let scan = session.table("t").await.unwrap().create_physical_plan().await.unwrap();
        let keys = Keys { partition: vec![0], order: 1, options: arrow::compute::SortOptions::new(true, true) };
        let node: Plan = Arc::new(FirstRowExec::try_new(scan, keys).unwrap());
        let rows = collect(node, session.task_ctx()).await.unwrap();
        assert!(rows.iter().all(|batch| batch.num_rows() <= 1000));
        let count: usize = rows.iter().map(RecordBatch::num_rows).sum();
        assert!(passed.contains(&count), "{count} rows of {is_falling}, {memory}");
    }
}

#[tokio::test]
async fn the_node_can_be_sent_to_a_worker_and_wrong_keys_are_refused() {
    let session = session(true, usize::MAX, 10);
    session.register_batch("t", batch(&[(Some(1), Some(2), None)], 0)).unwrap();
    for sql in MATCHING {
        let plan = session.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
        let bytes = encode_plan(&plan).unwrap();
        let decoded = decode_plan(&bytes, &session.task_ctx()).unwrap();
        let text = |plan: &Plan| displayable(plan.as_ref()).indent(false).to_string();
        assert_eq!(text(&decoded), text(&plan));
    }
    let scan = session.table("t").await.unwrap().create_physical_plan().await.unwrap();
    for (partition, order) in [(vec![], 0), (vec![4], 0), (vec![0], 9)] {
        let keys = Keys { partition, order, options: arrow::compute::SortOptions::default() };
        assert!(FirstRowExec::try_new(Arc::clone(&scan), keys).is_err());
    }
}
