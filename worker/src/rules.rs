//! Restricts plans to the storages of the run that this worker has joined.
//!
//! Every node of a plan must be of a known kind, and every file must be in a folder that the
//! coordinator named at registration. Anything else is rejected with an error that names it. So a
//! plan that was made to read or write elsewhere does nothing, no matter who sent it.

use std::sync::Arc;

use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_plan::ExecutionPlan;
use lakewright_common::error::{Error, Result};
use lakewright_common::exchange::read_node::ExchangeReadExec;
use lakewright_common::exchange::write_node::ExchangeWriteExec;
use lakewright_common::read::scan_node::JsonScanExec;
use lakewright_common::session::lake_store_url;
use lakewright_common::write::ingest_node::IngestExec;
use lakewright_common::write::table_node::TableWriteExec;

/// Nodes that only compute: they read their children and write nothing except spill files.
const NODES: &[&str] = &[
    "AggregateExec",
    "BoundedWindowAggExec",
    "BufferExec",
    "CoalesceBatchesExec",
    "CoalescePartitionsExec",
    "CooperativeExec",
    "CrossJoinExec",
    "EmptyExec",
    "FilterExec",
    "FirstRowExec",
    "GlobalLimitExec",
    "HashJoinExec",
    "InterleaveExec",
    "LazyMemoryExec",
    "LocalLimitExec",
    "NestedLoopJoinExec",
    "PartialSortExec",
    "PlaceholderRowExec",
    "ProjectionExec",
    "RepartitionExec",
    "ScalarSubqueryExec",
    "SortExec",
    "SortExec(TopK)",
    "SortMergeJoinExec",
    "SortPreservingMergeExec",
    "SymmetricHashJoinExec",
    "UnionExec",
    "UnnestExec",
    "WindowAggExec",
];

/// Locations that the plans of one run may read and write.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) run: String,
    pub(crate) sources: Vec<String>,
    /// Folders of the lake from which plans may read files.
    pub(crate) readable: Vec<String>,
    /// Folders of the lake into which plans may write files.
    pub(crate) writable: Vec<String>,
    pub(crate) spool_prefix: String,
}

impl Rules {
    /// Checks a plan and all nodes in it.
    ///
    /// # Errors
    /// A configuration error that names the first node, location or run that the rules do not
    /// allow.
    pub(crate) fn check(&self, plan: &Arc<dyn ExecutionPlan>) -> Result<()> {
        self.check_node(plan)?;
        plan.children().into_iter().try_for_each(|child| self.check(child))
    }

    fn check_node(&self, node: &Arc<dyn ExecutionPlan>) -> Result<()> {
        if let Some(scan) = node.downcast_ref::<JsonScanExec>() {
            // A scan has no children. It finds its storage by the name of its source.
            return allow(self.sources.contains(&scan.source().name), "the source", &scan.source().name);
        }
        if let Some(ingest) = node.downcast_ref::<IngestExec>() {
            self.may_write(&ingest.folders().staging)?;
            self.may_write(&ingest.folders().quarantine)?;
            return self.is_of_run(&ingest.run().to_string());
        }
        if let Some(write) = node.downcast_ref::<TableWriteExec>() {
            self.may_write(&write.layout().folder)?;
            return self.is_of_run(&write.run().to_string());
        }
        if let Some(write) = node.downcast_ref::<ExchangeWriteExec>() {
            return allow(write.prefix() == self.spool_prefix, "spool objects", write.prefix());
        }
        if let Some(read) = node.downcast_ref::<ExchangeReadExec>() {
            let keys = read.partitions().iter().flat_map(|chunks| chunks.iter()).map(|chunk| &chunk.key);
            keys.into_iter().try_for_each(|key| allow(self.is_spooled(key), "the spool object", key))?;
            // The shape is never executed, but it comes from the coordinator too, so check its
            // nodes.
            return self.check(read.shape());
        }
        if let Some(leaf) = node.downcast_ref::<DataSourceExec>() {
            return self.check_source(leaf);
        }
        allow(NODES.contains(&node.name()), "a node", node.name())
    }

    fn check_source(&self, leaf: &DataSourceExec) -> Result<()> {
        if leaf.data_source().downcast_ref::<MemorySourceConfig>().is_some() {
            // Rows in memory are part of the plan itself, so no storage is read.
            return Ok(());
        }
        let Some(files) = leaf.data_source().downcast_ref::<FileScanConfig>() else {
            return reject("a data source", "of an unknown kind");
        };
        allow(files.file_source.file_type() == "parquet", "files of type", files.file_source.file_type())?;
        // Parquet files are only in the lake.
        allow(files.object_store_url == lake_store_url(), "the storage", files.object_store_url.as_str())?;
        let mut paths = files.file_groups.iter().flat_map(|group| group.iter()).map(|file| &file.object_meta.location);
        paths.try_for_each(|path| allow(self.is_readable(path.as_ref()), "the file", path.as_ref()))
    }

    fn is_of_run(&self, run: &str) -> Result<()> {
        allow(run == self.run, "the run", run)
    }

    fn may_write(&self, folder: &str) -> Result<()> {
        allow(self.writable.iter().any(|writable| writable == folder), "writing to", folder)
    }

    fn is_readable(&self, path: &str) -> bool {
        // A folder `a` must not allow the folder `ab`.
        self.readable.iter().any(|folder| path.strip_prefix(folder.as_str()).is_some_and(|rest| rest.starts_with('/')))
    }

    fn is_spooled(&self, key: &str) -> bool {
        key.strip_prefix(self.spool_prefix.as_str()).is_some_and(|rest| !rest.contains('/'))
    }
}

fn allow(is_allowed: bool, what: &str, name: &str) -> Result<()> {
    if is_allowed { Ok(()) } else { reject(what, name) }
}

fn reject(what: &str, name: &str) -> Result<()> {
    Err(Error::configuration(format!(
        "rejected a task: {what} `{name}` is not part of the run that this worker has joined"
    )))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    use datafusion::datasource::listing::PartitionedFile;
    use datafusion::datasource::object_store::ObjectStoreUrl;
    use datafusion::datasource::physical_plan::{CsvSource, FileScanConfigBuilder, ParquetSource};
    use datafusion::datasource::table_schema::TableSchema;
    use datafusion::physical_plan::analyze::AnalyzeExec;
    use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
    use datafusion::physical_plan::empty::EmptyExec;
    use lakewright_common::report::spool_object::Chunk;
    use lakewright_common::write::table_writer::TableLayout;
    use uuid::Uuid;

    use super::*;

    const RUN: Uuid = Uuid::from_u128(7);

    fn rules() -> Rules {
        Rules {
            run: RUN.to_string(),
            sources: vec!["songs".to_owned()],
            readable: vec!["_lake/staging/songs".to_owned(), "songs".to_owned()],
            writable: vec!["songs".to_owned()],
            spool_prefix: format!("_lake/spool/{RUN}/exchange"),
        }
    }

    fn schema() -> Arc<Schema> {
        Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false)]))
    }

    fn rows() -> Arc<dyn ExecutionPlan> {
        Arc::new(EmptyExec::new(schema()))
    }

    fn files(store: &str, path: &str) -> Arc<dyn ExecutionPlan> {
        let source = Arc::new(ParquetSource::new(schema()));
        let store = ObjectStoreUrl::parse(store).unwrap();
        let file = PartitionedFile::new(path, 10);
        DataSourceExec::from_data_source(FileScanConfigBuilder::new(store, source).with_file(file).build())
    }

    fn write(folder: &str, run: Uuid) -> Arc<dyn ExecutionPlan> {
        let layout = TableLayout {
            folder: folder.to_owned(),
            schema: schema(),
            partition_by: vec![],
            target_file_bytes: 1,
            max_open_files: 1,
        };
        Arc::new(TableWriteExec::new(rows(), Arc::new(layout), run))
    }

    fn spooled(key: &str) -> Arc<dyn ExecutionPlan> {
        let chunk = Chunk { key: key.to_owned(), range: 0..1 };
        Arc::new(ExchangeReadExec::plain(schema(), None, vec![vec![chunk]]))
    }

    #[test]
    fn a_plan_of_the_run_is_allowed() {
        let key = format!("_lake/spool/{RUN}/exchange-{RUN}.arrows");
        for plan in [
            rows(),
            files("lakewright://lake/", "songs/year=2000/a.parquet"),
            files("lakewright://lake/", "_lake/staging/songs/a.parquet"),
            write("songs", RUN),
            spooled(&key),
            Arc::new(ExchangeWriteExec::new(rows(), rules().spool_prefix)),
            Arc::new(CoalescePartitionsExec::new(rows())),
        ] {
            rules().check(&plan).unwrap();
        }
    }

    #[test]
    fn anything_else_is_rejected_by_name() {
        let csv = Arc::new(CsvSource::new(TableSchema::from(schema())));
        let csv = FileScanConfigBuilder::new(lake_store_url(), csv).build();
        let analyze = AnalyzeExec::builder(false, false, rows(), schema()).build();
        for (plan, text) in [
            (files("file:///", "etc/passwd"), "the storage `file:///`"),
            (files("lakewright://spool/", "songs/a.parquet"), "the storage `lakewright://spool/`"),
            (files("lakewright://lake/", "songs2/a.parquet"), "the file `songs2/a.parquet`"),
            (files("lakewright://lake/", "_lake/manifest/1.json"), "the file `_lake/manifest/1.json`"),
            (DataSourceExec::from_data_source(csv), "files of type `csv`"),
            (write("users", RUN), "writing to `users`"),
            (write("songs/_delta_log", RUN), "writing to `songs/_delta_log`"),
            (write("songs", Uuid::from_u128(8)), "the run `00000000-0000-0000-0000-000000000008`"),
            (spooled("_lake/spool/other/exchange-1.arrows"), "the spool object `_lake/spool/other/exchange-1.arrows`"),
            (Arc::new(ExchangeWriteExec::new(rows(), "elsewhere".to_owned())), "spool objects `elsewhere`"),
            (Arc::new(analyze), "a node `AnalyzeExec`"),
        ] {
            // A node is rejected at any depth.
            let plan: Arc<dyn ExecutionPlan> = Arc::new(CoalescePartitionsExec::new(plan));
            let error = rules().check(&plan).expect_err(text).to_string();
            assert!(error.contains(text), "`{text}` is not in: {error}");
        }
    }
}
