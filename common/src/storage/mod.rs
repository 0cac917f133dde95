//! One location becomes one object store; the only place that touches a file system or S3 directly.
//!
//! Every key is relative to the root of its storage. Reads and writes of bytes go through the `ObjectStore`; this
//! adds what an object store does not promise: listings with all that a later read is held to, a put that only one of many can
//! win and that outlives a power cut, and files that are on the disk before something names them.

use std::fs;
use std::io::{self, ErrorKind};
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
use s3::S3;
use verified::VerifiedStore;

/// An object of a source, as listed.
pub mod object;
/// The objects under a storage's root.
pub mod list;
/// Folders.
mod local;
/// Buckets.
pub mod s3;
/// Reads that notice a changed bit.
pub mod verified;
/// The digest of a whole object.
mod digest;

/// One root and what lies below it.
#[derive(Debug, Clone)]
pub struct Storage {
    /// Its keys are relative to `root`.
    pub store: Arc<dyn ObjectStore>,
    /// The same, with reads of Parquet files verified: what query sessions read a lake through.
    pub verified: Arc<dyn ObjectStore>,
    /// Always ends with `/`.
    pub root: Url,
    location: Location,
    /// For what is not bytes, where it is a bucket.
    pub s3: Option<Arc<S3>>,
}

/// What became of a put that must not replace anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum PutOutcome {
    /// The object is there now, and stays there through a power cut.
    Created,
    /// Another object was there; it is as it was.
    Exists,
}

/// Opens the folder or prefix. Any prefix of a bucket is there.
///
/// # Errors
/// Storage, where there is no such folder or bucket; configuration, where the kind of storage is not supported.
pub async fn open(location: &Location) -> Result<Storage> {
    open_if_exists(location).await?.ok_or_else(|| {
        Error::storage("open", &location.url, io::Error::new(ErrorKind::NotFound, "there is no such folder"))
            .hint("check the path in `lake.toml`; relative paths are seen from its folder")
    })
}

/// As [`open`], but it is no error if there is no such folder.
///
/// # Errors
/// As [`open`].
pub async fn open_if_exists(location: &Location) -> Result<Option<Storage>> {
    match location.url.scheme() {
        "file" => local::open_if_exists(location),
        "s3" => s3::open(location).await.map(Some),
        scheme => {
            Err(Error::configuration(format!("`{}`: `{scheme}` is not a storage that is supported", location.url)))
        }
    }
}

/// As [`open`], but a folder that is not there is made, with those around it.
///
/// # Errors
/// As [`open`], and where the folder cannot be made.
pub async fn open_or_create(location: &Location) -> Result<Storage> {
    if let Some(storage) = open_if_exists(location).await? {
        return Ok(storage);
    }
    local::create(&location.url).await?;
    open(location).await
}

impl Storage {
    /// `store`, whose keys are relative to the location.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>, location: Location) -> Self {
        let verified = Arc::new(VerifiedStore::new(Arc::clone(&store), location.name().into_owned()));
        Self { store, verified, root: location.url.clone(), location, s3: None }
    }

    /// Where it is, and how it was reached.
    #[must_use]
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// The object as people know it, on one line: a path, or a URL as other tools take it.
    #[must_use]
    pub fn name_of(&self, key: &str) -> String {
        let name = match self.local_root() {
            Ok(Some(root)) => root.join(key).display().to_string(),
            _ => format!("{}{key}", self.location.name()),
        };
        printable::line(&name).into_owned()
    }

    /// Writes an object that must not be there yet: of many that put the same key, one succeeds. The object appears
    /// whole or not at all, and a power cut does not undo it.
    ///
    /// # Errors
    /// Storage; then the object may be there or not.
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

    /// Waits until objects are on the disk, with the folders that lead to them, so that nothing names an object that a
    /// power cut loses. Where storage answers only when an object is safe, there is nothing to wait for.
    ///
    /// # Errors
    /// Storage, naming the object.
    pub async fn sync_files(&self, keys: &[Path]) -> Result<()> {
        match self.local_root()? {
            Some(root) => local::sync_files(&root, keys).await,
            None => Ok(()),
        }
    }

    /// The time by the storage's own clock, by which it dates objects. Of a bucket the last answer tells it; elsewhere an
    /// object is written below `folder`, looked at and deleted.
    ///
    /// # Errors
    /// Storage, where that object cannot be written or looked at.
    pub async fn clock(&self, folder: &str) -> Result<DateTime<Utc>> {
        if let Some(time) = self.s3.as_ref().and_then(|s3| s3.server_time()) {
            return Ok(time);
        }
        let probe = Path::from(format!("{folder}/clock-{}", Uuid::now_v7()));
        let failed = |operation, e| Error::storage(operation, self.url_of(&probe), e);
        self.store.put(&probe, Bytes::new().into()).await.map_err(|e| failed("write", e))?;
        let looked_at = self.store.head(&probe).await;
        // What stays is empty, and of no run.
        let _ = self.store.delete(&probe).await;
        looked_at.map(|object| object.last_modified).map_err(|e| failed("read", e))
    }

    /// Removes a folder with all that is in it, where keys are files; elsewhere there are no folders.
    pub fn remove_folder(&self, folder: &str) {
        if let Ok(Some(root)) = self.local_root() {
            let _ = fs::remove_dir_all(root.join(folder));
        }
    }

    /// The folder that the root is, if it is one.
    fn local_root(&self) -> Result<Option<PathBuf>> {
        if self.root.scheme() == "file" { local::folder_of(&self.root).map(Some) } else { Ok(None) }
    }

    fn url_of(&self, key: &Path) -> String {
        format!("{}{key}", self.location.name())
    }
}

#[cfg(test)]
mod tests;
