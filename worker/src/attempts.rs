//! What this process runs at the moment: what beats tell, and what can be stopped.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lakewright_common::read::progress::ReadProgress;
use lakewright_proto::v1::{AttemptProgress, SlotId};
use tokio::sync::watch;
use uuid::Uuid;

/// The attempts under way.
#[derive(Debug, Default)]
pub(crate) struct Attempts(Mutex<HashMap<Uuid, Entry>>);

#[derive(Debug)]
struct Entry {
    slot: SlotId,
    progress: Arc<ReadProgress>,
    stop: watch::Sender<bool>,
}

/// One of them; it is under way until this is dropped.
#[derive(Debug)]
pub(crate) struct Running<'a> {
    attempts: &'a Attempts,
    pub(crate) id: Uuid,
    pub(crate) progress: Arc<ReadProgress>,
    stop: watch::Receiver<bool>,
}

impl Attempts {
    fn entries(&self) -> MutexGuard<'_, HashMap<Uuid, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn start(&self, id: Uuid, slot: SlotId) -> Running<'_> {
        let progress = Arc::new(ReadProgress::default());
        let (stop, stopped) = watch::channel(false);
        self.entries().insert(id, Entry { slot, progress: Arc::clone(&progress), stop });
        Running { attempts: self, id, progress, stop: stopped }
    }

    /// How far each is.
    pub(crate) fn progress(&self) -> Vec<AttemptProgress> {
        self.entries().iter().map(|(id, entry)| describe(*id, &entry.slot, &entry.progress)).collect()
    }

    /// Tells one to stop.
    pub(crate) fn stop(&self, id: Uuid) {
        if let Some(entry) = self.entries().get(&id) {
            let _ = entry.stop.send(true);
        }
    }
}

impl Running<'_> {
    /// Waits until it is told to stop.
    pub(crate) async fn stopped(&self) {
        // The sender lives as long as this.
        let _ = self.stop.clone().wait_for(|is_stopped| *is_stopped).await;
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.attempts.entries().remove(&self.id);
    }
}

/// One attempt as the wire says it.
pub(crate) fn describe(id: Uuid, slot: &SlotId, progress: &ReadProgress) -> AttemptProgress {
    let read = progress.counts();
    AttemptProgress {
        slot: Some(slot.clone()),
        attempt: id.to_string(),
        objects: read.objects,
        records: read.records,
        bytes: read.bytes,
    }
}
