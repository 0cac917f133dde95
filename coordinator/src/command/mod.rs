//! The commands, one file each. They print their results with the functions of `print`.

use std::time::Duration;

use lakewright_common::config::{self, Purpose, resolved::Config};
use lakewright_common::error::{Error, Kind, Result};
use lakewright_common::process::allocator;
use lakewright_common::process::telemetry::LogFormat;

use crate::cli::{Cli, Command};
use crate::init::Options;
use crate::lake::intact;
use crate::open;
use crate::output::Format;
use glue::Catalog;

/// Runs the pipeline once and prints its summary.
mod run;
/// Prints the summary of a run as text.
mod summary_text;
/// `check`: validates the configuration and models, and lists what a run would ingest.
mod dry_run;
/// `check --deep`: verifies the files of one version.
mod deep;
/// `init`: writes a project for data.
mod init;
/// `query`: read-only queries over one version.
mod query;
/// The shell that `query` opens on a terminal.
mod shell;
/// `tables`: lists the tables with their rows, files and bytes.
mod tables;
/// A checksum of a table that does not depend on the order of its rows.
mod checksum;
/// `history`: lists the commits of the lake.
mod history;
/// `quarantine`: counts or lists rejected records.
mod quarantine;
/// `catalog`: prints the tables' definitions, or puts them into the AWS Glue Data Catalog.
mod glue;
/// `vacuum`: lists or deletes files that no kept version needs.
mod vacuum;
/// Brings the Delta logs up to the newest version, or overwrites them.
mod publish;
/// `ui`: serves pages.
mod ui;
/// `completions` and `man`: what shells and `man` need to know about the commands.
mod manual;
/// Prints results on standard output.
mod print;

/// Runs the command that the user chose on the command line.
///
/// # Errors
/// The error of the command. A storage error gets a hint that describes the damage, if any, to the
/// newest version of the lake.
pub(crate) async fn execute(cli: Cli) -> Result<()> {
    let command = cli.command.unwrap_or(Command::Run { rebuild: vec![], json: false });
    // There is no configuration yet.
    if let Command::Init { url, out, budget, all } = command {
        let budget = (!all).then_some(budget);
        return init::init(&Options { urls: url, out, budget }, cli.quiet).await;
    }
    match command {
        Command::Completions { shell } => return manual::completions(shell),
        Command::Man { folder } => return manual::pages(&folder),
        _ => {}
    }
    let is_run = matches!(command, Command::Run { .. } | Command::Check { deep: false, .. });
    // Only a run and its dry run need the settings for workers to be valid.
    let purpose = if is_run { Purpose::Run } else { Purpose::Look };
    let config = config::load(&cli.config, purpose, std::env::vars())?;
    allocator::stay_within(config.limits.memory_bytes);
    match dispatch(command, &config, cli.quiet, cli.log_format).await {
        // Damage is a likely cause of a storage error, so look for it and name the version that is
        // intact.
        Err(error) if error.kind == Kind::Storage => Err(with_damage(&config, error).await),
        outcome => outcome,
    }
}

async fn dispatch(command: Command, config: &Config, is_quiet: bool, log_format: LogFormat) -> Result<()> {
    match command {
        // They need no configuration, so `execute` has run them.
        Command::Init { .. } | Command::Completions { .. } | Command::Man { .. } => Ok(()),
        Command::Run { rebuild, json: is_json } => {
            run::run(config, &rebuild, run::Reporting { is_quiet, is_json, log_format }).await
        }
        Command::Check { deep: true, version, format, .. } => {
            // `..` omits only `sample`, which clap refuses together with `--deep`.
            deep::check_deep(config, version, format.format(), is_quiet).await
        }
        Command::Check { sample, format, .. } => match format.format() {
            Format::Table => dry_run::check(config, sample, false).await,
            Format::Json => dry_run::check(config, sample, true).await,
            _ => Err(Error::configuration("`check` without `--deep` prints text or `--json`")
                .hint("use `--json`, or leave the format out")),
        },
        Command::Query { sql: Some(sql), version, format } => {
            query::query(config, &sql, version, format.format()).await
        }
        Command::Query { sql: None, version, format } => {
            query::query_standard_input(config, version, format.format(), is_quiet).await
        }
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
        Command::Ui { listen, token_file } => ui::serve(config, listen, token_file.as_deref()).await,
        Command::History { format } => history::history(config, format.format()).await,
        Command::Quarantine { source, reason, records, format } => {
            quarantine::quarantine(config, source, reason, records, format.format()).await
        }
    }
}

/// Adds a hint to a storage error: which files of the newest version are missing, and which version
/// still has all of its files. Searches for at most [`SEARCH_TIMEOUT`].
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
        // No damage was found, or the search failed or took too long. The first error is the one to
        // fix.
        _ => error,
    }
}

/// Maximum time that a failed command searches for an intact version.
const SEARCH_TIMEOUT: Duration = Duration::from_secs(10);
