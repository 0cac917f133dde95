//! What a process says of itself: one set-up for all of them. It goes to stderr, stdout carries data.

use std::io::{IsTerminal, Write};
use std::sync::OnceLock;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

use crate::error::Error;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    /// One JSON object a line.
    Json,
}

/// Of this process.
static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// Starts logging for this process; `RUST_LOG` overrides the level.
pub fn start(format: LogFormat, quiet: bool) {
    let _ = FORMAT.set(format);
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

/// What came of it all, for people; one more line of the log where programs read it.
pub fn conclude(text: &str) {
    match FORMAT.get() {
        Some(LogFormat::Json) => tracing::info!("{text}"),
        _ => drop(writeln!(std::io::stderr(), "{text}")),
    }
}

/// Why it came to nothing.
pub fn tell(error: &Error) {
    if FORMAT.get() == Some(&LogFormat::Json) {
        tracing::error!(hint = error.hint.as_deref(), "{error}");
        return;
    }
    let mut stderr = std::io::stderr();
    let _ = writeln!(stderr, "error: {error}");
    if let Some(hint) = &error.hint {
        let _ = writeln!(stderr, "hint: {hint}");
    }
}
