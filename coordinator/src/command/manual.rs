//! `completions` and `man`: files for shells and for `man`, made from the definition of the command
//! line.

use std::io::Write;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;
use lakewright_common::error::{Error, Result};

use crate::cli::Cli;

/// Prints the completions of a shell.
///
/// # Errors
/// A storage error if standard output cannot be written.
pub(super) fn completions(shell: Shell) -> Result<()> {
    // Buffered, because the generator panics if it cannot write.
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "coordinator", &mut text);
    std::io::stdout().write_all(&text).map_err(|e| Error::storage("write", "standard output", e))
}

/// Writes a manual page for the program and for each command into a folder, which is created.
///
/// # Errors
/// A storage error if the folder cannot be written.
pub(super) fn pages(folder: &Path) -> Result<()> {
    let failed = |e| Error::storage("write", folder.display().to_string(), e);
    std::fs::create_dir_all(folder).map_err(failed)?;
    clap_mangen::generate_to(Cli::command(), folder).map_err(failed)
}
