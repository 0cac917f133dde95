//! Exit codes: one for each kind of failure and for each signal.

use std::future::Future;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lakewright_common::error::{Error, Kind, Result};
use lakewright_common::process::telemetry;
use lakewright_common::session::plan_failure::panic_error;
use lakewright_common::sql::PLANNER_STACK_BYTES;
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

/// Exit code of an interrupted program, as shells report it: 128 + SIGINT.
const INTERRUPTED: u8 = 130;
/// Maximum time that the command has to clean up after a signal. Afterwards its threads have at
/// most the same time to end.
const CLEAN_UP: Duration = Duration::from_secs(1);
/// Exit code of a terminated program: 128 + SIGTERM.
const TERMINATED: u8 = 143;

/// Whether the command handles SIGINT itself.
static IS_INTERRUPT_HANDLED: AtomicBool = AtomicBool::new(false);

/// From now on, SIGINT does not end the command. The shell cancels its query instead.
pub(crate) fn leave_interrupts_to_command() {
    IS_INTERRUPT_HANDLED.store(true, Ordering::Relaxed);
}

/// Runs the command until it ends or a signal arrives. Returns the exit code.
///
/// The command has a runtime of its own, and this thread only waits. A query can keep every thread
/// of a runtime busy for a long time, and a signal must be handled even then.
pub(crate) fn run(command: impl Future<Output = Result<()>> + Send + 'static) -> ExitCode {
    let cannot_start = |error| {
        let limits = "the process may open too few files or start too few threads: see `ulimit -n` and `ulimit -u`";
        report(&Error::storage_failure("cannot start").caused_by(error).hint(limits))
    };
    // These threads plan and run queries, and a deeply nested plan needs a deep stack.
    let workers = runtime::Builder::new_multi_thread().enable_all().thread_stack_size(PLANNER_STACK_BYTES).build();
    let workers = match workers {
        Ok(workers) => workers,
        Err(error) => return cannot_start(error),
    };
    let waiting = match runtime::Builder::new_current_thread().enable_all().build() {
        Ok(waiting) => waiting,
        Err(error) => return cannot_start(error),
    };
    let code = waiting.block_on(first_of(workers.spawn(command)));
    // Wait for the threads instead of detaching them. Detaching a thread that is just ending can
    // crash in glibc, which reads the thread's memory after it was freed. Tasks that still run
    // after a signal hold nothing that must be kept.
    workers.shutdown_timeout(CLEAN_UP);
    code
}

/// Waits for the command or the first signal, whichever comes first. Returns the exit code.
///
/// A signal stops the command where it is. For a run, this is safe at every step: either no
/// manifest names the files that the run wrote, or the manifest is committed.
async fn first_of(mut command: JoinHandle<Result<()>>) -> ExitCode {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return report(&Error::internal("cannot listen for signals"));
    };
    let stopped = loop {
        tokio::select! {
            outcome = &mut command => return match outcome {
                Ok(Ok(())) => ExitCode::SUCCESS,
                Ok(Err(error)) => report(&error),
                Err(panic) => report(&panic_error(panic)),
            },
            _ = interrupt.recv() => {
                if !IS_INTERRUPT_HANDLED.load(Ordering::Relaxed) {
                    break stopped("interrupted", INTERRUPTED);
                }
            }
            _ = terminate.recv() => break stopped("terminated", TERMINATED),
        }
    };
    // An aborted command stops at its next `await` and deletes its temporary folders. If it
    // computes without an `await`, stop waiting for it.
    command.abort();
    let _ = tokio::time::timeout(CLEAN_UP, command).await;
    stopped
}

fn stopped(how: &str, code: u8) -> ExitCode {
    telemetry::conclude(&format!("{how}: nothing of an unfinished run is visible; run again to continue"));
    ExitCode::from(code)
}

/// Prints the error. Returns its exit code.
pub(crate) fn report(error: &Error) -> ExitCode {
    telemetry::report(error);
    ExitCode::from(code(error.kind))
}

fn code(kind: Kind) -> u8 {
    match kind {
        Kind::Data => 1,
        Kind::Configuration => 2,
        Kind::Storage => 3,
        Kind::Conflict => 4,
        Kind::Workers => 5,
        // 101 is also the exit code of a panic: neither the input nor the configuration is at
        // fault.
        Kind::Internal => 101,
    }
}
