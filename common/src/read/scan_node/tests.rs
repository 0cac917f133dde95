//! Tests that the partitions of a scan are independent: run in any order and any number of times,
//! each partition returns its own records.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use datafusion::physical_plan::ExecutionPlan;
use futures::TryStreamExt;
use tempfile::TempDir;
use url::Url;

use super::JsonScanExec;
use crate::config::resolved::{
    Field, FieldType, JsonFormat, Limits, Location, OnArchived, OnChange, OnDamaged, RecordFormat, Source,
};
use crate::read::record_format::can_be_cut;
use crate::read::scan_rows::{ReadReport, ScanRows, read_report_rows};
use crate::read::split_plan::{contents_of_large, plan_splits};
use crate::session::memory::TaskScope;
use crate::session::progress::ReadProgress;
use crate::session::{Resources, Storages};
use crate::{session, storage};

const RECORDS_IN_LARGE: i64 = 2_000;
const SMALL_OBJECTS: i64 = 100;

fn limits() -> Limits {
    Limits {
        memory_bytes: 256 << 20,
        max_record_bytes: 1 << 20,
        scratch: None,
        threads: 2,
        split_bytes: 64 << 10,
        concurrent_reads: 8,
        target_file_bytes: 1 << 20,
        max_open_files: 8,
        max_decompression_ratio: 200,
    }
}

/// Creates one large object and many small ones. Their records have the ids 0, 1, 2 and so on, in
/// that order.
fn source_in(folder: &TempDir) -> Source {
    let line = |id: i64| format!("{{\"id\": {id}, \"padding\": \"{}\"}}\n", "x".repeat(100));
    let large: String = (0..RECORDS_IN_LARGE).map(line).collect();
    std::fs::write(folder.path().join("large.json"), large).unwrap();
    for i in 0..SMALL_OBJECTS {
        std::fs::write(folder.path().join(format!("small-{i}.json")), line(RECORDS_IN_LARGE + i)).unwrap();
    }
    let id = Field::new("id", FieldType::Long);
    Source {
        name: "s".into(),
        url: Url::from_directory_path(folder.path()).unwrap(),
        format: RecordFormat::Json(JsonFormat::Lines),
        fields: vec![id],
        max_quarantine_share: 0.0,
        on_change: OnChange::Error,
        on_damaged: OnDamaged::Error,
        on_archived: OnArchived::Error,
        follow_links: false,
        objects: Default::default(),
        allow_empty: false,
        decoding: Default::default(),
    }
}

/// Returns the ids and the object tallies of one partition.
async fn read(scan: &JsonScanExec, session: &datafusion::prelude::SessionContext, partition: usize) -> (Vec<i64>, u64) {
    let batches: Vec<_> = scan.execute(partition, session.task_ctx()).unwrap().try_collect().await.unwrap();
    let (mut ids, mut tallied) = (Vec::new(), 0);
    for batch in &batches {
        match ScanRows::from_batch(batch).unwrap() {
            Some(ScanRows::Records(rows)) => ids.extend(rows.column(0).as_primitive::<Int64Type>().values()),
            Some(ScanRows::Reports(reports)) => {
                for report in read_report_rows(&reports).unwrap() {
                    if let ReadReport::Object(tally) = report {
                        tallied += tally.staged;
                    }
                }
            }
            Some(ScanRows::Rejected(_)) => panic!("nothing is wrong with the input"),
            None => {}
        }
    }
    (ids, tallied)
}

#[tokio::test]
async fn a_partition_alone_twice_or_out_of_order_yields_exactly_its_records() {
    let (input, lake) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let source = source_in(&input);
    let sources = vec![("s".to_owned(), storage::open(&Location::of(source.url.clone())).await.unwrap())];
    let lake = storage::open(&Location::of(Url::from_directory_path(lake.path()).unwrap())).await.unwrap();
    let limits = limits();
    let storages = Storages { spool: lake.clone(), lake, sources };
    let resources = Resources::new(limits.memory_bytes, limits.threads, None).unwrap();
    let scope = TaskScope::new(0, limits.memory_bytes, limits.threads);
    let session =
        session::build(&resources, &storages, limits.threads, scope, Arc::new(ReadProgress::default())).unwrap();
    let objects = storage::list::list_objects(
        &storages.sources[0].1,
        &crate::config::object_patterns::ObjectPatterns::default(),
        false,
    )
    .await
    .unwrap()
    .objects;
    let contents = contents_of_large(&storages.sources[0].1, &objects, can_be_cut(&source), &limits).await.unwrap();
    let splits = plan_splits(objects, &contents, can_be_cut(&source), limits.split_bytes);
    let scan = JsonScanExec::new(Arc::new(source), splits, Arc::new(limits));
    let partitions = scan.partitions().len();
    assert!(partitions > 5, "the test needs several partitions, not {partitions}");

    let mut all = Vec::new();
    for partition in (0..partitions).rev() {
        let (ids, tallied) = read(&scan, &session, partition).await;
        let (again, _) = read(&scan, &session, partition).await;
        assert_eq!(ids, again, "partition {partition} is not repeatable");
        assert_eq!(ids.len() as u64, tallied);
        all.extend(ids);
    }
    all.sort_unstable();
    assert_eq!(all, (0..RECORDS_IN_LARGE + SMALL_OBJECTS).collect::<Vec<_>>());
}
