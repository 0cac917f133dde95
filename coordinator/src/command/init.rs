//! `init`: writes a project for data, and checks it as `check` does.

use lakewright_common::config::{self, Purpose};
use lakewright_common::error::Result;
use lakewright_common::process::allocator;
use lakewright_common::process::telemetry;

use super::dry_run;
use crate::init::{self, Options};

/// Writes a project, prints a line for each source on standard error, and then prints what a run
/// would do.
///
/// # Errors
/// The errors of [`init::create`] and of `check`.
pub(super) async fn init(options: &Options, is_quiet: bool) -> Result<()> {
    allocator::stay_within(config::default_limits().memory_bytes);
    let project = init::create(options).await?;
    if !is_quiet {
        project.summary.iter().for_each(|line| telemetry::conclude(line));
        telemetry::conclude(&format!("wrote {}: read its comments, then start a run", project.config.display()));
    }
    let config = config::load(&project.config, Purpose::Run, std::env::vars())?;
    dry_run::check(&config, None, false).await
}
