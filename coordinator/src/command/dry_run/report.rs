//! The report of a dry run, as data and as text.

use std::fmt::Write as _;

use lakewright_common::config::resolved::Limits;
use serde::Serialize;

use super::sample::Sample;
use crate::model::{self, Model};
use crate::output::bytes;
use crate::price::Cost;
use crate::run::discover::NewObjects;
use crate::run::skipped::SkippedObjects;

/// Report of a dry run: the objects and models that a run would process if it started now. If a run
/// could not start, `check` fails without a report.
#[derive(Debug, Serialize)]
pub(super) struct CheckReport {
    /// Path of the configuration file.
    pub(super) config: String,
    /// URL of the lake.
    pub(super) lake: String,
    /// Newest version of the lake; `None` before the first commit.
    pub(super) version: Option<u64>,
    pub(super) sources: Vec<SourceReport>,
    /// Warnings about skipped objects. The first line of each says what happened, and further lines
    /// give details.
    pub(super) warnings: Vec<String>,
    pub(super) skipped: SkippedObjects,
    /// Models in building order.
    pub(super) models: Vec<ModelReport>,
    /// Whether a run would have something to do.
    pub(super) has_work: bool,
    /// Expected requests and their price; `None` if a run has nothing to do, or if neither the lake
    /// nor a source is on S3.
    pub(super) cost: Option<Cost>,
    /// A sample of each source; empty without `--sample`.
    pub(super) samples: Vec<Sample>,
}

/// Objects of one source, and how a run would read them.
#[derive(Debug, Serialize)]
pub(super) struct SourceReport {
    name: String,
    /// Number of all objects, including those that were ingested before.
    objects: u64,
    new_objects: u64,
    /// Size of the new objects in bytes, as stored.
    new_bytes: u64,
    splits: u64,
    scan_tasks: u64,
}

/// One model and what it reads.
#[derive(Debug, Serialize)]
pub(super) struct ModelReport {
    table: String,
    /// Names of the tables that the model reads: first staging tables as `staging.<source>`, then
    /// tables of other models.
    reads: Vec<String>,
}

impl SourceReport {
    pub(super) fn new(new: &NewObjects<'_>, limits: &Limits) -> Self {
        // Plan as for a run without workers, which runs one task per thread.
        let tasks = new.splits(limits, limits.threads);
        Self {
            name: new.source.name.clone(),
            objects: new.listed,
            new_objects: new.objects.len() as u64,
            new_bytes: new.objects.iter().map(|object| object.bytes).sum(),
            splits: tasks.iter().map(|splits| splits.len() as u64).sum(),
            scan_tasks: tasks.len() as u64,
        }
    }
}

impl ModelReport {
    pub(super) fn new(model: &Model<'_>) -> Self {
        let sources = model.sources.iter().map(|source| format!("{}.{source}", model::STAGING_SCHEMA));
        Self { table: model.table.name.clone(), reads: sources.chain(model.tables.iter().cloned()).collect() }
    }
}

impl CheckReport {
    /// Returns the report as lines of text.
    pub(super) fn text(&self) -> String {
        let version = self.version.map_or_else(|| "no version yet".to_owned(), |version| format!("version {version}"));
        let mut text = format!("{} is valid\nlake {}: {version}\n", self.config, self.lake);
        self.add_sources(&mut text);
        text.push_str("\nmodels in building order\n");
        for model in &self.models {
            let _ = writeln!(text, "  {:<12} reads {}", model.table, model.reads.join(", "));
        }
        if !self.has_work {
            text.push_str("\na run has nothing to do\n");
        }
        if let Some(cost) = &self.cost {
            let _ = write!(text, "\n{}", cost.text());
        }
        for sample in &self.samples {
            let _ = write!(text, "\n{}", sample.text());
        }
        text
    }

    fn add_sources(&self, text: &mut String) {
        let _ = writeln!(text, "\n{:<12} {:>9} {:>9} {:>12} {:>7}", "source", "objects", "new", "new bytes", "splits");
        for SourceReport { name, objects, new_objects, new_bytes, splits, scan_tasks } in &self.sources {
            let tasks = if *scan_tasks == 1 { "task" } else { "tasks" };
            let size = bytes(*new_bytes);
            let _ = writeln!(
                text,
                "{name:<12} {objects:>9} {new_objects:>9} {size:>12} {splits:>7}  in {scan_tasks} scan {tasks}"
            );
        }
        for warning in &self.warnings {
            let _ = writeln!(text, "warning: {warning}");
        }
    }
}
