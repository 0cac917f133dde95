//! What a process says of itself: one set-up for all of them. It goes to stderr, stdout carries data.
//!
//! Messages and fields may quote records, keys and other processes, so everything passes `printable` on its way out.

use std::fmt::Debug;
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;

use clap::ValueEnum;
use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

use crate::error::Error;
use crate::printable;

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
    let builder = tracing_subscriber::fmt().with_env_filter(filter);
    // A second set-up in one process (a test) is harmless: the first stays.
    let _ = match format {
        LogFormat::Text => builder
            .with_writer(io::stderr)
            .with_ansi(io::stderr().is_terminal())
            .with_target(false)
            .compact()
            .fmt_fields(debug_fn(write_field).delimited(" "))
            .try_init(),
        LogFormat::Json => builder.with_writer(|| JsonLog(io::stderr())).json().flatten_event(true).try_init(),
    };
}

/// A field of a line of text: one line, whatever it quotes.
fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> std::fmt::Result {
    let text = format!("{value:?}");
    let text = printable::without_secrets(&text);
    let text = printable::line(&text);
    match field.name() {
        "message" => writer.write_str(&text),
        name => write!(writer, "{name}={text}"),
    }
}

/// Lines of JSON, whose own escapes leave out what is no control character of ASCII.
struct JsonLog(io::Stderr);

impl Write for JsonLog {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // A line comes whole.
        match std::str::from_utf8(line) {
            Ok(text) => self.0.write_all(printable::json(&printable::without_secrets(text)).as_bytes())?,
            Err(_) => self.0.write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// What came of it all, for people; one more line of the log where programs read it.
pub fn conclude(text: &str) {
    match FORMAT.get() {
        Some(LogFormat::Json) => tracing::info!("{text}"),
        _ => drop(writeln!(io::stderr(), "{}", printable::lines(text))),
    }
}

/// Why it came to nothing.
pub fn tell(error: &Error) {
    if FORMAT.get() == Some(&LogFormat::Json) {
        tracing::error!(hint = error.hint.as_deref(), "{error}");
        return;
    }
    let mut stderr = io::stderr();
    let _ = writeln!(stderr, "error: {}", shown(&error.to_string()));
    if let Some(hint) = &error.hint {
        let _ = writeln!(stderr, "hint: {}", shown(hint));
    }
}

/// A message of ours, which may be a table of several lines.
fn shown(text: &str) -> String {
    printable::lines(&printable::without_secrets(text)).into_owned()
}
