//! A Delta log made equal to the newest manifest again, whatever it holds: the way back after another program changed a
//! table, and after manifests and logs of different times came together.
//!
//! One more entry does it, put like any other: it removes the live files that the manifest does not name, adds the
//! manifest's files that are not live, and restores columns, partition columns and configuration. The protocol cannot be
//! taken back (Delta has no way for it), so a log with table features is refused, and a later version without features
//! stays. The log is read before the manifest, so nothing that a run put is newer than the manifest in hand.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::Utc;
use deltalake_core::kernel::{Action, Metadata, Remove};
use futures::TryStreamExt;
use lakewright_common::error::{Context, Error, Result, listed};
use lakewright_common::storage::{PutOutcome, Storage};

use super::actions::{self, Change, lake_id_of};
use super::history::History;
use super::log_entry::{is_harmless_property, is_lowest, is_metadata_of};
use super::standing::{not_ours, standing};
use super::table_log::{self, LogPosition};
use super::{checkpoint_if_due, roll_table};
use crate::lake::manifest::{Manifest, TableState};
use crate::lake::{LakePath, store, url_of};

/// Starts over when another process committed meanwhile.
const MAX_ATTEMPTS: u32 = 20;

/// What it took to make a log equal to the manifest.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Overwritten {
    /// The log's version, which equals the manifest.
    pub(crate) version: u64,
    /// `None` if the log was equal already, or only behind.
    pub(crate) correction: Option<Correction>,
    /// The protocol that the log keeps, where it is not the lowest: reader and writer version.
    pub(crate) protocol: Option<(i32, i32)>,
}

/// What the entry changed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Correction {
    pub(crate) removed: usize,
    pub(crate) added: usize,
    pub(crate) is_metadata_restored: bool,
}

/// Makes the log of table `name` equal to the newest manifest; returns that manifest too.
///
/// # Errors
/// Configuration, for a table that the manifest does not have, a log that never was this program's, a protocol that
/// cannot be written; storage, naming files that the manifest names and that are not there.
pub(crate) async fn overwrite(lake: &Storage, name: &str) -> Result<(Manifest, Overwritten)> {
    for _ in 0..MAX_ATTEMPTS {
        let position = table_log::position(lake, name).await.map_err(|error| unreadable(lake, name, error))?;
        let manifest = store::latest(lake).await?.ok_or_else(|| no_table(lake, name))?;
        let state = manifest.table(name).cloned().ok_or_else(|| no_table(lake, name))?;
        let mut history = History::new(lake, Some(&manifest));
        let Some(position) = position else {
            if let Some(version) = roll_table(&mut history, &manifest, &state).await? {
                return Ok((manifest, Overwritten { version, correction: None, protocol: None }));
            }
            continue;
        };
        refuse_foreign(lake, name, &position)?;
        require_files(lake, &state).await?;
        let protocol = (position.protocol.min_reader_version(), position.protocol.min_writer_version());
        let protocol = (!is_lowest(&position.protocol)).then_some(protocol);
        let live = table_log::live_files(lake, name, position.version).await?;
        let change = Change { committed_at: Utc::now(), ..Change::new(&manifest, state) };
        let (entry, correction) = entry(&change, &position, live)?;
        let is_equal = correction == Correction { removed: 0, added: 0, is_metadata_restored: false };
        if is_equal && standing(&mut history, name).await.is_ok() {
            return Ok((manifest, Overwritten { version: position.version, correction: None, protocol }));
        }
        let version = position.version + 1;
        if table_log::put_version(lake, name, version, actions::encode_all(&entry)?).await? == PutOutcome::Created {
            checkpoint_if_due(lake, name, version).await;
            return Ok((manifest, Overwritten { version, correction: Some(correction), protocol }));
        }
    }
    Err(Error::internal(format!("the Delta log of table `{name}` moves faster than it can be read")))
}

/// The entry that takes the log from what is live to what the manifest has.
fn entry(change: &Change, position: &LogPosition, live: Vec<Remove>) -> Result<(Vec<Action>, Correction)> {
    let state = &change.after;
    let mut wanted: HashMap<String, _> = HashMap::new();
    for file in &state.files {
        wanted.insert(actions::path_in_table(&state.name, file)?, file);
    }
    let mut removed = Vec::new();
    for mut file in live {
        // With a deletion vector it is another logical file, which lacks rows.
        if file.deletion_vector.is_none() && wanted.remove(&file.path).is_some() {
            continue;
        }
        file.deletion_timestamp = Some(change.committed_at.timestamp_millis());
        removed.push(file);
    }
    let mut added: Vec<_> = wanted.into_values().collect();
    added.sort_by(|a, b| a.written.path.cmp(&b.written.path));
    let is_metadata_restored =
        !is_metadata_of(&position.metadata, state) || lake_id_of(&position.metadata) != change.lake_id;

    let mut info = actions::commit_info(change, false, true);
    info.operation = Some("RESTORE".to_owned());
    info.operation_parameters = Some(HashMap::new());
    let mut entry = vec![Action::CommitInfo(info)];
    if is_metadata_restored {
        entry.push(Action::Metadata(restored(change, &position.metadata)?));
    }
    entry.push(Action::Txn(actions::transaction(change)?));
    let correction = Correction { removed: removed.len(), added: added.len(), is_metadata_restored };
    entry.extend(removed.into_iter().map(Action::Remove));
    for file in added {
        entry.push(Action::Add(actions::add(change, file)?));
    }
    Ok((entry, correction))
}

/// The manifest's columns and partition columns, and of the configuration what binds no writer.
fn restored(change: &Change, existing: &Metadata) -> Result<Metadata> {
    let kept = existing.configuration().iter().filter(|(key, _)| is_harmless_property(key));
    let kept: BTreeMap<_, _> = kept.map(|(key, value)| (key.clone(), value.clone())).collect();
    actions::metadata_with(change, Some(existing), kept)
}

/// Refuses a table that another program made, and one whose protocol asks for what this program cannot write.
fn refuse_foreign(lake: &Storage, name: &str, position: &LogPosition) -> Result<()> {
    if position.manifest.is_none() && lake_id_of(&position.metadata).is_none() {
        return Err(not_ours(lake, name));
    }
    let protocol = &position.protocol;
    let features: HashSet<String> = [protocol.reader_features(), protocol.writer_features()]
        .into_iter()
        .flatten()
        .flatten()
        .map(ToString::to_string)
        .collect();
    if features.is_empty() && protocol.min_reader_version() <= 2 && protocol.min_writer_version() <= 6 {
        return Ok(());
    }
    let mut features: Vec<_> = features.into_iter().collect();
    features.sort();
    Err(Error::configuration(format!(
        "table `{name}`: another program raised the protocol of its Delta log to reader {}, writer {} with the features {}, which \
         cannot be taken back",
        protocol.min_reader_version(),
        protocol.min_writer_version(),
        listed(features)
    ))
    .hint(write_anew(lake, name)))
}

fn write_anew(lake: &Storage, name: &str) -> String {
    let log = url_of(lake, &LakePath::DeltaLog(name).key());
    format!(
        "move `{log}` away and run `coordinator publish`: it writes the log anew, with the lowest protocol and the lake's own versions"
    )
}

fn unreadable(lake: &Storage, name: &str, error: Error) -> Error {
    if error.hint.is_some() { error } else { error.hint(write_anew(lake, name)) }
}

fn no_table(lake: &Storage, name: &str) -> Error {
    Error::configuration(format!("the newest version of the lake `{}` has no table `{name}`", lake.root))
        .hint("`coordinator tables` lists them")
}

/// Makes sure that no log names files that are gone.
async fn require_files(lake: &Storage, state: &TableState) -> Result<()> {
    let folder = LakePath::Table(&state.name).key();
    let there: HashMap<String, u64> = lake
        .store
        .list(Some(&folder))
        .map_ok(|object| (object.location.to_string(), object.size))
        .try_collect()
        .await
        .storage_context("list", || url_of(lake, &folder))?;
    let is_missing = |path: &str, bytes: u64| there.get(path) != Some(&bytes);
    let files = state.files.iter().map(|file| &file.written);
    let missing: Vec<_> =
        files.filter(|file| is_missing(&file.path, file.bytes)).map(|file| file.path.as_str()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::storage_failure(format!(
        "table `{}`: the newest version of the lake names files that are missing or of another size: {}",
        state.name,
        listed(missing)
    ))
    .hint(format!(
        "another program's VACUUM may have deleted them: restore them from a copy; or {}, then \
         `coordinator run --rebuild {}` builds the table again",
        write_anew(lake, &state.name),
        state.name
    )))
}
