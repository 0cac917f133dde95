//! Named points at which a test can kill or freeze the process with a real signal, or make a task
//! panic.
//!
//! With `LAKEWRIGHT_FAILPOINT=<name>`, the process sends itself SIGKILL when it reaches the point
//! of that name; nothing is flushed or unwound, as in a crash. With `<name>:STOP`, the process
//! freezes until SIGCONT when it reaches the point for the first time. With `<name>:PANIC`, it
//! panics every time. Without the variable, a point costs one comparison.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{Signal, raise};

static ARMED: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("LAKEWRIGHT_FAILPOINT").ok());
static WAS_FROZEN: AtomicBool = AtomicBool::new(false);

/// Part of the program that reaches a fail point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReachedBy {
    /// The coordinator, in every run that commits.
    Run,
    /// The coordinator, in a commit that writes a checkpoint (every 50 versions).
    Checkpoint,
    /// A worker, in every run that has several tasks and an exchange.
    Worker,
}

/// Builds the enum, its names and the list of all points from one table.
macro_rules! fail_points {
    ($($point:ident, $name:literal, $reached_by:ident, $moment:literal;)+) => {
        /// A point at which a test can kill or freeze the process, or make it panic. The comment on
        /// each point describes the moment at which it is reached.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum FailPoint {
            $(#[doc = $moment] $point,)+
        }

        impl FailPoint {
            /// All points: first the points of a run in the order in which they are reached, then
            /// the points of workers.
            pub const ALL: &[Self] = &[$(Self::$point,)+];

            /// Returns the name that the environment variable uses.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$point => $name,)+
                }
            }

            /// Returns the part of the program that reaches the point.
            #[must_use]
            pub fn reached_by(self) -> ReachedBy {
                match self {
                    $(Self::$point => ReachedBy::$reached_by,)+
                }
            }
        }
    };
}

fail_points! {
    RunBeforeDiscover, "run.before_discover", Run, "Before the sources are listed; nothing happened.";
    RunBeforeIngest, "run.before_ingest", Run, "Before new objects are staged.";
    RunBeforeBuild, "run.before_build", Run, "New objects are staged, no table is built.";
    RunBeforeCheck, "run.before_check", Run, "All tables are built, no data check has run.";
    LedgerBeforeWrite, "ledger.before_write", Run, "Before the ledger file of a source is written.";
    LedgerAfterWrite, "ledger.after_write", Run, "The ledger file of a source is written.";
    CommitBeforeSync, "commit.before_sync", Run, "All files are written, none is synced.";
    CommitBeforeManifest, "commit.before_manifest", Run, "All files are synced; the manifest is put next.";
    CommitAfterManifest, "commit.after_manifest", Run, "The version is committed; the Delta logs are behind.";
    DeltaBeforeLog, "delta.before_log", Run, "Before an entry of a table's Delta log is put.";
    DeltaAfterLog, "delta.after_log", Run, "An entry of a table's Delta log is put.";
    DeltaBeforeCheckpoint, "delta.before_checkpoint", Checkpoint, "Before a checkpoint of a Delta log is written.";
    DeltaAfterCheckpoint, "delta.after_checkpoint", Checkpoint, "A checkpoint of a Delta log is written.";
    ConsistentBeforePut, "consistent.before_put", Run, "All Delta logs are written; the consistent document is put next.";
    ConsistentBeforeLatest, "consistent.before_latest", Run, "The consistent document is put, `latest` still names an older one.";
    ConsistentAfterLatest, "consistent.after_latest", Run, "Everything is published.";
    PollBeforeTask, "poll.before_task", Worker, "A task arrived from the queue and has not started.";
    AttemptBeforeStart, "attempt.before_start", Worker, "Before an attempt asks whether its task is still wanted.";
    AttemptAfterStart, "attempt.after_start", Worker, "The coordinator knows the attempt, which has done nothing.";
    ExchangeAfterChunks, "exchange.after_chunks", Worker, "Some chunks of a spool object are written.";
    ExchangeBeforeFinish, "exchange.before_finish", Worker, "All rows are in the spool object, which is not complete.";
    TableBeforeReport, "table.before_report", Worker, "The files of a table are complete, no report names them.";
    AttemptBeforeReport, "attempt.before_report", Worker, "The work is done, the coordinator does not know it.";
    AttemptAfterReport, "attempt.after_report", Worker, "The coordinator has answered the report.";
}

/// Returns the names of the points that one part of the program reaches.
pub fn names(reached_by: ReachedBy) -> impl Iterator<Item = &'static str> {
    let points = FailPoint::ALL.iter().filter(move |point| point.reached_by() == reached_by);
    points.map(|point| point.name())
}

/// Kills or freezes the process here, or panics, if the environment variable names this point.
pub fn reach(point: FailPoint) {
    let Some(armed) = ARMED.as_deref() else { return };
    let name = point.name();
    if armed == name {
        signal(Signal::SIGKILL);
    }
    if armed.strip_suffix(":PANIC") == Some(name) {
        #[expect(clippy::panic, reason = "a test asked for it")]
        {
            panic!("`{name}` was reached");
        }
    }
    if armed.strip_suffix(":STOP") == Some(name) && !WAS_FROZEN.swap(true, Ordering::Relaxed) {
        signal(Signal::SIGSTOP);
    }
}

/// Raises a signal in this thread, so that the thread does not run past the fail point. A signal from
/// the `kill` program can be delivered to another thread first, and later.
fn signal(signal: Signal) {
    if let Err(error) = raise(signal) {
        tracing::error!(%error, "cannot send a signal to this process");
        std::process::abort();
    }
}
