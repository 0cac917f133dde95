//! Joins a run: registers, reads an object of each storage, and joins with the findings.
//!
//! ```text
//!   register ─► storages, folders, probes ─► read an object of each storage ─► join ─► tasks
//!      ▲                                                                         │ excluded
//!      └──────────────────────────────── 5 s ────────────────────────────────────┘
//! ```

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use lakewright_common::codec::storages::decode_locations;
use lakewright_common::config::resolved::Location;
use lakewright_common::error::{Context, Error, Result};
use lakewright_common::process::systemd;
use lakewright_common::session::Storages;
use lakewright_common::storage::{self, Storage};
use lakewright_proto::MAX_PROBE_BYTES;
use lakewright_proto::v1::{Finding, JoinRequest, Probe, RegisterRequest, RegisterResponse};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use tokio::sync::watch;

use crate::link::{self, Client, Pause, request};
use crate::rules::Rules;

/// Pause before a worker that was excluded from a run registers again.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// Time that one storage has to respond to a probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum time that a task waits until this worker has joined the task's run. The first task of a
/// run may arrive before the response to `Join`.
const JOIN_TIMEOUT: Duration = Duration::from_secs(10);

/// The run that this worker has joined.
#[derive(Debug)]
pub(crate) struct JoinedRun {
    pub(crate) storages: Storages,
    pub(crate) rules: Rules,
}

/// Result of opening a storage, with the error as text.
type Probed<T> = std::result::Result<T, String>;

/// Watch channel with the run that this worker joined last; `None` before the first run.
pub(crate) type JoinedRunSender = watch::Sender<Option<Arc<JoinedRun>>>;

/// Registers and joins; retries until a coordinator accepts this worker. Returns the interval
/// between heartbeats.
///
/// # Errors
/// A configuration error if the coordinator rejects this worker.
pub(crate) async fn register(
    client: &Client,
    identity: &RegisterRequest,
    coordinator: &str,
    joined_run: &JoinedRunSender,
) -> Result<Duration> {
    // The backoff starts again for each registration.
    let mut pause = Pause::new();
    let mut logged = BTreeSet::new();
    loop {
        let response = link::register(client, identity, coordinator).await?;
        // A storage that cannot be opened is a finding and not an error, so that the coordinator
        // can name it.
        let (found, findings) = probe_storages(&response).await?;
        let join = JoinRequest { process: identity.process.clone(), findings };
        match client.clone().join(request(join)).await {
            Ok(joined) => {
                let missing = joined.into_inner().missing;
                if let (true, Some(found)) = (missing.is_empty(), found) {
                    joined_run.send_replace(Some(Arc::new(found)));
                    tracing::info!(coordinator, "connected");
                    systemd::status(&format!("connected to {coordinator}"));
                    return Ok(Duration::from_millis(response.heartbeat_interval_ms));
                }
                for reason in missing {
                    if logged.insert(reason.clone()) {
                        tracing::warn!(
                            coordinator,
                            reason,
                            "excluded from the run: this worker must see the same storages as the coordinator, so mount the same folder here or grant access"
                        );
                    }
                }
                systemd::status(&format!("excluded by {coordinator}: a storage cannot be read"));
                tokio::time::sleep(RETRY_INTERVAL).await;
            }
            // The coordinator may have restarted between the two calls, so register again.
            Err(_) => pause.wait().await,
        }
    }
}

/// Opens the storages of a run and runs the probes. Returns the run and the findings of the probes.
/// If a storage cannot be opened, returns `None` instead of the run.
///
/// # Errors
/// An internal error if the storages cannot be decoded.
async fn probe_storages(response: &RegisterResponse) -> Result<(Option<JoinedRun>, Vec<Finding>)> {
    let unreadable = || Error::internal("cannot decode the storages of a run");
    let locations = decode_locations(response.storages.clone().unwrap_or_default()).context(unreadable)?;
    let (lake, spool) = (open(&locations.lake).await, open(&locations.spool).await);
    let mut sources = Vec::with_capacity(locations.sources.len());
    for (name, location) in &locations.sources {
        sources.push((name.clone(), open(location).await));
    }
    let mut findings = Vec::with_capacity(response.probes.len());
    for probe in &response.probes {
        let storage = match probe.storage.as_str() {
            "lake" => Some(&lake),
            "spool" => Some(&spool),
            other => {
                let name = other.strip_prefix("source:").unwrap_or_default();
                sources.iter().find(|(source, _)| source == name).map(|(_, storage)| storage)
            }
        };
        findings.push(match storage {
            Some(Ok(storage)) => run_probe(storage, probe).await,
            Some(Err(error)) => Finding { error: error.clone(), ..Finding::default() },
            None => Finding { error: format!("`{}` is not a storage of the run", probe.storage), ..Finding::default() },
        });
    }
    let opened = sources.into_iter().map(|(name, storage)| Ok((name, storage?))).collect::<Probed<Vec<_>>>();
    let (Ok(lake), Ok(spool), Ok(sources)) = (lake, spool, opened) else { return Ok((None, findings)) };
    // If both are the same storage, share one client, so that requests are counted once.
    let spool = if locations.spool == locations.lake { lake.clone() } else { spool };
    let rules = Rules {
        run: response.run.clone(),
        sources: sources.iter().map(|(name, _)| name.clone()).collect(),
        readable: response.readable_folders.clone(),
        writable: response.writable_folders.clone(),
        spool_prefix: response.spool_prefix.clone(),
    };
    Ok((Some(JoinedRun { storages: Storages { lake, spool, sources }, rules }), findings))
}

async fn open(location: &Location) -> Probed<Storage> {
    match tokio::time::timeout(PROBE_TIMEOUT, storage::open(location)).await {
        Ok(opened) => opened.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no response within {} s", PROBE_TIMEOUT.as_secs())),
    }
}

/// Tries to read the objects of a probe in order. Returns a finding with the start of the first
/// readable object or, if none is readable, with the reason. A probe without objects only checks
/// that the storage can be opened.
async fn run_probe(storage: &Storage, probe: &Probe) -> Finding {
    let mut finding = Finding::default();
    for (number, key) in (0..).zip(&probe.keys) {
        match tokio::time::timeout(PROBE_TIMEOUT, read_start(storage, key)).await {
            // One readable object is enough, because others may be deleted by now.
            Ok(Ok((bytes, content))) => return Finding { key: number, bytes, content, ..Finding::default() },
            Ok(Err(Some(error))) => finding.error = error,
            Ok(Err(None)) | Err(_) => finding.is_unclear = true,
        }
    }
    finding
}

/// Returns the length and the first bytes of an object.
///
/// # Errors
/// A message if the object does not exist or access is denied; `None` for any other failure, which
/// proves nothing about the storage.
async fn read_start(storage: &Storage, key: &str) -> std::result::Result<(u64, Vec<u8>), Option<String>> {
    let path = Path::parse(key).map_err(|_| None)?;
    let failed = |e| match e {
        object_store::Error::NotFound { .. } => Some(format!("`{}` does not exist", storage.name_of(key))),
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            Some(Error::storage("read", storage.name_of(key), e).to_string())
        }
        // Throttling or a timeout proves nothing about the storage.
        _ => None,
    };
    let bytes = storage.store.head(&path).await.map_err(failed)?.size;
    let end = bytes.min(MAX_PROBE_BYTES as u64);
    let content =
        if end == 0 { vec![] } else { storage.store.get_range(&path, 0..end).await.map_err(failed)?.to_vec() };
    Ok((bytes, content))
}

/// Waits until this worker has joined `run`, and returns the run.
///
/// # Errors
/// A configuration error if the worker has not joined the run in time.
pub(crate) async fn wait_for_run(joined_run: &JoinedRunSender, run: &str) -> Result<Arc<JoinedRun>> {
    let mut changes = joined_run.subscribe();
    let is_of_run = |joined: &Option<Arc<JoinedRun>>| joined.as_ref().is_some_and(|joined| joined.rules.run == run);
    // A worker learns of a new run by its next heartbeat, so a task may arrive first.
    let found = tokio::time::timeout(JOIN_TIMEOUT, changes.wait_for(is_of_run)).await;
    let found = found.ok().and_then(std::result::Result::ok).and_then(|joined| joined.clone());
    found.ok_or_else(|| Error::configuration(format!("rejected a task: this worker has not joined the run `{run}`")))
}
