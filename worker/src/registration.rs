//! Registration with a run: register, a look at each of its storages, join.
//!
//! ```text
//!   register ─► storages, folders, probes ─► read an object of each storage ─► join ─► tasks
//!                                             └── one cannot be read: again in a while
//! ```

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use lakewright_common::config::resolved::Location;
use lakewright_common::error::{Context, Error, Result};
use lakewright_common::process::systemd;
use lakewright_common::session::{Locations, Storages};
use lakewright_common::storage::{self, Storage};
use lakewright_proto::MAX_PROBE_BYTES;
use lakewright_proto::v1::{Finding, JoinRequest, Probe, RegisterRequest, RegisterResponse};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use tokio::sync::watch;

use crate::link::{self, Client, Pause, request};
use crate::rules::Rules;

/// Pause before the storages are looked at again, if one of them could not be seen.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Time that one storage has to answer.
const PROBE_TIMEOUT: Duration = Duration::from_secs(30);
/// Time that a task of a new run waits for the registration, which may be answered a little later.
const TASK_PATIENCE: Duration = Duration::from_secs(10);

/// The run for which this worker is registered.
#[derive(Debug)]
pub(crate) struct Registered {
    pub(crate) storages: Storages,
    pub(crate) rules: Rules,
}

/// What came of a look, or why nothing did.
type Answer<T> = std::result::Result<T, String>;

/// Where the registration is kept; `None` before the first one.
pub(crate) type Registration = watch::Sender<Option<Arc<Registered>>>;

/// Registers this worker; keeps trying until a coordinator accepts it. Returns the interval between heartbeats.
///
/// # Errors
/// Configuration, if the coordinator refuses this worker.
pub(crate) async fn register(
    client: &Client,
    identity: &RegisterRequest,
    coordinator: &str,
    registration: &Registration,
) -> Result<Duration> {
    let mut pause = Pause::new();
    let mut told = BTreeSet::new();
    loop {
        let answer = link::register(client, identity, coordinator).await?;
        let (found, findings) = look(&answer).await?;
        let join = JoinRequest { process: identity.process.clone(), findings };
        match client.clone().join(request(join)).await {
            Ok(joined) => {
                let missing = joined.into_inner().missing;
                if let (true, Some(found)) = (missing.is_empty(), found) {
                    registration.send_replace(Some(Arc::new(found)));
                    tracing::info!(coordinator, "connected");
                    systemd::status(&format!("connected to {coordinator}"));
                    return Ok(Duration::from_millis(answer.heartbeat_interval_ms));
                }
                for reason in missing {
                    if told.insert(reason.clone()) {
                        tracing::warn!(
                            coordinator,
                            reason,
                            "left out of the run: this worker must see what the coordinator sees, so mount the same folder here, or allow access"
                        );
                    }
                }
                systemd::status(&format!("left out by {coordinator}: a storage cannot be seen"));
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            Err(_) => pause.wait().await,
        }
    }
}

/// Opens the storages and looks for the probes; without the storages if one of them cannot be used.
async fn look(answer: &RegisterResponse) -> Result<(Option<Registered>, Vec<Finding>)> {
    let locations: Locations =
        serde_json::from_slice(&answer.storages).context(|| Error::internal("the storages of a run cannot be read"))?;
    let (lake, spool) = (open(&locations.lake).await, open(&locations.spool).await);
    let mut sources = Vec::with_capacity(locations.sources.len());
    for (name, location) in &locations.sources {
        sources.push((name.clone(), open(location).await));
    }
    let mut findings = Vec::with_capacity(answer.probes.len());
    for probe in &answer.probes {
        let storage = match probe.storage.as_str() {
            "lake" => Some(&lake),
            "spool" => Some(&spool),
            other => {
                let name = other.strip_prefix("source:").unwrap_or_default();
                sources.iter().find(|(source, _)| source == name).map(|(_, storage)| storage)
            }
        };
        findings.push(match storage {
            Some(Ok(storage)) => find(storage, probe).await,
            Some(Err(error)) => Finding { error: error.clone(), ..Finding::default() },
            None => Finding { error: format!("`{}` is not a storage of the run", probe.storage), ..Finding::default() },
        });
    }
    let opened = sources.into_iter().map(|(name, storage)| Ok((name, storage?))).collect::<Answer<Vec<_>>>();
    let (Ok(lake), Ok(spool), Ok(sources)) = (lake, spool, opened) else { return Ok((None, findings)) };
    // One bucket with one count of its requests.
    let spool = if locations.spool == locations.lake { lake.clone() } else { spool };
    let rules = Rules {
        run: answer.run.clone(),
        sources: sources.iter().map(|(name, _)| name.clone()).collect(),
        readable: answer.readable_folders.clone(),
        writable: answer.writable_folders.clone(),
        spool_prefix: answer.spool_prefix.clone(),
    };
    Ok((Some(Registered { storages: Storages { lake, spool, sources }, rules }), findings))
}

async fn open(location: &Location) -> Answer<Storage> {
    match tokio::time::timeout(PROBE_TIMEOUT, storage::open(location)).await {
        Ok(opened) => opened.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} s", PROBE_TIMEOUT.as_secs())),
    }
}

/// The first of a probe's objects that can be read; a probe without objects asks for the storage alone.
async fn find(storage: &Storage, probe: &Probe) -> Finding {
    let mut finding = Finding::default();
    for (number, key) in (0..).zip(&probe.keys) {
        match tokio::time::timeout(PROBE_TIMEOUT, start_of(storage, key)).await {
            Ok(Ok((bytes, content))) => return Finding { key: number, bytes, content, ..Finding::default() },
            Ok(Err(Some(error))) => finding.error = error,
            Ok(Err(None)) | Err(_) => finding.is_unclear = true,
        }
    }
    finding
}

/// Length and first bytes of an object; or why it is not there or may not be read, if that is what failed.
async fn start_of(storage: &Storage, key: &str) -> std::result::Result<(u64, Vec<u8>), Option<String>> {
    let path = Path::parse(key).map_err(|_| None)?;
    let failed = |e| match e {
        object_store::Error::NotFound { .. } => Some(format!("`{}` is not there", storage.name_of(key))),
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            Some(Error::storage("read", storage.name_of(key), e).to_string())
        }
        _ => None,
    };
    let bytes = storage.store.head(&path).await.map_err(failed)?.size;
    let end = bytes.min(MAX_PROBE_BYTES as u64);
    let content =
        if end == 0 { vec![] } else { storage.store.get_range(&path, 0..end).await.map_err(failed)?.to_vec() };
    Ok((bytes, content))
}

/// Returns the registration for `run`; waits a little for one that is being made.
///
/// # Errors
/// Configuration, if the worker is registered for another run.
pub(crate) async fn of_run(registration: &Registration, run: &str) -> Result<Arc<Registered>> {
    let mut changes = registration.subscribe();
    let is_of_run = |registered: &Option<Arc<Registered>>| {
        registered.as_ref().is_some_and(|registered| registered.rules.run == run)
    };
    let found = tokio::time::timeout(TASK_PATIENCE, changes.wait_for(is_of_run)).await;
    let found = found.ok().and_then(std::result::Result::ok).and_then(|registered| registered.clone());
    found.ok_or_else(|| {
        Error::configuration(format!("a task was refused: this worker is not registered for the run `{run}`"))
    })
}
