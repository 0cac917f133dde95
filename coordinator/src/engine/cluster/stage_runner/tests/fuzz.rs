//! Fuzz target: any bytes decode to a plan that can be encoded again, or are rejected with an
//! error. The worker that receives them never panics.

use lakewright_common::read::split::Split;
use lakewright_common::report::spool_object::Chunk;
use lakewright_common::write::ingest_node::{IngestExec, IngestFolders};
use lakewright_common::write::table_node::TableWriteExec;
use lakewright_common::write::table_writer::TableLayout;
use lakewright_fuzz::Target;
use uuid::Uuid;

use super::*;

/// Returns encoded plans of every shape, and one with each of our own nodes.
async fn plans(lab: &Lab) -> Vec<Vec<u8>> {
    let session = optimizer::adapt(&lab.session(0), VCORES);
    register_tables(&session);
    let mut plans = vec![];
    for sql in SHAPES {
        plans.push(session.sql(sql).await.unwrap().create_physical_plan().await.unwrap());
    }
    let rows = Arc::clone(&plans[0]);
    plans.push(Arc::new(ExchangeWriteExec::new(Arc::clone(&rows), "spool/x".to_owned())));
    let chunk = Chunk { key: "spool/x".to_owned(), range: 3..7 };
    plans.push(Arc::new(ExchangeReadExec::plain(rows.schema(), None, vec![vec![chunk]])));
    let layout = TableLayout {
        folder: "facts".to_owned(),
        schema: rows.schema(),
        partition_by: vec!["k".to_owned()],
        target_file_bytes: 1 << 20,
        max_open_files: 8,
    };
    plans.push(Arc::new(TableWriteExec::new(rows, Arc::new(layout), Uuid::nil())));
    let object = SourceObject { key: "a.json".to_owned(), bytes: 9, etag: Some("e".to_owned()), modified: 0 };
    let splits = vec![vec![Split::whole(object)]];
    let scan = Arc::new(JsonScanExec::new(Arc::new(source()), splits, Arc::new(limits())));
    let folders = IngestFolders { staging: "staging/s".to_owned(), quarantine: "quarantine/s".to_owned() };
    plans.push(Arc::new(IngestExec::new(scan, Arc::new(Schema::empty()), folders, Uuid::nil(), 1 << 20)));
    plans.iter().map(|plan| encode_plan(plan).unwrap()).collect()
}

#[test]
fn any_bytes_are_a_plan_or_are_refused() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let lab = runtime.block_on(Lab::new());
    let seeds = runtime.block_on(plans(&lab));
    let context = lab.session(0).task_ctx();
    let words = &["\u{a}", "\u{12}", "\u{1a}", "\u{22}", "\u{0}", "Int64", "count", "facts"];
    Target { name: "plan", words, seeds }.run(|input| {
        let plan = match decode_plan(input, &context) {
            Ok(plan) => plan,
            Err(e) => return e.strip_backtrace(),
        };
        let again = encode_plan(&plan).and_then(|bytes| decode_plan(&bytes, &context));
        format!("{} {}", plan.name(), again.is_ok())
    });
}
