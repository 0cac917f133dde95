//! ② Decompresses the chunks of one object as they arrive.

use std::sync::{Arc, OnceLock};

use bytes::{Buf, Bytes, BytesMut};
use futures::StreamExt;
use futures::stream;

use crate::read::chunks::{Chunks, Fault};
use crate::read::content::{Content, recognize};
use crate::read::decompress::decompressor::Decompressor;
use crate::read::rejection::Reason;
use crate::storage::Storage;
use crate::storage::object::SourceObject;

/// Maximum number of bytes of a decompressed chunk.
const DECOMPRESSED_CHUNK_BYTES: usize = 1024 * 1024;
/// Estimated ratio of decompressed to compressed bytes, for the size of buffers. Logs reach a ratio
/// of ten.
const LIKELY_RATIO: u64 = 16;
/// Decompressed size of an object up to which `max_decompression_ratio` is not checked.
pub(in crate::read) const UNSUSPICIOUS_BYTES: u64 = 64 * 1024 * 1024;

/// Properties of a stored object that are needed to recognize and decompress it.
pub(in crate::read) struct Stored {
    pub(in crate::read) storage: Storage,
    pub(in crate::read) object: Arc<SourceObject>,
    /// `Content-Encoding` of the object, set by the first response that contains one.
    pub(in crate::read) encoding: Arc<OnceLock<String>>,
    /// Encoding that the source declares for text without a byte order mark.
    pub(in crate::read) declared: Option<&'static encoding_rs::Encoding>,
    /// Maximum ratio of decompressed to stored bytes. An object with a higher ratio is rejected.
    pub(in crate::read) max_ratio: u64,
}

impl Stored {
    /// Recognizes the content of the object by its first bytes.
    pub(super) fn recognize(&self, head: &[u8]) -> Content {
        recognize(head, &self.object.key, self.encoding.get().map(String::as_str))
    }

    pub(super) fn name(&self) -> String {
        self.storage.name_of(&self.object.key)
    }
}

/// Decompresses one layer of an object, chunk by chunk.
pub(super) struct DecompressedChunks {
    stored: Chunks,
    /// Compressed bytes that are not decompressed yet.
    input: Bytes,
    decompressor: Decompressor,
    object: Arc<SourceObject>,
    /// Number of decompressed bytes so far.
    bytes: u64,
    max_ratio: u64,
    is_ended: bool,
    /// Fault to return once all bytes before it were returned.
    fault: Option<Fault>,
}

impl DecompressedChunks {
    pub(super) fn new(chunks: Chunks, decompressor: Decompressor, stored: &Stored) -> Self {
        Self {
            stored: chunks,
            input: Bytes::new(),
            decompressor,
            object: Arc::clone(&stored.object),
            bytes: 0,
            max_ratio: stored.max_ratio,
            is_ended: false,
            fault: None,
        }
    }

    /// Returns the decompressed chunks, up to the end or a fault.
    pub(super) fn text(self) -> Chunks {
        stream::unfold(self, |mut chunks| async move {
            let chunk = chunks.next().await?;
            Some((chunk, chunks))
        })
        .boxed()
    }

    async fn next(&mut self) -> Option<Result<Bytes, Fault>> {
        if self.is_ended {
            // Return a fault last, after all bytes before it.
            return self.fault.take().map(Err);
        }
        let mut chunk = BytesMut::zeroed(self.chunk_bytes());
        let mut filled = 0;
        while filled < chunk.len() && !self.is_ended {
            let step = self.decompressor.step(&self.input, &mut chunk[filled..]);
            self.input.advance(step.consumed);
            filled += step.produced;
            self.bytes += step.produced as u64;
            if let Err(e) = step.result {
                // The stream is intact, but its format is not supported. Errors of other kinds mean
                // damage.
                if e.kind() == std::io::ErrorKind::Unsupported {
                    self.end_with(Reason::UnsupportedFormat, e.to_string());
                    break;
                }
                self.end_with(
                    Reason::CorruptCompression,
                    format!("the object cannot be decompressed after {} bytes: {e}", self.bytes),
                );
            } else if step.consumed == 0 && step.produced == 0 {
                self.read_more().await;
            }
        }
        // Divide instead of multiplying, which could overflow.
        if self.bytes > UNSUSPICIOUS_BYTES && self.bytes / self.max_ratio.max(1) > self.object.bytes {
            self.end_with(
                Reason::CompressionBomb,
                format!(
                    "{} compressed bytes became more than {} times as many, which is `max_decompression_ratio`",
                    self.object.bytes, self.max_ratio
                ),
            );
        }
        chunk.truncate(filled);
        // An empty chunk is not sent, because the stream would look stalled.
        if chunk.is_empty() { self.fault.take().map(Err) } else { Some(Ok(chunk.freeze())) }
    }

    async fn read_more(&mut self) {
        // The decompressor neither consumes nor rejects the input.
        if !self.input.is_empty() {
            self.end_with(
                Reason::CorruptCompression,
                format!(
                    "the object cannot be decompressed after {} bytes: the stream neither continues nor ends",
                    self.bytes
                ),
            );
            return;
        }
        match self.stored.next().await {
            Some(Ok(input)) => self.input = input,
            Some(Err(fault)) => {
                self.is_ended = true;
                self.fault = Some(fault);
            }
            None if self.decompressor.is_complete() => self.is_ended = true,
            None => self.end_with(
                Reason::TruncatedCompression,
                format!("the compressed object ends early, after {} decompressed bytes", self.bytes),
            ),
        }
    }

    fn end_with(&mut self, reason: Reason, detail: String) {
        self.is_ended = true;
        self.fault = Some(Fault::Broken { reason, detail });
    }

    /// Returns the size of the buffer for the next chunk. A small object needs less than
    /// [`DECOMPRESSED_CHUNK_BYTES`].
    fn chunk_bytes(&self) -> usize {
        let likely = self.object.bytes.saturating_mul(LIKELY_RATIO);
        usize::try_from(likely).map_or(DECOMPRESSED_CHUNK_BYTES, |likely| likely.min(DECOMPRESSED_CHUNK_BYTES))
    }
}
