//! ⑧⑨ The commit: ledger, manifest, Delta logs, in that order.
//!
//! A run is invisible until its manifest is written and fully visible afterwards. The Delta logs
//! repeat the manifest for other engines. If this process dies before it has written them, the next
//! run or query does so.

use std::time::{Duration, Instant};

use lakewright_common::error::{Error, Result};
use uuid::Uuid;

use super::build::Tables;
use super::context::RunContext;
use super::staged::StagedSource;
use super::written;
use crate::lake::ledger;
use crate::lake::manifest::{DataFile, FORMAT, Manifest, SourceState};
use crate::lake::publish::{self, Published};
use crate::lake::store::{self, Commit};
use crate::model::source_fingerprint;

/// Name and version of this program in manifests and Delta logs.
const ENGINE: &str = concat!("lakewright ", env!("CARGO_PKG_VERSION"));

/// Commits the run. Returns the manifest, and what was published of it.
///
/// # Errors
/// Conflict, if another run committed first; storage; workers, if files that they reported do not
/// exist. A failure to publish is in the result: the commit is complete, and the next run or query
/// publishes it.
pub(super) async fn commit(
    context: &RunContext<'_>,
    staged: &[StagedSource<'_>],
    tables: Tables,
    started: Instant,
) -> Result<(Manifest, Published)> {
    let step = context.progress.step("commit", None);
    let lake = &context.opened.lake;
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
        lake_id: Some(context.base.as_ref().and_then(|base| base.lake_id).unwrap_or_else(Uuid::now_v7)),
        committed_at: chrono::Utc::now(),
        engine: ENGINE.to_owned(),
        elapsed_milliseconds: milliseconds(started.elapsed()),
        sources,
        tables: tables.states,
        requests: context.requests(),
        counts: staged.iter().map(|source| (source.source.name.clone(), source.counts.clone())).collect(),
    };
    if context.engine.has_workers() {
        written::verify(lake, written::reported(staged, &manifest)).await?;
    }
    store::prepare(lake, &manifest).await?;
    // A put that fails may have written the manifest all the same, so the files must stay from now
    // on.
    context.set_may_be_committed(true);
    match store::put(lake, &manifest).await? {
        Commit::Committed => {}
        Commit::Conflict { by } => {
            context.set_may_be_committed(false);
            return Err(Error::conflict(format!(
                "run `{by}` committed version {} of the lake during this run; nothing of this run is visible",
                manifest.version
            ))
            .hint("run again: the next run ingests what the other run did not"));
        }
    }
    let published = publish::publish(lake, &manifest).await;
    step.end();
    Ok((manifest, published))
}

/// Writes the ledger entries of a source. Returns its state with the files and counts of this run
/// added.
async fn next_state(
    context: &RunContext<'_>,
    staged: &StagedSource<'_>,
    mut state: SourceState,
) -> Result<SourceState> {
    let (name, version) = (&staged.source.name, context.version);
    let lake = &context.opened.lake;
    state.ledger = ledger::append(lake, name, version, context.run, &state.ledger, &staged.entries).await?;
    state.fingerprint = source_fingerprint(staged.source);
    state.columns = staged.columns.clone();
    state.staging.extend(staged.staging.iter().map(|file| DataFile::new(file.clone(), version)));
    state.quarantine.extend(staged.quarantine.iter().map(|file| DataFile::new(file.clone(), version)));
    state.totals.add(&staged.counts);
    Ok(state)
}

/// Returns whole milliseconds, at most `u64::MAX`.
fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
