//! Runs work until it ends or the user presses Ctrl-C.

use std::future::Future;
use std::time::Duration;

use lakewright_common::error::{Error, Result};
use lakewright_common::session::plan_failure::panic_error;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Maximum time that cancelled work has to stop. Afterwards it continues in the background until its
/// next `await`, and its result is lost.
const STOPPING: Duration = Duration::from_secs(1);

/// Runs work on one runtime and waits on another. A query can keep every thread of a runtime busy,
/// and Ctrl-C must be noticed even then.
pub(super) struct Canceller {
    work: Handle,
    waiting: Runtime,
}

impl Canceller {
    /// Creates a canceller that runs its work on `work`.
    ///
    /// # Errors
    /// A storage error if the process may open too few files.
    pub(super) fn new(work: Handle) -> Result<Self> {
        let waiting = Builder::new_current_thread().enable_all().build();
        let waiting = waiting.map_err(|e| Error::of_system("cannot listen for signals", e))?;
        Ok(Self { work, waiting })
    }

    /// Returns a listener for the presses of Ctrl-C that follow.
    ///
    /// # Errors
    /// A storage error if the system refuses it.
    pub(super) fn listen(&self) -> Result<Signal> {
        let _context = self.waiting.enter();
        signal(SignalKind::interrupt()).map_err(|e| Error::of_system("cannot listen for signals", e))
    }

    /// Runs `work` to its end. Returns `None` if Ctrl-C cancelled it.
    ///
    /// # Errors
    /// An internal error if the work panicked.
    pub(super) fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
        interrupt: &mut Signal,
    ) -> Result<Option<T>> {
        let mut task = self.work.spawn(work);
        self.waiting.block_on(async {
            tokio::select! {
                outcome = &mut task => outcome.map(Some).map_err(panic_error),
                _ = interrupt.recv() => {
                    task.abort();
                    let _ = tokio::time::timeout(STOPPING, task).await;
                    Ok(None)
                }
            }
        })
    }
}
