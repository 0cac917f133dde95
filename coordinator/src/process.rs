//! What this process has used so far, as the operating system accounts for it.

use std::time::Duration;

/// CPU time (user and system) and the most memory that was resident at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) cpu: Duration,
    pub(crate) peak_memory_bytes: u64,
}

/// `None` where the system does not tell (only Linux does here).
pub(crate) fn usage() -> Option<Usage> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let peak_kib: u64 = peak.trim().trim_end_matches("kB").trim().parse().ok()?;
    // proc(5): fields 14 and 15 of stat, counted after the command's closing bracket, in ticks of 1/100 s.
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Usage { cpu: Duration::from_millis(ticks * 10), peak_memory_bytes: peak_kib * 1024 })
}
