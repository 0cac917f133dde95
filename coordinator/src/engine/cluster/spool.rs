//! The objects of a run's exchanges: where they lie, and how they go away.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
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
    folder: String,
    prefix: String,
}

impl Spool {
    pub(super) fn new(storages: &Storages, run: Uuid) -> Self {
        let folder = format!("{ROOT}/{run}");
        Self { storage: storages.spool.clone(), prefix: format!("{folder}/exchange"), folder }
    }

    /// The beginning of every key.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Deletes all of it. What cannot be deleted now is swept up by a later run.
    pub(super) async fn clear(&self) {
        let folder = Path::from(self.folder.as_str());
        let objects = self.storage.store.list(Some(&folder)).map_ok(|object| object.location).boxed();
        delete(&self.storage, objects.try_collect().await).await;
        self.storage.remove_folder(&self.folder);
    }

    /// Deletes what runs left behind that died long ago.
    pub(super) async fn sweep(&self) {
        // By the storage's clock: this machine's may be ahead, and what another run is reading would look abandoned.
        let Ok(now) = self.storage.clock("_lake").await else { return };
        let is_abandoned = |object: &object_store::ObjectMeta| object.last_modified < now - ABANDONED_AFTER;
        let objects = self
            .storage
            .store
            .list(Some(&Path::from(ROOT)))
            .try_filter(|object| std::future::ready(is_abandoned(object)))
            .map_ok(|object| object.location);
        delete(&self.storage, objects.try_collect().await).await;
    }
}

impl Drop for Spool {
    /// A signal leaves no time for requests; folders go at once, and elsewhere a later run sweeps up.
    fn drop(&mut self) {
        self.storage.remove_folder(&self.folder);
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
