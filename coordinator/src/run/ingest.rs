//! ③④⑤ Turns new objects into staging and quarantine files, and creates one ledger entry per
//! object.
//!
//! Each source is one stage. Its tasks scan objects and write files. A task returns one report for
//! each file that it wrote, and one for each split that it read. The run continues only if the
//! files have as many rows as the splits have records.

use std::collections::HashSet;
use std::sync::Arc;

use lakewright_common::config::resolved::{OnChange, OnDamaged, Source};
use lakewright_common::error::{Error, Kind, Result};
use lakewright_common::read::scan_node::JsonScanExec;
use lakewright_common::read::schema::arrow_schema;
use lakewright_common::read::split::Split;
use lakewright_common::read::tally::ObjectTally;
use lakewright_common::report::TaskReport;
use lakewright_common::session::progress::ReadProgress;
use lakewright_common::storage::object::SourceObject;
use lakewright_common::write::file::discard;
use lakewright_common::write::ingest_node::{IngestExec, IngestFolders};

use super::context::RunContext;
use super::damage::{self, DamagedObject};
use super::discover::{Discovered, NewObjects, unchanged_objects};
use super::staged::StagedSource;
use super::{limits, lines};
use crate::lake::column::{Columns, assign_column_ids};
use crate::lake::ledger::LedgerEntry;
use crate::lake::{LakePath, ledger};
use crate::open;
use crate::progress::Step;

/// Stages the new objects of every source.
///
/// # Errors
/// A storage error. A data error for damaged or changing objects, or for more rejected records than
/// a source allows. A configuration error for a field that has another type than before.
pub(super) async fn ingest<'a>(
    context: &RunContext<'a>,
    discovered: &Discovered<'a>,
    reads: &Arc<ReadProgress>,
) -> Result<Vec<StagedSource<'a>>> {
    let mut staged = Vec::new();
    for new in &discovered.sources {
        let bytes = new.objects.iter().map(|object| object.bytes).sum();
        let name = format!("ingest {}", new.source.name);
        let objects = new.objects.len() as u64;
        let start = || context.progress.reading(&name, objects, bytes, reads, context.engine.tasks());
        // Show no progress step for a source without new objects.
        let step = (objects > 0).then(start);
        staged.push(stage_unchanged(context, new).await?);
        step.into_iter().for_each(Step::end);
    }
    // Check this after all sources are staged, so that one run reports every source with too many
    // rejected records.
    let mut failures = Vec::new();
    for source in &staged {
        failures.extend(limits::check_quarantine_share(context, source).await.err());
    }
    Error::join(failures).map_or(Ok(staged), Err)
}

/// Stages a source. With `on_change = "ignore"`, leaves out objects that change while they are
/// read.
async fn stage_unchanged<'a>(context: &RunContext<'a>, new: &NewObjects<'a>) -> Result<StagedSource<'a>> {
    let mut changing = Vec::new();
    let mut rest = None;
    loop {
        let error = match stage_source(context, rest.as_ref().unwrap_or(new)).await {
            Ok(staged) => return Ok(StagedSource { changing, ..staged }),
            Err(error) => error,
        };
        // A changed object causes a data error. Any other error has another cause.
        if error.kind != Kind::Data || new.source.on_change == OnChange::Error {
            return Err(error);
        }
        // Read the unchanged objects again. No manifest will name the files of the failed attempt.
        let (same, changed) = unchanged_objects(context.opened, rest.as_ref().unwrap_or(new)).await?;
        // No object changed, so the error has another cause, and another attempt would fail as
        // well.
        if changed.is_empty() {
            return Err(error);
        }
        tracing::warn!(source = new.source.name, %error, "staging again without the objects that changed");
        changing.extend(changed);
        rest = Some(same);
    }
}

async fn stage_source<'a>(context: &RunContext<'a>, new: &NewObjects<'a>) -> Result<StagedSource<'a>> {
    let source = new.source;
    let previous = context.base.as_ref().and_then(|base| base.sources.get(&source.name)).map(|state| &state.columns);
    let columns = staging_columns(source, previous)?;
    let mut staged = StagedSource::new(source, columns);
    if new.objects.is_empty() {
        return Ok(staged);
    }
    // The number of tasks that the engine runs at once: the threads of this process, or the vcores
    // of the workers.
    let tasks = context.session.copied_config().target_partitions();
    let mut tallies = Vec::new();
    let mut pending = new.splits(&context.config.limits, tasks);
    // There is usually one round. With `on_damaged = "skip"`, a task that read a damaged object is
    // repeated in the next round without that object.
    while !pending.is_empty() {
        let tasks = scan(context, &staged, &pending).await?;
        pending = add_tasks(context, &mut staged, tasks, &pending, &mut tallies).await?;
    }
    // Number the lines only now, because the line counts of all splits are needed.
    staged.quarantine = lines::number_lines(context, &staged.quarantine, &tallies).await?;
    staged.entries = entries(context, &staged, &new.objects, tallies)?;
    staged.count();
    staged.check_rows()?;
    Ok(staged)
}

/// Scans splits and writes their records. Returns the reports of each task.
async fn scan(
    context: &RunContext<'_>,
    staged: &StagedSource<'_>,
    splits: &[Vec<Split>],
) -> Result<Vec<Vec<TaskReport>>> {
    let source = staged.source;
    let limits = Arc::new(context.config.limits.clone());
    let scan = JsonScanExec::new(Arc::new(source.clone()), splits.to_vec(), Arc::clone(&limits));
    let folders = IngestFolders {
        staging: LakePath::Staging(&source.name).key().to_string(),
        quarantine: LakePath::Quarantine(&source.name).key().to_string(),
    };
    let schema = staged.columns.arrow_schema()?;
    let plan = IngestExec::new(Arc::new(scan), schema, folders, context.run, limits.target_file_bytes);
    let name = format!("ingest {}", source.name);
    context.engine.run_tasks(&context.session, &name, Arc::new(plan)).await
}

/// Takes the reports of tasks: adds their files to `staged`, and their tallies to `tallies`.
///
/// If a task read a damaged object that must be skipped, adds none of the task's reports. Deletes
/// the task's files, because they contain records of that object. Returns the splits of such tasks
/// that belong to other objects; they must be staged again.
///
/// # Errors
/// A data error for damaged objects of a source with `on_damaged = "error"`.
async fn add_tasks(
    context: &RunContext<'_>,
    staged: &mut StagedSource<'_>,
    tasks: Vec<Vec<TaskReport>>,
    planned: &[Vec<Split>],
    tallies: &mut Vec<ObjectTally>,
) -> Result<Vec<Vec<Split>>> {
    let source = staged.source;
    let storage = open::source(context.opened, &source.name);
    let damaged = damage::damaged(storage, tasks.iter().flatten());
    if !damaged.is_empty() && source.on_damaged == OnDamaged::Error {
        return Err(damage::refusal(source, &damaged));
    }
    // Log each damaged object once. A repeated task does not read it again.
    damage::log(source, &damaged);
    staged.damaged.extend(damaged);
    let mut again = Vec::new();
    for reports in tasks {
        let damaged = damage::damaged(storage, &reports);
        if damaged.is_empty() || source.on_damaged != OnDamaged::Skip {
            staged.add_reports(reports, tallies)?;
            continue;
        }
        discard(context.opened.lake.store.as_ref(), &damage::files(&reports)).await;
        let intact = damage::intact_splits(&reports, &damaged, planned);
        // Nothing is left to do if the task read only damaged objects.
        if !intact.is_empty() {
            again.push(intact);
        }
    }
    Ok(again)
}

/// Returns the columns of the staging table.
///
/// # Errors
/// A configuration error for a field that an earlier run staged with another type.
fn staging_columns(source: &Source, previous: Option<&Columns>) -> Result<Columns> {
    let columns = assign_column_ids(previous, &arrow_schema(&source.fields))?;
    // Compare with dropped columns too, because files from before a field was dropped still have
    // its old type.
    let changed = previous.into_iter().flat_map(Columns::ever).find_map(|before| {
        let now = columns.list.iter().find(|column| column.name == before.name)?;
        (now.data_type != before.data_type).then_some((before, now))
    });
    match changed {
        None => Ok(columns),
        Some((before, now)) => Err(Error::configuration(format!(
            "source `{}`: field `{}` was staged as `{}` and is declared `{}` now",
            source.name, now.name, before.data_type, now.data_type
        ))
        .hint("declare it under a new name with `from = \"…\"`, or start a new lake")),
    }
}

/// Returns one ledger entry per object, with the sums of the counts of its splits. A skipped object
/// has no entry.
///
/// # Errors
/// An internal error for an object that no task has reported.
fn entries(
    context: &RunContext<'_>,
    staged: &StagedSource<'_>,
    objects: &[SourceObject],
    tallies: Vec<ObjectTally>,
) -> Result<Vec<LedgerEntry>> {
    let entries = ledger::entries(tallies, context.version, context.run)?;
    let mut reported: HashSet<&str> = entries.iter().map(|entry| entry.object.key.as_str()).collect();
    // Skipped objects are reported as damaged and have no entry.
    reported.extend(staged.damaged.iter().map(DamagedObject::key));
    // Without this check, an object that no task reported would be lost.
    match objects.iter().find(|object| !reported.contains(object.key.as_str())) {
        Some(missing) => Err(Error::internal(format!("object `{}` was planned and never reported", missing.key))),
        None => Ok(entries),
    }
}
