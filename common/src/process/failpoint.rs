//! Named points at which a test can kill or freeze the process, or have a task panic, so that every step is tried with a real signal.
//!
//! `LAKEWRIGHT_FAILPOINT=<name>` makes the process send itself SIGKILL when it reaches the point of that name; nothing is
//! flushed or unwound, as in a crash. `LAKEWRIGHT_FAILPOINT=<name>:STOP` freezes it there, once, until SIGCONT;
//! `<name>:PANIC` panics, every time. Without the variable a point costs one comparison.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

static ARMED: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("LAKEWRIGHT_FAILPOINT").ok());
static WAS_FROZEN: AtomicBool = AtomicBool::new(false);

/// Dies, freezes or panics here if the environment says so.
pub fn reach(name: &str) {
    let Some(armed) = ARMED.as_deref() else { return };
    if armed == name {
        signal("-KILL");
        std::process::abort();
    }
    if armed.strip_suffix(":PANIC") == Some(name) {
        #[expect(clippy::panic, reason = "that a test asked for")]
        {
            panic!("`{name}` was reached");
        }
    }
    if armed.strip_suffix(":STOP") == Some(name) && !WAS_FROZEN.swap(true, Ordering::Relaxed) {
        signal("-STOP");
    }
}

/// The shell's kill is the one portable way that needs no unsafe code.
fn signal(signal: &str) {
    let _ = std::process::Command::new("kill").args([signal, &std::process::id().to_string()]).status();
}
