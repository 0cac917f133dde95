//! `[cluster]`: where the coordinator meets its workers, and when it gives up on one.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use super::Purpose;
use super::fault::Faults;
use super::file::Node;
use super::resolved::{Certificates, Cluster, Speculation};
use super::section::{Section, Text};
use super::settings::CLUSTER;

/// Resolves the section; relative paths are seen from `folder`.
pub(super) fn resolve(node: &Node, folder: &Path, purpose: Purpose, faults: &mut Faults) -> Option<Cluster> {
    let section = Section::open("`[cluster]`: ", node, CLUSTER, faults)?;
    let listen = address(&section, "listen", faults).unwrap_or_else(|| "0.0.0.0:50051".to_owned());
    let cluster = Cluster {
        advertise: address(&section, "advertise", faults).unwrap_or_else(|| listen.clone()),
        listen,
        min_workers: section.count("min_workers", 1, faults),
        worker_timeout: section.duration("worker_timeout", Duration::from_mins(5), faults),
        spool: section.location("spool", folder, faults).map(|(url, _)| url),
        heartbeat: section.duration("heartbeat", Duration::from_millis(500), faults),
        lost_after: section.duration("lost_after", Duration::from_secs(5), faults),
        attempts: section.count("attempts", 4, faults),
        speculation: section.boolean("speculation", true, faults).then_some(Speculation {
            done_share: section.share("speculation_share", 0.75, faults),
            slowness: slowness(&section, faults),
        }),
        certificates: certificates(&section, folder, faults),
        is_insecure: section.boolean("insecure", false, faults),
    };
    check_times(&section, &cluster, faults);
    if purpose == Purpose::Run {
        check_exposure(node, &cluster, faults);
    }
    Some(cluster)
}

fn slowness(section: &Section<'_>, faults: &mut Faults) -> f64 {
    let slowness = section.number("speculation_slowness", faults).unwrap_or(2.0);
    if let Some(node) = section.node("speculation_slowness").filter(|_| slowness < 1.0) {
        section.report(&node.origin, "`speculation_slowness` must be at least 1", faults);
    }
    slowness
}

fn address(section: &Section<'_>, key: &str, faults: &mut Faults) -> Option<String> {
    let Text { text, origin } = section.text(key, faults)?;
    if !is_address(text) {
        faults.report_with_hint(
            origin,
            format!("`[cluster]`: `{key}` is `{text}`, which is not an address and a port"),
            "write them like `0.0.0.0:50051`".to_owned(),
        );
    }
    Some(text.to_owned())
}

/// `host:port`; the port 0 lets the system choose one.
fn is_address(text: &str) -> bool {
    split_address(text).is_some_and(|(host, port)| {
        let is_bare = !host.contains(':') || (host.starts_with('[') && host.ends_with(']'));
        !host.is_empty() && is_bare && !host.contains(char::is_whitespace) && port.parse::<u16>().is_ok()
    })
}

fn split_address(text: &str) -> Option<(&str, &str)> {
    text.rsplit_once(':')
}

/// All three, or none.
fn certificates(section: &Section<'_>, folder: &Path, faults: &mut Faults) -> Option<Certificates> {
    let files = ["ca", "cert", "key"].map(|key| section.text(key, faults));
    let first = files.iter().flatten().next()?;
    let [Some(ca), Some(cert), Some(key)] = &files else {
        section.report(first.origin, "`ca`, `cert` and `key` go together, and one is missing", faults);
        return None;
    };
    let [ca, cert, key] = [ca, cert, key].map(|file| folder.join(file.text));
    Some(Certificates { ca, cert, key })
}

fn check_times(section: &Section<'_>, cluster: &Cluster, faults: &mut Faults) {
    let Some(origin) = ["lost_after", "heartbeat"].iter().find_map(|key| section.node(key)).map(|node| &node.origin)
    else {
        return;
    };
    if cluster.lost_after < cluster.heartbeat * 3 {
        section.report(origin, "`lost_after` must be at least three times as long as `heartbeat`", faults);
    }
}

/// Whoever reaches an open port can give workers code to run with their credentials.
fn check_exposure(section: &Node, cluster: &Cluster, faults: &mut Faults) {
    if cluster.certificates.is_some() || cluster.is_insecure || cluster.is_loopback() || !is_address(&cluster.listen) {
        return;
    }
    faults.report_with_hint(
        &section.origin,
        format!("`[cluster]`: `{}` can be reached by others, and nothing says who may connect", cluster.listen),
        "set `ca`, `cert` and `key`, or `insecure = true` on a network of your own".to_owned(),
    );
}

impl Cluster {
    /// Whether workers prove by the run's secret that they are of the same user.
    #[must_use]
    pub fn needs_secret(&self) -> bool {
        self.certificates.is_none() && !self.is_insecure && self.is_loopback()
    }

    /// Whether only this machine can connect.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let host = split_address(&self.listen).map_or("", |(host, _)| host).trim_matches(['[', ']']);
        host == "localhost" || host.parse::<IpAddr>().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)).is_loopback()
    }
}
