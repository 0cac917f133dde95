//! ① Lists the objects under a storage's root, with the properties (size, ETag, time) that later
//! reads verify.
//!
//! Files and folders with names that start with `.` or `_` are hidden: these files, and the
//! contents of these folders, are not data. Everything else is either listed or reported by name;
//! nothing is skipped silently. A user who may write into a folder could put a link there to any
//! file that this process can read. So links that lead out of the folder are rejected unless the
//! source has `follow_links`.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use futures::TryStreamExt;
use object_store::ObjectMeta;
use object_store::path::Path;
use walkdir::{DirEntry, WalkDir};

use super::Storage;
use super::local::on_blocking_thread;
use crate::config::object_patterns::{ObjectMatcher, ObjectPatterns, UrlPattern};
use crate::error::{Context, Error, Result, listed};
use crate::storage::object::SourceObject;

/// Subfolder that identifies its parent folder as a lake.
const LAKE_FOLDER: &str = "_lake/manifest";

/// Objects below the root of a storage.
#[derive(Debug, Default)]
pub struct Listing {
    /// Readable objects, ordered by key.
    pub objects: Vec<SourceObject>,
    /// Objects that must be restored from their storage class before they can be read, ordered by
    /// key.
    pub archived: Vec<SourceObject>,
}

impl Listing {
    pub(super) fn add(&mut self, other: Self) {
        self.objects.extend(other.objects);
        self.archived.extend(other.archived);
    }
}

/// Lists the objects under the root that are not hidden and that `patterns` select. With
/// `follow_links`, also lists files outside of the root to which links lead.
///
/// # Errors
/// A storage error, if the storage cannot be read, the folder does not exist or a link is broken. A
/// data error, if a name cannot be a key, a link leads out of the folder, or a folder is a lake.
pub async fn list_objects(storage: &Storage, patterns: &ObjectPatterns, follow_links: bool) -> Result<Listing> {
    // The configuration was checked.
    let matcher =
        Arc::new(ObjectMatcher::new(patterns).map_err(|fault| Error::internal(format!("a pattern {fault}")))?);
    let readable = |objects| Listing { objects, archived: Vec::new() };
    let mut listing = match (&storage.s3, storage.local_root()?) {
        (Some(s3), _) => s3.list(patterns.url.as_ref().map_or("", UrlPattern::prefix)).await?,
        (None, Some(root)) => {
            let matcher = Arc::clone(&matcher);
            readable(on_blocking_thread(move || list_folder(&root, &matcher, follow_links)).await??)
        }
        (None, None) => readable(list_store(storage).await?),
    };
    listing.objects.retain(|object| matcher.selects(&object.key));
    listing.archived.retain(|object| matcher.selects(&object.key));
    // Sorted, because storages list in different orders.
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

/// Lists the files of a folder by walking it. The local object store's own listing is not used,
/// because it omits broken links, and files with names that it cannot represent.
///
/// Skips files and folders that the patterns exclude, even if it could not read them. Treats a broken
/// link as a folder, because its target may have been one.
fn list_folder(root: &FilePath, matcher: &ObjectMatcher, follow_links: bool) -> Result<Vec<SourceObject>> {
    let mut objects = Vec::new();
    let mut refused = Refused::default();
    let inside = fs::canonicalize(root).storage_context("list", || root.display())?;
    let visible =
        |entry: &DirEntry| entry.depth() == 0 || !is_hidden_path(entry.file_name()) && may_select(root, entry, matcher);
    // Links are followed, because links inside the folder are allowed.
    let mut entries = WalkDir::new(root).follow_links(true).into_iter().filter_entry(visible);
    while let Some(entry) = entries.next() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(e) if e.path().is_some_and(|path| is_ignored(root, path, matcher)) => continue,
            Err(e) => match walk_failure(root, e) {
                Some(error) => return Err(error),
                None => continue,
            },
        };
        let (path, is_folder) = (entry.path(), entry.file_type().is_dir());
        // The root itself may be a link, because it is named in the configuration.
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
            // The file was deleted after its folder was listed.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) => return Err(unreadable(path, e)),
        };
        if !metadata.is_file() {
            refused.irregular.push(path.to_path_buf());
            continue;
        }
        match key_of(root, path) {
            Ok(key) => objects.push(source_object(key, &metadata)),
            Err(rule) => refused.names.push((path.to_path_buf(), rule)),
        }
    }
    refused.error(root).map_or(Ok(objects), Err)
}

/// Returns whether patterns select a file, or may select a file below a folder.
fn may_select(root: &FilePath, entry: &DirEntry, matcher: &ObjectMatcher) -> bool {
    let key = lossy_key(root, entry.path());
    if entry.file_type().is_dir() { matcher.may_select_below(&key) } else { matcher.selects(&key) }
}

/// Returns whether patterns select neither a path nor anything below it.
fn is_ignored(root: &FilePath, path: &FilePath, matcher: &ObjectMatcher) -> bool {
    let key = lossy_key(root, path);
    path != root && !matcher.selects(&key) && !matcher.may_select_below(&key)
}

/// Returns the path below `root` for patterns, even if it cannot be a key.
fn lossy_key(root: &FilePath, path: &FilePath) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned()
}

/// Paths in a folder that must not be read as objects.
#[derive(Debug, Default)]
struct Refused {
    /// Links that lead out of the folder.
    links: Vec<PathBuf>,
    /// Folders that are lakes.
    lakes: Vec<PathBuf>,
    /// Pipes, sockets and devices.
    irregular: Vec<PathBuf>,
    /// Files whose names cannot be keys, each with the rule that the name breaks.
    names: Vec<(PathBuf, NameRule)>,
}

/// A rule for the names of files in a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NameRule {
    Utf8,
    NoControlCharacters,
    NotReserved,
    Other,
}

const NAME_RULES: [(NameRule, &str); 4] = [
    (NameRule::Utf8, "names that are not UTF-8"),
    (NameRule::NoControlCharacters, "names that contain control characters, such as line feeds"),
    (NameRule::NotReserved, "names that end in `#` and digits, which are reserved for files that are being written"),
    (NameRule::Other, "names that are not valid keys of an object store"),
];

impl Refused {
    /// Returns an error that joins one failure for each kind of refused path; `None` if there is no
    /// refused path.
    fn error(self, root: &FilePath) -> Option<Error> {
        let root = root.display();
        let refused = |what: &str, paths: Vec<PathBuf>, hint: &str| {
            // `{:?}` escapes bytes that are not UTF-8.
            let named = listed(paths.iter().map(|path| format!("{path:?}").trim_matches('"').to_owned()));
            (!paths.is_empty()).then(|| Error::data(format!("`{root}` contains {what}: {named}")).hint(hint))
        };
        let mut errors = vec![
            refused(
                "links that lead out of it",
                self.links,
                "remove them, or set `follow_links = true` for the source if only trusted people can write into the folder",
            ),
            refused("a lake, whose files are not JSON", self.lakes, "keep lakes and sources in separate folders"),
            refused(
                "pipes, sockets or devices, which are not regular files",
                self.irregular,
                "remove them, or give their names a `.` or `_` in front",
            ),
        ];
        for (rule, what) in NAME_RULES {
            let breaks_rule = |(path, broken): &(PathBuf, NameRule)| (*broken == rule).then(|| path.clone());
            let paths = self.names.iter().filter_map(breaks_rule).collect();
            errors.push(refused(what, paths, "rename them, or give their names a `.` or `_` in front"));
        }
        Error::join(errors.into_iter().flatten())
    }
}

/// Whether the target of a link is outside of the folder `inside`. The path of this folder must not
/// contain links.
fn leads_out(link: &FilePath, inside: &FilePath) -> Result<bool> {
    match fs::canonicalize(link) {
        Ok(target) => Ok(!target.starts_with(inside)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(Error::storage("list", link.display(), e)),
    }
}

/// Converts an error of the walk. Returns `None` if the file is hidden or was deleted during the
/// walk; the walk then continues.
fn walk_failure(root: &FilePath, error: walkdir::Error) -> Option<Error> {
    let path = error.path().unwrap_or(root).to_path_buf();
    // `walkdir` reports errors of hidden files before the filter excludes these files. For example,
    // some editors use hidden broken links as locks.
    if path != root && path.file_name().is_some_and(is_hidden_path) {
        return None;
    }
    let is_missing = error.io_error().is_some_and(|e| e.kind() == std::io::ErrorKind::NotFound);
    if is_missing && path != root {
        // If the path still exists, it is a broken link. Otherwise, the file was deleted.
        fs::symlink_metadata(&path).ok()?;
        let error = std::io::Error::new(std::io::ErrorKind::NotFound, "it is a broken link");
        return Some(Error::storage("list", path.display(), error).hint("remove the link, or restore its target"));
    }
    if let Some(ancestor) = error.loop_ancestor() {
        let what = std::io::Error::other(format!("it is a link to `{}`, which contains it", ancestor.display()));
        return Some(Error::storage("list", path.display(), what).hint("remove the link"));
    }
    let error = error.into_io_error().unwrap_or_else(|| std::io::Error::other("the folder cannot be walked"));
    Some(unreadable(&path, error))
}

/// Returns the error for a file or folder that cannot be read.
fn unreadable(path: &FilePath, error: std::io::Error) -> Error {
    let is_denied = error.kind() == std::io::ErrorKind::PermissionDenied;
    let error = Error::storage("list", path.display(), error);
    if !is_denied {
        return error;
    }
    error.hint("allow this user to read it, move it out of the source, or give its name a `.` or `_` in front")
}

/// Returns the key of a file below `root`, or the rule that its name breaks.
fn key_of(root: &FilePath, path: &FilePath) -> std::result::Result<String, NameRule> {
    let mut key = String::new();
    for segment in path.strip_prefix(root).unwrap_or(path).components() {
        if !key.is_empty() {
            key.push('/');
        }
        key.push_str(segment.as_os_str().to_str().ok_or(NameRule::Utf8)?);
    }
    if key.contains(|c: char| c.is_control()) {
        return Err(NameRule::NoControlCharacters);
    }
    if looks_like_unfinished_write(&key) {
        return Err(NameRule::NotReserved);
    }
    let is_valid = Path::parse(&key).is_ok_and(|parsed| parsed.as_ref() == key);
    if is_valid { Ok(key) } else { Err(NameRule::Other) }
}

/// Whether the local object store would mistake a file for an unfinished write. The store first
/// writes to `name#digits`, and refuses to read such names.
fn looks_like_unfinished_write(key: &str) -> bool {
    let name = key.rsplit('/').next().unwrap_or(key);
    name.split_once('#')
        .is_some_and(|(_, digits)| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Returns the object for a file with this key and metadata.
pub(super) fn source_object(key: String, metadata: &Metadata) -> SourceObject {
    let modified = metadata.modified().unwrap_or(UNIX_EPOCH);
    SourceObject { key, bytes: metadata.len(), etag: Some(etag(metadata, modified)), modified: micros(modified) }
}

/// Returns the ETag of a file. It must equal the ETag that the local object store computes, because
/// reads send it to the store as a condition. A test compares the two.
fn etag(metadata: &Metadata, modified: SystemTime) -> String {
    // As in `object_store`, an ETag consists of inode, time and size.
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
    // The key of an object in a bucket may contain the segments `.` and `..`, which have no special
    // meaning in S3.
    segment.starts_with(['.', '_']) && !matches!(segment, "." | "..")
}

fn is_hidden_path(segment: &OsStr) -> bool {
    matches!(segment.as_encoded_bytes().first(), Some(b'.' | b'_'))
}

#[cfg(test)]
mod tests;
