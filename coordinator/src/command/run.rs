//! `run`: the pipeline, then its summary as text (`summary_text`) or JSON.

use lakewright_common::config::resolved::Config;
use lakewright_common::error::Result;
use lakewright_common::process::telemetry::{self, LogFormat};

use super::print::print_json;
use super::summary_text::text;
use crate::progress::Progress;
use crate::run::summary::Outcome;

/// Options for the output of a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reporting {
    /// Whether to print nothing but errors on standard error.
    pub(super) is_quiet: bool,
    /// Whether to print the summary as JSON on standard output instead of as text on standard
    /// error.
    pub(super) is_json: bool,
    pub(super) log_format: LogFormat,
}

/// Runs the pipeline once and prints its summary.
///
/// # Errors
/// The error of the step that failed, including a failure to publish the committed version.
pub(super) async fn run(config: &Config, rebuild: &[String], reporting: Reporting) -> Result<()> {
    let progress = Progress::start(reporting.is_quiet);
    let mut summary = progress.outcome(crate::run::run(config, rebuild, &progress).await)?;
    let Reporting { is_quiet, is_json, log_format } = reporting;
    let text = if is_json { None } else { Some(text(&summary)) };
    // Warnings come before the summary of a commit, and after the line that nothing was committed.
    let is_commit = summary.outcome == Outcome::Committed;
    let (first, last) = if is_commit { (None, text) } else { (text, None) };
    if !is_quiet {
        first.iter().for_each(|text| telemetry::conclude(text));
        summary.warnings.iter().for_each(|warning| warn(warning, log_format));
        last.iter().for_each(|text| telemetry::conclude(text));
    }
    // Print the summary even if publishing failed: the version is committed.
    if is_json {
        print_json(&summary)?;
    }
    summary.unpublished.take().map_or(Ok(()), Err)
}

/// Prints a warning as a line of text, or as a log record if the log is JSON.
fn warn(warning: &str, log_format: LogFormat) {
    match log_format {
        // A reader of the log expects JSON in every line.
        LogFormat::Json => tracing::warn!("{warning}"),
        LogFormat::Text => telemetry::conclude(&format!("warning: {warning}")),
    }
}
