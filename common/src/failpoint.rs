//! Named points at which a test can kill the process, so that every step of a commit is tried with a real `kill -9`.
//!
//! `LAKEWRIGHT_FAILPOINT=<name>` makes the process kill itself with SIGKILL when it reaches the point of that name;
//! nothing is flushed or unwound, as in a crash. Without the variable a point costs one comparison.

use std::sync::LazyLock;

static ARMED: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("LAKEWRIGHT_FAILPOINT").ok());

/// Dies here if the environment says so.
pub fn reach(name: &str) {
    if ARMED.as_deref() == Some(name) {
        // The shell's kill is the one portable SIGKILL that needs no unsafe code.
        let pid = std::process::id().to_string();
        let _ = std::process::Command::new("kill").args(["-9", &pid]).status();
        std::process::abort();
    }
}
