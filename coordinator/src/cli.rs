//! The command line: parses the arguments and does nothing more.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use lakewright_common::process::telemetry::LogFormat;

use crate::output::Format;

const EXIT_CODES: &str = "\
Exit codes:
    0  done, or nothing to do
    1  data: a key, a check or the quarantine share does not hold
    2  usage or configuration
    3  storage
    4  another run committed first
    5  workers
  130  interrupted (SIGINT)
  143  terminated (SIGTERM)

A run whose commit could not be published to a Delta log ends with the code of that failure; its
summary and its error say which version is committed.

Every setting of lake.toml can be overridden by the environment, such as LAKEWRIGHT__LIMITS__MEMORY=512MB.";

/// JSON on object storage in, tables that anyone can query out.
#[derive(Debug, Parser)]
#[command(name = "coordinator", version, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = "lake.toml", global = true)]
    pub(crate) config: PathBuf,

    /// Print only errors to standard error
    #[arg(long, global = true)]
    pub(crate) quiet: bool,

    /// Format of log lines
    #[arg(long, value_enum, default_value = "text", global = true)]
    pub(crate) log_format: LogFormat,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Ingest new objects and commit all tables together (the default)
    Run {
        /// Build this table again from staging, with the tables that read it, even if nothing
        /// changed
        #[arg(long, value_name = "TABLE")]
        rebuild: Vec<String>,
    },
    /// Validate, and list what a run would ingest; a dry run that writes nothing
    Check {
        /// Decode this many records of each source and show which would be rejected
        #[arg(long, value_name = "N")]
        sample: Option<u64>,
        /// Instead, read every file of one version of the lake and compare it with the digest it
        /// was written with
        #[arg(long, conflicts_with = "sample")]
        deep: bool,
        /// With --deep, the version of the lake; the newest unless given
        #[arg(long, value_name = "N", requires = "deep")]
        version: Option<u64>,
        #[command(flatten)]
        format: FormatArguments,
    },
    /// Run a read-only SQL query over the tables of one version of the lake
    Query {
        /// The query; tables by name, and the system tables system.ledger, system.quarantine,
        /// system.history
        sql: String,
        /// The version of the lake; the newest unless given
        #[arg(long, value_name = "N")]
        version: Option<u64>,
        #[command(flatten)]
        format: FormatArguments,
    },
    /// List the tables with their rows, files, bytes and Delta versions
    Tables {
        /// Also compute an order-independent checksum of each table's rows
        #[arg(long)]
        checksum: bool,
        /// The version of the lake; the newest unless given
        #[arg(long, value_name = "N")]
        version: Option<u64>,
        #[command(flatten)]
        format: FormatArguments,
    },
    /// List the commits with their counts
    History {
        #[command(flatten)]
        format: FormatArguments,
    },
    /// Print the tables as statements for Athena, or put them into the AWS Glue Data Catalog
    ///
    /// With --json and without --apply, prints one line per table for `aws glue create-table
    /// --cli-input-json`.
    Catalog {
        /// The database of the catalog
        #[arg(long, value_name = "NAME", value_parser = database)]
        database: String,
        /// Put them into the catalog: missing database and tables are created, others are updated
        #[arg(long)]
        apply: bool,
        /// For readers without Delta, such as Redshift Spectrum: write lists of each table's files,
        /// and create tables that are read by the lists. The lists show the newest version; repeat
        /// this after a run
        #[arg(long, requires = "apply")]
        symlinks: bool,
        #[command(flatten)]
        format: FormatArguments,
    },
    /// Roll the Delta logs of the tables forward to the newest version of the lake
    ///
    /// A run does this after its commit. If it cannot, the next run, a query or this command does.
    Publish {
        /// Only this table; may be given several times
        #[arg(long, value_name = "NAME")]
        table: Vec<String>,
        /// Make the logs equal to the newest version, also if other programs committed to them, an
        /// entry is damaged, or they were written for manifests that are gone or replaced: one more
        /// commit removes files that the version does not have, adds those that it has, corrects
        /// their descriptions, and restores the columns and properties
        #[arg(long)]
        overwrite: bool,
        #[command(flatten)]
        format: FormatArguments,
    },
    /// List files and unfinished uploads that no version within the retention needs, or delete them
    Vacuum {
        /// Versions that were the newest at some time within this period stay readable; at least
        /// 24h
        #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = duration)]
        retention: Duration,
        /// Delete them; without this option they are only listed
        #[arg(long)]
        delete: bool,
        #[command(flatten)]
        format: FormatArguments,
    },
    /// Count rejected records by source and reason, or list them
    Quarantine {
        /// Only this source
        #[arg(long, value_name = "NAME")]
        source: Option<String>,
        /// Only this reason
        #[arg(long, value_name = "REASON")]
        reason: Option<String>,
        /// List up to N records instead of counting them
        #[arg(long, value_name = "N")]
        records: Option<u64>,
        #[command(flatten)]
        format: FormatArguments,
    },
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|e| format!("{e}; write it like `7d` or `36h`"))
}

/// Parses a name that Athena accepts without quotes.
fn database(text: &str) -> Result<String, String> {
    let is_name = (1..=255).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if is_name { Ok(text.to_owned()) } else { Err("write lower-case letters, digits and `_`".to_owned()) }
}

/// Output format of rows. The default is a text form for people.
#[derive(Debug, Clone, Copy, Args)]
#[group(multiple = false)]
pub(crate) struct FormatArguments {
    /// Comma-separated values with a header
    #[arg(long)]
    csv: bool,
    /// One JSON array
    #[arg(long)]
    json: bool,
    /// One JSON object per line
    #[arg(long)]
    jsonlines: bool,
    /// A Markdown table
    #[arg(long)]
    markdown: bool,
}

impl FormatArguments {
    pub(crate) fn format(self) -> Format {
        match self {
            Self { csv: true, .. } => Format::Csv,
            Self { json: true, .. } => Format::Json,
            Self { jsonlines: true, .. } => Format::JsonLines,
            Self { markdown: true, .. } => Format::Markdown,
            _ => Format::Table,
        }
    }
}
