//! A folder as storage: durable conditional puts, and syncing of files to disk.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path as FilePath, PathBuf};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use url::Url;
use uuid::Uuid;

use super::put_outcome::PutOutcome;
use crate::error::{Context, Error, Result};

/// Maximum number of files or folders to sync at once.
const CONCURRENT_SYNCS: usize = 16;

/// Opens a folder; `None` if it does not exist.
pub(super) fn open_if_exists(url: &Url) -> Result<Option<LocalFileSystem>> {
    let folder = folder_of(url)?;
    match fs::metadata(&folder) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => return Err(not_a_folder(url)),
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        // The path ends with `/`, so the system reports this error if the path is a file.
        Err(e) if e.kind() == ErrorKind::NotADirectory => return Err(not_a_folder(url)),
        Err(e) => return Err(Error::storage("open", url, e)),
    }
    LocalFileSystem::new_with_prefix(&folder).storage_context("open", || url).map(Some)
}

fn not_a_folder(url: &Url) -> Error {
    Error::storage("open", url, io::Error::new(ErrorKind::NotADirectory, "it is a file, not a folder"))
}

/// Creates a folder and its parents.
pub(super) async fn create(url: &Url) -> Result<()> {
    let folder = folder_of(url)?;
    let create = move || {
        fs::create_dir_all(&folder)?;
        // Sync all parents: we do not know which of them are new, and syncing costs little.
        folder.ancestors().try_for_each(sync_folder)
    };
    on_blocking_thread(create).await?.storage_context("create", || url)
}

/// Returns the path of a `file` URL.
pub(super) fn folder_of(url: &Url) -> Result<PathBuf> {
    url.to_file_path().map_err(|()| Error::configuration(format!("`{url}` names no folder")))
}

/// Implements `Storage::put_if_absent` below the folder `root`.
pub(super) async fn put_if_absent(root: PathBuf, key: &Path, bytes: Bytes) -> Result<io::Result<PutOutcome>> {
    let file = local_path(&root, key);
    on_blocking_thread(move || put_file_if_absent(&root, &file, &bytes)).await
}

/// Implements `Storage::sync_files` below the folder `root`.
pub(super) async fn sync_files(root: &FilePath, keys: &[Path]) -> Result<()> {
    let files: Vec<PathBuf> = keys.iter().map(|key| local_path(root, key)).collect();
    let folders: BTreeSet<PathBuf> = files.iter().flat_map(|file| folders_up_to(root, file)).collect();
    // Sync contents first: a file whose name is durable but whose contents are lost would be
    // damaged.
    sync_all(files, |file| File::open(file)?.sync_all()).await?;
    sync_all(folders, sync_folder).await
}

/// Returns the path of the file for a key. Like the local object store, uses each segment of the
/// key unchanged as the name of a folder or file.
fn local_path(root: &FilePath, key: &Path) -> PathBuf {
    root.join(key.as_ref())
}

/// Returns the folders from the parent of `file` up to `root`, innermost first.
fn folders_up_to<'a>(root: &'a FilePath, file: &'a FilePath) -> impl Iterator<Item = PathBuf> + 'a {
    file.ancestors().skip(1).take_while(move |folder| folder.starts_with(root)).map(FilePath::to_path_buf)
}

/// Writes a temporary file and hard-links it to its final name. Unlike a rename, a hard link fails
/// if the name exists.
fn put_file_if_absent(root: &FilePath, file: &FilePath, bytes: &[u8]) -> io::Result<PutOutcome> {
    let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else {
        return Err(ErrorKind::InvalidFilename.into());
    };
    fs::create_dir_all(folder)?;
    // If the temporary file is left behind, the local object store does not list it, because it
    // treats `name#digits` as an unfinished write.
    let mut temporary_name = name.to_os_string();
    temporary_name.push(format!("#{}", Uuid::now_v7().as_u128()));
    let temporary = folder.join(temporary_name);
    // Sync the file before linking it, so that the final name never has incomplete contents.
    let linked = write_synced(&temporary, bytes).and_then(|()| fs::hard_link(&temporary, file));
    // Remove the temporary file even if linking failed.
    let removed = fs::remove_file(&temporary);
    let outcome = match linked {
        Ok(()) => PutOutcome::Created,
        Err(e) if e.kind() == ErrorKind::AlreadyExists => PutOutcome::Exists,
        Err(e) => return Err(e),
    };
    if let Err(e) = removed {
        tracing::warn!(file = %temporary.display(), error = %e, "cannot remove a temporary file");
    }
    // Sync even if the file exists: an earlier attempt may have failed after linking it.
    folders_up_to(root, file).try_for_each(|folder| sync_folder(&folder))?;
    Ok(outcome)
}

fn write_synced(file: &FilePath, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(file)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Syncs a folder, so that the names in it survive a power cut.
fn sync_folder(folder: &FilePath) -> io::Result<()> {
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        // Ignore this error: the folder is an unreadable parent of the lake, or the file system
        // cannot sync folders.
        Err(e) if matches!(e.kind(), ErrorKind::PermissionDenied | ErrorKind::InvalidInput) => Ok(()),
        result => result,
    }
}

async fn sync_all(
    paths: impl IntoIterator<Item = PathBuf>,
    sync: impl Fn(&FilePath) -> io::Result<()> + Copy + Send + 'static,
) -> Result<()> {
    let syncs = paths.into_iter().map(|path| async move {
        on_blocking_thread(move || sync(&path).storage_context("sync", || path.display())).await?
    });
    stream::iter(syncs).buffer_unordered(CONCURRENT_SYNCS).try_collect().await
}

/// Runs file operations on a separate thread, because a slow disk must not block the threads that
/// run tasks.
pub(super) async fn on_blocking_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.context(|| Error::internal("a file operation was cancelled"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folders_to_sync_go_up_to_the_root() {
        let folders: Vec<_> = folders_up_to(FilePath::new("/lake/"), FilePath::new("/lake/a/b/c.json")).collect();
        assert_eq!(folders, ["/lake/a/b", "/lake/a", "/lake"].map(PathBuf::from));
    }
}
