//! Runs the worker from its first registration to its last heartbeat.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use lakewright_common::error::{Error, Result};
use lakewright_common::process::systemd;
use lakewright_common::session::Resources;
use lakewright_proto::v1::{HeartbeatRequest, RegisterRequest, WatchWorkRequest};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinError;
use tonic::Code;
use uuid::Uuid;

use crate::ballista;
use crate::cli::Cli;
use crate::link::{self, Client, Pause};
use crate::registration::register;
use crate::running_tasks::RunningAttempts;
use crate::task::WorkerContext;

/// Time limit for the last heartbeat, which a worker sends before it exits.
const LAST_HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(1);

/// Runs tasks until a signal arrives or the coordinator rejects this worker. Returns the exit code.
///
/// # Errors
/// A configuration error for options that cannot be used, and for a coordinator of another version.
pub(crate) async fn run(cli: Cli) -> Result<ExitCode> {
    // Check this first, so that no connection is made with unsafe options.
    cli.check_exposure()?;
    let mut signals = Signals::listen()?;
    let (vcores, memory_bytes) = (cli.vcores(), cli.memory_bytes());
    let process = Uuid::now_v7();
    let link = link::link(&cli, process)?;
    // Whether this process is draining: it finishes its running tasks and takes no new ones.
    // Heartbeats and retries read this flag.
    let (draining, is_draining) = watch::channel(false);
    let worker = Arc::new(WorkerContext {
        process,
        client: link::client(link.clone()),
        attempts: RunningAttempts::default(),
        resources: Resources::new(memory_bytes, vcores, cli.scratch())?,
        memory_bytes,
        vcores,
        is_draining: is_draining.clone(),
        joined_run: watch::Sender::new(None),
    });
    let identity = RegisterRequest {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        worker: cli.name(),
        process: worker.process.to_string(),
        vcores: u32::try_from(vcores).unwrap_or(u32::MAX),
    };
    tracing::info!(worker = identity.worker, vcores, memory_bytes, coordinator = cli.coordinator, "starting");
    systemd::ready();
    let interval = tokio::select! {
        interval = register(&worker.client, &identity, &cli.coordinator, &worker.joined_run) => interval?,
        () = signals.next() => return Ok(ExitCode::SUCCESS),
    };

    // One permit per vcore, shared with the poll loop.
    let free = Arc::new(Semaphore::new(vcores));
    let wake = Arc::new(Notify::new());
    let mut polling =
        tokio::spawn(ballista::poll(link, Arc::clone(&worker), vcores, Arc::clone(&free), Arc::clone(&wake)));
    let waking = tokio::spawn(watch_work(worker.client.clone(), wake));
    let heartbeats = heartbeat(&worker, &identity, &cli.coordinator, interval, &free, is_draining);
    tokio::pin!(heartbeats);
    // Run until a signal. Heartbeats continue while the worker drains.
    tokio::select! {
        rejected = &mut heartbeats => return Err(rejected),
        // The poll loop never ends by itself, so this is a bug.
        ended = &mut polling => return Err(stopped_polling(ended)),
        () = signals.next() => {}
    }

    tracing::info!(running = worker.attempts.count(), "draining: no new tasks");
    systemd::stopping();
    let _ = draining.send(true);
    let all = u32::try_from(vcores).unwrap_or(u32::MAX);
    let code = tokio::select! {
        rejected = &mut heartbeats => return Err(rejected),
        ended = &mut polling => return Err(stopped_polling(ended)),
        // Hold all permits, so that the poll loop takes no new task.
        drained = tokio::time::timeout(cli.grace, free.acquire_many(all)) => match drained {
            Ok(_) => ExitCode::SUCCESS,
            Err(_) => {
                tracing::warn!(running = worker.attempts.count(), "the grace period is over; stopping running tasks");
                ExitCode::FAILURE
            }
        },
        // Exit at once on a second signal.
        () = signals.next() => ExitCode::FAILURE,
    };
    // All permits are held, or the tasks are abandoned, so no task is taken from here on.
    polling.abort();
    waking.abort();
    // Report that this worker exits. Otherwise the coordinator would wait until it considers the
    // worker lost.
    let last_heartbeat = HeartbeatRequest {
        process: identity.process.clone(),
        free_vcores: 0,
        is_draining: true,
        attempts: vec![],
        requests: worker.requests(),
    };
    // A failure does not matter: the coordinator will notice that heartbeats stop.
    let _ = tokio::time::timeout(LAST_HEARTBEAT_TIMEOUT, worker.client.clone().heartbeat(last_heartbeat)).await;
    // Queries of abandoned tasks may still use the scratch folder, so remove it explicitly.
    worker.resources.remove_scratch();
    Ok(code)
}

/// Returns the error with which a worker exits after its poll loop has ended. The worker must not
/// continue to send heartbeats, because the coordinator would consider its vcores free.
fn stopped_polling(ended: std::result::Result<(), JoinError>) -> Error {
    let error = Error::internal("the poll loop stopped, so this worker exits; its tasks will run elsewhere");
    match ended {
        Ok(()) => error,
        Err(panic) => error.caused_by(panic),
    }
}

/// Sends heartbeats until the coordinator rejects this worker, and returns the reason.
async fn heartbeat(
    worker: &WorkerContext,
    identity: &RegisterRequest,
    coordinator: &str,
    mut interval: Duration,
    free: &Semaphore,
    is_draining: watch::Receiver<bool>,
) -> Error {
    let mut is_connected = true;
    loop {
        let message = HeartbeatRequest {
            process: identity.process.clone(),
            free_vcores: u32::try_from(free.available_permits()).unwrap_or(u32::MAX),
            is_draining: *is_draining.borrow(),
            attempts: worker.attempts.progress(),
            requests: worker.requests(),
        };
        match worker.client.clone().heartbeat(link::request(message)).await {
            Ok(answer) => {
                if !is_connected {
                    // Logged once per outage, and not per heartbeat.
                    tracing::info!(coordinator, "the coordinator responds again");
                    systemd::status(&format!("connected to {coordinator}"));
                    is_connected = true;
                }
                for attempt in answer.into_inner().cancel.iter().filter_map(|id| Uuid::parse_str(id).ok()) {
                    worker.attempts.cancel(attempt);
                }
            }
            Err(status) if status.code() == Code::NotFound => {
                // The coordinator does not know this process, because it runs a new run or has
                // restarted.
                match register(&worker.client, identity, coordinator, &worker.joined_run).await {
                    Ok(new_interval) => interval = new_interval,
                    Err(rejected) => return rejected,
                }
                is_connected = true;
                // Send a heartbeat at once: the coordinator has not seen the running attempts yet.
                continue;
            }
            Err(status) => {
                if is_connected {
                    let reason = link::describe(&status);
                    tracing::info!(coordinator, reason, "the coordinator does not respond; retrying");
                    systemd::status(&format!("no coordinator responds at {coordinator}; retrying"));
                    is_connected = false;
                }
            }
        }
        tokio::time::sleep(interval).await;
    }
}

/// Wakes the poll loop whenever the coordinator reports that there may be work.
async fn watch_work(client: Client, wake: Arc<Notify>) {
    let mut pause = Pause::new();
    loop {
        if let Ok(answer) = client.clone().watch_work(WatchWorkRequest {}).await {
            // Work may have been queued while no stream was open.
            wake.notify_one();
            let mut messages = answer.into_inner();
            while let Ok(Some(_)) = messages.message().await {
                pause = Pause::new();
                wake.notify_one();
            }
        }
        // The stream has ended, for example because no coordinator is running.
        pause.wait().await;
    }
}

/// Signals that end a worker.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> Result<Self> {
        let failed = |e| Error::internal("cannot listen for signals").caused_by(e);
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
