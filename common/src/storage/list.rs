//! ① Every object under a storage's root, with what a later read is held to.
//!
//! Segments that begin with `.` or `_` are hidden: neither they nor what lies below them is data. Everything else is
//! either listed or an error that names it; nothing is left out silently.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::path::{Path as FilePath, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use futures::TryStreamExt;
use object_store::ObjectMeta;
use object_store::path::Path;
use walkdir::{DirEntry, WalkDir};

use super::Storage;
use super::local::on_blocking_thread;
use crate::error::{Error, Result, listed};
use crate::read::object::SourceObject;

/// What lies under a root.
#[derive(Debug, Default)]
pub struct Listing {
    /// In order of their keys.
    pub objects: Vec<SourceObject>,
    /// Those in a storage class from which they must be restored before they can be read, in order of their keys.
    pub archived: Vec<SourceObject>,
}

impl Listing {
    pub(super) fn add(&mut self, other: Self) {
        self.objects.extend(other.objects);
        self.archived.extend(other.archived);
    }
}

/// The objects under the root that are not hidden.
///
/// # Errors
/// Storage that cannot be read, a folder that is not there, a link to nowhere; data, for names that no key can hold.
pub async fn list_objects(storage: &Storage) -> Result<Listing> {
    let here = |objects| Listing { objects, archived: Vec::new() };
    let mut listing = match (&storage.s3, storage.local_root()?) {
        (Some(s3), _) => s3.list().await?,
        (None, Some(root)) => here(on_blocking_thread(move || list_folder(&root)).await??),
        (None, None) => here(list_store(storage).await?),
    };
    listing.objects.sort_by(|a, b| a.key.cmp(&b.key));
    listing.archived.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(listing)
}

async fn list_store(storage: &Storage) -> Result<Vec<SourceObject>> {
    let metas = storage.store.list(None).try_filter(|meta| {
        let is_visible = !meta.location.parts().any(|part| is_hidden(part.as_ref()));
        std::future::ready(is_visible)
    });
    let objects = metas.map_ok(|meta: ObjectMeta| SourceObject {
        key: meta.location.to_string(),
        bytes: meta.size,
        etag: meta.e_tag,
        modified: meta.last_modified.timestamp_micros(),
    });
    objects.try_collect().await.map_err(|e| Error::storage("list", &storage.root, e))
}

/// The local object store's own listing leaves out links to nowhere and names it cannot hold, so folders are walked here.
fn list_folder(root: &FilePath) -> Result<Vec<SourceObject>> {
    let mut objects = Vec::new();
    let mut unusable = Vec::new();
    let visible = |entry: &DirEntry| entry.depth() == 0 || !is_hidden_path(entry.file_name());
    for entry in WalkDir::new(root).follow_links(true).into_iter().filter_entry(visible) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(e) => match walk_failure(root, e) {
                Some(error) => return Err(error),
                None => continue,
            },
        };
        if entry.file_type().is_dir() {
            continue;
        }
        let path = entry.path();
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            // Deleted since it was named: as if it had been deleted before.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) => return Err(Error::storage("list", path.display(), e)),
        };
        match key_of(root, path).filter(|_| metadata.is_file()) {
            Some(key) => objects.push(source_object(key, &metadata)),
            None => unusable.push(path.to_path_buf()),
        }
    }
    if unusable.is_empty() { Ok(objects) } else { Err(unusable_names(root, &unusable)) }
}

/// Why the walk cannot go on; `None` if something was only deleted meanwhile.
fn walk_failure(root: &FilePath, error: walkdir::Error) -> Option<Error> {
    let path = error.path().unwrap_or(root).to_path_buf();
    // What is hidden and cannot be read is met before it is filtered; editors lock files with links to nothing.
    if path != root && path.file_name().is_some_and(is_hidden_path) {
        return None;
    }
    let is_missing = error.io_error().is_some_and(|e| e.kind() == std::io::ErrorKind::NotFound);
    if is_missing && path != root {
        // The link itself is still there.
        fs::symlink_metadata(&path).ok()?;
        let error = std::io::Error::new(std::io::ErrorKind::NotFound, "it is a link to nothing");
        return Some(
            Error::storage("list", path.display(), error).hint("remove the link, or put back what it leads to"),
        );
    }
    Some(Error::storage("list", path.display(), error))
}

/// The key of a file below `root`; `None` if the object store cannot hold it as it is.
fn key_of(root: &FilePath, path: &FilePath) -> Option<String> {
    let mut key = String::new();
    for segment in path.strip_prefix(root).ok()?.components() {
        if !key.is_empty() {
            key.push('/');
        }
        key.push_str(segment.as_os_str().to_str()?);
    }
    let is_held = Path::parse(&key).is_ok_and(|parsed| parsed.as_ref() == key);
    (is_held && !looks_like_unfinished_write(&key)).then_some(key)
}

/// The local object store keeps `name#digits` for its own writes and refuses to read it.
fn looks_like_unfinished_write(key: &str) -> bool {
    let name = key.rsplit('/').next().unwrap_or(key);
    name.split_once('#')
        .is_some_and(|(_, digits)| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

fn unusable_names(root: &FilePath, paths: &[PathBuf]) -> Error {
    let named = listed(paths.iter().map(|path| format!("{path:?}").trim_matches('"').to_owned()));
    Error::data(format!("`{}` holds what cannot be read as an object: {named}", root.display())).hint(
        "rename it: a name must be UTF-8 without control characters, must not end in `#` and digits, and must be a file's",
    )
}

fn source_object(key: String, metadata: &Metadata) -> SourceObject {
    let modified = metadata.modified().unwrap_or(UNIX_EPOCH);
    SourceObject { key, bytes: metadata.len(), etag: Some(etag(metadata, modified)), modified: micros(modified) }
}

/// What the local object store gives for this file, against which it checks a read. A test compares the two.
fn etag(metadata: &Metadata, modified: SystemTime) -> String {
    let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    format!("{:x}-{since:x}-{:x}", inode(metadata), metadata.len())
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> u64 {
    0
}

fn micros(time: SystemTime) -> i64 {
    chrono::DateTime::<chrono::Utc>::from(time).timestamp_micros()
}

pub(super) fn is_hidden(segment: &str) -> bool {
    // A key of a bucket may have such segments, which are names like any other there.
    segment.starts_with(['.', '_']) && !matches!(segment, "." | "..")
}

fn is_hidden_path(segment: &OsStr) -> bool {
    matches!(segment.as_encoded_bytes().first(), Some(b'.' | b'_'))
}

#[cfg(test)]
mod tests;
