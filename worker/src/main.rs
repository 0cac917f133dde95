//! Runs tasks of a coordinator. A worker opens connections and listens on no port.
//!
//! ```text
//!                       ┌─ poll loop (`ballista`) ─► attempt of a task (`task`) ─► report ─┐
//!   coordinator ◄─ link ┤                                                                  ├─► coordinator
//!                       └─ heartbeats (`agent`): progress of attempts ◄─► what to cancel ──┘
//! ```
//!
//! Start reading at `agent.rs`, then follow `task.rs`.

/// Parses the command line.
mod cli;
/// Runs the worker from its first registration to its last heartbeat.
mod agent;
/// Connects without TLS.
mod connection;
/// Calls the coordinator.
mod link;
/// Registers with a run, proves access to its storages, and joins it.
mod registration;
/// Restricts plans to the storages of the run.
mod rules;
/// Runs Ballista's poll loop.
mod ballista;
/// Runs one attempt of a task, from its start to its report.
mod task;
/// Keeps the running attempts: their progress, and a way to cancel them.
mod running_tasks;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use lakewright_common::error::{Error, Kind};
use lakewright_common::process::telemetry;

/// Time that threads have to end before the process exits.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    telemetry::start(cli.log_format, cli.quiet);
    lakewright_common::session::plan_failure::watch_panics();
    if let Err(error) = lakewright_common::process::start::prepare() {
        return exit(&error);
    }
    lakewright_common::process::allocator::stay_within(cli.memory_bytes());
    // Two threads are enough for heartbeats and polls. Ballista runs the tasks on threads of its
    // own, one per vcore.
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit(&Error::of_system("cannot start", error)),
    };
    let outcome = runtime.block_on(agent::run(cli));
    // Wait for the threads instead of detaching them: detaching a thread that is just ending can
    // crash in glibc. After a second signal tasks may still be running. They hold nothing that must
    // be kept.
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    match outcome {
        Ok(code) => code,
        Err(error) => exit(&error),
    }
}

fn exit(error: &Error) -> ExitCode {
    telemetry::report(error);
    ExitCode::from(match error.kind {
        Kind::Configuration => 2,
        Kind::Storage => 3,
        Kind::Data | Kind::Conflict | Kind::Workers => 1,
        Kind::Internal => 101,
    })
}
