//! Makes a Delta log equal to the newest manifest again, regardless of what the log contains. This
//! is the repair after another program changed a table, after an entry was damaged, and after
//! manifests and logs of different times were combined.
//!
//! The repair is one more entry of the log. This entry removes the live files that the manifest
//! does not name, adds the files of the manifest that are not live, and restores columns, partition
//! columns and configuration. A live file whose size, partition values or statistics differ from
//! the manifest is added again: by Delta's protocol the last `add` of a file counts, and an entry
//! must not remove and add the same file. The protocol cannot be lowered, because Delta has no way
//! to do so. So a log with table features is refused, and a higher version without features stays.
//! The log is read before the manifest, so it contains nothing that is newer than the manifest.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::Utc;
use deltalake_core::kernel::{Action, Add, Metadata, Remove};
use lakewright_common::error::{Error, Result, listed};
use lakewright_common::storage::{PutOutcome, Storage};

use super::actions::{self, Change, lake_id_of};
use super::files::require_files;
use super::history::History;
use super::log_entry::{is_harmless_property, is_lowest, is_metadata_of, is_writable};
use super::repair_hints::write_anew_hint;
use super::standing::{not_ours, standing};
use super::table_log::{self, LogPosition};
use super::unreadable::explained;
use super::{MAX_ATTEMPTS, checkpoint, roll_table};
use crate::lake::manifest::Manifest;
use crate::lake::manifest_store;
use crate::lake::publish::consistent;

/// Result of making a log equal to the manifest.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Overwritten {
    /// Delta version at which the log equals the manifest.
    pub(crate) version: u64,
    /// Changes that the correcting entry made. `None` if the log was already equal to the manifest,
    /// or if there was no log and a complete one was written.
    pub(crate) correction: Option<Correction>,
    /// Reader and writer version of the log's protocol, if another program raised it. The protocol
    /// stays raised, because Delta has no way to lower it. `None` for the lowest protocol.
    pub(crate) protocol: Option<(i32, i32)>,
    /// Number of older log entries that are damaged or missing. Their versions are no longer
    /// published.
    pub(crate) withdrawn: usize,
}

/// The changes that the correcting entry made.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Correction {
    pub(crate) removed: usize,
    pub(crate) added: usize,
    /// Number of live files whose size, partition values and statistics were written again.
    pub(crate) described: usize,
    pub(crate) is_metadata_restored: bool,
}

/// Makes the log of table `name` equal to the newest manifest. Returns that manifest and the
/// result.
///
/// # Errors
/// A configuration error for a table that the manifest does not have, a log that another program
/// created, or a protocol that cannot be written. A storage error that names the missing files of
/// the manifest.
pub(crate) async fn overwrite(lake: &Storage, name: &str) -> Result<(Manifest, Overwritten)> {
    for _ in 0..MAX_ATTEMPTS {
        // Read the log before the manifest, so that the log contains nothing newer than the
        // manifest.
        let position = match table_log::position(lake, name).await {
            Ok(position) => position,
            Err(error) => return Err(unreadable(lake, name, explained(lake, name, error).await)),
        };
        let manifest = manifest_store::latest(lake).await?.ok_or_else(|| no_table(lake, name))?;
        let state = manifest.table(name).cloned().ok_or_else(|| no_table(lake, name))?;
        let mut history = History::new(lake, Some(&manifest));
        let Some(position) = position else {
            // If there is no log, rolling forward writes a complete one.
            if let Some(version) = roll_table(&mut history, &manifest, &state, MAX_ATTEMPTS).await? {
                return Ok((manifest, Overwritten { version, correction: None, protocol: None, withdrawn: 0 }));
            }
            continue;
        };
        refuse_foreign(lake, name, &position)?;
        require_files(lake, &state).await?;
        let protocol = (position.protocol.min_reader_version(), position.protocol.min_writer_version());
        let protocol = (!is_lowest(&position.protocol)).then_some(protocol);
        let damaged = consistent::damaged_versions(lake, name).await?;
        let live = table_log::live_files(lake, name, position.version).await?;
        // Use the current time, because the manifest may be old.
        let change = Change { committed_at: Utc::now(), ..Change::new(&manifest, state) };
        // If an entry was changed after it was written, we do not know which files it describes
        // wrongly, so the repair describes all files again.
        let (entry, correction) = entry(&change, &position, live, !damaged.is_empty())?;
        let is_equal = correction == Correction::default();
        // A log with the same files may still have reached only an older manifest.
        let standing = standing(&mut history, name).await.ok().flatten();
        let is_current = standing.is_some_and(|position| position.manifest >= Some(change.after.changed_in));
        let (version, correction) = if is_equal && is_current {
            (position.version, None)
        } else {
            let version = position.version + 1;
            // This version may have been published before, if the log was replaced by an older
            // copy.
            let is_void = |at: &consistent::TableVersion| at.version >= version;
            consistent::withdraw(lake, name, is_void, |_| None).await?;
            let entry = actions::encode_all(&entry)?;
            if table_log::put_version(lake, name, version, entry).await? == PutOutcome::Exists {
                continue;
            }
            checkpoint::write_if_due(lake, name, version).await;
            (version, Some(correction))
        };
        // Withdraw the damaged versions only now: after a failed correction, the next attempt must
        // find them again.
        consistent::withdraw(lake, name, |at| damaged.contains(at), |_| None).await?;
        let withdrawn = damaged.len();
        return Ok((manifest, Overwritten { version, correction, protocol, withdrawn }));
    }
    Err(Error::internal(format!("the Delta log of table `{name}` moves faster than it can be read")))
}

/// Builds the entry that makes a log equal to the manifest. `live` are the log's live files. If
/// `is_suspect`, the log may describe files wrongly, so the entry also adds the live files of the
/// manifest again.
fn entry(
    change: &Change,
    position: &LogPosition,
    live: Vec<Add>,
    is_suspect: bool,
) -> Result<(Vec<Action>, Correction)> {
    let state = &change.after;
    let mut wanted: HashMap<String, _> = HashMap::new();
    for file in &state.files {
        wanted.insert(actions::path_in_table(&state.name, file)?, file);
    }
    let (mut removed, mut described) = (Vec::new(), Vec::new());
    for file in live {
        // A file with a deletion vector is another logical file, without some of the rows.
        let wanted = if file.deletion_vector.is_none() { wanted.remove(&file.path) } else { None };
        match wanted {
            Some(wanted) if is_suspect || !actions::is_add_of(&file, wanted)? => described.push(wanted),
            Some(_) => {}
            None => removed.push(tombstone(change, file)),
        }
    }
    // The files that remain in `wanted` are not live. Sort them, so that the entry does not depend
    // on the order of the map.
    let mut added: Vec<_> = wanted.into_values().collect();
    added.sort_by(|a, b| a.written.path.cmp(&b.written.path));
    let is_metadata_restored =
        !is_metadata_of(&position.metadata, state) || lake_id_of(&position.metadata) != change.lake_id;
    let correction =
        Correction { removed: removed.len(), added: added.len(), described: described.len(), is_metadata_restored };

    let mut info = actions::commit_info(change, false, true);
    info.operation = Some("RESTORE".to_owned());
    info.operation_parameters = Some(HashMap::new());
    let mut entry = vec![Action::CommitInfo(info)];
    if is_metadata_restored {
        entry.push(Action::Metadata(restored(change, &position.metadata)?));
    }
    entry.push(Action::Txn(actions::transaction(change)?));
    entry.extend(removed.into_iter().map(Action::Remove));
    for file in described.into_iter().chain(added) {
        entry.push(Action::Add(actions::add(change, file)?));
    }
    Ok((entry, correction))
}

/// Builds the action that removes a live file.
fn tombstone(change: &Change, file: Add) -> Remove {
    Remove {
        path: file.path,
        data_change: true,
        deletion_timestamp: Some(change.committed_at.timestamp_millis()),
        extended_file_metadata: Some(true),
        partition_values: Some(file.partition_values),
        size: Some(file.size),
        deletion_vector: file.deletion_vector,
        ..Remove::default()
    }
}

/// Builds the metadata: the columns and partition columns of the manifest, and the properties of
/// the log that do not restrict a writer.
fn restored(change: &Change, existing: &Metadata) -> Result<Metadata> {
    let kept = existing.configuration().iter().filter(|(key, _)| is_harmless_property(key));
    let kept: BTreeMap<_, _> = kept.map(|(key, value)| (key.clone(), value.clone())).collect();
    actions::metadata_with(change, Some(existing), kept)
}

/// Refuses a table that another program created, and a protocol that this program cannot write.
fn refuse_foreign(lake: &Storage, name: &str, position: &LogPosition) -> Result<()> {
    if position.manifest.is_none() && lake_id_of(&position.metadata).is_none() {
        return Err(not_ours(lake, name));
    }
    let protocol = &position.protocol;
    if is_writable(protocol) {
        return Ok(());
    }
    let features: HashSet<String> = [protocol.reader_features(), protocol.writer_features()]
        .into_iter()
        .flatten()
        .flatten()
        .map(ToString::to_string)
        .collect();
    let mut features: Vec<_> = features.into_iter().collect();
    features.sort();
    Err(Error::configuration(format!(
        "table `{name}`: another program raised the protocol of its Delta log to reader {}, writer {} with the features {}, which \
         cannot be lowered",
        protocol.min_reader_version(),
        protocol.min_writer_version(),
        listed(features)
    ))
    .hint(write_anew_hint(lake, name)))
}

/// Adds a hint to the error for an unreadable log, unless the error already has one.
fn unreadable(lake: &Storage, name: &str, error: Error) -> Error {
    if error.hint.is_some() { error } else { error.hint(write_anew_hint(lake, name)) }
}

fn no_table(lake: &Storage, name: &str) -> Error {
    Error::configuration(format!("the newest version of the lake `{}` has no table `{name}`", lake.root))
        .hint("`coordinator tables` lists them")
}
