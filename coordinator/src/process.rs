//! CPU time and memory of this process, as the operating system accounts for them.

use std::sync::OnceLock;
use std::time::Duration;

use serde::Serialize;

/// CPU time that the process had used when [`start`] was called.
static CPU_AT_START: OnceLock<Duration> = OnceLock::new();

/// Resources that this process has used since [`start`]. Child processes are not counted.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Usage {
    /// User and system time, in seconds.
    pub(crate) cpu_seconds: f64,
    /// Maximum size of the resident memory.
    pub(crate) peak_memory_bytes: u64,
}

/// Starts counting CPU time.
///
/// `cargo run` starts this program with `exec`, in the same process, and the system keeps counting
/// the CPU time of that process. Without this call, a run would report the CPU time of Cargo too.
pub(crate) fn start() {
    if let Some(cpu) = cpu_time() {
        let _ = CPU_AT_START.set(cpu);
    }
}

/// Returns the usage since [`start`]; `None` without `/proc`, which only Linux has.
pub(crate) fn usage() -> Option<Usage> {
    let cpu = cpu_time()?.saturating_sub(CPU_AT_START.get().copied().unwrap_or_default());
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let peak_kib: u64 = peak.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(Usage { cpu_seconds: cpu.as_secs_f64(), peak_memory_bytes: peak_kib * 1024 })
}

/// Returns the CPU time of the process since its creation, without its children.
fn cpu_time() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // proc(5): fields 14 and 15, in ticks of 1/100 s. The command in field 2 may contain spaces,
    // so the fields are counted after its closing bracket.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 10))
}
