//! ⑧⑨ The commit: ledger, manifest, Delta logs, in that order.
//!
//! Up to the manifest's put nothing of the run is visible; with it, all of it is. What follows only says the same to
//! other engines, and is done by the next run or query if this process does not live to do it.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use lakewright_common::error::{Error, Result};
use uuid::Uuid;

use super::RunContext;
use super::build::Tables;
use super::ingest::StagedSource;
use super::written;
use crate::lake::ledger;
use crate::lake::manifest::{DataFile, FORMAT, Manifest, SourceState};
use crate::lake::publish::{self, Published};
use crate::lake::store::{self, Commit};
use crate::model::source_fingerprint;

/// What manifests and Delta logs say of the program that wrote them.
const ENGINE: &str = concat!("lakewright ", env!("CARGO_PKG_VERSION"));

/// Commits the run; returns the manifest, and what was published of it.
///
/// # Errors
/// Conflict, if another run committed first; storage. A failure to publish is in the result: the commit is valid, and the
/// next run or query publishes it.
pub(super) async fn commit(
    context: &RunContext<'_>,
    staged: &[StagedSource<'_>],
    tables: Tables,
    started: Instant,
) -> Result<(Manifest, Published)> {
    context.progress.step("commit", None);
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
    // From here on the files may be named by a manifest, whatever is answered.
    context.may_be_committed.store(true, Ordering::Relaxed);
    match store::put(lake, &manifest).await? {
        Commit::Committed => {}
        Commit::Conflict { by } => {
            context.may_be_committed.store(false, Ordering::Relaxed);
            return Err(Error::conflict(format!(
                "run `{by}` committed version {} of the lake while this run was under way; nothing of this run is visible",
                manifest.version
            ))
            .hint("run again: it takes in what the other run did not"));
        }
    }
    let published = publish::publish(lake, &manifest).await;
    Ok((manifest, published))
}

/// A source with what this run adds to it; writes its part of the ledger.
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

/// Whole milliseconds; a run of 584 million years saturates.
fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
