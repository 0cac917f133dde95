//! The shell: reads statements from a terminal, runs each, and prints its rows.
//!
//! ```text
//! editor ─ line ─► input ─ statements, commands ─► query ─ rows or error ─► terminal
//! ```
//!
//! The shell has a thread of its own, because the editor blocks it. Queries run on a runtime of their
//! own, because a query can keep all threads of a runtime busy. An error of a query is printed and the
//! shell continues.

/// Reads lines from the terminal, with a history.
mod editor;
/// Collects lines until a statement is complete.
mod input;
/// Commands that start with a backslash.
mod backslash;
/// Runs work until it ends or the user presses Ctrl-C.
mod cancel;
/// Restores the mode of the terminal.
mod terminal_mode;

use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use lakewright_common::config::resolved::Config;
use lakewright_common::error::{Context, Error, Kind, Result};
use lakewright_common::process::telemetry;
use tokio::signal::unix::Signal;
use tokio::sync::oneshot;

use super::print::print_unless_closed;
use super::with_damage;
use crate::exit;
use crate::output::{self, Format};
use crate::query_text;
use crate::view::View;
use backslash::Backslash;
use cancel::Canceller;
use editor::{Editor, Read};
use input::{Entry, Input};
use terminal_mode::TerminalMode;

/// Number of bytes that are printed before the shell looks for Ctrl-C again.
const PRINTED_AT_ONCE: usize = 64 << 10;

/// Opens a shell over `version`, or over the version that is the newest when a query starts.
/// Returns when the user quits.
///
/// # Errors
/// The errors of [`View::open`]. A storage error if the terminal cannot be read.
pub(super) async fn open(config: &Config, version: Option<u64>, format: Format, is_quiet: bool) -> Result<()> {
    let view = Arc::new(View::open(config, version).await?);
    let shell = Shell {
        config: Arc::new(config.clone()),
        view,
        is_pinned: version.is_some(),
        format,
        is_quiet,
        is_timed: false,
        is_cancelled: false,
    };
    // SIGTERM drops this function's future, and with it the mode, while the thread waits for a key.
    let _mode = TerminalMode::save();
    exit::leave_interrupts_to_command();
    let (sender, outcome) = oneshot::channel();
    std::thread::Builder::new()
        .name("shell".to_owned())
        .spawn(move || drop(sender.send(shell.run())))
        .map_err(|e| Error::of_system("cannot start a thread", e))?;
    outcome.await.context(|| Error::internal("the shell panicked"))?
}

struct Shell {
    config: Arc<Config>,
    /// The version that the last query read.
    view: Arc<View>,
    /// Whether the user chose the version.
    is_pinned: bool,
    format: Format,
    is_quiet: bool,
    /// Whether the time of each query is printed.
    is_timed: bool,
    /// Whether a query was cancelled, so that the lake must be opened again.
    is_cancelled: bool,
}

/// Next step of the shell after an entry.
#[derive(PartialEq, Eq)]
enum Next {
    Continue,
    /// The user pressed Ctrl-C.
    Cancelled,
    Quit,
}

/// Rows that the user asked for.
enum Request {
    Sql(String),
    Tables,
}

impl Shell {
    fn run(mut self) -> Result<()> {
        let mut canceller = Canceller::new()?;
        let mut editor = Editor::open()?;
        let mut input = Input::default();
        if !self.is_quiet {
            let version = self.view.manifest.version;
            telemetry::conclude(&format!(
                "version {version} of the lake `{}`; \\? shows help, \\q quits",
                self.config.lake
            ));
        }
        loop {
            // Listen before the editor reads, so that Ctrl-C also cancels a query that is just
            // about to start.
            let mut interrupt = canceller.listen()?;
            let line = match editor.read(&self.prompt(input.is_pending()))? {
                Read::Line(line) => line,
                Read::Interrupted => {
                    input.clear();
                    continue;
                }
                Read::End => return Ok(()),
            };
            for entry in input.add(&line) {
                editor.remember(&entry.text());
                match self.respond(entry, &mut canceller, &mut interrupt) {
                    Next::Continue => {}
                    Next::Cancelled => {
                        input.clear();
                        break;
                    }
                    Next::Quit => return Ok(()),
                }
            }
        }
    }

    fn prompt(&self, is_pending: bool) -> String {
        let prompt = format!("version {}> ", self.view.manifest.version);
        if is_pending { format!("{:>1$}", "-> ", prompt.len()) } else { prompt }
    }

    /// Does what the user asked for.
    fn respond(&mut self, entry: Entry, canceller: &mut Canceller, interrupt: &mut Signal) -> Next {
        let request = match entry {
            Entry::Statement(sql) => Request::Sql(sql),
            Entry::Backslash(Backslash::Tables) => Request::Tables,
            Entry::Backslash(Backslash::Columns(table)) => Request::Sql(query_text::describe(&table)),
            Entry::Backslash(Backslash::Quit) => return Next::Quit,
            Entry::Backslash(Backslash::Help) => {
                telemetry::conclude(backslash::HELP);
                return Next::Continue;
            }
            Entry::Backslash(Backslash::Timing) => {
                self.is_timed = !self.is_timed;
                telemetry::conclude(if self.is_timed { "timing is on" } else { "timing is off" });
                return Next::Continue;
            }
            Entry::Backslash(Backslash::Unknown(name)) => {
                telemetry::report(
                    &Error::configuration(format!("there is no command `{name}`")).hint("\\? lists the commands"),
                );
                return Next::Continue;
            }
        };
        self.answer(request, canceller, interrupt)
    }

    /// Prints the rows of a request, or its error.
    fn answer(&mut self, request: Request, canceller: &mut Canceller, interrupt: &mut Signal) -> Next {
        let started = Instant::now();
        let (view, config, format) = (Arc::clone(&self.view), Arc::clone(&self.config), self.format);
        let (is_pinned, is_quiet) = (self.is_pinned, self.is_quiet);
        let is_cancelled = std::mem::take(&mut self.is_cancelled);
        let work = async move {
            let mut newest = Arc::clone(&view);
            let outcome = async {
                if is_cancelled {
                    let version = is_pinned.then_some(view.manifest.version);
                    newest = Arc::new(View::open(&config, version).await?);
                } else if !is_pinned {
                    newest = Arc::clone(&view).newest(&config).await?;
                }
                if newest.manifest.version != view.manifest.version && !is_quiet {
                    telemetry::conclude(&format!("the newest version is now {}", newest.manifest.version));
                }
                print_rows(&newest, request, format).await
            };
            let outcome = match outcome.await {
                Err(error) if error.kind == Kind::Storage => Err(with_damage(&config, error).await),
                outcome => outcome,
            };
            (newest, outcome)
        };
        let outcome = match canceller.run(work, interrupt) {
            Ok(Some((view, outcome))) => {
                self.view = view;
                outcome
            }
            Ok(None) => {
                telemetry::conclude("cancelled");
                self.is_cancelled = true;
                return Next::Cancelled;
            }
            // The query panicked.
            Err(error) => Err(error),
        };
        match outcome {
            Ok(true) => {}
            Ok(false) => return Next::Quit,
            Err(error) => telemetry::report(&error),
        }
        if self.is_timed {
            telemetry::conclude(&format!("time: {:.3} s", started.elapsed().as_secs_f64()));
        }
        Next::Continue
    }
}

/// Prints the rows of a request. Returns whether standard output still has a reader.
async fn print_rows(view: &View, request: Request, format: Format) -> Result<bool> {
    let rows = match request {
        Request::Sql(sql) => view.rows(&sql).await?,
        Request::Tables => vec![tables(view)?],
    };
    let mut text = Vec::new();
    output::write(&mut text, &rows, format)?;
    for lines in pieces(&text) {
        // A cancelled task ends here.
        tokio::task::yield_now().await;
        if !print_unless_closed(lines)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns the tables that queries can read.
fn tables(view: &View) -> Result<RecordBatch> {
    let names = view.table_names();
    let column = |name: fn(&(String, String)) -> &String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(names.iter().map(name)))
    };
    RecordBatch::try_from_iter([("schema", column(|name| &name.0)), ("table", column(|name| &name.1))])
        .context(|| Error::internal("cannot list the tables"))
}

/// Cuts text into pieces of whole lines, of about [`PRINTED_AT_ONCE`] bytes.
fn pieces(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let minimum = rest.len().min(PRINTED_AT_ONCE);
        let end = rest[minimum..].iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| minimum + at + 1);
        let (piece, behind) = rest.split_at(end);
        rest = behind;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_whole_lines_and_lose_nothing() {
        for (line, lines) in [("é|a\n", 50_000), ("a\n", 1), ("no end", 1), ("", 1)] {
            let text = line.repeat(lines);
            let pieces: Vec<&[u8]> = pieces(text.as_bytes()).collect();
            assert_eq!(pieces.concat(), text.as_bytes());
            assert!(pieces.iter().all(|piece| piece.ends_with(b"\n") || !line.ends_with('\n')));
            assert!(pieces.iter().all(|piece| piece.len() <= PRINTED_AT_ONCE + line.len()));
        }
    }
}
