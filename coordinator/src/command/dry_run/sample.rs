//! Decodes a sample of a source's new objects, and counts the records that a run would reject.
//!
//! The records come from objects that are spread evenly over the source, because faults often begin
//! with a date or a producer, and the first objects would not show them.

use std::collections::{BTreeMap, BTreeSet};
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
use lakewright_common::read::field_counts::FieldCounts;
use lakewright_common::read::scan_node::JsonScanExec;
use lakewright_common::read::scan_rows::{ReadReport, ScanRows, read_report_rows};
use lakewright_common::read::split::Split;
use lakewright_common::session::Storages;
use lakewright_common::session::plan_failure::stage_error;
use serde::Serialize;

use crate::open;
use crate::run::damage::{DamagedObject, damage_of};
use crate::run::discover::NewObjects;
use crate::run::empty_fields;
use crate::run::limits::share;

/// Maximum number of kinds of rejected records that are listed for one source.
const SHOWN_KINDS: usize = 10;
/// Maximum number of splits that a sample reads.
const MOST_SPLITS: usize = 200;
/// Maximum number of concurrent reads. A sample needs few bytes, so it must not read far ahead.
const CONCURRENT_READS: usize = 8;

/// Result of decoding some records of a source, including the records that a run would reject.
#[derive(Debug, Serialize)]
pub(super) struct Sample {
    source: String,
    /// Number of records that fit the declared fields.
    read: u64,
    rejected: u64,
    /// Rejected records by reason and field, the most frequent ones first.
    rejected_by: Vec<RejectedKind>,
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
    /// Number of invalid values that became null, by field.
    nulled_values: BTreeMap<String, u64>,
    /// Warnings of declared fields that no sampled record has.
    warnings: Vec<String>,
}

/// Rejected records with the same reason and field.
#[derive(Debug, Serialize)]
struct RejectedKind {
    records: u64,
    #[serde(flatten)]
    first: RejectedRecord,
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
    let source = Arc::new(new.source.clone());
    let mut limits = limits.clone();
    limits.concurrent_reads = limits.concurrent_reads.min(CONCURRENT_READS);
    let limits = Arc::new(limits);
    let most = MOST_SPLITS.min(usize::try_from(records).unwrap_or(usize::MAX));
    let splits = spread(new.splits_of(limits.split_bytes).into_iter().flatten().collect(), most);
    let storage = open::source(opened, &source.name);
    let mut sample = Sample::new(&source);
    let mut fields = FieldCounts::default();
    let mut open = splits.len() as u64;
    for split in splits {
        // Records that a short object did not have are taken from the following ones.
        let missing = records.saturating_sub(sample.read + sample.rejected);
        let scan = JsonScanExec::new(Arc::clone(&source), vec![vec![split]], Arc::clone(&limits));
        let scan = scan.sampling(missing.div_ceil(open));
        open -= 1;
        let mut rows = scan.execute(0, session.task_ctx()).engine_context(stage_error)?;
        while let Some(batch) = rows.next().await {
            match ScanRows::from_batch(&batch.engine_context(stage_error)?)? {
                Some(ScanRows::Records(batch)) => sample.read += batch.len() as u64,
                Some(ScanRows::Rejected(batch)) => sample.add_rejected(&batch),
                Some(ScanRows::Reports(reports)) => {
                    for report in read_report_rows(&reports)? {
                        sample.damaged.extend(damage_of(storage, &report));
                        if let ReadReport::Fields(counts) = report {
                            fields.add(counts);
                        }
                    }
                }
                None => {}
            }
        }
    }
    // Kinds with equal counts keep the order in which they were found.
    sample.rejected_by.sort_by_key(|kind| std::cmp::Reverse(kind.records));
    sample.warnings = empty_fields::warnings(&source, &fields, sample.read);
    sample.unknown_fields = fields.undeclared;
    sample.nulled_values = fields.nulled;
    sample.rejected_share = share(sample.rejected, sample.read + sample.rejected);
    Ok(sample)
}

/// Returns at most `most` of the splits, evenly spaced, the first and the last included.
fn spread(splits: Vec<Split>, most: usize) -> Vec<Split> {
    let count = splits.len();
    if count <= most {
        return splits;
    }
    let gaps = most.saturating_sub(1).max(1);
    let chosen: BTreeSet<usize> = (0..most).map(|i| i * (count - 1) / gaps).collect();
    splits.into_iter().enumerate().filter(|(i, _)| chosen.contains(i)).map(|(_, split)| split).collect()
}

impl Sample {
    fn new(source: &Source) -> Self {
        Self {
            source: source.name.clone(),
            read: 0,
            rejected: 0,
            rejected_by: vec![],
            rejected_share: 0.0,
            max_quarantine_share: source.max_quarantine_share,
            damaged: vec![],
            on_damaged: source.on_damaged,
            unknown_fields: BTreeMap::new(),
            nulled_values: BTreeMap::new(),
            warnings: vec![],
        }
    }

    fn add_rejected(&mut self, batch: &StructArray) {
        for row in 0..batch.len() {
            self.rejected += 1;
            let record = RejectedRecord::at(batch, row);
            let is_same =
                |kind: &&mut RejectedKind| (&kind.first.reason, &kind.first.field) == (&record.reason, &record.field);
            match self.rejected_by.iter_mut().find(is_same) {
                Some(kind) => kind.records += 1,
                None => self.rejected_by.push(RejectedKind { records: 1, first: record }),
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
        for kind in self.rejected_by.iter().take(SHOWN_KINDS) {
            let _ = writeln!(text, "    {}", kind.text());
        }
        let hidden: u64 = self.rejected_by.iter().skip(SHOWN_KINDS).map(|kind| kind.records).sum();
        if hidden > 0 {
            let _ = writeln!(text, "    and {hidden} records with other reasons or fields");
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
        for (name, count) in &self.nulled_values {
            let _ = writeln!(text, "    {count} values of field `{}` became null", printable::line(name));
        }
        for warning in &self.warnings {
            let _ = writeln!(text, "    warning: {warning}");
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
}

impl RejectedKind {
    /// Returns the number of records, their reason and field, and the first of them.
    fn text(&self) -> String {
        let Self { records, first: RejectedRecord { object, byte_offset, reason, field, detail } } = self;
        let field = field.iter().fold(String::new(), |_, field| format!(", field `{}`", printable::line(field)));
        let records = if *records == 1 { "1 record".to_owned() } else { format!("{records} records") };
        let (object, detail) = (printable::line(object), printable::line(detail));
        format!("{records}: {reason}{field}, first in {object} at byte {byte_offset}: {detail}")
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

#[cfg(test)]
mod tests {
    use lakewright_common::storage::object::SourceObject;

    use super::*;

    #[test]
    fn splits_are_spread_over_the_source() {
        let split = |i: usize| Split::whole(SourceObject { key: i.to_string(), bytes: 1, etag: None, modified: 0 });
        let keys = |count: usize, most: usize| -> Vec<usize> {
            spread((0..count).map(split).collect(), most)
                .iter()
                .map(|split| split.object.key.parse().unwrap())
                .collect()
        };
        assert_eq!(keys(3, 5), [0, 1, 2]);
        assert_eq!(keys(100, 1), [0]);
        assert_eq!(keys(100, 2), [0, 99]);
        assert_eq!(keys(101, 5), [0, 25, 50, 75, 100]);
        assert_eq!(keys(1_000, 200).len(), 200);
    }
}
