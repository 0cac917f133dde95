//! Logs: one set-up for every process. Logs go to stderr, stdout carries data.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging for this process; `RUST_LOG` overrides the level.
pub fn start(format: LogFormat, quiet: bool) {
    // Tonic tells of a connection that it refused for its certificate at no higher level, and to nobody else.
    let default = if quiet {
        "error"
    } else {
        "warn,coordinator=info,worker=info,lakewright_common=info,tonic::transport::server::io_stream=debug,ballista_core=off,ballista_executor=off,ballista_scheduler=off"
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second set-up in one process (a test) is harmless: the first stays.
    let _ = match format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).compact().try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}
