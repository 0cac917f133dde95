//! The result of a run as data. `command/summary_text.rs` prints it as text.

use std::collections::BTreeMap;
use std::time::Duration;

use lakewright_common::error::Error;
use lakewright_common::storage::s3::requests::RequestCounts;
use serde::Serialize;

use super::skipped::SkippedObjects;
use crate::engine::Exchanged;
use crate::lake::manifest::{Manifest, SourceCounts};
use crate::lake::publish::{Failure, Published};
use crate::price::Cost;
use crate::process::{self, Usage};
use crate::progress::model::StepSnapshot;

/// Result of a run and its use of resources.
#[derive(Debug, Serialize)]
pub(crate) struct RunSummary {
    pub(crate) outcome: Outcome,
    /// Version of the lake after the run; `None` if the lake has no version.
    pub(crate) version: Option<u64>,
    /// Counts of the records that this run read, by the name of the source.
    pub(crate) sources: BTreeMap<String, SourceCounts>,
    /// Tables of the committed version in building order; empty if nothing was committed.
    pub(crate) tables: Vec<TableSummary>,
    /// Warnings. The first line of each says what happened, and further lines give details.
    pub(crate) warnings: Vec<String>,
    pub(crate) skipped: SkippedObjects,
    /// Totals of the exchanges between workers; `None` if all tasks ran in this process.
    pub(crate) exchange: Option<ExchangeSummary>,
    /// Requests to S3 by this process and its workers.
    pub(crate) requests: RequestCounts,
    /// Expected and actual requests with their prices; `None` if neither the lake nor a source is
    /// on S3, or if nothing was committed.
    pub(crate) cost: Option<Cost>,
    pub(crate) steps: Vec<StepSnapshot>,
    pub(crate) elapsed_seconds: f64,
    /// CPU time and memory of this process, without its workers; `None` if the system does not
    /// report them.
    pub(crate) usage: Option<Usage>,
    /// Error of a run that committed its version but could not publish all of it; `None` if
    /// everything is published.
    #[serde(skip)]
    pub(crate) unpublished: Option<Error>,
}

/// Outcome of a run that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Committed,
    /// There was no new object, and no model, key or check changed.
    NothingNew,
    /// There were new objects, but the run skipped all of them, because they were damaged, in an
    /// archive, or changed while they were read.
    AllSkipped,
    /// No source has an object that can be read, and the lake has no version.
    NoData,
}

/// A table of the committed version.
#[derive(Debug, Serialize)]
pub(crate) struct TableSummary {
    pub(crate) name: String,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) rows: u64,
    /// Whether this run built the table. Otherwise its files come from an earlier version.
    pub(crate) is_rebuilt: bool,
    /// Delta version that corresponds to this version of the lake; `None` if the Delta log could
    /// not be updated.
    pub(crate) delta_version: Option<u64>,
}

/// Totals of the spool objects that workers wrote for each other.
#[derive(Debug, Serialize)]
pub(crate) struct ExchangeSummary {
    pub(crate) workers: usize,
    pub(crate) objects: u64,
    pub(crate) bytes: u64,
    pub(crate) requests: u64,
}

impl RunSummary {
    /// Returns the summary of a run that committed nothing.
    pub(super) fn nothing(version: Option<u64>, skipped: SkippedObjects) -> Self {
        let outcome = match version {
            // Check this first, because skipped objects must not be reported as "nothing new".
            _ if skipped.has_new_objects() => Outcome::AllSkipped,
            Some(_) => Outcome::NothingNew,
            None => Outcome::NoData,
        };
        Self {
            outcome,
            version,
            sources: BTreeMap::new(),
            tables: vec![],
            warnings: skipped.warnings(),
            skipped,
            exchange: None,
            requests: RequestCounts::default(),
            cost: None,
            steps: vec![],
            elapsed_seconds: 0.0,
            usage: None,
            unpublished: None,
        }
    }

    /// Returns the summary of a run that committed `manifest`, with the Delta version of each
    /// table.
    pub(super) fn committed(
        manifest: &Manifest,
        published: Published,
        mut warnings: Vec<String>,
        skipped: SkippedObjects,
    ) -> Self {
        let tables = manifest.tables.iter().map(|table| TableSummary {
            name: table.name.clone(),
            files: table.files.len() as u64,
            bytes: table.bytes(),
            rows: table.rows(),
            is_rebuilt: table.changed_in == manifest.version,
            delta_version: published.versions.get(&table.name).copied(),
        });
        warnings.extend(published.failures.iter().map(|failure| not_published(manifest.version, failure)));
        warnings.extend(skipped.warnings());
        Self {
            unpublished: unpublished(manifest.version, published.failures),
            outcome: Outcome::Committed,
            sources: manifest.counts.clone(),
            tables: tables.collect(),
            warnings,
            ..Self::nothing(Some(manifest.version), skipped)
        }
    }

    /// Adds what the run used: requests, time, CPU time and memory.
    pub(super) fn with_usage(
        self,
        requests: RequestCounts,
        cost: Option<Cost>,
        exchanged: Option<Exchanged>,
        steps: Vec<StepSnapshot>,
        elapsed: Duration,
    ) -> Self {
        let exchange = exchanged.map(|exchanged| {
            let Exchanged { workers, objects, bytes, requests } = exchanged;
            ExchangeSummary { workers, objects, bytes, requests }
        });
        let (elapsed_seconds, usage) = (elapsed.as_secs_f64(), process::usage());
        Self { requests, cost, exchange, steps, elapsed_seconds, usage, ..self }
    }
}

/// Returns the warning about a failure to publish. It refers to the error, which is printed after
/// the summary with its cause and hint.
fn not_published(version: u64, failure: &Failure) -> String {
    match &failure.table {
        Some(table) => format!(
            "version {version} is committed, but the Delta log of table `{table}` does not show it; see the error below"
        ),
        None => format!(
            "version {version} is committed, but the Delta versions of its tables are not published; see the error below"
        ),
    }
}

/// Returns the error of a run that committed its version but could not publish all of it.
fn unpublished(version: u64, failures: Vec<Failure>) -> Option<Error> {
    Error::join(failures.into_iter().map(|failure| {
        let mut error = failure.error;
        error.message = format!("version {version} is committed, but not published: {}", error.message);
        error
    }))
}
