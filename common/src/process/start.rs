//! Checks and limits that both programs apply before anything else.

use std::time::SystemTime;

use crate::error::{Error, Result};

/// Raises the limit on open files as far as the system allows, and checks the clock, because file
/// names contain the time.
///
/// # Errors
/// A configuration error, if the clock is before 1970.
pub fn prepare() -> Result<()> {
    check_clock(SystemTime::now())?;
    // The soft limit is often far below the hard one (256 on macOS): enough for a shell, but not
    // for tasks that read many objects at once. If the limit cannot be raised, opening a file
    // beyond it fails with an error that names the limit.
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) => tracing::debug!(limit, "open files"),
        Err(error) => tracing::debug!(%error, "cannot raise the limit of open files"),
    }
    Ok(())
}

/// Checks that the clock is after 1970, because names of runs and files contain the time since
/// 1970.
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
        // On macOS the maximum may be lower than the hard limit.
        assert!(soft == hard || cfg!(target_os = "macos"), "{soft} of {hard}");
    }
}
