//! The system tables: `system.ledger`, `system.quarantine`, `system.history`.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::MemTable;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use lakewright_common::error::{Context, Error, Result};
use lakewright_common::read::quarantine;
use lakewright_common::report::WrittenFile;
use lakewright_common::storage::Storage;
use lakewright_common::storage::s3::requests::RequestClass;

use crate::engine::parquet_table::ParquetTable;
use crate::lake::manifest::{Manifest, SourceCounts};
use crate::lake::{LakePath, ledger, manifest_store, url_of};
use crate::session_tables;

/// SQL schema of the system tables.
const SYSTEM_SCHEMA: &str = "system";

/// Registers the system tables of `manifest` in a session.
///
/// # Errors
/// An internal error if a table cannot be registered.
pub(super) fn register(session: &SessionContext, lake: &Storage, manifest: &Manifest) -> Result<()> {
    let sources = manifest.sources.values();
    // The ledger files have no statistics. A query over them reads each file.
    let ledger_files = sources.clone().flat_map(|source| &source.ledger).map(|file| WrittenFile {
        path: file.path.clone(),
        partition_values: Default::default(),
        rows: file.objects,
        bytes: file.bytes,
        digest: file.digest.clone(),
        statistics: vec![],
    });
    // The manifest holds the file lists, so registering `ledger` and `quarantine` needs no request.
    let ledger = ParquetTable::new(ledger::schema(), &[], ledger_files.collect());
    let quarantine_files = sources.flat_map(|source| session_tables::written(&source.quarantine)).collect();
    let quarantine = ParquetTable::new(Arc::new(Schema::new(quarantine::fields())), &[], quarantine_files);
    let history = HistoryTable { lake: lake.clone(), newest: manifest.clone(), schema: history_schema() };
    session_tables::register(session, SYSTEM_SCHEMA, "ledger", Arc::new(ledger))?;
    session_tables::register(session, SYSTEM_SCHEMA, "quarantine", Arc::new(quarantine))?;
    session_tables::register(session, SYSTEM_SCHEMA, "history", Arc::new(history))
}

fn history_schema() -> SchemaRef {
    let long = |name: &str| Field::new(name, DataType::Int64, true);
    let moment = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        long("version"),
        Field::new("committed_at", moment, true),
        Field::new("run_id", DataType::Utf8, true),
        long("elapsed_ms"),
        long("objects"),
        long("bytes"),
        long("records"),
        long("staged"),
        long("quarantined"),
        long("templated"),
        Field::new("tables_changed", DataType::Utf8, true),
        long("s3_gets"),
        long("s3_puts"),
        long("s3_lists"),
        long("s3_bytes_read"),
        long("s3_bytes_written"),
        Field::new("engine", DataType::Utf8, true),
    ]))
}

/// The table `system.history`: one row per commit, up to the version of `newest`. Older manifests
/// are read only when a query scans the table.
#[derive(Debug)]
struct HistoryTable {
    lake: Storage,
    newest: Manifest,
    schema: SchemaRef,
}

impl HistoryTable {
    async fn load(&self) -> Result<RecordBatch> {
        let mut manifests = Vec::new();
        // The newest manifest is in memory already.
        for version in 1..self.newest.version {
            match manifest_store::get(&self.lake, version).await? {
                Some(manifest) => manifests.push(manifest),
                // An old manifest may be lost. The rest of the history is still useful.
                None => {
                    let manifest = url_of(&self.lake, &LakePath::Manifest(version).key());
                    tracing::warn!(
                        version = version,
                        manifest,
                        "a manifest is missing; the history leaves its version out"
                    );
                }
            }
        }
        manifests.push(self.newest.clone());
        let totals: Vec<SourceCounts> = manifests
            .iter()
            .map(|manifest| {
                let mut total = SourceCounts::default();
                manifest.counts.values().for_each(|counts| total.add(counts));
                total
            })
            .collect();
        let of_manifests = |value: fn(&Manifest) -> u64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(manifests.iter().map(|manifest| signed(value(manifest)))))
        };
        let of_totals = |value: fn(&SourceCounts) -> u64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(totals.iter().map(|total| signed(value(total)))))
        };
        let text = |value: fn(&Manifest) -> String| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(manifests.iter().map(value)))
        };
        let committed_at = manifests.iter().map(|manifest| manifest.committed_at.timestamp_micros());
        let columns: Vec<ArrayRef> = vec![
            of_manifests(|manifest| manifest.version),
            Arc::new(TimestampMicrosecondArray::from_iter_values(committed_at).with_timezone("UTC")),
            text(|manifest| manifest.run.to_string()),
            of_manifests(|manifest| manifest.elapsed_milliseconds),
            of_totals(|total| total.objects),
            of_totals(|total| total.bytes),
            of_totals(|total| total.records),
            of_totals(|total| total.staged),
            of_totals(|total| total.quarantined),
            of_totals(|total| total.templated),
            text(changed_tables),
            // S3 bills HEAD requests as GET requests, and POST requests as PUT requests.
            of_manifests(|manifest| manifest.requests.of(&[RequestClass::Get, RequestClass::Head])),
            of_manifests(|manifest| manifest.requests.of(&[RequestClass::Put, RequestClass::Post])),
            of_manifests(|manifest| manifest.requests.of(&[RequestClass::List])),
            of_manifests(|manifest| manifest.requests.bytes_read),
            of_manifests(|manifest| manifest.requests.bytes_written),
            text(|manifest| manifest.engine.clone()),
        ];
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .context(|| Error::internal("the history does not fit its schema"))
    }
}

fn changed_tables(manifest: &Manifest) -> String {
    let changed = manifest.tables.iter().filter(|table| table.changed_in == manifest.version);
    changed.map(|table| table.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// Converts a value to the type of a `BIGINT` column. A value above the maximum of the type becomes
/// the maximum.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[async_trait]
impl TableProvider for HistoryTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> datafusion::error::Result<Arc<dyn ExecutionPlan>> {
        // Loads all rows, because a history is small, and lets `MemTable` apply projection and
        // limit.
        let batch = self.load().await?;
        let table = MemTable::try_new(Arc::clone(&self.schema), vec![vec![batch]])?;
        table.scan(session, projection, filters, limit).await
    }
}
