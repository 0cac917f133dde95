//! Reads lines from the terminal, and keeps a history of them in a file.

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use lakewright_common::error::{Error, Result};
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Behavior, Config};

/// Maximum number of entries of the history.
const MAX_ENTRIES: usize = 1000;

/// The line editor.
pub(super) struct Editor {
    lines: rustyline::Editor<(), FileHistory>,
    /// File of the history, or `None` if the user has no folder for it.
    history: Option<PathBuf>,
}

/// Input of the user at the prompt.
pub(super) enum Read {
    Line(String),
    /// Pressed Ctrl-C.
    Interrupted,
    /// Pressed Ctrl-D.
    End,
}

impl Editor {
    /// Opens the terminal and reads the history. A history that cannot be read is empty.
    ///
    /// # Errors
    /// A storage error if the terminal cannot be used.
    pub(super) fn open() -> Result<Self> {
        // The prompt goes to the terminal even if standard output is a file.
        let config =
            Config::builder().behavior(Behavior::PreferTerm).max_history_size(MAX_ENTRIES).map(|it| it.build());
        let lines = config.and_then(rustyline::Editor::with_config).map_err(terminal_error)?;
        let mut editor = Self { lines, history: history_file(|name| std::env::var_os(name).map(PathBuf::from)) };
        if let Some(file) = &editor.history {
            let loaded = editor.lines.load_history(file);
            log_failure(loaded.map_err(|e| e.to_string()));
        }
        Ok(editor)
    }

    /// Reads a line.
    ///
    /// # Errors
    /// A storage error if the terminal cannot be read.
    pub(super) fn read(&mut self, prompt: &str) -> Result<Read> {
        match self.lines.readline(prompt) {
            Ok(line) => Ok(Read::Line(line)),
            Err(ReadlineError::Interrupted | ReadlineError::Signal(_)) => Ok(Read::Interrupted),
            Err(ReadlineError::Eof) => Ok(Read::End),
            Err(error) => Err(terminal_error(error)),
        }
    }

    /// Adds an entry to the history and its file. A file that cannot be written is no error.
    pub(super) fn remember(&mut self, text: &str) {
        log_failure(self.lines.add_history_entry(text).map_err(|e| e.to_string()));
        if let Some(file) = &self.history {
            let written = create_private(file).map_err(|e| e.to_string());
            log_failure(written.and_then(|()| self.lines.append_history(file).map_err(|e| e.to_string())));
        }
    }
}

fn terminal_error(error: ReadlineError) -> Error {
    Error::storage("read", "the terminal", error)
}

fn log_failure<T>(outcome: std::result::Result<T, String>) {
    if let Err(error) = outcome {
        tracing::debug!(error, "the history of the shell cannot be used");
    }
}

/// Returns the file of the history, in the folder that the XDG specification names for it.
/// `variable` reads the environment.
fn history_file(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    // The specification says to ignore relative paths.
    let folder = |name| variable(name).filter(|path| path.is_absolute());
    let state = folder("XDG_STATE_HOME").or_else(|| Some(folder("HOME")?.join(".local/state")))?;
    Some(state.join("lakewright/query_history"))
}

/// Creates a file that only its user may read, because queries may contain secrets.
fn create_private(file: &Path) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    OpenOptions::new().create(true).append(true).mode(0o600).open(file).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_history_is_in_the_state_folder() {
        let file = |state: Option<&str>, home: Option<&str>| {
            history_file(|name| if name == "HOME" { home } else { state }.map(PathBuf::from))
        };
        let at = |path: &str| Some(PathBuf::from(path));
        assert_eq!(file(Some("/s"), Some("/h")), at("/s/lakewright/query_history"));
        assert_eq!(file(None, Some("/h")), at("/h/.local/state/lakewright/query_history"));
        assert_eq!(file(Some("s"), Some("/h")), at("/h/.local/state/lakewright/query_history"));
        assert_eq!(file(Some(""), Some("")), None);
        assert_eq!(file(None, None), None);
    }
}
