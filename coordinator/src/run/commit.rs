//! ⑧⑨ The commit: ledger, manifest, Delta logs, in that order.
//!
//! A run is invisible until its manifest is written, and fully visible afterwards. The Delta logs
//! repeat the manifest for other engines. If this process dies before it has written the logs, the
//! next run or query writes them.

use std::time::{Duration, Instant};

use lakewright_common::error::{Error, Result};
use uuid::Uuid;

use super::build::Tables;
use super::context::RunContext;
use super::staged::StagedSource;
use super::written;
use crate::lake::ledger;
use crate::lake::manifest::{DataFile, FORMAT, Manifest, SourceState, StepRead, StepRecord};
use crate::lake::manifest_store::{self, Commit};
use crate::lake::publish::{self, Published};
use crate::model::source_fingerprint;
use crate::progress::model::{StepSnapshot, StepState};

/// Name and version of this program in manifests and Delta logs.
const ENGINE: &str = concat!("lakewright ", env!("CARGO_PKG_VERSION"));

/// Commits the run. Returns the manifest and the result of publishing it.
///
/// # Errors
/// A conflict error if another run committed first. A storage error. A workers error if the length
/// of a file differs from the length that a worker reported. A failure to publish is not an error
/// but part of the result, because the commit is complete. The next run or query then publishes the
/// version.
pub(super) async fn commit(
    context: &RunContext<'_>,
    staged: &[StagedSource<'_>],
    tables: Tables,
    started: Instant,
) -> Result<(Manifest, Published)> {
    let step = context.progress.step("commit", None);
    let lake = &context.opened.lake;
    // Sources that are not configured any more keep their state, so that their ledger is not lost.
    let mut sources = context.base.as_ref().map(|base| base.sources.clone()).unwrap_or_default();
    for source in staged {
        let name = &source.source.name;
        let state = next_state(context, source, sources.remove(name).unwrap_or_default()).await?;
        sources.insert(name.clone(), state);
    }
    let manifest = Manifest {
        format: FORMAT,
        version: context.version,
        parent: context.base.as_ref().map(|base| base.version),
        run: context.run,
        // The first commit creates the id. A lake that a program version without lake ids created
        // has none, so its next commit creates one.
        lake_id: Some(context.base.as_ref().and_then(|base| base.lake_id).unwrap_or_else(Uuid::now_v7)),
        committed_at: chrono::Utc::now(),
        engine: ENGINE.to_owned(),
        elapsed_milliseconds: milliseconds(started.elapsed()),
        sources,
        tables: tables.states,
        requests: context.requests(),
        steps: context.progress.snapshot().steps.iter().filter_map(step_record).collect(),
        counts: staged.iter().map(|source| (source.source.name.clone(), source.counts.clone())).collect(),
    };
    // Files that this process wrote need no check.
    if context.engine.has_workers() {
        written::verify(lake, written::reported(staged, &manifest)).await?;
    }
    manifest_store::prepare(lake, &manifest).await?;
    // From here on, a failed request may still have written the manifest, so the run's files must
    // stay.
    context.set_may_be_committed(true);
    match manifest_store::put(lake, &manifest).await? {
        Commit::Committed => {}
        Commit::Conflict { by } => {
            // Another run wrote this version, so this run's manifest does not exist.
            context.set_may_be_committed(false);
            return Err(Error::conflict(format!(
                "run `{by}` committed version {} of the lake during this run; nothing of this run is visible",
                manifest.version
            ))
            .hint("run again: the next run ingests what the other run did not"));
        }
    }
    // Failures to publish do not fail the commit.
    let published = publish::publish(lake, &manifest).await;
    step.end();
    Ok((manifest, published))
}

/// Writes the ledger entries of a source. Returns the source's state for the manifest, with the
/// files and counts of this run added.
async fn next_state(
    context: &RunContext<'_>,
    staged: &StagedSource<'_>,
    mut state: SourceState,
) -> Result<SourceState> {
    let (name, version) = (&staged.source.name, context.version);
    let lake = &context.opened.lake;
    state.ledger = ledger::append(lake, name, version, context.run, &state.ledger, &staged.entries).await?;
    state.fingerprint = source_fingerprint(staged.source);
    // The columns have changed if fields were added to the source since the last commit.
    state.columns = staged.columns.clone();
    state.staging.extend(staged.staging.iter().map(|file| DataFile::new(file.clone(), version)));
    state.quarantine.extend(staged.quarantine.iter().map(|file| DataFile::new(file.clone(), version)));
    state.totals.add(&staged.counts);
    Ok(state)
}

/// Returns the record of a step that has ended.
fn step_record(step: &StepSnapshot) -> Option<StepRecord> {
    let milliseconds = |seconds: f64| Duration::try_from_secs_f64(seconds).map_or(0, milliseconds);
    (step.state == StepState::Done).then(|| StepRecord {
        name: step.name.clone(),
        started_milliseconds: milliseconds(step.started_seconds),
        elapsed_milliseconds: milliseconds(step.elapsed_seconds),
        read: step.objects.map(|read| StepRead { objects: read.done, bytes: read.total_bytes, records: read.records }),
    })
}

/// Returns the whole milliseconds of a duration, at most `u64::MAX`.
fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
