//! `check`: the dry run. Validates everything, lists what a run would ingest, and writes nothing.

use std::sync::Arc;

use lakewright_common::config::resolved::Config;
use lakewright_common::error::Result;
use lakewright_common::session::Storages;

use super::print::{print, print_json};
use crate::lake::manifest::Manifest;
use crate::lake::{manifest_store, publish};
use crate::model::{self, Model};
use crate::open;
use crate::price::Cost;
use crate::run::discover::{Discovered, new_objects};
use crate::run::estimate::estimate;
use crate::run::validate::validate;
use report::{CheckReport, ModelReport, SourceReport};

/// The report as data and as text.
mod report;
/// Decodes some records of each source, and collects those that a run would reject.
mod sample;

/// Prints what a run would do. With `sample`, also decodes about that many records of each source.
///
/// # Errors
/// Any error that a run would fail with before it writes. Rejected records of a sample are not an
/// error; they are part of the report.
pub(super) async fn check(config: &Config, sample: Option<u64>, is_json: bool) -> Result<()> {
    let opened = open::open_or_empty(config).await?;
    let session = open::session(config, &opened, config.limits.threads, Arc::default())?;
    let models = model::plan_models(&session, config)?;
    // Validation registers empty tables, so it needs its own session.
    validate(&open::session(config, &opened, config.limits.threads, Arc::default())?, config, &models).await?;
    // After validation, so that a wrong model fails before any manifest is read.
    let base = manifest_store::latest(&opened.lake).await?;
    // Another program may have changed the Delta logs. A run would fail then, so `check` fails as
    // well.
    let tables: Vec<&str> = models.iter().map(|model| model.table.name.as_str()).collect();
    publish::verify(&opened.lake, base.as_ref(), &tables).await?;
    let discovered = new_objects(config, &opened, base.as_ref(), &models).await?;
    let mut samples = Vec::new();
    // Estimate before the sample is read, because a run does not make the sample's requests.
    let cost = expected_cost(config, &opened, base.as_ref(), &models, &discovered);
    if let Some(records) = sample {
        for new in &discovered.sources {
            samples.push(sample::sample(&session, &opened, new, &config.limits, records).await?);
        }
    }
    let report = CheckReport {
        config: config.file.display().to_string(),
        lake: config.lake.to_string(),
        version: base.map(|base| base.version),
        sources: discovered.sources.iter().map(|new| SourceReport::new(new, &config.limits)).collect(),
        warnings: discovered.skipped.warnings(),
        models: models.iter().map(ModelReport::new).collect(),
        has_work: discovered.has_work(),
        skipped: discovered.skipped,
        cost,
        samples,
    };
    if is_json { print_json(&report) } else { print(report.text().as_bytes()) }
}

/// Returns the expected requests to S3, with their price. `None` if a run has nothing to do, or if
/// nothing is on S3.
fn expected_cost(
    config: &Config,
    opened: &Storages,
    base: Option<&Manifest>,
    models: &[Model<'_>],
    discovered: &Discovered<'_>,
) -> Option<Cost> {
    // A run without work makes no further requests, so there is nothing to estimate.
    let expected = estimate(config, opened, base, models, discovered).filter(|_| discovered.has_work())?;
    Some(Cost::new(expected, None, &config.prices))
}
