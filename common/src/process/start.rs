//! What both programs do before anything else.

use std::time::SystemTime;

use crate::error::{Error, Result};

/// Raises the limit of open files to what the system allows this process, and refuses a clock that no file could be named
/// by.
///
/// # Errors
/// Configuration, if the clock is before 1970.
pub fn prepare() -> Result<()> {
    check_clock(SystemTime::now())?;
    // The soft limit is often far below the hard one (256 on macOS): enough for a shell, not for tasks that read many objects
    // at once. Where it cannot be raised, an error names it when it is reached.
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) => tracing::debug!(limit, "open files"),
        Err(error) => tracing::debug!(%error, "the limit of open files stays as it is"),
    }
    Ok(())
}

/// Runs and files are named by the time since 1970.
fn check_clock(now: SystemTime) -> Result<()> {
    match now.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(_) => Ok(()),
        Err(before) => Err(Error::configuration(format!(
            "the clock of this machine is {} days before 1970",
            before.duration().as_secs() / 86_400
        ))
        .hint("set it; a time service such as chrony keeps it right")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::error::Kind;

    #[test]
    fn a_clock_before_1970_is_a_fault_of_the_machine() {
        let error = check_clock(SystemTime::UNIX_EPOCH - Duration::from_hours(48)).unwrap_err();
        assert_eq!(error.kind, Kind::Configuration);
        assert!(error.message.contains("2 days before 1970"), "{error}");
        check_clock(SystemTime::UNIX_EPOCH).unwrap();
        prepare().unwrap();
        let (soft, hard) = rlimit::Resource::NOFILE.get().unwrap();
        // macOS refuses more than its own bound.
        assert!(soft == hard || cfg!(target_os = "macos"), "{soft} of {hard}");
    }
}
