//! Runs work until it ends or the user presses Ctrl-C.

use std::future::Future;
use std::time::Duration;

use lakewright_common::error::{Error, Result};
use lakewright_common::session::plan_failure::panic_error;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Maximum time that cancelled work has to stop. Afterwards it continues in the background until its
/// next `await` or the end of the process, and its result is lost.
const STOPPING: Duration = Duration::from_secs(1);

/// Runs work on one runtime and waits on another. A query can keep every thread of a runtime busy,
/// and Ctrl-C must be noticed even then.
pub(super) struct Canceller {
    /// `None` only while this value is dropped.
    work: Option<Runtime>,
    waiting: Runtime,
}

impl Drop for Canceller {
    fn drop(&mut self) {
        // Do not wait for work that was cancelled.
        self.work.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

impl Canceller {
    /// Creates a canceller.
    ///
    /// # Errors
    /// A storage error if the process may open too few files.
    pub(super) fn new() -> Result<Self> {
        let waiting = Builder::new_current_thread().enable_all().build();
        let waiting = waiting.map_err(|e| Error::of_system("cannot listen for signals", e))?;
        Ok(Self { work: Some(runtime()?), waiting })
    }

    /// Returns a listener for the presses of Ctrl-C that follow.
    ///
    /// # Errors
    /// A storage error if the system refuses it.
    pub(super) fn listen(&self) -> Result<Signal> {
        let _context = self.waiting.enter();
        signal(SignalKind::interrupt()).map_err(|e| Error::of_system("cannot listen for signals", e))
    }

    /// Runs `work` to its end. Returns `None` if Ctrl-C cancelled it. If it does not stop then, later
    /// work gets threads of its own, so what belongs to a runtime, such as connections, must not be
    /// used again.
    ///
    /// # Errors
    /// An internal error if the work panicked. A storage error if the system refuses new threads.
    pub(super) fn run<T: Send + 'static>(
        &mut self,
        work: impl Future<Output = T> + Send + 'static,
        interrupt: &mut Signal,
    ) -> Result<Option<T>> {
        let Some(runtime) = &self.work else { return Ok(None) };
        let mut task = runtime.spawn(work);
        let mut is_stuck = false;
        let outcome = self.waiting.block_on(async {
            tokio::select! {
                outcome = &mut task => outcome.map(Some).map_err(panic_error),
                _ = interrupt.recv() => {
                    task.abort();
                    is_stuck = tokio::time::timeout(STOPPING, task).await.is_err();
                    Ok(None)
                }
            }
        });
        if is_stuck {
            let stuck = self.work.replace(self::runtime()?);
            stuck.into_iter().for_each(Runtime::shutdown_background);
        }
        outcome
    }
}

/// Returns a runtime for queries.
fn runtime() -> Result<Runtime> {
    let runtime = Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|e| Error::of_system("cannot start threads", e))
}
