//! Named points at which a test can kill or freeze the process with a real signal, or make a task
//! panic.
//!
//! With `LAKEWRIGHT_FAILPOINT=<name>` the process sends itself SIGKILL when it reaches the point of
//! that name; nothing is flushed or unwound, as in a crash. `LAKEWRIGHT_FAILPOINT=<name>:STOP`
//! freezes it there, once, until SIGCONT; `<name>:PANIC` panics, every time. Without the variable a
//! point costs one comparison.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

static ARMED: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("LAKEWRIGHT_FAILPOINT").ok());
static WAS_FROZEN: AtomicBool = AtomicBool::new(false);

/// Kills, freezes or panics the process here if the environment variable says so.
pub fn reach(name: &str) {
    let Some(armed) = ARMED.as_deref() else { return };
    if armed == name {
        signal("-KILL");
        std::process::abort();
    }
    if armed.strip_suffix(":PANIC") == Some(name) {
        #[expect(clippy::panic, reason = "a test asked for it")]
        {
            panic!("`{name}` was reached");
        }
    }
    if armed.strip_suffix(":STOP") == Some(name) && !WAS_FROZEN.swap(true, Ordering::Relaxed) {
        signal("-STOP");
    }
}

/// Sends a signal to this process with the `kill` program, which is portable and needs no unsafe
/// code.
fn signal(signal: &str) {
    let _ = std::process::Command::new("kill").args([signal, &std::process::id().to_string()]).status();
}
