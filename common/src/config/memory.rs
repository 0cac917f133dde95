//! Memory available to this process: all memory of the machine, or less if a control group limits
//! it.

use std::fs;
use std::path::Path;

/// Memory in bytes to assume if it cannot be determined, for example outside Linux.
const ASSUMED_BYTES: u64 = 4 << 30;

/// Returns the memory of the machine in bytes, or the limit of the tightest control group around
/// this process if it is lower.
#[must_use]
pub fn available_bytes() -> u64 {
    available_below(Path::new("/")).unwrap_or(ASSUMED_BYTES)
}

fn available_below(root: &Path) -> Option<u64> {
    // The smallest of all limits counts.
    machine_bytes(root).into_iter().chain(group_bytes(root)).min()
}

/// Returns the memory of the machine, which is in `/proc/meminfo` as `MemTotal: 16315552 kB`.
fn machine_bytes(root: &Path) -> Option<u64> {
    let facts = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let total = facts.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(total.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// Returns the memory limits of this process's control group and of all groups that contain it. The
/// path of the group is in `/proc/self/cgroup`, as `0::/path` in version 2 of control groups and as
/// `4:memory:/path` in version 1. In a container, the path may be one of the host. Then only the
/// root exists, which is the container's own group.
fn group_bytes(root: &Path) -> Vec<u64> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let mut limits = Vec::new();
    for group in groups.lines() {
        // The first part of a line is the number of the control group's hierarchy.
        let mut parts = group.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (base, file) = match controllers {
            "" => ("sys/fs/cgroup", "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => {
                ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        for around in Path::new(path.trim_start_matches('/')).ancestors() {
            let limit = fs::read_to_string(root.join(base).join(around).join(file));
            // `max` is not a number: there is no limit.
            limits.extend(limit.ok().and_then(|text| text.trim().parse::<u64>().ok()));
        }
    }
    limits
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name of the case, files (path and text), expected number of bytes.
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], Option<u64>);

    #[test]
    fn the_tightest_limit_counts() {
        let cases: &[Case<'_>] = &[
            ("nothing is known", &[], None),
            ("the machine alone", &[("proc/meminfo", "MemFree: 1 kB\nMemTotal:  2048 kB\n")], Some(2048 * 1024)),
            (
                "version 2, the group around is tighter",
                &[
                    ("proc/meminfo", "MemTotal: 2048 kB\n"),
                    ("proc/self/cgroup", "0::/slice/job\n"),
                    ("sys/fs/cgroup/slice/job/memory.max", "max\n"),
                    ("sys/fs/cgroup/slice/memory.max", "1000\n"),
                ],
                Some(1000),
            ),
            (
                "version 1, the path is the host's",
                &[
                    ("proc/meminfo", "MemTotal: 2048 kB\n"),
                    ("proc/self/cgroup", "5:devices:/\n4:cpu,memory:/docker/abc\n"),
                    ("sys/fs/cgroup/memory/memory.limit_in_bytes", "2000\n"),
                ],
                Some(2000),
            ),
            (
                "version 1 without a limit",
                &[
                    ("proc/meminfo", "MemTotal: 2048 kB\n"),
                    ("proc/self/cgroup", "4:memory:/\n"),
                    ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
                ],
                Some(2048 * 1024),
            ),
        ];
        for (case, files, expected) in cases {
            let root = tempfile::tempdir().unwrap();
            for (path, text) in *files {
                let path = root.path().join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            assert_eq!(available_below(root.path()), *expected, "{case}");
        }
    }
}
