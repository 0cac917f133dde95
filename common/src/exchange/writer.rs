//! Buffers rows per partition of the next stage and writes them as chunks of one object.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use object_store::ObjectStore;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use tokio::io::AsyncWriteExt;

use crate::error::{Context, Error, Result};
use crate::process::failpoint::{self, FailPoint};
use crate::report::spool_object::SpoolObject;
use crate::session::BATCH_ROWS;

/// Maximum number of buffered bytes of rows. A larger buffer does not make the exchange faster.
const MAX_BUFFER_BYTES: usize = 64 * 1024 * 1024;
/// Number of bytes that an upload buffers before it sends a part.
const UPLOAD_BUFFER_BYTES: usize = 8 * 1024 * 1024;

/// Writes the spool object of one attempt.
pub(super) struct SpoolWriter {
    store: Arc<dyn ObjectStore>,
    key: Path,
    schema: SchemaRef,
    /// Number of buffered bytes at which all buffered rows are written.
    buffer_bytes: usize,
    /// Buffered rows per partition.
    buffered: Vec<Vec<RecordBatch>>,
    buffered_bytes: usize,
    upload: Option<BufWriter>,
    rows: Vec<u64>,
    chunk_bytes: Vec<Vec<u64>>,
}

impl SpoolWriter {
    pub(super) fn new(
        store: Arc<dyn ObjectStore>,
        key: Path,
        schema: SchemaRef,
        partitions: usize,
        buffer_bytes: usize,
    ) -> Self {
        Self {
            store,
            key,
            schema,
            buffer_bytes: buffer_bytes.min(MAX_BUFFER_BYTES),
            buffered: vec![vec![]; partitions],
            buffered_bytes: 0,
            upload: None,
            rows: vec![0; partitions],
            chunk_bytes: Vec::new(),
        }
    }

    /// Buffers rows of one partition; [`Self::flush_if_full`] writes them.
    pub(super) fn add(&mut self, partition: usize, batch: RecordBatch) {
        // An empty batch would only add a chunk header.
        if batch.num_rows() > 0 {
            self.rows[partition] += batch.num_rows() as u64;
            // Each slice of an array counts the size of the whole array. So this may be an
            // overestimate, and rows may be flushed early.
            self.buffered_bytes += batch.get_array_memory_size();
            self.buffered[partition].push(batch);
        }
    }

    /// Returns the number of bytes of buffered rows.
    pub(super) fn memory_bytes(&self) -> usize {
        self.buffered_bytes
    }

    pub(super) async fn flush_if_full(&mut self) -> Result<()> {
        if self.buffered_bytes >= self.buffer_bytes { self.flush().await } else { Ok(()) }
    }

    /// Writes the remaining rows and completes the object on storage.
    pub(super) async fn finish(mut self) -> Result<SpoolObject> {
        if self.buffered_bytes > 0 {
            self.flush().await?;
        }
        let key = match &mut self.upload {
            // Only this call makes the object visible.
            Some(upload) => {
                upload.shutdown().await.storage_context("write", || &self.key)?;
                self.key.to_string()
            }
            // Without rows there is no object. The report then has an empty key.
            None => String::new(),
        };
        Ok(SpoolObject { key, rows: self.rows, chunk_bytes: self.chunk_bytes })
    }

    async fn flush(&mut self) -> Result<()> {
        let mut lengths = Vec::with_capacity(self.buffered.len());
        for partition in 0..self.buffered.len() {
            let batches = std::mem::take(&mut self.buffered[partition]);
            if batches.is_empty() {
                // A length of 0 keeps the position of each partition in the list.
                lengths.push(0);
                continue;
            }
            let chunk = encode(&self.schema, &batches)?;
            lengths.push(chunk.len() as u64);
            // Create the upload at the first chunk, because a task without rows writes no object.
            let upload = self.upload.get_or_insert_with(|| {
                BufWriter::with_capacity(Arc::clone(&self.store), self.key.clone(), UPLOAD_BUFFER_BYTES)
            });
            upload.put(chunk.into()).await.storage_context("write", || &self.key)?;
        }
        self.buffered_bytes = 0;
        self.chunk_bytes.push(lengths);
        failpoint::reach(FailPoint::ExchangeAfterChunks);
        Ok(())
    }
}

/// Encodes the batches as one Arrow IPC stream. Merges small batches into batches of up to
/// `BATCH_ROWS` rows.
fn encode(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Vec<u8>> {
    let failed = || Error::internal("cannot encode rows for the spool");
    let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME)).context(failed)?;
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), schema, options).context(failed)?;
    let mut group: Vec<RecordBatch> = Vec::new();
    let mut group_rows = 0;
    for batch in batches {
        // `BATCH_ROWS` bounds the batches that the next stage decodes at once.
        if group_rows > 0 && group_rows + batch.num_rows() > BATCH_ROWS {
            writer.write(&concat_batches(schema, &group).context(failed)?).context(failed)?;
            group.clear();
            group_rows = 0;
        }
        group_rows += batch.num_rows();
        // Clones of batches share their arrays.
        group.push(batch.clone());
    }
    writer.write(&concat_batches(schema, &group).context(failed)?).context(failed)?;
    writer.into_inner().context(failed)
}
