//! Objects that a run skips or ingests only in part, depending on the settings of their sources.

use lakewright_common::config::resolved::OnDamaged;
use lakewright_common::error::listed;
use serde::Serialize;

use super::damage::{self, DamagedObject};
use super::staged::StagedSource;
use crate::output::objects;

/// Objects of all sources that one run skips or ingests in part.
#[derive(Debug, Default, Serialize)]
pub(crate) struct SkippedObjects {
    /// Number of objects that changed after they were ingested. The lake keeps their old records.
    pub(crate) changed: u64,
    /// URLs of objects that changed while they were read. The next run reads them again.
    pub(crate) changing: Vec<String>,
    /// URLs of objects that must be restored from an archive first.
    pub(crate) archived: Vec<String>,
    /// Damaged objects that were skipped. The next run tries them again.
    pub(crate) damaged: Vec<DamagedObject>,
    /// Damaged objects whose readable part was ingested.
    pub(crate) kept: Vec<DamagedObject>,
}

impl SkippedObjects {
    /// Adds the objects that were skipped or ingested in part while the sources were staged.
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

    /// Returns whether new objects were skipped. A later run reads them if it can.
    pub(crate) fn has_new_objects(&self) -> bool {
        !self.changing.is_empty() || !self.archived.is_empty() || !self.damaged.is_empty()
    }

    /// Returns one warning for each reason why objects were skipped or ingested in part.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.changed > 0 {
            let count = usize::try_from(self.changed).unwrap_or(usize::MAX);
            warnings
                .push(format!("{} changed after they were ingested; the lake keeps the old records", objects(count)));
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
            warnings.push(format!("{count} damaged, ingested only as far as readable:\n{lines}"));
        }
        warnings
    }
}
