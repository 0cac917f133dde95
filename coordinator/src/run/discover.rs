//! ①② Lists every source and finds its new objects: those that are not in the ledger.

use std::collections::HashMap;

use lakewright_common::config::object_patterns::ObjectPatterns;
use lakewright_common::config::resolved::{Config, Limits, OnArchived, OnChange, Source};
use lakewright_common::error::{Error, Result, listed};
use lakewright_common::read::record_format::can_be_cut;
use lakewright_common::read::split::Split;
use lakewright_common::read::split_plan::{Contents, contents_of_large, plan_splits, split_bytes_for};
use lakewright_common::session::Storages;
use lakewright_common::storage::Storage;
use lakewright_common::storage::list::{Listing, list_objects};
use lakewright_common::storage::object::SourceObject;

use super::skipped::SkippedObjects;
use crate::lake::ledger;
use crate::lake::ledger::LedgerEntry;
use crate::lake::manifest::Manifest;
use crate::model::Model;
use crate::open;
use crate::output::objects;

/// New objects of all sources, and whether there is other work for the run.
pub(crate) struct Discovered<'a> {
    pub(crate) sources: Vec<NewObjects<'a>>,
    /// Whether there is work even without new objects. This is so if the model, key, partition
    /// columns or checks of a table changed, if the fields of a source changed, if a table was
    /// added to `lake.toml` or removed from it, or if `--rebuild` names a table. Always `false`
    /// before the first commit.
    pub(crate) has_changed_models: bool,
    pub(crate) skipped: SkippedObjects,
}

/// The new objects of one source.
pub(crate) struct NewObjects<'a> {
    pub(crate) source: &'a Source,
    pub(crate) objects: Vec<SourceObject>,
    /// Content types of the large objects. An object can be split only if its content type allows
    /// it.
    pub(crate) contents: Contents,
    /// Number of all objects of the source, including those that were ingested before.
    pub(crate) listed: u64,
}

impl NewObjects<'_> {
    /// Plans the scan tasks for an engine that runs `tasks` tasks at once. Returns the splits of
    /// each task.
    pub(crate) fn splits(&self, limits: &Limits, tasks: usize) -> Vec<Vec<Split>> {
        let split_bytes = split_bytes_for(&self.objects, &self.contents, tasks, limits.split_bytes);
        self.splits_of(split_bytes)
    }

    /// Plans scan tasks of about `split_bytes` each. Returns the splits of each task.
    pub(crate) fn splits_of(&self, split_bytes: u64) -> Vec<Vec<Split>> {
        plan_splits(self.objects.clone(), &self.contents, can_be_cut(self.source), split_bytes)
    }
}

impl Discovered<'_> {
    pub(crate) fn has_work(&self) -> bool {
        self.has_changed_models || self.sources.iter().any(|source| !source.objects.is_empty())
    }
}

/// Lists every source and finds the objects that the ledger does not contain.
///
/// # Errors
/// A storage error. A data error for objects that changed after they were ingested, unless
/// `on_change` allows the run to skip them. A data error for archived objects, unless `on_archived`
/// does. A data error for a source without objects, unless `allow_empty` is set.
pub(crate) async fn new_objects<'a>(
    config: &'a Config,
    opened: &Storages,
    base: Option<&Manifest>,
    models: &[Model<'_>],
) -> Result<Discovered<'a>> {
    let mut sources = Vec::new();
    let mut skipped = SkippedObjects::default();
    let mut failures = Vec::new();
    for source in &config.sources {
        let storage = open::source(opened, &source.name);
        let Listing { objects, archived } = list_objects(storage, &source.objects, source.follow_links).await?;
        let listed = objects.len() as u64;
        let ingested = match base.and_then(|base| base.sources.get(&source.name)) {
            Some(state) => ledger::read(&opened.lake, state).await?,
            None => Default::default(),
        };
        if objects.is_empty() && archived.is_empty() {
            // A misspelled `url` must not commit an empty table. If objects were ingested before,
            // they may have been deleted since.
            if ingested.is_empty() && !source.allow_empty {
                failures.push(empty_error(source, storage));
            } else {
                tracing::warn!(source = source.name, url = %source.url, "no object belongs to the source");
            }
        }
        // An object that was ingested is not read again, so it may have been archived since.
        let archived = archived.into_iter().filter(|object| !ingested.contains_key(&object.key));
        let archived: Vec<String> = archived.map(|object| storage.name_of(&object.key)).collect();
        if !archived.is_empty() && source.on_archived == OnArchived::Error {
            failures.push(archived_error(source, &archived));
        }
        skipped.archived.extend(archived);
        // Objects that the lake does not have yet, and keys of objects that changed since the lake
        // ingested them.
        let mut new = Vec::new();
        let mut changed = Vec::new();
        for object in objects {
            match ingested.get(&object.key) {
                None => new.push(object),
                Some(entry) if is_same(source, entry, &object) => {}
                Some(_) => changed.push(object.key),
            }
        }
        if !changed.is_empty() && source.on_change == OnChange::Error {
            // Collect the failures of all sources, so that one run reports them all.
            failures.push(changed_error(source, &changed));
        }
        skipped.changed += changed.len() as u64;
        // This requests the first bytes of large objects, so inspect only new objects.
        let contents = contents_of_large(storage, &new, can_be_cut(source), &config.limits).await?;
        sources.push(NewObjects { source, objects: new, contents, listed });
    }
    if let Some(failure) = Error::join(failures) {
        return Err(failure);
    }
    let has_changed_models = base.is_some_and(|base| {
        models.iter().any(|model| {
            let previous = base.table(&model.table.name);
            model.is_asked_for || previous.is_none_or(|table| table.fingerprint != model.fingerprint)
        }) || base.tables.iter().any(|table| models.iter().all(|model| model.table.name != table.name))
    });
    Ok(Discovered { sources, has_changed_models, skipped })
}

/// Lists a source again. Returns the objects of `new` that have not changed since the first
/// listing, and the URLs of those that have changed or disappeared.
///
/// # Errors
/// A storage error.
pub(super) async fn unchanged_objects<'a>(
    opened: &Storages,
    new: &NewObjects<'a>,
) -> Result<(NewObjects<'a>, Vec<String>)> {
    let storage = open::source(opened, &new.source.name);
    let listing = list_objects(storage, &new.source.objects, new.source.follow_links).await?;
    let there: HashMap<String, SourceObject> =
        listing.objects.into_iter().map(|object| (object.key.clone(), object)).collect();
    let (same, changed): (Vec<_>, Vec<_>) =
        new.objects.iter().cloned().partition(|object| there.get(&object.key) == Some(object));
    let changed = changed.iter().map(|object| storage.name_of(&object.key)).collect();
    let same = NewObjects { objects: same, contents: new.contents.clone(), ..*new };
    Ok((same, changed))
}

fn empty_error(source: &Source, storage: &Storage) -> Error {
    let ObjectPatterns { url, include, exclude } = &source.objects;
    let mut which = url.as_ref().map_or_else(String::new, |url| format!(" that matches `{}`", url.text()));
    if !include.is_empty() || !exclude.is_empty() {
        which += " and that `include` and `exclude` select";
    }
    Error::data(format!("source `{}`: no object below `{}`{which}", source.name, storage.name_of(""))).hint(format!(
        "correct `url`, `include` or `exclude`, or set `allow_empty = true` under `[sources.{}]` if objects come later; \
         names that start with `.` or `_` are never read",
        source.name
    ))
}

fn archived_error(source: &Source, archived: &[String]) -> Error {
    Error::data(format!(
        "source `{}`: {} in an archive, which cannot be read before they are restored: {}",
        source.name,
        objects(archived.len()),
        listed(archived),
    ))
    .hint(format!(
        "restore them, move them to another prefix, or set `on_archived = \"skip\"` under `[sources.{}]`",
        source.name
    ))
}

/// Returns whether an object is unchanged since it was ingested. `entry` is its entry in the
/// ledger. On S3, the ETag decides. In a folder, size and modification time decide, because the
/// ETag of a file contains its inode, which a restore from a backup changes even if the data is the
/// same.
fn is_same(source: &Source, entry: &LedgerEntry, object: &SourceObject) -> bool {
    match (&entry.object.etag, &object.etag) {
        (Some(before), Some(now)) if source.url.scheme() != "file" => before == now,
        _ => entry.object.bytes == object.bytes && entry.object.modified == object.modified,
    }
}

fn changed_error(source: &Source, changed: &[String]) -> Error {
    Error::data(format!(
        "source `{}`: {} changed after they were ingested: {}",
        source.name,
        objects(changed.len()),
        listed(changed),
    ))
    .hint(format!(
        "put corrected records into a new object, or set `on_change = \"ignore\"` under `[sources.{}]` to keep the old records",
        source.name
    ))
}
