//! The coordinator: reads the command line, runs one command, and exits with a code that says what
//! kind of error happened.
//!
//! Start here, then read `run/mod.rs`.

/// The command line.
mod cli;
/// Exit codes of failures and signals.
mod exit;
/// The commands.
mod command;
/// Opens the storages of a configuration.
mod open;
/// One version of the lake, ready to be queried.
mod view;
/// Writes a project from data.
mod init;
/// One run: discover, ingest, build, commit.
mod run;
/// ⑥ The models, their order, and which of them are stale.
mod model;
/// Runs plans, in this process or on workers.
mod engine;
/// Registers tables under the names that queries use.
mod session_tables;
/// SQL that this program writes itself.
mod query_text;
/// ⑧⑨ Manifest, ledger, Delta logs.
mod lake;
/// Tables in the AWS Glue Data Catalog.
mod glue;
/// Pages in a browser, and the JSON behind them.
mod ui;
/// Progress of a run, and its display on standard error.
mod progress;
/// Price of requests to S3.
mod price;
/// Formats rows as text, such as CSV or JSON.
mod output;
/// CPU time and memory of this process.
mod process;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    process::start();
    let cli = cli::Cli::parse();
    lakewright_common::process::telemetry::start(cli.log_format, cli.quiet);
    lakewright_common::session::plan_failure::watch_panics();
    // Prepare only after telemetry has started, so that an error is logged in the chosen format.
    if let Err(error) = lakewright_common::process::start::prepare() {
        return exit::report(&error);
    }
    exit::run(command::execute(cli))
}
