//! Parses the command line.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytesize::ByteSize;
use clap::Parser;
use lakewright_common::config::memory::available_bytes;
use lakewright_common::config::resolved::Certificates;
use lakewright_common::error::{Error, Result};
use lakewright_common::process::telemetry::LogFormat;
use lakewright_proto::MAX_NAME_BYTES;

const EXIT_CODES: &str = "\
Exit codes:
    0  drained after SIGTERM or SIGINT
    1  stopped before its tasks were done: the grace period ended, or a second signal arrived
    2  usage or configuration, or the coordinator has another version
    3  storage: the scratch folder

The coordinator sends the storage settings; credentials are those of this machine.";

/// Run tasks of a Lakewright coordinator. If no coordinator responds, the worker retries. So it can
/// be started before the first run, and it keeps running between runs.
#[derive(Debug, Parser)]
#[command(name = "worker", version, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// Address of the coordinator
    #[arg(long, value_name = "HOST:PORT", env = "LAKEWRIGHT_COORDINATOR", value_parser = address)]
    pub(crate) coordinator: String,

    /// Name of this worker in logs, at most 255 bytes [default: the host name]
    #[arg(long, value_parser = name)]
    pub(crate) name: Option<String>,

    /// Maximum number of tasks that run at once [default: number of cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    vcores: Option<u32>,

    /// Memory that the process tries not to exceed, such as 2GB [default: half of the memory of the
    /// machine or cgroup]
    #[arg(long, value_name = "SIZE")]
    memory: Option<ByteSize>,

    /// Folder for temporary files of queries [default: the system's temporary folder]
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,

    /// Time that running tasks have to finish after SIGTERM
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = humantime::parse_duration)]
    pub(crate) grace: Duration,

    /// TLS: certificate of the authority that signed the certificate of the coordinator (PEM)
    #[arg(long, value_name = "FILE", requires_all = ["cert", "key"])]
    ca: Option<PathBuf>,

    /// TLS: certificate of this worker (PEM)
    #[arg(long, value_name = "FILE", requires_all = ["ca", "key"])]
    cert: Option<PathBuf>,

    /// TLS: private key of this worker (PEM)
    #[arg(long, value_name = "FILE", requires_all = ["ca", "cert"])]
    key: Option<PathBuf>,

    /// Connect without TLS and run the tasks of any coordinator at the address; only for private
    /// networks
    #[arg(long = "insecure", conflicts_with = "ca")]
    pub(crate) is_insecure: bool,

    /// Print only errors to standard error
    #[arg(long)]
    pub(crate) quiet: bool,

    /// Format of log lines
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) log_format: LogFormat,
}

impl Cli {
    pub(crate) fn vcores(&self) -> usize {
        self.vcores.map_or_else(
            || std::thread::available_parallelism().map_or(1, usize::from),
            |vcores| usize::try_from(vcores).unwrap_or(1),
        )
    }

    pub(crate) fn memory_bytes(&self) -> u64 {
        self.memory.map_or_else(|| available_bytes() / 2, |memory| memory.as_u64())
    }

    pub(crate) fn scratch(&self) -> Option<&Path> {
        self.scratch.as_deref()
    }

    pub(crate) fn name(&self) -> String {
        // Linux only; elsewhere the name is `worker` unless it is set.
        let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned());
        self.name.clone().or_else(host).unwrap_or_else(|| "worker".to_owned())
    }

    pub(crate) fn certificates(&self) -> Option<Certificates> {
        let (Some(ca), Some(cert), Some(key)) = (&self.ca, &self.cert, &self.key) else { return None };
        Some(Certificates { ca: ca.clone(), cert: cert.clone(), key: key.clone() })
    }

    /// Rejects options that would let any process at the coordinator's address send tasks to this
    /// worker.
    ///
    /// # Errors
    /// A configuration error if the coordinator is on another machine and neither TLS nor
    /// `--insecure` is given.
    pub(crate) fn check_exposure(&self) -> Result<()> {
        let host = self.host();
        let is_loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        if self.is_insecure || self.ca.is_some() || is_loopback {
            return Ok(());
        }
        Err(Error::configuration(format!(
            "any process at `{}` could send tasks to this worker, because the connection has no TLS",
            self.coordinator
        ))
        .hint("use --ca, --cert and --key, or --insecure on a private network"))
    }

    /// Returns the host of the coordinator, as its certificate names it.
    pub(crate) fn host(&self) -> &str {
        // An IPv6 address has brackets here, but not in a certificate.
        self.coordinator.rsplit_once(':').map_or("", |(host, _)| host).trim_matches(['[', ']'])
    }
}

fn name(text: &str) -> std::result::Result<String, String> {
    if (1..=MAX_NAME_BYTES).contains(&text.len()) {
        Ok(text.to_owned())
    } else {
        Err(format!("a name has 1 to {MAX_NAME_BYTES} bytes"))
    }
}

fn address(text: &str) -> std::result::Result<String, String> {
    let is_address = text
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && !host.contains('/') && port.parse::<u16>().is_ok());
    if is_address {
        Ok(text.to_owned())
    } else {
        Err("expected a host and a port, such as `lake.internal:50051`".to_owned())
    }
}
