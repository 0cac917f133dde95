//! Checks that the reports of a task account for the task's input, and that the task was allowed to
//! use the names of its files.
//!
//! A compromised worker can report anything. Everything that can be checked without reading the
//! worker's files is checked here, before a report counts:
//!
//! - each split is reported exactly once, and all its bytes were read, unless it is damaged;
//! - the files have as many rows as the splits have records;
//! - every file is where the task may write.
//!
//! The content of the files is not checked.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use lakewright_common::exchange::write_node::ExchangeWriteExec;
use lakewright_common::read::scan_node::JsonScanExec;
use lakewright_common::read::scan_rows::ReadReport;
use lakewright_common::read::split::Split;
use lakewright_common::read::tally::ObjectTally;
use lakewright_common::report::spool_object::SpoolObject;
use lakewright_common::report::{TaskReport, WrittenFile};
use lakewright_common::write::hive;
use lakewright_common::write::ingest_node::IngestExec;
use lakewright_common::write::table_node::TableWriteExec;
use uuid::Uuid;

/// Length of a UUID as text.
const UUID_BYTES: usize = 36;
/// Constant part of the maximum number of decompressed bytes of a split. The other part is its
/// stored bytes times the maximum decompression ratio.
const FREE_BYTES: u64 = 64 * 1024 * 1024;
/// Exclusive upper bound of each reported number of rows or bytes. It keeps sums from overflowing.
const MAX_COUNT: u64 = 1 << 50;

/// Input and output that the reports of one task must account for.
#[derive(Debug)]
pub(super) enum Account {
    Ingest {
        splits: Vec<Arc<[Split]>>,
        max_ratio: u64,
        staging: Names,
        quarantine: Names,
    },
    Table {
        names: Names,
        partition_by: Vec<String>,
    },
    Spool {
        prefix: String,
        partitions: usize,
    },
    /// Account of a plan that writes nothing and reports nothing.
    Nothing,
}

/// File names that a task may use.
#[derive(Debug)]
pub(super) struct Names {
    folder: String,
    /// Prefix of file names within the folder.
    start: String,
}

type Checked<T = ()> = Result<T, String>;

impl Account {
    /// Derives the account of a task from its plan. `task` is `None` if the plan was not cut, so
    /// that one task runs all of it.
    pub(super) fn of(plan: &Arc<dyn ExecutionPlan>, task: Option<usize>) -> Self {
        if let Some(ingest) = plan.downcast_ref::<IngestExec>() {
            let names = |folder: &str| Names::new(folder, ingest.run(), task);
            // If the child is no scan, no split is planned, so every tally is rejected.
            let scan = plan.children().into_iter().find_map(|child| child.downcast_ref::<JsonScanExec>());
            return Self::Ingest {
                splits: scan.map(|scan| scan.partitions().to_vec()).unwrap_or_default(),
                max_ratio: scan.map_or(1, |scan| scan.limits().max_decompression_ratio),
                staging: names(&ingest.folders().staging),
                quarantine: names(&ingest.folders().quarantine),
            };
        }
        if let Some(write) = plan.downcast_ref::<TableWriteExec>() {
            let names = Names::new(&write.layout().folder, write.run(), task);
            return Self::Table { names, partition_by: write.layout().partition_by.clone() };
        }
        if let Some(write) = plan.downcast_ref::<ExchangeWriteExec>() {
            return Self::Spool { prefix: write.prefix().to_owned(), partitions: write.partitions() };
        }
        match plan.downcast_ref::<CoalescePartitionsExec>() {
            // A single task's plan is wrapped in a coalesce (`stage_planner::single_task`).
            Some(whole) => Self::of(whole.input(), task),
            None => Self::Nothing,
        }
    }

    /// Checks the reports of the task.
    ///
    /// # Errors
    /// A description of what the task reported but cannot have done, which completes the sentence
    /// "a worker reported …".
    pub(super) fn check(&self, reports: &[TaskReport]) -> Checked {
        match self {
            Self::Ingest { splits, max_ratio, staging, quarantine } => {
                check_ingest(splits, *max_ratio, staging, quarantine, reports)
            }
            // A table: each file is in the folder of its partition values, and is reported once.
            Self::Table { names, partition_by } => {
                let mut paths = HashSet::new();
                reports.iter().try_for_each(|report| match report {
                    TaskReport::Table(file) => {
                        names.check(file, partition_by)?;
                        once(&mut paths, file)
                    }
                    _ => Err("something else than files of its table".to_owned()),
                })
            }
            Self::Spool { prefix, partitions } => reports.iter().try_for_each(|report| match report {
                TaskReport::Spooled(object) => check_spooled(object, prefix, *partitions),
                _ => Err("something else than a spool object".to_owned()),
            }),
            Self::Nothing if reports.is_empty() => Ok(()),
            Self::Nothing => Err("results of a plan that has none".to_owned()),
        }
    }
}

fn check_ingest(
    splits: &[Arc<[Split]>],
    max_ratio: u64,
    staging: &Names,
    quarantine: &Names,
    reports: &[TaskReport],
) -> Checked {
    // Planned splits that no tally has named yet, by the key of their object and the start of their
    // range.
    let planned = splits.iter().flat_map(|splits| splits.iter());
    let mut open: HashMap<(&str, u64), &Split> =
        planned.map(|split| ((split.object.key.as_str(), split.range.start), split)).collect();
    let mut paths = HashSet::new();
    // Two pairs of totals (staged, quarantined): rows in the files, and records in the tallies.
    let (mut files, mut counts) = ((0, 0), (0, 0));
    for report in reports {
        match report {
            TaskReport::Staged(file) => {
                staging.check(file, &[])?;
                once(&mut paths, file)?;
                files.0 += file.rows;
            }
            TaskReport::Quarantined(file) => {
                quarantine.check(file, &[])?;
                once(&mut paths, file)?;
                files.1 += file.rows;
            }
            TaskReport::Read(ReadReport::Object(tally)) => {
                let Some(split) = open.remove(&(tally.object.key.as_str(), tally.split_start)) else {
                    return Err(format!("a part of `{}` that it was not given, or twice", tally.object.key));
                };
                check_tally(tally, split, max_ratio)?;
                counts = (counts.0 + tally.staged, counts.1 + tally.quarantined);
            }
            // Counts of fields are printed and kept for the history. No table depends on them.
            TaskReport::Read(ReadReport::Fields(_)) => {}
            TaskReport::Table(_) | TaskReport::Spooled(_) => {
                return Err("something else than staged records".to_owned());
            }
        }
    }
    if let Some(split) = open.values().next() {
        return Err(format!("nothing about `{}`", split.object.key));
    }
    if files != counts {
        return Err(format!("files of {} and {} rows for {} and {} records", files.0, files.1, counts.0, counts.1));
    }
    Ok(())
}

/// Checks that a tally belongs to the planned split, and has no more records than fit in the
/// split's bytes.
fn check_tally(tally: &ObjectTally, split: &Split, max_ratio: u64) -> Checked {
    let key = &split.object.key;
    if tally.object != split.object {
        return Err(format!("another version of `{key}`"));
    }
    let stored = split.range.end - split.range.start;
    // Only a damaged split is not read to its end.
    let is_read = match tally.damage {
        None => tally.stored_bytes == stored,
        Some(_) => tally.stored_bytes <= stored,
    };
    if !is_read {
        return Err(format!("{} bytes read of {stored} of `{key}`", tally.stored_bytes));
    }
    // The first bytes of an object decide whether it is compressed, regardless of its name, so any
    // object may decompress to this many bytes.
    let bytes = stored.saturating_mul(max_ratio.max(1)).saturating_add(FREE_BYTES);
    // A record has at least one byte. A document without any record counts as one rejected record.
    if tally.records > bytes.saturating_add(1) || tally.lines > bytes {
        return Err(format!("{} records and {} lines in {stored} bytes of `{key}`", tally.records, tally.lines));
    }
    if tally.staged.checked_add(tally.quarantined) != Some(tally.records) || tally.templated > tally.staged {
        return Err(format!("counts of `{key}` that do not add up"));
    }
    Ok(())
}

/// Checks that the key of a spool object starts with the prefix of the run, and that the object has
/// counts of rows and bytes for exactly `partitions` partitions.
fn check_spooled(object: &SpoolObject, prefix: &str, partitions: usize) -> Checked {
    // Keys have the form `<prefix>-<uuid>.arrows`.
    let uuid = object.key.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-')?.strip_suffix(".arrows"));
    // A task without rows writes no object and reports an empty key.
    let is_empty = object.key.is_empty() && object.chunk_bytes.is_empty();
    if !is_empty && !uuid.is_some_and(is_uuid) {
        return Err(format!("a spool object `{}` that is not of its run", object.key));
    }
    // `rows` has one count per partition, `chunk_bytes` one per flush and partition.
    let has_partitions = object.rows.len() == partitions
        && object.chunk_bytes.iter().all(|flush| flush.len() == partitions)
        && object.rows.iter().chain(object.chunk_bytes.iter().flatten()).all(|count| *count < MAX_COUNT);
    if has_partitions { Ok(()) } else { Err("a spool object with other partitions than its stage has".to_owned()) }
}

impl Names {
    fn new(folder: &str, run: Uuid, task: Option<usize>) -> Self {
        let start = task.map_or_else(|| format!("{run}-"), |task| format!("{run}-{task}-"));
        Self { folder: folder.to_owned(), start }
    }

    /// Checks that a file has a name that the task may use, and is in the folder that belongs to
    /// its partition values, such as `songplays/year=2018/month=11`.
    fn check(&self, file: &WrittenFile, partition_by: &[String]) -> Checked {
        let mut folder = self.folder.clone();
        // Surplus partition values would not show in the folder's name, so compare their number.
        let is_partitioned = file.partition_values.len() == partition_by.len();
        for column in partition_by {
            let value =
                file.partition_values.get(column).ok_or_else(|| format!("`{}` without `{column}`", file.path))?;
            folder.push('/');
            folder.push_str(&hive::folder(column, value.as_deref()).map_err(|error| error.to_string())?);
        }
        let name = file.path.strip_prefix(&folder).and_then(|rest| rest.strip_prefix('/'));
        if !is_partitioned || !name.is_some_and(|name| self.is_name(name)) {
            return Err(format!("a file `{}` that is not of its task", file.path));
        }
        let is_bounded = file.rows < MAX_COUNT && file.bytes < MAX_COUNT;
        if is_bounded {
            Ok(())
        } else {
            Err(format!("`{}` with {} rows in {} bytes", file.path, file.rows, file.bytes))
        }
    }

    /// Returns whether a file name has the form `<run>-<task>-<uuid>.parquet`.
    fn is_name(&self, name: &str) -> bool {
        let rest = name.strip_prefix(&self.start).and_then(|rest| rest.strip_suffix(".parquet"));
        rest.is_some_and(|rest| {
            rest.split_at_checked(rest.len().saturating_sub(UUID_BYTES)).is_some_and(|(task, uuid)| {
                // `start` already contains the task number, except for a task that runs the whole
                // plan.
                let number = task.strip_suffix('-').unwrap_or(task);
                number.bytes().all(|byte| byte.is_ascii_digit()) && is_uuid(uuid)
            })
        })
    }
}

fn once<'a>(paths: &mut HashSet<&'a str>, file: &'a WrittenFile) -> Checked {
    // A file that is reported twice would count its rows twice.
    if paths.insert(&file.path) { Ok(()) } else { Err(format!("`{}` twice", file.path)) }
}

fn is_uuid(text: &str) -> bool {
    text.len() == UUID_BYTES && Uuid::try_parse(text).is_ok()
}

#[cfg(test)]
mod tests;
