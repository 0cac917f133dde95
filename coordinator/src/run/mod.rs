//! One run, from the sources to the committed lake, in five steps.
//!
//! ```text
//! ①② discover ─► ③④⑤ ingest ─► ⑥⑦ build ─► check ─► ⑧⑨ commit
//!  new objects    staging and     tables of    keys,     one manifest,
//!  of each source quarantine      each model   checks    then the Delta logs
//! ```
//!
//! A run is invisible until its manifest is written. If it fails before that, it deletes the files
//! that it wrote, as far as it can. If its process dies, the files stay until `vacuum` deletes
//! them, and no manifest names them.

use std::sync::Arc;
use std::time::Instant;

use lakewright_common::config::resolved::Config;
use lakewright_common::error::Result;
use lakewright_common::process::failpoint::{self, FailPoint};
use lakewright_common::process::systemd;
use lakewright_common::session::progress::ReadProgress;
use uuid::Uuid;

use crate::engine::Engine;
use crate::lake::manifest::Manifest;
use crate::lake::manifest_store;
use crate::lake::publish::{self, Published};
use crate::model::{self, Model};
use crate::open;
use crate::price::{BilledRequests, Cost};
use crate::progress::Progress;
use context::RunContext;
use discover::Discovered;
use staged::StagedSource;
use summary::RunSummary;

/// Data that all steps share.
mod context;
/// ①② Lists the sources and finds new objects.
pub(crate) mod discover;
/// Objects that cannot be read to their end.
pub(crate) mod damage;
/// Objects that a run skips.
pub(crate) mod skipped;
/// Result of staging one source.
mod staged;
/// Validates the configured models, keys and data checks before a run does any work.
pub(crate) mod validate;
/// Finds expressions of a model that would fail on every row.
mod probe;
/// ③④⑤ Turns new objects into staging and quarantine files.
mod ingest;
/// Limits on rejected data.
pub(crate) mod limits;
/// Line numbers of records in split objects.
mod lines;
/// ⑥⑦ Writes the result of each model's query into the files of its table.
mod build;
/// Keeps rows that are the only ones of their group out of aggregations.
mod single_rows;
/// Verifies the keys and data checks of the new tables before the tables become visible.
mod data_checks;
pub(crate) use data_checks::describe_rule as describe_check;
/// Verifies the existence and length of the files that workers reported.
mod written;
/// ⑧⑨ Writes one manifest, then the Delta logs.
mod commit;
/// Warns of declared fields that no record has.
pub(crate) mod empty_fields;
/// Deletes the files of a failed run.
mod clean_up;
/// Estimates the requests to S3.
pub(crate) mod estimate;
/// The result of a run as data.
pub(crate) mod summary;

/// Runs the whole pipeline once. Builds the tables in `rebuild` even if nothing changed.
///
/// # Errors
/// The error of the step that failed. Nothing of the run is visible then.
pub(crate) async fn run(config: &Config, rebuild: &[String], progress: &Progress) -> Result<RunSummary> {
    let started = Instant::now();
    let opened = open::open_or_create(config).await?;
    let reads = Arc::new(ReadProgress::default());
    let run = Uuid::now_v7();
    // Start to listen for workers first, so that they can connect while the sources are listed.
    let engine = Engine::start(config, &opened, run, &reads).await?;
    systemd::ready();
    let session = open::session(config, &opened, config.limits.threads, Arc::clone(&reads))?;
    let mut models = model::plan_models(&session, config)?;
    model::ask_for(&mut models, rebuild)?;
    // Validation registers empty tables under the names of real ones, so it gets its own session.
    let empty = open::session(config, &opened, config.limits.threads, Arc::default())?;
    validate::validate(&empty, config, &models).await?;
    // Read the newest manifest after validation, so that a wrong model fails before any manifest is
    // read.
    let base = manifest_store::latest(&opened.lake).await?;
    // Publish first what an earlier run committed before it crashed, so that Delta readers see that
    // commit. The run also stops here, before it does any work, if a Delta log belongs to manifests
    // that are lost or replaced, or if another program changed it.
    let tables: Vec<&str> = models.iter().map(|model| model.table.name.as_str()).collect();
    publish::prepare(&opened.lake, base.as_ref(), &tables, rebuild).await?;
    failpoint::reach(FailPoint::RunBeforeDiscover);
    let step = progress.step("discover", None);
    let mut discovered = discover::new_objects(config, &opened, base.as_ref(), &models).await?;
    step.end();
    let base_version = base.as_ref().map(|base| base.version);
    let steps = || progress.snapshot().steps;
    if !discovered.has_work() {
        let summary = RunSummary::nothing(base_version, discovered.skipped);
        return Ok(summary.with_usage(opened.requests(), None, None, steps(), started.elapsed()));
    }
    // Estimate before ingest, so that the summary can compare the estimate with the requests that
    // were made.
    let expected = estimate::estimate(config, &opened, base.as_ref(), &models, &discovered);
    // Workers must show that they can read an object of each source before they get tasks.
    let sources = discovered.sources.iter().map(|new| (new.source.name.as_str(), new.objects.as_slice()));
    engine.admit_workers(&opened, sources).await?;
    let session = engine.adapt(session).await?;
    let context = RunContext::new(config, &opened, session, engine, progress, run, base);

    let outcome = run_steps(&context, &models, &mut discovered, &reads, started).await;
    // Finish the engine after a failure too, because workers must be released.
    let exchanged = context.engine.finish().await;
    // Keep the files if the manifest may exist, because it would name them.
    if outcome.is_err() && !context.may_be_committed() {
        clean_up::delete_files(&context).await;
    }
    let committed = outcome?;
    let made = context.requests();
    let cost = expected
        // A run that commits nothing did not do the work that was estimated.
        .filter(|_| committed.is_some())
        .map(|expected| Cost::new(expected, Some(BilledRequests::of(&made)), &config.prices));
    let summary = match committed {
        None => RunSummary::nothing(base_version, discovered.skipped),
        Some(Committed { manifest, published, warnings }) => {
            RunSummary::committed(&manifest, published, warnings, discovered.skipped)
        }
    };
    Ok(summary.with_usage(made, cost, exchanged, steps(), started.elapsed()))
}

/// A new version of the lake.
struct Committed {
    manifest: Manifest,
    published: Published,
    /// Messages of failed checks that have `warn = true`, and of fields that no record has.
    warnings: Vec<String>,
}

/// Runs the steps from ingest to commit. Returns `None` if there is nothing to commit because every
/// new object was skipped.
async fn run_steps(
    context: &RunContext<'_>,
    models: &[Model<'_>],
    discovered: &mut Discovered<'_>,
    reads: &Arc<ReadProgress>,
    started: Instant,
) -> Result<Option<Committed>> {
    failpoint::reach(FailPoint::RunBeforeIngest);
    let staged = ingest::ingest(context, discovered, reads).await?;
    discovered.skipped.add(&staged);
    // If no object was ingested and no model changed, the new version would equal the old one.
    if !discovered.has_changed_models && staged.iter().all(|source| source.entries.is_empty()) {
        return Ok(None);
    }
    failpoint::reach(FailPoint::RunBeforeBuild);
    let tables = build::build(context, models, &staged).await?;
    failpoint::reach(FailPoint::RunBeforeCheck);
    let mut warnings = data_checks::check(context, models, &tables).await?;
    for StagedSource { source, fields, counts, .. } in &staged {
        warnings.extend(empty_fields::warnings(source, fields, counts.staged));
    }
    let (manifest, published) = commit::commit(context, &staged, tables, started).await?;
    Ok(Some(Committed { manifest, published, warnings }))
}
