//! The spool of a run: the folder into which workers write the rows of exchanges, as spool objects.
//! This file names the folder, deletes its objects, and writes probe objects into it. Workers read
//! these probe objects to show that they see the storages of the run.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use lakewright_common::error::{Context, Error, Result};
use lakewright_common::process::secret;
use lakewright_common::report::spool_object::SpoolObject;
use lakewright_common::session::Storages;
use lakewright_common::storage::Storage;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use uuid::Uuid;

use super::Exchanged;

/// Folder that contains the spools of all runs.
const ROOT: &str = "_lake/spool";
/// Age above which spool objects of other runs are considered abandoned and are deleted.
const ABANDONED_AFTER: Duration = Duration::from_secs(24 * 3600);

/// The spool of one run: the folder for the rows that its stages exchange.
#[derive(Debug)]
pub(super) struct Spool {
    storage: Storage,
    /// Storage of the lake, for a probe object; `None` if the spool is in the lake.
    lake: Option<Storage>,
    folder: String,
    prefix: String,
}

/// A probe object with random content, which a process can only know if it sees the same storage.
#[derive(Debug, Clone)]
pub(super) struct WrittenProbe {
    /// Name of the storage in plans: `lake` or `spool`.
    pub(super) name: &'static str,
    pub(super) storage: Storage,
    pub(super) key: String,
    pub(super) content: Bytes,
}

impl Spool {
    pub(super) fn new(storages: &Storages, run: Uuid) -> Self {
        let folder = format!("{ROOT}/{run}");
        // A spool in the lake needs no second probe.
        let lake = (storages.lake.location() != storages.spool.location()).then(|| storages.lake.clone());
        Self { storage: storages.spool.clone(), lake, prefix: format!("{folder}/exchange"), folder }
    }

    /// Returns the prefix that the keys of all spool objects of this run have.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Returns the storages that contain a folder of this run.
    fn storages(&self) -> impl Iterator<Item = &Storage> {
        self.lake.iter().chain([&self.storage])
    }

    /// Writes a probe object into the lake, and another one into the spool if the spool is not in
    /// the lake.
    ///
    /// # Errors
    /// A storage error that names the object.
    pub(super) async fn write_probes(&self) -> Result<Vec<WrittenProbe>> {
        let mut probes = Vec::new();
        for storage in self.storages() {
            // If the spool is in the lake, a probe of the lake covers both.
            let name = if probes.is_empty() { "lake" } else { "spool" };
            let key = format!("{}/probe-{}", self.folder, Uuid::now_v7());
            let random = secret::random().context(|| Error::internal("cannot generate a probe"))?;
            let content = Bytes::copy_from_slice(&random);
            let written = storage.store.put(&Path::from(key.as_str()), content.clone().into()).await;
            written.storage_context("write", || storage.name_of(&key))?;
            probes.push(WrittenProbe { name, storage: storage.clone(), key, content });
        }
        Ok(probes)
    }

    /// Deletes all spool and probe objects of the run. A later run deletes what cannot be deleted
    /// now.
    pub(super) async fn clear(&self) {
        let folder = Path::from(self.folder.as_str());
        for storage in self.storages() {
            let objects = storage.store.list(Some(&folder)).map_ok(|object| object.location).boxed();
            delete(storage, objects.try_collect().await).await;
            // Deleting the objects of a local folder leaves empty folders.
            storage.remove_folder(&self.folder);
        }
    }

    /// Deletes the spool objects of runs that died long ago.
    pub(super) async fn sweep(&self) {
        // Ages are measured by the clock of the storage. If the clock of this machine were ahead,
        // objects that another run still reads would look abandoned.
        for storage in self.storages() {
            // Without the storage's time, no age is certain, so delete nothing.
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
    /// Removes the run's folders on disk. Sends no requests to buckets, because there is no time
    /// for them if a signal ends the run. A later run deletes the objects in buckets.
    fn drop(&mut self) {
        self.storages().for_each(|storage| storage.remove_folder(&self.folder));
    }
}

/// Totals of the spool objects that accepted attempts wrote, and of the planned reads of spool
/// objects.
#[derive(Debug, Default)]
pub(super) struct SpoolTotals {
    objects: AtomicU64,
    bytes: AtomicU64,
    reads: AtomicU64,
}

impl SpoolTotals {
    /// Adds spool objects to the totals, except those that were never written because they have no
    /// rows.
    pub(super) fn add(&self, objects: &[SpoolObject]) {
        for object in objects.iter().filter(|object| !object.key.is_empty()) {
            self.objects.fetch_add(1, Ordering::Relaxed);
            self.bytes.fetch_add(object.bytes(), Ordering::Relaxed);
        }
    }

    /// Adds `reads` planned reads to the totals. Each of them reads one byte range of a spool
    /// object.
    pub(super) fn add_reads(&self, reads: usize) {
        self.reads.fetch_add(reads as u64, Ordering::Relaxed);
    }

    /// Returns the totals of a run that ended with `workers` workers.
    pub(super) fn exchanged(&self, workers: usize) -> Exchanged {
        let objects = self.objects.load(Ordering::Relaxed);
        Exchanged {
            workers,
            objects,
            bytes: self.bytes.load(Ordering::Relaxed),
            // Each object is written by one request.
            requests: objects + self.reads.load(Ordering::Relaxed),
        }
    }
}

async fn delete(storage: &Storage, keys: object_store::Result<Vec<Path>>) {
    let keys = match keys {
        Ok(keys) => keys,
        Err(error) => {
            tracing::warn!(%error, "cannot list spool objects; a later run deletes them");
            return;
        }
    };
    let deletions = keys.into_iter().map(|key| async move {
        match storage.store.delete(&key).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => true,
            // A role may be set up without the right to delete.
            Err(object_store::Error::PermissionDenied { .. }) => false,
            Err(error) => {
                tracing::warn!(%key, %error, "cannot delete a spool object; a later run deletes it");
                true
            }
        }
    });
    let allowed: Vec<bool> = futures::stream::iter(deletions).buffer_unordered(16).collect().await;
    let left = allowed.iter().filter(|is_allowed| !**is_allowed).count();
    if left > 0 {
        tracing::info!(
            objects = left,
            "no permission to delete spool objects; a lifecycle rule or `vacuum` deletes them"
        );
    }
}
