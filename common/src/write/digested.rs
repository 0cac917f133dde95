//! Uploads a Parquet file. Computes the digest of the file, and inserts the digests of its blocks
//! before the footer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::buffered::BufWriter;
use parquet::arrow::async_writer::AsyncFileWriter;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::KeyValue;
use tokio::io::AsyncWriteExt;

use crate::digest::blocks::{BlockHasher, METADATA_KEY, METADATA_VALUE, footer_start};
use crate::digest::{Digest, Hasher};

/// Returns the key-value metadata of a Parquet file that contains digests of its blocks. Readers
/// recognize such a file by this metadata.
#[must_use]
pub fn key_value_metadata() -> Vec<KeyValue> {
    vec![KeyValue::new(METADATA_KEY.to_owned(), METADATA_VALUE.to_owned())]
}

/// Uploads a Parquet file and computes its digests.
pub(super) struct DigestedUpload {
    upload: BufWriter,
    file: Hasher,
    blocks: BlockHasher,
    is_ending: EndMark,
    /// Buffered bytes after the last page: page indexes and the footer.
    end: Vec<u8>,
}

/// Flag that the writer sets once the last page is written.
#[derive(Debug, Clone, Default)]
pub(super) struct EndMark(Arc<AtomicBool>);

impl EndMark {
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl DigestedUpload {
    /// Creates the upload. The writer must set `is_ending` after the last row group, so that only
    /// the page indexes and the footer are buffered.
    pub(super) fn new(upload: BufWriter, is_ending: EndMark) -> Self {
        Self { upload, file: Hasher::default(), blocks: BlockHasher::default(), is_ending, end: vec![] }
    }

    /// Returns the size and the digest of the complete file on storage.
    pub(super) fn finished(&self) -> (u64, Digest) {
        (self.file.bytes(), self.file.finish())
    }

    async fn send(&mut self, bytes: Bytes) -> Result<()> {
        // All bytes of the object pass through here in order, so this computes the digest of the
        // object.
        self.file.update(&bytes);
        self.upload.put(bytes).await.map_err(external)
    }

    async fn send_body(&mut self, bytes: Bytes) -> Result<()> {
        self.blocks.update(&bytes);
        self.send(bytes).await
    }

    async fn send_end(&mut self) -> Result<()> {
        let end = Bytes::from(std::mem::take(&mut self.end));
        // The end contains the page indexes and the footer. The page indexes belong to the blocks
        // with digests; the footer does not.
        let start = footer_start(&end, end.len() as u64).and_then(|start| usize::try_from(start).ok());
        let start = start.ok_or_else(|| ParquetError::General("the writer wrote no footer".to_owned()))?;
        self.send_body(end.slice(..start)).await?;
        let footer = end.slice(start..);
        // The table of digests follows the last block and precedes the footer. Other readers ignore
        // these bytes.
        let table = std::mem::take(&mut self.blocks).finish(&footer);
        self.send(table.into()).await?;
        self.send(footer).await?;
        // Only this call makes the file visible.
        self.upload.shutdown().await.map_err(external)
    }
}

impl AsyncFileWriter for DigestedUpload {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<()>> {
        // The start of the footer is only known once all of it was written, so buffer the end.
        if self.is_ending.0.load(Ordering::Relaxed) {
            self.end.extend_from_slice(&bytes);
            return std::future::ready(Ok(())).boxed();
        }
        self.send_body(bytes).boxed()
    }

    fn complete(&mut self) -> BoxFuture<'_, Result<()>> {
        self.send_end().boxed()
    }
}

fn external(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ParquetError {
    ParquetError::External(error.into())
}
