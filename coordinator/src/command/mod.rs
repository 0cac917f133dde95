//! The commands, one file each, and the one place that prints. `run` is the pipeline itself.

use std::borrow::Cow;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use arrow::array::{ArrayRef, RecordBatch};
use lakewright_common::config::{self, Purpose, resolved::Config};
use lakewright_common::error::{Context, Error, Kind, Result};
use lakewright_common::printable;
use lakewright_common::process::allocator;
use lakewright_common::process::telemetry;

use crate::cli::{Cli, Command};
use crate::lake::intact;
use crate::open;
use crate::output::{self, Format};
use crate::progress::Progress;
use crate::run::Outcome;
use glue::Catalog;

/// `check`: validates, and lists what a run would ingest.
mod dry_run;
/// `check --deep`: verifies the files of one version.
mod deep;
/// `query`: a read-only query over one version.
mod query;
/// `tables`: lists the tables of one version.
mod tables;
/// A checksum of a table that does not depend on the order of its rows.
mod checksum;
/// `history`: lists the commits.
mod history;
/// `quarantine`: counts or lists rejected records.
mod quarantine;
/// `catalog`: the tables for the catalog of AWS.
mod glue;
/// `vacuum`: lists or deletes files that no kept version needs.
mod vacuum;
/// `publish`: rolls Delta logs forward, or makes them equal to the lake.
mod publish;
/// The system tables.
mod system;

/// Runs the command of the command line.
///
/// # Errors
/// The errors of the command.
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
        Command::Check { deep: true, version, format, .. } => {
            deep::check_deep(config, version, format.format(), quiet).await
        }
        Command::Check { sample, format, .. } => {
            if format.format() != Format::Table {
                return Err(Error::configuration("`check` has an output format only with `--deep`")
                    .hint("add `--deep`, or leave the format out"));
            }
            dry_run::check(config, sample).await
        }
        Command::Query { sql, version, format } => query::query(config, &sql, version, format.format()).await,
        Command::Tables { checksum, version, format } => {
            tables::tables(config, checksum, version, format.format()).await
        }
        Command::Catalog { database, apply, symlinks, format } => {
            let what = match (apply, symlinks) {
                (true, true) => Catalog::ApplySymlinks,
                (true, false) => Catalog::Apply,
                (false, _) => Catalog::Print,
            };
            glue::catalog(config, &database, what, format.format()).await
        }
        Command::Publish { table, overwrite, format } => {
            publish::publish(config, &table, overwrite, format.format()).await
        }
        Command::Vacuum { retention, delete, format } => {
            vacuum::vacuum(config, retention, delete, format.format()).await
        }
        Command::History { format } => history::history(config, format.format()).await,
        Command::Quarantine { source, reason, records, format } => {
            quarantine::quarantine(config, source, reason, records, format.format()).await
        }
    }
}

/// Adds a hint to the error that says which files of the newest version are missing, and which
/// version has all of its files. Where storage does not respond, the error is not delayed for long.
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

/// Maximum time that a failed command looks for a version that has all its files.
const PATIENCE: Duration = Duration::from_secs(10);

const NOTHING_AT_ALL: &str = "nothing to take in: no source has an object, and the lake has no version yet";
const ALL_SKIPPED: &str = "nothing was ingested: every new object was skipped";
const NOTHING_NEW: &str = "nothing new: every object was taken in before, and no model, key or check changed";

async fn run(config: &Config, rebuild: &[String], quiet: bool) -> Result<()> {
    let progress = Progress::start(quiet);
    let mut unpublished = None;
    let text = match crate::run::run(config, rebuild, &progress).await? {
        Outcome::Committed(mut summary) => {
            unpublished = summary.unpublished();
            summary.text()
        }
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
    unpublished.map_or(Ok(()), Err)
}

/// Prints columns of equal length as rows.
fn print_columns(columns: Vec<(&'static str, ArrayRef)>, format: Format) -> Result<()> {
    let rows = RecordBatch::try_from_iter(columns).context(|| Error::internal("cannot list the rows"))?;
    let mut text = Vec::new();
    output::write(&mut text, &[rows], format)?;
    print(&text)
}

/// Writes to standard output. A reader that has closed the pipe (`| head`) is not a failure.
fn print(bytes: &[u8]) -> Result<()> {
    let mut stdout = std::io::stdout();
    let shown = shown(bytes, stdout.is_terminal());
    match stdout.write_all(&shown) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::storage("write", "standard output", e)),
        _ => Ok(()),
    }
}

/// Returns the bytes to print. A file or a pipe gets the data unchanged; on a terminal, control
/// characters are escaped.
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
