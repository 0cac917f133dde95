//! Opens a folder or a prefix of a bucket as an object store. Only this module reads and writes the
//! files and buckets of lakes and sources directly.
//!
//! Every key is relative to the root of its storage. Reads and writes of bytes go through the
//! `ObjectStore`. This module adds three things that an object store does not provide. A listing
//! contains the properties of each object (size, ETag, time) that later reads verify. A conditional
//! put is durable, and only one of many concurrent puts of a key succeeds. Files are synced to disk
//! before anything refers to them.

use std::fs;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode};
use url::Url;
use uuid::Uuid;

use crate::config::resolved::Location;
use crate::error::{Context, Error, Result};
use crate::printable;
use local_read::LocalReader;
use object::SourceObject;
use s3::S3;
use verified::VerifiedStore;

/// An object of a source as it was listed.
pub mod object;
/// Lists the objects under a storage's root.
pub mod list;
/// Folders as storage.
mod local;
/// Reads files of a folder that have not changed since they were listed.
mod local_read;
/// Prefixes of buckets as storage.
pub mod s3;
/// Verifies reads of Parquet files against digests of their blocks.
pub mod verified;
/// Computes the digest of a whole object.
mod digest;
/// Result of a conditional put.
mod put_outcome;

pub use put_outcome::PutOutcome;

/// A folder or a prefix of a bucket, with the objects below it.
#[derive(Debug, Clone)]
pub struct Storage {
    /// Object store with keys relative to `root`.
    pub store: Arc<dyn ObjectStore>,
    /// Like `store`, but verifies what it reads from Parquet files. Query sessions use it for the
    /// lake.
    pub verified: Arc<dyn ObjectStore>,
    /// URL of the root; always ends with `/`.
    pub root: Url,
    location: Location,
    /// Client for requests other than reads and writes of bytes, if the storage is a bucket.
    pub s3: Option<Arc<S3>>,
    /// Reads files that a listing returned. `None` on S3.
    files: Option<LocalReader>,
}

/// Opens a folder or a prefix of a bucket. A prefix always exists if its bucket does.
///
/// # Errors
/// A storage error, if the folder or bucket does not exist. A configuration error, if the scheme of
/// the URL is not supported.
pub async fn open(location: &Location) -> Result<Storage> {
    open_if_exists(location).await?.ok_or_else(|| {
        Error::storage("open", &location.url, io::Error::new(ErrorKind::NotFound, "the folder does not exist"))
            .hint("check the path in `lake.toml`; relative paths start from its folder")
    })
}

/// Like [`open`], but returns `None` if the folder does not exist.
///
/// # Errors
/// The other errors of [`open`].
pub async fn open_if_exists(location: &Location) -> Result<Option<Storage>> {
    match location.url.scheme() {
        "file" => {
            let Some(folder) = local::open_if_exists(&location.url)? else { return Ok(None) };
            let files = Some(LocalReader::new(local::folder_of(&location.url)?));
            Ok(Some(Storage { files, ..Storage::new(Arc::new(folder), location.clone()) }))
        }
        "s3" => {
            let (store, s3) = s3::open(location).await?;
            Ok(Some(Storage { s3: Some(Arc::new(s3)), ..Storage::new(store, location.clone()) }))
        }
        scheme => Err(Error::configuration(format!("`{}`: `{scheme}` is not a supported storage", location.url))),
    }
}

/// Like [`open`], but creates a missing folder and its parents.
///
/// # Errors
/// The errors of [`open`], and a storage error if the folder cannot be created.
pub async fn open_or_create(location: &Location) -> Result<Storage> {
    if let Some(storage) = open_if_exists(location).await? {
        return Ok(storage);
    }
    local::create(&location.url).await?;
    open(location).await
}

impl Storage {
    /// Creates a storage from an object store. The keys of `store` must be relative to `location`.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>, location: Location) -> Self {
        let verified = Arc::new(VerifiedStore::new(Arc::clone(&store), location.name().into_owned()));
        Self { store, verified, root: location.url.clone(), location, s3: None, files: None }
    }

    /// Returns the location of the storage, with the settings with which it was opened.
    #[must_use]
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// Returns the name of an object for messages, on one line: a path, or an `s3://` URL without
    /// percent-encoding.
    #[must_use]
    pub fn name_of(&self, key: &str) -> String {
        let name = match self.local_root() {
            Ok(Some(root)) => root.join(key).display().to_string(),
            _ => format!("{}{key}", self.location.name()),
        };
        printable::line(&name).into_owned()
    }

    /// Reads a byte range of a file that has not changed since it was listed. In all other cases
    /// returns `None`; the caller then reads through `store`, which returns the bytes or an error.
    pub async fn read_listed_file(&self, object: &SourceObject, range: Range<u64>) -> Option<Bytes> {
        self.files.as_ref()?.read(object, range).await
    }

    /// Like [`Self::read_listed_file`], but returns the contents of several whole objects, read by
    /// one blocking task. Use it for small objects, because all contents share one buffer.
    pub async fn read_listed_files(&self, objects: Vec<SourceObject>) -> Vec<Option<Bytes>> {
        match &self.files {
            Some(files) => files.read_whole(objects).await,
            None => vec![None; objects.len()],
        }
    }

    /// Writes an object that must not exist yet. Of many concurrent puts of a key, only one
    /// succeeds. The object appears completely or not at all, and survives a power cut.
    ///
    /// # Errors
    /// A storage error. The object may or may not have been written then.
    pub async fn put_if_absent(&self, key: &Path, bytes: Bytes) -> Result<PutOutcome> {
        if let Some(s3) = &self.s3 {
            return s3.put_if_absent(key, bytes).await;
        }
        if let Some(root) = self.local_root()? {
            let put = local::put_if_absent(root, key, bytes).await?;
            return put.storage_context("write", || self.url_of(key));
        }
        match self.store.put_opts(key, bytes.into(), PutMode::Create.into()).await {
            Ok(_) => Ok(PutOutcome::Created),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(PutOutcome::Exists),
            Err(e) => Err(Error::storage("write", self.url_of(key), e)),
        }
    }

    /// Syncs objects and their parent folders to disk. Call this before anything refers to the
    /// objects, because otherwise a power cut could lose them. Does nothing for buckets, which
    /// respond only once an object is durable.
    ///
    /// # Errors
    /// A storage error that names the object.
    pub async fn sync_files(&self, keys: &[Path]) -> Result<()> {
        match self.local_root()? {
            Some(root) => local::sync_files(&root, keys).await,
            None => Ok(()),
        }
    }

    /// Returns the current time by the clock that sets the modification times of objects. For a
    /// bucket, uses the time in the last response. Otherwise writes an empty object below `folder`,
    /// reads its modification time and deletes it.
    ///
    /// # Errors
    /// A storage error, if the object cannot be written or queried.
    pub async fn clock(&self, folder: &str) -> Result<DateTime<Utc>> {
        // The last response of a bucket contained its time, so this needs no request.
        if let Some(time) = self.s3.as_ref().and_then(|s3| s3.server_time()) {
            return Ok(time);
        }
        let probe = Path::from(format!("{folder}/clock-{}", Uuid::now_v7()));
        self.store.put(&probe, Bytes::new().into()).await.storage_context("write", || self.url_of(&probe))?;
        let object = self.store.head(&probe).await;
        // If the deletion fails, an empty object remains that no run refers to.
        let _ = self.store.delete(&probe).await;
        Ok(object.storage_context("read", || self.url_of(&probe))?.last_modified)
    }

    /// Removes a subfolder with its contents, if the storage is a folder. Does nothing for buckets,
    /// which have no folders.
    pub fn remove_folder(&self, folder: &str) {
        if let Ok(Some(root)) = self.local_root() {
            let _ = fs::remove_dir_all(root.join(folder));
        }
    }

    /// Returns the path of the root, if the storage is a folder.
    fn local_root(&self) -> Result<Option<PathBuf>> {
        if self.root.scheme() == "file" { local::folder_of(&self.root).map(Some) } else { Ok(None) }
    }

    fn url_of(&self, key: &Path) -> String {
        format!("{}{key}", self.location.name())
    }
}

#[cfg(test)]
mod tests;
