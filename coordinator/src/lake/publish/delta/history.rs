//! Caches manifests and the published Delta versions, so that each is read only once for all
//! tables. Delta logs are rolled forward from these manifests and compared with them.

use std::collections::HashMap;
use std::sync::Arc;

use lakewright_common::error::{Error, Result};
use lakewright_common::storage::Storage;

use super::actions::Change;
use crate::lake::manifest::{Manifest, TableState};
use crate::lake::publish::consistent::{self, Consistent, TableVersion};
use crate::lake::{LakePath, manifest_store, url_of};

/// Cache of manifests by version, and of the newest published Delta versions.
pub(in crate::lake::publish) struct History<'a> {
    pub(super) lake: &'a Storage,
    newest: Option<Arc<Manifest>>,
    others: HashMap<u64, Option<Arc<Manifest>>>,
    /// Newest published Delta versions. The outer `None` means that they were not read yet, the
    /// inner one that none were published.
    published: Option<Option<Consistent>>,
}

impl<'a> History<'a> {
    /// Creates a history of the manifests up to `newest`, which is `None` for a lake without a
    /// commit.
    pub(in crate::lake::publish) fn new(lake: &'a Storage, newest: Option<&Manifest>) -> Self {
        Self { lake, newest: newest.cloned().map(Arc::new), others: HashMap::new(), published: None }
    }

    pub(super) fn newest(&self) -> Option<&Arc<Manifest>> {
        self.newest.as_ref()
    }

    /// Returns the newest published Delta version of a table, or `None` if none was published.
    pub(super) async fn published(&mut self, table: &str) -> Result<Option<TableVersion>> {
        if self.published.is_none() {
            self.published = Some(consistent::latest(self.lake).await?);
        }
        Ok(self.published.iter().flatten().find_map(|published| published.tables.get(table).cloned()))
    }

    /// Makes the next [`History::published`] read the published versions again.
    pub(super) fn forget_published(&mut self) {
        self.published = None;
    }

    /// Returns a manifest, even if another process committed it after the history was created.
    /// `None` if it does not exist.
    pub(super) async fn get(&mut self, version: u64) -> Result<Option<Arc<Manifest>>> {
        if let Some(newest) = self.newest.as_ref().filter(|newest| newest.version == version) {
            return Ok(Some(Arc::clone(newest)));
        }
        if let Some(manifest) = self.others.get(&version) {
            return Ok(manifest.clone());
        }
        let manifest = manifest_store::get(self.lake, version).await?.map(Arc::new);
        self.others.insert(version, manifest.clone());
        Ok(manifest)
    }

    /// Returns the changes of a table that are missing from its log, oldest first. `rolled` is the
    /// manifest that the log has reached, or 0 if there is no log.
    ///
    /// Walks back from the newest manifest along `changed_in`. For each missing change it reads
    /// only the manifest that made the change and the parent of that manifest.
    pub(super) async fn changes(&mut self, table: &TableState, rolled: u64) -> Result<Vec<Change>> {
        let mut newest_first: Vec<Change> = Vec::new();
        let mut state = Some(table.clone());
        while let Some(after) = state.take_if(|state| state.changed_in > rolled) {
            let version = after.changed_in;
            let manifest = self.get(version).await?.ok_or_else(|| self.lost(&table.name, version))?;
            newest_first.push(Change::new(&manifest, after));
            // If there is no parent, or the parent was deleted, the history of the table starts
            // here.
            state = match manifest.parent {
                Some(parent) => self.get(parent).await?.and_then(|manifest| manifest.table(&table.name).cloned()),
                None => None,
            };
        }
        // The oldest missing change starts from the content of the log: the state in the manifest
        // that the log has reached. This is also right for a table that was removed from
        // `lake.toml` and added again.
        let mut before = match state {
            Some(state) if state.changed_in == rolled => Some(state),
            _ if rolled == 0 => None,
            _ => {
                let manifest = self.get(rolled).await?.ok_or_else(|| self.lost(&table.name, rolled))?;
                manifest.table(&table.name).cloned()
            }
        };
        // Oldest first: the state before a change is the one after the previous change.
        for change in newest_first.iter_mut().rev() {
            change.before = before.replace(change.after.clone());
        }
        newest_first.reverse();
        Ok(newest_first)
    }

    fn lost(&self, table: &str, version: u64) -> Error {
        let key = LakePath::Manifest(version).key();
        Error::storage_failure(format!(
            "`{}`, which the Delta log of table `{table}` needs, is missing",
            url_of(self.lake, &key)
        ))
        .hint(format!(
            "restore it from a copy of the lake, or make the Delta log equal to the newest version without it: \
                 `coordinator publish --table {table} --overwrite`"
        ))
    }
}
