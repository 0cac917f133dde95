//! `[cluster]`: the address for workers, and the limits after which the coordinator gives up on a
//! worker or a task.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use super::defaults;
use super::diagnostics::Diagnostics;
use super::file::Item;
use super::purpose::Purpose;
use super::resolved::{Certificates, Cluster, Speculation};
use super::section::{Section, Text};
use super::settings::CLUSTER;

/// Resolves `[cluster]`. Relative paths start from `folder`.
pub(super) fn resolve(item: &Item, folder: &Path, purpose: Purpose, diagnostics: &mut Diagnostics) -> Option<Cluster> {
    let section = Section::open("`[cluster]`: ", item, CLUSTER, diagnostics)?;
    let listen = address(&section, "listen", diagnostics).unwrap_or_else(|| defaults::LISTEN.to_owned());
    let cluster = Cluster {
        // Used only in messages, as the address for `worker --coordinator`.
        advertise: address(&section, "advertise", diagnostics).unwrap_or_else(|| listen.clone()),
        listen,
        min_workers: section.count("min_workers", defaults::MIN_WORKERS, diagnostics),
        worker_timeout: section.duration("worker_timeout", defaults::WORKER_TIMEOUT, diagnostics),
        spool: section.location("spool", folder, diagnostics).map(|(url, _)| url),
        heartbeat: section.duration("heartbeat", defaults::HEARTBEAT, diagnostics),
        lost_after: section.duration("lost_after", defaults::LOST_AFTER, diagnostics),
        attempts: section.count("attempts", defaults::TASK_ATTEMPTS, diagnostics),
        speculation: section.boolean("speculation", defaults::SPECULATION, diagnostics).then_some(Speculation {
            done_share: section.share("speculation_share", defaults::SPECULATION_SHARE, diagnostics),
            slowness: slowness(&section, diagnostics),
        }),
        certificates: certificates(&section, folder, diagnostics),
        is_insecure: section.boolean("insecure", defaults::INSECURE, diagnostics),
    };
    check_times(&section, &cluster, diagnostics);
    // A command that only reads the lake starts no server, so it needs no certificates.
    if purpose == Purpose::Run {
        check_exposure(item, &cluster, diagnostics);
    }
    Some(cluster)
}

fn slowness(section: &Section<'_>, diagnostics: &mut Diagnostics) -> f64 {
    let slowness = section.number("speculation_slowness", diagnostics).unwrap_or(defaults::SPECULATION_SLOWNESS);
    if let Some(item) = section.get("speculation_slowness").filter(|_| slowness < 1.0) {
        section.report(&item.origin, "`speculation_slowness` must be at least 1", diagnostics);
    }
    slowness
}

fn address(section: &Section<'_>, key: &str, diagnostics: &mut Diagnostics) -> Option<String> {
    let Text { text, origin } = section.text(key, diagnostics)?;
    if !is_address(text) {
        diagnostics.report_with_hint(
            origin,
            format!("`[cluster]`: `{key}` is `{text}`, which is not an address and a port"),
            "write it like `0.0.0.0:50051`".to_owned(),
        );
    }
    Some(text.to_owned())
}

/// Whether `text` is `host:port`. Port 0 is valid, because the system then chooses a port.
fn is_address(text: &str) -> bool {
    split_address(text).is_some_and(|(host, port)| {
        // An IPv6 address contains colons, so it needs brackets.
        let is_bare = !host.contains(':') || (host.starts_with('[') && host.ends_with(']'));
        !host.is_empty() && is_bare && !host.contains(char::is_whitespace) && port.parse::<u16>().is_ok()
    })
}

fn split_address(text: &str) -> Option<(&str, &str)> {
    text.rsplit_once(':')
}

/// Returns the paths of the three files for TLS (`ca`, `cert`, `key`); `None` if none is set.
/// Reports a fault if only some are set.
fn certificates(section: &Section<'_>, folder: &Path, diagnostics: &mut Diagnostics) -> Option<Certificates> {
    let files = ["ca", "cert", "key"].map(|key| section.text(key, diagnostics));
    // If none of the three is set, TLS is off. If only some are set, it is a mistake.
    let first = files.iter().flatten().next()?;
    let [Some(ca), Some(cert), Some(key)] = &files else {
        section.report(first.origin, "`ca`, `cert` and `key` go together, and one is missing", diagnostics);
        return None;
    };
    let [ca, cert, key] = [ca, cert, key].map(|file| folder.join(file.text));
    Some(Certificates { ca, cert, key })
}

fn check_times(section: &Section<'_>, cluster: &Cluster, diagnostics: &mut Diagnostics) {
    // The defaults fit each other, so check only what the file sets.
    let Some(origin) = ["lost_after", "heartbeat"].iter().find_map(|key| section.get(key)).map(|item| &item.origin)
    else {
        return;
    };
    if cluster.lost_after < cluster.heartbeat * 3 {
        section.report(origin, "`lost_after` must be at least three times as long as `heartbeat`", diagnostics);
    }
}

/// Reports a fault if other machines can reach the address and no setting restricts who may
/// connect. Any process that connects could take part in runs and use their credentials.
fn check_exposure(section: &Item, cluster: &Cluster, diagnostics: &mut Diagnostics) {
    if cluster.certificates.is_some() || cluster.is_insecure || cluster.is_loopback() || !is_address(&cluster.listen) {
        return;
    }
    diagnostics.report_with_hint(
        &section.origin,
        format!(
            "`[cluster]`: `{}` can be reached from other machines, and no setting restricts who may connect",
            cluster.listen
        ),
        "set `ca`, `cert` and `key`, or `insecure = true` on a network of your own".to_owned(),
    );
}

impl Cluster {
    /// Whether workers must authenticate with the run's secret. Only the operating-system user
    /// that runs the coordinator can read this secret.
    #[must_use]
    pub fn needs_secret(&self) -> bool {
        self.certificates.is_none() && !self.is_insecure && self.is_loopback()
    }

    /// Whether the address is local, so that only processes on this machine can connect.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let host = split_address(&self.listen).map_or("", |(host, _)| host).trim_matches(['[', ']']);
        // Any other name may resolve to an address that other machines can reach, so it does not
        // count as loopback.
        host == "localhost" || host.parse::<IpAddr>().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)).is_loopback()
    }
}
