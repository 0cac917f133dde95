//! The coordinator: reads the command line, does one thing, exits with a code that says what the user must do.
//!
//! Start here, then follow `run/mod.rs`.

/// The command line.
mod cli;
/// A kind of failure or a signal as an exit code.
mod exit;
/// What each command does.
mod command;
/// The storages of a configuration, opened.
mod open;
/// One run: discover, ingest, build, commit.
mod run;
/// ⑥ The models, their order, what makes one stale.
mod model;
/// Runs plans.
mod engine;
/// Names that queries see.
mod session_tables;
/// ⑧⑨ Manifest, ledger, Delta logs.
mod lake;
/// Tables in the catalog of AWS.
mod glue;
/// What is going on, on standard error.
mod progress;
/// What requests to S3 cost.
mod price;
/// Rows as text, on standard output.
mod output;
/// What this process has used.
mod process;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    lakewright_common::process::telemetry::start(cli.log_format, cli.quiet);
    lakewright_common::session::plan_failure::watch_panics();
    if let Err(error) = lakewright_common::process::start::prepare() {
        return exit::report(&error);
    }
    exit::run(command::execute(cli))
}
