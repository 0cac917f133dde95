//! Runs plans of every shape task by task and compares their rows with those of the whole plan.
//! Each task runs twice, the last one first, and its plan is encoded as on a worker.

use std::fmt::Write as _;

use arrow::array::{Int64Array, RecordBatch, StringArray, new_null_array};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::util::pretty::pretty_format_batches;
use datafusion::datasource::MemTable;
use datafusion::physical_plan::{collect, displayable};
use datafusion::prelude::SessionContext;
use lakewright_common::codec::decode_plan;
use lakewright_common::config::resolved::{
    JsonFormat, Limits, Location, OnArchived, OnChange, OnDamaged, RecordFormat, Source,
};
use lakewright_common::config::{self, Purpose};
use lakewright_common::exchange::write_node::ExchangeWriteExec;
use lakewright_common::read::record_format::can_be_cut;
use lakewright_common::read::scan_node::JsonScanExec;
use lakewright_common::read::schema::arrow_schema;
use lakewright_common::read::split_plan::{Contents, plan_splits};
use lakewright_common::report::wire::read_reports;
use lakewright_common::session::memory::TaskScope;
use lakewright_common::session::{self, Resources, Storages};
use lakewright_common::storage;
use lakewright_common::storage::object::SourceObject;
use url::Url;

use super::super::optimizer;
use super::super::stage_planner::{plan_stages, single_task};
use super::*;
use crate::{model, session_tables};

mod fuzz;

/// Number of vcores to plan for.
const VCORES: usize = 4;

struct Lab {
    storages: Storages,
    resources: Resources,
    _folder: tempfile::TempDir,
}

impl Lab {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::of(Url::from_directory_path(folder.path()).unwrap());
        let lake = storage::open(&location).await.unwrap();
        let storages = Storages { spool: lake.clone(), lake, sources: vec![] };
        Self { storages, resources: Resources::new(256 << 20, VCORES, None).unwrap(), _folder: folder }
    }

    fn session(&self, task: usize) -> SessionContext {
        let scope = TaskScope::new(task, 64 << 20, 1);
        session::build(&self.resources, &self.storages, 3, scope, Arc::default()).unwrap()
    }

    /// Returns the spool object that each task of the stage wrote.
    fn run(&self, stage: Stage) -> BoxFuture<'_, Vec<SpoolObject>> {
        async move {
            let mut reads = Vec::new();
            for input in stage.inputs {
                reads.push((input.mode, self.run(input.stage).await));
            }
            let plan = fill(&stage.plan, &mut reads.into_iter()).unwrap();
            let tasks = if stage.is_single_task { 1 } else { partitions(&plan) };
            let mut objects = Vec::new();
            for task in (0..tasks).rev() {
                let narrowed = if stage.is_single_task { Arc::clone(&plan) } else { task_plan(&plan, task).unwrap() };
                let bytes = encode_plan(&narrowed).unwrap();
                let mut attempts = Vec::new();
                for _ in 0..2 {
                    let context = self.session(task).task_ctx();
                    let plan = decode_plan(&bytes, &context).unwrap();
                    let reports = read_reports(&collect(plan, context).await.unwrap()).unwrap();
                    let spooled = reports.into_iter().map(|report| match report {
                        TaskReport::Spooled(object) => object,
                        other => panic!("{other:?}"),
                    });
                    attempts.push(spooled.collect::<Vec<_>>());
                }
                let rows = |attempt: &[SpoolObject]| -> u64 { attempt.iter().flat_map(|object| &object.rows).sum() };
                assert_eq!(rows(&attempts[0]), rows(&attempts[1]), "task {task} is not repeatable");
                assert!(stage.is_single_task || attempts[1].len() == 1);
                objects.extend(attempts.remove(1));
            }
            objects.reverse();
            objects
        }
        .boxed()
    }
}

/// Registers 900 facts in three partitions, some with a null key and some without a dimension, and
/// 40 dimensions in two partitions.
fn register_tables(session: &SessionContext) {
    let facts = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("k", DataType::Int64, true),
        Field::new("v", DataType::Int64, false),
    ]));
    let partition = |from: i64| {
        let ids = || from..from + 300;
        let keys: Int64Array = ids().map(|id| (id % 17 != 0).then_some(id % 50)).collect();
        let columns: Vec<arrow::array::ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values(ids())),
            Arc::new(keys),
            Arc::new(Int64Array::from_iter_values(ids().map(|id| id * 7919 % 100))),
        ];
        vec![RecordBatch::try_new(Arc::clone(&facts), columns).unwrap()]
    };
    let table = MemTable::try_new(Arc::clone(&facts), (0..3).map(|i| partition(i * 300)).collect()).unwrap();
    session.register_table("facts", Arc::new(table)).unwrap();

    let dims =
        Arc::new(Schema::new(vec![Field::new("k", DataType::Int64, true), Field::new("name", DataType::Utf8, false)]));
    let partition = |from: i64| {
        let keys: Int64Array = (from..from + 20).map(|k| (k != 3).then_some(k)).collect();
        let names = StringArray::from_iter_values((from..from + 20).map(|k| format!("name {k}")));
        vec![RecordBatch::try_new(Arc::clone(&dims), vec![Arc::new(keys), Arc::new(names)]).unwrap()]
    };
    let table = MemTable::try_new(Arc::clone(&dims), (0..2).map(|i| partition(i * 20)).collect()).unwrap();
    session.register_table("dims", Arc::new(table)).unwrap();
}

const SHAPES: &[&str] = &[
    "SELECT * FROM facts",
    "SELECT id, v FROM facts WHERE v > 90",
    "SELECT k, count(*) AS n, sum(v) AS total, min(id) AS first FROM facts GROUP BY k",
    "SELECT count(*) AS n, max(v) AS most FROM facts",
    "SELECT count(DISTINCT v) AS n FROM facts",
    "SELECT DISTINCT k FROM facts",
    "SELECT k, first_value(v ORDER BY id) AS v FROM facts GROUP BY k HAVING count(*) > 10",
    "SELECT f.id, d.name FROM facts f JOIN dims d ON f.k = d.k",
    "SELECT f.id, d.name FROM facts f LEFT JOIN dims d ON f.k = d.k",
    "SELECT f.id, d.name FROM facts f RIGHT JOIN dims d ON f.k = d.k",
    "SELECT f.id, d.name FROM facts f FULL JOIN dims d ON f.k = d.k",
    "SELECT d.name FROM dims d LEFT JOIN facts f ON f.k = d.k AND f.v > 95",
    "SELECT id FROM facts WHERE k IN (SELECT k FROM dims)",
    "SELECT id FROM facts WHERE k NOT IN (SELECT k FROM dims WHERE k IS NOT NULL)",
    "SELECT id FROM facts WHERE k NOT IN (SELECT k FROM dims)",
    "SELECT id FROM facts f WHERE NOT EXISTS (SELECT 1 FROM dims d WHERE d.k = f.k)",
    "SELECT k FROM dims d WHERE EXISTS (SELECT 1 FROM facts f WHERE d.k = f.k)",
    "SELECT a.id, b.k FROM facts a JOIN dims b ON a.v < b.k AND a.id < 50",
    "SELECT a.id, b.k FROM facts a LEFT JOIN dims b ON a.v < b.k AND a.id < 50",
    "SELECT a.id, b.name FROM (SELECT id FROM facts WHERE id < 9) a CROSS JOIN dims b",
    "SELECT id, row_number() OVER (PARTITION BY k ORDER BY v, id) AS place FROM facts",
    "SELECT id, sum(v) OVER (ORDER BY id) AS running FROM facts",
    "SELECT id FROM facts WHERE v > 50 UNION ALL SELECT k FROM dims",
    "SELECT k, count(*) AS n FROM (SELECT k FROM facts UNION ALL SELECT k FROM dims) GROUP BY k",
    "SELECT id FROM facts UNION SELECT k FROM dims",
    "SELECT id FROM facts ORDER BY v, id",
    "SELECT id FROM facts ORDER BY v DESC, id LIMIT 7",
    "SELECT count(*) AS n FROM (SELECT id FROM facts LIMIT 11)",
    "SELECT id FROM facts WHERE v = (SELECT max(v) FROM facts)",
    "SELECT d.name, s.total FROM dims d JOIN (SELECT k, sum(v) AS total FROM facts GROUP BY k) s ON d.k = s.k",
    "SELECT 1 AS one",
    "SELECT id FROM facts WHERE false",
];

fn sorted(rows: &[RecordBatch]) -> Vec<String> {
    let text = pretty_format_batches(rows).unwrap().to_string();
    let mut lines: Vec<String> =
        text.lines().filter(|line| line.starts_with("| ")).skip(1).map(str::to_owned).collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn every_shape_of_a_plan_gives_its_rows_task_by_task() {
    let lab = Lab::new().await;
    let alone = lab.session(0);
    register_tables(&alone);
    let mut wrong = String::new();
    for is_broadcast in [true, false] {
        let planning = optimizer::adapt(&alone, VCORES);
        if !is_broadcast {
            let state = planning.state_ref();
            let mut state = state.write();
            let optimizer = &mut state.config_mut().options_mut().optimizer;
            optimizer.hash_join_single_partition_threshold = 0;
            optimizer.hash_join_single_partition_threshold_rows = 0;
        }
        for sql in SHAPES {
            let expected = sorted(&alone.sql(sql).await.unwrap().collect().await.unwrap());
            let plan = planning.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
            let text = displayable(plan.as_ref()).indent(false).to_string();
            let root = |rows| Arc::new(ExchangeWriteExec::new(rows, "spool/x".to_owned())) as Arc<dyn ExecutionPlan>;
            let root = root(plan);
            let stage = plan_stages(&root, "spool/x").unwrap_or_else(|reason| {
                assert!(sql.contains("(SELECT max"), "not cut: {sql}: {reason}");
                single_task(&root)
            });
            let schema = match root.downcast_ref::<ExchangeWriteExec>() {
                Some(write) => write.input().schema(),
                None => unreachable!(),
            };
            let chunks = lab.run(stage).await.iter().flat_map(|object| object.chunks_of(0)).collect();
            let read = Arc::new(ExchangeReadExec::plain(schema, None, vec![chunks]));
            let rows = sorted(&collect(read, lab.session(0).task_ctx()).await.unwrap());
            if rows != expected {
                let _ = writeln!(wrong, "{sql}\n{text}gave {} rows, not {}", rows.len(), expected.len());
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Returns the smallest number of tasks of any stage.
fn narrowest(stage: &Stage) -> usize {
    stage.inputs.iter().map(|input| narrowest(&input.stage)).min().unwrap_or(usize::MAX).min(partitions(&stage.plan))
}

#[tokio::test]
async fn no_stage_of_a_large_table_funnels_through_one_task() {
    let lab = Lab::new().await;
    let alone = lab.session(0);
    register_tables(&alone);
    let planning = optimizer::adapt(&alone, VCORES);
    let optimizer_off = |session: &SessionContext| {
        let state = session.state_ref();
        state.write().config_mut().options_mut().optimizer.hash_join_single_partition_threshold = 0;
        state.write().config_mut().options_mut().optimizer.hash_join_single_partition_threshold_rows = 0;
    };
    optimizer_off(&planning);
    for sql in [
        "SELECT k, max(v) AS v FROM facts GROUP BY k",
        "SELECT f.id, d.name FROM facts f LEFT JOIN dims d ON f.k = d.k",
        "SELECT d.name FROM dims d LEFT JOIN facts f ON f.k = d.k",
        "SELECT id, row_number() OVER (PARTITION BY k ORDER BY v, id) AS place FROM facts",
        "SELECT k, count(*) AS n FROM (SELECT k FROM facts UNION ALL SELECT k FROM facts) GROUP BY k",
    ] {
        let plan = planning.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
        let stage = plan_stages(&plan, "spool/x").unwrap();
        assert!(narrowest(&stage) > 1, "{sql}\n{}", displayable(plan.as_ref()).indent(false));
    }
}

/// Creates a table with three partitions whose rows contain only nulls.
fn large(schema: &Arc<Schema>) -> Arc<MemTable> {
    let columns = schema.fields().iter().map(|field| new_null_array(field.data_type(), 300)).collect();
    let fields: Vec<_> = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
    Arc::new(MemTable::try_new(schema, vec![vec![batch]; 3]).unwrap())
}

#[tokio::test]
async fn every_model_and_every_staging_is_parallel() {
    let file = std::path::Path::new("../lake.toml");
    let config = config::load(file, Purpose::Run, std::iter::empty()).unwrap();
    let lab = Lab::new().await;
    let planning = optimizer::adapt(&lab.session(0), VCORES);
    let optimizer_off = planning.state_ref();
    optimizer_off.write().config_mut().options_mut().optimizer.hash_join_single_partition_threshold = 0;
    optimizer_off.write().config_mut().options_mut().optimizer.hash_join_single_partition_threshold_rows = 0;
    for source in &config.sources {
        let table = large(&arrow_schema(&source.fields));
        session_tables::register(&planning, "staging", &source.name, table).unwrap();
        let objects = (0..64).map(|i| SourceObject { key: format!("{i}"), bytes: 64 << 20, etag: None, modified: 0 });
        let splits = plan_splits(objects.collect(), &Contents::new(), can_be_cut(source), config.limits.split_bytes);
        let scan: Arc<dyn ExecutionPlan> =
            Arc::new(JsonScanExec::new(Arc::new(source.clone()), splits, Arc::new(config.limits.clone())));
        assert!(narrowest(&plan_stages(&scan, "spool/x").unwrap()) >= 32, "{}", source.name);
    }
    for model in model::plan_models(&planning, &config).unwrap() {
        let plan = planning.sql(&model.table.sql).await.unwrap().create_physical_plan().await.unwrap();
        let text = displayable(plan.as_ref()).indent(false).to_string();
        let schema = plan.schema();
        let write: Arc<dyn ExecutionPlan> = Arc::new(ExchangeWriteExec::new(plan, "spool/x".to_owned()));
        assert!(narrowest(&plan_stages(&write, "spool/x").unwrap()) > 1, "{}\n{text}", model.table.name);
        session_tables::register(&planning, session_tables::TABLES_SCHEMA, &model.table.name, large(&schema)).unwrap();
    }
}

fn limits() -> Limits {
    Limits {
        memory_bytes: 256 << 20,
        max_record_bytes: 1 << 20,
        scratch: None,
        threads: 2,
        split_bytes: 128 << 20,
        concurrent_reads: 8,
        target_file_bytes: 1 << 20,
        max_open_files: 8,
        max_decompression_ratio: 200,
    }
}

fn source() -> Source {
    Source {
        name: "s".to_owned(),
        url: Url::parse("file:///in/").unwrap(),
        format: RecordFormat::Json(JsonFormat::Lines),
        fields: vec![],
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

#[test]
fn a_hundred_thousand_objects_are_planned_and_no_task_carries_more_than_its_part() {
    const OBJECTS: u64 = 100_000;
    let limits = Arc::new(limits());
    let objects = (0..OBJECTS).map(|i| SourceObject {
        key: format!("year=2018/month=11/a-name-as-long-as-they-are-in-practice/{i:08}.json"),
        bytes: 250,
        etag: Some(format!("{i:032x}")),
        modified: 0,
    });
    let splits = plan_splits(objects.collect(), &Contents::new(), true, limits.split_bytes);
    let tasks = splits.len();
    assert!(tasks > 10, "{tasks} tasks");
    let scan: Arc<dyn ExecutionPlan> = Arc::new(JsonScanExec::new(Arc::new(source()), splits, limits));
    let mut planned = 0;
    for task in 0..tasks {
        let narrowed = task_plan(&scan, task).unwrap();
        let bytes = encode_plan(&narrowed).unwrap().len();
        let objects: usize =
            narrowed.downcast_ref::<JsonScanExec>().unwrap().partitions().iter().map(|splits| splits.len()).sum();
        assert!(bytes < 4096 + 512 * objects, "{bytes} bytes for {objects} objects");
        assert!(bytes + MESSAGE_SLACK < MAX_MESSAGE_BYTES);
        planned += objects as u64;
    }
    assert_eq!(planned, OBJECTS);
}
