//! Compares `concat` with DataFusion's for any rows.

use arrow::array::{Int32Array, Int64Array, RecordBatch, UInt64Array};
use datafusion::execution::context::SessionContext;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;

/// Evaluates an expression over the columns `l` (long), `i` (int), `u` (unsigned long) and `s`.
fn evaluate(session: &SessionContext, expression: &str, batch: &RecordBatch) -> Vec<Option<String>> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        session.deregister_table("t").unwrap();
        session.register_batch("t", batch.clone()).unwrap();
        let result = session.sql(&format!("SELECT {expression} AS x FROM t")).await.unwrap().collect().await.unwrap();
        result
            .iter()
            .flat_map(|batch| batch.column(0).as_string::<i32>().iter().map(|x| x.map(str::to_owned)))
            .collect()
    })
}

/// Values of the columns `l`, `i`, `u` and `s`.
type Row = (Option<i64>, Option<i32>, Option<u64>, Option<String>);

fn batch(rows: &[Row]) -> RecordBatch {
    let columns: [(&str, ArrayRef); 4] = [
        ("l", Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>())),
        ("i", Arc::new(rows.iter().map(|row| row.1).collect::<Int32Array>())),
        ("u", Arc::new(rows.iter().map(|row| row.2).collect::<UInt64Array>())),
        ("s", Arc::new(rows.iter().map(|row| row.3.clone()).collect::<StringArray>())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
}

const CALLS: &[&str] = &[
    "concat(l)",
    "concat(l, '-', i)",
    "concat('a', 'b', i, NULL, s, 7, 'c')",
    "concat(u, '/', l)",
    "concat(s, s, 'x')",
    "concat(1, 2, 3)",
    "concat(1, NULL)",
    "concat(CAST(NULL AS BIGINT), s)",
    "concat(l, CAST(i AS DOUBLE), i > 0)",
    "concat(CAST(i AS DATE), l)",
    "concat(CAST(l AS BIGINT) / 1000, '-', s)",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_call_returns_what_datafusion_returns(
        rows in vec((option::of(any::<i64>()), option::of(-99_999..99_999), option::of(any::<u64>()), option::of("[a-zé\u{1F600}]{0,5}")), 1..20)
    ) {
        let (theirs, ours) = (SessionContext::new_with_config(config()), SessionContext::new_with_config(config()));
        register(&ours).unwrap();
        let batch = batch(&rows);
        for call in CALLS {
            prop_assert_eq!(evaluate(&theirs, call, &batch), evaluate(&ours, call, &batch), "{}", call);
        }
    }
}

fn config() -> datafusion::prelude::SessionConfig {
    let mut config = datafusion::prelude::SessionConfig::new();
    // The same settings as in sessions of this project.
    config.options_mut().sql_parser.map_string_types_to_utf8view = false;
    config
}
