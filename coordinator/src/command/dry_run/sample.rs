//! Decodes a sample of a source's new objects, and collects the records that a run would reject.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{Array, AsArray, StructArray};
use arrow::datatypes::Int64Type;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use lakewright_common::config::resolved::{Limits, OnDamaged, Source};
use lakewright_common::error::{EngineContext, Result};
use lakewright_common::printable;
use lakewright_common::read::scan_node::JsonScanExec;
use lakewright_common::read::scan_rows::{ReadReport, ScanRows, read_report_rows};
use lakewright_common::session::Storages;
use lakewright_common::session::plan_failure::stage_error;
use lakewright_common::storage::Storage;
use serde::Serialize;

use crate::open;
use crate::run::damage::{DamagedObject, damage_of};
use crate::run::discover::NewObjects;
use crate::run::limits::share;

/// Maximum number of rejected records that are listed for one source.
const SHOWN_RECORDS: u64 = 10;
/// Maximum number of concurrent reads. A sample needs few bytes, so it must not read far ahead.
const CONCURRENT_READS: usize = 8;

/// Result of decoding some records of a source, including the records that a run would reject.
#[derive(Debug, Serialize)]
pub(super) struct Sample {
    source: String,
    /// Number of records that fit the declared fields.
    read: u64,
    rejected: u64,
    /// First rejected records, at most [`SHOWN_RECORDS`].
    rejected_records: Vec<RejectedRecord>,
    /// Share of the sampled records that are rejected, from 0 to 1.
    rejected_share: f64,
    /// Setting `max_quarantine_share` of the source. A run fails if a larger share of its records
    /// is rejected.
    max_quarantine_share: f64,
    damaged: Vec<DamagedObject>,
    #[serde(skip)]
    on_damaged: OnDamaged,
    /// Undeclared fields, each with the number of accepted records that contain it.
    unknown_fields: BTreeMap<String, u64>,
}

/// A record that a run would store in the quarantine.
#[derive(Debug, Serialize)]
struct RejectedRecord {
    object: String,
    byte_offset: i64,
    reason: String,
    /// Name of the field that caused the rejection; `None` if the record was rejected as a whole.
    field: Option<String>,
    detail: String,
}

/// Decodes about `records` records of a source's new objects.
///
/// # Errors
/// A storage error.
pub(super) async fn sample(
    session: &SessionContext,
    opened: &Storages,
    new: &NewObjects<'_>,
    limits: &Limits,
    records: u64,
) -> Result<Sample> {
    let source = new.source;
    let splits = new.splits_of(limits.split_bytes);
    let mut limits = limits.clone();
    limits.concurrent_reads = limits.concurrent_reads.min(CONCURRENT_READS);
    let scan = JsonScanExec::new(Arc::new(source.clone()), splits, Arc::new(limits)).sampling(records);
    let storage = open::source(opened, &source.name);
    let mut sample = Sample::new(source);
    for partition in 0..scan.partitions().len() {
        // The scan applies the limit to each partition, so apply it to the whole source here.
        if sample.read + sample.rejected >= records {
            break;
        }
        let mut rows = scan.execute(partition, session.task_ctx()).engine_context(stage_error)?;
        while let Some(batch) = rows.next().await {
            match ScanRows::from_batch(&batch.engine_context(stage_error)?)? {
                Some(ScanRows::Records(batch)) => sample.read += batch.len() as u64,
                Some(ScanRows::Rejected(batch)) => sample.add_rejected(&batch),
                Some(ScanRows::Reports(reports)) => {
                    read_report_rows(&reports)?.into_iter().for_each(|report| sample.add_report(storage, report));
                }
                None => {}
            }
        }
    }
    sample.rejected_share = share(sample.rejected, sample.read + sample.rejected);
    Ok(sample)
}

impl Sample {
    fn new(source: &Source) -> Self {
        Self {
            source: source.name.clone(),
            read: 0,
            rejected: 0,
            rejected_records: vec![],
            rejected_share: 0.0,
            max_quarantine_share: source.max_quarantine_share,
            damaged: vec![],
            on_damaged: source.on_damaged,
            unknown_fields: BTreeMap::new(),
        }
    }

    fn add_rejected(&mut self, batch: &StructArray) {
        for row in 0..batch.len() {
            // Count all rejected records, but keep only the first ones.
            if self.rejected < SHOWN_RECORDS {
                self.rejected_records.push(RejectedRecord::at(batch, row));
            }
            self.rejected += 1;
        }
    }

    fn add_report(&mut self, storage: &Storage, report: ReadReport) {
        self.damaged.extend(damage_of(storage, &report));
        if let ReadReport::UnknownFields(fields) = report {
            for (name, count) in fields {
                *self.unknown_fields.entry(name).or_insert(0) += count;
            }
        }
    }

    /// Returns the sample as lines of text.
    pub(super) fn text(&self) -> String {
        let Self { source, read, rejected, .. } = self;
        let mut text = format!(
            "sample of {source}: {} records of new objects, {read} fit, {rejected} would be quarantined\n",
            read + rejected
        );
        for record in &self.rejected_records {
            let _ = writeln!(text, "    {}", record.text());
        }
        if *rejected > SHOWN_RECORDS {
            let _ = writeln!(text, "    and {} more", rejected - SHOWN_RECORDS);
        }
        if self.rejected_share > self.max_quarantine_share {
            let _ = writeln!(
                text,
                "    a run with this share, {:.2} %, fails: `max_quarantine_share` of the source is {:.2} %",
                self.rejected_share * 100.0,
                self.max_quarantine_share * 100.0
            );
        }
        for object in &self.damaged {
            let _ = writeln!(text, "    damaged: {object}; {}", consequence(self.on_damaged));
        }
        for (name, count) in &self.unknown_fields {
            let name = printable::line(name);
            let _ = writeln!(text, "    field `{name}` is not declared ({count} records)");
        }
        text
    }
}

impl RejectedRecord {
    /// Reads the rejected record in one row of a batch. The batch has the columns of the
    /// quarantine.
    fn at(batch: &StructArray, row: usize) -> Self {
        let text = |name: &str| {
            let column = batch.column_by_name(name)?.as_string_opt::<i32>()?;
            column.is_valid(row).then(|| column.value(row).to_owned())
        };
        // A column of another type would be a bug. Show what can be shown.
        let offsets = batch.column_by_name("byte_offset").and_then(|column| column.as_primitive_opt::<Int64Type>());
        Self {
            object: text("object").unwrap_or_default(),
            byte_offset: offsets.map_or(0, |offsets| offsets.value(row)),
            reason: text("reason").unwrap_or_default(),
            field: text("field"),
            detail: text("detail").unwrap_or_default(),
        }
    }

    /// Returns the record as text: object, offset, reason, field and detail.
    fn text(&self) -> String {
        let Self { object, byte_offset, reason, field, detail } = self;
        let field = field.iter().fold(String::new(), |_, field| format!("field `{}`: ", printable::line(field)));
        format!("{} at byte {byte_offset}: {reason}: {field}{}", printable::line(object), printable::line(detail))
    }
}

/// Describes what a run does about a damaged object.
fn consequence(on_damaged: OnDamaged) -> &'static str {
    match on_damaged {
        OnDamaged::Error => "a run fails, unless `on_damaged` says otherwise",
        OnDamaged::Skip => "a run skips it",
        OnDamaged::Keep => "a run keeps what can be read",
    }
}
