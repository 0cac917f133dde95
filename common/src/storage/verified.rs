//! Reads of Parquet files of a lake that notice a changed bit: a store over another one, for query sessions.
//!
//! The first read of a file fetches its end, which has the digests of its blocks (`digest::blocks`); each read is widened to
//! whole blocks and compared. Files that have no digests are read as they are. Files of a lake are never written twice, so
//! their digests are kept by name.

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

/// Bytes of a file's end that the first read fetches: what a Parquet reader asks for first (64 KiB) in whole blocks.
const END_BYTES: u64 = 64 * 1024 + blocks::BLOCK_BYTES;
/// Digests kept in memory; beyond it all are forgotten and read again when they are needed. 8 bytes each.
const MAX_KEPT_DIGESTS: usize = 2 * 1024 * 1024;
/// How errors of this store begin once they are text: `Generic lake error: `.
pub(crate) const STORE_NAME: &str = "lake";
/// What to do about a file that is damaged.
pub const DAMAGED: &str = "`coordinator check --deep` names every damaged file and what restores it";

/// A store whose reads of Parquet files are verified.
#[derive(Debug)]
pub(super) struct VerifiedStore {
    inner: Arc<dyn ObjectStore>,
    /// Before a key, in messages.
    root: String,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    files: HashMap<Path, Arc<KnownFile>>,
    digests: usize,
}

#[derive(Debug)]
struct KnownFile {
    meta: ObjectMeta,
    digests: Option<BlockDigests>,
}

/// The end of a file, from byte `start` on; empty unless it was fetched by this very read.
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
        Self { inner, root, kept: Mutex::default() }
    }

    fn failed(&self, path: &Path, error: object_store::Error) -> object_store::Error {
        as_store_error(Error::storage("read", format!("{}{path}", self.root), error))
    }

    fn damaged(&self, path: &Path, what: impl fmt::Display) -> object_store::Error {
        let message = format!("`{}{path}` is damaged: {what}", self.root);
        as_store_error(Error::storage_failure(message).hint(DAMAGED))
    }

    /// What is known of a file, and its end if that had to be fetched.
    async fn file(&self, path: &Path) -> Result<(Arc<KnownFile>, End)> {
        if let Some(file) = self.kept.lock().unwrap_or_else(PoisonError::into_inner).files.get(path) {
            return Ok((Arc::clone(file), End::default()));
        }
        let mut want = END_BYTES;
        let mut is_second_look = false;
        loop {
            let options = GetOptions { range: Some(GetRange::Suffix(want)), ..GetOptions::default() };
            let got = self.inner.get_opts(path, options).await.map_err(|e| self.failed(path, e))?;
            let (meta, start) = (got.meta.clone(), got.range.start);
            let bytes = got.bytes().await.map_err(|e| self.failed(path, e))?;
            let digests = match blocks::read(&bytes, meta.size) {
                Found::Digests(digests) => Some(digests),
                Found::Nothing => None,
                // The end of a file is read once more for each of the two parts that were not in it.
                Found::Needs(more) if more > want && want < meta.size => {
                    want = more;
                    continue;
                }
                Found::Needs(_) | Found::Damaged(_) if !is_second_look => {
                    is_second_look = true;
                    continue;
                }
                Found::Needs(_) => return Err(self.damaged(path, "it ends within its footer")),
                Found::Damaged(what) => return Err(self.damaged(path, what)),
            };
            let file = Arc::new(KnownFile { meta, digests });
            self.keep(path, &file);
            return Ok((file, End { start, bytes }));
        }
    }

    fn keep(&self, path: &Path, file: &Arc<KnownFile>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let digests = 1 + file.digests.as_ref().map_or(0, BlockDigests::count);
        if kept.digests + digests > MAX_KEPT_DIGESTS {
            *kept = Kept::default();
        }
        kept.digests += digests;
        kept.files.insert(path.clone(), Arc::clone(file));
    }

    async fn read_again(&self, path: &Path, digests: &BlockDigests, range: &Range<u64>) -> Result<Bytes> {
        let parts = self.inner.get_ranges(path, std::slice::from_ref(range)).await;
        let bytes = parts.map_err(|e| self.failed(path, e))?.pop().unwrap_or_default();
        verify(digests, range, &bytes).map_err(|what| self.damaged(path, what))?;
        Ok(bytes)
    }

    async fn read(&self, path: &Path, ranges: &[Range<u64>]) -> Result<(Arc<KnownFile>, Vec<Bytes>)> {
        let (file, end) = self.file(path).await?;
        if let Some(beyond) = ranges.iter().find(|range| range.end > file.meta.size) {
            let what = format!("it has {} bytes and should have at least {}", file.meta.size, beyond.end);
            return Err(self.damaged(path, what));
        }
        let Some(digests) = &file.digests else {
            let bytes = self.inner.get_ranges(path, ranges).await.map_err(|e| self.failed(path, e))?;
            return Ok((file, bytes));
        };
        let wide = merged(ranges.iter().map(|range| digests.widen(range)).collect());
        let missing: Vec<_> = wide.iter().filter(|range| end.slice(range).is_none()).cloned().collect();
        let mut fetched = match missing.as_slice() {
            [] => vec![],
            missing => self.inner.get_ranges(path, missing).await.map_err(|e| self.failed(path, e))?,
        }
        .into_iter();
        let mut verified = Vec::with_capacity(wide.len());
        for range in wide {
            let bytes = end.slice(&range).or_else(|| fetched.next()).unwrap_or_default();
            let bytes = match verify(digests, &range, &bytes) {
                Ok(()) => bytes,
                // The network may have changed it: only what is so twice is damage.
                Err(_) => self.read_again(path, digests, &range).await?,
            };
            verified.push((range, bytes));
        }
        let parts = ranges.iter().map(|range| part(&verified, range)).collect();
        Ok((file, parts))
    }
}

/// Compares the bytes of whole blocks.
fn verify(digests: &BlockDigests, range: &Range<u64>, bytes: &Bytes) -> std::result::Result<(), String> {
    if bytes.len() as u64 != range.end - range.start {
        return Err(format!("bytes {} to {} are missing", range.start, range.end));
    }
    let named = |bad: Range<u64>| {
        format!("bytes {} to {} do not have the digest that was written with them", bad.start, bad.end)
    };
    digests.verify(range.start, bytes).map_err(named)
}

/// Our error as a store's, which is found again in whatever wraps it.
fn as_store_error(error: Error) -> object_store::Error {
    object_store::Error::Generic { store: STORE_NAME, source: Box::new(error) }
}

/// The ranges in order, those that touch or overlap as one.
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

/// The bytes of `range`, which lie in one of the `verified` ranges. Small parts are copied, so that they do not hold a large
/// buffer in memory.
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

/// Whether a read is one of a part of a Parquet file, without conditions.
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
                other.as_range(size).map_err(|e| self.damaged(location, e))?
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
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
