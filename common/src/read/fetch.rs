//! ② Reads the text of one split, decompressed and in UTF-8, in order, as a stream of chunks.
//!
//! Every read requests the version of the object that was listed (`If-Match`), so that two versions
//! are never mixed. A small object takes one request. A large one is read in ranges, and the next
//! range is requested while the current one is processed. There are two kinds of faults: a failure
//! of storage fails the run, and a damaged compressed stream makes the rest of its object
//! unreadable. `decompress::layers` recognizes and decompresses the bytes of a whole object. A part
//! of an object is always plain text, because only plain text is cut into parts.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use datafusion::common::runtime::SpawnedTask;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{Attribute, GetOptions, GetRange};

use crate::config::resolved::{Decoding, Limits};
use crate::error::Error;
use crate::read::chunks::{Chunks, Fault};
use crate::read::content::{Content, HEAD_BYTES, recognize};
use crate::read::decompress::chunk_stream::Stored;
use crate::read::decompress::layers;
use crate::read::split::Split;
use crate::storage::Storage;
use crate::storage::object::SourceObject;
use crate::storage::s3::get::{ARCHIVED, GetFailure};

/// Maximum number of bytes that one request reads. Each response is one chunk.
const READ_BYTES: u64 = 4 * 1024 * 1024;
/// Number of concurrent requests, including the one for the bytes that are needed next.
const CONCURRENT_READS: usize = 2;
/// Number of bytes of the first request beyond the end of a split. Requests beyond the end read the
/// rest of the split's last record. Each of them is twice as long as the one before.
const FIRST_OVERRUN_BYTES: u64 = 64 * 1024;
/// Maximum number of attempts of a request whose responses are too short.
const SHORT_ANSWERS: usize = 3;

/// Number of stored bytes that were read for a split. Clones share the counter.
#[derive(Debug, Clone, Default)]
pub struct StoredBytes(Arc<AtomicU64>);

impl StoredBytes {
    /// Returns the number of bytes that were read so far. If the split is a part of an object, the
    /// number includes bytes outside of the part: one byte before it, and all bytes that were read
    /// after it.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn of(&self, chunks: BoxStream<'static, Result<Bytes, Error>>) -> Chunks {
        let read = self.clone();
        let counted = chunks.inspect_ok(move |chunk| {
            read.0.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        });
        counted.map_err(Fault::Storage).boxed()
    }
}

/// Reads the text of `split`, as [`crate::read::framing::Framer::for_split`] needs it. For a part
/// of an object, the text starts at the byte before the part and continues after the part up to the
/// end of the object, so stop polling when the framer is done. A fault is the last item. Dropping
/// the stream cancels requests in progress. `read` counts the bytes that storage returns.
#[must_use]
pub fn fetch(storage: &Storage, split: &Split, decoding: &Decoding, limits: &Limits, read: &StoredBytes) -> Chunks {
    let requests = Requests::new(storage, &split.object);
    let stored = requests.stored(decoding, limits);
    if split.object.bytes == 0 {
        return stream::empty().boxed();
    }
    let chunks = read.of(requests.read(split.range.clone()));
    if split.is_whole() { layers::text_of(chunks, stored) } else { chunks }
}

/// Like [`fetch`], but also waits for the response to the first request. The response is
/// decompressed only when the stream is polled. Until then, a small object that was read ahead
/// needs no more memory than its stored size. `whole` contains the bytes of the object if they were
/// read already.
pub async fn fetch_ahead(
    storage: &Storage,
    split: &Split,
    decoding: &Decoding,
    limits: &Limits,
    whole: Option<Bytes>,
    read: &StoredBytes,
) -> Chunks {
    let requests = Requests::new(storage, &split.object);
    let stored = requests.stored(decoding, limits);
    if split.object.bytes == 0 {
        return stream::empty().boxed();
    }
    let mut chunks = match whole {
        Some(bytes) => read.of(stream::iter([Ok(bytes)]).boxed()),
        None => read.of(requests.read(split.range.clone())),
    };
    // Only the first request is awaited: a small object has no second one.
    let first = chunks.next().await;
    let chunks = stream::iter(first).chain(chunks).boxed();
    if split.is_whole() { layers::text_of(chunks, stored) } else { chunks }
}

/// Recognizes the content of an object by its first bytes, with one request.
///
/// # Errors
/// A storage error, or a data error if the object is not the version that was listed.
pub async fn content_of(storage: &Storage, object: &SourceObject) -> Result<Content, Error> {
    let requests = Requests::new(storage, object);
    let head = match object.bytes.min(HEAD_BYTES as u64) {
        0 => Bytes::new(),
        bytes => requests.get(0..bytes).await?,
    };
    Ok(requests.recognize(&head))
}

/// Returns the number of requests that [`fetch`] makes for a split if none is retried. If the
/// object continues after the split, this includes one request for the rest of the last record.
#[must_use]
pub fn requests_for(split: &Split) -> u64 {
    let (range, bytes) = (&split.range, split.object.bytes);
    if split.is_whole() && bytes <= READ_BYTES {
        return u64::from(bytes > 0);
    }
    // Reads start one byte before the range, because this byte shows whether a line starts at the
    // range.
    let inside = steps(range.start.saturating_sub(1), range.end, READ_BYTES).count() as u64;
    inside + u64::from(range.end < bytes)
}

/// Requests for the bytes of one object.
#[derive(Debug, Clone)]
struct Requests {
    storage: Storage,
    object: Arc<SourceObject>,
    /// Id of the S3 version that was listed; set once the current version is known to be a
    /// different one.
    version: Arc<OnceLock<String>>,
    /// `Content-Encoding` of the object, set by the first response that contains one.
    encoding: Arc<OnceLock<String>>,
}

impl Requests {
    fn new(storage: &Storage, object: &SourceObject) -> Self {
        let (version, encoding) = (Arc::default(), Arc::default());
        Self { storage: storage.clone(), object: Arc::new(object.clone()), version, encoding }
    }

    fn stored(&self, decoding: &Decoding, limits: &Limits) -> Stored {
        Stored {
            storage: self.storage.clone(),
            object: Arc::clone(&self.object),
            encoding: Arc::clone(&self.encoding),
            // UTF-8 needs no decoder.
            declared: decoding.encoding.filter(|encoding| *encoding != encoding_rs::UTF_8),
            max_ratio: limits.max_decompression_ratio,
        }
    }

    fn recognize(&self, head: &[u8]) -> Content {
        recognize(head, &self.object.key, self.encoding.get().map(String::as_str))
    }

    /// Returns the bytes from one byte before `range` up to the end of the object. Bytes after
    /// `range` are not read ahead.
    fn read(self, range: Range<u64>) -> BoxStream<'static, Result<Bytes, Error>> {
        let start = range.start.saturating_sub(1);
        // Most objects are small and need one request and no task.
        if start == 0 && range.end == self.object.bytes && range.end <= READ_BYTES {
            return async move { self.get(range).await }.into_stream().boxed();
        }
        let inside = steps(start, range.end, READ_BYTES);
        let past = steps(range.end, self.object.bytes, FIRST_OVERRUN_BYTES);
        let source = self.clone();
        let ahead = stream::iter(inside)
            .map(move |range| {
                let source = source.clone();
                // A separate task reads the range while the chunk before it is processed.
                SpawnedTask::spawn(async move { source.get(range).await })
            })
            .map(|task| async move {
                task.join().await.unwrap_or_else(|e| Err(Error::internal("a read was stopped").caused_by(e)))
            })
            .buffered(CONCURRENT_READS);
        let on_demand = stream::iter(past).then(move |range| {
            let source = self.clone();
            async move { source.get(range).await }
        });
        ahead.chain(on_demand).boxed()
    }

    /// Returns a range of the listed version of the object. If the object has changed, reads the
    /// listed version by its id, provided that the bucket has kept it.
    async fn get(&self, range: Range<u64>) -> Result<Bytes, Error> {
        let failure = match self.version.get() {
            Some(version) => return self.get_by_name(range, Some(version)).await.map_err(|e| self.error(e)),
            None => match self.get_current(range.clone()).await {
                // The current version is not the listed one. The bucket may still have the listed
                // one.
                Err(failure @ (GetFailure::Changed | GetFailure::Missing)) => failure,
                read => return read.map_err(|e| self.error(e)),
            },
        };
        match self.listed_version().await {
            Some(version) => {
                tracing::info!(
                    object = self.name(),
                    version,
                    "changed after it was listed; reading the listed version"
                );
                let version = self.version.get_or_init(|| version);
                self.get_by_name(range, Some(version)).await.map_err(|e| self.error(e))
            }
            None => Err(self.error(failure)),
        }
    }

    /// Makes one request for a range of the current version, which must be the listed one.
    async fn get_current(&self, range: Range<u64>) -> Result<Bytes, GetFailure> {
        let key = &self.object.key;
        let path = match Path::parse(key) {
            Ok(path) if path.as_ref() == key => path,
            // `object_store` would change this key by normalizing it.
            _ => return self.get_by_name(range, None).await,
        };
        if let Some(bytes) = self.storage.read_listed_file(&self.object, range.clone()).await {
            return Ok(bytes);
        }
        let options = GetOptions {
            range: Some(GetRange::Bounded(range.clone())),
            if_match: self.object.etag.clone(),
            ..GetOptions::default()
        };
        let mut tries = 1;
        loop {
            let result = self.storage.store.get_opts(&path, options.clone()).await.map_err(|e| self.failure(e))?;
            // The store compared the ETag, if the listing had one.
            let is_listed_one = result.meta.size == self.object.bytes
                && (self.object.etag.is_some() || result.meta.last_modified.timestamp_micros() == self.object.modified);
            if !is_listed_one {
                return Err(GetFailure::Changed);
            }
            if let Some(encoding) = result.attributes.get(&Attribute::ContentEncoding) {
                self.encoding.get_or_init(|| encoding.to_string());
            }
            let bytes = result.bytes().await.map_err(|e| self.failure(e))?;
            match self.whole(bytes, &range) {
                // A connection may be closed early without an error. Only the length of the
                // response shows it.
                Err(_) if tries < SHORT_ANSWERS => tries += 1,
                answer => return answer,
            }
        }
    }

    /// Like [`Self::get_current`], but for a given version, or for an object whose key
    /// `object_store` cannot represent.
    async fn get_by_name(&self, range: Range<u64>, version: Option<&String>) -> Result<Bytes, GetFailure> {
        let key = &self.object.key;
        let Some(s3) = &self.storage.s3 else {
            return Err(GetFailure::Other(Error::storage("read", self.name(), "the store would change its name")));
        };
        let (bytes, encoding) =
            s3.get(key, range.clone(), self.object.etag.as_deref(), version.map(String::as_str)).await?;
        if let Some(encoding) = encoding {
            self.encoding.get_or_init(|| encoding);
        }
        self.whole(bytes, &range)
    }

    async fn listed_version(&self) -> Option<String> {
        self.storage.s3.as_ref()?.version_of(&self.object.key, self.object.etag.as_deref()?).await
    }

    /// Returns `bytes` if their number is the requested one.
    fn whole(&self, bytes: Bytes, range: &Range<u64>) -> Result<Bytes, GetFailure> {
        let (came, asked) = (bytes.len() as u64, range.end - range.start);
        if came == asked {
            return Ok(bytes);
        }
        let text = format!("received {came} of {asked} bytes from offset {}", range.start);
        Err(GetFailure::Other(Error::storage("read", self.name(), text)))
    }

    fn failure(&self, error: object_store::Error) -> GetFailure {
        match error {
            object_store::Error::Precondition { .. } => GetFailure::Changed,
            object_store::Error::NotFound { .. } => GetFailure::Missing,
            // `object_store` has no variant for this error, so search the text for S3's error code.
            error if error.to_string().contains(ARCHIVED) => GetFailure::Archived,
            error => GetFailure::Other(Error::storage("read", self.name(), error)),
        }
    }

    fn error(&self, failure: GetFailure) -> Error {
        let name = self.name();
        match failure {
            GetFailure::Other(error) => error,
            GetFailure::Changed => Error::data(format!("object `{name}` changed after it was listed"))
                .hint(
                    "run again once it is complete, or leave such objects for the next run by `on_change = \"ignore\"` of the \
                     source; in a versioned bucket, s3:ListBucketVersions and s3:GetObjectVersion let it be read as it was",
                ),
            GetFailure::Missing => Error::data(format!("object `{name}` vanished after it was listed"))
                .hint("run again; objects should not be deleted while a run reads them"),
            GetFailure::Archived => Error::data(format!("object `{name}` is archived and cannot be read"))
                .hint("restore it, or move it to another prefix"),
        }
    }

    fn name(&self) -> String {
        self.storage.name_of(&self.object.key)
    }
}

/// Divides `start..end` into ranges. The first range has `first` bytes, and each further range is
/// twice as long, up to [`READ_BYTES`].
fn steps(start: u64, end: u64, first: u64) -> impl Iterator<Item = Range<u64>> {
    let mut at = start;
    let mut bytes = first.min(READ_BYTES);
    std::iter::from_fn(move || {
        if at >= end {
            return None;
        }
        let range = at..(at + bytes).min(end);
        at = range.end;
        bytes = (bytes * 2).min(READ_BYTES);
        Some(range)
    })
}

#[cfg(test)]
mod tests;
