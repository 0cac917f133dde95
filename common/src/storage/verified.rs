//! Wraps a store and verifies reads of a lake's Parquet files, for query sessions.
//!
//! The first read of a file fetches its end, which contains the digests of its blocks
//! (`digest::blocks`). Each read is widened to whole blocks, which are compared with their digests.
//! Files without digests are not verified. Digests are cached by key, because files of a lake are
//! never overwritten.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetRange, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};

use crate::digest::blocks::{self, BlockDigests, Found};
use crate::error::Error;

/// Number of bytes that the first read of a file fetches from its end. These are the 64 KiB that a
/// Parquet reader requests first, widened to whole blocks.
const END_BYTES: u64 = 64 * 1024 + blocks::BLOCK_BYTES;
/// Maximum number of cached digests of blocks, 8 bytes each. The cache is cleared before it would
/// exceed this number.
const MAX_CACHED_DIGESTS: usize = 2 * 1024 * 1024;
/// Name of the verified store in the texts of its errors, such as `Generic lake error: `.
pub(crate) const STORE_NAME: &str = "lake";
/// Hint of an error about a damaged file.
pub const DAMAGED: &str = "`coordinator check --deep` lists every damaged file and how to restore it";

/// Store that verifies reads of Parquet files.
#[derive(Debug)]
pub(super) struct VerifiedStore {
    inner: Arc<dyn ObjectStore>,
    /// URL of the store's root, to prepend to keys in messages.
    root: String,
    cache: Mutex<Cache>,
}

#[derive(Debug, Default)]
struct Cache {
    files: HashMap<Path, Arc<KnownFile>>,
    digests: usize,
}

#[derive(Debug)]
struct KnownFile {
    meta: ObjectMeta,
    digests: Option<BlockDigests>,
}

/// Bytes of a file from `start` to its end. Empty if the digests were cached, because then the end
/// is not fetched.
#[derive(Default)]
struct End {
    start: u64,
    bytes: Bytes,
}

impl End {
    fn slice(&self, range: &Range<u64>) -> Option<Bytes> {
        let start = range.start.checked_sub(self.start)?;
        let end = range.end.checked_sub(self.start)?;
        (end <= self.bytes.len() as u64).then(|| slice(&self.bytes, start..end))
    }
}

impl VerifiedStore {
    pub(super) fn new(inner: Arc<dyn ObjectStore>, root: String) -> Self {
        Self { inner, root, cache: Mutex::default() }
    }

    fn read_error(&self, path: &Path, error: object_store::Error) -> object_store::Error {
        as_store_error(Error::storage("read", format!("{}{path}", self.root), error))
    }

    fn damage_error(&self, path: &Path, what: impl fmt::Display) -> object_store::Error {
        let message = format!("`{}{path}` is damaged: {what}", self.root);
        as_store_error(Error::storage_failure(message).hint(DAMAGED))
    }

    /// Returns the metadata and the digests of a file. If the end of the file had to be fetched for
    /// them, returns the end too.
    async fn file(&self, path: &Path) -> Result<(Arc<KnownFile>, End)> {
        if let Some(file) = self.cache.lock().unwrap_or_else(PoisonError::into_inner).files.get(path) {
            return Ok((Arc::clone(file), End::default()));
        }
        let mut want = END_BYTES;
        let mut is_second_attempt = false;
        loop {
            let options = GetOptions { range: Some(GetRange::Suffix(want)), ..GetOptions::default() };
            let got = self.inner.get_opts(path, options).await.map_err(|e| self.read_error(path, e))?;
            let (meta, start) = (got.meta.clone(), got.range.start);
            let bytes = got.bytes().await.map_err(|e| self.read_error(path, e))?;
            let digests = match blocks::read(&bytes, meta.size) {
                Found::Digests(digests) => Some(digests),
                Found::Nothing => None,
                // The fetched end may not yet contain the whole table of digests. Fetch a longer
                // end: at most once to reach the trailer of the table, and once to reach the start
                // of the table.
                Found::Needs(more) if more > want && want < meta.size => {
                    want = more;
                    continue;
                }
                Found::Needs(_) | Found::Damaged(_) if !is_second_attempt => {
                    // The network may have changed the bytes: report damage only if a second read
                    // finds it too.
                    is_second_attempt = true;
                    continue;
                }
                Found::Needs(_) => return Err(self.damage_error(path, "it ends within its footer")),
                Found::Damaged(what) => return Err(self.damage_error(path, what)),
            };
            let file = Arc::new(KnownFile { meta, digests });
            self.insert(path, &file);
            return Ok((file, End { start, bytes }));
        }
    }

    fn insert(&self, path: &Path, file: &Arc<KnownFile>) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let digests = 1 + file.digests.as_ref().map_or(0, BlockDigests::count);
        // Clearing the whole cache is simple, and a query only needs to fetch the digests of a few
        // files again.
        if cache.digests + digests > MAX_CACHED_DIGESTS {
            *cache = Cache::default();
        }
        cache.digests += digests;
        cache.files.insert(path.clone(), Arc::clone(file));
    }

    async fn read_again(&self, path: &Path, digests: &BlockDigests, range: &Range<u64>) -> Result<Bytes> {
        let parts = self.inner.get_ranges(path, std::slice::from_ref(range)).await;
        let bytes = parts.map_err(|e| self.read_error(path, e))?.pop().unwrap_or_default();
        verify(digests, range, &bytes).map_err(|what| self.damage_error(path, what))?;
        Ok(bytes)
    }

    async fn read(&self, path: &Path, ranges: &[Range<u64>]) -> Result<(Arc<KnownFile>, Vec<Bytes>)> {
        let (file, end) = self.file(path).await?;
        if let Some(beyond) = ranges.iter().find(|range| range.end > file.meta.size) {
            let what = format!("it has {} bytes and should have at least {}", file.meta.size, beyond.end);
            return Err(self.damage_error(path, what));
        }
        let Some(digests) = &file.digests else {
            let bytes = self.inner.get_ranges(path, ranges).await.map_err(|e| self.read_error(path, e))?;
            return Ok((file, bytes));
        };
        // Merge the ranges, so that a block that two ranges need is read and compared once.
        let wide = merged(ranges.iter().map(|range| digests.widen(range)).collect());
        let missing: Vec<_> = wide.iter().filter(|range| end.slice(range).is_none()).cloned().collect();
        let mut fetched = match missing.as_slice() {
            [] => vec![],
            missing => self.inner.get_ranges(path, missing).await.map_err(|e| self.read_error(path, e))?,
        }
        .into_iter();
        let mut verified = Vec::with_capacity(wide.len());
        for range in wide {
            // Parts are fetched in the order of `missing`, so the next fetched part belongs to this
            // range.
            let bytes = end.slice(&range).or_else(|| fetched.next()).unwrap_or_default();
            let bytes = match verify(digests, &range, &bytes) {
                Ok(()) => bytes,
                // The network may have changed the bytes: report damage only if a second read finds
                // it too.
                Err(_) => self.read_again(path, digests, &range).await?,
            };
            verified.push((range, bytes));
        }
        let parts = ranges.iter().map(|range| part(&verified, range)).collect();
        Ok((file, parts))
    }
}

/// Compares whole blocks with their digests. Returns the reason if they differ or if bytes are
/// missing.
fn verify(digests: &BlockDigests, range: &Range<u64>, bytes: &Bytes) -> std::result::Result<(), String> {
    if bytes.len() as u64 != range.end - range.start {
        return Err(format!("bytes {} to {} are missing", range.start, range.end));
    }
    digests
        .verify(range.start, bytes)
        .map_err(|bad| format!("bytes {} to {} do not have the digest that was written with them", bad.start, bad.end))
}

/// Wraps an error of this crate in an error of `object_store`. `Error::from_engine` extracts it
/// again.
fn as_store_error(error: Error) -> object_store::Error {
    object_store::Error::Generic { store: STORE_NAME, source: Box::new(error) }
}

/// Sorts the ranges and merges ranges that touch or overlap.
fn merged(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<u64>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

/// Returns the bytes of `range`, which is inside one of the `verified` ranges. A small result is a
/// copy, so that it does not keep a large buffer in memory.
fn part(verified: &[(Range<u64>, Bytes)], range: &Range<u64>) -> Bytes {
    let after = verified.partition_point(|(wide, _)| wide.start <= range.start);
    let Some((wide, bytes)) = after.checked_sub(1).and_then(|at| verified.get(at)) else { return Bytes::new() };
    let part = slice(bytes, range.start - wide.start..range.end - wide.start);
    if (part.len() as u64) < blocks::BLOCK_BYTES { Bytes::copy_from_slice(&part) } else { part }
}

fn slice(bytes: &Bytes, range: Range<u64>) -> Bytes {
    let at = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
    bytes.slice(at(range.start)..at(range.end).max(at(range.start)))
}

/// Whether a read can be verified: it reads a range of a Parquet file and has no conditions.
fn is_verifiable(path: &Path, options: &GetOptions) -> bool {
    let has_conditions = options.if_match.is_some()
        || options.if_none_match.is_some()
        || options.if_modified_since.is_some()
        || options.if_unmodified_since.is_some()
        || options.version.is_some();
    path.extension() == Some("parquet") && options.range.is_some() && !options.head && !has_conditions
}

impl fmt::Display for VerifiedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "verified {}", self.inner)
    }
}

#[async_trait]
impl ObjectStore for VerifiedStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let range = match &options.range {
            Some(range) if is_verifiable(location, &options) => range,
            _ => return self.inner.get_opts(location, options).await,
        };
        let range = match range {
            GetRange::Bounded(range) => range.clone(),
            other => {
                let size = self.file(location).await?.0.meta.size;
                other.as_range(size).map_err(|e| self.damage_error(location, e))?
            }
        };
        let (file, mut parts) = self.read(location, std::slice::from_ref(&range)).await?;
        let bytes = parts.pop().unwrap_or_default();
        let payload = GetResultPayload::Stream(futures::stream::once(std::future::ready(Ok(bytes))).boxed());
        Ok(GetResult { payload, meta: file.meta.clone(), range, attributes: Default::default() })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        if location.extension() != Some("parquet") {
            return self.inner.get_ranges(location, ranges).await;
        }
        self.read(location, ranges).await.map(|(_, parts)| parts)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests;
