//! Writes Parquet files into one folder: a file is closed at its target size and the next one is
//! started.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::AsyncArrowWriter;
use uuid::Uuid;

use crate::error::{Context, Error, Result};
use crate::report::WrittenFile;
use crate::write::digested::{DigestedUpload, EndMark};
use crate::write::properties::{FilePurpose, properties};
use crate::write::statistics::StatisticsCollector;

/// Number of bytes that an upload buffers before it sends a part.
pub const UPLOAD_BUFFER_BYTES: usize = 8 * 1024 * 1024;

/// Settings of the file writers of one task.
#[derive(Debug, Clone)]
pub struct FileSettings {
    pub store: Arc<dyn ObjectStore>,
    /// URL of the store's root, to prepend to keys in messages.
    pub root: String,
    /// Id of the run, which is the first part of every file's name.
    pub run: Uuid,
    /// Number of the task, which is the second part of every file's name.
    pub task: usize,
    pub target_file_bytes: u64,
    /// Purpose of the files. Only reports about files of a table contain column statistics.
    pub purpose: FilePurpose,
}

/// Writes batches of one schema into one folder.
#[derive(Debug)]
pub struct FileWriter {
    settings: FileSettings,
    folder: String,
    schema: SchemaRef,
    open: Option<OpenFile>,
    files: Vec<WrittenFile>,
}

struct OpenFile {
    path: Path,
    /// URL of the file, for messages.
    name: String,
    writer: AsyncArrowWriter<DigestedUpload>,
    end: EndMark,
    statistics: StatisticsCollector,
}

impl std::fmt::Debug for OpenFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenFile").field("path", &self.path).finish_non_exhaustive()
    }
}

impl FileWriter {
    /// Creates a writer into `folder`. This is a key prefix, relative to the lake's root and
    /// without a trailing slash.
    #[must_use]
    pub fn new(settings: FileSettings, folder: String, schema: SchemaRef) -> Self {
        Self { settings, folder, schema, open: None, files: Vec::new() }
    }

    /// Writes a batch; starts and closes files as needed.
    ///
    /// # Errors
    /// A storage error that names the file.
    pub async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        if self.open.is_none() {
            self.open = Some(self.start_file(batch)?);
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        open.statistics.add(batch);
        written(open.writer.write(batch).await, &open.name)?;
        // Include the estimated size of rows that are not written yet.
        if (open.writer.bytes_written() + open.writer.in_progress_size()) as u64 >= self.settings.target_file_bytes {
            self.close_open().await?;
        }
        Ok(())
    }

    /// Returns the schema of the files.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Returns the number of bytes of the unfinished file that are in memory.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.open.as_ref().map_or(0, |open| open.writer.memory_size())
    }

    /// Writes the rows in memory as a row group.
    ///
    /// # Errors
    /// A storage error that names the file.
    pub async fn flush(&mut self) -> Result<()> {
        match &mut self.open {
            Some(open) => written(open.writer.flush().await, &open.name),
            None => Ok(()),
        }
    }

    /// Closes the last file and returns all files that were written.
    ///
    /// # Errors
    /// A storage error that names the file.
    pub async fn finish(mut self) -> Result<Vec<WrittenFile>> {
        self.close_open().await?;
        Ok(self.files)
    }

    /// Starts a file. `first` contains the first rows of the file.
    fn start_file(&self, first: &RecordBatch) -> Result<OpenFile> {
        // Version 7 UUIDs are ordered by time, so a listing shows the files of a task in order.
        let name = format!("{}-{}-{}.parquet", self.settings.run, self.settings.task, Uuid::now_v7());
        let path = Path::parse(format!("{}/{name}", self.folder))
            .context(|| Error::internal(format!("`{}` is not a key prefix", self.folder)))?;
        let upload = BufWriter::with_capacity(Arc::clone(&self.settings.store), path.clone(), UPLOAD_BUFFER_BYTES);
        let name = format!("{}{path}", self.settings.root);
        let end = EndMark::default();
        let upload = DigestedUpload::new(upload, end.clone());
        let properties = properties(self.settings.purpose, first);
        let writer = written(AsyncArrowWriter::try_new(upload, Arc::clone(&self.schema), Some(properties)), &name)?;
        Ok(OpenFile { path, name, writer, end, statistics: StatisticsCollector::new(Arc::clone(&self.schema)) })
    }

    async fn close_open(&mut self) -> Result<()> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        // Write the last row group before the mark, so that only page indexes and the footer are
        // buffered.
        written(open.writer.flush().await, &open.name)?;
        open.end.set();
        let metadata = written(open.writer.finish().await, &open.name)?;
        // Report the size on storage, so that a manifest can be compared with a listing.
        let (bytes, digest) = open.writer.into_inner().finished();
        // Statistics are only needed for Delta logs, and internal files are in no Delta log.
        let statistics = match self.settings.purpose {
            FilePurpose::Table => open.statistics.finish(&metadata)?,
            FilePurpose::Internal => Vec::new(),
        };
        self.files.push(WrittenFile {
            path: open.path.to_string(),
            // The table writer sets these values, because only it knows the partition.
            partition_values: std::collections::BTreeMap::new(),
            rows: u64::try_from(metadata.file_metadata().num_rows()).unwrap_or_default(),
            bytes,
            digest: Some(digest),
            statistics,
        });
        Ok(())
    }
}

/// Adds the name of the file to an error of the Parquet writer.
fn written<T>(outcome: parquet::errors::Result<T>, name: &str) -> Result<T> {
    outcome.storage_context("write", || name).map_err(with_hint)
}

fn with_hint(error: Error) -> Error {
    if error.hint.is_some() {
        return error;
    }
    error.hint("check that there is free space and that this process may write there; docs/s3.md lists the actions it needs on S3")
}

/// Deletes files that a task wrote but will not report. Ignores failures.
pub async fn discard(store: &dyn ObjectStore, files: &[WrittenFile]) {
    for file in files {
        if let Ok(path) = Path::parse(&file.path) {
            // If the file remains, no manifest names it, so a later `vacuum` deletes it.
            let _ = store.delete(&path).await;
        }
    }
}
