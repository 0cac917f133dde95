//! Objects that a run does not take in, as its sources are configured.

use lakewright_common::error::listed;

/// What is left out of one run, over all sources.
#[derive(Debug, Default)]
pub(crate) struct LeftOut {
    /// Objects that changed after they were taken in, as which they stay.
    pub(crate) changed: u64,
    /// URLs of objects that changed while they were read: the next run takes them.
    pub(crate) changing: Vec<String>,
    /// URLs of objects that must be restored first.
    pub(crate) archived: Vec<String>,
}

impl LeftOut {
    /// A sentence each, for the user.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.changed > 0 {
            warnings.push(format!("{} objects changed after being taken in and were ignored", self.changed));
        }
        if !self.changing.is_empty() {
            let (count, names) = (self.changing.len(), listed(&self.changing));
            warnings
                .push(format!("{count} objects changed while they were read and are left for the next run: {names}"));
        }
        if !self.archived.is_empty() {
            let (count, names) = (self.archived.len(), listed(&self.archived));
            warnings.push(format!("{count} objects are archived and were skipped: {names}"));
        }
        warnings
    }
}
