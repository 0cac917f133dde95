//! The manifests that Delta logs are rolled forward from and compared with, each read once however many tables ask.

use std::collections::HashMap;
use std::sync::Arc;

use lakewright_common::error::{Error, Result};
use lakewright_common::storage::Storage;

use super::actions::Change;
use crate::lake::manifest::{Manifest, TableState};
use crate::lake::{LakePath, store, url_of};

/// Manifests by version, up to the newest that was known when this was made.
pub(crate) struct History<'a> {
    pub(crate) lake: &'a Storage,
    newest: Option<Arc<Manifest>>,
    others: HashMap<u64, Option<Arc<Manifest>>>,
}

impl<'a> History<'a> {
    /// The manifests up to `newest`; `None` for a lake without a commit.
    pub(crate) fn new(lake: &'a Storage, newest: Option<&Manifest>) -> Self {
        Self { lake, newest: newest.cloned().map(Arc::new), others: HashMap::new() }
    }

    pub(crate) fn newest(&self) -> Option<&Arc<Manifest>> {
        self.newest.as_ref()
    }

    /// One manifest; also one that another process committed since this was made. `None` where there is none.
    pub(crate) async fn get(&mut self, version: u64) -> Result<Option<Arc<Manifest>>> {
        if let Some(newest) = self.newest.as_ref().filter(|newest| newest.version == version) {
            return Ok(Some(Arc::clone(newest)));
        }
        if let Some(manifest) = self.others.get(&version) {
            return Ok(manifest.clone());
        }
        let manifest = store::get(self.lake, version).await?.map(Arc::new);
        self.others.insert(version, manifest.clone());
        Ok(manifest)
    }

    /// What changed in a table after the manifest `rolled` (0: nothing was rolled) up to the newest, oldest first.
    ///
    /// Goes back from the newest manifest by each state's `changed_in`, so it reads as many manifests as there are
    /// changes missing, however many left the table alone.
    pub(crate) async fn changes(&mut self, table: &TableState, rolled: u64) -> Result<Vec<Change>> {
        let mut newest_first: Vec<Change> = Vec::new();
        let mut state = Some(table.clone());
        while let Some(after) = state.take_if(|state| state.changed_in > rolled) {
            let version = after.changed_in;
            let manifest = self.get(version).await?.ok_or_else(|| self.lost(&table.name, version))?;
            newest_first.push(Change::new(&manifest, after));
            // Without a parent, or with one that was cleaned up, the table begins here.
            state = match manifest.parent {
                Some(parent) => self.get(parent).await?.and_then(|manifest| manifest.table(&table.name).cloned()),
                None => None,
            };
        }
        // The oldest missing change starts from what the log holds: the state of the manifest that it was rolled to,
        // also where the table left `lake.toml` since and came back.
        let mut before = match state {
            Some(state) if state.changed_in == rolled => Some(state),
            _ if rolled == 0 => None,
            _ => {
                let manifest = self.get(rolled).await?.ok_or_else(|| self.lost(&table.name, rolled))?;
                manifest.table(&table.name).cloned()
            }
        };
        for change in newest_first.iter_mut().rev() {
            change.before = before.replace(change.after.clone());
        }
        newest_first.reverse();
        Ok(newest_first)
    }

    fn lost(&self, table: &str, version: u64) -> Error {
        let key = LakePath::Manifest(version).key();
        Error::storage_failure(format!("`{}`, to which table `{table}` refers, is gone", url_of(self.lake, &key))).hint(
            format!(
                "restore it from a copy of the lake, or make the Delta log equal to the newest version without it: \
                 `coordinator publish --table {table} --overwrite`"
            ),
        )
    }
}
