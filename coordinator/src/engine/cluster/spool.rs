//! The objects of a run's exchanges, and the probes by which workers show that they see the run's storages: where they
//! are, and how they are deleted.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use lakewright_common::error::{Context, Error, Result};
use lakewright_common::process::secret;
use lakewright_common::session::Storages;
use lakewright_common::storage::Storage;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use uuid::Uuid;

/// Where in its storage every run spools.
const ROOT: &str = "_lake/spool";
/// After this long nobody reads what a run spooled.
const ABANDONED_AFTER: Duration = Duration::from_secs(24 * 3600);

/// The spool of one run.
#[derive(Debug)]
pub(super) struct Spool {
    storage: Storage,
    /// The lake, if it is not the spool's storage; only a probe is written there.
    lake: Option<Storage>,
    folder: String,
    prefix: String,
}

/// An object with random content, which only a process that sees the same storage can know.
#[derive(Debug, Clone)]
pub(super) struct WrittenProbe {
    /// `lake` or `spool`, as plans name it.
    pub(super) name: &'static str,
    pub(super) storage: Storage,
    pub(super) key: String,
    pub(super) content: Bytes,
}

impl Spool {
    pub(super) fn new(storages: &Storages, run: Uuid) -> Self {
        let folder = format!("{ROOT}/{run}");
        let lake = (storages.lake.location() != storages.spool.location()).then(|| storages.lake.clone());
        Self { storage: storages.spool.clone(), lake, prefix: format!("{folder}/exchange"), folder }
    }

    /// The beginning of every key.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Returns the storages in which the run has a folder.
    fn storages(&self) -> impl Iterator<Item = &Storage> {
        self.lake.iter().chain([&self.storage])
    }

    /// Writes a probe into each storage that workers write to.
    ///
    /// # Errors
    /// Storage, naming the object.
    pub(super) async fn write_probes(&self) -> Result<Vec<WrittenProbe>> {
        let mut probes = Vec::new();
        for storage in self.storages() {
            // A spool that is the lake is probed as the lake.
            let name = if probes.is_empty() { "lake" } else { "spool" };
            let key = format!("{}/probe-{}", self.folder, Uuid::now_v7());
            let random = secret::random().context(|| Error::internal("a probe cannot be made"))?;
            let content = Bytes::copy_from_slice(&random);
            let written = storage.store.put(&Path::from(key.as_str()), content.clone().into()).await;
            written.storage_context("write", || storage.name_of(&key))?;
            probes.push(WrittenProbe { name, storage: storage.clone(), key, content });
        }
        Ok(probes)
    }

    /// Deletes all of it. What cannot be deleted now is swept up by a later run.
    pub(super) async fn clear(&self) {
        let folder = Path::from(self.folder.as_str());
        for storage in self.storages() {
            let objects = storage.store.list(Some(&folder)).map_ok(|object| object.location).boxed();
            delete(storage, objects.try_collect().await).await;
            storage.remove_folder(&self.folder);
        }
    }

    /// Deletes what runs left behind that died long ago.
    pub(super) async fn sweep(&self) {
        // By the storage's clock: this machine's may be ahead, and what another run is reading would look abandoned.
        for storage in self.storages() {
            let Ok(now) = storage.clock("_lake").await else { continue };
            let is_abandoned = |object: &object_store::ObjectMeta| object.last_modified < now - ABANDONED_AFTER;
            let objects = storage
                .store
                .list(Some(&Path::from(ROOT)))
                .try_filter(|object| std::future::ready(is_abandoned(object)))
                .map_ok(|object| object.location);
            delete(storage, objects.try_collect().await).await;
        }
    }
}

impl Drop for Spool {
    /// A signal leaves no time for requests; folders go at once, and elsewhere a later run sweeps up.
    fn drop(&mut self) {
        self.storages().for_each(|storage| storage.remove_folder(&self.folder));
    }
}

async fn delete(storage: &Storage, keys: object_store::Result<Vec<Path>>) {
    let keys = match keys {
        Ok(keys) => keys,
        Err(error) => {
            tracing::warn!(%error, "what exchanges left cannot be listed; a later run sweeps it up");
            return;
        }
    };
    let deletions = keys.into_iter().map(|key| async move {
        match storage.store.delete(&key).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => true,
            // As a role is set up that may delete nothing.
            Err(object_store::Error::PermissionDenied { .. }) => false,
            Err(error) => {
                tracing::warn!(%key, %error, "an exchange's object is left behind; a later run sweeps it up");
                true
            }
        }
    });
    let allowed: Vec<bool> = futures::stream::iter(deletions).buffer_unordered(16).collect().await;
    let left = allowed.iter().filter(|is_allowed| !**is_allowed).count();
    if left > 0 {
        tracing::info!(objects = left, "may not delete what exchanges left; a lifecycle rule or `vacuum` does it");
    }
}
