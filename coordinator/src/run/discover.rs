//! ①② Which objects are new: what lies under each source's prefix, less what the ledger says was taken in.

use lakewright_common::config::resolved::{Config, OnChange, Source};
use lakewright_common::error::{Error, Result};
use lakewright_common::read::object::SourceObject;
use lakewright_common::session::Storages;
use lakewright_common::storage::list::list_objects;

use crate::lake::ledger;
use crate::lake::ledger::LedgerEntry;
use crate::lake::manifest::Manifest;
use crate::model::Model;
use crate::open;

/// Objects named in one error message at the most.
const NAMED_OBJECTS: usize = 10;

/// What a run would take in.
pub(crate) struct Discovered<'a> {
    pub(crate) sources: Vec<NewObjects<'a>>,
    /// Whether a model, or a source's declaration, is not the one that built what the lake holds.
    pub(crate) has_changed_models: bool,
    /// Objects that changed after they were taken in and are ignored, as configured.
    pub(crate) ignored_changes: u64,
}

/// The new objects of one source.
pub(crate) struct NewObjects<'a> {
    pub(crate) source: &'a Source,
    pub(crate) objects: Vec<SourceObject>,
    /// Objects under the prefix, taken in before or not.
    pub(crate) listed: u64,
}

impl Discovered<'_> {
    pub(crate) fn has_work(&self) -> bool {
        self.has_changed_models || self.sources.iter().any(|source| !source.objects.is_empty())
    }
}

/// Lists every source and subtracts the ledger.
///
/// # Errors
/// Storage that fails; an object that changed since it was taken in, unless its source ignores that.
pub(crate) async fn new_objects<'a>(
    config: &'a Config,
    opened: &Storages,
    base: Option<&Manifest>,
    models: &[Model<'_>],
) -> Result<Discovered<'a>> {
    let mut sources = Vec::new();
    let mut ignored_changes = 0;
    for source in &config.sources {
        let objects = list_objects(open::source(opened, &source.name)).await?;
        let listed = objects.len() as u64;
        if objects.is_empty() {
            tracing::warn!(source = source.name, url = %source.url, "there is nothing below the source's URL");
        }
        let taken = match base.and_then(|base| base.sources.get(&source.name)) {
            Some(state) => ledger::read(&opened.lake, state).await?,
            None => Default::default(),
        };
        let mut new = Vec::new();
        let mut changed = Vec::new();
        for object in objects {
            match taken.get(&object.key) {
                None => new.push(object),
                Some(entry) if is_same(source, entry, &object) => {}
                Some(_) => changed.push(object.key),
            }
        }
        if !changed.is_empty() && source.on_change == OnChange::Error {
            return Err(changed_error(source, &changed));
        }
        ignored_changes += changed.len() as u64;
        sources.push(NewObjects { source, objects: new, listed });
    }
    let has_changed_models = base.is_some_and(|base| {
        models
            .iter()
            .any(|model| base.table(&model.table.name).is_none_or(|table| table.fingerprint != model.fingerprint))
            || base.tables.iter().any(|table| models.iter().all(|model| model.table.name != table.name))
    });
    Ok(Discovered { sources, has_changed_models, ignored_changes })
}

/// Whether the object is the one that the ledger knows. A folder's ETag contains the inode, which a restored backup
/// changes although the data did not; size and time of the last change tell more there.
fn is_same(source: &Source, entry: &LedgerEntry, object: &SourceObject) -> bool {
    match (&entry.object.etag, &object.etag) {
        (Some(before), Some(now)) if source.url.scheme() != "file" => before == now,
        _ => entry.object.bytes == object.bytes && entry.object.modified == object.modified,
    }
}

fn changed_error(source: &Source, changed: &[String]) -> Error {
    let named: Vec<String> = changed.iter().take(NAMED_OBJECTS).map(|key| format!("`{key}`")).collect();
    let more = changed.len().saturating_sub(NAMED_OBJECTS);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Error::data(format!(
        "source `{}`: {} changed after being taken in: {}{more}",
        source.name,
        if changed.len() == 1 { "1 object".to_owned() } else { format!("{} objects", changed.len()) },
        named.join(", "),
    ))
    .hint(format!(
        "put corrected records into a new object, or set `on_change = \"ignore\"` under `[sources.{}]` to keep what was taken in",
        source.name
    ))
}
