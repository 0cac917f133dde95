//! Damaged objects, which cannot be read to their end. Depending on `on_damaged` of the source, the
//! run fails, skips them, or keeps the part that can be read.
//!
//! A scan finds damage only while it stages the object, and one file contains records of many
//! objects. To skip an object, the run deletes the files of the task that read it, and stages the
//! task's other splits again.

use std::collections::{HashMap, HashSet};
use std::fmt;

use lakewright_common::config::resolved::{OnDamaged, Source};
use lakewright_common::error::Error;
use lakewright_common::printable;
use lakewright_common::read::rejection::Reason;
use lakewright_common::read::scan_rows::ReadReport;
use lakewright_common::read::split::Split;
use lakewright_common::read::tally::Damage;
use lakewright_common::report::{TaskReport, WrittenFile};
use lakewright_common::storage::Storage;
use serde::Serialize;

use crate::output::objects;

/// Maximum number of damaged objects that are named in one message.
const NAMED: usize = 10;

/// An object that cannot be read to its end.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct DamagedObject {
    /// Key of the object within its source.
    key: String,
    /// URL of the object.
    #[serde(rename = "url")]
    name: String,
    #[serde(flatten)]
    damage: Damage,
}

impl DamagedObject {
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Returns whether the object is in an unsupported format, such as lzo, rather than broken.
    fn is_unsupported(&self) -> bool {
        self.damage.reason == Reason::UnsupportedFormat
    }
}

impl fmt::Display for DamagedObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, detail) = (printable::line(&self.name), printable::line(&self.damage.detail));
        if self.is_unsupported() {
            return write!(f, "`{name}`: {detail}");
        }
        write!(f, "`{name}` at byte {}: {detail}", self.damage.byte_offset)
    }
}

/// Returns the damaged objects that the reports of a task name.
pub(crate) fn damaged<'a>(storage: &Storage, reports: impl IntoIterator<Item = &'a TaskReport>) -> Vec<DamagedObject> {
    let reports = reports.into_iter().filter_map(|report| match report {
        TaskReport::Read(report) => damage_of(storage, report),
        _ => None,
    });
    reports.collect()
}

/// Returns the damaged object that a scan reports, or `None` if the report is about something else.
pub(crate) fn damage_of(storage: &Storage, report: &ReadReport) -> Option<DamagedObject> {
    let ReadReport::Object(tally) = report else { return None };
    let damage = tally.damage.clone()?;
    Some(DamagedObject { key: tally.object.key.clone(), name: storage.name_of(&tally.object.key), damage })
}

/// Returns the error of a run that fails because of the `damaged` objects. It may neither skip them
/// nor keep parts of them.
pub(super) fn refusal(source: &Source, damaged: &[DamagedObject]) -> Error {
    // Objects in an unsupported format are not broken, only misplaced, so they get another hint.
    if damaged.iter().all(DamagedObject::is_unsupported) {
        let message = match damaged {
            [one] => format!("source `{}`: 1 object cannot be read: {one}", source.name),
            _ => format!("source `{}`: {} cannot be read:\n{}", source.name, objects(damaged.len()), lines(damaged)),
        };
        return Error::data(message).hint(format!(
            "nothing was committed; move it to another prefix, add it to `exclude`, or set \
             `on_damaged = \"skip\"` under `[sources.{}]`; docs/objects.md lists what can be read",
            source.name
        ));
    }
    let message = match damaged {
        [one] => format!("source `{}`: 1 object is damaged: {one}", source.name),
        _ => format!("source `{}`: {} are damaged:\n{}", source.name, objects(damaged.len()), lines(damaged)),
    };
    Error::data(message).hint(format!(
        "nothing was committed; replace the object with a complete one, or set `on_damaged` under `[sources.{}]`: \"skip\" tries it \
         again in the next run, \"keep\" ingests what could be read",
        source.name
    ))
}

/// Returns one line for each of up to [`NAMED`] damaged objects. If there are more, adds a line
/// with the number of the rest.
pub(super) fn lines(damaged: &[DamagedObject]) -> String {
    let mut lines: Vec<String> = damaged.iter().take(NAMED).map(|object| format!("  {object}")).collect();
    if damaged.len() > NAMED {
        lines.push(format!("  and {} more", damaged.len() - NAMED));
    }
    lines.join("\n")
}

/// Logs each damaged object that the run skips or keeps in part.
pub(super) fn log(source: &Source, damaged: &[DamagedObject]) {
    for DamagedObject { name, damage, .. } in damaged {
        let Damage { byte_offset, reason, detail } = damage;
        let (source_name, reason) = (&source.name, reason.as_str());
        match source.on_damaged {
            // The run fails, and its error names the objects.
            OnDamaged::Error => {}
            OnDamaged::Skip => {
                tracing::warn!(source = source_name, object = name, byte_offset, reason, detail, "damaged, skipped");
            }
            OnDamaged::Keep => {
                tracing::warn!(
                    source = source_name,
                    object = name,
                    byte_offset,
                    reason,
                    detail,
                    "damaged, kept in part"
                );
            }
        }
    }
}

/// Returns the staging and quarantine files that a task wrote.
pub(super) fn files(reports: &[TaskReport]) -> Vec<WrittenFile> {
    let files = reports.iter().filter_map(|report| match report {
        TaskReport::Staged(file) | TaskReport::Quarantined(file) => Some(file.clone()),
        _ => None,
    });
    files.collect()
}

/// Returns the splits of a task that do not belong to a damaged object. `planned` has all splits
/// with their byte ranges.
pub(super) fn intact_splits(reports: &[TaskReport], damaged: &[DamagedObject], planned: &[Vec<Split>]) -> Vec<Split> {
    let damaged: HashSet<&str> = damaged.iter().map(|object| object.key.as_str()).collect();
    // A report names only the start of its split. The plan has the whole range.
    let by_start: HashMap<(&str, u64), &Split> =
        planned.iter().flatten().map(|split| ((split.object.key.as_str(), split.range.start), split)).collect();
    let tallies = reports.iter().filter_map(|report| match report {
        TaskReport::Read(ReadReport::Object(tally)) => Some(tally),
        _ => None,
    });
    tallies
        // Drop all splits of a damaged object, including intact ones.
        .filter(|tally| !damaged.contains(tally.object.key.as_str()))
        .filter_map(|tally| by_start.get(&(tally.object.key.as_str(), tally.split_start)).copied().cloned())
        .collect()
}
