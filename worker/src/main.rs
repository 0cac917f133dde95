//! A worker: takes tasks from a coordinator, runs them, reports. It opens connections and listens on no port.
//!
//! ```text
//!                       ┌─ poll loop (Ballista's) ─► engine ─► attempt ─► report ─┐
//!   coordinator ◄─ link ┤                                        │                ├─► coordinator
//!                       └─ heartbeats: who I am, what I run, what must stop ───────────┘
//! ```
//!
//! Start here, then follow `work.rs`.

/// The command line.
mod cli;
/// From the first registration to the last heartbeat.
mod agent;
/// Connections without TLS.
mod connection;
/// Calls of the coordinator.
mod link;
/// From a register to being registered with a run.
mod registration;
/// Which plans are run at all.
mod rules;
/// What Ballista's poll loop hands over.
mod ballista;
/// One attempt of a task, from its start to its report.
mod task;
/// What this process runs at the moment.
mod running_tasks;

use std::process::ExitCode;

use clap::Parser;
use lakewright_common::error::{Error, Kind};
use lakewright_common::process::telemetry;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    telemetry::start(cli.log_format, cli.quiet);
    lakewright_common::session::plan_failure::watch_panics();
    if let Err(error) = lakewright_common::process::start::prepare() {
        return exit(&error);
    }
    lakewright_common::process::allocator::stay_within(cli.memory_bytes());
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit(&Error::of_system("cannot start", error)),
    };
    let outcome = runtime.block_on(agent::run(cli));
    // What a second signal left running holds nothing that must be kept.
    runtime.shutdown_background();
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
