//! `check`: the dry run. Validates everything, lists what a run would take in, and writes nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{Array, AsArray, StructArray};
use arrow::datatypes::Int64Type;
use datafusion::physical_plan::ExecutionPlan;
use futures::StreamExt;
use lakewright_common::config::resolved::{Config, Limits, OnDamaged, Source};
use lakewright_common::error::{Error, Result};
use lakewright_common::printable;
use lakewright_common::read::scan_node::JsonScanExec;
use lakewright_common::read::scan_rows::{ReadReport, ScanRows};
use lakewright_common::session::Storages;
use lakewright_common::session::plan_failure::stage_error;
use lakewright_common::storage::Storage;

use super::print;
use crate::lake::{publish, store};
use crate::model;
use crate::open;
use crate::output::bytes;
use crate::price;
use crate::run::damage::{DamagedObject, damage_of};
use crate::run::discover::{NewObjects, new_objects};
use crate::run::estimate::estimate;
use crate::run::validate::validate;

/// Would-be rejected records shown per source.
const SHOWN_RECORDS: usize = 10;

/// Prints what a run would do.
///
/// # Errors
/// Whatever a run would fail with before it writes.
pub(super) async fn check(config: &Config, sample: Option<u64>) -> Result<()> {
    let opened = open::open_or_empty(config).await?;
    let session = open::session(config, &opened, config.limits.threads, Arc::default())?;
    let models = model::plan_models(&session, config)?;
    validate(&open::session(config, &opened, config.limits.threads, Arc::default())?, config, &models).await?;
    let base = store::latest(&opened.lake).await?;
    let tables: Vec<&str> = models.iter().map(|model| model.table.name.as_str()).collect();
    publish::verify(&opened.lake, base.as_ref(), &tables).await?;
    let discovered = new_objects(config, &opened, base.as_ref(), &models).await?;

    let mut text = String::new();
    let _ = writeln!(text, "{} is valid", config.file.display());
    let _ = writeln!(
        text,
        "lake {}: {}",
        config.lake,
        match &base {
            Some(base) => format!("version {}", base.version),
            None => "no version yet".to_owned(),
        }
    );
    let _ = writeln!(text, "\n{:<12} {:>9} {:>9} {:>12} {:>7}", "source", "objects", "new", "new bytes", "splits");
    for new in &discovered.sources {
        let splits = new.splits(&config.limits, config.limits.threads);
        let size = new.objects.iter().map(|object| object.bytes).sum();
        let count: usize = splits.iter().map(Vec::len).sum();
        let _ = writeln!(
            text,
            "{:<12} {:>9} {:>9} {:>12} {count:>7}  in {} scan {}",
            new.source.name,
            new.listed,
            new.objects.len(),
            bytes(size),
            splits.len(),
            if splits.len() == 1 { "task" } else { "tasks" }
        );
    }
    for warning in discovered.skipped.warnings() {
        let _ = writeln!(text, "warning: {warning}");
    }
    let _ = writeln!(text, "\nmodels in building order");
    for model in &models {
        let sources = model.sources.iter().map(|source| format!("{}.{source}", model::STAGING_SCHEMA));
        let reads: Vec<String> = sources.chain(model.tables.iter().cloned()).collect();
        let _ = writeln!(text, "  {:<12} reads {}", model.table.name, reads.join(", "));
    }
    if !discovered.has_work() {
        let _ = writeln!(text, "\na run has nothing to do");
    }
    if let Some(expected) =
        estimate(config, &opened, base.as_ref(), &models, &discovered).filter(|_| discovered.has_work())
    {
        let _ = write!(text, "\n{}", price::table(expected, None, &config.prices));
    }
    if let Some(records) = sample {
        for new in &discovered.sources {
            let sampled = sample_source(&session, &opened, new, &config.limits, records).await?;
            let _ = write!(text, "\n{sampled}");
        }
    }
    print(text.as_bytes())
}

/// What a sample of a source's new objects holds.
#[derive(Debug, Default)]
struct Sample {
    read: u64,
    rejected: u64,
    /// A line for each of the first rejected records.
    shown: String,
    damaged: Vec<DamagedObject>,
    unknown_fields: BTreeMap<String, u64>,
}

/// Decodes about `records` records of a source and says what would not fit.
async fn sample_source(
    session: &datafusion::prelude::SessionContext,
    opened: &Storages,
    new: &NewObjects<'_>,
    limits: &Limits,
    records: u64,
) -> Result<String> {
    let source = new.source;
    let splits = new.splits_of(limits.split_bytes);
    let mut limits = limits.clone();
    // Only what is requests for is fetched ahead.
    limits.concurrent_reads = limits.concurrent_reads.min(8);
    let scan = JsonScanExec::new(Arc::new(source.clone()), splits, Arc::new(limits)).sampling(records);
    let storage = open::source(opened, &source.name);
    let mut sample = Sample::default();
    for partition in 0..scan.partitions().len() {
        if sample.read + sample.rejected >= records {
            break;
        }
        let mut rows = scan.execute(partition, session.task_ctx()).map_err(sampling_error)?;
        while let Some(batch) = rows.next().await {
            match ScanRows::from_batch(&batch.map_err(sampling_error)?)? {
                Some(ScanRows::Records(batch)) => sample.read += batch.len() as u64,
                Some(ScanRows::Rejected(batch)) => sample.take_rejected(&batch),
                Some(ScanRows::Reports(reports)) => {
                    let reports = reports.iter().flatten().filter_map(|report| serde_json::from_str(report).ok());
                    reports.for_each(|report| sample.take_report(storage, report));
                }
                None => {}
            }
        }
    }
    Ok(sample.text(source))
}

impl Sample {
    fn take_rejected(&mut self, batch: &StructArray) {
        for row in 0..batch.len() {
            if self.rejected < SHOWN_RECORDS as u64 {
                let text = |name: &str| -> String {
                    let column = batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>().cloned());
                    column.map(|column| column.value(row).to_owned()).unwrap_or_default()
                };
                let offset = batch
                    .column_by_name("byte_offset")
                    .map_or(0, |column| column.as_primitive::<Int64Type>().value(row));
                let (object, reason, detail) = (text("object"), text("reason"), text("detail"));
                let (object, detail) = (printable::line(&object), printable::line(&detail));
                let _ = writeln!(self.shown, "    {object} at byte {offset}: {reason}: {detail}");
            }
            self.rejected += 1;
        }
    }

    fn take_report(&mut self, storage: &Storage, report: ReadReport) {
        self.damaged.extend(damage_of(storage, &report));
        if let ReadReport::UnknownFields(fields) = report {
            for (name, count) in fields {
                *self.unknown_fields.entry(name).or_insert(0) += count;
            }
        }
    }

    fn text(&self, source: &Source) -> String {
        let Self { read, rejected, .. } = self;
        let mut text = format!(
            "sample of {}, of what is new: {} records read, {rejected} would be quarantined\n",
            source.name,
            read + rejected
        );
        text.push_str(&self.shown);
        if *rejected > SHOWN_RECORDS as u64 {
            let _ = writeln!(text, "    and {} more", rejected - SHOWN_RECORDS as u64);
        }
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        let share = *rejected as f64 / ((read + rejected).max(1)) as f64;
        if share > source.max_quarantine_share {
            let _ = writeln!(
                text,
                "    a run with this share, {:.2} %, fails: `max_quarantine_share` of the source is {:.2} %",
                share * 100.0,
                source.max_quarantine_share * 100.0
            );
        }
        for object in &self.damaged {
            let _ = writeln!(text, "    damaged: {object}; {}", consequence(source.on_damaged));
        }
        for (name, count) in &self.unknown_fields {
            let name = printable::line(name);
            let _ = writeln!(text, "    field `{name}` is not declared ({count} records)");
        }
        text
    }
}

/// What a run does about a damaged object.
fn consequence(on_damaged: OnDamaged) -> &'static str {
    match on_damaged {
        OnDamaged::Error => "a run fails, unless `on_damaged` says otherwise",
        OnDamaged::Skip => "a run skips it",
        OnDamaged::Keep => "a run keeps what can be read",
    }
}

fn sampling_error(error: datafusion::error::DataFusionError) -> Error {
    Error::from_engine(error, stage_error)
}
