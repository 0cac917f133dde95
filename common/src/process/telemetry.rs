//! Logging of all programs. Logs go to stderr, because stdout carries data.
//!
//! Messages and fields may contain text from records, keys and other processes, so all output is
//! escaped by `printable`.

use std::fmt::Debug;
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;

use clap::ValueEnum;
use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::util::SubscriberInitExt;

use crate::error::Error;
use crate::printable;

/// Format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    /// One JSON object per line.
    Json,
}

/// Format of this process's log.
static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// Starts logging for this process; `RUST_LOG` overrides the level.
pub fn start(format: LogFormat, quiet: bool) {
    let _ = FORMAT.set(format);
    // The Delta kernel logs the errors that it returns, with backtraces; we report these errors
    // ourselves. Tonic logs a connection that it rejected for its certificate at level debug, and
    // reports it nowhere else.
    let default = if quiet {
        "error,buoyant_kernel=off"
    } else {
        "warn,buoyant_kernel=off,coordinator=info,worker=info,lakewright_common=info,tonic::transport::server::io_stream=debug,ballista_core=off,ballista_executor=off,ballista_scheduler=off"
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    // A second setup in one process (a test) has no effect.
    let _ = match format {
        LogFormat::Text => text_log(filter, io::stderr, io::stderr().is_terminal()).try_init(),
        LogFormat::Json => json_log(filter, io::stderr).try_init(),
    };
}

fn text_log<W>(filter: EnvFilter, writer: W, is_terminal: bool) -> impl SubscriberInitExt
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(is_terminal)
        .with_target(false)
        .compact()
        .fmt_fields(debug_fn(write_field).delimited(" "))
        .finish()
}

fn json_log<W: Write>(filter: EnvFilter, writer: impl Fn() -> W + Send + Sync + 'static) -> impl SubscriberInitExt {
    let builder = tracing_subscriber::fmt().with_env_filter(filter);
    builder.with_writer(move || JsonLog(writer())).json().flatten_event(true).finish()
}

/// Writes a field of a log line in text format, escaped so that the log line stays one line.
fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> std::fmt::Result {
    let text = format!("{value:?}");
    let text = printable::without_secrets(&text);
    let text = printable::line(&text);
    match field.name() {
        "message" => writer.write_str(&text),
        name => write!(writer, "{name}={text}"),
    }
}

/// Writes JSON lines. JSON's own escapes cover only the ASCII control characters, so other control
/// characters are escaped here.
struct JsonLog<W>(W);

impl<W: Write> Write for JsonLog<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // Each call writes one complete line.
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

/// Prints the summary of a command, as a log line if the log is JSON.
pub fn conclude(text: &str) {
    match FORMAT.get() {
        Some(LogFormat::Json) => tracing::info!("{text}"),
        _ => drop(writeln!(io::stderr(), "{}", printable::lines(text))),
    }
}

/// Reports why the process fails: each failure with its hint, as lines of text or as JSON objects.
pub fn report(error: &Error) {
    if FORMAT.get() == Some(&LogFormat::Json) {
        for failure in error.each() {
            tracing::error!(hint = failure.hint.as_deref(), "{}", failure.text());
        }
        return;
    }
    let mut stderr = io::stderr();
    let failures: Vec<_> = error.each().collect();
    for (number, failure) in failures.iter().enumerate() {
        let _ = writeln!(stderr, "error: {}", shown(&failure.text()));
        // If consecutive failures have the same hint, it is printed once, below the last of them.
        let is_repeated = failures.get(number + 1).is_some_and(|next| next.hint == failure.hint);
        if let Some(hint) = failure.hint.as_deref().filter(|_| !is_repeated) {
            let _ = writeln!(stderr, "hint: {}", shown(hint));
        }
    }
}

/// Removes secrets from a message and escapes it. Keeps line feeds, because the message may be a
/// table of several lines.
fn shown(text: &str) -> String {
    printable::lines(&printable::without_secrets(text)).into_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Debug, Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Log {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Logs a failure of another process.
    fn log_something() {
        let error = "a\nerror: forged \u{1b}[2J\u{9b}31m\u{202e}, http://me:hunter2@h/?token=hunter2";
        tracing::warn!(worker = "w\n\u{1b}", task = 7, %error, "failed {}", "on\n\u{7}");
    }

    fn filter() -> EnvFilter {
        EnvFilter::new("info")
    }

    #[test]
    fn quoted_text_is_one_log_line_without_control_characters() {
        let log = Log::default();
        let writer = log.clone();
        tracing::dispatcher::with_default(&text_log(filter(), move || writer.clone(), false).into(), log_something);
        let text = log.text();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("WARN failed on\\n\\u{7} worker="), "{text}");
        assert!(text.contains("task=7 error=a\\nerror: forged \\u{1b}[2J\\u{9b}31m\\u{202e}, http://h/\n"), "{text}");
        assert!(!text.trim_end().contains(char::is_control), "{text:?}");
    }

    #[test]
    fn a_json_line_is_valid_json_without_control_characters() {
        let log = Log::default();
        let writer = log.clone();
        tracing::dispatcher::with_default(&json_log(filter(), move || writer.clone()).into(), log_something);
        let text = log.text();
        assert!(!text.trim_end().contains(char::is_control) && !text.contains("hunter2"), "{text:?}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["error"], "a\nerror: forged \u{1b}[2J\u{9b}31m\u{202e}, http://h/");
        assert_eq!(line["message"], "failed on\n\u{7}");
    }
}
