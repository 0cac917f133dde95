//! Checks that a worker sees the storages of a run before it may join.
//!
//! A worker that cannot see the lake, the spool or a source would fail every task that reads it,
//! and each failure would look like missing data. So the coordinator answers the first call of a
//! worker (register) with probes: objects to read in each storage. In the second call (join), the
//! worker sends what it found, and the coordinator compares these findings with what it sees
//! itself. A worker that does not see one of the storages is excluded, and the other workers
//! execute the run.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lakewright_common::codec::storages::encode_locations;
use lakewright_common::config::resolved::Config;
use lakewright_common::session::Storages;
use lakewright_common::storage::Storage;
use lakewright_common::storage::object::SourceObject;
use lakewright_proto::v1::{self, Finding, Probe, RegisterResponse};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use tokio::sync::watch;
use uuid::Uuid;

use super::spool::WrittenProbe;
use crate::lake::LakePath;

/// Maximum number of objects of a source that a probe lists. A worker that sees one of them may
/// join, because the others may be deleted in the meantime.
const OBJECTS_OF_A_SOURCE: usize = 3;

/// Storages that workers must see; `None` until the sources are listed.
type ExpectedObjects = Option<Arc<[Expected]>>;
/// Sender of the list of storages that workers must see.
pub(super) type ExpectedSender = watch::Sender<ExpectedObjects>;

/// Describes one run to workers.
#[derive(Debug)]
pub(super) struct Registration {
    run: Uuid,
    heartbeat_interval: Duration,
    storages: v1::Storages,
    /// Folders of the lake that plans read and write.
    folders: Folders,
    spool_prefix: String,
    /// Storages that workers must see; `None` until the sources are listed.
    expected: watch::Receiver<ExpectedObjects>,
}

/// Folders of the lake that the plans of a run read and write.
#[derive(Debug, Clone, Default)]
pub(in crate::engine) struct Folders {
    readable: Vec<String>,
    writable: Vec<String>,
}

impl Folders {
    /// Returns the folders of all sources and tables of a configuration.
    pub(in crate::engine) fn of(config: &Config) -> Self {
        let key = |place: LakePath<'_>| place.key().to_string();
        let staging = config.sources.iter().map(|source| key(LakePath::Staging(&source.name)));
        let quarantine = config.sources.iter().map(|source| key(LakePath::Quarantine(&source.name)));
        let tables: Vec<String> = config.tables.iter().map(|table| key(LakePath::Table(&table.name))).collect();
        let readable: Vec<String> = staging.chain(tables).collect();
        let writable = readable.iter().cloned().chain(quarantine).collect();
        Self { readable, writable }
    }
}

/// A storage that workers must see, with objects to find in it.
#[derive(Debug)]
pub(in crate::engine) struct Expected {
    /// Name of the storage: `lake`, `spool` or `source:<name>`.
    name: String,
    storage: Storage,
    objects: Vec<Object>,
}

/// An object that the coordinator sees.
#[derive(Debug)]
struct Object {
    key: String,
    bytes: u64,
    /// Content of a probe object; `None` for an object of a source.
    content: Option<Bytes>,
}

impl Expected {
    /// Requires workers to see `probe`, an object that the coordinator has written.
    pub(super) fn written(probe: WrittenProbe) -> Self {
        let object = Object { key: probe.key, bytes: probe.content.len() as u64, content: Some(probe.content) };
        Self { name: probe.name.to_owned(), storage: probe.storage, objects: vec![object] }
    }

    /// Requires workers to see a source. `objects` are the objects that the run reads from the
    /// source. A few of them are picked, and a worker must see at least one of these. If `objects`
    /// is empty, the source's folder or bucket only has to exist. Returns `None` if the run has no
    /// source of this name.
    pub(in crate::engine) fn listed(storages: &Storages, source: &str, objects: &[SourceObject]) -> Option<Self> {
        let storage = storages.source(source)?.clone();
        // Pick objects spread over the whole listing.
        let step = (objects.len() / OBJECTS_OF_A_SOURCE).max(1);
        // Skip keys that `object_store` would normalize, such as `a//b`: probes are read with
        // `object_store`, which cannot read such a key.
        let is_plain = |object: &&SourceObject| Path::parse(&object.key).is_ok_and(|path| path.as_ref() == object.key);
        let picked = objects.iter().step_by(step).filter(is_plain).take(OBJECTS_OF_A_SOURCE);
        let object = |object: &SourceObject| Object { key: object.key.clone(), bytes: object.bytes, content: None };
        Some(Self { name: format!("source:{source}"), storage, objects: picked.map(object).collect() })
    }

    fn probe(&self) -> Probe {
        Probe { storage: self.name.clone(), keys: self.objects.iter().map(|object| object.key.clone()).collect() }
    }

    /// Returns why the worker that sent this finding does not see the storage, as a clause such as
    /// "cannot read the lake at `/lake/`". Returns `None` if the worker sees the storage, or if the
    /// finding is inconclusive.
    async fn missing(&self, finding: &Finding) -> Option<String> {
        let place = self.storage.name_of("");
        let source = self.name.strip_prefix("source:");
        let what = match source {
            Some(source) => format!("source `{source}` at `{place}`"),
            None => format!("the {} at `{place}`", self.name),
        };
        let is_error = !finding.error.is_empty();
        if !is_error && (self.objects.is_empty() || (finding.is_unclear && source.is_some())) {
            // The worker opened the storage, and nothing shows that it is another one. If reading
            // the source fails later, the task that reads it reports that.
            return None;
        }
        // The worker sends the index of the object that it found, which may be out of range.
        let found = usize::try_from(finding.key).ok().and_then(|i| self.objects.get(i));
        let is_same = found.is_some_and(|object| {
            object.bytes == finding.bytes && object.content.as_ref().is_none_or(|content| *content == finding.content)
        });
        if !is_error && !finding.is_unclear && is_same {
            return None;
        }
        // If the objects have changed for the coordinator too, the finding says nothing about the
        // worker.
        if source.is_some() && !self.objects.is_empty() && !self.is_unchanged().await {
            return None;
        }
        Some(match (is_error, finding.is_unclear) {
            (true, _) => format!("does not see {what}: {}", finding.error),
            (false, true) => format!("cannot read {what}"),
            (false, false) => format!("sees another folder than the coordinator as {what}"),
        })
    }

    /// Returns whether the coordinator itself still sees at least one of the objects with its
    /// listed size.
    async fn is_unchanged(&self) -> bool {
        for object in &self.objects {
            let Ok(key) = Path::parse(&object.key) else { continue };
            if self.storage.store.head(&key).await.is_ok_and(|meta| meta.size == object.bytes) {
                return true;
            }
        }
        false
    }
}

impl Registration {
    /// Creates the registration, and the sender of the list of storages that workers must see.
    pub(super) fn new(
        run: Uuid,
        heartbeat_interval: Duration,
        storages: &Storages,
        folders: Folders,
        spool_prefix: &str,
    ) -> (Self, ExpectedSender) {
        let storages = encode_locations(&storages.locations());
        let (sender, expected) = watch::channel(None);
        let spool_prefix = spool_prefix.to_owned();
        (Self { run, heartbeat_interval, storages, folders, spool_prefix, expected }, sender)
    }

    pub(super) fn run(&self) -> Uuid {
        self.run
    }

    /// Waits until the sources are listed, and returns the response to a `Register` call. Returns
    /// `None` if the run ends first.
    pub(super) async fn register(&self) -> Option<RegisterResponse> {
        let mut expected = self.expected.clone();
        let expected = expected.wait_for(Option::is_some).await.ok()?.clone()?;
        Some(RegisterResponse {
            heartbeat_interval_ms: u64::try_from(self.heartbeat_interval.as_millis()).unwrap_or(u64::MAX),
            run: self.run.to_string(),
            storages: Some(self.storages.clone()),
            readable_folders: self.folders.readable.clone(),
            writable_folders: self.folders.writable.clone(),
            spool_prefix: self.spool_prefix.clone(),
            probes: expected.iter().map(Expected::probe).collect(),
        })
    }

    /// Returns why the worker that sent these findings may not join: one clause per reason, such as
    /// "cannot read the lake at `/lake/`", to be printed after the worker's name. Empty if the
    /// worker may join.
    pub(super) async fn missing(&self, findings: &[Finding]) -> Vec<String> {
        let Some(expected) = self.expected.borrow().clone() else {
            return vec!["joined before the sources were listed".to_owned()];
        };
        if findings.len() != expected.len() {
            return vec![format!("answered {} of {} probes", findings.len(), expected.len())];
        }
        let mut missing = Vec::new();
        for (expected, finding) in expected.iter().zip(findings) {
            missing.extend(expected.missing(finding).await);
        }
        missing
    }
}

#[cfg(test)]
mod tests {
    use lakewright_common::config::resolved::Location;
    use object_store::memory::InMemory;

    use super::*;

    fn storage() -> Storage {
        Storage::new(Arc::new(InMemory::new()), Location::of("file:///place/".parse().unwrap()))
    }

    fn object(key: &str, bytes: u64, content: Option<&'static [u8]>) -> Object {
        Object { key: key.to_owned(), bytes, content: content.map(Bytes::from_static) }
    }

    #[tokio::test]
    async fn a_finding_shows_that_a_storage_is_the_same_or_says_what_is_not() {
        let objects = vec![object("p", 3, Some(b"abc"))];
        let lake = Expected { name: "lake".to_owned(), storage: storage(), objects };
        let objects = vec![object("a", 10, None), object("b", 20, None)];
        let source = Expected { name: "source:songs".to_owned(), storage: storage(), objects };
        source.storage.store.put(&Path::from("b"), vec![0; 20].into()).await.unwrap();
        let found = |key, bytes, content: &str| Finding { key, bytes, content: content.into(), ..Finding::default() };
        let error = Finding { error: "not there".to_owned(), ..Finding::default() };
        let unclear = Finding { is_unclear: true, ..Finding::default() };
        assert_eq!(lake.missing(&found(0, 3, "abc")).await, None);
        assert_eq!(source.missing(&found(1, 20, "xyz")).await, None);
        assert_eq!(source.missing(&unclear).await, None);
        for (expected, finding, text) in [
            (&lake, &found(0, 3, "abd"), "sees another folder than the coordinator as the lake at `/place/`"),
            (&lake, &found(1, 3, "abc"), "sees another folder"),
            (&lake, &Finding::default(), "sees another folder"),
            (&lake, &unclear, "cannot read the lake"),
            (&source, &found(0, 20, ""), "sees another folder"),
            (&source, &error, "does not see source `songs` at `/place/`: not there"),
        ] {
            let missing = expected.missing(finding).await.unwrap();
            assert!(missing.contains(text), "`{text}` is not in: {missing}");
        }
        // If the object is gone for the coordinator too, the worker is not at fault.
        source.storage.store.delete(&Path::from("b")).await.unwrap();
        assert_eq!(source.missing(&error).await, None);
        // A missing folder is detected even if there is nothing to read in it.
        let empty = Expected { name: "source:songs".to_owned(), storage: storage(), objects: vec![] };
        assert_eq!(empty.missing(&Finding::default()).await, None);
        assert!(empty.missing(&error).await.is_some());
    }
}
