//! The command line: what the user may type, parsed and nothing more.

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

Every setting of lake.toml can be overridden by the environment, such as LAKEWRIGHT__LIMITS__MEMORY=512MB.";

/// JSON on object storage in, tables that anyone can query out.
#[derive(Debug, Parser)]
#[command(name = "coordinator", version, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "lake.toml", global = true)]
    pub(crate) config: PathBuf,

    /// Say nothing but errors on standard error
    #[arg(long, global = true)]
    pub(crate) quiet: bool,

    /// How log lines look
    #[arg(long, value_enum, default_value = "text", global = true)]
    pub(crate) log_format: LogFormat,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Take in what is new and commit all tables together (the default)
    Run {
        /// Build this table again from staging, with the tables that read it, even if nothing changed
        #[arg(long, value_name = "TABLE")]
        rebuild: Vec<String>,
    },
    /// Validate, and list what a run would take in; the dry run, writes nothing
    Check {
        /// Decode this many records of each source and show what would not fit
        #[arg(long, value_name = "N")]
        sample: Option<u64>,
        /// Instead, read every file of the lake and compare it with the digest it was written with
        #[arg(long, conflicts_with = "sample")]
        deep: bool,
        /// With --deep, the version of the lake; the newest unless given
        #[arg(long, value_name = "N", requires = "deep")]
        version: Option<u64>,
    },
    /// Run a read-only SQL query over the tables of one version of the lake
    Query {
        /// The query; tables by name, the lake's books as system.ledger, system.quarantine, system.history
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
    Catalog {
        /// The database of the catalog
        #[arg(long, value_name = "NAME", value_parser = database)]
        database: String,
        /// Put them there: the database and the tables that are missing are made, others updated
        #[arg(long, conflicts_with = "json")]
        apply: bool,
        /// For readers that know no Delta, such as Redshift Spectrum: write lists of each table's files, and put tables there
        /// that are read by them. The lists show the newest version; do it again after a run
        #[arg(long, requires = "apply", conflicts_with = "json")]
        symlinks: bool,
        /// Print what `aws glue create-table --cli-input-json` takes, a table a line
        #[arg(long)]
        json: bool,
    },
    /// Bring the Delta logs of the tables up to the newest version of the lake
    ///
    /// A run does this after its commit. What it could not do, the next run, a query or this command does.
    Publish {
        /// Only this table; may be given several times
        #[arg(long, value_name = "NAME")]
        table: Vec<String>,
        /// Make the logs equal to the newest version, whatever other programs committed to them, and also where they were
        /// written for manifests that are gone or replaced: one more commit removes files that the version does not have,
        /// adds those that it has, and restores the columns and properties
        #[arg(long)]
        overwrite: bool,
    },
    /// List files and unfinished uploads that no version within the retention needs, or delete them
    Vacuum {
        /// Versions that were the newest at some time within it stay readable; at least 24h
        #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = duration)]
        retention: Duration,
        /// Delete them; without it they are only listed
        #[arg(long)]
        delete: bool,
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

/// What Athena can name without quotes.
fn database(text: &str) -> Result<String, String> {
    let is_name = (1..=255).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if is_name { Ok(text.to_owned()) } else { Err("write lower-case letters, digits and `_`".to_owned()) }
}

/// How rows are printed; a box unless one is chosen.
#[derive(Debug, Clone, Copy, Args)]
#[group(multiple = false)]
pub(crate) struct FormatArguments {
    /// Comma-separated values with a header
    #[arg(long)]
    csv: bool,
    /// One JSON array
    #[arg(long)]
    json: bool,
    /// One JSON object a line
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
