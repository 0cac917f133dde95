//! ⑨ Every table's Delta log brought up to a manifest, however far behind it is.
//!
//! ```text
//! the log says txn 5                       manifests that changed the table: 5, 8, 9
//!   └─► 8 and 9 are missing ─► entry of 8 ─► put version N+1 if absent ─► entry of 9 ─► put version N+2 if absent
//!                                              └─ exists: read the log again, start over
//! ```
//!
//! The manifests decide what was committed and in which order; a log only repeats it for readers that know Delta.
//! A run rolls forward what it committed; a process that died in between left it to the next one, run or query. Any
//! number of processes may do it at once: a `txn` action in every entry says how far the log is, an entry is put only
//! if absent, and whoever is late finds nothing to do.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use lakewright_common::error::{Error, Result};
use lakewright_common::failpoint;
use lakewright_common::storage::{PutOutcome, Storage};

use super::actions::{self, Change};
use super::manifest::{Manifest, TableState};
use super::table_log::{self, CHECKPOINT_INTERVAL, LogPosition};
use super::{Place, consistent, store, url_of};

/// Starts over on one table; each one means that another process moved the log, or that a put failed.
const MAX_ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(50);

/// Does what is left to do after the put of `latest`: rolls the logs forward and publishes their versions. Costs one
/// small read when nothing is.
pub(crate) async fn catch_up(lake: &Storage, latest: &Manifest) -> Result<()> {
    if consistent::latest(lake).await?.is_some_and(|published| published.manifest >= latest.number) {
        return Ok(());
    }
    let versions = roll_forward(lake, latest).await?;
    consistent::publish(lake, latest, &versions).await
}

/// Rolls the log of every table in `latest` forward, in its order, and answers with their Delta versions at that
/// manifest. A table whose log another process has already taken beyond `latest` is left out.
///
/// # Errors
/// Storage, when a log cannot be read or written; configuration, when a log belongs to another program. The commit
/// stands all the same, and the next call goes on where this one failed.
pub(crate) async fn roll_forward(lake: &Storage, latest: &Manifest) -> Result<BTreeMap<String, u64>> {
    let mut history = History { lake, latest, older: HashMap::new() };
    let mut versions = BTreeMap::new();
    for table in &latest.tables {
        if let Some(version) = roll_table(&mut history, table).await? {
            versions.insert(table.name.clone(), version);
        }
    }
    Ok(versions)
}

/// Brings one log up to `table`'s state; answers with its version there.
async fn roll_table(history: &mut History<'_>, table: &TableState) -> Result<Option<u64>> {
    let mut failure = None;
    for attempt in 0..MAX_ATTEMPTS {
        if attempt > 0 {
            tokio::time::sleep(PAUSE * attempt).await;
        }
        let position = table_log::position(history.lake, &table.name).await?;
        let rolled = match &position {
            None => 0,
            Some(position) => position.manifest.ok_or_else(|| foreign_log(history.lake, &table.name))?,
        };
        if rolled >= table.changed_in {
            return Ok(position.filter(|_| rolled <= history.latest.number).map(|position| position.version));
        }
        let changes = history.changes(table, rolled).await?;
        match put_changes(history.lake, &table.name, position, &changes).await {
            Ok(Some(version)) => return Ok(Some(version)),
            Ok(None) => {}
            // The entry may be there all the same: the next look at the log tells.
            Err(e) => failure = Some(e),
        }
    }
    Err(failure.unwrap_or_else(|| {
        Error::internal(format!("the Delta log of table `{}` moves faster than it can be read", table.name))
    }))
}

/// Puts one entry per change; answers with the last version, or `None` where another process was faster.
async fn put_changes(
    lake: &Storage,
    table: &str,
    position: Option<LogPosition>,
    changes: &[Change],
) -> Result<Option<u64>> {
    let mut version = position.as_ref().map(|position| position.version);
    let metadata = position.map(|position| position.metadata);
    for change in changes {
        let next = version.map_or(0, |version| version + 1);
        // A log that began just now gets its id from version 0, which the next look reads.
        if next > 0 && metadata.is_none() {
            return Ok(None);
        }
        failpoint::reach("delta.before_log");
        match table_log::put_version(lake, table, next, actions::encode(change, metadata.as_ref())?).await? {
            PutOutcome::Created => version = Some(next),
            PutOutcome::Exists => return Ok(None),
        }
        failpoint::reach("delta.after_log");
        checkpoint_if_due(lake, table, next).await;
    }
    Ok(version)
}

/// A log without a checkpoint is slower to read and as right as with one, so a failure is told and forgotten.
async fn checkpoint_if_due(lake: &Storage, table: &str, version: u64) {
    if version == 0 || !version.is_multiple_of(CHECKPOINT_INTERVAL) {
        return;
    }
    failpoint::reach("delta.before_checkpoint");
    if let Err(e) = table_log::write_checkpoint(lake, table, version).await {
        tracing::warn!(table, version, error = %e, "no checkpoint of the Delta log was written");
    }
    failpoint::reach("delta.after_checkpoint");
}

fn foreign_log(lake: &Storage, table: &str) -> Error {
    let log = url_of(lake, &Place::DeltaLog(table).key());
    Error::configuration(format!("`{log}` is the log of a Delta table that this program did not write"))
        .hint(format!("move that table away, or name table `{table}` of `lake.toml` otherwise"))
}

/// What `manifest` changed in a table, still without the state before it, and the manifest's parent.
fn change_of(manifest: &Manifest, after: TableState) -> (Change, Option<u64>) {
    let change = Change {
        number: manifest.number,
        run: manifest.run,
        committed_at: manifest.committed_at,
        engine: manifest.engine.clone(),
        before: None,
        after,
    };
    (change, manifest.parent)
}

/// The manifests up to the latest, each read once however many tables ask for it.
struct History<'a> {
    lake: &'a Storage,
    latest: &'a Manifest,
    older: HashMap<u64, Option<Arc<Manifest>>>,
}

impl History<'_> {
    async fn get(&mut self, number: u64) -> Result<Option<Arc<Manifest>>> {
        if let Some(manifest) = self.older.get(&number) {
            return Ok(manifest.clone());
        }
        let manifest = store::get(self.lake, number).await?.map(Arc::new);
        self.older.insert(number, manifest.clone());
        Ok(manifest)
    }

    /// What changed in a table after the manifest `rolled` (0: nothing was rolled), oldest first.
    ///
    /// Goes back from the latest manifest by each state's `changed_in`, so it reads as many manifests as there are
    /// changes missing, however many left the table alone.
    async fn changes(&mut self, table: &TableState, rolled: u64) -> Result<Vec<Change>> {
        let mut newest_first: Vec<Change> = Vec::new();
        let mut state = Some(table.clone());
        while let Some(after) = state.take_if(|state| state.changed_in > rolled) {
            let number = after.changed_in;
            let (change, parent) = if number == self.latest.number {
                change_of(self.latest, after)
            } else {
                let manifest = self.get(number).await?.ok_or_else(|| self.lost(&table.name, number))?;
                change_of(&manifest, after)
            };
            newest_first.push(change);
            // Without a parent, or with one that was cleaned up, the table begins here.
            state = match parent {
                Some(parent) => self.get(parent).await?.and_then(|manifest| manifest.table(&table.name).cloned()),
                None => None,
            };
        }
        // The oldest missing change starts from what the log holds: the state of the manifest that it was rolled to,
        // also where the table left `lake.toml` since and came back.
        let mut before = match state {
            Some(state) if state.changed_in == rolled => Some(state),
            _ if rolled == 0 => None,
            _ => {
                let manifest = self.get(rolled).await?.ok_or_else(|| self.lost(&table.name, rolled))?;
                manifest.table(&table.name).cloned()
            }
        };
        for change in newest_first.iter_mut().rev() {
            change.before = before.replace(change.after.clone());
        }
        newest_first.reverse();
        Ok(newest_first)
    }

    fn lost(&self, table: &str, number: u64) -> Error {
        let key = Place::Manifest(number).key();
        Error::storage_failure(format!("`{}`, to which table `{table}` refers, is gone", url_of(self.lake, &key)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
mod tests;
