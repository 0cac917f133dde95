//! One run, from the sources to the committed lake: four calls that read like the README.
//!
//! ```text
//! ①② discover ─► ③④⑤ ingest ─► ⑥⑦ build ─► check ─► ⑧⑨ commit
//!  new objects    staging and     tables of    keys,     one manifest,
//!  of each source quarantine      each model   checks    then the Delta logs
//! ```
//!
//! Nothing is visible before the manifest's put; a run that fails or dies leaves files that no manifest names.

use std::sync::Arc;
use std::time::Instant;

use lakewright_common::config::resolved::Config;
use lakewright_common::error::Result;
use lakewright_common::read::progress::ReadProgress;
use lakewright_common::{failpoint, session};
use uuid::Uuid;

use crate::lake::manifest::Manifest;
use crate::lake::{delta, store};
use crate::model;
use crate::open::Opened;
use crate::progress::Progress;
use report::Summary;

/// ①② Which objects are new.
pub(crate) mod discover;
/// ③④⑤ New objects into staging files and quarantine.
mod ingest;
/// Line numbers of records that were read from the middle of an object.
mod lines;
/// ⑥⑦ Each model's query into the files of its table.
mod build;
/// Keys and checks, before anything is visible.
mod check;
/// ⑧⑨ One manifest, then the Delta logs.
mod commit;
/// What a run came to, for the user.
pub(crate) mod report;

/// What every step of a run needs.
pub(crate) struct RunContext<'a> {
    pub(crate) config: &'a Config,
    pub(crate) opened: &'a Opened,
    pub(crate) session: datafusion::prelude::SessionContext,
    pub(crate) progress: &'a Progress,
    /// Names the run and its files.
    pub(crate) run: Uuid,
    /// The manifest that this run would put.
    pub(crate) number: u64,
    /// The newest manifest when the run began.
    pub(crate) base: Option<Manifest>,
}

/// Runs the whole pipeline once; `None` where there was nothing new to do.
///
/// # Errors
/// As each step says; nothing of the run is visible then.
pub(crate) async fn run(config: &Config, progress: &Progress) -> Result<Option<Summary>> {
    let started = Instant::now();
    let opened = Opened::open_or_create(config).await?;
    let reads = Arc::new(ReadProgress::default());
    let session = session::build(&config.limits, &opened.lake, &opened.sources, Arc::clone(&reads))?;
    let models = model::plan_models(&session, config)?;
    let base = store::latest(&opened.lake).await?;
    if let Some(latest) = &base {
        // What a crash left behind after its put comes first: Delta readers see that commit from now on.
        delta::catch_up(&opened.lake, latest).await?;
    }
    let number = base.as_ref().map_or(1, |base| base.number + 1);
    let context = RunContext { config, opened: &opened, session, progress, run: Uuid::now_v7(), number, base };

    failpoint::reach("run.before_discover");
    let discovered = discover::discover(&context, &models).await?;
    if !discovered.has_work() {
        return Ok(None);
    }
    failpoint::reach("run.before_ingest");
    let staged = ingest::ingest(&context, &discovered, &reads).await?;
    failpoint::reach("run.before_build");
    let tables = build::build(&context, &models, &staged).await?;
    failpoint::reach("run.before_check");
    let warnings = check::check(&context, &models, &tables).await?;
    let (manifest, versions) = commit::commit(&context, &staged, tables, started).await?;
    Ok(Some(Summary::new(&manifest, &versions, warnings, discovered.ignored_changes, started.elapsed())))
}
