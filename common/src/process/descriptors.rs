//! The process's limit of open files.

/// Returns the number of files that this process may have open; `u64::MAX` if the system does not
/// report it.
#[must_use]
pub fn limit() -> u64 {
    rlimit::Resource::NOFILE.get_soft().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_process_may_open_some_files() {
        assert!(super::limit() > 3);
    }
}
