//! The command line: commands, arguments and their help texts.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use lakewright_common::process::telemetry::LogFormat;

use crate::output::Format;

const EXIT_CODES: &str = "\
Exit codes:
    0  success, also if there was nothing to do
    1  data: an object is damaged, a key or a check fails, or too many records were rejected
    2  usage or configuration
    3  storage
    4  another run committed first
    5  workers
  101  internal error; please report it
  130  interrupted (SIGINT)
  143  terminated (SIGTERM)

If a run commits but cannot write a Delta log, it ends with the code of that failure. Its summary and
its error say which version is committed.

Every setting of lake.toml can be overridden by the environment, such as LAKEWRIGHT__LIMITS__MEMORY=512MB.";

const RUN_JSON: &str = "\
With --json, standard output is one JSON object: `outcome` (`committed`, `nothing_new`, `all_skipped` or `no_data`),
`version`, `sources`, `tables`, `warnings`, `skipped`, `exchange`, `requests`, `cost`, `steps`, `elapsed_seconds` and
`usage`. If the run fails before its commit, standard output is empty.";

const CHECK_EXIT: &str = "\
Exit code 0 means that a run can start: the configuration is valid, every model and check can be planned, the sources and
the lake can be read, and no object has changed or is in an archive, unless the source's settings allow it.
What a sample shows does not change the exit code: `check` exits with 0 even if it prints that a run with this share of
rejected records fails. Exit code 1 means that a run fails because of a changed or archived object. With
--deep, exit code 3 means that files are damaged or missing.

With --json, standard output is one JSON object: `config`, `lake`, `version`, `sources`, `warnings`, `skipped`, `models`,
`has_work`, `cost` and `samples`.";

/// Turn JSON on object storage into tables that every engine can query
#[derive(Debug, Parser)]
#[command(name = "coordinator", version, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// Read the configuration from this file
    #[arg(long, value_name = "FILE", default_value = "lake.toml", global = true)]
    pub(crate) config: PathBuf,

    /// Print nothing but errors on standard error
    #[arg(long, global = true)]
    pub(crate) quiet: bool,

    /// Write log lines in this format
    #[arg(long, value_enum, default_value = "text", global = true)]
    pub(crate) log_format: LogFormat,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a project for JSON data: lake.toml with all fields and their types, and a model for
    /// each source
    ///
    /// Groups the objects into sources, detects their formats, reads their records, and declares
    /// types that accept every value. Comments in lake.toml say what is odd about the data. Then
    /// does the same as `check`. Never overwrites a file.
    Init {
        /// Folder, prefix (s3://bucket/prefix), object, or pattern of objects
        #[arg(required = true, value_name = "URL")]
        url: Vec<String>,
        /// Write the project into this folder
        #[arg(long, value_name = "DIR", default_value = ".")]
        out: PathBuf,
        /// If the data have more bytes than this, read a sample of about this size
        #[arg(long, value_name = "BYTES", default_value = "1GB", value_parser = size)]
        budget: u64,
        /// Read all data, however large they are
        #[arg(long, conflicts_with = "budget")]
        all: bool,
    },
    /// Ingest new objects and commit all tables together (the default)
    #[command(after_help = RUN_JSON)]
    Run {
        /// Rebuild this table from staging, and the tables that read it, even if nothing changed
        #[arg(long, value_name = "TABLE")]
        rebuild: Vec<String>,
        /// Print the summary as JSON on standard output instead of as text on standard error
        #[arg(long)]
        json: bool,
    },
    /// List what a run would ingest, and validate everything, without writing anything (dry run)
    #[command(after_help = CHECK_EXIT)]
    Check {
        /// Decode about this many records of each source and show those that a run would reject
        #[arg(long, value_name = "N")]
        sample: Option<u64>,
        /// Instead of a dry run, read every file of one version of the lake and compare it with its
        /// digest
        #[arg(long, conflicts_with = "sample")]
        deep: bool,
        /// With --deep, check this version of the lake; default: the newest
        #[arg(long, value_name = "N", requires = "deep")]
        version: Option<u64>,
        #[command(flatten)]
        format: FormatArguments,
    },
    /// Run read-only SQL queries over the tables of one version of the lake
    ///
    /// Without SQL, opens a shell if standard input is a terminal. Otherwise, runs the statements
    /// that standard input contains, and stops at the first error.
    Query {
        /// One or more SQL queries, separated by `;`. They read tables by their names, and the
        /// system tables as system.ledger, system.quarantine and system.history
        sql: Option<String>,
        /// Query this version of the lake; default: the newest. A shell without this option reads
        /// the version that is the newest when a query starts
        #[arg(long, value_name = "N")]
        version: Option<u64>,
        #[command(flatten)]
        format: FormatArguments,
    },
    /// List the tables with their rows, files, bytes and Delta versions
    Tables {
        /// Also print a checksum of each table's rows, which does not depend on their order
        #[arg(long)]
        checksum: bool,
        /// List the tables of this version of the lake; default: the newest
        #[arg(long, value_name = "N")]
        version: Option<u64>,
        #[command(flatten)]
        format: FormatArguments,
    },
    /// List the commits with their numbers of objects and records
    History {
        #[command(flatten)]
        format: FormatArguments,
    },
    /// Print the tables as statements for Athena, or put them into the AWS Glue Data Catalog
    ///
    /// With --json and without --apply, prints one line per table for `aws glue create-table
    /// --cli-input-json`.
    Catalog {
        /// Use this database of the catalog
        #[arg(long, value_name = "NAME", value_parser = database)]
        database: String,
        /// Write the tables to the catalog: create the database and tables that do not exist,
        /// update the others
        #[arg(long)]
        apply: bool,
        /// For readers that do not read Delta, such as Redshift Spectrum: write lists of each
        /// table's files, and create tables that are read through these lists. The lists name the
        /// files of the newest version, so repeat this after each run
        #[arg(long, requires = "apply")]
        symlinks: bool,
        #[command(flatten)]
        format: FormatArguments,
    },
    /// Bring the Delta logs of the tables up to the newest version of the lake
    ///
    /// A run does this after its commit. If the run cannot publish, the next run or query does it,
    /// or this command.
    Publish {
        /// Publish only this table; may be given several times
        #[arg(long, value_name = "NAME")]
        table: Vec<String>,
        /// Make the Delta logs equal to the newest version of the lake, even if other programs
        /// committed to the logs, if a log entry is damaged, or if the logs belong to manifests
        /// that are lost or replaced. This adds at most one commit to each log. The commit removes
        /// and adds files, corrects their descriptions, and restores columns and properties
        #[arg(long)]
        overwrite: bool,
        #[command(flatten)]
        format: FormatArguments,
    },
    /// List or delete files and unfinished uploads that no version within the retention period
    /// needs
    Vacuum {
        /// Keep the files of every version that was the newest at any time during the last
        /// DURATION; at least 24h
        #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = duration)]
        retention: Duration,
        /// Delete the files instead of listing them
        #[arg(long)]
        delete: bool,
        #[command(flatten)]
        format: FormatArguments,
    },
    /// Serve pages about the lake in a browser: runs, tables, rejected records, lineage, queries
    ///
    /// The pages read the lake, and no run needs to be in progress. Each page has its JSON under
    /// /api/v1, and /metrics has metrics for Prometheus (docs/ui.md).
    Ui {
        /// Listen on this address. One that other machines can reach needs --token-file
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4040")]
        listen: SocketAddr,
        /// Require the secret in this file: as `?token=` in the first URL, or as `Authorization:
        /// Bearer`
        #[arg(long, value_name = "FILE")]
        token_file: Option<PathBuf>,
    },
    /// Print the completions of a shell, to be sourced or installed
    ///
    /// For bash: coordinator completions bash > ~/.local/share/bash-completion/completions/coordinator
    Completions { shell: Shell },
    /// Write the manual pages into a folder: coordinator.1, and one page for each command
    Man { folder: PathBuf },
    /// Count rejected records by source, reason and field, or list them
    Quarantine {
        /// Show only records of this source
        #[arg(long, value_name = "NAME")]
        source: Option<String>,
        /// Show only records with this reason
        #[arg(long, value_name = "REASON")]
        reason: Option<String>,
        /// List at most N records instead of counting them
        #[arg(long, value_name = "N")]
        records: Option<u64>,
        #[command(flatten)]
        format: FormatArguments,
    },
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|e| format!("{e}; write it like `7d` or `36h`"))
}

fn size(text: &str) -> Result<u64, String> {
    text.parse::<bytesize::ByteSize>()
        .map(|size| size.as_u64())
        .map_err(|e| format!("{e}; write it like `500MB` or `2GiB`"))
}

/// Parses the name of a database. Refuses a name that Athena accepts only in quotes.
fn database(text: &str) -> Result<String, String> {
    // Athena requires quotes around other names, and Glue stores names in lower case.
    let is_name = (1..=255).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if is_name { Ok(text.to_owned()) } else { Err("write lower-case letters, digits and `_`".to_owned()) }
}

/// Output format of rows. The default is a text form for people.
#[derive(Debug, Clone, Copy, Args)]
#[group(multiple = false)]
pub(crate) struct FormatArguments {
    /// Print comma-separated values with a header
    #[arg(long)]
    csv: bool,
    /// Print all rows as one JSON array
    #[arg(long)]
    json: bool,
    /// Print each row as a JSON object on its own line
    #[arg(long)]
    jsonlines: bool,
    /// Print a Markdown table
    #[arg(long)]
    markdown: bool,
}

impl FormatArguments {
    pub(crate) fn format(self) -> Format {
        // Clap accepts at most one of the flags, so the order of the arms does not matter.
        match self {
            Self { csv: true, .. } => Format::Csv,
            Self { json: true, .. } => Format::Json,
            Self { jsonlines: true, .. } => Format::JsonLines,
            Self { markdown: true, .. } => Format::Markdown,
            _ => Format::Table,
        }
    }
}
