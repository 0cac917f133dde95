//! A source of a new project: finds the objects below a URL, and drafts one source per group.

use std::path::{Path, PathBuf};

use lakewright_common::config::locate;
use lakewright_common::config::object_patterns::{ObjectMatcher, ObjectPatterns, UrlPattern};
use lakewright_common::config::resolved::Limits;
use lakewright_common::error::{Error, Result};
use lakewright_common::printable;
use lakewright_common::storage::list::list_objects;
use lakewright_common::storage::object::SourceObject;
use lakewright_common::storage::{self, Storage};

use super::around::Unread;
use super::column::Column;
use super::detect::{Detected, detect};
use super::merge::merged_groups;
use super::places::Places;
use super::read::Profile;
use super::select::{Selection, literal, name_of, select};

/// The objects below one URL of the command line.
#[derive(Debug)]
pub(super) struct Place {
    /// URL as it was written.
    url: String,
    pub(super) storage: Storage,
    pattern: Option<UrlPattern>,
    objects: Vec<SourceObject>,
}

/// A source before its records are read.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) name: String,
    pub(super) url: String,
    pub(super) selection: Selection,
    pub(super) detected: Detected,
    pub(super) objects: Vec<SourceObject>,
    pub(super) storage: Storage,
}

/// A source as it is written.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) url: String,
    pub(super) selection: Selection,
    pub(super) detected: Detected,
    pub(super) objects: Vec<SourceObject>,
    pub(super) profile: Profile,
    pub(super) columns: Vec<Column>,
    /// Values around the records that are not read.
    pub(super) unread: Vec<Unread>,
}

impl Draft {
    /// Whether a part of the objects, or of an object, was not read.
    pub(super) fn is_sampled(&self) -> bool {
        let bytes: u64 = self.objects.iter().map(|object| object.bytes).sum();
        self.profile.objects < self.objects.len() || self.profile.stored_bytes < bytes
    }

    /// Returns the places of its records.
    pub(super) fn places(&self) -> Places<'_> {
        Places::new(&self.objects, &self.detected.format)
    }

    /// Returns the number of conflicts of its fields.
    pub(super) fn conflicts(&self) -> usize {
        self.columns.iter().flat_map(|column| &column.notes).filter(|note| note.is_conflict).count()
    }
}

impl Place {
    /// Lists the objects of a URL.
    ///
    /// # Errors
    /// A configuration error if the URL is wrong, a data error if there is no object, or a storage
    /// error.
    pub(super) async fn open(url: &str, working_folder: &Path) -> Result<Self> {
        let (location, pattern) = locate(url, working_folder)?;
        let storage = storage::open(&location).await?;
        let patterns = ObjectPatterns { url: pattern.clone(), ..ObjectPatterns::default() };
        let listing = list_objects(&storage, &patterns, false).await?;
        if !listing.archived.is_empty() {
            tracing::warn!(objects = listing.archived.len(), "archived objects are not read");
        }
        if listing.objects.is_empty() {
            let shown = printable::url(url);
            return Err(Error::data(format!("no object is at `{shown}`"))
                .hint("check the URL; names that start with `.` or `_` are ignored"));
        }
        Ok(Self { url: url.to_owned(), storage, pattern, objects: listing.objects })
    }

    /// Returns the sources below the URL for a project in the folder `out`, and the objects that
    /// are in no source: the first one of each group that is not JSON, with the reason.
    ///
    /// # Errors
    /// A storage error.
    pub(super) async fn sources(
        &self,
        out: &Path,
        working_folder: &Path,
        limits: &Limits,
    ) -> Result<(Vec<Found>, Vec<(String, String)>)> {
        let keys: Vec<&str> = self.objects.iter().map(|object| object.key.as_str()).collect();
        let groups = merged_groups(&self.storage, &self.objects, self.pattern.is_some(), limits).await?;
        let (mut found, mut ignored) = (Vec::new(), Vec::new());
        for (at, group) in groups.iter().enumerate() {
            let objects: Vec<&SourceObject> = group.keys.iter().map(|key| &self.objects[*key]).collect();
            let detected = match detect(&self.storage, &objects, &group.extension, limits).await? {
                Ok(detected) => detected,
                Err(reason) => {
                    let keys: Vec<&str> = group.keys.iter().map(|key| keys[*key]).collect();
                    ignored.push((described(&keys), reason));
                    continue;
                }
            };
            let mut selection = select(&groups, at, &keys, self.pattern.as_ref());
            let root = self.storage.root.to_file_path().ok().map(|root| root.join(&selection.folder));
            self.leave_out_project(&mut selection, root.as_deref(), out);
            found.push(Found {
                name: name_of(&groups, at, &self.url),
                url: url_from(&self.url, &selection.folder, working_folder, out),
                selection,
                detected,
                objects: objects.into_iter().cloned().collect(),
                storage: self.storage.clone(),
            });
        }
        Ok((found, ignored))
    }

    /// Excludes the project in the folder `out` from a source at `root`, if it is inside of it.
    fn leave_out_project(&self, selection: &mut Selection, root: Option<&Path>, out: &Path) {
        let Some(inside) = root.and_then(|root| out.strip_prefix(root).ok()) else { return };
        let prefix = inside.to_string_lossy();
        let at = |name: &str| if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
        let patterns = ObjectPatterns {
            url: self.pattern.clone(),
            include: selection.include.clone(),
            exclude: selection.exclude.clone(),
        };
        let Ok(matcher) = ObjectMatcher::new(&patterns) else { return };
        if matcher.may_select_below(&at("lake")) {
            selection.exclude.push(format!("/{}/", literal(&at("lake"))));
        }
        for file in ["lake.toml", "models/model.sql"] {
            if matcher.selects(&at(file)) {
                let name = file.split('/').next().unwrap_or_default();
                selection.exclude.push(format!("/{}", literal(&at(name))));
            }
        }
    }
}

/// Describes objects by their keys for a comment.
pub(super) fn described(keys: &[&str]) -> String {
    match keys {
        [] => String::new(),
        [first] => (*first).to_owned(),
        [first, others @ ..] => format!("{first} and {} like it", others.len()),
    }
}

/// Returns the `url` of a source in a configuration in the folder `out`, for the `folder` below a
/// URL that was written for the working folder.
fn url_from(url: &str, folder: &str, working_folder: &Path, out: &Path) -> String {
    let url = if url.contains("://") || Path::new(url).is_absolute() || out == working_folder {
        url.to_owned()
    } else {
        let end = if url.ends_with('/') { "/" } else { "" };
        format!("{}{end}", relative(out, &working_folder.join(url)).display())
    };
    if folder.is_empty() {
        return url;
    }
    // A folder with the name of an object needs a `/` at its end.
    let end = if folder.rsplit('/').next().is_some_and(|name| name.contains('.')) { "/" } else { "" };
    let folder = if url.contains("://") { folder.replace(' ', "%20") } else { folder.to_owned() };
    match url.trim_end_matches('/') {
        "." => format!("{folder}{end}"),
        url => format!("{url}/{folder}{end}"),
    }
}

/// Returns the path of `to` from the folder `from`. Both are absolute.
fn relative(from: &Path, to: &Path) -> PathBuf {
    let (from, to) = (resolved(from), resolved(to));
    let shared = from.components().zip(to.components()).take_while(|(one, other)| one == other).count();
    let up = from.components().skip(shared).map(|_| Path::new("..").to_path_buf());
    let down = to.components().skip(shared).map(|part| PathBuf::from(part.as_os_str()));
    let path: PathBuf = up.chain(down).collect();
    if path.as_os_str().is_empty() { PathBuf::from(".") } else { path }
}

/// Resolves `.` and `..` in a path without looking at the file system.
pub(super) fn resolved(path: &Path) -> PathBuf {
    let mut resolved = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                resolved.pop();
            }
            part => resolved.push(part),
        }
    }
    resolved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_leads_from_the_project_to_the_objects() {
        for (url, folder, out, expected) in [
            ("data", "", "/work", "data"),
            ("data/*.json", "", "/work", "data/*.json"),
            (".", "orders", "/work", "orders"),
            ("data", "v1.2", "/work", "data/v1.2/"),
            ("data", "", "/work/project", "../data"),
            ("../data/", "", "/work/project", "../../data/"),
            (".", "", "/work/project", ".."),
            ("/data", "a b", "/work/project", "/data/a b"),
            ("s3://bucket", "a b", "/work/project", "s3://bucket/a%20b"),
        ] {
            let written = url_from(url, folder, Path::new("/work"), Path::new(out));
            assert_eq!(written, expected, "{url} {folder} {out}");
        }
    }
}
