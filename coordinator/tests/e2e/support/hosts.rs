//! Separate hosts on this machine: network namespaces, each connected to the first one.

use std::process::Command;

/// Network namespaces of a test, deleted when dropped.
pub(crate) struct Hosts {
    names: Vec<String>,
}

impl Hosts {
    /// Creates a central host and `others` around it. Returns `None` if this user may not create
    /// namespaces.
    pub(crate) fn new(others: usize) -> Option<Self> {
        let name = |i: usize| format!("lakewright-{}-{i}", std::process::id());
        let mut hosts = Self { names: vec![] };
        for i in 0..=others {
            if !ip(&["netns", "add", &name(i)]) {
                return None;
            }
            hosts.names.push(name(i));
        }
        for i in 1..=others {
            let (near, far) = (format!("wire{i}"), "wire");
            let (center, other) = (&hosts.names[0], &hosts.names[i]);
            let is_wired =
                ip(&["-n", center, "link", "add", &near, "type", "veth", "peer", "name", far, "netns", other])
                    && ip(&["-n", center, "addr", "add", &format!("10.77.{i}.1/24"), "dev", &near])
                    && ip(&["-n", center, "link", "set", &near, "up"])
                    && ip(&["-n", other, "addr", "add", &format!("10.77.{i}.2/24"), "dev", far])
                    && ip(&["-n", other, "link", "set", far, "up"]);
            if !is_wired {
                return None;
            }
        }
        Some(hosts)
    }

    /// Returns the prefix of a command that runs on a host. Host 0 is the central one.
    pub(crate) fn on(&self, host: usize) -> [&str; 4] {
        ["ip", "netns", "exec", &self.names[host]]
    }

    /// Returns the address of the central host as seen from `host`.
    pub(crate) fn center_from(&self, host: usize) -> String {
        format!("10.77.{host}.1")
    }

    /// Disconnects a host. Pending messages are never answered.
    pub(crate) fn pull(&self, host: usize) {
        assert!(ip(&["-n", &self.names[host], "link", "set", "wire", "down"]));
    }

    /// Connects a host again.
    pub(crate) fn plug(&self, host: usize) {
        assert!(ip(&["-n", &self.names[host], "link", "set", "wire", "up"]));
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for name in &self.names {
            ip(&["netns", "del", name]);
        }
    }
}

fn ip(arguments: &[&str]) -> bool {
    Command::new("ip").args(arguments).output().is_ok_and(|output| output.status.success())
}
