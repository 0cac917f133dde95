//! A table provider over the Parquet files that a manifest names. It reads exactly these files and
//! ignores all others in the same folders.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::scalar::ScalarValue;
use lakewright_common::error::{Context, Error};
use lakewright_common::report::WrittenFile;
use lakewright_common::session::lake_store_url;

/// Number of bytes that the first request reads from the end of a file. On S3 this fetches the
/// footer of most files with one request instead of two.
const FOOTER_BYTES: usize = 64 * 1024;

/// A table that consists of Parquet files below the lake's root.
#[derive(Debug)]
pub(crate) struct ParquetTable {
    /// Schema of the table, including partition columns, in the declared order.
    schema: SchemaRef,
    file_fields: Vec<FieldRef>,
    partition_fields: Vec<FieldRef>,
    files: Vec<WrittenFile>,
}

impl ParquetTable {
    /// Creates a table over `files`. The values of partition columns come from the
    /// `partition_values` of each file, and all other columns from its content. A column that a
    /// file lacks is null.
    pub(crate) fn new(schema: SchemaRef, partition_by: &[String], files: Vec<WrittenFile>) -> Self {
        let mut file_fields = Vec::new();
        let mut partition_fields: Vec<FieldRef> = Vec::new();
        for field in schema.fields() {
            if !partition_by.contains(field.name()) {
                file_fields.push(Arc::clone(field));
            }
        }
        // Partition columns have the order of the folders (`year=2018/month=11`), not of the
        // schema.
        for name in partition_by {
            partition_fields.extend(schema.fields().find(name).map(|(_, field)| Arc::clone(field)));
        }
        Self { schema, file_fields, partition_fields, files }
    }

    /// Converts the column indices of a projection from the order of the table to that of the scan.
    /// In the scan, the partition columns come last.
    fn scan_indices(&self, projection: Option<&Vec<usize>>) -> Vec<usize> {
        let position: HashMap<&str, usize> = self
            .file_fields
            .iter()
            .chain(&self.partition_fields)
            .enumerate()
            .map(|(i, field)| (field.name().as_str(), i))
            .collect();
        let table_columns: Vec<usize> =
            projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        table_columns.into_iter().filter_map(|i| position.get(self.schema.field(i).name().as_str()).copied()).collect()
    }

    fn partitioned_file(&self, file: &WrittenFile) -> Result<PartitionedFile> {
        let values = self
            .partition_fields
            .iter()
            .map(|field| partition_value(field, file.partition_values.get(field.name()).and_then(Option::as_deref)))
            .collect::<Result<Vec<_>>>()?;
        // Set the location afterwards, because `new` would percent-encode the key a second time.
        let mut partitioned = PartitionedFile::new(String::new(), file.bytes);
        partitioned.object_meta.location =
            object_store::path::Path::parse(&file.path).context(|| Error::internal("a file has an invalid key"))?;
        let statistics = Statistics {
            num_rows: Precision::Exact(usize::try_from(file.rows).unwrap_or(usize::MAX)),
            total_byte_size: Precision::Inexact(usize::try_from(file.bytes).unwrap_or(usize::MAX)),
            column_statistics: vec![ColumnStatistics::new_unknown(); self.file_fields.len()],
        };
        Ok(partitioned.with_partition_values(values).with_statistics(Arc::new(statistics)))
    }
}

fn partition_value(field: &FieldRef, text: Option<&str>) -> Result<ScalarValue> {
    match text {
        None => ScalarValue::try_from(field.data_type()),
        Some(text) => ScalarValue::try_from_string(text.to_owned(), field.data_type()),
    }
}

#[async_trait]
impl TableProvider for ParquetTable {
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
        _: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let files = self.files.iter().map(|file| self.partitioned_file(file)).collect::<Result<Vec<_>>>()?;
        if files.is_empty() {
            let schema = match projection {
                Some(projection) => Arc::new(self.schema.project(projection)?),
                None => Arc::clone(&self.schema),
            };
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let rows = self.files.iter().map(|file| file.rows).sum::<u64>();
        let bytes = self.files.iter().map(|file| file.bytes).sum::<u64>();
        // The number of rows is exact, because a file never changes once a manifest names it.
        let statistics = Statistics {
            num_rows: Precision::Exact(usize::try_from(rows).unwrap_or(usize::MAX)),
            total_byte_size: Precision::Inexact(usize::try_from(bytes).unwrap_or(usize::MAX)),
            column_statistics: vec![ColumnStatistics::new_unknown(); self.schema.fields().len()],
        };
        let file_schema =
            Arc::new(Schema::new(self.file_fields.iter().map(|f| f.as_ref().clone()).collect::<Vec<_>>()));
        let source = ParquetSource::new(
            TableSchema::builder(file_schema).with_table_partition_cols(self.partition_fields.clone()).build(),
        )
        .with_table_parquet_options(session.table_options().parquet.clone())
        .with_metadata_size_hint(FOOTER_BYTES);
        let config = FileScanConfigBuilder::new(lake_store_url(), Arc::new(source))
            .with_file_groups(groups(files, session.config().target_partitions()))
            .with_statistics(statistics)
            .with_limit(limit)
            .with_projection_indices(Some(self.scan_indices(projection)))?
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

/// Distributes files over at most `count` groups of about equal size in bytes.
fn groups(mut files: Vec<PartitionedFile>, count: usize) -> Vec<FileGroup> {
    // Putting the largest file first into the smallest group gives groups of nearly equal size.
    files.sort_by_key(|file| std::cmp::Reverse(file.object_meta.size));
    let mut groups: Vec<(u64, Vec<PartitionedFile>)> = vec![(0, vec![]); count.max(1).min(files.len())];
    for file in files {
        if let Some(smallest) = groups.iter_mut().min_by_key(|(bytes, _)| *bytes) {
            smallest.0 += file.object_meta.size;
            smallest.1.push(file);
        }
    }
    groups.into_iter().map(|(_, files)| FileGroup::new(files)).collect()
}
