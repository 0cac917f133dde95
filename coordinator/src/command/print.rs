//! Prints results of commands on standard output.

use std::borrow::Cow;
use std::io::{IsTerminal, Write};

use arrow::array::{ArrayRef, RecordBatch};
use lakewright_common::error::{Context, Error, Result};
use lakewright_common::printable;
use serde::Serialize;

use crate::output::{self, Format};

/// Prints a value as one line of JSON on standard output.
///
/// # Errors
/// A storage error if standard output cannot be written.
pub(super) fn print_json(value: &impl Serialize) -> Result<()> {
    let mut json = serde_json::to_vec(value).context(|| Error::internal("the result cannot be written as JSON"))?;
    json.push(b'\n');
    print(&json)
}

/// Prints columns of equal length as rows.
pub(super) fn print_columns(columns: Vec<(&'static str, ArrayRef)>, format: Format) -> Result<()> {
    let rows = RecordBatch::try_from_iter(columns).context(|| Error::internal("cannot list the rows"))?;
    let mut text = Vec::new();
    output::write(&mut text, &[rows], format)?;
    print(&text)
}

/// Writes to standard output. A reader that closed the pipe, such as `head`, is no error.
///
/// # Errors
/// A storage error if standard output cannot be written.
pub(super) fn print(bytes: &[u8]) -> Result<()> {
    print_unless_closed(bytes).map(|_| ())
}

/// Does the same as [`print()`]. Returns `false` if the reader closed the pipe.
///
/// # Errors
/// The errors of [`print()`].
pub(super) fn print_unless_closed(bytes: &[u8]) -> Result<bool> {
    let mut stdout = std::io::stdout();
    let shown = shown(bytes, stdout.is_terminal());
    match stdout.write_all(&shown) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(e) => Err(Error::storage("write", "standard output", e)),
    }
}

/// Returns the bytes to write. A file or a pipe receives the data unchanged. On a terminal, control
/// characters in the data are escaped, because formats such as CSV do not escape them.
fn shown(bytes: &[u8], on_terminal: bool) -> Cow<'_, [u8]> {
    // Bytes that are not UTF-8 are never text for a person, so they pass unchanged.
    match std::str::from_utf8(bytes) {
        Ok(text) if on_terminal => match printable::lines(text) {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        },
        _ => Cow::Borrowed(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_escaped_only_on_a_terminal() {
        let csv = "id,name\n1,\"\u{1b}[2J\n\"\n".as_bytes();
        assert_eq!(shown(csv, false).as_ref(), csv);
        assert_eq!(shown(csv, true).as_ref(), b"id,name\n1,\"\\u{1b}[2J\n\"\n");
    }
}
