//! Runs the statements of a text one after another.

use lakewright_common::config::resolved::Config;
use lakewright_common::error::{Error, Result};

use super::statements::{Rest, Statement, split};
use crate::command::print::print_unless_closed;
use crate::output::{self, Format};
use crate::view::View;

/// Reads standard input to its end and runs its statements.
///
/// # Errors
/// The errors of [`run`]. A configuration error for text that is not UTF-8.
pub(super) async fn run_standard_input(config: &Config, version: Option<u64>, format: Format) -> Result<()> {
    let read = tokio::task::spawn_blocking(|| std::io::read_to_string(std::io::stdin()));
    let read = read.await.map_err(|e| Error::internal("cannot read standard input").caused_by(e))?;
    let text = read.map_err(|e| match e.kind() {
        std::io::ErrorKind::InvalidData => Error::configuration("standard input is not UTF-8 text"),
        _ => Error::storage("read", "standard input", e),
    })?;
    // Some programs start a file with a byte order mark.
    run(config, text.strip_prefix('\u{feff}').unwrap_or(&text), version, format).await
}

/// Runs the statements of `text` in order and prints the rows of each. All statements read the same
/// version of the lake. Stops at the first error, or if the reader of standard output is gone.
///
/// # Errors
/// The error of the first statement that fails, with its number and line if there are several
/// statements. A configuration error for a text without a statement.
pub(super) async fn run(config: &Config, text: &str, version: Option<u64>, format: Format) -> Result<()> {
    let statements = statements(text);
    if statements.is_empty() {
        return Err(Error::configuration("there is no SQL statement to run")
            .hint("write a statement after `coordinator query`, or send statements to its standard input"));
    }
    let view = View::open(config, version).await?;
    for (number, statement) in (1..).zip(&statements) {
        // Without a blank line, two tables of Markdown would be one.
        let separator = if number > 1 && matches!(format, Format::Markdown) { "\n" } else { "" };
        let outcome = run_one(&view, statement, format, separator).await;
        let is_open = outcome.map_err(|error| match statements.len() {
            1 => error,
            _ => named(error, number, statement.line),
        })?;
        if !is_open {
            break;
        }
    }
    Ok(())
}

/// Returns all statements of a text, also a last one without `;`.
fn statements(text: &str) -> Vec<Statement<'_>> {
    let (mut statements, rest) = split(text);
    match rest {
        Rest::Blank => {}
        // DataFusion reports what is wrong with an unterminated or invalid statement.
        Rest::Open(last) | Rest::Quoted(last) | Rest::Invalid(last) => statements.push(last),
    }
    statements
}

/// Runs one statement and prints `separator` and its rows. Returns whether standard output still has a
/// reader.
async fn run_one(view: &View, statement: &Statement<'_>, format: Format, separator: &str) -> Result<bool> {
    let rows = view.rows(statement.sql).await?;
    let mut text = separator.as_bytes().to_vec();
    output::write(&mut text, &rows, format)?;
    print_unless_closed(&text)
}

fn named(mut error: Error, number: u64, line: u64) -> Error {
    error.message = format!("statement {number} (line {line}): {}", error.message);
    error
}
