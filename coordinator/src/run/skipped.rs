//! Objects that a run does not ingest, or not whole, as its sources are configured.

use lakewright_common::config::resolved::OnDamaged;
use lakewright_common::error::listed;

use super::damage::{self, DamagedObject};
use super::ingest::StagedSource;

/// What is left out of one run, over all sources.
#[derive(Debug, Default)]
pub(crate) struct SkippedObjects {
    /// Objects that changed after they were taken in, as which they stay.
    pub(crate) changed: u64,
    /// URLs of objects that changed while they were read: the next run takes them.
    pub(crate) changing: Vec<String>,
    /// URLs of objects that must be restored first.
    pub(crate) archived: Vec<String>,
    /// Damaged objects that were skipped: the next run tries them again.
    pub(crate) damaged: Vec<DamagedObject>,
    /// Damaged objects of which the readable part was ingested.
    pub(crate) kept: Vec<DamagedObject>,
}

impl SkippedObjects {
    /// Adds what turned out while objects were read.
    pub(super) fn add(&mut self, staged: &[StagedSource<'_>]) {
        for source in staged {
            self.changing.extend(source.changing.iter().cloned());
            let damaged = source.damaged.iter().cloned();
            match source.source.on_damaged {
                OnDamaged::Keep => self.kept.extend(damaged),
                OnDamaged::Skip | OnDamaged::Error => self.damaged.extend(damaged),
            }
        }
    }

    /// Whether new objects were skipped that the next run will see as new again.
    pub(crate) fn has_skipped(&self) -> bool {
        !self.changing.is_empty() || !self.damaged.is_empty()
    }

    /// A sentence each, for the user.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.changed > 0 {
            let count = usize::try_from(self.changed).unwrap_or(usize::MAX);
            warnings.push(format!("{} changed after being taken in, and stay as they were", objects(count)));
        }
        if !self.changing.is_empty() {
            let (count, names) = (objects(self.changing.len()), listed(&self.changing));
            warnings.push(format!("{count} changed while being read, left for the next run: {names}"));
        }
        if !self.archived.is_empty() {
            let (count, names) = (objects(self.archived.len()), listed(&self.archived));
            warnings.push(format!("{count} in an archive, skipped: {names}"));
        }
        if !self.damaged.is_empty() {
            let (count, lines) = (objects(self.damaged.len()), damage::lines(&self.damaged));
            warnings.push(format!("{count} damaged, skipped until the next run:\n{lines}"));
        }
        if !self.kept.is_empty() {
            let (count, lines) = (objects(self.kept.len()), damage::lines(&self.kept));
            warnings.push(format!("{count} damaged, of which only what could be read was ingested:\n{lines}"));
        }
        warnings
    }
}

/// `1 object`, `2 objects`
pub(super) fn objects(count: usize) -> String {
    if count == 1 { "1 object".to_owned() } else { format!("{count} objects") }
}
