//! What each command does, a file per command; `run` is the pipeline itself.

use std::borrow::Cow;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use lakewright_common::config::{self, Purpose, resolved::Config};
use lakewright_common::error::{Error, Kind, Result};
use lakewright_common::printable;
use lakewright_common::process::allocator;
use lakewright_common::process::telemetry;

use crate::cli::{Cli, Command};
use crate::lake::intact;
use crate::open;
use crate::progress::Progress;
use crate::run::Outcome;
use glue::Catalog;

/// Validates and lists what a run would take in.
mod dry_run;
/// Verifies the files of one version.
mod deep;
/// A read-only query over one version.
mod query;
/// What the tables hold.
mod tables;
/// A checksum of a table that does not depend on the order of its rows.
mod checksum;
/// Which commits there were.
mod history;
/// What was rejected.
mod quarantine;
/// Tables in the catalog of AWS.
mod glue;
/// What nothing needs any more.
mod vacuum;
/// Delta logs brought up to the lake, or made equal to it.
mod publish;
/// The lake's own books as tables.
mod system;

/// Does what the command line says.
///
/// # Errors
/// As the command says.
pub(crate) async fn execute(cli: Cli) -> Result<()> {
    let command = cli.command.unwrap_or(Command::Run { rebuild: vec![] });
    let is_run = matches!(command, Command::Run { .. } | Command::Check { deep: false, .. });
    let purpose = if is_run { Purpose::Run } else { Purpose::Look };
    let config = config::load(&cli.config, purpose, std::env::vars())?;
    allocator::stay_within(config.limits.memory_bytes);
    match carry_out(command, &config, cli.quiet).await {
        Err(error) if error.kind == Kind::Storage => Err(with_damage(&config, error).await),
        outcome => outcome,
    }
}

async fn carry_out(command: Command, config: &Config, quiet: bool) -> Result<()> {
    match command {
        Command::Run { rebuild } => run(config, &rebuild, quiet).await,
        Command::Check { deep: true, version, .. } => deep::check_deep(config, version).await,
        Command::Check { sample, .. } => dry_run::check(config, sample).await,
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

/// The error, with what is missing of the newest version and which version is whole. The failure is not held back for
/// long where the storage answers nothing.
async fn with_damage(config: &Config, error: Error) -> Error {
    let look = async {
        let lake = open::lake_or_empty(config).await?;
        intact::describe_damage(&lake).await
    };
    match tokio::time::timeout(PATIENCE, look).await {
        Ok(Ok(Some(damage))) => {
            let hint = error.hint.as_ref().map_or_else(|| damage.clone(), |hint| format!("{hint}\nhint: {damage}"));
            error.hint(hint)
        }
        _ => error,
    }
}

/// How long a failed command looks for an intact version.
const PATIENCE: Duration = Duration::from_secs(10);

const NOTHING_AT_ALL: &str = "nothing to take in: no source has an object, and the lake has no version yet";
const ALL_SKIPPED: &str = "nothing was ingested: every new object was skipped";
const NOTHING_NEW: &str = "nothing new: every object was taken in before, and no model, key or check changed";

async fn run(config: &Config, rebuild: &[String], quiet: bool) -> Result<()> {
    let progress = Progress::start(quiet);
    let summary = crate::run::run(config, rebuild, &progress).await;
    let text = match summary? {
        Outcome::Committed(summary) => summary.text(),
        Outcome::NothingNew { is_begun, skipped } => {
            let mut text = match is_begun {
                _ if skipped.has_skipped() => ALL_SKIPPED,
                true => NOTHING_NEW,
                false => NOTHING_AT_ALL,
            }
            .to_owned();
            skipped.warnings().iter().for_each(|warning| text.push_str(&format!("\nwarning: {warning}")));
            text
        }
    };
    if !quiet {
        telemetry::conclude(&text);
    }
    Ok(())
}

/// Writes to standard output; a reader that went away (`| head`) is no failure.
fn print(bytes: &[u8]) -> Result<()> {
    let mut stdout = std::io::stdout();
    let shown = shown(bytes, stdout.is_terminal());
    match stdout.write_all(&shown) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::storage("write", "standard output", e)),
        _ => Ok(()),
    }
}

/// A file or a pipe gets data as they are; what formats such as CSV hold must not act on a terminal.
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
    fn data_are_data_but_on_a_terminal() {
        let csv = "id,name\n1,\"\u{1b}[2J\n\"\n".as_bytes();
        assert_eq!(shown(csv, false).as_ref(), csv);
        assert_eq!(shown(csv, true).as_ref(), b"id,name\n1,\"\\u{1b}[2J\n\"\n");
    }
}
