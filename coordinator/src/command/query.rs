//! `query`: read-only SQL over the tables of one version of the lake.

use std::io::IsTerminal;

use lakewright_common::config::resolved::Config;
use lakewright_common::error::Result;

use super::shell;
use crate::output::Format;

/// Splits SQL text into statements.
pub(super) mod statements;
/// Runs several statements.
mod script;

/// Runs the statements of `sql` and prints their rows.
///
/// # Errors
/// A configuration error for a query that does not parse, names an unknown table or column, or does
/// more than read.
pub(super) async fn query(config: &Config, sql: &str, version: Option<u64>, format: Format) -> Result<()> {
    script::run(config, sql, version, format).await
}

/// Opens a shell if standard input is a terminal. Otherwise runs the statements that standard input
/// contains.
///
/// # Errors
/// The errors of [`query`]. In a shell, only errors that end it.
pub(super) async fn query_standard_input(
    config: &Config,
    version: Option<u64>,
    format: Format,
    is_quiet: bool,
) -> Result<()> {
    if std::io::stdin().is_terminal() {
        shell::open(config, version, format, is_quiet).await
    } else {
        script::run_standard_input(config, version, format).await
    }
}
