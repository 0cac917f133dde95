//! A Delta log made equal to the newest manifest again, whatever it holds: the repair after another
//! program changed a table, after an entry was damaged, and after manifests and logs of different
//! times came together.
//!
//! One more entry does it, put like any other. It removes the live files that the manifest does not
//! name, adds the manifest's files that are not live, and restores columns, partition columns and
//! configuration. A live file whose size, partition values or statistics are not those of the
//! manifest is added again: by Delta's protocol, the last `add` of a file counts, and an entry must
//! not both remove and add the same file. The protocol cannot be lowered (Delta has no way for it),
//! so a log with table features is refused, and a higher version without features stays. The log is
//! read before the manifest, so the log has nothing that is newer than the manifest.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::Utc;
use deltalake_core::kernel::{Action, Add, Metadata, Remove};
use lakewright_common::error::{Error, Result, listed};
use lakewright_common::storage::{PutOutcome, Storage};

use super::actions::{self, Change, lake_id_of};
use super::files::require_files;
use super::history::History;
use super::log_entry::{is_harmless_property, is_lowest, is_metadata_of, is_writable};
use super::standing::{not_ours, standing};
use super::table_log::{self, LogPosition};
use super::unreadable::{explained, write_anew_hint};
use super::{MAX_ATTEMPTS, checkpoint_if_due, roll_table};
use crate::lake::manifest::Manifest;
use crate::lake::publish::consistent;
use crate::lake::store;

/// Result of making a log equal to the manifest.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Overwritten {
    /// Version of the log, which equals the manifest.
    pub(crate) version: u64,
    /// `None` if the log was equal already, or only behind.
    pub(crate) correction: Option<Correction>,
    /// Protocol that the log keeps if it is not the lowest: reader and writer version.
    pub(crate) protocol: Option<(i32, i32)>,
    /// Number of older log entries that are damaged or missing. Their versions are not published
    /// any more.
    pub(crate) withdrawn: usize,
}

/// The changes that the entry made.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Correction {
    pub(crate) removed: usize,
    pub(crate) added: usize,
    /// Number of files that were live and are described anew.
    pub(crate) described: usize,
    pub(crate) is_metadata_restored: bool,
}

/// Makes the log of table `name` equal to the newest manifest; returns that manifest too.
///
/// # Errors
/// Configuration, for a table that the manifest does not have, a log that another program created,
/// a protocol that cannot be written; storage, naming files of the manifest that are missing.
pub(crate) async fn overwrite(lake: &Storage, name: &str) -> Result<(Manifest, Overwritten)> {
    for _ in 0..MAX_ATTEMPTS {
        let position = match table_log::position(lake, name).await {
            Ok(position) => position,
            Err(error) => return Err(unreadable(lake, name, explained(lake, name, error).await)),
        };
        let manifest = store::latest(lake).await?.ok_or_else(|| no_table(lake, name))?;
        let state = manifest.table(name).cloned().ok_or_else(|| no_table(lake, name))?;
        let mut history = History::new(lake, Some(&manifest));
        let Some(position) = position else {
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
        let change = Change { committed_at: Utc::now(), ..Change::new(&manifest, state) };
        // Where an entry is not as it was written, it is not known which of its files are described
        // wrongly.
        let (entry, correction) = entry(&change, &position, live, !damaged.is_empty())?;
        let is_equal = correction == Correction::default();
        // A log with the same files may still be of an older manifest.
        let standing = standing(&mut history, name).await.ok().flatten();
        let is_current = standing.is_some_and(|position| position.manifest >= Some(change.after.changed_in));
        let (version, correction) = if is_equal && is_current {
            (position.version, None)
        } else {
            let version = position.version + 1;
            // An older copy of the log may have taken the place of one in which this version was
            // published already.
            let is_void = |at: &consistent::TableVersion| at.version >= version;
            consistent::withdraw(lake, name, is_void, |_| None).await?;
            let entry = actions::encode_all(&entry)?;
            if table_log::put_version(lake, name, version, entry).await? == PutOutcome::Exists {
                continue;
            }
            checkpoint_if_due(lake, name, version).await;
            (version, Some(correction))
        };
        consistent::withdraw(lake, name, |at| damaged.contains(at), |_| None).await?;
        let withdrawn = damaged.len();
        return Ok((manifest, Overwritten { version, correction, protocol, withdrawn }));
    }
    Err(Error::internal(format!("the Delta log of table `{name}` moves faster than it can be read")))
}

/// Builds the entry that makes the log, in which `live` are the live files, equal to the manifest.
/// With `is_suspect`, every file is described anew.
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
        // With a deletion vector it is another logical file, which lacks rows.
        let wanted = if file.deletion_vector.is_none() { wanted.remove(&file.path) } else { None };
        match wanted {
            Some(wanted) if is_suspect || !actions::is_add_of(&file, wanted)? => described.push(wanted),
            Some(_) => {}
            None => removed.push(tombstone(change, file)),
        }
    }
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

/// Builds the metadata: the manifest's columns and partition columns, and those properties of the
/// log that bind no writer.
fn restored(change: &Change, existing: &Metadata) -> Result<Metadata> {
    let kept = existing.configuration().iter().filter(|(key, _)| is_harmless_property(key));
    let kept: BTreeMap<_, _> = kept.map(|(key, value)| (key.clone(), value.clone())).collect();
    actions::metadata_with(change, Some(existing), kept)
}

/// Refuses a table that another program created, and one with a protocol that this program cannot
/// write.
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

/// Makes sure that an error for a log that cannot be read has a hint.
fn unreadable(lake: &Storage, name: &str, error: Error) -> Error {
    if error.hint.is_some() { error } else { error.hint(write_anew_hint(lake, name)) }
}

fn no_table(lake: &Storage, name: &str) -> Error {
    Error::configuration(format!("the newest version of the lake `{}` has no table `{name}`", lake.root))
        .hint("`coordinator tables` lists them")
}
