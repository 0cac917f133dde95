//! The commands, one file each. They return values or rows, and print them through `print`.

use std::borrow::Cow;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use lakewright_common::config::{self, Purpose, resolved::Config};
use lakewright_common::error::{Context, Error, Kind, Result};
use lakewright_common::printable;
use lakewright_common::process::allocator;
use lakewright_common::process::telemetry::LogFormat;
use serde::Serialize;

use crate::cli::{Cli, Command};
use crate::lake::intact;
use crate::open;
use glue::Catalog;

/// Runs the pipeline once and prints its summary.
mod run;
/// Validates and lists what a run would ingest.
mod dry_run;
/// Verifies the files of one version.
mod deep;
/// A read-only query over one version.
mod query;
/// Rows, files and bytes of the tables.
mod tables;
/// A checksum of a table that does not depend on the order of its rows.
mod checksum;
/// The commits of the lake.
mod history;
/// Rejected records.
mod quarantine;
/// Tables in the catalog of AWS.
mod glue;
/// Deletes files that no version needs.
mod vacuum;
/// Brings the Delta logs up to the newest version, or overwrites them.
mod publish;
/// The system tables: queryable metadata of the lake.
mod system;

/// Runs the command of the command line.
///
/// # Errors
/// The error of the command. If storage failed, its hint describes the damage to the newest
/// version.
pub(crate) async fn execute(cli: Cli) -> Result<()> {
    let command = cli.command.unwrap_or(Command::Run { rebuild: vec![], json: false });
    let is_run = matches!(command, Command::Run { .. } | Command::Check { deep: false, .. });
    let purpose = if is_run { Purpose::Run } else { Purpose::Look };
    let config = config::load(&cli.config, purpose, std::env::vars())?;
    allocator::stay_within(config.limits.memory_bytes);
    match dispatch(command, &config, cli.quiet, cli.log_format).await {
        Err(error) if error.kind == Kind::Storage => Err(with_damage(&config, error).await),
        outcome => outcome,
    }
}

async fn dispatch(command: Command, config: &Config, is_quiet: bool, log_format: LogFormat) -> Result<()> {
    match command {
        Command::Run { rebuild, json: is_json } => {
            run::run(config, &rebuild, run::Reporting { is_quiet, is_json, log_format }).await
        }
        Command::Check { deep: true, version, .. } => deep::check_deep(config, version).await,
        Command::Check { sample, json, .. } => dry_run::check(config, sample, json).await,
        Command::Query { sql, version, format } => query::query(config, &sql, version, format.format()).await,
        Command::Tables { checksum, version, format } => {
            tables::tables(config, checksum, version, format.format()).await
        }
        Command::Catalog { database, apply, symlinks, json } => {
            let what = match (apply, symlinks, json) {
                (true, true, _) => Catalog::ApplySymlinks,
                (true, false, _) => Catalog::Apply,
                (false, _, true) => Catalog::Json,
                (false, _, false) => Catalog::Statements,
            };
            glue::catalog(config, &database, what).await
        }
        Command::Publish { table, overwrite } => publish::publish(config, &table, overwrite).await,
        Command::Vacuum { retention, delete } => vacuum::vacuum(config, retention, delete).await,
        Command::History { format } => history::history(config, format.format()).await,
        Command::Quarantine { source, reason, records, format } => {
            quarantine::quarantine(config, source, reason, records, format.format()).await
        }
    }
}

/// Adds to a storage error which files of the newest version are damaged, and which version is
/// intact. Returns the error unchanged if the storage does not answer in time.
async fn with_damage(config: &Config, error: Error) -> Error {
    let search = async {
        let lake = open::lake_or_empty(config).await?;
        intact::describe_damage(&lake).await
    };
    match tokio::time::timeout(SEARCH_TIMEOUT, search).await {
        Ok(Ok(Some(damage))) => {
            let hint = error.hint.as_ref().map_or_else(|| damage.clone(), |hint| format!("{hint}\nhint: {damage}"));
            error.hint(hint)
        }
        _ => error,
    }
}

/// Time that a failed command spends on the search for an intact version.
const SEARCH_TIMEOUT: Duration = Duration::from_secs(10);

/// Prints a value as one line of JSON on standard output.
///
/// # Errors
/// Storage, if standard output cannot be written.
fn print_json(value: &impl Serialize) -> Result<()> {
    let mut json = serde_json::to_vec(value).context(|| Error::internal("the result cannot be written as JSON"))?;
    json.push(b'\n');
    print(&json)
}

/// Writes to standard output. A reader that closed the pipe, such as `head`, is no error.
///
/// # Errors
/// Storage, if standard output cannot be written.
fn print(bytes: &[u8]) -> Result<()> {
    let mut stdout = std::io::stdout();
    let shown = shown(bytes, stdout.is_terminal());
    match stdout.write_all(&shown) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::storage("write", "standard output", e)),
        _ => Ok(()),
    }
}

/// Returns the bytes to write. A file or a pipe receives the data unchanged. On a terminal, control
/// characters in the data are escaped, because formats such as CSV do not escape them.
fn shown(bytes: &[u8], on_terminal: bool) -> Cow<'_, [u8]> {
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
