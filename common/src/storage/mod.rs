//! One URL becomes one object store; the only place that touches a file system (or, later, S3) directly.
//!
//! Every key is relative to the root of its storage. Reads and writes of bytes go through the `ObjectStore`; this
//! adds what an object store does not promise on a disk: a put that only one of many can win and that outlives a power
//! cut, and files that are on the disk before something names them.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, PutMode};
use url::Url;
use uuid::Uuid;

use crate::error::{Error, Result};

/// The objects under a storage's root.
pub mod list;

/// Files or folders that are synced at once.
const CONCURRENT_SYNCS: usize = 16;

/// One root and what lies below it.
#[derive(Debug, Clone)]
pub struct Storage {
    /// Its keys are relative to `root`.
    pub store: Arc<dyn ObjectStore>,
    /// Always ends with `/`.
    pub root: Url,
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

/// Opens the folder or prefix at `url`.
///
/// # Errors
/// Storage, where there is no such folder; configuration, where the kind of storage is not supported.
pub fn open(url: &Url) -> Result<Storage> {
    open_if_exists(url)?.ok_or_else(|| {
        Error::storage("open", url, io::Error::new(ErrorKind::NotFound, "there is no such folder"))
            .hint("check the path in `lake.toml`; relative paths are seen from its folder")
    })
}

/// As [`open`], but it is no error if there is no such folder.
///
/// # Errors
/// As [`open`].
pub fn open_if_exists(url: &Url) -> Result<Option<Storage>> {
    let folder = folder_of(url)?;
    match fs::metadata(&folder) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => return Err(not_a_folder(url)),
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        // The URL ends with `/`, by which the system knows as well.
        Err(e) if e.kind() == ErrorKind::NotADirectory => return Err(not_a_folder(url)),
        Err(e) => return Err(Error::storage("open", url, e)),
    }
    let store = LocalFileSystem::new_with_prefix(&folder).map_err(|e| Error::storage("open", url, e))?;
    Ok(Some(Storage { store: Arc::new(store), root: url.clone() }))
}

fn not_a_folder(url: &Url) -> Error {
    Error::storage("open", url, io::Error::new(ErrorKind::NotADirectory, "it is a file, not a folder"))
}

/// As [`open`], but a folder that is not there is made, with those around it.
///
/// # Errors
/// As [`open`], and where the folder cannot be made.
pub async fn open_or_create(url: &Url) -> Result<Storage> {
    let folder = folder_of(url)?;
    if let Some(storage) = open_if_exists(url)? {
        return Ok(storage);
    }
    let create = move || {
        fs::create_dir_all(&folder)?;
        // Which of the folders around it are new is not known; a sync of the others costs little.
        folder.ancestors().try_for_each(sync_folder)
    };
    on_blocking_thread(create).await?.map_err(|e| Error::storage("create", url, e))?;
    open(url)
}

impl Storage {
    /// Writes an object that must not be there yet: of many that put the same key, one succeeds. The object appears
    /// whole or not at all, and a power cut does not undo it.
    ///
    /// # Errors
    /// Storage; then the object may be there or not.
    pub async fn put_if_absent(&self, key: &Path, bytes: Bytes) -> Result<PutOutcome> {
        if let Some(root) = self.local_root()? {
            let file = local_path(&root, key);
            let put = move || put_file_if_absent(&root, &file, &bytes);
            return on_blocking_thread(put).await?.map_err(|e| Error::storage("write", self.url_of(key), e));
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
        let Some(root) = self.local_root()? else { return Ok(()) };
        let files: Vec<PathBuf> = keys.iter().map(|key| local_path(&root, key)).collect();
        let folders: BTreeSet<PathBuf> = files.iter().flat_map(|file| folders_up_to(&root, file)).collect();
        sync_all(files, |file| File::open(file)?.sync_all()).await?;
        sync_all(folders, sync_folder).await
    }

    /// Removes a folder with all that is in it, where keys are files; elsewhere there are no folders.
    pub fn remove_folder(&self, folder: &str) {
        if let Ok(Some(root)) = self.local_root() {
            let _ = fs::remove_dir_all(root.join(folder));
        }
    }

    /// The folder that the root is, if it is one.
    fn local_root(&self) -> Result<Option<PathBuf>> {
        if self.root.scheme() == "file" { folder_of(&self.root).map(Some) } else { Ok(None) }
    }

    fn url_of(&self, key: &Path) -> String {
        format!("{}{key}", self.root)
    }
}

/// The folder that a `file` URL names.
fn folder_of(url: &Url) -> Result<PathBuf> {
    match url.scheme() {
        "file" => url.to_file_path().map_err(|()| Error::configuration(format!("`{url}` names no folder"))),
        "s3" => Err(Error::configuration(format!("`{url}` is on S3, which is not supported yet"))
            .hint("copy the objects into a folder and name it, as a path or as `file:///…`")),
        scheme => Err(Error::configuration(format!("`{url}`: `{scheme}` is not a storage that is supported"))),
    }
}

/// As the local object store does it: each segment of a key is the name of a file or folder, as it is.
fn local_path(root: &FilePath, key: &Path) -> PathBuf {
    root.join(key.as_ref())
}

/// The folders from the one that holds `file` up to `root`, the innermost first.
fn folders_up_to<'a>(root: &'a FilePath, file: &'a FilePath) -> impl Iterator<Item = PathBuf> + 'a {
    file.ancestors().skip(1).take_while(move |folder| folder.starts_with(root)).map(FilePath::to_path_buf)
}

/// A hard link fails if its name is taken, on every file system that has hard links; a rename would replace.
fn put_file_if_absent(root: &FilePath, file: &FilePath, bytes: &[u8]) -> io::Result<PutOutcome> {
    let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else {
        return Err(ErrorKind::InvalidFilename.into());
    };
    fs::create_dir_all(folder)?;
    // The local object store takes `name#digits` for a write under way and does not list it, should it be left behind.
    let mut temporary_name = name.to_os_string();
    temporary_name.push(format!("#{}", Uuid::now_v7().as_u128()));
    let temporary = folder.join(temporary_name);
    let linked = write_synced(&temporary, bytes).and_then(|()| fs::hard_link(&temporary, file));
    let removed = fs::remove_file(&temporary);
    let outcome = match linked {
        Ok(()) => PutOutcome::Created,
        Err(e) if e.kind() == ErrorKind::AlreadyExists => PutOutcome::Exists,
        Err(e) => return Err(e),
    };
    if let Err(e) = removed {
        tracing::warn!(file = %temporary.display(), error = %e, "a temporary file is left behind");
    }
    // Also where it exists: an earlier try may have got no further than the link.
    folders_up_to(root, file).try_for_each(|folder| sync_folder(&folder))?;
    Ok(outcome)
}

fn write_synced(file: &FilePath, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(file)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes the names in a folder outlive a power cut.
fn sync_folder(folder: &FilePath) -> io::Result<()> {
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        // A folder above the lake that may be passed through but not read, or a file system that does not sync folders.
        Err(e) if matches!(e.kind(), ErrorKind::PermissionDenied | ErrorKind::InvalidInput) => Ok(()),
        result => result,
    }
}

async fn sync_all(
    paths: impl IntoIterator<Item = PathBuf>,
    sync: impl Fn(&FilePath) -> io::Result<()> + Copy + Send + 'static,
) -> Result<()> {
    let syncs = paths.into_iter().map(|path| async move {
        on_blocking_thread(move || sync(&path).map_err(|e| Error::storage("sync", path.display(), e))).await?
    });
    stream::iter(syncs).buffer_unordered(CONCURRENT_SYNCS).try_collect().await
}

/// A disk can take long to answer; threads that run tasks must not wait for it.
async fn on_blocking_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|e| Error::internal("a file operation was stopped").caused_by(e))
}

#[cfg(test)]
mod tests;
