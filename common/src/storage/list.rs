//! ① Every object under a storage's root, with what a later read is held to.
//!
//! Segments that begin with `.` or `_` are hidden: neither they nor what lies below them is data. Everything else is
//! either listed or an error that names it; nothing is left out silently. Who may write into a folder could put a link to
//! any file that this process can read there, so links that lead out of the folder are refused unless the source follows
//! them.

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
use crate::error::{Context, Error, Result, listed};
use crate::storage::object::SourceObject;

/// The folder by which a lake is known.
const LAKE_FOLDER: &str = "_lake/manifest";

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

/// The objects under the root that are not hidden. `follow_links`: also those outside of it that links lead to.
///
/// # Errors
/// Storage that cannot be read, a folder that is not there, a link to nowhere; data, for names that no key can hold, links
/// that lead out, a lake among the folders.
pub async fn list_objects(storage: &Storage, follow_links: bool) -> Result<Listing> {
    let here = |objects| Listing { objects, archived: Vec::new() };
    let mut listing = match (&storage.s3, storage.local_root()?) {
        (Some(s3), _) => s3.list().await?,
        (None, Some(root)) => here(on_blocking_thread(move || list_folder(&root, follow_links)).await??),
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
    objects.try_collect().await.storage_context("list", || &storage.root)
}

/// The local object store's own listing leaves out links to nowhere and names it cannot hold, so folders are walked here.
fn list_folder(root: &FilePath, follow_links: bool) -> Result<Vec<SourceObject>> {
    let mut objects = Vec::new();
    let mut refused = Refused::default();
    let inside = fs::canonicalize(root).storage_context("list", || root.display())?;
    let visible = |entry: &DirEntry| entry.depth() == 0 || !is_hidden_path(entry.file_name());
    let mut entries = WalkDir::new(root).follow_links(true).into_iter().filter_entry(visible);
    while let Some(entry) = entries.next() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(e) => match walk_failure(root, e) {
                Some(error) => return Err(error),
                None => continue,
            },
        };
        let (path, is_folder) = (entry.path(), entry.file_type().is_dir());
        if entry.path_is_symlink() && entry.depth() > 0 && !follow_links && leads_out(path, &inside)? {
            refused.links.push(path.to_path_buf());
            if is_folder {
                entries.skip_current_dir();
            }
            continue;
        }
        if is_folder {
            if path.join(LAKE_FOLDER).is_dir() {
                refused.lakes.push(path.to_path_buf());
                entries.skip_current_dir();
            }
            continue;
        }
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            // Deleted since it was named: as if it had been deleted before.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) => return Err(Error::storage("list", path.display(), e)),
        };
        match key_of(root, path).filter(|_| metadata.is_file()) {
            Some(key) => objects.push(source_object(key, &metadata)),
            None => refused.names.push(path.to_path_buf()),
        }
    }
    refused.error(root).map_or(Ok(objects), Err)
}

/// What must not be read as an object.
#[derive(Debug, Default)]
struct Refused {
    /// Names that no key can hold, or that are not those of files.
    names: Vec<PathBuf>,
    /// Links that lead out of the folder.
    links: Vec<PathBuf>,
    /// Folders that are lakes.
    lakes: Vec<PathBuf>,
}

impl Refused {
    fn error(&self, root: &FilePath) -> Option<Error> {
        let named =
            |paths: &[PathBuf]| listed(paths.iter().map(|path| format!("{path:?}").trim_matches('"').to_owned()));
        let root = root.display();
        if !self.links.is_empty() {
            let links = named(&self.links);
            return Some(Error::data(format!("`{root}` holds links that lead out of it: {links}")).hint(
                "remove them, or set `follow_links = true` for the source if only trusted people can write into the folder",
            ));
        }
        if !self.lakes.is_empty() {
            let lakes = named(&self.lakes);
            return Some(
                Error::data(format!("`{root}` holds a lake, whose files are not JSON: {lakes}"))
                    .hint("keep lakes and sources in separate folders"),
            );
        }
        if self.names.is_empty() {
            return None;
        }
        Some(Error::data(format!("`{root}` holds what cannot be read as an object: {}", named(&self.names))).hint(
            "rename it: a name must be UTF-8 without control characters, must not end in `#` and digits, and must be a file's",
        ))
    }
}

/// Whether a link leads to something outside of `inside`, which is a path without links.
fn leads_out(link: &FilePath, inside: &FilePath) -> Result<bool> {
    match fs::canonicalize(link) {
        Ok(target) => Ok(!target.starts_with(inside)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(Error::storage("list", link.display(), e)),
    }
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
